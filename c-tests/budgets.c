/* Budgets: how much padding and blocking a padder may do, and how much padding a peer may send. */

#include "host.h"

#include <math.h>

#define CLIENT world.client
#define RELAY world.exit
#define LEG world.client_leg[0]

HOST_WORLD(host_begin_pair)

static void again(void)
{
    host_stop(&world);
    host_begin_pair(&world);
}

static int install(const circflow_padding_config *config)
{
    return circflow_padding_install(CLIENT, world.now, LEG, config);
}

static circflow_padding_stats stats(void) { return host_pad_stats(CLIENT, LEG, 2, 0); }

static const host_events *later(uint64_t ms)
{
    return host_later(&world, CLIENT, ms * MS);
}

static int drop_from(uint8_t hop) { return host_feed(&world, CLIENT, LEG, host_message(CIRCFLOW_CMD_DROP, hop, 0, NULL, 0)); }

static void fractions_are_checked(void **state)
{
    static const struct {
        double value;
        int want;
    } rows[] = {{0.0, CIRCFLOW_OK},          {1.0, CIRCFLOW_OK},           {0.5, CIRCFLOW_OK},
                {-0.0, CIRCFLOW_OK},         {-0.1, CIRCFLOW_ERR_INVALID}, {1.1, CIRCFLOW_ERR_INVALID},
                {1e300, CIRCFLOW_ERR_INVALID}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows) + 3; i++)
        for (int field = 0; field < 3; field++) {
            const double odd[] = {NAN, INFINITY, -INFINITY};
            double value = i < COUNT(rows) ? rows[i].value : odd[i - COUNT(rows)];
            int want = i < COUNT(rows) ? rows[i].want : CIRCFLOW_ERR_INVALID;
            circflow_padding_config config = host_padding_config(CLIENT, "four", 2, 0);
            size_t len = 0;
            *(field == 0 ? &config.padding_fraction : field == 1 ? &config.blocking_fraction : &config.inbound_fraction) =
                value;
            IS(want, install(&config));
            IS(want, circflow_padding_register(CLIENT, CIRCFLOW_ROLE_CLIENT, 9, &config));
            if (want == CIRCFLOW_OK)
                OK(circflow_padding_remove(CLIENT, world.now, LEG, 2, 0));
            else {
                OK(circflow_engine_get_last_detail(CLIENT, NULL, 0, &len));
                assert_true(len > 0);
            }
            OK(circflow_machines_drop(CLIENT, config.machines));
        }
}

static void the_rest_of_the_config_is_checked(void **state)
{
    static const struct {
        uint8_t hop, slot, flags, reserved;
        int want;
    } rows[] = {
        {1, 0, 0, 0, CIRCFLOW_OK},          {3, 1, 7, 0, CIRCFLOW_OK},          {2, 1, 0, 0, CIRCFLOW_OK},
        {0, 0, 0, 0, CIRCFLOW_ERR_INVALID}, {4, 0, 0, 0, CIRCFLOW_ERR_INVALID}, {17, 0, 0, 0, CIRCFLOW_ERR_INVALID},
        {255, 0, 0, 0, CIRCFLOW_ERR_INVALID}, {2, 2, 0, 0, CIRCFLOW_ERR_INVALID}, {2, 255, 0, 0, CIRCFLOW_ERR_INVALID},
        {2, 0, 8, 0, CIRCFLOW_ERR_INVALID}, {2, 0, 0, 1, CIRCFLOW_ERR_INVALID},
    };
    circflow_padding_config config;
    (void)state;
    OK(circflow_padding_config_init(&config, sizeof(config)));
    assert_int_equal(config.size, sizeof(config));
    assert_int_equal(config.machines.v, 0);
    assert_true(config.padding_fraction == 0.0 && config.blocking_fraction == 0.0 && config.inbound_fraction == 0.0);
    assert_int_equal(config.inbound_grace, 0);
    assert_int_equal(config.queued_cells_max, CIRCFLOW_BY_PARAMETER);
    assert_int_equal(config.hop, 2);
    assert_int_equal(config.slot, 0);
    assert_int_equal(config.flags, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        config.hop = rows[i].hop;
        config.slot = rows[i].slot;
        config.flags = rows[i].flags;
        config.reserved = rows[i].reserved;
        IS(rows[i].want, install(&config));
    }
    OK(circflow_padding_config_init(&config, sizeof(config)));
    config.hop = 0; /* A relay pads towards its client, and with nobody else. */
    OK(circflow_padding_install(RELAY, world.now, world.exit_leg[0], &config));
    config.hop = 1;
    IS(CIRCFLOW_ERR_INVALID, circflow_padding_install(RELAY, world.now, world.exit_leg[0], &config));
}

