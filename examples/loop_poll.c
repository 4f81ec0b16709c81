/* circflow in one file: a client and an exit, one engine each, join two circuits to a set, and 20 messages go down it.
 * No sockets, no event loop: messages travel through arrays, and time is a number that we advance. Windows are small,
 * so a SWITCH moves the rest to leg B. B is slow, so messages that A brings meanwhile are held until their turn. */
#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEGS = 2, HOPS = 3, WINDOW = 8, MESSAGES = 20, WIRE_MAX = 32 };

/* One end. A message that it sends on a leg waits in wire[leg] until carry() takes it to the other end. */
struct end {
    const char *name;
    struct circflow_engine *engine;
    struct circflow_circuit_id circuits[LEGS];
    struct circflow_set_id set;
    uint8_t from_hop; /* The hop messages come from: the last hop for a client, 0 (the client) for an exit. */
    struct packet { uint16_t stream_id; uint8_t command, body_len, body[255]; } wire[LEGS][WIRE_MAX];
    size_t wire_count[LEGS];
};

static uint64_t now_ns = 1000000000; /* The library owns no clock: this is the program's. */

static void check(int32_t status, const char *what) {
    if (status == CIRCFLOW_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, circflow_status_name(status), circflow_status_text(status));
    exit(1);
}

static void put(struct end *end, int leg, uint8_t command, uint16_t stream_id, const void *body, size_t len) {
    struct packet packet = {.command = command, .stream_id = stream_id, .body_len = (uint8_t)len};
    if (len > 0) memcpy(packet.body, body, len);
    end->wire[leg][end->wire_count[leg]++] = packet;
}

/* A leg that was never reported has no window. A real host reports after each SENDME, and when a channel fills up. */
static void report(struct end *end, int leg) {
    const struct circflow_leg_report leg_report = {
        .circuit = end->circuits[leg], .cwnd = WINDOW, .rtt_ns = leg == 0 ? 40000000 : 90000000, .sendme_inc = WINDOW};
    check(circflow_leg_update(end->engine, now_ns, &leg_report, 1), "report");
}

/* Obeys one instruction. circuit_tag was set by open_end(): the letter of the leg. */
static void obey(struct end *end, const struct circflow_insn *insn, const uint8_t *body) {
    const struct circflow_insn_send *send = &insn->detail.send;
    const int letter = (int)insn->circuit_tag, leg = letter - 'A';
    if (insn->kind == CIRCFLOW_INSN_SEND) {
        printf("%-6s  leg %c: sends command %d, for the library's own needs\n", end->name, letter, send->command);
        put(end, leg, send->command, send->stream_id, body, send->body_len);
    } else if (insn->kind == CIRCFLOW_INSN_LINKED) {
        printf("%-6s  leg %c: linked\n", end->name, letter);
        end->set = insn->set; /* An exit first hears of a set here. */
        report(end, leg);
    } else if (insn->kind == CIRCFLOW_INSN_DELIVER) {
        printf("%-6s  leg %c: number %d, \"%.*s\", was held, and is next now\n", end->name, letter,
               (int)insn->detail.deliver.number, insn->detail.deliver.body_len, (const char *)body);
    } else if (insn->kind == CIRCFLOW_INSN_CLOSE) {
        printf("%-6s  leg %c: closed\n", end->name, letter); /* A real host sends DESTROY with detail.close.reason. */
        check(circflow_circuit_gone(end->engine, now_ns, insn->circuit), "closed");
    } else if (insn->kind == CIRCFLOW_INSN_USABLE || insn->kind == CIRCFLOW_INSN_MAY_SEND) {
        printf("%-6s  set: %s\n", end->name, insn->kind == CIRCFLOW_INSN_USABLE ? "usable" : "has room again");
    }
}

/* Feed, then drain: this follows every feed. An event loop would then arm a timer with circflow_engine_get_deadline().
 * */
static void drain(struct end *end) {
    struct circflow_insn insn = {0};
    uint8_t body[CIRCFLOW_BODY_MAX];
    do {
        check(circflow_engine_poll(end->engine, body, sizeof body, &insn), "poll");
        obey(end, &insn, body);
    } while (insn.kind != CIRCFLOW_INSN_NONE);
}

