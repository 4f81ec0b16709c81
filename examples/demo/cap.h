/* The memory that a transfer with a slow reader may take. */
#ifndef DEMO_CAP_H
#define DEMO_CAP_H

#include "transfer.h"

/* Most bytes that each process may keep: the limit of XOFF, and one congestion window for each leg. */
uint64_t cap_bytes(const struct options *options, const struct transfer_result *run);

/* The most that any process kept, and which process, when `who` is not NULL. */
uint64_t cap_used(const struct transfer_result *run, const char **who);

/* Prints how the cap is computed, and how much each process used. */
void cap_print(const struct options *options, const struct transfer_result *run);

#endif
