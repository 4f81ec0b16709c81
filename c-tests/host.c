#include "host.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Longer than any test takes under valgrind; a test that hangs counts as one that fails. */
#define EXPECTED_TO_FAIL_SECONDS 120

enum { NEVER_LENT, LENT, BACK };

void host_is(int want, int got, const char *text, const char *file, int line)
{
    if (want != got) {
        print_error("%s\n    answered %d %s\n    wanted   %d %s\n", text, got, circflow_status_name(got), want,
                    circflow_status_name(want));
        _fail(file, line);
    }
}

void host_expect_failure(void **test)
{
    int status = 0;
    pid_t child;
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct CMUnitTest *only = *test;
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(0);
        alarm(EXPECTED_TO_FAIL_SECONDS);
        _exit(_cmocka_run_group_tests("expected to fail", only, 1, NULL, NULL) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        fail_msg("it passes now: take its mark away");
}

static size_t body_len(const circflow_insn *insn)
{
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND:
        return insn->detail.send.form == CIRCFLOW_FORM_BYTES ? insn->detail.send.body_len : 0;
    case CIRCFLOW_INSN_DELIVER:
        return insn->detail.deliver.form == CIRCFLOW_FORM_BYTES ? insn->detail.deliver.body_len : 0;
    case CIRCFLOW_INSN_WRITE:
        return insn->detail.write.form == CIRCFLOW_FORM_BYTES ? insn->detail.write.body_len : 0;
    default:
        return 0;
    }
}

/* No assertion in here: one that fails would jump over the library's frames. */
static void collect(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    host_events *events = userdata;
    if (events->count < HOST_EVENTS_MAX) {
        events->at[events->count].insn = *insn;
        memcpy(events->at[events->count].body, body, body_len(insn));
    }
    events->count++;
}

const host_events *host_drain(circflow_engine *engine)
{
    static host_events events;
    uint8_t more = 1;
    events.count = 0;
    OK(circflow_engine_drain(engine, SIZE_MAX, &more, collect, &events));
    assert_int_equal(more, 0);
    assert_true(events.count <= HOST_EVENTS_MAX);
    return &events;
}

size_t host_count(const host_events *events, uint32_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < events->count; i++)
        count += events->at[i].insn.kind == kind;
    return count;
}

const circflow_insn *host_first(const host_events *events, uint32_t kind)
{
    for (size_t i = 0; i < events->count; i++)
        if (events->at[i].insn.kind == kind)
            return &events->at[i].insn;
    fail_msg("no %s among %zu instructions", circflow_insn_kind_name(kind), events->count);
    return NULL;
}

const circflow_insn *host_close_of(const host_events *events, circflow_circuit_id circuit)
{
    const circflow_insn *found = NULL;
    for (size_t i = 0; i < events->count; i++) {
        const circflow_insn *insn = &events->at[i].insn;
        if (insn->kind == CIRCFLOW_INSN_CLOSE && insn->circuit.v == circuit.v) {
            assert_null(found); /* A circuit is closed once. */
            found = insn;
        }
    }
    return found;
}

void host_prepare(host_world *world)
{
    memset(world, 0, sizeof(*world));
    world->now = HOST_START;
    world->delay = 5 * MS;
    world->client_hop = HOST_HOPS;
    OK(circflow_engine_config_init(&world->engine_config, sizeof(world->engine_config)));
    OK(circflow_circuit_config_init(&world->client_circuit, sizeof(world->client_circuit)));
    world->client_circuit.join_point = 77;
    world->exit_circuit = world->client_circuit;
    world->exit_circuit.role = CIRCFLOW_ROLE_RELAY;
    world->exit_circuit.hops = 0;
    world->exit_circuit.join_point = 0;
    OK(circflow_set_config_init(&world->client_terms, sizeof(world->client_terms)));
    for (uint8_t i = 0; i < CIRCFLOW_NONCE_LEN; i++)
        world->client_terms.nonce[i] = i;
    world->client_terms.tag = 0xc11e;
    world->client_terms.legs_max = CIRCFLOW_LEGS_MAX;
    world->client_terms.launches_max = 2 * CIRCFLOW_LEGS_MAX;
    OK(circflow_set_config_init(&world->exit_terms, sizeof(world->exit_terms)));
    world->exit_terms.tag = 0xe417;
    world->exit_terms.legs_max = CIRCFLOW_LEGS_MAX;
    world->exit_terms.desired_ux = CIRCFLOW_UX_MIN_LATENCY;
    /* What the default chooses depends on time. Here, reports say which leg is next; c-tests/choices.c is for the rest. */
    world->exit_terms.algorithm = CIRCFLOW_ALGORITHM_LOW_RTT;
}

