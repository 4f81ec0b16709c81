/* Totals of an engine: what moves each of them, by how much, and that they stay when sets and circuits go. */

#include "host.h"

#include <stdio.h>

#define CLIENT world.client
#define EXIT world.exit
#define LEG(i) world.client_leg[i]

HOST_WORLD(host_prepare)

static circflow_engine_counters counters(circflow_engine *engine)
{
    circflow_engine_counters counters;
    counters.size = sizeof(counters);
    OK(circflow_engine_get_counters(engine, &counters));
    return counters;
}

static uint64_t at_status(const uint64_t *counts, int status)
{
    const uint32_t place = circflow_status_place(status);
    assert_true(place < CIRCFLOW_COUNTED_STATUSES);
    return counts[place];
}

static uint64_t sum(const uint64_t *counts, size_t count)
{
    uint64_t all = 0;
    while (count--)
        all += counts[count];
    return all;
}

#define SUM(counts) sum((counts), COUNT(counts))

/* What must hold at any time. */
static circflow_engine_counters sound(circflow_engine *engine)
{
    const circflow_engine_counters now = counters(engine);
    const circflow_engine_stats stats = host_stats(engine);
    assert_int_equal(now.circuits, stats.circuits);
    assert_int_equal(now.sets, stats.sets);
    assert_int_equal(now.streams, stats.streams);
    assert_int_equal(now.sets_opened_by_host + now.sets_opened_by_peer,
                     now.sets + now.sets_dissolved + SUM(now.sets_ended));
    assert_int_equal(SUM(now.faults), stats.peer_faults);
    assert_int_equal(now.order_bytes + now.sending_bytes + now.edge_bytes + now.crossing_bytes + now.stream_bytes,
                     stats.held_bytes);
    assert_int_equal(now.leaving_bytes, stats.leaving_bytes);
    assert_int_equal(now.padding_sent, stats.padding_sent);
    assert_int_equal(now.padding_received, stats.padding_received);
    assert_int_equal(now.padding_refused, stats.padding_refused);
    assert_int_equal(now.others_sent, stats.others_sent);
    assert_true(now.messages_released <= now.messages_held);
    return now;
}

static uint64_t arrives(size_t leg, uint32_t verdict)
{
    return host_expect(&world, CLIENT, LEG(leg), host_data(HOST_HOPS, "data"), verdict);
}

static void jumps(size_t leg, uint32_t delta)
{
    host_expect(&world, CLIENT, LEG(leg), host_switch(HOST_HOPS, delta), CIRCFLOW_VERDICT_CONSUMED);
}

static void nothing_has_happened_in_a_new_engine(void **state)
{
    circflow_engine_counters now, nothing;
    (void)state;
    host_start(&world);
    now = sound(CLIENT);
    memset(&nothing, 0, sizeof(nothing));
    nothing.size = sizeof(nothing);
    assert_memory_equal(&now, &nothing, sizeof(now));
}

static void sets_and_legs_are_counted_at_both_ends(void **state)
{
    circflow_engine_counters now;
    (void)state;
    host_linked(&world, 2);
    now = sound(CLIENT);
    assert_int_equal(now.circuits, 2);
    assert_int_equal(now.sets, 1);
    assert_int_equal(now.sets_opened_by_host, 1);
    assert_int_equal(now.sets_opened_by_peer, 0);
    assert_int_equal(now.sets_usable, 1);
    assert_int_equal(now.legs_linked, 2);
    assert_int_equal(SUM(now.legs_lost), 0);
    now = sound(EXIT);
    assert_int_equal(now.sets_opened_by_host, 0);
    assert_int_equal(now.sets_opened_by_peer, 1);
    assert_int_equal(now.sets_usable, 1);
    assert_int_equal(now.legs_linked, 2);
}

