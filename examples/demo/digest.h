/* The running digest of one direction of a circuit, as in tor1: over all relay cells that two ends exchange. Its
 * first 20 bytes after a DATA cell are the digest with which a SENDME proves that the cell has come (prop289). */
#ifndef DEMO_DIGEST_H
#define DEMO_DIGEST_H

#include "cell.h"
#include "sha256.h"

enum { DIGEST_LEN = 20 };

struct digest {
    struct sha256 sha;
};

void digest_init(struct digest *digest);

/* Adds the next cell: its body without the hop count, which differs at the two ends. */
void digest_add(struct digest *digest, const struct cell *cell);

void digest_quote(const struct digest *digest, uint8_t quote[DIGEST_LEN]);

#endif
