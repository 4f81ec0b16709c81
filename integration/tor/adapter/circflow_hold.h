/* What a padding machine's block holds back. Part of conflux.c. License: MIT OR Apache-2.0.
 *
 * Tor encrypts a cell when it queues it, and what is encrypted has to go out in that order. So a block takes hold before:
 *
 *   - DATA stays in its stream. The package window is 0, or in a set the leg has no room (flow_leg_look), so that tor
 *     stops reading, as ever. It is reported when it goes.
 *   - What else streams say waits here, in order, and DATA behind it: BEGIN, CONNECTED, RESOLVE, RESOLVED, END, XON and
 *     XOFF, as in circflow's own circuits. In a set it belongs to the set, and has no leg yet.
 *   - SENDME, LINK, EXTEND, PADDING_NEGOTIATE and other control goes: without it circuits would fail, and not wait.
 *   - A cell that only passes a relay is encrypted already. Where cells pass, nothing is held; the log says so once. */
#ifndef TOR_CIRCFLOW_HOLD_H
#define TOR_CIRCFLOW_HOLD_H

#include "core/or/or.h"

#include "core/mainloop/connection.h"
#include "core/mainloop/mainloop.h"
#include "core/or/circuitlist.h"
#include "core/or/conflux_util.h"
#include "core/or/connection_edge.h"
#include "core/or/edge_connection_st.h"
#include "core/or/or_circuit_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/relay.h"
#include "ext/ht.h"
#include "lib/crypt_ops/crypto_rand.h"

#include "circflow.h"
#include "circflow_hooks.h"
#include "circflow_sets.h"

/* Messages that a circuit or a set holds, and padding cells that a circuit does. More than are ever due: only somebody who
 * wants our memory gets here. */
#define HELD_MAX 1000

/* A circuit with a padder, or one that has asked for it. */
typedef struct pad_circ_t {
  HT_ENTRY(pad_circ_t) node;
  circuit_t *circ;
  struct circflow_circuit_id id;
  /* As many as it had when it was built; 0 at a relay. A circuit that is used for something else grows longer, and
   * whatever goes further than the padder's hop is the same to the padder. */
  uint8_t hops;
  bool is_client;
  /* Its cells are held, and padding with BYPASS may pass. */
  bool is_blocked;
  bool is_bypassable;
  /* One cell may go all the same, in place of padding. */
  bool lets_out;
  /* What is held; on a leg the set has it. NULL mostly. */
  smartlist_t *held;
  /* Padding cells that wait, too. */
  unsigned paddings;
  /* Blocks that began; messages that were held; cells that went in place of padding, and those that no block should have
   * let go. */
  uint64_t blocks;
  uint64_t n_held;
  uint64_t n_let_out;
  uint64_t n_escaped;
} pad_circ_t;

/* A message that waits, and the hop that it goes to. */
typedef struct held_t {
  streamid_t stream_id;
  uint8_t command;
  uint8_t hop;
  uint16_t len;
  uint8_t body[];
} held_t;

/* circflow_pad.h: a padding cell to the padder's other end, and the hop that tor calls so. */
static bool pad_send_drop(const pad_circ_t *pad);
static uint8_t pad_hop_of(const pad_circ_t *pad, const crypt_path_t *layer);

static HT_HEAD(pad_map, pad_circ_t) pads = HT_INITIALIZER();
unsigned flow_blocks = 0;
/* Sets that hold something. */
static unsigned holding_sets = 0;
/* The message that is being sent by us. */
static const held_t *hold_passing = NULL;

static inline int
pad_eq(const pad_circ_t *a, const pad_circ_t *b)
{
  return a->circ == b->circ;
}

static inline unsigned
pad_hash(const pad_circ_t *pad)
{
  return (unsigned) (((uintptr_t) pad->circ >> 4) * 2654435761u);
}

HT_PROTOTYPE(pad_map, pad_circ_t, node, pad_hash, pad_eq);
HT_GENERATE2(pad_map, pad_circ_t, node, pad_hash, pad_eq, 0.6, tor_reallocarray_, tor_free_);

/* NULL where there is no padder. */
static inline pad_circ_t *
pad_of(const circuit_t *circ)
{
  pad_circ_t key;
  if (PREDICT_LIKELY(HT_EMPTY(&pads)))
    return NULL;
  key.circ = (circuit_t *) circ;
  return HT_FIND(pad_map, &pads, &key);
}

/* ---- Questions ---- */

bool
flow_block_holds(const circuit_t *circ)
{
  const pad_circ_t *pad = pad_of(circ);
  return pad && pad->is_blocked && !pad->lets_out;
}

/* Does a message of this command wait in a block? DATA waits in its stream. */
static bool
hold_waits(uint8_t command)
{
  switch (command) {
    case RELAY_COMMAND_BEGIN:
    case RELAY_COMMAND_BEGIN_DIR:
    case RELAY_COMMAND_CONNECTED:
    case RELAY_COMMAND_RESOLVE:
    case RELAY_COMMAND_RESOLVED:
    case RELAY_COMMAND_END:
    case RELAY_COMMAND_XON:
    case RELAY_COMMAND_XOFF:
      return true;
    default:
      return false;
  }
}

