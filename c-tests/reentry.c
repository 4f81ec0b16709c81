/* Calls from inside callbacks: feeding works in a drain, nothing works in the log function, and the engine lives on. */

#include "every.h"
#include "host.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static host_world world;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    return 0;
}

/* What the callback under test answered; assertions wait until the drain is over. */
static struct {
    size_t calls, delivers;
    uint32_t kinds[64];
    int answers[16];
    size_t answer_count;
    circflow_verdict verdict;
} seen;

static void note(int answer)
{
    if (seen.answer_count < COUNT(seen.answers))
        seen.answers[seen.answer_count++] = answer;
}

static void count_call(const circflow_insn *insn)
{
    if (seen.calls < COUNT(seen.kinds))
        seen.kinds[seen.calls] = insn->kind;
    seen.calls++;
    seen.delivers += insn->kind == CIRCFLOW_INSN_DELIVER;
}

static void just_count(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)userdata;
    (void)body;
    count_call(insn);
}

/* Two linked legs, of which the second brought message `hole`+1 and the first nothing. */
static void make_hole(uint32_t hole, size_t held)
{
    memset(&seen, 0, sizeof(seen));
    host_linked(&world, 2);
    host_room(&world, world.client, world.client_leg[0], 100, MS);
    host_room(&world, world.client, world.client_leg[1], 100, 2 * MS);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, hole), CIRCFLOW_VERDICT_CONSUMED);
    for (size_t i = 0; i < held; i++)
        host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "held"), CIRCFLOW_VERDICT_HELD);
}

static void refused_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    circflow_insn other;
    uint8_t room[CIRCFLOW_BODY_MAX];
    const uint8_t *lent;
    size_t count;
    (void)userdata;
    (void)body;
    count_call(insn);
    if (seen.calls > 1)
        return;
    note(circflow_engine_poll(world.client, room, sizeof(room), &other));
    note(circflow_set_poll(world.client, world.client_set, room, sizeof(room), &other));
    note(circflow_set_poll_lent(world.client, world.client_set, &lent, &other));
    note(circflow_set_poll_tokens(world.client, world.client_set, NULL, 0, &count));
    note(circflow_engine_drain(world.client, 1, NULL, refused_inside, NULL));
    note(circflow_engine_free(world.client, NULL, NULL));
}

static void taking_from_inside_a_drain_is_refused(void **state)
{
    (void)state;
    make_hole(1, 3);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_engine_drain(world.client, SIZE_MAX, NULL, refused_inside, NULL));
    assert_int_equal(seen.answer_count, 6);
    for (size_t i = 0; i < seen.answer_count; i++)
        IS(CIRCFLOW_ERR_REENTRANT, seen.answers[i]);
    assert_int_equal(seen.calls, 3); /* The engine lives on, and nothing was lost. */
    circflow_insn insn;
    OK(circflow_engine_poll(world.client, NULL, 0, &insn));
    host_stop(&world);
}

static void feed_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    circflow_message data = host_data(HOST_HOPS, "more");
    circflow_leg_report report = host_report(world.client_leg[0], 50, MS);
    circflow_circuit_id circuit = {0};
    (void)userdata;
    (void)body;
    count_call(insn);
    if (seen.calls > 1)
        return;
    note(circflow_circuit_receive(world.client, world.now, world.client_leg[1], &data, &seen.verdict));
    note(circflow_leg_update(world.client, world.now, &report, 1));
    note(circflow_set_send(world.client, world.now, world.client_set, &data, NULL, 0, &seen.verdict));
    note(circflow_circuit_open(world.client, world.now, &world.client_circuit, &circuit));
    note(circflow_set_add_legs(world.client, world.now, world.client_set, &circuit, 1));
    note(circflow_circuit_gone(world.client, world.now, circuit));
    note(circflow_engine_tick(world.client, world.now));
    note(circflow_set_get_decision(world.client, world.client_set, &seen.verdict));
}

static void feeding_from_inside_a_drain_works(void **state)
{
    (void)state;
    make_hole(1, 3);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_engine_drain(world.client, SIZE_MAX, NULL, feed_inside, NULL));
    assert_int_equal(seen.answer_count, 8);
    for (size_t i = 0; i < seen.answer_count; i++)
        OK(seen.answers[i]);
    /* Three that waited, and the one fed from inside, which could not overtake them. */
    assert_int_equal(seen.delivers, 4);
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 5);
    assert_int_equal(host_set_stats(world.client, world.client_set).sent, 1);
    assert_int_equal(host_stats(world.client).insns, 0);
    host_stop(&world);
}

