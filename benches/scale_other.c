/* The other world of bench-scale: the peer. */
#include "scale.h"
#include "scale_peer.h"
#include <stdlib.h>
#include <string.h>

static struct peer *peer;
static struct set {
  uint64_t id;
  uint64_t legs[2];
  uint64_t received;
  uint64_t sent;
} *sets;
static uint64_t *circuits;

static void other_begin(size_t count) {
  sets = calloc(count, sizeof *sets);
  circuits = calloc(count, sizeof *circuits);
  peer = peer_new();
  check(sets != NULL && circuits != NULL && peer != NULL, "memory", 1, 0);
}

static void other_end(void) {
  peer_free(peer);
  free(sets);
  free(circuits);
}

OPERATION static void other_circuit_open(size_t number) {
  circuits[number] = peer_circuit_open(peer, number + 1);
  check(circuits[number] != 0, "a circuit opens", 1, 0);
}

OPERATION static void other_circuit_close(size_t number) {
  is(true, peer_circuit_close(peer, circuits[number]), "a circuit closes");
}

OPERATION static void other_set_open(size_t number) {
  struct set *set = &sets[number];
  uint8_t nonce[32] = {0};
  memcpy(nonce, &number, sizeof number);
  set->id = peer_set_open(peer, number + 1, nonce);
  for (int leg = 0; leg < 2; leg++) {
    set->legs[leg] = peer_circuit_open(peer, 2 * number + (size_t)leg + 1);
    is(true, peer_set_add(peer, set->id, set->legs[leg]), "a leg is linked");
  }
  set->received = set->sent = 0;
}

OPERATION static void other_set_close(size_t number) {
  is(true, peer_set_close(peer, sets[number].id), "a set closes");
}

static void other_set_report(size_t number) {
  is(true, peer_leg_update(peer, sets[number].legs[0], 1 << 24, 10000000), "a report");
  is(true, peer_leg_update(peer, sets[number].legs[1], 1 << 24, 50000000), "a report");
}

OPERATION static void other_cell_in(size_t number) {
  struct set *set = &sets[number];
  is(++set->received, peer_receive(peer, set->legs[0]), "number");
}

OPERATION static void other_cell_out(size_t number) {
  struct set *set = &sets[number];
  uint64_t leg = 0;
  is(++set->sent, peer_send(peer, set->id, &leg), "number");
  is(set->legs[0], leg, "leg");
}

static void other_timer_open(size_t number, uint64_t now) {
  other_circuit_open(number);
  is(true, peer_timer_start(peer, now, circuits[number], PERIOD_NS / 1000), "a timer");
}

OPERATION static void other_tick_idle(uint64_t now) {
  is(0, peer_tick(peer, now), "timers that end early");
}

OPERATION static uint64_t other_tick_due(uint64_t now) {
  return peer_tick(peer, now);
}

static void other_settle(void) {
}

OPERATION static void other_trim(void) {
  is(true, peer_trim(peer), "trim");
}

static uint64_t other_circuits(void) {
  return peer_circuits(peer);
}

static uint64_t other_sets(void) {
  return peer_sets(peer);
}

const struct world peer_world = {
    "peer",           other_begin,     other_end,      other_circuit_open, other_circuit_close, other_set_open,
    other_set_close,  other_set_report, other_cell_in, other_cell_out,     other_timer_open,    other_tick_idle,
    other_tick_due,   other_settle,    other_trim,     other_circuits,     other_sets,
};
