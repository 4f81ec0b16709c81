/* Padding on a virtual clock: the table of bypass, replace and blocking, row by row; what blocking holds, and how it is
 * let out. The machines are in tests/common/machines.rs. */

#include "host.h"

#include <stdio.h>

static host_world world;
static host_ledger ledger;

#define CLIENT world.client
#define LEG(i) world.client_leg[i]
#define TEXTS_MAX 40

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&ledger, 0, sizeof(ledger));
    return 0;
}

HOST_TEARDOWN

/* A client's circuit of three hops, alone. */
static void alone(void)
{
    if (world.client_circuit.size == 0)
        host_prepare(&world);
    host_start(&world);
    host_pair(&world);
}

/* A set of adopted legs, each with room for 50 cells; leg 0 is the fastest. */
static void legs(size_t count)
{
    host_adopted(&world, count);
    for (size_t i = 0; i < count; i++)
        host_room(&world, CLIENT, LEG(i), 50, 0);
}

static void pad_on(size_t leg, const char *machines, uint8_t hop) { host_pad(&world, CLIENT, LEG(leg), machines, hop, 0); }
static circflow_padding_stats stats_of(size_t leg, uint8_t hop) { return host_pad_stats(CLIENT, LEG(leg), hop, 0); }

/* Moves the clock to so many milliseconds after the start, and ticks. */
static const host_events *at(uint64_t ms)
{
    world.now = HOST_START + ms * MS;
    return host_tick(&world, CLIENT);
}

static void quiet_at(uint64_t ms) { assert_int_equal(at(ms)->count, 0); }
static void due_at(uint64_t ms) { assert_int_equal(host_deadline(CLIENT), HOST_START + ms * MS); }

static int send_message(size_t leg, circflow_message message, circflow_verdict *verdict)
{
    return circflow_circuit_send(CLIENT, world.now, LEG(leg), &message, verdict);
}

static void send_alone(uint8_t hop, const char *text, uint32_t kind)
{
    circflow_verdict verdict;
    OK(send_message(0, host_data(hop, text), &verdict));
    assert_int_equal(verdict.kind, kind);
    assert_int_equal(verdict.circuit.v, LEG(0).v);
    assert_int_equal(verdict.circuit_tag, 0xc000);
    assert_int_equal(verdict.number, 0);
    assert_int_equal(verdict.switch_delta, 0);
}

static int send_status(uint8_t command, const char *text, circflow_verdict *verdict)
{
    circflow_message message = host_message(command, HOST_HOPS, 7, text, strlen(text));
    return circflow_set_send(CLIENT, world.now, world.client_set, &message, NULL, 0, verdict);
}

static void send_set(uint8_t command, const char *text, uint32_t kind)
{
    circflow_verdict verdict;
    OK(send_status(command, text, &verdict));
    assert_int_equal(verdict.kind, kind);
    if (kind == CIRCFLOW_VERDICT_HELD) {
        assert_int_equal(verdict.circuit.v, 0);
        assert_int_equal(verdict.number, 0);
    }
}

/* One leg of a set, or a circuit alone. */
static void begin(int in_set)
{
    if (in_set)
        legs(1);
    else
        alone();
}

/* DATA of the set, or of the circuit alone. */
static void send_data(int in_set, const char *text, uint32_t kind)
{
    if (in_set)
        send_set(CIRCFLOW_CMD_DATA, text, kind);
    else
        send_alone(HOST_HOPS, text, kind);
}

static int data_status(int in_set, circflow_verdict *verdict)
{
    return in_set ? send_status(CIRCFLOW_CMD_DATA, "x", verdict) : send_message(0, host_data(HOST_HOPS, "x"), verdict);
}

/* A machine at hop 2 blocks from now on, as a DROP has come from there. */
static void block_by(const char *machines)
{
    pad_on(0, machines, 2);
    host_drop(&world, CLIENT, LEG(0), 2);
    quiet_at(0);
}

/* An instruction that sends the set's message with this text. */
static void is_of_set(const host_event *event, size_t leg, const char *text, uint64_t number)
{
    host_is_data(event, LEG(leg), HOST_HOPS, text);
    assert_int_equal(event->insn.set.v, world.client_set.v);
    assert_int_equal(event->insn.set_tag, 0xc11e);
    assert_int_equal(event->insn.circuit_tag, 0xc000 + leg);
    assert_int_equal(event->insn.detail.send.number, number);
}

static void is_switch(const host_event *event, size_t leg, uint32_t delta)
{
    uint8_t body[CIRCFLOW_SWITCH_LEN];
    assert_int_equal(event->insn.kind, CIRCFLOW_INSN_SEND);
    assert_int_equal(event->insn.circuit.v, LEG(leg).v);
    assert_int_equal(event->insn.detail.send.command, CIRCFLOW_CMD_SWITCH);
    assert_int_equal(event->insn.detail.send.body_len, CIRCFLOW_SWITCH_LEN);
    assert_int_equal(event->insn.detail.send.number, 0);
    OK(circflow_switch_encode(delta, body));
    assert_memory_equal(event->body, body, sizeof(body));
}

/* What is queued when the padding is due. */
enum { NOTHING, HELD, STUCK, PAST, WRITTEN, EARLIER, HELD_EARLIER, QUEUES };
enum { OPEN, LETS_PADDING_PASS, SHUT };

/* For each kind of queue what happens: P padding is sent, Q it is queued behind the block, C what waits counts, R one
 * held message is let out; a dot is what cannot be. */
static const struct {
    int gate, bypass, replace;
    const char *alone, *in_set;
} table[] = {
    /*                          N H S P W E e */
    {OPEN, 0, 0, /*           */ "P..PPP.", "P.PPPP."},
    {OPEN, 1, 0, /*           */ "P..PPP.", "P.PPPP."},
    {OPEN, 0, 1, /*           */ "P..CPP.", "P..CPP."},
    {OPEN, 1, 1, /*           */ "P..CPP.", "P..CPP."},
    {LETS_PADDING_PASS, 0, 0, "QQ.QQQQ", "QQQQQQ."},
    {LETS_PADDING_PASS, 1, 0, "PP.PPPP", "PPPPPP."},
    {LETS_PADDING_PASS, 0, 1, "QC.CQQQ", "QCCCQQ."},
    {LETS_PADDING_PASS, 1, 1, "PR.CPPP", "PRPCPP."},
    {SHUT, 0, 0, /*           */ "QQ.QQQQ", "QQQQQQ."},
    {SHUT, 1, 0, /*           */ "QQ.QQQQ", "QQQQQQ."},
    {SHUT, 0, 1, /*           */ "QC.CQQQ", "QCCCQQ."},
    {SHUT, 1, 1, /*           */ "QC.CQQQ", "QCCCQQ."},
};

static void queue_before(int queue, int in_set)
{
    if (queue == PAST || queue == WRITTEN)
        send_data(in_set, "past", CIRCFLOW_VERDICT_SEND);
    if (queue == EARLIER)
        OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(0), CIRCFLOW_CMD_DATA, 1));
    if (queue == WRITTEN)
        OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
}

static void queue_after(int queue, int in_set)
{
    if (queue == STUCK) /* Congestion control has no room on any leg. */
        host_room(&world, CLIENT, LEG(0), 0, 0);
    for (int i = 0; i < 2 && (queue == HELD || queue == STUCK || queue == HELD_EARLIER); i++) {
        if (in_set)
            send_set(CIRCFLOW_CMD_DATA, i ? "two" : "one", CIRCFLOW_VERDICT_HELD);
        else
            send_alone(queue == HELD_EARLIER ? 1 : HOST_HOPS, i ? "two" : "one", CIRCFLOW_VERDICT_HELD);
    }
}

