/* When circflow wants to be called although nothing happens: a leg whose LINKED does not come, a message that is held
 * too long, and a choice that waits for a better leg although another has room. Then the event loop comes back here.
 * Part of conflux_pool.c. License: MIT OR Apache-2.0.
 *
 * Tor stops the streams of a set as soon as it hears that there is no leg for DATA, and starts them when a SENDME comes
 * or a channel has room again. A choice that waits ends by time alone: nobody but us would start them then. */
#ifndef TOR_CIRCFLOW_ALARM_H
#define TOR_CIRCFLOW_ALARM_H

#include "core/or/or.h"

#include "core/mainloop/connection.h"
#include "core/mainloop/mainloop.h"
#include "lib/crypt_ops/crypto_rand.h"
#include "lib/evloop/compat_libevent.h"

#include "circflow_sets.h"

/* The longest time for which the event loop is asked, in seconds: then it only asks again. */
#define ALARM_MAX_S 3600

static mainloop_event_t *alarm_event = NULL;
/* When it comes, by our clock. */
static uint64_t alarm_ns = CIRCFLOW_NEVER;
/* Sets whose streams are to be started. */
static smartlist_t *resuming = NULL;

static void alarm_on_event(mainloop_event_t *event, void *arg);

/* Some of tor's tests have no loop. */
static bool
alarm_is_there(void)
{
  if (PREDICT_UNLIKELY(!alarm_event) && tor_libevent_is_initialized())
    alarm_event = mainloop_event_new(alarm_on_event, NULL);
  return alarm_event != NULL;
}

void
flow_wake(void)
{
  if (!alarm_is_there())
    return;
  alarm_ns = 0;
  mainloop_event_activate(alarm_event);
}

void
flow_arm(void)
{
  uint64_t due = CIRCFLOW_NEVER;
  if (!flow_engine || circflow_engine_get_deadline(flow_engine, &due) != CIRCFLOW_OK)
    return;
  /* One that comes too early looks again. */
  if (PREDICT_LIKELY(due >= alarm_ns) || !alarm_is_there())
    return;
  uint64_t now = flow_now_ns();
  uint64_t usec = due > now ? (due - now + 999) / 1000 : 0;
  usec = MIN(usec, UINT64_C(1000000) * ALARM_MAX_S);
  const struct timeval delay = { (time_t) (usec / 1000000), (suseconds_t) (usec % 1000000) };
  alarm_ns = due;
  (void) mainloop_event_schedule(alarm_event, &delay);
}

void
flow_set_resume_later(flow_set_t *set)
{
  set->waits = false;
  if (set->is_resuming)
    return;
  if (!resuming)
    resuming = smartlist_new();
  set->is_resuming = true;
  smartlist_add(resuming, set);
  flow_wake();
}

/* A set is being freed. */
static void
alarm_forget(flow_set_t *set)
{
  if (set->is_resuming)
    smartlist_remove(resuming, set);
  set->is_resuming = false;
}

static void
resume_stream(edge_connection_t *stream, const crypt_path_t *hop)
{
  connection_t *conn = TO_CONN(stream);
  if (conn->marked_for_close || stream->package_window <= 0 || stream->xoff_received || (hop && !edge_uses_cpath(stream, hop)))
    return;
  /* This also sends what has been read already.. */
  connection_start_reading(conn);
  /* .. but not of a stream from inside tor. */
  if (conn->linked && !conn->marked_for_close && connection_get_inbuf_len(conn) > 0 &&
      connection_edge_package_raw_inbuf(stream, 1, NULL) < 0)
    connection_mark_for_close(conn);
}

/* Starts streams as tor does after a SENDME. Each takes what room there is, so that the first has to be another one each
 * time. */
void
flow_resume_streams(circuit_t *circ, const crypt_path_t *hop)
{
  edge_connection_t *all = CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->p_streams
                                                   : TO_OR_CIRCUIT(circ)->n_streams;
  edge_connection_t *first = all, *stream;
  unsigned count = 0;
  for (stream = all; stream; stream = stream->next_stream) {
    if (crypto_fast_rng_one_in_n(get_thread_fast_rng(), ++count))
      first = stream;
  }
  for (stream = first; stream; stream = stream->next_stream)
    resume_stream(stream, hop);
  for (stream = all; stream && stream != first; stream = stream->next_stream)
    resume_stream(stream, hop);
}

void
flow_set_resume(flow_set_t *set)
{
  flow_set_hold(set);
  circuit_t *circ = flow_set_flush_held(set) ? conflux_decide_next_circ(&set->tor) : NULL;
  if (circ)
    flow_resume_streams(circ, conflux_get_destination_hop(circ));
  flow_set_release(set);
}

static void
alarm_on_event(mainloop_event_t *event, void *arg)
{
  (void) event, (void) arg;
  alarm_ns = CIRCFLOW_NEVER;
  if (!flow_engine)
    return;
  (void) flow_went_well(circflow_engine_tick(flow_engine, flow_now_ns()), "tick");
  flow_run();
  /* Those that are to be started again meanwhile have their turn when others have had theirs. */
  for (int n = resuming ? smartlist_len(resuming) : 0; n > 0 && smartlist_len(resuming) > 0; n--) {
    flow_set_t *set = smartlist_get(resuming, 0);
    smartlist_del_keeporder(resuming, 0);
    set->is_resuming = false;
    flow_set_resume(set);
  }
  flow_arm();
}

/* After all sets. */
static void
alarm_end(void)
{
  mainloop_event_free(alarm_event);
  smartlist_free(resuming);
  alarm_ns = CIRCFLOW_NEVER;
}

#endif /* !defined(TOR_CIRCFLOW_ALARM_H) */
