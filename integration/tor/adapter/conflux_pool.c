/* The sets of conflux for C Tor, by circflow: what conflux_pool.h of tor 0.4.9 declares, for tor to be built with
 * instead of its own file of this name. License: MIT OR Apache-2.0, as all of circflow.
 *
 * circflow has the link handshake: which nonce a LINK belongs to, what may come when, how long it may take, how many
 * legs may be launched, and which legs a set can do without. Here is what only tor can do: launch circuits, give them
 * to streams, keep the lists of streams alike on all legs, and close. Every function has the same shape: tell circflow
 * what has happened, then do what it asks for (flow_run). */

#define TOR_CONFLUX_PRIVATE

#include "core/or/or.h"

#include "app/config/config.h"
#include "core/or/circuitbuild.h"
#include "core/or/circuitlist.h"
#include "core/or/circuitstats.h"
#include "core/or/circuituse.h"
#include "core/or/conflux.h"
#include "core/or/conflux_params.h"
#include "core/or/conflux_pool.h"
#include "core/or/conflux_st.h"
#include "core/or/conflux_util.h"
#include "core/or/connection_edge.h"
#include "core/or/crypt_path_st.h"
#include "core/or/edge_connection_st.h"
#include "core/or/extend_info_st.h"
#include "core/or/or_circuit_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/reasons.h"
#include "core/or/relay.h"
#include "feature/client/bridges.h"
#include "feature/nodelist/describe.h"
#include "feature/nodelist/nodelist.h"
#include "lib/crypt_ops/crypto_rand.h"
#include "lib/crypt_ops/crypto_util.h"
#include "lib/encoding/binascii.h"
#include "lib/time/compat_time.h"
#include "trunnel/conflux.h"

#include "circflow_sets.h"
#include "circflow_trace.h"
#include "circflow_figures.h"
#include "circflow_algorithm.h"
#include "circflow_alarm.h"

/* Sets by nonce: those with legs that tor has, and those with legs that are not linked yet. A set to which another leg
 * is launched is in both. */
typedef struct pool_t {
  digest256map_t *linked;
  digest256map_t *unlinked;
} pool_t;
static pool_t client_pool, exit_pool;

struct circflow_engine *flow_engine = NULL;
uint64_t flow_time_ns = 0;

/* Circuits are freed now without having been closed: there is nothing to close or to launch any more. */
static bool shutting_down = false;

/* flow_run() is at work: it comes to whatever is queued meanwhile. */
static bool is_running = false;

/* Sets that have ended while it is at work. What is queued may still name them. */
static smartlist_t *ended_sets = NULL;

/* What each end wants of the other. Tor's tests have names for it. */
STATIC uint8_t DEFAULT_CLIENT_UX = CONFLUX_UX_HIGH_THROUGHPUT;
STATIC uint8_t DEFAULT_EXIT_UX = CONFLUX_UX_MIN_LATENCY;

static bool launch_leg(flow_set_t *set);

/* ---- The engine ---- */

uint64_t
flow_now_ns(void)
{
  flow_time_ns = monotime_absolute_usec() * 1000;
  return flow_time_ns;
}

bool
flow_complain(int32_t status, const char *what)
{
  /* A bug that shows with every cell must not fill the disk. */
  static ratelim_t limit = RATELIM_INIT(60);
  log_fn_ratelim(&limit, LOG_WARN, LD_BUG, "circflow: %s: %s", what, circflow_status_text(status));
  return false;
}

/* As many as circflow can count; its tables grow as they are filled. */
#define TABLE_MAX (1 << 24)

static bool
engine_start(void)
{
  struct circflow_engine_config config;
  if (flow_engine)
    return true;
  if (!flow_went_well(circflow_engine_config_init(&config, sizeof(config)), "config"))
    return false;
  crypto_rand((char *) config.seed, sizeof(config.seed));
  /* Tor has an account of its own over all sets, and a handler for when it is overdrawn. */
  config.held_bytes_max = UINT64_MAX;
  /* How many circuits there may be is tor's to say. */
  config.circuits_max = config.sets_max = TABLE_MAX;
  bool made = flow_went_well(circflow_engine_new(&config, &flow_engine), "engine");
  memwipe(config.seed, 0, sizeof(config.seed));
  if (made) {
    flow_trace_begin(flow_engine);
    flow_figures_begin(flow_engine, false);
  }
  return made;
}

uint32_t
flow_circ_number(const circuit_t *circ)
{
  return CIRCUIT_IS_ORIGIN(circ) ? CONST_TO_ORIGIN_CIRCUIT(circ)->global_identifier
                                 : CONST_TO_OR_CIRCUIT(circ)->p_circ_id;
}

/* A nonce is a secret; in the log there is enough of it to tell sets apart, as in stock tor. */
static const char *
nonce_of(const flow_set_t *set)
{
  return hex_str((const char *) set->tor.nonce, 8);
}

/* Where all legs of a client's set have to end; NULL when none has been launched, and at an exit. */
static extend_info_t *
exit_of(const flow_set_t *set)
{
  const flow_leg_t *leg = flow_leg_count(set) > 0 ? flow_leg_at(set, 0) :
    smartlist_len(set->unlinked) > 0 ? smartlist_get(set->unlinked, 0) : NULL;
  const crypt_path_t *path = leg && leg->is_client ? TO_ORIGIN_CIRCUIT(leg->tor.circ)->cpath : NULL;
  return path ? path->prev->extend_info : NULL;
}

/* The same in words for tor's log of level info, if anybody reads it. */
static const char *
where_ends(const flow_set_t *set)
{
  static char text[128];
  const extend_info_t *end = get_min_log_level() >= LOG_INFO ? exit_of(set) : NULL;
  tor_snprintf(text, sizeof(text), "%s%s", end ? " to " : "", end ? extend_info_describe(end) : "");
  return text;
}

