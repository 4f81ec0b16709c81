/* Streams that have ended here while the other end may not know yet: what may still come for them, for how long, and
 * what it costs to remember them. All at a client, for streams that it opened: a relay remembers none. */

#include "host.h"

#define CLIENT world.client
#define EXIT world.exit
#define LEG(i) world.client_leg[i]
#define FAR(i) world.exit_leg[i]

static const circflow_circuit_id no_circuit = {0};

HOST_WORLD(host_prepare_run)

static void begin_world(int in_set) { host_begin_run(&world, in_set); }

static int try_open(uint16_t stream_id, circflow_stream_id *stream)
{
    circflow_stream_config config =
        host_client_stream(&world, stream_id);
    return circflow_stream_open(CLIENT, world.now, &config, stream);
}

static circflow_stream_id open_stream(uint16_t stream_id)
{
    circflow_stream_id stream;
    OK(try_open(stream_id, &stream));
    return stream;
}

/* Sends at the client; what is sent is dropped, as the other end is played by hand. */
static uint32_t say(circflow_stream_id stream, uint8_t command, const char *body, size_t len)
{
    circflow_verdict verdict;
    OK(host_stream_send(&world, CLIENT, stream, command, body, len, &verdict));
    return verdict.kind;
}

static circflow_stream_id begun(uint16_t stream_id, uint8_t command)
{
    circflow_stream_id stream = open_stream(stream_id);
    assert_int_equal(say(stream, command, "host:80", 8), CIRCFLOW_VERDICT_SEND);
    return stream;
}

static void ended(uint16_t stream_id, uint8_t command)
{
    assert_int_equal(say(begun(stream_id, command), CIRCFLOW_CMD_END, "\6", 1), CIRCFLOW_VERDICT_SEND);
}

static int hears(uint8_t command, uint16_t stream_id, const void *body, size_t len, uint32_t *kind)
{
    circflow_message message = host_with_digest(host_message(command, HOST_HOPS, stream_id, body, len), 1);
    circflow_verdict verdict = {0};
    int status = circflow_circuit_receive(CLIENT, world.now, LEG(0), &message, &verdict);
    *kind = verdict.kind;
    return status;
}

/* A message that a client takes without handing it on. */
static void consumed(uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    uint32_t kind;
    OK(hears(command, stream_id, body, len, &kind));
    assert_int_equal(kind, CIRCFLOW_VERDICT_CONSUMED);
}

/* --- Ids --- */

static void an_id_is_in_use_until_the_peers_last_word_or_the_memorys_end(void **state)
{
    circflow_stream_id again;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++)
        for (int how = 0; how < 3; how++) {
            begin_world(in_set);
            ended(7, how == 1 ? CIRCFLOW_CMD_RESOLVE : CIRCFLOW_CMD_BEGIN);
            IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
            consumed(CIRCFLOW_CMD_DATA, 7, "late", 4);
            IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
            OK(try_open(8, &again)); /* Another is free. */
            if (how == 0)
                consumed(CIRCFLOW_CMD_END, 7, "\6", 1);
            if (how == 1)
                consumed(CIRCFLOW_CMD_RESOLVED, 7, "\4\4\1\2\3\4", 6);
            if (how == 2) {
                world.now += world.engine_config.stream_remembered_ns - 1;
                IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
                world.now += 1;
            }
            OK(try_open(7, &again));
            /* It is a stream like any other. */
            IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
            host_stop(&world);
        }
}

/* The peer has said its last word while the stream was open: nothing can be late. */
static void an_id_that_the_peer_has_ended_is_free_at_once(void **state)
{
    circflow_stream_id again;
    uint32_t kind;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        begun(7, CIRCFLOW_CMD_BEGIN);
        OK(hears(CIRCFLOW_CMD_END, 7, "\6", 1, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        OK(try_open(7, &again));
        host_stop(&world);
    }
}

/* A relay takes a client's word for which ids are free. */
static void a_relay_remembers_no_ids(void **state)
{
    circflow_verdict verdict;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        for (int n = 0; n < 3; n++) {
            circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "host:80", 8);
            OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &begin, &verdict));
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
            circflow_stream_id stream = verdict.stream;
            OK(host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_END, "\6", 1, &verdict));
        }
        host_stop(&world);
    }
}

