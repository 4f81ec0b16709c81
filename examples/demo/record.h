/* The record of what happens in a process's engines, in a file for circflow-trace. All processes of the demo write the
 * same file: each piece goes behind all others in one write, and says which engine it is of. */
#ifndef DEMO_RECORD_H
#define DEMO_RECORD_H

#include <circflow.h>

/* The file to which record_begin() adds. "" for none. */
void record_open(const char *path);

/* Records all that happens in this engine from now on. Does nothing without a file. */
void record_begin(struct circflow_engine *engine);

/* The calling thread is the one that feeds this engine: record_rest() is about it. */
void record_here(struct circflow_engine *engine);

/* Writes what the sink was not given yet of the calling thread's engine. */
void record_rest(void);

#endif
