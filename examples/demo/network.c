#include "network.h"

#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *const process_titles[PROCESSES] = {"exit", "middle A", "guard A", "middle B", "guard B", "client"};

static const char leg_letters[PROCESSES] = {
    [MIDDLE_A] = 'A', [GUARD_A] = 'A', [MIDDLE_B] = 'B', [GUARD_B] = 'B'};

struct number {
    char text[24];
};

static struct number number(uint64_t value) {
    struct number number;
    snprintf(number.text, sizeof number.text, "%llu", (unsigned long long)value);
    return number;
}

/* No two engines have the same number, so that one file can have the records of all: the ten is the number of legs. */
enum { ENGINES_EACH = 10 };
static const unsigned engine_numbers[PROCESSES] = {
    [CLIENT] = 1, [EXIT] = 2 /* and 3 */, [MIDDLE_A] = 4, [GUARD_A] = 5, [MIDDLE_B] = 6, [GUARD_B] = 7};

static int start(struct transfer *transfer, int which, const char *program, const char *const own_args[]) {
    const char *record = transfer->options->record;
    const struct number engine = number(transfer->legs * ENGINES_EACH + engine_numbers[which]);
    const char *args[CHILD_ARGS_MAX + 1] = {engine.text, record == NULL ? "" : record};
    for (int i = 2; i < CHILD_ARGS_MAX && own_args[i - 2] != NULL; i++) args[i] = own_args[i - 2];
    struct child *child = &transfer->children[which];
    child->program = program;
    child->leg = leg_letters[which];
    child->events = &line_events;
    child->owner = transfer;
    child->title = process_titles[which];
    transfer->moved_ns = now_ns();
    if (child_start(child, transfer->base, args) == 0) return 0;
    transfer_fail(transfer, "cannot start %s: %s", child->title, strerror(errno));
    return -1;
}

/* The port that a process is to listen on: a fixed one, or 0 for any. */
static struct number own_port(const struct transfer *transfer, int which) {
    const unsigned base = transfer->options->base_port;
    return number(base == 0 ? 0 : base + (unsigned)which);
}

/* With two threads the exit listens on two ports; the second is the client's number, as a client does not listen. */
static int start_exit(struct transfer *transfer) {
    const struct options *options = transfer->options;
    const struct number port = own_port(transfer, EXIT), second = own_port(transfer, CLIENT);
    const struct number algorithm = number(options->algorithm);
    const char *const args[] = {transfer->cargo->file, options->idle_s != 0 ? "" : options->machines[AT_OTHER],
                                algorithm.text, port.text, options->threads > 1 ? second.text : NULL, NULL};
    if (start(transfer, EXIT, "exit", args) != 0) return -1;
    return transfer_wait_for_ports(transfer, &transfer->children[EXIT], options->threads);
}

/* The next process of a leg. If the exit has two loops, each leg goes to its own. */
static uint16_t port_of(const struct transfer *transfer, int which, size_t leg) {
    const uint16_t *ports = transfer->children[which].ports;
    return which == EXIT && leg == 1 && ports[1] != 0 ? ports[1] : ports[0];
}

/* The middle relay limits a path: its rate, half of the round trip each way, and a queue. Guards only pass cells on. */
static int start_relay(struct transfer *transfer, int which, int next, size_t leg) {
    const struct options *options = transfer->options;
    const struct path none = {0, 0, 0, 0}, *path = &options->paths[leg];
    const int is_middle = which == MIDDLE_A || which == MIDDLE_B, pads = is_middle && options->idle_s != 0;
    if (!is_middle) path = &none;
    const struct number port = own_port(transfer, which), next_port = number(port_of(transfer, next, leg));
    const struct number rate = number(path_bytes_per_s(path)), delay_us = number((uint64_t)(path->rtt_ms * 500));
    const struct number up = number(path_up_bytes_per_s(path)), jitter_us = number((uint64_t)(path->jitter_ms * 1000));
    const struct number seconds = number(options->idle_s);
    const char *const args[] = {port.text, next_port.text, rate.text, up.text, delay_us.text, jitter_us.text,
                                pads ? options->machines[AT_OTHER] : "", seconds.text, NULL};
    if (start(transfer, which, "relay", args) != 0) return -1;
    return transfer_wait_for_ports(transfer, &transfer->children[which], 1);
}

static int start_leg(struct transfer *transfer, size_t leg) {
    const int middle = leg == 0 ? MIDDLE_A : MIDDLE_B, guard = leg == 0 ? GUARD_A : GUARD_B;
    if (start_relay(transfer, middle, EXIT, leg) != 0 || start_relay(transfer, guard, middle, leg) != 0) return -1;
    printf("  leg %c: guard pid %d, middle pid %d\n", 'A' + (int)leg, (int)transfer->children[guard].pid,
           (int)transfer->children[middle].pid);
    return 0;
}

/* The client of a circuit that carries no data. */
static int start_idle(struct transfer *transfer) {
    const struct options *options = transfer->options;
    const struct number seconds = number(options->idle_s), next = number(transfer->children[GUARD_A].ports[0]);
    const char *const args[] = {options->machines[AT_CLIENT], seconds.text, next.text, NULL};
    return start(transfer, CLIENT, "idle", args);
}

static int start_client(struct transfer *transfer) {
    const struct number a = number(port_of(transfer, GUARD_A, 0)), b = number(port_of(transfer, GUARD_B, 1));
    const struct options *options = transfer->options;
    const struct cargo *cargo = transfer->cargo;
    const struct number size = number(cargo->size), sets = number(cargo->parts);
    const struct number reads = number(options_reader_bytes_per_s(options));
    const char *const args[] = {cargo->copy, size.text, sets.text, options->machines[AT_CLIENT],
                                reads.text, a.text, transfer->legs > 1 ? b.text : NULL, NULL};
    if (start(transfer, CLIENT, "client", args) != 0) return -1;
    printf("  client pid %d, exit pid %d\n", (int)transfer->children[CLIENT].pid, (int)transfer->children[EXIT].pid);
    return 0;
}

int network_start(struct transfer *transfer) {
    if (start_exit(transfer) != 0) return -1;
    for (size_t leg = 0; leg < transfer->legs; leg++)
        if (start_leg(transfer, leg) != 0) return -1;
    return transfer->options->idle_s != 0 ? start_idle(transfer) : start_client(transfer);
}
