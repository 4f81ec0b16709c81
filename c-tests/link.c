/* The link handshake, at both ends: who may become a leg, what goes over the wire, what is refused, how long it may
 * take, and when the set may carry streams. */

#include "host.h"

HOST_WORLD(host_prepare)

static circflow_message link_message(uint8_t command, uint8_t hop)
{
    return host_linkish(command, hop, world.client_terms.nonce, 0, 0, CIRCFLOW_UX_MIN_LATENCY);
}

static int at_client(size_t leg, circflow_message message)
{
    return host_feed(&world, world.client, world.client_leg[leg], message);
}

static int at_exit(size_t leg, circflow_message message)
{
    return host_feed(&world, world.exit, world.exit_leg[leg], message);
}

/* One circuit, and nothing else, is told to close. */
static void closes_only(circflow_engine *engine, circflow_circuit_id circuit, int cause, uint32_t reason)
{
    const host_events *events = host_drain(engine);
    const circflow_insn *close = host_close_of(events, circuit);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 1);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_ENDED), 0);
    assert_non_null(close);
    IS(cause, (int)close->detail.close.cause);
    assert_int_equal(close->detail.close.reason, reason);
}

static void legs_of_any_number_link(void **state)
{
    const size_t counts[] = {1, 2, 16};
    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        size_t count = counts[i];
        setup(NULL);
        host_linked(&world, count);
        assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_LINKED), count);
        assert_int_equal(host_count(&world.exit_saw, CIRCFLOW_INSN_LINKED), count);
        assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_USABLE), 1);
        assert_int_equal(host_count(&world.exit_saw, CIRCFLOW_INSN_USABLE), 1);
        assert_int_equal(world.client_saw.count + world.exit_saw.count, 2 * (count + 1));
        for (size_t leg = 0; leg < count; leg++) {
            const circflow_insn *linked = &world.client_saw.at[leg].insn;
            assert_int_equal(linked->circuit.v, world.client_leg[leg].v);
            assert_int_equal(linked->circuit_tag, 0xc000 + leg);
            assert_int_equal(linked->set.v, world.client_set.v);
            assert_int_equal(linked->set_tag, 0xc11e);
            assert_int_equal(linked->detail.linked.rtt_ns, 10 * MS);
        }
        assert_int_equal(host_first(&world.exit_saw, CIRCFLOW_INSN_LINKED)->detail.linked.rtt_ns, 0);
        assert_int_equal(host_first(&world.exit_saw, CIRCFLOW_INSN_LINKED)->set_tag, 0xe417);
        circflow_set_stats stats = host_set_stats(world.client, world.client_set);
        assert_int_equal(stats.legs, count);
        assert_int_equal(stats.legs_unlinked, 0);
        assert_int_equal(stats.peer_ux, CIRCFLOW_UX_MIN_LATENCY);
        assert_int_equal(stats.primary.v, world.client_leg[0].v);
        assert_int_equal(host_set_stats(world.exit, world.exit_set).peer_ux, CIRCFLOW_UX_HIGH_THROUGHPUT);
        assert_int_equal(host_set_stats(world.exit, world.exit_set).legs, count);
        assert_int_equal(host_stats(world.client).timers + host_stats(world.exit).timers, 0);
        if (i + 1 < COUNT(counts))
            host_stop(&world);
    }
}

