/* A token that was kept is handed back exactly once, whatever happens, and costs what its host said. */

#include "host.h"

static host_world world;
static host_ledger ledger;

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&ledger, 0, sizeof(ledger));
    return 0;
}

/* Feeds a token that has to be held. */
static void hold(circflow_circuit_id leg, uint64_t token, uint32_t cost)
{
    host_expect(&world, world.client, leg, host_token(HOST_HOPS, token, cost), CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, token, cost);
}

/* Leg 1 jumps ahead by `hole`, then brings `count` tokens of cost 10, 20, … */
static void hold_on_second_leg(uint32_t hole, uint64_t count)
{
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, hole), CIRCFLOW_VERDICT_CONSUMED);
    for (uint64_t i = 1; i <= count; i++)
        hold(world.client_leg[1], i, (uint32_t)(10 * i));
}

static void fill(uint32_t hole)
{
    for (uint32_t i = 0; i < hole; i++)
        host_expect(&world, world.client, world.client_leg[0], host_token(HOST_HOPS, 4000 + i, 7),
                    CIRCFLOW_VERDICT_DELIVER);
}

static void check_cost(void)
{
    circflow_engine_stats engine = host_stats(world.client);
    /* Held, or on the way back. */
    assert_int_equal(engine.held_bytes + engine.leaving_bytes, host_lent(&ledger));
}

static void tokens_come_back_by_poll(void **state)
{
    circflow_insn insn;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(2, 5);
    check_cost();
    fill(2);
    for (uint64_t token = 1; token <= 5; token++) {
        /* A token needs no room for a body. */
        OK(circflow_engine_poll(world.client, NULL, 0, &insn));
        assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
        assert_int_equal(insn.circuit.v, world.client_leg[1].v);
        assert_int_equal(insn.circuit_tag, 0xc001);
        assert_int_equal(insn.set.v, world.client_set.v);
        assert_int_equal(insn.set_tag, 0xc11e);
        assert_int_equal(insn.flags, 0);
        assert_int_equal(insn.detail.deliver.form, CIRCFLOW_FORM_TOKEN);
        assert_int_equal(insn.detail.deliver.token, token);
        assert_int_equal(insn.detail.deliver.cost_bytes, 10 * token);
        assert_int_equal(insn.detail.deliver.number, 2 + token);
        assert_int_equal(insn.detail.deliver.stream_id, 7);
        assert_int_equal(insn.detail.deliver.command, CIRCFLOW_CMD_DATA);
        host_give_back(&ledger, token, insn.detail.deliver.cost_bytes);
        check_cost();
    }
    OK(circflow_engine_poll(world.client, NULL, 0, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    host_settle(&ledger);
    host_stop_and_settle(&world, &ledger); /* Nothing is left to come back. */
}

static void tokens_come_back_by_set_poll(void **state)
{
    circflow_insn insn;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(1, 4);
    OK(circflow_set_poll(world.client, world.client_set, NULL, 0, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    fill(1);
    for (uint64_t token = 1; token <= 4; token++) {
        const uint8_t *lent = (const uint8_t *)"";
        if (token % 2)
            OK(circflow_set_poll(world.client, world.client_set, NULL, 0, &insn));
        else
            OK(circflow_set_poll_lent(world.client, world.client_set, &lent, &insn));
        assert_int_equal(lent == NULL, token % 2 == 0); /* A token has no body here. */
        assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
        assert_int_equal(insn.detail.deliver.token, token);
        host_give_back(&ledger, token, insn.detail.deliver.cost_bytes);
    }
    assert_int_equal(host_drain(world.client)->count, 0);
    host_settle(&ledger);
    check_cost();
    host_stop(&world);
}

static void tokens_come_back_many_at_a_time(void **state)
{
    uint64_t tokens[8] = {0};
    size_t count = 99;
    circflow_insn insn;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(1, 5);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
    assert_int_equal(count, 0); /* Their turn has not come. */
    fill(1);
    OK(circflow_set_poll_tokens(world.client, world.client_set, NULL, 0, &count));
    assert_int_equal(count, 0);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, 2, &count));
    assert_int_equal(count, 2);
    assert_int_equal(tokens[2], 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 3);
    /* One by one and many at a time go on from each other. */
    OK(circflow_set_poll(world.client, world.client_set, NULL, 0, &insn));
    assert_int_equal(insn.detail.deliver.token, 3);
    assert_int_equal(insn.detail.deliver.number, 4);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens + 2, COUNT(tokens) - 2, &count));
    assert_int_equal(count, 2);
    assert_int_equal(tokens[2], 4);
    assert_int_equal(tokens[3], 5);
    host_give_back(&ledger, tokens[0], 10);
    host_give_back(&ledger, tokens[1], 20);
    host_give_back(&ledger, 3, 30);
    host_give_back(&ledger, tokens[2], 40);
    host_give_back(&ledger, tokens[3], 50);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
    assert_int_equal(count, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).delivered, 6);
    assert_int_equal(host_set_stats(world.client, world.client_set).held_bytes, 0);
    assert_int_equal(host_drain(world.client)->count, 0);
    host_settle(&ledger);
    check_cost();
    count = 99;
    IS(CIRCFLOW_ERR_NULL, circflow_set_poll_tokens(world.client, world.client_set, tokens, 1, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_set_poll_tokens(world.client, world.client_set, NULL, 1, &count));
    assert_int_equal(count, 99);
    host_stop(&world);
}

