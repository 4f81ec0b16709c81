/* Moves a file through a conflux set: over one leg, then over two, and prints how much faster that was. It starts the
 * processes (client, guard and middle for each leg, exit), watches them, checks the copy, and ends them all.
 */
#include "algorithm.h"
#include "options.h"
#include "part.h"
#include "summary.h"
#include "testfile.h"
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORTS = 6 }; /* Number of ports on which processes listen: see network.c. */

struct demo {
    struct options options;
    char folder[256], made[300], copy[300];
    struct cargo cargo;
    struct outcome outcome;
    char part_sha[SETS_MAX][SHA256_HEX_CAP];
    char why[1024];
};

static void on_signal(int number) { interrupted = number; }

static void catch_signals(void) {
    const int numbers[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* Even without a reader of our output, our processes have to be ended. */
}

/* --- Before any process is started ----------------------------------------------------------------------------- */

static int check_port(unsigned port, char *why) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const int is_bound = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    const int is_free = is_bound && listen(fd, 1) == 0;
    if (!is_free) snprintf(why, WHY_CAP, "cannot listen on 127.0.0.1 port %u: %s", port, strerror(errno));
    if (fd >= 0) close(fd);
    return is_free ? 0 : -1;
}

/* All ports of both runs, so that a port of leg B is not missed only when leg A has moved its file. */
static int check_ports(const struct options *options, char *why) {
    const unsigned first = options->base_port;
    for (unsigned i = 0; i < PORTS && first != 0; i++) {
        if (check_port(first + i, why) == 0) continue;
        snprintf(why + strlen(why), WHY_CAP - strlen(why),
                 "\nThe demo needs ports %u to %u. Name others with BASE_PORT= (or --base-port), or none for free ones.",
                 first, first + PORTS - 1);
        return -1;
    }
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

/* Hashes the whole file, and the part that each set will carry. */
static int hash_parts(struct demo *demo) {
    struct cargo *cargo = &demo->cargo;
    cargo->parts = demo->options.circuits;
    cargo->part_sha = demo->part_sha;
    for (unsigned i = 0; i < cargo->parts; i++)
        if (testfile_hash(cargo->file, part_begin(cargo->size, i, cargo->parts), part_len(cargo->size, i, cargo->parts),
                          cargo->part_sha[i], demo->why) != 0)
            return -1;
    return testfile_hash(cargo->file, 0, cargo->size, demo->outcome.sha, demo->why);
}

/* Each process adds to the file. */
static int empty_record(const char *path) {
    FILE *file = path == NULL ? NULL : fopen(path, "wb");
    if (path == NULL || (file != NULL && fclose(file) == 0)) return 0;
    fprintf(stderr, "demo: FAILED: cannot write %s: %s\n", path, strerror(errno));
    return -1;
}

static int prepare(struct demo *demo) {
    const struct options *options = &demo->options;
    struct cargo *cargo = &demo->cargo;
    if (!sha256_works()) {
        snprintf(demo->why, sizeof demo->why, "SHA-256 does not give what it should");
        return -1;
    }
    if (options->file != NULL && testfile_check(options->file, &cargo->size, demo->why) != 0) return -1;
    if (make_folder(demo) != 0) return -1;
    cargo->file = options->file != NULL ? options->file : demo->made;
    cargo->copy = demo->copy;
    if (options->file == NULL) {
        cargo->size = (uint64_t)options->size_mib << 20;
        if (testfile_make(cargo->file, cargo->size, demo->why) != 0) return -1;
    }
    if (options->circuits > cargo->size) {
        snprintf(demo->why, sizeof demo->why, "%u circuits, and only %llu bytes", options->circuits,
                 (unsigned long long)cargo->size);
        return -1;
    }
    return hash_parts(demo);
}

/* --- Running --------------------------------------------------------------------------------------------------- */

/* Checks that the legs were chosen by the algorithm that was asked for. */
static int check_algorithm(struct demo *demo, const struct transfer_result *run) {
    const unsigned asked = demo->options.algorithm;
    if (asked == CIRCFLOW_ALGORITHM_BY_UX || run->algorithm == asked) return 0;
    snprintf(demo->why, sizeof demo->why, "legs were chosen by %s, and not by %s", algorithm_name(run->algorithm),
             algorithm_name(asked));
    return -1;
}

/* Checks that the copy is equal to the file. */
static int check_copy(struct demo *demo, const struct transfer_result *run) {
    if (run->failure[0] != '\0') {
        snprintf(demo->why, sizeof demo->why, "%s", run->failure);
        return -1;
    }
    if (run->received != demo->cargo.size || run->sent != demo->cargo.size) {
        snprintf(demo->why, sizeof demo->why, "wrong bytes: %llu were sent and %llu came of %llu",
                 (unsigned long long)run->sent, (unsigned long long)run->received,
                 (unsigned long long)demo->cargo.size);
        return -1;
    }
    if (testfile_hash(demo->cargo.copy, 0, UINT64_MAX, demo->outcome.copy_sha, demo->why) != 0) return -1;
    if (strcmp(demo->outcome.copy_sha, demo->outcome.sha) != 0) {
        snprintf(demo->why, sizeof demo->why, "wrong bytes: what came has sha256 %s", demo->outcome.copy_sha);
        return -1;
    }
    return testfile_compare(demo->cargo.file, demo->cargo.copy, demo->why);
}

static int run_over(struct demo *demo, size_t legs) {
    struct transfer_result *run = &demo->outcome.runs[legs - 1];
    printf("\n%s\n", legs == 1 ? "one leg (A):" : "two legs:");
    transfer_run(&demo->options, &demo->cargo, legs, run);
    if (run->lost[0] != '\0') printf("  %s\n", run->lost);
    if (run->failure[0] == '\0') summary_print_run(&demo->options, run);
    return check_copy(demo, run) != 0 ? -1 : check_algorithm(demo, run);
}

static int run_all(struct demo *demo) {
    summary_print_header(&demo->options, demo->cargo.size);
    if (!demo->options.two_only && run_over(demo, 1) != 0) return -1;
    return demo->options.one_only ? 0 : run_over(demo, 2);
}

int main(int argc, char **argv) {
    static struct demo demo;
    int result = 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    options_read(&demo.options, argc, argv);
    catch_signals();
    if (empty_record(demo.options.record) != 0) return 1;
    const int has_ports = check_ports(&demo.options, demo.why) == 0;
    if (has_ports && demo.options.idle_s != 0) return watch_idle(&demo.options);
    if (!has_ports || prepare(&demo) != 0)
        fprintf(stderr, "demo: FAILED: %s\n", demo.why);
    else if (run_all(&demo) != 0)
        printf("demo: FAILED: %s\n", demo.why);
    else
        result = summary_judge(&demo.options, &demo.outcome);
    remove_folder(&demo);
    return result;
}
