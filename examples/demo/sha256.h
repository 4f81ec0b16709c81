/* SHA-256 (FIPS 180-4), to compare the file at both ends of the demo. Simple, not fast, not for secrets. */
#ifndef DEMO_SHA256_H
#define DEMO_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32, SHA256_HEX_CAP = 65 };

struct sha256 {
    uint32_t state[8];
    uint64_t total;    /* Number of bytes so far. */
    uint8_t block[64]; /* The last bytes, which do not fill a block yet. */
};

void sha256_init(struct sha256 *sha);
void sha256_update(struct sha256 *sha, const void *data, size_t len);
void sha256_final(struct sha256 *sha, uint8_t digest[SHA256_LEN]);

/* As sha256_final(), in lower-case hex with a NUL. */
void sha256_final_hex(struct sha256 *sha, char hex[SHA256_HEX_CAP]);

/* Returns 1 when the published test vectors give the right results. */
int sha256_works(void);

#endif
