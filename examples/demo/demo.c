/* Moves a file through a conflux set: over one leg, then over two, and says how much faster that was. It starts the
 * processes (client, guard and middle for each leg, exit), watches them, checks what came, and ends them all.
 */
#include "options.h"
#include "testfile.h"
#include "transfer.h"
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORTS = 5 }; /* Processes that listen: see transfer.c. */

/* A ratio means nothing when it was over before it began. */
enum { RATIO_SECONDS_MIN = 2 };

struct demo {
    struct options options;
    char folder[256], made[300], copy[300];
    const char *file;
    uint64_t size;
    char sha[SHA256_HEX_CAP];
    struct transfer_result runs[LEGS_MAX]; /* Over one leg, over two. */
    char why[1024];
};

static void on_signal(int number) { interrupted = number; }

static void catch_signals(void) {
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* Whoever reads our output may go; what we started has to be ended all the same. */
}

/* --- Before any process is started ----------------------------------------------------------------------------- */

static int check_port(unsigned port, char *why) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int result = fd < 0 ? -1 : bind(fd, (const struct sockaddr *)&address, sizeof address);
    if (result != 0) snprintf(why, WHY_CAP, "cannot listen on 127.0.0.1 port %u: %s", port, strerror(errno));
    if (fd >= 0) close(fd);
    return result;
}

static int check_ports(const struct options *options, char *why) {
    for (unsigned i = 0; i < PORTS && options->base_port != 0; i++)
        if (check_port(options->base_port + i, why) != 0) return -1;
    return 0;
}

static int make_folder(struct demo *demo) {
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0') parent = "/tmp";
    snprintf(demo->folder, sizeof demo->folder, "%s/circflow-demo-XXXXXX", parent);
    if (mkdtemp(demo->folder) == NULL) {
        snprintf(demo->why, sizeof demo->why, "cannot make the folder %s: %s", demo->folder, strerror(errno));
        demo->folder[0] = '\0';
        return -1;
    }
    snprintf(demo->made, sizeof demo->made, "%s/file", demo->folder);
    snprintf(demo->copy, sizeof demo->copy, "%s/copy", demo->folder);
    return 0;
}

static void remove_folder(const struct demo *demo) {
    if (demo->folder[0] == '\0') return;
    unlink(demo->made);
    unlink(demo->copy);
    rmdir(demo->folder);
}

static int prepare(struct demo *demo) {
    const struct options *options = &demo->options;
    if (!sha256_works()) {
        snprintf(demo->why, sizeof demo->why, "SHA-256 does not give what it should");
        return -1;
    }
    if (check_ports(options, demo->why) != 0) return -1;
    demo->file = options->file;
    if (demo->file != NULL && testfile_check(demo->file, &demo->size, demo->why) != 0) return -1;
    if (make_folder(demo) != 0) return -1;
    if (demo->file == NULL) {
        demo->file = demo->made;
        demo->size = (uint64_t)options->size_mib << 20;
        if (testfile_make(demo->file, demo->size, demo->why) != 0) return -1;
    }
    return testfile_hash(demo->file, demo->sha, demo->why);
}

/* --- Running --------------------------------------------------------------------------------------------------- */

static void print_header(const struct demo *demo) {
    const struct options *options = &demo->options;
    printf("circflow demo: %llu bytes from an exit to a client, over TCP on 127.0.0.1, each relay a process\n",
           (unsigned long long)demo->size);
    printf("Not as in Tor: no onion encryption (a hop count in the digest field says who recognises a cell), circuits\n"
           "set up in advance (no CREATE), fixed windows. As in Tor: 514-byte cells, the link handshake, SENDMEs.\n");
    for (size_t i = 0; i < LEGS_MAX; i++)
        printf("leg %c: %g Mbit/s of cells, round trip %g ms (holds %llu cells), fixed window of %llu cells\n",
               'A' + (int)i, options->paths[i].mbit, options->paths[i].rtt_ms,
               (unsigned long long)path_cells(&options->paths[i]),
               (unsigned long long)path_window(options, &options->paths[i]));
    if (options->window == 0)
        printf("A window is larger than its path holds, so cells also queue: the round trips seen are longer than the "
               "path's.\n");
    if (options->padding != NULL)
        printf("padding: machines '%s' on each leg, at the client and at the exit\n",
               options->padding);
}

/* What came has to be what went, and what went has to be the file. */
static int check_run(struct demo *demo, const struct transfer_result *run) {
    if (run->failure[0] != '\0') {
        snprintf(demo->why, sizeof demo->why, "%s", run->failure);
        return -1;
    }
    if (run->received != demo->size || strcmp(run->received_sha, demo->sha) != 0) {
        snprintf(demo->why, sizeof demo->why, "wrong bytes: %llu came, sha256 %s", (unsigned long long)run->received,
                 run->received_sha);
        return -1;
    }
    if (run->sent != demo->size || strcmp(run->sent_sha, demo->sha) != 0) {
        snprintf(demo->why, sizeof demo->why, "wrong bytes: %llu were sent, sha256 %s", (unsigned long long)run->sent,
                 run->sent_sha);
        return -1;
    }
    return testfile_compare(demo->file, demo->copy, demo->why);
}

