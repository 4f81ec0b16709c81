/* Configs, engines, circuits, time: what is there before any set is. */

#include "host.h"

#include <stdio.h>
#include <stdlib.h>

static void version_of_header_and_library_agree(void **state)
{
    (void)state;
    assert_int_equal(circflow_version(), CIRCFLOW_VERSION);
    assert_int_equal(CIRCFLOW_VERSION >> 16, CIRCFLOW_VERSION_MAJOR);
    assert_int_equal(CIRCFLOW_VERSION >> 8 & 0xff, CIRCFLOW_VERSION_MINOR);
    assert_int_equal(CIRCFLOW_VERSION & 0xff, CIRCFLOW_VERSION_PATCH);
}

static void defaults_are_those_of_the_header(void **state)
{
    circflow_engine_config engine;
    circflow_circuit_config circuit;
    circflow_set_config set;
    circflow_padding_config padding;
    (void)state;
    memset(&padding, 0xee, sizeof(padding));
    memset(&engine, 0xee, sizeof(engine));
    memset(&circuit, 0xee, sizeof(circuit));
    memset(&set, 0xee, sizeof(set));
    OK(circflow_engine_config_init(&engine, sizeof(engine)));
    OK(circflow_circuit_config_init(&circuit, sizeof(circuit)));
    OK(circflow_set_config_init(&set, sizeof(set)));
    assert_int_equal(engine.size, sizeof(engine));
    assert_int_equal(engine.engine_number, 1);
    assert_int_equal(engine.circuits_max, 1048576);
    assert_int_equal(engine.sets_max, 262144);
    assert_int_equal(engine.insns_max, 65536);
    assert_int_equal(engine.held_bytes_max, UINT64_C(256) << 20);
    assert_int_equal(circuit.size, sizeof(circuit));
    assert_int_equal(circuit.role, CIRCFLOW_ROLE_CLIENT);
    assert_int_equal(circuit.hops, 3);
    assert_int_equal(circuit.flags, CIRCFLOW_CIRCUIT_VEGAS);
    assert_int_equal(circuit.held_sends_max, 32);
    assert_int_equal(set.held_sends_max, 32);
    OK(circflow_padding_config_init(&padding, sizeof(padding))); /* budgets.c has the rest. */
    assert_int_equal(padding.size, sizeof(padding));
    assert_int_equal(padding.hop, 2);
    assert_int_equal(set.size, sizeof(set));
    assert_int_equal(set.link_timeout_ns, 60 * SECOND);
    assert_int_equal(set.held_bytes_max, UINT64_C(16) << 20);
    assert_int_equal(set.switch_ahead_max, 1048576);
    assert_int_equal(set.legs_max, 0);
    assert_int_equal(set.launches_max, 0);
    assert_int_equal(set.desired_ux, CIRCFLOW_UX_HIGH_THROUGHPUT);
    assert_int_equal(set.algorithm, CIRCFLOW_ALGORITHM_BY_UX);
}

/* An init function, with a name for its struct's real size. */
typedef int (*init_fn)(void *config, size_t size);
static int init_engine(void *config, size_t size) { return circflow_engine_config_init(config, size); }
static int init_circuit(void *config, size_t size) { return circflow_circuit_config_init(config, size); }
static int init_set(void *config, size_t size) { return circflow_set_config_init(config, size); }
static int init_padding(void *config, size_t size) { return circflow_padding_config_init(config, size); }

static void init_writes_as_much_as_it_is_told(void **state)
{
    const struct {
        init_fn init;
        size_t size;
    } kinds[] = {{init_engine, sizeof(circflow_engine_config)},
                 {init_circuit, sizeof(circflow_circuit_config)},
                 {init_set, sizeof(circflow_set_config)},
                 {init_padding, sizeof(circflow_padding_config)}};
    union {
        size_t size;
        uint8_t bytes[512];
    } room;
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const size_t sizes[] = {kinds[i].size - 8, kinds[i].size, kinds[i].size + 24};
        IS(CIRCFLOW_ERR_NULL, kinds[i].init(NULL, kinds[i].size));
        IS(CIRCFLOW_ERR_VERSION, kinds[i].init(&room, 0));
        IS(CIRCFLOW_ERR_VERSION, kinds[i].init(&room, sizeof(size_t) - 1));
        IS(CIRCFLOW_ERR_VERSION, kinds[i].init(&room, SIZE_MAX));
        for (size_t j = 0; j < COUNT(sizes); j++) {
            memset(&room, 0xee, sizeof(room));
            OK(kinds[i].init(&room, sizes[j]));
            assert_int_equal(room.size, sizes[j]);
            for (size_t at = kinds[i].size; at < sizes[j]; at++)
                assert_int_equal(room.bytes[at], 0);
            for (size_t at = sizes[j]; at < sizeof(room); at++)
                assert_int_equal(room.bytes[at], 0xee);
        }
    }
}

