/* Padding machines, and what they did. All that a host has to do for padding besides is to say when cells are written,
 * as padding needs to know of each. */
#ifndef DEMO_PADDING_H
#define DEMO_PADDING_H

#include "loop.h"

/* Loads machines from a file. An empty path is for none: zero. */
struct circflow_machines_id padding_load(struct loop *loop, const char *path);

/* Adds the figures of a circuit's padder at a hop, if there is one; blocked_ns of the one that was blocked longest. */
void padding_add(struct circflow_padding_stats *sum, const struct loop *loop, struct circflow_circuit_id circuit,
                 uint8_t hop);

/* Says them, see node.h. `loop` is the number of the event loop. */
void padding_say(const struct circflow_padding_stats *sum, unsigned loop);

#endif
