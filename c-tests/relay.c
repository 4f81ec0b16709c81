/* A relay in the middle of circuits that circflow runs: cells that pass, channels that fill up, and what a source hears of
 * it. */

#include "host.h"

#define HIGH 8
#define LOW 3
#define OVER 32
#define RELAY world.exit
#define MIDDLE (CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_EXTENDED | CIRCFLOW_CIRCUIT_REACTOR)

static host_world world;
static host_ledger ledger;

static const uint8_t SIDES[] = {CIRCFLOW_SIDE_BACK, CIRCFLOW_SIDE_NEXT};
static uint8_t opposite(uint8_t side) { return side == CIRCFLOW_SIDE_BACK ? CIRCFLOW_SIDE_NEXT : CIRCFLOW_SIDE_BACK; }

static int setup(void **state)
{
    (void)state;
    memset(&ledger, 0, sizeof(ledger));
    host_prepare(&world);
    world.engine_config.edge_high_cells = HIGH;
    world.engine_config.edge_low_cells = LOW;
    world.engine_config.edge_over_cells = OVER;
    world.exit_circuit.flags = MIDDLE;
    world.exit_circuit.tag = 0xab;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (world.exit != NULL)
        host_stop(&world);
    return 0;
}

static circflow_circuit_id opened(uint8_t flags)
{
    world.exit_circuit.flags = flags;
    return host_open(&world, RELAY, CIRCFLOW_ROLE_RELAY);
}

static circflow_circuit_id middle(void)
{
    if (world.exit == NULL)
        host_start(&world);
    return opened(MIDDLE);
}

/* Cell number n: no two are alike in any byte that is looked at. */
static circflow_message cell(uint32_t n)
{
    static uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)(n + i * 7);
    return host_message((uint8_t)(n % 2 ? 9 : 3), 0, 0, body, sizeof(body));
}

static circflow_message token_cell(uint64_t token)
{
    circflow_message message = host_token(0, token, (uint32_t)(100 + token));
    message.command = (uint8_t)(token % 2 ? 9 : 3);
    return message;
}

static int relay(circflow_circuit_id circuit, uint8_t from, circflow_message message, circflow_verdict *verdict)
{
    return circflow_circuit_relay(RELAY, world.now, circuit, from, &message, verdict);
}

static void pass(circflow_circuit_id circuit, uint8_t from, circflow_message message, uint32_t kind)
{
    circflow_verdict verdict;
    OK(relay(circuit, from, message, &verdict));
    assert_int_equal(verdict.kind, kind);
    assert_int_equal(verdict.circuit.v, circuit.v);
    assert_int_equal(verdict.circuit_tag, 0xab);
    assert_int_equal(verdict.stream.v, 0);
    assert_int_equal(verdict.number, 0);
    assert_int_equal(verdict.flags, 0);
    if (kind == CIRCFLOW_VERDICT_HELD && message.form == CIRCFLOW_FORM_TOKEN)
        host_lend(&ledger, message.token, message.cost_bytes);
}

static void writable(circflow_circuit_id circuit, uint8_t side, uint8_t yes)
{
    OK(circflow_circuit_set_writable(RELAY, world.now, circuit, side, yes));
}

static circflow_circuit_stats stats(circflow_circuit_id circuit)
{
    circflow_circuit_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_circuit_get_stats(RELAY, circuit, &stats));
    return stats;
}

static circflow_edge_stats edge(circflow_circuit_id circuit, uint8_t side)
{
    circflow_circuit_stats all = stats(circuit);
    return side == CIRCFLOW_SIDE_BACK ? all.back : all.next;
}

static void is_write(const circflow_insn *insn, const uint8_t *body, circflow_circuit_id circuit, uint8_t side, uint32_t n)
{
    assert_int_equal(insn->kind, CIRCFLOW_INSN_WRITE);
    assert_int_equal(insn->circuit.v, circuit.v);
    assert_int_equal(insn->circuit_tag, 0xab);
    assert_int_equal(insn->detail.write.side, side);
    assert_int_equal(insn->detail.write.command, n % 2 ? 9 : 3);
    if (insn->detail.write.form == CIRCFLOW_FORM_TOKEN) {
        assert_int_equal(insn->detail.write.token, n);
        assert_int_equal(insn->detail.write.cost_bytes, 100 + n);
        host_give_back(&ledger, insn->detail.write.token, insn->detail.write.cost_bytes);
        return;
    }
    assert_int_equal(insn->detail.write.body_len, CIRCFLOW_CELL_BODY_LEN);
    assert_memory_equal(body, cell(n).body, CIRCFLOW_CELL_BODY_LEN);
}

/* Takes one instruction. */
static circflow_insn poll_one(uint8_t *body)
{
    circflow_insn insn;
    OK(circflow_engine_poll(RELAY, body, CIRCFLOW_CELL_BODY_LEN, &insn));
    return insn;
}

static void cells_pass_both_ways(void **state)
{
    (void)state;
    circflow_circuit_id circuit = middle(), other = opened(MIDDLE);
    for (size_t s = 0; s < COUNT(SIDES); s++)
        for (uint32_t n = 0; n < 3 + s; n++)
            pass(circuit, SIDES[s], n % 2 ? token_cell(n) : cell(n), CIRCFLOW_VERDICT_FORWARD);
    assert_int_equal(host_drain(RELAY)->count, 0);
    assert_int_equal(stats(circuit).next.passed, 3);
    assert_int_equal(stats(circuit).back.passed, 4);
    assert_int_equal(stats(circuit).back.waiting_peak + stats(circuit).next.waiting_peak, 0);
    assert_int_equal(stats(circuit).next.writable & stats(circuit).back.writable, 1);
    assert_int_equal(stats(circuit).cwnd + stats(circuit).inflight + stats(circuit).streams, 0);
    assert_int_equal(stats(other).next.passed, 0);
    assert_int_equal(host_stats(RELAY).held, 0);
}

