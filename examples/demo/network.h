/* The parts of a transfer: network.c starts the processes, lines.c reads their lines, transfer.c waits for the end. */
#ifndef DEMO_NETWORK_H
#define DEMO_NETWORK_H

#include "child.h"
#include "transfer.h"

struct transfer {
    const struct options *options;
    const struct cargo *cargo;
    size_t legs;
    struct event_base *base;
    struct child children[PROCESSES];
    struct progress progress;
    uint64_t moved_ns; /* Time of the last progress. */
    char first_failure[384];
    char cause[128]; /* The relay that died first, or empty text. */
    unsigned parts_sent, parts_received; /* Correct parts. */
    int has_sent, has_received;
    struct padding padding[ENDS][LOOPS_MAX];
    struct transfer_result *result;
};

/* Starts all processes, one after the other. Returns 0, or -1 after a failure. */
int network_start(struct transfer *transfer);

/* Waits until a process has told this number of ports. Returns 0, or -1 after a failure. */
int transfer_wait_for_ports(struct transfer *transfer, const struct child *child, unsigned count);

/* Notes a failure. Only the first counts: later ones are its consequences. */
void transfer_fail(struct transfer *transfer, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

extern const struct child_events line_events;

#endif
