/* Totals of circflow for an operator: in tor's heartbeat, and in what MetricsPort answers. Part of
 * conflux_pool.c. License: MIT OR Apache-2.0. */
#ifndef TOR_CIRCFLOW_FIGURES_H
#define TOR_CIRCFLOW_FIGURES_H

#include "core/or/or.h"

#include "lib/metrics/metrics_store.h"

#include "circflow_hooks.h"
#include "circflow_sets.h"

#define FIGURES_TEXT_MAX (1 << 15)

/* That of conflux, and that of padding. */
static struct figures_t {
  struct circflow_engine *engine;
  const char *of;
} counted[] = { { NULL, "engine=\"conflux\"" }, { NULL, "engine=\"padding\"" } };

static metrics_store_t *figures_store = NULL;
static smartlist_t *figures_stores = NULL;

static bool
figures_read(struct circflow_engine *engine, struct circflow_engine_counters *counters)
{
  memset(counters, 0, sizeof(*counters));
  counters->size = sizeof(*counters);
  return engine && flow_went_well(circflow_engine_get_counters(engine, counters), "counters");
}

static uint64_t
figures_sum(const uint64_t *counts, size_t len)
{
  uint64_t sum = 0;
  while (len-- > 0)
    sum += counts[len];
  return sum;
}

/* The end of the last class that has any. */
static uint64_t
figures_deepest(const struct circflow_engine_counters *c)
{
  for (int i = CIRCFLOW_DEPTH_CLASSES - 1; i >= 0; i--) {
    if (c->reorder_depth[i])
      return UINT64_C(1) << i;
  }
  return 0;
}

/* Two lines, or one, or none when there was nothing to count. */
void
flow_figures_log(void)
{
  struct circflow_engine_counters c, p;
  if (figures_read(counted[0].engine, &c) && c.sets_opened_by_host + c.sets_opened_by_peer > 0) {
    uint64_t runs = figures_sum(c.reorder_depth, CIRCFLOW_DEPTH_CLASSES);
    uint64_t held = c.order_bytes + c.sending_bytes + c.edge_bytes + c.crossing_bytes;
    log_notice(LD_HEARTBEAT, "Heartbeat: Conflux: %" PRIu64 " sets opened, %" PRIu64 " usable, %" PRIu64 " now. "
               "%" PRIu64 " legs linked, %" PRIu64 " lost. %" PRIu64 " SWITCHes sent, %" PRIu64 " received. "
               "Faults: %" PRIu64 ".",
               c.sets_opened_by_host + c.sets_opened_by_peer, c.sets_usable, c.sets, c.legs_linked,
               figures_sum(c.legs_lost, CIRCFLOW_COUNTED_STATUSES), c.switches_sent, c.switches_received,
               figures_sum(c.faults, CIRCFLOW_COUNTED_STATUSES));
    log_notice(LD_HEARTBEAT, "Heartbeat: Conflux: %" PRIu64 " messages sent, %" PRIu64 " came in order, %" PRIu64
               " were held for order, at most %" PRIu64 " at once, for %" PRIu64 " ms on average. Sets waited %" PRIu64
               " s for room. %" PRIu64 " KiB are held now.",
               c.messages_sent, c.messages_in_order, c.messages_held, figures_deepest(&c),
               runs ? c.reorder_age_sum_ns / runs / 1000000 : 0, c.blocked_ns / 1000000000, held / 1024);
  }
  if (figures_read(counted[1].engine, &p) && p.padding_sent + p.padding_received > 0)
    log_notice(LD_HEARTBEAT, "Heartbeat: Padding: %" PRIu64 " cells sent, %" PRIu64 " received, %" PRIu64
               " refused, %" PRIu64 " replaced; %" PRIu64 " other cells sent.",
               p.padding_sent, p.padding_received, p.padding_refused, p.padding_replaced, p.others_sent);
}

/* Puts a sample into tor's store: `name{engine="1",more="labels"} value`. Tor has whole numbers only. */
static void
figures_add(char *line, const char *kind, const char *help, const char *of)
{
  char *labels = strchr(line, '{'), *end = labels ? strstr(labels, "} ") : NULL;
  if (!end)
    return;
  *labels++ = *end = 0;
  metrics_store_entry_t *entry = metrics_store_add(
    figures_store, strcmp(kind, "gauge") ? METRICS_TYPE_COUNTER : METRICS_TYPE_GAUGE, line, help, 0, NULL);
  metrics_store_entry_add_label(entry, of);
  /* The first is the number of the engine, which is the same for both of ours. */
  labels = strchr(labels, ',');
  if (labels)
    metrics_store_entry_add_label(entry, labels + 1);
  metrics_store_entry_update(entry, (int64_t) strtoull(end + 2, NULL, 10));
}

static void
figures_fill(const struct figures_t *one)
{
  static char text[FIGURES_TEXT_MAX];
  char kind[16] = "", *help = text, *next = NULL;
  if (!one->engine || !flow_went_well(circflow_engine_write_metrics(one->engine, text, sizeof(text), NULL), "metrics"))
    return;
  for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
    if (line[0] != '#')
      figures_add(line, kind, help, one->of);
    else if (!strcmpstart(line, "# TYPE "))
      strlcpy(kind, strrchr(line, ' ') + 1, sizeof(kind));
    else if (!strcmpstart(line, "# HELP "))
      help = strchr(line + strlen("# HELP "), ' ') + 1;
  }
}

const smartlist_t *
flow_figures_stores(void)
{
  if (!counted[0].engine && !counted[1].engine)
    return NULL;
  metrics_store_free(figures_store);
  figures_store = metrics_store_new();
  for (size_t i = 0; i < ARRAY_LENGTH(counted); i++)
    figures_fill(&counted[i]);
  if (!figures_stores)
    figures_stores = smartlist_new();
  smartlist_clear(figures_stores);
  smartlist_add(figures_stores, figures_store);
  return figures_stores;
}

void
flow_figures_begin(struct circflow_engine *engine, bool pads)
{
  counted[pads].engine = engine;
}

void
flow_figures_end(bool pads)
{
  counted[pads].engine = NULL;
  if (counted[!pads].engine)
    return;
  metrics_store_free(figures_store);
  smartlist_free(figures_stores);
}

#endif /* !defined(TOR_CIRCFLOW_FIGURES_H) */