static void a_set_that_is_refused_was_never_opened(void **state)
{
    circflow_set_id set;
    (void)state;
    host_linked(&world, 1);
    IS(CIRCFLOW_ERR_NONCE_IN_USE, circflow_set_open(CLIENT, world.now, &world.client_terms, &set));
    host_pair(&world);
    /* A LINK that claims numbers in a new set. */
    IS(CIRCFLOW_ERR_BAD_LINK_NUMBERS, host_feed(&world, EXIT, world.exit_leg[1],
                                                host_linkish(CIRCFLOW_CMD_LINK, 0, (const uint8_t[32]){9}, 1, 1, 0)));
    assert_int_equal(sound(CLIENT).sets_opened_by_host, 1);
    assert_int_equal(sound(EXIT).sets_opened_by_peer, 1);
    assert_int_equal(at_status(sound(EXIT).faults, CIRCFLOW_ERR_BAD_LINK_NUMBERS), 1);
}

/* Two runs of holding: three messages for 5 ms, and one for no time at all. */
static void order_is_counted_by_message_and_by_run(void **state)
{
    circflow_engine_counters now;
    (void)state;
    host_adopted(&world, 2);
    for (int n = 0; n < 4; n++)
        arrives(0, CIRCFLOW_VERDICT_DELIVER);
    jumps(1, 5);
    for (int n = 0; n < 3; n++)
        arrives(1, CIRCFLOW_VERDICT_HELD);
    now = sound(CLIENT);
    assert_int_equal(now.messages_in_order, 4);
    assert_int_equal(now.messages_held, 3);
    assert_int_equal(now.messages_released, 0);
    assert_true(now.order_bytes > 0);
    assert_int_equal(SUM(now.reorder_depth), 0); /* The run is not over. */
    world.now += 5 * MS;
    arrives(0, CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_DELIVER), 3);
    now = sound(CLIENT);
    assert_int_equal(now.messages_in_order, 5);
    assert_int_equal(now.messages_released, 3);
    assert_int_equal(now.reorder_depth[2], 1); /* Three are up to four. */
    assert_int_equal(now.reorder_depth_sum, 3);
    assert_int_equal(now.reorder_age[13], 1); /* 5000 us are up to 8192. */
    assert_int_equal(now.reorder_age_sum_ns, 5 * MS);
    jumps(0, 4);
    arrives(0, CIRCFLOW_VERDICT_HELD);
    arrives(1, CIRCFLOW_VERDICT_DELIVER);
    host_drain(CLIENT);
    now = sound(CLIENT);
    assert_int_equal(now.messages_held, 4);
    assert_int_equal(now.messages_released, 4);
    assert_int_equal(now.reorder_depth[0], 1);
    assert_int_equal(now.reorder_age[0], 1);
    assert_int_equal(SUM(now.reorder_depth), 2);
    assert_int_equal(SUM(now.reorder_age), 2);
    assert_int_equal(now.switches_received, 2);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).held_peak, 3);
}

