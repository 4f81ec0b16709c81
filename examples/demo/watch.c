#include "watch.h"

#include "transfer.h"

#include <stdio.h>

/* Largest distance of the rate from the requested rate, in percent. */
enum { RATE_OFF_MAX = 5 };

static double rate(const struct regular_figures *regular) {
    return regular->span_ns == 0 ? 0 : (double)regular->intervals * 1e9 / (double)regular->span_ns;
}

static int is_good(const struct regular_figures *regular) {
    const double off = rate(regular) - IDLE_RATE;
    return (off < 0 ? -off : off) <= IDLE_RATE * RATE_OFF_MAX / 100.0;
}

static void print_header(const struct options *options) {
    printf("circflow demo-padding: a circuit of %d hops that nobody uses, watched for %u seconds\n", (int)HOPS,
           options->idle_s);
    printf("The client and its middle relay run a padding machine (%s), which wants one cell to leave every\n"
           "%g ms, data or not. Here there is no data, so every cell is padding. What the relay sends takes %g ms to\n"
           "the client (leg A); it leaves by the edge at which cells of circuits wait that pass through the relay.\n\n",
           options->padding, 1000.0 / IDLE_RATE, options->paths[0].rtt_ms / 2);
}

static void print_arrivals(const char *who, const struct regular_figures *regular) {
    printf("%-18s %6llu %9.2f %13.3f %18.3f %11.3f\n", who, (unsigned long long)regular->intervals + 1, rate(regular),
           (double)regular->off_p50_ns / 1e6, (double)regular->off_p99_ns / 1e6, (double)regular->off_max_ns / 1e6);
}

static void print_sender(const char *who, const struct regular_figures *regular) {
    printf("%-18s %6llu    half less than %llu us, 99 of 100 less than %llu us\n", who,
           (unsigned long long)regular->padding_sent, (unsigned long long)regular->late_p50_us,
           (unsigned long long)regular->late_p99_us);
}

static void print_table(const struct regular_figures regular[ENDS]) {
    printf("\nAs cells came in:                    time between two cells, how far it was from its mean, in ms:\n");
    printf("                    cells  a second   half within   99 of 100 within   the worst\n");
    print_arrivals("  at the client", &regular[AT_CLIENT]);
    print_arrivals("  at the relay", &regular[AT_OTHER]);
    printf("\nWhere they were sent:\n                  padding    timers were late by\n");
    print_sender("  by the relay", &regular[AT_OTHER]);
    print_sender("  by the client", &regular[AT_CLIENT]);
    printf("(A computer that is busy with other things wakes a program late; then cells come unevenly.)\n\n");
}

int watch_idle(const struct options *options) {
    const struct cargo nothing = {.file = "", .copy = ""};
    struct transfer_result result;
    print_header(options);
    transfer_run(options, &nothing, 1, &result);
    const struct regular_figures *regular = result.regular;
    if (result.failure[0] != '\0') {
        printf("demo-padding: FAILED: %s\n", result.failure);
        return 1;
    }
    print_table(regular);
    const int good = is_good(&regular[AT_CLIENT]) && is_good(&regular[AT_OTHER]);
    printf("demo-padding: %s %d cells a second asked each way, %.2f came at the client, %.2f at the relay "
           "(%s within %d %%)\n",
           good ? "OK" : "FAILED:", (int)IDLE_RATE, rate(&regular[AT_CLIENT]), rate(&regular[AT_OTHER]),
           good ? "both" : "not both", (int)RATE_OFF_MAX);
    return good ? 0 : 1;
}
