/* What the code of a stock tor client says to the rows of c-tests/stream_rows.h. It is built into tor's test program in
 * the place of its tests of relay cells, in a build folder of its own.
 *
 * The client is as real as it can be without a network: its streams are attached to an open circuit of three hops by
 * the function that does it in tor, which sends BEGIN or RESOLVE; they end as tor ends them; what comes is a cell,
 * encrypted by three relays, and goes where every cell from a channel goes. Only what leaves the process is caught. */
#define CIRCUITLIST_PRIVATE
#define CONNECTION_PRIVATE
#define TOR_CONGESTION_CONTROL_PRIVATE
#define TOR_CONGESTION_CONTROL_COMMON_PRIVATE

#include "core/or/or.h"

#include "app/config/config.h"
#include "app/config/or_options_st.h"
#include "core/crypto/relay_crypto.h"
#include "core/mainloop/connection.h"
#include "core/or/cell_st.h"
#include "core/or/channel.h"
#include "core/or/circuitlist.h"
#include "core/or/circuitstats.h"
#include "core/or/circuituse.h"
#include "core/or/congestion_control_st.h"
#include "core/or/congestion_control_common.h"
#include "core/or/congestion_control_flow.h"
#include "core/or/connection_edge.h"
#include "core/or/cpath_build_state_st.h"
#include "core/or/crypt_path.h"
#include "core/or/crypt_path_st.h"
#include "core/or/edge_connection_st.h"
#include "core/or/entry_connection_st.h"
#include "core/or/extendinfo.h"
#include "core/or/or_circuit_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/relay.h"
#include "core/or/relay_msg.h"
#include "core/or/relay_msg_st.h"
#include "core/or/socks_request_st.h"
#include "lib/buf/buffers.h"
#include "lib/time/compat_time.h"
#include "test/log_test_helpers.h"

#include "test/test.h"

#include "stream_rows.h" /* A link beside the one to this file. */

#define KEYS 72
#define SECOND 1000000
/* As long as circflow remembers a stream: a client that has not built many circuits waits so long for one. */
#define MEMORY (60 * (uint64_t) SECOND)
/* More than the buffer for which an exit says XOFF. */
#define BUFFER (501 * 498)

static origin_circuit_t *client;
static or_circuit_t *relays[ROWS_HOPS];
static channel_t *channel;
static entry_connection_t *stream;
static int closes;
static uint8_t last_sent;
static uint64_t clock_usec = 1000 * (uint64_t) SECOND;

static uint64_t
read_clock(void)
{
  return clock_usec;
}

static int
note_send(streamid_t stream_id, circuit_t *circ, uint8_t command, const char *body, size_t len,
          crypt_path_t *layer, const char *file, int line)
{
  (void) circ, (void) body, (void) len, (void) layer, (void) file, (void) line;
  if (stream_id)
    last_sent = command;
  return 0;
}

static void
note_circuit_close(circuit_t *circ, int reason, int line, const char *file)
{
  (void) reason;
  circ->marked_for_close = (uint16_t) line;
  circ->marked_for_close_file = file;
  closes++;
}

/* There is no socket to flush or to wait for. */
static void
note_stream_close(connection_t *conn, int line, const char *file)
{
  conn->marked_for_close = (uint16_t) line;
  conn->marked_for_close_file = file;
}

static void
write_nothing(const char *text, size_t len, connection_t *conn, int zlib)
{
  (void) text, (void) len, (void) conn, (void) zlib;
}

