/* A leg's cells: what goes out on it, and what comes in until it is circflow's or the role's. For endpoint.c alone. */
#ifndef DEMO_LEG_H
#define DEMO_LEG_H

#include "endpoint.h"

void leg_report(struct leg *leg);

void leg_write(struct leg *leg, const struct circflow_message *message);
void leg_write_control(struct leg *leg, uint8_t command, const uint8_t *body, size_t body_len);
void leg_write_switch(struct leg *leg, uint32_t delta);

/* Closes our side of a circuit: the other end gets a DESTROY, circflow is told that the circuit is gone. */
void leg_close(struct leg *leg, uint32_t reason, const char *why);

/* A message to handle, its turn in the set has come. Its leg may have gone; a SENDME's has not. */
void leg_deliver(struct endpoint *endpoint, struct leg *leg, const struct circflow_message *message);

extern const struct channel_events leg_events;

#endif
