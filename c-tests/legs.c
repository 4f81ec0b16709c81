/* Legs whose circuits are still being built, legs that a set misses, and what can be asked and changed of a live set:
 * its name, its way to choose a leg, and how its legs stand. */

#include "host.h"

HOST_WORLD(host_prepare)

#define BUILT(leg) circflow_circuit_built(world.client, world.now, world.client_leg[leg])
#define CLOSED(leg) circflow_circuit_gone(world.client, world.now, world.client_leg[leg])

static circflow_message link_message(uint8_t command, uint8_t hop)
{
    return host_linkish(command, hop, world.client_terms.nonce, 0, 0, CIRCFLOW_UX_MIN_LATENCY);
}

static int at_client(size_t leg, circflow_message message)
{
    return host_feed(&world, world.client, world.client_leg[leg], message);
}

static circflow_leg_stats leg_stats(circflow_engine *engine, circflow_circuit_id leg)
{
    circflow_leg_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_leg_get_stats(engine, leg, &stats));
    return stats;
}

static uint32_t state_of(size_t leg) { return leg_stats(world.client, world.client_leg[leg]).state; }
static circflow_set_stats set_stats(void) { return host_set_stats(world.client, world.client_set); }

/* Opens the client's set, if there is none, and launches `count` fresh legs. Nothing comes of it at once. */
static void launch(size_t count)
{
    const size_t first = world.leg_count;
    const uint32_t waiting = host_stats(world.client).insns;
    if (world.client_set.v == 0)
        OK(circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
    for (size_t i = 0; i < count; i++)
        host_pair(&world);
    OK(circflow_set_launch_legs(world.client, world.now, world.client_set, &world.client_leg[first], count));
    assert_int_equal(host_stats(world.client).insns, waiting);
    for (size_t i = first; i < world.leg_count; i++)
        assert_int_equal(state_of(i), CIRCFLOW_LEG_BUILDING);
}

/* What an engine has to say is one instruction, this one, about the client's set. */
static void says_only(uint32_t kind)
{
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, kind);
    assert_int_equal(events->at[0].insn.set.v, world.client_set.v);
    assert_int_equal(events->at[0].insn.set_tag, 0xc11e);
}

static void from_launched_to_usable(void **state)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    (void)state;
    world.client_terms.launches_max = 4;
    host_start(&world);
    launch(2);
    assert_int_equal(set_stats().legs, 2);
    assert_int_equal(set_stats().legs_unlinked, 2);
    assert_int_equal(set_stats().launches_left, 2);
    assert_int_equal(host_stats(world.client).timers, 0);
    /* One fails while it is being built. */
    OK(CLOSED(1));
    says_only(CIRCFLOW_INSN_WANT_LEG);
    launch(1);
    assert_int_equal(set_stats().launches_left, 1);
    OK(BUILT(0));
    assert_int_equal(state_of(0), CIRCFLOW_LEG_PENDING);
    host_carry(&world);
    assert_int_equal(state_of(0), CIRCFLOW_LEG_LINKED);
    assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_LINKED), 1);
    assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_USABLE), 0);
    assert_int_equal(set_stats().usable, 0);
    IS(CIRCFLOW_ERR_NOT_USABLE, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    /* The round trip begins when LINK is taken, not when the circuit was launched or built. */
    world.now += 3 * SECOND;
    OK(BUILT(2));
    world.now += 3 * SECOND;
    OK(circflow_engine_tick(world.client, world.now));
    host_carry(&world);
    assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_LINKED), 2);
    assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_USABLE), 1);
    assert_int_equal(world.client_saw.at[1].insn.circuit.v, world.client_leg[2].v);
    assert_int_equal(world.client_saw.at[1].insn.detail.linked.rtt_ns, 10 * MS);
    assert_int_equal(set_stats().legs_unlinked, 0);
    assert_int_equal(set_stats().launches_left, 4); /* A usable set has a new budget. */
    assert_int_equal(host_set_stats(world.exit, world.exit_set).legs, 2);
    host_room(&world, world.client, world.client_leg[2], 10, MS);
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[2].v);
}

