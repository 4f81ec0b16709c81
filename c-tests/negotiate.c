/* PADDING_NEGOTIATE and PADDING_NEGOTIATED (padding-spec 3) between a client and a relay, byte by byte. */

#include "host.h"

#define CLIENT world.client
#define RELAY world.exit
#define LEG world.client_leg[0]
#define FAR world.exit_leg[0]
#define NEGOTIATE 41
#define NEGOTIATED 42
#define HOP 2
enum { STOP = 1, START = 2 };
enum { YES = 1, NO = 2 };
enum { NUMBER = 7, OTHER = 200 };

HOST_WORLD(host_begin_pair)

static void again(void)
{
    host_stop(&world);
    host_begin_pair(&world);
}

/* Registers machines (or none) at one end. */
static void enrol(uint8_t role, uint8_t number, const char *machines, uint8_t slot, uint8_t flags)
{
    circflow_engine *engine = role == CIRCFLOW_ROLE_CLIENT ? CLIENT : RELAY;
    circflow_padding_config config =
        host_padding_config(engine, machines, role == CIRCFLOW_ROLE_CLIENT ? HOP : 0, slot);
    config.flags = flags;
    OK(circflow_padding_register(engine, role, number, &config));
    if (machines != NULL)
        OK(circflow_machines_drop(engine, config.machines)); /* The number keeps them. */
}

static void enrol_both(uint8_t number, const char *machines, uint8_t slot)
{
    enrol(CIRCFLOW_ROLE_CLIENT, number, machines, slot, 0);
    enrol(CIRCFLOW_ROLE_RELAY, number, machines, slot, 0);
}

static int start(uint8_t number) { return circflow_padding_start(CLIENT, world.now, LEG, number); }
static int stop(uint8_t number) { return circflow_padding_stop(CLIENT, world.now, LEG, number); }
static int relay_stops(uint8_t number) { return circflow_padding_stop(RELAY, world.now, FAR, number); }

static int has_padder(circflow_engine *engine, uint8_t slot)
{
    circflow_padding_stats stats;
    stats.size = sizeof(stats);
    int client = engine == CLIENT;
    int status = circflow_padding_get_stats(engine, client ? LEG : FAR, client ? HOP : 0, slot, &stats);
    if (status != CIRCFLOW_OK)
        IS(CIRCFLOW_ERR_NO_PADDER, status);
    return status == CIRCFLOW_OK;
}

/* Drains an engine; what says how the relay answered is kept apart. */
static host_events answers;

static const host_events *drain(circflow_engine *engine)
{
    static host_events others;
    const host_events *all = host_drain(engine);
    others.count = 0;
    for (size_t i = 0; i < all->count; i++) {
        host_events *kept = all->at[i].insn.kind == CIRCFLOW_INSN_NEGOTIATED ? &answers : &others;
        kept->at[kept->count++] = all->at[i];
    }
    return &others;
}

static circflow_message question(uint8_t command, uint8_t number, uint8_t counter)
{
    static uint8_t bodies[8][8];
    static size_t next;
    uint8_t *body = bodies[next++ % COUNT(bodies)];
    const uint8_t wants[] = {0, command, number, 0, 0, 0, 0, counter};
    memcpy(body, wants, sizeof(wants));
    return host_message(NEGOTIATE, 0, 0, body, sizeof(wants));
}

static circflow_message reply(uint8_t command, uint8_t response, uint8_t number, uint8_t counter)
{
    circflow_message message = question(command, number, counter);
    uint8_t *body = (uint8_t *)(uintptr_t)message.body;
    body[2] = response;
    body[3] = number;
    message.command = NEGOTIATED;
    message.hop = HOP;
    return message;
}

/* Fails unless this is an instruction to send just this message. */
static void is_message(const host_event *event, circflow_message message)
{
    int to_relay = message.command == NEGOTIATE;
    assert_int_equal(event->insn.kind, CIRCFLOW_INSN_SEND);
    assert_int_equal(event->insn.circuit.v, to_relay ? LEG.v : FAR.v);
    assert_int_equal(event->insn.circuit_tag, to_relay ? 0xc000 : 0xe000);
    assert_int_equal(event->insn.set.v, 0);
    assert_int_equal(event->insn.detail.send.command, message.command);
    assert_int_equal(event->insn.detail.send.hop, to_relay ? HOP : 0);
    assert_int_equal(event->insn.detail.send.stream_id, 0);
    assert_int_equal(event->insn.detail.send.form, CIRCFLOW_FORM_BYTES);
    assert_int_equal(event->insn.detail.send.number, 0);
    assert_int_equal(event->insn.detail.send.body_len, message.body_len);
    assert_memory_equal(event->body, message.body, message.body_len);
}

