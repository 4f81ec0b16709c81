/* A tunnel by direct calls. */
#include "tunnel_parts.h"
#include <stdlib.h>
#include <string.h>

/* At the exit: takes all cells that came on a leg, and sends the answers. */
static void exit_works(struct net *net, struct tunnel *tunnel, unsigned leg) {
  if (exit_of(net, leg) == 0) {
    while (exit_receives(net, tunnel, leg)) {
      exit_drains(net, tunnel);
    }
    return;
  }
  while (elsewhere_receives(net, tunnel, leg)) {
    elsewhere_drains(net, tunnel);
    exit_hears(net);
    exit_drains(net, tunnel);
    elsewhere_hears(net);
    elsewhere_drains(net, tunnel);
  }
}

/* Lets all cells on their way arrive, and the answers come back. */
static void settle(struct net *net, struct tunnel *tunnel) {
  tunnel_now += 5 * MS;
  for (unsigned leg = 0; leg < net->legs; leg++) {
    relays_forward(net, tunnel, leg);
  }
  for (unsigned i = 0; i < net->legs; i++) {
    exit_works(net, tunnel, net->shape.crossing ? net->legs - 1 - i : i);
  }
  for (unsigned leg = 0; leg < net->legs; leg++) {
    tunnel_now += 5 * MS;
    relays_return(net, tunnel, leg);
    client_receives(net, tunnel, leg);
  }
  client_drains(net, tunnel);
}

/* Sends as much as the windows allow down to the client, and lets the answers come back. */
static uint64_t round_down(struct net *net, struct tunnel *tunnel, uint64_t left) {
  uint64_t sent = 0;
  for (;;) {
    uint64_t more = exit_sends(net, tunnel, left - sent < ROUND ? left - sent : ROUND);
    if (net->exits > 1) {
      elsewhere_hears(net);
      elsewhere_drains(net, tunnel);
      exit_hears(net);
    }
    exit_drains(net, tunnel);
    if (more == 0) {
      break;
    }
    sent += more;
  }
  for (unsigned leg = 0; leg < net->legs; leg++) {
    tunnel_now += 5 * MS;
    relays_return(net, tunnel, leg);
    client_receives(net, tunnel, leg);
    client_drains(net, tunnel);
  }
  settle(net, tunnel);
  return sent;
}

