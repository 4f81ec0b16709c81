/* Sets over several engines: a hub, two or three engines of an exit, and a client's engine outside the hub. One thread,
 * and a clock that stands still, so that every message is where the test put it. */

#include "host.h"

#define LOOPS 3
#define LEGS 12
#define TEXT 4096

/* An event loop of the exit's process. */
typedef struct loop {
    circflow_engine *engine;
    unsigned woken;
    unsigned wakes;
    host_events saw;
} loop;

/* A circuit, with both its ends. */
typedef struct leg {
    circflow_circuit_id near, far;
    size_t loop;
    int cut;
} leg;

static host_world world;
static circflow_hub *hub;
static loop loops[LOOPS];
static leg legs[LEGS];
static size_t leg_count;
static host_ledger ledger;
/* What each end was delivered. */
static char at_client[TEXT], at_exit[TEXT];

enum { A, B, C };

static void wake(void *userdata)
{
    loop *loop = userdata;
    circflow_hub_stats stats;
    loop->woken++;
    loop->wakes++;
    stats.size = sizeof(stats);
    /* No lock of the hub's is held while this runs. */
    circflow_hub_get_stats(hub, &stats);
}

/* What the hub says when every engine is at rest: then it is what they hold. */
static uint64_t at_rest(void)
{
    uint64_t held = 0;
    for (size_t at = 0; at < LOOPS; at++) {
        if (loops[at].engine == NULL)
            continue;
        OK(circflow_engine_tick(loops[at].engine, world.now));
        const circflow_engine_stats stats = host_stats(loops[at].engine);
        assert_int_equal(stats.reserved_bytes, stats.held_bytes);
        held += stats.held_bytes;
    }
    assert_int_equal(host_hub_stats(hub).reserved_bytes, held);
    return held;
}

static void start_loop(size_t at)
{
    memset(&loops[at], 0, sizeof(loops[at]));
    loops[at].engine = host_exit(&world, 10 + (uint32_t)at, hub, wake, &loops[at]);
}

static void start(void)
{
    if (hub == NULL)
        hub = host_hub(0);
    world.engine_config.engine_number = 1;
    OK(circflow_engine_new(&world.engine_config, &world.client));
    for (size_t at = 0; at < LOOPS; at++)
        start_loop(at);
    OK(circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
}

static int setup(void **state)
{
    (void)state;
    hub = NULL;
    leg_count = 0;
    memset(loops, 0, sizeof(loops));
    memset(legs, 0, sizeof(legs));
    memset(&ledger, 0, sizeof(ledger));
    at_client[0] = at_exit[0] = 0;
    host_prepare(&world);
    return 0;
}

static void free_loop(size_t at)
{
    OK(circflow_engine_free(loops[at].engine, host_discard, &ledger));
    loops[at].engine = NULL;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t at = 0; at < LOOPS; at++)
        free_loop(at);
    OK(circflow_engine_free(world.client, host_discard, &ledger));
    world.client = NULL;
    if (hub != NULL) {
        const circflow_hub_stats stats = host_hub_stats(hub);
        assert_int_equal(stats.engines, 0);
        assert_int_equal(stats.sets, 0);
        assert_int_equal(stats.reserved_bytes, 0);
    }
    OK(circflow_hub_free(hub));
    host_settle(&ledger);
    return 0;
}

/* A circuit from the client to one of the exit's loops. */
static size_t open_leg(size_t at)
{
    leg *leg = &legs[leg_count];
    assert_true(leg_count < LEGS);
    world.client_circuit.tag = 0xc000 + leg_count;
    world.exit_circuit.tag = 0xe000 + leg_count;
    leg->near = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    leg->far = host_open(&world, loops[at].engine, CIRCFLOW_ROLE_RELAY);
    leg->loop = at;
    return leg_count++;
}

/* The exit's half of one, whose client the test plays by itself. */
static size_t open_half(size_t at)
{
    const size_t index = open_leg(at);
    legs[index].cut = 1;
    return index;
}

static size_t launch(size_t at)
{
    const size_t index = open_leg(at);
    OK(circflow_set_add_legs(world.client, world.now, world.client_set, &legs[index].near, 1));
    return index;
}

static void add_text(char *to, const uint8_t *body, size_t len)
{
    const size_t have = strlen(to);
    assert_true(have + len < TEXT);
    memcpy(to + have, body, len);
    to[have + len] = 0;
}

static leg *leg_of(size_t at, circflow_circuit_id id)
{
    for (size_t i = 0; i < leg_count; i++)
        if (at == LOOPS ? legs[i].near.v == id.v : legs[i].loop == at && legs[i].far.v == id.v)
            return &legs[i];
    return NULL;
}

/* Feeds a message to the exit's end of a leg, and answers the status. */
static int at_far(size_t index, circflow_message message)
{
    circflow_verdict verdict;
    leg *leg = &legs[index];
    int status;
    memset(&verdict, 0, sizeof(verdict));
    status = circflow_circuit_receive(loops[leg->loop].engine, world.now, leg->far, &message, &verdict);
    if (status != CIRCFLOW_OK || message.stream_id == 0)
        return status;
    if (verdict.kind == CIRCFLOW_VERDICT_DELIVER && message.form == CIRCFLOW_FORM_BYTES)
        add_text(at_exit, message.body, message.body_len);
    if (verdict.kind == CIRCFLOW_VERDICT_HELD && message.form == CIRCFLOW_FORM_TOKEN)
        host_lend(&ledger, message.token, message.cost_bytes);
    return status;
}

static void at_near(size_t index, circflow_message message)
{
    circflow_verdict verdict;
    if (legs[index].cut)
        return;
    OK(circflow_circuit_receive(world.client, world.now, legs[index].near, &message, &verdict));
    if (message.stream_id != 0 && verdict.kind == CIRCFLOW_VERDICT_DELIVER)
        add_text(at_client, message.body, message.body_len);
}

/* Drains one loop of the exit (or the client, LOOPS), and carries what it sends. */
static size_t run(size_t at)
{
    static host_events batch;
    circflow_engine *engine = at == LOOPS ? world.client : loops[at].engine;
    host_events *saw = at == LOOPS ? &world.client_saw : &loops[at].saw;
    size_t moved = 0;
    if (engine == NULL)
        return 0;
    if (at != LOOPS && (loops[at].woken > 0 || host_deadline(engine) <= world.now)) {
        loops[at].woken = 0;
        OK(circflow_engine_tick(engine, world.now));
        moved++;
    }
    batch = *host_drain(engine);
    host_book(&ledger, &batch);
    for (size_t i = 0; i < batch.count; i++) {
        const circflow_insn *insn = &batch.at[i].insn;
        const leg *leg = leg_of(at, insn->circuit);
        moved++;
        if (insn->kind == CIRCFLOW_INSN_DELIVER && insn->detail.deliver.form == CIRCFLOW_FORM_BYTES)
            add_text(at == LOOPS ? at_client : at_exit, batch.at[i].body, insn->detail.deliver.body_len);
        if (insn->kind == CIRCFLOW_INSN_SEND && leg != NULL && insn->detail.send.form == CIRCFLOW_FORM_BYTES) {
            const circflow_message message =
                host_message(insn->detail.send.command, at == LOOPS ? 0 : HOST_HOPS, insn->detail.send.stream_id,
                             batch.at[i].body, insn->detail.send.body_len);
            const size_t index = (size_t)(leg - legs);
            if (at == LOOPS && !leg->cut && loops[leg->loop].engine != NULL)
                at_far(index, message);
            else if (at != LOOPS)
                at_near(index, message);
        }
        assert_true(saw->count < HOST_EVENTS_MAX);
        saw->at[saw->count++] = batch.at[i];
    }
    return moved;
}

static void forget(void)
{
    world.client_saw.count = 0;
    for (size_t at = 0; at < LOOPS; at++)
        loops[at].saw.count = 0;
}

