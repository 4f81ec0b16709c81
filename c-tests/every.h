/* One call of every function, with arguments that are all there: so that a test can try all of them with a handle that
 * is not, or from a place where some may not be called. */

#ifndef EVERY_H
#define EVERY_H

#include "host.h"

#define EVERY_NOW HOST_START

/* Arguments. None of these calls has anything to find there; a handle is looked at first. */
static circflow_insn every_insn;
static const uint8_t *every_body;
static circflow_engine *every_engine;
static circflow_engine_config every_engine_config;
static circflow_engine_stats every_engine_stats;
static circflow_engine_counters every_counters;
static circflow_circuit_config every_circuit_config;
static circflow_extension_config every_extend_config;
static circflow_circuit_id every_circuit;
static circflow_circuit_stats every_circuit_stats;
static circflow_channel_id every_channel_id;
static circflow_channel_stats every_channel_stats;
static circflow_set_config every_set_config;
static circflow_set_id every_set;
static circflow_set_stats every_set_stats;
static circflow_set_numbers every_numbers;
static circflow_leg_numbers every_leg_numbers[1];
static circflow_leg_report every_report;
static circflow_leg_stats every_leg_stats;
static circflow_stream_config every_stream_config;
static circflow_stream_id every_stream;
static circflow_stream_stats every_stream_stats;
static circflow_machines_id every_machines;
static circflow_padding_config every_padding_config;
static circflow_padding_stats every_padding_stats;
static circflow_insn_padding every_padding;
static circflow_padding_budget every_budget;
static circflow_message every_message;
static circflow_verdict every_verdict;
static circflow_arrival every_arrival;
static circflow_hub_stats every_hub_stats;
static circflow_victim every_victim;
static circflow_queue_item every_item;
static circflow_hub *every_hub, *every_other_hub;
static circflow_hub_config every_hub_config;
static circflow_queue *every_queue;
static circflow_queue_config every_queue_config;
static circflow_message every_decoded;
static circflow_link every_link;
static uint8_t every_cell[CIRCFLOW_CELL_BODY_LEN];
static uint8_t every_bytes[CIRCFLOW_BODY_MAX], every_byte;
static uint64_t every_number;
static uint32_t every_value;
static size_t every_count;

static void every_insn_fn(void *userdata, const circflow_insn *insn, const uint8_t *body)
{
    (void)userdata;
    (void)insn;
    (void)body;
}

static void every_notify(void *userdata) { (void)userdata; }

static int32_t every_try_send(void *userdata, const circflow_queue_item *item)
{
    (void)userdata;
    (void)item;
    return CIRCFLOW_SINK_FULL;
}

static int32_t every_is_closed(void *userdata)
{
    (void)userdata;
    return 0;
}

static const circflow_queue_sink every_sink = {every_try_send, every_is_closed, NULL};

/* CALL(function, its arguments behind the handle). circflow_engine_get_last_detail(), circflow_*_free() and, of a hub
 * that was let go, circflow_hub_get_stats() have answers of their own, and stand apart. */
