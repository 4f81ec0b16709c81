/* Every status of the header, provoked by a call. */

#include "host.h"

#include <stdio.h>
#include <stdlib.h>

static host_world world;

/* How things stood just before the call that is to be refused. */
static struct {
    circflow_engine_stats client, exit;
    int has_set;
    host_numbers numbers;
    circflow_set_stats set;
} before;

static void look(int again)
{
    circflow_engine_stats client = host_stats(world.client), exit = host_stats(world.exit);
    circflow_set_stats set;
    set.size = sizeof(set);
    int has_set = circflow_set_get_stats(world.client, world.client_set, &set) == CIRCFLOW_OK;
    if (again) {
        assert_memory_equal(&before.client, &client, sizeof(client));
        assert_memory_equal(&before.exit, &exit, sizeof(exit));
        assert_int_equal(before.has_set, has_set);
        if (has_set) {
            host_numbers numbers = host_export(world.client, world.client_set);
            assert_memory_equal(&before.numbers, &numbers, sizeof(numbers));
            assert_memory_equal(&before.set, &set, sizeof(set));
        }
        return;
    }
    before.client = client;
    before.exit = exit;
    before.has_set = has_set;
    if (has_set) {
        before.numbers = host_export(world.client, world.client_set);
        before.set = set;
    }
}

/* Marks the world, then makes the call. */
#define REFUSED(call) (look(0), (int)(call))

#define CLIENT world.client
#define EXIT world.exit
#define NOW world.now
#define SET world.client_set
#define LEG(i) world.client_leg[i]

static int client(size_t leg, circflow_message message) { return REFUSED(host_feed(&world, CLIENT, LEG(leg), message)); }
static int far_end(size_t leg, circflow_message message) { return REFUSED(host_feed(&world, EXIT, world.exit_leg[leg], message)); }
static int ready(int status) { OK(status); return 0; }
static circflow_message control(uint8_t command, uint8_t hop)
{
    return host_linkish(command, hop, world.client_terms.nonce, 0, 0, 3);
}
static circflow_circuit_id fresh(uint8_t flags)
{
    world.client_circuit.flags = flags;
    return host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
}
static int add(circflow_circuit_id circuit) { return REFUSED(circflow_set_add_legs(CLIENT, NOW, SET, &circuit, 1)); }
static int put(uint8_t command)
{
    circflow_message message = host_message(command, HOST_HOPS, 7, "x", 1);
    circflow_verdict verdict;
    return REFUSED(circflow_set_send(CLIENT, NOW, SET, &message, NULL, 0, &verdict));
}
static circflow_set_id other_set(int same_nonce, int *answer)
{
    circflow_set_config terms = world.client_terms;
    circflow_set_id set = {0};
    terms.nonce[9] = (uint8_t)(terms.nonce[9] + !same_nonce);
    *answer = REFUSED(circflow_set_open(CLIENT, NOW, &terms, &set));
    return set;
}
static int import_recv(uint64_t delivered, uint64_t recv)
{
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers row;
    numbers.delivered = delivered;
    row.circuit = LEG(1);
    row.sent = 0;
    row.received = recv;
    return circflow_set_import(CLIENT, NOW, SET, &numbers, &row, 1);
}

