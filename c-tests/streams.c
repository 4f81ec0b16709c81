/* Streams of circuits and sets that circflow runs: a client and an exit with a network of function calls between them,
 * and each rule of flow control (prop324 4) at the number where it begins to hold. */

#include "host.h"

#define CLIENT world.client
#define EXIT world.exit
#define LEG(i) world.client_leg[i]
#define FAR(i) world.exit_leg[i]
#define WINDOW 124
#define BODY CIRCFLOW_DATA_MAX
#define PIPE_MAX 8192

static host_world world;
static host_ledger ledger;
static const circflow_set_id no_set = {0};
static const circflow_circuit_id no_circuit = {0};
static uint8_t bytes[CIRCFLOW_BODY_MAX];

/* --- The network --- */

typedef struct cell {
    circflow_message message;
    uint8_t body[CIRCFLOW_BODY_MAX];
} cell;

/* One direction of one leg. A cell's digest is its number there. */
static struct pipe {
    cell at[PIPE_MAX];
    size_t put, got;
} pipes[2][2];

/* What a host was given, in order. */
typedef struct given {
    uint8_t command;
    uint16_t stream_id, len;
    uint64_t stream, tag;
    uint32_t counter;
} given;

static struct seen {
    given at[PIPE_MAX];
    size_t count, resumes, stream_resumes, closes, ends;
    int last_cause;
} seen[2];

static int side_of(const circflow_engine *engine) { return engine == world.exit; }
static circflow_engine *engine_of(int side) { return side ? EXIT : CLIENT; }
static circflow_circuit_id leg_of(int side, size_t leg) { return side ? FAR(leg) : LEG(leg); }
static uint8_t hop_of(int side) { return side ? 0 : HOST_HOPS; }

static void put(int side, circflow_circuit_id circuit, uint8_t command, uint16_t stream_id, const void *body, size_t len,
                uint32_t flags)
{
    size_t leg = 0;
    while (leg < world.leg_count && leg_of(side, leg).v != circuit.v)
        leg++;
    assert_true(leg < 2 && leg < world.leg_count);
    struct pipe *pipe = &pipes[side][leg];
    assert_true(pipe->put < PIPE_MAX);
    cell *next = &pipe->at[pipe->put++];
    memcpy(next->body, body, len);
    next->message = host_message(command, hop_of(!side), stream_id, next->body, len);
    if (flags & CIRCFLOW_WANTS_DIGEST)
        OK(circflow_circuit_add_digest(engine_of(side), circuit, hop_of(side), host_digest(pipe->put), 20));
}

static void give(int side, const circflow_message *message, const uint8_t *body, uint64_t stream, uint64_t tag)
{
    struct seen *host = &seen[side];
    assert_true(host->count < PIPE_MAX);
    given *next = &host->at[host->count++];
    memset(next, 0, sizeof(*next));
    next->command = message->command;
    next->stream_id = message->stream_id;
    next->len = message->body_len;
    next->stream = stream;
    next->tag = tag;
    if (message->body_len >= 4)
        memcpy(&next->counter, body, 4);
}

static void drain(int side)
{
    static host_events events;
    events = *host_drain(engine_of(side));
    for (size_t i = 0; i < events.count; i++) {
        const circflow_insn *insn = &events.at[i].insn;
        const circflow_insn_deliver *deliver = &insn->detail.deliver;
        circflow_message message;
        switch (insn->kind) {
        case CIRCFLOW_INSN_SEND:
            put(side, insn->circuit, insn->detail.send.command, insn->detail.send.stream_id, events.at[i].body,
                insn->detail.send.body_len, insn->flags);
            break;
        case CIRCFLOW_INSN_DELIVER:
            message = host_message(deliver->command, 0, deliver->stream_id, events.at[i].body, deliver->body_len);
            give(side, &message, events.at[i].body, insn->stream.v, insn->stream_tag);
            break;
        case CIRCFLOW_INSN_MAY_SEND:
            seen[side].resumes += insn->stream.v == 0;
            seen[side].stream_resumes += insn->stream.v != 0;
            break;
        case CIRCFLOW_INSN_CLOSE:
            seen[side].closes++;
            seen[side].last_cause = insn->detail.close.cause;
            break;
        case CIRCFLOW_INSN_ENDED:
            seen[side].ends++;
            break;
        default:
            break;
        }
    }
}

/* Brings one cell over; answers the status. */
static int bring(int from, size_t leg)
{
    struct pipe *pipe = &pipes[from][leg];
    cell *next = &pipe->at[pipe->got++];
    circflow_verdict verdict;
    next->message = host_with_digest(next->message, pipe->got);
    int status = circflow_circuit_receive(engine_of(!from), world.now, leg_of(!from, leg), &next->message, &verdict);
    if (status == CIRCFLOW_OK && verdict.kind == CIRCFLOW_VERDICT_DELIVER)
        give(!from, &next->message, next->body, verdict.stream.v, verdict.stream_tag);
    return status;
}

/* Carries everything, one millisecond for each round. The second leg brings its cells first. */
static void pump(void)
{
    for (int moved = 1; moved;) {
        moved = 0;
        world.now += MS;
        for (int side = 0; side < 2; side++) {
            drain(side);
            for (size_t leg = world.leg_count; leg-- > 0;)
                while (pipes[side][leg].got < pipes[side][leg].put) {
                    OK(bring(side, leg));
                    moved = 1;
                }
        }
    }
}

static int send_on(circflow_engine *engine, circflow_stream_id stream, uint8_t command, const void *body, size_t len)
{
    circflow_verdict verdict;
    int status = host_stream_send(&world, engine, stream, command, body, len, &verdict);
    if (status != CIRCFLOW_OK || verdict.kind != CIRCFLOW_VERDICT_SEND)
        return status;
    uint8_t delta[4];
    if (verdict.switch_delta != 0) {
        OK(circflow_switch_encode(verdict.switch_delta, delta));
        put(side_of(engine), verdict.circuit, CIRCFLOW_CMD_SWITCH, 0, delta, 4, 0);
    }
    put(side_of(engine), verdict.circuit, command, (uint16_t)(verdict.stream_tag & 0xfff), body, len, verdict.flags);
    return status;
}

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&ledger, 0, sizeof(ledger));
    memset(seen, 0, sizeof(seen));
    for (size_t i = 0; i < 4; i++)
        pipes[i / 2][i % 2].put = pipes[i / 2][i % 2].got = 0;
    host_prepare_run(&world);
    return 0;
}

HOST_TEARDOWN

static void param(const char *name, uint32_t value)
{
    OK(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_EXIT, name, value));
    OK(circflow_engine_set_param(EXIT, CIRCFLOW_PATH_EXIT, name, value));
}

static void start(void)
{
    if (CLIENT == NULL)
        host_start(&world);
}

static void plain(void)
{
    start();
    host_pair(&world);
}

static circflow_stream_id open_at_client(uint16_t stream_id)
{
    const circflow_stream_config config = host_client_stream(&world, stream_id);
    circflow_stream_id stream = {0};
    OK(circflow_stream_open(CLIENT, world.now, &config, &stream));
    return stream;
}

/* One whose BEGIN has left, and is not carried. */
static circflow_stream_id begun_at_client(uint16_t stream_id)
{
    const circflow_stream_id stream = open_at_client(stream_id);
    circflow_verdict verdict;
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_BEGIN, "host:80", 8, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    return stream;
}

/* Opens a stream from end to end; the exit's id for it goes to `far`. */
static circflow_stream_id connect_stream(uint16_t stream_id, circflow_stream_id *far)
{
    circflow_stream_id stream = open_at_client(stream_id);
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_BEGIN, "host:80", 8));
    pump();
    given *begin = &seen[1].at[seen[1].count - 1];
    assert_int_equal(begin->command, CIRCFLOW_CMD_BEGIN);
    assert_int_equal(begin->stream_id, stream_id);
    assert_true(begin->stream != 0);
    assert_int_equal(begin->tag, 0);
    far->v = begin->stream;
    OK(circflow_stream_retag(EXIT, *far, 0xe000 + stream_id));
    OK(send_on(EXIT, *far, CIRCFLOW_CMD_CONNECTED, "", 0));
    pump();
    given *connected = &seen[0].at[seen[0].count - 1];
    assert_int_equal(connected->command, CIRCFLOW_CMD_CONNECTED);
    assert_int_equal(connected->stream, stream.v);
    assert_int_equal(connected->tag, 0x5000 + stream_id);
    return stream;
}

