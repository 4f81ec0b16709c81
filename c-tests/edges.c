/* Sharp edges of other implementations of conflux, as read in C Tor 0.4.9.11 and in arti's tor-proto 0.47.0, or told in
 * Tor's release notes (TROVE). Each has a test that shows that circflow does not have it; the file and line say where it
 * was seen. */

#include "host.h"

HOST_WORLD(host_prepare)

static circflow_message linked(const uint8_t *nonce)
{
    return host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, nonce, 0, 0, CIRCFLOW_UX_MIN_LATENCY);
}

static int at_client(size_t leg, circflow_message message)
{
    return host_feed(&world, world.client, world.client_leg[leg], message);
}

static void bring(size_t leg, circflow_message message, uint32_t kind)
{
    host_expect(&world, world.client, world.client_leg[leg], message, kind);
}

static circflow_verdict send_data(circflow_engine *engine, circflow_set_id set, uint8_t hop)
{
    circflow_message data = host_data(hop, "x");
    circflow_verdict verdict;
    memset(&verdict, 0, sizeof(verdict));
    OK(circflow_set_send(engine, world.now, set, &data, NULL, 0, &verdict));
    return verdict;
}

/* --- C Tor --- */

/* conflux_pool.c:1939: LINKED again, while the set waits for another leg, sets a new RTT and sends another LINKED_ACK. */
static void c_second_linked(void **state)
{
    (void)state;
    host_asked(&world, 2);
    OK(at_client(0, linked(world.client_terms.nonce)));
    host_drain(world.client);
    IS(CIRCFLOW_ERR_UNEXPECTED_LINKED, at_client(0, linked(world.client_terms.nonce)));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_SEND), 0);
}

/* conflux_pool.c:1776: nothing bounds the wait for LINKED. */
static void c_no_timer_for_linked(void **state)
{
    uint64_t deadline = 0;
    (void)state;
    host_asked(&world, 2);
    OK(at_client(0, linked(world.client_terms.nonce)));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_USABLE), 0);
    OK(circflow_engine_get_deadline(world.client, &deadline));
    assert_int_equal(deadline, world.now + world.client_terms.link_timeout_ns);
    OK(circflow_engine_tick(world.client, deadline));
    const host_events *events = host_drain(world.client);
    assert_int_equal(host_close_of(events, world.client_leg[1])->detail.close.cause, CIRCFLOW_ERR_LINKED_TIMEOUT);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_USABLE), 1); /* That leg only; the set goes on. */
}

/* conflux_pool.c:2041: a leg that was refused gets its LINKED_ACK all the same. */
static void c_ack_for_a_refused_leg(void **state)
{
    uint8_t wrong[CIRCFLOW_NONCE_LEN];
    (void)state;
    host_asked(&world, 2);
    memcpy(wrong, world.client_terms.nonce, sizeof(wrong));
    wrong[CIRCFLOW_NONCE_LEN - 1] ^= 1; /* All 32 bytes count (TROVE-2026-004). */
    IS(CIRCFLOW_ERR_BAD_NONCE, at_client(0, linked(wrong)));
    const host_events *events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 0);
    assert_non_null(host_close_of(events, world.client_leg[0]));
    assert_null(host_close_of(events, world.client_leg[1]));
}

/* conflux_pool.c:1473: when the last pending leg goes and none may replace it, the linked ones wait for ever. */
static void c_linked_legs_wait_for_ever(void **state)
{
    (void)state;
    world.client_terms.launches_max = 2;
    host_asked(&world, 2);
    OK(at_client(0, linked(world.client_terms.nonce)));
    host_drain(world.client);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_USABLE), 1);
}

/* conflux.c:602: a mere question fixes the leg, another wins before the first message, and SWITCH(0) goes out. */
static void c_switch_by_zero(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_adopted(&world, 2);
    host_room(&world, world.client, world.client_leg[0], 10, 5 * MS);
    host_room(&world, world.client, world.client_leg[1], 10, 9 * MS);
    OK(circflow_set_get_decision(world.client, world.client_set, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[0].v);
    host_room(&world, world.client, world.client_leg[1], 10, MS);
    verdict = send_data(world.client, world.client_set, HOST_HOPS);
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    assert_int_equal(verdict.switch_delta, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).switches_sent, 0);
}

