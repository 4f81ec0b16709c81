/* Measures how regular cells come that should come at a constant rate, for some seconds after the handshake. Then it
 * prints the result, see node.h.
 */
#ifndef DEMO_REGULAR_H
#define DEMO_REGULAR_H

#include "loop.h"

struct regular;

/* padding_sent() returns the number of padding cells that this end has sent. */
struct regular *regular_new(struct loop *loop, uint64_t seconds, uint64_t (*padding_sent)(void *owner), void *owner);

/* Begins after some time for the handshake. */
void regular_begin_soon(struct regular *regular);

/* Notes that a cell came. */
void regular_note(struct regular *regular);

#endif
