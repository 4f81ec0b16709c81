#include "padding.h"

#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any machine of the demo has. */
enum { TEXT_MAX = 1 << 20 };

static size_t read_text(const char *path, char *text, size_t cap) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) node_fail("cannot read %s: %s", path, strerror(errno));
    const size_t len = fread(text, 1, cap, file);
    if (ferror(file) || len == cap) node_fail("cannot read %s: it is no text of padding machines", path);
    fclose(file);
    return len;
}

struct circflow_machines_id padding_load(struct loop *loop, const char *path) {
    struct circflow_machines_id machines = {0};
    char why[160] = "";
    if (path[0] == '\0') return machines;
    char *text = malloc(TEXT_MAX);
    if (text == NULL) node_fail("out of memory");
    const size_t len = read_text(path, text, TEXT_MAX);
    const enum circflow_status status = circflow_machines_load(loop->engine, text, len, &machines);
    free(text);
    if (status == CIRCFLOW_OK) return machines;
    circflow_engine_get_last_detail(loop->engine, why, sizeof why, NULL);
    node_fail("%s: %s: %s", path, circflow_status_text((int32_t)status), why);
}

void padding_add(struct circflow_padding_stats *sum, const struct loop *loop, struct circflow_circuit_id circuit,
                 uint8_t hop) {
    struct circflow_padding_stats stats = {.size = sizeof stats};
    if (circflow_padding_get_stats(loop->engine, circuit, hop, 0, &stats) != CIRCFLOW_OK) return;
    sum->normal_sent += stats.normal_sent;
    sum->padding_sent += stats.padding_sent;
    sum->replaced += stats.replaced;
    if (stats.blocked_ns > sum->blocked_ns) sum->blocked_ns = stats.blocked_ns;
}

void padding_say(const struct circflow_padding_stats *sum, unsigned loop) {
    node_say("padding %u %llu %llu %llu %llu", loop, (unsigned long long)sum->normal_sent,
             (unsigned long long)sum->padding_sent, (unsigned long long)sum->replaced,
             (unsigned long long)sum->blocked_ns);
}
