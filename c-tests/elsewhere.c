/* A set at an exit with a leg on its own engine, and one on another engine of its hub: what goes out on the other,
 * and what comes there. */

#include "host.h"

static host_world world;
static circflow_engine *other;
static circflow_circuit_id away; /* The leg on `other`. */
static circflow_hub *hub;

static void tick(circflow_engine *engine) { OK(circflow_engine_tick(engine, world.now)); }

/* The first message that an engine wants to send on a circuit. */
static host_event sent_on(circflow_engine *engine, circflow_circuit_id circuit)
{
    const host_events *events = host_drain(engine);
    for (size_t i = 0; i < events->count; i++)
        if (events->at[i].insn.kind == CIRCFLOW_INSN_SEND && events->at[i].insn.circuit.v == circuit.v)
            return events->at[i];
    fail_msg("nothing is sent on the circuit");
    return events->at[0];
}

static void carry(const host_event *event, circflow_engine *to, circflow_circuit_id circuit, uint8_t hop)
{
    const circflow_insn_send *send = &event->insn.detail.send;
    host_feed(&world, to, circuit, host_message(send->command, hop, send->stream_id, event->body, send->body_len));
}

/* LINK of leg 0 to the exit, of leg 1 to the other engine, and all that follows. */
static void link_both(void)
{
    static host_events links;
    host_launch(&world, 1);
    world.client_circuit.tag = 0xc001;
    world.client_leg[1] = host_open(&world, world.client, CIRCFLOW_ROLE_CLIENT);
    OK(circflow_set_add_legs(world.client, world.now, world.client_set, &world.client_leg[1], 1));
    world.exit_circuit.tag = 0xe001;
    world.exit_circuit.held_sends_max = 1;
    away = host_open(&world, other, CIRCFLOW_ROLE_RELAY);
    links = *host_drain(world.client);
    assert_int_equal(host_count(&links, CIRCFLOW_INSN_SEND), 2);
    carry(&links.at[0], world.exit, world.exit_leg[0], 0);
    carry(&links.at[1], other, away, 0);
    const host_events *saw = host_drain(world.exit);
    world.exit_set = host_first(saw, CIRCFLOW_INSN_LINKED)->set;
    for (size_t i = 0; i < saw->count; i++)
        if (saw->at[i].insn.kind == CIRCFLOW_INSN_SEND) {
            const host_event linked = saw->at[i];
            carry(&linked, world.client, world.client_leg[0], HOST_HOPS);
            break;
        }
    tick(world.exit); /* It hears of the leg on the other engine .. */
    tick(other);      /* .. which hears its answer. */
    const host_event linked = sent_on(other, away);
    carry(&linked, world.client, world.client_leg[1], HOST_HOPS);
    links = *host_drain(world.client);
    for (size_t i = 0; i < links.count; i++)
        if (links.at[i].insn.kind == CIRCFLOW_INSN_SEND) {
            const int is_first = links.at[i].insn.circuit.v == world.client_leg[0].v;
            carry(&links.at[i], is_first ? world.exit : other, is_first ? world.exit_leg[0] : away, 0);
        }
    host_tick(&world, world.exit);
}

static int wakes;

static void count_wake(void *userdata)
{
    (void)userdata;
    wakes++;
}

static int start(void)
{
    world.exit_terms.held_sends_max = 4;
    host_start(&world);
    hub = host_hub(0);
    OK(circflow_engine_join(world.exit, hub, host_no_wake, NULL));
    other = host_exit(&world, 3, hub, count_wake, NULL);
    link_both();
    return 0;
}

static int setup(void **state)
{
    (void)state;
    host_prepare(&world);
    return start();
}

/* On circuits that circflow runs. */
static int setup_run(void **state)
{
    (void)state;
    host_prepare_run(&world);
    return start();
}

static int teardown(void **state)
{
    (void)state;
    OK(circflow_engine_free(other, NULL, NULL));
    host_stop(&world);
    OK(circflow_hub_free(hub));
    return 0;
}

