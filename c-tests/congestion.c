/* Congestion control of circuits that circflow runs: windows, SENDMEs and their digests, parameters, and what a set
 * makes of its legs' windows. */

#include "host.h"

#include <stdio.h>

#define CLIENT world.client
#define LEG(i) world.client_leg[i]
#define INC 31
#define WINDOW 124 /* cc_cwnd_init */
#define US UINT64_C(1000)

static host_world world;
static const circflow_set_id no_set = {0};
static const circflow_circuit_id no_circuit = {0};
static circflow_stream_id stream;

static int setup(void **state)
{
    (void)state;
    host_prepare(&world);
    world.client_circuit.flags = HOST_RUN;
    return 0;
}

HOST_TEARDOWN

static void param(uint8_t path_class, const char *name, uint32_t value)
{
    OK(circflow_engine_set_param(CLIENT, path_class, name, value));
}

/* A client's circuit with one stream to its last hop. */
static void alone(void)
{
    if (CLIENT == NULL)
        host_start(&world);
    host_pair(&world);
    stream = host_begun(&world, CLIENT, no_set, LEG(0), HOST_HOPS, 7);
}

static int data_on(circflow_stream_id on, circflow_verdict *verdict)
{
    return host_stream_send(&world, CLIENT, on, CIRCFLOW_CMD_DATA, "x", 1, verdict);
}

/* Sends DATA cells; where a digest is wanted, cell number n of the hop gives digest n. Answers how many wanted one. */
static size_t send_on(circflow_circuit_id circuit, circflow_stream_id on, uint8_t hop, uint64_t first, size_t count)
{
    size_t wanted = 0;
    for (uint64_t n = first; n < first + count; n++) {
        circflow_verdict verdict;
        OK(data_on(on, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
        assert_int_equal(verdict.circuit.v, circuit.v);
        assert_int_equal(verdict.stream.v, on.v);
        if (verdict.flags & CIRCFLOW_WANTS_DIGEST) {
            OK(circflow_circuit_add_digest(CLIENT, circuit, hop, host_digest(n), 20));
            wanted++;
        } else {
            IS(CIRCFLOW_ERR_NOT_ASKED, circflow_circuit_add_digest(CLIENT, circuit, hop, host_digest(n), 20));
        }
    }
    return wanted;
}

static size_t send_cells(uint64_t first, size_t count) { return send_on(LEG(0), stream, HOST_HOPS, first, count); }

static int sendme_on(circflow_circuit_id circuit, uint8_t hop, uint64_t n)
{
    return host_feed(&world, CLIENT, circuit, host_sendme(hop, host_digest(n), 20));
}

static void closes(circflow_circuit_id circuit, int cause)
{
    const circflow_insn *insn = host_close_of(host_drain(CLIENT), circuit);
    assert_non_null(insn);
    assert_int_equal(insn->detail.close.cause, cause);
    assert_int_equal(insn->detail.close.reason, 1);
}

static void the_window_closes_at_cwnd_and_opens_with_sendmes(void **state)
{
    circflow_verdict verdict;
    (void)state;
    alone();
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).cwnd, 0);
    /* Only DATA counts. */
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_BEGIN, "x", 2, &verdict));
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, 0);
    for (size_t n = 1; n <= WINDOW; n++) {
        assert_int_equal(send_cells(n, 1), n % INC == 0);
        assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, n);
    }
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).cwnd, WINDOW);
    IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
    IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, WINDOW);
    /* What is not DATA goes on. */
    OK(host_stream_send(&world, CLIENT, host_stream(&world, CLIENT, no_set, LEG(0), HOST_HOPS, 8), CIRCFLOW_CMD_END, "x",
                        1, &verdict));
    assert_int_equal(host_drain(CLIENT)->count, 0);
    world.now += 50 * MS;
    host_expect(&world, CLIENT, LEG(0), host_sendme(HOST_HOPS, host_digest(INC), 20), CIRCFLOW_VERDICT_CONSUMED);
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_MAY_SEND);
    assert_int_equal(events->at[0].insn.circuit.v, LEG(0).v);
    assert_int_equal(events->at[0].insn.set.v, 0);
    assert_int_equal(events->at[0].insn.stream.v, 0);
    /* Slow start, and the window was full: it grows by what was acknowledged (prop324 3.4). */
    circflow_circuit_stats stats = host_circuit_stats(CLIENT, LEG(0));
    assert_int_equal(stats.cwnd, WINDOW + INC);
    assert_int_equal(stats.inflight, WINDOW - INC);
    assert_int_equal(stats.rtt_ns, 50 * MS);
    assert_int_equal(stats.slow_start, 1);
    send_cells(WINDOW + 1, 2 * INC);
    IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
    /* The other three, in order. */
    for (uint64_t n = 2; n <= 4; n++)
        OK(sendme_on(LEG(0), HOST_HOPS, n * INC));
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, 2 * INC);
}

static void a_clock_that_stands_still_opens_the_window_without_the_algorithm(void **state)
{
    (void)state;
    alone();
    send_cells(1, WINDOW);
    OK(sendme_on(LEG(0), HOST_HOPS, INC));
    circflow_circuit_stats stats = host_circuit_stats(CLIENT, LEG(0));
    assert_int_equal(stats.cwnd, WINDOW);
    assert_int_equal(stats.inflight, WINDOW - INC);
    assert_int_equal(stats.rtt_ns, 0);
    assert_int_equal(stats.slow_start, 1);
}

