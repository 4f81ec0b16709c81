/* Log lines: few, labelled, and without secrets. */

#include "host.h"

#include <inttypes.h>
#include <stdio.h>

static host_world world;

/* What the log function got. It may not assert: it runs inside the library. */
static struct {
    size_t lines, empty, levels[6], other_numbers;
    uint32_t engine_number;
    char text[1 << 16];
    size_t text_len;
    void *userdata;
} got;

static void keep(void *userdata, uint32_t level, uint32_t engine_number, const char *line)
{
    size_t len = strlen(line);
    got.lines++;
    got.empty += len == 0;
    got.levels[level <= 5 ? level : 0]++;
    got.other_numbers += got.engine_number != 0 && engine_number != got.engine_number;
    got.engine_number = engine_number;
    got.userdata = userdata;
    if (got.text_len + len + 2 < sizeof(got.text)) {
        memcpy(got.text + got.text_len, line, len);
        got.text_len += len;
        got.text[got.text_len++] = '\n';
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&got, 0, sizeof(got));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    OK(circflow_log_set_fn(5, NULL, NULL));
    return 0;
}

/* LINK on `count` fresh circuits of an engine that accepts none. */
static void make_faults(circflow_engine *engine, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        circflow_circuit_id circuit = host_open(&world, engine, CIRCFLOW_ROLE_RELAY);
        IS(CIRCFLOW_ERR_CONFLUX_OFF,
           host_feed(&world, engine, circuit, host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3)));
        OK(circflow_circuit_gone(engine, world.now, circuit));
    }
    host_drain(engine);
}

/* The exit takes no sets, so that each LINK is a fault, and all lines are kept. */
static void begin_refusing(void *userdata)
{
    host_begin(&world);
    OK(circflow_engine_accept_sets(world.exit, NULL));
    OK(circflow_log_set_fn(5, keep, userdata));
}

static void lines_have_level_number_and_userdata(void **state)
{
    (void)state;
    begin_refusing(&world);
    make_faults(world.exit, 3);
    assert_int_equal(got.lines, 3);
    assert_int_equal(got.levels[2], 3); /* A peer's fault is worth a warning. */
    assert_int_equal(got.engine_number, 2);
    assert_int_equal(got.other_numbers, 0);
    assert_int_equal(got.empty, 0);
    assert_ptr_equal(got.userdata, &world);
    host_stop(&world);
}

static void lines_above_the_level_are_not_made(void **state)
{
    size_t lines[6];
    (void)state;
    for (uint32_t level = 1; level <= 5; level++) {
        setup(NULL);
        OK(circflow_log_set_fn(level, keep, NULL));
        host_linked(&world, 2);
        OK(circflow_set_close(world.client, world.now, world.client_set));
        IS(CIRCFLOW_ERR_UNEXPECTED_LINKED,
           host_feed(&world, world.exit, world.exit_leg[0],
                     host_linkish(CIRCFLOW_CMD_LINKED, 0, world.client_terms.nonce, 0, 0, 0)));
        host_stop(&world);
        lines[level] = got.lines;
        for (uint32_t above = level + 1; above <= 5; above++)
            assert_int_equal(got.levels[above], 0);
        assert_int_equal(got.levels[0], 0);
    }
    assert_int_equal(lines[1], 0);
    assert_true(lines[2] >= 1);
    assert_true(lines[5] > lines[2]);
    IS(CIRCFLOW_ERR_INVALID, circflow_log_set_fn(0, keep, NULL));
    IS(CIRCFLOW_ERR_INVALID, circflow_log_set_fn(6, keep, NULL));
}

/* The text of all lines that were got, as a string. */
static const char *text_of_lines(void)
{
    got.text[got.text_len] = '\0';
    return got.text;
}

/* Lines that begin with the name of this kind. */
static size_t lines_of(const char *kind)
{
    char begin[64];
    size_t count = 0, len = (size_t)snprintf(begin, sizeof(begin), "%s: ", kind);
    for (const char *line = text_of_lines(); *line != '\0'; line = strchr(line, '\n') + 1)
        count += strncmp(line, begin, len) == 0;
    return count;
}

