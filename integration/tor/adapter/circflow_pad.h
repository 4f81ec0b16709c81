/* Padding for C Tor by circflow: machines of maybenot, beside tor's own circuitpadding.c, which goes on as it is. Part
 * of conflux.c. License: MIT OR Apache-2.0.
 *
 * It is off unless an option names a file with padding machines, one a line (flow_option_padding): one for a client, which
 * runs them with a hop of its general circuits and conflux legs, and one for a relay, which runs them when a client asks.
 *
 * The client asks with PADDING_NEGOTIATE, under a number that stock tor does not know and refuses; it then stops.
 *
 * The hooks, which circflow_hooks.h lists, hear of a cell before tor's own circuitpadding.c does. Nothing is sent from
 * inside a hook: instructions are taken when the event loop is back.
 *
 * What a machine's block holds back is in circflow_hold.h. */
#ifndef TOR_CIRCFLOW_PAD_H
#define TOR_CIRCFLOW_PAD_H

#include "core/or/or.h"

#include "app/config/config.h"
#include "core/or/channel.h"
#include "core/or/circuitbuild.h"
#include "core/or/circuitlist.h"
#include "core/or/circuitmux.h"
#include "core/or/circuitpadding.h"
#include "core/or/circuituse.h"
#include "core/or/crypt_path_st.h"
#include "core/or/extend_info_st.h"
#include "core/or/or_circuit_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/relay.h"
#include "feature/nodelist/networkstatus.h"
#include "feature/nodelist/node_st.h"
#include "feature/nodelist/nodelist.h"
#include "feature/nodelist/routerstatus_st.h"
#include "feature/stats/rephist.h"
#include "lib/crypt_ops/crypto_rand.h"
#include "lib/crypt_ops/crypto_util.h"
#include "lib/evloop/timers.h"
#include "lib/time/compat_time.h"

#include "circflow.h"
#include "circflow_hold.h"
#include "circflow_hooks.h"
#include "circflow_sets.h"

/* What the negotiation calls our machines: far from tor's own numbers, which begin at 0. */
#define PAD_NUMBER 200
/* Shorter circuits are not for streams. */
#define PAD_HOPS_MIN 3
/* Tor's circpad_max_circ_queued_cells: the default of circflow, too. */
#define PAD_QUEUED_MAX 1000
/* Instructions that are carried out before the event loop has its turn. */
#define PAD_STEPS_MAX 500

static enum { PAD_UNKNOWN, PAD_OFF, PAD_ON } pad_state = PAD_UNKNOWN;
static struct circflow_engine *pad_engine = NULL;
static bool pads_as_client = false;
static bool pads_as_relay = false;
/* The hop that a client pads with. */
static uint8_t pad_hop = 0;
/* What is being sent is circflow's own, which it knows of already. */
static bool pad_is_sending = false;
static bool pad_is_woken = false;
static uint64_t pad_armed_ns = CIRCFLOW_NEVER;
static tor_timer_t *pad_timer = NULL;
static mainloop_event_t *pad_event = NULL;

static inline uint64_t
pad_now(void)
{
  return monotime_absolute_usec() * 1000;
}

/* ---- Setting up ---- */

/* Loads machines, if there are any, and says what the number means in this role. False when there are none, or they will
 * not do. */
static bool
pad_load(uint8_t role)
{
  struct circflow_padding_config config;
  struct circflow_machines_id machines;
  char detail[160] = "";
  const char *path = NULL;
  char *text = flow_option_padding(role == CIRCFLOW_ROLE_CLIENT, &path);
  if (!text)
    return false;
  int32_t status = circflow_machines_load(pad_engine, text, strlen(text), &machines);
  tor_free(text);
  if (status == CIRCFLOW_OK)
    status = circflow_padding_config_init(&config, sizeof(config));
  if (status == CIRCFLOW_OK) {
    config.machines = machines;
    config.hop = role == CIRCFLOW_ROLE_CLIENT ? pad_hop : 0;
    config.queued_cells_max = PAD_QUEUED_MAX;
    status = circflow_padding_register(pad_engine, role, PAD_NUMBER, &config);
  }
  if (status == CIRCFLOW_OK) {
    log_notice(LD_CIRC, "circflow: padding machines of %s are loaded.", path);
    return true;
  }
  (void) circflow_engine_get_last_detail(pad_engine, detail, sizeof(detail), NULL);
  log_warn(LD_CONFIG, "circflow: %s: %s (%s). No padding.", path, circflow_status_text(status), detail);
  return false;
}