static void a_full_channel_is_congestion(void **state)
{
    circflow_verdict verdict;
    (void)state;
    alone();
    send_cells(1, 2 * INC);
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(0), CIRCFLOW_SIDE_BACK, 0));
    IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
    /* Control is still the host's to send. */
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_BEGIN, "x", 2, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    world.now += 50 * MS;
    OK(sendme_on(LEG(0), HOST_HOPS, INC));
    circflow_circuit_stats stats = host_circuit_stats(CLIENT, LEG(0));
    assert_int_equal(stats.slow_start, 0);
    assert_int_equal(stats.cwnd, WINDOW + 186); /* bdp + gamma */
    assert_int_equal(host_drain(CLIENT)->count, 0); /* There is a window, and still no channel. */
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(0), CIRCFLOW_SIDE_BACK, 1));
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    send_cells(2 * INC + 1, 1);
}

/* --- SENDMEs that we owe --- */

static circflow_message data_with_digest(uint8_t hop, uint16_t stream_id, uint64_t n, uint8_t digest_len)
{
    circflow_message message = host_message(CIRCFLOW_CMD_DATA, hop, stream_id, "x", 1);
    message.cell_digest = host_digest(n);
    message.cell_digest_len = digest_len;
    return message;
}

static void is_sendme(const host_event *event, circflow_circuit_id circuit, uint8_t hop, uint64_t n, size_t digest_len)
{
    uint8_t digest[20];
    size_t len = 99;
    assert_int_equal(event->insn.kind, CIRCFLOW_INSN_SEND);
    assert_int_equal(event->insn.circuit.v, circuit.v);
    assert_int_equal(event->insn.flags, 0);
    assert_int_equal(event->insn.detail.send.command, CIRCFLOW_CMD_SENDME);
    assert_int_equal(event->insn.detail.send.hop, hop);
    assert_int_equal(event->insn.detail.send.stream_id, 0);
    OK(circflow_sendme_decode(event->body, event->insn.detail.send.body_len, digest, &len));
    assert_int_equal(len, digest_len);
    assert_memory_equal(digest, host_digest(n), digest_len);
}

/* XOFF, which only circflow reads, is the last message that is ready; the SENDME behind it has its own body. */
static void what_circflow_reads_leaves_no_trace_in_the_next_body(void **state)
{
    uint8_t full[CIRCFLOW_BODY_MAX] = {0};
    circflow_verdict verdict;
    (void)state;
    host_start(&world);
    param(CIRCFLOW_PATH_EXIT, "cc_xoff_client", 1);
    param(CIRCFLOW_PATH_EXIT, "cc_xoff_exit", 1);
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    for (size_t leg = 0; leg < 2; leg++) {
        host_pair(&world);
        OK(circflow_set_adopt_leg(CLIENT, world.now, world.client_set, LEG(leg), CIRCFLOW_UX_HIGH_THROUGHPUT, 10 * MS));
    }
    host_drain(CLIENT);
    stream = host_begun(&world, CLIENT, world.client_set, no_circuit, HOST_HOPS, 7);
    for (size_t n = 0; n < 10; n++) /* So much that the other end may say XOFF. */
        OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, full, sizeof(full), &verdict));
    for (uint64_t n = 1; n < INC; n++)
        host_expect(&world, CLIENT, LEG(1), data_with_digest(HOST_HOPS, 7, n, 20), CIRCFLOW_VERDICT_DELIVER);
    host_drain(CLIENT);
    host_expect(&world, CLIENT, LEG(0), host_switch(HOST_HOPS, INC - 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, LEG(1), host_message(CIRCFLOW_CMD_XOFF, HOST_HOPS, 7, "", 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, LEG(0), data_with_digest(HOST_HOPS, 7, 1, 20), CIRCFLOW_VERDICT_DELIVER);
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, LEG(1), data_with_digest(HOST_HOPS, 7, INC, 20), CIRCFLOW_VERDICT_HELD);
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    is_sendme(&events->at[0], LEG(1), HOST_HOPS, INC, 20);
    assert_int_equal(host_stream_stats(CLIENT, stream).stopped, 1);
}

static void each_incth_data_is_acknowledged_with_its_digest(void **state)
{
    static const struct { uint32_t inc; uint8_t digest_len; } rows[] = {{31, 20}, {1, 20}, {2, 16}, {254, 20}, {100, 16}};
    (void)state;
    host_start(&world);
    for (size_t row = 0; row < COUNT(rows); row++) {
        param(CIRCFLOW_PATH_EXIT, "cc_sendme_inc", rows[row].inc);
        circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
        host_begun(&world, CLIENT, no_set, circuit, HOST_HOPS, 7);
        for (uint64_t n = 1; n <= 3 * rows[row].inc; n++) {
            host_expect(&world, CLIENT, circuit, data_with_digest(HOST_HOPS, 7, n, rows[row].digest_len), CIRCFLOW_VERDICT_DELIVER);
            const host_events *events = host_drain(CLIENT);
            assert_int_equal(events->count, n % rows[row].inc == 0);
            if (events->count)
                is_sendme(&events->at[0], circuit, HOST_HOPS, n, rows[row].digest_len);
        }
    }
}

