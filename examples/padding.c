/* Padding in one file: a client's circuit of three hops whose cells leave at a constant rate, one every 10 ms, data where
 * there is some and padding where there is none. No sockets: "the wire" is a line of text, and time is a number that we
 * move on. docs/padding.md explains each step; the demo does the same on real sockets. */
#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOPS = 3, PAD_HOP = 2 };

static struct circflow_engine *engine;
static struct circflow_circuit_id circuit;
static uint64_t now_ns = 1000000000; /* The library owns no clock: this is ours. */

static void check(int32_t status, const char *what) {
    if (status == CIRCFLOW_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, circflow_status_name(status), circflow_status_text(status));
    exit(1);
}

/* A cell leaves. A real host would put it into its channel's queue, and say "written" when the socket has taken it. */
static void to_wire(const char *what, unsigned hop) {
    printf("%5.1f ms  %s to hop %u\n", (double)(now_ns - 1000000000) / 1e6, what, hop);
    check(circflow_circuit_cells_written(engine, now_ns, circuit, 1), "written");
}

/* A message of a stream: it goes out at once, or circflow keeps it. */
static void send_data(const char *text) {
    const struct circflow_message message = {.command = CIRCFLOW_CMD_DATA, .hop = HOPS, .stream_id = 1,
                                             .body = (const uint8_t *)text, .body_len = (uint16_t)strlen(text)};
    struct circflow_verdict verdict;
    check(circflow_circuit_send(engine, now_ns, circuit, &message, &verdict), "send");
    if (verdict.kind == CIRCFLOW_VERDICT_SEND) to_wire(text, HOPS);
    if (verdict.kind == CIRCFLOW_VERDICT_HELD) printf("%15s is held\n", text);
}

/* Does what the instructions say. */
static void drain(void) {
    struct circflow_insn insn;
    uint8_t body[CIRCFLOW_BODY_MAX + 1]; /* One for the NUL that printf() wants. */
    for (;;) {
        check(circflow_engine_poll(engine, body, CIRCFLOW_BODY_MAX, &insn), "poll");
        if (insn.kind == CIRCFLOW_INSN_NONE) return;
        if (insn.kind == CIRCFLOW_INSN_PADDING) to_wire("padding", insn.detail.padding.hop); /* A DROP. */
        if (insn.kind == CIRCFLOW_INSN_SEND) { /* What was held, in its turn. */
            body[insn.detail.send.body_len] = '\0';
            to_wire((const char *)body, insn.detail.send.hop);
        }
    }
}

/* What an event loop's one timer does. */
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
