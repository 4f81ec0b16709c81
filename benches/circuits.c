/* Circuits that circflow runs.
 *
 * bench-run list                   the workloads, a line each: name|prefix of measured functions|aim|title
 * bench-run WORKLOAD run N         moves N cells, rounded up to whole rounds; prints how many
 * bench-run WORKLOAD time N        nanoseconds for each cell, the best of several runs
 * bench-run WORKLOAD count N       allocations per cell, in the second half
 * bench-run cores THREADS N        200 sets, spread over THREADS threads with an engine each, N cells each:
 *                                  cells per second by the wall clock, and by the slowest thread's processor time
 * bench-run loops ENGINES up|down N a set over 1 or 2 ENGINES of the exit, each with a thread, and a thread for
 *                                  the client and the relays: cells per second by the wall clock, and by the processor
 *                                  time of the exit's slowest thread; processor time for each cell of the exit's two
 *                                  threads and of the client's, ns; the part of the cells that crossed
 * bench-run memory relay|exit N    bytes for each of N circuits: one that only passes cells; one at an exit with one
 *                                  stream and a window
 *
 * Ends with status 1 at the first wrong result.
 */
#include "bench.h"
#include "tunnel.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PART __attribute__((noinline, noclone))

enum { BATCH = 32, STRETCH = 20000, SETS = 200, CELL = CIRCFLOW_CELL_BODY_LEN, CROWD = 1000 };

/* A single relay. */

struct relay {
  struct circflow_engine *engine;
  struct circflow_circuit_id circuit;
  uint64_t now;
  uint8_t in[CELL];
  uint8_t out[CELL];
  struct allocated half;
};

static struct circflow_circuit_id open_relay(struct circflow_engine *engine, uint64_t now, uint8_t flags) {
  struct circflow_circuit_config config;
  struct circflow_circuit_id id;
  ok(circflow_circuit_config_init(&config, sizeof config), "config");
  config.role = CIRCFLOW_ROLE_RELAY;
  config.hops = 0;
  config.tag = 1;
  config.flags = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR | flags;
  ok(circflow_circuit_open(engine, now, &config, &id), "circuit");
  return id;
}

static struct circflow_engine *engine_new(void) {
  struct circflow_engine_config config;
  struct circflow_engine *engine;
  ok(circflow_engine_config_init(&config, sizeof config), "config");
  ok(circflow_engine_new(&config, &engine), "engine");
  if (getenv("BENCH_RECORD")) {
    ok(circflow_engine_record(engine, 1 << 16, CIRCFLOW_RECORD_ALL), "record");
  }
  return engine;
}

static inline void mark(uint8_t *cell, uint64_t number) {
  memcpy(cell, &number, 8);
  memcpy(cell + CELL - 8, &number, 8);
}

static inline void check_cell(const uint8_t *cell, uint64_t number) {
  uint64_t front;
  uint64_t back;
  memcpy(&front, cell, 8);
  memcpy(&back, cell + CELL - 8, 8);
  is(number, front, "front of a cell");
  is(number, back, "end of a cell");
}

static inline void feed(struct relay *relay, uint8_t side, uint64_t number, uint32_t kind) {
  struct circflow_message cell = {0};
  struct circflow_verdict verdict;
  memset(&verdict, 0xEE, sizeof verdict);
  mark(relay->in, number);
  cell.body = relay->in;
  cell.body_len = CELL;
  relay->now += 1000;
  ok(circflow_circuit_relay(relay->engine, relay->now, relay->circuit, side, &cell, &verdict), "status of a cell");
  is(kind, verdict.kind, "verdict");
  is(relay->circuit.v, verdict.circuit.v, "circuit");
}

PART static uint64_t through(struct relay *relay, uint8_t side, uint64_t cells) {
  for (uint64_t i = 0; i < cells; i++) {
    feed(relay, side, i, CIRCFLOW_VERDICT_FORWARD);
  }
  return cells;
}