/* The engine says just this, and the other end hears it. */
static void says(circflow_engine *engine, circflow_message message)
{
    const host_events *events = drain(engine);
    int to_relay = engine == CLIENT;
    assert_int_equal(events->count, 1);
    is_message(&events->at[0], message);
    host_expect(&world, to_relay ? RELAY : CLIENT, to_relay ? FAR : LEG, message, CIRCFLOW_VERDICT_CONSUMED);
}

static void quiet(circflow_engine *engine) { assert_int_equal(drain(engine)->count, 0); }
static int tell_client(circflow_message message) { return host_feed(&world, CLIENT, LEG, message); }
static int drop_from_relay(void) { return tell_client(host_message(CIRCFLOW_CMD_DROP, HOP, 0, NULL, 0)); }
static void tell_relay(circflow_message message) { host_expect(&world, RELAY, FAR, message, CIRCFLOW_VERDICT_CONSUMED); }

static void run(uint8_t number, uint8_t counter)
{
    OK(start(number));
    says(CLIENT, question(START, number, counter));
    says(RELAY, reply(START, YES, number, counter));
    quiet(CLIENT);
}

static void closes(int want, circflow_message message)
{
    const circflow_insn *close;
    IS(want, tell_client(message));
    close = host_close_of(drain(CLIENT), LEG);
    assert_non_null(close);
    IS(want, (int)close->detail.close.cause);
    assert_int_equal(close->detail.close.reason, 1);
}

static const host_events *tick(circflow_engine *engine, uint64_t ms)
{
    world.now += ms * MS;
    OK(circflow_engine_tick(engine, world.now));
    return drain(engine);
}

static void starts_and_runs(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    assert_false(has_padder(CLIENT, 0));
    OK(start(NUMBER));
    assert_true(has_padder(CLIENT, 0)); /* At once: the client may pad before the answer. */
    IS(CIRCFLOW_ERR_PADDER_EXISTS, start(NUMBER));
    says(CLIENT, question(START, NUMBER, 1));
    assert_true(has_padder(RELAY, 0));
    OK(drop_from_relay()); /* And so may the relay. */
    says(RELAY, reply(START, YES, NUMBER, 1));
    quiet(CLIENT);
    quiet(RELAY);
    /* Each negotiates in cells like any other (CP-11). */
    circflow_padding_stats client = host_pad_stats(CLIENT, LEG, HOP, 0), relay = host_pad_stats(RELAY, FAR, 0, 0);
    assert_int_equal(client.normal_sent, 1);
    assert_int_equal(client.normal_received, 1);
    assert_int_equal(client.padding_received, 1);
    assert_int_equal(relay.normal_sent, 1);
    assert_int_equal(relay.normal_received, 0); /* There was none yet. */
    /* The machines run: the NEGOTIATED above set the client's off. */
    const host_events *events = tick(CLIENT, 10);
    assert_int_equal(events->count, 1);
    host_is_padding(&events->at[0].insn, LEG, HOP, 0, 0);
    host_drop(&world, RELAY, FAR, 0);
    events = tick(RELAY, 10);
    assert_int_equal(events->count, 1);
    host_is_padding(&events->at[0].insn, FAR, 0, 0, 0);
    OK(drop_from_relay());
    assert_int_equal(host_pad_stats(RELAY, FAR, 0, 0).padding_received, 1);
}

static void a_relay_that_says_no(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    enrol_both(OTHER, "pad-00", 1);
    OK(circflow_padding_register(RELAY, CIRCFLOW_ROLE_RELAY, NUMBER, NULL));
    OK(start(NUMBER));
    says(CLIENT, question(START, NUMBER, 1));
    assert_false(has_padder(RELAY, 0));
    says(RELAY, reply(START, NO, NUMBER, 1));
    assert_false(has_padder(CLIENT, 0));
    IS(CIRCFLOW_ERR_PADDING_REFUSED, start(NUMBER));
    IS(CIRCFLOW_ERR_PADDING_REFUSED, start(OTHER)); /* Nothing more on this circuit (CP-8). */
    IS(CIRCFLOW_ERR_NO_PADDER, stop(NUMBER));
    quiet(CLIENT);
    closes(CIRCFLOW_ERR_PADDING_UNEXPECTED, host_message(CIRCFLOW_CMD_DROP, HOP, 0, NULL, 0));
}

