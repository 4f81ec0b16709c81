/* circflow's answers to the rows of stream_rows.h, on a circuit alone and in a set. With an argument the program only
 * prints them, for integration/tor/rows.py. */

#include "host.h"
#include "stream_rows.h"

#include <stdio.h>
#include <stdlib.h>

#define CLIENT world.client
#define LEG(i) world.client_leg[i]

/* The hops whose machines may hold BEGIN back are those before the exit. */
#define PADDED_HOP 2
/* More than the buffer for which an exit says XOFF (cc_xoff_exit is 500 cells of 498 bytes), in messages. */
#define BUFFER_MESSAGES 501
#define BODY 498

static host_world world;

static circflow_stream_id opened(void)
{
    circflow_stream_id stream = {0};
    circflow_stream_config config = host_client_stream(&world, ROWS_STREAM);
    OK(circflow_stream_open(CLIENT, world.now, &config, &stream));
    return stream;
}

/* What is sent is dropped: the exit is played by hand. */
static void says(circflow_stream_id stream, uint8_t command, uint32_t kind)
{
    circflow_verdict verdict;
    int is_end = command == CIRCFLOW_CMD_END;
    OK(host_stream_send(&world, CLIENT, stream, command, is_end ? "\6" : "host:80", is_end ? 1 : 8, &verdict));
    assert_int_equal(verdict.kind, kind);
}

static circflow_stream_id asked(uint8_t command)
{
    circflow_stream_id stream = opened();
    says(stream, command, CIRCFLOW_VERDICT_SEND);
    return stream;
}

static int hears(uint8_t command, uint8_t hop, uint16_t stream_id, const void *body, size_t len)
{
    return host_feed(&world, CLIENT, LEG(0), host_with_digest(host_message(command, hop, stream_id, body, len), 1));
}

static void heard(uint8_t command)
{
    switch (command) {
    case CIRCFLOW_CMD_END: OK(hears(command, ROWS_HOPS, ROWS_STREAM, "\6", 1)); break;
    case CIRCFLOW_CMD_RESOLVED: OK(hears(command, ROWS_HOPS, ROWS_STREAM, "\4\4\1\2\3\4\0\0\0\74", 10)); break;
    case CIRCFLOW_CMD_XOFF: OK(hears(command, ROWS_HOPS, ROWS_STREAM, "", 1)); break;
    default: OK(hears(command, ROWS_HOPS, ROWS_STREAM, "", 0));
    }
}

