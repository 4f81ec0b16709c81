#include "shaper.h"

#include <stdlib.h>
#include <string.h>

/* Depth of the bucket: cells that an idle path may send at once. It also makes up for a process that woke late. */
enum { BURST = 16, CAP_FIRST = 256 };

/* Time from one level of jitter to the next. */
enum { JITTER_STEP_NS = 20000000 };

struct parcel {
    uint64_t due_ns;
    struct cell cell;
};

struct shaper {
    uint64_t cell_ns;  /* Tokens for one cell, as time in nanoseconds. */
    struct path_limits limits;
    uint64_t last_due_ns;
    uint64_t spent_ns; /* Tokens are spent up to this time; the bucket is what lies between it and now. */
    size_t first, count, cap;
    struct parcel *parcels; /* A ring. The first in is the first due. */
};

struct shaper *shaper_new(const struct path_limits *limits) {
    struct shaper *shaper = calloc(1, sizeof *shaper);
    if (shaper == NULL) return NULL;
    shaper->cell_ns = limits->bytes_per_s == 0 ? 0 : CELL_LEN * UINT64_C(1000000000) / limits->bytes_per_s;
    shaper->limits = *limits;
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

/* Noise that is always the same for the same numbers, up to `most`. */
static uint64_t level(uint64_t seed, uint64_t number, uint64_t most) {
    uint64_t x = (seed << 48) + number + 1;
    for (int i = 0; i < 3; i++) {
        x ^= x >> 31;
        x *= UINT64_C(0x9e3779b97f4a7c15);
    }
    return (x ^ x >> 29) % (most + 1);
}

/* A straight line from one level to the next: queues do not jump. */
static uint64_t jitter(const struct path_limits *limits, uint64_t now) {
    const uint64_t step = now / JITTER_STEP_NS, into = now % JITTER_STEP_NS;
    const uint64_t from = level(limits->seed, step, limits->jitter_ns);
    const uint64_t to = level(limits->seed, step + 1, limits->jitter_ns);
    return (from * (JITTER_STEP_NS - into) + to * into) / JITTER_STEP_NS;
}

void shaper_push(struct shaper *shaper, uint64_t now, const struct cell *cell) {
    const uint64_t bucket_ns = BURST * shaper->cell_ns;
    if (shaper->count == shaper->cap) grow(shaper);
    struct parcel *parcel = &shaper->parcels[(shaper->first + shaper->count++) % shaper->cap];
    if (shaper->spent_ns + bucket_ns < now) shaper->spent_ns = now - bucket_ns;
    shaper->spent_ns += shaper->cell_ns;
    const uint64_t leaves_ns = shaper->spent_ns > now ? shaper->spent_ns : now;
    const uint64_t due_ns = leaves_ns + shaper->limits.delay_ns + jitter(&shaper->limits, leaves_ns);
    if (due_ns > shaper->last_due_ns) shaper->last_due_ns = due_ns;
    parcel->due_ns = shaper->last_due_ns;
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