/* prop329 4.2.2: below, at and above the cap, whether circuits fail while they are built or later. */
static void failed_launches_count(void **state)
{
    (void)state;
    world.client_terms.launches_max = 4;
    host_start(&world);
    launch(2);
    OK(CLOSED(1));
    says_only(CIRCFLOW_INSN_WANT_LEG);
    host_launch(&world, 1); /* One that is open already counts alike. */
    assert_int_equal(set_stats().launches_left, 1);
    host_drain(world.client);
    OK(CLOSED(2));
    says_only(CIRCFLOW_INSN_WANT_LEG);
    const size_t first = host_pair(&world);
    host_pair(&world);
    /* Two would be one too many: none of them is taken. */
    IS(CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
       circflow_set_launch_legs(world.client, world.now, world.client_set, &world.client_leg[first], 2));
    assert_int_equal(set_stats().legs, 1);
    assert_int_equal(set_stats().launches_left, 1);
    OK(circflow_set_launch_legs(world.client, world.now, world.client_set, &world.client_leg[first], 1));
    assert_int_equal(set_stats().launches_left, 0);
    IS(CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
       circflow_set_launch_legs(world.client, world.now, world.client_set, &world.client_leg[first + 1], 1));
    IS(CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
       circflow_set_add_legs(world.client, world.now, world.client_set, &world.client_leg[first + 1], 1));
    OK(CLOSED(first));
    assert_int_equal(host_drain(world.client)->count, 0); /* Four were launched. */
    /* The last leg takes the set with it, built or not. */
    OK(CLOSED(0));
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_ENDED);
}

static void launches_left_knows_of_legs_max(void **state)
{
    (void)state;
    world.client_terms.launches_max = 9;
    world.client_terms.legs_max = 3;
    host_start(&world);
    launch(1);
    assert_int_equal(set_stats().launches_left, 2);
    launch(2);
    assert_int_equal(set_stats().launches_left, 0);
    const size_t more = host_pair(&world);
    IS(CIRCFLOW_ERR_TOO_MANY_LEGS,
       circflow_set_launch_legs(world.client, world.now, world.client_set, &world.client_leg[more], 1));
    OK(CLOSED(2));
    assert_int_equal(set_stats().launches_left, 1);
    for (size_t leg = 0; leg < 2; leg++)
        OK(BUILT(leg));
    host_carry(&world);
    assert_int_equal(host_set_stats(world.exit, world.exit_set).launches_left, 0);
}

/* What comes on a leg from a peer that knows the nonce from another one, before it can know of this one. */
static void messages_before_link(void **state)
{
    enum { BUILDING, BUILT_NOT_SENT };
    static const struct {
        int when;
        uint8_t command;
        int want;
    } rows[] = {
        {BUILDING, CIRCFLOW_CMD_LINKED, CIRCFLOW_ERR_UNEXPECTED_LINKED},
        {BUILDING, CIRCFLOW_CMD_LINK, CIRCFLOW_ERR_UNEXPECTED_LINK},
        {BUILDING, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK},
        {BUILDING, CIRCFLOW_CMD_SWITCH, CIRCFLOW_ERR_UNEXPECTED_SWITCH},
        {BUILDING, CIRCFLOW_CMD_DATA, CIRCFLOW_ERR_UNLINKED_DATA},
        {BUILT_NOT_SENT, CIRCFLOW_CMD_LINKED, CIRCFLOW_ERR_UNEXPECTED_LINKED},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        setup(NULL);
        host_linked(&world, 1);
        launch(1);
        if (rows[i].when == BUILT_NOT_SENT)
            OK(BUILT(1));
        circflow_message message = link_message(rows[i].command, HOST_HOPS);
        if (rows[i].command == CIRCFLOW_CMD_DATA)
            message = host_data(HOST_HOPS, "x");
        IS(rows[i].want, at_client(1, message));
        const host_events *events = host_drain(world.client);
        const circflow_insn *close = host_close_of(events, world.client_leg[1]);
        assert_non_null(close);
        IS(rows[i].want, (int)close->detail.close.cause);
        assert_int_equal(host_count(events, CIRCFLOW_INSN_WANT_LEG), 1);
        assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 0); /* No LINK goes out any more. */
        assert_int_equal(host_count(events, CIRCFLOW_INSN_ENDED), 0);
        IS(CIRCFLOW_ERR_CLOSING, BUILT(1));
        if (i + 1 < COUNT(rows))
            host_stop(&world);
    }
}

