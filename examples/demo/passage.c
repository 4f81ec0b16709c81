#include "clock.h"
#include "node.h"
#include "relay.h"

#include <stdlib.h>
#include <string.h>

/* Most cells that a relay keeps for a paused circuit; with more the circuit is closed. No
 * congestion window of this demo comes near this number. */
enum { PARKED_MAX = 16384 };

static void send_destroy(struct side *side, uint32_t circ_id, uint8_t reason) {
    struct cell destroy;
    if (side->channel == NULL) return;
    cell_make_destroy(&destroy, circ_id, reason);
    channel_put(side->channel, &destroy); /* Ahead of all waiting cells, which are of no use any more. */
}

/* --- Life ------------------------------------------------------------------------------------------------------ */

static void install_padding(const struct passage *passage) {
    struct circflow_padding_config config;
    struct relay *relay = passage->relay;
    if (relay->machines.v == 0) return;
    must(circflow_padding_config_init(&config, sizeof config), "circflow_padding_config_init");
    config.machines = relay->machines;
    config.hop = 0; /* The client. */
    must(circflow_padding_install(relay->loop.engine, now_ns(), passage->circuit, &config),
         "circflow_padding_install");
    regular_begin_soon(relay->regular);
}

static struct passage *passage_open(struct relay *relay, uint32_t circ_id) {
    struct circflow_circuit_config config;
    struct passage *passage = calloc(1, sizeof *passage);
    if (passage == NULL) node_fail("out of memory");
    passage->relay = relay;
    passage->circ_id = circ_id;
    for (int i = 0; i < SIDES; i++)
        if ((passage->parked[i] = evbuffer_new()) == NULL) node_fail("out of memory");
    must(circflow_circuit_config_init(&config, sizeof config), "circflow_circuit_config_init");
    config.role = CIRCFLOW_ROLE_RELAY;
    config.hops = 0;
    config.flags = CIRCFLOW_CIRCUIT_REACTOR | CIRCFLOW_CIRCUIT_EXTENDED;
    config.tag = (uint64_t)(uintptr_t)passage;
    must(circflow_circuit_open(relay->loop.engine, now_ns(), &config, &passage->circuit), "circflow_circuit_open");
    relay->passages[relay->passage_count++] = passage;
    relay->by_id[circ_id] = passage;
    for (int i = 0; i < SIDES; i++) turns_join(&relay->sides[i], passage);
    install_padding(passage);
    return passage;
}

static void passage_close(struct passage *passage) {
    struct relay *relay = passage->relay;
    size_t at = 0;
    turns_leave(relay, passage);
    while (relay->passages[at] != passage) at++;
    relay->passages[at] = relay->passages[--relay->passage_count];
    relay->by_id[passage->circ_id] = NULL;
    for (int i = 0; i < SIDES; i++) {
        relay->parked_bytes -= evbuffer_get_length(passage->parked[i]);
        evbuffer_free(passage->parked[i]);
    }
    must(circflow_circuit_gone(relay->loop.engine, now_ns(), passage->circuit), "circflow_circuit_gone");
    free(passage);
}

/* `heard_of_it` is the side that knows already, or NULL. */
static void passage_destroy(struct passage *passage, const struct side *heard_of_it, uint8_t reason) {
    struct side *sides = passage->relay->sides;
    for (int i = 0; i < SIDES; i++)
        if (&sides[i] != heard_of_it) send_destroy(&sides[i], passage->circ_id, reason);
    passage_close(passage);
}

void passages_lost(struct side *side) {
    struct relay *relay = side->relay;
    while (relay->passage_count > 0) passage_destroy(relay->passages[0], side, REASON_CHANNEL_CLOSED);
}

/* --- Cells on their way ---------------------------------------------------------------------------------------- */

static void put(struct passage *passage, struct side *to, const struct cell *cell, int waited) {
    struct relay *relay = passage->relay;
    wire_put(to->wire, cell);
    turns_note_put(to, waited);
    /* The path takes it from here. */
    if (to->which == CIRCFLOW_SIDE_BACK && relay->machines.v != 0)
        must_unless_gone(circflow_circuit_cells_written(relay->loop.engine, now_ns(), passage->circuit, 1),
                         "circflow_circuit_cells_written");
}

static void pass(struct passage *passage, struct side *from, const struct cell *cell) {
    const struct circflow_message message = {
        .command = cell->command, .body = cell->body, .body_len = sizeof cell->body};
    struct circflow_verdict verdict;
    const enum circflow_status status = circflow_circuit_relay(passage->relay->loop.engine, now_ns(), passage->circuit,
                                                               from->which, &message, &verdict);
    const enum circflow_class class = circflow_status_class((int32_t)status);
    /* The peer's fault, or a cap: the close is queued now, or was before. */
    if (class == CIRCFLOW_CLASS_PEER || class == CIRCFLOW_CLASS_LIMIT || status == CIRCFLOW_ERR_CLOSING) return;
    must(status, "circflow_circuit_relay");
    struct side *to = side_opposite(from);
    if (verdict.kind == CIRCFLOW_VERDICT_FORWARD)
        put(passage, to, cell, 0);
    else /* HELD: it comes back as CIRCFLOW_INSN_WRITE. */
        passage->waiting[to->which]++;
}