/* What the body of the n-th held message says: too long to fit by chance. */
static void text_of(size_t n, char text[64])
{
    snprintf(text, 64, "held message %zu, which says this and nothing else at all", n);
}

enum { HELD_BODIES = 5, FED_BODIES = 150, CLOSES_AT = 3 };

/* Feeds so many messages that they would take the place of the body, and ends its set; then reads the body. */
static void body_stays(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    char text[64];
    uint64_t freed;
    size_t *wrong = userdata;
    count_call(insn);
    if (insn->kind != CIRCFLOW_INSN_DELIVER || seen.delivers > HELD_BODIES)
        return;
    text_of(seen.delivers - 1, text);
    if (seen.delivers == 1) {
        circflow_message other = host_data(HOST_HOPS, "something else, to be written over what was lent before now!");
        for (size_t i = 0; i < FED_BODIES; i++)
            *wrong += circflow_circuit_receive(world.client, world.now, world.client_leg[1], &other, &seen.verdict) != 0;
    }
    if (seen.delivers == CLOSES_AT)
        *wrong += circflow_set_close(world.client, world.now, world.client_set) != CIRCFLOW_OK;
    *wrong += circflow_engine_trim(world.client, &freed) != CIRCFLOW_OK;
    *wrong += insn->detail.deliver.body_len != strlen(text) || memcmp(body, text, strlen(text)) != 0;
}

static void a_body_stays_whatever_is_fed_inside(void **state)
{
    (void)state;
    make_hole(1, 0);
    for (size_t i = 0; i < HELD_BODIES; i++) {
        char text[64];
        text_of(i, text);
        host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, text), CIRCFLOW_VERDICT_HELD);
    }
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    size_t wrong = 0;
    OK(circflow_engine_drain(world.client, SIZE_MAX, NULL, body_stays, &wrong));
    assert_in_range(seen.delivers, CLOSES_AT, HELD_BODIES + FED_BODIES);
    assert_int_equal(wrong, 0);
    host_stop(&world);
    memset(&world, 0, sizeof(world));

    /* The slot of the last body is free again: as many can be held, and all memory goes back. */
    make_hole(1, 3);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_engine_drain(world.client, 3, NULL, just_count, NULL));
    assert_int_equal(seen.delivers, 3);
    assert_int_equal(host_stats(world.client).held, 0);
    uint64_t freed;
    OK(circflow_engine_trim(world.client, &freed));
    assert_true(freed > 64 * CIRCFLOW_BODY_MAX);
    assert_int_equal(host_stats(world.client).pool_bytes, 0);
    host_stop(&world);
}

static void close_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)userdata;
    (void)body;
    count_call(insn);
    if (seen.calls == 1)
        note(circflow_set_close(world.client, world.now, world.client_set));
    if (insn->kind == CIRCFLOW_INSN_CLOSE)
        note(circflow_circuit_gone(world.client, world.now, insn->circuit));
}

static void what_is_caused_inside_comes_in_the_same_drain(void **state)
{
    const uint32_t want[] = {CIRCFLOW_INSN_DELIVER, CIRCFLOW_INSN_CLOSE, CIRCFLOW_INSN_CLOSE, CIRCFLOW_INSN_ENDED};
    (void)state;
    make_hole(1, 3);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_engine_drain(world.client, SIZE_MAX, NULL, close_inside, NULL));
    assert_int_equal(seen.calls, COUNT(want));
    assert_memory_equal(seen.kinds, want, sizeof(want));
    assert_int_equal(seen.answer_count, 3);
    for (size_t i = 0; i < seen.answer_count; i++)
        OK(seen.answers[i]);
    assert_int_equal(host_stats(world.client).circuits, 0);
    assert_int_equal(host_stats(world.client).held, 0);
    host_stop(&world);
}

static void link_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    circflow_set_config terms = world.client_terms;
    circflow_circuit_id circuit = {0};
    circflow_set_id set = {0};
    (void)userdata;
    (void)body;
    count_call(insn);
    if (seen.calls != 1)
        return;
    terms.nonce[5] ^= 1;
    note(circflow_circuit_open(world.client, world.now, &world.client_circuit, &circuit));
    note(circflow_set_open(world.client, world.now, &terms, &set));
    note(circflow_set_add_legs(world.client, world.now, set, &circuit, 1));
}

