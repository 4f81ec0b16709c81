/* demo-relay CIRC_ID PORT NEXT_PORT BYTES_PER_S DELAY_US QUEUE_CELLS
 *
 * A relay on the way: it takes one connection, makes one to the next hop, and passes cells on, both ways, no faster and
 * no sooner than it is told. It knows nothing of conflux, as no relay on the way does.
 */
#include "channel.h"
#include "clock.h"
#include "node.h"
#include "shaper.h"

#include <stdlib.h>
#include <unistd.h>

/* A direction: cells from one channel wait in the shaper until it is time to put them on the other. */
struct way {
    struct relay *relay;
    struct channel *from, *to;
    struct shaper *shaper;
    struct event *timer;
    int towards_exit;
};

struct relay {
    struct event_base *base;
    uint16_t next_port;
    uint32_t circ_id;
    struct way out, back; /* Towards the exit, towards the client. */
};

static void side_lost(struct relay *relay, struct channel *side, uint8_t reason);

/* Counts the hop. 0 when the cell ends here. */
static int relabel(const struct way *way, struct cell *cell) {
    const uint32_t hops = cell_hops(cell);
    if (!way->towards_exit) {
        cell_set_hops(cell, hops + 1);
        return 1;
    }
    if (hops <= 1) return 0;
    cell_set_hops(cell, hops - 1);
    return 1;
}

/* 1 when there may be more to take. */
static int take_one(struct way *way) {
    struct cell cell;
    if (way->from == NULL || shaper_is_full(way->shaper) || !channel_take(way->from, &cell)) return 0;
    if (cell.circ_id == way->relay->circ_id && cell.command == CELL_DESTROY) {
        side_lost(way->relay, way->from, cell.body[0]);
        return 0;
    }
    if (cell.circ_id != way->relay->circ_id || cell.command != CELL_RELAY || !relabel(way, &cell)) {
        side_lost(way->relay, NULL, REASON_PROTOCOL); /* Nobody has anything to say to this relay. */
        return 0;
    }
    shaper_push(way->shaper, now_ns(), &cell);
    return 1;
}

static void arm(struct way *way) {
    const uint64_t now = now_ns(), next = shaper_next_ns(way->shaper);
    if (next == UINT64_MAX) return;
    const uint64_t wait = next > now ? next - now : 0;
    const struct timeval after = {.tv_sec = (time_t)(wait / 1000000000), .tv_usec = (long)(wait % 1000000000 / 1000)};
    event_add(way->timer, &after);
}

/* All that a direction ever does; whatever happens, it ends up here. The bounds are what makes a path: a shaper that is
 * full takes no cells, so the input fills and TCP stops the sender; an output that is full gets none, so they wait. */
static void pump(struct way *way) {
    struct cell cell;
    while (way->to != NULL && channel_backlog(way->to) < CHANNEL_FULL && shaper_pop(way->shaper, now_ns(), &cell))
        channel_put(way->to, &cell);
    while (take_one(way)) continue;
    /* With a full output, on_room comes first. */
    if (way->to != NULL && channel_backlog(way->to) < CHANNEL_FULL) arm(way);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    pump(arg);
}

/* The client's side. */
static void client_cells(void *owner) { pump(&((struct relay *)owner)->out); }
static void client_room(void *owner) { pump(&((struct relay *)owner)->back); }
static void client_lost(void *owner, const char *why) {
    struct relay *relay = owner;
    (void)why;
    relay->out.from = relay->back.to = NULL;
    side_lost(relay, NULL, REASON_CHANNEL_CLOSED);
}

/* The exit's side. */
static void exit_cells(void *owner) { pump(&((struct relay *)owner)->back); }
static void exit_room(void *owner) { pump(&((struct relay *)owner)->out); }
static void exit_lost(void *owner, const char *why) {
    struct relay *relay = owner;
    (void)why;
    relay->out.to = relay->back.from = NULL;
    side_lost(relay, NULL, REASON_CHANNEL_CLOSED);
}

static const struct channel_events client_side = {client_cells, client_room, NULL, client_lost};
static const struct channel_events exit_side = {exit_cells, exit_room, NULL, exit_lost};

static void leave(struct channel *channel, int tell, uint32_t circ_id, uint8_t reason) {
    struct cell destroy;
    if (channel == NULL) return;
    cell_make_destroy(&destroy, circ_id, reason);
    if (tell) channel_put(channel, &destroy);
    channel_close(channel);
}

/* The circuit is gone: the other side, or both, get a DESTROY, ahead of all that waits here. `side` is the one that
 * sent a DESTROY itself. What is left of this process waits to be ended. */
static void side_lost(struct relay *relay, struct channel *side, uint8_t reason) {
    struct channel *client = relay->out.from, *exit = relay->out.to;
    relay->out.from = relay->out.to = relay->back.from = relay->back.to = NULL;
    leave(client, client != side, relay->circ_id, reason);
    leave(exit, exit != side, relay->circ_id, reason);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                      void *arg) {
    struct relay *relay = arg;
    (void)address;
    (void)len;
    struct channel *client = channel_accept(relay->base, fd, &client_side, relay);
    struct channel *exit = channel_connect(relay->base, relay->next_port, &exit_side, relay);
    if (client == NULL || exit == NULL) node_fail("cannot open a channel");
    relay->out.from = relay->back.to = client;
    relay->out.to = relay->back.from = exit;
    evconnlistener_free(listener); /* One circuit is all it has. */
}

static void open_way(struct way *way, struct relay *relay, int towards_exit, char **argv) {
    const uint64_t bytes_per_s = node_number(argv[4], UINT64_MAX / 2);
    const uint64_t delay_us = node_number(argv[5], 10000000);
    way->relay = relay;
    way->towards_exit = towards_exit;
    way->shaper = shaper_new(bytes_per_s, delay_us * 1000, node_number(argv[6], 1000000));
    way->timer = event_new(relay->base, -1, 0, on_timer, way);
    if (way->shaper == NULL || way->timer == NULL) node_fail("out of memory");
}

int main(int argc, char **argv) {
    static struct relay relay;
    relay.base = node_start();
    if (argc != 7) node_fail("demo-relay is started by the demo");
    open_way(&relay.out, &relay, 1, argv);
    open_way(&relay.back, &relay, 0, argv);
    relay.circ_id = (uint32_t)node_number(argv[1], LEGS_MAX);
    relay.next_port = (uint16_t)node_number(argv[3], UINT16_MAX);
    node_listen(relay.base, (uint16_t)node_number(argv[2], UINT16_MAX), on_accept, &relay);
    event_base_dispatch(relay.base);
    return 0;
}