/* The client has heard just this, once. */
static void hears(uint8_t number, uint8_t answer)
{
    drain(CLIENT);
    assert_int_equal(answers.count, 1);
    const circflow_insn *insn = &answers.at[0].insn;
    assert_int_equal(insn->circuit.v, LEG.v);
    assert_int_equal(insn->circuit_tag, 0xc000);
    assert_int_equal(insn->detail.negotiated.number, number);
    assert_int_equal(insn->detail.negotiated.hop, HOP);
    assert_int_equal(insn->detail.negotiated.answer, answer);
    assert_int_equal(insn->detail.negotiated.reserved, 0);
    answers.count = 0;
}

static void the_client_is_told_how_the_relay_answered(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    enrol_both(OTHER, "pad-00", 1);
    answers.count = 0;
    OK(start(NUMBER));
    says(CLIENT, question(START, NUMBER, 1));
    says(RELAY, reply(START, YES, NUMBER, 1));
    hears(NUMBER, CIRCFLOW_NEGOTIATED_ACCEPTED);
    OK(stop(NUMBER));
    says(CLIENT, question(STOP, NUMBER, 1));
    says(RELAY, reply(STOP, YES, NUMBER, 1));
    hears(NUMBER, CIRCFLOW_NEGOTIATED_STOPPED);
    run(NUMBER, 2);
    hears(NUMBER, CIRCFLOW_NEGOTIATED_ACCEPTED);
    OK(relay_stops(NUMBER));
    says(RELAY, reply(STOP, YES, NUMBER, 2));
    hears(NUMBER, CIRCFLOW_NEGOTIATED_ENDED);
    OK(circflow_padding_register(RELAY, CIRCFLOW_ROLE_RELAY, OTHER, NULL));
    OK(start(OTHER));
    says(CLIENT, question(START, OTHER, 3));
    says(RELAY, reply(START, NO, OTHER, 3));
    hears(OTHER, CIRCFLOW_NEGOTIATED_REFUSED);
    IS(CIRCFLOW_ERR_PADDING_REFUSED, start(NUMBER));
    /* An answer that nobody asked for is a violation, and no news. The relay itself hears nothing. */
    closes(CIRCFLOW_ERR_BAD_NEGOTIATED, reply(START, YES, OTHER, 3));
    drain(RELAY);
    assert_int_equal(answers.count, 0);
}

static void a_client_stops(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    run(NUMBER, 1);
    OK(stop(NUMBER));
    assert_false(has_padder(CLIENT, 0));
    IS(CIRCFLOW_ERR_NO_PADDER, stop(NUMBER));
    for (int n = 0; n < 1000; n++)
        OK(drop_from_relay()); /* On its way, as long as the relay has not answered. */
    says(CLIENT, question(STOP, NUMBER, 1));
    assert_false(has_padder(RELAY, 0));
    says(RELAY, reply(STOP, YES, NUMBER, 1));
    run(NUMBER, 2);
    OK(stop(NUMBER));
    says(CLIENT, question(STOP, NUMBER, 2));
    says(RELAY, reply(STOP, YES, NUMBER, 2));
    closes(CIRCFLOW_ERR_PADDING_UNEXPECTED, host_message(CIRCFLOW_CMD_DROP, HOP, 0, NULL, 0));
}

/* A relay that never answers STOP has no channel for signals of its own. */
static void after_a_stop_so_much_padding_is_welcome(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    run(NUMBER, 1);
    IS(CIRCFLOW_ERR_INVALID, circflow_padding_remove(CLIENT, world.now, LEG, HOP, 0)); /* Negotiated: stop it. */
    OK(stop(NUMBER));
    for (int n = 0; n < 1000; n++)
        OK(drop_from_relay());
    closes(CIRCFLOW_ERR_PADDING_UNEXPECTED, host_message(CIRCFLOW_CMD_DROP, HOP, 0, NULL, 0));
}

static void a_relay_stops(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    run(NUMBER, 1);
    OK(relay_stops(NUMBER));
    assert_false(has_padder(RELAY, 0));
    IS(CIRCFLOW_ERR_NO_PADDER, relay_stops(NUMBER));
    IS(CIRCFLOW_ERR_NO_PADDER, relay_stops(OTHER));
    says(RELAY, reply(STOP, YES, NUMBER, 1));
    assert_false(has_padder(CLIENT, 0));
    IS(CIRCFLOW_ERR_NO_PADDER, stop(NUMBER));
    run(NUMBER, 2); /* That is no refusal. */
    /* Both at once: neither needs the other's answer. */
    OK(relay_stops(NUMBER));
    OK(stop(NUMBER));
    says(CLIENT, question(STOP, NUMBER, 2));
    says(RELAY, reply(STOP, YES, NUMBER, 2));
    quiet(RELAY);
    run(NUMBER, 3);
}

