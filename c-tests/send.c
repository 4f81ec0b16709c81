/* Sending: which leg, which number, when a SWITCH, when to wait. */

#include "host.h"

HOST_WORLD(host_clear)

/* Adopted legs that the peer wants used by `ux`; leg i has round trips of (i + 1) ms, and room for 100 cells. */
static void legs_for(size_t count, uint8_t ux, uint8_t algorithm)
{
    int is_default = algorithm == 0 && (ux == CIRCFLOW_UX_NO_OPINION || ux == CIRCFLOW_UX_HIGH_THROUGHPUT);
    host_prepare(&world);
    world.client_terms.algorithm = is_default ? CIRCFLOW_ALGORITHM_LOW_RTT : algorithm;
    host_adopted(&world, 0);
    for (size_t i = 0; i < count; i++) {
        host_pair(&world);
        OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[i], ux, (i + 1) * MS));
        host_room(&world, world.client, world.client_leg[i], 100, 0);
    }
    host_drain(world.client);
}

static void room(size_t leg, uint64_t cells)
{
    host_room(&world, world.client, world.client_leg[leg], cells, 0);
}

static int send_status(uint8_t command, circflow_verdict *verdict)
{
    circflow_message message = host_message(command, HOST_HOPS, 7, "x", 1);
    return circflow_set_send(world.client, world.now, world.client_set, &message, NULL, 0, verdict);
}

static int decide_status(uint8_t command, circflow_verdict *verdict)
{
    circflow_message message = host_message(command, HOST_HOPS, 7, "x", 1);
    return circflow_set_decide(world.client, world.now, world.client_set, &message, NULL, 0, verdict);
}

static int sent(size_t leg, uint8_t command)
{
    return circflow_circuit_cell_queued(world.client, world.now, world.client_leg[leg], command, HOST_HOPS);
}

