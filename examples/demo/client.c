/* demo-client ENGINE_NUMBER TRACE_FILE OUTPUT_FILE SIZE SETS MACHINES_FILE READ_BYTES_PER_S GUARD_PORT...
 *
 * Opens conflux sets, each with a leg over each guard, asks the exit for the file, a part on each set, and writes the
 * file. Pads, unless MACHINES_FILE is empty. Reads READ_BYTES_PER_S from all streams together; 0 is no limit. Its
 * progress lines:
 * "progress BYTES CELLS_A CELLS_B HELD HELD_PEAK PARTS WAITING".
 */
#include "clock.h"
#include "endpoint.h"
#include "node.h"
#include "padding.h"
#include "part.h"
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A set, and the part of the file that comes on it. */
struct download {
    struct tunnel tunnel;
    struct client *client;
    unsigned number;
    struct reader *reader;
    struct sha256 sha;
    uint64_t bytes;
    int has_end; /* END came; the reader may still have bytes to take. */
    uint64_t held_peak;
    struct circflow_stream_stats stats; /* The latest. */
};

struct client {
    struct endpoint endpoint;
    const char *path;
    int file;
    uint64_t size, started_ns;
    unsigned sets, done;
    size_t waiting; /* Bytes that came and were not taken by the readers yet. */
    struct download downloads[SETS_MAX];
};

static struct circflow_engine *engine_of(const struct download *download) {
    return download->client->endpoint.loop.engine;
}

/* --- A stream, from BEGIN to END ------------------------------------------------------------------------------- */

static void on_usable(struct endpoint *endpoint, struct tunnel *tunnel) {
    struct download *download = (struct download *)tunnel;
    struct client *client = download->client;
    struct circflow_stream_config config;
    char target[40];
    must(circflow_stream_config_init(&config, sizeof config), "circflow_stream_config_init");
    config.tag = (uint64_t)(uintptr_t)tunnel;
    config.set = tunnel->set;
    config.stream_id = STREAM_ID;
    config.hop = HOPS;
    must(circflow_stream_open(endpoint->loop.engine, now_ns(), &config, &tunnel->stream), "circflow_stream_open");
    if (client->started_ns == 0) client->started_ns = now_ns();
    /* With its NUL, then flags, which may be left out (tor-spec 6.2). */
    const int len = snprintf(target, sizeof target, "%u-of-%u.file:80", download->number, client->sets);
    must(endpoint_send(endpoint, tunnel, CIRCFLOW_CMD_BEGIN, (const uint8_t *)target, (size_t)len + 1),
         "circflow_stream_send");
}

static unsigned long long sum_of(const struct client *client, uint64_t (*figure)(const struct download *)) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < client->sets; i++) sum += figure(&client->downloads[i]);
    return sum;
}

static uint64_t bytes_of(const struct download *download) { return download->bytes; }
static uint64_t xoffs_of(const struct download *download) { return download->stats.xoffs_sent; }
static uint64_t xons_of(const struct download *download) { return download->stats.xons_sent; }

static unsigned long long held_peak(const struct client *client) {
    unsigned long long most = 0;
    for (unsigned i = 0; i < client->sets; i++)
        if (client->downloads[i].held_peak > most) most = client->downloads[i].held_peak;
    return most;
}

static unsigned long long cells_of(const struct client *client, unsigned leg) {
    return endpoint_leg_figures(&client->endpoint, leg).cells;
}

static void finish_all(struct client *client) {
    if (close(client->file) != 0) node_fail("cannot write %s: %s", client->path, strerror(errno));
    endpoint_say_figures(&client->endpoint);
    node_say("flow %llu %llu", sum_of(client, xoffs_of), sum_of(client, xons_of));
    node_say("received %llu %llu %llu %llu %llu", sum_of(client, bytes_of),
             (unsigned long long)(now_ns() - client->started_ns), cells_of(client, 0), cells_of(client, 1),
             held_peak(client));
}

/* How far a set had to hold messages for order. */
static uint64_t look_at_held(struct download *download) {
    struct circflow_set_stats stats;
    if (endpoint_stats(&download->client->endpoint, &download->tunnel, &stats) != 0) return 0;
    download->held_peak = stats.held_peak;
    return stats.held;
}

static void finish_one(struct download *download) {
    struct client *client = download->client;
    char hex[SHA256_HEX_CAP];
    look_at_held(download);
    sha256_final_hex(&download->sha, hex);
    download->tunnel.done = 1;
    node_say("part %u %llu %s", download->number, (unsigned long long)download->bytes, hex);
    must(circflow_set_close(engine_of(download), now_ns(), download->tunnel.set), "circflow_set_close");
    if (++client->done == client->sets) finish_all(client);
}

/* Tells circflow that the program has taken bytes of the stream: it sends XOFF and XON by what is left. After the
 * stream has ended, circflow does not know it any more. */
