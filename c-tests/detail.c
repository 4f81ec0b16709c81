/* circflow_engine_get_last_detail() is about the last call that failed, whatever failed, and empty after one that did
 * not. */

#include "host.h"

#include <inttypes.h>
#include <stdio.h>

HOST_WORLD(host_prepare)
static char text[4096];

#define CLIENT world.client
#define NOW world.now
#define SET world.client_set
#define LEG(i) world.client_leg[i]

static const char *detail_of(circflow_engine *engine)
{
    size_t len = 0;
    OK(circflow_engine_get_last_detail(engine, text, sizeof(text), &len));
    assert_int_equal(len, strlen(text));
    return text;
}

static void says(const char *want)
{
    if (strstr(detail_of(CLIENT), want) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, want);
}

static void is_silent(void) { assert_string_equal(detail_of(CLIENT), ""); }

/* What is said of a leg, up to the next one. */
static void says_of(size_t leg, const char *want)
{
    char name[64], part[512];
    snprintf(name, sizeof(name), "circuit %#" PRIx64 " (tag %#x)", LEG(leg).v, 0xc000 + (unsigned)leg);
    const char *found = strstr(detail_of(CLIENT), name);
    if (found == NULL)
        fail_msg("\"%s\" does not name %s", text, name);
    snprintf(part, sizeof(part), "%.*s", (int)strcspn(found, ";"), found);
    if (strstr(part, want) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", part, want);
}

static int send_status(uint8_t command)
{
    circflow_message message = host_message(command, HOST_HOPS, 7, "x", 1);
    circflow_verdict verdict;
    return circflow_set_send(CLIENT, NOW, SET, &message, NULL, 0, &verdict);
}

static int decide_status(void)
{
    circflow_message message = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    return circflow_set_decide(CLIENT, NOW, SET, &message, NULL, 0, &verdict);
}

static int peek_status(void)
{
    circflow_verdict verdict;
    return circflow_set_get_decision(CLIENT, SET, &verdict);
}

static void report(size_t leg, uint64_t cwnd, uint64_t inflight, uint32_t flags)
{
    circflow_leg_report report = host_report(LEG(leg), 0, 0);
    report.cwnd = cwnd;
    report.inflight = inflight;
    report.flags = flags;
    OK(circflow_leg_update(CLIENT, NOW, &report, 1));
}

/* The trap: a set that is linked, and told of no window, waits for ever. */
static void a_leg_that_was_never_reported_is_named(void **state)
{
    (void)state;
    host_linked(&world, 2);
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says("no leg has room");
    says_of(0, "was never reported");
    says_of(1, "was never reported");
    says("circflow_leg_update()");
    report(0, 0, 0, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says_of(0, "has a full window, 0 of 0 cells in flight");
    says_of(1, "was never reported");
    /* What it says to do helps. */
    report(0, 1, 0, 0);
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
    OK(send_status(CIRCFLOW_CMD_DATA));
    is_silent();
}

/* Five legs that lack five things. */
static void every_leg_says_what_it_lacks(void **state)
{
    static int (*const ways[])(void) = {decide_status, peek_status};
    (void)state;
    host_adopted(&world, 3);
    world.client_circuit.flags |= CIRCFLOW_CIRCUIT_OWN_QUEUE;
    host_pair(&world);
    OK(circflow_set_adopt_leg(CLIENT, NOW, SET, LEG(3), CIRCFLOW_UX_HIGH_THROUGHPUT, 40 * MS));
    host_pair(&world);
    OK(circflow_set_add_legs(CLIENT, NOW, SET, &LEG(4), 1));
    host_pad(&world, CLIENT, LEG(3), "shut-0", 2, 0);
    host_drop(&world, CLIENT, LEG(3), 2);
    host_tick(&world, CLIENT);
    report(1, 100, 100, 0);
    report(2, 100, 0, CIRCFLOW_REPORT_CHANNEL_FULL);
    report(3, 100, 0, 0);
    for (size_t i = 0; i <= COUNT(ways); i++) {
        IS(CIRCFLOW_ERR_NO_ROOM, i < COUNT(ways) ? ways[i]() : send_status(CIRCFLOW_CMD_DATA));
        says("no leg has room");
        says_of(0, "was never reported");
        says_of(1, "has a full window, 100 of 100 cells in flight");
        says_of(2, "has a blocked channel");
        says_of(3, "is blocked by padding");
        says_of(4, "is not linked");
        report(2, 100, 0, CIRCFLOW_REPORT_CHANNEL_FULL); /* A call that succeeds. */
        is_silent();
    }
    /* One that lacks several says the first that has to come about. */
    report(1, 100, 101, CIRCFLOW_REPORT_CHANNEL_FULL);
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says_of(1, "has a full window, 101 of 100 cells in flight");
    says_of(1, "a blocked channel");
}

static void a_leg_that_has_room_says_why_it_waits(void **state)
{
    (void)state;
    world.client_terms.algorithm = CIRCFLOW_ALGORITHM_MIN_RTT;
    host_adopted(&world, 2);
    report(0, 10, 10, 0);
    report(1, 10, 5, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says_of(0, "full window");
    says_of(1, "has room, and is not chosen");
    /* Only the leg of a SWITCH without its message will do. */
    report(0, 10, 9, 0);
    OK(send_status(CIRCFLOW_CMD_DATA));
    OK(circflow_circuit_cell_queued(CLIENT, NOW, LEG(1), CIRCFLOW_CMD_SWITCH, HOST_HOPS));
    report(0, 10, 5, 0);
    report(1, 10, 10, 0);
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says_of(1, "full window");
    says_of(0, "has room, and is not chosen");
}

/* What stops a message that is not a leg's. */
static void what_waits_already_is_said(void **state)
{
    (void)state;
    world.client_terms.held_sends_max = 1;
    host_adopted(&world, 1);
    report(0, 100, 0, 0);
    host_pad(&world, CLIENT, LEG(0), "shut-0", 2, 0);
    host_drop(&world, CLIENT, LEG(0), 2);
    OK(circflow_engine_tick(CLIENT, NOW));
    OK(send_status(CIRCFLOW_CMD_DATA));
    is_silent();
    for (int i = 0; i < 2; i++) {
        IS(CIRCFLOW_ERR_NO_ROOM, send_status(i ? CIRCFLOW_CMD_END : CIRCFLOW_CMD_DATA));
        says("1 messages wait to be sent, and held_sends_max is 1");
        says_of(0, "is blocked by padding");
    }
    host_stop(&world);
    setup(NULL);
    world.engine_config.held_bytes_max = 0;
    host_adopted(&world, 1);
    report(0, 100, 0, 0);
    host_pad(&world, CLIENT, LEG(0), "shut-0", 2, 0);
    host_drop(&world, CLIENT, LEG(0), 2);
    OK(circflow_engine_tick(CLIENT, NOW));
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says("no memory");
}

/* Where circflow runs the legs, the host has nothing to report. */
static void legs_that_are_run_ask_for_no_report(void **state)
{
    circflow_circuit_id none = {0};
    circflow_verdict verdict;
    uint8_t body[100] = {0};
    int status = CIRCFLOW_OK;
    (void)state;
    world.client_circuit.flags = world.exit_circuit.flags = HOST_RUN;
    host_linked(&world, 1);
    circflow_stream_id stream = host_begun(&world, CLIENT, SET, none, HOST_HOPS, 1);
    for (int i = 0; i < 10000 && status == CIRCFLOW_OK; i++)
        status = host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, body, sizeof(body), &verdict);
    assert_int_equal(status, CIRCFLOW_ERR_NO_ROOM);
    says_of(0, "has a full window");
    assert_null(strstr(text, "report"));
    OK(circflow_stream_set_readable(CLIENT, stream, 1));
    is_silent();
    IS(CIRCFLOW_ERR_NO_ROOM, circflow_stream_choose(CLIENT, NOW, SET, none, &stream, NULL));
    says_of(0, "has a full window");
    /* The same on a circuit of its own. */
    host_stop(&world);
    setup(NULL);
    world.client_circuit.flags = HOST_RUN;
    host_start(&world);
    host_pair(&world);
    circflow_set_id no_set = {0};
    stream = host_begun(&world, CLIENT, no_set, LEG(0), HOST_HOPS, 1);
    for (status = CIRCFLOW_OK; status == CIRCFLOW_OK;)
        status = host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, body, sizeof(body), &verdict);
    assert_int_equal(status, CIRCFLOW_ERR_NO_ROOM);
    says("the circuit has no room");
}

/* A failure is forgotten by the next call that succeeds, on the short ways as well, and never speaks for another. */
static void the_last_call_speaks_for_itself(void **state)
{
    circflow_message message = host_data(HOST_HOPS, "x"), far = host_data(1, "x");
    circflow_engine_stats stats;
    circflow_set_id nothing = {0};
    circflow_verdict verdict;
    (void)state;
    host_adopted(&world, 1);
    is_silent();
    report(0, 100, 0, 0);
    OK(send_status(CIRCFLOW_CMD_DATA));
    for (int i = 0; i < 6; i++) {
        IS(CIRCFLOW_ERR_INVALID, circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_EXIT, "nonsense", 1));
        says("no parameter is called nonsense");
        IS(CIRCFLOW_ERR_ZERO_ID, circflow_set_close(CLIENT, NOW, nothing));
        assert_string_equal(detail_of(CLIENT), circflow_status_text(CIRCFLOW_ERR_ZERO_ID));
        IS(CIRCFLOW_ERR_NOT_MULTIPLEXED, send_status(CIRCFLOW_CMD_DROP));
        assert_string_equal(detail_of(CLIENT), circflow_status_text(CIRCFLOW_ERR_NOT_MULTIPLEXED));
        /* An argument that is out of range is named, on the short way too. */
        IS(CIRCFLOW_ERR_INVALID, circflow_circuit_cell_queued(CLIENT, NOW, LEG(0), CIRCFLOW_CMD_DATA, 9));
        says("hop");
        IS(CIRCFLOW_ERR_NOT_DECIDED, circflow_circuit_cell_queued(CLIENT, NOW, LEG(0), CIRCFLOW_CMD_SWITCH, HOST_HOPS));
        assert_string_equal(detail_of(CLIENT), circflow_status_text(CIRCFLOW_ERR_NOT_DECIDED));
        /* Asking changes nothing, also where it fails. */
        IS(CIRCFLOW_ERR_NULL, circflow_engine_get_last_detail(CLIENT, NULL, 1, NULL));
        assert_string_equal(detail_of(CLIENT), circflow_status_text(CIRCFLOW_ERR_NOT_DECIDED));
        switch (i) {
        case 0: OK(send_status(CIRCFLOW_CMD_DATA)); break;
        case 1: OK(decide_status()); break;
        case 2: OK(circflow_circuit_cell_queued(CLIENT, NOW, LEG(0), CIRCFLOW_CMD_DATA, HOST_HOPS)); break;
        case 3: OK(circflow_circuit_receive(CLIENT, NOW, LEG(0), &message, &verdict)); break;
        case 4: OK(circflow_circuit_cells_written(CLIENT, NOW, LEG(0), 1)); break;
        default: stats.size = sizeof(stats); OK(circflow_engine_get_stats(CLIENT, &stats)); break;
        }
        is_silent();
    }
    assert_int_equal(host_export(CLIENT, SET).legs[0].sent, 3); /* The call that clears it is made once. */
    IS(CIRCFLOW_ERR_WRONG_HOP, circflow_circuit_receive(CLIENT, NOW, LEG(0), &far, &verdict));
    says(circflow_status_text(CIRCFLOW_ERR_WRONG_HOP));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_close(CLIENT, NOW, SET));
    assert_string_equal(detail_of(CLIENT), circflow_status_text(CIRCFLOW_ERR_STALE_ID));
}

