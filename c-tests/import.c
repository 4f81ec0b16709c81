/* A set's numbers out and in, for a host whose own structs are authoritative. */

#include "host.h"

static host_world world;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    host_adopted(&world, 3);
    for (size_t i = 0; i < 3; i++)
        host_room(&world, world.client, world.client_leg[i], 100, (i + 1) * MS);
    return 0;
}

HOST_TEARDOWN

/* Imports `delivered`, and for one leg `sent` and `recv`. */
static int import_leg(uint64_t delivered, circflow_circuit_id sending, circflow_circuit_id leg, uint64_t sent, uint64_t recv)
{
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers row;
    numbers.delivered = delivered;
    numbers.sending = sending;
    row.circuit = leg;
    row.sent = sent;
    row.received = recv;
    return circflow_set_import(world.client, world.now, world.client_set, &numbers, &row, 1);
}

static const circflow_circuit_id none = {0};

static void what_goes_in_comes_out(void **state)
{
    circflow_set_numbers numbers = {41, {0}};
    circflow_leg_numbers legs[3];
    host_numbers out;
    (void)state;
    numbers.sending = world.client_leg[2];
    for (size_t i = 0; i < 3; i++) {
        legs[i].circuit = world.client_leg[i];
        legs[i].sent = 100 * (i + 1);
        legs[i].received = 41 - i;
    }
    OK(circflow_set_import(world.client, world.now, world.client_set, &numbers, legs, 3));
    out = host_export(world.client, world.client_set);
    assert_int_equal(out.set.delivered, 41);
    assert_int_equal(out.set.sending.v, world.client_leg[2].v);
    assert_int_equal(out.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(out.legs[i].circuit.v, legs[i].circuit.v); /* In the order in which they joined. */
        assert_int_equal(out.legs[i].sent, legs[i].sent);
        assert_int_equal(out.legs[i].received, legs[i].received);
    }
    assert_int_equal(host_set_stats(world.client, world.client_set).sent, 300);
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 41);
    /* In again, it changes nothing; the order of rows does not matter, and not every leg need be named. */
    OK(circflow_set_import(world.client, world.now, world.client_set, &out.set, out.legs, 3));
    OK(circflow_set_import(world.client, world.now, world.client_set, &out.set, &out.legs[1], 1));
    OK(circflow_set_import(world.client, world.now, world.client_set, &out.set, NULL, 0));
    host_numbers again = host_export(world.client, world.client_set);
    assert_memory_equal(&again, &out, sizeof(out));
    /* And it is what the next messages count from. */
    assert_int_equal(host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_DELIVER), 42);
    circflow_verdict verdict;
    circflow_message data = host_data(HOST_HOPS, "x");
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.number, 301);
    assert_int_equal(verdict.circuit.v, world.client_leg[0].v);
    assert_int_equal(verdict.switch_delta, 200);
}

static void export_wants_room(void **state)
{
    circflow_set_numbers numbers;
    circflow_leg_numbers legs[3];
    size_t count = 77;
    (void)state;
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_set_export(world.client, world.client_set, &numbers, legs, 2, &count));
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_set_export(world.client, world.client_set, &numbers, NULL, 0, &count));
    assert_int_equal(count, 77);
    OK(circflow_set_export(world.client, world.client_set, &numbers, legs, 3, &count));
    assert_int_equal(count, 3);
    IS(CIRCFLOW_ERR_NULL, circflow_set_export(world.client, world.client_set, NULL, legs, 3, &count));
    IS(CIRCFLOW_ERR_NULL, circflow_set_export(world.client, world.client_set, &numbers, NULL, 3, &count));
    IS(CIRCFLOW_ERR_NULL, circflow_set_export(world.client, world.client_set, &numbers, legs, 3, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_set_import(world.client, world.now, world.client_set, NULL, legs, 3));
    IS(CIRCFLOW_ERR_NULL, circflow_set_import(world.client, world.now, world.client_set, &numbers, NULL, 3));
}

