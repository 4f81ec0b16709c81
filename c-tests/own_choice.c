/* A host's own leg choice: the leg that it names carries what is sent, with numbers and SWITCHes as ever. */

#include "host.h"

HOST_WORLD(host_clear)

#define CLIENT world.client
#define SET world.client_set
#define LEG(i) world.client_leg[i]

static const circflow_circuit_id nobody = {0};
static const circflow_set_id no_set = {0};

/* A set of so many legs with room for so many messages each; the first is the fastest. */
static void begin(size_t legs, uint64_t room)
{
    host_adopted(&world, legs);
    for (size_t i = 0; i < legs; i++)
        host_room(&world, CLIENT, LEG(i), room, (10 + i) * MS);
    host_drain(CLIENT);
}

static circflow_verdict sends(uint8_t command, uint32_t kind)
{
    return host_set_sends(&world, CLIENT, SET, host_message(command, HOST_HOPS, 7, "x", 1), kind);
}

/* The next message goes on this leg, with this number, after a SWITCH of this delta. */
static void goes(uint8_t command, size_t leg, uint64_t number, uint32_t delta)
{
    circflow_verdict verdict = sends(command, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(verdict.circuit.v, LEG(leg).v);
    assert_int_equal(verdict.number, number);
    assert_int_equal(verdict.switch_delta, delta);
}

static void data_goes(size_t leg, uint64_t number, uint32_t delta) { goes(CIRCFLOW_CMD_DATA, leg, number, delta); }

static int refused(void)
{
    const circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    return circflow_set_send(CLIENT, world.now, SET, &data, NULL, 0, &verdict);
}

static void says(size_t may_sends)
{
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, may_sends);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_MAY_SEND), may_sends);
}

static circflow_circuit_id named(void) { return host_set_stats(CLIENT, SET).named_leg; }

static void a_leg_that_is_named_carries_all(void **state)
{
    uint64_t room = 9;
    (void)state;
    begin(3, 50);
    assert_int_equal(named().v, 0);
    data_goes(0, 1, 0);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(2)));
    assert_int_equal(named().v, LEG(2).v);
    OK(circflow_set_get_room(CLIENT, SET, &room));
    assert_int_equal(room, 0);
    data_goes(2, 2, 1);
    for (uint64_t n = 3; n <= 20; n++)
        data_goes(2, n, 0);
    /* The same again changes nothing; another leg, and the algorithm's. */
    OK(circflow_set_use_leg(CLIENT, SET, LEG(2)));
    data_goes(2, 21, 0);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    data_goes(1, 22, 21);
    OK(circflow_set_use_leg(CLIENT, SET, nobody));
    assert_int_equal(named().v, 0);
    data_goes(0, 23, 21);
    assert_int_equal(host_set_stats(CLIENT, SET).switches_sent, 3);
    says(0);
}

/* A host that decides first and reports then. */
static void decided_and_reported(void **state)
{
    const circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    uint64_t room;
    (void)state;
    begin(2, 50);
    for (uint64_t n = 1; n <= 30; n++) {
        const size_t leg = n % 2;
        OK(circflow_set_use_leg(CLIENT, SET, LEG(leg)));
        OK(circflow_set_get_decision(CLIENT, SET, &verdict));
        assert_int_equal(verdict.circuit.v, LEG(leg).v);
        OK(circflow_set_decide(CLIENT, world.now, SET, &data, NULL, 0, &verdict));
        assert_int_equal(verdict.circuit.v, LEG(leg).v);
        assert_int_equal(verdict.number, n);
        assert_int_equal(verdict.switch_delta, n > 1);
        if (verdict.switch_delta != 0)
            OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(leg), CIRCFLOW_CMD_SWITCH, HOST_HOPS));
        OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(leg), CIRCFLOW_CMD_DATA, HOST_HOPS));
    }
    /* A leg that stays takes many without being asked for each. */
    OK(circflow_set_decide(CLIENT, world.now, SET, &data, NULL, 0, &verdict));
    OK(circflow_set_get_room(CLIENT, SET, &room));
    assert_int_equal(room, 35);
}

