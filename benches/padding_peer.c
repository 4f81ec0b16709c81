/* bench-maybenot rearm-N|draw-N|idle-N ROUNDS: the same machines as bench-padding's, through maybenot's own C interface. The actions
 * are returned to the caller, which would still have to run the timers, the block and the table.
 */
#include "padding.h"

enum { CIRCUITS = 100, ACTIONS_MAX = 4, NORMAL_SENT = 3 };

/* As in maybenot.h 2.2.2. */
struct event {
  uint32_t event_type;
  uintptr_t machine;
};
struct action {
  uint64_t words[8]; /* At least as long as the largest action. */
};
uint32_t maybenot_start(const char *machines, double padding, double blocking, void **out);
uint32_t maybenot_on_events(void *framework, const struct event *events, uintptr_t count, struct action *actions,
                            uintptr_t *actions_out);

static uint32_t (*on_events)(void *, const struct event *, uintptr_t, struct action *, uintptr_t *);

static uint32_t nothing(void *framework, const struct event *events, uintptr_t count, struct action *actions,
                        uintptr_t *actions_out) {
  (void)framework, (void)events, (void)count, (void)actions;
  *actions_out = 0;
  return 0;
}

int main(int argc, char **argv) {
  static void *frameworks[CIRCUITS];
  static struct action actions[ACTIONS_MAX];
  if (argc != 3) broken("usage: bench-maybenot rearm-N|draw-N|idle-N ROUNDS");
  if (strchr(argv[1], '-') == NULL) broken("no such workload");
  const unsigned machines = (unsigned)atoi(strchr(argv[1], '-') + 1);
  const uint64_t rounds = strtoull(argv[2], NULL, 10);
  char *text = read_machine(machine_of(argv[1]), machines);
  if (machines > 0) text[strlen(text) - 1] = '\0'; /* maybenot takes no LF at the end. */
  for (int i = 0; i < CIRCUITS; i++)
    if (maybenot_start(text, 0, 0, &frameworks[i]) != 0) broken("maybenot_start");
  on_events = strstr(argv[1], "-empty") != NULL ? nothing : maybenot_on_events;
  const struct event event = {NORMAL_SENT, 0};
  uintptr_t count, sum = 0;
  const uint64_t start = clock_now();
  for (uint64_t i = 0; i < rounds; i++) {
    if (on_events(frameworks[i % CIRCUITS], &event, 1, actions, &count) != 0) broken("maybenot_on_events");
    sum += count;
  }
  const uint64_t each = strncmp(argv[1], "idle", 4) == 0 ? 0 : machines;
  if (on_events == maybenot_on_events && sum != rounds * each) broken("not one action for each machine");
  printf("%.1f\n", (double)(clock_now() - start) / (double)rounds);
  return 0;
}
