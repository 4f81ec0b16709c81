/* What is left of a set when a leg goes (prop329 2.4.3), and how sets end. */

#include "host.h"

static host_world world;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    return 0;
}

/* Leg 0 goes, leg 1 stays. Of leg 0: */
typedef struct loss {
    const char *what;
    int linked;
    int sending;
    uint64_t sent, recv;             /* its numbers */
    uint64_t other_sent, other_recv; /* those of leg 1 */
    uint64_t inflight;
    uint32_t sendme_inc;
    int survives;
} loss;

static const loss losses[] = {
    {"idle, nothing ever sent", 1, 0, 0, 0, 0, 0, 0, 31, 1},
    {"sending leg, behind in nothing", 1, 1, 5, 5, 5, 5, 0, 31, 0},
    {"sent less and received less", 1, 0, 4, 4, 5, 5, 0, 31, 1},
    {"sent as much, not sending", 1, 0, 5, 5, 5, 5, 0, 31, 1},
    {"received one more", 1, 0, 4, 6, 5, 5, 0, 31, 0},
    {"received as much", 1, 0, 4, 5, 5, 5, 0, 31, 1},
    {"inflight one below sendme_inc", 1, 0, 4, 4, 5, 5, 30, 31, 1},
    {"inflight at sendme_inc", 1, 0, 4, 4, 5, 5, 31, 31, 0},
    {"inflight one above sendme_inc", 1, 0, 4, 4, 5, 5, 32, 31, 0},
    {"sendme_inc 1, nothing in flight", 1, 0, 4, 4, 5, 5, 0, 1, 1},
    {"sendme_inc 1, one in flight", 1, 0, 4, 4, 5, 5, 1, 1, 0},
    {"not linked yet", 0, 0, 0, 0, 5, 5, 0, 31, 1},
    {"not linked yet, other leg idle", 0, 0, 0, 0, 0, 0, 0, 31, 1},
};

/* Builds the set of a row. */
static void build(const loss *row)
{
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers legs[2];
    setup(NULL);
    host_begin_pair(&world);
    host_pair(&world);
    OK(circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[1], 3, 10 * MS));
    if (row->linked)
        OK(circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[0], 3, 10 * MS));
    else
        OK(circflow_set_add_legs(world.client, world.now, world.client_set, &world.client_leg[0], 1));
    numbers.delivered = row->recv > row->other_recv ? row->recv : row->other_recv;
    if (row->sending)
        numbers.sending = world.client_leg[0];
    else if (row->other_sent > 0)
        numbers.sending = world.client_leg[1];
    legs[0].circuit = world.client_leg[0];
    legs[0].sent = row->sent;
    legs[0].received = row->recv;
    legs[1].circuit = world.client_leg[1];
    legs[1].sent = row->other_sent;
    legs[1].received = row->other_recv;
    OK(circflow_set_import(world.client, world.now, world.client_set, &numbers, legs, 2));
    for (int i = 0; i < 2; i++) {
        circflow_leg_report report = {world.client_leg[i], 1000, 0, 10 * MS, row->sendme_inc, 0};
        report.inflight = i == 0 ? row->inflight : 0;
        OK(circflow_leg_update(world.client, world.now, &report, 1));
    }
    host_drain(world.client);
}