/* conflux.c:447: CwndRTT takes the last leg that would do, not the fastest. */
static void c_cwnd_rtt_takes_the_last(void **state)
{
    (void)state;
    world.client_terms.algorithm = CIRCFLOW_ALGORITHM_CWND_RTT;
    host_linked(&world, 3);
    host_room(&world, world.client, world.client_leg[0], 0, MS);
    host_room(&world, world.client, world.client_leg[1], 50, 2 * MS);
    host_room(&world, world.client, world.client_leg[2], 50, 3 * MS);
    assert_int_equal(send_data(world.client, world.client_set, HOST_HOPS).circuit.v, world.client_leg[1].v);
}

/* conflux.c:1003: a number that was delivered already, at the head of the queue, blocks it for ever. */
static void c_stale_head_blocks_the_queue(void **state)
{
    (void)state;
    host_adopted(&world, 3);
    bring(0, host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    bring(0, host_data(HOST_HOPS, "2"), CIRCFLOW_VERDICT_HELD);
    bring(0, host_data(HOST_HOPS, "3"), CIRCFLOW_VERDICT_HELD);
    bring(1, host_switch(HOST_HOPS, 2), CIRCFLOW_VERDICT_CONSUMED);
    bring(1, host_data(HOST_HOPS, "3 again"), CIRCFLOW_VERDICT_HELD);
    bring(2, host_data(HOST_HOPS, "1"), CIRCFLOW_VERDICT_DELIVER);
    const host_events *events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 2);
    assert_int_equal(host_first(events, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_NUMBER_TWICE);
}

/* conflux_cell.c:287: a SWITCH that cannot be read counts as SWITCH(0) and is accepted. */
static void c_unreadable_switch(void **state)
{
    (void)state;
    host_adopted(&world, 2);
    IS(CIRCFLOW_ERR_BAD_SWITCH, at_client(0, host_message(CIRCFLOW_CMD_SWITCH, HOST_HOPS, 0, "\0\0\1", 3)));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_CLOSE), 2);
}

/* conflux.c:844: neither the value of a SWITCH nor its repetition is looked at. */
static void c_unchecked_switch(void **state)
{
    (void)state;
    host_adopted(&world, 2);
    bring(0, host_switch(HOST_HOPS, 7), CIRCFLOW_VERDICT_CONSUMED);
    IS(CIRCFLOW_ERR_SWITCH_REPEATED, at_client(0, host_switch(HOST_HOPS, 7)));
    host_stop(&world);
    host_prepare(&world);
    host_adopted(&world, 2);
    IS(CIRCFLOW_ERR_SWITCH_TOO_FAR, at_client(0, host_switch(HOST_HOPS, UINT32_MAX)));
}

/* conflux.c:925: the queue may grow to 2 GiB, and its cap is asked after the message has been put in. */
static void c_cap_after_the_fact(void **state)
{
    (void)state;
    world.client_terms.held_bytes_max = 2 * CIRCFLOW_HELD_COST;
    host_linked(&world, 2);
    bring(1, host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    bring(1, host_data(HOST_HOPS, "2"), CIRCFLOW_VERDICT_HELD);
    bring(1, host_data(HOST_HOPS, "3"), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_SET_MEMORY, at_client(1, host_data(HOST_HOPS, "4")));
    assert_int_equal(host_stats(world.client).held_bytes_peak, 2 * CIRCFLOW_HELD_COST);
    host_drain(world.client);
    assert_int_equal(host_stats(world.client).held_bytes, 0); /* TROVE-2026-010: the books are even after the end. */
}

/* conflux_pool.c:503: a leg that joins while messages are in flight starts from numbers on which the ends disagree. */
static void c_joining_a_live_set(void **state)
{
    circflow_verdict first, second;
    (void)state;
    host_linked(&world, 1);
    host_room(&world, world.exit, world.exit_leg[0], 2, MS);
    first = send_data(world.exit, world.exit_set, 0); /* In flight while the second leg is linked. */
    assert_int_equal(first.number, 1);
    send_data(world.exit, world.exit_set, 0);
    host_launch(&world, 1);
    host_carry(&world);
    host_room(&world, world.exit, world.exit_leg[1], 10, MS);
    second = send_data(world.exit, world.exit_set, 0);
    assert_int_equal(second.circuit.v, world.exit_leg[1].v);
    assert_int_equal(second.switch_delta, 2);
    bring(1, host_switch(HOST_HOPS, second.switch_delta), CIRCFLOW_VERDICT_CONSUMED);
    bring(1, host_data(HOST_HOPS, "3"), CIRCFLOW_VERDICT_HELD);
    bring(0, host_data(HOST_HOPS, "1"), CIRCFLOW_VERDICT_DELIVER);
    bring(0, host_data(HOST_HOPS, "2"), CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_DELIVER)->detail.deliver.number, 3);
}

