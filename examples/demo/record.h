/* A trace of the cells of leg A, in maybenot-simulator's format: a line for each, NANOSECONDS,s|r,BYTES, where s is
 * sent and the time counts from the first line on. */
#ifndef DEMO_RECORD_H
#define DEMO_RECORD_H

#include <stdint.h>

/* Starts recording into that file. */
void record_open(const char *path);

/* Records a cell sent ('s') or received ('r') on that circuit. Does nothing unless recording was started. */
void record_cell(uint32_t circ_id, char direction);

/* Writes the rest of the trace to the file. */
void record_close(void);

#endif
