/* A bug inside the library poisons one engine, and does not reach C. Needs the checked library's test hook. */

#include "host.h"

extern circflow_status circflow_test_panic(circflow_engine *engine);
extern circflow_status circflow_test_panic_short(circflow_engine *engine);
extern circflow_status circflow_test_queue_panic(circflow_queue *queue);

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
    circflow_message message = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    circflow_insn insn;
    circflow_circuit_id circuit;
    circflow_set_id set;
    circflow_engine_stats stats;
    circflow_set_stats set_stats;
    circflow_set_numbers numbers = {0, {0}};
    circflow_leg_numbers legs[CIRCFLOW_LEGS_MAX];
    circflow_leg_report report = host_report(world.client_leg[0], 1, 1);
    uint64_t number;
    uint32_t value;
    size_t count;
    char text[100] = "";
    circflow_machines_id machines = {0};
    circflow_padding_config padding = host_padding_config(world.client, NULL, 2, 0);
    circflow_padding_stats figures;
    const circflow_insn_padding asked = {CIRCFLOW_CMD_DROP, 2, 0, CIRCFLOW_PADDING_ASKS, 0};
    (void)state;
    figures.size = sizeof(figures);
    stats.size = sizeof(stats);
    set_stats.size = sizeof(set_stats);
    circflow_circuit_stats run_stats;
    circflow_stream_stats stream_stats;
    circflow_stream_id stream = {1};
    circflow_stream_config stream_config = host_stream_config(world.client_set, circuit, HOST_HOPS, 1);
    run_stats.size = sizeof(run_stats);
    stream_stats.size = sizeof(stream_stats);
    IS(CIRCFLOW_ERR_NULL, circflow_test_panic(NULL));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.client));
    IS(CIRCFLOW_ERR_POISONED, circflow_test_panic(world.client));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_poll(world.client, NULL, 0, &insn));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_deadline(world.client, &number));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_tick(world.client, world.now));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_trim(world.client, &number));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_get_stats(world.client, &stats));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_accept_sets(world.client, NULL));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_open(world.client, world.now, &world.client_circuit, &circuit));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_set_flags(world.client, world.client_leg[0], 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_closed(world.client, world.now, world.client_leg[0]));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_receive(world.client, world.now, world.client_leg[0], &message, &verdict));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_report(world.client, world.now, &report, 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_sent(world.client, world.now, world.client_leg[0], CIRCFLOW_CMD_DATA, HOST_HOPS));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_open(world.client, world.now, &world.client_terms, &set));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_add_legs(world.client, world.now, world.client_set, world.client_leg, 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_adopt_leg(world.client, world.now, world.client_set, world.client_leg[0], 0, 0));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_take_out(world.client, world.now, world.client_set, &circuit));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_close(world.client, world.now, world.client_set));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_decide(world.client, world.now, world.client_set, &message, NULL, 0, &verdict));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_send(world.client, world.now, world.client_set, &message, NULL, 0, &verdict));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_peek(world.client, world.client_set, &verdict));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_next(world.client, world.client_set, NULL, 0, &insn));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_next_tokens(world.client, world.client_set, NULL, 0, &count));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_room(world.client, world.client_set, &number));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_get_stats(world.client, world.client_set, &set_stats));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_export(world.client, world.client_set, &numbers, legs, COUNT(legs), &count));
    IS(CIRCFLOW_ERR_POISONED, circflow_set_import(world.client, world.now, world.client_set, &numbers, NULL, 0));
    IS(CIRCFLOW_ERR_POISONED, circflow_machines_load(world.client, "x", 1, &machines));
    IS(CIRCFLOW_ERR_POISONED, circflow_machines_drop(world.client, machines));
    IS(CIRCFLOW_ERR_POISONED, circflow_padding_install(world.client, world.now, world.client_leg[0], &padding));
    IS(CIRCFLOW_ERR_POISONED, circflow_padding_remove(world.client, world.now, world.client_leg[0], 2, 0));
    IS(CIRCFLOW_ERR_POISONED, circflow_padding_get_stats(world.client, world.client_leg[0], 2, 0, &figures));
    IS(CIRCFLOW_ERR_POISONED, circflow_padding_answer(world.client, world.now, world.client_leg[0], &asked, 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_padding_register(world.client, CIRCFLOW_ROLE_CLIENT, 1, &padding));
    IS(CIRCFLOW_ERR_POISONED, circflow_padding_start(world.client, world.now, world.client_leg[0], 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_padding_stop(world.client, world.now, world.client_leg[0], 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_send(world.client, world.now, world.client_leg[0], &message, &verdict));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_written(world.client, world.now, world.client_leg[0], 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_passing(world.client, world.now, world.client_leg[0]));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_set_param(world.client, 0, "cc_alg", 2));
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_get_param(world.client, 0, "cc_alg", &value));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_relay(world.client, world.now, world.client_leg[0], 0, &message, &verdict));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_writable(world.client, world.now, world.client_leg[0], 0, 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_tag(world.client, world.client_leg[0], 3, host_tag(1), 20));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_close(world.client, world.now, world.client_leg[0]));
    IS(CIRCFLOW_ERR_POISONED, circflow_circuit_get_stats(world.client, world.client_leg[0], &run_stats));
    IS(CIRCFLOW_ERR_POISONED, circflow_stream_open(world.client, world.now, &stream_config, &stream));
    IS(CIRCFLOW_ERR_POISONED, circflow_stream_set(world.client, stream, 1, 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_stream_readable(world.client, stream, 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_stream_next(world.client, world.now, world.client_set, circuit, &stream, NULL));
    IS(CIRCFLOW_ERR_POISONED, circflow_stream_send(world.client, world.now, stream, &message, &verdict));
    IS(CIRCFLOW_ERR_POISONED, circflow_stream_flushed(world.client, world.now, stream, 1));
    IS(CIRCFLOW_ERR_POISONED, circflow_stream_get_stats(world.client, stream, &stream_stats));
    /* What the panic said can still be read. */
    OK(circflow_engine_last_detail(world.client, text, sizeof(text), &count));
    assert_true(count > 0);
    assert_string_equal(text, "a panic on purpose");
    /* The other engine is well. */
    OK(circflow_engine_tick(world.exit, world.now));
    OK(circflow_engine_free(world.client, host_discard, &ledger));
    world.client = NULL;
    host_settle(&ledger);
    host_stop(&world);
}

static void fatal_codes_have_their_class_and_reason(void **state)
{
    const int codes[] = {CIRCFLOW_ERR_PANIC, CIRCFLOW_ERR_POISONED};
    (void)state;
    for (size_t i = 0; i < COUNT(codes); i++) {
        assert_int_equal(circflow_status_class(codes[i]), CIRCFLOW_CLASS_FATAL);
        assert_true(strlen(circflow_strerror(codes[i])) > 0);
        assert_int_equal(circflow_close_reason(codes[i]), 2); /* INTERNAL */
    }
    OK(circflow_engine_free(world.client, NULL, NULL));
    world.client = NULL;
    host_stop(&world);
}

static void discards_that_wait_come_back_from_a_poisoned_engine(void **state)
{
    (void)state;
    OK(circflow_set_close(world.client, world.now, world.client_set));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.client));
    OK(circflow_engine_free(world.client, host_discard, &ledger));
    world.client = NULL;
    host_settle(&ledger);
    host_stop(&world);
}

