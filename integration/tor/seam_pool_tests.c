/* Tests of the link handshake and of the pool of sets: conflux_pool.h of tor, from tor's side. The patch brings them into
 * tor's test program. `make tor-tests` builds them in the place of tor's own tests of conflux_pool.c, in folders of their
 * own.
 *
 * A client and an exit live in one process. What one sends waits on a wire until the test delivers it; the clock moves
 * when the test says so. Sets and legs are made by the pool alone. With circflow only: much of it is what stock tor
 * does not do. */
#define TOR_CONFLUX_PRIVATE
#define TOR_CONGESTION_CONTROL_PRIVATE
#define TOR_CONGESTION_CONTROL_COMMON_PRIVATE
#define CIRCUITLIST_PRIVATE
#define CIRCUITPADDING_PRIVATE
#define TOR_TIMERS_PRIVATE

#include "core/or/or.h"

#include <event2/event.h>

#include "app/config/config.h"
#include "core/crypto/relay_crypto.h"
#include "core/mainloop/connection.h"
#include "core/mainloop/mainloop.h"
#include "core/or/circuitbuild.h"
#include "core/or/channel.h"
#include "core/or/circuitlist.h"
#include "core/or/circuitmux.h"
#include "core/or/circuitpadding.h"
#include "core/or/circuitstats.h"
#include "core/or/circuituse.h"
#include "core/or/conflux.h"
#include "core/or/conflux_params.h"
#include "core/or/conflux_pool.h"
#include "core/or/conflux_st.h"
#include "core/or/conflux_util.h"
#include "core/or/congestion_control_st.h"
#include "core/or/connection_edge.h"
#include "core/or/congestion_control_common.h"
#include "core/or/cpath_build_state_st.h"
#include "core/or/crypt_path.h"
#include "core/or/crypt_path_st.h"
#include "core/or/edge_connection_st.h"
#include "core/or/extend_info_st.h"
#include "core/or/extendinfo.h"
#include "core/or/or_circuit_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/relay.h"
#include "core/or/status.h"
#include "feature/metrics/metrics.h"
#include "feature/nodelist/networkstatus_st.h"
#include "feature/nodelist/node_st.h"
#include "feature/nodelist/nodelist.h"
#include "feature/nodelist/routerstatus_st.h"
#include "lib/arch/bytes.h"
#include "lib/buf/buffers.h"
#include "lib/evloop/compat_libevent.h"
#include "lib/evloop/timers.h"
#include "lib/fs/files.h"
#include "lib/time/compat_time.h"
#include "test/log_test_helpers.h"
#include "test/test.h"
#include "trunnel/conflux.h"

#include "seam_options.h"

/* Of the adapter. Weak, as this file is compiled into stock tor's test program too, where these tests do not run. */
const char *flow_algorithm_name(const conflux_t *cfx) __attribute__((weak));

/* ---- A client and an exit ---- */

#define PATHS_MAX 16

/* A circuit has an end at the client and one at the exit; some tests need only one of them. */
typedef struct { origin_circuit_t *client; or_circuit_t *exit; } path_t;
static path_t paths[PATHS_MAX];
static int n_paths;
static bool launches_fail;
static int launches;
/* While its first cell is sent, or while this command is, tor closes the circuit, or the set. */
static bool launching_closes, launching_closes_set;
static uint8_t sending_closes;
static int sending_answers;
/* Called once, while anything is sent. */
static void (*while_sending)(void);
/* Where the second hop is a test's own, it is the other end of padding. Tor's padding hears of what is sent then. */
static or_circuit_t *middle;

/* The body of LINK and LINKED (prop329 2.2). */
#define LINK_LEN (1 + DIGEST256_LEN + 8 + 8 + 1)

/* What was sent and has not arrived; a circuit that closes sends DESTROY. */
#define WIRE_MAX 64
#define DESTROY 0
typedef struct { circuit_t *to; uint8_t command; uint8_t body[LINK_LEN]; size_t len; int reason; } on_wire_t;
static on_wire_t wire[WIRE_MAX];
static int n_on_wire;
static int sent[UINT8_MAX + 1];

static uint64_t clock_usec;

static uint64_t
read_clock(void)
{
  return clock_usec;
}

static circuit_t *
client(int i)
{
  return TO_CIRCUIT(paths[i].client);
}

static circuit_t *
exit_of(int i)
{
  return TO_CIRCUIT(paths[i].exit);
}

static circuit_t *
other_end(const circuit_t *circ)
{
  for (int i = 0; i < n_paths; i++) {
    if (paths[i].client && client(i) == circ)
      return paths[i].exit ? exit_of(i) : NULL;
    if (paths[i].exit && exit_of(i) == circ)
      return paths[i].client ? client(i) : NULL;
  }
  return NULL;
}

static bool
is_padding(uint8_t command)
{
  return command == RELAY_COMMAND_DROP || command == RELAY_COMMAND_PADDING_NEGOTIATE ||
    command == RELAY_COMMAND_PADDING_NEGOTIATED;
}

static void
put_on_wire(const circuit_t *from, uint8_t command, const char *body, size_t len, int reason)
{
  on_wire_t message = { .to = other_end(from), .command = command, .len = len, .reason = reason };
  if (is_padding(command))
    message.to = CIRCUIT_IS_ORIGIN(from) ? TO_CIRCUIT(middle) : client(0);
  sent[command]++;
  if (!message.to)
    return;
  tor_assert(len <= LINK_LEN && n_on_wire < WIRE_MAX);
  if (len > 0)
    memcpy(message.body, body, len);
  wire[n_on_wire++] = message;
}

static int
send_mock(streamid_t stream_id, circuit_t *circ, uint8_t command, const char *body, size_t len, crypt_path_t *layer,
          const char *file, int line)
{
  (void) stream_id, (void) file, (void) line;
  crypt_path_t *hops = CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->cpath : NULL;
  tor_assert(layer == (!hops ? NULL : is_padding(command) ? hops->next : hops->prev));
  put_on_wire(circ, command, body, len, 0);
  if (middle)
    circpad_deliver_sent_relay_cell_events(circ, command);
  void (*call)(void) = while_sending;
  while_sending = NULL;
  if (call)
    call();
  if (!sending_closes || command != sending_closes)
    return 0;
  circuit_mark_for_close(circ, END_CIRC_REASON_RESOURCELIMIT);
  return sending_answers;
}

/* Circuits that are being closed from inside the closing of another, at most. */
static int closing, closing_peak;

/* One that tor does not close when it is asked. */
static const circuit_t *keeps_open;

static void
close_mock(circuit_t *circ, int reason, int line, const char *file)
{
  if (circ == keeps_open)
    return;
  /* Tor calls it a bug. */
  if (circ->marked_for_close) {
    TT_FAIL(("a circuit was closed twice, at %s:%d", file, line));
    return;
  }
  closing++;
  closing_peak = MAX(closing_peak, closing);
  circ->marked_for_close = (uint16_t) line;
  circ->marked_for_close_file = file;
  circ->marked_for_close_reason = circ->marked_for_close_orig_reason = reason;
  put_on_wire(circ, DESTROY, NULL, 0, reason);
  if (CIRCUIT_IS_CONFLUX(circ))
    conflux_circuit_has_closed(circ);
  closing--;
}

static congestion_control_t *
new_congestion_control(void)
{
  congestion_control_t *cc = tor_malloc_zero(sizeof(*cc));
  cc->sendme_pending_timestamps = smartlist_new();
  cc->sendme_inc = 31;
  cc->cwnd = 100;
  return cc;
}

static origin_circuit_t *
new_client(uint8_t purpose)
{
  char identity[DIGEST_LEN] = { 0 };
  tor_addr_t address = TOR_ADDR_NULL;
  origin_circuit_t *circ = origin_circuit_new();
  circ->base_.purpose = purpose;
  circ->base_.state = CIRCUIT_STATE_BUILDING;
  circ->build_state = tor_malloc_zero(sizeof(cpath_build_state_t));
  for (int i = 0; i < 3; i++) {
    crypt_path_t *hop = tor_malloc_zero(sizeof(*hop));
    hop->magic = CRYPT_PATH_MAGIC;
    hop->state = CPATH_STATE_OPEN;
    hop->extend_info = extend_info_new("hop", identity, NULL, NULL, &address, 1, NULL, false);
    cpath_extend_linked_list(&circ->cpath, hop);
  }
  circ->cpath->prev->ccontrol = new_congestion_control();
  paths[n_paths].client = circ;
  return circ;
}

static or_circuit_t *
new_exit(void)
{
  or_circuit_t *circ = or_circuit_new(0, NULL);
  circ->base_.purpose = CIRCUIT_PURPOSE_OR;
  circ->base_.state = CIRCUIT_STATE_OPEN;
  circ->base_.ccontrol = new_congestion_control();
  paths[n_paths].exit = circ;
  return circ;
}

/* Tor's circuits are built here at once, but have not opened. */
static origin_circuit_t *
launch_mock(const uint8_t *nonce, uint8_t purpose, extend_info_t *exit, int flags)
{
  bool is_first = true;
  launches++;
  /* All legs of a set end where its first does. */
  for (int i = n_paths - 1; i >= 0; i--) {
    const circuit_t *circ = paths[i].client ? client(i) : NULL;
    const uint8_t *its = !circ || circ->marked_for_close ? NULL :
      circ->conflux ? circ->conflux->nonce : circ->conflux_pending_nonce;
    if (its && fast_memeq(its, nonce, DIGEST256_LEN))
      is_first = false;
  }
  tor_assert(is_first == !exit);
  tor_assert(flags == (CIRCLAUNCH_NEED_UPTIME | CIRCLAUNCH_NEED_CAPACITY | CIRCLAUNCH_NEED_CONFLUX));
  if (launches_fail)
    return NULL;
  tor_assert(n_paths < PATHS_MAX);
  origin_circuit_t *circ = new_client(purpose);
  circ->base_.conflux_pending_nonce = tor_memdup(nonce, DIGEST256_LEN);
  new_exit();
  n_paths++;
  if (launching_closes)
    circuit_mark_for_close(TO_CIRCUIT(circ), END_CIRC_REASON_RESOURCELIMIT);
  if (launching_closes_set)
    conflux_mark_all_for_close(nonce, true, END_CIRC_REASON_RESOURCELIMIT);
  return circ;
}

static void
set_up(void)
{
  n_paths = n_on_wire = 0;
  memset(paths, 0, sizeof(paths));
  memset(sent, 0, sizeof(sent));
  launches_fail = launching_closes = launching_closes_set = false;
  launches = 0;
  sending_closes = 0;
  while_sending = NULL;
  sending_answers = closing = closing_peak = 0;
  middle = NULL;
  clock_usec = 1000000;
  congestion_control_set_cc_enabled();
  get_circuit_build_times_mutable()->timeout_ms = 1000;
  max_unlinked_leg_retry = 3;
  conflux_pool_init();
  MOCK(circuit_establish_circuit_conflux, launch_mock);
  MOCK(relay_send_command_from_edge_, send_mock);
  MOCK(circuit_mark_for_close_, close_mock);
  MOCK(monotime_absolute_usec, read_clock);
}

static void
end_circuit(circuit_t *circ)
{
  if (!circ->marked_for_close)
    circuit_mark_for_close(circ, END_CIRC_REASON_FINISHED);
  if (CIRCUIT_IS_ORIGIN(circ))
    TO_ORIGIN_CIRCUIT(circ)->p_streams = NULL, TO_ORIGIN_CIRCUIT(circ)->half_streams = NULL;
  else
    TO_OR_CIRCUIT(circ)->n_streams = TO_OR_CIRCUIT(circ)->resolving_streams = NULL;
}

static int
sets_left(void)
{
  return digest256map_size(get_linked_pool(true)) + digest256map_size(get_linked_pool(false)) +
    digest256map_size(get_unlinked_pool(true)) + digest256map_size(get_unlinked_pool(false));
}

/* Closes and frees what is left. No set may outlive its circuits. */
static void
tear_down(void)
{
  conflux_notify_shutdown();
  for (int i = 0; i < n_paths; i++) {
    if (paths[i].client)
      end_circuit(client(i));
    if (paths[i].exit)
      end_circuit(exit_of(i));
  }
  if (sets_left() != 0)
    TT_FAIL(("%d sets are left without circuits", sets_left()));
  for (int i = 0; i < n_paths; i++) {
    circuit_t *ends[2] = { paths[i].client ? client(i) : NULL, paths[i].exit ? exit_of(i) : NULL };
    for (int end = 0; end < 2; end++) {
      if (ends[end])
        conflux_circuit_about_to_free(ends[end]);
      circuit_free_(ends[end]);
    }
  }
  conflux_clear_shutdown();
  UNMOCK(circuit_establish_circuit_conflux);
  UNMOCK(relay_send_command_from_edge_);
  UNMOCK(circuit_mark_for_close_);
  UNMOCK(monotime_absolute_usec);
}

/* ---- What happens to them ---- */

/* A message arrives, from the last hop where there is more than one. */
static void
arrive(circuit_t *circ, uint8_t command, const uint8_t *body, size_t len)
{
  relay_msg_t msg = { .command = command, .length = (uint16_t) len, .body = body };
  crypt_path_t *hop = CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->cpath->prev : NULL;
  switch (command) {
    case RELAY_COMMAND_CONFLUX_LINK: conflux_process_link(circ, &msg); break;
    case RELAY_COMMAND_CONFLUX_LINKED: conflux_process_linked(circ, hop, &msg); break;
    case RELAY_COMMAND_CONFLUX_LINKED_ACK: conflux_process_linked_ack(circ); break;
    case RELAY_COMMAND_CONFLUX_SWITCH: conflux_process_switch_command(circ, hop, &msg); break;
    default: tor_assert_unreached();
  }
}

/* LINK or LINKED as somebody may make it up. */
static void
arrive_link(circuit_t *circ, uint8_t command, const uint8_t *nonce, uint64_t last_sent)
{
  uint8_t body[LINK_LEN] = { 1 };
  memcpy(body + 1, nonce, DIGEST256_LEN);
  set_uint64(body + 1 + DIGEST256_LEN, tor_htonll(last_sent));
  body[LINK_LEN - 1] = CONFLUX_UX_HIGH_THROUGHPUT;
  arrive(circ, command, body, LINK_LEN);
}

