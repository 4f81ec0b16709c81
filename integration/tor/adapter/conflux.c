/* Conflux for C Tor, by circflow: what conflux.h of tor 0.4.9 declares, for tor to be built with instead of its own
 * file of this name. License: MIT OR Apache-2.0, as all of circflow.
 *
 * Every function has the same shape: bring circflow's set up to date with tor's (side_sync), feed circflow, and write
 * what follows into tor's structs. Tor keeps the messages; circflow orders their addresses. README.md of the folder
 * above this one has the whole story. */

#define TOR_CONFLUX_PRIVATE

#include "core/or/or.h"

#include "app/config/config.h"
#include "core/or/channel.h"
#include "core/or/circuit_st.h"
#include "core/or/circuitbuild.h"
#include "core/or/circuitlist.h"
#include "core/or/circuitmux.h"
#include "core/or/circuitpadding.h"
#include "core/or/circuituse.h"
#include "core/or/conflux.h"
#include "core/or/conflux_cell.h"
#include "core/or/conflux_params.h"
#include "core/or/conflux_pool.h"
#include "core/or/conflux_st.h"
#include "core/or/conflux_util.h"
#include "core/or/congestion_control_common.h"
#include "core/or/congestion_control_st.h"
#include "core/or/crypt_path_st.h"
#include "core/or/extend_info_st.h"
#include "core/or/or_circuit_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/relay.h"
#include "core/or/relay_msg.h"
#include "feature/nodelist/networkstatus.h"
#include "feature/nodelist/node_st.h"
#include "feature/nodelist/nodelist.h"
#include "feature/nodelist/routerstatus_st.h"
#include "feature/stats/rephist.h"
#include "lib/crypt_ops/crypto_rand.h"
#include "lib/crypt_ops/crypto_util.h"
#include "lib/evloop/compat_libevent.h"
#include "lib/evloop/timers.h"
#include "lib/fs/files.h"
#include "lib/time/compat_time.h"

#include "circflow_build.h"
#include "circflow_side.h"
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
  const congestion_control_t *cc;
  tor_assert(circ);
  if (CIRCUIT_IS_ORIGIN(circ)) {
    const crypt_path_t *first = CONST_TO_ORIGIN_CIRCUIT(circ)->cpath;
    tor_assert(first && first->prev);
    cc = first->prev->ccontrol;
  } else {
    cc = circ->ccontrol;
  }
  tor_assert(cc);
  return cc;
}

conflux_leg_t *
conflux_get_leg(conflux_t *cfx, const circuit_t *circ)
{
  tor_assert(cfx && cfx->legs);
  CONFLUX_FOR_EACH_LEG_BEGIN(cfx, leg) {
    if (leg->circ == circ)
      return leg;
  } CONFLUX_FOR_EACH_LEG_END(leg);
  return NULL;
}