static void pad_on_timer(tor_timer_t *timer, void *arg, const struct monotime_t *now);
static void pad_on_event(mainloop_event_t *event, void *arg);

static void
pad_start(void)
{
  struct circflow_engine_config config;
  pad_state = PAD_OFF;
  if (!flow_option_pads())
    return;
  if (!flow_went_well(circflow_engine_config_init(&config, sizeof(config)), "config"))
    return;
  /* What machines draw must not be foretold. */
  crypto_rand((char *) config.seed, sizeof(config.seed));
  config.engine_number = 2;
  bool made = flow_went_well(circflow_engine_new(&config, &pad_engine), "engine");
  memwipe(config.seed, 0, sizeof(config.seed));
  if (!made)
    return;
  flow_trace_begin(pad_engine);
  flow_figures_begin(pad_engine, true);
  pad_hop = flow_option_padding_hop();
  pads_as_client = pad_load(CIRCFLOW_ROLE_CLIENT);
  pads_as_relay = pad_load(CIRCFLOW_ROLE_RELAY);
  pad_event = mainloop_event_new(pad_on_event, NULL);
  pad_state = PAD_ON;
}

static inline bool
pad_is_on(void)
{
  if (PREDICT_UNLIKELY(pad_state == PAD_UNKNOWN))
    pad_start();
  return pad_state == PAD_ON;
}

static pad_circ_t *
pad_new(circuit_t *circ)
{
  struct circflow_circuit_config config;
  pad_circ_t *pad = pad_of(circ);
  if (pad)
    return pad;
  if (!flow_went_well(circflow_circuit_config_init(&config, sizeof(config)), "config"))
    return NULL;
  pad = tor_malloc_zero(sizeof(*pad));
  pad->circ = circ;
  pad->is_client = CIRCUIT_IS_ORIGIN(circ);
  config.tag = (uint64_t) (uintptr_t) pad;
  config.role = pad->is_client ? CIRCFLOW_ROLE_CLIENT : CIRCFLOW_ROLE_RELAY;
  config.hops = pad->hops = pad->is_client ? (uint8_t) circuit_get_cpath_len(TO_ORIGIN_CIRCUIT(circ)) : 0;
  /* Tor's own machines may run here too; and the queue is tor's, so that we are asked what becomes of padding. */
  config.flags = CIRCFLOW_CIRCUIT_OTHER_PADDER | CIRCFLOW_CIRCUIT_OWN_QUEUE;
  if (!pad->is_client && circ->n_chan)
    config.flags |= CIRCFLOW_CIRCUIT_EXTENDED;
  if (!flow_went_well(circflow_circuit_open(pad_engine, pad_now(), &config, &pad->id), "padded circuit")) {
    tor_free(pad);
    return NULL;
  }
  HT_INSERT(pad_map, &pads, pad);
  return pad;
}

