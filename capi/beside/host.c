/* One program with circflow and a second Rust library: each catches its own panics, and in C++ exceptions pass through
 * both. Compiled as C99 and as C++11. PANICS: the circflow in it has functions that panic on purpose. */
#include <circflow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
int second_panics(int number);
void second_calls(void (*call)(void));
#ifdef PANICS
circflow_status circflow_test_panic(circflow_engine *engine);
#endif
#ifdef __cplusplus
}
#endif

#define CHECK(holds) ((holds) ? (void)0 : fail(#holds, __LINE__))

static void fail(const char *what, int line) {
    fprintf(stderr, "host.c:%d: FAILED: %s\n", line, what);
    exit(1);
}

static int sends;

static void count(void *host, const circflow_insn *insn, const uint8_t *body) {
    (void)host;
    (void)body;
    sends += insn->kind == CIRCFLOW_INSN_SEND;
}

/* An engine with a set of two legs, of which each has a LINK to send. */
static circflow_engine *started(void) {
    circflow_engine_config config;
    circflow_circuit_config circuit;
    circflow_set_config wanted;
    circflow_circuit_id circuits[2];
    circflow_engine *engine;
    circflow_set_id set;
    circflow_engine_config_init(&config, sizeof config);
    circflow_circuit_config_init(&circuit, sizeof circuit);
    circflow_set_config_init(&wanted, sizeof wanted);
    memset(config.seed, 1, sizeof config.seed);
    memset(wanted.nonce, 2, sizeof wanted.nonce);
    CHECK(circflow_engine_new(&config, &engine) == CIRCFLOW_OK);
    for (circuit.tag = 1; circuit.tag <= 2; circuit.tag++)
        CHECK(circflow_circuit_open(engine, 1, &circuit, &circuits[circuit.tag - 1]) == CIRCFLOW_OK);
    CHECK(circflow_set_open(engine, 1, &wanted, &set) == CIRCFLOW_OK);
    CHECK(circflow_set_add_legs(engine, 1, set, circuits, 2) == CIRCFLOW_OK);
    return engine;
}

#ifdef __cplusplus
static void throws(void) {
    throw 7;
}

static void throws_at_once(void *, const circflow_insn *, const uint8_t *) {
    throw 8;
}

static void exceptions(void) {
    int caught = 0;
    circflow_engine *engine = started();
    try {
        second_calls(throws);
    } catch (int number) {
        caught += number;
    }
    try {
        CHECK(circflow_engine_drain(engine, 100, NULL, throws_at_once, NULL) == CIRCFLOW_OK);
    } catch (int number) {
        caught += number;
    }
    CHECK(caught == 15);
    CHECK(circflow_engine_tick(engine, 2) == CIRCFLOW_ERR_POISONED);
    CHECK(circflow_engine_free(engine, NULL, NULL) == CIRCFLOW_OK);
}
#endif

int main(void) {
    circflow_engine *engine = started();
    CHECK(second_panics(5) == 5);
    CHECK(circflow_engine_drain(engine, 100, NULL, count, NULL) == CIRCFLOW_OK);
    CHECK(sends == 2);
#ifdef PANICS
    CHECK(circflow_test_panic(engine) == CIRCFLOW_ERR_PANIC);
    CHECK(circflow_engine_tick(engine, 2) == CIRCFLOW_ERR_POISONED);
#endif
    CHECK(second_panics(6) == 6);
    CHECK(circflow_engine_free(engine, NULL, NULL) == CIRCFLOW_OK);
#ifdef __cplusplus
    exceptions();
#endif
    return 0;
}
