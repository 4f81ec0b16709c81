/* Reads the lines that the processes of a transfer print: see node.h. */
#include "clock.h"
#include "network.h"
#include "part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_progress(struct transfer *transfer, const char *figures) {
    unsigned long long bytes, cells[LEGS_MAX], held, peak, waiting;
    unsigned parts;
    struct progress *progress = &transfer->progress;
    if (sscanf(figures, "%llu %llu %llu %llu %llu %u %llu", &bytes, &cells[0], &cells[1], &held, &peak, &parts,
               &waiting) != 7)
        return;
    /* Cells without new bytes of the file count as movement too, but not with padding, which never ends. */
    const int cells_came = cells[0] + cells[1] != progress->cells[0] + progress->cells[1];
    if (bytes != progress->bytes || (cells_came && !progress->is_padded)) transfer->moved_ns = now_ns();
    progress->bytes = bytes;
    progress->held = held;
    progress->held_peak = peak;
    progress->parts_done = parts;
    progress->waiting = waiting;
    for (size_t i = 0; i < LEGS_MAX; i++) progress->cells[i] = cells[i];
}

static void on_leg(struct transfer *transfer, const char *figures) {
    unsigned long long rtt_us, cwnd, peak;
    char letter;
    if (sscanf(figures, "%c %llu %llu %llu", &letter, &rtt_us, &cwnd, &peak) != 4) return;
    const int leg = letter - 'A';
    if (leg < 0 || leg >= LEGS_MAX) return;
    transfer->progress.rtt_us[leg] = rtt_us;
    transfer->progress.cwnd[leg] = cwnd;
    transfer->result->cwnd_peak[leg] = peak;
}

static void on_regular(struct transfer *transfer, int is_client, const char *figures) {
    struct regular_figures *regular = &transfer->result->regular[is_client ? AT_CLIENT : AT_OTHER];
    unsigned long long value[8];
    if (sscanf(figures, "%llu %llu %llu %llu %llu %llu %llu %llu", &value[0], &value[1], &value[2], &value[3],
               &value[4], &value[5], &value[6], &value[7]) != 8)
        return;
    *regular = (struct regular_figures){value[0], value[1], value[2], value[3], value[4], value[5], value[6], value[7]};
    *(is_client ? &transfer->has_received : &transfer->has_sent) = 1;
    transfer->moved_ns = now_ns();
}

/* An end has finished a part. Its hash has to be that of the part of the file. */
static void on_part(struct transfer *transfer, int is_client, const char *figures) {
    const struct cargo *cargo = transfer->cargo;
    unsigned number;
    unsigned long long bytes;
    char sha[SHA256_HEX_CAP];
    if (sscanf(figures, "%u %llu %64s", &number, &bytes, sha) != 3 || number >= cargo->parts) return;
    if (bytes == part_len(cargo->size, number, cargo->parts) && strcmp(sha, cargo->part_sha[number]) == 0)
        (*(is_client ? &transfer->parts_received : &transfer->parts_sent))++;
    else
        transfer_fail(transfer, "wrong bytes: %llu of part %u %s, sha256 %s", bytes, number,
                      is_client ? "came" : "were sent", sha);
}

static void on_received(struct transfer *transfer, const char *figures) {
    struct transfer_result *result = transfer->result;
    unsigned long long bytes, took_ns, cells[LEGS_MAX], peak;
    if (sscanf(figures, "%llu %llu %llu %llu %llu", &bytes, &took_ns, &cells[0], &cells[1], &peak) != 5) return;
    result->received = bytes;
    result->took_ns = took_ns;
    result->held_peak = peak;
    for (size_t i = 0; i < LEGS_MAX; i++) result->cells[i] = cells[i];
    transfer->has_received = 1;
}

static void on_sent(struct transfer *transfer, const char *figures) {
    unsigned long long bytes, switches;
    unsigned algorithm;
    if (sscanf(figures, "%llu %llu %u", &bytes, &switches, &algorithm) != 3) return;
    transfer->result->sent = bytes;
    transfer->result->switches = switches;
    transfer->result->algorithm = algorithm;
    transfer->has_sent = 1;
}

static void on_flow(struct transfer *transfer, int is_client, const char *figures) {
    struct transfer_result *result = transfer->result;
    unsigned long long xoffs, xons;
    if (sscanf(figures, "%llu %llu", &xoffs, &xons) != 2) return;
    *(is_client ? &result->xoffs : &result->xoffs_heard) = xoffs;
    *(is_client ? &result->xons : &result->xons_heard) = xons;
}