void host_start(host_world *world)
{
    world->engine_config.engine_number = 1;
    OK(circflow_engine_new(&world->engine_config, &world->client));
    world->engine_config.engine_number = 2;
    OK(circflow_engine_new(&world->engine_config, &world->exit));
    OK(circflow_engine_accept_sets(world->exit, &world->exit_terms));
}

void host_begin(host_world *world)
{
    host_prepare(world);
    host_start(world);
}

circflow_circuit_id host_open(host_world *world, circflow_engine *engine, uint8_t role)
{
    circflow_circuit_config *config = role == CIRCFLOW_ROLE_CLIENT ? &world->client_circuit : &world->exit_circuit;
    circflow_circuit_id circuit = {0};
    OK(circflow_circuit_open(engine, world->now, config, &circuit));
    assert_true(circuit.v != 0);
    return circuit;
}

size_t host_pair(host_world *world)
{
    size_t index = world->leg_count;
    assert_true(index < CIRCFLOW_LEGS_MAX);
    world->client_circuit.tag = 0xc000 + index;
    world->exit_circuit.tag = 0xe000 + index;
    world->client_leg[index] = host_open(world, world->client, CIRCFLOW_ROLE_CLIENT);
    world->exit_leg[index] = host_open(world, world->exit, CIRCFLOW_ROLE_RELAY);
    world->leg_count++;
    return index;
}

void host_launch(host_world *world, size_t count)
{
    size_t first = world->leg_count;
    if (world->client_set.v == 0)
        OK(circflow_set_open(world->client, world->now, &world->client_terms, &world->client_set));
    for (size_t i = 0; i < count; i++)
        host_pair(world);
    OK(circflow_set_add_legs(world->client, world->now, world->client_set, &world->client_leg[first], count));
}

void host_launched(host_world *world, size_t count)
{
    if (world->client_circuit.size == 0)
        host_prepare(world);
    if (world->client == NULL)
        host_start(world);
    host_launch(world, count);
}

void host_asked(host_world *world, size_t count)
{
    host_launched(world, count);
    host_drain(world->client);
}

static void remember(host_events *saw, const host_event *event)
{
    assert_true(saw->count < HOST_EVENTS_MAX);
    saw->at[saw->count++] = *event;
}

/* Carries what one engine has to send to the other; answers how many messages there were. */
static size_t carry_one_way(host_world *world, circflow_engine *from, circflow_engine *to)
{
    static host_events batch;
    int is_client = from == world->client;
    host_events *saw = is_client ? &world->client_saw : &world->exit_saw;
    size_t carried = 0;
    batch = *host_drain(from);
    if (batch.count > 0)
        world->now += world->delay;
    for (size_t i = 0; i < batch.count; i++) {
        const circflow_insn *insn = &batch.at[i].insn;
        if (insn->kind != CIRCFLOW_INSN_SEND) {
            remember(saw, &batch.at[i]);
            if (insn->kind == CIRCFLOW_INSN_LINKED && !is_client)
                world->exit_set = insn->set;
            continue;
        }
        for (size_t leg = 0; leg < world->leg_count; leg++) {
            circflow_circuit_id here = is_client ? world->client_leg[leg] : world->exit_leg[leg];
            circflow_circuit_id there = is_client ? world->exit_leg[leg] : world->client_leg[leg];
            if (here.v != insn->circuit.v)
                continue;
            assert_int_equal(insn->detail.send.hop, is_client ? world->client_hop : world->exit_hop);
            assert_int_equal(insn->detail.send.stream_id, 0);
            host_expect(world, to, there,
                        host_message(insn->detail.send.command, is_client ? world->exit_hop : world->client_hop, 0, batch.at[i].body,
                                     insn->detail.send.body_len),
                        CIRCFLOW_VERDICT_CONSUMED);
            carried++;
        }
    }
    return carried;
}

