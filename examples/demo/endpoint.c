#include "endpoint.h"

#include "clock.h"
#include "leg.h"
#include "node.h"
#include "padding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the other end may take to answer the link handshake. */
#define LINK_TIMEOUT_NS UINT64_C(8000000000)

/* Bytes that a set may hold for order: enough for legs of very unequal delay, with large windows. */
#define HELD_BYTES_MAX (UINT64_C(128) << 20)

/* --- Finding ------------------------------------------------------------------------------------------------- */

/* Verdicts and instructions bring back the tag of the circuit: a pointer of this program. 0 is no circuit. */
static struct leg *leg_of_tag(uint64_t tag) { return (struct leg *)(uintptr_t)tag; }

static struct tunnel *find_tunnel(const struct endpoint *endpoint, struct circflow_set_id set) {
    for (size_t i = 0; i < endpoint->tunnel_count; i++)
        if (endpoint->tunnels[i]->set.v == set.v) return endpoint->tunnels[i];
    return NULL;
}

static void add_tunnel(struct endpoint *endpoint, struct tunnel *tunnel) {
    if (endpoint->tunnel_count == SETS_MAX) node_fail("more than %d sets", (int)SETS_MAX);
    endpoint->tunnels[endpoint->tunnel_count++] = tunnel;
}

int endpoint_stats(const struct endpoint *endpoint, const struct tunnel *tunnel, struct circflow_set_stats *stats) {
    stats->size = sizeof *stats;
    return circflow_set_get_stats(endpoint->loop.engine, tunnel->set, stats) == CIRCFLOW_OK ? 0 : -1;
}

struct leg_figures endpoint_leg_figures(const struct endpoint *endpoint, unsigned leg) {
    struct leg_figures sum = {.legs = 0};
    for (uint32_t circ_id = circ_id_of(0, leg); circ_id < CIRC_IDS; circ_id += LEGS_MAX) {
        const struct leg *one = endpoint->legs[circ_id];
        if (one == NULL) continue;
        sum.cells += one->cells;
        sum.cwnd_peak += one->cwnd_peak;
        if (one->rtt_ns == 0) continue;
        sum.legs++;
        sum.rtt_ns += one->rtt_ns;
        sum.cwnd += one->cwnd;
    }
    if (sum.legs > 0) {
        sum.rtt_ns /= sum.legs;
        sum.cwnd /= sum.legs;
    }
    return sum;
}

void endpoint_say_figures(struct endpoint *endpoint) {
    struct circflow_padding_stats sum = endpoint->padding_gone;
    memory_say(&endpoint->memory, endpoint->loop.number);
    if (endpoint->machines.v == 0) return;
    for (size_t i = 0; i < CIRC_IDS; i++)
        if (endpoint->legs[i] != NULL)
            padding_add(&sum, &endpoint->loop, endpoint->legs[i]->circuit, endpoint->role->padded_hop);
    padding_say(&sum, endpoint->loop.number);
}

/* --- Instructions -------------------------------------------------------------------------------------------- */

static void obey_send(struct leg *leg, const struct circflow_insn *insn, const uint8_t *body) {
    const struct circflow_insn_send *send = &insn->detail.send;
    const struct circflow_message message = {.command = send->command, .hop = send->hop, .stream_id = send->stream_id,
                                             .body = body, .body_len = send->body_len};
    leg_write(leg, &message, insn->flags);
}

static void obey_padding(struct leg *leg, const struct circflow_insn_padding *padding) {
    const struct circflow_message message = {.command = padding->command, .hop = padding->hop};
    leg_write(leg, &message, 0);
}

static void obey_deliver(struct endpoint *endpoint, const struct circflow_insn *insn, const uint8_t *body) {
    const struct circflow_insn_deliver *held = &insn->detail.deliver;
    const struct circflow_message message = {.command = held->command, .hop = endpoint->role->peer_hop,
                                             .stream_id = held->stream_id, .body = body, .body_len = held->body_len};
    /* The leg may have gone; messages held for order do not need it. */
    struct tunnel *tunnel = find_tunnel(endpoint, insn->set);
    if (tunnel != NULL) endpoint->role->on_message(endpoint, tunnel, insn->stream, &message);
}

/* Where an exit first hears of a set. */
static void obey_linked(struct endpoint *endpoint, struct leg *leg, struct circflow_set_id set) {
    struct tunnel *tunnel = find_tunnel(endpoint, set);
    if (tunnel == NULL) {
        tunnel = endpoint->role->on_set(endpoint, set);
        add_tunnel(endpoint, tunnel);
    }
    if (leg->endpoint == endpoint) leg->tunnel = tunnel; /* Else another thread has it. */
}

