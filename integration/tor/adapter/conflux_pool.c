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
#include "core/or/circuit_st.h"
#include "core/or/circuitbuild.h"
#include "core/or/circuitlist.h"
#include "core/or/circuitstats.h"
#include "core/or/circuituse.h"
#include "core/or/conflux_params.h"
#include "core/or/conflux_pool.h"
#include "core/or/conflux_util.h"
#include "core/or/connection_edge.h"
#include "core/or/edge_connection_st.h"
#include "core/or/extend_info_st.h"
#include "core/or/or_circuit_st.h"
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

/* Sets with legs by nonce: an exit's, and a client's. */
static digest256map_t *pools[2];

struct circflow_engine *flow_engine = NULL;
uint64_t flow_time_ns = 0;

/* Circuits are freed now without having been closed: there is nothing to close or to launch any more. */
static bool shutting_down = false;

/* flow_run() is at work: it comes to whatever is queued meanwhile. */
static bool is_running = false;

/* What an exit wants of the other end. Tor's tests have a name for it. */
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

/* A leg in words, if anybody reads them: how far it is, whose set it is of, and for a client's where all legs of that
 * end. */
static const char *
describe(const flow_leg_t *leg)
{
  static char text[256];
  bool knows_end = leg->is_client && get_min_log_level() >= LOG_INFO;
  const crypt_path_t *path = knows_end ? TO_ORIGIN_CIRCUIT(leg->tor.circ)->cpath : NULL;
  const extend_info_t *end = path ? path->prev->extend_info : NULL;
  tor_snprintf(text, sizeof(text), "%s leg of a %s's set %s%s%s", leg->is_joined ? "linked" : "pending",
               leg->is_client ? "client" : "relay", nonce_of(leg->set), end ? " to " : "",
               end ? extend_info_describe(end) : "");
  return text;
}

/* Tor's word for why a circuit closes. A peer can send any number, and tor's own function would warn of it. */
static const char *
reason_of(int reason)
{
  static char text[64];
  bool is_remote = reason >= 0 && (reason & END_CIRC_REASON_FLAG_REMOTE);
  int plain = is_remote ? reason & ~END_CIRC_REASON_FLAG_REMOTE : reason;
  bool is_known = plain >= END_CIRC_REASON_IP_NOW_REDUNDANT && plain <= END_CIRC_REASON_MAX_;
  tor_snprintf(text, sizeof(text), "%s%s", is_known ? circuit_end_reason_to_control_string(plain) :
               "a reason that tor does not know", is_remote ? ", said the other end" : "");
  return text;
}

/* ---- Pools ---- */

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
    if (!pools[is_client])
      pools[is_client] = digest256map_new();
  }
}

/* The set with this nonce, as far as tor is concerned: for circuits that have one. Whose LINK a nonce is in is looked
 * up by circflow, which compares in constant time; here it is known already. */
static flow_set_t *
set_find(const uint8_t *nonce, bool is_client)
{
  return digest256map_get(pools[is_client], nonce);
}

