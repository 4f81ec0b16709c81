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
    /* By the side that cells come from: circflow has asked us to stop, and so we keep what comes. */
    int paused[SIDES];
    struct evbuffer *parked[SIDES];
    /* By the side that they go to: cells that wait at the edge. */
    unsigned waiting[SIDES];
};

/* One connection. Cells that come are the channel's, cells that go are the wire's, which ends in the channel. */
struct side {
    struct relay *relay;
    uint8_t which;
    struct channel *channel; /* NULL before and after. */
    struct wire *wire;
    /* The wire was full, and cells wait: circuits take turns, see turns.c. */
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
    struct circflow_machines_id machines; /* What the relay pads with, towards the client; zero for none. */
    struct regular *regular;              /* With machines: how regular the client's padding comes. */
};

static inline struct side *side_opposite(struct side *side) { return &side->relay->sides[1 - side->which]; }

/* passage.c: the circuits. */

/* A cell came from that side. */
void passage_handle_cell(struct side *from, struct cell *cell);

/* Does what an instruction about a circuit says. */
void passage_obey(struct relay *relay, const struct circflow_insn *insn, const uint8_t *body);

/* The connection of that side is gone, and all circuits with it. */
void passages_lost(struct side *side);

/* turns.c: who may send when not all can. */

/* A cell was put on the side's wire: that may have been as much as it takes. `waited`: it had waited for its turn. */
void turns_note_put(struct side *side, int waited);

/* A circuit that has just been opened goes by what holds for all others. */
void turns_join(struct side *side, const struct passage *passage);

void turns_leave(struct relay *relay, const struct passage *passage);

/* The wire has room again. */
void turns_serve(struct side *side);

#endif
