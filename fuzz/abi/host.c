#include "host.h"

host h;

enum { NEVER, LENT, BACK };

void fail(const char *what, int line)
{
    fprintf(stderr, "fuzz host: line %d: this must hold: %s\n", line, what);
    abort();
}

uint8_t take8(void)
{
    return h.at < h.stop ? *h.at++ : 0;
}

uint16_t take16(void)
{
    uint16_t high = take8();
    return (uint16_t)(high << 8 | take8());
}

uint32_t take32(void)
{
    uint32_t high = take16();
    return high << 16 | take16();
}

uint64_t take_scaled(void)
{
    uint8_t size = take8() & 63;
    return ((uint64_t)take8() << size) + (size & 1);
}

uint8_t *take_bytes(size_t max, size_t *len)
{
    uint8_t *bytes;
    size_t left = (size_t)(h.stop - h.at), real;
    *len = take16() % (max + 1);
    bytes = malloc(*len + !*len);
    if (bytes == NULL)
        abort();
    real = left > 2 ? left - 2 : 0;
    real = real < *len && real < 64 ? real : (*len < 64 ? *len : 64);
    memset(bytes, 0, *len);
    /* The first bytes are the input's, the rest repeats one: long bodies need not be in it. */
    for (size_t i = 0; i < *len; i++)
        bytes[i] = i < real && h.at < h.stop ? *h.at++ : 0xa5;
    return bytes;
}

void *maybe(void *pointer)
{
    if (h.null_in > 0 && --h.null_in == 0)
        return NULL;
    return pointer;
}

/* The handle, or, when its turn has come, one of another kind. */
static void *stray(void *handle)
{
    void *others[1 + ENGINES + 3];
    size_t count = 0;
    h.stray = 0;
    if (h.stray_in == 0 || --h.stray_in > 0)
        return handle;
    others[count++] = h.queue;
    others[count++] = h.hub;
    if (h.gone != NULL)
        others[count++] = h.gone;
    for (int at = 0; at < ENGINES; at++)
        if (h.nodes[at].engine != NULL)
            others[count++] = h.nodes[at].engine;
    return others[take8() % count];
}

static int is_engine(const void *handle)
{
    for (int at = 0; at < ENGINES; at++)
        if (h.nodes[at].engine == handle)
            return 1;
    return 0;
}

/* What is of the right kind after all is nobody's mistake. */
static void *unless(void *handle, int right, void *own)
{
    h.stray = handle != own && !right;
    h.strayed += (unsigned)h.stray;
    return h.stray ? handle : own;
}

circflow_engine *of(int at)
{
    void *own = h.nodes[at].engine, *handle = stray(own);
    return unless(handle, is_engine(handle), own);
}

circflow_queue *the_queue(void)
{
    return unless(stray(h.queue), 0, h.queue);
}

/* Not one that was let go: that may still be asked for its figures. */
circflow_hub *the_hub(void)
{
    void *handle = stray(h.hub);
    return unless(handle, handle == h.gone, h.hub);
}

uint64_t token_new(void)
{
    if (h.next_token + 1 < TOKENS)
        h.next_token++;
    return h.next_token;
}

void token_lend(uint64_t token)
{
    MUST(token < TOKENS);
    if (token + 1 < TOKENS) {
        MUST(h.tokens[token] != LENT);
        h.tokens[token] = LENT;
    }
}

void token_back(uint64_t token)
{
    MUST(token < TOKENS);
    if (token + 1 < TOKENS) {
        MUST(h.tokens[token] == LENT);
        h.tokens[token] = BACK;
    }
}

void wire_put(int to, int slot, const cell *what)
{
    wire *in = &h.nodes[to].ends[slot].in;
    if (in->count < WIRE)
        in->cells[(in->first + in->count++) % WIRE] = *what;
}

int wire_take(int at, int slot, cell *what)
{
    wire *in = &h.nodes[at].ends[slot].in;
    if (in->count == 0)
        return 0;
    *what = in->cells[in->first];
    in->first = (in->first + 1) % WIRE;
    in->count--;
    return 1;
}

