#include "endpoint.h"

#include "clock.h"
#include "leg.h"
#include "node.h"
#include "padding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Instructions in one go, so that sockets get their turn too. */
enum { DRAIN_BUDGET = 1024 };

void must(enum circflow_status status, const char *what) {
    if (status != CIRCFLOW_OK) node_fail("%s: %s", what, circflow_strerror((int32_t)status));
}

void endpoint_random(uint8_t *bytes, size_t len) {
    FILE *source = fopen("/dev/urandom", "rb");
    if (source == NULL || fread(bytes, 1, len, source) != len) node_fail("cannot read /dev/urandom");
    fclose(source);
}

struct leg *endpoint_leg(struct endpoint *endpoint, uint32_t circ_id) {
    for (size_t i = 0; i < endpoint->leg_count; i++)
        if (endpoint->legs[i].circ_id == circ_id) return &endpoint->legs[i];
    return NULL;
}

/* Verdicts and instructions bring back the tag that the circuit was opened with: our own pointer. 0 is none. */
static struct leg *leg_of_tag(uint64_t tag) { return (struct leg *)(uintptr_t)tag; }

int endpoint_stats(struct endpoint *endpoint, struct circflow_set_stats *stats) {
    stats->size = sizeof *stats;
    return circflow_set_get_stats(endpoint->engine, endpoint->set, stats) == CIRCFLOW_OK ? 0 : -1;
}

enum circflow_status endpoint_send(struct endpoint *endpoint, const struct circflow_message *message) {
    struct circflow_verdict verdict;
    const enum circflow_status status =
        circflow_set_send(endpoint->engine, now_ns(), endpoint->set, message, NULL, 0, &verdict);
    if (status != CIRCFLOW_OK) return status;
    if (verdict.kind == CIRCFLOW_VERDICT_HELD) return CIRCFLOW_OK; /* Padding's turn: it comes as CIRCFLOW_INSN_SEND. */
    /* From here on the message counts as sent on this leg: the SWITCH and the message must go, in this order. */
    struct leg *leg = leg_of_tag(verdict.circuit_tag);
    if (verdict.switch_delta != 0) leg_write_switch(leg, verdict.switch_delta);
    leg_write(leg, message);
    return CIRCFLOW_OK;
}

/* --- Instructions -------------------------------------------------------------------------------------------- */

static void obey_send(struct leg *leg, const struct circflow_insn_send *send, const uint8_t *body) {
    const struct circflow_message message = {.command = send->command, .hop = send->hop, .stream_id = send->stream_id,
                                             .body = body, .body_len = send->body_len};
    leg_write(leg, &message);
}

static void obey_deliver(struct endpoint *endpoint, const struct circflow_insn *insn, const uint8_t *body) {
    const struct circflow_insn_deliver *held = &insn->detail.deliver;
    const struct circflow_message message = {.command = held->command, .hop = endpoint->role->peer_hop,
                                             .stream_id = held->stream_id, .body = body, .body_len = held->body_len};
    /* Its leg may have gone since; messages that are held for order do not need it. */
    leg_deliver(endpoint, leg_of_tag(insn->circuit_tag), &message);
}

static void obey_linked(struct endpoint *endpoint, struct leg *leg, const struct circflow_insn *insn) {
    endpoint->set = insn->set; /* Where an exit first hears of a set. */
    leg->linked = 1;
    leg_report(leg);
}

static void obey_ended(struct endpoint *endpoint, const struct circflow_insn_close *close) {
    char why[384];
    if (close->cause == CIRCFLOW_OK) /* Nothing but that we closed it, or the last leg went. */
        snprintf(why, sizeof why, "%s", endpoint->lost);
    else
        snprintf(why, sizeof why, "%s (%s)", endpoint->lost, circflow_strerror((int32_t)close->cause));
    endpoint->set.v = 0;
    endpoint->role->on_ended(endpoint, why);
}

/* Called by circflow_engine_drain(). Everything in here may feed the engine; what comes of it is drained next. */
static void obey(void *userdata, const struct circflow_insn *insn, const uint8_t *body) {
    struct endpoint *endpoint = userdata;
    struct leg *leg = leg_of_tag(insn->circuit_tag);
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND: obey_send(leg, &insn->detail.send, body); break;
    case CIRCFLOW_INSN_PADDING: leg_write_control(leg, insn->detail.padding.command, NULL, 0); break;
    case CIRCFLOW_INSN_DELIVER: obey_deliver(endpoint, insn, body); break;
    case CIRCFLOW_INSN_CLOSE:
        leg_close(leg, insn->detail.close.reason, circflow_strerror((int32_t)insn->detail.close.cause));
        break;
    case CIRCFLOW_INSN_RESUME: endpoint->role->on_room(endpoint); break;
    case CIRCFLOW_INSN_LINKED: obey_linked(endpoint, leg, insn); break;
    case CIRCFLOW_INSN_USABLE: endpoint->role->on_usable(endpoint); break;
    case CIRCFLOW_INSN_ENDED: obey_ended(endpoint, &insn->detail.close); break;
    case CIRCFLOW_INSN_WANT_LEG: break; /* There is no third path in this network. The set goes on without. */
    case CIRCFLOW_INSN_DISCARD: break;  /* Only for tokens, and we use none. */
    default: break;                     /* Kinds to come. */
    }
}