/* Started again before the relay has answered the stop. */
static void instances_are_told_apart(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    run(NUMBER, 1);
    OK(stop(NUMBER));
    OK(start(NUMBER));
    const host_events *events = drain(CLIENT);
    assert_int_equal(events->count, 2);
    is_message(&events->at[0], question(STOP, NUMBER, 1));
    is_message(&events->at[1], question(START, NUMBER, 2));
    tell_relay(question(STOP, NUMBER, 1));
    tell_relay(question(START, NUMBER, 2));
    events = drain(RELAY);
    assert_int_equal(events->count, 2);
    is_message(&events->at[0], reply(STOP, YES, NUMBER, 1));
    is_message(&events->at[1], reply(START, YES, NUMBER, 2));
    OK(tell_client(reply(STOP, YES, NUMBER, 1)));
    assert_true(has_padder(CLIENT, 0)); /* The second runs on. */
    OK(tell_client(reply(START, YES, NUMBER, 2)));
    assert_true(has_padder(CLIENT, 0));
    /* A stale stop is not for it. */
    tell_relay(question(STOP, NUMBER, 1));
    quiet(RELAY);
    assert_true(has_padder(RELAY, 0));
    tell_relay(question(STOP, NUMBER, 9));
    quiet(RELAY);
    assert_true(has_padder(RELAY, 0));
    tell_relay(question(STOP, OTHER, 2));
    quiet(RELAY);
    /* A second START is answered, names the instance anew and makes nothing new. */
    tell_relay(question(START, NUMBER, 5));
    is_message(&drain(RELAY)->at[0], reply(START, YES, NUMBER, 5));
    tell_relay(question(STOP, NUMBER, 2));
    quiet(RELAY);
    tell_relay(question(STOP, NUMBER, 5));
    is_message(&drain(RELAY)->at[0], reply(STOP, YES, NUMBER, 5));
    assert_false(has_padder(RELAY, 0));
    /* 0 is any instance. */
    tell_relay(question(START, NUMBER, 6));
    tell_relay(question(STOP, NUMBER, 0));
    is_message(&drain(RELAY)->at[1], reply(STOP, YES, NUMBER, 0));
    assert_false(has_padder(RELAY, 0));
}

static void the_counter_goes_on_over_all_numbers(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    enrol_both(OTHER, "pad-01", 1);
    run(NUMBER, 1);
    run(OTHER, 2);
    assert_true(has_padder(RELAY, 0) && has_padder(RELAY, 1));
    OK(stop(OTHER));
    says(CLIENT, question(STOP, OTHER, 2));
    says(RELAY, reply(STOP, YES, OTHER, 2));
    assert_true(has_padder(CLIENT, 0) && !has_padder(CLIENT, 1));
    run(OTHER, 3);
}

static void places_are_taken(void **state)
{
    (void)state;
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, NULL, 0, 0);
    enrol(CIRCFLOW_ROLE_CLIENT, OTHER, NULL, 1, 0);
    enrol(CIRCFLOW_ROLE_RELAY, NUMBER, "pad-00", 0, 0);
    enrol(CIRCFLOW_ROLE_RELAY, OTHER, "pad-00", 0, 0); /* The relay has them in one place. */
    run(NUMBER, 1);
    OK(start(OTHER));
    says(CLIENT, question(START, OTHER, 2));
    says(RELAY, reply(START, NO, OTHER, 2));
    assert_true(has_padder(CLIENT, 0) && !has_padder(CLIENT, 1));
    OK(stop(NUMBER)); /* What runs can still be stopped. */
    says(CLIENT, question(STOP, NUMBER, 1));
    says(RELAY, reply(STOP, YES, NUMBER, 1));
    again();
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, NULL, 0, 0);
    enrol(CIRCFLOW_ROLE_CLIENT, OTHER, NULL, 0, 0);
    OK(start(NUMBER));
    IS(CIRCFLOW_ERR_PADDER_EXISTS, start(OTHER));
    host_pad(&world, CLIENT, LEG, NULL, HOP, 1);
    circflow_padding_config config = host_padding_config(CLIENT, NULL, HOP, 0);
    IS(CIRCFLOW_ERR_PADDER_EXISTS, circflow_padding_install(CLIENT, world.now, LEG, &config));
    config.slot = 1;
    IS(CIRCFLOW_ERR_PADDER_EXISTS, circflow_padding_install(CLIENT, world.now, LEG, &config));
    assert_int_equal(drain(CLIENT)->count, 1);
}