void host_carry(host_world *world)
{
    while (carry_one_way(world, world->client, world->exit) + carry_one_way(world, world->exit, world->client) > 0)
        ;
}

void host_linked(host_world *world, size_t count)
{
    host_launched(world, count);
    host_carry(world);
    assert_int_equal(host_set_stats(world->client, world->client_set).usable, 1);
    assert_int_equal(host_set_stats(world->exit, world->exit_set).usable, 1);
}

void host_adopted(host_world *world, size_t count)
{
    if (world->client_circuit.size == 0)
        host_prepare(world);
    if (count > 0 && world->client_terms.algorithm == CIRCFLOW_ALGORITHM_BY_UX)
        world->client_terms.algorithm = CIRCFLOW_ALGORITHM_LOW_RTT;
    host_start(world);
    OK(circflow_set_open(world->client, world->now, &world->client_terms, &world->client_set));
    for (size_t i = 0; i < count; i++) {
        host_pair(world);
        OK(circflow_set_adopt_leg(world->client, world->now, world->client_set, world->client_leg[i],
                                  CIRCFLOW_UX_HIGH_THROUGHPUT, 10 * MS * (i + 1)));
    }
    host_drain(world->client);
}

void host_clear(host_world *world) { memset(world, 0, sizeof(*world)); }

void host_begin_pair(host_world *world)
{
    host_begin(world);
    host_pair(world);
}

void host_prepare_run(host_world *world)
{
    host_prepare(world);
    world->client_circuit.flags = world->exit_circuit.flags = HOST_RUN;
}

void host_begin_run(host_world *world, int in_set)
{
    host_prepare_run(world);
    if (in_set) {
        host_linked(world, 1);
    } else {
        host_start(world);
        host_pair(world);
    }
}

circflow_hub *host_hub(uint64_t held_bytes_max)
{
    circflow_hub_config config;
    circflow_hub *hub = NULL;
    OK(circflow_hub_config_init(&config, sizeof(config)));
    if (held_bytes_max != 0)
        config.held_bytes_max = held_bytes_max;
    OK(circflow_hub_new(&config, &hub));
    return hub;
}

circflow_hub_stats host_hub_stats(circflow_hub *hub)
{
    circflow_hub_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_hub_get_stats(hub, &stats));
    return stats;
}

circflow_engine *host_exit(host_world *world, uint32_t number, circflow_hub *hub, circflow_notify_fn wake, void *userdata)
{
    circflow_engine *engine = NULL;
    world->engine_config.engine_number = number;
    OK(circflow_engine_new(&world->engine_config, &engine));
    if (hub != NULL)
        OK(circflow_engine_join(engine, hub, wake, userdata));
    OK(circflow_engine_accept_sets(engine, &world->exit_terms));
    return engine;
}

void host_no_wake(void *userdata) { (void)userdata; }

const host_events *host_tick(host_world *world, circflow_engine *engine)
{
    OK(circflow_engine_tick(engine, world->now));
    return host_drain(engine);
}

const host_events *host_later(host_world *world, circflow_engine *engine, uint64_t ns)
{
    world->now += ns;
    return host_tick(world, engine);
}

void host_stop(host_world *world)
{
    OK(circflow_engine_free(world->client, NULL, NULL));
    OK(circflow_engine_free(world->exit, NULL, NULL));
    world->client = world->exit = NULL;
}

circflow_message host_message(uint8_t command, uint8_t hop, uint16_t stream_id, const void *body, size_t body_len)
{
    circflow_message message;
    memset(&message, 0, sizeof(message));
    message.command = command;
    message.hop = hop;
    message.stream_id = stream_id;
    message.body = body_len ? body : NULL;
    message.body_len = (uint16_t)body_len;
    return message;
}

circflow_message host_data(uint8_t hop, const char *text)
{
    return host_message(CIRCFLOW_CMD_DATA, hop, 7, text, strlen(text));
}

circflow_message host_token(uint8_t hop, uint64_t token, uint32_t cost)
{
    circflow_message message = host_message(CIRCFLOW_CMD_DATA, hop, 7, NULL, 0);
    message.form = CIRCFLOW_FORM_TOKEN;
    message.token = token;
    message.cost_bytes = cost;
    return message;
}