static void arm(struct endpoint *endpoint, uint64_t deadline_ns) {
    if (deadline_ns == endpoint->armed_ns) return;
    endpoint->armed_ns = deadline_ns;
    if (deadline_ns == CIRCFLOW_NEVER) {
        event_del(endpoint->timer);
        return;
    }
    const uint64_t now = now_ns(), wait = deadline_ns > now ? deadline_ns - now + 999 : 0; /* Not a moment too early. */
    const struct timeval after = {.tv_sec = (time_t)(wait / 1000000000), .tv_usec = (long)(wait % 1000000000 / 1000)};
    event_add(endpoint->timer, &after);
}

void endpoint_settle(struct endpoint *endpoint) {
    uint64_t deadline_ns;
    uint8_t more;
    must(circflow_engine_drain(endpoint->engine, DRAIN_BUDGET, &more, obey, endpoint), "circflow_engine_drain");
    must(circflow_engine_deadline(endpoint->engine, &deadline_ns), "circflow_engine_deadline");
    arm(endpoint, more ? 0 : deadline_ns); /* More to drain: come back at once, but let the sockets have a turn. */
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    struct endpoint *endpoint = arg;
    (void)fd;
    (void)what;
    endpoint->armed_ns = CIRCFLOW_NEVER;
    must(circflow_engine_tick(endpoint->engine, now_ns()), "circflow_engine_tick");
    endpoint_settle(endpoint);
}

/* --- Beginning ----------------------------------------------------------------------------------------------- */

void endpoint_open(struct endpoint *endpoint, const struct endpoint_role *role, void *owner) {
    struct circflow_engine_config config;
    must(circflow_engine_config_init(&config, sizeof config), "circflow_engine_config_init");
    endpoint_random(config.seed, sizeof config.seed);
    must(circflow_engine_new(&config, &endpoint->engine), "circflow_engine_new");
    endpoint->role = role;
    endpoint->owner = owner;
    endpoint->armed_ns = CIRCFLOW_NEVER;
    endpoint->timer = event_new(endpoint->base, -1, 0, on_timer, endpoint);
    if (endpoint->timer == NULL) node_fail("out of memory");
}

struct leg *endpoint_add_leg(struct endpoint *endpoint, uint32_t circ_id) {
    struct circflow_circuit_config config;
    struct leg *leg = &endpoint->legs[endpoint->leg_count++];
    uint64_t window = SENDME_INC;
    for (size_t i = 0; i < LEGS_MAX; i++)
        if (endpoint->windows[i] > window) window = endpoint->windows[i];
    if (congestion_init(&leg->congestion, window) != 0) node_fail("out of memory");
    leg->endpoint = endpoint;
    leg->circ_id = circ_id;

    must(circflow_circuit_config_init(&config, sizeof config), "circflow_circuit_config_init");
    config.role = endpoint->role->circflow_role;
    config.hops = endpoint->role->peer_hop;
    config.tag = (uint64_t)(uintptr_t)leg;
    must(circflow_circuit_open(endpoint->engine, now_ns(), &config, &leg->circuit), "circflow_circuit_open");
    padding_install(leg);
    return leg;
}

void endpoint_open_set(struct endpoint *endpoint, struct circflow_set_config *config) {
    endpoint_random(config->nonce, sizeof config->nonce);
    must(circflow_set_open(endpoint->engine, now_ns(), config, &endpoint->set), "circflow_set_open");
    /* The nonce is a secret between us and the exit, so no copy stays. */
    memset(config->nonce, 0, sizeof config->nonce);
}

void endpoint_connect(struct endpoint *endpoint, const uint16_t *ports, size_t count) {
    struct circflow_circuit_id circuits[LEGS_MAX];
    for (size_t i = 0; i < count; i++) {
        struct leg *leg = endpoint_add_leg(endpoint, (uint32_t)i + 1);
        leg->channel = channel_connect(endpoint->base, ports[i], &leg_events, leg);
        if (leg->channel == NULL) node_fail("cannot connect to 127.0.0.1 port %u", (unsigned)ports[i]);
        circuits[i] = leg->circuit;
    }
    must(circflow_set_add_legs(endpoint->engine, now_ns(), endpoint->set, circuits, count), "circflow_set_add_legs");
    endpoint_settle(endpoint);
}

void endpoint_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int len,
                     void *arg) {
    struct endpoint *endpoint = arg;
    (void)listener;
    (void)address;
    (void)len;
    if (endpoint->leg_count == LEGS_MAX) {
        evutil_closesocket(fd);
        return;
    }
    struct leg *leg = endpoint_add_leg(endpoint, 0);
    leg->channel = channel_accept(endpoint->base, fd, &leg_events, leg);
    if (leg->channel == NULL) node_fail("out of memory");
}
