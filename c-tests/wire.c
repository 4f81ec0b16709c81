/* Cells and bodies through the C functions: bytes as the specification has them, and what is refused. */

#include "host.h"

enum { V0_HEADER = 11, V1_HEADER = 19, V1_STREAM_HEADER = 21 };

static uint8_t cell[CIRCFLOW_CELL_BODY_LEN];

static circflow_message message_of(uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    circflow_message message;
    memset(&message, 0, sizeof(message));
    message.command = command;
    message.stream_id = stream_id;
    message.body = body;
    message.body_len = (uint16_t)len;
    return message;
}

/* Encodes into a cell full of 0xaa, which stands for the host's random bytes. */
static size_t encode(uint8_t format, circflow_message message)
{
    size_t random_from = 0;
    memset(cell, 0xaa, sizeof(cell));
    OK(circflow_cell_encode(format, &message, cell, &random_from));
    return random_from;
}

static void switch_of_ten_in_both_formats(void **state)
{
    static const uint8_t v0[] = {0x16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 10, 0, 0, 0, 0, 0xaa};
    static const uint8_t v1[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16, 0, 4, 0, 0, 0, 10, 0, 0, 0, 0, 0xaa};
    uint8_t body[CIRCFLOW_SWITCH_LEN];
    (void)state;
    OK(circflow_switch_encode(10, body));
    assert_int_equal(encode(CIRCFLOW_CELL_V0, message_of(CIRCFLOW_CMD_SWITCH, 0, body, sizeof(body))), V0_HEADER + 8);
    assert_memory_equal(cell, v0, sizeof(v0));
    assert_int_equal(cell[CIRCFLOW_CELL_BODY_LEN - 1], 0xaa);
    assert_int_equal(encode(CIRCFLOW_CELL_V1, message_of(CIRCFLOW_CMD_SWITCH, 0, body, sizeof(body))), V1_HEADER + 8);
    assert_memory_equal(cell, v1, sizeof(v1));
    OK(circflow_switch_encode(0xfffffffe, body));
    assert_memory_equal(body, "\xff\xff\xff\xfe", 4);
}

static void what_is_encoded_is_decoded(void **state)
{
    static const uint8_t formats[] = {CIRCFLOW_CELL_V0, CIRCFLOW_CELL_V1};
    static const size_t room[] = {CIRCFLOW_BODY_MAX, CIRCFLOW_DATA_MAX};
    uint8_t body[CIRCFLOW_BODY_MAX];
    circflow_message read;
    (void)state;
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (uint8_t)(i * 7);
    for (size_t f = 0; f < COUNT(formats); f++) {
        for (size_t len = 1; len <= room[f]; len += len < 480 ? 37 : 1) {
            const size_t random_from = encode(formats[f], message_of(CIRCFLOW_CMD_DATA, 0x1234, body, len));
            const size_t after = (formats[f] == CIRCFLOW_CELL_V0 ? V0_HEADER : V1_STREAM_HEADER) + len;
            const size_t zeros = after + 4 < sizeof(cell) ? 4 : sizeof(cell) - after;
            assert_int_equal(random_from, after + zeros);
            memset(&read, 0xff, sizeof(read));
            OK(circflow_cell_decode(formats[f], cell, &read));
            assert_int_equal(read.command, CIRCFLOW_CMD_DATA);
            assert_int_equal(read.stream_id, 0x1234);
            assert_int_equal(read.hop, 0);
            assert_int_equal(read.form, CIRCFLOW_FORM_BYTES);
            assert_int_equal(read.body_len, len);
            assert_true(read.body >= cell && read.body < cell + sizeof(cell)); /* It points into the cell. */
            assert_memory_equal(read.body, body, len);
        }
        circflow_message long_one = message_of(CIRCFLOW_CMD_DATA, 1, body, room[f] + 1);
        memset(cell, 0xaa, sizeof(cell));
        const int status = circflow_cell_encode(formats[f], &long_one, cell, NULL);
        assert_true(status == CIRCFLOW_ERR_UNENCODABLE || status == CIRCFLOW_ERR_INVALID);
        assert_int_equal(cell[0], 0xaa); /* An error writes nothing. */
    }
}