static int e_null(void) { return REFUSED(circflow_engine_tick(NULL, NOW)); }
static int e_invalid(void) { return REFUSED(circflow_circuit_set_flags(CLIENT, LEG(0), 99)); }
static int e_stale(void)
{
    circflow_circuit_id circuit = fresh(1);
    ready(circflow_circuit_gone(CLIENT, NOW, circuit));
    return REFUSED(circflow_circuit_gone(CLIENT, NOW, circuit));
}
static int e_foreign(void) { return REFUSED(circflow_circuit_gone(CLIENT, NOW, world.exit_leg[0])); }
static int e_zero(void) { circflow_set_id zero = {0}; return REFUSED(circflow_set_close(CLIENT, NOW, zero)); }
static void poll_inside(void *answer, const circflow_insn *insn, const uint8_t *body)
{
    circflow_insn other;
    (void)insn;
    (void)body;
    *(int *)answer = circflow_engine_poll(CLIENT, NULL, 0, &other);
}
static int e_reentrant(void)
{
    int answer = 0;
    ready(add(fresh(1)));
    ready(circflow_engine_drain(CLIENT, 1, NULL, poll_inside, &answer));
    look(0); /* The drain took an instruction; that the refused poll took none is reentry.c's to show. */
    return answer;
}
static int e_too_small(void)
{
    circflow_insn insn;
    ready(add(fresh(1)));
    return REFUSED(circflow_engine_poll(CLIENT, NULL, 0, &insn));
}
static int e_version(void)
{
    circflow_engine_config config;
    return REFUSED(circflow_engine_config_init(&config, 1));
}
static int e_bad_handle(void)
{
    circflow_queue_config config;
    circflow_queue *queue;
    ready(circflow_queue_config_init(&config, sizeof(config)));
    ready(circflow_queue_new(&config, &queue));
    int answer = REFUSED(circflow_engine_tick((void *)queue, NOW));
    ready(circflow_queue_free(queue, NULL, NULL));
    return answer;
}
static int e_not_a_leg(void)
{
    circflow_circuit_id alone = fresh(1);
    circflow_leg_report report = {.circuit = alone};
    return REFUSED(circflow_leg_update(CLIENT, NOW, &report, 1));
}
static int e_in_set(void) { return add(LEG(0)); }
static int e_mismatch(void) { world.client_circuit.hops = 4; return add(fresh(1)); }
static int e_has_streams(void) { return add(fresh(CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_STREAMS)); }
static int e_no_vegas(void) { return add(fresh(0)); }
static int e_not_multiplexed(void) { return put(CIRCFLOW_CMD_DROP); }
static int e_not_decided(void) { return REFUSED(circflow_circuit_cell_queued(CLIENT, NOW, LEG(0), CIRCFLOW_CMD_SWITCH, HOST_HOPS)); }
static int e_no_legs(void) { return REFUSED(circflow_set_add_legs(CLIENT, NOW, SET, NULL, 0)); }
static int e_numbers(void)
{
    host_expect(&world, CLIENT, LEG(1), host_switch(HOST_HOPS, 3), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, CLIENT, LEG(1), host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_HELD);
    return REFUSED(import_recv(0, 3));
}
static int e_not_alone(void) { circflow_circuit_id out; return REFUSED(circflow_set_dissolve(CLIENT, NOW, SET, &out)); }
static int e_too_many_legs(void)
{
    circflow_circuit_id legs[15];
    for (size_t i = 0; i < COUNT(legs); i++)
        legs[i] = fresh(1);
    return REFUSED(circflow_set_add_legs(CLIENT, NOW, SET, legs, COUNT(legs)));
}
static int e_too_many_launches(void)
{
    int answer;
    circflow_circuit_id legs[3];
    world.client_terms.launches_max = 2;
    circflow_set_id set = other_set(0, &answer);
    for (size_t i = 0; i < COUNT(legs); i++)
        legs[i] = fresh(1);
    return REFUSED(circflow_set_add_legs(CLIENT, NOW, set, legs, COUNT(legs)));
}
static int e_nonce_in_use(void) { int answer; other_set(1, &answer); return answer; }
static int e_role(void)
{
    int answer;
    circflow_set_id set = other_set(0, &answer);
    circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_RELAY);
    return REFUSED(circflow_set_add_legs(CLIENT, NOW, set, &circuit, 1));
}
static int e_unencodable(void)
{
    uint8_t cell[CIRCFLOW_CELL_BODY_LEN];
    circflow_message message = host_message(CIRCFLOW_CMD_DATA, 0, 0, "x", 1);
    return REFUSED(circflow_cell_encode(CIRCFLOW_CELL_V0, &message, cell, NULL));
}
static int e_blocked(void) { return put(CIRCFLOW_CMD_DATA); }
static int e_not_usable(void)
{
    int answer;
    ready(circflow_set_close(CLIENT, NOW, SET));
    SET = other_set(0, &answer);
    ready(add(fresh(1)));
    return put(CIRCFLOW_CMD_DATA);
}
static int e_undrained(void)
{
    circflow_circuit_id legs[9];
    for (size_t i = 0; i < COUNT(legs); i++)
        legs[i] = fresh(1);
    ready(circflow_set_add_legs(CLIENT, NOW, SET, legs, 8));
    return add(legs[8]);
}
static int e_gone(void)
{
    IS(CIRCFLOW_ERR_STREAM_SENDME, client(0, host_message(CIRCFLOW_CMD_SENDME, HOST_HOPS, 1, NULL, 0)));
    return client(0, host_data(HOST_HOPS, "x"));
}
static int e_full(void)
{
    int answer;
    other_set(0, &answer);
    world.client_terms.nonce[1]++;
    other_set(0, &answer);
    return answer;
}
/* A sink that is always full; `closed` says whether it is closed, too. */
static int32_t full_send(void *closed, const circflow_queue_item *item)
{
    (void)closed;
    (void)item;
    return CIRCFLOW_SINK_FULL;
}
static int32_t full_closed(void *closed) { return *(int *)closed; }
static int into_full(int closed)
{
    const circflow_queue_item item = {1, NULL, 0, CIRCFLOW_FORM_TOKEN};
    const circflow_queue_sink sink = {full_send, full_closed, &closed};
    circflow_queue_config config;
    circflow_queue *queue;
    uint32_t len;
    int answer;
    ready(circflow_queue_config_init(&config, sizeof(config)));
    config.backlog_max = 0;
    ready(circflow_queue_new(&config, &queue));
    answer = REFUSED(circflow_queue_push(queue, &item, NULL, &sink));
    ready(circflow_queue_get_len(queue, &len));
    assert_int_equal(len, 0);
    ready(circflow_queue_free(queue, NULL, NULL));
    return answer;
}
static int e_queue_full(void) { return into_full(0); }
static int e_sink_closed(void) { return into_full(1); }
static int e_bad_link(void) { return far_end(2, host_message(CIRCFLOW_CMD_LINK, 0, 0, "x", 1)); }
static int e_unexpected_link(void) { return client(0, control(CIRCFLOW_CMD_LINK, HOST_HOPS)); }
static int e_unexpected_linked(void) { return client(0, control(CIRCFLOW_CMD_LINKED, HOST_HOPS)); }
static int e_unexpected_ack(void) { return client(0, control(CIRCFLOW_CMD_LINKED_ACK, HOST_HOPS)); }
static int e_bad_nonce(void)
{
    ready(add(LEG(2)));
    host_drain(CLIENT); /* Nobody answers a LINK that is not out. */
    world.client_terms.nonce[31] ^= 1;
    return client(2, control(CIRCFLOW_CMD_LINKED, HOST_HOPS));
}
static int e_bad_link_numbers(void)
{
    return far_end(2, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 1, 3));
}
static int e_unfit(void)
{
    ready(circflow_circuit_set_flags(EXIT, world.exit_leg[2], 0));
    return far_end(2, control(CIRCFLOW_CMD_LINK, 0));
}
static int e_off(void)
{
    ready(circflow_engine_accept_sets(EXIT, NULL));
    return far_end(2, control(CIRCFLOW_CMD_LINK, 0));
}
static int e_wrong_hop(void) { return client(0, host_data(1, "x")); }
static int e_bad_switch(void) { return client(0, host_message(CIRCFLOW_CMD_SWITCH, HOST_HOPS, 0, "xyz", 3)); }
static int e_unexpected_switch(void) { return client(2, host_switch(HOST_HOPS, 1)); }
static int e_repeated(void)
{
    ready(client(0, host_switch(HOST_HOPS, 1)));
    return client(0, host_switch(HOST_HOPS, 1));
}
static int e_zeros(void)
{
    for (int i = 0; i < 16; i++) {
        ready(client(0, host_switch(HOST_HOPS, 0)));
        ready(client(0, host_data(HOST_HOPS, "x")));
    }
    return client(0, host_switch(HOST_HOPS, 0));
}
static int e_too_far(void) { return client(0, host_switch(HOST_HOPS, 1048577)); }
static int e_overflow(void)
{
    ready(import_recv(UINT64_C(1) << 62, UINT64_C(1) << 62));
    return client(1, host_switch(HOST_HOPS, 1));
}
static int e_stale_number(void)
{
    ready(client(0, host_data(HOST_HOPS, "x")));
    return client(1, host_data(HOST_HOPS, "x"));
}
static int e_twice(void)
{
    for (size_t leg = 0; leg < 2; leg++)
        ready(client(leg, host_switch(HOST_HOPS, 4)));
    ready(client(0, host_data(HOST_HOPS, "x")));
    return client(1, host_data(HOST_HOPS, "x"));
}
static int e_unlinked(void)
{
    ready(add(LEG(2)));
    return client(2, host_data(HOST_HOPS, "x"));
}
static int e_stream_sendme(void) { return client(0, host_message(CIRCFLOW_CMD_SENDME, HOST_HOPS, 1, NULL, 0)); }
static int e_bad_stream(void) { return client(0, host_message(CIRCFLOW_CMD_DATA, HOST_HOPS, 0, "x", 1)); }
static int e_malformed(void)
{
    uint32_t rate;
    return REFUSED(circflow_xon_decode((const uint8_t *)"x", 1, &rate));
}
static int e_bad_command(void)
{
    uint8_t cell[CIRCFLOW_CELL_BODY_LEN] = {0};
    circflow_message message;
    cell[16] = 200;
    return REFUSED(circflow_cell_decode(CIRCFLOW_CELL_V1, cell, &message));
}
static int hold_costly(uint32_t cost)
{
    ready(client(1, host_switch(HOST_HOPS, 1)));
    return client(1, host_token(HOST_HOPS, 1, cost));
}
static int e_set_memory(void) { return hold_costly(30001); }
static int e_engine_memory(void)
{
    circflow_set_config terms = world.client_terms;
    terms.nonce[3]++;
    terms.held_bytes_max = 1 << 20;
    ready(circflow_set_close(CLIENT, NOW, SET));
    host_drain(CLIENT);
    ready(circflow_set_open(CLIENT, NOW, &terms, &SET));
    for (size_t i = 0; i < 2; i++) {
        world.client_leg[i] = fresh(1);
        ready(circflow_set_adopt_leg(CLIENT, NOW, SET, LEG(i), 3, MS));
    }
    return hold_costly(50001);
}
static int e_link_limit(void)
{
    ready(far_end(2, control(CIRCFLOW_CMD_LINK, 0)));
    host_drain(EXIT);
    return far_end(3, control(CIRCFLOW_CMD_LINK, 0));
}
static int cause_of(circflow_engine *engine, uint64_t at)
{
    ready(circflow_engine_tick(engine, at));
    return (int)host_first(host_drain(engine), CIRCFLOW_INSN_CLOSE)->detail.close.cause;
}
static int e_linked_timeout(void)
{
    ready(add(LEG(2)));
    return cause_of(CLIENT, NOW + 60 * SECOND);
}
static int e_ack_timeout(void)
{
    ready(far_end(2, control(CIRCFLOW_CMD_LINK, 0)));
    return cause_of(EXIT, NOW + 60 * SECOND);
}
static int e_expired(void)
{
    ready(add(LEG(2)));
    NOW += 60 * SECOND;
    return client(2, control(CIRCFLOW_CMD_LINKED, HOST_HOPS));
}
static int e_leg_lost(void)
{
    ready(client(0, host_data(HOST_HOPS, "x")));
    ready(circflow_circuit_gone(CLIENT, NOW, LEG(0)));
    const host_events *events = host_drain(CLIENT);
    IS(CIRCFLOW_ERR_LEG_LOST, (int)host_first(events, CIRCFLOW_INSN_ENDED)->detail.close.cause);
    return (int)host_first(events, CIRCFLOW_INSN_CLOSE)->detail.close.cause;
}