/* conflux_pool.c:2085: LINKED_ACK again overwrites the leg's RTT, at a moment of the client's choice. */
static void c_second_linked_ack(void **state)
{
    (void)state;
    host_linked(&world, 2);
    IS(CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
       host_feed(&world, world.exit, world.exit_leg[0], host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
}

/* relay.c, connection_edge_process_ordered_relay_cell: a queued message is handled as if it had come on the leg whose
 * cell set it free. */
static void c_message_on_the_wrong_leg(void **state)
{
    (void)state;
    host_adopted(&world, 2);
    bring(1, host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    bring(1, host_data(HOST_HOPS, "2"), CIRCFLOW_VERDICT_HELD);
    bring(0, host_data(HOST_HOPS, "1"), CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_DELIVER)->circuit.v, world.client_leg[1].v);
}

/* conflux_pool.c:1819: nothing caps the sets that clients can make an exit keep. */
static void c_sets_without_end(void **state)
{
    uint8_t nonce[CIRCFLOW_NONCE_LEN] = {0};
    (void)state;
    world.engine_config.sets_max = 2;
    host_start(&world);
    for (uint8_t i = 0; i < 3; i++) {
        nonce[0] = i;
        const circflow_circuit_id circuit = host_open(&world, world.exit, CIRCFLOW_ROLE_RELAY);
        IS(i < 2 ? CIRCFLOW_OK : CIRCFLOW_ERR_LINK_LIMIT,
           host_feed(&world, world.exit, circuit, host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 3)));
    }
}

/* --- arti --- */

/* conflux/msghandler.rs:112: a number that was delivered is reported as a bug of ours. */
static void arti_stale_number_is_our_bug(void **state)
{
    (void)state;
    host_adopted(&world, 2);
    bring(0, host_data(HOST_HOPS, "1"), CIRCFLOW_VERDICT_DELIVER);
    IS(CIRCFLOW_ERR_NUMBER_STALE, at_client(1, host_data(HOST_HOPS, "1")));
    assert_int_equal(circflow_status_class(CIRCFLOW_ERR_NUMBER_STALE), CIRCFLOW_CLASS_PEER);
    OK(circflow_engine_tick(world.client, world.now)); /* The engine is well. */
}

/* client/reactor/conflux.rs:782: one leg without an RTT stops all sending. */
static void arti_leg_without_rtt(void **state)
{
    (void)state;
    host_adopted(&world, 1);
    const circflow_circuit_id fresh = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, fresh, 3, 0));
    host_room(&world, world.client, fresh, 10, 0);
    host_room(&world, world.client, world.client_leg[0], 10, 90 * MS);
    assert_int_equal(send_data(world.client, world.client_set, HOST_HOPS).circuit.v, world.client_leg[0].v);
}