static void is_released(const host_event *event, int in_set, uint8_t hop, const char *text, uint64_t number)
{
    if (in_set)
        is_of_set(event, 0, text, number);
    else {
        host_is_data(event, LEG(0), hop, text);
        assert_int_equal(event->insn.set.v, 0);
        assert_int_equal(event->insn.detail.send.number, 0);
    }
}

static uint8_t padding_flags(size_t row)
{
    return (uint8_t)((table[row].bypass ? CIRCFLOW_PADDING_BYPASS : 0) |
                     (table[row].replace ? CIRCFLOW_PADDING_REPLACE : 0));
}

/* The first hop's messages wait, or the exit's. */
static uint8_t hop_of(int queue) { return queue == HELD_EARLIER ? 1 : HOST_HOPS; }

/* Sets the row up, as far as the cell that asks for padding. */
static void begin_row(size_t row, int queue, int in_set)
{
    const int gate = table[row].gate;
    char name[] = "gate-0-00";
    name[5] = gate == LETS_PADDING_PASS ? '1' : '0';
    name[7] = table[row].bypass ? '1' : '0';
    name[8] = table[row].replace ? '1' : '0';
    setup(NULL);
    if (in_set) {
        legs(queue == STUCK && gate == OPEN ? 2 : 1);
        if (queue == STUCK && gate == OPEN) { /* Then it is another leg that is blocked. */
            host_pad(&world, CLIENT, LEG(1), "shut-0", 2, 0);
            host_drop(&world, CLIENT, LEG(1), 2);
            quiet_at(0);
        }
    } else
        alone();
    pad_on(0, name, 2);
    queue_before(queue, in_set);
    if (gate != OPEN)
        host_drop(&world, CLIENT, LEG(0), 2);
    quiet_at(0);
    queue_after(queue, in_set);
}

/* The gate opens at 100 ms: what waited goes out. The set has numbered `number` messages. */
static void is_let_out(int queue, int in_set, char want, uint8_t flags, uint64_t number)
{
    const uint8_t hop = hop_of(queue);
    const host_events *events;
    circflow_padding_stats stats;
    size_t next = 0;
    due_at(100);
    quiet_at(99);
    events = at(100);
    if (!in_set && (queue == HELD || queue == STUCK || queue == HELD_EARLIER)) {
        if (want != 'R')
            is_released(&events->at[next++], 0, hop, "one", 0);
        is_released(&events->at[next++], 0, hop, "two", 0);
    }
    if (want == 'Q')
        host_is_padding(&events->at[next++].insn, LEG(0), 2, 0, flags);
    if (in_set && queue == HELD) {
        if (want != 'R')
            is_released(&events->at[next++], 1, hop, "one", ++number);
        is_released(&events->at[next++], 1, hop, "two", ++number);
    }
    assert_int_equal(events->count, next);
    stats = stats_of(0, 2);
    assert_int_equal(stats.blocks, 1);
    assert_int_equal(stats.blocked_ns, 100 * MS);
    assert_int_equal(stats.timers, 0);
}

/* Room at last: out they go, in order. */
static void goes_when_there_is_room(uint64_t number)
{
    host_room(&world, CLIENT, LEG(0), 2, 0);
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, 2);
    is_released(&events->at[0], 1, HOST_HOPS, "one", number + 1);
    is_released(&events->at[1], 1, HOST_HOPS, "two", number + 2);
}

static void play_row(size_t row, int queue, int in_set, char want)
{
    const int gate = table[row].gate;
    const uint8_t flags = padding_flags(row);
    const host_events *events;
    circflow_padding_stats before, after;
    uint64_t number;
    begin_row(row, queue, in_set);
    host_other(&world, CLIENT, LEG(0), 2);
    due_at(10);
    quiet_at(9);
    before = stats_of(0, 2);
    number = in_set ? host_set_stats(CLIENT, world.client_set).sent : 0;
    events = at(10);
    after = stats_of(0, 2);
    assert_int_equal(after.padding_sent - before.padding_sent, want == 'P' || want == 'Q');
    assert_int_equal(after.replaced - before.replaced, want == 'C' || want == 'R');
    /* On a circuit alone a message counts when it is held; in a set, whose leg is not known then, when it goes out. */
    assert_int_equal(after.normal_sent - before.normal_sent, want == 'R' && in_set);
    assert_int_equal(after.refused, 0);
    assert_int_equal(after.timers, gate != OPEN);
    assert_int_equal(events->count, want == 'P' || want == 'R');
    if (want == 'P')
        host_is_padding(&events->at[0].insn, LEG(0), 2, 0, flags);
    if (want == 'R')
        is_released(&events->at[0], in_set, hop_of(queue), "one", number + 1);
    if (want == 'P' || want == 'R')
        assert_int_equal(events->at[0].insn.circuit_tag, 0xc000);
    if (in_set) {
        number += want == 'R';
        assert_int_equal(host_set_stats(CLIENT, world.client_set).sent, number); /* Padding has no number. */
    }
    if (gate != OPEN)
        is_let_out(queue, in_set, want, flags, number);
    else if (queue != STUCK)
        assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
    if (queue == STUCK)
        goes_when_there_is_room(number);
    assert_int_equal(host_stats(CLIENT).held, 0);
    host_stop(&world);
}

static void play_table(int in_set)
{
    for (size_t row = 0; row < COUNT(table); row++)
        for (int queue = 0; queue < QUEUES; queue++) {
            char want = (in_set ? table[row].in_set : table[row].alone)[queue];
            if (want == '.')
                continue;
            print_message("gate %d, bypass %d, replace %d, queue %d: %c\n", table[row].gate, table[row].bypass,
                          table[row].replace, queue, want);
            play_row(row, queue, in_set, want);
        }
}

static void every_row_of_the_table_on_a_circuit(void **state) { (void)state; play_table(0); }
static void every_row_of_the_table_on_a_leg(void **state) { (void)state; play_table(1); }

static void each_due_padding_lets_out_one_message(void **state)
{
    (void)state;
    alone();
    block_by("gate-1-11");
    send_alone(HOST_HOPS, "a", CIRCFLOW_VERDICT_HELD);
    send_alone(1, "b", CIRCFLOW_VERDICT_HELD);
    send_alone(2, "c", CIRCFLOW_VERDICT_HELD);
    host_other(&world, CLIENT, LEG(0), 2);
    const host_events *events = at(10);
    assert_int_equal(events->count, 1);
    host_is_data(&events->at[0], LEG(0), 3, "a");
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
    /* The one to an earlier hop would not reach the padder's. */
    host_other(&world, CLIENT, LEG(0), 2);
    events = at(20);
    assert_int_equal(events->count, 1);
    host_is_data(&events->at[0], LEG(0), 2, "c");
    /* Not written yet, it counts the next time. */
    host_other(&world, CLIENT, LEG(0), 2);
    quiet_at(30);
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
    host_other(&world, CLIENT, LEG(0), 2);
    events = at(40);
    assert_int_equal(events->count, 1);
    host_is_padding(&events->at[0].insn, LEG(0), 2, 0, CIRCFLOW_PADDING_BYPASS | CIRCFLOW_PADDING_REPLACE);
    assert_int_equal(stats_of(0, 2).replaced, 3);
    assert_int_equal(stats_of(0, 2).padding_sent, 1);
    assert_int_equal(stats_of(0, 2).normal_sent, 2); /* Through or to hop 2. */
    events = at(100);
    assert_int_equal(events->count, 1);
    host_is_data(&events->at[0], LEG(0), 1, "b");
}