/* As much DATA as an exit may have to keep; the exit acknowledges it. */
static void fills(circflow_stream_id stream)
{
    static const char body[BODY];
    for (unsigned n = 0; n < BUFFER_MESSAGES; n++) {
        circflow_verdict verdict;
        OK(host_stream_send(&world, CLIENT, stream, CIRCFLOW_CMD_DATA, body, sizeof(body), &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
        if (verdict.flags & CIRCFLOW_WANTS_DIGEST) {
            OK(circflow_circuit_add_digest(CLIENT, LEG(0), ROWS_HOPS, host_digest(n), 20));
            world.now += 10 * MS;
            OK(host_feed(&world, CLIENT, LEG(0), host_sendme(ROWS_HOPS, host_digest(n), 20)));
        }
    }
}

/* CONNECTED has come, and what follows. */
static void connect_and(int sends, int stopped, int ends)
{
    circflow_stream_id stream = asked(CIRCFLOW_CMD_BEGIN);
    heard(CIRCFLOW_CMD_CONNECTED);
    if (sends)
        fills(stream);
    if (stopped)
        heard(CIRCFLOW_CMD_XOFF);
    if (ends)
        says(stream, CIRCFLOW_CMD_END, CIRCFLOW_VERDICT_SEND);
}

static void leave(uint8_t command)
{
    says(asked(command), CIRCFLOW_CMD_END, CIRCFLOW_VERDICT_SEND);
}

static void wait_behind_padding(uint8_t command, int ends)
{
    host_shut(&world, CLIENT, LEG(0), PADDED_HOP);
    circflow_stream_id stream = opened();
    says(stream, command, CIRCFLOW_VERDICT_HELD);
    if (ends)
        says(stream, CIRCFLOW_CMD_END, CIRCFLOW_VERDICT_HELD);
}

static void enter(enum rows_state state)
{
    uint64_t memory = world.engine_config.stream_remembered_ns;
    switch (state) {
    case ROWS_NO_ID: case ROWS_NEVER: break;
    case ROWS_UNASKED: opened(); break;
    case ROWS_BEGIN_HELD: wait_behind_padding(CIRCFLOW_CMD_BEGIN, 0); break;
    case ROWS_RESOLVE_HELD: wait_behind_padding(CIRCFLOW_CMD_RESOLVE, 0); break;
    case ROWS_END_HELD: wait_behind_padding(CIRCFLOW_CMD_BEGIN, 1); break;
    case ROWS_BEGUN: asked(CIRCFLOW_CMD_BEGIN); break;
    case ROWS_RESOLVING: asked(CIRCFLOW_CMD_RESOLVE); break;
    case ROWS_CONNECTED: case ROWS_HOP_OPEN: connect_and(0, 0, 0); break;
    case ROWS_SENT: connect_and(1, 0, 0); break;
    case ROWS_STOPPED: connect_and(1, 1, 0); break;
    case ROWS_LEFT_BEGUN: case ROWS_HOP_LEFT: leave(CIRCFLOW_CMD_BEGIN); break;
    case ROWS_LEFT_RESOLVING: leave(CIRCFLOW_CMD_RESOLVE); break;
    case ROWS_LEFT_CONNECTED: connect_and(0, 0, 1); break;
    case ROWS_LEFT_LATE: leave(CIRCFLOW_CMD_BEGIN); heard(CIRCFLOW_CMD_CONNECTED); break;
    case ROWS_LEFT_STOPPED: connect_and(1, 1, 1); break;
    case ROWS_NEARLY_OVER: leave(CIRCFLOW_CMD_BEGIN); world.now += memory - SECOND; break;
    case ROWS_OVER: leave(CIRCFLOW_CMD_BEGIN); world.now += memory + SECOND; break;
    case ROWS_CROSSED: leave(CIRCFLOW_CMD_BEGIN); heard(CIRCFLOW_CMD_END); break;
    case ROWS_CROSSED_RESOLVED: leave(CIRCFLOW_CMD_RESOLVE); heard(CIRCFLOW_CMD_RESOLVED); break;
    case ROWS_REFUSED: asked(CIRCFLOW_CMD_BEGIN); heard(CIRCFLOW_CMD_END); break;
    case ROWS_THEIRS: connect_and(0, 0, 0); heard(CIRCFLOW_CMD_END); break;
    case ROWS_ANSWERED: asked(CIRCFLOW_CMD_RESOLVE); heard(CIRCFLOW_CMD_RESOLVED); break;
    case ROWS_STATES_COUNT: fail();
    }
}

/* One row in a world of its own. '!' is none of the three. */
static char answer(int in_set, size_t state, size_t message)
{
    const rows_message *late = &rows_messages[message];
    int is_hop = state == ROWS_HOP_OPEN || state == ROWS_HOP_LEFT;
    host_begin_run(&world, in_set);
    enter((enum rows_state)state);
    host_drain(CLIENT);
    circflow_engine_stats before = host_stats(CLIENT);
    int status = hears(late->command, is_hop ? ROWS_HOPS - 1 : ROWS_HOPS, state == ROWS_NO_ID ? 0 : ROWS_STREAM,
                       late->body, late->len);
    circflow_engine_stats after = host_stats(CLIENT);
    int closed = host_close_of(host_drain(CLIENT), LEG(0)) != NULL;
    int faults = after.peer_faults != before.peer_faults;
    uint64_t unexplained = after.unexplained - before.unexplained;
    host_stop(&world);
    if (status != CIRCFLOW_OK && closed && faults && unexplained == 0)
        return 'x';
    if (status == CIRCFLOW_OK && !closed && !faults && unexplained <= 1)
        return unexplained ? 'd' : 'v';
    return '!';
}

static void each_row_is_answered_as_the_table_says(void **unused)
{
    unsigned wrong = 0;
    (void)unused;
    for (int in_set = 0; in_set < 2; in_set++)
        for (size_t state = 0; state < ROWS_STATES_COUNT; state++)
            for (size_t message = 0; message < ROWS_MESSAGES; message++) {
                char want = rows_at(state, message).circflow, got = answer(in_set, state, message);
                if (got == want)
                    continue;
                wrong++;
                print_error("%s / %s, %s: %c and not %c\n", rows_states[state].text, rows_messages[message].name,
                            in_set ? "in a set" : "alone", got, want);
            }
    assert_int_equal(wrong, 0);
}

/* The table itself: three answers, a reason where they differ and only there, all reasons in use. */
static void each_difference_has_its_reason(void **unused)
{
    unsigned used[COUNT(rows_reasons)] = {0};
    (void)unused;
    for (size_t state = 0; state < ROWS_STATES_COUNT; state++)
        for (size_t message = 0; message < ROWS_MESSAGES; message++) {
            rows_cell cell = rows_at(state, message);
            assert_non_null(strchr("vdx", cell.stock));
            assert_non_null(strchr("vdx", cell.circflow));
            assert_int_equal(cell.stock != cell.circflow, cell.reason != 0);
            if (cell.reason == 0)
                continue;
            const rows_reason *reason = rows_reason_of(cell.reason);
            assert_non_null(reason);
            used[reason - rows_reasons]++;
            /* What a stock client takes from an honest exit is taken. */
            if (cell.stock == 'v')
                assert_true(reason->dishonest);
        }
    for (size_t i = 0; i < COUNT(rows_reasons); i++)
        assert_true(used[i] > 0);
}

static void print_all(void)
{
    for (size_t state = 0; state < ROWS_STATES_COUNT; state++)
        for (size_t message = 0; message < ROWS_MESSAGES; message++)
            printf("%s / %s\t%c%c\n", rows_states[state].text, rows_messages[message].name, answer(0, state, message),
                   answer(1, state, message));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_answered_as_the_table_says),
        cmocka_unit_test(each_difference_has_its_reason),
    };
    if (argc > 1 && strcmp(argv[1], "--print") == 0) {
        print_all();
        return 0;
    }
    return cmocka_run_group_tests_name("rows", tests, NULL, NULL);
}