/* Feeds one message from the other end by hand. */
static int from_exit(uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    return host_feed(&world, CLIENT, LEG(0), host_message(command, HOST_HOPS, stream_id, body, len));
}

static int from_client(uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    return host_feed(&world, EXIT, FAR(0), host_message(command, 0, stream_id, body, len));
}

static int closed_for(circflow_engine *engine, int cause)
{
    const host_events *events = host_drain(engine);
    for (size_t i = 0; i < events->count; i++)
        if (events->at[i].insn.kind == CIRCFLOW_INSN_CLOSE)
            return (int)events->at[i].insn.detail.close.cause == cause;
    return 0;
}

static int xon(uint32_t rate, int at_client)
{
    uint8_t body[CIRCFLOW_XON_LEN];
    OK(circflow_xon_encode(rate, body));
    return at_client ? from_exit(CIRCFLOW_CMD_XON, 7, body, sizeof(body)) : from_client(CIRCFLOW_CMD_XON, 7, body, sizeof(body));
}

static int xoff(int at_client)
{
    return at_client ? from_exit(CIRCFLOW_CMD_XOFF, 7, "", 1) : from_client(CIRCFLOW_CMD_XOFF, 7, "", 1);
}

/* --- A stream's life --- */

static void transfer(circflow_engine *from, circflow_stream_id stream, uint32_t count)
{
    int to = !side_of(from);
    size_t first = seen[to].count;
    for (uint32_t n = 0; n < count;) {
        uint8_t body[BODY];
        memset(body, (int)n, sizeof(body));
        memcpy(body, &n, 4);
        int status = send_on(from, stream, CIRCFLOW_CMD_DATA, body, n % 7 ? sizeof(body) : 4);
        if (status == CIRCFLOW_OK) {
            n++;
            continue;
        }
        assert_int_equal(status, CIRCFLOW_ERR_NO_ROOM);
        size_t resumes = seen[!to].resumes;
        pump();
        assert_int_equal(seen[!to].resumes, resumes + 1); /* Each time, and once. */
    }
    pump();
    assert_int_equal(seen[to].count, first + count);
    for (uint32_t n = 0; n < count; n++) {
        assert_int_equal(seen[to].at[first + n].command, CIRCFLOW_CMD_DATA);
        assert_int_equal(seen[to].at[first + n].counter, n);
        assert_int_equal(seen[to].at[first + n].len, n % 7 ? BODY : 4);
    }
}

static void a_life(void)
{
    circflow_stream_id far, stream = connect_stream(7, &far);
    assert_int_equal(host_stats(CLIENT).streams, 1);
    assert_int_equal(host_stats(EXIT).streams, 1);
    transfer(CLIENT, stream, 700);
    transfer(EXIT, far, 900);
    assert_int_equal(seen[0].at[seen[0].count - 1].tag, 0x5007);
    assert_int_equal(seen[0].at[seen[0].count - 1].stream, stream.v);
    assert_int_equal(seen[1].at[seen[1].count - 1].tag, 0xe007);
    /* END: the last of a stream has its tag, and its id no more. */
    OK(send_on(EXIT, far, CIRCFLOW_CMD_DATA, "last", 4));
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_END, "\6", 1));
    IS(CIRCFLOW_ERR_STALE_ID, send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_stream_flushed(CLIENT, world.now, stream, 1));
    size_t before = seen[0].count;
    pump();
    assert_int_equal(seen[0].count, before); /* "last" came for a stream that had ended. */
    given *end = &seen[1].at[seen[1].count - 1];
    assert_int_equal(end->command, CIRCFLOW_CMD_END);
    assert_int_equal(end->stream, 0);
    assert_int_equal(end->tag, 0xe007);
    IS(CIRCFLOW_ERR_STALE_ID, send_on(EXIT, far, CIRCFLOW_CMD_DATA, "x", 1));
    assert_int_equal(host_stats(CLIENT).streams + host_stats(EXIT).streams, 0);
    assert_int_equal(seen[0].closes + seen[1].closes, 0);
    assert_int_equal(host_stats(CLIENT).held + host_stats(EXIT).held, 0);
    /* The id may be used again, once nothing can be late. */
    world.now += world.engine_config.stream_remembered_ns;
    connect_stream(7, &far);
}

static void a_life_on_a_circuit(void **state)
{
    (void)state;
    plain();
    a_life();
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).streams, 1);
}

static void a_life_on_a_set_of_two_legs(void **state)
{
    (void)state;
    world.client_terms.algorithm = CIRCFLOW_ALGORITHM_LOW_RTT; /* Else the client waits for the faster leg. */
    host_linked(&world, 2);
    a_life();
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).streams, 0); /* They are the set's. */
    for (int side = 0; side < 2; side++)
        assert_true(pipes[side][0].put > WINDOW && pipes[side][1].put > WINDOW);
    assert_true(host_set_stats(EXIT, world.exit_set).held_peak > 0);
}

/* The host names the leg: of the client's messages all go there, and of the exit's 50 on each leg in turn. */
static void legs_that_the_host_names(void **state)
{
    circflow_stream_id far;
    (void)state;
    host_linked(&world, 2);
    circflow_stream_id stream = connect_stream(7, &far);
    for (size_t leg = 0; leg < 2; leg++) {
        OK(circflow_set_use_leg(CLIENT, world.client_set, LEG(leg)));
        const size_t other = pipes[0][!leg].put;
        transfer(CLIENT, stream, 700);
        assert_int_equal(pipes[0][!leg].put, other);
    }
    const size_t before[2] = {pipes[1][0].put, pipes[1][1].put}, first = seen[0].count;
    for (uint32_t n = 0; n < 1000;) {
        OK(circflow_set_use_leg(EXIT, world.exit_set, FAR(n / 50 % 2)));
        int status = send_on(EXIT, far, CIRCFLOW_CMD_DATA, &n, 4);
        if (status == CIRCFLOW_OK) {
            n++;
            continue;
        }
        assert_int_equal(status, CIRCFLOW_ERR_NO_ROOM);
        size_t resumes = seen[1].resumes;
        pump();
        assert_int_equal(seen[1].resumes, resumes + 1);
    }
    assert_int_equal(host_set_stats(EXIT, world.exit_set).named_leg.v, FAR(1).v);
    pump();
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(seen[0].at[first + n].counter, n);
    /* 500 messages each, and a SWITCH for all runs but perhaps the first. */
    for (size_t leg = 0; leg < 2; leg++)
        assert_in_range(pipes[1][leg].put - before[leg], 509, 510);
    OK(circflow_set_use_leg(EXIT, world.exit_set, no_circuit));
    transfer(EXIT, far, 700);
    assert_int_equal(seen[0].closes + seen[1].closes, 0);
}

static void resolve_and_its_answer(void **state)
{
    circflow_stream_id far;
    (void)state;
    plain();
    circflow_stream_id stream = open_at_client(9);
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_RESOLVE, "host", 5));
    pump();
    far.v = seen[1].at[0].stream;
    assert_int_equal(seen[1].at[0].command, CIRCFLOW_CMD_RESOLVE);
    OK(circflow_stream_retag(EXIT, far, 0xe009));
    OK(send_on(EXIT, far, CIRCFLOW_CMD_RESOLVED, "\4\4\1\2\3\4", 6));
    assert_int_equal(host_stats(EXIT).streams, 0);
    pump();
    assert_int_equal(seen[0].at[0].command, CIRCFLOW_CMD_RESOLVED);
    assert_int_equal(seen[0].at[0].stream, 0);
    assert_int_equal(seen[0].at[0].tag, 0x5009);
    assert_int_equal(host_stats(CLIENT).streams, 0);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_stream_set_readable(CLIENT, stream, 1));
}