static void the_bytes_are_those_of_the_vectors(void **state)
{
    uint8_t want[50] = {1};
    const host_events *events;
    circflow_insn insn;
    uint8_t body[CIRCFLOW_BODY_MAX];
    (void)state;
    for (uint8_t i = 0; i < 32; i++)
        want[1 + i] = i;
    want[49] = CIRCFLOW_UX_HIGH_THROUGHPUT;
    host_launched(&world, 1);
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(world.client, body, 49, &insn));
    events = host_drain(world.client);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_SEND);
    assert_int_equal(events->at[0].insn.circuit.v, world.client_leg[0].v);
    assert_int_equal(events->at[0].insn.set.v, world.client_set.v);
    assert_int_equal(events->at[0].insn.detail.send.command, CIRCFLOW_CMD_LINK);
    assert_int_equal(events->at[0].insn.detail.send.hop, HOST_HOPS);
    assert_int_equal(events->at[0].insn.detail.send.stream_id, 0);
    assert_int_equal(events->at[0].insn.detail.send.body_len, 50);
    assert_memory_equal(events->at[0].body, want, 50);
    OK(at_exit(0, host_message(CIRCFLOW_CMD_LINK, 0, 0, want, 50)));
    events = host_drain(world.exit);
    want[49] = CIRCFLOW_UX_MIN_LATENCY; /* LINKED-1 */
    const circflow_insn *linked = host_first(events, CIRCFLOW_INSN_SEND);
    assert_int_equal(linked->detail.send.command, CIRCFLOW_CMD_LINKED);
    assert_int_equal(linked->detail.send.hop, 0);
    assert_int_equal(linked->detail.send.body_len, 50);
    /* In this order: the leg sends, and the set is usable, once LINKED is the host's to send. */
    assert_int_equal(events->count, 3);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_LINKED);
    assert_int_equal(events->at[1].insn.kind, CIRCFLOW_INSN_SEND);
    assert_int_equal(events->at[2].insn.kind, CIRCFLOW_INSN_USABLE);
    assert_memory_equal(events->at[1].body, want, 50);
    OK(at_client(0, host_message(CIRCFLOW_CMD_LINKED, HOST_HOPS, 0, want, 50)));
    linked = host_first(host_drain(world.client), CIRCFLOW_INSN_SEND);
    assert_int_equal(linked->detail.send.command, CIRCFLOW_CMD_LINKED_ACK);
    assert_int_equal(linked->detail.send.body_len, 0);
}

/* C2, one condition at a time, and all or nothing. */
static void unfit_circuits_are_refused(void **state)
{
    circflow_circuit_id good, other;
    (void)state;
    for (int which = 0; which < 12; which++) {
        circflow_circuit_config config;
        circflow_circuit_id list[17];
        size_t count = 2;
        int want = CIRCFLOW_OK;
        setup(NULL);
        host_linked(&world, 1);
        config = world.client_circuit;
        good = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
        switch (which) {
        case 0: config.hops = 4; want = CIRCFLOW_ERR_LEG_MISMATCH; break;
        case 1: config.join_point = 78; want = CIRCFLOW_ERR_LEG_MISMATCH; break;
        case 2: config.flags |= CIRCFLOW_CIRCUIT_STREAMS; want = CIRCFLOW_ERR_HAS_STREAMS; break;
        case 3: config.flags = 0; want = CIRCFLOW_ERR_NO_VEGAS; break;
        case 4: want = CIRCFLOW_ERR_HAS_STREAMS; break; /* One that circflow saw itself. */
        case 5: want = CIRCFLOW_ERR_IN_SET; break;      /* A leg already. */
        case 6: want = CIRCFLOW_ERR_IN_SET; break;      /* Named twice. */
        case 7: want = CIRCFLOW_ERR_CLOSING; break;
        case 8: want = CIRCFLOW_ERR_STALE_ID; break;
        case 9: want = CIRCFLOW_ERR_ZERO_ID; break;
        case 10: want = CIRCFLOW_ERR_NO_LEGS; count = 0; break;
        default: want = CIRCFLOW_ERR_NULL; break;
        }
        OK(circflow_circuit_open(world.client, world.now, &config, &other));
        if (which == 4)
            host_expect(&world, world.client, other, host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_DELIVER);
        if (which == 5)
            other = world.client_leg[0];
        if (which == 6)
            other = good;
        if (which == 7)
            IS(CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
               host_feed(&world, world.client, other, host_message(CIRCFLOW_CMD_LINKED_ACK, HOST_HOPS, 0, NULL, 0)));
        if (which == 8)
            OK(circflow_circuit_gone(world.client, world.now, other));
        if (which == 9)
            other.v = 0;
        list[0] = good;
        list[1] = other;
        IS(want, circflow_set_add_legs(world.client, world.now, world.client_set, which == 11 ? NULL : list, count));
        assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_SEND), 0);
        assert_int_equal(host_set_stats(world.client, world.client_set).legs, 1);
        assert_int_equal(host_stats(world.client).timers, 0);
        /* The good one is still fit. */
        OK(circflow_set_add_legs(world.client, world.now, world.client_set, &good, 1));
        if (which < 11)
            host_stop(&world);
    }
}

static void an_exits_circuit_is_no_clients_leg(void **state)
{
    circflow_circuit_id circuit;
    (void)state;
    host_start(&world);
    OK(circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
    circuit = host_open(&world, world.client, CIRCFLOW_ROLE_RELAY);
    IS(CIRCFLOW_ERR_ROLE, circflow_set_add_legs(world.client, world.now, world.client_set, &circuit, 1));
    OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, circuit, 0, 0)); /* "either role will do" */
}