/* client/reactor/circuit.rs:492: messages of any hop move the numbers. */
static void arti_every_hop_counts(void **state)
{
    (void)state;
    world.client_circuit.flags |= CIRCFLOW_CIRCUIT_LEAKY_PIPE;
    host_linked(&world, 2);
    bring(0, host_data(HOST_HOPS - 1, "from the middle"), CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(host_export(world.client, world.client_set).legs[0].received, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 0);
}

/* conflux/msghandler.rs:146: a leg delivers before LINKED. */
static void arti_data_before_linked(void **state)
{
    (void)state;
    host_launched(&world, 2);
    IS(CIRCFLOW_ERR_UNLINKED_DATA, at_client(0, host_data(HOST_HOPS, "early")));
}

/* client/reactor.rs:871: what a leg brought too early is an internal error once the leg has gone. */
static void arti_message_of_a_gone_leg(void **state)
{
    (void)state;
    host_adopted(&world, 3);
    bring(0, host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    bring(0, host_data(HOST_HOPS, "2"), CIRCFLOW_VERDICT_HELD);
    bring(1, host_switch(HOST_HOPS, 2), CIRCFLOW_VERDICT_CONSUMED);
    bring(1, host_data(HOST_HOPS, "3"), CIRCFLOW_VERDICT_HELD);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    bring(2, host_data(HOST_HOPS, "1"), CIRCFLOW_VERDICT_DELIVER);
    const host_events *events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 2);
    assert_int_equal(events->at[0].insn.circuit.v, 0);
    assert_memory_equal(events->at[0].body, "2", 1);
}

/* client/reactor/conflux.rs:318: losing the first circuit before it is linked kills the tunnel. */
static void arti_first_leg_lost(void **state)
{
    (void)state;
    host_launched(&world, 2);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    host_drain(world.client);
    OK(at_client(1, linked(world.client_terms.nonce)));
    const host_events *events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_USABLE), 1);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_ENDED), 0);
}

/* conflux/msghandler.rs, validate_switch_seqno: the first SWITCH of an honest peer is too far when more messages than
 * the initial window went before it: BEGIN, END and XON take no window. */
static void arti_honest_first_switch(void **state)
{
    (void)state;
    host_adopted(&world, 2);
    bring(1, host_switch(HOST_HOPS, 5000), CIRCFLOW_VERDICT_CONSUMED);
    bring(1, host_data(HOST_HOPS, "5001"), CIRCFLOW_VERDICT_HELD);
}

/* client/reactor/conflux.rs:682: the distance between two legs is subtracted unchecked, and one above 32 bits is an
 * internal error. */
static void arti_distance_of_legs(void **state)
{
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers row = {{0}, UINT64_C(0x200000000), 0};
    (void)state;
    host_adopted(&world, 2);
    host_room(&world, world.client, world.client_leg[0], 1, 9 * MS);
    host_room(&world, world.client, world.client_leg[1], 10, MS);
    numbers.sending = row.circuit = world.client_leg[0];
    OK(circflow_set_import(world.client, world.now, world.client_set, &numbers, &row, 1));
    const circflow_verdict verdict = send_data(world.client, world.client_set, HOST_HOPS);
    assert_int_equal(verdict.circuit.v, world.client_leg[0].v); /* The better leg is out of a SWITCH's reach. */
    assert_int_equal(verdict.switch_delta, 0);
}

/* conflux/msghandler.rs, LINK_TIMEOUT: time is the wall clock's, so a step back makes a round trip of years. */
static void arti_wall_clock(void **state)
{
    (void)state;
    host_asked(&world, 1);
    world.now -= 50 * SECOND;
    OK(at_client(0, linked(world.client_terms.nonce)));
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_LINKED)->detail.linked.rtt_ns, 0);
    assert_int_equal(host_stats(world.client).time_backwards, 1);
}