static void building_goes_on_undisturbed(void **state)
{
    enum { EXTENDED2 = 15 };
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    circflow_circuit_id out;
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers row = {{0}, 0, 1};
    (void)state;
    host_linked(&world, 1);
    launch(1);
    for (uint8_t hop = 1; hop < HOST_HOPS; hop++)
        assert_int_equal(host_expect(&world, world.client, world.client_leg[1],
                                     host_message(EXTENDED2, hop, 0, "x", 1), CIRCFLOW_VERDICT_DELIVER), 0);
    /* A live set goes on, and nothing goes on the new leg, whatever its host reports of it. */
    host_room(&world, world.client, world.client_leg[0], 2, 20 * MS);
    host_room(&world, world.client, world.client_leg[1], 100, MS);
    for (int i = 0; i < 2; i++) {
        OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
        assert_int_equal(verdict.circuit.v, world.client_leg[0].v);
    }
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    IS(CIRCFLOW_ERR_NOT_DECIDED,
       circflow_circuit_cell_queued(world.client, world.now, world.client_leg[1], CIRCFLOW_CMD_SWITCH, HOST_HOPS));
    IS(CIRCFLOW_ERR_NOT_ALONE, circflow_set_dissolve(world.client, world.now, world.client_set, &out));
    row.circuit = world.client_leg[1];
    numbers.sending = world.client_leg[0];
    IS(CIRCFLOW_ERR_NUMBERS, circflow_set_import(world.client, world.now, world.client_set, &numbers, &row, 1));
    assert_int_equal(host_export(world.client, world.client_set).count, 2);
    assert_int_equal(state_of(1), CIRCFLOW_LEG_BUILDING);
    /* Once linked, it has the room that was reported. */
    OK(BUILT(1));
    host_carry(&world);
    assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_MAY_SEND), 1);
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    assert_int_equal(verdict.switch_delta, 2);
}

static void no_time_runs_while_building(void **state)
{
    uint64_t deadline;
    (void)state;
    for (uint64_t late = 0; late < 3; late++) {
        setup(NULL);
        world.client_terms.link_timeout_ns = 7 * SECOND;
        host_start(&world);
        launch(1);
        OK(circflow_engine_get_deadline(world.client, &deadline));
        assert_true(deadline == CIRCFLOW_NEVER);
        world.now += 36000 * SECOND;
        assert_int_equal(host_tick(&world, world.client)->count, 0);
        OK(BUILT(0));
        host_drain(world.client);
        OK(circflow_engine_get_deadline(world.client, &deadline));
        assert_int_equal(deadline, world.now + 7 * SECOND);
        OK(circflow_engine_tick(world.client, deadline - 1 + late));
        const host_events *events = host_drain(world.client);
        assert_int_equal(events->count, late == 0 ? 0 : 2);
        if (late != 0)
            IS(CIRCFLOW_ERR_LINKED_TIMEOUT, (int)host_close_of(events, world.client_leg[0])->detail.close.cause);
        if (late < 2)
            host_stop(&world);
    }
}

