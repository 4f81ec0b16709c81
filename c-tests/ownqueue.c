/* A host that keeps what padding blocks in a queue of its own: it is told when to block, and asked about each padding
 * cell. */

#include "host.h"

static host_world world;

#define RELAY world.exit
#define CIRCUIT world.exit_leg[0]
#define ASKS CIRCFLOW_PADDING_ASKS
#define UNANSWERED_MAX 1024

/* A relay's circuit. */
static int setup(void **state)
{
    (void)state;
    host_prepare(&world);
    world.exit_circuit.flags |= CIRCFLOW_CIRCUIT_OWN_QUEUE;
    host_start(&world);
    host_pair(&world);
    return 0;
}

HOST_TEARDOWN

static void again(void)
{
    host_stop(&world);
    setup(NULL);
}

static void pad(const char *machines, uint8_t slot) { host_pad(&world, RELAY, CIRCUIT, machines, 0, slot); }
static void other(void) { host_other(&world, RELAY, CIRCUIT, 0); }
static void drop(void) { host_drop(&world, RELAY, CIRCUIT, 0); }
static circflow_padding_stats stats(void) { return host_pad_stats(RELAY, CIRCUIT, 0, 0); }

static const host_events *at(uint64_t ms)
{
    world.now = HOST_START + ms * MS;
    return host_tick(&world, RELAY);
}

static void quiet_at(uint64_t ms) { assert_int_equal(at(ms)->count, 0); }

static int answer(const circflow_insn_padding *padding, uint8_t what)
{
    return circflow_padding_answered(RELAY, world.now, CIRCUIT, padding, what);
}

static void is_block(const host_event *event, uint32_t bypassable)
{
    assert_int_equal(event->insn.kind, CIRCFLOW_INSN_BLOCK);
    assert_int_equal(event->insn.circuit.v, CIRCUIT.v);
    assert_int_equal(event->insn.circuit_tag, 0xe000);
    assert_int_equal(event->insn.detail.block.bypassable, bypassable);
}

static void is_unblock(const host_event *event)
{
    assert_int_equal(event->insn.kind, CIRCFLOW_INSN_UNBLOCK);
    assert_int_equal(event->insn.circuit.v, CIRCUIT.v);
}

