#include "host.h"

static int status_ok(int status)
{
    enum circflow_class class = circflow_status_class(status);
    MUST(class != CIRCFLOW_CLASS_UNKNOWN);
    MUST(class != CIRCFLOW_CLASS_FATAL);
    MUST(circflow_status_text(status) != NULL && circflow_status_text(status)[0] != 0);
    MUST(circflow_status_name(status) != NULL && strncmp(circflow_status_name(status), "CIRCFLOW_", 9) == 0);
    (void)circflow_status_close_reason(status);
    return status == CIRCFLOW_OK;
}

/* A call with a handle: one of another kind, or that was let go, gets the status that says so, if NULL or a size does not
 * come first. */
static int handled(int status)
{
    if (h.stray)
        MUST(status == CIRCFLOW_ERR_BAD_HANDLE || status == CIRCFLOW_ERR_NULL || status == CIRCFLOW_ERR_VERSION);
    return status_ok(status);
}

/* A call that names an engine: true when it was done. What was refused has changed nothing that can be counted, but
 * what was due at its time is done all the same; that queues instructions. */
#define DONE(call) (before = counts(at), call_done(at, (call)))

typedef struct counted {
    int known;
    circflow_engine_stats stats;
} counted;

static counted before;

static counted counts(int at)
{
    counted now;
    memset(&now, 0, sizeof now);
    now.stats.size = sizeof now.stats;
    now.known = circflow_engine_get_stats(h.nodes[at].engine, &now.stats) == CIRCFLOW_OK;
    return now;
}

static int call_done(int at, int status)
{
    counted after;
    (void)handled(status);
    if (circflow_status_class(status) != CIRCFLOW_CLASS_MISUSE || !before.known)
        return status_ok(status);
    after = counts(at);
    if (after.stats.insns != before.stats.insns)
        return status_ok(status);
    MUST(after.stats.circuits == before.stats.circuits && after.stats.sets == before.stats.sets);
    MUST(after.stats.streams == before.stats.streams && after.stats.held == before.stats.held);
    MUST(after.stats.held_bytes == before.stats.held_bytes);
    return status_ok(status);
}

static circflow_circuit_id some_circuit(int at)
{
    circflow_circuit_id id = {0};
    uint8_t which = take8();
    if (which < 240)
        return h.nodes[at].ends[which % SLOTS].id;
    if (which < 244)
        return h.nodes[(at + 1) % ENGINES].ends[which % SLOTS].id;
    if (which < 248)
        id.v = h.nodes[at].sets[which % SETS].v;
    else if (which < 254)
        id.v = h.nodes[at].ends[which % SLOTS].id.v ^ (UINT64_C(1) << take8() % 64);
    return id;
}

static circflow_set_id some_set(int at)
{
    uint8_t which = take8();
    circflow_set_id id = h.nodes[at].sets[which % SETS];
    if (which >= 248)
        id.v ^= UINT64_C(1) << take8() % 64;
    else if (which >= 240)
        id.v = h.nodes[at].ends[which % SLOTS].id.v;
    return id;
}

static circflow_stream_id some_stream(int at)
{
    uint8_t which = take8();
    circflow_stream_id id = h.nodes[at].streams[which % STREAMS];
    if (which >= 248)
        id.v ^= UINT64_C(1) << take8() % 64;
    return id;
}

static void move_time(void)
{
    uint64_t deadline = CIRCFLOW_NEVER;
    uint8_t how = take8();
    if (how < 64)
        h.now += (uint64_t)how * 1000000;
    else if (how < 128)
        h.now += (uint64_t)(how - 63) * 1000000000;
    else if (how < 250)
        for (int at = 0; at < ENGINES; at++) {
            if (handled(circflow_engine_get_deadline(of(at), maybe(&deadline))) &&
                deadline != CIRCFLOW_NEVER && deadline > h.now)
                h.now = deadline;
        }
    else if (how < 254)
        h.now = h.now > 2000000 ? h.now - 2000000 : h.now;
    else
        h.now += UINT64_C(86400000000000) * 365;
}

/* A message; its body is freed by let_go(). */
static circflow_message some_message(uint8_t **body)
{
    static const uint8_t usual[] = {CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_BEGIN, CIRCFLOW_CMD_END,
                                    CIRCFLOW_CMD_CONNECTED, CIRCFLOW_CMD_SENDME, CIRCFLOW_CMD_DROP, CIRCFLOW_CMD_SWITCH,
                                    CIRCFLOW_CMD_LINK, CIRCFLOW_CMD_LINKED, CIRCFLOW_CMD_LINKED_ACK, CIRCFLOW_CMD_XOFF,
                                    CIRCFLOW_CMD_XON, CIRCFLOW_CMD_RESOLVE, CIRCFLOW_CMD_RESOLVED,
                                    CIRCFLOW_CMD_PADDING_NEGOTIATE, CIRCFLOW_CMD_PADDING_NEGOTIATED,
                                    CIRCFLOW_CMD_BEGIN_DIR};
    circflow_message message;
    uint8_t command = take8(), shape = take8();
    size_t len;
    memset(&message, 0, sizeof message);
    message.command = command < 128 ? usual[command % sizeof usual] : command;
    message.hop = shape & 8 ? take8() : (shape & 16 ? HOPS : 0);
    message.stream_id = shape & 32 ? take16() : (uint16_t)(shape % 6);
    *body = take_bytes(shape & 64 ? 600 : 64, &len);
    message.body = *body;
    message.body_len = (uint16_t)len;
    if ((shape & 7) == 7) {
        message.form = CIRCFLOW_FORM_TOKEN;
        message.token = token_new();
        message.cost_bytes = take16();
    }
    if (shape & 128) {
        message.cell_digest = h.scratch;
        message.cell_digest_len = take8() % 2 ? 20 : 16;
    }
    return message;
}

