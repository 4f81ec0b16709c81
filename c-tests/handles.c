/* The three raw handles (engine, hub, queue): which of them may be used when, and by whom. */

#include "host.h"

/* Two engines of a hub; a set lives on `home`, and one of its legs is a circuit of `away`. */
static host_world world;
static circflow_hub *hub;
static circflow_engine *home, *away, *third;
static circflow_circuit_id near, far;

/* What notify does, on which engine's behalf, and what it was answered. */
static struct {
    void (*act)(circflow_engine *of);
    int answers[8];
    size_t answer_count;
    circflow_hub_stats stats;
} notified;

static void note(int answer)
{
    if (notified.answer_count < COUNT(notified.answers))
        notified.answers[notified.answer_count++] = answer;
}

/* Told whose it is by a pointer to where that engine's pointer stands. */
static void wake(void *userdata)
{
    if (notified.act != NULL)
        notified.act(*(circflow_engine **)userdata);
}

static int link_on(circflow_engine *engine, circflow_circuit_id *circuit)
{
    circflow_verdict verdict;
    const circflow_message link = host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 0);
    *circuit = host_open(&world, engine, CIRCFLOW_ROLE_RELAY);
    return circflow_circuit_receive(engine, world.now, *circuit, &link, &verdict);
}

static int setup(void **state)
{
    (void)state;
    memset(&notified, 0, sizeof(notified));
    host_prepare(&world);
    hub = host_hub(0);
    home = host_exit(&world, 10, hub, wake, &home);
    away = host_exit(&world, 11, hub, wake, &away);
    third = host_exit(&world, 12, hub, wake, &third);
    return 0;
}

/* The leg elsewhere, with both bells silent. */
static void join_legs(void)
{
    OK(link_on(home, &near));
    OK(link_on(away, &far));
    for (size_t i = 0; i < 3; i++) {
        host_tick(&world, home);
        host_tick(&world, away);
    }
}

static int teardown(void **state)
{
    (void)state;
    notified.act = NULL;
    OK(circflow_engine_free(home, NULL, NULL));
    OK(circflow_engine_free(away, NULL, NULL));
    OK(circflow_engine_free(third, NULL, NULL));
    home = away = third = NULL;
    if (hub != NULL)
        OK(circflow_hub_free(hub));
    hub = NULL;
    return 0;
}

static void ask_the_hub(circflow_engine *of)
{
    (void)of;
    notified.stats.size = sizeof(notified.stats);
    note(circflow_hub_get_stats(hub, &notified.stats));
}

/* A hub that was let go can be asked from notify for as long as one of its engines is there. */
static void the_hub_is_freed_before_its_engines(void **state)
{
    (void)state;
    join_legs();
    notified.act = ask_the_hub;
    OK(circflow_hub_free(hub));
    OK(circflow_engine_free(away, NULL, NULL)); /* Its leg goes: the home hears of it. */
    away = NULL;
    assert_int_equal(notified.answer_count, 1);
    OK(notified.answers[0]);
    assert_in_range(notified.stats.engines, 2, 3);
    assert_int_equal(notified.stats.sets, 1);
    hub = NULL;
}

/* The last engine's own notify is the last that may ask. */
static void the_last_engine_still_has_the_hub(void **state)
{
    (void)state;
    join_legs();
    OK(circflow_engine_free(third, NULL, NULL));
    third = NULL;
    notified.act = ask_the_hub;
    OK(circflow_hub_free(hub));
    OK(circflow_engine_free(home, NULL, NULL));
    home = NULL;
    assert_int_equal(notified.answer_count, 1);
    OK(notified.answers[0]);
    ask_the_hub(away);
    OK(notified.answers[1]);
    assert_int_equal(notified.stats.engines, 1);
    assert_int_equal(notified.stats.sets, 0);
    hub = NULL;
}

static void free_itself(circflow_engine *of) { note(circflow_engine_free(of, NULL, NULL)); }

static void an_engine_is_not_freed_by_its_own_notify(void **state)
{
    (void)state;
    OK(link_on(home, &near));
    notified.act = free_itself;
    OK(link_on(away, &far)); /* Wakes the home, on this engine's thread. */
    assert_int_equal(notified.answer_count, 1);
    IS(CIRCFLOW_ERR_REENTRANT, notified.answers[0]);
    /* It lives on, and hears what it was woken for. */
    notified.act = NULL;
    assert_int_equal(host_count(host_tick(&world, home), CIRCFLOW_INSN_LINKED), 2);
}

static void free_others(circflow_engine *of)
{
    (void)of;
    note(circflow_engine_free(third, NULL, NULL));
    note(circflow_engine_free(away, NULL, NULL));
}

/* Nor any other: two that free each other, from inside each other's notify, would wait for ever. */
static void no_engine_is_freed_by_a_notify(void **state)
{
    (void)state;
    OK(link_on(home, &near));
    notified.act = free_others;
    OK(link_on(away, &far));
    assert_int_equal(notified.answer_count, 2);
    IS(CIRCFLOW_ERR_REENTRANT, notified.answers[0]);
    IS(CIRCFLOW_ERR_REENTRANT, notified.answers[1]);
    notified.act = NULL;
    OK(circflow_engine_tick(third, world.now));
}

