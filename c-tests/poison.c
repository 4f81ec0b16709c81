/* A bug inside the library poisons one engine, and does not reach C. Needs the checked library's test hook. */

#include "every.h"

#include <stdio.h>

extern circflow_status circflow_test_panic(circflow_engine *engine);
extern circflow_status circflow_test_panic_short(circflow_engine *engine);
extern circflow_status circflow_test_queue_panic(circflow_queue *queue);
extern void circflow_test_panic_next(void);

static host_world world;
static host_ledger ledger;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&ledger, 0, sizeof(ledger));
    host_linked(&world, 2);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (uint64_t token = 1; token <= 3; token++) {
        host_expect(&world, world.client, world.client_leg[1], host_token(HOST_HOPS, token, 11), CIRCFLOW_VERDICT_HELD);
        host_lend(&ledger, token, 11);
    }
    return 0;
}

static void a_poisoned_engine_answers_poisoned(void **state)
{
    size_t count;
    char text[100] = "";
    uint8_t piece[4096];
    (void)state;
    every_begin();
    OK(circflow_engine_record(world.client, 4096, CIRCFLOW_RECORD_ALL));
    OK(circflow_engine_set_clock(world.client, world.now + SECOND));
    IS(CIRCFLOW_ERR_NULL, circflow_test_panic(NULL));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.client));
    IS(CIRCFLOW_ERR_POISONED, circflow_test_panic(world.client));
    EVERY_IS(CIRCFLOW_ERR_POISONED, every_engine_call, world.client);
    every_end();
    /* What happened before can still be read, and so can what the panic said. */
    OK(circflow_engine_record_read(world.client, piece, sizeof(piece), &count, NULL));
    assert_true(count > 0);
    OK(circflow_engine_get_last_detail(world.client, text, sizeof(text), &count));
    assert_true(count > 0);
    assert_string_equal(text, "a panic on purpose");
    /* The other engine is well. */
    OK(circflow_engine_tick(world.exit, world.now));
    host_stop_and_settle(&world, &ledger);
}

static void fatal_codes_have_their_class_and_reason(void **state)
{
    const int codes[] = {CIRCFLOW_ERR_PANIC, CIRCFLOW_ERR_POISONED};
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        assert_int_equal(circflow_status_class(codes[i]), CIRCFLOW_CLASS_FATAL);
        assert_true(strlen(circflow_status_text(codes[i])) > 0);
        assert_int_equal(circflow_status_close_reason(codes[i]), 2); /* INTERNAL */
    }
    host_stop(&world);
}

static void discards_that_wait_come_back_from_a_poisoned_engine(void **state)
{
    (void)state;
    OK(circflow_set_close(world.client, world.now, world.client_set));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.client));
    host_stop_and_settle(&world, &ledger);
}

static int answers[3];
static int calls;

/* What padding held back for sending is the host's again, too. */
static void tokens_that_wait_to_be_sent_come_back(void **state)
{
    (void)state;
    host_stop(&world);
    memset(&ledger, 0, sizeof(ledger));
    host_prepare(&world);
    host_adopted(&world, 1);
    host_pair(&world);
    for (size_t leg = 0; leg < 2; leg++) {
        host_pad(&world, world.client, world.client_leg[leg], "shut-0", 2, 0);
        host_drop(&world, world.client, world.client_leg[leg], 2);
    }
    OK(circflow_engine_tick(world.client, world.now));
    host_room(&world, world.client, world.client_leg[0], 9, 0);
    for (uint64_t token = 0; token < 6; token++) {
        circflow_message message = host_token(HOST_HOPS, token, 11);
        circflow_verdict verdict;
        if (token % 2)
            OK(circflow_circuit_send(world.client, world.now, world.client_leg[1], &message, &verdict));
        else
            host_set_sends(&world, world.client, world.client_set, message, CIRCFLOW_VERDICT_HELD);
        host_lend(&ledger, token, 11);
    }
    OK(circflow_padding_remove(world.client, world.now, world.client_leg[1], 2, 0));
    OK(circflow_engine_tick(world.client, world.now)); /* Half of them are in the queue of instructions. */
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.client));
    host_stop_and_settle(&world, &ledger);
}

static void panic_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)body;
    calls++;
    if (insn->kind == CIRCFLOW_INSN_DELIVER)
        host_give_back(userdata, insn->detail.deliver.token, insn->detail.deliver.cost_bytes);
    answers[0] = circflow_test_panic(world.client);
    answers[1] = circflow_engine_tick(world.client, world.now);
    answers[2] = circflow_engine_free(world.client, NULL, NULL);
}

static void a_panic_inside_a_drain_ends_the_drain(void **state)
{
    (void)state;
    calls = 0;
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_drain(world.client, SIZE_MAX, NULL, panic_inside, &ledger));
    assert_int_equal(calls, 1);
    IS(CIRCFLOW_ERR_PANIC, answers[0]);
    IS(CIRCFLOW_ERR_POISONED, answers[1]);
    IS(CIRCFLOW_ERR_REENTRANT, answers[2]); /* "from inside a callback: the engine lives on" */
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_drain(world.client, SIZE_MAX, NULL, panic_inside, &ledger));
    assert_int_equal(calls, 1);
    host_stop_and_settle(&world, &ledger);
}

/* The calls that are made for every cell have a short way in of their own; a panic there is answered just the same. */
static void a_panic_on_the_short_way_is_a_panic(void **state)
{
    char text[100] = "";
    (void)state;
    IS(CIRCFLOW_ERR_NULL, circflow_test_panic_short(NULL));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic_short(world.client));
    IS(CIRCFLOW_ERR_POISONED, circflow_test_panic_short(world.client));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_tick(world.client, world.now));
    OK(circflow_engine_get_last_detail(world.client, text, sizeof(text), NULL));
    assert_string_equal(text, "a panic on purpose, on the short way");
    host_stop_and_settle(&world, &ledger);
}

