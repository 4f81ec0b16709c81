/* The simplest congestion control that a leg can have: a fixed window, and a SENDME for every SENDME_INC cells of
 * DATA. Real congestion control (Tor's Vegas) has more to it, and reports the same few figures to circflow. */
#ifndef DEMO_CONGESTION_H
#define DEMO_CONGESTION_H

#include "cell.h"

#include <stddef.h>

struct mark; /* Of a DATA cell that a SENDME will acknowledge: its tag, and when it went. */

struct congestion {
    uint64_t window, inflight, rtt_ns;
    uint64_t sent, received; /* DATA cells, both ways. */
    struct mark *marks;      /* A ring: SENDMEs come in the order of what they acknowledge. */
    size_t first, count, cap;
};

/* 0, or -1 when memory is short. */
int congestion_init(struct congestion *congestion, uint64_t window);

/* A DATA cell was queued. */
void congestion_sent(struct congestion *congestion, uint64_t now, const struct cell *cell);

/* A DATA cell came: 1 when it is to be answered with a SENDME. That is so on arrival, in order or not (prop329 2.5). */
int congestion_received(struct congestion *congestion);

/* The body of a SENDME came: 0, or -1 when it is not the one that is due. */
int congestion_acknowledged(struct congestion *congestion, uint64_t now, const uint8_t *body, size_t body_len);

#endif
