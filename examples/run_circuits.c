/* Circuits that circflow runs, in one file: a client, a relay and an exit, one engine each. The client has two circuits
 * to the exit, leg A through the relay, leg B past it, and sends a megabyte on one stream. Windows, SENDMEs, XOFF and
 * XON are circflow's; the program has channels that fill up, a slow reader, and time, which it advances. Nothing is
 * encrypted, so a digest is only the count of a circuit's cells in one direction. */
#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEGS = 2, HOPS = 2, STREAM_ID = 7, TOTAL = 1000000, READ_PER_MS = 400, FULL = 64, ROOM = 512, DIGEST_LEN = 20 };
enum { BACK = CIRCFLOW_SIDE_BACK, NEXT = CIRCFLOW_SIDE_NEXT, SIDES = 2 }; /* A client and an exit have only BACK. */

static struct node {
    const char *name;
    uint8_t hop; /* The other end: the last hop for the client, 0 (the client) for an exit. */
    struct circflow_engine *engine;
    struct circflow_circuit_id circuits[LEGS];
    struct channel *out[LEGS][SIDES];
    uint64_t cells_in[LEGS], cells_out[LEGS];
    struct circflow_set_id set;
    struct circflow_stream_id stream;
    int is_paused[SIDES], may_send;
    uint32_t bytes, unread; /* Bytes of the stream sent or received, and bytes received but not yet read. */
} client = {.name = "client", .hop = HOPS}, relay = {.name = "relay"}, last = {.name = "exit"};

static struct channel { /* Cells on their way from one node to another. per_ms of them arrive in a millisecond. */
    struct node *from, *to;
    int leg, from_side, to_side, per_ms, delay_ms, is_full;
    size_t first, count;
    struct cell { uint64_t due_ns; uint8_t body[CIRCFLOW_CELL_BODY_LEN]; } cells[ROOM];
} channels[] = {
    {.from = &client, .to = &relay, .leg = 0, .from_side = BACK, .to_side = BACK, .per_ms = 9, .delay_ms = 5},
    {.from = &relay, .to = &last, .leg = 0, .from_side = NEXT, .to_side = BACK, .per_ms = 2, .delay_ms = 5},
    {.from = &last, .to = &relay, .leg = 0, .from_side = BACK, .to_side = NEXT, .per_ms = 9, .delay_ms = 5},
    {.from = &relay, .to = &client, .leg = 0, .from_side = BACK, .to_side = BACK, .per_ms = 9, .delay_ms = 5},
    {.from = &client, .to = &last, .leg = 1, .from_side = BACK, .to_side = BACK, .per_ms = 2, .delay_ms = 20},
    {.from = &last, .to = &client, .leg = 1, .from_side = BACK, .to_side = BACK, .per_ms = 9, .delay_ms = 20},
};

static uint64_t now_ns = 1000000000; /* The library owns no clock: this is the program's. */

#define CHECK(call) check(call, #call)
static void check(int32_t status, const char *what) {
    if (status == CIRCFLOW_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, circflow_status_name(status), circflow_status_text(status));
    exit(1);
}

/* Prints each thing only the first time that it happens. */
static void say(const struct node *node, int *said, const char *what) {
    if ((*said)++ == 0) printf("%-6s  %s\n", node->name, what);
}

static void say_writable(struct channel *channel, uint8_t is_writable) {
    channel->is_full = !is_writable;
    CHECK(circflow_circuit_set_writable(channel->from->engine, now_ns, channel->from->circuits[channel->leg],
                                        (uint8_t)channel->from_side, is_writable));
}

/* A full channel still takes control messages (SENDME and such), which are few: hence ROOM beyond FULL. */
static void write_cell(struct channel *channel, const uint8_t *body) {
    struct cell *cell = &channel->cells[(channel->first + channel->count) % ROOM];
    if (channel->count++ == ROOM) check(CIRCFLOW_ERR_QUEUE_FULL, "write_cell");
    cell->due_ns = now_ns + (uint64_t)channel->delay_ms * 1000000;
    memcpy(cell->body, body, sizeof cell->body);
    if (channel->count >= FULL && !channel->is_full) say_writable(channel, 0);
}

/* Makes a message a cell. circflow wants the digest of some DATA cells: their SENDMEs have to bring it back. */
static void write_message(struct node *node, int leg, struct circflow_message message, uint32_t flags) {
    uint8_t body[CIRCFLOW_CELL_BODY_LEN] = {0}, digest[DIGEST_LEN] = {0};
    CHECK(circflow_cell_encode(CIRCFLOW_CELL_V0, &message, body, NULL));
    node->cells_out[leg]++;
    memcpy(digest, &node->cells_out[leg], sizeof node->cells_out[leg]);
    if (flags & CIRCFLOW_WANTS_DIGEST)
        CHECK(circflow_circuit_add_digest(node->engine, node->circuits[leg], node->hop, digest, DIGEST_LEN));
    write_cell(node->out[leg][BACK], body);
}