static int e_held_too_long(void)
{
    ready(client(1, host_switch(HOST_HOPS, 1)));
    ready(client(1, host_data(HOST_HOPS, "x")));
    for (int i = 0; i < 120; i++) {
        NOW += SECOND;
        ready(circflow_engine_tick(CLIENT, NOW));
    }
    return (int)host_first(host_drain(CLIENT), CIRCFLOW_INSN_CLOSE)->detail.close.cause;
}

static int load(const char *text)
{
    circflow_machines_id machines;
    return REFUSED(circflow_machines_load(CLIENT, text, strlen(text), &machines));
}
static int e_bad_machines(void) { return load("02nonsense"); }
static int e_unknown_padding(void) { return REFUSED(circflow_padding_start(CLIENT, NOW, LEG(2), 9)); }
static int e_padder_exists(void)
{
    circflow_padding_config config = host_padding_config(CLIENT, NULL, 2, 0);
    ready(circflow_padding_install(CLIENT, NOW, LEG(2), &config));
    return REFUSED(circflow_padding_install(CLIENT, NOW, LEG(2), &config));
}
static int e_no_padder(void) { return REFUSED(circflow_padding_remove(CLIENT, NOW, LEG(2), 2, 0)); }
static int e_not_asked(void)
{
    const circflow_insn_padding none = {CIRCFLOW_CMD_DROP, 2, 0, CIRCFLOW_PADDING_ASKS, 0};
    return REFUSED(circflow_padding_answered(CLIENT, NOW, LEG(2), &none, CIRCFLOW_ANSWER_SENT));
}
static int e_refused(void)
{
    static const uint8_t no[] = {0, 2, 2, 9, 0, 0, 0, 1};
    circflow_padding_config config = host_padding_config(CLIENT, NULL, 2, 0);
    ready(circflow_padding_register(CLIENT, CIRCFLOW_ROLE_CLIENT, 9, &config));
    ready(circflow_padding_start(CLIENT, NOW, LEG(2), 9));
    ready(client(2, host_message(42, 2, 0, no, sizeof(no))));
    return REFUSED(circflow_padding_start(CLIENT, NOW, LEG(2), 9));
}
static int e_padding_unexpected(void) { return client(2, host_message(CIRCFLOW_CMD_DROP, 2, 0, NULL, 0)); }
static int e_padding_excess(void)
{
    circflow_padding_config config = host_padding_config(CLIENT, NULL, 2, 0);
    config.inbound_fraction = 0.5;
    ready(circflow_padding_install(CLIENT, NOW, LEG(2), &config));
    return e_padding_unexpected();
}
static int e_bad_negotiated(void) { return client(2, host_message(42, 2, 0, NULL, 0)); }