static void is_told_when_to_block(void **state)
{
    const host_events *events;
    circflow_verdict verdict;
    circflow_message message = host_data(0, "x");
    (void)state;
    pad("gate-1-00", 0);
    drop();
    events = at(0);
    assert_int_equal(events->count, 1);
    is_block(&events->at[0], 1);
    /* circflow holds nothing here: what is sent is the host's to keep. */
    OK(circflow_circuit_send(RELAY, world.now, CIRCUIT, &message, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    OK(circflow_circuit_cell_queued(RELAY, world.now, CIRCUIT, 0, 0)); /* A cell that only passes. */
    assert_int_equal(stats().normal_sent, 2);
    quiet_at(99);
    drop(); /* The same again, for longer: nothing new to say. */
    quiet_at(99);
    quiet_at(198);
    events = at(199);
    assert_int_equal(events->count, 1);
    is_unblock(&events->at[0]);
    assert_int_equal(stats().blocks, 2);
    assert_int_equal(stats().blocked_ns, 199 * MS);
}

static void hears_of_every_change_of_bypass(void **state)
{
    const host_events *events;
    (void)state;
    pad("shut-1", 0);
    drop();
    events = at(0);
    assert_int_equal(events->count, 1);
    is_block(&events->at[0], 1);
    quiet_at(20);
    pad("shut-0", 1);
    drop(); /* Both from now on, to 120. */
    events = at(20);
    assert_int_equal(events->count, 1);
    is_block(&events->at[0], 0);
    events = at(50);
    assert_int_equal(events->count, 0);
    /* The one that lets nothing pass goes: padding may pass again. */
    OK(circflow_padding_remove(RELAY, world.now, CIRCUIT, 0, 1));
    events = at(50);
    assert_int_equal(events->count, 1);
    is_block(&events->at[0], 1);
    OK(circflow_padding_remove(RELAY, world.now, CIRCUIT, 0, 0));
    events = at(50);
    assert_int_equal(events->count, 1);
    is_unblock(&events->at[0]);
    assert_true(host_deadline(RELAY) == CIRCFLOW_NEVER);
}

static void a_block_that_follows_a_block_is_no_news(void **state)
{
    const host_events *events;
    (void)state;
    pad("block-again", 0);
    drop();
    is_block(&at(0)->at[0], 0);
    for (uint64_t n = 1; n <= 3; n++) {
        events = at(100 * n);
        /* Whatever is said, it never is UNBLOCK, and the last word is that it is blocked for all. */
        assert_int_equal(host_count(events, CIRCFLOW_INSN_UNBLOCK), 0);
        for (size_t i = 0; i < events->count; i++)
            is_block(&events->at[i], 0);
    }
    assert_int_equal(stats().blocks, 4);
    OK(circflow_padding_remove(RELAY, world.now, CIRCUIT, 0, 0));
    events = at(300);
    assert_int_equal(events->count, 1);
    is_unblock(&events->at[0]);
}

/* Whatever the gate, the flags and the queue, the host is asked; circflow counts nothing until it has answered. */
static void is_asked_about_each_padding_cell(void **state)
{
    (void)state;
    for (int gate = 0; gate < 3; gate++)
        for (int flags = 0; flags < 4; flags++) {
            char name[] = "gate-0-00";
            const host_events *events;
            name[5] = gate == 1 ? '1' : '0';
            name[7] = flags & CIRCFLOW_PADDING_BYPASS ? '1' : '0';
            name[8] = flags & CIRCFLOW_PADDING_REPLACE ? '1' : '0';
            again();
            pad(name, 0);
            OK(circflow_circuit_cell_queued(RELAY, world.now, CIRCUIT, CIRCFLOW_CMD_DATA, 0));
            if (gate > 0) {
                drop();
                is_block(&at(0)->at[0], gate == 1);
            }
            other();
            quiet_at(9);
            events = at(10);
            assert_int_equal(events->count, 1);
            host_is_padding(&events->at[0].insn, CIRCUIT, 0, 0, (uint8_t)(flags | ASKS));
            assert_int_equal(events->at[0].insn.detail.padding.machine, 1); /* The second of its list. */
            assert_int_equal(stats().padding_sent + stats().replaced + stats().refused, 0);
        }
}

static void four_answers_and_what_they_count(void **state)
{
    static const struct {
        uint8_t answer;
        uint64_t sent, replaced, refused;
    } rows[] = {
        {CIRCFLOW_ANSWER_SENT, 1, 0, 0},
        {CIRCFLOW_ANSWER_REPLACED, 0, 1, 0},
        {CIRCFLOW_ANSWER_RELEASED, 0, 1, 0},
        {CIRCFLOW_ANSWER_REFUSED, 0, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_insn_padding asked;
        again();
        pad("pad-11", 0);
        other();
        asked = host_first(at(10), CIRCFLOW_INSN_PADDING)->detail.padding;
        IS(CIRCFLOW_ERR_INVALID, answer(&asked, 0));
        IS(CIRCFLOW_ERR_INVALID, answer(&asked, 5));
        IS(CIRCFLOW_ERR_NULL, answer(NULL, CIRCFLOW_ANSWER_SENT));
        OK(answer(&asked, rows[i].answer));
        assert_int_equal(stats().padding_sent, rows[i].sent);
        assert_int_equal(stats().replaced, rows[i].replaced);
        assert_int_equal(stats().refused, rows[i].refused);
        IS(CIRCFLOW_ERR_NOT_ASKED, answer(&asked, rows[i].answer)); /* Once. */
        assert_int_equal(stats().padding_sent + stats().replaced + stats().refused, 1);
    }
}

/* A machine that goes on after its own padding goes on with SENT, REPLACED and RELEASED. */
static void the_machine_hears_of_three_of_them(void **state)
{
    (void)state;
    for (uint8_t what = CIRCFLOW_ANSWER_SENT; what <= CIRCFLOW_ANSWER_REFUSED; what++) {
        circflow_insn_padding asked;
        const host_events *events;
        again();
        pad("loop-pad", 0);
        other();
        events = at(0);
        assert_int_equal(events->count, 1); /* It waits for the answer. */
        asked = events->at[0].insn.detail.padding;
        OK(answer(&asked, what));
        assert_int_equal(at(0)->count, what != CIRCFLOW_ANSWER_REFUSED);
    }
}

/* A host whose messages wait in their streams reports a cell when it lets it out: once, and it is no padding. */
static void a_cell_may_be_reported_as_it_goes(void **state)
{
    circflow_insn_padding asked;
    (void)state;
    pad("gate-1-11", 0);
    drop();
    is_block(&at(0)->at[0], 1);
    other();
    asked = host_first(at(10), CIRCFLOW_INSN_PADDING)->detail.padding;
    uint64_t before = stats().normal_sent;
    OK(circflow_circuit_cell_queued(RELAY, world.now, CIRCUIT, CIRCFLOW_CMD_DATA, 0));
    OK(answer(&asked, CIRCFLOW_ANSWER_RELEASED));
    OK(circflow_circuit_cells_written(RELAY, world.now, CIRCUIT, 1));
    assert_int_equal(stats().normal_sent - before, 1);
    assert_int_equal(stats().replaced, 1);
    assert_int_equal(stats().padding_sent, 0);
}

static void answers_nobody_asked_for(void **state)
{
    circflow_insn_padding asked, wrong;
    (void)state;
    pad("pad-00", 0);
    pad("pad-00", 1);
    memset(&asked, 0, sizeof(asked));
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&asked, CIRCFLOW_ANSWER_SENT));
    OK(circflow_padding_remove(RELAY, world.now, CIRCUIT, 0, 1));
    other();
    asked = host_first(at(10), CIRCFLOW_INSN_PADDING)->detail.padding;
    wrong = asked;
    wrong.slot = 1;
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&wrong, CIRCFLOW_ANSWER_SENT));
    wrong = asked;
    wrong.hop = 1;
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&wrong, CIRCFLOW_ANSWER_SENT));
    wrong = asked;
    wrong.machine = 1;
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&wrong, CIRCFLOW_ANSWER_SENT));
    wrong.machine = UINT32_MAX;
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&wrong, CIRCFLOW_ANSWER_SENT));
    /* Not by another circuit either. */
    IS(CIRCFLOW_ERR_NOT_ASKED,
       circflow_padding_answered(world.client, world.now, world.client_leg[0], &asked, CIRCFLOW_ANSWER_SENT));
    /* A padder that came in its place was not asked. */
    OK(circflow_padding_remove(RELAY, world.now, CIRCUIT, 0, 0));
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&asked, CIRCFLOW_ANSWER_SENT));
    pad("pad-00", 0);
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&asked, CIRCFLOW_ANSWER_SENT));
    OK(circflow_circuit_gone(RELAY, world.now, CIRCUIT));
    IS(CIRCFLOW_ERR_STALE_ID, answer(&asked, CIRCFLOW_ANSWER_SENT));
}

