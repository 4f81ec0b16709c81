/* One direction of a path: a token bucket (rate) and then a delay line. Pure computation: no
 * sockets, no clock. It never drops or refuses a cell; the caller checks how many cells wait for tokens. */
#ifndef DEMO_SHAPER_H
#define DEMO_SHAPER_H

#include "cell.h"

#include <stddef.h>

struct shaper;

/* bytes_per_s 0: no limit. Returns NULL when there is no memory. */
struct shaper *shaper_new(uint64_t bytes_per_s, uint64_t delay_ns);

void shaper_push(struct shaper *shaper, uint64_t now, const struct cell *cell);

/* Returns 1 when a cell has reached the end of the path by now. */
int shaper_pop(struct shaper *shaper, uint64_t now, struct cell *cell);

/* Time at which the next cell reaches the end, UINT64_MAX without a cell. */
uint64_t shaper_next_ns(const struct shaper *shaper);

/* Time from which no more than this many cells wait for tokens; it can be in the past. */
uint64_t shaper_waiting_ns(const struct shaper *shaper, uint64_t cells);

/* Bytes of all cells in it, cells in the delay line included. */
size_t shaper_bytes(const struct shaper *shaper);

#endif
