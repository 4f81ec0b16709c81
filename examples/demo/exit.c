/* demo-exit ENGINE_NUMBER TRACE_FILE FILE MACHINES_FILE ALGORITHM PORT...
 *
 * Accepts circuits, lets clients link them to conflux sets, and answers each BEGIN with the part of the file it asks
 * for. Pads, unless MACHINES_FILE is empty. Chooses legs by ALGORITHM, a CIRCFLOW_ALGORITHM_*. With two ports it has
 * two event loops in two threads, each with an engine of its own and a port each; a set has legs on both, and lives on
 * the engine of its first leg.
 */
#include "clock.h"
#include "endpoint.h"
#include "node.h"
#include "padding.h"
#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { END_REASON_DONE = 6 }; /* tor-spec 6.3 */

/* A set, and the part of the file that goes out on it. */
struct upload {
    struct tunnel tunnel;
    unsigned number, count; /* Part `number` of `count`; count is 0 until BEGIN. */
    uint64_t at, len, sent;
    struct sha256 sha;
};

/* The file, and how much of it was sent; all loops share it. */
struct served {
    const char *path;
    int file;
    uint64_t size;
    pthread_mutex_t lock; /* Protects the fields below. */
    uint64_t bytes, switches, xoffs, xons;
    unsigned done, algorithm;
};

/* One event loop of the exit, with an engine of its own. */
struct exit_loop {
    struct endpoint endpoint;
    struct served *served;
};

static struct circflow_engine *engine_of(const struct exit_loop *exit) { return exit->endpoint.loop.engine; }

static void say_legs(const struct exit_loop *exit) {
    for (unsigned i = 0; i < LEGS_MAX; i++) {
        const struct leg_figures leg = endpoint_leg_figures(&exit->endpoint, i);
        if (leg.legs > 0)
            node_say("leg %c %llu %llu %llu", 'A' + (int)i, (unsigned long long)leg.rtt_ns / 1000,
                     (unsigned long long)leg.cwnd, (unsigned long long)leg.cwnd_peak);
    }
}

static void add_up(struct served *served, const struct upload *upload, const struct circflow_set_stats *set,
                   const struct circflow_stream_stats *stream) {
    pthread_mutex_lock(&served->lock);
    served->bytes += upload->sent;
    served->switches += set->switches_sent;
    served->xoffs += stream->xoffs_received;
    served->xons += stream->xons_received;
    served->algorithm = set->algorithm;
    if (++served->done == upload->count) {
        node_say("flow %llu %llu", (unsigned long long)served->xoffs, (unsigned long long)served->xons);
        node_say("sent %llu %llu %u", (unsigned long long)served->bytes, (unsigned long long)served->switches,
                 served->algorithm);
    }
    pthread_mutex_unlock(&served->lock);
}

/* Returns 1 when it was sent, or waits for padding; 0 when it has to wait for CIRCFLOW_INSN_MAY_SEND. */
static int send_now(struct exit_loop *exit, struct upload *upload, uint8_t command, const uint8_t *body, size_t len) {
    const enum circflow_status status = endpoint_send(&exit->endpoint, &upload->tunnel, command, body, len);
    if (status == CIRCFLOW_ERR_NO_ROOM || status == CIRCFLOW_ERR_STREAM_STOPPED) return 0;
    must(status, "circflow_stream_send");
    return 1;
}

/* Sends END, unless padding holds back too much already. Reads the stream's figures before: it ends with END. */
static void finish(struct exit_loop *exit, struct upload *upload) {
    const uint8_t reason = END_REASON_DONE;
    struct circflow_set_stats set = {.switches_sent = 0};
    struct circflow_stream_stats stream = {.size = sizeof stream};
    char hex[SHA256_HEX_CAP];
    must(circflow_stream_get_stats(engine_of(exit), upload->tunnel.stream, &stream), "circflow_stream_get_stats");
    if (!send_now(exit, upload, CIRCFLOW_CMD_END, &reason, sizeof reason)) return;
    endpoint_stats(&exit->endpoint, &upload->tunnel, &set);
    sha256_final_hex(&upload->sha, hex);
    upload->tunnel.done = 1;
    node_say("part %u %llu %s", upload->number, (unsigned long long)upload->sent, hex);
    say_legs(exit);
    endpoint_say_figures(&exit->endpoint);
    add_up(exit->served, upload, &set, &stream);
}

