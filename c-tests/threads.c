/* Sets over real event loops: the loops of an exit, each a thread with an engine and an eventfd, and a client's. Cells
 * go between them through mailboxes, in order. Legs die, sets are closed, engines are freed, and another thread
 * reclaims memory, all at random; what is delivered must be in order and whole for as long as a set lives, every token
 * must come back once, and nobody may sleep through news.
 *
 * THREADS_MESSAGES=1000000 makes it long. */

#include "host.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { LOOPS = 4, CLIENT = LOOPS, SETS = 6, SERIALS = 1 << 16, PAIRS = 1 << 18, TOKENS = 1 << 22, HOMES = 512 };
enum { WINDOW = 60, ACK_EVERY = 10, PATIENCE_MS = 120 * 1000 };

/* An assertion that fails must not jump out of a thread. */
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#define LOAD(what) __atomic_load_n(&(what), __ATOMIC_ACQUIRE)
#define STORE(what, value) __atomic_store_n(&(what), (value), __ATOMIC_RELEASE)
#define ADD(what, value) __atomic_add_fetch(&(what), (value), __ATOMIC_ACQ_REL)

enum packet_kind { OPEN, CELL, ACK, DEAD, CLOSE_SET, STOP };

typedef struct packet {
    uint8_t kind, command;
    uint16_t stream_id, len;
    uint32_t pair;
    uint64_t set;
    uint8_t body[64];
} packet;

typedef struct mailbox {
    pthread_mutex_t lock;
    packet *packets;
    size_t count, room;
    int fd;
} mailbox;

/* A circuit with both its ends: `near` and what begins with c_ is the client's, the rest the exit loop's. */
typedef struct pair {
    uint32_t serial, loop;
    circflow_circuit_id near, far;
    int near_alive, far_alive;
    /* What comes for it waits in the loop's `deferred`. */
    int paused;
    uint32_t c_sent, c_acked, c_seen, x_sent, x_acked, x_seen;
} pair;

/* One set of the client's, from its nonce to its end. */
typedef struct story {
    uint64_t c_sent, c_got, x_sent, x_got;
    /* Somebody did something to it, and it may end, or lose what was under way. */
    int hurt;
} story;

/* A set as one of its ends sees it. */
typedef struct end {
    uint64_t set;
    uint32_t serial;
    int active, blocked;
    uint64_t sent, got;
} end;

typedef struct loop {
    size_t index;
    circflow_engine *engine;
    end ends[HOMES];
    size_t count;
    packet *deferred;
    size_t deferred_count, deferred_room;
    uint64_t dice;
    int stop;
} loop;

typedef struct token {
    uint32_t serial;
    uint64_t number;
    uint32_t out;
} token;

static circflow_hub *hub;
static mailbox mailboxes[LOOPS + 1];
static loop loops[LOOPS + 1];
static pair *pairs;
static story *stories;
static token *tokens;
static uint32_t pair_count = 0, serial_count = 0, token_count = 0;
static uint64_t delivered, deaths, closes, frees, victims, crossed, pauses;
static int stopping, over;
static uint64_t target;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static uint64_t roll(loop *loop, uint64_t sides)
{
    loop->dice ^= loop->dice << 13;
    loop->dice ^= loop->dice >> 7;
    loop->dice ^= loop->dice << 17;
    return (loop->dice >> 11) % sides;
}

static void wake(void *userdata)
{
    const uint64_t one = 1;
    mailbox *mailbox = userdata;
    if (write(mailbox->fd, &one, sizeof(one)) < 0) {
        /* It is awake enough: the count is at its end. */
    }
}

static void post(size_t to, const packet *packet)
{
    mailbox *mailbox = &mailboxes[to];
    pthread_mutex_lock(&mailbox->lock);
    if (mailbox->count == mailbox->room) {
        mailbox->room = mailbox->room ? 2 * mailbox->room : 64;
        mailbox->packets = realloc(mailbox->packets, mailbox->room * sizeof(*packet));
        CHECK(mailbox->packets != NULL);
    }
    mailbox->packets[mailbox->count++] = *packet;
    pthread_mutex_unlock(&mailbox->lock);
    wake(mailbox);
}

static void post_plain(size_t to, uint8_t kind, uint32_t index)
{
    packet packet;
    memset(&packet, 0, sizeof(packet));
    packet.kind = kind;
    packet.pair = index;
    post(to, &packet);
}

