/* What a stock tor client says and hears on its streams, as a file: replay.c has circflow judge it. It is linked into
 * a client of stock tor's, between some of its files (-Wl,--wrap), and changes nothing. The environment variable
 * CIRCFLOW_TOR_TRACE names the file. Circuits by which tor tests a path (PATH_BIAS_TESTING) have no streams in this
 * sense, and are left out. The lines, in the order in which tor deals with the messages, which for sets is that of
 * their numbers:
 *
 *   MICROSECONDS in|out CIRCUIT.HOP COMMAND STREAM LENGTH BODY   the first bytes of the body, in hex; "-" for none
 *   valid                                                        tor counts the last "in" as valid
 */
#include "core/or/or.h"

#include "core/crypto/relay_crypto.h"
#include "core/or/circuitlist.h"
#include "core/or/circuituse.h"
#include "core/or/conflux.h"
#include "core/or/conflux_st.h"
#include "core/or/crypt_path_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/relay_msg.h"
#include "core/or/relay_msg_st.h"
#include "lib/time/compat_time.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define SHOWN 24

int __real_relay_decrypt_cell(circuit_t *, cell_t *, cell_direction_t, crypt_path_t **, char *);
int __wrap_relay_decrypt_cell(circuit_t *, cell_t *, cell_direction_t, crypt_path_t **, char *);
int __real_relay_msg_decode_cell_in_place(relay_cell_fmt_t, const cell_t *, relay_msg_t *);
int __wrap_relay_msg_decode_cell_in_place(relay_cell_fmt_t, const cell_t *, relay_msg_t *);
int __real_relay_msg_encode_cell(relay_cell_fmt_t, const relay_msg_t *, cell_t *);
int __wrap_relay_msg_encode_cell(relay_cell_fmt_t, const relay_msg_t *, cell_t *);
void __real_relay_encrypt_cell_outbound(cell_t *, origin_circuit_t *, crypt_path_t *);
void __wrap_relay_encrypt_cell_outbound(cell_t *, origin_circuit_t *, crypt_path_t *);
bool __real_conflux_process_relay_msg(conflux_t *, circuit_t *, crypt_path_t *, relay_msg_t *);
bool __wrap_conflux_process_relay_msg(conflux_t *, circuit_t *, crypt_path_t *, relay_msg_t *);
conflux_msg_t *__real_conflux_dequeue_relay_msg(circuit_t *);
conflux_msg_t *__wrap_conflux_dequeue_relay_msg(circuit_t *);
void __real_circuit_read_valid_data(origin_circuit_t *, uint16_t);
void __wrap_circuit_read_valid_data(origin_circuit_t *, uint16_t);

/* The cell between two calls. */
static circuit_t *heard_on;
static crypt_path_t *heard_from;
static relay_msg_t said;
static const cell_t *said_in;

static int
trace(void)
{
  static int file = -2;
  if (file == -2) {
    const char *path = getenv("CIRCFLOW_TOR_TRACE");
    file = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
  }
  return file;
}

static int
hop_of(const origin_circuit_t *circ, const crypt_path_t *layer)
{
  const crypt_path_t *at = circ->cpath;
  int hop = 1;
  for (; at && at != layer && at->next != circ->cpath; at = at->next)
    hop++;
  return hop;
}

static void
note(const char *way, circuit_t *circ, const crypt_path_t *layer, const relay_msg_t *msg)
{
  char body[2 * SHOWN + 1] = "-", name[2 * 8 + 1];
  if (trace() < 0 || !msg->stream_id || !CIRCUIT_IS_ORIGIN(circ) || circ->purpose == CIRCUIT_PURPOSE_PATH_BIAS_TESTING)
    return;
  if (msg->length)
    base16_encode(body, sizeof(body), (const char *) msg->body, msg->length < SHOWN ? msg->length : SHOWN);
  /* A set is one, whichever leg a message is on. */
  if (circ->conflux)
    base16_encode(name, sizeof(name), (const char *) circ->conflux->nonce, 8);
  else
    snprintf(name, sizeof(name), "%u", (unsigned) TO_ORIGIN_CIRCUIT(circ)->global_identifier);
  dprintf(trace(), "%" PRIu64 " %s %s.%d %d %d %d %s\n", monotime_absolute_usec(), way, name,
          hop_of(TO_ORIGIN_CIRCUIT(circ), layer), msg->command, msg->stream_id, msg->length, body);
}

int
__wrap_relay_decrypt_cell(circuit_t *circ, cell_t *cell, cell_direction_t direction, crypt_path_t **layer,
                          char *recognized)
{
  int answer = __real_relay_decrypt_cell(circ, cell, direction, layer, recognized);
  heard_on = answer == 0 && *recognized && CIRCUIT_IS_ORIGIN(circ) ? circ : NULL;
  heard_from = *layer;
  return answer;
}

int
__wrap_relay_msg_decode_cell_in_place(relay_cell_fmt_t format, const cell_t *cell, relay_msg_t *msg)
{
  int answer = __real_relay_msg_decode_cell_in_place(format, cell, msg);
  if (answer == 0 && heard_on && !(heard_on->conflux && conflux_should_multiplex(msg->command)))
    note("in", heard_on, heard_from, msg);
  return answer;
}

bool
__wrap_conflux_process_relay_msg(conflux_t *cfx, circuit_t *circ, crypt_path_t *layer, relay_msg_t *msg)
{
  bool next = __real_conflux_process_relay_msg(cfx, circ, layer, msg);
  if (next)
    note("in", circ, layer, msg);
  return next;
}

conflux_msg_t *
__wrap_conflux_dequeue_relay_msg(circuit_t *circ)
{
  conflux_msg_t *msg = __real_conflux_dequeue_relay_msg(circ);
  if (msg && CIRCUIT_IS_ORIGIN(circ))
    note("in", circ, TO_ORIGIN_CIRCUIT(circ)->cpath->prev, msg->msg);
  return msg;
}

int
__wrap_relay_msg_encode_cell(relay_cell_fmt_t format, const relay_msg_t *msg, cell_t *cell)
{
  said = *msg;
  said_in = cell;
  return __real_relay_msg_encode_cell(format, msg, cell);
}

void
__wrap_relay_encrypt_cell_outbound(cell_t *cell, origin_circuit_t *circ, crypt_path_t *layer)
{
  if (cell == said_in)
    note("out", TO_CIRCUIT(circ), layer, &said);
  said_in = NULL;
  __real_relay_encrypt_cell_outbound(cell, circ, layer);
}

void
__wrap_circuit_read_valid_data(origin_circuit_t *circ, uint16_t len)
{
  if (trace() >= 0)
    dprintf(trace(), "valid\n");
  __real_circuit_read_valid_data(circ, len);
}
