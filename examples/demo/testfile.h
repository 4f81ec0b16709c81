/* Makes, checks, hashes and compares the file that is moved. Each returns 0, or -1 with a message in why; a signal that
 * asks the demo to stop ends the longer ones too. */
#ifndef DEMO_TESTFILE_H
#define DEMO_TESTFILE_H

#include "sha256.h"

#include <signal.h>
#include <stddef.h>

enum { WHY_CAP = 512 };

/* The signal that asked the demo to stop, 0 before one came. */
extern volatile sig_atomic_t interrupted;

/* Checks that it is a regular file that can be read and is not empty. */
int testfile_check(const char *path, uint64_t *size_out, char why[WHY_CAP]);

/* Makes a file of pseudo-random bytes, always the same. */
int testfile_make(const char *path, uint64_t size, char why[WHY_CAP]);

/* Hashes `len` bytes from `at` on, or as many as there are. */
int testfile_hash(const char *path, uint64_t at, uint64_t len, char hex[SHA256_HEX_CAP], char why[WHY_CAP]);

int testfile_compare(const char *sent, const char *received, char why[WHY_CAP]);

#endif