static int is_held(const circflow_verdict *verdict, const circflow_message *message)
{
    MUST(strncmp(circflow_verdict_kind_name(verdict->kind), "CIRCFLOW_VERDICT_", 17) == 0);
    h.verdicts[verdict->kind % 8]++;
    if (verdict->kind == CIRCFLOW_VERDICT_HELD && message->form == CIRCFLOW_FORM_TOKEN)
        token_lend(message->token);
    return verdict->kind == CIRCFLOW_VERDICT_HELD;
}

static circflow_circuit_config some_shape(int at, uint8_t shape)
{
    circflow_circuit_config config;
    MUST(circflow_circuit_config_init(&config, sizeof config) == CIRCFLOW_OK);
    config.role = at == 0 ? CIRCFLOW_ROLE_CLIENT : CIRCFLOW_ROLE_RELAY;
    config.hops = at == 0 ? HOPS : 0;
    config.join_point = at == 0 ? 77 : 0;
    config.flags = CIRCFLOW_CIRCUIT_VEGAS;
    if (shape & 1)
        config.flags |= CIRCFLOW_CIRCUIT_REACTOR;
    if (shape & 2)
        config.flags |= CIRCFLOW_CIRCUIT_OWN_QUEUE;
    if (shape & 4)
        config.flags |= CIRCFLOW_CIRCUIT_LEAKY_PIPE;
    if ((shape & 24) == 24)
        config.flags |= CIRCFLOW_CIRCUIT_EXTENDED;
    if ((shape & 96) == 96)
        config.flags |= CIRCFLOW_CIRCUIT_OTHER_PADDER;
    if (shape & 128) {
        config.sendme_inc = 1 + shape % 31;
        config.held_sends_max = 3;
    }
    return config;
}

/* Both ends of a circuit, in one slot of two engines. */
static void open_pair(void)
{
    int other = 1 + take8() % (ENGINES - 1), slot = take8() % SLOTS;
    uint8_t shape = take8();
    end *near = &h.nodes[0].ends[slot], *far = &h.nodes[other].ends[slot];
    circflow_circuit_config config = some_shape(0, shape);
    if (near->peer >= 0)
        h.nodes[near->peer].ends[slot].peer = -1;
    config.tag = (uint64_t)slot;
    near->peer = far->peer = -1;
    near->in.count = far->in.count = 0;
    if (!handled(circflow_circuit_open(of(0), h.now, &config, maybe(&near->id))))
        return;
    config = some_shape(other, shape);
    config.tag = (uint64_t)slot;
    if (!handled(circflow_circuit_open(of(other), h.now, &config, maybe(&far->id))))
        return;
    near->peer = other;
    far->peer = 0;
}

static void open_any(int at)
{
    /* A struct of a later version may be longer. */
    static union {
        circflow_circuit_config config;
        uint8_t bytes[1024];
    } room;
    circflow_circuit_config config = some_shape(at, take8());
    int slot = take8() % SLOTS;
    uint8_t odd = take8();
    config.tag = (uint64_t)slot;
    if (odd & 1)
        config.flags = take8();
    if (odd & 2)
        config.role = take8() % 4;
    if (odd & 4)
        config.hops = take8();
    if (odd & 8)
        config.path_class = take8();
    if (odd & 16)
        config.size = take16() % sizeof room.bytes;
    memset(room.bytes, odd & 32 ? take8() : 0, sizeof room.bytes);
    room.config = config;
    h.nodes[at].ends[slot].peer = -1;
    (void)DONE(circflow_circuit_open(of(at), h.now, maybe(&room.config), &h.nodes[at].ends[slot].id));
}

static void receive(int at, circflow_circuit_id id, const circflow_message *message)
{
    circflow_verdict verdict;
    memset(&verdict, 0, sizeof verdict);
    if (DONE(circflow_circuit_receive(of(at), h.now, id, maybe((void *)message), maybe(&verdict))))
        (void)is_held(&verdict, message);
}

/* Feeds messages in one call, and again from behind each that is refused. */
static void receive_many(int at, circflow_arrival *arrivals, size_t count)
{
    size_t next = 0;
    while (next < count) {
        size_t taken = count + 1;
        (void)DONE(circflow_circuit_receive_many(of(at), h.now, arrivals + next, count - next, &taken));
        if (taken > count - next)
            abort();
        for (size_t end = next + taken; next < end; next++)
            (void)is_held(&arrivals[next].verdict, &arrivals[next].message);
        next++;
    }
}

