/* Sets of onion services (R7): a client and a service, each with circflow, whose circuits meet behind a rendezvous point.
 * The join point is a virtual hop at both ends; the service answers LINK, and the client opens streams to it. Every
 * message between the two goes through here; the rendezvous points add nothing. */

#include "host.h"

#define CLIENT world.client
#define NEAR (HOST_HOPS + 1) /* The virtual hop as the client counts, */
#define FAR (HOST_HOPS + 2)  /* and the service. */
#define LEGS 3

static host_world world;
static circflow_hub *hub;
static const circflow_circuit_id no_circuit = {0};
/* Engines of the service: both in a hub, or the first alone. */
static circflow_engine *service[2];
static circflow_circuit_id near_end[LEGS], far_end[LEGS];
static circflow_engine *engine_of[LEGS];
static size_t leg_count;
/* What came in order, and the stream that was opened to the service. */
static char at_client[512], at_service[512];
static circflow_stream_id opened;
static circflow_set_id service_set;
static size_t sendmes;

static void start(uint32_t run, int spread)
{
    world.client_circuit.flags = run;
    world.engine_config.engine_number = 1;
    OK(circflow_engine_new(&world.engine_config, &world.client));
    if (spread)
        hub = host_hub(0);
    for (size_t i = 0; i < (spread ? 2 : 1); i++)
        service[i] = host_exit(&world, 10 + (uint32_t)i, hub, host_no_wake, NULL);
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
}

static int setup(void **state)
{
    (void)state;
    host_prepare(&world);
    hub = NULL;
    service[0] = service[1] = NULL;
    leg_count = sendmes = 0;
    at_client[0] = at_service[0] = 0;
    opened.v = service_set.v = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_stop(&world);
    for (size_t i = 0; i < 2; i++)
        OK(circflow_engine_free(service[i], NULL, NULL));
    OK(circflow_hub_free(hub));
    return 0;
}

static circflow_circuit_id open_and_extend(circflow_engine *engine, uint8_t hops, uint32_t flags, uint64_t join)
{
    circflow_circuit_config config = world.client_circuit;
    circflow_extension_config more;
    circflow_circuit_id circuit;
    config.hops = hops;
    config.tag = 1000 + leg_count;
    OK(circflow_circuit_open(engine, world.now, &config, &circuit));
    OK(circflow_extension_config_init(&more, sizeof(more)));
    more.join_point = join;
    more.flags = flags;
    OK(circflow_circuit_extend(engine, world.now, circuit, &more));
    return circuit;
}

/* Circuits of both ends that meet at a rendezvous point; the last on the service's other engine, if it has one. */
static void meet(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        engine_of[leg_count] = service[1] != NULL && i == count - 1 ? service[1] : service[0];
        near_end[leg_count] = open_and_extend(CLIENT, NEAR - 1, CIRCFLOW_CIRCUIT_VEGAS, 99);
        far_end[leg_count] =
            open_and_extend(engine_of[leg_count], FAR - 1, CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_SERVICE, 42);
        leg_count++;
    }
}

static void came(int to_client, uint8_t command, circflow_stream_id stream, const uint8_t *body, size_t len)
{
    char *text = to_client ? at_client : at_service;
    if (command == CIRCFLOW_CMD_DATA)
        strncat(text, (const char *)body, len);
    else if (command == CIRCFLOW_CMD_END)
        strcat(text, "|");
    else if (command == CIRCFLOW_CMD_BEGIN && !to_client)
        opened = stream;
}

/* Takes a message from one end of a leg to the other. */
static void carry(size_t leg, int to_client, uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len)
{
    /* All cells have one digest. */
    circflow_message message =
        host_with_digest(host_message(command, to_client ? NEAR : FAR, stream_id, body, len), 0);
    circflow_verdict verdict;
    sendmes += command == CIRCFLOW_CMD_SENDME;
    OK(circflow_circuit_receive(to_client ? CLIENT : engine_of[leg], world.now,
                                to_client ? near_end[leg] : far_end[leg], &message, &verdict));
    if (verdict.kind == CIRCFLOW_VERDICT_DELIVER)
        came(to_client, command, verdict.stream, body, len);
}

static size_t leg_of(int is_client, circflow_circuit_id circuit)
{
    for (size_t leg = 0; leg < leg_count; leg++)
        if ((is_client ? near_end : far_end)[leg].v == circuit.v)
            return leg;
    fail();
    return 0;
}

