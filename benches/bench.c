/* bench list                    the workloads, a line each: name|prefix of functions|depth|aim|aim as text|title
 * bench WORKLOAD real N         runs N cells, rounded up to whole rounds: prints cells and hash
 * bench WORKLOAD empty N        the same loop over stubs
 * bench WORKLOAD time N         runs both several times: net nanoseconds per cell, median
 * bench WORKLOAD count N        allocations and bytes per cell in the second half; bytes kept per held cell
 * bench WORKLOAD verify N       strict: out-parameters start as rubbish, whole bodies are filled and compared
 *
 * BENCH_ALGORITHM is how sets choose their legs, a CIRCFLOW_ALGORITHM_*. LowRTT without it, as the peers do.
 *
 * Ends with status 1 at the first wrong result: a status, a verdict, the order, a body, the hash, the count.
 */
#include "bench.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMED_RUNS = 15 };

static void must(enum circflow_status status) {
  if (status != CIRCFLOW_OK) {
    fprintf(stderr, "%s: set-up: %s\n", bench_name, circflow_status_text(status));
    exit(1);
  }
}

/* An engine with one set of linked legs. */
static void set_up(struct bench *b, const struct workload *w) {
  struct circflow_engine_config engine;
  struct circflow_circuit_config circuit;
  struct circflow_set_config set;
  struct circflow_insn insn;
  must(circflow_engine_config_init(&engine, sizeof engine));
  must(circflow_circuit_config_init(&circuit, sizeof circuit));
  must(circflow_set_config_init(&set, sizeof set));
  const char *algorithm = getenv("BENCH_ALGORITHM");
  set.algorithm = algorithm != NULL ? (uint8_t)strtoul(algorithm, NULL, 10) : CIRCFLOW_ALGORITHM_LOW_RTT;
  must(circflow_engine_new(&engine, &b->engine));
  must(circflow_set_open(b->engine, b->now, &set, &b->set));
  for (unsigned leg = 0; leg < w->legs; leg++) {
    must(circflow_circuit_open(b->engine, b->now, &circuit, &b->legs[leg]));
    must(circflow_set_adopt_leg(b->engine, b->now, b->set, b->legs[leg], CIRCFLOW_UX_HIGH_THROUGHPUT, 0));
  }
  do {
    must(circflow_engine_poll(b->engine, b->out, sizeof b->out, &insn));
  } while (insn.kind != CIRCFLOW_INSN_NONE);
  if (w->records || getenv("BENCH_RECORD")) {
    must(circflow_engine_record(b->engine, 1 << 16, CIRCFLOW_RECORD_ALL));
  }
}

static void run(struct bench *b, const struct workload *w, const struct calls *calls) {
  b->calls = calls;
  b->now = 1000;
  b->delivered = 0;
  b->hash = 0;
  if (calls == &library_calls) {
    set_up(b, w);
  } else {
    forget_peers();
    for (unsigned leg = 0; leg < w->legs; leg++) {
      b->legs[leg].v = leg + 1;
    }
  }
  memset(&b->message, 0, sizeof b->message);
  b->message.command = CIRCFLOW_CMD_DATA;
  b->message.hop = 3;
  b->message.stream_id = 7;
  b->switching = b->message;
  b->switching.command = CIRCFLOW_CMD_SWITCH;
  b->switching.stream_id = 0;
  b->switching.body = b->switch_body;
  b->switching.body_len = sizeof b->switch_body;
  if (w->tokens) {
    b->message.form = CIRCFLOW_FORM_TOKEN;
    b->message.cost_bytes = 560;
  } else {
    b->message.body = b->body;
    b->message.body_len = BODY_LEN;
  }
  w->run(b, w);
  if (calls == &library_calls) {
    circflow_engine_free(b->engine, NULL, NULL);
    b->engine = NULL;
  }
  if (b->delivered != b->cells) {
    fail("count", b->cells, b->delivered);
  }
  if (b->hash != expected_hash(b->cells)) {
    fail("hash", expected_hash(b->cells), b->hash);
  }
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static double per_cell(const struct bench *b, double figure) {
  return b->counted_cells == 0 ? 0 : figure / (double)b->counted_cells;
}

static void time_it(struct bench *b, const struct workload *w) {
  double real[TIMED_RUNS];
  double empty[TIMED_RUNS];
  /* By turns, so that other load on the machine slows both alike. */
  for (int i = 0; i < TIMED_RUNS; i++) {
    run(b, w, w->calls);
    real[i] = per_cell(b, (double)b->ns);
    run(b, w, &stub_calls);
    empty[i] = per_cell(b, (double)b->ns);
  }
  qsort(real, TIMED_RUNS, sizeof *real, by_size);
  qsort(empty, TIMED_RUNS, sizeof *empty, by_size);
  printf("%.2f %.2f %.2f\n", real[TIMED_RUNS / 2] - empty[TIMED_RUNS / 2], real[TIMED_RUNS / 2],
         empty[TIMED_RUNS / 2]);
}

int main(int argc, char **argv) {
  static struct bench b;
  if (argc == 2 && strcmp(argv[1], "list") == 0) {
    for (size_t i = 0; i < workload_count; i++) {
      const struct workload *w = &workloads[i];
      printf("%s|%s|%" PRIu32 "|%u|%s|%s\n", w->name, w->measured, w->depth, w->aim, w->aim_text, w->title);
    }
    return 0;
  }
  const struct workload *w = NULL;
  for (size_t i = 0; i < workload_count && argc == 4; i++) {
    if (strcmp(workloads[i].name, argv[1]) == 0) {
      w = &workloads[i];
    }
  }
  if (w == NULL || strtoull(argv[3], NULL, 10) == 0) {
    fprintf(stderr, "usage: bench list | bench WORKLOAD real|empty|time|count|verify CELLS\n");
    return 2;
  }
  bench_name = w->name;
  const char *mode = argv[2];
  b.cells = strtoull(argv[3], NULL, 10);
  if (w->arrivals != NULL) {
    b.trace = w->arrivals(w, b.cells);
    b.cells = b.trace.cells;
  }
  b.strict = strcmp(mode, "verify") == 0;
  if (strcmp(mode, "time") == 0) {
    time_it(&b, w);
  } else if (strcmp(mode, "count") == 0) {
    if (!allocations_are_counted()) {
      fprintf(stderr, "bench: this program does not count allocations\n");
      return 2;
    }
    run(&b, w, w->calls);
    printf("%.4f %.2f %.2f\n", per_cell(&b, (double)b.steady.calls), per_cell(&b, (double)b.steady.bytes),
           w->depth == 0 ? 0 : (double)b.kept_bytes / w->depth);
  } else {
    run(&b, w, strcmp(mode, "empty") == 0 ? &stub_calls : w->calls);
    printf("%" PRIu64 " %016" PRIx64 "\n", b.cells, b.hash);
  }
  forget_peers();
  free(b.trace.events);
  return 0;
}
