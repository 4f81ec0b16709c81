/* The parts of a tunnel: rings of cells, and a part for each kind of calls. */
#ifndef BENCH_TUNNEL_PARTS_H
#define BENCH_TUNNEL_PARTS_H

#include "bench.h"
#include "tunnel.h"
#include <pthread.h>

#define PART __attribute__((noinline, noclone))

enum { MIDDLES = 2, HOPS = 3, STREAM_ID = 7, RING = 2048, DIGEST_LEN = 20, WINDOW = 500, ROUND = 32 };

struct cell {
  uint8_t body[CIRCFLOW_CELL_BODY_LEN];
};

/* One side puts cells in and the other takes them out, perhaps in two threads: so each side has its own cache line, and
 * reads the other's only when it must. */
struct ring {
  struct {
    uint32_t tail;
    uint32_t head_seen;
    uint8_t line[120];
  } in;
  struct {
    uint32_t head;
    uint32_t tail_seen;
    uint8_t line[120];
  } out;
  struct cell cells[RING];
};

struct tunnel {
  struct circflow_circuit_id client[TUNNEL_LEGS];
  struct circflow_circuit_id middle[TUNNEL_LEGS][MIDDLES];
  struct circflow_circuit_id exit[TUNNEL_LEGS];
  struct circflow_set_id set;
  struct circflow_stream_id client_stream;
  struct circflow_stream_id exit_stream;
  bool linked;
  /* Number of DATA cells of each leg so far: used as digest. */
  uint64_t digests_out[TUNNEL_LEGS];
  uint64_t digests_in[TUNNEL_LEGS];
  uint64_t sent;
  uint8_t line[64];
  uint64_t delivered;
  uint32_t unflushed;
};

/* The wake-up of a loop: of an engine of the exit, or of the client. */
struct loop {
  struct net *net;
  unsigned index;
  int news;   /* The engine wants a tick. */
  int called; /* There is something to do. */
  pthread_mutex_t lock;
  pthread_cond_t call;
  bool paused;      /* The engine has paused its leg. */
  uint64_t busy_ns; /* Processor time of its thread. */
  uint8_t line[64];
};

struct net {
  struct shape shape;
  unsigned legs;
  unsigned exits; /* Engines of the exit: a leg each, or one for all. */
  size_t count;
  uint64_t target; /* For threads: number of cells that have to reach the end. */
  int done;
  struct circflow_hub *hub;
  struct circflow_engine *client;
  struct circflow_engine *middle[TUNNEL_LEGS][MIDDLES];
  struct circflow_engine *exit[TUNNEL_LEGS];
  struct loop loops[TUNNEL_LEGS + 1]; /* The loops of the exit; the last is the client's. */
  struct ring out[TUNNEL_LEGS][MIDDLES + 1];
  struct ring back[TUNNEL_LEGS][MIDDLES + 1];
  /* Results of the streams. */
  uint8_t sink[ROUND][TUNNEL_BODY];
  struct tunnel tunnels[];
};

static const uint64_t MS = 1000000;

/* The time: of the tunnel, or of the thread. */
extern __thread uint64_t tunnel_now;

static inline unsigned leg_of(uint64_t circuit_tag) {
  return (unsigned)((circuit_tag - 1) % TUNNEL_LEGS);
}

/* The loop where a leg is at the exit. */
static inline unsigned exit_of(const struct net *net, unsigned leg) {
  return net->exits > 1 ? leg : 0;
}

static inline bool ring_is_empty(const struct ring *ring) {
  return ring->out.head == __atomic_load_n(&ring->in.tail, __ATOMIC_ACQUIRE);
}

/* Sends as much DATA as the window allows, `most` cells at most. */
uint64_t client_sends(struct net *net, struct tunnel *tunnel, uint64_t most);
void client_begins(struct net *net, unsigned leg);
void relays_forward(struct net *net, struct tunnel *tunnel, unsigned leg);
/* Feeds some cells that came on a leg, at the home of the set, and on the other engine of the exit. Returns false
 * when there was nothing. */
bool exit_receives(struct net *net, struct tunnel *tunnel, unsigned leg);
bool elsewhere_receives(struct net *net, struct tunnel *tunnel, unsigned leg);
/* Takes what the other engine has sent, if it has woken this loop. */
void exit_hears(struct net *net);
void elsewhere_hears(struct net *net);
/* Drains: SENDMEs, messages that were held or came from the other engine, and reports of written cells. */
void exit_drains(struct net *net, struct tunnel *tunnel);
void elsewhere_drains(struct net *net, struct tunnel *tunnel);
uint64_t exit_sends(struct net *net, struct tunnel *tunnel, uint64_t most);
void relays_return(struct net *net, struct tunnel *tunnel, unsigned leg);
void client_receives(struct net *net, struct tunnel *tunnel, unsigned leg);
void client_drains(struct net *net, struct tunnel *tunnel);

/* The function that a hub calls when it has news for an engine: `userdata` is its loop. */
void loop_hears(void *userdata);

#endif