/* circflow has paused this circuit: its cells are kept here. The other circuits of the channel go on. */
static void park(struct passage *passage, struct side *from, const struct cell *cell) {
    struct evbuffer *parked = passage->parked[from->which];
    if (evbuffer_get_length(parked) >= PARKED_MAX * sizeof *cell) {
        passage_destroy(passage, NULL, REASON_RESOURCELIMIT);
        return;
    }
    if (evbuffer_add(parked, cell, sizeof *cell) != 0) node_fail("out of memory");
    passage->relay->parked_bytes += sizeof *cell;
}

/* Returns 1 while circflow has paused the circuit. Reads the figures, as the instruction may still be queued. */
static int is_paused(const struct passage *passage, const struct side *from) {
    struct circflow_circuit_stats stats = {.size = sizeof stats};
    if (circflow_circuit_get_stats(passage->relay->loop.engine, passage->circuit, &stats) != CIRCFLOW_OK) return 1;
    return from->which == CIRCFLOW_SIDE_BACK ? stats.next.paused : stats.back.paused;
}

static void unpark(struct passage *passage, struct side *from) {
    struct evbuffer *parked = passage->parked[from->which];
    struct cell cell;
    while (evbuffer_get_length(parked) > 0 && !is_paused(passage, from)) {
        evbuffer_remove(parked, &cell, sizeof cell);
        passage->relay->parked_bytes -= sizeof cell;
        pass(passage, from, &cell);
    }
}

/* --- Cells for us ---------------------------------------------------------------------------------------------- */

static void receive(struct passage *passage, const struct cell *cell) {
    struct relay *relay = passage->relay;
    struct circflow_message message;
    struct circflow_verdict verdict;
    enum circflow_status status = circflow_cell_decode(CIRCFLOW_CELL_V0, cell->body, &message);
    if (status == CIRCFLOW_OK) status = circflow_circuit_receive(relay->loop.engine, now_ns(), passage->circuit,
                                                                 &message, &verdict);
    if (relay->regular != NULL) regular_note(relay->regular);
    if (status != CIRCFLOW_OK) passage_destroy(passage, NULL, REASON_PROTOCOL);
}

static void send_own(struct passage *passage, const struct circflow_message *message) {
    struct cell cell;
    cell_make_relay(&cell, passage->circ_id, message, 1);
    put(passage, &passage->relay->sides[CIRCFLOW_SIDE_BACK], &cell, 0);
}

/* --- In and out ------------------------------------------------------------------------------------------------ */

void passage_handle_cell(struct side *from, struct cell *cell) {
    if (!circ_id_is_good(cell->circ_id)) return;
    struct passage *passage = from->relay->by_id[cell->circ_id];
    const int from_client = from->which == CIRCFLOW_SIDE_BACK;
    if (cell->command == CELL_DESTROY) {
        if (passage != NULL) passage_destroy(passage, from, cell->body[0]);
        return;
    }
    if (passage == NULL && from_client) passage = passage_open(from->relay, cell->circ_id);
    if (passage == NULL) return; /* The cell was on its way when the circuit went. */
    const uint32_t hops = cell_hops(cell);
    if (from_client && hops == 1) {
        receive(passage, cell);
        return;
    }
    cell_set_hops(cell, from_client ? hops - 1 : hops + 1);
    if (passage->paused[from->which] || evbuffer_get_length(passage->parked[from->which]) > 0)
        park(passage, from, cell);
    else
        pass(passage, from, cell);
}

static void obey_write(struct passage *passage, const struct circflow_insn_write *write, const uint8_t *body) {
    struct cell cell = {.circ_id = passage->circ_id, .command = write->command};
    memcpy(cell.body, body, write->body_len);
    passage->waiting[write->side]--;
    put(passage, &passage->relay->sides[write->side], &cell, 1);
}

static void obey_send(struct passage *passage, const struct circflow_insn_send *send, const uint8_t *body) {
    const struct circflow_message message = {
        .command = send->command, .stream_id = send->stream_id, .body = body, .body_len = send->body_len};
    send_own(passage, &message);
}

void passage_obey(struct relay *relay, const struct circflow_insn *insn, const uint8_t *body) {
    struct passage *passage = (struct passage *)(uintptr_t)insn->circuit_tag; /* The tag set by passage_open(). */
    const struct circflow_message padding = {.command = insn->detail.padding.command};
    switch (insn->kind) {
    case CIRCFLOW_INSN_WRITE: obey_write(passage, &insn->detail.write, body); break;
    case CIRCFLOW_INSN_PAUSE_FEED: passage->paused[insn->detail.pause.side] = 1; break;
    case CIRCFLOW_INSN_UNPAUSE_FEED:
        passage->paused[insn->detail.pause.side] = 0;
        unpark(passage, &relay->sides[insn->detail.pause.side]);
        break;
    case CIRCFLOW_INSN_SEND: obey_send(passage, &insn->detail.send, body); break;
    case CIRCFLOW_INSN_PADDING: send_own(passage, &padding); break;
    case CIRCFLOW_INSN_CLOSE: passage_destroy(passage, NULL, (uint8_t)insn->detail.close.reason); break;
    default: break; /* A relay in the middle needs no other instruction. */
    }
}
