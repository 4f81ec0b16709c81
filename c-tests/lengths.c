/* Bodies that are too long: refused always, and not only when they would have to wait, so that a host sees its mistake on
 * the first day and not in the first reordering. */

#include "host.h"

HOST_WORLD(host_prepare)
static uint8_t body[65535];
static uint8_t form;

/* At the limit, just above, where eight bits end again, and the longest that can be written. */
static const struct { uint16_t len; int fits; } LENGTHS[] = {
    {CIRCFLOW_BODY_MAX, 1}, {CIRCFLOW_BODY_MAX + 1, 0}, {512, 0}, {754, 0}, {UINT16_MAX, 0},
};

static circflow_message sized(uint8_t command, uint8_t hop, uint16_t len)
{
    circflow_message message = host_message(command, hop, 7, NULL, 0);
    message.body = body;
    message.body_len = len;
    message.form = form;
    message.token = len;
    message.cost_bytes = 100;
    return message;
}

static void discard(void *userdata, uint64_t token, uint32_t cost)
{
    (void)userdata;
    (void)token;
    (void)cost;
}

/* Both ends of a set of two legs; the first leg's next message is in order, the second's early. */
static void on_a_leg(uint16_t flags, int at_exit)
{
    world.client_circuit.flags = world.exit_circuit.flags = (uint8_t)flags;
    host_linked(&world, 2);
    circflow_engine *engine = at_exit ? world.exit : world.client;
    circflow_circuit_id *legs = at_exit ? world.exit_leg : world.client_leg;
    uint8_t hop = at_exit ? 0 : HOST_HOPS;
    uint64_t number = 0, early = 100;
    if (flags & CIRCFLOW_CIRCUIT_REACTOR) {
        circflow_verdict verdict;
        circflow_stream_id stream = host_stream(&world, engine, world.client_set, (circflow_circuit_id){0}, hop, 7);
        OK(host_stream_send(&world, engine, stream, CIRCFLOW_CMD_BEGIN, "x", 2, &verdict));
    }
    host_expect(&world, engine, legs[1], host_switch(hop, 100), CIRCFLOW_VERDICT_CONSUMED);
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        if (LENGTHS[i].fits) {
            assert_int_equal(host_expect(&world, engine, legs[0], sized(CIRCFLOW_CMD_DATA, hop, LENGTHS[i].len),
                                         CIRCFLOW_VERDICT_DELIVER), ++number);
            assert_int_equal(host_expect(&world, engine, legs[1], sized(CIRCFLOW_CMD_DATA, hop, LENGTHS[i].len),
                                         CIRCFLOW_VERDICT_HELD), ++early);
            continue;
        }
        IS(CIRCFLOW_ERR_INVALID, host_feed(&world, engine, legs[0], sized(CIRCFLOW_CMD_DATA, hop, LENGTHS[i].len)));
        IS(CIRCFLOW_ERR_INVALID, host_feed(&world, engine, legs[1], sized(CIRCFLOW_CMD_DATA, hop, LENGTHS[i].len)));
    }
    /* Nothing was counted, and nothing closes. */
    assert_int_equal(host_expect(&world, engine, legs[0], sized(CIRCFLOW_CMD_DATA, hop, 1), CIRCFLOW_VERDICT_DELIVER), 2);
    assert_int_equal(host_expect(&world, engine, legs[1], sized(CIRCFLOW_CMD_DATA, hop, 1), CIRCFLOW_VERDICT_HELD), 102);
    assert_int_equal(host_count(host_drain(engine), CIRCFLOW_INSN_CLOSE), 0);
    OK(circflow_engine_free(engine, discard, NULL));
    *(at_exit ? &world.exit : &world.client) = NULL;
    host_stop(&world);
    setup(NULL);
}

static void a_message_on_a_leg(void **state)
{
    (void)state;
    for (form = CIRCFLOW_FORM_BYTES; form <= CIRCFLOW_FORM_TOKEN; form++)
        for (int at_exit = 0; at_exit < 2; at_exit++)
            on_a_leg(CIRCFLOW_CIRCUIT_VEGAS, at_exit);
}

static void a_message_on_a_leg_that_circflow_runs(void **state)
{
    (void)state;
    for (form = CIRCFLOW_FORM_BYTES; form <= CIRCFLOW_FORM_TOKEN; form++)
        on_a_leg(HOST_RUN, 0);
}

static void a_message_on_a_plain_circuit(void **state)
{
    static const uint8_t commands[] = {CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_SENDME, 200};
    (void)state;
    host_start(&world);
    host_pair(&world);
    for (form = CIRCFLOW_FORM_BYTES; form <= CIRCFLOW_FORM_TOKEN; form++)
        for (size_t i = 0; i < COUNT(LENGTHS); i++)
            for (size_t n = 0; n < COUNT(commands); n++)
                IS(LENGTHS[i].fits ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID,
                   host_feed(&world, world.client, world.client_leg[0], sized(commands[n], HOST_HOPS, LENGTHS[i].len)));
}