/* Takes the oldest message for a circuit, or for any, off the wire, and delivers it. False when there is none. */
static bool
deliver_to(const circuit_t *circ)
{
  int at = 0;
  while (at < n_on_wire && circ && wire[at].to != circ)
    at++;
  if (at == n_on_wire)
    return false;
  on_wire_t message = wire[at];
  n_on_wire--;
  memmove(&wire[at], &wire[at + 1], (size_t) (n_on_wire - at) * sizeof(wire[0]));
  if (message.to->marked_for_close)
    return true;
  if (message.command == DESTROY)
    circuit_mark_for_close(message.to, message.reason | END_CIRC_REASON_FLAG_REMOTE);
  else
    arrive(message.to, message.command, message.body, message.len);
  return true;
}

static void
deliver_after(uint64_t usec)
{
  clock_usec += usec;
  tor_assert(deliver_to(NULL));
}

static void
deliver_all(void)
{
  do
    clock_usec += 1000;
  while (deliver_to(NULL));
}

/* A circuit of the client opens, which sends LINK. */
static void
open_leg(int i)
{
  client(i)->state = CIRCUIT_STATE_OPEN;
  conflux_circuit_has_opened(paths[i].client);
}

/* A whole handshake on one circuit, whatever waits on others. */
static void
link_leg(int i)
{
  open_leg(i);
  clock_usec += 1000;
  tor_assert(deliver_to(exit_of(i)));
  clock_usec += 1000;
  tor_assert(deliver_to(client(i)));
  clock_usec += 1000;
  tor_assert(deliver_to(exit_of(i)));
}

static void
link_set(int legs)
{
  tor_assert(launch_new_set(legs));
  for (int i = 0; i < legs; i++)
    open_leg(i);
  deliver_all();
}

static bool
is_closed_for(const circuit_t *circ, int reason)
{
  return circ->marked_for_close && circ->marked_for_close_reason == reason;
}

/* The client's set can be used: so many legs, of which this is one. */
static bool
is_linked(int i, int legs)
{
  const circuit_t *circ = client(i);
  return circ->conflux && !circ->conflux_pending_nonce && circ->purpose == CIRCUIT_PURPOSE_CONFLUX_LINKED &&
    !circ->marked_for_close && CONFLUX_NUM_LEGS(circ->conflux) == legs &&
    digest256map_get(get_linked_pool(true), circ->conflux->nonce) == circ->conflux &&
    digest256map_size(get_unlinked_pool(true)) == 0 && conflux_get_leg(circ->conflux, circ);
}

static const uint8_t nonce_a[DIGEST256_LEN] = "one nonce, 32 bytes of it, no 0";
static const uint8_t nonce_b[DIGEST256_LEN] = "two nonces are never the same..";

/* ---- The handshake ---- */

static void
test_handshake(void *arg)
{
  (void) arg;
  set_up();
  link_set(2);
  tt_assert(is_linked(0, 2));
  tt_assert(is_linked(1, 2));
  tt_ptr_op(client(0)->conflux, OP_EQ, client(1)->conflux);
  tt_ptr_op(exit_of(0)->conflux, OP_EQ, exit_of(1)->conflux);
  tt_int_op(CONFLUX_NUM_LEGS(exit_of(0)->conflux), OP_EQ, 2);
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINK], OP_EQ, 2);
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, 2);
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 2);
  tt_int_op(sent[DESTROY], OP_EQ, 0);
  /* Each end does what the other wants of it. */
  tt_int_op(client(0)->conflux->params.alg, OP_EQ, CONFLUX_ALG_MINRTT);
  tt_str_op(flow_algorithm_name(exit_of(0)->conflux), OP_EQ, "ontime");
  /* LINKED is nothing that tor would count as dropped. */
  tt_int_op(paths[0].client->n_delivered_read_circ_bw, OP_EQ, LINK_LEN);
 done:
  tear_down();
}

/* The round trip of the handshake is the first that is known of a leg. */
static void
test_rtt(void *arg)
{
  (void) arg;
  set_up();
  tt_assert(launch_new_set(2));
  open_leg(0);
  deliver_after(30000);
  deliver_after(12000);
  deliver_after(7000);
  open_leg(1);
  deliver_after(1000);
  deliver_after(2000);
  deliver_after(4000);
  tt_assert(is_linked(0, 2));
  tt_u64_op(conflux_get_leg(client(0)->conflux, client(0))->circ_rtts_usec, OP_EQ, 42000);
  tt_u64_op(conflux_get_leg(client(1)->conflux, client(1))->circ_rtts_usec, OP_EQ, 3000);
  tt_u64_op(conflux_get_leg(exit_of(0)->conflux, exit_of(0))->circ_rtts_usec, OP_EQ, 19000);
  tt_u64_op(conflux_get_leg(exit_of(1)->conflux, exit_of(1))->circ_rtts_usec, OP_EQ, 6000);
  tear_down();

  /* One as long as a circuit may take to be built is too long. */
  set_up();
  tt_assert(launch_new_set(2));
  open_leg(0);
  deliver_after(0);
  deliver_after(999999);
  tt_assert(!client(0)->marked_for_close);
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 1);
  deliver_after(0);
  open_leg(1);
  deliver_after(0);
  deliver_after(1000000);
  tt_assert(client(1)->marked_for_close);
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 1);
  tt_assert(!client(0)->marked_for_close);
 done:
  tear_down();
}

/* One LINKED to a LINK, also while the set waits for another leg. */
static void
test_linked_twice(void *arg)
{
  (void) arg;
  uint8_t nonce[DIGEST256_LEN];
  set_up();
  tt_assert(launch_new_set(2));
  memcpy(nonce, client(0)->conflux_pending_nonce, sizeof(nonce));
  link_leg(0);
  tt_ptr_op(client(0)->conflux, OP_EQ, NULL);
  tt_assert(!client(0)->marked_for_close);
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINKED, nonce, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 1);
  tt_assert(!client(1)->marked_for_close);
  tear_down();

  /* And when the set is linked. */
  set_up();
  link_set(2);
  memcpy(nonce, client(0)->conflux->nonce, sizeof(nonce));
  arrive_link(client(1), RELAY_COMMAND_CONFLUX_LINKED, nonce, 0);
  tt_assert(is_closed_for(client(1), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 2);
 done:
  tear_down();
}

static void
test_ack_twice(void *arg)
{
  (void) arg;
  set_up();
  link_set(2);
  clock_usec += 5000;
  arrive(exit_of(0), RELAY_COMMAND_CONFLUX_LINKED_ACK, NULL, 0);
  tt_assert(is_closed_for(exit_of(0), END_CIRC_REASON_TORPROTOCOL));
  tear_down();

  /* On a circuit that nobody has linked. */
  set_up();
  new_exit();
  n_paths++;
  arrive(exit_of(0), RELAY_COMMAND_CONFLUX_LINKED_ACK, NULL, 0);
  tt_assert(is_closed_for(exit_of(0), END_CIRC_REASON_TORPROTOCOL));
 done:
  tear_down();
}

/* LINKED that does not fit what the client has sent. */
static void
test_linked_wrong(void *arg)
{
  (void) arg;
  uint8_t nonce[DIGEST256_LEN];

  /* With another nonce. */
  set_up();
  tt_assert(launch_new_set(2));
  open_leg(0);
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINKED, nonce_a, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tear_down();

  /* With the nonce of another set. */
  set_up();
  tt_assert(launch_new_set(1));
  tt_assert(launch_new_set(1));
  memcpy(nonce, client(1)->conflux_pending_nonce, sizeof(nonce));
  open_leg(0);
  open_leg(1);
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINKED, nonce, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tt_assert(!client(1)->marked_for_close);
  tear_down();

  /* Before LINK was sent. */
  set_up();
  tt_assert(launch_new_set(2));
  memcpy(nonce, client(0)->conflux_pending_nonce, sizeof(nonce));
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINKED, nonce, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tear_down();

  /* On a circuit that has nothing to do with it. */
  set_up();
  new_client(CIRCUIT_PURPOSE_C_GENERAL);
  n_paths++;
  conflux_circuit_has_opened(paths[0].client);
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINKED, nonce_a, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tear_down();

  /* From another hop than the last, and cut short. */
  set_up();
  tt_assert(launch_new_set(2));
  open_leg(0);
  open_leg(1);
  uint8_t body[LINK_LEN] = { 1 };
  memcpy(body + 1, client(0)->conflux_pending_nonce, DIGEST256_LEN);
  relay_msg_t msg = { .command = RELAY_COMMAND_CONFLUX_LINKED, .length = LINK_LEN, .body = body };
  conflux_process_linked(client(0), paths[0].client->cpath, &msg);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  arrive(client(1), RELAY_COMMAND_CONFLUX_LINKED, body, LINK_LEN - 1);
  tt_assert(is_closed_for(client(1), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 0);
  tear_down();

  /* The exit has sent what never arrived: no leg can be trusted to fill the gap, and none is acknowledged. */
  set_up();
  tt_assert(launch_new_set(1));
  memcpy(nonce, client(0)->conflux_pending_nonce, sizeof(nonce));
  open_leg(0);
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINKED, nonce, 1);
  tt_assert(client(0)->marked_for_close);
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 0);
 done:
  tear_down();
}

