/* The program on README's first screen, compiled as it stands there, linked, and run as a client against an exit made by
 * hand: it comes to the end of what waits, and it waits for nothing that does not come. */

#include "host.h"

#include "readme_program.h"

enum { CONTROLS_MAX = 64, HELD = 3001 };

static struct control {
    uint64_t tag;
    uint8_t command;
    uint16_t len;
    uint8_t body[CIRCFLOW_BODY_MAX];
} controls[CONTROLS_MAX];
static size_t control_count, handled, handled_held, refused, wiped, written;
static uint64_t now, wakes_at, room;
static int stopped, opened, ended;
static circflow_engine *far_end;
static circflow_circuit_id far_circuits[2];

/* What the program takes for granted. */
void write_control(void *host, const circflow_insn *insn, const uint8_t *body)
{
    struct control *control = &controls[control_count++];
    (void)host;
    assert_true(control_count <= CONTROLS_MAX);
    control->tag = insn->circuit_tag;
    control->command = insn->detail.send.command;
    control->len = insn->detail.send.body_len;
    memcpy(control->body, body, control->len);
}
void handle(const circflow_message *arrived) { handled += arrived->command == CIRCFLOW_CMD_DATA; }
void handle_held(void *host, const circflow_insn *insn, const uint8_t *body)
{
    (void)host, (void)insn, (void)body;
    handled_held++;
}
void report_window(void *host, circflow_circuit_id circuit)
{
    circflow_leg_report report = host_report(circuit, room, 10 * MS);
    (void)host;
    OK(circflow_leg_update(engine, now, &report, 1));
}
void open_streams(void *host)
{
    (void)host;
    opened++;
    stopped = 0;
}
void read_streams(void *host)
{
    (void)host;
    stopped = 0;
}
void stop_reading(void *host)
{
    (void)host;
    stopped = 1;
}
void destroy(void *host, const circflow_insn *insn)
{
    (void)host;
    OK(circflow_circuit_gone(engine, now, insn->circuit));
}
void write_cells(uint64_t leg_tag, uint32_t switch_delta, const circflow_message *sent)
{
    (void)leg_tag, (void)switch_delta, (void)sent;
    written++;
}
void send_end(circflow_circuit_id circuit, uint16_t stream_id, uint8_t reason)
{
    assert_true(circuit.v != 0);
    assert_int_equal(stream_id, 1);
    assert_int_not_equal(reason, 0);
    refused++;
}
void random_bytes(uint8_t *bytes, size_t len) { memset(bytes, 7, len); }
void wipe(uint8_t *bytes, size_t len)
{
    assert_int_equal(len, CIRCFLOW_NONCE_LEN);
    memset(bytes, 0, len);
    wiped++;
}
void end_streams(void *host)
{
    (void)host;
    ended++;
}
void start_timer(void *host, uint64_t after_ns)
{
    (void)host;
    wakes_at = now + after_ns;
}
uint64_t now_ns(void) { return now; }

static void begin(void)
{
    circflow_engine_config config;
    circflow_set_config terms;
    circflow_circuit_config circuit;
    now = HOST_START;
    wakes_at = CIRCFLOW_NEVER;
    room = 100;
    control_count = handled = handled_held = refused = wiped = written = 0;
    stopped = opened = ended = 0;
    message = host_data(HOST_HOPS, "x");
    OK(circflow_engine_config_init(&config, sizeof(config)));
    config.engine_number = 2;
    OK(circflow_engine_new(&config, &far_end));
    OK(circflow_set_config_init(&terms, sizeof(terms)));
    OK(circflow_engine_accept_sets(far_end, &terms));
    OK(circflow_circuit_config_init(&circuit, sizeof(circuit)));
    circuit.role = CIRCFLOW_ROLE_RELAY;
    circuit.hops = 0;
    for (circuit.tag = 1; circuit.tag <= 2; circuit.tag++)
        OK(circflow_circuit_open(far_end, now, &circuit, &far_circuits[circuit.tag - 1]));
    assert_int_equal(start(NULL), 0);
    assert_int_equal(wiped, 1);
}

static void end(void)
{
    OK(circflow_engine_free(engine, NULL, NULL));
    OK(circflow_engine_free(far_end, NULL, NULL));
}

