/* One direction of a path: a token bucket (so much a second) and then a delay line (so late). Pure computation: no
 * sockets, no clock. Nothing is ever dropped: a full shaper takes no more, and who feeds it has to wait. */
#ifndef DEMO_SHAPER_H
#define DEMO_SHAPER_H

#include "cell.h"

#include <stddef.h>

struct shaper;

/* cells_max bounds all that is inside: what waits for tokens and what is under way. bytes_per_s 0: no limit.
 * NULL when memory is short. */
struct shaper *shaper_new(uint64_t bytes_per_s, uint64_t delay_ns, size_t cells_max);

int shaper_is_full(const struct shaper *shaper);

/* Only when it is not full. */
void shaper_push(struct shaper *shaper, uint64_t now, const struct cell *cell);

/* 1 when a cell had reached the end of the path by now. */
int shaper_pop(struct shaper *shaper, uint64_t now, struct cell *cell);

/* When the next cell reaches the end, UINT64_MAX when there is none. */
uint64_t shaper_next_ns(const struct shaper *shaper);

#endif
