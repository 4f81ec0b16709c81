/* Which algorithm chooses the leg to send on. Where an option names one (flow_option_algorithm), it is that one, for all
 * new sets of this tor, whatever the other end wishes: for whoever studies or compares them. Without it, or with "ux",
 * it is what the other end wishes, as in stock tor. Part of conflux_pool.c. License: MIT OR Apache-2.0.
 *
 * Tor's field for it, params.alg, has names for three of them. The others are numbers beyond these: nothing but the
 * adapter reads the field, and each algorithm comes out of it as it went in. */
#ifndef TOR_CIRCFLOW_ALGORITHM_H
#define TOR_CIRCFLOW_ALGORITHM_H

#include "core/or/or.h"

#include "lib/log/escape.h"

#include "circflow_hooks.h"
#include "circflow_sets.h"

/* Above all of tor's. */
#define ALG_OF_OURS(algorithm) ((conflux_alg_t) (64 + (algorithm)))

static const struct algorithm_t {
  const char *name;
  uint8_t circflow;
  conflux_alg_t tor;
  /* It looks at the time, and may wait although a leg has room. */
  bool looks_at_time;
} algorithms[] = {
  { "minrtt", CIRCFLOW_ALGORITHM_MIN_RTT, CONFLUX_ALG_MINRTT, false },
  { "lowrtt", CIRCFLOW_ALGORITHM_LOW_RTT, CONFLUX_ALG_LOWRTT, false },
  { "cwndrtt", CIRCFLOW_ALGORITHM_CWND_RTT, CONFLUX_ALG_CWNDRTT, false },
  { "ontime", CIRCFLOW_ALGORITHM_ON_TIME, ALG_OF_OURS(CIRCFLOW_ALGORITHM_ON_TIME), true },
  { "ecf", CIRCFLOW_ALGORITHM_ECF, ALG_OF_OURS(CIRCFLOW_ALGORITHM_ECF), true },
  { "blest", CIRCFLOW_ALGORITHM_BLEST, ALG_OF_OURS(CIRCFLOW_ALGORITHM_BLEST), true },
  { "otias", CIRCFLOW_ALGORITHM_OTIAS, ALG_OF_OURS(CIRCFLOW_ALGORITHM_OTIAS), true },
  { "random", CIRCFLOW_ALGORITHM_RANDOM, ALG_OF_OURS(CIRCFLOW_ALGORITHM_RANDOM), false },
};

static uint8_t algorithm_asked = CIRCFLOW_ALGORITHM_BY_UX;

/* The row of an algorithm of circflow's; NULL for one that is newer than the table. */
static const struct algorithm_t *
algorithm_row(uint8_t algorithm)
{
  for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++) {
    if (algorithms[i].circflow == algorithm)
      return &algorithms[i];
  }
  return NULL;
}

char *
flow_algorithm_names(void)
{
  smartlist_t *names = smartlist_new();
  for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++)
    smartlist_add(names, (char *) algorithms[i].name);
  char *all = smartlist_join_strings(names, ", ", 0, NULL);
  smartlist_free(names);
  return all;
}

uint8_t
flow_algorithm_named(const char *name)
{
  if (!name || !*name || !strcasecmp(name, "ux"))
    return CIRCFLOW_ALGORITHM_BY_UX;
  for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++) {
    if (!strcasecmp(name, algorithms[i].name))
      return algorithms[i].circflow;
  }
  return ALGORITHM_NONE;
}

void
flow_algorithm_read(void)
{
  const char *name = flow_option_algorithm();
  uint8_t asked = flow_algorithm_named(name);
  if (asked == ALGORITHM_NONE) {
    char *all = flow_algorithm_names();
    log_warn(LD_CONFIG, "circflow: the algorithm that is to choose legs is %s, which is no algorithm. Legs are chosen "
             "as the other end wishes. The names are %s; or ux, for the other end's wish.", escaped(name), all);
    tor_free(all);
    asked = CIRCFLOW_ALGORITHM_BY_UX;
  }
  const struct algorithm_t *row = algorithm_row(asked);
  if (row)
    log_notice(LD_CIRC, "circflow: legs are chosen by %s, whatever the other end wishes.", row->name);
  algorithm_asked = asked;
}

uint8_t
flow_algorithm_asked(void)
{
  return algorithm_asked;
}

uint8_t
flow_algorithm_of(conflux_alg_t alg)
{
  for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++) {
    if (algorithms[i].tor == alg)
      return algorithms[i].circflow;
  }
  return ALGORITHM_NONE;
}

void
flow_set_note_algorithm(flow_set_t *set, uint8_t algorithm)
{
  const struct algorithm_t *row = algorithm_row(algorithm);
  set->tor.params.alg = row ? row->tor : ALG_OF_OURS(algorithm);
  set->looks_at_time = !row || row->looks_at_time;
}

const char *
flow_algorithm_name(const conflux_t *cfx)
{
  const flow_set_t *set = (const flow_set_t *) cfx;
  struct circflow_set_stats stats;
  if (!flow_set_get_stats(set, &stats))
    return "none";
  const struct algorithm_t *row = algorithm_row(stats.algorithm);
  return row ? row->name : "another";
}

#endif /* !defined(TOR_CIRCFLOW_ALGORITHM_H) */
