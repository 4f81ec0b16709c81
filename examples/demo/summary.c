#include "summary.h"

#include "algorithm.h"
#include "cap.h"

#include <stdio.h>

/* A ratio means nothing for a very short transfer; nor when a path holds more than slow start reaches, as a
 * window grows by no more than a cell for each SENDME from there on, and may never get to what the path could carry. */
enum { RATIO_SECONDS_MIN = 2, RATIO_PATH_CELLS_MAX = 600 };

static void print_leg(char letter, const struct path *path) {
    printf("leg %c: %g Mbit/s of cells, round trip %g ms: holds %llu cells", letter, path->mbit, path->rtt_ms,
           (unsigned long long)path_cells(path));
    if (path->up_mbit != path->mbit) printf("; %g Mbit/s towards the exit", path->up_mbit);
    if (path->jitter_ms != 0) printf("; each way takes up to %g ms longer now and then", path->jitter_ms);
    putchar('\n');
}

void summary_print_header(const struct options *options, uint64_t size) {
    printf("circflow demo: %llu bytes from an exit to a client, over TCP on 127.0.0.1, each relay a process\n",
           (unsigned long long)size);
    printf("Not as in Tor: no onion encryption (a hop count in the digest field says who recognises a cell), circuits\n"
           "set up in advance (no CREATE). As in Tor: 514-byte cells, the link handshake, SENDMEs with digests, the\n"
           "congestion windows of Vegas, XOFF and XON, and backpressure in the relays: all of these are circflow's.\n");
    for (size_t i = 0; i < LEGS_MAX; i++) print_leg((char)('A' + (int)i), &options->paths[i]);
    printf("A window grows until it is some 270 cells larger than its path holds. These queue in the middle relay, so\n"
           "the round trips seen are longer than the path's.\n");
    if (options->circuits > 1)
        printf("%u sets of two circuits each, all at once over the same connections; each carries its part of the\n"
               "file. No window is smaller than 124 cells, so that many circuits queue long; the relays let them take\n"
               "turns.\n",
               options->circuits);
    if (options->threads > 1)
        printf("The exit has %u event loops in %u threads, each with an engine of its own; a leg ends in each.\n",
               options->threads, options->threads);
    if (options->slow_reader)
        printf("The program that reads at the client takes %.1f Mbit/s, a fifth of what the paths carry, and stops\n"
               "for 2 seconds after every 3. What is sent must wait for it; where, and how much, this run shows.\n",
               (double)options_reader_bytes_per_s(options) * 8 / 1e6);
    if (options->padding != NULL)
        printf("padding: machines '%s' on each leg, at the client and at the exit\n", options->padding);
    if (options->algorithm != 0) printf("the exit chooses legs by: %s\n", algorithm_name(options->algorithm));
}

/* Prints the cost of padding, and how long it blocked. */
static void print_padding(const struct transfer_result *run) {
    const struct padding *client = &run->padding[AT_CLIENT], *exit = &run->padding[AT_OTHER];
    printf("  padding: %llu of the %llu cells that the exit sent, %llu of the client's %llu; %.0f %% of all\n",
           (unsigned long long)exit->cells, (unsigned long long)(exit->cells + exit->other),
           (unsigned long long)client->cells, (unsigned long long)(client->cells + client->other),
           padding_percent(run->padding));
    if (client->cells + exit->cells + exit->replaced == 0)
        printf("  (none: these machines pad when there is too little else, and there was not)\n");
    if (exit->replaced != 0)
        printf("  besides, %llu times padding was due and a cell that waited to go anyway counted as it\n",
               (unsigned long long)exit->replaced);
    if (exit->blocked_ns != 0)
        printf("  the exit was blocked for %.2f s: data went only when the machines let it\n",
               (double)exit->blocked_ns / 1e9);
}

void summary_print_run(const struct options *options, const struct transfer_result *run) {
    if (options->padding != NULL) print_padding(run);
}

/* --- Judging --------------------------------------------------------------------------------------------------- */

static double seconds(const struct transfer_result *run) { return (double)run->took_ns / 1e9; }

static double mbit(const struct transfer_result *run) {
    return run->took_ns == 0 ? 0 : (double)run->received * 8 / 1e6 / seconds(run);
}

static double ratio(const struct outcome *outcome) {
    const double two = seconds(&outcome->runs[1]);
    return two == 0 ? 0 : seconds(&outcome->runs[0]) / two;
}

static double ratio_needed(const struct options *options, const struct outcome *outcome) {
    if (options->one_only || options->two_only) return 0;
    if (options->ratio != 0) return options->ratio;
    if (options->padding != NULL) return 0; /* Padding limits the speed. */
    for (size_t i = 0; i < LEGS_MAX; i++)
        if (path_cells(&options->paths[i]) > RATIO_PATH_CELLS_MAX) return 0;
    const int too_short = seconds(&outcome->runs[0]) < RATIO_SECONDS_MIN;
    return too_short || outcome->runs[1].lost[0] != '\0' ? 0 : 0.8 * options_gain(options);
}

static void print_row(const char *title, const struct transfer_result *run) {
    printf("%-12s %8.2f %9.2f %12llu %12llu %9llu %14llu\n", title, seconds(run), mbit(run),
           (unsigned long long)run->cells[0], (unsigned long long)run->cells[1], (unsigned long long)run->switches,
           (unsigned long long)run->held_peak);
}