/* Sends one DATA message, which must go on `leg` with this number and SWITCH. */
static void sends(size_t leg, uint64_t number, uint32_t delta)
{
    circflow_verdict verdict;
    OK(send_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(verdict.number, number);
    assert_int_equal(verdict.circuit.v, world.client_leg[leg].v);
    assert_int_equal(verdict.switch_delta, delta);
    assert_int_equal(verdict.end_reason, 0);
}

static void blocked(void)
{
    circflow_verdict verdict;
    verdict.kind = 9;
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(verdict.kind, 9);
}

static void import(uint64_t a, uint64_t b, size_t sending)
{
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers rows[2] = {{{0}, 0, 0}, {{0}, 0, 0}};
    numbers.sending = world.client_leg[sending];
    rows[0].circuit = world.client_leg[0];
    rows[0].sent = a;
    rows[1].circuit = world.client_leg[1];
    rows[1].sent = b;
    OK(circflow_set_import(world.client, world.now, world.client_set, &numbers, rows, 2));
}

/* Where a message goes when leg 0 is the faster one, by who has room. -1 is NO_ROOM. */
static void each_ux_has_its_way_of_choosing(void **state)
{
    const struct {
        uint8_t ux, algorithm;
        int none, first, second, both; /* which legs have room */
    } rows[] = {
        {CIRCFLOW_UX_NO_OPINION, 0, -1, 0, 1, 0},
        {CIRCFLOW_UX_MIN_LATENCY, 0, -1, 0, -1, 0},
        {CIRCFLOW_UX_LOW_MEM_LATENCY, 0, -1, 0, -1, 0},
        {CIRCFLOW_UX_HIGH_THROUGHPUT, 0, -1, 0, 1, 0},
        {CIRCFLOW_UX_LOW_MEM_THROUGHPUT, 0, -1, 0, 1, 0},
        {5, 0, -1, 0, 1, 0}, /* Unknown is no opinion. */
        {255, 0, -1, 0, 1, 0},
        {CIRCFLOW_UX_HIGH_THROUGHPUT, CIRCFLOW_ALGORITHM_MIN_RTT, -1, 0, -1, 0},
        {CIRCFLOW_UX_MIN_LATENCY, CIRCFLOW_ALGORITHM_LOW_RTT, -1, 0, 1, 0},
        {CIRCFLOW_UX_MIN_LATENCY, CIRCFLOW_ALGORITHM_CWND_RTT, -1, 0, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (int which = 0; which < 4; which++) {
            const int wants[] = {rows[i].none, rows[i].first, rows[i].second, rows[i].both};
            circflow_verdict verdict;
            int answer;
            setup(NULL);
            legs_for(2, rows[i].ux, rows[i].algorithm);
            assert_int_equal(host_set_stats(world.client, world.client_set).peer_ux, rows[i].ux > 4 ? 0 : rows[i].ux);
            room(0, which & 1 ? 100 : 0);
            room(1, which & 2 ? 100 : 0);
            answer = decide_status(CIRCFLOW_CMD_DATA, &verdict);
            if (wants[which] < 0)
                IS(CIRCFLOW_ERR_NO_ROOM, answer);
            else {
                OK(answer);
                if (verdict.circuit.v != world.client_leg[wants[which]].v)
                    fail_msg("row %zu, case %d: another leg", i, which);
            }
            host_stop(&world);
        }
    }
    setup(NULL);
    legs_for(1, 0, 0);
}

static void cwnd_rtt_takes_a_slower_leg_only_when_it_pays(void **state)
{
    (void)state;
    legs_for(3, CIRCFLOW_UX_NO_OPINION, CIRCFLOW_ALGORITHM_CWND_RTT);
    room(0, 0);
    room(1, 1); /* 1 cell of room at twice the round trip: 1 * 1/2 is none in one round of the fastest. */
    room(2, 3); /* 3 * 1/3 is one. */
    sends(2, 1, 0);
    room(2, 2);
    blocked();
    room(1, 2);
    sends(1, 2, 1);
    room(0, 1);
    sends(0, 3, 2);
}

static void a_leg_without_a_round_trip_time_loses(void **state)
{
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    host_pair(&world);
    OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[2], CIRCFLOW_UX_HIGH_THROUGHPUT, 0));
    room(2, 100);
    sends(0, 1, 0);
    room(0, 0);
    sends(1, 2, 1);
    room(1, 0);
    sends(2, 3, 2); /* Never chosen unless nothing else is. */
    host_room(&world, world.client, world.client_leg[2], 100, MS / 2);
    room(0, 100);
    sends(2, 4, 0);
    /* rtt_ns 0 keeps what is known. */
    room(2, 99);
    sends(2, 5, 0);
}

static void a_leg_that_was_never_reported_has_no_window(void **state)
{
    (void)state;
    host_linked(&world, 2);
    blocked();
    host_room(&world, world.client, world.client_leg[0], 1, 0);
    circflow_verdict verdict;
    OK(send_status(CIRCFLOW_CMD_DATA, &verdict));
    blocked();
}

static void legs_are_blocked_by_window_and_channel(void **state)
{
    circflow_leg_report report;
    (void)state;
    legs_for(1, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    room(0, 2);
    sends(0, 1, 0);
    sends(0, 2, 0);
    blocked(); /* What was sent counts until the next report. */
    room(0, 1);
    sends(0, 3, 0);
    blocked();
    report = host_report(world.client_leg[0], 50, 0);
    report.flags = CIRCFLOW_REPORT_CHANNEL_FULL;
    OK(circflow_leg_update(world.client, world.now, &report, 1));
    blocked();
    report.flags = CIRCFLOW_REPORT_SLOW_START;
    OK(circflow_leg_update(world.client, world.now, &report, 1));
    sends(0, 4, 0);
    report.inflight = UINT64_MAX; /* Any number. */
    OK(circflow_leg_update(world.client, world.now, &report, 1));
    blocked();
    report.cwnd = 0;
    report.inflight = 0;
    OK(circflow_leg_update(world.client, world.now, &report, 1));
    blocked();
}

static void resume_comes_once(void **state)
{
    circflow_verdict verdict;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    room(0, 0);
    room(1, 0);
    room(0, 5);
    assert_int_equal(host_drain(world.client)->count, 0); /* Nobody was told to stop. */
    room(0, 0);
    blocked();
    blocked();
    room(0, 0);
    assert_int_equal(host_drain(world.client)->count, 0);
    room(1, 3);
    room(0, 3);
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_MAY_SEND);
    assert_int_equal(events->at[0].insn.set.v, world.client_set.v);
    assert_int_equal(events->at[0].insn.set_tag, 0xc11e);
    /* peek leaves no wish to be told. */
    room(0, 0);
    room(1, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_get_decision(world.client, world.client_set, &verdict));
    room(0, 3);
    assert_int_equal(host_drain(world.client)->count, 0);
    /* decide does. */
    room(0, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, decide_status(CIRCFLOW_CMD_DATA, &verdict));
    room(0, 3);
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_MAY_SEND), 1);
}

