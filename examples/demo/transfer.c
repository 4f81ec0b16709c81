#include "transfer.h"

#include "child.h"
#include "clock.h"
#include "progress.h"
#include "testfile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STALL_S = 10,      /* With no news for so long, it is over. */
    TICK_MS = 50,      /* How often we look. */
    LINGER_TICKS = 4,  /* How long to listen on: after a failure for its cause, after padding for the last figures. */
    QUEUE_CELLS = 1024 /* What may wait for tokens at a relay, before TCP stops the sender. */
};

/* The processes, in the order in which they start: each needs the port of the one before. */
enum { EXIT, MIDDLE_A, GUARD_A, MIDDLE_B, GUARD_B, CLIENT, CHILDREN };

static const char leg_letters[CHILDREN] = {
    [MIDDLE_A] = 'A', [GUARD_A] = 'A', [MIDDLE_B] = 'B', [GUARD_B] = 'B'};

struct transfer {
    const struct options *options;
    const char *file, *copy;
    size_t legs;
    struct event_base *base;
    struct child children[CHILDREN];
    struct progress progress;
    uint64_t moved_ns; /* When anything last moved. */
    char first_failure[384];
    char cause[128]; /* The relay that died first, or empty. */
    int has_sent, has_received;
    struct transfer_result *result;
};

/* --- What the processes say ----------------------------------------------------------------------------------- */

static void fail(struct transfer *transfer, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 2, 3)))
#endif
    ;

/* The first failure counts; what follows from it is noise. */
static void fail(struct transfer *transfer, const char *format, ...) {
    va_list args;
    if (transfer->first_failure[0] != '\0') return;
    va_start(args, format);
    vsnprintf(transfer->first_failure, sizeof transfer->first_failure, format, args);
    va_end(args);
}

static void on_client_progress(struct transfer *transfer, const char *figures) {
    unsigned long long bytes, cells[LEGS_MAX], held, peak;
    struct progress *progress = &transfer->progress;
    if (sscanf(figures, "%llu %llu %llu %llu %llu", &bytes, &cells[0], &cells[1], &held, &peak) != 5) return;
    /* Cells that are no bytes of the file may be the last of it, on their way. Padding comes for ever. */
    const int cells_came = cells[0] + cells[1] != progress->cells[0] + progress->cells[1];
    if (bytes != progress->bytes || (cells_came && !progress->is_padded)) transfer->moved_ns = now_ns();
    progress->bytes = bytes;
    progress->held = held;
    progress->held_peak = peak;
    for (size_t i = 0; i < LEGS_MAX; i++) progress->cells[i] = cells[i];
}

static void on_exit_progress(struct transfer *transfer, const char *figures) {
    unsigned long long rtt_us[LEGS_MAX];
    if (sscanf(figures, "%llu %llu", &rtt_us[0], &rtt_us[1]) != 2) return;
    for (size_t i = 0; i < LEGS_MAX; i++) transfer->progress.rtt_us[i] = rtt_us[i];
}

static void on_regular(struct transfer *transfer, int is_client, const char *figures) {
    struct regular *regular = &transfer->result->regular[is_client ? AT_CLIENT : AT_EXIT];
    unsigned long long value[8];
    if (sscanf(figures, "%llu %llu %llu %llu %llu %llu %llu %llu", &value[0], &value[1], &value[2], &value[3],
               &value[4], &value[5], &value[6], &value[7]) != 8)
        return;
    *regular = (struct regular){value[0], value[1], value[2], value[3], value[4], value[5], value[6], value[7]};
    *(is_client ? &transfer->has_received : &transfer->has_sent) = 1;
    transfer->moved_ns = now_ns();
}

static void on_received(struct transfer *transfer, const char *figures) {
    struct transfer_result *result = transfer->result;
    unsigned long long bytes, took_ns, cells[LEGS_MAX], peak;
    if (sscanf(figures, "%llu %64s %llu %llu %llu %llu", &bytes, result->received_sha, &took_ns, &cells[0], &cells[1],
               &peak) != 6)
        return;
    result->received = bytes;
    result->took_ns = took_ns;
    result->held_peak = peak;
    for (size_t i = 0; i < LEGS_MAX; i++) result->cells[i] = cells[i];
    transfer->has_received = 1;
}

