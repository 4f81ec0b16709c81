/* An engine whose totals a monitor can fetch. A client and an exit in one process keep a set of two legs busy, and
 * libevent's HTTP server gives the totals of each as OpenMetrics text:
 *
 *   metrics [PORT]     PORT 0, the default, takes any that is free
 *   curl http://127.0.0.1:PORT/metrics          the client's engine
 *   curl http://127.0.0.1:PORT/exit/metrics     the exit's
 *
 * What a host of yours needs of this is serve(). A program with several engines gives each a path of its own. */
#include <circflow.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { LEGS = 2, HOPS = 3, ROOM = 64, WINDOW = 16, BODY = 200, TURN_MS = 5, STREAM_ID = 1 };

#define CHECK(call) check(call, #call)
static void check(int32_t status, const char *what)
{
    if (status == CIRCFLOW_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, circflow_status_name(status), circflow_status_text(status));
    exit(1);
}

/* --- The totals --- */

static void serve(struct evhttp_request *request, void *engine)
{
    struct evbuffer *answer = evbuffer_new();
    struct evbuffer_iovec place;
    size_t len = 0;
    /* No room at all is too small; so the call says how much it wants. */
    if (answer == NULL || circflow_engine_write_metrics(engine, NULL, 0, &len) != CIRCFLOW_ERR_TOO_SMALL ||
        evbuffer_reserve_space(answer, (ev_ssize_t)len + 1, &place, 1) != 1 ||
        circflow_engine_write_metrics(engine, place.iov_base, place.iov_len, &len) != CIRCFLOW_OK) {
        evhttp_send_error(request, HTTP_INTERNAL, NULL);
    } else {
        place.iov_len = len; /* Without the NUL. */
        evbuffer_commit_space(answer, &place, 1);
        evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
                          "application/openmetrics-text; version=1.0.0; charset=utf-8");
        evhttp_send_reply(request, HTTP_OK, "OK", answer);
    }
    if (answer != NULL)
        evbuffer_free(answer);
}

/* --- Something to count: an exit that sends, a client that receives --- */

struct message {
    uint64_t due_ns;
    uint8_t command, body[BODY];
    uint16_t stream_id, body_len;
};

static struct node {
    uint8_t hop; /* The other end, as this end counts. */
    struct circflow_engine *engine;
    struct circflow_circuit_id circuits[LEGS];
    struct circflow_set_id set;
    int may_send;
    /* What is on its way to the other end. */
    struct wire {
        uint64_t delay_ns;
        size_t first, count, unacknowledged;
        struct message at[ROOM];
    } wires[LEGS];
} client = {.hop = HOPS, .wires = {{.delay_ns = 10000000}, {.delay_ns = 25000000}}},
  last = {.wires = {{.delay_ns = 10000000}, {.delay_ns = 25000000}}};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void put(struct node *node, size_t leg, uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len)
{
    struct wire *wire = &node->wires[leg];
    struct message *message = &wire->at[(wire->first + wire->count) % ROOM];
    if (wire->count++ == ROOM || len > BODY)
        check(CIRCFLOW_ERR_QUEUE_FULL, "put");
    message->due_ns = now_ns() + wire->delay_ns;
    message->command = command, message->stream_id = stream_id, message->body_len = (uint16_t)len;
    if (len > 0)
        memcpy(message->body, body, len);
}

/* This host does its own congestion control, of the simplest kind: a window that never changes. */
static void report(struct node *node, size_t leg)
{
    struct circflow_leg_report report;
    memset(&report, 0, sizeof report);
    report.circuit = node->circuits[leg];
    report.cwnd = WINDOW, report.inflight = node->wires[leg].unacknowledged, report.sendme_inc = 1;
    report.rtt_ns = 2 * node->wires[leg].delay_ns;
    CHECK(circflow_leg_update(node->engine, now_ns(), &report, 1));
}

static void obey(void *userdata, const struct circflow_insn *insn, const uint8_t *body)
{
    struct node *node = userdata;
    const size_t leg = (size_t)insn->circuit_tag;
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND: /* The handshake. */
        put(node, leg, insn->detail.send.command, insn->detail.send.stream_id, body, insn->detail.send.body_len);
        break;
    case CIRCFLOW_INSN_LINKED:
        node->set = insn->set;
        report(node, leg);
        break;
    case CIRCFLOW_INSN_USABLE:
    case CIRCFLOW_INSN_MAY_SEND:
        node->may_send = 1;
        break;
    case CIRCFLOW_INSN_CLOSE:
        CHECK(circflow_circuit_gone(node->engine, now_ns(), insn->circuit));
        break;
    default: /* DELIVER: a real client would write the body to its stream. */
        break;
    }
}

static void drain(struct node *node) { CHECK(circflow_engine_drain(node->engine, SIZE_MAX, NULL, obey, node)); }

/* All messages that have come by now go in at once, as after a read of a socket. */
static void carry(struct node *from, struct node *to, size_t leg)
{
    static struct circflow_arrival arrivals[ROOM];
    struct wire *wire = &from->wires[leg];
    const uint64_t now = now_ns();
    size_t count = 0, taken, acknowledged = 0;
    for (; count < wire->count; count++) {
        const struct message *next = &wire->at[(wire->first + count) % ROOM];
        if (next->due_ns > now)
            break;
        arrivals[count].circuit = to->circuits[leg];
        arrivals[count].message = (struct circflow_message){.command = next->command, .hop = to->hop,
                                                            .stream_id = next->stream_id, .body = next->body,
                                                            .body_len = next->body_len};
        acknowledged += next->command == CIRCFLOW_CMD_DATA;
    }
    /* A real client would look at the verdicts, and write what is delivered to its streams. */
    CHECK(circflow_circuit_receive_many(to->engine, now, arrivals, count, &taken));
    wire->first = (wire->first + count) % ROOM, wire->count -= count;
    if (acknowledged > 0) {
        wire->unacknowledged -= acknowledged;
        report(from, leg);
    }
    drain(to);
    drain(from);
}

