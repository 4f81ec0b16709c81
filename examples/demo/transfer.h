/* One transfer: starts the processes of a network, waits until the file is through or something went wrong, and ends
 * them all. */
#ifndef DEMO_TRANSFER_H
#define DEMO_TRANSFER_H

#include "options.h"
#include "progress.h"
#include "sha256.h"

#include <stddef.h>

/* How the cells came that an end received while nobody used the circuit, and what its own padding did. */
struct regular {
    uint64_t intervals, span_ns;
    uint64_t off_p50_ns, off_p99_ns, off_max_ns; /* How far intervals were from their mean. */
    uint64_t padding_sent, late_p50_us, late_p99_us;
};

struct transfer_result {
    char failure[640]; /* Empty when the client has received the end of the file. */
    char lost[256];    /* A leg that was lost on the way, or empty. */
    uint64_t sent, received;
    char sent_sha[SHA256_HEX_CAP], received_sha[SHA256_HEX_CAP];
    uint64_t took_ns, switches, held_peak, cells[LEGS_MAX];
    struct padding padding[ENDS];
    struct regular regular[ENDS];
};

/* Moves the file over the first so many legs, and writes what comes to `copy`. It always returns. */
void transfer_run(const struct options *options, const char *file, uint64_t size, const char *copy, size_t legs,
                  struct transfer_result *result);

#endif
