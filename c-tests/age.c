/* How long messages are held for order: not longer than held_age_max_ns, whatever a peer does. */

#include "host.h"

#include <stdio.h>
#include <stdlib.h>

#define AGE (120 * SECOND)
#define HOUR (3600 * SECOND)
#define WEEK (7 * 24 * HOUR)

static host_world world;
static host_ledger ledger;

#define EXIT world.exit
#define SET world.exit_set
#define LEG(i) world.exit_leg[i]

static int setup(void **state)
{
    (void)state;
    memset(&ledger, 0, sizeof(ledger));
    host_prepare(&world);
    return 0;
}

HOST_TEARDOWN

static int feed(size_t leg, circflow_message message) { return host_feed(&world, EXIT, LEG(leg), message); }
static circflow_set_stats stats(void) { return host_set_stats(EXIT, SET); }

/* Everything since the last call of ended_by(). */
static host_events seen;

static void remember(const host_events *events)
{
    for (size_t i = 0; i < events->count && seen.count < HOST_EVENTS_MAX; i++)
        seen.at[seen.count++] = events->at[i];
    host_book(&ledger, events);
}

/* Calls that the engine has asked for. */
static size_t wakes;

/* Calls whenever the engine wants to be called, until `until`; then the clock says so. Stops when a set ends. */
static void walk(uint64_t until)
{
    for (size_t steps = 0; steps < 100000; steps++) {
        uint64_t deadline = host_deadline(EXIT);
        int is_last = deadline >= until;
        if (is_last)
            deadline = until;
        if (deadline > world.now)
            world.now = deadline;
        wakes++;
        OK(circflow_engine_tick(EXIT, world.now));
        remember(host_drain(EXIT));
        if (is_last || host_count(&seen, CIRCFLOW_INSN_ENDED) > 0)
            return;
    }
    fail_msg("the engine wants to be called for ever");
}

/* The set lives until just before `when`, and ends then, its legs with it. */
static void ends_at(uint64_t when)
{
    walk(when - 3 * MS);
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_ENDED), 0);
    walk(when);
    assert_int_equal(host_first(&seen, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_HELD_TOO_LONG);
    for (size_t i = 0; i < world.leg_count; i++) {
        const circflow_insn *close = host_close_of(&seen, LEG(i));
        if (close == NULL)
            continue;
        assert_int_equal(close->detail.close.cause, CIRCFLOW_ERR_HELD_TOO_LONG);
        assert_int_equal(close->detail.close.reason, circflow_status_close_reason(CIRCFLOW_ERR_HELD_TOO_LONG));
    }
    host_settle(&ledger);
    assert_int_equal(host_stats(EXIT).held_bytes, 0);
    assert_int_equal(host_stats(EXIT).sets, 0);
    assert_true(host_deadline(EXIT) == CIRCFLOW_NEVER);
    memset(&seen, 0, sizeof(seen));
}

static void lives_until(uint64_t when)
{
    walk(when);
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_ENDED), 0);
}

/* A set of two legs, of which the second has brought the message after the next. */
static void with_a_hole(void)
{
    memset(&seen, 0, sizeof(seen));
    host_linked(&world, 2);
    OK(feed(1, host_switch(0, 1)));
    host_expect(&world, EXIT, LEG(1), host_token(0, 1, 500), CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, 1, 500);
}

static void again(void)
{
    host_stop(&world);
    setup(NULL);
}

static void a_hole_has_an_age(void **state)
{
    (void)state;
    assert_int_equal(world.engine_config.held_age_max_ns, AGE);
    with_a_hole();
    uint64_t from = world.now;
    assert_true(host_deadline(EXIT) <= from + AGE);
    walk(from + AGE / 2);
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_ENDED), 0);
    ends_at(from + AGE);
}

static void a_drip_does_not_help(void **state)
{
    (void)state;
    with_a_hole();
    uint64_t from = world.now;
    for (uint64_t i = 2; world.now + 3 * MS < from + AGE; i++) {
        lives_until(from + (i - 1) * SECOND - 3 * MS);
        host_expect(&world, EXIT, LEG(1), host_token(0, i, 500), CIRCFLOW_VERDICT_HELD);
        host_lend(&ledger, i, 500);
    }
    ends_at(from + AGE);
}

/* What comes in time begins the count anew, with the oldest that is left. */
static void the_oldest_counts(void **state)
{
    (void)state;
    with_a_hole();
    uint64_t from = world.now;
    lives_until(from + 50 * SECOND);
    OK(feed(1, host_switch(0, 1))); /* Another hole, 50 s younger. */
    host_expect(&world, EXIT, LEG(1), host_token(0, 2, 500), CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, 2, 500);
    lives_until(from + 110 * SECOND);
    host_expect(&world, EXIT, LEG(0), host_data(0, "1"), CIRCFLOW_VERDICT_DELIVER);
    remember(host_drain(EXIT));
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_DELIVER), 1);
    ends_at(from + 50 * SECOND + AGE);
}