static void on_sent(struct transfer *transfer, const char *figures) {
    struct transfer_result *result = transfer->result;
    unsigned long long bytes, switches;
    if (sscanf(figures, "%llu %64s %llu", &bytes, result->sent_sha, &switches) != 3) return;
    result->sent = bytes;
    result->switches = switches;
    transfer->has_sent = 1;
}

static void on_padding(struct transfer *transfer, int is_client, const char *figures) {
    unsigned long long other, padding, replaced, blocked_ns;
    struct padding *end = &transfer->progress.padding[is_client ? AT_CLIENT : AT_EXIT];
    if (sscanf(figures, "%llu %llu %llu %llu", &other, &padding, &replaced, &blocked_ns) != 4) return;
    *end = (struct padding){.other = other, .cells = padding, .replaced = replaced, .blocked_ns = blocked_ns};
}

/* Circuits also close when all is done. */
static void on_note(struct transfer *transfer, const char *text) {
    struct transfer_result *result = transfer->result;
    if (transfer->has_sent || transfer->has_received || result->lost[0] != '\0') return;
    snprintf(result->lost, sizeof result->lost, "%s", text);
}

/* What comes after `word` and a blank, if the line begins so; else NULL. */
static const char *after(const char *line, const char *word) {
    const size_t len = strlen(word);
    return strncmp(line, word, len) == 0 && line[len] == ' ' ? line + len + 1 : NULL;
}

static void on_line(void *owner, struct child *child, const char *line) {
    struct transfer *transfer = owner;
    const int is_client = child == &transfer->children[CLIENT];
    const char *rest;
    if ((rest = after(line, "port")) != NULL) {
        child->port = (uint16_t)strtoul(rest, NULL, 10);
        transfer->moved_ns = now_ns();
    } else if ((rest = after(line, "progress")) != NULL) {
        if (is_client)
            on_client_progress(transfer, rest);
        else
            on_exit_progress(transfer, rest);
    } else if ((rest = after(line, "padding")) != NULL) {
        on_padding(transfer, is_client, rest);
    } else if ((rest = after(line, "received")) != NULL) {
        on_received(transfer, rest);
    } else if ((rest = after(line, "sent")) != NULL) {
        on_sent(transfer, rest);
    } else if ((rest = after(line, "regular")) != NULL) {
        on_regular(transfer, is_client, rest);
    } else if ((rest = after(line, "note")) != NULL) {
        on_note(transfer, rest);
    } else if ((rest = after(line, "fail")) != NULL) {
        fail(transfer, "%s%s%s", strncmp(rest, "leg ", 4) == 0 ? "" : child->title,
             strncmp(rest, "leg ", 4) == 0 ? "" : ": ", rest);
    } else {
        fail(transfer, "%s said '%s'", child->title, line);
    }
}

/* A relay that dies need not be the end: client and exit find out what it means for the set. */
static void on_over(void *owner, struct child *child, const char *how) {
    struct transfer *transfer = owner;
    const int is_relay = child->leg != 0;
    if (is_relay && transfer->cause[0] == '\0')
        snprintf(transfer->cause, sizeof transfer->cause, "leg %c closed: %s %s", child->leg, child->title, how);
    if (!is_relay || child->port == 0) fail(transfer, "%s %s", child->title, how);
}

static const struct child_events events = {on_line, on_over};

/* --- Waiting -------------------------------------------------------------------------------------------------- */

static void tick(struct transfer *transfer) {
    const struct timeval interval = {.tv_usec = TICK_MS * 1000};
    event_base_loopexit(transfer->base, &interval);
    event_base_dispatch(transfer->base);
}

static int is_running(const struct transfer *transfer) { return transfer->first_failure[0] == '\0'; }

