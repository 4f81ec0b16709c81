/* A client, its relays and an exit in one process, by direct calls: what a cell costs from end to end.
 *
 * Every relay has an engine of its own, as in life. Between two of them lies a ring of cells; nothing is encrypted, and
 * each hop copies the cell, as it would into its next channel's buffer. All calls of one kind are made from one function
 * (`client_sends`, `relays_forward` ..), so that a profile by caller shows what each part costs.
 */
#ifndef BENCH_TUNNEL_H
#define BENCH_TUNNEL_H

#include "circflow.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TUNNEL_LEGS = 2, TUNNEL_BODY = CIRCFLOW_DATA_MAX };

struct shape {
  bool set;       /* Two legs; or one circuit by itself. */
  bool crossing;  /* Of what is in flight, the exit reads the second leg first: that half is held. */
  bool elsewhere; /* At the exit, the second leg is on an engine of its own, and a hub joins the two. */
  bool down;      /* From exit to client. */
  bool threads;   /* To be run by net_run_threads(): real time, and windows that do not move. */
};

struct net;

/* Opens `count` tunnels with a stream each, in engines of their own. */
struct net *net_new(const struct shape *shape, size_t count);
void net_free(struct net *net);

/* Moves so many cells of each tunnel from end to end, a window at a time, and checks all that comes out. */
void net_run(struct net *net, uint64_t cells);

/* Cells that have come out of the other end so far; and of those, how many had crossed from engine to engine. */
uint64_t net_delivered(const struct net *net);
uint64_t net_crossed(const struct net *net);

struct spent {
  uint64_t wall_ns;
  uint64_t client_ns;            /* Processor time of each thread: the client's and its relays' .. */
  uint64_t exit_ns[TUNNEL_LEGS]; /* .. and those of the exit's engines. */
};

/* Moves so many cells of one tunnel, client with relays in one thread, and each engine of the exit in its own. */
struct spent net_run_threads(struct net *net, uint64_t cells);

#endif