static void post_cell(size_t to, uint32_t index, uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    packet packet;
    memset(&packet, 0, sizeof(packet));
    packet.kind = CELL;
    packet.pair = index;
    packet.command = command;
    packet.stream_id = stream_id;
    packet.len = (uint16_t)len;
    CHECK(len <= sizeof(packet.body));
    memcpy(packet.body, body, len);
    post(to, &packet);
}

static size_t peer_of(const loop *loop, const pair *pair)
{
    return loop->index == CLIENT ? pair->loop : CLIENT;
}

static void hurt(uint32_t serial)
{
    STORE(stories[serial].hurt, 1);
}

static uint64_t lend(uint32_t serial, uint64_t number)
{
    const uint32_t token = ADD(token_count, 1);
    CHECK(token < TOKENS);
    tokens[token].serial = serial;
    tokens[token].number = number;
    return token;
}

static void settle(uint64_t token)
{
    CHECK(ADD(tokens[token].out, 1) == 1);
}

static void discard(void *userdata, uint64_t token, uint32_t cost)
{
    (void)userdata;
    (void)cost;
    settle(token);
}

static end *find_end(loop *loop, uint64_t set)
{
    for (size_t i = 0; i < loop->count; i++)
        if (loop->ends[i].set == set)
            return &loop->ends[i];
    return NULL;
}

static end *add_end(loop *loop, uint64_t set, uint32_t serial)
{
    end *end = find_end(loop, set);
    if (end == NULL) {
        CHECK(loop->count < HOMES);
        end = &loop->ends[loop->count++];
        memset(end, 0, sizeof(*end));
        end->set = set;
        end->serial = serial;
    }
    return end;
}

static void drop_end(loop *loop, uint64_t set)
{
    end *end = find_end(loop, set);
    if (end != NULL)
        *end = loop->ends[--loop->count];
}

/* The message with this number was delivered: is it the next? */
static void got(loop *loop, uint64_t set, uint32_t serial, uint64_t number)
{
    end *end = find_end(loop, set);
    story *story = &stories[serial];
    /* One that ended, and whose last messages had their turn. */
    if (end == NULL)
        return;
    CHECK(end->serial == serial);
    CHECK(number == end->got + 1);
    end->got = number;
    STORE(*(loop->index == CLIENT ? &story->c_got : &story->x_got), number);
    ADD(delivered, 1);
}

static void got_body(loop *loop, uint64_t set, const uint8_t *body, size_t len)
{
    uint64_t number;
    uint32_t serial;
    CHECK(len == 12);
    memcpy(&serial, body, 4);
    memcpy(&number, body + 4, 8);
    got(loop, set, serial, number);
}

static void put_body(uint8_t *body, uint32_t serial, uint64_t number)
{
    memcpy(body, &serial, 4);
    memcpy(body + 4, &number, 8);
}

static uint32_t *sent_of(const loop *loop, pair *pair)
{
    return loop->index == CLIENT ? &pair->c_sent : &pair->x_sent;
}

static void report(loop *loop, pair *pair)
{
    const int is_client = loop->index == CLIENT;
    const uint32_t sent = is_client ? pair->c_sent : pair->x_sent, acked = is_client ? pair->c_acked : pair->x_acked;
    const circflow_leg_report report = {
        .circuit = is_client ? pair->near : pair->far,
        .cwnd = WINDOW,
        .inflight = sent - acked,
        .rtt_ns = 0,
        .sendme_inc = ACK_EVERY,
    };
    (void)circflow_leg_update(loop->engine, now_ns(), &report, 1);
}

/* A cell goes out. */
static void transmit(loop *loop, uint32_t index, uint8_t command, uint16_t stream_id, const void *body, size_t len)
{
    pair *pair = &pairs[index];
    if (command == CIRCFLOW_CMD_DATA)
        ++*sent_of(loop, pair);
    post_cell(peer_of(loop, pair), index, command, stream_id, body, len);
}

static int *alive(const loop *loop, pair *pair)
{
    return loop->index == CLIENT ? &pair->near_alive : &pair->far_alive;
}

/* A circuit goes at this end, and then at the other. */
static void kill_pair(loop *loop, uint32_t index)
{
    pair *pair = &pairs[index];
    if (!*alive(loop, pair))
        return;
    *alive(loop, pair) = 0;
    hurt(pair->serial);
    (void)circflow_circuit_gone(loop->engine, now_ns(), loop->index == CLIENT ? pair->near : pair->far);
    post_plain(peer_of(loop, pair), DEAD, index);
}