static bool
is_remote(int reason)
{
  return reason >= 0 && (reason & END_CIRC_REASON_FLAG_REMOTE);
}

/* Tor's word for why a circuit closes. A peer can send any number, and tor's own function would warn of it. */
static const char *
reason_of(int reason)
{
  int plain = is_remote(reason) ? reason & ~END_CIRC_REASON_FLAG_REMOTE : reason;
  bool is_known = plain >= END_CIRC_REASON_IP_NOW_REDUNDANT && plain <= END_CIRC_REASON_MAX_;
  return is_known ? circuit_end_reason_to_control_string(plain) : "a reason that tor does not know";
}

/* ---- Pools ---- */

static pool_t *
pool_of(bool is_client)
{
  return is_client ? &client_pool : &exit_pool;
}

void
conflux_pool_init(void)
{
  /* Tor's tests begin more than once. */
  static bool has_said = false;
  uint32_t version = circflow_version();
  if (!has_said)
    log_notice(LD_CIRC, "circflow %u.%u.%u does conflux.", version >> 16, version >> 8 & 0xff, version & 0xff);
  has_said = true;
  flow_algorithm_read();
  for (int is_client = 0; is_client < 2; is_client++) {
    pool_t *pool = pool_of(is_client);
    if (!pool->linked)
      pool->linked = digest256map_new();
    if (!pool->unlinked)
      pool->unlinked = digest256map_new();
  }
}

/* The set with this nonce, as far as tor is concerned: for circuits that have one. Whose LINK a nonce is in is looked
 * up by circflow, which compares in constant time; here it is known already. */
static flow_set_t *
set_find(const uint8_t *nonce, bool is_client)
{
  const pool_t *pool = pool_of(is_client);
  flow_set_t *set = digest256map_get(pool->linked, nonce);
  return set ? set : digest256map_get(pool->unlinked, nonce);
}

static void
place(digest256map_t *map, flow_set_t *set, bool belongs)
{
  if (belongs)
    digest256map_set(map, set->tor.nonce, set);
  else if (digest256map_get(map, set->tor.nonce) == set)
    digest256map_remove(map, set->tor.nonce);
}

/* Puts a set where its legs are. */
static void
set_place(flow_set_t *set)
{
  pool_t *pool = pool_of(set->is_client);
  place(pool->linked, set, flow_leg_count(set) > 0);
  place(pool->unlinked, set, smartlist_len(set->unlinked) > 0);
}

/* ---- Sets ---- */

/* How many legs a set may have. */
static int
legs_max(void)
{
  return MIN(conflux_params_get_max_legs_set(), CIRCFLOW_LEGS_MAX);
}

/* What circflow is told about a set of ours. */
static bool
set_config(struct circflow_set_config *config, uint8_t desired_ux)
{
  if (!flow_went_well(circflow_set_config_init(config, sizeof(*config)), "config"))
    return false;
  config->desired_ux = desired_ux;
  config->algorithm = flow_algorithm_asked();
  config->held_bytes_max = conflux_params_get_max_oooq();
  config->legs_max = legs_max();
  /* Tor delivers set by set: conflux_dequeue_relay_msg(). */
  config->ready_by_poll = 1;
  /* A consensus may say 0 to both, which is no reason for an exit to take no LINK. */
  config->launches_max = MAX(1, conflux_params_get_num_legs_set() + conflux_params_get_max_unlinked_leg_retry());
  return true;
}

static uint8_t
client_ux(void)
{
#ifdef TOR_UNIT_TESTS
  return DEFAULT_CLIENT_UX;
#else
  (void) DEFAULT_CLIENT_UX;
  return (uint8_t) get_options()->ConfluxClientUX;
#endif
}

/* Opens a client's set. At an exit LINK does. */
static bool
set_open(flow_set_t *set)
{
  struct circflow_set_config config;
  if (!set_config(&config, client_ux()))
    return false;
  config.tag = (uint64_t) (uintptr_t) set;
  /* How long LINKED may take: as long as the circuit may. */
  config.link_timeout_ns = (uint64_t) (get_circuit_build_timeout_ms() * 1e6);
  memcpy(config.nonce, set->tor.nonce, sizeof(config.nonce));
  bool opened = flow_went_well(circflow_set_open(flow_engine, flow_now_ns(), &config, &set->id), "set");
  memwipe(config.nonce, 0, sizeof(config.nonce));
  return opened;
}

static void
set_free(flow_set_t *set)
{
  alarm_forget(set);
  place(pool_of(set->is_client)->linked, set, false);
  place(pool_of(set->is_client)->unlinked, set, false);
  SMARTLIST_FOREACH(set->tor.legs, flow_leg_t *, leg, tor_free(leg));
  SMARTLIST_FOREACH(set->unlinked, flow_leg_t *, leg, tor_free(leg));
  smartlist_free(set->tor.legs);
  smartlist_free(set->unlinked);
  conflux_clear_ooo_q(&set->tor);
  smartlist_free(set->tor.ooo_q);
  flow_set_drop_held(set);
  memwipe(set->tor.nonce, 0, sizeof(set->tor.nonce));
  tor_free(set);
}

static flow_set_t *
set_new(const uint8_t *nonce, bool is_client)
{
  if (!engine_start())
    return NULL;
  flow_set_t *set = tor_malloc_zero(sizeof(*set));
  set->tor.legs = smartlist_new();
  set->tor.ooo_q = smartlist_new();
  set->unlinked = smartlist_new();
  memcpy(set->tor.nonce, nonce, sizeof(set->tor.nonce));
  set->is_client = is_client;
  set->close_reason = -1;
  if (!is_client || set_open(set))
    return set;
  set_free(set);
  return NULL;
}

