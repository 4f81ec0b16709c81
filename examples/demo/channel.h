/* Cells over one TCP connection. */
#ifndef DEMO_CHANNEL_H
#define DEMO_CHANNEL_H

#include "cell.h"

#include <event2/event.h>
#include <stddef.h>

/* Bytes of output at which a channel counts as full, and at which it has room again. */
enum { CHANNEL_FULL = 128 * CELL_LEN, CHANNEL_ROOM = 64 * CELL_LEN };

struct channel;

/* Events that a channel tells its owner. */
struct channel_events {
    void (*on_cells)(void *owner);                 /* Cells came: take them. Others wait. */
    void (*on_room)(void *owner);                  /* The backlog fell to CHANNEL_ROOM. */
    void (*on_written)(void *owner, uint32_t circ_id); /* A cell has left for the socket, whole. May be NULL. */
    void (*on_lost)(void *owner, const char *why); /* The connection is gone, and the channel with it: forget it. */
};

/* Returns NULL when the socket cannot be made. on_lost tells of a refused connection. */
struct channel *channel_connect(struct event_base *base, uint16_t port, const struct channel_events *events,
                                void *owner);
struct channel *channel_accept(struct event_base *base, evutil_socket_t fd, const struct channel_events *events,
                               void *owner);

/* Returns 1 when there was a cell. Cells not taken fill the input buffer; then the socket is not read any more,
 * and TCP slows the sender down. */
int channel_take(struct channel *channel, struct cell *cell);

void channel_put(struct channel *channel, const struct cell *cell);

/* Put no more DATA before on_room() comes; control cells may still be put. */
int channel_is_full(const struct channel *channel);

/* Bytes kept: of cells put but not yet written, and of cells that came but were not yet taken. */
size_t channel_bytes(const struct channel *channel);

#endif