static void close_end(loop *loop, uint64_t set)
{
    const end *end = find_end(loop, set);
    const circflow_set_id id = {set};
    if (end != NULL)
        hurt(end->serial);
    (void)circflow_set_close(loop->engine, now_ns(), id);
}

static void receive(loop *loop, const packet *packet)
{
    pair *pair = &pairs[packet->pair];
    circflow_verdict verdict;
    circflow_message message;
    const int is_client = loop->index == CLIENT, is_data = packet->command == CIRCFLOW_CMD_DATA;
    uint64_t token = 0;
    int status;
    if (!*alive(loop, pair))
        return;
    if (!is_client && pair->paused) {
        if (loop->deferred_count == loop->deferred_room) {
            loop->deferred_room = loop->deferred_room ? 2 * loop->deferred_room : 64;
            loop->deferred = realloc(loop->deferred, loop->deferred_room * sizeof(*packet));
            CHECK(loop->deferred != NULL);
        }
        loop->deferred[loop->deferred_count++] = *packet;
        return;
    }
    if (is_data && ++*(is_client ? &pair->c_seen : &pair->x_seen) % ACK_EVERY == 0)
        post_plain(peer_of(loop, pair), ACK, packet->pair);
    memset(&message, 0, sizeof(message));
    message.command = packet->command;
    message.hop = is_client ? HOST_HOPS : 0;
    message.stream_id = packet->stream_id;
    message.body = packet->body;
    message.body_len = packet->len;
    if (is_data && !is_client && packet->body[4] % 2 == 0) {
        uint64_t number;
        uint32_t serial;
        memcpy(&serial, packet->body, 4);
        memcpy(&number, packet->body + 4, 8);
        token = lend(serial, number);
        message.form = CIRCFLOW_FORM_TOKEN;
        message.token = token;
        message.cost_bytes = 600;
    }
    status = circflow_circuit_receive(loop->engine, now_ns(), is_client ? pair->near : pair->far, &message, &verdict);
    if (status != CIRCFLOW_OK) {
        CHECK(LOAD(stories[pair->serial].hurt) || status == CIRCFLOW_ERR_CLOSING);
        hurt(pair->serial);
        if (token != 0)
            settle(token);
        return;
    }
    if (is_data && verdict.kind == CIRCFLOW_VERDICT_DELIVER) {
        /* In order, and on a leg at home: the set is not named, but there is one only with this story. */
        end *end = NULL;
        for (size_t i = 0; i < loop->count; i++)
            if (loop->ends[i].serial == pair->serial && loop->ends[i].got + 1 == verdict.number)
                end = &loop->ends[i];
        CHECK(end != NULL || LOAD(stories[pair->serial].hurt));
        if (token != 0)
            settle(token);
        if (end != NULL)
            got_body(loop, end->set, packet->body, packet->len);
    } else if (is_data) {
        CHECK(verdict.kind == CIRCFLOW_VERDICT_HELD);
    }
}

/* Cells of circuits that may go on. */
static void resume(loop *loop)
{
    packet *packets = loop->deferred;
    const size_t count = loop->deferred_count;
    loop->deferred = NULL;
    loop->deferred_count = loop->deferred_room = 0;
    for (size_t i = 0; i < count; i++)
        receive(loop, &packets[i]);
    free(packets);
}

