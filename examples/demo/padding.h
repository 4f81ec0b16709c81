/* Padding machines on the legs of one end, and what they did. All that a host has to do for padding besides is where
 * cells are written (leg_write_sendme(), on_leg_written() in leg.c), as padding needs to know of each.
 */
#ifndef DEMO_PADDING_H
#define DEMO_PADDING_H

#include "endpoint.h"

/* Loads the machines that the legs shall run. An empty path is for none: then none of these does anything. */
void padding_load(struct endpoint *endpoint, const char *path);

/* Sets the machines up on a leg, before its first cell. */
void padding_install(struct leg *leg);

/* A leg is about to go, and its padder's figures with it: keeps them. */
void padding_keep(struct leg *leg);

/* Figures of all legs, summed up; blocked_ns of the leg that was blocked longest. */
void padding_figures(struct endpoint *endpoint, struct circflow_padding_stats *sum);

/* Says them, see node.h. */
void padding_say(struct endpoint *endpoint);

#endif