static void what_is_not_data_does_not_wait(void **state)
{
    static const uint8_t commands[] = {CIRCFLOW_CMD_BEGIN, CIRCFLOW_CMD_END,      CIRCFLOW_CMD_CONNECTED, CIRCFLOW_CMD_RESOLVE,
                                       CIRCFLOW_CMD_RESOLVED, CIRCFLOW_CMD_XOFF, CIRCFLOW_CMD_XON};
    circflow_verdict verdict;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    room(0, 0);
    sends(1, 1, 0);
    room(1, 0);
    blocked();
    for (size_t i = 0; i < COUNT(commands); i++) {
        OK(send_status(commands[i], &verdict));
        assert_int_equal(verdict.circuit.v, world.client_leg[1].v); /* The current leg (SCH-8). */
        assert_int_equal(verdict.number, 2 + i);
        assert_int_equal(verdict.switch_delta, 0);
    }
    IS(CIRCFLOW_ERR_NOT_MULTIPLEXED, send_status(CIRCFLOW_CMD_SENDME, &verdict));
    IS(CIRCFLOW_ERR_NOT_MULTIPLEXED, send_status(CIRCFLOW_CMD_BEGIN_DIR, &verdict));
    IS(CIRCFLOW_ERR_NOT_MULTIPLEXED, send_status(CIRCFLOW_CMD_DROP, &verdict));
}

