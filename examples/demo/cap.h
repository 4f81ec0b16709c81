/* The memory that a transfer may take with a reader that is slow. */
#ifndef DEMO_CAP_H
#define DEMO_CAP_H

#include "transfer.h"

/* Bytes that each process may keep at most: what XOFF allows, and one congestion window for each leg. */
uint64_t cap_bytes(const struct options *options, const struct transfer_result *run);

/* The most that any process kept; which one, when `who` is not NULL. */
uint64_t cap_used(const struct transfer_result *run, const char **who);

/* Prints how the cap is made, and what each process used. */
void cap_print(const struct options *options, const struct transfer_result *run);

#endif
