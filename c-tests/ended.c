/* Streams that have ended here while the other end may not know yet: what may still come for them, for how long, and
 * what it costs to remember them. All at a client, for streams that it opened: a relay remembers none. */

#include "host.h"

#define CLIENT world.client
#define EXIT world.exit
#define LEG(i) world.client_leg[i]
#define FAR(i) world.exit_leg[i]

static host_world world;
static const circflow_circuit_id no_circuit = {0};

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    host_prepare(&world);
    world.client_circuit.flags = HOST_RUN;
    world.exit_circuit.flags = HOST_RUN;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_stop(&world);
    return 0;
}

/* A circuit of its own, or a set of one leg. */
static void begin_world(int in_set)
{
    setup(NULL);
    if (in_set)
        host_linked(&world, 1);
    else {
        host_start(&world);
        host_pair(&world);
    }
}

static int try_open(uint16_t stream_id, circflow_stream_id *stream)
{
    circflow_stream_config config =
        host_stream_config(world.client_set, world.client_set.v ? no_circuit : LEG(0), HOST_HOPS, stream_id);
    return circflow_stream_open(CLIENT, world.now, &config, stream);
}

static circflow_stream_id open_stream(uint16_t stream_id)
{
    circflow_stream_id stream;
    OK(try_open(stream_id, &stream));
    return stream;
}

/* Sends at the client; what is sent is dropped, as the other end is played by hand. */
static uint32_t say(circflow_stream_id stream, uint8_t command, const char *body, size_t len)
{
    circflow_verdict verdict;
    OK(host_stream_send(&world, CLIENT, stream, command, body, len, &verdict));
    return verdict.kind;
}

static circflow_stream_id begun(uint16_t stream_id, uint8_t command)
{
    circflow_stream_id stream = open_stream(stream_id);
    assert_int_equal(say(stream, command, "host:80", 8), CIRCFLOW_VERDICT_SEND);
    return stream;
}

static void ended(uint16_t stream_id, uint8_t command)
{
    assert_int_equal(say(begun(stream_id, command), CIRCFLOW_CMD_END, "\6", 1), CIRCFLOW_VERDICT_SEND);
}

static int hears(uint8_t command, uint16_t stream_id, const void *body, size_t len, uint32_t *kind)
{
    circflow_message message = host_message(command, HOST_HOPS, stream_id, body, len);
    circflow_verdict verdict = {0};
    message.cell_tag = host_tag(1);
    message.cell_tag_len = 20;
    int status = circflow_circuit_receive(CLIENT, world.now, LEG(0), &message, &verdict);
    *kind = verdict.kind;
    return status;
}

/* A message that a client takes without handing it on. */
static void consumed(uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    uint32_t kind;
    OK(hears(command, stream_id, body, len, &kind));
    assert_int_equal(kind, CIRCFLOW_VERDICT_CONSUMED);
}

/* --- Ids --- */

static void an_id_is_in_use_until_the_peers_last_word_or_the_memorys_end(void **state)
{
    circflow_stream_id again;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++)
        for (int how = 0; how < 3; how++) {
            begin_world(in_set);
            ended(7, how == 1 ? CIRCFLOW_CMD_RESOLVE : CIRCFLOW_CMD_BEGIN);
            IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
            consumed(CIRCFLOW_CMD_DATA, 7, "late", 4);
            IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
            OK(try_open(8, &again)); /* Another is free. */
            if (how == 0)
                consumed(CIRCFLOW_CMD_END, 7, "\6", 1);
            if (how == 1)
                consumed(CIRCFLOW_CMD_RESOLVED, 7, "\4\4\1\2\3\4", 6);
            if (how == 2) {
                world.now += world.engine_config.stream_memory_ns - 1;
                IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
                world.now += 1;
            }
            OK(try_open(7, &again));
            /* It is a stream like any other. */
            IS(CIRCFLOW_ERR_STREAM_EXISTS, try_open(7, &again));
            host_stop(&world);
        }
    begin_world(0);
}

/* The peer has said its last word while the stream was open: nothing can be late. */
static void an_id_that_the_peer_has_ended_is_free_at_once(void **state)
{
    circflow_stream_id again;
    uint32_t kind;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        begun(7, CIRCFLOW_CMD_BEGIN);
        OK(hears(CIRCFLOW_CMD_END, 7, "\6", 1, &kind));
        assert_int_equal(kind, CIRCFLOW_VERDICT_DELIVER);
        OK(try_open(7, &again));
        host_stop(&world);
    }
    begin_world(0);
}

/* A relay takes a client's word for which ids are free. */
static void a_relay_remembers_no_ids(void **state)
{
    circflow_verdict verdict;
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        begin_world(in_set);
        for (int n = 0; n < 3; n++) {
            circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "host:80", 8);
            OK(circflow_circuit_receive(EXIT, world.now, FAR(0), &begin, &verdict));
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
            circflow_stream_id stream = verdict.stream;
            OK(host_stream_send(&world, EXIT, stream, CIRCFLOW_CMD_END, "\6", 1, &verdict));
        }
        host_stop(&world);
    }
    begin_world(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_id_is_in_use_until_the_peers_last_word_or_the_memorys_end, setup, teardown),
        cmocka_unit_test_setup_teardown(an_id_that_the_peer_has_ended_is_free_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_relay_remembers_no_ids, setup, teardown),
    };
    return cmocka_run_group_tests_name("ended", tests, NULL, NULL);
}
