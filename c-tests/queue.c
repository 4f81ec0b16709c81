/* A small backlog before a sink: rows Q1 to Q8, through the ABI. */

#include "host.h"

#include <stdlib.h>

/* A sink with so much room; it remembers what it took. */
static struct {
    size_t room, count, tries, asked;
    int is_closed;
    /* When not zero, the answer in place of the true one. */
    int32_t answer;
    uint64_t token[256];
    uint8_t bytes[256][514];
    uint32_t len[256];
    uint8_t form[256];
} wire;

/* What free handed back, in order. */
static struct {
    size_t count;
    uint64_t token[64];
    uint8_t first_byte[64];
    uint32_t len[64];
    uint8_t form[64];
} back;

static circflow_queue *queue;

static int32_t try_send(void *userdata, const circflow_queue_item *item)
{
    assert_ptr_equal(userdata, &wire);
    wire.tries++;
    if (wire.answer != 0)
        return wire.answer;
    if (wire.is_closed)
        return CIRCFLOW_SINK_CLOSED;
    if (wire.room == 0)
        return CIRCFLOW_SINK_FULL;
    wire.room--;
    size_t at = wire.count++;
    wire.token[at] = item->token;
    wire.len[at] = item->bytes_len;
    wire.form[at] = item->form;
    assert_true(item->bytes_len <= 514);
    if (item->bytes_len != 0)
        memcpy(wire.bytes[at], item->bytes, item->bytes_len);
    return CIRCFLOW_SINK_TAKEN;
}

static int32_t is_closed(void *userdata)
{
    assert_ptr_equal(userdata, &wire);
    wire.asked++;
    return wire.is_closed;
}

static void discard(void *userdata, const circflow_queue_item *item)
{
    assert_ptr_equal(userdata, &back);
    size_t at = back.count++;
    back.token[at] = item->token;
    back.len[at] = item->bytes_len;
    back.first_byte[at] = item->bytes_len == 0 ? 0 : item->bytes[0];
    back.form[at] = item->form;
}

static const circflow_queue_sink sink = {try_send, is_closed, &wire};

static circflow_queue *queue_of(uint32_t backlog_max, uint32_t item_bytes_max)
{
    circflow_queue_config config;
    circflow_queue *made = NULL;
    OK(circflow_queue_config_init(&config, sizeof(config)));
    config.backlog_max = backlog_max;
    config.item_bytes_max = item_bytes_max;
    OK(circflow_queue_new(&config, &made));
    assert_non_null(made);
    return made;
}

static int setup(void **state)
{
    (void)state;
    memset(&wire, 0, sizeof(wire));
    memset(&back, 0, sizeof(back));
    queue = queue_of(CIRCFLOW_BACKLOG_SPARSE, 514);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    OK(circflow_queue_free(queue, NULL, NULL));
    return 0;
}

static circflow_queue_item token_of(uint64_t token)
{
    circflow_queue_item item = {0, NULL, 0, CIRCFLOW_FORM_TOKEN};
    item.token = token;
    return item;
}

static circflow_queue_item bytes_of(const void *bytes, size_t len)
{
    circflow_queue_item item = {0, NULL, 0, CIRCFLOW_FORM_BYTES};
    item.bytes = bytes;
    item.bytes_len = (uint32_t)len;
    return item;
}

/* Pushes a token that must be answered so. */
static void push_to(circflow_queue *to, uint64_t token, int status, int kept)
{
    circflow_queue_item item = token_of(token);
    uint8_t answer = 77;
    IS(status, circflow_queue_push(to, &item, &answer, &sink));
    assert_int_equal(answer, status == CIRCFLOW_OK ? kept : 77);
}

#define GOES(token) push_to(queue, token, CIRCFLOW_OK, 0)
#define WAITS(token) push_to(queue, token, CIRCFLOW_OK, 1)
#define REFUSED(token, status) push_to(queue, token, status, 0)

static uint32_t waiting(circflow_queue *of)
{
    uint32_t len = 77;
    uint8_t pending = 77;
    OK(circflow_queue_get_len(of, &len));
    OK(circflow_queue_get_pending(of, &pending));
    assert_int_equal(pending, len != 0);
    return len;
}