static void padding_fraction(void **state)
{
    (void)state;
    /* No limit; half of what is sent; 1.0 means no limit as soon as one other cell was sent. The last machine has an
     * allowance of its own without end, and that comes first. */
    const double fractions[] = {0.0, 0.5, 1.0, 0.5};
    for (size_t i = 0; i < COUNT(fractions); i++) {
        circflow_padding_config config;
        again();
        config = host_padding_config(CLIENT, i < 3 ? "frugal-pad" : "pad-00", 2, 0);
        config.padding_fraction = fractions[i];
        OK(install(&config));
        for (int n = 0; n < 4; n++)
            OK(circflow_circuit_cell_queued(CLIENT, world.now, LEG, CIRCFLOW_CMD_SENDME, 2));
        for (int n = 0; n < 20; n++) {
            host_other(&world, CLIENT, LEG, 2);
            later(10);
        }
        /* It stops where padding / (padding + normal) reaches the fraction. */
        assert_int_equal(stats().padding_sent, i == 1 ? 4 : 20);
        assert_int_equal(stats().normal_sent, 4);
    }
}

static void blocking_fraction(void **state)
{
    (void)state;
    const double fractions[] = {0.0, 0.5, 1.0, 0.5};
    for (size_t i = 0; i < COUNT(fractions); i++) {
        circflow_padding_config config;
        again();
        config = host_padding_config(CLIENT, i < 3 ? "frugal-block" : "block-00", 2, 0);
        config.blocking_fraction = fractions[i];
        OK(install(&config));
        later(100);
        for (int n = 0; n < 50; n++) { /* 100 ms each, as long as it may. */
            host_other(&world, CLIENT, LEG, 2);
            later(100);
        }
        uint64_t blocked_ms = stats().blocked_ns / MS;
        if (i == 1)
            assert_in_range(blocked_ms, 2400, 2700);
        else
            assert_int_equal(blocked_ms, 5000);
    }
}

/* Of what comes from the hop: the fraction counts once more than the grace has come. */
static void inbound_fraction(void **state)
{
    static const struct {
        double fraction;
        uint64_t grace;
        int others, drops; /* Others come first; so many drops are fine, and the next is not. */
    } rows[] = {
        {0.5, 0, 4, 4}, {0.5, 10, 4, 10}, {0.5, 3, 4, 4}, {0.5, 4, 4, 4}, {0.5, 5, 4, 5}, {0.25, 0, 3, 1}, {0.5, 7, 0, 7},
        {0.1, 0, 0, 0}, {0.99, 0, 1, 99},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_padding_config config;
        const circflow_insn *close;
        again();
        config = host_padding_config(CLIENT, NULL, 2, 0);
        config.inbound_fraction = rows[i].fraction;
        config.inbound_grace = rows[i].grace;
        OK(install(&config));
        for (int n = 0; n < rows[i].others; n++)
            host_other(&world, CLIENT, LEG, n % 2 ? 3 : 2); /* Through the hop counts too. */
        for (int n = 0; n < rows[i].drops; n++)
            OK(drop_from(2));
        assert_int_equal(host_drain(CLIENT)->count, 0);
        assert_int_equal(host_stats(CLIENT).peer_faults, 0);
        IS(CIRCFLOW_ERR_PADDING_EXCESS, drop_from(2));
        close = host_close_of(host_drain(CLIENT), LEG);
        assert_non_null(close);
        IS(CIRCFLOW_ERR_PADDING_EXCESS, (int)close->detail.close.cause);
        assert_int_equal(close->detail.close.reason, 1);
        assert_int_equal(host_stats(CLIENT).peer_faults, 1);
        IS(CIRCFLOW_ERR_CLOSING, drop_from(2));
    }
    /* 1.0 and 0.0 never. */
    for (int one = 0; one < 2; one++) {
        circflow_padding_config config;
        again();
        config = host_padding_config(CLIENT, NULL, 2, 0);
        config.inbound_fraction = one;
        OK(install(&config));
        for (int n = 0; n < 500; n++)
            OK(drop_from(2));
    }
}