static void print_table(const struct options *options, const struct outcome *outcome) {
    printf("\n             seconds    Mbit/s  cells, leg A  cells, leg B  switches  reorder depth\n");
    if (!options->two_only) print_row("one leg", &outcome->runs[0]);
    if (!options->one_only) print_row("two legs", &outcome->runs[1]);
    printf("(Mbit/s of the file, without the headers of cells; cells: messages, SWITCHes and SENDMEs that came to the\n"
           "client, and the LINKED of each leg, which is in no sum of the record)\n");
    if (options->circuits > 1) printf("(reorder depth: of the set where it was largest)\n");
    if (options->padding != NULL)
        printf("(cells with their padding; where machines fix the rate of each leg, one at a time carries data)\n");
    printf("\n");
}

static const struct transfer_result *last_run(const struct options *options, const struct outcome *outcome) {
    return &outcome->runs[options->one_only ? 0 : 1];
}

/* What the whole run found, each on a line. */
static void print_findings(const struct options *options, const struct outcome *outcome) {
    const struct transfer_result *two = &outcome->runs[1];
    const char *who = "";
    printf("sha256 sent      %s\nsha256 received  %s\n", outcome->sha, outcome->copy_sha);
    if (options->circuits > 1) printf("parts            %u, each as it was sent\n", options->circuits);
    if (options->threads > 1) printf("exit             in %u threads\n", options->threads);
    printf("legs by          %s\n", algorithm_name(last_run(options, outcome)->algorithm));
    if (options->slow_reader) {
        const unsigned long long used = cap_used(two, &who);
        printf("memory           at most %llu bytes (%s) of %llu allowed\n", used, who,
               (unsigned long long)cap_bytes(options, two));
    }
    if (options->padding != NULL)
        printf("padding          %llu cells both ways, %.0f %% of all; exit blocked for %.2f s\n",
               (unsigned long long)(two->padding[AT_CLIENT].cells + two->padding[AT_OTHER].cells),
               padding_percent(two->padding), (double)two->padding[AT_OTHER].blocked_ns / 1e9);
    if (two->lost[0] != '\0') printf("lost             %s\n", two->lost);
    printf("\n");
}

/* The last line, of at most 120 characters. */
static void print_verdict(const struct options *options, const struct outcome *outcome, const char *failure) {
    const struct transfer_result *one = &outcome->runs[0], *two = &outcome->runs[1];
    const double needed = ratio_needed(options, outcome);
    if (failure == NULL)
        printf("demo: OK: %llu bytes came as sent", (unsigned long long)last_run(options, outcome)->received);
    else
        printf("demo: FAILED: %s", failure);
    if (!options->two_only) printf("; one leg %.2f s", seconds(one));
    if (!options->one_only) printf("%s two legs %.2f s", options->two_only ? ";" : ",", seconds(two));
    if (!options->one_only && !options->two_only) printf(", %.2f times as fast", ratio(outcome));
    if (needed != 0) printf(" (%.2f is asked)", needed);
    putchar('\n');
}

/* For the head of the page. */
static void write_found(const struct options *options, const struct outcome *outcome) {
    const struct transfer_result *one = &outcome->runs[0], *two = &outcome->runs[1], *last = last_run(options, outcome);
    FILE *file = options->found == NULL ? NULL : fopen(options->found, "w");
    if (file == NULL) return;
    fprintf(file, "%.1f MiB: ", (double)last->received / (1 << 20));
    if (!options->two_only) fprintf(file, "one leg %.1f s at %.1f Mbit/s", seconds(one), mbit(one));
    if (!options->one_only)
        fprintf(file, "%stwo legs %.1f s at %.1f Mbit/s", options->two_only ? "" : ", ", seconds(two), mbit(two));
    fputc('\n', file);
    fclose(file);
}

/* For programs. */
static void write_figures(const struct options *options, const struct outcome *outcome) {
    FILE *file = options->figures == NULL ? NULL : fopen(options->figures, "w");
    if (file == NULL) return;
    fprintf(file, "legs,algorithm,nanoseconds,cells_a,cells_b,switches,depth\n");
    for (size_t i = options->two_only ? 1 : 0; i < (options->one_only ? 1 : LEGS_MAX); i++) {
        const struct transfer_result *run = &outcome->runs[i];
        fprintf(file, "%zu,%s,%llu,%llu,%llu,%llu,%llu\n", i + 1, algorithm_name(run->algorithm),
                (unsigned long long)run->took_ns, (unsigned long long)run->cells[0], (unsigned long long)run->cells[1],
                (unsigned long long)run->switches, (unsigned long long)run->held_peak);
    }
    fclose(file);
}

/* Returns why the run failed, or NULL. */
static const char *find_failure(const struct options *options, const struct outcome *outcome) {
    const struct transfer_result *two = &outcome->runs[1];
    if (!options->one_only && !options->two_only && ratio(outcome) < ratio_needed(options, outcome))
        return "two legs are too slow";
    if (!options->slow_reader) return NULL;
    if (cap_used(two, NULL) > cap_bytes(options, two)) return "a process kept more than it may";
    /* A file that fits into the buffers may need no XOFF. */
    return two->xoffs == 0 && two->received > cap_bytes(options, two) ? "the reader was slow, and nobody said XOFF"
                                                                      : NULL;
}

int summary_judge(const struct options *options, const struct outcome *outcome) {
    const char *failure = find_failure(options, outcome);
    print_table(options, outcome);
    if (options->slow_reader) cap_print(options, &outcome->runs[1]);
    print_findings(options, outcome);
    print_verdict(options, outcome, failure);
    write_found(options, outcome);
    write_figures(options, outcome);
    return failure == NULL ? 0 : 1;
}
