#include "options.h"

#include "algorithm.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MIB = 32, SIZE_MIB_SLOW = 8, READER_SHARE = 5 };

static const char usage[] =
    "usage: demo [--file PATH] [--size-mib N] [--leg-a 'MBIT MS'] [--leg-b 'MBIT MS'] [--circuits N]\n"
    "            [--threads N] [--slow-reader] [--base-port PORT] [--ratio R] [--one-only | --two-only]\n"
    "            [--algorithm NAME] [--padding NAME] [--record FILE] [--found FILE] [--figures FILE]\n"
    "            [--idle SECONDS]\n"
    "\n"
    "  --file PATH        send this file; default: a made one\n"
    "  --size-mib N       size of the made file, 1 to 4096; default 32, with a slow reader 8\n"
    "  --leg-a 'MBIT MS'  rate of leg A in Mbit/s, 0.1 to 1000, and round trip in ms, 0 to 2000; default '20 40';\n"
    "                     'MBIT MS UP' and 'MBIT MS UP JITTER': from client to exit another rate, of UP Mbit/s; each\n"
    "                     way takes up to JITTER ms longer, 0 to 2000, and how much changes 50 times a second\n"
    "  --leg-b 'MBIT MS'  the same for leg B; default '20 90'\n"
    "  --circuits N       so many sets at once over the same connections, each with a part of the file, 1 to 1000;\n"
    "                     default 1; with more the run over one leg is left out\n"
    "  --threads N        event loops of the exit, each with an engine and a thread of its own, 1 or 2; default 1;\n"
    "                     with 2 each leg ends in another one\n"
    "  --slow-reader      the program that reads at the client takes a fifth of what the paths carry, and stops now\n"
    "                     and then; memory is watched, and the run over one leg is left out\n"
    "  --base-port PORT   listen on PORT to PORT + 5; default: free ports\n"
    "  --ratio R          two legs have to be R times as fast as one; default: 0.8 of what the rates allow;\n"
    "                     with padding, which decides on the speed itself, or paths that hold more than 600 cells,\n"
    "                     they may be as slow as they like\n"
    "  --one-only         leave out the run over two legs\n"
    "  --two-only         leave out the run over one leg\n"
    "  --algorithm NAME   how the exit chooses the leg for each message: minrtt, lowrtt, cwndrtt, ontime, ecf, blest,\n"
    "                     otias, random, or by-ux, the default: what the library has for the client's desired UX\n"
    "  --padding NAME     pad both legs, both ways, with the machines of that name in examples/machines, or of the\n"
    "                     file with that path\n"
    "  --record FILE      write what happens in each process to this file, for circflow-trace: docs/demo.md\n"
    "  --found FILE       write how long it took to this file, as a line\n"
    "  --figures FILE     write what the table has to this file, as CSV, with nanoseconds\n"
    "  --idle SECONDS     move nothing: look how regular padding is that makes 100 cells a second, 1 to 600\n";

static void refuse(const char *what, const char *value) {
    fprintf(stderr, "demo: FAILED: %s: '%s' (--help says what may be)\n", what, value);
    exit(2);
}

static double read_decimal(const char *text, char **end, const char *what, const char *whole, double low, double high) {
    errno = 0;
    const double value = strtod(text, end);
    if (*end == text || errno != 0 || !(value >= low && value <= high)) refuse(what, whole);
    return value;
}

static unsigned read_count(const char *text, const char *what, unsigned low, unsigned high) {
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < low || value > high) refuse(what, text);
    return (unsigned)value;
}

static double read_ratio(const char *text) {
    char *end;
    const double ratio = read_decimal(text, &end, "no such ratio", text, 0.01, 100);
    if (*end != '\0') refuse("no such ratio", text);
    return ratio;
}

static int is_more(const char *rest) { return rest[strspn(rest, " ")] != '\0'; }

static struct path read_path(const char *text, const char *what) {
    struct path path;
    char *end;
    path.mbit = read_decimal(text, &end, what, text, 0.1, 1000);
    path.rtt_ms = read_decimal(end, &end, what, text, 0, 2000);
    path.up_mbit = is_more(end) ? read_decimal(end, &end, what, text, 0.01, 1000) : path.mbit;
    path.jitter_ms = is_more(end) ? read_decimal(end, &end, what, text, 0, 2000) : 0;
    if (is_more(end)) refuse(what, text);
    return path;
}