static void a_service_is_opened_streams_to(void **state)
{
    circflow_verdict verdict;
    (void)state;
    world.client_circuit.flags |= CIRCFLOW_CIRCUIT_SERVICE;
    world.engine_config.streams_max = 1;
    plain();
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, HOST_HOPS, 7, ":80", 4);
    OK(circflow_circuit_receive(CLIENT, world.now, LEG(0), &begin, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
    circflow_stream_id stream = verdict.stream;
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_CONNECTED, "", 0, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    OK(from_exit(CIRCFLOW_CMD_DATA, 7, "x", 1));
    IS(CIRCFLOW_ERR_STREAM_TWICE, from_exit(CIRCFLOW_CMD_BEGIN, 7, ":80", 4));
    assert_true(closed_for(CLIENT, CIRCFLOW_ERR_STREAM_TWICE));
    /* One it refuses is known for a while: what was sent before END came is no violation. */
    host_pair(&world);
    LEG(0) = LEG(1);
    OK(from_exit(CIRCFLOW_CMD_BEGIN, 1, ":80", 4));
    begin.stream_id = 2;
    host_expect(&world, CLIENT, LEG(0), begin, CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, LEG(0), host_message(CIRCFLOW_CMD_DATA, HOST_HOPS, 2, "x", 1), CIRCFLOW_VERDICT_CONSUMED);
    IS(CIRCFLOW_ERR_UNKNOWN_STREAM, from_exit(CIRCFLOW_CMD_DATA, 3, "x", 1));
}

/* --- Which stream is read --- */

static uint64_t next_tag(void)
{
    circflow_stream_id found;
    uint64_t tag = 99;
    OK(circflow_stream_choose(CLIENT, world.now, world.client_set, world.client_set.v ? no_circuit : LEG(0), &found, &tag));
    assert_int_equal(found.v == 0, tag == 0);
    return tag & 0xfff;
}

static void priority_first_and_equals_in_turn(void)
{
    circflow_stream_id ids[5];
    assert_int_equal(next_tag(), 0);
    for (uint16_t n = 0; n < 5; n++) {
        ids[n] = open_at_client(n + 1);
        OK(circflow_stream_retag(CLIENT, ids[n], 0x5001 + n));
        OK(circflow_stream_set_priority(CLIENT, ids[n], n < 3 ? 1 : 9));
    }
    assert_int_equal(next_tag(), 0);
    for (uint16_t n = 5; n-- > 0;)
        OK(circflow_stream_set_readable(CLIENT, ids[n], 1));
    OK(circflow_stream_set_readable(CLIENT, ids[0], 1)); /* Said again: no second place. */
    static const uint64_t first[] = {3, 2, 1, 3, 2, 1, 3};
    for (size_t i = 0; i < COUNT(first); i++)
        assert_int_equal(next_tag(), first[i]);
    /* One with nothing to send goes; one that comes back stands behind. */
    OK(circflow_stream_set_readable(CLIENT, ids[1], 0));
    assert_int_equal(next_tag(), 1);
    assert_int_equal(next_tag(), 3);
    OK(circflow_stream_set_readable(CLIENT, ids[1], 1));
    assert_int_equal(next_tag(), 1);
    assert_int_equal(next_tag(), 3);
    assert_int_equal(next_tag(), 2);
    /* Equal shares over any length of time. */
    size_t turns[8] = {0};
    for (int i = 0; i < 3000; i++)
        turns[next_tag()]++;
    assert_int_equal(turns[1], 1000);
    assert_int_equal(turns[2], 1000);
    assert_int_equal(turns[3], 1000);
    /* A new priority, which leaves the tag, and a stream that ends. */
    OK(circflow_stream_set_priority(CLIENT, ids[4], 0));
    assert_int_equal(next_tag(), 5);
    OK(circflow_stream_set_readable(CLIENT, ids[4], 0));
    circflow_verdict verdict;
    OK(host_stream_send(&world, CLIENT, ids[0], CIRCFLOW_CMD_END, "\6", 1, &verdict));
    for (int i = 0; i < 4; i++)
        assert_true(next_tag() == (i % 2 ? 2u : 3u) || next_tag() != 1);
    OK(circflow_stream_set_readable(CLIENT, ids[1], 0));
    OK(circflow_stream_set_readable(CLIENT, ids[2], 0));
    assert_int_equal(next_tag(), 4); /* The lowest is read when nobody else has anything. */
    OK(circflow_stream_set_readable(CLIENT, ids[3], 0));
    assert_int_equal(next_tag(), 0);
}

static void turns_on_a_circuit(void **state) { (void)state; plain(); priority_first_and_equals_in_turn(); }
static void turns_on_a_set(void **state) { (void)state; host_linked(&world, 2); priority_first_and_equals_in_turn(); }

static void reading_stops_with_the_window_and_goes_on(void **state)
{
    circflow_stream_id far, found, stream;
    (void)state;
    host_linked(&world, 1);
    stream = connect_stream(7, &far);
    OK(circflow_stream_set_readable(CLIENT, stream, 1));
    for (int n = 0; n < WINDOW; n++) {
        assert_int_equal(next_tag(), 7);
        OK(send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, bytes, BODY));
    }
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_choose(CLIENT, world.now, world.client_set, no_circuit, &found, NULL));
    size_t before = seen[0].resumes;
    pump();
    assert_int_equal(seen[0].resumes, before + 1);
    assert_int_equal(next_tag(), 7);
}

/* --- XOFF and XON that we say --- */

/* Brings data until the limit is passed; then looks at each moment around the grace. */
static void xoff_after_the_grace_and_xon_when_drained(int at_client)
{
    circflow_stream_id far, stream;
    circflow_engine *engine;
    start();
    param(at_client ? "cc_xoff_client" : "cc_xoff_exit", 10);
    param(at_client ? "cc_xoff_exit" : "cc_xoff_client", 10000);
    plain();
    stream = connect_stream(7, &far);
    engine = at_client ? CLIENT : EXIT;
    if (!at_client)
        stream = far;
#define BRING(len) OK(at_client ? from_exit(CIRCFLOW_CMD_DATA, 7, bytes, len) : from_client(CIRCFLOW_CMD_DATA, 7, bytes, len))
    for (int n = 0; n < 10; n++)
        BRING(BODY);
    assert_int_equal(host_stream_stats(engine, stream).buffered_bytes, 10 * BODY);
    world.now += SECOND;
    BRING(0); /* At the limit, however long. */
    world.now += SECOND;
    BRING(1); /* Above: the grace begins. */
    world.now += 5 * MS;
    BRING(1);
    assert_int_equal(host_drain(engine)->count, 0);
    world.now += 1;
    BRING(1);
    host_events events = *host_drain(engine);
    assert_int_equal(events.count, 1);
    const circflow_insn *insn = &events.at[0].insn;
    assert_int_equal(insn->kind, CIRCFLOW_INSN_SEND);
    assert_int_equal(insn->circuit.v, at_client ? LEG(0).v : FAR(0).v);
    assert_int_equal(insn->detail.send.command, CIRCFLOW_CMD_XOFF);
    assert_int_equal(insn->detail.send.stream_id, 7);
    assert_int_equal(insn->detail.send.hop, at_client ? HOST_HOPS : 0);
    OK(circflow_xoff_decode(events.at[0].body, insn->detail.send.body_len));
    /* Once. */
    world.now += SECOND;
    BRING(BODY);
    assert_int_equal(host_drain(engine)->count, 0);
    circflow_stream_stats stats = host_stream_stats(engine, stream);
    assert_int_equal(stats.xoffs_sent, 1);
    assert_int_equal(stats.xons_sent, 0);
    assert_int_equal(stats.buffered_bytes, 11 * BODY + 3);
    assert_int_equal(stats.buffered_bytes_peak, 11 * BODY + 3);
    /* XON when all is gone, and not before. */
    IS(CIRCFLOW_ERR_INVALID, circflow_stream_flushed(engine, world.now, stream, 11 * BODY + 4));
    OK(circflow_stream_flushed(engine, world.now, stream, 11 * BODY + 2));
    assert_int_equal(host_drain(engine)->count, 0);
    world.now += MS;
    OK(circflow_stream_flushed(engine, world.now, stream, 1));
    events = *host_drain(engine);
    assert_int_equal(events.count, 1);
    assert_int_equal(events.at[0].insn.detail.send.command, CIRCFLOW_CMD_XON);
    assert_int_equal(host_stream_stats(engine, stream).xons_sent, 1);
    assert_int_equal(host_stream_stats(engine, stream).buffered_bytes, 0);
    /* A burst that is read within the grace says nothing. */
    for (int n = 0; n < 11; n++)
        BRING(BODY);
    world.now += 4 * MS;
    OK(circflow_stream_flushed(engine, world.now, stream, 11 * BODY));
    world.now += 4 * MS;
    for (int n = 0; n < 11; n++)
        BRING(BODY);
    events = *host_drain(engine);
    for (size_t i = 0; i < events.count; i++)
        assert_int_equal(events.at[i].insn.detail.send.command, CIRCFLOW_CMD_SENDME);
#undef BRING
}