static void a_full_channel_keeps_its_circuits_cells_in_order(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(SIDES); s++) {
        uint8_t from = SIDES[s], to = opposite(from);
        circflow_circuit_id circuit = middle(), other = opened(MIDDLE);
        writable(circuit, to, 0);
        writable(circuit, to, 0);
        assert_int_equal(edge(circuit, to).writable, 0);
        assert_int_equal(edge(circuit, from).writable, 1);
        for (uint32_t n = 1; n <= 6; n++)
            pass(circuit, from, n % 3 ? cell(n) : token_cell(n), CIRCFLOW_VERDICT_HELD);
        /* Neither the way back nor another circuit is in the way of it. */
        pass(circuit, to, cell(1), CIRCFLOW_VERDICT_FORWARD);
        pass(other, from, cell(1), CIRCFLOW_VERDICT_FORWARD);
        assert_int_equal(host_drain(RELAY)->count, 0);
        assert_int_equal(edge(circuit, to).waiting, 6);
        writable(circuit, to, 1);
        /* What comes before the host has drained stands behind. */
        pass(circuit, from, cell(7), CIRCFLOW_VERDICT_HELD);
        writable(circuit, to, 1);
        host_events events = *host_drain(RELAY);
        assert_int_equal(events.count, 7);
        for (uint32_t n = 1; n <= 7; n++)
            is_write(&events.at[n - 1].insn, events.at[n - 1].body, circuit, to, n);
        pass(circuit, from, cell(8), CIRCFLOW_VERDICT_FORWARD);
        assert_int_equal(edge(circuit, to).waiting, 0);
        assert_int_equal(edge(circuit, to).waiting_peak, 7);
        assert_int_equal(edge(circuit, to).passed, 8);
        assert_int_equal(host_stats(RELAY).held, 0);
        host_settle(&ledger);
        memset(&ledger, 0, sizeof(ledger));
    }
}

/* Pause at the high mark and not before, once; go on at the low mark and not before, once; and all of it again. */
static void pause_and_its_end_come_once_each_at_the_marks(void **state)
{
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    (void)state;
    for (size_t s = 0; s < COUNT(SIDES); s++) {
        uint8_t from = SIDES[s], to = opposite(from);
        circflow_circuit_id circuit = middle();
        uint32_t n = 0, next = 0;
        for (int round = 0; round < 3; round++) {
            writable(circuit, to, 0);
            while (edge(circuit, to).waiting < HIGH - 1)
                pass(circuit, from, cell(n++), CIRCFLOW_VERDICT_HELD);
            assert_int_equal(host_drain(RELAY)->count, 0);
            assert_int_equal(edge(circuit, to).paused, 0);
            pass(circuit, from, cell(n++), CIRCFLOW_VERDICT_HELD);
            const host_events *events = host_drain(RELAY);
            assert_int_equal(events->count, 1);
            assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_PAUSE_FEED);
            assert_int_equal(events->at[0].insn.detail.pause.side, from);
            assert_int_equal(events->at[0].insn.circuit.v, circuit.v);
            assert_int_equal(events->at[0].insn.circuit_tag, 0xab);
            assert_int_equal(edge(circuit, to).paused, 1);
            for (int more = 0; more < 5; more++)
                pass(circuit, from, cell(n++), CIRCFLOW_VERDICT_HELD);
            assert_int_equal(host_drain(RELAY)->count, 0);
            writable(circuit, to, 1);
            while (edge(circuit, to).waiting > LOW) {
                assert_int_equal(edge(circuit, to).paused, 1);
                circflow_insn insn = poll_one(body);
                is_write(&insn, body, circuit, to, next++);
            }
            /* Below the high mark it was still paused; the low mark ends it. */
            assert_int_equal(edge(circuit, to).paused, 0);
            writable(circuit, to, 0);
            events = host_drain(RELAY);
            assert_int_equal(events->count, 1);
            assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_UNPAUSE_FEED);
            assert_int_equal(events->at[0].insn.detail.pause.side, from);
        }
    }
}

static void a_source_that_goes_on_overruns_the_edge_at_the_stated_number(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(SIDES); s++) {
        uint8_t from = SIDES[s], to = opposite(from);
        circflow_circuit_id circuit = middle();
        circflow_verdict verdict;
        writable(circuit, to, 0);
        for (uint64_t n = 0; n < HIGH + OVER; n++)
            pass(circuit, from, token_cell(n), CIRCFLOW_VERDICT_HELD);
        assert_int_equal(host_count(host_drain(RELAY), CIRCFLOW_INSN_PAUSE_FEED), 1);
        assert_int_equal(edge(circuit, to).waiting, HIGH + OVER);
        IS(CIRCFLOW_ERR_EDGE_OVERRUN, relay(circuit, from, token_cell(999), &verdict));
        host_events events = *host_drain(RELAY);
        assert_int_equal(events.count, 1);
        assert_int_equal(host_close_of(&events, circuit)->detail.close.cause, CIRCFLOW_ERR_EDGE_OVERRUN);
        IS(CIRCFLOW_ERR_CLOSING, relay(circuit, from, cell(0), &verdict));
        IS(CIRCFLOW_ERR_CLOSING, relay(circuit, to, cell(0), &verdict));
        /* It is not written any more, but given back when the circuit has gone. */
        writable(circuit, to, 1);
        assert_int_equal(host_drain(RELAY)->count, 0);
        OK(circflow_circuit_gone(RELAY, world.now, circuit));
        events = *host_drain(RELAY);
        assert_int_equal(host_count(&events, CIRCFLOW_INSN_DISCARD), HIGH + OVER);
        host_book(&ledger, &events);
        host_settle(&ledger);
        memset(&ledger, 0, sizeof(ledger));
    }
}