/* A relay has the same budget, where its host wants one. */
static void a_relay_has_an_inbound_budget_too(void **state)
{
    circflow_padding_config config = host_padding_config(RELAY, NULL, 0, 0);
    (void)state;
    config.inbound_fraction = 0.5;
    config.inbound_grace = 2;
    OK(circflow_padding_install(RELAY, world.now, world.exit_leg[0], &config));
    host_drop(&world, RELAY, world.exit_leg[0], 0);
    host_drop(&world, RELAY, world.exit_leg[0], 0);
    for (int n = 0; n < 3; n++) /* What only passes is a cell that came through. */
        OK(circflow_circuit_cell_passed(RELAY, world.now, world.exit_leg[0]));
    host_drop(&world, RELAY, world.exit_leg[0], 0);
    IS(CIRCFLOW_ERR_PADDING_EXCESS,
       host_feed(&world, RELAY, world.exit_leg[0], host_message(CIRCFLOW_CMD_DROP, 0, 0, NULL, 0)));
    assert_non_null(host_close_of(host_drain(RELAY), world.exit_leg[0]));
}

static void no_padding_where_cells_pile_up(void **state)
{
    static const uint32_t maxima[] = {0, 1, 3};
    (void)state;
    for (size_t i = 0; i < COUNT(maxima); i++) {
        circflow_padding_config config;
        again();
        config = host_padding_config(CLIENT, "pad-00", 2, 0);
        config.queued_cells_max = maxima[i];
        OK(install(&config));
        for (uint32_t n = 0; n < maxima[i]; n++) {
            host_other(&world, CLIENT, LEG, 2);
            assert_int_equal(later(10)->count, 1);
        }
        for (int n = 0; n < 2; n++) {
            host_other(&world, CLIENT, LEG, 2);
            assert_int_equal(later(10)->count, 0);
        }
        assert_int_equal(stats().padding_sent, maxima[i]);
        assert_int_equal(stats().refused, 2);
        OK(circflow_circuit_cells_written(CLIENT, world.now, LEG, 1));
        host_other(&world, CLIENT, LEG, 2);
        assert_int_equal(later(10)->count, maxima[i] > 0);
    }
}

static void padding_from_nowhere(void **state)
{
    static const uint8_t commands[] = {CIRCFLOW_CMD_DROP, 41, 42};
    (void)state;
    for (size_t i = 0; i < COUNT(commands); i++) {
        circflow_message message = host_message(commands[i], 2, 0, NULL, 0);
        circflow_verdict verdict;
        const circflow_insn *close;
        int want = commands[i] == 42 ? CIRCFLOW_ERR_BAD_NEGOTIATED : CIRCFLOW_ERR_PADDING_UNEXPECTED;
        again();
        IS(want, host_feed(&world, CLIENT, LEG, message));
        close = host_close_of(host_drain(CLIENT), LEG);
        assert_non_null(close);
        IS(want, (int)close->detail.close.cause);
        assert_int_equal(host_stats(CLIENT).padding_received, commands[i] == CIRCFLOW_CMD_DROP);
        /* From another hop than the one that pads. */
        again();
        host_pad(&world, CLIENT, LEG, NULL, 3, 0);
        IS(want, host_feed(&world, CLIENT, LEG, message));
        /* At a relay it is only counted (C Tor's clients send DROP when they like). */
        message.hop = 0;
        OK(circflow_circuit_receive(RELAY, world.now, world.exit_leg[0], &message, &verdict));
        assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_CONSUMED);
        assert_int_equal(host_stats(RELAY).padding_received, commands[i] == CIRCFLOW_CMD_DROP);
        assert_int_equal(host_drain(RELAY)->count, 0);
        assert_int_equal(host_stats(RELAY).peer_faults, 0);
        /* Where another padder runs it is delivered to the host. */
        message.hop = 2;
        host_stop(&world);
        memset(&world, 0, sizeof(world));
        host_prepare(&world);
        world.client_circuit.flags |= CIRCFLOW_CIRCUIT_OTHER_PADDER;
        world.exit_circuit.flags |= CIRCFLOW_CIRCUIT_OTHER_PADDER;
        host_start(&world);
        host_pair(&world);
        for (int with_padder = 0; with_padder < 2; with_padder++) {
            if (with_padder)
                host_pad(&world, CLIENT, LEG, NULL, 3, 0);
            message.hop = 2;
            OK(circflow_circuit_receive(CLIENT, world.now, LEG, &message, &verdict));
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
            message.hop = 0;
            OK(circflow_circuit_receive(RELAY, world.now, world.exit_leg[0], &message, &verdict));
            assert_int_equal(verdict.kind, CIRCFLOW_VERDICT_DELIVER);
        }
        assert_int_equal(host_stats(CLIENT).peer_faults + host_stats(RELAY).peer_faults, 0);
        assert_int_equal(host_drain(CLIENT)->count + host_drain(RELAY)->count, 0);
    }
}