static void xoff_and_xon_of_an_exit(void **state) { (void)state; xoff_after_the_grace_and_xon_when_drained(0); }
static void xoff_and_xon_of_a_client(void **state) { (void)state; xoff_after_the_grace_and_xon_when_drained(1); }

/* XOFF and XON that still wait in the queue are dropped when END leaves first: nothing of a stream follows its END. */
static void nothing_follows_an_end(void **state)
{
    circflow_stream_id far;
    (void)state;
    start();
    param("cc_xoff_exit", 10);
    plain();
    circflow_stream_id stream = connect_stream(7, &far);
    OK(circflow_stream_set_readable(CLIENT, stream, 1));
    for (int n = 0; n < 20; n++) {
        OK(from_client(CIRCFLOW_CMD_DATA, 7, bytes, BODY));
        world.now += SECOND;
    }
    assert_int_equal(host_drain(EXIT)->at[0].insn.detail.send.command, CIRCFLOW_CMD_XOFF);
    OK(circflow_stream_flushed(EXIT, world.now, far, host_stream_stats(EXIT, far).buffered_bytes));
    assert_int_equal(host_stream_stats(EXIT, far).xons_sent, 1);
    OK(send_on(EXIT, far, CIRCFLOW_CMD_END, "\6", 1));
    assert_int_equal(host_drain(EXIT)->count, 0);
    assert_int_equal(host_stats(EXIT).held_bytes + host_stats(EXIT).leaving_bytes, 0);
}

/* End to end: a reader that stands still stops the sender, and starts it again. */
static void a_slow_reader_stops_the_other_end(void)
{
    circflow_stream_id far, stream = connect_stream(7, &far);
    OK(circflow_stream_set_readable(CLIENT, stream, 1));
    uint32_t sent = 0;
    int status = CIRCFLOW_OK;
    for (int rounds = 0; rounds < 10000 && status != CIRCFLOW_ERR_STREAM_STOPPED; rounds++) {
        status = send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, bytes, BODY);
        sent += status == CIRCFLOW_OK;
        pump();
    }
    assert_int_equal(status, CIRCFLOW_ERR_STREAM_STOPPED);
    assert_true(sent > 500 && sent < 600);
    assert_int_equal(host_stream_stats(CLIENT, stream).stopped, 1);
    assert_int_equal(host_stream_stats(CLIENT, stream).xoffs_received, 1);
    assert_int_equal(next_tag(), 0);
    /* Only data of this stream stops. */
    OK(send_on(CLIENT, open_at_client(8), CIRCFLOW_CMD_BEGIN, "x", 2));
    pump();
    assert_int_equal(seen[0].stream_resumes, 0);
    OK(circflow_stream_flushed(EXIT, world.now, far, sent * BODY));
    pump();
    assert_int_equal(seen[0].stream_resumes, 1);
    assert_int_equal(host_stream_stats(CLIENT, stream).stopped, 0);
    assert_int_equal(host_stream_stats(CLIENT, stream).xons_received, 1);
    assert_int_equal(next_tag(), 7);
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, bytes, BODY));
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_END, "\6", 1));
    pump();
    assert_int_equal(seen[0].closes + seen[1].closes, 0);
}

static void a_slow_reader_on_a_circuit(void **state) { (void)state; plain(); a_slow_reader_stops_the_other_end(); }
static void a_slow_reader_on_a_set(void **state) { (void)state; host_linked(&world, 2); a_slow_reader_stops_the_other_end(); }

/* --- XOFF and XON that come --- */

static void a_rate_is_kept_to(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_start(&world);
    plain();
    OK(from_client(CIRCFLOW_CMD_BEGIN, 7, "x", 2)); /* A relay is told rates without having sent anything. */
    circflow_message data = host_message(CIRCFLOW_CMD_DATA, 0, 7, bytes, 1);
    OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &data, &verdict));
    circflow_stream_id stream = verdict.stream;
    OK(circflow_stream_set_readable(EXIT, stream, 1));
    OK(xon(1, 0)); /* 1000 bytes in a second, and a second's worth at once. */
    host_drain(EXIT);
    for (int n = 0; n < 10; n++)
        OK(host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 100, &verdict));
    IS(CIRCFLOW_ERR_STREAM_STOPPED, host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 100, &verdict));
    assert_int_equal(host_stats(EXIT).timers, 1);
    uint64_t deadline = host_deadline(EXIT);
    assert_true(deadline > world.now && deadline <= world.now + SECOND / 1000 + MS);
    /* No sooner than it says. */
    uint64_t from = world.now;
    while (host_stats(EXIT).timers > 0) {
        world.now = host_deadline(EXIT);
        OK(circflow_engine_tick(EXIT, world.now));
    }
    assert_int_equal(host_deadline(EXIT), 0); /* MAY_SEND waits. */
    assert_true(world.now > from);
    const host_events *events = host_drain(EXIT);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_MAY_SEND);
    assert_int_equal(events->at[0].insn.stream.v, stream.v);
    assert_int_equal(events->at[0].insn.circuit.v, FAR(0).v);
    OK(host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 100, &verdict));
    IS(CIRCFLOW_ERR_STREAM_STOPPED, host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 100, &verdict));
    assert_int_equal(host_stats(EXIT).timers, 1);
    /* The end of the stream ends the wait, whoever ends it. */
    OK(from_client(CIRCFLOW_CMD_END, 7, "\6", 1));
    assert_int_equal(host_stats(EXIT).timers, 0);
    assert_true(host_deadline(EXIT) == CIRCFLOW_NEVER);
}

static circflow_stream_id reads_until_stopped(uint16_t stream_id)
{
    circflow_verdict verdict;
    circflow_message data = host_message(CIRCFLOW_CMD_DATA, 0, stream_id, bytes, 1);
    OK(from_client(CIRCFLOW_CMD_BEGIN, stream_id, "x", 2));
    OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &data, &verdict));
    OK(circflow_stream_set_readable(EXIT, verdict.stream, 1));
    OK(from_client(CIRCFLOW_CMD_XOFF, stream_id, "", 1));
    return verdict.stream;
}

/* A host that asks which stream to read, and was told none, hears of it when there is one. The stream whose MAY_SEND says
 * so ends, or is stopped again, before that is taken: then there is the next one's. */
static void is_told_of_another_stream(const char *how, uint8_t command, int drains)
{
    uint8_t body[CIRCFLOW_XON_LEN];
    circflow_stream_id second, found;
    uint64_t tag;
    host_start(&world);
    plain();
    reads_until_stopped(7);
    second = reads_until_stopped(9);
    OK(circflow_stream_choose(EXIT, world.now, no_set, FAR(0), &found, &tag));
    assert_true(found.v == 0);
    OK(circflow_xon_encode(0, body));
    OK(from_client(CIRCFLOW_CMD_XON, 7, body, sizeof(body)));
    OK(from_client(command, 7, how, 1)); /* MAY_SEND is not taken yet. */
    if (drains)
        assert_int_equal(host_count(host_drain(EXIT), CIRCFLOW_INSN_MAY_SEND), 0);
    OK(from_client(CIRCFLOW_CMD_XON, 9, body, sizeof(body)));
    const circflow_insn *insn = host_first(host_drain(EXIT), CIRCFLOW_INSN_MAY_SEND);
    assert_non_null(insn);
    assert_true(insn->stream.v == second.v);
}