/* DATA waits for the leg that is named, and for no other; what is not DATA does not wait. */
static void without_room(void **state)
{
    circflow_verdict verdict;
    (void)state;
    begin(2, 50);
    host_room(&world, CLIENT, LEG(1), 2, 20 * MS);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    data_goes(1, 1, 0);
    data_goes(1, 2, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_get_decision(CLIENT, SET, &verdict));
    IS(CIRCFLOW_ERR_NO_ROOM, refused());
    IS(CIRCFLOW_ERR_NO_ROOM, refused());
    char why[400];
    IS(CIRCFLOW_ERR_NO_ROOM, refused());
    OK(circflow_engine_get_last_detail(CLIENT, why, sizeof(why), NULL));
    assert_non_null(strstr(why, "the host has named another one"));
    goes(CIRCFLOW_CMD_END, 1, 3, 0);
    host_room(&world, CLIENT, LEG(0), 60, 10 * MS);
    says(0);
    world.now += 30 * SECOND;
    host_tick(&world, CLIENT);
    says(0);
    host_room(&world, CLIENT, LEG(1), 1, 20 * MS);
    says(1);
    data_goes(1, 4, 0);
    /* Another leg that is named while the host waits: it is told at once. */
    IS(CIRCFLOW_ERR_NO_ROOM, refused());
    OK(circflow_set_use_leg(CLIENT, SET, LEG(0)));
    says(1);
    data_goes(0, 5, 4);
    /* The same when the choice is given back. */
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    IS(CIRCFLOW_ERR_NO_ROOM, refused());
    OK(circflow_set_use_leg(CLIENT, SET, nobody));
    says(1);
    data_goes(0, 6, 0);
    /* What is not DATA goes on the leg that is named although it has no room. */
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    goes(CIRCFLOW_CMD_END, 1, 7, 2);
    assert_int_equal(host_set_stats(CLIENT, SET).sent, 7);
}

/* Also with algorithms that wait by the clock, and look again. */
static void no_algorithm_comes_in_between(void **state)
{
    (void)state;
    for (uint8_t algorithm = CIRCFLOW_ALGORITHM_MIN_RTT; algorithm <= CIRCFLOW_ALGORITHM_RANDOM; algorithm++) {
        if (algorithm > CIRCFLOW_ALGORITHM_MIN_RTT)
            host_stop(&world);
        setup(NULL);
        host_prepare(&world);
        world.client_terms.algorithm = algorithm;
        world.client_terms.switch_run_min = 5;
        begin(2, 40);
        OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
        for (uint64_t n = 1; n <= 40; n++)
            data_goes(1, n, 0);
        IS(CIRCFLOW_ERR_NO_ROOM, refused());
        assert_true(host_deadline(CLIENT) > world.now + 100 * SECOND);
        for (uint64_t i = 0; i < 30; i++) {
            world.now += SECOND;
            assert_int_equal(host_tick(&world, CLIENT)->count, 0);
        }
        IS(CIRCFLOW_ERR_NO_ROOM, refused());
        OK(circflow_set_use_leg(CLIENT, SET, LEG(0)));
        says(1);
        data_goes(0, 41, 40);
        /* However short the run was: the limit on SWITCHes is the algorithm's. */
        host_room(&world, CLIENT, LEG(1), 40, 20 * MS);
        OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
        data_goes(1, 42, 1);
    }
}

