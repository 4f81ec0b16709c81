#include "padding.h"

#include "clock.h"
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any machine of ours has. */
enum { TEXT_MAX = 1 << 20 };

static size_t read_text(const char *path, char *text, size_t cap) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) node_fail("cannot read %s: %s", path, strerror(errno));
    const size_t len = fread(text, 1, cap, file);
    if (ferror(file) || len == cap) node_fail("cannot read %s: it is no text of padding machines", path);
    fclose(file);
    return len;
}

void padding_load(struct endpoint *endpoint, const char *path) {
    char why[160] = "";
    if (path[0] == '\0') return;
    char *text = malloc(TEXT_MAX);
    if (text == NULL) node_fail("out of memory");
    const size_t len = read_text(path, text, TEXT_MAX);
    const enum circflow_status status = circflow_machines_load(endpoint->engine, text, len, &endpoint->machines);
    free(text);
    if (status == CIRCFLOW_OK) return;
    circflow_engine_last_detail(endpoint->engine, why, sizeof why, NULL);
    node_fail("%s: %s: %s", path, circflow_strerror((int32_t)status), why);
}

void padding_install(struct leg *leg) {
    struct endpoint *endpoint = leg->endpoint;
    struct circflow_padding_config config;
    if (endpoint->machines.v == 0) return;
    must(circflow_padding_config_init(&config, sizeof config), "circflow_padding_config_init");
    config.machines = endpoint->machines;
    config.hop = endpoint->role->peer_hop; /* Client and exit pad with each other, all the way. */
    must(circflow_padding_install(endpoint->engine, now_ns(), leg->circuit, &config), "circflow_padding_install");
}

static int leg_figures(const struct leg *leg, struct circflow_padding_stats *stats) {
    const struct endpoint *endpoint = leg->endpoint;
    stats->size = sizeof *stats;
    return circflow_padding_get_stats(endpoint->engine, leg->circuit, endpoint->role->peer_hop, 0, stats) ==
                   CIRCFLOW_OK
               ? 0
               : -1;
}

static void add(struct circflow_padding_stats *sum, const struct leg *leg) {
    struct circflow_padding_stats stats;
    if (leg_figures(leg, &stats) != 0) return; /* Without a padder, or gone. */
    sum->normal_sent += stats.normal_sent;
    sum->padding_sent += stats.padding_sent;
    sum->replaced += stats.replaced;
    if (stats.blocked_ns > sum->blocked_ns) sum->blocked_ns = stats.blocked_ns;
}

void padding_keep(struct leg *leg) { add(&leg->endpoint->padding_gone, leg); }

void padding_figures(struct endpoint *endpoint, struct circflow_padding_stats *sum) {
    *sum = endpoint->padding_gone;
    for (size_t i = 0; i < endpoint->leg_count; i++) add(sum, &endpoint->legs[i]);
}

void padding_say(struct endpoint *endpoint) {
    struct circflow_padding_stats sum;
    if (endpoint->machines.v == 0) return;
    padding_figures(endpoint, &sum);
    node_say("padding %llu %llu %llu %llu", (unsigned long long)sum.normal_sent, (unsigned long long)sum.padding_sent,
             (unsigned long long)sum.replaced, (unsigned long long)sum.blocked_ns);
}