/* Draining makes room for more, one for one. */
static void the_stated_number_is_of_cells_that_wait(void **state)
{
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_verdict verdict;
    (void)state;
    circflow_circuit_id circuit = middle();
    writable(circuit, CIRCFLOW_SIDE_NEXT, 0);
    for (uint32_t n = 0; n < HIGH + OVER; n++)
        pass(circuit, CIRCFLOW_SIDE_BACK, cell(n), CIRCFLOW_VERDICT_HELD);
    host_drain(RELAY);
    writable(circuit, CIRCFLOW_SIDE_NEXT, 1);
    circflow_insn insn = poll_one(body);
    is_write(&insn, body, circuit, CIRCFLOW_SIDE_NEXT, 0);
    pass(circuit, CIRCFLOW_SIDE_BACK, cell(1), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_EDGE_OVERRUN, relay(circuit, CIRCFLOW_SIDE_BACK, cell(2), &verdict));
}

static circflow_circuit_id filling;
static int left_until_full;

static void fill_up(void *written, const circflow_insn *insn, const uint8_t *body)
{
    (void)body;
    if (insn->kind != CIRCFLOW_INSN_WRITE)
        return;
    ++*(int *)written;
    if (--left_until_full == 0)
        (void)circflow_circuit_set_writable(RELAY, world.now, filling, insn->detail.write.side, 0);
}

static void a_channel_that_fills_up_while_draining_gets_no_more(void **state)
{
    (void)state;
    filling = middle();
    writable(filling, CIRCFLOW_SIDE_NEXT, 0);
    for (uint32_t n = 0; n < 7; n++)
        pass(filling, CIRCFLOW_SIDE_BACK, cell(n), CIRCFLOW_VERDICT_HELD);
    for (uint32_t got = 0; got < 7;) {
        int written = 0, want = got < 4 ? 2 : 3;
        left_until_full = want;
        writable(filling, CIRCFLOW_SIDE_NEXT, 1);
        OK(circflow_engine_drain(RELAY, SIZE_MAX, NULL, fill_up, &written));
        assert_int_equal(written, want);
        got += (uint32_t)want;
        assert_int_equal(edge(filling, CIRCFLOW_SIDE_NEXT).waiting, 7 - got);
        assert_int_equal(host_drain(RELAY)->count, 0);
    }
    writable(filling, CIRCFLOW_SIDE_NEXT, 1);
    pass(filling, CIRCFLOW_SIDE_BACK, cell(9), CIRCFLOW_VERDICT_FORWARD);
}

static void a_buffer_that_is_too_short_takes_nothing(void **state)
{
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_insn insn;
    (void)state;
    circflow_circuit_id circuit = middle();
    writable(circuit, CIRCFLOW_SIDE_NEXT, 0);
    pass(circuit, CIRCFLOW_SIDE_BACK, cell(5), CIRCFLOW_VERDICT_HELD);
    writable(circuit, CIRCFLOW_SIDE_NEXT, 1);
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(RELAY, body, CIRCFLOW_CELL_BODY_LEN - 1, &insn));
    assert_int_equal(edge(circuit, CIRCFLOW_SIDE_NEXT).waiting, 1);
    insn = poll_one(body);
    is_write(&insn, body, circuit, CIRCFLOW_SIDE_NEXT, 5);
}

static void tokens_come_back_once_however_it_ends(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        circflow_circuit_id circuit = middle();
        for (size_t s = 0; s < COUNT(SIDES); s++) {
            writable(circuit, opposite(SIDES[s]), 0);
            for (uint64_t n = 0; n < 5; n++)
                pass(circuit, SIDES[s], token_cell(10 * s + n), CIRCFLOW_VERDICT_HELD);
            pass(circuit, SIDES[s], cell(1), CIRCFLOW_VERDICT_HELD);
        }
        assert_int_equal(host_stats(RELAY).held, 12);
        assert_int_equal(host_stats(RELAY).held_bytes, host_lent(&ledger) + 2 * CIRCFLOW_HELD_COST);
        if (way == 0) {
            /* Some are written, the rest goes with the circuit. */
            uint8_t body[CIRCFLOW_CELL_BODY_LEN];
            writable(circuit, CIRCFLOW_SIDE_BACK, 1);
            for (uint32_t n = 10; n < 13; n++) {
                circflow_insn insn = poll_one(body);
                is_write(&insn, body, circuit, CIRCFLOW_SIDE_BACK, n);
            }
            OK(circflow_circuit_gone(RELAY, world.now, circuit));
            host_book(&ledger, host_drain(RELAY));
        } else if (way == 1) {
            /* The host has not drained. */
            writable(circuit, CIRCFLOW_SIDE_BACK, 1);
            OK(circflow_circuit_close(RELAY, world.now, circuit));
            OK(circflow_circuit_close(RELAY, world.now, circuit));
            host_events events = *host_drain(RELAY);
            assert_int_equal(events.count, 1);
            assert_int_equal(host_close_of(&events, circuit)->detail.close.cause, CIRCFLOW_OK);
            OK(circflow_circuit_gone(RELAY, world.now, circuit));
            host_book(&ledger, host_drain(RELAY));
        } else {
            OK(circflow_engine_free(RELAY, host_discard, &ledger));
            RELAY = NULL;
            OK(circflow_engine_free(world.client, NULL, NULL));
        }
        host_settle(&ledger);
        if (RELAY != NULL)
            assert_int_equal(host_stats(RELAY).held, 0);
        memset(&ledger, 0, sizeof(ledger));
    }
}

