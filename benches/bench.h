/* Types and functions that the parts of the benches share.
 *
 * A workload is a loop over calls of the library. It calls through a table, so that the very same loop can also run
 * over stubs, or over a peer that does the work in another way. Every loop knows the right answer of each call, writes
 * it into the out-parameters before the call and compares after it, so that a stub has nothing to do and costs almost
 * nothing. So that this hides nothing, a strict run fills the out-parameters with rubbish instead.
 */
#ifndef BENCH_H
#define BENCH_H

#include "circflow.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LEGS_MAX = 4, BODY_LEN = CIRCFLOW_BODY_MAX };

/* How ready messages are taken: with circflow_set_poll(), circflow_engine_poll() or circflow_engine_drain(). */
enum taking { OF_SET, BY_POLL, BY_DRAIN };

/* The functions that a workload calls. The first eleven have the signatures of the library. */
struct calls {
  enum circflow_status (*receive)(struct circflow_engine *, uint64_t, struct circflow_circuit_id,
                                  const struct circflow_message *, struct circflow_verdict *);
  enum circflow_status (*receive_many)(struct circflow_engine *, uint64_t, struct circflow_arrival *, size_t, size_t *);
  enum circflow_status (*next)(struct circflow_engine *, struct circflow_set_id, uint8_t *, size_t,
                               struct circflow_insn *);
  enum circflow_status (*poll)(struct circflow_engine *, uint8_t *, size_t, struct circflow_insn *);
  enum circflow_status (*drain)(struct circflow_engine *, size_t, uint8_t *, circflow_insn_fn, void *);
  enum circflow_status (*report)(struct circflow_engine *, uint64_t, const struct circflow_leg_report *, size_t);
  enum circflow_status (*sent)(struct circflow_engine *, uint64_t, struct circflow_circuit_id, uint8_t, uint8_t);
  enum circflow_status (*decide)(struct circflow_engine *, uint64_t, struct circflow_set_id,
                                 const struct circflow_message *, const struct circflow_leg_report *, size_t,
                                 struct circflow_verdict *);
  enum circflow_status (*send)(struct circflow_engine *, uint64_t, struct circflow_set_id,
                               const struct circflow_message *, const struct circflow_leg_report *, size_t,
                               struct circflow_verdict *);
  enum circflow_status (*peek)(struct circflow_engine *, struct circflow_set_id, struct circflow_verdict *);
  enum circflow_status (*tick)(struct circflow_engine *, uint64_t);
  /* Copies a body somewhere. Not a call of the library; only for the peer that does nothing else. */
  void (*keep)(const uint8_t *, size_t);
};

/* The calls that do nothing. */
extern enum circflow_status stub_status;

extern const struct calls library_calls;
extern const struct calls stub_calls;
extern const struct calls peer_heap_calls;
extern const struct calls peer_ring_calls;

/* The peer "queue": cells of one circuit, in order. */
void peer_queue_put(const uint8_t *body, size_t len);
bool peer_queue_take(uint8_t *out, size_t len);

/* Frees all that the peers hold. */
void forget_peers(void);

/* A message that arrives on a leg. */
struct event {
  uint64_t number; /* of DATA */
  uint32_t count;  /* SWITCH: its delta. DATA: number of held messages that are ready after it. */
  uint8_t leg;
  uint8_t kind; /* The expected verdict. CONSUMED is a SWITCH, all others are DATA. */
  uint8_t more; /* The loop asks once more after the ready messages, and gets none. */
};

struct trace {
  struct event *events;
  size_t count;
  uint64_t cells; /* DATA events */
};

/* The traces: a sender, a network and a receiver in their simplest form. Each is for at least `cells` cells. */
struct trace trace_in_order(uint64_t cells, bool ask);
struct trace trace_reordered(uint64_t cells, uint32_t depth);
struct trace trace_random(uint64_t cells);
struct trace trace_switching(uint64_t cells);

/* Counts of malloc and its relatives so far; all zero where they are not counted. */
struct allocated {
  uint64_t calls;
  uint64_t bytes;
  uint64_t live;
};
struct allocated allocated(void);
bool allocations_are_counted(void);

/* One run of a workload. */
struct bench {
  /* In. */
  const struct calls *calls;
  bool strict; /* Out-parameters start as rubbish; bodies are filled and compared whole, not only at both ends. */
  struct trace trace;
  uint64_t cells;
  /* The set and its legs. */
  struct circflow_engine *engine;
  struct circflow_set_id set;
  struct circflow_circuit_id legs[LEGS_MAX];
  /* State while it runs. */
  uint64_t now;
  uint64_t delivered;
  uint64_t hash;
  struct circflow_message message;
  struct circflow_message switching;
  uint8_t switch_body[4];
  uint8_t body[BODY_LEN];
  uint8_t out[BODY_LEN];
  /* Counts at half time: the second half is a steady state. */
  uint64_t half_ns;
  uint64_t half_cells;
  struct allocated half;
  /* Out. */
  uint64_t ns;
  uint64_t counted_cells;
  struct allocated steady;
  uint64_t kept_bytes; /* memory workload: growth of live memory while all messages were held */
};

struct workload {
  const char *name;
  const char *title;
  const char *aim_text; /* "" for none */
  unsigned aim;         /* instructions per cell; 0 for no aim */
  unsigned legs;
  const struct calls *calls; /* the functions that are measured */
  const char *measured;      /* prefix of the measured functions */
  uint32_t depth;
  bool tokens;
  enum taking taking;
  struct trace (*arrivals)(const struct workload *, uint64_t cells); /* NULL: nothing arrives */
  void (*run)(struct bench *, const struct workload *);
  bool records; /* The engine records all events, into a ring that is full. */
};
extern const struct workload workloads[];
extern const size_t workload_count;

/* What runs, for messages about faults. */
extern const char *bench_name;

/* Prints what is wrong, and ends the program with status 1. */
void fail(const char *what, uint64_t expected, uint64_t found);
uint64_t clock_ns(void);

static inline void check(bool right, const char *what, uint64_t expected, uint64_t found) {
  if (__builtin_expect(!right, 0)) {
    fail(what, expected, found);
  }
}

static inline void is(uint64_t expected, uint64_t found, const char *what) {
  check(expected == found, what, expected, found);
}

static inline void ok(enum circflow_status status, const char *what) {
  check(status == CIRCFLOW_OK, what, CIRCFLOW_OK, (uint64_t)(int64_t)status);
}

/* The right hash of a run over numbers 1 to `cells`. */
uint64_t expected_hash(uint64_t cells);

#endif