/* What notify does of its own accord on the engine's own thread, inside a call on it. */
static void an_engine_is_not_freed_by_its_notify_on_its_own_thread(void **state)
{
    (void)state;
    OK(link_on(home, &near));
    host_tick(&world, home);
    /* More LINKs than one tick looks at: it rings for itself. */
    for (size_t i = 0; i < 40; i++)
        OK(link_on(away, &far));
    notified.act = free_itself;
    for (size_t i = 0; i < 10; i++)
        OK(circflow_engine_tick(home, world.now));
    for (size_t i = 0; i < notified.answer_count; i++)
        IS(CIRCFLOW_ERR_REENTRANT, notified.answers[i]);
}

static void free_the_hub(circflow_engine *of)
{
    (void)of;
    note(circflow_hub_free(hub));
    ask_the_hub(of);
}

static void a_hub_can_be_freed_by_a_notify(void **state)
{
    (void)state;
    OK(link_on(home, &near));
    notified.act = free_the_hub;
    OK(link_on(away, &far));
    assert_int_equal(notified.answer_count, 2);
    OK(notified.answers[0]);
    OK(notified.answers[1]);
    assert_int_equal(notified.stats.engines, 3);
    hub = NULL;
}

/* --- A home that does not answer --- */

static void a_link_to_a_home_that_hangs_is_bounded(void **state)
{
    (void)state;
    OK(link_on(home, &near));
    OK(link_on(away, &far));
    assert_int_equal(host_deadline(away), world.now + world.exit_terms.link_timeout_ns);
    world.now += world.exit_terms.link_timeout_ns - 1;
    assert_null(host_close_of(host_tick(&world, away), far));
    world.now += 1;
    OK(circflow_engine_tick(away, world.now));
    const circflow_insn *close = host_close_of(host_drain(away), far);
    assert_non_null(close);
    assert_int_equal(close->detail.close.cause, CIRCFLOW_ERR_HOME_TIMEOUT);
    OK(circflow_circuit_gone(away, world.now, far));
    assert_int_equal(host_stats(away).timers, 0);
    assert_int_equal(host_stats(away).peer_faults, 1);
    /* The home comes back too late, and finds nobody. */
    const host_events *late = host_tick(&world, home);
    for (size_t i = 0; i < late->count; i++)
        assert_int_not_equal(late->at[i].insn.circuit.v, far.v);
}

static void a_home_that_answers_leaves_no_timer(void **state)
{
    (void)state;
    join_legs();
    assert_int_equal(host_stats(away).timers, 0);
    world.now += 61 * SECOND;
    assert_null(host_close_of(host_tick(&world, away), far));
    /* Nor does a circuit that goes while it waits. */
    OK(link_on(away, &far));
    OK(circflow_circuit_gone(away, world.now, far));
    assert_int_equal(host_stats(away).timers, 0);
}

/* --- What is reserved --- */

static void unknown_flags_of_a_circuit_are_refused(void **state)
{
    circflow_circuit_config config = world.exit_circuit;
    circflow_circuit_id id;
    (void)state;
    for (unsigned at = 0; at < 32; at++) {
        const uint32_t unknown = (uint32_t)1 << at;
        config.flags = CIRCFLOW_CIRCUIT_VEGAS;
        config.flags |= unknown;
        const int answer = circflow_circuit_open(away, world.now, &config, &id);
        if (at < 7) {
            OK(answer);
            IS(at < 6 ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(away, id, unknown));
        } else {
            IS(CIRCFLOW_ERR_INVALID, answer); /* Bit 7 is a client's only. */
        }
    }
    OK(circflow_circuit_open(away, world.now, &world.exit_circuit, &id));
    for (unsigned at = 8; at < 32; at++)
        IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(away, id, (uint32_t)1 << at));
}

static void reserved_fields_of_an_engine_are_refused(void **state)
{
    circflow_engine_config config = world.engine_config;
    circflow_engine *engine = NULL;
    (void)state;
    config.reserved = 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_new(&config, &engine));
    assert_null(engine);
}

#define IN_HUB(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HUB(the_hub_is_freed_before_its_engines),
        IN_HUB(the_last_engine_still_has_the_hub),
        IN_HUB(an_engine_is_not_freed_by_its_own_notify),
        IN_HUB(no_engine_is_freed_by_a_notify),
        IN_HUB(a_hub_can_be_freed_by_a_notify),
        IN_HUB(an_engine_is_not_freed_by_its_notify_on_its_own_thread),
        IN_HUB(a_link_to_a_home_that_hangs_is_bounded),
        IN_HUB(a_home_that_answers_leaves_no_timer),
        IN_HUB(unknown_flags_of_a_circuit_are_refused),
        IN_HUB(reserved_fields_of_an_engine_are_refused),
    };
    return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