/* Carries LINK, LINKED and LINKED_ACK. */
static void link_legs(void)
{
    for (size_t i = 0; i < control_count; i++) {
        struct control *control = &controls[i];
        circflow_message carried = host_message(control->command, 0, 0, control->body, control->len);
        circflow_verdict verdict;
        OK(circflow_circuit_receive(far_end, now, far_circuits[control->tag - 1], &carried, &verdict));
        const host_events *events = host_drain(far_end);
        for (size_t k = 0; k < events->count; k++) {
            const circflow_insn_send *send = &events->at[k].insn.detail.send;
            if (events->at[k].insn.kind != CIRCFLOW_INSN_SEND)
                continue;
            carried = host_message(send->command, HOST_HOPS, 0, events->at[k].body, send->body_len);
            on_message(NULL, circuits[events->at[k].insn.circuit_tag - 1], &carried);
        }
    }
    assert_int_equal(opened, 1);
}

/* The host sleeps until its timer, for an hour at most: what it does when it wakes. */
static int sleeps_and_wakes(void)
{
    if (wakes_at > now + 3600 * SECOND) /* NEVER, too. */
        return 0;
    if (wakes_at > now)
        now = wakes_at;
    wakes_at = CIRCFLOW_NEVER;
    on_timer(NULL);
    return 1;
}

/* More is ready than one drain takes: the rest comes with the next turns of the loop, and none of them has to wait. */
static void what_a_drain_leaves_comes_in_the_next_turns(void **state)
{
    circflow_message early = host_switch(HOST_HOPS, 1);
    (void)state;
    begin();
    link_legs();
    on_message(NULL, circuits[1], &early);
    for (size_t i = 0; i < HELD; i++) {
        early = host_data(HOST_HOPS, "early");
        on_message(NULL, circuits[1], &early);
    }
    assert_int_equal(handled + handled_held, 0);
    early = host_data(HOST_HOPS, "first");
    on_message(NULL, circuits[0], &early);
    assert_int_equal(handled, 1);
    for (int turns = 0; turns < 10 && sleeps_and_wakes(); turns++)
        continue;
    assert_int_equal(handled_held, HELD);
    assert_int_equal(now, HOST_START);
    assert_true(wakes_at == CIRCFLOW_NEVER);
    end();
}

/* Where no MAY_SEND follows, the program does not wait for one. */
static void reading_stops_only_where_something_starts_it_again(void **state)
{
    (void)state;
    begin();
    on_stream_data(NULL); /* Not usable yet: USABLE starts it. */
    assert_int_equal(stopped, 1);
    link_legs();
    assert_int_equal(stopped, 0);
    OK(circflow_set_use_algorithm(engine, set, CIRCFLOW_ALGORITHM_LOW_RTT)); /* It fills both legs. */
    for (size_t i = 0; i < 200; i++) {
        on_stream_data(NULL);
        assert_int_equal(written, i + 1);
    }
    on_stream_data(NULL); /* No room in either leg. */
    assert_int_equal(written, 200);
    assert_int_equal(stopped, 1);
    report_window(NULL, circuits[0]);
    drain(NULL);
    assert_int_equal(stopped, 0);
    OK(circflow_set_close(engine, now, set));
    drain(NULL);
    assert_int_equal(ended, 0);
    on_stream_data(NULL); /* The set is gone: nothing will ever start it. */
    assert_int_equal(stopped, 0);
    assert_int_equal(ended, 1);
    assert_int_equal(written, 200);
    end();
}

/* What may not come on a leg is refused, and nobody handles it. */
static void a_directory_stream_on_a_leg_gets_an_end(void **state)
{
    circflow_message arrived = host_message(CIRCFLOW_CMD_BEGIN_DIR, HOST_HOPS, 1, NULL, 0);
    (void)state;
    begin();
    link_legs();
    on_message(NULL, circuits[0], &arrived);
    assert_int_equal(refused, 1);
    assert_int_equal(handled + handled_held, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_drain_leaves_comes_in_the_next_turns),
        cmocka_unit_test(a_directory_stream_on_a_leg_gets_an_end),
        cmocka_unit_test(reading_stops_only_where_something_starts_it_again),
    };
    return cmocka_run_group_tests_name("readme", tests, NULL, NULL);
}