/* What a relay says that was not asked for could be a signal. */
static void a_client_believes_no_other_answer(void **state)
{
    static const uint8_t bodies[][8] = {
        {1, START, YES, NUMBER, 0, 0, 0, 1}, /* Another version. */
        {0, 0, YES, NUMBER, 0, 0, 0, 1},   {0, 3, YES, NUMBER, 0, 0, 0, 1},     {0, START, 0, NUMBER, 0, 0, 0, 1},
        {0, START, 3, NUMBER, 0, 0, 0, 1}, {0, START, YES, OTHER, 0, 0, 0, 1},  {0, START, YES, NUMBER, 0, 0, 0, 2},
        {0, STOP, YES, NUMBER, 0, 0, 0, 2}, {0, START, YES, NUMBER, 1, 0, 0, 1}, {0, START, NO, OTHER, 0, 0, 0, 1},
    };
    circflow_message message;
    (void)state;
    for (size_t i = 0; i < COUNT(bodies); i++) {
        again();
        enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, "pad-00", 0, 0);
        OK(start(NUMBER));
        drain(CLIENT);
        closes(CIRCFLOW_ERR_BAD_NEGOTIATED, host_message(NEGOTIATED, HOP, 0, bodies[i], 8));
    }
    for (size_t len = 0; len < 8; len++) {
        again();
        enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, "pad-00", 0, 0);
        OK(start(NUMBER));
        drain(CLIENT);
        message = reply(START, YES, NUMBER, 1);
        message.body_len = (uint16_t)len;
        closes(CIRCFLOW_ERR_BAD_NEGOTIATED, message);
    }
    /* From another hop; twice; after the end; never asked. */
    for (int i = 0; i < 4; i++) {
        again();
        enrol_both(NUMBER, "pad-00", 0);
        if (i < 3)
            run(NUMBER, 1);
        message = reply(START, YES, NUMBER, 1);
        if (i == 0) {
            message = reply(STOP, YES, NUMBER, 1);
            message.hop = 3;
        }
        if (i == 2) {
            OK(relay_stops(NUMBER));
            says(RELAY, reply(STOP, YES, NUMBER, 1));
            message = reply(STOP, YES, NUMBER, 1);
        }
        closes(CIRCFLOW_ERR_BAD_NEGOTIATED, message);
    }
    /* A longer body is one of a later version. */
    again();
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, "pad-00", 0, 0);
    OK(start(NUMBER));
    uint8_t longer[11] = {0, START, YES, NUMBER, 0, 0, 0, 1, 5, 6, 7};
    OK(tell_client(host_message(NEGOTIATED, HOP, 0, longer, sizeof(longer))));
    /* A client is not asked. */
    message = question(START, NUMBER, 1);
    message.hop = HOP;
    closes(CIRCFLOW_ERR_PADDING_UNEXPECTED, message);
}

/* What a relay cannot read it drops, and says nothing (CP-9). */
static void a_relay_drops_what_it_cannot_read(void **state)
{
    static const uint8_t bodies[][8] = {
        {1, START, NUMBER, 0, 0, 0, 0, 1}, {0, 0, NUMBER, 0, 0, 0, 0, 1},   {0, 3, NUMBER, 0, 0, 0, 0, 1},
        {0, 255, NUMBER, 0, 0, 0, 0, 1},   {0, START, NUMBER, 2, 0, 0, 0, 1},
    };
    circflow_message message;
    (void)state;
    enrol(CIRCFLOW_ROLE_RELAY, NUMBER, "pad-00", 0, 0);
    for (size_t i = 0; i < COUNT(bodies); i++)
        tell_relay(host_message(NEGOTIATE, 0, 0, bodies[i], 8));
    for (uint16_t len = 0; len < 8; len++) {
        message = question(START, NUMBER, 1);
        message.body_len = len;
        tell_relay(message);
    }
    tell_relay(reply(START, YES, NUMBER, 1)); /* A relay is not answered. */
    quiet(RELAY);
    assert_false(has_padder(RELAY, 0));
    assert_int_equal(host_stats(RELAY).peer_faults, 0);
    uint8_t longer[9] = {0, START, NUMBER, 1, 0, 0, 0, 1, 99};
    tell_relay(host_message(NEGOTIATE, 0, 0, longer, sizeof(longer)));
    is_message(&drain(RELAY)->at[0], reply(START, YES, NUMBER, 1));
    assert_true(has_padder(RELAY, 0));
}

