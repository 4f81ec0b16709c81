/* Receiving: order, numbers, SWITCH, and what is not multiplexed. */

#include "host.h"

#include <stdio.h>
#include <stdlib.h>

HOST_WORLD(host_prepare)
/* The end under test, its set and its legs, and the hop that the other end is to it. */
static circflow_engine *engine;
static circflow_set_id set;
static circflow_circuit_id *legs;
static uint8_t hop;

static void link_legs(size_t count, int at_exit)
{
    host_linked(&world, count);
    engine = at_exit ? world.exit : world.client;
    set = at_exit ? world.exit_set : world.client_set;
    legs = at_exit ? world.exit_leg : world.client_leg;
    hop = at_exit ? 0 : HOST_HOPS;
}

static int feed(size_t leg, circflow_message message)
{
    return host_feed(&world, engine, legs[leg], message);
}

static uint64_t expect(size_t leg, circflow_message message, uint32_t kind)
{
    return host_expect(&world, engine, legs[leg], message, kind);
}

/* How many were delivered before the fault was noticed does not matter. */
#define ANY UINT64_MAX

/* The vectors. "A" is one message on leg A, "A*3" three, "A+5" SWITCH(5). */
typedef struct vector {
    const char *name, *arrivals;
    uint64_t delivered, held, peak;
    int fault; /* of the last arrival */
    uint64_t base;
    uint64_t base_recv[3];
} vector;

static const vector vectors[] = {
    {"RX-1", "A*10 B+10 B*21 A+21 A", 32, 0, 0, 0, 0, {0, 0, 0}},
    {"RX-2", "B+10 B*21 A*10", 31, 0, 21, 0, 0, {0, 0, 0}},
    {"RX-3", "A*10 A+21 A B+10 B*20 B", 32, 0, 1, 0, 0, {0, 0, 0}},
    {"RX-4", "C+2 C B+1 B A A+2 A", 4, 0, 2, 0, 0, {0, 0, 0}},
    {"RX-5", "A+5 A", 0, 1, 1, 0, 0, {0, 0, 0}},
    {"RX-6", "A+2 A+3", 0, 0, 0, CIRCFLOW_ERR_SWITCH_REPEATED, 0, {0, 0, 0}},
    {"RX-7", "A*3 B", 3, 0, 0, CIRCFLOW_ERR_NUMBER_STALE, 0, {0, 0, 0}},
    {"RX-8", "A+4 A B+4 B", 0, 1, 1, CIRCFLOW_ERR_NUMBER_TWICE, 0, {0, 0, 0}},
    {"RX-9", "A*2 B+3 B*5", 2, 5, 5, 0, 0, {0, 0, 0}},
    {"RX-10", "A+4294967295 A", 0, 1, 1, 0, 0, {0, 0, 0}},
    {"RX-11", "C A", 32, 0, 0, CIRCFLOW_ERR_NUMBER_STALE, 31, {31, 31, 31}},
    {"RX-12", "C+40 C C", 42, 0, 0, 0, 40, {40, 40, 0}},
    {"deeper duplicate", "A+2 A*3 B+3 B C C", ANY, 0, 4, CIRCFLOW_ERR_NUMBER_TWICE, 0, {0, 0, 0}},
};

/* The content of message `number`, whichever leg brings it. */
static size_t content(uint64_t number, char *text)
{
    return (size_t)sprintf(text, "message %llu", (unsigned long long)number);
}

/* What was delivered so far is in order and whole. */
static void delivered_by_insn(const host_event *event, uint64_t *delivered, int tokens)
{
    const circflow_insn_deliver *deliver = &event->insn.detail.deliver;
    char text[64];
    size_t len;
    assert_int_equal(deliver->number, *delivered + 1);
    (*delivered)++;
    len = content(*delivered, text);
    assert_int_equal(deliver->command, CIRCFLOW_CMD_DATA);
    assert_int_equal(deliver->stream_id, 7);
    if (tokens) {
        assert_int_equal(deliver->form, CIRCFLOW_FORM_TOKEN);
        assert_int_equal(deliver->token, *delivered);
        assert_int_equal(deliver->cost_bytes, 50);
    } else {
        assert_int_equal(deliver->form, CIRCFLOW_FORM_BYTES);
        assert_int_equal(deliver->body_len, len);
        assert_memory_equal(event->body, text, len);
    }
}