static void flush(struct download *download, size_t len) {
    const struct circflow_stream_id stream = download->tunnel.stream;
    if (download->has_end) return;
    must(circflow_stream_flushed(engine_of(download), now_ns(), stream, (uint32_t)len), "circflow_stream_flushed");
    download->stats.size = sizeof download->stats;
    must(circflow_stream_get_stats(engine_of(download), stream, &download->stats), "circflow_stream_get_stats");
}

static void on_taken(void *owner, const uint8_t *data, size_t len) {
    struct download *download = owner;
    struct client *client = download->client;
    const uint64_t at = part_begin(client->size, download->number, client->sets) + download->bytes;
    if (pwrite(client->file, data, len, (off_t)at) != (ssize_t)len)
        node_fail("cannot write %s: %s", client->path, strerror(errno));
    sha256_update(&download->sha, data, len);
    download->bytes += len;
    client->waiting -= len;
    flush(download, len);
    if (download->has_end && reader_bytes(download->reader) == 0) finish_one(download);
}

static void on_rest(void *owner) { endpoint_settle(&((struct download *)owner)->client->endpoint); }

static const struct reader_events reader_events = {on_taken, on_rest};

static void on_message(struct endpoint *endpoint, struct tunnel *tunnel, struct circflow_stream_id stream,
                       const struct circflow_message *message) {
    struct download *download = (struct download *)tunnel;
    (void)endpoint;
    (void)stream;
    if (tunnel->done) return;
    if (message->command == CIRCFLOW_CMD_DATA) {
        download->client->waiting += message->body_len;
        reader_give(download->reader, message->body, message->body_len);
    }
    if (message->command != CIRCFLOW_CMD_END) return;
    download->has_end = 1;
    if (reader_bytes(download->reader) == 0) finish_one(download);
}

static void on_room(struct endpoint *endpoint, struct tunnel *tunnel) {
    (void)endpoint; /* The client never has to wait: it sends no DATA. */
    (void)tunnel;
}

static void on_ended(struct endpoint *endpoint, struct tunnel *tunnel, const char *why) {
    (void)endpoint;
    if (!tunnel->done) node_fail("%s", why);
}

static size_t stream_bytes(struct endpoint *endpoint) { return ((struct client *)endpoint->owner)->waiting; }

static const struct endpoint_role role = {
    .circflow_role = CIRCFLOW_ROLE_CLIENT,
    .peer_hop = HOPS,
    .padded_hop = HOPS, /* Client and exit pad with each other. */
    .on_usable = on_usable,
    .on_message = on_message,
    .on_room = on_room,
    .on_ended = on_ended,
    .stream_bytes = stream_bytes,
};

/* --- The process ----------------------------------------------------------------------------------------------- */

static void on_progress(evutil_socket_t fd, short what, void *arg) {
    struct client *client = arg;
    unsigned long long held = 0;
    (void)fd;
    (void)what;
    if (client->done == client->sets) return;
    for (unsigned i = 0; i < client->sets; i++) held += look_at_held(&client->downloads[i]);
    node_say("progress %llu %llu %llu %llu %llu %u %llu", sum_of(client, bytes_of), cells_of(client, 0),
             cells_of(client, 1), held, held_peak(client), client->done, (unsigned long long)client->waiting);
    endpoint_say_figures(&client->endpoint);
}

static void open_file(struct client *client) {
    client->file = open(client->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (client->file < 0) node_fail("cannot write %s: %s", client->path, strerror(errno));
}

static void open_sets(struct client *client, uint64_t bytes_per_s) {
    struct endpoint *endpoint = &client->endpoint;
    for (unsigned i = 0; i < client->sets; i++) {
        struct download *download = &client->downloads[i];
        download->client = client;
        download->number = i;
        sha256_init(&download->sha);
        download->reader = reader_new(endpoint->loop.base, bytes_per_s / client->sets, &reader_events, download);
        endpoint_open_set(endpoint, &download->tunnel, i);
    }
    endpoint_settle(endpoint);
}

int main(int argc, char **argv) {
    static struct client client;
    uint16_t ports[LEGS_MAX];
    const int first_port = 8;
    if (argc <= first_port || argc > first_port + LEGS_MAX)
        node_usage("demo-client ENGINE_NUMBER TRACE_FILE OUTPUT_FILE SIZE SETS MACHINES_FILE\n"
                   "                   READ_BYTES_PER_S GUARD_PORT...");
    struct event_base *base = node_start();
    loops_name(argv[1], argv[2]);
    client.path = argv[3];
    client.size = node_number(argv[4], UINT64_MAX / 2);
    client.sets = (unsigned)node_number(argv[5], SETS_MAX);
    open_file(&client);
    endpoint_open(&client.endpoint, base, 0, &role, &client);
    client.endpoint.machines = padding_load(&client.endpoint.loop, argv[6]);
    node_tell_progress(base, on_progress, &client);
    for (int i = first_port; i < argc; i++) ports[i - first_port] = (uint16_t)node_number(argv[i], UINT16_MAX);
    endpoint_connect(&client.endpoint, ports, (size_t)(argc - first_port));
    open_sets(&client, node_number(argv[7], UINT64_MAX / 2));
    loop_run(&client.endpoint.loop);
    return 0;
}