static void cells_that_cannot_be_read(void **state)
{
    circflow_message read;
    (void)state;
    encode(CIRCFLOW_CELL_V0, message_of(CIRCFLOW_CMD_DROP, 0, NULL, 0));
    cell[9] = 0x01, cell[10] = 0xf2; /* 498 */
    OK(circflow_cell_decode(CIRCFLOW_CELL_V0, cell, &read));
    cell[10] = 0xf3; /* 499 */
    IS(CIRCFLOW_ERR_MALFORMED, circflow_cell_decode(CIRCFLOW_CELL_V0, cell, &read));
    cell[9] = 0xff, cell[10] = 0xff;
    IS(CIRCFLOW_ERR_MALFORMED, circflow_cell_decode(CIRCFLOW_CELL_V0, cell, &read));

    encode(CIRCFLOW_CELL_V0, message_of(CIRCFLOW_CMD_DATA, 7, "x", 1));
    cell[4] = 0; /* stream id 0 */
    IS(CIRCFLOW_ERR_BAD_STREAM_ID, circflow_cell_decode(CIRCFLOW_CELL_V0, cell, &read));

    memset(cell, 0, sizeof(cell));
    cell[0] = 200; /* Nobody knows it: in V0 that is the handler's business, in V1 nobody can tell where the body begins. */
    OK(circflow_cell_decode(CIRCFLOW_CELL_V0, cell, &read));
    assert_int_equal(read.command, 200);
    cell[0] = 0, cell[16] = 200;
    IS(CIRCFLOW_ERR_BAD_COMMAND, circflow_cell_decode(CIRCFLOW_CELL_V1, cell, &read));
}

static void link_is_written_and_read(void **state)
{
    uint8_t want[60] = {1}, body[CIRCFLOW_LINK_LEN + 1];
    circflow_link link, read;
    (void)state;
    assert_int_equal(CIRCFLOW_LINK_LEN, 50);
    assert_int_equal(sizeof(circflow_link), 56);
    for (uint8_t i = 0; i < CIRCFLOW_NONCE_LEN; i++)
        want[1 + i] = (uint8_t)(0xe0 + i);
    memcpy(want + 33, "\x01\x02\x03\x04\x05\x06\x07\x08\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8", 16);
    for (uint8_t ux = CIRCFLOW_UX_NO_OPINION; ux <= CIRCFLOW_UX_LOW_MEM_THROUGHPUT; ux++) {
        memset(&link, 0xff, sizeof(link)); /* What is reserved is not looked at. */
        memcpy(link.nonce, want + 1, CIRCFLOW_NONCE_LEN);
        link.last_sent = UINT64_C(0x0102030405060708);
        link.last_received = UINT64_C(0xf1f2f3f4f5f6f7f8);
        link.desired_ux = ux;
        want[49] = ux;
        memset(body, 0xaa, sizeof(body));
        OK(circflow_link_encode(&link, body));
        assert_memory_equal(body, want, CIRCFLOW_LINK_LEN);
        assert_int_equal(body[CIRCFLOW_LINK_LEN], 0xaa);
        memset(&read, 0xff, sizeof(read));
        OK(circflow_link_decode(body, CIRCFLOW_LINK_LEN, &read));
        memset(link.reserved, 0, sizeof(link.reserved));
        assert_memory_equal(&read, &link, sizeof(link));
    }
    /* At, below and above what is known and what is long enough. */
    link.desired_ux = CIRCFLOW_UX_LOW_MEM_THROUGHPUT + 1;
    memset(body, 0xaa, sizeof(body));
    IS(CIRCFLOW_ERR_INVALID, circflow_link_encode(&link, body));
    assert_int_equal(body[0], 0xaa); /* An error writes nothing. */
    want[49] = CIRCFLOW_UX_LOW_MEM_THROUGHPUT + 1;
    OK(circflow_link_decode(want, sizeof(want), &read));
    assert_int_equal(read.desired_ux, CIRCFLOW_UX_NO_OPINION);
    read.last_sent = 7;
    for (size_t len = 0; len < CIRCFLOW_LINK_LEN; len++)
        IS(CIRCFLOW_ERR_MALFORMED, circflow_link_decode(want, len, &read));
    want[0] = 2;
    IS(CIRCFLOW_ERR_MALFORMED, circflow_link_decode(want, CIRCFLOW_LINK_LEN, &read));
    IS(CIRCFLOW_ERR_MALFORMED, circflow_link_decode(NULL, 0, &read));
    assert_int_equal(read.last_sent, 7);
}

static void switch_is_read(void **state)
{
    static const uint32_t deltas[] = {0, 1, 10, 0xfffffffe, 0xffffffff};
    uint8_t body[CIRCFLOW_SWITCH_LEN + 1] = {0};
    uint32_t delta = 99;
    (void)state;
    for (size_t i = 0; i < COUNT(deltas); i++) {
        OK(circflow_switch_encode(deltas[i], body));
        OK(circflow_switch_decode(body, CIRCFLOW_SWITCH_LEN + i % 2, &delta)); /* A longer one is tolerated. */
        assert_int_equal(delta, deltas[i]);
    }
    delta = 99;
    IS(CIRCFLOW_ERR_MALFORMED, circflow_switch_decode(body, CIRCFLOW_SWITCH_LEN - 1, &delta));
    IS(CIRCFLOW_ERR_MALFORMED, circflow_switch_decode(NULL, 0, &delta));
    assert_int_equal(delta, 99);
}