/* Draining leaves the messages of such a set where they are; polling takes them, and a close gives them back. */
static void polled_messages_are_not_drained(void **state)
{
    uint64_t tokens[8] = {0};
    size_t count = 99, victims = 99;
    circflow_victim victim;
    circflow_insn insn;
    (void)state;
    host_prepare(&world);
    world.client_terms.ready_by_poll = 1;
    host_linked(&world, 2);
    for (int round = 0; round < 2; round++) {
        if (round == 1) /* The first leg has brought number 1, and the second 2 to 4. */
            host_expect(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 3),
                        CIRCFLOW_VERDICT_CONSUMED);
        hold_on_second_leg(1, 3);
        fill(1);
        assert_int_equal(host_drain(world.client)->count, 0);
        OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, 1, &count));
        assert_int_equal(count, 1);
        host_give_back(&ledger, tokens[0], 10);
        assert_int_equal(host_drain(world.client)->count, 0);
        OK(circflow_set_poll(world.client, world.client_set, NULL, 0, &insn));
        assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
        host_give_back(&ledger, insn.detail.deliver.token, insn.detail.deliver.cost_bytes);
        if (round == 1)
            break;
        OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
        assert_int_equal(count, 1);
        host_give_back(&ledger, tokens[0], 30);
        /* Nothing is held any more, and the engine knows. */
        assert_int_equal(host_set_stats(world.client, world.client_set).held_bytes, 0);
        OK(circflow_engine_choose_victims(world.client, 1, &victim, 1, &victims, NULL));
        assert_int_equal(victims, 0);
    }
    OK(circflow_set_close(world.client, world.now, world.client_set));
    host_book(&ledger, host_drain(world.client));
    host_settle(&ledger);
    host_stop(&world);
}

static void what_polling_refuses(void **state)
{
    circflow_set_config terms;
    circflow_set_id set;
    (void)state;
    host_linked(&world, 1);
    OK(circflow_set_config_init(&terms, sizeof(terms)));
    assert_int_equal(terms.ready_by_poll, 0);
    terms.ready_by_poll = 2;
    IS(CIRCFLOW_ERR_INVALID, circflow_set_open(world.client, world.now, &terms, &set));
    host_stop(&world);
}

/* Whether a set is alive, before and inside the drain that says so. */
static void a_set_is_known_to_have_ended(void **state)
{
    circflow_set_id zero = {0};
    (void)state;
    host_linked(&world, 1);
    OK(circflow_set_check(world.client, world.client_set));
    IS(CIRCFLOW_ERR_ZERO_ID, circflow_set_check(world.client, zero));
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_check(world.exit, world.client_set));
    IS(CIRCFLOW_ERR_NULL, circflow_set_check(NULL, world.client_set));
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[0]));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_check(world.client, world.client_set));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_ENDED), 1);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_check(world.client, world.client_set));
    host_stop(&world);
}

