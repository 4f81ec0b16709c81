/* Memory: what is counted, where, and that no figure drifts. One hub, two engines of an exit; clients are messages. */

#include "host.h"
#include <stdbool.h>

#define LOOPS 2
#define BLOCK (UINT64_C(64) << 10)

static host_world world;
static circflow_hub *hub;
static circflow_engine *loops[LOOPS];
static host_ledger ledger;
static uint64_t held_bytes_max;

static int setup(void **state)
{
    (void)state;
    hub = NULL;
    held_bytes_max = 0;
    memset(loops, 0, sizeof(loops));
    memset(&ledger, 0, sizeof(ledger));
    host_prepare(&world);
    return 0;
}

static void start(size_t count)
{
    hub = host_hub(held_bytes_max);
    for (size_t i = 0; i < count; i++)
        loops[i] = host_exit(&world, 10 + (uint32_t)i, hub, host_no_wake, NULL);
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < LOOPS; i++)
        OK(circflow_engine_free(loops[i], host_discard, &ledger));
    if (hub != NULL)
        assert_int_equal(host_hub_stats(hub).reserved_bytes, 0);
    OK(circflow_hub_free(hub));
    host_settle(&ledger);
    return 0;
}

/* Feeds a message at an exit's engine. */
static int feed(size_t at, circflow_circuit_id circuit, circflow_message message)
{
    circflow_verdict verdict;
    const int status = circflow_circuit_receive(loops[at], world.now, circuit, &message, &verdict);
    if (status == CIRCFLOW_OK && verdict.kind == CIRCFLOW_VERDICT_HELD && message.form == CIRCFLOW_FORM_TOKEN)
        host_lend(&ledger, message.token, message.cost_bytes);
    return status;
}

/* A circuit that has brought LINK for the set with this number. */
static circflow_circuit_id leg_of(size_t at, uint32_t number)
{
    const circflow_circuit_id circuit = host_open(&world, loops[at], CIRCFLOW_ROLE_RELAY);
    uint8_t nonce[CIRCFLOW_NONCE_LEN] = {1};
    memcpy(nonce + 1, &number, sizeof(number));
    OK(feed(at, circuit, host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 0)));
    return circuit;
}

static void drain(size_t at)
{
    host_book(&ledger, host_drain(loops[at]));
}