/* Feeds one message; answers its status. */
static int one_message(size_t leg, uint64_t number, int tokens, uint64_t *delivered)
{
    char text[64];
    size_t len = content(number, text);
    circflow_message message = host_message(CIRCFLOW_CMD_DATA, hop, 7, text, len);
    circflow_verdict verdict;
    int answer;
    if (tokens)
        message = host_token(hop, number, 50);
    answer = circflow_circuit_receive(engine, world.now, legs[leg], &message, &verdict);
    memset(text, 0, sizeof(text)); /* The body is read during the call only. */
    if (answer != CIRCFLOW_OK)
        return answer;
    assert_int_equal(verdict.number, number);
    assert_int_equal(verdict.end_reason, 0);
    assert_int_equal(verdict.circuit_tag, (hop ? 0xc000 : 0xe000) + leg);
    if (verdict.kind == CIRCFLOW_VERDICT_DELIVER) {
        assert_int_equal(number, *delivered + 1);
        (*delivered)++;
        const host_events *events = host_drain(engine);
        assert_int_equal(verdict.ready, host_count(events, CIRCFLOW_INSN_DELIVER) > 0);
        for (size_t i = 0; i < events->count && events->at[i].insn.kind == CIRCFLOW_INSN_DELIVER; i++)
            delivered_by_insn(&events->at[i], delivered, tokens);
        if (host_count(events, CIRCFLOW_INSN_ENDED))
            answer = (int)host_first(events, CIRCFLOW_INSN_ENDED)->detail.close.cause;
    } else {
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
        assert_int_equal(verdict.ready, 0);
        assert_true(number > *delivered + 1);
        assert_int_equal(host_drain(engine)->count, 0);
    }
    return answer;
}

static void run(const vector *vector, int tokens, int at_exit)
{
    uint64_t delivered = vector->base, recv[3], held = 0, peak = 0;
    const char *at = vector->arrivals;
    int answer = CIRCFLOW_OK;
    setup(NULL);
    world.client_terms.switch_ahead_max = world.exit_terms.switch_ahead_max = UINT32_MAX;
    link_legs(3, at_exit);
    memcpy(recv, vector->base_recv, sizeof(recv));
    if (vector->base != 0) {
        circflow_set_numbers numbers = {0, {0}};
        circflow_leg_numbers rows[3];
        numbers.delivered = vector->base;
        for (size_t i = 0; i < 3; i++) {
            rows[i].circuit = legs[i];
            rows[i].sent = 0;
            rows[i].received = recv[i];
        }
        OK(circflow_set_import(engine, world.now, set, &numbers, rows, 3));
    }
    while (*at != '\0') {
        assert_int_equal(answer, CIRCFLOW_OK); /* Only the last arrival may be a fault. */
        size_t leg = (size_t)(*at++ - 'A');
        unsigned long long value = 1;
        char sort = *at == '+' || *at == '*' ? *at++ : '*';
        if (at[-1] == '+' || at[-1] == '*') {
            char *end;
            value = strtoull(at, &end, 10);
            at = end;
        }
        while (*at == ' ')
            at++;
        if (sort == '+') {
            answer = feed(leg, host_switch(hop, (uint32_t)value));
            recv[leg] += value;
            continue;
        }
        for (; value > 0; value--)
            answer = one_message(leg, ++recv[leg], tokens, &delivered);
        if (answer == CIRCFLOW_OK) {
            circflow_set_stats stats = host_set_stats(engine, set);
            held = stats.held;
            peak = stats.held_peak;
            assert_int_equal(stats.delivered, delivered);
            assert_int_equal(stats.held_bytes, held * (tokens ? 50 : CIRCFLOW_HELD_COST));
        } else if (strcmp(vector->name, "RX-8") == 0) {
            assert_int_equal(host_count(host_drain(engine), CIRCFLOW_INSN_DISCARD), tokens ? 1 : 0);
        }
    }
    if (answer != vector->fault || (vector->delivered != ANY && delivered != vector->delivered))
        fail_msg("%s: answered %d, delivered %llu", vector->name, answer, (unsigned long long)delivered);
    if (vector->fault == CIRCFLOW_OK) {
        assert_int_equal(held, vector->held);
        assert_int_equal(peak, vector->peak);
    }
    circflow_set_stats stats;
    stats.size = sizeof(stats);
    IS(vector->fault == CIRCFLOW_OK ? CIRCFLOW_OK : CIRCFLOW_ERR_STALE_ID, circflow_set_get_stats(engine, set, &stats));
    host_stop(&world);
}