static void machines_that_end_are_stopped(void **state)
{
    const host_events *events;
    (void)state;
    for (int flags = 0; flags < 2; flags++) {
        again();
        enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, NULL, 0, 0);
        enrol(CIRCFLOW_ROLE_RELAY, NUMBER, "once", 0, flags ? CIRCFLOW_PADDER_STOP_AT_END : 0);
        run(NUMBER, 1);
        host_other(&world, RELAY, FAR, 0);
        events = tick(RELAY, 10);
        assert_int_equal(events->count, (unsigned)(1 + flags));
        host_is_padding(&events->at[0].insn, FAR, 0, 0, 0);
        assert_int_equal(has_padder(RELAY, 0), !flags);
        if (flags)
            is_message(&events->at[1], reply(STOP, YES, NUMBER, 1));
        OK(drop_from_relay());
        if (flags)
            OK(tell_client(reply(STOP, YES, NUMBER, 1)));
        assert_int_equal(has_padder(CLIENT, 0), !flags);
        assert_true(host_deadline(RELAY) == CIRCFLOW_NEVER);
    }
    /* An end that only listens has no machine to end. */
    again();
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, NULL, 0, CIRCFLOW_PADDER_STOP_AT_END);
    enrol(CIRCFLOW_ROLE_RELAY, NUMBER, NULL, 0, CIRCFLOW_PADDER_STOP_AT_END);
    run(NUMBER, 1);
    assert_int_equal(tick(CLIENT, 1)->count + tick(RELAY, 1)->count, 0);
    assert_true(has_padder(CLIENT, 0) && has_padder(RELAY, 0));
    /* A client asks. */
    again();
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, "once", 0, CIRCFLOW_PADDER_STOP_AT_END);
    enrol(CIRCFLOW_ROLE_RELAY, NUMBER, NULL, 0, 0);
    run(NUMBER, 1);
    events = tick(CLIENT, 10);
    assert_int_equal(events->count, 2);
    host_is_padding(&events->at[0].insn, LEG, HOP, 0, 0);
    is_message(&events->at[1], question(STOP, NUMBER, 1));
    host_drop(&world, RELAY, FAR, 0);
    tell_relay(question(STOP, NUMBER, 1));
    says(RELAY, reply(STOP, YES, NUMBER, 1));
    assert_false(has_padder(CLIENT, 0) || has_padder(RELAY, 0));
}

/* Not only a timer can lead to the end: padding that came, or a host's answer. */
static void machines_that_end_by_an_event_are_stopped_too(void **state)
{
    const host_events *events;
    (void)state;
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, NULL, 0, 0);
    enrol(CIRCFLOW_ROLE_RELAY, NUMBER, "end-on-padding", 0, CIRCFLOW_PADDER_STOP_AT_END);
    run(NUMBER, 1);
    host_drop(&world, RELAY, FAR, 0);
    events = tick(RELAY, 0);
    assert_int_equal(events->count, 1);
    is_message(&events->at[0], reply(STOP, YES, NUMBER, 1));
    host_stop(&world);
    host_prepare(&world);
    world.exit_circuit.flags |= CIRCFLOW_CIRCUIT_OWN_QUEUE;
    host_start(&world);
    host_pair(&world);
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, NULL, 0, 0);
    enrol(CIRCFLOW_ROLE_RELAY, NUMBER, "once", 0, CIRCFLOW_PADDER_STOP_AT_END);
    run(NUMBER, 1);
    host_other(&world, RELAY, FAR, 0);
    circflow_insn_padding asked = host_first(tick(RELAY, 10), CIRCFLOW_INSN_PADDING)->detail.padding;
    assert_true(has_padder(RELAY, 0));
    OK(circflow_padding_answered(RELAY, world.now, FAR, &asked, CIRCFLOW_ANSWER_SENT));
    events = tick(RELAY, 0);
    assert_int_equal(events->count, 1);
    is_message(&events->at[0], reply(STOP, YES, NUMBER, 1));
}

/* One that ended too, and was not negotiated, stays, and does not stand in the way. */
static void a_padder_of_the_host_hides_no_other(void **state)
{
    (void)state;
    circflow_padding_config config = host_padding_config(CLIENT, "end-on-padding", 1, 0);
    config.flags = CIRCFLOW_PADDER_STOP_AT_END;
    OK(circflow_padding_install(CLIENT, world.now, LEG, &config));
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, "end-on-padding", 0, CIRCFLOW_PADDER_STOP_AT_END);
    OK(start(NUMBER));
    drain(CLIENT);
    host_drop(&world, CLIENT, LEG, 1);
    host_drop(&world, CLIENT, LEG, HOP);
    const host_events *events = tick(CLIENT, 0);
    assert_int_equal(events->count, 1);
    is_message(&events->at[0], question(STOP, NUMBER, 1));
}

