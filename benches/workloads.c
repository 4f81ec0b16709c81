/* The loops of the workloads. Each call is checked in every mode: status, verdict, leg, number, body. */
#include "bench.h"
#include <string.h>

const struct calls library_calls = {
    circflow_circuit_receive, circflow_circuit_receive_many, circflow_set_poll, circflow_engine_poll, circflow_engine_drain, circflow_leg_update, circflow_circuit_cell_queued,
    circflow_set_decide,      circflow_set_send, circflow_set_get_decision,    circflow_engine_tick,    NULL,
};

enum { SENDME_INC = 31, WINDOW = 1000 };
static const uint64_t MS = 1000000;

/* A step of FNV-1a over a whole number: another order gives another hash. */
static inline uint64_t fold(uint64_t hash, uint64_t number) {
  return (hash ^ number) * UINT64_C(0x100000001b3);
}

uint64_t expected_hash(uint64_t cells) {
  uint64_t hash = 0;
  for (uint64_t number = 1; number <= cells; number++) {
    hash = fold(hash, number);
  }
  return hash;
}

/* Byte `at` of the body of message `number`, between the marks at both ends. */
static uint8_t filling(uint64_t number, size_t at) {
  return (uint8_t)((number * UINT64_C(0x9E3779B97F4A7C15) + at * UINT64_C(0xD1B54A32D192ED03)) >> 56);
}

static inline void mark(uint8_t *body, uint64_t number) {
  uint64_t inverse = ~number;
  memcpy(body, &number, 8);
  memcpy(body + BODY_LEN - 8, &inverse, 8);
}

static inline void make_body(struct bench *b, uint64_t number) {
  mark(b->body, number);
  if (b->strict) {
    for (size_t at = 8; at < BODY_LEN - 8; at++) {
      b->body[at] = filling(number, at);
    }
  }
}

static inline void check_body(const struct bench *b, const uint8_t *body, uint64_t number) {
  uint64_t front;
  uint64_t back;
  memcpy(&front, body, 8);
  memcpy(&back, body + BODY_LEN - 8, 8);
  check(front == number, "front of a body", number, front);
  check(back == ~number, "end of a body", ~number, back);
  if (b->strict) {
    for (size_t at = 8; at < BODY_LEN - 8; at++) {
      check(body[at] == filling(number, at), "byte of a body", filling(number, at), body[at]);
    }
  }
}

static inline void deliver(struct bench *b, uint64_t number) {
  check(number == b->delivered + 1, "order of delivery", b->delivered + 1, number);
  b->delivered = number;
  b->hash = fold(b->hash, number);
}

static void half_time(struct bench *b) {
  b->half_cells = b->delivered;
  b->half = allocated();
  b->half_ns = clock_ns();
}

static void full_time(struct bench *b) {
  b->ns = clock_ns() - b->half_ns;
  struct allocated end = allocated();
  b->counted_cells = b->delivered - b->half_cells;
  b->steady.calls = end.calls - b->half.calls;
  b->steady.bytes = end.bytes - b->half.bytes;
}

/* Writes the right answer of the next call into the out-parameter; see bench.h. */
static inline struct circflow_verdict foretell(const struct bench *b, uint32_t kind, struct circflow_circuit_id leg,
                                               uint64_t number, uint32_t delta) {
  struct circflow_verdict verdict;
  if (b->strict) {
    memset(&verdict, 0xEE, sizeof verdict);
    return verdict;
  }
  verdict.kind = kind;
  verdict.switch_delta = delta;
  verdict.circuit = leg;
  verdict.number = number;
  return verdict;
}

static inline void check_verdict(enum circflow_status status, const struct circflow_verdict *verdict, uint32_t kind,
                                 struct circflow_circuit_id leg, uint64_t number, uint32_t delta) {
  check(status == CIRCFLOW_OK, "status", CIRCFLOW_OK, (uint64_t)status);
  check(verdict->kind == kind, "verdict", kind, verdict->kind);
  check(verdict->number == number, "number", number, verdict->number);
  check(verdict->circuit.v == leg.v, "leg", leg.v, verdict->circuit.v);
  check(verdict->switch_delta == delta, "delta", delta, verdict->switch_delta);
}