static void a_copied_message_stops_tokens(void **state)
{
    uint64_t tokens[8];
    size_t count = 99;
    uint8_t body[CIRCFLOW_BODY_MAX];
    circflow_insn insn;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(1, 2);
    host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "copied"), CIRCFLOW_VERDICT_HELD);
    hold(world.client_leg[1], 3, 30);
    fill(1);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
    assert_int_equal(count, 2);
    host_give_back(&ledger, tokens[0], 10);
    host_give_back(&ledger, tokens[1], 20);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
    assert_int_equal(count, 0);
    OK(circflow_set_poll(world.client, world.client_set, body, sizeof(body), &insn));
    assert_int_equal(insn.detail.deliver.form, CIRCFLOW_FORM_BYTES);
    assert_int_equal(insn.detail.deliver.number, 4);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
    assert_int_equal(count, 1);
    host_give_back(&ledger, tokens[0], 30);
    host_settle(&ledger);
    check_cost();
    host_stop(&world);
}

/* It shows when the run that it stands in has been taken: the set is closed, and the rest comes back as discards. */
static void a_number_that_came_twice_stops_tokens(void **state)
{
    uint64_t tokens[8];
    size_t count = 99;
    const host_events *events;
    (void)state;
    host_linked(&world, 3);
    hold_on_second_leg(1, 4); /* Numbers 2 to 5. */
    host_expect(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 2), CIRCFLOW_VERDICT_CONSUMED);
    hold(world.client_leg[0], 9, 90); /* Number 3, too. */
    hold(world.client_leg[0], 10, 91);
    host_expect(&world, world.client, world.client_leg[2], host_token(HOST_HOPS, 4000, 7), CIRCFLOW_VERDICT_DELIVER);
    OK(circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
    assert_int_equal(count, 4);
    for (uint32_t i = 0; i < 4; i++)
        host_give_back(&ledger, tokens[i], 10 * (i + 1));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_poll_tokens(world.client, world.client_set, tokens, COUNT(tokens), &count));
    assert_int_equal(count, 4);
    events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 2);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_CLOSE), 3);
    assert_int_equal(host_first(events, CIRCFLOW_INSN_CLOSE)->detail.close.cause, CIRCFLOW_ERR_NUMBER_TWICE);
    host_book(&ledger, events);
    host_settle(&ledger);
    check_cost();
    host_stop(&world);
}

static void tokens_come_back_by_drain(void **state)
{
    const host_events *events;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(1, 500);
    fill(1);
    events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 500);
    host_book(&ledger, events);
    host_settle(&ledger);
    check_cost();
    host_stop(&world);
}

static void tokens_come_back_when_the_set_closes(void **state)
{
    const host_events *events;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(3, 20);
    OK(circflow_set_close(world.client, world.now, world.client_set));
    /* Still circflow's until the discards are drained. */
    check_cost();
    assert_int_equal(host_stats(world.client).held, 20);
    events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 20);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 0);
    assert_int_equal(host_first(events, CIRCFLOW_INSN_DISCARD)->set_tag, 0xc11e);
    host_book(&ledger, events);
    host_settle(&ledger);
    check_cost();
    host_stop(&world);
}

static void ready_tokens_of_a_set_that_ends_are_delivered(void **state)
{
    const host_events *events;
    circflow_insn insn;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(1, 6);
    fill(1);
    OK(circflow_engine_poll(world.client, NULL, 0, &insn)); /* One of them was delivered before. */
    host_give_back(&ledger, insn.detail.deliver.token, insn.detail.deliver.cost_bytes);
    IS(CIRCFLOW_ERR_SWITCH_REPEATED, (host_expect(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 9),
                                                 CIRCFLOW_VERDICT_CONSUMED),
                                     host_feed(&world, world.client, world.client_leg[0], host_switch(HOST_HOPS, 9))));
    /* Their turn had come before the set ended: they are delivered, before the closes. What waits behind a hole is not. */
    events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 5);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 0);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_DELIVER);
    assert_int_equal(events->at[0].insn.detail.deliver.number, 3);
    assert_int_equal(events->at[4].insn.detail.deliver.number, 7);
    host_book(&ledger, events);
    host_settle(&ledger);
    check_cost();
    host_stop(&world);
}

