/* What happens in circflow, in a file for circflow-trace: for whoever looks into a network of their own. Where an option
 * names a path (flow_option_trace), each tor writes path.NICKNAME-PID. Part of conflux_pool.c. License: MIT OR
 * Apache-2.0.
 *
 * A relay that does so keeps who talks when: tor says so in its log. */
#ifndef TOR_CIRCFLOW_TRACE_H
#define TOR_CIRCFLOW_TRACE_H

#include "core/or/or.h"

#include "app/config/config.h"
#include "app/config/or_options_st.h"
#include "lib/fs/files.h"

#include "circflow_hooks.h"
#include "circflow_sets.h"

#include <fcntl.h>

/* Room for some 20,000 events, each of 80 bytes at most.. */
#define TRACE_RING_BYTES (1 << 21)
/* .. which are written each time that so many messages and cells have come or gone. */
#define TRACE_EVERY 1024

bool flow_traces = false;

static int trace_fd = -1;
/* That of conflux, and that of padding. */
static struct circflow_engine *traced[2] = { NULL, NULL };

static void
trace_stop(const char *why)
{
  log_warn(LD_GENERAL, "circflow: the trace ends: %s", why);
  flow_traces = false;
}

/* Writes what an engine has recorded since it was asked last. */
static void
trace_pour(struct circflow_engine *engine)
{
  static uint8_t piece[1 << 16];
  size_t len = 0;
  uint64_t overwritten = 0;
  while (flow_traces && circflow_engine_record_read(engine, piece, sizeof(piece), &len, &overwritten) == CIRCFLOW_OK &&
         len > 0) {
    if (write_all_to_fd(trace_fd, (const char *) piece, len) < 0)
      trace_stop(strerror(errno));
    /* The file says it, too. */
    if (overwritten > 0)
      log_info(LD_GENERAL, "circflow: %" PRIu64 " events were overwritten before they were written", overwritten);
  }
}

static void
trace_open(const char *path)
{
  char *name = NULL;
  const char *nickname = get_options()->Nickname;
  tor_asprintf(&name, "%s.%s-%d", path, nickname ? nickname : "tor", (int) getpid());
  trace_fd = tor_open_cloexec(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  flow_traces = trace_fd >= 0;
  if (flow_traces)
    log_warn(LD_GENERAL, "circflow: %s will say who talks when. Do this in a network of your "
             "own only, and publish nothing of other people's.", name);
  else
    log_warn(LD_GENERAL, "circflow: cannot write %s: %s", name, strerror(errno));
  tor_free(name);
}

void
flow_trace_begin(struct circflow_engine *engine)
{
  static bool has_looked = false;
  const char *path = flow_option_trace();
  int at = traced[0] ? 1 : 0;
  if (path && *path && !has_looked)
    trace_open(path);
  has_looked = true;
  if (!flow_traces || traced[at])
    return;
  if (flow_went_well(circflow_engine_record(engine, TRACE_RING_BYTES, CIRCFLOW_RECORD_ALL), "record"))
    traced[at] = engine;
}

void
flow_trace_end(struct circflow_engine *engine)
{
  for (int i = 0; i < 2; i++) {
    if (!engine || traced[i] != engine)
      continue;
    trace_pour(engine);
    traced[i] = NULL;
  }
  if (trace_fd < 0 || traced[0] || traced[1])
    return;
  close(trace_fd);
  trace_fd = -1;
  flow_traces = false;
}

void
flow_trace_step(void)
{
  static unsigned steps = 0;
  if (++steps % TRACE_EVERY != 0)
    return;
  for (int i = 0; i < 2; i++) {
    if (traced[i])
      trace_pour(traced[i]);
  }
}

#endif /* !defined(TOR_CIRCFLOW_TRACE_H) */