/* LINK is for a circuit that ends here, has no stream and was never linked. */
static void
test_link_wrong(void *arg)
{
  (void) arg;
  static edge_connection_t stream;
  memset(&stream, 0, sizeof(stream));

  set_up();
  for (n_paths = 0; n_paths < 5; n_paths++)
    new_exit();
  TO_OR_CIRCUIT(exit_of(0))->n_streams = &stream;
  arrive_link(exit_of(0), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(is_closed_for(exit_of(0), END_CIRC_REASON_TORPROTOCOL));
  TO_OR_CIRCUIT(exit_of(1))->resolving_streams = &stream;
  arrive_link(exit_of(1), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(is_closed_for(exit_of(1), END_CIRC_REASON_TORPROTOCOL));

  /* Tor calls it a bug in its log, which would fail the test. */
  setup_full_capture_of_logs(LOG_WARN);
  exit_of(2)->n_chan = (channel_t *) &stream;
  arrive_link(exit_of(2), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  exit_of(2)->n_chan = NULL;
  teardown_capture_of_logs();
  tt_assert(is_closed_for(exit_of(2), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, 0);
  tt_int_op(sets_left(), OP_EQ, 0);

  /* Twice: for the same set, and for another. */
  for (int i = 3; i < 5; i++) {
    arrive_link(exit_of(i), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
    tt_assert(exit_of(i)->conflux && !exit_of(i)->marked_for_close);
  }
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, 2);
  arrive_link(exit_of(3), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(is_closed_for(exit_of(3), END_CIRC_REASON_TORPROTOCOL));
  arrive_link(exit_of(4), RELAY_COMMAND_CONFLUX_LINK, nonce_b, 0);
  tt_assert(is_closed_for(exit_of(4), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, 2);
 done:
  teardown_capture_of_logs();
  tear_down();
}

/* LINK and LINKED_ACK at a client, and LINKED at an exit. */
static void
test_wrong_end(void *arg)
{
  (void) arg;
  set_up();
  link_set(2);
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tear_down();
  set_up();
  new_client(CIRCUIT_PURPOSE_C_GENERAL);
  n_paths++;
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, 0);
  tear_down();
  set_up();
  link_set(2);
  arrive(client(0), RELAY_COMMAND_CONFLUX_LINKED_ACK, NULL, 0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  arrive_link(exit_of(1), RELAY_COMMAND_CONFLUX_LINKED, nonce_a, 0);
  tt_assert(is_closed_for(exit_of(1), END_CIRC_REASON_TORPROTOCOL));
 done:
  tear_down();
}

/* A leg more than may be. */
static void
test_legs_limit(void *arg)
{
  (void) arg;
  set_up();
  int most = conflux_params_get_max_legs_set();
  tt_int_op(most, OP_LT, PATHS_MAX);
  for (n_paths = 0; n_paths <= most; n_paths++)
    new_exit();
  for (int i = 0; i < most; i++) {
    arrive_link(exit_of(i), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
    tt_assert(!exit_of(i)->marked_for_close);
  }
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, most);
  arrive_link(exit_of(most), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(exit_of(most)->marked_for_close);
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, most);
  /* The others go on, and another set has room. */
  tt_int_op(sent[DESTROY], OP_EQ, 1);
  tt_int_op(CONFLUX_NUM_LEGS(exit_of(0)->conflux), OP_EQ, most);
  new_exit();
  n_paths++;
  arrive_link(exit_of(most + 1), RELAY_COMMAND_CONFLUX_LINK, nonce_b, 0);
  tt_assert(!exit_of(most + 1)->marked_for_close);
 done:
  tear_down();
}

/* ---- Legs that are lost before they are linked ---- */

/* There is no more to wait for when the last leg that was not linked is lost and may not be launched again. */
static void
test_last_unlinked_lost(void *arg)
{
  (void) arg;
  /* Tor ends. */
  set_up();
  tt_assert(launch_new_set(2));
  link_leg(0);
  tt_ptr_op(client(0)->conflux, OP_EQ, NULL);
  conflux_notify_shutdown();
  circuit_mark_for_close(client(1), END_CIRC_REASON_DESTROYED);
  tt_int_op(n_paths, OP_EQ, 2);
  tt_assert(is_linked(0, 1));
  tear_down();

  /* It was launched too often. */
  set_up();
  max_unlinked_leg_retry = 1;
  tt_int_op(conflux_params_get_num_legs_set(), OP_EQ, 2);
  tt_assert(launch_new_set(3));
  link_leg(0);
  circuit_mark_for_close(client(1), END_CIRC_REASON_DESTROYED);
  tt_int_op(n_paths, OP_EQ, 3);
  tt_ptr_op(client(0)->conflux, OP_EQ, NULL);
  circuit_mark_for_close(client(2), END_CIRC_REASON_DESTROYED);
  tt_int_op(n_paths, OP_EQ, 3);
  tt_assert(is_linked(0, 1));
  tt_ptr_op(conflux_decide_next_circ(client(0)->conflux), OP_EQ, client(0));
  tear_down();

  /* Launching it again fails. */
  set_up();
  tt_assert(launch_new_set(2));
  link_leg(0);
  launches_fail = true;
  circuit_mark_for_close(client(1), END_CIRC_REASON_DESTROYED);
  tt_assert(is_linked(0, 1));
 done:
  tear_down();
}

/* One that may be launched again is. The set does not wait for it, as stock tor's does: streams have one leg meanwhile,
 * and two again when it is linked. */
static void
test_relaunch(void *arg)
{
  (void) arg;
  set_up();
  tt_assert(launch_new_set(2));
  link_leg(0);
  open_leg(1);
  tt_ptr_op(client(0)->conflux, OP_EQ, NULL);
  circuit_mark_for_close(client(1), END_CIRC_REASON_DESTROYED);
  tt_int_op(n_paths, OP_EQ, 3);
  tt_ptr_op(client(0)->conflux, OP_NE, NULL);
  tt_int_op(CONFLUX_NUM_LEGS(client(0)->conflux), OP_EQ, 1);
  tt_ptr_op(conflux_decide_next_circ(client(0)->conflux), OP_EQ, client(0));
  deliver_all();
  link_leg(2);
  tt_assert(is_linked(0, 2));
  tt_assert(is_linked(2, 2));
 done:
  tear_down();
}

static void
test_launch_limit(void *arg)
{
  (void) arg;
  uint8_t nonce[DIGEST256_LEN];
  set_up();
  max_unlinked_leg_retry = 2;
  int most = conflux_params_get_num_legs_set() + 2;
  tt_assert(launch_new_set(1));
  memcpy(nonce, client(0)->conflux_pending_nonce, sizeof(nonce));
  for (int i = 1; i < most; i++)
    tt_assert(conflux_launch_leg(nonce));
  tt_int_op(n_paths, OP_EQ, most);
  tt_assert(!conflux_launch_leg(nonce));
  tt_assert(!conflux_launch_leg(nonce));
  tt_int_op(n_paths, OP_EQ, most);
  /* Another set has launches of its own. */
  tt_assert(launch_new_set(1));
  tear_down();

  /* A launch that fails leaves no set behind that has no leg. */
  set_up();
  launches_fail = true;
  tt_assert(!launch_new_set(2));
  tt_int_op(launches, OP_EQ, 1);
  tt_int_op(sets_left(), OP_EQ, 0);
  /* Nor in circflow, which would not have a second with its nonce. */
  tt_assert(!conflux_launch_leg(nonce_a));
  launches_fail = false;
  tt_assert(conflux_launch_leg(nonce_a));
 done:
  tear_down();
}

/* An exit that never answers does not keep a set from being used. */
static void
test_no_answer(void *arg)
{
  (void) arg;
  set_up();
  tt_assert(launch_new_set(2));
  open_leg(0);
  open_leg(1);
  uint64_t opened = clock_usec;
  while (deliver_to(exit_of(0)) || deliver_to(client(0)))
    clock_usec += 1000;
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED_ACK], OP_EQ, 1);
  clock_usec = opened + 999000;
  conflux_predict_new(0);
  tt_assert(!client(1)->marked_for_close);
  clock_usec = opened + 1001000;
  conflux_predict_new(0);
  tt_assert(client(1)->marked_for_close);
  tt_assert(!client(0)->marked_for_close);
  /* Another is launched, in time. */
  tt_int_op(n_paths, OP_EQ, 3);
  link_leg(2);
  tt_assert(is_linked(0, 2));
  /* Legs that are linked have no such limit. */
  clock_usec += 10000000;
  conflux_predict_new(0);
  tt_assert(is_linked(0, 2));
 done:
  tear_down();
}

/* ---- Legs that are lost later ---- */

static congestion_control_t *
cc_of(const circuit_t *circ)
{
  return CIRCUIT_IS_ORIGIN(circ) ? CONST_TO_ORIGIN_CIRCUIT(circ)->cpath->prev->ccontrol : circ->ccontrol;
}

/* Sends DATA, which all goes out on the leg that is named. */
static void
send_data(circuit_t *leg, int count)
{
  conflux_t *cfx = leg->conflux;
  for (int i = 0; i < count; i++) {
    circuit_t *circ = conflux_decide_circ_for_send(cfx, leg, RELAY_COMMAND_DATA);
    tor_assert(circ == leg);
    conflux_note_cell_sent(cfx, circ, RELAY_COMMAND_DATA);
    cc_of(circ)->inflight++;
  }
}

/* A linked set has sent 31 messages on its first leg, then one on its second, and has a stream on the first. */
static void
use_both_legs(circuit_t *leg0, circuit_t *leg1, edge_connection_t *stream)
{
  memset(stream, 0, sizeof(*stream));
  stream->on_circuit = leg0;
  if (CIRCUIT_IS_ORIGIN(leg0)) {
    stream->cpath_layer = TO_ORIGIN_CIRCUIT(leg0)->cpath->prev;
    conflux_update_p_streams(TO_ORIGIN_CIRCUIT(leg0), stream);
  } else {
    conflux_update_n_streams(TO_OR_CIRCUIT(leg0), stream);
  }
  /* Round trips alone say which leg it is. */
  leg0->conflux->params.alg = CONFLUX_ALG_LOWRTT;
  conflux_update_rtt(leg0->conflux, leg0, 1000);
  conflux_update_rtt(leg0->conflux, leg1, 2000);
  send_data(leg0, 31);
  conflux_update_rtt(leg0->conflux, leg1, 500);
  send_data(leg1, 1);
  tor_assert(sent[RELAY_COMMAND_CONFLUX_SWITCH] == 1);
}

static void
lose_first_leg(bool is_client, uint64_t inflight, bool all_close)
{
  static edge_connection_t stream, resolving;
  smartlist_t *half = smartlist_new();
  set_up();
  link_set(2);
  circuit_t *leg0 = is_client ? client(0) : exit_of(0);
  circuit_t *leg1 = is_client ? client(1) : exit_of(1);
  use_both_legs(leg0, leg1, &stream);
  resolving.on_circuit = leg0;
  if (is_client)
    conflux_update_half_streams(TO_ORIGIN_CIRCUIT(leg0), half);
  else
    conflux_update_resolving_streams(TO_OR_CIRCUIT(leg0), &resolving);
  tt_ptr_op(leg1->conflux->prev_leg, OP_EQ, conflux_get_leg(leg1->conflux, leg0));
  cc_of(leg0)->inflight = inflight;
  circuit_mark_for_close(leg0, END_CIRC_REASON_DESTROYED);
  if (all_close) {
    tt_assert(is_closed_for(leg1, END_CIRC_REASON_FINISHED));
    tt_int_op(digest256map_size(get_linked_pool(is_client)), OP_EQ, 0);
    /* The message that tor closed it for has no turn any more. */
    tt_assert(leg0->conflux && leg0->conflux == leg1->conflux);
  } else {
    tt_assert(!leg1->marked_for_close);
    tt_ptr_op(leg0->conflux, OP_EQ, NULL);
    tt_int_op(CONFLUX_NUM_LEGS(leg1->conflux), OP_EQ, 1);
    tt_ptr_op(leg1->conflux->prev_leg, OP_EQ, NULL);
    tt_ptr_op(stream.on_circuit, OP_EQ, leg1);
    if (is_client) {
      tt_ptr_op(TO_ORIGIN_CIRCUIT(leg0)->half_streams, OP_EQ, NULL);
      tt_ptr_op(TO_ORIGIN_CIRCUIT(leg1)->half_streams, OP_EQ, half);
      tt_ptr_op(stream.cpath_layer, OP_EQ, TO_ORIGIN_CIRCUIT(leg1)->cpath->prev);
      tt_ptr_op(TO_ORIGIN_CIRCUIT(leg0)->p_streams, OP_EQ, NULL);
      tt_ptr_op(TO_ORIGIN_CIRCUIT(leg1)->p_streams, OP_EQ, &stream);
    } else {
      tt_ptr_op(TO_OR_CIRCUIT(leg0)->n_streams, OP_EQ, NULL);
      tt_ptr_op(TO_OR_CIRCUIT(leg1)->n_streams, OP_EQ, &stream);
      tt_ptr_op(resolving.on_circuit, OP_EQ, leg1);
      tt_ptr_op(TO_OR_CIRCUIT(leg0)->resolving_streams, OP_EQ, NULL);
      tt_ptr_op(TO_OR_CIRCUIT(leg1)->resolving_streams, OP_EQ, &resolving);
    }
    send_data(leg1, 3);
    tt_u64_op(conflux_get_max_seq_sent(leg1->conflux), OP_EQ, 35);
  }
 done:
  tear_down();
  smartlist_free(half);
}

/* What is in flight on a leg that closes is lost. As much as a SENDME tells of, and nobody knows what. */
static void
test_in_flight(void *arg)
{
  (void) arg;
  for (int is_client = 0; is_client < 2; is_client++) {
    lose_first_leg(is_client, 0, false);
    lose_first_leg(is_client, 30, false);
    lose_first_leg(is_client, 31, true);
    lose_first_leg(is_client, 32, true);
  }
}

/* The log says why a leg closed: tor's word for it, also of a client's circuit, and for any number of a peer's. */
static void
test_why_a_leg_closed(void *arg)
{
  (void) arg;
  static const struct { int reason; const char *said; } rows[] = {
    { END_CIRC_REASON_FLAG_REMOTE | END_CIRC_REASON_FINISHED, "has closed (FINISHED, said the other end)" },
    { END_CIRC_REASON_FLAG_REMOTE | 200, "has closed (a reason that tor does not know, said the other end)" },
    { END_CIRC_REASON_TIMEOUT, "has closed (TIMEOUT)" },
    { END_CIRC_REASON_NOPATH, "has closed (NOPATH)" },
  };
  for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
    set_up();
    link_set(2);
    setup_full_capture_of_logs(LOG_INFO);
    circuit_mark_for_close(client(0), rows[i].reason);
    expect_log_msg_containing(rows[i].said);
    teardown_capture_of_logs();
    tear_down();
  }
  return;
 done:
  teardown_capture_of_logs();
  tear_down();
}

/* A leg that joins a set with streams has the same. */
static void
test_streams_shared(void *arg)
{
  (void) arg;
  static edge_connection_t stream, resolving;
  uint8_t nonce[DIGEST256_LEN];
  smartlist_t *half = smartlist_new();
  set_up();
  link_set(1);
  memcpy(nonce, client(0)->conflux->nonce, sizeof(nonce));
  conflux_update_p_streams(paths[0].client, &stream);
  conflux_update_half_streams(paths[0].client, half);
  conflux_update_n_streams(paths[0].exit, &stream);
  conflux_update_resolving_streams(paths[0].exit, &resolving);
  paths[0].client->next_stream_id = 77;
  client(0)->timestamp_dirty = 88;
  tt_assert(conflux_launch_leg(nonce));
  link_leg(1);
  tt_assert(is_linked(1, 2));
  tt_ptr_op(paths[1].client->p_streams, OP_EQ, &stream);
  tt_ptr_op(paths[1].client->half_streams, OP_EQ, half);
  tt_ptr_op(paths[1].exit->n_streams, OP_EQ, &stream);
  tt_ptr_op(paths[1].exit->resolving_streams, OP_EQ, &resolving);
  tt_int_op(paths[1].client->next_stream_id, OP_EQ, 77);
  tt_int_op(client(1)->timestamp_dirty, OP_EQ, 88);
  /* When all of tor ends, streams are freed before circuits, which are never closed: nobody looks at them. */
  stream.on_circuit = resolving.on_circuit = NULL;
  conflux_notify_shutdown();
  conflux_circuit_about_to_free(client(0));
  conflux_circuit_about_to_free(exit_of(0));
  tt_ptr_op(stream.on_circuit, OP_EQ, NULL);
  tt_ptr_op(resolving.on_circuit, OP_EQ, NULL);
  tt_ptr_op(paths[0].client->p_streams, OP_EQ, NULL);
  tt_ptr_op(paths[0].client->half_streams, OP_EQ, NULL);
  tt_ptr_op(paths[0].exit->n_streams, OP_EQ, NULL);
  tt_ptr_op(paths[0].exit->resolving_streams, OP_EQ, NULL);
  tt_assert(!client(1)->marked_for_close && !exit_of(1)->marked_for_close);
  client(0)->marked_for_close = exit_of(0)->marked_for_close = 1;
 done:
  tear_down();
  smartlist_free(half);
}

/* A circuit that waits to be linked has no streams, and if it had, the set's would not be mixed with them. */
static void
test_streams_too_early(void *arg)
{
  (void) arg;
  static edge_connection_t stream;
  smartlist_t *half = smartlist_new();
  set_up();
  tt_assert(launch_new_set(2));
  setup_full_capture_of_logs(LOG_WARN);
  tor_capture_bugs_(4);
  paths[0].client->half_streams = half;
  open_leg(0);
  tt_ptr_op(paths[0].client->half_streams, OP_EQ, NULL);
  open_leg(1);
  paths[0].client->p_streams = &stream;
  deliver_all();
  tt_int_op(smartlist_len(tor_get_captured_bug_log_()), OP_EQ, 2);
  tt_assert(is_linked(0, 2));
  tt_ptr_op(paths[0].client->p_streams, OP_EQ, NULL);
 done:
  tor_end_capture_bugs_();
  teardown_capture_of_logs();
  tear_down();
  smartlist_free(half);
}

/* The leg that was chosen goes before anything was sent: the next answer is another. */
static void
test_chosen_leg_lost(void *arg)
{
  (void) arg;
  set_up();
  link_set(2);
  conflux_t *cfx = client(0)->conflux;
  conflux_update_rtt(cfx, client(0), 1000);
  conflux_update_rtt(cfx, client(1), 2000);
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, client(0));
  tt_ptr_op(cfx->curr_leg, OP_EQ, conflux_get_leg(cfx, client(0)));
  circuit_mark_for_close(client(0), END_CIRC_REASON_DESTROYED);
  tt_assert(!client(1)->marked_for_close);
  tt_ptr_op(cfx->curr_leg, OP_EQ, NULL);
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, client(1));
  tt_ptr_op(cfx->curr_leg, OP_EQ, conflux_get_leg(cfx, client(1)));
 done:
  tear_down();
}

/* Tor closes a set for a reason of its own: that counts for each leg, linked or not. */
static void
test_closed_by_tor(void *arg)
{
  (void) arg;
  uint8_t nonce[DIGEST256_LEN];
  set_up();
  link_set(2);
  memcpy(nonce, client(0)->conflux->nonce, sizeof(nonce));
  tt_assert(conflux_launch_leg(nonce));
  conflux_mark_all_for_close(nonce, true, END_CIRC_REASON_HIBERNATING);
  for (int i = 0; i < 3; i++)
    tt_assert(is_closed_for(client(i), END_CIRC_REASON_HIBERNATING));
  tt_int_op(n_paths, OP_EQ, 3);
 done:
  tear_down();
}

/* ---- A client's messages; memory of several sets ---- */

/* DATA arrives. True when its turn has come. */
static bool
arrive_data(circuit_t *circ, uint16_t len)
{
  static const uint8_t body[RELAY_PAYLOAD_SIZE_MAX];
  relay_msg_t msg = { .command = RELAY_COMMAND_DATA, .length = len, .stream_id = 9, .body = body };
  crypt_path_t *hop = CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->cpath->prev : NULL;
  return conflux_process_relay_msg(circ->conflux, circ, hop, &msg);
}

/* So many messages wait on a leg, as one on another leg has not come. */
static void
hold(circuit_t *circ, int count)
{
  static const uint8_t by_one[4] = { 0, 0, 0, 1 };
  arrive(circ, RELAY_COMMAND_CONFLUX_SWITCH, by_one, sizeof(by_one));
  for (int i = 0; i < count; i++)
    tor_assert(!arrive_data(circ, 100));
}

static void
test_client_messages(void *arg)
{
  (void) arg;
  set_up();
  link_set(2);
  conflux_t *cfx = client(0)->conflux;
  unsigned counted = paths[1].client->n_delivered_read_circ_bw;
  hold(client(1), 1);
  tt_int_op(paths[1].client->n_delivered_read_circ_bw, OP_EQ, counted + 4);
  tt_assert(arrive_data(client(0), 100));
  conflux_msg_t *msg = conflux_dequeue_relay_msg(client(0));
  tt_assert(msg);
  conflux_relay_msg_free(msg);
  tt_u64_op(cfx->last_seq_delivered, OP_EQ, 2);
  /* From another hop. */
  relay_msg_t stray = { .command = RELAY_COMMAND_DATA, .length = 1, .stream_id = 9, .body = (const uint8_t *) "x" };
  tt_assert(!conflux_process_relay_msg(cfx, client(0), paths[0].client->cpath, &stray));
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tear_down();

  /* What counts is the channel towards the exit. */
  set_up();
  link_set(2);
  cfx = client(0)->conflux;
  cfx->params.alg = CONFLUX_ALG_LOWRTT;
  conflux_update_rtt(cfx, client(0), 1000);
  conflux_update_rtt(cfx, client(1), 2000);
  client(0)->circuit_blocked_on_p_chan = 1;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, client(0));
  client(0)->circuit_blocked_on_n_chan = 1;
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_EQ, client(1));
 done:
  tear_down();
}