static inline int
held_count(const smartlist_t *held)
{
  return held ? smartlist_len(held) : 0;
}

static edge_connection_t *
hold_streams(circuit_t *circ)
{
  return CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->p_streams : TO_OR_CIRCUIT(circ)->n_streams;
}

/* Could a stream send DATA, if it had any and there were no block? */
static bool
hold_is_open(const edge_connection_t *stream)
{
  return !stream->base_.marked_for_close && stream->package_window > 0 && !stream->xoff_received;
}

/* A stream with DATA that waits: any of them, as the first would always be the same. */
static edge_connection_t *
hold_stream(circuit_t *circ)
{
  edge_connection_t *found = NULL;
  unsigned count = 0;
  for (edge_connection_t *stream = hold_streams(circ); stream; stream = stream->next_stream) {
    if (hold_is_open(stream) && connection_get_inbuf_len(TO_CONN(stream)) > 0 &&
        crypto_fast_rng_one_in_n(get_thread_fast_rng(), ++count))
      found = stream;
  }
  return found;
}

/* ---- What is held ---- */

static void
hold_drop(smartlist_t **held)
{
  if (!*held)
    return;
  SMARTLIST_FOREACH(*held, held_t *, message, tor_free(message));
  smartlist_free(*held);
}

void
flow_set_drop_held(flow_set_t *set)
{
  if (!set->held)
    return;
  holding_sets--;
  hold_drop(&set->held);
}

static void
keep_message(smartlist_t **held, streamid_t stream_id, uint8_t command, uint8_t hop, const char *body, size_t len)
{
  held_t *message = tor_malloc(sizeof(*message) + len);
  *message = (held_t) { .stream_id = stream_id, .command = command, .hop = hop, .len = (uint16_t) len };
  if (len > 0)
    memcpy(message->body, body, len);
  if (!*held)
    *held = smartlist_new();
  smartlist_add(*held, message);
}

/* Sends the oldest on this circuit, or on the leg that tor chooses; the list is not looked at afterwards. */
static void
hold_send_first(smartlist_t *held, circuit_t *circ)
{
  held_t *message = smartlist_get(held, 0);
  const held_t *outer = hold_passing;
  smartlist_del_keeporder(held, 0);
  crypt_path_t *hop = !CIRCUIT_IS_ORIGIN(circ) ? NULL : circ->conflux ? conflux_get_destination_hop(circ) :
    circuit_get_cpath_hop(TO_ORIGIN_CIRCUIT(circ), message->hop);
  /* A hop that is gone has nobody to tell. */
  if (!circ->marked_for_close && (hop || !CIRCUIT_IS_ORIGIN(circ))) {
    hold_passing = message;
    (void) relay_send_command_from_edge(message->stream_id, circ, message->command, (const char *) message->body,
                                        message->len, hop);
    hold_passing = outer;
  }
  tor_free(message);
}

bool
flow_set_flush_held(flow_set_t *set)
{
  flow_set_hold(set);
  while (held_count(set->held) > 0) {
    circuit_t *circ = flow_set_choose(set, ((held_t *) smartlist_get(set->held, 0))->command);
    if (!circ || flow_is_held(circ))
      break;
    hold_send_first(set->held, circ);
  }
  bool is_done = held_count(set->held) == 0;
  if (is_done)
    flow_set_drop_held(set);
  flow_set_release(set);
  return is_done;
}

/* ---- What tor asks ---- */

bool
flow_pad_may_package(circuit_t *circ)
{
  if (PREDICT_LIKELY(flow_blocks == 0 && holding_sets == 0))
    return true;
  /* Tor asks for a leg later; but what is held goes before DATA. */
  if (circ->conflux)
    return !flow_set_of(circ->conflux)->held || flow_set_flush_held(flow_set_of(circ->conflux));
  return !flow_is_held(circ);
}

/* The circuit whose block a message has to wait for; NULL where it may go. */
static circuit_t *
hold_blocker(circuit_t *circ, uint8_t command)
{
  if (circ->conflux) {
    flow_set_t *set = flow_set_of(circ->conflux);
    if (set->held)
      (void) flow_set_flush_held(set);
    circ = circ->conflux ? flow_set_choose(set, command) : NULL;
  }
  return circ && flow_is_held(circ) ? circ : NULL;
}