/* Set after set of holes that are filled: none adds to another. */
static void many_short_holes_are_no_long_one(void **state)
{
    (void)state;
    host_linked(&world, 2);
    memset(&seen, 0, sizeof(seen));
    for (int i = 0; i < 10; i++) {
        OK(feed(1, host_switch(0, 1)));
        host_expect(&world, EXIT, LEG(1), host_data(0, "early"), CIRCFLOW_VERDICT_HELD);
        lives_until(world.now + 60 * SECOND);
        if (i > 0)
            OK(feed(0, host_switch(0, 1)));
        host_expect(&world, EXIT, LEG(0), host_data(0, "late"), CIRCFLOW_VERDICT_DELIVER);
        remember(host_drain(EXIT));
        lives_until(world.now + (uint64_t)i * SECOND);
    }
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_DELIVER), 10);
    assert_true(host_deadline(EXIT) == CIRCFLOW_NEVER);
}

static void zero_switches_it_off(void **state)
{
    (void)state;
    for (int of_set = 0; of_set < 2; of_set++) {
        if (of_set)
            world.exit_terms.held_age_max_ns = 0;
        else
            world.engine_config.held_age_max_ns = 0;
        with_a_hole();
        assert_true(host_deadline(EXIT) == CIRCFLOW_NEVER);
        lives_until(world.now + 365 * 24 * HOUR);
        assert_int_equal(stats().held, 1);
        again();
    }
}

static void a_set_has_its_own_bound(void **state)
{
    static const struct {
        uint64_t engine, set, ends;
    } rows[] = {{7 * SECOND, CIRCFLOW_AS_ENGINE, 7 * SECOND}, {7 * SECOND, 3 * SECOND, 3 * SECOND},
                {7 * SECOND, 20 * SECOND, 20 * SECOND},       {0, 5 * SECOND, 5 * SECOND},
                {7 * SECOND, 100 * MS, 100 * MS}};
    (void)state;
    assert_true(world.exit_terms.held_age_max_ns == CIRCFLOW_AS_ENGINE);
    for (size_t i = 0; i < COUNT(rows); i++) {
        world.engine_config.held_age_max_ns = rows[i].engine;
        world.exit_terms.held_age_max_ns = rows[i].set;
        with_a_hole();
        ends_at(world.now + rows[i].ends);
        again();
    }
}

/* A client's set is bound as well. */
static void at_a_client_too(void **state)
{
    (void)state;
    world.client_terms.held_age_max_ns = 10 * SECOND;
    host_linked(&world, 2);
    OK(host_feed(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1)));
    host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "2"), CIRCFLOW_VERDICT_HELD);
    for (int i = 0; i < 20; i++) {
        assert_true(host_deadline(world.client) <= world.now + SECOND);
        world.now += SECOND / 2;
        OK(circflow_engine_tick(world.client, world.now));
    }
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_HELD_TOO_LONG);
}

/* The same where circflow has the streams. */
static void on_circuits_that_are_run_too(void **state)
{
    (void)state;
    world.client_circuit.flags = world.exit_circuit.flags = HOST_RUN;
    host_linked(&world, 2);
    memset(&seen, 0, sizeof(seen));
    OK(feed(1, host_switch(0, 1)));
    host_expect(&world, EXIT, LEG(1), host_data(0, "2"), CIRCFLOW_VERDICT_HELD);
    ends_at(world.now + AGE);
}

/* What has its turn, and was not taken, is the host's to take. */
static void what_is_ready_does_not_age(void **state)
{
    (void)state;
    with_a_hole();
    host_expect(&world, EXIT, LEG(0), host_data(0, "1"), CIRCFLOW_VERDICT_DELIVER);
    for (int i = 0; i < 600; i++) {
        world.now += SECOND;
        OK(circflow_engine_tick(EXIT, world.now));
    }
    remember(host_drain(EXIT));
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_ENDED), 0);
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_DELIVER), 1);
    host_settle(&ledger);
}

/* Behind it there may be a hole: that one has its age when the host comes to it. */
static void a_hole_behind_what_is_ready_ages(void **state)
{
    (void)state;
    with_a_hole();
    uint64_t from = world.now;
    OK(feed(1, host_switch(0, 1)));
    host_expect(&world, EXIT, LEG(1), host_token(0, 2, 500), CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, 2, 500);
    host_expect(&world, EXIT, LEG(0), host_data(0, "1"), CIRCFLOW_VERDICT_DELIVER);
    for (int i = 0; i < 100; i++) {
        world.now += SECOND;
        OK(circflow_engine_tick(EXIT, world.now));
    }
    remember(host_drain(EXIT));
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_DELIVER), 1);
    ends_at(from + AGE);
}