static void drains(uint32_t want)
{
    uint32_t moved = 77;
    OK(circflow_queue_drain(queue, &moved, &sink));
    assert_int_equal(moved, want);
}

static void took_tokens_from_one_to(size_t count)
{
    assert_int_equal(wire.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(wire.token[i], i + 1);
}

static void q1_the_sink_first_then_the_backlog(void **state)
{
    (void)state;
    wire.room = 2;
    GOES(1);
    GOES(2);
    WAITS(3);
    assert_int_equal(waiting(queue), 1);
    took_tokens_from_one_to(2);
}

static void q2_nothing_passes_what_waits(void **state)
{
    (void)state;
    WAITS(1);
    wire.room = 5;
    wire.tries = 0;
    WAITS(2);
    WAITS(3);
    assert_int_equal(wire.tries, 0); /* It was not even asked. */
    drains(3);
    GOES(4);
    took_tokens_from_one_to(4);
}

static void q3_one_at_a_time_and_the_refused_stays_in_front(void **state)
{
    (void)state;
    for (uint64_t token = 1; token <= 5; token++)
        WAITS(token);
    wire.tries = 0;
    drains(0);
    drains(0);
    assert_int_equal(wire.tries, 2);
    wire.room = 2;
    drains(2);
    assert_int_equal(wire.tries, 5);
    assert_int_equal(waiting(queue), 3);
    wire.room = 1;
    drains(1);
    wire.room = 99;
    drains(2);
    drains(0);
    took_tokens_from_one_to(5);
}

static void q4_a_full_backlog_leaves_the_item_to_its_sender(void **state)
{
    const uint32_t caps[] = {1, 2, CIRCFLOW_BACKLOG_SPARSE, CIRCFLOW_BACKLOG_EVENTS};
    (void)state;
    for (size_t i = 0; i < COUNT(caps); i++) {
        circflow_queue *one = queue_of(caps[i], 0);
        memset(&wire, 0, sizeof(wire));
        for (uint32_t token = 1; token <= caps[i]; token++)
            push_to(one, token, CIRCFLOW_OK, 1);
        push_to(one, 999, CIRCFLOW_ERR_QUEUE_FULL, 0);
        push_to(one, 999, CIRCFLOW_ERR_QUEUE_FULL, 0);
        wire.room = 1;
        push_to(one, 999, CIRCFLOW_ERR_QUEUE_FULL, 0); /* The room is for the first. */
        assert_int_equal(waiting(one), caps[i]);
        OK(circflow_queue_drain(one, NULL, &sink));
        push_to(one, caps[i] + 1, CIRCFLOW_OK, 1);
        wire.room = 99;
        OK(circflow_queue_drain(one, NULL, &sink));
        took_tokens_from_one_to(caps[i] + 1);
        OK(circflow_queue_free(one, discard, &back));
    }
    assert_int_equal(back.count, 0);
}

static void q5_closed_is_not_full(void **state)
{
    circflow_queue_item item;
    (void)state;
    wire.is_closed = 1;
    REFUSED(1, CIRCFLOW_ERR_SINK_CLOSED);
    IS(CIRCFLOW_ERR_SINK_CLOSED, circflow_queue_drain(queue, NULL, &sink));
    wire.is_closed = 0;
    for (uint64_t token = 1; token <= CIRCFLOW_BACKLOG_SPARSE; token++)
        WAITS(token);
    wire.is_closed = 1;
    wire.tries = 0;
    REFUSED(9, CIRCFLOW_ERR_SINK_CLOSED); /* Before "full", and without a try. */
    IS(CIRCFLOW_ERR_SINK_CLOSED, circflow_queue_drain(queue, NULL, &sink));
    assert_int_equal(wire.tries, 0);
    wire.is_closed = 0;
    wire.room = 3;
    drains(3);
    wire.answer = CIRCFLOW_SINK_CLOSED; /* Found out by trying only. */
    IS(CIRCFLOW_ERR_SINK_CLOSED, circflow_queue_drain(queue, NULL, &sink));
    for (uint64_t token = 4; token <= 8; token++) {
        OK(circflow_queue_take(queue, NULL, 0, &item));
        assert_int_equal(item.form, CIRCFLOW_FORM_TOKEN);
        assert_int_equal(item.token, token);
    }
    OK(circflow_queue_take(queue, NULL, 0, &item));
    assert_int_equal(item.form, CIRCFLOW_FORM_NONE);
    assert_int_equal(waiting(queue), 0);
    took_tokens_from_one_to(3);
    REFUSED(9, CIRCFLOW_ERR_SINK_CLOSED);
    wire.answer = CIRCFLOW_SINK_FULL; /* Says "full", and is closed. */
    wire.is_closed = 1;
    REFUSED(9, CIRCFLOW_ERR_SINK_CLOSED);
    assert_int_equal(waiting(queue), 0);
}

static void q5_what_waits_is_handed_back_by_free(void **state)
{
    circflow_queue *one = queue_of(8, 514);
    circflow_queue_item bytes = bytes_of("xyz", 3), empty = bytes_of(NULL, 0);
    (void)state;
    push_to(one, 41, CIRCFLOW_OK, 1);
    OK(circflow_queue_push(one, &bytes, NULL, &sink));
    OK(circflow_queue_push(one, &empty, NULL, &sink));
    push_to(one, 42, CIRCFLOW_OK, 1);
    OK(circflow_queue_free(one, discard, &back));
    assert_int_equal(back.count, 4);
    assert_int_equal(back.token[0], 41);
    assert_int_equal(back.token[3], 42);
    assert_int_equal(back.form[0], CIRCFLOW_FORM_TOKEN);
    assert_int_equal(back.form[1], CIRCFLOW_FORM_BYTES);
    assert_int_equal(back.form[2], CIRCFLOW_FORM_BYTES);
    assert_int_equal(back.len[1], 3);
    assert_int_equal(back.first_byte[1], 'x');
    assert_int_equal(back.len[2], 0);
    OK(circflow_queue_free(NULL, discard, &back));
    assert_int_equal(back.count, 4);
}

static void q6_a_cap_of_zero_is_no_backlog(void **state)
{
    circflow_queue *one = queue_of(0, 514);
    (void)state;
    wire.room = 1;
    push_to(one, 1, CIRCFLOW_OK, 0);
    push_to(one, 2, CIRCFLOW_ERR_QUEUE_FULL, 0);
    assert_int_equal(waiting(one), 0);
    wire.is_closed = 1;
    push_to(one, 2, CIRCFLOW_ERR_SINK_CLOSED, 0);
    OK(circflow_queue_free(one, discard, &back));
    assert_int_equal(back.count, 0);
}

static void q7_two_caps(void **state)
{
    circflow_queue_config config;
    (void)state;
    memset(&config, 0xee, sizeof(config));
    OK(circflow_queue_config_init(&config, sizeof(config)));
    assert_int_equal(config.size, sizeof(config));
    assert_int_equal(config.backlog_max, CIRCFLOW_BACKLOG_SPARSE);
    assert_int_equal(config.item_bytes_max, 514);
    assert_int_equal(CIRCFLOW_BACKLOG_SPARSE, 8);
    assert_int_equal(CIRCFLOW_BACKLOG_EVENTS, 32);
}

static void q8_what_waits_can_be_asked(void **state)
{
    (void)state;
    assert_int_equal(waiting(queue), 0);
    wire.room = 1;
    GOES(1);
    assert_int_equal(waiting(queue), 0);
    WAITS(2);
    assert_int_equal(waiting(queue), 1);
    WAITS(3);
    assert_int_equal(waiting(queue), 2);
    wire.room = 2;
    drains(2);
    assert_int_equal(waiting(queue), 0);
}

static void bytes_are_copied_when_they_wait(void **state)
{
    uint8_t cell[514], out[514];
    circflow_queue_item item = bytes_of(cell, sizeof(cell));
    uint8_t kept;
    (void)state;
    wire.room = 1;
    for (unsigned i = 0; i < 8; i++) {
        memset(cell, (int)i + 1, sizeof(cell));
        item.bytes_len = 514 - i;
        OK(circflow_queue_push(queue, &item, &kept, &sink));
        assert_int_equal(kept, i != 0);
    }
    memset(cell, 0xee, sizeof(cell)); /* The caller's buffer is the caller's again. */
    wire.room = 3;
    drains(3);
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_queue_take(queue, out, 509, &item));
    assert_int_equal(waiting(queue), 4);
    for (unsigned i = 4; i < 8; i++) {
        memset(out, 0xee, sizeof(out));
        OK(circflow_queue_take(queue, out, 514 - i, &item)); /* Exactly enough. */
        assert_int_equal(item.form, CIRCFLOW_FORM_BYTES);
        assert_int_equal(item.bytes_len, 514 - i);
        assert_ptr_equal(item.bytes, out);
        for (unsigned at = 0; at < 514; at++)
            assert_int_equal(out[at], at < 514 - i ? i + 1 : 0xee);
    }
    assert_int_equal(wire.count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(wire.len[i], 514 - i);
        assert_int_equal(wire.form[i], CIRCFLOW_FORM_BYTES);
        for (unsigned at = 0; at < 514 - i; at++)
            assert_int_equal(wire.bytes[i][at], i + 1);
    }
}