/* No wait is without bound: either something moves, or it is over. */
static int wait_for_port(struct transfer *transfer, const struct child *child) {
    while (child->port == 0 && is_running(transfer)) {
        tick(transfer);
        if (interrupted) fail(transfer, "interrupted by signal %d", (int)interrupted);
        if (now_ns() - transfer->moved_ns > STALL_S * UINT64_C(1000000000))
            fail(transfer, "%s did not come up in %d seconds", child->title, STALL_S);
    }
    return is_running(transfer) ? 0 : -1;
}

static void fail_stalled(struct transfer *transfer) {
    const struct progress *progress = &transfer->progress;
    fail(transfer, "%s%snothing%s moved for %d seconds; %llu of %llu bytes came, %llu messages are held",
         transfer->result->lost, transfer->result->lost[0] == '\0' ? "" : ", and ",
         progress->is_padded ? " but padding" : "", STALL_S, (unsigned long long)progress->bytes,
         (unsigned long long)progress->size, (unsigned long long)progress->held);
}

static void wait_for_end(struct transfer *transfer) {
    while (!(transfer->has_received && transfer->has_sent) && is_running(transfer)) {
        tick(transfer);
        if (interrupted) fail(transfer, "interrupted by signal %d", (int)interrupted);
        if (now_ns() - transfer->moved_ns > (STALL_S + transfer->options->idle_s) * UINT64_C(1000000000))
            fail_stalled(transfer);
        if (transfer->options->idle_s == 0) progress_draw(&transfer->progress, now_ns());
    }
    const int lingers = !is_running(transfer) || transfer->progress.is_padded;
    for (int i = 0; i < LINGER_TICKS && lingers; i++) tick(transfer);
    progress_end();
}

/* --- Starting ------------------------------------------------------------------------------------------------- */

static int start(struct transfer *transfer, int which, const char *program, const char *title,
                 const char *const args[]) {
    struct child *child = &transfer->children[which];
    child->program = program;
    child->leg = leg_letters[which];
    child->events = &events;
    child->owner = transfer;
    snprintf(child->title, sizeof child->title, "%s", title);
    transfer->moved_ns = now_ns();
    if (child_start(child, transfer->base, args) == 0) return 0;
    fail(transfer, "cannot start %s: %s", title, strerror(errno));
    return -1;
}

struct number {
    char text[24];
};

static struct number number(uint64_t value) {
    struct number number;
    snprintf(number.text, sizeof number.text, "%llu", (unsigned long long)value);
    return number;
}

/* The port that a process is to listen on: a fixed one, or 0 for any. */
static struct number own_port(const struct transfer *transfer, int which) {
    const unsigned base = transfer->options->base_port;
    return number(base == 0 ? 0 : base + (unsigned)which);
}

/* Client or exit of a circuit that nobody uses. */
static int start_idle(struct transfer *transfer, int which, const char *title, uint16_t port) {
    const struct options *options = transfer->options;
    const struct number seconds = number(options->idle_s), own = own_port(transfer, which), next = number(port);
    const char *const args[] = {title, options->machines[which == CLIENT ? AT_CLIENT : AT_EXIT], seconds.text,
                                which == CLIENT ? next.text : own.text, NULL};
    return start(transfer, which, "idle", title, args);
}

static int start_exit(struct transfer *transfer) {
    const struct options *options = transfer->options;
    if (options->idle_s != 0) {
        if (start_idle(transfer, EXIT, "exit", 0) != 0) return -1;
        return wait_for_port(transfer, &transfer->children[EXIT]);
    }
    const struct number port = own_port(transfer, EXIT);
    const struct number a = number(path_window(options, &options->paths[0]));
    const struct number b = number(path_window(options, &options->paths[1]));
    const char *const args[] = {port.text, transfer->file, options->machines[AT_EXIT], a.text, b.text, NULL};
    if (start(transfer, EXIT, "exit", "exit", args) != 0) return -1;
    return wait_for_port(transfer, &transfer->children[EXIT]);
}

