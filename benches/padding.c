/* bench-padding WORKLOAD ROUNDS      runs it; prints nanoseconds per operation
 * bench-padding WORKLOAD-empty ROUNDS   the same loop without the library
 * bench-padding memory MACHINES      bytes of memory for each circuit
 *
 * Workloads: rearm-0, rearm-1, rearm-2, rearm-4: a cell is reported as queued on a circuit whose padder runs 0 to 4
 * machines, each of which sets its action timer again; draw-1 ..: to a random time; idle-1 ..: the machines wait for
 * another event; bystander-written, -sent: a cell on a circuit without a padder is reported, in an engine with padded
 * circuits; bystander-receive, -send: a message that comes or goes on one; expire-1, expire-4: a timer ends, its padding cell is taken, and the machine sets the next;
 * recorded-..: the same, while padding is recorded; states-..: while states of machines are recorded as well;
 * tick-1000, tick-100000: that many circuits wait, and nothing is due; deadline-1000, deadline-100000: their deadline.
 */
#include "circflow.h"
#include "padding.h"

#include <malloc.h>

enum { CIRCUITS = 100, STEP_NS = 1000 };

static struct circflow_engine *engine;
static struct circflow_circuit_id *circuits;
static uint64_t now = 1000000;

static void must(enum circflow_status status) {
  if (status != CIRCFLOW_OK) broken(circflow_status_text((int32_t)status));
}

static struct circflow_machines_id load(const char *path, unsigned machines) {
  struct circflow_machines_id id = {0};
  if (machines > 0) {
    char *text = read_machine(path, machines);
    must(circflow_machines_load(engine, text, strlen(text), &id));
    free(text);
  }
  return id;
}

static void open_circuits(unsigned count) {
  struct circflow_engine_config config;
  struct circflow_circuit_config circuit;
  must(circflow_engine_config_init(&config, sizeof config));
  config.insns_max = 1 << 24;
  must(circflow_engine_new(&config, &engine));
  must(circflow_circuit_config_init(&circuit, sizeof circuit));
  circuits = calloc(count, sizeof *circuits);
  if (circuits == NULL) broken("out of memory");
  for (unsigned i = 0; i < count; i++) must(circflow_circuit_open(engine, now, &circuit, &circuits[i]));
}

static void install(unsigned count, struct circflow_machines_id machines) {
  struct circflow_padding_config padding;
  must(circflow_padding_config_init(&padding, sizeof padding));
  padding.machines = machines;
  padding.queued_cells_max = 1000000;
  for (unsigned i = 0; i < count; i++) must(circflow_padding_install(engine, now, circuits[i], &padding));
}

static void queue_cell(struct circflow_circuit_id circuit) {
  must(circflow_circuit_cell_queued(engine, now, circuit, CIRCFLOW_CMD_DATA, 3));
}

/* Calls go through pointers, so that the empty loop has the same code. */
static enum circflow_status (*sent)(struct circflow_engine *, uint64_t, struct circflow_circuit_id, uint8_t, uint8_t);
static enum circflow_status (*written)(struct circflow_engine *, uint64_t, struct circflow_circuit_id, uint32_t);
static enum circflow_status (*message)(struct circflow_engine *, uint64_t, struct circflow_circuit_id,
                                       const struct circflow_message *, struct circflow_verdict *);
static enum circflow_status (*tick)(struct circflow_engine *, uint64_t);
static enum circflow_status (*deadline)(struct circflow_engine *, uint64_t *);

static enum circflow_status no_sent(struct circflow_engine *e, uint64_t n, struct circflow_circuit_id c, uint8_t x,
                                    uint8_t y) {
  (void)e, (void)n, (void)c, (void)x, (void)y;
  return CIRCFLOW_OK;
}
static enum circflow_status no_written(struct circflow_engine *e, uint64_t n, struct circflow_circuit_id c,
                                       uint32_t x) {
  (void)e, (void)n, (void)c, (void)x;
  return CIRCFLOW_OK;
}
static enum circflow_status no_message(struct circflow_engine *e, uint64_t n, struct circflow_circuit_id c,
                                       const struct circflow_message *m, struct circflow_verdict *out) {
  (void)e, (void)n, (void)c, (void)m, (void)out;
  return CIRCFLOW_OK;
}
static enum circflow_status no_tick(struct circflow_engine *e, uint64_t n) {
  (void)e, (void)n;
  return CIRCFLOW_OK;
}
static enum circflow_status no_deadline(struct circflow_engine *e, uint64_t *out) {
  (void)e;
  *out = 1;
  return CIRCFLOW_OK;
}

static void events(uint64_t rounds) {
  for (uint64_t i = 0; i < rounds; i++) {
    now += STEP_NS;
    must(sent(engine, now, circuits[i % CIRCUITS], CIRCFLOW_CMD_DATA, 3));
  }
}

static void tunnel_events(uint64_t rounds) {
  for (uint64_t i = 0; i < rounds; i++) {
    now += STEP_NS;
    must(written(engine, now, circuits[i % CIRCUITS], 1));
  }
}

static void messages(uint64_t rounds) {
  static uint8_t body[CIRCFLOW_BODY_MAX];
  const struct circflow_message data = {
      .command = CIRCFLOW_CMD_DATA, .hop = 3, .stream_id = 7, .body = body, .body_len = sizeof body};
  struct circflow_verdict verdict = {0};
  for (uint64_t i = 0; i < rounds; i++) {
    now += STEP_NS;
    must(message(engine, now, circuits[i % CIRCUITS], &data, &verdict));
    if (verdict.number != 0) broken("a number on a circuit that is no leg");
  }
}

