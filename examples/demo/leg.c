#include "leg.h"

#include "clock.h"
#include "node.h"
#include "padding.h"
#include "record.h"

#include <stdio.h>
#include <string.h>

static void leg_gone(struct leg *leg, const char *why);

static char leg_name(const struct leg *leg) { return leg->circ_id == 0 ? '?' : (char)('A' + leg->circ_id - 1); }

/* --- Out: from circflow to the cells ------------------------------------------------------------------------- */

/* A leg whose close is queued, or has just become due, needs no reports any more. */
static void leg_fed(enum circflow_status status, const char *what) {
    if (status != CIRCFLOW_ERR_GONE && status != CIRCFLOW_ERR_EXPIRED) must(status, what);
}

/* Tells circflow how a leg stands. A leg that was never reported has no window, so the first report comes when the leg
 * is linked; then one for whatever changes. */
void leg_report(struct leg *leg) {
    const struct circflow_leg_report report = {
        .circuit = leg->circuit,
        .cwnd = leg->congestion.window,
        .inflight = leg->congestion.inflight,
        .rtt_ns = leg->congestion.rtt_ns,
        .sendme_inc = SENDME_INC,
        .flags = leg->blocked ? CIRCFLOW_REPORT_CHANNEL_BLOCKED : 0,
    };
    if (!leg->linked) return;
    leg_fed(circflow_circuit_report(leg->endpoint->engine, now_ns(), &report, 1), "circflow_circuit_report");
}

static void leg_put(struct leg *leg, const struct cell *cell) {
    if (leg->channel == NULL) return; /* It went a moment ago, and circflow is yet to be told. */
    channel_put(leg->channel, cell);
    record_cell(leg->circ_id, 's');
    if (!leg->blocked && channel_backlog(leg->channel) >= CHANNEL_FULL) {
        leg->blocked = 1;
        leg_report(leg);
    }
}

void leg_write(struct leg *leg, const struct circflow_message *message) {
    /* The rest of the body should be random (tor-spec 6.1). Nothing is encrypted here, so nothing is gained. */
    struct cell cell = {.circ_id = leg->circ_id, .command = CELL_RELAY};
    must(circflow_cell_encode(CIRCFLOW_CELL_V0, message, cell.body, NULL), "circflow_cell_encode");
    cell_set_hops(&cell, leg->endpoint->role->sent_hops);
    if (message->command == CIRCFLOW_CMD_DATA) congestion_sent(&leg->congestion, now_ns(), &cell);
    leg_put(leg, &cell);
}

void leg_write_control(struct leg *leg, uint8_t command, const uint8_t *body, size_t body_len) {
    const struct circflow_message message = {.command = command, .body = body, .body_len = (uint16_t)body_len};
    leg_write(leg, &message);
}

void leg_write_switch(struct leg *leg, uint32_t delta) {
    uint8_t body[CIRCFLOW_SWITCH_LEN];
    must(circflow_switch_encode(delta, body), "circflow_switch_encode");
    leg_write_control(leg, CIRCFLOW_CMD_SWITCH, body, sizeof body);
}

static void leg_write_sendme(struct leg *leg, const struct cell *cell) {
    uint8_t tag[TAG_LEN], body[CIRCFLOW_SENDME_MAX];
    size_t len;
    cell_tag(cell, tag);
    must(circflow_sendme_encode(tag, sizeof tag, body, &len), "circflow_sendme_encode");
    leg_write_control(leg, CIRCFLOW_CMD_SENDME, body, len);
    /* Padding counts every cell. Of all that we send, this is the one kind that circflow did not choose. */
    leg_fed(circflow_circuit_sent(leg->endpoint->engine, now_ns(), leg->circuit, CIRCFLOW_CMD_SENDME,
                                  leg->endpoint->role->peer_hop),
            "circflow_circuit_sent");
}

void leg_close(struct leg *leg, uint32_t reason, const char *why) {
    struct cell destroy;
    if (leg->channel != NULL) {
        cell_make_destroy(&destroy, leg->circ_id, (uint8_t)reason);
        channel_put(leg->channel, &destroy);
        channel_close(leg->channel);
    }
    leg_gone(leg, why);
}

/* A circuit is gone, whoever closed it. This is where circflow judges whether its set can do without it. */
static void leg_gone(struct leg *leg, const char *why) {
    struct endpoint *endpoint = leg->endpoint;
    const struct circflow_circuit_id circuit = leg->circuit;
    padding_keep(leg);
    leg->channel = NULL;
    leg->linked = 0;
    leg->circuit.v = 0;
    if (endpoint->lost[0] == '\0') {
        snprintf(endpoint->lost, sizeof endpoint->lost, "leg %c closed: %s", leg_name(leg), why);
        if (leg->circ_id != 0) node_say("note %s", endpoint->lost); /* Else only the client knows which it was. */
    }
    must(circflow_circuit_closed(endpoint->engine, now_ns(), circuit), "circflow_circuit_closed");
    padding_say(endpoint);
}

/* --- In: from the cells to circflow -------------------------------------------------------------------------- */

static void leg_acknowledged(struct leg *leg, const struct circflow_message *message) {
    if (congestion_acknowledged(&leg->congestion, now_ns(), message->body, message->body_len) != 0) {
        leg_close(leg, REASON_PROTOCOL, "a SENDME that does not fit");
        return;
    }
    leg_report(leg);
}