static void a_leg_that_closes_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(losses); i++) {
        const loss *row = &losses[i];
        circflow_set_stats stats;
        stats.size = sizeof(stats);
        build(row);
        OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
        int lives = circflow_set_get_stats(world.client, world.client_set, &stats) == CIRCFLOW_OK;
        if (lives != row->survives)
            fail_msg("%s: the set %s", row->what, lives ? "survived" : "ended");
        const host_events *events = host_drain(world.client);
        const circflow_insn *close = host_close_of(events, world.client_leg[1]);
        assert_null(host_close_of(events, world.client_leg[0])); /* The host knows. */
        if (row->survives) {
            assert_null(close);
            assert_int_equal(stats.legs, 1);
            assert_int_equal(stats.primary.v, world.client_leg[1].v);
        } else {
            assert_non_null(close);
            IS(CIRCFLOW_ERR_LEG_LOST, (int)close->detail.close.cause);
            assert_int_equal(close->detail.close.reason, 9);
            assert_int_equal(close->set.v, world.client_set.v);
            assert_int_equal(close->set_tag, 0xc11e);
            const circflow_insn *ended = host_first(events, CIRCFLOW_INSN_ENDED);
            IS(CIRCFLOW_ERR_LEG_LOST, (int)ended->detail.close.cause);
            assert_int_equal(ended->detail.close.reason, 9);
            assert_int_equal(ended->set.v, world.client_set.v);
            assert_int_equal(ended->set_tag, 0xc11e);
            assert_true(ended == &events->at[events->count - 1].insn);
            IS(CIRCFLOW_ERR_STALE_ID, circflow_set_close(world.client, world.now, world.client_set));
            assert_int_equal(host_drain(world.client)->count, 0);
        }
        host_stop(&world);
    }
}

/* The same judgement when the peer's fault takes the leg. */
static void a_leg_that_breaks_the_protocol_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(losses); i++) {
        const loss *row = &losses[i];
        circflow_set_stats stats;
        stats.size = sizeof(stats);
        build(row);
        IS(CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
           host_feed(&world, world.client, world.client_leg[0], host_message(CIRCFLOW_CMD_LINKED_ACK, HOST_HOPS, 0, NULL, 0)));
        int lives = circflow_set_get_stats(world.client, world.client_set, &stats) == CIRCFLOW_OK;
        if (lives != row->survives)
            fail_msg("%s: the set %s", row->what, lives ? "survived" : "ended");
        IS(CIRCFLOW_ERR_CLOSING, host_feed(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "x")));
        const host_events *events = host_drain(world.client);
        const circflow_insn *close = host_close_of(events, world.client_leg[0]);
        assert_non_null(close);
        IS(CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK, (int)close->detail.close.cause);
        assert_int_equal(close->detail.close.reason, 1);
        assert_int_equal(close->circuit_tag, 0xc000);
        if (!row->survives) {
            close = host_close_of(events, world.client_leg[1]);
            assert_non_null(close);
            IS(CIRCFLOW_ERR_LEG_LOST, (int)close->detail.close.cause);
        }
        OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
        assert_int_equal(host_drain(world.client)->count, 0);
        host_stop(&world);
    }
}

static void a_leg_that_was_never_reported_has_nothing_in_flight(void **state)
{
    (void)state;
    /* "the set goes on when [...] it was neither sending, nor ahead [...], nor the last, and had less than one SENDME's
     * worth in flight": nothing was ever sent on either leg. */
    host_linked(&world, 2);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    assert_int_equal(host_drain(world.client)->count, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).legs, 1);
    host_stop(&world);
}

static void the_last_leg_ends_the_set(void **state)
{
    (void)state;
    host_linked(&world, 1);
    host_room(&world, world.client, world.client_leg[0], 100, MS);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_ENDED);
    /* "A leg went that its set cannot do without: [...] or the last" */
    IS(CIRCFLOW_ERR_LEG_LOST, (int)events->at[0].insn.detail.close.cause);
    host_stop(&world);
}

static void the_last_leg_ends_the_set_also_before_it_is_linked(void **state)
{
    (void)state;
    host_launched(&world, 2);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_ENDED), 0);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_ENDED), 1);
    assert_int_equal(host_stats(world.client).timers, 0);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_close(world.client, world.now, world.client_set));
    host_stop(&world);
}