/* Taken one by one, or as tokens many at once: a run is counted once, when nothing is held any more. */
static void a_run_ends_however_it_is_taken(void **state)
{
    uint8_t body[CIRCFLOW_BODY_MAX];
    uint64_t tokens[8];
    size_t count;
    circflow_insn insn;
    (void)state;
    host_adopted(&world, 2);
    jumps(1, 1);
    for (uint64_t n = 1; n <= 2; n++)
        host_expect(&world, CLIENT, LEG(1), host_token(HOST_HOPS, n, 500), CIRCFLOW_VERDICT_HELD);
    arrives(0, CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_set_poll_tokens(CLIENT, world.client_set, tokens, 1, &count));
    assert_int_equal(SUM(sound(CLIENT).reorder_depth), 0);
    OK(circflow_set_poll_tokens(CLIENT, world.client_set, tokens, 8, &count));
    assert_int_equal(SUM(sound(CLIENT).reorder_depth), 1);
    jumps(0, 3);
    arrives(0, CIRCFLOW_VERDICT_HELD);
    arrives(1, CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_set_poll(CLIENT, world.client_set, body, sizeof(body), &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
    assert_int_equal(SUM(sound(CLIENT).reorder_depth), 2);
    assert_int_equal(sound(CLIENT).reorder_depth_sum, 3);
    host_drain(CLIENT);
    assert_int_equal(SUM(sound(CLIENT).reorder_depth), 2);
}

static void totals_stay_when_a_set_goes(void **state)
{
    circflow_engine_counters now;
    (void)state;
    host_adopted(&world, 2);
    host_room(&world, CLIENT, LEG(0), 3, 10 * MS);
    host_room(&world, CLIENT, LEG(1), 5, 20 * MS);
    for (int n = 0; n < 3; n++)
        host_set_sends(&world, CLIENT, world.client_set, host_data(HOST_HOPS, "out"), CIRCFLOW_VERDICT_SEND);
    assert_int_equal(host_set_sends(&world, CLIENT, world.client_set, host_data(HOST_HOPS, "out"), CIRCFLOW_VERDICT_SEND)
                         .switch_delta,
                     3);
    arrives(0, CIRCFLOW_VERDICT_DELIVER);
    jumps(1, 2);
    for (int n = 0; n < 3; n++)
        arrives(1, CIRCFLOW_VERDICT_HELD);
    world.now += MS;
    OK(circflow_set_close(CLIENT, world.now, world.client_set));
    now = sound(CLIENT);
    assert_int_equal(now.sets, 0);
    assert_int_equal(at_status(now.sets_ended, CIRCFLOW_OK), 1);
    assert_int_equal(SUM(now.legs_lost), 0);
    assert_true(now.leaving_bytes > 0);
    host_drain(CLIENT);
    now = sound(CLIENT);
    assert_int_equal(now.leaving_bytes, 0);
    assert_int_equal(now.messages_sent, 4);
    assert_int_equal(now.switches_sent, 1);
    assert_int_equal(now.switches_received, 1);
    assert_int_equal(now.messages_in_order, 1);
    assert_int_equal(now.messages_held, 3);
    assert_int_equal(now.messages_released, 0);
    assert_int_equal(now.messages_discarded, 3);
    assert_int_equal(now.reorder_depth[2], 1);
    assert_int_equal(now.reorder_age_sum_ns, MS);
}

/* What was in order behind the last message is still delivered, what is behind a gap is not. */
static void what_a_set_leaves_behind_is_released_or_discarded(void **state)
{
    circflow_engine_counters now;
    (void)state;
    host_adopted(&world, 2);
    jumps(1, 1);
    arrives(1, CIRCFLOW_VERDICT_HELD);
    jumps(1, 1);
    host_expect(&world, CLIENT, LEG(1), host_token(HOST_HOPS, 7, 500), CIRCFLOW_VERDICT_HELD);
    arrives(0, CIRCFLOW_VERDICT_DELIVER);
    /* The leg that received last goes, before the host has taken what is ready. */
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(1)));
    host_drain(CLIENT);
    now = sound(CLIENT);
    assert_int_equal(now.messages_held, 2);
    assert_int_equal(now.messages_released, 1);
    assert_int_equal(now.messages_discarded, 1);
    assert_int_equal(at_status(now.legs_lost, CIRCFLOW_ERR_LEG_LOST), 1);
    assert_int_equal(SUM(now.legs_lost), 1);
    assert_int_equal(at_status(now.sets_ended, CIRCFLOW_ERR_LEG_LOST), 1);
    assert_int_equal(SUM(now.faults), 0);
}

static void a_set_that_is_dissolved_has_not_ended(void **state)
{
    circflow_circuit_id circuit;
    (void)state;
    host_linked(&world, 1);
    OK(circflow_set_dissolve(CLIENT, world.now, world.client_set, &circuit));
    assert_int_equal(sound(CLIENT).sets_dissolved, 1);
    assert_int_equal(SUM(sound(CLIENT).sets_ended), 0);
}