/* What padding cost, and for how long it blocked. */
static void print_padding(const struct transfer_result *run) {
    const struct padding *client = &run->padding[AT_CLIENT], *exit = &run->padding[AT_EXIT];
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

static int run_over(struct demo *demo, size_t legs) {
    struct transfer_result *run = &demo->runs[legs - 1];
    printf("\n%s\n", legs == 1 ? "one leg (A):" : "two legs:");
    transfer_run(&demo->options, demo->file, demo->size, demo->copy, legs, run);
    if (run->lost[0] != '\0') printf("  %s\n", run->lost);
    if (demo->options.padding != NULL && run->failure[0] == '\0') print_padding(run);
    return check_run(demo, run);
}

/* --- Judging --------------------------------------------------------------------------------------------------- */

static double seconds(const struct transfer_result *run) { return (double)run->took_ns / 1e9; }

static double mbit(const struct transfer_result *run) {
    return run->took_ns == 0 ? 0 : (double)run->received * 8 / 1e6 / seconds(run);
}

static double ratio(const struct demo *demo) {
    const double two = seconds(&demo->runs[1]);
    return two == 0 ? 0 : seconds(&demo->runs[0]) / two;
}

static double ratio_needed(const struct demo *demo) {
    const struct options *options = &demo->options;
    if (options->ratio != 0) return options->ratio;
    if (options->two_only || options->padding != NULL) return 0; /* Padding decides on the speed itself. */
    const int too_short = seconds(&demo->runs[0]) < RATIO_SECONDS_MIN;
    return too_short || demo->runs[1].lost[0] != '\0' ? 0 : 0.8 * options_gain(options);
}

static void print_row(const char *title, const struct transfer_result *run) {
    printf("%-12s %8.2f %9.2f %12llu %12llu %9llu %14llu\n", title, seconds(run), mbit(run),
           (unsigned long long)run->cells[0], (unsigned long long)run->cells[1], (unsigned long long)run->switches,
           (unsigned long long)run->held_peak);
}

static void print_table(const struct demo *demo) {
    printf("\n             seconds    Mbit/s  cells, leg A  cells, leg B  switches  reorder depth\n");
    if (!demo->options.two_only) print_row("one leg", &demo->runs[0]);
    print_row("two legs", &demo->runs[1]);
    printf("(Mbit/s of the file, without the headers of cells)\n");
    if (demo->options.padding != NULL)
        printf("(cells with their padding; where machines fix the rate of each leg, one at a time carries data)\n");
    printf("\n");
}

static void print_ratio(const struct demo *demo) {
    const double needed = ratio_needed(demo);
    printf(", ratio %.2f", ratio(demo));
    if (needed == 0)
        printf(" (not judged)");
    else
        printf(" (at least %.2f)", needed);
}

static void print_figures(const struct demo *demo) {
    const struct transfer_result *one = &demo->runs[0], *two = &demo->runs[1];
    printf("%llu bytes, sha256 sent %s received %s", (unsigned long long)two->received, two->sent_sha,
           two->received_sha);
    if (!demo->options.two_only) printf(", one leg %.2f s %.2f Mbit/s", seconds(one), mbit(one));
    printf(", two legs %.2f s %.2f Mbit/s", seconds(two), mbit(two));
    if (!demo->options.two_only) print_ratio(demo);
    printf(", %llu switches, reorder depth %llu", (unsigned long long)two->switches,
           (unsigned long long)two->held_peak);
    if (demo->options.padding != NULL)
        printf(", padding %s: %llu cells both ways, %.0f %% of all, exit blocked %.2f s", demo->options.padding,
               (unsigned long long)(two->padding[AT_CLIENT].cells + two->padding[AT_EXIT].cells),
               padding_percent(two->padding), (double)two->padding[AT_EXIT].blocked_ns / 1e9);
    if (two->lost[0] != '\0') printf(", although %s", two->lost);
    putchar('\n');
}

static int judge(const struct demo *demo) {
    const double needed = ratio_needed(demo);
    const int fast_enough = demo->options.two_only || ratio(demo) >= needed;
    print_table(demo);
    if (fast_enough)
        printf("demo: OK ");
    else
        printf("demo: FAILED: two legs are not %.2f times as fast as one; ", needed);
    print_figures(demo);
    return fast_enough ? 0 : 1;
}

static int run_all(struct demo *demo) {
    print_header(demo);
    if (!demo->options.two_only && run_over(demo, 1) != 0) return -1;
    return run_over(demo, 2);
}

int main(int argc, char **argv) {
    static struct demo demo;
    int result = 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    options_read(&demo.options, argc, argv);
    catch_signals();
    if (demo.options.idle_s != 0) return watch_idle(&demo.options);
    if (prepare(&demo) != 0)
        fprintf(stderr, "demo: FAILED: %s\n", demo.why);
    else if (run_all(&demo) != 0)
        printf("demo: FAILED: %s\n", demo.why);
    else
        result = judge(&demo);
    remove_folder(&demo);
    return result;
}