static void padding_on_the_way_when_its_padder_went_is_welcome(void **state)
{
    (void)state;
    host_pad(&world, CLIENT, LEG, "pad-00", 2, 0);
    OK(drop_from(2));
    IS(CIRCFLOW_ERR_NO_PADDER, circflow_padding_remove(CLIENT, world.now, LEG, 2, 1));
    OK(circflow_padding_remove(CLIENT, world.now, LEG, 2, 0));
    for (int n = 0; n < 1000; n++)
        OK(drop_from(2));
    assert_int_equal(host_drain(CLIENT)->count, 0);
    IS(CIRCFLOW_ERR_PADDING_UNEXPECTED, drop_from(2));
    assert_non_null(host_close_of(host_drain(CLIENT), LEG));
    assert_int_equal(host_stats(CLIENT).padding_received, 1002);
    again();
    host_pad(&world, CLIENT, LEG, "pad-00", 2, 0);
    OK(circflow_padding_remove(CLIENT, world.now, LEG, 2, 0));
    IS(CIRCFLOW_ERR_PADDING_UNEXPECTED, drop_from(3)); /* Not from any other hop. */
}

/* On a leg, padding has no number and needs no order, wherever it comes from. */
static void padding_on_a_leg_is_no_message_of_its_set(void **state)
{
    circflow_message data = host_data(HOST_HOPS, "x");
    (void)state;
    host_stop(&world);
    memset(&world, 0, sizeof(world));
    host_linked(&world, 2);
    host_pad(&world, CLIENT, LEG, NULL, 3, 0);
    host_drop(&world, CLIENT, LEG, 3);
    assert_int_equal(host_expect(&world, CLIENT, LEG, data, CIRCFLOW_VERDICT_DELIVER), 1);
    host_drop(&world, CLIENT, LEG, 3);
    assert_int_equal(host_expect(&world, CLIENT, LEG, data, CIRCFLOW_VERDICT_DELIVER), 2);
    host_expect(&world, CLIENT, LEG, host_switch(HOST_HOPS, 1), CIRCFLOW_VERDICT_CONSUMED);
    assert_int_equal(host_expect(&world, CLIENT, LEG, data, CIRCFLOW_VERDICT_HELD), 4);
    assert_int_equal(host_expect(&world, CLIENT, world.client_leg[1], host_switch(HOST_HOPS, 2), CIRCFLOW_VERDICT_CONSUMED), 0);
    assert_int_equal(host_expect(&world, CLIENT, world.client_leg[1], data, CIRCFLOW_VERDICT_DELIVER), 3);
    assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_DELIVER), 1);
    circflow_padding_stats figures = host_pad_stats(CLIENT, LEG, 3, 0);
    assert_int_equal(figures.normal_received, 4);
    assert_int_equal(figures.padding_received, 2);
    /* Its fault is its leg's. */
    IS(CIRCFLOW_ERR_PADDING_UNEXPECTED,
       host_feed(&world, CLIENT, world.client_leg[1], host_message(CIRCFLOW_CMD_DROP, 3, 0, NULL, 0)));
}

/* --- The operator's budget --- */

static circflow_hub *hub;

/* How often the client's loop was woken, and the relay's. */
static unsigned woken[2];

static void wake(void *userdata) { ++*(unsigned *)userdata; }

static int setup_hub(void **state)
{
    (void)state;
    host_begin(&world);
    hub = host_hub(0);
    OK(circflow_engine_join(CLIENT, hub, wake, &woken[0]));
    OK(circflow_engine_join(RELAY, hub, wake, &woken[1]));
    host_pair(&world);
    return 0;
}

static int teardown_hub(void **state)
{
    host_stop(&world);
    (void)state;
    OK(circflow_hub_free(hub));
    return 0;
}

static circflow_padding_budget budget(uint32_t allowed_cells, uint32_t percent_max)
{
    circflow_padding_budget budget;
    OK(circflow_padding_budget_init(&budget, sizeof(budget)));
    budget.allowed_cells = allowed_cells;
    budget.percent_max = percent_max;
    return budget;
}

/* Who allows it: the host on the engine, the consensus by its parameters, the host on the hub. */
enum { BY_ENGINE, BY_PARAMETER, BY_HUB, WAYS };

static int allow(int way, circflow_padding_budget to)
{
    if (way == BY_ENGINE)
        return circflow_engine_set_padding_budget(CLIENT, &to);
    if (way == BY_HUB)
        return circflow_hub_set_padding_budget(hub, &to);
    OK(circflow_engine_set_param(CLIENT, 0, "circpad_global_allowed_cells", to.allowed_cells));
    OK(circflow_engine_set_param(CLIENT, 0, "circpad_global_max_padding_pct", to.percent_max));
    OK(circflow_engine_set_param(CLIENT, 0, "circpad_padding_disabled", to.disabled));
    return circflow_engine_set_param(CLIENT, 0, "circpad_padding_reduced", to.reduced);
}

