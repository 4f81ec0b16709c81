/* Many messages in one call: the same as one after the other, and clear about where it ended. */

#include "host.h"

#include <stdio.h>

HOST_WORLD(host_clear)

static void fill(circflow_arrival *arrival, circflow_circuit_id circuit, circflow_message message)
{
    memset(arrival, 0, sizeof(*arrival));
    arrival->circuit = circuit;
    arrival->message = message;
}

/* --- Where it ends --- */

static void all_are_taken_or_it_says_how_many(void **state)
{
    (void)state;
    circflow_arrival arrivals[5];
    size_t taken = 99;
    host_linked(&world, 2);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 3), CIRCFLOW_VERDICT_CONSUMED);
    circflow_message too_long = host_data(HOST_HOPS, "");
    too_long.body_len = CIRCFLOW_BODY_MAX + 1;
    fill(&arrivals[0], world.client_leg[0], host_data(HOST_HOPS, "next"));
    fill(&arrivals[1], world.client_leg[1], host_data(HOST_HOPS, "too early"));
    fill(&arrivals[2], world.client_leg[0], too_long);
    fill(&arrivals[3], world.client_leg[0], host_data(HOST_HOPS, "the one after that"));
    fill(&arrivals[4], world.client_leg[0], host_message(CIRCFLOW_CMD_SENDME, HOST_HOPS, 0, NULL, 0));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_receive_many(world.client, world.now, arrivals, 5, &taken));
    assert_int_equal(taken, 2);
    assert_int_equal(arrivals[0].verdict.kind, CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(arrivals[0].verdict.number, 1);
    assert_int_equal(arrivals[1].verdict.kind, CIRCFLOW_VERDICT_HELD);
    assert_int_equal(arrivals[1].verdict.number, 4);
    assert_int_equal(arrivals[3].verdict.kind, 0); /* It was not looked at. */
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 1);

    /* The rest, from the message behind that one. */
    OK(circflow_circuit_receive_many(world.client, world.now, arrivals + 3, 2, &taken));
    assert_int_equal(taken, 2);
    assert_int_equal(arrivals[3].verdict.number, 2);
    assert_int_equal(arrivals[4].verdict.kind, CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(arrivals[4].verdict.number, 0);
}

static void it_ends_where_the_set_does(void **state)
{
    (void)state;
    circflow_arrival arrivals[3];
    size_t taken = 99;
    host_linked(&world, 2);
    fill(&arrivals[0], world.client_leg[0], host_data(HOST_HOPS, "first"));
    fill(&arrivals[1], world.client_leg[1], host_data(HOST_HOPS, "first again"));
    fill(&arrivals[2], world.client_leg[0], host_data(HOST_HOPS, "second"));
    IS(CIRCFLOW_ERR_NUMBER_STALE, circflow_circuit_receive_many(world.client, world.now, arrivals, 3, &taken));
    assert_int_equal(taken, 1);
    IS(CIRCFLOW_ERR_CLOSING, circflow_circuit_receive_many(world.client, world.now, arrivals + 2, 1, &taken));
    assert_int_equal(taken, 0);
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_CLOSE), 2);
}

static void nothing_is_a_call_too(void **state)
{
    (void)state;
    size_t taken = 99;
    circflow_arrival arrival;
    circflow_engine *closed = NULL;
    host_linked(&world, 1);
    OK(circflow_circuit_receive_many(world.client, world.now, NULL, 0, &taken));
    assert_int_equal(taken, 0);
    taken = 99;
    fill(&arrival, world.client_leg[0], host_data(HOST_HOPS, "x"));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_receive_many(world.client, world.now, NULL, 1, &taken));
    assert_int_equal(taken, 0);
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_receive_many(world.client, world.now, &arrival, 1, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_receive_many(closed, world.now, &arrival, 1, &taken));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_receive_many(closed, world.now, NULL, 0, &taken));
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 0);
    /* The failures before do not shut the door. */
    OK(circflow_circuit_receive_many(world.client, world.now, &arrival, 1, &taken));
    assert_int_equal(taken, 1);
}