static void what_launch_refuses(void **state)
{
    circflow_circuit_id good, other, list[17];
    (void)state;
    for (int which = 0; which < 11; which++) {
        size_t count = 2;
        int want = CIRCFLOW_OK;
        circflow_circuit_config config;
        setup(NULL);
        host_start(&world);
        launch(1);
        config = world.client_circuit;
        good = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
        switch (which) {
        case 0: config.hops = 4; want = CIRCFLOW_ERR_LEG_MISMATCH; break;
        case 1: config.join_point = 78; want = CIRCFLOW_ERR_LEG_MISMATCH; break;
        case 2: config.flags |= CIRCFLOW_CIRCUIT_STREAMS; want = CIRCFLOW_ERR_HAS_STREAMS; break;
        case 3: config.flags = 0; want = CIRCFLOW_ERR_NO_VEGAS; break;
        case 4: config.flags |= CIRCFLOW_CIRCUIT_EXTENDED; want = CIRCFLOW_ERR_ROLE; break;
        case 5: want = CIRCFLOW_ERR_IN_SET; break; /* A leg that is being built. */
        case 6: want = CIRCFLOW_ERR_IN_SET; break; /* Named twice. */
        case 7: want = CIRCFLOW_ERR_ZERO_ID; break;
        case 8: want = CIRCFLOW_ERR_NO_LEGS; count = 0; break;
        case 9: want = CIRCFLOW_ERR_TOO_MANY_LEGS; count = 17; break;
        default: want = CIRCFLOW_ERR_NULL; break;
        }
        OK(circflow_circuit_open(world.client, world.now, &config, &other));
        if (which == 5)
            other = world.client_leg[0];
        if (which == 6)
            other = good;
        if (which == 7)
            other.v = 0;
        memset(list, 0, sizeof(list));
        list[0] = good;
        list[1] = other;
        IS(want, circflow_set_launch_legs(world.client, world.now, world.client_set, which == 10 ? NULL : list, count));
        assert_int_equal(set_stats().legs, 1);
        assert_int_equal(host_drain(world.client)->count, 0);
        OK(circflow_set_launch_legs(world.client, world.now, world.client_set, &good, 1));
        if (which < 10)
            host_stop(&world);
    }
}

static void what_built_refuses(void **state)
{
    circflow_circuit_id alone, zero = {0};
    (void)state;
    world.engine_config.insns_max = 2;
    host_linked(&world, 1);
    launch(4);
    alone = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_built(NULL, world.now, alone));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_circuit_built(world.client, world.now, zero));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_circuit_built(world.client, world.now, world.exit_leg[0]));
    IS(CIRCFLOW_ERR_NOT_A_LEG, circflow_circuit_built(world.client, world.now, alone));
    IS(CIRCFLOW_ERR_IN_SET, BUILT(0)); /* Linked. */
    IS(CIRCFLOW_ERR_IN_SET, circflow_circuit_built(world.exit, world.now, world.exit_leg[0]));
    OK(circflow_circuit_gone(world.client, world.now, alone));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_built(world.client, world.now, alone));
    assert_int_equal(host_stats(world.client).insns, 0);
    OK(BUILT(1));
    IS(CIRCFLOW_ERR_IN_SET, BUILT(1)); /* Said twice: LINK goes out once. */
    OK(BUILT(2));
    /* Two instructions wait, and no more may. */
    IS(CIRCFLOW_ERR_UNDRAINED, BUILT(3));
    assert_int_equal(state_of(3), CIRCFLOW_LEG_BUILDING);
    assert_int_equal(host_stats(world.client).timers, 2);
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_SEND), 2);
    OK(BUILT(3));
    host_drain(world.client);
    /* Vegas was asked for, and refused. */
    OK(circflow_circuit_set_flags(world.client, world.client_leg[4], 0));
    IS(CIRCFLOW_ERR_NO_VEGAS, BUILT(4));
    assert_int_equal(state_of(4), CIRCFLOW_LEG_BUILDING);
    assert_int_equal(host_drain(world.client)->count, 0);
    /* A set that ends takes all its legs with it, built or not. */
    OK(circflow_set_close(world.client, world.now, world.client_set));
    const host_events *events = host_drain(world.client);
    for (size_t leg = 0; leg < 5; leg++)
        assert_non_null(host_close_of(events, world.client_leg[leg]));
    IS(CIRCFLOW_ERR_CLOSING, BUILT(4));
}