void net_run(struct net *net, uint64_t cells) {
  for (uint64_t left = cells, next = 0; left > 0; left = next) {
    for (size_t i = 0; i < net->count; i++) {
      struct tunnel *tunnel = &net->tunnels[i];
      uint64_t sent = 0;
      if (net->shape.down) {
        sent = round_down(net, tunnel, left);
      } else {
        sent = client_sends(net, tunnel, left);
        settle(net, tunnel);
      }
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

uint64_t net_crossed(const struct net *net) {
  uint64_t sum = 0;
  for (size_t i = 0; i < net->count && net->exits > 1; i++) {
    sum += net->shape.down ? net->tunnels[i].digests_out[1] : net->tunnels[i].digests_in[1];
  }
  return sum;
}

/* Set-up. */

static struct circflow_engine *engine_new(const struct shape *shape, uint32_t tag) {
  struct circflow_engine_config config;
  struct circflow_engine *engine;
  ok(circflow_engine_config_init(&config, sizeof config), "config");
  config.engine_number = tag;
  ok(circflow_engine_new(&config, &engine), "engine");
  if (getenv("BENCH_RECORD")) {
    ok(circflow_engine_record(engine, 1 << 16, CIRCFLOW_RECORD_ALL), "record");
  }
  /* So that windows stop growing, and the cells in flight fit into the rings. */
  ok(circflow_engine_set_param(engine, CIRCFLOW_PATH_EXIT, "cc_cwnd_max", WINDOW), "cc_cwnd_max");
  if (shape->threads) {
    /* Round trips are in real time then, and a busy machine would make them long. */
    ok(circflow_engine_set_param(engine, CIRCFLOW_PATH_EXIT, "cc_cwnd_min", WINDOW), "cc_cwnd_min");
    ok(circflow_engine_set_param(engine, CIRCFLOW_PATH_EXIT, "cc_cwnd_init", WINDOW), "cc_cwnd_init");
  }
  return engine;
}

static struct circflow_circuit_id circuit_new(struct circflow_engine *engine, uint64_t tag, uint8_t role, uint8_t flags) {
  struct circflow_circuit_config config;
  struct circflow_circuit_id id;
  ok(circflow_circuit_config_init(&config, sizeof config), "config");
  config.tag = tag;
  config.role = role;
  config.hops = role == CIRCFLOW_ROLE_CLIENT ? HOPS : 0;
  config.join_point = role == CIRCFLOW_ROLE_CLIENT ? 1 : 0;
  config.flags = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR | flags;
  ok(circflow_circuit_open(engine, tunnel_now, &config, &id), "circuit");
  return id;
}

/* While a thread has no processor, the other leg runs ahead: that can take more bytes than a set may hold by
 * default. Equal legs share the cells from the start, as C Tor has it, and figures of any two versions can be compared. */
static void set_terms(struct circflow_set_config *config) {
  ok(circflow_set_config_init(config, sizeof *config), "config");
  config->algorithm = CIRCFLOW_ALGORITHM_LOW_RTT;
  config->held_bytes_max = UINT64_MAX;
}

static void link_legs(struct net *net, struct tunnel *tunnel, size_t index) {
  struct circflow_set_config config;
  set_terms(&config);
  config.tag = index + 1;
  memcpy(config.nonce, &config.tag, sizeof config.tag);
  ok(circflow_set_open(net->client, tunnel_now, &config, &tunnel->set), "set");
  ok(circflow_set_add_legs(net->client, tunnel_now, tunnel->set, tunnel->client, net->legs), "legs");
  client_drains(net, tunnel);
  settle(net, tunnel);
  settle(net, tunnel);
  check(tunnel->linked, "a usable set", 1, 0);
}

static void tunnel_open(struct net *net, struct tunnel *tunnel, size_t index) {
  for (unsigned leg = 0; leg < net->legs; leg++) {
    uint64_t tag = index * TUNNEL_LEGS + leg + 1;
    tunnel->client[leg] = circuit_new(net->client, tag, CIRCFLOW_ROLE_CLIENT, 0);
    tunnel->exit[leg] = circuit_new(net->exit[exit_of(net, leg)], tag, CIRCFLOW_ROLE_RELAY, 0);
    for (int i = 0; i < MIDDLES; i++) {
      tunnel->middle[leg][i] =
          circuit_new(net->middle[leg][i], tag, CIRCFLOW_ROLE_RELAY, CIRCFLOW_CIRCUIT_EXTENDED);
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
  ok(circflow_stream_open(net->client, tunnel_now, &config, &tunnel->client_stream), "stream");
  begin.command = CIRCFLOW_CMD_BEGIN;
  ok(circflow_stream_send(net->client, tunnel_now, tunnel->client_stream, &begin, &verdict), "BEGIN");
  client_begins(net, leg_of(verdict.circuit_tag));
  settle(net, tunnel);
  check(tunnel->exit_stream.v != 0, "a stream at the exit", 1, 0);
}

static void exits_new(struct net *net) {
  struct circflow_set_config config;
  set_terms(&config);
  if (net->exits > 1) {
    struct circflow_hub_config terms;
    ok(circflow_hub_config_init(&terms, sizeof terms), "config");
    ok(circflow_hub_new(&terms, &net->hub), "hub");
  }
  for (unsigned i = 0; i < net->exits; i++) {
    net->exit[i] = engine_new(&net->shape, 20 + i);
    ok(circflow_engine_accept_sets(net->exit[i], &config), "accept_sets");
    if (net->hub != NULL) {
      ok(circflow_engine_join(net->exit[i], net->hub, loop_hears, &net->loops[i]), "join");
    }
  }
}

struct net *net_new(const struct shape *shape, size_t count) {
  struct net *net = calloc(1, sizeof *net + count * sizeof *net->tunnels);
  if (net == NULL) {
    fail("memory", 1, 0);
  }
  net->shape = *shape;
  net->legs = shape->set ? 2 : 1;
  tunnel_now = MS;
  net->exits = shape->elsewhere ? 2 : 1;
  for (unsigned i = 0; i < TUNNEL_LEGS + 1; i++) {
    struct loop *loop = &net->loops[i];
    loop->net = net;
    loop->index = i;
    check(pthread_mutex_init(&loop->lock, NULL) == 0 && pthread_cond_init(&loop->call, NULL) == 0, "a loop", 1, 0);
  }
  net->count = count;
  net->client = engine_new(&net->shape, 1);
  for (unsigned leg = 0; leg < net->legs; leg++) {
    for (unsigned i = 0; i < MIDDLES; i++) {
      net->middle[leg][i] = engine_new(&net->shape, 3 + leg * MIDDLES + i);
    }
  }
  exits_new(net);
  for (size_t i = 0; i < count; i++) {
    tunnel_open(net, &net->tunnels[i], i);
  }
  return net;
}

void net_free(struct net *net) {
  circflow_engine_free(net->client, NULL, NULL);
  for (unsigned i = 0; i < net->exits; i++) {
    circflow_engine_free(net->exit[i], NULL, NULL);
  }
  circflow_hub_free(net->hub);
  for (unsigned leg = 0; leg < net->legs; leg++) {
    for (unsigned i = 0; i < MIDDLES; i++) {
      circflow_engine_free(net->middle[leg][i], NULL, NULL);
    }
  }
  free(net);
}