static void another_stream_is_told_of_when_the_first_ends(void **state)
{
    (void)state;
    is_told_of_another_stream("\6", CIRCFLOW_CMD_END, 0);
    teardown(NULL);
    setup(NULL);
    is_told_of_another_stream("\6", CIRCFLOW_CMD_END, 1);
}

static void another_stream_is_told_of_when_the_first_stops(void **state)
{
    (void)state;
    is_told_of_another_stream("", CIRCFLOW_CMD_XOFF, 0);
    teardown(NULL);
    setup(NULL);
    is_told_of_another_stream("", CIRCFLOW_CMD_XOFF, 1);
}

/* XOFF stops a stream whatever its rate says: nothing tells the host to go on before XON does. */
static void xoff_takes_the_rates_alarm_down(void **state)
{
    (void)state;
    for (int when = 0; when < 3; when++) { /* XOFF before the rate's time, or while its MAY_SEND waits; XON without XOFF. */
        circflow_verdict verdict;
        circflow_message data = host_message(CIRCFLOW_CMD_DATA, 0, 7, bytes, 1);
        if (when > 0) {
            teardown(NULL);
            setup(NULL);
        }
        host_start(&world);
        plain();
        OK(from_client(CIRCFLOW_CMD_BEGIN, 7, "x", 2));
        OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &data, &verdict));
        circflow_stream_id stream = verdict.stream;
        OK(circflow_stream_set_readable(EXIT, stream, 1));
        OK(xon(1, 0));
        host_drain(EXIT);
        for (int n = 0; n < 10; n++)
            OK(host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 100, &verdict));
        IS(CIRCFLOW_ERR_STREAM_STOPPED, host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 100, &verdict));
        assert_int_equal(host_stats(EXIT).timers, 1);
        if (when == 1)
            OK(circflow_engine_tick(EXIT, world.now += 10 * SECOND));
        if (when < 2) {
            OK(xoff(0));
            assert_int_equal(host_stats(EXIT).timers, 0);
            assert_int_equal(host_count(host_drain(EXIT), CIRCFLOW_INSN_MAY_SEND), 0);
            assert_true(host_deadline(EXIT) == CIRCFLOW_NEVER);
            assert_int_equal(host_later(&world, EXIT, 3600 * SECOND)->count, 0);
        }
        OK(xon(0, 0)); /* No rate: the one before has no alarm left either. */
        assert_int_equal(host_stats(EXIT).timers, 0);
        assert_int_equal(host_count(host_drain(EXIT), CIRCFLOW_INSN_MAY_SEND), 1);
        OK(host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 100, &verdict));
    }
}

static void bytes_that_were_not_sent_do_not_count(void **state)
{
    circflow_verdict verdict;
    (void)state;
    plain();
    OK(from_client(CIRCFLOW_CMD_BEGIN, 7, "x", 2));
    circflow_message data = host_message(CIRCFLOW_CMD_DATA, 0, 7, bytes, 1);
    OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &data, &verdict));
    circflow_stream_id stream = verdict.stream;
    OK(xon(1, 0));
    host_pad(&world, EXIT, FAR(0), "gate-0-00", 0, 0);
    host_drop(&world, EXIT, FAR(0), 0);
    OK(circflow_engine_tick(EXIT, world.now));
    circflow_message bad = host_message(CIRCFLOW_CMD_DATA, 0, 0, NULL, 0);
    bad.body_len = 400;
    for (int n = 0; n < 5; n++)
        IS(CIRCFLOW_ERR_INVALID, circflow_stream_send(EXIT, world.now, stream, &bad, &verdict));
    OK(host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_DATA, bytes, 400, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
}

/* prop324 4.1.4, at a client: half of what an honest peer must have been sent before, and of its own each time. */
#define PRICE (500 * BODY / 2)

static void sent_bytes(circflow_stream_id stream, size_t count)
{
    while (count > 0) {
        size_t len = count < BODY ? count : BODY;
        int status = send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, bytes, len);
        if (status == CIRCFLOW_ERR_NO_ROOM)
            pump();
        else {
            OK(status);
            count -= len;
        }
    }
    pump();
}

static void xoff_and_xon_are_paid_for(void **state)
{
    static const struct { size_t bytes; char first, second; int status; } rows[] = {
        {0, 'f', 0, CIRCFLOW_ERR_FLOW_ABUSE},         {PRICE - 1, 'f', 0, CIRCFLOW_ERR_FLOW_ABUSE},
        {PRICE, 'f', 0, CIRCFLOW_OK},                 {PRICE, 'f', 'f', CIRCFLOW_ERR_FLOW_ABUSE},
        {PRICE, 'f', 'n', CIRCFLOW_OK},               {2 * PRICE, 'f', 'f', CIRCFLOW_ERR_FLOW_ABUSE},
        {0, 'n', 0, CIRCFLOW_ERR_FLOW_ABUSE},         {PRICE - 1, 'n', 0, CIRCFLOW_ERR_FLOW_ABUSE},
        {PRICE, 'n', 0, CIRCFLOW_OK},                 {PRICE, 'n', 'n', CIRCFLOW_ERR_FLOW_ABUSE},
        {2 * PRICE, 'n', 'n', CIRCFLOW_OK},           {2 * PRICE - 1, 'n', 'n', CIRCFLOW_ERR_FLOW_ABUSE},
    };
    (void)state;
    for (size_t row = 0; row < COUNT(rows); row++) {
        circflow_stream_id far, stream;
        setup(NULL);
        plain();
        stream = connect_stream(7, &far);
        sent_bytes(stream, rows[row].bytes);
        int status = rows[row].first == 'f' ? xoff(1) : xon(0, 1);
        if (rows[row].second) {
            OK(status);
            status = rows[row].second == 'f' ? xoff(1) : xon(0, 1);
        }
        if (status != rows[row].status)
            fail_msg("row %zu: %d (%s)", row, status, circflow_status_name(status));
        if (status != CIRCFLOW_OK)
            assert_true(closed_for(CLIENT, status));
        host_stop(&world);
    }
    setup(NULL);
    plain();
    /* A relay has nobody to protect. */
    OK(from_client(CIRCFLOW_CMD_BEGIN, 7, "x", 2));
    for (int n = 0; n < 5; n++) {
        OK(xoff(0));
        OK(xoff(0));
        OK(xon(0, 0));
    }
}

static void what_cannot_be_read_closes_at_both_ends(void **state)
{
    (void)state;
    for (int at_client = 0; at_client < 2; at_client++)
        for (int which = 0; which < 4; which++) {
            static const struct { uint8_t command; const char *body; size_t len; } bad[] = {
                {CIRCFLOW_CMD_XOFF, "\1", 1},
                {CIRCFLOW_CMD_XOFF, "", 0},
                {CIRCFLOW_CMD_XON, "\0\0\0\1", 4},
                {CIRCFLOW_CMD_XON, "\1\0\0\0\1", 5},
            };
            circflow_stream_id far;
            setup(NULL);
            plain();
            connect_stream(7, &far);
            IS(CIRCFLOW_ERR_BAD_FLOW, (at_client ? from_exit : from_client)(bad[which].command, 7, bad[which].body,
                                                                            bad[which].len));
            assert_true(closed_for(at_client ? CLIENT : EXIT, CIRCFLOW_ERR_BAD_FLOW));
            host_stop(&world);
        }
    setup(NULL);
    plain();
}

/* --- Caps --- */

static void a_stream_has_a_cap_on_bytes(void **state)
{
    circflow_stream_id far;
    (void)state;
    world.engine_config.stream_bytes_max = 1000;
    plain();
    connect_stream(7, &far);
    OK(from_client(CIRCFLOW_CMD_DATA, 7, bytes, 498));
    OK(from_client(CIRCFLOW_CMD_DATA, 7, bytes, 498));
    OK(from_client(CIRCFLOW_CMD_DATA, 7, bytes, 4));
    OK(circflow_stream_flushed(EXIT, world.now, far, 10));
    OK(from_client(CIRCFLOW_CMD_DATA, 7, bytes, 10));
    assert_int_equal(host_stream_stats(EXIT, far).buffered_bytes, 1000);
    IS(CIRCFLOW_ERR_STREAM_MEMORY, from_client(CIRCFLOW_CMD_DATA, 7, bytes, 1));
    assert_true(closed_for(EXIT, CIRCFLOW_ERR_STREAM_MEMORY));
}

