/* One engine of circflow in one event loop: what each process has, and what a host of your own will have too. Cells and
 * time go in elsewhere; here is the way out: instructions, and the one timer.
 */
#ifndef DEMO_LOOP_H
#define DEMO_LOOP_H

#include <circflow.h>
#include <event2/event.h>
#include <stddef.h>

struct loop {
    unsigned number; /* Of the process's loops, from 0. */
    struct event_base *base;
    struct circflow_engine *engine;
    struct event *timer;
    struct event *waker;   /* Another thread wants us to look. */
    int wake_fd;
    uint64_t armed_ns;     /* What the timer is armed for. */
    circflow_insn_fn obey; /* Does what an instruction says. */
    void *owner;
};

/* Makes the engine, under a number of its own. */
void loop_open(struct loop *loop, struct event_base *base, unsigned number, circflow_insn_fn obey, void *owner);

/* Joins the engine to those of the process's other loops, so that a set can have legs on several. Before anything else
 * is done with it. */
void loop_join(struct loop *loop, struct circflow_hub *hub);

/* The one funnel out: drains the engine and arms the timer. Every event handler ends with it. */
void loop_settle(struct loop *loop);

/* Makes the loop settle soon. The one function here that may be called from another thread; it takes a struct loop. */
void loop_wake(void *loop);

/* What is held by the engine, in bytes: for order, for sending and at edges. */
size_t loop_held_bytes(const struct loop *loop);

/* Random bytes of the system. */
void random_bytes(uint8_t *bytes, size_t len);

/* For what must not happen: ends the process with a message unless status is CIRCFLOW_OK. */
void must(enum circflow_status status, const char *what);

/* The same about a circuit that may be on its way out, or whose time may be over: then nobody needs to know. */
void must_unless_gone(enum circflow_status status, const char *what);

#endif