/* What is on its way to one end arrives there, a few cells at a time: one by one, or all in one call. */
static void arrive(int at)
{
    enum { ARRIVALS = 16 };
    static cell in[ARRIVALS];
    circflow_arrival arrivals[ARRIVALS];
    uint8_t *bodies[ARRIVALS], how = 0;
    int slot = take8() % SLOTS;
    size_t count = 0, wanted;
    how = take8();
    wanted = 1 + how % ARRIVALS;
    memset(arrivals, 0, sizeof arrivals);
    for (; count < wanted && wire_take(at, slot, &in[count]); count++) {
        circflow_message *message = &arrivals[count].message;
        bodies[count] = malloc((size_t)in[count].body_len + !in[count].body_len);
        if (bodies[count] == NULL)
            abort();
        memcpy(bodies[count], in[count].body, in[count].body_len);
        arrivals[count].circuit = h.nodes[at].ends[slot].id;
        message->command = in[count].command;
        message->hop = at == 0 ? HOPS : 0;
        message->stream_id = in[count].stream_id;
        message->body = bodies[count];
        message->body_len = in[count].body_len;
        message->cell_digest = in[count].tag;
        message->cell_digest_len = sizeof in[count].tag;
    }
    if (how & 128)
        receive_many(at, arrivals, count);
    for (size_t i = 0; i < count; i++) {
        if (!(how & 128))
            receive(at, arrivals[i].circuit, &arrivals[i].message);
        free(bodies[i]);
    }
}

static void receive_any(int at)
{
    uint8_t *body;
    circflow_message message = some_message(&body);
    if (at == 0 && message.hop == 0)
        message.hop = HOPS;
    receive(at, some_circuit(at), &message);
    free(body);
}

static void link_up(int at)
{
    circflow_set_config terms;
    uint8_t shape = take8();
    circflow_circuit_id legs[SLOTS];
    size_t count = 0;
    node *on = &h.nodes[at];
    circflow_engine *engine = of(at);
    size_t where = on->next_set % SETS;
    MUST(circflow_set_config_init(&terms, sizeof terms) == CIRCFLOW_OK);
    memset(terms.nonce, 1 + shape % 5, sizeof terms.nonce);
    terms.legs_max = 4;
    terms.launches_max = 8;
    terms.desired_ux = shape % 5;
    if (shape & 16)
        terms.held_bytes_max = 5000;
    if (shape & 32)
        terms.held_sends_max = 2;
    if (shape & 64)
        terms.switch_ahead_max = 20;
    if (!DONE(circflow_set_open(engine, h.now, maybe(&terms), maybe(&on->sets[where]))))
        return;
    on->next_set++;
    for (uint8_t mask = take8(), slot = 0; slot < 8; slot++)
        if (mask & (1 << slot))
            legs[count++] = on->ends[slot].id;
    if (shape & 128)
        (void)DONE(circflow_set_launch_legs(engine, h.now, on->sets[where], legs, count));
    else
        (void)DONE(circflow_set_add_legs(engine, h.now, on->sets[where], maybe(legs), count));
}

static circflow_leg_report some_report(int at)
{
    circflow_leg_report report;
    uint8_t shape = take8();
    memset(&report, 0, sizeof report);
    report.circuit = some_circuit(at);
    report.cwnd = shape & 1 ? take_scaled() : 100;
    report.inflight = shape & 2 ? take_scaled() : shape % 100;
    report.rtt_ns = shape & 4 ? take_scaled() : (uint64_t)(1 + shape) * 1000000;
    report.sendme_inc = shape & 8 ? take8() : 31;
    report.flags = shape & 16 ? take8() : 0;
    return report;
}

static void set_send(int at, int decide)
{
    uint8_t *body;
    circflow_message message = some_message(&body);
    circflow_leg_report reports[2];
    circflow_verdict verdict;
    size_t count = take8() % 3;
    circflow_set_id set = some_set(at);
    memset(&verdict, 0, sizeof verdict);
    for (size_t i = 0; i < count; i++)
        reports[i] = some_report(at);
    if (decide) {
        if (DONE(circflow_set_decide(of(at), h.now, set, &message, reports, count, maybe(&verdict))) &&
            take8() % 2) {
            if (verdict.switch_delta != 0)
                (void)DONE(circflow_circuit_cell_queued(of(at), h.now, verdict.circuit, CIRCFLOW_CMD_SWITCH,
                                                        at == 0 ? HOPS : 0));
            (void)DONE(circflow_circuit_cell_queued(of(at), h.now, verdict.circuit, message.command,
                                                    at == 0 ? HOPS : 0));
            write_out(at, &verdict, &message);
        }
    } else if (DONE(circflow_set_send(of(at), h.now, set, maybe(&message), maybe(reports), count,
                                      &verdict)) &&
               !is_held(&verdict, &message))
        write_out(at, &verdict, &message);
    free(body);
}

