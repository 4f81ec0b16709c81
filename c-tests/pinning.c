/* A client that pins memory: sets of two legs of which one is silent, while honest sets beside them hold now and then for
 * order, up to a minute. The honest ones live on, and what was pinned is back once it is too old.
 *
 * PINNING_SETS=60 PINNING_MESSAGES=31000 is the size at which the defaults of an engine (256 MiB) were filled for ever; a
 * smaller run has a smaller cap. */

#include "host.h"

#include <stdio.h>
#include <stdlib.h>

#define FULL_SETS 60
#define FULL_MESSAGES 31000
#define HONEST 20
#define BODY 498
/* Ten megabytes a second, at the full size. */
#define RATE (10 * 1000 * 1000 / BODY)

typedef struct set {
    circflow_set_id id;
    circflow_circuit_id legs[2];
    uint64_t tag;
    int alive;
    uint32_t cause;
    /* Numbers: of each leg, sent and delivered. */
    uint64_t recv[2], sent, delivered;
    /* An honest one has a hole until then; 0 for none. */
    uint64_t hole_until;
} set;

static circflow_engine *engine;
static uint64_t now, random_state;
static set *sets;
static size_t set_count;
static uint8_t body[BODY];

static uint64_t below(uint64_t bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % bound;
}

static size_t asked(const char *name, size_t otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoul(value, NULL, 10) : otherwise;
}

/* Tags of circuits and sets are 1 + the index of the set. */
static set *set_of(uint64_t tag)
{
    assert_in_range(tag, 1, set_count);
    return &sets[tag - 1];
}

static void obey(void *unused, const circflow_insn *insn, const uint8_t *bytes)
{
    (void)unused, (void)bytes;
    switch (insn->kind) {
    case CIRCFLOW_INSN_DELIVER: {
        set *set = set_of(insn->set_tag);
        assert_int_equal(insn->detail.deliver.number, set->delivered + 1);
        set->delivered++;
        break;
    }
    case CIRCFLOW_INSN_LINKED:
        /* A set that a peer opened has its name from its first leg. */
        if (set_of(insn->circuit_tag)->id.v == 0)
            OK(circflow_set_retag(engine, insn->set, insn->circuit_tag));
        set_of(insn->circuit_tag)->id = insn->set;
        break;
    case CIRCFLOW_INSN_CLOSE:
        OK(circflow_circuit_gone(engine, now, insn->circuit));
        break;
    case CIRCFLOW_INSN_ENDED:
        set_of(insn->set_tag)->alive = 0;
        set_of(insn->set_tag)->cause = insn->detail.close.cause;
        break;
    default:
        break;
    }
}

static void drain(void)
{
    uint8_t more;
    do {
        more = 0;
        OK(circflow_engine_drain(engine, 1000, &more, obey, NULL));
    } while (more);
}

static int feed(const set *set, size_t leg, circflow_message message, uint32_t kind)
{
    circflow_verdict verdict;
    int status = circflow_circuit_receive(engine, now, set->legs[leg], &message, &verdict);
    if (status == CIRCFLOW_OK)
        assert_int_equal(verdict.kind, kind);
    return status;
}

static circflow_message data(void) { return host_message(CIRCFLOW_CMD_DATA, 0, 7, body, BODY); }

static set *open_set(size_t index)
{
    set *set = &sets[index];
    uint8_t nonce[CIRCFLOW_NONCE_LEN] = {0};
    circflow_circuit_config circuit;
    OK(circflow_circuit_config_init(&circuit, sizeof(circuit)));
    circuit.role = CIRCFLOW_ROLE_RELAY;
    circuit.hops = 0;
    circuit.tag = index + 1;
    memcpy(nonce, &index, sizeof(index));
    memset(set, 0, sizeof(*set));
    set->alive = 1;
    for (size_t leg = 0; leg < 2; leg++) {
        OK(circflow_circuit_open(engine, now, &circuit, &set->legs[leg]));
        OK(feed(set, leg, host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 3), CIRCFLOW_VERDICT_CONSUMED));
        drain();
        OK(feed(set, leg, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0), CIRCFLOW_VERDICT_CONSUMED));
    }
    return set;
}

/* What an honest set does in a second: it opens a hole with a few messages behind it, or fills it. */
static void live(set *set)
{
    uint64_t hole = set->delivered + 1;
    if (set->hole_until == 0) {
        uint64_t count = 1 + below(8);
        OK(feed(set, 1, host_switch(0, (uint32_t)(hole - set->recv[1])), CIRCFLOW_VERDICT_CONSUMED));
        for (uint64_t i = 0; i < count; i++)
            OK(feed(set, 1, data(), CIRCFLOW_VERDICT_HELD));
        set->recv[1] = set->sent = hole + count;
        set->hole_until = now + below(60) * SECOND + 1;
    } else if (now >= set->hole_until) {
        if (hole - 1 > set->recv[0])
            OK(feed(set, 0, host_switch(0, (uint32_t)(hole - 1 - set->recv[0])), CIRCFLOW_VERDICT_CONSUMED));
        OK(feed(set, 0, data(), CIRCFLOW_VERDICT_DELIVER));
        set->recv[0] = set->delivered = hole;
        drain();
        assert_int_equal(set->delivered, set->sent);
        set->hole_until = 0;
    }
}