static void each_hop_is_counted_for_itself(void **state)
{
    (void)state;
    alone();
    host_begun(&world, CLIENT, no_set, LEG(0), 2, 7);
    for (uint64_t n = 1; n < INC; n++) {
        host_expect(&world, CLIENT, LEG(0), data_with_digest(3, 7, n, 20), CIRCFLOW_VERDICT_DELIVER);
        host_expect(&world, CLIENT, LEG(0), data_with_digest(2, 7, 1000 + n, 20), CIRCFLOW_VERDICT_DELIVER);
    }
    assert_int_equal(host_drain(CLIENT)->count, 0);
    host_expect(&world, CLIENT, LEG(0), data_with_digest(2, 7, 1031, 20), CIRCFLOW_VERDICT_DELIVER);
    host_events events = *host_drain(CLIENT);
    assert_int_equal(events.count, 1);
    is_sendme(&events.at[0], LEG(0), 2, 1031, 20);
    host_expect(&world, CLIENT, LEG(0), data_with_digest(3, 7, 31, 20), CIRCFLOW_VERDICT_DELIVER);
    events = *host_drain(CLIENT);
    assert_int_equal(events.count, 1);
    is_sendme(&events.at[0], LEG(0), 3, 31, 20);
}

static void a_relay_acknowledges_to_the_client(void **state)
{
    circflow_verdict verdict;
    (void)state;
    world.exit_circuit.flags = HOST_RUN;
    host_start(&world);
    host_pair(&world);
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2);
    OK(circflow_circuit_receive(world.exit, world.now, world.exit_leg[0], &begin, &verdict));
    for (uint64_t n = 1; n <= INC; n++)
        host_expect(&world, world.exit, world.exit_leg[0], data_with_digest(0, 7, n, 20), CIRCFLOW_VERDICT_DELIVER);
    const host_events *events = host_drain(world.exit);
    assert_int_equal(events->count, 1);
    is_sendme(&events->at[0], world.exit_leg[0], 0, INC, 20);
}

/* SEN-1: at once, on the leg it came on, before its turn has come. */
static void data_out_of_order_is_acknowledged_at_once_on_its_leg(void **state)
{
    (void)state;
    host_adopted(&world, 2);
    host_begun(&world, CLIENT, world.client_set, no_circuit, HOST_HOPS, 7);
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 5), CIRCFLOW_VERDICT_CONSUMED);
    for (uint64_t n = 1; n <= INC; n++) {
        assert_int_equal(host_drain(CLIENT)->count, 0);
        host_expect(&world, CLIENT, LEG(1), data_with_digest(HOST_HOPS, 7, n, 20), CIRCFLOW_VERDICT_HELD);
    }
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    is_sendme(&events->at[0], LEG(1), HOST_HOPS, INC, 20);
    /* The other leg counts for itself. */
    for (uint64_t n = 1; n <= 5; n++)
        host_expect(&world, CLIENT, LEG(0), data_with_digest(HOST_HOPS, 7, n, 20), CIRCFLOW_VERDICT_DELIVER);
    events = host_drain(CLIENT);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 0);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), INC);
}

/* --- SENDMEs that are not true --- */

enum lie { NOTHING_SENT, TOO_EARLY, WRONG_TAG, NEXT_TAG, NO_TAG, SHORT_TAG, OTHER_HOP, CUT, AGAIN, UNTAGGED, LIES };

static void what_acknowledges_nothing_closes(void **state)
{
    (void)state;
    for (int lie = 0; lie < LIES; lie++) {
        setup(NULL);
        alone();
        circflow_message message = host_sendme(HOST_HOPS, host_digest(INC), 20);
        if (lie == TOO_EARLY)
            send_cells(1, INC - 1);
        else if (lie == UNTAGGED)
            for (int n = 0; n < INC; n++) {
                circflow_verdict verdict;
                OK(data_on(stream, &verdict));
            }
        else if (lie != NOTHING_SENT)
            send_cells(1, 2 * INC);
        if (lie == WRONG_TAG)
            message = host_sendme(HOST_HOPS, host_digest(INC + 1), 20);
        if (lie == NEXT_TAG)
            message = host_sendme(HOST_HOPS, host_digest(2 * INC), 20);
        if (lie == NO_TAG)
            message = host_message(CIRCFLOW_CMD_SENDME, HOST_HOPS, 0, "\0\0\0", 3);
        if (lie == SHORT_TAG)
            message = host_sendme(HOST_HOPS, host_digest(INC), 16);
        if (lie == OTHER_HOP)
            message.hop = 2;
        if (lie == CUT)
            message.body_len--;
        if (lie == AGAIN)
            OK(host_feed(&world, CLIENT, LEG(0), host_sendme(HOST_HOPS, host_digest(INC), 20)));
        int got = host_feed(&world, CLIENT, LEG(0), message);
        if (got != CIRCFLOW_ERR_BAD_SENDME)
            fail_msg("lie %d: answered %d (%s)", lie, got, circflow_status_name(got));
        closes(LEG(0), CIRCFLOW_ERR_BAD_SENDME);
        IS(CIRCFLOW_ERR_CLOSING, host_feed(&world, CLIENT, LEG(0), message));
        host_stop(&world);
    }
    setup(NULL);
    alone();
    send_cells(1, INC);
    circflow_message message = host_sendme(HOST_HOPS, host_digest(INC), 20);
    message.stream_id = 7;
    IS(CIRCFLOW_ERR_STREAM_SENDME, host_feed(&world, CLIENT, LEG(0), message));
    closes(LEG(0), CIRCFLOW_ERR_STREAM_SENDME);
}