static void send_any(int at, int on_stream)
{
    uint8_t *body;
    circflow_message message = some_message(&body);
    circflow_verdict verdict;
    circflow_engine *engine = of(at);
    int done;
    memset(&verdict, 0, sizeof verdict);
    if (on_stream)
        done = DONE(circflow_stream_send(engine, h.now, some_stream(at), maybe(&message), maybe(&verdict)));
    else
        done = DONE(circflow_circuit_send(engine, h.now, some_circuit(at), maybe(&message), maybe(&verdict)));
    if (done && !is_held(&verdict, &message))
        write_out(at, &verdict, &message);
    free(body);
}

static void relay(int at)
{
    uint8_t *body;
    circflow_message message = some_message(&body);
    circflow_verdict verdict;
    circflow_circuit_id id = some_circuit(at);
    uint8_t from = take8() % 3, times = 1 + take8() % 8;
    memset(&verdict, 0, sizeof verdict);
    while (times-- > 0) {
        if (message.form == CIRCFLOW_FORM_TOKEN)
            message.token = token_new();
        if (DONE(circflow_circuit_relay(of(at), h.now, id, from, maybe(&message), maybe(&verdict))))
            (void)is_held(&verdict, &message);
    }
    free(body);
}

static void open_stream(int at)
{
    circflow_stream_config config;
    node *on = &h.nodes[at];
    uint8_t shape = take8();
    MUST(circflow_stream_config_init(&config, sizeof config) == CIRCFLOW_OK);
    if (shape & 1)
        config.set = some_set(at);
    else
        config.circuit = some_circuit(at);
    config.hop = shape & 2 ? take8() : (at == 0 ? HOPS : 0);
    config.stream_id = shape & 4 ? take16() : shape % 6;
    config.priority = shape & 8 ? take8() : 0;
    config.tag = shape;
    if (DONE(circflow_stream_open(of(at), h.now, maybe(&config), maybe(&on->streams[on->next_stream % STREAMS]))))
        on->next_stream++;
}

static void take_next(int at)
{
    circflow_insn insn;
    circflow_verdict verdict;
    uint64_t tokens[8], room;
    size_t count = 0, cap = take8() % 64 == 0 ? 10 : sizeof h.scratch;
    circflow_set_id set = some_set(at);
    circflow_engine *engine = of(at);
    (void)DONE(circflow_set_get_decision(engine, set, maybe(&verdict)));
    (void)DONE(circflow_set_get_room(engine, set, maybe(&room)));
    const uint8_t way = take8() % 3;
    if (way == 0) {
        if (DONE(circflow_set_poll_tokens(engine, set, maybe(tokens), take8() % 9, &count)))
            for (size_t i = 0; i < count; i++)
                token_back(tokens[i]);
    } else if (way == 1) {
        const uint8_t *lent;
        if (DONE(circflow_set_poll_lent(engine, set, maybe(&lent), &insn)) &&
            insn.kind != CIRCFLOW_INSN_NONE)
            obey(at, &insn, lent);
    } else if (DONE(circflow_set_poll(engine, set, h.scratch, cap, &insn)) && insn.kind != CIRCFLOW_INSN_NONE)
        obey(at, &insn, h.scratch);
}

static void poll_one(int at)
{
    circflow_insn insn;
    size_t cap = take8() % 8 == 0 ? 30 : sizeof h.scratch;
    if (h.nodes[at].draining)
        MUST(circflow_engine_poll(h.nodes[at].engine, h.scratch, cap, &insn) == CIRCFLOW_ERR_REENTRANT);
    else if (DONE(circflow_engine_poll(of(at), maybe(h.scratch), cap, &insn)))
        obey(at, &insn, h.scratch);
}

static void numbers(int at)
{
    circflow_set_numbers set;
    circflow_leg_numbers legs[CIRCFLOW_LEGS_MAX];
    size_t count = 0;
    uint8_t change = take8();
    circflow_set_id id = some_set(at);
    memset(&set, 0, sizeof set);
    memset(legs, 0, sizeof legs);
    if (!DONE(circflow_set_export(of(at), id, maybe(&set), legs, change & 8 ? 1 : CIRCFLOW_LEGS_MAX, &count)))
        return;
    MUST(count <= CIRCFLOW_LEGS_MAX);
    if (change & 1)
        set.delivered += take_scaled();
    if (change & 2)
        legs[0].received += take_scaled();
    if (change & 4)
        legs[0].sent += take_scaled();
    if (change & 16)
        (void)DONE(circflow_set_import(of(at), h.now, id, maybe(&set), legs, count));
}

static circflow_padding_config some_padding(int at)
{
    circflow_padding_config config;
    uint8_t shape = take8();
    MUST(circflow_padding_config_init(&config, sizeof config) == CIRCFLOW_OK);
    config.machines = h.nodes[at].lists[shape % LISTS];
    config.hop = at == 0 ? (shape & 4 ? 2 : HOPS) : 0;
    config.slot = shape & 8 ? 1 : 0;
    config.flags = shape & 16 ? take8() : 0;
    if (shape & 32)
        config.padding_fraction = take8() / 200.0;
    if (shape & 64)
        config.queued_cells_max = take8();
    if (shape & 128)
        config.inbound_grace = take8();
    return config;
}