static void all_comes_out_in_order_when_blocking_ends(void **state)
{
    static const char *const texts[] = {"0", "1", "2", "3", "4", "5"};
    const host_events *events;
    (void)state;
    alone();
    block_by("gate-0-00");
    for (size_t i = 0; i < COUNT(texts); i++) {
        send_alone(i % 2 ? 3 : 1, texts[i], CIRCFLOW_VERDICT_HELD);
        host_other(&world, CLIENT, LEG(0), 2); /* And a padding cell after each. */
        quiet_at(10 * (i + 1));
    }
    events = at(250); /* Late is no different. */
    assert_int_equal(events->count, 12);
    for (size_t i = 0; i < COUNT(texts); i++) {
        host_is_data(&events->at[2 * i], LEG(0), i % 2 ? 3 : 1, texts[i]);
        host_is_padding(&events->at[2 * i + 1].insn, LEG(0), 2, 0, 0);
    }
    send_alone(3, "now", CIRCFLOW_VERDICT_SEND);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

static void control_never_waits(void **state)
{
    static const uint8_t waits[] = {CIRCFLOW_CMD_BEGIN, CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_END, CIRCFLOW_CMD_CONNECTED,
                                    CIRCFLOW_CMD_RESOLVE, CIRCFLOW_CMD_RESOLVED, CIRCFLOW_CMD_BEGIN_DIR,
                                    CIRCFLOW_CMD_XON, CIRCFLOW_CMD_XOFF};
    static const uint8_t control[] = {CIRCFLOW_CMD_SENDME, 14 /* EXTEND2 */, 41, 42, 32, CIRCFLOW_CMD_LINK};
    circflow_verdict verdict;
    (void)state;
    alone();
    block_by("shut-0");
    for (size_t i = 0; i < COUNT(control); i++) {
        OK(send_message(0, host_message(control[i], 2, 0, "x", 1), &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    }
    for (size_t i = 0; i < COUNT(waits); i++) {
        OK(send_message(0, host_message(waits[i], HOST_HOPS, 9, "x", 1), &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    }
    assert_int_equal(stats_of(0, 2).normal_sent, COUNT(control) + COUNT(waits));
    const host_events *events = at(100);
    assert_int_equal(events->count, COUNT(waits));
    for (size_t i = 0; i < COUNT(waits); i++) {
        assert_int_equal(events->at[i].insn.detail.send.command, waits[i]);
        assert_int_equal(events->at[i].insn.detail.send.stream_id, 9);
    }
}

static void other_messages_of_a_set_wait_too(void **state)
{
    circflow_verdict verdict;
    const host_events *events;
    (void)state;
    legs(1);
    pad_on(0, "shut-1", 2);
    send_set(CIRCFLOW_CMD_DATA, "0", CIRCFLOW_VERDICT_SEND);
    host_drop(&world, CLIENT, LEG(0), 2);
    quiet_at(0);
    OK(circflow_set_get_decision(CLIENT, world.client_set, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, HOST_HOPS, 7, "b", 1);
    OK(circflow_set_decide(CLIENT, world.now, world.client_set, &begin, NULL, 0, &verdict)); /* Held by this, too. */
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    send_set(CIRCFLOW_CMD_END, "e", CIRCFLOW_VERDICT_HELD);
    const circflow_set_stats stats = host_set_stats(CLIENT, world.client_set);
    assert_int_equal(stats.unsent, 2);
    assert_int_equal(stats.unsent_bytes, 2 * CIRCFLOW_HELD_COST);
    assert_int_equal(stats.total_bytes, stats.unsent_bytes);
    assert_in_range(stats.total_since_ns, world.now - 2 * MS, world.now);
    assert_int_equal(stats.held + stats.held_bytes, 0);
    /* A message of its own hop is the circuit's; SENDME does not wait. */
    IS(CIRCFLOW_ERR_IN_SET, send_message(0, host_data(HOST_HOPS, "x"), &verdict));
    OK(send_message(0, host_message(CIRCFLOW_CMD_SENDME, HOST_HOPS, 0, NULL, 0), &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).sent, 1);
    events = at(100);
    assert_int_equal(events->count, 2);
    assert_int_equal(events->at[0].insn.detail.send.command, CIRCFLOW_CMD_BEGIN);
    assert_int_equal(events->at[0].insn.detail.send.number, 2);
    assert_int_equal(events->at[1].insn.detail.send.command, CIRCFLOW_CMD_END);
    assert_int_equal(events->at[1].insn.detail.send.number, 3);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).total_bytes, 0);
    assert_true(host_set_stats(CLIENT, world.client_set).total_since_ns == CIRCFLOW_NEVER);
    send_set(CIRCFLOW_CMD_DATA, "1", CIRCFLOW_VERDICT_SEND);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).sent, 4);
}

/* Leg 0 is the one to send on; it is blocked for 100 ms. */
static void leg_and_number_are_chosen_at_release(void **state)
{
    const host_events *events;
    (void)state;
    legs(2);
    pad_on(0, "shut-0", 2);
    pad_on(1, "shut-0", 2);
    send_set(CIRCFLOW_CMD_DATA, "0", CIRCFLOW_VERDICT_SEND);
    send_set(CIRCFLOW_CMD_DATA, "1", CIRCFLOW_VERDICT_SEND);
    host_drop(&world, CLIENT, LEG(1), 2);
    quiet_at(0);
    quiet_at(50);
    host_drop(&world, CLIENT, LEG(0), 2);
    quiet_at(50);
    send_set(CIRCFLOW_CMD_DATA, "a", CIRCFLOW_VERDICT_HELD);
    send_set(CIRCFLOW_CMD_DATA, "b", CIRCFLOW_VERDICT_HELD);
    due_at(100);
    events = at(100); /* Leg 1 is open first. */
    assert_int_equal(events->count, 3);
    is_switch(&events->at[0], 1, 2);
    is_of_set(&events->at[1], 1, "a", 3);
    is_of_set(&events->at[2], 1, "b", 4);
    assert_int_equal(stats_of(1, 2).normal_sent, 3); /* The SWITCH is a cell like any other. */
    assert_int_equal(stats_of(0, 2).normal_sent, 2);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).switches_sent, 1);
    circflow_verdict verdict;
    OK(send_status(CIRCFLOW_CMD_DATA, "c", &verdict));
    assert_int_equal(verdict.circuit.v, LEG(1).v);
    quiet_at(150);
    OK(send_status(CIRCFLOW_CMD_DATA, "d", &verdict)); /* And back to the faster one. */
    assert_int_equal(verdict.circuit.v, LEG(0).v);
    assert_int_equal(verdict.switch_delta, 3);
}

static void a_blocked_leg_does_not_freeze_its_set(void **state)
{
    circflow_verdict verdict;
    (void)state;
    legs(2);
    block_by("shut-0");
    OK(send_status(CIRCFLOW_CMD_DATA, "x", &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(verdict.circuit.v, LEG(1).v);
    /* Nor does one that goes while all are blocked. */
    host_room(&world, CLIENT, LEG(1), 0, 0);
    send_set(CIRCFLOW_CMD_DATA, "held", CIRCFLOW_VERDICT_HELD);
    host_room(&world, CLIENT, LEG(1), 5, 0);
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    is_of_set(&events->at[0], 1, "held", 2);
}

static void what_a_lost_leg_held_back_goes_on_another(void **state)
{
    const host_events *events;
    (void)state;
    legs(2);
    send_set(CIRCFLOW_CMD_DATA, "0", CIRCFLOW_VERDICT_SEND);
    host_room(&world, CLIENT, LEG(0), 0, 0);
    host_room(&world, CLIENT, LEG(1), 100, 0); /* Nothing in flight: the set can do without it. */
    pad_on(1, "shut-0", 2);
    host_drop(&world, CLIENT, LEG(1), 2);
    quiet_at(0);
    send_set(CIRCFLOW_CMD_DATA, "1", CIRCFLOW_VERDICT_HELD);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(1)));
    assert_int_equal(host_drain(CLIENT)->count, 0); /* No room yet. */
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
    host_room(&world, CLIENT, LEG(0), 1, 0);
    events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    is_of_set(&events->at[0], 0, "1", 2);
}