/* A question that was not handed out yet goes with its padder, and who owns the queue stays so while there is one. */
static void a_question_goes_with_its_padder(void **state)
{
    (void)state;
    pad("pad-00", 0);
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(RELAY, CIRCUIT, CIRCFLOW_CIRCUIT_VEGAS));
    OK(circflow_circuit_set_flags(RELAY, CIRCUIT, CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_OWN_QUEUE));
    other();
    world.now += 10 * MS;
    OK(circflow_engine_tick(RELAY, world.now));
    OK(circflow_padding_remove(RELAY, world.now, CIRCUIT, 0, 0));
    assert_int_equal(host_drain(RELAY)->count, 0);
    /* The next padder in its place has asked nothing either. */
    pad("pad-00", 0);
    other();
    OK(circflow_engine_tick(RELAY, world.now += 10 * MS));
    OK(circflow_padding_remove(RELAY, world.now, CIRCUIT, 0, 0));
    pad("pad-00", 0);
    assert_int_equal(host_drain(RELAY)->count, 0);
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_cell_queued(RELAY, world.now, CIRCUIT, 0, 1)); /* A relay has hop 0 only. */
}

static void so_many_questions_stay_open(void **state)
{
    circflow_insn_padding asked;
    const host_events *events;
    uint64_t ms = 0;
    (void)state;
    memset(&asked, 0, sizeof(asked));
    pad("pad-01", 0);
    for (int n = 0; n < UNANSWERED_MAX; n++) {
        other();
        events = at(ms += 10);
        assert_int_equal(events->count, 1);
        asked = events->at[0].insn.detail.padding;
    }
    assert_int_equal(stats().refused, 0);
    for (int n = 0; n < 2; n++) {
        other();
        quiet_at(ms += 10);
    }
    assert_int_equal(stats().refused, 2);
    OK(answer(&asked, CIRCFLOW_ANSWER_REPLACED));
    other();
    assert_int_equal(at(ms += 10)->count, 1);
    for (int n = 0; n < UNANSWERED_MAX; n++)
        OK(answer(&asked, CIRCFLOW_ANSWER_SENT));
    IS(CIRCFLOW_ERR_NOT_ASKED, answer(&asked, CIRCFLOW_ANSWER_SENT));
    assert_int_equal(stats().padding_sent, UNANSWERED_MAX);
    assert_int_equal(stats().replaced, 1);
}