/* Writes what a padder did into tor's log: the overhead, and what network.py compares at both ends. */
static void
pad_log_figures(const pad_circ_t *pad)
{
  struct circflow_padding_stats stats;
  stats.size = sizeof(stats);
  if (circflow_padding_get_stats(pad_engine, pad->id, pad->is_client ? pad_hop : 0, 0, &stats) != CIRCFLOW_OK) {
    log_info(LD_CIRC, "circflow: no padder on a %s's circuit at its end", pad->is_client ? "client" : "relay");
    return;
  }
  log_info(LD_CIRC, "circflow: padding ended at a %s: normal-sent %" PRIu64 " padding-sent %" PRIu64
           " replaced %" PRIu64 " refused %" PRIu64 " normal-recv %" PRIu64 " padding-recv %" PRIu64
           " blocks %" PRIu64 " held %" PRIu64 " let-out %" PRIu64 " escaped %" PRIu64,
           pad->is_client ? "client" : "relay", stats.normal_sent, stats.padding_sent, stats.replaced,
           stats.refused, stats.normal_received, stats.padding_received, pad->blocks, pad->n_held, pad->n_let_out,
           pad->n_escaped);
}

static void
pad_free(pad_circ_t *pad)
{
  pad_log_figures(pad);
  hold_forget(pad);
  flow_went_well(circflow_circuit_gone(pad_engine, pad_now(), pad->id), "padded circuit closed");
  HT_REMOVE(pad_map, &pads, pad);
  tor_free(pad);
}

static void
pad_stop(void)
{
  pad_circ_t **at;
  while ((at = HT_START(pad_map, &pads)))
    pad_free(*at);
  HT_CLEAR(pad_map, &pads);
  flow_trace_end(pad_engine);
  flow_figures_end(true);
  flow_went_well(circflow_engine_free(pad_engine, NULL, NULL), "end of padding");
  pad_engine = NULL;
  if (pad_timer)
    timer_free(pad_timer);
  mainloop_event_free(pad_event);
  pad_armed_ns = CIRCFLOW_NEVER;
  pad_is_woken = pads_as_client = pads_as_relay = false;
  pad_state = PAD_OFF;
}

/* ---- Doing what circflow says ---- */

/* Cells that wait to be written, towards whom we pad. */
static inline int
pad_queued(const circuit_t *circ)
{
  return CIRCUIT_IS_ORIGIN(circ) ? circ->n_chan_cells.n : CONST_TO_OR_CIRCUIT(circ)->p_chan_cells.n;
}

/* Sends a cell of circflow's by tor's own function. False when it did not go out. */
static bool
pad_send(circuit_t *circ, uint8_t command, uint8_t hop, const uint8_t *body, size_t len)
{
  crypt_path_t *target = NULL;
  if (circ->marked_for_close)
    return false;
  if (CIRCUIT_IS_ORIGIN(circ)) {
    target = circuit_get_cpath_hop(TO_ORIGIN_CIRCUIT(circ), hop);
    if (!target || target->state != CPATH_STATE_OPEN)
      return false;
  }
  pad_is_sending = true;
  int sent = relay_send_command_from_edge(0, circ, command, (const char *) body, len, target);
  pad_is_sending = false;
  if (sent < 0)
    return false;
  if (command == RELAY_COMMAND_DROP)
    rep_hist_padding_count_write(PADDING_TYPE_DROP);
  return true;
}

static bool
pad_send_drop(const pad_circ_t *pad)
{
  return pad_send(pad->circ, RELAY_COMMAND_DROP, pad->is_client ? pad_hop : 0, NULL, 0);
}

/* A padding cell is due: the table of CIRCFLOW_INSN_PADDING. */
static uint8_t
pad_do_padding(pad_circ_t *pad, uint8_t flags)
{
  bool replaces = (flags & CIRCFLOW_PADDING_REPLACE) != 0;
  bool passes = !pad->is_blocked || (pad->is_bypassable && (flags & CIRCFLOW_PADDING_BYPASS));
  int queued = pad_queued(pad->circ);
  if (queued > PAD_QUEUED_MAX || (replaces && queued > 0))
    return CIRCFLOW_ANSWER_REPLACED;
  if (passes) {
    if (replaces && pad->is_blocked && hold_let_out(pad))
      return CIRCFLOW_ANSWER_RELEASED;
    return pad_send_drop(pad) ? CIRCFLOW_ANSWER_SENT : CIRCFLOW_ANSWER_REFUSED;
  }
  if (replaces && hold_has_any(pad))
    return CIRCFLOW_ANSWER_REPLACED;
  if (pad->circ->marked_for_close || pad->paddings >= HELD_MAX)
    return CIRCFLOW_ANSWER_REFUSED;
  pad->paddings++;
  return CIRCFLOW_ANSWER_SENT;
}