uint64_t
conflux_get_max_seq_sent(const conflux_t *cfx)
{
  uint64_t highest = 0;
  /* The pool asks this right after it has taken a leg out. It is the moment to follow: later another leg may have the
   * same address. */
  side_t *side = side_find(cfx);
  if (side)
    side_drop_legs(side);
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
  /* Every decision brings a report with it, so that circflow need not hear of it now. */
  conflux_leg_t *leg = conflux_get_leg(cfx, circ);
  if (BUG(!leg))
    return;
  leg->circ_rtts_usec = rtt_usec;
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

uint64_t
conflux_get_total_bytes_allocation(void)
{
  return queued_bytes;
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
 * knows its place in it. */
static inline void
queue_add(conflux_t *cfx, conflux_msg_t *msg)
{
  size_t cost = conflux_msg_alloc_cost(msg);
  smartlist_t *list = cfx->ooo_q;
  msg->heap_idx = list->num_used;
  if (PREDICT_LIKELY(list->num_used < list->capacity))
    list->list[list->num_used++] = msg;
  else
    smartlist_add(list, msg);
  cfx->ooo_q_alloc_cost += cost;
  queued_bytes += cost;
}

static inline void
queue_remove(conflux_t *cfx, conflux_msg_t *msg)
{
  size_t cost = conflux_msg_alloc_cost(msg);
  smartlist_t *list = cfx->ooo_q;
  int at = msg->heap_idx;
  tor_assert(at < list->num_used && list->list[at] == msg);
  /* The last one takes its place, as smartlist_del() has it. */
  conflux_msg_t *moved = list->list[--list->num_used];
  list->list[at] = moved;
  moved->heap_idx = at;
  list->list[list->num_used] = NULL;
  cfx->ooo_q_alloc_cost -= cost;
  queued_bytes -= cost;
}

static void
queue_clear(conflux_t *cfx)
{
  side_t *side = side_find(cfx);
  if (side)
    side->n_taken = side->next_taken = 0;
  SMARTLIST_FOREACH(cfx->ooo_q, conflux_msg_t *, msg, conflux_relay_msg_free(msg));
  smartlist_clear(cfx->ooo_q);
  queued_bytes -= cfx->ooo_q_alloc_cost;
  cfx->ooo_q_alloc_cost = 0;
}

void
conflux_clear_ooo_q(conflux_t *cfx)
{
  tor_assert(cfx && cfx->ooo_q);
  /* The set is being freed, and its list of legs is gone already. */
  side_t *side = side_find(cfx);
  if (side)
    side_free(side);
  queue_clear(cfx);
  if (!engine) {
    spares_free(&spare_heads);
    spares_free(&spare_copies);
  }
  log_debug(LD_CIRC, "circflow: queued bytes of all sets %" PRIu64, queued_bytes);
}

/* The set that holds most. */
static side_t *
side_with_most(void)
{
  side_t **at, *most = NULL;
  HT_FOREACH(at, side_map, &sides) {
    if ((*at)->cfx->ooo_q_alloc_cost > (most ? most->cfx->ooo_q_alloc_cost : 0))
      most = *at;
  }
  return most;
}

/* Empties a queue and ends its set: what waits behind the lost messages could never be delivered. */
static size_t
side_sacrifice(side_t *side)
{
  conflux_t *cfx = side->cfx;
  size_t freed = cfx->ooo_q_alloc_cost;
  bool is_client = CONFLUX_NUM_LEGS(cfx) > 0 &&
    CIRCUIT_IS_ORIGIN(((conflux_leg_t *) smartlist_get(cfx->legs, 0))->circ);
  queue_clear(cfx);
  side->torn = true;
  side_shut(side);
  if (CONFLUX_NUM_LEGS(cfx) > 0)
    conflux_mark_all_for_close(cfx->nonce, is_client, END_CIRC_REASON_RESOURCELIMIT);
  return freed;
}

size_t
conflux_handle_oom(size_t bytes_to_remove)
{
  size_t freed = 0;
  side_t *side;
  while (freed < bytes_to_remove && (side = side_with_most()))
    freed += side_sacrifice(side);
  spares_free(&spare_heads);
  spares_free(&spare_copies);
  if (engine)
    (void) circflow_engine_trim(engine, NULL);
  log_info(LD_CIRC, "Conflux freed %" TOR_PRIuSZ " bytes for the OOM handler; %"
           PRIu64 " are left.", freed, queued_bytes);
  return freed;
}

/* ---- Sending ---- */

/* How a leg stands: congestion control is tor's. True when that is news for circflow. */
static inline bool
leg_look(side_leg_t *mine)
{
  const circuit_t *circ = mine->circ;
  const congestion_control_t *cc = mine->is_client ? CONST_TO_ORIGIN_CIRCUIT(circ)->cpath->prev->ccontrol
                                                   : circ->ccontrol;
  bool blocked = mine->is_client ? circ->circuit_blocked_on_n_chan : circ->circuit_blocked_on_p_chan;
  uint64_t rtt_usec = mine->leg->circ_rtts_usec;
  uint32_t flags = (blocked ? CIRCFLOW_REPORT_CHANNEL_BLOCKED : 0) |
    (cc->in_slow_start ? CIRCFLOW_REPORT_SLOW_START : 0);
  if (PREDICT_LIKELY(mine->inflight == cc->inflight && mine->cwnd == cc->cwnd && mine->rtt_usec == rtt_usec &&
                     mine->flags == flags && mine->sendme_inc == cc->sendme_inc))
    return false;
  mine->cwnd = cc->cwnd;
  mine->inflight = cc->inflight;
  mine->rtt_usec = rtt_usec;
  mine->flags = flags;
  mine->sendme_inc = cc->sendme_inc;
  return true;
}

/* The legs of which circflow has to hear something, as bits. Between two SENDMEs there are none: circflow counts what
 * is sent as tor does. */
static inline uint32_t
side_news(side_t *side)
{
  uint32_t news = 0;
  for (int i = 0; i < side->n_legs; i++)
    news |= leg_look(&side->legs[i]) ? UINT32_C(1) << i : 0;
  return news;
}

static size_t
side_report(const side_t *side, uint32_t news, struct circflow_leg_report *reports)
{
  size_t n = 0;
  for (int i = 0; i < side->n_legs; i++) {
    const side_leg_t *mine = &side->legs[i];
    if (news & (UINT32_C(1) << i))
      reports[n++] = (struct circflow_leg_report) {
        .circuit = mine->id,
        .cwnd = mine->cwnd,
        .inflight = mine->inflight,
        .rtt_ns = leg_rtt_ns(mine->leg),
        .sendme_inc = mine->sendme_inc,
        .flags = mine->flags,
      };
  }
  return n;
}

/* Tor wants a current leg as soon as it has asked for one, before anything was sent. */
static void
name_first_leg(side_t *side, const circuit_t *circ)
{
  conflux_t *cfx = side->cfx;
  struct circflow_set_stats stats;
  stats.size = sizeof(stats);
  if (!circ && circflow_set_get_stats(engine, side->set, &stats) == CIRCFLOW_OK) {
    /* No leg has room: the fastest. */
    for (int i = 0; i < side->n_legs; i++) {
      if (side->legs[i].id.v == stats.primary.v)
        circ = side->legs[i].circ;
    }
  }
  cfx->curr_leg = circ ? conflux_get_leg(cfx, circ) : NULL;
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

/* Asks circflow where a message goes. True when there is a leg for it: side->choice. */
static bool
side_ask(side_t *side, uint8_t command, uint32_t news)
{
  struct circflow_leg_report reports[CIRCFLOW_LEGS_MAX];
  struct circflow_verdict verdict;
  struct circflow_message message = {
    .command = command,
    .hop = side->legs[0].is_client ? CLIENT_HOPS : 0,
  };
  size_t n = news ? side_report(side, news, reports) : 0;
  int32_t status = circflow_set_decide(engine, time_ns, side->set, &message, reports, n, &verdict);
  side->choice = NULL;
  side->switch_delta = 0;
  side->decided = 0;
  if (PREDICT_LIKELY(status == CIRCFLOW_OK)) {
    side->choice = (circuit_t *) (uintptr_t) verdict.circuit_tag;
    side->switch_delta = verdict.switch_delta;
    /* How many more go the same way. */
    went_well(circflow_set_room(engine, side->set, &side->decided), "room");
  } else if (status == CIRCFLOW_ERR_BLOCKED) {
    /* It has noted that it will have to say when there is room. */
    engine_drain();
  } else {
    went_well(status, "decision");
    return false;
  }
  /* A message other than DATA goes out also where DATA has to wait: only what is said of DATA holds for all. */
  if (command == RELAY_COMMAND_DATA)
    side->decided = MAX(side->decided, 1);
  else
    side->decided = 0;
  return side->choice != NULL;
}

/* The leg for the next DATA message in side->choice, or none. Tor asks twice for each cell. */
static inline void
side_choose(side_t *side)
{
  uint32_t news = side_news(side);
  if (PREDICT_UNLIKELY(news || side->decided == 0))
    (void) side_ask(side, RELAY_COMMAND_DATA, news);
  if (PREDICT_UNLIKELY(!side->cfx->curr_leg))
    name_first_leg(side, side->choice);
}

circuit_t *
conflux_decide_next_circ(conflux_t *cfx)
{
  side_t *side = side_sync(cfx);
  if (!side)
    return NULL;
  side_choose(side);
  return side->choice;
}

/* A deliberate mistake, to see that the tests of the whole can fail. */
static uint32_t
delta_to_send(uint32_t delta)
{
#if CIRCFLOW_TOR_DEBUG
  const char *by = getenv("CIRCFLOW_TOR_WRONG_SWITCH");
  if (by)
    return delta + (uint32_t) atoi(by);
#endif
  return delta;
}

/* Sends SWITCH, and counts it when it was queued. Anything can have happened to the set meanwhile: sending asks tor
 * for room again, and can run the OOM handler. */
static circuit_t *
switch_to(conflux_t *cfx, circuit_t *circ, uint32_t delta)
{
  if (!conflux_send_switch_command(circ, delta_to_send(delta)))
    goto broken;
  if (cfx->in_full_teardown || circ->marked_for_close)
    return NULL;
  side_t *side = side_sync(cfx);
  side_leg_t *mine = side ? side_leg_of(side, circ) : NULL;
  if (!mine)
    return NULL;
  side->decided = 0;
  if (delta != 0 &&
      !went_well(circflow_circuit_sent(engine, time_ns, mine->id, CIRCFLOW_CMD_SWITCH,
                                       CIRCUIT_IS_ORIGIN(circ) ? CLIENT_HOPS : 0), "SWITCH"))
    goto broken;
  conflux_leg_t *leg = conflux_get_leg(cfx, circ);
  leg->last_seq_sent += delta;
  mine->sent = leg->last_seq_sent;
  move_to_leg(cfx, leg);
  return circ;

 broken:
  conflux_mark_all_for_close(cfx->nonce, CIRCUIT_IS_ORIGIN(circ), END_CIRC_REASON_TORPROTOCOL);
  return NULL;
}

/* circflow needs no SWITCH to a leg that stands where the sending one does, and does not count one. Tor's pool brings
 * legs that join late to their set's number, and tor announces such a move too: its tests wait for the cell. */
static bool
announces_move(conflux_t *cfx, const circuit_t *circ)
{
  const conflux_leg_t *leg = conflux_get_leg(cfx, circ);
  return leg && leg != cfx->curr_leg && leg->last_seq_sent > 0;
}

circuit_t *
conflux_decide_circ_for_send(conflux_t *cfx, circuit_t *orig_circ, uint8_t relay_command)
{
  if (!conflux_should_multiplex(relay_command))
    return orig_circ;
  side_t *side = side_sync(cfx);
  if (!side)
    return NULL;
  side_choose(side);
  if (!side->choice && (relay_command == RELAY_COMMAND_DATA || !side_ask(side, relay_command, 0)))
    return NULL;
  circuit_t *circ = side->choice;
  if (PREDICT_LIKELY(cfx->curr_leg && cfx->curr_leg->circ == circ && side->switch_delta == 0))
    return circ;
  if (side->switch_delta != 0 || announces_move(cfx, circ))
    return switch_to(cfx, circ, side->switch_delta);
  return circ;
}

void
conflux_note_cell_sent(conflux_t *cfx, circuit_t *circ, uint8_t relay_command)
{
  if (!conflux_should_multiplex(relay_command))
    return;
  side_leg_t *mine;
  side_t *side = side_sync_leg(cfx, circ, &mine);
  if (!side) {
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "A cell went out on a circuit that is no leg any more.");
    return;
  }
  int32_t status = circflow_circuit_sent(engine, time_ns, mine->id, relay_command,
                                         mine->is_client ? CLIENT_HOPS : 0);
  if (!went_well(status, "sent")) {
    /* The peer counts this message, and we could not: the numbers are of no use any more. */
    conflux_mark_all_for_close(cfx->nonce, mine->is_client, END_CIRC_REASON_INTERNAL);
    return;
  }
  /* What circflow has said holds for the leg that sends. */
  side->decided = side->choice == circ && cfx->curr_leg == mine->leg && side->decided > 0 ? side->decided - 1 : 0;
  mine->inflight += relay_command == RELAY_COMMAND_DATA;
  mine->sent = ++mine->leg->last_seq_sent;
  move_to_leg(cfx, mine->leg);
}

/* ---- Receiving ---- */

/* The peer broke the protocol, or a limit was reached: says why, closes the circuit, and the whole set where its order
 * is lost. */
static void
refuse(side_t *side, circuit_t *circ, int32_t status)
{
  char detail[160] = "";
  conflux_t *cfx = side->cfx;
  int32_t reason = circflow_close_reason(status);
  if (reason < 0)
    reason = END_CIRC_REASON_INTERNAL;
  (void) circflow_engine_last_detail(engine, detail, sizeof(detail), NULL);
  log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux: %s (%s). Closing.", circflow_strerror(status), detail);
  if (!side_is_alive(side))
    conflux_mark_all_for_close(cfx->nonce, CIRCUIT_IS_ORIGIN(circ), reason);
  if (!circ->marked_for_close)
    circuit_mark_for_close(circ, reason);
}

/* The leg that a message came on, if it may have come there. Closes the circuit otherwise. */
static inline side_leg_t *
leg_of_arrival(conflux_t *cfx, circuit_t *circ, crypt_path_t *layer_hint, side_t **side_out)
{
  side_leg_t *mine;
  side_t *side = side_sync_leg(cfx, circ, &mine);
  /* The common case of conflux_validate_source_hop(), at an exit. */
  bool is_end = mine && !mine->is_client && !layer_hint && !circ->n_chan;
  if (PREDICT_LIKELY(is_end || (mine && conflux_validate_source_hop(circ, layer_hint)))) {
    *side_out = side;
    return mine;
  }
  log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux message %s. Closing circuit.",
         mine ? "from another hop than the last" : "on a circuit that is no leg");
  if (!circ->marked_for_close)
    circuit_mark_for_close(circ, mine ? END_CIRC_REASON_TORPROTOCOL : END_CIRC_REASON_INTERNAL);
  return NULL;
}

static inline struct circflow_message
message_of(const side_leg_t *mine, const relay_msg_t *msg)
{
  return (struct circflow_message) {
    .command = msg->command,
    .hop = mine->is_client ? CLIENT_HOPS : 0,
    .stream_id = msg->stream_id,
    .body = msg->body,
    .body_len = msg->length,
  };
}

/* The other half of announces_move(): a SWITCH by zero to a leg that has just joined moves nothing, and circflow,
 * which never sends one, need not hear of it. All others it counts, and sixteen in the life of a set are too many. */
static bool
is_announcement(side_leg_t *mine, uint32_t delta)
{
  bool is_first = mine->may_get_zero;
  mine->may_get_zero = false;
  return is_first && delta == 0;
}

int
conflux_process_switch_command(circuit_t *in_circ, crypt_path_t *layer_hint, const relay_msg_t *msg)
{
  struct circflow_verdict verdict;
  side_t *side = NULL;
  tor_assert(in_circ && msg);
  if (!conflux_is_enabled(in_circ) || !in_circ->conflux) {
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "SWITCH without a conflux set. Closing circuit.");
    circuit_mark_for_close(in_circ, END_CIRC_REASON_TORPROTOCOL);
    return -1;
  }
  side_leg_t *mine = leg_of_arrival(in_circ->conflux, in_circ, layer_hint, &side);
  if (!mine)
    return -1;
  uint32_t delta = conflux_cell_parse_switch(msg);
  if (msg->length < CIRCFLOW_SWITCH_LEN || !is_announcement(mine, delta)) {
    struct circflow_message message = message_of(mine, msg);
    int32_t status = circflow_circuit_receive(engine, time_ns, mine->id, &message, &verdict);
    if (status != CIRCFLOW_OK) {
      refuse(side, in_circ, status);
      return -1;
    }
  }
  mine->leg->last_seq_recv += delta;
  mine->recv = mine->leg->last_seq_recv;
  if (CIRCUIT_IS_ORIGIN(in_circ))
    circuit_read_valid_data(TO_ORIGIN_CIRCUIT(in_circ), msg->length);
  return 0;
}

