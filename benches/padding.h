/* Common to the padding benches: each is a loop of `rounds` equal operations, so that the difference of
 * two lengths, minus that of the empty loop, is the cost of an operation.
 */
#ifndef BENCH_PADDING_H
#define BENCH_PADDING_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline void broken(const char *what) {
  fprintf(stderr, "bench: FAILED: %s\n", what);
  exit(1);
}

static inline uint64_t clock_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The first line of a file, `copies` times. */
static inline char *read_machine(const char *path, unsigned copies) {
  static char line[1 << 16];
  FILE *file = fopen(path, "r");
  if (file == NULL || fgets(line, sizeof line, file) == NULL) broken(path);
  fclose(file);
  char *text = calloc(copies + 1, sizeof line);
  if (text == NULL) broken("out of memory");
  while (copies-- > 0) strcat(text, line);
  return text;
}

/* The machine of a workload: tests/machines/bench-WORKLOAD.txt, without what follows the first '-'. */
static inline const char *machine_of(const char *workload) {
  static char path[100];
  snprintf(path, sizeof path, "tests/machines/bench-%.*s.txt", (int)strcspn(workload, "-"), workload);
  return path;
}

#endif
