/* A trace of the cells of leg A, as maybenot-simulator reads it: a line for each, NANOSECONDS,s|r,BYTES, where s is
 * sent and the time counts from the first line on. */
#ifndef DEMO_RECORD_H
#define DEMO_RECORD_H

#include <stdint.h>

/* From now on this process records, into that file. */
void record_open(const char *path);

/* A cell was sent ('s') or has come ('r') on that circuit. Does nothing when nothing is recorded. */
void record_cell(uint32_t circ_id, char direction);

/* All that was recorded is in the file. */
void record_close(void);

#endif