/* Neither does a peer that asks for low memory count: the host knows what it does. */
static void a_peer_with_little_memory(void **state)
{
    (void)state;
    host_adopted(&world, 0);
    for (size_t i = 0; i < 2; i++) {
        host_pair(&world);
        OK(circflow_set_adopt_leg(CLIENT, world.now, SET, LEG(i), CIRCFLOW_UX_LOW_MEM_THROUGHPUT, 10 * MS * (i + 1)));
        host_room(&world, CLIENT, LEG(i), 90, 10 * MS * (i + 1));
    }
    for (uint64_t n = 1; n <= 100; n++) {
        OK(circflow_set_use_leg(CLIENT, SET, LEG(n / 7 % 2)));
        data_goes(n / 7 % 2, n, n % 7 == 0 ? (n == 7 ? 6 : 7) : 0);
    }
    assert_int_equal(host_set_stats(CLIENT, SET).peer_ux, CIRCFLOW_UX_LOW_MEM_THROUGHPUT);
}

/* With the leg the name is lost, and the algorithm chooses again. */
static void when_the_leg_is_lost(void **state)
{
    (void)state;
    begin(3, 2);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    /* Without room, and with nothing in flight: the set can do without them. */
    const circflow_leg_report shut[] = {{LEG(1), 0, 0, 20 * MS, 31, 0}, {LEG(2), 0, 0, 20 * MS, 31, 0}};
    OK(circflow_leg_update(CLIENT, world.now, shut, 2));
    IS(CIRCFLOW_ERR_NO_ROOM, refused());
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(1)));
    says(1);
    assert_int_equal(named().v, 0);
    data_goes(0, 1, 0);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_use_leg(CLIENT, SET, LEG(1)));
    data_goes(0, 2, 0);
    /* The one that takes its place in the set has no name. */
    host_pair(&world);
    OK(circflow_set_adopt_leg(CLIENT, world.now, SET, LEG(3), CIRCFLOW_UX_NO_OPINION, MS));
    host_room(&world, CLIENT, LEG(3), 50, MS);
    assert_int_equal(named().v, 0);
    data_goes(3, 3, 2);
    /* Another leg is lost: the name stays. */
    OK(circflow_set_use_leg(CLIENT, SET, LEG(0)));
    OK(circflow_circuit_close(CLIENT, world.now, LEG(2)));
    assert_int_equal(named().v, LEG(0).v);
    host_drain(CLIENT);
}

static void what_cannot_be_named(void **state)
{
    circflow_circuit_id alone, other, pending;
    circflow_set_id other_set;
    (void)state;
    begin(2, 50);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    alone = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    other = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    world.client_terms.nonce[0] ^= 1;
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &other_set));
    OK(circflow_set_adopt_leg(CLIENT, world.now, other_set, other, CIRCFLOW_UX_NO_OPINION, MS));
    pending = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_set_add_legs(CLIENT, world.now, SET, &pending, 1));
    const circflow_circuit_id as_circuit = {SET.v};
    IS(CIRCFLOW_ERR_NULL, circflow_set_use_leg(NULL, SET, LEG(0)));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_set_use_leg(CLIENT, no_set, LEG(0)));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_use_leg(world.exit, SET, LEG(0)));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_use_leg(CLIENT, SET, as_circuit));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_use_leg(CLIENT, SET, world.exit_leg[0]));
    IS(CIRCFLOW_ERR_NOT_A_LEG, circflow_set_use_leg(CLIENT, SET, alone));
    IS(CIRCFLOW_ERR_NOT_A_LEG, circflow_set_use_leg(CLIENT, SET, other));
    IS(CIRCFLOW_ERR_NOT_USABLE, circflow_set_use_leg(CLIENT, SET, pending));
    char why[100];
    IS(CIRCFLOW_ERR_NOT_USABLE, circflow_set_use_leg(CLIENT, SET, pending));
    OK(circflow_engine_get_last_detail(CLIENT, why, sizeof(why), NULL));
    assert_string_equal(why, "the leg is not linked yet");
    host_drain(CLIENT);
    OK(circflow_circuit_close(CLIENT, world.now, alone));
    IS(CIRCFLOW_ERR_CLOSING, circflow_set_use_leg(CLIENT, SET, alone));
    OK(circflow_circuit_gone(CLIENT, world.now, alone));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_use_leg(CLIENT, SET, alone));
    host_drain(CLIENT);
    /* All that changed nothing. */
    assert_int_equal(named().v, LEG(1).v);
    data_goes(1, 1, 0);
    OK(circflow_set_close(CLIENT, world.now, SET));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_use_leg(CLIENT, SET, LEG(0)));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_use_leg(CLIENT, SET, nobody));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_expect(CLIENT, SET, 1));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_set_expect(CLIENT, no_set, 1));
    IS(CIRCFLOW_ERR_NULL, circflow_set_expect(NULL, SET, 1));
    host_drain(CLIENT);
}

