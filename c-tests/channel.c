/* Channels that circuits share: one call says what a channel takes, and its circuits are served in turn. */

#include "host.h"

#define HIGH 8
#define LOW 3
#define OVER 32
#define RELAY world.exit
#define MIDDLE (CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_EXTENDED | CIRCFLOW_CIRCUIT_REACTOR)
#define BACK CIRCFLOW_SIDE_BACK
#define NEXT CIRCFLOW_SIDE_NEXT
#define PROMISE (10 * MS)
#define CHANNELS_MAX 65536
#define MANY 10000

static host_world world;
static const circflow_set_id no_set = {0};
static const circflow_channel_id no_channel = {0};
static const circflow_circuit_id no_circuit = {0};

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    host_prepare(&world);
    world.engine_config.edge_high_cells = HIGH;
    world.engine_config.edge_low_cells = LOW;
    world.engine_config.edge_over_cells = OVER;
    world.exit_circuit.flags = MIDDLE;
    host_start(&world);
    return 0;
}

HOST_TEARDOWN

static circflow_circuit_id opened(uint32_t flags, uint64_t tag)
{
    world.exit_circuit.flags = flags;
    world.exit_circuit.tag = tag;
    return host_open(&world, RELAY, CIRCFLOW_ROLE_RELAY);
}

static circflow_channel_id channel_with(uint32_t room)
{
    circflow_channel_id channel;
    OK(circflow_channel_open(RELAY, room, &channel));
    return channel;
}

static void room(circflow_channel_id channel, uint32_t cells)
{
    OK(circflow_channel_set_room(RELAY, world.now, channel, cells));
}

static void sits(circflow_circuit_id circuit, uint8_t side, circflow_channel_id channel)
{
    OK(circflow_circuit_set_channel(RELAY, world.now, circuit, side, channel));
}

/* A middle circuit whose next side writes to the channel. */
static circflow_circuit_id middle_on(circflow_channel_id channel, uint64_t tag)
{
    circflow_circuit_id circuit = opened(MIDDLE, tag);
    sits(circuit, NEXT, channel);
    return circuit;
}

static circflow_channel_stats figures(circflow_channel_id channel)
{
    circflow_channel_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_channel_get_stats(RELAY, channel, &stats));
    return stats;
}

static void is_now(circflow_channel_id channel, uint32_t sides, uint32_t in_line, uint32_t waiting, uint32_t left,
                   uint64_t passed)
{
    circflow_channel_stats stats = figures(channel);
    assert_int_equal(stats.sides, sides);
    assert_int_equal(stats.in_line, in_line);
    assert_int_equal(stats.waiting, waiting);
    assert_int_equal(stats.room_cells, left);
    assert_int_equal(stats.passed, passed);
}

static uint32_t relay(circflow_circuit_id circuit, uint8_t from)
{
    circflow_message cell = host_message(3, 0, 0, "cell", 4);
    circflow_verdict verdict;
    OK(circflow_circuit_relay(RELAY, world.now, circuit, from, &cell, &verdict));
    return verdict.kind;
}

/* A cell for the next side. */
static void goes(circflow_circuit_id circuit) { assert_int_equal(relay(circuit, BACK), CIRCFLOW_VERDICT_FORWARD); }
static void waits(circflow_circuit_id circuit) { assert_int_equal(relay(circuit, BACK), CIRCFLOW_VERDICT_HELD); }

/* Whose cells these are, by tag, in order; with a side of back as a capital. */
static const char *order(const host_events *events)
{
    static char text[HOST_EVENTS_MAX + 1];
    size_t len = 0;
    for (size_t i = 0; i < events->count; i++) {
        const circflow_insn *insn = &events->at[i].insn;
        if (insn->kind == CIRCFLOW_INSN_WRITE)
            text[len++] = (char)(insn->detail.write.side == BACK ? insn->circuit_tag - 'a' + 'A' : insn->circuit_tag);
        if (insn->kind == CIRCFLOW_INSN_MAY_SEND)
            text[len++] = '!';
    }
    text[len] = 0;
    return text;
}

static void gives(const char *wanted) { assert_string_equal(order(host_drain(RELAY)), wanted); }

static void room_is_used_up_by_what_passes(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(3);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b'), other = opened(MIDDLE, 'o');
    goes(a);
    goes(b);
    goes(b);
    is_now(channel, 2, 0, 0, 0, 3);
    waits(a);
    waits(b);
    goes(other);
    /* The way back has a channel of its own. */
    assert_int_equal(relay(a, NEXT), CIRCFLOW_VERDICT_FORWARD);
    gives("");
    is_now(channel, 2, 2, 2, 0, 3);
    assert_int_equal(host_circuit_stats(RELAY, a).next.writable, 0);
    assert_int_equal(host_circuit_stats(RELAY, a).next.waiting, 1);
    room(channel, 1);
    gives("a");
    room(channel, 5);
    gives("b");
    is_now(channel, 2, 0, 0, 4, 5);
    goes(a);
    room(channel, CIRCFLOW_ROOM_UNLIMITED);
    for (int i = 0; i < 1000; i++)
        goes(a);
    is_now(channel, 2, 0, 0, CIRCFLOW_ROOM_UNLIMITED, 1006);
    room(channel, 0);
    waits(a);
    is_now(channel, 2, 1, 1, 0, 1006);
    assert_int_equal(host_circuit_stats(RELAY, a).next.passed, 1 + 1 + 1 + 1000);
}

