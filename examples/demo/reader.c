#include "reader.h"

#include "clock.h"
#include "node.h"

#include <event2/buffer.h>
#include <stdlib.h>

enum { LOOK_MS = 10, READ_MS = 3000, STOP_MS = 2000, AT_ONCE_MAX = 16384 };

struct reader {
    uint64_t bytes_per_s;
    const struct reader_events *events;
    void *owner;
    struct evbuffer *waiting;
    struct event *timer;
    uint64_t began_ns, looked_ns;
    double due; /* Bytes that it may take now. */
};

static int is_stopped(const struct reader *reader, uint64_t now) {
    return (now - reader->began_ns) / 1000000 % (READ_MS + STOP_MS) >= READ_MS;
}

static void take(struct reader *reader) {
    uint8_t bytes[AT_ONCE_MAX];
    const size_t wanted = reader->due < AT_ONCE_MAX ? (size_t)reader->due : AT_ONCE_MAX;
    const int len = evbuffer_remove(reader->waiting, bytes, wanted);
    if (len <= 0) return;
    reader->due -= len;
    reader->events->on_taken(reader->owner, bytes, (size_t)len);
}

static void on_look(evutil_socket_t fd, short what, void *arg) {
    struct reader *reader = arg;
    const uint64_t now = now_ns();
    (void)fd;
    (void)what;
    if (!is_stopped(reader, now))
        reader->due += (double)(now - reader->looked_ns) / 1e9 * (double)reader->bytes_per_s;
    reader->looked_ns = now;
    while (reader->due >= 1 && evbuffer_get_length(reader->waiting) > 0) take(reader);
    if (reader->due > AT_ONCE_MAX) reader->due = AT_ONCE_MAX; /* Lost time is not made up for. */
    reader->events->on_rest(reader->owner);
}

struct reader *reader_new(struct event_base *base, uint64_t bytes_per_s, const struct reader_events *events,
                          void *owner) {
    const struct timeval interval = {.tv_usec = LOOK_MS * 1000};
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) node_fail("out of memory");
    reader->bytes_per_s = bytes_per_s;
    reader->events = events;
    reader->owner = owner;
    reader->began_ns = reader->looked_ns = now_ns();
    reader->waiting = evbuffer_new();
    if (reader->waiting == NULL) node_fail("out of memory");
    if (bytes_per_s == 0) return reader;
    reader->timer = event_new(base, -1, EV_PERSIST, on_look, reader);
    if (reader->timer == NULL || event_add(reader->timer, &interval) != 0) node_fail("cannot arm a timer");
    return reader;
}

void reader_give(struct reader *reader, const uint8_t *data, size_t len) {
    if (reader->bytes_per_s == 0)
        reader->events->on_taken(reader->owner, data, len);
    else if (evbuffer_add(reader->waiting, data, len) != 0)
        node_fail("out of memory");
}

size_t reader_bytes(const struct reader *reader) { return evbuffer_get_length(reader->waiting); }
