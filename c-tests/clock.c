/* A host whose clock was wrong, ahead or behind, and says so. */

#include "host.h"

HOST_WORLD(host_begin)

#define CLIENT world.client

static const uint64_t WILD[] = {UINT64_C(1) << 60, UINT64_MAX / 2, UINT64_MAX - 1, UINT64_MAX};

static void ticks(uint64_t now) { OK(circflow_engine_tick(CLIENT, now)); }
static void set_clock(uint64_t now)
{
    world.now = now;
    OK(circflow_engine_set_clock(CLIENT, now));
}

/* A leg whose exit does not answer: its time is over 60 s later, not a nanosecond before. */
static void times_out_at(uint64_t deadline)
{
    assert_int_equal(host_deadline(CLIENT), deadline);
    ticks(deadline - 1);
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_CLOSE), 0);
    ticks(deadline);
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_CLOSE), 1);
}

static void launch(void)
{
    circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, &circuit, 1));
    host_drain(CLIENT);
}

static void a_wild_time_is_taken_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(WILD); i++) {
        host_stop(&world);
        setup(NULL);
        ticks(HOST_START);
        ticks(WILD[i]);
        assert_int_equal(host_stats(CLIENT).time_leaps, 1);
        set_clock(HOST_START + SECOND);
        launch();
        times_out_at(HOST_START + 61 * SECOND);
        assert_int_equal(host_stats(CLIENT).time_backwards, 0);
    }
}

/* Also when things were set up at the wild time, and as often as you like. */
static void what_was_set_at_the_wild_time_goes_on(void **state)
{
    (void)state;
    ticks(HOST_START);
    for (size_t i = 0; i < 100; i++) {
        world.now = WILD[i % COUNT(WILD)];
        launch();
        set_clock(HOST_START + i * SECOND);
        times_out_at(HOST_START + (i + 60) * SECOND);
        set_clock(HOST_START + i * SECOND);
    }
    assert_int_equal(host_stats(CLIENT).time_leaps, 100);
}

static void a_clock_that_was_set_back_goes_on(void **state)
{
    (void)state;
    world.now = HOST_START + 3600 * SECOND;
    launch();
    ticks(HOST_START);
    assert_int_equal(host_stats(CLIENT).time_backwards, 1);
    assert_int_equal(host_deadline(CLIENT), HOST_START + 3660 * SECOND);
    set_clock(HOST_START);
    times_out_at(HOST_START + 60 * SECOND);
    assert_int_equal(host_stats(CLIENT).time_backwards, 1);
}

/* Set ahead, no time passes. */
static void a_clock_that_was_behind_goes_on(void **state)
{
    (void)state;
    launch();
    ticks(HOST_START + 20 * SECOND);
    set_clock(5000 * SECOND);
    times_out_at(5040 * SECOND);
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_clock(CLIENT, CIRCFLOW_NEVER));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_set_clock(NULL, 5));
}

/* Nor is it too late for a clock that begins anew at 0. */
static void a_clock_that_begins_anew_goes_on(void **state)
{
    (void)state;
    launch();
    set_clock(0);
    times_out_at(60 * SECOND);
    set_clock(UINT64_MAX - 3600 * SECOND);
    world.now += SECOND;
    launch();
    times_out_at(UINT64_MAX - 3539 * SECOND);
}

static void padding_goes_on(void **state)
{
    static const uint64_t to[] = {SECOND, HOST_START, 7777 * SECOND};
    (void)state;
    circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    host_pad(&world, CLIENT, circuit, "pad-00", 2, 0);
    for (size_t i = 0; i < COUNT(to); i++) {
        host_other(&world, CLIENT, circuit, 2);
        ticks(world.now += 4 * MS);
        set_clock(to[i]);
        assert_true(host_deadline(CLIENT) <= to[i] + 6 * MS);
        ticks(to[i] + 6 * MS - 1);
        assert_int_equal(host_drain(CLIENT)->count, 0);
        ticks(world.now = to[i] + 6 * MS);
        assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_PADDING), 1);
    }
}

/* A round trip that began on another clock is not one. */
static void round_trips_under_way_are_not_measured(void **state)
{
    (void)state;
    host_pair(&world);
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, &world.client_leg[0], 1));
    host_drain(CLIENT);
    set_clock(500 * SECOND);
    world.now += 30 * MS;
    OK(host_feed(&world, CLIENT, world.client_leg[0],
                 host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, world.client_terms.nonce, 0, 0, CIRCFLOW_UX_MIN_LATENCY)));
    const circflow_insn *linked = host_first(host_drain(CLIENT), CIRCFLOW_INSN_LINKED);
    assert_int_equal(linked->detail.linked.rtt_ns, 0);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).last_active_ns, 0);
}

/* What is held is as old as it was, on the new clock. */
static void what_is_held_keeps_its_age(void **state)
{
    (void)state;
    host_stop(&world);
    memset(&world, 0, sizeof(world));
    host_adopted(&world, 2);
    host_expect(&world, CLIENT, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, world.client_leg[1], host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_HELD);
    ticks(world.now += SECOND / 2);
    set_clock(1000 * SECOND);
    circflow_set_stats stats = host_set_stats(CLIENT, world.client_set);
    assert_in_range(stats.held_since_ns, 1000 * SECOND - SECOND / 2 - 3 * MS, 1000 * SECOND - SECOND / 2 + 3 * MS);
    assert_int_equal(stats.last_active_ns, 1000 * SECOND - SECOND / 2);
    assert_true(host_deadline(CLIENT) > world.now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_wild_time_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_set_at_the_wild_time_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_was_behind_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_begins_anew_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(padding_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(round_trips_under_way_are_not_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_held_keeps_its_age, setup, teardown),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