/* Tor may keep a leg of a set that ends open, to pad it or to try its path: what comes there closes it. */
static void
test_kept_open(void *arg)
{
  (void) arg;
  set_up();
  link_set(2);
  hold(exit_of(1), 1);
  keeps_open = exit_of(0);
  circuit_mark_for_close(exit_of(1), END_CIRC_REASON_FINISHED);
  keeps_open = NULL;
  tt_assert(!exit_of(0)->marked_for_close && exit_of(0)->conflux->in_full_teardown);
  tt_assert(!arrive_data(exit_of(0), 100));
  tt_assert(is_closed_for(exit_of(0), END_CIRC_REASON_INTERNAL));
 done:
  keeps_open = NULL;
  tear_down();
}

/* Tor keeps a leg, to try its path: its set ends, and its purpose is no set's. */
static void
test_path_tried(void *arg)
{
  (void) arg;
  set_up();
  tor_capture_bugs_(1);
  link_set(2);
  hold(client(1), 1);
  circuit_change_purpose(client(1), CIRCUIT_PURPOSE_PATH_BIAS_TESTING);
  tt_assert(client(0)->marked_for_close && client(0)->conflux);
  tt_assert(!client(1)->marked_for_close);
  tt_assert(!CIRCUIT_IS_CONFLUX(client(1)));
  tt_int_op(smartlist_len(tor_get_captured_bug_log_()), OP_EQ, 0);
 done:
  tor_end_capture_bugs_();
  tear_down();
}

/* The longest queue goes first, at whichever end; then as many as it takes. */
static void
test_oom_sets(void *arg)
{
  (void) arg;
  set_up();
  setup_full_capture_of_logs(LOG_INFO);
  tt_assert(launch_new_set(2) && launch_new_set(2) && launch_new_set(2));
  for (int i = 0; i < 6; i++)
    open_leg(i);
  deliver_all();
  hold(client(1), 3);
  hold(exit_of(3), 5);
  hold(client(3), 2);
  uint64_t one = conflux_get_total_bytes_allocation() / 10;
  tt_u64_op(conflux_handle_oom(1), OP_EQ, 5 * one);
  tt_assert(is_closed_for(exit_of(2), END_CIRC_REASON_RESOURCELIMIT));
  tt_assert(is_closed_for(exit_of(3), END_CIRC_REASON_RESOURCELIMIT));
  /* Tor may be in the middle of a message of either: it has no turn any more. */
  for (int i = 2; i <= 3; i++) {
    tt_assert(exit_of(i)->conflux);
    tt_assert(!arrive_data(exit_of(i), 100));
  }
  conflux_note_cell_sent(exit_of(2)->conflux, exit_of(2), RELAY_COMMAND_DATA);
  expect_no_log_msg_containing("no leg");
  tt_assert(!client(0)->marked_for_close && !client(2)->marked_for_close);
  tt_u64_op(conflux_handle_oom(3 * (size_t) one + 1), OP_EQ, 5 * one);
  tt_assert(is_closed_for(client(1), END_CIRC_REASON_RESOURCELIMIT));
  tt_assert(is_closed_for(client(3), END_CIRC_REASON_RESOURCELIMIT));
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
  /* A set that holds nothing stays. */
  tt_u64_op(conflux_handle_oom(1), OP_EQ, 0);
  tt_assert(!client(4)->marked_for_close && !exit_of(4)->marked_for_close);
 done:
  teardown_capture_of_logs();
  tear_down();
}

/* The adapter's, and circflow's: a stock tor has none of them. */
struct circflow_engine;
extern struct circflow_engine *flow_engine __attribute__((weak));
int circflow_engine_record(struct circflow_engine *engine, size_t bytes, uint32_t classes) __attribute__((weak));
int circflow_engine_record_read(struct circflow_engine *engine, uint8_t *buf, size_t buf_cap, size_t *len_out,
                                uint64_t *overwritten_out) __attribute__((weak));
#define RECORD_MEMORY 128
#define EVENT_TRIMMED 114

/* How many events of a kind circflow has recorded since it was asked last. */
static int
count_events(unsigned kind)
{
  static uint8_t piece[1 << 16];
  size_t len = 0;
  int found = 0;
  while (circflow_engine_record_read(flow_engine, piece, sizeof(piece), &len, NULL) == 0 && len > 0)
    for (const uint8_t *at = piece; at < piece + len; at += 8 * (at[2] | at[3] << 8))
      found += (unsigned) (at[0] | at[1] << 8) == kind;
  return found;
}

/* However many sets have to end, memory is given back three times at most: before, when the last queue has gone, and
 * after. Each time costs a look at all there is. */
static void
test_oom_once(void *arg)
{
  (void) arg;
  enum { SETS = 6 };
  set_up();
  for (int i = 0; i < SETS; i++)
    tt_assert(launch_new_set(2));
  for (int i = 0; i < 2 * SETS; i++)
    open_leg(i);
  deliver_all();
  for (int i = 0; i < SETS; i++)
    hold(client(2 * i + 1), 1000);
  tt_int_op(circflow_engine_record(flow_engine, 1 << 16, RECORD_MEMORY), OP_EQ, 0);
  tt_u64_op(conflux_handle_oom((size_t) conflux_get_total_bytes_allocation()), OP_GT, 0);
  for (int i = 0; i < 2 * SETS; i++)
    tt_assert(client(i)->marked_for_close);
  int trimmed = count_events(EVENT_TRIMMED);
  tt_int_op(trimmed, OP_GE, 1);
  tt_int_op(trimmed, OP_LE, 3);
 done:
  tear_down();
}

/* What tor's handler is told is what the account has lost, with what circflow has beyond it for short messages. */
static void
test_oom_account(void *arg)
{
  (void) arg;
  set_up();
  tt_assert(launch_new_set(2) && launch_new_set(2));
  for (int i = 0; i < 4; i++)
    open_leg(i);
  deliver_all();
  hold(client(1), 2000);
  hold(client(3), 1000);
  uint64_t before = conflux_get_total_bytes_allocation();
  size_t freed = conflux_handle_oom(1);
  tt_assert(client(1)->marked_for_close && !client(3)->marked_for_close);
  uint64_t left = conflux_get_total_bytes_allocation();
  tt_u64_op(left, OP_GT, before / 4);
  tt_u64_op(left, OP_LT, before / 2);
  tt_u64_op(freed, OP_EQ, before - left);
  tt_u64_op(conflux_handle_oom(1), OP_EQ, left);
  tt_u64_op(conflux_get_total_bytes_allocation(), OP_EQ, 0);
  tear_down();

  /* Tor closes both legs, and adds up what each of them had. */
  set_up();
  link_set(2);
  hold(client(1), 10);
  uint64_t has = conflux_get_circ_bytes_allocation(client(0));
  tt_u64_op(has, OP_EQ, conflux_get_total_bytes_allocation() + 10 * sizeof(void *));
  circuit_mark_for_close(client(1), END_CIRC_REASON_RESOURCELIMIT);
  tt_assert(client(0)->marked_for_close);
  tt_u64_op(conflux_get_circ_bytes_allocation(client(0)) + conflux_get_circ_bytes_allocation(client(1)), OP_EQ, has);
 done:
  tear_down();
}

/* ---- Launching ahead ---- */

static consensus_path_type_t path_type;

static consensus_path_type_t
path_mock(void)
{
  return path_type;
}

/* Link sets of two legs each so that a stream may have them, and no more. */
static void
test_ahead(void *arg)
{
  (void) arg;
  routerstatus_t exit = { .is_exit = 1, .pv.supports_conflux = 1 };
  networkstatus_t ns;
  memset(&ns, 0, sizeof(ns));
  ns.net_params = smartlist_new();
  ns.routerstatus_list = smartlist_new();
  smartlist_add(ns.routerstatus_list, &exit);
  set_up();
  MOCK(router_have_consensus_path, path_mock);
  conflux_params_new_consensus(&ns);
  tt_int_op(conflux_params_get_max_prebuilt(), OP_EQ, 3);
  path_type = CONSENSUS_PATH_INTERNAL;
  conflux_predict_new(0);
  path_type = CONSENSUS_PATH_EXIT;
  get_options_mutable()->ConfluxEnabled = 0;
  conflux_predict_new(0);
  get_options_mutable()->ConfluxEnabled = -1;
  tt_int_op(launches, OP_EQ, 0);
  /* When one fails, no other is tried. */
  launches_fail = true;
  conflux_predict_new(0);
  tt_int_op(launches, OP_EQ, 1);
  launches_fail = false;
  conflux_predict_new(0);
  tt_int_op(n_paths, OP_EQ, 6);
  conflux_predict_new(0);
  tt_int_op(n_paths, OP_EQ, 6);
  /* Linked ones count as long as no stream has used them. */
  for (int i = 0; i < 6; i++)
    open_leg(i);
  deliver_all();
  conflux_predict_new(0);
  tt_int_op(n_paths, OP_EQ, 6);
  for (int i = 0; i < 6; i++)
    client(i)->timestamp_dirty = i < 2;
  /* A consensus may say that these are enough. */
  smartlist_add(ns.net_params, (char *) "cfx_max_linked_set=3");
  conflux_params_new_consensus(&ns);
  conflux_predict_new(0);
  tt_int_op(n_paths, OP_EQ, 6);
  smartlist_clear(ns.net_params);
  conflux_params_new_consensus(&ns);
  conflux_predict_new(0);
  tt_int_op(n_paths, OP_EQ, 8);
  paths[2].client->unusable_for_new_conns = paths[3].client->unusable_for_new_conns = 1;
  conflux_predict_new(0);
  tt_int_op(n_paths, OP_EQ, 10);
  paths[4].client->isolation_values_set = paths[5].client->isolation_values_set = 1;
  conflux_predict_new(0);
  tt_int_op(n_paths, OP_EQ, 12);
 done:
  UNMOCK(router_have_consensus_path);
  get_options_mutable()->ConfluxEnabled = -1;
  smartlist_free(ns.net_params);
  smartlist_free(ns.routerstatus_list);
  tear_down();
}

/* Relays that a new leg must not have: guards and middles of the others. */
static node_t middles[3];

static node_t *
node_mock(const char *identity)
{
  return *identity >= 'a' && *identity < 'd' ? &middles[*identity - 'a'] : NULL;
}

