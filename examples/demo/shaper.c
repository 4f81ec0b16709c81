#include "shaper.h"

#include <stdlib.h>
#include <string.h>

/* Depth of the bucket: cells that an idle path may send at once. It also makes up for a process that woke late. */
enum { BURST = 16, CAP_FIRST = 256 };

struct parcel {
    uint64_t due_ns;
    struct cell cell;
};

struct shaper {
    uint64_t cell_ns;  /* Tokens for one cell, as time in nanoseconds. */
    uint64_t delay_ns;
    uint64_t spent_ns; /* Tokens are spent up to this time; the bucket is what lies between it and now. */
    size_t first, count, cap;
    struct parcel *parcels; /* A ring. The delay is the same for all, so the first in is the first due. */
};

struct shaper *shaper_new(uint64_t bytes_per_s, uint64_t delay_ns) {
    struct shaper *shaper = calloc(1, sizeof *shaper);
    if (shaper == NULL) return NULL;
    shaper->cell_ns = bytes_per_s == 0 ? 0 : CELL_LEN * UINT64_C(1000000000) / bytes_per_s;
    shaper->delay_ns = delay_ns;
    return shaper;
}

static void grow(struct shaper *shaper) {
    const size_t cap = shaper->cap == 0 ? CAP_FIRST : 2 * shaper->cap;
    struct parcel *parcels = malloc(cap * sizeof *parcels);
    if (parcels == NULL) abort(); /* Out of memory. */
    for (size_t i = 0; i < shaper->count; i++) parcels[i] = shaper->parcels[(shaper->first + i) % shaper->cap];
    free(shaper->parcels);
    shaper->parcels = parcels;
    shaper->cap = cap;
    shaper->first = 0;
}

void shaper_push(struct shaper *shaper, uint64_t now, const struct cell *cell) {
    const uint64_t bucket_ns = BURST * shaper->cell_ns;
    if (shaper->count == shaper->cap) grow(shaper);
    struct parcel *parcel = &shaper->parcels[(shaper->first + shaper->count++) % shaper->cap];
    if (shaper->spent_ns + bucket_ns < now) shaper->spent_ns = now - bucket_ns;
    shaper->spent_ns += shaper->cell_ns;
    parcel->due_ns = (shaper->spent_ns > now ? shaper->spent_ns : now) + shaper->delay_ns;
    parcel->cell = *cell;
}

int shaper_pop(struct shaper *shaper, uint64_t now, struct cell *cell) {
    if (shaper_next_ns(shaper) > now) return 0;
    *cell = shaper->parcels[shaper->first].cell;
    shaper->first = (shaper->first + 1) % shaper->cap;
    shaper->count--;
    return 1;
}

uint64_t shaper_next_ns(const struct shaper *shaper) {
    return shaper->count == 0 ? UINT64_MAX : shaper->parcels[shaper->first].due_ns;
}

uint64_t shaper_waiting_ns(const struct shaper *shaper, uint64_t cells) {
    const uint64_t their_ns = cells * shaper->cell_ns;
    return shaper->spent_ns > their_ns ? shaper->spent_ns - their_ns : 0;
}

size_t shaper_bytes(const struct shaper *shaper) { return shaper->count * CELL_LEN; }