static void lengths_at_below_and_above_the_cap(void **state)
{
    static uint8_t room[CIRCFLOW_QUEUE_ITEM_MAX + 1];
    const uint32_t caps[] = {0, 1, 514, CIRCFLOW_QUEUE_ITEM_MAX};
    circflow_queue_item item, taken;
    (void)state;
    for (size_t i = 0; i < COUNT(caps); i++) {
        circflow_queue *one = queue_of(4, caps[i]);
        uint32_t want = 0;
        for (uint32_t len = caps[i] == 0 ? 0 : caps[i] - 1; len <= caps[i] + 1; len++) {
            item = bytes_of(room, len);
            want += len <= caps[i];
            IS(len <= caps[i] ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID, circflow_queue_push(one, &item, NULL, &sink));
        }
        item = bytes_of(room, UINT32_MAX); /* Nothing of it is read. */
        IS(CIRCFLOW_ERR_INVALID, circflow_queue_push(one, &item, NULL, &sink));
        assert_int_equal(waiting(one), want);
        OK(circflow_queue_take(one, room, sizeof(room), &taken));
        assert_int_equal(taken.bytes_len, caps[i] == 0 ? 0 : caps[i] - 1);
        OK(circflow_queue_free(one, NULL, NULL));
    }
}

static void configs_at_and_above_their_bounds(void **state)
{
    circflow_queue_config config;
    circflow_queue *one = NULL;
    (void)state;
    IS(CIRCFLOW_ERR_NULL, circflow_queue_config_init(NULL, sizeof(config)));
    IS(CIRCFLOW_ERR_VERSION, circflow_queue_config_init(&config, 0));
    IS(CIRCFLOW_ERR_VERSION, circflow_queue_config_init(&config, SIZE_MAX));
    OK(circflow_queue_config_init(&config, sizeof(config)));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_new(NULL, &one));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_new(&config, NULL));
    config.backlog_max = CIRCFLOW_BACKLOG_MAX + 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_queue_new(&config, &one));
    config.backlog_max = CIRCFLOW_BACKLOG_MAX;
    config.item_bytes_max = CIRCFLOW_QUEUE_ITEM_MAX + 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_queue_new(&config, &one));
    config.item_bytes_max = CIRCFLOW_QUEUE_ITEM_MAX;
    config.size = 3;
    IS(CIRCFLOW_ERR_VERSION, circflow_queue_new(&config, &one));
    assert_null(one);
    config.size = sizeof(config);
    OK(circflow_queue_new(&config, &one));
    for (uint64_t token = 0; token < CIRCFLOW_BACKLOG_MAX; token++)
        push_to(one, token, CIRCFLOW_OK, 1);
    push_to(one, 0, CIRCFLOW_ERR_QUEUE_FULL, 0);
    OK(circflow_queue_free(one, NULL, NULL));
    one = NULL;
    /* A host that knows no more than the size gets the defaults. */
    config.size = sizeof(size_t);
    OK(circflow_queue_new(&config, &one));
    for (uint64_t token = 0; token < CIRCFLOW_BACKLOG_SPARSE; token++)
        push_to(one, token, CIRCFLOW_OK, 1);
    push_to(one, 0, CIRCFLOW_ERR_QUEUE_FULL, 0);
    OK(circflow_queue_free(one, NULL, NULL));
}