static uint8_t *scratch(void)
{
    static uint8_t bodies[16][64];
    static size_t next;
    return bodies[next++ % COUNT(bodies)];
}

static void put_number(uint8_t *out, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)(number >> (8 * (width - 1 - i)));
}

circflow_message host_switch(uint8_t hop, uint32_t delta)
{
    uint8_t *body = scratch();
    put_number(body, delta, 4);
    return host_message(CIRCFLOW_CMD_SWITCH, hop, 0, body, 4);
}

circflow_message host_linkish(uint8_t command, uint8_t hop, const uint8_t *nonce, uint64_t sent, uint64_t recv, uint8_t ux)
{
    uint8_t *body = scratch();
    body[0] = 1;
    memcpy(body + 1, nonce, CIRCFLOW_NONCE_LEN);
    put_number(body + 33, sent, 8);
    put_number(body + 41, recv, 8);
    body[49] = ux;
    return host_message(command, hop, 0, body, 50);
}

int host_feed(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, circflow_message message)
{
    circflow_verdict verdict;
    return circflow_circuit_receive(engine, world->now, circuit, &message, &verdict);
}

uint64_t host_expect(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, circflow_message message,
                     uint32_t kind)
{
    circflow_verdict verdict;
    OK(circflow_circuit_receive(engine, world->now, circuit, &message, &verdict));
    assert_int_equal(verdict.kind, kind);
    assert_int_equal(verdict.circuit.v, circuit.v);
    assert_int_equal(verdict.switch_delta, 0);
    return verdict.number;
}

circflow_verdict host_set_sends(host_world *world, circflow_engine *engine, circflow_set_id set, circflow_message message,
                                uint32_t kind)
{
    circflow_verdict verdict;
    OK(circflow_set_send(engine, world->now, set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.kind, kind);
    return verdict;
}

circflow_verdict host_circuit_sends(host_world *world, circflow_engine *engine, circflow_circuit_id circuit,
                                    circflow_message message, uint32_t kind)
{
    circflow_verdict verdict;
    OK(circflow_circuit_send(engine, world->now, circuit, &message, &verdict));
    assert_int_equal(verdict.kind, kind);
    return verdict;
}

circflow_leg_report host_report(circflow_circuit_id circuit, uint64_t room, uint64_t rtt_ns)
{
    circflow_leg_report report = {circuit, 100, 100 - room, rtt_ns, 31, 0};
    return report;
}

void host_room(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint64_t room, uint64_t rtt_ns)
{
    circflow_leg_report report = host_report(circuit, room, rtt_ns);
    OK(circflow_leg_update(engine, world->now, &report, 1));
}

circflow_engine_stats host_stats(circflow_engine *engine)
{
    circflow_engine_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_engine_get_stats(engine, &stats));
    return stats;
}

circflow_set_stats host_set_stats(circflow_engine *engine, circflow_set_id set)
{
    circflow_set_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_set_get_stats(engine, set, &stats));
    return stats;
}

circflow_circuit_stats host_circuit_stats(circflow_engine *engine, circflow_circuit_id circuit)
{
    circflow_circuit_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_circuit_get_stats(engine, circuit, &stats));
    return stats;
}

circflow_stream_stats host_stream_stats(circflow_engine *engine, circflow_stream_id stream)
{
    circflow_stream_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_stream_get_stats(engine, stream, &stats));
    return stats;
}

circflow_stream_config host_stream_config(circflow_set_id set, circflow_circuit_id circuit, uint8_t hop, uint16_t stream_id)
{
    circflow_stream_config config;
    OK(circflow_stream_config_init(&config, sizeof(config)));
    config.set = set;
    config.circuit = circuit;
    config.hop = hop;
    config.stream_id = stream_id;
    config.tag = 0x5000 + stream_id;
    return config;
}

circflow_stream_config host_client_stream(const host_world *world, uint16_t stream_id)
{
    const circflow_circuit_id none = {0};
    return host_stream_config(world->client_set, world->client_set.v != 0 ? none : world->client_leg[0],
                              world->client_hop, stream_id);
}