static void
make_client(void)
{
  char identity[DIGEST_LEN] = { 0 };
  tor_addr_t address = TOR_ADDR_NULL;
  client = origin_circuit_new();
  client->base_.purpose = CIRCUIT_PURPOSE_C_GENERAL;
  client->base_.state = CIRCUIT_STATE_OPEN;
  client->has_opened = 1;
  client->next_stream_id = ROWS_STREAM;
  client->build_state = tor_malloc_zero(sizeof(cpath_build_state_t));
  client->build_state->desired_path_len = ROWS_HOPS;
  client->build_state->chosen_exit = extend_info_new("exit", identity, NULL, NULL, &address, 1, NULL, false);
  client->base_.n_chan = channel = tor_malloc_zero(sizeof(*channel));
  for (int i = 0; i < ROWS_HOPS; i++) {
    char keys[KEYS];
    crypt_path_t *hop = tor_malloc_zero(sizeof(*hop));
    memset(keys, i + 1, sizeof(keys));
    relays[i] = or_circuit_new(0, NULL);
    tor_assert(relay_crypto_init(RELAY_CRYPTO_ALG_TOR1, &relays[i]->crypto, keys, sizeof(keys)) == 0);
    tor_assert(cpath_init_circuit_crypto(RELAY_CRYPTO_ALG_TOR1, hop, keys, sizeof(keys)) == 0);
    hop->magic = CRYPT_PATH_MAGIC;
    hop->state = CPATH_STATE_OPEN;
    hop->package_window = hop->deliver_window = CIRCWINDOW_START;
    hop->extend_info = extend_info_new("hop", identity, NULL, NULL, &address, 1, NULL, false);
    cpath_extend_linked_list(&client->cpath, hop);
  }
  congestion_control_t *cc = tor_malloc_zero(sizeof(*cc));
  cc->sendme_pending_timestamps = smartlist_new();
  cc->sendme_inc = 31;
  cc->cwnd = 10000;
  client->cpath->prev->ccontrol = cc;
}

static void
begin_world(void)
{
  closes = 0;
  last_sent = 0;
  MOCK(relay_send_command_from_edge_, note_send);
  MOCK(circuit_mark_for_close_, note_circuit_close);
  MOCK(connection_mark_for_close_internal_, note_stream_close);
  MOCK(connection_write_to_buf_impl_, write_nothing);
  MOCK(monotime_absolute_usec, read_clock);
  make_client();
}

static void
end_world(void)
{
  client->base_.n_chan = NULL;
  client->p_streams = NULL;
  circuit_free_(TO_CIRCUIT(client));
  tor_free(channel);
  for (int i = 0; i < ROWS_HOPS; i++)
    circuit_free_(TO_CIRCUIT(relays[i]));
  if (stream) {
    ENTRY_TO_EDGE_CONN(stream)->on_circuit = NULL;
    connection_free_minimal(ENTRY_TO_CONN(stream));
  }
  client = NULL;
  stream = NULL;
  UNMOCK(relay_send_command_from_edge_);
  UNMOCK(circuit_mark_for_close_);
  UNMOCK(connection_mark_for_close_internal_);
  UNMOCK(connection_write_to_buf_impl_);
  UNMOCK(monotime_absolute_usec);
}

/* A stream that a program has asked for by SOCKS, and that waits for a circuit. */
static void
open_stream(uint8_t command)
{
  stream = entry_connection_new(CONN_TYPE_AP, AF_INET);
  stream->socks_request->command = command == RELAY_COMMAND_RESOLVE ? SOCKS_COMMAND_RESOLVE : SOCKS_COMMAND_CONNECT;
  strlcpy(stream->socks_request->address, "1.2.3.4", sizeof(stream->socks_request->address));
  stream->socks_request->port = 80;
  stream->original_dest_address = tor_strdup("1.2.3.4");
  ENTRY_TO_CONN(stream)->state = AP_CONN_STATE_CIRCUIT_WAIT;
  ENTRY_TO_CONN(stream)->linked = 1;
}

/* It gets one: BEGIN or RESOLVE goes out. */
static void
ask(uint8_t command)
{
  open_stream(command);
  tor_assert(connection_ap_handshake_attach_chosen_circuit(stream, client, client->cpath->prev) == 1);
  tor_assert(last_sent == command);
  tor_assert(ENTRY_TO_EDGE_CONN(stream)->stream_id == ROWS_STREAM);
}