/* Feeds a config of `size` bytes, of which those behind the known ones are zero but for the last, to its reader. */
static int read_config(host_world *world, int kind, size_t size, uint8_t last)
{
    union {
        size_t size;
        circflow_engine_config engine;
        circflow_circuit_config circuit;
        circflow_set_config set;
        circflow_padding_config padding;
        uint8_t bytes[512];
    } room;
    const size_t known[] = {sizeof(room.engine),  sizeof(room.circuit), sizeof(room.set),
                            sizeof(room.padding), sizeof(room.padding), sizeof(room.set)};
    circflow_engine *engine = NULL;
    circflow_circuit_id circuit;
    circflow_set_id set;
    int answer = 0;
    memset(&room, 0, sizeof(room));
    switch (kind) {
    case 0: room.engine = world->engine_config; break;
    case 1: room.circuit = world->client_circuit; break;
    case 3:
    case 4: OK(circflow_padding_config_init(&room.padding, sizeof(room.padding))); break;
    default: room.set = world->client_terms; break;
    }
    room.size = size;
    if (size > known[kind])
        room.bytes[size - 1] = last;
    else
        memset(room.bytes + size, 0xee, sizeof(room) - size);
    switch (kind) {
    case 0:
        answer = circflow_engine_new(&room.engine, &engine);
        OK(circflow_engine_free(engine, NULL, NULL));
        return answer;
    case 1:
        return circflow_circuit_open(world->client, world->now, &room.circuit, &circuit);
    case 2:
        answer = circflow_set_open(world->client, world->now, &room.set, &set);
        if (answer == CIRCFLOW_OK)
            OK(circflow_set_close(world->client, world->now, set));
        return answer;
    case 3:
        circuit = host_open(world, world->client, CIRCFLOW_ROLE_CLIENT);
        return circflow_padding_install(world->client, world->now, circuit, &room.padding);
    case 4:
        return circflow_padding_register(world->client, CIRCFLOW_ROLE_CLIENT, 5, &room.padding);
    default:
        return circflow_engine_accept_sets(world->client, &room.set);
    }
}

static void configs_of_other_sizes_are_read_with_care(void **state)
{
    static host_world world;
    host_begin(&world);
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        const size_t sizes[] = {sizeof(circflow_engine_config),  sizeof(circflow_circuit_config),
                                sizeof(circflow_set_config),     sizeof(circflow_padding_config),
                                sizeof(circflow_padding_config), sizeof(circflow_set_config)};
        size_t size = sizes[kind];
        OK(read_config(&world, kind, size, 0));
        OK(read_config(&world, kind, size - 8, 0)); /* The unknown rest keeps its default: junk there is not read. */
        OK(read_config(&world, kind, size + 1, 0));
        OK(read_config(&world, kind, size + 64, 0));
        IS(CIRCFLOW_ERR_VERSION, read_config(&world, kind, size + 1, 1));
        IS(CIRCFLOW_ERR_VERSION, read_config(&world, kind, size + 64, 0x80));
        IS(CIRCFLOW_ERR_VERSION, read_config(&world, kind, 0, 0));
        IS(CIRCFLOW_ERR_VERSION, read_config(&world, kind, sizeof(size_t) - 1, 0));
    }
    host_stop(&world);
}

static int try_engine(circflow_engine_config config)
{
    circflow_engine *engine = NULL;
    int answer = circflow_engine_new(&config, &engine);
    assert_int_equal(engine != NULL, answer == CIRCFLOW_OK);
    OK(circflow_engine_free(engine, NULL, NULL));
    return answer;
}

static void engine_config_is_checked_at_its_bounds(void **state)
{
    circflow_engine_config good, config;
    circflow_engine *engine = NULL;
    const uint32_t tags[] = {0, 1, 16383, 16384, UINT32_MAX};
    const uint32_t maxima[] = {0, 1, 16777216, 16777217};
    (void)state;
    OK(circflow_engine_config_init(&good, sizeof(good)));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_new(NULL, &engine));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_new(&good, NULL));
    assert_null(engine);
    for (size_t i = 0; i < COUNT(tags); i++) {
        config = good;
        config.engine_number = tags[i];
        IS(i == 1 || i == 2 ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID, try_engine(config));
    }
    for (size_t i = 0; i < COUNT(maxima); i++) {
        int want = i == 1 || i == 2 ? CIRCFLOW_OK : CIRCFLOW_ERR_INVALID;
        config = good;
        config.circuits_max = maxima[i];
        IS(want, try_engine(config));
        config = good;
        config.sets_max = maxima[i];
        IS(want, try_engine(config));
    }
    config = good;
    config.insns_max = 0;
    IS(CIRCFLOW_ERR_INVALID, try_engine(config));
    config.insns_max = 1;
    IS(CIRCFLOW_OK, try_engine(config));
}

static void engine_may_hold_nothing(void **state)
{
    circflow_engine_config config;
    (void)state;
    OK(circflow_engine_config_init(&config, sizeof(config)));
    config.held_bytes_max = 0; /* Then the first message out of order ends its set. */
    IS(CIRCFLOW_OK, try_engine(config));
}

static void free_of_nothing_is_fine(void **state)
{
    (void)state;
    OK(circflow_engine_free(NULL, NULL, NULL));
    OK(circflow_engine_free(NULL, host_discard, NULL));
}

