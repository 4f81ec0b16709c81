#include "cell.h"

#include "loop.h"

#include <string.h>

/* Where the digest is in a relay header of format V0: command 1, recognized 2, stream id 2, digest 4, length 2. */
enum { DIGEST_AT = 5 };

static void put_u32(uint8_t *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

void cell_pack(const struct cell *cell, uint8_t wire[CELL_LEN]) {
    put_u32(wire, cell->circ_id);
    wire[4] = cell->command;
    memcpy(wire + 5, cell->body, sizeof cell->body);
}

void cell_unpack(struct cell *cell, const uint8_t wire[CELL_LEN]) {
    cell->circ_id = get_u32(wire);
    cell->command = wire[4];
    memcpy(cell->body, wire + 5, sizeof cell->body);
}

uint32_t cell_hops(const struct cell *cell) { return get_u32(cell->body + DIGEST_AT); }

void cell_set_hops(struct cell *cell, uint32_t hops) { put_u32(cell->body + DIGEST_AT, hops); }

void cell_make_relay(struct cell *cell, uint32_t circ_id, const struct circflow_message *message, uint32_t hops) {
    memset(cell, 0, sizeof *cell);
    cell->circ_id = circ_id;
    cell->command = CELL_RELAY;
    must(circflow_cell_encode(CIRCFLOW_CELL_V0, message, cell->body, NULL), "circflow_cell_encode");
    cell_set_hops(cell, hops);
}

void cell_make_destroy(struct cell *cell, uint32_t circ_id, uint8_t reason) {
    memset(cell, 0, sizeof *cell);
    cell->circ_id = circ_id;
    cell->command = CELL_DESTROY;
    cell->body[0] = reason;
}
