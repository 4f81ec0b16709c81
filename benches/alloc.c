/* Counts the calls of malloc and its relatives. Rust's allocator is counted too, as it calls malloc.
 *
 * Only in the program that counts (COUNT_ALLOCATIONS): counting costs instructions, which would be added to the cost of
 * the code that allocates.
 */
#include "bench.h"

#ifdef COUNT_ALLOCATIONS
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

/* glibc's own functions, under the names that it exports for this. */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

static struct allocated total;

/* The real size of a block, not the requested size: glibc's header before each block is included. */
static size_t taken(void *block) {
  return malloc_usable_size(block) + sizeof(size_t);
}

static void *count(void *block, size_t asked) {
  if (block != NULL) {
    total.calls += 1;
    total.bytes += asked;
    total.live += taken(block);
  }
  return block;
}

static void uncount(void *block) {
  if (block != NULL) {
    total.live -= taken(block);
  }
}

void *malloc(size_t size) {
  return count(__libc_malloc(size), size);
}

void *calloc(size_t number, size_t size) {
  return count(__libc_calloc(number, size), number * size);
}

void *realloc(void *block, size_t size) {
  size_t before = block == NULL ? 0 : taken(block);
  void *moved = __libc_realloc(block, size);
  if (moved != NULL || size == 0) {
    total.live -= before;
  }
  return count(moved, size);
}

void *memalign(size_t align, size_t size) {
  return count(__libc_memalign(align, size), size);
}

void *aligned_alloc(size_t align, size_t size) {
  return count(__libc_memalign(align, size), size);
}

int posix_memalign(void **out, size_t align, size_t size) {
  void *block = count(__libc_memalign(align, size), size);
  if (block == NULL) {
    return ENOMEM;
  }
  *out = block;
  return 0;
}

void free(void *block) {
  uncount(block);
  __libc_free(block);
}

struct allocated allocated(void) {
  return total;
}

bool allocations_are_counted(void) {
  return true;
}

#else

struct allocated allocated(void) {
  struct allocated nothing = {0, 0, 0};
  return nothing;
}

bool allocations_are_counted(void) {
  return false;
}

#endif