static void circuit_config_is_checked_at_its_bounds(void **state)
{
    static host_world world;
    const struct {
        uint8_t role, hops, flags;
        int want;
    } rows[] = {
        {CIRCFLOW_ROLE_CLIENT, 0, 1, CIRCFLOW_ERR_INVALID}, {CIRCFLOW_ROLE_CLIENT, 1, 1, CIRCFLOW_OK},
        {CIRCFLOW_ROLE_CLIENT, 16, 1, CIRCFLOW_OK},         {CIRCFLOW_ROLE_CLIENT, 17, 1, CIRCFLOW_ERR_INVALID},
        {CIRCFLOW_ROLE_RELAY, 0, 1, CIRCFLOW_OK},            {CIRCFLOW_ROLE_RELAY, 1, 1, CIRCFLOW_ERR_INVALID},
        {0, 3, 1, CIRCFLOW_ERR_INVALID},                    {3, 3, 1, CIRCFLOW_ERR_INVALID},
        {CIRCFLOW_ROLE_CLIENT, 3, 63, CIRCFLOW_OK},         {CIRCFLOW_ROLE_CLIENT, 3, 64, CIRCFLOW_OK},
        {CIRCFLOW_ROLE_CLIENT, 3, 128, CIRCFLOW_OK},        {CIRCFLOW_ROLE_CLIENT, 3, 223, CIRCFLOW_OK},
        {CIRCFLOW_ROLE_CLIENT, 3, 255, CIRCFLOW_ERR_INVALID}, {CIRCFLOW_ROLE_CLIENT, 3, 96, CIRCFLOW_ERR_INVALID},
        {CIRCFLOW_ROLE_RELAY, 0, 64, CIRCFLOW_OK},           {CIRCFLOW_ROLE_RELAY, 0, 128, CIRCFLOW_ERR_INVALID},
    };
    circflow_circuit_id circuit = {0};
    (void)state;
    host_begin(&world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_circuit_config config = world.client_circuit;
        config.role = rows[i].role;
        config.hops = rows[i].hops;
        config.flags = rows[i].flags;
        IS(rows[i].want, circflow_circuit_open(world.client, 1, &config, &circuit));
    }
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_open(world.client, 1, NULL, &circuit));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_open(world.client, 1, &world.client_circuit, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_open(NULL, 1, &world.client_circuit, &circuit));
    circuit = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_circuit_set_flags(world.client, circuit, 63));
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(world.client, circuit, 64));
    host_stop(&world);
}

static void set_config_is_checked_at_its_bounds(void **state)
{
    static host_world world;
    enum { LEGS, LAUNCHES, TIMEOUT, AHEAD, UX, ALGORITHM, RUN, ZEROS };
    const struct {
        int field;
        uint32_t value;
        int want;
    } rows[] = {
        {LEGS, 0, CIRCFLOW_OK},      {LEGS, 1, CIRCFLOW_OK},  {LEGS, 16, CIRCFLOW_OK},
        {LEGS, 17, CIRCFLOW_ERR_INVALID},     {LAUNCHES, 1, CIRCFLOW_OK}, {LAUNCHES, 0, CIRCFLOW_OK},
        {TIMEOUT, 0, CIRCFLOW_ERR_INVALID},   {TIMEOUT, 1, CIRCFLOW_OK},  {AHEAD, 0, CIRCFLOW_ERR_INVALID},
        {AHEAD, 1, CIRCFLOW_OK},              {AHEAD, UINT32_MAX, CIRCFLOW_OK}, {UX, 4, CIRCFLOW_OK},
        {UX, 5, CIRCFLOW_ERR_INVALID},        {UX, 255, CIRCFLOW_ERR_INVALID},
        {ALGORITHM, CIRCFLOW_ALGORITHM_RANDOM, CIRCFLOW_OK},
        {ALGORITHM, CIRCFLOW_ALGORITHM_RANDOM + 1, CIRCFLOW_ERR_INVALID},
        {RUN, 1, CIRCFLOW_OK}, {RUN, UINT32_MAX, CIRCFLOW_OK}, {ZEROS, 1, CIRCFLOW_ERR_INVALID},
    };
    (void)state;
    host_begin(&world);
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_set_config config = world.client_terms;
        circflow_set_id set;
        switch (rows[i].field) {
        case LEGS: config.legs_max = rows[i].value; break;
        case LAUNCHES: config.launches_max = rows[i].value; break;
        case TIMEOUT: config.link_timeout_ns = rows[i].value; break;
        case AHEAD: config.switch_ahead_max = rows[i].value; break;
        case UX: config.desired_ux = (uint8_t)rows[i].value; break;
        case RUN: config.switch_run_min = rows[i].value; break;
        case ZEROS: config.reserved3 = rows[i].value; break;
        default: config.algorithm = (uint8_t)rows[i].value; break;
        }
        config.nonce[0] = (uint8_t)(i + 1);
        IS(rows[i].want, circflow_set_open(world.client, 1, &config, &set));
        IS(rows[i].want, circflow_engine_accept_sets(world.client, &config));
    }
    OK(circflow_engine_accept_sets(world.client, NULL));
    host_stop(&world);
}

