#include "record.h"

#include "cell.h"
#include "clock.h"
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static FILE *file;
static uint64_t first_ns;

void record_open(const char *path) {
    file = fopen(path, "w");
    if (file == NULL) node_fail("cannot write %s: %s", path, strerror(errno));
}

void record_cell(uint32_t circ_id, char direction) {
    if (file == NULL || circ_id != 1) return;
    const uint64_t now = now_ns();
    if (first_ns == 0) first_ns = now;
    fprintf(file, "%llu,%c,%d\n", (unsigned long long)(now - first_ns), direction, (int)CELL_LEN);
}

void record_close(void) {
    if (file == NULL) return;
    const int broken = ferror(file);
    if (fclose(file) != 0 || broken) node_fail("cannot write the trace: %s", strerror(errno));
    file = NULL;
}