/* --- What may come for a stream that has ended here --- */

static const char XON_BODY[] = "\0\0\0\0\5";
#define XON CIRCFLOW_CMD_XON, 7, XON_BODY, 5
#define XOFF CIRCFLOW_CMD_XOFF, 7, "", 1
#define END CIRCFLOW_CMD_END, 7, "\6", 1
#define DATA CIRCFLOW_CMD_DATA, 7, "late", 4
#define CONNECTED CIRCFLOW_CMD_CONNECTED, 7, "", 0
#define RESOLVED CIRCFLOW_CMD_RESOLVED, 7, "\4\4\1\2\3\4", 6

/* One that closes, for this cause; then there is a new world. */
static void closes(int in_set, int cause, uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    uint32_t kind;
    uint64_t faults = host_stats(CLIENT).peer_faults;
    int status = hears(command, stream_id, body, len, &kind);
    if (status != cause)
        fail_msg("command %u, %s: %d (%s)", command, in_set ? "in a set" : "alone", status, circflow_status_name(status));
    const circflow_insn *close = host_close_of(host_drain(CLIENT), LEG(0));
    assert_non_null(close);
    assert_int_equal(close->detail.close.cause, cause);
    assert_int_equal(host_stats(CLIENT).peer_faults, faults + 1);
    host_stop(&world);
}

static void the_last_word_is_one(void **state)
{
    static const struct { uint8_t command; const char *body; size_t len; } later[] = {
        {CIRCFLOW_CMD_DATA, "late", 4},        {CIRCFLOW_CMD_END, "\6", 1},     {CIRCFLOW_CMD_CONNECTED, "", 0},
        {CIRCFLOW_CMD_RESOLVED, "\4\1\1", 3}, {CIRCFLOW_CMD_XOFF, "", 1},      {CIRCFLOW_CMD_XON, XON_BODY, 5},
    };
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++)
        for (int resolves = 0; resolves < 2; resolves++)
            for (int resolved = 0; resolved < 2; resolved++)
                for (size_t i = 0; i < COUNT(later); i++) {
                    begin_world(in_set);
                    ended(7, resolves ? CIRCFLOW_CMD_RESOLVE : CIRCFLOW_CMD_BEGIN);
                    if (resolved)
                        consumed(RESOLVED);
                    else
                        consumed(END);
                    closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, later[i].command, 7, later[i].body, later[i].len);
                }
    begin_world(0);
}

static void after_our_end_a_peer_may_be_silent_or_send_data_and_flow_control(void **state)
{
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++)
        for (int what = 0; what < 5; what++) {
            begin_world(in_set);
            ended(7, CIRCFLOW_CMD_BEGIN);
            uint64_t end = world.now + world.engine_config.stream_remembered_ns;
            for (int n = 0; n < 1000; n++) {
                if (n == 999)
                    world.now = end - 1;
                consumed(DATA);
                consumed(XON);
                consumed(XOFF);
                host_drain(CLIENT); /* SENDMEs. */
            }
            world.now = end;
            if (what == 0)
                closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, DATA);
            if (what == 1)
                closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, XON);
            if (what == 2)
                closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, XOFF);
            if (what == 3)
                closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, END);
            if (what == 4) { /* Silent for ever. */
                world.now += 1000000 * SECOND;
                assert_null(host_close_of(host_tick(&world, CLIENT), LEG(0)));
                host_stop(&world);
            }
        }
    begin_world(0);
}

static void late_bodies_must_parse(void **state)
{
    static const struct { uint8_t command; const char *body; size_t len; } bad[] = {
        {CIRCFLOW_CMD_XOFF, "\1", 1}, {CIRCFLOW_CMD_XOFF, "", 0}, {CIRCFLOW_CMD_XON, "\0\0\0\1", 4},
        {CIRCFLOW_CMD_XON, "\1\0\0\0\1", 5}, {CIRCFLOW_CMD_XON, "", 0},
    };
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++)
        for (size_t i = 0; i < COUNT(bad); i++) {
            begin_world(in_set);
            ended(7, CIRCFLOW_CMD_BEGIN);
            closes(in_set, CIRCFLOW_ERR_BAD_FLOW, bad[i].command, 7, bad[i].body, bad[i].len);
        }
    begin_world(0);
}

