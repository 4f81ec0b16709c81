/* Shows the progress of a transfer. */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

#include "options.h"

#include <stddef.h>

/* Cells that one end has sent. */
struct padding {
    uint64_t cells, other; /* Padding cells, and other cells. */
    uint64_t replaced;     /* Times that a cell which waited anyway replaced padding. */
    uint64_t blocked_ns;   /* How long padding blocked sending, on the leg with the longest time. */
};

struct progress {
    uint64_t size;
    size_t legs;
    /* The last figures of the client and the exit. */
    uint64_t bytes, cells[LEGS_MAX], held, held_peak, rtt_us[LEGS_MAX], cwnd[LEGS_MAX];
    unsigned parts, parts_done;
    uint64_t waiting; /* Bytes that a slow reader has not taken. */
    int is_padded, is_slow;
    struct padding padding[ENDS];
    /* The figures of the last line. */
    uint64_t drawn_ns, drawn_cells[LEGS_MAX];
};

/* Part of padding in the cells that both ends sent, in percent. */
double padding_percent(const struct padding padding[ENDS]);

/* Draws a line: on a terminal over the last line, about 5 times a second; else a new line each second. Call it often:
 * it keeps its own time. */
void progress_draw(struct progress *progress, uint64_t now);

/* Clears the line on a terminal, before something else is printed. */
void progress_end(void);

#endif