static void no_more_circuits_and_sets_than_allowed(void **state)
{
    static host_world world;
    circflow_circuit_id circuits[3] = {{0}};
    circflow_set_id sets[2];
    circflow_set_config other;
    (void)state;
    host_prepare(&world);
    world.engine_config.circuits_max = 3;
    world.engine_config.sets_max = 1;
    host_start(&world);
    for (int i = 0; i < 3; i++)
        circuits[i] = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    assert_int_equal(host_stats(world.client).circuits, 3);
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_circuit_open(world.client, world.now, &world.client_circuit, &circuits[0]));
    OK(circflow_circuit_gone(world.client, world.now, circuits[1]));
    assert_int_equal(host_stats(world.client).circuits, 2);
    circuits[1] = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_circuit_open(world.client, world.now, &world.client_circuit, &circuits[0]));
    other = world.client_terms;
    other.nonce[0] ^= 0xff;
    OK(circflow_set_open(world.client, world.now, &world.client_terms, &sets[0]));
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_set_open(world.client, world.now, &other, &sets[1]));
    assert_int_equal(host_stats(world.client).sets, 1);
    OK(circflow_set_close(world.client, world.now, sets[0]));
    OK(circflow_set_open(world.client, world.now, &other, &sets[1]));
    host_stop(&world);
}

static void ids_that_name_nothing_are_told_apart(void **state)
{
    static host_world world;
    circflow_message message = host_data(HOST_HOPS, "x");
    circflow_verdict verdict;
    circflow_circuit_id circuit;
    (void)state;
    host_linked(&world, 2);
    OK(circflow_circuit_gone(world.client, world.now, world.client_leg[1]));
    OK(circflow_set_close(world.exit, world.now, world.exit_set));
    const struct {
        uint64_t circuit, set;
        int want_circuit, want_set;
    } rows[] = {
        {0, 0, CIRCFLOW_ERR_ZERO_ID, CIRCFLOW_ERR_ZERO_ID},
        {world.exit_leg[0].v, world.exit_set.v, CIRCFLOW_ERR_FOREIGN_ID, CIRCFLOW_ERR_FOREIGN_ID},
        /* A circuit's id is no set's, and the other way round. */
        {world.client_set.v, world.client_leg[0].v, CIRCFLOW_ERR_FOREIGN_ID, CIRCFLOW_ERR_FOREIGN_ID},
        {world.client_leg[1].v, 0, CIRCFLOW_ERR_STALE_ID, CIRCFLOW_ERR_ZERO_ID},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_circuit_id c = {rows[i].circuit};
        circflow_set_id s = {rows[i].set};
        circflow_leg_report report = host_report(c, 1, 1);
        circflow_insn insn;
        circflow_set_stats stats;
        circflow_set_numbers numbers = {0, {0}};
        circflow_leg_numbers legs[CIRCFLOW_LEGS_MAX];
        size_t count;
        uint64_t number;
        const uint8_t *lent;
        circflow_padding_config padding = host_padding_config(world.client, NULL, 2, 0);
        circflow_padding_stats figures;
        const circflow_insn_padding asked = {CIRCFLOW_CMD_DROP, 2, 0, CIRCFLOW_PADDING_ASKS, 0};
        stats.size = sizeof(stats);
        figures.size = sizeof(figures);
        OK(circflow_padding_register(world.client, CIRCFLOW_ROLE_CLIENT, 3, &padding));
        IS(rows[i].want_circuit, circflow_padding_install(world.client, world.now, c, &padding));
        IS(rows[i].want_circuit, circflow_padding_remove(world.client, world.now, c, 2, 0));
        IS(rows[i].want_circuit, circflow_padding_get_stats(world.client, c, 2, 0, &figures));
        IS(rows[i].want_circuit, circflow_padding_answered(world.client, world.now, c, &asked, CIRCFLOW_ANSWER_SENT));
        IS(rows[i].want_circuit, circflow_padding_start(world.client, world.now, c, 3));
        IS(rows[i].want_circuit, circflow_padding_stop(world.client, world.now, c, 3));
        IS(rows[i].want_circuit, circflow_circuit_send(world.client, world.now, c, &message, &verdict));
        IS(rows[i].want_circuit, circflow_circuit_cells_written(world.client, world.now, c, 1));
        IS(rows[i].want_circuit, circflow_circuit_cell_passed(world.client, world.now, c));
        IS(rows[i].want_circuit, circflow_circuit_set_flags(world.client, c, 1));
        IS(rows[i].want_circuit, circflow_circuit_gone(world.client, world.now, c));
        IS(rows[i].want_circuit, circflow_circuit_receive(world.client, world.now, c, &message, &verdict));
        IS(rows[i].want_circuit, circflow_leg_update(world.client, world.now, &report, 1));
        IS(rows[i].want_circuit, circflow_circuit_cell_queued(world.client, world.now, c, CIRCFLOW_CMD_DATA, HOST_HOPS));
        IS(rows[i].want_set, circflow_set_add_legs(world.client, world.now, s, &c, 1));
        IS(rows[i].want_set, circflow_set_adopt_leg(world.client, world.now, s, c, 0, 0));
        IS(rows[i].want_set, circflow_set_dissolve(world.client, world.now, s, &circuit));
        IS(rows[i].want_set, circflow_set_close(world.client, world.now, s));
        IS(rows[i].want_set, circflow_set_decide(world.client, world.now, s, &message, NULL, 0, &verdict));
        IS(rows[i].want_set, circflow_set_send(world.client, world.now, s, &message, NULL, 0, &verdict));
        IS(rows[i].want_set, circflow_set_get_decision(world.client, s, &verdict));
        IS(rows[i].want_set, circflow_set_poll(world.client, s, NULL, 0, &insn));
        IS(rows[i].want_set, circflow_set_poll_lent(world.client, s, &lent, &insn));
        IS(rows[i].want_set, circflow_set_poll_tokens(world.client, s, NULL, 0, &count));
        IS(rows[i].want_set, circflow_set_check(world.client, s));
        IS(rows[i].want_set, circflow_set_get_room(world.client, s, &number));
        IS(rows[i].want_set, circflow_set_get_stats(world.client, s, &stats));
        IS(rows[i].want_set, circflow_set_export(world.client, s, &numbers, legs, COUNT(legs), &count));
        IS(rows[i].want_set, circflow_set_import(world.client, world.now, s, &numbers, NULL, 0));
    }
    host_stop(&world);
}