static void late_connected_comes_once_and_only_if_none_came_before(void **state)
{
    uint32_t kind;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        ended(7, CIRCFLOW_CMD_BEGIN);
        consumed(CONNECTED);
        consumed(DATA);
        closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, CONNECTED);
        begin_world(in_set);
        circflow_stream_id stream = begun(7, CIRCFLOW_CMD_BEGIN);
        OK(hears(CONNECTED, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        say(stream, CIRCFLOW_CMD_END, "\6", 1);
        consumed(DATA);
        closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, CONNECTED);
        begin_world(in_set);
        ended(7, CIRCFLOW_CMD_RESOLVE); /* CONNECTED answers no RESOLVE. */
        closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, CONNECTED);
    }
    begin_world(0);
}

/* --- Before BEGIN has left --- */

static void shut(void)
{
    host_shut(&world, CLIENT, LEG(0), 2);
}

/* What the machine held is let out, and taken. */
static void let_out(size_t count)
{
    const host_events *events = host_later(&world, CLIENT, 100 * MS);
    size_t sent = 0;
    for (size_t i = 0; i < events->count; i++)
        sent += events->at[i].insn.kind == CIRCFLOW_INSN_SEND && events->at[i].insn.detail.send.stream_id == 7;
    assert_int_equal(sent, count);
}

static void nothing_comes_before_what_opens_the_stream_has_left(void **state)
{
    static const struct { uint8_t command; const char *body; size_t len; } early[] = {
        {CIRCFLOW_CMD_DATA, "early", 5},       {CIRCFLOW_CMD_END, "\6", 1}, {CIRCFLOW_CMD_CONNECTED, "", 0},
        {CIRCFLOW_CMD_RESOLVED, "\4\1\1", 3}, {CIRCFLOW_CMD_XOFF, "", 1},  {CIRCFLOW_CMD_XON, XON_BODY, 5},
    };
    static const uint8_t asks[] = {0, CIRCFLOW_CMD_BEGIN, CIRCFLOW_CMD_RESOLVE};
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++)
        for (int ends = 0; ends < 2; ends++)
            for (size_t how = 0; how < COUNT(asks); how++)
                for (size_t i = 0; i < COUNT(early); i++) {
                    begin_world(in_set);
                    if (asks[how])
                        shut();
                    circflow_stream_id stream = open_stream(7);
                    if (asks[how])
                        assert_int_equal(say(stream, asks[how], "host:80", 8), CIRCFLOW_VERDICT_HELD);
                    if (ends)
                        say(stream, CIRCFLOW_CMD_END, "\6", 1);
                    closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, early[i].command, 7, early[i].body, early[i].len);
                }
    begin_world(0);
}

