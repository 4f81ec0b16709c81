/* Parameters of a consensus by name, beside those of congestion control: who takes which, what is not built, and who
 * follows. */

#include "host.h"

#define CLIENT world.client
#define EXIT world.exit
#define LEG(i) world.client_leg[i]

HOST_WORLD(host_prepare)

static int param(circflow_engine *engine, const char *name, uint32_t value)
{
    return circflow_engine_set_param(engine, CIRCFLOW_PATH_EXIT, name, value);
}

static uint32_t value_of(circflow_engine *engine, uint8_t path, const char *name)
{
    uint32_t value = 0xdead;
    OK(circflow_engine_get_param(engine, path, name, &value));
    return value;
}

/* Names, ranges and defaults as C Tor 0.4.9 has them; and what of it is built. */
static const struct {
    const char *name;
    uint32_t min, max, normal, least, most;
} PARAMS[] = {
    {"cc_alg", 0, 3, 2, 2, 2},
    {"cfx_enabled", 0, 1, 1, 0, 1},
    {"cfx_low_exit_threshold", 0, 10000, 6000, 0, 10000},
    {"cfx_max_linked_set", 0, 255, 10, 0, 255},
    {"cfx_max_prebuilt_set", 0, 255, 3, 0, 255},
    {"cfx_max_unlinked_leg_retry", 0, 255, 3, 0, 255},
    {"cfx_num_legs_set", 0, 255, 2, 0, 255},
    {"cfx_max_legs_set", 3, 255, 8, 3, 255},
    {"cfx_send_pct", 0, 255, 100, 100, 100},
    {"cfx_drain_pct", 0, 255, 0, 0, 0},
    {"cfx_max_oooq_bytes", 0, 2147483647, 2147483647, 0, 2147483647},
    {"sendme_emit_min_version", 0, 255, 1, 0, 1},
    {"sendme_accept_min_version", 0, 255, 0, 0, 1},
    {"circpad_max_circ_queued_cells", 0, 50000, 1000, 0, 50000},
    {"circpad_global_allowed_cells", 0, 65534, 0, 0, 65534},
    {"circpad_global_max_padding_pct", 0, 100, 0, 0, 100},
    {"circpad_padding_disabled", 0, 1, 0, 0, 1},
    {"circpad_padding_reduced", 0, 1, 0, 0, 1},
};

static void what_is_built_is_taken_and_what_is_not_has_a_status_of_its_own(void **state)
{
    (void)state;
    host_start(&world);
    for (size_t i = 0; i < COUNT(PARAMS); i++)
        for (uint32_t value = 0; value <= 300; value++) {
            /* All of the low values, and those around both ends. */
            const uint32_t values[] = {value, PARAMS[i].max - value, PARAMS[i].max + 1 + value};
            for (size_t n = 0; n < COUNT(values); n++) {
                uint32_t before = value_of(CLIENT, CIRCFLOW_PATH_EXIT, PARAMS[i].name);
                int status = param(CLIENT, PARAMS[i].name, values[n]);
                if (status != CIRCFLOW_OK) { /* The next call that succeeds clears it. */
                    char detail[200];
                    OK(circflow_engine_get_last_detail(CLIENT, detail, sizeof(detail), NULL));
                    assert_non_null(strstr(detail, PARAMS[i].name));
                }
                uint32_t after = value_of(CLIENT, CIRCFLOW_PATH_EXIT, PARAMS[i].name);
                if (values[n] < PARAMS[i].min || values[n] > PARAMS[i].max)
                    IS(CIRCFLOW_ERR_INVALID, status);
                else if (values[n] < PARAMS[i].least || values[n] > PARAMS[i].most)
                    IS(CIRCFLOW_ERR_NOT_BUILT, status);
                else
                    OK(status);
                assert_int_equal(after, status == CIRCFLOW_OK ? values[n] : before);
            }
        }
}