static void a_padder_taken_down_lets_go(void **state)
{
    const host_events *events;
    (void)state;
    legs(1);
    block_by("gate-0-00");
    send_set(CIRCFLOW_CMD_DATA, "a", CIRCFLOW_VERDICT_HELD);
    OK(circflow_padding_remove(CLIENT, world.now, LEG(0), 2, 0));
    assert_int_equal(host_deadline(CLIENT), 0);
    send_set(CIRCFLOW_CMD_DATA, "b", CIRCFLOW_VERDICT_HELD); /* "a" is in the queue of instructions, and goes first. */
    events = host_drain(CLIENT);
    assert_int_equal(events->count, 2);
    is_of_set(&events->at[0], 0, "a", 1);
    is_of_set(&events->at[1], 0, "b", 2);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).sent, 2);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
    IS(CIRCFLOW_ERR_NO_PADDER, circflow_padding_remove(CLIENT, world.now, LEG(0), 2, 0));
}

static void nothing_leaks_between_two_blocks(void **state)
{
    circflow_verdict verdict;
    (void)state;
    alone();
    block_by("block-again");
    send_alone(3, "x", CIRCFLOW_VERDICT_HELD);
    for (uint64_t round = 1; round <= 5; round++) {
        due_at(100 * round);
        quiet_at(100 * round);
        OK(send_message(0, host_data(3, "y"), &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    }
    assert_int_equal(stats_of(0, 2).blocks, 6);
    assert_int_equal(stats_of(0, 2).blocked_ns, 500 * MS);
    /* Nor when the loop was late and a feed comes in between. */
    world.now = HOST_START + 730 * MS;
    OK(send_message(0, host_data(3, "z"), &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    assert_int_equal(host_drain(CLIENT)->count, 0);
    due_at(800);
    OK(circflow_padding_remove(CLIENT, world.now, LEG(0), 2, 0));
    assert_int_equal(at(730)->count, 7);
}

static void what_is_due_at_the_end_of_a_block_comes_before_what_waited(void **state)
{
    const host_events *events;
    (void)state;
    alone();
    block_by("pad-at-end");
    send_alone(3, "x", CIRCFLOW_VERDICT_HELD);
    events = at(100);
    assert_int_equal(events->count, 2);
    host_is_padding(&events->at[0].insn, LEG(0), 2, 0, 0);
    host_is_data(&events->at[1], LEG(0), 3, "x");
}

/* EDGE-A-17, and what maybenot asks for (MB-24): the first block is 100 ms, the second comes 10 ms later. */
static void a_block_that_changes_brings_its_own_bypass(void **state)
{
    static const struct {
        const char *machines;
        uint64_t end;
        int bypassable;
    } rows[] = {
        {"extend-200-100", 210, 0}, {"extend-200-010", 210, 1}, {"extend-50-100", 100, 1},
        {"extend-50-101", 60, 0},   {"extend-50-011", 60, 1},   {"extend-0-101", 10, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        setup(NULL);
        alone();
        pad_on(0, rows[i].machines, 2);
        host_pad(&world, CLIENT, LEG(0), "pad-11", 3, 1); /* Padding whenever a cell comes from hop 3: at 30 ms. */
        host_drop(&world, CLIENT, LEG(0), 2);
        quiet_at(0);
        quiet_at(10);
        host_other(&world, CLIENT, LEG(0), 2);
        if (rows[i].end > 10) {
            quiet_at(10);
            assert_int_equal(stats_of(0, 2).blocks, 2);
            world.now = HOST_START + 10 * MS;
            due_at(rows[i].end);
            /* From hop 3 comes DATA: to the blocker that is a cell like any other, and it would block anew; so the
             * padder there is asked through its own timer, which the DROP from hop 3 sets off. */
            send_alone(3, "x", CIRCFLOW_VERDICT_HELD);
            quiet_at(rows[i].end - 1);
        }
        const host_events *events = at(rows[i].end);
        assert_int_equal(events->count, rows[i].end > 10);
        assert_int_equal(stats_of(0, 2).blocked_ns, rows[i].end * MS);
        assert_int_equal(stats_of(0, 2).blocks, 2);
        host_stop(&world);
    }
    /* What bypass each leaves, seen by a host that keeps its own queue. */
    for (size_t i = 0; i + 1 < COUNT(rows); i++) {
        const host_events *events;
        int first = rows[i].machines[strlen(rows[i].machines) - 3] == '1';
        setup(NULL);
        host_prepare(&world);
        world.client_circuit.flags |= CIRCFLOW_CIRCUIT_OWN_QUEUE;
        alone();
        pad_on(0, rows[i].machines, 2);
        host_drop(&world, CLIENT, LEG(0), 2);
        assert_int_equal(host_first(at(0), CIRCFLOW_INSN_BLOCK)->detail.block.bypassable, first);
        quiet_at(10);
        host_other(&world, CLIENT, LEG(0), 2);
        events = at(10);
        assert_int_equal(events->count, rows[i].bypassable != first);
        if (events->count > 0)
            assert_int_equal(host_first(events, CIRCFLOW_INSN_BLOCK)->detail.block.bypassable, rows[i].bypassable);
        quiet_at(rows[i].end - 1);
        events = at(rows[i].end);
        assert_int_equal(events->count, 1);
        assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_UNBLOCK);
        host_stop(&world);
    }
}

/* Two padders at two hops, and one that pads past blocks at the third. */
static void the_block_of_all_is_bypassable_only_if_each_is(void **state)
{
    (void)state;
    for (int bits = 0; bits < 4; bits++) {
        const host_events *events;
        setup(NULL);
        alone();
        pad_on(0, bits & 1 ? "shut-1" : "shut-0", 1);
        pad_on(0, bits & 2 ? "shut-1" : "shut-0", 2);
        pad_on(0, "pad-10", 3);
        host_drop(&world, CLIENT, LEG(0), 1);
        quiet_at(0);
        quiet_at(20);
        host_drop(&world, CLIENT, LEG(0), 2);
        quiet_at(20);
        assert_int_equal(stats_of(0, 1).blocks, 1); /* Padding of another hop is none to it. */
        assert_int_equal(stats_of(0, 1).normal_received, 1);
        host_other(&world, CLIENT, LEG(0), 3); /* Both block: padding is due at 30. */
        events = at(30);
        assert_int_equal(events->count, bits == 3);
        host_other(&world, CLIENT, LEG(0), 3); /* Only the one at hop 2 blocks from 100 on: padding at 105. */
        world.now = HOST_START + 95 * MS;
        host_tick(&world, CLIENT);
        host_other(&world, CLIENT, LEG(0), 3);
        quiet_at(100);
        events = at(105);
        assert_int_equal(events->count, bits & 2 ? 1 : 0);
        due_at(120);
        host_drain(CLIENT);
        events = at(120);
        assert_int_equal(events->count, bits == 3 ? 0 : bits == 2 ? 2 : 3);
        assert_int_equal(host_count(events, CIRCFLOW_INSN_PADDING), events->count);
        host_stop(&world);
    }
}

static void no_more_is_held_than_allowed(void **state)
{
    static const uint32_t caps[] = {0, 1, 2, 31, 32, 33};
    (void)state;
    for (size_t i = 0; i < COUNT(caps); i++) {
        for (int in_set = 0; in_set < 2; in_set++) {
            circflow_verdict verdict;
            const host_events *events;
            setup(NULL);
            host_prepare(&world);
            assert_int_equal(world.client_circuit.held_sends_max, 32);
            assert_int_equal(world.client_terms.held_sends_max, 32);
            world.client_circuit.held_sends_max = in_set ? 5 : caps[i];
            world.client_terms.held_sends_max = in_set ? caps[i] : 5;
            begin(in_set);
            block_by("shut-0");
            for (uint32_t n = 0; n < caps[i]; n++)
                send_data(in_set, "x", CIRCFLOW_VERDICT_HELD);
            verdict.kind = 99;
            for (int n = 0; n < 2; n++)
                IS(CIRCFLOW_ERR_NO_ROOM, in_set ? send_status(CIRCFLOW_CMD_END, "e", &verdict)
                                                : send_message(0, host_data(3, "x"), &verdict));
            assert_int_equal(verdict.kind, 99);
            assert_int_equal(host_stats(CLIENT).held, caps[i]);
            quiet_at(99);
            events = at(100);
            assert_int_equal(events->count, caps[i] + 1);
            assert_int_equal(events->at[caps[i]].insn.kind, CIRCFLOW_INSN_MAY_SEND);
            assert_int_equal(events->at[caps[i]].insn.set.v, in_set ? world.client_set.v : 0);
            assert_int_equal(events->at[caps[i]].insn.circuit.v, in_set ? 0 : LEG(0).v);
            send_data(in_set, "y", CIRCFLOW_VERDICT_SEND);
            host_stop(&world);
        }
    }
}

/* A block that padding passes one message at a time may never end: who was told to stop must be told to go on. */
static void a_full_queue_resumes_as_it_is_let_out(void **state)
{
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        circflow_verdict verdict;
        setup(NULL);
        host_prepare(&world);
        world.client_circuit.held_sends_max = world.client_terms.held_sends_max = 2;
        begin(in_set);
        block_by("gate-1-11");
        for (int n = 0; n < 2; n++)
            OK(data_status(in_set, &verdict));
        IS(CIRCFLOW_ERR_NO_ROOM, data_status(in_set, &verdict));
        size_t resumed = 0;
        for (uint64_t n = 1; n <= 2; n++) {
            host_other(&world, CLIENT, LEG(0), 2);
            const host_events *events = at(10 * n);
            assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 1);
            resumed += host_count(events, CIRCFLOW_INSN_MAY_SEND);
            OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
        }
        assert_int_equal(resumed, 1);
        send_data(in_set, "x", CIRCFLOW_VERDICT_HELD);
        host_stop(&world);
    }
}

static void where_there_is_no_memory_the_host_is_told_to_wait(void **state)
{
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++) {
        circflow_verdict verdict;
        const host_events *events;
        setup(NULL);
        host_prepare(&world);
        world.engine_config.held_bytes_max = CIRCFLOW_HELD_COST;
        begin(in_set);
        block_by("shut-0");
        send_data(in_set, "x", CIRCFLOW_VERDICT_HELD);
        IS(CIRCFLOW_ERR_NO_ROOM, data_status(in_set, &verdict));
        events = at(100);
        assert_int_equal(host_count(events, CIRCFLOW_INSN_SEND), 1);
        assert_int_equal(host_count(events, CIRCFLOW_INSN_MAY_SEND), 1);
        host_stop(&world);
    }
}

static void padding_waits_on_its_own_leg(void **state)
{
    const host_events *events;
    (void)state;
    legs(2);
    block_by("gate-0-11");
    host_other(&world, CLIENT, LEG(0), 2);
    quiet_at(10); /* Leg 1 is free, and none of its business (P4). */
    assert_int_equal(stats_of(0, 2).padding_sent, 1);
    events = at(100);
    assert_int_equal(events->count, 1);
    host_is_padding(&events->at[0].insn, LEG(0), 2, 0, 3);
    assert_int_equal(events->at[0].insn.set.v, world.client_set.v);
    host_numbers numbers = host_export(CLIENT, world.client_set);
    for (size_t i = 0; i < numbers.count; i++)
        assert_int_equal(numbers.legs[i].sent, 0);
    assert_int_equal(numbers.set.sending.v, 0);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).most_active.v, 0);
    circflow_verdict verdict;
    OK(send_status(CIRCFLOW_CMD_DATA, "x", &verdict));
    assert_int_equal(verdict.number, 1);
}