/* Sends a cell from an end: its digest is a fresh one, and said when it is asked for. */
static void put_on_wire(int at, int slot, cell *out, uint32_t flags)
{
    end *from = &h.nodes[at].ends[slot];
    uint64_t count = ++h.tag_count;
    if (from->peer < 0)
        return;
    memset(out->tag, 0x5a, sizeof out->tag);
    memcpy(out->tag, &count, sizeof count);
    if (flags & CIRCFLOW_WANTS_DIGEST)
        (void)circflow_circuit_add_digest(h.nodes[at].engine, from->id, out->hop, out->tag, sizeof out->tag);
    out->hop = at == 0 ? 0 : HOPS;
    wire_put(from->peer, slot, out);
}

static void fill(cell *out, const uint8_t *body, size_t len)
{
    MUST(len <= sizeof out->body);
    out->body_len = (uint16_t)len;
    if (len > 0)
        memcpy(out->body, body, len);
}

void write_out(int at, const circflow_verdict *verdict, const circflow_message *message)
{
    cell out;
    int slot = (int)(verdict->circuit_tag % SLOTS);
    memset(&out, 0, sizeof out);
    out.hop = at == 0 ? HOPS : 0;
    if (verdict->switch_delta != 0) {
        cell before = out;
        before.command = CIRCFLOW_CMD_SWITCH;
        before.body_len = CIRCFLOW_SWITCH_LEN;
        MUST(circflow_switch_encode(verdict->switch_delta, before.body) == CIRCFLOW_OK);
        put_on_wire(at, slot, &before, 0);
    }
    out.command = message->command;
    out.stream_id = message->stream_id;
    if (message->form == CIRCFLOW_FORM_BYTES && message->body != NULL)
        fill(&out, message->body, message->body_len < sizeof out.body ? message->body_len : sizeof out.body);
    else
        fill(&out, h.scratch, 8);
    put_on_wire(at, slot, &out, verdict->flags);
}

static void keep_set(node *on, circflow_set_id set)
{
    for (size_t i = 0; i < SETS; i++)
        if (on->sets[i].v == set.v)
            return;
    on->sets[on->next_set++ % SETS] = set;
}

void obey(int at, const circflow_insn *insn, const uint8_t *body)
{
    node *on = &h.nodes[at];
    int slot = (int)(insn->circuit_tag % SLOTS);
    cell out;
    memset(&out, 0, sizeof out);
    MUST(strncmp(circflow_insn_kind_name(insn->kind), "CIRCFLOW_INSN_", 14) == 0);
    h.insns[insn->kind % 32]++;
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND:
        out.command = insn->detail.send.command;
        out.hop = insn->detail.send.hop;
        out.stream_id = insn->detail.send.stream_id;
        if (insn->detail.send.form == CIRCFLOW_FORM_TOKEN)
            token_back(insn->detail.send.token);
        else
            fill(&out, body, insn->detail.send.body_len);
        put_on_wire(at, slot, &out, insn->flags);
        break;
    case CIRCFLOW_INSN_PADDING:
        on->asked = insn->detail.padding;
        out.command = insn->detail.padding.command;
        out.hop = insn->detail.padding.hop;
        if (!(insn->detail.padding.flags & CIRCFLOW_PADDING_ASKS))
            put_on_wire(at, slot, &out, 0);
        break;
    case CIRCFLOW_INSN_DELIVER:
        if (insn->detail.deliver.form == CIRCFLOW_FORM_TOKEN)
            token_back(insn->detail.deliver.token);
        else
            fill(&out, body, insn->detail.deliver.body_len);
        break;
    case CIRCFLOW_INSN_DISCARD:
        token_back(insn->detail.discard.token);
        break;
    case CIRCFLOW_INSN_WRITE:
        if (insn->detail.write.form == CIRCFLOW_FORM_TOKEN)
            token_back(insn->detail.write.token);
        else
            fill(&out, body, insn->detail.write.body_len);
        break;
    case CIRCFLOW_INSN_LINKED:
    case CIRCFLOW_INSN_USABLE:
        keep_set(on, insn->set);
        break;
    case CIRCFLOW_INSN_CLOSE:
        MUST(circflow_status_text(insn->detail.close.cause) != NULL);
        break;
    default:
        break;
    }
}

static void on_insn(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    int at = *(int *)userdata;
    obey(at, insn, body);
    if (h.nest > 0 && h.depth == 1) {
        h.nest--;
        h.depth++;
        operate();
        h.depth--;
    }
}

