/* bench-scale library|peer COUNT OPERATIONS   what an operation costs among COUNT circuits, or COUNT sets of two legs
 *
 * Prints a line for each operation: name|part|function|operations|nanoseconds for each. Under callgrind it ends a part
 * of the profile with each phase, under the name `part`; `function` is the one whose calls count (benches/scale.sh).
 * When allocations are counted, it prints name|bytes for each circuit or set instead. Among very many circuits,
 * callgrind does not see how they are built up and how they all close, as that would take it too long.
 *
 * Ends with status 1 at the first wrong result.
 */
#include "random.h"
#include "scale.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

enum { BATCH = 512, IDLE_TICKS = 400, STEPS_MIN = 30, STEPS_MAX = 1000, WATCHED_MAX = 100000 };

static const struct world *world;
static size_t count;
static uint64_t operations;
static uint32_t *order;

struct tally {
  uint64_t operations;
  uint64_t ns;
};

/* What two looks at the clock cost, at best. */
static uint64_t clock_cost(void) {
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < 1000; i++) {
    uint64_t from = clock_ns();
    uint64_t cost = clock_ns() - from;
    best = cost < best ? cost : best;
  }
  return best;
}

static void end_part(const char *name) {
  if (RUNNING_ON_VALGRIND) {
    CALLGRIND_DUMP_STATS_AT(name);
  }
  (void)name;
}

/* Whether callgrind sees a phase that takes long among many. */
static void watch(bool on) {
  if (count <= WATCHED_MAX) {
    return;
  }
  if (on) {
    CALLGRIND_START_INSTRUMENTATION;
  } else {
    CALLGRIND_STOP_INSTRUMENTATION;
  }
}

static void print(const char *name, const char *part, const char *function, struct tally tally) {
  if (!allocations_are_counted()) {
    printf("%s|%s|%s_%s|%" PRIu64 "|%.2f\n", name, part, world == &peer_world ? "other" : "library", function,
           tally.operations, (double)tally.ns / (double)tally.operations);
  }
}

static void print_bytes(const char *name, uint64_t before) {
  if (allocations_are_counted()) {
    printf("%s|%.1f\n", name, ((double)allocated().live - (double)before) / (double)count);
  }
}

OPERATION static void nothing(size_t number) {
  (void)number;
}

/* What the clock says about a run of one operation on `many` numbers of the order, from `from` on. */
static uint64_t run(void (*operation)(size_t), size_t from, size_t many) {
  uint64_t start = clock_ns();
  for (size_t i = 0; i < many; i++) operation(order[(from + i) % count]);
  return clock_ns() - start;
}

static uint64_t above(uint64_t ns, uint64_t idle) {
  return ns > idle ? ns - idle : 0;
}

/* The same number of them stays, but for a batch: some close, and as many open in their place. */
static void renew(void (*close)(size_t), void (*open)(size_t), uint64_t many, struct tally *closed,
                  struct tally *opened) {
  size_t batch = count < BATCH ? count : BATCH;
  uint64_t cost = clock_cost();
  *closed = *opened = (struct tally){0, 0};
  for (size_t from = 0; closed->operations < many; from = (from + batch) % count) {
    closed->ns += above(run(close, from, batch), cost);
    opened->ns += above(run(open, from, batch), cost);
    closed->operations += batch;
    opened->operations += batch;
  }
}

static struct tally at_random(void (*operation)(size_t)) {
  uint64_t seed = random_state;
  uint64_t ns[2];
  void (*both[])(size_t) = {nothing, operation};
  for (int i = 0; i < 2; i++) {
    random_state = seed;
    uint64_t start = clock_ns();
    for (uint64_t done = 0; done < operations; done++) both[i](below(count));
    ns[i] = clock_ns() - start;
  }
  return (struct tally){operations, above(ns[1], ns[0])};
}

static struct tally trim(void) {
  uint64_t start = clock_ns();
  world->trim();
  return (struct tally){count, clock_ns() - start};
}

/* Opens all; then renews some; then closes all, and gives memory back. */
static void circuits(void) {
  struct tally opened, closed;
  watch(false);
  world->begin(count);
  uint64_t live = allocated().live;
  end_part("begin");
  opened = (struct tally){count, run(world->circuit_open, 0, count)};
  end_part("circuits-grow");
  print("circuit-grow", "circuits-grow", "circuit_open", opened);
  print_bytes("circuit-bytes", live);
  is(count, world->circuits(), "circuits");
  watch(true);
  renew(world->circuit_close, world->circuit_open, operations, &closed, &opened);
  end_part("circuits");
  print("circuit-open", "circuits", "circuit_open", opened);
  print("circuit-close", "circuits", "circuit_close", closed);
  is(count, world->circuits(), "circuits");
  watch(false);
  run(world->circuit_close, 0, count);
  world->settle();
  watch(true);
  is(0, world->circuits(), "circuits that are left");
  end_part("circuits-end");
  struct tally trimmed = trim();
  end_part("circuits-trim");
  print("circuit-trim", "circuits-trim", "trim", trimmed);
  print_bytes("circuit-left", live);
  world->end();
}

