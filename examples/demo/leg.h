/* The cells of a leg: sends them, and passes cells that come to circflow. Only for endpoint.c. */
#ifndef DEMO_LEG_H
#define DEMO_LEG_H

#include "endpoint.h"

/* With CIRCFLOW_WANTS_DIGEST in the flags, circflow gets the digest of the cell. */
void leg_write(struct leg *leg, const struct circflow_message *message, uint32_t flags);

void leg_write_switch(struct leg *leg, uint32_t delta);

/* Closes our side of a circuit: the other end gets a DESTROY, circflow is told that the circuit is gone. */
void leg_close(struct leg *leg, uint32_t reason, const char *why);

extern const struct channel_events conn_events;

#endif