void drain(int at, size_t budget)
{
    node *on = &h.nodes[at];
    circflow_engine *engine;
    enum circflow_status status;
    uint8_t more = 0;
    int is_stray;
    if (on->draining)
        return;
    on->draining = 1;
    engine = of(at);
    is_stray = h.stray;
    status = circflow_engine_drain(engine, budget, maybe(&more), on_insn, &at);
    MUST(!is_stray || status == CIRCFLOW_ERR_BAD_HANDLE);
    on->draining = 0;
}

static void on_discard(void *userdata, uint64_t token, uint32_t cost)
{
    (void)userdata;
    (void)cost;
    token_back(token);
}

static void on_leftover(void *userdata, const circflow_queue_item *item)
{
    (void)userdata;
    if (item->form == CIRCFLOW_FORM_TOKEN)
        token_back(item->token);
}

/* Ours looks at all loops anyway. What the header lets it call answers, also when the hub was let go; and no engine goes
 * from inside it, not the one that is being freed either. */
static void on_notify(void *userdata)
{
    const node *on = userdata;
    circflow_hub_stats stats;
    stats.size = sizeof stats;
    h.notified++;
    MUST(circflow_hub_get_stats(on->hub, &stats) == CIRCFLOW_OK);
    MUST(stats.engines <= ENGINES);
    for (int at = 0; at < ENGINES; at++)
        if (h.nodes[at].engine != NULL)
            MUST(circflow_engine_free(h.nodes[at].engine, on_discard, NULL) == CIRCFLOW_ERR_REENTRANT);
}

static void hub_new(void)
{
    circflow_hub_config config;
    MUST(circflow_hub_config_init(&config, sizeof config) == CIRCFLOW_OK);
    memset(config.seed, 9, sizeof config.seed);
    MUST(circflow_hub_new(&config, &h.hub) == CIRCFLOW_OK);
}

static int is_needed(const circflow_hub *hub)
{
    for (int at = 0; at < ENGINES; at++)
        if (h.nodes[at].engine != NULL && h.nodes[at].hub == hub)
            return 1;
    return 0;
}

/* A hub that was let go answers one call as long as an engine needs it, and refuses all others. */
static void hub_check_gone(void)
{
    circflow_hub_stats stats;
    circflow_padding_budget budget;
    circflow_victim victim;
    size_t count;
    stats.size = sizeof stats;
    MUST(circflow_hub_get_stats(h.gone, &stats) == CIRCFLOW_OK);
    MUST(circflow_padding_budget_init(&budget, sizeof budget) == CIRCFLOW_OK);
    MUST(circflow_hub_set_padding_budget(h.gone, &budget) == CIRCFLOW_ERR_BAD_HANDLE);
    MUST(circflow_hub_choose_victims(h.gone, 1, &victim, 1, &count, NULL) == CIRCFLOW_ERR_BAD_HANDLE);
    MUST(circflow_engine_join(h.nodes[0].engine, h.gone, on_notify, &h.nodes[0]) == CIRCFLOW_ERR_BAD_HANDLE);
    MUST(circflow_hub_free(h.gone) == CIRCFLOW_ERR_BAD_HANDLE);
}

/* Nor does anything go that is of another kind. */
static void free_strays(void)
{
    circflow_engine *engine = h.nodes[take8() % ENGINES].engine;
    MUST(circflow_engine_free((void *)h.queue, on_discard, NULL) == CIRCFLOW_ERR_BAD_HANDLE);
    MUST(circflow_engine_free((void *)h.hub, on_discard, NULL) == CIRCFLOW_ERR_BAD_HANDLE);
    MUST(circflow_queue_free((void *)h.hub, on_leftover, NULL) == CIRCFLOW_ERR_BAD_HANDLE);
    MUST(circflow_hub_free((void *)h.queue) == CIRCFLOW_ERR_BAD_HANDLE);
    if (engine == NULL)
        return;
    MUST(circflow_queue_free((void *)engine, on_leftover, NULL) == CIRCFLOW_ERR_BAD_HANDLE);
    MUST(circflow_hub_free((void *)engine) == CIRCFLOW_ERR_BAD_HANDLE);
}

void hub_new_or_gone(void)
{
    free_strays();
    if (h.gone != NULL) {
        hub_check_gone();
        return;
    }
    MUST(circflow_hub_free(h.hub) == CIRCFLOW_OK);
    h.gone = is_needed(h.hub) ? h.hub : NULL;
    hub_new();
}

static void node_join(int at)
{
    node *on = &h.nodes[at];
    on->hub = h.hub;
    MUST(circflow_engine_join(on->engine, h.hub, on_notify, on) == CIRCFLOW_OK);
}