/* What is refused at the door has its sentence, too. */
static void a_pointer_that_is_missing_is_said(void **state)
{
    circflow_message message = host_data(HOST_HOPS, "x");
    circflow_circuit_config small = world.client_circuit;
    circflow_circuit_id circuit;
    circflow_engine_stats stats;
    circflow_set_id set;
    (void)state;
    host_adopted(&world, 1);
    for (int i = 0; i < 16; i++) {
        int status = 0;
        OK(circflow_engine_tick(CLIENT, NOW));
        is_silent();
        switch (i) {
        case 0: status = circflow_circuit_open(CLIENT, NOW, &world.client_circuit, NULL); break;
        case 1: status = circflow_circuit_open(CLIENT, NOW, NULL, &circuit); break;
        case 2: status = circflow_circuit_receive(CLIENT, NOW, LEG(0), &message, NULL); break;
        case 3: status = circflow_leg_update(CLIENT, NOW, NULL, 1); break;
        case 4: status = circflow_set_open(CLIENT, NOW, NULL, &set); break;
        case 5: status = circflow_set_send(CLIENT, NOW, SET, &message, NULL, 0, NULL); break;
        case 6: status = circflow_set_decide(CLIENT, NOW, SET, NULL, NULL, 0, NULL); break;
        case 7: status = circflow_set_get_decision(CLIENT, SET, NULL); break;
        case 8: status = circflow_engine_poll(CLIENT, NULL, 1, NULL); break;
        case 9: status = circflow_engine_drain(CLIENT, 1, NULL, NULL, NULL); break;
        case 10: status = circflow_engine_get_deadline(CLIENT, NULL); break;
        case 11: status = circflow_engine_get_stats(CLIENT, NULL); break;
        case 12: status = circflow_set_add_legs(CLIENT, NOW, SET, NULL, 1); break;
        case 13: status = circflow_machines_load(CLIENT, NULL, 1, NULL); break;
        case 14:
            small.size = 1;
            status = circflow_circuit_open(CLIENT, NOW, &small, &circuit);
            break;
        default:
            stats.size = 1;
            status = circflow_engine_get_stats(CLIENT, &stats);
            break;
        }
        assert_int_equal(status, i < 14 ? CIRCFLOW_ERR_NULL : CIRCFLOW_ERR_VERSION);
        assert_string_equal(detail_of(CLIENT), circflow_status_text(status));
    }
}