static int forbid(int way, uint32_t disabled, uint32_t reduced)
{
    circflow_padding_budget to = budget(0, 0);
    to.disabled = disabled;
    to.reduced = reduced;
    return allow(way, to);
}

static void sends(circflow_engine *engine, circflow_circuit_id circuit, int cells)
{
    while (cells-- > 0)
        OK(circflow_circuit_cell_queued(engine, world.now, circuit, CIRCFLOW_CMD_SENDME, 0));
}

/* So many cells ask for a padding cell each; that many come. */
static size_t pads(int times)
{
    size_t came = 0;
    for (int n = 0; n < times; n++) {
        host_other(&world, CLIENT, LEG, 2);
        came += host_count(later(10), CIRCFLOW_INSN_PADDING);
    }
    return came;
}

static void a_budget_is_checked(void **state)
{
    static const struct {
        uint32_t percent, disabled, reduced;
        int want;
    } rows[] = {
        {0, 0, 0, CIRCFLOW_OK},            {99, 0, 0, CIRCFLOW_OK},           {100, 1, 1, CIRCFLOW_OK},
        {101, 0, 0, CIRCFLOW_ERR_INVALID}, {356, 0, 0, CIRCFLOW_ERR_INVALID}, {UINT32_MAX, 0, 0, CIRCFLOW_ERR_INVALID},
        {0, 2, 0, CIRCFLOW_ERR_INVALID},   {0, 0, 2, CIRCFLOW_ERR_INVALID},
    };
    circflow_padding_budget one = budget(0, 0);
    (void)state;
    assert_int_equal(one.size, sizeof(one));
    assert_int_equal(one.allowed_cells + one.percent_max + one.disabled + one.reduced, 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        one = budget(UINT32_MAX, rows[i].percent);
        one.disabled = rows[i].disabled;
        one.reduced = rows[i].reduced;
        IS(rows[i].want, circflow_engine_set_padding_budget(CLIENT, &one));
        IS(rows[i].want, circflow_hub_set_padding_budget(hub, &one));
    }
    IS(CIRCFLOW_ERR_NULL, circflow_padding_budget_init(NULL, sizeof(one)));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_set_padding_budget(NULL, &one));
    IS(CIRCFLOW_ERR_NULL, circflow_engine_set_padding_budget(CLIENT, NULL));
    IS(CIRCFLOW_ERR_NULL, circflow_hub_set_padding_budget(NULL, &one));
    IS(CIRCFLOW_ERR_NULL, circflow_hub_set_padding_budget(hub, NULL));
    one.size = 0;
    IS(CIRCFLOW_ERR_VERSION, circflow_engine_set_padding_budget(CLIENT, &one));
    IS(CIRCFLOW_ERR_VERSION, circflow_hub_set_padding_budget(hub, &one));
    IS(CIRCFLOW_ERR_VERSION, circflow_padding_budget_init(&one, 0));
}

/* First the cells that are free, then the percentage of all that was sent; the machine lives on, and hears of a change. */
static void padding_is_no_more_than_a_budget_allows(void **state)
{
    static const struct {
        uint32_t allowed, percent;
        int others;
        size_t want;
    } rows[] = {
        {0, 0, 0, 20},  {3, 0, 0, 20}, {3, 50, 0, 3},   {19, 1, 0, 19}, {20, 1, 0, 20}, {21, 1, 0, 20},
        {0, 50, 4, 5},  {5, 50, 4, 5}, {6, 50, 4, 6},   {0, 1, 98, 1},  {0, 1, 99, 2},  {0, 99, 1, 20},
        {0, 100, 0, 20}, {0, 25, 9, 4}, {0, 25, 8, 3},
    };
    (void)state;
    for (int way = 0; way < WAYS; way++)
        for (size_t i = 0; i < COUNT(rows); i++) {
            teardown_hub(NULL);
            setup_hub(NULL);
            host_pad(&world, CLIENT, LEG, "pad-00", 2, 0);
            OK(allow(way, budget(rows[i].allowed, rows[i].percent)));
            sends(CLIENT, LEG, rows[i].others);
            assert_int_equal(pads(20), rows[i].want);
            assert_int_equal(host_stats(CLIENT).padding_sent, rows[i].want);
            assert_int_equal(host_stats(CLIENT).others_sent, rows[i].others);
            assert_int_equal(host_stats(CLIENT).padding_refused, 20 - rows[i].want);
            assert_int_equal(stats().padding_sent, rows[i].want);
            assert_int_equal(stats().refused, 20 - rows[i].want);
            assert_int_equal(host_hub_stats(hub).padding_sent, rows[i].want);
            assert_int_equal(host_hub_stats(hub).others_sent, rows[i].others);
            assert_int_equal(host_hub_stats(hub).padding_refused, 20 - rows[i].want);
            OK(allow(way, budget(0, 0)));
            assert_int_equal(pads(3), 3);
            OK(allow(way, budget((uint32_t)rows[i].want + 5, 1))); /* What was sent before counts. */
            assert_int_equal(pads(20), 2);
        }
}