/* With k circuits in line each gets its turn before any gets a second, however small the portions are. */
static void each_has_a_turn_before_any_has_a_second(void **state)
{
    static const uint32_t portions[] = {1, 2, 3, 5, 8, 100};
    (void)state;
    for (size_t p = 0; p < COUNT(portions); p++) {
        circflow_channel_id channel = channel_with(0);
        char got[64] = "";
        for (char tag = 'a'; tag < 'f'; tag++) {
            circflow_circuit_id circuit = middle_on(channel, (uint64_t)tag);
            for (char n = 'a'; n <= tag; n++)
                waits(circuit);
        }
        for (uint32_t given = 0; given < 15; given += portions[p]) {
            room(channel, portions[p]);
            strcat(got, order(host_drain(RELAY)));
        }
        assert_string_equal(got, "abcde" "bcde" "cde" "de" "e");
        OK(circflow_channel_close(RELAY, channel));
    }
}

/* Who comes while others wait stands behind them, also when there is room that the host has not drained yet. */
static void nobody_passes_those_in_line(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b'), c = middle_on(channel, 'c');
    waits(a);
    waits(a);
    waits(b);
    room(channel, 100);
    waits(c);
    assert_int_equal(host_deadline(RELAY), 0);
    gives("abca");
    assert_int_not_equal(host_deadline(RELAY), 0);
    goes(c);
    is_now(channel, 3, 0, 0, 95, 5);
}

/* A drain that stops in the middle of a round goes on where it was. */
static void a_round_outlives_a_drain(void **state)
{
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_insn insn;
    char got[16] = "";
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b'), c = middle_on(channel, 'c');
    for (int i = 0; i < 2; i++) {
        waits(a);
        waits(b);
        waits(c);
    }
    room(channel, 5);
    for (int i = 0; i < 5; i++) {
        OK(circflow_engine_poll(RELAY, body, sizeof(body), &insn));
        assert_int_equal(insn.kind, CIRCFLOW_INSN_WRITE);
        got[i] = (char)insn.circuit_tag;
        if (i < 4)
            assert_int_equal(host_deadline(RELAY), 0);
    }
    /* A buffer that is too small takes nothing, and costs nobody its turn. */
    assert_string_equal(got, "abcab");
    gives("");
    room(channel, 1);
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(RELAY, body, 0, &insn));
    is_now(channel, 3, 1, 1, 1, 5);
    gives("c");
}

static void pause_and_its_end_come_at_the_marks_of_each_circuit(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b');
    circflow_verdict verdict;
    circflow_message cell = host_message(3, 0, 0, "x", 1);
    for (int i = 0; i < HIGH - 1; i++)
        waits(a);
    waits(b);
    assert_int_equal(host_count(host_drain(RELAY), CIRCFLOW_INSN_PAUSE_FEED), 0);
    waits(a);
    const circflow_insn *pause = host_first(host_drain(RELAY), CIRCFLOW_INSN_PAUSE_FEED);
    assert_int_equal(pause->circuit.v, a.v);
    for (uint32_t given = 0; given < HIGH - LOW; given++) {
        assert_int_equal(host_circuit_stats(RELAY, a).next.paused, 1);
        room(channel, given == 0 ? 2 : 1);
        host_drain(RELAY);
    }
    assert_int_equal(host_circuit_stats(RELAY, a).next.paused, 0);
    is_now(channel, 2, 1, LOW, 0, HIGH - LOW + 1);
    /* One that heeds no pause. */
    while (host_circuit_stats(RELAY, a).next.waiting < HIGH + OVER)
        waits(a);
    IS(CIRCFLOW_ERR_EDGE_OVERRUN, circflow_circuit_relay(RELAY, world.now, a, BACK, &cell, &verdict));
    waits(b);
    host_drain(RELAY);
    room(channel, 100);
    gives("b");
    OK(circflow_circuit_gone(RELAY, world.now, a));
    is_now(channel, 1, 0, 0, 99, HIGH - LOW + 2);
}

/* Whatever happens to one in line, the others have their turns. */
static void one_in_line_goes_or_moves(void **state)
{
    (void)state;
    for (int way = 0; way < 8; way++) {
        circflow_channel_id channel = channel_with(0), second = channel_with(0);
        circflow_circuit_id at[3];
        for (int i = 0; i < 3; i++) {
            at[i] = middle_on(channel, (uint64_t)('a' + i));
            waits(at[i]);
            waits(at[i]);
        }
        int which = way % 3, is_there = way / 3 == 2;
        const char *rest[] = {"bcbc", "acac", "abab"};
        if (way / 3 == 0)
            OK(circflow_circuit_gone(RELAY, world.now, at[which]));
        else if (way / 3 == 1)
            OK(circflow_circuit_set_flags(RELAY, at[which], CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR));
        else
            sits(at[which], NEXT, second);
        is_now(channel, 2, 2, 4, 0, 0);
        is_now(second, (uint32_t)is_there, (uint32_t)is_there, is_there ? 2 : 0, 0, 0);
        room(channel, 100);
        gives(rest[which]);
        room(second, 100);
        gives(!is_there ? "" : which == 0 ? "aa" : "bb");
        is_now(channel, 2, 0, 0, 96, 4);
    }
}

/* Asked to close, and not gone yet: it is skipped. */
static void a_circuit_that_closes_is_skipped(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b');
    waits(a);
    waits(b);
    OK(circflow_circuit_close(RELAY, world.now, a));
    room(channel, 10);
    gives("b");
    is_now(channel, 2, 0, 1, 9, 1);
    IS(CIRCFLOW_ERR_CLOSING, circflow_circuit_set_channel(RELAY, world.now, a, NEXT, no_channel));
    OK(circflow_circuit_gone(RELAY, world.now, a));
    is_now(channel, 1, 0, 0, 9, 1);
}