static void in_a_set_it_closes_the_set_and_tokens_come_back(void **state)
{
    circflow_stream_id stream;
    (void)state;
    world.engine_config.stream_bytes_max = 1000;
    host_adopted(&world, 2);
    stream = begun_at_client(7);
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (uint64_t n = 1; n <= 5; n++) {
        circflow_message message = host_token(HOST_HOPS, n, 50);
        message.body = bytes;
        message.body_len = 300;
        host_expect(&world, CLIENT, LEG(1), message, CIRCFLOW_VERDICT_HELD);
        host_lend(&ledger, n, 50);
    }
    OK(from_exit(CIRCFLOW_CMD_DATA, 7, bytes, 300)); /* 300, 600, 900, and no more. */
    host_events events = *host_drain(CLIENT);
    /* What follows the one that was too much is of no use: there would be a hole in the stream. */
    assert_int_equal(host_count(&events, CIRCFLOW_INSN_DELIVER), 2);
    assert_int_equal(host_count(&events, CIRCFLOW_INSN_DISCARD), 3);
    assert_int_equal(host_first(&events, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_STREAM_MEMORY);
    host_book(&ledger, &events);
    host_settle(&ledger);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_stream_flushed(CLIENT, world.now, stream, 1));
    assert_int_equal(host_stats(CLIENT).streams, 0);
}

static void streams_have_a_cap(void **state)
{
    circflow_stream_config config;
    circflow_stream_id far, stream, third;
    circflow_verdict verdict;
    (void)state;
    world.engine_config.streams_max = 3;
    plain();
    connect_stream(1, &far);
    connect_stream(2, &far);
    third = connect_stream(3, &far);
    config = host_stream_config(no_set, LEG(0), HOST_HOPS, 4);
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_stream_open(CLIENT, world.now, &config, &stream));
    config.stream_id = 3;
    IS(CIRCFLOW_ERR_STREAM_EXISTS, circflow_stream_open(CLIENT, world.now, &config, &stream));
    /* The other end's is answered by the library: END, RESOURCELIMIT. */
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 4, "x", 2);
    host_expect(&world, EXIT, FAR(0), begin, CIRCFLOW_VERDICT_CONSUMED);
    host_events events = *host_drain(EXIT);
    assert_int_equal(events.count, 1);
    assert_int_equal(events.at[0].insn.detail.send.command, CIRCFLOW_CMD_END);
    assert_int_equal(events.at[0].insn.detail.send.stream_id, 4);
    assert_int_equal(events.at[0].body[0], 11);
    host_expect(&world, EXIT, FAR(0), host_message(CIRCFLOW_CMD_DATA, 0, 4, "x", 1), CIRCFLOW_VERDICT_CONSUMED);
    /* Another circuit has a cap of its own. */
    host_pair(&world);
    host_expect(&world, EXIT, FAR(1), begin, CIRCFLOW_VERDICT_DELIVER);
    /* One that ends makes room. */
    OK(host_stream_send(&world, EXIT, far, CIRCFLOW_CMD_END, "\6", 1, &verdict));
    host_expect(&world, EXIT, FAR(0), begin, CIRCFLOW_VERDICT_DELIVER);
    OK(host_stream_send(&world, CLIENT, third, CIRCFLOW_CMD_END, "\6", 1, &verdict));
    config.stream_id = 4;
    OK(circflow_stream_open(CLIENT, world.now, &config, &stream));
}

static void what_cannot_be_a_stream_is_refused(void **state)
{
    circflow_stream_config config;
    circflow_stream_id stream, zero = {0};
    circflow_verdict verdict;
    (void)state;
    plain();
#define REFUSED(status, change)                                                                                            \
    do {                                                                                                                   \
        config = host_stream_config(no_set, LEG(0), HOST_HOPS, 7);                                                         \
        change;                                                                                                            \
        IS(status, circflow_stream_open(CLIENT, world.now, &config, &stream));                                             \
    } while (0)
    REFUSED(CIRCFLOW_ERR_INVALID, config.stream_id = 0);
    REFUSED(CIRCFLOW_ERR_INVALID, config.hop = 0);
    REFUSED(CIRCFLOW_ERR_INVALID, config.hop = 4);
    REFUSED(CIRCFLOW_ERR_INVALID, config.reserved = 1);
    REFUSED(CIRCFLOW_ERR_INVALID, config.set.v = LEG(0).v);
    REFUSED(CIRCFLOW_ERR_ZERO_ID, config.circuit.v = 0);
    REFUSED(CIRCFLOW_ERR_FOREIGN_ID, config.circuit = FAR(0));
    REFUSED(CIRCFLOW_ERR_VERSION, config.size = 1);
    IS(CIRCFLOW_ERR_NULL, circflow_stream_open(CLIENT, world.now, &config, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), NULL, NULL));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_stream_retag(CLIENT, zero, 1));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_stream_set_priority(CLIENT, zero, 1));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_stream_set_readable(CLIENT, zero, 1));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_stream_flushed(CLIENT, world.now, zero, 1));
    stream = open_at_client(7);
    for (unsigned command = 0; command < 256; command++) {
        int known = command == 1 || command == 2 || command == 4 || command == 11 || command == 13;
        if (command == 3 || command == 12)
            continue; /* They end it. */
        IS(known ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID,
           host_stream_send(&world, CLIENT, stream, (uint8_t)command, "x", 1, &verdict));
    }
    OK(circflow_circuit_close(CLIENT, world.now, LEG(0)));
    IS(CIRCFLOW_ERR_CLOSING, host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    REFUSED(CIRCFLOW_ERR_CLOSING, config.stream_id = 8);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
    IS(CIRCFLOW_ERR_STALE_ID, host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    assert_int_equal(host_stats(CLIENT).streams, 0);
#undef REFUSED
}

/* --- Streams that have ended --- */

static void closed_streams_are_known_for_a_while(void **state)
{
    circflow_stream_id far;
    (void)state;
    world.engine_config.stream_remembered_ns = 10 * SECOND;
    plain();
    OK(send_on(CLIENT, connect_stream(7, &far), CIRCFLOW_CMD_END, "\6", 1));
    uint64_t end = world.now + 10 * SECOND;
    world.now = end - 1;
    host_expect(&world, CLIENT, LEG(0), host_message(CIRCFLOW_CMD_DATA, HOST_HOPS, 7, "x", 1), CIRCFLOW_VERDICT_CONSUMED);
    IS(CIRCFLOW_OK, xoff(1)); /* No stream, no rule for it. */
    world.now = end;
    IS(CIRCFLOW_ERR_UNKNOWN_STREAM, from_exit(CIRCFLOW_CMD_DATA, 7, "x", 1));
    assert_true(closed_for(CLIENT, CIRCFLOW_ERR_UNKNOWN_STREAM));
    /* A relay may have forgotten what a client still uses. */
    host_expect(&world, EXIT, FAR(0), host_message(CIRCFLOW_CMD_DATA, 0, 99, "x", 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, EXIT, FAR(0), host_message(CIRCFLOW_CMD_END, 0, 99, "x", 1), CIRCFLOW_VERDICT_CONSUMED);
}

static void a_long_round_trip_makes_the_while_longer(void **state)
{
    circflow_stream_id far, stream;
    (void)state;
    world.engine_config.stream_remembered_ns = SECOND;
    plain();
    stream = connect_stream(7, &far);
    for (int n = 0; n < 31; n++)
        OK(send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1));
    world.now += 5 * SECOND;
    OK(host_feed(&world, CLIENT, LEG(0), host_sendme(HOST_HOPS, host_digest(32), 20))); /* BEGIN was cell 1. */
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_END, "\6", 1));
    world.now += 5 * SECOND - 1;
    OK(from_exit(CIRCFLOW_CMD_DATA, 7, "x", 1));
    world.now += 1;
    IS(CIRCFLOW_ERR_UNKNOWN_STREAM, from_exit(CIRCFLOW_CMD_DATA, 7, "x", 1));
}