/* The program goes away, or tor gives the stream up: END goes out. */
static void
end_stream(void)
{
  connection_edge_reached_eof(ENTRY_TO_EDGE_CONN(stream));
  tor_assert(last_sent == RELAY_COMMAND_END);
  tor_assert(ENTRY_TO_CONN(stream)->marked_for_close);
}

/* The program has so much to send. */
static void
fill(void)
{
  static const char bytes[BUFFER];
  buf_add(ENTRY_TO_CONN(stream)->inbuf, bytes, sizeof(bytes));
  tor_assert(connection_edge_package_raw_inbuf(ENTRY_TO_EDGE_CONN(stream), 1, NULL) == 0);
  tor_assert(last_sent == RELAY_COMMAND_DATA);
  tor_assert(connection_get_inbuf_len(ENTRY_TO_CONN(stream)) == 0);
}

/* A message arrives from a hop, as a cell, and as the command loop of a channel would hand it over. */
static void
arrive(int hop, streamid_t stream_id, uint8_t command, const char *body, size_t len)
{
  relay_msg_t msg = { .command = command, .stream_id = stream_id, .length = (uint16_t) len,
                      .body = (const uint8_t *) body };
  cell_t cell = { 0 };
  tor_assert(relay_msg_encode_cell(RELAY_CELL_FORMAT_V0, &msg, &cell) == 0);
  cell.command = CELL_RELAY;
  tor_assert(relay_encrypt_cell_inbound(&cell, relays[hop - 1]) == 0);
  for (int i = hop - 2; i >= 0; i--) {
    crypt_path_t *layer = NULL;
    char recognized = 0;
    tor_assert(relay_decrypt_cell(TO_CIRCUIT(relays[i]), &cell, CELL_DIRECTION_IN, &layer, &recognized) == 0);
    tor_assert(!recognized);
  }
  int reason = circuit_receive_relay_cell(&cell, TO_CIRCUIT(client), CELL_DIRECTION_IN);
  if (reason < 0)
    circuit_mark_for_close(TO_CIRCUIT(client), -reason);
}

/* The exit has said this before. */
static void
heard(uint8_t command)
{
  uint32_t before = client->n_delivered_read_circ_bw + client->n_overhead_read_circ_bw;
  switch (command) {
    case RELAY_COMMAND_END: arrive(ROWS_HOPS, ROWS_STREAM, command, "\6", 1); break;
    case RELAY_COMMAND_RESOLVED: arrive(ROWS_HOPS, ROWS_STREAM, command, "\4\4\1\2\3\4\0\0\0\74", 10); break;
    case RELAY_COMMAND_XOFF: arrive(ROWS_HOPS, ROWS_STREAM, command, "", 1); break;
    default: arrive(ROWS_HOPS, ROWS_STREAM, command, "", 0);
  }
  tor_assert(client->n_delivered_read_circ_bw + client->n_overhead_read_circ_bw > before);
}

static void
connect_and(bool sends, bool stopped, bool ends)
{
  ask(RELAY_COMMAND_BEGIN);
  heard(RELAY_COMMAND_CONNECTED);
  if (sends)
    fill();
  if (stopped)
    heard(RELAY_COMMAND_XOFF);
  if (ends)
    end_stream();
}

static void
leave(uint8_t command)
{
  ask(command);
  end_stream();
}

