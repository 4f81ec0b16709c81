/* The program behind a stream at the client: it takes the bytes that come, at once or slowly. A slow one takes so many
 * a second, and stops for two seconds after every three. */
#ifndef DEMO_READER_H
#define DEMO_READER_H

#include <event2/event.h>
#include <stddef.h>
#include <stdint.h>

struct reader;

struct reader_events {
    void (*on_taken)(void *owner, const uint8_t *data, size_t len); /* The program has taken these, in order. */
    void (*on_rest)(void *owner); /* That was all for now, outside of reader_give(). */
};

/* bytes_per_s 0: at once, inside of reader_give(). */
struct reader *reader_new(struct event_base *base, uint64_t bytes_per_s, const struct reader_events *events,
                          void *owner);

void reader_give(struct reader *reader, const uint8_t *data, size_t len);

/* Bytes given and not taken yet. */
size_t reader_bytes(const struct reader *reader);

#endif