/* Keeps the figures of a set that may be about to go. False when it has gone. */
static bool
set_note_figures(flow_set_t *set)
{
  struct circflow_set_stats stats;
  stats.size = sizeof(stats);
  if (set->id.v == 0 || circflow_set_get_stats(flow_engine, set->id, &stats) != CIRCFLOW_OK)
    return false;
  set->figures = stats;
  return true;
}

static bool
set_is_alive(const flow_set_t *set)
{
  return circflow_set_check(flow_engine, set->id) == CIRCFLOW_OK;
}

/* Ends circflow's set, and takes what the end of it brings while its tags still mean something. */
static void
set_end(flow_set_t *set)
{
  const struct circflow_set_stats *figures = &set->figures;
  (void) set_note_figures(set);
  (void) circflow_set_close(flow_engine, flow_now_ns(), set->id);
  flow_run();
  /* For network.py. */
  if (set->id.v != 0)
    log_debug(LD_CIRC, "circflow: set ended: sent %" PRIu64 " delivered %" PRIu64 " switches-sent %" PRIu64
              " switches-received %" PRIu64 " held-peak %" PRIu64 " held-bytes-peak %" PRIu64,
              figures->sent, figures->delivered, figures->switches_sent, figures->switches_received,
              figures->held_peak, figures->held_bytes_peak);
}

void
flow_set_hold(flow_set_t *set)
{
  set->users++;
}

void
flow_set_release(flow_set_t *set)
{
  set->users--;
  if (set->users > 0 || flow_leg_count(set) > 0 || smartlist_len(set->unlinked) > 0)
    return;
  /* For good: nobody may end it again. */
  set->users++;
  set_end(set);
  if (!is_running) {
    set_free(set);
    return;
  }
  if (!ended_sets)
    ended_sets = smartlist_new();
  smartlist_add(ended_sets, set);
}

static flow_set_t *
set_find_or_new(const uint8_t *nonce, bool is_client)
{
  flow_set_t *set = set_find(nonce, is_client);
  return set ? set : set_new(nonce, is_client);
}

/* Tor may read what circflow chooses the sending leg by, and write it. */
static void
set_note_algorithm(flow_set_t *set)
{
  if (set_note_figures(set))
    flow_set_note_algorithm(set, set->figures.algorithm);
}

void
flow_set_close(flow_set_t *set, int reason)
{
  smartlist_t *circs = smartlist_new();
  flow_set_hold(set);
  set->tor.in_full_teardown = true;
  set->close_reason = reason;
  SMARTLIST_FOREACH(set->unlinked, flow_leg_t *, leg, smartlist_add(circs, leg->tor.circ));
  SMARTLIST_FOREACH(set->tor.legs, flow_leg_t *, leg, smartlist_add(circs, leg->tor.circ));
  /* So that circflow does not judge the loss of each. */
  (void) circflow_set_close(flow_engine, flow_now_ns(), set->id);
  SMARTLIST_FOREACH_BEGIN(circs, circuit_t *, circ) {
    if (!circ->marked_for_close)
      circuit_mark_for_close(circ, reason);
  } SMARTLIST_FOREACH_END(circ);
  smartlist_free(circs);
  flow_set_release(set);
}

void
conflux_mark_all_for_close(const uint8_t *nonce, bool is_client, int reason)
{
  flow_set_t *set = set_find(nonce, is_client);
  if (set && !set->tor.in_full_teardown)
    flow_set_close(set, reason);
}

/* ---- Streams: all legs of a set have the same ---- */

static bool
has_streams(const circuit_t *circ)
{
  if (CIRCUIT_IS_ORIGIN(circ)) {
    const origin_circuit_t *origin = CONST_TO_ORIGIN_CIRCUIT(circ);
    return origin->p_streams || origin->half_streams;
  }
  const or_circuit_t *or_circ = CONST_TO_OR_CIRCUIT(circ);
  return or_circ->n_streams || or_circ->resolving_streams;
}

/* The lists are others' now, or ought not to be there. */
static void
forget_streams(circuit_t *circ)
{
  if (CIRCUIT_IS_ORIGIN(circ)) {
    TO_ORIGIN_CIRCUIT(circ)->p_streams = NULL;
    TO_ORIGIN_CIRCUIT(circ)->half_streams = NULL;
  } else {
    TO_OR_CIRCUIT(circ)->n_streams = NULL;
    TO_OR_CIRCUIT(circ)->resolving_streams = NULL;
  }
}

/* A circuit that waits to be linked can have no streams; with some, it would lose them to the set's lists. */
static void
check_no_streams(circuit_t *circ)
{
  if (BUG(has_streams(circ)))
    forget_streams(circ);
}

/* A new leg gets the streams of the first. */
static void
share_streams(flow_set_t *set, circuit_t *circ)
{
  circuit_t *first = flow_leg_at(set, 0)->tor.circ;
  if (CIRCUIT_IS_ORIGIN(first)) {
    TO_ORIGIN_CIRCUIT(circ)->p_streams = TO_ORIGIN_CIRCUIT(first)->p_streams;
    TO_ORIGIN_CIRCUIT(circ)->half_streams = TO_ORIGIN_CIRCUIT(first)->half_streams;
    conflux_sync_circ_fields(&set->tor, TO_ORIGIN_CIRCUIT(first));
  } else {
    TO_OR_CIRCUIT(circ)->n_streams = TO_OR_CIRCUIT(first)->n_streams;
    TO_OR_CIRCUIT(circ)->resolving_streams = TO_OR_CIRCUIT(first)->resolving_streams;
  }
}

static void
move_streams(edge_connection_t *streams, circuit_t *to)
{
  for (edge_connection_t *stream = streams; stream; stream = stream->next_stream) {
    stream->on_circuit = to;
    if (CIRCUIT_IS_ORIGIN(to))
      stream->cpath_layer = TO_ORIGIN_CIRCUIT(to)->cpath->prev;
  }
}