static void sets(void) {
  struct tally opened, closed;
  watch(false);
  world->begin(count);
  uint64_t live = allocated().live;
  end_part("begin");
  opened = (struct tally){count, run(world->set_open, 0, count)};
  end_part("sets-grow");
  print("set-grow", "sets-grow", "set_open", opened);
  print_bytes("set-bytes", live);
  is(count, world->sets(), "sets");
  is(2 * count, world->circuits(), "legs");
  watch(true);
  renew(world->set_close, world->set_open, operations / 4 + 1, &closed, &opened);
  end_part("sets");
  print("set-open", "sets", "set_open", opened);
  print("set-close", "sets", "set_close", closed);
  is(count, world->sets(), "sets");
  watch(false);
  for (size_t number = 0; number < count; number++) {
    world->set_report(number);
    /* The first cell after a report chooses its leg anew. */
    world->cell_in(number);
    world->cell_out(number);
  }
  watch(true);
  at_random(world->cell_in);
  at_random(world->cell_out);
  end_part("warm");
  struct tally in = at_random(world->cell_in);
  struct tally out = at_random(world->cell_out);
  end_part("cells");
  print("cell-in", "cells", "cell_in", in);
  print("cell-out", "cells", "cell_out", out);
  watch(false);
  run(world->set_close, 0, count);
  world->settle();
  watch(true);
  is(0, world->sets(), "sets that are left");
  is(0, world->circuits(), "legs that are left");
  end_part("sets-end");
  struct tally trimmed = trim();
  end_part("sets-trim");
  print("set-trim", "sets-trim", "trim", trimmed);
  print_bytes("set-left", live);
  world->end();
}

/* Ticks at `steps` moments at which some timers end, as many as `due` says, and at others in between. */
static void tick(uint64_t *now, uint64_t steps, size_t slots, const size_t *due, struct tally *idle,
                 struct tally *ended) {
  uint64_t cost = clock_cost();
  *idle = *ended = (struct tally){0, 0};
  for (uint64_t i = 0; i < steps; i++, *now += PERIOD_NS / slots) {
    uint64_t start = clock_ns();
    uint64_t found = world->tick_due(*now);
    ended->ns += above(clock_ns() - start, cost);
    is(due[i % slots], found, "timers that end");
    ended->operations += found;
    start = clock_ns();
    for (uint64_t later = 1; later <= IDLE_TICKS; later++) world->tick_idle(*now + later);
    idle->ns += above(clock_ns() - start, cost);
    idle->operations += IDLE_TICKS;
  }
}

/* All circuits have timers, of which a hundredth ends at a time, but one at least. */
static void timers(void) {
  size_t slots = SLOTS;
  while (slots > count || SLOTS % slots != 0) slots -= 1;
  uint64_t now = PERIOD_NS;
  size_t due[SLOTS] = {0};
  struct tally idle, ended;
  watch(false);
  world->begin(count);
  uint64_t live = allocated().live;
  for (size_t number = 0; number < count; number++) {
    size_t slot = number * slots / count;
    due[slot] += 1;
    world->timer_open(number, now + slot * (PERIOD_NS / slots));
  }
  now += PERIOD_NS;
  /* The first time that its timer ends, a circuit may need more memory. */
  tick(&now, slots, slots, due, &idle, &ended);
  is(count, ended.operations, "timers that end in a period");
  print_bytes("timer-bytes", live);
  watch(true);
  end_part("timers-grow");
  uint64_t steps = operations * slots / count;
  steps = steps < STEPS_MIN ? STEPS_MIN : steps > STEPS_MAX ? STEPS_MAX : steps;
  tick(&now, steps, slots, due, &idle, &ended);
  end_part("ticks");
  print("tick-idle", "ticks", "tick_idle", idle);
  print("tick-due", "ticks", "tick_due", ended);
  world->end();
}

static void shuffle(void) {
  order = calloc(count, sizeof *order);
  check(order != NULL, "memory", 1, 0);
  for (size_t i = 0; i < count; i++) {
    size_t other = below(i + 1);
    order[i] = order[other];
    order[other] = (uint32_t)i;
  }
}

int main(int argc, char **argv) {
  const struct world *worlds[] = {&library_world, &peer_world};
  for (size_t i = 0; i < 2 && argc == 4; i++) {
    if (strcmp(worlds[i]->name, argv[1]) == 0) world = worlds[i];
  }
  count = argc == 4 ? strtoull(argv[2], NULL, 10) : 0;
  operations = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
  if (world == NULL || count == 0 || count > 4000000 || operations == 0) {
    fprintf(stderr, "usage: bench-scale library|peer COUNT OPERATIONS, with a COUNT of at most 4000000\n");
    return 2;
  }
  bench_name = world->name;
  /* No allocation of the output is counted. */
  static char line[1 << 12];
  setvbuf(stdout, line, _IOFBF, sizeof line);
  shuffle();
  circuits();
  sets();
  timers();
  free(order);
  return 0;
}
