/* A tunnel over threads: client and relays in one thread, each engine of the exit in its own. A loop with nothing to
 * do sleeps until another loop has put cells into its rings, or the hub has news for its engine. */
#include "tunnel_parts.h"
#include <stdlib.h>
#include <time.h>

static void wake(struct loop *loop) {
  if (__atomic_exchange_n(&loop->called, 1, __ATOMIC_SEQ_CST) == 0) {
    pthread_mutex_lock(&loop->lock);
    pthread_cond_signal(&loop->call);
    pthread_mutex_unlock(&loop->lock);
  }
}

/* Waits until it was called since the last time. */
static void sleep_until_called(struct loop *loop) {
  pthread_mutex_lock(&loop->lock);
  while (__atomic_exchange_n(&loop->called, 0, __ATOMIC_SEQ_CST) == 0) {
    pthread_cond_wait(&loop->call, &loop->lock);
  }
  pthread_mutex_unlock(&loop->lock);
}

void loop_hears(void *userdata) {
  struct loop *loop = userdata;
  __atomic_store_n(&loop->news, 1, __ATOMIC_RELEASE);
  wake(loop);
}

static uint64_t busy_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static bool is_done(struct net *net) {
  return __atomic_load_n(&net->done, __ATOMIC_ACQUIRE) != 0;
}

/* The receiving end has got all cells. */
static void stop_if_done(struct net *net) {
  if (net->tunnels[0].delivered == net->target) {
    __atomic_store_n(&net->done, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < TUNNEL_LEGS + 1; i++) {
      wake(&net->loops[i]);
    }
  }
}

static void *client_thread(void *userdata) {
  struct loop *loop = userdata;
  struct net *net = loop->net;
  struct tunnel *tunnel = &net->tunnels[0];
  while (!is_done(net)) {
    bool worked = false;
    tunnel_now = clock_ns();
    for (unsigned leg = 0; leg < net->legs; leg++) {
      worked |= !ring_is_empty(&net->back[leg][MIDDLES]);
      relays_return(net, tunnel, leg);
      client_receives(net, tunnel, leg);
    }
    client_drains(net, tunnel);
    if (!net->shape.down) {
      uint64_t left = net->target - tunnel->sent;
      worked |= client_sends(net, tunnel, left < ROUND ? left : ROUND) > 0;
    }
    for (unsigned leg = 0; leg < net->legs; leg++) {
      if (!ring_is_empty(&net->out[leg][0])) {
        relays_forward(net, tunnel, leg);
        wake(&net->loops[exit_of(net, leg)]);
      }
    }
    if (net->shape.down) {
      stop_if_done(net);
    }
    if (!worked) {
      sleep_until_called(loop);
    }
  }
  loop->busy_ns = busy_ns();
  return NULL;
}

static void *exit_thread(void *userdata) {
  struct loop *loop = userdata;
  struct net *net = loop->net;
  struct tunnel *tunnel = &net->tunnels[0];
  bool is_home = loop->index == 0;
  while (!is_done(net)) {
    bool worked = false;
    uint32_t before = 0;
    uint32_t after = 0;
    tunnel_now = clock_ns();
    for (unsigned leg = 0; leg < net->legs; leg++) {
      if (exit_of(net, leg) == loop->index) {
        before += net->back[leg][MIDDLES].in.tail;
        worked |= is_home ? exit_receives(net, tunnel, leg) : elsewhere_receives(net, tunnel, leg);
      }
    }
    if (is_home) {
      exit_hears(net);
      exit_drains(net, tunnel);
      if (net->shape.down) {
        uint64_t left = net->target - tunnel->sent;
        worked |= exit_sends(net, tunnel, left < ROUND ? left : ROUND) > 0;
      } else {
        stop_if_done(net);
      }
    } else {
      bool paused = loop->paused;
      elsewhere_hears(net);
      elsewhere_drains(net, tunnel);
      worked |= paused && !loop->paused;
    }
    for (unsigned leg = 0; leg < net->legs; leg++) {
      if (exit_of(net, leg) == loop->index) {
        after += net->back[leg][MIDDLES].in.tail;
      }
    }
    if (after != before) {
      wake(&net->loops[TUNNEL_LEGS]);
    }
    if (!worked) {
      sleep_until_called(loop);
    }
  }
  loop->busy_ns = busy_ns();
  return NULL;
}

struct spent net_run_threads(struct net *net, uint64_t cells) {
  pthread_t threads[TUNNEL_LEGS + 1];
  struct spent spent = {0};
  net->target = net->tunnels[0].sent + cells;
  net->done = 0;
  spent.wall_ns = clock_ns();
  for (unsigned i = 0; i < TUNNEL_LEGS + 1; i++) {
    if (i == TUNNEL_LEGS || i < net->exits) {
      void *(*body)(void *) = i == TUNNEL_LEGS ? client_thread : exit_thread;
      check(pthread_create(&threads[i], NULL, body, &net->loops[i]) == 0, "a thread", 1, 0);
    }
  }
  for (unsigned i = 0; i < TUNNEL_LEGS + 1; i++) {
    if (i == TUNNEL_LEGS || i < net->exits) {
      pthread_join(threads[i], NULL);
    }
  }
  spent.wall_ns = clock_ns() - spent.wall_ns;
  spent.client_ns = net->loops[TUNNEL_LEGS].busy_ns;
  for (unsigned i = 0; i < net->exits; i++) {
    spent.exit_ns[i] = net->loops[i].busy_ns;
  }
  return spent;
}