/* P8: the channel is full and the set waits, yet what is due is due. */
static void padding_goes_on_while_all_else_waits(void **state)
{
    circflow_leg_report report;
    circflow_verdict verdict;
    (void)state;
    legs(1);
    pad_on(0, "pad-11", 2);
    report = host_report(LEG(0), 0, 0);
    report.flags = CIRCFLOW_REPORT_CHANNEL_FULL;
    OK(circflow_leg_update(CLIENT, world.now, &report, 1));
    IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA, "x", &verdict));
    for (uint64_t n = 0; n < 5; n++) {
        host_other(&world, CLIENT, LEG(0), 3);
        const host_events *events = at(10 * (n + 1));
        assert_int_equal(events->count, 1);
        host_is_padding(&events->at[0].insn, LEG(0), 2, 0, 3);
        OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
        IS(CIRCFLOW_ERR_NO_ROOM, send_status(CIRCFLOW_CMD_DATA, "x", &verdict));
    }
    host_room(&world, CLIENT, LEG(0), 1, 0);
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_MAY_SEND), 1);
}

static void lend(size_t leg, int in_set, uint64_t token)
{
    circflow_message message = host_token(HOST_HOPS, token, (uint32_t)(100 + token));
    if (in_set)
        host_set_sends(&world, CLIENT, world.client_set, message, CIRCFLOW_VERDICT_HELD);
    else
        host_circuit_sends(&world, CLIENT, LEG(leg), message, CIRCFLOW_VERDICT_HELD);
    host_lend(&ledger, token, message.cost_bytes);
}

static void tokens_come_back_once(void **state)
{
    enum { RELEASED, RELEASED_AND_CLOSED, CLOSED, SET_CLOSED, FREED, RELEASED_AND_FREED, ENDS };
    (void)state;
    for (int in_set = 0; in_set < 2; in_set++)
        for (int end = 0; end < ENDS; end++) {
            setup(NULL);
            begin(in_set);
            block_by("gate-1-11");
            for (uint64_t token = 1; token <= 5; token++)
                lend(0, in_set, token);
            assert_int_equal(host_stats(CLIENT).held, 5);
            assert_int_equal(host_stats(CLIENT).held_bytes, host_lent(&ledger));
            host_other(&world, CLIENT, LEG(0), 2);
            host_book(&ledger, at(10)); /* The first one. */
            assert_int_equal(host_stats(CLIENT).held_bytes, host_lent(&ledger));
            assert_int_equal(host_stats(CLIENT).held, 4);
            if (end == RELEASED || end == RELEASED_AND_CLOSED || end == RELEASED_AND_FREED)
                OK(circflow_engine_tick(CLIENT, world.now += 90 * MS));
            if (end == CLOSED || end == RELEASED_AND_CLOSED)
                OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
            if (end == SET_CLOSED && in_set)
                OK(circflow_set_close(CLIENT, world.now, world.client_set));
            if (end != FREED && end != RELEASED_AND_FREED && (end != SET_CLOSED || in_set)) {
                const host_events *events = host_drain(CLIENT);
                host_book(&ledger, events);
                assert_int_equal(host_count(events, CIRCFLOW_INSN_DISCARD), end == RELEASED ? 0 : 4);
                host_settle(&ledger);
                assert_int_equal(host_stats(CLIENT).held, 0);
            }
            host_stop_and_settle(&world, &ledger);
        }
}

