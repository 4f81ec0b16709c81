/* An end of the circuits that uses circflow: what the client and the exit have in common, and what a host of your own
 * will have too. It puts cells in, does what circflow's verdicts and instructions say, and arms the one timer.
 */
#ifndef DEMO_ENDPOINT_H
#define DEMO_ENDPOINT_H

#include "channel.h"
#include "congestion.h"

#include <event2/listener.h>

struct endpoint;

/* A circuit, from the first to the last that this end knows of it. */
struct leg {
    struct endpoint *endpoint;
    struct channel *channel;             /* NULL before and after. */
    struct circflow_circuit_id circuit;  /* Zero before and after. */
    uint32_t circ_id;                    /* 0 at an exit until its first cell names it. */
    struct congestion congestion;
    int linked, blocked;                 /* blocked: the channel's output is full. */
    uint64_t cells;                      /* Received. */
};

/* What differs between client and exit. Each may use the functions below. */
struct endpoint_role {
    uint8_t circflow_role;
    uint8_t peer_hop; /* How circflow calls the other end, HOPS or 0. */
    uint32_t sent_hops; /* The hop count that this end starts its cells with. */

    void (*on_message)(struct endpoint *endpoint, const struct circflow_message *message); /* In order. */
    void (*on_usable)(struct endpoint *endpoint);
    void (*on_room)(struct endpoint *endpoint);
    void (*on_ended)(struct endpoint *endpoint, const char *why);
    void (*on_cell)(struct endpoint *endpoint); /* A cell came, of whatever kind. May be NULL. */
};

struct endpoint {
    struct event_base *base;
    struct circflow_engine *engine;
    struct event *timer;
    uint64_t armed_ns; /* What the timer is armed for. */
    const struct endpoint_role *role;
    void *owner;
    struct circflow_set_id set;
    struct leg legs[LEGS_MAX];
    size_t leg_count;
    struct circflow_machines_id machines; /* What the legs pad with, zero for none. */
    struct circflow_padding_stats padding_gone; /* Of legs that have gone. */
    uint64_t windows[LEGS_MAX]; /* By circuit id: leg A, leg B. */
    char lost[160];             /* Which leg was lost first, and why. */
};

/* Random bytes of the system. */
void endpoint_random(uint8_t *bytes, size_t len);

void endpoint_open(struct endpoint *endpoint, const struct endpoint_role *role, void *owner);

/* Makes a circuit known to the engine. The caller gives it its channel. */
struct leg *endpoint_add_leg(struct endpoint *endpoint, uint32_t circ_id);

/* Client: opens a set, under a nonce of its own. */
void endpoint_open_set(struct endpoint *endpoint, struct circflow_set_config *config);

/* Client: adds a leg over the guard at each port. */
void endpoint_connect(struct endpoint *endpoint, const uint16_t *ports, size_t count);

/* Exit: takes a circuit; for node_listen(). */
void endpoint_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len, void *arg);

/* Sends a message of a stream on the leg that circflow chooses, now or when padding lets it. Answers as
 * circflow_set_send() does. */
enum circflow_status endpoint_send(struct endpoint *endpoint, const struct circflow_message *message);

/* The one funnel out: drains the engine and arms the timer. Every event handler ends with it. */
void endpoint_settle(struct endpoint *endpoint);

/* The leg of that circuit id, or NULL. */
struct leg *endpoint_leg(struct endpoint *endpoint, uint32_t circ_id);

/* The set's figures. 0, or -1 when there is no set (any more). */
int endpoint_stats(struct endpoint *endpoint, struct circflow_set_stats *stats);

/* For what must not happen: ends the process with a message unless status is CIRCFLOW_OK. */
void must(enum circflow_status status, const char *what);

#endif