static void a_host_that_is_refused_waits(void **state)
{
    circflow_message message = host_data(HOST_HOPS, "out");
    circflow_verdict verdict;
    circflow_engine_counters now;
    (void)state;
    host_adopted(&world, 1);
    host_room(&world, CLIENT, LEG(0), 0, 10 * MS);
    world.now += MS;
    for (int n = 0; n < 3; n++) {
        IS(CIRCFLOW_ERR_NO_ROOM, n % 2 ? circflow_set_send(CLIENT, world.now, world.client_set, &message, NULL, 0, &verdict)
                                       : circflow_set_decide(CLIENT, world.now, world.client_set, &message, NULL, 0, &verdict));
        world.now += 2 * MS;
    }
    OK(circflow_engine_tick(CLIENT, world.now));
    now = sound(CLIENT);
    assert_int_equal(now.refusals, 3);
    assert_int_equal(now.blocked_ns, 6 * MS); /* It waits still. */
    world.now += MS;
    host_room(&world, CLIENT, LEG(0), 1, 10 * MS);
    /* Refused again before it has taken MAY_SEND. */
    host_set_sends(&world, CLIENT, world.client_set, host_data(HOST_HOPS, "out"), CIRCFLOW_VERDICT_SEND);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(CLIENT, world.now, world.client_set, &message, NULL, 0, &verdict));
    world.now += 10 * MS;
    host_room(&world, CLIENT, LEG(0), 1, 10 * MS);
    world.now += SECOND;
    OK(circflow_engine_tick(CLIENT, world.now));
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    now = sound(CLIENT);
    assert_int_equal(now.refusals, 4);
    assert_int_equal(now.blocked_ns, 17 * MS);
    /* A wait that the end of the set ends. */
    host_set_sends(&world, CLIENT, world.client_set, host_data(HOST_HOPS, "out"), CIRCFLOW_VERDICT_SEND);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(CLIENT, world.now, world.client_set, &message, NULL, 0, &verdict));
    world.now += 3 * MS;
    OK(circflow_set_close(CLIENT, world.now, world.client_set));
    world.now += SECOND;
    host_drain(CLIENT);
    now = sound(CLIENT);
    assert_int_equal(now.refusals, 5);
    assert_int_equal(now.blocked_ns, 20 * MS);
}

/* Numbers that a host brings along were not circflow's to count. */
static void imported_numbers_are_not_counted(void **state)
{
    host_numbers numbers;
    circflow_engine_counters now;
    (void)state;
    host_adopted(&world, 2);
    host_room(&world, CLIENT, LEG(0), 50, 10 * MS);
    host_set_sends(&world, CLIENT, world.client_set, host_data(HOST_HOPS, "out"), CIRCFLOW_VERDICT_SEND);
    arrives(0, CIRCFLOW_VERDICT_DELIVER);
    for (int round = 0; round < 2; round++) {
        numbers = host_export(CLIENT, world.client_set);
        numbers.set.delivered += round ? -(uint64_t)400 : 500;
        numbers.legs[0].received += round ? -(uint64_t)400 : 500;
        numbers.legs[0].sent += round ? -(uint64_t)100 : 100;
        OK(circflow_set_import(CLIENT, world.now, world.client_set, &numbers.set, numbers.legs, numbers.count));
        now = sound(CLIENT);
        assert_int_equal(now.messages_sent, 1 + (uint64_t)round);
        assert_int_equal(now.messages_in_order, 1 + (uint64_t)round);
        host_set_sends(&world, CLIENT, world.client_set, host_data(HOST_HOPS, "out"), CIRCFLOW_VERDICT_SEND);
        arrives(0, CIRCFLOW_VERDICT_DELIVER);
    }
    now = sound(CLIENT);
    assert_int_equal(now.messages_sent, 3);
    assert_int_equal(now.messages_in_order, 3);
}

