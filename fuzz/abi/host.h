/* A host that interprets bytes as calls: three engines (a client's and two exits' that can meet in a hub), a queue, and
 * wires that carry what the engines say. Bytes choose each call and its arguments; what must hold in spite of that is
 * checked here. It never breaks the header's own contract: pointers are valid or NULL, or a handle of another kind, and what
 * was freed is not used, but for a hub that engines still need. */

#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENGINES = 3, SLOTS = 12, SETS = 4, STREAMS = 12, LISTS = 3, CHANNELS = 3, WIRE = 48, TOKENS = 1 << 14, HOPS = 3 };
enum { OPS_MAX = 1500, DRAIN_MAX = 4000 };

typedef struct cell {
    uint8_t command, hop, form, tag[20];
    uint16_t stream_id, body_len;
    uint64_t token;
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
} cell;

/* Cells on their way to one end of a circuit. */
typedef struct wire {
    size_t first, count;
    cell cells[WIRE];
} wire;

/* One end of a circuit. Its other end has the same slot on another engine. */
typedef struct end {
    circflow_circuit_id id;
    int peer;
    wire in;
} end;

typedef struct node {
    circflow_engine *engine;
    /* The hub that it has joined. */
    circflow_hub *hub;
    int draining;
    end ends[SLOTS];
    circflow_set_id sets[SETS];
    size_t next_set;
    circflow_stream_id streams[STREAMS];
    size_t next_stream;
    circflow_machines_id lists[LISTS];
    circflow_channel_id channels[CHANNELS];
    circflow_insn_padding asked;
} node;

typedef struct host {
    const uint8_t *at, *stop;
    uint64_t now;
    node nodes[ENGINES];
    circflow_hub *hub;
    /* One that was let go, while engines that have joined it are there. */
    circflow_hub *gone;
    circflow_queue *queue;
    int in_queue;
    /* Callbacks still to run an operation of their own, how deep we are, and which pointer is to be NULL. */
    unsigned nest, depth, null_in;
    /* Which handle is to be one of another kind, and whether the latest was. */
    unsigned stray_in;
    int stray;
    uint8_t answers;
    uint64_t next_token, tag_count;
    uint8_t tokens[TOKENS];
    uint8_t scratch[1024];
    /* How often each kind of instruction and of verdict came, to be printed with CIRCFLOW_FUZZ_SAID=1. */
    unsigned insns[32], verdicts[8], notified, strayed;
} host;

extern host h;

/* Says what does not hold, and ends the process. */
void fail(const char *what, int line);
#define MUST(holds)                                                                                                    \
    do {                                                                                                               \
        if (!(holds))                                                                                                  \
            fail(#holds, __LINE__);                                                                                    \
    } while (0)

/* Bytes; zeros when none are left. */
uint8_t take8(void);
uint16_t take16(void);
uint32_t take32(void);
/* A number of any size, from two bytes. */
uint64_t take_scaled(void);
/* A copy of up to `max` bytes of its own size, so that one byte beyond is beyond the memory: free it. */
uint8_t *take_bytes(size_t max, size_t *len);
/* The pointer, or NULL when its turn has come. */
void *maybe(void *pointer);

/* Handles to call with: now and then one of another kind. */
circflow_engine *of(int at);
circflow_queue *the_queue(void);
circflow_hub *the_hub(void);

/* Tokens: lent when circflow answers HELD, and back once. */
uint64_t token_new(void);
void token_lend(uint64_t token);
void token_back(uint64_t token);

/* Wires. */
void wire_put(int to, int slot, const cell *what);
int wire_take(int at, int slot, cell *what);

/* What an engine says: carries cells, books tokens, keeps ids. */
void obey(int at, const circflow_insn *insn, const uint8_t *body);
void drain(int at, size_t budget);
void node_new(int at);
void node_free(int at);
/* The hub is let go, and what comes after it has another. */
void hub_new_or_gone(void);
/* What an answered send leaves to be written. */
void write_out(int at, const circflow_verdict *verdict, const circflow_message *message);

/* One call, or a few that belong together. */
void operate(void);

#endif
