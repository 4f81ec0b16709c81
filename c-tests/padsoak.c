/* A set with padding on its legs, driven at random: whatever blocks, unblocks, pads, comes and goes, each message
 * arrives at the other end once and in order, and each token comes back once. */

#include "host.h"

#include <stdlib.h>

#define LEGS 3
#define STEPS 4000
#define WIRE_MAX 8192
#define ROUNDS 12

static host_world world;
static host_ledger ledger;

/* Cells on their way on each leg. */
typedef struct cell {
    uint8_t command;
    uint32_t delta;
    uint64_t token;
} cell;
static struct {
    cell cells[WIRE_MAX];
    size_t first, count;
} wire[LEGS];

static uint64_t accepted, arrived, padded, switches, held;
static int stopped, has[LEGS][2];
static uint64_t seed;

static uint32_t below(uint32_t end)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % end;
}

static void put(size_t leg, uint8_t command, uint32_t delta, uint64_t token)
{
    cell *cell;
    assert_true(wire[leg].count < WIRE_MAX);
    cell = &wire[leg].cells[(wire[leg].first + wire[leg].count++) % WIRE_MAX];
    cell->command = command;
    cell->delta = delta;
    cell->token = token;
}

static size_t leg_of(uint64_t tag)
{
    assert_in_range(tag, 0xc000, 0xc000 + LEGS - 1);
    return (size_t)(tag - 0xc000);
}

static void drain_client(void)
{
    const host_events *events = host_drain(world.client);
    host_book(&ledger, events);
    for (size_t i = 0; i < events->count; i++) {
        const circflow_insn *insn = &events->at[i].insn;
        const uint8_t *body = events->at[i].body;
        switch (insn->kind) {
        case CIRCFLOW_INSN_SEND:
            if (insn->detail.send.command == CIRCFLOW_CMD_SWITCH) {
                put(leg_of(insn->circuit_tag), CIRCFLOW_CMD_SWITCH,
                    (uint32_t)body[0] << 24 | (uint32_t)body[1] << 16 | (uint32_t)body[2] << 8 | body[3], 0);
                switches++;
            } else {
                assert_int_equal(insn->detail.send.form, CIRCFLOW_FORM_TOKEN);
                put(leg_of(insn->circuit_tag), insn->detail.send.command, 0, insn->detail.send.token);
            }
            break;
        case CIRCFLOW_INSN_PADDING:
            put(leg_of(insn->circuit_tag), CIRCFLOW_CMD_DROP, 0, 0);
            padded++;
            break;
        case CIRCFLOW_INSN_MAY_SEND:
            stopped = 0;
            break;
        default:
            fail_msg("%s, cause %s", circflow_insn_kind_name(insn->kind), circflow_status_name(insn->detail.close.cause));
        }
    }
}

static void send_one(void)
{
    circflow_message message = host_token(HOST_HOPS, accepted + 1, 50);
    circflow_verdict verdict;
    int answer, decides = below(3) == 0;
    if (accepted + 1 >= HOST_TOKENS_MAX)
        return;
    message.command = below(10) == 0 ? CIRCFLOW_CMD_END : CIRCFLOW_CMD_DATA;
    answer = decides ? circflow_set_decide(world.client, world.now, world.client_set, &message, NULL, 0, &verdict)
                     : circflow_set_send(world.client, world.now, world.client_set, &message, NULL, 0, &verdict);
    if (answer == CIRCFLOW_ERR_NO_ROOM) {
        stopped = 1;
        return;
    }
    OK(answer);
    accepted++;
    if (verdict.kind == CIRCFLOW_VERDICT_HELD) {
        host_lend(&ledger, message.token, message.cost_bytes);
        held++;
        return;
    }
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_SEND);
    size_t leg = leg_of(verdict.circuit_tag);
    if (verdict.switch_delta != 0) {
        put(leg, CIRCFLOW_CMD_SWITCH, verdict.switch_delta, 0);
        switches++;
        if (decides)
            OK(circflow_circuit_cell_queued(world.client, world.now, verdict.circuit, CIRCFLOW_CMD_SWITCH, HOST_HOPS));
    }
    put(leg, message.command, 0, message.token);
    if (decides)
        OK(circflow_circuit_cell_queued(world.client, world.now, verdict.circuit, message.command, HOST_HOPS));
}

static void arrives(uint64_t token)
{
    arrived++;
    assert_int_equal(token, arrived);
}

static void carry(size_t leg)
{
    circflow_message message;
    circflow_verdict verdict;
    cell cell;
    if (wire[leg].count == 0)
        return;
    cell = wire[leg].cells[wire[leg].first];
    wire[leg].first = (wire[leg].first + 1) % WIRE_MAX;
    wire[leg].count--;
    if (below(2))
        OK(circflow_circuit_cells_written(world.client, world.now, world.client_leg[leg], 1));
    if (cell.command == CIRCFLOW_CMD_SWITCH)
        message = host_switch(0, cell.delta);
    else {
        message = host_token(0, cell.token, 50);
        message.command = cell.command;
        message.stream_id = cell.command == CIRCFLOW_CMD_DROP ? 0 : 7;
    }
    OK(circflow_circuit_receive(world.exit, world.now, world.exit_leg[leg], &message, &verdict));
    if (verdict.kind == CIRCFLOW_VERDICT_DELIVER)
        arrives(cell.token);
    const host_events *events = host_drain(world.exit);
    for (size_t i = 0; i < events->count; i++) {
        assert_int_equal(events->at[i].insn.kind, CIRCFLOW_INSN_DELIVER);
        arrives(events->at[i].insn.detail.deliver.token);
    }
}