static void
test_relays_beside(void *arg)
{
  (void) arg;
  smartlist_t *guards = smartlist_new();
  smartlist_t *nodes = smartlist_new();
  set_up();
  MOCK(node_get_mutable_by_id, node_mock);
  link_set(1);
  tt_assert(conflux_launch_leg(client(0)->conflux->nonce));
  new_client(CIRCUIT_PURPOSE_CONFLUX_UNLINKED);
  n_paths++;
  client(2)->conflux_pending_nonce = tor_memdup(client(0)->conflux->nonce, DIGEST256_LEN);
  new_client(CIRCUIT_PURPOSE_C_GENERAL);
  n_paths++;
  for (int i = 0; i < 3; i++) {
    paths[i].client->cpath->extend_info->identity_digest[0] = (char) ('A' + i);
    paths[i].client->cpath->next->extend_info->identity_digest[0] = (char) ('a' + i);
  }
  conflux_add_guards_to_exclude_list(paths[3].client, guards);
  conflux_add_middles_to_exclude_list(paths[3].client, nodes);
  tt_int_op(smartlist_len(guards) + smartlist_len(nodes), OP_EQ, 0);
  conflux_add_guards_to_exclude_list(paths[2].client, guards);
  conflux_add_middles_to_exclude_list(paths[2].client, nodes);
  tt_int_op(smartlist_len(guards), OP_EQ, 2);
  tt_int_op(*(char *) smartlist_get(guards, 0), OP_EQ, 'A');
  tt_int_op(*(char *) smartlist_get(guards, 1), OP_EQ, 'B');
  tt_int_op(smartlist_len(nodes), OP_EQ, 2);
  tt_ptr_op(smartlist_get(nodes, 0), OP_EQ, &middles[0]);
  tt_ptr_op(smartlist_get(nodes, 1), OP_EQ, &middles[1]);
 done:
  UNMOCK(node_get_mutable_by_id);
  SMARTLIST_FOREACH(guards, char *, identity, tor_free(identity));
  smartlist_free(guards);
  smartlist_free(nodes);
  tear_down();
}

/* ---- Padding, beside tor's ---- */

/* netflow.txt of examples/machines: one padding cell after 1.5 to 9.5 seconds in which nobody has sent. */
static const char netflow[] =
  "02eNpdjEENACAMAzeEIIPvMicEJQjCFQYwQCBAH2x9tM0l7VwQeYXrzExU5SvAKLknPdli0UeG+Cc73QNbD5Y=\n";

static const node_t *
padding_node_mock(const char *identity)
{
  static routerstatus_t status = { .pv.supports_hs_setup_padding = 1 };
  static node_t node = { .rs = &status };
  (void) identity;
  return &node;
}

/* Time passes; what waits for the event loop is done. */
static void
pass(uint64_t usec)
{
  clock_usec += usec;
  monotime_set_mock_time_nsec((int64_t) clock_usec * 1000);
  timers_run_pending();
  event_base_loop(tor_libevent_get_base(), EVLOOP_NONBLOCK);
}

/* A circuit's queue has been written to the channel towards the other padder, and its other channel's has, too. */
static void
written(circuit_t *circ, bool is_ours)
{
  static channel_t ours, theirs;
  static int muxes[2];
  bool is_client = CIRCUIT_IS_ORIGIN(circ);
  ours.cmux = (circuitmux_t *) &muxes[0];
  theirs.cmux = (circuitmux_t *) &muxes[1];
  circ->n_chan = is_client ? &ours : &theirs;
  if (!is_client)
    TO_OR_CIRCUIT(circ)->p_chan = &ours;
  circuitmux_notify_xmit_cells(is_ours ? ours.cmux : theirs.cmux, circ, 0);
  circ->n_chan = NULL;
  if (!is_client)
    TO_OR_CIRCUIT(circ)->p_chan = NULL;
  pass(1000);
}

/* The oldest message arrives, and is one of padding. What it was when tor was asked about it. */
static int
padding_arrives(void)
{
  tor_assert(n_on_wire > 0 && is_padding(wire[0].command));
  on_wire_t message = wire[0];
  relay_msg_t msg = { .command = message.command, .length = (uint16_t) message.len, .body = message.body };
  crypt_path_t *hop = CIRCUIT_IS_ORIGIN(message.to) ? TO_ORIGIN_CIRCUIT(message.to)->cpath->next : NULL;
  memmove(wire, wire + 1, (size_t) --n_on_wire * sizeof(wire[0]));
  circpad_deliver_recognized_relay_cell_events(message.to, msg.command, hop);
  if (msg.command != RELAY_COMMAND_DROP)
    tor_assert(circpad_check_received_cell(&msg, message.to, hop) == 0);
  pass(1000);
  return msg.command;
}

/* Clients and relays pad with a machine, and tor's own machines are none. */
static void
padding_begins(const char *machine)
{
  const char *path = get_fname("machine");
  write_str_to_file(path, machine, 0);
  seam_pad_with(path);
  set_up();
  monotime_enable_test_mocking();
  monotime_set_mock_time_nsec((int64_t) clock_usec * 1000);
  timers_initialize();
  MOCK(node_get_by_id, padding_node_mock);
  get_options_mutable()->CircuitPadding = 1;
  if (!origin_padding_machines)
    origin_padding_machines = smartlist_new();
  if (!relay_padding_machines)
    relay_padding_machines = smartlist_new();
}

static void
padding_ends(void)
{
  teardown_capture_of_logs();
  UNMOCK(node_get_by_id);
  middle = NULL;
  tear_down();
  circpad_free_all();
  monotime_disable_test_mocking();
}

/* A leg with a padder at each end, from its negotiation to its end: each hook is used so many times. */
static void
test_padding(void *arg)
{
  (void) arg;
  padding_begins(netflow);
  tt_assert(launch_new_set(1));
  middle = new_exit();
  paths[1].exit = middle, paths[0].exit = NULL;
  n_paths = 2;
  new_exit();
  or_circuit_t *other = paths[2].exit;
  n_paths = 3;

  /* A question with another number, and one without, are tor's. */
  uint8_t question[5] = { 0, 2, 1, 1 };
  relay_msg_t msg = { .command = RELAY_COMMAND_PADDING_NEGOTIATE, .length = sizeof(question), .body = question };
  circpad_check_received_cell(&msg, TO_CIRCUIT(other), NULL);
  msg.length = 2;
  question[2] = 200;
  circpad_check_received_cell(&msg, TO_CIRCUIT(other), NULL);

  /* Negotiated. Nothing is sent from inside a hook. */
  circpad_machine_event_circ_built(paths[0].client);
  tt_int_op(sent[RELAY_COMMAND_PADDING_NEGOTIATE], OP_EQ, 0);
  pass(1000);
  tt_int_op(sent[RELAY_COMMAND_PADDING_NEGOTIATE], OP_EQ, 1);
  tt_int_op(padding_arrives(), OP_EQ, RELAY_COMMAND_PADDING_NEGOTIATE);
  tt_int_op(padding_arrives(), OP_EQ, RELAY_COMMAND_PADDING_NEGOTIATED);
  tt_int_op(paths[0].client->n_delivered_read_circ_bw, OP_EQ, 8);

  /* The circuit is linked: LINK and LINKED_ACK are two that are sent, LINKED is one that comes. */
  open_leg(0);
  arrive_link(client(0), RELAY_COMMAND_CONFLUX_LINKED, client(0)->conflux_pending_nonce, 0);
  tt_assert(is_linked(0, 1));
  crypt_path_t *last = paths[0].client->cpath->prev;
  circpad_deliver_recognized_relay_cell_events(client(0), RELAY_COMMAND_CONFLUX_LINKED, last);
  /* Five of conflux come, and tor tells its padding later that their turn has come. */
  for (int i = 0; i < 5; i++) {
    tt_assert(arrive_data(client(0), 100));
    circpad_deliver_recognized_relay_cell_events(client(0), RELAY_COMMAND_DATA, last);
  }
  /* Three cells pass the relay, and two pass back; one of its own comes, and one goes. */
  for (int i = 0; i < 3; i++)
    circpad_deliver_unrecognized_cell_events(TO_CIRCUIT(middle), CELL_DIRECTION_OUT);
  for (int i = 0; i < 2; i++)
    circpad_deliver_unrecognized_cell_events(TO_CIRCUIT(middle), CELL_DIRECTION_IN);
  circpad_deliver_recognized_relay_cell_events(TO_CIRCUIT(middle), RELAY_COMMAND_SENDME, NULL);
  circpad_deliver_sent_relay_cell_events(TO_CIRCUIT(middle), RELAY_COMMAND_SENDME);

  /* Silence. Each end pads, and again when it knows that what it sent has been written. */
  unsigned counted = paths[0].client->n_delivered_read_circ_bw + paths[0].client->n_overhead_read_circ_bw;
  for (int i = 0; i < 2; i++) {
    pass(1000);
    tt_int_op(n_on_wire, OP_EQ, 0);
    pass(9600000);
    tt_int_op(sent[RELAY_COMMAND_DROP], OP_EQ, 2 * i + 2);
    tt_int_op(padding_arrives(), OP_EQ, RELAY_COMMAND_DROP);
    tt_int_op(padding_arrives(), OP_EQ, RELAY_COMMAND_DROP);
    written(client(0), false);
    written(TO_CIRCUIT(middle), false);
    pass(20000000);
    tt_int_op(n_on_wire, OP_EQ, 0);
    written(client(0), true);
    written(TO_CIRCUIT(middle), true);
  }
  /* Padding that was asked for is no dropped cell to tor. */
  tt_int_op(paths[0].client->n_delivered_read_circ_bw + paths[0].client->n_overhead_read_circ_bw, OP_EQ,
            counted + 2 * RELAY_PAYLOAD_SIZE_MAX);

  /* What negotiates counts as well, but for the question, which is older than the relay's padder. */
  setup_full_capture_of_logs(LOG_INFO);
  circpad_circuit_free_all_machineinfos(TO_CIRCUIT(other));
  expect_no_log_entry();
  circpad_circuit_free_all_machineinfos(client(0));
  expect_log_msg_containing("padding ended at a client: normal-sent 3 padding-sent 2 replaced 0 refused 0 "
                            "normal-recv 7 padding-recv 2");
  circpad_circuit_free_all_machineinfos(TO_CIRCUIT(middle));
  expect_log_msg_containing("padding ended at a relay: normal-sent 4 padding-sent 2 replaced 0 refused 0 "
                            "normal-recv 4 padding-recv 2");
  /* Nobody pads any more. */
  pass(20000000);
  tt_int_op(n_on_wire, OP_EQ, 0);
 done:
  padding_ends();
}

/* ---- What padding holds back ---- */

/* After a cell that is no padding, nothing goes for 100 ms. */
static const char shut[] =
  "02eNqNjMEJACAMxHJdTOdxCsf2KSIKLX00n0AegYhdSYLZfpZRZazunHL2778B5W0EzQ==\n";

/* The same, and a padding cell is queued in the meantime, which may not pass. */
static const char shut_and_padded[] =
  "02eNqNjrsJACAMRHPqXjqAkziFi9o7gmDjD0UlRV5zEPIuqVnTj1kBgCjaM4YiKaG4Jzkw+nb9vDXxyT3Jifr+q5uQqmv92A3Zxg3m\n";

/* constant-rate-100.txt of examples/machines: a cell each 10 ms, of what waits, or padding. */
static const char constant_rate[] =
  "02eNqNjMkJwCAABHdNHeki/4iVWIpP+7IIqxFFVDwQdD4DA7shVlAJa3iKSALmbxUUOVyg/fupwXtI0e/J9m2dnHwYAglozRrp\n";

/* A letter for each cell that tor has sent, and the number of its path. */
static char went[256];
static edge_connection_t held_streams[2];
static bool is_reading[2];

static char
letter_of(uint8_t command)
{
  switch (command) {
    case RELAY_COMMAND_BEGIN: return 'b';
    case RELAY_COMMAND_CONNECTED: return 'c';
    case RELAY_COMMAND_DATA: return 'd';
    case RELAY_COMMAND_END: return 'e';
    case RELAY_COMMAND_XON: return 'x';
    case RELAY_COMMAND_SENDME: return 's';
    case RELAY_COMMAND_CONFLUX_SWITCH: return 'w';
    case RELAY_COMMAND_DROP: return 'p';
    default: return '?';
  }
}

/* What tor's own function does, as far as sets, padding and windows see it. */
static int
stream_mock(streamid_t stream_id, circuit_t *circ, uint8_t command, const char *body, size_t len, crypt_path_t *layer,
            const char *file, int line)
{
  (void) file, (void) line;
  if (seam_is_held(stream_id, circ, command, body, len, layer))
    return circ->marked_for_close ? -1 : 0;
  if (circ->conflux && conflux_should_multiplex(command))
    circ = conflux_decide_circ_for_send(circ->conflux, circ, command);
  if (!circ || circ->marked_for_close)
    return -1;
  int path = 0;
  while (path < n_paths && paths[path].client != (void *) circ && paths[path].exit != (void *) circ)
    path++;
  size_t at = strlen(went);
  tor_assert(at + 3 < sizeof(went));
  if (command != RELAY_COMMAND_PADDING_NEGOTIATE && command != RELAY_COMMAND_PADDING_NEGOTIATED)
    tor_snprintf(went + at, sizeof(went) - at, "%c%d", letter_of(command), path);
  circpad_deliver_sent_relay_cell_events(circ, command);
  if (circ->conflux)
    conflux_note_cell_sent(circ->conflux, circ, command);
  if (command == RELAY_COMMAND_DATA)
    (CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->cpath->prev->ccontrol : circ->ccontrol)->inflight++;
  void (*call)(void) = while_sending;
  while_sending = NULL;
  if (call)
    call();
  return 0;
}

/* What was sent since somebody asked. */
static const char *
take_went(void)
{
  static char taken[sizeof(went)];
  strlcpy(taken, went, sizeof(taken));
  went[0] = 0;
  return taken;
}

/* Tor sends at once what it has read already. */
static void
read_mock(connection_t *conn)
{
  is_reading[TO_EDGE_CONN(conn) == &held_streams[1]] = true;
  if (connection_get_inbuf_len(conn) > 0)
    connection_edge_package_raw_inbuf(TO_EDGE_CONN(conn), 1, NULL);
}

static void
stop_mock(connection_t *conn)
{
  is_reading[TO_EDGE_CONN(conn) == &held_streams[1]] = false;
}