static void an_exit_knows_every_cell_or_closes(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_start(&world);
    for (size_t s = 0; s < COUNT(SIDES); s++) {
        circflow_circuit_id circuit = opened(MIDDLE & ~CIRCFLOW_CIRCUIT_EXTENDED);
        IS(CIRCFLOW_ERR_UNRECOGNISED, relay(circuit, SIDES[s], cell(0), &verdict));
        assert_int_equal(host_close_of(host_drain(RELAY), circuit)->detail.close.cause, CIRCFLOW_ERR_UNRECOGNISED);
        IS(CIRCFLOW_ERR_CLOSING, relay(circuit, SIDES[s], cell(0), &verdict));
    }
    /* One that is extended passes them on from then on. */
    circflow_circuit_id circuit = opened(MIDDLE & ~CIRCFLOW_CIRCUIT_EXTENDED);
    OK(circflow_circuit_set_flags(RELAY, circuit, MIDDLE));
    pass(circuit, CIRCFLOW_SIDE_BACK, cell(0), CIRCFLOW_VERDICT_FORWARD);
}

/* TRUNCATE, or DESTROY from the next relay: nothing is written there any more, and the source is not left paused. */
static void a_circuit_that_ends_here_again_lets_its_source_go_on(void **state)
{
    (void)state;
    host_start(&world);
    circflow_circuit_id circuit = opened(MIDDLE);
    writable(circuit, CIRCFLOW_SIDE_NEXT, 0);
    for (uint32_t n = 0; n < world.engine_config.edge_high_cells; n++)
        pass(circuit, CIRCFLOW_SIDE_BACK, n % 2 ? token_cell(n) : cell(n), CIRCFLOW_VERDICT_HELD);
    assert_int_equal(host_count(host_drain(RELAY), CIRCFLOW_INSN_PAUSE_FEED), 1);
    OK(circflow_circuit_set_flags(RELAY, circuit, MIDDLE & ~CIRCFLOW_CIRCUIT_EXTENDED));
    const host_events *events = host_drain(RELAY);
    host_book(&ledger, events);
    host_settle(&ledger);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_UNPAUSE_FEED), 1);
    assert_int_equal(host_first(events, CIRCFLOW_INSN_UNPAUSE_FEED)->detail.pause.side, CIRCFLOW_SIDE_BACK);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_WRITE), 0);
    assert_int_equal(edge(circuit, CIRCFLOW_SIDE_NEXT).waiting, 0);
    assert_int_equal(host_stats(RELAY).held, 0);
    OK(circflow_circuit_set_flags(RELAY, circuit, MIDDLE & ~CIRCFLOW_CIRCUIT_EXTENDED));
    assert_int_equal(host_drain(RELAY)->count, 0);
    /* The next relay's channel begins as any does. */
    OK(circflow_circuit_set_flags(RELAY, circuit, MIDDLE));
    pass(circuit, CIRCFLOW_SIDE_BACK, cell(0), CIRCFLOW_VERDICT_FORWARD);
}

static void what_cannot_be_relayed_is_refused(void **state)
{
    static const uint8_t long_body[CIRCFLOW_CELL_BODY_LEN + 1];
    circflow_circuit_stats figures;
    circflow_verdict verdict;
    circflow_circuit_id zero = {0};
    (void)state;
    circflow_circuit_id circuit = middle(), plain = opened(CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_EXTENDED);
    circflow_message good = cell(0), bad = good;
    IS(CIRCFLOW_ERR_NOT_RUN, relay(plain, CIRCFLOW_SIDE_BACK, good, &verdict));
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_circuit_set_writable(RELAY, world.now, plain, CIRCFLOW_SIDE_BACK, 0));
    figures.size = sizeof(figures);
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_circuit_get_stats(RELAY, plain, &figures));
    IS(CIRCFLOW_ERR_ZERO_ID, relay(zero, CIRCFLOW_SIDE_BACK, good, &verdict));
    IS(CIRCFLOW_ERR_INVALID, relay(circuit, 2, good, &verdict));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_writable(RELAY, world.now, circuit, 2, 0));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_relay(RELAY, world.now, circuit, 0, NULL, &verdict));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_relay(RELAY, world.now, circuit, 0, &good, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_relay(NULL, world.now, circuit, 0, &good, &verdict));
    writable(circuit, CIRCFLOW_SIDE_NEXT, 0);
    bad.body = long_body;
    bad.body_len = sizeof(long_body);
    IS(CIRCFLOW_ERR_INVALID, relay(circuit, CIRCFLOW_SIDE_BACK, bad, &verdict));
    bad = good;
    bad.body = NULL;
    IS(CIRCFLOW_ERR_INVALID, relay(circuit, CIRCFLOW_SIDE_BACK, bad, &verdict));
    bad = good;
    bad.form = 2;
    IS(CIRCFLOW_ERR_INVALID, relay(circuit, CIRCFLOW_SIDE_BACK, bad, &verdict));
    assert_int_equal(edge(circuit, CIRCFLOW_SIDE_NEXT).waiting, 0);
    /* At a client everything is recognised. */
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR;
    circflow_circuit_id client = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    IS(CIRCFLOW_ERR_ROLE, circflow_circuit_relay(world.client, world.now, client, CIRCFLOW_SIDE_BACK, &good, &verdict));
    IS(CIRCFLOW_ERR_FOREIGN_ID, relay(client, CIRCFLOW_SIDE_BACK, good, &verdict));
    OK(circflow_circuit_gone(RELAY, world.now, circuit));
    IS(CIRCFLOW_ERR_STALE_ID, relay(circuit, CIRCFLOW_SIDE_BACK, good, &verdict));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_set_writable(RELAY, world.now, circuit, CIRCFLOW_SIDE_BACK, 1));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_close(RELAY, world.now, circuit));
}

