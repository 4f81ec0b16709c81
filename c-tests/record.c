/* The flight recorder as a host uses it: asked for, read in pieces, poured into a sink, read from a poisoned engine. */

#include "host.h"

#include <stdio.h>

HOST_WORLD(host_begin_pair)

/* What the library must not forget to keep, and must not change: docs/events.md. */
enum { HEAD = 16, PIECE = 40, KIND_LEG_LINKED = 3, KIND_SET_USABLE = 4, KIND_SET_ENDED = 6 };

static uint64_t number(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    while (bytes--) value = value << 8 | at[bytes];
    return value;
}

/* A record that was found, and how many of its kind there are. */
typedef struct found {
    size_t count;
    const uint8_t *first;
} found;

static found find(const uint8_t *bytes, size_t len, unsigned kind)
{
    found found = {0, NULL};
    for (size_t at = 0; at < len;) {
        size_t record = number(bytes + at + 2, 2) * 8;
        assert_true(record >= HEAD && at + record <= len);
        if (number(bytes + at, 2) == kind && found.count++ == 0) found.first = bytes + at;
        at += record;
    }
    return found;
}

static uint8_t piece[1 << 16];

static size_t read_all(circflow_engine *engine)
{
    size_t len, whole = 0;
    do {
        OK(circflow_engine_record_read(engine, piece + whole, sizeof(piece) - whole, &len, NULL));
        whole += len;
    } while (len != 0);
    return whole;
}

static void nothing_is_recorded_until_it_is_asked_for(void **state)
{
    size_t len = 1;
    uint64_t overwritten = 1;
    (void)state;
    host_linked(&world, 2);
    OK(circflow_engine_record_read(world.client, piece, sizeof(piece), &len, &overwritten));
    assert_int_equal(len, 0);
    assert_int_equal(overwritten, 0);
}

static void the_life_of_a_set_can_be_read(void **state)
{
    found linked;
    size_t len;
    (void)state;
    OK(circflow_engine_record(world.client, 1 << 16, CIRCFLOW_RECORD_ALL));
    host_linked(&world, 2);
    OK(circflow_set_close(world.client, world.now, world.client_set));
    host_drain(world.client);
    len = read_all(world.client);
    assert_memory_equal(piece, "CF", 2);
    assert_memory_equal(piece + HEAD, "CIRCFLOW", 8);
    assert_int_equal(number(piece + 24, 2), 1);
    assert_int_equal(number(piece + 28, 4), CIRCFLOW_RECORD_ALL);
    linked = find(piece, len, KIND_LEG_LINKED);
    assert_int_equal(linked.count, 2);
    assert_int_equal(number(linked.first + 4, 4), 1); /* engine_number of the client */
    assert_true(number(linked.first + 8, 8) <= world.now);
    assert_int_equal(number(linked.first + HEAD, 8), world.client_set.v);
    /* The second one was linked first: its LINKED was carried first. */
    assert_int_equal(number(linked.first + HEAD + 8, 8), world.client_leg[1].v);
    assert_int_equal(find(piece, len, KIND_SET_USABLE).count, 1);
    assert_int_equal(find(piece, len, KIND_SET_ENDED).count, 1);
    assert_int_equal(read_all(world.client), 0);
}

static void a_class_that_was_not_asked_for_is_not_there(void **state)
{
    (void)state;
    OK(circflow_engine_record(world.client, 1 << 16, CIRCFLOW_RECORD_FAULTS | CIRCFLOW_RECORD_HUB));
    host_linked(&world, 2);
    assert_int_equal(read_all(world.client), 0);
    OK(circflow_engine_record(world.client, 0, CIRCFLOW_RECORD_ALL));
    OK(circflow_engine_record(world.client, 4096, 0));
}