bool
flow_pad_holds(streamid_t stream_id, circuit_t *circ, uint8_t command, const char *body, size_t len,
               const crypt_path_t *layer)
{
  if (PREDICT_LIKELY(flow_blocks == 0 && holding_sets == 0))
    return false;
  if (!hold_waits(command) || circ->marked_for_close || (hold_passing && body == (const char *) hold_passing->body))
    return false;
  circuit_t *blocker = hold_blocker(circ, command);
  if (!blocker || circ->marked_for_close)
    return false;
  pad_circ_t *pad = pad_of(blocker);
  flow_set_t *set = circ->conflux ? flow_set_of(circ->conflux) : NULL;
  smartlist_t **held = set ? &set->held : &pad->held;
  if (held_count(*held) >= HELD_MAX) {
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Too many messages wait for a block of padding to end. Closing circuit.");
    circuit_mark_for_close(circ, END_CIRC_REASON_RESOURCELIMIT);
    return true;
  }
  if (set && !set->held)
    holding_sets++;
  keep_message(held, stream_id, command, set ? 0 : pad_hop_of(pad, layer), body, len);
  pad->n_held++;
  return true;
}

/* ---- A block, from its beginning to its end ---- */

static void
hold_begin(pad_circ_t *pad, bool is_bypassable)
{
  static bool has_told = false;
  if (!pad->is_client && pad->circ->n_chan) {
    if (!has_told)
      log_notice(LD_CIRC, "A padding machine wants to hold back cells that pass this relay. Tor cannot: they go on.");
    has_told = true;
    return;
  }
  pad->is_bypassable = is_bypassable;
  if (pad->is_blocked)
    return;
  pad->is_blocked = true;
  pad->blocks++;
  flow_blocks++;
}

/* A cell of a stream went out on a circuit. */
static void
hold_note_sent(pad_circ_t *pad, uint8_t command)
{
  if (!pad->is_blocked || (command != RELAY_COMMAND_DATA && !hold_waits(command)))
    return;
  if (pad->lets_out)
    pad->n_let_out++;
  else
    pad->n_escaped++;
  pad->lets_out = false;
}

/* Is there a cell that would go, if it could? */
static bool
hold_has_any(const pad_circ_t *pad)
{
  circuit_t *circ = pad->circ;
  return pad->paddings > 0 || held_count(circ->conflux ? flow_set_of(circ->conflux)->held : pad->held) > 0 ||
    hold_stream(circ);
}

/* One stream sends one cell, if it can. */
static void
hold_let_stream(circuit_t *circ)
{
  int one = 1;
  edge_connection_t *stream = hold_stream(circ);
  if (stream && connection_edge_package_raw_inbuf(stream, 1, &one) < 0)
    connection_mark_for_close(TO_CONN(stream));
  if (hold_stream(circ))
    return;
  /* All were stopped, also those of which nothing has been read: what comes next has to be seen. */
  for (stream = hold_streams(circ); stream; stream = stream->next_stream) {
    if (hold_is_open(stream))
      connection_start_reading(TO_CONN(stream));
  }
}

/* Lets the oldest cell go that can go on this circuit. True if there was one. */
static bool
hold_let_out(pad_circ_t *pad)
{
  circuit_t *circ = pad->circ;
  flow_set_t *set = circ->conflux ? flow_set_of(circ->conflux) : NULL;
  smartlist_t *held = set ? set->held : pad->held;
  uint64_t before = pad->n_let_out;
  if (circ->marked_for_close)
    return false;
  pad->lets_out = true;
  if (set)
    flow_set_hold(set);
  if (held_count(held) == 0)
    hold_let_stream(circ);
  else if (!set || flow_set_choose(set, ((held_t *) smartlist_get(held, 0))->command) == circ)
    hold_send_first(held, circ);
  if (set && set->held && smartlist_len(set->held) == 0)
    flow_set_drop_held(set);
  if (set)
    flow_set_release(set);
  pad->lets_out = false;
  if (pad->n_let_out > before)
    return true;
  if (pad->paddings == 0)
    return false;
  pad->paddings--;
  return pad_send_drop(pad);
}

/* All goes. `pads_on` is false when the padder is gone, whose padding is then not wanted any more. */
static void
hold_end(pad_circ_t *pad, bool pads_on)
{
  circuit_t *circ = pad->circ;
  if (!pad->is_blocked)
    return;
  pad->is_blocked = false;
  flow_blocks--;
  for (; pads_on && pad->paddings > 0; pad->paddings--)
    (void) pad_send_drop(pad);
  pad->paddings = 0;
  /* At once, as what goes may begin the next block. */
  if (circ->conflux) {
    flow_set_resume(flow_set_of(circ->conflux));
    return;
  }
  while (held_count(pad->held) > 0)
    hold_send_first(pad->held, circ);
  hold_drop(&pad->held);
  if (!circ->marked_for_close)
    flow_resume_streams(circ, NULL);
}

/* The circuit is being freed. */
static void
hold_forget(pad_circ_t *pad)
{
  hold_drop(&pad->held);
  if (!pad->is_blocked)
    return;
  pad->is_blocked = false;
  flow_blocks--;
}

#endif /* !defined(TOR_CIRCFLOW_HOLD_H) */