/* Who holds the most for the longest time closes; who needs room for one more cell goes on. */
static void memory_has_a_cap_and_the_fullest_edge_pays(void **state)
{
    const host_events *events;
    (void)state;
    world.engine_config.held_bytes_max = 3 * CIRCFLOW_HELD_COST;
    circflow_circuit_id circuit = middle(), other = opened(MIDDLE);
    writable(circuit, CIRCFLOW_SIDE_NEXT, 0);
    writable(other, CIRCFLOW_SIDE_NEXT, 0);
    for (uint32_t n = 0; n < 2; n++)
        pass(circuit, CIRCFLOW_SIDE_BACK, cell(n), CIRCFLOW_VERDICT_HELD);
    pass(other, CIRCFLOW_SIDE_BACK, cell(0), CIRCFLOW_VERDICT_HELD);
    for (uint32_t n = 1; n < 3; n++)
        pass(other, CIRCFLOW_SIDE_BACK, cell(n), CIRCFLOW_VERDICT_HELD);
    events = host_drain(RELAY);
    assert_int_equal(host_close_of(events, circuit)->detail.close.cause, CIRCFLOW_ERR_ENGINE_MEMORY);
    assert_null(host_close_of(events, other));
    assert_int_equal(host_stats(RELAY).held_bytes, 3 * CIRCFLOW_HELD_COST);
    /* It holds all there is: now it is itself. */
    circflow_verdict verdict;
    IS(CIRCFLOW_ERR_ENGINE_MEMORY, relay(other, CIRCFLOW_SIDE_BACK, cell(3), &verdict));
    assert_int_equal(host_close_of(host_drain(RELAY), other)->detail.close.cause, CIRCFLOW_ERR_ENGINE_MEMORY);
    OK(circflow_circuit_gone(RELAY, world.now, other));
    host_drain(RELAY);
    assert_int_equal(host_stats(RELAY).held_bytes, 0);
}

static void a_host_that_does_not_drain_is_told_so(void **state)
{
    circflow_verdict verdict;
    (void)state;
    world.engine_config.insns_max = 2;
    circflow_circuit_id circuit = middle(), others[2] = {opened(MIDDLE), opened(MIDDLE)};
    for (size_t i = 0; i < COUNT(others); i++)
        OK(circflow_circuit_close(RELAY, world.now, others[i]));
    writable(circuit, CIRCFLOW_SIDE_NEXT, 0);
    IS(CIRCFLOW_ERR_UNDRAINED, relay(circuit, CIRCFLOW_SIDE_BACK, cell(0), &verdict));
    assert_int_equal(edge(circuit, CIRCFLOW_SIDE_NEXT).waiting, 0);
    pass(circuit, CIRCFLOW_SIDE_NEXT, cell(0), CIRCFLOW_VERDICT_FORWARD); /* It queues nothing. */
    host_drain(RELAY);
    pass(circuit, CIRCFLOW_SIDE_BACK, cell(0), CIRCFLOW_VERDICT_HELD);
}

/* --- Padding at the edge towards the client --- */

static void drop_from_client(circflow_circuit_id circuit)
{
    host_expect(&world, RELAY, circuit, host_message(CIRCFLOW_CMD_DROP, 0, 0, NULL, 0), CIRCFLOW_VERDICT_CONSUMED);
}

static const host_events *at(uint64_t ms)
{
    world.now = HOST_START + ms * MS;
    return host_tick(&world, RELAY);
}

static void a_block_holds_cells_that_pass_and_lets_them_out_in_order(void **state)
{
    (void)state;
    circflow_circuit_id circuit = middle();
    host_pad(&world, RELAY, circuit, "gate-0-00", 0, 0);
    pass(circuit, CIRCFLOW_SIDE_NEXT, cell(0), CIRCFLOW_VERDICT_FORWARD);
    drop_from_client(circuit);
    assert_int_equal(at(0)->count, 0);
    /* More than the high mark: the source hears of it as of any other wait. */
    for (uint32_t n = 1; n <= HIGH; n++)
        pass(circuit, CIRCFLOW_SIDE_NEXT, cell(n), CIRCFLOW_VERDICT_HELD);
    const host_events *events = host_drain(RELAY);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_PAUSE_FEED);
    assert_int_equal(events->at[0].insn.detail.pause.side, CIRCFLOW_SIDE_NEXT);
    /* The other way is not blocked. */
    pass(circuit, CIRCFLOW_SIDE_BACK, cell(1), CIRCFLOW_VERDICT_FORWARD);
    assert_int_equal(host_count(at(99), CIRCFLOW_INSN_WRITE), 0);
    const host_events *all = at(100);
    uint32_t n = 1;
    for (size_t i = 0; i < all->count; i++)
        if (all->at[i].insn.kind == CIRCFLOW_INSN_WRITE)
            is_write(&all->at[i].insn, all->at[i].body, circuit, CIRCFLOW_SIDE_BACK, n++);
    assert_int_equal(n, HIGH + 1);
    assert_int_equal(host_count(all, CIRCFLOW_INSN_UNPAUSE_FEED), 1);
    pass(circuit, CIRCFLOW_SIDE_NEXT, cell(0), CIRCFLOW_VERDICT_FORWARD);
}

