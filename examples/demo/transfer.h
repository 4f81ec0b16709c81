/* One transfer: starts the processes of a network, waits until the file is through or something went wrong, and ends
 * them all. */
#ifndef DEMO_TRANSFER_H
#define DEMO_TRANSFER_H

#include "memory.h"
#include "options.h"
#include "progress.h"
#include "sha256.h"

#include <stddef.h>

/* The processes, in the order in which they start: each needs the port of the one before. */
enum { EXIT, MIDDLE_A, GUARD_A, MIDDLE_B, GUARD_B, CLIENT, PROCESSES };

/* How regular cells came at an end while no data was sent, and figures of its own padding. */
struct regular_figures {
    uint64_t intervals, span_ns;
    uint64_t off_p50_ns, off_p99_ns, off_max_ns; /* Distance of intervals from their mean. */
    uint64_t padding_sent, late_p50_us, late_p99_us;
};

/* The file that is moved, and the SHA-256 of the part that each set carries. */
struct cargo {
    const char *file, *copy;
    uint64_t size;
    unsigned parts;
    char (*part_sha)[SHA256_HEX_CAP];
};

struct transfer_result {
    char failure[640]; /* Empty when the client has received all parts of the file, and each was right. */
    char lost[256];    /* A leg that was lost, or empty. */
    uint64_t sent, received;
    unsigned algorithm; /* CIRCFLOW_ALGORITHM_*, as the exit's set had it. */
    uint64_t took_ns, switches, held_peak, cells[LEGS_MAX], cwnd_peak[LEGS_MAX];
    uint64_t xoffs, xons, xoffs_heard, xons_heard; /* Sent by the client; received by the exit. */
    struct memory memory[PROCESSES][LOOPS_MAX]; /* Of each loop, when it used most. */
    struct padding padding[ENDS];
    struct regular_figures regular[ENDS];
};

/* The title of each process, for people. */
extern const char *const process_titles[PROCESSES];

/* Moves the file over the first `legs` legs. It always returns. */
void transfer_run(const struct options *options, const struct cargo *cargo, size_t legs,
                  struct transfer_result *result);

#endif