/* Off the channel: what waits goes at once, and nothing is counted any more. */
static void a_side_gets_a_channel_of_its_own_again(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b');
    waits(a);
    waits(a);
    waits(b);
    sits(a, NEXT, no_channel);
    gives("aa");
    goes(a);
    is_now(channel, 1, 1, 1, 0, 0);
    /* And on one, with a mark from before that stands for nothing now. */
    OK(circflow_circuit_set_writable(RELAY, world.now, a, NEXT, 0));
    waits(a);
    OK(circflow_circuit_set_writable(RELAY, world.now, a, NEXT, 1));
    sits(a, NEXT, channel);
    sits(a, NEXT, channel);
    is_now(channel, 2, 2, 2, 0, 0);
    gives("");
    room(channel, 10);
    gives("ba");
    goes(a);
}

/* What is said of the circuit holds besides. */
static void a_circuit_can_be_full_by_itself(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(10);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b');
    OK(circflow_circuit_set_writable(RELAY, world.now, a, NEXT, 0));
    waits(a);
    goes(b);
    gives("");
    is_now(channel, 2, 0, 1, 9, 1);
    OK(circflow_circuit_set_writable(RELAY, world.now, a, NEXT, 1));
    is_now(channel, 2, 1, 1, 9, 1);
    gives("a");
    /* Full again while it stands in line. */
    room(channel, 0);
    waits(a);
    waits(b);
    OK(circflow_circuit_set_writable(RELAY, world.now, a, NEXT, 0));
    room(channel, 10);
    gives("b");
    OK(circflow_circuit_set_writable(RELAY, world.now, a, NEXT, 1));
    gives("a");
    is_now(channel, 2, 0, 0, 8, 4);
}

static void both_sides_of_a_circuit_are_two_in_line(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b');
    sits(a, BACK, channel);
    for (int i = 0; i < 2; i++) {
        waits(a);
        assert_int_equal(relay(a, NEXT), CIRCFLOW_VERDICT_HELD);
        waits(b);
    }
    is_now(channel, 3, 3, 6, 0, 0);
    room(channel, 5);
    gives("aAbaA");
    OK(circflow_circuit_gone(RELAY, world.now, a));
    is_now(channel, 1, 1, 1, 0, 5);
    room(channel, 2);
    gives("b");
}

/* The channel goes first: its circuits stay, what they hold waits, and they may move. */
static void a_channel_goes_before_its_circuits(void **state)
{
    circflow_channel_stats stats;
    (void)state;
    circflow_channel_id channel = channel_with(0), again;
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b'), c = middle_on(channel, 'c');
    waits(a);
    waits(b);
    waits(b);
    room(channel, 10);
    OK(circflow_channel_close(RELAY, channel));
    gives("");
    stats.size = sizeof(stats);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_channel_close(RELAY, channel));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_channel_set_room(RELAY, world.now, channel, 1));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_channel_get_stats(RELAY, channel, &stats));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_set_channel(RELAY, world.now, c, NEXT, channel));
    waits(a);
    waits(c);
    gives("");
    /* Another in its place knows nothing of them. */
    again = channel_with(100);
    is_now(again, 0, 0, 0, 100, 0);
    sits(b, NEXT, again);
    gives("bb");
    OK(circflow_circuit_gone(RELAY, world.now, c));
    sits(a, NEXT, no_channel);
    gives("aa");
    goes(a);
    is_now(again, 1, 0, 0, 98, 2);
    assert_int_equal(host_stats(RELAY).held, 0);
}

/* --- Streams --- */

static int choose(circflow_circuit_id circuit, circflow_stream_id *stream)
{
    return circflow_stream_choose(RELAY, world.now, no_set, circuit, stream, NULL);
}

/* An exit's circuit on the channel, with a stream that has something to send and a window that is known. */
static circflow_stream_id exit_on(circflow_channel_id channel, uint64_t tag, circflow_circuit_id *circuit)
{
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2);
    circflow_verdict verdict;
    *circuit = opened(HOST_RUN, tag);
    OK(circflow_circuit_receive(RELAY, world.now, *circuit, &begin, &verdict));
    OK(host_stream_send(&world, RELAY, verdict.stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    OK(circflow_stream_set_readable(RELAY, verdict.stream, 1));
    sits(*circuit, BACK, channel);
    return verdict.stream;
}

static int sends(circflow_stream_id stream)
{
    circflow_verdict verdict;
    return host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict);
}