static int answers[3];
static int calls;

/* What padding held back for sending is the host's again, too. */
static void tokens_that_wait_to_be_sent_come_back(void **state)
{
    (void)state;
    host_stop(&world);
    memset(&world, 0, sizeof(world));
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
            OK(circflow_set_send(world.client, world.now, world.client_set, &message, NULL, 0, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
        host_lend(&ledger, token, 11);
    }
    OK(circflow_padding_remove(world.client, world.now, world.client_leg[1], 2, 0));
    OK(circflow_engine_tick(world.client, world.now)); /* Half of them are in the queue of instructions. */
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.client));
    OK(circflow_engine_free(world.client, host_discard, &ledger));
    world.client = NULL;
    host_settle(&ledger);
    host_stop(&world);
}

static void panic_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)body;
    calls++;
    if (insn->kind == CIRCFLOW_INSN_DELIVER)
        host_give_back(userdata, insn->detail.deliver.token, insn->detail.deliver.cost);
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
    OK(circflow_engine_free(world.client, host_discard, &ledger));
    world.client = NULL;
    host_settle(&ledger);
    host_stop(&world);
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
    OK(circflow_engine_last_detail(world.client, text, sizeof(text), NULL));
    assert_string_equal(text, "a panic on purpose, on the short way");
    OK(circflow_engine_free(world.client, host_discard, &ledger));
    world.client = NULL;
    host_settle(&ledger);
    host_stop(&world);
}

