/* Padding machines, and their figures. Besides loading machines, a host has to report when cells are written: that
 * is all that padding needs. */
#ifndef DEMO_PADDING_H
#define DEMO_PADDING_H

#include "loop.h"

/* Loads machines from a file. An empty path gives no machines: zero. */
struct circflow_machines_id padding_load(struct loop *loop, const char *path);

/* Adds the figures of a circuit's padder at a hop, if there is one; blocked_ns is the longest of all. */
void padding_add(struct circflow_padding_stats *sum, const struct loop *loop, struct circflow_circuit_id circuit,
                 uint8_t hop);

/* Prints the figures, see node.h. `loop` is the number of the event loop. */
void padding_say(const struct circflow_padding_stats *sum, unsigned loop);

#endif
