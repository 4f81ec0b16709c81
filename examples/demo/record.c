#include "record.h"

#include "loop.h"
#include "node.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* Room for some 10,000 events. The sink is called when half of it is in use. */
enum { RING_BYTES = 1 << 20 };

static int file = -1;
static pthread_key_t here;

/* Called by circflow_engine_drain(). A file that takes no more, as the disk is full, need not end the transfer. */
static void sink(void *userdata, const uint8_t *piece, size_t len) {
    (void)userdata;
    if (file < 0) return;
    const ssize_t written = write(file, piece, len);
    if (written == (ssize_t)len) return;
    node_say("note the record ends early: %s", written < 0 ? strerror(errno) : "no room");
    file = -1;
}

void record_open(const char *path) {
    if (path[0] == '\0') return;
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) node_fail("cannot write %s: %s", path, strerror(errno));
    if (pthread_key_create(&here, NULL) != 0) node_fail("out of memory");
    node_before_failing(record_rest);
}

void record_begin(struct circflow_engine *engine) {
    if (file < 0) return;
    must(circflow_engine_record(engine, RING_BYTES, CIRCFLOW_RECORD_ALL), "circflow_engine_record");
    must(circflow_engine_set_record_sink(engine, sink, NULL), "circflow_engine_set_record_sink");
}

void record_here(struct circflow_engine *engine) {
    if (file >= 0) pthread_setspecific(here, engine);
}

void record_rest(void) {
    uint8_t piece[1 << 16];
    struct circflow_engine *engine = file < 0 ? NULL : pthread_getspecific(here);
    size_t len = 0;
    while (engine != NULL && circflow_engine_record_read(engine, piece, sizeof piece, &len, NULL) == CIRCFLOW_OK && len > 0)
        sink(NULL, piece, len);
}
