/* What bench-scale measures: the same operations on two worlds, each on one of many circuits or sets.
 *
 * Each function is one operation, and compares what it gets with what is right. What an operation costs is what its
 * calls of circflow_* or peer_* cost; so every function that is measured is never inlined, and its name is how
 * benches/scale.sh finds it.
 */
#ifndef BENCH_SCALE_H
#define BENCH_SCALE_H

#include "bench.h"

#define OPERATION __attribute__((noinline, noclone))

/* Times of the timers: each ends after a period, and is set anew at once. */
enum { SLOTS = 100, STEP_NS = 1000, PERIOD_NS = SLOTS * STEP_NS };

struct world {
  const char *name;
  /* An engine for `count` circuits or sets with the numbers 0 to count - 1, and none of them open. */
  void (*begin)(size_t count);
  void (*end)(void);
  /* A plain circuit. */
  void (*circuit_open)(size_t number);
  void (*circuit_close)(size_t number);
  /* A set of two legs, which are linked. */
  void (*set_open)(size_t number);
  void (*set_close)(size_t number);
  /* Says that both legs of a set have wide windows. */
  void (*set_report)(size_t number);
  /* A DATA message in order comes on the first leg; one goes out on the leg with the shorter round trip. */
  void (*cell_in)(size_t number);
  void (*cell_out)(size_t number);
  /* A circuit with a timer that ends after PERIOD_NS, again and again. */
  void (*timer_open)(size_t number, uint64_t now);
  /* The time is `now`, and no timer ends. */
  void (*tick_idle)(uint64_t now);
  /* The time is `now`. Gives the number of timers that have ended. */
  uint64_t (*tick_due)(uint64_t now);
  /* Ends work that was left for later, so that nothing is left to do. */
  void (*settle)(void);
  void (*trim)(void);
  /* How many are open. */
  uint64_t (*circuits)(void);
  uint64_t (*sets)(void);
};

extern const struct world library_world;
extern const struct world peer_world;

#endif
