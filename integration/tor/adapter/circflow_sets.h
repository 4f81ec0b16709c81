/* Conflux sets and legs as the adapter has them: tor's own structs, with what circflow calls them behind. Shared by
 * conflux_pool.c, which makes and ends them, and conflux.c, which sends and receives on them. License: MIT OR
 * Apache-2.0.
 *
 * Tor's structs come first in ours, so that the one is the other by a cast, and nothing has to be looked up. */
#ifndef TOR_CIRCFLOW_SETS_H
#define TOR_CIRCFLOW_SETS_H

#include "core/or/or.h"

#include "core/or/circuitlist.h"
#include "core/or/conflux.h"
#include "core/or/conflux_st.h"
#include "core/or/congestion_control_common.h"
#include "core/or/congestion_control_st.h"
#include "core/or/crypt_path_st.h"
#include "core/or/origin_circuit_st.h"

#include "circflow.h"

/* Any length will do as long as all legs have it: circflow checks that messages come from the last hop, and is told so
 * after conflux_validate_source_hop() has said so. */
#define CLIENT_HOPS 3

/* For what is rarely needed, so that the functions that call it save no registers for it. */
#define FLOW_APART __attribute__((noinline))

typedef struct flow_set_t flow_set_t;

/* A leg. Tor hears of it, in its set's `legs`, when it may carry streams; until then it is
 * in ours alone. */
typedef struct flow_leg_t {
  conflux_leg_t tor;
  flow_set_t *set;
  struct circflow_circuit_id id;
  bool is_client;
  /* circflow has linked it. */
  bool is_linked;
  /* Tor has it. */
  bool is_joined;
  /* What it was when circflow was told last, and the DATA that was sent since. */
  uint64_t inflight;
  bool is_blocked;
} flow_leg_t;

/* A set. */
struct flow_set_t {
  conflux_t tor;
  /* Zero at an exit before the first leg is linked, and when circflow's set has gone. */
  struct circflow_set_id id;
  bool is_client;
  /* All of its legs, also those that are built, or wait for LINKED, or for the others. */
  smartlist_t *legs;
  /* The set is not freed while functions that are not done yet look at it, or while a circuit points to it that is no
   * leg any more: each that was one when the set ended, until it is freed. */
  int users;
  /* That is done, and it goes as soon as circflow's set has. */
  bool is_over;
  /* Why its legs close, when it is not circflow that closes them; or -1. */
  int close_reason;
  /* Its algorithm looks at the time, and DATA may have to wait although a leg has room. */
  bool looks_at_time;
  /* Tor was told so, and has stopped its streams: they have to be started again (circflow_alarm.h).. */
  bool waits;
  /* .. which the event loop does next. */
  bool is_resuming;
  /* The answer about the next DATA messages, so many, is known as long as nothing changes. */
  uint64_t decided;
  uint32_t switch_delta;
  circuit_t *choice;
  /* Messages that circflow holds, and whether some of them wait for conflux_dequeue_relay_msg(). */
  int n_held;
  bool is_ready;
  /* Messages that padding holds back on all legs that could take them: circflow_hold.h. NULL mostly. */
  smartlist_t *held;
};

/* The one engine; NULL before the first set. */
extern struct circflow_engine *flow_engine;

/* When we looked at the clock last. Looking costs more than most of what is done for a cell; tor measures the round
 * trips, so that nothing here hangs on the time of a cell, and circflow takes equal time as normal. Sets that look at
 * the time have it for each report and each choice made anew. */
extern uint64_t flow_time_ns;

/* The one clock. Tests mock it, and it may stand still. */
uint64_t flow_now_ns(void);

/* Says in tor's log that we have a bug. False. */
bool flow_complain(int32_t status, const char *what);

/* For calls that cannot fail unless we have a bug. */
static inline bool
flow_went_well(int32_t status, const char *what)
{
  return PREDICT_LIKELY(status == CIRCFLOW_OK) || flow_complain(status, what);
}

/* What circflow knows of a set. False when it has none, or none any more. */
static inline bool
flow_set_get_stats(const flow_set_t *set, struct circflow_set_stats *stats)
{
  stats->size = sizeof(*stats);
  return set->id.v != 0 && circflow_set_get_stats(flow_engine, set->id, stats) == CIRCFLOW_OK;
}

/* Somebody wants to know what happens: circflow_trace.h. An engine is traced from its beginning to its end, and each
 * message or cell is a step. */
extern bool flow_traces;
void flow_trace_begin(struct circflow_engine *engine);
void flow_trace_end(struct circflow_engine *engine);
void flow_trace_step(void);

/* What a message brings has the time of the message then, and not the one that was looked at last. */
static inline void
flow_trace(void)
{
  if (PREDICT_LIKELY(!flow_traces))
    return;
  (void) flow_now_ns();
  flow_trace_step();
}

/* An engine whose totals go into tor's log and metrics: circflow_figures.h. `pads` is true for that of padding. */
void flow_figures_begin(struct circflow_engine *engine, bool pads);
void flow_figures_end(bool pads);

/* Which algorithm chooses the legs of new sets: circflow_algorithm.h. */
uint8_t flow_algorithm_asked(void);

/* What tor's params.alg is for circflow; no algorithm at all where it is nothing that we have written or tor has. */
uint8_t flow_algorithm_of(conflux_alg_t alg);

/* Notes in tor's struct and ours what circflow chooses by. */
void flow_set_note_algorithm(flow_set_t *set, uint8_t algorithm);

/* The name of what circflow chooses the legs of a set by, for logs and tests. */
const char *flow_algorithm_name(const conflux_t *cfx);

/* Has the event loop come back when circflow wants to be called again, which each call may have changed:
 * circflow_alarm.h. That is cheap where it has not. */
void flow_arm(void);