/* Two streams of a circuit, which is the first leg of a set if there is one. */
static void
hold_streams_of(circuit_t *circ)
{
  memset(held_streams, 0, sizeof(held_streams));
  for (int i = 0; i < 2; i++) {
    edge_connection_t *stream = &held_streams[i];
    stream->base_.magic = EDGE_CONNECTION_MAGIC;
    stream->base_.type = CONN_TYPE_EXIT;
    stream->base_.state = EXIT_CONN_STATE_OPEN;
    stream->base_.inbuf = buf_new();
    stream->stream_id = (streamid_t) (i + 1);
    stream->package_window = 500;
    stream->on_circuit = circ;
    is_reading[i] = true;
    if (i > 0)
      stream->next_stream = &held_streams[0];
    if (!CIRCUIT_IS_ORIGIN(circ)) {
      TO_OR_CIRCUIT(circ)->n_streams = stream;
      continue;
    }
    stream->cpath_layer = TO_ORIGIN_CIRCUIT(circ)->cpath->prev;
    if (circ->conflux)
      conflux_update_p_streams(TO_ORIGIN_CIRCUIT(circ), stream);
    else
      TO_ORIGIN_CIRCUIT(circ)->p_streams = stream;
  }
}

/* What a stream has read, in so many cells, and what tor does then. */
static void
stream_reads(int i, int cells)
{
  static const char bytes[RELAY_PAYLOAD_SIZE_MAX];
  for (; cells > 0; cells--)
    buf_add(held_streams[i].base_.inbuf, bytes, cells > 1 ? sizeof(bytes) : 20);
  if (is_reading[i])
    connection_edge_package_raw_inbuf(&held_streams[i], 1, NULL);
}

static int
stream_says(int i, uint8_t command)
{
  return connection_edge_send_command(&held_streams[i], command, "body", 4);
}

static void
hold_begins(const char *machine)
{
  padding_begins(machine);
  went[0] = 0;
  MOCK(connection_start_reading, read_mock);
  MOCK(connection_stop_reading, stop_mock);
}

static void
hold_ends(void)
{
  for (int i = 0; i < 2; i++)
    buf_free(held_streams[i].base_.inbuf);
  padding_ends();
  UNMOCK(connection_start_reading);
  UNMOCK(connection_stop_reading);
}

/* A client's circuit in no set, with two streams, and its machine has begun. */
static void
hold_at_client(const char *machine)
{
  hold_begins(machine);
  MOCK(relay_send_command_from_edge_, stream_mock);
  new_client(CIRCUIT_PURPOSE_C_GENERAL);
  n_paths = 1;
  hold_streams_of(client(0));
  circpad_machine_event_circ_built(paths[0].client);
  pass(1000);
}

/* A relay's, which a client has asked for padding. */
static void
hold_at_relay(const char *machine, bool is_exit)
{
  static channel_t next;
  uint8_t question[8] = { 0, 2, 200 };
  relay_msg_t msg = { .command = RELAY_COMMAND_PADDING_NEGOTIATE, .length = sizeof(question), .body = question };
  hold_begins(machine);
  MOCK(relay_send_command_from_edge_, stream_mock);
  circuit_t *circ = TO_CIRCUIT(new_exit());
  n_paths = 1;
  hold_streams_of(circ);
  circ->n_chan = is_exit ? NULL : &next;
  circpad_check_received_cell(&msg, circ, NULL);
  pass(1000);
}

/* Everything that streams say waits, in order, and DATA behind; control goes. */
static void
test_hold(void *arg)
{
  (void) arg;
  hold_at_client(shut);
  tt_int_op(stream_says(0, RELAY_COMMAND_BEGIN), OP_EQ, 0);
  stream_reads(0, 2);
  tt_assert(!is_reading[0] && !is_reading[1]);
  tt_int_op(stream_says(1, RELAY_COMMAND_XON), OP_EQ, 0);
  tt_str_op(take_went(), OP_EQ, "");
  relay_send_command_from_edge(0, client(0), RELAY_COMMAND_SENDME, NULL, 0, paths[0].client->cpath->prev);
  tt_int_op(stream_says(1, RELAY_COMMAND_SENDME), OP_EQ, 0);
  tt_str_op(take_went(), OP_EQ, "s0s0");
  pass(50000);
  tt_str_op(take_went(), OP_EQ, "");
  pass(60000);
  tt_str_op(take_went(), OP_EQ, "b0x0d0d0");
  tt_assert(is_reading[0] && is_reading[1]);
  /* That began the next block. */
  stream_reads(0, 1);
  tt_int_op(stream_says(0, RELAY_COMMAND_END), OP_EQ, 0);
  tt_str_op(take_went(), OP_EQ, "");
  pass(110000);
  tt_str_op(take_went(), OP_EQ, "e0d0");
  /* Now there is none. */
  pass(110000);
  tt_int_op(stream_says(1, RELAY_COMMAND_BEGIN), OP_EQ, 0);
  stream_reads(1, 1);
  tt_str_op(take_went(), OP_EQ, "b0d0");
  setup_full_capture_of_logs(LOG_INFO);
  pass(1000);
  tt_int_op(stream_says(1, RELAY_COMMAND_END), OP_EQ, 0);
  circpad_circuit_free_all_machineinfos(client(0));
  expect_log_msg_containing("blocks 4 held 4 let-out 0 escaped 0");
  tt_str_op(take_went(), OP_EQ, "");
  tt_int_op(stream_says(1, RELAY_COMMAND_END), OP_EQ, 0);
  tt_str_op(take_went(), OP_EQ, "e0");
 done:
  hold_ends();
}

static void
start_both(void)
{
  read_mock(TO_CONN(&held_streams[0]));
  read_mock(TO_CONN(&held_streams[1]));
}

/* Padding that a cell may stand for lets the oldest go; and what is read next is seen. */
static void
test_hold_lets_out(void *arg)
{
  (void) arg;
  hold_at_client(constant_rate);
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "p0");
  stream_says(0, RELAY_COMMAND_BEGIN);
  stream_reads(0, 2);
  held_streams[1].xoff_received = 1;
  stream_reads(1, 1);
  tt_str_op(take_went(), OP_EQ, "");
  tt_assert(!is_reading[0]);
  static const char *const expected[] = { "b0", "d0", "d0", "p0", "p0" };
  for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
    pass(10200);
    tt_str_op(take_went(), OP_EQ, expected[i]);
    tt_assert(is_reading[0] == (i >= 2));
  }
  stream_reads(0, 1);
  held_streams[1].xoff_received = 0;
  /* Just one, whatever tor does as it goes. */
  while_sending = start_both;
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "d0");
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "d0");
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "p0");
  /* Where cells wait to be written, one of them counts. */
  client(0)->n_chan_cells.n = 1;
  stream_says(0, RELAY_COMMAND_END);
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "");
  client(0)->n_chan_cells.n = 0;
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "e0");
  setup_full_capture_of_logs(LOG_INFO);
  circpad_circuit_free_all_machineinfos(client(0));
  expect_log_msg_containing("blocks 1 held 2 let-out 6 escaped 0");
 done:
  hold_ends();
}

/* Padding that may not pass waits with what is held. */
static void
test_hold_padding(void *arg)
{
  (void) arg;
  hold_at_client(shut_and_padded);
  stream_says(0, RELAY_COMMAND_BEGIN);
  pass(40000);
  pass(40000);
  tt_str_op(take_went(), OP_EQ, "");
  pass(30000);
  tt_str_op(take_went(), OP_EQ, "p0b0");
  tt_assert(!client(0)->marked_for_close);

  /* Somebody wants memory. */
  pass(1000);
  for (int i = 0; i < 1000; i++)
    tt_int_op(stream_says(0, RELAY_COMMAND_END), OP_EQ, 0);
  tt_assert(!client(0)->marked_for_close);
  tt_int_op(stream_says(0, RELAY_COMMAND_END), OP_EQ, -1);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_RESOURCELIMIT));
  /* Nothing goes out on a circuit that is closing. */
  pass(110000);
  tt_str_op(take_went(), OP_EQ, "");
 done:
  hold_ends();
}

/* An exit holds what goes to the client. */
static void
test_hold_at_exit(void *arg)
{
  (void) arg;
  hold_at_relay(shut, true);
  stream_says(0, RELAY_COMMAND_CONNECTED);
  stream_reads(0, 1);
  tt_assert(!is_reading[0]);
  tt_str_op(take_went(), OP_EQ, "");
  pass(110000);
  tt_str_op(take_went(), OP_EQ, "c0d0");
  tt_assert(is_reading[0]);
  pass(1000);
  stream_says(0, RELAY_COMMAND_END);
  tt_str_op(take_went(), OP_EQ, "");
 done:
  hold_ends();
}

static void
test_hold_exit_lets_out(void *arg)
{
  (void) arg;
  hold_at_relay(constant_rate, true);
  stream_reads(1, 1);
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "d0");
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "p0");
 done:
  hold_ends();
}

/* A relay that cells pass holds nothing, and says so once. */
static void
test_hold_at_middle(void *arg)
{
  (void) arg;
  setup_full_capture_of_logs(LOG_NOTICE);
  hold_at_relay(shut, false);
  expect_log_msg_containing("Tor cannot: they go on.");
  stream_says(0, RELAY_COMMAND_CONNECTED);
  tt_str_op(take_went(), OP_EQ, "c0");
  pass(200000);
  mock_clean_saved_logs();
  stream_says(0, RELAY_COMMAND_END);
  pass(1000);
  expect_no_log_entry();
  TO_CIRCUIT(paths[0].exit)->n_chan = NULL;
 done:
  hold_ends();
}

/* A set of two legs at a client, of which this one pads, and which has been quiet since. */
static void
hold_in_set(const char *machine, int padded)
{
  seam_choose_by("lowrtt");
  hold_begins(machine);
  tor_assert(launch_new_set(2));
  middle = new_exit();
  paths[2].exit = middle;
  n_paths = 3;
  circpad_machine_event_circ_built(paths[padded].client);
  pass(1000);
  n_on_wire = 0;
  open_leg(0);
  open_leg(1);
  deliver_all();
  tor_assert(is_linked(0, 2));
  pass(200000);
  pass(200000);
  MOCK(relay_send_command_from_edge_, stream_mock);
  hold_streams_of(client(0));
}

static void
set_full(int i, bool is_full)
{
  congestion_control_t *cc = paths[i].client->cpath->prev->ccontrol;
  cc->inflight = is_full ? cc->cwnd : 0;
}

/* A leg that is blocked has no room, and another takes over. Where none can, the set holds what is said. */
static void
test_hold_in_set(void *arg)
{
  (void) arg;
  hold_in_set(shut, 0);
  set_full(1, true);
  stream_reads(0, 1);
  tt_str_op(take_went(), OP_EQ, "d0");
  pass(1000);
  /* The first is blocked; the second has room. */
  set_full(1, false);
  stream_reads(0, 1);
  stream_says(1, RELAY_COMMAND_BEGIN);
  tt_str_op(take_went(), OP_EQ, "w1d1b1");
  /* Neither has room, and the stream stops. What is no DATA goes on the leg that sends. */
  set_full(1, true);
  stream_reads(0, 1);
  stream_says(1, RELAY_COMMAND_END);
  tt_str_op(take_went(), OP_EQ, "e1");
  tt_assert(!is_reading[0]);
  pass(110000);
  tt_str_op(take_went(), OP_EQ, "w0d0");
  tt_assert(is_reading[0] && is_reading[1]);
  /* Now that is the blocked one. */
  pass(1000);
  stream_says(1, RELAY_COMMAND_BEGIN);
  stream_reads(0, 1);
  tt_str_op(take_went(), OP_EQ, "");
  pass(110000);
  tt_str_op(take_went(), OP_EQ, "b0d0");
  /* It is a SENDME that makes room; what was said before is first. */
  pass(1000);
  stream_says(1, RELAY_COMMAND_END);
  stream_reads(0, 1);
  tt_str_op(take_went(), OP_EQ, "");
  set_full(1, false);
  read_mock(TO_CONN(&held_streams[0]));
  tt_str_op(take_went(), OP_EQ, "w1e1d1");
 done:
  hold_ends();
}

/* Padding lets out what a set holds, on the leg whose padding it stands for. The set ends while it holds more. */
static void
test_hold_set_lets_out(void *arg)
{
  (void) arg;
  hold_in_set(constant_rate, 1);
  take_went();
  set_full(0, true);
  stream_reads(0, 1);
  tt_str_op(take_went(), OP_EQ, "");
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "d1");
  stream_says(0, RELAY_COMMAND_BEGIN);
  stream_reads(0, 2);
  tt_str_op(take_went(), OP_EQ, "");
  static const char *const expected[] = { "b1", "d1", "d1", "p1" };
  for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
    pass(10200);
    tt_str_op(take_went(), OP_EQ, expected[i]);
  }
  stream_says(0, RELAY_COMMAND_END);
  stream_says(1, RELAY_COMMAND_END);
  pass(10200);
  tt_str_op(take_went(), OP_EQ, "e1");
  /* The leg that sends is lost, and the set with it. */
  circuit_mark_for_close(client(1), END_CIRC_REASON_FINISHED);
  tt_assert(client(0)->marked_for_close);
  tt_int_op(stream_says(1, RELAY_COMMAND_END), OP_EQ, -1);
  pass(20000);
  tt_str_op(take_went(), OP_EQ, "");
 done:
  hold_ends();
}

/* A set that holds too much is closed. */
static void
test_hold_set_is_full(void *arg)
{
  (void) arg;
  hold_in_set(shut, 0);
  set_full(1, true);
  stream_reads(0, 1);
  pass(1000);
  for (int i = 0; i < 1000; i++)
    tt_int_op(stream_says(0, RELAY_COMMAND_END), OP_EQ, 0);
  tt_int_op(stream_says(0, RELAY_COMMAND_END), OP_EQ, -1);
  tt_assert(client(0)->marked_for_close && client(1)->marked_for_close);
 done:
  hold_ends();
}

/* The leg that sends takes its set along, with legs that are not linked yet. */
static void
test_sending_leg_lost(void *arg)
{
  (void) arg;
  static edge_connection_t stream;
  uint8_t nonce[DIGEST256_LEN];
  set_up();
  link_set(2);
  use_both_legs(client(0), client(1), &stream);
  memcpy(nonce, client(0)->conflux->nonce, sizeof(nonce));
  tt_assert(conflux_launch_leg(nonce));
  tt_int_op(n_paths, OP_EQ, 3);
  cc_of(client(1))->inflight = 0;
  circuit_mark_for_close(client(1), END_CIRC_REASON_DESTROYED);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_FINISHED));
  tt_assert(client(2)->marked_for_close);
  tt_int_op(n_paths, OP_EQ, 3);
  tt_int_op(digest256map_size(get_linked_pool(true)), OP_EQ, 0);
  tt_int_op(digest256map_size(get_unlinked_pool(true)), OP_EQ, 0);
 done:
  tear_down();
}