/* A leg goes and others stay: the streams are theirs. */
static void
leave_streams(flow_set_t *set, circuit_t *from)
{
  circuit_t *to = flow_leg_at(set, 0)->tor.circ;
  if (CIRCUIT_IS_ORIGIN(to)) {
    move_streams(TO_ORIGIN_CIRCUIT(to)->p_streams, to);
  } else {
    move_streams(TO_OR_CIRCUIT(to)->n_streams, to);
    move_streams(TO_OR_CIRCUIT(to)->resolving_streams, to);
  }
  forget_streams(from);
}

/* ---- Legs ---- */

/* The leg that a circuit is, of whatever set; NULL when it is none. */
static flow_leg_t *
leg_of(circuit_t *circ)
{
  if (circ->conflux)
    return flow_leg_of(flow_set_of(circ->conflux), circ);
  flow_set_t *set = circ->conflux_pending_nonce ?
    set_find(circ->conflux_pending_nonce, CIRCUIT_IS_ORIGIN(circ)) : NULL;
  if (!set)
    return NULL;
  SMARTLIST_FOREACH_BEGIN(set->unlinked, flow_leg_t *, leg) {
    if (leg->tor.circ == circ)
      return leg;
  } SMARTLIST_FOREACH_END(leg);
  return NULL;
}

/* Makes a circuit known to circflow. */
static bool
leg_open(flow_leg_t *leg)
{
  const circuit_t *circ = leg->tor.circ;
  struct circflow_circuit_config config;
  if (!flow_went_well(circflow_circuit_config_init(&config, sizeof(config)), "config"))
    return false;
  config.tag = (uint64_t) (uintptr_t) leg;
  config.role = leg->is_client ? CIRCFLOW_ROLE_CLIENT : CIRCFLOW_ROLE_RELAY;
  config.hops = leg->is_client ? CLIENT_HOPS : 0;
  /* What a LINK must not come on. */
  if (!leg->is_client && circ->n_chan)
    config.flags |= CIRCFLOW_CIRCUIT_EXTENDED;
  if (has_streams(circ))
    config.flags |= CIRCFLOW_CIRCUIT_STREAMS;
  return flow_went_well(circflow_circuit_open(flow_engine, flow_now_ns(), &config, &leg->id), "circuit");
}

/* A circuit becomes a leg that is not linked. NULL when circflow cannot take it. */
static flow_leg_t *
leg_new(flow_set_t *set, circuit_t *circ)
{
  flow_leg_t *leg = tor_malloc_zero(sizeof(*leg));
  leg->tor.circ = circ;
  leg->set = set;
  leg->is_client = set->is_client;
  if (!leg_open(leg)) {
    tor_free(leg);
    return NULL;
  }
  if (!circ->conflux_pending_nonce)
    circ->conflux_pending_nonce = tor_memdup(set->tor.nonce, sizeof(set->tor.nonce));
  smartlist_add(set->unlinked, leg);
  set_place(set);
  return leg;
}

/* Tor may use a linked leg from now on. */
static void
leg_join(flow_leg_t *leg)
{
  flow_set_t *set = leg->set;
  circuit_t *circ = leg->tor.circ;
  check_no_streams(circ);
  if (leg->is_client) {
    /* Tor's padding may send a cell for it, and that can run the OOM handler: as long as nothing has been changed, the
     * leg that closes in here is one like any that is not linked. */
    circuit_change_purpose(circ, CIRCUIT_PURPOSE_CONFLUX_LINKED);
    if (leg_of(circ) != leg)
      return;
  }
  leg->is_joined = true;
  /* What is in flight on no leg: circflow was told nothing yet. */
  leg->inflight = UINT64_MAX / 2;
  smartlist_remove(set->unlinked, leg);
  smartlist_add(set->tor.legs, leg);
  share_streams(set, circ);
  circ->conflux = &set->tor;
  tor_free(circ->conflux_pending_nonce);
  set_note_algorithm(set);
  set->decided = 0;
  set->tor.num_leg_launch = 0;
  set_place(set);
  conflux_validate_stream_lists(&set->tor);
  log_info(LD_CIRC, "Conflux: leg %d of a %s's set %s%s is linked, with a round trip of %" PRIu64 " us.",
           flow_leg_count(set), leg->is_client ? "client" : "relay", nonce_of(set), where_ends(set),
           leg->tor.circ_rtts_usec);
  /* For network.py. */
  log_debug(LD_CIRC, "circflow: circuit %u is leg %#" PRIx64 ", chosen by %s", flow_circ_number(circ), leg->id.v,
            flow_algorithm_name(&set->tor));
}

static flow_leg_t *
set_next_to_join(const flow_set_t *set)
{
  SMARTLIST_FOREACH(set->unlinked, flow_leg_t *, leg, if (leg->is_linked) return leg);
  return NULL;
}

static void
set_join_legs(flow_set_t *set)
{
  flow_leg_t *leg;
  flow_set_hold(set);
  set->is_usable = true;
  /* One that is closed instead is in the list no more. */
  while ((leg = set_next_to_join(set)))
    leg_join(leg);
  flow_set_release(set);
}

/* circflow has linked a leg. A client's streams wait until there is an answer for every leg. */
static void
leg_linked(flow_leg_t *leg, const struct circflow_insn *insn)
{
  flow_set_t *set = leg->set;
  leg->is_linked = true;
  leg->tor.circ_rtts_usec = insn->detail.linked.rtt_ns / 1000;
  if (set->id.v == 0) {
    set->id = insn->set;
    flow_went_well(circflow_set_retag(flow_engine, set->id, (uint64_t) (uintptr_t) set), "set's tag");
  }
  if (set->is_usable || !leg->is_client) {
    flow_set_hold(set);
    leg_join(leg);
    flow_set_release(set);
  }
}