static void bypass_and_replace_lets_exactly_one_out(void **state)
{
    (void)state;
    circflow_circuit_id circuit = middle();
    host_pad(&world, RELAY, circuit, "gate-1-11", 0, 0);
    drop_from_client(circuit);
    assert_int_equal(at(0)->count, 0);
    for (uint32_t n = 0; n < 4; n++)
        pass(circuit, CIRCFLOW_SIDE_NEXT, cell(n), CIRCFLOW_VERDICT_HELD);
    for (uint32_t n = 0; n < 3; n++) {
        /* A cell that passes the other way makes one padding cell, 10 ms later. */
        pass(circuit, CIRCFLOW_SIDE_BACK, cell(0), CIRCFLOW_VERDICT_FORWARD);
        assert_int_equal(at(10 * n + 9)->count, 0);
        if (n == 2) {
            /* A full channel takes none; the padding stands for itself, or waits as well. */
            writable(circuit, CIRCFLOW_SIDE_BACK, 0);
            assert_int_equal(host_count(at(30), CIRCFLOW_INSN_WRITE), 0);
            assert_int_equal(edge(circuit, CIRCFLOW_SIDE_BACK).waiting, 2);
            break;
        }
        const host_events *events = at(10 * n + 10);
        assert_int_equal(events->count, 1);
        is_write(&events->at[0].insn, events->at[0].body, circuit, CIRCFLOW_SIDE_BACK, n);
        OK(circflow_circuit_cells_written(RELAY, world.now, circuit, 1));
        assert_int_equal(host_pad_stats(RELAY, circuit, 0, 0).replaced, n + 1);
        assert_int_equal(host_pad_stats(RELAY, circuit, 0, 0).padding_sent, 0);
    }
    /* The block ends, the channel stays full; then it opens. */
    assert_int_equal(host_count(at(100), CIRCFLOW_INSN_WRITE), 0);
    writable(circuit, CIRCFLOW_SIDE_BACK, 1);
    host_events rest = *host_drain(RELAY);
    assert_int_equal(host_count(&rest, CIRCFLOW_INSN_WRITE), 2);
    is_write(&rest.at[0].insn, rest.at[0].body, circuit, CIRCFLOW_SIDE_BACK, 2);
    is_write(&rest.at[1].insn, rest.at[1].body, circuit, CIRCFLOW_SIDE_BACK, 3);
}