static uint64_t forward(struct relay *relay, uint64_t cells) {
  return through(relay, CIRCFLOW_SIDE_BACK, cells);
}

static uint64_t backward(struct relay *relay, uint64_t cells) {
  return through(relay, CIRCFLOW_SIDE_NEXT, cells);
}

/* The channel becomes full, 32 cells wait, and then it takes them all. */
PART static uint64_t full(struct relay *relay, uint64_t cells) {
  struct circflow_insn insn;
  uint64_t done = 0;
  while (done < cells) {
    ok(circflow_circuit_set_writable(relay->engine, relay->now, relay->circuit, CIRCFLOW_SIDE_NEXT, 0), "full");
    for (uint64_t i = 0; i < BATCH; i++) {
      feed(relay, CIRCFLOW_SIDE_BACK, done + i, CIRCFLOW_VERDICT_HELD);
    }
    ok(circflow_circuit_set_writable(relay->engine, relay->now, relay->circuit, CIRCFLOW_SIDE_NEXT, 1), "writable");
    for (uint64_t i = 0; i < BATCH; i++) {
      ok(circflow_engine_poll(relay->engine, relay->out, CELL, &insn), "status of a poll");
      is(CIRCFLOW_INSN_WRITE, insn.kind, "instruction");
      check_cell(relay->out, done + i);
    }
    ok(circflow_engine_poll(relay->engine, relay->out, CELL, &insn), "status of a poll");
    is(CIRCFLOW_INSN_NONE, insn.kind, "instruction after the last");
    done += BATCH;
  }
  return done;
}

static struct circflow_channel_id share(struct relay *relay, uint32_t room) {
  struct circflow_channel_id channel;
  ok(circflow_channel_open(relay->engine, room, &channel), "channel");
  return channel;
}

static void sit(struct relay *relay, struct circflow_circuit_id circuit, struct circflow_channel_id channel) {
  ok(circflow_circuit_set_channel(relay->engine, relay->now, circuit, CIRCFLOW_SIDE_NEXT, channel), "sit");
}

/* The channel is shared, and has room. */
static uint64_t roomy(struct relay *relay, uint64_t cells) {
  struct circflow_channel_id channel = share(relay, UINT32_MAX - 1);
  sit(relay, relay->circuit, channel);
  through(relay, CIRCFLOW_SIDE_BACK, cells);
  ok(circflow_channel_close(relay->engine, channel), "close");
  return cells;
}

/* A thousand circuits share the channel. Each has a cell that waits, and there is room for 32 at a time. */
PART static uint64_t crowd(struct relay *relay, uint64_t cells) {
  static const struct circflow_channel_id none = {0};
  struct circflow_circuit_id all[CROWD], first = relay->circuit;
  struct circflow_channel_id channel = share(relay, 0);
  struct circflow_insn insn;
  uint64_t done = 0;
  for (uint64_t i = 0; i < CROWD; i++) {
    all[i] = i == 0 ? first : open_relay(relay->engine, relay->now, CIRCFLOW_CIRCUIT_EXTENDED);
    sit(relay, all[i], channel);
    relay->circuit = all[i];
    feed(relay, CIRCFLOW_SIDE_BACK, i, CIRCFLOW_VERDICT_HELD);
  }
  while (done < cells) {
    ok(circflow_channel_set_room(relay->engine, relay->now, channel, BATCH), "room");
    for (uint64_t i = 0; i < BATCH; i++, done++) {
      ok(circflow_engine_poll(relay->engine, relay->out, CELL, &insn), "status of a poll");
      is(CIRCFLOW_INSN_WRITE, insn.kind, "instruction");
      is(all[done % CROWD].v, insn.circuit.v, "whose turn it is");
      check_cell(relay->out, done);
      /* The next cell of this circuit. */
      relay->circuit = all[done % CROWD];
      feed(relay, CIRCFLOW_SIDE_BACK, done + CROWD, CIRCFLOW_VERDICT_HELD);
    }
  }
  relay->circuit = first;
  for (uint64_t i = 1; i < CROWD; i++) {
    ok(circflow_circuit_gone(relay->engine, relay->now, all[i]), "gone");
  }
  ok(circflow_channel_close(relay->engine, channel), "close");
  sit(relay, first, none);
  do {
    ok(circflow_engine_poll(relay->engine, relay->out, CELL, &insn), "status of a poll");
  } while (insn.kind != CIRCFLOW_INSN_NONE);
  return done;
}