static void streams_use_up_room_and_hear_of_more(void **state)
{
    circflow_circuit_id circuit;
    circflow_stream_id found;
    (void)state;
    circflow_channel_id channel = channel_with(2);
    circflow_stream_id stream = exit_on(channel, 's', &circuit);
    OK(choose(circuit, &found));
    OK(sends(stream));
    OK(sends(stream));
    is_now(channel, 1, 0, 0, 0, 2);
    IS(CIRCFLOW_ERR_NO_ROOM, choose(circuit, &found));
    IS(CIRCFLOW_ERR_NO_ROOM, sends(stream));
    is_now(channel, 1, 1, 0, 0, 2);
    gives("");
    room(channel, 3);
    gives("!");
    for (int i = 0; i < 3; i++) {
        OK(choose(circuit, &found));
        OK(sends(stream));
    }
    IS(CIRCFLOW_ERR_NO_ROOM, sends(stream));
    /* END is not held up by it. */
    circflow_verdict verdict;
    OK(host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_END, "\6", 1, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    is_now(channel, 1, 1, 0, 0, 6);
}

/* Cells that pass and streams take turns, one cell each; a stream that is told has its cell's room kept. */
static void streams_and_cells_take_turns(void **state)
{
    circflow_circuit_id s, t;
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = middle_on(channel, 'a'), b = middle_on(channel, 'b');
    circflow_stream_id one = exit_on(channel, 's', &s), two = exit_on(channel, 't', &t);
    for (int i = 0; i < 3; i++)
        waits(a);
    IS(CIRCFLOW_ERR_NO_ROOM, sends(one));
    for (int i = 0; i < 3; i++)
        waits(b);
    IS(CIRCFLOW_ERR_NO_ROOM, sends(two));
    room(channel, 4);
    gives("ab!!");
    is_now(channel, 4, 2, 4, 2, 2);
    OK(sends(two));
    IS(CIRCFLOW_ERR_NO_ROOM, sends(two)); /* One cell is one cell. */
    OK(sends(one));
    IS(CIRCFLOW_ERR_NO_ROOM, sends(one));
    is_now(channel, 4, 4, 4, 0, 4);
    room(channel, 8);
    gives("abab!!");
    OK(sends(one));
    OK(sends(two));
    /* Nobody is in line any more, so the rest is for whoever comes. */
    OK(sends(two));
    OK(sends(two));
    is_now(channel, 4, 0, 0, 0, 12);
}

/* A relay in the middle with a stream of its own: its last cell has gone, and it stays in line for the stream. */
static void a_stream_behind_cells_that_wait_has_its_turn(void **state)
{
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2);
    circflow_verdict verdict;
    (void)state;
    circflow_channel_id channel = channel_with(1);
    circflow_circuit_id a = opened(MIDDLE, 'a'), b = opened(MIDDLE, 'b');
    sits(a, BACK, channel);
    sits(b, BACK, channel);
    OK(circflow_circuit_receive(RELAY, world.now, a, &begin, &verdict));
    circflow_stream_id stream = verdict.stream;
    OK(sends(stream));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(relay(a, NEXT), CIRCFLOW_VERDICT_HELD);
        assert_int_equal(relay(b, NEXT), CIRCFLOW_VERDICT_HELD);
    }
    IS(CIRCFLOW_ERR_NO_ROOM, sends(stream));
    room(channel, 4);
    gives("ABAB");
    is_now(channel, 2, 1, 0, 0, 5);
    room(channel, 2);
    gives("!");
    OK(sends(stream));
    OK(sends(stream));
    is_now(channel, 2, 0, 0, 0, 7);
}

/* Whoever is told and sends nothing keeps the others waiting for so long, and no longer. */
static void room_that_is_not_used_is_given_on(void **state)
{
    circflow_circuit_id circuit[3];
    circflow_stream_id stream[3];
    (void)state;
    circflow_channel_id channel = channel_with(0);
    for (int i = 0; i < 3; i++) {
        stream[i] = exit_on(channel, (uint64_t)('s' + i), &circuit[i]);
        IS(CIRCFLOW_ERR_NO_ROOM, sends(stream[i]));
    }
    room(channel, 1);
    gives("!");
    assert_int_equal(host_deadline(RELAY), world.now + PROMISE);
    world.now += PROMISE - 1;
    OK(circflow_engine_tick(RELAY, world.now));
    gives("");
    world.now += 1;
    OK(circflow_engine_tick(RELAY, world.now));
    const host_events *events = host_drain(RELAY);
    assert_int_equal(host_first(events, CIRCFLOW_INSN_MAY_SEND)->circuit_tag, 't');
    /* The first has lost its room, and stands behind the third now. */
    IS(CIRCFLOW_ERR_NO_ROOM, sends(stream[0]));
    OK(sends(stream[1]));
    room(channel, 1);
    assert_int_equal(host_first(host_drain(RELAY), CIRCFLOW_INSN_MAY_SEND)->circuit_tag, 'u');
    OK(circflow_circuit_gone(RELAY, world.now, circuit[2])); /* And its room is free. */
    assert_int_equal(host_first(host_drain(RELAY), CIRCFLOW_INSN_MAY_SEND)->circuit_tag, 's');
    OK(sends(stream[0]));
    /* As long as nobody needs it, it stays kept. */
    IS(CIRCFLOW_ERR_NO_ROOM, sends(stream[0]));
    room(channel, 1);
    gives("!");
    world.now += SECOND;
    OK(circflow_engine_tick(RELAY, world.now));
    OK(sends(stream[0]));
    is_now(channel, 2, 0, 0, 0, 3);
}

/* A channel that is full again keeps no promise, and forgets nobody. */
static void a_promise_waits_for_room(void **state)
{
    circflow_circuit_id circuit;
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_stream_id stream = exit_on(channel, 's', &circuit);
    IS(CIRCFLOW_ERR_NO_ROOM, sends(stream));
    room(channel, 1);
    gives("!");
    room(channel, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, sends(stream));
    is_now(channel, 1, 1, 0, 0, 0);
    room(channel, 1);
    gives("!");
    OK(sends(stream));
}

/* Ten thousand circuits with streams: as many are told as there is room for. One call does a bounded part, and the rest
 * is due at once. */
