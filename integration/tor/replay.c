/* Has circflow judge what a stock tor client said and heard: the lines of trace.c, from standard input, into a client
 * engine that runs the same circuits and streams. A line "mark NAME" begins a part. What comes out is one line for each
 * row of c-tests/stream_rows.h that was seen in a part, with tabs between
 *
 *   part, row, how often, valid to tor, taken by circflow, unexplained, closed for
 */

#include "circflow.h"
#include "stream_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CIRCUITS 4096
#define PARTS 64
#define NAME 64
#define DIGEST_LEN 20
#define BODY_MAX 498
/* Complaints that are printed. */
#define SHOWN 10
/* The least for which an exit says XOFF. */
#define BUFFER (500 * 498)

/* A circuit, or a set, at one of its hops. */
typedef struct {
    char name[NAME];
    circflow_circuit_id id;
    circflow_stream_id streams[1 << 16];
    uint8_t states[1 << 16];
    uint32_t sent[1 << 16];
} circuit;

typedef struct {
    unsigned seen, valid, taken, unexplained, closed;
} figures;

static circflow_engine *engine;
static circuit *circuits[CIRCUITS];
static size_t circuit_count;
static char parts[PARTS][NAME] = {"before"};
static figures (*rows)[ROWS_STATES_COUNT][ROWS_MESSAGES];
static size_t part_count = 1;
static figures *last;
static unsigned refused;
static uint64_t now = 1;

#define CHECK(call) check((call), #call)

static int check(int status, const char *what)
{
    if (status == CIRCFLOW_OK)
        return 1;
    if (refused++ < SHOWN)
        fprintf(stderr, "replay: %s: %s\n", what, circflow_status_text(status));
    return 0;
}

/* Whether a circuit closes. Whatever else circflow has to say goes nowhere. */
static void look(void *closes, const circflow_insn *insn, const uint8_t *body)
{
    (void)body;
    *(int *)closes |= insn->kind == CIRCFLOW_INSN_CLOSE;
}

static int drain(void)
{
    uint8_t more = 1;
    int closes = 0;
    CHECK(circflow_engine_drain(engine, SIZE_MAX, &more, look, &closes));
    return closes;
}

static void open_circuit(circuit *one)
{
    circflow_circuit_config config;
    CHECK(circflow_circuit_config_init(&config, sizeof(config)));
    config.flags = CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR;
    CHECK(circflow_circuit_open(engine, now, &config, &one->id));
}

static circuit *circuit_of(const char *name)
{
    for (size_t i = 0; i < circuit_count; i++)
        if (strcmp(circuits[i]->name, name) == 0)
            return circuits[i];
    circuit *one = calloc(1, sizeof(*one));
    if (!one || circuit_count == CIRCUITS)
        exit(2);
    snprintf(one->name, sizeof(one->name), "%s", name);
    memset(one->states, ROWS_NEVER, sizeof(one->states));
    open_circuit(one);
    circuits[circuit_count++] = one;
    return one;
}

static circflow_message message_of(uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len)
{
    circflow_message message;
    memset(&message, 0, sizeof(message));
    message.command = command;
    message.hop = ROWS_HOPS;
    message.stream_id = stream_id;
    message.body = len ? body : NULL;
    message.body_len = (uint16_t)len;
    return message;
}

/* SENDMEs are not in the file, as those of a set are its legs' own: each is answered when it is due. */
static void acknowledge(circuit *one)
{
    static const uint8_t tag[DIGEST_LEN] = {7};
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    size_t len = 0;
    circflow_verdict verdict;
    CHECK(circflow_circuit_add_digest(engine, one->id, ROWS_HOPS, tag, sizeof(tag)));
    CHECK(circflow_sendme_encode(tag, sizeof(tag), body, &len));
    circflow_message sendme = message_of(CIRCFLOW_CMD_SENDME, 0, body, len);
    CHECK(circflow_circuit_receive(engine, now, one->id, &sendme, &verdict));
}