/* Both engines spend from it, and an engine's own budget, the consensus's and the hub's all hold. */
static void a_hubs_budget_is_for_all_its_engines(void **state)
{
    (void)state;
    host_pad(&world, CLIENT, LEG, "pad-00", 2, 0);
    host_pad(&world, RELAY, world.exit_leg[0], "pad-00", 0, 0);
    OK(allow(BY_HUB, budget(6, 10)));
    OK(allow(BY_ENGINE, budget(2, 1)));
    size_t far = 0;
    for (int n = 0; n < 10; n++) {
        pads(1);
        host_other(&world, RELAY, world.exit_leg[0], 0);
        world.now += 10 * MS;
        far += host_count(host_tick(&world, RELAY), CIRCFLOW_INSN_PADDING);
    }
    assert_int_equal(host_stats(CLIENT).padding_sent, 2);
    assert_int_equal(far, 4);
    assert_int_equal(host_hub_stats(hub).padding_sent, 6);
    assert_int_equal(host_hub_stats(hub).padding_refused, 14);
    /* What one engine sends makes room for the other, once it has told. */
    sends(RELAY, world.exit_leg[0], 54);
    OK(allow(BY_ENGINE, budget(0, 0)));
    assert_int_equal(pads(5), 0);
    OK(circflow_engine_tick(RELAY, world.now));
    assert_int_equal(pads(5), 1); /* 6 of 60 are no more than a tenth. */
    assert_int_equal(host_stats(CLIENT).others_sent, 0);
    /* The strictest word is the one that counts. */
    OK(allow(BY_HUB, budget(0, 0)));
    OK(allow(BY_PARAMETER, budget(4, 1)));
    assert_int_equal(pads(5), 1);
    OK(circflow_engine_set_param(CLIENT, 0, "circpad_global_max_padding_pct", 0));
    assert_int_equal(pads(5), 5);
}

static void nothing_pads_while_padding_is_disabled(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++) {
        teardown_hub(NULL);
        setup_hub(NULL);
        host_pad(&world, CLIENT, LEG, "pad-00", 2, 0);
        assert_int_equal(pads(1), 1);
        OK(forbid(way, 1, 0));
        assert_int_equal(pads(5), 0);
        assert_int_equal(host_stats(CLIENT).padding_refused, 5);
        OK(forbid(way, 0, 0));
        assert_int_equal(pads(5), 5);
    }
}

/* A block that falls due is over at once, and one that is on ends; what waits behind it goes, but for padding. */
static void nothing_is_blocked_while_padding_is_disabled(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++)
        for (int own_queue = 0; own_queue < 2; own_queue++) {
            const circflow_message data = host_data(2, "x");
            teardown_hub(NULL);
            setup_hub(NULL);
            if (own_queue)
                OK(circflow_circuit_set_flags(CLIENT, LEG, CIRCFLOW_CIRCUIT_OWN_QUEUE));
            host_pad(&world, CLIENT, LEG, "gate-0-00", 2, 0); /* DROP shuts for 100 ms; other cells ask for padding. */
            OK(drop_from(2));
            later(0);
            assert_int_equal(stats().timers, 1);
            if (!own_queue) {
                assert_int_equal(pads(1), 0); /* It waits behind the block. */
                assert_int_equal(stats().padding_sent, 1);
                host_circuit_sends(&world, CLIENT, LEG, data, CIRCFLOW_VERDICT_HELD);
            }
            OK(forbid(way, 1, 0));
            const host_events *events = later(1);
            assert_int_equal(events->count, 1);
            assert_int_equal(events->at[0].insn.kind, own_queue ? CIRCFLOW_INSN_UNBLOCK : CIRCFLOW_INSN_SEND);
            assert_int_equal(host_stats(CLIENT).padding_sent + stats().padding_sent, 0);
            OK(drop_from(2));
            assert_int_equal(later(0)->count, 0);
            assert_int_equal(stats().blocks, 2);
            assert_int_equal(stats().timers, 0);
            assert_true(stats().blocked_ns < 20 * MS);
            assert_true(host_deadline(CLIENT) == CIRCFLOW_NEVER);
            host_circuit_sends(&world, CLIENT, LEG, data, CIRCFLOW_VERDICT_SEND);
            OK(forbid(way, 0, 0));
            OK(drop_from(2));
            later(0);
            assert_int_equal(stats().timers, 1);
        }
}

