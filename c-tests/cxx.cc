// The header as C++, linked and called.

#include "circflow.h"

#include <cstdio>
#include <cstring>

static int failures;

static void check(bool holds, const char *what)
{
    if (!holds) {
        std::printf("cxx: %s\n", what);
        failures++;
    }
}

int main()
{
    check(circflow_version() == CIRCFLOW_VERSION, "the version of header and library differ");
    check(std::strlen(circflow_status_text(CIRCFLOW_ERR_NO_ROOM)) > 0, "no sentence for a status");
    check(circflow_status_class(CIRCFLOW_ERR_NULL) == CIRCFLOW_CLASS_MISUSE, "the class of a status");

    circflow_engine_config config;
    check(circflow_engine_config_init(&config, sizeof(config)) == CIRCFLOW_OK, "config");
    circflow_engine *engine = nullptr;
    check(circflow_engine_new(&config, &engine) == CIRCFLOW_OK && engine != nullptr, "engine");

    circflow_circuit_config circuit_config;
    check(circflow_circuit_config_init(&circuit_config, sizeof(circuit_config)) == CIRCFLOW_OK, "circuit config");
    circflow_circuit_id circuit;
    check(circflow_circuit_open(engine, 1, &circuit_config, &circuit) == CIRCFLOW_OK, "circuit");

    circflow_insn insn;
    check(circflow_engine_poll(engine, nullptr, 0, &insn) == CIRCFLOW_OK && insn.kind == CIRCFLOW_INSN_NONE, "poll");
    check(circflow_engine_free(engine, nullptr, nullptr) == CIRCFLOW_OK, "free");
    return failures != 0;
}
