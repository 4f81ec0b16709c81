/* Conflux for C Tor, by circflow: what conflux.h of tor 0.4.9 declares, for tor to be built with instead of its own
 * file of this name. License: MIT OR Apache-2.0, as all of circflow.
 *
 * Every function has the same shape: see whether somebody has written into tor's structs (flow_sync), feed circflow, and
 * write what follows into tor's structs. circflow keeps messages that come early. The whole
 * story is in integration/tor/README.md of circflow. */

#define TOR_CONFLUX_PRIVATE

#include "core/or/or.h"

#include "core/or/circuit_st.h"
#include "core/or/circuitlist.h"
#include "core/or/circuituse.h"
#include "core/or/conflux_cell.h"
#include "core/or/conflux_params.h"
#include "core/or/conflux_util.h"

#include "circflow_build.h"
#include "circflow_hooks.h"
#include "circflow_sets.h"
#include "circflow_pad.h"

/* What tor pays for all messages that wait for their turn. */
static uint64_t queued_bytes = 0;

#ifdef TOR_UNIT_TESTS
#include "circflow_written.h"
#else
/* Nobody else writes into tor's structs, or looks into the queue. */
#define flow_adopt(set) true
#define flow_show_queue(set) ((void) 0)
#endif

/* ---- Plain questions about tor's structs ---- */

const struct congestion_control_t *
circuit_ccontrol(const circuit_t *circ)
{
  tor_assert(circ);
  const congestion_control_t *cc = CIRCUIT_IS_ORIGIN(circ) ?
    CONST_TO_ORIGIN_CIRCUIT(circ)->cpath->prev->ccontrol : circ->ccontrol;
  tor_assert(cc);
  return cc;
}

conflux_leg_t *
conflux_get_leg(conflux_t *cfx, const circuit_t *circ)
{
  /* The first thing in it is tor's. */
  return (conflux_leg_t *) flow_leg_of(flow_set_of(cfx), circ);
}

bool
conflux_should_multiplex(int relay_command)
{
  return relay_command > 0 && relay_command <= UINT8_MAX &&
    circflow_command_is_multiplexed((uint8_t) relay_command);
}

void
conflux_update_rtt(conflux_t *cfx, circuit_t *circ, uint64_t rtt_usec)
{
  flow_set_t *set = flow_set_of(cfx);
  flow_leg_t *leg = flow_leg_of(set, circ);
  if (BUG(!leg))
    return;
  leg->tor.circ_rtts_usec = rtt_usec;
  /* Every decision brings a report with it, so that circflow need not hear of it now, unless it is the time of the
   * SENDME that counts: where its own channel is full, tor does not decide now. */
  if (PREDICT_LIKELY(!set->looks_at_time) || cfx->in_full_teardown)
    return;
  set->decided = 0;
  if (flow_leg_tell(leg) && set->waits)
    flow_wake();
}

/* ---- Memory ---- */

/* What tor counts for a message that waits. */
#define MSG_COST(length) (sizeof(conflux_msg_t) + sizeof(relay_msg_t) + (length))

/* A message whose turn has come, in one piece. */
typedef struct taken_t {
  conflux_msg_t tor;
  relay_msg_t msg;
  struct circflow_insn insn;
} taken_t;

/* Its memory is used again for the next one. Tor has done with one before it asks for another, of whatever set: for so
 * long circflow lends the body. */
static taken_t *spare = NULL;

static inline taken_t *
spare_take(void)
{
  taken_t *taken = spare ? spare : tor_malloc_zero(sizeof(*taken));
  spare = NULL;
  return taken;
}

void
conflux_relay_msg_free_(conflux_msg_t *msg)
{
  if (spare)
    tor_free(msg);
  else
    spare = (taken_t *) msg;
}

/* What circflow has for the queues beyond tor's account of them: as it was when they were last seen to have grown or
 * shrunk by a step. */
#define ACCOUNT_STEP (1 << 16)
static uint64_t kept_bytes = 0;

static void
note_kept(void)
{
  struct circflow_engine_stats stats = { .size = sizeof(stats) };
  bool is_known = queued_bytes > 0 && circflow_engine_get_stats(flow_engine, &stats) == CIRCFLOW_OK;
  kept_bytes = is_known && stats.pool_bytes > queued_bytes ? stats.pool_bytes - queued_bytes : 0;
}

/* Gives back what nobody uses now. */
static void
free_unused(void)
{
  tor_free(spare);
  if (flow_engine)
    (void) circflow_engine_trim(flow_engine, NULL);
  if (kept_bytes > 0)
    note_kept();
}

