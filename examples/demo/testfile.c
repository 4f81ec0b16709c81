#include "testfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 65536 };

volatile sig_atomic_t interrupted;

static int failed(char why[WHY_CAP], const char *what, const char *path) {
    snprintf(why, WHY_CAP, "cannot %s '%s': %s", what, path, strerror(errno));
    return -1;
}

static int stopped(char why[WHY_CAP]) {
    snprintf(why, WHY_CAP, "interrupted");
    return -1;
}

int testfile_check(const char *path, uint64_t *size_out, char why[WHY_CAP]) {
    struct stat info;
    if (stat(path, &info) != 0) return failed(why, "read", path);
    if (!S_ISREG(info.st_mode)) {
        snprintf(why, WHY_CAP, "'%s' is %s", path, S_ISDIR(info.st_mode) ? "a directory" : "no regular file");
        return -1;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) return failed(why, "read", path);
    fclose(file);
    if (info.st_size == 0) {
        snprintf(why, WHY_CAP, "'%s' is empty: there is nothing to move", path);
        return -1;
    }
    *size_out = (uint64_t)info.st_size;
    return 0;
}

/* xorshift64: enough to make every chunk differ from every other, so that a cell out of place is noticed. */
static void fill(uint64_t *words, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        words[i] = *state;
    }
}

int testfile_make(const char *path, uint64_t size, char why[WHY_CAP]) {
    static uint64_t words[CHUNK / sizeof(uint64_t)];
    uint64_t state = 20240329;
    FILE *file = fopen(path, "wb");
    if (file == NULL) return failed(why, "write", path);
    while (size > 0 && !interrupted) {
        const size_t len = size < sizeof words ? (size_t)size : sizeof words;
        fill(words, sizeof words / sizeof words[0], &state);
        if (fwrite(words, 1, len, file) != len) break;
        size -= len;
    }
    if (fclose(file) != 0 || (size > 0 && !interrupted)) return failed(why, "write", path);
    return interrupted ? stopped(why) : 0;
}

int testfile_hash(const char *path, uint64_t at, uint64_t len, char hex[SHA256_HEX_CAP], char why[WHY_CAP]) {
    static uint8_t chunk[CHUNK];
    struct sha256 sha;
    size_t got = 1;
    FILE *file = fopen(path, "rb");
    if (file == NULL) return failed(why, "read", path);
    sha256_init(&sha);
    if (fseeko(file, (off_t)at, SEEK_SET) != 0) got = 0;
    while (len > 0 && got > 0 && !interrupted) {
        got = fread(chunk, 1, len < sizeof chunk ? (size_t)len : sizeof chunk, file);
        sha256_update(&sha, chunk, got);
        len -= got;
    }
    const int broken = ferror(file);
    fclose(file);
    if (broken) return failed(why, "read", path);
    sha256_final_hex(&sha, hex);
    return interrupted ? stopped(why) : 0;
}

static int compare_open(FILE *sent, FILE *received, char why[WHY_CAP]) {
    static uint8_t one[CHUNK], other[CHUNK];
    for (uint64_t at = 0; !interrupted; at += CHUNK) {
        const size_t len = fread(one, 1, CHUNK, sent);
        if (fread(other, 1, CHUNK, received) != len || memcmp(one, other, len) != 0) {
            snprintf(why, WHY_CAP, "wrong bytes: what came differs after byte %llu", (unsigned long long)at);
            return -1;
        }
        if (len == 0) return 0;
    }
    return stopped(why);
}

int testfile_compare(const char *sent, const char *received, char why[WHY_CAP]) {
    FILE *one = fopen(sent, "rb");
    if (one == NULL) return failed(why, "read", sent);
    FILE *other = fopen(received, "rb");
    if (other == NULL) {
        failed(why, "read", received);
        fclose(one);
        return -1;
    }
    const int result = compare_open(one, other, why);
    fclose(one);
    fclose(other);
    return result;
}