static void instruction(loop *loop, const circflow_insn *insn, const uint8_t *body)
{
    const uint32_t index = (uint32_t)insn->circuit_tag;
    uint8_t text[12];
    end *end;
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND:
        if (insn->detail.send.form == CIRCFLOW_FORM_TOKEN) {
            const token *token = &tokens[insn->detail.send.token];
            put_body(text, token->serial, token->number);
            settle(insn->detail.send.token);
            ADD(crossed, 1);
            transmit(loop, index, insn->detail.send.command, insn->detail.send.stream_id, text, sizeof(text));
        } else {
            transmit(loop, index, insn->detail.send.command, insn->detail.send.stream_id, body,
                     insn->detail.send.body_len);
        }
        break;
    case CIRCFLOW_INSN_DELIVER:
        if (insn->detail.deliver.form == CIRCFLOW_FORM_TOKEN) {
            const token *token = &tokens[insn->detail.deliver.token];
            const uint32_t serial = token->serial;
            const uint64_t number = token->number;
            settle(insn->detail.deliver.token);
            got(loop, insn->set.v, serial, number);
        } else {
            got_body(loop, insn->set.v, body, insn->detail.deliver.body_len);
        }
        break;
    case CIRCFLOW_INSN_DISCARD:
        settle(insn->detail.discard.token);
        break;
    case CIRCFLOW_INSN_CLOSE:
        kill_pair(loop, index);
        break;
    case CIRCFLOW_INSN_PAUSE_FEED:
        pairs[index].paused = 1;
        ADD(pauses, 1);
        break;
    case CIRCFLOW_INSN_UNPAUSE_FEED:
        pairs[index].paused = 0;
        resume(loop);
        break;
    case CIRCFLOW_INSN_LINKED:
        end = add_end(loop, insn->set.v, pairs[index].serial);
        CHECK(end->serial == pairs[index].serial);
        if (loop->index == CLIENT)
            report(loop, &pairs[index]);
        break;
    case CIRCFLOW_INSN_USABLE:
        end = find_end(loop, insn->set.v);
        if (end != NULL)
            end->active = 1;
        break;
    case CIRCFLOW_INSN_MAY_SEND:
        end = find_end(loop, insn->set.v);
        if (end != NULL)
            end->blocked = 0;
        break;
    case CIRCFLOW_INSN_ENDED:
        end = find_end(loop, insn->set.v);
        CHECK(end == NULL || LOAD(stories[end->serial].hurt));
        drop_end(loop, insn->set.v);
        break;
    default:
        break;
    }
}

static int drain(loop *loop)
{
    circflow_insn insn;
    uint8_t body[CIRCFLOW_BODY_MAX];
    int some = 0;
    for (;;) {
        CHECK(circflow_engine_poll(loop->engine, body, sizeof(body), &insn) == CIRCFLOW_OK);
        if (insn.kind == CIRCFLOW_INSN_NONE)
            return some;
        some = 1;
        instruction(loop, &insn, body);
    }
}

/* Sends a few messages of a set, as long as there is room. */
static void send_some(loop *loop, size_t at)
{
    for (uint64_t left = 1 + roll(loop, 30); left > 0; left--) {
        end *end = &loop->ends[at];
        story *story = &stories[end->serial];
        const circflow_set_id set = {end->set};
        circflow_verdict verdict;
        circflow_message message;
        uint8_t body[12];
        const uint64_t number = end->sent + 1;
        uint64_t token = 0;
        int status;
        put_body(body, end->serial, number);
        memset(&message, 0, sizeof(message));
        message.command = CIRCFLOW_CMD_DATA;
        message.hop = loop->index == CLIENT ? HOST_HOPS : 0;
        message.stream_id = 7;
        message.body = body;
        message.body_len = sizeof(body);
        if (loop->index != CLIENT && number % 3 == 0) {
            token = lend(end->serial, number);
            message.form = CIRCFLOW_FORM_TOKEN;
            message.token = token;
            message.cost_bytes = 600;
        }
        status = circflow_set_send(loop->engine, now_ns(), set, &message, NULL, 0, &verdict);
        if (token != 0 && (status != CIRCFLOW_OK || verdict.kind == CIRCFLOW_VERDICT_SEND))
            settle(token);
        if (status != CIRCFLOW_OK) {
            CHECK(status == CIRCFLOW_ERR_NO_ROOM || LOAD(story->hurt));
            end->blocked = 1;
            return;
        }
        end->sent = number;
        STORE(*(loop->index == CLIENT ? &story->c_sent : &story->x_sent), number);
        if (verdict.kind == CIRCFLOW_VERDICT_SEND) {
            const uint32_t index = (uint32_t)verdict.circuit_tag;
            if (verdict.switch_delta != 0) {
                const uint32_t delta = verdict.switch_delta;
                const uint8_t on_the_wire[4] = {(uint8_t)(delta >> 24), (uint8_t)(delta >> 16), (uint8_t)(delta >> 8),
                                                (uint8_t)delta};
                transmit(loop, index, CIRCFLOW_CMD_SWITCH, 0, on_the_wire, 4);
            }
            transmit(loop, index, CIRCFLOW_CMD_DATA, 7, body, sizeof(body));
        } else {
            CHECK(verdict.kind == CIRCFLOW_VERDICT_HELD);
        }
    }
}