static void no_more_legs_and_launches_than_allowed(void **state)
{
    circflow_circuit_id circuits[4];
    (void)state;
    world.client_terms.legs_max = 3;
    world.client_terms.launches_max = 4;
    host_launched(&world, 2);
    for (size_t i = 0; i < 4; i++)
        circuits[i] = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    IS(CIRCFLOW_ERR_TOO_MANY_LEGS, circflow_set_add_legs(world.client, world.now, world.client_set, circuits, 2));
    IS(CIRCFLOW_ERR_TOO_MANY_LEGS, circflow_set_add_legs(world.client, world.now, world.client_set, circuits, 4));
    OK(circflow_set_add_legs(world.client, world.now, world.client_set, circuits, 1));
    /* A lost leg makes room for a leg, not for a launch. */
    OK(circflow_circuit_gone(world.client, world.now, circuits[0]));
    OK(circflow_set_add_legs(world.client, world.now, world.client_set, &circuits[1], 1));
    OK(circflow_circuit_gone(world.client, world.now, circuits[1]));
    IS(CIRCFLOW_ERR_TOO_MANY_LAUNCHES, circflow_set_add_legs(world.client, world.now, world.client_set, &circuits[2], 1));
    circflow_circuit_id many[17] = {{0}};
    IS(CIRCFLOW_ERR_TOO_MANY_LEGS, circflow_set_add_legs(world.client, world.now, world.client_set, many, 17));
}

static void want_leg_as_long_as_the_budget_lasts(void **state)
{
    (void)state;
    world.client_terms.launches_max = 3;
    host_asked(&world, 2);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_WANT_LEG);
    assert_int_equal(events->at[0].insn.set.v, world.client_set.v);
    host_launch(&world, 1);
    host_drain(world.client);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[2]));
    assert_int_equal(host_drain(world.client)->count, 0); /* Three were launched. */
}