static void refused_numbers_change_nothing(void **state)
{
    circflow_circuit_id a = world.client_leg[0], b = world.client_leg[1], c = world.client_leg[2], pending, alone, other;
    circflow_set_config terms = world.client_terms;
    circflow_set_id other_set;
    host_numbers before, after;
    (void)state;
    alone = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    pending = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_set_add_legs(world.client, world.now, world.client_set, &pending, 1));
    terms.nonce[0] ^= 1;
    other = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_set_open(world.client, world.now, &terms, &other_set));
    OK(circflow_set_adopt_leg(world.client, world.now, other_set, other, 0, 0));
    OK(import_leg(10, a, a, 20, 10));
    /* Leg b holds 15 and 16. */
    host_expect(&world, world.client, b, host_switch(HOST_HOPS, 14), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.client, b, host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, world.client, b, host_data(HOST_HOPS, "y"), CIRCFLOW_VERDICT_HELD);
    before = host_export(world.client, world.client_set);
    circflow_engine_stats engine_before = host_stats(world.client);
    IS(CIRCFLOW_ERR_NUMBERS, import_leg(10, a, b, 0, 15));      /* recv below what it holds */
    IS(CIRCFLOW_ERR_NUMBERS, import_leg(15, a, c, 0, 0));       /* a held message would be behind delivered */
    IS(CIRCFLOW_ERR_NUMBERS, import_leg(10, b, c, 0, 0));       /* sending leg has not the highest sent */
    IS(CIRCFLOW_ERR_NUMBERS, import_leg(10, a, c, 21, 0));      /* neither has it then */
    IS(CIRCFLOW_ERR_NUMBERS, import_leg(10, pending, c, 0, 0)); /* sending leg is not linked */
    IS(CIRCFLOW_ERR_NUMBERS, import_leg(10, none, c, 0, 0));    /* no sending leg, and numbers were sent */
    IS(CIRCFLOW_ERR_NUMBERS, import_leg(10, other, c, 0, 0));   /* sending leg is another set's */
    IS(CIRCFLOW_ERR_NOT_A_LEG, import_leg(10, a, alone, 0, 0));
    IS(CIRCFLOW_ERR_NOT_A_LEG, import_leg(10, a, other, 0, 0));
    IS(CIRCFLOW_ERR_ZERO_ID, import_leg(10, a, none, 0, 0));
    /* The first row would do; the second does not. */
    circflow_set_numbers numbers = {10, {0}};
    circflow_leg_numbers rows[2] = {{{0}, 19, 3}, {{0}, 0, 1}};
    numbers.sending = a;
    rows[0].circuit = c;
    rows[1].circuit = b;
    IS(CIRCFLOW_ERR_NUMBERS, circflow_set_import(world.client, world.now, world.client_set, &numbers, rows, 2));
    after = host_export(world.client, world.client_set);
    assert_memory_equal(&after, &before, sizeof(before));
    circflow_engine_stats engine_after = host_stats(world.client);
    assert_memory_equal(&engine_after, &engine_before, sizeof(engine_before));
    /* At the bounds, it is taken: recv as high as what is held, delivered just below it. */
    OK(import_leg(10, a, b, 0, 16));
    OK(import_leg(14, a, c, 0, 0));
}

static void raising_recv_counts_as_messages_received(void **state)
{
    uint64_t recv[2] = {0, 0}, delivered = 0;
    (void)state;
    /* The host shows circflow the SWITCHes only, and tells the rest by numbers. */
    for (int round = 0; round < 500; round++) {
        circflow_circuit_id leg = world.client_leg[round % 2];
        uint32_t delta = (uint32_t)(delivered - recv[round % 2]);
        if (delta != 0)
            host_expect(&world, world.client, leg, host_switch(HOST_HOPS, delta), CIRCFLOW_VERDICT_CONSUMED);
        recv[round % 2] = ++delivered;
        OK(import_leg(delivered, none, leg, 0, recv[round % 2]));
    }
    assert_int_equal(host_set_stats(world.client, world.client_set).switches_received, 499);
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 500);
    /* On one and the same leg as well, with holes that the host says are filled. */
    delivered = recv[0];
    for (int round = 0; round < 500; round++) {
        host_expect(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 10), CIRCFLOW_VERDICT_CONSUMED);
        delivered += 11;
        OK(import_leg(delivered, none, world.client_leg[0], 0, delivered));
    }
    /* Without news of a message, the second SWITCH is one too many. */
    host_expect(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 10), CIRCFLOW_VERDICT_CONSUMED);
    OK(import_leg(delivered, none, world.client_leg[0], 0, delivered + 10));
    IS(CIRCFLOW_ERR_SWITCH_REPEATED, host_feed(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 10)));
}

static void messages_that_become_ready_are_delivered(void **state)
{
    const host_events *events;
    (void)state;
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 5), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "six"), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "seven"), CIRCFLOW_VERDICT_HELD);
    OK(import_leg(4, none, world.client_leg[0], 0, 4));
    assert_int_equal(host_drain(world.client)->count, 0);
    OK(import_leg(5, none, world.client_leg[0], 0, 5));
    events = host_drain(world.client);
    assert_int_equal(events->count, 2);
    assert_int_equal(events->at[0].insn.detail.deliver.number, 6);
    assert_memory_equal(events->at[0].body, "six", 3);
    assert_int_equal(events->at[1].insn.detail.deliver.number, 7);
    assert_memory_equal(events->at[1].body, "seven", 5);
    assert_int_equal(host_export(world.client, world.client_set).set.delivered, 7);
}

static void room_made_by_an_import_is_told(void **state)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    (void)state;
    OK(import_leg(0, world.client_leg[0], world.client_leg[0], UINT64_C(0x100000000), 0));
    host_room(&world, world.client, world.client_leg[0], 0, MS);
    /* Room on the others, but they are too far behind for one SWITCH. */
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(host_drain(world.client)->count, 0);
    OK(import_leg(0, world.client_leg[0], world.client_leg[1], UINT64_C(0xffffffff), 0));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_MAY_SEND), 1);
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    assert_int_equal(verdict.switch_delta, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_goes_in_comes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(export_wants_room, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_numbers_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(raising_recv_counts_as_messages_received, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_that_become_ready_are_delivered, setup, teardown),
        cmocka_unit_test_setup_teardown(room_made_by_an_import_is_told, setup, teardown),
    };
    return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