/* Texts that load: all of tests/machines. */
extern const char *const circflow_fuzz_machines[];
extern const size_t circflow_fuzz_machine_count;

static void load_machines(int at)
{
    node *on = &h.nodes[at];
    uint8_t which = take8();
    size_t len;
    if (which < 200) {
        const char *text = circflow_fuzz_machines[which % circflow_fuzz_machine_count];
        (void)DONE(circflow_machines_load(of(at), maybe((void *)text), strlen(text), maybe(&on->lists[which % LISTS])));
    } else {
        uint8_t *text = take_bytes(300, &len);
        (void)DONE(circflow_machines_load(of(at), (const char *)text, len, &on->lists[which % LISTS]));
        free(text);
    }
}

static void padding(int at)
{
    circflow_engine *engine = of(at);
    circflow_padding_stats stats;
    uint8_t hop = at == 0 ? HOPS : 0;
    circflow_padding_config config;
    stats.size = sizeof stats;
    switch (take8() % 9) {
    case 0:
    case 1:
        config = some_padding(at);
        (void)DONE(circflow_padding_install(engine, h.now, some_circuit(at), maybe(&config)));
        break;
    case 2:
        (void)DONE(circflow_padding_remove(engine, h.now, some_circuit(at), hop, take8() % 3));
        break;
    case 3:
        (void)DONE(circflow_padding_get_stats(engine, some_circuit(at), hop, take8() % 3, maybe(&stats)));
        break;
    case 4:
        (void)DONE(circflow_padding_answered(engine, h.now, some_circuit(at), maybe(&h.nodes[at].asked), take8() % 6));
        break;
    case 5:
        config = some_padding(at);
        (void)DONE(circflow_padding_register(engine, take8() % 4, take8() % 4, maybe(&config)));
        break;
    case 6:
        (void)DONE(circflow_padding_start(engine, h.now, some_circuit(at), take8() % 4));
        break;
    case 7:
        (void)DONE(circflow_padding_stop(engine, h.now, some_circuit(at), take8() % 4));
        break;
    default:
        (void)DONE(circflow_machines_drop(engine, h.nodes[at].lists[take8() % LISTS]));
        break;
    }
}

static void stream_rest(int at)
{
    circflow_engine *engine = of(at);
    circflow_stream_stats stats;
    circflow_stream_id next = {0};
    circflow_circuit_id no_circuit = {0};
    circflow_set_id no_set = {0};
    uint64_t tag;
    stats.size = sizeof stats;
    switch (take8() % 6) {
    case 0:
        next = some_stream(at);
        (void)DONE(circflow_stream_retag(engine, next, take8()));
        (void)DONE(circflow_stream_set_priority(engine, next, take8()));
        break;
    case 1:
        (void)DONE(circflow_stream_set_readable(engine, some_stream(at), take8() % 2));
        break;
    case 2:
        (void)DONE(circflow_stream_choose(engine, h.now, no_set, some_circuit(at), maybe(&next), maybe(&tag)));
        break;
    case 3:
        (void)DONE(circflow_stream_choose(engine, h.now, some_set(at), no_circuit, maybe(&next), maybe(&tag)));
        break;
    case 4:
        (void)DONE(circflow_stream_flushed(engine, h.now, some_stream(at), take16()));
        break;
    default:
        (void)DONE(circflow_stream_get_stats(engine, some_stream(at), maybe(&stats)));
        break;
    }
}

static void circuit_rest(int at)
{
    circflow_engine *engine = of(at);
    circflow_circuit_id id = some_circuit(at);
    circflow_circuit_stats stats;
    circflow_leg_stats leg;
    circflow_leg_report report;
    circflow_extension_config more;
    stats.size = sizeof stats;
    leg.size = sizeof leg;
    switch (take8() % 13) {
    case 0:
        (void)DONE(circflow_circuit_gone(engine, h.now, id));
        break;
    case 1:
        (void)DONE(circflow_circuit_close(engine, h.now, id));
        break;
    case 2:
        (void)DONE(circflow_circuit_set_flags(engine, id, take8()));
        break;
    case 3:
        report = some_report(at);
        (void)DONE(circflow_leg_update(engine, h.now, maybe(&report), 1));
        break;
    case 4:
        (void)DONE(circflow_circuit_cell_queued(engine, h.now, id, take8(), take8() % 4));
        break;
    case 5:
        (void)DONE(circflow_circuit_built(engine, h.now, id));
        break;
    case 6:
        (void)DONE(circflow_circuit_set_writable(engine, h.now, id, take8() % 3, take8() % 2));
        break;
    case 7:
        (void)DONE(circflow_circuit_cells_written(engine, h.now, id, take8()));
        break;
    case 8:
        (void)DONE(circflow_circuit_cell_passed(engine, h.now, id));
        break;
    case 9:
        (void)DONE(circflow_circuit_get_stats(engine, id, maybe(&stats)));
        break;
    case 10:
        (void)DONE(circflow_leg_get_stats(engine, id, maybe(&leg)));
        break;
    case 11:
        MUST(circflow_extension_config_init(&more, sizeof more) == CIRCFLOW_OK);
        more.join_point = take8() % 2;
        more.hops = take8() % 8 ? 0 : take8();
        more.flags = take8() % 8 ? CIRCFLOW_CIRCUIT_VEGAS : take8();
        more.sendme_inc = take8() % 4 ? 0 : take8();
        (void)DONE(circflow_circuit_extend(engine, h.now, id, maybe(&more)));
        break;
    default:
        (void)DONE(circflow_circuit_add_digest(engine, id, take8() % 5, maybe(h.scratch), take8() % 24));
        break;
    }
}