static void once_it_was_let_out_the_peer_may_speak(void **state)
{
    uint32_t kind;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        shut();
        circflow_stream_id stream = open_stream(7);
        assert_int_equal(say(stream, CIRCFLOW_CMD_BEGIN, "host:80", 8), CIRCFLOW_VERDICT_HELD);
        let_out(1);
        OK(hears(CONNECTED, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        OK(hears(DATA, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        OK(hears(END, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        /* Ended before it was let out: it is a stream that has ended, from then on. */
        host_drop(&world, CLIENT, LEG(0), 2);
        host_tick(&world, CLIENT);
        stream = open_stream(7);
        assert_int_equal(say(stream, CIRCFLOW_CMD_BEGIN, "host:80", 8), CIRCFLOW_VERDICT_HELD);
        assert_int_equal(say(stream, CIRCFLOW_CMD_END, "\6", 1), CIRCFLOW_VERDICT_HELD);
        IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &stream));
        let_out(2);
        consumed(CONNECTED);
        consumed(DATA);
        consumed(END);
        OK(try_open(7, &stream));
        host_stop(&world);
    }
}

/* The peer cannot know of an END that padding holds: its time begins when it leaves. */
static void the_memory_begins_when_end_has_left(void **state)
{
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        setup(NULL);
        world.engine_config.stream_remembered_ns = 10 * MS;
        if (in_set)
            host_linked(&world, 1);
        else {
            host_start(&world);
            host_pair(&world);
        }
        circflow_stream_id stream = begun(7, CIRCFLOW_CMD_BEGIN);
        shut();
        assert_int_equal(say(stream, CIRCFLOW_CMD_END, "\6", 1), CIRCFLOW_VERDICT_HELD);
        world.now += 90 * MS;
        consumed(DATA);
        IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &stream));
        world.now -= 90 * MS;
        let_out(1);
        world.now += 10 * MS - 1;
        consumed(DATA);
        world.now += 1;
        closes(in_set, CIRCFLOW_ERR_UNKNOWN_STREAM, DATA);
    }
    begin_world(0);
}

/* --- Open streams --- */

static void what_nothing_explains_on_an_open_stream_is_dropped(void **state)
{
    uint32_t kind;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        circflow_stream_id stream = begun(7, CIRCFLOW_CMD_BEGIN);
        consumed(RESOLVED);
        OK(hears(CONNECTED, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        for (int n = 0; n < 3; n++) {
            consumed(CONNECTED);
            consumed(RESOLVED);
        }
        OK(hears(DATA, &kind)); /* It lives. */
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        assert_int_equal(say(stream, CIRCFLOW_CMD_DATA, "x", 1), CIRCFLOW_VERDICT_SEND);
        stream = begun(9, CIRCFLOW_CMD_RESOLVE);
        consumed(CIRCFLOW_CMD_CONNECTED, 9, "", 0);
        consumed(CIRCFLOW_CMD_DATA, 9, "x", 1);
        OK(hears(CIRCFLOW_CMD_RESOLVED, 9, "\4\4\1\2\3\4", 6, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        IS(CIRCFLOW_ERR_STALE_ID, circflow_stream_set_readable(CLIENT, stream, 1));
        assert_int_equal(host_stats(CLIENT).streams, 1);
        assert_int_equal(host_stats(CLIENT).peer_faults, 0);
        assert_int_equal(host_stats(CLIENT).unexplained, 9);
        host_stop(&world);
    }
}

/* Never judged: an exit takes DATA before it has said CONNECTED. */
static void optimistic_data_is_no_fault(void **state)
{
    circflow_verdict verdict;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        circflow_message message = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "host:80", 8);
        OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &message, &verdict));
        circflow_stream_id stream = verdict.stream;
        message = host_message(CIRCFLOW_CMD_DATA, 0, 7, "GET /", 5);
        OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &message, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
        assert_int_equal(verdict.stream.v, stream.v);
        host_stop(&world);
    }
}

/* --- The memory --- */

/* However many, each is known until its time, and no other is. */
static void no_id_is_forgotten_for_want_of_room(void **state)
{
    uint32_t kind;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        for (uint16_t n = 1; n <= 5000; n++)
            ended(n, CIRCFLOW_CMD_BEGIN);
        host_drain(CLIENT);
        for (uint16_t n = 1; n <= 5000; n++) {
            consumed(CIRCFLOW_CMD_DATA, n, "late", 4);
            host_drain(CLIENT);
        }
        IS(CIRCFLOW_ERR_UNKNOWN_STREAM, hears(CIRCFLOW_CMD_DATA, 5001, "x", 1, &kind));
        host_stop(&world);
    }
}