static void send_data(struct node *node)
{
    static const uint8_t data[BODY];
    const struct circflow_message message = {.command = CIRCFLOW_CMD_DATA, .hop = node->hop, .stream_id = STREAM_ID,
                                             .body = data, .body_len = BODY};
    struct circflow_verdict verdict;
    while (node->may_send) {
        const int32_t status = circflow_set_send(node->engine, now_ns(), node->set, &message, NULL, 0, &verdict);
        if (status == CIRCFLOW_ERR_NO_ROOM) {
            node->may_send = 0;
            break;
        }
        check(status, "circflow_set_send");
        const size_t leg = (size_t)verdict.circuit_tag;
        if (verdict.switch_delta != 0) {
            uint8_t delta[CIRCFLOW_SWITCH_LEN];
            CHECK(circflow_switch_encode(verdict.switch_delta, delta));
            put(node, leg, CIRCFLOW_CMD_SWITCH, 0, delta, sizeof delta);
        }
        put(node, leg, CIRCFLOW_CMD_DATA, STREAM_ID, data, BODY);
        node->wires[leg].unacknowledged++;
    }
}

static void turn(evutil_socket_t none, short what, void *userdata)
{
    (void)none, (void)what, (void)userdata;
    for (size_t leg = 0; leg < LEGS; leg++) {
        carry(&client, &last, leg);
        carry(&last, &client, leg);
    }
    send_data(&last);
    CHECK(circflow_engine_tick(client.engine, now_ns()));
    CHECK(circflow_engine_tick(last.engine, now_ns()));
    drain(&client);
    drain(&last);
}

static void open_node(struct node *node, uint32_t engine_number, uint8_t role)
{
    struct circflow_engine_config config;
    struct circflow_circuit_config circuit;
    CHECK(circflow_engine_config_init(&config, sizeof config)); /* A real host puts random bytes into config.seed. */
    config.engine_number = engine_number;
    CHECK(circflow_engine_new(&config, &node->engine));
    CHECK(circflow_circuit_config_init(&circuit, sizeof circuit));
    circuit.role = role, circuit.hops = node->hop;
    for (size_t leg = 0; leg < LEGS; leg++) {
        circuit.tag = leg;
        CHECK(circflow_circuit_open(node->engine, now_ns(), &circuit, &node->circuits[leg]));
    }
}

static void begin(void)
{
    struct circflow_set_config set;
    open_node(&client, 1, CIRCFLOW_ROLE_CLIENT);
    open_node(&last, 2, CIRCFLOW_ROLE_RELAY);
    CHECK(circflow_set_config_init(&set, sizeof set));
    CHECK(circflow_engine_accept_sets(last.engine, &set));
    set.desired_ux = CIRCFLOW_UX_HIGH_THROUGHPUT;
    memset(set.nonce, 3, sizeof set.nonce); /* A real host draws 32 random bytes for each set. */
    CHECK(circflow_set_open(client.engine, now_ns(), &set, &client.set));
    CHECK(circflow_set_add_legs(client.engine, now_ns(), client.set, client.circuits, LEGS));
    drain(&client);
}

static void stop(evutil_socket_t none, short what, void *base)
{
    (void)none, (void)what;
    event_base_loopbreak(base);
}

int main(int argc, char **argv)
{
    const struct timeval every = {.tv_usec = TURN_MS * 1000};
    struct event_base *base = event_base_new();
    struct evhttp *http = base ? evhttp_new(base) : NULL;
    const int port = argc > 1 ? atoi(argv[1]) : 0;
    struct evhttp_bound_socket *bound =
        http ? evhttp_bind_socket_with_handle(http, "127.0.0.1", (ev_uint16_t)port) : NULL;
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    if (bound == NULL || getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&at, &len) != 0) {
        fprintf(stderr, "metrics: cannot listen on port %d of 127.0.0.1\n", port);
        return 1;
    }
    begin();
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
    evhttp_set_cb(http, "/metrics", serve, client.engine);
    evhttp_set_cb(http, "/exit/metrics", serve, last.engine);
    struct event *timer = event_new(base, -1, EV_PERSIST, turn, NULL);
    struct event *signals[] = {evsignal_new(base, SIGINT, stop, base), evsignal_new(base, SIGTERM, stop, base)};
    if (timer == NULL || signals[0] == NULL || signals[1] == NULL)
        return 1;
    event_add(timer, &every);
    event_add(signals[0], NULL);
    event_add(signals[1], NULL);
    printf("http://127.0.0.1:%d/metrics\n", ntohs(at.sin_port));
    fflush(stdout);
    event_base_dispatch(base);
    evhttp_free(http);
    event_free(timer);
    event_free(signals[0]);
    event_free(signals[1]);
    event_base_free(base);
    CHECK(circflow_engine_free(client.engine, NULL, NULL));
    CHECK(circflow_engine_free(last.engine, NULL, NULL));
    return 0;
}