/* A suspended machine: of a time in which nobody called, one second counts. */
static void a_suspended_machine_ends_nothing(void **state)
{
    (void)state;
    for (int with_receive = 0; with_receive < 2; with_receive++) {
        with_a_hole();
        lives_until(world.now + 10 * SECOND);
        world.now += 8 * HOUR;
        if (with_receive) { /* What woke it up need not be the timer. */
            host_expect(&world, EXIT, LEG(1), host_token(0, 2, 500), CIRCFLOW_VERDICT_HELD);
            host_lend(&ledger, 2, 500);
        } else
            lives_until(world.now);
        uint64_t age = world.now - stats().held_since_ns;
        assert_true(age >= 10 * SECOND && age <= 11 * SECOND + 2 * MS);
        ends_at(world.now + AGE - 11 * SECOND);
        again();
    }
}

/* An idle time before the message does not make it older, nor younger. */
static void idle_time_before_does_not_count(void **state)
{
    (void)state;
    host_linked(&world, 2);
    world.now += 8 * HOUR;
    OK(feed(1, host_switch(0, 1)));
    world.now += 8 * HOUR;
    memset(&seen, 0, sizeof(seen));
    host_expect(&world, EXIT, LEG(1), host_data(0, "2"), CIRCFLOW_VERDICT_HELD);
    ends_at(world.now + AGE);
}

/* By the deployed rules a set lives on without a leg on which less than one SENDME's worth was in flight, although it
 * may be lost: then the rest waits for what nobody sends again. */
static void a_quiet_leg_that_is_lost_stalls_no_set_for_ever(void **state)
{
    (void)state;
    with_a_hole();
    uint64_t from = world.now;
    OK(circflow_circuit_gone(EXIT, world.now, LEG(0)));
    remember(host_drain(EXIT));
    assert_int_equal(host_count(&seen, CIRCFLOW_INSN_ENDED), 0);
    lives_until(from + 60 * SECOND);
    host_expect(&world, EXIT, LEG(1), host_data(0, "3"), CIRCFLOW_VERDICT_HELD);
    ends_at(from + AGE);
}

/* What legs that have gone brought keeps its age, whatever is put in front of it. */
static void what_is_left_of_legs_keeps_its_age(void **state)
{
    (void)state;
    host_linked(&world, 6);
    memset(&seen, 0, sizeof(seen));
    uint64_t from = world.now;
    for (size_t i = 0; i < 5; i++) {
        OK(feed(5 - i, host_switch(0, (uint32_t)(10 - i))));
        host_expect(&world, EXIT, LEG(5 - i), host_data(0, "early"), CIRCFLOW_VERDICT_HELD);
        if (i > 0) {
            OK(circflow_circuit_gone(EXIT, world.now, LEG(5 - i)));
            remember(host_drain(EXIT));
        }
        lives_until(from + (i + 1) * 20 * SECOND);
    }
    ends_at(from + AGE);
}

static void held_since_is_the_oldest(void **state)
{
    (void)state;
    host_linked(&world, 2);
    assert_true(stats().held_since_ns == CIRCFLOW_NEVER);
    OK(feed(1, host_switch(0, 1)));
    assert_true(stats().held_since_ns == CIRCFLOW_NEVER);
    uint64_t first = world.now;
    host_expect(&world, EXIT, LEG(1), host_data(0, "2"), CIRCFLOW_VERDICT_HELD);
    OK(feed(1, host_switch(0, 1)));
    for (int i = 0; i < 9; i++) {
        world.now += SECOND;
        OK(circflow_engine_tick(EXIT, world.now));
    }
    uint64_t second = world.now;
    host_expect(&world, EXIT, LEG(1), host_data(0, "4"), CIRCFLOW_VERDICT_HELD);
    assert_true(stats().held_since_ns + 2 * MS >= first && stats().held_since_ns <= first + 2 * MS);
    host_expect(&world, EXIT, LEG(0), host_data(0, "1"), CIRCFLOW_VERDICT_DELIVER);
    host_drain(EXIT);
    assert_true(stats().held_since_ns + 2 * MS >= second && stats().held_since_ns <= second + 2 * MS);
    OK(feed(0, host_switch(0, 1)));
    host_expect(&world, EXIT, LEG(0), host_data(0, "3"), CIRCFLOW_VERDICT_DELIVER);
    host_drain(EXIT);
    assert_true(stats().held_since_ns == CIRCFLOW_NEVER);
}

static char lines[4096];

static void keep_line(void *userdata, uint32_t level, uint32_t engine_number, const char *line)
{
    (void)userdata, (void)level, (void)engine_number;
    strncat(lines, line, sizeof(lines) - strlen(lines) - 1);
}