static int send_chunk(struct exit_loop *exit, struct upload *upload) {
    uint8_t chunk[CIRCFLOW_DATA_MAX];
    const uint64_t left = upload->len - upload->sent;
    const size_t wanted = left < sizeof chunk ? (size_t)left : sizeof chunk;
    if (pread(exit->served->file, chunk, wanted, (off_t)(upload->at + upload->sent)) != (ssize_t)wanted)
        node_fail("cannot read %s: %s", exit->served->path, strerror(errno));
    if (!send_now(exit, upload, CIRCFLOW_CMD_DATA, chunk, wanted)) return 0;
    sha256_update(&upload->sha, chunk, wanted);
    upload->sent += wanted;
    return 1;
}

/* Reads and sends the file while circflow lets the stream send: room on the legs, and no XOFF. Then nothing more
 * is read until CIRCFLOW_INSN_MAY_SEND calls this again: a stream needs no other flow control. */
static void pump(struct exit_loop *exit, struct upload *upload) {
    const struct circflow_circuit_id none = {0};
    while (upload->count > 0 && !upload->tunnel.done) {
        struct circflow_stream_id stream;
        if (upload->sent == upload->len) {
            finish(exit, upload);
            return;
        }
        const enum circflow_status status =
            circflow_stream_choose(engine_of(exit), now_ns(), upload->tunnel.set, none, &stream, NULL);
        if (status == CIRCFLOW_ERR_NO_ROOM) return;
        must(status, "circflow_stream_choose");
        if (stream.v == 0 || !send_chunk(exit, upload)) return;
    }
}

/* "3-of-200.file:80" */
static int read_target(struct upload *upload, const struct circflow_message *begin) {
    char target[40] = "";
    unsigned number, count;
    for (size_t i = 0; i + 1 < sizeof target && i < begin->body_len; i++) target[i] = (char)begin->body[i];
    if (sscanf(target, "%u-of-%u.file:80", &number, &count) != 2 || count > SETS_MAX || number >= count) return 0;
    upload->number = number;
    upload->count = count;
    return 1;
}

static void begin(struct exit_loop *exit, struct upload *upload, struct circflow_stream_id stream,
                  const struct circflow_message *message) {
    struct circflow_engine *engine = engine_of(exit);
    upload->tunnel.stream = stream;
    must(circflow_stream_retag(engine, stream, (uint64_t)(uintptr_t)upload), "circflow_stream_retag");
    if (!read_target(upload, message)) node_fail("somebody asks for what there is not");
    upload->at = part_begin(exit->served->size, upload->number, upload->count);
    upload->len = part_len(exit->served->size, upload->number, upload->count);
    must(endpoint_send(&exit->endpoint, &upload->tunnel, CIRCFLOW_CMD_CONNECTED, NULL, 0), "circflow_stream_send");
    must(circflow_stream_set_readable(engine, stream, 1), "circflow_stream_set_readable");
    pump(exit, upload);
}

static void on_message(struct endpoint *endpoint, struct tunnel *tunnel, struct circflow_stream_id stream,
                       const struct circflow_message *message) {
    struct upload *upload = (struct upload *)tunnel;
    if (message->command == CIRCFLOW_CMD_BEGIN && upload->count == 0) begin(endpoint->owner, upload, stream, message);
}

static struct tunnel *on_set(struct endpoint *endpoint, struct circflow_set_id set) {
    struct upload *upload = calloc(1, sizeof *upload);
    (void)endpoint;
    if (upload == NULL) node_fail("out of memory");
    upload->tunnel.set = set;
    sha256_init(&upload->sha);
    return &upload->tunnel;
}

