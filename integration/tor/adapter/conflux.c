/* Conflux for C Tor, by circflow: what conflux.h of tor 0.4.9 declares, for tor to be built with instead of its own
 * file of this name. License: MIT OR Apache-2.0, as all of circflow.
 *
 * Every function has the same shape: see whether somebody has written into tor's structs (flow_sync), feed circflow, and
 * write what follows into tor's structs. Tor keeps the messages; circflow orders their addresses. The whole
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

/* Memory of messages that were delivered, for the next ones: heads, and copies of messages of full length. A head's
 * address is its message's token, and must be known before circflow says whether it will be held. */
typedef union spare_t {
  union spare_t *next;
  conflux_msg_t head;
  relay_msg_t copy;
} spare_t;
typedef struct spares_t {
  spare_t *first;
  int count;
} spares_t;
static spares_t spare_heads, spare_copies;

/* More than wait at a time, nearly always; 160 kB. */
#define SPARES_MAX 256

/* From this length on a copy gets as much memory as the longest, so that it can be used again for any of these: DATA of
 * a file. That is 30 bytes more than tor's account has, of over 500. */
#define LONG_COPY_MIN (RELAY_PAYLOAD_SIZE_MAX - 30)

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

uint64_t
conflux_get_max_seq_sent(const conflux_t *cfx)
{
  uint64_t highest = 0;
  CONFLUX_FOR_EACH_LEG_BEGIN(cfx, leg) {
    highest = MAX(highest, leg->last_seq_sent);
  } CONFLUX_FOR_EACH_LEG_END(leg);
  return highest;
}

