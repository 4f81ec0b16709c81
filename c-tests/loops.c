/* What a loop goes by: its one deadline, which is "at once" while there is something to drain, and later than now once
 * there is not. */

#include "host.h"

static host_world world;

#define CLIENT world.client
#define LEG(n) world.client_leg[n]

static int setup(void **state)
{
    (void)state;
    host_prepare(&world);
    host_start(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_stop(&world);
    return 0;
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
    OK(circflow_circuit_closed(CLIENT, world.now, LEG(0))); /* Its LINK is not sent any more, and its set has ended. */
    OK(circflow_engine_drain(CLIENT, 1000, &more, take_nothing, &taken));
    assert_int_equal(more, 0);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_drain_that_leaves_something_is_due_at_once),
        TEST(what_waits_is_due_whoever_queued_it),
        TEST(what_has_nothing_to_say_is_gone_with_one_drain),
    };
    return cmocka_run_group_tests_name("loops", tests, NULL, NULL);
}