static void a_relays_own_messages_wait_with_those_that_pass(void **state)
{
    circflow_verdict verdict;
    (void)state;
    circflow_circuit_id circuit = middle();
    host_pad(&world, RELAY, circuit, "gate-0-00", 0, 0);
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2), own = host_data(0, "own");
    OK(circflow_circuit_receive(RELAY, world.now, circuit, &begin, &verdict));
    circflow_stream_id stream = verdict.stream;
    drop_from_client(circuit);
    assert_int_equal(at(0)->count, 0);
    pass(circuit, CIRCFLOW_SIDE_NEXT, cell(0), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_IS_RUN, circflow_circuit_send(RELAY, world.now, circuit, &own, &verdict));
    OK(circflow_stream_send(RELAY, world.now, stream, &own, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    /* Control is exempt from the block, but it does not overtake a cell that is not. */
    circflow_message truncated = host_message(9, 0, 0, "x", 1);
    host_circuit_sends(&world, RELAY, circuit, truncated, CIRCFLOW_VERDICT_HELD);
    host_events all = *at(100);
    assert_int_equal(host_count(&all, CIRCFLOW_INSN_SEND), 2);
    assert_int_equal(host_count(&all, CIRCFLOW_INSN_WRITE), 1);
    assert_int_equal(all.at[all.count - 2].insn.kind, CIRCFLOW_INSN_WRITE);
    assert_int_equal(all.at[all.count - 1].insn.detail.send.command, 9);
    host_circuit_sends(&world, RELAY, circuit, truncated, CIRCFLOW_VERDICT_SEND);
}

/* TRUNCATED after cells of the hop that is gone: a client that hears it first could not read them any more. */
static void what_a_relay_says_itself_goes_behind_cells_that_wait(void **state)
{
    circflow_message truncated = host_message(9, 0, 0, "why", 3), token = host_token(0, 77, 5);
    token.command = 9;
    token.stream_id = 0;
    (void)state;
    /* The channel is full, or has room again while the host has not drained yet. */
    for (int drained = 0; drained < 2; drained++) {
        circflow_circuit_id circuit = middle();
        writable(circuit, CIRCFLOW_SIDE_BACK, 0);
        for (uint32_t n = 0; n < 4; n++)
            pass(circuit, CIRCFLOW_SIDE_NEXT, cell(n), CIRCFLOW_VERDICT_HELD);
        if (drained)
            writable(circuit, CIRCFLOW_SIDE_BACK, 1);
        host_circuit_sends(&world, RELAY, circuit, truncated, CIRCFLOW_VERDICT_HELD);
        host_circuit_sends(&world, RELAY, circuit, token, CIRCFLOW_VERDICT_HELD);
        /* And what the next hop says after it, behind that. */
        pass(circuit, CIRCFLOW_SIDE_NEXT, cell(4), CIRCFLOW_VERDICT_HELD);
        writable(circuit, CIRCFLOW_SIDE_BACK, 1);
        const host_events *all = host_drain(RELAY);
        assert_int_equal(all->count, 7);
        for (uint32_t n = 0; n < 4; n++)
            is_write(&all->at[n].insn, all->at[n].body, circuit, CIRCFLOW_SIDE_BACK, n);
        assert_int_equal(all->at[4].insn.kind, CIRCFLOW_INSN_SEND);
        assert_int_equal(all->at[4].insn.detail.send.command, 9);
        assert_int_equal(all->at[4].insn.detail.send.hop, 0);
        assert_int_equal(all->at[4].insn.detail.send.body_len, 3);
        assert_memory_equal(all->at[4].body, "why", 3);
        assert_int_equal(all->at[5].insn.kind, CIRCFLOW_INSN_SEND);
        assert_int_equal(all->at[5].insn.detail.send.form, CIRCFLOW_FORM_TOKEN);
        assert_int_equal(all->at[5].insn.detail.send.token, 77);
        is_write(&all->at[6].insn, all->at[6].body, circuit, CIRCFLOW_SIDE_BACK, 4);
        /* With nothing in the way it goes at once, as does the next cell. */
        host_circuit_sends(&world, RELAY, circuit, truncated, CIRCFLOW_VERDICT_SEND);
        pass(circuit, CIRCFLOW_SIDE_NEXT, cell(5), CIRCFLOW_VERDICT_FORWARD);
    }
}

/* Only so many of them, and they take no room from cells: a source that obeys still has its stated number. */
static void what_a_relay_says_itself_has_a_cap_of_its_own(void **state)
{
    circflow_verdict verdict;
    circflow_message truncated = host_message(9, 0, 0, "x", 1);
    (void)state;
    circflow_circuit_id circuit = middle();
    writable(circuit, CIRCFLOW_SIDE_BACK, 0);
    pass(circuit, CIRCFLOW_SIDE_NEXT, cell(0), CIRCFLOW_VERDICT_HELD);
    for (uint32_t i = 0; i < world.exit_circuit.held_sends_max; i++)
        host_circuit_sends(&world, RELAY, circuit, truncated, CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_circuit_send(RELAY, world.now, circuit, &truncated, &verdict));
    for (uint32_t n = 1; n < HIGH + OVER; n++)
        pass(circuit, CIRCFLOW_SIDE_NEXT, cell(n), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_EDGE_OVERRUN, relay(circuit, CIRCFLOW_SIDE_NEXT, cell(0), &verdict));
    host_drain(RELAY);
    /* A host that was refused is told. */
    circuit = middle();
    writable(circuit, CIRCFLOW_SIDE_BACK, 0);
    pass(circuit, CIRCFLOW_SIDE_NEXT, cell(0), CIRCFLOW_VERDICT_HELD);
    for (uint32_t i = 0; i < world.exit_circuit.held_sends_max; i++)
        OK(circflow_circuit_send(RELAY, world.now, circuit, &truncated, &verdict));
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_circuit_send(RELAY, world.now, circuit, &truncated, &verdict));
    writable(circuit, CIRCFLOW_SIDE_BACK, 1);
    const host_events *all = host_drain(RELAY);
    assert_int_equal(host_count(all, CIRCFLOW_INSN_SEND), world.exit_circuit.held_sends_max);
    assert_int_equal(host_count(all, CIRCFLOW_INSN_MAY_SEND), 1);
    host_circuit_sends(&world, RELAY, circuit, truncated, CIRCFLOW_VERDICT_SEND);
}

/* What still waits when the circuit goes is the host's again. */
static void what_a_relay_says_itself_comes_back_when_its_circuit_goes(void **state)
{
    circflow_message token = host_token(0, 3, 5);
    token.command = 9;
    token.stream_id = 0;
    (void)state;
    circflow_circuit_id circuit = middle();
    writable(circuit, CIRCFLOW_SIDE_BACK, 0);
    pass(circuit, CIRCFLOW_SIDE_NEXT, cell(0), CIRCFLOW_VERDICT_HELD);
    host_circuit_sends(&world, RELAY, circuit, token, CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, 3, 5);
    OK(circflow_circuit_gone(RELAY, world.now, circuit));
    host_book(&ledger, host_drain(RELAY));
    host_settle(&ledger);
    assert_int_equal(host_stats(RELAY).held, 0);
}

/* --- Streams of the relay's own (leaky pipe) --- */

static int next_stream(circflow_circuit_id circuit, circflow_stream_id *stream)
{
    circflow_set_id none = {0};
    return circflow_stream_choose(RELAY, world.now, none, circuit, stream, NULL);
}

