#include "scale_peer.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A hash table of things that begin with a node. */
struct node {
  struct node *next;
  uint64_t id;
};

struct table {
  struct node **rows;
  size_t count;
  unsigned bits;
};

enum { LEGS = 4, BITS_MIN = 4 };

struct set;

struct circuit {
  struct node node;
  uint64_t tag;
  uint64_t join_point;
  struct set *set;
  struct event *timer;
  struct peer *peer;
  uint64_t period_us;
  /* As a leg. */
  uint64_t cwnd;
  uint64_t inflight;
  uint64_t rtt_ns;
  uint64_t sent;
  uint64_t received;
  uint32_t flags;
  uint8_t role;
  uint8_t hops;
};

struct set {
  struct node node;
  uint64_t tag;
  uint8_t nonce[32];
  struct circuit *legs[LEGS];
  size_t leg_count;
  struct circuit *sending;
  uint64_t sent;
  uint64_t delivered;
};

struct peer {
  struct table circuits;
  struct table sets;
  uint64_t last_id;
  struct event_base *base;
  uint64_t ended;
};

/* libevent asks for the time here, so that both worlds have the same one. 0: the real time. */
static uint64_t pretended_ns;

int clock_gettime(clockid_t clock, struct timespec *out) {
  if (pretended_ns == 0) {
    return (int)syscall(SYS_clock_gettime, clock, out);
  }
  out->tv_sec = (time_t)(pretended_ns / 1000000000);
  out->tv_nsec = (long)(pretended_ns % 1000000000);
  return 0;
}

static size_t row_of(const struct table *table, uint64_t id) {
  return (size_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - table->bits));
}

static bool resize(struct table *table, unsigned bits) {
  struct table other = {calloc((size_t)1 << bits, sizeof *other.rows), table->count, bits};
  if (other.rows == NULL) return false;
  size_t rows = table->rows == NULL ? 0 : (size_t)1 << table->bits;
  for (size_t row = 0; row < rows; row++) {
    struct node *next;
    for (struct node *node = table->rows[row]; node != NULL; node = next) {
      next = node->next;
      struct node **to = &other.rows[row_of(&other, node->id)];
      node->next = *to;
      *to = node;
    }
  }
  free(table->rows);
  *table = other;
  return true;
}

static bool insert(struct table *table, struct node *node) {
  if (table->rows == NULL || table->count >> table->bits != 0) {
    if (!resize(table, table->rows == NULL ? BITS_MIN : table->bits + 1)) return false;
  }
  struct node **to = &table->rows[row_of(table, node->id)];
  node->next = *to;
  *to = node;
  table->count += 1;
  return true;
}

static void *find(const struct table *table, uint64_t id) {
  if (table->rows == NULL) return NULL;
  struct node *node = table->rows[row_of(table, id)];
  while (node != NULL && node->id != id) node = node->next;
  return node;
}

static void *take_out(struct table *table, uint64_t id) {
  if (table->rows == NULL) return NULL;
  for (struct node **at = &table->rows[row_of(table, id)]; *at != NULL; at = &(*at)->next) {
    struct node *node = *at;
    if (node->id == id) {
      *at = node->next;
      table->count -= 1;
      return node;
    }
  }
  return NULL;
}

struct peer *peer_new(void) {
  return calloc(1, sizeof(struct peer));
}

static void circuit_free(struct circuit *circuit) {
  if (circuit->timer != NULL) event_free(circuit->timer);
  free(circuit);
}

void peer_free(struct peer *peer) {
  struct table *tables[] = {&peer->sets, &peer->circuits};
  for (int i = 0; i < 2; i++) {
    size_t rows = tables[i]->rows == NULL ? 0 : (size_t)1 << tables[i]->bits;
    for (size_t row = 0; row < rows; row++) {
      struct node *next;
      for (struct node *node = tables[i]->rows[row]; node != NULL; node = next) {
        next = node->next;
        if (i == 1) circuit_free((struct circuit *)node);
        else free(node);
      }
    }
    free(tables[i]->rows);
  }
  if (peer->base != NULL) event_base_free(peer->base);
  free(peer);
}

uint64_t peer_circuit_open(struct peer *peer, uint64_t tag) {
  struct circuit *circuit = calloc(1, sizeof *circuit);
  if (circuit == NULL) return 0;
  circuit->node.id = ++peer->last_id;
  circuit->tag = tag;
  circuit->peer = peer;
  circuit->hops = 3;
  if (!insert(&peer->circuits, &circuit->node)) {
    free(circuit);
    return 0;
  }
  return circuit->node.id;
}

