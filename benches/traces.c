/* The messages that arrive, their order, and the right verdicts. */
#include "bench.h"
#include <stdlib.h>
#include <string.h>

/* xorshift64*: the same trace every time. */
static uint64_t random_state;

static uint32_t random_below(uint32_t bound) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (uint32_t)((random_state * UINT64_C(0x2545F4914F6CDD1D)) >> 33) % bound;
}

static void *array(size_t count, size_t size) {
  void *block = calloc(count, size);
  if (block == NULL) {
    fail("no memory for a trace", 0, 0);
  }
  return block;
}

static void add_switch(struct trace *trace, uint8_t leg, uint64_t delta) {
  struct event event = {0, (uint32_t)delta, leg, CIRCFLOW_VERDICT_CONSUMED, 0};
  trace->events[trace->count++] = event;
}

static void add_data(struct trace *trace, uint8_t leg, uint64_t number) {
  struct event event = {number, 0, leg, CIRCFLOW_VERDICT_DELIVER, 0};
  trace->events[trace->count++] = event;
  trace->cells += 1;
}

/* When the loop asks for held messages. */
enum asking {
  NEVER,
  WHEN_READY,      /* after a delivery that others waited for, until none is left */
  WHILE_HELD,      /* after each delivery while messages are held, as a host must that does not know if any is ready */
  AFTER_DELIVERY,  /* after each delivery */
};

/* The simplest receiver: a mark for each number. Writes down the right result of every event. */
static void foresee(struct trace *trace, enum asking asking) {
  uint8_t *here = array(trace->cells + 2, 1);
  uint64_t delivered = 0;
  uint64_t held = 0;
  for (size_t i = 0; i < trace->count; i++) {
    struct event *event = &trace->events[i];
    if (event->kind == CIRCFLOW_VERDICT_CONSUMED) {
      continue;
    }
    if (event->number != delivered + 1) {
      event->kind = CIRCFLOW_VERDICT_HELD;
      here[event->number] = 1;
      held += 1;
      continue;
    }
    delivered += 1;
    while (here[delivered + 1]) {
      delivered += 1;
      held -= 1;
      event->count += 1;
    }
    event->more = (asking == WHEN_READY && event->count > 0) || (asking == WHILE_HELD && held > 0) ||
                  asking == AFTER_DELIVERY;
  }
  free(here);
  if (delivered != trace->cells || held != 0) {
    fail("a trace does not come to its end", trace->cells, delivered);
  }
}

static struct trace new_trace(size_t events) {
  struct trace trace = {array(events, sizeof(struct event)), 0, 0};
  return trace;
}

struct trace trace_in_order(uint64_t cells, bool ask) {
  struct trace trace = new_trace(cells);
  for (uint64_t number = 1; number <= cells; number++) {
    add_data(&trace, 0, number);
  }
  foresee(&trace, ask ? AFTER_DELIVERY : NEVER);
  return trace;
}

/* Rounds: the sender sends `depth` messages on leg 0, then as many on leg 1, and these arrive first. */
struct trace trace_reordered(uint64_t cells, uint32_t depth) {
  uint64_t rounds = (cells + 2 * depth - 1) / (2 * depth);
  struct trace trace = new_trace(rounds * (2 * depth + 2));
  for (uint64_t round = 0; round < rounds; round++) {
    uint64_t base = round * 2 * depth;
    add_switch(&trace, 1, depth);
    for (uint32_t i = 1; i <= depth; i++) {
      add_data(&trace, 1, base + depth + i);
    }
    if (round > 0) {
      add_switch(&trace, 0, depth);
    }
    for (uint32_t i = 1; i <= depth; i++) {
      add_data(&trace, 0, base + i);
    }
  }
  foresee(&trace, WHEN_READY);
  return trace;
}

/* Every message on the other leg, all in order. */
struct trace trace_switching(uint64_t cells) {
  struct trace trace = new_trace(2 * cells);
  for (uint64_t number = 1; number <= cells; number++) {
    uint8_t leg = number % 2 == 0;
    if (number > 1) {
      add_switch(&trace, leg, 1);
    }
    add_data(&trace, leg, number);
  }
  foresee(&trace, NEVER);
  return trace;
}

/* A sender that moves between four legs after runs of 1 to 64 messages, and a network that brings from each leg bursts
 * of 1 to 16, in the order of the leg, no message more than SKEW behind another. */
struct trace trace_random(uint64_t cells) {
  enum { LEGS = 4, RUN = 64, BURST = 16, SKEW = 512 };
  random_state = UINT64_C(0x9E3779B97F4A7C15);
  struct trace out = new_trace(2 * cells + 1);
  uint64_t last[LEGS] = {0};
  uint8_t leg = 0;
  uint32_t run = 1 + random_below(RUN);
  for (uint64_t number = 1; number <= cells; number++) {
    if (run == 0) {
      leg = (uint8_t)((leg + 1 + random_below(LEGS - 1)) % LEGS);
      run = 1 + random_below(RUN);
      add_switch(&out, leg, number - 1 - last[leg]);
    }
    run -= 1;
    add_data(&out, leg, number);
    last[leg] = number;
  }

  struct trace in = new_trace(out.count);
  in.cells = out.cells;
  size_t head[LEGS];
  for (uint8_t l = 0; l < LEGS; l++) {
    head[l] = 0;
    while (head[l] < out.count && out.events[head[l]].leg != l) {
      head[l] += 1;
    }
  }
  while (in.count < out.count) {
    size_t oldest = out.count;
    for (uint8_t l = 0; l < LEGS; l++) {
      oldest = head[l] < oldest ? head[l] : oldest;
    }
    uint8_t l = (uint8_t)random_below(LEGS);
    uint32_t burst = 1 + random_below(BURST);
    while (burst-- > 0 && head[l] < out.count && head[l] < oldest + SKEW) {
      in.events[in.count++] = out.events[head[l]];
      do {
        head[l] += 1;
      } while (head[l] < out.count && out.events[head[l]].leg != l);
    }
  }
  free(out.events);
  foresee(&in, WHILE_HELD);
  return in;
}