/* Sends so many messages that are to go by the other engine. */
static void send_away(int count)
{
    const circflow_message message = host_data(0, "x");
    for (int i = 0; i < count; i++)
        assert_int_equal(
            host_set_sends(&world, world.exit, world.exit_set, message, CIRCFLOW_VERDICT_HELD).circuit.v, 0);
}

static void comes_out_there(size_t count)
{
    assert_int_equal(host_count(host_tick(&world, other), CIRCFLOW_INSN_SEND), count);
}

/* No verdict tells a host to send on a leg of another thread. */
static void what_goes_elsewhere_is_held(void **state)
{
    (void)state;
    host_room(&world, other, away, 50, 20 * MS);
    tick(world.exit);
    send_away(20);
    comes_out_there(20);
}

/* What padding held and then went over to the other engine waits no more: it must not take up room for ever, nor keep
 * what comes later from going. */
static void what_crosses_waits_no_more(void **state)
{
    (void)state;
    host_pad(&world, world.exit, world.exit_leg[0], "shut-0", 0, 0);
    host_room(&world, world.exit, world.exit_leg[0], 50, 10 * MS);
    host_drop(&world, world.exit, world.exit_leg[0], 0); /* The machine blocks its leg from now on. */
    host_tick(&world, world.exit);
    send_away(3);
    comes_out_there(0);
    host_room(&world, other, away, 50, 20 * MS);
    tick(world.exit); /* The other leg has room: all three go there. */
    comes_out_there(3);
    send_away(20); /* More than may be held at a time. */
    comes_out_there(20);
}

/* A host that reports the message for which a leg here was kept free lets what padding held go over to the other
 * engine, which is woken in the same call. */
static void cross_and_wake(void)
{
    const circflow_message message = host_data(0, "x");
    circflow_verdict verdict;
    host_room(&world, other, away, 50, 20 * MS);
    tick(world.exit);
    send_away(3);
    comes_out_there(3);
    host_tick(&world, world.exit);
    host_room(&world, world.exit, world.exit_leg[0], 50, 10 * MS);
    OK(circflow_set_decide(world.exit, world.now, world.exit_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
    OK(circflow_circuit_cell_queued(world.exit, world.now, verdict.circuit, CIRCFLOW_CMD_SWITCH, 0));
    host_pad(&world, world.exit, world.exit_leg[0], "shut-0", 0, 0);
    host_drop(&world, world.exit, world.exit_leg[0], 0);
    host_tick(&world, world.exit);
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    host_tick(&world, world.exit);
    host_tick(&world, other);
    wakes = 0;
    OK(circflow_circuit_cell_queued(world.exit, world.now, world.exit_leg[0], CIRCFLOW_CMD_DATA, 0));
    assert_int_equal(wakes, 1);
    comes_out_there(2); /* A SWITCH comes first. */
}

static void what_crosses_wakes_the_other_engine_at_once(void **state)
{
    (void)state;
    cross_and_wake();
}

static void what_crosses_wakes_the_other_engine_when_recorded(void **state)
{
    (void)state;
    OK(circflow_engine_record(world.exit, 1 << 16, CIRCFLOW_RECORD_ALL));
    cross_and_wake();
}

/* Behind a block on the other engine one cell of padding waits, which is all that may wait there; and a message of the
 * set stays on its way until there is room. */
static void stand_behind_padding(void)
{
    const circflow_message end = host_message(CIRCFLOW_CMD_END, 0, 7, "e", 1);
    circflow_verdict verdict;
    host_room(&world, other, away, 50, 20 * MS);
    tick(world.exit);
    host_pad(&world, other, away, "block-00", 0, 0);
    host_pad(&world, other, away, "pad-00", 0, 1);
    host_other(&world, other, away, 0);
    tick(other);
    world.now += 10 * MS;
    tick(other);
    assert_int_equal(host_pad_stats(other, away, 0, 1).padding_sent, 1);
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &end, NULL, 0, &verdict));
    assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    comes_out_there(0);
}