circflow_stream_id host_stream(host_world *world, circflow_engine *engine, circflow_set_id set, circflow_circuit_id circuit,
                               uint8_t hop, uint16_t stream_id)
{
    circflow_stream_config config = host_stream_config(set, circuit, hop, stream_id);
    circflow_stream_id stream = {0};
    OK(circflow_stream_open(engine, world->now, &config, &stream));
    assert_true(stream.v != 0);
    return stream;
}

circflow_stream_id host_begun(host_world *world, circflow_engine *engine, circflow_set_id set, circflow_circuit_id circuit,
                              uint8_t hop, uint16_t stream_id)
{
    circflow_stream_id stream = host_stream(world, engine, set, circuit, hop, stream_id);
    circflow_verdict verdict;
    OK(host_stream_send(world, engine, stream, CIRCFLOW_CMD_BEGIN, "host:80", 8, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    return stream;
}

int host_stream_send(host_world *world, circflow_engine *engine, circflow_stream_id stream, uint8_t command,
                     const void *body, size_t body_len, circflow_verdict *verdict)
{
    circflow_message message = host_message(command, 0, 0, body, body_len);
    return circflow_stream_send(engine, world->now, stream, &message, verdict);
}

const uint8_t *host_digest(uint64_t n)
{
    uint8_t *digest = scratch();
    memset(digest, 0xa5, 20);
    put_number(digest + 4, n, 8);
    return digest;
}

circflow_message host_with_digest(circflow_message message, uint64_t n)
{
    message.cell_digest = host_digest(n);
    message.cell_digest_len = 20;
    return message;
}

circflow_message host_sendme(uint8_t hop, const uint8_t *digest, size_t digest_len)
{
    uint8_t *body = scratch();
    size_t len = 0;
    OK(circflow_sendme_encode(digest, digest_len, body, &len));
    return host_message(CIRCFLOW_CMD_SENDME, hop, 0, body, len);
}

circflow_machines_id host_machines(circflow_engine *engine, const char *name)
{
    static char text[1 << 16];
    char path[128];
    size_t len;
    FILE *file;
    circflow_machines_id machines = {0};
    snprintf(path, sizeof(path), "tests/machines/%s.txt", name);
    file = fopen(path, "r");
    if (file == NULL)
        fail_msg("no file %s", path);
    len = fread(text, 1, sizeof(text), file);
    fclose(file);
    OK(circflow_machines_load(engine, text, len, &machines));
    assert_true(machines.v != 0);
    return machines;
}

circflow_padding_config host_padding_config(circflow_engine *engine, const char *machines, uint8_t hop, uint8_t slot)
{
    circflow_padding_config config;
    OK(circflow_padding_config_init(&config, sizeof(config)));
    if (machines != NULL)
        config.machines = host_machines(engine, machines);
    config.hop = hop;
    config.slot = slot;
    return config;
}

void host_pad(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, const char *machines, uint8_t hop,
              uint8_t slot)
{
    circflow_padding_config config = host_padding_config(engine, machines, hop, slot);
    OK(circflow_padding_install(engine, world->now, circuit, &config));
    if (machines != NULL) /* The padder keeps what it needs. */
        OK(circflow_machines_drop(engine, config.machines));
}

circflow_padding_stats host_pad_stats(circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop, uint8_t slot)
{
    circflow_padding_stats stats;
    stats.size = sizeof(stats);
    OK(circflow_padding_get_stats(engine, circuit, hop, slot, &stats));
    return stats;
}

void host_drop(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop)
{
    host_expect(world, engine, circuit, host_message(CIRCFLOW_CMD_DROP, hop, 0, NULL, 0), CIRCFLOW_VERDICT_CONSUMED);
}

void host_other(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop)
{
    host_expect(world, engine, circuit, host_message(CIRCFLOW_CMD_SENDME, hop, 0, NULL, 0), CIRCFLOW_VERDICT_DELIVER);
}

void host_shut(host_world *world, circflow_engine *engine, circflow_circuit_id circuit, uint8_t hop)
{
    host_pad(world, engine, circuit, "gate-0-00", hop, 0);
    host_drop(world, engine, circuit, hop);
    host_tick(world, engine);
}

uint64_t host_deadline(circflow_engine *engine)
{
    uint64_t deadline = 0;
    OK(circflow_engine_get_deadline(engine, &deadline));
    return deadline;
}

void host_is_padding(const circflow_insn *insn, circflow_circuit_id circuit, uint8_t hop, uint8_t slot, uint8_t flags)
{
    assert_int_equal(insn->kind, CIRCFLOW_INSN_PADDING);
    assert_int_equal(insn->circuit.v, circuit.v);
    assert_int_equal(insn->detail.padding.command, CIRCFLOW_CMD_DROP);
    assert_int_equal(insn->detail.padding.hop, hop);
    assert_int_equal(insn->detail.padding.slot, slot);
    assert_int_equal(insn->detail.padding.flags, flags);
}

void host_is_data(const host_event *event, circflow_circuit_id circuit, uint8_t hop, const char *text)
{
    const circflow_insn *insn = &event->insn;
    assert_int_equal(insn->kind, CIRCFLOW_INSN_SEND);
    assert_int_equal(insn->circuit.v, circuit.v);
    assert_int_equal(insn->detail.send.command, CIRCFLOW_CMD_DATA);
    assert_int_equal(insn->detail.send.hop, hop);
    assert_int_equal(insn->detail.send.stream_id, 7);
    assert_int_equal(insn->detail.send.form, CIRCFLOW_FORM_BYTES);
    assert_int_equal(insn->detail.send.body_len, strlen(text));
    assert_memory_equal(event->body, text, strlen(text));
}

host_numbers host_export(circflow_engine *engine, circflow_set_id set)
{
    host_numbers numbers;
    memset(&numbers, 0, sizeof(numbers));
    OK(circflow_set_export(engine, set, &numbers.set, numbers.legs, COUNT(numbers.legs), &numbers.count));
    return numbers;
}

void host_lend(host_ledger *ledger, uint64_t token, uint32_t cost)
{
    assert_true(token < HOST_TOKENS_MAX);
    assert_int_not_equal(ledger->state[token], LENT);
    ledger->state[token] = LENT;
    ledger->cost[token] = cost;
}

void host_give_back(host_ledger *ledger, uint64_t token, uint32_t cost)
{
    if (token >= HOST_TOKENS_MAX || ledger->state[token] != LENT || ledger->cost[token] != cost)
        ledger->wrong++;
    else
        ledger->state[token] = BACK;
}

void host_discard(void *ledger, uint64_t token, uint32_t cost)
{
    host_give_back(ledger, token, cost);
}

void host_book(host_ledger *ledger, const host_events *events)
{
    for (size_t i = 0; i < events->count; i++) {
        const circflow_insn *insn = &events->at[i].insn;
        if (insn->kind == CIRCFLOW_INSN_DISCARD)
            host_give_back(ledger, insn->detail.discard.token, insn->detail.discard.cost_bytes);
        if (insn->kind == CIRCFLOW_INSN_DELIVER && insn->detail.deliver.form == CIRCFLOW_FORM_TOKEN)
            host_give_back(ledger, insn->detail.deliver.token, insn->detail.deliver.cost_bytes);
        if (insn->kind == CIRCFLOW_INSN_SEND && insn->detail.send.form == CIRCFLOW_FORM_TOKEN)
            host_give_back(ledger, insn->detail.send.token, insn->detail.send.cost_bytes);
        if (insn->kind == CIRCFLOW_INSN_WRITE && insn->detail.write.form == CIRCFLOW_FORM_TOKEN)
            host_give_back(ledger, insn->detail.write.token, insn->detail.write.cost_bytes);
    }
}

uint64_t host_lent(const host_ledger *ledger)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < HOST_TOKENS_MAX; i++) {
        const uint32_t cost = ledger->cost[i] < CIRCFLOW_HELD_TOKEN_MIN ? CIRCFLOW_HELD_TOKEN_MIN : ledger->cost[i];
        sum += ledger->state[i] == LENT ? cost : 0;
    }
    return sum;
}

void host_settle(const host_ledger *ledger)
{
    assert_int_equal(ledger->wrong, 0);
    for (size_t i = 0; i < HOST_TOKENS_MAX; i++)
        assert_int_not_equal(ledger->state[i], LENT);
}

void host_stop_and_settle(host_world *world, host_ledger *ledger)
{
    OK(circflow_engine_free(world->client, host_discard, ledger));
    OK(circflow_engine_free(world->exit, host_discard, ledger));
    world->client = world->exit = NULL;
    host_settle(ledger);
}
