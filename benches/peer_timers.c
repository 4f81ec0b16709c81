/* bench-libevent WORKLOAD[-empty] ARMED ROUNDS: libevent's timers under the load of bench-timers, to compare. */
#include "padding.h"
#include "random.h"

#include <event2/event.h>

#define HORIZON_US UINT64_C(10000000)

static void ended(evutil_socket_t fd, short what, void *arg) { (void)fd, (void)what, (void)arg; }

int main(int argc, char **argv) {
  if (argc != 4) broken("usage: bench-libevent later|random ARMED ROUNDS");
  const uint64_t armed = strtoull(argv[2], NULL, 10), rounds = strtoull(argv[3], NULL, 10);
  const int empty = strstr(argv[1], "-empty") != NULL;
  struct event_base *base = event_base_new();
  struct event **timers = calloc(armed, sizeof *timers);
  if (base == NULL || timers == NULL) broken("out of memory");
  for (uint64_t i = 0; i < armed; i++) {
    const uint64_t us = 1000000000 + below(HORIZON_US);
    const struct timeval at = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    timers[i] = evtimer_new(base, ended, NULL);
    evtimer_add(timers[i], &at);
  }
  const int later = strncmp(argv[1], "later", 5) == 0;
  const uint64_t start = clock_now();
  for (uint64_t i = 0; i < rounds; i++) {
    struct event *timer = timers[below(armed)];
    const uint64_t us = later ? 2000000000 + i : 1000000000 + below(HORIZON_US);
    const struct timeval at = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    if (!empty) evtimer_add(timer, &at);
  }
  printf("%.1f\n", (double)(clock_now() - start) / (double)rounds);
  return 0;
}