/* A loop that sleeps behind a block is woken when the hub's budget ends that block, once, and only for what ends. */
static void a_hubs_budget_wakes_those_who_sleep(void **state)
{
    static const struct {
        uint32_t allowed_cells, disabled, reduced;
        unsigned wakes;
    } rows[] = {{0, 1, 0, 1}, {0, 0, 1, 1}, {0, 1, 1, 1}, {0, 0, 0, 0}, {7, 0, 0, 0}};
    const circflow_message data = host_data(2, "x");
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        circflow_padding_budget to = budget(rows[i].allowed_cells, 0);
        teardown_hub(NULL);
        setup_hub(NULL);
        host_pad(&world, CLIENT, LEG, "gate-0-00", 2, 0);
        OK(drop_from(2));
        later(0);
        host_circuit_sends(&world, CLIENT, LEG, data, CIRCFLOW_VERDICT_HELD);
        woken[0] = woken[1] = 0;
        to.disabled = rows[i].disabled;
        to.reduced = rows[i].reduced;
        OK(allow(BY_HUB, to));
        assert_int_equal(woken[0], rows[i].wakes);
        assert_int_equal(woken[1], rows[i].wakes);
        OK(allow(BY_HUB, to)); /* Nothing more ends. */
        assert_int_equal(woken[0], rows[i].wakes);
        assert_int_equal(host_count(later(0), CIRCFLOW_INSN_SEND), rows[i].wakes);
        OK(circflow_engine_tick(RELAY, world.now));
        OK(forbid(BY_HUB, 0, 0)); /* What goes on has timers of its own. */
        assert_int_equal(woken[0], rows[i].wakes);
        OK(forbid(BY_HUB, 1, 0)); /* And again, after a tick. */
        assert_int_equal(woken[0], rows[i].wakes + 1);
        assert_int_equal(woken[1], rows[i].wakes + 1);
    }
}

static void nothing_is_agreed_on_while_padding_is_disabled(void **state)
{
    circflow_padding_config config;
    (void)state;
    for (int marked = 0; marked < 2; marked++)
        for (int way = 0; way < WAYS; way++) {
            teardown_hub(NULL);
            setup_hub(NULL);
            config = host_padding_config(CLIENT, "pad-00", 2, 0);
            config.flags = marked ? CIRCFLOW_PADDER_RUNS_REDUCED : 0;
            OK(circflow_padding_register(CLIENT, CIRCFLOW_ROLE_CLIENT, 7, &config));
            OK(forbid(way, 1, 0));
            IS(CIRCFLOW_ERR_DISABLED, circflow_padding_start(CLIENT, world.now, LEG, 7));
            OK(forbid(way, 0, 1));
            IS(marked ? CIRCFLOW_OK : CIRCFLOW_ERR_DISABLED, circflow_padding_start(CLIENT, world.now, LEG, 7));
            OK(forbid(way, 0, 0));
            if (!marked)
                OK(circflow_padding_start(CLIENT, world.now, LEG, 7));
            assert_int_equal(host_count(host_drain(CLIENT), CIRCFLOW_INSN_SEND), 1);
        }
    /* A relay refuses: START of machine 7 is answered with an error, and runs nothing. */
    for (int disabled = 0; disabled < 2; disabled++) {
        static const uint8_t start[] = {0, 2, 7, 0, 0, 0, 0, 1};
        teardown_hub(NULL);
        setup_hub(NULL);
        config = host_padding_config(RELAY, "pad-00", 0, 0);
        OK(circflow_padding_register(RELAY, CIRCFLOW_ROLE_RELAY, 7, &config));
        OK(forbid(BY_HUB, (uint32_t)disabled, 0));
        OK(host_feed(&world, RELAY, world.exit_leg[0], host_message(41, 0, 0, start, sizeof(start))));
        const host_events *events = host_drain(RELAY);
        assert_int_equal(events->count, 1);
        assert_int_equal(events->at[0].body[2], disabled ? 2 : 1);
    }
}

static void only_marked_machines_run_while_padding_is_reduced(void **state)
{
    (void)state;
    for (int way = 0; way < WAYS; way++)
        for (int marked = 0; marked < 2; marked++) {
            circflow_padding_config config;
            teardown_hub(NULL);
            setup_hub(NULL);
            config = host_padding_config(CLIENT, "pad-00", 2, 0);
            config.flags = marked ? CIRCFLOW_PADDER_RUNS_REDUCED : 0;
            OK(install(&config));
            OK(forbid(way, 0, 1));
            assert_int_equal(pads(5), marked ? 5 : 0);
            OK(forbid(way, 1, 1));
            assert_int_equal(pads(5), 0);
            OK(forbid(way, 0, 0));
            assert_int_equal(pads(5), 5);
        }
}