/* A leg that closes while it is sent on takes the message along: no stream may go on without it. */
static void
close_in_switch(uint64_t inflight, int answer)
{
  static edge_connection_t stream;
  uint8_t nonce[DIGEST256_LEN];
  set_up();
  link_set(2);
  use_both_legs(client(0), client(1), &stream);
  memcpy(nonce, client(0)->conflux->nonce, sizeof(nonce));
  tt_assert(conflux_launch_leg(nonce));
  cc_of(client(0))->inflight = inflight;
  conflux_update_rtt(client(0)->conflux, client(1), 5000);
  tt_ptr_op(conflux_decide_next_circ(client(0)->conflux), OP_EQ, client(0));
  sending_closes = RELAY_COMMAND_CONFLUX_SWITCH;
  sending_answers = answer;
  tt_ptr_op(conflux_decide_circ_for_send(client(0)->conflux, client(1), RELAY_COMMAND_DATA), OP_EQ, NULL);
  for (int i = 0; i < 3; i++)
    tt_assert(client(i)->marked_for_close);
  tt_int_op(sets_left(), OP_EQ, digest256map_size(get_linked_pool(false)));
 done:
  tear_down();
}

static void
test_closed_in_switch(void *arg)
{
  (void) arg;
  /* circflow would let the set go on, or would not; tor says that the cell was sent, or that it was not. */
  close_in_switch(0, 0);
  close_in_switch(0, -1);
  close_in_switch(31, 0);
  close_in_switch(31, -1);
}

/* A leg is lost while a message of another set's handshake goes out: its set is over at once, although the adapter, in the
 * middle of what circflow asked for, closes the other leg only afterwards. */
static circuit_t *answer_meanwhile;

static void
lose_leg_and_ask(void)
{
  circuit_mark_for_close(client(0), END_CIRC_REASON_RESOURCELIMIT);
  answer_meanwhile = conflux_decide_next_circ(client(1)->conflux);
}

static void
test_closed_in_handshake(void *arg)
{
  (void) arg;
  set_up();
  link_set(2);
  cc_of(client(0))->inflight = 31;
  tt_ptr_op(conflux_decide_next_circ(client(1)->conflux), OP_NE, NULL);
  tt_assert(launch_new_set(1));
  while_sending = lose_leg_and_ask;
  answer_meanwhile = client(1);
  open_leg(2);
  tt_ptr_op(answer_meanwhile, OP_EQ, NULL);
  tt_assert(is_closed_for(client(1), END_CIRC_REASON_FINISHED));
  tt_assert(!client(2)->marked_for_close);
  deliver_all();
  tt_assert(is_linked(2, 1));
 done:
  tear_down();
}

/* Tor's padding sends on a leg that is being linked. */
static const node_t *
close_in_padding(origin_circuit_t *circ, int hop)
{
  (void) hop;
  circuit_mark_for_close(TO_CIRCUIT(circ), END_CIRC_REASON_RESOURCELIMIT);
  return NULL;
}

static void
test_closed_in_join(void *arg)
{
  (void) arg;
  circpad_machine_spec_t machine;
  memset(&machine, 0, sizeof(machine));
  machine.is_origin_side = 1;
  machine.target_hopnum = 2;
  machine.conditions.apply_purpose_mask = circpad_circ_purpose_to_mask(CIRCUIT_PURPOSE_CONFLUX_LINKED);
  machine.conditions.apply_state_mask = CIRCPAD_STATE_ALL;
  set_up();
  origin_padding_machines = smartlist_new();
  smartlist_add(origin_padding_machines, &machine);
  MOCK(circuit_get_nth_node, close_in_padding);
  /* Tor calls it a bug that a circuit is closed between two purposes. */
  setup_full_capture_of_logs(LOG_WARN);
  tor_capture_bugs_(16);
  link_set(2);
  tor_end_capture_bugs_();
  for (int i = 0; i < n_paths; i++)
    tt_assert(client(i)->marked_for_close);
  tt_int_op(digest256map_size(get_linked_pool(true)), OP_EQ, 0);
  tt_int_op(digest256map_size(get_unlinked_pool(true)), OP_EQ, 0);
 done:
  teardown_capture_of_logs();
  UNMOCK(circuit_get_nth_node);
  smartlist_free(origin_padding_machines);
  tear_down();
}

/* The set ends while a leg of it is launched. */
static void
test_closed_in_launch(void *arg)
{
  (void) arg;
  uint8_t nonce[DIGEST256_LEN];
  set_up();
  tt_assert(launch_new_set(1));
  memcpy(nonce, client(0)->conflux_pending_nonce, sizeof(nonce));
  launching_closes_set = true;
  setup_full_capture_of_logs(LOG_WARN);
  tt_assert(!conflux_launch_leg(nonce));
  expect_no_log_entry();
  tt_assert(client(0)->marked_for_close);
  tt_assert(client(1)->marked_for_close);
  tt_int_op(n_paths, OP_EQ, 2);
  tt_int_op(sets_left(), OP_EQ, 0);
  /* The circuit alone. */
  launching_closes_set = false;
  launching_closes = true;
  tt_assert(!launch_new_set(2));
  expect_no_log_entry();
  tt_int_op(n_paths, OP_EQ, 3);
  tt_int_op(sets_left(), OP_EQ, 0);
 done:
  teardown_capture_of_logs();
  tear_down();
}

/* What falls due while something else is done is done at once: when circuits are freed it is too late, as none can be
 * closed then. */
static void
test_due_in_launch(void *arg)
{
  (void) arg;
  set_up();
  tt_assert(launch_new_set(1));
  open_leg(0);
  clock_usec += 2000000;
  tt_assert(launch_new_set(1));
  tt_assert(client(0)->marked_for_close);
  tt_assert(!client(1)->marked_for_close);
 done:
  tear_down();
}