/* A list of machines is named like the rest, and its id is no other thing's. */
static void machines_are_named_like_the_rest(void **state)
{
    static host_world world;
    circflow_padding_config config;
    circflow_machines_id machines, other;
    (void)state;
    host_linked(&world, 2);
    machines = host_machines(world.client, "four");
    other = host_machines(world.exit, "four");
    const struct {
        uint64_t id;
        int want;
    } rows[] = {{0, CIRCFLOW_ERR_ZERO_ID},
                {other.v, CIRCFLOW_ERR_FOREIGN_ID},
                {world.client_leg[0].v, CIRCFLOW_ERR_FOREIGN_ID},
                {world.client_set.v, CIRCFLOW_ERR_FOREIGN_ID},
                {machines.v, CIRCFLOW_ERR_STALE_ID}};
    OK(circflow_machines_drop(world.client, machines));
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_machines_id id = {rows[i].id};
        IS(rows[i].want, circflow_machines_drop(world.client, id));
        config = host_padding_config(world.client, NULL, 2, 0);
        config.machines = id;
        int want = i == 0 ? CIRCFLOW_OK : rows[i].want; /* Zero: no machines. */
        IS(want, circflow_padding_install(world.client, world.now, world.client_leg[0], &config));
        IS(want, circflow_padding_register(world.client, CIRCFLOW_ROLE_CLIENT, 3, &config));
    }
    circflow_circuit_id as_circuit = {machines.v};
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_circuit_gone(world.client, world.now, as_circuit));
    host_stop(&world);
}

static void machines_are_loaded_with_care(void **state)
{
    static host_world world;
    static char text[1 << 16];
    static const char *const bad[] = {"", "\n\n", "x", "02", "0", "01AAAA", "02AAAA", "02nonsense!", "99"};
    circflow_machines_id machines = {77}, lists[1024];
    FILE *file = fopen("tests/machines/four.txt", "r");
    size_t len;
    (void)state;
    assert_non_null(file);
    len = fread(text, 1, sizeof(text), file);
    fclose(file);
    host_begin(&world);
    IS(CIRCFLOW_ERR_NULL, circflow_machines_load(NULL, text, len, &machines));
    IS(CIRCFLOW_ERR_NULL, circflow_machines_load(world.client, NULL, len, &machines));
    IS(CIRCFLOW_ERR_NULL, circflow_machines_load(world.client, text, len, NULL));
    IS(CIRCFLOW_ERR_BAD_MACHINES, circflow_machines_load(world.client, NULL, 0, &machines)); /* None are no list. */
    for (size_t i = 0; i < COUNT(bad); i++) {
        char why[200] = "";
        size_t why_len = 0;
        IS(CIRCFLOW_ERR_BAD_MACHINES, circflow_machines_load(world.client, bad[i], strlen(bad[i]), &machines));
        OK(circflow_engine_get_last_detail(world.client, why, sizeof(why), &why_len));
        assert_true(why_len > 0);
        assert_non_null(strstr(why, "line 1"));
    }
    /* The line that is broken is named. */
    char why[200] = "";
    text[len] = 'x';
    IS(CIRCFLOW_ERR_BAD_MACHINES, circflow_machines_load(world.client, text, len + 1, &machines));
    OK(circflow_engine_get_last_detail(world.client, why, sizeof(why), NULL));
    assert_non_null(strstr(why, "line 5"));
    assert_int_equal(machines.v, 77);
    IS(CIRCFLOW_ERR_BAD_MACHINES, circflow_machines_load(world.client, text, len - 2, &machines)); /* Cut short. */
    for (size_t i = 0; i < COUNT(lists); i++)
        OK(circflow_machines_load(world.client, text, len, &lists[i]));
    IS(CIRCFLOW_ERR_TOO_MANY, circflow_machines_load(world.client, text, len, &machines));
    OK(circflow_machines_drop(world.client, lists[500]));
    OK(circflow_machines_load(world.client, text, len, &machines));
    host_stop(&world);
}