/* A cell that cannot be is not counted: there would be a hole behind it. */
static void a_body_that_no_cell_carries_is_not_sent(void **state)
{
    circflow_verdict verdict;
    (void)state;
    plain();
    circflow_stream_id stream = open_at_client(7);
    const uint64_t inflight = host_circuit_stats(CLIENT, LEG(0)).inflight;
    IS(CIRCFLOW_ERR_INVALID, host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, NULL, 0, &verdict));
    const uint8_t commands[] = {CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_END};
    for (size_t i = 0; i < COUNT(commands); i++) {
        circflow_message message = host_message(commands[i], 0, 0, bytes, sizeof(bytes));
        message.body_len++;
        IS(CIRCFLOW_ERR_INVALID, circflow_stream_send(CLIENT, world.now, stream, &message, &verdict));
    }
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, inflight);
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, bytes, 1, &verdict));
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, bytes, sizeof(bytes), &verdict));
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).inflight, inflight + 2);
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_END, NULL, 0, &verdict));
}

/* --- Sets --- */

/* A client's set of adopted legs, with limits of ten cells. */
static void adopted(size_t count)
{
    start();
    param("cc_xoff_client", 10);
    param("cc_xoff_exit", 10);
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    for (size_t i = 0; i < count; i++) {
        host_pair(&world);
        OK(circflow_set_adopt_leg(CLIENT, world.now, world.client_set, LEG(i), CIRCFLOW_UX_HIGH_THROUGHPUT,
                                  10 * MS * (i + 1)));
    }
}

/* More than ten cells, for longer than the grace: an XOFF waits to be taken. */
static void make_it_say_xoff(void)
{
    for (int n = 0; n < 11; n++)
        OK(from_exit(CIRCFLOW_CMD_DATA, 7, bytes, BODY));
    world.now += 6 * MS;
    OK(from_exit(CIRCFLOW_CMD_DATA, 7, bytes, BODY));
}

static void flow_control_that_waits_for_order_is_not_the_hosts(void **state)
{
    circflow_stream_id other, stream;
    circflow_verdict verdict;
    (void)state;
    adopted(2);
    stream = begun_at_client(7);
    other = begun_at_client(8);
    for (size_t n = 0; n < 10; n++)
        OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, bytes, BODY, &verdict));
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    circflow_message message = host_message(CIRCFLOW_CMD_XOFF, HOST_HOPS, 7, "", 1);
    message.form = CIRCFLOW_FORM_TOKEN;
    message.token = 5;
    message.cost_bytes = 50;
    host_expect(&world, CLIENT, LEG(1), message, CIRCFLOW_VERDICT_CONSUMED); /* And so its token stays the host's. */
    message = host_token(HOST_HOPS, 6, 50);
    message.stream_id = 8;
    message.body = bytes;
    message.body_len = 5;
    host_expect(&world, CLIENT, LEG(1), message, CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, 6, 50);
    assert_int_equal(host_stream_stats(CLIENT, stream).stopped, 0);
    OK(host_stream_send(&world, CLIENT, other, CIRCFLOW_CMD_END, "\6", 1, &verdict)); /* Ends before its data's turn. */
    OK(from_exit(CIRCFLOW_CMD_CONNECTED, 7, "", 0));
    host_events events = *host_drain(CLIENT);
    assert_int_equal(host_count(&events, CIRCFLOW_INSN_DELIVER), 0);
    assert_int_equal(host_count(&events, CIRCFLOW_INSN_DISCARD), 1);
    host_book(&ledger, &events);
    host_settle(&ledger);
    assert_int_equal(host_stream_stats(CLIENT, stream).stopped, 1);
}

static void a_set_that_ends_hands_no_flow_control_out(void **state)
{
    (void)state;
    adopted(2);
    begun_at_client(7);
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    circflow_message message = host_message(CIRCFLOW_CMD_XOFF, HOST_HOPS, 7, "", 1);
    host_expect(&world, CLIENT, LEG(1), message, CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, LEG(1), host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_HELD);
    OK(from_exit(CIRCFLOW_CMD_DATA, 7, "x", 1)); /* Both have their turn; then a leg is lost. */
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(1)));
    host_events events = *host_drain(CLIENT);
    assert_int_equal(host_first(&events, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
    assert_int_equal(host_count(&events, CIRCFLOW_INSN_DELIVER), 1);
    assert_int_equal(host_first(&events, CIRCFLOW_INSN_DELIVER)->detail.deliver.command, CIRCFLOW_CMD_DATA);
}

/* What circflow says itself has its number, and its SWITCH, before the host has drained: nothing overtakes it. */
static void nothing_overtakes_what_circflow_says(void **state)
{
    circflow_stream_id stream;
    circflow_verdict verdict;
    (void)state;
    adopted(2);
    stream = begun_at_client(7);
    for (int n = 0; n < WINDOW; n++)
        OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    host_drain(CLIENT);
    make_it_say_xoff();
    for (int n = 0; n < 3; n++) {
        OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "y", 1, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    }
    host_events events = *host_drain(CLIENT);
    static const uint8_t want[] = {CIRCFLOW_CMD_SWITCH, CIRCFLOW_CMD_XOFF, CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_DATA,
                                   CIRCFLOW_CMD_DATA};
    size_t at = 0;
    for (size_t i = 0; i < events.count; i++) {
        const circflow_insn *insn = &events.at[i].insn;
        if (insn->kind != CIRCFLOW_INSN_SEND || insn->detail.send.command == CIRCFLOW_CMD_SENDME)
            continue;
        assert_true(at < COUNT(want));
        assert_int_equal(insn->detail.send.command, want[at]);
        assert_int_equal(insn->circuit.v, LEG(1).v);
        if (at > 0)
            assert_int_equal(insn->detail.send.number, WINDOW + 1 + at);
        at++;
    }
    assert_int_equal(at, COUNT(want));
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "z", 1, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(verdict.number, WINDOW + 6);
}

/* More than may wait behind it: refused, and told to go on when the host has drained. */
static void a_host_that_was_stopped_behind_it_is_told_to_go_on(void **state)
{
    circflow_stream_id stream;
    circflow_verdict verdict;
    int held = 0, status;
    (void)state;
    adopted(1);
    stream = begun_at_client(7);
    make_it_say_xoff();
    while ((status = host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "y", 1, &verdict)) == CIRCFLOW_OK)
        held++;
    assert_int_equal(status, CIRCFLOW_ERR_NO_ROOM);
    assert_int_equal(held, 31); /* held_sends_max, with the XOFF. */
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "z", 1, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
}

static void begin_dir_on_a_leg_is_refused_by_the_library(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_linked(&world, 1);
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN_DIR, 0, 7, NULL, 0);
    host_expect(&world, EXIT, FAR(0), begin, CIRCFLOW_VERDICT_CONSUMED);
    const host_events *events = host_drain(EXIT);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.detail.send.command, CIRCFLOW_CMD_END);
    assert_int_equal(events->at[0].insn.detail.send.stream_id, 7);
    assert_int_equal(events->at[0].insn.detail.send.number, 1); /* END is sequenced, as any message of a stream. */
    assert_int_equal(events->at[0].insn.detail.send.body_len, 1);
    assert_int_equal(events->at[0].body[0], 14);
    IS(CIRCFLOW_ERR_NOT_MULTIPLEXED,
       host_stream_send(&world, CLIENT, open_at_client(7), CIRCFLOW_CMD_BEGIN_DIR, "", 0, &verdict));
    /* On a circuit of its own it is a stream like another. */
    host_pair(&world);
    host_expect(&world, EXIT, FAR(1), begin, CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(host_stats(EXIT).streams, 1);
}