static void
pad_obey_padding(pad_circ_t *pad, const struct circflow_insn *insn)
{
  const struct circflow_insn_padding *padding = &insn->detail.padding;
  uint8_t answer = pad_do_padding(pad, padding->flags);
  if (padding->flags & CIRCFLOW_PADDING_ASKS)
    (void) circflow_padding_answered(pad_engine, pad_now(), insn->circuit, padding, answer);
}

/* Is there a padder still, for which padding may go out? */
static bool
pad_is_padded(const pad_circ_t *pad)
{
  struct circflow_padding_stats stats;
  stats.size = sizeof(stats);
  return circflow_padding_get_stats(pad_engine, pad->id, pad->is_client ? pad_hop : 0, 0, &stats) == CIRCFLOW_OK;
}

static void
pad_obey(const struct circflow_insn *insn, const uint8_t *body)
{
  /* A circuit that was freed is one that circflow was told of, and it says nothing more of it. */
  pad_circ_t *pad = (pad_circ_t *) (uintptr_t) insn->circuit_tag;
  switch (insn->kind) {
    case CIRCFLOW_INSN_PADDING:
      pad_obey_padding(pad, insn);
      break;
    case CIRCFLOW_INSN_SEND:
      (void) pad_send(pad->circ, insn->detail.send.command, insn->detail.send.hop, body, insn->detail.send.body_len);
      break;
    case CIRCFLOW_INSN_CLOSE:
      log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Padding: %s. Closing circuit.",
             circflow_status_text(insn->detail.close.cause));
      if (!pad->circ->marked_for_close)
        circuit_mark_for_close(pad->circ, (int) insn->detail.close.reason);
      break;
    case CIRCFLOW_INSN_BLOCK:
      hold_begin(pad, insn->detail.block.bypassable != 0);
      break;
    case CIRCFLOW_INSN_UNBLOCK:
      hold_end(pad, pad_is_padded(pad));
      break;
  }
}

static void
pad_arm(void)
{
  struct timeval delay;
  uint64_t due = CIRCFLOW_NEVER;
  if (circflow_engine_get_deadline(pad_engine, &due) != CIRCFLOW_OK || due == pad_armed_ns)
    return;
  pad_armed_ns = due;
  if (due == CIRCFLOW_NEVER) {
    if (pad_timer)
      timer_disable(pad_timer);
    return;
  }
  uint64_t now = pad_now();
  uint64_t usec = due > now ? (due - now + 999) / 1000 : 0;
  delay.tv_sec = (time_t) (usec / 1000000);
  delay.tv_usec = (suseconds_t) (usec % 1000000);
  if (!pad_timer)
    pad_timer = timer_new(pad_on_timer, NULL);
  timer_schedule(pad_timer, &delay);
}

/* Something was fed: what follows is done when the event loop is back. */
static inline void
pad_wake(void)
{
  if (PREDICT_UNLIKELY(flow_traces))
    flow_trace_step();
  if (pad_is_woken)
    return;
  pad_is_woken = true;
  mainloop_event_activate(pad_event);
}

static void
pad_run(void)
{
  struct circflow_insn insn;
  uint8_t body[CIRCFLOW_BODY_MAX];
  pad_is_woken = false;
  if (pad_state != PAD_ON || !flow_went_well(circflow_engine_tick(pad_engine, pad_now()), "tick"))
    return;
  for (int i = 0; i < PAD_STEPS_MAX; i++) {
    if (!flow_went_well(circflow_engine_poll(pad_engine, body, sizeof(body), &insn), "poll"))
      return;
    if (insn.kind == CIRCFLOW_INSN_NONE) {
      pad_arm();
      return;
    }
    pad_obey(&insn, body);
  }
  pad_wake();
}

