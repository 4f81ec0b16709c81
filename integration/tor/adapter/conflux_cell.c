/* The cells of conflux for C Tor: of what conflux_cell.h of tor 0.4.9 declares, what is still called. LINK, LINKED and
 * LINKED_ACK are read and written by circflow, and only sent from here. License: MIT OR Apache-2.0. */

#define CONFLUX_CELL_PRIVATE

#include "core/or/or.h"

#include "core/or/conflux_cell.h"
#include "core/or/relay.h"

#include "circflow_sets.h"

bool
flow_send_control(circuit_t *circ, uint8_t command, const uint8_t *body, size_t len)
{
  /* When it cannot be sent, tor closes the circuit. */
  if (circ->marked_for_close)
    return false;
  crypt_path_t *last = CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->cpath->prev : NULL;
  if (relay_send_command_from_edge(0, circ, command, (const char *) body, len, last) >= 0)
    return true;
  log_info(LD_CIRC, "Conflux message %d cannot be sent.", command);
  return false;
}

bool
conflux_send_switch_command(circuit_t *send_circ, uint64_t relative_seq)
{
  uint8_t body[CIRCFLOW_SWITCH_LEN];
  tor_assert(send_circ);
  /* circflow decides for numbers that fit only; the full range of the field is not used. */
  if (BUG(relative_seq >= UINT32_MAX) ||
      circflow_switch_encode((uint32_t) relative_seq, body) != CIRCFLOW_OK)
    return false;
  return flow_send_control(send_circ, RELAY_COMMAND_CONFLUX_SWITCH, body, sizeof(body));
}

#ifdef TOR_UNIT_TESTS
/* Tor's own test of its cells. */

STATIC ssize_t
build_link_cell(const conflux_cell_link_t *link, uint8_t *cell_out)
{
  struct circflow_link mine = {
    .last_sent = link->last_seqno_sent,
    .last_received = link->last_seqno_recv,
    .desired_ux = link->desired_ux,
  };
  memcpy(mine.nonce, link->nonce, sizeof(mine.nonce));
  return circflow_link_encode(&mine, cell_out) == CIRCFLOW_OK ? CIRCFLOW_LINK_LEN : -1;
}

conflux_cell_link_t *
conflux_cell_parse_link(const relay_msg_t *msg)
{
  struct circflow_link mine;
  if (circflow_link_decode(msg->body, msg->length, &mine) != CIRCFLOW_OK)
    return NULL;
  conflux_cell_link_t *link = tor_malloc_zero(sizeof(*link));
  link->version = 1;
  link->desired_ux = mine.desired_ux;
  link->last_seqno_sent = mine.last_sent;
  link->last_seqno_recv = mine.last_received;
  memcpy(link->nonce, mine.nonce, sizeof(link->nonce));
  return link;
}
#endif