/* The same, with its handshake over. */
static circflow_circuit_id linked(size_t at, uint32_t number)
{
    const circflow_circuit_id circuit = leg_of(at, number);
    drain(at);
    OK(feed(at, circuit, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
    return circuit;
}

/* All engines have told each other everything, and are at rest. */
static void settle(void)
{
    for (int round = 0; round < 30; round++) {
        for (size_t at = 0; at < LOOPS && loops[at] != NULL; at++) {
            OK(circflow_engine_tick(loops[at], world.now));
            drain(at);
        }
    }
}

/* --- Books that cannot drift --- */

/* Tokens that are taken many at a time come off every account. */
static void tokens_taken_at_once_are_no_longer_counted(void **state)
{
    (void)state;
    held_bytes_max = 1 << 20;
    start(1);
    for (uint32_t round = 0; round < 30; round++) {
        const circflow_circuit_id leg = leg_of(0, round), other = leg_of(0, round);
        const circflow_set_id set = host_first(host_drain(loops[0]), CIRCFLOW_INSN_LINKED)->set;
        OK(feed(0, leg, host_switch(0, 1)));
        for (uint64_t i = 0; i < 100; i++)
            OK(feed(0, leg, host_token(0, 100 * round + i, 500)));
        assert_int_equal(host_set_stats(loops[0], set).held_bytes, 50000);
        assert_int_equal(host_set_stats(loops[0], set).total_bytes, 50000);
        assert_in_range(host_hub_stats(hub).reserved_bytes, 50000, 50000 + BLOCK);
        OK(feed(0, other, host_data(0, "the hole")));
        uint64_t tokens[100];
        size_t count;
        OK(circflow_set_poll_tokens(loops[0], set, tokens, 100, &count));
        assert_int_equal(count, 100);
        for (size_t i = 0; i < count; i++)
            host_give_back(&ledger, tokens[i], 500);
        assert_int_equal(host_set_stats(loops[0], set).held_bytes, 0);
        drain(0);
        assert_int_equal(host_stats(loops[0]).held_bytes, 0);
        assert_int_equal(host_hub_stats(hub).reserved_bytes, 0);
        /* Nobody is to be closed. */
        circflow_victim victim;
        OK(circflow_hub_choose_victims(hub, UINT64_MAX, &victim, 1, &count, NULL));
        assert_int_equal(count, 0);
    }
}

/* --- Victims of one engine --- */

static size_t choose(size_t at, uint64_t wanted, circflow_victim *victims, size_t cap, uint64_t *bytes)
{
    size_t count = 99;
    OK(circflow_engine_choose_victims(loops[at], wanted, victims, cap, &count, bytes));
    return count;
}

/* A set with `messages` of 1,000 bytes behind a hole. Its tag is `number`. */
static circflow_set_id set_behind_a_hole(uint32_t number, size_t messages)
{
    const circflow_circuit_id leg = leg_of(0, number);
    const circflow_set_id set = host_first(host_drain(loops[0]), CIRCFLOW_INSN_LINKED)->set;
    OK(circflow_set_retag(loops[0], set, number));
    OK(feed(0, leg, host_switch(0, 1)));
    for (size_t i = 0; i < messages; i++)
        OK(feed(0, leg, host_token(0, 4 * number + i, 1000)));
    return set;
}

static void an_engine_names_its_largest_and_oldest(void **state)
{
    circflow_victim victims[4];
    circflow_set_id sets[3];
    uint64_t bytes = 1;
    size_t count;
    (void)state;
    start(1);
    IS(CIRCFLOW_ERR_NULL, circflow_engine_choose_victims(NULL, 1, victims, 4, &count, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_choose_victims(loops[0], 1, NULL, 4, &count, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_choose_victims(loops[0], 1, victims, 4, NULL, NULL));
    assert_int_equal(choose(0, UINT64_MAX, victims, 4, &bytes), 0);
    assert_int_equal(bytes, 0);
    for (uint32_t i = 0; i < 3; i++) {
        sets[i] = set_behind_a_hole(i + 1, 3 - i);
        world.now += SECOND;
    }
    assert_int_equal(choose(0, 0, victims, 4, &bytes), 0);
    assert_int_equal(choose(0, 1, NULL, 0, &bytes), 0);
    assert_int_equal(bytes, 0);
    /* Its 3,000 bytes are enough, below, at, and not above. */
    assert_int_equal(choose(0, 3000, victims, 4, &bytes), 1);
    assert_int_equal(victims[0].set.v, sets[0].v);
    assert_int_equal(victims[0].circuit.v, 0);
    assert_int_equal(victims[0].tag, 1);
    assert_int_equal(victims[0].engine_number, 10);
    assert_int_equal(bytes, 3000);
    assert_int_equal(choose(0, 2001, victims, 4, &bytes), 2);
    assert_int_equal(victims[0].tag, 2);
    assert_int_equal(victims[1].tag, 3);
    assert_int_equal(bytes, 3000);
    assert_int_equal(choose(0, UINT64_MAX, victims, 4, &bytes), 0);
    assert_int_equal(host_stats(loops[0]).held_bytes, 6000); /* Nothing is freed by asking. */
    for (size_t i = 0; i < 3; i++)
        OK(circflow_set_close(loops[0], world.now, sets[i]));
    drain(0);
    assert_int_equal(host_stats(loops[0]).held_bytes, 0);
}

/* What was taken since the engine's book was written down does not count. */
static void an_engine_looks_at_what_is_still_held(void **state)
{
    circflow_victim victim;
    uint64_t tokens[100], bytes;
    size_t count;
    (void)state;
    start(1);
    const circflow_circuit_id leg = leg_of(0, 1), other = leg_of(0, 1);
    const circflow_set_id set = host_first(host_drain(loops[0]), CIRCFLOW_INSN_LINKED)->set;
    OK(feed(0, leg, host_switch(0, 1)));
    for (uint64_t i = 0; i < 100; i++)
        OK(feed(0, leg, host_token(0, 100 + i, 1000)));
    const circflow_set_id small = set_behind_a_hole(2, 2);
    OK(feed(0, other, host_data(0, "the hole")));
    OK(circflow_set_poll_tokens(loops[0], set, tokens, 100, &count));
    assert_int_equal(count, 100);
    for (size_t i = 0; i < count; i++)
        host_give_back(&ledger, tokens[i], 1000);
    assert_int_equal(choose(0, 1, &victim, 1, &bytes), 1);
    assert_int_equal(victim.set.v, small.v);
    assert_int_equal(bytes, 2000);
    OK(circflow_set_close(loops[0], world.now, small));
    drain(0);
}

/* Sets that held 25,000 bytes each and more, of which all has been delivered but a message behind a second hole, if one
 * is `left`. */
static void drained_sets(uint32_t count, bool left)
{
    for (uint32_t number = 1; number <= count; number++) {
        uint64_t tokens[25];
        size_t taken;
        const circflow_circuit_id leg = leg_of(0, number), other = leg_of(0, number);
        const circflow_set_id set = host_first(host_drain(loops[0]), CIRCFLOW_INSN_LINKED)->set;
        OK(feed(0, leg, host_switch(0, 1)));
        for (uint64_t i = 0; i < COUNT(tokens); i++)
            OK(feed(0, leg, host_token(0, 32 * number + i, 1000)));
        if (left) {
            OK(feed(0, leg, host_switch(0, 1)));
            OK(feed(0, leg, host_token(0, 32 * number + COUNT(tokens), 1000)));
        }
        OK(feed(0, other, host_data(0, "the hole")));
        OK(circflow_set_poll_tokens(loops[0], set, tokens, COUNT(tokens), &taken));
        assert_int_equal(taken, COUNT(tokens));
        for (size_t i = 0; i < taken; i++)
            host_give_back(&ledger, tokens[i], 1000);
        drain(0);
    }
}

/* However many sets the engine's book still has that hold nothing: the one that does is found at once. */
static void sets_that_hold_nothing_hide_nobody(void **state)
{
    static const uint32_t counts[] = {1, 63, 64, 65, 66, 200, 400};
    circflow_victim victim;
    uint64_t bytes;
    (void)state;
    for (size_t round = 0; round < COUNT(counts); round++) {
        held_bytes_max = 1 << 20;
        start(1);
        drained_sets(counts[round], false);
        world.now += SECOND;
        const circflow_set_id holder = set_behind_a_hole(8000, 20);
        world.now += SECOND;
        assert_int_equal(choose(0, 1, &victim, 1, &bytes), 1);
        assert_int_equal(victim.set.v, holder.v);
        assert_int_equal(victim.bytes, 20000);
        assert_int_equal(bytes, 20000);
        assert_int_equal(choose(0, 1, &victim, 1, &bytes), 0);
        OK(circflow_set_close(loops[0], world.now, holder));
        drain(0);
        assert_int_equal(host_stats(loops[0]).sets, counts[round]);
        OK(circflow_engine_free(loops[0], host_discard, &ledger));
        OK(circflow_hub_free(hub));
        loops[0] = NULL;
        hub = NULL;
    }
}

/* Nor does what a set held before count: neither its bytes, nor how old it was. */
static void what_was_delivered_does_not_count(void **state)
{
    circflow_victim victims[4];
    uint64_t bytes;
    (void)state;
    held_bytes_max = 1 << 24;
    start(1);
    /* More than are looked at for a victim. */
    drained_sets(200, true);
    assert_int_equal(choose(0, 4000, victims, COUNT(victims), &bytes), 4);
    assert_int_equal(bytes, 4000);
    for (size_t i = 0; i < COUNT(victims); i++)
        assert_int_equal(victims[i].bytes, 1000);
}

/* A set that has held for long, but of which the oldest message is young, comes after one whose message is older. */
static void what_is_old_is_the_oldest_that_is_left(void **state)
{
    circflow_victim victim;
    (void)state;
    start(1);
    const circflow_circuit_id leg = leg_of(0, 1), other = leg_of(0, 1);
    drain(0);
    OK(feed(0, leg, host_switch(0, 1)));
    OK(feed(0, leg, host_token(0, 1, 1000)));
    world.now += 10 * SECOND;
    const circflow_set_id older = set_behind_a_hole(8, 1);
    world.now += 10 * SECOND;
    OK(feed(0, leg, host_switch(0, 1)));
    OK(feed(0, leg, host_token(0, 2, 1000)));
    OK(feed(0, other, host_data(0, "the first hole")));
    drain(0);
    world.now += SECOND;
    OK(circflow_engine_tick(loops[0], world.now));
    assert_int_equal(choose(0, 1, &victim, 1, NULL), 1);
    assert_int_equal(victim.set.v, older.v);
    assert_int_equal(victim.bytes, 1000);
}

/* Nor is any of them closed at a cap: the one that fills it has to go, so that a newcomer finds room. */
static void sets_that_hold_nothing_stay_at_a_cap(void **state)
{
    static const uint32_t counts[] = {1, 64, 65, 70, 200};
    (void)state;
    for (size_t round = 0; round < COUNT(counts); round++) {
        uint32_t closed = 0;
        world.engine_config.held_bytes_max = 100000;
        start(1);
        drained_sets(counts[round], false);
        world.now += SECOND;
        (void)set_behind_a_hole(8000, 90);
        world.now += SECOND;
        (void)set_behind_a_hole(8100, 20);
        const host_events *events = host_drain(loops[0]);
        host_book(&ledger, events);
        for (size_t i = 0; i < events->count; i++) {
            if (events->at[i].insn.kind == CIRCFLOW_INSN_ENDED) {
                closed++;
                assert_int_equal(events->at[i].insn.set_tag, 8000);
            }
        }
        assert_int_equal(closed, 1);
        OK(circflow_engine_free(loops[0], host_discard, &ledger));
        OK(circflow_hub_free(hub));
        loops[0] = NULL;
        hub = NULL;
    }
}

/* What OOM handlers of hosts do: half of what 16,000 sets hold has to go, a set for each message. */
static void half_of_many_sets_go(void **state)
{
    enum { SETS = 16000 };
    circflow_victim victim;
    uint64_t freed = 0, bytes;
    (void)state;
    start(1);
    for (uint32_t i = 1; i <= SETS; i++)
        set_behind_a_hole(i, 1);
    for (uint64_t last = 0; freed < SETS / 2 * 1000; freed += bytes, last = victim.tag) {
        assert_int_equal(choose(0, 1, &victim, 1, &bytes), 1);
        assert_int_equal(bytes, 1000);
        assert_int_equal(victim.tag, last + 1); /* Each once, and the oldest first. */
        OK(circflow_set_close(loops[0], world.now, victim.set));
        drain(0);
    }
    assert_int_equal(host_stats(loops[0]).held_bytes, SETS / 2 * 1000);
}

/* --- One budget that sees everything --- */

static circflow_message relay_cell(uint64_t token)
{
    static const uint8_t cell[CIRCFLOW_CELL_BODY_LEN];
    circflow_message message = host_message(3, 0, 0, cell, sizeof(cell));
    if (token != 0) {
        message.form = CIRCFLOW_FORM_TOKEN;
        message.token = token;
        message.cost_bytes = 514;
    }
    return message;
}

/* A middle relay's circuit whose next channel is full. */
static circflow_circuit_id stopped(size_t at)
{
    world.exit_circuit.flags |= CIRCFLOW_CIRCUIT_REACTOR | CIRCFLOW_CIRCUIT_EXTENDED;
    const circflow_circuit_id circuit = host_open(&world, loops[at], CIRCFLOW_ROLE_RELAY);
    world.exit_circuit.flags &= (uint8_t)~(CIRCFLOW_CIRCUIT_REACTOR | CIRCFLOW_CIRCUIT_EXTENDED);
    OK(circflow_circuit_set_writable(loops[at], world.now, circuit, CIRCFLOW_SIDE_NEXT, 0));
    return circuit;
}

static int pass(size_t at, circflow_circuit_id circuit, circflow_message cell)
{
    circflow_verdict verdict;
    return circflow_circuit_relay(loops[at], world.now, circuit, CIRCFLOW_SIDE_BACK, &cell, &verdict);
}

/* At the hub's cap it is the one circuit that holds cells that pays. */
static void cells_at_edges_are_counted(void **state)
{
    (void)state;
    held_bytes_max = 1000;
    start(1);
    const circflow_circuit_id circuit = stopped(0);
    size_t kept = 0;
    while (kept < 60 && pass(0, circuit, relay_cell(0)) == CIRCFLOW_OK)
        kept++;
    assert_int_equal(kept, 1);
    assert_int_equal(host_hub_stats(hub).reserved_bytes_peak, CIRCFLOW_HELD_COST);
    assert_int_equal(host_close_of(host_drain(loops[0]), circuit)->detail.close.cause, CIRCFLOW_ERR_HUB_MEMORY);
    OK(circflow_circuit_gone(loops[0], world.now, circuit));
    drain(0);
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 0);
}

/* What padding holds back is counted, and refused at the cap: the host keeps it. */
static void held_sends_are_counted(void **state)
{
    circflow_verdict verdict;
    (void)state;
    held_bytes_max = 1000;
    start(1);
    const circflow_circuit_id circuit = host_open(&world, loops[0], CIRCFLOW_ROLE_RELAY);
    host_pad(&world, loops[0], circuit, "block-again", 0, 0);
    host_drop(&world, loops[0], circuit, 0);
    world.now += MS;
    OK(circflow_engine_tick(loops[0], world.now));
    size_t kept = 0;
    for (size_t i = 0; i < 20; i++) {
        const circflow_message message = host_data(0, "held");
        const int status = circflow_circuit_send(loops[0], world.now, circuit, &message, &verdict);
        if (status == CIRCFLOW_OK) {
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
            kept++;
        } else {
            IS(CIRCFLOW_ERR_NO_ROOM, status);
        }
    }
    assert_int_equal(kept, 1);
    assert_int_equal(host_hub_stats(hub).reserved_bytes_peak, CIRCFLOW_HELD_COST);
    assert_int_equal(host_stats(loops[0]).held_bytes, CIRCFLOW_HELD_COST);
}

/* The second leg of this set, on the other engine, whose first leg is on engine 0. */
static circflow_circuit_id far_leg(uint32_t number)
{
    leg_of(0, number);
    return leg_of(1, number);
}

static void take_one(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)userdata;
    (void)body;
    if (insn->kind == CIRCFLOW_INSN_DISCARD)
        host_give_back(&ledger, insn->detail.discard.token, 500);
}

/* Who takes no more instructions than there are is never told that there are none. */
static void nothing_is_reserved_after_the_last_instruction(void **state)
{
    (void)state;
    held_bytes_max = 64 << 20;
    start(1);
    const circflow_circuit_id leg = leg_of(0, 1), other = leg_of(0, 1);
    drain(0);
    OK(feed(0, leg, host_switch(0, 1)));
    OK(feed(0, leg, host_token(0, 1, 500)));
    assert_true(host_hub_stats(hub).reserved_bytes >= 500);
    OK(circflow_circuit_gone(loops[0], world.now, leg));
    OK(circflow_circuit_gone(loops[0], world.now, other));
    for (uint64_t deadline = 0;;) {
        OK(circflow_engine_get_deadline(loops[0], &deadline));
        if (deadline != 0)
            break;
        OK(circflow_engine_drain(loops[0], 1, NULL, take_one, NULL));
    }
    assert_int_equal(host_stats(loops[0]).held_bytes, 0);
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 0);
}

static void what_waits_for_a_busy_home_is_counted_where_it_waits(void **state)
{
    static const uint8_t body[CIRCFLOW_BODY_MAX];
    (void)state;
    for (uint32_t sets = 20; sets <= 200; sets += 180) {
        world.engine_config.held_bytes_max = 50000;
        start(2);
        size_t kept = 0;
        for (uint32_t set = 0; set < sets; set++) {
            const circflow_circuit_id leg = far_leg(set);
            for (size_t i = 0; i < 60; i++) {
                const int status = feed(1, leg, host_message(CIRCFLOW_CMD_DATA, 0, 5, body, 498));
                assert_true(host_stats(loops[1]).held_bytes <= 50000);
                if (status != CIRCFLOW_OK) {
                    assert_true(status == CIRCFLOW_ERR_ENGINE_MEMORY || status == CIRCFLOW_ERR_CLOSING);
                    break;
                }
                kept++;
                assert_true(host_stats(loops[1]).held_bytes >= CIRCFLOW_HELD_COST);
            }
        }
        assert_true(kept >= 60);
        assert_in_range(host_hub_stats(hub).reserved_bytes, host_stats(loops[1]).held_bytes, 50000 + BLOCK);
        /* The home takes it: then it is held there. */
        settle();
        assert_true(host_stats(loops[0]).held_bytes <= 50000);
        assert_int_equal(host_stats(loops[1]).held_bytes, 0);
        assert_int_equal(host_hub_stats(hub).reserved_bytes, host_stats(loops[0]).held_bytes);
        teardown(NULL);
        setup(NULL);
    }
}

/* A set on engine 0 whose only leg is on engine 1. */
static circflow_set_id set_with_its_leg_elsewhere(void)
{
    const circflow_circuit_id near = leg_of(0, 1), far = leg_of(1, 1);
    circflow_set_id set = host_first(host_drain(loops[0]), CIRCFLOW_INSN_LINKED)->set;
    settle();
    OK(feed(0, near, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
    OK(feed(1, far, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
    settle();
    OK(circflow_circuit_gone(loops[0], world.now, near));
    settle();
    assert_int_equal(host_set_stats(loops[0], set).legs, 1);
    return set;
}

static void what_a_set_sends_elsewhere_is_counted(void **state)
{
    circflow_verdict verdict;
    (void)state;
    world.engine_config.held_bytes_max = 50000;
    start(2);
    const circflow_set_id set = set_with_its_leg_elsewhere();
    size_t kept = 0;
    for (size_t i = 0; i < 1000; i++) {
        const circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, (uint16_t)(i + 1), "host:80", 8);
        const int status = circflow_set_send(loops[0], world.now, set, &begin, NULL, 0, &verdict);
        if (status == CIRCFLOW_OK)
            kept++;
        else
            IS(CIRCFLOW_ERR_NO_ROOM, status);
        assert_int_equal(host_stats(loops[0]).held_bytes, kept * CIRCFLOW_HELD_COST);
        /* By this it can be chosen when room has to be made. */
        assert_int_equal(host_set_stats(loops[0], set).total_bytes, kept * CIRCFLOW_HELD_COST);
        assert_int_equal(host_set_stats(loops[0], set).held_bytes, 0);
    }
    assert_int_equal(kept, 50000 / CIRCFLOW_HELD_COST);
    settle();
    assert_int_equal(host_stats(loops[0]).held_bytes, 0);
    assert_int_equal(host_hub_stats(hub).reserved_bytes, host_stats(loops[1]).held_bytes);
}

/* A token counts what its host says, also on its way; and what nobody could hold ends nobody else. */
static void a_token_above_the_cap_is_refused_alone(void **state)
{
    (void)state;
    world.engine_config.held_bytes_max = 50000;
    start(2);
    const circflow_circuit_id other = leg_of(1, 99);
    OK(feed(1, other, host_switch(0, 1)));
    for (uint64_t i = 0; i < 50; i++)
        OK(feed(1, other, host_token(0, 100 + i, 900)));
    const circflow_circuit_id leg = far_leg(1);
    IS(CIRCFLOW_ERR_ENGINE_MEMORY, feed(1, leg, host_token(0, 1, 1000000)));
    assert_int_equal(host_close_of(host_drain(loops[1]), leg)->detail.close.cause, CIRCFLOW_ERR_ENGINE_MEMORY);
    assert_int_equal(host_stats(loops[1]).held_bytes, 45000);
    IS(CIRCFLOW_ERR_ENGINE_MEMORY, feed(1, other, host_token(0, 2, 50001)));
}

/* Nothing that was not counted turns up when a leg goes, at either end. */
static void no_figure_jumps_when_a_leg_goes(void **state)
{
    (void)state;
    for (int who = 0; who < 3; who++) {
        world.engine_config.held_bytes_max = 50000;
        start(2);
        circflow_circuit_id near[4], far[4];
        uint64_t token = 1;
        for (uint32_t set = 0; set < 4; set++) {
            near[set] = leg_of(0, set);
            far[set] = leg_of(1, set);
        }
        if (who == 2)
            settle(); /* The home knows them. */
        for (uint32_t set = 0; set < 4; set++) {
            for (size_t i = 0; i < 300; i++) {
                /* Some at the home itself, and as many as it takes on the way. */
                if (i == 0)
                    OK(feed(0, near[set], host_switch(0, 1)));
                if (i < 20)
                    OK(feed(0, near[set], host_token(0, token++, 600)));
                if (feed(1, far[set], host_token(0, token++, 700)) != CIRCFLOW_OK)
                    break;
            }
        }
        for (uint32_t set = 0; set < 4; set++) {
            const size_t at = who == 0 ? 1 : 0;
            circflow_circuit_gone(loops[at], world.now, who == 0 ? far[set] : near[set]);
            for (size_t i = 0; i < LOOPS; i++)
                assert_true(host_stats(loops[i]).held_bytes <= 50000);
        }
        for (int round = 0; round < 5; round++) {
            for (size_t i = 0; i < LOOPS; i++) {
                OK(circflow_engine_tick(loops[i], world.now));
                assert_true(host_stats(loops[i]).held_bytes <= 50000);
                drain(i);
            }
        }
        assert_int_equal(host_hub_stats(hub).reserved_bytes, host_stats(loops[0]).held_bytes + host_stats(loops[1]).held_bytes);
        teardown(NULL);
        setup(NULL);
    }
}

/* --- Whoever holds most for longest pays --- */

/* A set on an engine that waits for its first message, and how its circuit is called. */
static circflow_circuit_id holding(size_t at, uint32_t number, uint64_t first, size_t count, uint32_t cost)
{
    const circflow_circuit_id leg = linked(at, number);
    OK(feed(at, leg, host_switch(0, 1)));
    for (size_t i = 0; i < count; i++)
        OK(feed(at, leg, host_token(0, first + i, cost)));
    return leg;
}

/* The oldest of the large ones goes, by what is queued; the feed that hit the cap goes on. */
static void at_the_cap_somebody_else_pays(void **state)
{
    (void)state;
    world.engine_config.held_bytes_max = 50000;
    start(1);
    const circflow_circuit_id small = holding(0, 1, 100, 1, 100);
    world.now += 10 * SECOND;
    const circflow_circuit_id large = holding(0, 2, 200, 60, 500);
    world.now += 10 * SECOND;
    const circflow_circuit_id young = holding(0, 3, 300, 30, 500);
    world.now += SECOND;
    assert_int_equal(host_stats(loops[0]).held_bytes, 45100);
    drain(0);
    const circflow_circuit_id newcomer = holding(0, 4, 400, 9, 500);
    OK(feed(0, newcomer, host_token(0, 409, 500)));
    /* Its tokens are not back before the drain, and not held any more. */
    assert_int_equal(host_stats(loops[0]).held_bytes, 20100);
    const host_events *events = host_drain(loops[0]);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 60);
    assert_int_equal(host_close_of(events, large)->detail.close.cause, CIRCFLOW_ERR_ENGINE_MEMORY);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 1);
    host_book(&ledger, events);
    OK(feed(0, small, host_token(0, 101, 100)));
    OK(feed(0, young, host_token(0, 330, 500)));
}

/* The same with bytes that circflow copies, when nobody drains: all of it has a bound. */
static void a_host_that_does_not_drain_has_a_bound(void **state)
{
    (void)state;
    world.engine_config.held_bytes_max = 50000;
    start(1);
    size_t refused = 0;
    uint64_t token = 1;
    for (uint32_t set = 0; set < 10 && refused == 0; set++) {
        const circflow_circuit_id leg = leg_of(0, set);
        OK(feed(0, leg, host_switch(0, 1)));
        for (size_t i = 0; i < 45 && refused == 0; i++) {
            refused += feed(0, leg, host_token(0, token++, 1000)) == CIRCFLOW_ERR_ENGINE_MEMORY;
            world.now += MS;
            assert_true(host_stats(loops[0]).held_bytes <= 50000);
            assert_true(host_lent(&ledger) <= 100000);
        }
    }
    assert_int_equal(refused, 1);
    assert_true(host_lent(&ledger) > 90000);
    drain(0);
}

/* A middle relay's circuit that waits for one cell is no victim of those that hold much. */
static void a_circuit_that_waits_for_a_cell_lives(void **state)
{
    (void)state;
    world.engine_config.held_bytes_max = 100000;
    start(1);
    holding(0, 1, 100, 99, 1000);
    const circflow_circuit_id plain = stopped(0);
    world.now += SECOND;
    drain(0);
    OK(pass(0, plain, relay_cell(0)));
    OK(pass(0, plain, relay_cell(0)));
    const host_events *events = host_drain(loops[0]);
    assert_null(host_close_of(events, plain));
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 99);
    host_book(&ledger, events);
}

/* On another engine of the hub: it is told, and closes it in its next call. */
static void a_victim_elsewhere_is_closed_by_its_own_engine(void **state)
{
    (void)state;
    held_bytes_max = 100000;
    start(2);
    const circflow_circuit_id large = holding(0, 1, 100, 90, 1000);
    world.now += SECOND;
    drain(0);
    const circflow_circuit_id leg = holding(1, 2, 300, 10, 1000);
    drain(1);
    OK(feed(1, leg, host_token(0, 310, 1000)));
    assert_true(host_hub_stats(hub).reserved_bytes <= 112500);
    const host_events *events = host_tick(&world, loops[0]);
    assert_int_equal(host_close_of(events, large)->detail.close.cause, CIRCFLOW_ERR_HUB_MEMORY);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 90);
    host_book(&ledger, events);
    drain(1);
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 11000);
}