static void a_set_can_be_opened_inside(void **state)
{
    const uint32_t want[] = {CIRCFLOW_INSN_DELIVER, CIRCFLOW_INSN_SEND};
    (void)state;
    make_hole(1, 1);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_engine_drain(world.client, SIZE_MAX, NULL, link_inside, NULL));
    assert_int_equal(seen.calls, COUNT(want));
    assert_memory_equal(seen.kinds, want, sizeof(want));
    for (size_t i = 0; i < seen.answer_count; i++)
        OK(seen.answers[i]);
    host_stop(&world);
}

static void budget_bounds_the_calls(void **state)
{
    uint8_t more = 7;
    (void)state;
    make_hole(1, 5);
    OK(circflow_engine_drain(world.client, 10, &more, just_count, NULL));
    assert_int_equal(seen.calls, 0);
    assert_int_equal(more, 0);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_engine_drain(world.client, 0, &more, just_count, NULL));
    assert_int_equal(seen.calls, 0);
    assert_int_equal(more, 1);
    OK(circflow_engine_drain(world.client, 1, &more, just_count, NULL));
    assert_int_equal(seen.calls, 1);
    assert_int_equal(more, 1);
    OK(circflow_engine_drain(world.client, 2, NULL, just_count, NULL));
    assert_int_equal(seen.calls, 3);
    OK(circflow_engine_drain(world.client, 3, &more, just_count, NULL));
    assert_int_equal(seen.calls, 5);
    assert_int_equal(more, 0);
    OK(circflow_engine_drain(world.client, 0, &more, just_count, NULL));
    assert_int_equal(more, 0);
    IS(CIRCFLOW_ERR_NULL, circflow_engine_drain(world.client, 1, &more, NULL, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_drain(NULL, 1, &more, just_count, NULL));
    host_stop(&world);
}

static void more_is_0_when_the_budget_was_just_enough(void **state)
{
    uint8_t more = 7;
    (void)state;
    make_hole(1, 2);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_engine_drain(world.client, 2, &more, just_count, NULL));
    assert_int_equal(seen.calls, 2);
    /* "1 when the budget ran out first": here nothing waits any more. A needless 1 costs one empty drain. */
    assert_int_equal(more, 0);
    host_stop(&world);
}

static int in_log;

/* The engine may not be called here, in any way. */
/* Pads as it is told, from inside: writes the cell, answers, sends, and lets the machine go on. */
static void pad_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    circflow_circuit_id circuit = insn->circuit;
    circflow_message message = host_data(HOST_HOPS, "x");
    circflow_verdict verdict = {0};
    (void)userdata;
    (void)body;
    count_call(insn);
    if (insn->kind != CIRCFLOW_INSN_PADDING)
        return;
    if (insn->detail.padding.flags & CIRCFLOW_PADDING_ASKS)
        note(circflow_padding_answered(world.client, world.now, circuit, &insn->detail.padding, CIRCFLOW_ANSWER_SENT));
    note(circflow_circuit_cells_written(world.client, world.now, circuit, 1));
    note(circflow_circuit_cell_passed(world.client, world.now, circuit));
    note(circflow_circuit_send(world.client, world.now, circuit, &message, &verdict));
    note(circflow_engine_tick(world.client, world.now));
}

static void padding_is_dealt_with_from_inside(void **state)
{
    (void)state;
    for (int own_queue = 0; own_queue < 2; own_queue++) {
        memset(&world, 0, sizeof(world));
        memset(&seen, 0, sizeof(seen));
        host_prepare(&world);
        world.client_circuit.flags |= own_queue ? CIRCFLOW_CIRCUIT_OWN_QUEUE : 0;
        host_start(&world);
        host_pair(&world);
        host_pad(&world, world.client, world.client_leg[0], "pad-00", 2, 0);
        host_other(&world, world.client, world.client_leg[0], 2);
        OK(circflow_engine_tick(world.client, world.now += 10 * MS));
        OK(circflow_engine_drain(world.client, SIZE_MAX, NULL, pad_inside, NULL));
        assert_int_equal(seen.answer_count, (unsigned)(4 + own_queue));
        for (size_t i = 0; i < seen.answer_count; i++)
            OK(seen.answers[i]);
        circflow_padding_stats stats = host_pad_stats(world.client, world.client_leg[0], 2, 0);
        assert_int_equal(stats.padding_sent, 1);
        assert_int_equal(stats.normal_sent, 1);
        host_stop(&world);
    }
}