static void the_last_pending_leg_that_goes_makes_the_set_usable(void **state)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    (void)state;
    world.client_terms.launches_max = 2;
    host_asked(&world, 2);
    OK(at_client(0, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_USABLE), 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).usable, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).legs_unlinked, 1);
    host_room(&world, world.client, world.client_leg[0], 10, MS);
    IS(CIRCFLOW_ERR_NOT_USABLE, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    IS(CIRCFLOW_ERR_NOT_USABLE, circflow_set_decide(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    IS(CIRCFLOW_ERR_NOT_USABLE, circflow_set_get_decision(world.client, world.client_set, &verdict));
    assert_true(circflow_circuit_cell_queued(world.client, world.now, world.client_leg[0], CIRCFLOW_CMD_DATA, HOST_HOPS) != CIRCFLOW_OK);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 1); /* No budget for another. */
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_USABLE);
    OK(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
}

static void a_usable_set_has_a_new_budget(void **state)
{
    (void)state;
    world.client_terms.launches_max = 2;
    host_asked(&world, 2);
    OK(at_client(0, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    assert_int_equal(host_set_stats(world.client, world.client_set).usable, 1);
    host_launch(&world, 1); /* launches_max bounds the launches "before the set is usable" */
}

static void usable_is_said_once_in_a_sets_life(void **state)
{
    (void)state;
    world.client_terms.launches_max = 2;
    host_linked(&world, 2);
    for (int i = 0; i < 3; i++) {
        world.client_saw.count = world.exit_saw.count = 0;
        host_launch(&world, 2);
        host_carry(&world);
        assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_LINKED), 2);
        assert_int_equal(host_count(&world.client_saw, CIRCFLOW_INSN_USABLE), 0);
        assert_int_equal(host_count(&world.exit_saw, CIRCFLOW_INSN_USABLE), 0);
    }
}

static void waits_are_bounded_to_the_nanosecond(void **state)
{
    (void)state;
    for (int is_exit = 0; is_exit < 2; is_exit++) {
        for (uint64_t late = 0; late < 3; late++) {
            uint64_t deadline = 0;
            setup(NULL);
            world.client_terms.link_timeout_ns = world.exit_terms.link_timeout_ns = 7 * SECOND;
            host_asked(&world, 1);
            OK(at_exit(0, link_message(CIRCFLOW_CMD_LINK, 0)));
            host_drain(world.exit);
            circflow_engine *engine = is_exit ? world.exit : world.client;
            circflow_circuit_id leg = is_exit ? world.exit_leg[0] : world.client_leg[0];
            int cause = is_exit ? CIRCFLOW_ERR_LINKED_ACK_TIMEOUT : CIRCFLOW_ERR_LINKED_TIMEOUT;
            OK(circflow_engine_get_deadline(engine, &deadline));
            assert_int_equal(deadline, world.now + 7 * SECOND);
            OK(circflow_engine_tick(engine, deadline - 1 + late));
            const host_events *events = host_drain(engine);
            if (late == 0) {
                assert_int_equal(events->count, 0);
            } else {
                assert_int_equal(events->count, 2);
                const circflow_insn *close = host_close_of(events, leg);
                IS(cause, (int)close->detail.close.cause);
                assert_int_equal(close->detail.close.reason, 10);
                assert_int_equal(events->at[1].insn.kind, CIRCFLOW_INSN_ENDED);
                OK(circflow_engine_get_deadline(engine, &deadline));
                assert_true(deadline == CIRCFLOW_NEVER);
                assert_int_equal(host_stats(engine).sets, 0);
            }
            if (!is_exit || late < 2)
                host_stop(&world);
        }
    }
}

/* The wait runs from when LINK or LINKED was queued, the round trip from when it was taken. */
static void the_wait_runs_while_the_host_has_not_taken_link(void **state)
{
    uint64_t deadline;
    (void)state;
    for (int is_exit = 0; is_exit < 2; is_exit++) {
        setup(NULL);
        world.client_terms.link_timeout_ns = world.exit_terms.link_timeout_ns = 7 * SECOND;
        host_launched(&world, 1);
        uint64_t queued = world.now;
        if (is_exit)
            OK(at_exit(0, link_message(CIRCFLOW_CMD_LINK, 0)));
        world.now += 3 * SECOND;
        circflow_engine *engine = is_exit ? world.exit : world.client;
        assert_int_equal(host_first(host_tick(&world, engine), CIRCFLOW_INSN_SEND)->detail.send.command,
                         is_exit ? CIRCFLOW_CMD_LINKED : CIRCFLOW_CMD_LINK);
        OK(circflow_engine_get_deadline(engine, &deadline));
        assert_int_equal(deadline, queued + 7 * SECOND);
        world.now += 20 * MS;
        OK(is_exit ? at_exit(0, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0))
                   : at_client(0, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
        circflow_leg_stats stats;
        stats.size = sizeof(stats);
        OK(circflow_leg_get_stats(engine, is_exit ? world.exit_leg[0] : world.client_leg[0], &stats));
        assert_int_equal(stats.rtt_ns, 20 * MS);
        if (!is_exit)
            host_stop(&world);
    }
}

static void a_feed_about_what_expired_says_so(void **state)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    circflow_set_numbers numbers = {0, {0}};
    (void)state;
    for (int which = 0; which < 4; which++) {
        setup(NULL);
        host_asked(&world, 1);
        world.now += 60 * SECOND;
        switch (which) {
        case 0: IS(CIRCFLOW_ERR_EXPIRED, at_client(0, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS))); break;
        case 1: IS(CIRCFLOW_ERR_EXPIRED, circflow_set_decide(world.client, world.now, world.client_set, &data, NULL, 0, &verdict)); break;
        case 2: IS(CIRCFLOW_ERR_EXPIRED, circflow_set_import(world.client, world.now, world.client_set, &numbers, NULL, 0)); break;
        default: IS(CIRCFLOW_ERR_EXPIRED, circflow_circuit_cell_queued(world.client, world.now, world.client_leg[0], CIRCFLOW_CMD_DATA, HOST_HOPS)); break;
        }
        const circflow_insn *close = host_close_of(host_drain(world.client), world.client_leg[0]);
        IS(CIRCFLOW_ERR_LINKED_TIMEOUT, (int)close->detail.close.cause);
        IS(CIRCFLOW_ERR_CLOSING, at_client(0, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
        if (which < 3)
            host_stop(&world);
    }
}

static void the_round_trip_comes_from_the_hosts_clock(void **state)
{
    (void)state;
    host_asked(&world, 3);
    OK(at_client(0, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS))); /* The clock stood still. */
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_LINKED)->detail.linked.rtt_ns, 0);
    world.now += 80 * MS;
    OK(at_client(1, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_LINKED)->detail.linked.rtt_ns, 80 * MS);
    world.now -= 50 * MS; /* Read as the latest time. */
    OK(at_client(2, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
    assert_int_equal(host_first(host_drain(world.client), CIRCFLOW_INSN_LINKED)->detail.linked.rtt_ns, 80 * MS);
    /* Unmeasured is slowest, and of equal legs the first wins. */
    assert_int_equal(host_set_stats(world.client, world.client_set).primary.v, world.client_leg[1].v);
}

/* Handshake messages where none may be: each closes its circuit, and only that. */
static void messages_out_of_place(void **state)
{
    enum { NEW, PENDING, LINKED, EXIT_NEW, EXIT_UNACKED, EXIT_LINKED };
    static const struct {
        int where;
        uint8_t command;
        int want;
    } rows[] = {
        {NEW, CIRCFLOW_CMD_LINK, CIRCFLOW_ERR_UNEXPECTED_LINK},
        {NEW, CIRCFLOW_CMD_LINKED, CIRCFLOW_ERR_UNEXPECTED_LINKED},
        {NEW, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK},
        {PENDING, CIRCFLOW_CMD_LINK, CIRCFLOW_ERR_UNEXPECTED_LINK},
        {PENDING, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK},
        {LINKED, CIRCFLOW_CMD_LINK, CIRCFLOW_ERR_UNEXPECTED_LINK},
        {LINKED, CIRCFLOW_CMD_LINKED, CIRCFLOW_ERR_UNEXPECTED_LINKED}, /* EDGE-C-1 */
        {LINKED, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK},
        {EXIT_NEW, CIRCFLOW_CMD_LINKED, CIRCFLOW_ERR_UNEXPECTED_LINKED},
        {EXIT_NEW, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK},
        {EXIT_UNACKED, CIRCFLOW_CMD_LINK, CIRCFLOW_ERR_UNEXPECTED_LINK},
        {EXIT_UNACKED, CIRCFLOW_CMD_LINKED, CIRCFLOW_ERR_UNEXPECTED_LINKED},
        {EXIT_LINKED, CIRCFLOW_CMD_LINK, CIRCFLOW_ERR_UNEXPECTED_LINK},
        {EXIT_LINKED, CIRCFLOW_CMD_LINKED, CIRCFLOW_ERR_UNEXPECTED_LINKED},
        {EXIT_LINKED, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK}, /* EDGE-C-18 */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int is_exit = rows[i].where >= EXIT_NEW, where = rows[i].where;
        setup(NULL);
        host_linked(&world, 1);
        if (where == PENDING || where == LINKED || where == EXIT_UNACKED || where == EXIT_LINKED)
            host_launch(&world, 2); /* The third leg stays pending, so that C Tor would still take a second LINKED. */
        else
            host_pair(&world);
        host_drain(world.client);
        if (where == LINKED)
            OK(at_client(1, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
        if (where == EXIT_UNACKED || where == EXIT_LINKED)
            OK(at_exit(1, link_message(CIRCFLOW_CMD_LINK, 0)));
        if (where == EXIT_LINKED)
            OK(at_exit(1, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
        if (where == LINKED)
            host_room(&world, world.client, world.client_leg[1], 100, 0);
        if (where == EXIT_UNACKED || where == EXIT_LINKED)
            host_room(&world, world.exit, world.exit_leg[1], 100, 0);
        circflow_engine *engine = is_exit ? world.exit : world.client;
        host_drain(engine);
        IS(rows[i].want, is_exit ? at_exit(1, link_message(rows[i].command, 0)) : at_client(1, link_message(rows[i].command, HOST_HOPS)));
        closes_only(engine, is_exit ? world.exit_leg[1] : world.client_leg[1], rows[i].want, 1);
        if (i + 1 < COUNT(rows))
            host_stop(&world);
    }
}

/* LINK at an exit that it must not accept, and LINKED at a client. */
static void bad_links_close_their_circuit(void **state)
{
    enum { SHORT, VERSION, EMPTY, STREAM, EXTENDED, STREAMS, SEEN_STREAM, NO_VEGAS, OFF, CASES };
    static const int wants[] = {CIRCFLOW_ERR_BAD_LINK,      CIRCFLOW_ERR_BAD_LINK,   CIRCFLOW_ERR_BAD_LINK,
                                CIRCFLOW_ERR_BAD_STREAM_ID, CIRCFLOW_ERR_UNEXPECTED_LINK, CIRCFLOW_ERR_UNFIT_LINK,
                                CIRCFLOW_ERR_UNFIT_LINK,    CIRCFLOW_ERR_UNFIT_LINK, CIRCFLOW_ERR_CONFLUX_OFF};
    (void)state;
    for (int which = 0; which < CASES; which++) {
        uint8_t flags = CIRCFLOW_CIRCUIT_VEGAS, body[60] = {0};
        setup(NULL);
        host_linked(&world, 1);
        host_pair(&world);
        circflow_message message = link_message(CIRCFLOW_CMD_LINK, 0);
        memcpy(body, message.body, 50);
        message.body = body;
        if (which == SHORT) message.body_len = 49;
        if (which == EMPTY) message.body_len = 0;
        if (which == VERSION) body[0] = 2;
        if (which == STREAM) message.stream_id = 9;
        if (which == EXTENDED) flags |= CIRCFLOW_CIRCUIT_EXTENDED;
        if (which == STREAMS) flags |= CIRCFLOW_CIRCUIT_STREAMS;
        if (which == NO_VEGAS) flags = 0;
        if (which == OFF) OK(circflow_engine_accept_sets(world.exit, NULL));
        OK(circflow_circuit_set_flags(world.exit, world.exit_leg[1], flags));
        if (which == SEEN_STREAM)
            host_expect(&world, world.exit, world.exit_leg[1], host_message(CIRCFLOW_CMD_BEGIN, 0, 3, "x", 1), CIRCFLOW_VERDICT_DELIVER);
        IS(wants[which], at_exit(1, message));
        closes_only(world.exit, world.exit_leg[1], wants[which], 1);
        if (which + 1 < CASES)
            host_stop(&world);
    }
}

static void new_flags_do_not_undo_a_stream_that_was_seen(void **state)
{
    (void)state;
    host_start(&world);
    host_pair(&world);
    host_expect(&world, world.exit, world.exit_leg[0], host_message(CIRCFLOW_CMD_BEGIN, 0, 3, "x", 1), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_circuit_set_flags(world.exit, world.exit_leg[0], CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_EXTENDED));
    OK(circflow_circuit_set_flags(world.exit, world.exit_leg[0], CIRCFLOW_CIRCUIT_VEGAS));
    /* "LINK on a circuit that has carried streams" (TROVE-2026-025) */
    IS(CIRCFLOW_ERR_UNFIT_LINK, at_exit(0, link_message(CIRCFLOW_CMD_LINK, 0)));
}

static void numbers_in_link_are_checked(void **state)
{
    circflow_verdict verdict;
    circflow_message data = host_data(0, "x");
    (void)state;
    host_linked(&world, 1);
    host_room(&world, world.exit, world.exit_leg[0], 100, MS);
    for (int i = 0; i < 5; i++)
        OK(circflow_set_send(world.exit, world.now, world.exit_set, &data, NULL, 0, &verdict));
    for (int i = 0; i < 4; i++)
        host_pair(&world);
    /* A live set: the client has received what we sent, or less. */
    OK(at_exit(1, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 9, 5, 3)));
    host_drain(world.exit);
    IS(CIRCFLOW_ERR_BAD_LINK_NUMBERS, at_exit(2, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 6, 3)));
    closes_only(world.exit, world.exit_leg[2], CIRCFLOW_ERR_BAD_LINK_NUMBERS, 1);
    /* The set has ended: the nonce is free, and a new set has no past. */
    OK(circflow_set_close(world.exit, world.now, world.exit_set));
    host_drain(world.exit);
    IS(CIRCFLOW_ERR_BAD_LINK_NUMBERS, at_exit(3, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 1, 0, 3)));
    closes_only(world.exit, world.exit_leg[3], CIRCFLOW_ERR_BAD_LINK_NUMBERS, 1);
    assert_int_equal(host_stats(world.exit).sets, 0);
    OK(at_exit(4, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3)));
    const circflow_insn *linked = host_first(host_drain(world.exit), CIRCFLOW_INSN_LINKED);
    assert_int_not_equal(linked->set.v, world.exit_set.v);
    assert_int_equal(host_set_stats(world.exit, linked->set).sent, 0);
    /* LINKED at the client: it has sent nothing, so nothing can have been received. */
    host_launch(&world, 1);
    host_drain(world.client);
    IS(CIRCFLOW_ERR_BAD_LINK_NUMBERS, at_client(5, host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, world.client_terms.nonce, 0, 1, 1)));
    closes_only(world.client, world.client_leg[5], CIRCFLOW_ERR_BAD_LINK_NUMBERS, 1);
}