/* Until nobody has anything to do. */
static void settle(void)
{
    size_t moved;
    size_t rounds = 0;
    do {
        moved = 0;
        for (size_t at = 0; at <= LOOPS; at++)
            moved += run(at);
        assert_true(++rounds < 1000);
    } while (moved > 0);
}

static void room(size_t index, uint64_t cells, uint64_t rtt_ns)
{
    host_room(&world, loops[legs[index].loop].engine, legs[index].far, cells, rtt_ns);
}

/* A set with legs on these loops; the first is its home. Their windows at the client and at the exit have room. */
static void linked(const size_t *at, size_t count)
{
    start();
    for (size_t i = 0; i < count; i++) {
        const size_t index = launch(at[i]);
        settle();
        host_room(&world, world.client, legs[index].near, 90, (10 + index) * MS);
        room(index, 90, (10 + index) * MS);
    }
    settle();
    world.exit_set = host_first(&loops[at[0]].saw, CIRCFLOW_INSN_LINKED)->set;
    assert_int_equal(host_set_stats(world.client, world.client_set).usable, 1);
    assert_int_equal(host_set_stats(loops[at[0]].engine, world.exit_set).usable, 1);
    assert_int_equal(host_set_stats(loops[at[0]].engine, world.exit_set).legs, count);
    forget();
}

static const size_t A_B[] = {A, B};
static const size_t A_B_C[] = {A, B, C};

/* Sends from the client; the message is at the exit at once. Answers the leg. */
static size_t client_sends(const char *text)
{
    const circflow_verdict verdict = host_set_sends(&world, world.client, world.client_set, host_data(HOST_HOPS, text),
                                                    CIRCFLOW_VERDICT_SEND);
    const leg *leg = leg_of(LOOPS, verdict.circuit);
    if (verdict.switch_delta != 0)
        OK(at_far((size_t)(leg - legs), host_switch(0, verdict.switch_delta)));
    OK(at_far((size_t)(leg - legs), host_data(0, text)));
    return (size_t)(leg - legs);
}

/* Sends from the set's home; answers the verdict's kind. */
static uint32_t exit_sends(const char *text)
{
    circflow_message data = host_data(0, text);
    circflow_verdict verdict;
    OK(circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    if (verdict.kind == CIRCFLOW_VERDICT_SEND) {
        const leg *leg = leg_of(A, verdict.circuit);
        assert_non_null(leg); /* Never a circuit of another engine's. */
        if (verdict.switch_delta != 0)
            at_near((size_t)(leg - legs), host_switch(HOST_HOPS, verdict.switch_delta));
        at_near((size_t)(leg - legs), host_data(HOST_HOPS, text));
    }
    return verdict.kind;
}

/* Which leg the client prefers: what makes DATA go where a test wants it. */
static void prefer(size_t index)
{
    for (size_t i = 0; i < leg_count; i++)
        host_room(&world, world.client, legs[i].near, 90, (i == index ? 10 : 100) * MS);
}

/* The same for the exit. */
static void exit_prefers(size_t index)
{
    for (size_t i = 0; i < leg_count; i++)
        if (loops[legs[i].loop].engine != NULL)
            room(i, i == index ? 90 : 0, (i == index ? 10 : 100) * MS);
    settle();
}

static const circflow_insn *close_at(size_t index)
{
    return host_close_of(&loops[legs[index].loop].saw, legs[index].far);
}

/* The loop did as it was told. */
static void closed(size_t index)
{
    OK(circflow_circuit_gone(loops[legs[index].loop].engine, world.now, legs[index].far));
    legs[index].cut = 1;
}

/* --- Joining --- */

static void joining(void **state)
{
    circflow_engine *engine, *twin;
    circflow_hub_config config;
    circflow_hub_stats stats;
    (void)state;
    IS(CIRCFLOW_ERR_NULL, circflow_hub_config_init(NULL, sizeof(config)));
    OK(circflow_hub_config_init(&config, sizeof(config)));
    assert_int_equal(config.held_bytes_max, UINT64_C(1) << 30);
    IS(CIRCFLOW_ERR_NULL, circflow_hub_new(&config, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_hub_new(NULL, &hub));
    config.size = 3;
    IS(CIRCFLOW_ERR_VERSION, circflow_hub_new(&config, &hub));
    start();
    IS(CIRCFLOW_ERR_NULL, circflow_hub_get_stats(NULL, &stats));
    IS(CIRCFLOW_ERR_NULL, circflow_hub_get_stats(hub, NULL));
    stats.size = 3;
    IS(CIRCFLOW_ERR_VERSION, circflow_hub_get_stats(hub, &stats));
    assert_int_equal(host_hub_stats(hub).engines, LOOPS);

    world.engine_config.engine_number = 10 + A;
    OK(circflow_engine_new(&world.engine_config, &twin));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_join(twin, hub, wake, NULL)); /* The number is taken. */
    OK(circflow_engine_free(twin, NULL, NULL));
    world.engine_config.engine_number = 77;
    OK(circflow_engine_new(&world.engine_config, &engine));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_join(NULL, hub, wake, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_join(engine, NULL, wake, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_join(engine, hub, NULL, NULL));
    OK(circflow_engine_join(engine, hub, wake, &loops[A]));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_join(engine, hub, wake, NULL)); /* Once. */
    assert_int_equal(host_hub_stats(hub).engines, LOOPS + 1);
    OK(circflow_engine_free(engine, NULL, NULL));
    assert_int_equal(host_hub_stats(hub).engines, LOOPS);
    /* Its number is free again; but whoever has a circuit, or a set, comes too late. */
    OK(circflow_engine_new(&world.engine_config, &engine));
    host_open(&world, engine, CIRCFLOW_ROLE_RELAY);
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_join(engine, hub, wake, NULL));
    OK(circflow_engine_free(engine, NULL, NULL));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_join(world.client, hub, wake, NULL));
    IS(CIRCFLOW_OK, circflow_hub_free(NULL));
}

static void full_at_256_engines(void **state)
{
    static circflow_engine *many[256];
    (void)state;
    start();
    world.engine_config.circuits_max = world.engine_config.sets_max = 4;
    for (size_t i = 0; i < 256 - LOOPS; i++) {
        world.engine_config.engine_number = 100 + (uint32_t)i;
        OK(circflow_engine_new(&world.engine_config, &many[i]));
        OK(circflow_engine_join(many[i], hub, wake, &loops[A]));
    }
    world.engine_config.engine_number = 999;
    OK(circflow_engine_new(&world.engine_config, &many[255]));
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_engine_join(many[255], hub, wake, &loops[A]));
    OK(circflow_engine_free(many[0], NULL, NULL));
    OK(circflow_engine_join(many[255], hub, wake, &loops[A]));
    OK(circflow_engine_free(many[255], NULL, NULL));
    for (size_t i = 1; i < 256 - LOOPS; i++)
        OK(circflow_engine_free(many[i], NULL, NULL));
}

static void the_hub_goes_first(void **state)
{
    (void)state;
    linked(A_B, 2);
    OK(circflow_hub_free(hub));
    hub = NULL;
    hub = host_hub(0); /* For `wake` to ask. */
    exit_prefers(1);
    assert_int_equal(exit_sends("x"), CIRCFLOW_VERDICT_HELD);
    settle();
    assert_string_equal(at_client, "x");
}

/* --- Linking --- */