static void install(size_t leg, int at)
{
    static const char *const lists[] = {"gate-0-00", "gate-0-11", "gate-1-00", "gate-1-01",     "gate-1-10", "gate-1-11",
                                        "gate-now",  "shut-0",    "shut-1",    "extend-50-101", "pad-at-end", "four",
                                        "block-again", "timer-end-1", "written-pad", "extend-0-101"};
    uint8_t hop = (uint8_t)(2 + at);
    if (has[leg][at])
        OK(circflow_padding_remove(world.client, world.now, world.client_leg[leg], hop, 0));
    else
        host_pad(&world, world.client, world.client_leg[leg], lists[below(COUNT(lists))], hop, 0);
    has[leg][at] = !has[leg][at];
}

static void settle_all(void)
{
    for (size_t leg = 0; leg < LEGS; leg++)
        for (int at = 0; at < 2; at++)
            if (has[leg][at])
                install(leg, at);
    OK(circflow_engine_tick(world.client, world.now));
    for (size_t leg = 0; leg < LEGS; leg++) {
        circflow_leg_report report = {world.client_leg[leg], 100000, 0, MS, 31, 0};
        OK(circflow_leg_update(world.client, world.now, &report, 1));
    }
    drain_client();
}

static void play(uint64_t with)
{
    seed = with;
    accepted = arrived = padded = switches = held = 0;
    stopped = 0;
    memset(&ledger, 0, sizeof(ledger));
    memset(wire, 0, sizeof(wire));
    memset(has, 0, sizeof(has));
    host_prepare(&world);
    world.client_terms.held_sends_max = 1 + below(40);
    world.client_circuit.held_sends_max = below(10);
    host_linked(&world, LEGS);
    for (int step = 0; step < STEPS; step++) {
        size_t leg = below(LEGS);
        circflow_circuit_id circuit = world.client_leg[leg];
        switch (below(12)) {
        case 0: case 1: case 2:
            for (uint32_t n = below(4); !stopped && n > 0; n--)
                send_one();
            break;
        case 3:
            world.now += below(2) ? below(30) * MS : below(2000);
            OK(circflow_engine_tick(world.client, world.now));
            break;
        case 4: {
            uint64_t deadline = host_deadline(world.client);
            if (deadline != CIRCFLOW_NEVER && deadline > world.now)
                world.now = deadline;
            OK(circflow_engine_tick(world.client, world.now));
            break;
        }
        case 5: host_other(&world, world.client, circuit, (uint8_t)(2 + below(2))); break;
        case 6: {
            int at = (int)below(2);
            if (has[leg][at])
                host_drop(&world, world.client, circuit, (uint8_t)(2 + at));
            break;
        }
        case 7: host_room(&world, world.client, circuit, below(30), (1 + below(5)) * MS); break;
        case 8: if (below(10) == 0) install(leg, (int)below(2)); break;
        case 9: OK(circflow_circuit_cells_written(world.client, world.now, circuit, below(3))); break;
        default: carry(leg); break;
        }
        if (below(3))
            drain_client();
        assert_true(host_stats(world.client).held <= 100);
    }
    /* Whoever was told to stop and is told nothing more would wait for ever. */
    settle_all();
    assert_int_equal(stopped, 0);
    for (size_t leg = 0; leg < LEGS; leg++)
        while (wire[leg].count > 0)
            carry(leg);
    assert_int_equal(arrived, accepted);
    assert_int_equal(host_stats(world.client).held, 0);
    assert_int_equal(host_stats(world.client).held_bytes, 0);
    assert_int_equal(host_set_stats(world.client, world.client_set).sent, accepted);
    assert_int_equal(host_stats(world.client).peer_faults + host_stats(world.exit).peer_faults, 0);
    assert_true(host_deadline(world.client) == CIRCFLOW_NEVER);
    host_settle(&ledger);
    assert_true(accepted > 100);
    host_stop(&world);
}

static void each_message_arrives_once_and_in_order(void **state)
{
    const char *rounds = getenv("PADSOAK_ROUNDS");
    uint64_t count = rounds != NULL ? strtoull(rounds, NULL, 10) : ROUNDS;
    (void)state;
    for (uint64_t n = 1; n <= count; n++) {
        play(n * 7919);
        print_message("seed %u: %u messages, %u of them held, %u padding cells, %u SWITCHes\n", (unsigned)(n * 7919),
                      (unsigned)accepted, (unsigned)held, (unsigned)padded, (unsigned)switches);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_arrives_once_and_in_order),
    };
    return cmocka_run_group_tests_name("padsoak", tests, NULL, NULL);
}
