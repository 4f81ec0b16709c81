/* A program of a user, in C99 and in C++11: it makes an engine, and drains it. */
#include <circflow.h>
#include <stdio.h>

static void obey(void *host, const circflow_insn *insn, const uint8_t *body) {
    (void)host;
    (void)insn;
    (void)body;
}

int main(void) {
    circflow_engine_config config;
    circflow_engine *engine;
    if (circflow_version() != CIRCFLOW_VERSION)
        return 1;
    if (circflow_engine_config_init(&config, sizeof config) != CIRCFLOW_OK)
        return 2;
    if (circflow_engine_new(&config, &engine) != CIRCFLOW_OK)
        return 3;
    if (circflow_engine_tick(engine, 1) != CIRCFLOW_OK || circflow_engine_drain(engine, 10, NULL, obey, NULL) != CIRCFLOW_OK)
        return 4;
    if (circflow_engine_free(engine, NULL, NULL) != CIRCFLOW_OK)
        return 5;
    puts("it works");
    return 0;
}
