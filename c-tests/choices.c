/* Each algorithm that chooses legs: it is taken, decides, waits with a deadline, and goes on after the tick. */

#include "host.h"

HOST_WORLD(host_clear)

enum { LEGS = 2, INC = 31, CELLS = 20000, STEP = 5 * MS };

/* Two legs at the sender: what is in flight on each, and when it was sent. */
static struct {
    uint64_t rtt[LEGS], cwnd[LEGS], at[LEGS][CELLS], sent[LEGS], acked[LEGS];
    int last; /* The leg of the last message. */
} far;

static void tell(int leg)
{
    circflow_leg_report report = {world.client_leg[leg], far.cwnd[leg], far.sent[leg] - far.acked[leg], far.rtt[leg], INC, 0};
    OK(circflow_leg_update(world.client, world.now, &report, 1));
}

/* A set that chooses by `algorithm`, with legs of these round trips and windows. */
static void begin(uint8_t algorithm, uint32_t run_min, uint64_t rtt_a, uint64_t cwnd_a, uint64_t rtt_b, uint64_t cwnd_b)
{
    host_prepare(&world);
    world.client_terms.algorithm = algorithm;
    world.client_terms.switch_run_min = run_min;
    host_adopted(&world, 0);
    memset(&far, 0, sizeof(far));
    far.rtt[0] = rtt_a, far.rtt[1] = rtt_b, far.cwnd[0] = cwnd_a, far.cwnd[1] = cwnd_b;
    far.last = -1;
    for (int leg = 0; leg < LEGS; leg++) {
        host_pair(&world);
        OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[leg], CIRCFLOW_UX_NO_OPINION,
                                  far.rtt[leg]));
        tell(leg);
    }
    host_drain(world.client);
}

/* Sends a DATA message if there is room. Gives the leg, or -1. */
static int one_more(void)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    int status = circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict);
    if (status == CIRCFLOW_ERR_NO_ROOM)
        return -1;
    OK(status);
    int leg = verdict.circuit.v == world.client_leg[1].v;
    assert_int_equal(verdict.circuit.v, world.client_leg[leg].v);
    assert_int_equal(verdict.switch_delta != 0, far.last >= 0 && far.last != leg);
    assert_true(far.sent[leg] - far.acked[leg] < far.cwnd[leg]);
    far.at[leg][far.sent[leg]++ % CELLS] = world.now;
    far.last = leg;
    return leg;
}

/* Time goes on by a step, and what is due is acknowledged. */
static void step(void)
{
    world.now += STEP;
    host_tick(&world, world.client);
    for (int leg = 0; leg < LEGS; leg++)
        while (far.sent[leg] - far.acked[leg] >= INC &&
               far.at[leg][(far.acked[leg] + INC - 1) % CELLS] + far.rtt[leg] <= world.now) {
            far.acked[leg] += INC;
            tell(leg);
        }
    host_drain(world.client);
}

static uint64_t deadline(void)
{
    uint64_t at;
    OK(circflow_engine_get_deadline(world.client, &at));
    return at;
}

/* A fast leg and a slow one: the slow one has room, and yet DATA waits for the fast one, but not for ever. */
static void waits_for_the_fast_leg(uint8_t algorithm)
{
    begin(algorithm, 0, 20 * MS, 62, SECOND, 1000);
    assert_int_equal(host_set_stats(world.client, world.client_set).algorithm, algorithm);
    for (int i = 0; i < 600; i++) {
        while (one_more() >= 0)
            ;
        step();
    }
    /* By far the most on the fast leg. The other one is not needed. */
    assert_true(far.sent[0] > 3000 && far.sent[1] < far.sent[0] / 10);
    /* The fast leg falls silent; the slow one has been heard. */
    far.acked[1] = far.sent[1];
    tell(1);
    while (one_more() >= 0)
        ;
    assert_int_equal(far.sent[0] - far.acked[0], far.cwnd[0]);
    assert_true(far.sent[1] - far.acked[1] < far.cwnd[1]);
    host_drain(world.client);
    uint64_t begun = world.now;
    for (int ticks = 0;; ticks++) {
        uint64_t at = deadline();
        assert_true(at > world.now && at <= world.now + SECOND && ticks < 2000);
        world.now = at;
        const host_events *events = host_tick(&world, world.client);
        if (host_count(events, CIRCFLOW_INSN_MAY_SEND) == 1)
            break;
        assert_int_equal(events->count, 0);
    }
    assert_true(world.now < begun + 3 * SECOND);
    assert_int_equal(one_more(), 1);
    /* The fast leg is heard again, and is the choice again. */
    far.acked[0] = far.sent[0];
    tell(0);
    while (far.last == 1)
        assert_true(one_more() >= 0);
    assert_int_equal(far.last, 0);
}

static void on_time(void **state)
{
    (void)state;
    waits_for_the_fast_leg(CIRCFLOW_ALGORITHM_ON_TIME);
}

static void ecf(void **state)
{
    (void)state;
    waits_for_the_fast_leg(CIRCFLOW_ALGORITHM_ECF);
}

static void blest(void **state)
{
    (void)state;
    waits_for_the_fast_leg(CIRCFLOW_ALGORITHM_BLEST);
}

static void otias(void **state)
{
    (void)state;
    waits_for_the_fast_leg(CIRCFLOW_ALGORITHM_OTIAS);
}