static void add_digest(int is_client, circflow_engine *engine, circflow_circuit_id circuit, uint32_t flags)
{
    if (flags & CIRCFLOW_WANTS_DIGEST)
        OK(circflow_circuit_add_digest(engine, circuit, is_client ? NEAR : FAR, host_digest(0), 20));
}

static size_t obey(circflow_engine *engine)
{
    static host_events batch;
    int is_client = engine == CLIENT;
    OK(circflow_engine_tick(engine, world.now));
    batch = *host_drain(engine);
    for (size_t i = 0; i < batch.count; i++) {
        const circflow_insn *insn = &batch.at[i].insn;
        const circflow_insn_send *send = &insn->detail.send;
        const circflow_insn_deliver *deliver = &insn->detail.deliver;
        switch (insn->kind) {
        case CIRCFLOW_INSN_SEND:
            assert_int_equal(send->hop, is_client ? NEAR : FAR);
            add_digest(is_client, engine, insn->circuit, insn->flags);
            carry(leg_of(is_client, insn->circuit), !is_client, send->command, send->stream_id, batch.at[i].body,
                  send->body_len);
            break;
        case CIRCFLOW_INSN_DELIVER:
            came(is_client, deliver->command, insn->stream, batch.at[i].body, deliver->body_len);
            break;
        case CIRCFLOW_INSN_LINKED:
            if (!is_client)
                service_set = insn->set;
            break;
        case CIRCFLOW_INSN_CLOSE:
            fail_msg("%s", circflow_status_name(insn->detail.close.cause));
            break;
        default:
            break;
        }
    }
    return batch.count;
}

static void settle(void)
{
    size_t moved = 1;
    while (moved > 0) {
        world.now += MS;
        moved = obey(CLIENT) + obey(service[0]) + (service[1] != NULL ? obey(service[1]) : 0);
    }
}

static void link_legs(size_t count)
{
    meet(count);
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, near_end, count));
    settle();
    settle(); /* What crosses between engines needs a turn of its own. */
    assert_int_equal(host_set_stats(CLIENT, world.client_set).usable, 1);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).legs, count);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).legs_unlinked, 0);
    assert_int_equal(host_set_stats(service[0], service_set).usable, 1);
    assert_int_equal(host_set_stats(service[0], service_set).legs, count);
    assert_int_equal(host_set_stats(service[0], service_set).legs_unlinked, 0);
}

/* A message of a stream, from one end to the other. */
static void say(int is_client, circflow_stream_id stream, uint8_t command, uint16_t stream_id, const char *text)
{
    circflow_engine *engine = is_client ? CLIENT : service[0];
    circflow_message message = host_message(command, 0, 0, text, strlen(text));
    circflow_verdict verdict;
    OK(circflow_stream_send(engine, world.now, stream, &message, &verdict));
    if (verdict.kind == CIRCFLOW_VERDICT_SEND) {
        size_t leg = leg_of(is_client, verdict.circuit);
        add_digest(is_client, engine, verdict.circuit, verdict.flags);
        if (verdict.switch_delta != 0) {
            circflow_message first = host_switch(0, verdict.switch_delta);
            carry(leg, !is_client, CIRCFLOW_CMD_SWITCH, 0, first.body, 4);
        }
        carry(leg, !is_client, command, stream_id, (const uint8_t *)text, strlen(text));
    } else {
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD); /* On its way to the other engine. */
    }
}

static circflow_stream_id begin(uint16_t stream_id)
{
    circflow_stream_id stream = host_stream(&world, CLIENT, world.client_set, no_circuit, NEAR, stream_id);
    opened.v = 0;
    say(1, stream, CIRCFLOW_CMD_BEGIN, stream_id, "host:80");
    settle();
    assert_int_not_equal(opened.v, 0);
    say(0, opened, CIRCFLOW_CMD_CONNECTED, stream_id, "");
    settle();
    return stream;
}

/* Both directions, more than a SENDME's worth, then an end from each side. */
static void talk(void)
{
    char want[512] = "";
    circflow_stream_id mine = begin(7), theirs = opened;
    for (size_t i = 0; i < 200; i++) {
        char text[2] = {(char)('a' + i % 26), 0};
        strcat(want, text);
        say(1, mine, CIRCFLOW_CMD_DATA, 7, text);
        say(0, theirs, CIRCFLOW_CMD_DATA, 7, text);
        if (i % 10 == 0)
            settle();
    }
    settle();
    settle();
    assert_string_equal(at_service, want);
    assert_string_equal(at_client, want);
    assert_true(sendmes >= 2 * (200 / 31 - (LEGS - 1)));
    say(0, theirs, CIRCFLOW_CMD_END, 7, "\6");
    settle();
    strcat(want, "|");
    assert_string_equal(at_client, want);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).streams, 0);
    assert_int_equal(host_set_stats(service[0], service_set).streams, 0);
}