static void ticks(uint64_t rounds) {
  for (uint64_t i = 0; i < rounds; i++) must(tick(engine, now += 1));
}

static void deadlines(uint64_t rounds) {
  uint64_t at = 0, sum = 0;
  for (uint64_t i = 0; i < rounds; i++) {
    must(deadline(engine, &at));
    sum |= at;
  }
  if (sum == 0) broken("no deadline");
}

/* Each machine pads ten times per millisecond without end. An operation is a padding cell. */
static void expiries(uint64_t rounds) {
  struct circflow_insn insn;
  uint64_t at, cells = 0;
  while (cells < rounds) {
    must(circflow_engine_get_deadline(engine, &at));
    must(circflow_engine_tick(engine, now = at > now ? at : now));
    for (;;) {
      must(circflow_engine_poll(engine, NULL, 0, &insn));
      if (insn.kind == CIRCFLOW_INSN_NONE) break;
      if (insn.kind != CIRCFLOW_INSN_PADDING) broken("another instruction than padding");
      cells += 1;
    }
  }
}

/* Large blocks are counted apart. */
static size_t in_use(void) { return mallinfo2().uordblks + mallinfo2().hblkhd; }

static void memory(unsigned machines) {
  enum { MANY = 10000 };
  open_circuits(0);
  const struct circflow_machines_id id = load("tests/machines/bench-rearm.txt", machines);
  free(circuits);
  must(circflow_engine_free(engine, NULL, NULL));
  open_circuits(1);
  const struct circflow_machines_id again = load("tests/machines/bench-rearm.txt", machines);
  (void)id;
  struct circflow_circuit_config circuit;
  must(circflow_circuit_config_init(&circuit, sizeof circuit));
  circuits = realloc(circuits, MANY * sizeof *circuits);
  if (circuits == NULL) broken("out of memory");
  const size_t before = in_use();
  for (unsigned i = 0; i < MANY; i++) must(circflow_circuit_open(engine, now, &circuit, &circuits[i]));
  if (machines > 0) {
    install(MANY, again);
    for (unsigned i = 0; i < MANY; i++) queue_cell(circuits[i]);
  }
  printf("%zu\n", (in_use() - before) / MANY);
}

/* What is recorded while the workload runs; the name without that. */
static const char *recorded(const char *name, uint32_t *classes) {
  *classes = 0;
  if (strncmp(name, "recorded-", 9) == 0) {
    *classes = CIRCFLOW_RECORD_PADDING;
    return name + 9;
  }
  if (strncmp(name, "states-", 7) == 0) {
    *classes = CIRCFLOW_RECORD_PADDING | CIRCFLOW_RECORD_STATES;
    return name + 7;
  }
  return name;
}

static int is(const char *name, const char *wanted) { return strncmp(name, wanted, strlen(wanted)) == 0; }

int main(int argc, char **argv) {
  if (argc != 3) broken("usage: bench-padding WORKLOAD ROUNDS");
  uint32_t classes;
  const char *name = recorded(argv[1], &classes);
  const uint64_t rounds = strtoull(argv[2], NULL, 10);
  const int empty = strstr(name, "-empty") != NULL;
  void (*run)(uint64_t) = events;
  sent = empty ? no_sent : circflow_circuit_cell_queued;
  written = empty ? no_written : circflow_circuit_cells_written;
  message = strstr(name, "receive") != NULL ? circflow_circuit_receive : circflow_circuit_send;
  if (empty) message = no_message;
  tick = empty ? no_tick : circflow_engine_tick;
  deadline = empty ? no_deadline : circflow_engine_get_deadline;
  if (is(name, "memory")) {
    memory((unsigned)rounds);
    return 0;
  }
  if (is(name, "rearm-") || is(name, "draw-") || is(name, "idle-")) {
    open_circuits(CIRCUITS);
    install(CIRCUITS, load(machine_of(name), (unsigned)atoi(strchr(name, '-') + 1)));
  } else if (is(name, "bystander")) {
    open_circuits(CIRCUITS + 1);
    circuits += CIRCUITS;
    install(1, load("tests/machines/bench-rearm.txt", 1));
    circuits -= CIRCUITS;
    run = is(name, "bystander-written") ? tunnel_events : is(name, "bystander-sent") ? events : messages;
  } else if (is(name, "tick-") || is(name, "deadline-")) {
    const unsigned count = (unsigned)atoi(strchr(name, '-') + 1);
    open_circuits(count);
    install(count, load("tests/machines/bench-rearm.txt", 1));
    for (unsigned i = 0; i < count; i++) queue_cell(circuits[i]);
    run = name[0] == 't' ? ticks : deadlines;
  } else if (is(name, "expire-")) {
    open_circuits(CIRCUITS);
    install(CIRCUITS, load("tests/machines/bench-pad.txt", (unsigned)atoi(name + 7)));
    for (unsigned i = 0; i < CIRCUITS; i++) queue_cell(circuits[i]);
    run = expiries;
  } else {
    broken("no such workload");
  }
  if (classes != 0) must(circflow_engine_record(engine, 1 << 20, classes));
  const uint64_t start = clock_now();
  run(rounds);
  printf("%.1f\n", (double)(clock_now() - start) / (double)rounds);
  return 0;
}