/* Tor's loop over the messages that were ready was cut short, by a circuit that closed in the middle. What is left has
 * had its turn, and would never be asked for: the set cannot go on. */
static bool
was_cut_short(const side_t *side, circuit_t *circ)
{
  if (PREDICT_LIKELY(!side->ready))
    return false;
  log_info(LD_CIRC, "Conflux messages were left undelivered by a circuit that closed. Closing the set.");
  conflux_mark_all_for_close(side->cfx->nonce, CIRCUIT_IS_ORIGIN(circ), END_CIRC_REASON_INTERNAL);
  return true;
}

/* Keeps a message whose turn has not come: circflow has its token. */
static inline void
hold_message(conflux_t *cfx, conflux_msg_t *held, const relay_msg_t *msg, uint64_t number)
{
  held->seq = number;
  held->msg = copy_message(msg);
  queue_add(cfx, held);
}

bool
conflux_process_relay_msg(conflux_t *cfx, circuit_t *in_circ, crypt_path_t *layer_hint,
                          const relay_msg_t *msg)
{
  struct circflow_verdict verdict;
  side_t *side = NULL;
  side_leg_t *mine = leg_of_arrival(cfx, in_circ, layer_hint, &side);
  if (!mine || was_cut_short(side, in_circ))
    return false;
  pad_note_arrival(in_circ, layer_hint);
  conflux_msg_t *head = spare_take(&spare_heads, sizeof(spare_t));
  struct circflow_message message = message_of(mine, msg);
  message.form = CIRCFLOW_FORM_TOKEN;
  message.token = (uint64_t) (uintptr_t) head;
  message.cost = (uint32_t) (sizeof(conflux_msg_t) + sizeof(relay_msg_t) + msg->length);

  int32_t status = circflow_circuit_receive(engine, time_ns, mine->id, &message, &verdict);
  if (PREDICT_UNLIKELY(status != CIRCFLOW_OK)) {
    spare_give(&spare_heads, head);
    refuse(side, in_circ, status);
    return false;
  }
  mine->leg->last_seq_recv = verdict.number;
  mine->recv = verdict.number;
  if (verdict.kind == CIRCFLOW_VERDICT_HELD) {
    hold_message(cfx, head, msg, verdict.number);
    return false;
  }
  spare_give(&spare_heads, head);
  cfx->last_seq_delivered = verdict.number;
  side->delivered = verdict.number;
  side_set_ready(side, verdict.ready != 0);
  return true;
}