/* The queue of the peer: 32 cells go in and come out again. */
PART static uint64_t peer(struct relay *relay, uint64_t cells) {
  uint64_t done = 0;
  while (done < cells) {
    for (uint64_t i = 0; i < BATCH; i++) {
      mark(relay->in, done + i);
      peer_queue_put(relay->in, CELL);
    }
    for (uint64_t i = 0; i < BATCH; i++) {
      is(true, peer_queue_take(relay->out, CELL), "a cell in the queue");
      check_cell(relay->out, done + i);
    }
    done += BATCH;
  }
  return done;
}

/* Workloads: a single relay, or a tunnel from end to end. */

static const struct workload_run {
  const char *name;
  const char *title;
  const char *aim; /* instructions for each cell, "" for none */
  const char *measured;
  uint64_t (*relay)(struct relay *, uint64_t cells);
  struct shape shape;
} all[] = {
    {"forward", "relay: a cell goes on to the next relay", "250", "circflow_", forward, {.set = false}},
    {"backward", "relay: a cell goes back towards the client", "250", "circflow_", backward, {.set = false}},
    {"full", "relay: the channel is full, the cell waits and is taken", "", "circflow_", full, {.set = false}},
    {"shared", "relay: a cell goes on through a shared channel with room", "", "circflow_", roomy, {.set = false}},
    {"crowd", "relay: 1,000 circuits wait for a shared channel in turn", "", "circflow_", crowd, {.set = false}},
    {"queue", "peer: queue with a malloc for each cell", "", "peer_", peer, {.set = false}},
    {"plain", "client to exit, one circuit", "560", "circflow_", NULL, {.set = false}},
    {"set", "client to exit, a set of two legs, in order", "560", "circflow_", NULL, {.set = true}},
    {"crossing", "the same, half of the cells held for order", "", "circflow_", NULL, {.set = true, .crossing = true}},
    {"elsewhere", "the same in order, the second leg on another engine of the exit", "", "circflow_", NULL,
     {.set = true, .elsewhere = true}},
    {"down", "exit to client, a set of two legs, in order", "", "circflow_", NULL, {.set = true, .down = true}},
    {"downelsewhere", "the same, the second leg on another engine of the exit", "", "circflow_", NULL,
     {.set = true, .down = true, .elsewhere = true}},
};

struct figures {
  uint64_t cells;
  uint64_t allocations; /* for all cells of the second half */
  double ns;            /* for each cell, in the best stretch */
};

/* Runs a workload in stretches of `stretch` cells. Allocations are counted in the second half. */
static struct figures measure(const struct workload_run *w, uint64_t stretch, uint64_t stretches) {
  struct figures figures = {0, 0, 0};
  struct relay relay = {0};
  struct net *net = NULL;
  uint64_t before = 0;
  if (w->relay != NULL) {
    relay.engine = engine_new();
    relay.circuit = open_relay(relay.engine, 0, CIRCFLOW_CIRCUIT_EXTENDED);
  } else {
    net = net_new(&w->shape, 1);
  }
  for (uint64_t i = 0; i < stretches; i++) {
    if (i == stretches / 2) {
      before = allocated().calls;
    }
    uint64_t from = clock_ns();
    uint64_t moved = stretch;
    if (net == NULL) {
      moved = w->relay(&relay, stretch);
    } else {
      net_run(net, stretch);
    }
    double ns = (double)(clock_ns() - from) / (double)moved;
    if (i >= stretches / 2 && (figures.ns == 0 || ns < figures.ns)) {
      figures.ns = ns;
    }
    figures.cells += moved;
  }
  figures.allocations = allocated().calls - before;
  if (net == NULL) {
    circflow_engine_free(relay.engine, NULL, NULL);
  } else {
    is(figures.cells, net_delivered(net), "cells from end to end");
    if (w->shape.elsewhere) {
      /* Half of the cells, 500 of the 1,000 of a round trip, when the windows have grown. */
      is(true, net_crossed(net) * 5 > figures.cells * 2 && net_crossed(net) * 5 < figures.cells * 3, "half of it crosses");
    }
    net_free(net);
  }
  return figures;
}