/* A second goes by, in which the host comes when it is asked to. */
static void second(int honest_live)
{
    uint64_t until = now + SECOND, deadline;
    for (;;) {
        OK(circflow_engine_get_deadline(engine, &deadline));
        if (deadline > until)
            break;
        now = deadline > now ? deadline : now;
        OK(circflow_engine_tick(engine, now));
        drain();
    }
    now = until;
    OK(circflow_engine_tick(engine, now));
    drain();
    for (size_t i = 0; i < HONEST && i < set_count; i++)
        if (honest_live || sets[i].hole_until != 0)
            live(&sets[i]);
}

/* A pinner's message, as long as its set is there. */
static void pin(set *set)
{
    if (!set->alive)
        return;
    int status = feed(set, 1, data(), CIRCFLOW_VERDICT_HELD);
    drain();
    if (status != CIRCFLOW_OK)
        assert_int_equal(set->alive, 0);
}

/* It takes what it gets; or leaves no room for anybody, and goes never above the cap itself; or sends a message a second on
 * each set to the end. */
enum pinner { GREEDY, CAREFUL, DRIPPING };

static void pinned_memory_comes_back(enum pinner pinner)
{
    const size_t pinners = asked("PINNING_SETS", 60), messages = asked("PINNING_MESSAGES", 310);
    circflow_engine_config config;
    circflow_set_config terms;
    uint64_t share = (uint64_t)pinners * messages, begun;
    size_t ended_by_age = 0, ended_by_cap = 0;
    OK(circflow_engine_config_init(&config, sizeof(config)));
    if (share < FULL_SETS * FULL_MESSAGES)
        config.held_bytes_max = config.held_bytes_max * share / (FULL_SETS * FULL_MESSAGES);
    OK(circflow_set_config_init(&terms, sizeof(terms)));
    OK(circflow_engine_new(&config, &engine));
    OK(circflow_engine_accept_sets(engine, &terms));
    now = HOST_START;
    set_count = HONEST + pinners;
    sets = calloc(set_count, sizeof(*sets));
    assert_non_null(sets);
    for (size_t i = 0; i < HONEST; i++)
        open_set(i);
    for (int i = 0; i < 100; i++)
        second(1);
    begun = now;
    for (size_t i = HONEST; i < set_count; i++) {
        open_set(i);
        OK(feed(&sets[i], 1, host_switch(0, 1), CIRCFLOW_VERDICT_CONSUMED));
    }
    for (uint64_t sent = 0; sent < share;) {
        uint64_t step = 1 + share * RATE / (FULL_SETS * FULL_MESSAGES);
        for (uint64_t i = 0; i < step && sent < share; i++, sent++)
            if (pinner != CAREFUL || host_stats(engine).held_bytes + CIRCFLOW_HELD_COST <= config.held_bytes_max)
                pin(&sets[HONEST + sent % pinners]);
        second(1);
        assert_true(host_stats(engine).held_bytes <= config.held_bytes_max);
    }
    assert_true(now - begun < config.held_age_max_ns); /* Nothing has gone by age alone yet. */
    while (now < begun + 2 * config.held_age_max_ns) {
        second(1);
        for (size_t i = HONEST; pinner == DRIPPING && i < set_count; i++)
            pin(&sets[i]);
    }
    for (int i = 0; i < 61; i++)
        second(0);
    for (size_t i = 0; i < HONEST; i++) {
        assert_true(sets[i].alive);
        assert_int_equal(host_set_stats(engine, sets[i].id).delivered, sets[i].sent);
    }
    for (size_t i = HONEST; i < set_count; i++) {
        assert_false(sets[i].alive);
        ended_by_age += sets[i].cause == (uint32_t)CIRCFLOW_ERR_HELD_TOO_LONG;
        ended_by_cap += sets[i].cause == (uint32_t)CIRCFLOW_ERR_ENGINE_MEMORY;
    }
    assert_int_equal(ended_by_age + ended_by_cap, pinners);
    assert_true(ended_by_age > 0 && ended_by_cap > 0);
    assert_int_equal(host_stats(engine).held_bytes, 0);
    assert_int_equal(host_stats(engine).held, 0);
    assert_int_equal(host_stats(engine).sets, HONEST);
    printf("%zu pinned sets ended by age, %zu at the cap of %llu bytes; %d honest ones live\n", ended_by_age, ended_by_cap,
           (unsigned long long)config.held_bytes_max, HONEST);
    free(sets);
    OK(circflow_engine_free(engine, NULL, NULL));
}

static void a_greedy_client(void **state)
{
    (void)state;
    pinned_memory_comes_back(GREEDY);
}

static void a_client_that_stays_below_the_cap(void **state)
{
    (void)state;
    pinned_memory_comes_back(CAREFUL);
}

static void a_client_that_drips(void **state)
{
    (void)state;
    pinned_memory_comes_back(DRIPPING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greedy_client),
        cmocka_unit_test(a_client_that_stays_below_the_cap),
        cmocka_unit_test(a_client_that_drips),
    };
    random_state = 1;
    return cmocka_run_group_tests_name("pinning", tests, NULL, NULL);
}
