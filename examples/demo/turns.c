/* Many circuits share a wire. While it has room, cells go straight through. Once it is full, circflow keeps the cells
 * of each circuit at its edge, and circuits take turns when there is room, a few cells each: so none waits for the
 * whole backlog of another. circflow leaves that choice to its host, which tells each circuit when it may write. */
#include "clock.h"
#include "relay.h"

enum { TURN_CELLS = 8 };

static void say_writable(const struct side *side, const struct passage *passage, int writable) {
    must_unless_gone(circflow_circuit_set_writable(side->relay->loop.engine, now_ns(), passage->circuit, side->which,
                                                   (uint8_t)writable),
                     "circflow_circuit_set_writable");
}

static void say_all_writable(struct side *side, int writable) {
    side->contended = !writable;
    side->served = NULL;
    for (size_t i = 0; i < side->relay->passage_count; i++)
        say_writable(side, side->relay->passages[i], writable);
}

static void end_turn(struct side *side) {
    if (side->served == NULL) return;
    say_writable(side, side->served, 0);
    side->served = NULL;
}

void turns_note_put(struct side *side, int waited) {
    const int is_full = wire_is_full(side->wire);
    if (!side->contended) {
        if (is_full) say_all_writable(side, 0);
        return;
    }
    if (waited && side->quota > 0) side->quota--;
    if (is_full || side->quota == 0) end_turn(side);
}

void turns_join(struct side *side, const struct passage *passage) {
    if (side->contended) say_writable(side, passage, 0);
}

void turns_leave(struct relay *relay, const struct passage *passage) {
    for (int i = 0; i < SIDES; i++)
        if (relay->sides[i].served == passage) relay->sides[i].served = NULL;
}

/* The next circuit with cells that wait, or NULL. */
static struct passage *next_in_turn(struct side *side) {
    struct relay *relay = side->relay;
    for (size_t i = 0; i < relay->passage_count; i++) {
        struct passage *passage = relay->passages[side->turn++ % relay->passage_count];
        if (passage->waiting[side->which] > 0) return passage;
    }
    return NULL;
}

static void serve(struct side *side, struct passage *passage) {
    side->served = passage;
    side->quota = TURN_CELLS;
    say_writable(side, passage, 1);
    loop_settle(&side->relay->loop); /* Writes the cells, and ends the turn when it was long enough. */
    end_turn(side);
}

void turns_serve(struct side *side) {
    size_t idle = 0; /* Number of last turns without a cell: padding may hold a circuit's cells back. */
    if (!side->contended) return;
    while (!wire_is_full(side->wire) && idle < side->relay->passage_count) {
        struct passage *passage = next_in_turn(side);
        if (passage == NULL) break;
        serve(side, passage);
        idle = side->quota == TURN_CELLS ? idle + 1 : 0;
    }
    if (!wire_is_full(side->wire)) say_all_writable(side, 1);
    loop_settle(&side->relay->loop);
}
