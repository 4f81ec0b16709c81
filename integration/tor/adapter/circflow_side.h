/* What circflow knows of tor's conflux sets: one engine, and a table from conflux_t to the circflow set that stands for
 * it. Part of conflux.c, which is the only file that includes it: tor's makefile knows of no other.
 *
 * Tor's structs are authoritative. conflux_pool.c adds and removes legs and numbers without telling anybody, and so do
 * tor's tests. So every call begins with side_sync(), which compares tor's struct with what was written there last;
 * when nothing differs, which is nearly always, that is all it does. */
#ifndef TOR_CIRCFLOW_SIDE_H
#define TOR_CIRCFLOW_SIDE_H

#include "circflow.h"
#include "ext/ht.h"

/* Any length will do as long as all legs have it: circflow checks that messages come from the last hop, and is told so
 * after conflux_validate_source_hop() has said so. */
#define CLIENT_HOPS 3

/* Messages that are asked for at a time, when their turn has come. */
#define SIDE_TAKEN_MAX 32

/* A leg as circflow knows it. */
typedef struct side_leg_t {
  conflux_leg_t *leg;
  circuit_t *circ;
  struct circflow_circuit_id id;
  /* What circflow believes of it: what it was told last, and the DATA that was sent since. */
  uint64_t cwnd;
  uint64_t inflight;
  uint64_t rtt_usec;
  uint32_t sendme_inc;
  uint32_t flags;
  bool is_client;
  /* What was in tor's leg when we looked last. */
  uint64_t sent;
  uint64_t recv;
  /* The leg joined at its set's number, as tor's pool has it, and has had no SWITCH since: the first may say zero. */
  bool may_get_zero;
} side_leg_t;

/* A set as circflow knows it. */
typedef struct side_t {
  HT_ENTRY(side_t) node;
  conflux_t *cfx;
  /* Zero before the first leg, and after the last. */
  struct circflow_set_id set;
  /* In the order of cfx->legs. */
  side_leg_t legs[CIRCFLOW_LEGS_MAX];
  int n_legs;
  /* What was in tor's set when we looked last. */
  uint64_t delivered;
  conflux_alg_t alg;
  /* Messages wait for conflux_dequeue_relay_msg(). */
  bool ready;
  /* The answer about the next DATA messages, so many, is known as long as nothing changes. */
  uint64_t decided;
  uint32_t switch_delta;
  circuit_t *choice;
  /* Messages whose turn has come, which circflow has handed out, and tor has not asked for yet. */
  uint64_t taken[SIDE_TAKEN_MAX];
  int n_taken;
  int next_taken;
  /* For the log. */
  struct circflow_set_stats figures;
  /* Messages were lost with circflow's set: nothing after them can be delivered any more. */
  bool torn;
} side_t;

static struct circflow_engine *engine = NULL;

/* The set that was looked for last. */
static side_t *last_side = NULL;

/* Sets with messages that tor is about to take. Polling meanwhile would take them away. */
static int n_ready = 0;

static inline int
side_eq(const side_t *a, const side_t *b)
{
  return a->cfx == b->cfx;
}

static inline unsigned
side_hash(const side_t *side)
{
  return (unsigned) (((uintptr_t) side->cfx >> 4) * 2654435761u);
}

static HT_HEAD(side_map, side_t) sides = HT_INITIALIZER();
HT_PROTOTYPE(side_map, side_t, node, side_hash, side_eq);
HT_GENERATE2(side_map, side_t, node, side_hash, side_eq, 0.6,
             tor_reallocarray_, tor_free_);

/* The time when a set or a leg came or went last. Looking at the clock costs more than most of what is done for a cell;
 * tor measures the round trips and has the timeouts, so that nothing here hangs on the time of a cell, and circflow
 * takes equal time as normal. */
static uint64_t time_ns = 0;

/* The one clock. Tests mock it, and it may stand still. */
static uint64_t
now_ns(void)
{
  time_ns = monotime_absolute_usec() * 1000;
  return time_ns;
}

/* Calls that cannot fail unless we have a bug: says so in tor's log. */
static bool
went_well(int32_t status, const char *what)
{
  if (PREDICT_LIKELY(status == CIRCFLOW_OK))
    return true;
  log_warn(LD_BUG, "circflow: %s: %s", what, circflow_strerror(status));
  return false;
}

