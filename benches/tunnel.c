#include "tunnel.h"
#include "bench.h"
#include <stdlib.h>
#include <string.h>

#define PART __attribute__((noinline, noclone))

enum { MIDDLES = 2, HOPS = 3, STREAM_ID = 7, RING = 2048, TAG_LEN = 20, WINDOW = 500, ROUND = 32, HEADER = 11 };

struct cell {
  uint8_t body[CIRCFLOW_CELL_BODY_LEN];
};

struct ring {
  uint32_t head;
  uint32_t tail;
  struct cell cells[RING];
};

struct tunnel {
  struct circflow_circuit_id client[TUNNEL_LEGS];
  struct circflow_circuit_id middle[TUNNEL_LEGS][MIDDLES];
  struct circflow_circuit_id exit[TUNNEL_LEGS];
  struct circflow_set_id set;
  struct circflow_stream_id client_stream;
  struct circflow_stream_id exit_stream;
  /* DATA cells of each leg so far: their tags. */
  uint64_t tags_out[TUNNEL_LEGS];
  uint64_t tags_in[TUNNEL_LEGS];
  uint64_t sent;
  uint64_t delivered;
  uint32_t unflushed;
  bool linked;
};

struct net {
  struct shape shape;
  unsigned legs;
  uint64_t now;
  size_t count;
  struct circflow_engine *client;
  struct circflow_engine *middle[TUNNEL_LEGS][MIDDLES];
  struct circflow_engine *exit;
  struct ring out[TUNNEL_LEGS][MIDDLES + 1];
  struct ring back[TUNNEL_LEGS][MIDDLES + 1];
  /* What the exit's streams get. */
  uint8_t sink[ROUND][TUNNEL_BODY];
  struct tunnel tunnels[];
};

static const uint64_t MS = 1000000;

static inline void check(bool right, const char *what, uint64_t expected, uint64_t found) {
  if (__builtin_expect(!right, 0)) {
    fail(what, expected, found);
  }
}

static inline void ok(enum circflow_status status, const char *what) {
  check(status == CIRCFLOW_OK, what, CIRCFLOW_OK, (uint64_t)(int64_t)status);
}

/* Cells, in the layout of tor-spec 6.1. */

static inline struct cell *push(struct ring *ring) {
  check(ring->tail - ring->head < RING, "room in a ring", RING, ring->tail - ring->head);
  return &ring->cells[ring->tail++ % RING];
}

static inline const struct cell *pop(struct ring *ring) {
  return ring->head == ring->tail ? NULL : &ring->cells[ring->head++ % RING];
}