static void expired_while_building(void **state)
{
    (void)state;
    world.client_terms.link_timeout_ns = 7 * SECOND;
    host_start(&world);
    launch(2);
    OK(BUILT(0));
    host_drain(world.client);
    world.now += 7 * SECOND;
    /* The other leg's time is over: the set lives on with this one. */
    OK(BUILT(1));
    const host_events *events = host_drain(world.client);
    IS(CIRCFLOW_ERR_LINKED_TIMEOUT, (int)host_close_of(events, world.client_leg[0])->detail.close.cause);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_WANT_LEG), 1);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 1);
    world.now += 7 * SECOND;
    IS(CIRCFLOW_ERR_EXPIRED, BUILT(1));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_ENDED), 1);
}

/* A leg that was linked is missed until the set is usable, and not from then on. */
static void linked_and_lost(void **state)
{
    (void)state;
    world.client_terms.launches_max = 4;
    host_start(&world);
    launch(2);
    OK(BUILT(0));
    host_carry(&world);
    assert_int_equal(state_of(0), CIRCFLOW_LEG_LINKED);
    assert_int_equal(set_stats().usable, 0);
    OK(CLOSED(0));
    says_only(CIRCFLOW_INSN_WANT_LEG);
    OK(circflow_circuit_gone(world.exit, world.now, world.exit_leg[0]));
    host_drain(world.exit);
    launch(1);
    OK(BUILT(2));
    host_carry(&world);
    OK(CLOSED(2));
    says_only(CIRCFLOW_INSN_WANT_LEG);
    OK(circflow_circuit_gone(world.exit, world.now, world.exit_leg[2]));
    launch(1);
    OK(BUILT(3));
    host_carry(&world);
    OK(CLOSED(3));
    assert_int_equal(host_drain(world.client)->count, 0); /* Four were launched. */
    OK(BUILT(1));
    host_carry(&world);
    assert_int_equal(set_stats().usable, 1);
    host_launch(&world, 1);
    host_carry(&world);
    assert_int_equal(set_stats().legs, 2);
    world.client_saw.count = 0;
    OK(CLOSED(4));
    host_carry(&world);
    assert_int_equal(world.client_saw.count, 0);
    assert_int_equal(set_stats().usable, 1);
}

static void an_exit_misses_no_leg(void **state)
{
    (void)state;
    host_start(&world);
    for (size_t leg = 0; leg < 2; leg++) {
        host_pair(&world);
        OK(host_feed(&world, world.exit, world.exit_leg[leg], link_message(CIRCFLOW_CMD_LINK, 0)));
    }
    /* Neither LINKED has been taken, so the set is not usable yet. */
    OK(circflow_circuit_gone(world.exit, world.now, world.exit_leg[0]));
    const host_events *events = host_drain(world.exit);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_WANT_LEG), 0);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_USABLE), 1);
}

/* All that an engine says about a set has this tag. */
static const host_events *all_named(circflow_engine *engine, circflow_set_id set, uint64_t tag, size_t count)
{
    const host_events *events = host_drain(engine);
    assert_int_equal(events->count, count);
    for (size_t i = 0; i < events->count; i++) {
        assert_int_equal(events->at[i].insn.set.v, set.v);
        assert_int_equal(events->at[i].insn.set_tag, tag);
    }
    return events;
}

/* Names the set where an exit first hears of it: inside the drain. */
static void name_at_linked(void *answer, const circflow_insn *insn, const uint8_t *body)
{
    (void)body;
    if (insn->kind == CIRCFLOW_INSN_LINKED)
        *(int *)answer = circflow_set_retag(world.exit, insn->set, 0xbeef);
    else
        assert_int_equal(insn->set_tag, 0xbeef);
}