static void a_leg_elsewhere(void **state)
{
    const circflow_insn *insn;
    (void)state;
    start();
    launch(A);
    settle();
    world.exit_set = host_first(&loops[A].saw, CIRCFLOW_INSN_LINKED)->set;
    forget();
    launch(B);
    assert_int_equal(loops[A].wakes, 0);
    run(LOOPS); /* LINK */
    assert_int_equal(loops[A].wakes, 1);
    assert_int_equal(host_count(host_drain(loops[B].engine), CIRCFLOW_INSN_SEND), 0);
    run(A);
    insn = host_first(&loops[A].saw, CIRCFLOW_INSN_LINKED);
    assert_int_equal(insn->circuit.v, legs[1].far.v);
    assert_int_equal(insn->circuit_tag, 0xe001);
    assert_int_equal(insn->set.v, world.exit_set.v);
    assert_int_equal(insn->set_tag, 0xe417);
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_SEND), 0);
    assert_int_equal(loops[B].woken, 1);
    world.now += 3 * MS;
    run(B);
    insn = host_first(&loops[B].saw, CIRCFLOW_INSN_SEND);
    assert_int_equal(insn->detail.send.command, CIRCFLOW_CMD_LINKED);
    assert_int_equal(insn->circuit.v, legs[1].far.v);
    assert_int_equal(insn->set.v, 0);
    settle();
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 2);
    assert_int_equal(host_stats(loops[A].engine).timers, 0);
    assert_int_equal(host_stats(loops[B].engine).sets, 0);
    assert_int_equal(host_hub_stats(hub).sets, 1);
    assert_int_equal(host_set_stats(world.client, world.client_set).legs, 2);
    /* An id of B's means nothing to A. */
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_circuit_close(loops[A].engine, world.now, legs[1].far));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_circuit_gone(loops[A].engine, world.now, legs[1].far));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_close(loops[B].engine, world.now, world.exit_set));
    const circflow_leg_report report = host_report(legs[1].far, 5, 0);
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_leg_update(loops[A].engine, world.now, &report, 1));
    IS(CIRCFLOW_ERR_FOREIGN_ID,
       circflow_set_adopt_leg(loops[A].engine, world.now, world.exit_set, legs[1].far, 0, 0));
}

/* The home answers for its legs elsewhere, and its host names the set; the other engine's host hears of no set. */
static void a_name_and_figures_at_the_home(void **state)
{
    circflow_leg_stats stats;
    circflow_leg_report report;
    (void)state;
    linked(A_B, 2);
    stats.size = sizeof(stats);
    report = host_report(legs[1].far, 60, 25 * MS);
    OK(circflow_leg_update(loops[B].engine, world.now, &report, 1));
    settle();
    OK(circflow_leg_get_stats(loops[A].engine, legs[1].far, &stats));
    assert_int_equal(stats.state, CIRCFLOW_LEG_LINKED);
    assert_int_equal(stats.cwnd, 100);
    assert_int_equal(stats.inflight, 40);
    assert_int_equal(stats.rtt_ns, 25 * MS);
    IS(CIRCFLOW_ERR_NOT_A_LEG, circflow_leg_get_stats(loops[B].engine, legs[1].far, &stats));
    IS(CIRCFLOW_ERR_IN_SET, circflow_circuit_built(loops[B].engine, world.now, legs[1].far));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_circuit_built(loops[A].engine, world.now, legs[1].far));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_retag(loops[B].engine, world.exit_set, 0xcafe));
    OK(circflow_set_retag(loops[A].engine, world.exit_set, 0xcafe));
    OK(circflow_set_use_algorithm(loops[A].engine, world.exit_set, CIRCFLOW_ALGORITHM_CWND_RTT));
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).algorithm, CIRCFLOW_ALGORITHM_CWND_RTT);
    forget();
    /* A message of the leg elsewhere, and the end. */
    OK(at_far(1, host_data(0, "x")));
    settle();
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_DELIVER)->set_tag, 0xcafe);
    OK(circflow_set_close(loops[A].engine, world.now, world.exit_set));
    settle();
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->set_tag, 0xcafe);
    assert_int_equal(host_first(&loops[B].saw, CIRCFLOW_INSN_CLOSE)->set_tag, 0);
    for (size_t i = 0; i < leg_count; i++)
        closed(i);
}

/* The round trip of the handshake is measured on the leg's own loop, and chooses the leg at the home. */
static void round_trips(void **state)
{
    (void)state;
    start();
    for (size_t i = 0; i < 2; i++) {
        launch(i == 0 ? A : B);
        run(LOOPS);
        run(A);
        run(B); /* LINKED goes out. */
        world.now += (i == 0 ? 40 : 10) * MS;
        settle();
    }
    world.exit_set = host_first(&loops[A].saw, CIRCFLOW_INSN_LINKED)->set;
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).primary.v, legs[1].far.v);
}

static void no_linked_ack(void **state)
{
    (void)state;
    start();
    launch(A);
    settle();
    world.exit_set = host_first(&loops[A].saw, CIRCFLOW_INSN_LINKED)->set;
    launch(B);
    run(LOOPS);
    run(A);
    run(B);
    const uint64_t deadline = host_deadline(loops[A].engine);
    assert_int_equal(deadline, world.now + 60 * SECOND);
    forget();
    world.now = deadline;
    OK(circflow_engine_tick(loops[A].engine, world.now));
    run(A);
    run(B);
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_LINKED_ACK_TIMEOUT);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 1);
    assert_int_equal(host_stats(loops[A].engine).timers, 0);
    assert_int_equal(host_stats(loops[A].engine).peer_faults, 1);
}

static void repeated_handshake(void **state)
{
    (void)state;
    linked(A_B_C, 3);
    IS(CIRCFLOW_ERR_UNEXPECTED_LINK,
       at_far(1, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, CIRCFLOW_UX_MIN_LATENCY)));
    settle();
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_UNEXPECTED_LINK);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 2);
    /* A second LINKED_ACK is seen at the home. */
    OK(at_far(2, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
    settle();
    assert_int_equal(close_at(2)->detail.close.cause, CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 1);
    /* LINKED is no message for an exit. */
    assert_int_equal(host_stats(loops[A].engine).peer_faults + host_stats(loops[B].engine).peer_faults, 2);
}

static void as_many_legs_as_may_be(void **state)
{
    (void)state;
    world.exit_terms.legs_max = 2;
    linked(A_B, 2);
    launch(C);
    settle();
    assert_int_equal(close_at(2)->detail.close.cause, CIRCFLOW_ERR_LINK_LIMIT);
    assert_int_equal(host_stats(loops[C].engine).peer_faults, 1);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 2);
}

/* LINKED_ACK has come for none of it, and numbers that cannot be are found out at the home. */
static void numbers_that_cannot_be(void **state)
{
    (void)state;
    linked(A_B, 2);
    const size_t index = open_half(C);
    OK(at_far(index, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 7, CIRCFLOW_UX_MIN_LATENCY)));
    settle();
    assert_int_equal(close_at(index)->detail.close.cause, CIRCFLOW_ERR_BAD_LINK_NUMBERS);
}

/* A set that lives elsewhere needs no place of its own here. */
static void no_place_for_sets_is_no_hindrance(void **state)
{
    (void)state;
    world.engine_config.sets_max = 1;
    hub = host_hub(0);
    linked(A_B, 2);
    const size_t index = open_half(B);
    uint8_t other[CIRCFLOW_NONCE_LEN] = {9};
    OK(at_far(index, host_linkish(CIRCFLOW_CMD_LINK, 0, other, 0, 0, 0)));
    assert_int_equal(host_hub_stats(hub).sets, 2); /* B is full with this one. */
    launch(B);
    settle();
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 3);
}

/* R6: one process is client and exit of the same set. */
static void client_and_exit_in_one(void **state)
{
    circflow_set_id set, again;
    (void)state;
    linked(A_B, 2);
    OK(circflow_set_open(loops[B].engine, world.now, &world.client_terms, &set));
    assert_int_equal(host_hub_stats(hub).sets, 2);
    IS(CIRCFLOW_ERR_NONCE_IN_USE, circflow_set_open(loops[C].engine, world.now, &world.client_terms, &again));
    OK(circflow_set_close(loops[B].engine, world.now, set));
    OK(circflow_set_open(loops[C].engine, world.now, &world.client_terms, &again));
    OK(circflow_set_close(loops[C].engine, world.now, again));
}