static void every_vector(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++)
        for (int form = 0; form < 4; form++)
            run(&vectors[i], form & 1, form >> 1);
}

static void a_duplicate_is_noticed_though_a_leg_goes_meanwhile(void **state)
{
    circflow_insn insn;
    uint8_t body[CIRCFLOW_BODY_MAX];
    (void)state;
    link_legs(3, 0);
    for (size_t i = 0; i < 3; i++)
        host_room(&world, engine, legs[i], 100, MS);
    expect(0, host_switch(hop, 4), CIRCFLOW_VERDICT_CONSUMED);
    for (int i = 5; i <= 7; i++)
        expect(0, host_data(hop, "mine"), CIRCFLOW_VERDICT_HELD);
    expect(1, host_switch(hop, 5), CIRCFLOW_VERDICT_CONSUMED);
    expect(1, host_data(hop, "mine too"), CIRCFLOW_VERDICT_HELD); /* a second 6 */
    for (int i = 1; i <= 4; i++)
        expect(2, host_data(hop, "first"), CIRCFLOW_VERDICT_DELIVER);
    for (int i = 5; i <= 6; i++) {
        OK(circflow_engine_poll(engine, body, sizeof(body), &insn));
        assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
    }
    /* 7 is ready, and the second 6 is the head of its leg. */
    OK(circflow_circuit_gone(engine, world.now, legs[2]));
    const host_events *events = host_drain(engine);
    if (events->count == 0)
        fail_msg("neither 7 nor the violation: the set is stuck, with %u messages held",
                 (unsigned)host_set_stats(engine, set).held);
    IS(CIRCFLOW_ERR_NUMBER_TWICE, (int)host_first(events, CIRCFLOW_INSN_ENDED)->detail.close.cause);
}

static void a_verdict_never_overtakes(void **state)
{
    const host_events *events;
    (void)state;
    link_legs(2, 0);
    expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    expect(1, host_data(hop, "2"), CIRCFLOW_VERDICT_HELD);
    assert_int_equal(expect(0, host_data(hop, "1"), CIRCFLOW_VERDICT_DELIVER), 1);
    assert_int_equal(host_stats(engine).insns, 1); /* "A whole run of ready messages counts as one." */
    /* 2 is ready and not taken: 3 has to wait behind it. */
    assert_int_equal(expect(1, host_data(hop, "3"), CIRCFLOW_VERDICT_HELD), 3);
    assert_int_equal(host_set_stats(engine, set).delivered, 1);
    events = host_drain(engine);
    assert_int_equal(events->count, 2);
    assert_memory_equal(events->at[0].body, "2", 1);
    assert_memory_equal(events->at[1].body, "3", 1);
    assert_int_equal(expect(1, host_data(hop, "4"), CIRCFLOW_VERDICT_DELIVER), 4);
}