static void a_set_gets_a_name(void **state)
{
    int answer = -1;
    circflow_set_id zero = {0};
    circflow_message data = host_data(0, "x");
    circflow_verdict verdict;
    (void)state;
    host_start(&world);
    for (size_t leg = 0; leg < 3; leg++)
        host_pair(&world);
    OK(host_feed(&world, world.exit, world.exit_leg[0], link_message(CIRCFLOW_CMD_LINK, 0)));
    OK(circflow_engine_drain(world.exit, SIZE_MAX, NULL, name_at_linked, &answer));
    OK(answer);
    OK(host_feed(&world, world.exit, world.exit_leg[1], link_message(CIRCFLOW_CMD_LINK, 0)));
    world.exit_set = host_first(host_drain(world.exit), CIRCFLOW_INSN_LINKED)->set;
    /* What waits: LINKED, SEND, a message that is ready, MAY_SEND, and the close of a leg that broke the rules. */
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(world.exit, world.now, world.exit_set, &data, NULL, 0, &verdict));
    host_expect(&world, world.exit, world.exit_leg[1], host_switch(0, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.exit, world.exit_leg[1], host_token(0, 7, 100), CIRCFLOW_VERDICT_HELD);
    host_expect(&world, world.exit, world.exit_leg[0], host_data(0, "x"), CIRCFLOW_VERDICT_DELIVER);
    host_room(&world, world.exit, world.exit_leg[0], 1, MS);
    OK(host_feed(&world, world.exit, world.exit_leg[2], link_message(CIRCFLOW_CMD_LINK, 0)));
    IS(CIRCFLOW_ERR_UNEXPECTED_LINK, host_feed(&world, world.exit, world.exit_leg[2], link_message(CIRCFLOW_CMD_LINK, 0)));
    OK(circflow_set_retag(world.exit, world.exit_set, 0xcafe));
    const host_events *events = all_named(world.exit, world.exit_set, 0xcafe, 3);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 1);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_MAY_SEND), 1);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 1);
    /* What an ended set says has the last name. */
    host_expect(&world, world.exit, world.exit_leg[1], host_switch(0, 5), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.exit, world.exit_leg[1], host_token(0, 8, 100), CIRCFLOW_VERDICT_HELD);
    OK(circflow_set_retag(world.exit, world.exit_set, 0xf00d));
    OK(circflow_set_close(world.exit, world.now, world.exit_set));
    events = all_named(world.exit, world.exit_set, 0xf00d, 4);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 1);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_ENDED), 1);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_retag(world.exit, world.exit_set, 1));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_set_retag(world.exit, zero, 1));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_retag(world.client, world.exit_set, 1));
    IS(CIRCFLOW_ERR_NULL, circflow_set_retag(NULL, world.exit_set, 1));
}

/* A close waits, the set is renamed and ends, and only then is anything taken. */
static void a_close_that_waited_has_the_name_too(void **state)
{
    (void)state;
    host_linked(&world, 3);
    for (size_t leg = 1; leg < 3; leg++) {
        IS(CIRCFLOW_ERR_UNEXPECTED_LINKED, at_client(leg, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
        OK(circflow_set_retag(world.client, world.client_set, 0xa0 + leg));
    }
    OK(circflow_set_close(world.client, world.now, world.client_set));
    const host_events *events = all_named(world.client, world.client_set, 0xa2, 4);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 3);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_ENDED), 1);
}

