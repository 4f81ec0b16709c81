/* What the client, the relays and the exit have in common: they are started by the demo, tell it one line at a time on
 * their standard output how they are, and end when their standard input does.
 *
 * The lines:
 *   port N         it listens there
 *   progress ...   figures of the client: see client.c
 *   leg ...        how a leg stands at the exit, on average over all sets: A or B, RTT_US CWND, and CWND_PEAK, of each
 *                  its largest, summed up
 *   part ...       an end has had the last of a part of the file: NUMBER BYTES SHA256
 *   received ...   the client has it all: BYTES NANOSECONDS CELLS_A CELLS_B HELD_PEAK
 *   sent ...       the exit has sent it all: BYTES SWITCHES
 *   flow ...       how often the client has said, or the exit has heard: XOFFS XONS
 *   memory ...     what a loop of the process kept when it kept most, in bytes: LOOP STREAMS HELD PARKED CHANNELS,
 *                  see memory.h; loops count from 0
 *   padding ...    figures of a loop of an end that pads: LOOP OTHER_CELLS PADDING_CELLS REPLACED BLOCKED_NS; cells
 *                  sent; replaced is how often a cell that waited anyway went in place of padding
 *   regular ...    how cells came that should come at a constant rate: INTERVALS SPAN_NS, then how far the intervals
 *                  were from their mean: P50_NS P99_NS MAX_NS; then of this end's own padding: CELLS_SENT and how late
 *                  its timers were: P50_US P99_US
 *   note TEXT      something went wrong that need not be the end
 *   fail TEXT      the transfer cannot be finished
 */
#ifndef DEMO_NODE_H
#define DEMO_NODE_H

#include <event2/event.h>
#include <event2/listener.h>
#include <stdint.h>

#if defined(__GNUC__)
#define DEMO_PRINTF __attribute__((format(printf, 1, 2)))
#define DEMO_NORETURN __attribute__((noreturn))
#else
#define DEMO_PRINTF
#define DEMO_NORETURN
#endif

/* How often nodes tell their progress. */
enum { PROGRESS_MS = 200 };

/* The event loop of a process. It ends the process with the standard input. */
struct event_base *node_start(void);

/* Another one, for a thread of its own. */
struct event_base *node_new_base(void);

void node_say(const char *format, ...) DEMO_PRINTF;

/* Says "fail ..." and ends the process. */
void node_fail(const char *format, ...) DEMO_PRINTF DEMO_NORETURN;

/* A number among the arguments, at most max; anything else ends the process. */
uint64_t node_number(const char *text, uint64_t max);

/* Listens on 127.0.0.1, on a free port when port is 0, and says which. */
struct evconnlistener *node_listen(struct event_base *base, uint16_t port, evconnlistener_cb on_accept, void *arg);

/* Calls fn every PROGRESS_MS. */
void node_tell_progress(struct event_base *base, event_callback_fn fn, void *arg);

#endif