/* Threads. Each has its own sets and engines. */

struct worker {
  pthread_t thread;
  pthread_barrier_t *barrier;
  size_t sets;
  uint64_t cells;
  uint64_t delivered;
  uint64_t busy_ns;
  uint64_t from_ns;
  uint64_t to_ns;
};

static uint64_t busy_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void *work(void *userdata) {
  static const struct shape shape = {.set = true};
  struct worker *worker = userdata;
  struct net *net = net_new(&shape, worker->sets);
  net_run(net, worker->cells);
  pthread_barrier_wait(worker->barrier);
  worker->from_ns = clock_ns();
  uint64_t busy = busy_ns();
  uint64_t before = net_delivered(net);
  net_run(net, worker->cells);
  worker->busy_ns = busy_ns() - busy;
  worker->to_ns = clock_ns();
  worker->delivered = net_delivered(net) - before;
  net_free(net);
  return NULL;
}

static void cores(unsigned threads, uint64_t cells) {
  struct worker workers[16] = {0};
  pthread_barrier_t barrier;
  if (threads == 0 || threads > 16 || pthread_barrier_init(&barrier, NULL, threads) != 0) {
    fail("threads", 1, threads);
  }
  for (unsigned i = 0; i < threads; i++) {
    workers[i].barrier = &barrier;
    workers[i].sets = SETS / threads;
    workers[i].cells = cells;
    is(0, (uint64_t)pthread_create(&workers[i].thread, NULL, work, &workers[i]), "a thread");
  }
  uint64_t from = UINT64_MAX;
  uint64_t to = 0;
  uint64_t busy = 0;
  uint64_t delivered = 0;
  for (unsigned i = 0; i < threads; i++) {
    pthread_join(workers[i].thread, NULL);
    from = workers[i].from_ns < from ? workers[i].from_ns : from;
    to = workers[i].to_ns > to ? workers[i].to_ns : to;
    busy = workers[i].busy_ns > busy ? workers[i].busy_ns : busy;
    delivered += workers[i].delivered;
  }
  pthread_barrier_destroy(&barrier);
  printf("%.0f %.0f\n", (double)delivered * 1e9 / (double)(to - from), (double)delivered * 1e9 / (double)busy);
}

/* One set with both legs on one engine of the exit, or each leg on its own engine. */
static void loops(unsigned engines, bool down, uint64_t cells) {
  const struct shape shape = {.set = true, .down = down, .elsewhere = engines > 1, .threads = true};
  struct net *net = net_new(&shape, 1);
  net_run_threads(net, cells / 10 + 1);
  uint64_t before = net_delivered(net);
  uint64_t crossed = net_crossed(net);
  struct spent spent = net_run_threads(net, cells);
  is(cells, net_delivered(net) - before, "cells from end to end");
  uint64_t slowest = spent.exit_ns[0] > spent.exit_ns[1] ? spent.exit_ns[0] : spent.exit_ns[1];
  double n = (double)cells;
  printf("%.0f %.0f %.1f %.1f %.1f %.2f\n", n * 1e9 / (double)spent.wall_ns, n * 1e9 / (double)slowest,
         (double)spent.exit_ns[0] / n, (double)spent.exit_ns[1] / n, (double)spent.client_ns / n,
         (double)(net_crossed(net) - crossed) / n);
  net_free(net);
}

