/* What a loop goes by: its one deadline, which is "at once" while there is something to drain, and later than now once
 * there is not. */

#include "host.h"

#include <stdio.h>

static host_world world;

#define CLIENT world.client
#define LEG(n) world.client_leg[n]

HOST_WORLD(host_begin)

static void again(void)
{
    host_stop(&world);
    host_begin(&world);
}

static void take_nothing(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)insn, (void)body;
    ++*(size_t *)userdata;
}

/* A budget that is smaller than what is ready: the loop comes back at once, until all is taken. */
static void a_drain_that_leaves_something_is_due_at_once(void **state)
{
    enum { READY = 3001 };
    size_t taken = 0;
    (void)state;
    host_linked(&world, 2);
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (size_t i = 0; i < READY; i++)
        host_expect(&world, CLIENT, LEG(1), host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_HELD);
    assert_true(host_deadline(CLIENT) > world.now); /* Held, and nothing to take. */
    host_expect(&world, CLIENT, LEG(0), host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_DELIVER);
    for (size_t turn = 1; turn <= 3; turn++) {
        uint8_t more = 0;
        assert_int_equal(host_deadline(CLIENT), 0);
        OK(circflow_engine_drain(CLIENT, 1000, &more, take_nothing, &taken));
        assert_int_equal(more, 1);
        assert_int_equal(taken, turn * 1000);
    }
    assert_int_equal(host_deadline(CLIENT), 0);
    OK(circflow_engine_drain(CLIENT, 1000, NULL, take_nothing, &taken));
    assert_int_equal(taken, READY);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

/* Whatever it is that waits, and whoever put it there; a tick alone does not take it away. */
static void what_waits_is_due_whoever_queued_it(void **state)
{
    (void)state;
    host_launch(&world, 2); /* LINK on both. */
    assert_int_equal(host_deadline(CLIENT), 0);
    OK(circflow_engine_tick(CLIENT, world.now));
    assert_int_equal(host_deadline(CLIENT), 0);
    host_carry(&world);
    host_drain(CLIENT);
    host_drain(world.exit);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);

    host_pad(&world, CLIENT, LEG(0), "pad-00", HOST_HOPS - 1, 0);
    host_other(&world, CLIENT, LEG(0), HOST_HOPS - 1);
    assert_int_equal(host_deadline(CLIENT), world.now + 10 * MS);
    world.now += 10 * MS;
    OK(circflow_engine_tick(CLIENT, world.now)); /* PADDING. */
    assert_int_equal(host_deadline(CLIENT), 0);
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_PADDING), 1);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);

    OK(circflow_set_close(CLIENT, world.now, world.client_set)); /* CLOSE and ENDED. */
    assert_int_equal(host_deadline(CLIENT), 0);
    host_drain(CLIENT);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

/* What has nothing to say any more keeps nobody awake: one drain takes it, and finds nothing. */
static void what_has_nothing_to_say_is_gone_with_one_drain(void **state)
{
    uint8_t more = 1;
    size_t taken = 0;
    (void)state;
    host_launch(&world, 1);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0))); /* Its LINK is not sent any more, and its set has ended. */
    OK(circflow_engine_drain(CLIENT, 1000, &more, take_nothing, &taken));
    assert_int_equal(more, 0);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

/* --- Machines that never wait --- */

static const char *const endless[] = {"loop-pad", "loop-block", "loop-timer-end", "loop-timer-begin"};

/* A padder of so many of one machine, on a circuit of its own, that a cell has set off. */
static void endless_padder(const char *name, size_t times)
{
    static char text[1 << 16];
    char path[64];
    size_t len = 0;
    circflow_padding_config config;
    snprintf(path, sizeof(path), "tests/machines/%s.txt", name);
    for (size_t i = 0; i < times; i++) {
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        len += fread(text + len, 1, sizeof(text) - len, file);
        fclose(file);
    }
    host_pair(&world);
    OK(circflow_padding_config_init(&config, sizeof(config)));
    OK(circflow_machines_load(CLIENT, text, len, &config.machines));
    OK(circflow_padding_install(CLIENT, world.now, LEG(0), &config));
    host_other(&world, CLIENT, LEG(0), 2);
}

/* Ticks, drains and reports as written, at one time, until nothing is due at that time; answers how many turns it took. */
static size_t turns_at_once(void)
{
    size_t turns = 0;
    while (host_deadline(CLIENT) <= world.now && turns < 10000) {
        size_t cells = host_count(host_tick(&world, CLIENT), CIRCFLOW_INSN_PADDING);
        OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), (uint32_t)cells));
        turns++;
    }
    return turns;
}