/* --- The same as one after the other --- */

static uint64_t seed;

static uint32_t below(uint32_t end)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % end;
}

/* A message that may come: mostly DATA in order or too early, sometimes wrong. */
static circflow_message any_message(char text[32])
{
    static uint64_t tokens;
    static const uint8_t long_body[CIRCFLOW_BODY_MAX + 1];
    snprintf(text, 32, "text %u", below(1000000));
    circflow_message message = host_message(CIRCFLOW_CMD_DATA, HOST_HOPS, 7, text, strlen(text));
    switch (below(400)) {
    case 0: message.command = (uint8_t)below(256); break;
    case 1: message.stream_id = 0; break;
    case 2: message.hop = (uint8_t)below(20); break;
    case 3: message.body_len = (uint16_t)(CIRCFLOW_BODY_MAX + below(2)); message.body = long_body; break;
    case 4: message.body = NULL; break;
    case 5: message.form = (uint8_t)below(4); break;
    case 6:
    case 7:
    case 8: message = host_message(CIRCFLOW_CMD_SENDME, HOST_HOPS, 0, NULL, 0); break;
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
        message.form = CIRCFLOW_FORM_TOKEN;
        message.token = ++tokens;
        message.cost_bytes = 100;
        break;
    default: break;
    }
    return message;
}

static void same_events(const host_events *one, circflow_engine *other_engine)
{
    static host_events kept;
    kept = *one;
    const host_events *other = host_drain(other_engine);
    assert_int_equal(kept.count, other->count);
    for (size_t i = 0; i < kept.count; i++) {
        const circflow_insn *a = &kept.at[i].insn, *b = &other->at[i].insn;
        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->circuit.v, b->circuit.v);
        if (a->kind != CIRCFLOW_INSN_DELIVER)
            continue;
        assert_int_equal(a->detail.deliver.number, b->detail.deliver.number);
        assert_int_equal(a->detail.deliver.token, b->detail.deliver.token);
        assert_int_equal(a->detail.deliver.body_len, b->detail.deliver.body_len);
        assert_memory_equal(kept.at[i].body, other->at[i].body, a->detail.deliver.body_len);
    }
}

/* What the sender has put on its two legs and has not arrived: 0 for DATA, else a SWITCH by so much. */
static struct {
    uint32_t items[2][64];
    size_t count[2];
    uint64_t sent, last[2];
    size_t leg;
} way;

static void put(uint32_t item)
{
    way.items[way.leg][way.count[way.leg]++] = item;
}

/* The next that arrives on a leg. */
static uint32_t arrive(size_t leg)
{
    while (way.count[leg] == 0) {
        if (way.leg != leg ? way.count[way.leg] > 40 || below(3) == 0 : way.sent == 0) {
            way.leg = leg;
            if (way.sent != way.last[leg])
                put((uint32_t)(way.sent - way.last[leg]));
        }
        put(0);
        way.last[way.leg] = ++way.sent;
    }
    uint32_t first = way.items[leg][0];
    memmove(way.items[leg], way.items[leg] + 1, --way.count[leg] * sizeof(first));
    return first;
}

/* Two legs and a circuit alone. */
static circflow_circuit_id open_twin(host_world *twin)
{
    memset(twin, 0, sizeof(*twin));
    host_linked(twin, 2);
    circflow_circuit_id alone = host_open(twin, twin->client, CIRCFLOW_ROLE_CLIENT);
    return alone;
}

enum { BATCH_MAX = 20, BATCHES = 40, SEEDS = 150 };

/* How often each kind of thing happened, so that none is left out. */
static size_t delivered, held, consumed, refused, ready;