static void receive(struct end *end, int leg, const struct packet *packet) {
    const struct circflow_message message = {.command = packet->command, .hop = end->from_hop,
        .stream_id = packet->stream_id, .body = packet->body, .body_len = packet->body_len};
    struct circflow_verdict verdict;
    check(circflow_circuit_receive(end->engine, now_ns, end->circuits[leg], &message, &verdict), "receive");
    if (verdict.kind != CIRCFLOW_VERDICT_CONSUMED)
        printf("%-6s  leg %c: number %d, \"%.*s\", %s\n", end->name, 'A' + leg, (int)verdict.number, packet->body_len,
               (const char *)packet->body, verdict.kind == CIRCFLOW_VERDICT_HELD ? "is too early: held" : "is next");
    drain(end);
}

/* Takes waiting messages to the other end: on leg A 20 ms later, on leg B another 20 ms later. */
static void carry(struct end *from, struct end *to) {
    for (int leg = 0; leg < LEGS; from->wire_count[leg++] = 0) {
        now_ns += 20000000;
        for (size_t i = 0; i < from->wire_count[leg]; i++) receive(to, leg, &from->wire[leg][i]);
    }
}

static void send_text(struct end *end, int i) {
    const struct circflow_message message = {.command = CIRCFLOW_CMD_DATA, .hop = end->from_hop, .stream_id = 1};
    struct circflow_verdict verdict;
    char text[32];
    int32_t status;
    while ((status = circflow_set_send(end->engine, now_ns, end->set, &message, NULL, 0, &verdict)) ==
           CIRCFLOW_ERR_NO_ROOM) {
        printf("%-6s  set: blocked, both windows are full. Say that leg A's SENDME came\n", end->name);
        report(end, 0);
        drain(end); /* MAY_SEND comes. */
    }
    check(status, "send");
    const uint32_t delta = verdict.switch_delta;
    const int letter = (int)verdict.circuit_tag, leg = letter - 'A';
    if (delta != 0) {
        uint8_t body[CIRCFLOW_SWITCH_LEN];
        check(circflow_switch_encode(delta, body), "switch");
        printf("%-6s  leg %c: sends SWITCH, by %u\n", end->name, letter, (unsigned)delta);
        put(end, leg, CIRCFLOW_CMD_SWITCH, 0, body, sizeof body);
    }
    put(end, leg, message.command, 1, text, (size_t)snprintf(text, sizeof text, "message %d", i));
}

static void open_end(struct end *end, uint32_t engine_number, uint8_t role) {
    struct circflow_engine_config config;
    struct circflow_circuit_config circuit;
    check(circflow_engine_config_init(&config, sizeof config), "config"); /* A real host fills config.seed. */
    config.engine_number = engine_number;
    check(circflow_engine_new(&config, &end->engine), "engine");
    check(circflow_circuit_config_init(&circuit, sizeof circuit), "config");
    circuit.role = role;
    circuit.hops = end->from_hop;
    for (int leg = 0; leg < LEGS; leg++) {
        circuit.tag = (uint64_t)('A' + leg); /* Any number but 0; this one prints well. */
        check(circflow_circuit_open(end->engine, now_ns, &circuit, &end->circuits[leg]), "circuit");
    }
}

int main(void) {
    static struct end client = {.name = "client", .from_hop = HOPS}, relay = {.name = "exit", .from_hop = 0};
    struct circflow_set_config config;
    open_end(&client, 1, CIRCFLOW_ROLE_CLIENT);
    open_end(&relay, 2, CIRCFLOW_ROLE_RELAY);
    check(circflow_set_config_init(&config, sizeof config), "config");
    /* The default may wait for a better leg; then a program must come back when circflow_engine_get_deadline() says. */
    config.algorithm = CIRCFLOW_ALGORITHM_LOW_RTT;
    check(circflow_engine_accept_sets(relay.engine, &config), "accept");
    memset(config.nonce, 7, sizeof config.nonce); /* In a real host: secret and random. */
    check(circflow_set_open(client.engine, now_ns, &config, &client.set), "open");
    check(circflow_set_add_legs(client.engine, now_ns, client.set, client.circuits, LEGS), "add legs");
    drain(&client);
    carry(&client, &relay); /* LINK */
    carry(&relay, &client); /* LINKED */
    carry(&client, &relay); /* LINKED_ACK */
    for (int i = 1; i <= MESSAGES; i++) send_text(&relay, i);
    carry(&relay, &client);
    check(circflow_set_close(client.engine, now_ns, client.set), "close");
    drain(&client);
    check(circflow_engine_free(client.engine, NULL, NULL), "free");
    return circflow_engine_free(relay.engine, NULL, NULL);
}
