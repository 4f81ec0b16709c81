/* The world of bench-scale that is measured: circflow. */
#include "padding.h"
#include "scale.h"

static struct circflow_engine *engine;
static struct set {
  struct circflow_set_id id;
  struct circflow_circuit_id legs[2];
  uint64_t received;
  uint64_t sent;
} *sets;
static struct circflow_circuit_id *circuits;
static struct circflow_circuit_config circuit_config;
static struct circflow_set_config set_config;
static struct circflow_padding_config padding_config;
static struct circflow_message message;
static uint64_t now;

static void *room(size_t count, size_t size) {
  void *block = calloc(count, size);
  check(block != NULL, "memory", 1, 0);
  return block;
}

static void library_begin(size_t count) {
  static uint8_t body[BODY_LEN];
  struct circflow_engine_config config;
  struct circflow_machines_id machines;
  sets = room(count, sizeof *sets);
  circuits = room(count, sizeof *circuits);
  ok(circflow_engine_config_init(&config, sizeof config), "config");
  /* A set has two circuits. */
  config.circuits_max = (uint32_t)(2 * count);
  config.sets_max = (uint32_t)count;
  /* Timers end in equal periods here: without rests between them. */
  config.padding_floor_ns = 0;
  ok(circflow_engine_new(&config, &engine), "engine");
  ok(circflow_circuit_config_init(&circuit_config, sizeof circuit_config), "config");
  ok(circflow_set_config_init(&set_config, sizeof set_config), "config");
  set_config.algorithm = CIRCFLOW_ALGORITHM_LOW_RTT;
  ok(circflow_padding_config_init(&padding_config, sizeof padding_config), "config");
  char *text = read_machine(machine_of("pad"), 1);
  ok(circflow_machines_load(engine, text, strlen(text), &machines), "machine");
  free(text);
  padding_config.machines = machines;
  padding_config.queued_cells_max = UINT32_MAX - 1;
  memset(&message, 0, sizeof message);
  message.command = CIRCFLOW_CMD_DATA;
  message.hop = 3;
  message.stream_id = 7;
  message.body = body;
  message.body_len = sizeof body;
  now = PERIOD_NS;
}

static void library_end(void) {
  ok(circflow_engine_free(engine, NULL, NULL), "free");
  free(sets);
  free(circuits);
}

static inline void take(uint32_t kind, struct circflow_insn *insn) {
  ok(circflow_engine_poll(engine, NULL, 0, insn), "poll");
  is(kind, insn->kind, "instruction");
}

OPERATION static void library_circuit_open(size_t number) {
  circuit_config.tag = number + 1;
  ok(circflow_circuit_open(engine, now, &circuit_config, &circuits[number]), "a circuit opens");
}

OPERATION static void library_circuit_close(size_t number) {
  struct circflow_insn insn;
  ok(circflow_circuit_close(engine, now, circuits[number]), "a circuit closes");
  take(CIRCFLOW_INSN_CLOSE, &insn);
  is(number + 1, insn.circuit_tag, "the circuit that closes");
  ok(circflow_circuit_gone(engine, now, circuits[number]), "a circuit is gone");
}

OPERATION static void library_set_open(size_t number) {
  struct set *set = &sets[number];
  set_config.tag = number + 1;
  memcpy(set_config.nonce, &set_config.tag, sizeof set_config.tag);
  ok(circflow_set_open(engine, now, &set_config, &set->id), "a set opens");
  for (int leg = 0; leg < 2; leg++) {
    circuit_config.tag = 2 * number + (size_t)leg + 1;
    ok(circflow_circuit_open(engine, now, &circuit_config, &set->legs[leg]), "a leg opens");
    ok(circflow_set_adopt_leg(engine, now, set->id, set->legs[leg], CIRCFLOW_UX_HIGH_THROUGHPUT, 0), "a leg is linked");
  }
  set->received = set->sent = 0;
}

