/* demo-idle ENGINE_NUMBER TRACE_FILE MACHINES_FILE SECONDS GUARD_PORT
 *
 * The client of a conflux set with one leg that carries no data. It pads with the middle relay of the leg, as Tor's
 * clients do, and the relay pads too. Then it prints how regular the relay's padding came, see node.h.
 */
#include "endpoint.h"
#include "node.h"
#include "padding.h"
#include "regular.h"

struct idle {
    struct endpoint endpoint;
    struct tunnel tunnel;
    struct regular *regular;
};

static void on_cell(struct endpoint *endpoint, uint8_t hop) {
    if (hop == MIDDLE_HOP) regular_note(((struct idle *)endpoint->owner)->regular);
}

static void on_usable(struct endpoint *endpoint, struct tunnel *tunnel) {
    (void)tunnel;
    regular_begin_soon(((struct idle *)endpoint->owner)->regular);
}

static void on_message(struct endpoint *endpoint, struct tunnel *tunnel, struct circflow_stream_id stream,
                       const struct circflow_message *message) {
    (void)endpoint;
    (void)tunnel;
    (void)stream;
    (void)message;
}

static void on_room(struct endpoint *endpoint, struct tunnel *tunnel) {
    (void)endpoint;
    (void)tunnel;
}

static void on_ended(struct endpoint *endpoint, struct tunnel *tunnel, const char *why) {
    (void)endpoint;
    (void)tunnel;
    node_fail("%s", why);
}

static const struct endpoint_role role = {
    .circflow_role = CIRCFLOW_ROLE_CLIENT,
    .peer_hop = HOPS,
    .padded_hop = MIDDLE_HOP,
    .on_usable = on_usable,
    .on_message = on_message,
    .on_room = on_room,
    .on_ended = on_ended,
    .on_cell = on_cell,
};

static uint64_t padding_sent(void *owner) {
    const struct endpoint *endpoint = owner;
    struct circflow_padding_stats sum = {.padding_sent = 0};
    padding_add(&sum, &endpoint->loop, endpoint->legs[circ_id_of(0, 0)]->circuit, MIDDLE_HOP);
    return sum.padding_sent;
}

int main(int argc, char **argv) {
    static struct idle idle;
    struct endpoint *endpoint = &idle.endpoint;
    if (argc != 6)
        node_usage("demo-idle ENGINE_NUMBER TRACE_FILE MACHINES_FILE SECONDS GUARD_PORT");
    struct event_base *base = node_start();
    loops_name(argv[1], argv[2]);
    const uint16_t port = (uint16_t)node_number(argv[5], UINT16_MAX);
    endpoint_open(endpoint, base, 0, &role, &idle);
    endpoint->machines = padding_load(&endpoint->loop, argv[3]);
    idle.regular = regular_new(&endpoint->loop, node_number(argv[4], 600), padding_sent, endpoint);
    endpoint_connect(endpoint, &port, 1);
    endpoint_open_set(endpoint, &idle.tunnel, 0);
    endpoint_settle(endpoint);
    loop_run(&endpoint->loop);
    return 0;
}