static void padding_that_was_sent_is_in_the_queue(void **state)
{
    circflow_insn_padding asked;
    (void)state;
    host_pad(&world, RELAY, CIRCUIT, "pad-00", 0, 0);
    other();
    asked = host_first(at(10), CIRCFLOW_INSN_PADDING)->detail.padding;
    OK(answer(&asked, CIRCFLOW_ANSWER_SENT));
    OK(circflow_circuit_cells_written(RELAY, world.now, CIRCUIT, 5)); /* More than there are: no harm. */
    OK(circflow_circuit_cells_written(RELAY, world.now, CIRCUIT, 0));
    OK(circflow_circuit_cell_passed(RELAY, world.now, CIRCUIT)); /* A cell of the client's that goes on. */
    assert_int_equal(stats().normal_received, 2);
    assert_int_equal(at(20)->count, 1);
}

/* On a leg whose host keeps the queue the set holds nothing: the host is told, and numbers go on. */
static void a_leg_with_a_queue_of_its_own(void **state)
{
    circflow_verdict verdict;
    circflow_message message = host_data(HOST_HOPS, "x");
    const host_events *events;
    (void)state;
    host_stop(&world);
    host_prepare(&world);
    world.client_circuit.flags |= CIRCFLOW_CIRCUIT_OWN_QUEUE;
    host_adopted(&world, 2);
    host_room(&world, world.client, world.client_leg[0], 50, 0);
    host_room(&world, world.client, world.client_leg[1], 50, 0);
    host_pad(&world, world.client, world.client_leg[0], "shut-0", 2, 0);
    host_drop(&world, world.client, world.client_leg[0], 2);
    assert_int_equal(host_count(host_tick(&world, world.client), CIRCFLOW_INSN_BLOCK), 1);
    OK(circflow_set_send(world.client, world.now, world.client_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(verdict.circuit.v, world.client_leg[1].v);
    host_room(&world, world.client, world.client_leg[1], 0, 0);
    int status = circflow_set_send(world.client, world.now, world.client_set, &message, NULL, 0, &verdict);
    IS(CIRCFLOW_ERR_NO_ROOM, status);
    events = host_later(&world, world.client, 100 * MS);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_UNBLOCK), 1);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_MAY_SEND), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(is_told_when_to_block),
        TEST(hears_of_every_change_of_bypass),
        TEST(a_block_that_follows_a_block_is_no_news),
        TEST(is_asked_about_each_padding_cell),
        TEST(four_answers_and_what_they_count),
        TEST(the_machine_hears_of_three_of_them),
        TEST(a_cell_may_be_reported_as_it_goes),
        TEST(answers_nobody_asked_for),
        TEST(a_question_goes_with_its_padder),
        TEST(so_many_questions_stay_open),
        TEST(padding_that_was_sent_is_in_the_queue),
        TEST(a_leg_with_a_queue_of_its_own),
    };
    return cmocka_run_group_tests_name("ownqueue", tests, NULL, NULL);
}