static void set_poll_and_poll_share_the_messages(void **state)
{
    circflow_insn insn;
    uint8_t body[CIRCFLOW_BODY_MAX];
    (void)state;
    link_legs(2, 1);
    expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (int i = 0; i < 6; i++)
        expect(1, host_data(hop, "body"), CIRCFLOW_VERDICT_HELD);
    expect(0, host_data(hop, "first"), CIRCFLOW_VERDICT_DELIVER);
    for (uint64_t number = 2; number <= 7; number++) {
        if (number % 2)
            OK(circflow_set_poll(engine, set, body, sizeof(body), &insn));
        else
            OK(circflow_engine_poll(engine, body, sizeof(body), &insn));
        assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
        assert_int_equal(insn.detail.deliver.number, number);
    }
    OK(circflow_set_poll(engine, set, body, sizeof(body), &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    OK(circflow_engine_poll(engine, body, sizeof(body), &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    assert_int_equal(insn.circuit.v + insn.set.v + insn.set_tag, 0);
    IS(CIRCFLOW_ERR_NULL, circflow_set_poll(engine, set, body, sizeof(body), NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_set_poll(engine, set, NULL, 1, &insn));
}

/* What is lent stays while more is fed, and other slots come and go; then it is given back. */
static void a_lent_body_stays_until_the_next(void **state)
{
    circflow_insn insn;
    circflow_engine_stats stats = {.size = sizeof(stats)};
    uint8_t copy[CIRCFLOW_BODY_MAX];
    const uint8_t *lent, *other;
    (void)state;
    link_legs(2, 1);
    expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (int i = 2; i <= 4; i++)
        expect(1, host_data(hop, i == 2 ? "two" : i == 3 ? "three" : "four"), CIRCFLOW_VERDICT_HELD);
    OK(circflow_set_poll_lent(engine, set, &lent, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    assert_null(lent);
    expect(0, host_data(hop, "one"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_set_poll_lent(engine, set, &lent, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
    assert_int_equal(insn.detail.deliver.number, 2);
    assert_int_equal(insn.detail.deliver.body_len, 3);
    assert_memory_equal(lent, "two", 3);
    for (int i = 0; i < 200; i++) {
        expect(1, host_data(hop, "xxxxxx"), CIRCFLOW_VERDICT_HELD);
        if (i == 50)
            OK(circflow_engine_trim(engine, NULL));
    }
    OK(circflow_set_poll(engine, set, copy, sizeof(copy), &insn));
    assert_memory_equal(copy, "three", 5);
    assert_memory_equal(lent, "two", 3);
    OK(circflow_engine_get_stats(engine, &stats));
    assert_int_equal(stats.held, 201);
    IS(CIRCFLOW_ERR_NULL, circflow_set_poll_lent(engine, set, NULL, &insn));
    IS(CIRCFLOW_ERR_NULL, circflow_set_poll_lent(engine, set, &other, NULL));
    assert_memory_equal(lent, "two", 3);
    for (uint64_t number = 4; number <= 204; number++) {
        OK(circflow_set_poll_lent(engine, set, &lent, &insn));
        assert_int_equal(insn.detail.deliver.number, number);
        assert_memory_equal(lent, number == 4 ? "four" : "xxxxxx", insn.detail.deliver.body_len);
    }
    /* Neither the next call nor a drain leaves a slot behind. */
    OK(circflow_set_poll_lent(engine, set, &lent, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    OK(circflow_engine_trim(engine, NULL));
    OK(circflow_engine_get_stats(engine, &stats));
    assert_int_equal(stats.held + stats.pool_bytes, 0);
}

/* A drain lends, too: what the host still had of it is its own no more, and no slot is lost. */
static void a_drain_takes_a_lent_body_back(void **state)
{
    circflow_insn insn;
    circflow_engine_stats stats = {.size = sizeof(stats)};
    const uint8_t *lent;
    (void)state;
    link_legs(2, 1);
    for (int round = 0; round < 3; round++) {
        expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
        expect(1, host_data(hop, "b"), CIRCFLOW_VERDICT_HELD);
        expect(1, host_data(hop, "c"), CIRCFLOW_VERDICT_HELD);
        if (round > 0)
            expect(0, host_switch(hop, 2), CIRCFLOW_VERDICT_CONSUMED);
        expect(0, host_data(hop, "a"), CIRCFLOW_VERDICT_DELIVER);
        OK(circflow_set_poll_lent(engine, set, &lent, &insn));
        assert_memory_equal(lent, "b", 1);
        host_drain(engine);
    }
    OK(circflow_engine_trim(engine, NULL));
    OK(circflow_engine_get_stats(engine, &stats));
    assert_int_equal(stats.held + stats.pool_bytes, 0);
}

static void too_small_takes_nothing(void **state)
{
    circflow_insn insn;
    uint8_t body[CIRCFLOW_BODY_MAX], full[CIRCFLOW_BODY_MAX];
    (void)state;
    link_legs(2, 0);
    for (size_t i = 0; i < sizeof(full); i++)
        full[i] = (uint8_t)(i * 7);
    expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    expect(1, host_message(CIRCFLOW_CMD_DATA, hop, 7, full, sizeof(full)), CIRCFLOW_VERDICT_HELD);
    expect(1, host_message(CIRCFLOW_CMD_DATA, hop, 8, full, sizeof(full)), CIRCFLOW_VERDICT_HELD);
    expect(0, host_data(hop, "first"), CIRCFLOW_VERDICT_DELIVER);
    insn.kind = 99;
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(engine, body, sizeof(body) - 1, &insn));
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(engine, NULL, 0, &insn));
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_set_poll(engine, set, body, sizeof(body) - 1, &insn));
    assert_int_equal(insn.kind, 99);
    assert_int_equal(host_set_stats(engine, set).delivered, 1);
    OK(circflow_engine_poll(engine, body, sizeof(body), &insn));
    assert_int_equal(insn.detail.deliver.body_len, sizeof(full));
    assert_memory_equal(body, full, sizeof(full));
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_set_poll(engine, set, body, 0, &insn));
    OK(circflow_set_poll(engine, set, body, sizeof(body), &insn));
    assert_int_equal(insn.detail.deliver.stream_id, 8);
}

static void switch_by_zero_is_tolerated_sixteen_times(void **state)
{
    (void)state;
    link_legs(1, 1);
    for (int i = 0; i < 16; i++) {
        expect(0, host_switch(hop, 0), CIRCFLOW_VERDICT_CONSUMED);
        expect(0, host_data(hop, "x"), CIRCFLOW_VERDICT_DELIVER);
    }
    IS(CIRCFLOW_ERR_SWITCH_ZERO, feed(0, host_switch(hop, 0)));
    IS(CIRCFLOW_ERR_SWITCH_ZERO, (int)host_first(host_drain(engine), CIRCFLOW_INSN_CLOSE)->detail.close.cause);
}

static void switches_without_messages_are_bounded(void **state)
{
    (void)state;
    link_legs(3, 0);
    /* One on each leg is what a sender that changes its mind can do; one more it cannot. */
    for (size_t i = 0; i < 3; i++)
        expect(i, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    IS(CIRCFLOW_ERR_SWITCH_REPEATED, feed(1, host_switch(hop, 1)));
    assert_int_equal(host_count(host_drain(engine), CIRCFLOW_INSN_CLOSE), 3);
}

static void switch_bodies(void **state)
{
    uint8_t body[CIRCFLOW_BODY_MAX + 1];
    const size_t lengths[] = {0, 1, 3, 4, 5, CIRCFLOW_BODY_MAX, CIRCFLOW_BODY_MAX + 1};
    (void)state;
    for (size_t i = 0; i < COUNT(lengths); i++) {
        setup(NULL);
        link_legs(2, 1);
        memset(body, 0, sizeof(body));
        body[3] = 2;
        circflow_message message = host_message(CIRCFLOW_CMD_SWITCH, hop, 0, body, lengths[i]);
        if (lengths[i] < 4) {
            IS(CIRCFLOW_ERR_BAD_SWITCH, feed(1, message));
        } else if (lengths[i] > CIRCFLOW_BODY_MAX) {
            IS(CIRCFLOW_ERR_INVALID, feed(1, message));
            assert_int_equal(host_set_stats(engine, set).switches_received, 0);
        } else {
            expect(1, message, CIRCFLOW_VERDICT_CONSUMED);
            assert_int_equal(expect(1, host_data(hop, "x"), CIRCFLOW_VERDICT_HELD), 3);
            assert_int_equal(host_set_stats(engine, set).switches_received, 1);
        }
        if (i + 1 < COUNT(lengths))
            host_stop(&world);
    }
    circflow_message message = host_switch(hop, 1);
    message.stream_id = 9;
    IS(CIRCFLOW_ERR_BAD_STREAM_ID, feed(0, message));
}

static void switch_too_far_at_its_bound(void **state)
{
    (void)state;
    for (uint32_t over = 0; over < 2; over++) {
        setup(NULL);
        world.client_terms.switch_ahead_max = 1000;
        link_legs(2, 0);
        for (int i = 0; i < 5; i++)
            expect(0, host_data(hop, "x"), CIRCFLOW_VERDICT_DELIVER);
        if (over)
            IS(CIRCFLOW_ERR_SWITCH_TOO_FAR, feed(1, host_switch(hop, 1006)));
        else
            expect(1, host_switch(hop, 1005), CIRCFLOW_VERDICT_CONSUMED);
        if (!over)
            host_stop(&world);
    }
}

static void wrong_hop_closes_unless_the_pipe_leaks(void **state)
{
    static const uint8_t conflux[] = {CIRCFLOW_CMD_LINK, CIRCFLOW_CMD_LINKED, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_CMD_SWITCH};
    (void)state;
    for (int leaky = 0; leaky < 2; leaky++) {
        for (size_t i = 0; i <= COUNT(conflux); i++) {
            setup(NULL);
            world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS | (leaky ? CIRCFLOW_CIRCUIT_LEAKY_PIPE : 0);
            link_legs(2, 0);
            circflow_message message = host_data(HOST_HOPS - 1, "x");
            if (i < COUNT(conflux))
                message = host_message(conflux[i], HOST_HOPS - 1, 0, "12345", 5);
            if (i == COUNT(conflux) && leaky)
                assert_int_equal(expect(0, message, CIRCFLOW_VERDICT_DELIVER), 0);
            else
                IS(CIRCFLOW_ERR_WRONG_HOP, feed(0, message));
            if (leaky && i == COUNT(conflux)) {
                /* It did not count. */
                assert_int_equal(expect(0, host_data(hop, "x"), CIRCFLOW_VERDICT_DELIVER), 1);
                break; /* teardown() stops this one */
            }
            host_stop(&world);
        }
    }
}

static void messages_on_a_leg_that_is_not_linked(void **state)
{
    (void)state;
    link_legs(1, 0);
    host_launch(&world, 3);
    expect(1, host_message(CIRCFLOW_CMD_SENDME, hop, 0, NULL, 0), CIRCFLOW_VERDICT_DELIVER);
    IS(CIRCFLOW_ERR_UNLINKED_DATA, feed(1, host_data(hop, "x")));
    IS(CIRCFLOW_ERR_UNEXPECTED_SWITCH, feed(2, host_switch(hop, 1)));
    IS(CIRCFLOW_ERR_CLOSING, feed(2, host_switch(hop, 1)));
    /* Only those circuits go. */
    const host_events *events = host_drain(engine);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 2);
    assert_int_equal(host_set_stats(engine, set).legs, 2);
    /* A circuit in no set knows no SWITCH, and its messages have no number. */
    circflow_circuit_id alone = host_open(&world, engine, CIRCFLOW_ROLE_CLIENT);
    assert_int_equal(host_expect(&world, engine, alone, host_data(hop, "x"), CIRCFLOW_VERDICT_DELIVER), 0);
    IS(CIRCFLOW_ERR_UNEXPECTED_SWITCH, host_feed(&world, engine, alone, host_switch(hop, 1)));
}

static void what_is_not_multiplexed_stays_on_its_leg(void **state)
{
    circflow_message message;
    circflow_verdict verdict;
    (void)state;
    link_legs(3, 1);
    message = host_message(CIRCFLOW_CMD_BEGIN_DIR, hop, 5, NULL, 0);
    OK(circflow_circuit_receive(engine, world.now, legs[0], &message, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_REFUSE);
    assert_int_equal(verdict.end_reason, 14);
    assert_int_equal(verdict.number, 0);
    expect(0, host_message(CIRCFLOW_CMD_DROP, hop, 0, "xyz", 3), CIRCFLOW_VERDICT_CONSUMED); /* A client may pad. */
    assert_int_equal(expect(0, host_message(41, hop, 0, "\0\2\0\0\0\0\0\1", 8), CIRCFLOW_VERDICT_CONSUMED), 0);
    assert_int_equal(expect(0, host_message(CIRCFLOW_CMD_SENDME, hop, 0, NULL, 0), CIRCFLOW_VERDICT_DELIVER), 0);
    assert_int_equal(expect(0, host_data(hop, "x"), CIRCFLOW_VERDICT_DELIVER), 1);
    /* Each of these closes its circuit; no SENDMEs are in the air to save a set that was never reported. */
    for (size_t i = 0; i < 3; i++)
        host_room(&world, engine, legs[i], 100, MS);
    IS(CIRCFLOW_ERR_STREAM_SENDME, feed(1, host_message(CIRCFLOW_CMD_SENDME, hop, 7, NULL, 0)));
    IS(CIRCFLOW_ERR_BAD_STREAM_ID, feed(2, host_message(CIRCFLOW_CMD_DATA, hop, 0, "x", 1)));
    assert_int_equal(host_count(host_drain(engine), CIRCFLOW_INSN_CLOSE), 2);
    IS(CIRCFLOW_ERR_BAD_STREAM_ID, feed(0, host_message(CIRCFLOW_CMD_DROP, hop, 7, NULL, 0)));
}

static void every_multiplexed_command_counts(void **state)
{
    static const uint8_t commands[] = {CIRCFLOW_CMD_BEGIN,   CIRCFLOW_CMD_DATA,     CIRCFLOW_CMD_END,  CIRCFLOW_CMD_CONNECTED,
                                       CIRCFLOW_CMD_RESOLVE, CIRCFLOW_CMD_RESOLVED, CIRCFLOW_CMD_XOFF, CIRCFLOW_CMD_XON};
    size_t multiplexed = 0;
    (void)state;
    link_legs(1, 1);
    for (size_t i = 0; i < COUNT(commands); i++) {
        assert_int_equal(expect(0, host_message(commands[i], hop, 3, "x", 1), CIRCFLOW_VERDICT_DELIVER), i + 1);
        assert_int_equal(circflow_command_is_multiplexed(commands[i]), 1);
    }
    for (int command = 0; command < 256; command++)
        multiplexed += circflow_command_is_multiplexed((uint8_t)command);
    assert_int_equal(multiplexed, COUNT(commands));
}

static void caps_on_held_bytes(void **state)
{
    const uint64_t cap = 3 * CIRCFLOW_HELD_COST;
    (void)state;
    /* What three messages cost, against a cap one below, at and above it, for a set and for the engine. */
    for (int which = 0; which < 6; which++) {
        uint64_t bound = cap - 1 + (uint64_t)(which % 3);
        int of_engine = which >= 3;
        setup(NULL);
        *(of_engine ? &world.engine_config.held_bytes_max : &world.client_terms.held_bytes_max) = bound;
        link_legs(2, 0);
        expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
        expect(1, host_data(hop, "x"), CIRCFLOW_VERDICT_HELD);
        expect(1, host_data(hop, "x"), CIRCFLOW_VERDICT_HELD);
        int fault = of_engine ? CIRCFLOW_ERR_ENGINE_MEMORY : CIRCFLOW_ERR_SET_MEMORY;
        if (bound >= cap) {
            expect(1, host_data(hop, "x"), CIRCFLOW_VERDICT_HELD);
            assert_int_equal(host_stats(engine).held_bytes, cap);
        }
        IS(fault, feed(1, host_data(hop, "x")));
        const host_events *events = host_drain(engine);
        assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 2);
        IS(fault, (int)host_first(events, CIRCFLOW_INSN_CLOSE)->detail.close.cause);
        assert_int_equal(host_first(events, CIRCFLOW_INSN_CLOSE)->detail.close.reason, 5);
        assert_int_equal(host_stats(engine).held_bytes, 0);
        if (which < 5)
            host_stop(&world);
    }
}

static void a_set_that_may_hold_nothing(void **state)
{
    (void)state;
    world.client_terms.held_bytes_max = 0;
    link_legs(2, 0);
    expect(0, host_data(hop, "x"), CIRCFLOW_VERDICT_DELIVER);
    expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    expect(1, host_data(hop, "x"), CIRCFLOW_VERDICT_DELIVER);
    expect(0, host_switch(hop, 2), CIRCFLOW_VERDICT_CONSUMED);
    IS(CIRCFLOW_ERR_SET_MEMORY, feed(0, host_data(hop, "x")));
}

static void an_engine_that_may_hold_nothing(void **state)
{
    (void)state;
    world.engine_config.held_bytes_max = 0;
    link_legs(2, 0);
    expect(0, host_data(hop, "in order"), CIRCFLOW_VERDICT_DELIVER);
    expect(1, host_switch(hop, 2), CIRCFLOW_VERDICT_CONSUMED);
    IS(CIRCFLOW_ERR_ENGINE_MEMORY, feed(1, host_data(hop, "early")));
    const host_events *events = host_drain(engine);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 2);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_ENDED), 1);
}

static void messages_outlive_their_leg(void **state)
{
    const host_events *events;
    (void)state;
    link_legs(3, 1);
    for (size_t i = 0; i < 3; i++)
        host_room(&world, engine, legs[i], 100, MS);
    expect(1, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    expect(1, host_data(hop, "two"), CIRCFLOW_VERDICT_HELD);
    expect(2, host_switch(hop, 2), CIRCFLOW_VERDICT_CONSUMED);
    expect(2, host_data(hop, "three"), CIRCFLOW_VERDICT_HELD);
    OK(circflow_circuit_gone(engine, world.now, legs[1]));
    expect(0, host_data(hop, "one"), CIRCFLOW_VERDICT_DELIVER);
    events = host_drain(engine);
    assert_int_equal(events->count, 2);
    assert_memory_equal(events->at[0].body, "two", 3);
    assert_int_equal(events->at[0].insn.circuit.v, 0);
    assert_int_equal(events->at[0].insn.circuit_tag, 0);
    assert_memory_equal(events->at[1].body, "three", 5);
    assert_int_equal(events->at[1].insn.circuit.v, legs[2].v);
}

static void arguments_are_checked(void **state)
{
    circflow_message message;
    circflow_verdict verdict;
    (void)state;
    link_legs(1, 0);
    message = host_data(17, "x");
    IS(CIRCFLOW_ERR_INVALID, feed(0, message));
    /* The body and the form of a message are checked when they matter. */
    expect(0, host_switch(hop, 1), CIRCFLOW_VERDICT_CONSUMED);
    message = host_data(hop, "x");
    message.form = 2;
    IS(CIRCFLOW_ERR_INVALID, feed(0, message));
    message = host_data(hop, "x");
    message.body_len = CIRCFLOW_BODY_MAX + 1;
    IS(CIRCFLOW_ERR_INVALID, feed(0, message));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_receive(engine, world.now, legs[0], NULL, &verdict));
    message = host_data(hop, "x");
    message.body = NULL;
    IS(CIRCFLOW_ERR_INVALID, feed(0, message));
    message = host_data(hop, "x");
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_receive(engine, world.now, legs[0], &message, NULL));
    assert_int_equal(expect(0, message, CIRCFLOW_VERDICT_HELD), 2); /* None of them counted. */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector),
        TEST(a_duplicate_is_noticed_though_a_leg_goes_meanwhile),
        TEST(a_verdict_never_overtakes),
        TEST(set_poll_and_poll_share_the_messages),
        TEST(a_lent_body_stays_until_the_next),
        TEST(a_drain_takes_a_lent_body_back),
        TEST(too_small_takes_nothing),
        TEST(switch_by_zero_is_tolerated_sixteen_times),
        TEST(switches_without_messages_are_bounded),
        TEST(switch_bodies),
        TEST(switch_too_far_at_its_bound),
        TEST(wrong_hop_closes_unless_the_pipe_leaks),
        TEST(messages_on_a_leg_that_is_not_linked),
        TEST(what_is_not_multiplexed_stays_on_its_leg),
        TEST(every_multiplexed_command_counts),
        TEST(caps_on_held_bytes),
        TEST(a_set_that_may_hold_nothing),
        TEST(an_engine_that_may_hold_nothing),
        TEST(messages_outlive_their_leg),
        TEST(arguments_are_checked),
    };
    return cmocka_run_group_tests_name("receive", tests, NULL, NULL);
}