/* Circuits that circflow runs. */
static circflow_circuit_id running(uint8_t flags)
{
    world.client_circuit.tag = 0xf00d;
    return fresh((uint8_t)(HOST_RUN | flags));
}
static int e_set_finished(void)
{
    circflow_set_id set;
    circflow_circuit_id circuit = running(0);
    world.client_terms.nonce[0] ^= 1;
    ready(circflow_set_open(CLIENT, NOW, &world.client_terms, &set));
    ready(circflow_set_adopt_leg(CLIENT, NOW, set, circuit, 3, 10 * MS));
    ready(circflow_circuit_gone(CLIENT, NOW, circuit));
    return (int)host_first(host_drain(CLIENT), CIRCFLOW_INSN_ENDED)->detail.close.cause;
}

static circflow_circuit_id relaying(uint8_t flags)
{
    world.exit_circuit.flags = (uint8_t)(HOST_RUN | flags);
    return host_open(&world, EXIT, CIRCFLOW_ROLE_RELAY);
}
static circflow_stream_id stream_on(circflow_circuit_id circuit)
{
    circflow_set_id none = {0};
    return host_begun(&world, CLIENT, none, circuit, HOST_HOPS, 7);
}
static int stream_message(circflow_circuit_id circuit, uint8_t command, const void *body, size_t len)
{
    return REFUSED(host_feed(&world, CLIENT, circuit, host_message(command, HOST_HOPS, 7, body, len)));
}
static int stream_data(circflow_stream_id stream)
{
    circflow_verdict verdict;
    return REFUSED(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
}
static int relayed(circflow_circuit_id circuit, circflow_message message)
{
    circflow_verdict verdict;
    return REFUSED(circflow_circuit_relay(EXIT, NOW, circuit, CIRCFLOW_SIDE_BACK, &message, &verdict));
}
static int e_not_run(void) { return REFUSED(circflow_circuit_set_writable(CLIENT, NOW, LEG(2), CIRCFLOW_SIDE_BACK, 0)); }
static int e_is_run(void)
{
    circflow_circuit_id circuit = running(0);
    circflow_leg_report report = host_report(circuit, 1, 0);
    circflow_set_id set;
    int answer;
    host_drain(CLIENT);
    set = other_set(0, &answer);
    ready(answer);
    ready(circflow_set_adopt_leg(CLIENT, NOW, set, circuit, 3, MS));
    return REFUSED(circflow_leg_update(CLIENT, NOW, &report, 1));
}
static int e_stream_exists(void)
{
    circflow_set_id none = {0};
    circflow_circuit_id circuit = running(0);
    circflow_stream_config config = host_stream_config(none, circuit, HOST_HOPS, 7);
    circflow_stream_id stream = stream_on(circuit);
    return REFUSED(circflow_stream_open(CLIENT, NOW, &config, &stream));
}
static int e_not_built(void) { return REFUSED(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_EXIT, "cc_alg", 0)); }
static int e_switched_off(void)
{
    ready(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_EXIT, "cfx_enabled", 0));
    return add(fresh(1));
}
static int e_stopped(void)
{
    ready(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_EXIT, "cc_xoff_client", 1)); /* One cell: half of it buys XOFF. */
    circflow_circuit_id circuit = running(0);
    circflow_stream_id stream = stream_on(circuit);
    circflow_verdict verdict;
    for (int i = 0; i < 8; i++)
        ready(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, world.client_terms.nonce, 32, &verdict));
    ready(stream_message(circuit, CIRCFLOW_CMD_XOFF, "", 1));
    return stream_data(stream);
}
static int e_unexpected_command(void) { return stream_message(running(0), CIRCFLOW_CMD_BEGIN, "x", 2); }
static int e_unrecognised(void) { return relayed(relaying(0), host_data(0, "x")); }
static int e_stream_twice(void)
{
    circflow_circuit_id circuit = running(CIRCFLOW_CIRCUIT_SERVICE);
    ready(stream_message(circuit, CIRCFLOW_CMD_BEGIN, "x", 2));
    return stream_message(circuit, CIRCFLOW_CMD_BEGIN, "x", 2);
}
static int e_unknown_stream(void) { return stream_message(running(0), CIRCFLOW_CMD_DATA, "x", 1); }
static int e_bad_flow(void)
{
    circflow_circuit_id circuit = running(0);
    stream_on(circuit);
    return stream_message(circuit, CIRCFLOW_CMD_XON, "x", 1);
}
static int e_flow_abuse(void)
{
    circflow_circuit_id circuit = running(0);
    stream_on(circuit);
    return stream_message(circuit, CIRCFLOW_CMD_XOFF, "", 1);
}
static int e_bad_sendme(void)
{
    return REFUSED(host_feed(&world, CLIENT, running(0), host_sendme(HOST_HOPS, host_digest(1), 20)));
}
static int e_edge_overrun(void)
{
    circflow_circuit_id circuit = relaying(CIRCFLOW_CIRCUIT_EXTENDED);
    ready(circflow_circuit_set_writable(EXIT, NOW, circuit, CIRCFLOW_SIDE_NEXT, 0));
    for (uint64_t i = 0; i < 64 + 128; i++)
        ready(relayed(circuit, host_token(0, i, 0)));
    return relayed(circuit, host_token(0, 0, 0));
}
static int e_stream_memory(void)
{
    circflow_circuit_id circuit = running(0);
    stream_on(circuit);
    ready(stream_message(circuit, CIRCFLOW_CMD_DATA, "xxxxxxxx", 8));
    return stream_message(circuit, CIRCFLOW_CMD_DATA, "x", 1);
}
/* An exit of a hub that has no memory. */
static int e_process_memory(void)
{
    circflow_hub *hub = host_hub(499);
    ready(circflow_engine_free(EXIT, NULL, NULL));
    EXIT = host_exit(&world, 2, hub, host_no_wake, NULL);
    ready(circflow_hub_free(hub));
    world.exit_leg[0] = host_open(&world, EXIT, CIRCFLOW_ROLE_RELAY);
    ready(far_end(0, control(CIRCFLOW_CMD_LINK, 0)));
    host_drain(EXIT);
    ready(far_end(0, host_switch(0, 1)));
    return far_end(0, host_token(0, 1, 500));
}