/* After the relay has said that it has stopped there must be no padding from it, whatever waited. */
static void nothing_comes_after_the_end(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        again();
        enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, NULL, 0, 0);
        enrol(CIRCFLOW_ROLE_RELAY, NUMBER, "gate-0-00", 0, 0);
        run(NUMBER, 1);
        host_drop(&world, RELAY, FAR, 0);
        OK(circflow_engine_tick(RELAY, world.now));
        host_other(&world, RELAY, FAR, 0);
        assert_int_equal(tick(RELAY, 10)->count, 0); /* A padding cell waits behind the block, */
        circflow_message message = host_data(0, "x");
        circflow_verdict verdict;
        OK(circflow_circuit_send(RELAY, world.now, FAR, &message, &verdict)); /* and a message. */
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
        if (who)
            OK(relay_stops(NUMBER));
        else
            tell_relay(question(STOP, NUMBER, 1));
        const host_events *events = tick(RELAY, 0);
        assert_int_equal(events->count, 2);
        host_is_data(&events->at[0], FAR, 0, "x");
        is_message(&events->at[1], reply(STOP, YES, NUMBER, 1));
    }
}

/* A relay whose host has taken the padder down by hand: whoever starts it again gets what it is told that it gets. */
static void a_padder_taken_down_by_hand_can_be_started_again(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    run(NUMBER, 1);
    OK(circflow_padding_remove(RELAY, world.now, FAR, 0, 0));
    IS(CIRCFLOW_ERR_NO_PADDER, relay_stops(NUMBER));
    tell_relay(question(STOP, NUMBER, 1));
    quiet(RELAY);
    tell_relay(question(START, NUMBER, 2));
    is_message(&drain(RELAY)->at[0], reply(START, YES, NUMBER, 2));
    assert_true(has_padder(RELAY, 0));
}

static void who_may_ask_for_what(void **state)
{
    circflow_padding_config config;
    (void)state;
    IS(CIRCFLOW_ERR_UNKNOWN_PADDING, start(NUMBER));
    IS(CIRCFLOW_ERR_NO_PADDER, stop(NUMBER));
    config = host_padding_config(CLIENT, NULL, 0, 0);
    IS(CIRCFLOW_ERR_INVALID, circflow_padding_register(CLIENT, CIRCFLOW_ROLE_CLIENT, NUMBER, &config));
    IS(CIRCFLOW_ERR_INVALID, circflow_padding_register(CLIENT, 0, NUMBER, &config));
    IS(CIRCFLOW_ERR_INVALID, circflow_padding_register(CLIENT, 3, NUMBER, NULL));
    OK(circflow_padding_register(CLIENT, CIRCFLOW_ROLE_RELAY, NUMBER, &config));
    IS(CIRCFLOW_ERR_UNKNOWN_PADDING, start(NUMBER)); /* Each role has its own. */
    config.hop = 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_padding_register(CLIENT, CIRCFLOW_ROLE_RELAY, NUMBER, &config));
    config.hop = 4;
    OK(circflow_padding_register(CLIENT, CIRCFLOW_ROLE_CLIENT, NUMBER, &config));
    IS(CIRCFLOW_ERR_INVALID, start(NUMBER)); /* Not on a circuit of three hops. */
    config.hop = 2;
    OK(circflow_padding_register(RELAY, CIRCFLOW_ROLE_CLIENT, NUMBER, &config));
    OK(circflow_padding_register(CLIENT, CIRCFLOW_ROLE_CLIENT, NUMBER, &config));
    int answer = circflow_padding_start(RELAY, world.now, FAR, NUMBER);
    IS(CIRCFLOW_ERR_ROLE, answer);
    OK(start(NUMBER));
    OK(circflow_padding_register(CLIENT, CIRCFLOW_ROLE_CLIENT, NUMBER, NULL));
    assert_true(has_padder(CLIENT, 0)); /* What runs goes on. */
    OK(stop(NUMBER));
    IS(CIRCFLOW_ERR_UNKNOWN_PADDING, start(NUMBER));
    assert_int_equal(drain(CLIENT)->count, 2);
}

static void questions_without_an_answer_are_bounded(void **state)
{
    uint8_t counter = 0;
    (void)state;
    enrol(CIRCFLOW_ROLE_CLIENT, NUMBER, "pad-00", 0, 0);
    for (int n = 0; n < 32; n++) {
        OK(start(NUMBER));
        OK(stop(NUMBER));
        counter++;
    }
    IS(CIRCFLOW_ERR_TOO_MANY, start(NUMBER));
    assert_int_equal(drain(CLIENT)->count, 64);
    OK(tell_client(reply(STOP, YES, NUMBER, counter)));
    OK(start(NUMBER));
    says(CLIENT, question(START, NUMBER, counter + 1));
}

