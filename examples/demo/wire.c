#include "wire.h"

#include "clock.h"
#include "node.h"

#include <stdlib.h>

/* Cells that may wait for tokens: as many as in a channel, and on a fast path so many that a process which wakes late
 * does not leave it idle. It has room again at half of that. */
enum { WAITING_MIN = CHANNEL_FULL / CELL_LEN, WAITING_MS = 25 };

struct wire {
    struct channel *channel;
    struct shaper *shaper; /* NULL: no path. */
    struct event *timer;
    uint64_t waiting_max;
    void (*on_room)(void *owner);
    void *owner;
    int told_full;
};

static uint64_t later(uint64_t one, uint64_t other) { return one > other ? one : other; }
static uint64_t sooner(uint64_t one, uint64_t other) { return one < other ? one : other; }

/* Time at which few enough cells wait, and there is room again. */
static uint64_t room_ns(const struct wire *wire) { return shaper_waiting_ns(wire->shaper, wire->waiting_max / 2); }

/* A full channel tells when it has room; until then no timer is needed. */
static void arm(struct wire *wire) {
    if (wire->shaper == NULL || wire->channel == NULL || channel_is_full(wire->channel)) return;
    uint64_t next = shaper_next_ns(wire->shaper);
    if (wire->told_full) next = sooner(next, room_ns(wire));
    if (next == UINT64_MAX) return;
    const uint64_t now = now_ns(), wait = next > now ? next - now : 0;
    const struct timeval after = {.tv_sec = (time_t)(wait / 1000000000), .tv_usec = (long)(wait % 1000000000 / 1000)};
    event_add(wire->timer, &after);
}

static int has_room(const struct wire *wire) {
    return !channel_is_full(wire->channel) && (wire->shaper == NULL || room_ns(wire) <= now_ns());
}

static void pump(struct wire *wire) {
    struct cell cell;
    if (wire->channel == NULL) return;
    while (wire->shaper != NULL && !channel_is_full(wire->channel) && shaper_pop(wire->shaper, now_ns(), &cell))
        channel_put(wire->channel, &cell);
    if (wire->told_full && has_room(wire)) {
        wire->told_full = 0;
        wire->on_room(wire->owner);
    }
    arm(wire);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    (void)fd;
    (void)what;
    pump(arg);
}

struct wire *wire_new(struct event_base *base, const struct path_limits *limits, void (*on_room)(void *owner),
                      void *owner) {
    const int is_path = limits->bytes_per_s != 0 || limits->delay_ns != 0 || limits->jitter_ns != 0;
    struct wire *wire = calloc(1, sizeof *wire);
    if (wire == NULL) node_fail("out of memory");
    wire->on_room = on_room;
    wire->owner = owner;
    wire->timer = event_new(base, -1, 0, on_timer, wire);
    if (is_path) wire->shaper = shaper_new(limits);
    if (wire->timer == NULL || (wire->shaper == NULL && is_path)) node_fail("out of memory");
    wire->waiting_max = later(WAITING_MIN, limits->bytes_per_s * WAITING_MS / 1000 / CELL_LEN);
    return wire;
}

void wire_attach(struct wire *wire, struct channel *channel) { wire->channel = channel; }

void wire_put(struct wire *wire, const struct cell *cell) {
    if (wire->channel == NULL) return;
    if (wire->shaper == NULL) {
        channel_put(wire->channel, cell);
    } else {
        shaper_push(wire->shaper, now_ns(), cell);
        arm(wire);
    }
}

int wire_is_full(struct wire *wire) {
    if (wire->channel == NULL) return 0; /* Cells put now are dropped. */
    const int full = channel_is_full(wire->channel) ||
                     (wire->shaper != NULL && shaper_waiting_ns(wire->shaper, wire->waiting_max) > now_ns());
    if (full && !wire->told_full) {
        wire->told_full = 1;
        arm(wire);
    }
    return full;
}

void wire_on_room(struct wire *wire) { pump(wire); }

size_t wire_bytes(const struct wire *wire) { return wire->shaper == NULL ? 0 : shaper_bytes(wire->shaper); }