static void inflight_counts_data_only(void **state)
{
    circflow_verdict verdict;
    (void)state;
    legs_for(1, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    room(0, 2);
    for (int i = 0; i < 10; i++)
        OK(send_status(CIRCFLOW_CMD_XON, &verdict));
    sends(0, 11, 0);
    OK(send_status(CIRCFLOW_CMD_END, &verdict));
    sends(0, 13, 0);
    blocked();
}

static void a_decision_leaves_no_trace(void **state)
{
    circflow_verdict first, again;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    sends(0, 1, 0);
    room(0, 0);
    host_numbers before = host_export(world.client, world.client_set);
    circflow_set_stats stats = host_set_stats(world.client, world.client_set);
    OK(decide_status(CIRCFLOW_CMD_DATA, &first));
    assert_int_equal(first.circuit.v, world.client_leg[1].v);
    assert_int_equal(first.switch_delta, 1);
    OK(decide_status(CIRCFLOW_CMD_DATA, &again));
    assert_memory_equal(&first, &again, sizeof(first));
    OK(circflow_set_get_decision(world.client, world.client_set, &again));
    assert_memory_equal(&first, &again, sizeof(first));
    host_numbers after = host_export(world.client, world.client_set);
    circflow_set_stats stats_after = host_set_stats(world.client, world.client_set);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_memory_equal(&stats, &stats_after, sizeof(stats));
    /* Things change; the old decision is forgotten. */
    room(0, 10);
    sends(0, 2, 0);
}

static void cells_are_reported_in_order(void **state)
{
    circflow_verdict verdict;
    (void)state;
    legs_for(3, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    sends(0, 1, 0);
    room(0, 0);
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    host_numbers before = host_export(world.client, world.client_set);
    IS(CIRCFLOW_ERR_NOT_DECIDED, sent(1, CIRCFLOW_CMD_DATA));   /* SWITCH first. */
    IS(CIRCFLOW_ERR_NOT_DECIDED, sent(2, CIRCFLOW_CMD_DATA));   /* Another leg. */
    IS(CIRCFLOW_ERR_NOT_DECIDED, sent(0, CIRCFLOW_CMD_SWITCH)); /* To itself. */
    OK(sent(1, CIRCFLOW_CMD_SENDME)); /* Not counted. */
    host_numbers after = host_export(world.client, world.client_set);
    assert_memory_equal(&before, &after, sizeof(before));
    OK(sent(1, CIRCFLOW_CMD_SWITCH));
    IS(CIRCFLOW_ERR_NOT_DECIDED, sent(1, CIRCFLOW_CMD_SWITCH)); /* Once. */
    IS(CIRCFLOW_ERR_NOT_DECIDED, sent(2, CIRCFLOW_CMD_SWITCH));
    IS(CIRCFLOW_ERR_NOT_DECIDED, sent(0, CIRCFLOW_CMD_DATA)); /* The message must follow its SWITCH. */
    OK(sent(1, CIRCFLOW_CMD_DATA));
    assert_int_equal(host_set_stats(world.client, world.client_set).sent, 2);
    assert_int_equal(host_set_stats(world.client, world.client_set).switches_sent, 1);
    circflow_circuit_id alone = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_circuit_cell_queued(world.client, world.now, alone, CIRCFLOW_CMD_DATA, HOST_HOPS)); /* Not counted. */
    assert_int_equal(host_set_stats(world.client, world.client_set).sent, 2);
}

static void after_a_bare_switch_the_next_message_stays(void **state)
{
    circflow_verdict verdict;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    sends(0, 1, 0);
    room(0, 0);
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    OK(sent(1, CIRCFLOW_CMD_SWITCH));
    /* The message could not be queued. Leg 0 is better again, but the SWITCH has gone out. */
    room(0, 100);
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    assert_int_equal(verdict.switch_delta, 0);
    assert_int_equal(verdict.number, 2);
    room(1, 0);
    blocked();
    OK(decide_status(CIRCFLOW_CMD_END, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    room(1, 1);
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_MAY_SEND), 1);
    sends(1, 2, 0);
    sends(0, 3, 1);
}

/* Part F's sender vectors: leg and count of each burst; leg i gets room by report. */
static void every_vector(void **state)
{
    static const struct {
        struct {
            int leg, count;
            uint32_t delta;
        } bursts[5];
    } vectors[] = {
        {{{0, 10, 0}, {1, 21, 10}, {0, 1, 21}, {-1, 0, 0}, {-1, 0, 0}}},
        {{{0, 1, 0}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, {-1, 0, 0}}},
        {{{0, 3, 0}, {0, 2, 0}, {1, 5, 5}, {-1, 0, 0}, {-1, 0, 0}}},
        {{{0, 124, 0}, {1, 124, 124}, {2, 124, 248}, {0, 1, 248}, {-1, 0, 0}}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        uint64_t number = 0;
        setup(NULL);
        legs_for(3, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
        for (size_t j = 0; vectors[i].bursts[j].leg >= 0; j++) {
            size_t on = (size_t)vectors[i].bursts[j].leg;
            for (int k = 0; k < vectors[i].bursts[j].count; k++) {
                for (size_t leg = 0; leg < 3; leg++)
                    room(leg, leg == on ? 1 : 0);
                sends(on, ++number, k == 0 ? vectors[i].bursts[j].delta : 0);
            }
        }
        if (i + 1 < COUNT(vectors))
            host_stop(&world);
    }
}

static void switch_by_zero_is_never_sent(void **state)
{
    circflow_verdict verdict;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    OK(circflow_set_get_decision(world.client, world.client_set, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[0].v);
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    room(0, 0); /* Before the first message, the other leg wins. */
    sends(1, 1, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).switches_sent, 0);
}

static void numbers_near_2_to_the_31(void **state)
{
    const uint64_t apart = UINT64_C(1) << 31;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    import(apart - 1, 0, 0);
    sends(0, apart, 0);
    /* Now the laggard gets its turn, though leg 0 is faster and has room; then leg 0 again. */
    sends(1, apart + 1, (uint32_t)apart);
    sends(0, apart + 2, 1);
    host_stop(&world);
    setup(NULL);
    /* A laggard without room is left alone. */
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    import(apart + 5, 0, 0);
    room(1, 0);
    sends(0, apart + 6, 0);
}

static void numbers_near_2_to_the_32(void **state)
{
    const uint64_t most = UINT64_C(0xfffffffe);
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    import(most + 7, 7, 0);
    room(0, 0);
    sends(1, most + 8, (uint32_t)most);
    host_stop(&world);
    setup(NULL);
    /* One more, and no SWITCH can say it. */
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    import(most + 8, 7, 0);
    sends(0, most + 9, 0);
    room(0, 0);
    blocked();
    circflow_verdict verdict;
    OK(send_status(CIRCFLOW_CMD_END, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[0].v);
    IS(CIRCFLOW_ERR_NOT_DECIDED, sent(1, CIRCFLOW_CMD_SWITCH));
    host_stop(&world);
    setup(NULL);
    /* Nor is it chosen when it is the fastest. */
    legs_for(2, CIRCFLOW_UX_MIN_LATENCY, 0);
    import(0, most + 1, 1);
    sends(1, most + 2, 0);
}

static void low_memory_switches_once_in_a_window(void **state)
{
    circflow_leg_report reports[2];
    (void)state;
    legs_for(2, CIRCFLOW_UX_LOW_MEM_THROUGHPUT, 0);
    for (size_t i = 0; i < 2; i++) {
        reports[i] = host_report(world.client_leg[i], 0, 0);
        reports[i].cwnd = 10;
        reports[i].inflight = 0;
    }
    OK(circflow_leg_update(world.client, world.now, reports, 2));
    for (uint64_t i = 1; i <= 10; i++)
        sends(0, i, 0);
    sends(1, 11, 10);
    OK(circflow_leg_update(world.client, world.now, reports, 1)); /* Leg 0 has room again, and is faster. */
    for (uint64_t i = 12; i <= 20; i++)
        sends(1, i, 0);
    sends(0, 21, 10);
}

static void fused_is_the_same_as_in_steps(void **state)
{
    static host_world fused;
    circflow_verdict a, b;
    (void)state;
    legs_for(3, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    fused = world;
    setup(NULL);
    legs_for(3, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    for (uint32_t i = 0; i < 300; i++) {
        circflow_message message = host_message(i % 5 ? CIRCFLOW_CMD_DATA : CIRCFLOW_CMD_XON, HOST_HOPS, 7, "x", 1);
        circflow_leg_report report = host_report(world.client_leg[i * 7 % 3], i * 13 % 4 ? i % 100 : 0, (1 + i * 31 % 9) * MS);
        assert_int_equal(world.client_leg[i % 3].v, fused.client_leg[i % 3].v);
        int one = circflow_set_send(fused.client, fused.now, fused.client_set, &message, &report, 1, &a);
        int two = circflow_set_decide(world.client, world.now, world.client_set, &message, &report, 1, &b);
        assert_int_equal(one, two);
        if (one != CIRCFLOW_OK)
            continue;
        assert_memory_equal(&a, &b, sizeof(a));
        if (b.switch_delta != 0)
            OK(circflow_circuit_cell_queued(world.client, world.now, b.circuit, CIRCFLOW_CMD_SWITCH, HOST_HOPS));
        OK(circflow_circuit_cell_queued(world.client, world.now, b.circuit, message.command, HOST_HOPS));
        host_numbers left = host_export(fused.client, fused.client_set), right = host_export(world.client, world.client_set);
        assert_memory_equal(&left, &right, sizeof(left));
    }
    circflow_set_stats left = host_set_stats(fused.client, fused.client_set);
    circflow_set_stats right = host_set_stats(world.client, world.client_set);
    assert_memory_equal(&left, &right, sizeof(left));
    assert_true(left.switches_sent > 10);
    host_stop(&fused);
}

static uint64_t room_of_set(void)
{
    uint64_t messages = UINT64_MAX;
    OK(circflow_set_get_room(world.client, world.client_set, &messages));
    assert_true(messages != UINT64_MAX);
    return messages;
}

static void room_counts_down_to_the_next_choice(void **state)
{
    circflow_verdict verdict;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    assert_int_equal(room_of_set(), 0);
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(room_of_set(), 0); /* No leg is sending yet. */
    OK(sent(0, CIRCFLOW_CMD_DATA));
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(room_of_set(), 99);
    for (uint64_t left = 99; left > 0; left--) {
        assert_int_equal(room_of_set(), left);
        OK(sent(0, CIRCFLOW_CMD_DATA));
    }
    assert_int_equal(room_of_set(), 0);
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    assert_int_equal(verdict.switch_delta, 100);
    assert_int_equal(room_of_set(), 0);
    /* Any report ends it, as a faster leg may have room again. */
    OK(sent(1, CIRCFLOW_CMD_SWITCH));
    OK(sent(1, CIRCFLOW_CMD_DATA));
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(room_of_set(), 99);
    room(0, 10);
    assert_int_equal(room_of_set(), 0);
    OK(decide_status(CIRCFLOW_CMD_DATA, &verdict));
    assert_int_equal(verdict.circuit.v, world.client_leg[0].v);
    IS(CIRCFLOW_ERR_NULL, circflow_set_get_room(world.client, world.client_set, NULL));
}

/* Who sends as long as there is room, and asks only then, sends each message where it would go if each were asked for. */
static void room_is_the_same_as_asking(void **state)
{
    static const uint8_t algorithms[] = {0, CIRCFLOW_ALGORITHM_MIN_RTT, CIRCFLOW_ALGORITHM_LOW_RTT, CIRCFLOW_ALGORITHM_CWND_RTT};
    (void)state;
    for (uint32_t round = 0; round < 4 * COUNT(algorithms) + 1; round++) {
        uint8_t ux = (uint8_t)(round / COUNT(algorithms)), algorithm = algorithms[round % COUNT(algorithms)];
        static host_world asking;
        circflow_circuit_id current = {0};
        circflow_verdict a, b;
        uint64_t free_rides = 0, left = 0;
        setup(NULL);
        legs_for(3, ux, algorithm);
        asking = world;
        setup(NULL);
        legs_for(3, ux, algorithm);
        for (uint32_t i = 0; i < 2000; i++) {
            circflow_message message = host_message(i % 17 ? CIRCFLOW_CMD_DATA : CIRCFLOW_CMD_XON, HOST_HOPS, 7, "x", 1);
            if (i % 23 == 0) {
                circflow_leg_report report = host_report(world.client_leg[i * 7 % 3], i % 60, (1 + i * 31 % 9) * MS);
                OK(circflow_leg_update(world.client, world.now, &report, 1));
                OK(circflow_leg_update(asking.client, asking.now, &report, 1));
                left = 0;
            }
            int want = circflow_set_decide(asking.client, asking.now, asking.client_set, &message, NULL, 0, &a);
            if (left > 0) {
                OK(want);
                assert_int_equal(a.circuit.v, current.v);
                assert_int_equal(a.switch_delta, 0);
                free_rides++;
                left--;
            } else {
                IS(want, circflow_set_decide(world.client, world.now, world.client_set, &message, NULL, 0, &b));
                if (want != CIRCFLOW_OK)
                    continue;
                assert_memory_equal(&a, &b, sizeof(a));
                OK(circflow_set_get_room(world.client, world.client_set, &left));
                left -= left > 0; /* This message is one of them. */
                current = b.circuit;
            }
            for (int end = 0; end < 2; end++) {
                circflow_engine *engine = end ? asking.client : world.client;
                if (a.switch_delta != 0)
                    OK(circflow_circuit_cell_queued(engine, world.now, a.circuit, CIRCFLOW_CMD_SWITCH, HOST_HOPS));
                OK(circflow_circuit_cell_queued(engine, world.now, a.circuit, message.command, HOST_HOPS));
            }
        }
        host_numbers mine = host_export(world.client, world.client_set), theirs = host_export(asking.client, asking.client_set);
        assert_memory_equal(&mine, &theirs, sizeof(mine));
        /* CwndRTT, and a receiver whose memory is spared, are asked about each message. */
        if (algorithm != CIRCFLOW_ALGORITHM_CWND_RTT && ux != CIRCFLOW_UX_LOW_MEM_LATENCY && ux != CIRCFLOW_UX_LOW_MEM_THROUGHPUT)
            assert_true(free_rides > 100);
        host_stop(&asking);
        if (round < 4 * COUNT(algorithms))
            host_stop(&world);
    }
}

static void reports_name_legs(void **state)
{
    circflow_leg_report reports[3];
    circflow_message data = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    circflow_circuit_id alone = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    reports[0] = host_report(world.client_leg[0], 0, 0);
    reports[1] = host_report(alone, 10, 0);
    reports[2] = host_report(world.client_leg[1], 0, 0);
    /* "The first that names no leg ends the call; those before it stand." */
    IS(CIRCFLOW_ERR_NOT_A_LEG, circflow_leg_update(world.client, world.now, reports, 3));
    sends(1, 1, 0);
    IS(CIRCFLOW_ERR_NOT_A_LEG, circflow_set_send(world.client, world.now, world.client_set, &data, &reports[1], 2, &verdict));
    sends(1, 2, 0);
    IS(CIRCFLOW_ERR_NULL, circflow_leg_update(world.client, world.now, NULL, 1));
    OK(circflow_leg_update(world.client, world.now, NULL, 0));
    IS(CIRCFLOW_ERR_NULL, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 1, &verdict));
    data.hop = HOST_HOPS - 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    IS(CIRCFLOW_ERR_INVALID, circflow_set_decide(world.client, world.now, world.client_set, &data, NULL, 0, &verdict));
    OK(circflow_set_close(world.client, world.now, world.client_set));
    IS(CIRCFLOW_ERR_CLOSING, circflow_leg_update(world.client, world.now, reports, 1));
}

static void the_most_active_leg_is_the_last_one_used(void **state)
{
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).most_active.v, 0);
    world.now += SECOND;
    room(0, 0);
    sends(1, 1, 0);
    circflow_set_stats stats = host_set_stats(world.client, world.client_set);
    assert_int_equal(stats.most_active.v, world.client_leg[1].v);
    assert_int_equal(stats.primary.v, world.client_leg[1].v);
    assert_int_equal(stats.last_active_ns, world.now);
    world.now += SECOND;
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_DELIVER);
    stats = host_set_stats(world.client, world.client_set);
    assert_int_equal(stats.most_active.v, world.client_leg[0].v);
    assert_int_equal(stats.last_active_ns, world.now);
}

static void the_most_active_leg_is_known_at_equal_times(void **state)
{
    (void)state;
    legs_for(2, CIRCFLOW_UX_HIGH_THROUGHPUT, 0);
    room(0, 0);
    sends(1, 1, 0);
    room(0, 10);
    sends(0, 2, 1); /* "The leg that a message came or went on last", and equal time is normal. */
    assert_int_equal(host_set_stats(world.client, world.client_set).most_active.v, world.client_leg[0].v);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_ux_has_its_way_of_choosing),
        TEST(cwnd_rtt_takes_a_slower_leg_only_when_it_pays),
        TEST(a_leg_without_a_round_trip_time_loses),
        TEST(a_leg_that_was_never_reported_has_no_window),
        TEST(legs_are_blocked_by_window_and_channel),
        TEST(resume_comes_once),
        TEST(what_is_not_data_does_not_wait),
        TEST(inflight_counts_data_only),
        TEST(a_decision_leaves_no_trace),
        TEST(cells_are_reported_in_order),
        TEST(after_a_bare_switch_the_next_message_stays),
        TEST(every_vector),
        TEST(switch_by_zero_is_never_sent),
        TEST(numbers_near_2_to_the_31),
        TEST(numbers_near_2_to_the_32),
        TEST(low_memory_switches_once_in_a_window),
        TEST(fused_is_the_same_as_in_steps),
        TEST(room_counts_down_to_the_next_choice),
        TEST(room_is_the_same_as_asking),
        TEST(reports_name_legs),
        TEST(the_most_active_leg_is_the_last_one_used),
        TEST(the_most_active_leg_is_known_at_equal_times),
    };
    return cmocka_run_group_tests_name("send", tests, NULL, NULL);
}
