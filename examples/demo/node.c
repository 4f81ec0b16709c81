#include "node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void (*before_failing)(void);

/* The demo keeps the other end of our standard input open while it needs this process. Even if the demo is killed, the
 * input ends. */
static void on_control(evutil_socket_t fd, short what, void *arg) {
    char bytes[64];
    (void)what;
    if (read(fd, bytes, sizeof bytes) <= 0) event_base_loopbreak(arg);
}

struct event_base *node_new_base(void) {
    struct event_config *config = event_config_new();
    if (config == NULL) node_fail("out of memory");
    /* libevent's usual precision is a millisecond: 5 cells at 20 Mbit/s. */
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    /* Without this, "now" would be the time at which this turn of the loop began. */
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    struct event_base *base = event_base_new_with_config(config);
    event_config_free(config);
    if (base == NULL) node_fail("cannot make an event loop");
    return base;
}

struct event_base *node_start(void) {
    struct event_base *base = node_new_base();
    signal(SIGPIPE, SIG_IGN);
    struct event *control = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_control, base);
    if (control == NULL || event_add(control, NULL) != 0) node_fail("cannot watch the standard input");
    return base;
}

static void say(const char *first, const char *format, va_list args) {
    char line[512];
    size_t len = (size_t)snprintf(line, sizeof line - 1, "%s", first);
    vsnprintf(line + len, sizeof line - 1 - len, format, args);
    len = strlen(line);
    line[len++] = '\n';
    /* A single write keeps lines whole. When nobody reads them any more, on_control() ends this process. */
    if (write(STDOUT_FILENO, line, len) < 0) return;
}

void node_say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void node_before_failing(void (*fn)(void)) { before_failing = fn; }

void node_fail(const char *format, ...) {
    va_list args;
    if (before_failing != NULL) before_failing();
    va_start(args, format);
    say("fail ", format, args);
    va_end(args);
    _exit(1);
}

void node_usage(const char *arguments) {
    fprintf(stderr,
            "usage: %s\n"
            "The demo starts this process: run `make demo`, or see `build/examples/demo --help`. The source says what\n"
            "the arguments are. It reports in lines on its standard output, and ends when its standard input does.\n",
            arguments);
    _exit(2);
}

uint64_t node_number(const char *text, uint64_t max) {
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value > max)
        node_fail("'%s' is no number up to %llu", text, (unsigned long long)max);
    return value;
}

static uint16_t bound_port(struct evconnlistener *listener) {
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    if (getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &len) != 0)
        node_fail("getsockname: %s", strerror(errno));
    return ntohs(address.sin_port);
}

struct evconnlistener *node_listen(struct event_base *base, uint16_t port, evconnlistener_cb on_accept, void *arg) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, on_accept, arg, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 8,
                                (const struct sockaddr *)&address, sizeof address);
    if (listener == NULL) node_fail("cannot listen on 127.0.0.1 port %u: %s", (unsigned)port, strerror(errno));
    node_say("port %u", (unsigned)bound_port(listener));
    return listener;
}

void node_tell_progress(struct event_base *base, event_callback_fn fn, void *arg) {
    const struct timeval interval = {.tv_usec = PROGRESS_MS * 1000};
    struct event *timer = event_new(base, -1, EV_PERSIST, fn, arg);
    if (timer == NULL || event_add(timer, &interval) != 0) node_fail("cannot arm a timer");
}
