/* Which relay commands each part of a circuit takes: the directions of tor-spec 6.1 (and rend-spec, prop324, prop329,
 * padding-spec), written out here once more, against all 256 commands. */

#include "host.h"

enum { C = 1, S = 2, M = 4, X = 8 }; /* Client, service, middle relay, exit. */

static const struct { uint8_t number; const char *name; int parts; char stream; } TABLE[] = {
    /* Streams are opened towards a relay, or a service. */
    {1, "BEGIN", S | M | X, 'y'},
    {2, "DATA", C | S | M | X, 'y'},
    {3, "END", C | S | M | X, 'y'},
    {4, "CONNECTED", C | S, 'y'},
    {5, "SENDME", C | S | M | X, '?'},
    {6, "EXTEND", M | X, 'n'},
    {7, "EXTENDED", C | S, 'n'},
    {8, "TRUNCATE", M | X, 'n'},
    {9, "TRUNCATED", C | S, 'n'},
    {10, "DROP", C | S | M | X, 'n'},
    {11, "RESOLVE", M | X, 'y'},
    {12, "RESOLVED", C | S, 'y'},
    {13, "BEGIN_DIR", S | M | X, 'y'},
    {14, "EXTEND2", M | X, 'n'},
    {15, "EXTENDED2", C | S, 'n'},
    /* Sets: their ends are the client and the last hop, which can be a service. */
    {19, "CONFLUX_LINK", S | X, 'n'},
    {20, "CONFLUX_LINKED", C | S, 'n'},
    {21, "CONFLUX_LINKED_ACK", S | X, 'n'},
    {22, "CONFLUX_SWITCH", C | S | X, 'n'},
    /* Introduction and rendezvous points are last hops; clients and services are at the other end. */
    {32, "ESTABLISH_INTRO", X, 'n'},
    {33, "ESTABLISH_RENDEZVOUS", X, 'n'},
    {34, "INTRODUCE1", X, 'n'},
    {35, "INTRODUCE2", C | S, 'n'},
    {36, "RENDEZVOUS1", X, 'n'},
    {37, "RENDEZVOUS2", C | S, 'n'},
    {38, "INTRO_ESTABLISHED", C | S, 'n'},
    {39, "RENDEZVOUS_ESTABLISHED", C | S, 'n'},
    {40, "INTRODUCE_ACK", C | S, 'n'},
    {41, "PADDING_NEGOTIATE", M | X, 'n'},
    {42, "PADDING_NEGOTIATED", C | S, 'n'},
    {43, "XOFF", C | S | M | X, 'y'},
    {44, "XON", C | S | M | X, 'y'},
};

static const struct { int part; uint8_t role, hops, flags; const char *name; } PARTS[] = {
    {C, CIRCFLOW_ROLE_CLIENT, HOST_HOPS, HOST_RUN, "client"},
    {S, CIRCFLOW_ROLE_CLIENT, HOST_HOPS, HOST_RUN | CIRCFLOW_CIRCUIT_SERVICE, "service"},
    {M, CIRCFLOW_ROLE_RELAY, 0, HOST_RUN | CIRCFLOW_CIRCUIT_EXTENDED, "middle relay"},
    {X, CIRCFLOW_ROLE_RELAY, 0, HOST_RUN, "exit"},
};

HOST_WORLD(host_begin)

static circflow_circuit_id open_as(size_t part)
{
    circflow_circuit_config config = world.client_circuit;
    circflow_circuit_id circuit = {0};
    config.role = PARTS[part].role;
    config.hops = PARTS[part].hops;
    config.flags = PARTS[part].flags;
    config.join_point = 0;
    OK(circflow_circuit_open(world.client, world.now, &config, &circuit));
    return circuit;
}

static size_t row_of(unsigned command)
{
    size_t row = 0;
    while (row < COUNT(TABLE) && TABLE[row].number != command)
        row++;
    return row;
}

static void closed(circflow_circuit_id circuit, int cause)
{
    const circflow_insn *insn = host_close_of(host_drain(world.client), circuit);
    assert_non_null(insn);
    assert_int_equal(insn->detail.close.cause, cause);
    assert_int_equal(insn->detail.close.reason, 1);
}