/* A SWITCH that went without a message has to have one; then the leg that is named is the choice. */
static void after_a_switch_alone(void **state)
{
    const circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    (void)state;
    begin(2, 50);
    data_goes(0, 1, 0);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    OK(circflow_set_decide(CLIENT, world.now, SET, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.switch_delta, 1);
    OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(1), CIRCFLOW_CMD_SWITCH, HOST_HOPS));
    OK(circflow_set_use_leg(CLIENT, SET, LEG(0)));
    data_goes(1, 2, 0);
    data_goes(0, 3, 1);
    /* A host may still report what it likes, as before: the next decision is for the leg that is named. */
    OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(1), CIRCFLOW_CMD_SWITCH, HOST_HOPS));
    OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(1), CIRCFLOW_CMD_DATA, HOST_HOPS));
    data_goes(0, 5, 1);
}

/* While padding blocks the leg that is named, messages are held for it; no other leg carries them. */
static void padding_holds_for_it(void **state)
{
    (void)state;
    host_prepare(&world);
    begin(2, 50);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(1)));
    host_shut(&world, CLIENT, LEG(1), HOST_HOPS);
    sends(CIRCFLOW_CMD_DATA, CIRCFLOW_VERDICT_HELD);
    sends(CIRCFLOW_CMD_END, CIRCFLOW_VERDICT_HELD);
    assert_int_equal(host_tick(&world, CLIENT)->count, 0);
    const host_events *events = host_later(&world, CLIENT, 100 * MS);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 2);
    for (size_t i = 0; i < events->count; i++)
        if (events->at[i].insn.kind == CIRCFLOW_INSN_SEND)
            assert_int_equal(events->at[i].insn.circuit.v, LEG(1).v);
    /* Held for one leg, and then another is named: they go there at once. */
    world.now += SECOND;
    host_tick(&world, CLIENT);
    host_drop(&world, CLIENT, LEG(1), HOST_HOPS);
    host_tick(&world, CLIENT);
    sends(CIRCFLOW_CMD_DATA, CIRCFLOW_VERDICT_HELD);
    assert_int_equal(host_tick(&world, CLIENT)->count, 0);
    OK(circflow_set_use_leg(CLIENT, SET, LEG(0)));
    events = host_drain(CLIENT);
    assert_int_equal(events->count, 2);
    assert_int_equal(events->at[0].insn.detail.send.command, CIRCFLOW_CMD_SWITCH);
    assert_int_equal(events->at[1].insn.circuit.v, LEG(0).v);
}

/* Runs of 50 cells, on each leg in turn: what docs/guide.md shows. A leg without room is passed over. */
static int turns_by_50(uint64_t sent, size_t legs)
{
    circflow_verdict verdict;
    int status = CIRCFLOW_ERR_NO_ROOM;
    for (size_t i = 0; i < legs && status == CIRCFLOW_ERR_NO_ROOM; i++) {
        OK(circflow_set_use_leg(CLIENT, SET, LEG((sent / 50 + i) % legs)));
        status = circflow_set_get_decision(CLIENT, SET, &verdict);
    }
    return status;
}