/* Takes a leg out of tor's structs. The circuit keeps its set, and with it the streams, if it was the last. */
static void
leg_take_out(flow_leg_t *leg, bool is_freed)
{
  flow_set_t *set = leg->set;
  circuit_t *circ = leg->tor.circ;
  if (!leg->is_joined) {
    /* LINK may have come on a circuit with streams, which is why it goes: they stay its own. */
    smartlist_remove(set->unlinked, leg);
    tor_free(circ->conflux_pending_nonce);
    return;
  }
  smartlist_remove(set->tor.legs, leg);
  if (set->tor.curr_leg == &leg->tor)
    set->tor.curr_leg = NULL;
  if (set->tor.prev_leg == &leg->tor)
    set->tor.prev_leg = NULL;
  set->decided = 0;
  set->choice = NULL;
  bool is_last = flow_leg_count(set) == 0;
  if (is_freed && !is_last)
    /* Streams may have been freed before circuits. */
    forget_streams(circ);
  else if (!is_last)
    leave_streams(set, circ);
  if (is_last && !is_freed && smartlist_len(set->unlinked) == 0) {
    set->tor.in_full_teardown = true;
    flow_set_hold(set);
  } else {
    circ->conflux = NULL;
  }
}

/* A leg is no more. circflow judges whether its set can do without it; the others close in here, if not. */
static void
leg_lost(flow_leg_t *leg, bool is_freed)
{
  flow_set_t *set = leg->set;
  struct circflow_circuit_id id = leg->id;
  /* Tor keeps no other reason of a client's circuit. */
  int reason = leg->tor.circ->marked_for_close_orig_reason;
  flow_set_hold(set);
  set_note_figures(set);
  log_info(LD_CIRC, "Conflux: a %s leg of a %s's set %s%s has closed (%s%s), after message %" PRIu64 " sent and %"
           PRIu64 " received. The set had %d linked legs and %d pending.", leg->is_joined ? "linked" : "pending",
           leg->is_client ? "client" : "relay", nonce_of(set), where_ends(set),
           is_freed ? "never closed" : reason_of(reason), !is_freed && is_remote(reason) ? ", said the other end" : "",
           leg->tor.last_seq_sent, leg->tor.last_seq_recv, flow_leg_count(set), smartlist_len(set->unlinked));
  if (leg->is_joined && flow_leg_look(leg)) {
    struct circflow_leg_report report;
    flow_leg_report(leg, &report);
    (void) circflow_leg_update(flow_engine, flow_now_ns(), &report, 1);
  }
  leg_take_out(leg, is_freed);
  set_place(set);
  flow_went_well(circflow_circuit_gone(flow_engine, flow_now_ns(), id), "leg closed");
  /* The other legs may be closed a moment later only, when flow_run() is at work already. */
  set->tor.in_full_teardown |= set->id.v != 0 && !set_is_alive(set);
  tor_free(leg);
  flow_run();
  flow_set_release(set);
}

/* ---- What circflow asks for ---- */

static void
send_control(flow_leg_t *leg, const struct circflow_insn_send *send, const uint8_t *body)
{
  /* When it cannot be sent, tor closes the circuit. */
  if (!leg->tor.circ->marked_for_close)
    (void) flow_send_control(leg->tor.circ, send->command, body, send->body_len);
}

static void
close_leg(flow_leg_t *leg, const struct circflow_insn_close *close)
{
  circuit_t *circ = leg->tor.circ;
  int reason = leg->set->close_reason;
  if (shutting_down || circ->marked_for_close)
    return;
  if (reason < 0)
    reason = (int) close->reason;
  log_info(LD_CIRC, "Conflux: %s. Closing a %s leg of set %s%s (%s).", circflow_status_text(close->cause),
           leg->is_joined ? "linked" : "pending", nonce_of(leg->set), where_ends(leg->set), reason_of(reason));
  /* When the whole set has ended, nothing may go out on the legs that are left, one by one. */
  leg->set->tor.in_full_teardown |= !set_is_alive(leg->set);
  circuit_mark_for_close(circ, reason);
}

/* A leg was lost before it was linked, or before its set was usable. */
static void
replace_leg(flow_set_t *set)
{
  /* Under memory pressure the new one would be closed just so, and the next; with conflux switched off, too. */
  if (shutting_down || set->tor.in_full_teardown || have_been_under_memory_pressure() || !conflux_is_enabled(NULL))
    return;
  flow_set_hold(set);
  (void) launch_leg(set);
  flow_set_release(set);
}

/* Tor asks for room by itself when a SENDME comes or a channel has room again, which is all that most algorithms wait
 * for. With the others, "no leg" held until now, without any news of a leg. */
static void
set_may_send(flow_set_t *set)
{
  if (!set->choice)
    set->decided = 0;
  if (set->waits)
    flow_set_resume_later(set);
}

static void
free_ended_sets(void)
{
  if (!ended_sets)
    return;
  SMARTLIST_FOREACH(ended_sets, flow_set_t *, set, set_free(set));
  smartlist_clear(ended_sets);
}

static void
follow(const struct circflow_insn *insn, const uint8_t *body)
{
  flow_leg_t *leg = (flow_leg_t *) (uintptr_t) insn->circuit_tag;
  flow_set_t *set = (flow_set_t *) (uintptr_t) insn->set_tag;
  switch (insn->kind) {
    case CIRCFLOW_INSN_SEND: send_control(leg, &insn->detail.send, body); break;
    case CIRCFLOW_INSN_LINKED: leg_linked(leg, insn); break;
    case CIRCFLOW_INSN_USABLE: set_join_legs(set); break;
    case CIRCFLOW_INSN_WANT_LEG: replace_leg(set); break;
    case CIRCFLOW_INSN_CLOSE: close_leg(leg, &insn->detail.close); break;
    case CIRCFLOW_INSN_MAY_SEND: set_may_send(set); break;
    /* What a set held is freed with the set. */
    default: break;
  }
}