static void ten_thousand_streams_on_one_channel(void **state)
{
    static circflow_stream_id stream[MANY];
    static uint8_t told[MANY];
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_circuit_id circuit;
    circflow_insn insn;
    (void)state;
    memset(told, 0, sizeof(told));
    circflow_channel_id channel = channel_with(0);
    for (uint32_t i = 0; i < MANY; i++) {
        stream[i] = exit_on(channel, i + 1, &circuit);
        IS(CIRCFLOW_ERR_NO_ROOM, sends(stream[i]));
    }
    is_now(channel, MANY, MANY, 0, 0, 0);
    uint32_t next = 0, looks = 0;
    while (next < MANY) {
        room(channel, 300);
        uint32_t count = 0;
        while (count < 300 && next < MANY) {
            OK(circflow_engine_poll(RELAY, body, sizeof(body), &insn));
            if (insn.kind == CIRCFLOW_INSN_NONE) {
                /* Some are left, and the loop does not sleep. */
                assert_true(host_deadline(RELAY) <= world.now);
                OK(circflow_engine_tick(RELAY, world.now));
                assert_true(++looks < MANY);
                continue;
            }
            assert_int_equal(insn.kind, CIRCFLOW_INSN_MAY_SEND);
            assert_int_equal(insn.circuit_tag, next + 1);
            assert_true(host_stats(RELAY).insns < 200);
            told[next] += 1;
            OK(sends(stream[next]));
            IS(CIRCFLOW_ERR_NO_ROOM, sends(stream[next])); /* One cell is one cell. */
            next++;
            count++;
        }
        if (next == MANY)
            break;
        assert_int_equal(figures(channel).room_cells, 0);
    }
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(told[i], 1);
}

/* A call looks at a bounded number of circuits that were in line and cannot be served any more. */
static void those_who_wait_no_more_are_passed_over_in_bounded_steps(void **state)
{
    static circflow_circuit_id at[1000];
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_insn insn;
    (void)state;
    circflow_channel_id channel = channel_with(0);
    for (size_t i = 0; i < COUNT(at); i++) {
        at[i] = middle_on(channel, 'x');
        waits(at[i]);
    }
    for (size_t i = 0; i + 1 < COUNT(at); i++)
        OK(circflow_circuit_close(RELAY, world.now, at[i]));
    assert_int_equal(host_count(host_drain(RELAY), CIRCFLOW_INSN_CLOSE), COUNT(at) - 1);
    room(channel, 1);
    for (uint32_t calls = 0;; calls++) {
        assert_true(calls < 20);
        uint32_t before = figures(channel).in_line;
        OK(circflow_engine_poll(RELAY, body, sizeof(body), &insn));
        if (insn.kind == CIRCFLOW_INSN_WRITE)
            break;
        uint32_t passed_over = before - figures(channel).in_line;
        assert_true(passed_over > 0 && passed_over <= 128);
        assert_true(host_deadline(RELAY) <= world.now);
        OK(circflow_engine_tick(RELAY, world.now));
    }
    is_now(channel, COUNT(at), 0, COUNT(at) - 1, 0, 1);
}

/* With room for so few instructions, a loop that ticks and drains while the clock stands still serves everybody. */
static void a_short_queue_serves_a_long_line(void **state)
{
    static circflow_stream_id stream[50];
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_circuit_id circuit;
    circflow_insn insn;
    (void)state;
    for (uint32_t most = 1; most <= 8; most++) {
        host_stop(&world);
        memset(&world, 0, sizeof(world));
        host_prepare(&world);
        world.engine_config.insns_max = most;
        host_start(&world);
        circflow_channel_id channel = channel_with(0);
        for (uint64_t i = 0; i < COUNT(stream); i++) {
            circflow_circuit_id middle = middle_on(channel, 1000);
            waits(middle);
            waits(middle);
            stream[i] = exit_on(channel, i, &circuit);
            host_drain(RELAY);
            IS(CIRCFLOW_ERR_NO_ROOM, sends(stream[i]));
        }
        is_now(channel, 100, 100, 100, 0, 0);
        uint32_t written = 0, told = 0;
        for (uint32_t rounds = 0; figures(channel).in_line > 0; rounds++) {
            assert_true(rounds < 200);
            room(channel, most);
            OK(circflow_engine_tick(RELAY, world.now));
            for (;;) {
                OK(circflow_engine_poll(RELAY, body, sizeof(body), &insn));
                if (insn.kind == CIRCFLOW_INSN_NONE)
                    break;
                written += insn.kind == CIRCFLOW_INSN_WRITE;
                if (insn.kind == CIRCFLOW_INSN_MAY_SEND) {
                    told++;
                    OK(sends(stream[insn.circuit_tag]));
                }
            }
            if (figures(channel).in_line > 0 && figures(channel).room_cells > 0)
                assert_true(host_deadline(RELAY) <= world.now);
        }
        assert_int_equal(written, 100);
        assert_int_equal(told, COUNT(stream));
        is_now(channel, 100, 0, 0, figures(channel).room_cells, 150);
    }
}

/* --- Padding --- */

static const host_events *at(uint64_t later)
{
    world.now = HOST_START + later * MS;
    OK(circflow_engine_tick(RELAY, world.now));
    return host_drain(RELAY);
}

