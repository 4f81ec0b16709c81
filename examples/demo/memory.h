/* What a process keeps for others, in bytes, and the most that it ever was. */
#ifndef DEMO_MEMORY_H
#define DEMO_MEMORY_H

#include <stddef.h>

struct memory {
    size_t streams;  /* Delivered, and not taken by the program that reads the stream. */
    size_t held;     /* By the engine: for order, for sending, and at the edges of circuits. */
    size_t parked;   /* At a relay: what came for circuits that circflow has paused. */
    size_t channels; /* In and out, and on the simulated path. */
};

struct memory_peak {
    struct memory most; /* As it was when the sum was highest. */
    size_t sum;
    int is_news;
};

void memory_note(struct memory_peak *peak, const struct memory *now);

/* Says the highest so far, see node.h, if it has changed since the last time. `loop`: which of the event loops. */
void memory_say(struct memory_peak *peak, unsigned loop);

#endif
