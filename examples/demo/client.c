/* demo-client OUTPUT_FILE TRACE_FILE MACHINES_FILE GUARD_PORT...
 *
 * Opens a conflux set, adds a leg over each guard, asks the exit for the file and writes what comes. Records its cells
 * on leg A, unless TRACE_FILE is empty, and pads, unless MACHINES_FILE is. Its progress:
 * "progress BYTES CELLS_A CELLS_B HELD HELD_PEAK".
 */
#include "clock.h"
#include "endpoint.h"
#include "node.h"
#include "padding.h"
#include "record.h"
#include "sha256.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { STREAM_ID = 1 };

/* A client sends no DATA here, so that any window will do. */
enum { CLIENT_WINDOW = 4 * SENDME_INC };

/* What may wait for order: legs of very unequal delay, with windows to match. */
#define HELD_BYTES_MAX (UINT64_C(128) << 20)

#define LINK_TIMEOUT_NS UINT64_C(8000000000)

struct client {
    struct endpoint endpoint;
    const char *path;
    FILE *file;
    struct sha256 sha;
    uint64_t bytes, started_ns;
    int done;
};

static void on_usable(struct endpoint *endpoint) {
    static const char target[] = "the.file:80"; /* With its NUL, then flags, which may be left out (tor-spec 6.2). */
    struct client *client = endpoint->owner;
    const struct circflow_message begin = {.command = CIRCFLOW_CMD_BEGIN, .hop = HOPS, .stream_id = STREAM_ID,
                                           .body = (const uint8_t *)target, .body_len = sizeof target};
    client->started_ns = now_ns();
    must(endpoint_send(endpoint, &begin), "circflow_set_send");
}

static void keep(struct client *client, const struct circflow_message *data) {
    sha256_update(&client->sha, data->body, data->body_len);
    client->bytes += data->body_len;
    if (fwrite(data->body, 1, data->body_len, client->file) != data->body_len)
        node_fail("cannot write %s: %s", client->path, strerror(errno));
}

static unsigned long long cells_of(struct endpoint *endpoint, uint32_t circ_id) {
    const struct leg *leg = endpoint_leg(endpoint, circ_id);
    return leg == NULL ? 0 : leg->cells;
}

static void finish(struct client *client) {
    const uint64_t took_ns = now_ns() - client->started_ns;
    struct circflow_set_stats stats = {.held_peak = 0};
    char hex[SHA256_HEX_CAP];
    if (fclose(client->file) != 0) node_fail("cannot write %s: %s", client->path, strerror(errno));
    endpoint_stats(&client->endpoint, &stats);
    sha256_final_hex(&client->sha, hex);
    client->done = 1;
    record_close();
    padding_say(&client->endpoint);
    node_say("received %llu %s %llu %llu %llu %llu", (unsigned long long)client->bytes, hex,
             (unsigned long long)took_ns, cells_of(&client->endpoint, 1), cells_of(&client->endpoint, 2),
             (unsigned long long)stats.held_peak);
    must(circflow_set_close(client->endpoint.engine, now_ns(), client->endpoint.set), "circflow_set_close");
}

static void on_message(struct endpoint *endpoint, const struct circflow_message *message) {
    struct client *client = endpoint->owner;
    if (client->done || message->stream_id != STREAM_ID) return;
    if (message->command == CIRCFLOW_CMD_DATA) keep(client, message);
    if (message->command == CIRCFLOW_CMD_END) finish(client);
}

static void on_room(struct endpoint *endpoint) { (void)endpoint; /* It never has to wait: it sends no DATA. */ }

static void on_ended(struct endpoint *endpoint, const char *why) {
    const struct client *client = endpoint->owner;
    if (!client->done) node_fail("%s", why);
}

static const struct endpoint_role role = {
    .circflow_role = CIRCFLOW_ROLE_CLIENT,
    .peer_hop = HOPS,
    .sent_hops = HOPS,
    .on_message = on_message,
    .on_usable = on_usable,
    .on_room = on_room,
    .on_ended = on_ended,
};

static void on_progress(evutil_socket_t fd, short what, void *arg) {
    struct client *client = arg;
    struct circflow_set_stats stats;
    (void)fd;
    (void)what;
    if (client->done || endpoint_stats(&client->endpoint, &stats) != 0) return;
    node_say("progress %llu %llu %llu %llu %llu", (unsigned long long)client->bytes,
             cells_of(&client->endpoint, 1), cells_of(&client->endpoint, 2), (unsigned long long)stats.held,
             (unsigned long long)stats.held_peak);
    padding_say(&client->endpoint);
}

static void open_set(struct endpoint *endpoint) {
    struct circflow_set_config config;
    must(circflow_set_config_init(&config, sizeof config), "circflow_set_config_init");
    config.desired_ux = CIRCFLOW_UX_HIGH_THROUGHPUT;
    config.held_bytes_max = HELD_BYTES_MAX;
    config.link_timeout_ns = LINK_TIMEOUT_NS;
    endpoint_open_set(endpoint, &config);
}

int main(int argc, char **argv) {
    static struct client client = {.endpoint.windows = {CLIENT_WINDOW, CLIENT_WINDOW}};
    uint16_t ports[LEGS_MAX];
    client.endpoint.base = node_start();
    if (argc < 5 || argc > 4 + LEGS_MAX) node_fail("demo-client is started by the demo");
    client.path = argv[1];
    client.file = fopen(client.path, "wb");
    if (client.file == NULL) node_fail("cannot write %s: %s", client.path, strerror(errno));
    if (argv[2][0] != '\0') record_open(argv[2]);
    sha256_init(&client.sha);
    endpoint_open(&client.endpoint, &role, &client);
    padding_load(&client.endpoint, argv[3]);
    node_tell_progress(client.endpoint.base, on_progress, &client);
    open_set(&client.endpoint);
    for (int i = 4; i < argc; i++) ports[i - 4] = (uint16_t)node_number(argv[i], UINT16_MAX);
    endpoint_connect(&client.endpoint, ports, (size_t)argc - 4);
    event_base_dispatch(client.endpoint.base);
    return 0;
}
