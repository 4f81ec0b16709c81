/* Timers of padding machines: set, moved, cancelled, late, endless. */

#include "host.h"

#include <stdio.h>

static host_world world;

#define CLIENT world.client
#define LEG(i) world.client_leg[i]
#define STEPS_MAX 64

static void begin(uint32_t insns_max)
{
    host_prepare(&world);
    world.engine_config.padding_floor_ns = 0; /* What one call does shows best where machines never rest: see loops.c. */
    if (insns_max > 0)
        world.engine_config.insns_max = insns_max;
    host_start(&world);
    host_pair(&world);
    host_pair(&world);
}

static int setup(void **state)
{
    (void)state;
    begin(0);
    return 0;
}

HOST_TEARDOWN

static void again(void)
{
    host_stop(&world);
    begin(0);
}

static void pad(size_t leg, const char *machines) { host_pad(&world, CLIENT, LEG(leg), machines, 2, 0); }
static void other(size_t leg) { host_other(&world, CLIENT, LEG(leg), 2); }
static void drop(size_t leg) { host_drop(&world, CLIENT, LEG(leg), 2); }
static circflow_padding_stats stats(size_t leg) { return host_pad_stats(CLIENT, LEG(leg), 2, 0); }
static void due_at(uint64_t ms) { assert_int_equal(host_deadline(CLIENT), HOST_START + ms * MS); }
static void never_due(void) { assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER); }

static const host_events *at_ns(uint64_t ns)
{
    world.now = HOST_START + ns;
    return host_tick(&world, CLIENT);
}

static const host_events *at(uint64_t ms) { return at_ns(ms * MS); }
static void quiet_at(uint64_t ms) { assert_int_equal(at(ms)->count, 0); }

static void pads_at(uint64_t ms)
{
    const host_events *events = at(ms);
    assert_int_equal(events->count, 1);
    host_is_padding(&events->at[0].insn, LEG(0), 2, 0, 0);
}

static void a_new_action_replaces_the_one_before(void **state)
{
    (void)state;
    never_due();
    pad(0, "pad-00");
    never_due();
    assert_int_equal(stats(0).machines, 1);
    assert_int_equal(stats(0).timers, 0);
    assert_int_equal(host_stats(CLIENT).timers, 0);
    other(0);
    due_at(10);
    assert_int_equal(stats(0).timers, 1);
    assert_int_equal(host_stats(CLIENT).timers, 1);
    quiet_at(5);
    other(0);
    quiet_at(10);
    due_at(15);
    assert_int_equal(at_ns(15 * MS - 1)->count, 0);
    pads_at(15);
    never_due();
    assert_int_equal(stats(0).timers, 0);
    assert_int_equal(host_stats(CLIENT).timers, 0);
    assert_int_equal(stats(0).padding_sent, 1);
}

static void timers_are_cancelled(void **state)
{
    static const struct {
        const char *machines;
        int action, internal;
    } rows[] = {{"cancel-action", 0, 1}, {"cancel-internal", 1, 0}, {"cancel-all", 0, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        again();
        pad(0, rows[i].machines);
        other(0);
        OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(0), CIRCFLOW_CMD_SENDME, 2));
        assert_int_equal(stats(0).timers, 2);
        assert_int_equal(host_stats(CLIENT).timers, 1); /* One for each circuit. */
        due_at(10);
        quiet_at(2);
        drop(0);
        assert_int_equal(stats(0).timers, (unsigned)(rows[i].action + rows[i].internal));
        if (!rows[i].action && !rows[i].internal)
            never_due();
        else
            due_at(10); /* A deadline may be too early by a timer that was cancelled; then it costs one tick. */
        assert_int_equal(at(10)->count, (unsigned)rows[i].action);
        if (rows[i].internal)
            due_at(20);
        quiet_at(20);
        never_due();
    }
}

static void an_internal_timer_is_moved_or_extended(void **state)
{
    (void)state;
    pad(0, "timer-end-0"); /* Extended only. */
    other(0);
    due_at(50);
    quiet_at(10);
    drop(0); /* To 30, if it were replaced. */
    quiet_at(30);
    due_at(50);
    quiet_at(40);
    drop(0); /* To 60. */
    quiet_at(50);
    due_at(60);
    pads_at(60);
    never_due();
    again();
    pad(0, "timer-end-1"); /* Replaced. */
    other(0);
    due_at(50);
    quiet_at(10);
    drop(0);
    due_at(30);
    pads_at(30);
    quiet_at(50);
    never_due();
}