/* The middle is the narrow place of a path: rate, half of the round trip each way, and a queue. Guards pass on. */
static int start_relay(struct transfer *transfer, int which, int next, size_t leg) {
    const struct path none = {0, 0}, *path = &transfer->options->paths[leg];
    const int is_middle = which == MIDDLE_A || which == MIDDLE_B;
    if (!is_middle) path = &none;
    const struct number port = own_port(transfer, which), next_port = number(transfer->children[next].port);
    const struct number rate = number(path_bytes_per_s(path)), delay_us = number((uint64_t)(path->rtt_ms * 500));
    const struct number queue = number(QUEUE_CELLS + path_cells(path));
    const struct number circ_id = number(leg + 1);
    const char *const args[] = {circ_id.text, port.text, next_port.text, rate.text, delay_us.text, queue.text, NULL};
    char title[24];
    snprintf(title, sizeof title, "%s %c", is_middle ? "middle" : "guard", 'A' + (int)leg);
    if (start(transfer, which, "relay", title, args) != 0) return -1;
    return wait_for_port(transfer, &transfer->children[which]);
}

static int start_leg(struct transfer *transfer, size_t leg) {
    const int middle = leg == 0 ? MIDDLE_A : MIDDLE_B, guard = leg == 0 ? GUARD_A : GUARD_B;
    if (start_relay(transfer, middle, EXIT, leg) != 0 || start_relay(transfer, guard, middle, leg) != 0) return -1;
    printf("  leg %c: guard pid %d, middle pid %d\n", 'A' + (int)leg, (int)transfer->children[guard].pid,
           (int)transfer->children[middle].pid);
    return 0;
}

static int start_client(struct transfer *transfer) {
    const struct number a = number(transfer->children[GUARD_A].port), b = number(transfer->children[GUARD_B].port);
    const struct options *options = transfer->options;
    if (options->idle_s != 0) return start_idle(transfer, CLIENT, "client", transfer->children[GUARD_A].port);
    const int records = options->record != NULL && (transfer->legs == 1 || options->two_only);
    const char *const args[] = {transfer->copy, records ? options->record : "",
                                options->machines[AT_CLIENT], a.text,
                                transfer->legs > 1 ? b.text : NULL, NULL};
    if (start(transfer, CLIENT, "client", "client", args) != 0) return -1;
    printf("  client pid %d, exit pid %d\n", (int)transfer->children[CLIENT].pid, (int)transfer->children[EXIT].pid);
    return 0;
}

static void run(struct transfer *transfer) {
    if (start_exit(transfer) != 0) return;
    for (size_t leg = 0; leg < transfer->legs; leg++)
        if (start_leg(transfer, leg) != 0) return;
    if (start_client(transfer) != 0) return;
    wait_for_end(transfer);
}

/* Names the cause before the symptom: a relay that died, then what came of it. */
static void conclude(struct transfer *transfer) {
    struct transfer_result *result = transfer->result;
    const int has_cause = transfer->cause[0] != '\0' && !interrupted;
    if (!is_running(transfer))
        snprintf(result->failure, sizeof result->failure, "%s%s%s", has_cause ? transfer->cause : "",
                 has_cause ? "; " : "", transfer->first_failure);
}

void transfer_run(const struct options *options, const char *file, uint64_t size, const char *copy, size_t legs,
                  struct transfer_result *result) {
    struct transfer transfer = {.options = options, .file = file, .copy = copy, .legs = legs, .result = result};
    transfer.progress = (struct progress){.size = size, .legs = legs, .is_padded = options->padding != NULL};
    memset(result, 0, sizeof *result);
    transfer.base = event_base_new();
    if (transfer.base == NULL) {
        snprintf(result->failure, sizeof result->failure, "cannot make an event loop");
        return;
    }
    run(&transfer);
    children_stop(transfer.children, CHILDREN);
    memcpy(result->padding, transfer.progress.padding, sizeof result->padding);
    conclude(&transfer);
    event_base_free(transfer.base);
}