/* R6: a nonce whose set has ended starts a new one, and says zeros. */
static void a_nonce_again(void **state)
{
    (void)state;
    linked(A_B, 2);
    OK(circflow_set_close(loops[A].engine, world.now, world.exit_set));
    settle();
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_OK);
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_OK);
    assert_int_equal(host_hub_stats(hub).sets, 0);
    size_t index = open_half(B);
    IS(CIRCFLOW_ERR_BAD_LINK_NUMBERS,
       at_far(index, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 3, 0, 0)));
    assert_int_equal(host_hub_stats(hub).sets, 0);
    index = open_half(B);
    forget();
    OK(at_far(index, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 0)));
    assert_int_equal(host_hub_stats(hub).sets, 1);
    run(B);
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_LINKED), 1);
}

/* The set ends while a LINK for it is on its way between the loops: the circuit starts a set of its own. */
static void a_link_as_the_set_ends(void **state)
{
    (void)state;
    linked(A_B, 2);
    const size_t one = open_half(B), two = open_half(C);
    const circflow_message link = host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 0);
    OK(at_far(one, link));
    OK(at_far(one, host_token(0, 1, 100))); /* Before it is linked: no honest client does that. */
    OK(at_far(two, link));
    forget();
    OK(circflow_set_close(loops[A].engine, world.now, world.exit_set));
    for (int i = 0; i < 3; i++) {
        run(A);
        run(B);
        run(C);
    }
    assert_null(close_at(one));
    assert_null(close_at(two));
    host_settle(&ledger);
    assert_int_equal(host_hub_stats(hub).sets, 1);
    const circflow_insn *here = host_first(&loops[B].saw, CIRCFLOW_INSN_LINKED);
    assert_int_equal(here->circuit.v, legs[one].far.v);
    assert_int_equal(host_set_stats(loops[B].engine, here->set).legs, 2);
}

/* The same when the home's engine is freed at that moment. */
static void a_link_as_the_home_goes(void **state)
{
    (void)state;
    linked(A_B, 2);
    const size_t one = open_half(B), two = open_half(C);
    const circflow_message link = host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 0);
    OK(at_far(one, link));
    /* What a hostile client sends before it is linked is the leg's again when the leg goes first. */
    OK(at_far(one, host_token(0, 1, 100)));
    OK(circflow_circuit_gone(loops[B].engine, world.now, legs[one].far));
    OK(at_far(two, link));
    OK(at_far(two, host_token(0, 2, 100)));
    forget();
    free_loop(A);
    run(B);
    run(C);
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_DISCARD), 1);
    assert_int_equal(host_count(&loops[C].saw, CIRCFLOW_INSN_DISCARD), 1);
    assert_int_equal(close_at(two)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
    host_settle(&ledger);
    assert_int_equal(host_hub_stats(hub).sets, 0);
    /* And the nonce is free. */
    const size_t three = open_half(C);
    OK(at_far(three, link));
    assert_int_equal(host_hub_stats(hub).sets, 1);
}

/* --- Data --- */

static void in_order_from_the_client(void **state)
{
    (void)state;
    linked(A_B, 2);
    prefer(1);
    client_sends("a");
    assert_string_equal(at_exit, ""); /* B answered HELD. */
    run(A);
    assert_string_equal(at_exit, "a");
    const circflow_insn *insn = host_first(&loops[A].saw, CIRCFLOW_INSN_DELIVER);
    assert_int_equal(insn->circuit.v, legs[1].far.v);
    assert_int_equal(insn->circuit_tag, 0xe001);
    assert_int_equal(insn->detail.deliver.number, 1);
    client_sends("b");
    prefer(0);
    client_sends("c"); /* On A, ahead of b, which is between the loops. */
    client_sends("d");
    assert_string_equal(at_exit, "a");
    prefer(1);
    client_sends("e");
    settle();
    assert_string_equal(at_exit, "abcde");
    /* With a leg elsewhere, the short way is still taken. */
    prefer(0);
    client_sends("f");
    client_sends("g");
    assert_string_equal(at_exit, "abcdefg");
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).delivered, 7);
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 0);
}

static void in_order_from_the_exit(void **state)
{
    (void)state;
    linked(A_B, 2);
    exit_prefers(1);
    for (const char *text = "abcdef"; *text; text++) {
        const char one[2] = {*text, 0};
        assert_int_equal(exit_sends(one), CIRCFLOW_VERDICT_HELD);
    }
    forget();
    settle();
    assert_string_equal(at_client, "abcdef");
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_SEND), 6); /* The first needs no SWITCH. */
    assert_int_equal(loops[B].saw.at[5].insn.detail.send.number, 6);
    exit_prefers(0);
    assert_int_equal(exit_sends("g"), CIRCFLOW_VERDICT_SEND);
    assert_int_equal(exit_sends("h"), CIRCFLOW_VERDICT_SEND);
    exit_prefers(1);
    forget();
    assert_int_equal(exit_sends("i"), CIRCFLOW_VERDICT_HELD);
    settle();
    assert_string_equal(at_client, "abcdefghi");
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_SEND), 2);
    assert_int_equal(loops[B].saw.at[0].insn.detail.send.command, CIRCFLOW_CMD_SWITCH);
    assert_int_equal(loops[B].saw.at[0].body[3], 2);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).sent, 9);
}

/* Deciding alone counts nothing, and never names a circuit of another engine's. */
static void decide_and_peek(void **state)
{
    circflow_message data = host_data(0, "x");
    circflow_verdict verdict;
    (void)state;
    linked(A_B, 2);
    exit_prefers(1);
    OK(circflow_set_get_decision(loops[A].engine, world.exit_set, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    OK(circflow_set_decide(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    settle();
    assert_string_equal(at_client, "x");
    exit_prefers(0);
    OK(circflow_set_decide(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(verdict.switch_delta, 1);
    /* Where the set is not, nothing of it is sent. */
    IS(CIRCFLOW_ERR_IN_SET, circflow_circuit_send(loops[B].engine, world.now, legs[1].far, &data, &verdict));
    IS(CIRCFLOW_ERR_NOT_DECIDED,
       circflow_circuit_cell_queued(loops[B].engine, world.now, legs[1].far, CIRCFLOW_CMD_DATA, 0));
    IS(CIRCFLOW_ERR_NOT_DECIDED,
       circflow_circuit_cell_queued(loops[B].engine, world.now, legs[1].far, CIRCFLOW_CMD_SWITCH, 0));
    OK(circflow_circuit_cell_queued(loops[B].engine, world.now, legs[1].far, CIRCFLOW_CMD_SENDME, 0));
}

static void windows_elsewhere(void **state)
{
    circflow_message data = host_data(0, "x"), end = host_message(CIRCFLOW_CMD_END, 0, 7, "e", 1);
    circflow_verdict verdict;
    (void)state;
    linked(A_B, 2);
    exit_prefers(1);
    room(1, 3, 10 * MS);
    settle();
    for (int i = 0; i < 3; i++)
        assert_int_equal(exit_sends("x"), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    settle();
    /* They are in B's hands now, and still in flight, as B's host has not said otherwise; also when A looks anew. */
    OK(at_far(1, host_data(0, "q")));
    settle();
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    /* Only DATA waits. */
    host_set_sends(&world, loops[A].engine, world.exit_set, end, CIRCFLOW_VERDICT_HELD);
    settle();
    assert_string_equal(at_client, "xxxe");
    forget();
    room(1, 0, 10 * MS); /* B's host has counted them. */
    settle();
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_MAY_SEND), 0);
    room(1, 1, 10 * MS);
    settle();
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_MAY_SEND), 1);
    assert_int_equal(exit_sends("y"), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    /* A channel that is full counts, too. */
    settle();
    circflow_leg_report report = host_report(legs[1].far, 50, 10 * MS);
    report.flags = CIRCFLOW_REPORT_CHANNEL_FULL;
    OK(circflow_leg_update(loops[B].engine, world.now, &report, 1));
    settle();
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    /* However often a host reports, nothing piles up. */
    for (int i = 0; i < 1000; i++)
        room(1, 50, 10 * MS);
    OK(at_far(1, host_data(0, "z")));
    settle();
    assert_string_equal(at_exit, "qz");
}

static void tokens_cross(void **state)
{
    circflow_message token = host_token(0, 11, 600);
    (void)state;
    linked(A_B, 2);
    OK(at_far(1, host_token(0, 10, 500)));
    assert_int_equal(host_stats(loops[B].engine).held, 0);
    run(A);
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_DELIVER)->detail.deliver.token, 10);
    exit_prefers(1);
    host_set_sends(&world, loops[A].engine, world.exit_set, token, CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, 11, 600);
    run(B);
    assert_int_equal(host_first(&loops[B].saw, CIRCFLOW_INSN_SEND)->detail.send.token, 11);
    host_settle(&ledger);
}

/* --- A loop that lags --- */

static void pause_and_overrun(void **state)
{
    const size_t through = 64, high = 64, most = 64 + 128;
    size_t sent = 0;
    (void)state;
    linked(A_B, 2);
    for (; sent < through + high - 1; sent++)
        OK(at_far(1, host_data(0, "x")));
    assert_int_equal(host_count(host_drain(loops[B].engine), CIRCFLOW_INSN_PAUSE_FEED), 0);
    OK(at_far(1, host_data(0, "x")));
    const circflow_insn *pause = host_first(host_drain(loops[B].engine), CIRCFLOW_INSN_PAUSE_FEED);
    assert_int_equal(pause->circuit.v, legs[1].far.v);
    assert_int_equal(pause->detail.pause.side, CIRCFLOW_SIDE_BACK);
    for (sent++; sent < through + most; sent++)
        OK(at_far(1, host_data(0, "x")));
    /* A comes back, and B is woken. */
    settle();
    assert_int_equal(strlen(at_exit), sent);
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_UNPAUSE_FEED), 1);
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_PAUSE_FEED), 0);
    /* A source that goes on loses its circuit, and the set with it: what came is delivered. */
    for (size_t i = 0; i < through + most; i++)
        OK(at_far(1, host_data(0, "y")));
    IS(CIRCFLOW_ERR_EDGE_OVERRUN, at_far(1, host_data(0, "y")));
    IS(CIRCFLOW_ERR_CLOSING, at_far(1, host_data(0, "y")));
    settle();
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_EDGE_OVERRUN);
    assert_int_equal(close_at(0)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
    assert_int_equal(strlen(at_exit), sent + through);
}

