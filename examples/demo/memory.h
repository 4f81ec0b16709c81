/* The bytes that a process keeps for others, and the most that it ever kept. */
#ifndef DEMO_MEMORY_H
#define DEMO_MEMORY_H

#include <stddef.h>

struct memory {
    size_t streams;  /* Delivered, and not yet taken by the program that reads the stream. */
    size_t held;     /* By the engine: for order, for sending, and at the edges of circuits. */
    size_t parked;   /* At a relay: cells that came for paused circuits. */
    size_t channels; /* In channels, in and out, and on the simulated path. */
};

struct memory_peak {
    struct memory most; /* The values when their sum was highest. */
    size_t sum;
    int is_news;
};

void memory_note(struct memory_peak *peak, const struct memory *now);

/* Prints the highest values so far, see node.h, if they have changed. `loop` is the number of the event loop. */
void memory_say(struct memory_peak *peak, unsigned loop);

#endif
