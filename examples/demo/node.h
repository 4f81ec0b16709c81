/* Common to client, relays and exit: the demo starts them, they report to it in lines on their
 * standard output, and they end when their standard input ends. The first two arguments of each are ENGINE_NUMBER, of
 * its first engine, and TRACE_FILE, see loop.h.
 *
 * The lines:
 *   port N         the process listens on port N
 *   progress ...   figures of the client: see client.c
 *   leg ...        a leg at the exit, on average over all sets: A or B, RTT_US CWND, and CWND_PEAK, the sum of each
 *                  leg's largest window
 *   part ...       an end has finished a part of the file: NUMBER BYTES SHA256
 *   received ...   the client has it all: BYTES NANOSECONDS CELLS_A CELLS_B HELD_PEAK
 *   sent ...       the exit has sent it all: BYTES SWITCHES ALGORITHM, the one that has chosen the legs
 *   flow ...       number of messages that the client has sent, or the exit has received: XOFFS XONS
 *   memory ...     bytes that a loop of the process kept when it kept most: LOOP STREAMS HELD PARKED CHANNELS,
 *                  see memory.h; loops count from 0
 *   padding ...    figures of a loop of an end that pads: LOOP OTHER_CELLS PADDING_CELLS REPLACED BLOCKED_NS; cells
 *                  sent; replaced counts the cells that waited anyway and went instead of padding
 *   regular ...    cells that should come at a constant rate: INTERVALS SPAN_NS, then the distance of the intervals
 *                  from their mean: P50_NS P99_NS MAX_NS; then of this end's own padding: CELLS_SENT and how late
 *                  its timers were: P50_US P99_US
 *   note TEXT      a problem that need not end the transfer
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

/* Time between two progress lines of a node. */
enum { PROGRESS_MS = 200 };

/* Makes the event loop of a process. The loop ends when the standard input ends. */
struct event_base *node_start(void);

/* Makes an event loop for another thread. */
struct event_base *node_new_base(void);

void node_say(const char *format, ...) DEMO_PRINTF;

/* node_fail() will call this function first. */
void node_before_failing(void (*fn)(void));

/* Prints "fail ..." and ends the process. */
void node_fail(const char *format, ...) DEMO_PRINTF DEMO_NORETURN;

/* Says how a process is started, for somebody who starts it by hand, and ends it. */
void node_usage(const char *arguments) DEMO_NORETURN;

/* Reads an argument as a number of at most max. Any other text ends the process. */
uint64_t node_number(const char *text, uint64_t max);

/* Listens on 127.0.0.1, on a free port when port is 0, and prints the port. */
struct evconnlistener *node_listen(struct event_base *base, uint16_t port, evconnlistener_cb on_accept, void *arg);

/* Calls fn every PROGRESS_MS. */
void node_tell_progress(struct event_base *base, event_callback_fn fn, void *arg);

#endif