static void channel_rest(int at)
{
    circflow_engine *engine = of(at);
    circflow_channel_id *one = &h.nodes[at].channels[take8() % CHANNELS];
    /* Now and then the id of something else. */
    circflow_channel_id channel = {take8() % 16 ? one->v : some_circuit(at).v};
    circflow_channel_stats stats;
    stats.size = sizeof stats;
    switch (take8() % 8) {
    case 0:
        (void)DONE(circflow_channel_open(engine, take8() % 40, maybe(one)));
        break;
    case 1:
        (void)DONE(circflow_channel_close(engine, channel));
        break;
    case 2:
        if (DONE(circflow_channel_get_stats(engine, channel, maybe(&stats))))
            MUST(stats.in_line <= stats.sides);
        break;
    case 3:
    case 4:
        (void)DONE(circflow_channel_set_room(engine, h.now, channel, take8() % 16 ? take8() % 8 : take32()));
        break;
    default:
        if (take8() % 4 == 0)
            channel.v = 0;
        (void)DONE(circflow_circuit_set_channel(engine, h.now, some_circuit(at), take8() % 3, channel));
        break;
    }
}

/* A leg that is named is the set's, and is the one that counts; one that is refused changes nothing. */
static void name_leg(int at, circflow_set_id set)
{
    circflow_circuit_id leg = some_circuit(at);
    circflow_set_stats was, is;
    was.size = is.size = sizeof was;
    int known = circflow_set_get_stats(of(at), set, &was) == CIRCFLOW_OK;
    if (take8() % 4 == 0)
        leg.v = 0;
    int done = DONE(circflow_set_use_leg(of(at), set, leg));
    if (known && circflow_set_get_stats(of(at), set, &is) == CIRCFLOW_OK)
        MUST(is.named_leg.v == (done ? leg.v : was.named_leg.v));
    else
        MUST(!done);
}

static void set_rest(int at)
{
    circflow_engine *engine = of(at);
    circflow_set_id set = some_set(at);
    circflow_set_stats stats;
    circflow_circuit_id out = {0};
    circflow_set_config terms;
    circflow_circuit_id legs[2];
    stats.size = sizeof stats;
    switch (take8() % 11) {
    case 0:
        (void)DONE(circflow_set_close(engine, h.now, set));
        break;
    case 1:
        (void)DONE(circflow_set_dissolve(engine, h.now, set, maybe(&out)));
        break;
    case 2:
        (void)DONE(circflow_set_retag(engine, set, take8()));
        (void)DONE(circflow_set_check(engine, set));
        break;
    case 3:
        (void)DONE(circflow_set_use_algorithm(engine, set, take8() % 11));
        break;
    case 4:
        (void)DONE(circflow_set_get_stats(engine, set, maybe(&stats)));
        break;
    case 5:
        (void)DONE(circflow_set_adopt_leg(engine, h.now, set, some_circuit(at), take8() % 7, take_scaled()));
        break;
    case 6:
        legs[0] = some_circuit(at);
        legs[1] = some_circuit(at);
        (void)DONE(circflow_set_add_legs(engine, h.now, set, maybe(legs), take8() % 3));
        break;
    case 7:
        legs[0] = some_circuit(at);
        (void)DONE(circflow_set_launch_legs(engine, h.now, set, maybe(legs), take8() % 2));
        break;
    case 8:
        name_leg(at, set);
        break;
    case 9:
        (void)DONE(circflow_set_expect(engine, set, take_scaled()));
        break;
    default:
        MUST(circflow_set_config_init(&terms, sizeof terms) == CIRCFLOW_OK);
        terms.legs_max = take8();
        terms.desired_ux = take8();
        (void)DONE(circflow_engine_accept_sets(engine, maybe(&terms)));
        break;
    }
}

/* What a sink got, added up, so that a sanitizer sees each byte read. */
static uint64_t poured;

static void pour(void *userdata, const uint8_t *piece, size_t len)
{
    (void)userdata;
    while (len--) poured += *piece++;
}

static uint64_t sum(const uint64_t *counts, size_t count)
{
    uint64_t all = 0;
    while (count--) all += counts[count];
    return all;
}

