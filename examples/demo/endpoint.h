/* An end of circuits and sets: the code that client and exit share, and that a host of your own will have too.
 * It feeds cells, and obeys circflow's verdicts and instructions. circflow runs all circuits
 * (CIRCFLOW_CIRCUIT_REACTOR), so congestion windows, SENDMEs, XON and XOFF are not here.
 */
#ifndef DEMO_ENDPOINT_H
#define DEMO_ENDPOINT_H

#include "channel.h"
#include "digest.h"
#include "loop.h"
#include "memory.h"

#include <event2/listener.h>

enum { STREAM_ID = 1 }; /* The one stream of a set. */

struct endpoint;

/* A set, and its one stream. Client and exit keep more: the first field of their own structs is this one. */
struct tunnel {
    struct circflow_set_id set;
    struct circflow_stream_id stream;
    int done; /* Its legs may go. */
};

/* A connection to a guard or from a middle, with a leg of each set on it. */
struct conn {
    struct endpoint *endpoint;
    struct channel *channel;
    int full; /* At least some legs were told that the channel is full. */
    size_t turn;
};

/* A circuit, as long as this end knows it. */
struct leg {
    struct endpoint *endpoint;
    struct conn *conn;
    struct circflow_circuit_id circuit; /* Zero after. */
    uint32_t circ_id;
    int full; /* circflow was told that the channel is full. */
    struct tunnel *tunnel; /* At an exit set when the leg is linked; NULL when the set is on another loop. */
    struct digest sent, received[HOPS + 1]; /* By the hop that cells come from; 0 at an exit. */
    uint64_t cells, cwnd_peak, rtt_ns, cwnd;
};

/* What differs between client and exit. Each may use the functions below. */
struct endpoint_role {
    uint8_t circflow_role;
    uint8_t peer_hop; /* The other end in circflow: HOPS or 0. */
    uint8_t padded_hop; /* The hop to pad with. */

    /* Exit: a set has come with its first leg. */
    struct tunnel *(*on_set)(struct endpoint *endpoint, struct circflow_set_id set);
    void (*on_usable)(struct endpoint *endpoint, struct tunnel *tunnel);
    /* A message of a stream, in order. */
    void (*on_message)(struct endpoint *endpoint, struct tunnel *tunnel, struct circflow_stream_id stream,
                       const struct circflow_message *message);
    /* The stream of a tunnel may send again. */
    void (*on_room)(struct endpoint *endpoint, struct tunnel *tunnel);
    void (*on_ended)(struct endpoint *endpoint, struct tunnel *tunnel, const char *why);
    void (*on_cell)(struct endpoint *endpoint, uint8_t hop); /* A cell of any kind came. May be NULL. */
    size_t (*stream_bytes)(struct endpoint *endpoint); /* Bytes that programs have not taken. May be NULL. */
};

struct endpoint {
    struct loop loop;
    const struct endpoint_role *role;
    void *owner;
    struct conn conns[LEGS_MAX];
    size_t conn_count;
    struct leg *legs[CIRC_IDS]; /* By circuit id; NULL without a leg. */
    struct tunnel *tunnels[SETS_MAX];
    size_t tunnel_count;
    struct circflow_machines_id machines; /* Machines of the legs, zero for no padding. */
    struct circflow_padding_stats padding_gone; /* Figures of legs that have gone. */
    struct memory_peak memory;
    char lost[160]; /* The leg that was lost first, and why. */
};

void endpoint_open(struct endpoint *endpoint, struct event_base *base, unsigned number,
                   const struct endpoint_role *role, void *owner);

/* Makes a circuit known to the engine. */
struct leg *endpoint_add_leg(struct endpoint *endpoint, struct conn *conn, uint32_t circ_id);

/* Client: connects to the guard of each leg. */
void endpoint_connect(struct endpoint *endpoint, const uint16_t *ports, size_t count);

/* Client: opens a set with a new nonce, with a leg over each guard. */
void endpoint_open_set(struct endpoint *endpoint, struct tunnel *tunnel, unsigned number);

/* Exit: accepts sets, whose legs it chooses by CIRCFLOW_ALGORITHM_*; and connections, with node_listen(). */
void endpoint_accept_sets(struct endpoint *endpoint, uint8_t algorithm);
void endpoint_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len, void *arg);

/* Sends a message of a tunnel's stream, now or when padding lets it. Returns what circflow_stream_send() returns. */
enum circflow_status endpoint_send(struct endpoint *endpoint, struct tunnel *tunnel, uint8_t command,
                                   const uint8_t *body, size_t body_len);

/* Drains, and arms the timer. Every event handler ends with it. */
void endpoint_settle(struct endpoint *endpoint);

/* Reads the set's figures. Returns 0, or -1 when there is no set (any more). */
int endpoint_stats(const struct endpoint *endpoint, const struct tunnel *tunnel, struct circflow_set_stats *stats);

/* Figures of all legs A (0), or all legs B (1). */
struct leg_figures {
    uint64_t legs;                /* Legs that have sent DATA: the averages are over these. */
    uint64_t rtt_ns, cwnd;        /* On average. */
    uint64_t cells;               /* Received. */
    uint64_t cwnd_peak;           /* Sum of the largest window of each leg. */
};
struct leg_figures endpoint_leg_figures(const struct endpoint *endpoint, unsigned leg);

/* Prints the lines about padding machines and memory, see node.h. */
void endpoint_say_figures(struct endpoint *endpoint);

#endif