static void a_message_to_be_sent(void **state)
{
    (void)state;
    host_linked(&world, 1);
    host_room(&world, world.client, world.client_leg[0], 100, 10 * MS);
    circflow_leg_report report = host_report(world.client_leg[0], 77, 10 * MS);
    for (form = CIRCFLOW_FORM_BYTES; form <= CIRCFLOW_FORM_TOKEN; form++)
        for (size_t i = 0; i < COUNT(LENGTHS); i++)
            for (size_t reports = 0; reports < 2; reports++) {
                circflow_message message = sized(CIRCFLOW_CMD_DATA, HOST_HOPS, LENGTHS[i].len);
                circflow_verdict verdict;
                int want = LENGTHS[i].fits ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID;
                uint64_t sent = host_set_stats(world.client, world.client_set).sent;
                IS(want, circflow_set_decide(world.client, world.now, world.client_set, &message, &report, reports,
                                             &verdict));
                IS(want, circflow_set_send(world.client, world.now, world.client_set, &message, &report, reports,
                                           &verdict));
                IS(want, circflow_circuit_send(world.client, world.now, world.client_leg[0],
                                               &(circflow_message){CIRCFLOW_CMD_SENDME, 2, 0, LENGTHS[i].len, form, 0, 0, 0,
                                                                   body, 1, NULL}, &verdict));
                assert_int_equal(host_set_stats(world.client, world.client_set).sent,
                                 sent + (uint64_t)LENGTHS[i].fits);
            }
}

/* Here the limit is that of a cell. */
static void a_cell_that_passes(void **state)
{
    static const struct { uint16_t len; int want; } cells[] = {
        {0, CIRCFLOW_OK}, {CIRCFLOW_CELL_BODY_LEN, CIRCFLOW_OK}, {CIRCFLOW_CELL_BODY_LEN + 1, CIRCFLOW_ERR_INVALID},
        {UINT16_MAX, CIRCFLOW_ERR_INVALID},
    };
    (void)state;
    world.exit_circuit.flags = HOST_RUN | CIRCFLOW_CIRCUIT_EXTENDED;
    host_start(&world);
    circflow_circuit_id circuit = host_open(&world, world.exit, CIRCFLOW_ROLE_RELAY);
    for (form = CIRCFLOW_FORM_BYTES; form <= CIRCFLOW_FORM_TOKEN; form++)
        for (uint8_t full = 0; full < 2; full++) {
            OK(circflow_circuit_set_writable(world.exit, world.now, circuit, CIRCFLOW_SIDE_NEXT, !full));
            host_drain(world.exit);
            for (size_t i = 0; i < COUNT(cells); i++) {
                circflow_message cell = sized(3, 0, cells[i].len);
                circflow_verdict verdict;
                IS(cells[i].want, circflow_circuit_relay(world.exit, world.now, circuit, CIRCFLOW_SIDE_BACK, &cell, &verdict));
                if (cells[i].want == CIRCFLOW_OK)
                    assert_int_equal(verdict.kind, full ? CIRCFLOW_VERDICT_HELD : CIRCFLOW_VERDICT_FORWARD);
            }
        }
    OK(circflow_engine_free(world.exit, discard, NULL));
    world.exit = NULL;
}

/* Where nothing may wait: held_bytes_max 0. */
static void a_cell_at_a_full_channel_where_nothing_may_wait(void **state)
{
    circflow_message cell = host_message(3, 0, 0, body, CIRCFLOW_CELL_BODY_LEN);
    circflow_verdict verdict;
    (void)state;
    world.engine_config.held_bytes_max = 0;
    world.exit_circuit.flags = HOST_RUN | CIRCFLOW_CIRCUIT_EXTENDED;
    host_start(&world);
    circflow_circuit_id circuit = host_open(&world, world.exit, CIRCFLOW_ROLE_RELAY);
    OK(circflow_circuit_relay(world.exit, world.now, circuit, CIRCFLOW_SIDE_BACK, &cell, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_FORWARD);
    OK(circflow_circuit_set_writable(world.exit, world.now, circuit, CIRCFLOW_SIDE_NEXT, 0));
    IS(CIRCFLOW_ERR_ENGINE_MEMORY,
       circflow_circuit_relay(world.exit, world.now, circuit, CIRCFLOW_SIDE_BACK, &cell, &verdict));
    assert_non_null(host_close_of(host_drain(world.exit), circuit));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_on_a_leg),
        TEST(a_message_on_a_leg_that_circflow_runs),
        TEST(a_message_on_a_plain_circuit),
        TEST(a_message_to_be_sent),
        TEST(a_cell_that_passes),
        TEST(a_cell_at_a_full_channel_where_nothing_may_wait),
    };
    return cmocka_run_group_tests_name("lengths", tests, NULL, NULL);
}