void node_new(int at)
{
    node *on = &h.nodes[at];
    circflow_engine_config config;
    circflow_set_config terms;
    uint8_t shape = take8();
    memset(on, 0, sizeof *on);
    for (int slot = 0; slot < SLOTS; slot++)
        on->ends[slot].peer = -1;
    MUST(circflow_engine_config_init(&config, sizeof config) == CIRCFLOW_OK);
    memset(config.seed, at + 1, sizeof config.seed);
    config.engine_number = (uint32_t)at + 1;
    if (shape & 1)
        config.insns_max = 1 + shape % 7;
    if (shape & 2)
        config.held_bytes_max = 4096;
    if (shape & 4) {
        config.edge_high_cells = 4;
        config.edge_low_cells = 1;
    }
    if (shape & 8)
        config.circuits_max = config.sets_max = 4;
    if (shape & 16)
        config.streams_max = 3;
    MUST(circflow_engine_new(&config, &on->engine) == CIRCFLOW_OK);
    if (h.hub != NULL && at > 0 && !(shape & 32))
        node_join(at);
    if (at > 0 && !(shape & 64)) {
        MUST(circflow_set_config_init(&terms, sizeof terms) == CIRCFLOW_OK);
        terms.legs_max = 4;
        MUST(circflow_engine_accept_sets(on->engine, &terms) == CIRCFLOW_OK);
    }
}

void node_free(int at)
{
    node *on = &h.nodes[at];
    if (on->draining) {
        MUST(circflow_engine_free(on->engine, on_discard, NULL) == CIRCFLOW_ERR_REENTRANT);
        return;
    }
    MUST(circflow_engine_free(on->engine, on_discard, NULL) == CIRCFLOW_OK);
    on->engine = NULL;
    if (!is_needed(h.gone))
        h.gone = NULL;
    for (int other = 0; other < ENGINES; other++)
        for (int slot = 0; slot < SLOTS; slot++)
            if (h.nodes[other].ends[slot].peer == at)
                h.nodes[other].ends[slot].peer = -1;
}

static void on_log(void *userdata, uint32_t level, uint32_t engine_number, const char *line)
{
    (void)userdata;
    (void)engine_number;
    MUST(level >= 1 && level <= 5 && strlen(line) > 0);
}

static void print_said(void)
{
    for (int kind = 1; kind < 16; kind++)
        fprintf(stderr, "insn %d: %u\n", kind, h.insns[kind]);
    fprintf(stderr, "notified %u, stray handles %u\n", h.notified, h.strayed);
    for (int kind = 1; kind < 8; kind++)
        fprintf(stderr, "verdict %d: %u\n", kind, h.verdicts[kind]);
}

int circflow_fuzz_abi(const uint8_t *bytes, size_t len);

/* Plays one input. */
int circflow_fuzz_abi(const uint8_t *bytes, size_t len)
{
    circflow_queue_config queue;
    memset(&h, 0, sizeof h);
    h.at = bytes;
    h.stop = bytes + len;
    h.now = UINT64_C(1000000000);
    MUST(circflow_log_set_fn(take8() % 5 + 1, on_log, NULL) == CIRCFLOW_OK);
    hub_new();
    MUST(circflow_queue_config_init(&queue, sizeof queue) == CIRCFLOW_OK);
    queue.backlog_max = 5;
    queue.item_bytes_max = 64;
    MUST(circflow_queue_new(&queue, &h.queue) == CIRCFLOW_OK);
    for (int at = 0; at < ENGINES; at++)
        node_new(at);
    for (int ops = 0; ops < OPS_MAX && h.at < h.stop; ops++) {
        h.depth = 1;
        operate();
    }
    h.null_in = h.nest = h.stray_in = 0;
    for (int at = 0; at < ENGINES; at++)
        node_free(at);
    MUST(circflow_queue_free(h.queue, on_leftover, NULL) == CIRCFLOW_OK);
    MUST(circflow_hub_free(h.hub) == CIRCFLOW_OK);
    for (size_t token = 0; token + 1 < TOKENS; token++)
        MUST(h.tokens[token] != LENT);
    MUST(circflow_log_set_fn(1, NULL, NULL) == CIRCFLOW_OK);
    if (getenv("CIRCFLOW_FUZZ_SAID") != NULL)
        print_said();
    return 0;
}