static void copy_item(void *to, const circflow_queue_item *item) { *(circflow_queue_item *)to = *item; }

static void a_poisoned_queue_hands_back_what_waits(void **state)
{
    circflow_queue_config config;
    circflow_queue *queue;
    circflow_queue_item item = {7, NULL, 0, CIRCFLOW_FORM_TOKEN};
    (void)state;
    host_stop(&world); /* A queue needs no engine. */
    OK(circflow_queue_config_init(&config, sizeof(config)));
    OK(circflow_queue_new(&config, &queue));
    OK(circflow_queue_push(queue, &item, NULL, &every_sink));
    IS(CIRCFLOW_ERR_NULL, circflow_test_queue_panic(NULL));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_queue_panic(queue));
    IS(CIRCFLOW_ERR_POISONED, circflow_test_queue_panic(queue));
    EVERY_IS(CIRCFLOW_ERR_POISONED, every_queue_call, queue);
    item.token = 0;
    OK(circflow_queue_free(queue, copy_item, &item));
    assert_int_equal(item.token, 7);
}

/* Cells that wait at an edge are the host's again, too. */
static void tokens_at_an_edge_come_back(void **state)
{
    circflow_verdict verdict;
    (void)state;
    world.exit_circuit.flags = HOST_RUN | CIRCFLOW_CIRCUIT_EXTENDED;
    circflow_circuit_id circuit = host_open(&world, world.exit, CIRCFLOW_ROLE_RELAY);
    for (uint8_t side = 0; side < 2; side++) {
        OK(circflow_circuit_set_writable(world.exit, world.now, circuit, !side, 0));
        for (uint64_t n = 0; n < 10; n++) {
            circflow_message cell = host_token(0, 2000 + 100 * side + n, 600);
            OK(circflow_circuit_relay(world.exit, world.now, circuit, side, &cell, &verdict));
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
            host_lend(&ledger, cell.token, cell.cost_bytes);
        }
    }
    OK(circflow_circuit_set_writable(world.exit, world.now, circuit, CIRCFLOW_SIDE_BACK, 1));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.exit));
    host_stop_and_settle(&world, &ledger);
}

/* --- What names no engine and no queue --- */

/* Nothing is done by a call that panics, and nothing is poisoned: the same call is good afterwards. */
static void panic_and_go_on(const every_call *calls, size_t count, void *handle)
{
    for (size_t i = 0; i < count; i++) {
        circflow_test_panic_next();
        host_is(CIRCFLOW_ERR_PANIC, calls[i].make(handle), calls[i].name, __FILE__, __LINE__);
        host_is(CIRCFLOW_OK, calls[i].make(handle), calls[i].name, __FILE__, __LINE__);
    }
}

static void calls_without_engine_or_queue_answer_a_panic(void **state)
{
    (void)state;
    host_stop(&world);
    every_begin();
    panic_and_go_on(every_alone_call, COUNT(every_alone_call), NULL);
    panic_and_go_on(every_hub_call, COUNT(every_hub_call), every_hub);
    OK(circflow_engine_free(every_engine, NULL, NULL));
    OK(circflow_queue_free(every_queue, NULL, NULL));
    every_end();
}

/* Every function that answers a status is in a table of these tests, so it can answer a panic. */
static void no_function_stands_outside_the_door(void **state)
{
    char line[512];
    size_t found = 0;
    FILE *header = fopen(HEADER_PATH, "r");
    (void)state;
    host_stop(&world);
    assert_non_null(header);
    while (fgets(line, sizeof(line), header) != NULL) {
        char name[128];
        const char *at = strstr(line, "circflow_status circflow_"); /* At a line's beginning, or after "enum". */
        if (at == NULL || line[0] == ' ' || sscanf(at, "circflow_status %127[a-z0-9_](", name) != 1)
            continue;
        if (strcmp(name, "circflow_engine_get_last_detail") == 0 || strcmp(name, "circflow_engine_free") == 0 ||
            strcmp(name, "circflow_queue_free") == 0 || strcmp(name, "circflow_engine_record_read") == 0)
            continue; /* They work on what is poisoned: above. */
        if (!EVERY_HAS(every_engine_call, name) && !EVERY_HAS(every_queue_call, name) &&
            !EVERY_HAS(every_hub_call, name) && !EVERY_HAS(every_alone_call, name))
            fail_msg("%s is in no table", name);
        found++;
    }
    fclose(header);
    assert_int_equal(found, COUNT(every_engine_call) + COUNT(every_queue_call) + COUNT(every_hub_call) +
                                COUNT(every_alone_call));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tokens_at_an_edge_come_back, setup),
        cmocka_unit_test_setup(a_panic_on_the_short_way_is_a_panic, setup),
        cmocka_unit_test_setup(a_poisoned_engine_answers_poisoned, setup),
        cmocka_unit_test_setup(fatal_codes_have_their_class_and_reason, setup),
        cmocka_unit_test_setup(discards_that_wait_come_back_from_a_poisoned_engine, setup),
        cmocka_unit_test_setup(tokens_that_wait_to_be_sent_come_back, setup),
        cmocka_unit_test_setup(a_panic_inside_a_drain_ends_the_drain, setup),
        cmocka_unit_test_setup(a_poisoned_queue_hands_back_what_waits, setup),
        cmocka_unit_test_setup(calls_without_engine_or_queue_answer_a_panic, setup),
        cmocka_unit_test_setup(no_function_stands_outside_the_door, setup),
    };
    return cmocka_run_group_tests_name("poison", tests, NULL, NULL);
}