static bool
engine_start(void)
{
  struct circflow_engine_config config;
  if (engine)
    return true;
  if (!went_well(circflow_engine_config_init(&config, sizeof(config)), "config"))
    return false;
  crypto_rand((char *) config.seed, sizeof(config.seed));
  /* Tor has an account of its own over all sets, and a handler for when it is overdrawn. */
  config.held_bytes_max = UINT64_MAX;
  bool made = went_well(circflow_engine_new(&config, &engine), "engine");
  memwipe(config.seed, 0, sizeof(config.seed));
  return made;
}

/* Takes what waits in the instruction queue. None of it is needed: closes follow from the status of the call that
 * caused them, tor asks for room by itself, and messages are taken with circflow_set_next(). That is also why nothing
 * may be taken while tor delivers. A set has one mark of each kind in the queue at most, so that it need not be
 * drained after every call. */
static void
engine_drain(void)
{
  struct circflow_insn insn;
  uint8_t no_body[1];
  while (n_ready == 0 &&
         circflow_engine_poll(engine, no_body, sizeof(no_body), &insn) == CIRCFLOW_OK &&
         insn.kind != CIRCFLOW_INSN_NONE)
    ;
}

static void
engine_stop(void)
{
  went_well(circflow_engine_free(engine, NULL, NULL), "end");
  engine = NULL;
  last_side = NULL;
  HT_CLEAR(side_map, &sides);
}

static void
side_set_ready(side_t *side, bool ready)
{
  side->n_taken = side->next_taken = 0;
  n_ready += (int) ready - (int) side->ready;
  side->ready = ready;
}

static inline side_t *
side_find(const conflux_t *cfx)
{
  side_t key;
  if (PREDICT_LIKELY(last_side && last_side->cfx == cfx))
    return last_side;
  key.cfx = (conflux_t *) cfx;
  side_t *side = HT_FIND(side_map, &sides, &key);
  if (side)
    last_side = side;
  return side;
}

static side_t *
side_find_or_new(conflux_t *cfx)
{
  side_t *side = side_find(cfx);
  if (PREDICT_LIKELY(side != NULL))
    return side;
  if (!engine_start())
    return NULL;
  side = tor_malloc_zero(sizeof(*side));
  side->cfx = cfx;
  HT_INSERT(side_map, &sides, side);
  return side;
}

static inline side_leg_t *
side_leg_of(side_t *side, const circuit_t *circ)
{
  for (int i = 0; i < side->n_legs; i++) {
    if (side->legs[i].circ == circ)
      return &side->legs[i];
  }
  return NULL;
}

/* Does circflow still have the set? It ends with its last leg, or when the peer has spoilt its order. */
static bool
side_is_alive(const side_t *side)
{
  struct circflow_set_stats stats;
  stats.size = sizeof(stats);
  return side->set.v != 0 &&
    circflow_set_get_stats(engine, side->set, &stats) == CIRCFLOW_OK;
}

/* Keeps the figures of a set that may be about to go. */
static void
side_note_figures(side_t *side)
{
  struct circflow_set_stats stats;
  stats.size = sizeof(stats);
  if (circflow_set_get_stats(engine, side->set, &stats) == CIRCFLOW_OK)
    side->figures = stats;
}

/* Writes the figures of a set that has gone into tor's log, for network.py. */
static void
side_log_figures(const side_t *side)
{
  const struct circflow_set_stats *figures = &side->figures;
  log_debug(LD_CIRC, "circflow: set ended: sent %" PRIu64 " delivered %" PRIu64
            " switches-sent %" PRIu64 " switches-received %" PRIu64
            " held-peak %" PRIu64 " held-bytes-peak %" PRIu64,
            figures->sent, figures->delivered, figures->switches_sent,
            figures->switches_received, figures->held_peak, figures->held_bytes_peak);
}

/* A leg is no more. Tor has judged by now whether its set can do without it, so that circflow must not count what was
 * in flight again: its last report may be old. */
static void
side_drop_leg(side_t *side, int at)
{
  struct circflow_leg_report report = {
    .circuit = side->legs[at].id, .sendme_inc = 1,
  };
  side->decided = 0;
  side_note_figures(side);
  (void) circflow_circuit_report(engine, now_ns(), &report, 1);
  went_well(circflow_circuit_closed(engine, now_ns(), side->legs[at].id),
            "leg closed");
  side->n_legs--;
  memmove(&side->legs[at], &side->legs[at + 1],
          (size_t) (side->n_legs - at) * sizeof(side->legs[0]));
}