/* The exit's engine has a leg of a set on another one, which never looks. */
static int e_home_timeout(void)
{
    circflow_engine *home;
    circflow_hub *hub = host_hub(0);
    const circflow_message link = host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 0);
    ready(circflow_engine_free(EXIT, NULL, NULL));
    home = host_exit(&world, 77, hub, host_no_wake, NULL);
    EXIT = host_exit(&world, 2, hub, host_no_wake, NULL);
    ready(circflow_hub_free(hub));
    const circflow_circuit_id first = host_open(&world, home, CIRCFLOW_ROLE_RELAY);
    ready(host_feed(&world, home, first, link));
    world.exit_leg[0] = host_open(&world, EXIT, CIRCFLOW_ROLE_RELAY);
    ready(far_end(0, link));
    ready(circflow_engine_tick(EXIT, world.now += 61 * SECOND));
    const circflow_insn *close = host_close_of(host_drain(EXIT), world.exit_leg[0]);
    const int cause = close != NULL ? close->detail.close.cause : CIRCFLOW_OK;
    ready(circflow_engine_free(home, NULL, NULL));
    return cause;
}

enum { QUIET, CLOSES };

static const struct {
    int status;
    int (*provoke)(void);
    int closes; /* a CLOSE with this status as its cause waits afterwards */
} rows[] = {
    {CIRCFLOW_ERR_NULL, e_null, QUIET},
    {CIRCFLOW_ERR_INVALID, e_invalid, QUIET},
    {CIRCFLOW_ERR_STALE_ID, e_stale, QUIET},
    {CIRCFLOW_ERR_FOREIGN_ID, e_foreign, QUIET},
    {CIRCFLOW_ERR_ZERO_ID, e_zero, QUIET},
    {CIRCFLOW_ERR_REENTRANT, e_reentrant, QUIET},
    {CIRCFLOW_ERR_TOO_SMALL, e_too_small, QUIET},
    {CIRCFLOW_ERR_VERSION, e_version, QUIET},
    {CIRCFLOW_ERR_NOT_A_LEG, e_not_a_leg, QUIET},
    {CIRCFLOW_ERR_IN_SET, e_in_set, QUIET},
    {CIRCFLOW_ERR_LEG_MISMATCH, e_mismatch, QUIET},
    {CIRCFLOW_ERR_HAS_STREAMS, e_has_streams, QUIET},
    {CIRCFLOW_ERR_NO_VEGAS, e_no_vegas, QUIET},
    {CIRCFLOW_ERR_NOT_MULTIPLEXED, e_not_multiplexed, QUIET},
    {CIRCFLOW_ERR_NOT_DECIDED, e_not_decided, QUIET},
    {CIRCFLOW_ERR_NO_LEGS, e_no_legs, QUIET},
    {CIRCFLOW_ERR_NUMBERS, e_numbers, QUIET},
    {CIRCFLOW_ERR_NOT_ALONE, e_not_alone, QUIET},
    {CIRCFLOW_ERR_TOO_MANY_LEGS, e_too_many_legs, QUIET},
    {CIRCFLOW_ERR_TOO_MANY_LAUNCHES, e_too_many_launches, QUIET},
    {CIRCFLOW_ERR_NONCE_IN_USE, e_nonce_in_use, QUIET},
    {CIRCFLOW_ERR_ROLE, e_role, QUIET},
    {CIRCFLOW_ERR_UNENCODABLE, e_unencodable, QUIET},
    {CIRCFLOW_ERR_BAD_MACHINES, e_bad_machines, QUIET},
    {CIRCFLOW_ERR_UNKNOWN_PADDING, e_unknown_padding, QUIET},
    {CIRCFLOW_ERR_PADDER_EXISTS, e_padder_exists, QUIET},
    {CIRCFLOW_ERR_NO_PADDER, e_no_padder, QUIET},
    {CIRCFLOW_ERR_NOT_ASKED, e_not_asked, QUIET},
    {CIRCFLOW_ERR_NOT_RUN, e_not_run, QUIET},
    {CIRCFLOW_ERR_IS_RUN, e_is_run, QUIET},
    {CIRCFLOW_ERR_STREAM_EXISTS, e_stream_exists, QUIET},
    {CIRCFLOW_ERR_NOT_BUILT, e_not_built, QUIET},
    {CIRCFLOW_ERR_BAD_HANDLE, e_bad_handle, QUIET},
    {CIRCFLOW_ERR_NO_ROOM, e_blocked, QUIET},
    {CIRCFLOW_ERR_NOT_USABLE, e_not_usable, QUIET},
    {CIRCFLOW_ERR_UNDRAINED, e_undrained, QUIET},
    {CIRCFLOW_ERR_CLOSING, e_gone, QUIET},
    {CIRCFLOW_ERR_TOO_MANY, e_full, QUIET},
    {CIRCFLOW_ERR_PADDING_REFUSED, e_refused, QUIET},
    {CIRCFLOW_ERR_QUEUE_FULL, e_queue_full, QUIET},
    {CIRCFLOW_ERR_SINK_CLOSED, e_sink_closed, QUIET},
    {CIRCFLOW_ERR_STREAM_STOPPED, e_stopped, QUIET},
    {CIRCFLOW_ERR_DISABLED, e_switched_off, QUIET},
    {CIRCFLOW_ERR_BAD_LINK, e_bad_link, CLOSES},
    {CIRCFLOW_ERR_UNEXPECTED_LINK, e_unexpected_link, CLOSES},
    {CIRCFLOW_ERR_UNEXPECTED_LINKED, e_unexpected_linked, CLOSES},
    {CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK, e_unexpected_ack, CLOSES},
    {CIRCFLOW_ERR_BAD_NONCE, e_bad_nonce, CLOSES},
    {CIRCFLOW_ERR_BAD_LINK_NUMBERS, e_bad_link_numbers, CLOSES},
    {CIRCFLOW_ERR_UNFIT_LINK, e_unfit, CLOSES},
    {CIRCFLOW_ERR_CONFLUX_OFF, e_off, CLOSES},
    {CIRCFLOW_ERR_WRONG_HOP, e_wrong_hop, CLOSES},
    {CIRCFLOW_ERR_BAD_SWITCH, e_bad_switch, CLOSES},
    {CIRCFLOW_ERR_UNEXPECTED_SWITCH, e_unexpected_switch, CLOSES},
    {CIRCFLOW_ERR_SWITCH_REPEATED, e_repeated, CLOSES},
    {CIRCFLOW_ERR_SWITCH_ZERO, e_zeros, CLOSES},
    {CIRCFLOW_ERR_SWITCH_TOO_FAR, e_too_far, CLOSES},
    {CIRCFLOW_ERR_NUMBER_OVERFLOW, e_overflow, CLOSES},
    {CIRCFLOW_ERR_NUMBER_STALE, e_stale_number, CLOSES},
    {CIRCFLOW_ERR_NUMBER_TWICE, e_twice, CLOSES},
    {CIRCFLOW_ERR_UNLINKED_DATA, e_unlinked, CLOSES},
    {CIRCFLOW_ERR_STREAM_SENDME, e_stream_sendme, CLOSES},
    {CIRCFLOW_ERR_BAD_STREAM_ID, e_bad_stream, CLOSES},
    {CIRCFLOW_ERR_MALFORMED, e_malformed, QUIET},
    {CIRCFLOW_ERR_BAD_COMMAND, e_bad_command, QUIET},
    {CIRCFLOW_ERR_PADDING_UNEXPECTED, e_padding_unexpected, CLOSES},
    {CIRCFLOW_ERR_PADDING_EXCESS, e_padding_excess, CLOSES},
    {CIRCFLOW_ERR_BAD_NEGOTIATED, e_bad_negotiated, CLOSES},
    {CIRCFLOW_ERR_UNEXPECTED_COMMAND, e_unexpected_command, CLOSES},
    {CIRCFLOW_ERR_UNRECOGNISED, e_unrecognised, CLOSES},
    {CIRCFLOW_ERR_STREAM_TWICE, e_stream_twice, CLOSES},
    {CIRCFLOW_ERR_UNKNOWN_STREAM, e_unknown_stream, CLOSES},
    {CIRCFLOW_ERR_BAD_FLOW, e_bad_flow, CLOSES},
    {CIRCFLOW_ERR_FLOW_ABUSE, e_flow_abuse, CLOSES},
    {CIRCFLOW_ERR_BAD_SENDME, e_bad_sendme, CLOSES},
    {CIRCFLOW_ERR_SET_MEMORY, e_set_memory, CLOSES},
    {CIRCFLOW_ERR_ENGINE_MEMORY, e_engine_memory, CLOSES},
    {CIRCFLOW_ERR_LINK_LIMIT, e_link_limit, CLOSES},
    {CIRCFLOW_ERR_LINKED_TIMEOUT, e_linked_timeout, QUIET},
    {CIRCFLOW_ERR_LINKED_ACK_TIMEOUT, e_ack_timeout, QUIET},
    {CIRCFLOW_ERR_HOME_TIMEOUT, e_home_timeout, QUIET},
    {CIRCFLOW_ERR_EXPIRED, e_expired, QUIET},
    {CIRCFLOW_ERR_LEG_LOST, e_leg_lost, QUIET},
    {CIRCFLOW_ERR_SET_FINISHED, e_set_finished, QUIET},
    {CIRCFLOW_ERR_EDGE_OVERRUN, e_edge_overrun, CLOSES},
    {CIRCFLOW_ERR_STREAM_MEMORY, e_stream_memory, CLOSES},
    {CIRCFLOW_ERR_HUB_MEMORY, e_process_memory, CLOSES},
    {CIRCFLOW_ERR_HELD_TOO_LONG, e_held_too_long, QUIET},
};

