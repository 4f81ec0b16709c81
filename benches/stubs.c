/* Calls that do nothing, to find the cost of a workload without the library.
 *
 * They have a file of their own so that the compiler knows no more about them than about the library.
 */
#include "bench.h"

enum circflow_status stub_status = CIRCFLOW_OK;

static enum circflow_status stub_receive(struct circflow_engine *engine, uint64_t now, struct circflow_circuit_id leg,
                                         const struct circflow_message *message, struct circflow_verdict *out) {
  (void)engine, (void)now, (void)leg, (void)message, (void)out;
  return stub_status;
}

static enum circflow_status stub_receive_many(struct circflow_engine *engine, uint64_t now,
                                             struct circflow_arrival *arrivals, size_t count, size_t *taken) {
  (void)engine, (void)now, (void)arrivals, (void)count, (void)taken;
  return stub_status;
}

static enum circflow_status stub_next(struct circflow_engine *engine, struct circflow_set_id set, uint8_t *body,
                                      size_t cap, struct circflow_insn *out) {
  (void)engine, (void)set, (void)body, (void)cap, (void)out;
  return stub_status;
}

static enum circflow_status stub_poll(struct circflow_engine *engine, uint8_t *body, size_t cap,
                                      struct circflow_insn *out) {
  (void)engine, (void)body, (void)cap, (void)out;
  return stub_status;
}

/* Calls the function for all but one of `budget`, as the host expects one instruction less than that. */
static enum circflow_status stub_drain(struct circflow_engine *engine, size_t budget, uint8_t *more,
                                       circflow_insn_fn fn, void *userdata) {
  (void)engine, (void)more;
  for (size_t i = 1; i < budget; i++) {
    fn(userdata, NULL, NULL);
  }
  return stub_status;
}

static enum circflow_status stub_report(struct circflow_engine *engine, uint64_t now,
                                        const struct circflow_leg_report *reports, size_t count) {
  (void)engine, (void)now, (void)reports, (void)count;
  return stub_status;
}

static enum circflow_status stub_sent(struct circflow_engine *engine, uint64_t now, struct circflow_circuit_id leg,
                                      uint8_t command, uint8_t hop) {
  (void)engine, (void)now, (void)leg, (void)command, (void)hop;
  return stub_status;
}

static enum circflow_status stub_send(struct circflow_engine *engine, uint64_t now, struct circflow_set_id set,
                                      const struct circflow_message *message,
                                      const struct circflow_leg_report *reports, size_t count,
                                      struct circflow_verdict *out) {
  (void)engine, (void)now, (void)set, (void)message, (void)reports, (void)count, (void)out;
  return stub_status;
}

static enum circflow_status stub_peek(struct circflow_engine *engine, struct circflow_set_id set,
                                      struct circflow_verdict *out) {
  (void)engine, (void)set, (void)out;
  return stub_status;
}

static enum circflow_status stub_tick(struct circflow_engine *engine, uint64_t now) {
  (void)engine, (void)now;
  return stub_status;
}

static void stub_keep(const uint8_t *body, size_t len) {
  (void)body, (void)len;
}

const struct calls stub_calls = {
    stub_receive, stub_receive_many, stub_next, stub_poll, stub_drain, stub_report, stub_sent, stub_send, stub_send, stub_peek, stub_tick, stub_keep,
};
