/* A leg's cells: what goes out on it, and what comes in until it is circflow's or the role's. For endpoint.c alone. */
#ifndef DEMO_LEG_H
#define DEMO_LEG_H

#include "endpoint.h"

/* With CIRCFLOW_WANTS_DIGEST among the flags circflow gets the quote of the cell. */
void leg_write(struct leg *leg, const struct circflow_message *message, uint32_t flags);

void leg_write_switch(struct leg *leg, uint32_t delta);

/* Closes our side of a circuit: the other end gets a DESTROY, circflow is told that the circuit is gone. */
void leg_close(struct leg *leg, uint32_t reason, const char *why);

extern const struct channel_events conn_events;

#endif