#define EVERY_ENGINE_CALL(CALL)                                                                                        \
    CALL(circflow_engine_poll, every_bytes, sizeof(every_bytes), &every_insn)                                          \
    CALL(circflow_engine_drain, SIZE_MAX, NULL, every_insn_fn, NULL)                                                   \
    CALL(circflow_engine_get_deadline, &every_number)                                                                  \
    CALL(circflow_engine_tick, EVERY_NOW)                                                                              \
    CALL(circflow_engine_set_clock, EVERY_NOW)                                                                         \
    CALL(circflow_engine_trim, &every_number)                                                                          \
    CALL(circflow_engine_choose_victims, 1, &every_victim, 1, &every_count, &every_number)                             \
    CALL(circflow_engine_record, 4096, CIRCFLOW_RECORD_ALL)                                                            \
    CALL(circflow_engine_set_record_sink, NULL, NULL)                                                                  \
    CALL(circflow_engine_get_stats, &every_engine_stats)                                                               \
    CALL(circflow_engine_get_counters, &every_counters)                                                                \
    CALL(circflow_engine_write_metrics, (char *)every_bytes, 0, &every_count)                                          \
    CALL(circflow_engine_join, every_hub, every_notify, NULL)                                                          \
    CALL(circflow_engine_accept_sets, &every_set_config)                                                               \
    CALL(circflow_engine_set_param, 0, "cc_alg", 2)                                                                    \
    CALL(circflow_engine_get_param, 0, "cc_alg", &every_value)                                                         \
    CALL(circflow_circuit_open, EVERY_NOW, &every_circuit_config, &every_circuit)                                      \
    CALL(circflow_circuit_set_flags, every_circuit, 1)                                                                 \
    CALL(circflow_circuit_gone, EVERY_NOW, every_circuit)                                                              \
    CALL(circflow_circuit_extend, EVERY_NOW, every_circuit, &every_extend_config)                                      \
    CALL(circflow_circuit_receive, EVERY_NOW, every_circuit, &every_message, &every_verdict)                           \
    CALL(circflow_circuit_receive_many, EVERY_NOW, &every_arrival, 1, &every_count)                                    \
    CALL(circflow_leg_update, EVERY_NOW, &every_report, 1)                                                             \
    CALL(circflow_circuit_cell_queued, EVERY_NOW, every_circuit, CIRCFLOW_CMD_DATA, HOST_HOPS)                         \
    CALL(circflow_circuit_built, EVERY_NOW, every_circuit)                                                             \
    CALL(circflow_circuit_relay, EVERY_NOW, every_circuit, 0, &every_message, &every_verdict)                          \
    CALL(circflow_circuit_set_writable, EVERY_NOW, every_circuit, 0, 1)                                                \
    CALL(circflow_circuit_set_channel, EVERY_NOW, every_circuit, 0, every_channel_id)                                  \
    CALL(circflow_channel_open, 1, &every_channel_id)                                                                  \
    CALL(circflow_channel_set_room, EVERY_NOW, every_channel_id, 1)                                                    \
    CALL(circflow_channel_get_stats, every_channel_id, &every_channel_stats)                                           \
    CALL(circflow_channel_close, every_channel_id)                                                                     \
    CALL(circflow_circuit_add_digest, every_circuit, HOST_HOPS, every_bytes, 20)                                       \
    CALL(circflow_circuit_close, EVERY_NOW, every_circuit)                                                             \
    CALL(circflow_circuit_get_stats, every_circuit, &every_circuit_stats)                                              \
    CALL(circflow_circuit_send, EVERY_NOW, every_circuit, &every_message, &every_verdict)                              \
    CALL(circflow_circuit_cells_written, EVERY_NOW, every_circuit, 1)                                                  \
    CALL(circflow_circuit_cell_passed, EVERY_NOW, every_circuit)                                                       \
    CALL(circflow_set_open, EVERY_NOW, &every_set_config, &every_set)                                                  \
    CALL(circflow_set_add_legs, EVERY_NOW, every_set, &every_circuit, 1)                                               \
    CALL(circflow_set_launch_legs, EVERY_NOW, every_set, &every_circuit, 1)                                            \
    CALL(circflow_set_adopt_leg, EVERY_NOW, every_set, every_circuit, 0, 0)                                            \
    CALL(circflow_set_dissolve, EVERY_NOW, every_set, &every_circuit)                                                  \
    CALL(circflow_set_close, EVERY_NOW, every_set)                                                                     \
    CALL(circflow_set_decide, EVERY_NOW, every_set, &every_message, NULL, 0, &every_verdict)                           \
    CALL(circflow_set_send, EVERY_NOW, every_set, &every_message, NULL, 0, &every_verdict)                             \
    CALL(circflow_set_get_decision, every_set, &every_verdict)                                                         \
    CALL(circflow_set_get_room, every_set, &every_number)                                                              \
    CALL(circflow_set_check, every_set)                                                                                \
    CALL(circflow_set_poll, every_set, every_bytes, sizeof(every_bytes), &every_insn)                                  \
    CALL(circflow_set_poll_lent, every_set, &every_body, &every_insn)                                                \
    CALL(circflow_set_poll_tokens, every_set, &every_number, 1, &every_count)                                          \
    CALL(circflow_set_retag, every_set, 1)                                                                             \
    CALL(circflow_set_use_algorithm, every_set, 1)                                                                     \
    CALL(circflow_set_use_leg, every_set, every_circuit)                                                               \
    CALL(circflow_set_expect, every_set, 1)                                                                            \
    CALL(circflow_set_get_stats, every_set, &every_set_stats)                                                          \
    CALL(circflow_set_export, every_set, &every_numbers, every_leg_numbers, 1, &every_count)                           \
    CALL(circflow_set_import, EVERY_NOW, every_set, &every_numbers, every_leg_numbers, 1)                              \
    CALL(circflow_leg_get_stats, every_circuit, &every_leg_stats)                                                      \
    CALL(circflow_stream_open, EVERY_NOW, &every_stream_config, &every_stream)                                         \
    CALL(circflow_stream_retag, every_stream, 1)                                                                       \
    CALL(circflow_stream_set_priority, every_stream, 1)                                                                \
    CALL(circflow_stream_set_readable, every_stream, 1)                                                                \
    CALL(circflow_stream_choose, EVERY_NOW, every_set, every_circuit, &every_stream, NULL)                             \
    CALL(circflow_stream_send, EVERY_NOW, every_stream, &every_message, &every_verdict)                                \
    CALL(circflow_stream_flushed, EVERY_NOW, every_stream, 1)                                                          \
    CALL(circflow_stream_get_stats, every_stream, &every_stream_stats)                                                 \
    CALL(circflow_machines_load, "x", 1, &every_machines)                                                              \
    CALL(circflow_machines_drop, every_machines)                                                                       \
    CALL(circflow_padding_install, EVERY_NOW, every_circuit, &every_padding_config)                                    \
    CALL(circflow_padding_remove, EVERY_NOW, every_circuit, 2, 0)                                                      \
    CALL(circflow_padding_get_stats, every_circuit, 2, 0, &every_padding_stats)                                        \
    CALL(circflow_padding_answered, EVERY_NOW, every_circuit, &every_padding, CIRCFLOW_ANSWER_SENT)                    \
    CALL(circflow_padding_register, CIRCFLOW_ROLE_CLIENT, 1, &every_padding_config)                                    \
    CALL(circflow_padding_start, EVERY_NOW, every_circuit, 1)                                                          \
    CALL(circflow_padding_stop, EVERY_NOW, every_circuit, 1)                                                           \
    CALL(circflow_engine_set_padding_budget, &every_budget)