OPERATION static void library_set_close(size_t number) {
  struct circflow_insn insn;
  const struct set *set = &sets[number];
  ok(circflow_set_close(engine, now, set->id), "a set closes");
  take(CIRCFLOW_INSN_CLOSE, &insn);
  take(CIRCFLOW_INSN_CLOSE, &insn);
  take(CIRCFLOW_INSN_ENDED, &insn);
  is(number + 1, insn.set_tag, "the set that ends");
  for (int leg = 0; leg < 2; leg++) ok(circflow_circuit_gone(engine, now, set->legs[leg]), "a leg is gone");
}

static void library_set_report(size_t number) {
  struct circflow_leg_report reports[2] = {
      {sets[number].legs[0], 1 << 24, 0, 10000000, 31, 0},
      {sets[number].legs[1], 1 << 24, 0, 50000000, 31, 0},
  };
  ok(circflow_leg_update(engine, now, reports, 2), "a report");
}

static inline void right(struct circflow_verdict *verdict, const struct set *set, uint32_t kind, uint64_t place) {
  is(kind, verdict->kind, "verdict");
  is(place, verdict->number, "number");
  is(set->legs[0].v, verdict->circuit.v, "leg");
  is(0, verdict->switch_delta, "switch");
}

OPERATION static void library_cell_in(size_t number) {
  struct circflow_verdict verdict;
  struct set *set = &sets[number];
  now += 1000;
  ok(circflow_circuit_receive(engine, now, set->legs[0], &message, &verdict), "a cell comes");
  right(&verdict, set, CIRCFLOW_VERDICT_DELIVER, ++set->received);
}

OPERATION static void library_cell_out(size_t number) {
  struct circflow_verdict verdict;
  struct set *set = &sets[number];
  now += 1000;
  ok(circflow_set_send(engine, now, set->id, &message, NULL, 0, &verdict), "a cell goes");
  right(&verdict, set, CIRCFLOW_VERDICT_SEND, ++set->sent);
}

static void library_timer_open(size_t number, uint64_t at) {
  now = at;
  library_circuit_open(number);
  ok(circflow_padding_install(engine, now, circuits[number], &padding_config), "a padder");
  ok(circflow_circuit_cell_queued(engine, now, circuits[number], CIRCFLOW_CMD_DATA, 3), "a first cell");
}

OPERATION static void library_tick_idle(uint64_t at) {
  ok(circflow_engine_tick(engine, at), "a tick");
}

OPERATION static uint64_t library_tick_due(uint64_t at) {
  struct circflow_insn insn;
  uint64_t ended = 0;
  ok(circflow_engine_tick(engine, at), "a tick");
  for (;;) {
    ok(circflow_engine_poll(engine, NULL, 0, &insn), "poll");
    if (insn.kind == CIRCFLOW_INSN_NONE) {
      uint64_t deadline;
      ok(circflow_engine_get_deadline(engine, &deadline), "deadline");
      if (deadline > at) return ended;
      ok(circflow_engine_tick(engine, at), "another tick, as there was much to do");
      continue;
    }
    is(CIRCFLOW_INSN_PADDING, insn.kind, "instruction");
    ended += 1;
  }
}

static void library_settle(void) {
  struct circflow_insn insn;
  uint64_t deadline = 0;
  while (deadline <= now) {
    ok(circflow_engine_tick(engine, now), "a tick");
    take(CIRCFLOW_INSN_NONE, &insn);
    ok(circflow_engine_get_deadline(engine, &deadline), "deadline");
  }
}

OPERATION static void library_trim(void) {
  ok(circflow_engine_trim(engine, NULL), "trim");
}

static struct circflow_engine_stats stats(void) {
  struct circflow_engine_stats stats = {.size = sizeof stats};
  ok(circflow_engine_get_stats(engine, &stats), "figures");
  return stats;
}

static uint64_t library_circuits(void) {
  return stats().circuits;
}

static uint64_t library_sets(void) {
  return stats().sets;
}

const struct world library_world = {
    "library",          library_begin,     library_end,       library_circuit_open, library_circuit_close,
    library_set_open,   library_set_close, library_set_report, library_cell_in,     library_cell_out,
    library_timer_open, library_tick_idle, library_tick_due,  library_settle,       library_trim,
    library_circuits,   library_sets,
};