static void read_one(struct options *options, int option) {
    switch (option) {
    case 'f': options->file = optarg; break;
    case 's': options->size_mib = read_count(optarg, "no such size", 1, 4096); break;
    case 'a': options->paths[0] = read_path(optarg, "no such leg A"); break;
    case 'b': options->paths[1] = read_path(optarg, "no such leg B"); break;
    case 'c': options->circuits = read_count(optarg, "no such number of circuits", 1, SETS_MAX); break;
    case 'j': options->threads = read_count(optarg, "no such number of threads", 1, LOOPS_MAX); break;
    case 'w': options->slow_reader = 1; break;
    case 'p': options->base_port = read_count(optarg, "no such port", 1024, 65530); break;
    case 'r': options->ratio = read_ratio(optarg); break;
    case '1': options->one_only = 1; break;
    case '2': options->two_only = 1; break;
    case 'l': options->algorithm = algorithm_find(optarg); break;
    case 'm': options->padding = optarg; break;
    case 'i': options->idle_s = read_count(optarg, "no such time", 1, 600); break;
    case 't': options->record = optarg; break;
    case 'o': options->found = optarg; break;
    case 'g': options->figures = optarg; break;
    case 'h': fputs(usage, stdout); exit(0);
    default: fputs(usage, stderr); exit(2); /* getopt_long() has printed the error. */
    }
}

void options_read(struct options *options, int argc, char **argv) {
    static const struct option known[] = {
        {"file", required_argument, NULL, 'f'},      {"size-mib", required_argument, NULL, 's'},
        {"leg-a", required_argument, NULL, 'a'},     {"leg-b", required_argument, NULL, 'b'},
        {"circuits", required_argument, NULL, 'c'},  {"base-port", required_argument, NULL, 'p'},
        {"ratio", required_argument, NULL, 'r'},     {"two-only", no_argument, NULL, '2'},
        {"record", required_argument, NULL, 't'},    {"padding", required_argument, NULL, 'm'},
        {"idle", required_argument, NULL, 'i'},      {"slow-reader", no_argument, NULL, 'w'},
        {"threads", required_argument, NULL, 'j'},   {"found", required_argument, NULL, 'o'},
        {"one-only", no_argument, NULL, '1'},        {"algorithm", required_argument, NULL, 'l'},
        {"figures", required_argument, NULL, 'g'},   {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *options = (struct options){.circuits = 1, .threads = 1, .paths = {{20, 40, 20, 0}, {20, 90, 20, 0}}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) read_one(options, option);
    if (optind < argc) refuse("what is this?", argv[optind]);
    if (options->idle_s != 0) options->padding = IDLE_MACHINES;
    if (options->padding != NULL) machines_find(options->padding, options->machines);
    if (options->size_mib == 0) options->size_mib = options->slow_reader ? SIZE_MIB_SLOW : SIZE_MIB;
    if (options->slow_reader || options->circuits > 1) options->two_only = 1;
    if (options->one_only && options->two_only) refuse("these options leave out both runs", "one-only");
}

uint64_t path_bytes_per_s(const struct path *path) { return (uint64_t)(path->mbit * 1e6 / 8); }

uint64_t path_up_bytes_per_s(const struct path *path) { return (uint64_t)(path->up_mbit * 1e6 / 8); }

uint64_t path_cells(const struct path *path) {
    return (uint64_t)(path->mbit * 1e6 / 8 * path->rtt_ms / 1e3 / CELL_LEN);
}

/* In bytes of the file: less than in bytes of cells, which have headers. */
uint64_t options_reader_bytes_per_s(const struct options *options) {
    if (!options->slow_reader) return 0;
    return (path_bytes_per_s(&options->paths[0]) + path_bytes_per_s(&options->paths[1])) * CIRCFLOW_DATA_MAX /
           CELL_LEN / READER_SHARE;
}

double options_gain(const struct options *options) {
    return (options->paths[0].mbit + options->paths[1].mbit) / options->paths[0].mbit;
}