/* Of an engine that hangs, an eighth of the cap is all that the others may hold above it. */
static void a_hung_engine_costs_no_more_than_a_bound(void **state)
{
    (void)state;
    held_bytes_max = 100000;
    start(2);
    for (uint32_t set = 0; set < 9; set++)
        holding(0, 1 + set, 100 + 10 * set, 10, 1000);
    world.now += SECOND;
    drain(1);
    size_t kept = 0;
    const circflow_circuit_id leg = leg_of(1, 20);
    OK(feed(1, leg, host_switch(0, 1)));
    while (kept < 90 && feed(1, leg, host_token(0, 300 + kept, 1000)) == CIRCFLOW_OK) {
        kept++;
        assert_true(host_hub_stats(hub).reserved_bytes <= 112500);
    }
    assert_int_equal(kept, 22);
    settle();
}

/* 100 honest sets with holes of up to a minute, some from before the attack; a crowd of sets that hold one message each
 * for long; and an attacker that fills memory at 10 MB a second, on as many sets as it likes at a time, and keeps what
 * it holds younger than theirs. */
static void honest(size_t crowd, size_t at_a_time)
{
    enum { HONEST = 100, HELD = 20, SECONDS = 90 };
    static circflow_circuit_id honest[HONEST], hole[HONEST], attack[1000];
    static uint64_t since[HONEST];
    static uint8_t waits[HONEST];
    size_t filled = 0, closed = 0;
    uint32_t number = 1000000;
    start(1);
    for (uint32_t i = 0; i < HONEST; i++) {
        honest[i] = linked(0, i);
        hole[i] = linked(0, i);
    }
    for (uint32_t i = 0; i < crowd; i++) {
        const circflow_circuit_id leg = linked(0, 1000 + i);
        OK(feed(0, leg, host_switch(0, 1)));
        OK(feed(0, leg, host_data(0, "one")));
    }
    memset(waits, 0, sizeof(waits));
    size_t in_turn = 0, sent = 0;
    for (int second = -5; second < SECONDS; second++) {
        world.now += SECOND;
        for (size_t i = 0; i < HONEST; i++) {
            /* A hole opens, each at its own time, and is filled a minute later; and then the next one. */
            if (!waits[i] && second >= (int)(i % 50) - 5) {
                waits[i] = 1;
                since[i] = world.now;
                OK(feed(0, honest[i], host_switch(0, 1)));
                for (size_t n = 0; n < HELD; n++)
                    OK(feed(0, honest[i], host_data(0, "honest")));
            } else if (waits[i] == 1 && world.now - since[i] >= 60 * SECOND) {
                OK(feed(0, hole[i], host_data(0, "the hole")));
                waits[i] = 2;
                filled++;
            }
        }
        if (second < 0)
            continue;
        for (size_t n = 0; n < 19000; n++) {
            if (sent % (31000 / at_a_time * at_a_time) == 0) {
                for (in_turn = 0; in_turn < at_a_time; in_turn++) {
                    attack[in_turn] = linked(0, number++);
                    OK(feed(0, attack[in_turn], host_switch(0, 1)));
                }
            }
            const int status = feed(0, attack[sent++ % at_a_time], host_data(0, "attack"));
            if (status != CIRCFLOW_OK)
                closed++;
            if (n % 500 == 0) {
                const host_events *events = host_drain(loops[0]);
                for (size_t i = 0; i < HONEST; i++) {
                    assert_null(host_close_of(events, honest[i]));
                    assert_null(host_close_of(events, hole[i]));
                }
                for (size_t i = 0; i < events->count; i++) {
                    if (events->at[i].insn.kind == CIRCFLOW_INSN_CLOSE)
                        OK(circflow_circuit_gone(loops[0], world.now, events->at[i].insn.circuit));
                }
                drain(0);
            }
        }
        assert_true(host_stats(loops[0]).held_bytes <= world.engine_config.held_bytes_max);
    }
    assert_true(filled > 30);
    (void)closed;
    for (size_t i = 0; i < HONEST; i++)
        OK(feed(0, honest[i], host_data(0, "still here")));
}