static void new_engine(loop *loop)
{
    circflow_engine_config config;
    circflow_set_config terms;
    CHECK(circflow_engine_config_init(&config, sizeof(config)) == CIRCFLOW_OK);
    config.engine_number = 1 + (uint32_t)loop->index;
    CHECK(circflow_engine_new(&config, &loop->engine) == CIRCFLOW_OK);
    if (loop->index == CLIENT)
        return;
    CHECK(circflow_engine_join(loop->engine, hub, wake, &mailboxes[loop->index]) == CIRCFLOW_OK);
    CHECK(circflow_set_config_init(&terms, sizeof(terms)) == CIRCFLOW_OK);
    CHECK(circflow_engine_accept_sets(loop->engine, &terms) == CIRCFLOW_OK);
}

/* An engine is freed with all that is in it, and another takes its place. */
static void free_engine(loop *loop)
{
    const uint32_t count = LOAD(pair_count);
    for (uint32_t i = 0; i < count; i++)
        if (LOAD(pairs[i].loop) == loop->index && pairs[i].far_alive)
            hurt(pairs[i].serial);
    for (size_t i = 0; i < loop->count; i++)
        hurt(loop->ends[i].serial);
    CHECK(circflow_engine_free(loop->engine, discard, NULL) == CIRCFLOW_OK);
    for (uint32_t i = 0; i < count; i++) {
        if (LOAD(pairs[i].loop) == loop->index && pairs[i].far_alive) {
            pairs[i].far_alive = 0;
            post_plain(CLIENT, DEAD, i);
        }
    }
    loop->count = 0;
    loop->engine = NULL;
    ADD(frees, 1);
}

static void mischief(loop *loop)
{
    if (roll(loop, 200) == 0 && loop->count > 0) {
        ADD(closes, 1);
        close_end(loop, loop->ends[roll(loop, loop->count)].set);
    }
    if (roll(loop, 50) == 0) {
        const uint32_t count = LOAD(pair_count);
        const uint32_t newest = count < 16 ? count : 16;
        if (newest > 0) {
            const uint32_t index = count - 1 - (uint32_t)roll(loop, newest);
            const int is_ours = loop->index == CLIENT || LOAD(pairs[index].loop) == loop->index;
            if (is_ours && *alive(loop, &pairs[index])) {
                ADD(deaths, 1);
                kill_pair(loop, index);
            }
        }
    }
    if (loop->index != CLIENT && roll(loop, 500) == 0) {
        free_engine(loop);
        new_engine(loop);
    }
}

static void add_leg(loop *client, const end *end)
{
    const uint32_t index = pair_count;
    const circflow_set_id set = {end->set};
    circflow_circuit_config config;
    pair *pair = &pairs[index];
    CHECK(index < PAIRS);
    pair->serial = end->serial;
    STORE(pair->loop, (uint32_t)roll(client, LOOPS));
    CHECK(circflow_circuit_config_init(&config, sizeof(config)) == CIRCFLOW_OK);
    config.tag = index;
    CHECK(circflow_circuit_open(client->engine, now_ns(), &config, &pair->near) == CIRCFLOW_OK);
    pair->near_alive = 1;
    STORE(pair_count, index + 1);
    post_plain(pair->loop, OPEN, index);
    if (circflow_set_add_legs(client->engine, now_ns(), set, &pair->near, 1) != CIRCFLOW_OK) {
        hurt(end->serial);
        kill_pair(client, index);
    }
}

/* As many sets as there shall be, with two to four legs each. */
static void more_sets(loop *client)
{
    while (client->count < SETS) {
        circflow_set_config terms;
        circflow_set_id set = {0};
        const uint32_t serial = ++serial_count;
        end *end;
        CHECK(serial < SERIALS);
        CHECK(circflow_set_config_init(&terms, sizeof(terms)) == CIRCFLOW_OK);
        memcpy(terms.nonce, &serial, sizeof(serial));
        terms.launches_max = 1000;
        CHECK(circflow_set_open(client->engine, now_ns(), &terms, &set) == CIRCFLOW_OK);
        end = add_end(client, set.v, serial);
        for (uint64_t legs = 2 + roll(client, 3); legs > 0; legs--)
            add_leg(client, end);
    }
    if (roll(client, 60) == 0)
        add_leg(client, &client->ends[roll(client, client->count)]);
    /* One that was hurt may wait for ever for what was lost. */
    for (size_t i = 0; i < client->count; i++)
        if (LOAD(stories[client->ends[i].serial].hurt) && roll(client, 30) == 0)
            close_end(client, client->ends[i].set);
}