/* What padding holds back stands in no line; when the block ends it does. */
static void a_block_keeps_its_circuit_out_of_the_line(void **state)
{
    circflow_message drop = host_message(CIRCFLOW_CMD_DROP, 0, 0, NULL, 0);
    circflow_verdict verdict;
    (void)state;
    circflow_channel_id channel = channel_with(5);
    circflow_circuit_id a = opened(MIDDLE, 'a'), b = opened(MIDDLE, 'b');
    sits(a, BACK, channel);
    sits(b, BACK, channel);
    host_pad(&world, RELAY, a, "gate-0-00", 0, 0);
    OK(circflow_circuit_receive(RELAY, world.now, a, &drop, &verdict));
    at(0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(relay(a, NEXT), CIRCFLOW_VERDICT_HELD);
    assert_int_equal(relay(b, NEXT), CIRCFLOW_VERDICT_FORWARD);
    is_now(channel, 2, 0, 2, 4, 1);
    /* In line when the block ends, if there is no room. */
    room(channel, 0);
    assert_int_equal(relay(b, NEXT), CIRCFLOW_VERDICT_HELD);
    assert_string_equal(order(at(100)), "");
    is_now(channel, 2, 2, 3, 0, 1);
    room(channel, 9);
    gives("BAA");
    is_now(channel, 2, 0, 0, 6, 4);
}

/* And one that begins while it stands in line takes it out of it. */
static void a_block_takes_its_circuit_out_of_the_line(void **state)
{
    circflow_message drop = host_message(CIRCFLOW_CMD_DROP, 0, 0, NULL, 0);
    circflow_verdict verdict;
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id a = opened(MIDDLE, 'a'), b = opened(MIDDLE, 'b');
    sits(a, BACK, channel);
    sits(b, BACK, channel);
    host_pad(&world, RELAY, a, "gate-0-00", 0, 0);
    assert_int_equal(relay(a, NEXT), CIRCFLOW_VERDICT_HELD);
    assert_int_equal(relay(b, NEXT), CIRCFLOW_VERDICT_HELD);
    OK(circflow_circuit_receive(RELAY, world.now, a, &drop, &verdict));
    at(0);
    room(channel, 9);
    gives("B");
    is_now(channel, 2, 0, 1, 8, 1);
    const host_events *events = at(100);
    assert_string_equal(order(events), "A");
    is_now(channel, 2, 0, 0, 7, 2);
}

/* A message that a block held, on a channel with so much room: the block has ended, and the message is queued. */
static circflow_circuit_id lets_one_out(circflow_channel_id channel, uint32_t cells)
{
    circflow_message drop = host_message(CIRCFLOW_CMD_DROP, 0, 0, NULL, 0);
    circflow_verdict verdict;
    circflow_circuit_id s;
    circflow_stream_id stream = exit_on(channel, 's', &s);
    room(channel, 9);
    host_pad(&world, RELAY, s, "gate-0-00", 0, 0);
    OK(circflow_circuit_receive(RELAY, world.now, s, &drop, &verdict));
    OK(circflow_engine_tick(RELAY, world.now));
    host_drain(RELAY);
    OK(host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    room(channel, cells);
    world.now += 100 * MS;
    OK(circflow_engine_tick(RELAY, world.now));
    return s;
}

/* Its circuit goes before the host takes it: what it would have used up is for those in line. */
static void room_of_a_message_that_is_lost_is_free_again(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id b = middle_on(channel, 'b'), s = lets_one_out(channel, 1);
    waits(b);
    OK(circflow_circuit_gone(RELAY, world.now, s));
    gives("b");
    is_now(channel, 1, 0, 0, 0, 1);
}

/* The host says what the channel takes before it takes what is queued: that comes out of the new number. */
static void what_is_queued_comes_out_of_a_new_number(void **state)
{
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id b = middle_on(channel, 'b'), s = lets_one_out(channel, 1);
    waits(b);
    room(channel, 1);
    assert_int_equal(host_count(host_drain(RELAY), CIRCFLOW_INSN_SEND), 1);
    is_now(channel, 2, 1, 1, 0, 1);
    /* On another channel it uses up the room of that. */
    circflow_channel_id second = channel_with(5);
    OK(circflow_circuit_gone(RELAY, world.now, s));
    s = lets_one_out(channel, 1);
    waits(b);
    sits(s, BACK, second);
    gives("b");
    is_now(second, 1, 0, 0, 4, 1);
    is_now(channel, 1, 0, 0, 0, 3);
}

/* A SENDME that was queued is dropped, as its circuit is asked to close: it takes no room. */
static void what_is_not_sent_on_a_closing_circuit_takes_no_room(void **state)
{
    circflow_circuit_id s;
    circflow_verdict verdict;
    (void)state;
    circflow_channel_id channel = channel_with(0);
    circflow_circuit_id b = middle_on(channel, 'b');
    exit_on(channel, 's', &s);
    host_drain(RELAY);
    for (uint64_t i = 0; host_stats(RELAY).insns == 0; i++) {
        assert_true(i < 100);
        circflow_message data = host_with_digest(host_message(CIRCFLOW_CMD_DATA, 0, 7, "x", 1), i);
        OK(circflow_circuit_receive(RELAY, world.now, s, &data, &verdict));
    }
    waits(b);
    room(channel, 1);
    OK(circflow_circuit_close(RELAY, world.now, s));
    gives("b");
    is_now(channel, 2, 0, 0, 0, 1);
}

/* --- Sets --- */

/* Two legs on two channels at the exit; all of their windows open. */
static circflow_stream_id two_legs(circflow_channel_id channel[2], uint32_t left, uint32_t right)
{
    circflow_stream_id stream;
    circflow_verdict verdict;
    host_stop(&world);
    memset(&world, 0, sizeof(world));
    host_prepare(&world);
    world.client_circuit.flags = HOST_RUN;
    world.exit_circuit.flags = HOST_RUN;
    host_linked(&world, 2);
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2);
    OK(circflow_circuit_receive(RELAY, world.now, world.exit_leg[0], &begin, &verdict));
    stream = verdict.stream;
    OK(circflow_stream_set_readable(RELAY, stream, 1));
    for (int leg = 0; leg < 2; leg++) {
        channel[leg] = channel_with(leg == 0 ? left : right);
        sits(world.exit_leg[leg], BACK, channel[leg]);
    }
    return stream;
}

static void a_set_goes_to_the_leg_whose_channel_has_room(void **state)
{
    circflow_channel_id channel[2];
    circflow_stream_id found;
    circflow_verdict verdict;
    (void)state;
    circflow_stream_id stream = two_legs(channel, 5, 5);
    uint32_t sent[2] = {0, 0}, switches = 0;
    while (host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict) == CIRCFLOW_OK) {
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
        int leg = verdict.circuit.v == world.exit_leg[1].v;
        sent[leg]++;
        switches += verdict.switch_delta != 0;
        sent[leg] += verdict.switch_delta != 0;
        /* A question takes no room. */
        if (circflow_stream_choose(RELAY, world.now, world.exit_set, no_circuit, &found, NULL) != CIRCFLOW_OK)
            break;
    }
    assert_int_equal(sent[0], 5);
    assert_int_equal(sent[1], 5);
    assert_int_equal(switches, 1);
    is_now(channel[0], 1, 1, 0, 0, 5);
    is_now(channel[1], 1, 1, 0, 0, 5);
    gives("");
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_choose(RELAY, world.now, world.exit_set, no_circuit, &found, NULL));
    room(channel[1], 3);
    gives("!");
    OK(circflow_stream_choose(RELAY, world.now, world.exit_set, no_circuit, &found, NULL));
    OK(host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[1].v);
}