/* Padding that stood before it is taken away: no host takes a message then that would make the room. */
static void what_stood_behind_padding_goes_on_without_it(void **state)
{
    (void)state;
    stand_behind_padding();
    OK(circflow_padding_remove(other, world.now, away, 0, 1));
    OK(circflow_padding_remove(other, world.now, away, 0, 0));
    tick(other);
    comes_out_there(1);
}

/* Nor when it leaves, as the block ends. */
static void what_stood_behind_padding_goes_on_after_it(void **state)
{
    (void)state;
    stand_behind_padding();
    world.now += 100 * MS;
    tick(other);
    tick(other);
    const host_events *saw = host_drain(other);
    assert_int_equal(saw->count, 2);
    assert_int_equal(saw->at[0].insn.kind, CIRCFLOW_INSN_PADDING);
    assert_int_equal(saw->at[1].insn.kind, CIRCFLOW_INSN_SEND);
}

/* The leg on the other engine is on a channel that is full: once that has room, DATA goes on, and it is told once. */
static void a_channel_of_the_other_engine_gets_room(void **state)
{
    circflow_message begin = host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x", 2);
    circflow_channel_id channel;
    circflow_channel_stats stats;
    circflow_verdict verdict;
    (void)state;
    stats.size = sizeof(stats);
    OK(circflow_circuit_receive(world.exit, world.now, world.exit_leg[0], &begin, &verdict));
    const circflow_stream_id stream = verdict.stream;
    OK(circflow_channel_open(other, 0, &channel));
    OK(circflow_circuit_set_channel(other, world.now, away, CIRCFLOW_SIDE_BACK, channel));
    OK(circflow_circuit_set_writable(world.exit, world.now, world.exit_leg[0], CIRCFLOW_SIDE_BACK, 0));
    host_tick(&world, other);
    host_tick(&world, world.exit);
    IS(CIRCFLOW_ERR_NO_ROOM, host_stream_send(&world, world.exit, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    host_tick(&world, other);
    assert_int_equal(host_count(host_tick(&world, world.exit), CIRCFLOW_INSN_MAY_SEND), 0);
    for (uint64_t n = 1; n <= 3; n++) {
        OK(circflow_channel_set_room(other, world.now, channel, 1));
        host_tick(&world, other);
        assert_int_equal(host_count(host_tick(&world, world.exit), CIRCFLOW_INSN_MAY_SEND), 1);
        assert_int_equal(host_count(host_tick(&world, world.exit), CIRCFLOW_INSN_MAY_SEND), 0);
        OK(host_stream_send(&world, world.exit, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
        comes_out_there(1);
        OK(circflow_channel_get_stats(other, channel, &stats));
        assert_int_equal(stats.passed, n);
        assert_int_equal(stats.room_cells, 0);
        /* The set hears that it is full, at the latest, with what is said of it next. */
        OK(circflow_channel_set_room(other, world.now, channel, 0));
        OK(circflow_circuit_set_writable(other, world.now, away, CIRCFLOW_SIDE_BACK, 1));
        host_tick(&world, other);
        host_tick(&world, world.exit);
        IS(CIRCFLOW_ERR_NO_ROOM, host_stream_send(&world, world.exit, stream, CIRCFLOW_CMD_DATA, "x", 1, &verdict));
    }
}

/* A leg on another engine is named like any other, at the engine that has the set. */
static void a_leg_elsewhere_is_named(void **state)
{
    const circflow_circuit_id nobody = {0};
    const circflow_message message = host_data(0, "x");
    circflow_verdict verdict;
    (void)state;
    host_room(&world, world.exit, world.exit_leg[0], 50, 10 * MS);
    host_room(&world, other, away, 50, 20 * MS);
    tick(world.exit);
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_use_leg(other, world.exit_set, away));
    OK(circflow_set_use_leg(world.exit, world.exit_set, away));
    assert_int_equal(host_set_stats(world.exit, world.exit_set).named_leg.v, away.v);
    send_away(3);
    comes_out_there(4); /* A SWITCH comes first. */
    OK(circflow_set_use_leg(world.exit, world.exit_set, world.exit_leg[0]));
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
    assert_int_equal(verdict.switch_delta, 3);
    OK(circflow_set_use_leg(world.exit, world.exit_set, away));
    send_away(1);
    comes_out_there(2);
    OK(circflow_set_use_leg(world.exit, world.exit_set, nobody));
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
    assert_int_equal(verdict.number, 7);
}

/* Messages wait for it, and when it is lost there, the set's own leg is chosen again. */
static void a_leg_elsewhere_that_was_named_is_lost(void **state)
{
    const circflow_message message = host_data(0, "x");
    circflow_verdict verdict;
    (void)state;
    host_room(&world, world.exit, world.exit_leg[0], 50, 10 * MS);
    OK(circflow_set_use_leg(world.exit, world.exit_set, away));
    IS(CIRCFLOW_ERR_NO_ROOM,
       circflow_set_send(world.exit, world.now, world.exit_set, &message, NULL, 0, &verdict));
    assert_int_equal(host_count(host_tick(&world, world.exit), CIRCFLOW_INSN_MAY_SEND), 0);
    OK(circflow_circuit_gone(other, world.now, away));
    tick(other);
    assert_int_equal(host_count(host_tick(&world, world.exit), CIRCFLOW_INSN_MAY_SEND), 1);
    assert_int_equal(host_set_stats(world.exit, world.exit_set).named_leg.v, 0);
    OK(circflow_set_send(world.exit, world.now, world.exit_set, &message, NULL, 0, &verdict));
    assert_int_equal(verdict.circuit.v, world.exit_leg[0].v);
    IS(CIRCFLOW_ERR_FOREIGN_ID, circflow_set_use_leg(world.exit, world.exit_set, away));
}

/* --- What comes on the leg elsewhere, and is next: it goes straight to the host --- */

static char came[16];

/* DATA comes on the leg elsewhere, and the home hears of it. */
static void comes(const char *texts)
{
    for (; *texts != 0; texts++) {
        const char text[2] = {*texts, 0};
        circflow_verdict verdict;
        const circflow_message message = host_data(0, text);
        OK(circflow_circuit_receive(other, world.now, away, &message, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_HELD);
    }
    tick(world.exit);
}

static void take(const circflow_insn *insn, const uint8_t *body)
{
    const size_t have = strlen(came);
    assert_true(have + 2 < sizeof(came));
    if (insn->kind == CIRCFLOW_INSN_DELIVER) {
        assert_int_equal(insn->detail.deliver.body_len, 1);
        assert_int_equal(insn->detail.deliver.number, have + 1);
        came[have] = (char)body[0];
        came[have + 1] = 0;
    }
}

static void take_one(void *unused, const circflow_insn *insn, const uint8_t *body)
{
    (void)unused;
    take(insn, body);
}

/* Closes the set at the first message. */
static void take_and_close(void *unused, const circflow_insn *insn, const uint8_t *body)
{
    (void)unused;
    take(insn, body);
    if (insn->kind == CIRCFLOW_INSN_DELIVER && strlen(came) == 1)
        OK(circflow_set_close(world.exit, world.now, world.exit_set));
    assert_true(insn->kind != CIRCFLOW_INSN_DELIVER || body[0] == (uint8_t)came[strlen(came) - 1]);
}

/* Feeds at the first message: one for the own leg, and one for the leg elsewhere, of which the home hears at once. */
static void take_and_feed(void *unused, const circflow_insn *insn, const uint8_t *body)
{
    (void)unused;
    take(insn, body);
    if (insn->kind == CIRCFLOW_INSN_DELIVER && strlen(came) == 1) {
        host_feed(&world, world.exit, world.exit_leg[0], host_switch(0, 2));
        host_feed(&world, world.exit, world.exit_leg[0], host_data(0, "c"));
        const circflow_message jump = host_switch(0, 1), last = host_data(0, "d");
        circflow_verdict verdict;
        OK(circflow_circuit_receive(other, world.now, away, &jump, &verdict));
        OK(circflow_circuit_receive(other, world.now, away, &last, &verdict));
        tick(world.exit);
        assert_int_equal(body[0], 'a'); /* The body stays as it is. */
    }
}

static int drain_with(circflow_insn_fn fn, size_t budget)
{
    uint8_t more = 2;
    OK(circflow_engine_drain(world.exit, budget, &more, fn, NULL));
    return more;
}

static void what_is_next_is_not_held(void **state)
{
    (void)state;
    came[0] = 0;
    comes("abc");
    assert_int_equal(host_stats(world.exit).held_bytes, 0);
    assert_true(host_stats(other).held_bytes > 0);
    assert_int_equal(host_deadline(world.exit), 0);
    assert_int_equal(drain_with(take_one, 1), 1);
    assert_string_equal(came, "a");
    comes("d"); /* News, while some of it waits. */
    assert_int_equal(drain_with(take_one, 1), 1);
    assert_int_equal(drain_with(take_one, 9), 0);
    assert_string_equal(came, "abcd");
    assert_int_equal(host_set_stats(world.exit, world.exit_set).delivered, 4);
    assert_int_equal(host_set_stats(world.exit, world.exit_set).held_peak, 0);
    tick(other);
    assert_int_equal(host_stats(other).held_bytes, 0);
}

/* A whole link, and more than it has room for: the rest comes when there is room. */
static void a_full_link_goes_on(void **state)
{
    size_t count = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        const circflow_message message = host_data(0, "x");
        circflow_verdict verdict;
        OK(circflow_circuit_receive(other, world.now, away, &message, &verdict));
    }
    for (int i = 0; i < 9; i++) {
        tick(world.exit);
        assert_int_equal(host_stats(world.exit).held_bytes, 0);
        count += host_count(host_drain(world.exit), CIRCFLOW_INSN_DELIVER);
        tick(other);
        host_drain(other);
    }
    assert_int_equal(count, 100);
    assert_int_equal(host_stats(other).held_bytes, 0);
}

/* What had its turn is delivered, although the set ends with its own leg, on which too much was in flight. */
static void what_is_next_outlives_its_set(void **state)
{
    (void)state;
    host_room(&world, world.exit, world.exit_leg[0], 10, 10 * MS);
    came[0] = 0;
    comes("abc");
    OK(circflow_circuit_gone(world.exit, world.now, world.exit_leg[0]));
    IS(CIRCFLOW_ERR_STALE_ID, circflow_set_close(world.exit, world.now, world.exit_set));
    assert_int_equal(drain_with(take_one, 99), 0);
    assert_string_equal(came, "abc");
}

/* A host that closes the set gets nothing more. */
static void a_set_that_its_host_closes(void **state)
{
    (void)state;
    came[0] = 0;
    comes("abc");
    assert_int_equal(drain_with(take_and_close, 99), 0);
    assert_string_equal(came, "a");
    assert_int_equal(host_stats(world.exit).held_bytes, 0);
    tick(other);
    host_drain(other);
    assert_int_equal(host_stats(other).held_bytes, 0);
}

/* Also when the leg goes. */
static void what_is_next_outlives_its_leg(void **state)
{
    (void)state;
    came[0] = 0;
    comes("abc");
    assert_int_equal(drain_with(take_one, 1), 1);
    OK(circflow_circuit_gone(other, world.now, away));
    host_drain(other);
    tick(world.exit);
    drain_with(take_one, 99);
    assert_string_equal(came, "abc");
}

static void the_own_leg_is_lost(void **state)
{
    (void)state;
    came[0] = 0;
    comes("abc");
    OK(circflow_circuit_gone(world.exit, world.now, world.exit_leg[0]));
    drain_with(take_one, 99);
    assert_string_equal(came, "abc");
}

static void it_keeps_the_order_of_other_legs(void **state)
{
    (void)state;
    came[0] = 0;
    comes("ab");
    assert_int_equal(drain_with(take_and_feed, 99), 0);
    assert_string_equal(came, "abcd");
}

static void a_host_that_polls_the_set_gets_it(void **state)
{
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_insn insn;
    (void)state;
    came[0] = 0;
    comes("abc");
    OK(circflow_set_poll(world.exit, world.exit_set, body, sizeof(body), &insn));
    take(&insn, body);
    assert_string_equal(came, "a");
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(world.exit, body, 0, &insn));
    assert_int_equal(drain_with(take_one, 99), 0);
    assert_string_equal(came, "abc");
}

static void a_host_that_has_it_lent_gets_it(void **state)
{
    const uint8_t *lent;
    circflow_insn insn;
    (void)state;
    came[0] = 0;
    comes("abc");
    OK(circflow_set_poll_lent(world.exit, world.exit_set, &lent, &insn));
    take(&insn, lent);
    assert_string_equal(came, "a");
    assert_int_equal(drain_with(take_one, 99), 0);
    assert_string_equal(came, "abc");
}

/* Nothing is taken, and nothing lost. */
static void a_buffer_that_is_too_small(void **state)
{
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    circflow_insn insn;
    (void)state;
    came[0] = 0;
    comes("ab");
    IS(CIRCFLOW_ERR_TOO_SMALL, circflow_engine_poll(world.exit, body, 0, &insn));
    OK(circflow_engine_poll(world.exit, body, 1, &insn));
    take(&insn, body);
    assert_int_equal(drain_with(take_one, 99), 0);
    assert_string_equal(came, "ab");
}

/* On circuits that circflow runs: a stream is opened, has DATA, and XOFF and XON, which circflow reads itself. */
static void a_stream_goes_straight(void **state)
{
    static const uint8_t xoff[] = {0}, xon[] = {0, 0, 0, 0, 0};
    const uint8_t digest[20] = {1};
    const circflow_message all[] = {
        host_message(CIRCFLOW_CMD_BEGIN, 0, 7, "x:80", 5), host_message(CIRCFLOW_CMD_DATA, 0, 7, "a", 1),
        host_message(CIRCFLOW_CMD_XOFF, 0, 7, xoff, 1),    host_message(CIRCFLOW_CMD_DATA, 0, 7, "b", 1),
        host_message(CIRCFLOW_CMD_XON, 0, 7, xon, 5),      host_message(CIRCFLOW_CMD_DATA, 0, 7, "c", 1),
        host_message(CIRCFLOW_CMD_END, 0, 7, "\6", 1),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        circflow_message message = all[i];
        circflow_verdict verdict;
        message.cell_digest = digest;
        message.cell_digest_len = sizeof(digest);
        OK(circflow_circuit_receive(other, world.now, away, &message, &verdict));
    }
    tick(world.exit);
    assert_int_equal(host_stats(world.exit).held_bytes, 0);
    const host_events *events = host_drain(world.exit);
    assert_int_equal(host_count(events, CIRCFLOW_INSN_DELIVER), 5);
    const uint8_t commands[] = {CIRCFLOW_CMD_BEGIN, CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_DATA, CIRCFLOW_CMD_DATA,
                                CIRCFLOW_CMD_END};
    for (size_t i = 0, at = 0; i < events->count; i++)
        if (events->at[i].insn.kind == CIRCFLOW_INSN_DELIVER)
            assert_int_equal(events->at[i].insn.detail.deliver.command, commands[at++]);
    assert_int_equal(host_set_stats(world.exit, world.exit_set).delivered, 7);
}

static void comes_on_stream(uint8_t command, const void *body, size_t len, int as_token)
{
    const uint8_t digest[20] = {1};
    circflow_message message = host_message(command, 0, 7, body, len);
    circflow_verdict verdict;
    message.cell_digest = digest;
    message.cell_digest_len = sizeof(digest);
    message.form = as_token ? CIRCFLOW_FORM_TOKEN : CIRCFLOW_FORM_BYTES;
    OK(circflow_circuit_receive(other, world.now, away, &message, &verdict));
}

/* Messages that circflow reads itself lie between those for the host: they neither take back what is lent, nor are they
 * taken for it. */
static void what_is_lent_stays_while_circflow_reads(void **state)
{
    static const uint8_t xoff[] = {0};
    uint8_t body[CIRCFLOW_CELL_BODY_LEN];
    const uint8_t *lent, *next;
    circflow_insn insn;
    (void)state;
    comes_on_stream(CIRCFLOW_CMD_BEGIN, "x:80", 5, 0);
    comes_on_stream(CIRCFLOW_CMD_DATA, "first", 5, 0);
    comes_on_stream(CIRCFLOW_CMD_XOFF, xoff, 1, 0);
    comes_on_stream(CIRCFLOW_CMD_DATA, "second", 6, 0);
    tick(world.exit);
    for (int i = 0; i < 2; i++)
        OK(circflow_set_poll_lent(world.exit, world.exit_set, &lent, &insn));
    assert_memory_equal(lent, "first", 5);
    OK(circflow_set_poll(world.exit, world.exit_set, body, sizeof(body), &insn));
    assert_memory_equal(body, "second", 6);
    for (int i = 0; i < 10; i++)
        comes_on_stream(CIRCFLOW_CMD_DATA, "others", 6, 0);
    tick(world.exit);
    OK(circflow_set_poll(world.exit, world.exit_set, body, sizeof(body), &insn));
    assert_memory_equal(lent, "first", 5);
    do {
        OK(circflow_set_poll_lent(world.exit, world.exit_set, &next, &insn));
    } while (insn.kind != CIRCFLOW_INSN_NONE);
    assert_null(next);
    comes_on_stream(CIRCFLOW_CMD_XOFF, xoff, 1, 0);
    comes_on_stream(CIRCFLOW_CMD_DATA, "token", 5, 1);
    comes_on_stream(CIRCFLOW_CMD_XOFF, xoff, 1, 0);
    tick(world.exit);
    OK(circflow_set_poll_lent(world.exit, world.exit_set, &next, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_DELIVER);
    assert_null(next);
    OK(circflow_set_poll_lent(world.exit, world.exit_set, &next, &insn));
    assert_int_equal(insn.kind, CIRCFLOW_INSN_NONE);
    assert_null(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_goes_elsewhere_is_held, setup, teardown),
        cmocka_unit_test_setup_teardown(what_crosses_waits_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(what_crosses_wakes_the_other_engine_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(what_crosses_wakes_the_other_engine_when_recorded, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stood_behind_padding_goes_on_without_it, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stood_behind_padding_goes_on_after_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_channel_of_the_other_engine_gets_room, setup_run, teardown),
        cmocka_unit_test_setup_teardown(a_leg_elsewhere_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leg_elsewhere_that_was_named_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_next_is_not_held, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_link_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_next_outlives_its_set, setup, teardown),
        cmocka_unit_test_setup_teardown(a_set_that_its_host_closes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_next_outlives_its_leg, setup, teardown),
        cmocka_unit_test_setup_teardown(the_own_leg_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(it_keeps_the_order_of_other_legs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_polls_the_set_gets_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_that_has_it_lent_gets_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_buffer_that_is_too_small, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_goes_straight, setup_run, teardown),
        cmocka_unit_test_setup_teardown(what_is_lent_stays_while_circflow_reads, setup_run, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