/* A set of one leg that circflow runs, with a stream: SENDMEs, XOFF and XON, both ways, and the memory of streams. */
static void flow_is_counted_at_both_ends(void **state)
{
    static uint8_t data[CIRCFLOW_DATA_MAX];
    circflow_message message;
    circflow_engine_counters now;
    circflow_stream_id near;
    circflow_verdict verdict;
    circflow_stream_id far;
    (void)state;
    host_prepare_run(&world);
    host_start(&world);
    OK(circflow_engine_set_param(EXIT, CIRCFLOW_PATH_EXIT, "cc_xoff_exit", 10));
    OK(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_EXIT, "cc_xoff_exit", 10));
    host_linked(&world, 1);
    near = host_begun(&world, CLIENT, world.client_set, (circflow_circuit_id){0}, HOST_HOPS, 7);
    message = host_with_digest(host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "a:1", 4), 1);
    OK(circflow_circuit_receive(EXIT, world.now, world.exit_leg[0], &message, &verdict));
    far = verdict.stream;
    for (uint64_t n = 1; n <= 31; n++) {
        OK(host_stream_send(&world, CLIENT, near, CIRCFLOW_CMD_DATA, data, sizeof(data), &verdict));
        if (verdict.flags & CIRCFLOW_WANTS_DIGEST)
            OK(circflow_circuit_add_digest(CLIENT, verdict.circuit, HOST_HOPS, host_digest(n), 20));
        message = host_with_digest(host_message(CIRCFLOW_CMD_DATA, 0, 7, data, sizeof(data)), n);
        world.now += MS;
        OK(host_feed(&world, EXIT, world.exit_leg[0], message));
    }
    assert_int_equal(sound(EXIT).sendmes_sent, 0); /* It waits to be taken. */
    host_drain(EXIT);
    now = sound(EXIT);
    assert_int_equal(now.sendmes_sent, 1);
    assert_int_equal(now.streams, 1);
    assert_int_equal(now.xoffs_sent, 1);
    assert_int_equal(now.xons_sent, 0);
    OK(circflow_stream_flushed(EXIT, world.now, far, 31 * sizeof(data)));
    assert_int_equal(sound(EXIT).xons_sent, 1);
    OK(host_feed(&world, CLIENT, LEG(0), host_sendme(HOST_HOPS, host_digest(31), 20)));
    OK(host_feed(&world, CLIENT, LEG(0), host_with_digest(host_message(CIRCFLOW_CMD_XOFF, HOST_HOPS, 7, "", 1), 1)));
    OK(host_feed(&world, CLIENT, LEG(0), host_with_digest(host_message(CIRCFLOW_CMD_XON, HOST_HOPS, 7, "\0\0\0\0\0", 5), 2)));
    now = sound(CLIENT);
    assert_int_equal(now.sendmes_received, 1);
    assert_int_equal(now.xoffs_received, 1);
    assert_int_equal(now.xons_received, 1);
    assert_int_equal(now.xoffs_sent, 0);
    OK(host_stream_send(&world, CLIENT, near, CIRCFLOW_CMD_END, "\1", 1, &verdict));
    assert_true(sound(CLIENT).stream_bytes > 0);
}

static void padding_is_counted(void **state)
{
    circflow_engine_counters now;
    circflow_padding_budget budget;
    (void)state;
    host_start(&world);
    host_pair(&world);
    host_shut(&world, CLIENT, LEG(0), 1);
    now = sound(CLIENT);
    assert_int_equal(now.padding_received, 1);
    assert_int_equal(now.padding_blocks, 1);
    host_circuit_sends(&world, CLIENT, LEG(0), host_data(HOST_HOPS, "held"), CIRCFLOW_VERDICT_HELD);
    assert_true(sound(CLIENT).sending_bytes > 0);
    host_later(&world, CLIENT, 100 * MS);
    host_drain(CLIENT);
    assert_int_equal(sound(CLIENT).sending_bytes, 0);
    host_pair(&world);
    host_pad(&world, CLIENT, LEG(1), "pad-00", 2, 0);
    OK(circflow_padding_budget_init(&budget, sizeof(budget)));
    budget.allowed_cells = 1;
    budget.percent_max = 1;
    OK(circflow_engine_set_padding_budget(CLIENT, &budget));
    for (int n = 0; n < 3; n++) {
        host_other(&world, CLIENT, LEG(1), 2);
        host_later(&world, CLIENT, 10 * MS);
        host_drain(CLIENT);
    }
    now = sound(CLIENT);
    assert_int_equal(now.padding_sent, 1);
    assert_int_equal(now.padding_refused, 2);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
    assert_int_equal(sound(CLIENT).padding_blocks, 1);
}