static void
pad_on_timer(tor_timer_t *timer, void *arg, const struct monotime_t *now)
{
  (void) timer, (void) arg, (void) now;
  pad_armed_ns = CIRCFLOW_NEVER;
  pad_run();
}

static void
pad_on_event(mainloop_event_t *event, void *arg)
{
  (void) event, (void) arg;
  pad_run();
}

/* ---- What circflow hears ---- */

/* Which hop a client's cell came from, 1 for the first; 0 at a relay. */
static uint8_t
pad_hop_of(const pad_circ_t *pad, const crypt_path_t *layer)
{
  if (!pad->is_client)
    return 0;
  const crypt_path_t *at = CONST_TO_ORIGIN_CIRCUIT(pad->circ)->cpath;
  for (uint8_t hop = 1; at && hop < pad->hops; hop++, at = at->next) {
    if (at == layer)
      return hop;
  }
  return pad->hops;
}

/* A cell was recognised here. All that matters is whether it is padding; and numbers of conflux, which is another
 * engine's, must not be counted. True when it was circflow's. */
static bool
pad_feed(pad_circ_t *pad, uint8_t command, const crypt_path_t *layer, const uint8_t *body, uint16_t len)
{
  struct circflow_verdict verdict;
  bool is_padding = command == RELAY_COMMAND_DROP || command == RELAY_COMMAND_PADDING_NEGOTIATE ||
    command == RELAY_COMMAND_PADDING_NEGOTIATED;
  struct circflow_message message = {
    .command = is_padding ? command : CIRCFLOW_CMD_SENDME,
    .hop = pad_hop_of(pad, layer),
    .body = body,
    .body_len = len,
  };
  int32_t status = circflow_circuit_receive(pad_engine, pad_now(), pad->id, &message, &verdict);
  pad_wake();
  return status == CIRCFLOW_OK && verdict.kind == CIRCFLOW_VERDICT_CONSUMED;
}

/* A message of a conflux leg came. Tor tells its own padding of it only when its turn has come. */
static inline void
pad_note_arrival(circuit_t *circ, const crypt_path_t *layer)
{
  pad_circ_t *pad = pad_of(circ);
  if (PREDICT_UNLIKELY(pad != NULL))
    (void) pad_feed(pad, RELAY_COMMAND_DATA, layer, NULL, 0);
}

void
flow_pad_note_recognized(circuit_t *circ, uint8_t command, crypt_path_t *layer)
{
  pad_circ_t *pad = pad_of(circ);
  /* What conflux orders was heard of on arrival; what is about padding has a body, and is next. */
  if (pad && !(circ->conflux && conflux_should_multiplex(command)) &&
      command != RELAY_COMMAND_PADDING_NEGOTIATE && command != RELAY_COMMAND_PADDING_NEGOTIATED &&
      pad_feed(pad, command, layer, NULL, 0) && pad->is_client &&
      /* Tor counts it itself where a machine of its own is there as well. */
      !circpad_padding_is_from_expected_hop(circ, layer))
    circuit_read_valid_data(TO_ORIGIN_CIRCUIT(circ), 0);
}

void
flow_pad_note_passed(circuit_t *circ, cell_direction_t direction)
{
  pad_circ_t *pad = pad_of(circ);
  if (!pad || pad->is_client)
    return;
  if (direction == CELL_DIRECTION_OUT)
    (void) circflow_circuit_cell_passed(pad_engine, pad_now(), pad->id);
  else
    flow_went_well(circflow_circuit_cell_queued(pad_engine, pad_now(), pad->id, 0, 0), "passed back");
  pad_wake();
}