static void null_is_a_status_for_padding_too(void **state)
{
    static host_world world;
    circflow_padding_config config;
    circflow_padding_stats figures;
    circflow_verdict verdict;
    circflow_message message = host_data(HOST_HOPS, "x");
    circflow_machines_id machines = {1};
    const circflow_insn_padding asked = {CIRCFLOW_CMD_DROP, 2, 0, CIRCFLOW_PADDING_ASKS, 0};
    (void)state;
    host_begin_pair(&world);
    circflow_circuit_id c = world.client_leg[0];
    config = host_padding_config(world.client, NULL, 2, 0);
    figures.size = sizeof(figures);
    IS(CIRCFLOW_ERR_NULL, circflow_padding_config_init(NULL, sizeof(config)));
    IS(CIRCFLOW_ERR_NULL, circflow_machines_drop(NULL, machines));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_install(NULL, 1, c, &config));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_install(world.client, world.now, c, NULL));
    OK(circflow_padding_install(world.client, world.now, c, &config));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_remove(NULL, 1, c, 2, 0));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_get_stats(NULL, c, 2, 0, &figures));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_get_stats(world.client, c, 2, 0, NULL));
    figures.size = 7;
    IS(CIRCFLOW_ERR_VERSION, circflow_padding_get_stats(world.client, c, 2, 0, &figures));
    union {
        circflow_padding_stats stats;
        uint8_t bytes[256];
    } room;
    const size_t sizes[] = {offsetof(circflow_padding_stats, replaced), sizeof(room.stats), sizeof(room.stats) + 16};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        memset(&room, 0xee, sizeof(room));
        room.stats.size = sizes[i];
        OK(circflow_padding_get_stats(world.client, c, 2, 0, &room.stats));
        assert_int_equal(room.stats.size, sizes[i]);
        assert_int_equal(room.stats.machines, 0);
        for (size_t at = sizes[i]; at < sizeof(room); at++)
            assert_int_equal(room.bytes[at], 0xee);
    }
    IS(CIRCFLOW_ERR_NULL, circflow_padding_answered(NULL, 1, c, &asked, CIRCFLOW_ANSWER_SENT));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_answered(world.client, 1, c, NULL, CIRCFLOW_ANSWER_SENT));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_register(NULL, CIRCFLOW_ROLE_CLIENT, 1, &config));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_register(NULL, CIRCFLOW_ROLE_CLIENT, 1, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_start(NULL, 1, c, 1));
    IS(CIRCFLOW_ERR_NULL, circflow_padding_stop(NULL, 1, c, 1));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_send(NULL, 1, c, &message, &verdict));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_send(world.client, 1, c, NULL, &verdict));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_send(world.client, 1, c, &message, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_cells_written(NULL, 1, c, 1));
    IS(CIRCFLOW_ERR_NULL, circflow_circuit_cell_passed(NULL, 1, c));
    message.body = NULL;
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_send(world.client, world.now, c, &message, &verdict));
    message = host_data(17, "x");
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_send(world.client, world.now, c, &message, &verdict));
    message = host_data(HOST_HOPS, "x");
    message.body_len = CIRCFLOW_BODY_MAX + 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_send(world.client, world.now, c, &message, &verdict));
    message = host_data(HOST_HOPS, "x");
    message.form = 2;
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_send(world.client, world.now, c, &message, &verdict));
    host_stop(&world);
}

static void figures_fit_their_room(void **state)
{
    static host_world world;
    union {
        circflow_engine_stats stats;
        uint8_t bytes[512];
    } room;
    size_t full = sizeof(room.stats);
    (void)state;
    host_linked(&world, 2);
    const size_t sizes[] = {offsetof(circflow_engine_stats, insns), full, full + 32};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        memset(&room, 0xee, sizeof(room));
        room.stats.size = sizes[i];
        OK(circflow_engine_get_stats(world.client, &room.stats));
        assert_int_equal(room.stats.size, sizes[i]);
        assert_int_equal(room.stats.circuits, 2);
        assert_int_equal(room.stats.sets, 1);
        for (size_t at = sizes[i]; at < sizeof(room); at++)
            assert_int_equal(room.bytes[at], 0xee);
    }
    room.stats.size = 3;
    IS(CIRCFLOW_ERR_VERSION, circflow_engine_get_stats(world.client, &room.stats));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_stats(world.client, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_set_get_stats(world.client, world.client_set, NULL));
    host_launch(&world, 2);
    assert_int_equal(host_stats(world.client).insns, 2);
    assert_int_equal(host_stats(world.client).timers, 2);
    host_carry(&world);
    assert_int_equal(host_stats(world.client).insns, 0);
    assert_true(host_stats(world.client).insns_peak >= 2);
    assert_int_equal(host_stats(world.client).timers, 0);
    host_stop(&world);
}