static void sendme_carries_a_digest_of_two_sizes(void **state)
{
    static const size_t sizes[] = {20, 16};
    uint8_t digest[20], read[20], body[CIRCFLOW_SENDME_MAX];
    size_t len = 0, digest_len = 99;
    (void)state;
    for (size_t i = 0; i < sizeof(digest); i++)
        digest[i] = (uint8_t)(0xa0 + i);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        OK(circflow_sendme_encode(digest, sizes[i], body, &len));
        assert_int_equal(len, 3 + sizes[i]);
        assert_int_equal(body[0], 1);
        assert_int_equal(body[2], sizes[i]);
        OK(circflow_sendme_decode(body, len, read, &digest_len));
        assert_int_equal(digest_len, sizes[i]);
        assert_memory_equal(read, digest, digest_len);
        IS(CIRCFLOW_ERR_MALFORMED, circflow_sendme_decode(body, len - 1, read, &digest_len));
    }
    OK(circflow_sendme_decode(NULL, 0, read, &digest_len));
    assert_int_equal(digest_len, 0); /* Version 0 has no digest. */
    IS(CIRCFLOW_ERR_INVALID, circflow_sendme_encode(digest, 19, body, &len));
    IS(CIRCFLOW_ERR_MALFORMED, circflow_sendme_decode((const uint8_t *)"\x02\x00\x14", 3, read, &digest_len));
}

static void xon_and_xoff(void **state)
{
    uint8_t body[CIRCFLOW_XON_LEN];
    uint32_t rate = 99;
    (void)state;
    OK(circflow_xon_encode(500, body));
    assert_memory_equal(body, "\x00\x00\x00\x01\xf4", 5);
    OK(circflow_xon_decode(body, sizeof(body), &rate));
    assert_int_equal(rate, 500);
    IS(CIRCFLOW_ERR_MALFORMED, circflow_xon_decode(body, sizeof(body) - 1, &rate));
    body[0] = 1;
    IS(CIRCFLOW_ERR_MALFORMED, circflow_xon_decode(body, sizeof(body), &rate));
    OK(circflow_xoff_decode((const uint8_t *)"\x00", 1));
    IS(CIRCFLOW_ERR_MALFORMED, circflow_xoff_decode((const uint8_t *)"\x01", 1));
    IS(CIRCFLOW_ERR_MALFORMED, circflow_xoff_decode(NULL, 0));
}

static void null_is_a_status(void **state)
{
    uint8_t byte[CIRCFLOW_SENDME_MAX] = {0};
    uint32_t rate;
    size_t len;
    circflow_link link = {{0}, 0, 0, 0, {0}};
    uint8_t body[CIRCFLOW_LINK_LEN] = {1};
    circflow_message message = message_of(CIRCFLOW_CMD_DROP, 0, NULL, 0);
    (void)state;
    IS(CIRCFLOW_ERR_NULL, circflow_cell_encode(CIRCFLOW_CELL_V0, NULL, cell, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_cell_encode(CIRCFLOW_CELL_V0, &message, NULL, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_cell_decode(CIRCFLOW_CELL_V0, NULL, &message));
    IS(CIRCFLOW_ERR_NULL, circflow_cell_decode(CIRCFLOW_CELL_V0, cell, NULL));
    IS(CIRCFLOW_ERR_INVALID, circflow_cell_decode(2, cell, &message));
    IS(CIRCFLOW_ERR_NULL, circflow_switch_encode(1, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_switch_decode(NULL, 4, &rate));
    IS(CIRCFLOW_ERR_NULL, circflow_switch_decode(byte, 4, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_link_encode(NULL, body));
    IS(CIRCFLOW_ERR_NULL, circflow_link_encode(&link, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_link_decode(NULL, sizeof(body), &link));
    IS(CIRCFLOW_ERR_NULL, circflow_link_decode(body, sizeof(body), NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_sendme_encode(NULL, 20, byte, &len));
    IS(CIRCFLOW_ERR_NULL, circflow_sendme_encode(byte, 20, NULL, &len));
    IS(CIRCFLOW_ERR_NULL, circflow_sendme_decode(NULL, 3, byte, &len));
    IS(CIRCFLOW_ERR_NULL, circflow_xon_encode(1, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_xon_decode(NULL, 5, &rate));
    IS(CIRCFLOW_ERR_NULL, circflow_xoff_decode(NULL, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switch_of_ten_in_both_formats),
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(cells_that_cannot_be_read),
        cmocka_unit_test(link_is_written_and_read),
        cmocka_unit_test(switch_is_read),
        cmocka_unit_test(sendme_carries_a_digest_of_two_sizes),
        cmocka_unit_test(xon_and_xoff),
        cmocka_unit_test(null_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