/* Receiving. */

/* What is taken out of a drain. */
struct drained {
  struct bench *b;
  const struct workload *w;
};

/* Checks a held message; without one, as from the stub, that which was expected. */
static void on_drained(void *userdata, const struct circflow_insn *insn, const uint8_t *body) {
  struct bench *b = ((struct drained *)userdata)->b;
  uint64_t expected = b->delivered + 1;
  uint64_t number = insn != NULL ? insn->detail.deliver.number : expected;
  check(insn == NULL || insn->kind == CIRCFLOW_INSN_DELIVER, "kind of instruction", CIRCFLOW_INSN_DELIVER,
        insn != NULL ? insn->kind : 0);
  if (((struct drained *)userdata)->w->tokens) {
    uint64_t token = insn != NULL ? insn->detail.deliver.token : expected;
    check(token == number, "token", number, token);
  } else {
    if (body == NULL) {
      mark(b->out, expected);
    }
    check_body(b, body != NULL ? body : b->out, number);
  }
  deliver(b, number);
}

/* Takes `ready` held messages in one call, and checks that there are no more. */
static void drain(struct bench *b, const struct workload *w, uint32_t ready) {
  struct drained drained = {b, w};
  uint64_t before = b->delivered;
  uint8_t more = 0;
  enum circflow_status status = b->calls->drain(b->engine, ready + 1, &more, on_drained, &drained);
  check(status == CIRCFLOW_OK, "status of a drain", CIRCFLOW_OK, (uint64_t)status);
  check(b->delivered - before == ready, "drained", ready, b->delivered - before);
  check(more == 0, "more", 0, more);
}

/* Takes a held message, or checks that there is none, by `kind`. */
static inline void take(struct bench *b, const struct workload *w, uint32_t kind) {
  struct circflow_insn insn;
  uint8_t *out = w->tokens ? NULL : b->out;
  size_t cap = w->tokens ? 0 : BODY_LEN;
  insn.kind = kind;
  insn.detail.deliver.number = b->delivered + 1;
  insn.detail.deliver.token = b->delivered + 1;
  if (b->strict) {
    memset(&insn, 0xEE, sizeof insn);
    memset(b->out, 0xEE, sizeof b->out);
  } else if (!w->tokens) {
    mark(b->out, b->delivered + 1);
  }
  enum circflow_status status = w->taking == BY_POLL ? b->calls->poll(b->engine, out, cap, &insn)
                                             : b->calls->next(b->engine, b->set, out, cap, &insn);
  check(status == CIRCFLOW_OK, "status of taking", CIRCFLOW_OK, (uint64_t)status);
  check(insn.kind == kind, "kind of instruction", kind, insn.kind);
  if (kind == CIRCFLOW_INSN_NONE) {
    return;
  }
  if (w->tokens) {
    check(insn.detail.deliver.token == insn.detail.deliver.number, "token", insn.detail.deliver.number,
          insn.detail.deliver.token);
  } else {
    check_body(b, b->out, insn.detail.deliver.number);
  }
  deliver(b, insn.detail.deliver.number);
}