static void trim_gives_back_what_is_not_in_use(void **state)
{
    static host_world world;
    uint64_t freed = 99, pool;
    (void)state;
    host_linked(&world, 2);
    OK(circflow_engine_trim(world.client, NULL));
    host_expect(&world, world.client, world.client_leg[1], host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    for (int i = 0; i < 50; i++)
        host_expect(&world, world.client, world.client_leg[1], host_data(HOST_HOPS, "body"), CIRCFLOW_VERDICT_HELD);
    pool = host_stats(world.client).pool_bytes;
    assert_true(pool >= 50 * CIRCFLOW_HELD_COST);
    host_expect(&world, world.client, world.client_leg[0], host_data(HOST_HOPS, "first"), CIRCFLOW_VERDICT_DELIVER);
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_DELIVER), 50);
    assert_int_equal(host_stats(world.client).pool_bytes, pool);
    OK(circflow_engine_trim(world.client, &freed));
    assert_true(freed > 0);
    assert_true(host_stats(world.client).pool_bytes + freed >= pool); /* Timers give some back, too. */
    OK(circflow_engine_trim(world.client, &freed));
    assert_int_equal(freed, 0);
    host_stop(&world);
}

/* What many circuits and sets have used goes back, too; their ids name nothing for ever, and none comes again. */
static void trim_forgets_what_is_closed_but_not_its_ids(void **state)
{
    enum { COUNT_OF_EACH = 2000, ROUNDS = 3 };
    static circflow_circuit_id circuits[ROUNDS][COUNT_OF_EACH];
    static circflow_set_id sets[ROUNDS][COUNT_OF_EACH];
    static host_world world;
    uint64_t freed;
    (void)state;
    host_begin(&world);
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < COUNT_OF_EACH; i++) {
            world.client_terms.nonce[0] = (uint8_t)i, world.client_terms.nonce[1] = (uint8_t)(1 + (i >> 8));
            circuits[round][i] = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
            OK(circflow_set_open(world.client, world.now, &world.client_terms, &sets[round][i]));
        }
        for (size_t i = 0; i < COUNT_OF_EACH; i++) {
            OK(circflow_circuit_gone(world.client, world.now, circuits[round][i]));
            OK(circflow_set_close(world.client, world.now, sets[round][i]));
        }
        (void)host_drain(world.client);
        OK(circflow_engine_trim(world.client, &freed));
        /* The smallest that a circuit and a set have ever taken; all but 8 bytes of each. */
        assert_true(freed > COUNT_OF_EACH * 400);
        for (size_t before = 0; before <= round; before++) {
            for (size_t i = 0; i < COUNT_OF_EACH; i++) {
                IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_gone(world.client, world.now, circuits[before][i]));
                IS(CIRCFLOW_ERR_STALE_ID, circflow_set_close(world.client, world.now, sets[before][i]));
                assert_true(before == round || circuits[before][i].v != circuits[round][i].v);
                assert_true(before == round || sets[before][i].v != sets[round][i].v);
            }
        }
    }
    OK(circflow_engine_trim(world.client, &freed));
    assert_int_equal(freed, 0);
    /* Instructions keep their room as long as they wait. */
    for (size_t i = 0; i < COUNT_OF_EACH; i++) {
        world.client_terms.nonce[0] = (uint8_t)i, world.client_terms.nonce[1] = (uint8_t)(1 + (i >> 8));
        OK(circflow_set_open(world.client, world.now, &world.client_terms, &sets[0][i]));
    }
    for (size_t i = 0; i < COUNT_OF_EACH; i++)
        OK(circflow_set_close(world.client, world.now, sets[0][i]));
    OK(circflow_engine_trim(world.client, NULL));
    (void)host_drain(world.client);
    OK(circflow_engine_trim(world.client, &freed));
    assert_true(freed > COUNT_OF_EACH);
    host_stop(&world);
}

static void time_may_stand_still_and_never_goes_back(void **state)
{
    static host_world world;
    uint64_t deadline = 0;
    (void)state;
    host_begin(&world);
    OK(circflow_engine_get_deadline(world.client, &deadline));
    assert_true(deadline == CIRCFLOW_NEVER);
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_deadline(world.client, NULL));
    for (int i = 0; i < 3; i++)
        OK(circflow_engine_tick(world.client, world.now));
    assert_int_equal(host_stats(world.client).time_backwards, 0);
    OK(circflow_engine_tick(world.client, world.now - 1));
    OK(circflow_engine_tick(world.client, 0));
    assert_int_equal(host_stats(world.client).time_backwards, 2);
    /* A leg launched at an earlier time is launched at the latest time seen. */
    uint64_t latest = world.now;
    world.now = 1;
    host_launch(&world, 1);
    host_drain(world.client);
    OK(circflow_engine_get_deadline(world.client, &deadline));
    assert_int_equal(deadline, latest + 60 * SECOND);
    /* Going back neither undoes a deadline nor makes it fall due. */
    OK(circflow_engine_tick(world.client, deadline - 1));
    OK(circflow_engine_tick(world.client, 5));
    assert_int_equal(host_set_stats(world.client, world.client_set).legs, 1);
    OK(circflow_engine_get_deadline(world.client, &latest));
    assert_int_equal(latest, deadline);
    OK(circflow_engine_tick(world.client, deadline));
    assert_int_equal(host_count(host_drain(world.client), CIRCFLOW_INSN_CLOSE), 1);
    OK(circflow_engine_tick(world.client, UINT64_MAX));
    OK(circflow_engine_tick(world.client, 0));
    host_stop(&world);
}