static void the_log_says_why(void **state)
{
    (void)state;
    with_a_hole();
    lines[0] = '\0';
    OK(circflow_log_set_fn(2, keep_line, NULL));
    ends_at(world.now + AGE);
    OK(circflow_log_set_fn(5, NULL, NULL));
    assert_non_null(strstr(lines, circflow_status_text(CIRCFLOW_ERR_HELD_TOO_LONG)));
    assert_non_null(strstr(lines, "held=500"));
}

/* Ages are kept in 32 bits of milliseconds: a bound that is longer than they can tell would never be kept, and one near
 * the end of time would be due at once for ever. */
static void an_age_that_cannot_be_told_is_refused(void **state)
{
    static const uint64_t too_long[] = {WEEK + 1, 40 * 24 * HOUR, CIRCFLOW_NEVER - 2 * SECOND, CIRCFLOW_NEVER - 1};
    circflow_engine *none = NULL;
    circflow_set_config config = world.exit_terms;
    (void)state;
    for (size_t i = 0; i < COUNT(too_long); i++) {
        world.engine_config.held_age_max_ns = too_long[i];
        IS(CIRCFLOW_ERR_INVALID, circflow_engine_new(&world.engine_config, &none));
        assert_null(none);
    }
    world.engine_config.held_age_max_ns = CIRCFLOW_NEVER;
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_new(&world.engine_config, &none));
    world.engine_config.held_age_max_ns = WEEK;
    host_start(&world);
    for (size_t i = 0; i < COUNT(too_long); i++) {
        config.held_age_max_ns = too_long[i];
        IS(CIRCFLOW_ERR_INVALID, circflow_engine_accept_sets(EXIT, &config));
        world.client_terms.held_age_max_ns = too_long[i];
        IS(CIRCFLOW_ERR_INVALID, circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
    }
    config.held_age_max_ns = WEEK;
    OK(circflow_engine_accept_sets(EXIT, &config));
}

/* Ages are told in steps of 2^20 ns. Whatever the bound is of that, a set is looked at a few times, and not in each
 * nanosecond of its last step. */
static void no_bound_makes_many_wake_ups(void **state)
{
    static const uint64_t bounds[] = {(1000 << 20) + 1, (1000 << 20) - 1, 1000 << 20, 3 * SECOND, 999999937};
    (void)state;
    for (size_t i = 0; i < COUNT(bounds); i++) {
        for (uint64_t step = 0; step < 5; step++) {
            world.engine_config.held_age_max_ns = bounds[i];
            with_a_hole();
            lives_until(world.now + bounds[i] / 2 + step * 200000);
            OK(feed(1, host_switch(0, 1))); /* A younger hole, and the older one is filled. */
            uint64_t from = world.now;
            host_expect(&world, EXIT, LEG(1), host_token(0, 2, 500), CIRCFLOW_VERDICT_HELD);
            host_lend(&ledger, 2, 500);
            host_expect(&world, EXIT, LEG(0), host_data(0, "1"), CIRCFLOW_VERDICT_DELIVER);
            remember(host_drain(EXIT));
            wakes = 0;
            ends_at(from + bounds[i]);
            assert_in_range(wakes, 1, 12);
            again();
        }
    }
}

/* The longest there is: a message a week old ends its set, and not before. */
static void the_longest_age_is_kept(void **state)
{
    (void)state;
    world.now = UINT64_C(1700000000) * SECOND;
    world.engine_config.held_age_max_ns = WEEK;
    with_a_hole();
    uint64_t from = world.now;
    while (world.now < from + WEEK - SECOND) {
        world.now += SECOND;
        OK(circflow_engine_tick(EXIT, world.now));
    }
    ends_at(from + WEEK);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_hole_has_an_age),
        TEST(a_drip_does_not_help),
        TEST(the_oldest_counts),
        TEST(many_short_holes_are_no_long_one),
        TEST(zero_switches_it_off),
        TEST(a_set_has_its_own_bound),
        TEST(at_a_client_too),
        TEST(on_circuits_that_are_run_too),
        TEST(what_is_ready_does_not_age),
        TEST(a_hole_behind_what_is_ready_ages),
        TEST(a_suspended_machine_ends_nothing),
        TEST(idle_time_before_does_not_count),
        TEST(a_quiet_leg_that_is_lost_stalls_no_set_for_ever),
        TEST(what_is_left_of_legs_keeps_its_age),
        TEST(held_since_is_the_oldest),
        TEST(the_log_says_why),
        TEST(an_age_that_cannot_be_told_is_refused),
        TEST(no_bound_makes_many_wake_ups),
        TEST(the_longest_age_is_kept),
    };
    return cmocka_run_group_tests_name("age", tests, NULL, NULL);
}