/* So many messages came or went, and their bytes. Short queues do not count: they come and go with every page. */
static inline void
account(flow_set_t *set, int messages, ssize_t bytes)
{
  uint64_t before = queued_bytes;
  set->n_held += messages;
  set->tor.ooo_q_alloc_cost += bytes;
  queued_bytes += bytes;
  if (PREDICT_UNLIKELY(flow_is_written()))
    flow_show_queue(set);
  if (PREDICT_LIKELY(before / ACCOUNT_STEP == queued_bytes / ACCOUNT_STEP && (queued_bytes > 0 || kept_bytes == 0)))
    return;
  if (queued_bytes == 0)
    free_unused();
  else
    note_kept();
}

uint64_t
conflux_get_total_bytes_allocation(void)
{
  return queued_bytes + kept_bytes;
}

/* All circuits of a set that ends name it, and tor's OOM handler adds up what it closes: each has its part. */
uint64_t
conflux_get_circ_bytes_allocation(const circuit_t *circ)
{
  if (!circ->conflux)
    return 0;
  const flow_set_t *set = flow_set_of(circ->conflux);
  return (set->tor.ooo_q_alloc_cost + (uint64_t) set->n_held * sizeof(void *)) / (uint64_t) MAX(set->users, 1);
}

/* Nothing waits in a set any more: circflow's has ended, or is about to. */
static void
queue_clear(flow_set_t *set)
{
  set->is_ready = false;
  account(set, -set->n_held, -(ssize_t) set->tor.ooo_q_alloc_cost);
}

/* A set is being freed. */
void
conflux_clear_ooo_q(conflux_t *cfx)
{
  tor_assert(cfx && cfx->ooo_q);
  queue_clear(flow_set_of(cfx));
  tor_free(spare);
  log_debug(LD_CIRC, "circflow: queued bytes of all sets %" PRIu64, queued_bytes);
}

size_t
conflux_handle_oom(size_t bytes_to_remove)
{
  const uint64_t before = conflux_get_total_bytes_allocation();
  struct circflow_victim victim;
  size_t count = 0, ended = 0;
  free_unused();
  uint64_t freed = before - MIN(before, conflux_get_total_bytes_allocation());
  /* One at a time: the end of a set can end others. */
  while (flow_engine && freed < bytes_to_remove &&
         circflow_engine_choose_victims(flow_engine, 1, &victim, 1, &count, NULL) == CIRCFLOW_OK && count > 0) {
    /* What circuits hold for padding is not in tor's account of conflux. */
    if (victim.set.v == 0)
      continue;
    /* Without its queue a set has to end: what waits behind the lost messages could never be delivered. */
    flow_set_t *set = (flow_set_t *) (uintptr_t) victim.tag;
    ended += set->tor.ooo_q_alloc_cost;
    freed += kept_bytes > 0 ? victim.bytes : set->tor.ooo_q_alloc_cost;
    queue_clear(set);
    flow_set_close(set, END_CIRC_REASON_RESOURCELIMIT);
  }
  /* Once for all of them. From inside flow_run() what they held comes back a moment later: at least their queues have
   * ended. */
  free_unused();
  freed = MAX(ended, before - MIN(before, conflux_get_total_bytes_allocation()));
  log_info(LD_CIRC, "Conflux freed %" PRIu64 " bytes for the OOM handler; %"
           PRIu64 " are left.", freed, queued_bytes);
  return (size_t) freed;
}

/* ---- Tor's numbers ---- */

/* Sees whether a set may go on. */
static inline bool
flow_sync(flow_set_t *set)
{
  /* In a teardown the legs go one by one, and nothing is sent or delivered any more. */
  return PREDICT_LIKELY(!set->tor.in_full_teardown) && (PREDICT_LIKELY(!flow_is_written()) || flow_adopt(set));
}

/* News about the legs, as bits. */
static inline uint32_t
flow_news(flow_set_t *set)
{
  uint32_t news = 0;
  for (int i = 0; i < flow_leg_count(set); i++)
    news |= (flow_leg_look(flow_leg_at(set, i)) ? UINT32_C(1) : 0) << i;
  return news;
}

/* The leg that a circuit is. NULL when the circuit is no leg, or the set cannot go on. */
static inline flow_leg_t *
flow_sync_leg(flow_set_t *set, const circuit_t *circ)
{
  flow_leg_t *leg = flow_leg_of(set, circ);
  return PREDICT_LIKELY(leg && flow_sync(set)) ? leg : NULL;
}

