/* What the demo tells people: before, and in the end. */
#ifndef DEMO_SUMMARY_H
#define DEMO_SUMMARY_H

#include "transfer.h"

struct outcome {
    struct transfer_result runs[LEGS_MAX]; /* Over one leg, over two. */
    char sha[SHA256_HEX_CAP], copy_sha[SHA256_HEX_CAP]; /* Of the file, and of what came last. */
};

void summary_print_header(const struct options *options, uint64_t size);

/* What there is to say of one run besides the table. */
void summary_print_run(const struct options *options, const struct transfer_result *run);

/* Prints tables and the last line. The status for the shell. */
int summary_judge(const struct options *options, const struct outcome *outcome);

#endif