static void fail_inside(void *counted, const circflow_insn *insn, const uint8_t *body)
{
    circflow_insn other;
    (void)insn;
    (void)body;
    is_silent();
    IS(CIRCFLOW_ERR_REENTRANT, circflow_engine_poll(CLIENT, NULL, 0, &other));
    assert_string_equal(detail_of(CLIENT), circflow_status_text(CIRCFLOW_ERR_REENTRANT));
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says_of(0, "was never reported");
    ++*(int *)counted;
}

/* A call that fails inside a drain is not the drain. */
static void a_drain_speaks_for_itself(void **state)
{
    int counted = 0;
    (void)state;
    host_adopted(&world, 1);
    host_pair(&world);
    host_pair(&world);
    OK(circflow_set_add_legs(CLIENT, NOW, SET, &LEG(1), 2));
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    OK(circflow_engine_drain(CLIENT, 1, NULL, fail_inside, &counted));
    is_silent();
    OK(circflow_engine_drain(CLIENT, 100, NULL, fail_inside, &counted));
    is_silent();
    assert_int_equal(counted, 2);
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    says_of(0, "was never reported");
}

/* 16 legs, and a buffer that is too short for all that there is to say. */
static void a_short_buffer_gets_the_beginning(void **state)
{
    char cut[40];
    size_t len = 0;
    (void)state;
    host_adopted(&world, CIRCFLOW_LEGS_MAX);
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA));
    OK(circflow_engine_get_last_detail(CLIENT, cut, sizeof(cut), &len));
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    for (size_t i = 0; i < CIRCFLOW_LEGS_MAX; i++)
        says_of(i, "was never reported");
    assert_int_equal(strlen(text), len);
    assert_memory_equal(text, cut, sizeof(cut) - 1);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_leg_that_was_never_reported_is_named),
        TEST(every_leg_says_what_it_lacks),
        TEST(a_leg_that_has_room_says_why_it_waits),
        TEST(what_waits_already_is_said),
        TEST(legs_that_are_run_ask_for_no_report),
        TEST(the_last_call_speaks_for_itself),
        TEST(a_pointer_that_is_missing_is_said),
        TEST(a_drain_speaks_for_itself),
        TEST(a_short_buffer_gets_the_beginning),
    };
    return cmocka_run_group_tests_name("detail", tests, NULL, NULL);
}
