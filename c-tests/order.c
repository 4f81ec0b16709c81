/* What must not overtake what, and what must not be lost on the way: the orders that a queue between deciding and doing
 * makes easy to get wrong. */

#include "host.h"

HOST_WORLD(host_clear)

/* Brings a LINK for `leg` to the exit, with the nonce of the client's set. */
static void bring_link(size_t leg)
{
    host_expect(&world, world.exit, world.exit_leg[leg],
                host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, CIRCFLOW_UX_HIGH_THROUGHPUT),
                CIRCFLOW_VERDICT_CONSUMED);
}

/* An exit's leg receives from LINK on, and sends only once its LINKED is the host's to send. */
static void nothing_overtakes_linked(void **state)
{
    uint8_t body[CIRCFLOW_BODY_MAX];
    circflow_message xon = host_message(CIRCFLOW_CMD_XON, 0, 1, "\0\0\0\0\0", 5);
    circflow_verdict verdict;
    circflow_insn insn;
    (void)state;
    host_launched(&world, 2);
    bring_link(0);
    OK(circflow_engine_poll(world.exit, body, sizeof(body), &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_LINKED);
    world.exit_set = insn.set;
    IS(CIRCFLOW_ERR_NOT_USABLE, circflow_set_send(world.exit, world.now, world.exit_set, &xon, NULL, 0, &verdict));
    OK(circflow_engine_poll(world.exit, body, sizeof(body), &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_SEND);
    OK(circflow_engine_poll(world.exit, body, sizeof(body), &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_USABLE);
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &xon, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);

    /* A second leg, faster and with room: not before its own LINKED. */
    bring_link(1);
    host_room(&world, world.exit, world.exit_leg[1], 10, MS);
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &xon, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
    assert_int_equal(verdict.switch_delta, 0);
    host_expect(&world, world.exit, world.exit_leg[1], host_data(0, "received already"), CIRCFLOW_VERDICT_DELIVER);
    host_drain(world.exit);
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &xon, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[1].v);
    assert_int_equal(verdict.switch_delta, 2);
}

/* The round trip begins when the host takes LINK to send it, not when circflow thought of it. */
static void the_round_trip_begins_with_sending(void **state)
{
    (void)state;
    host_launched(&world, 1);
    world.now += 500 * MS; /* The host was busy. */
    host_tick(&world, world.client);
    world.now += 10 * MS;
    host_expect(&world, world.client, world.client_leg[0],
                host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, world.client_terms.nonce, 0, 0, CIRCFLOW_UX_MIN_LATENCY),
                CIRCFLOW_VERDICT_CONSUMED);
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_LINKED)->detail.linked.rtt_ns, 10 * MS);
}

/* Messages that had their turn are delivered though their set ends before the host has drained; others are not. */
static void what_had_its_turn_is_delivered(void **state)
{
    const host_events *events;
    uint8_t small[3];
    circflow_insn insn;
    (void)state;
    host_linked(&world, 2);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "second"), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, world.client, world.client_leg[1], host_token(HOST_HOPS, 3, 100), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.client, world.client_leg[1], host_token(HOST_HOPS, 5, 100), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "sixth"), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(world.client, small, sizeof(small), &insn));
    events = host_drain(world.client);
    assert_int_equal(events->count, 5);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_DELIVER);
    assert_int_equal(events->at[0].insn.detail.deliver.number, 2);
    assert_int_equal(events->at[0].insn.set.v, world.client_set.v);
    assert_memory_equal(events->at[0].body, "second", 6);
    assert_int_equal(events->at[1].insn.kind, CIRCFLOW_INSN_DELIVER);
    assert_int_equal(events->at[1].insn.detail.deliver.token, 3);
    assert_int_equal(events->at[2].insn.kind, CIRCFLOW_INSN_DISCARD);
    assert_int_equal(events->at[2].insn.detail.discard.token, 5);
    assert_int_equal(events->at[3].insn.kind, CIRCFLOW_INSN_CLOSE);
    assert_int_equal(events->at[4].insn.kind, CIRCFLOW_INSN_ENDED);
    assert_int_equal(host_stats(world.client).held_bytes, 0);
}

/* A SWITCH whose message was refused binds the next message to its leg, also after numbers went out and in again. */
static void an_import_of_an_export_changes_nothing(void **state)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    host_numbers numbers;
    (void)state;
    host_adopted(&world, 2);
    host_room(&world, world.client, world.client_leg[0], 1, MS);
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    host_room(&world, world.client, world.client_leg[1], 10, 2 * MS);
    OK(circflow_set_decide(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    OK(circflow_circuit_cell_queued(world.client, world.now, world.client_leg[1], CIRCFLOW_CMD_SWITCH, HOST_HOPS));
    numbers = host_export(world.client, world.client_set);
    OK(circflow_set_import(world.client, world.now, world.client_set, &numbers.set, numbers.legs, numbers.count));
    host_room(&world, world.client, world.client_leg[0], 10, MS);
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    assert_int_equal(verdict.switch_delta, 0);
}

static void numbers_that_nobody_can_have_are_refused(void **state)
{
    circflow_set_numbers numbers = {1000, {0}};
    circflow_leg_numbers row = {{0}, 0, 0};
    (void)state;
    host_adopted(&world, 2);
    IS(CIRCFLOW_ERR_NUMBERS, circflow_set_import(world.client, world.now, world.client_set, &numbers, NULL, 0));
    row.circuit = world.client_leg[0];
    row.received = 999;
    IS(CIRCFLOW_ERR_NUMBERS, circflow_set_import(world.client, world.now, world.client_set, &numbers, &row, 1));
    row.received = 1000;
    OK(circflow_set_import(world.client, world.now, world.client_set, &numbers, &row, 1));
}

static void a_leg_that_is_not_linked_has_no_numbers(void **state)
{
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers row = {{0}, 0, 5};
    (void)state;
    host_launched(&world, 1);
    row.circuit = world.client_leg[0];
    IS(CIRCFLOW_ERR_NUMBERS, circflow_set_import(world.client, world.now, world.client_set, &numbers, &row, 1));
}

/* A circuit that goes on to another hop is no leg, whoever did the handshake. */
static void an_extended_circuit_is_not_adopted(void **state)
{
    (void)state;
    host_adopted(&world, 1);
    const circflow_circuit_id circuit = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_circuit_set_flags(world.client, circuit, CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_EXTENDED));
    IS(CIRCFLOW_ERR_ROLE, circflow_set_adopt_leg(world.client, world.now, world.client_set, circuit, 0, 0));
    OK(circflow_circuit_set_flags(world.client, circuit, CIRCFLOW_CIRCUIT_VEGAS));
    OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, circuit, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_overtakes_linked, setup, teardown),
        cmocka_unit_test_setup_teardown(the_round_trip_begins_with_sending, setup, teardown),
        cmocka_unit_test_setup_teardown(what_had_its_turn_is_delivered, setup, teardown),
        cmocka_unit_test_setup_teardown(an_import_of_an_export_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_that_nobody_can_have_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leg_that_is_not_linked_has_no_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(an_extended_circuit_is_not_adopted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
