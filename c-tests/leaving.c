/* Two engines of a hub that are freed at the same moment, by two threads: each has something to tell the other, and
 * neither waits for the other to be done. */

#include "host.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

/* C99 has no atomics of its own. */
#define LOAD(what) __atomic_load_n(&(what), __ATOMIC_ACQUIRE)
#define STORE(what, value) __atomic_store_n(&(what), (value), __ATOMIC_RELEASE)
#define ADD(what, value) __atomic_add_fetch(&(what), (value), __ATOMIC_ACQ_REL)

/* With many sets leaving takes a while, so that both engines are at it at the same time. */
enum { ROUNDS = 60, SETS = 300, PATIENCE_S = 300 };

static host_world world;
static circflow_hub *hub;
static circflow_engine *engines[2];
static unsigned ready, woken;

static void wake(void *userdata)
{
    (void)userdata;
    ADD(woken, 1);
}

/* A circuit that has brought LINK for a set: the first engine is its home, the second has a leg. */
static void link_at(size_t at, uint32_t number)
{
    uint8_t nonce[CIRCFLOW_NONCE_LEN] = {1};
    const circflow_circuit_id circuit = host_open(&world, engines[at], CIRCFLOW_ROLE_RELAY);
    memcpy(nonce + 1, &number, sizeof(number));
    const circflow_message link = host_linkish(CIRCFLOW_CMD_LINK, 0, nonce, 0, 0, 0);
    OK(host_feed(&world, engines[at], circuit, link));
}

static void start(void)
{
    hub = host_hub(0);
    for (size_t at = 0; at < 2; at++)
        engines[at] = host_exit(&world, 10 + (uint32_t)at, hub, wake, NULL);
    for (uint32_t number = 0; number < SETS; number++) {
        for (size_t at = 0; at < 2; at++)
            link_at(at, number);
        for (size_t at = 0; at < 4; at++)
            host_tick(&world, engines[at & 1]);
    }
    const circflow_hub_stats stats = host_hub_stats(hub);
    assert_int_equal(stats.engines, 2);
    assert_int_equal(stats.sets, SETS);
}

static void *leave(void *userdata)
{
    circflow_engine *engine = userdata;
    ADD(ready, 1);
    while (LOAD(ready) < 2)
        sched_yield();
    return circflow_engine_free(engine, NULL, NULL) == CIRCFLOW_OK ? engine : NULL;
}

/* Before, each kept back the other's wake-up until its own call was over, and waited for it. */
static void engines_that_leave_at_once_do_not_wait_for_each_other(void **state)
{
    (void)state;
    host_prepare(&world);
    alarm(PATIENCE_S);
    for (unsigned round = 0; round < ROUNDS; round++) {
        pthread_t threads[2];
        void *left;
        start();
        STORE(ready, 0);
        for (size_t at = 0; at < 2; at++)
            assert_int_equal(pthread_create(&threads[at], NULL, leave, engines[at]), 0);
        for (size_t at = 0; at < 2; at++) {
            assert_int_equal(pthread_join(threads[at], &left), 0);
            assert_ptr_equal(left, engines[at]);
        }
        const circflow_hub_stats stats = host_hub_stats(hub);
        assert_int_equal(stats.engines, 0);
        assert_int_equal(stats.reserved_bytes, 0);
        OK(circflow_hub_free(hub));
    }
    alarm(0);
    assert_true(LOAD(woken) > ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines_that_leave_at_once_do_not_wait_for_each_other),
    };
    return cmocka_run_group_tests_name("leaving", tests, NULL, NULL);
}