static void obey_room(struct endpoint *endpoint, const struct circflow_insn *insn) {
    /* An instruction of a stream has the stream's tag, a pointer to the tunnel; that of a set has the set. */
    struct tunnel *tunnel = insn->stream.v != 0 ? (struct tunnel *)(uintptr_t)insn->stream_tag
                                                : find_tunnel(endpoint, insn->set);
    if (tunnel != NULL) endpoint->role->on_room(endpoint, tunnel);
}

static void obey_ended(struct endpoint *endpoint, const struct circflow_insn *insn) {
    const enum circflow_status cause = insn->detail.close.cause;
    struct tunnel *tunnel = find_tunnel(endpoint, insn->set);
    const char *lost = endpoint->lost[0] == '\0' ? "a leg of another thread closed" : endpoint->lost;
    char why[384];
    if (cause == CIRCFLOW_OK) /* We closed it, or the last leg went. */
        snprintf(why, sizeof why, "%s", lost);
    else
        snprintf(why, sizeof why, "%s (%s)", lost, circflow_status_text((int32_t)cause));
    if (tunnel == NULL) return;
    tunnel->set.v = 0;
    endpoint->role->on_ended(endpoint, tunnel, why);
}

/* Called by circflow_engine_drain(). May feed the engine; new instructions are drained next. */
static void obey(void *userdata, const struct circflow_insn *insn, const uint8_t *body) {
    struct endpoint *endpoint = userdata;
    struct leg *leg = leg_of_tag(insn->circuit_tag);
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND: obey_send(leg, insn, body); break;
    case CIRCFLOW_INSN_PADDING: obey_padding(leg, &insn->detail.padding); break;
    case CIRCFLOW_INSN_DELIVER: obey_deliver(endpoint, insn, body); break;
    case CIRCFLOW_INSN_CLOSE:
        leg_close(leg, insn->detail.close.reason, circflow_status_text((int32_t)insn->detail.close.cause));
        break;
    case CIRCFLOW_INSN_MAY_SEND: obey_room(endpoint, insn); break;
    case CIRCFLOW_INSN_LINKED: obey_linked(endpoint, leg, insn->set); break;
    case CIRCFLOW_INSN_USABLE: endpoint->role->on_usable(endpoint, find_tunnel(endpoint, insn->set)); break;
    case CIRCFLOW_INSN_ENDED: obey_ended(endpoint, insn); break;
    case CIRCFLOW_INSN_WANT_LEG: break; /* This network has no third path. The set goes on. */
    case CIRCFLOW_INSN_DISCARD: break;  /* Only for tokens, which the demo does not use. */
    default: break;                     /* Kinds of later versions. */
    }
}

static void note_memory(struct endpoint *endpoint) {
    struct memory now = {.held = loop_held_bytes(&endpoint->loop)};
    if (endpoint->role->stream_bytes != NULL) now.streams = endpoint->role->stream_bytes(endpoint);
    for (size_t i = 0; i < endpoint->conn_count; i++)
        if (endpoint->conns[i].channel != NULL) now.channels += channel_bytes(endpoint->conns[i].channel);
    memory_note(&endpoint->memory, &now);
}

void endpoint_settle(struct endpoint *endpoint) {
    loop_settle(&endpoint->loop);
    note_memory(endpoint);
}

/* --- Sending ------------------------------------------------------------------------------------------------- */

enum circflow_status endpoint_send(struct endpoint *endpoint, struct tunnel *tunnel, uint8_t command,
                                   const uint8_t *body, size_t body_len) {
    struct circflow_message message = {.command = command, .body = body, .body_len = (uint16_t)body_len};
    struct circflow_verdict verdict;
    const enum circflow_status status =
        circflow_stream_send(endpoint->loop.engine, now_ns(), tunnel->stream, &message, &verdict);
    if (status != CIRCFLOW_OK) return status;
    if (verdict.kind == CIRCFLOW_VERDICT_HELD) return CIRCFLOW_OK; /* It comes as CIRCFLOW_INSN_SEND later. */
    /* From here on the message counts as sent on this leg: the SWITCH and the message must go, in this order. */
    struct leg *leg = leg_of_tag(verdict.circuit_tag);
    message.hop = endpoint->role->peer_hop;
    message.stream_id = STREAM_ID;
    if (verdict.switch_delta != 0) leg_write_switch(leg, verdict.switch_delta);
    leg_write(leg, &message, verdict.flags);
    return CIRCFLOW_OK;
}

