/* demo-exit PORT FILE MACHINES_FILE WINDOW_A WINDOW_B
 *
 * Takes circuits, lets clients join them to a conflux set, and answers BEGIN with the file. Pads, unless
 * MACHINES_FILE is empty. Its progress:
 * "progress RTT_A_US RTT_B_US".
 */
#include "clock.h"
#include "endpoint.h"
#include "node.h"
#include "padding.h"
#include "sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { END_REASON_DONE = 6 }; /* tor-spec 6.3 */

#define LINK_TIMEOUT_NS UINT64_C(8000000000)
#define WINDOW_MAX 1000000

struct server {
    struct endpoint endpoint;
    const char *path;
    FILE *file;
    struct sha256 sha;
    uint64_t bytes;
    uint16_t stream_id; /* 0 until BEGIN. */
    uint8_t chunk[CIRCFLOW_BODY_MAX_ALL];
    size_t chunk_len; /* Read from the file and not sent yet. */
    int sending;
};

/* 1 when it is on its way, 0 when it has to wait: for room on the legs, or until padding lets out what it holds. */
static int send_edge(struct server *server, uint8_t command, const uint8_t *body, size_t body_len) {
    const struct circflow_message message = {
        .command = command, .stream_id = server->stream_id, .body = body, .body_len = (uint16_t)body_len};
    const enum circflow_status status = endpoint_send(&server->endpoint, &message);
    if (status == CIRCFLOW_ERR_BLOCKED) return 0;
    must(status, "circflow_set_send");
    return 1;
}

static int finish(struct server *server) {
    const uint8_t reason = END_REASON_DONE;
    struct circflow_set_stats stats = {.switches_sent = 0};
    char hex[SHA256_HEX_CAP];
    if (!send_edge(server, CIRCFLOW_CMD_END, &reason, sizeof reason)) return 0;
    endpoint_stats(&server->endpoint, &stats);
    sha256_final_hex(&server->sha, hex);
    server->sending = 0;
    node_say("sent %llu %s %llu", (unsigned long long)server->bytes, hex, (unsigned long long)stats.switches_sent);
    return 1;
}

static int send_chunk(struct server *server) {
    if (!send_edge(server, CIRCFLOW_CMD_DATA, server->chunk, server->chunk_len)) return 0;
    sha256_update(&server->sha, server->chunk, server->chunk_len);
    server->bytes += server->chunk_len;
    server->chunk_len = 0;
    return 1;
}

/* Reads the file as far as the legs have room. When they have none, the chunk stays, and nothing more is read until
 * CIRCFLOW_INSN_RESUME calls this again: that is all the flow control a stream needs. */
static void pump(struct server *server) {
    while (server->sending) {
        if (server->chunk_len == 0) server->chunk_len = fread(server->chunk, 1, sizeof server->chunk, server->file);
        if (ferror(server->file)) node_fail("cannot read %s: %s", server->path, strerror(errno));
        if (!(server->chunk_len == 0 ? finish(server) : send_chunk(server))) return;
    }
}

static void on_message(struct endpoint *endpoint, const struct circflow_message *message) {
    struct server *server = endpoint->owner;
    if (message->command != CIRCFLOW_CMD_BEGIN || server->stream_id != 0) return;
    server->stream_id = message->stream_id;
    server->sending = 1;
    if (!send_edge(server, CIRCFLOW_CMD_CONNECTED, NULL, 0)) node_fail("no room for CONNECTED");
    pump(server);
}

static void on_usable(struct endpoint *endpoint) { (void)endpoint; /* The client speaks first. */ }

static void on_room(struct endpoint *endpoint) { pump(endpoint->owner); }

static void on_ended(struct endpoint *endpoint, const char *why) {
    struct server *server = endpoint->owner;
    /* Before its stream begins, a set may come and go. Once all is sent, the client decides how it went. */
    if (server->sending) node_fail("%s", why);
}

static const struct endpoint_role role = {
    .circflow_role = CIRCFLOW_ROLE_EXIT,
    .peer_hop = 0,
    .sent_hops = 1,
    .on_message = on_message,
    .on_usable = on_usable,
    .on_room = on_room,
    .on_ended = on_ended,
};

static unsigned long long rtt_us(struct endpoint *endpoint, uint32_t circ_id) {
    const struct leg *leg = endpoint_leg(endpoint, circ_id);
    return leg == NULL ? 0 : leg->congestion.rtt_ns / 1000;
}

static void on_progress(evutil_socket_t fd, short what, void *arg) {
    struct server *server = arg;
    (void)fd;
    (void)what;
    if (server->sending)
        node_say("progress %llu %llu", rtt_us(&server->endpoint, 1), rtt_us(&server->endpoint, 2));
    padding_say(&server->endpoint);
}

static void accept_sets(struct endpoint *endpoint) {
    struct circflow_set_config config;
    must(circflow_set_config_init(&config, sizeof config), "circflow_set_config_init");
    config.link_timeout_ns = LINK_TIMEOUT_NS;
    must(circflow_engine_accept_sets(endpoint->engine, &config), "circflow_engine_accept_sets");
}

int main(int argc, char **argv) {
    static struct server server;
    server.endpoint.base = node_start();
    if (argc != 4 + LEGS_MAX) node_fail("demo-exit is started by the demo");
    server.path = argv[2];
    server.file = fopen(server.path, "rb");
    if (server.file == NULL) node_fail("cannot read %s: %s", server.path, strerror(errno));
    for (int i = 0; i < LEGS_MAX; i++) server.endpoint.windows[i] = node_number(argv[4 + i], WINDOW_MAX);
    sha256_init(&server.sha);
    endpoint_open(&server.endpoint, &role, &server);
    padding_load(&server.endpoint, argv[3]);
    accept_sets(&server.endpoint);
    node_tell_progress(server.endpoint.base, on_progress, &server);
    node_listen(server.endpoint.base, (uint16_t)node_number(argv[1], UINT16_MAX), endpoint_accept, &server.endpoint);
    event_base_dispatch(server.endpoint.base);
    return 0;
}
