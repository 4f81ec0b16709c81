#include "loop.h"

#include "clock.h"
#include "node.h"
#include "record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Instructions taken at a time, so that sockets get their turn too. */
enum { DRAIN_BUDGET = 1024 };

/* What loop_stop() adds to the counter by which a loop is woken. */
#define STOP (UINT64_C(1) << 32)

static unsigned first_engine = 1;

void must(enum circflow_status status, const char *what) {
    if (status == CIRCFLOW_OK) return;
    node_fail("%s: %s: %s", what, circflow_status_name((int32_t)status), circflow_status_text((int32_t)status));
}

void must_unless_gone(enum circflow_status status, const char *what) {
    if (status != CIRCFLOW_ERR_CLOSING && status != CIRCFLOW_ERR_EXPIRED) must(status, what);
}

void random_bytes(uint8_t *bytes, size_t len) {
    FILE *source = fopen("/dev/urandom", "rb");
    if (source == NULL || fread(bytes, 1, len, source) != len) node_fail("cannot read /dev/urandom");
    fclose(source);
}

size_t loop_held_bytes(const struct loop *loop) {
    struct circflow_engine_stats stats = {.size = sizeof stats};
    must(circflow_engine_get_stats(loop->engine, &stats), "circflow_engine_get_stats");
    return stats.held_bytes;
}

static void arm(struct loop *loop, uint64_t deadline_ns) {
    if (deadline_ns == loop->armed_ns) return;
    loop->armed_ns = deadline_ns;
    if (deadline_ns == CIRCFLOW_NEVER) {
        event_del(loop->timer);
        return;
    }
    const uint64_t now = now_ns(), wait = deadline_ns > now ? deadline_ns - now + 999 : 0; /* Rounded up. */
    const struct timeval after = {.tv_sec = (time_t)(wait / 1000000000), .tv_usec = (long)(wait % 1000000000 / 1000)};
    event_add(loop->timer, &after);
}

void loop_settle(struct loop *loop) {
    uint64_t deadline_ns; /* 0 when there is more to drain: come back at once, but let the sockets have a turn. */
    must(circflow_engine_drain(loop->engine, DRAIN_BUDGET, NULL, loop->obey, loop->owner), "circflow_engine_drain");
    must(circflow_engine_get_deadline(loop->engine, &deadline_ns), "circflow_engine_get_deadline");
    arm(loop, deadline_ns);
}

static void look(struct loop *loop) {
    must(circflow_engine_tick(loop->engine, now_ns()), "circflow_engine_tick");
    loop_settle(loop);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct loop *loop = arg;
    (void)fd;
    (void)what;
    loop->armed_ns = CIRCFLOW_NEVER;
    look(loop);
}

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    uint64_t times;
    struct loop *loop = arg;
    (void)what;
    if (read(fd, &times, sizeof times) != sizeof times) return;
    look(loop);
    if (times >= STOP) event_base_loopbreak(loop->base);
}

static void wake(const struct loop *loop, uint64_t times) {
    /* It fails only when the counter is full: then the loop is about to wake anyway. */
    if (write(loop->wake_fd, &times, sizeof times) < 0) return;
}

void loop_wake(void *loop) { wake(loop, 1); }

void loop_stop(struct loop *loop) { wake(loop, STOP); }

void loop_run(struct loop *loop) {
    record_here(loop->engine);
    event_base_dispatch(loop->base);
    record_rest();
}

static void open_waker(struct loop *loop) {
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) node_fail("eventfd: %s", strerror(errno));
    loop->waker = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    if (loop->waker == NULL || event_add(loop->waker, NULL) != 0) node_fail("out of memory");
}

void loop_join(struct loop *loop, struct circflow_hub *hub) {
    /* circflow calls loop_wake() from the other engines' threads. */
    must(circflow_engine_join(loop->engine, hub, loop_wake, loop), "circflow_engine_join");
}

void loops_name(const char *engine_number, const char *trace_file) {
    first_engine = (unsigned)node_number(engine_number, 1000);
    record_open(trace_file);
}

void loop_open(struct loop *loop, struct event_base *base, unsigned number, circflow_insn_fn obey, void *owner) {
    struct circflow_engine_config config;
    must(circflow_engine_config_init(&config, sizeof config), "circflow_engine_config_init");
    random_bytes(config.seed, sizeof config.seed);
    config.engine_number = first_engine + number;
    must(circflow_engine_new(&config, &loop->engine), "circflow_engine_new");
    record_begin(loop->engine);
    loop->number = number;
    loop->base = base;
    loop->obey = obey;
    loop->owner = owner;
    loop->armed_ns = CIRCFLOW_NEVER;
    loop->timer = event_new(base, -1, 0, on_timer, loop);
    if (loop->timer == NULL) node_fail("out of memory");
    open_waker(loop);
}
