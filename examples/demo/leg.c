#include "leg.h"

#include "clock.h"
#include "node.h"
#include "padding.h"

#include <stdio.h>
#include <string.h>

static void leg_gone(struct leg *leg, const char *why);

static char leg_name(const struct leg *leg) { return (char)('A' + circ_id_leg(leg->circ_id)); }

static struct loop *loop_of(const struct leg *leg) { return &leg->endpoint->loop; }

/* --- Out: from circflow to the cells ------------------------------------------------------------------------- */

static void say_writable(struct leg *leg, int writable) {
    must_unless_gone(circflow_circuit_set_writable(loop_of(leg)->engine, now_ns(), leg->circuit, CIRCFLOW_SIDE_BACK,
                                                   (uint8_t)writable),
                     "circflow_circuit_set_writable");
}

/* circflow hears for each leg that the channel is full when the leg puts a cell: so an idle leg costs nothing, and
 * each leg puts at most one cell too many. */
static void leg_put(struct leg *leg, const struct cell *cell) {
    struct conn *conn = leg->conn;
    if (conn->channel == NULL) return; /* It went just now, and circflow hears of it soon. */
    channel_put(conn->channel, cell);
    if (leg->full || !channel_is_full(conn->channel)) return;
    leg->full = conn->full = 1;
    say_writable(leg, 0);
}

/* Tells one leg after the other that there is room, and lets it send, until the channel is full again: a few long
 * runs are better than a cell of each, as a set needs a SWITCH for each change of leg. */
static void say_room(struct conn *conn) {
    struct endpoint *endpoint = conn->endpoint;
    size_t looked_at = 0;
    while (looked_at++ < CIRC_IDS && !channel_is_full(conn->channel)) {
        struct leg *leg = endpoint->legs[conn->turn++ % CIRC_IDS];
        if (leg == NULL || leg->conn != conn || !leg->full) continue;
        leg->full = 0;
        if (leg->circuit.v != 0) say_writable(leg, 1);
        endpoint_settle(endpoint);
    }
    conn->full = channel_is_full(conn->channel);
}

void leg_write(struct leg *leg, const struct circflow_message *message, uint32_t flags) {
    const uint8_t peer = leg->endpoint->role->peer_hop, to = message->hop;
    struct cell cell;
    /* A client writes how many hops the cell has to go. */
    cell_make_relay(&cell, leg->circ_id, message, to == 0 ? 1 : to);
    if (to == peer) digest_add(&leg->sent, &cell);
    if (flags & CIRCFLOW_WANTS_DIGEST) {
        uint8_t quote[DIGEST_LEN];
        digest_quote(&leg->sent, quote);
        must(circflow_circuit_add_digest(loop_of(leg)->engine, leg->circuit, to, quote, sizeof quote), "circflow_circuit_add_digest");
    }
    leg_put(leg, &cell);
}

void leg_write_switch(struct leg *leg, uint32_t delta) {
    uint8_t body[CIRCFLOW_SWITCH_LEN];
    const struct circflow_message message = {.command = CIRCFLOW_CMD_SWITCH, .hop = leg->endpoint->role->peer_hop,
                                             .body = body, .body_len = sizeof body};
    must(circflow_switch_encode(delta, body), "circflow_switch_encode");
    leg_write(leg, &message, 0);
}

void leg_close(struct leg *leg, uint32_t reason, const char *why) {
    struct cell destroy;
    if (leg->conn->channel != NULL) {
        cell_make_destroy(&destroy, leg->circ_id, (uint8_t)reason);
        channel_put(leg->conn->channel, &destroy);
    }
    leg_gone(leg, why);
}

/* Handles a circuit that is gone, whoever closed it. circflow decides here whether its set goes on without it. */
static void leg_gone(struct leg *leg, const char *why) {
    struct endpoint *endpoint = leg->endpoint;
    const struct circflow_circuit_id circuit = leg->circuit;
    /* At an exit a leg without a tunnel is not linked yet, or its set is on another thread: the client reports it. */
    const int is_missed = leg->tunnel != NULL && !leg->tunnel->done;
    if (circuit.v == 0) return;
    padding_add(&endpoint->padding_gone, &endpoint->loop, circuit, endpoint->role->padded_hop);
    leg->circuit.v = 0;
    if (is_missed && endpoint->lost[0] == '\0') {
        snprintf(endpoint->lost, sizeof endpoint->lost, "leg %c closed: %s", leg_name(leg), why);
        node_say("note %s", endpoint->lost);
    }
    must(circflow_circuit_gone(endpoint->loop.engine, now_ns(), circuit), "circflow_circuit_gone");
}

/* --- In: from the cells to circflow -------------------------------------------------------------------------- */

/* Handles an error of a call that fed a message. The message was not taken. */
static void leg_refused(struct leg *leg, enum circflow_status status) {
    switch (circflow_status_class((int32_t)status)) {
    case CIRCFLOW_CLASS_PEER:  /* The peer broke the protocol. */
    case CIRCFLOW_CLASS_LIMIT: /* A limit was reached. */
        break;                 /* The close is queued, with its reason. */
    case CIRCFLOW_CLASS_NOT_NOW:
        if (status == CIRCFLOW_ERR_CLOSING) break; /* The circuit is closing: the message does not matter. */
        node_fail("leg %c: %s", leg_name(leg), circflow_status_name((int32_t)status));
    default: node_fail("leg %c: %s", leg_name(leg), circflow_status_name((int32_t)status));
    }
}

