/* How regular cells come that should come at a constant rate: for so many seconds, after a while for all else to be
 * over. Then it says what it saw, see node.h.
 */
#ifndef DEMO_REGULAR_H
#define DEMO_REGULAR_H

#include "loop.h"

struct regular;

/* padding_sent() answers with how many padding cells this end has sent. */
struct regular *regular_new(struct loop *loop, uint64_t seconds, uint64_t (*padding_sent)(void *owner), void *owner);

/* Begins after the handshake's time. */
void regular_begin_soon(struct regular *regular);

/* A cell came. */
void regular_note(struct regular *regular);

#endif