static void say(circuit *one, uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len)
{
    int opens = command == CIRCFLOW_CMD_BEGIN || command == CIRCFLOW_CMD_BEGIN_DIR || command == CIRCFLOW_CMD_RESOLVE;
    circflow_verdict verdict = {0};
    uint8_t *state = &one->states[stream_id];
    if (opens) {
        circflow_stream_config config;
        CHECK(circflow_stream_config_init(&config, sizeof(config)));
        config.circuit = one->id;
        config.hop = ROWS_HOPS;
        config.stream_id = stream_id;
        CHECK(circflow_stream_open(engine, now, &config, &one->streams[stream_id]));
        *state = command == CIRCFLOW_CMD_RESOLVE ? ROWS_RESOLVING : ROWS_BEGUN;
        one->sent[stream_id] = 0;
    }
    circflow_message message = message_of(command, stream_id, body, len);
    message.hop = 0;
    message.stream_id = 0;
    int status = circflow_stream_send(engine, now, one->streams[stream_id], &message, &verdict);
    /* After XOFF, and above the rate of XON, tor sends a little more DATA than circflow would let a host send. */
    if (command != CIRCFLOW_CMD_DATA || status != CIRCFLOW_ERR_STREAM_STOPPED)
        check(status, "circflow_stream_send");
    if (verdict.flags & CIRCFLOW_WANTS_DIGEST)
        acknowledge(one);
    if (command == CIRCFLOW_CMD_DATA) {
        one->sent[stream_id] += (uint32_t)len;
        if (*state == ROWS_CONNECTED && one->sent[stream_id] >= BUFFER)
            *state = ROWS_SENT;
    }
    if (command == CIRCFLOW_CMD_END)
        *state = *state == ROWS_BEGUN       ? ROWS_LEFT_BEGUN
                 : *state == ROWS_RESOLVING ? ROWS_LEFT_RESOLVING
                 : *state == ROWS_STOPPED   ? ROWS_LEFT_STOPPED
                                            : ROWS_LEFT_CONNECTED;
    drain();
}

/* The state after a message that was taken. */
static uint8_t after(circuit *one, uint16_t stream_id, uint8_t command)
{
    uint8_t state = one->states[stream_id];
    int ended = state >= ROWS_LEFT_BEGUN && state <= ROWS_OVER;
    uint8_t open = one->sent[stream_id] >= BUFFER ? ROWS_SENT : ROWS_CONNECTED;
    switch (command) {
    case CIRCFLOW_CMD_CONNECTED: return state == ROWS_BEGUN ? open : state == ROWS_LEFT_BEGUN ? ROWS_LEFT_LATE : state;
    case CIRCFLOW_CMD_RESOLVED: return ended ? ROWS_CROSSED_RESOLVED : ROWS_ANSWERED;
    case CIRCFLOW_CMD_END:
        return ended                     ? ROWS_CROSSED
               : state == ROWS_BEGUN     ? ROWS_REFUSED
               : state == ROWS_RESOLVING ? ROWS_ANSWERED
                                         : ROWS_THEIRS;
    case CIRCFLOW_CMD_XOFF: return state == ROWS_CONNECTED || state == ROWS_SENT ? ROWS_STOPPED : state;
    case CIRCFLOW_CMD_XON: return state == ROWS_STOPPED ? open : state;
    default: return state;
    }
}

/* Which message of the table it is: those that an honest exit sends. */
static size_t kind_of(uint8_t command, size_t len)
{
    for (size_t i = 0; i < ROWS_MESSAGES; i++) {
        if (rows_messages[i].command != command)
            continue;
        /* With a body, or without one. */
        if (command == CIRCFLOW_CMD_RESOLVED || (rows_messages[i].len == 0) == (len == 0))
            return i;
    }
    return ROWS_MESSAGES;
}