static void null_and_nonsense_are_answers(void **state)
{
    circflow_queue_item item = token_of(1), without = bytes_of(NULL, 1), odd = token_of(1);
    circflow_queue_sink half = sink;
    uint8_t byte;
    uint32_t number;
    (void)state;
    odd.form = 2;
    WAITS(1);
    wire.room = 9;
    IS(CIRCFLOW_ERR_NULL, circflow_queue_push(NULL, &item, &byte, &sink));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_push(queue, NULL, &byte, &sink));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_push(queue, &item, &byte, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_push(queue, &without, &byte, &sink));
    IS(CIRCFLOW_ERR_INVALID, circflow_queue_push(queue, &odd, &byte, &sink));
    half.try_send = NULL;
    IS(CIRCFLOW_ERR_NULL, circflow_queue_push(queue, &item, &byte, &half));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_drain(queue, &number, &half));
    half = sink;
    half.is_closed = NULL;
    IS(CIRCFLOW_ERR_NULL, circflow_queue_push(queue, &item, &byte, &half));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_drain(queue, &number, &half));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_drain(NULL, &number, &sink));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_drain(queue, &number, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_get_len(NULL, &number));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_get_len(queue, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_get_pending(NULL, &byte));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_get_pending(queue, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_take(NULL, NULL, 0, &item));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_take(queue, NULL, 0, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_queue_take(queue, NULL, 1, &item));
    assert_int_equal(waiting(queue), 1);
    drains(1);
    took_tokens_from_one_to(1);
}

