#include "regular.h"

#include "clock.h"
#include "node.h"

#include <stdlib.h>

enum {
    CELLS_MAX = 100000,
    WARM_UP_MS = 500 /* The handshake is not padding. */
};

struct regular {
    struct loop *loop;
    uint64_t seconds;
    uint64_t (*padding_sent)(void *owner);
    void *owner;
    uint64_t padding_before;
    int measures;
    size_t cells;
    uint64_t came_ns[CELLS_MAX];
};

static int by_size(const void *one, const void *other) {
    const uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

/* The lateness that this percentage of the engine's timers did not exceed: the upper end of a histogram's class. */
static uint64_t lateness_us(const struct circflow_engine_stats *stats, unsigned percent) {
    uint64_t all = 0, seen = 0;
    for (size_t i = 0; i < CIRCFLOW_LATENESS_CLASSES; i++) all += stats->lateness[i];
    for (size_t i = 0; i < CIRCFLOW_LATENESS_CLASSES; i++) {
        seen += stats->lateness[i];
        if (seen * 100 >= all * percent) return UINT64_C(1) << i;
    }
    return 0;
}

static void say_result(struct regular *regular) {
    struct circflow_engine_stats stats = {.size = sizeof stats};
    const size_t gaps = regular->cells > 0 ? regular->cells - 1 : 0;
    const uint64_t span_ns = gaps > 0 ? regular->came_ns[gaps] - regular->came_ns[0] : 0;
    const uint64_t mean_ns = gaps > 0 ? span_ns / gaps : 0;
    for (size_t i = 0; i < gaps; i++) {
        const uint64_t gap_ns = regular->came_ns[i + 1] - regular->came_ns[i];
        regular->came_ns[i] = gap_ns > mean_ns ? gap_ns - mean_ns : mean_ns - gap_ns;
    }
    qsort(regular->came_ns, gaps, sizeof regular->came_ns[0], by_size);
    const uint64_t *off_ns = regular->came_ns;
    must(circflow_engine_get_stats(regular->loop->engine, &stats), "circflow_engine_get_stats");
    node_say("regular %llu %llu %llu %llu %llu %llu %llu %llu", (unsigned long long)gaps, (unsigned long long)span_ns,
             (unsigned long long)(gaps > 0 ? off_ns[gaps / 2] : 0),
             (unsigned long long)(gaps > 0 ? off_ns[gaps * 99 / 100] : 0),
             (unsigned long long)(gaps > 0 ? off_ns[gaps - 1] : 0),
             (unsigned long long)(regular->padding_sent(regular->owner) - regular->padding_before),
             (unsigned long long)lateness_us(&stats, 50), (unsigned long long)lateness_us(&stats, 99));
}

static void call_in(struct regular *regular, uint64_t ms, event_callback_fn fn) {
    const struct timeval wait = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000 * 1000)};
    if (event_base_once(regular->loop->base, -1, EV_TIMEOUT, fn, regular, &wait) != 0)
        node_fail("cannot arm a timer");
}

static void on_over(evutil_socket_t fd, short what, void *arg) {
    struct regular *regular = arg;
    (void)fd;
    (void)what;
    regular->measures = 0;
    say_result(regular);
}

static void on_begin(evutil_socket_t fd, short what, void *arg) {
    struct regular *regular = arg;
    (void)fd;
    (void)what;
    regular->measures = 1;
    regular->padding_before = regular->padding_sent(regular->owner);
    call_in(regular, regular->seconds * 1000, on_over);
}

void regular_note(struct regular *regular) {
    if (regular->measures && regular->cells < CELLS_MAX) regular->came_ns[regular->cells++] = now_ns();
}

void regular_begin_soon(struct regular *regular) { call_in(regular, WARM_UP_MS, on_begin); }

struct regular *regular_new(struct loop *loop, uint64_t seconds, uint64_t (*padding_sent)(void *owner), void *owner) {
    struct regular *regular = calloc(1, sizeof *regular);
    if (regular == NULL) node_fail("out of memory");
    regular->loop = loop;
    regular->seconds = seconds;
    regular->padding_sent = padding_sent;
    regular->owner = owner;
    return regular;
}