static void hear(circuit *one, uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len)
{
    static const uint8_t tag[DIGEST_LEN] = {9};
    size_t kind = kind_of(command, len);
    circflow_verdict verdict = {0};
    circflow_engine_stats stats = {.size = sizeof(stats)};
    last = NULL;
    if (kind == ROWS_MESSAGES)
        return;
    last = &rows[part_count - 1][one->states[stream_id]][kind];
    last->seen++;
    CHECK(circflow_engine_get_stats(engine, &stats));
    uint64_t unexplained = stats.unexplained;
    circflow_message message = message_of(command, stream_id, body, len);
    message.cell_digest = tag;
    message.cell_digest_len = sizeof(tag);
    int status = circflow_circuit_receive(engine, now, one->id, &message, &verdict);
    if (status == CIRCFLOW_OK && verdict.kind == CIRCFLOW_VERDICT_DELIVER && command == CIRCFLOW_CMD_DATA)
        CHECK(circflow_stream_flushed(engine, now, verdict.stream, (uint32_t)len));
    CHECK(circflow_engine_get_stats(engine, &stats));
    if (drain() || status != CIRCFLOW_OK) {
        last->closed++;
        if (refused++ < SHOWN)
            fprintf(stderr, "replay: %s closes: %s / %s, stream %u: %s\n", one->name,
                    rows_states[one->states[stream_id]].text, rows_messages[kind].name, stream_id,
                    circflow_status_text(status));
        CHECK(circflow_circuit_gone(engine, now, one->id));
        drain();
        memset(one->states, ROWS_NEVER, sizeof(one->states));
        open_circuit(one);
        return;
    }
    if (stats.unexplained != unexplained)
        last->unexplained++;
    else
        last->taken++;
    one->states[stream_id] = after(one, stream_id, command);
}

static void read_line(char *line)
{
    static uint8_t body[BODY_MAX];
    char way[8], name[NAME], hex[NAME];
    unsigned long long usec;
    unsigned command, stream_id, len;
    if (strncmp(line, "mark ", 5) == 0 && part_count < PARTS) {
        line[strcspn(line, "\n")] = 0;
        snprintf(parts[part_count++], NAME, "%.*s", NAME - 1, line + 5);
    } else if (strcmp(line, "valid\n") == 0) {
        if (last)
            last->valid++;
        last = NULL;
    } else if (sscanf(line, "%llu %7s %63s %u %u %u %63s", &usec, way, name, &command, &stream_id, &len, hex) == 7) {
        if (command > UINT8_MAX || stream_id > UINT16_MAX || len > sizeof(body))
            exit(2);
        memset(body, 0, sizeof(body));
        for (size_t i = 0; hex[0] != '-' && hex[2 * i]; i++) {
            unsigned byte;
            if (sscanf(hex + 2 * i, "%2x", &byte) == 1)
                body[i] = (uint8_t)byte;
        }
        now = usec * 1000;
        CHECK(circflow_engine_tick(engine, now));
        drain();
        (strcmp(way, "in") == 0 ? hear : say)(circuit_of(name), (uint8_t)command, (uint16_t)stream_id, body, len);
    } else {
        fprintf(stderr, "replay: what is this? %s", line);
        refused++;
    }
}

int main(void)
{
    static char line[256];
    circflow_engine_config config;
    CHECK(circflow_engine_config_init(&config, sizeof(config)));
    CHECK(circflow_engine_new(&config, &engine));
    rows = calloc(PARTS, sizeof(*rows));
    if (!rows || !engine)
        return 2;
    while (fgets(line, sizeof(line), stdin))
        read_line(line);
    for (size_t part = 0; part < part_count; part++)
        for (size_t state = 0; state < ROWS_STATES_COUNT; state++)
            for (size_t kind = 0; kind < ROWS_MESSAGES; kind++) {
                const figures *row = &rows[part][state][kind];
                if (row->seen)
                    printf("%s\t%s / %s\t%u\t%u\t%u\t%u\t%u\n", parts[part], rows_states[state].text,
                           rows_messages[kind].name, row->seen, row->valid, row->taken, row->unexplained, row->closed);
            }
    CHECK(circflow_engine_free(engine, NULL, NULL));
    for (size_t i = 0; i < circuit_count; i++)
        free(circuits[i]);
    free(rows);
    if (refused)
        fprintf(stderr, "replay: %u times circflow closed, or refused what tor did\n", refused);
    return refused ? 1 : 0;
}
