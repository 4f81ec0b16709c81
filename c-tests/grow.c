/* Circuits that get longer after they were opened: what stays of the hops that were there, what holds for the new one,
 * and what is refused and changes nothing. */

#include "host.h"

#define CLIENT world.client
#define INC 31    /* cc_sendme_inc */
#define WINDOW 124 /* cc_cwnd_init */
#define OLD HOST_HOPS
#define NEW (HOST_HOPS + 1)
#define HOPS_MAX 16

static host_world world;
static const circflow_set_id no_set = {0};
static circflow_circuit_id circuit;
static circflow_extension_config more;

static int setup(void **state)
{
    (void)state;
    host_prepare(&world);
    world.client_circuit.flags = HOST_RUN;
    host_start(&world);
    OK(circflow_extension_config_init(&more, sizeof(more)));
    more.join_point = 99;
    return 0;
}

HOST_TEARDOWN

static circflow_circuit_id open_long(uint8_t hops)
{
    world.client_circuit.hops = hops;
    circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    world.client_circuit.hops = HOST_HOPS;
    return circuit;
}

static int extend(circflow_circuit_id which) { return circflow_circuit_extend(CLIENT, world.now, which, &more); }

static int extend_to(uint8_t hops)
{
    int got;
    more.hops = hops;
    got = extend(circuit);
    more.hops = 0;
    return got;
}

/* Fails unless this is the circuit's last hop. */
static void ends_at(circflow_circuit_id which, uint8_t hop)
{
    circflow_verdict verdict;
    circflow_message control = host_message(CIRCFLOW_CMD_DROP, hop, 0, NULL, 0);
    OK(circflow_circuit_send(CLIENT, world.now, which, &control, &verdict));
    OK(circflow_circuit_cell_queued(CLIENT, world.now, which, CIRCFLOW_CMD_DROP, hop));
    control.hop = (uint8_t)(hop + 1);
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_send(CLIENT, world.now, which, &control, &verdict));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_cell_queued(CLIENT, world.now, which, CIRCFLOW_CMD_DROP, (uint8_t)(hop + 1)));
}

static void by_one_hop_or_more_up_to_the_longest(void **state)
{
    static const struct { uint8_t from, to, want; } good[] = {
        {1, 0, 2}, {1, 2, 2}, {1, HOPS_MAX, HOPS_MAX}, {3, 0, 4}, {3, 5, 5}, {3, HOPS_MAX - 1, HOPS_MAX - 1},
        {HOPS_MAX - 1, 0, HOPS_MAX}, {HOPS_MAX - 1, HOPS_MAX, HOPS_MAX},
    }, bad[] = {
        {1, 1, 1}, {3, 3, 3}, {3, 2, 3}, {3, 1, 3}, {3, HOPS_MAX + 1, 3}, {3, 255, 3},
        {HOPS_MAX, 0, HOPS_MAX}, {HOPS_MAX, HOPS_MAX, HOPS_MAX}, {HOPS_MAX, HOPS_MAX + 1, HOPS_MAX},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        open_long(good[i].from);
        OK(extend_to(good[i].to));
        ends_at(circuit, good[i].want);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        open_long(bad[i].from);
        IS(CIRCFLOW_ERR_INVALID, extend_to(bad[i].to));
        ends_at(circuit, bad[i].want);
    }
    open_long(1);
    for (uint8_t hop = 2; hop <= HOPS_MAX; hop++) {
        OK(extend(circuit));
        ends_at(circuit, hop);
    }
    IS(CIRCFLOW_ERR_INVALID, extend(circuit));
}

static int with(circflow_extension_config config, circflow_circuit_id which)
{
    return circflow_circuit_extend(CLIENT, world.now, which, &config);
}

