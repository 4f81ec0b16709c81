/* The scale of a relay: 100,000 circuits with four machines each, where every cell sets timers anew. One deadline, all of
 * it in order, nothing left behind. PADSCALE_CIRCUITS for another number; under valgrind 1,000 are enough. */

#include "host.h"
#include <stdio.h>
#include <stdlib.h>

#define STEP UINT64_C(100)
#define WAIT (10000 * SECOND)
#define MACHINES 4

static void a_hundred_thousand_circuits(void **state)
{
    const char *asked = getenv("PADSCALE_CIRCUITS");
    const size_t count = asked != NULL ? strtoul(asked, NULL, 10) : 100000;
    circflow_circuit_id *circuits = calloc(count, sizeof(*circuits));
    circflow_engine_config config;
    circflow_engine *engine;
    circflow_circuit_config circuit;
    circflow_padding_config padding;
    circflow_engine_stats stats = {.size = sizeof(stats)};
    circflow_insn insn;
    char line[4096], text[MACHINES * sizeof(line)] = "";
    uint64_t now = HOST_START, deadline, cells = 0, last = 0;
    FILE *file = fopen("tests/machines/bench-rearm.txt", "r");
    (void)state;
    assert_non_null(circuits);
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    for (int n = 0; n < MACHINES; n++)
        strcat(text, line);
    OK(circflow_engine_config_init(&config, sizeof(config)));
    OK(circflow_engine_new(&config, &engine));
    OK(circflow_circuit_config_init(&circuit, sizeof(circuit)));
    OK(circflow_padding_config_init(&padding, sizeof(padding)));
    OK(circflow_machines_load(engine, text, strlen(text), &padding.machines));
    for (size_t i = 0; i < count; i++) {
        circuit.tag = i + 1;
        OK(circflow_circuit_open(engine, now, &circuit, &circuits[i]));
        OK(circflow_padding_install(engine, now, circuits[i], &padding));
    }
    /* Nothing is armed, so nobody is woken. */
    OK(circflow_engine_get_deadline(engine, &deadline));
    assert_true(deadline == CIRCFLOW_NEVER);
    /* A cell on each, three times over: only the last one counts. */
    for (size_t i = 0; i < 3 * count; i++)
        OK(circflow_circuit_cell_queued(engine, now += STEP, circuits[i % count], CIRCFLOW_CMD_DATA, 3));
    const uint64_t first = now - (count - 1) * STEP + WAIT;
    OK(circflow_engine_get_stats(engine, &stats));
    assert_int_equal(stats.timers, count);
    /* A circuit whose timer was put off may wake its host once before its time, and then does nothing. 0 is more of the
     * same moment. */
    uint64_t latest = now;
    for (size_t woken = 0;; woken++) {
        OK(circflow_engine_get_deadline(engine, &deadline));
        assert_true(deadline <= first && woken <= count + 1000);
        if (deadline > latest)
            latest = deadline;
        deadline = latest;
        OK(circflow_engine_tick(engine, deadline));
        OK(circflow_engine_poll(engine, NULL, 0, &insn));
        if (insn.kind != CIRCFLOW_INSN_NONE)
            break;
    }
    assert_true(deadline == first);
    /* Late, and all at once: in the order of time over all circuits, as often as it takes to drain. */
    for (now = first + count * STEP;; OK(circflow_engine_tick(engine, now))) {
        const uint64_t before = cells;
        while (insn.kind != CIRCFLOW_INSN_NONE) {
            assert_int_equal(insn.kind, CIRCFLOW_INSN_PADDING);
            assert_true(insn.circuit_tag >= last);
            assert_int_equal(insn.detail.padding.machine, cells % MACHINES);
            last = insn.circuit_tag;
            cells++;
            OK(circflow_engine_poll(engine, NULL, 0, &insn));
        }
        OK(circflow_engine_get_deadline(engine, &deadline));
        if (cells == before && cells > 0 && deadline > now)
            break;
        OK(circflow_engine_tick(engine, now));
        OK(circflow_engine_poll(engine, NULL, 0, &insn));
    }
    assert_int_equal(cells, MACHINES * count);
    OK(circflow_engine_get_deadline(engine, &deadline));
    assert_true(deadline == CIRCFLOW_NEVER);
    OK(circflow_engine_get_stats(engine, &stats));
    assert_int_equal(stats.timers, 0);
    OK(circflow_engine_free(engine, NULL, NULL));
    free(circuits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_hundred_thousand_circuits)};
    return cmocka_run_group_tests_name("padscale", tests, NULL, NULL);
}