static void play(struct bench *b, const struct workload *w, size_t from, size_t to) {
  struct circflow_verdict verdict;
  enum circflow_status status;
  for (size_t i = from; i < to; i++) {
    const struct event *event = &b->trace.events[i];
    struct circflow_circuit_id leg = b->legs[event->leg];
    b->now += 1000;
    if (event->kind == CIRCFLOW_VERDICT_CONSUMED) {
      for (int byte = 0; byte < 4; byte++) {
        b->switch_body[byte] = (uint8_t)(event->count >> (24 - 8 * byte));
      }
      verdict = foretell(b, CIRCFLOW_VERDICT_CONSUMED, leg, 0, 0);
      status = b->calls->receive(b->engine, b->now, leg, &b->switching, &verdict);
      check_verdict(status, &verdict, CIRCFLOW_VERDICT_CONSUMED, leg, 0, 0);
      continue;
    }
    if (w->tokens) {
      b->message.token = event->number;
    } else {
      make_body(b, event->number);
    }
    verdict = foretell(b, event->kind, leg, event->number, 0);
    status = b->calls->receive(b->engine, b->now, leg, &b->message, &verdict);
    check_verdict(status, &verdict, event->kind, leg, event->number, 0);
    if (event->kind != CIRCFLOW_VERDICT_DELIVER) {
      continue;
    }
    deliver(b, verdict.number);
    if (w->taking == BY_DRAIN) {
      if (event->count != 0 || event->more) {
        drain(b, w, event->count);
      }
      continue;
    }
    for (uint32_t ready = 0; ready < event->count; ready++) {
      take(b, w, CIRCFLOW_INSN_DELIVER);
    }
    if (event->more) {
      take(b, w, CIRCFLOW_INSN_NONE);
    }
  }
}

enum { BATCH = 16 };

/* Receives messages that all come in order, many in a call. */
static void play_batches(struct bench *b, const struct workload *w, size_t from, size_t to) {
  struct circflow_arrival arrivals[BATCH];
  (void)w;
  while (from < to) {
    size_t count = to - from < BATCH ? to - from : BATCH;
    size_t taken = count;
    b->now += 1000;
    for (size_t i = 0; i < count; i++) {
      const struct event *event = &b->trace.events[from + i];
      arrivals[i].circuit = b->legs[event->leg];
      arrivals[i].message = b->message;
      arrivals[i].verdict = foretell(b, event->kind, b->legs[event->leg], event->number, 0);
    }
    enum circflow_status status = b->calls->receive_many(b->engine, b->now, arrivals, count, &taken);
    check(taken == count, "taken", count, taken);
    for (size_t i = 0; i < count; i++) {
      const struct event *event = &b->trace.events[from + i];
      check_verdict(status, &arrivals[i].verdict, event->kind, b->legs[event->leg], event->number, 0);
      deliver(b, arrivals[i].verdict.number);
    }
    from += count;
  }
}

static void run_batches(struct bench *b, const struct workload *w) {
  play_batches(b, w, 0, b->trace.count / 2);
  half_time(b);
  play_batches(b, w, b->trace.count / 2, b->trace.count);
  full_time(b);
}

static void run_arrivals(struct bench *b, const struct workload *w) {
  /* Rounded so that both halves have whole rounds. */
  const struct event *events = b->trace.events;
  size_t half = b->trace.count / 2;
  while (w->depth != 0 && half < b->trace.count &&
         (events[half - 1].kind != CIRCFLOW_VERDICT_DELIVER || events[half - 1].count == 0)) {
    half += 1;
  }
  play(b, w, 0, half);
  half_time(b);
  play(b, w, half, b->trace.count);
  full_time(b);
}

/* Holds all messages of leg 1, twice: measures the memory kept, and whether the second round allocates. */
static void run_hold(struct bench *b, const struct workload *w) {
  size_t held = b->trace.cells / 4;
  struct allocated before = allocated();
  play(b, w, 0, 1 + held);
  b->kept_bytes = allocated().live - before.live;
  play(b, w, 1 + held, 1 + 2 * held);
  half_time(b);
  play(b, w, 1 + 2 * held, b->trace.count);
  full_time(b);
}

/* Sending. */

static inline struct circflow_leg_report standing(const struct bench *b, int leg, uint64_t inflight, bool blocked) {
  struct circflow_leg_report report = {
      b->legs[leg], WINDOW, inflight, leg == 0 ? 10 * MS : 50 * MS, SENDME_INC,
      blocked ? CIRCFLOW_REPORT_CHANNEL_FULL : 0,
  };
  return report;
}

static inline void report(struct bench *b, struct circflow_leg_report report) {
  enum circflow_status status = b->calls->report(b->engine, b->now, &report, 1);
  check(status == CIRCFLOW_OK, "status of a report", CIRCFLOW_OK, (uint64_t)status);
}

