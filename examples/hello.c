/* A client and an exit join two circuits to one tunnel, a "set", and six words go down it. Circuit 2 is faster: what it
 * brings comes too early, and circflow holds it. Here both ends are in one program; tunnel.c is two, with sockets. */
#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENT, EXIT, CIRCUITS = 2, EACH = 3, WORDS = CIRCUITS * EACH };
static circflow_engine *engines[2];                   /* What circflow knows: one engine for each end. */
static circflow_circuit_id circuits[2][CIRCUITS + 1]; /* By their tags, which are numbers of ours: 1 and 2. */
static const uint64_t now_ns = 1;                     /* circflow has no clock: a real program passes the time. */
static void check(circflow_status status) { if (status != CIRCFLOW_OK) puts(circflow_status_text(status)), exit(1); }

static void receive(int end, uint64_t tag, uint8_t command, const void *body, uint16_t len) {
    const circflow_message message = {.command = command, .stream_id = command == CIRCFLOW_CMD_DATA, /* 1, or none. */
        .hop = end == CLIENT, .body = body, .body_len = len}; /* It is from hop 1, the exit, or from 0, the client. */
    circflow_verdict verdict;                                 /* Whether it is the turn of this message. */
    check(circflow_circuit_receive(engines[end], now_ns, circuits[end][tag], &message, &verdict));
    if (verdict.kind == CIRCFLOW_VERDICT_DELIVER) printf("circuit %d brings %s\n", (int)tag, (const char *)body);
}

static void obey(void *end, const circflow_insn *insn, const uint8_t *body) { /* What circflow wants, or has to tell. */
    const circflow_leg_report window = {.circuit = insn->circuit, .cwnd = EACH}; /* So much may be on its way. */
    if (insn->kind == CIRCFLOW_INSN_SEND) /* A greeting of its own, for the other end. */
        receive(!*(int *)end, insn->circuit_tag, insn->detail.send.command, body, insn->detail.send.body_len);
    if (insn->kind == CIRCFLOW_INSN_LINKED) check(circflow_leg_update(engines[*(int *)end], now_ns, &window, 1));
    if (insn->kind == CIRCFLOW_INSN_DELIVER) printf("circuit 2 has brought %s\n", (const char *)body);
}

int main(void) {
    static const char words[WORDS][6] = {"one", "two", "three", "four", "five", "six"};
    const circflow_message word = {.command = CIRCFLOW_CMD_DATA, .stream_id = 1, .hop = 1};
    circflow_engine_config engine;
    circflow_circuit_config circuit;
    circflow_set_config config;
    circflow_set_id set;
    circflow_verdict where;
    uint8_t jump[CIRCFLOW_SWITCH_LEN];
    check(circflow_engine_config_init(&engine, sizeof engine)); /* A real program puts random bytes into its seed, */
    check(circflow_set_config_init(&config, sizeof config));    /* and into the nonce of each set. */
    check(circflow_circuit_config_init(&circuit, sizeof circuit));
    for (int end = CLIENT; end <= EXIT; end++, engine.engine_number++) { /* Two engines have two numbers. */
        check(circflow_engine_new(&engine, &engines[end]));
        circuit.role = end == CLIENT ? CIRCFLOW_ROLE_CLIENT : CIRCFLOW_ROLE_RELAY, circuit.hops = end == CLIENT;
        for (circuit.tag = 1; circuit.tag <= CIRCUITS; circuit.tag++)
            check(circflow_circuit_open(engines[end], now_ns, &circuit, &circuits[end][circuit.tag]));
    }
    check(circflow_engine_accept_sets(engines[EXIT], &config));
    check(circflow_set_open(engines[CLIENT], now_ns, &config, &set));
    check(circflow_set_add_legs(engines[CLIENT], now_ns, set, &circuits[CLIENT][1], CIRCUITS)); /* Begins to greet. */
    for (int i = 0, end = 0; i < 4; i++, end = !end) check(circflow_engine_drain(engines[end], 100, NULL, obey, &end));
    for (int i = 0; i < WORDS; i++) { /* Words on circuit 2 are there at once, those on circuit 1 after them all. */
        check(circflow_set_send(engines[CLIENT], now_ns, set, &word, NULL, 0, &where)); /* Where does it go? */
        check(circflow_switch_encode(where.switch_delta, jump)); /* Tells how many words went elsewhere, if any. */
        if (where.switch_delta != 0) receive(EXIT, where.circuit_tag, CIRCFLOW_CMD_SWITCH, jump, sizeof jump);
        if (where.circuit_tag == 2) receive(EXIT, 2, CIRCFLOW_CMD_DATA, words[i], sizeof words[i]);
    }
    for (int i = 0; i < EACH; i++) receive(EXIT, 1, CIRCFLOW_CMD_DATA, words[i], sizeof words[i]);
    check(circflow_engine_drain(engines[EXIT], 100, NULL, obey, &(int){EXIT}));
    return circflow_engine_free(engines[CLIENT], NULL, NULL) || circflow_engine_free(engines[EXIT], NULL, NULL);
}