/* What the totals say must agree with the figures of the moment. */
static void totals(int at, circflow_engine *engine)
{
    char text[1 << 15];
    size_t len = take8() % 4 ? sizeof text : take16();
    circflow_engine_counters totals;
    circflow_engine_stats stats;
    totals.size = sizeof totals;
    stats.size = sizeof stats;
    (void)DONE(circflow_engine_write_metrics(engine, maybe(text), len < sizeof text ? len : sizeof text, &len));
    MUST(circflow_status_place((int32_t)take32()) <= CIRCFLOW_COUNTED_STATUSES);
    if (!DONE(circflow_engine_get_counters(engine, &totals)) ||
        circflow_engine_get_stats(engine, &stats) != CIRCFLOW_OK)
        return;
    MUST(sum(totals.faults, CIRCFLOW_COUNTED_STATUSES) == stats.peer_faults);
    MUST(totals.sets_opened_by_host + totals.sets_opened_by_peer ==
         totals.sets + totals.sets_dissolved + sum(totals.sets_ended, CIRCFLOW_COUNTED_STATUSES));
    MUST(totals.order_bytes + totals.sending_bytes + totals.edge_bytes + totals.crossing_bytes + totals.stream_bytes ==
         stats.held_bytes);
    MUST(totals.leaving_bytes == stats.leaving_bytes);
    MUST(totals.messages_released <= totals.messages_held && totals.messages_held < UINT64_C(1) << 40);
    MUST(totals.messages_in_order < UINT64_C(1) << 40 && totals.messages_sent < UINT64_C(1) << 40);
}

static void record(int at, circflow_engine *engine)
{
    uint8_t piece[4096];
    uint64_t overwritten;
    size_t len;
    switch (take8() % 5) {
    case 4: totals(at, engine); break;
    case 0: (void)DONE(circflow_engine_record(engine, take8() % 4 ? 8192 : take32() % 8192, take32() % 4096)); break;
    case 1: (void)DONE(circflow_engine_set_record_sink(engine, take8() % 2 ? pour : NULL, NULL)); break;
    default:
        len = take8() % 4 ? sizeof piece : take8();
        (void)DONE(circflow_engine_record_read(engine, maybe(piece), len, &len, maybe(&overwritten)));
    }
}

static void engine_rest(int at)
{
    static const char *const params[] = {"cc_alg", "cc_cwnd_init", "cc_cwnd_max", "cc_cwnd_min", "cc_sendme_inc",
                                         "cc_xoff_client", "cc_xon_rate", "cc_vegas_alpha_exit", "cfx_drain_pct",
                                         "cfx_max_legs_set", "circpad_padding_disabled", "sendme_emit_min_version", ""};
    circflow_engine *engine = of(at);
    circflow_hub_stats hub;
    circflow_padding_budget budget;
    circflow_victim victims[4];
    uint64_t number;
    uint32_t value;
    uint8_t path, which;
    char text[300];
    size_t len;
    hub.size = sizeof hub;
    switch (take8() % 8) {
    case 7: record(at, engine); break;
    case 6:
        MUST(circflow_padding_budget_init(&budget, sizeof budget) == CIRCFLOW_OK);
        budget.allowed_cells = take8();
        budget.percent_max = take8() % 110;
        budget.disabled = take8() % 8 == 0;
        budget.reduced = take8() % 8 == 0;
        if (take8() % 2)
            (void)DONE(circflow_engine_set_padding_budget(engine, maybe(&budget)));
        else
            (void)handled(circflow_hub_set_padding_budget(the_hub(), maybe(&budget)));
        break;
    case 0:
        (void)DONE(circflow_engine_trim(engine, maybe(&number)));
        if (DONE(circflow_engine_choose_victims(engine, number, victims, take8() % 5, &len, maybe(&number))))
            MUST(len <= 4);
        break;
    case 1:
        len = take8() % 4 == 0 ? 5 : sizeof text;
        (void)DONE(circflow_engine_get_last_detail(engine, maybe(text), len, &len));
        break;
    case 2:
        path = take8() % 4;
        which = take8() % (sizeof params / sizeof *params);
        value = take8() % 2 ? take8() : take32();
        if (DONE(circflow_engine_set_param(engine, path, maybe((void *)params[which]), value)) &&
            DONE(circflow_engine_get_param(engine, path, params[which], maybe(&value))))
            MUST(circflow_engine_set_param(engine, path, params[which], value) == CIRCFLOW_OK);
        break;
    case 3:
        number = take_scaled();
        if (handled(circflow_hub_choose_victims(the_hub(), number, victims, take8() % 5, &len, maybe(&number))))
            MUST(len <= 4);
        break;
    case 4:
        (void)handled(circflow_hub_get_stats(the_hub(), maybe(&hub)));
        break;
    default:
        node_free(at);
        if (h.nodes[at].engine == NULL)
            node_new(at);
        break;
    }
}

static int32_t on_try_send(void *userdata, const circflow_queue_item *item)
{
    (void)userdata;
    (void)item;
    return h.answers & 8 ? take8() % 4 : h.answers % 3;
}

static int32_t on_is_closed(void *userdata)
{
    (void)userdata;
    return (h.answers & 48) == 48;
}

