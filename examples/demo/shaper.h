/* One direction of a path: a token bucket (rate) and then a delay line, in which no cell overtakes another. It is pure
 * computation: no sockets, no clock. It never drops or refuses a cell; the caller checks how many wait for tokens. */
#ifndef DEMO_SHAPER_H
#define DEMO_SHAPER_H

#include "cell.h"

#include <stddef.h>

struct shaper;

/* What a path lets through. All zero: everything, at once. */
struct path_limits {
    uint64_t bytes_per_s; /* 0: no limit. */
    uint64_t delay_ns;
    uint64_t jitter_ns; /* The delay is up to this longer, and goes up and down. */
    uint64_t seed; /* How it goes. */
};

/* Returns NULL when there is no memory. */
struct shaper *shaper_new(const struct path_limits *limits);

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