static size_t detail(circflow_engine *engine, char *text, size_t cap)
{
    size_t len = 12345;
    OK(circflow_engine_get_last_detail(engine, text, cap, &len));
    return len;
}

static void detail_tells_what_the_last_error_was_about(void **state)
{
    static host_world world;
    char text[512], cut[5];
    size_t len;
    (void)state;
    host_begin(&world);
    assert_int_equal(detail(world.client, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    world.client_circuit.hops = 99;
    circflow_circuit_id circuit;
    IS(CIRCFLOW_ERR_INVALID, circflow_circuit_open(world.client, 1, &world.client_circuit, &circuit));
    len = detail(world.client, text, sizeof(text));
    assert_int_equal(len, strlen(text));
    assert_true(len > 4);
    memset(cut, 'x', sizeof(cut));
    assert_int_equal(detail(world.client, cut, sizeof(cut)), len);
    assert_memory_equal(cut, text, 4);
    assert_int_equal(cut[4], '\0');
    assert_int_equal(detail(world.client, NULL, 0), len);
    OK(circflow_engine_get_last_detail(world.client, text, sizeof(text), NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_last_detail(world.client, NULL, 1, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_get_last_detail(NULL, text, sizeof(text), NULL));
    /* A fault of the peer's has a sentence too. */
    circuit = host_open(&world, world.exit, CIRCFLOW_ROLE_RELAY);
    IS(CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
       host_feed(&world, world.exit, circuit, host_message(CIRCFLOW_CMD_LINKED_ACK, 0, 0, NULL, 0)));
    assert_true(detail(world.exit, text, sizeof(text)) > 0);
    assert_int_equal(host_stats(world.exit).peer_faults, 1);
    host_stop(&world);
}

static void detail_follows_every_invalid_argument(void **state)
{
    static host_world world;
    circflow_circuit_id circuit = {0};
    circflow_circuit_config config;
    circflow_set_config terms;
    circflow_set_id set;
    circflow_message message = host_data(0, "x");
    circflow_verdict verdict;
    circflow_leg_report report;
    (void)state;
    for (int i = 0; i < 6; i++) {
        memset(&world, 0, sizeof(world));
        host_linked(&world, 1);
        config = world.client_circuit;
        config.role = 9;
        terms = world.client_terms;
        terms.legs_max = 17;
        report = host_report(world.client_leg[0], 1, 1);
        report.flags = 4;
        message.hop = 17;
        switch (i) {
        case 0: IS(CIRCFLOW_ERR_INVALID, circflow_circuit_open(world.client, world.now, &config, &circuit)); break;
        case 1: IS(CIRCFLOW_ERR_INVALID, circflow_circuit_set_flags(world.client, world.client_leg[0], 64)); break;
        case 2: IS(CIRCFLOW_ERR_INVALID, circflow_set_open(world.client, world.now, &terms, &set)); break;
        case 3: IS(CIRCFLOW_ERR_INVALID, circflow_leg_update(world.client, world.now, &report, 1)); break;
        case 4: IS(CIRCFLOW_ERR_INVALID, circflow_circuit_receive(world.client, world.now, world.client_leg[0], &message, &verdict)); break;
        default: IS(CIRCFLOW_ERR_INVALID, circflow_engine_accept_sets(world.client, &terms)); break;
        }
        if (detail(world.client, NULL, 0) == 0)
            fail_msg("INVALID answer %d left no detail", i);
        host_stop(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_of_header_and_library_agree),
        cmocka_unit_test(defaults_are_those_of_the_header),
        cmocka_unit_test(init_writes_as_much_as_it_is_told),
        cmocka_unit_test(configs_of_other_sizes_are_read_with_care),
        cmocka_unit_test(engine_config_is_checked_at_its_bounds),
        cmocka_unit_test(engine_may_hold_nothing),
        cmocka_unit_test(free_of_nothing_is_fine),
        cmocka_unit_test(circuit_config_is_checked_at_its_bounds),
        cmocka_unit_test(set_config_is_checked_at_its_bounds),
        cmocka_unit_test(no_more_circuits_and_sets_than_allowed),
        cmocka_unit_test(ids_that_name_nothing_are_told_apart),
        cmocka_unit_test(machines_are_named_like_the_rest),
        cmocka_unit_test(machines_are_loaded_with_care),
        cmocka_unit_test(null_is_a_status_for_padding_too),
        cmocka_unit_test(figures_fit_their_room),
        cmocka_unit_test(trim_gives_back_what_is_not_in_use),
        cmocka_unit_test(trim_forgets_what_is_closed_but_not_its_ids),
        cmocka_unit_test(time_may_stand_still_and_never_goes_back),
        cmocka_unit_test(detail_tells_what_the_last_error_was_about),
        cmocka_unit_test(detail_follows_every_invalid_argument),
    };
    return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
