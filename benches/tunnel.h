/* A client, its relays and an exit in one process, by direct calls, to find the cost of a cell from end to end.
 *
 * Every relay has its own engine, as in a real network. Between two of them is a ring of cells. Nothing is encrypted;
 * each hop copies the cell, as it would into its next channel's buffer. All calls of a kind come from one function
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
  bool set;       /* Two legs; else a single circuit. */
  bool crossing;  /* The exit reads the second leg first, so half of the cells in flight are held. */
  bool elsewhere; /* At the exit, the second leg is on an engine of its own, and a hub joins the two. */
  bool down;      /* From exit to client. */
  bool threads;   /* For net_run_threads(): real time, and windows that do not change. */
};

struct net;

/* Opens `count` tunnels with a stream each, in their own engines. */
struct net *net_new(const struct shape *shape, size_t count);
void net_free(struct net *net);

/* Moves this many cells of each tunnel from end to end, a window at a time, and checks each cell at the end. */
void net_run(struct net *net, uint64_t cells);

/* Number of cells that have reached the other end, and number of these that crossed from engine to engine. */
uint64_t net_delivered(const struct net *net);
uint64_t net_crossed(const struct net *net);

struct spent {
  uint64_t wall_ns;
  uint64_t client_ns;            /* Processor time of each thread: the client's and its relays' .. */
  uint64_t exit_ns[TUNNEL_LEGS]; /* .. and those of the exit's engines. */
};

/* Moves cells of one tunnel, with client and relays in one thread, and each engine of the exit in its own thread. */
struct spent net_run_threads(struct net *net, uint64_t cells);

#endif
