/* demo-relay ENGINE_NUMBER TRACE_FILE PORT NEXT_PORT DOWN_BYTES_PER_S UP_BYTES_PER_S DELAY_US JITTER_US MACHINES_FILE
 *            SECONDS
 *
 * A relay in the middle: it accepts a connection, connects to the next hop, and passes the cells of many circuits on,
 * both ways, with the given rate (down is towards the client) and delay. It does not know conflux, as relays in the
 * middle do not. With MACHINES_FILE it pads towards the client, and prints after SECONDS how regular the client's
 * padding came.
 */
#include "relay.h"

#include "clock.h"
#include "node.h"
#include "padding.h"

#include <unistd.h>

enum { DELAY_US_MAX = 10000000 };

static void note_memory(struct relay *relay) {
    struct memory now = {.held = loop_held_bytes(&relay->loop), .parked = relay->parked_bytes};
    for (int i = 0; i < SIDES; i++) {
        const struct side *side = &relay->sides[i];
        now.channels += wire_bytes(side->wire) + (side->channel == NULL ? 0 : channel_bytes(side->channel));
    }
    memory_note(&relay->memory, &now);
}

/* Drains after each cell: a pause must be obeyed before the next cell. */
static void on_cells(void *owner) {
    struct side *side = owner;
    struct cell cell;
    note_memory(side->relay);
    while (side->channel != NULL && channel_take(side->channel, &cell)) {
        if (cell.command == CELL_DESTROY || cell.command == CELL_RELAY) passage_handle_cell(side, &cell);
        loop_settle(&side->relay->loop);
    }
    note_memory(side->relay);
}

static void on_channel_room(void *owner) { wire_on_room(((struct side *)owner)->wire); }

static void on_wire_room(void *owner) { turns_serve(owner); }

static void on_lost(void *owner, const char *why) {
    struct side *side = owner;
    (void)why;
    side->channel = NULL;
    wire_attach(side->wire, NULL);
    passages_lost(side);
    loop_settle(&side->relay->loop);
}

static const struct channel_events events = {on_cells, on_channel_room, NULL, on_lost};

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                      void *arg) {
    struct relay *relay = arg;
    struct side *back = &relay->sides[CIRCFLOW_SIDE_BACK], *next = &relay->sides[CIRCFLOW_SIDE_NEXT];
    (void)address;
    (void)len;
    back->channel = channel_accept(relay->loop.base, fd, &events, back);
    next->channel = channel_connect(relay->loop.base, relay->next_port, &events, next);
    if (back->channel == NULL || next->channel == NULL) node_fail("cannot open a channel");
    wire_attach(back->wire, back->channel);
    wire_attach(next->wire, next->channel);
    evconnlistener_free(listener); /* It has only one client. */
}

static void obey(void *owner, const struct circflow_insn *insn, const uint8_t *body) {
    passage_obey(owner, insn, body);
}

static void on_progress(evutil_socket_t fd, short what, void *arg) {
    struct relay *relay = arg;
    (void)fd;
    (void)what;
    memory_say(&relay->memory, 0);
}

static uint64_t padding_sent(void *owner) {
    const struct relay *relay = owner;
    struct circflow_padding_stats sum = {.padding_sent = 0};
    for (size_t i = 0; i < relay->passage_count; i++)
        padding_add(&sum, &relay->loop, relay->passages[i]->circuit, 0);
    return sum.padding_sent;
}

/* Cells that leave by this side go with that rate. */
static void open_side(struct relay *relay, uint8_t which, uint64_t bytes_per_s, char **arg) {
    const struct path_limits limits = {.bytes_per_s = bytes_per_s,
                                       .delay_ns = node_number(arg[7], DELAY_US_MAX) * 1000,
                                       .jitter_ns = node_number(arg[8], DELAY_US_MAX) * 1000,
                                       .seed = 2 * node_number(arg[1], UINT16_MAX) + which};
    struct side *side = &relay->sides[which];
    side->relay = relay;
    side->which = which;
    side->wire = wire_new(relay->loop.base, &limits, on_wire_room, side);
}

int main(int argc, char **argv) {
    static struct relay relay;
    if (argc != 11)
        node_usage("demo-relay ENGINE_NUMBER TRACE_FILE PORT NEXT_PORT DOWN_BYTES_PER_S UP_BYTES_PER_S DELAY_US\n"
                   "                  JITTER_US MACHINES_FILE SECONDS");
    struct event_base *base = node_start();
    loops_name(argv[1], argv[2]);
    loop_open(&relay.loop, base, 0, obey, &relay);
    open_side(&relay, CIRCFLOW_SIDE_BACK, node_number(argv[5], UINT64_MAX / 2), argv);
    open_side(&relay, CIRCFLOW_SIDE_NEXT, node_number(argv[6], UINT64_MAX / 2), argv);
    relay.next_port = (uint16_t)node_number(argv[4], UINT16_MAX);
    relay.machines = padding_load(&relay.loop, argv[9]);
    if (relay.machines.v != 0)
        relay.regular = regular_new(&relay.loop, node_number(argv[10], 600), padding_sent, &relay);
    node_tell_progress(base, on_progress, &relay);
    node_listen(base, (uint16_t)node_number(argv[3], UINT16_MAX), on_accept, &relay);
    loop_run(&relay.loop);
    return 0;
}