static void what_was_queued_about_a_closed_circuit_is_dropped(void **state)
{
    (void)state;
    host_launched(&world, 3);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    const host_events *events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 2);
    for (size_t i = 0; i < events->count; i++)
        assert_int_not_equal(events->at[i].insn.circuit.v, world.client_leg[1].v);
    /* A queued CLOSE too: the host closed it before it heard. */
    IS(CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
       host_feed(&world, world.client, world.client_leg[0], host_message(CIRCFLOW_CMD_LINKED_ACK, HOST_HOPS, 0, NULL, 0)));
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_CLOSE), 0);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    host_stop(&world);
}

static void a_set_is_closed_at_the_hosts_wish(void **state)
{
    (void)state;
    host_linked(&world, 3);
    host_launch(&world, 1); /* An unlinked leg goes with the rest; its LINK is not sent any more. */
    OK(circflow_set_close(world.client, world.now, world.client_set));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_close(world.client, world.now, world.client_set));
    assert_int_equal(host_stats(world.client).sets, 0);
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 5);
    for (size_t i = 0; i < 4; i++) {
        const circflow_insn *close = host_close_of(events, world.client_leg[i]);
        assert_non_null(close);
        OK((int)close->detail.close.cause);
        assert_int_equal(close->detail.close.reason, 9);
        assert_int_equal(close->circuit_tag, 0xc000 + i);
    }
    assert_int_equal(events->at[4].insn.kind, CIRCFLOW_INSN_ENDED);
    OK((int)events->at[4].insn.detail.close.cause);
    /* The ids live until the host says so; there is no second CLOSE. */
    for (size_t i = 0; i < 4; i++) {
        IS(CIRCFLOW_ERR_CLOSING, host_feed(&world, world.client, world.client_leg[i], host_data(HOST_HOPS, "x")));
        IS(CIRCFLOW_ERR_CLOSING, circflow_circuit_cell_queued(world.client, world.now, world.client_leg[i], CIRCFLOW_CMD_DATA, HOST_HOPS));
        OK(circflow_circuit_gone(world.client, world.now, world.client_leg[i]));
        IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_gone(world.client, world.now, world.client_leg[i]));
    }
    assert_int_equal(host_drain(world.client)->count, 0);
    assert_int_equal(host_stats(world.client).circuits, 0);
    assert_int_equal(host_stats(world.client).timers, 0);
    host_stop(&world);
}

static void a_set_without_legs_can_be_closed(void **state)
{
    (void)state;
    host_begin(&world);
    OK(circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_close(world.client, world.now, world.client_set));
    const host_events *events = host_drain(world.client);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_ENDED);
    host_stop(&world);
}

static void the_last_leg_can_be_taken_out(void **state)
{
    circflow_circuit_id circuit = {0};
    (void)state;
    host_linked(&world, 2);
    for (size_t i = 0; i < 2; i++)
        host_room(&world, world.client, world.client_leg[i], 100, MS);
    IS(CIRCFLOW_ERR_NOT_ALONE, circflow_set_dissolve(world.client, world.now, world.client_set, &circuit));
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "a"), CIRCFLOW_VERDICT_DELIVER);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "b"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    IS(CIRCFLOW_ERR_NULL, circflow_set_dissolve(world.client, world.now, world.client_set, NULL));
    OK(circflow_set_dissolve(world.client, world.now, world.client_set, &circuit));
    assert_int_equal(circuit.v, world.client_leg[0].v);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_close(world.client, world.now, world.client_set));
    host_drain(world.client);
    /* A circuit of its own: messages have no number, and it has carried streams. */
    assert_int_equal(host_expect(&world, world.client, circuit, host_data(HOST_HOPS, "c"), CIRCFLOW_VERDICT_DELIVER), 0);
    OK(circflow_set_open(world.client, world.now, &world.client_terms, &world.client_set));
    IS(CIRCFLOW_ERR_HAS_STREAMS, circflow_set_add_legs(world.client, world.now, world.client_set, &circuit, 1));
    OK(circflow_circuit_gone(world.client, world.now, circuit));
    host_stop(&world);
}