static void what_is_refused_changes_nothing(void **state)
{
    circflow_circuit_id relay, leg, gone, plain;
    circflow_extension_config config;
    (void)state;
    open_long(OLD);
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_extend(NULL, world.now, circuit, &more));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_extend(CLIENT, world.now, circuit, NULL));
#define REFUSED(status, field, value)                                                                                  \
    config = more, config.field = (value);                                                                             \
    IS(status, with(config, circuit))
    REFUSED(CIRCFLOW_ERR_VERSION, size, 0);
    REFUSED(CIRCFLOW_ERR_INVALID, reserved, 1);
    REFUSED(CIRCFLOW_ERR_INVALID, path_class, 3);
    REFUSED(CIRCFLOW_ERR_INVALID, flags, 0); /* Circflow runs it: Vegas with all hops, or with none. */
    for (uint32_t bit = 1; bit != 0; bit <<= 1)
        if (bit != CIRCFLOW_CIRCUIT_VEGAS && bit != CIRCFLOW_CIRCUIT_SERVICE) {
            REFUSED(CIRCFLOW_ERR_INVALID, flags, CIRCFLOW_CIRCUIT_VEGAS | bit);
        }
    REFUSED(CIRCFLOW_ERR_INVALID, sendme_inc, INC - 2);
    REFUSED(CIRCFLOW_ERR_INVALID, sendme_inc, INC + 2);
    ends_at(circuit, OLD);
    /* Each within 1 is good. */
    for (uint8_t inc = INC - 1; inc <= INC + 1; inc++) {
        config = more, config.sendme_inc = inc;
        OK(with(config, circuit));
    }
    ends_at(circuit, OLD + 3);

    relay = host_open(&world, CLIENT, CIRCFLOW_ROLE_RELAY);
    IS(CIRCFLOW_ERR_ROLE, extend(relay));
    OK(circflow_circuit_set_flags(CLIENT, relay, CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_EXTENDED));
    IS(CIRCFLOW_ERR_ROLE, extend(relay));

    gone = open_long(OLD);
    OK(circflow_circuit_close(CLIENT, world.now, gone));
    IS(CIRCFLOW_ERR_CLOSING, extend(gone));
    OK(circflow_circuit_gone(CLIENT, world.now, gone));
    IS(CIRCFLOW_ERR_STALE_ID, extend(gone));
    leg.v = 0;
    IS(CIRCFLOW_ERR_ZERO_ID, extend(leg));

    /* What the host runs may have no Vegas with the new hop, and can be no leg then. */
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    plain = open_long(OLD);
    config = more, config.flags = 0, config.sendme_inc = INC + 2; /* The host's, and not looked at. */
    OK(with(config, plain));
    ends_at(plain, NEW);
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    IS(CIRCFLOW_ERR_NO_VEGAS, circflow_set_add_legs(CLIENT, world.now, world.client_set, &plain, 1));
    OK(extend(plain));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, &plain, 1));
}

static void a_leg_is_never_extended(void **state)
{
    circflow_circuit_id building = open_long(OLD), alone;
    (void)state;
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_launch_legs(CLIENT, world.now, world.client_set, &building, 1));
    IS(CIRCFLOW_ERR_IN_SET, extend(building)); /* Launched, */
    ends_at(building, OLD);
    OK(circflow_circuit_built(CLIENT, world.now, building));
    IS(CIRCFLOW_ERR_IN_SET, extend(building)); /* pending, */
    OK(circflow_circuit_gone(CLIENT, world.now, building));
    host_drain(CLIENT);
    world.client_set.v = 0; /* It ended with its last leg. */
    world.exit_circuit.flags = HOST_RUN;
    host_launch(&world, 1);
    host_carry(&world);
    IS(CIRCFLOW_ERR_IN_SET, extend(world.client_leg[0])); /* and linked. */
    IS(CIRCFLOW_ERR_IN_SET, circflow_circuit_extend(world.exit, world.now, world.exit_leg[0], &more));
    OK(circflow_set_dissolve(CLIENT, world.now, world.client_set, &alone));
    OK(extend(alone));
    ends_at(alone, NEW);
}