/* Sends on the leg that circflow names, after a SWITCH if one is due. If not now, INSN_MAY_SEND comes later. */
static int send_on_stream(struct node *node, uint8_t command, const void *body, size_t len) {
    const struct circflow_message message = {.command = command, .hop = node->hop, .stream_id = STREAM_ID,
                                             .body = body, .body_len = (uint16_t)len};
    struct circflow_verdict verdict; /* Always SEND: HELD is for padding, and for legs of other engines. */
    const int32_t status = circflow_stream_send(node->engine, now_ns, node->stream, &message, &verdict);
    if (status == CIRCFLOW_ERR_NO_ROOM || status == CIRCFLOW_ERR_STREAM_STOPPED) return 0;
    check(status, "circflow_stream_send");
    if (verdict.switch_delta != 0) {
        uint8_t delta[CIRCFLOW_SWITCH_LEN];
        CHECK(circflow_switch_encode(verdict.switch_delta, delta));
        write_message(node, (int)verdict.circuit_tag - 'A', (struct circflow_message){.command = CIRCFLOW_CMD_SWITCH,
                      .hop = node->hop, .body = delta, .body_len = sizeof delta}, 0);
    }
    write_message(node, (int)verdict.circuit_tag - 'A', message, verdict.flags);
    return 1;
}

/* The set is usable: the client opens its stream. */
static void begin(struct node *node) {
    struct circflow_stream_config config;
    CHECK(circflow_stream_config_init(&config, sizeof config));
    config.set = node->set, config.stream_id = STREAM_ID, config.hop = HOPS;
    CHECK(circflow_stream_open(node->engine, now_ns, &config, &node->stream));
    send_on_stream(node, CIRCFLOW_CMD_BEGIN, "example.com:80", sizeof "example.com:80");
}

/* Takes a message that is next in order: it came just now, or was held until its turn. */
static void handle(struct node *node, uint8_t command, struct circflow_stream_id id, const uint8_t *body, size_t len) {
    if (command == CIRCFLOW_CMD_BEGIN) {
        node->stream = id; /* The other end has opened it. */
        send_on_stream(node, CIRCFLOW_CMD_CONNECTED, NULL, 0);
    } else if (command == CIRCFLOW_CMD_CONNECTED) {
        node->may_send = 1;
    } else if (command == CIRCFLOW_CMD_DATA) {
        for (size_t i = 0; i < len; i++, node->bytes++, node->unread++)
            if (body[i] != (uint8_t)(node->bytes % 251)) check(CIRCFLOW_ERR_MALFORMED, "another byte than was sent");
    }
}

static void obey(void *userdata, const struct circflow_insn *insn, const uint8_t *body) {
    static int delivered, xoff, xon, paused, unpaused;
    struct node *node = userdata;
    const struct circflow_insn_send *send = &insn->detail.send;
    const int leg = (int)insn->circuit_tag - 'A';
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND: /* The handshake, SENDME, XOFF, XON. */
        if (send->command == CIRCFLOW_CMD_XOFF) say(node, &xoff, "sends XOFF: much waits for the reader");
        if (send->command == CIRCFLOW_CMD_XON) say(node, &xon, "sends XON: the reader has caught up");
        write_message(node, leg, (struct circflow_message){.command = send->command, .hop = send->hop,
                      .stream_id = send->stream_id, .body = body, .body_len = send->body_len}, insn->flags);
        break;
    case CIRCFLOW_INSN_DELIVER:
        say(node, &delivered, "a message that was held for order is next");
        handle(node, insn->detail.deliver.command, insn->stream, body, insn->detail.deliver.body_len);
        break;
    case CIRCFLOW_INSN_WRITE:
        write_cell(node->out[leg][insn->detail.write.side], body);
        break;
    case CIRCFLOW_INSN_PAUSE_FEED:
        say(node, &paused, "PAUSE_FEED: many cells wait for a full channel");
        node->is_paused[insn->detail.pause.side] = 1;
        break;
    case CIRCFLOW_INSN_UNPAUSE_FEED:
        say(node, &unpaused, "UNPAUSE_FEED: few are left");
        node->is_paused[insn->detail.pause.side] = 0;
        break;
    case CIRCFLOW_INSN_LINKED: printf("%-6s  leg %c: linked\n", node->name, 'A' + leg); break;
    case CIRCFLOW_INSN_USABLE: if (node == &client) begin(node); break; /* Inside a drain you may feed. */
    case CIRCFLOW_INSN_MAY_SEND: node->may_send = 1; break; /* There is one stream, so it is about that. */
    case CIRCFLOW_INSN_CLOSE: /* A real host sends DESTROY. */
        printf("%-6s  leg %c: closed\n", node->name, 'A' + leg);
        CHECK(circflow_circuit_gone(node->engine, now_ns, insn->circuit));
    }
}

static void drain(struct node *node) { CHECK(circflow_engine_drain(node->engine, SIZE_MAX, NULL, obey, node)); }