static void what_was_never_set_is_c_tors_default(void **state)
{
    uint32_t value;
    (void)state;
    host_start(&world);
    for (uint8_t path = 0; path < 3; path++)
        for (size_t i = 0; i < COUNT(PARAMS); i++)
            assert_int_equal(value_of(CLIENT, path, PARAMS[i].name), PARAMS[i].normal);
    assert_int_equal(value_of(CLIENT, CIRCFLOW_PATH_EXIT, "cc_vegas_beta"), 248);
    assert_int_equal(value_of(CLIENT, CIRCFLOW_PATH_ONION, "cc_vegas_beta"), 372);
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_get_param(CLIENT, 3, "cc_alg", &value));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_get_param(CLIENT, 0, "cfx_", &value));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_param(CLIENT, 0, NULL, &value));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_param(CLIENT, 0, "cc_alg", NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_param(NULL, 0, "cc_alg", &value));
    /* Those of congestion control are for a class, the others for all. */
    OK(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_ONION, "cc_cwnd_init", 200));
    OK(circflow_engine_set_param(CLIENT, CIRCFLOW_PATH_ONION, "cfx_num_legs_set", 4));
    assert_int_equal(value_of(CLIENT, CIRCFLOW_PATH_EXIT, "cc_cwnd_init"), 124);
    assert_int_equal(value_of(CLIENT, CIRCFLOW_PATH_ONION, "cc_cwnd_init"), 200);
    assert_int_equal(value_of(CLIENT, CIRCFLOW_PATH_EXIT, "cfx_num_legs_set"), 4);
}

/* --- Conflux --- */

static void an_exit_takes_no_link_while_conflux_is_off(void **state)
{
    (void)state;
    host_linked(&world, 1);
    OK(param(EXIT, "cfx_enabled", 0));
    size_t other = host_pair(&world);
    host_launch(&world, 1);
    const host_events *events = host_drain(CLIENT);
    const circflow_insn *link = host_first(events, CIRCFLOW_INSN_SEND);
    assert_int_equal(link->detail.send.command, CIRCFLOW_CMD_LINK);
    circflow_message message = host_message(CIRCFLOW_CMD_LINK, 0, 0, events->at[0].body, link->detail.send.body_len);
    /* A leg more for a set that lives, as one for a new set. */
    IS(CIRCFLOW_ERR_CONFLUX_OFF, host_feed(&world, EXIT, world.exit_leg[other + 1], message));
    assert_non_null(host_close_of(host_drain(EXIT), world.exit_leg[other + 1]));
    /* What lives goes on. */
    host_expect(&world, EXIT, world.exit_leg[0], host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2), CIRCFLOW_VERDICT_DELIVER);
    OK(param(EXIT, "cfx_enabled", 1));
    OK(host_feed(&world, EXIT, world.exit_leg[other], message));
}

static void a_client_opens_no_set_and_adds_no_leg_while_conflux_is_off(void **state)
{
    circflow_set_config terms;
    circflow_set_id set;
    circflow_verdict verdict;
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, HOST_HOPS, 7, "x", 2);
    (void)state;
    host_linked(&world, 1);
    host_room(&world, CLIENT, LEG(0), 10, 10 * MS);
    OK(param(CLIENT, "cfx_enabled", 0));
    terms = world.client_terms;
    terms.nonce[0] ^= 1;
    size_t more = host_pair(&world);
    circflow_engine_stats before = host_stats(CLIENT);
    IS(CIRCFLOW_ERR_DISABLED, circflow_set_open(CLIENT, world.now, &terms, &set));
    IS(CIRCFLOW_ERR_DISABLED, circflow_set_add_legs(CLIENT, world.now, world.client_set, &LEG(more), 1));
    IS(CIRCFLOW_ERR_DISABLED, circflow_set_launch_legs(CLIENT, world.now, world.client_set, &LEG(more), 1));
    circflow_engine_stats after = host_stats(CLIENT);
    assert_memory_equal(&before, &after, sizeof(before));
    OK(circflow_set_send(CLIENT, world.now, world.client_set, &begin, NULL, 0, &verdict));
    OK(param(CLIENT, "cfx_enabled", 1));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, &LEG(more), 1));
    OK(circflow_set_open(CLIENT, world.now, &terms, &set));
}

/* How many legs a set takes, of those that are added one by one until it is refused. */
static uint32_t legs_of(const circflow_set_config *terms, int refused)
{
    circflow_set_id set;
    OK(circflow_set_open(CLIENT, world.now, terms, &set));
    for (uint32_t legs = 0;; legs++) {
        circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
        int status = circflow_set_add_legs(CLIENT, world.now, set, &circuit, 1);
        host_drain(CLIENT);
        if (status != CIRCFLOW_OK) {
            IS(refused, status);
            OK(circflow_set_close(CLIENT, world.now, set));
            host_drain(CLIENT);
            return legs;
        }
    }
}

