/* One engine of circflow in one event loop, as each process here has, and a host of your own will have too. Cells and
 * time are fed elsewhere; this file drains the instructions and runs the one timer.
 */
#ifndef DEMO_LOOP_H
#define DEMO_LOOP_H

#include <circflow.h>
#include <event2/event.h>
#include <stddef.h>

struct loop {
    unsigned number; /* Number in its process, from 0. */
    struct event_base *base;
    struct circflow_engine *engine;
    struct event *timer;
    struct event *waker;   /* Another thread has woken this loop. */
    int wake_fd;
    uint64_t armed_ns;     /* Time for which the timer is set. */
    circflow_insn_fn obey; /* Obeys an instruction. */
    void *owner;
};

/* What the demo says to each process: the number of its first engine, so that no two engines of the demo have the same,
 * and the file for what happens in them, or "". Before loop_open(). */
void loops_name(const char *engine_number, const char *trace_file);

/* Makes the engine, under a number of its own. */
void loop_open(struct loop *loop, struct event_base *base, unsigned number, circflow_insn_fn obey, void *owner);

/* Joins the engine to those of the process's other loops, so that a set can have legs on several. Before anything else
 * is done with it. */
void loop_join(struct loop *loop, struct circflow_hub *hub);

/* Runs until the base is told to end, or loop_stop() is called. */
void loop_run(struct loop *loop);

/* Ends the loop, which runs in another thread. */
void loop_stop(struct loop *loop);

/* Drains the engine and arms the timer. Every event handler ends with it. */
void loop_settle(struct loop *loop);

/* Makes the loop settle soon. The one function here that may be called from another thread; it takes a struct loop. */
void loop_wake(void *loop);

/* Bytes that the engine holds: for order, for sending and at edges. */
size_t loop_held_bytes(const struct loop *loop);

/* Random bytes of the system. */
void random_bytes(uint8_t *bytes, size_t len);

/* For calls that must not fail: ends the process with a message unless status is CIRCFLOW_OK. */
void must(enum circflow_status status, const char *what);

/* Like must(), but lets a call fail when its circuit is closing or gone. */
void must_unless_gone(enum circflow_status status, const char *what);

#endif
