/* How much one call does, whatever a peer has piled up: counted in messages and timers, not in time. */

#include "host.h"

static host_world world;
static host_ledger ledger;

#define CLIENT world.client

/* CIRCFLOW: at most so many messages are freed in one call, and a few of the one that the call is about. */
#define FREED_MAX 512
#define PILE 5000

static int setup(void **state)
{
    (void)state;
    memset(&ledger, 0, sizeof(ledger));
    host_prepare(&world);
    world.engine_config.held_bytes_max = UINT64_C(1) << 40;
    world.client_terms.held_bytes_max = UINT64_C(1) << 40;
    host_adopted(&world, 3);
    return 0;
}

HOST_TEARDOWN

/* Leg 1 goes ahead by one message, and `count` messages of it are held; each `every`th is a token, none for 0. */
static void pile_up(size_t count, size_t every)
{
    host_expect(&world, CLIENT, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (size_t i = 0; i < count; i++) {
        if (every != 0 && i % every == 0) {
            host_lend(&ledger, i / every, 7);
            host_expect(&world, CLIENT, world.client_leg[1], host_token(HOST_HOPS, i / every, 7), CIRCFLOW_VERDICT_HELD);
        } else {
            host_expect(&world, CLIENT, world.client_leg[1], host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_HELD);
        }
    }
    assert_int_equal(host_stats(CLIENT).held, count);
}

static uint64_t held(void) { return host_stats(CLIENT).held; }

/* Takes one instruction, and fails when that freed too much. False when there was none. */
static int take_one(void)
{
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_insn insn;
    uint64_t before = held();
    OK(circflow_engine_poll(CLIENT, body, sizeof(body), &insn));
    assert_true(before - held() <= FREED_MAX + 1);
    if (insn.kind == CIRCFLOW_INSN_DISCARD)
        host_give_back(&ledger, insn.detail.discard.token, insn.detail.discard.cost_bytes);
    return insn.kind != CIRCFLOW_INSN_NONE;
}

/* Lives on as a host that sleeps until its deadline, until nothing is due. Answers the number of calls. */
static size_t live_on(void)
{
    size_t calls = 0;
    do {
        uint64_t before = held();
        OK(circflow_engine_tick(CLIENT, world.now));
        assert_true(before - held() <= FREED_MAX);
        while (take_one())
            calls++;
        assert_true(host_deadline(CLIENT) == 0 || held() == 0);
        assert_true(++calls < 20 * PILE);
    } while (host_deadline(CLIENT) <= world.now);
    return calls;
}

static void nothing_is_left(void)
{
    circflow_engine_stats stats = host_stats(CLIENT);
    assert_int_equal(stats.held, 0);
    assert_int_equal(stats.held_bytes, 0);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
    host_settle(&ledger);
}

/* Hundreds of thousands of messages that a peer has made us hold are not freed in one call. */
static void what_an_ended_set_held_is_freed_in_steps(void **state)
{
    (void)state;
    pile_up(PILE, 0);
    OK(circflow_set_close(CLIENT, world.now, world.client_set));
    assert_int_equal(held(), PILE);
    size_t calls = live_on();
    assert_true(calls >= PILE / FREED_MAX && calls <= PILE / FREED_MAX + 20);
    nothing_is_left();
}

/* The same with tokens among them, one in six and one in a thousand: each comes back, and once. */
static void tokens_among_them_come_back_once_each(void **state)
{
    static const size_t every[] = {1, 6, 1000, PILE - 1};
    (void)state;
    for (size_t i = 0; i < COUNT(every); i++) {
        host_stop(&world);
        setup(NULL);
        pile_up(every[i] == 1 ? HOST_TOKENS_MAX - 1 : PILE, every[i]);
        OK(circflow_set_close(CLIENT, world.now, world.client_set));
        live_on();
        nothing_is_left();
    }
}

/* Feeds take a part of the work too, so that a host that never sleeps gets its memory back. */
static void a_host_that_only_feeds_frees_too(void **state)
{
    (void)state;
    pile_up(PILE, 0);
    OK(circflow_set_close(CLIENT, world.now, world.client_set));
    while (take_one())
        continue;
    for (size_t i = 0; i < PILE / FREED_MAX + 1; i++) {
        circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
        OK(circflow_circuit_gone(CLIENT, world.now, circuit));
    }
    nothing_is_left();
}

/* An engine that goes while freeing is left hands back what tokens there are. */
static void an_engine_that_goes_half_way_hands_all_tokens_back(void **state)
{
    (void)state;
    pile_up(PILE, 700);
    OK(circflow_set_close(CLIENT, world.now, world.client_set));
    for (size_t i = 0; i < 5; i++)
        take_one();
    assert_true(held() > 0);
    OK(circflow_engine_free(CLIENT, host_discard, &ledger));
    host_settle(&ledger);
    CLIENT = NULL;
    OK(circflow_engine_free(world.exit, NULL, NULL));
    world.exit = NULL;
}

/* What only circflow reads (XON for a stream that nobody knows) is not gone through in one call either. */
static void what_is_for_circflow_alone_is_read_in_steps(void **state)
{
    static const uint8_t xon[] = {0, 0, 0, 1, 0};
    circflow_message message = host_message(CIRCFLOW_CMD_XON, 0, 9, xon, sizeof(xon));
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_insn insn;
    (void)state;
    host_prepare(&world);
    world.client_circuit.flags = world.exit_circuit.flags = HOST_RUN;
    host_launched(&world, 2);
    host_carry(&world);
    host_drain(world.exit);
    host_expect(&world, world.exit, world.exit_leg[1], host_switch(0, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (size_t i = 0; i < PILE; i++)
        host_expect(&world, world.exit, world.exit_leg[1], message, CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.exit, world.exit_leg[0], message, CIRCFLOW_VERDICT_CONSUMED);
    size_t polls = 0;
    do {
        uint64_t before = host_stats(world.exit).held;
        OK(circflow_engine_poll(world.exit, body, sizeof(body), &insn));
        assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
        assert_true(before - host_stats(world.exit).held <= FREED_MAX);
        assert_true(++polls <= PILE);
        if (host_stats(world.exit).held > 0)
            assert_int_equal(host_deadline(world.exit), 0);
    } while (host_stats(world.exit).held > 0);
    assert_true(polls >= PILE / FREED_MAX);
    OK(circflow_engine_tick(world.exit, world.now));
    OK(circflow_engine_poll(world.exit, body, sizeof(body), &insn));
    assert_true(host_deadline(world.exit) > world.now);
}

/* Timers that one call lets run, at most, and how many are due here. */
#define FIRED_MAX 256
#define MANY 1500

/* Ticks at one moment until nothing is due any more, draining in between; answers how many ticks that took. */
static size_t tick_through(uint64_t total)
{
    size_t ticks = 0;
    uint64_t left = total;
    while (host_deadline(CLIENT) <= world.now) {
        OK(circflow_engine_tick(CLIENT, world.now));
        uint64_t timers = host_stats(CLIENT).timers;
        assert_true(timers <= left && left - timers <= FIRED_MAX);
        left = timers;
        host_drain(CLIENT);
        assert_true(left == 0 || host_deadline(CLIENT) <= world.now);
        assert_true(++ticks < total);
    }
    assert_int_equal(left, 0);
    return ticks;
}

/* A thousand clients whose exits do not answer run out of time at once: in steps, in the order of their times. */
static void handshakes_that_time_out_do_so_in_steps(void **state)
{
    (void)state;
    host_begin(&world);
    for (uint32_t i = 0; i < MANY; i++) {
        circflow_set_id set;
        world.client_terms.nonce[0] = (uint8_t)i;
        world.client_terms.nonce[1] = (uint8_t)(i >> 8);
        world.client_terms.tag = i;
        circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
        OK(circflow_set_open(CLIENT, world.now += 1000, &world.client_terms, &set));
        OK(circflow_set_add_legs(CLIENT, world.now, set, &circuit, 1));
        host_drain(CLIENT);
    }
    assert_int_equal(host_stats(CLIENT).timers, MANY);
    world.now += 60 * SECOND;
    size_t ticks = tick_through(MANY);
    assert_true(ticks >= MANY / FIRED_MAX && ticks < 100);
    assert_int_equal(host_stats(CLIENT).sets, 0);
}

/* Padding of a thousand circuits that is due at once. */
static void padding_that_is_due_at_once_goes_out_in_steps(void **state)
{
    size_t pads = 0;
    uint64_t last = 0;
    (void)state;
    host_begin(&world);
    for (uint64_t i = 0; i < MANY; i++) {
        world.client_circuit.tag = i;
        circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
        host_pad(&world, CLIENT, circuit, "once", 2, 0);
        world.now += 1000;
        host_other(&world, CLIENT, circuit, 2);
    }
    host_drain(CLIENT);
    assert_int_equal(host_stats(CLIENT).timers, MANY);
    world.now += SECOND;
    while (host_deadline(CLIENT) <= world.now) {
        OK(circflow_engine_tick(CLIENT, world.now));
        assert_true(host_stats(CLIENT).insns <= FIRED_MAX);
        const host_events *all = host_drain(CLIENT);
        for (size_t i = 0; i < all->count; i++, pads++) {
            assert_int_equal(all->at[i].insn.kind, CIRCFLOW_INSN_PADDING);
            assert_true(pads == 0 || all->at[i].insn.circuit_tag > last);
            last = all->at[i].insn.circuit_tag;
        }
    }
    assert_int_equal(pads, MANY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_an_ended_set_held_is_freed_in_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_among_them_come_back_once_each, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_only_feeds_frees_too, setup, teardown),
        cmocka_unit_test_setup_teardown(handshakes_that_time_out_do_so_in_steps, NULL, teardown),
        cmocka_unit_test_setup_teardown(padding_that_is_due_at_once_goes_out_in_steps, NULL, teardown),
        cmocka_unit_test_teardown(what_is_for_circflow_alone_is_read_in_steps, teardown),
        cmocka_unit_test_setup(an_engine_that_goes_half_way_hands_all_tokens_back, setup),
    };
    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