/* DATA on a stream of the client's; cell number n of its hop gives tag n. Answers how many wanted one. */
static size_t send_on(circflow_stream_id on, uint8_t hop, uint64_t first, size_t count)
{
    size_t wanted = 0;
    for (uint64_t n = first; n < first + count; n++) {
        circflow_verdict verdict;
        OK(host_stream_send(&world, CLIENT, on, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
        if (verdict.flags & CIRCFLOW_WANTS_DIGEST) {
            OK(circflow_circuit_add_digest(CLIENT, circuit, hop, host_digest(n), 20));
            wanted++;
        }
    }
    return wanted;
}

static void is_full(circflow_stream_id on)
{
    circflow_verdict verdict;
    IS(CIRCFLOW_ERR_NO_ROOM, host_stream_send(&world, CLIENT, on, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
}

static void windows_of_old_hops_stay_and_the_new_one_has_its_own(void **state)
{
    circflow_stream_id old, new;
    circflow_circuit_stats stats;
    (void)state;
    open_long(OLD);
    old = host_begun(&world, CLIENT, no_set, circuit, OLD, 7);
    send_on(old, OLD, 1, 100);
    stats = host_circuit_stats(CLIENT, circuit);
    assert_int_equal(stats.inflight, 100);
    OK(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_ONION, "cc_cwnd_init", 62));
    OK(extend(circuit));
    stats = host_circuit_stats(CLIENT, circuit);
    assert_int_equal(stats.cwnd, 0); /* The last hop's, which is another. */
    assert_int_equal(stats.inflight, 0);
    assert_int_equal(stats.streams, 1);
    send_on(old, OLD, 101, WINDOW - 100);
    is_full(old);
    new = host_begun(&world, CLIENT, no_set, circuit, NEW, 7); /* The same id: another hop's. */
    send_on(new, NEW, 1, 62);
    is_full(new);
    stats = host_circuit_stats(CLIENT, circuit);
    assert_int_equal(stats.cwnd, 62);
    assert_int_equal(stats.inflight, 62);
    assert_int_equal(stats.streams, 2);
    /* A SENDME makes room at its own hop only. */
    host_expect(&world, CLIENT, circuit, host_sendme(OLD, host_digest(INC), 20), CIRCFLOW_VERDICT_CONSUMED);
    send_on(old, OLD, WINDOW + 1, INC);
    is_full(new);
    host_expect(&world, CLIENT, circuit, host_sendme(NEW, host_digest(INC), 20), CIRCFLOW_VERDICT_CONSUMED);
    send_on(new, NEW, 63, INC);
    /* A hop that is not there has none. */
    IS(CIRCFLOW_ERR_INVALID, host_feed(&world, CLIENT, circuit, host_sendme(NEW + 1, host_digest(1), 20)));
}

/* DATA for stream 7 of a hop; answers how many SENDMEs follow, each to that hop. */
static size_t receive_from(uint8_t hop, size_t count)
{
    size_t sendmes = 0;
    for (size_t n = 0; n < count; n++) {
        circflow_message data = host_with_digest(host_data(hop, "x"), n);
        const host_events *events;
        host_expect(&world, CLIENT, circuit, data, CIRCFLOW_VERDICT_DELIVER);
        events = host_drain(CLIENT);
        for (size_t i = 0; i < events->count; i++) {
            assert_int_equal(events->at[i].insn.kind, CIRCFLOW_INSN_SEND);
            assert_int_equal(events->at[i].insn.detail.send.command, CIRCFLOW_CMD_SENDME);
            assert_int_equal(events->at[i].insn.detail.send.hop, hop);
            sendmes++;
        }
    }
    return sendmes;
}

static void each_hop_has_its_own_increment(void **state)
{
    circflow_stream_id streams[NEW + 2];
    static const uint8_t incs[NEW + 2] = {0, INC - 1, INC - 1, INC - 1, INC + 1, INC};
    (void)state;
    world.client_circuit.sendme_inc = INC - 1;
    open_long(OLD);
    host_begun(&world, CLIENT, no_set, circuit, OLD, 7);
    assert_int_equal(receive_from(OLD, 10), 0);
    more.sendme_inc = INC + 1;
    OK(extend(circuit));
    assert_int_equal(receive_from(OLD, INC - 12), 0); /* What was counted stays counted. */
    assert_int_equal(receive_from(OLD, 1), 1);
    more.sendme_inc = 0;
    OK(extend(circuit));
    /* Hops 1 and 2 are used for the first time only now. */
    for (uint8_t hop = 1; hop <= NEW + 1; hop++) {
        if (hop != OLD)
            host_begun(&world, CLIENT, no_set, circuit, hop, 7);
        streams[hop] = host_begun(&world, CLIENT, no_set, circuit, hop, 8);
        assert_int_equal(receive_from(hop, incs[hop] - 1u), 0);
        assert_int_equal(receive_from(hop, 1), 1);
        assert_int_equal(send_on(streams[hop], hop, 1, incs[hop] - 1u), 0);
        assert_int_equal(send_on(streams[hop], hop, incs[hop], 1), 1);
        host_expect(&world, CLIENT, circuit, host_sendme(hop, host_digest(incs[hop]), 20), CIRCFLOW_VERDICT_CONSUMED);
    }
}

static void streams_of_old_hops_go_on(void **state)
{
    circflow_stream_id old, next;
    circflow_stream_config config;
    circflow_verdict verdict;
    (void)state;
    open_long(OLD);
    config = host_stream_config(no_set, circuit, NEW, 7);
    IS(CIRCFLOW_ERR_INVALID, circflow_stream_open(CLIENT, world.now, &config, &next));
    old = host_begun(&world, CLIENT, no_set, circuit, OLD, 7);
    OK(circflow_stream_set_readable(CLIENT, old, 1));
    OK(extend(circuit));
    OK(circflow_stream_choose(CLIENT, world.now, no_set, circuit, &next, NULL));
    assert_int_equal(next.v, old.v);
    host_expect(&world, CLIENT, circuit, host_message(CIRCFLOW_CMD_CONNECTED, OLD, 7, NULL, 0), CIRCFLOW_VERDICT_DELIVER);
    host_expect(&world, CLIENT, circuit, host_data(OLD, "x"), CIRCFLOW_VERDICT_DELIVER);
    OK(host_stream_send(&world, CLIENT, old, CIRCFLOW_CMD_END, "\6", 1, &verdict));
    /* It is remembered at its hop, and its id is free at the other. */
    config = host_stream_config(no_set, circuit, OLD, 7);
    IS(CIRCFLOW_ERR_STREAM_EXISTS, circflow_stream_open(CLIENT, world.now, &config, &next));
    host_begun(&world, CLIENT, no_set, circuit, NEW, 7);
    /* It has carried streams: no leg. */
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    IS(CIRCFLOW_ERR_HAS_STREAMS, circflow_set_add_legs(CLIENT, world.now, world.client_set, &circuit, 1));
    /* From a hop where no stream is, nothing may come. */
    IS(CIRCFLOW_ERR_UNKNOWN_STREAM, host_feed(&world, CLIENT, circuit, host_data(2, "x")));
}

static void padders_of_old_hops_stay_and_see_what_passes(void **state)
{
    circflow_padding_config config;
    circflow_padding_stats before, after;
    (void)state;
    open_long(OLD);
    for (uint8_t hop = 2; hop <= OLD; hop++)
        host_pad(&world, CLIENT, circuit, "bench-idle", hop, 0);
    config = host_padding_config(CLIENT, "bench-idle", NEW, 0);
    IS(CIRCFLOW_ERR_INVALID, circflow_padding_install(CLIENT, world.now, circuit, &config));
    OK(circflow_circuit_cell_queued(CLIENT, world.now, circuit, CIRCFLOW_CMD_DROP, OLD));
    before = host_pad_stats(CLIENT, circuit, OLD, 0);
    assert_int_equal(before.normal_sent, 1);
    OK(extend(circuit));
    after = host_pad_stats(CLIENT, circuit, OLD, 0);
    assert_memory_equal(&before, &after, sizeof(before));
    OK(circflow_padding_install(CLIENT, world.now, circuit, &config));
    OK(circflow_circuit_cell_queued(CLIENT, world.now, circuit, CIRCFLOW_CMD_DROP, NEW));
    for (uint8_t hop = 2; hop <= NEW; hop++)
        assert_int_equal(host_pad_stats(CLIENT, circuit, hop, 0).normal_sent, hop == NEW ? 1 : 2);
    host_begun(&world, CLIENT, no_set, circuit, NEW, 7); /* BEGIN counts, too. */
    host_expect(&world, CLIENT, circuit, host_data(NEW, "x"), CIRCFLOW_VERDICT_DELIVER);
    for (uint8_t hop = 2; hop <= NEW; hop++)
        assert_int_equal(host_pad_stats(CLIENT, circuit, hop, 0).normal_received, 1);
}

static void messages_that_wait_go_to_their_hop(void **state)
{
    circflow_message data = host_data(OLD, "old");
    const host_events *events;
    (void)state;
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    open_long(OLD);
    host_shut(&world, CLIENT, circuit, 2);
    host_circuit_sends(&world, CLIENT, circuit, data, CIRCFLOW_VERDICT_HELD);
    OK(extend(circuit));
    data = host_data(NEW, "new");
    host_circuit_sends(&world, CLIENT, circuit, data, CIRCFLOW_VERDICT_HELD);
    events = host_later(&world, CLIENT, SECOND);
    assert_int_equal(events->count, 2);
    host_is_data(&events->at[0], circuit, OLD, "old");
    host_is_data(&events->at[1], circuit, NEW, "new");
}

/* LINKED_ACK waits to be sent when the leg is taken out, and gets longer: it is for the exit it was linked with. */
static void control_that_waits_goes_to_its_hop(void **state)
{
    circflow_circuit_id alone;
    const circflow_insn *insn;
    (void)state;
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    host_launch(&world, 1);
    host_drain(CLIENT);
    host_expect(&world, CLIENT, world.client_leg[0],
                host_linkish(CIRCFLOW_CMD_LINKED, OLD, world.client_terms.nonce, 0, 0, 0), CIRCFLOW_VERDICT_CONSUMED);
    OK(circflow_set_dissolve(CLIENT, world.now, world.client_set, &alone));
    OK(extend(alone));
    insn = host_first(host_drain(CLIENT), CIRCFLOW_INSN_SEND);
    assert_int_equal(insn->detail.send.command, CIRCFLOW_CMD_LINKED_ACK);
    assert_int_equal(insn->detail.send.hop, OLD);
}

static void legs_fit_by_the_length_they_have_now(void **state)
{
    circflow_circuit_id legs[3], other;
    const host_events *events;
    uint8_t linked_from[] = {OLD, NEW};
    (void)state;
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    for (size_t i = 0; i < COUNT(legs); i++)
        legs[i] = open_long(OLD);
    OK(extend(legs[0]));
    IS(CIRCFLOW_ERR_LEG_MISMATCH, circflow_set_add_legs(CLIENT, world.now, world.client_set, legs, 2));
    OK(extend(legs[1]));
    more.join_point = 98;
    OK(extend(legs[2]));
    more.join_point = 99;
    IS(CIRCFLOW_ERR_LEG_MISMATCH, circflow_set_add_legs(CLIENT, world.now, world.client_set, legs, 3));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, legs, 2));
    other = open_long(OLD); /* As long as they were. */
    IS(CIRCFLOW_ERR_LEG_MISMATCH, circflow_set_add_legs(CLIENT, world.now, world.client_set, &other, 1));
    events = host_drain(CLIENT);
    assert_int_equal(events->count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(events->at[i].insn.detail.send.hop, NEW); /* LINK. */
    /* The hop that was the last is one on the way. */
    for (size_t i = 0; i < 2; i++) {
        circflow_message linked = host_linkish(CIRCFLOW_CMD_LINKED, linked_from[i], world.client_terms.nonce, 0, 0, 0);
        IS(linked_from[i] == NEW ? CIRCFLOW_OK : CIRCFLOW_ERR_WRONG_HOP, host_feed(&world, CLIENT, legs[i], linked));
    }
    host_drain(CLIENT);
    assert_int_equal(host_expect(&world, CLIENT, legs[1], host_data(NEW, "x"), CIRCFLOW_VERDICT_DELIVER), 1);
    IS(CIRCFLOW_ERR_WRONG_HOP, host_feed(&world, CLIENT, legs[1], host_data(OLD, "x")));
}

static void a_leaky_pipe_at_an_old_hop_does_not_count(void **state)
{
    circflow_circuit_id leg;
    circflow_verdict verdict;
    circflow_message data = host_data(NEW, "x");
    (void)state;
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_LEAKY_PIPE;
    leg = open_long(OLD);
    OK(extend(leg));
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_adopt_leg(CLIENT, world.now, world.client_set, leg, 0, MS));
    host_room(&world, CLIENT, leg, 10, MS);
    assert_int_equal(host_expect(&world, CLIENT, leg, host_data(OLD, "x"), CIRCFLOW_VERDICT_DELIVER), 0);
    assert_int_equal(host_expect(&world, CLIENT, leg, host_data(NEW, "x"), CIRCFLOW_VERDICT_DELIVER), 1);
    OK(circflow_set_send(CLIENT, world.now, world.client_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.number, 1);
    data.hop = OLD;
    IS(CIRCFLOW_ERR_INVALID, circflow_set_send(CLIENT, world.now, world.client_set, &data, NULL, 0, &verdict));
    host_circuit_sends(&world, CLIENT, leg, data, CIRCFLOW_VERDICT_SEND);
}

static void only_the_last_hop_opens_streams_to_a_service(void **state)
{
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, NEW, 7, "host:80", 8);
    (void)state;
    open_long(OLD);
    OK(extend(circuit));
    IS(CIRCFLOW_ERR_UNEXPECTED_COMMAND, host_feed(&world, CLIENT, circuit, begin));
    more.flags |= CIRCFLOW_CIRCUIT_SERVICE;
    for (uint8_t hop = 1; hop <= NEW; hop++) {
        open_long(OLD);
        OK(extend(circuit));
        begin.hop = hop;
        IS(hop == NEW ? CIRCFLOW_OK : CIRCFLOW_ERR_UNEXPECTED_COMMAND, host_feed(&world, CLIENT, circuit, begin));
    }
    /* A flag of the hop that was the last goes with it. */
    more.flags = CIRCFLOW_CIRCUIT_VEGAS;
    OK(extend(circuit));
    begin.stream_id = 8;
    IS(CIRCFLOW_ERR_UNEXPECTED_COMMAND, host_feed(&world, CLIENT, circuit, begin));
}

static void extends_in_the_callback(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)userdata;
    (void)body;
    if (insn->kind == CIRCFLOW_INSN_SEND)
        OK(extend(circuit));
}

static void it_may_be_said_from_drains_callback(void **state)
{
    circflow_circuit_id leg = open_long(OLD);
    (void)state;
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, &leg, 1));
    open_long(OLD);
    OK(circflow_engine_drain(CLIENT, 10, NULL, extends_in_the_callback, NULL));
    ends_at(circuit, NEW);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(by_one_hop_or_more_up_to_the_longest),
        TEST(what_is_refused_changes_nothing),
        TEST(a_leg_is_never_extended),
        TEST(windows_of_old_hops_stay_and_the_new_one_has_its_own),
        TEST(each_hop_has_its_own_increment),
        TEST(streams_of_old_hops_go_on),
        TEST(padders_of_old_hops_stay_and_see_what_passes),
        TEST(messages_that_wait_go_to_their_hop),
        TEST(control_that_waits_goes_to_its_hop),
        TEST(legs_fit_by_the_length_they_have_now),
        TEST(a_leaky_pipe_at_an_old_hop_does_not_count),
        TEST(only_the_last_hop_opens_streams_to_a_service),
        TEST(it_may_be_said_from_drains_callback),
    };
    return cmocka_run_group_tests_name("grow", tests, NULL, NULL);
}