#define EVERY_QUEUE_CALL(CALL)                                                                                         \
    CALL(circflow_queue_push, &every_item, &every_byte, &every_sink)                                                \
    CALL(circflow_queue_drain, &every_value, &every_sink)                                                           \
    CALL(circflow_queue_get_len, &every_value)                                                                         \
    CALL(circflow_queue_get_pending, &every_byte)                                                                      \
    CALL(circflow_queue_take, every_bytes, sizeof(every_bytes), &every_item)

#define EVERY_HUB_CALL(CALL)                                                                                           \
    CALL(circflow_hub_choose_victims, 1, &every_victim, 1, &every_count, &every_number)                                \
    CALL(circflow_hub_get_stats, &every_hub_stats)                                                                     \
    CALL(circflow_hub_set_padding_budget, &every_budget)

/* Functions that take no handle and answer no status: CALL(function, a call of it). */
#define EVERY_PLAIN_CALL(CALL)                                                                                         \
    CALL(circflow_version, circflow_version())                                                                         \
    CALL(circflow_status_text, *circflow_status_text(0))                                                               \
    CALL(circflow_status_name, *circflow_status_name(0))                                                               \
    CALL(circflow_insn_kind_name, *circflow_insn_kind_name(0))                                                         \
    CALL(circflow_verdict_kind_name, *circflow_verdict_kind_name(0))                                                   \
    CALL(circflow_status_class, circflow_status_class(0))                                                              \
    CALL(circflow_status_close_reason, circflow_status_close_reason(0))                                                \
    CALL(circflow_status_place, circflow_status_place(0))                                                              \
    CALL(circflow_command_is_multiplexed, circflow_command_is_multiplexed(CIRCFLOW_CMD_DATA))

/* Functions that take no living handle and answer a status: CALL(function, a call of it). The order matters: what one
 * makes or writes, the next ones read. every_engine and every_queue stay, for the test to free. */
#define EVERY_ALONE_CALL(CALL)                                                                                         \
    CALL(circflow_engine_config_init, circflow_engine_config_init(&every_engine_config, sizeof(every_engine_config)))  \
    CALL(circflow_circuit_config_init,                                                                                 \
         circflow_circuit_config_init(&every_circuit_config, sizeof(every_circuit_config)))                            \
    CALL(circflow_extension_config_init, circflow_extension_config_init(&every_extend_config, sizeof(every_extend_config))) \
    CALL(circflow_set_config_init, circflow_set_config_init(&every_set_config, sizeof(every_set_config)))              \
    CALL(circflow_stream_config_init, circflow_stream_config_init(&every_stream_config, sizeof(every_stream_config)))  \
    CALL(circflow_padding_config_init,                                                                                 \
         circflow_padding_config_init(&every_padding_config, sizeof(every_padding_config)))                            \
    CALL(circflow_padding_budget_init, circflow_padding_budget_init(&every_budget, sizeof(every_budget)))              \
    CALL(circflow_hub_config_init, circflow_hub_config_init(&every_hub_config, sizeof(every_hub_config)))              \
    CALL(circflow_queue_config_init, circflow_queue_config_init(&every_queue_config, sizeof(every_queue_config)))      \
    CALL(circflow_engine_new, circflow_engine_new(&every_engine_config, &every_engine))                                \
    CALL(circflow_hub_new, circflow_hub_new(&every_hub_config, &every_other_hub))                                      \
    CALL(circflow_hub_free, circflow_hub_free(every_other_hub))                                                        \
    CALL(circflow_queue_new, circflow_queue_new(&every_queue_config, &every_queue))                                    \
    CALL(circflow_log_set_fn, circflow_log_set_fn(1, NULL, NULL))                                                      \
    CALL(circflow_cell_encode, circflow_cell_encode(CIRCFLOW_CELL_V0, &every_message, every_cell, NULL))               \
    CALL(circflow_cell_decode, circflow_cell_decode(CIRCFLOW_CELL_V0, every_cell, &every_decoded))                     \
    CALL(circflow_switch_encode, circflow_switch_encode(1, every_bytes))                                               \
    CALL(circflow_switch_decode, circflow_switch_decode(every_bytes, CIRCFLOW_SWITCH_LEN, &every_value))               \
    CALL(circflow_link_encode, circflow_link_encode(&every_link, every_bytes))                                         \
    CALL(circflow_link_decode, circflow_link_decode(every_bytes, CIRCFLOW_LINK_LEN, &every_link))                      \
    CALL(circflow_sendme_encode, circflow_sendme_encode(every_cell, 20, every_bytes, &every_count))                    \
    CALL(circflow_sendme_decode, circflow_sendme_decode(every_bytes, every_count, every_cell, &every_count))           \
    CALL(circflow_xon_encode, circflow_xon_encode(1, every_bytes))                                                     \
    CALL(circflow_xon_decode, circflow_xon_decode(every_bytes, CIRCFLOW_XON_LEN, &every_value))                        \
    CALL(circflow_xoff_decode, circflow_xoff_decode(every_bytes, 1))