static inline void sent(struct bench *b, struct circflow_circuit_id leg, uint8_t command) {
  enum circflow_status status = b->calls->sent(b->engine, b->now, leg, command, 3);
  check(status == CIRCFLOW_OK, "status of a sent cell", CIRCFLOW_OK, (uint64_t)status);
}

static void report_both(struct bench *b) {
  report(b, standing(b, 0, 0, false));
  report(b, standing(b, 1, 0, false));
}

/* Sends in one call, always on the same leg; a SENDME every 31 cells. */
static void run_send(struct bench *b, const struct workload *w) {
  (void)w;
  report_both(b);
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    b->now += 1000;
    if (i % SENDME_INC == SENDME_INC - 1) {
      report(b, standing(b, 0, 4 * SENDME_INC, false));
    }
    make_body(b, i + 1);
    struct circflow_verdict verdict = foretell(b, CIRCFLOW_VERDICT_SEND, b->legs[0], i + 1, 0);
    enum circflow_status status = b->calls->send(b->engine, b->now, b->set, &b->message, NULL, 0, &verdict);
    check_verdict(status, &verdict, CIRCFLOW_VERDICT_SEND, b->legs[0], i + 1, 0);
    deliver(b, verdict.number);
  }
  full_time(b);
}

/* Sends in one call, each cell on the other leg: the faster leg's channel is blocked every second time, by the report
 * in the call. The slower leg's window is renewed by a SENDME every 31 of its cells. */
static void run_send_switching(struct bench *b, const struct workload *w) {
  (void)w;
  report_both(b);
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    b->now += 1000;
    int leg = (int)(i % 2);
    if (i % (2 * SENDME_INC) == 0) {
      report(b, standing(b, 1, 4 * SENDME_INC, false));
    }
    struct circflow_leg_report riding = standing(b, 0, 4 * SENDME_INC, leg == 1);
    make_body(b, i + 1);
    struct circflow_verdict verdict = foretell(b, CIRCFLOW_VERDICT_SEND, b->legs[leg], i + 1, i > 0);
    enum circflow_status status = b->calls->send(b->engine, b->now, b->set, &b->message, &riding, 1, &verdict);
    check_verdict(status, &verdict, CIRCFLOW_VERDICT_SEND, b->legs[leg], i + 1, i > 0);
    deliver(b, verdict.number);
  }
  full_time(b);
}

/* Decides with a report for each leg, then reports the queued cell; with `switching` on the other leg each time. */
static inline void run_two_calls(struct bench *b, bool switching) {
  struct circflow_leg_report reports[2];
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    b->now += 1000;
    int leg = switching ? (int)(i % 2) : 0;
    reports[0] = standing(b, 0, i % WINDOW, leg == 1);
    reports[1] = standing(b, 1, 0, false);
    make_body(b, i + 1);
    uint32_t delta = switching && i > 0;
    struct circflow_verdict verdict = foretell(b, CIRCFLOW_VERDICT_SEND, b->legs[leg], i + 1, delta);
    enum circflow_status status = b->calls->decide(b->engine, b->now, b->set, &b->message, reports, 2, &verdict);
    check_verdict(status, &verdict, CIRCFLOW_VERDICT_SEND, b->legs[leg], i + 1, delta);
    if (verdict.switch_delta != 0) {
      sent(b, verdict.circuit, CIRCFLOW_CMD_SWITCH);
    }
    sent(b, verdict.circuit, CIRCFLOW_CMD_DATA);
    deliver(b, verdict.number);
  }
  full_time(b);
}

/* Says of each cell that it is queued, on the leg that sends. */
static void run_sent(struct bench *b, const struct workload *w) {
  (void)w;
  report_both(b);
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    b->now += 1000;
    sent(b, b->legs[0], CIRCFLOW_CMD_DATA);
    deliver(b, i + 1);
  }
  full_time(b);
}

static void run_decide_sent(struct bench *b, const struct workload *w) {
  (void)w;
  run_two_calls(b, false);
}

static void run_decide_sent_switching(struct bench *b, const struct workload *w) {
  (void)w;
  run_two_calls(b, true);
}

