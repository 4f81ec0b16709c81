/* The cells of conflux for C Tor: what conflux_cell.h of tor 0.4.9 declares. License: MIT OR Apache-2.0.
 *
 * SWITCH is written by circflow. LINK and LINKED are written and read here, as circflow.h has no functions for them
 * yet: in circflow the handshake belongs to the set, and here it belongs to conflux_pool.c. */

#define CONFLUX_CELL_PRIVATE

#include "core/or/or.h"

#include "app/config/config.h"
#include "core/or/circuitlist.h"
#include "core/or/conflux_cell.h"
#include "core/or/crypt_path_st.h"
#include "core/or/or_circuit_st.h"
#include "core/or/origin_circuit_st.h"
#include "core/or/relay.h"
#include "lib/arch/bytes.h"
#include "trunnel/conflux.h"

#include "circflow.h"

/* The body of LINK and LINKED (prop329 2.2), version 1: where its fields begin, and where it ends. */
enum {
  LINK_AT_VERSION = 0,
  LINK_AT_NONCE = 1,
  LINK_AT_SENT = LINK_AT_NONCE + DIGEST256_LEN,
  LINK_AT_RECV = LINK_AT_SENT + 8,
  LINK_AT_UX = LINK_AT_RECV + 8,
  LINK_LEN = LINK_AT_UX + 1,
};

STATIC ssize_t
build_link_cell(const conflux_cell_link_t *link, uint8_t *cell_out)
{
  tor_assert(link && cell_out);
  set_uint8(cell_out + LINK_AT_VERSION, 1);
  memcpy(cell_out + LINK_AT_NONCE, link->nonce, DIGEST256_LEN);
  set_uint64(cell_out + LINK_AT_SENT, tor_htonll(link->last_seqno_sent));
  set_uint64(cell_out + LINK_AT_RECV, tor_htonll(link->last_seqno_recv));
  set_uint8(cell_out + LINK_AT_UX, link->desired_ux);
  return LINK_LEN;
}

conflux_cell_link_t *
conflux_cell_new_link(const uint8_t *nonce, uint64_t last_sent, uint64_t last_recv, uint8_t ux)
{
  conflux_cell_link_t *link = tor_malloc_zero(sizeof(*link));
  link->version = 1;
  link->desired_ux = ux;
  link->last_seqno_sent = last_sent;
  link->last_seqno_recv = last_recv;
  memcpy(link->nonce, nonce, sizeof(link->nonce));
  return link;
}

conflux_cell_link_t *
conflux_cell_parse_link(const relay_msg_t *msg)
{
  tor_assert(msg);
  /* More may follow in later versions of the protocol, but not of another kind. */
  if (msg->length < LINK_LEN || get_uint8(msg->body + LINK_AT_VERSION) != 1 ||
      get_uint8(msg->body + LINK_AT_UX) > CONFLUX_UX_LOW_MEM_THROUGHPUT) {
    log_fn(LOG_PROTOCOL_WARN, LD_CIRC, "A conflux link message that cannot be read.");
    return NULL;
  }
  return conflux_cell_new_link(msg->body + LINK_AT_NONCE,
                               tor_ntohll(get_uint64(msg->body + LINK_AT_SENT)),
                               tor_ntohll(get_uint64(msg->body + LINK_AT_RECV)),
                               get_uint8(msg->body + LINK_AT_UX));
}

conflux_cell_link_t *
conflux_cell_parse_linked(const relay_msg_t *msg)
{
  return conflux_cell_parse_link(msg);
}

uint32_t
conflux_cell_parse_switch(const relay_msg_t *msg)
{
  tor_assert(msg);
  return msg->length < CIRCFLOW_SWITCH_LEN ? 0 : tor_ntohl(get_uint32(msg->body));
}

/* Sends control to the far end of a circuit, past the choice of a leg. */
static bool
send_control(circuit_t *circ, uint8_t command, const uint8_t *body, size_t len)
{
  crypt_path_t *last = CIRCUIT_IS_ORIGIN(circ) ? TO_ORIGIN_CIRCUIT(circ)->cpath->prev : NULL;
  if (relay_send_command_from_edge(0, circ, command, (const char *) body, len, last) >= 0)
    return true;
  log_info(LD_CIRC, "Conflux message %d cannot be sent.", command);
  return false;
}

bool
conflux_cell_send_link(const conflux_cell_link_t *link, origin_circuit_t *circ)
{
  uint8_t body[LINK_LEN];
  ssize_t len = build_link_cell(link, body);
  return send_control(TO_CIRCUIT(circ), RELAY_COMMAND_CONFLUX_LINK, body, (size_t) len);
}

bool
conflux_cell_send_linked(const conflux_cell_link_t *link, or_circuit_t *circ)
{
  uint8_t body[LINK_LEN];
  ssize_t len = build_link_cell(link, body);
  return send_control(TO_CIRCUIT(circ), RELAY_COMMAND_CONFLUX_LINKED, body, (size_t) len);
}

bool
conflux_cell_send_linked_ack(origin_circuit_t *circ)
{
  return send_control(TO_CIRCUIT(circ), RELAY_COMMAND_CONFLUX_LINKED_ACK, NULL, 0);
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
  return send_control(send_circ, RELAY_COMMAND_CONFLUX_SWITCH, body, sizeof(body));
}