/* A call by its name. The handle is any pointer, as that is what these tests are about. */
typedef struct every_call {
    const char *name;
    int (*make)(void *handle);
} every_call;

#define EVERY_MAKE(function, ...)                                                                                      \
    static int every_##function(void *handle) { return (int)function(handle, __VA_ARGS__); }
#define EVERY_MAKE_ALONE(function, call)                                                                               \
    static int every_##function(void *handle)                                                                          \
    {                                                                                                                  \
        (void)handle;                                                                                                  \
        return (int)(call);                                                                                            \
    }
#define EVERY_ROW(function, ...) {#function, every_##function},

EVERY_ENGINE_CALL(EVERY_MAKE)
EVERY_QUEUE_CALL(EVERY_MAKE)
EVERY_HUB_CALL(EVERY_MAKE)
EVERY_PLAIN_CALL(EVERY_MAKE_ALONE)
EVERY_ALONE_CALL(EVERY_MAKE_ALONE)

static const every_call every_engine_call[] = {EVERY_ENGINE_CALL(EVERY_ROW)};
static const every_call every_queue_call[] = {EVERY_QUEUE_CALL(EVERY_ROW)};
static const every_call every_hub_call[] = {EVERY_HUB_CALL(EVERY_ROW)};
static const every_call every_plain_call[] = {EVERY_PLAIN_CALL(EVERY_ROW)};
static const every_call every_alone_call[] = {EVERY_ALONE_CALL(EVERY_ROW)};

/* Gives the arguments values that a living handle would take. The hub is there until every_end(). */
static void every_begin(void)
{
    every_engine_stats.size = sizeof(every_engine_stats);
    every_circuit_stats.size = sizeof(every_circuit_stats);
    every_channel_stats.size = sizeof(every_channel_stats);
    every_set_stats.size = sizeof(every_set_stats);
    every_leg_stats.size = sizeof(every_leg_stats);
    every_stream_stats.size = sizeof(every_stream_stats);
    every_padding_stats.size = sizeof(every_padding_stats);
    every_hub_stats.size = sizeof(every_hub_stats);
    OK(circflow_circuit_config_init(&every_circuit_config, sizeof(every_circuit_config)));
    OK(circflow_extension_config_init(&every_extend_config, sizeof(every_extend_config)));
    OK(circflow_set_config_init(&every_set_config, sizeof(every_set_config)));
    OK(circflow_stream_config_init(&every_stream_config, sizeof(every_stream_config)));
    OK(circflow_padding_config_init(&every_padding_config, sizeof(every_padding_config)));
    OK(circflow_padding_budget_init(&every_budget, sizeof(every_budget)));
    every_message = host_data(HOST_HOPS, "x");
    every_item.form = CIRCFLOW_FORM_TOKEN;
    every_hub = host_hub(0);
}

static void every_end(void)
{
    OK(circflow_hub_free(every_hub));
    every_hub = NULL;
}

/* All of them answer this. */
#define EVERY_IS(status, calls, handle) every_is((status), (calls), COUNT(calls), (handle))
static inline void every_is(int status, const every_call *calls, size_t count, void *handle)
{
    for (size_t i = 0; i < count; i++)
        host_is(status, calls[i].make(handle), calls[i].name, __FILE__, __LINE__);
}

/* Whether a table has a function. */
#define EVERY_HAS(calls, name) every_has((calls), COUNT(calls), (name))
static inline int every_has(const every_call *calls, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(calls[i].name, name) == 0)
            return 1;
    return 0;
}

#endif