/* These workloads change nothing: a "cell" is a call. */

/* Sends for a while, with a SENDME every 31 cells of a leg, so that an algorithm knows the legs and has chosen one. */
static void get_to_know(struct bench *b, uint64_t *number) {
  uint64_t inflight[2] = {0, 0};
  report_both(b);
  for (*number = 1; *number <= 16 * SENDME_INC; *number += 1) {
    b->now += MS / 4;
    make_body(b, *number);
    struct circflow_verdict verdict = foretell(b, CIRCFLOW_VERDICT_SEND, b->legs[0], *number, 0);
    enum circflow_status status = b->calls->send(b->engine, b->now, b->set, &b->message, NULL, 0, &verdict);
    check(status == CIRCFLOW_OK, "status of sending", CIRCFLOW_OK, (uint64_t)status);
    int leg = verdict.circuit.v == b->legs[1].v;
    inflight[leg] += 1;
    if (inflight[leg] == 3 * SENDME_INC) {
      inflight[leg] -= SENDME_INC;
      report(b, standing(b, leg, inflight[leg], false));
    }
  }
}

/* Chooses, whatever leg the algorithm names. With `news`, a report of the nearer leg rides on each call, as after a
 * SENDME. */
static inline void run_choose(struct bench *b, bool news) {
  uint64_t number;
  get_to_know(b, &number);
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    b->now += 1000;
    struct circflow_leg_report riding = standing(b, 0, SENDME_INC + i % SENDME_INC, false);
    struct circflow_verdict verdict = foretell(b, CIRCFLOW_VERDICT_SEND, b->legs[0], number, 0);
    enum circflow_status status = b->calls->decide(b->engine, b->now, b->set, &b->message, &riding, news, &verdict);
    check(status == CIRCFLOW_OK, "status of a choice", CIRCFLOW_OK, (uint64_t)status);
    check(verdict.kind == CIRCFLOW_VERDICT_SEND, "verdict", CIRCFLOW_VERDICT_SEND, verdict.kind);
    check(verdict.number == number, "number", number, verdict.number);
    deliver(b, i + 1);
  }
  full_time(b);
}

static void run_choose_stays(struct bench *b, const struct workload *w) {
  (void)w;
  run_choose(b, false);
}

static void run_choose_anew(struct bench *b, const struct workload *w) {
  (void)w;
  run_choose(b, true);
}

static void run_blocked(struct bench *b, const struct workload *w) {
  (void)w;
  struct circflow_verdict verdict;
  report(b, standing(b, 0, WINDOW, false));
  report(b, standing(b, 1, 0, true));
  stub_status = CIRCFLOW_ERR_NO_ROOM;
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    b->now += 1000;
    enum circflow_status status = b->calls->decide(b->engine, b->now, b->set, &b->message, NULL, 0, &verdict);
    check(status == CIRCFLOW_ERR_NO_ROOM, "status when blocked", (uint64_t)CIRCFLOW_ERR_NO_ROOM, (uint64_t)status);
    deliver(b, i + 1);
  }
  full_time(b);
  stub_status = CIRCFLOW_OK;
}

static void run_peek(struct bench *b, const struct workload *w) {
  (void)w;
  report_both(b);
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    struct circflow_verdict verdict = foretell(b, CIRCFLOW_VERDICT_SEND, b->legs[0], 1, 0);
    check_verdict(b->calls->peek(b->engine, b->set, &verdict), &verdict, CIRCFLOW_VERDICT_SEND, b->legs[0], 1, 0);
    deliver(b, i + 1);
  }
  full_time(b);
}

static void run_tick(struct bench *b, const struct workload *w) {
  (void)w;
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    b->now += 1000;
    enum circflow_status status = b->calls->tick(b->engine, b->now);
    check(status == CIRCFLOW_OK, "status of a tick", CIRCFLOW_OK, (uint64_t)status);
    deliver(b, i + 1);
  }
  full_time(b);
}

static void run_nothing(struct bench *b, const struct workload *w) {
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    take(b, w, CIRCFLOW_INSN_NONE);
    deliver(b, i + 1);
  }
  full_time(b);
}

