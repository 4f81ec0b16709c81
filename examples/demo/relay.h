/* The parts of demo-relay. Each circuit that passes is one that circflow runs (CIRCFLOW_CIRCUIT_REACTOR): cells go in
 * with circflow_circuit_relay(), and come straight out again, or wait at the circuit's edge while the wire is full.
 */
#ifndef DEMO_RELAY_H
#define DEMO_RELAY_H

#include "loop.h"
#include "memory.h"
#include "regular.h"
#include "wire.h"

#include <event2/buffer.h>

enum { SIDES = 2 }; /* CIRCFLOW_SIDE_BACK, towards the client, and CIRCFLOW_SIDE_NEXT, towards the exit. */

/* A circuit on its way through. */
struct passage {
    struct relay *relay;
    struct circflow_circuit_id circuit;
    uint32_t circ_id;
    /* For the side that cells come from: circflow has paused it, and its cells are kept here. */
    int paused[SIDES];
    struct evbuffer *parked[SIDES];
    /* For the side that cells go to: number of cells that wait at the edge. */
    unsigned waiting[SIDES];
};

/* A connection. Cells come from the channel, and go out through the wire, which ends in the channel. */
struct side {
    struct relay *relay;
    uint8_t which;
    struct channel *channel; /* NULL before and after. */
    struct wire *wire;
    /* The wire is full, and cells wait: circuits take turns, see turns.c. */
    int contended;
    size_t turn;
    struct passage *served;
    unsigned quota;
};

struct relay {
    struct loop loop;
    uint16_t next_port;
    struct side sides[SIDES];
    struct passage *passages[CIRC_IDS]; /* The first passage_count are there, in no order. */
    size_t passage_count;
    struct passage *by_id[CIRC_IDS];
    size_t parked_bytes;
    struct memory_peak memory;
    struct circflow_machines_id machines; /* Machines for padding towards the client; zero for no padding. */
    struct regular *regular;              /* With machines: measures the client's padding. */
};

static inline struct side *side_opposite(struct side *side) { return &side->relay->sides[1 - side->which]; }

/* passage.c: the circuits. */

/* Handles a cell that came from that side. */
void passage_handle_cell(struct side *from, struct cell *cell);

/* Obeys an instruction about a circuit. */
void passage_obey(struct relay *relay, const struct circflow_insn *insn, const uint8_t *body);

/* Closes all circuits, as the connection of that side is gone. */
void passages_lost(struct side *side);

/* turns.c: chooses the circuit that may send when the wire is full. */

/* Notes that a cell was put on the side's wire, which may be full now. `waited`: the cell had waited for its turn. */
void turns_note_put(struct side *side, int waited);

/* Tells a new circuit whether the wires are full. */
void turns_join(struct side *side, const struct passage *passage);

void turns_leave(struct relay *relay, const struct passage *passage);

/* Lets circuits send, as the wire has room again. */
void turns_serve(struct side *side);

#endif