static void bodies_that_are_held_go_with_their_circuit(void **state)
{
    (void)state;
    alone();
    block_by("shut-0");
    send_alone(3, "a", CIRCFLOW_VERDICT_HELD);
    send_alone(3, "b", CIRCFLOW_VERDICT_HELD);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
    assert_int_equal(host_drain(CLIENT)->count, 0);
    assert_int_equal(host_stats(CLIENT).held, 0);
    assert_int_equal(host_stats(CLIENT).held_bytes, 0);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

/* P8: events and instructions of a circuit that has gone are dropped, also when another has its place. */
static void what_a_circuit_left_behind_is_dropped(void **state)
{
    circflow_padding_stats stats;
    circflow_verdict verdict;
    (void)state;
    alone();
    pad_on(0, "pad-00", 2);
    host_other(&world, CLIENT, LEG(0), 2);
    OK(circflow_engine_tick(CLIENT, world.now += 10 * MS)); /* A padding cell waits in the queue. */
    host_other(&world, CLIENT, LEG(0), 2);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
    assert_int_equal(host_stats(CLIENT).timers, 0);
    host_pair(&world);
    assert_int_equal(host_drain(CLIENT)->count, 0);
    quiet_at(1000);
    stats.size = sizeof(stats);
    IS(CIRCFLOW_ERR_STALE_ID, circflow_padding_get_stats(CLIENT, LEG(0), 2, 0, &stats));
    IS(CIRCFLOW_ERR_NO_PADDER, circflow_padding_get_stats(CLIENT, LEG(1), 2, 0, &stats));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_circuit_cell_passed(CLIENT, world.now, LEG(0)));
    IS(CIRCFLOW_ERR_STALE_ID, send_message(0, host_data(3, "x"), &verdict));
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(1), 1)); /* No padder: nothing to do. */
    OK(circflow_circuit_cell_passed(CLIENT, world.now, LEG(1)));
    OK(send_message(1, host_data(3, "x"), &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
}

/* A circuit that is told to close sends nothing any more. What it held comes back when it is gone. */
static void a_circuit_that_closes_is_quiet(void **state)
{
    circflow_verdict verdict;
    (void)state;
    alone();
    block_by("gate-0-00");
    lend(0, 0, 1);
    send_alone(3, "x", CIRCFLOW_VERDICT_HELD);
    host_other(&world, CLIENT, LEG(0), 2);
    quiet_at(10); /* A padding cell waits, too, and another timer runs. */
    host_other(&world, CLIENT, LEG(0), 2);
    IS(CIRCFLOW_ERR_PADDING_UNEXPECTED, host_feed(&world, CLIENT, LEG(0), host_message(CIRCFLOW_CMD_DROP, 3, 0, NULL, 0)));
    const host_events *events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_CLOSE);
    quiet_at(500);
    IS(CIRCFLOW_ERR_CLOSING, send_message(0, host_data(3, "y"), &verdict));
    assert_int_equal(host_stats(CLIENT).held, 2);
    OK(circflow_circuit_gone(CLIENT, world.now, LEG(0)));
    events = host_drain(CLIENT);
    assert_int_equal(events->count, 1);
    assert_int_equal(events->at[0].insn.kind, CIRCFLOW_INSN_DISCARD);
    host_book(&ledger, events);
    host_settle(&ledger);
    assert_int_equal(host_stats(CLIENT).held, 0);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

static void a_refused_message_leaves_no_trace(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_prepare(&world);
    world.client_circuit.held_sends_max = 0;
    alone();
    block_by("shut-0");
    IS(CIRCFLOW_ERR_NO_ROOM, send_message(0, host_data(3, "x"), &verdict));
    assert_int_equal(stats_of(0, 2).normal_sent, 0);
    /* It still has carried no stream. */
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, &LEG(0), 1));
    /* The handshake does not wait. */
    assert_int_equal(host_first(host_drain(CLIENT), CIRCFLOW_INSN_SEND)->detail.send.command, CIRCFLOW_CMD_LINK);
    /* The same where it was memory that there was too little of. */
    host_stop(&world);
    setup(NULL);
    host_prepare(&world);
    world.engine_config.held_bytes_max = 0;
    alone();
    block_by("shut-0");
    IS(CIRCFLOW_ERR_NO_ROOM, send_message(0, host_data(3, "x"), &verdict));
    OK(circflow_set_open(CLIENT, world.now, &world.client_terms, &world.client_set));
    OK(circflow_set_add_legs(CLIENT, world.now, world.client_set, &LEG(0), 1));
}

/* What a block let out, and the host has not taken yet, goes before what is sent in the meantime: also in the very call
 * in which the block ends. */
static void nothing_overtakes_what_was_let_out(void **state)
{
    circflow_verdict verdict;
    const host_events *events;
    (void)state;
    host_prepare(&world);
    world.client_circuit.held_sends_max = 3;
    alone();
    block_by("shut-0");
    send_alone(3, "a", CIRCFLOW_VERDICT_HELD);
    world.now += 150 * MS;
    send_alone(3, "b", CIRCFLOW_VERDICT_HELD);
    send_alone(3, "c", CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NO_ROOM, send_message(0, host_data(3, "x"), &verdict));
    events = host_drain(CLIENT);
    assert_int_equal(events->count, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(events->at[i].insn.kind, CIRCFLOW_INSN_SEND);
        assert_int_equal(events->at[i].body[0], "abc"[i]);
    }
    assert_int_equal(events->at[3].insn.kind, CIRCFLOW_INSN_MAY_SEND);
    send_alone(3, "d", CIRCFLOW_VERDICT_SEND);
    assert_int_equal(host_drain(CLIENT)->count, 0);
}

/* A padder that comes and goes makes no room where there is no memory, and so says nothing. */
static void a_host_that_does_not_drain_fills_no_queue(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_prepare(&world);
    world.engine_config.held_bytes_max = 0;
    alone();
    block_by("shut-0");
    for (int n = 0; n < 100; n++) {
        IS(CIRCFLOW_ERR_NO_ROOM, send_message(0, host_data(3, "x"), &verdict));
        pad_on(0, NULL, 3);
        OK(circflow_padding_remove(CLIENT, world.now, LEG(0), 3, 0));
    }
    assert_int_equal(host_stats(CLIENT).insns, 0);
    assert_int_equal(host_count(at(100), CIRCFLOW_INSN_MAY_SEND), 1);
}

static void a_circuit_sends_to_its_own_hops(void **state)
{
    circflow_verdict verdict;
    (void)state;
    alone();
    IS(CIRCFLOW_ERR_INVALID, send_message(0, host_data(0, "x"), &verdict));
    IS(CIRCFLOW_ERR_INVALID, send_message(0, host_data(4, "x"), &verdict));
    OK(send_message(0, host_data(3, "x"), &verdict));
}

/* Padding that waits takes room, too; where there is none it is dropped, and its machine goes on. */
static void padding_that_waits_is_capped(void **state)
{
    circflow_verdict verdict;
    (void)state;
    host_prepare(&world);
    world.client_circuit.held_sends_max = 2;
    alone();
    block_by("gate-0-00");
    for (uint64_t n = 1; n <= 4; n++) {
        host_other(&world, CLIENT, LEG(0), 2);
        quiet_at(10 * n);
    }
    assert_int_equal(stats_of(0, 2).padding_sent, 2);
    assert_int_equal(stats_of(0, 2).refused, 2);
    IS(CIRCFLOW_ERR_NO_ROOM, send_message(0, host_data(3, "x"), &verdict));
    const host_events *events = at(100);
    assert_int_equal(events->count, 3);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_PADDING), 2);
    assert_int_equal(events->at[2].insn.kind, CIRCFLOW_INSN_MAY_SEND);
}