static void run_ring(struct bench *b, const struct workload *w) {
  (void)w;
  for (uint64_t i = 0; i < b->cells; i++) {
    if (i == b->cells / 2) {
      half_time(b);
    }
    make_body(b, i + 1);
    b->calls->keep(b->body, BODY_LEN);
    deliver(b, i + 1);
  }
  full_time(b);
}

static struct trace in_order(const struct workload *w, uint64_t cells) {
  (void)w;
  return trace_in_order(cells, false);
}

static struct trace in_order_asking(const struct workload *w, uint64_t cells) {
  (void)w;
  return trace_in_order(cells, true);
}

static struct trace reordered(const struct workload *w, uint64_t cells) {
  return trace_reordered(cells, w->depth);
}

/* Always two rounds. */
static struct trace two_rounds(const struct workload *w, uint64_t cells) {
  (void)cells;
  return trace_reordered(4 * (uint64_t)w->depth, w->depth);
}

static struct trace at_random(const struct workload *w, uint64_t cells) {
  (void)w;
  return trace_random(cells);
}

static struct trace switching(const struct workload *w, uint64_t cells) {
  (void)w;
  return trace_switching(cells);
}

#define LIBRARY &library_calls, "circflow_"
#define HEAP &peer_heap_calls, "peer_"
#define RING &peer_ring_calls, "peer_"

