/* Padding in one file: a client's circuit of three hops sends a cell every 10 ms: data if there is some, else padding.
 * No sockets: "the wire" is a line of text, and time is a number that the program advances. docs/padding.md explains
 * each step; the demo does the same on real sockets. */
#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOPS = 3, PAD_HOP = 2 };

static struct circflow_engine *engine;
static struct circflow_circuit_id circuit;
static uint64_t now_ns = 1000000000; /* The library owns no clock: this is the program's. */

static void check(int32_t status, const char *what) {
    if (status == CIRCFLOW_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, circflow_status_name(status), circflow_status_text(status));
    exit(1);
}

/* Sends a cell. A real host would put it into its channel's queue, and report it as written when the socket has it. */
static void to_wire(const char *what, unsigned hop) {
    printf("%5.1f ms  %s to hop %u\n", (double)(now_ns - 1000000000) / 1e6, what, hop);
    check(circflow_circuit_cells_written(engine, now_ns, circuit, 1), "written");
}

/* Sends a message of a stream: at once, or circflow keeps it until its turn. */
static void send_data(const char *text) {
    const struct circflow_message message = {.command = CIRCFLOW_CMD_DATA, .hop = HOPS, .stream_id = 1,
                                             .body = (const uint8_t *)text, .body_len = (uint16_t)strlen(text)};
    struct circflow_verdict verdict;
    check(circflow_circuit_send(engine, now_ns, circuit, &message, &verdict), "send");
    if (verdict.kind == CIRCFLOW_VERDICT_SEND) to_wire(text, HOPS);
    if (verdict.kind == CIRCFLOW_VERDICT_HELD) printf("%15s is held\n", text);
}

/* Obeys the instructions. */
static void drain(void) {
    struct circflow_insn insn;
    uint8_t body[CIRCFLOW_BODY_MAX + 1]; /* 1 for the NUL that printf() needs. */
    for (;;) {
        check(circflow_engine_poll(engine, body, CIRCFLOW_BODY_MAX, &insn), "poll");
        if (insn.kind == CIRCFLOW_INSN_NONE) return;
        if (insn.kind == CIRCFLOW_INSN_PADDING) to_wire("padding", insn.detail.padding.hop); /* A DROP. */
        if (insn.kind == CIRCFLOW_INSN_SEND) { /* A held message, in its turn. */
            body[insn.detail.send.body_len] = '\0';
            to_wire((const char *)body, insn.detail.send.hop);
        }
    }
}

/* The handler of an event loop's one timer. */
static void pass_time(uint64_t until_ns) {
    uint64_t deadline_ns;
    for (;;) {
        check(circflow_engine_get_deadline(engine, &deadline_ns), "deadline");
        if (deadline_ns > until_ns) break;
        now_ns = deadline_ns > now_ns ? deadline_ns : now_ns;
        check(circflow_engine_tick(engine, now_ns), "tick");
        drain();
    }
    now_ns = until_ns;
}

static struct circflow_machines_id load(const char *path) {
    static char text[1 << 16];
    struct circflow_machines_id machines;
    FILE *file = fopen(path, "rb");
    if (file == NULL) check(CIRCFLOW_ERR_NULL, path);
    const size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    check(circflow_machines_load(engine, text, len, &machines), "machines");
    return machines;
}

int main(int argc, char **argv) {
    struct circflow_engine_config engine_config;
    struct circflow_circuit_config circuit_config;
    struct circflow_padding_config padding;
    struct circflow_padding_stats stats = {.size = sizeof stats};

    check(circflow_engine_config_init(&engine_config, sizeof engine_config), "engine config");
    check(circflow_engine_new(&engine_config, &engine), "engine"); /* A real host fills in seed: random bytes. */
    check(circflow_circuit_config_init(&circuit_config, sizeof circuit_config), "circuit config");
    circuit_config.hops = HOPS;
    check(circflow_circuit_open(engine, now_ns, &circuit_config, &circuit), "circuit");

    check(circflow_padding_config_init(&padding, sizeof padding), "padding config");
    padding.machines = load(argc > 1 ? argv[1] : "examples/machines/constant-rate-100.txt");
    padding.hop = PAD_HOP;
    check(circflow_padding_install(engine, now_ns, circuit, &padding), "install");

    send_data("a"); /* The first cell starts the machine, which blocks from now on. */
    pass_time(now_ns + 25000000);
    send_data("b");
    send_data("c");
    send_data("d");
    pass_time(now_ns + 50000000);

    check(circflow_padding_get_stats(engine, circuit, PAD_HOP, 0, &stats), "stats");
    printf("%u cells of data, %u of padding, blocked for %u ms\n", (unsigned)stats.normal_sent,
           (unsigned)stats.padding_sent, (unsigned)(stats.blocked_ns / 1000000));
    check(circflow_engine_free(engine, NULL, NULL), "free");
    return 0;
}