/* A set counts every message it sends on a leg with a padder, also on the short way. */
static void every_message_counts(void **state)
{
    (void)state;
    legs(2);
    for (int n = 0; n < 3; n++)
        send_set(CIRCFLOW_CMD_DATA, "before", CIRCFLOW_VERDICT_SEND);
    pad_on(0, "written-pad", 2);
    for (int n = 0; n < 10; n++)
        send_set(CIRCFLOW_CMD_DATA, "x", CIRCFLOW_VERDICT_SEND);
    assert_int_equal(stats_of(0, 2).normal_sent, 10);
    host_pad(&world, CLIENT, LEG(0), "shut-0", 2, 1);
    host_drop(&world, CLIENT, LEG(0), 2);
    quiet_at(0);
    host_room(&world, CLIENT, LEG(1), 0, 0);
    send_set(CIRCFLOW_CMD_DATA, "held", CIRCFLOW_VERDICT_HELD);
    /* Decided and reported, it counts once. */
    assert_int_equal(at(100)->count, 1);
    circflow_verdict verdict;
    circflow_message message = host_data(HOST_HOPS, "y");
    OK(circflow_set_decide(CLIENT, world.now, world.client_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    assert_int_equal(stats_of(0, 2).normal_sent, 11);
    OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(0), CIRCFLOW_CMD_DATA, HOST_HOPS));
    assert_int_equal(stats_of(0, 2).normal_sent, 12);
    assert_int_equal(host_pad_stats(CLIENT, LEG(0), 2, 1).normal_sent, 2);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).sent, 15);
}

/* A padding cell 10 ms after each cell that was written and goes to the hop or through it. */
static void written_cells_are_told_by_their_hop(void **state)
{
    (void)state;
    alone();
    send_alone(3, "before there was a padder", CIRCFLOW_VERDICT_SEND);
    pad_on(0, "written-pad", 2);
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1)); /* Not known. */
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
    send_alone(1, "a", CIRCFLOW_VERDICT_SEND);
    send_alone(2, "b", CIRCFLOW_VERDICT_SEND);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1)); /* Not so far. */
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), UINT32_MAX));
    due_at(10);
    host_is_padding(&at(10)->at[0].insn, LEG(0), 2, 0, 0);
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1)); /* Padding is written like the rest. */
    due_at(20);
    host_is_padding(&at(20)->at[0].insn, LEG(0), 2, 0, 0);
    assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
}

static void padding_as_other_padders_see_it(void **state)
{
    (void)state;
    alone();
    host_pad(&world, CLIENT, LEG(0), NULL, 1, 0);
    host_pad(&world, CLIENT, LEG(0), NULL, 2, 1);
    host_pad(&world, CLIENT, LEG(0), NULL, 3, 0);
    pad_on(0, "pad-00", 2);
    host_other(&world, CLIENT, LEG(0), 2);
    assert_int_equal(at(10)->count, 1);
    assert_int_equal(stats_of(0, 2).padding_sent, 1);
    assert_int_equal(stats_of(0, 1).normal_sent, 1); /* It passes there. */
    assert_int_equal(stats_of(0, 1).padding_sent, 0);
    assert_int_equal(stats_of(0, 3).normal_sent + stats_of(0, 3).padding_sent, 0);
    assert_int_equal(host_pad_stats(CLIENT, LEG(0), 2, 1).padding_sent, 0);
}

/* An exit pads towards its client, hop 0, and holds what its set sends. */
static void an_exit_holds_what_its_set_sends(void **state)
{
    const host_events *events;
    circflow_message message = host_data(0, "down");
    (void)state;
    host_linked(&world, 2);
    for (size_t leg = 0; leg < 2; leg++) {
        host_room(&world, world.exit, world.exit_leg[leg], 50, (leg + 1) * MS);
        host_pad(&world, world.exit, world.exit_leg[leg], "gate-1-11", 0, 0);
        host_drop(&world, world.exit, world.exit_leg[leg], 0);
    }
    OK(circflow_engine_tick(world.exit, world.now));
    for (int n = 0; n < 2; n++)
        host_set_sends(&world, world.exit, world.exit_set, message, CIRCFLOW_VERDICT_HELD);
    host_other(&world, world.exit, world.exit_leg[1], 0);
    events = host_later(&world, world.exit, 10 * MS); /* Leg 1's padder takes one, although leg 0 is the faster. */
    assert_int_equal(events->count, 1);
    host_is_data(&events->at[0], world.exit_leg[1], 0, "down");
    assert_int_equal(events->at[0].insn.detail.send.number, 1);
    /* Leg 0 would need a SWITCH, which is a cell more than its padder asked for, and leg 1 carries messages: it pads. */
    host_other(&world, world.exit, world.exit_leg[0], 0);
    events = host_later(&world, world.exit, 10 * MS);
    assert_int_equal(events->count, 1);
    host_is_padding(&events->at[0].insn, world.exit_leg[0], 0, 0, CIRCFLOW_PADDING_BYPASS | CIRCFLOW_PADDING_REPLACE);
    OK(circflow_circuit_cells_written(world.exit, world.now, world.exit_leg[0], 1));
    /* But when nothing has gone out there meanwhile, it takes over. */
    host_other(&world, world.exit, world.exit_leg[0], 0);
    events = host_later(&world, world.exit, 10 * MS);
    assert_int_equal(events->count, 2); /* A SWITCH, then the other. */
    assert_int_equal(events->at[0].insn.detail.send.command, CIRCFLOW_CMD_SWITCH);
    assert_int_equal(events->at[0].insn.circuit.v, world.exit_leg[0].v);
    host_is_data(&events->at[1], world.exit_leg[0], 0, "down");
    assert_int_equal(events->at[1].insn.detail.send.number, 2);
    assert_int_equal(host_pad_stats(world.exit, world.exit_leg[0], 0, 0).normal_sent, 2);
    /* The client puts them in order. */
    host_expect(&world, CLIENT, LEG(0), host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    assert_int_equal(host_expect(&world, CLIENT, LEG(0), host_data(HOST_HOPS, "down"), CIRCFLOW_VERDICT_HELD), 2);
    assert_int_equal(host_expect(&world, CLIENT, LEG(1), host_data(HOST_HOPS, "down"), CIRCFLOW_VERDICT_DELIVER), 1);
}

/* Polled with too little room, a SWITCH and the message behind it stay where they are. */
static void a_small_buffer_takes_nothing(void **state)
{
    uint8_t body[CIRCFLOW_BODY_MAX];
    circflow_insn insn;
    (void)state;
    legs(2);
    pad_on(0, "shut-0", 2);
    send_set(CIRCFLOW_CMD_DATA, "0", CIRCFLOW_VERDICT_SEND);
    host_drop(&world, CLIENT, LEG(0), 2);
    host_room(&world, CLIENT, LEG(1), 0, 0);
    quiet_at(0);
    send_set(CIRCFLOW_CMD_DATA, "12345", CIRCFLOW_VERDICT_HELD);
    host_room(&world, CLIENT, LEG(1), 5, 0);
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(CLIENT, body, 3, &insn));
    OK(circflow_engine_poll(CLIENT, body, 4, &insn));
    assert_int_equal(insn.detail.send.command, CIRCFLOW_CMD_SWITCH);
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(CLIENT, body, 4, &insn));
    assert_int_equal(host_stats(CLIENT).held, 1);
    OK(circflow_engine_poll(CLIENT, body, 5, &insn));
    assert_memory_equal(body, "12345", 5);
    assert_int_equal(insn.detail.send.number, 2);
    OK(circflow_engine_poll(CLIENT, body, 5, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    assert_int_equal(host_stats(CLIENT).held, 0);
    circflow_circuit_id out;
    IS(CIRCFLOW_ERR_NOT_ALONE, circflow_set_dissolve(CLIENT, world.now, world.client_set, &out));
}

/* A leg that is taken out of its set keeps its padders, and its block. */
static void a_leg_taken_out_stays_blocked(void **state)
{
    circflow_circuit_id out;
    (void)state;
    legs(1);
    block_by("shut-0");
    send_set(CIRCFLOW_CMD_DATA, "x", CIRCFLOW_VERDICT_HELD);
    IS(CIRCFLOW_ERR_NOT_ALONE, circflow_set_dissolve(CLIENT, world.now, world.client_set, &out));
    assert_int_equal(at(100)->count, 1);
    host_drop(&world, CLIENT, LEG(0), 2);
    quiet_at(100);
    OK(circflow_set_dissolve(CLIENT, world.now, world.client_set, &out));
    assert_int_equal(out.v, LEG(0).v);
    send_alone(3, "y", CIRCFLOW_VERDICT_HELD);
    const host_events *events = at(200);
    assert_int_equal(events->count, 1);
    host_is_data(&events->at[0], LEG(0), 3, "y");
    assert_int_equal(events->at[0].insn.set.v, 0);
}

/* A circuit that is blocked already becomes a leg: its set holds from the start. */
static void a_blocked_circuit_becomes_a_leg(void **state)
{
    (void)state;
    legs(0);
    host_pair(&world);
    block_by("shut-0");
    OK(circflow_set_adopt_leg(CLIENT, world.now, world.client_set, LEG(0), 0, MS));
    host_room(&world, CLIENT, LEG(0), 5, 0);
    send_set(CIRCFLOW_CMD_DATA, "x", CIRCFLOW_VERDICT_HELD);
    const host_events *events = at(100);
    assert_int_equal(events->count, 1);
    is_of_set(&events->at[0], 0, "x", 1);
}

/* What goes past a hop and what comes from where, as each padder sees it (MB-50). */
static void each_padder_counts_what_passes_its_hop(void **state)
{
    (void)state;
    alone();
    for (uint8_t hop = 1; hop <= 3; hop++)
        host_pad(&world, CLIENT, LEG(0), NULL, hop, 0);
    for (uint8_t hop = 1; hop <= 3; hop++) {
        host_other(&world, CLIENT, LEG(0), hop);
        host_drop(&world, CLIENT, LEG(0), hop);
        OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG(0), CIRCFLOW_CMD_SENDME, hop));
        send_alone(hop, "x", CIRCFLOW_VERDICT_SEND);
    }
    for (uint8_t hop = 1; hop <= 3; hop++) {
        circflow_padding_stats stats = stats_of(0, hop);
        uint64_t through = 4u - hop;
        assert_int_equal(stats.machines, 0);
        assert_int_equal(stats.normal_sent, 2 * through);
        assert_int_equal(stats.padding_received, 1);
        assert_int_equal(stats.normal_received, 2 * through - 1);
        assert_int_equal(stats.padding_sent + stats.replaced + stats.refused + stats.blocks + stats.blocked_ns, 0);
    }
    assert_int_equal(host_stats(CLIENT).padding_received, 3);
    assert_int_equal(host_stats(CLIENT).peer_faults, 0);
}