static void the_way_to_choose_changes(void **state)
{
    static const struct {
        uint8_t ux;
        uint32_t algorithm;
    } rows[] = {
        {CIRCFLOW_UX_NO_OPINION, CIRCFLOW_ALGORITHM_ON_TIME},
        {CIRCFLOW_UX_MIN_LATENCY, CIRCFLOW_ALGORITHM_MIN_RTT},
        {CIRCFLOW_UX_LOW_MEM_LATENCY, CIRCFLOW_ALGORITHM_MIN_RTT},
        {CIRCFLOW_UX_HIGH_THROUGHPUT, CIRCFLOW_ALGORITHM_ON_TIME},
        {CIRCFLOW_UX_LOW_MEM_THROUGHPUT, CIRCFLOW_ALGORITHM_LOW_RTT},
    };
    circflow_set_id zero = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        setup(NULL);
        host_start(&world);
        OK(circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
        assert_int_equal(set_stats().algorithm, CIRCFLOW_ALGORITHM_ON_TIME); /* Nobody has asked yet. */
        host_pair(&world);
        OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[0], rows[i].ux, MS));
        assert_int_equal(set_stats().algorithm, rows[i].algorithm);
        for (uint8_t algorithm = 1; algorithm <= CIRCFLOW_ALGORITHM_RANDOM; algorithm++) {
            OK(circflow_set_use_algorithm(world.client, world.client_set, algorithm));
            assert_int_equal(set_stats().algorithm, algorithm);
        }
        IS(CIRCFLOW_ERR_INVALID,
           circflow_set_use_algorithm(world.client, world.client_set, CIRCFLOW_ALGORITHM_RANDOM + 1));
        assert_int_equal(set_stats().algorithm, CIRCFLOW_ALGORITHM_RANDOM);
        /* The peer's wish does not count, but is remembered. */
        host_pair(&world);
        OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[1], rows[i].ux, MS));
        assert_int_equal(set_stats().algorithm, CIRCFLOW_ALGORITHM_RANDOM);
        OK(circflow_set_use_algorithm(world.client, world.client_set, CIRCFLOW_ALGORITHM_BY_UX));
        assert_int_equal(set_stats().algorithm, rows[i].algorithm);
        if (i + 1 < COUNT(rows))
            host_stop(&world);
    }
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_set_use_algorithm(world.client, zero, 1));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_use_algorithm(world.exit, world.client_set, 1));
    OK(circflow_set_close(world.client, world.now, world.client_set));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_use_algorithm(world.client, world.client_set, 1));
    IS(CIRCFLOW_ERR_NULL, circflow_set_use_algorithm(NULL, world.client_set, 1));
}

static void from_the_next_decision_on(void **state)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    uint64_t room = 99;
    (void)state;
    world.client_terms.algorithm = CIRCFLOW_ALGORITHM_LOW_RTT;
    host_adopted(&world, 2);
    host_room(&world, world.client, world.client_leg[0], 5, 10 * MS);
    host_room(&world, world.client, world.client_leg[1], 5, 20 * MS);
    for (int i = 0; i < 2; i++)
        OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    OK(circflow_set_decide(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    OK(circflow_set_get_room(world.client, world.client_set, &room));
    assert_int_equal(room, 3);
    OK(circflow_set_use_algorithm(world.client, world.client_set, CIRCFLOW_ALGORITHM_MIN_RTT));
    OK(circflow_set_get_room(world.client, world.client_set, &room));
    assert_int_equal(room, 0);
    for (int i = 0; i < 3; i++)
        OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[0].v);
    /* Full: MinRTT waits, LowRTT goes on with the other leg, and says so. */
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(host_drain(world.client)->count, 0);
    OK(circflow_set_use_algorithm(world.client, world.client_set, CIRCFLOW_ALGORITHM_LOW_RTT));
    says_only(CIRCFLOW_INSN_MAY_SEND);
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    assert_int_equal(verdict.switch_delta, 5);
    OK(circflow_set_use_algorithm(world.client, world.client_set, CIRCFLOW_ALGORITHM_MIN_RTT));
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
}

