#include "algorithm.h"

#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint8_t algorithm;
} known[] = {
    {"by-ux", CIRCFLOW_ALGORITHM_BY_UX},       {"minrtt", CIRCFLOW_ALGORITHM_MIN_RTT},
    {"lowrtt", CIRCFLOW_ALGORITHM_LOW_RTT},    {"cwndrtt", CIRCFLOW_ALGORITHM_CWND_RTT},
    {"ontime", CIRCFLOW_ALGORITHM_ON_TIME},    {"ecf", CIRCFLOW_ALGORITHM_ECF},
    {"blest", CIRCFLOW_ALGORITHM_BLEST},       {"otias", CIRCFLOW_ALGORITHM_OTIAS},
    {"random", CIRCFLOW_ALGORITHM_RANDOM},
};

enum { KNOWN = sizeof known / sizeof known[0] };

uint8_t algorithm_find(const char *name) {
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(known[i].name, name) == 0) return known[i].algorithm;
    fprintf(stderr, "demo: FAILED: there is no algorithm '%s'; there are:", name);
    for (size_t i = 0; i < KNOWN; i++) fprintf(stderr, " %s", known[i].name);
    fputc('\n', stderr);
    exit(2);
}

const char *algorithm_name(unsigned algorithm) {
    for (size_t i = 0; i < KNOWN; i++)
        if (known[i].algorithm == algorithm) return known[i].name;
    return "unknown";
}
