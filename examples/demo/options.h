/* The options of the demo. */
#ifndef DEMO_OPTIONS_H
#define DEMO_OPTIONS_H

#include "cell.h"
#include "machines.h"

/* The padding when no file is moved: machines, and their rate in cells per second, each way. */
#define IDLE_MACHINES "constant-rate-100"
enum { IDLE_RATE = 100 };

struct path {
    double mbit; /* Mbit per second, counted in bytes of cells. */
    double rtt_ms;
    double up_mbit; /* From client to exit. */
    double jitter_ms; /* Each way takes up to this longer, now more and now less. */
};

struct options {
    const char *file; /* NULL: make a file. */
    unsigned size_mib;
    struct path paths[LEGS_MAX];
    unsigned circuits; /* Number of sets, each with a part of the file. */
    unsigned threads; /* Threads of the exit. */
    int slow_reader; /* The reader at the client is slow, and memory is checked. */
    unsigned base_port; /* 0: any free ports. */
    double ratio; /* How many times faster two legs have to be; 0: see summary.c. */
    int one_only; /* Leave out the run over two legs. */
    int two_only; /* Leave out the run over one leg. */
    uint8_t algorithm; /* CIRCFLOW_ALGORITHM_*, by which the exit chooses legs. */
    const char *padding; /* The name of the padding machines; NULL: no padding. */
    char machines[ENDS][MACHINES_PATH_CAP]; /* Their files, or empty. */
    unsigned idle_s; /* Move no file, but watch the padding for this many seconds; 0: move the file. */
    const char *record; /* File for what happens in all engines; NULL: none. */
    const char *found; /* File for a line that says how long it took; NULL: none. */
    const char *figures; /* File for the figures of the table, as CSV; NULL: none. */
};

/* Reads the arguments. Ends the process with a message when they are not valid. */
void options_read(struct options *options, int argc, char **argv);

uint64_t path_bytes_per_s(const struct path *path);
uint64_t path_up_bytes_per_s(const struct path *path);

/* Number of cells that a path holds: rate times round-trip time. */
uint64_t path_cells(const struct path *path);

/* Bytes per second that the reader at the client takes: a fifth of the paths' rate; 0: all at once. */
uint64_t options_reader_bytes_per_s(const struct options *options);

/* How many times faster than the first leg all legs can be, at best. */
double options_gain(const struct options *options);

#endif