/* A sink that answers what it cannot answer: the item is neither kept nor lost. */
static void an_odd_answer_takes_nothing(void **state)
{
    const int32_t odd[] = {-1, 3, INT32_MAX, INT32_MIN};
    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++) {
        wire.answer = odd[i];
        REFUSED(1, CIRCFLOW_ERR_INVALID);
        assert_int_equal(waiting(queue), 0);
    }
    wire.answer = 0;
    WAITS(1);
    WAITS(2);
    for (size_t i = 0; i < COUNT(odd); i++) {
        wire.answer = odd[i];
        IS(CIRCFLOW_ERR_INVALID, circflow_queue_drain(queue, NULL, &sink));
        assert_int_equal(waiting(queue), 2);
    }
    wire.answer = 0;
    wire.room = 2;
    drains(2);
    took_tokens_from_one_to(2);
}

static size_t refusals;

static void call_back(void)
{
    circflow_queue_item item = token_of(5);
    uint8_t byte;
    uint32_t number;
    IS(CIRCFLOW_ERR_REENTRANT, circflow_queue_push(queue, &item, &byte, &sink));
    IS(CIRCFLOW_ERR_REENTRANT, circflow_queue_drain(queue, &number, &sink));
    IS(CIRCFLOW_ERR_REENTRANT, circflow_queue_get_len(queue, &number));
    IS(CIRCFLOW_ERR_REENTRANT, circflow_queue_get_pending(queue, &byte));
    IS(CIRCFLOW_ERR_REENTRANT, circflow_queue_take(queue, NULL, 0, &item));
    IS(CIRCFLOW_ERR_REENTRANT, circflow_queue_free(queue, NULL, NULL));
    refusals++;
}

static int32_t try_send_and_call_back(void *userdata, const circflow_queue_item *item)
{
    call_back();
    return try_send(userdata, item);
}