static void a_loop_whose_clock_stands_still_comes_to_an_end(void **state)
{
    static const uint32_t insns[] = {1, 2, 5, 62, 63, 64, 65536};
    (void)state;
    for (size_t i = 0; i < COUNT(endless); i++) {
        for (size_t k = 0; k < COUNT(insns); k++) {
            host_stop(&world);
            host_prepare(&world);
            world.engine_config.insns_max = insns[k];
            host_start(&world);
            endless_padder(endless[i], 1);
            size_t turns = turns_at_once();
            if (turns > 70 || host_deadline(CLIENT) < world.now + MS)
                fail_msg("%s, %u instructions: %zu turns", endless[i], (unsigned)insns[k], turns);
            assert_true(host_pad_stats(CLIENT, LEG(0), 2, 0).padding_sent <= 64);
        }
    }
}

/* A second of them: a wake-up or two in a millisecond, for one thing of each, and 64 at the beginning. One machine or
 * 64. */
static void machines_that_never_wait_do_a_bounded_amount(void **state)
{
    static const size_t times[] = {1, 64};
    (void)state;
    for (size_t i = 0; i < COUNT(endless); i++) {
        for (size_t k = 0; k < COUNT(times); k++) {
            size_t wakes = 0;
            again();
            endless_padder(endless[i], times[k]);
            const uint64_t end = world.now + SECOND;
            while (host_deadline(CLIENT) <= end && wakes < 5000) {
                if (host_deadline(CLIENT) > world.now)
                    world.now = host_deadline(CLIENT);
                size_t cells = host_count(host_tick(&world, CLIENT), CIRCFLOW_INSN_PADDING);
                OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), (uint32_t)cells));
                wakes++;
            }
            /* At the beginning each call does some steps, and is due again a nanosecond later. Blocks end by themselves. */
            if (wakes > 2 * 1000 + 200 || host_pad_stats(CLIENT, LEG(0), 2, 0).padding_sent > times[k] * (1000 + 64))
                fail_msg("%s, %zu of it: %zu wake-ups", endless[i], times[k], wakes);
        }
    }
}

static void the_bounds_are_the_hosts(void **state)
{
    static const struct {
        uint32_t burst;
        uint64_t floor_ns;
        int status;
    } rows[] = {{1, 1, CIRCFLOW_OK},
                {2, 5 * MS, CIRCFLOW_OK},
                {64, SECOND, CIRCFLOW_OK},
                {4096, MS, CIRCFLOW_OK},
                {0, MS, CIRCFLOW_ERR_INVALID},
                {4097, MS, CIRCFLOW_ERR_INVALID},
                {64, SECOND + 1, CIRCFLOW_ERR_INVALID}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_engine *engine = NULL;
        host_stop(&world);
        host_prepare(&world);
        world.engine_config.padding_burst_max = rows[i].burst;
        world.engine_config.padding_floor_ns = rows[i].floor_ns;
        IS(rows[i].status, circflow_engine_new(&world.engine_config, &engine));
        if (rows[i].status != CIRCFLOW_OK) {
            host_begin(&world);
            continue;
        }
        OK(circflow_engine_free(engine, NULL, NULL));
        host_start(&world);
        endless_padder("loop-pad", 1);
        const uint64_t from = world.now;
        while (host_deadline(CLIENT) <= from + 100) { /* 64 of one call, and a nanosecond later the next. */
            turns_at_once();
            if (rows[i].floor_ns <= 100 || host_deadline(CLIENT) > from + 100)
                break;
            world.now = host_deadline(CLIENT);
        }
        assert_int_equal(host_pad_stats(CLIENT, LEG(0), 2, 0).padding_sent, rows[i].burst);
        assert_in_range(host_deadline(CLIENT), from + rows[i].floor_ns, from + rows[i].floor_ns + 100);
    }
}

/* What cells set off is not a machine's own: as many as come at one time are answered at that time. */
static void a_machine_that_answers_cells_is_not_slowed_down(void **state)
{
    (void)state;
    host_pair(&world);
    host_pad(&world, CLIENT, LEG(0), "gate-now", 2, 0);
    for (size_t n = 1; n <= 1000; n++) {
        host_other(&world, CLIENT, LEG(0), 2);
        turns_at_once();
        assert_int_equal(host_pad_stats(CLIENT, LEG(0), 2, 0).padding_sent, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_drain_that_leaves_something_is_due_at_once),
        TEST(what_waits_is_due_whoever_queued_it),
        TEST(what_has_nothing_to_say_is_gone_with_one_drain),
        TEST(a_loop_whose_clock_stands_still_comes_to_an_end),
        TEST(machines_that_never_wait_do_a_bounded_amount),
        TEST(the_bounds_are_the_hosts),
        TEST(a_machine_that_answers_cells_is_not_slowed_down),
    };
    return cmocka_run_group_tests_name("loops", tests, NULL, NULL);
}