/* A cell that waits to be written takes the place of padding; so does one that a block held back. */
static void replaced_padding_is_counted(void **state)
{
    (void)state;
    host_start(&world);
    host_pair(&world);
    host_pad(&world, CLIENT, LEG(0), "pad-01", 2, 0);
    host_circuit_sends(&world, CLIENT, LEG(0), host_data(HOST_HOPS, "unwritten"), CIRCFLOW_VERDICT_SEND);
    host_other(&world, CLIENT, LEG(0), 2);
    host_later(&world, CLIENT, 10 * MS);
    host_drain(CLIENT);
    assert_int_equal(sound(CLIENT).padding_replaced, 1);
    assert_int_equal(sound(CLIENT).padding_replaced, host_pad_stats(CLIENT, LEG(0), 2, 0).replaced);
    assert_int_equal(sound(CLIENT).padding_sent, 0);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
    assert_int_equal(sound(CLIENT).padding_replaced, 1);
}

/* The engine that closes its own at the hub's cap counts it; the others do not. */
static void reclaims_at_the_cap_of_a_hub_are_counted(void **state)
{
    circflow_engine *exits[2];
    circflow_circuit_id legs[2];
    circflow_hub *hub = host_hub(1 << 18);
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        uint8_t nonce[CIRCFLOW_NONCE_LEN] = {(uint8_t)(i + 1)};
        exits[i] = host_exit(&world, 10 + i, hub, host_no_wake, NULL);
        legs[i] = host_open(&world, exits[i], CIRCFLOW_ROLE_RELAY);
        OK(host_feed(&world, exits[i], legs[i], host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 0)));
        host_drain(exits[i]);
        OK(host_feed(&world, exits[i], legs[i], host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
        OK(host_feed(&world, exits[i], legs[i], host_switch(0, 1)));
    }
    int status = CIRCFLOW_OK;
    host_expect(&world, exits[1], legs[1], host_token(0, 1, 1000), CIRCFLOW_VERDICT_HELD);
    for (uint64_t n = 1; n <= 300 && status == CIRCFLOW_OK; n++)
        status = host_feed(&world, exits[0], legs[0], host_token(0, n, 1000));
    assert_int_equal(status, CIRCFLOW_ERR_HUB_MEMORY);
    assert_int_equal(sound(exits[0]).reclaims_hub, 1);
    assert_int_equal(at_status(sound(exits[0]).sets_ended, CIRCFLOW_ERR_HUB_MEMORY), 1);
    assert_int_equal(sound(exits[1]).reclaims_hub, 0);
    for (int i = 0; i < 2; i++)
        OK(circflow_engine_free(exits[i], NULL, NULL));
    OK(circflow_hub_free(hub));
}

