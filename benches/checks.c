/* What every bench needs: a clock, and an end at the first wrong result. */
#include "bench.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *bench_name = "bench";

void fail(const char *what, uint64_t expected, uint64_t found) {
  fprintf(stderr, "%s: FAILED: %s: expected %" PRIu64 ", found %" PRIu64 "\n", bench_name, what, expected, found);
  exit(1);
}

uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}