static void digests_are_taken_when_asked_for_and_whole(void **state)
{
    circflow_verdict verdict;
    (void)state;
    alone();
    for (int n = 0; n < 2 * INC; n++)
        OK(data_on(stream, &verdict));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, NULL, 20));
    for (size_t len = 0; len <= 32; len++)
        if (len != 16 && len != 20)
            IS(CIRCFLOW_ERR_NOT_ASKED, circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(INC), len));
    IS(CIRCFLOW_ERR_NOT_ASKED, circflow_circuit_add_digest(CLIENT, LEG(0), 2, host_digest(INC), 20));
    OK(circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(1), 20));
    OK(circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(2), 16));
    IS(CIRCFLOW_ERR_NOT_ASKED, circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(3), 20));
    OK(sendme_on(LEG(0), HOST_HOPS, 1));
    OK(host_feed(&world, CLIENT, LEG(0), host_sendme(HOST_HOPS, host_digest(2), 16)));
}

/* Cells that padding held back are asked for in the order in which they are sent. */
static circflow_verdict late;
static int late_status = 1;

static void send_late(void *collected, const circflow_insn *insn, const uint8_t *body)
{
    host_events *events = collected;
    (void)body;
    events->at[events->count++].insn = *insn;
    if (late_status == 1)
        late_status = data_on(stream, &late);
}

static void held_data_wants_its_digests_in_the_order_of_sending(void **state)
{
    static host_events events;
    uint64_t tags = 0;
    (void)state;
    host_start(&world);
    param(CIRCFLOW_PATH_EXIT, "cc_sendme_inc", 2);
    alone();
    host_pad(&world, CLIENT, LEG(0), "gate-0-00", 2, 0);
    assert_int_equal(send_cells(1, 1), 0);
    host_drop(&world, CLIENT, LEG(0), 2);
    OK(circflow_engine_tick(CLIENT, world.now));
    for (int n = 0; n < 5; n++) {
        circflow_verdict verdict;
        OK(data_on(stream, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
        assert_int_equal(verdict.flags, 0);
    }
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, 1);
    world.now += 100 * MS;
    OK(circflow_engine_tick(CLIENT, world.now));
    events.count = 0;
    late_status = 1;
    OK(circflow_engine_drain(CLIENT, SIZE_MAX, NULL, send_late, &events));
    /* What is sent in between stands behind what waited. */
    OK(late_status);
    assert_int_equal(late.kind, CIRCFLOW_VERDICT_HELD);
    assert_int_equal(events.count, 6);
    for (size_t i = 0; i < events.count; i++) {
        assert_int_equal(events.at[i].insn.kind, CIRCFLOW_INSN_SEND);
        assert_int_equal(events.at[i].insn.detail.send.command, CIRCFLOW_CMD_DATA);
        assert_int_equal(events.at[i].insn.flags, i % 2 == 0 ? CIRCFLOW_WANTS_DIGEST : 0); /* Cells 2, 4 and 6. */
        if (events.at[i].insn.flags)
            OK(circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(++tags), 20));
    }
    for (uint64_t n = 1; n <= 3; n++)
        OK(sendme_on(LEG(0), HOST_HOPS, n));
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, 1);
}

/* --- Round trips, and the clock --- */

/* What has been sent on LEG(0), and what of it was acknowledged. */
static uint64_t cells, acked;

/* As much as the window allows. Cell number n has digest n. */
static void fill_window(void)
{
    circflow_verdict verdict;
    while (data_on(stream, &verdict) == CIRCFLOW_OK) {
        cells++;
        if (verdict.flags & CIRCFLOW_WANTS_DIGEST)
            OK(circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(cells), 20));
    }
}

/* The next SENDMEs, so many at most; answers how many there were. */
static size_t acknowledge(size_t most)
{
    size_t count = 0;
    for (; count < most && acked + INC <= cells; count++) {
        acked += INC;
        OK(sendme_on(LEG(0), HOST_HOPS, acked));
    }
    host_drain(CLIENT);
    return count;
}

static void round_trips(size_t count, uint64_t rtt_ns)
{
    for (; count > 0; count--) {
        fill_window();
        world.now += rtt_ns;
        acknowledge(SIZE_MAX);
    }
}

static void in_steady_state(size_t rounds, uint64_t rtt_ns)
{
    cells = acked = 0;
    alone();
    round_trips(rounds, rtt_ns);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).slow_start, 0);
    assert_in_range(host_circuit_stats(CLIENT, LEG(0)).rtt_ns, rtt_ns - 1000, rtt_ns);
}

/* A path that was very fast, as a relay's that its own client used, and is as slow as any other from now on. */
static void a_path_that_has_become_5000_times_slower_is_believed_in_its_third_round_trip(void **state)
{
    (void)state;
    in_steady_state(500, 19 * US);
    circflow_circuit_stats fast = host_circuit_stats(CLIENT, LEG(0));
    assert_int_equal(fast.rtt_ns, 19 * US);
    round_trips(2, 100 * MS);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).rtt_ns, 19 * US);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).cwnd, fast.cwnd);
    round_trips(1, 100 * MS);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).rtt_ns, 100 * MS);
    /* And the window is moved by what the path does, again: up where nothing queues, down where it does. */
    round_trips(20, 100 * MS);
    circflow_circuit_stats grown = host_circuit_stats(CLIENT, LEG(0));
    assert_in_range(grown.cwnd, fast.cwnd + 1, fast.cwnd + 1000);
    round_trips(3, 200 * MS);
    assert_in_range(host_circuit_stats(CLIENT, LEG(0)).cwnd, 200, grown.cwnd * 3 / 4);
}

