/* One direction of a path: a token bucket (so much a second) and then a delay line (so late). Pure computation: no
 * sockets, no clock. Nothing is ever dropped or refused; who feeds it looks how many cells wait for tokens. */
#ifndef DEMO_SHAPER_H
#define DEMO_SHAPER_H

#include "cell.h"

#include <stddef.h>

struct shaper;

/* bytes_per_s 0: no limit. NULL when memory is short. */
struct shaper *shaper_new(uint64_t bytes_per_s, uint64_t delay_ns);

void shaper_push(struct shaper *shaper, uint64_t now, const struct cell *cell);

/* 1 when a cell had reached the end of the path by now. */
int shaper_pop(struct shaper *shaper, uint64_t now, struct cell *cell);

/* When the next cell reaches the end, UINT64_MAX when there is none. */
uint64_t shaper_next_ns(const struct shaper *shaper);

/* When no more than so many cells wait for their tokens: a time that has passed, or is to come. */
uint64_t shaper_waiting_ns(const struct shaper *shaper, uint64_t cells);

/* Bytes of the cells in it, those on their way included. */
size_t shaper_bytes(const struct shaper *shaper);

#endif