static void every_command_at_every_part(void **state)
{
    static const uint8_t body[64];
    size_t refused = 0;
    (void)state;
    for (size_t part = 0; part < COUNT(PARTS); part++)
        for (unsigned command = 0; command < 256; command++) {
            size_t row = row_of(command);
            int known = row < COUNT(TABLE), taken = known && (TABLE[row].parts & PARTS[part].part) != 0;
            circflow_circuit_id circuit = open_as(part);
            circflow_message message = host_message((uint8_t)command, PARTS[part].hops, 0, body, sizeof(body));
            message.stream_id = known && TABLE[row].stream == 'y' ? 7 : 0;
            int got = host_feed(&world, world.client, circuit, message);
            if (taken ? got == CIRCFLOW_ERR_UNEXPECTED_COMMAND || got == CIRCFLOW_ERR_BAD_STREAM_ID
                      : got != CIRCFLOW_ERR_UNEXPECTED_COMMAND)
                fail_msg("command %u (%s) at a %s: %d (%s)", command, known ? TABLE[row].name : "unknown",
                         PARTS[part].name, got, circflow_status_name(got));
            if (!taken) {
                closed(circuit, CIRCFLOW_ERR_UNEXPECTED_COMMAND);
                refused++;
            }
            host_drain(world.client);
            OK(circflow_circuit_gone(world.client, world.now, circuit));
            host_drain(world.client);
        }
    assert_true(refused > 4 * (256 - COUNT(TABLE)));
    assert_int_equal(host_stats(world.client).circuits, 0);
    assert_int_equal(host_stats(world.client).streams, 0);
    assert_int_equal(host_stats(world.client).held, 0);
}

static void a_stream_id_is_there_when_it_must_be_and_only_then(void **state)
{
    (void)state;
    for (size_t part = 0; part < COUNT(PARTS); part++)
        for (size_t row = 0; row < COUNT(TABLE); row++) {
            if (!(TABLE[row].parts & PARTS[part].part) || TABLE[row].stream == '?')
                continue;
            circflow_circuit_id circuit = open_as(part);
            circflow_message message = host_message(TABLE[row].number, PARTS[part].hops, 0, NULL, 0);
            message.stream_id = TABLE[row].stream == 'y' ? 0 : 7;
            int got = host_feed(&world, world.client, circuit, message);
            if (got != CIRCFLOW_ERR_BAD_STREAM_ID)
                fail_msg("%s at a %s: %d (%s)", TABLE[row].name, PARTS[part].name, got, circflow_status_name(got));
            closed(circuit, CIRCFLOW_ERR_BAD_STREAM_ID);
            OK(circflow_circuit_gone(world.client, world.now, circuit));
            host_drain(world.client);
        }
}

static void a_circuit_that_the_host_runs_knows_no_such_table(void **state)
{
    (void)state;
    world.client_circuit.flags = CIRCFLOW_CIRCUIT_VEGAS;
    circflow_circuit_id circuit = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    host_expect(&world, world.client, circuit, host_message(200, HOST_HOPS, 0, NULL, 0), CIRCFLOW_VERDICT_DELIVER);
}

/* R9, and what a role is settled by. */
static void a_role_changes_with_the_circuit(void **state)
{
    (void)state;
    circflow_circuit_id circuit = open_as(3);
    circflow_message link = host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3);
    OK(circflow_circuit_set_flags(world.client, circuit, HOST_RUN | CIRCFLOW_CIRCUIT_EXTENDED));
    IS(CIRCFLOW_ERR_UNEXPECTED_COMMAND, host_feed(&world, world.client, circuit, link));
    circuit = open_as(3);
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(world.client, circuit, CIRCFLOW_CIRCUIT_VEGAS));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(world.client, circuit, CIRCFLOW_CIRCUIT_REACTOR));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(world.client, circuit, HOST_RUN | CIRCFLOW_CIRCUIT_OWN_QUEUE));
    circflow_circuit_config config = world.exit_circuit;
    config.flags = HOST_RUN | CIRCFLOW_CIRCUIT_SERVICE;
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_open(world.client, world.now, &config, &circuit));
    config.flags = HOST_RUN | CIRCFLOW_CIRCUIT_OWN_QUEUE;
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_open(world.client, world.now, &config, &circuit));
    /* A circuit that had a stream is no leg any more. */
    OK(circflow_engine_accept_sets(world.client, &world.exit_terms));
    circuit = open_as(3);
    host_expect(&world, world.client, circuit, host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2), CIRCFLOW_VERDICT_DELIVER);
    IS(CIRCFLOW_ERR_UNFIT_LINK, host_feed(&world, world.client, circuit, link));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_command_at_every_part, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_id_is_there_when_it_must_be_and_only_then, setup, teardown),
        cmocka_unit_test_setup_teardown(a_circuit_that_the_host_runs_knows_no_such_table, setup, teardown),
        cmocka_unit_test_setup_teardown(a_role_changes_with_the_circuit, setup, teardown),
    };
    return cmocka_run_group_tests_name("roles", tests, NULL, NULL);
}