/* Never from inside itself: when the time of a thousand legs is over at once, each is closed in here, which calls us
 * again, and the stack is too small for a thousand of us. */
void
flow_run(void)
{
  struct circflow_insn insn;
  uint8_t body[CIRCFLOW_LINK_LEN];
  if (is_running)
    return;
  is_running = true;
  while (flow_engine && circflow_engine_poll(flow_engine, body, sizeof(body), &insn) == CIRCFLOW_OK &&
         insn.kind != CIRCFLOW_INSN_NONE)
    follow(&insn, body);
  is_running = false;
  memwipe(body, 0, sizeof(body));
  free_ended_sets();
  flow_arm();
}

void
flow_refuse(circuit_t *circ, int32_t status)
{
  char detail[160] = "";
  int32_t reason = circflow_status_close_reason(status);
  (void) circflow_engine_get_last_detail(flow_engine, detail, sizeof(detail), NULL);
  log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux: %s (%s). Closing.", circflow_status_text(status), detail);
  flow_run();
  /* Not everything that goes wrong here is the peer's fault; but the circuit is of no use in any case. */
  if (!circ->marked_for_close)
    circuit_mark_for_close(circ, reason < 0 ? END_CIRC_REASON_INTERNAL : reason);
}

/* ---- Launching ---- */

static bool
launch_leg(flow_set_t *set)
{
  /* Each circuit that is launched tells the exit's side something about guards: circflow counts them. */
  if (!set_note_figures(set) || set->figures.launches_left == 0) {
    log_info(LD_CIRC, "Conflux: no more legs may be launched for set %s.", nonce_of(set));
    return false;
  }
  log_info(LD_CIRC, "Conflux: launching a leg for set %s, which has %d linked and %d pending.", nonce_of(set),
           flow_leg_count(set), smartlist_len(set->unlinked));
  set->tor.num_leg_launch++;
  origin_circuit_t *origin =
    circuit_establish_circuit_conflux(set->tor.nonce, CIRCUIT_PURPOSE_CONFLUX_UNLINKED, exit_of(set),
                                      CIRCLAUNCH_NEED_UPTIME | CIRCLAUNCH_NEED_CAPACITY | CIRCLAUNCH_NEED_CONFLUX);
  /* Its first cell may have run the OOM handler, which may have closed it.. */
  if (!origin || TO_CIRCUIT(origin)->marked_for_close)
    return false;
  /* .. or all of its set. */
  if (set->tor.in_full_teardown || !set_is_alive(set)) {
    log_info(LD_CIRC, "Conflux: the set has ended while a leg was launched.");
    circuit_mark_for_close(TO_CIRCUIT(origin), END_CIRC_REASON_INTERNAL);
    return false;
  }
  flow_leg_t *leg = leg_new(set, TO_CIRCUIT(origin));
  if (leg && flow_went_well(circflow_set_launch_legs(flow_engine, flow_now_ns(), set->id, &leg->id, 1), "launch"))
    return true;
  circuit_mark_for_close(TO_CIRCUIT(origin), END_CIRC_REASON_INTERNAL);
  return false;
}

bool
conflux_launch_leg(const uint8_t *nonce)
{
  tor_assert(nonce);
  flow_set_t *set = set_find_or_new(nonce, true);
  if (!set)
    return false;
  flow_set_hold(set);
  bool launched = launch_leg(set);
  /* Time has passed for other sets, too. What follows must not wait until circuits are freed: then none can be closed
   * any more. */
  flow_run();
  flow_set_release(set);
  return launched;
}

STATIC bool
launch_new_set(int num_legs)
{
  uint8_t nonce[DIGEST256_LEN];
  bool launched = true;
  crypto_rand((char *) nonce, sizeof(nonce));
  for (int i = 0; i < MIN(num_legs, legs_max()) && launched; i++)
    launched = conflux_launch_leg(nonce);
  memwipe(nonce, 0, sizeof(nonce));
  return launched;
}

/* A set that no stream has used yet, and that may be given to one. */
static bool
set_is_fresh(const flow_set_t *set)
{
  const circuit_t *circ = flow_leg_at(set, 0)->tor.circ;
  const origin_circuit_t *origin = CONST_TO_ORIGIN_CIRCUIT(circ);
  return !origin->unusable_for_new_conns && !origin->isolation_values_set && !circ->timestamp_dirty;
}

/* Once a second, as long as streams are to be expected. */
void
conflux_predict_new(time_t now)
{
  (void) now;
  if (flow_engine) {
    /* Legs whose LINKED has not come in time. */
    (void) circflow_engine_tick(flow_engine, flow_now_ns());
    flow_run();
  }
  if (!conflux_is_enabled(NULL) || router_have_consensus_path() != CONSENSUS_PATH_EXIT ||
      digest256map_size(client_pool.linked) >= conflux_params_get_max_linked_set())
    return;
  int sets = digest256map_size(client_pool.unlinked);
  DIGEST256MAP_FOREACH(client_pool.linked, nonce, const flow_set_t *, set) {
    sets += set_is_fresh(set);
  } DIGEST256MAP_FOREACH_END;
  if (sets < conflux_params_get_max_prebuilt())
    log_info(LD_CIRC, "Conflux: launching new sets, as there are only %d.", sets);
  /* When one cannot be launched, the next cannot either. */
  while (sets < conflux_params_get_max_prebuilt() && launch_new_set(conflux_params_get_num_legs_set()))
    sets++;
}

