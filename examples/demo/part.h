/* The part of the file that each set carries: as near to equal as can be. */
#ifndef DEMO_PART_H
#define DEMO_PART_H

#include <stdint.h>

static inline uint64_t part_begin(uint64_t size, unsigned number, unsigned count) {
    return size / count * number + size % count * number / count;
}

static inline uint64_t part_len(uint64_t size, unsigned number, unsigned count) {
    return part_begin(size, number + 1, count) - part_begin(size, number, count);
}

#endif