/* All that was in flight seems to have taken 8 hours: 160 figures that agree, of one sleep. */
static void eight_hours_asleep_with_a_full_window_in_flight_change_nothing(void **state)
{
    (void)state;
    in_steady_state(150, 50 * MS);
    for (int sleeps = 0; sleeps < 4; sleeps++) {
        circflow_circuit_stats before = host_circuit_stats(CLIENT, LEG(0));
        fill_window();
        world.now += 8 * 3600 * SECOND;
        /* What is sent after each SENDME is behind the rest of the old window. */
        size_t old = host_circuit_stats(CLIENT, LEG(0)).inflight / INC;
        assert_true(old > 100);
        for (size_t n = 0; n < old; n++) {
            assert_int_equal(acknowledge(1), 1);
            fill_window();
        }
        circflow_circuit_stats after = host_circuit_stats(CLIENT, LEG(0));
        assert_int_equal(after.cwnd, before.cwnd);
        assert_int_equal(after.rtt_ns, before.rtt_ns);
        /* The next round trip is as ever, and ends what began with the sleep. */
        world.now += 50 * MS;
        acknowledge(SIZE_MAX);
        assert_in_range(host_circuit_stats(CLIENT, LEG(0)).rtt_ns, 50 * MS - 1000, 50 * MS);
        assert_true(host_circuit_stats(CLIENT, LEG(0)).cwnd >= before.cwnd);
    }
}

/* The loop reads its clock once, and is fed 100 SENDMEs, for cells sent at the very same moment. */
static void a_loop_clock_that_stands_still_for_100_sendmes_moves_no_window(void **state)
{
    (void)state;
    in_steady_state(150, 50 * MS);
    circflow_circuit_stats before = host_circuit_stats(CLIENT, LEG(0));
    for (size_t n = 0; n < 100;) {
        fill_window();
        size_t more = acknowledge(100 - n);
        assert_true(more > 0);
        n += more;
    }
    circflow_circuit_stats after = host_circuit_stats(CLIENT, LEG(0));
    assert_int_equal(after.cwnd, before.cwnd);
    assert_int_equal(after.rtt_ns, before.rtt_ns);
    assert_true(after.inflight < before.cwnd);
    /* It catches up, and all is as before. */
    world.now += 50 * MS;
    acknowledge(SIZE_MAX);
    round_trips(2, 50 * MS);
    assert_in_range(host_circuit_stats(CLIENT, LEG(0)).rtt_ns, 50 * MS - 1000, 50 * MS);
    assert_true(host_circuit_stats(CLIENT, LEG(0)).cwnd >= before.cwnd);
}

/* Zeros between jumps: what is refused for another reason is no witness, and ends the row. */
static void a_standing_clock_is_no_witness_for_a_jump(void **state)
{
    (void)state;
    in_steady_state(300, 19 * US);
    for (int n = 0; n < 10; n++) {
        round_trips(2, 100 * MS);
        round_trips(1, 0);
        assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).rtt_ns, 19 * US);
    }
    round_trips(3, 100 * MS);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).rtt_ns, 100 * MS);
}

/* --- Parameters --- */

static int open_with(uint8_t sendme_inc)
{
    circflow_circuit_config config = world.client_circuit;
    circflow_circuit_id circuit;
    config.sendme_inc = sendme_inc;
    return circflow_circuit_open(CLIENT, world.now, &config, &circuit);
}

static void sendme_inc_is_within_one_of_the_parameter(void **state)
{
    (void)state;
    host_start(&world);
    IS(CIRCFLOW_ERR_INVALID, open_with(29));
    OK(open_with(30));
    OK(open_with(31));
    OK(open_with(32));
    IS(CIRCFLOW_ERR_INVALID, open_with(33));
    OK(open_with(0));
    param(CIRCFLOW_PATH_EXIT, "cc_sendme_inc", 1);
    OK(open_with(0));
    OK(open_with(1));
    OK(open_with(2));
    IS(CIRCFLOW_ERR_INVALID, open_with(3));
    param(CIRCFLOW_PATH_EXIT, "cc_sendme_inc", 254);
    OK(open_with(253));
    OK(open_with(255));
    IS(CIRCFLOW_ERR_INVALID, open_with(252));
    /* The one that was negotiated is used. */
    param(CIRCFLOW_PATH_EXIT, "cc_sendme_inc", 31);
    world.client_circuit.sendme_inc = 30;
    alone();
    for (uint64_t n = 1; n <= 60; n++)
        assert_int_equal(send_cells(n, 1), n % 30 == 0);
    OK(sendme_on(LEG(0), HOST_HOPS, 30));
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, 30);
}