static void another_nonce_closes_that_circuit_only(void **state)
{
    uint8_t nonce[CIRCFLOW_NONCE_LEN];
    (void)state;
    for (size_t at = 0; at < CIRCFLOW_NONCE_LEN; at += 31) {
        setup(NULL);
        host_linked(&world, 1);
        host_launch(&world, 2);
        host_drain(world.client);
        memcpy(nonce, world.client_terms.nonce, sizeof(nonce));
        nonce[at] ^= 1;
        IS(CIRCFLOW_ERR_BAD_NONCE, at_client(1, host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, nonce, 0, 0, 1)));
        closes_only(world.client, world.client_leg[1], CIRCFLOW_ERR_BAD_NONCE, 1);
        assert_int_equal(host_set_stats(world.client, world.client_set).legs, 2);
        OK(at_client(2, link_message(CIRCFLOW_CMD_LINKED, HOST_HOPS)));
        if (at == 0)
            host_stop(&world);
    }
}

static void more_legs_than_the_exit_allows(void **state)
{
    (void)state;
    world.exit_terms.legs_max = 2;
    world.engine_config.sets_max = 1;
    host_linked(&world, 2);
    host_pair(&world);
    host_pair(&world);
    IS(CIRCFLOW_ERR_LINK_LIMIT, at_exit(2, link_message(CIRCFLOW_CMD_LINK, 0)));
    closes_only(world.exit, world.exit_leg[2], CIRCFLOW_ERR_LINK_LIMIT, 5);
    /* One set more than the engine may have. */
    world.client_terms.nonce[0] ^= 1;
    IS(CIRCFLOW_ERR_LINK_LIMIT, at_exit(3, link_message(CIRCFLOW_CMD_LINK, 0)));
    closes_only(world.exit, world.exit_leg[3], CIRCFLOW_ERR_LINK_LIMIT, 5);
}