/* Ends circflow's set, and forgets its legs. Messages of tor's are not touched. */
static void
side_shut(side_t *side)
{
  if (side_is_alive(side)) {
    side_note_figures(side);
    went_well(circflow_set_close(engine, now_ns(), side->set), "set closed");
  }
  if (side->set.v != 0)
    side_log_figures(side);
  side->set.v = 0;
  side->decided = 0;
  while (side->n_legs > 0) {
    side->n_legs--;
    went_well(circflow_circuit_closed(engine, now_ns(),
                                      side->legs[side->n_legs].id), "circuit closed");
  }
  side_set_ready(side, false);
  engine_drain();
}

static void
side_free(side_t *side)
{
  side_shut(side);
  HT_REMOVE(side_map, &sides, side);
  last_side = NULL;
  tor_free(side);
  if (HT_EMPTY(&sides))
    engine_stop();
}

/* What the other end asked for is in tor's choice of algorithm. CwndRTT is nothing it can ask for. */
static uint8_t
side_wanted_ux(conflux_alg_t alg)
{
  return alg == CONFLUX_ALG_MINRTT ? CIRCFLOW_UX_MIN_LATENCY : CIRCFLOW_UX_HIGH_THROUGHPUT;
}

static bool
side_open(side_t *side)
{
  struct circflow_set_config config;
  if (!went_well(circflow_set_config_init(&config, sizeof(config)), "config"))
    return false;
  config.tag = (uint64_t) (uintptr_t) side->cfx;
  config.legs_max = CIRCFLOW_LEGS_MAX;
  config.held_bytes_max = conflux_params_get_max_oooq();
  side->alg = side->cfx->params.alg;
  if (side->alg == CONFLUX_ALG_CWNDRTT)
    config.algorithm = CIRCFLOW_ALGORITHM_CWND_RTT;
  /* It is never sent, as the pool does the handshake; but two sets of an engine must not have the same. */
  crypto_rand((char *) config.nonce, sizeof(config.nonce));
  return went_well(circflow_set_open(engine, now_ns(), &config, &side->set), "set");
}

/* The round-trip time of a leg for circflow; 0 when there is none yet. */
static uint64_t
leg_rtt_ns(const conflux_leg_t *leg)
{
  return leg->circ_rtts_usec > UINT64_MAX / 1000 ? UINT64_MAX : leg->circ_rtts_usec * 1000;
}

static bool
side_adopt_leg(side_t *side, conflux_leg_t *leg, side_leg_t *out)
{
  struct circflow_circuit_config config;
  bool is_client = CIRCUIT_IS_ORIGIN(leg->circ);
  if (!went_well(circflow_circuit_config_init(&config, sizeof(config)), "config"))
    return false;
  config.tag = (uint64_t) (uintptr_t) leg->circ;
  config.role = is_client ? CIRCFLOW_ROLE_CLIENT : CIRCFLOW_ROLE_EXIT;
  config.hops = is_client ? CLIENT_HOPS : 0;
  memset(out, 0, sizeof(*out));
  out->leg = leg;
  out->circ = leg->circ;
  out->is_client = is_client;
  out->may_get_zero = leg->last_seq_recv > 0;
  if (!went_well(circflow_circuit_open(engine, now_ns(), &config, &out->id), "circuit"))
    return false;
  if (went_well(circflow_set_adopt_leg(engine, now_ns(), side->set, out->id,
                                       side_wanted_ux(side->cfx->params.alg),
                                       leg_rtt_ns(leg)), "leg"))
    return true;
  went_well(circflow_circuit_closed(engine, now_ns(), out->id), "no leg");
  return false;
}

static const conflux_leg_t *
side_tor_leg_of(const side_t *side, const side_leg_t *mine)
{
  CONFLUX_FOR_EACH_LEG_BEGIN(side->cfx, leg) {
    if (leg == mine->leg && leg->circ == mine->circ)
      return leg;
  } CONFLUX_FOR_EACH_LEG_END(leg);
  return NULL;
}

