/* What the demo is asked to do. */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include "cell.h"
#include "machines.h"

/* What runs when nothing is moved: so many cells a second, each way. */
#define IDLE_MACHINES "constant-rate-100"
enum { IDLE_RATE = 100 };

struct path {
    double mbit; /* A second, counted in bytes of cells. */
    double rtt_ms;
};

struct options {
    const char *file; /* NULL: make one. */
    unsigned size_mib;
    struct path paths[LEGS_MAX];
    unsigned circuits; /* Sets at once, each with a part of the file. */
    unsigned threads; /* Of the exit. */
    int slow_reader; /* The program that reads at the client is slow, and memory is watched. */
    unsigned base_port; /* 0: any free ports. */
    double ratio; /* How much faster two legs have to be; 0: see summary.c. */
    int two_only; /* Leave out the run over one leg. */
    const char *padding; /* The name of the padding machines; NULL: no padding. */
    char machines[ENDS][MACHINES_PATH_CAP]; /* Their files, or empty. */
    unsigned idle_s; /* Move nothing, and watch the padding for so many seconds; 0: move the file. */
    const char *record; /* Where the trace of the first run goes; NULL: record none. */
};

/* Ends the process, with a message, when the arguments make no sense. */
void options_read(struct options *options, int argc, char **argv);

uint64_t path_bytes_per_s(const struct path *path);

/* Cells that a path holds: rate times round-trip time. */
uint64_t path_cells(const struct path *path);

/* What the reader at the client takes: a fifth of what the paths carry; 0: at once. */
uint64_t options_reader_bytes_per_s(const struct options *options);

/* How many times faster all legs are than the first alone, at best. */
double options_gain(const struct options *options);

#endif