/* C15: how many streams a set has, and since when it has none. */
static void a_set_says_since_when_it_has_no_streams(void **state)
{
    uint32_t kind;
    (void)state;
    host_prepare(&world);
    world.client_circuit.flags = world.exit_circuit.flags = HOST_RUN;
    host_linked(&world, 2);
    circflow_set_stats stats = host_set_stats(CLIENT, world.client_set);
    assert_int_equal(stats.streams, 0);
    assert_true(stats.no_streams_since_ns >= HOST_START && stats.no_streams_since_ns <= world.now);
    stats = host_set_stats(EXIT, world.exit_set);
    assert_int_equal(stats.streams, 0);
    assert_true(stats.no_streams_since_ns >= HOST_START && stats.no_streams_since_ns <= world.now);
    world.now += SECOND;
    circflow_stream_id one = begun(7, CIRCFLOW_CMD_BEGIN);
    open_stream(8); /* One of which nothing was said counts, too. */
    stats = host_set_stats(CLIENT, world.client_set);
    assert_int_equal(stats.streams, 2);
    assert_true(stats.no_streams_since_ns == CIRCFLOW_NEVER);
    world.now += SECOND;
    say(one, CIRCFLOW_CMD_END, "\6", 1);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).streams, 1);
    one = begun(9, CIRCFLOW_CMD_BEGIN);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).streams, 2);
    OK(hears(CIRCFLOW_CMD_END, 9, "\6", 1, &kind)); /* The peer ends one. */
    world.now += SECOND;
    stats = host_set_stats(CLIENT, world.client_set);
    assert_int_equal(stats.streams, 1);
    assert_true(stats.no_streams_since_ns == CIRCFLOW_NEVER);
    circflow_stream_config config = host_stream_config(world.client_set, no_circuit, HOST_HOPS, 10);
    OK(circflow_stream_open(CLIENT, world.now, &config, &one));
    say(one, CIRCFLOW_CMD_END, "\6", 1);
    assert_true(host_set_stats(CLIENT, world.client_set).no_streams_since_ns == CIRCFLOW_NEVER);
    host_stop(&world);
    /* Where the host has the streams, it knows. */
    setup(NULL);
    world.client_circuit.flags = world.exit_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    host_linked(&world, 1);
    stats = host_set_stats(CLIENT, world.client_set);
    assert_int_equal(stats.streams, 0);
    assert_true(stats.no_streams_since_ns == CIRCFLOW_NEVER);
}

static void the_last_stream_of_a_set_leaves_the_time(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_linked(&world, 1);
    for (int by_peer = 0; by_peer < 2; by_peer++) {
        circflow_stream_id stream = begun((uint16_t)(7 + by_peer), CIRCFLOW_CMD_BEGIN);
        circflow_message message = host_message(CIRCFLOW_CMD_BEGIN, 0, (uint16_t)(7 + by_peer), "host:80", 8);
        OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &message, &verdict));
        assert_true(host_set_stats(EXIT, world.exit_set).no_streams_since_ns == CIRCFLOW_NEVER);
        world.now += SECOND;
        uint64_t end = world.now;
        uint32_t kind;
        if (by_peer) {
            OK(hears(CIRCFLOW_CMD_END, 8, "\6", 1, &kind));
            OK(host_stream_send(&world, EXIT, verdict.stream, CIRCFLOW_CMD_END, "\6", 1, &verdict));
        } else {
            say(stream, CIRCFLOW_CMD_END, "\6", 1);
            message = host_message(CIRCFLOW_CMD_END, 0, 7, "\6", 1);
            OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &message, &verdict));
        }
        world.now += SECOND;
        assert_int_equal(host_set_stats(CLIENT, world.client_set).streams, 0);
        assert_int_equal(host_set_stats(CLIENT, world.client_set).no_streams_since_ns, end);
        assert_int_equal(host_set_stats(EXIT, world.exit_set).streams, 0);
        assert_int_equal(host_set_stats(EXIT, world.exit_set).no_streams_since_ns, end);
    }
}