static int want_reason(int status)
{
    switch (status) {
    case CIRCFLOW_ERR_QUEUE_FULL:
    case CIRCFLOW_ERR_SET_MEMORY:
    case CIRCFLOW_ERR_ENGINE_MEMORY:
    case CIRCFLOW_ERR_LINK_LIMIT:
    case CIRCFLOW_ERR_EDGE_OVERRUN:
    case CIRCFLOW_ERR_STREAM_MEMORY:
    case CIRCFLOW_ERR_HUB_MEMORY:
        return 5;
    case CIRCFLOW_ERR_LINKED_TIMEOUT:
    case CIRCFLOW_ERR_LINKED_ACK_TIMEOUT:
    case CIRCFLOW_ERR_HOME_TIMEOUT:
    case CIRCFLOW_ERR_EXPIRED:
    case CIRCFLOW_ERR_HELD_TOO_LONG:
        return 10;
    case CIRCFLOW_ERR_LEG_LOST:
    case CIRCFLOW_ERR_SET_FINISHED:
        return 9;
    default:
        return status <= -200 ? 1 : -1;
    }
}

static int want_class(int status)
{
    if (status > -100)
        return CIRCFLOW_CLASS_MISUSE;
    if (status > -200)
        return CIRCFLOW_CLASS_NOT_NOW;
    return status > -300 ? CIRCFLOW_CLASS_PEER : CIRCFLOW_CLASS_LIMIT;
}

