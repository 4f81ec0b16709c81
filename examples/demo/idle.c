/* demo-idle client MACHINES_FILE SECONDS GUARD_PORT
 * demo-idle exit MACHINES_FILE SECONDS PORT
 *
 * Client and exit of a conflux set of one leg that nobody uses: all that travels is padding. Each notes when cells come
 * in for so many seconds, and says then how regular they were, see node.h.
 */
#include "clock.h"
#include "endpoint.h"
#include "node.h"
#include "padding.h"

#include <stdlib.h>
#include <string.h>

enum {
    CELLS_MAX = 100000,
    WARM_UP_MS = 500, /* The handshake is none of the padding. */
    WINDOW = 4 * SENDME_INC
};

#define LINK_TIMEOUT_NS UINT64_C(8000000000)

struct idle {
    struct endpoint endpoint;
    uint64_t seconds, began_ns, came_ns[CELLS_MAX];
    size_t cells;
    uint64_t padding_before;
    int measures;
};

static int by_size(const void *one, const void *other) {
    const uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return a < b ? -1 : a > b;
}

/* The time below which so many per cent of the engine's timers were late: the upper end of a class of the histogram. */
static uint64_t lateness_us(const struct circflow_engine_stats *stats, unsigned percent) {
    uint64_t all = 0, seen = 0;
    for (size_t i = 0; i < CIRCFLOW_LATENESS_CLASSES; i++) all += stats->lateness[i];
    for (size_t i = 0; i < CIRCFLOW_LATENESS_CLASSES; i++) {
        seen += stats->lateness[i];
        if (seen * 100 >= all * percent) return UINT64_C(1) << i;
    }
    return 0;
}

static uint64_t padding_sent(struct idle *idle) {
    struct circflow_padding_stats stats;
    padding_figures(&idle->endpoint, &stats);
    return stats.padding_sent;
}

static void say_result(struct idle *idle) {
    struct circflow_engine_stats stats = {.size = sizeof stats};
    const size_t gaps = idle->cells > 0 ? idle->cells - 1 : 0;
    const uint64_t span_ns = gaps > 0 ? idle->came_ns[gaps] - idle->came_ns[0] : 0;
    const uint64_t mean_ns = gaps > 0 ? span_ns / gaps : 0;
    for (size_t i = 0; i < gaps; i++) {
        const uint64_t gap_ns = idle->came_ns[i + 1] - idle->came_ns[i];
        idle->came_ns[i] = gap_ns > mean_ns ? gap_ns - mean_ns : mean_ns - gap_ns;
    }
    qsort(idle->came_ns, gaps, sizeof idle->came_ns[0], by_size);
    const uint64_t *off_ns = idle->came_ns;
    must(circflow_engine_get_stats(idle->endpoint.engine, &stats), "circflow_engine_get_stats");
    node_say("regular %llu %llu %llu %llu %llu %llu %llu %llu", (unsigned long long)gaps, (unsigned long long)span_ns,
             (unsigned long long)(gaps > 0 ? off_ns[gaps / 2] : 0),
             (unsigned long long)(gaps > 0 ? off_ns[gaps * 99 / 100] : 0),
             (unsigned long long)(gaps > 0 ? off_ns[gaps - 1] : 0),
             (unsigned long long)(padding_sent(idle) - idle->padding_before),
             (unsigned long long)lateness_us(&stats, 50), (unsigned long long)lateness_us(&stats, 99));
}

static void call_in(struct idle *idle, uint64_t ms, event_callback_fn fn) {
    const struct timeval wait = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (long)(ms % 1000 * 1000)};
    if (event_base_once(idle->endpoint.base, -1, EV_TIMEOUT, fn, idle, &wait) != 0) node_fail("cannot arm a timer");
}

static void on_over(evutil_socket_t fd, short what, void *arg) {
    struct idle *idle = arg;
    (void)fd;
    (void)what;
    idle->measures = 0;
    say_result(idle);
}

static void on_begin(evutil_socket_t fd, short what, void *arg) {
    struct idle *idle = arg;
    (void)fd;
    (void)what;
    idle->measures = 1;
    idle->padding_before = padding_sent(idle);
    call_in(idle, idle->seconds * 1000, on_over);
}

static void on_cell(struct endpoint *endpoint) {
    struct idle *idle = endpoint->owner;
    if (idle->measures && idle->cells < CELLS_MAX) idle->came_ns[idle->cells++] = now_ns();
}

static void on_usable(struct endpoint *endpoint) { call_in(endpoint->owner, WARM_UP_MS, on_begin); }

static void on_message(struct endpoint *endpoint, const struct circflow_message *message) {
    (void)endpoint;
    (void)message;
}

static void on_room(struct endpoint *endpoint) { (void)endpoint; }

static void on_ended(struct endpoint *endpoint, const char *why) {
    (void)endpoint;
    node_fail("%s", why);
}

static const struct endpoint_role client_role = {
    .circflow_role = CIRCFLOW_ROLE_CLIENT,
    .peer_hop = HOPS,
    .sent_hops = HOPS,
    .on_message = on_message,
    .on_usable = on_usable,
    .on_room = on_room,
    .on_ended = on_ended,
    .on_cell = on_cell,
};

static const struct endpoint_role exit_role = {
    .circflow_role = CIRCFLOW_ROLE_EXIT,
    .peer_hop = 0,
    .sent_hops = 1,
    .on_message = on_message,
    .on_usable = on_usable,
    .on_room = on_room,
    .on_ended = on_ended,
    .on_cell = on_cell,
};

int main(int argc, char **argv) {
    static struct idle idle = {.endpoint.windows = {WINDOW, WINDOW}};
    struct endpoint *endpoint = &idle.endpoint;
    struct circflow_set_config config;
    endpoint->base = node_start();
    if (argc != 5) node_fail("demo-idle is started by the demo");
    const int is_client = strcmp(argv[1], "client") == 0;
    idle.seconds = node_number(argv[3], 600);
    uint16_t port = (uint16_t)node_number(argv[4], UINT16_MAX);
    endpoint_open(endpoint, is_client ? &client_role : &exit_role, &idle);
    padding_load(endpoint, argv[2]);
    must(circflow_set_config_init(&config, sizeof config), "circflow_set_config_init");
    config.link_timeout_ns = LINK_TIMEOUT_NS;
    if (is_client) {
        endpoint_open_set(endpoint, &config);
        endpoint_connect(endpoint, &port, 1);
    } else {
        must(circflow_engine_accept_sets(endpoint->engine, &config), "circflow_engine_accept_sets");
        node_listen(endpoint->base, port, endpoint_accept, endpoint);
    }
    event_base_dispatch(endpoint->base);
    return 0;
}