/* Names and ranges as C Tor 0.4.9 has them. */
static const struct { const char *name; uint32_t min, max; } PARAMS[] = {
    {"cc_sendme_inc", 1, 254},
    {"cc_cwnd_init", 31, 10000},
    {"cc_cwnd_min", 31, 1000},
    {"cc_cwnd_max", 500, 2147483647},
    {"cc_cwnd_inc", 1, 1000},
    {"cc_cwnd_inc_rate", 1, 250},
    {"cc_cwnd_inc_pct_ss", 1, 500},
    {"cc_ss_max", 500, 2147483647},
    {"cc_bwe_min", 2, 20},
    {"cc_ewma_cwnd_pct", 1, 255},
    {"cc_ewma_max", 2, 2147483647},
    {"cc_ewma_ss", 2, 2147483647},
    {"cc_rtt_reset_pct", 0, 100},
    {"cc_cwnd_full_gap", 0, 32767},
    {"cc_cwnd_full_minpct", 0, 100},
    {"cc_cwnd_full_per_cwnd", 0, 1},
    {"cc_vegas_alpha", 0, 1000},
    {"cc_vegas_beta", 0, 1000},
    {"cc_vegas_gamma", 0, 1000},
    {"cc_vegas_delta", 0, 2147483647},
    {"cc_sscap", 100, 2147483647},
    {"cellq_high", 1, 1000},
    {"cellq_low", 1, 1000},
    {"orconn_high", 509, 2147483647},
    {"orconn_low", 509, 2147483647},
    {"cc_xoff_client", 1, 10000},
    {"cc_xoff_exit", 1, 10000},
    {"cc_xon_rate", 1, 5000},
    {"cc_xon_change_pct", 1, 99},
    {"cc_xon_ewma_cnt", 2, 100},
};

static void parameters_have_names_and_ranges(void **state)
{
    (void)state;
    host_start(&world);
    for (uint8_t path = 0; path < 3; path++)
        for (size_t i = 0; i < COUNT(PARAMS); i++) {
            char detail[200], wanted[32];
            OK(circflow_engine_set_param(CLIENT, path, PARAMS[i].name, PARAMS[i].max));
            OK(circflow_engine_set_param(CLIENT, path, PARAMS[i].name, PARAMS[i].min));
            IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, path, PARAMS[i].name, PARAMS[i].max + 1));
            if (PARAMS[i].min > 0)
                IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, path, PARAMS[i].name, PARAMS[i].min - 1));
            OK(circflow_engine_set_param(CLIENT, path, PARAMS[i].name, PARAMS[i].max));
            IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, path, PARAMS[i].name, UINT32_MAX));
            OK(circflow_engine_get_last_detail(CLIENT, detail, sizeof(detail), NULL));
            assert_non_null(strstr(detail, PARAMS[i].name));
            snprintf(wanted, sizeof(wanted), "%u", (unsigned)PARAMS[i].max);
            assert_non_null(strstr(detail, wanted));
        }
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, 3, "cc_cwnd_init", 200));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, 0, "cc_cwnd", 200));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, 0, "", 200));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, 0, "cc_vegas_alpha_exit", 200));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, 0, "\xff\xfe", 200));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_set_param(CLIENT, 0, NULL, 200));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_set_param(NULL, 0, "cc_cwnd_init", 200));
}

static uint64_t first_cwnd(circflow_circuit_id circuit)
{
    circflow_verdict verdict;
    OK(data_on(host_stream(&world, CLIENT, no_set, circuit, HOST_HOPS, 1), &verdict));
    return host_circuit_stats(CLIENT, circuit).cwnd;
}

static void a_parameter_is_for_circuits_of_its_class_that_are_opened_later(void **state)
{
    (void)state;
    host_start(&world);
    circflow_circuit_id before = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    param(CIRCFLOW_PATH_EXIT, "cc_cwnd_init", 200);
    param(CIRCFLOW_PATH_ONION, "cc_cwnd_init", 300);
    circflow_circuit_id after = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    world.client_circuit.path_class = CIRCFLOW_PATH_ONION;
    circflow_circuit_id onion = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    world.client_circuit.path_class = CIRCFLOW_PATH_SBWS;
    circflow_circuit_id sbws = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    assert_int_equal(first_cwnd(before), WINDOW);
    assert_int_equal(first_cwnd(after), 200);
    assert_int_equal(first_cwnd(onion), 300);
    assert_int_equal(first_cwnd(sbws), WINDOW);
    circflow_circuit_config config = world.client_circuit;
    circflow_circuit_id circuit;
    config.path_class = 3;
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_open(CLIENT, world.now, &config, &circuit));
}

/* --- Several hops, and sets --- */

static void each_hop_has_a_window_of_its_own(void **state)
{
    circflow_stream_id near, found;
    circflow_verdict verdict;
    uint64_t tag = 0;
    (void)state;
    alone();
    near = host_stream(&world, CLIENT, no_set, LEG(0), 2, 9);
    OK(circflow_stream_set_readable(CLIENT, stream, 1));
    OK(circflow_stream_set_readable(CLIENT, near, 1));
    send_cells(1, WINDOW);
    IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
    /* Only streams whose window has room are named. */
    for (int n = 0; n < 3; n++) {
        OK(circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, &tag));
        assert_int_equal(found.v, near.v);
        assert_int_equal(tag, 0x5009);
    }
    host_drain(CLIENT);
    send_on(LEG(0), near, 2, 1001, WINDOW);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, &tag));
    OK(sendme_on(LEG(0), 2, 1000 + INC));
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    OK(circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, NULL));
    assert_int_equal(found.v, near.v);
    IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
    OK(sendme_on(LEG(0), HOST_HOPS, INC));
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    OK(circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, NULL));
    assert_int_equal(found.v, stream.v); /* Its turn: it waited longest. */
    IS(CIRCFLOW_ERR_BAD_SENDME, sendme_on(LEG(0), 2, 2 * INC));
}