/* Tor knows nothing between a stream that waits for a circuit and one whose BEGIN has left. */
static void
enter(enum rows_state state)
{
  switch (state) {
    case ROWS_NO_ID: case ROWS_NEVER: break;
    case ROWS_UNASKED: case ROWS_BEGIN_HELD: case ROWS_END_HELD: open_stream(RELAY_COMMAND_BEGIN); break;
    case ROWS_RESOLVE_HELD: open_stream(RELAY_COMMAND_RESOLVE); break;
    case ROWS_BEGUN: ask(RELAY_COMMAND_BEGIN); break;
    case ROWS_RESOLVING: ask(RELAY_COMMAND_RESOLVE); break;
    case ROWS_CONNECTED: case ROWS_HOP_OPEN: connect_and(false, false, false); break;
    case ROWS_SENT: connect_and(true, false, false); break;
    case ROWS_STOPPED: connect_and(true, true, false); break;
    case ROWS_LEFT_BEGUN: case ROWS_HOP_LEFT: leave(RELAY_COMMAND_BEGIN); break;
    case ROWS_LEFT_RESOLVING: leave(RELAY_COMMAND_RESOLVE); break;
    case ROWS_LEFT_CONNECTED: connect_and(false, false, true); break;
    case ROWS_LEFT_LATE: leave(RELAY_COMMAND_BEGIN); heard(RELAY_COMMAND_CONNECTED); break;
    case ROWS_LEFT_STOPPED: connect_and(true, true, true); break;
    case ROWS_NEARLY_OVER: leave(RELAY_COMMAND_BEGIN); clock_usec += MEMORY - SECOND; break;
    case ROWS_OVER: leave(RELAY_COMMAND_BEGIN); clock_usec += MEMORY + SECOND; break;
    case ROWS_CROSSED: leave(RELAY_COMMAND_BEGIN); heard(RELAY_COMMAND_END); break;
    case ROWS_CROSSED_RESOLVED: leave(RELAY_COMMAND_RESOLVE); heard(RELAY_COMMAND_RESOLVED); break;
    case ROWS_REFUSED: ask(RELAY_COMMAND_BEGIN); heard(RELAY_COMMAND_END); break;
    case ROWS_THEIRS: connect_and(false, false, false); heard(RELAY_COMMAND_END); break;
    case ROWS_ANSWERED: ask(RELAY_COMMAND_RESOLVE); heard(RELAY_COMMAND_RESOLVED); break;
    case ROWS_STATES_COUNT: tor_assert_unreached();
  }
}

/* One row, in a world of its own. '!' is none of the three. */
static char
answer(size_t state, size_t message)
{
  const rows_message *late = &rows_messages[message];
  bool is_hop = state == ROWS_HOP_OPEN || state == ROWS_HOP_LEFT;
  begin_world();
  enter((enum rows_state) state);
  tor_assert(closes == 0);
  uint32_t delivered = client->n_delivered_read_circ_bw, overhead = client->n_overhead_read_circ_bw;
  arrive(is_hop ? ROWS_HOPS - 1 : ROWS_HOPS, state == ROWS_NO_ID ? 0 : ROWS_STREAM, late->command, late->body,
         late->len);
  delivered = client->n_delivered_read_circ_bw - delivered;
  overhead = client->n_overhead_read_circ_bw - overhead;
  bool counted = delivered + overhead > 0;
  int closed = closes;
  end_world();
  if (closed)
    return closed == 1 && !counted ? 'x' : '!';
  if (!counted)
    return 'd';
  return delivered == late->len && overhead == RELAY_PAYLOAD_SIZE_MAX - late->len ? 'v' : '!';
}

static void
test_rows(void *arg)
{
  int wrong = 0;
  (void) arg;
  get_options_mutable()->UseEntryGuards = 0;
  get_circuit_build_times_mutable()->timeout_ms = MEMORY / 1000;
  congestion_control_set_cc_enabled();
  flow_control_new_consensus_params(NULL);
  for (size_t state = 0; state < ROWS_STATES_COUNT; state++) {
    for (size_t message = 0; message < ROWS_MESSAGES; message++) {
      char want = rows_at(state, message).stock, got = answer(state, message);
      printf("%s / %s\t%c\n", rows_states[state].text, rows_messages[message].name, got);
      wrong += want != got;
    }
  }
  tt_int_op(wrong, OP_EQ, 0);
 done:
  ;
}

struct testcase_t relaycell_tests[] = {
  { "rows", test_rows, TT_FORK, NULL, NULL },
  END_OF_TESTCASES
};