/* Legs that tor has no more. */
static void
side_drop_legs(side_t *side)
{
  for (int i = side->n_legs - 1; i >= 0; i--) {
    if (!side_tor_leg_of(side, &side->legs[i]))
      side_drop_leg(side, i);
  }
  if (side->set.v != 0 && !side_is_alive(side)) {
    /* It has ended with them. Tor may bring it to life again with another leg; but what was held is lost. */
    side->torn |= smartlist_len(side->cfx->ooo_q) > 0;
    side_shut(side);
  }
}

/* Legs that tor has now, in tor's order. */
static bool
side_add_legs(side_t *side)
{
  side_leg_t legs[CIRCFLOW_LEGS_MAX];
  if (CONFLUX_NUM_LEGS(side->cfx) > CIRCFLOW_LEGS_MAX) {
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux set with %d legs; %d are the most.",
           CONFLUX_NUM_LEGS(side->cfx), CIRCFLOW_LEGS_MAX);
    return false;
  }
  CONFLUX_FOR_EACH_LEG_BEGIN(side->cfx, leg) {
    side_leg_t *known = side_leg_of(side, leg->circ);
    if (known)
      legs[leg_sl_idx] = *known;
    else if (!side_adopt_leg(side, leg, &legs[leg_sl_idx]))
      return false;
  } CONFLUX_FOR_EACH_LEG_END(leg);
  side->n_legs = CONFLUX_NUM_LEGS(side->cfx);
  memcpy(side->legs, legs, (size_t) side->n_legs * sizeof(legs[0]));
  return true;
}

/* Copies tor's numbers, so that the next look finds no difference. */
static void
side_note_numbers(side_t *side)
{
  side->delivered = side->cfx->last_seq_delivered;
  for (int i = 0; i < side->n_legs; i++) {
    side->legs[i].sent = side->legs[i].leg->last_seq_sent;
    side->legs[i].recv = side->legs[i].leg->last_seq_recv;
  }
}

static bool
side_numbers_differ(const side_t *side)
{
  bool differ = side->delivered != side->cfx->last_seq_delivered;
  for (int i = 0; i < side->n_legs; i++) {
    differ |= side->legs[i].sent != side->legs[i].leg->last_seq_sent;
    differ |= side->legs[i].recv != side->legs[i].leg->last_seq_recv;
  }
  return differ;
}

/* The leg that sends, for a circflow set that does not know of one yet. */
static uint64_t
side_guess_sending(const side_t *side)
{
  const side_leg_t *best = NULL;
  for (int i = 0; i < side->n_legs; i++) {
    const side_leg_t *mine = &side->legs[i];
    uint64_t sent = mine->leg->last_seq_sent;
    uint64_t most = best ? best->leg->last_seq_sent : 0;
    if (sent > most || (best && sent == most && mine->leg == side->cfx->curr_leg))
      best = mine;
  }
  return best ? best->id.v : 0;
}

/* Tells circflow the numbers that somebody else has written into tor's structs. */
static bool
side_import(side_t *side)
{
  struct circflow_set_numbers numbers;
  struct circflow_leg_numbers rows[CIRCFLOW_LEGS_MAX];
  size_t n_rows = 0;
  if (!went_well(circflow_set_export(engine, side->set, &numbers, rows,
                                     CIRCFLOW_LEGS_MAX, &n_rows), "export"))
    return false;
  /* What is delivered must have been received. Tor's test of SWITCH writes a message's numbers before the SWITCH in
   * front of it has come: the rest of "delivered" follows after that, as the difference stays. */
  if (side->delivered != side->cfx->last_seq_delivered)
    numbers.delivered = MIN(side->cfx->last_seq_delivered, conflux_get_max_seq_recv(side->cfx));
  if (numbers.sending.v == 0)
    numbers.sending.v = side_guess_sending(side);
  for (int i = 0; i < side->n_legs; i++) {
    rows[i].circuit = side->legs[i].id;
    rows[i].sent = side->legs[i].leg->last_seq_sent;
    rows[i].recv = side->legs[i].leg->last_seq_recv;
  }
  if (!went_well(circflow_set_import(engine, now_ns(), side->set, &numbers, rows,
                                     (size_t) side->n_legs), "import"))
    return false;
  uint64_t delivered = side->delivered == side->cfx->last_seq_delivered ? side->delivered : numbers.delivered;
  side_note_numbers(side);
  side->delivered = delivered;
  return true;
}