/* No leg is launched again when conflux has been switched off. */
static void
test_switched_off(void *arg)
{
  (void) arg;
  set_up();
  tt_assert(launch_new_set(2));
  get_options_mutable()->ConfluxEnabled = 0;
  open_leg(0);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(n_paths, OP_EQ, 2);
  open_leg(1);
  tt_assert(client(1)->marked_for_close);
  tt_int_op(n_paths, OP_EQ, 2);
  tt_int_op(sets_left(), OP_EQ, 0);
  arrive_link(exit_of(0), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(is_closed_for(exit_of(0), END_CIRC_REASON_TORPROTOCOL));
  tt_int_op(sent[RELAY_COMMAND_CONFLUX_LINKED], OP_EQ, 0);
  tear_down();

  /* Legs that are linked end with the next SWITCH. */
  set_up();
  get_options_mutable()->ConfluxEnabled = -1;
  link_set(2);
  get_options_mutable()->ConfluxEnabled = 0;
  arrive(exit_of(1), RELAY_COMMAND_CONFLUX_SWITCH, (const uint8_t *) "\0\0\0\1", 4);
  tt_assert(is_closed_for(exit_of(1), END_CIRC_REASON_TORPROTOCOL));
 done:
  get_options_mutable()->ConfluxEnabled = -1;
  tear_down();
}

/* A set whose one linked leg has gone unused lives on with a leg that is linked later, and the leg that has gone has
 * nothing to do with it any more. */
static void
test_revived(void *arg)
{
  (void) arg;
  uint8_t nonce[DIGEST256_LEN];
  set_up();
  link_set(1);
  memcpy(nonce, client(0)->conflux->nonce, sizeof(nonce));
  tt_assert(conflux_launch_leg(nonce));
  circuit_mark_for_close(client(0), END_CIRC_REASON_FINISHED);
  tt_ptr_op(client(0)->conflux, OP_EQ, NULL);
  n_on_wire = 0;
  tt_assert(!client(1)->marked_for_close);
  link_leg(1);
  tt_assert(is_linked(1, 1));
  conflux_circuit_about_to_free(client(0));
  tt_assert(is_linked(1, 1));
 done:
  tear_down();
}

/* A consensus with the lowest limits there can be. */
static void
test_low_limits(void *arg)
{
  (void) arg;
  networkstatus_t ns;
  memset(&ns, 0, sizeof(ns));
  ns.net_params = smartlist_new();
  ns.routerstatus_list = smartlist_new();
  set_up();
  smartlist_add(ns.net_params, (char *) "cfx_max_legs_set=3");
  smartlist_add(ns.net_params, (char *) "cfx_max_oooq_bytes=0");
  smartlist_add(ns.net_params, (char *) "cfx_max_unlinked_leg_retry=0");
  smartlist_add(ns.net_params, (char *) "cfx_num_legs_set=0");
  conflux_params_new_consensus(&ns);
  setup_full_capture_of_logs(LOG_WARN);
  for (n_paths = 0; n_paths < 4; n_paths++)
    new_exit();
  for (int i = 0; i < 3; i++) {
    arrive_link(exit_of(i), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
    tt_assert(exit_of(i)->conflux && !exit_of(i)->marked_for_close);
  }
  tt_assert(launch_new_set(1));
  tt_assert(!conflux_launch_leg(client(4)->conflux_pending_nonce));

  /* More legs to a set than one may have. */
  smartlist_del(ns.net_params, 3);
  smartlist_add(ns.net_params, (char *) "cfx_num_legs_set=255");
  conflux_params_new_consensus(&ns);
  tt_assert(launch_new_set(conflux_params_get_num_legs_set()));
  tt_int_op(n_paths, OP_EQ, 5 + 3);
  expect_no_log_entry();
  arrive_link(exit_of(3), RELAY_COMMAND_CONFLUX_LINK, nonce_a, 0);
  tt_assert(exit_of(3)->marked_for_close);
  /* And with more legs than circflow has. */
  smartlist_clear(ns.net_params);
  smartlist_add(ns.net_params, (char *) "cfx_max_legs_set=255");
  conflux_params_new_consensus(&ns);
  tt_int_op(conflux_params_get_max_legs_set(), OP_EQ, 255);
  tt_assert(launch_new_set(1));
 done:
  teardown_capture_of_logs();
  smartlist_clear(ns.net_params);
  conflux_params_new_consensus(&ns);
  smartlist_free(ns.net_params);
  smartlist_free(ns.routerstatus_list);
  tear_down();
}

/* Clients that open sets and never acknowledge: their time is over at once, when the exit does something again. However
 * many there are, they are closed one after the other, and not one from inside the other, for which the stack is too
 * small. */
static void
test_no_ack(void *arg)
{
  (void) arg;
  uint8_t nonce[DIGEST256_LEN] = "every circuit has another nonce";
  set_up();
  for (n_paths = 0; n_paths < 12; n_paths++) {
    new_exit();
    /* Two to a set. */
    nonce[0] = (uint8_t) (n_paths / 2);
    arrive_link(exit_of(n_paths), RELAY_COMMAND_CONFLUX_LINK, nonce, 0);
    tt_assert(exit_of(n_paths)->conflux);
  }
  clock_usec += 61 * 1000000;
  conflux_predict_new(0);
  for (int i = 0; i < n_paths; i++)
    tt_assert(exit_of(i)->marked_for_close);
  tt_int_op(closing_peak, OP_EQ, 1);
  tt_int_op(sets_left(), OP_EQ, 0);
 done:
  tear_down();
}

/* What an operator sees: two lines in the heartbeat, and samples of our own behind tor's. */
static void
test_figures(void *arg)
{
  (void) arg;
  char *text = NULL;
  buf_t *data = NULL;
  set_up();
  setup_full_capture_of_logs(LOG_NOTICE);
  tt_int_op(log_heartbeat(0), OP_EQ, 0);
  expect_log_msg_containing("Heartbeat: Tor's uptime is");
  expect_no_log_msg_containing("Conflux:");
  link_set(2);
  tt_int_op(log_heartbeat(0), OP_EQ, 0);
  /* The client and the exit of these tests share an engine. */
  expect_log_msg_containing("Conflux: 2 sets opened, 2 usable, 2 now. 4 legs linked, 0 lost.");
  expect_log_msg_containing("0 messages sent, 0 came in order, 0 were held for order");
  data = metrics_get_output(METRICS_FORMAT_PROMETHEUS);
  text = buf_extract(data, NULL);
  tt_assert(strstr(text, "# TYPE circflow_sets_opened_total counter\n"));
  tt_assert(strstr(text, "circflow_sets_opened_total{engine=\"conflux\",by=\"peer\"} 1\n"));
  tt_assert(strstr(text, "circflow_held_bytes{engine=\"conflux\",class=\"order\"} 0\n"));
  tt_assert(strstr(text, "circflow_reorder_depth_bucket{engine=\"conflux\",le=\"+Inf\"} 0\n"));
  tt_ptr_op(strstr(text, "# TYPE circflow_legs_linked_total"), OP_NE, NULL);
 done:
  tor_free(text);
  buf_free(data);
  teardown_capture_of_logs();
  tear_down();
}

/* ---- The algorithm that chooses legs ---- */

/* Both ends choose by these, also when a leg joins later, and when tor's field has been written to and set back. */
static void
expect_algorithms(const char *at_client, const char *at_exit)
{
  uint8_t nonce[DIGEST256_LEN];
  link_set(2);
  conflux_t *cfx = client(0)->conflux;
  tt_str_op(flow_algorithm_name(cfx), OP_EQ, at_client);
  tt_str_op(flow_algorithm_name(exit_of(0)->conflux), OP_EQ, at_exit);
  conflux_alg_t alg = cfx->params.alg;
  tt_int_op(exit_of(0)->conflux->params.alg == alg, OP_EQ, !strcmp(at_client, at_exit));
  tt_ptr_op(conflux_decide_next_circ(cfx), OP_NE, NULL);
  tt_int_op(cfx->params.alg, OP_EQ, alg);
  tt_str_op(flow_algorithm_name(cfx), OP_EQ, at_client);
  memcpy(nonce, cfx->nonce, sizeof(nonce));
  tt_assert(conflux_launch_leg(nonce));
  link_leg(2);
  tt_int_op(CONFLUX_NUM_LEGS(cfx), OP_EQ, 3);
  tt_str_op(flow_algorithm_name(cfx), OP_EQ, at_client);
  tt_str_op(flow_algorithm_name(exit_of(2)->conflux), OP_EQ, at_exit);
  static const conflux_alg_t tors[] = { CONFLUX_ALG_MINRTT, CONFLUX_ALG_LOWRTT, CONFLUX_ALG_CWNDRTT };
  static const char *const names[] = { "minrtt", "lowrtt", "cwndrtt" };
  for (size_t i = 0; i < ARRAY_LENGTH(tors); i++) {
    cfx->params.alg = tors[i];
    tt_ptr_op(conflux_decide_next_circ(cfx), OP_NE, NULL);
    tt_str_op(flow_algorithm_name(cfx), OP_EQ, names[i]);
    cfx->params.alg = alg;
    tt_ptr_op(conflux_decide_next_circ(cfx), OP_NE, NULL);
    tt_str_op(flow_algorithm_name(cfx), OP_EQ, at_client);
    tt_int_op(cfx->params.alg, OP_EQ, alg);
  }
  tt_int_op(sent[DESTROY], OP_EQ, 0);
 done:
  ;
}

static void
test_algorithm_names(void *arg)
{
  (void) arg;
  static const struct { const char *asked, *at_client, *at_exit, *said; } rows[] = {
    /* As the other end wishes: an exit the lowest latency, a client throughput. */
    { NULL, "minrtt", "ontime", NULL }, { "", "minrtt", "ontime", NULL }, { "ux", "minrtt", "ontime", NULL },
    { "UX", "minrtt", "ontime", NULL },
    { "minrtt", "minrtt", "minrtt", "chosen by minrtt" }, { "lowrtt", "lowrtt", "lowrtt", "chosen by lowrtt" },
    { "cwndrtt", "cwndrtt", "cwndrtt", "chosen by cwndrtt" }, { "ontime", "ontime", "ontime", "chosen by ontime" },
    { "OnTime", "ontime", "ontime", "chosen by ontime" }, { "ecf", "ecf", "ecf", "chosen by ecf" },
    { "blest", "blest", "blest", "chosen by blest" }, { "otias", "otias", "otias", "chosen by otias" },
    { "random", "random", "random", "chosen by random" },
    /* Said once, and the default is used. */
    { "fastest", "minrtt", "ontime", "is \"fastest\", which is no algorithm" },
    { "ontime ", "minrtt", "ontime", "The names are minrtt, lowrtt, cwndrtt, ontime, ecf, blest, otias, random" },
    { "on-time", "minrtt", "ontime", "which is no algorithm" }, { "4", "minrtt", "ontime", "which is no algorithm" },
    { "ecf,blest", "minrtt", "ontime", "which is no algorithm" },
  };
  for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
    TT_BLATHER(("row %d", (int) i));
    seam_choose_by(rows[i].asked);
    if (i == 0) {
      /* What circflow says once. */
      set_up();
      tear_down();
    }
    setup_full_capture_of_logs(LOG_NOTICE);
    set_up();
    expect_algorithms(rows[i].at_client, rows[i].at_exit);
    if (rows[i].said)
      expect_single_log_msg_containing(rows[i].said);
    else
      expect_no_log_entry();
    teardown_capture_of_logs();
    tear_down();
  }
  /* What nobody has written before, and tor has not, is a bug, and the end of the set. */
  seam_choose_by(NULL);
  set_up();
  link_set(2);
  setup_full_capture_of_logs(LOG_WARN);
  client(0)->conflux->params.alg = (conflux_alg_t) 33;
  tt_ptr_op(conflux_decide_next_circ(client(0)->conflux), OP_EQ, NULL);
  tt_assert(is_closed_for(client(0), END_CIRC_REASON_INTERNAL) && is_closed_for(client(1), END_CIRC_REASON_INTERNAL));
 done:
  teardown_capture_of_logs();
  tear_down();
}

/* The event loop runs until this is so, or so many times; by our clock more time passes than by its own. */
static bool
loop_until(bool (*is_so)(void), int times)
{
  struct timeval piece = { 0, 2000 };
  for (int i = 0; i < times && !is_so(); i++) {
    clock_usec += 10000;
    event_base_loopexit(tor_libevent_get_base(), &piece);
    event_base_loop(tor_libevent_get_base(), 0);
  }
  return is_so();
}

/* A leg that answers fast and takes little, and one that takes much and answers late: what went out on each, and when. */
#define FAR_CELLS 4096
static const uint64_t far_rtt_usec[2] = { 20000, 1000000 };
static uint64_t far_at[2][FAR_CELLS], far_sent[2], far_acked[2];
static circuit_t *far_legs[2];

/* Sends one DATA message; -1 when there is no leg for it. */
extern bool flow_others_write __attribute__((weak));

/* Between two questions of tor. */
static const uint64_t far_pause_usec = 3000;

static int
far_send(void)
{
  conflux_t *cfx = far_legs[0]->conflux;
  /* Tor asks, takes a cell of data from its stream, and asks again: what was said has to hold, or the data is lost. */
  bool is_promised = conflux_can_send(cfx);
  clock_usec += is_promised ? far_pause_usec : 0;
  circuit_t *circ = conflux_decide_circ_for_send(cfx, far_legs[0], RELAY_COMMAND_DATA);
  tor_assert(!is_promised || circ);
  if (!circ)
    return -1;
  int leg = circ == far_legs[1];
  conflux_note_cell_sent(cfx, circ, RELAY_COMMAND_DATA);
  cc_of(circ)->inflight++;
  far_at[leg][far_sent[leg]++ % FAR_CELLS] = clock_usec;
  n_on_wire = 0;
  return leg;
}

static void
far_acknowledge(int leg)
{
  far_acked[leg] += 31;
  cc_of(far_legs[leg])->inflight -= 31;
  conflux_update_rtt(far_legs[leg]->conflux, far_legs[leg], far_rtt_usec[leg]);
}

/* A set whose sender has learnt what its legs are like, and waits for the first although the second has room. */
static void
far_begin(bool is_client)
{
  /* The engine of the set before is still there, and time goes on for it. */
  uint64_t now = clock_usec;
  /* As in the program: else each question is new. */
  if (&flow_others_write)
    flow_others_write = false;
  set_up();
  clock_usec = MAX(clock_usec, now);
  get_circuit_build_times_mutable()->timeout_ms = 5000;
  tor_assert(launch_new_set(2));
  for (int leg = 0; leg < 2; leg++) {
    open_leg(leg);
    for (int i = 0; i < 3; i++)
      deliver_after(far_rtt_usec[leg] / 2);
  }
  tt_assert(is_linked(0, 2));
  memset(far_sent, 0, sizeof(far_sent));
  memset(far_acked, 0, sizeof(far_acked));
  for (int leg = 0; leg < 2; leg++) {
    far_legs[leg] = is_client ? client(leg) : exit_of(leg);
    cc_of(far_legs[leg])->cwnd = leg == 0 ? 62 : 1000;
    conflux_update_rtt(far_legs[leg]->conflux, far_legs[leg], far_rtt_usec[leg]);
  }
  for (int i = 0; i < 600; i++) {
    while (far_send() >= 0)
      ;
    clock_usec += 5000;
    for (int leg = 0; leg < 2; leg++) {
      while (far_sent[leg] - far_acked[leg] >= 31 &&
             far_at[leg][(far_acked[leg] + 30) % FAR_CELLS] + far_rtt_usec[leg] <= clock_usec)
        far_acknowledge(leg);
    }
  }
  while (far_send() >= 0)
    ;
  tt_u64_op(far_sent[0], OP_GT, 2000);
  tt_u64_op(cc_of(far_legs[1])->inflight, OP_LT, 1000);
  tt_assert(!conflux_can_send(far_legs[0]->conflux));
 done:
  ;
}

static int reading_started;
static connection_t *started[8];

static void
start_mock(connection_t *conn)
{
  tor_assert(reading_started < 8);
  started[reading_started++] = conn;
  /* As tor does with what it has read already. */
  far_send();
}

static bool
has_started(void)
{
  return reading_started > 0;
}

static bool
was_started(const edge_connection_t *stream)
{
  for (int i = 0; i < reading_started; i++) {
    if (started[i] == &stream->base_)
      return true;
  }
  return false;
}

static void
give_stream(edge_connection_t *stream)
{
  memset(stream, 0, sizeof(*stream));
  stream->on_circuit = far_legs[0];
  stream->package_window = 1;
  if (CIRCUIT_IS_ORIGIN(far_legs[0])) {
    stream->base_.magic = EDGE_CONNECTION_MAGIC;
    stream->cpath_layer = TO_ORIGIN_CIRCUIT(far_legs[0])->cpath->prev;
    stream->next_stream = TO_ORIGIN_CIRCUIT(far_legs[0])->p_streams;
    conflux_update_p_streams(TO_ORIGIN_CIRCUIT(far_legs[0]), stream);
  } else {
    stream->next_stream = TO_OR_CIRCUIT(far_legs[0])->n_streams;
    conflux_update_n_streams(TO_OR_CIRCUIT(far_legs[0]), stream);
  }
}

static void
wait_is_over(const char *algorithm, bool is_client)
{
  static edge_connection_t streams[4];
  TT_BLATHER(("%s at %s", algorithm, is_client ? "a client" : "an exit"));
  seam_choose_by(algorithm);
  far_begin(is_client);
  for (size_t i = 0; i < ARRAY_LENGTH(streams); i++)
    give_stream(&streams[i]);
  streams[1].xoff_received = 1;
  streams[2].base_.marked_for_close = 1;
  reading_started = 0;
  MOCK(connection_start_reading, start_mock);
  /* The first leg falls silent. No SENDME comes any more, and nobody asks. */
  tt_assert(loop_until(has_started, 3000));
  tt_int_op(reading_started, OP_EQ, 2);
  tt_assert(was_started(&streams[0]) && was_started(&streams[3]));
  tt_u64_op(cc_of(far_legs[0])->inflight, OP_EQ, 62);
  tt_u64_op(far_sent[1] - far_acked[1], OP_GT, 1);
 done:
  UNMOCK(connection_start_reading);
  tear_down();
}

/* DATA waits for a better leg although one has room. Tor has stopped the streams, and nothing that tor hears of will
 * ever start them. */
static void
test_wait_is_over(void *arg)
{
  (void) arg;
  static const char *const waiting[] = { "ontime", "ecf", "blest", "otias" };
  for (size_t i = 0; i < ARRAY_LENGTH(waiting); i++) {
    wait_is_over(waiting[i], false);
    wait_is_over(waiting[i], true);
  }
}

static bool
never(void)
{
  return false;
}

/* Tor hears of room while it asks for something else, and the streams are started by the event loop, once. */
static void
test_asked_in_between(void *arg)
{
  (void) arg;
  static edge_connection_t stream;
  seam_choose_by("ontime");
  far_begin(false);
  give_stream(&stream);
  reading_started = 0;
  MOCK(connection_start_reading, start_mock);
  far_acknowledge(0);
  tt_assert(conflux_can_send(far_legs[0]->conflux));
  tt_assert(conflux_can_send(far_legs[0]->conflux));
  tt_int_op(reading_started, OP_EQ, 0);
  tt_assert(loop_until(has_started, 3000));
  event_base_loop(tor_libevent_get_base(), EVLOOP_NONBLOCK);
  tt_int_op(reading_started, OP_EQ, 1);
  tear_down();

  /* Where the channel is full, tor does not ask when a SENDME comes: circflow hears of it nevertheless. */
  far_begin(false);
  give_stream(&stream);
  reading_started = 0;
  far_acknowledge(0);
  tt_assert(loop_until(has_started, 3000));
  tt_int_op(reading_started, OP_EQ, 1);
  tear_down();

  /* Its set ends before that. */
  far_begin(false);
  give_stream(&stream);
  reading_started = 0;
  far_acknowledge(0);
  tt_assert(conflux_can_send(far_legs[0]->conflux));
  tear_down();
  tt_assert(!loop_until(never, 20));
  tt_int_op(reading_started, OP_EQ, 0);
 done:
  UNMOCK(connection_start_reading);
}

static bool
first_has_closed(void)
{
  return client(0)->marked_for_close;
}

/* LINKED does not come. Nothing else happens, and the leg is closed in time. */
static void
test_alarm(void *arg)
{
  (void) arg;
  seam_choose_by(NULL);
  set_up();
  get_circuit_build_times_mutable()->timeout_ms = 20;
  tt_assert(launch_new_set(1));
  open_leg(0);
  tt_assert(loop_until(first_has_closed, 3000));
 done:
  tear_down();
}

#define ONE(name) { #name, test_ ## name, TT_FORK, NULL, NULL }
struct testcase_t conflux_pool_tests[] = {
  ONE(handshake), ONE(rtt), ONE(linked_twice), ONE(ack_twice), ONE(linked_wrong), ONE(link_wrong), ONE(wrong_end),
  ONE(legs_limit), ONE(last_unlinked_lost), ONE(relaunch), ONE(launch_limit), ONE(no_answer), ONE(in_flight),
  ONE(why_a_leg_closed),
  ONE(sending_leg_lost), ONE(closed_in_switch), ONE(closed_in_handshake), ONE(closed_in_join), ONE(closed_in_launch),
  ONE(due_in_launch), ONE(switched_off), ONE(revived), ONE(low_limits), ONE(no_ack), ONE(streams_shared),
  ONE(streams_too_early),
  ONE(chosen_leg_lost), ONE(closed_by_tor), ONE(client_messages), ONE(kept_open), ONE(path_tried), ONE(oom_sets),
  ONE(oom_once), ONE(oom_account), ONE(ahead), ONE(relays_beside),
  ONE(padding), ONE(hold), ONE(hold_lets_out), ONE(hold_padding), ONE(hold_at_exit),
  ONE(hold_exit_lets_out), ONE(hold_at_middle), ONE(hold_in_set), ONE(hold_set_lets_out), ONE(hold_set_is_full),
  ONE(figures), ONE(algorithm_names), ONE(wait_is_over), ONE(asked_in_between), ONE(alarm),
  END_OF_TESTCASES
};