static void call_from_log(void *userdata, uint32_t level, uint32_t engine_number, const char *line)
{
    circflow_engine *engine = userdata;
    circflow_insn insn;
    circflow_engine_stats stats;
    circflow_verdict verdict;
    circflow_message data = host_data(0, "x");
    (void)level;
    (void)engine_number;
    (void)line;
    if (in_log++ > 0)
        return;
    stats.size = sizeof(stats);
    note(circflow_engine_poll(engine, NULL, 0, &insn));
    note(circflow_engine_drain(engine, 1, NULL, just_count, NULL));
    note(circflow_engine_free(engine, NULL, NULL));
    note(circflow_engine_tick(engine, world.now));
    note(circflow_engine_get_stats(engine, &stats));
    note(circflow_engine_get_last_detail(engine, NULL, 0, NULL));
    note(circflow_circuit_receive(engine, world.now, world.exit_leg[0], &data, &verdict));
    note(circflow_circuit_gone(engine, world.now, world.exit_leg[0]));
    note(circflow_set_close(engine, world.now, world.exit_set));
    note(circflow_set_get_decision(engine, world.exit_set, &verdict));
    note(circflow_engine_trim(engine, NULL));
    /* Another engine is another matter. */
    note(circflow_engine_tick(world.client, world.now));
}

static void nothing_is_allowed_in_the_log_function(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof(seen));
    host_linked(&world, 2);
    in_log = 0;
    OK(circflow_log_set_fn(5, call_from_log, world.exit));
    IS(CIRCFLOW_ERR_UNEXPECTED_LINKED, host_feed(&world, world.exit, world.exit_leg[0],
                                                host_linkish(CIRCFLOW_CMD_LINKED, 0, world.client_terms.nonce, 0, 0, 0)));
    OK(circflow_log_set_fn(5, NULL, NULL));
    assert_true(in_log > 0);
    assert_int_equal(seen.answer_count, 12);
    for (size_t i = 0; i < 11; i++)
        IS(CIRCFLOW_ERR_REENTRANT, seen.answers[i]);
    OK(seen.answers[11]);
    assert_non_null(host_close_of(host_tick(&world, world.exit), world.exit_leg[0]));
    host_stop(&world);
}

static int freed_inside;

static void free_inside_free(void *userdata, uint64_t token, uint32_t cost)
{
    (void)token;
    (void)cost;
    freed_inside = circflow_engine_free(userdata, NULL, NULL);
}

static void freeing_while_tokens_come_back_is_refused(void **state)
{
    int status = 0, got = 0, answer[2];
    (void)state;
    make_hole(1, 0);
    host_expect(&world, world.client, world.client_leg[1], host_token(HOST_HOPS, 1, 5), CIRCFLOW_VERDICT_HELD);
    /* In a process of its own, as a library that gets this wrong may do anything; the pipe brings its answer. */
    assert_int_equal(pipe(answer), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        freed_inside = 0;
        circflow_engine_free(world.client, free_inside_free, world.client);
        _exit(write(answer[1], &freed_inside, sizeof(freed_inside)) != sizeof(freed_inside));
    }
    assert_true(child > 0);
    close(answer[1]);
    if (read(answer[0], &got, sizeof(got)) != sizeof(got))
        got = 0;
    close(answer[0]);
    assert_true(waitpid(child, &status, 0) == child);
    host_stop(&world);
    assert_false(WIFSIGNALED(status));
    IS(CIRCFLOW_ERR_REENTRANT, got);
}

/* What the header says of a function under "Inside drain": 1 yes, 0 no, -1 nothing. */
static int said_inside(const char *function)
{
    char line[256], call[64];
    int said = -1, found = -1;
    FILE *header = fopen(HEADER_PATH, "r");
    assert_non_null(header);
    snprintf(call, sizeof(call), "%s(", function);
    while (found < 0 && fgets(line, sizeof(line), header) != NULL) {
        const char *words = strstr(line, "Inside drain: ");
        if (words != NULL)
            said = strncmp(words + strlen("Inside drain: "), "yes.", 4) == 0;
        else if (said >= 0 && strchr(line, '(') != NULL) {
            /* The declaration that this comment stands before. */
            const char *at = strstr(line, call);
            if (at != NULL && (at[-1] == ' ' || at[-1] == '*'))
                found = said;
            said = -1;
        }
    }
    fclose(header);
    return found;
}

