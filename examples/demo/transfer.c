#include "transfer.h"

#include "clock.h"
#include "network.h"
#include "testfile.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    STALL_S = 10,    /* Without progress for this long, the transfer has failed. */
    TICK_MS = 50,    /* Time between two checks. */
    LINGER_TICKS = 6 /* Wait for more lines: after a failure for its cause, after the end for the last figures. */
};

void transfer_fail(struct transfer *transfer, const char *format, ...) {
    va_list args;
    if (transfer->first_failure[0] != '\0') return;
    va_start(args, format);
    vsnprintf(transfer->first_failure, sizeof transfer->first_failure, format, args);
    va_end(args);
}

/* --- Waiting -------------------------------------------------------------------------------------------------- */

static void tick(struct transfer *transfer) {
    const struct timeval interval = {.tv_usec = TICK_MS * 1000};
    event_base_loopexit(transfer->base, &interval);
    event_base_dispatch(transfer->base);
}

static int is_running(const struct transfer *transfer) { return transfer->first_failure[0] == '\0'; }

/* Every wait has a limit: without progress the transfer fails. */
int transfer_wait_for_ports(struct transfer *transfer, const struct child *child, unsigned count) {
    while (child->ports[count - 1] == 0 && is_running(transfer)) {
        tick(transfer);
        if (interrupted) transfer_fail(transfer, "interrupted by signal %d", (int)interrupted);
        if (now_ns() - transfer->moved_ns > STALL_S * UINT64_C(1000000000))
            transfer_fail(transfer, "%s did not come up in %d seconds", child->title, STALL_S);
    }
    return is_running(transfer) ? 0 : -1;
}

static void fail_stalled(struct transfer *transfer) {
    const struct progress *progress = &transfer->progress;
    transfer_fail(transfer, "%s%snothing%s moved for %d seconds; %llu of %llu bytes came, %llu messages are held",
                  transfer->result->lost, transfer->result->lost[0] == '\0' ? "" : ", and ",
                  progress->is_padded ? " but padding" : "", STALL_S, (unsigned long long)progress->bytes,
                  (unsigned long long)progress->size, (unsigned long long)progress->held);
}

static void wait_for_end(struct transfer *transfer) {
    while (!(transfer->has_received && transfer->has_sent) && is_running(transfer)) {
        tick(transfer);
        if (interrupted) transfer_fail(transfer, "interrupted by signal %d", (int)interrupted);
        if (now_ns() - transfer->moved_ns > (STALL_S + transfer->options->idle_s) * UINT64_C(1000000000))
            fail_stalled(transfer);
        if (transfer->options->idle_s == 0) progress_draw(&transfer->progress, now_ns());
    }
    const int lingers = !is_running(transfer) || transfer->progress.is_padded || transfer->options->slow_reader;
    for (int i = 0; i < LINGER_TICKS && lingers; i++) tick(transfer);
    progress_end();
}

static void check_parts(struct transfer *transfer) {
    const unsigned parts = transfer->cargo->parts;
    if (is_running(transfer) && transfer->options->idle_s == 0 &&
        (transfer->parts_sent != parts || transfer->parts_received != parts))
        transfer_fail(transfer, "of %u parts %u were sent and %u came", parts, transfer->parts_sent,
                      transfer->parts_received);
}

/* Prints the cause before the symptom: the relay that died, then the failure. */
static void conclude(struct transfer *transfer) {
    struct transfer_result *result = transfer->result;
    const int has_cause = transfer->cause[0] != '\0' && !interrupted;
    if (!is_running(transfer))
        snprintf(result->failure, sizeof result->failure, "%s%s%s", has_cause ? transfer->cause : "",
                 has_cause ? "; " : "", transfer->first_failure);
}

void transfer_run(const struct options *options, const struct cargo *cargo, size_t legs,
                  struct transfer_result *result) {
    struct transfer transfer = {.options = options, .cargo = cargo, .legs = legs, .result = result};
    transfer.progress = (struct progress){.size = cargo->size,
                                          .legs = legs,
                                          .parts = cargo->parts,
                                          .is_slow = options->slow_reader,
                                          .is_padded = options->padding != NULL};
    memset(result, 0, sizeof *result);
    transfer.base = event_base_new();
    if (transfer.base == NULL) {
        snprintf(result->failure, sizeof result->failure, "cannot make an event loop");
        return;
    }
    if (network_start(&transfer) == 0) wait_for_end(&transfer);
    children_stop(transfer.children, PROCESSES);
    check_parts(&transfer);
    memcpy(result->padding, transfer.progress.padding, sizeof result->padding);
    conclude(&transfer);
    event_base_free(transfer.base);
}