/* Others fill the channel of the leg that sends: the set sees it with its next message. */
static void others_fill_the_channel_of_a_leg(void **state)
{
    circflow_channel_id channel[2];
    circflow_verdict verdict;
    (void)state;
    circflow_stream_id stream = two_legs(channel, 4, CIRCFLOW_ROOM_UNLIMITED);
    circflow_circuit_id a = middle_on(channel[0], 'a');
    OK(host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    int first = verdict.circuit.v == world.exit_leg[1].v;
    if (first == 1) { /* The first leg is to be the one that others fill. */
        room(channel[1], 0);
        OK(host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
        assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
        room(channel[1], CIRCFLOW_ROOM_UNLIMITED);
    }
    while (figures(channel[0]).room_cells > 0)
        goes(a);
    waits(a);
    OK(host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[1].v);
    /* A leg that goes while it stands in line. */
    room(channel[1], 0);
    IS(CIRCFLOW_ERR_NO_ROOM, host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    assert_int_equal(figures(channel[0]).in_line, 2);
    OK(circflow_circuit_gone(RELAY, world.now, world.exit_leg[0]));
    host_drain(RELAY);
    assert_int_equal(figures(channel[0]).in_line, 1);
    room(channel[0], 2);
    gives("a");
}

/* A set that takes the fastest leg alone waits for that leg's window. Room at the channel of its other leg is of no use
 * to it: no cell of room is kept for that leg, and whoever is next in line has it. */
static void room_is_not_kept_for_a_leg_that_is_not_chosen(void **state)
{
    circflow_channel_id channel[2];
    circflow_verdict verdict;
    uint64_t chosen = 0;
    (void)state;
    circflow_stream_id stream = two_legs(channel, CIRCFLOW_ROOM_UNLIMITED, CIRCFLOW_ROOM_UNLIMITED);
    OK(circflow_set_use_algorithm(RELAY, world.exit_set, CIRCFLOW_ALGORITHM_MIN_RTT));
    while (host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict) == CIRCFLOW_OK)
        chosen = verdict.circuit.v;
    int other = chosen == world.exit_leg[0].v;
    room(channel[other], 0);
    IS(CIRCFLOW_ERR_NO_ROOM, host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    assert_int_equal(figures(channel[other]).in_line, 1);
    circflow_circuit_id a = middle_on(channel[other], 'a');
    waits(a);
    room(channel[other], 1);
    gives("a");
    assert_int_equal(figures(channel[other]).in_line, 0);
}

/* What a set answers that is asked before it sends is so for the channels of its legs, and takes none of their room. */
static void a_set_that_is_asked_knows_the_channels_of_its_legs(void **state)
{
    circflow_channel_id channel[2];
    circflow_verdict verdict;
    uint64_t messages;
    (void)state;
    circflow_stream_id stream = two_legs(channel, 4, 0);
    while (figures(channel[0]).room_cells > 0) {
        uint32_t left = figures(channel[0]).room_cells;
        OK(circflow_set_get_decision(RELAY, world.exit_set, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
        assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
        OK(circflow_set_get_room(RELAY, world.exit_set, &messages));
        assert_true(messages <= left);
        assert_int_equal(figures(channel[0]).room_cells, left);
        OK(host_stream_send(&world, RELAY, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    }
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_get_decision(RELAY, world.exit_set, &verdict));
    OK(circflow_set_get_room(RELAY, world.exit_set, &messages));
    assert_int_equal(messages, 0);
    assert_int_equal(figures(channel[0]).in_line + figures(channel[1]).in_line, 0); /* Who only asks does not wait. */
    host_drain(RELAY);
    room(channel[1], 1);
    host_drain(RELAY);
    OK(circflow_set_get_decision(RELAY, world.exit_set, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[1].v);
    OK(circflow_set_get_room(RELAY, world.exit_set, &messages));
    assert_int_equal(messages, 0); /* Not without a SWITCH. */
}

/* --- What is refused --- */

static void what_is_no_channel_is_refused(void **state)
{
    circflow_channel_stats stats;
    (void)state;
    circflow_channel_id channel = channel_with(1), other;
    circflow_circuit_id a = opened(MIDDLE, 'a'), plain = opened(CIRCFLOW_CIRCUIT_VEGAS, 'p');
    circflow_machines_id machines = host_machines(RELAY, "pad-00");
    circflow_channel_id alike;
    stats.size = sizeof(stats);
    OK(circflow_channel_open(world.client, 1, &other));
    alike.v = machines.v;
    const struct { circflow_channel_id id; int status; } rows[] = {
        {no_channel, CIRCFLOW_ERR_ZERO_ID}, {other, CIRCFLOW_ERR_FOREIGN_ID}, {alike, CIRCFLOW_ERR_FOREIGN_ID},
        {{a.v}, CIRCFLOW_ERR_FOREIGN_ID}, {{channel.v + (UINT64_C(1) << 24)}, CIRCFLOW_ERR_STALE_ID},
        {{channel.v + 1}, CIRCFLOW_ERR_STALE_ID},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        IS(rows[i].status, circflow_channel_set_room(RELAY, world.now, rows[i].id, 1));
        IS(rows[i].status, circflow_channel_get_stats(RELAY, rows[i].id, &stats));
        IS(rows[i].status, circflow_channel_close(RELAY, rows[i].id));
        if (rows[i].id.v != 0)
            IS(rows[i].status, circflow_circuit_set_channel(RELAY, world.now, a, NEXT, rows[i].id));
    }
    IS(CIRCFLOW_ERR_STALE_ID, circflow_machines_drop(RELAY, (circflow_machines_id){channel.v}));
    IS(CIRCFLOW_ERR_NULL, circflow_channel_open(RELAY, 1, NULL));
    IS(CIRCFLOW_ERR_NOT_RUN, circflow_circuit_set_channel(RELAY, world.now, plain, NEXT, channel));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_channel(RELAY, world.now, a, 2, channel));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_circuit_set_channel(RELAY, world.now, no_circuit, NEXT, channel));
    /* A client's has one, at its back. */
    world.client_circuit.flags = HOST_RUN;
    circflow_circuit_id client = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_channel(world.client, world.now, client, NEXT, other));
    OK(circflow_circuit_set_channel(world.client, world.now, client, BACK, other));
    is_now(channel, 0, 0, 0, 1, 0);
}

/* A struct that grows: an older caller's is filled as far as it goes. */
static void figures_fit_an_older_caller(void **state)
{
    circflow_channel_stats stats;
    (void)state;
    circflow_channel_id channel = channel_with(7);
    memset(&stats, 0xaa, sizeof(stats));
    stats.size = offsetof(circflow_channel_stats, waiting);
    OK(circflow_channel_get_stats(RELAY, channel, &stats));
    assert_int_equal(stats.room_cells, 7);
    assert_int_equal(stats.waiting, 0xaaaaaaaa);
    stats.size = 1;
    IS(CIRCFLOW_ERR_VERSION, circflow_channel_get_stats(RELAY, channel, &stats));
}

static void so_many_channels_and_no_more(void **state)
{
    static circflow_channel_id at[CHANNELS_MAX];
    circflow_channel_id one;
    (void)state;
    for (size_t i = 0; i < CHANNELS_MAX; i++)
        at[i] = channel_with(1);
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_channel_open(RELAY, 1, &one));
    OK(circflow_channel_close(RELAY, at[77]));
    one = channel_with(1);
    assert_int_not_equal(one.v, at[77].v);
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_channel_open(RELAY, 1, &one));
    goes(middle_on(at[CHANNELS_MAX - 1], 'a'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(room_is_used_up_by_what_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(each_has_a_turn_before_any_has_a_second, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_passes_those_in_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_round_outlives_a_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(pause_and_its_end_come_at_the_marks_of_each_circuit, setup, teardown),
        cmocka_unit_test_setup_teardown(one_in_line_goes_or_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(a_circuit_that_closes_is_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_side_gets_a_channel_of_its_own_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_circuit_can_be_full_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(both_sides_of_a_circuit_are_two_in_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_channel_goes_before_its_circuits, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_use_up_room_and_hear_of_more, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_and_cells_take_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_behind_cells_that_wait_has_its_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(room_that_is_not_used_is_given_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_promise_waits_for_room, setup, teardown),
        cmocka_unit_test_setup_teardown(ten_thousand_streams_on_one_channel, setup, teardown),
        cmocka_unit_test_setup_teardown(those_who_wait_no_more_are_passed_over_in_bounded_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_keeps_its_circuit_out_of_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_block_takes_its_circuit_out_of_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(room_of_a_message_that_is_lost_is_free_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_queued_comes_out_of_a_new_number, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_sent_on_a_closing_circuit_takes_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_goes_to_the_leg_whose_channel_has_room, setup, teardown),
        cmocka_unit_test_setup_teardown(others_fill_the_channel_of_a_leg, setup, teardown),
        cmocka_unit_test_setup_teardown(room_is_not_kept_for_a_leg_that_is_not_chosen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_that_is_asked_knows_the_channels_of_its_legs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_short_queue_serves_a_long_line, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_channel_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_fit_an_older_caller, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many_channels_and_no_more, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
