/* The processes that the demo starts. Each has two pipes to the demo: its lines come on one, and it lives only as
 * long as the other is open. So it cannot outlive the demo, however the demo ends. */
#ifndef DEMO_CHILD_H
#define DEMO_CHILD_H

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child;

struct child_events {
    void (*on_line)(void *owner, struct child *child, const char *line);
    void (*on_over)(void *owner, struct child *child, const char *how); /* It ended, by itself or by a signal. */
};

struct child {
    const char *program; /* "relay" is demo-relay, beside the demo itself. */
    const char *title;   /* For people: "middle B". */
    char leg;            /* 'A' or 'B' for a relay, else 0. */
    uint16_t ports[2];   /* Its ports, 0 until it tells them. */
    pid_t pid;
    int control; /* Our end of its standard input. */
    struct bufferevent *lines;
    const struct child_events *events;
    void *owner;
};

enum { CHILD_ARGS_MAX = 10 };

/* Starts child->program with arguments up to a NULL. Returns 0, or -1 with errno. */
int child_start(struct child *child, struct event_base *base, const char *const args[]);

/* Ends the processes that run: first by closing the control pipe, then by force. Returns when all have ended. */
void children_stop(struct child *children, size_t count);

#endif