/* name, title, aim, legs, calls, depth, tokens, taking, arrivals, run */
const struct workload workloads[] = {
    {"in-order", "in order", "65, no allocation", 65, 2, LIBRARY, 0, false, OF_SET, in_order, run_arrivals, false},
    {"in-order-many", "in order, 16 in a call", "50", 50, 2, LIBRARY, 0, false, OF_SET, in_order, run_batches, false},
    {"in-order-recorded", "in order, and recorded", "145", 145, 2, LIBRARY, 0, false, OF_SET, in_order, run_arrivals, true},
    {"in-order-ask", "in order, set_poll asked each time", "", 0, 2, LIBRARY, 0, false, OF_SET, in_order_asking,
     run_arrivals, false},
    {"bytes-32", "reordered, bytes, depth 32", "250", 250, 2, LIBRARY, 32, false, OF_SET, reordered, run_arrivals, false},
    {"bytes-1000", "reordered, bytes, depth 1,000", "250", 250, 2, LIBRARY, 1000, false, OF_SET, reordered,
     run_arrivals, false},
    {"bytes-10000", "reordered, bytes, depth 10,000", "250", 250, 2, LIBRARY, 10000, false, OF_SET, reordered,
     run_arrivals, false},
    {"bytes-1000-poll", "reordered, bytes, depth 1,000, by poll", "250", 250, 2, LIBRARY, 1000, false, BY_POLL, reordered,
     run_arrivals, false},
    {"bytes-1000-drain", "reordered, bytes, depth 1,000, by drain", "250", 250, 2, LIBRARY, 1000, false, BY_DRAIN,
     reordered, run_arrivals, false},
    {"bytes-32-drain", "reordered, bytes, depth 32, by drain", "250", 250, 2, LIBRARY, 32, false, BY_DRAIN, reordered,
     run_arrivals, false},
    {"tokens-32", "reordered, tokens, depth 32", "200", 200, 2, LIBRARY, 32, true, OF_SET, reordered, run_arrivals, false},
    {"tokens-32-recorded", "the same, and recorded", "", 0, 2, LIBRARY, 32, true, OF_SET, reordered, run_arrivals, true},
    {"tokens-1000", "reordered, tokens, depth 1,000", "200", 200, 2, LIBRARY, 1000, true, OF_SET, reordered,
     run_arrivals, false},
    {"tokens-10000", "reordered, tokens, depth 10,000", "200", 200, 2, LIBRARY, 10000, true, OF_SET, reordered,
     run_arrivals, false},
    {"tokens-1000-drain", "reordered, tokens, depth 1,000, by drain", "165", 165, 2, LIBRARY, 1000, true, BY_DRAIN,
     reordered, run_arrivals, false},
    {"random", "4 legs at random, bytes", "330", 330, 4, LIBRARY, 0, false, OF_SET, at_random, run_arrivals, false},
    {"random-tokens", "4 legs at random, tokens", "", 0, 4, LIBRARY, 0, true, OF_SET, at_random, run_arrivals, false},
    {"switching", "one SWITCH per cell", "180", 180, 2, LIBRARY, 0, false, OF_SET, switching, run_arrivals, false},
    {"send", "send, fused, with room", "85", 85, 2, LIBRARY, 0, false, OF_SET, NULL, run_send, false},
    {"send-switching", "send, fused, switching each time", "230", 230, 2, LIBRARY, 0, false, OF_SET, NULL,
     run_send_switching, false},
    {"send-recorded", "send, fused, with room, and recorded", "160", 160, 2, LIBRARY, 0, false, OF_SET, NULL, run_send, true},
    {"send-switching-recorded", "switching each time, and recorded", "", 0, 2, LIBRARY, 0, false, OF_SET, NULL,
     run_send_switching, true},
    {"sent", "a cell is queued on a leg", "85", 85, 2, LIBRARY, 0, false, OF_SET, NULL, run_sent, false},
    {"decide-sent", "decide with two reports, then sent", "340", 340, 2, LIBRARY, 0, false, OF_SET, NULL,
     run_decide_sent, false},
    {"decide-sent-switching", "the same, switching each time", "", 0, 2, LIBRARY, 0, false, OF_SET, NULL,
     run_decide_sent_switching, false},
    {"choose-stays", "decide, nothing is new", "90", 90, 2, LIBRARY, 0, false, OF_SET, NULL, run_choose_stays, false},
    {"choose-anew", "decide with a report of a leg", "400", 400, 2, LIBRARY, 0, false, OF_SET, NULL, run_choose_anew, false},
    {"blocked", "decide, all legs blocked", "284", 284, 2, LIBRARY, 0, false, OF_SET, NULL, run_blocked, false},
    {"peek", "peek", "177", 177, 2, LIBRARY, 0, false, OF_SET, NULL, run_peek, false},
    {"tick", "tick, nothing due", "", 0, 2, LIBRARY, 0, false, OF_SET, NULL, run_tick, false},
    {"poll-nothing", "poll, nothing waits", "", 0, 2, LIBRARY, 0, false, BY_POLL, NULL, run_nothing, false},
    {"next-nothing", "set_poll, nothing waits", "", 0, 2, LIBRARY, 0, false, OF_SET, NULL, run_nothing, false},
    {"hold", "memory of a held 498-byte message", "540 B, no allocation", 0, 2, LIBRARY, 10000, false, false,
     two_rounds, run_hold, false},
    {"ring", "peer: body copied into a ring", "", 0, 0, RING, 0, false, OF_SET, NULL, run_ring, false},
    {"heap-in-order", "peer: heap, in order", "", 0, 2, HEAP, 0, false, OF_SET, in_order, run_arrivals, false},
    {"heap-32", "peer: heap, depth 32", "", 0, 2, HEAP, 32, false, OF_SET, reordered, run_arrivals, false},
    {"heap-1000", "peer: heap, depth 1,000", "", 0, 2, HEAP, 1000, false, OF_SET, reordered, run_arrivals, false},
    {"heap-10000", "peer: heap, depth 10,000", "", 0, 2, HEAP, 10000, false, OF_SET, reordered, run_arrivals, false},
    {"heap-random", "peer: heap, 4 legs at random", "", 0, 4, HEAP, 0, false, OF_SET, at_random, run_arrivals, false},
    {"heap-switching", "peer: heap, one SWITCH per cell", "", 0, 2, HEAP, 0, false, OF_SET, switching, run_arrivals, false},
    {"heap-hold", "peer: heap, memory of a held message", "", 0, 2, HEAP, 10000, false, OF_SET, two_rounds, run_hold, false},
};
const size_t workload_count = sizeof workloads / sizeof *workloads;