/* A channel that is full holds up all hops, also when the window that was looked at last is full too. */
static void room_at_the_edge_wakes_whatever_hop_has_a_window(void **state)
{
    circflow_stream_id near, found;
    (void)state;
    alone();
    near = host_stream(&world, CLIENT, no_set, LEG(0), 2, 9);
    OK(circflow_stream_set_readable(CLIENT, near, 1));
    send_cells(1, WINDOW);
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(0), CIRCFLOW_SIDE_BACK, 0));
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, NULL));
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(0), CIRCFLOW_SIDE_BACK, 1));
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    OK(circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, NULL));
    assert_int_equal(found.v, near.v);
}

static void a_set_follows_the_windows_of_its_legs(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_adopted(&world, 2);
    stream = host_stream(&world, CLIENT, world.client_set, no_circuit, HOST_HOPS, 7);
    send_cells(1, WINDOW);
    /* The next goes to the other leg, with a SWITCH. */
    OK(data_on(stream, &verdict));
    assert_int_equal(verdict.circuit.v, LEG(1).v);
    assert_int_equal(verdict.switch_delta, WINDOW);
    assert_int_equal(verdict.number, WINDOW + 1);
    send_on(LEG(1), stream, HOST_HOPS, 2, WINDOW - 1);
    IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, WINDOW);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(1)).inflight, WINDOW);
    host_drain(CLIENT);
    /* The slower leg has room first. */
    world.now += 20 * MS;
    OK(sendme_on(LEG(1), HOST_HOPS, INC));
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_MAY_SEND);
    assert_int_equal(events->at[0].insn.set.v, world.client_set.v);
    OK(data_on(stream, &verdict));
    assert_int_equal(verdict.circuit.v, LEG(1).v);
    assert_int_equal(verdict.switch_delta, 0);
    /* Then the other, which is measured as faster: back to it. */
    OK(sendme_on(LEG(0), HOST_HOPS, INC));
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(0), CIRCFLOW_SIDE_BACK, 0));
    OK(data_on(stream, &verdict));
    assert_int_equal(verdict.circuit.v, LEG(1).v); /* Its channel is full. */
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(0), CIRCFLOW_SIDE_BACK, 1));
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(1), CIRCFLOW_SIDE_BACK, 0));
    OK(data_on(stream, &verdict));
    assert_int_equal(verdict.circuit.v, LEG(0).v);
    assert_int_equal(verdict.switch_delta, WINDOW + 2);
    assert_int_equal(verdict.number, 2 * WINDOW + 3);
    /* A digest of one leg is nothing on the other. */
    IS(CIRCFLOW_ERR_BAD_SENDME, sendme_on(LEG(1), HOST_HOPS, INC));
}

/* The join point is blocked on every leg, and each leg goes on for itself: what it owes goes out in the same round, the legs in
 * their order; and the join point is woken once, however many legs have room again. */
static void every_leg_makes_progress_in_every_round_in_leg_order(void **state)
{
    enum { LEGS = 3, ROUNDS = 5 };
    circflow_verdict verdict;
    (void)state;
    host_adopted(&world, LEGS);
    stream = host_stream(&world, CLIENT, world.client_set, no_circuit, HOST_HOPS, 7);
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_BEGIN, "x", 2, &verdict));
    uint64_t sent[LEGS] = {0}, acknowledged[LEGS] = {0};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        while (data_on(stream, &verdict) == CIRCFLOW_OK)
            for (size_t leg = 0; leg < LEGS; leg++)
                if (verdict.circuit.v == LEG(leg).v) {
                    sent[leg]++;
                    if (verdict.flags & CIRCFLOW_WANTS_DIGEST)
                        OK(circflow_circuit_add_digest(CLIENT, LEG(leg), HOST_HOPS, host_digest(1000 * leg + sent[leg]), 20));
                }
        host_drain(CLIENT);
        /* One SENDME's worth on each leg, the last leg first. */
        for (size_t n = LEGS; n-- > 0;) {
            uint32_t skip = round == 0 ? (uint32_t)(n * INC) : (LEGS - 1) * INC;
            if (skip > 0)
                host_expect(&world, CLIENT, LEG(n), host_switch(HOST_HOPS, skip), CIRCFLOW_VERDICT_CONSUMED);
        }
        for (size_t leg = 0; leg < LEGS; leg++)
            for (uint64_t cell = 1; cell <= INC; cell++)
                host_expect(&world, CLIENT, LEG(leg), data_with_digest(HOST_HOPS, 7, 1000 * leg + cell, 20), CIRCFLOW_VERDICT_DELIVER);
        const host_events *events = host_drain(CLIENT);
        assert_int_equal(events->count, LEGS);
        for (size_t leg = 0; leg < LEGS; leg++)
            is_sendme(&events->at[leg], LEG(leg), HOST_HOPS, 1000 * leg + INC, 20);
        /* The set says that it waits, then every leg has room again. */
        IS(CIRCFLOW_ERR_NO_ROOM, data_on(stream, &verdict));
        world.now += 20 * MS;
        for (size_t leg = 0; leg < LEGS; leg++) {
            acknowledged[leg] += INC;
            OK(sendme_on(LEG(leg), HOST_HOPS, 1000 * leg + acknowledged[leg]));
        }
        assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
        for (size_t leg = 0; leg < LEGS; leg++)
            assert_true(host_circuit_stats(CLIENT, LEG(leg)).inflight < host_circuit_stats(CLIENT, LEG(leg)).cwnd);
    }
}