/* A peer's fault closes a leg, and another the whole set. */
static void faults_are_counted_by_status(void **state)
{
    circflow_engine_counters now;
    (void)state;
    host_adopted(&world, 2);
    IS(CIRCFLOW_ERR_UNEXPECTED_LINKED, host_feed(&world, CLIENT, LEG(1),
                                                 host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, (const uint8_t[32]){0}, 0, 0, 0)));
    now = sound(CLIENT);
    assert_int_equal(at_status(now.faults, CIRCFLOW_ERR_UNEXPECTED_LINKED), 1);
    assert_int_equal(at_status(now.legs_lost, CIRCFLOW_ERR_UNEXPECTED_LINKED), 1);
    assert_int_equal(now.sets, 1);
    IS(CIRCFLOW_ERR_BAD_SWITCH, host_feed(&world, CLIENT, LEG(0), host_message(CIRCFLOW_CMD_SWITCH, HOST_HOPS, 0, "x", 1)));
    host_drain(CLIENT);
    now = sound(CLIENT);
    assert_int_equal(at_status(now.faults, CIRCFLOW_ERR_BAD_SWITCH), 1);
    assert_int_equal(at_status(now.sets_ended, CIRCFLOW_ERR_BAD_SWITCH), 1);
    assert_int_equal(SUM(now.faults), 2);
    assert_int_equal(SUM(now.legs_lost), 1);
}

static void reclaims_are_counted_by_cap(void **state)
{
    circflow_engine_counters now;
    (void)state;
    world.client_terms.held_bytes_max = 1000;
    world.client_terms.held_age_max_ns = SECOND;
    host_adopted(&world, 2);
    jumps(0, 1);
    host_expect(&world, CLIENT, LEG(0), host_token(HOST_HOPS, 1, 900), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_SET_MEMORY, host_feed(&world, CLIENT, LEG(0), host_token(HOST_HOPS, 2, 900)));
    host_drain(CLIENT);
    now = sound(CLIENT);
    assert_int_equal(now.reclaims_set, 1);
    assert_int_equal(now.reclaims_age, 0);
    assert_int_equal(now.messages_discarded, 1);
    host_stop(&world);
    /* Too old. */
    host_adopted(&world, 2);
    jumps(0, 1);
    host_expect(&world, CLIENT, LEG(0), host_token(HOST_HOPS, 1, 900), CIRCFLOW_VERDICT_HELD);
    for (int n = 0; n < 3; n++)
        host_later(&world, CLIENT, SECOND / 2);
    now = sound(CLIENT);
    assert_int_equal(now.reclaims_age, 1);
    assert_int_equal(at_status(now.sets_ended, CIRCFLOW_ERR_HELD_TOO_LONG), 1);
    host_stop(&world);
    /* The engine's cap: the set is the only victim there is. */
    host_prepare(&world);
    world.engine_config.held_bytes_max = 2000;
    host_adopted(&world, 2);
    jumps(0, 1);
    host_expect(&world, CLIENT, LEG(0), host_token(HOST_HOPS, 1, 900), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, CLIENT, LEG(0), host_token(HOST_HOPS, 2, 900), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_ENGINE_MEMORY, host_feed(&world, CLIENT, LEG(0), host_token(HOST_HOPS, 3, 900)));
    now = sound(CLIENT);
    assert_int_equal(now.reclaims_engine, 1);
    assert_int_equal(now.reclaims_hub, 0);
}

static void events_that_nobody_read_are_counted(void **state)
{
    uint8_t piece[8192];
    size_t len;
    uint64_t overwritten;
    (void)state;
    host_start(&world);
    OK(circflow_engine_record(CLIENT, 4096, CIRCFLOW_RECORD_HOST));
    for (uint64_t n = 0; n < 1000; n++)
        OK(circflow_engine_set_clock(CLIENT, world.now + n));
    assert_true(sound(CLIENT).events_overwritten > 800);
    OK(circflow_engine_record_read(CLIENT, piece, sizeof(piece), &len, &overwritten));
    assert_int_equal(sound(CLIENT).events_overwritten, overwritten);
    /* A new ring does not forget them. */
    OK(circflow_engine_record(CLIENT, 4096, CIRCFLOW_RECORD_HOST));
    assert_int_equal(sound(CLIENT).events_overwritten, overwritten);
}

static void steps_of_the_clock_are_counted(void **state)
{
    (void)state;
    host_start(&world);
    OK(circflow_engine_tick(CLIENT, world.now));
    OK(circflow_engine_tick(CLIENT, world.now - 1));
    OK(circflow_engine_tick(CLIENT, world.now + 2 * 3600 * SECOND));
    assert_int_equal(sound(CLIENT).clock_steps_back, 1);
    assert_int_equal(sound(CLIENT).clock_steps_ahead, 1);
}

