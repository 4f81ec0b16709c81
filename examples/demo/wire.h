/* What a relay sends on: a channel behind a path of the simulated network, or, without one, the channel alone. It says
 * when it is full, as a relay's connections do: that is where backpressure begins. */
#ifndef DEMO_WIRE_H
#define DEMO_WIRE_H

#include "channel.h"

#include <event2/event.h>

struct wire;

/* on_room comes, from the event loop, after wire_is_full() said 1. bytes_per_s 0 and delay_ns 0: no path. */
struct wire *wire_new(struct event_base *base, uint64_t bytes_per_s, uint64_t delay_ns, void (*on_room)(void *owner),
                      void *owner);

/* Where cells go from now on; NULL: nowhere, as the connection is gone. */
void wire_attach(struct wire *wire, struct channel *channel);

void wire_put(struct wire *wire, const struct cell *cell);

/* 1 when nothing more should be put before on_room; what must not wait may. */
int wire_is_full(struct wire *wire);

/* Its channel has room again. */
void wire_on_room(struct wire *wire);

/* Bytes on the path; those in the channel are the channel's. */
size_t wire_bytes(const struct wire *wire);

#endif