/* --- Beginning ----------------------------------------------------------------------------------------------- */

void endpoint_open(struct endpoint *endpoint, struct event_base *base, unsigned number,
                   const struct endpoint_role *role, void *owner) {
    loop_open(&endpoint->loop, base, number, obey, endpoint);
    endpoint->role = role;
    endpoint->owner = owner;
}

static void install_padding(const struct leg *leg) {
    struct endpoint *endpoint = leg->endpoint;
    struct circflow_padding_config config;
    if (endpoint->machines.v == 0) return;
    must(circflow_padding_config_init(&config, sizeof config), "circflow_padding_config_init");
    config.machines = endpoint->machines;
    config.hop = endpoint->role->padded_hop;
    must(circflow_padding_install(endpoint->loop.engine, now_ns(), leg->circuit, &config),
         "circflow_padding_install");
}

struct leg *endpoint_add_leg(struct endpoint *endpoint, struct conn *conn, uint32_t circ_id) {
    struct circflow_circuit_config config;
    struct leg *leg = calloc(1, sizeof *leg);
    if (leg == NULL) node_fail("out of memory");
    leg->endpoint = endpoint;
    leg->conn = conn;
    leg->circ_id = circ_id;
    digest_init(&leg->sent);
    for (size_t i = 0; i <= HOPS; i++) digest_init(&leg->received[i]);
    endpoint->legs[circ_id] = leg;

    must(circflow_circuit_config_init(&config, sizeof config), "circflow_circuit_config_init");
    config.role = endpoint->role->circflow_role;
    config.hops = endpoint->role->peer_hop;
    config.flags = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR;
    config.tag = (uint64_t)(uintptr_t)leg;
    must(circflow_circuit_open(endpoint->loop.engine, now_ns(), &config, &leg->circuit), "circflow_circuit_open");
    install_padding(leg);
    return leg;
}

static struct conn *add_conn(struct endpoint *endpoint) {
    struct conn *conn = &endpoint->conns[endpoint->conn_count++];
    conn->endpoint = endpoint;
    return conn;
}

void endpoint_connect(struct endpoint *endpoint, const uint16_t *ports, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct conn *conn = add_conn(endpoint);
        conn->channel = channel_connect(endpoint->loop.base, ports[i], &conn_events, conn);
        if (conn->channel == NULL) node_fail("cannot connect to 127.0.0.1 port %u", (unsigned)ports[i]);
    }
}

static void read_terms(struct circflow_set_config *config) {
    must(circflow_set_config_init(config, sizeof *config), "circflow_set_config_init");
    config->link_timeout_ns = LINK_TIMEOUT_NS;
    config->held_bytes_max = HELD_BYTES_MAX;
}

void endpoint_open_set(struct endpoint *endpoint, struct tunnel *tunnel, unsigned number) {
    struct circflow_engine *engine = endpoint->loop.engine;
    struct circflow_circuit_id circuits[LEGS_MAX];
    struct circflow_set_config config;
    read_terms(&config);
    config.desired_ux = CIRCFLOW_UX_HIGH_THROUGHPUT;
    random_bytes(config.nonce, sizeof config.nonce);
    must(circflow_set_open(engine, now_ns(), &config, &tunnel->set), "circflow_set_open");
    /* The nonce is a secret between us and the exit, so no copy stays. */
    memset(config.nonce, 0, sizeof config.nonce);
    add_tunnel(endpoint, tunnel);
    for (size_t i = 0; i < endpoint->conn_count; i++) {
        struct leg *leg = endpoint_add_leg(endpoint, &endpoint->conns[i], circ_id_of(number, (unsigned)i));
        leg->tunnel = tunnel;
        circuits[i] = leg->circuit;
    }
    must(circflow_set_add_legs(engine, now_ns(), tunnel->set, circuits, endpoint->conn_count), "circflow_set_add_legs");
}

void endpoint_accept_sets(struct endpoint *endpoint, uint8_t algorithm) {
    struct circflow_set_config config;
    read_terms(&config);
    config.algorithm = algorithm;
    must(circflow_engine_accept_sets(endpoint->loop.engine, &config), "circflow_engine_accept_sets");
}

void endpoint_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                     void *arg) {
    struct endpoint *endpoint = arg;
    (void)listener;
    (void)address;
    (void)len;
    if (endpoint->conn_count == LEGS_MAX) {
        evutil_closesocket(fd);
        return;
    }
    struct conn *conn = add_conn(endpoint);
    conn->channel = channel_accept(endpoint->loop.base, fd, &conn_events, conn);
    if (conn->channel == NULL) node_fail("out of memory");
}
