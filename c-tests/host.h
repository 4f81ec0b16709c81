/* The smallest host circflow can have: a clock that stands still until told, a client engine and an exit engine with
 * nothing but function calls between them, and a ledger of the tokens that circflow owes. */

#ifndef HOST_H
#define HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "circflow.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define HOST_START (100 * SECOND)
#define HOST_HOPS 3
#define HOST_EVENTS_MAX 2048
#define HOST_TOKENS_MAX 65536
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Says what a call answered, by name, when it is not what was wanted. */
#define IS(status, call) host_is((status), (call), #call, __FILE__, __LINE__)
#define OK(call) IS(CIRCFLOW_OK, call)
void host_is(int want, int got, const char *text, const char *file, int line);

/* A test of something that is not mended yet: it passes as long as the test fails, crashes or hangs (in a process of
 * its own), and fails once the test passes, so that the mark is taken away. */
#define host_expected_to_fail(test) host_expected_to_fail_setup_teardown(test, NULL, NULL)
#define host_expected_to_fail_setup_teardown(test, setup, teardown)                                                  \
    {                                                                                                                  \
        #test " (expected to fail)", host_expect_failure, NULL, NULL,                                                \
            &(struct CMUnitTest) { #test, test, setup, teardown, NULL }                                              \
    }
void host_expect_failure(void **test);

/* Instructions with their bodies, in the order in which they came. */
typedef struct host_event {
    circflow_insn insn;
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
} host_event;

typedef struct host_events {
    size_t count;
    host_event at[HOST_EVENTS_MAX];
} host_events;

/* Drains an engine to the end. The answer is good until the next call. */
const host_events *host_drain(circflow_engine *engine);
size_t host_count(const host_events *events, uint32_t kind);
/* The first of a kind; fails when there is none. */
const circflow_insn *host_first(const host_events *events, uint32_t kind);
/* The CLOSE of a circuit, NULL when there is none. */
const circflow_insn *host_close_of(const host_events *events, circflow_circuit_id circuit);

/* Two engines and the set between them. Leg i is client_leg[i] at one end and exit_leg[i] at the other. */
typedef struct host_world {
    uint64_t now;
    circflow_engine_config engine_config;
    circflow_circuit_config client_circuit, exit_circuit;
    circflow_set_config client_terms, exit_terms;
    circflow_engine *client, *exit;
    circflow_set_id client_set, exit_set;
    circflow_circuit_id client_leg[CIRCFLOW_LEGS_MAX], exit_leg[CIRCFLOW_LEGS_MAX];
    size_t leg_count;
    /* Where the legs meet, as each end counts hops. */
    uint8_t client_hop, exit_hop;
    /* How long one carried message takes. */
    uint64_t delay;
    /* What linking brought besides SEND. */
    host_events client_saw, exit_saw;
} host_world;

/* Fills in defaults, for the test to change. */
void host_prepare(host_world *world);
/* Makes the engines. */
void host_start(host_world *world);
/* Both. */
void host_begin(host_world *world);
/* Opens the next pair of circuits and answers its index. */
size_t host_pair(host_world *world);
/* Opens the client's set, if there is none, and adds `count` fresh legs; nothing is carried yet. */
void host_launch(host_world *world, size_t count);
/* Engines, if there are none yet, and such a set. */
void host_launched(host_world *world, size_t count);
/* The same, and the client's LINKs are on their way: what comes from the exit is the test's. */
void host_asked(host_world *world, size_t count);
/* Carries CIRCFLOW_INSN_SEND between the engines until none is left. */
void host_carry(host_world *world);
/* All of the above: a set with `count` linked legs. */
void host_linked(host_world *world, size_t count);
/* Frees both engines. */
void host_stop(host_world *world);

/* Clears a world, for a test that prepares it itself. */
void host_clear(host_world *world);
/* Engines and a first pair of circuits: host_begin, host_pair. */
void host_begin_pair(host_world *world);

/* A program's world, and its setup and teardown for cmocka: `begin` makes the world (host_prepare, host_begin). */
#define HOST_WORLD(begin)          \
    static host_world world;       \
    static int setup(void **state) \
    {                              \
        (void)state;               \
        begin(&world);             \
        return 0;                  \
    }                              \
    HOST_TEARDOWN

/* The teardown alone, for a program whose setup does more. */
#define HOST_TEARDOWN                 \
    static int teardown(void **state) \
    {                                 \
        (void)state;                  \
        host_stop(&world);            \
        return 0;                     \
    }

/* A client engine with a set of `count` adopted legs, for what needs no handshake: round trips of 10 ms, 20 ms, … */
void host_adopted(host_world *world, size_t count);

circflow_circuit_id host_open(host_world *world, circflow_engine *engine, uint8_t role);

/* A hub, and how much its engines may hold together; 0 is the default. */
circflow_hub *host_hub(uint64_t held_bytes_max);
circflow_hub_stats host_hub_stats(circflow_hub *hub);
/* One more exit: an engine that accepts sets on the world's terms, with a number of its own. In no hub if that is NULL;
 * else `wake` is called with `userdata` when another engine has news for it. */
circflow_engine *host_exit(host_world *world, uint32_t number, circflow_hub *hub, circflow_notify_fn wake, void *userdata);
/* For a loop that ticks its engines anyway. */
void host_no_wake(void *userdata);
/* The engine hears the time, and is drained. */
const host_events *host_tick(host_world *world, circflow_engine *engine);
/* The same, when so much more time has gone by. */
const host_events *host_later(host_world *world, circflow_engine *engine, uint64_t ns);

/* Messages. Bodies made here are good for sixteen more calls. */
circflow_message host_message(uint8_t command, uint8_t hop, uint16_t stream_id, const void *body, size_t body_len);
circflow_message host_data(uint8_t hop, const char *text);
circflow_message host_token(uint8_t hop, uint64_t token, uint32_t cost);
circflow_message host_switch(uint8_t hop, uint32_t delta);
circflow_message host_linkish(uint8_t command, uint8_t hop, const uint8_t *nonce, uint64_t sent, uint64_t recv, uint8_t ux);

/* Feeds one message. */
int host_feed(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, circflow_message message);
/* Feeds one message that must be answered with this verdict, and answers its number. */
uint64_t host_expect(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, circflow_message message,
                     uint32_t kind);

/* Sends one message of a set, or of a circuit alone, that must be answered with this verdict. */
circflow_verdict host_set_sends(host_world *world, circflow_engine *engine, circflow_set_id set, circflow_message message,
                                uint32_t kind);
circflow_verdict host_circuit_sends(host_world *world, circflow_engine *engine, circflow_circuit_id circuit,
                                    circflow_message message, uint32_t kind);

/* A report with `room` cells of a window of 100 left. */
circflow_leg_report host_report(circflow_circuit_id circuit, uint64_t room, uint64_t rtt_ns);
void host_room(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint64_t room, uint64_t rtt_ns);

circflow_engine_stats host_stats(circflow_engine *engine);
circflow_set_stats host_set_stats(circflow_engine *engine, circflow_set_id set);

/* Circuits that circflow runs. */
#define HOST_RUN (CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_REACTOR)
/* As host_prepare, with such circuits at both ends. */
void host_prepare_run(host_world *world);
/* The engines, and one such circuit, alone or linked as the only leg of a set. */
void host_begin_run(host_world *world, int in_set);
circflow_circuit_stats host_circuit_stats(circflow_engine *engine, circflow_circuit_id circuit);
circflow_stream_stats host_stream_stats(circflow_engine *engine, circflow_stream_id stream);
/* A stream of a set, or of a circuit when the set is zero. */
circflow_stream_config host_stream_config(circflow_set_id set, circflow_circuit_id circuit, uint8_t hop, uint16_t stream_id);
/* One of the client's to the exit: of its set, or of its first circuit when there is none. */
circflow_stream_config host_client_stream(const host_world *world, uint16_t stream_id);
circflow_stream_id host_stream(host_world *world, circflow_engine *engine, circflow_set_id set, circflow_circuit_id circuit,
                               uint8_t hop, uint16_t stream_id);
/* The same for one whose BEGIN has left. */
circflow_stream_id host_begun(host_world *world, circflow_engine *engine, circflow_set_id set, circflow_circuit_id circuit,
                              uint8_t hop, uint16_t stream_id);
int host_stream_send(host_world *world, circflow_engine *engine, circflow_stream_id stream, uint8_t command,
                     const void *body, size_t body_len, circflow_verdict *verdict);
/* The digest of cell number n, 20 bytes; good for sixteen more calls. */
const uint8_t *host_digest(uint64_t n);
/* The message, as the cell with the digest of number n brought it. */
circflow_message host_with_digest(circflow_message message, uint64_t n);
/* SENDME for the cell with this digest. */
circflow_message host_sendme(uint8_t hop, const uint8_t *digest, size_t digest_len);

/* Padding. Machines are those of tests/machines, by the name of the file. */
circflow_machines_id host_machines(circflow_engine *engine, const char *name);
circflow_padding_config host_padding_config(circflow_engine *engine, const char *machines, uint8_t hop, uint8_t slot);
void host_pad(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, const char *machines, uint8_t hop,
              uint8_t slot);
circflow_padding_stats host_pad_stats(circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop, uint8_t slot);
/* A machine at this hop holds all that is sent on the circuit for 100 ms from now. */
void host_shut(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop);
/* What came from a hop: padding, or a cell that is not (a SENDME). */
void host_drop(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop);
void host_other(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop);
uint64_t host_deadline(circflow_engine *engine);
/* Fails unless this instruction asks for a padding cell: CIRCFLOW_PADDING_* in flags. */
void host_is_padding(const circflow_insn *insn, circflow_circuit_id circuit, uint8_t hop, uint8_t slot, uint8_t flags);
/* Fails unless this instruction sends DATA to a hop with this text. */
void host_is_data(const host_event *event, circflow_circuit_id circuit, uint8_t hop, const char *text);

/* A set's numbers, to compare before and after. */
typedef struct host_numbers {
    circflow_set_numbers set;
    size_t count;
    circflow_leg_numbers legs[CIRCFLOW_LEGS_MAX];
} host_numbers;
host_numbers host_export(circflow_engine *engine, circflow_set_id set);

/* Tokens that circflow answered HELD for, and must hand back once. */
typedef struct host_ledger {
    uint8_t state[HOST_TOKENS_MAX];
    uint32_t cost[HOST_TOKENS_MAX];
    size_t wrong;
} host_ledger;

void host_lend(host_ledger *ledger, uint64_t token, uint32_t cost);
void host_give_back(host_ledger *ledger, uint64_t token, uint32_t cost);
/* The same, as a circflow_discard_fn. */
void host_discard(void *ledger, uint64_t token, uint32_t cost);
/* Books every token among these instructions. */
void host_book(host_ledger *ledger, const host_events *events);
/* What is lent costs so much. */
uint64_t host_lent(const host_ledger *ledger);
/* Fails when a token came back twice, or unasked for, or never. */
void host_settle(const host_ledger *ledger);
/* Frees both engines, which hand back what is lent, and settles. */
void host_stop_and_settle(host_world *world, host_ledger *ledger);

#endif