/* ---- Sending ---- */

/* Tor wants a current leg as soon as it has asked for one, before anything was sent: the fastest, where none has
 * room. */
static FLOW_APART void
name_first_leg(flow_set_t *set)
{
  struct circflow_set_stats stats;
  if (!flow_set_get_stats(set, &stats))
    return;
  SMARTLIST_FOREACH(set->tor.legs, flow_leg_t *, leg,
                    if (set->choice ? leg->tor.circ == set->choice : leg->id.v == stats.primary.v)
                      set->tor.curr_leg = &leg->tor);
}

/* A cell was queued on this leg: it sends from now on. */
static inline void
move_to_leg(conflux_t *cfx, conflux_leg_t *leg)
{
  if (cfx->curr_leg == leg)
    return;
  cfx->prev_leg = cfx->curr_leg;
  cfx->curr_leg = leg;
}

/* Asks circflow where a message goes, after it has been told about the legs of which there is news (bits). True when
 * there is a leg for it: set->choice. */
static bool
ask(flow_set_t *set, uint8_t command, uint32_t news)
{
  struct circflow_leg_report reports[CIRCFLOW_LEGS_MAX];
  struct circflow_verdict verdict;
  struct circflow_message message = { .command = command, .hop = set->is_client ? CLIENT_HOPS : 0 };
  size_t n = 0;
  for (int i = 0; news >> i; i++) {
    if (news >> i & 1)
      flow_leg_report(flow_leg_at(set, i), &reports[n++]);
  }
  if (PREDICT_UNLIKELY(set->looks_at_time))
    (void) flow_now_ns();
  int32_t status = circflow_set_decide(flow_engine, flow_time_ns, set->id, &message, reports, n, &verdict);
  bool is_data = command == RELAY_COMMAND_DATA;
  set->choice = NULL;
  set->switch_delta = 0;
  /* A message other than DATA goes out also where DATA has to wait: only what is said of DATA holds for all. */
  set->decided = is_data;
  if (PREDICT_LIKELY(status == CIRCFLOW_OK)) {
    set->choice = ((flow_leg_t *) (uintptr_t) verdict.circuit_tag)->tor.circ;
    set->switch_delta = verdict.switch_delta;
    /* How many more go the same way. */
    if (is_data) {
      flow_went_well(circflow_set_get_room(flow_engine, set->id, &set->decided), "room");
      /* One at least: tor has asked, takes a cell from its stream, and asks again. Were the answer another then, as time
       * has passed, that cell would be lost. */
      set->decided = MAX(set->decided, 1);
    }
    /* Whoever asked need not be the one that stopped. */
    if (PREDICT_UNLIKELY(set->waits) && is_data)
      flow_set_resume_later(set);
  } else if (status == CIRCFLOW_ERR_NO_ROOM) {
    /* It has noted that it will have to say when there is room. What it says now is of the time before. */
    flow_run();
    set->waits = set->looks_at_time;
  } else {
    flow_went_well(status, "decision");
    set->decided = 0;
  }
  return set->choice != NULL;
}

/* The leg for the next DATA message in set->choice, or none. Tor asks twice for each cell; and between two SENDMEs
 * there is no news, as circflow counts what is sent as tor does. False when the set cannot go on. */
static inline bool
choose(flow_set_t *set)
{
  flow_trace();
  if (!flow_sync(set))
    return false;
  uint32_t news = flow_news(set);
  if (PREDICT_UNLIKELY(news || set->decided == 0))
    (void) ask(set, RELAY_COMMAND_DATA, news);
  if (PREDICT_UNLIKELY(!set->tor.curr_leg))
    name_first_leg(set);
  return true;
}

circuit_t *
conflux_decide_next_circ(conflux_t *cfx)
{
  flow_set_t *set = flow_set_of(cfx);
  return choose(set) ? set->choice : NULL;
}

/* Sends SWITCH, and counts it when it was queued. Anything can have happened to the set meanwhile: sending asks tor
 * for room again, and can run the OOM handler. NULL when the set cannot go on: the message that was to follow goes
 * nowhere without SWITCH, and its stream cannot do without the message. */