static inline bool
side_is_current(const side_t *side)
{
  const conflux_t *cfx = side->cfx;
  int n_legs = side->n_legs;
  if (CONFLUX_NUM_LEGS(cfx) != n_legs ||
      cfx->last_seq_delivered != side->delivered ||
      cfx->params.alg != side->alg)
    return false;
  const side_leg_t *mine = side->legs;
  for (int i = 0; i < n_legs; i++, mine++) {
    const conflux_leg_t *leg = cfx->legs->list[i];
    if (mine->leg != leg || mine->circ != leg->circ ||
        mine->sent != leg->last_seq_sent || mine->recv != leg->last_seq_recv)
      return false;
  }
  return n_legs > 0 && !side->torn;
}

/* Tor's set has changed behind our back: follows it. */
static bool
side_follow(side_t *side)
{
  side->decided = 0;
  side_drop_legs(side);
  if (side->torn || CONFLUX_NUM_LEGS(side->cfx) == 0)
    return false;
  if (side->set.v != 0 && side->alg != side->cfx->params.alg) {
    /* A leg that joins brings the algorithm with it. Tor's tests change it by hand, and a live set has no way to be
     * told: it is made anew, which is possible while it holds nothing. */
    if (side->alg == CONFLUX_ALG_CWNDRTT || side->cfx->params.alg == CONFLUX_ALG_CWNDRTT ||
        CONFLUX_NUM_LEGS(side->cfx) <= side->n_legs) {
      if (smartlist_len(side->cfx->ooo_q) == 0)
        side_shut(side);
    }
    side->alg = side->cfx->params.alg;
  }
  bool is_new = side->set.v == 0;
  if (is_new && !side_open(side))
    return false;
  if (!side_add_legs(side))
    return false;
  if (is_new) {
    /* What circflow knows of it: nothing. */
    side->delivered = 0;
  }
  return !side_numbers_differ(side) || side_import(side);
}

/* The circflow set of a set of tor's, as tor has it now. NULL when they cannot be brought together: the set is being
 * closed then. */
static side_t *
side_sync_anew(conflux_t *cfx)
{
  /* The legs go one by one now, and nothing is sent or delivered any more. */
  if (cfx->in_full_teardown)
    return NULL;
  side_t *side = side_find_or_new(cfx);
  if (!side)
    return NULL;
  if (side_is_current(side) || side_follow(side))
    return side;
  if (CONFLUX_NUM_LEGS(cfx) > 0) {
    const conflux_leg_t *leg = smartlist_get(cfx->legs, 0);
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux set cannot go on. Closing it.");
    conflux_mark_all_for_close(cfx->nonce, CIRCUIT_IS_ORIGIN(leg->circ),
                               END_CIRC_REASON_INTERNAL);
  }
  return NULL;
}

/* The same, with the common case first: the set of the last call, and nothing has changed. */
static inline side_t *
side_sync(conflux_t *cfx)
{
  if (PREDICT_LIKELY(last_side && last_side->cfx == cfx && !cfx->in_full_teardown && side_is_current(last_side)))
    return last_side;
  return side_sync_anew(cfx);
}

/* The set, and the leg that a circuit is of it. What another leg may have been given behind our back is seen when one
 * is chosen to send on, or when that leg's turn comes. NULL, and the set is none or the circuit no leg of it. */
static inline side_t *
side_sync_leg(conflux_t *cfx, const circuit_t *circ, side_leg_t **leg_out)
{
  side_t *side = last_side;
  if (PREDICT_LIKELY(side && side->cfx == cfx && !cfx->in_full_teardown && !side->torn &&
                     cfx->last_seq_delivered == side->delivered && cfx->params.alg == side->alg)) {
    int n_legs = side->n_legs;
    side_leg_t *mine = side->legs;
    for (int i = 0; i < n_legs; i++, mine++) {
      const conflux_leg_t *leg = mine->leg;
      if (mine->circ != circ)
        continue;
      if (PREDICT_LIKELY(CONFLUX_NUM_LEGS(cfx) == n_legs && cfx->legs->list[i] == leg && leg->circ == circ &&
                         leg->last_seq_sent == mine->sent && leg->last_seq_recv == mine->recv)) {
        *leg_out = mine;
        return side;
      }
      break;
    }
  }
  side = side_sync_anew(cfx);
  *leg_out = side ? side_leg_of(side, circ) : NULL;
  return *leg_out ? side : NULL;
}

#endif /* !defined(TOR_CIRCFLOW_SIDE_H) */