static void leg_receive(struct leg *leg, const struct circflow_message *message) {
    struct endpoint *endpoint = leg->endpoint;
    struct circflow_verdict verdict;
    const enum circflow_status status =
        circflow_circuit_receive(endpoint->loop.engine, now_ns(), leg->circuit, message, &verdict);
    if (status != CIRCFLOW_OK)
        leg_refused(leg, status);
    else if (verdict.kind == CIRCFLOW_VERDICT_DELIVER && leg->tunnel != NULL)
        endpoint->role->on_message(endpoint, leg->tunnel, verdict.stream, message);
    /* HELD: it comes back as an instruction. CONSUMED: it was for circflow itself. */
}

/* Recognises a cell, as decryption would: at a client the count is the hop it came from, at an exit it ends with 1. */
static int recognise(const struct leg *leg, const struct cell *cell, uint8_t *hop_out) {
    const uint32_t hops = cell_hops(cell);
    const int is_client = leg->endpoint->role->circflow_role == CIRCFLOW_ROLE_CLIENT;
    if (hops < 1 || hops > (is_client ? HOPS : 1)) return 0;
    *hop_out = is_client ? (uint8_t)hops : 0;
    return 1;
}

static void leg_handle_relay(struct leg *leg, const struct cell *cell) {
    const struct endpoint_role *role = leg->endpoint->role;
    struct circflow_message message;
    uint8_t hop, quote[DIGEST_LEN];
    if (!recognise(leg, cell, &hop)) {
        leg_close(leg, REASON_PROTOCOL, "a cell that nobody recognises");
        return;
    }
    const enum circflow_status status = circflow_cell_decode(CIRCFLOW_CELL_V0, cell->body, &message);
    if (status != CIRCFLOW_OK) {
        leg_close(leg, (uint32_t)circflow_status_close_reason((int32_t)status), circflow_status_text((int32_t)status));
        return;
    }
    digest_add(&leg->received[hop], cell);
    message.hop = hop;
    if (message.command == CIRCFLOW_CMD_DATA) { /* A SENDME quotes the digest of some of these. */
        digest_quote(&leg->received[hop], quote);
        message.cell_digest = quote;
        message.cell_digest_len = sizeof quote;
    }
    if (role->on_cell != NULL) role->on_cell(leg->endpoint, hop);
    leg_receive(leg, &message);
}

/* The window changes with SENDMEs, and so with cells that come. */
static void leg_look(struct leg *leg) {
    struct circflow_circuit_stats stats = {.size = sizeof stats};
    if (leg->endpoint->role->circflow_role == CIRCFLOW_ROLE_CLIENT) return; /* It sends hardly any cells. */
    if (circflow_circuit_get_stats(leg->endpoint->loop.engine, leg->circuit, &stats) != CIRCFLOW_OK) return;
    leg->rtt_ns = stats.rtt_ns;
    leg->cwnd = stats.cwnd;
    if (stats.cwnd > leg->cwnd_peak) leg->cwnd_peak = stats.cwnd;
}

static void leg_handle_cell(struct leg *leg, const struct cell *cell) {
    char why[64];
    leg->cells++;
    if (cell->command == CELL_DESTROY) {
        snprintf(why, sizeof why, "DESTROY came, reason %u", cell->body[0]);
        leg_gone(leg, why);
    } else if (cell->command == CELL_RELAY) {
        leg_handle_relay(leg, cell);
        leg_look(leg);
    }
}

/* An exit hears of a circuit with its first cell. NULL when the cell is of no use: its circuit has gone. */
static struct leg *find_leg(struct conn *conn, const struct cell *cell) {
    struct endpoint *endpoint = conn->endpoint;
    if (!circ_id_is_good(cell->circ_id)) return NULL;
    struct leg *leg = endpoint->legs[cell->circ_id];
    const int may_be_new = endpoint->role->circflow_role == CIRCFLOW_ROLE_RELAY && cell->command == CELL_RELAY;
    if (leg == NULL && may_be_new) leg = endpoint_add_leg(endpoint, conn, cell->circ_id);
    return leg != NULL && leg->conn == conn && leg->circuit.v != 0 ? leg : NULL;
}

/* Drains after each cell: messages that it made ready go out before the next cell, which then need not be held. */
static void on_cells(void *owner) {
    struct conn *conn = owner;
    struct cell cell;
    while (conn->channel != NULL && channel_take(conn->channel, &cell)) {
        struct leg *leg = find_leg(conn, &cell);
        if (leg != NULL) leg_handle_cell(leg, &cell);
        endpoint_settle(conn->endpoint);
    }
}

static void on_room(void *owner) {
    struct conn *conn = owner;
    if (!conn->full) return;
    say_room(conn);
}

/* Tells padding which cells were written, not only queued: a cell that waits anyway can replace padding. */
static void on_written(void *owner, uint32_t circ_id) {
    struct endpoint *endpoint = ((struct conn *)owner)->endpoint;
    const struct leg *leg = endpoint->legs[circ_id];
    if (endpoint->machines.v == 0 || leg == NULL || leg->circuit.v == 0) return;
    must_unless_gone(circflow_circuit_cells_written(endpoint->loop.engine, now_ns(), leg->circuit, 1),
                     "circflow_circuit_cells_written");
    endpoint_settle(endpoint);
}

static void on_lost(void *owner, const char *why) {
    struct conn *conn = owner;
    struct endpoint *endpoint = conn->endpoint;
    conn->channel = NULL;
    for (size_t i = 0; i < CIRC_IDS; i++)
        if (endpoint->legs[i] != NULL && endpoint->legs[i]->conn == conn) leg_gone(endpoint->legs[i], why);
    endpoint_settle(endpoint);
}

const struct channel_events conn_events = {on_cells, on_room, on_written, on_lost};