static int32_t always_full(void *userdata, const circflow_queue_item *item)
{
    (void)userdata;
    (void)item;
    return CIRCFLOW_CHANNEL_FULL;
}

static int32_t never_closed(void *userdata)
{
    (void)userdata;
    return 0;
}

static void copy_item(void *to, const circflow_queue_item *item) { *(circflow_queue_item *)to = *item; }

static void a_poisoned_queue_hands_back_what_waits(void **state)
{
    const circflow_channel channel = {always_full, never_closed, NULL};
    circflow_queue_config config;
    circflow_queue *queue;
    circflow_queue_item item = {7, NULL, 0, CIRCFLOW_FORM_TOKEN};
    uint32_t number;
    uint8_t byte;
    (void)state;
    host_stop(&world); /* A queue needs no engine. */
    OK(circflow_queue_config_init(&config, sizeof(config)));
    OK(circflow_queue_new(&config, &queue));
    OK(circflow_queue_push(queue, &item, NULL, &channel));
    IS(CIRCFLOW_ERR_NULL, circflow_test_queue_panic(NULL));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_queue_panic(queue));
    IS(CIRCFLOW_ERR_POISONED, circflow_test_queue_panic(queue));
    IS(CIRCFLOW_ERR_POISONED, circflow_queue_push(queue, &item, NULL, &channel));
    IS(CIRCFLOW_ERR_POISONED, circflow_queue_drain(queue, NULL, &channel));
    IS(CIRCFLOW_ERR_POISONED, circflow_queue_len(queue, &number));
    IS(CIRCFLOW_ERR_POISONED, circflow_queue_has_pending(queue, &byte));
    IS(CIRCFLOW_ERR_POISONED, circflow_queue_take(queue, NULL, 0, &item));
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
    circflow_circuit_id circuit = host_open(&world, world.exit, CIRCFLOW_ROLE_EXIT);
    for (uint8_t side = 0; side < 2; side++) {
        OK(circflow_circuit_writable(world.exit, world.now, circuit, !side, 0));
        for (uint64_t n = 0; n < 10; n++) {
            circflow_message cell = host_token(0, 2000 + 100 * side + n, 600);
            OK(circflow_circuit_relay(world.exit, world.now, circuit, side, &cell, &verdict));
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
            host_lend(&ledger, cell.token, cell.cost);
        }
    }
    OK(circflow_circuit_writable(world.exit, world.now, circuit, CIRCFLOW_SIDE_BACK, 1));
    IS(CIRCFLOW_ERR_PANIC, circflow_test_panic(world.exit));
    OK(circflow_engine_free(world.exit, host_discard, &ledger));
    world.exit = NULL;
    OK(circflow_engine_free(world.client, host_discard, &ledger));
    world.client = NULL;
    host_settle(&ledger);
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
    };
    return cmocka_run_group_tests_name("poison", tests, NULL, NULL);
}
