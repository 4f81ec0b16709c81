#include "digest.h"

#include <string.h>

void digest_init(struct digest *digest) { sha256_init(&digest->sha); }

void digest_add(struct digest *digest, const struct cell *cell) {
    struct cell plain = *cell;
    cell_set_hops(&plain, 0);
    sha256_update(&digest->sha, plain.body, sizeof plain.body);
}

void digest_quote(const struct digest *digest, uint8_t quote[DIGEST_LEN]) {
    uint8_t whole[SHA256_LEN];
    struct sha256 so_far = digest->sha; /* A copy: the digest itself runs on. */
    sha256_final(&so_far, whole);
    memcpy(quote, whole, DIGEST_LEN);
}