static void queue(void)
{
    circflow_queue_sink channel = {on_try_send, on_is_closed, NULL};
    circflow_queue_item item;
    uint8_t kept = 0, pending = 0, *bytes = NULL;
    uint32_t count = 0;
    size_t len;
    h.answers = take8();
    memset(&item, 0, sizeof item);
    switch (take8() % 5) {
    case 0:
        item.form = CIRCFLOW_FORM_TOKEN;
        item.token = token_new();
        if (handled(circflow_queue_push(the_queue(), &item, &kept, &channel)) && kept)
            token_lend(item.token);
        break;
    case 1:
        bytes = take_bytes(70, &len);
        item.bytes = bytes;
        item.bytes_len = (uint32_t)len;
        (void)handled(circflow_queue_push(the_queue(), maybe(&item), maybe(&kept), maybe(&channel)));
        break;
    case 2:
        /* What the channel takes is the channel's, which keeps no books. */
        memset(&channel, 0, sizeof channel);
        (void)handled(circflow_queue_drain(the_queue(), maybe(&count), &channel));
        break;
    case 3:
        if (handled(circflow_queue_take(the_queue(), h.scratch, take8() % 2 ? sizeof h.scratch : 3, &item)) &&
            item.form == CIRCFLOW_FORM_TOKEN)
            token_back(item.token);
        break;
    default:
        MUST(circflow_queue_get_len(h.queue, &count) == CIRCFLOW_OK);
        MUST(circflow_queue_get_pending(h.queue, &pending) == CIRCFLOW_OK);
        MUST((count > 0) == pending && count <= 5);
        break;
    }
    free(bytes);
}

/* Decoders, with exactly the bytes they are told of. */
static void wire_bodies(void)
{
    size_t len;
    uint8_t *body = take_bytes(CIRCFLOW_CELL_BODY_LEN, &len), tag[20], out[CIRCFLOW_CELL_BODY_LEN];
    circflow_link link;
    circflow_message message;
    uint32_t number = 0;
    uint8_t format = take8() % 3;
    memset(out, 0, sizeof out);
    (void)status_ok(circflow_switch_decode(maybe(body), len, maybe(&number)));
    (void)status_ok(circflow_switch_encode(number, maybe(out)));
    if (status_ok(circflow_link_decode(body, len, maybe(&link))))
        (void)status_ok(circflow_link_encode(maybe(&link), out));
    (void)status_ok(circflow_xon_decode(body, len, &number));
    (void)status_ok(circflow_xon_encode(number, out));
    (void)status_ok(circflow_xoff_decode(body, len));
    if (status_ok(circflow_sendme_decode(body, len, tag, &len)) && len > 0)
        (void)status_ok(circflow_sendme_encode(tag, len, out, maybe(&len)));
    free(body);
    message = some_message(&body);
    if (status_ok(circflow_cell_encode(format, &message, out, maybe(&len)))) {
        circflow_message again;
        MUST(circflow_cell_decode(format, out, &again) == CIRCFLOW_OK);
        MUST(again.command == message.command && again.stream_id == message.stream_id);
        MUST(again.body_len == message.body_len && memcmp(again.body, message.body, again.body_len) == 0);
    }
    memset(out, take8(), sizeof out);
    for (size_t i = 0; i < 24; i++)
        out[i] = take8();
    (void)status_ok(circflow_cell_decode(format, out, &message));
    MUST(circflow_command_is_multiplexed(take8()) <= 1);
    MUST(circflow_version() == CIRCFLOW_VERSION);
    free(body);
}

void operate(void)
{
    uint8_t what = take8();
    int at = what / 64 % ENGINES;
    if (h.nodes[at].engine == NULL)
        return;
    switch (what % 64) {
    default:
    case 0: case 1: case 2: drain(at, 1 + take8()); break;
    case 3: case 4: drain(at, DRAIN_MAX); break;
    case 5: case 6: case 7: case 8: case 9: case 10: arrive(at); break;
    case 11: case 12: open_pair(); break;
    case 13: open_any(at); break;
    case 14: case 15: link_up(at); break;
    case 16: case 17: case 18: receive_any(at); break;
    case 19: case 20: case 21: set_send(at, 0); break;
    case 22: case 23: set_send(at, 1); break;
    case 24: case 25: send_any(at, 0); break;
    case 26: case 27: case 28: send_any(at, 1); break;
    case 29: case 30: relay(at); break;
    case 31: case 32: case 33: open_stream(at); break;
    case 34: case 35: take_next(at); break;
    case 36: poll_one(at); break;
    case 37: numbers(at); break;
    case 38: case 39: load_machines(at); break;
    case 40: case 41: case 42: padding(at); break;
    case 43: case 44: case 45: stream_rest(at); break;
    case 46: case 47: circuit_rest(at); break;
    case 48: channel_rest(at); break;
    case 49: case 50: set_rest(at); break;
    case 51: engine_rest(at); break;
    case 52: case 53: queue(); break;
    case 54: wire_bodies(); break;
    case 55: case 56: case 57: move_time(); break;
    case 58: (void)DONE(circflow_engine_tick(of(at), h.now)); break;
    case 59: (void)DONE(circflow_engine_set_clock(of(at), h.now)); break;
    case 60: h.null_in = 1 + take8() % 4; break;
    case 61: h.nest = take8() % 8; break;
    case 62: h.stray_in = 1 + take8() % 4; break;
    case 63: hub_new_or_gone(); break;
    }
}