/* Nobody is to find this set any more. */
static void
set_hide(flow_set_t *set)
{
  if (set_find(set->tor.nonce, set->is_client) == set)
    digest256map_remove(pools[set->is_client], set->tor.nonce);
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

/* Opens a client's set. At an exit LINK does. */
static bool
set_open(flow_set_t *set)
{
  struct circflow_set_config config;
  if (!set_config(&config, (uint8_t) get_options()->ConfluxClientUX))
    return false;
  config.tag = (uint64_t) (uintptr_t) set;
  /* How long LINKED may take: as long as the circuit may. */
  config.link_timeout_ns = (uint64_t) (get_circuit_build_timeout_ms() * 1e6);
  memcpy(config.nonce, set->tor.nonce, sizeof(config.nonce));
  bool opened = flow_went_well(circflow_set_open(flow_engine, flow_now_ns(), &config, &set->id), "set");
  memwipe(config.nonce, 0, sizeof(config.nonce));
  return opened;
}

/* A set that is hidden, or goes with all others. */
static void
set_free(void *arg)
{
  flow_set_t *set = arg;
  alarm_forget(set);
  SMARTLIST_FOREACH(set->legs, flow_leg_t *, leg, tor_free(leg));
  smartlist_free(set->legs);
  smartlist_free(set->tor.legs);
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
  set->legs = smartlist_new();
  memcpy(set->tor.nonce, nonce, sizeof(set->tor.nonce));
  set->is_client = is_client;
  set->close_reason = -1;
  if (is_client && !set_open(set)) {
    set_free(set);
    return NULL;
  }
  digest256map_set(pools[is_client], nonce, set);
  return set;
}

static bool
set_is_alive(const flow_set_t *set)
{
  return circflow_set_check(flow_engine, set->id) == CIRCFLOW_OK;
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
  if (set->users > 0 || smartlist_len(set->legs) > 0)
    return;
  /* For good: nobody may find it, or end it again. */
  set_hide(set);
  set->users++;
  set->is_over = true;
  (void) circflow_set_close(flow_engine, flow_now_ns(), set->id);
  if (set->id.v == 0)
    set_free(set);
  else
    flow_run();
}

static flow_set_t *
set_find_or_new(const uint8_t *nonce, bool is_client)
{
  flow_set_t *set = set_find(nonce, is_client);
  return set ? set : set_new(nonce, is_client);
}

void
flow_set_close(flow_set_t *set, int reason)
{
  flow_set_hold(set);
  set->tor.in_full_teardown = true;
  set->close_reason = reason;
  (void) circflow_set_close(flow_engine, flow_now_ns(), set->id);
  flow_run();
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

/* Gives a circuit the streams of another; with NULL none, as they are others' now. */
static void
share_streams(circuit_t *circ, const circuit_t *from)
{
  if (CIRCUIT_IS_ORIGIN(circ)) {
    const origin_circuit_t *origin = from ? CONST_TO_ORIGIN_CIRCUIT(from) : NULL;
    TO_ORIGIN_CIRCUIT(circ)->p_streams = origin ? origin->p_streams : NULL;
    TO_ORIGIN_CIRCUIT(circ)->half_streams = origin ? origin->half_streams : NULL;
  } else {
    const or_circuit_t *or_circ = from ? CONST_TO_OR_CIRCUIT(from) : NULL;
    TO_OR_CIRCUIT(circ)->n_streams = or_circ ? or_circ->n_streams : NULL;
    TO_OR_CIRCUIT(circ)->resolving_streams = or_circ ? or_circ->resolving_streams : NULL;
  }
}

/* A circuit that waits to be linked can have no streams; with some, it would lose them to the set's lists. */
static void
check_no_streams(circuit_t *circ)
{
  if (BUG(has_streams(circ)))
    share_streams(circ, NULL);
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
  share_streams(from, NULL);
}

/* ---- Legs ---- */

/* The leg that a circuit is, of whatever set; NULL when it is none. */
static flow_leg_t *
leg_of(circuit_t *circ)
{
  const flow_set_t *set = circ->conflux ? flow_set_of(circ->conflux) :
    circ->conflux_pending_nonce ? set_find(circ->conflux_pending_nonce, CIRCUIT_IS_ORIGIN(circ)) : NULL;
  if (set)
    SMARTLIST_FOREACH(set->legs, flow_leg_t *, leg, if (leg->tor.circ == circ) return leg);
  return NULL;
}

/* A circuit becomes a leg that is not linked. NULL when circflow cannot take it. */
static flow_leg_t *
leg_new(flow_set_t *set, circuit_t *circ)
{
  struct circflow_circuit_config config;
  if (!flow_went_well(circflow_circuit_config_init(&config, sizeof(config)), "config"))
    return NULL;
  flow_leg_t *leg = tor_malloc_zero(sizeof(*leg));
  leg->tor.circ = circ;
  leg->set = set;
  leg->is_client = set->is_client;
  config.tag = (uint64_t) (uintptr_t) leg;
  config.role = leg->is_client ? CIRCFLOW_ROLE_CLIENT : CIRCFLOW_ROLE_RELAY;
  config.hops = leg->is_client ? CLIENT_HOPS : 0;
  /* What a LINK must not come on. */
  config.flags |= !leg->is_client && circ->n_chan ? CIRCFLOW_CIRCUIT_EXTENDED : 0;
  config.flags |= has_streams(circ) ? CIRCFLOW_CIRCUIT_STREAMS : 0;
  if (!flow_went_well(circflow_circuit_open(flow_engine, flow_now_ns(), &config, &leg->id), "circuit")) {
    tor_free(leg);
    return NULL;
  }
  if (!circ->conflux_pending_nonce)
    circ->conflux_pending_nonce = tor_memdup(set->tor.nonce, sizeof(set->tor.nonce));
  smartlist_add(set->legs, leg);
  return leg;
}

/* Tor may use a linked leg from now on. */
static void
leg_join(flow_leg_t *leg)
{
  flow_set_t *set = leg->set;
  circuit_t *circ = leg->tor.circ;
  struct circflow_set_stats stats;
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
  smartlist_add(set->tor.legs, leg);
  circuit_t *first = flow_leg_at(set, 0)->tor.circ;
  share_streams(circ, first);
  if (leg->is_client)
    conflux_sync_circ_fields(&set->tor, TO_ORIGIN_CIRCUIT(first));
  circ->conflux = &set->tor;
  tor_free(circ->conflux_pending_nonce);
  if (flow_set_get_stats(set, &stats))
    flow_set_note_algorithm(set, (uint8_t) stats.algorithm);
  set->decided = 0;
  set->tor.num_leg_launch = 0;
  conflux_validate_stream_lists(&set->tor);
  log_info(LD_CIRC, "Conflux: a %s has joined as leg %d, with a round trip of %" PRIu64 " us.", describe(leg),
           flow_leg_count(set), leg->tor.circ_rtts_usec);
  /* For network.py. */
  log_debug(LD_CIRC, "circflow: circuit %u is leg %#" PRIx64 ", chosen by %s", flow_circ_number(circ), leg->id.v,
            flow_algorithm_name(&set->tor));
}

static flow_leg_t *
set_next_to_join(const flow_set_t *set)
{
  SMARTLIST_FOREACH(set->legs, flow_leg_t *, leg, if (leg->is_linked && !leg->is_joined) return leg);
  return NULL;
}

static void
set_join_legs(flow_set_t *set)
{
  flow_leg_t *leg;
  flow_set_hold(set);
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
  struct circflow_set_stats stats;
  leg->is_linked = true;
  leg->tor.circ_rtts_usec = insn->detail.linked.rtt_ns / 1000;
  if (set->id.v == 0) {
    set->id = insn->set;
    flow_went_well(circflow_set_retag(flow_engine, set->id, (uint64_t) (uintptr_t) set), "set's tag");
  }
  if (!leg->is_client || (flow_set_get_stats(set, &stats) && stats.usable))
    set_join_legs(set);
}

/* Takes a leg out of tor's structs. The circuit keeps its streams, if it was the last. */
static void
leg_take_out(flow_leg_t *leg, bool is_freed)
{
  flow_set_t *set = leg->set;
  circuit_t *circ = leg->tor.circ;
  smartlist_remove(set->legs, leg);
  bool is_all = smartlist_len(set->legs) == 0;
  if (is_all)
    set_hide(set);
  if (!leg->is_joined) {
    /* LINK may have come on a circuit with streams, which is why it goes: they stay its own. */
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
    share_streams(circ, NULL);
  else if (!is_last)
    leave_streams(set, circ);
  set->tor.in_full_teardown |= is_all && !is_freed;
  circ->conflux = NULL;
}

/* A leg is no more. circflow judges whether its set can do without it; the others close in here, if not. */
static void
leg_lost(flow_leg_t *leg, bool is_freed)
{
  flow_set_t *set = leg->set;
  struct circflow_circuit_id id = leg->id;
  /* Tor keeps no other reason of a client's circuit. */
  int reason = leg->tor.circ->marked_for_close_orig_reason;
  circuit_t *circ = leg->tor.circ;
  bool was_joined = leg->is_joined;
  struct circflow_set_stats stats;
  flow_set_hold(set);
  log_info(LD_CIRC, "Conflux: a %s has closed (%s), after message %" PRIu64 " sent and %" PRIu64 " received. The set "
           "had %d linked legs and %d pending.", describe(leg), is_freed ? "never closed" : reason_of(reason),
           leg->tor.last_seq_sent, leg->tor.last_seq_recv, flow_leg_count(set), flow_pending_count(set));
  /* For network.py. */
  if (flow_set_get_stats(set, &stats))
    log_debug(LD_CIRC, "circflow: set loses a leg: sent %" PRIu64 " delivered %" PRIu64 " switches-sent %" PRIu64
              " switches-received %" PRIu64 " held-peak %" PRIu64 " held-bytes-peak %" PRIu64, stats.sent,
              stats.delivered, stats.switches_sent, stats.switches_received, stats.held_peak, stats.held_bytes_peak);
  if (leg->is_joined)
    (void) flow_leg_tell(leg);
  leg_take_out(leg, is_freed);
  flow_went_well(circflow_circuit_gone(flow_engine, flow_now_ns(), id), "leg closed");
  /* The other legs may be closed a moment later only, when flow_run() is at work already. */
  set->tor.in_full_teardown |= set->id.v != 0 && !set_is_alive(set);
  bool is_all = smartlist_len(set->legs) == 0;
  if (set->tor.in_full_teardown && was_joined && !is_freed && (is_all || circ->marked_for_close)) {
    /* Tor may be in the middle of a message of this circuit, and then asks for its turn. As a leg it has none any more;
     * on a circuit without a set, the message would go to its stream at once. A circuit that tor keeps for another
     * purpose (circuit_change_purpose()) must have no set then; the last leg has one, as it has the streams. */
    circ->conflux = &set->tor;
    flow_set_hold(set);
  }
  tor_free(leg);
  flow_run();
  flow_set_release(set);
}

/* ---- What circflow asks for ---- */

static void
close_leg(flow_leg_t *leg, const struct circflow_insn_close *close)
{
  circuit_t *circ = leg->tor.circ;
  int reason = leg->set->close_reason;
  if (shutting_down || circ->marked_for_close)
    return;
  if (reason < 0)
    reason = (int) close->reason;
  log_info(LD_CIRC, "Conflux: %s. Closing a %s (%s).", circflow_status_text(close->cause), describe(leg),
           reason_of(reason));
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

/* Nothing names it any more. */
static void
set_ended(flow_set_t *set)
{
  set->id.v = 0;
  set->tor.in_full_teardown = true;
  if (set->is_over)
    set_free(set);
}

static void
follow(const struct circflow_insn *insn, const uint8_t *body)
{
  flow_leg_t *leg = (flow_leg_t *) (uintptr_t) insn->circuit_tag;
  flow_set_t *set = (flow_set_t *) (uintptr_t) insn->set_tag;
  switch (insn->kind) {
    case CIRCFLOW_INSN_SEND:
      (void) flow_send_control(leg->tor.circ, insn->detail.send.command, body, insn->detail.send.body_len);
      break;
    case CIRCFLOW_INSN_LINKED: leg_linked(leg, insn); break;
    case CIRCFLOW_INSN_USABLE: set_join_legs(set); break;
    case CIRCFLOW_INSN_WANT_LEG: replace_leg(set); break;
    case CIRCFLOW_INSN_CLOSE: close_leg(leg, &insn->detail.close); break;
    case CIRCFLOW_INSN_MAY_SEND: set_may_send(set); break;
    case CIRCFLOW_INSN_ENDED: set_ended(set); break;
    /* What a set leaves behind has no stream to go to any more. */
    default: break;
  }
}

/* Never from inside itself: when the time of a thousand legs is over at once, each is closed in here, which calls us
 * again, and the stack is too small for a thousand of us. */
void
flow_run(void)
{
  struct circflow_insn insn;
  uint8_t body[CIRCFLOW_BODY_MAX];
  if (is_running)
    return;
  is_running = true;
  while (flow_engine && circflow_engine_poll(flow_engine, body, sizeof(body), &insn) == CIRCFLOW_OK &&
         insn.kind != CIRCFLOW_INSN_NONE)
    follow(&insn, body);
  is_running = false;
  /* In a LINK there is a nonce. */
  memwipe(body, 0, CIRCFLOW_LINK_LEN);
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
  struct circflow_set_stats stats;
  if (!flow_set_get_stats(set, &stats) || stats.launches_left == 0) {
    log_info(LD_CIRC, "Conflux: no more legs may be launched for set %s.", nonce_of(set));
    return false;
  }
  log_info(LD_CIRC, "Conflux: launching a leg for set %s, which has %d linked and %d pending.", nonce_of(set),
           flow_leg_count(set), flow_pending_count(set));
  set->tor.num_leg_launch++;
  /* All legs end where the first does. */
  const flow_leg_t *first = smartlist_len(set->legs) > 0 ? smartlist_get(set->legs, 0) : NULL;
  extend_info_t *end = first ? TO_ORIGIN_CIRCUIT(first->tor.circ)->cpath->prev->extend_info : NULL;
  origin_circuit_t *origin =
    circuit_establish_circuit_conflux(set->tor.nonce, CIRCUIT_PURPOSE_CONFLUX_UNLINKED, end,
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
  if (!conflux_is_enabled(NULL) || router_have_consensus_path() != CONSENSUS_PATH_EXIT)
    return;
  int sets = 0, linked = 0;
  DIGEST256MAP_FOREACH(pools[true], nonce, const flow_set_t *, set) {
    bool is_linked = flow_leg_count(set) > 0;
    linked += is_linked;
    sets += flow_pending_count(set) > 0;
    sets += is_linked && set_is_fresh(set);
  } DIGEST256MAP_FOREACH_END;
  if (linked >= conflux_params_get_max_linked_set())
    return;
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
  DIGEST256MAP_FOREACH(pools[true], nonce, const flow_set_t *, set) {
    if (flow_leg_count(set) == 0)
      continue;
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

/* Adds the guards or the middles of the legs of the set for which a circuit is being built. */
static void
exclude_relays(const origin_circuit_t *origin, bool are_guards, smartlist_t *excluded)
{
  const circuit_t *circ = TO_CIRCUIT(origin);
  /* With one bridge there is no other guard to go to. */
  if (!CIRCUIT_IS_CONFLUX(circ) || (get_options()->UseBridges && !conflux_can_exclude_used_bridges()))
    return;
  tor_assert(!circ->conflux);
  const flow_set_t *set = BUG(!circ->conflux_pending_nonce) ? NULL : set_find(circ->conflux_pending_nonce, true);
  if (!set)
    return;
  SMARTLIST_FOREACH_BEGIN(set->legs, const flow_leg_t *, leg) {
    const crypt_path_t *guard = CONST_TO_ORIGIN_CIRCUIT(leg->tor.circ)->cpath;
    node_t *middle = node_get_mutable_by_id(guard->next->extend_info->identity_digest);
    if (are_guards)
      smartlist_add(excluded, tor_memdup(guard->extend_info->identity_digest, DIGEST_LEN));
    else if (middle)
      smartlist_add(excluded, middle);
  } SMARTLIST_FOREACH_END(leg);
}

void
conflux_add_guards_to_exclude_list(const origin_circuit_t *circ, smartlist_t *excluded)
{
  exclude_relays(circ, true, excluded);
}

void
conflux_add_middles_to_exclude_list(const origin_circuit_t *circ, smartlist_t *excluded)
{
  exclude_relays(circ, false, excluded);
}

/* ---- The handshake ---- */

void
conflux_circuit_has_opened(origin_circuit_t *origin)
{
  tor_assert(origin);
  circuit_t *circ = TO_CIRCUIT(origin);
  if (!conflux_is_enabled(circ)) {
    static ratelim_t limit = RATELIM_INIT(600);
    circuit_mark_for_close(circ, END_CIRC_REASON_TORPROTOCOL);
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

/* Gives circflow a message of the handshake. False when the circuit closes. */
static bool
feed(circuit_t *circ, crypt_path_t *layer_hint, uint8_t command, const char *name, const relay_msg_t *msg)
{
  struct circflow_verdict verdict;
  tor_assert(circ);
  /* A circuit without congestion control, or with conflux switched off meanwhile. */
  if (!conflux_is_enabled(circ)) {
    circuit_mark_for_close(circ, END_CIRC_REASON_TORPROTOCOL);
    return false;
  }
  flow_leg_t *leg = leg_of(circ);
  if (!leg && command == RELAY_COMMAND_CONFLUX_LINK && !CIRCUIT_IS_ORIGIN(circ) && !CIRCUIT_IS_CONFLUX(circ))
    leg = leg_for_link(circ, msg);
  if (!leg) {
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux: %s on a circuit that is no leg. Closing.", name);
    circuit_mark_for_close(circ, END_CIRC_REASON_TORPROTOCOL);
    return false;
  }
  bool is_from_end = conflux_validate_source_hop(circ, layer_hint);
  struct circflow_message message = {
    .command = command,
    .hop = (uint8_t) ((leg->is_client ? CLIENT_HOPS : 0) + (is_from_end ? 0 : 1)),
    .body = msg ? msg->body : NULL,
    .body_len = msg ? msg->length : 0,
  };
  int32_t status = circflow_circuit_receive(flow_engine, flow_now_ns(), leg->id, &message, &verdict);
  if (status == CIRCFLOW_OK)
    flow_run();
  else
    flow_refuse(circ, status);
  return status == CIRCFLOW_OK;
}

void
conflux_process_link(circuit_t *circ, const relay_msg_t *msg)
{
  (void) feed(circ, NULL, RELAY_COMMAND_CONFLUX_LINK, "LINK", msg);
}

void
conflux_process_linked(circuit_t *circ, crypt_path_t *layer_hint, const relay_msg_t *msg)
{
  if (!feed(circ, layer_hint, RELAY_COMMAND_CONFLUX_LINKED, "LINKED", msg))
    return;
  circuit_read_valid_data(TO_ORIGIN_CIRCUIT(circ), msg->length);
  if (circ->conflux)
    connection_ap_attach_pending(1);
}

void
conflux_process_linked_ack(circuit_t *circ)
{
  struct circflow_leg_stats stats = { .size = sizeof(stats) };
  bool is_fed = feed(circ, NULL, RELAY_COMMAND_CONFLUX_LINKED_ACK, "LINKED_ACK", NULL);
  flow_leg_t *leg = is_fed ? leg_of(circ) : NULL;
  if (leg && flow_went_well(circflow_leg_get_stats(flow_engine, leg->id, &stats), "leg"))
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
  for (int is_client = 0; is_client < 2; is_client++)
    digest256map_free(pools[is_client], set_free);
  alarm_end();
  flow_trace_end(flow_engine);
  flow_figures_end(false);
  flow_went_well(circflow_engine_free(flow_engine, NULL, NULL), "end");
  flow_engine = NULL;
}

/* ---- For tor's log and tests ---- */

void
conflux_log_set(int severity, const conflux_t *cfx, bool is_client)
{
  const flow_set_t *set = (const flow_set_t *) cfx;
  if (!cfx)
    return;
  log_fn(severity, LD_BUG, "Conflux set of a %s: %d legs linked, %d not, %u launched, delivered %" PRIu64
         ", queued %d, teardown %d", is_client ? "client" : "relay", flow_leg_count(set), flow_pending_count(set),
         cfx->num_leg_launch, cfx->last_seq_delivered, set->n_held, cfx->in_full_teardown);
  SMARTLIST_FOREACH_BEGIN(set->legs, const flow_leg_t *, leg) {
    log_fn(severity, LD_BUG, " - A %s, purpose %d: rtt %" PRIu64 " us, sent %" PRIu64 ", received %" PRIu64
           ", in flight %" PRIu64 ", marked for close %d", describe(leg), leg->tor.circ->purpose,
           leg->tor.circ_rtts_usec, leg->tor.last_seq_sent, leg->tor.last_seq_recv, leg->inflight,
           leg->tor.circ->marked_for_close);
  } SMARTLIST_FOREACH_END(leg);
}

#ifdef TOR_UNIT_TESTS
/* Tor's tests look how many sets have legs that are linked, or some that are not. */
static digest256map_t *
sets_with(bool is_client, bool are_linked)
{
  static digest256map_t *found[2][2];
  digest256map_free(found[is_client][are_linked], NULL);
  found[is_client][are_linked] = digest256map_new();
  DIGEST256MAP_FOREACH(pools[is_client], nonce, flow_set_t *, set) {
    if ((are_linked ? flow_leg_count(set) : flow_pending_count(set)) > 0)
      digest256map_set(found[is_client][are_linked], nonce, set);
  } DIGEST256MAP_FOREACH_END;
  return found[is_client][are_linked];
}

digest256map_t *
get_linked_pool(bool is_client)
{
  return sets_with(is_client, true);
}

digest256map_t *
get_unlinked_pool(bool is_client)
{
  return sets_with(is_client, false);
}

void
conflux_clear_shutdown(void)
{
  shutting_down = false;
}
#endif