/* Many ENDs at once do not cost the leg, as none of them waits for a window. */
static void many_answers_at_once(void **state)
{
    circflow_verdict verdict;
    (void)state;
    linked(A_B, 2);
    exit_prefers(1);
    for (size_t i = 0; i < 1000; i++) {
        circflow_message end = host_message(CIRCFLOW_CMD_END, 0, 7, "e", 1);
        host_set_sends(&world, loops[A].engine, world.exit_set, end, CIRCFLOW_VERDICT_HELD);
    }
    circflow_message data = host_data(0, "x");
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    settle();
    assert_int_equal(strlen(at_client), 1000);
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_MAY_SEND), 1);
    assert_int_equal(exit_sends("x"), CIRCFLOW_VERDICT_HELD);
}

/* Who is busy is not called again, and what one tick leaves is due at once. */
static void woken_once(void **state)
{
    (void)state;
    linked(A_B, 2);
    loops[A].wakes = 0;
    for (size_t i = 0; i < 10; i++)
        OK(at_far(1, host_data(0, "x")));
    assert_int_equal(loops[A].wakes, 1);
    host_tick(&world, loops[A].engine);
    OK(at_far(1, host_data(0, "x")));
    assert_int_equal(loops[A].wakes, 2);
    /* A host that is never woken, and only feeds, is served when it ticks. */
    assert_int_equal(host_count(host_tick(&world, loops[A].engine), CIRCFLOW_INSN_DELIVER), 1);
    assert_true(host_deadline(loops[A].engine) > world.now);
}

static void more_news_than_one_tick_looks_at(void **state)
{
    circflow_circuit_id many[40];
    (void)state;
    start();
    uint8_t nonce[CIRCFLOW_NONCE_LEN] = {1};
    for (size_t i = 0; i < COUNT(many); i++) {
        circflow_verdict verdict;
        nonce[1] = (uint8_t)i;
        const circflow_message link = host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 0);
        const circflow_circuit_id home = host_open(&world, loops[A].engine, CIRCFLOW_ROLE_RELAY);
        OK(circflow_circuit_receive(loops[A].engine, world.now, home, &link, &verdict));
        many[i] = host_open(&world, loops[B].engine, CIRCFLOW_ROLE_RELAY);
        OK(circflow_circuit_receive(loops[B].engine, world.now, many[i], &link, &verdict));
    }
    host_drain(loops[A].engine);
    assert_int_equal(loops[A].wakes, 1);
    size_t ticks = 0;
    while (loops[A].woken > 0 || host_deadline(loops[A].engine) <= world.now) {
        loops[A].woken = 0;
        host_tick(&world, loops[A].engine);
        assert_true(++ticks < 100);
    }
    assert_true(ticks > 1);
    host_drain(loops[B].engine);
    size_t linked = host_count(host_tick(&world, loops[B].engine), CIRCFLOW_INSN_SEND);
    while (host_deadline(loops[B].engine) <= world.now) {
        linked += host_count(host_tick(&world, loops[B].engine), CIRCFLOW_INSN_SEND);
    }
    assert_int_equal(linked, COUNT(many));
}

/* --- Ends --- */

static void a_leg_dies_elsewhere(void **state)
{
    (void)state;
    linked(A_B_C, 3);
    /* Nothing was sent on it: the set goes on. */
    closed(1);
    settle();
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 2);
    OK(circflow_circuit_close(loops[C].engine, world.now, legs[2].far));
    run(A);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 1);
    run(C);
    assert_int_equal(close_at(2)->detail.close.cause, CIRCFLOW_OK);
    assert_int_equal(host_hub_stats(hub).sets, 1);
}

/* Brings messages on the leg elsewhere while its home does not look, then one on the other leg, which is ahead from then on;
 * closes the leg elsewhere. */
static void goes_with_messages(uint32_t messages)
{
    linked(A_B, 2);
    for (uint32_t i = 0; i < messages; i++)
        OK(at_far(1, host_data(0, "x")));
    OK(at_far(0, host_switch(0, messages)));
    OK(at_far(0, host_data(0, "y")));
    closed(1);
    settle();
}

/* What has found room on its way arrives, and the set can do without the leg. */
static void what_is_on_its_way_arrives(void **state)
{
    (void)state;
    goes_with_messages(64);
    assert_int_equal(strlen(at_exit), 65);
    assert_int_equal(host_hub_stats(hub).sets, 1);
}

/* What still waited for room was acknowledged: nobody sends it again, so the set cannot go on. */
static void what_waits_goes_with_its_leg(void **state)
{
    (void)state;
    goes_with_messages(65);
    assert_int_equal(strlen(at_exit), 64);
    assert_int_equal(host_hub_stats(hub).sets, 0);
    assert_int_equal(close_at(0)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
}

static void the_leg_in_use_dies_elsewhere(void **state)
{
    (void)state;
    linked(A_B, 2);
    exit_prefers(1);
    exit_sends("x");
    settle();
    OK(at_far(1, host_data(0, "a")));
    closed(1);
    run(A);
    assert_string_equal(at_exit, "a"); /* What had come before it died is delivered. */
    assert_int_equal(close_at(0)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
    assert_int_equal(host_hub_stats(hub).sets, 0);
}

static void the_last_leg_dies_elsewhere(void **state)
{
    (void)state;
    linked(A_B, 2);
    closed(0);
    settle();
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 1);
    IS(CIRCFLOW_ERR_NOT_ALONE, circflow_set_dissolve(loops[A].engine, world.now, world.exit_set, &legs[0].far));
    closed(1);
    settle();
    host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED);
    assert_int_equal(host_hub_stats(hub).sets, 0);
}