/* Legs that are about as fast are both used, by each of them. */
static void legs_that_are_alike(void **state)
{
    (void)state;
    for (uint8_t algorithm = CIRCFLOW_ALGORITHM_LOW_RTT; algorithm <= CIRCFLOW_ALGORITHM_RANDOM; algorithm++) {
        setup(NULL);
        begin(algorithm, 0, 40 * MS, 124, 41 * MS, 124);
        for (int i = 0; i < 600; i++) {
            while (one_more() >= 0)
                ;
            step();
        }
        assert_true(far.sent[1] > far.sent[0] / 3 && far.sent[0] > far.sent[1] / 3);
        if (algorithm < CIRCFLOW_ALGORITHM_RANDOM)
            host_stop(&world);
    }
}

/* Chance: runs of 50 at least, a leg as often as its window and round trip say, and the same again with the same nonce. */
static void chance(void **state)
{
    enum { ALL = 12000 };
    static uint8_t legs[2][ALL];
    (void)state;
    for (int round = 0; round < 2; round++) {
        uint64_t run = 0, on_a = 0, runs = 0;
        setup(NULL);
        begin(CIRCFLOW_ALGORITHM_RANDOM, 0, 30 * MS, 100000, 90 * MS, 100000);
        for (int i = 0; i < ALL; i++) {
            int before = far.last, leg = one_more();
            assert_true(leg >= 0);
            if (before >= 0 && before != leg) {
                assert_true(run >= 50);
                run = 0;
                runs++;
            }
            run++;
            on_a += leg == 0;
            legs[round][i] = (uint8_t)leg;
        }
        assert_true(runs > 20);
        /* Three of four. */
        assert_true(on_a > ALL * 6 / 10 && on_a < ALL * 9 / 10);
        if (round == 0)
            host_stop(&world);
    }
    assert_memory_equal(legs[0], legs[1], sizeof(legs[0]));
    /* With room on one leg only, it carries all. Without any, no deadline: a report will come. */
    far.cwnd[0] = 0, far.cwnd[1] = far.sent[1] + 70;
    tell(0);
    tell(1);
    for (int i = 0; i < 70; i++)
        assert_int_equal(one_more(), 1);
    assert_int_equal(one_more(), -1);
    assert_int_equal(host_tick(&world, world.client)->count, 0);
    assert_true(deadline() > world.now + SECOND);
    far.cwnd[0] = far.sent[0] + 1;
    tell(0);
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_MAY_SEND), 1);
    assert_int_equal(one_more(), 0);
}

/* Leaves the fast leg as it is full, and gives how many messages go on the slow one although the fast one has room. */
static uint32_t run_on_the_slow_leg(uint8_t algorithm, uint32_t run_min, uint64_t room, uint32_t most)
{
    uint32_t run = 0;
    begin(algorithm, run_min, 20 * MS, 2, 30 * MS, room);
    assert_int_equal(one_more(), 0);
    assert_int_equal(one_more(), 0);
    assert_int_equal(one_more(), 1);
    far.cwnd[0] = 1000;
    tell(0);
    for (run = 1; run < most && one_more() == 1; run++)
        ;
    return run;
}

static void a_leg_is_left_after_its_run(void **state)
{
    static const struct {
        uint32_t run_min, room, want;
    } rows[] = {
        /* As the algorithm has it, then one below, at and above what the room allows, then never. */
        {0, 100, 1}, {1, 100, 1}, {2, 100, 2}, {10, 100, 10}, {9, 10, 9}, {10, 10, 10}, {11, 10, 10}, {UINT32_MAX, 500, 500},
    };
    static const uint8_t algorithms[] = {CIRCFLOW_ALGORITHM_LOW_RTT, CIRCFLOW_ALGORITHM_CWND_RTT, CIRCFLOW_ALGORITHM_ECF};
    (void)state;
    for (size_t i = 0; i < COUNT(rows) * COUNT(algorithms); i++) {
        if (i > 0)
            host_stop(&world);
        setup(NULL);
        uint32_t run = run_on_the_slow_leg(algorithms[i % COUNT(algorithms)], rows[i / COUNT(algorithms)].run_min,
                                           rows[i / COUNT(algorithms)].room, 600);
        assert_int_equal(run, rows[i / COUNT(algorithms)].want);
        assert_int_equal(one_more(), 0);
    }
}

/* The limit holds with the peer's wish for little memory too: the longer run of the two counts. */
static void a_run_and_a_receiver_with_little_memory(void **state)
{
    static const struct {
        uint32_t run_min;
        uint64_t window, want;
    } rows[] = {{0, 8, 8}, {7, 8, 8}, {8, 8, 8}, {9, 8, 9}, {20, 8, 20}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (i > 0)
            host_stop(&world);
        setup(NULL);
        host_prepare(&world);
        world.client_terms.switch_run_min = rows[i].run_min;
        host_adopted(&world, 0);
        memset(&far, 0, sizeof(far));
        far.last = -1;
        for (int leg = 0; leg < LEGS; leg++) {
            host_pair(&world);
            OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[leg],
                                      CIRCFLOW_UX_LOW_MEM_THROUGHPUT, 20 * MS));
            far.rtt[leg] = (uint64_t)(20 + leg) * MS;
            far.cwnd[leg] = rows[i].window;
            tell(leg);
        }
        assert_int_equal(one_more(), 0);
        far.rtt[1] = MS; /* The better one from now on. The first one has room again and again. */
        tell(1);
        uint64_t run;
        for (run = 1;; run++) {
            far.acked[0] = far.sent[0];
            tell(0);
            if (one_more() == 1)
                break;
        }
        assert_int_equal(run, rows[i].want);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(on_time),
        TEST(ecf),
        TEST(blest),
        TEST(otias),
        TEST(legs_that_are_alike),
        TEST(chance),
        TEST(a_leg_is_left_after_its_run),
        TEST(a_run_and_a_receiver_with_little_memory),
    };
    return cmocka_run_group_tests_name("choices", tests, NULL, NULL);
}
