/* Budgets: how much padding and blocking a padder may do, and how much padding a peer may send. */

#include "host.h"

#include <math.h>

static host_world world;

#define CLIENT world.client
#define RELAY world.exit
#define LEG world.client_leg[0]

static void begin(void)
{
    memset(&world, 0, sizeof(world));
    host_prepare(&world);
    host_start(&world);
    host_pair(&world);
}

static int setup(void **state)
{
    (void)state;
    begin();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    host_stop(&world);
    return 0;
}

static void again(void)
{
    host_stop(&world);
    begin();
}

static int install(const circflow_padding_config *config)
{
    return circflow_padding_install(CLIENT, world.now, LEG, config);
}

static circflow_padding_stats stats(void) { return host_pad_stats(CLIENT, LEG, 2, 0); }

static const host_events *later(uint64_t ms)
{
    world.now += ms * MS;
    OK(circflow_engine_tick(CLIENT, world.now));
    return host_drain(CLIENT);
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
                OK(circflow_engine_last_detail(CLIENT, NULL, 0, &len));
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
        {1, 0, 0, 0, CIRCFLOW_OK},          {3, 1, 3, 0, CIRCFLOW_OK},          {2, 1, 0, 0, CIRCFLOW_OK},
        {0, 0, 0, 0, CIRCFLOW_ERR_INVALID}, {4, 0, 0, 0, CIRCFLOW_ERR_INVALID}, {17, 0, 0, 0, CIRCFLOW_ERR_INVALID},
        {255, 0, 0, 0, CIRCFLOW_ERR_INVALID}, {2, 2, 0, 0, CIRCFLOW_ERR_INVALID}, {2, 255, 0, 0, CIRCFLOW_ERR_INVALID},
        {2, 0, 4, 0, CIRCFLOW_ERR_INVALID}, {2, 0, 0, 1, CIRCFLOW_ERR_INVALID},
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
            OK(circflow_circuit_sent(CLIENT, world.now, LEG, CIRCFLOW_CMD_SENDME, 2));
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
        IS(CIRCFLOW_ERR_GONE, drop_from(2));
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
        OK(circflow_circuit_passing(RELAY, world.now, world.exit_leg[0]));
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
        OK(circflow_circuit_written(CLIENT, world.now, LEG, 1));
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
    assert_int_equal(figures.normal_recv, 4);
    assert_int_equal(figures.padding_recv, 2);
    /* Its fault is its leg's. */
    IS(CIRCFLOW_ERR_PADDING_UNEXPECTED,
       host_feed(&world, CLIENT, world.client_leg[1], host_message(CIRCFLOW_CMD_DROP, 3, 0, NULL, 0)));
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
    };
    return cmocka_run_group_tests_name("budgets", tests, NULL, NULL);
}
