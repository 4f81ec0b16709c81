#include "cap.h"

#include <stdio.h>

enum {
    XOFF_BYTES = 500 * CIRCFLOW_DATA_MAX, /* "cc_xoff_client", C Tor's default. */
    GRACE_CELLS = 32, /* Cells that may come in one go before XOFF is sent, .. */
    GRACE_MS = 5      /* .. and how long a buffer may be over its limit. */
};

/* All streams together. */
static uint64_t streams_bytes(const struct options *options) {
    const uint64_t rate = path_bytes_per_s(&options->paths[0]) + path_bytes_per_s(&options->paths[1]);
    return options->circuits * (XOFF_BYTES + (uint64_t)GRACE_CELLS * CIRCFLOW_DATA_MAX) + rate * GRACE_MS / 1000;
}

/* All cells that can be on their way: a cell costs most where it is held for order. */
static uint64_t windows_bytes(const struct transfer_result *run) {
    return (run->cwnd_peak[0] + run->cwnd_peak[1]) * CIRCFLOW_HELD_COST;
}

uint64_t cap_bytes(const struct options *options, const struct transfer_result *run) {
    return streams_bytes(options) + windows_bytes(run);
}

/* The sum over a process's loops, each at its highest, perhaps at different times. */
static struct memory memory_of(const struct transfer_result *run, size_t process) {
    struct memory sum = {.streams = 0};
    for (size_t i = 0; i < LOOPS_MAX; i++) {
        const struct memory *one = &run->memory[process][i];
        sum.streams += one->streams;
        sum.held += one->held;
        sum.parked += one->parked;
        sum.channels += one->channels;
    }
    return sum;
}

static uint64_t sum_of(const struct memory *memory) {
    return (uint64_t)memory->streams + memory->held + memory->parked + memory->channels;
}

uint64_t cap_used(const struct transfer_result *run, const char **who) {
    uint64_t most = 0;
    for (size_t i = 0; i < PROCESSES; i++) {
        const struct memory memory = memory_of(run, i);
        if (sum_of(&memory) < most) continue;
        most = sum_of(&memory);
        if (who != NULL) *who = process_titles[i];
    }
    return most;
}

void cap_print(const struct options *options, const struct transfer_result *run) {
    printf("memory in bytes, of each process when it kept most:\n");
    printf("             for the reader  held by circflow  kept while paused  channels and path       sum\n");
    for (size_t i = 0; i < PROCESSES; i++) {
        const struct memory memory = memory_of(run, i);
        printf("%-12s %14zu %17zu %18zu %18zu %9llu\n", process_titles[i], memory.streams, memory.held,
               memory.parked, memory.channels, (unsigned long long)sum_of(&memory));
    }
    printf("the cap %85llu, the sum of:\n", (unsigned long long)cap_bytes(options, run));
    printf("  %9llu  XOFF is said at %d bytes of a stream; %d cells, or what comes in %d ms, may come before it is\n",
           (unsigned long long)streams_bytes(options), (int)XOFF_BYTES, (int)GRACE_CELLS, (int)GRACE_MS);
    printf("  %9llu  a window for each leg, at its largest: %llu and %llu cells, %d bytes each: under way by then\n",
           (unsigned long long)windows_bytes(run), (unsigned long long)run->cwnd_peak[0],
           (unsigned long long)run->cwnd_peak[1], (int)CIRCFLOW_HELD_COST);
    printf("flow control: the client said XOFF %llu times and XON %llu times; the exit heard %llu and %llu\n",
           (unsigned long long)run->xoffs, (unsigned long long)run->xons, (unsigned long long)run->xoffs_heard,
           (unsigned long long)run->xons_heard);
    if (run->xoffs_heard < run->xoffs)
        printf("              (what is said when the exit has sent all it had is not heard any more)\n");
    printf("\n");
}
