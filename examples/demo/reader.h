/* The program behind a stream at the client: it takes the bytes that come, at once or slowly. A slow reader takes some
 * bytes per second for three seconds, and then stops for two seconds. */
#ifndef DEMO_READER_H
#define DEMO_READER_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

struct reader;

struct reader_events {
    void (*on_taken)(void *owner, const uint8_t *data, size_t len); /* The program has taken these, in order. */
    void (*on_rest)(void *owner); /* It has taken all for now; not called inside reader_give(). */
};

/* bytes_per_s 0: it takes bytes at once, inside reader_give(). */
struct reader *reader_new(struct event_base *base, uint64_t bytes_per_s, const struct reader_events *events,
                          void *owner);

void reader_give(struct reader *reader, const uint8_t *data, size_t len);

/* Number of bytes given and not taken yet. */
size_t reader_bytes(const struct reader *reader);

#endif
