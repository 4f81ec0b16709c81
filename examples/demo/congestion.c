#include "congestion.h"

#include <stdlib.h>
#include <string.h>

struct mark {
    uint8_t tag[TAG_LEN];
    uint64_t sent_ns;
};

int congestion_init(struct congestion *congestion, uint64_t window) {
    memset(congestion, 0, sizeof *congestion);
    congestion->window = window;
    congestion->cap = (size_t)(window / SENDME_INC) + 1; /* No more can be in flight. */
    congestion->marks = calloc(congestion->cap, sizeof congestion->marks[0]);
    return congestion->marks == NULL ? -1 : 0;
}

void congestion_sent(struct congestion *congestion, uint64_t now, const struct cell *cell) {
    congestion->inflight++;
    if (++congestion->sent % SENDME_INC != 0) return;
    if (congestion->count == congestion->cap) abort(); /* circflow sent beyond the window that it was told. */
    struct mark *mark = &congestion->marks[(congestion->first + congestion->count++) % congestion->cap];
    cell_tag(cell, mark->tag);
    mark->sent_ns = now;
}

int congestion_received(struct congestion *congestion) { return ++congestion->received % SENDME_INC == 0; }

/* As TCP does it: an eighth of the news each time. */
static void measure(struct congestion *congestion, uint64_t rtt_ns) {
    if (congestion->rtt_ns == 0)
        congestion->rtt_ns = rtt_ns;
    else
        congestion->rtt_ns += rtt_ns / 8 - congestion->rtt_ns / 8;
}

int congestion_acknowledged(struct congestion *congestion, uint64_t now, const uint8_t *body, size_t body_len) {
    uint8_t tag[TAG_LEN];
    size_t tag_len;
    if (circflow_sendme_decode(body, body_len, tag, &tag_len) != CIRCFLOW_OK || tag_len != TAG_LEN) return -1;
    if (congestion->count == 0) return -1;
    const struct mark *mark = &congestion->marks[congestion->first];
    if (memcmp(mark->tag, tag, TAG_LEN) != 0) return -1;
    measure(congestion, now - mark->sent_ns);
    congestion->first = (congestion->first + 1) % congestion->cap;
    congestion->count--;
    congestion->inflight -= SENDME_INC;
    return 0;
}