static void info_tells_the_life_of_a_set(void **state)
{
    char want[160];
    (void)state;
    OK(circflow_log_set_fn(3, keep, NULL));
    host_linked(&world, 2);
    OK(circflow_set_close(world.client, world.now, world.client_set));
    host_stop(&world);
    assert_true(lines_of("LegLinked") >= 2);
    assert_true(lines_of("SetUsable") >= 1);
    assert_true(lines_of("SetEnded") >= 1);
    /* Ids are in hex, as the header prints them, and a cause is told in words. */
    snprintf(want, sizeof(want), "SetEnded: A set has ended set=0x%" PRIx64 " cause=the host ended it\n",
             world.client_set.v);
    assert_non_null(strstr(text_of_lines(), want));
    assert_int_equal(got.levels[2] + got.levels[3], got.lines);
}

/* A message on one leg, then a SWITCH and a message on the other. */
static void receive_on_both_legs(void)
{
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "a"), CIRCFLOW_VERDICT_DELIVER);
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "b"), CIRCFLOW_VERDICT_DELIVER);
}

static void debug_tells_a_switch_and_trace_each_message(void **state)
{
    char want[160];
    (void)state;
    for (uint32_t level = 3; level <= 5; level++) {
        setup(NULL);
        host_linked(&world, 2);
        OK(circflow_log_set_fn(level, keep, NULL));
        host_drain(world.client); /* From here on the engine knows the level. */
        receive_on_both_legs();
        assert_int_equal(lines_of("SwitchReceived"), level >= 4);
        assert_int_equal(lines_of("InOrder"), level >= 5 ? 2 : 0);
        snprintf(want, sizeof(want), "set=0x%" PRIx64 " leg=0x%" PRIx64 " delta=1 number=1\n", world.client_set.v,
                 world.client_leg[1].v);
        assert_true((strstr(text_of_lines(), want) != NULL) == (level >= 4));
        assert_true((strstr(text_of_lines(), " number=2 command=DATA\n") != NULL) == (level >= 5));
        host_stop(&world);
        OK(circflow_log_set_fn(5, NULL, NULL));
    }
}

static void a_fault_is_told_by_its_name_and_in_words(void **state)
{
    (void)state;
    begin_refusing(NULL);
    make_faults(world.exit, 1);
    assert_int_equal(lines_of("Fault"), 1);
    assert_non_null(strstr(text_of_lines(), "status=CIRCFLOW_ERR_CONFLUX_OFF"));
    assert_non_null(strstr(text_of_lines(), circflow_status_text(CIRCFLOW_ERR_CONFLUX_OFF)));
    host_stop(&world);
}

static void a_kind_of_which_much_happens_hides_no_other(void **state)
{
    (void)state;
    begin_refusing(NULL);
    make_faults(world.exit, 1000);
    assert_int_equal(lines_of("Fault"), 16);
    OK(circflow_engine_set_clock(world.exit, world.now));
    assert_int_equal(lines_of("ClockSet"), 1);
    assert_int_equal(lines_of("LeftOut"), 0);
    got.text_len = 0;
    world.now += SECOND;
    host_tick(&world, world.exit); /* The sum needs no other line. */
    assert_non_null(strstr(text_of_lines(), "LeftOut: 984 more of this kind left out left_out=984 kind=Fault\n"));
    host_stop(&world);
}

static void null_switches_it_off(void **state)
{
    (void)state;
    begin_refusing(NULL);
    make_faults(world.exit, 1);
    assert_int_equal(got.lines, 1);
    OK(circflow_log_set_fn(5, NULL, NULL));
    make_faults(world.exit, 5);
    assert_int_equal(got.lines, 1);
    OK(circflow_log_set_fn(5, keep, NULL));
    make_faults(world.exit, 1);
    assert_int_equal(got.lines, 2);
    host_stop(&world);
}

static void a_flood_is_cut_and_summed_up(void **state)
{
    (void)state;
    begin_refusing(NULL);
    make_faults(world.exit, 1000);
    assert_true(got.lines > 0);
    assert_true(got.lines <= 64);
    assert_int_equal(host_stats(world.exit).log_dropped, 1000 - got.lines);
    assert_int_equal(host_stats(world.exit).peer_faults, 1000);
    /* A clock that goes back opens no new second. */
    world.now -= 5 * SECOND;
    make_faults(world.exit, 10);
    assert_true(got.lines <= 64);
    host_stop(&world);
}

static void the_next_second_says_how_many_were_left_out(void **state)
{
    (void)state;
    begin_refusing(NULL);
    make_faults(world.exit, 1000);
    char want[32];
    snprintf(want, sizeof(want), "%u", (unsigned)(1000 - got.lines));
    got.text_len = got.lines = 0;
    world.now += SECOND;
    make_faults(world.exit, 1);
    got.text[got.text_len] = '\0';
    assert_int_equal(got.lines, 2);
    assert_non_null(strstr(got.text, want));
    host_stop(&world);
}