/* A violation that only the home can see closes the leg's circuit, with the reason. */
static void a_violation_seen_at_the_home(void **state)
{
    (void)state;
    linked(A_B, 2);
    OK(at_far(1, host_switch(0, 5)));
    OK(at_far(1, host_switch(0, 5)));
    settle();
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_SWITCH_REPEATED);
    assert_int_equal(close_at(0)->detail.close.cause, CIRCFLOW_ERR_SWITCH_REPEATED);
    assert_int_equal(host_stats(loops[A].engine).peer_faults, 1);
    assert_int_equal(host_stats(loops[B].engine).peer_faults, 0);
}

/* One that the leg's engine sees reaches as far as on a leg at home: here, the set. */
static void a_violation_seen_elsewhere(void **state)
{
    (void)state;
    linked(A_B_C, 3);
    IS(CIRCFLOW_ERR_BAD_STREAM_ID, at_far(2, host_message(CIRCFLOW_CMD_DATA, 0, 0, "x", 1)));
    settle();
    assert_int_equal(close_at(2)->detail.close.cause, CIRCFLOW_ERR_BAD_STREAM_ID);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 2);
    IS(CIRCFLOW_ERR_BAD_SWITCH, at_far(1, host_message(CIRCFLOW_CMD_SWITCH, 0, 0, NULL, 0)));
    settle();
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_BAD_SWITCH);
    assert_int_equal(close_at(0)->detail.close.cause, CIRCFLOW_ERR_BAD_SWITCH);
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_BAD_SWITCH);
}

/* BEGIN_DIR is refused by the set, whose END it is to send. */
static void a_directory_elsewhere(void **state)
{
    (void)state;
    linked(A_B, 2);
    OK(at_far(1, host_message(CIRCFLOW_CMD_BEGIN_DIR, 0, 8, NULL, 0)));
    settle();
    assert_string_equal(at_client, "\x0e"); /* END_STREAM_REASON_NOTDIRECTORY */
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).sent, 1);
}

/* Tokens on every stretch of the way between the loops, and an end that goes. */
static void fill(void)
{
    uint64_t token = 1;
    exit_prefers(1);
    for (size_t i = 0; i < 64 + 30; i++, token++)
        OK(at_far(1, host_token(0, token, 100)));
    for (size_t i = 0; i < 64 + 30; i++, token++) {
        circflow_message message = host_token(0, token, 100);
        message.command = CIRCFLOW_CMD_END;
        host_set_sends(&world, loops[A].engine, world.exit_set, message, CIRCFLOW_VERDICT_HELD);
        host_lend(&ledger, token, 100);
    }
    assert_int_equal(host_lent(&ledger), 2 * 94 * 100);
}

static void the_leg_goes_with_full_channels(void **state)
{
    (void)state;
    linked(A_B, 2);
    fill();
    closed(1);
    settle();
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
    host_settle(&ledger);
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_DELIVER), 64);
}

static void the_set_goes_with_full_channels(void **state)
{
    (void)state;
    linked(A_B, 2);
    fill();
    OK(circflow_set_close(loops[A].engine, world.now, world.exit_set));
    settle();
    host_settle(&ledger);
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_DELIVER), 0);
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_OK);
}

static void the_home_is_freed_with_full_channels(void **state)
{
    (void)state;
    linked(A_B, 2);
    fill();
    free_loop(A);
    settle();
    host_settle(&ledger);
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
}

static void the_legs_engine_is_freed_with_full_channels(void **state)
{
    (void)state;
    linked(A_B, 2);
    fill();
    free_loop(B);
    settle();
    host_settle(&ledger);
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_LEG_LOST);
    assert_int_equal(host_stats(loops[A].engine).held, 0);
}

static void all_are_freed_with_full_channels(void **state)
{
    (void)state;
    linked(A_B, 2);
    fill();
    free_loop(B);
    free_loop(A);
    host_settle(&ledger);
}

/* An engine that takes another's place gives its circuits the same ids: the old leg ends before the new one begins. */
static void an_engine_takes_the_place_of_another(void **state)
{
    (void)state;
    linked(A_B_C, 3);
    /* More than A looks at in one go. */
    for (size_t i = 0; i < 64; i++)
        OK(at_far(1, host_data(0, "a")));
    const uint64_t old = legs[1].far.v;
    free_loop(B);
    legs[1].cut = 1;
    start_loop(B);
    const size_t index = open_half(B);
    assert_int_equal(legs[index].far.v, old);
    legs[1].far.v = 0;
    OK(at_far(index, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 0)));
    for (int i = 0; i < 3; i++) {
        run(A);
        run(B);
        run(C);
    }
    /* The set ended with the leg that was ahead; the LINK started another, at B. */
    assert_int_equal(strlen(at_exit), 64);
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->set.v, world.exit_set.v);
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_LINKED), 1);
    assert_int_equal(host_stats(loops[A].engine).timers, 0);
}

/* --- Padding --- */

/* What a leg elsewhere is sent waits behind its block, a SWITCH with its message, and the home knows of the block. */
static void a_block_elsewhere(void **state)
{
    circflow_message data = host_data(0, "x");
    circflow_verdict verdict;
    (void)state;
    linked(A_B, 2);
    exit_prefers(0);
    exit_sends("a");
    exit_prefers(1);
    host_pad(&world, loops[B].engine, legs[1].far, "block-00", 0, 0);
    assert_int_equal(exit_sends("b"), CIRCFLOW_VERDICT_HELD); /* On its way when the block begins. */
    host_other(&world, loops[B].engine, legs[1].far, 0);
    OK(circflow_engine_tick(loops[B].engine, world.now));
    forget();
    settle();
    assert_string_equal(at_client, "a");
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_SEND), 0);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    /* What does not wait for a window goes as far as the block. */
    for (int i = 0; i < 200; i++) {
        circflow_message end = host_message(CIRCFLOW_CMD_END, 0, 7, "e", 1);
        host_set_sends(&world, loops[A].engine, world.exit_set, end, CIRCFLOW_VERDICT_HELD);
    }
    settle();
    assert_true(host_stats(loops[B].engine).held <= 40);
    world.now += 100 * MS;
    settle();
    assert_int_equal(host_first(&loops[B].saw, CIRCFLOW_INSN_SEND)->detail.send.command, CIRCFLOW_CMD_SWITCH);
    assert_int_equal(strlen(at_client), 202);
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_MAY_SEND), 1);
    room(1, 90, 10 * MS);
    settle();
    assert_int_equal(exit_sends("z"), CIRCFLOW_VERDICT_HELD);
    settle();
    assert_int_equal(strlen(at_client), 203);
    /* Had anything been left behind in a count, this would end in NO_ROOM. */
    for (int i = 0; i < 60; i++)
        assert_int_equal(exit_sends("z"), CIRCFLOW_VERDICT_HELD);
    settle();
    assert_int_equal(strlen(at_client), 263);
}

/* The home's own leg is blocked, and what the set kept goes out elsewhere. */
static void what_a_set_kept_crosses(void **state)
{
    circflow_message data = host_data(0, "k");
    circflow_verdict verdict;
    (void)state;
    linked(A_B, 2);
    exit_prefers(0);
    host_pad(&world, loops[A].engine, legs[0].far, "block-00", 0, 0);
    host_other(&world, loops[A].engine, legs[0].far, 0);
    OK(circflow_engine_tick(loops[A].engine, world.now));
    for (int i = 0; i < 32; i++)
        host_set_sends(&world, loops[A].engine, world.exit_set, data, CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_set_send(loops[A].engine, world.now, world.exit_set, &data, NULL, 0, &verdict));
    settle();
    assert_string_equal(at_client, "");
    room(1, 90, 10 * MS);
    settle();
    assert_int_equal(strlen(at_client), 32);
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_MAY_SEND), 1);
    for (int i = 0; i < 40; i++)
        assert_int_equal(exit_sends("k"), CIRCFLOW_VERDICT_HELD);
    settle();
    assert_int_equal(strlen(at_client), 72);
}

