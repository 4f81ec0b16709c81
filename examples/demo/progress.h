/* What a transfer looks like while it runs. */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

#include "options.h"

#include <stddef.h>

/* What one end has sent. */
struct padding {
    uint64_t cells, other; /* Padding, and all else. */
    uint64_t replaced;     /* Times that a cell which waited anyway went in place of padding. */
    uint64_t blocked_ns;   /* How long its sending was blocked, on the leg where that was longest. */
};

struct progress {
    uint64_t size;
    size_t legs;
    /* As the client and the exit told last. */
    uint64_t bytes, cells[LEGS_MAX], held, held_peak, rtt_us[LEGS_MAX], cwnd[LEGS_MAX];
    unsigned parts, parts_done;
    uint64_t waiting; /* Bytes that a slow reader has not taken. */
    int is_padded, is_slow;
    struct padding padding[ENDS];
    /* As drawn last. */
    uint64_t drawn_ns, drawn_cells[LEGS_MAX];
};

/* Padding cells of all that were sent, by both ends, in percent. */
double padding_percent(const struct padding padding[ENDS]);

/* Draws one line: on a terminal over the last one, about 5 times a second; else a new one each second. Call it often,
 * it keeps its own time. */
void progress_draw(struct progress *progress, uint64_t now);

/* Clears the line on a terminal, before something else is printed. */
void progress_end(void);

#endif
