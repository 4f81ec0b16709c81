/* The text that the demo prints: before the transfers, and at the end. */
#ifndef DEMO_SUMMARY_H
#define DEMO_SUMMARY_H

#include "transfer.h"

struct outcome {
    struct transfer_result runs[LEGS_MAX]; /* Over one leg, over two. */
    char sha[SHA256_HEX_CAP], copy_sha[SHA256_HEX_CAP]; /* Of the file, and of the last copy. */
};

void summary_print_header(const struct options *options, uint64_t size);

/* Prints notes about one run, besides the table. */
void summary_print_run(const struct options *options, const struct transfer_result *run);

/* Prints tables and the last line. Returns the exit status. */
int summary_judge(const struct options *options, const struct outcome *outcome);

#endif