/* Asks circflow for the next messages whose turn has come. False when there are none. */
static bool
side_take(side_t *side, circuit_t *circ)
{
  size_t count = 0;
  int32_t status = circflow_set_next_tokens(engine, side->set, side->taken, SIDE_TAKEN_MAX, &count);
  side->next_taken = 0;
  side->n_taken = (int) count;
  if (PREDICT_LIKELY(count > 0))
    return true;
  side_set_ready(side, false);
  /* Not OK when two legs brought the same number. */
  if (status != CIRCFLOW_OK)
    refuse(side, circ, status);
  else
    engine_drain();
  return false;
}

conflux_msg_t *
conflux_dequeue_relay_msg(circuit_t *circ)
{
  /* Delivering the last message may have closed the circuit, and nobody told the loop. */
  if (circ->marked_for_close || !circ->conflux)
    return NULL;
  conflux_t *cfx = circ->conflux;
  side_t *side = side_find(cfx);
  if (!side || !side->ready)
    return NULL;
  if (side->next_taken == side->n_taken && !side_take(side, circ))
    return NULL;
  conflux_msg_t *msg = (conflux_msg_t *) (uintptr_t) side->taken[side->next_taken++];
  queue_remove(cfx, msg);
  side->delivered = ++cfx->last_seq_delivered;
  return msg;
}