/* A leg with padding goes on padding while its set is elsewhere. */
static void padding_goes_on_elsewhere(void **state)
{
    (void)state;
    linked(A_B, 2);
    host_pad(&world, loops[B].engine, legs[1].far, "pad-00", 0, 0);
    host_other(&world, loops[B].engine, legs[1].far, 0);
    world.now += 10 * MS;
    settle();
    assert_int_equal(host_count(&loops[B].saw, CIRCFLOW_INSN_PADDING), 1);
    OK(at_far(1, host_data(0, "x")));
    settle();
    assert_string_equal(at_exit, "x");
}

/* --- Memory --- */

static size_t reclaim(uint64_t wanted, circflow_victim *victims, size_t cap, uint64_t *bytes)
{
    size_t count = 99;
    OK(circflow_hub_choose_victims(hub, wanted, victims, cap, &count, bytes));
    return count;
}

/* Three sets, at A, B and C, with 1, 2 and 3 messages that wait behind a hole, the last for longest. */
static void hold_some(circflow_set_id *sets)
{
    for (size_t i = LOOPS; i-- > 0;) {
        uint8_t nonce[CIRCFLOW_NONCE_LEN] = {(uint8_t)(40 + i)};
        const size_t index = open_half(i);
        OK(at_far(index, host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 0)));
        sets[i] = host_first(host_drain(loops[i].engine), CIRCFLOW_INSN_LINKED)->set;
        OK(at_far(index, host_switch(0, 1)));
        for (size_t n = 0; n <= i; n++)
            OK(at_far(index, host_token(0, 100 + 10 * i + n, 1000)));
        world.now += SECOND;
    }
}

static void reclaiming(void **state)
{
    circflow_victim victims[4];
    circflow_set_id sets[LOOPS];
    uint64_t bytes = 1;
    size_t count;
    (void)state;
    start();
    IS(CIRCFLOW_ERR_NULL, circflow_hub_choose_victims(NULL, 1, victims, 4, &count, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_hub_choose_victims(hub, 1, NULL, 4, &count, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_hub_choose_victims(hub, 1, victims, 4, NULL, NULL));
    assert_int_equal(reclaim(1000, victims, 4, &bytes), 0);
    assert_int_equal(bytes, 0);
    hold_some(sets);
    assert_int_equal(at_rest(), 6000);
    assert_int_equal(host_hub_stats(hub).sets, 3);
    assert_int_equal(reclaim(0, victims, 4, &bytes), 0);
    assert_int_equal(reclaim(1000, NULL, 0, &bytes), 0);
    assert_int_equal(bytes, 0);
    /* The oldest first, until it is enough. */
    assert_int_equal(reclaim(3001, victims, 1, &bytes), 1); /* No room for the second, */
    assert_int_equal(bytes, 3000);
    assert_int_equal(victims[0].engine_number, 10 + C);
    assert_int_equal(victims[0].set.v, sets[C].v);
    assert_int_equal(victims[0].bytes, 3000);
    assert_int_equal(reclaim(1, victims, 4, NULL), 1); /* which is named now. */
    assert_int_equal(victims[0].set.v, sets[B].v);
    assert_int_equal(at_rest(), 6000); /* Nothing is freed by asking. */
    OK(circflow_set_close(loops[C].engine, world.now, sets[C]));
    assert_int_equal(at_rest(), 3000);
    assert_int_equal(reclaim(UINT64_MAX, victims, 4, &bytes), 1);
    assert_int_equal(victims[0].set.v, sets[A].v);
    assert_int_equal(bytes, 1000);
    assert_int_equal(reclaim(UINT64_MAX, victims, 4, &bytes), 0);
    assert_in_range(host_hub_stats(hub).reserved_bytes_peak, 6000, 6000 + 3 * 65536);
    OK(circflow_set_close(loops[B].engine, world.now, sets[B]));
    OK(circflow_set_close(loops[A].engine, world.now, sets[A]));
    assert_int_equal(at_rest(), 0);
    settle();
}

/* As messages are taken, a set becomes younger, and costs less. */
static void age_follows_the_oldest(void **state)
{
    circflow_victim victims[2];
    circflow_set_id sets[LOOPS];
    uint64_t bytes;
    (void)state;
    start();
    hold_some(sets);
    /* C's hole is filled: all of it can go, but the last, which waits behind another. */
    const size_t c = 0, other = open_half(C);
    uint8_t nonce[CIRCFLOW_NONCE_LEN] = {40 + C};
    OK(at_far(c, host_switch(0, 1)));
    OK(at_far(c, host_token(0, 200, 1000)));
    assert_int_equal(at_rest(), 7000);
    OK(at_far(other, host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 0)));
    OK(at_far(other, host_data(0, "x")));
    settle();
    assert_string_equal(at_exit, "x");
    assert_int_equal(at_rest(), 4000);
    assert_int_equal(reclaim(1, victims, 2, &bytes), 1);
    assert_int_equal(victims[0].set.v, sets[B].v);
    assert_int_equal(reclaim(1001, victims, 2, &bytes), 2);
    assert_int_equal(victims[0].set.v, sets[A].v);
    assert_int_equal(victims[1].set.v, sets[C].v);
    assert_int_equal(victims[1].bytes, 1000);
}

/* What waits at home for a leg of this engine, on account of one elsewhere, has its bound too. */
static void what_crossed_is_not_held_for_ever(void **state)
{
    (void)state;
    linked(A_B, 2);
    OK(at_far(1, host_data(0, "1"))); /* In order, and nothing that ages. */
    settle();
    OK(at_far(1, host_switch(0, 1)));
    OK(at_far(1, host_token(0, 2, 1000)));
    settle();
    for (int i = 0; i < 239; i++) {
        world.now += SECOND / 2;
        settle();
    }
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_ENDED), 0);
    world.now += SECOND / 2;
    settle();
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_HELD_TOO_LONG);
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_HELD_TOO_LONG);
    assert_string_equal(at_exit, "1");
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 0);
    host_settle(&ledger);
}

/* At the cap the set pays that holds the most for the longest time, on whatever engine; the others go on. */
/* What else comes on the leg elsewhere while one message waits does not make that younger. */
static void what_comes_beside_it_does_not_help(void **state)
{
    (void)state;
    linked(A_B, 2);
    OK(at_far(1, host_switch(0, 1)));
    OK(at_far(1, host_token(0, 2, 1000)));
    settle();
    for (int i = 0; i < 240; i++) {
        if (i % 60 == 30)
            OK(at_far(1, i == 30 ? host_switch(0, 1) : host_message(CIRCFLOW_CMD_BEGIN_DIR, 0, 8, NULL, 0)));
        assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_ENDED), 0);
        world.now += SECOND / 2;
        settle();
    }
    assert_int_equal(host_first(&loops[A].saw, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_ERR_HELD_TOO_LONG);
    host_settle(&ledger);
}

static void the_process_has_a_cap(void **state)
{
    circflow_set_id sets[LOOPS];
    (void)state;
    hub = host_hub(6999);
    start();
    hold_some(sets);
    assert_int_equal(at_rest(), 6000);
    OK(at_far(2, host_token(0, 299, 999)));
    assert_int_equal(at_rest(), 6999); /* At the cap. */
    loops[C].woken = 0;
    OK(at_far(2, host_token(0, 300, 300))); /* Above it: as much as is sure to come back. */
    assert_int_equal(loops[C].woken, 1);
    assert_int_equal(at_rest(), 4299); /* It was the end of C's set, */
    settle();
    assert_int_equal(close_at(0)->detail.close.cause, CIRCFLOW_ERR_HUB_MEMORY);
    OK(at_far(1, host_token(0, 301, 1000))); /* and others have room. */
    assert_int_equal(at_rest(), 5299);
    assert_int_equal(host_hub_stats(hub).reserved_bytes_peak, 7299);
}