/* Where the host owns the queue it is not even asked; what it says it sent counts. */
static void a_host_with_a_queue_of_its_own_is_not_asked(void **state)
{
    (void)state;
    OK(circflow_circuit_set_flags(CLIENT, LEG, CIRCFLOW_CIRCUIT_OWN_QUEUE));
    host_pad(&world, CLIENT, LEG, "pad-00", 2, 0);
    OK(allow(BY_ENGINE, budget(3, 1)));
    for (uint64_t n = 0; n < 6; n++) {
        host_other(&world, CLIENT, LEG, 2);
        const host_events *events = later(10);
        assert_int_equal(events->count, n < 5);
        if (n < 5) { /* Two of them did not go. */
            const circflow_insn_padding asked = events->at[0].insn.detail.padding;
            OK(circflow_padding_answered(CLIENT, world.now, LEG, &asked,
                                         n % 2 ? CIRCFLOW_ANSWER_REPLACED : CIRCFLOW_ANSWER_SENT));
        }
    }
    assert_int_equal(host_stats(CLIENT).padding_sent, 3);
    assert_int_equal(host_stats(CLIENT).padding_refused, 1);
    assert_int_equal(host_hub_stats(hub).padding_sent, 3);
    assert_int_equal(stats().refused, 1);
}

/* Cells are counted once each, whoever decides on them, with a padder on the circuit and without. */
static void every_cell_that_is_sent_counts(void **state)
{
    (void)state;
    for (int padded = 0; padded < 2; padded++) {
        const circflow_message data = host_data(HOST_HOPS, "x");
        circflow_verdict verdict;
        uint64_t before;
        host_stop(&world);
        memset(&world, 0, sizeof(world));
        host_linked(&world, 2);
        if (padded)
            host_pad(&world, CLIENT, LEG, NULL, 2, 0);
        before = host_stats(CLIENT).others_sent;
        assert_int_equal(before, 4); /* LINK and LINKED_ACK on each leg. */
        sends(CLIENT, LEG, 3);
        const circflow_message other = host_message(CIRCFLOW_CMD_SENDME, 2, 0, NULL, 0);
        OK(circflow_circuit_send(CLIENT, world.now, LEG, &other, &verdict));
        assert_int_equal(host_stats(CLIENT).others_sent - before, 4);
        uint64_t switches = 0;
        for (int n = 0; n < 4; n++) { /* The other leg is the faster one from the third on: there with a SWITCH. */
            host_room(&world, CLIENT, LEG, 50, 20 * MS);
            host_room(&world, CLIENT, world.client_leg[1], 50, n < 2 ? 40 * MS : 10 * MS);
            verdict = host_set_sends(&world, CLIENT, world.client_set, data, CIRCFLOW_VERDICT_SEND);
            switches += verdict.switch_delta != 0;
        }
        assert_in_range(switches, 1, 4);
        assert_int_equal(host_stats(CLIENT).others_sent - before, 8 + switches);
        assert_int_equal(host_stats(CLIENT).padding_sent + host_stats(CLIENT).padding_refused, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(fractions_are_checked),
        TEST(the_rest_of_the_config_is_checked),
        TEST(padding_fraction),
        TEST(blocking_fraction),
        TEST(inbound_fraction),
        TEST(a_relay_has_an_inbound_budget_too),
        TEST(no_padding_where_cells_pile_up),
        TEST(padding_from_nowhere),
        TEST(padding_on_the_way_when_its_padder_went_is_welcome),
        TEST(padding_on_a_leg_is_no_message_of_its_set),
#define SHARED(name) cmocka_unit_test_setup_teardown(name, setup_hub, teardown_hub)
        SHARED(a_budget_is_checked),
        SHARED(padding_is_no_more_than_a_budget_allows),
        SHARED(a_hubs_budget_is_for_all_its_engines),
        SHARED(nothing_pads_while_padding_is_disabled),
        SHARED(nothing_is_blocked_while_padding_is_disabled),
        SHARED(a_hubs_budget_wakes_those_who_sleep),
        SHARED(nothing_is_agreed_on_while_padding_is_disabled),
        SHARED(only_marked_machines_run_while_padding_is_reduced),
        SHARED(a_host_with_a_queue_of_its_own_is_not_asked),
        TEST(every_cell_that_is_sent_counts),
    };
    return cmocka_run_group_tests_name("budgets", tests, NULL, NULL);
}