/* TimerBegin: whenever it was set with replace, else only when it was extended (MB-25). */
static void a_machine_hears_when_its_timer_begins(void **state)
{
    (void)state;
    for (int replace = 0; replace < 2; replace++) {
        again();
        pad(0, replace ? "timer-begin-1" : "timer-begin-0");
        other(0);
        pads_at(0);
        quiet_at(10);
        drop(0); /* 20 ms from now is before what is set. */
        assert_int_equal(at(10)->count, replace ? 1 : 0);
        quiet_at(20);
        other(0); /* 50 ms from now is after it. */
        pads_at(20);
        quiet_at(69);
        due_at(70);
    }
}

static void four_machines_and_their_flags(void **state)
{
    (void)state;
    pad(0, "four");
    assert_int_equal(stats(0).machines, 4);
    other(0);
    OK(circflow_padding_remove(CLIENT, world.now, LEG(0), 2, 0));
    never_due();
    pad(0, "four");
    other(0);
    assert_int_equal(stats(0).timers, 4);
    for (uint32_t n = 0; n < 4; n++) {
        due_at(10 * (n + 1));
        const host_events *events = at(10 * (n + 1));
        assert_int_equal(events->count, 1);
        host_is_padding(&events->at[0].insn, LEG(0), 2, 0,
                        (uint8_t)((n & 2 ? CIRCFLOW_PADDING_BYPASS : 0) | (n & 1 ? CIRCFLOW_PADDING_REPLACE : 0)));
        assert_int_equal(events->at[0].insn.detail.padding.machine, n);
        OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
    }
    never_due();
}

static void a_late_tick_catches_up_in_order(void **state)
{
    const host_events *events;
    (void)state;
    pad(0, "four");
    pad(1, "four");
    other(0);
    world.now += 5 * MS;
    other(1);
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
    events = at(100);
    /* Each second machine replaces, but the host has had no chance to write what comes out of this very tick. */
    assert_int_equal(events->count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(events->at[i].insn.circuit.v, LEG(i % 2).v);
        assert_int_equal(events->at[i].insn.detail.padding.machine, i / 2);
    }
    assert_int_equal(stats(0).replaced, 0);
    assert_int_equal(stats(1).replaced, 0);
    never_due();
}

static void two_circuits_at_the_same_time(void **state)
{
    const host_events *events;
    (void)state;
    pad(0, "pad-00");
    pad(1, "pad-00");
    other(0);
    other(1);
    assert_int_equal(host_stats(CLIENT).timers, 2);
    events = at(10);
    assert_int_equal(events->count, 2);
    assert_int_not_equal(events->at[0].insn.circuit.v, events->at[1].insn.circuit.v);
    quiet_at(10);
    never_due();
}

/* A feed about another circuit does what is due too, before anything else. */
static void any_feed_does_what_is_due(void **state)
{
    circflow_verdict verdict;
    circflow_message message = host_data(3, "x");
    (void)state;
    for (int feed = 0; feed < 5; feed++) {
        again();
        pad(0, "pad-00");
        other(0);
        world.now += 10 * MS;
        switch (feed) {
        case 0: other(1); break;
        case 1: OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(1), CIRCFLOW_CMD_SENDME, 2)); break;
        case 2: OK(circflow_circuit_send(CLIENT, world.now, LEG(1), &message, &verdict)); break;
        case 3: OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(1), 1)); break;
        default: host_pair(&world); break;
        }
        assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_PADDING), 1);
    }
}

static void time_that_goes_back_sets_nothing_off(void **state)
{
    (void)state;
    quiet_at(50);
    pad(0, "pad-00");
    world.now -= 40 * MS;
    other(0); /* Read as 50. */
    assert_int_equal(host_stats(CLIENT).time_backwards, 1);
    due_at(60);
    quiet_at(20);
    assert_int_equal(host_stats(CLIENT).time_backwards, 2);
    due_at(60);
    quiet_at(59);
    pads_at(60);
    OK(circflow_engine_tick(CLIENT, 0));
    assert_int_equal(host_drain(CLIENT)->count, 0);
    never_due();
}