origin_circuit_t *
conflux_get_circ_for_conn(const entry_connection_t *conn, time_t now, int need_internal)
{
  tor_assert(conn);
  DIGEST256MAP_FOREACH(client_pool.linked, nonce, const flow_set_t *, set) {
    /* Any leg will do: what a stream needs to know of them is the same. */
    circuit_t *circ = flow_leg_at(set, 0)->tor.circ;
    if (BUG(circ->purpose != CIRCUIT_PURPOSE_CONFLUX_LINKED))
      continue;
    if (circuit_is_acceptable(TO_ORIGIN_CIRCUIT(circ), conn, 1, CIRCUIT_PURPOSE_CONFLUX_LINKED, 1, need_internal, now))
      return TO_ORIGIN_CIRCUIT(circ);
  } DIGEST256MAP_FOREACH_END;
  return NULL;
}

/* ---- Relays that a new leg must not share with others of its set (prop329 2.2) ---- */

/* Calls `add` with the first hop of each leg of the set for which a circuit is being built. */
static void
for_each_leg_beside(const origin_circuit_t *origin, void (*add)(const crypt_path_t *first, smartlist_t *to),
                    smartlist_t *to)
{
  const circuit_t *circ = TO_CIRCUIT(origin);
  if (!CIRCUIT_IS_CONFLUX(circ))
    return;
  tor_assert(!circ->conflux);
  if (BUG(!circ->conflux_pending_nonce))
    return;
  const flow_set_t *set = set_find(circ->conflux_pending_nonce, true);
  if (!set)
    return;
  SMARTLIST_FOREACH(set->tor.legs, const flow_leg_t *, leg,
                    add(CONST_TO_ORIGIN_CIRCUIT(leg->tor.circ)->cpath, to));
  SMARTLIST_FOREACH(set->unlinked, const flow_leg_t *, leg,
                    add(CONST_TO_ORIGIN_CIRCUIT(leg->tor.circ)->cpath, to));
}

static void
add_guard(const crypt_path_t *first, smartlist_t *identities)
{
  smartlist_add(identities, tor_memdup(first->extend_info->identity_digest, DIGEST_LEN));
}

static void
add_middle(const crypt_path_t *first, smartlist_t *nodes)
{
  node_t *node = node_get_mutable_by_id(first->next->extend_info->identity_digest);
  if (node)
    smartlist_add(nodes, node);
}

void
conflux_add_guards_to_exclude_list(const origin_circuit_t *circ, smartlist_t *excluded)
{
  /* With one bridge there is no other guard to go to. */
  if (!get_options()->UseBridges || conflux_can_exclude_used_bridges())
    for_each_leg_beside(circ, add_guard, excluded);
}

void
conflux_add_middles_to_exclude_list(const origin_circuit_t *circ, smartlist_t *excluded)
{
  if (!get_options()->UseBridges || conflux_can_exclude_used_bridges())
    for_each_leg_beside(circ, add_middle, excluded);
}

/* ---- The handshake ---- */

/* A circuit without congestion control, or with conflux switched off meanwhile. */
static bool
close_if_disabled(circuit_t *circ)
{
  if (conflux_is_enabled(circ))
    return false;
  circuit_mark_for_close(circ, END_CIRC_REASON_TORPROTOCOL);
  return true;
}

void
conflux_circuit_has_opened(origin_circuit_t *origin)
{
  tor_assert(origin);
  circuit_t *circ = TO_CIRCUIT(origin);
  if (close_if_disabled(circ)) {
    static ratelim_t limit = RATELIM_INIT(600);
    log_fn_ratelim(&limit, LOG_NOTICE, LD_CIRC, "A conflux circuit has opened without congestion control.");
    return;
  }
  if (!circ->conflux_pending_nonce)
    return;
  flow_leg_t *leg = leg_of(circ);
  if (BUG(!leg))
    return;
  check_no_streams(circ);
  flow_went_well(circflow_circuit_built(flow_engine, flow_now_ns(), leg->id), "built");
  flow_run();
}

/* Gives circflow a message of the handshake. False when it closes the circuit. */
static bool
feed(circuit_t *circ, flow_leg_t *leg, crypt_path_t *layer_hint, uint8_t command, const relay_msg_t *msg)
{
  struct circflow_verdict verdict;
  bool is_from_end = conflux_validate_source_hop(circ, layer_hint);
  struct circflow_message message = {
    .command = command,
    .hop = (uint8_t) ((leg->is_client ? CLIENT_HOPS : 0) + (is_from_end ? 0 : 1)),
    .body = msg ? msg->body : NULL,
    .body_len = msg ? msg->length : 0,
  };
  int32_t status = circflow_circuit_receive(flow_engine, flow_now_ns(), leg->id, &message, &verdict);
  if (status == CIRCFLOW_OK) {
    flow_run();
    return true;
  }
  flow_refuse(circ, status);
  return false;
}

static void
refuse_stray(circuit_t *circ, const char *what)
{
  log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux: %s on a circuit that is no leg. Closing.", what);
  circuit_mark_for_close(circ, END_CIRC_REASON_TORPROTOCOL);
}

/* An exit's circuit, on which LINK has come, as a leg of the set that it names. circflow looks for the set by itself;
 * it is the same one. */
static flow_leg_t *
leg_for_link(circuit_t *circ, const relay_msg_t *msg)
{
  struct circflow_set_config config;
  struct circflow_link link;
  if (!engine_start() || !set_config(&config, DEFAULT_EXIT_UX) ||
      !flow_went_well(circflow_engine_accept_sets(flow_engine, &config), "accept") ||
      circflow_link_decode(msg->body, msg->length, &link) != CIRCFLOW_OK)
    return NULL;
  flow_set_t *set = set_find_or_new(link.nonce, false);
  memwipe(&link, 0, sizeof(link));
  if (!set)
    return NULL;
  flow_set_hold(set);
  flow_leg_t *leg = leg_new(set, circ);
  flow_set_release(set);
  return leg;
}

