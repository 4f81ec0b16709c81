#include "channel.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { INPUT_MAX = 128 * CELL_LEN };

struct channel {
    struct bufferevent *stream;
    const struct channel_events *events;
    void *owner;
    struct event *wrote;       /* Some of the output has left. */
    struct evbuffer *unwritten; /* Circuit ids of cells put and not yet told as written, if the owner asks for it. */
    uint64_t bytes_written, cells_told;
};

static void channel_free(struct channel *channel) {
    bufferevent_free(channel->stream);
    event_free(channel->wrote);
    evbuffer_free(channel->unwritten);
    free(channel);
}

static void on_read(struct bufferevent *stream, void *arg) {
    struct channel *channel = arg;
    (void)stream;
    channel->events->on_cells(channel->owner);
}

static void on_write(struct bufferevent *stream, void *arg) {
    struct channel *channel = arg;
    (void)stream;
    channel->events->on_room(channel->owner);
}

static void on_event(struct bufferevent *stream, short what, void *arg) {
    struct channel *channel = arg;
    char why[128];
    (void)stream;
    if (what & BEV_EVENT_CONNECTED) return;
    if (what & BEV_EVENT_EOF)
        snprintf(why, sizeof why, "the connection was closed by the other end");
    else
        snprintf(why, sizeof why, "the connection broke: %s", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
    const struct channel_events *events = channel->events;
    void *owner = channel->owner;
    channel_free(channel);
    events->on_lost(owner, why);
}

/* Output leaves the buffer in pieces of any size: a cell counts when its last byte has gone. This is called from deep
 * inside the write, where nothing can be closed or put, so the news waits for the event loop's next turn. */
static void on_output(struct evbuffer *output, const struct evbuffer_cb_info *info, void *arg) {
    struct channel *channel = arg;
    (void)output;
    if (info->n_deleted == 0) return;
    channel->bytes_written += info->n_deleted;
    event_active(channel->wrote, EV_WRITE, 0);
}

static void on_wrote(evutil_socket_t fd, short what, void *arg) {
    struct channel *channel = arg;
    uint32_t circ_id;
    (void)fd;
    (void)what;
    if (channel->events->on_written == NULL) return;
    for (; channel->cells_told < channel->bytes_written / CELL_LEN; channel->cells_told++)
        if (evbuffer_remove(channel->unwritten, &circ_id, sizeof circ_id) == sizeof circ_id)
            channel->events->on_written(channel->owner, circ_id);
}

static struct channel *channel_new(struct event_base *base, evutil_socket_t fd, const struct channel_events *events,
                                   void *owner) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) return NULL;
    channel->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    channel->wrote = event_new(base, -1, 0, on_wrote, channel);
    channel->unwritten = evbuffer_new();
    if (channel->stream == NULL || channel->wrote == NULL || channel->unwritten == NULL) abort(); /* Out of memory. */
    channel->events = events;
    channel->owner = owner;
    bufferevent_setcb(channel->stream, on_read, on_write, on_event, channel);
    evbuffer_add_cb(bufferevent_get_output(channel->stream), on_output, channel);
    bufferevent_setwatermark(channel->stream, EV_READ, CELL_LEN, INPUT_MAX);
    bufferevent_setwatermark(channel->stream, EV_WRITE, CHANNEL_ROOM, 0);
    bufferevent_enable(channel->stream, EV_READ | EV_WRITE);
    return channel;
}

/* TCP must not delay a single SENDME. */
static void send_at_once(evutil_socket_t fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

struct channel *channel_connect(struct event_base *base, uint16_t port, const struct channel_events *events,
                                void *owner) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct channel *channel = channel_new(base, -1, events, owner);
    if (channel == NULL) return NULL;
    if (bufferevent_socket_connect(channel->stream, (const struct sockaddr *)&address, sizeof address) != 0) {
        channel_free(channel);
        return NULL;
    }
    send_at_once(bufferevent_getfd(channel->stream));
    return channel;
}

struct channel *channel_accept(struct event_base *base, evutil_socket_t fd, const struct channel_events *events,
                               void *owner) {
    send_at_once(fd);
    return channel_new(base, fd, events, owner);
}

int channel_take(struct channel *channel, struct cell *cell) {
    uint8_t wire[CELL_LEN];
    struct evbuffer *input = bufferevent_get_input(channel->stream);
    if (evbuffer_get_length(input) < CELL_LEN) return 0;
    evbuffer_remove(input, wire, sizeof wire);
    cell_unpack(cell, wire);
    return 1;
}

void channel_put(struct channel *channel, const struct cell *cell) {
    uint8_t wire[CELL_LEN];
    cell_pack(cell, wire);
    if (bufferevent_write(channel->stream, wire, sizeof wire) != 0) abort(); /* Out of memory. */
    if (channel->events->on_written != NULL) evbuffer_add(channel->unwritten, &cell->circ_id, sizeof cell->circ_id);
}

static size_t backlog(const struct channel *channel) {
    return evbuffer_get_length(bufferevent_get_output(channel->stream));
}

int channel_is_full(const struct channel *channel) { return backlog(channel) >= CHANNEL_FULL; }

size_t channel_bytes(const struct channel *channel) {
    return backlog(channel) + evbuffer_get_length(bufferevent_get_input(channel->stream));
}