static void receive(struct node *node, int leg, int side, const uint8_t *body) {
    struct circflow_message message = {.body = body, .body_len = CIRCFLOW_CELL_BODY_LEN};
    struct circflow_verdict verdict;
    uint8_t digest[DIGEST_LEN] = {0};
    if (node == &relay) { /* No cell is for this relay. A cell that is HELD comes back as INSN_WRITE. */
        CHECK(circflow_circuit_relay(node->engine, now_ns, node->circuits[leg], (uint8_t)side, &message, &verdict));
        if (verdict.kind == CIRCFLOW_VERDICT_FORWARD) write_cell(node->out[leg][side == BACK ? NEXT : BACK], body);
    } else {
        node->cells_in[leg]++;
        memcpy(digest, &node->cells_in[leg], sizeof node->cells_in[leg]);
        CHECK(circflow_cell_decode(CIRCFLOW_CELL_V0, body, &message));
        message.hop = node->hop, message.cell_digest = digest, message.cell_digest_len = DIGEST_LEN;
        CHECK(circflow_circuit_receive(node->engine, now_ns, node->circuits[leg], &message, &verdict));
        if (verdict.kind == CIRCFLOW_VERDICT_DELIVER)
            handle(node, message.command, verdict.stream, message.body, message.body_len);
    }
    drain(node);
}

static void carry(struct channel *channel) {
    for (int i = 0; i < channel->per_ms && !channel->to->is_paused[channel->to_side]; i++) {
        const struct cell *cell = &channel->cells[channel->first];
        if (channel->count == 0 || cell->due_ns > now_ns) break;
        receive(channel->to, channel->leg, channel->to_side, cell->body);
        channel->first = (channel->first + 1) % ROOM, channel->count--;
    }
    if (channel->is_full && channel->count <= FULL / 2) say_writable(channel, 1);
    drain(channel->from);
}

static void open_node(struct node *node, uint32_t engine_number, uint8_t role, uint8_t more_flags) {
    struct circflow_engine_config config;
    struct circflow_circuit_config circuit;
    CHECK(circflow_engine_config_init(&config, sizeof config)); /* A real host puts random bytes into config.seed. */
    config.engine_number = engine_number;
    CHECK(circflow_engine_new(&config, &node->engine));
    CHECK(circflow_circuit_config_init(&circuit, sizeof circuit));
    circuit.flags |= CIRCFLOW_CIRCUIT_REACTOR | more_flags; /* Or-ed: CIRCFLOW_CIRCUIT_VEGAS is there, and stays. */
    circuit.role = role, circuit.hops = node->hop;
    for (int leg = 0; leg < LEGS && node->out[leg][BACK] != NULL; leg++) {
        circuit.tag = (uint64_t)('A' + leg);
        CHECK(circflow_circuit_open(node->engine, now_ns, &circuit, &node->circuits[leg]));
    }
}

static void send_data(void) {
    uint8_t data[CIRCFLOW_DATA_MAX];
    while (client.may_send && client.bytes < TOTAL) {
        size_t len = 0;
        for (; len < sizeof data && client.bytes + len < TOTAL; len++)
            data[len] = (uint8_t)((client.bytes + len) % 251);
        client.may_send = send_on_stream(&client, CIRCFLOW_CMD_DATA, data, len);
        if (client.may_send) client.bytes += (uint32_t)len;
    }
}

int main(void) {
    struct circflow_set_config set;
    const size_t count = sizeof channels / sizeof *channels;
    for (size_t i = 0; i < count; i++) channels[i].from->out[channels[i].leg][channels[i].from_side] = &channels[i];
    open_node(&client, 1, CIRCFLOW_ROLE_CLIENT, 0);
    open_node(&relay, 2, CIRCFLOW_ROLE_RELAY, CIRCFLOW_CIRCUIT_EXTENDED); /* EXTENDED: a relay in the middle. */
    open_node(&last, 3, CIRCFLOW_ROLE_RELAY, 0);

    CHECK(circflow_set_config_init(&set, sizeof set));
    CHECK(circflow_engine_accept_sets(last.engine, &set));
    memset(set.nonce, 3, sizeof set.nonce); /* A real host draws 32 random bytes for each set. */
    CHECK(circflow_set_open(client.engine, now_ns, &set, &client.set));
    CHECK(circflow_set_add_legs(client.engine, now_ns, client.set, client.circuits, LEGS));
    drain(&client);

    /* A real loop sleeps between turns, until a cell comes, or until circflow_engine_get_deadline(). */
    for (; last.bytes < TOTAL || last.unread > 0; now_ns += 1000000) {
        CHECK(circflow_engine_tick(client.engine, now_ns)); /* XON names a rate, so a stream can go on by the clock. */
        drain(&client);
        for (size_t i = 0; i < count; i++) carry(&channels[i]);
        send_data();
        const uint32_t read = last.unread < READ_PER_MS ? last.unread : READ_PER_MS;
        last.unread -= read;
        if (read > 0) CHECK(circflow_stream_flushed(last.engine, now_ns, last.stream, read));
        drain(&last);
    }
    printf("%-6s  all %u bytes came, as they were sent\n", last.name, (unsigned)last.bytes);
    CHECK(circflow_set_close(client.engine, now_ns, client.set));
    drain(&client);
    CHECK(circflow_engine_free(client.engine, NULL, NULL));
    CHECK(circflow_engine_free(relay.engine, NULL, NULL));
    CHECK(circflow_engine_free(last.engine, NULL, NULL));
    return 0;
}