static int has_close(circflow_engine *engine, int cause)
{
    const host_events *events = host_drain(engine);
    for (size_t i = 0; i < events->count; i++)
        if (events->at[i].insn.kind == CIRCFLOW_INSN_CLOSE && (int)events->at[i].insn.detail.close.cause == cause)
            return (int)events->at[i].insn.detail.close.reason == want_reason(cause);
    return 0;
}

static void prepare(void)
{
    host_prepare(&world);
    world.engine_config.sets_max = 2;
    world.engine_config.insns_max = 8;
    world.engine_config.held_bytes_max = 50000;
    world.engine_config.stream_bytes_max = 8;
    world.client_terms.held_bytes_max = 30000;
    world.exit_terms.legs_max = 3;
    host_linked(&world, 2);
    host_pair(&world); /* Two pairs that are in no set. */
    host_pair(&world);
}

/* Whether an engine answers with this status, or it comes some other way: from what names no engine, inside another
 * call, or as the cause of a close. */
static int is_an_answer(int status)
{
    switch (status) {
    case CIRCFLOW_ERR_NULL:
    case CIRCFLOW_ERR_VERSION:
    case CIRCFLOW_ERR_BAD_HANDLE:
    case CIRCFLOW_ERR_REENTRANT:
    case CIRCFLOW_ERR_UNENCODABLE:
    case CIRCFLOW_ERR_QUEUE_FULL:
    case CIRCFLOW_ERR_SINK_CLOSED:
    case CIRCFLOW_ERR_MALFORMED:
    case CIRCFLOW_ERR_BAD_COMMAND:
    case CIRCFLOW_ERR_LINKED_TIMEOUT:
    case CIRCFLOW_ERR_LINKED_ACK_TIMEOUT:
    case CIRCFLOW_ERR_HOME_TIMEOUT:
    case CIRCFLOW_ERR_LEG_LOST:
    case CIRCFLOW_ERR_SET_FINISHED:
    case CIRCFLOW_ERR_HELD_TOO_LONG:
        return 0;
    default:
        return 1;
    }
}

