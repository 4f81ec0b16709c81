/* A random generator that is the same in every run: xorshift64*, as in benches/timers.rs. */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stdint.h>

__extension__ typedef unsigned __int128 wide;

static uint64_t random_state = 1;

/* A number from 0 to bound - 1. */
static inline uint64_t below(uint64_t bound) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return (uint64_t)(((wide)(random_state * UINT64_C(0x2545f4914f6cdd1d)) * bound) >> 64);
}

#endif