static void a_nonce_names_one_live_set(void **state)
{
    circflow_set_id second;
    (void)state;
    host_linked(&world, 1);
    IS(CIRCFLOW_ERR_NONCE_IN_USE, circflow_set_open(world.client, world.now, &world.client_terms, &second));
    /* A process can be client and exit: the other role's nonces are others. */
    OK(circflow_set_open(world.exit, world.now, &world.client_terms, &second));
    OK(circflow_set_close(world.client, world.now, world.client_set));
    OK(circflow_set_open(world.client, world.now, &world.client_terms, &second));
    assert_int_not_equal(second.v, world.client_set.v);
}

static void a_full_queue_refuses_what_would_add_to_it(void **state)
{
    (void)state;
    world.engine_config.insns_max = 1;
    host_linked(&world, 1);
    host_pair(&world);
    host_pair(&world);
    OK(at_exit(1, link_message(CIRCFLOW_CMD_LINK, 0)));
    IS(CIRCFLOW_ERR_UNDRAINED, at_exit(2, link_message(CIRCFLOW_CMD_LINK, 0)));
    IS(CIRCFLOW_ERR_UNDRAINED, at_exit(1, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
    host_expect(&world, world.exit, world.exit_leg[0], host_data(0, "x"), CIRCFLOW_VERDICT_DELIVER);
    host_drain(world.exit);
    OK(at_exit(2, link_message(CIRCFLOW_CMD_LINK, 0)));
    host_drain(world.exit);
    OK(at_exit(1, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
    assert_int_equal(host_set_stats(world.exit, world.exit_set).legs, 3);
}

/* C2, R9: a circuit that has carried streams is no leg any more, whatever way a message of one was reported. Each way at
 * a fresh circuit, at both ends; then the peer's LINK, or ours. */

static int carried_setup(void **state)
{
    setup(state);
    world.engine_config.circuits_max = 1000;
    host_start(&world);
    OK(circflow_engine_accept_sets(world.exit, &world.exit_terms));
    return 0;
}

enum way { HEARD, SENT, TOLD, HELD_BACK, WAYS };

static void report(enum way way, circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop, uint8_t command,
                   uint16_t stream_id)
{
    circflow_message message = host_message(command, hop, stream_id, "\0\0\0\0\1", 5);
    circflow_verdict verdict;
    switch (way) {
    case HEARD:
        OK(circflow_circuit_receive(engine, world.now, circuit, &message, &verdict));
        break;
    case SENT:
        OK(circflow_circuit_send(engine, world.now, circuit, &message, &verdict));
        break;
    case TOLD:
        OK(circflow_circuit_cell_queued(engine, world.now, circuit, command, hop));
        break;
    default:
        host_shut(&world, engine, circuit, hop);
        OK(circflow_circuit_send(engine, world.now, circuit, &message, &verdict));
        break;
    }
}

static void a_circuit_that_has_carried_a_stream_is_no_leg(void **state)
{
    static const struct { uint8_t command; uint16_t stream_id; int carries; } rows[] = {
        {CIRCFLOW_CMD_BEGIN, 7, 1},     {CIRCFLOW_CMD_DATA, 7, 1},     {CIRCFLOW_CMD_END, 7, 1},
        {CIRCFLOW_CMD_CONNECTED, 7, 1}, {CIRCFLOW_CMD_RESOLVE, 7, 1}, {CIRCFLOW_CMD_RESOLVED, 7, 1},
        {CIRCFLOW_CMD_BEGIN_DIR, 7, 1}, {CIRCFLOW_CMD_XOFF, 7, 1},     {CIRCFLOW_CMD_XON, 7, 1},
        {CIRCFLOW_CMD_SENDME, 7, 1},    {CIRCFLOW_CMD_SENDME, 0, 0},   {14, 0, 0},
        {15, 0, 0}, {200, 0, 0},
    };
    (void)state;
    for (int at_exit = 0; at_exit < 2; at_exit++)
        for (enum way way = HEARD; way < WAYS; way++)
            for (size_t row = 0; row < COUNT(rows); row++) {
                const uint8_t hop = at_exit ? 0 : HOST_HOPS;
                /* Nobody says of which stream a SENDME is that was sent. */
                const int told = way != TOLD || rows[row].command != CIRCFLOW_CMD_SENDME;
                circflow_engine *engine = at_exit ? world.exit : world.client;
                circflow_circuit_id circuit = host_open(&world, engine, at_exit ? CIRCFLOW_ROLE_RELAY : CIRCFLOW_ROLE_CLIENT);
                report(way, engine, circuit, hop, rows[row].command, rows[row].stream_id);
                const int carried = rows[row].carries && told;
                int got, want;
                if (at_exit) {
                    uint8_t nonce[CIRCFLOW_NONCE_LEN] = {1, (uint8_t)way, (uint8_t)row};
                    got = host_feed(&world, engine, circuit, host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 3));
                    want = carried ? CIRCFLOW_ERR_UNFIT_LINK : CIRCFLOW_OK;
                } else {
                    circflow_set_id set;
                    world.client_terms.nonce[0]++;
                    world.client_terms.nonce[1] += world.client_terms.nonce[0] == 0;
                    OK(circflow_set_open(engine, world.now, &world.client_terms, &set));
                    got = circflow_set_add_legs(engine, world.now, set, &circuit, 1);
                    want = carried ? CIRCFLOW_ERR_HAS_STREAMS : CIRCFLOW_OK;
                }
                if (got != want)
                    fail_msg("command %u of stream %u, way %d, at %s: %d (%s)", rows[row].command, rows[row].stream_id,
                             (int)way, at_exit ? "an exit" : "a client", got, circflow_status_name(got));
                host_drain(engine);
            }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(legs_of_any_number_link),
        TEST(the_bytes_are_those_of_the_vectors),
        TEST(unfit_circuits_are_refused),
        cmocka_unit_test_setup_teardown(a_circuit_that_has_carried_a_stream_is_no_leg, carried_setup, teardown),
        TEST(an_exits_circuit_is_no_clients_leg),
        TEST(no_more_legs_and_launches_than_allowed),
        TEST(want_leg_as_long_as_the_budget_lasts),
        TEST(the_last_pending_leg_that_goes_makes_the_set_usable),
        TEST(a_usable_set_has_a_new_budget),
        TEST(usable_is_said_once_in_a_sets_life),
        TEST(waits_are_bounded_to_the_nanosecond),
        TEST(the_wait_runs_while_the_host_has_not_taken_link),
        TEST(a_feed_about_what_expired_says_so),
        TEST(the_round_trip_comes_from_the_hosts_clock),
        TEST(messages_out_of_place),
        TEST(bad_links_close_their_circuit),
        TEST(new_flags_do_not_undo_a_stream_that_was_seen),
        TEST(numbers_in_link_are_checked),
        TEST(another_nonce_closes_that_circuit_only),
        TEST(more_legs_than_the_exit_allows),
        TEST(a_nonce_names_one_live_set),
        TEST(a_full_queue_refuses_what_would_add_to_it),
    };
    return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