static void a_lost_leg_keeps_or_discards_but_never_forgets(void **state)
{
    for (int last = 0; last < 2; last++) {
        const host_events *events;
        setup(state);
        host_linked(&world, 3);
        for (size_t i = 0; i < 3; i++)
            host_room(&world, world.client, world.client_leg[i], 100, MS);
        hold_on_second_leg(2, 3);
        /* Leg 2 goes further still, so that losing leg 1 loses nothing. */
        host_expect(&world, world.client, world.client_leg[2], host_switch(HOST_HOPS, 5), CIRCFLOW_VERDICT_CONSUMED);
        hold(world.client_leg[2], 90, 900);
        OK(circflow_circuit_gone(world.client, world.now, world.client_leg[last ? 2 : 1]));
        events = host_drain(world.client);
        host_book(&ledger, events);
        if (last) {
            assert_int_equal(host_count(events, CIRCFLOW_INSN_ENDED), 1);
        } else {
            assert_int_equal(events->count, 0);
            check_cost();
            fill(2);
            events = host_drain(world.client);
            assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 4);
            assert_int_equal(events->at[0].insn.circuit.v, 0); /* Its leg has gone. */
            assert_int_equal(events->at[3].insn.circuit.v, world.client_leg[2].v);
            host_book(&ledger, events);
        }
        host_settle(&ledger);
        check_cost();
        host_stop(&world);
    }
}

static void tokens_come_back_when_the_engine_is_freed(void **state)
{
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(2, 30);
    host_stop_and_settle(&world, &ledger);
}

static void tokens_of_a_closed_set_come_back_when_the_engine_is_freed(void **state)
{
    circflow_insn insn;
    (void)state;
    host_linked(&world, 2);
    hold_on_second_leg(2, 30);
    OK(circflow_set_close(world.client, world.now, world.client_set));
    do { /* As far as the middle of the discards. */
        OK(circflow_engine_poll(world.client, NULL, 0, &insn));
        if (insn.kind == CIRCFLOW_INSN_DISCARD)
            host_give_back(&ledger, insn.detail.discard.token, insn.detail.discard.cost_bytes);
    } while (insn.kind != CIRCFLOW_INSN_DISCARD || insn.detail.discard.token != 15);
    host_stop_and_settle(&world, &ledger);
}

static void a_token_is_taken_only_when_held(void **state)
{
    (void)state;
    host_linked(&world, 2);
    host_expect(&world, world.client, world.client_leg[0], host_token(HOST_HOPS, 1, 5), CIRCFLOW_VERDICT_DELIVER);
    circflow_message message = host_token(HOST_HOPS, 2, 5);
    message.command = CIRCFLOW_CMD_BEGIN_DIR;
    host_expect(&world, world.client, world.client_leg[0], message, CIRCFLOW_VERDICT_REFUSE);
    message.command = CIRCFLOW_CMD_SENDME;
    message.stream_id = 0;
    host_expect(&world, world.client, world.client_leg[0], message, CIRCFLOW_VERDICT_DELIVER);
    message.form = 2;
    IS(CIRCFLOW_ERR_INVALID, host_feed(&world, world.client, world.client_leg[0], message));
    /* An error that ends the set, with a token in hand. */
    IS(CIRCFLOW_ERR_NUMBER_STALE, host_feed(&world, world.client, world.client_leg[1], host_token(HOST_HOPS, 3, 5)));
    IS(CIRCFLOW_ERR_CLOSING, host_feed(&world, world.client, world.client_leg[1], host_token(HOST_HOPS, 3, 5)));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_DISCARD), 0);
    assert_int_equal(host_stats(world.client).held, 0);
    host_stop_and_settle(&world, &ledger);
}

static void a_token_refused_at_the_cap_was_never_taken(void **state)
{
    const host_events *events;
    (void)state;
    host_prepare(&world);
    world.client_terms.held_bytes_max = 100;
    host_linked(&world, 2);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    hold(world.client_leg[1], 1, 60);
    IS(CIRCFLOW_ERR_SET_MEMORY, host_feed(&world, world.client, world.client_leg[1], host_token(HOST_HOPS, 2, 41)));
    events = host_drain(world.client);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), 1);
    host_book(&ledger, events);
    host_settle(&ledger);
    host_stop(&world);
}

