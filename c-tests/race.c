/* Two data races, for check-tsan to find: one in the host's own code, and one inside the library, by a host that breaks
 * "one engine, one thread at a time". A sanitizer that misses either of them proves nothing about the others. */

#include <circflow.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static int shared;
static circflow_engine *engine;

static void *count(void *unused)
{
    for (int i = 0; i < 1000; i++)
        shared++;
    return unused;
}

static void *feed(void *unused)
{
    for (uint64_t now_ns = 1; now_ns < 1000; now_ns++)
        circflow_engine_tick(engine, now_ns);
    return unused;
}

static int both(void *(*run)(void *))
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, run, NULL) != 0)
            return -1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

int main(void)
{
    circflow_engine_config config;
    if (circflow_engine_config_init(&config, sizeof config) != CIRCFLOW_OK)
        return 1;
    memset(config.seed, 7, sizeof config.seed);
    if (circflow_engine_new(&config, &engine) != CIRCFLOW_OK || both(count) != 0 || both(feed) != 0)
        return 1;
    printf("%d\n", shared);
    /* The engine is not freed: two threads may have left it in any state. */
    return 0;
}