uint64_t
conflux_get_max_seq_recv(const conflux_t *cfx)
{
  uint64_t highest = 0;
  CONFLUX_FOR_EACH_LEG_BEGIN(cfx, leg) {
    highest = MAX(highest, leg->last_seq_recv);
  } CONFLUX_FOR_EACH_LEG_END(leg);
  return highest;
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

size_t
conflux_msg_alloc_cost(conflux_msg_t *msg)
{
  return sizeof(*msg) + sizeof(*msg->msg) + msg->msg->length;
}

static inline void *
spare_take(spares_t *spares, size_t size)
{
  spare_t *spare = spares->first;
  if (PREDICT_UNLIKELY(!spare))
    return tor_malloc_zero(size);
  spares->first = spare->next;
  spares->count--;
  return spare;
}

static inline void
spare_give(spares_t *spares, void *memory)
{
  spare_t *spare = memory;
  if (PREDICT_UNLIKELY(spares->count >= SPARES_MAX)) {
    tor_free(spare);
    return;
  }
  spare->next = spares->first;
  spares->first = spare;
  spares->count++;
}

/* The one that spare_take() gives next. */
static inline void *
spare_look(spares_t *spares, size_t size)
{
  if (PREDICT_UNLIKELY(!spares->first))
    spare_give(spares, tor_malloc_zero(size));
  return spares->first;
}

static void
spares_free(spares_t *spares)
{
  while (spares->first) {
    spare_t *spare = spares->first;
    spares->first = spare->next;
    tor_free(spare);
  }
  spares->count = 0;
}

/* A message of its own, with its body behind it. */
static inline relay_msg_t *
copy_message(const relay_msg_t *msg)
{
  tor_assert(msg->length <= RELAY_PAYLOAD_SIZE_MAX);
  relay_msg_t *copy = msg->length >= LONG_COPY_MIN ?
    spare_take(&spare_copies, MAX(sizeof(*copy), sizeof(spare_t)) + RELAY_PAYLOAD_SIZE_MAX) :
    tor_malloc(MAX(sizeof(*copy), sizeof(spare_t)) + msg->length);
  *copy = *msg;
  copy->body = memcpy(copy + 1, msg->body, msg->length);
  return copy;
}

void
conflux_relay_msg_free_(conflux_msg_t *msg)
{
  if (!msg)
    return;
  if (msg->msg && msg->msg->length >= LONG_COPY_MIN)
    spare_give(&spare_copies, msg->msg);
  else
    tor_free(msg->msg);
  spare_give(&spare_heads, msg);
}

/* circflow's own memory for what is queued, and ours that is kept: as it was when the queues were last seen to have grown
 * or shrunk by a step. */
#define ACCOUNT_STEP (1 << 16)
static uint64_t kept_bytes = 0;

static void
note_kept(void)
{
  struct circflow_engine_stats stats = { .size = sizeof(stats) };
  bool is_known = queued_bytes > 0 && circflow_engine_get_stats(flow_engine, &stats) == CIRCFLOW_OK;
  kept_bytes = !is_known ? 0 : stats.pool_bytes + (uint64_t) spare_heads.count * sizeof(spare_t) +
    (uint64_t) spare_copies.count * (sizeof(relay_msg_t) + RELAY_PAYLOAD_SIZE_MAX);
}

static void
free_spares(void)
{
  spares_free(&spare_heads);
  spares_free(&spare_copies);
}

/* Gives back what nobody uses now, and answers how much of that was in tor's account. */
static size_t
free_unused(void)
{
  uint64_t before = kept_bytes;
  free_spares();
  if (flow_engine)
    (void) circflow_engine_trim(flow_engine, NULL);
  if (before > 0)
    note_kept();
  return before > kept_bytes ? (size_t) (before - kept_bytes) : 0;
}

/* So many bytes came or went. Short queues do not count: they come and go with every page. */
static inline void
account(conflux_t *cfx, ssize_t bytes)
{
  uint64_t before = queued_bytes;
  cfx->ooo_q_alloc_cost += bytes;
  queued_bytes += bytes;
  if (PREDICT_LIKELY(before / ACCOUNT_STEP == queued_bytes / ACCOUNT_STEP && (queued_bytes > 0 || kept_bytes == 0)))
    return;
  if (queued_bytes == 0)
    (void) free_unused();
  else
    note_kept();
}

uint64_t
conflux_get_total_bytes_allocation(void)
{
  return queued_bytes + kept_bytes;
}

uint64_t
conflux_get_circ_bytes_allocation(const circuit_t *circ)
{
  const conflux_t *cfx = circ->conflux;
  if (!cfx)
    return 0;
  return cfx->ooo_q_alloc_cost + (uint64_t) smartlist_len(cfx->ooo_q) * sizeof(void *);
}

/* Tor looks at the length of ooo_q, and at nothing in it: the order is circflow's. So it is a plain list, and a message
 * knows its place in it. These two look into the list: smartlist_add() and smartlist_del() would cost 60 instructions
 * more for each message, of 730. */
static inline void
queue_add(conflux_t *cfx, conflux_msg_t *msg)
{
  smartlist_t *list = cfx->ooo_q;
  msg->heap_idx = list->num_used;
  if (PREDICT_LIKELY(list->num_used < list->capacity))
    list->list[list->num_used++] = msg;
  else
    smartlist_add(list, msg);
  account(cfx, (ssize_t) conflux_msg_alloc_cost(msg));
}

static inline void
queue_remove(conflux_t *cfx, conflux_msg_t *msg)
{
  smartlist_t *list = cfx->ooo_q;
  int at = msg->heap_idx;
  tor_assert(at < list->num_used && list->list[at] == msg);
  /* The last one takes its place, as smartlist_del() has it. */
  conflux_msg_t *moved = list->list[--list->num_used];
  list->list[at] = moved;
  moved->heap_idx = at;
  list->list[list->num_used] = NULL;
  account(cfx, -(ssize_t) conflux_msg_alloc_cost(msg));
}

static void
queue_clear(flow_set_t *set)
{
  conflux_t *cfx = &set->tor;
  set->is_ready = false;
  set->n_taken = set->next_taken = 0;
  SMARTLIST_FOREACH(cfx->ooo_q, conflux_msg_t *, msg, conflux_relay_msg_free(msg));
  smartlist_clear(cfx->ooo_q);
  account(cfx, -(ssize_t) cfx->ooo_q_alloc_cost);
}

/* A set is being freed. */
void
conflux_clear_ooo_q(conflux_t *cfx)
{
  tor_assert(cfx && cfx->ooo_q);
  queue_clear(flow_set_of(cfx));
  if (queued_bytes == 0)
    free_spares();
  log_debug(LD_CIRC, "circflow: queued bytes of all sets %" PRIu64, queued_bytes);
}

size_t
conflux_handle_oom(size_t bytes_to_remove)
{
  size_t freed = bytes_to_remove > 0 ? free_unused() : 0, count = 0;
  struct circflow_victim victim;
  /* One at a time: the end of a set can end others. */
  while (flow_engine && freed < bytes_to_remove &&
         circflow_engine_choose_victims(flow_engine, 1, &victim, 1, &count, NULL) == CIRCFLOW_OK && count > 0) {
    /* What circuits hold for padding is not in tor's account of conflux. */
    if (victim.set.v == 0)
      continue;
    /* Without its queue a set has to end: what waits behind the lost messages could never be delivered. */
    flow_set_t *set = (flow_set_t *) (uintptr_t) victim.tag;
    freed += set->tor.ooo_q_alloc_cost;
    queue_clear(set);
    flow_set_close(set, END_CIRC_REASON_RESOURCELIMIT);
  }
  freed += free_unused();
  log_info(LD_CIRC, "Conflux freed %" TOR_PRIuSZ " bytes for the OOM handler; %"
           PRIu64 " are left.", freed, queued_bytes);
  return freed;
}

/* ---- Tor's numbers ---- */

#ifdef TOR_UNIT_TESTS
#include "circflow_written.h"
#else
/* Nobody else writes into them. */
#define flow_adopt(set) true
#endif

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

/* A message came where none may. */
static void
refuse_arrival(circuit_t *circ, const flow_leg_t *leg)
{
  log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux message %s. Closing circuit.",
         leg ? "from another hop than the last" : "on a circuit that is no leg");
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
  refuse_arrival(circ, leg);
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

/* Keeps a message whose turn has not come: circflow has its token. */
static inline void
hold_message(conflux_t *cfx, conflux_msg_t *held, const relay_msg_t *msg, uint64_t number)
{
  held->seq = number;
  held->msg = copy_message(msg);
  queue_add(cfx, held);
  /* How long the first is held has a bound; the others come later. */
  if (PREDICT_UNLIKELY(smartlist_len(cfx->ooo_q) == 1))
    flow_arm();
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
  conflux_msg_t *head = spare_look(&spare_heads, sizeof(spare_t));
  struct circflow_message message = message_of(leg, msg);
  message.form = CIRCFLOW_FORM_TOKEN;
  message.token = (uint64_t) (uintptr_t) head;
  message.cost_bytes = (uint32_t) (sizeof(conflux_msg_t) + sizeof(relay_msg_t) + msg->length);

  int32_t status = circflow_circuit_receive(flow_engine, flow_time_ns, leg->id, &message, &verdict);
  if (PREDICT_UNLIKELY(status != CIRCFLOW_OK)) {
    flow_refuse(in_circ, status);
    return false;
  }
  leg->tor.last_seq_recv = verdict.number;
  if (verdict.kind == CIRCFLOW_VERDICT_HELD) {
    hold_message(cfx, spare_take(&spare_heads, sizeof(spare_t)), msg, verdict.number);
    return false;
  }
  cfx->last_seq_delivered = verdict.number;
  set->is_ready = verdict.ready != 0;
  return true;
}

/* The next message that circflow hands out; NULL when there is none. */
static FLOW_APART conflux_msg_t *
take(flow_set_t *set, circuit_t *circ)
{
  if (PREDICT_UNLIKELY(set->next_taken == set->n_taken)) {
    size_t count = 0;
    set->next_taken = set->n_taken = 0;
    int32_t status = circflow_set_poll_tokens(flow_engine, set->id, set->taken, TAKEN_MAX, &count);
    set->n_taken = (int) count;
    if (count == 0) {
      set->is_ready = false;
      /* Not OK when two legs brought the same number. */
      if (status != CIRCFLOW_OK)
        flow_refuse(circ, status);
      else
        flow_run();
      return NULL;
    }
  }
  conflux_msg_t *msg = (conflux_msg_t *) (uintptr_t) set->taken[set->next_taken++];
  queue_remove(&set->tor, msg);
  set->tor.last_seq_delivered++;
  return msg;
}

conflux_msg_t *
conflux_dequeue_relay_msg(circuit_t *circ)
{
  /* Delivering the last message may have closed the circuit, and nobody told the loop. */
  flow_set_t *set = circ->conflux ? flow_set_of(circ->conflux) : NULL;
  return set && PREDICT_UNLIKELY(set->is_ready) && !circ->marked_for_close ? take(set, circ) : NULL;
}
