/* Cells as they travel between the processes: circuit id (4 bytes), command (1), body (509), as in Tor since link
 * protocol 4.
 *
 * One thing is not as in Tor: there is no onion encryption. In its place the digest field of the relay header, which
 * the crypto layer owns and circflow does not touch, holds a count of hops:
 *
 *   towards the exit    the client writes how many hops the cell has to go, each hop takes one off, and the hop that
 *                       comes to 0 recognises the cell;
 *   towards the client  the sender writes 1, each hop on the way adds one, and what the client reads is the number of
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
    LEGS_MAX = 2,
    SENDME_INC = 31, /* DATA cells that one SENDME acknowledges. */
    TAG_LEN = 20     /* What a SENDME quotes of the cell that it acknowledges. */
};

/* DESTROY reasons (tor-spec 5.4). */
enum { REASON_PROTOCOL = 1, REASON_INTERNAL = 2, REASON_CHANNEL_CLOSED = 8 };

struct cell {
    uint32_t circ_id; /* Circuits are set up in advance: leg A is circuit 1 on all its connections, leg B circuit 2. */
    uint8_t command;
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
};

void cell_pack(const struct cell *cell, uint8_t wire[CELL_LEN]);
void cell_unpack(struct cell *cell, const uint8_t wire[CELL_LEN]);

uint32_t cell_hops(const struct cell *cell);
void cell_set_hops(struct cell *cell, uint32_t hops);

void cell_make_destroy(struct cell *cell, uint32_t circ_id, uint8_t reason);

/* The tag by which a SENDME names this cell. Tor takes it from the digest; here it is a hash of the body without the
 * hop count, which differs between the ends. */
void cell_tag(const struct cell *cell, uint8_t tag[TAG_LEN]);

void put_u32(uint8_t *at, uint32_t value);
uint32_t get_u32(const uint8_t *at);

#endif