static void how_a_leg_stands(void **state)
{
    circflow_leg_stats stats;
    circflow_circuit_id zero = {0};
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    uint8_t older[sizeof(stats)];
    size_t size = offsetof(circflow_leg_stats, rtt_ns);
    (void)state;
    host_linked(&world, 1);
    launch(1);
    stats = leg_stats(world.client, world.client_leg[1]);
    assert_int_equal(stats.size, sizeof(stats));
    assert_int_equal(stats.state, CIRCFLOW_LEG_BUILDING);
    assert_int_equal(stats.sendme_inc, 31);
    assert_int_equal(stats.rtt_ns + stats.cwnd + stats.inflight + stats.sent + stats.received, 0);
    OK(BUILT(1));
    assert_int_equal(state_of(1), CIRCFLOW_LEG_PENDING);
    host_drain(world.client);
    assert_int_equal(state_of(1), CIRCFLOW_LEG_PENDING);
    assert_int_equal(leg_stats(world.exit, world.exit_leg[0]).state, CIRCFLOW_LEG_LINKED);
    OK(host_feed(&world, world.exit, world.exit_leg[1], link_message(CIRCFLOW_CMD_LINK, 0)));
    assert_int_equal(leg_stats(world.exit, world.exit_leg[1]).state, CIRCFLOW_LEG_UNACKED);
    assert_int_equal(leg_stats(world.client, world.client_leg[0]).rtt_ns, 10 * MS);
    circflow_leg_report report = {world.client_leg[0], 200, 90, 15 * MS, 50, 0};
    OK(circflow_leg_update(world.client, world.now, &report, 1));
    for (int i = 0; i < 3; i++)
        OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    host_expect(&world, world.client, world.client_leg[0], data, CIRCFLOW_VERDICT_DELIVER);
    stats = leg_stats(world.client, world.client_leg[0]);
    assert_int_equal(stats.state, CIRCFLOW_LEG_LINKED);
    assert_int_equal(stats.sendme_inc, 50);
    assert_int_equal(stats.rtt_ns, 15 * MS);
    assert_int_equal(stats.cwnd, 200);
    assert_int_equal(stats.inflight, 93);
    assert_int_equal(stats.sent, 3);
    assert_int_equal(stats.received, 1);
    /* A host built with an older header gets what it knows. */
    memset(older, 0xee, sizeof(older));
    memcpy(older, &size, sizeof(size));
    OK(circflow_leg_get_stats(world.client, world.client_leg[0], (circflow_leg_stats *)(void *)older));
    assert_int_equal(older[size - 1], 0);
    assert_int_equal(older[size], 0xee);
    stats.size = 0;
    IS(CIRCFLOW_ERR_VERSION, circflow_leg_get_stats(world.client, world.client_leg[0], &stats));
    stats.size = sizeof(stats);
    IS(CIRCFLOW_ERR_NULL, circflow_leg_get_stats(world.client, world.client_leg[0], NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_leg_get_stats(NULL, world.client_leg[0], &stats));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_leg_get_stats(world.client, zero, &stats));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_leg_get_stats(world.client, world.exit_leg[0], &stats));
    IS(CIRCFLOW_ERR_NOT_A_LEG,
       circflow_leg_get_stats(world.client, host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT), &stats));
    IS(CIRCFLOW_ERR_UNEXPECTED_LINK, at_client(1, link_message(CIRCFLOW_CMD_LINK, HOST_HOPS)));
    IS(CIRCFLOW_ERR_CLOSING, circflow_leg_get_stats(world.client, world.client_leg[1], &stats));
    OK(CLOSED(1));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_leg_get_stats(world.client, world.client_leg[1], &stats));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(from_launched_to_usable),
        TEST(failed_launches_count),
        TEST(launches_left_knows_of_legs_max),
        TEST(messages_before_link),
        TEST(building_goes_on_undisturbed),
        TEST(no_time_runs_while_building),
        TEST(what_launch_refuses),
        TEST(what_built_refuses),
        TEST(expired_while_building),
        TEST(linked_and_lost),
        TEST(an_exit_misses_no_leg),
        TEST(a_set_gets_a_name),
        TEST(a_close_that_waited_has_the_name_too),
        TEST(the_way_to_choose_changes),
        TEST(from_the_next_decision_on),
        TEST(how_a_leg_stands),
    };
    return cmocka_run_group_tests_name("legs", tests, NULL, NULL);
}
