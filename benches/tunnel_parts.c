/* The parts of a tunnel. */
#include "tunnel_parts.h"
#include <string.h>

enum { HEADER = 11 };

/* Not inlined, so that calls are counted for their part. */
#define WITHIN static inline __attribute__((always_inline))

__thread uint64_t tunnel_now;

/* Rings. */

static inline struct cell *place(struct ring *ring) {
  /* One less than the ring has, as the reader may still look at the cell that it has just taken. */
  if (__builtin_expect(ring->in.tail - ring->in.head_seen >= RING - 1, 0)) {
    ring->in.head_seen = __atomic_load_n(&ring->out.head, __ATOMIC_ACQUIRE);
    check(ring->in.tail - ring->in.head_seen < RING - 1, "room in a ring", RING, ring->in.tail - ring->in.head_seen);
  }
  return &ring->cells[ring->in.tail % RING];
}

static inline void placed(struct ring *ring) {
  __atomic_store_n(&ring->in.tail, ring->in.tail + 1, __ATOMIC_RELEASE);
}

static inline const struct cell *pop(struct ring *ring) {
  if (ring->out.head == ring->out.tail_seen) {
    ring->out.tail_seen = __atomic_load_n(&ring->in.tail, __ATOMIC_ACQUIRE);
    if (ring->out.head == ring->out.tail_seen) {
      return NULL;
    }
  }
  const struct cell *cell = &ring->cells[ring->out.head % RING];
  __atomic_store_n(&ring->out.head, ring->out.head + 1, __ATOMIC_RELEASE);
  return cell;
}

/* Cells, in the layout of tor-spec 6.1. */

static inline void write_cell(struct ring *ring, uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len) {
  struct cell *cell = place(ring);
  memset(cell->body, 0, HEADER);
  cell->body[0] = command;
  cell->body[3] = (uint8_t)(stream_id >> 8);
  cell->body[4] = (uint8_t)stream_id;
  cell->body[9] = (uint8_t)(len >> 8);
  cell->body[10] = (uint8_t)len;
  if (len > 0) {
    memcpy(cell->body + HEADER, body, len);
  }
  placed(ring);
}

static inline struct circflow_message read_cell(const struct cell *cell, uint8_t hop) {
  struct circflow_message message = {0};
  message.command = cell->body[0];
  message.hop = hop;
  message.stream_id = (uint16_t)(cell->body[3] << 8 | cell->body[4]);
  message.body_len = (uint16_t)(cell->body[9] << 8 | cell->body[10]);
  message.body = cell->body + HEADER;
  return message;
}

static inline void write_switch(struct ring *ring, uint32_t delta) {
  uint8_t body[4] = {(uint8_t)(delta >> 24), (uint8_t)(delta >> 16), (uint8_t)(delta >> 8), (uint8_t)delta};
  write_cell(ring, CIRCFLOW_CMD_SWITCH, 0, body, sizeof body);
}

static inline void make_digest(uint8_t *digest, uint64_t number) {
  uint64_t inverse = ~number;
  memcpy(digest, &number, 8);
  memcpy(digest + 8, &inverse, 8);
  memset(digest + 16, 0, 4);
}

/* Handles DATA that was written to a leg: circflow may want its digest. */
WITHIN void sent_data(struct tunnel *tunnel, struct circflow_engine *engine, struct circflow_circuit_id circuit,
                      unsigned leg, uint8_t hop, uint32_t flags) {
  tunnel->digests_out[leg] += 1;
  if (flags & CIRCFLOW_WANTS_DIGEST) {
    uint8_t digest[DIGEST_LEN];
    make_digest(digest, tunnel->digests_out[leg]);
    ok(circflow_circuit_add_digest(engine, circuit, hop, digest, DIGEST_LEN), "status of a digest");
  }
}

/* Sends DATA at one end; `rings` are the rings of its legs. */
WITHIN uint64_t sends(struct tunnel *tunnel, struct circflow_engine *engine, struct circflow_stream_id stream,
                      struct ring (*rings)[MIDDLES + 1], unsigned ring, uint8_t hop, uint64_t most) {
  uint8_t body[TUNNEL_BODY] = {0};
  uint64_t sent = 0;
  while (sent < most) {
    uint64_t number = tunnel->sent + 1;
    uint64_t inverse = ~number;
    memcpy(body, &number, 8);
    memcpy(body + TUNNEL_BODY - 8, &inverse, 8);
    struct circflow_message message = {0};
    struct circflow_verdict verdict;
    message.command = CIRCFLOW_CMD_DATA;
    message.body = body;
    message.body_len = TUNNEL_BODY;
    tunnel_now += 100;
    enum circflow_status status = circflow_stream_send(engine, tunnel_now, stream, &message, &verdict);
    if (status == CIRCFLOW_ERR_NO_ROOM) {
      break;
    }
    ok(status, "status of sending");
    if (verdict.kind == CIRCFLOW_VERDICT_SEND) {
      unsigned leg = leg_of(verdict.circuit_tag);
      if (verdict.switch_delta != 0) {
        write_switch(&rings[leg][ring], verdict.switch_delta);
      }
      write_cell(&rings[leg][ring], CIRCFLOW_CMD_DATA, STREAM_ID, body, TUNNEL_BODY);
      sent_data(tunnel, engine, verdict.circuit, leg, hop, verdict.flags);
    } else {
      check(verdict.kind == CIRCFLOW_VERDICT_HELD, "verdict of sending", CIRCFLOW_VERDICT_HELD, verdict.kind);
    }
    tunnel->sent = number;
    sent += 1;
  }
  return sent;
}