/* Has the event loop come back at once, for what was reported without a look at what follows. */
void flow_wake(void);

/* DATA may go out in a set again: the event loop starts its streams. Not from in here, where tor asks. */
void flow_set_resume_later(flow_set_t *set);

/* Sends what a set holds, and starts its streams. From the event loop only. */
void flow_set_resume(flow_set_t *set);

/* Starts the streams of a circuit that use this hop; NULL at an exit, and for all. */
void flow_resume_streams(circuit_t *circ, const crypt_path_t *hop);

/* Circuits that padding blocks now: circflow_hold.h. */
extern unsigned flow_blocks;
bool flow_block_holds(const circuit_t *circ);

/* Has what streams say to wait, as padding blocks this circuit? */
static inline bool
flow_is_held(const circuit_t *circ)
{
  return PREDICT_UNLIKELY(flow_blocks > 0) && flow_block_holds(circ);
}

/* The leg that a message would go out on now; NULL where none can take it. */
circuit_t *flow_set_choose(flow_set_t *set, uint8_t command);

/* Sends what padding has held in a set, as far as it may go now. True when nothing is left. */
bool flow_set_flush_held(flow_set_t *set);

/* A set is being freed, and what it holds with it. */
void flow_set_drop_held(flow_set_t *set);

/* What tor's log calls a circuit. */
uint32_t flow_circ_number(const circuit_t *circ);

/* Sends control to the far end of a circuit, past the choice of a leg. */
bool flow_send_control(circuit_t *circ, uint8_t command, const uint8_t *body, size_t len);

/* Does what circflow asks for: messages of the handshake, circuits to close, legs to launch. Circuits close inside, and
 * with them their legs: look for what you need afterwards. From inside itself it does nothing, as it comes to that. */
void flow_run(void);

/* The peer broke the protocol, or a limit was reached: says why, and closes what circflow says. */
void flow_refuse(circuit_t *circ, int32_t status);

/* For what may end a set from under itself: between the two it stays in memory. */
void flow_set_hold(flow_set_t *set);
void flow_set_release(flow_set_t *set);

/* Closes all legs of a set, for a reason of ours. */
void flow_set_close(flow_set_t *set, int reason);

static inline flow_set_t *
flow_set_of(conflux_t *cfx)
{
  return (flow_set_t *) cfx;
}

/* The legs that tor has. */
static inline int
flow_leg_count(const flow_set_t *set)
{
  return smartlist_len(set->tor.legs);
}

/* Those that it has not yet. */
static inline int
flow_pending_count(const flow_set_t *set)
{
  return smartlist_len(set->legs) - flow_leg_count(set);
}

static inline flow_leg_t *
flow_leg_at(const flow_set_t *set, int i)
{
  return smartlist_get(set->tor.legs, i);
}

static inline flow_leg_t *
flow_leg_of(const flow_set_t *set, const circuit_t *circ)
{
  for (int i = 0; i < flow_leg_count(set); i++) {
    if (flow_leg_at(set, i)->tor.circ == circ)
      return flow_leg_at(set, i);
  }
  return NULL;
}

#ifdef TOR_UNIT_TESTS
/* Somebody else may write into tor's structs: tor's tests do, and ours say so where they do not. */
extern bool flow_others_write;
#define flow_is_written() flow_others_write
#else
#define flow_is_written() false
#endif

static inline const congestion_control_t *
flow_leg_ccontrol(const flow_leg_t *leg)
{
  return leg->is_client ? CONST_TO_ORIGIN_CIRCUIT(leg->tor.circ)->cpath->prev->ccontrol : leg->tor.circ->ccontrol;
}

static inline bool
flow_leg_is_blocked(const flow_leg_t *leg)
{
  const circuit_t *circ = leg->tor.circ;
  return (leg->is_client ? circ->circuit_blocked_on_n_chan : circ->circuit_blocked_on_p_chan) || flow_is_held(circ);
}

/* Looks how a leg stands, as congestion control is tor's. True when that is news, to be reported to circflow. Only a
 * SENDME changes the window, the round trip and slow start, and it lowers what is in flight. */
static inline bool
flow_leg_look(flow_leg_t *leg)
{
  uint64_t inflight = flow_leg_ccontrol(leg)->inflight;
  bool is_blocked = flow_leg_is_blocked(leg);
  if (PREDICT_LIKELY(leg->inflight == inflight && leg->is_blocked == is_blocked && !flow_is_written()))
    return false;
  leg->inflight = inflight;
  leg->is_blocked = is_blocked;
  return true;
}

static inline void
flow_leg_report(const flow_leg_t *leg, struct circflow_leg_report *report)
{
  const congestion_control_t *cc = flow_leg_ccontrol(leg);
  uint64_t rtt_usec = leg->tor.circ_rtts_usec;
  *report = (struct circflow_leg_report) {
    .circuit = leg->id,
    .cwnd = cc->cwnd,
    .inflight = cc->inflight,
    .rtt_ns = rtt_usec > UINT64_MAX / 1000 ? UINT64_MAX : rtt_usec * 1000,
    .sendme_inc = cc->sendme_inc,
    .flags = (leg->is_blocked ? CIRCFLOW_REPORT_CHANNEL_FULL : 0) |
      (cc->in_slow_start ? CIRCFLOW_REPORT_SLOW_START : 0),
  };
}

/* Tells circflow at once how a leg stands, as of now. False when that is no news. */
static inline bool
flow_leg_tell(flow_leg_t *leg)
{
  struct circflow_leg_report report;
  if (!flow_leg_look(leg))
    return false;
  flow_leg_report(leg, &report);
  (void) circflow_leg_update(flow_engine, flow_now_ns(), &report, 1);
  return true;
}

#endif /* !defined(TOR_CIRCFLOW_SETS_H) */