void
flow_pad_note_sent(circuit_t *circ, uint8_t command)
{
  pad_circ_t *pad = pad_of(circ);
  if (!pad || pad_is_sending)
    return;
  hold_note_sent(pad, command);
  /* Tor does not say to which hop; nearly all go to the last. */
  flow_went_well(circflow_circuit_cell_queued(pad_engine, pad_now(), pad->id, command, pad->hops), "sent, for padding");
  pad_wake();
}

bool
flow_pad_takes(const relay_msg_t *msg, circuit_t *circ, const crypt_path_t *layer)
{
  bool is_question = msg->command == RELAY_COMMAND_PADDING_NEGOTIATE;
  if (PREDICT_LIKELY(!is_question && msg->command != RELAY_COMMAND_PADDING_NEGOTIATED) || !pad_is_on())
    return false;
  pad_circ_t *pad = pad_of(circ);
  /* Its third byte is the number. */
  if (!pad && is_question && pads_as_relay && !CIRCUIT_IS_ORIGIN(circ) && msg->length > 2 && msg->body[2] == PAD_NUMBER)
    pad = pad_new(circ);
  if (!pad || !pad_feed(pad, msg->command, layer, msg->body, msg->length))
    return false;
  if (pad->is_client)
    circuit_read_valid_data(TO_ORIGIN_CIRCUIT(circ), msg->length);
  return true;
}

/* A cell was taken out of the circuit's queue, for its channel to write. */
void
flow_pad_note_written(const circuitmux_t *cmux, circuit_t *circ, unsigned int cells)
{
  pad_circ_t *pad = pad_of(circ);
  if (!pad)
    return;
  const channel_t *chan = pad->is_client ? circ->n_chan : TO_OR_CIRCUIT(circ)->p_chan;
  if (!chan || chan->cmux != cmux)
    return;
  /* Tor drops a cell now and then that it has told its padding of. An empty queue sets that right. */
  (void) circflow_circuit_cells_written(pad_engine, pad_now(), pad->id, pad_queued(circ) > 0 ? cells : UINT32_MAX);
  /* A machine may wait for just this, and nothing else need ever happen. */
  pad_wake();
}

/* ---- The life of a circuit ---- */

/* Should this circuit of ours be padded, and can it be? */
static bool
pad_wants(origin_circuit_t *origin)
{
  const circuit_t *circ = TO_CIRCUIT(origin);
  if (circ->purpose != CIRCUIT_PURPOSE_C_GENERAL && circ->purpose != CIRCUIT_PURPOSE_CONFLUX_UNLINKED)
    return false;
  if (circuit_get_cpath_len(origin) < MAX(pad_hop, PAD_HOPS_MIN) || !get_options()->CircuitPadding ||
      networkstatus_get_param(NULL, "circpad_padding_disabled", 0, 0, 1))
    return false;
  const crypt_path_t *hop = circuit_get_cpath_hop(origin, pad_hop);
  const node_t *node = hop && hop->extend_info ?
    node_get_by_id((const char *) hop->extend_info->identity_digest) : NULL;
  return node && node->rs && node->rs->pv.supports_hs_setup_padding;
}

void
flow_pad_note_built(origin_circuit_t *origin)
{
  if (!pad_is_on() || !pads_as_client || !pad_wants(origin))
    return;
  pad_circ_t *pad = pad_new(TO_CIRCUIT(origin));
  if (pad && flow_went_well(circflow_padding_start(pad_engine, pad_now(), pad->id, PAD_NUMBER), "padding"))
    pad_wake();
}

void
flow_pad_forget(circuit_t *circ)
{
  pad_circ_t *pad = pad_of(circ);
  if (pad)
    pad_free(pad);
}

void
flow_pad_end(void)
{
  if (pad_state == PAD_ON)
    pad_stop();
}

#endif /* !defined(TOR_CIRCFLOW_PAD_H) */