static FLOW_APART circuit_t *
switch_to(flow_set_t *set, circuit_t *circ, uint32_t delta)
{
  flow_set_hold(set);
  bool is_sent = conflux_send_switch_command(circ, delta) && !circ->marked_for_close;
  flow_leg_t *leg = is_sent ? flow_sync_leg(set, circ) : NULL;
  set->decided = 0;
  if (leg && flow_went_well(circflow_circuit_cell_queued(flow_engine, flow_time_ns, leg->id, CIRCFLOW_CMD_SWITCH,
                                                         set->is_client ? CLIENT_HOPS : 0), "SWITCH")) {
    leg->tor.last_seq_sent += delta;
    log_debug(LD_CIRC, "circflow: SWITCH went out on circuit %u, by %u", flow_circ_number(circ), delta);
    move_to_leg(&set->tor, &leg->tor);
  } else {
    circ = NULL;
    if (!set->tor.in_full_teardown)
      flow_set_close(set, END_CIRC_REASON_TORPROTOCOL);
  }
  flow_set_release(set);
  return circ;
}

circuit_t *
flow_set_choose(flow_set_t *set, uint8_t command)
{
  if (!choose(set) || (!set->choice && (command == RELAY_COMMAND_DATA || !ask(set, command, 0))))
    return NULL;
  return set->choice;
}

circuit_t *
conflux_decide_circ_for_send(conflux_t *cfx, circuit_t *orig_circ, uint8_t relay_command)
{
  flow_set_t *set = flow_set_of(cfx);
  if (!conflux_should_multiplex(relay_command))
    return orig_circ;
  if (!flow_set_choose(set, relay_command))
    return NULL;
  return PREDICT_LIKELY(set->switch_delta == 0) ? set->choice : switch_to(set, set->choice, set->switch_delta);
}

void
conflux_note_cell_sent(conflux_t *cfx, circuit_t *circ, uint8_t relay_command)
{
  if (!conflux_should_multiplex(relay_command))
    return;
  flow_set_t *set = flow_set_of(cfx);
  flow_leg_t *leg = flow_sync_leg(set, circ);
  if (!leg) {
    if (!cfx->in_full_teardown)
      log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "A cell went out on a circuit that is no leg any more.");
    return;
  }
  int32_t status = circflow_circuit_cell_queued(flow_engine, flow_time_ns, leg->id, relay_command,
                                                leg->is_client ? CLIENT_HOPS : 0);
  if (!flow_went_well(status, "sent")) {
    /* The peer counts this message, and we could not: the numbers are of no use any more. */
    flow_set_close(set, END_CIRC_REASON_INTERNAL);
    return;
  }
  /* What circflow has said holds for the leg that sends. */
  set->decided = set->choice == circ && cfx->curr_leg == &leg->tor && set->decided > 0 ? set->decided - 1 : 0;
  leg->inflight += relay_command == RELAY_COMMAND_DATA;
  leg->tor.last_seq_sent++;
  move_to_leg(cfx, &leg->tor);
}

/* ---- Receiving ---- */

/* A message came where none may. What comes for a set that ends is left out without a word. */
static void
refuse_arrival(const flow_set_t *set, circuit_t *circ, const flow_leg_t *leg)
{
  if (!set->tor.in_full_teardown)
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux message %s. Closing circuit.",
           leg ? "from another hop than the last" : "on a circuit that is no leg");
  /* Not marked in a set that ends: tor keeps it open, to pad it or to try its path. */
  if (!circ->marked_for_close)
    circuit_mark_for_close(circ, leg ? END_CIRC_REASON_TORPROTOCOL : END_CIRC_REASON_INTERNAL);
}

/* The leg that a message came on, if it may have come there. Closes the circuit otherwise. */
static inline flow_leg_t *
leg_of_arrival(flow_set_t *set, circuit_t *circ, crypt_path_t *layer_hint)
{
  flow_leg_t *leg = flow_sync_leg(set, circ);
  /* The common case of conflux_validate_source_hop(), at an exit. */
  bool is_end = leg && !leg->is_client && !layer_hint && !circ->n_chan;
  if (PREDICT_LIKELY(is_end || (leg && conflux_validate_source_hop(circ, layer_hint))))
    return leg;
  refuse_arrival(set, circ, leg);
  return NULL;
}

static inline struct circflow_message
message_of(const flow_leg_t *leg, const relay_msg_t *msg)
{
  return (struct circflow_message) {
    .command = msg->command,
    .hop = leg->is_client ? CLIENT_HOPS : 0,
    .stream_id = msg->stream_id,
    .body = msg->body,
    .body_len = msg->length,
  };
}

