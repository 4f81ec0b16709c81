// A host in C++ whose callbacks throw: the exception passes through the library to the host, the engine is poisoned, and
// circflow_engine_free() works. Each test has a process of its own, as what is wrong here ends one.

#include "circflow.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

struct Oops {
    int number;
};

int failures;

void check(bool holds, const char *what, int line)
{
    if (!holds) {
        std::printf("throw.cc:%d: %s\n", line, what);
        failures++;
    }
}

#define CHECK(holds) check((holds), #holds, __LINE__)
#define IS(status, call) check((call) == (status), #call " is not " #status, __LINE__)
#define OK(call) IS(CIRCFLOW_OK, call)
// The call must end by the exception with this number.
#define THROWS(want, call)                                                                                           \
    do {                                                                                                               \
        int got = 0;                                                                                                   \
        try {                                                                                                          \
            const int status = (call);                                                                                 \
            (void)status;                                                                                              \
        } catch (const Oops &oops) {                                                                                   \
            got = oops.number;                                                                                         \
        }                                                                                                              \
        check(got == (want), #call " does not throw " #want, __LINE__);                                               \
    } while (0)

std::uint64_t now = 100000000000;

circflow_engine *new_engine(std::uint32_t tag)
{
    circflow_engine_config config;
    circflow_engine *engine = nullptr;
    OK(circflow_engine_config_init(&config, sizeof(config)));
    config.engine_number = tag;
    OK(circflow_engine_new(&config, &engine));
    return engine;
}

circflow_circuit_id new_circuit(circflow_engine *engine, std::uint8_t role)
{
    circflow_circuit_config config;
    circflow_circuit_id id = {0};
    OK(circflow_circuit_config_init(&config, sizeof(config)));
    config.role = role;
    config.hops = role == CIRCFLOW_ROLE_CLIENT ? 3 : 0;
    config.tag = 7;
    OK(circflow_circuit_open(engine, now, &config, &id));
    return id;
}

// A client's set of two adopted legs that holds these tokens for order.
circflow_set_id holding(circflow_engine *engine, std::uint64_t tokens)
{
    circflow_set_config terms;
    circflow_set_id set = {0};
    circflow_circuit_id legs[2];
    OK(circflow_set_config_init(&terms, sizeof(terms)));
    terms.tag = 9;
    OK(circflow_set_open(engine, now, &terms, &set));
    for (auto &leg : legs) {
        leg = new_circuit(engine, CIRCFLOW_ROLE_CLIENT);
        OK(circflow_set_adopt_leg(engine, now, set, leg, 0, 0));
    }
    const std::uint8_t delta[4] = {0, 0, 0, 1};
    circflow_verdict verdict;
    circflow_message message = {};
    message.command = CIRCFLOW_CMD_SWITCH;
    message.hop = 3;
    message.body = delta;
    message.body_len = 4;
    OK(circflow_circuit_receive(engine, now, legs[1], &message, &verdict));
    for (std::uint64_t token = 1; token <= tokens; token++) {
        message = circflow_message();
        message.command = CIRCFLOW_CMD_DATA;
        message.hop = 3;
        message.stream_id = 5;
        message.form = CIRCFLOW_FORM_TOKEN;
        message.cost_bytes = 100;
        message.token = token;
        OK(circflow_circuit_receive(engine, now, legs[1], &message, &verdict));
        CHECK(verdict.kind == CIRCFLOW_VERDICT_HELD);
    }
    return set;
}

std::string detail(circflow_engine *engine)
{
    char text[200] = "";
    OK(circflow_engine_get_last_detail(engine, text, sizeof(text), nullptr));
    return text;
}

// How often each token came back.
std::vector<int> back(10);
std::uint64_t throw_at;

extern "C" void discard(void *, std::uint64_t token, std::uint32_t)
{
    back.at(token)++;
    if (token == throw_at)
        throw Oops{3};
}

void is_poisoned(circflow_engine *engine)
{
    IS(CIRCFLOW_ERR_POISONED, circflow_engine_tick(engine, now));
    CHECK(detail(engine).find("exception") != std::string::npos);
    OK(circflow_engine_free(engine, discard, nullptr));
}

// What stands between the throw and the catch is torn down.
int destroyed;

struct Local {
    ~Local() { destroyed++; }
};

extern "C" void throwing_insn(void *, const circflow_insn *insn, const std::uint8_t *)
{
    Local local;
    if (insn->kind == CIRCFLOW_INSN_DISCARD)
        back.at(insn->detail.discard.token)++;
    throw Oops{1};
}

void through_drain()
{
    circflow_engine *engine = new_engine(1);
    circflow_set_id set = holding(engine, 3);
    OK(circflow_set_close(engine, now, set));
    THROWS(1, circflow_engine_drain(engine, 100, nullptr, throwing_insn, nullptr));
    CHECK(destroyed == 1);
    THROWS(0, circflow_engine_drain(engine, 100, nullptr, throwing_insn, nullptr));
    is_poisoned(engine);
    for (int token = 1; token <= 3; token++)
        CHECK(back[token] == 1);
}

void through_free()
{
    circflow_engine *engine = new_engine(1);
    holding(engine, 5);
    throw_at = 2;
    THROWS(3, circflow_engine_free(engine, discard, nullptr));
    is_poisoned(engine);
    for (int token = 1; token <= 5; token++)
        CHECK(back[token] == 1);
}

// Every single token's discard throws: it takes one call each, and the memory goes with the last.
void through_free_again_and_again()
{
    circflow_engine *engine = new_engine(1);
    holding(engine, 4);
    for (throw_at = 1; throw_at <= 4; throw_at++)
        THROWS(3, circflow_engine_free(engine, discard, nullptr));
    OK(circflow_engine_free(engine, discard, nullptr));
    for (int token = 1; token <= 4; token++)
        CHECK(back[token] == 1);
}

int lines;

extern "C" void throwing_log(void *, std::uint32_t, std::uint32_t, const char *)
{
    lines++;
    throw Oops{2};
}

int bad_message(circflow_engine *engine, circflow_circuit_id circuit)
{
    circflow_verdict verdict;
    circflow_message message = {};
    message.command = CIRCFLOW_CMD_LINKED;
    return circflow_circuit_receive(engine, now, circuit, &message, &verdict);
}

void through_log()
{
    circflow_engine *engine = new_engine(1);
    circflow_circuit_id circuit = new_circuit(engine, CIRCFLOW_ROLE_RELAY);
    OK(circflow_log_set_fn(5, throwing_log, nullptr));
    THROWS(2, bad_message(engine, circuit));
    OK(circflow_log_set_fn(5, nullptr, nullptr));
    CHECK(lines == 1);
    is_poisoned(engine);
}

struct Inside {
    circflow_engine *engine;
    circflow_circuit_id circuit;
};

extern "C" void feeds_a_fault(void *userdata, const circflow_insn *, const std::uint8_t *)
{
    Local local;
    const auto *inside = static_cast<Inside *>(userdata);
    bad_message(inside->engine, inside->circuit);
}

// The log function of a call that was made from inside a drain: the exception passes twice.
void through_log_inside_drain()
{
    circflow_engine *engine = new_engine(1);
    circflow_circuit_id circuit = new_circuit(engine, CIRCFLOW_ROLE_RELAY);
    circflow_set_id set = holding(engine, 1);
    OK(circflow_set_close(engine, now, set));
    Inside inside = {engine, circuit};
    OK(circflow_log_set_fn(5, throwing_log, nullptr));
    THROWS(2, circflow_engine_drain(engine, 100, nullptr, feeds_a_fault, &inside));
    OK(circflow_log_set_fn(5, nullptr, nullptr));
    CHECK(destroyed == 1);
    is_poisoned(engine);
}

// Of two engines: from inside the log function of one the other is fed, and throws. Both are poisoned.
circflow_engine *other;
circflow_circuit_id other_circuit;

extern "C" void feeds_another(void *, std::uint32_t, std::uint32_t tag, const char *)
{
    if (tag == 1)
        bad_message(other, other_circuit);
    else
        throw Oops{4};
}

void through_two_engines()
{
    circflow_engine *engine = new_engine(1);
    circflow_circuit_id circuit = new_circuit(engine, CIRCFLOW_ROLE_RELAY);
    other = new_engine(2);
    other_circuit = new_circuit(other, CIRCFLOW_ROLE_RELAY);
    OK(circflow_log_set_fn(5, feeds_another, nullptr));
    THROWS(4, bad_message(engine, circuit));
    OK(circflow_log_set_fn(5, nullptr, nullptr));
    is_poisoned(engine);
    is_poisoned(other);
}

int woken[3];
bool armed;

extern "C" void throwing_notify(void *userdata)
{
    const int which = *static_cast<int *>(userdata);
    woken[which]++;
    if (which == 0 && armed)
        throw Oops{5};
}

int link_on(circflow_engine *engine, std::uint8_t nonce)
{
    circflow_verdict verdict;
    std::uint8_t body[CIRCFLOW_LINK_LEN] = {1};
    std::memset(body + 1, nonce, CIRCFLOW_NONCE_LEN);
    circflow_message message = {};
    message.command = CIRCFLOW_CMD_LINK;
    message.body = body;
    message.body_len = sizeof(body);
    const circflow_circuit_id circuit = new_circuit(engine, CIRCFLOW_ROLE_RELAY);
    return circflow_circuit_receive(engine, now, circuit, &message, &verdict);
}

// Three engines of a hub; the first one's notify throws, once that is armed.
circflow_hub *hub;
circflow_engine *engines[3];

void start_hub()
{
    static int names[3] = {0, 1, 2};
    circflow_hub_config config;
    circflow_set_config terms;
    OK(circflow_hub_config_init(&config, sizeof(config)));
    OK(circflow_hub_new(&config, &hub));
    OK(circflow_set_config_init(&terms, sizeof(terms)));
    for (int at = 0; at < 3; at++) {
        engines[at] = new_engine(10 + at);
        OK(circflow_engine_join(engines[at], hub, throwing_notify, &names[at]));
        OK(circflow_engine_accept_sets(engines[at], &terms));
    }
    // A set on each of the two, of which the third has a leg to be.
    for (int at = 0; at < 2; at++)
        OK(link_on(engines[at], 40 + at));
}

void through_notify()
{
    start_hub();
    armed = true;
    THROWS(5, link_on(engines[2], 40));
    CHECK(woken[0] == 1);
    armed = false;
    is_poisoned(engines[2]);
    // Who threw has been woken all the same, and is well; an engine that goes takes nobody along.
    OK(circflow_engine_tick(engines[0], now));
    OK(circflow_engine_free(engines[0], nullptr, nullptr));
    OK(circflow_engine_free(engines[1], nullptr, nullptr));
    OK(circflow_hub_free(hub));
}

// Freeing an engine wakes two others, and the first throws. Both are woken, and the engine can be freed.
void through_notify_of_free()
{
    start_hub();
    OK(link_on(engines[2], 40));
    OK(link_on(engines[2], 41));
    for (int round = 0; round < 3; round++)
        for (circflow_engine *engine : engines)
            OK(circflow_engine_tick(engine, now));
    woken[0] = woken[1] = 0;
    armed = true;
    THROWS(5, circflow_engine_free(engines[2], nullptr, nullptr));
    armed = false;
    CHECK(woken[0] == 1);
    CHECK(woken[1] == 1);
    is_poisoned(engines[2]);
    OK(circflow_engine_free(engines[1], nullptr, nullptr));
    OK(circflow_engine_free(engines[0], nullptr, nullptr));
    OK(circflow_hub_free(hub));
}

// A home that is freed refuses who has asked it, and that one's notify throws: the home is still there, and can be freed.
void through_notify_of_a_refusal()
{
    start_hub();
    OK(link_on(engines[0], 41));
    woken[0] = 0;
    armed = true;
    THROWS(5, circflow_engine_free(engines[1], nullptr, nullptr));
    armed = false;
    CHECK(woken[0] == 1);
    is_poisoned(engines[1]);
    OK(circflow_engine_free(engines[0], nullptr, nullptr));
    OK(circflow_engine_free(engines[2], nullptr, nullptr));
    OK(circflow_hub_free(hub));
}

// A queue's channel throws: where, is a number.
struct Thrower {
    int in_send, in_closed, taken;
};

extern "C" std::int32_t try_send(void *userdata, const circflow_queue_item *)
{
    auto *thrower = static_cast<Thrower *>(userdata);
    if (thrower->in_send)
        throw Oops{6};
    if (thrower->taken > 0) {
        thrower->taken--;
        return CIRCFLOW_SINK_TAKEN;
    }
    return CIRCFLOW_SINK_FULL;
}

extern "C" std::int32_t is_closed(void *userdata)
{
    if (static_cast<Thrower *>(userdata)->in_closed)
        throw Oops{7};
    return 0;
}

extern "C" void discard_item(void *, const circflow_queue_item *item)
{
    back.at(item->token)++;
    if (item->token == throw_at)
        throw Oops{8};
}

circflow_queue *waiting(const circflow_queue_sink *channel, std::uint64_t items)
{
    circflow_queue_config config;
    circflow_queue *queue = nullptr;
    OK(circflow_queue_config_init(&config, sizeof(config)));
    OK(circflow_queue_new(&config, &queue));
    for (std::uint64_t token = 1; token <= items; token++) {
        const circflow_queue_item item = {token, nullptr, 0, CIRCFLOW_FORM_TOKEN};
        OK(circflow_queue_push(queue, &item, nullptr, channel));
    }
    return queue;
}

void queue_is_poisoned(circflow_queue *queue, int first, int last)
{
    std::uint32_t len;
    IS(CIRCFLOW_ERR_POISONED, circflow_queue_get_len(queue, &len));
    OK(circflow_queue_free(queue, discard_item, nullptr));
    for (int token = 1; token < 10; token++)
        CHECK(back[token] == (token >= first && token <= last));
}

void through_queue_push()
{
    Thrower thrower = {};
    const circflow_queue_sink channel = {try_send, is_closed, &thrower};
    circflow_queue *queue = waiting(&channel, 0);
    const circflow_queue_item item = {9, nullptr, 0, CIRCFLOW_FORM_TOKEN};
    thrower.in_send = 1;
    THROWS(6, circflow_queue_push(queue, &item, nullptr, &channel));
    queue_is_poisoned(queue, 1, 0); // The item is still the caller's.
    thrower.in_send = 0;
    queue = waiting(&channel, 2);
    thrower.in_closed = 1;
    THROWS(7, circflow_queue_push(queue, &item, nullptr, &channel));
    queue_is_poisoned(queue, 1, 2);
}

// What was offered last was not taken, and what was taken before does not come back.
void through_queue_drain()
{
    Thrower thrower = {};
    const circflow_queue_sink channel = {try_send, is_closed, &thrower};
    circflow_queue *queue = waiting(&channel, 4);
    std::uint32_t moved = 0;
    thrower.taken = 1;
    OK(circflow_queue_drain(queue, &moved, &channel));
    CHECK(moved == 1);
    thrower.in_send = 1;
    THROWS(6, circflow_queue_drain(queue, &moved, &channel));
    queue_is_poisoned(queue, 2, 4);
}

void through_queue_free()
{
    Thrower thrower = {};
    const circflow_queue_sink channel = {try_send, is_closed, &thrower};
    circflow_queue *queue = waiting(&channel, 4);
    throw_at = 2;
    THROWS(8, circflow_queue_free(queue, discard_item, nullptr));
    queue_is_poisoned(queue, 1, 4);
}

struct Test {
    const char *name;
    void (*run)();
    bool expected_to_fail;
};

const Test tests[] = {
    {"through_drain", through_drain, false},
    {"through_free", through_free, false},
    {"through_free_again_and_again", through_free_again_and_again, false},
    {"through_log", through_log, false},
    {"through_log_inside_drain", through_log_inside_drain, false},
    {"through_two_engines", through_two_engines, false},
    {"through_notify", through_notify, false},
    {"through_notify_of_free", through_notify_of_free, false},
    {"through_notify_of_a_refusal", through_notify_of_a_refusal, false},
    {"through_queue_push", through_queue_push, false},
    {"through_queue_drain", through_queue_drain, false},
    {"through_queue_free", through_queue_free, false},
};

bool passes(const Test &test)
{
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        if (test.expected_to_fail &&
            (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr)))
            std::exit(0);
        alarm(60);
        test.run();
        std::fflush(nullptr);
        // By the usual way out, so that what looks for leaks does.
        std::exit(failures != 0);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

} // namespace

int main()
{
    int failed = 0;
    for (const Test &test : tests) {
        const bool good = passes(test) != test.expected_to_fail;
        std::printf("[  %s ] %s%s\n", good ? "     OK" : " FAILED", test.name,
                    test.expected_to_fail ? " (expected to fail)" : "");
        failed += !good;
    }
    return failed != 0;
}