static void sizes_and_classes_have_their_ranges(void **state)
{
    size_t len;
    (void)state;
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_record(world.client, 4095, CIRCFLOW_RECORD_ALL));
    OK(circflow_engine_record(world.client, 4096, CIRCFLOW_RECORD_ALL));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_record(world.client, (size_t)1 << 31, CIRCFLOW_RECORD_ALL));
    IS(CIRCFLOW_ERR_INVALID, circflow_engine_record(world.client, 4096, CIRCFLOW_RECORD_ALL + 1));
    host_linked(&world, 2);
    IS(CIRCFLOW_ERR_TOO_SMALL,
       circflow_engine_record_read(world.client, piece, CIRCFLOW_RECORD_READ_MIN - 1, &len, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_record_read(world.client, NULL, 0, &len, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_record_read(world.client, piece, sizeof(piece), NULL, NULL));
    /* None of these has changed what is there. */
    OK(circflow_engine_record_read(world.client, piece, CIRCFLOW_RECORD_READ_MIN, &len, NULL));
    assert_true(len > PIECE);
}

static void faults(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        circflow_circuit_id circuit = host_open(&world, world.client, CIRCFLOW_ROLE_RELAY);
        IS(CIRCFLOW_ERR_CONFLUX_OFF, host_feed(&world, world.client, circuit,
                                               host_linkish(CIRCFLOW_CMD_LINK, 0, world.client_terms.nonce, 0, 0, 3)));
        OK(circflow_circuit_gone(world.client, world.now, circuit));
        if (i % 20 == 0) host_drain(world.client);
    }
}

static struct {
    size_t calls, bytes;
} poured;

static void look(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)userdata, (void)insn, (void)body;
}

static void pour(void *userdata, const uint8_t *bytes, size_t len)
{
    poured.calls++;
    poured.bytes += len;
    if (memcmp(bytes, "CF", 2) != 0 || userdata != &poured) poured.calls += 1000000;
    /* It may feed, and may neither drain nor free. */
    IS(CIRCFLOW_ERR_REENTRANT, circflow_engine_drain(world.client, 1, NULL, look, NULL));
    IS(CIRCFLOW_ERR_REENTRANT, circflow_engine_free(world.client, NULL, NULL));
    OK(circflow_engine_tick(world.client, world.now));
}

static void count_calls(void *userdata, const uint8_t *bytes, size_t len)
{
    (void)userdata, (void)bytes, (void)len;
    poured.calls++;
}

static void free_inside(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)userdata, (void)insn, (void)body;
    IS(CIRCFLOW_ERR_REENTRANT, circflow_engine_free(world.client, NULL, NULL));
}

/* A free that is refused changes nothing: the record is still there. */
static void a_free_that_is_refused_pours_nothing(void **state)
{
    size_t len, more;
    (void)state;
    OK(circflow_engine_record(world.client, 1 << 16, CIRCFLOW_RECORD_ALL));
    host_launch(&world, 1);
    memset(&poured, 0, sizeof(poured));
    OK(circflow_engine_set_record_sink(world.client, count_calls, NULL));
    /* With a sink of its own it would pour all when it is freed. */
    OK(circflow_engine_drain(world.client, 100, NULL, free_inside, NULL));
    assert_int_equal(poured.calls, 0);
    OK(circflow_engine_record_read(world.client, piece, sizeof(piece), &len, NULL));
    assert_true(len > PIECE);
    OK(circflow_engine_record_read(world.client, piece, sizeof(piece), &more, NULL));
    assert_int_equal(more, 0);
}

static void what_the_ring_cannot_keep_is_counted_or_goes_to_the_sink(void **state)
{
    size_t len, records;
    uint64_t overwritten;
    (void)state;
    OK(circflow_engine_record(world.client, 4096, CIRCFLOW_RECORD_FAULTS));
    faults(1000);
    OK(circflow_engine_record_read(world.client, piece, sizeof(piece), &len, &overwritten));
    records = find(piece, len, 144).count;
    assert_int_equal(records + overwritten, 1000);
    assert_int_equal(number(piece + 32, 8), overwritten);
    assert_true(records >= 4096 / 32 * 3 / 4);

    OK(circflow_engine_set_record_sink(world.client, pour, &poured));
    faults(1000);
    host_drain(world.client);
    /* The rest comes when the engine is freed. */
    host_stop(&world);
    assert_true(poured.calls > 10 && poured.calls < 1000000);
    assert_int_equal((poured.bytes - PIECE * poured.calls) / 32, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_recorded_until_it_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(the_life_of_a_set_can_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_class_that_was_not_asked_for_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_and_classes_have_their_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_ring_cannot_keep_is_counted_or_goes_to_the_sink, setup, teardown),
        cmocka_unit_test_setup_teardown(a_free_that_is_refused_pours_nothing, setup, teardown),
    };
    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