static void lateness_is_counted_by_classes(void **state)
{
    static const struct {
        uint64_t late_ns;
        size_t class;
    } rows[] = {{0, 0},         {999, 0},     {1000, 1},     {1999, 1},          {2000, 2},   {3999, 2},
                {4000, 3},      {1000000, 10}, {1023999, 10}, {1024000, 11},      {SECOND, 19}, {100 * SECOND, 19}};
    circflow_engine_stats before;
    uint64_t ns = 0;
    (void)state;
    pad(0, "pad-00");
    for (size_t i = 0; i < COUNT(rows); i++) {
        before = host_stats(CLIENT);
        other(0);
        ns += 10 * MS + rows[i].late_ns;
        assert_int_equal(at_ns(ns)->count, 1);
        circflow_engine_stats after = host_stats(CLIENT);
        for (size_t n = 0; n < CIRCFLOW_LATENESS_CLASSES; n++)
            if (after.lateness[n] - before.lateness[n] != (n == rows[i].class))
                fail_msg("%zu ns late: class %zu", (size_t)rows[i].late_ns, n);
    }
}

/* A loop that stood still makes up for a second, and not for an hour. */
static void a_long_sleep_is_not_made_up_for(void **state)
{
    static char text[4096];
    circflow_machines_id machines;
    circflow_padding_config config;
    FILE *file = fopen("examples/machines/constant-rate-100.txt", "r");
    size_t len, calls = 0;
    (void)state;
    assert_non_null(file);
    len = fread(text, 1, sizeof(text), file);
    fclose(file);
    OK(circflow_machines_load(CLIENT, text, len, &machines));
    OK(circflow_padding_config_init(&config, sizeof(config)));
    config.machines = machines;
    OK(circflow_padding_install(CLIENT, world.now, LEG(0), &config));
    OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(0), CIRCFLOW_CMD_SENDME, 2));
    quiet_at(0);
    world.now += 3600 * SECOND;
    while (host_deadline(CLIENT) <= world.now + 1000 && calls < 100) {
        OK(circflow_engine_tick(CLIENT, world.now + calls));
        host_drain(CLIENT);
        calls++;
    }
    uint64_t made = stats(0).padding_sent + stats(0).replaced;
    if (made < 100 || made > 103 || calls > 3)
        fail_msg("%u padding actions in %zu calls", (unsigned)made, calls);
    assert_in_range(host_deadline(CLIENT), world.now, world.now + 11 * MS);
}

static void endless_machines_neither_hang_nor_starve(void **state)
{
    static const char *const endless[] = {"loop-pad", "loop-block", "loop-timer-end", "loop-timer-begin"};
    (void)state;
    for (size_t i = 0; i < COUNT(endless); i++) {
        again();
        pad(0, endless[i]);
        pad(1, "pad-00");
        other(1);
        world.now += 10 * MS;
        other(0); /* Both are due now. */
        for (uint64_t n = 0; n < 3; n++) {
            const host_events *events = host_tick(&world, CLIENT);
            size_t theirs = 0;
            for (size_t k = 0; k < events->count; k++)
                theirs += events->at[k].insn.circuit.v == LEG(1).v;
            assert_int_equal(theirs, 1);
            assert_true(events->count <= STEPS_MAX + 1);
            assert_true(host_deadline(CLIENT) > world.now);
            if (i == 0)
                assert_int_equal(events->count, STEPS_MAX + 1);
            if (n < 2)
                OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(1), 1));
            other(1);
            world.now += 10 * MS;
            /* The other is served in time, whatever this one does. */
            assert_true(host_deadline(CLIENT) <= world.now);
        }
        /* Its own circuit can still be closed, and is quiet then. */
        OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
        host_tick(&world, CLIENT);
        never_due();
    }
}

/* Nor do they keep the other padders of their own circuit from their turn: a block of 100 ms ends, a second late at
 * most, and lets go of what it held. */