static void honest_sets_outlive_an_attack(void **state)
{
    (void)state;
    honest(0, 2);
    teardown(NULL);
    setup(NULL);
    honest(100000, 2);
    teardown(NULL);
    setup(NULL);
    honest(100000, 500);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_taken_at_once_are_no_longer_counted),
        TEST(an_engine_names_its_largest_and_oldest),
        TEST(an_engine_looks_at_what_is_still_held),
        TEST(sets_that_hold_nothing_hide_nobody),
        TEST(what_was_delivered_does_not_count),
        TEST(what_is_old_is_the_oldest_that_is_left),
        TEST(sets_that_hold_nothing_stay_at_a_cap),
        TEST(half_of_many_sets_go),
        TEST(cells_at_edges_are_counted),
        TEST(held_sends_are_counted),
        TEST(nothing_is_reserved_after_the_last_instruction),
        TEST(what_waits_for_a_busy_home_is_counted_where_it_waits),
        TEST(what_a_set_sends_elsewhere_is_counted),
        TEST(a_token_above_the_cap_is_refused_alone),
        TEST(no_figure_jumps_when_a_leg_goes),
        TEST(at_the_cap_somebody_else_pays),
        TEST(a_host_that_does_not_drain_has_a_bound),
        TEST(a_circuit_that_waits_for_a_cell_lives),
        TEST(a_victim_elsewhere_is_closed_by_its_own_engine),
        TEST(a_hung_engine_costs_no_more_than_a_bound),
        TEST(honest_sets_outlive_an_attack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
