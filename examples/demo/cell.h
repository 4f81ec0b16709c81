/* Cells as they travel between the processes: circuit id (4 bytes), command (1), body (509), as in Tor since link
 * protocol 4.
 *
 * One thing is not as in Tor: there is no onion encryption. Instead the digest field of the relay header, which
 * the crypto layer owns and circflow does not touch, holds a count of hops:
 *
 *   towards the exit    the client writes how many hops the cell has to go, each hop subtracts 1, and the hop that
 *                       comes to 0 recognises the cell;
 *   towards the client  the sender writes 1, each hop on the way adds 1, and the client reads the number of
 *                       the hop that the cell came from.
 */
#ifndef DEMO_CELL_H
#define DEMO_CELL_H

#include <circflow.h>
#include <stdint.h>

enum {
    CELL_LEN = 514,
    CELL_RELAY = 3,   /* tor-spec 3 */
    CELL_DESTROY = 4, /* Its body begins with the reason. */
    HOPS = 3,         /* Guard, middle, exit. */
    MIDDLE_HOP = 2,
    LEGS_MAX = 2,
    LOOPS_MAX = 2 /* Event loops of a process, each in a thread of its own. */
};

/* DESTROY reasons (tor-spec 5.4). */
enum { REASON_PROTOCOL = 1, REASON_INTERNAL = 2, REASON_RESOURCELIMIT = 5, REASON_CHANNEL_CLOSED = 8 };

/* Circuits are set up in advance: each has the same id on all its connections, made of the number of its set and of its
 * leg in it, both from 0. */
enum { SETS_MAX = 1000, CIRC_IDS = 1 + SETS_MAX * LEGS_MAX };

static inline uint32_t circ_id_of(unsigned set, unsigned leg) { return 1 + set * LEGS_MAX + leg; }
static inline unsigned circ_id_leg(uint32_t circ_id) { return (circ_id - 1) % LEGS_MAX; }
static inline int circ_id_is_good(uint32_t circ_id) { return circ_id > 0 && circ_id < CIRC_IDS; }

struct cell {
    uint32_t circ_id;
    uint8_t command;
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
};

void cell_pack(const struct cell *cell, uint8_t wire[CELL_LEN]);
void cell_unpack(struct cell *cell, const uint8_t wire[CELL_LEN]);

uint32_t cell_hops(const struct cell *cell);
void cell_set_hops(struct cell *cell, uint32_t hops);

/* A relay cell with that message in it. The rest of the body should be random (tor-spec 6.1); nothing is encrypted
 * here, so nothing would be gained. */
void cell_make_relay(struct cell *cell, uint32_t circ_id, const struct circflow_message *message, uint32_t hops);

void cell_make_destroy(struct cell *cell, uint32_t circ_id, uint8_t reason);

#endif