static void on_memory(struct transfer *transfer, const struct child *child, const char *figures) {
    struct memory now;
    unsigned loop;
    if (sscanf(figures, "%u %zu %zu %zu %zu", &loop, &now.streams, &now.held, &now.parked, &now.channels) == 5 &&
        loop < LOOPS_MAX)
        transfer->result->memory[child - transfer->children][loop] = now;
}

static void on_padding(struct transfer *transfer, int is_client, const char *figures) {
    const int end = is_client ? AT_CLIENT : AT_OTHER;
    unsigned long long other, cells, replaced, blocked_ns;
    unsigned loop;
    if (sscanf(figures, "%u %llu %llu %llu %llu", &loop, &other, &cells, &replaced, &blocked_ns) != 5 ||
        loop >= LOOPS_MAX)
        return;
    transfer->padding[end][loop] =
        (struct padding){.other = other, .cells = cells, .replaced = replaced, .blocked_ns = blocked_ns};
    struct padding sum = {.cells = 0};
    for (size_t i = 0; i < LOOPS_MAX; i++) {
        const struct padding *one = &transfer->padding[end][i];
        sum.cells += one->cells;
        sum.other += one->other;
        sum.replaced += one->replaced;
        if (one->blocked_ns > sum.blocked_ns) sum.blocked_ns = one->blocked_ns;
    }
    transfer->progress.padding[end] = sum;
}

/* Circuits also close when the transfer is complete. */
static void on_note(struct transfer *transfer, const char *text) {
    struct transfer_result *result = transfer->result;
    if (transfer->has_sent || transfer->has_received || result->lost[0] != '\0') return;
    snprintf(result->lost, sizeof result->lost, "%s", text);
}

/* Returns the text after `word` and a blank if the line begins with them, else NULL. */
static const char *after(const char *line, const char *word) {
    const size_t len = strlen(word);
    return strncmp(line, word, len) == 0 && line[len] == ' ' ? line + len + 1 : NULL;
}

static void on_line(void *owner, struct child *child, const char *line) {
    struct transfer *transfer = owner;
    const int is_client = child == &transfer->children[CLIENT];
    const char *rest;
    if ((rest = after(line, "port")) != NULL) {
        child->ports[child->ports[0] == 0 ? 0 : 1] = (uint16_t)strtoul(rest, NULL, 10);
        transfer->moved_ns = now_ns();
    } else if ((rest = after(line, "progress")) != NULL) {
        on_progress(transfer, rest);
    } else if ((rest = after(line, "leg")) != NULL) {
        on_leg(transfer, rest);
    } else if ((rest = after(line, "memory")) != NULL) {
        on_memory(transfer, child, rest);
    } else if ((rest = after(line, "padding")) != NULL) {
        on_padding(transfer, is_client, rest);
    } else if ((rest = after(line, "part")) != NULL) {
        on_part(transfer, is_client, rest);
    } else if ((rest = after(line, "flow")) != NULL) {
        on_flow(transfer, is_client, rest);
    } else if ((rest = after(line, "received")) != NULL) {
        on_received(transfer, rest);
    } else if ((rest = after(line, "sent")) != NULL) {
        on_sent(transfer, rest);
    } else if ((rest = after(line, "regular")) != NULL) {
        on_regular(transfer, is_client, rest);
    } else if ((rest = after(line, "note")) != NULL) {
        on_note(transfer, rest);
    } else if ((rest = after(line, "fail")) != NULL) {
        const int names_a_leg = strncmp(rest, "leg ", 4) == 0;
        transfer_fail(transfer, "%s%s%s", names_a_leg ? "" : child->title, names_a_leg ? "" : ": ", rest);
    } else {
        transfer_fail(transfer, "%s said '%s'", child->title, line);
    }
}

/* The death of a relay need not end the transfer: client and exit find out what it means for the set. */
static void on_over(void *owner, struct child *child, const char *how) {
    struct transfer *transfer = owner;
    const int is_relay = child->leg != 0;
    if (is_relay && transfer->cause[0] == '\0')
        snprintf(transfer->cause, sizeof transfer->cause, "leg %c closed: %s %s", child->leg, child->title, how);
    if (!is_relay || child->ports[0] == 0) transfer_fail(transfer, "%s %s", child->title, how);
}

const struct child_events line_events = {on_line, on_over};