static void tokens_and_bytes_share_a_set(void **state)
{
    const host_events *events;
    (void)state;
    host_linked(&world, 2);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (uint64_t i = 0; i < 40; i++) {
        if (i % 2)
            hold(world.client_leg[1], i, 100);
        else
            host_expect(&world, world.client, world.client_leg[1],
                        host_message(CIRCFLOW_CMD_XON, HOST_HOPS, (uint16_t)(i + 1), "ABCDE", 5), CIRCFLOW_VERDICT_HELD);
    }
    circflow_set_stats stats = host_set_stats(world.client, world.client_set);
    assert_int_equal(stats.held, 40);
    assert_int_equal(stats.held_bytes, 20 * 100 + 20 * CIRCFLOW_HELD_COST);
    assert_int_equal(host_stats(world.client).held_bytes, stats.held_bytes);
    fill(1);
    events = host_drain(world.client);
    assert_int_equal(events->count, 40);
    for (size_t i = 0; i < 40; i++) {
        const circflow_insn_deliver *deliver = &events->at[i].insn.detail.deliver;
        assert_int_equal(deliver->number, 2 + i);
        assert_int_equal(deliver->form, i % 2 ? CIRCFLOW_FORM_TOKEN : CIRCFLOW_FORM_BYTES);
        if (i % 2 == 0) {
            assert_int_equal(deliver->command, CIRCFLOW_CMD_XON);
            assert_int_equal(deliver->stream_id, i + 1);
            assert_int_equal(deliver->body_len, 5);
            assert_memory_equal(events->at[i].body, "ABCDE", 5);
        }
    }
    host_book(&ledger, events);
    host_settle(&ledger);
    stats = host_set_stats(world.client, world.client_set);
    assert_int_equal(stats.held + stats.held_bytes, 0);
    assert_int_equal(stats.held_peak, 40);
    assert_int_equal(stats.held_bytes_peak, 20 * 100 + 20 * CIRCFLOW_HELD_COST);
    assert_int_equal(host_stats(world.client).held_bytes, 0);
    assert_int_equal(host_stats(world.client).held_bytes_peak, stats.held_bytes_peak);
    host_stop(&world);
}

static void costs_may_be_zero_or_huge(void **state)
{
    (void)state;
    host_prepare(&world);
    world.engine_config.held_bytes_max = UINT64_MAX;
    world.client_terms.held_bytes_max = UINT64_MAX;
    host_linked(&world, 2);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    hold(world.client_leg[1], 1, 0);
    hold(world.client_leg[1], 2, UINT32_MAX);
    hold(world.client_leg[1], 3, UINT32_MAX);
    check_cost();
    fill(1);
    host_book(&ledger, host_drain(world.client));
    host_settle(&ledger);
    check_cost();
    host_stop(&world);
}

/* The ledger itself must notice what it is for. */
static void the_ledger_notices(void **state)
{
    (void)state;
    host_lend(&ledger, 1, 10);
    host_give_back(&ledger, 1, 10);
    assert_int_equal(ledger.wrong, 0);
    host_give_back(&ledger, 1, 10); /* twice */
    host_give_back(&ledger, 2, 10); /* unasked */
    host_lend(&ledger, 3, 100);
    host_give_back(&ledger, 3, 11); /* another cost */
    assert_int_equal(ledger.wrong, 3);
    assert_int_equal(host_lent(&ledger), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tokens_come_back_by_poll, setup),
        cmocka_unit_test_setup(tokens_come_back_by_set_poll, setup),
        cmocka_unit_test_setup(tokens_come_back_many_at_a_time, setup),
        cmocka_unit_test_setup(polled_messages_are_not_drained, setup),
        cmocka_unit_test_setup(what_polling_refuses, setup),
        cmocka_unit_test_setup(a_set_is_known_to_have_ended, setup),
        cmocka_unit_test_setup(a_copied_message_stops_tokens, setup),
        cmocka_unit_test_setup(a_number_that_came_twice_stops_tokens, setup),
        cmocka_unit_test_setup(tokens_come_back_by_drain, setup),
        cmocka_unit_test_setup(tokens_come_back_when_the_set_closes, setup),
        cmocka_unit_test_setup(ready_tokens_of_a_set_that_ends_are_delivered, setup),
        cmocka_unit_test_setup(a_lost_leg_keeps_or_discards_but_never_forgets, setup),
        cmocka_unit_test_setup(tokens_come_back_when_the_engine_is_freed, setup),
        cmocka_unit_test_setup(tokens_of_a_closed_set_come_back_when_the_engine_is_freed, setup),
        cmocka_unit_test_setup(a_token_is_taken_only_when_held, setup),
        cmocka_unit_test_setup(a_token_refused_at_the_cap_was_never_taken, setup),
        cmocka_unit_test_setup(tokens_and_bytes_share_a_set, setup),
        cmocka_unit_test_setup(costs_may_be_zero_or_huge, setup),
        cmocka_unit_test_setup(the_ledger_notices, setup),
    };
    return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