static void an_endless_machine_holds_no_block_open(void **state)
{
    static const char *const endless[] = {"loop-pad", "loop-timer-end", "loop-timer-begin"};
    (void)state;
    for (size_t i = 0; i < COUNT(endless); i++) {
        circflow_message message = host_data(3, "x");
        circflow_verdict verdict;
        size_t sent = 0;
        again();
        host_pad(&world, CLIENT, LEG(0), "shut-0", 3, 0);
        host_drop(&world, CLIENT, LEG(0), 3);
        OK(circflow_engine_tick(CLIENT, world.now));
        OK(circflow_circuit_send(CLIENT, world.now, LEG(0), &message, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
        pad(0, endless[i]);
        other(0);
        for (int ms = 0; ms < 1200; ms++) {
            world.now += MS;
            sent += host_count(host_tick(&world, CLIENT), CIRCFLOW_INSN_SEND);
        }
        assert_int_equal(sent, 1);
        assert_int_equal(host_pad_stats(CLIENT, LEG(0), 3, 0).blocked_ns / MS, 100);
    }
}

/* A step a nanosecond later: a host that sleeps until the deadline never spins on one time. */
static void an_endless_machine_goes_on_later(void **state)
{
    (void)state;
    pad(0, "loop-pad");
    other(0);
    for (uint64_t n = 0; n < 5; n++) {
        assert_int_equal(at_ns(n)->count, STEPS_MAX);
        assert_int_equal(at_ns(n)->count, 0);
        assert_int_equal(host_deadline(CLIENT), world.now + 1);
    }
    assert_int_equal(stats(0).padding_sent, 5 * STEPS_MAX);
}

static void what_finds_no_room_in_the_queue_stays_due(void **state)
{
    (void)state;
    host_stop(&world);
    begin(8);
    pad(0, "loop-pad");
    pad(1, "pad-00");
    other(1);
    world.now += 10 * MS;
    other(0);
    for (int n = 0; n < 3; n++)
        OK(circflow_engine_tick(CLIENT, world.now));
    assert_int_equal(host_stats(CLIENT).insns, 8);
    assert_true(host_deadline(CLIENT) <= world.now); /* Drain, then tick again. */
    circflow_circuit_id circuit;
    IS(CIRCFLOW_ERR_UNDRAINED, circflow_circuit_open(CLIENT, world.now, &world.client_circuit, &circuit));
    uint64_t theirs = 0, all = 0;
    for (int n = 0; n < 20; n++) {
        const host_events *events = host_drain(CLIENT);
        assert_true(events->count <= 8);
        for (size_t k = 0; k < events->count; k++)
            theirs += events->at[k].insn.circuit.v == LEG(1).v;
        all += events->count;
        OK(circflow_engine_tick(CLIENT, world.now += 100));
    }
    assert_int_equal(theirs, 1);
    assert_int_equal(all, 160);
}

static void nothing_is_armed_after_a_padder_has_gone(void **state)
{
    (void)state;
    pad(0, "timer-end-0");
    host_pad(&world, CLIENT, LEG(0), "four", 3, 1);
    host_other(&world, CLIENT, LEG(0), 3);
    assert_int_equal(host_stats(CLIENT).timers, 1);
    OK(circflow_padding_remove(CLIENT, world.now, LEG(0), 3, 1));
    assert_int_equal(stats(0).timers, 1);
    quiet_at(10); /* At most one tick for nothing. */
    due_at(50);
    OK(circflow_padding_remove(CLIENT, world.now, LEG(0), 2, 0));
    never_due();
    assert_int_equal(host_stats(CLIENT).timers, 0);
    quiet_at(100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_new_action_replaces_the_one_before),
        TEST(timers_are_cancelled),
        TEST(an_internal_timer_is_moved_or_extended),
        TEST(a_machine_hears_when_its_timer_begins),
        TEST(four_machines_and_their_flags),
        TEST(a_late_tick_catches_up_in_order),
        TEST(two_circuits_at_the_same_time),
        TEST(any_feed_does_what_is_due),
        TEST(time_that_goes_back_sets_nothing_off),
        TEST(lateness_is_counted_by_classes),
        TEST(a_long_sleep_is_not_made_up_for),
        TEST(endless_machines_neither_hang_nor_starve),
        TEST(an_endless_machine_holds_no_block_open),
        TEST(an_endless_machine_goes_on_later),
        TEST(what_finds_no_room_in_the_queue_stays_due),
        TEST(nothing_is_armed_after_a_padder_has_gone),
    };
    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