/* 0 also when the circuit is closed here: tor would close it for anything else, and call it a bug that it is closed. */
int
conflux_process_switch_command(circuit_t *in_circ, crypt_path_t *layer_hint, const relay_msg_t *msg)
{
  struct circflow_verdict verdict;
  uint32_t delta = 0;
  tor_assert(in_circ && msg);
  if (!conflux_is_enabled(in_circ) || !in_circ->conflux) {
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "SWITCH without a conflux set. Closing circuit.");
    circuit_mark_for_close(in_circ, END_CIRC_REASON_TORPROTOCOL);
    return 0;
  }
  flow_leg_t *leg = leg_of_arrival(flow_set_of(in_circ->conflux), in_circ, layer_hint);
  if (!leg)
    return 0;
  flow_trace();
  struct circflow_message message = message_of(leg, msg);
  int32_t status = circflow_circuit_receive(flow_engine, flow_time_ns, leg->id, &message, &verdict);
  if (status != CIRCFLOW_OK) {
    flow_refuse(in_circ, status);
    return 0;
  }
  flow_went_well(circflow_switch_decode(msg->body, msg->length, &delta), "SWITCH");
  log_debug(LD_CIRC, "circflow: SWITCH came on circuit %u, by %u", flow_circ_number(in_circ), delta);
  leg->tor.last_seq_recv += delta;
  if (leg->is_client)
    circuit_read_valid_data(TO_ORIGIN_CIRCUIT(in_circ), msg->length);
  return 0;
}

/* Tor's loop over the messages that were ready was cut short, by a circuit that closed in the middle. What is left has
 * had its turn, and would never be asked for: the set cannot go on. */
static bool
was_cut_short(flow_set_t *set)
{
  if (PREDICT_LIKELY(!set->is_ready))
    return false;
  log_info(LD_CIRC, "Conflux messages were left undelivered by a circuit that closed. Closing the set.");
  flow_set_close(set, END_CIRC_REASON_INTERNAL);
  return true;
}

bool
conflux_process_relay_msg(conflux_t *cfx, circuit_t *in_circ, crypt_path_t *layer_hint,
                          const relay_msg_t *msg)
{
  struct circflow_verdict verdict;
  flow_set_t *set = flow_set_of(cfx);
  flow_leg_t *leg = leg_of_arrival(set, in_circ, layer_hint);
  if (!leg || was_cut_short(set))
    return false;
  pad_note_arrival(in_circ, layer_hint);
  flow_trace();
  struct circflow_message message = message_of(leg, msg);
  int32_t status = circflow_circuit_receive(flow_engine, flow_time_ns, leg->id, &message, &verdict);
  if (PREDICT_UNLIKELY(status != CIRCFLOW_OK)) {
    flow_refuse(in_circ, status);
    return false;
  }
  leg->tor.last_seq_recv = verdict.number;
  if (verdict.kind == CIRCFLOW_VERDICT_HELD) {
    account(set, 1, (ssize_t) MSG_COST(msg->length));
    /* How long the first is held has a bound; the others come later. */
    if (PREDICT_UNLIKELY(set->n_held == 1))
      flow_arm();
    return false;
  }
  cfx->last_seq_delivered = verdict.number;
  set->is_ready = verdict.ready != 0;
  return true;
}

/* The next message whose turn has come; NULL when there is none. */
static FLOW_APART conflux_msg_t *
take(flow_set_t *set, circuit_t *circ)
{
  taken_t *taken = spare_take();
  const struct circflow_insn_deliver *next = &taken->insn.detail.deliver;
  int32_t status = circflow_set_poll_lent(flow_engine, set->id, &taken->msg.body, &taken->insn);
  if (PREDICT_UNLIKELY(status != CIRCFLOW_OK || taken->insn.kind != CIRCFLOW_INSN_DELIVER)) {
    conflux_relay_msg_free_(&taken->tor);
    set->is_ready = false;
    /* Not OK when two legs brought the same number. */
    if (status != CIRCFLOW_OK)
      flow_refuse(circ, status);
    else
      flow_run();
    return NULL;
  }
  taken->msg.command = next->command;
  taken->msg.length = next->body_len;
  taken->msg.stream_id = next->stream_id;
  taken->tor.msg = &taken->msg;
  set->tor.last_seq_delivered = taken->tor.seq = next->number;
  account(set, -1, -(ssize_t) MSG_COST(next->body_len));
  return &taken->tor;
}

conflux_msg_t *
conflux_dequeue_relay_msg(circuit_t *circ)
{
  /* Delivering the last message may have closed the circuit, and nobody told the loop. */
  flow_set_t *set = circ->conflux ? flow_set_of(circ->conflux) : NULL;
  return set && PREDICT_UNLIKELY(set->is_ready) && !circ->marked_for_close ? take(set, circ) : NULL;
}
