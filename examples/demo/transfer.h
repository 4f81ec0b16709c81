/* One transfer: starts the processes of a network, waits until the file is through or something went wrong, and ends
 * them all. */
#ifndef DEMO_TRANSFER_H
#define DEMO_TRANSFER_H

#include "options.h"
#include "sha256.h"

#include <stddef.h>

struct transfer_result {
    char failure[640]; /* Empty when the client has received the end of the file. */
    char lost[256];    /* A leg that was lost on the way, or empty. */
    uint64_t sent, received;
    char sent_sha[SHA256_HEX_CAP], received_sha[SHA256_HEX_CAP];
    uint64_t took_ns, switches, held_peak, cells[LEGS_MAX];
};

/* Moves the file over the first so many legs, and writes what comes to `copy`. It always returns. */
void transfer_run(const struct options *options, const char *file, uint64_t size, const char *copy, size_t legs,
                  struct transfer_result *result);

#endif