static void handle(loop *loop, const packet *packet)
{
    pair *pair = &pairs[packet->pair];
    circflow_circuit_config config;
    switch (packet->kind) {
    case OPEN:
        CHECK(circflow_circuit_config_init(&config, sizeof(config)) == CIRCFLOW_OK);
        config.role = CIRCFLOW_ROLE_RELAY;
        config.hops = 0;
        config.tag = packet->pair;
        CHECK(circflow_circuit_open(loop->engine, now_ns(), &config, &pair->far) == CIRCFLOW_OK);
        pair->far_alive = 1;
        break;
    case CELL:
        receive(loop, packet);
        if (packet->command == CIRCFLOW_CMD_LINK && pair->far_alive)
            report(loop, pair);
        break;
    case ACK:
        *(loop->index == CLIENT ? &pair->c_acked : &pair->x_acked) += ACK_EVERY;
        if (*alive(loop, pair))
            report(loop, pair);
        break;
    case DEAD:
        if (*alive(loop, pair)) {
            *alive(loop, pair) = 0;
            (void)circflow_circuit_gone(loop->engine, now_ns(), loop->index == CLIENT ? pair->near : pair->far);
        }
        break;
    case CLOSE_SET:
        close_end(loop, packet->set);
        break;
    default:
        loop->stop = 1;
        break;
    }
}

/* A run in which nothing happened proves nothing. */
static int has_seen_enough(void)
{
    CHECK(LOAD(delivered) < 1000 * target);
    return LOAD(delivered) >= target && LOAD(deaths) > 4 && LOAD(closes) > 4 && LOAD(frees) > 4 && LOAD(crossed) > 100;
}

/* Every set that nobody hurt is whole. */
static int all_whole(const loop *client)
{
    for (size_t i = 0; i < client->count; i++) {
        const story *story = &stories[client->ends[i].serial];
        if (!LOAD(story->hurt) &&
            (LOAD(story->c_sent) != LOAD(story->x_got) || LOAD(story->x_sent) != LOAD(story->c_got)))
            return 0;
    }
    return 1;
}

static void *run(void *argument)
{
    loop *loop = argument;
    mailbox *mailbox = &mailboxes[loop->index];
    uint64_t patience = 0;
    new_engine(loop);
    while (!loop->stop) {
        packet *packets;
        size_t count;
        uint64_t deadline;
        struct pollfd wait = {mailbox->fd, POLLIN, 0};
        int busy = 0, ms = PATIENCE_MS;
        const int is_stopping = LOAD(stopping);
        pthread_mutex_lock(&mailbox->lock);
        packets = mailbox->packets;
        count = mailbox->count;
        mailbox->packets = NULL;
        mailbox->count = mailbox->room = 0;
        pthread_mutex_unlock(&mailbox->lock);
        for (size_t i = 0; i < count; i++) {
            handle(loop, &packets[i]);
            if (roll(loop, 8) == 0)
                drain(loop);
        }
        free(packets);
        CHECK(circflow_engine_tick(loop->engine, now_ns()) == CIRCFLOW_OK);
        drain(loop);
        if (!is_stopping) {
            if (loop->index == CLIENT)
                more_sets(loop);
            for (size_t i = 0; i < loop->count; i++) {
                if (loop->ends[i].active && !loop->ends[i].blocked) {
                    busy = 1;
                    send_some(loop, i);
                }
            }
            mischief(loop);
            drain(loop);
        }
        if (loop->index == CLIENT) {
            ms = 10;
            if (!is_stopping && has_seen_enough())
                STORE(stopping, 1);
            if (is_stopping && all_whole(loop))
                break;
            if (is_stopping)
                CHECK(++patience < PATIENCE_MS / 2);
        }
        CHECK(circflow_engine_get_deadline(loop->engine, &deadline) == CIRCFLOW_OK);
        if (busy || loop->stop || deadline <= now_ns())
            ms = 0;
        const int ready = poll(&wait, 1, ms);
        CHECK(ready > 0 || ms != PATIENCE_MS);
        if (ready > 0) {
            uint64_t news;
            CHECK(read(mailbox->fd, &news, sizeof(news)) == sizeof(news));
        }
    }
    if (loop->index == CLIENT) {
        for (size_t i = 0; i < LOOPS; i++)
            post_plain(i, STOP, 0);
        CHECK(circflow_engine_free(loop->engine, discard, NULL) == CIRCFLOW_OK);
    } else {
        free_engine(loop);
    }
    return NULL;
}