static void a_client_opens_streams_through_a_set_to_a_service(void **state)
{
    (void)state;
    start(HOST_RUN, 0);
    link_legs(2);
    talk();
}

static void a_services_set_has_legs_on_two_engines(void **state)
{
    (void)state;
    start(HOST_RUN, 1);
    link_legs(LEGS);
    talk();
}

static void what_is_late_for_a_stream_that_the_service_ended_harms_nothing(void **state)
{
    circflow_stream_id mine;
    circflow_verdict verdict;
    circflow_message end = host_message(CIRCFLOW_CMD_END, 0, 0, "\6", 1);
    (void)state;
    start(HOST_RUN, 0);
    link_legs(1);
    mine = begin(7);
    OK(circflow_stream_send(service[0], world.now, opened, &end, &verdict));
    say(1, mine, CIRCFLOW_CMD_DATA, 7, "late"); /* END is on its way. */
    settle();
    assert_string_equal(at_service, "");
    carry(0, 1, CIRCFLOW_CMD_END, 7, (const uint8_t *)"\6", 1);
    assert_string_equal(at_client, "|");
    begin(9);
    say(0, opened, CIRCFLOW_CMD_DATA, 9, "on");
    assert_string_equal(at_client, "|on");
}

static void nobody_opens_streams_to_the_client(void **state)
{
    (void)state;
    start(HOST_RUN, 0);
    link_legs(1);
    IS(CIRCFLOW_ERR_UNEXPECTED_COMMAND,
       host_feed(&world, CLIENT, near_end[0], host_message(CIRCFLOW_CMD_BEGIN, NEAR, 7, "host:80", 8)));
}

static int link_on(circflow_circuit_id circuit, uint8_t hop)
{
    return host_feed(&world, service[0], circuit,
                     host_linkish(CIRCFLOW_CMD_LINK, hop, world.client_terms.nonce, 0, 0, 0));
}

/* Run by circflow, and by the host. */
static void link_comes_from_the_last_hop_of_a_service(void **state)
{
    static const uint32_t runs[] = {HOST_RUN, CIRCFLOW_CIRCUIT_VEGAS};
    const uint32_t vegas = CIRCFLOW_CIRCUIT_VEGAS, serves = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_SERVICE;
    (void)state;
    for (size_t i = 0; i < COUNT(runs); i++) {
        int runs_it = runs[i] == HOST_RUN;
        circflow_circuit_id circuit;
        start(runs[i], 0);
        circuit = open_and_extend(service[0], FAR - 1, vegas, 42);
        IS(runs_it ? CIRCFLOW_ERR_UNEXPECTED_COMMAND : CIRCFLOW_ERR_UNEXPECTED_LINK, link_on(circuit, FAR));
        for (uint8_t hop = 1; hop < FAR; hop++) {
            circuit = open_and_extend(service[0], FAR - 1, serves, 42);
            IS(runs_it ? CIRCFLOW_ERR_UNEXPECTED_COMMAND : CIRCFLOW_ERR_WRONG_HOP, link_on(circuit, hop));
        }
        /* R9: it has carried a stream. */
        circuit = open_and_extend(service[0], FAR - 1, serves, 42);
        OK(host_feed(&world, service[0], circuit, host_message(CIRCFLOW_CMD_BEGIN, FAR, 7, "host:80", 8)));
        IS(CIRCFLOW_ERR_UNFIT_LINK, link_on(circuit, FAR));
        circuit = open_and_extend(service[0], FAR - 1, serves, 42);
        OK(circflow_engine_accept_sets(service[0], NULL));
        IS(CIRCFLOW_ERR_CONFLUX_OFF, link_on(circuit, FAR));
        OK(circflow_engine_accept_sets(service[0], &world.exit_terms));
        circuit = open_and_extend(service[0], FAR - 1, serves, 42);
        OK(link_on(circuit, FAR));
        IS(CIRCFLOW_ERR_UNEXPECTED_LINK, link_on(circuit, FAR));
        /* Numbers are the set's from now on, at its hop. */
        circuit = open_and_extend(service[0], FAR - 1, serves, 42);
        OK(link_on(circuit, FAR));
        if (!runs_it)
            assert_int_equal(host_expect(&world, service[0], circuit, host_data(FAR, "x"), CIRCFLOW_VERDICT_DELIVER), 1);
        IS(CIRCFLOW_ERR_WRONG_HOP, host_feed(&world, service[0], circuit, host_data(FAR - 1, "x")));
        host_drain(service[0]);
        OK(circflow_engine_free(service[0], NULL, NULL));
        OK(circflow_engine_free(CLIENT, NULL, NULL));
        service[0] = CLIENT = NULL;
    }
}