/* client/reactor/conflux.rs:723: the sender goes by its own wish, not by the peer's. */
static void arti_own_wish(void **state)
{
    (void)state;
    world.client_terms.desired_ux = CIRCFLOW_UX_HIGH_THROUGHPUT;
    world.exit_terms.desired_ux = CIRCFLOW_UX_MIN_LATENCY;
    host_linked(&world, 2);
    for (int end = 0; end < 2; end++) {
        circflow_engine *engine = end ? world.exit : world.client;
        const circflow_circuit_id *leg = end ? world.exit_leg : world.client_leg;
        host_room(&world, engine, leg[0], 0, MS);
        host_room(&world, engine, leg[1], 10, 9 * MS);
    }
    /* The client wants throughput: the exit takes the slower leg that has room. */
    assert_int_equal(send_data(world.exit, world.exit_set, 0).circuit.v, world.exit_leg[1].v);
    /* The exit wants latency: the client waits for the fast one. */
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
}

/* client/reactor/circuit.rs:433: any cell but LINK on a pending leg kills the tunnel; padding may come at any time. */
static void arti_padding_on_a_pending_leg(void **state)
{
    (void)state;
    host_asked(&world, 2);
    OK(circflow_circuit_set_flags(world.client, world.client_leg[0], CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_OTHER_PADDER));
    bring(0, host_message(CIRCFLOW_CMD_DROP, HOST_HOPS, 0, NULL, 0), CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(host_drain(world.client)->count, 0);
}

/* client.rs:506, and TROVE-2026-008: BEGIN_DIR goes through a conflux tunnel. */
static void arti_begin_dir(void **state)
{
    circflow_message begin_dir = host_message(CIRCFLOW_CMD_BEGIN_DIR, 0, 9, NULL, 0);
    circflow_verdict verdict;
    (void)state;
    host_linked(&world, 2);
    OK(circflow_circuit_receive(world.exit, world.now, world.exit_leg[0], &begin_dir, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_REFUSE);
    assert_int_equal(verdict.end_reason, 14); /* NOTDIRECTORY */
    begin_dir.hop = HOST_HOPS;
    IS(CIRCFLOW_ERR_NOT_MULTIPLEXED,
       circflow_set_send(world.client, world.now, world.client_set, &begin_dir, NULL, 0, &verdict));
}

/* --- Release notes --- */

/* TROVE-2023-007: after an error the circuit was used on. TROVE-2026-026: a recovery leg revived a set that was over. */
static void nothing_lives_after_the_end(void **state)
{
    (void)state;
    host_linked(&world, 2);
    IS(CIRCFLOW_ERR_BAD_SWITCH, at_client(0, host_message(CIRCFLOW_CMD_SWITCH, HOST_HOPS, 0, NULL, 0)));
    IS(CIRCFLOW_ERR_CLOSING, at_client(0, host_data(HOST_HOPS, "x")));
    IS(CIRCFLOW_ERR_CLOSING, at_client(1, host_data(HOST_HOPS, "x")));
    const circflow_circuit_id fresh = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_add_legs(world.client, world.now, world.client_set, &fresh, 1));
    const circflow_leg_report report = {.circuit = fresh};
    IS(CIRCFLOW_ERR_NOT_A_LEG, circflow_leg_update(world.client, world.now, &report, 1));
}

#define EDGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EDGE(c_second_linked), EDGE(c_no_timer_for_linked), EDGE(c_ack_for_a_refused_leg),
        EDGE(c_linked_legs_wait_for_ever), EDGE(c_switch_by_zero), EDGE(c_cwnd_rtt_takes_the_last),
        EDGE(c_stale_head_blocks_the_queue), EDGE(c_unreadable_switch), EDGE(c_unchecked_switch),
        EDGE(c_cap_after_the_fact), EDGE(c_joining_a_live_set), EDGE(c_second_linked_ack),
        EDGE(c_message_on_the_wrong_leg), EDGE(c_sets_without_end), EDGE(arti_stale_number_is_our_bug),
        EDGE(arti_leg_without_rtt), EDGE(arti_every_hop_counts), EDGE(arti_data_before_linked),
        EDGE(arti_message_of_a_gone_leg), EDGE(arti_first_leg_lost), EDGE(arti_honest_first_switch),
        EDGE(arti_distance_of_legs), EDGE(arti_wall_clock), EDGE(arti_own_wish),
        EDGE(arti_padding_on_a_pending_leg), EDGE(arti_begin_dir), EDGE(nothing_lives_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