static void on_usable(struct endpoint *endpoint, struct tunnel *tunnel) {
    (void)endpoint; /* The client sends first. */
    (void)tunnel;
}

static void on_room(struct endpoint *endpoint, struct tunnel *tunnel) {
    pump(endpoint->owner, (struct upload *)tunnel);
}

static void on_ended(struct endpoint *endpoint, struct tunnel *tunnel, const char *why) {
    const struct upload *upload = (const struct upload *)tunnel;
    (void)endpoint;
    /* A set may end before its stream begins. After all was sent, the client judges the result. */
    if (upload->count > 0 && !tunnel->done) node_fail("%s", why);
}

static const struct endpoint_role role = {
    .circflow_role = CIRCFLOW_ROLE_RELAY,
    .peer_hop = 0,
    .padded_hop = 0,
    .on_set = on_set,
    .on_usable = on_usable,
    .on_message = on_message,
    .on_room = on_room,
    .on_ended = on_ended,
};

static void on_progress(evutil_socket_t fd, short what, void *arg) {
    struct exit_loop *exit = arg;
    (void)fd;
    (void)what;
    say_legs(exit);
    endpoint_say_figures(&exit->endpoint);
}

static void served_open(struct served *served, const char *path) {
    struct stat info;
    served->path = path;
    served->file = open(path, O_RDONLY);
    if (served->file < 0 || fstat(served->file, &info) != 0) node_fail("cannot read %s: %s", path, strerror(errno));
    served->size = (uint64_t)info.st_size;
}

static void exit_loop_open(struct exit_loop *exit, struct event_base *base, unsigned number, struct served *served,
                           char **arg) {
    exit->served = served;
    endpoint_open(&exit->endpoint, base, number, &role, exit);
    exit->endpoint.machines = padding_load(&exit->endpoint.loop, arg[4]);
    endpoint_accept_sets(&exit->endpoint, (uint8_t)node_number(arg[5], UINT8_MAX));
    node_tell_progress(base, on_progress, exit);
}

static void *run(void *arg) {
    loop_run(&((struct exit_loop *)arg)->endpoint.loop);
    return NULL;
}

/* Engines that have joined one hub find each other's sets: a leg can be on one, and its set on another. */
static struct circflow_hub *hub_new(void) {
    struct circflow_hub_config config;
    struct circflow_hub *hub;
    must(circflow_hub_config_init(&config, sizeof config), "circflow_hub_config_init");
    random_bytes(config.seed, sizeof config.seed);
    must(circflow_hub_new(&config, &hub), "circflow_hub_new");
    return hub;
}

int main(int argc, char **argv) {
    static struct served served = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static struct exit_loop loops[LOOPS_MAX];
    const int first_port = 6, threads = argc - first_port;
    pthread_t thread;
    if (threads < 1 || threads > LOOPS_MAX)
        node_usage("demo-exit ENGINE_NUMBER TRACE_FILE FILE MACHINES_FILE ALGORITHM PORT...");
    struct event_base *base = node_start();
    loops_name(argv[1], argv[2]);
    struct circflow_hub *hub = threads > 1 ? hub_new() : NULL;
    if (argv[3][0] != '\0') served_open(&served, argv[3]);
    for (int i = 0; i < threads; i++) {
        struct endpoint *endpoint = &loops[i].endpoint;
        exit_loop_open(&loops[i], i == 0 ? base : node_new_base(), (unsigned)i, &served, argv);
        if (hub != NULL) loop_join(&endpoint->loop, hub);
        node_listen(endpoint->loop.base, (uint16_t)node_number(argv[first_port + i], UINT16_MAX), endpoint_accept,
                    endpoint);
    }
    if (threads > 1 && pthread_create(&thread, NULL, run, &loops[1]) != 0) node_fail("cannot start a thread");
    run(&loops[0]);
    if (threads > 1) {
        loop_stop(&loops[1].endpoint.loop);
        pthread_join(thread, NULL);
    }
    return 0;
}