/* What remembers streams counts in the budget, from when they are opened, and goes with time. */
static void what_is_remembered_is_in_the_budget(void **state)
{
    circflow_stream_id stream;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        setup(NULL);
        world.engine_config.held_bytes_max = 3000;
        if (in_set)
            host_linked(&world, 1);
        else {
            host_start(&world);
            host_pair(&world);
        }
        uint16_t count = 0;
        while (try_open((uint16_t)(count + 16), &stream) == CIRCFLOW_OK) {
            count++;
            say(stream, CIRCFLOW_CMD_BEGIN, "host:80", 8);
            say(stream, CIRCFLOW_CMD_END, "\6", 1);
        }
        IS(CIRCFLOW_ERR_TOO_MANY, try_open((uint16_t)(count + 16), &stream));
        assert_true(count >= 3000 / 12 && count < 3000 / 8);
        uint64_t held = host_stats(CLIENT).held_bytes;
        assert_true(held <= 3000 && held > 2800);
        assert_int_equal(host_stats(CLIENT).held, 0);
        assert_int_equal(host_stats(EXIT).held_bytes, 0);
        /* Those that the peer ends make room at once, those whose time is over as others end, or when asked for. */
        for (uint16_t n = 0; n < 16; n++)
            consumed(CIRCFLOW_CMD_END, (uint16_t)(n + 16), "\6", 1);
        assert_true(host_stats(CLIENT).held_bytes < held);
        OK(try_open(16, &stream));
        world.now += world.engine_config.stream_remembered_ns;
        OK(circflow_engine_tick(CLIENT, world.now));
        OK(circflow_engine_trim(CLIENT, NULL));
        assert_true(host_stats(CLIENT).held_bytes < 300 && host_stats(CLIENT).held_bytes > 0);
        OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
        host_drain(CLIENT);
        assert_int_equal(host_stats(CLIENT).held_bytes, 0);
        host_stop(&world);
    }
}

static void remembering_is_no_more_than_ten_minutes(void **state)
{
    (void)state;
    world.engine_config.stream_remembered_ns = 600 * SECOND + 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_new(&world.engine_config, &world.client));
    for (int longest = 0; longest < 3; longest++) { /* Below the cap, at it, and a round trip that is above it. */
        setup(NULL);
        world.engine_config.stream_remembered_ns = longest == 1 ? 600 * SECOND : 599 * SECOND;
        host_start(&world);
        host_pair(&world);
        circflow_stream_id stream = begun(7, CIRCFLOW_CMD_BEGIN);
        if (longest == 2) {
            for (int n = 0; n < 31; n++) {
                circflow_verdict verdict;
                OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
                if (verdict.flags & CIRCFLOW_WANTS_DIGEST)
                    OK(circflow_circuit_add_digest(CLIENT, LEG(0), HOST_HOPS, host_digest(32), 20));
            }
            world.now += 3600 * SECOND;
            OK(host_feed(&world, CLIENT, LEG(0), host_sendme(HOST_HOPS, host_digest(32), 20)));
        }
        say(stream, CIRCFLOW_CMD_END, "\6", 1);
        world.now += (longest == 0 ? 599 : 600) * SECOND - 1;
        consumed(DATA);
        world.now += 1;
        closes(0, CIRCFLOW_ERR_UNKNOWN_STREAM, DATA);
    }
    begin_world(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_id_is_in_use_until_the_peers_last_word_or_the_memorys_end, setup, teardown),
        cmocka_unit_test_setup_teardown(an_id_that_the_peer_has_ended_is_free_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_relay_remembers_no_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_word_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(after_our_end_a_peer_may_be_silent_or_send_data_and_flow_control, setup, teardown),
        cmocka_unit_test_setup_teardown(late_bodies_must_parse, setup, teardown),
        cmocka_unit_test_setup_teardown(late_connected_comes_once_and_only_if_none_came_before, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_comes_before_what_opens_the_stream_has_left, setup, teardown),
        cmocka_unit_test_setup_teardown(once_it_was_let_out_the_peer_may_speak, setup, teardown),
        cmocka_unit_test_setup_teardown(the_memory_begins_when_end_has_left, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nothing_explains_on_an_open_stream_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(optimistic_data_is_no_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(no_id_is_forgotten_for_want_of_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_says_since_when_it_has_no_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_stream_of_a_set_leaves_the_time, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_remembered_is_in_the_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(remembering_is_no_more_than_ten_minutes, setup, teardown),
    };
    return cmocka_run_group_tests_name("ended", tests, NULL, NULL);
}