/* What is next is charged to the engine that it came to, until the home hands it out. */
static void what_is_next_is_charged_where_it_came(void **state)
{
    (void)state;
    hub = host_hub(20000);
    linked(A_B, 2);
    for (size_t i = 0; i < 20; i++)
        OK(at_far(1, host_token(0, i, 1000)));
    OK(circflow_engine_tick(loops[A].engine, world.now));
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 20000);
    assert_int_equal(host_stats(loops[A].engine).held_bytes, 0);
    assert_int_equal(host_stats(loops[B].engine).held_bytes, 20000);
    settle();
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_DELIVER), 20);
    assert_int_equal(at_rest(), 0);
    /* At the cap once more; above it the circuit goes, with what nobody has read. */
    for (size_t i = 20; i < 40; i++)
        OK(at_far(1, host_token(0, i, 1000)));
    IS(CIRCFLOW_ERR_HUB_MEMORY, at_far(1, host_token(0, 40, 1000)));
    settle();
    host_settle(&ledger);
}

/* What is not next is held, and charged, from its engine on until it is taken. */
static void what_crossed_is_charged(void **state)
{
    (void)state;
    hub = host_hub(20000);
    linked(A_B, 2);
    OK(at_far(1, host_switch(0, 1)));
    settle();
    for (size_t i = 0; i < 20; i++)
        OK(at_far(1, host_token(0, i, 1000)));
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 20000);
    assert_int_equal(host_stats(loops[B].engine).held_bytes, 20000);
    OK(circflow_engine_tick(loops[A].engine, world.now));
    assert_int_equal(host_hub_stats(hub).reserved_bytes, 20000);
    assert_int_equal(host_stats(loops[A].engine).held_bytes, 20000);
    assert_int_equal(host_stats(loops[B].engine).held_bytes, 0);
    OK(at_far(1, host_token(0, 20, 1000)));
    /* Above the cap: the set ends, in its engine's next call, and who sent it is told. Nothing had its turn. */
    settle();
    assert_int_equal(close_at(1)->detail.close.cause, CIRCFLOW_ERR_HUB_MEMORY);
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_DELIVER), 0);
    host_settle(&ledger);
}

/* --- Circuits that circflow runs --- */

static void run_by_circflow(void **state)
{
    circflow_stream_id stream = {0};
    circflow_verdict verdict;
    (void)state;
    world.exit_circuit.flags |= CIRCFLOW_CIRCUIT_REACTOR;
    start();
    for (size_t i = 0; i < 2; i++) {
        launch(i == 0 ? A : B);
        settle();
        host_room(&world, world.client, legs[i].near, 90, 10 * MS);
    }
    world.exit_set = host_first(&loops[A].saw, CIRCFLOW_INSN_LINKED)->set;
    forget();
    OK(at_far(1, host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "a:1", 4)));
    OK(at_far(1, host_data(0, "up")));
    settle();
    assert_int_equal(host_count(&loops[A].saw, CIRCFLOW_INSN_DELIVER), 2);
    stream = loops[A].saw.at[0].insn.stream;
    assert_true(stream.v != 0);
    assert_int_equal(loops[A].saw.at[1].insn.stream.v, stream.v);
    /* The set sends on the leg at home first; when its window is full, on the other. */
    circflow_circuit_stats stats;
    stats.size = sizeof(stats);
    size_t held = 0, sent = 0;
    for (;;) {
        const circflow_message data = host_data(0, "d");
        const int status = circflow_stream_send(loops[A].engine, world.now, stream, &data, &verdict);
        if (status == CIRCFLOW_ERR_NO_ROOM)
            break;
        OK(status);
        if (verdict.kind == CIRCFLOW_VERDICT_SEND) {
            assert_int_equal(verdict.circuit.v, legs[0].far.v);
            if (verdict.switch_delta != 0)
                at_near(0, host_switch(HOST_HOPS, verdict.switch_delta));
            at_near(0, host_data(HOST_HOPS, "d"));
            sent++;
        } else {
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
            held++;
        }
        settle();
        assert_true(held + sent < 1000);
    }
    assert_true(held > 30 && sent > 30);
    settle();
    assert_int_equal(strlen(at_client), held + sent);
    OK(circflow_circuit_get_stats(loops[B].engine, legs[1].far, &stats));
    assert_int_equal(stats.inflight, held);
    assert_int_equal(stats.inflight, stats.cwnd);
    /* B's channel, and a directory, and END. */
    OK(circflow_circuit_set_writable(loops[B].engine, world.now, legs[1].far, CIRCFLOW_SIDE_BACK, 0));
    OK(at_far(1, host_message(CIRCFLOW_CMD_BEGIN_DIR, 0, 9, NULL, 0)));
    settle();
    assert_int_equal(strlen(at_client), held + sent + 1);
    IS(CIRCFLOW_ERR_IS_RUN, circflow_leg_update(loops[B].engine, world.now,
                                                &(circflow_leg_report){.circuit = legs[1].far}, 1));
    circflow_stream_config config;
    OK(circflow_stream_config_init(&config, sizeof(config)));
    config.circuit = legs[1].far;
    config.hop = 0;
    config.stream_id = 5;
    IS(CIRCFLOW_ERR_IN_SET, circflow_stream_open(loops[B].engine, world.now, &config, &stream));
    IS(CIRCFLOW_ERR_IS_RUN, circflow_circuit_send(loops[B].engine, world.now, legs[1].far,
                                                  &(circflow_message){.command = CIRCFLOW_CMD_END, .stream_id = 7},
                                                  &verdict));
}

/* Legs are alike in who runs them, wherever they are. */
static void run_and_not_run(void **state)
{
    (void)state;
    linked(A_B, 2);
    world.exit_circuit.flags |= CIRCFLOW_CIRCUIT_REACTOR;
    launch(C);
    settle();
    assert_int_equal(close_at(2)->detail.close.cause, CIRCFLOW_ERR_UNFIT_LINK);
    assert_int_equal(host_set_stats(loops[A].engine, world.exit_set).legs, 2);
}

#define HUB(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HUB(joining), HUB(full_at_256_engines), HUB(the_hub_goes_first), HUB(a_leg_elsewhere),
        HUB(a_name_and_figures_at_the_home), HUB(round_trips),
        HUB(no_linked_ack), HUB(repeated_handshake), HUB(as_many_legs_as_may_be), HUB(numbers_that_cannot_be),
        HUB(no_place_for_sets_is_no_hindrance), HUB(client_and_exit_in_one), HUB(a_nonce_again),
        HUB(a_link_as_the_set_ends), HUB(a_link_as_the_home_goes), HUB(in_order_from_the_client),
        HUB(in_order_from_the_exit), HUB(decide_and_peek), HUB(windows_elsewhere), HUB(tokens_cross),
        HUB(pause_and_overrun), HUB(many_answers_at_once), HUB(woken_once), HUB(more_news_than_one_tick_looks_at),
        HUB(a_leg_dies_elsewhere), HUB(what_is_on_its_way_arrives), HUB(what_waits_goes_with_its_leg), HUB(the_leg_in_use_dies_elsewhere), HUB(the_last_leg_dies_elsewhere),
        HUB(a_violation_seen_at_the_home), HUB(a_violation_seen_elsewhere), HUB(a_directory_elsewhere),
        HUB(the_leg_goes_with_full_channels), HUB(the_set_goes_with_full_channels),
        HUB(the_home_is_freed_with_full_channels), HUB(the_legs_engine_is_freed_with_full_channels),
        HUB(all_are_freed_with_full_channels), HUB(an_engine_takes_the_place_of_another), HUB(a_block_elsewhere),
        HUB(what_a_set_kept_crosses), HUB(padding_goes_on_elsewhere), HUB(reclaiming), HUB(age_follows_the_oldest),
        HUB(what_crossed_is_not_held_for_ever),
        HUB(what_comes_beside_it_does_not_help),
        HUB(the_process_has_a_cap), HUB(what_is_next_is_charged_where_it_came), HUB(what_crossed_is_charged), HUB(run_by_circflow), HUB(run_and_not_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
