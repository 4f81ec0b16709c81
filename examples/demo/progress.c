#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int on_terminal(void) { return isatty(STDOUT_FILENO); }

/* Mbit/s of cells since the last line. */
static double leg_rate(const struct progress *progress, size_t leg, uint64_t now) {
    const double seconds = (double)(now - progress->drawn_ns) / 1e9;
    const double cells = (double)(progress->cells[leg] - progress->drawn_cells[leg]);
    return seconds > 0 ? cells * CELL_LEN * 8 / 1e6 / seconds : 0;
}

double padding_percent(const struct padding padding[ENDS]) {
    const double cells = (double)(padding[0].cells + padding[1].cells);
    const double all = cells + (double)(padding[0].other + padding[1].other);
    return all > 0 ? 100 * cells / all : 0;
}

static void draw_padding(const struct padding padding[ENDS]) {
    printf(" | padding %llu cells, %.0f %% of all, blocked %llu ms",
           (unsigned long long)(padding[0].cells + padding[1].cells), padding_percent(padding),
           (unsigned long long)(padding[AT_OTHER].blocked_ns / 1000000));
}

static void draw(const struct progress *progress, uint64_t now) {
    printf("  %3.0f %%", 100.0 * (double)progress->bytes / (double)progress->size);
    for (size_t leg = 0; leg < progress->legs; leg++)
        printf(" | %c %5.1f Mbit/s %4.0f ms window %4llu", 'A' + (int)leg, leg_rate(progress, leg, now),
               (double)progress->rtt_us[leg] / 1e3, (unsigned long long)progress->cwnd[leg]);
    printf(" | held %llu, peak %llu%s", (unsigned long long)progress->held, (unsigned long long)progress->held_peak,
           progress->parts > 1 ? " in one set" : "");
    if (progress->parts > 1) printf(" | %u of %u parts done", progress->parts_done, progress->parts);
    if (progress->is_slow) printf(" | %llu kB wait for the reader", (unsigned long long)progress->waiting / 1000);
    if (progress->is_padded) draw_padding(progress->padding);
}

void progress_draw(struct progress *progress, uint64_t now) {
    const uint64_t interval_ns = on_terminal() ? 190000000 : 950000000;
    if (now - progress->drawn_ns < interval_ns) return;
    /* The first line has no earlier line to measure a rate from. */
    if (progress->drawn_ns != 0) {
        /* On a terminal: back to the start, clear, and no wrapping, so that a narrow one cuts the line off. */
        if (on_terminal()) printf("\r\033[K\033[?7l");
        draw(progress, now);
        printf(on_terminal() ? "\033[?7h" : "\n");
        fflush(stdout);
    }
    progress->drawn_ns = now;
    memcpy(progress->drawn_cells, progress->cells, sizeof progress->cells);
}

void progress_end(void) {
    if (on_terminal()) printf("\r\033[K");
}