/* After the first message a set of the shipped constant rate machine sends one cell in 10 ms, data or not. */
static void a_constant_rate_carries_data_and_padding(void **state)
{
    circflow_machines_id machines = {0};
    circflow_padding_config config;
    static char text[4096];
    uint64_t data = 0, padding = 0;
    int stopped = 0;
    FILE *file = fopen("examples/machines/constant-rate-100.txt", "r");
    (void)state;
    assert_non_null(file);
    legs(1);
    size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    OK(circflow_machines_load(CLIENT, text, len, &machines));
    OK(circflow_padding_config_init(&config, sizeof(config)));
    config.machines = machines;
    OK(circflow_padding_install(CLIENT, world.now, LEG(0), &config));
    OK(circflow_machines_drop(CLIENT, machines));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_machines_drop(CLIENT, machines));
    send_set(CIRCFLOW_CMD_DATA, "first", CIRCFLOW_VERDICT_SEND);
    OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
    quiet_at(0);
    for (uint64_t n = 1; n <= 300; n++) {
        circflow_verdict verdict;
        /* A burst in the first second, then nothing. */
        while (n <= 100 && !stopped) {
            int answer = send_status(CIRCFLOW_CMD_DATA, "x", &verdict);
            stopped = answer == CIRCFLOW_ERR_NO_ROOM;
            if (!stopped) {
                OK(answer);
                assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
            }
        }
        const host_events *events = at(10 * n);
        size_t cells = 0;
        for (size_t i = 0; i < events->count; i++) {
            const circflow_insn *insn = &events->at[i].insn;
            data += insn->kind == CIRCFLOW_INSN_SEND;
            padding += insn->kind == CIRCFLOW_INSN_PADDING;
            cells += insn->kind == CIRCFLOW_INSN_SEND || insn->kind == CIRCFLOW_INSN_PADDING;
            if (insn->kind == CIRCFLOW_INSN_MAY_SEND)
                stopped = 0;
        }
        assert_int_equal(cells, 1);
        OK(circflow_circuit_cells_written(CLIENT, world.now, LEG(0), 1));
        host_room(&world, CLIENT, LEG(0), 50, 0);
        assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_SEND), 0);
    }
    assert_int_equal(data + padding, 300);
    assert_true(data >= 100 && data <= 100 + 32);
    assert_int_equal(host_set_stats(CLIENT, world.client_set).sent, data + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(every_row_of_the_table_on_a_circuit),
        TEST(every_row_of_the_table_on_a_leg),
        TEST(each_due_padding_lets_out_one_message),
        TEST(all_comes_out_in_order_when_blocking_ends),
        TEST(control_never_waits),
        TEST(other_messages_of_a_set_wait_too),
        TEST(leg_and_number_are_chosen_at_release),
        TEST(a_blocked_leg_does_not_freeze_its_set),
        TEST(what_a_lost_leg_held_back_goes_on_another),
        TEST(a_padder_taken_down_lets_go),
        TEST(nothing_leaks_between_two_blocks),
        TEST(what_is_due_at_the_end_of_a_block_comes_before_what_waited),
        TEST(a_block_that_changes_brings_its_own_bypass),
        TEST(the_block_of_all_is_bypassable_only_if_each_is),
        TEST(no_more_is_held_than_allowed),
        TEST(a_full_queue_resumes_as_it_is_let_out),
        TEST(where_there_is_no_memory_the_host_is_told_to_wait),
        TEST(padding_waits_on_its_own_leg),
        TEST(padding_goes_on_while_all_else_waits),
        TEST(tokens_come_back_once),
        TEST(bodies_that_are_held_go_with_their_circuit),
        TEST(what_a_circuit_left_behind_is_dropped),
        TEST(a_circuit_that_closes_is_quiet),
        TEST(a_refused_message_leaves_no_trace),
        TEST(nothing_overtakes_what_was_let_out),
        TEST(a_host_that_does_not_drain_fills_no_queue),
        TEST(a_circuit_sends_to_its_own_hops),
        TEST(padding_that_waits_is_capped),
        TEST(every_message_counts),
        TEST(written_cells_are_told_by_their_hop),
        TEST(padding_as_other_padders_see_it),
        TEST(an_exit_holds_what_its_set_sends),
        TEST(a_small_buffer_takes_nothing),
        TEST(a_leg_taken_out_stays_blocked),
        TEST(a_blocked_circuit_becomes_a_leg),
        TEST(each_padder_counts_what_passes_its_hop),
        TEST(a_constant_rate_carries_data_and_padding),
    };
    return cmocka_run_group_tests_name("padding", tests, NULL, NULL);
}