static void a_host_that_does_not_drain(void **state)
{
    circflow_padding_stats stats;
    (void)state;
    host_stop(&world);
    host_prepare(&world);
    world.engine_config.insns_max = 1;
    host_start(&world);
    host_pair(&world);
    enrol_both(NUMBER, NULL, 0);
    enrol_both(OTHER, NULL, 1);
    OK(start(NUMBER));
    IS(CIRCFLOW_ERR_UNDRAINED, start(OTHER));
    IS(CIRCFLOW_ERR_UNDRAINED, stop(NUMBER));
    assert_true(has_padder(CLIENT, 0) && !has_padder(CLIENT, 1));
    tell_relay(question(START, NUMBER, 1));
    IS(CIRCFLOW_ERR_UNDRAINED, host_feed(&world, RELAY, FAR, question(START, OTHER, 2)));
    assert_false(has_padder(RELAY, 1));
    /* What was refused was not taken, and not counted; so it is with LINK. */
    IS(CIRCFLOW_ERR_UNDRAINED,
       host_feed(&world, RELAY, FAR, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 0)));
    stats = host_pad_stats(RELAY, FAR, 0, 0);
    assert_int_equal(stats.normal_received, 0);
    drain(RELAY);
    tell_relay(question(START, OTHER, 2));
    stats = host_pad_stats(RELAY, FAR, 0, 0);
    assert_int_equal(stats.normal_received, 1);
}

static void a_question_goes_with_its_circuit(void **state)
{
    (void)state;
    enrol_both(NUMBER, "pad-00", 0);
    OK(start(NUMBER));
    OK(circflow_circuit_gone(CLIENT, world.now, LEG));
    quiet(CLIENT);
    IS(CIRCFLOW_ERR_STALE_ID, start(NUMBER));
    IS(CIRCFLOW_ERR_STALE_ID, stop(NUMBER));
    tell_relay(question(START, NUMBER, 1));
    OK(circflow_circuit_gone(RELAY, world.now, FAR));
    quiet(RELAY);
}

/* Where another padder runs beside circflow's, numbers that circflow knows are its own. */
static void beside_another_padder(void **state)
{
    circflow_verdict verdict;
    circflow_message message;
    (void)state;
    host_stop(&world);
    host_prepare(&world);
    world.client_circuit.flags |= CIRCFLOW_CIRCUIT_OTHER_PADDER;
    world.exit_circuit.flags |= CIRCFLOW_CIRCUIT_OTHER_PADDER;
    host_start(&world);
    host_pair(&world);
    enrol_both(NUMBER, NULL, 0);
    run(NUMBER, 1);
    message = question(START, OTHER, 1);
    OK(circflow_circuit_receive(RELAY, world.now, FAR, &message, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
    quiet(RELAY);
    message = reply(START, NO, OTHER, 1);
    OK(circflow_circuit_receive(CLIENT, world.now, LEG, &message, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
    assert_true(has_padder(CLIENT, 0));
    OK(stop(NUMBER));
    says(CLIENT, question(STOP, NUMBER, 1));
    says(RELAY, reply(STOP, YES, NUMBER, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(starts_and_runs),
        TEST(a_relay_that_says_no),
        TEST(the_client_is_told_how_the_relay_answered),
        TEST(a_client_stops),
        TEST(after_a_stop_so_much_padding_is_welcome),
        TEST(a_relay_stops),
        TEST(instances_are_told_apart),
        TEST(the_counter_goes_on_over_all_numbers),
        TEST(places_are_taken),
        TEST(a_client_believes_no_other_answer),
        TEST(a_relay_drops_what_it_cannot_read),
        TEST(machines_that_end_are_stopped),
        TEST(machines_that_end_by_an_event_are_stopped_too),
        TEST(a_padder_of_the_host_hides_no_other),
        TEST(nothing_comes_after_the_end),
        TEST(a_padder_taken_down_by_hand_can_be_started_again),
        TEST(who_may_ask_for_what),
        TEST(questions_without_an_answer_are_bounded),
        TEST(a_host_that_does_not_drain),
        TEST(a_question_goes_with_its_circuit),
        TEST(beside_another_padder),
    };
    return cmocka_run_group_tests_name("negotiate", tests, NULL, NULL);
}