static void other_hops_go_on_while_the_join_point_is_paused(void **state)
{
    circflow_stream_config config;
    circflow_stream_id stream, near, found;
    circflow_verdict verdict;
    uint64_t tag;
    (void)state;
    world.client_circuit.flags |= CIRCFLOW_CIRCUIT_LEAKY_PIPE;
    host_adopted(&world, 2);
    stream = begun_at_client(7);
    near = host_stream(&world, CLIENT, no_set, LEG(0), 2, 7);
    OK(host_stream_send(&world, CLIENT, near, CIRCFLOW_CMD_BEGIN, "host:80", 8, &verdict));
    config = host_stream_config(no_set, LEG(0), HOST_HOPS, 9);
    IS(CIRCFLOW_ERR_IN_SET, circflow_stream_open(CLIENT, world.now, &config, &found));
    config = host_stream_config(world.client_set, no_circuit, 2, 9);
    IS(CIRCFLOW_ERR_INVALID, circflow_stream_open(CLIENT, world.now, &config, &found));
    OK(circflow_stream_set_readable(CLIENT, near, 1));
    while (host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict) == CIRCFLOW_OK)
        ;
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_choose(CLIENT, world.now, world.client_set, no_circuit, &found, NULL));
    OK(circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, &tag));
    assert_int_equal(found.v, near.v);
    OK(host_stream_send(&world, CLIENT, near, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    assert_int_equal(verdict.circuit.v, LEG(0).v);
    assert_int_equal(verdict.number, 0);
    assert_int_equal(verdict.switch_delta, 0);
    circflow_message message = host_message(CIRCFLOW_CMD_DATA, 2, 7, "x", 1);
    OK(circflow_circuit_receive(CLIENT, world.now, LEG(0), &message, &verdict));
    assert_int_equal(verdict.stream.v, near.v);
    assert_int_equal(verdict.number, 0);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).streams, 1);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).delivered, 0);
    /* And so does padding, with the channel full as well (P8). */
    host_pad(&world, CLIENT, LEG(0), "pad-00", 2, 0);
    host_drop(&world, CLIENT, LEG(0), 2);
    OK(circflow_circuit_set_writable(CLIENT, world.now, LEG(0), CIRCFLOW_SIDE_BACK, 0));
    IS(CIRCFLOW_ERR_NO_ROOM, host_stream_send(&world, CLIENT, near, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    world.now += 10 * MS;
    assert_int_equal(host_count(host_tick(&world, CLIENT), CIRCFLOW_INSN_PADDING), 1);
    /* The streams of a leg go with it, those of the set with the set. */
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_stream_set_readable(CLIENT, near, 1));
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(1)));
    assert_int_equal(host_stats(CLIENT).streams, 0);
}

static void dissolving_keeps_all_streams(void **state)
{
    circflow_stream_id far, found, near, stream;
    circflow_circuit_id out;
    circflow_verdict verdict;
    (void)state;
    world.client_circuit.flags |= CIRCFLOW_CIRCUIT_LEAKY_PIPE;
    host_linked(&world, 1);
    stream = connect_stream(7, &far);
    near = host_stream(&world, CLIENT, no_set, LEG(0), 2, 7);
    found = open_at_client(6);
    OK(send_on(CLIENT, found, CIRCFLOW_CMD_BEGIN, "host:80", 8));
    OK(send_on(CLIENT, found, CIRCFLOW_CMD_END, "\6", 1));
    OK(circflow_stream_set_readable(CLIENT, stream, 1));
    OK(circflow_stream_set_readable(CLIENT, near, 1));
    size_t sent = 0;
    while (send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1) == CIRCFLOW_OK)
        sent++;
    assert_int_equal(sent, WINDOW);
    OK(circflow_set_dissolve(CLIENT, world.now, world.client_set, &out));
    assert_int_equal(out.v, LEG(0).v);
    assert_int_equal(host_circuit_stats(CLIENT, LEG(0)).streams, 2);
    /* Whoever waited for the set is told of the circuit. */
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_MAY_SEND), 1);
    assert_int_equal(host_first(events, CIRCFLOW_INSN_MAY_SEND)->circuit.v, LEG(0).v);
    OK(circflow_stream_choose(CLIENT, world.now, no_set, LEG(0), &found, NULL));
    assert_int_equal(found.v, near.v);
    IS(CIRCFLOW_ERR_NO_ROOM, host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    pump();
    OK(circflow_set_dissolve(EXIT, world.now, world.exit_set, &out));
    world.client_set = no_set;
    assert_true(seen[0].resumes >= 1);
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_DATA, "more", 4));
    OK(send_on(EXIT, far, CIRCFLOW_CMD_DATA, "back", 4));
    OK(from_exit(CIRCFLOW_CMD_DATA, 6, "x", 1)); /* Of a stream the set had closed. */
    pump();
    assert_int_equal(seen[1].at[seen[1].count - 1].tag, 0xe007);
    assert_int_equal(seen[0].at[seen[0].count - 1].tag, 0x5007);
    OK(send_on(CLIENT, stream, CIRCFLOW_CMD_END, "\6", 1));
    OK(host_stream_send(&world, CLIENT, near, CIRCFLOW_CMD_END, "\6", 1, &verdict));
    pump();
    assert_int_equal(host_stats(CLIENT).streams + host_stats(EXIT).streams, 0);
    assert_int_equal(seen[0].closes + seen[1].closes, 0);
}

/* What a peer makes us answer while padding blocks is bounded. */
static void answers_that_wait_are_bounded(void **state)
{
    (void)state;
    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
        size_t asked = 0, most = 32 + 2048;
        setup(NULL);
        world.engine_config.streams_max = 1;
        if (by_bytes) {
            world.engine_config.held_bytes_max = 100 * CIRCFLOW_HELD_COST;
            most = 100;
        }
        plain();
        OK(from_client(CIRCFLOW_CMD_BEGIN, 1, "x", 2));
        host_shut(&world, EXIT, FAR(0), 0);
        while (from_client(CIRCFLOW_CMD_BEGIN, (uint16_t)(2 + asked), "x", 2) == CIRCFLOW_OK)
            asked++;
        assert_int_equal(asked, most + 1); /* The last one's answer found no room. */
        assert_true(closed_for(EXIT, CIRCFLOW_ERR_ENGINE_MEMORY));
        assert_true(host_stats(EXIT).held_bytes <= world.engine_config.held_bytes_max);
        host_stop(&world);
    }
    setup(NULL);
    plain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_life_on_a_circuit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_life_on_a_set_of_two_legs, setup, teardown),
        cmocka_unit_test_setup_teardown(legs_that_the_host_names, setup, teardown),
        cmocka_unit_test_setup_teardown(resolve_and_its_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_service_is_opened_streams_to, setup, teardown),
        cmocka_unit_test_setup_teardown(turns_on_a_circuit, setup, teardown),
        cmocka_unit_test_setup_teardown(turns_on_a_set, setup, teardown),
        cmocka_unit_test_setup_teardown(reading_stops_with_the_window_and_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(xoff_and_xon_of_an_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(xoff_and_xon_of_a_client, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_follows_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_on_a_circuit, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_reader_on_a_set, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rate_is_kept_to, setup, teardown),
        cmocka_unit_test_setup_teardown(xoff_takes_the_rates_alarm_down, setup, teardown),
        cmocka_unit_test_setup_teardown(another_stream_is_told_of_when_the_first_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(another_stream_is_told_of_when_the_first_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_that_were_not_sent_do_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(xoff_and_xon_are_paid_for, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_closes_at_both_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_has_a_cap_on_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(in_a_set_it_closes_the_set_and_tokens_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(streams_have_a_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_a_stream_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_streams_are_known_for_a_while, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_round_trip_makes_the_while_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_that_no_cell_carries_is_not_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(flow_control_that_waits_for_order_is_not_the_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_that_ends_hands_no_flow_control_out, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_overtakes_what_circflow_says, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_was_stopped_behind_it_is_told_to_go_on, setup, teardown),
        cmocka_unit_test_setup_teardown(begin_dir_on_a_leg_is_refused_by_the_library, setup, teardown),
        cmocka_unit_test_setup_teardown(other_hops_go_on_while_the_join_point_is_paused, setup, teardown),
        cmocka_unit_test_setup_teardown(dissolving_keeps_all_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_that_wait_are_bounded, setup, teardown),
    };
    return cmocka_run_group_tests_name("streams", tests, NULL, NULL);
}
