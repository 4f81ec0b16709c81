/* What a transfer looks like while it runs. */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

#include "cell.h"

#include <stddef.h>

struct progress {
    uint64_t size;
    size_t legs;
    /* As the client and the exit told last. */
    uint64_t bytes, cells[LEGS_MAX], held, held_peak, rtt_us[LEGS_MAX];
    /* As drawn last. */
    uint64_t drawn_ns, drawn_cells[LEGS_MAX];
};

/* Draws one line: on a terminal over the last one, about 5 times a second; else a new one each second. Call it often,
 * it keeps its own time. */
void progress_draw(struct progress *progress, uint64_t now);

/* Clears the line on a terminal, before something else is printed. */
void progress_end(void);

#endif