void
conflux_process_link(circuit_t *circ, const relay_msg_t *msg)
{
  tor_assert(circ && msg);
  if (close_if_disabled(circ))
    return;
  flow_leg_t *leg = leg_of(circ);
  if (!leg && !CIRCUIT_IS_ORIGIN(circ) && !CIRCUIT_IS_CONFLUX(circ))
    leg = leg_for_link(circ, msg);
  if (leg)
    (void) feed(circ, leg, NULL, RELAY_COMMAND_CONFLUX_LINK, msg);
  else
    refuse_stray(circ, "LINK");
}

void
conflux_process_linked(circuit_t *circ, crypt_path_t *layer_hint, const relay_msg_t *msg)
{
  tor_assert(circ && msg);
  if (close_if_disabled(circ))
    return;
  flow_leg_t *leg = leg_of(circ);
  if (!leg) {
    refuse_stray(circ, "LINKED");
    return;
  }
  if (!feed(circ, leg, layer_hint, RELAY_COMMAND_CONFLUX_LINKED, msg))
    return;
  circuit_read_valid_data(TO_ORIGIN_CIRCUIT(circ), msg->length);
  if (circ->conflux)
    connection_ap_attach_pending(1);
}

void
conflux_process_linked_ack(circuit_t *circ)
{
  struct circflow_leg_stats stats;
  tor_assert(circ);
  if (close_if_disabled(circ))
    return;
  flow_leg_t *leg = leg_of(circ);
  if (!leg) {
    refuse_stray(circ, "LINKED_ACK");
    return;
  }
  if (!feed(circ, leg, NULL, RELAY_COMMAND_CONFLUX_LINKED_ACK, NULL) || !(leg = leg_of(circ)))
    return;
  stats.size = sizeof(stats);
  if (flow_went_well(circflow_leg_get_stats(flow_engine, leg->id, &stats), "leg"))
    leg->tor.circ_rtts_usec = stats.rtt_ns / 1000;
}

/* ---- The end of circuits ---- */

void
conflux_circuit_has_closed(circuit_t *circ)
{
  flow_leg_t *leg = leg_of(circ);
  if (leg)
    leg_lost(leg, false);
}

void
conflux_circuit_about_to_free(circuit_t *circ)
{
  tor_assert(circ);
  flow_leg_t *leg = leg_of(circ);
  if (leg) {
    /* It was never closed: that is only so when all of tor ends. */
    if (leg->is_joined)
      leg->set->tor.in_full_teardown |= shutting_down;
    leg_lost(leg, true);
  } else if (circ->conflux) {
    flow_set_release(flow_set_of(circ->conflux));
  }
  circ->conflux = NULL;
  tor_free(circ->conflux_pending_nonce);
}

void
conflux_notify_shutdown(void)
{
  shutting_down = true;
}

/* After all circuits. */
void
conflux_pool_free_all(void)
{
  for (int is_client = 0; is_client < 2; is_client++) {
    pool_t *pool = pool_of(is_client);
    if (!pool->linked)
      continue;
    /* Freeing a set takes it out of both. */
    while (digest256map_size(pool->linked) + digest256map_size(pool->unlinked) > 0) {
      digest256map_t *map = digest256map_size(pool->linked) > 0 ? pool->linked : pool->unlinked;
      digest256map_iter_t *first = digest256map_iter_init(map);
      const uint8_t *nonce;
      void *set;
      digest256map_iter_get(first, &nonce, &set);
      set_free(set);
    }
    digest256map_free(pool->linked, NULL);
    digest256map_free(pool->unlinked, NULL);
  }
  smartlist_free(ended_sets);
  alarm_end();
  flow_trace_end(flow_engine);
  flow_figures_end(false);
  flow_went_well(circflow_engine_free(flow_engine, NULL, NULL), "end");
  flow_engine = NULL;
}

/* ---- For tor's log and tests ---- */

static void
log_leg(int severity, const flow_leg_t *leg)
{
  const circuit_t *circ = leg->tor.circ;
  log_fn(severity, LD_BUG, " - %s leg, purpose %d: rtt %" PRIu64 " us, sent %" PRIu64 ", received %" PRIu64
         ", in flight %" PRIu64 ", marked for close %d",
         leg->is_joined ? "Linked" : leg->is_linked ? "Waiting" : "Unlinked", circ->purpose,
         leg->tor.circ_rtts_usec, leg->tor.last_seq_sent, leg->tor.last_seq_recv, leg->inflight,
         circ->marked_for_close);
}

void
conflux_log_set(int severity, const conflux_t *cfx, bool is_client)
{
  const flow_set_t *set = (const flow_set_t *) cfx;
  if (!cfx)
    return;
  log_fn(severity, LD_BUG, "Conflux set of a %s: %d legs linked, %d not, %u launched, delivered %" PRIu64
         ", queued %d, teardown %d", is_client ? "client" : "relay", flow_leg_count(set),
         smartlist_len(set->unlinked), cfx->num_leg_launch, cfx->last_seq_delivered,
         smartlist_len(cfx->ooo_q), cfx->in_full_teardown);
  SMARTLIST_FOREACH(set->tor.legs, const flow_leg_t *, leg, log_leg(severity, leg));
  SMARTLIST_FOREACH(set->unlinked, const flow_leg_t *, leg, log_leg(severity, leg));
}

#ifdef TOR_UNIT_TESTS
digest256map_t *
get_linked_pool(bool is_client)
{
  return pool_of(is_client)->linked;
}

digest256map_t *
get_unlinked_pool(bool is_client)
{
  return pool_of(is_client)->unlinked;
}

void
conflux_clear_shutdown(void)
{
  shutting_down = false;
}
#endif
