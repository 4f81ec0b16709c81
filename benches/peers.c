/* Peers: other ways to do the same work, to compare with.
 *
 * `ring` copies each body into the next place of a ring, and does nothing else: the lowest cost of a copy.
 * `heap` is a usual reordering receiver: a binary heap ordered by number, a malloc and a copy
 * for each message that has to wait. It does not check for faults of the other end.
 * `queue` is a usual queue of cells in a relay: a linked list, a malloc and a copy for each cell. It
 * has no caps and no back pressure.
 */
#include "bench.h"
#include <stdlib.h>
#include <string.h>

enum { RING = 1024, PLACE = 512 };

static uint8_t ring[RING][PLACE];
static size_t ring_at;

static void peer_keep(const uint8_t *body, size_t len) {
  memcpy(ring[ring_at], body, len);
  ring_at = (ring_at + 1) % RING;
}

const struct calls peer_ring_calls = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, peer_keep};

struct node {
  struct circflow_circuit_id leg;
  uint16_t stream_id;
  uint16_t body_len;
  uint8_t command;
  uint8_t body[];
};

struct entry {
  uint64_t number;
  struct node *node;
};

static struct {
  struct entry *entries;
  size_t count;
  size_t cap;
  uint64_t delivered;
  uint64_t received[LEGS_MAX + 1];
} heap;

static void heap_push(struct entry entry) {
  if (heap.count == heap.cap) {
    heap.cap = heap.cap == 0 ? 64 : heap.cap * 2;
    heap.entries = realloc(heap.entries, heap.cap * sizeof *heap.entries);
    if (heap.entries == NULL) {
      abort();
    }
  }
  size_t at = heap.count++;
  while (at > 0 && heap.entries[(at - 1) / 2].number > entry.number) {
    heap.entries[at] = heap.entries[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap.entries[at] = entry;
}

static struct entry heap_pop(void) {
  struct entry first = heap.entries[0];
  struct entry last = heap.entries[--heap.count];
  size_t at = 0;
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= heap.count) {
      break;
    }
    if (child + 1 < heap.count && heap.entries[child + 1].number < heap.entries[child].number) {
      child += 1;
    }
    if (heap.entries[child].number >= last.number) {
      break;
    }
    heap.entries[at] = heap.entries[child];
    at = child;
  }
  heap.entries[at] = last;
  return first;
}

static enum circflow_status peer_receive(struct circflow_engine *engine, uint64_t now, struct circflow_circuit_id leg,
                                         const struct circflow_message *message, struct circflow_verdict *out) {
  (void)engine, (void)now;
  out->circuit = leg;
  out->switch_delta = 0;
  out->end_reason = 0;
  if (message->command == CIRCFLOW_CMD_SWITCH) {
    const uint8_t *b = message->body;
    heap.received[leg.v] += (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    out->kind = CIRCFLOW_VERDICT_CONSUMED;
    out->number = 0;
    return CIRCFLOW_OK;
  }
  uint64_t number = ++heap.received[leg.v];
  out->number = number;
  if (number == heap.delivered + 1) {
    heap.delivered = number;
    out->kind = CIRCFLOW_VERDICT_DELIVER;
    return CIRCFLOW_OK;
  }
  struct entry entry = {number, malloc(sizeof *entry.node + message->body_len)};
  if (entry.node == NULL) {
    abort();
  }
  entry.node->leg = leg;
  entry.node->stream_id = message->stream_id;
  entry.node->body_len = message->body_len;
  entry.node->command = message->command;
  memcpy(entry.node->body, message->body, message->body_len);
  heap_push(entry);
  out->kind = CIRCFLOW_VERDICT_HELD;
  return CIRCFLOW_OK;
}

static enum circflow_status peer_next(struct circflow_engine *engine, struct circflow_set_id set, uint8_t *body,
                                      size_t cap, struct circflow_insn *out) {
  (void)engine;
  if (heap.count == 0 || heap.entries[0].number != heap.delivered + 1) {
    out->kind = CIRCFLOW_INSN_NONE;
    return CIRCFLOW_OK;
  }
  if (heap.entries[0].node->body_len > cap) {
    return CIRCFLOW_ERR_TOO_SMALL;
  }
  struct entry entry = heap_pop();
  heap.delivered = entry.number;
  out->kind = CIRCFLOW_INSN_DELIVER;
  out->circuit = entry.node->leg;
  out->set = set;
  out->detail.deliver.number = entry.number;
  out->detail.deliver.stream_id = entry.node->stream_id;
  out->detail.deliver.body_len = entry.node->body_len;
  out->detail.deliver.command = entry.node->command;
  out->detail.deliver.form = CIRCFLOW_FORM_BYTES;
  memcpy(body, entry.node->body, entry.node->body_len);
  free(entry.node);
  return CIRCFLOW_OK;
}

const struct calls peer_heap_calls = {peer_receive, NULL, peer_next, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};

struct cell {
  struct cell *next;
  uint8_t body[];
};

static struct cell *queue_first, **queue_end = &queue_first;

void peer_queue_put(const uint8_t *body, size_t len) {
  struct cell *cell = malloc(sizeof *cell + len);
  if (cell == NULL) {
    abort();
  }
  memcpy(cell->body, body, len);
  cell->next = NULL;
  *queue_end = cell;
  queue_end = &cell->next;
}

bool peer_queue_take(uint8_t *out, size_t len) {
  struct cell *cell = queue_first;
  if (cell == NULL) {
    return false;
  }
  queue_first = cell->next;
  if (queue_first == NULL) {
    queue_end = &queue_first;
  }
  memcpy(out, cell->body, len);
  free(cell);
  return true;
}

void forget_peers(void) {
  while (heap.count > 0) {
    free(heap.entries[--heap.count].node);
  }
  free(heap.entries);
  memset(&heap, 0, sizeof heap);
  ring_at = 0;
}