bool peer_circuit_close(struct peer *peer, uint64_t id) {
  struct circuit *circuit = take_out(&peer->circuits, id);
  if (circuit == NULL) return false;
  circuit_free(circuit);
  return true;
}

uint64_t peer_set_open(struct peer *peer, uint64_t tag, const uint8_t nonce[32]) {
  struct set *set = calloc(1, sizeof *set);
  if (set == NULL) return 0;
  set->node.id = ++peer->last_id;
  set->tag = tag;
  memcpy(set->nonce, nonce, sizeof set->nonce);
  if (!insert(&peer->sets, &set->node)) {
    free(set);
    return 0;
  }
  return set->node.id;
}

bool peer_set_add(struct peer *peer, uint64_t id, uint64_t circuit_id) {
  struct set *set = find(&peer->sets, id);
  struct circuit *circuit = find(&peer->circuits, circuit_id);
  if (set == NULL || circuit == NULL || circuit->set != NULL || set->leg_count == LEGS) return false;
  set->legs[set->leg_count++] = circuit;
  circuit->set = set;
  return true;
}

bool peer_set_close(struct peer *peer, uint64_t id) {
  struct set *set = take_out(&peer->sets, id);
  if (set == NULL) return false;
  for (size_t leg = 0; leg < set->leg_count; leg++) peer_circuit_close(peer, set->legs[leg]->node.id);
  free(set);
  return true;
}

bool peer_leg_update(struct peer *peer, uint64_t id, uint64_t cwnd, uint64_t rtt_ns) {
  struct circuit *circuit = find(&peer->circuits, id);
  if (circuit == NULL) return false;
  circuit->cwnd = cwnd;
  circuit->inflight = 0;
  circuit->rtt_ns = rtt_ns;
  return true;
}

uint64_t peer_receive(struct peer *peer, uint64_t id) {
  struct circuit *circuit = find(&peer->circuits, id);
  if (circuit == NULL || circuit->set == NULL) return 0;
  struct set *set = circuit->set;
  uint64_t number = ++circuit->received;
  if (number != set->delivered + 1) return 0;
  return set->delivered = number;
}

uint64_t peer_send(struct peer *peer, uint64_t id, uint64_t *circuit_out) {
  struct set *set = find(&peer->sets, id);
  if (set == NULL) return 0;
  struct circuit *best = NULL;
  for (size_t i = 0; i < set->leg_count; i++) {
    struct circuit *leg = set->legs[i];
    if (leg->inflight < leg->cwnd && (best == NULL || leg->rtt_ns < best->rtt_ns)) best = leg;
  }
  if (best == NULL) return 0;
  set->sending = best;
  best->inflight += 1;
  best->sent = ++set->sent;
  *circuit_out = best->node.id;
  return best->sent;
}

static bool arm(struct circuit *circuit) {
  struct timeval after = {(time_t)(circuit->period_us / 1000000), (suseconds_t)(circuit->period_us % 1000000)};
  return evtimer_add(circuit->timer, &after) == 0;
}

static void ended(evutil_socket_t socket, short what, void *userdata) {
  (void)socket, (void)what;
  struct circuit *circuit = userdata;
  circuit->inflight += 1;
  circuit->peer->ended += arm(circuit);
}

bool peer_timer_start(struct peer *peer, uint64_t now_ns, uint64_t id, uint64_t period_us) {
  struct circuit *circuit = find(&peer->circuits, id);
  if (circuit == NULL) return false;
  pretended_ns = now_ns;
  if (peer->base == NULL) peer->base = event_base_new();
  circuit->period_us = period_us;
  circuit->timer = peer->base == NULL ? NULL : evtimer_new(peer->base, ended, circuit);
  bool started = circuit->timer != NULL && arm(circuit);
  pretended_ns = 0;
  return started;
}

uint64_t peer_tick(struct peer *peer, uint64_t now_ns) {
  peer->ended = 0;
  pretended_ns = now_ns;
  event_base_loop(peer->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
  pretended_ns = 0;
  return peer->ended;
}

bool peer_trim(struct peer *peer) {
  struct table *tables[] = {&peer->sets, &peer->circuits};
  for (int i = 0; i < 2; i++) {
    unsigned bits = BITS_MIN;
    while (tables[i]->count >> bits != 0) bits += 1;
    if (!resize(tables[i], bits)) return false;
  }
  return true;
}

size_t peer_circuits(const struct peer *peer) {
  return peer->circuits.count;
}

size_t peer_sets(const struct peer *peer) {
  return peer->sets.count;
}
