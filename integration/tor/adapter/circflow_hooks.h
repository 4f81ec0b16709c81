/* Where the adapter and the tor around it touch beside conflux.h and conflux_pool.h: what tor calls, and where options
 * come from. Whoever builds tor says how: circflow_zero_edit.h without a change of tor (`make tor`), or tor's own files
 * and its configuration, with the patch (`make tor-patch`). License: MIT OR Apache-2.0. */
#ifndef TOR_CIRCFLOW_HOOKS_H
#define TOR_CIRCFLOW_HOOKS_H

#include "core/or/or.h"

#include "core/or/relay_msg_st.h"

/* ---- What tor calls ---- */

/* A cell was recognised here. For what conflux puts in order this comes late, and is no news. */
void flow_pad_note_recognized(circuit_t *circ, uint8_t command, crypt_path_t *layer);

/* A cell passes this relay. */
void flow_pad_note_passed(circuit_t *circ, cell_direction_t direction);

/* A cell of ours was queued. */
void flow_pad_note_sent(circuit_t *circ, uint8_t command);

/* PADDING_NEGOTIATE and PADDING_NEGOTIATED: true where they are about our machines, and tor's are not to hear of it. */
bool flow_pad_takes(const relay_msg_t *msg, circuit_t *circ, const crypt_path_t *layer);

/* May DATA be packaged on a circuit? False while padding blocks it: the package window is empty then. */
bool flow_pad_may_package(circuit_t *circ);

/* A message is to be sent. True where it is kept, as padding blocks the circuit, or where the circuit was closed, as too
 * many are; it is not to be sent then. A layer of NULL is an exit's. */
bool flow_pad_holds(streamid_t stream_id, circuit_t *circ, uint8_t command, const char *body, size_t len,
                    const crypt_path_t *layer);

/* Cells went from a circuit's queue to its channel. */
void flow_pad_note_written(const circuitmux_t *cmux, circuit_t *circ, unsigned int cells);

/* A client's circuit is built, a circuit is freed, and all of padding ends. */
void flow_pad_note_built(origin_circuit_t *origin);
void flow_pad_forget(circuit_t *circ);
void flow_pad_end(void);

/* Tor has logged its heartbeat: the totals follow. */
void flow_figures_log(void);

/* One store of metrics, with the totals of now; NULL while there are none. */
const smartlist_t *flow_figures_stores(void);

/* Reads flow_option_algorithm(), for the sets that are opened from now on. */
void flow_algorithm_read(void);

/* The algorithm of that name; by the other end's wish for "ux", "" and NULL; and ALGORITHM_NONE. */
#define ALGORITHM_NONE UINT8_MAX
uint8_t flow_algorithm_named(const char *name);

/* All of their names, for somebody who has to free them. */
char *flow_algorithm_names(void);

/* ---- What the adapter asks for ---- */

/* What is to choose legs; NULL where nobody says. */
const char *flow_option_algorithm(void);

/* Does anybody want padding? */
bool flow_option_pads(void);

/* The padding machines of a client or a relay, and the file that they come from. The caller frees them. NULL where there
 * are none. */
char *flow_option_padding(bool is_client, const char **path);

/* The hop that a client pads with, 1 for the first. */
uint8_t flow_option_padding_hop(void);

/* Where what happens is to be recorded; NULL where it is not. */
const char *flow_option_trace(void);

#endif /* !defined(TOR_CIRCFLOW_HOOKS_H) */