static void a_client_has_one_channel(void **state)
{
    (void)state;
    host_start(&world);
    circflow_circuit_config config;
    circflow_circuit_id circuit;
    OK(circflow_circuit_config_init(&config, sizeof(config)));
    config.flags |= CIRCFLOW_CIRCUIT_REACTOR;
    OK(circflow_circuit_open(world.client, world.now, &config, &circuit));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_writable(world.client, world.now, circuit, CIRCFLOW_SIDE_NEXT, 0));
    OK(circflow_circuit_set_writable(world.client, world.now, circuit, CIRCFLOW_SIDE_BACK, 0));
}

static void own_streams_go_on_when_the_last_cell_has_been_written(void **state)
{
    circflow_stream_id found;
    circflow_verdict verdict;
    (void)state;
    circflow_circuit_id circuit = middle();
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2), data = host_data(0, "own");
    OK(circflow_circuit_receive(RELAY, world.now, circuit, &begin, &verdict));
    circflow_stream_id stream = verdict.stream;
    OK(circflow_stream_send(RELAY, world.now, stream, &data, &verdict)); /* The window is known from now on. */
    OK(circflow_stream_set_readable(RELAY, stream, 1));
    OK(next_stream(circuit, &found));
    assert_int_equal(found.v, stream.v);
    writable(circuit, CIRCFLOW_SIDE_BACK, 0);
    for (uint32_t n = 0; n < 2; n++)
        pass(circuit, CIRCFLOW_SIDE_NEXT, cell(n), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NO_ROOM, next_stream(circuit, &found));
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_send(RELAY, world.now, stream, &data, &verdict));
    writable(circuit, CIRCFLOW_SIDE_BACK, 1);
    /* What waits goes first. */
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_send(RELAY, world.now, stream, &data, &verdict));
    host_events events = *host_drain(RELAY);
    assert_int_equal(events.count, 3);
    assert_int_equal(events.at[0].insn.kind, CIRCFLOW_INSN_WRITE);
    assert_int_equal(events.at[1].insn.kind, CIRCFLOW_INSN_WRITE);
    assert_int_equal(events.at[2].insn.kind, CIRCFLOW_INSN_MAY_SEND);
    assert_int_equal(events.at[2].insn.circuit.v, circuit.v);
    assert_int_equal(events.at[2].insn.stream.v, 0);
    OK(next_stream(circuit, &found));
    OK(circflow_stream_send(RELAY, world.now, stream, &data, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
}

static void a_host_that_never_drains_piles_up_no_resumes(void **state)
{
    circflow_stream_id found;
    circflow_verdict verdict;
    (void)state;
    circflow_circuit_id circuit = middle();
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2);
    OK(circflow_circuit_receive(RELAY, world.now, circuit, &begin, &verdict));
    for (int round = 0; round < 100; round++) {
        writable(circuit, CIRCFLOW_SIDE_BACK, 0);
        IS(CIRCFLOW_ERR_NO_ROOM, next_stream(circuit, &found));
        writable(circuit, CIRCFLOW_SIDE_BACK, 1);
    }
    assert_int_equal(host_count(host_drain(RELAY), CIRCFLOW_INSN_MAY_SEND), 1);
    writable(circuit, CIRCFLOW_SIDE_BACK, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, next_stream(circuit, &found));
    writable(circuit, CIRCFLOW_SIDE_BACK, 1);
    assert_int_equal(host_count(host_drain(RELAY), CIRCFLOW_INSN_MAY_SEND), 1);
}

static void the_marks_are_checked(void **state)
{
    static const struct { uint32_t high, low, over; int good; } rows[] = {
        {1, 0, 32, 1}, {2, 1, 32, 1}, {0, 0, 32, 0}, {2, 2, 32, 0}, {2, 3, 32, 0}, {8, 3, 31, 0}, {8, 3, 32, 1},
        {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX, 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_engine_config config = world.engine_config;
        circflow_engine *engine = NULL;
        config.edge_high_cells = rows[i].high;
        config.edge_low_cells = rows[i].low;
        config.edge_over_cells = rows[i].over;
        IS(rows[i].good ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID, circflow_engine_new(&config, &engine));
        if (rows[i].good)
            OK(circflow_engine_free(engine, NULL, NULL));
    }
    for (int which = 0; which < 2; which++) {
        circflow_engine_config config = world.engine_config;
        circflow_engine *engine = NULL;
        *(which ? &config.streams_max : &config.stream_bytes_max) = 0;
        IS(CIRCFLOW_ERR_INVALID, circflow_engine_new(&config, &engine));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_has_one_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(cells_pass_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_channel_keeps_its_circuits_cells_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(pause_and_its_end_come_once_each_at_the_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(a_source_that_goes_on_overruns_the_edge_at_the_stated_number, setup, teardown),
        cmocka_unit_test_setup_teardown(the_stated_number_is_of_cells_that_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_channel_that_fills_up_while_draining_gets_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(a_buffer_that_is_too_short_takes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_come_back_once_however_it_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exit_knows_every_cell_or_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_circuit_that_ends_here_again_lets_its_source_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_relayed_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_has_a_cap_and_the_fullest_edge_pays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_does_not_drain_is_told_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_holds_cells_that_pass_and_lets_them_out_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(bypass_and_replace_lets_exactly_one_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_relays_own_messages_wait_with_those_that_pass, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_relay_says_itself_goes_behind_cells_that_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_relay_says_itself_has_a_cap_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_relay_says_itself_comes_back_when_its_circuit_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(own_streams_go_on_when_the_last_cell_has_been_written, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_never_drains_piles_up_no_resumes, setup, teardown),
        cmocka_unit_test_setup_teardown(the_marks_are_checked, setup, teardown),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