#define TRIED_MAX 128
static struct {
    const char *function;
    int answer;
} tried[TRIED_MAX];
static size_t tried_count;

static void try_call(const char *function, int answer)
{
    if (tried_count < TRIED_MAX) {
        tried[tried_count].function = function;
        tried[tried_count].answer = answer;
    }
    tried_count++;
}

#define TRY(calls, handle)                                                                                             \
    for (size_t i = 0; i < COUNT(calls); i++)                                                                          \
        try_call((calls)[i].name, (calls)[i].make(handle))

static void try_all_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    circflow_queue *queue = userdata;
    (void)insn;
    (void)body;
    if (tried_count > 0)
        return;
    TRY(every_engine_call, world.client);
    TRY(every_queue_call, queue);
    TRY(every_hub_call, every_hub);
    TRY(every_plain_call, NULL);
    TRY(every_alone_call, NULL);
    try_call("circflow_engine_get_last_detail", circflow_engine_get_last_detail(world.client, NULL, 0, NULL));
    try_call("circflow_engine_record_read",
             circflow_engine_record_read(world.client, every_bytes, sizeof(every_bytes), &every_count, NULL));
    try_call("circflow_engine_free", circflow_engine_free(world.client, NULL, NULL));
    try_call("circflow_queue_free", circflow_queue_free(every_queue, NULL, NULL));
}

static void what_the_header_says_of_inside_drain_is_so(void **state)
{
    circflow_queue_config config;
    circflow_queue *queue;
    (void)state;
    every_begin();
    OK(circflow_queue_config_init(&config, sizeof(config)));
    OK(circflow_queue_new(&config, &queue));
    make_hole(1, 1);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    tried_count = 0;
    OK(circflow_engine_drain(world.client, 1, NULL, try_all_inside, queue));
    assert_in_range(tried_count, 1, TRIED_MAX);
    for (size_t i = 0; i < tried_count; i++) {
        int said = said_inside(tried[i].function), is = tried[i].answer != CIRCFLOW_ERR_REENTRANT;
        if (said != is)
            fail_msg("%s answers %d inside drain, and %s says %d", tried[i].function, tried[i].answer, HEADER_PATH,
                     said);
    }
    OK(circflow_engine_free(every_engine, NULL, NULL));
    OK(circflow_queue_free(queue, NULL, NULL));
    host_stop(&world);
    every_end();
}

/* Functions of the header that the callback above did not call: a row in every.h is missing. */
static void every_function_of_the_header_was_tried(void **state)
{
    char line[256];
    size_t said = 0;
    FILE *header = fopen(HEADER_PATH, "r");
    (void)state;
    assert_non_null(header);
    while (fgets(line, sizeof(line), header) != NULL)
        said += strstr(line, "Inside drain: ") != NULL;
    fclose(header);
    assert_int_equal(said, tried_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(taking_from_inside_a_drain_is_refused, setup),
        cmocka_unit_test_setup(feeding_from_inside_a_drain_works, setup),
        cmocka_unit_test_setup(a_body_stays_whatever_is_fed_inside, setup),
        cmocka_unit_test_setup(what_is_caused_inside_comes_in_the_same_drain, setup),
        cmocka_unit_test_setup(a_set_can_be_opened_inside, setup),
        cmocka_unit_test_setup(budget_bounds_the_calls, setup),
        cmocka_unit_test_setup(more_is_0_when_the_budget_was_just_enough, setup),
        cmocka_unit_test_setup(freeing_while_tokens_come_back_is_refused, setup),
        cmocka_unit_test_setup(padding_is_dealt_with_from_inside, setup),
        cmocka_unit_test_setup(nothing_is_allowed_in_the_log_function, setup),
        cmocka_unit_test_setup(what_the_header_says_of_inside_drain_is_so, setup),
        cmocka_unit_test(every_function_of_the_header_was_tried),
    };
    return cmocka_run_group_tests_name("reentry", tests, NULL, NULL);
}
