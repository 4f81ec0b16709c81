/* The output of a relay: a channel behind a path of the simulated network, or, without a path, the channel alone. It
 * tells when it is full, as a relay's connections do: backpressure begins there. */
#ifndef DEMO_WIRE_H
#define DEMO_WIRE_H

#include "channel.h"
#include "shaper.h"

#include <event2/event.h>

struct wire;

/* on_room comes from the event loop after wire_is_full() has returned 1. */
struct wire *wire_new(struct event_base *base, const struct path_limits *limits, void (*on_room)(void *owner),
                      void *owner);

/* Sets the channel that cells go to; NULL when the connection is gone: cells are dropped. */
void wire_attach(struct wire *wire, struct channel *channel);

void wire_put(struct wire *wire, const struct cell *cell);

/* Returns 1 when no more DATA should be put before on_room; control cells may still be put. */
int wire_is_full(struct wire *wire);

/* Tells the wire that its channel has room again. */
void wire_on_room(struct wire *wire);

/* Bytes on the path, without the bytes in the channel. */
size_t wire_bytes(const struct wire *wire);

#endif