PART uint64_t client_sends(struct net *net, struct tunnel *tunnel, uint64_t most) {
  return sends(tunnel, net->client, tunnel->client_stream, net->out, 0, HOPS, most);
}

void client_begins(struct net *net, unsigned leg) {
  write_cell(&net->out[leg][0], CIRCFLOW_CMD_BEGIN, STREAM_ID, NULL, 0);
}

PART uint64_t exit_sends(struct net *net, struct tunnel *tunnel, uint64_t most) {
  return sends(tunnel, net->exit[0], tunnel->exit_stream, net->back, MIDDLES, 0, most);
}

WITHIN void pass(struct circflow_engine *engine, struct circflow_circuit_id circuit, uint8_t side,
                 struct ring *in, struct ring *out) {
  struct circflow_verdict verdict;
  struct circflow_message message = {0};
  const struct cell *cell;
  message.body_len = CIRCFLOW_CELL_BODY_LEN;
  while ((cell = pop(in)) != NULL) {
    message.body = cell->body;
    verdict.kind = 0;
    tunnel_now += 100;
    ok(circflow_circuit_relay(engine, tunnel_now, circuit, side, &message, &verdict), "status of a cell that passes");
    check(verdict.kind == CIRCFLOW_VERDICT_FORWARD, "verdict of passing", CIRCFLOW_VERDICT_FORWARD, verdict.kind);
    memcpy(place(out), cell, sizeof *cell);
    placed(out);
  }
}

PART void relays_forward(struct net *net, struct tunnel *tunnel, unsigned leg) {
  for (int i = 0; i < MIDDLES; i++) {
    pass(net->middle[leg][i], tunnel->middle[leg][i], CIRCFLOW_SIDE_BACK, &net->out[leg][i], &net->out[leg][i + 1]);
  }
}

PART void relays_return(struct net *net, struct tunnel *tunnel, unsigned leg) {
  for (int i = MIDDLES; i-- > 0;) {
    pass(net->middle[leg][i], tunnel->middle[leg][i], CIRCFLOW_SIDE_NEXT, &net->back[leg][i + 1], &net->back[leg][i]);
  }
}

static inline void take(struct net *net, struct tunnel *tunnel, const uint8_t *body) {
  uint64_t number;
  uint64_t inverse;
  memcpy(&number, body, 8);
  memcpy(&inverse, body + TUNNEL_BODY - 8, 8);
  check(number == tunnel->delivered + 1, "order of delivery", tunnel->delivered + 1, number);
  check(inverse == ~number, "end of a body", ~number, inverse);
  memcpy(net->sink[number % ROUND], body, TUNNEL_BODY);
  tunnel->delivered = number;
  tunnel->unflushed += TUNNEL_BODY;
}

/* Handles a message that has reached the end of a stream. */
static inline void came_out(struct net *net, struct tunnel *tunnel, uint8_t command, struct circflow_stream_id stream,
                            const uint8_t *body) {
  const struct circflow_stream_id *own = net->shape.down ? &tunnel->client_stream : &tunnel->exit_stream;
  if (command == CIRCFLOW_CMD_DATA) {
    check(stream.v == own->v, "stream", own->v, stream.v);
    take(net, tunnel, body);
  } else if (command == CIRCFLOW_CMD_BEGIN) {
    tunnel->exit_stream = stream;
  } else {
    fail("a message that comes out", CIRCFLOW_CMD_DATA, command);
  }
}

/* Feeds the cells that came on a leg, `most` at most. */
WITHIN bool receives(struct net *net, struct tunnel *tunnel, struct circflow_engine *engine,
                     struct circflow_circuit_id circuit, struct ring *ring, unsigned leg, uint8_t hop, int most) {
  const struct cell *cell;
  uint8_t digest[DIGEST_LEN];
  int count = 0;
  while (count < most && (cell = pop(ring)) != NULL) {
    struct circflow_message message = read_cell(cell, hop);
    struct circflow_verdict verdict;
    if (message.command == CIRCFLOW_CMD_DATA) {
      tunnel->digests_in[leg] += 1;
      make_digest(digest, tunnel->digests_in[leg]);
      message.cell_digest = digest;
      message.cell_digest_len = DIGEST_LEN;
    }
    tunnel_now += 100;
    count += 1;
    ok(circflow_circuit_receive(engine, tunnel_now, circuit, &message, &verdict), "status of receiving");
    if (verdict.kind == CIRCFLOW_VERDICT_DELIVER) {
      came_out(net, tunnel, message.command, verdict.stream, message.body);
    }
  }
  return count > 0;
}