static void a_second_holds_64_lines_the_summary_included(void **state)
{
    (void)state;
    begin_refusing(NULL);
    make_faults(world.exit, 1000);
    got.lines = 0;
    world.now += SECOND;
    make_faults(world.exit, 1000);
    /* "An engine emits at most 64 lines in a second of its host's time." */
    assert_true(got.lines <= 64);
    host_stop(&world);
}

/* True when the text has eight bytes of the nonce in a row, raw or as hex digits of either case. */
static int leaks(const char *text, size_t len, const uint8_t *nonce)
{
    for (size_t at = 0; at + 8 <= CIRCFLOW_NONCE_LEN; at++) {
        char hex[2][17], list[64];
        size_t list_len = 0;
        for (size_t i = 0; i < 8; i++) {
            snprintf(&hex[0][2 * i], 3, "%02x", nonce[at + i]);
            snprintf(&hex[1][2 * i], 3, "%02X", nonce[at + i]);
            list_len += (size_t)snprintf(list + list_len, sizeof(list) - list_len, i ? ", %u" : "%u", nonce[at + i]);
        }
        for (size_t i = 0; i + 8 <= len; i++) {
            if (memcmp(text + i, nonce + at, 8) == 0 || (i + 16 <= len && memcmp(text + i, hex[0], 16) == 0) ||
                (i + 16 <= len && memcmp(text + i, hex[1], 16) == 0) ||
                (i + list_len <= len && memcmp(text + i, list, list_len) == 0))
                return 1;
        }
    }
    return 0;
}

static void the_nonce_is_never_told(void **state)
{
    char detail[4096];
    size_t len;
    (void)state;
    OK(circflow_log_set_fn(5, keep, NULL));
    host_prepare(&world);
    memcpy(world.client_terms.nonce, "RecognisableNonceOf32BytesLength", CIRCFLOW_NONCE_LEN);
    host_linked(&world, 2);
    host_launch(&world, 1);
    uint8_t other[CIRCFLOW_NONCE_LEN];
    memcpy(other, world.client_terms.nonce, sizeof(other));
    other[31] ^= 1;
    host_drain(world.client);
    IS(CIRCFLOW_ERR_BAD_NONCE, host_feed(&world, world.client, world.client_leg[2],
                                        host_linkish(CIRCFLOW_CMD_LINKED, HOST_HOPS, other, 0, 0, 1)));
    OK(circflow_engine_get_last_detail(world.client, detail, sizeof(detail), &len));
    assert_false(leaks(detail, len, world.client_terms.nonce));
    IS(CIRCFLOW_ERR_UNEXPECTED_LINK, host_feed(&world, world.exit, world.exit_leg[0],
                                              host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 1)));
    OK(circflow_engine_get_last_detail(world.exit, detail, sizeof(detail), &len));
    assert_false(leaks(detail, len, world.client_terms.nonce));
    host_drain(world.exit);
    OK(circflow_set_close(world.client, world.now, world.client_set));
    host_stop(&world);
    assert_true(got.lines >= 5);
    assert_true(got.text_len + 1000 < sizeof(got.text)); /* Nothing was cut. */
    assert_false(leaks(got.text, got.text_len, world.client_terms.nonce));
    /* The search would find it. */
    assert_true(leaks("xx RecognisableNonceOf32BytesLength", 35, world.client_terms.nonce));
    assert_true(leaks("nonce=5265636f676e697361626c65", 30, world.client_terms.nonce));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_have_level_number_and_userdata, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_above_the_level_are_not_made, setup, teardown),
        cmocka_unit_test_setup_teardown(info_tells_the_life_of_a_set, setup, teardown),
        cmocka_unit_test_setup_teardown(debug_tells_a_switch_and_trace_each_message, setup, teardown),
        cmocka_unit_test_setup_teardown(a_fault_is_told_by_its_name_and_in_words, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kind_of_which_much_happens_hides_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(null_switches_it_off, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_is_cut_and_summed_up, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_second_says_how_many_were_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_holds_64_lines_the_summary_included, setup, teardown),
        cmocka_unit_test_setup_teardown(the_nonce_is_never_told, setup, teardown),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