static void nobody_reports_or_sends_for_a_set_that_is_run(void **state)
{
    circflow_verdict verdict;
    circflow_message data = host_data(HOST_HOPS, "x");
    size_t count;
    (void)state;
    host_adopted(&world, 1);
    circflow_leg_report report = host_report(LEG(0), 50, 0);
    IS(CIRCFLOW_ERR_IS_RUN, circflow_leg_update(CLIENT, world.now, &report, 1));
    IS(CIRCFLOW_ERR_IS_RUN, circflow_set_send(CLIENT, world.now, world.client_set, &data, NULL, 0, &verdict));
    IS(CIRCFLOW_ERR_IS_RUN, circflow_set_decide(CLIENT, world.now, world.client_set, &data, NULL, 0, &verdict));
    /* Nor are numbers and windows moved past the streams. */
    const uint8_t commands[] = {CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_END, CIRCFLOW_CMD_BEGIN_DIR, CIRCFLOW_CMD_SWITCH};
    for (size_t i = 0; i < COUNT(commands); i++)
        IS(CIRCFLOW_ERR_IS_RUN, circflow_circuit_cell_queued(CLIENT, world.now, LEG(0), commands[i], HOST_HOPS));
    OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(0), CIRCFLOW_CMD_DROP, HOST_HOPS));
    assert_int_equal(host_set_stats(CLIENT, world.client_set).sent, 0);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, 0);
    IS(CIRCFLOW_ERR_IS_RUN, circflow_set_poll_tokens(CLIENT, world.client_set, NULL, 0, &count));
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).cwnd, WINDOW);
    /* Legs are alike in who runs them. */
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    circflow_circuit_id other = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    IS(CIRCFLOW_ERR_LEG_MISMATCH, circflow_set_adopt_leg(CLIENT, world.now, world.client_set, other, 3, 0));
}

static void an_exits_legs_are_alike_in_who_runs_them(void **state)
{
    (void)state;
    world.exit_circuit.flags = HOST_RUN;
    host_linked(&world, 1);
    world.exit_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    circflow_circuit_id other = host_open(&world, world.exit, CIRCFLOW_ROLE_RELAY);
    IS(CIRCFLOW_ERR_UNFIT_LINK, host_feed(&world, world.exit, other,
                                          host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3)));
}

static void without_vegas_windows_and_streams_are_the_hosts(void **state)
{
    circflow_stream_config config;
    circflow_stream_id found;
    (void)state;
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_REACTOR;
    host_start(&world);
    host_pair(&world);
    host_expect(&world, CLIENT, LEG(0), host_sendme(HOST_HOPS, host_digest(1), 20), CIRCFLOW_VERDICT_DELIVER);
    host_expect(&world, CLIENT, LEG(0), data_with_digest(HOST_HOPS, 7, 1, 20), CIRCFLOW_VERDICT_DELIVER);
    config = host_stream_config(no_set, LEG(0), HOST_HOPS, 7);
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_stream_open(CLIENT, world.now, &config, &found));
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, NULL));
    assert_int_equal(host_drain(CLIENT)->count, 0);
    /* Nor of a set whose legs the host runs. */
    host_stop(&world);
    setup(NULL);
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    host_adopted(&world, 1);
    config = host_stream_config(world.client_set, no_circuit, HOST_HOPS, 7);
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_stream_open(CLIENT, world.now, &config, &found));
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_stream_choose(CLIENT, world.now, world.client_set, no_circuit, &found, NULL));
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(1), 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_window_closes_at_cwnd_and_opens_with_sendmes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_stands_still_opens_the_window_without_the_algorithm, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_channel_is_congestion, setup, teardown),
        cmocka_unit_test_setup_teardown(what_circflow_reads_leaves_no_trace_in_the_next_body, setup, teardown),
        cmocka_unit_test_setup_teardown(each_incth_data_is_acknowledged_with_its_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(each_hop_is_counted_for_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_relay_acknowledges_to_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(data_out_of_order_is_acknowledged_at_once_on_its_leg, setup, teardown),
        cmocka_unit_test_setup_teardown(what_acknowledges_nothing_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(digests_are_taken_when_asked_for_and_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(held_data_wants_its_digests_in_the_order_of_sending, setup, teardown),
        cmocka_unit_test_setup_teardown(a_path_that_has_become_5000_times_slower_is_believed_in_its_third_round_trip,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(eight_hours_asleep_with_a_full_window_in_flight_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_loop_clock_that_stands_still_for_100_sendmes_moves_no_window, setup, teardown),
        cmocka_unit_test_setup_teardown(a_standing_clock_is_no_witness_for_a_jump, setup, teardown),
        cmocka_unit_test_setup_teardown(sendme_inc_is_within_one_of_the_parameter, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_have_names_and_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(a_parameter_is_for_circuits_of_its_class_that_are_opened_later, setup, teardown),
        cmocka_unit_test_setup_teardown(each_hop_has_a_window_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(room_at_the_edge_wakes_whatever_hop_has_a_window, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_follows_the_windows_of_its_legs, setup, teardown),
        cmocka_unit_test_setup_teardown(every_leg_makes_progress_in_every_round_in_leg_order, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_reports_or_sends_for_a_set_that_is_run, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exits_legs_are_alike_in_who_runs_them, setup, teardown),
        cmocka_unit_test_setup_teardown(without_vegas_windows_and_streams_are_the_hosts, setup, teardown),
    };
    return cmocka_run_group_tests_name("congestion", tests, NULL, NULL);
}