void leg_deliver(struct endpoint *endpoint, struct leg *leg, const struct circflow_message *message) {
    if (message->command == CIRCFLOW_CMD_SENDME)
        leg_acknowledged(leg, message);
    else
        endpoint->role->on_message(endpoint, message);
}

static void refuse(struct endpoint *endpoint, uint16_t stream_id, uint32_t end_reason) {
    const uint8_t reason = (uint8_t)end_reason;
    const struct circflow_message end = {.command = CIRCFLOW_CMD_END, .hop = endpoint->role->peer_hop,
                                         .stream_id = stream_id, .body = &reason, .body_len = 1};
    must(endpoint_send(endpoint, &end), "circflow_set_send");
}

/* What to do about an error when a message was fed. The message was not taken in any case. */
static void leg_refused(struct leg *leg, enum circflow_status status) {
    switch (circflow_status_class((int32_t)status)) {
    case CIRCFLOW_CLASS_PEER:  /* The peer broke the protocol. */
    case CIRCFLOW_CLASS_LIMIT: /* It cost more, or took longer, than it may. */
        break;                 /* The close waits in the queue, with the reason in it. */
    case CIRCFLOW_CLASS_BLOCKED:
        if (status == CIRCFLOW_ERR_GONE) break; /* On its way out: the message is of no use any more. */
        node_fail("leg %c: %s", leg_name(leg), circflow_strerror((int32_t)status));
    default: node_fail("leg %c: %s", leg_name(leg), circflow_strerror((int32_t)status));
    }
}

static void leg_receive(struct leg *leg, const struct circflow_message *message) {
    struct circflow_verdict verdict;
    const enum circflow_status status =
        circflow_circuit_receive(leg->endpoint->engine, now_ns(), leg->circuit, message, &verdict);
    if (status != CIRCFLOW_OK) {
        leg_refused(leg, status);
        return;
    }
    switch (verdict.kind) {
    case CIRCFLOW_VERDICT_DELIVER: leg_deliver(leg->endpoint, leg, message); break;
    case CIRCFLOW_VERDICT_REFUSE: refuse(leg->endpoint, message->stream_id, verdict.end_reason); break;
    default: break; /* HELD: it comes back as an instruction. CONSUMED: it was circflow's own. */
    }
}

/* An exit hears the name of a circuit from its first cell. 0 when it cannot be. */
static int leg_is_named(struct leg *leg, uint32_t circ_id) {
    struct endpoint *endpoint = leg->endpoint;
    if (leg->circ_id == circ_id) return 1;
    if (leg->circ_id != 0 || circ_id == 0 || circ_id > LEGS_MAX || endpoint_leg(endpoint, circ_id) != NULL) return 0;
    leg->circ_id = circ_id;
    leg->congestion.window = endpoint->windows[circ_id - 1];
    return 1;
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
    struct circflow_message message;
    uint8_t hop;
    if (!recognise(leg, cell, &hop)) {
        leg_close(leg, REASON_PROTOCOL, "a cell that nobody recognises");
        return;
    }
    const enum circflow_status status = circflow_cell_decode(CIRCFLOW_CELL_V0, cell->body, &message);
    if (status != CIRCFLOW_OK) {
        leg_close(leg, (uint32_t)circflow_close_reason((int32_t)status), circflow_strerror((int32_t)status));
        return;
    }
    message.hop = hop;
    if (message.command == CIRCFLOW_CMD_DATA && congestion_received(&leg->congestion)) leg_write_sendme(leg, cell);
    leg_receive(leg, &message);
}

static void leg_handle_cell(struct leg *leg, const struct cell *cell) {
    char why[64];
    leg->cells++;
    record_cell(cell->circ_id, 'r');
    if (leg->endpoint->role->on_cell != NULL) leg->endpoint->role->on_cell(leg->endpoint);
    if (!leg_is_named(leg, cell->circ_id)) {
        leg_close(leg, REASON_PROTOCOL, "a cell of another circuit");
    } else if (cell->command == CELL_DESTROY) {
        snprintf(why, sizeof why, "DESTROY came, reason %u", cell->body[0]);
        leg_close(leg, REASON_CHANNEL_CLOSED, why);
    } else if (cell->command == CELL_RELAY) {
        leg_handle_relay(leg, cell);
    }
}

/* Drains after each cell: what a cell made ready goes before the next, so circflow need not hold that one. */
static void on_leg_cells(void *owner) {
    struct leg *leg = owner;
    struct cell cell;
    while (leg->channel != NULL && channel_take(leg->channel, &cell)) {
        leg_handle_cell(leg, &cell);
        endpoint_settle(leg->endpoint);
    }
}

static void on_leg_room(void *owner) {
    struct leg *leg = owner;
    if (!leg->blocked) return;
    leg->blocked = 0;
    leg_report(leg);
    endpoint_settle(leg->endpoint);
}

/* Padding is to know what has left, not only what is queued: a cell that waits anyway can stand in for padding. */
static void on_leg_written(void *owner, uint32_t cells) {
    struct leg *leg = owner;
    if (leg->circuit.v == 0) return;
    leg_fed(circflow_circuit_written(leg->endpoint->engine, now_ns(), leg->circuit, cells), "circflow_circuit_written");
    endpoint_settle(leg->endpoint);
}

static void on_leg_lost(void *owner, const char *why) {
    struct leg *leg = owner;
    leg_gone(leg, why);
    endpoint_settle(leg->endpoint);
}

const struct channel_events leg_events = {on_leg_cells, on_leg_room, on_leg_written, on_leg_lost};