static void run_twins(host_world *one, host_world *many)
{
    circflow_circuit_id circuits[2][3];
    memset(&way, 0, sizeof(way));
    circuits[0][2] = open_twin(one);
    circuits[1][2] = open_twin(many);
    memcpy(circuits[0], one->client_leg, 2 * sizeof(circuits[0][0]));
    memcpy(circuits[1], many->client_leg, 2 * sizeof(circuits[1][0]));
    for (size_t batch = 0; batch < BATCHES; batch++) {
        circflow_arrival arrivals[BATCH_MAX];
        circflow_verdict verdicts[BATCH_MAX];
        enum circflow_status statuses[BATCH_MAX];
        char texts[BATCH_MAX][32];
        uint8_t switches[BATCH_MAX][4];
        size_t count = 1 + below(BATCH_MAX), at = 0;
        memset(verdicts, 0, sizeof(verdicts));
        one->now = many->now += below(4) * MS * below(300);
        for (size_t i = 0; i < count; i++) {
            uint32_t which = below(8) == 0 ? 2 : below(2);
            circflow_message message = any_message(texts[i]);
            uint32_t delta = which == 2 ? 0 : below(1500) == 0 ? below(2) : arrive(which);
            if (delta != 0) {
                memcpy(switches[i], (const uint8_t[]){0, 0, 0, (uint8_t)delta}, 4);
                message = host_message(CIRCFLOW_CMD_SWITCH, HOST_HOPS, 0, switches[i], 4);
                message.body = switches[i];
            }
            if (message.body != NULL && message.command == CIRCFLOW_CMD_DATA && message.body_len < 32)
                message.body = (const uint8_t *)texts[i];
            fill(&arrivals[i], circuits[1][which], message);
            statuses[i] = circflow_circuit_receive(one->client, one->now, circuits[0][which], &message, &verdicts[i]);
        }
        while (at < count) {
            size_t taken = 0;
            enum circflow_status status =
                circflow_circuit_receive_many(many->client, many->now, arrivals + at, count - at, &taken);
            for (size_t i = at; i < at + taken; i++)
                assert_int_equal(statuses[i], CIRCFLOW_OK);
            at += taken;
            assert_true((status == CIRCFLOW_OK) == (at == count));
            if (status != CIRCFLOW_OK)
                assert_int_equal(statuses[at++], status);
            refused += status != CIRCFLOW_OK;
        }
        for (size_t i = 0; i < count; i++) {
            assert_memory_equal(&verdicts[i], &arrivals[i].verdict, sizeof(verdicts[i]));
            delivered += verdicts[i].kind == CIRCFLOW_VERDICT_DELIVER;
            held += verdicts[i].kind == CIRCFLOW_VERDICT_HELD;
            consumed += verdicts[i].kind == CIRCFLOW_VERDICT_CONSUMED;
        }
        const host_events *events = host_drain(one->client);
        ready += host_count(events, CIRCFLOW_INSN_DELIVER);
        same_events(events, many->client);
    }
    circflow_engine_stats a = host_stats(one->client), b = host_stats(many->client);
    assert_memory_equal(&a, &b, sizeof(a));
    host_stop(one);
    host_stop(many);
}

static void as_one_after_the_other(void **state)
{
    static host_world one, many;
    (void)state;
    delivered = held = consumed = refused = ready = 0;
    for (seed = 1; seed <= SEEDS; seed++) {
        uint64_t kept = seed;
        run_twins(&one, &many);
        seed = kept;
    }
    print_message("%zu delivered, %zu held, %zu consumed, %zu refused, %zu made ready\n", delivered, held, consumed, refused,
                  ready);
    assert_true(delivered > 1000 && held > 1000 && consumed > 100 && refused > 100 && ready > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_are_taken_or_it_says_how_many, setup, teardown),
        cmocka_unit_test_setup_teardown(it_ends_where_the_set_does, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_a_call_too, setup, teardown),
        cmocka_unit_test(as_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