static void each_status_has_its_place(void **state)
{
    uint8_t taken[CIRCFLOW_COUNTED_STATUSES] = {0};
    (void)state;
    assert_int_equal(circflow_status_place(CIRCFLOW_OK), 0);
    for (int status = -600; status <= 10; status++) {
        const uint32_t place = circflow_status_place(status);
        const int class = circflow_status_class(status);
        if (class == CIRCFLOW_CLASS_OK || class == CIRCFLOW_CLASS_PEER || class == CIRCFLOW_CLASS_LIMIT) {
            assert_true(place < CIRCFLOW_COUNTED_STATUSES);
            assert_int_equal(taken[place]++, 0);
        } else {
            assert_int_equal(place, CIRCFLOW_COUNTED_STATUSES);
        }
    }
    assert_int_equal(circflow_status_place(INT32_MIN), CIRCFLOW_COUNTED_STATUSES);
}

static void the_text_says_its_length(void **state)
{
    static char text[1 << 15];
    size_t len = 0, again = 0;
    (void)state;
    host_adopted(&world, 2);
    arrives(0, CIRCFLOW_VERDICT_DELIVER);
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_write_metrics(CLIENT, NULL, 0, &len));
    assert_true(len > 1000 && len < sizeof(text));
    memset(text, 'x', sizeof(text));
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_write_metrics(CLIENT, text, len, &again));
    assert_int_equal(again, len);
    assert_int_equal(text[0], 'x'); /* Nothing was written. */
    OK(circflow_engine_write_metrics(CLIENT, text, len + 1, NULL));
    assert_int_equal(strlen(text), len);
    assert_int_equal(text[len + 1], 'x');
    assert_string_equal(text + len - 6, "# EOF\n");
    assert_non_null(strstr(text, "\ncircflow_messages_in_order_total{engine=\"1\"} 1\n"));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_write_metrics(CLIENT, NULL, 1, &len));
}

static void a_host_of_an_older_version_gets_what_it_knows(void **state)
{
    struct {
        size_t size;
        uint64_t circuits, sets, guard;
    } old = {offsetof(circflow_engine_counters, streams), 9, 9, 9};
    (void)state;
    host_linked(&world, 2);
    OK(circflow_engine_get_counters(CLIENT, (circflow_engine_counters *)&old));
    assert_int_equal(old.circuits, 2);
    assert_int_equal(old.sets, 1);
    assert_int_equal(old.guard, 9);
    old.size = 1;
    IS(CIRCFLOW_ERR_VERSION, circflow_engine_get_counters(CLIENT, (circflow_engine_counters *)&old));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_counters(CLIENT, NULL));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_has_happened_in_a_new_engine),
        TEST(sets_and_legs_are_counted_at_both_ends),
        TEST(a_set_that_is_refused_was_never_opened),
        TEST(order_is_counted_by_message_and_by_run),
        TEST(a_run_ends_however_it_is_taken),
        TEST(totals_stay_when_a_set_goes),
        TEST(what_a_set_leaves_behind_is_released_or_discarded),
        TEST(a_set_that_is_dissolved_has_not_ended),
        TEST(a_host_that_is_refused_waits),
        TEST(imported_numbers_are_not_counted),
        TEST(flow_is_counted_at_both_ends),
        TEST(padding_is_counted),
        TEST(replaced_padding_is_counted),
        TEST(reclaims_at_the_cap_of_a_hub_are_counted),
        TEST(faults_are_counted_by_status),
        TEST(reclaims_are_counted_by_cap),
        TEST(events_that_nobody_read_are_counted),
        TEST(steps_of_the_clock_are_counted),
        TEST(each_status_has_its_place),
        TEST(the_text_says_its_length),
        TEST(a_host_of_an_older_version_gets_what_it_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