static void what_the_peer_waits_for_is_sent_after_a_leg_is_taken_out(void **state)
{
    circflow_circuit_id circuit = {0};
    (void)state;
    host_asked(&world, 1);
    OK(host_feed(&world, world.client, world.client_leg[0],
                 host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, world.client_terms.nonce, 0, 0, 1)));
    OK(circflow_set_dissolve(world.client, world.now, world.client_set, &circuit));
    /* Without LINKED_ACK the exit closes the circuit that the host has just kept. */
    const circflow_insn *ack = host_first(host_drain(world.client), CIRCFLOW_INSN_SEND);
    assert_int_equal(ack->detail.send.command, CIRCFLOW_CMD_LINKED_ACK);
    assert_int_equal(ack->circuit.v, circuit.v);
    host_stop(&world);
}

static void a_leg_is_not_taken_out_while_messages_are_held(void **state)
{
    circflow_circuit_id circuit = {0};
    (void)state;
    host_linked(&world, 1);
    host_expect(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    /* Ahead of what was delivered, though nothing is held yet. */
    IS(CIRCFLOW_ERR_NOT_ALONE, circflow_set_dissolve(world.client, world.now, world.client_set, &circuit));
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "x"), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NOT_ALONE, circflow_set_dissolve(world.client, world.now, world.client_set, &circuit));
    assert_int_equal(circuit.v, 0);
    host_stop(&world);
}

static void a_violation_closes_every_leg_linked_or_not(void **state)
{
    (void)state;
    host_linked(&world, 2);
    host_launch(&world, 1);
    IS(CIRCFLOW_ERR_BAD_SWITCH,
       host_feed(&world, world.client, world.client_leg[0], host_message(CIRCFLOW_CMD_SWITCH, HOST_HOPS, 0, "abc", 3)));
    const host_events *events = host_drain(world.client);
    for (size_t i = 0; i < 3; i++) {
        const circflow_insn *close = host_close_of(events, world.client_leg[i]);
        assert_non_null(close);
        IS(CIRCFLOW_ERR_BAD_SWITCH, (int)close->detail.close.cause);
        assert_int_equal(close->detail.close.reason, 1);
    }
    IS(CIRCFLOW_ERR_BAD_SWITCH, (int)host_first(events, CIRCFLOW_INSN_ENDED)->detail.close.cause);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 0);
    host_stop(&world);
}

/* How a tunnel ends well, and what it is told apart from: the cause at the end that did not ask for it. */

#define WELL CIRCFLOW_ERR_SET_FINISHED

enum under_way { NOTHING, A_STREAM, A_STREAM_ENDED_HERE, A_MESSAGE_HELD, NOT_ACKED, UNDER_WAYS };