static void legs_and_launches_are_what_the_parameters_say(void **state)
{
    circflow_set_config terms;
    (void)state;
    host_start(&world);
    OK(circflow_set_config_init(&terms, sizeof(terms)));
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LAUNCHES), 5); /* 2 + 3 */
    OK(param(CLIENT, "cfx_num_legs_set", 4));
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LAUNCHES), 7);
    OK(param(CLIENT, "cfx_max_unlinked_leg_retry", 0));
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LAUNCHES), 4);
    OK(param(CLIENT, "cfx_max_unlinked_leg_retry", 255));
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LEGS), 8);
    OK(param(CLIENT, "cfx_max_legs_set", 3));
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LEGS), 3);
    OK(param(CLIENT, "cfx_max_legs_set", 255));
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LEGS), CIRCFLOW_LEGS_MAX);
    /* What the host says itself comes first. */
    terms.legs_max = 5;
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LEGS), 5);
    terms.launches_max = 1;
    assert_int_equal(legs_of(&terms, CIRCFLOW_ERR_TOO_MANY_LAUNCHES), 1);
}

/* A set goes by what was said when it was opened; an exit's, when its first LINK came. */
static void sets_that_live_keep_their_limits(void **state)
{
    (void)state;
    OK(circflow_set_config_init(&world.exit_terms, sizeof(world.exit_terms)));
    host_start(&world);
    OK(param(EXIT, "cfx_max_legs_set", 3));
    host_linked(&world, 2);
    OK(param(EXIT, "cfx_max_legs_set", 4));
    host_launch(&world, 1);
    host_carry(&world);
    size_t fourth = host_pair(&world);
    IS(CIRCFLOW_ERR_LINK_LIMIT, host_feed(&world, EXIT, world.exit_leg[fourth],
                                          host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3)));
}

static void a_set_holds_no_more_than_cfx_max_oooq_bytes(void **state)
{
    (void)state;
    host_start(&world);
    OK(param(EXIT, "cfx_max_oooq_bytes", 2 * CIRCFLOW_HELD_COST));
    host_linked(&world, 2);
    host_expect(&world, EXIT, world.exit_leg[1], host_switch(0, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (int n = 0; n < 2; n++)
        host_expect(&world, EXIT, world.exit_leg[1], host_data(0, "x"), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_SET_MEMORY, host_feed(&world, EXIT, world.exit_leg[1], host_data(0, "x")));
}

static void the_lower_of_two_byte_caps_holds(void **state)
{
    (void)state;
    world.exit_terms.held_bytes_max = CIRCFLOW_HELD_COST;
    host_start(&world);
    OK(param(EXIT, "cfx_max_oooq_bytes", 2 * CIRCFLOW_HELD_COST));
    host_linked(&world, 2);
    host_expect(&world, EXIT, world.exit_leg[1], host_switch(0, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, EXIT, world.exit_leg[1], host_data(0, "x"), CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_SET_MEMORY, host_feed(&world, EXIT, world.exit_leg[1], host_data(0, "x")));
}

/* --- Padding --- */

/* A padder's queue gets so long before it stops adding. */
static uint64_t padding_of(circflow_padding_config config)
{
    circflow_circuit_id circuit = host_open(&world, CLIENT, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_padding_install(CLIENT, world.now, circuit, &config));
    for (int n = 0; n < 20; n++) {
        host_other(&world, CLIENT, circuit, 2);
        host_later(&world, CLIENT, 10 * MS);
    }
    uint64_t sent = host_pad_stats(CLIENT, circuit, 2, 0).padding_sent;
    OK(circflow_circuit_gone(CLIENT, world.now, circuit));
    return sent;
}

static void no_padding_from_circpad_max_circ_queued_cells_on(void **state)
{
    circflow_padding_config config;
    (void)state;
    host_start(&world);
    config = host_padding_config(CLIENT, "pad-00", 2, 0);
    assert_int_equal(padding_of(config), 20);
    OK(param(CLIENT, "circpad_max_circ_queued_cells", 3));
    assert_int_equal(padding_of(config), 3);
    OK(param(CLIENT, "circpad_max_circ_queued_cells", 0));
    assert_int_equal(padding_of(config), 0);
    config.queued_cells_max = 5; /* What the host says itself comes first. */
    assert_int_equal(padding_of(config), 5);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_built_is_taken_and_what_is_not_has_a_status_of_its_own),
        TEST(what_was_never_set_is_c_tors_default),
        TEST(an_exit_takes_no_link_while_conflux_is_off),
        TEST(a_client_opens_no_set_and_adds_no_leg_while_conflux_is_off),
        TEST(legs_and_launches_are_what_the_parameters_say),
        TEST(sets_that_live_keep_their_limits),
        TEST(a_set_holds_no_more_than_cfx_max_oooq_bytes),
        TEST(the_lower_of_two_byte_caps_holds),
        TEST(no_padding_from_circpad_max_circ_queued_cells_on),
    };
    return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