static const char *detail(circflow_engine *engine)
{
    static char text[2][1024];
    char *into = text[engine == EXIT];
    OK(circflow_engine_get_last_detail(engine, into, sizeof(text[0]), NULL));
    return into;
}

/* Leaves a sentence behind that nothing else may be taken for. */
static void leave_a_sentence(circflow_engine *engine)
{
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(engine, CIRCFLOW_PATH_EXIT, "left behind", 0));
    assert_non_null(strstr(detail(engine), "left behind"));
}

/* Where it has a sentence of its own, that names what is wrong. */
static int has_its_own(int status)
{
    return status == CIRCFLOW_ERR_INVALID || status == CIRCFLOW_ERR_BAD_MACHINES || status == CIRCFLOW_ERR_NOT_BUILT;
}

static void every_refusal_has_its_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const int status = rows[i].status;
        if (!is_an_answer(status))
            continue;
        prepare();
        leave_a_sentence(CLIENT);
        leave_a_sentence(EXIT);
        assert_int_equal(rows[i].provoke(), status);
        const char *near = detail(CLIENT), *far = detail(EXIT), *usual = circflow_status_text(status);
        if (!has_its_own(status) && strstr(near, usual) == NULL && strstr(far, usual) == NULL)
            fail_msg("of %d (%s) was said \"%s\" and \"%s\"", status, usual, near, far);
        if (has_its_own(status) && (near[0] == '\0' || strcmp(near, usual) == 0 || strstr(near, "left behind") != NULL))
            fail_msg("of %d (%s) was said \"%s\"", status, usual, near);
        host_stats(CLIENT);
        host_stats(EXIT);
        assert_string_equal(detail(CLIENT), "");
        assert_string_equal(detail(EXIT), "");
        host_stop(&world);
    }
}

static void every_status_is_provoked(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int status = rows[i].status, class = want_class(status);
        prepare();
        int got = rows[i].provoke();
        if (got != status)
            fail_msg("wanted %d (%s), got %d (%s)", status, circflow_status_name(status), got, circflow_status_name(got));
        assert_int_equal(circflow_status_class(status), class);
        assert_int_equal(circflow_status_close_reason(status), want_reason(status));
        if (class == CIRCFLOW_CLASS_MISUSE || class == CIRCFLOW_CLASS_NOT_NOW)
            look(1);
        if (rows[i].closes == CLOSES && !has_close(CLIENT, status) && !has_close(EXIT, status))
            fail_msg("no close for %d (%s)", status, circflow_status_name(status));
        host_stop(&world);
    }
}

static void sentences_are_distinct(void **state)
{
    (void)state;
    const char *unknown = circflow_status_text(-99999);
    assert_true(strlen(unknown) > 0);
    assert_int_equal(circflow_status_class(CIRCFLOW_OK), CIRCFLOW_CLASS_OK);
    assert_int_equal(circflow_status_class(-99999), CIRCFLOW_CLASS_UNKNOWN);
    assert_int_equal(circflow_status_class(-98), CIRCFLOW_CLASS_UNKNOWN);
    assert_int_equal(circflow_status_class(1), CIRCFLOW_CLASS_UNKNOWN);
    assert_int_equal(circflow_status_class(INT32_MIN), CIRCFLOW_CLASS_UNKNOWN);
    assert_int_equal(circflow_status_close_reason(CIRCFLOW_OK), -1);
    assert_int_equal(circflow_status_close_reason(-99999), -1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *one = circflow_status_text(rows[i].status);
        assert_true(strlen(one) > 0);
        assert_string_not_equal(one, unknown);
        assert_string_not_equal(one, circflow_status_text(CIRCFLOW_OK));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(one, circflow_status_text(rows[j].status));
    }
}

static void the_table_is_that_of_the_header(void **state)
{
    char line[512];
    size_t found = 0;
    FILE *header = fopen(HEADER_PATH, "r");
    (void)state;
    assert_non_null(header);
    while (fgets(line, sizeof(line), header) != NULL) {
        char name[128];
        int status, known = 0;
        if (sscanf(line, " CIRCFLOW_ERR_%100[A-Z0-9_] = %d", name, &status) != 2)
            continue;
        if (status == CIRCFLOW_ERR_PANIC || status == CIRCFLOW_ERR_POISONED)
            continue; /* poison.c */
        for (size_t i = 0; i < COUNT(rows); i++)
            known += rows[i].status == status;
        if (known != 1)
            fail_msg("CIRCFLOW_ERR_%s is in %d rows", name, known);
        found++;
    }
    fclose(header);
    assert_int_equal(found, COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_is_provoked),
        cmocka_unit_test(every_refusal_has_its_sentence),
        cmocka_unit_test(sentences_are_distinct),
        cmocka_unit_test(the_table_is_that_of_the_header),
    };
    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