static int ends_for(uint8_t flags, enum under_way what, int first, int asked)
{
    circflow_verdict verdict;
    setup(NULL);
    host_prepare(&world);
    world.client_circuit.flags = world.exit_circuit.flags = flags;
    if (what == NOT_ACKED) {
        host_asked(&world, 2);
        for (size_t i = 0; i < 2; i++)
            OK(host_feed(&world, world.exit, world.exit_leg[i],
                         host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3)));
        world.exit_set = host_first(host_drain(world.exit), CIRCFLOW_INSN_LINKED)->set;
    } else {
        host_linked(&world, 2);
        circflow_message message = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "host:80", 8);
        OK(circflow_circuit_receive(world.exit, world.now, world.exit_leg[0], &message, &verdict));
        if (what == A_STREAM_ENDED_HERE && flags == HOST_RUN)
            OK(host_stream_send(&world, world.exit, verdict.stream, CIRCFLOW_CMD_END, "\6", 1, &verdict));
        else if (what != A_STREAM)
            host_expect(&world, world.exit, world.exit_leg[0], host_message(CIRCFLOW_CMD_END, 0, 7, "\6", 1),
                        CIRCFLOW_VERDICT_DELIVER);
        if (what == A_MESSAGE_HELD) {
            host_expect(&world, world.exit, world.exit_leg[1], host_switch(0, 5), CIRCFLOW_VERDICT_CONSUMED);
            message = host_message(CIRCFLOW_CMD_BEGIN, 0, 9, "host:80", 8);
            host_expect(&world, world.exit, world.exit_leg[1], message, CIRCFLOW_VERDICT_HELD);
        }
        host_drain(world.exit);
    }
    /* The client closes; the exit's host hears of DESTROY on one leg after the other. */
    OK(circflow_set_close(world.client, world.now, world.client_set));
    const host_events *events = host_drain(world.client);
    assert_int_equal(host_first(events, CIRCFLOW_INSN_ENDED)->detail.close.cause, CIRCFLOW_OK);
    if (asked)
        OK(circflow_set_close(world.exit, world.now, world.exit_set));
    static host_events seen;
    OK(circflow_circuit_gone(world.exit, world.now, world.exit_leg[first]));
    seen = *host_drain(world.exit);
    if (host_count(&seen, CIRCFLOW_INSN_ENDED) == 0) {
        OK(circflow_circuit_gone(world.exit, world.now, world.exit_leg[!first]));
        seen = *host_drain(world.exit);
    } else {
        const circflow_insn *close = host_close_of(&seen, world.exit_leg[!first]);
        assert_non_null(close);
        assert_int_equal(close->detail.close.cause, host_first(&seen, CIRCFLOW_INSN_ENDED)->detail.close.cause);
        if (close->detail.close.cause != CIRCFLOW_OK)
            assert_int_equal(close->detail.close.reason, 9);
    }
    int cause = (int)host_first(&seen, CIRCFLOW_INSN_ENDED)->detail.close.cause;
    host_stop(&world);
    return cause;
}

static void an_orderly_end_is_told_apart_from_a_failure(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        IS(WELL, ends_for(HOST_RUN, NOTHING, first, 0));
        IS(WELL, ends_for(HOST_RUN, A_STREAM_ENDED_HERE, first, 0));
        IS(CIRCFLOW_ERR_LEG_LOST, ends_for(HOST_RUN, A_STREAM, first, 0));
        IS(CIRCFLOW_ERR_LEG_LOST, ends_for(HOST_RUN, A_MESSAGE_HELD, first, 0));
        IS(CIRCFLOW_ERR_LEG_LOST, ends_for(HOST_RUN, NOT_ACKED, first, 0));
        /* Who has the streams says so. */
        IS(CIRCFLOW_ERR_LEG_LOST, ends_for(CIRCFLOW_CIRCUIT_VEGAS, NOTHING, first, 0));
        IS(CIRCFLOW_OK, ends_for(CIRCFLOW_CIRCUIT_VEGAS, NOTHING, first, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_orderly_end_is_told_apart_from_a_failure),
        cmocka_unit_test_setup(a_leg_that_closes_is_judged, setup),
        cmocka_unit_test_setup(a_leg_that_breaks_the_protocol_is_judged, setup),
        cmocka_unit_test_setup(a_leg_that_was_never_reported_has_nothing_in_flight, setup),
        cmocka_unit_test_setup(the_last_leg_ends_the_set, setup),
        cmocka_unit_test_setup(the_last_leg_ends_the_set_also_before_it_is_linked, setup),
        cmocka_unit_test_setup(what_was_queued_about_a_closed_circuit_is_dropped, setup),
        cmocka_unit_test_setup(a_set_is_closed_at_the_hosts_wish, setup),
        cmocka_unit_test_setup(a_set_without_legs_can_be_closed, setup),
        cmocka_unit_test_setup(the_last_leg_can_be_taken_out, setup),
        cmocka_unit_test_setup(what_the_peer_waits_for_is_sent_after_a_leg_is_taken_out, setup),
        cmocka_unit_test_setup(a_leg_is_not_taken_out_while_messages_are_held, setup),
        cmocka_unit_test_setup(a_violation_closes_every_leg_linked_or_not, setup),
    };
    return cmocka_run_group_tests_name("close", tests, NULL, NULL);
}