/* Memory. */

static void memory(bool exit_end, size_t count) {
  struct circflow_engine *engine = engine_new();
  struct circflow_message message = {0};
  struct circflow_verdict verdict;
  struct circflow_insn insn;
  uint8_t body[CELL] = {0};
  message.stream_id = 7;
  message.body = body;
  uint64_t before = allocated().live;
  for (size_t i = 0; i < count; i++) {
    struct circflow_circuit_id id = open_relay(engine, 1000, exit_end ? 0 : CIRCFLOW_CIRCUIT_EXTENDED);
    if (exit_end) {
      message.command = CIRCFLOW_CMD_BEGIN;
      message.body_len = 0;
      ok(circflow_circuit_receive(engine, 1000, id, &message, &verdict), "BEGIN");
      message.command = CIRCFLOW_CMD_DATA;
      message.body_len = 100;
      ok(circflow_circuit_receive(engine, 1000, id, &message, &verdict), "DATA");
      ok(circflow_stream_flushed(engine, 1000, verdict.stream, 100), "flushed");
      ok(circflow_stream_send(engine, 1000, verdict.stream, &message, &verdict), "DATA sent");
    } else {
      ok(circflow_circuit_relay(engine, 1000, id, CIRCFLOW_SIDE_BACK, &message, &verdict), "a cell");
    }
    ok(circflow_engine_poll(engine, body, sizeof body, &insn), "poll");
    is(CIRCFLOW_INSN_NONE, insn.kind, "instruction");
  }
  printf("%.0f\n", (double)(allocated().live - before) / (double)count);
  circflow_engine_free(engine, NULL, NULL);
}

int main(int argc, char **argv) {
  bench_name = "bench-run";
  if (argc == 2 && strcmp(argv[1], "list") == 0) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
      printf("%s|%s|%s|%s\n", all[i].name, all[i].measured, all[i].aim, all[i].title);
    }
    return 0;
  }
  uint64_t count = argc >= 4 ? strtoull(argv[argc - 1], NULL, 10) : 0;
  if (count == 0) {
    fprintf(stderr, "usage: bench-run list | bench-run WORKLOAD run|time|count CELLS | bench-run cores THREADS CELLS | "
                    "bench-run loops ENGINES up|down CELLS | bench-run memory relay|exit CIRCUITS\n");
    return 2;
  }
  if (strcmp(argv[1], "loops") == 0 && argc == 5) {
    loops((unsigned)strtoul(argv[2], NULL, 10), strcmp(argv[3], "down") == 0, count);
    return 0;
  }
  if (strcmp(argv[1], "cores") == 0) {
    cores((unsigned)strtoul(argv[2], NULL, 10), count);
    return 0;
  }
  if (strcmp(argv[1], "memory") == 0) {
    is(true, allocations_are_counted(), "a program that counts allocations");
    memory(strcmp(argv[2], "exit") == 0, count);
    return 0;
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (strcmp(all[i].name, argv[1]) != 0) {
      continue;
    }
    bench_name = all[i].name;
    bool timed = strcmp(argv[2], "time") == 0;
    uint64_t stretches = timed ? 2 * (count / STRETCH + 1) : 2;
    struct figures figures = measure(&all[i], timed ? STRETCH : (count + 1) / 2, stretches);
    if (timed) {
      printf("%.2f\n", figures.ns);
    } else if (strcmp(argv[2], "count") == 0) {
      is(true, allocations_are_counted(), "a program that counts allocations");
      printf("%.4f\n", (double)figures.allocations / (double)(figures.cells / 2));
    } else {
      printf("%" PRIu64 "\n", figures.cells);
    }
    return 0;
  }
  fprintf(stderr, "bench-run: there is no workload \"%s\"\n", argv[1]);
  return 2;
}