/* Memory is short every now and then. */
static void *reclaim(void *unused)
{
    (void)unused;
    while (!LOAD(over)) {
        const struct timespec pause = {0, 2000000};
        circflow_victim found[2];
        circflow_hub_stats stats;
        size_t count = 0;
        nanosleep(&pause, NULL);
        stats.size = sizeof(stats);
        CHECK(circflow_hub_get_stats(hub, &stats) == CIRCFLOW_OK);
        if (stats.reserved_bytes < 20000 || LOAD(stopping))
            continue;
        CHECK(circflow_hub_choose_victims(hub, 5000, found, COUNT(found), &count, NULL) == CIRCFLOW_OK);
        for (size_t i = 0; i < count; i++) {
            packet packet;
            memset(&packet, 0, sizeof(packet));
            packet.kind = CLOSE_SET;
            packet.set = found[i].set.v;
            CHECK(found[i].engine_number >= 1 && found[i].engine_number <= LOOPS);
            post(found[i].engine_number - 1, &packet);
            ADD(victims, 1);
        }
    }
    return NULL;
}

static void loops_that_share_sets(void **state)
{
    pthread_t threads[LOOPS + 1], other;
    circflow_hub_config config;
    circflow_hub_stats stats;
    const char *wanted = getenv("THREADS_MESSAGES");
    (void)state;
    target = wanted != NULL ? strtoull(wanted, NULL, 10) : 40000;
    pairs = calloc(PAIRS, sizeof(*pairs));
    stories = calloc(SERIALS, sizeof(*stories));
    tokens = calloc(TOKENS, sizeof(*tokens));
    CHECK(pairs != NULL && stories != NULL && tokens != NULL);
    CHECK(circflow_hub_config_init(&config, sizeof(config)) == CIRCFLOW_OK);
    CHECK(circflow_hub_new(&config, &hub) == CIRCFLOW_OK);
    for (size_t i = 0; i <= LOOPS; i++) {
        memset(&loops[i], 0, sizeof(loops[i]));
        loops[i].index = i;
        loops[i].dice = 0x9e3779b97f4a7c15u * (i + 1);
        CHECK(pthread_mutex_init(&mailboxes[i].lock, NULL) == 0);
        mailboxes[i].fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        CHECK(mailboxes[i].fd >= 0);
    }
    for (size_t i = 0; i <= LOOPS; i++)
        CHECK(pthread_create(&threads[i], NULL, run, &loops[i]) == 0);
    CHECK(pthread_create(&other, NULL, reclaim, NULL) == 0);
    for (size_t i = 0; i <= LOOPS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    STORE(over, 1);
    CHECK(pthread_join(other, NULL) == 0);

    for (uint32_t i = 1; i <= token_count; i++)
        CHECK(tokens[i].out == 1);
    stats.size = sizeof(stats);
    OK(circflow_hub_get_stats(hub, &stats));
    assert_int_equal(stats.engines, 0);
    assert_int_equal(stats.sets, 0);
    assert_int_equal(stats.reserved_bytes, 0);
    assert_true(stats.reserved_bytes_peak > 0);
    OK(circflow_hub_free(hub));
    printf("%llu delivered, %u sets, %u circuits, %u tokens (%llu crossed), %llu legs killed, %llu sets closed, "
           "%llu engines freed, %llu victims, %llu pauses\n",
           (unsigned long long)delivered, (unsigned)serial_count, (unsigned)pair_count, (unsigned)token_count,
           (unsigned long long)crossed, (unsigned long long)deaths, (unsigned long long)closes,
           (unsigned long long)frees, (unsigned long long)victims, (unsigned long long)pauses);
    for (size_t i = 0; i <= LOOPS; i++) {
        free(mailboxes[i].packets);
        free(loops[i].deferred);
        close(mailboxes[i].fd);
        pthread_mutex_destroy(&mailboxes[i].lock);
    }
    free(pairs);
    free(stories);
    free(tokens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(loops_that_share_sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
