/* circflow_hooks.h for a tor of which no line is changed. The linker wraps the functions that tor calls across its files
 * (-Wl,--wrap=, see build.sh), so that the hooks are called as well; and options are environment variables:
 *
 *   CIRCFLOW_ALGORITHM            what chooses legs
 *   CIRCFLOW_TOR_PADDING_CLIENT   a file of padding machines, which a client runs with a hop
 *   CIRCFLOW_TOR_PADDING_HOP      that hop; without it the second
 *   CIRCFLOW_TOR_PADDING_RELAY    one that a relay runs
 *   CIRCFLOW_TRACE                a path, for a record of what happens
 *
 * Part of conflux.c, as tor's makefile knows of no other file of ours. License: MIT OR Apache-2.0. */
#ifndef TOR_CIRCFLOW_ZERO_EDIT_H
#define TOR_CIRCFLOW_ZERO_EDIT_H

#include "core/or/or.h"

#include "core/or/circuit_st.h"
#include "core/or/circuitlist.h"
#include "core/or/circuitmux.h"
#include "core/or/circuitpadding.h"
#include "core/or/conflux_cell.h"
#include "core/or/conflux_util.h"
#include "core/or/edge_connection_st.h"
#include "core/or/status.h"
#include "lib/fs/files.h"
#include "lib/string/parse_int.h"

#include "circflow_hooks.h"

/* ---- Options ---- */

/* NULL for one that is empty, too. */
static const char *
zero_edit_option(const char *name)
{
  const char *value = getenv(name);
  return value && *value ? value : NULL;
}

const char *
flow_option_algorithm(void)
{
  return zero_edit_option("CIRCFLOW_ALGORITHM");
}

static const char *
zero_edit_padding(bool is_client)
{
  return zero_edit_option(is_client ? "CIRCFLOW_TOR_PADDING_CLIENT" : "CIRCFLOW_TOR_PADDING_RELAY");
}

bool
flow_option_pads(void)
{
  return zero_edit_padding(true) || zero_edit_padding(false);
}

char *
flow_option_padding(bool is_client, const char **path)
{
  *path = zero_edit_padding(is_client);
  if (!*path)
    return NULL;
  char *text = read_file_to_str(*path, 0, NULL);
  if (!text)
    log_warn(LD_CONFIG, "circflow: cannot read %s. No padding.", *path);
  return text;
}

/* The second, as tor's machines do. */
uint8_t
flow_option_padding_hop(void)
{
  const char *hop = zero_edit_option("CIRCFLOW_TOR_PADDING_HOP");
  return hop ? (uint8_t) tor_parse_long(hop, 10, 1, 16, NULL, NULL) : 2;
}

const char *
flow_option_trace(void)
{
  return zero_edit_option("CIRCFLOW_TRACE");
}

/* ---- Hooks ---- */

/* Declares tor's own function, and begins ours. */
#define WRAP(result, name, ...) \
  result __real_ ## name(__VA_ARGS__); \
  result __wrap_ ## name(__VA_ARGS__); \
  result __wrap_ ## name(__VA_ARGS__)

WRAP(void, circpad_deliver_recognized_relay_cell_events, circuit_t *circ, uint8_t command, crypt_path_t *layer)
{
  flow_pad_note_recognized(circ, command, layer);
  __real_circpad_deliver_recognized_relay_cell_events(circ, command, layer);
}

WRAP(void, circpad_deliver_unrecognized_cell_events, circuit_t *circ, cell_direction_t direction)
{
  flow_pad_note_passed(circ, direction);
  __real_circpad_deliver_unrecognized_cell_events(circ, direction);
}

WRAP(void, circpad_deliver_sent_relay_cell_events, circuit_t *circ, uint8_t command)
{
  flow_pad_note_sent(circ, command);
  __real_circpad_deliver_sent_relay_cell_events(circ, command);
}

WRAP(int, circpad_check_received_cell, const relay_msg_t *msg, circuit_t *circ, crypt_path_t *layer)
{
  return flow_pad_takes(msg, circ, layer) ? 0 : __real_circpad_check_received_cell(msg, circ, layer);
}

WRAP(int, circuit_get_package_window, circuit_t *circ, const crypt_path_t *layer)
{
  return flow_pad_may_package(circ) ? __real_circuit_get_package_window(circ, layer) : 0;
}

WRAP(int, connection_edge_send_command, edge_connection_t *conn, uint8_t command, const char *body, size_t len)
{
  circuit_t *circ = conn->base_.marked_for_close ? NULL : conn->on_circuit;
  if (circ && flow_pad_holds(conn->stream_id, circ, command, body, len, conn->cpath_layer))
    return circ->marked_for_close ? -1 : 0;
  return __real_connection_edge_send_command(conn, command, body, len);
}

/* What is sent for a stream that there is not. In tor's test program this is no function that could be wrapped. */
#ifndef TOR_UNIT_TESTS
WRAP(int, relay_send_command_from_edge_, streamid_t stream_id, circuit_t *circ, uint8_t command, const char *body,
     size_t len, crypt_path_t *layer, const char *file, int line)
{
  if (flow_pad_holds(stream_id, circ, command, body, len, layer))
    return circ->marked_for_close ? -1 : 0;
  return __real_relay_send_command_from_edge_(stream_id, circ, command, body, len, layer, file, line);
}
#endif

WRAP(void, circuitmux_notify_xmit_cells, circuitmux_t *cmux, circuit_t *circ, unsigned int cells)
{
  flow_pad_note_written(cmux, circ, cells);
  __real_circuitmux_notify_xmit_cells(cmux, circ, cells);
}

WRAP(void, circpad_machine_event_circ_built, origin_circuit_t *circ)
{
  __real_circpad_machine_event_circ_built(circ);
  flow_pad_note_built(circ);
}

WRAP(void, circpad_circuit_free_all_machineinfos, circuit_t *circ)
{
  flow_pad_forget(circ);
  __real_circpad_circuit_free_all_machineinfos(circ);
}

WRAP(void, circpad_free_all, void)
{
  flow_pad_end();
  __real_circpad_free_all();
}

WRAP(int, log_heartbeat, time_t now)
{
  int result = __real_log_heartbeat(now);
  if (result == 0)
    flow_figures_log();
  return result;
}

/* Tor asks its subsystems for their metrics, which are listed in a table that only tor's own files can change. So ours
 * follow those of the relay. */
WRAP(const smartlist_t *, relay_metrics_get_stores, void)
{
  static smartlist_t *all = NULL;
  const smartlist_t *own = __real_relay_metrics_get_stores();
  const smartlist_t *ours = flow_figures_stores();
  if (!ours)
    return own;
  if (!all)
    all = smartlist_new();
  smartlist_clear(all);
  if (own)
    smartlist_add_all(all, own);
  smartlist_add_all(all, ours);
  return all;
}

/* A deliberate mistake, to see that the tests of the whole can fail: in a build of its own. */
#if CIRCFLOW_TOR_DEBUG
WRAP(bool, conflux_send_switch_command, circuit_t *circ, uint64_t delta)
{
  const char *by = zero_edit_option("CIRCFLOW_TOR_WRONG_SWITCH");
  return __real_conflux_send_switch_command(circ, by ? delta + (uint64_t) atoi(by) : delta);
}
#endif

#endif /* !defined(TOR_CIRCFLOW_ZERO_EDIT_H) */