static inline void write_cell(struct ring *ring, uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len) {
  struct cell *cell = push(ring);
  memset(cell->body, 0, HEADER);
  cell->body[0] = command;
  cell->body[3] = (uint8_t)(stream_id >> 8);
  cell->body[4] = (uint8_t)stream_id;
  cell->body[9] = (uint8_t)(len >> 8);
  cell->body[10] = (uint8_t)len;
  if (len > 0) {
    memcpy(cell->body + HEADER, body, len);
  }
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

static inline void make_tag(uint8_t *tag, uint64_t number) {
  uint64_t inverse = ~number;
  memcpy(tag, &number, 8);
  memcpy(tag + 8, &inverse, 8);
  memset(tag + 16, 0, 4);
}

static inline unsigned leg_of(uint64_t circuit_tag) {
  return (unsigned)((circuit_tag - 1) % TUNNEL_LEGS);
}

/* The parts. Each makes all calls of its kind. */

/* A window's worth of DATA, or less when `left` is less. */
PART static uint64_t client_sends(struct net *net, struct tunnel *tunnel, uint64_t left) {
  uint8_t body[TUNNEL_BODY] = {0};
  uint64_t sent = 0;
  while (sent < left) {
    uint64_t number = tunnel->sent + 1;
    uint64_t inverse = ~number;
    memcpy(body, &number, 8);
    memcpy(body + TUNNEL_BODY - 8, &inverse, 8);
    struct circflow_message message = {0};
    struct circflow_verdict verdict;
    message.command = CIRCFLOW_CMD_DATA;
    message.body = body;
    message.body_len = TUNNEL_BODY;
    net->now += 100;
    enum circflow_status status = circflow_stream_send(net->client, net->now, tunnel->client_stream, &message, &verdict);
    if (status == CIRCFLOW_ERR_BLOCKED) {
      break;
    }
    ok(status, "status of sending");
    check(verdict.kind == CIRCFLOW_VERDICT_SEND, "verdict of sending", CIRCFLOW_VERDICT_SEND, verdict.kind);
    unsigned leg = leg_of(verdict.circuit_tag);
    check(verdict.circuit.v == tunnel->client[leg].v, "leg", tunnel->client[leg].v, verdict.circuit.v);
    if (verdict.switch_delta != 0) {
      write_switch(&net->out[leg][0], verdict.switch_delta);
    }
    write_cell(&net->out[leg][0], CIRCFLOW_CMD_DATA, STREAM_ID, body, TUNNEL_BODY);
    tunnel->tags_out[leg] += 1;
    if (verdict.flags & CIRCFLOW_WANTS_TAG) {
      uint8_t tag[TAG_LEN];
      make_tag(tag, tunnel->tags_out[leg]);
      ok(circflow_circuit_tag(net->client, verdict.circuit, HOPS, tag, TAG_LEN), "status of a tag");
    }
    tunnel->sent = number;
    sent += 1;
  }
  return sent;
}

static inline void pass(struct net *net, struct circflow_engine *engine, struct circflow_circuit_id circuit, uint8_t side,
                        struct ring *in, struct ring *out) {
  struct circflow_verdict verdict;
  struct circflow_message message = {0};
  const struct cell *cell;
  message.body_len = CIRCFLOW_CELL_BODY_LEN;
  while ((cell = pop(in)) != NULL) {
    message.body = cell->body;
    verdict.kind = 0;
    net->now += 100;
    ok(circflow_circuit_relay(engine, net->now, circuit, side, &message, &verdict), "status of a cell that passes");
    check(verdict.kind == CIRCFLOW_VERDICT_FORWARD, "verdict of passing", CIRCFLOW_VERDICT_FORWARD, verdict.kind);
    memcpy(push(out), cell, sizeof *cell);
  }
}

PART static void relays_forward(struct net *net, struct tunnel *tunnel, unsigned leg) {
  for (int i = 0; i < MIDDLES; i++) {
    pass(net, net->middle[leg][i], tunnel->middle[leg][i], CIRCFLOW_SIDE_BACK, &net->out[leg][i], &net->out[leg][i + 1]);
  }
}

PART static void relays_return(struct net *net, struct tunnel *tunnel, unsigned leg) {
  for (int i = MIDDLES; i-- > 0;) {
    pass(net, net->middle[leg][i], tunnel->middle[leg][i], CIRCFLOW_SIDE_NEXT, &net->back[leg][i + 1],
         &net->back[leg][i]);
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

/* At most one loop's worth of what has come on a leg. False when there was nothing. */
PART static bool exit_receives(struct net *net, struct tunnel *tunnel, unsigned leg) {
  const struct cell *cell;
  uint8_t tag[TAG_LEN];
  int count = 0;
  while (count < ROUND && (cell = pop(&net->out[leg][MIDDLES])) != NULL) {
    struct circflow_message message = read_cell(cell, 0);
    struct circflow_verdict verdict;
    if (message.command == CIRCFLOW_CMD_DATA) {
      tunnel->tags_in[leg] += 1;
      make_tag(tag, tunnel->tags_in[leg]);
      message.cell_tag = tag;
      message.cell_tag_len = TAG_LEN;
    }
    net->now += 100;
    count += 1;
    ok(circflow_circuit_receive(net->exit, net->now, tunnel->exit[leg], &message, &verdict), "status of receiving");
    if (verdict.kind != CIRCFLOW_VERDICT_DELIVER) {
      continue;
    }
    if (message.command == CIRCFLOW_CMD_DATA) {
      check(verdict.stream.v == tunnel->exit_stream.v, "stream", tunnel->exit_stream.v, verdict.stream.v);
      take(net, tunnel, message.body);
    } else if (message.command == CIRCFLOW_CMD_BEGIN) {
      tunnel->exit_stream = verdict.stream;
    } else {
      fail("a message for the exit", CIRCFLOW_CMD_DATA, message.command);
    }
  }
  return count > 0;
}

/* What follows: SENDMEs, messages that were held, and what has been written out. */
PART static void exit_drains(struct net *net, struct tunnel *tunnel) {
  uint8_t body[CIRCFLOW_CELL_BODY_LEN];
  struct circflow_insn insn;
  for (;;) {
    ok(circflow_engine_poll(net->exit, body, sizeof body, &insn), "status of a poll");
    if (insn.kind == CIRCFLOW_INSN_NONE) {
      break;
    }
    if (insn.kind == CIRCFLOW_INSN_DELIVER) {
      check(insn.stream.v == tunnel->exit_stream.v, "stream", tunnel->exit_stream.v, insn.stream.v);
      take(net, tunnel, body);
    } else if (insn.kind == CIRCFLOW_INSN_SEND) {
      write_cell(&net->back[leg_of(insn.circuit_tag)][MIDDLES], insn.detail.send.command, insn.detail.send.stream_id,
                 body, insn.detail.send.body_len);
    } else if (insn.kind != CIRCFLOW_INSN_LINKED && insn.kind != CIRCFLOW_INSN_USABLE) {
      fail("an instruction for the exit", CIRCFLOW_INSN_SEND, insn.kind);
    }
  }
  if (tunnel->unflushed > 0) {
    ok(circflow_stream_flushed(net->exit, net->now, tunnel->exit_stream, tunnel->unflushed), "status of flushed");
    tunnel->unflushed = 0;
  }
}

PART static void client_receives(struct net *net, struct tunnel *tunnel, unsigned leg) {
  const struct cell *cell;
  while ((cell = pop(&net->back[leg][0])) != NULL) {
    struct circflow_message message = read_cell(cell, HOPS);
    struct circflow_verdict verdict;
    net->now += 100;
    ok(circflow_circuit_receive(net->client, net->now, tunnel->client[leg], &message, &verdict), "status of a SENDME");
    check(verdict.kind == CIRCFLOW_VERDICT_CONSUMED, "verdict on a SENDME", CIRCFLOW_VERDICT_CONSUMED, verdict.kind);
  }
}

PART static void client_drains(struct net *net, struct tunnel *tunnel) {
  uint8_t body[CIRCFLOW_CELL_BODY_LEN];
  struct circflow_insn insn;
  for (;;) {
    ok(circflow_engine_poll(net->client, body, sizeof body, &insn), "status of a poll");
    if (insn.kind == CIRCFLOW_INSN_NONE) {
      return;
    }
    if (insn.kind == CIRCFLOW_INSN_SEND) {
      write_cell(&net->out[leg_of(insn.circuit_tag)][0], insn.detail.send.command, insn.detail.send.stream_id, body,
                 insn.detail.send.body_len);
    } else if (insn.kind == CIRCFLOW_INSN_USABLE) {
      tunnel->linked = true;
    } else if (insn.kind != CIRCFLOW_INSN_RESUME && insn.kind != CIRCFLOW_INSN_LINKED) {
      fail("an instruction for the client", CIRCFLOW_INSN_RESUME, insn.kind);
    }
  }
}

/* All that is under way arrives, and what follows from it comes back. */
static void settle(struct net *net, struct tunnel *tunnel) {
  net->now += 5 * MS;
  for (unsigned leg = 0; leg < net->legs; leg++) {
    relays_forward(net, tunnel, leg);
  }
  for (unsigned i = 0; i < net->legs; i++) {
    unsigned leg = net->shape.crossing ? net->legs - 1 - i : i;
    while (exit_receives(net, tunnel, leg)) {
      exit_drains(net, tunnel);
    }
  }
  for (unsigned leg = 0; leg < net->legs; leg++) {
    net->now += 5 * MS;
    relays_return(net, tunnel, leg);
    client_receives(net, tunnel, leg);
  }
  client_drains(net, tunnel);
}

void net_run(struct net *net, uint64_t cells) {
  for (uint64_t left = cells, next = 0; left > 0; left = next) {
    for (size_t i = 0; i < net->count; i++) {
      struct tunnel *tunnel = &net->tunnels[i];
      uint64_t sent = client_sends(net, tunnel, left);
      settle(net, tunnel);
      check(tunnel->delivered == tunnel->sent, "cells that came out", tunnel->sent, tunnel->delivered);
      check(sent > 0, "cells in a round trip", 1, 0);
      /* All tunnels have the same windows. */
      check(i == 0 || next == left - sent, "cells of another tunnel", left - next, sent);
      next = left - sent;
    }
  }
}

uint64_t net_delivered(const struct net *net) {
  uint64_t sum = 0;
  for (size_t i = 0; i < net->count; i++) {
    sum += net->tunnels[i].delivered;
  }
  return sum;
}

/* Set-up. */

static struct circflow_engine *engine_new(uint32_t tag) {
  struct circflow_engine_config config;
  struct circflow_engine *engine;
  ok(circflow_engine_config_init(&config, sizeof config), "config");
  config.engine_tag = tag;
  ok(circflow_engine_new(&config, &engine), "engine");
  /* So that windows come to an end of their growth, and what is in flight fits the rings. */
  ok(circflow_engine_set_param(engine, CIRCFLOW_PATH_EXIT, "cc_cwnd_max", WINDOW), "cc_cwnd_max");
  return engine;
}

static struct circflow_circuit_id circuit_new(struct net *net, struct circflow_engine *engine, uint64_t tag, uint8_t role,
                                              uint8_t flags) {
  struct circflow_circuit_config config;
  struct circflow_circuit_id id;
  ok(circflow_circuit_config_init(&config, sizeof config), "config");
  config.tag = tag;
  config.role = role;
  config.hops = role == CIRCFLOW_ROLE_CLIENT ? HOPS : 0;
  config.join_point = role == CIRCFLOW_ROLE_CLIENT ? 1 : 0;
  config.flags = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR | flags;
  ok(circflow_circuit_open(engine, net->now, &config, &id), "circuit");
  return id;
}

static void link_legs(struct net *net, struct tunnel *tunnel, size_t index) {
  struct circflow_set_config config;
  ok(circflow_set_config_init(&config, sizeof config), "config");
  config.tag = index + 1;
  memcpy(config.nonce, &config.tag, sizeof config.tag);
  ok(circflow_set_open(net->client, net->now, &config, &tunnel->set), "set");
  ok(circflow_set_add_legs(net->client, net->now, tunnel->set, tunnel->client, net->legs), "legs");
  client_drains(net, tunnel);
  settle(net, tunnel);
  settle(net, tunnel);
  check(tunnel->linked, "a usable set", 1, 0);
}

static void tunnel_open(struct net *net, struct tunnel *tunnel, size_t index) {
  for (unsigned leg = 0; leg < net->legs; leg++) {
    uint64_t tag = index * TUNNEL_LEGS + leg + 1;
    tunnel->client[leg] = circuit_new(net, net->client, tag, CIRCFLOW_ROLE_CLIENT, 0);
    tunnel->exit[leg] = circuit_new(net, net->exit, tag, CIRCFLOW_ROLE_EXIT, 0);
    for (int i = 0; i < MIDDLES; i++) {
      tunnel->middle[leg][i] =
          circuit_new(net, net->middle[leg][i], tag, CIRCFLOW_ROLE_EXIT, CIRCFLOW_CIRCUIT_EXTENDED);
    }
  }
  if (net->shape.set) {
    link_legs(net, tunnel, index);
  }
  struct circflow_stream_config config;
  struct circflow_message begin = {0};
  struct circflow_verdict verdict;
  ok(circflow_stream_config_init(&config, sizeof config), "config");
  config.set = tunnel->set;
  config.circuit.v = net->shape.set ? 0 : tunnel->client[0].v;
  config.stream_id = STREAM_ID;
  config.hop = HOPS;
  ok(circflow_stream_open(net->client, net->now, &config, &tunnel->client_stream), "stream");
  begin.command = CIRCFLOW_CMD_BEGIN;
  ok(circflow_stream_send(net->client, net->now, tunnel->client_stream, &begin, &verdict), "BEGIN");
  write_cell(&net->out[leg_of(verdict.circuit_tag)][0], CIRCFLOW_CMD_BEGIN, STREAM_ID, NULL, 0);
  settle(net, tunnel);
  check(tunnel->exit_stream.v != 0, "a stream at the exit", 1, 0);
}

struct net *net_new(const struct shape *shape, size_t count) {
  struct net *net = calloc(1, sizeof *net + count * sizeof *net->tunnels);
  if (net == NULL) {
    fail("memory", 1, 0);
  }
  net->shape = *shape;
  net->legs = shape->set ? 2 : 1;
  net->now = MS;
  net->count = count;
  net->client = engine_new(1);
  net->exit = engine_new(2);
  for (unsigned leg = 0; leg < net->legs; leg++) {
    for (unsigned i = 0; i < MIDDLES; i++) {
      net->middle[leg][i] = engine_new(3 + leg * MIDDLES + i);
    }
  }
  struct circflow_set_config config;
  ok(circflow_set_config_init(&config, sizeof config), "config");
  ok(circflow_engine_accept_sets(net->exit, &config), "accept_sets");
  for (size_t i = 0; i < count; i++) {
    tunnel_open(net, &net->tunnels[i], i);
  }
  return net;
}

void net_free(struct net *net) {
  circflow_engine_free(net->client, NULL, NULL);
  circflow_engine_free(net->exit, NULL, NULL);
  for (unsigned leg = 0; leg < net->legs; leg++) {
    for (unsigned i = 0; i < MIDDLES; i++) {
      circflow_engine_free(net->middle[leg][i], NULL, NULL);
    }
  }
  free(net);
}