static int32_t is_closed_and_call_back(void *userdata)
{
    call_back();
    return is_closed(userdata);
}

static void discard_and_call_back(void *userdata, const circflow_queue_item *item)
{
    call_back();
    discard(userdata, item);
}

static void callbacks_cannot_come_back_in(void **state)
{
    const circflow_queue_sink nosy = {try_send_and_call_back, is_closed_and_call_back, &wire};
    circflow_queue_item item = token_of(1);
    uint8_t kept;
    uint32_t moved;
    (void)state;
    refusals = 0;
    wire.room = 1;
    OK(circflow_queue_push(queue, &item, &kept, &nosy)); /* One try. */
    item.token = 2;
    OK(circflow_queue_push(queue, &item, &kept, &nosy)); /* A try, and asked. */
    assert_int_equal(refusals, 3);
    wire.room = 1;
    OK(circflow_queue_drain(queue, &moved, &nosy)); /* Asked, and a try. */
    assert_int_equal(refusals, 5);
    took_tokens_from_one_to(2);
    WAITS(3);
    OK(circflow_queue_free(queue, discard_and_call_back, &back));
    assert_int_equal(refusals, 6);
    assert_int_equal(back.count, 1);
    assert_int_equal(back.token[0], 3);
    queue = NULL; /* teardown frees nothing. */
}

/* Two queues, one behind the other: only the same queue is closed to a callback. */
static circflow_queue *second;

static int32_t into_second(void *userdata, const circflow_queue_item *item)
{
    (void)userdata;
    switch (circflow_queue_push(second, item, NULL, &sink)) {
    case CIRCFLOW_OK: return CIRCFLOW_SINK_TAKEN;
    case CIRCFLOW_ERR_QUEUE_FULL: return CIRCFLOW_SINK_FULL;
    case CIRCFLOW_ERR_SINK_CLOSED: return CIRCFLOW_SINK_CLOSED;
    default: return -1;
    }
}

static void queues_can_stand_in_a_row(void **state)
{
    const circflow_queue_sink row = {into_second, is_closed, &wire};
    (void)state;
    second = queue_of(1, 514);
    for (uint64_t token = 1; token <= 3; token++) {
        circflow_queue_item item = token_of(token);
        OK(circflow_queue_push(queue, &item, NULL, &row));
    }
    assert_int_equal(waiting(queue), 2);
    assert_int_equal(waiting(second), 1);
    wire.room = 1;
    OK(circflow_queue_drain(second, NULL, &sink));
    OK(circflow_queue_drain(queue, NULL, &row));
    assert_int_equal(waiting(queue), 1);
    wire.room = 9;
    OK(circflow_queue_drain(second, NULL, &sink));
    OK(circflow_queue_drain(queue, NULL, &row));
    took_tokens_from_one_to(3);
    OK(circflow_queue_free(second, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(q1_the_sink_first_then_the_backlog, setup, teardown),
        cmocka_unit_test_setup_teardown(q2_nothing_passes_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(q3_one_at_a_time_and_the_refused_stays_in_front, setup, teardown),
        cmocka_unit_test_setup_teardown(q4_a_full_backlog_leaves_the_item_to_its_sender, setup, teardown),
        cmocka_unit_test_setup_teardown(q5_closed_is_not_full, setup, teardown),
        cmocka_unit_test_setup_teardown(q5_what_waits_is_handed_back_by_free, setup, teardown),
        cmocka_unit_test_setup_teardown(q6_a_cap_of_zero_is_no_backlog, setup, teardown),
        cmocka_unit_test_setup_teardown(q7_two_caps, setup, teardown),
        cmocka_unit_test_setup_teardown(q8_what_waits_can_be_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_are_copied_when_they_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(lengths_at_below_and_above_the_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(configs_at_and_above_their_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(null_and_nonsense_are_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(an_odd_answer_takes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(callbacks_cannot_come_back_in, setup, teardown),
        cmocka_unit_test_setup_teardown(queues_can_stand_in_a_row, setup, teardown),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