PART bool exit_receives(struct net *net, struct tunnel *tunnel, unsigned leg) {
  return receives(net, tunnel, net->exit[0], tunnel->exit[leg], &net->out[leg][MIDDLES], leg, 0, ROUND);
}

PART bool elsewhere_receives(struct net *net, struct tunnel *tunnel, unsigned leg) {
  if (net->loops[leg].paused) {
    return false;
  }
  return receives(net, tunnel, net->exit[leg], tunnel->exit[leg], &net->out[leg][MIDDLES], leg, 0, ROUND);
}

PART void client_receives(struct net *net, struct tunnel *tunnel, unsigned leg) {
  receives(net, tunnel, net->client, tunnel->client[leg], &net->back[leg][0], leg, HOPS, RING);
}

WITHIN void hears(struct net *net, unsigned index) {
  if (__atomic_load_n(&net->loops[index].news, __ATOMIC_RELAXED) &&
      __atomic_exchange_n(&net->loops[index].news, 0, __ATOMIC_ACQ_REL)) {
    uint64_t deadline; /* Not needed: a tick looks at all links here. A real loop would use it. */
    tunnel_now += 100;
    ok(circflow_engine_tick(net->exit[index], tunnel_now), "status of a tick");
    ok(circflow_engine_get_deadline(net->exit[index], &deadline), "status of a deadline");
  }
}

PART void exit_hears(struct net *net) {
  hears(net, 0);
}

PART void elsewhere_hears(struct net *net) {
  hears(net, 1);
}

/* Drains an engine; `rings` are the rings of its legs. */
WITHIN void drains(struct net *net, struct tunnel *tunnel, struct circflow_engine *engine, struct loop *loop,
                   struct ring (*rings)[MIDDLES + 1], unsigned ring) {
  uint8_t body[CIRCFLOW_CELL_BODY_LEN];
  struct circflow_insn insn;
  for (;;) {
    ok(circflow_engine_poll(engine, body, sizeof body, &insn), "status of a poll");
    switch (insn.kind) {
    case CIRCFLOW_INSN_NONE:
      return;
    case CIRCFLOW_INSN_DELIVER:
      came_out(net, tunnel, insn.detail.deliver.command, insn.stream, body);
      break;
    case CIRCFLOW_INSN_SEND: {
      const struct circflow_insn_send *send = &insn.detail.send;
      unsigned leg = leg_of(insn.circuit_tag);
      write_cell(&rings[leg][ring], send->command, send->stream_id, body, send->body_len);
      if (send->command == CIRCFLOW_CMD_DATA) {
        sent_data(tunnel, engine, insn.circuit, leg, send->hop, insn.flags);
      }
      break;
    }
    case CIRCFLOW_INSN_PAUSE_FEED:
      loop->paused = true;
      break;
    case CIRCFLOW_INSN_UNPAUSE_FEED:
      loop->paused = false;
      break;
    case CIRCFLOW_INSN_USABLE:
      tunnel->linked = true;
      break;
    default:
      check(insn.kind == CIRCFLOW_INSN_MAY_SEND || insn.kind == CIRCFLOW_INSN_LINKED, "an instruction",
            CIRCFLOW_INSN_MAY_SEND, insn.kind);
    }
  }
}

WITHIN void flushes(struct tunnel *tunnel, struct circflow_engine *engine, struct circflow_stream_id stream) {
  if (tunnel->unflushed > 0) {
    ok(circflow_stream_flushed(engine, tunnel_now, stream, tunnel->unflushed), "status of flushed");
    tunnel->unflushed = 0;
  }
}

PART void exit_drains(struct net *net, struct tunnel *tunnel) {
  drains(net, tunnel, net->exit[0], &net->loops[0], net->back, MIDDLES);
  if (!net->shape.down) {
    flushes(tunnel, net->exit[0], tunnel->exit_stream);
  }
}

PART void elsewhere_drains(struct net *net, struct tunnel *tunnel) {
  drains(net, tunnel, net->exit[1], &net->loops[1], net->back, MIDDLES);
}

PART void client_drains(struct net *net, struct tunnel *tunnel) {
  drains(net, tunnel, net->client, &net->loops[TUNNEL_LEGS], net->out, 0);
  if (net->shape.down) {
    flushes(tunnel, net->client, tunnel->client_stream);
  }
}