/* One process can be exit, and several services: a nonce that is known leads into no set of another kind. */
static void legs_of_one_set_are_alike(void **state)
{
    const uint32_t serves = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_SERVICE;
    circflow_circuit_config exit = world.exit_circuit;
    circflow_circuit_id circuit, first;
    (void)state;
    for (int spread = 0; spread < 2; spread++) {
        circflow_engine *other;
        start(HOST_RUN, spread);
        other = service[spread];
        first = open_and_extend(service[0], FAR - 1, serves, 42);
        OK(link_on(first, FAR));
        service_set = host_first(host_drain(service[0]), CIRCFLOW_INSN_LINKED)->set;
        exit.flags = HOST_RUN;
        for (size_t i = 0; i < 3; i++) {
            uint8_t hop = i == 0 ? 0 : i == 1 ? FAR : FAR + 1;
            const circflow_insn *close;
            int got;
            if (i == 0) /* An exit's; another service's; one that is longer. */
                OK(circflow_circuit_open(other, world.now, &exit, &circuit));
            else
                circuit = open_and_extend(other, hop - 1, serves, i == 1 ? 43 : 42);
            got = host_feed(&world, other, circuit,
                            host_linkish(CIRCFLOW_CMD_LINK, hop, world.client_terms.nonce, 0, 0, 0));
            if (spread) { /* The home's word comes back. */
                OK(got);
                OK(circflow_engine_tick(service[0], world.now));
                OK(circflow_engine_tick(other, world.now));
            } else {
                IS(CIRCFLOW_ERR_UNFIT_LINK, got);
            }
            close = host_close_of(host_drain(other), circuit);
            assert_non_null(close);
            assert_int_equal(close->detail.close.cause, CIRCFLOW_ERR_UNFIT_LINK);
        }
        assert_int_equal(host_set_stats(service[0], service_set).legs, 1);
        /* Nor does a service add legs to a set that its client opened. */
        circuit = open_and_extend(service[0], FAR - 1, CIRCFLOW_CIRCUIT_VEGAS, 42);
        IS(CIRCFLOW_ERR_ROLE, circflow_set_add_legs(service[0], world.now, service_set, &circuit, 1));
        circuit = open_and_extend(other, FAR - 1, serves, 42);
        OK(host_feed(&world, other, circuit,
                     host_linkish(CIRCFLOW_CMD_LINK, FAR, world.client_terms.nonce, 0, 0, 0)));
        OK(circflow_engine_tick(service[0], world.now));
        assert_int_equal(host_set_stats(service[0], service_set).legs, 2);
        if (!spread) {
            OK(circflow_engine_free(service[0], NULL, NULL));
            OK(circflow_engine_free(CLIENT, NULL, NULL));
            service[0] = CLIENT = NULL;
        }
    }
}

static void a_leg_of_a_service_is_never_extended(void **state)
{
    circflow_extension_config more;
    (void)state;
    start(HOST_RUN, 1);
    link_legs(LEGS);
    OK(circflow_extension_config_init(&more, sizeof(more)));
    for (size_t leg = 0; leg < LEGS; leg++)
        IS(CIRCFLOW_ERR_IN_SET, circflow_circuit_extend(engine_of[leg], world.now, far_end[leg], &more));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_client_opens_streams_through_a_set_to_a_service),
        TEST(a_services_set_has_legs_on_two_engines),
        TEST(what_is_late_for_a_stream_that_the_service_ended_harms_nothing),
        TEST(nobody_opens_streams_to_the_client),
        TEST(link_comes_from_the_last_hop_of_a_service),
        TEST(legs_of_one_set_are_alike),
        TEST(a_leg_of_a_service_is_never_extended),
    };
    return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