static void in_turns(void **state)
{
    uint64_t on[3] = {0, 0, 0};
    (void)state;
    begin(3, 100);
    for (uint64_t n = 1; n <= 300; n++) {
        OK(turns_by_50(n - 1, 3));
        circflow_verdict verdict = sends(CIRCFLOW_CMD_DATA, CIRCFLOW_VERDICT_SEND);
        assert_int_equal(verdict.number, n);
        assert_int_equal(verdict.circuit.v, LEG((n - 1) / 50 % 3).v);
        on[(n - 1) / 50 % 3]++;
    }
    assert_true(on[0] == 100 && on[1] == 100 && on[2] == 100);
    assert_int_equal(host_set_stats(CLIENT, SET).switches_sent, 5);
    IS(CIRCFLOW_ERR_NO_ROOM, turns_by_50(300, 3));
    host_room(&world, CLIENT, LEG(2), 5, 12 * MS);
    for (uint64_t n = 301; n <= 305; n++) {
        OK(turns_by_50(n - 1, 3));
        data_goes(2, n, 0);
    }
    IS(CIRCFLOW_ERR_NO_ROOM, turns_by_50(305, 3));
    IS(CIRCFLOW_ERR_NO_ROOM, refused());
    host_room(&world, CLIENT, world.client_leg[1], 1, 11 * MS);
    OK(turns_by_50(305, 3));
    says(1);
    data_goes(1, 306, 55);
}

/* ECF with a full fast leg: with little that waits, the slow one may go; with much, it waits for the fast one. */
static void what_waits_is_expected(void **state)
{
    static const struct {
        uint64_t messages;
        int waits;
    } rows[] = {{0, 1}, {1, 0}, {24, 0}, {25, 1}, {247, 1}, {248, 0}, {UINT64_MAX, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (i > 0)
            host_stop(&world);
        setup(NULL);
        host_prepare(&world);
        world.client_terms.algorithm = CIRCFLOW_ALGORITHM_ECF;
        host_adopted(&world, 0);
        for (size_t leg = 0; leg < 2; leg++) {
            host_pair(&world);
            circflow_leg_report report = {LEG(leg), 62, 0, (leg ? 100 : 20) * MS, 31, 0};
            OK(circflow_set_adopt_leg(CLIENT, world.now, SET, LEG(leg), CIRCFLOW_UX_NO_OPINION, report.rtt_ns));
            OK(circflow_leg_update(CLIENT, world.now, &report, 1));
        }
        for (uint64_t n = 1; n <= 62; n++)
            data_goes(0, n, 0);
        OK(circflow_set_expect(CLIENT, SET, rows[i].messages));
        IS(rows[i].waits ? CIRCFLOW_ERR_NO_ROOM : CIRCFLOW_OK, refused());
        if (!rows[i].waits)
            continue;
        /* More is to be sent: the host that waits is told so. */
        OK(circflow_set_expect(CLIENT, SET, rows[i].messages));
        says(0);
        OK(circflow_set_expect(CLIENT, SET, 1000));
        says(1);
        data_goes(1, 63, 62);
        /* What was sent since then does not wait any more. */
        for (uint64_t n = 64; n <= 66; n++) {
            OK(circflow_set_expect(CLIENT, SET, 1063 - n));
            data_goes(1, n, 0);
        }
        OK(circflow_set_expect(CLIENT, SET, 30));
        IS(CIRCFLOW_ERR_NO_ROOM, refused());
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_leg_that_is_named_carries_all),
        TEST(decided_and_reported),
        TEST(without_room),
        TEST(no_algorithm_comes_in_between),
        TEST(a_peer_with_little_memory),
        TEST(when_the_leg_is_lost),
        TEST(what_cannot_be_named),
        TEST(after_a_switch_alone),
        TEST(padding_holds_for_it),
        TEST(in_turns),
        TEST(what_waits_is_expected),
    };
    return cmocka_run_group_tests_name("own_choice", tests, NULL, NULL);
}
