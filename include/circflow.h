/* circflow: the flow logic of Tor circuits, for C programs with an event loop of their own.
 *
 * This file is generated from src/ffi; change it there. License: MIT OR Apache-2.0.
 *
 * Contents: the sections, and the functions of each. Names begin as the title of their section says, or with
 * circflow_; this list leaves that beginning out. To get to a section, search for its number and title. To get to the
 * comment of a function, search for its declaration, that is with the type of its answer: most functions are found with
 * "circflow_status circflow_circuit_receive(".
 *
 *   1. Version and statuses               version status_text status_name status_class status_close_reason
 *                                         status_place
 *   2. Ids
 *   3. Messages and verdicts              verdict_kind_name
 *   4. Instructions                       insn_kind_name
 *   5. Engines, circflow_engine_*
 *        life                             config_init new free
 *        turns of your loop               poll drain get_deadline tick set_clock
 *        parameters of a consensus        set_param get_param
 *        figures                          get_stats get_last_detail
 *        totals                           get_counters write_metrics
 *        memory                           trim choose_victims
 *        what happened                    record record_read set_record_sink
 *   6. Circuits, circflow_circuit_*
 *        life                             config_init open built set_flags close gone
 *        getting longer                   circflow_extension_config_init extend
 *        messages that come               receive receive_many
 *        messages that go                 send cell_queued add_digest cells_written
 *        cells that pass, channels        relay set_writable set_channel cell_passed
 *        your congestion control          circflow_leg_update
 *        figures                          get_stats
 *   7. Channels, circflow_channel_*       open close set_room get_stats
 *   8. Sets, circflow_set_*
 *        life                             config_init circflow_engine_accept_sets open close dissolve retag
 *                                         use_algorithm
 *        legs                             add_legs launch_legs adopt_leg circflow_leg_get_stats
 *        messages that go                 decide send get_decision get_room use_leg expect
 *        messages that are ready          poll poll_lent poll_tokens
 *        figures                          check get_stats
 *        numbers, if you keep your own    export import
 *   9. Streams, circflow_stream_*         config_init open retag set_priority set_readable choose send flushed
 *                                         get_stats
 *  10. Hubs, circflow_hub_*               config_init new free circflow_engine_join choose_victims get_stats
 *  11. Padding, circflow_padding_*
 *        machines and padders             circflow_machines_load circflow_machines_drop config_init install remove
 *                                         answered get_stats
 *        agreed on with the other end     register start stop
 *        what an operator allows          budget_init circflow_engine_set_padding_budget
 *                                         circflow_hub_set_padding_budget
 *  12. Queues, circflow_queue_*           config_init new free push drain get_len get_pending take
 *  13. Cells and bodies                   command_is_multiplexed cell_encode cell_decode switch_encode switch_decode
 *                                         link_encode link_decode sendme_encode sendme_decode xon_encode xon_decode
 *                                         xoff_decode
 *  14. Log lines                          log_set_fn
 *
 * I want to ..                           Look for
 *
 *   make an engine; free it              circflow_engine_config_init circflow_engine_new circflow_engine_free
 *   feed a message that came             circflow_circuit_receive
 *   feed a cell that passes this relay   circflow_circuit_relay
 *   carry out instructions               circflow_engine_drain circflow_engine_poll
 *   know when to call next; do it        circflow_engine_get_deadline circflow_engine_tick
 *   make one tunnel of several circuits  circflow_set_open circflow_set_add_legs
 *   accept such tunnels at an exit       circflow_engine_accept_sets
 *   send a message                       circflow_set_send circflow_stream_send circflow_circuit_send
 *   learn that I may send again          CIRCFLOW_INSN_MAY_SEND
 *   choose the stream to read from next  circflow_stream_choose
 *   report written bytes of a stream     circflow_stream_flushed
 *   report my own congestion window      circflow_leg_update
 *   report a full channel, or its room   circflow_circuit_set_writable CIRCFLOW_REPORT_CHANNEL_FULL
 *   .. once for all circuits on it       circflow_channel_open circflow_channel_set_room circflow_circuit_set_channel
 *   give digests for SENDMEs             circflow_circuit_add_digest circflow_message
 *   get a token back that was not used   CIRCFLOW_INSN_DISCARD circflow_discard_fn
 *   extend a circuit                     circflow_circuit_extend
 *   close a circuit or a set             circflow_circuit_close circflow_circuit_gone circflow_set_close
 *   go on with the last leg alone        circflow_set_dissolve
 *   know why a call failed, in words     circflow_engine_get_last_detail circflow_status_text
 *   see what happened in an engine       circflow_engine_record circflow_engine_record_read
 *   .. written to a file, or sent on     circflow_engine_set_record_sink
 *   count it; feed a monitor             circflow_engine_get_counters circflow_engine_write_metrics
 *   know why a circuit has to close      CIRCFLOW_INSN_CLOSE circflow_insn_close
 *   set parameters of a consensus        circflow_engine_set_param
 *   bound or free memory                 circflow_engine_config circflow_engine_trim circflow_hub_choose_victims
 *   use one set on several event loops   circflow_hub_new circflow_engine_join
 *   pad a circuit                        circflow_machines_load circflow_padding_install
 *   agree on padding with a relay        circflow_padding_start CIRCFLOW_INSN_NEGOTIATED
 *   keep items for a slow consumer       circflow_queue_push circflow_queue_drain
 *   write or read a cell                 circflow_cell_encode circflow_cell_decode
 *   get log lines                        circflow_log_set_fn
 *
 * You make one engine for each event loop. You feed it relay messages that arrived and that you decrypted, reports
 * from your congestion control and your channels, and the time. Each feed answers at once with a verdict about what
 * you fed. Everything else becomes an instruction in one ordered queue, which you poll or drain.
 *
 * Words, for readers who do not know Tor:
 *
 *   host          Your program. The comments say "the host" and "you" for the same thing.
 *   circuit       A path from a client over relays, its hops. The client numbers them: 1 is the first relay.
 *   cell          The unit that travels on a circuit: a body of 509 bytes. Each relay takes one layer of encryption off
 *                 a cell from the client, and adds one layer to a cell for the client. A cell whose message is for this
 *                 end is recognised.
 *   message       The content of a recognised cell: a command, a stream id and a body.
 *   channel       The link to a neighbour: the next relay, or the relay or client before this one. Many circuits share
 *                 a channel. A circuit has one side for each of its channels.
 *   stream        One connection that a circuit or a set carries: BEGIN, CONNECTED, DATA, END.
 *   set           Circuits from one client to one last hop that carry streams together (conflux, proposal 329). A
 *                 circuit in a set is a leg, and the last hop is the join point. LINK, LINKED and LINKED_ACK make a
 *                 circuit a leg: it is linked then.
 *   multiplexed   A multiplexed message has a sequence number in its set, so it can go on any leg. If it comes before
 *                 its turn, the receiver holds it. Where a leg leaves numbers out, the sender writes a SWITCH first: it
 *                 tells how many.
 *   SENDME        The acknowledgement of some DATA cells. It brings back the digest of the last of them.
 *   Vegas         The congestion control of proposal 324. It bounds the DATA cells in flight by a window, cwnd.
 *   XOFF, XON     With XOFF one end of a stream asks the other to stop, with XON to go on at some rate.
 *   padder        Runs padding machines (of the maybenot framework) for one hop of a circuit. They send padding
 *                 cells, and block other cells for a time.
 *   edge          Where cells leave a circuit for a channel. They wait there while the channel is full.
 *   token         A number of yours that stands for a message. circflow holds the number, and you keep the message.
 *   tag           A number of yours that names a circuit, a set or a stream. It comes back with every answer.
 *
 * Six rules hold everywhere:
 *
 *  1. Feed, then drain. A feed answers with a verdict and may queue instructions. Drain them before you sleep.
 *  2. You name the time. Every feed takes your monotonic clock, in nanoseconds. The library owns no clock, thread,
 *     socket or randomness. Equal times are normal. An earlier time is read as the latest one seen, and
 *     counted in the engine's figures.
 *  3. No pointer is kept after a call, except the engine, the hub and your user data.
 *  4. An engine calls you back in four places only: drain, free (to hand tokens and the rest of a record over), the
 *     log function, and notify. Notify can come on any thread and may only wake the engine's loop. Inside drain's
 *     callback you may feed; you may not poll, drain or free.
 *  5. One engine belongs to one thread at a time. Engines share nothing but a hub.
 *  6. An error changes nothing, except for errors of three classes. After PEER or LIMIT a circuit or a set is closed,
 *     and an instruction names it. After FATAL the engine can only be freed.
 *
 * A loop looks like this:
 *
 *     on a cell:     decrypt it; circflow_circuit_receive(); act on the verdict; drain; arm the timer
 *     on a stream:   circflow_set_send(); write SWITCH if the verdict says so, then the message; drain; arm the timer
 *     on SENDME:     circflow_leg_update(); drain; arm the timer
 *     on the timer:  circflow_engine_tick(); drain; arm the timer with circflow_engine_get_deadline()
 *
 * circflow can also run a circuit (CIRCFLOW_CIRCUIT_REACTOR): it then does congestion control, SENDMEs, streams and
 * the waiting at edges. The loop looks like this:
 *
 *     on a cell:     decrypt it; if it is recognised, circflow_circuit_receive() with its digest, else
 *                    circflow_circuit_relay(); act on the verdict; drain; arm the timer
 *     on a stream:   circflow_stream_choose(); read from that stream; circflow_stream_send(); write SWITCH if the
 *                    verdict says so, then the message; circflow_circuit_add_digest() if it is wanted; repeat until
 *                    there is no room or no stream; drain; arm the timer
 *     on written:    circflow_stream_flushed() for bytes that have left a stream's buffer; drain; arm the timer
 *     on a channel:  circflow_channel_set_room() when it has room, once for all circuits on it; drain. (Or, in an
 *                    order of your own, circflow_circuit_set_writable() for each, when it is full or has room)
 *
 * circflow_queue stands beside the engines. It is a small backlog before a sink of yours that can be full. It calls
 * that sink inside circflow_queue_push() and circflow_queue_drain(), and nowhere else.
 *
 * A function is named circflow_<noun>_<verb>. The noun is the thing that it works on. The form of the verb says who
 * acts:
 *
 *     imperative     circflow acts, in this call: circuit_close, set_send, stream_choose
 *     participle     you report that it has happened: circuit_gone, circuit_cell_queued, stream_flushed
 *     get_           reads, and changes nothing
 *     set_           writes a setting, or a state of yours that lasts: circuit_set_writable (a setting of the noun
 *                    set: retag, use_algorithm, use_leg)
 *     config_init    fills in the defaults
 *     (no verb)      a property of a plain value, without an engine: status_class, command_is_multiplexed
 *
 * Kinds of verdicts and instructions that are imperatives are for you to do: SEND, DELIVER, CLOSE, PAUSE_FEED. The
 * others are news: HELD, LINKED, MAY_SEND. Names that end in _ns are nanoseconds, in _bytes or _len bytes, in _cells
 * cells, in _max a highest value. One word has one meaning:
 *
 *     room           of sending: NO_ROOM, then MAY_SEND
 *     pause          of feeding: PAUSE_FEED, then UNPAUSE_FEED
 *     block          of padding: BLOCK, then UNBLOCK
 *     sink           where a queue puts its items (a channel is never called so)
 *     closing, gone  a circuit that is closing still has its id; one that is gone has not
 *
 * A callback has to return. If you use C++, an exception may leave a callback: it passes through the library to the
 * code that made the call. The engine (or queue) of that call is then poisoned, as its answer is lost;
 * circflow_engine_free() (or circflow_queue_free()) still works. A second exception, from a notify that is called
 * while the first one passes, ends the process. Leaving a callback by longjmp() is undefined behaviour.
 *
 * When malloc fails, the process is aborted, as in C Tor (tor_malloc()). Nearly every call can allocate, so each
 * would need a status for it, and nobody could test them all. The memory that a peer can use is bounded by caps that
 * you set. They answer with a status long before.
 *
 * The comment of each function says these things. The rest of what is here holds for all functions:
 *
 *   description     What it does, with the units and ranges of its arguments. `now_ns` is your monotonic clock, in
 *                   nanoseconds. A thing from a function ending in _new is yours until _free. An id from _open is
 *                   valid until the thing that it names is gone. Other pointers are read or written during the call
 *                   and not kept, unless the comment says so. An argument ending in _out is written on CIRCFLOW_OK
 *                   only, and must not be NULL unless the comment says so. Structs that begin with `size` may grow in
 *                   later versions: fill them with their _init, or set `size` to their sizeof before circflow writes
 *                   figures into them.
 *   Own statuses    The statuses that this function is known for, with your next step where the status itself does
 *                   not say it. Other statuses that can come:
 *                     from every function              CIRCFLOW_ERR_PANIC
 *                     with a pointer                   CIRCFLOW_ERR_NULL
 *                     with an engine, queue or hub     CIRCFLOW_ERR_BAD_HANDLE
 *                     with an engine or queue          CIRCFLOW_ERR_REENTRANT, CIRCFLOW_ERR_POISONED
 *                     with a struct that has `size`    CIRCFLOW_ERR_VERSION
 *                     with an id ("an id error")       CIRCFLOW_ERR_ZERO_ID, CIRCFLOW_ERR_FOREIGN_ID,
 *                                                      CIRCFLOW_ERR_STALE_ID
 *                     with an id and a time            CIRCFLOW_ERR_EXPIRED
 *   Inside drain    Whether you may call it inside the callback of circflow_engine_drain(), on that same engine. If
 *                   not, it answers CIRCFLOW_ERR_REENTRANT and does nothing.
 *   Since           The first version that has it.
 */

#ifndef CIRCFLOW_H
#define CIRCFLOW_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header, in its three numbers. circflow_version() is that of the library. */
#define CIRCFLOW_VERSION_MAJOR 0
#define CIRCFLOW_VERSION_MINOR 1
#define CIRCFLOW_VERSION_PATCH 0

/* The same in one number, for comparisons: major << 16 | minor << 8 | patch. */
#define CIRCFLOW_VERSION ((CIRCFLOW_VERSION_MAJOR << 16) | (CIRCFLOW_VERSION_MINOR << 8) | CIRCFLOW_VERSION_PATCH)

/* Marks functions whose answer has to be looked at; the compiler warns where it is not. */
#if defined(__GNUC__)
#define CIRCFLOW_MUST_USE __attribute__((warn_unused_result))
#else
#define CIRCFLOW_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/********************************************************************************************************************
 * 1. Version and statuses
 ********************************************************************************************************************/

/* The answer of a call: CIRCFLOW_OK, or a negative code in one of five bands:
 *
 *   MISUSE     -1 to -99: the call was refused and nothing changed; mend the call
 *   NOT_NOW    -100 to -199: nothing changed; try again after what the code names
 *   PEER       -200 to -299: the peer broke the protocol; the close of the circuit or the set is queued. (From the
 *              functions for cells and bodies, which know no circuit, the close is yours.)
 *   LIMIT      -300 to -399: a cap or a time bound was reached; the close of its victim is queued
 *   FATAL      -500 and below: the engine is of no use any more; only circflow_engine_free() works
 *
 * circflow_status_class() gives the band of a code, circflow_status_text() a sentence about it, and
 * circflow_status_close_reason() the reason to put into DESTROY. A number is never used again for another meaning.
 */
typedef enum circflow_status {
  /* Done. */
  CIRCFLOW_OK = 0,
  /* A pointer that must not be NULL was NULL. */
  CIRCFLOW_ERR_NULL = -1,
  /* An argument is out of its range; circflow_engine_get_last_detail() says which. */
  CIRCFLOW_ERR_INVALID = -2,
  /* The id named a thing that is gone. This is normal for a loop that queues ids: forget the id. */
  CIRCFLOW_ERR_STALE_ID = -3,
  /* The id comes from another engine, or names another kind of thing (a set where a circuit is wanted). */
  CIRCFLOW_ERR_FOREIGN_ID = -4,
  /* The id is zero, which names nothing. */
  CIRCFLOW_ERR_ZERO_ID = -5,
  /* The engine is inside a call already: poll, drain or free from inside a callback, or anything from inside the
   * log function. */
  CIRCFLOW_ERR_REENTRANT = -6,
  /* The buffer is too small. Nothing was taken. Call again with a buffer of the size that the function names. */
  CIRCFLOW_ERR_TOO_SMALL = -7,
  /* The `size` of a struct is not one that this library knows, or the bytes after the fields that it knows are not
   * zero. Fill the struct with its _init function. */
  CIRCFLOW_ERR_VERSION = -8,
  /* The circuit is no leg of a set. */
  CIRCFLOW_ERR_NOT_A_LEG = -9,
  /* The circuit is a leg already. */
  CIRCFLOW_ERR_IN_SET = -10,
  /* The legs of a set must have the same length and the same join point. */
  CIRCFLOW_ERR_LEG_MISMATCH = -11,
  /* The circuit has carried streams, so it cannot become a leg. */
  CIRCFLOW_ERR_HAS_STREAMS = -12,
  /* A leg needs window-based (Vegas) congestion control with the join point. */
  CIRCFLOW_ERR_NO_VEGAS = -13,
  /* Only multiplexed commands are sent through a set: BEGIN, DATA, END, CONNECTED, RESOLVE, RESOLVED, XOFF, XON.
   * Send the message on its own circuit. BEGIN_DIR cannot be sent on a leg at all. */
  CIRCFLOW_ERR_NOT_MULTIPLEXED = -14,
  /* The cell that was reported as queued does not fit: a message on a leg that needs a SWITCH first, a SWITCH that
   * no decision asked for, or a second SWITCH. Call circflow_set_decide() first, then report what it told you, in
   * that order. */
  CIRCFLOW_ERR_NOT_DECIDED = -15,
  /* The list of circuits is empty. */
  CIRCFLOW_ERR_NO_LEGS = -16,
  /* The imported numbers contradict what is held, or contradict each other. */
  CIRCFLOW_ERR_NUMBERS = -17,
  /* The set has other legs, or the handshake of its last leg is not complete, or messages are held or missing. */
  CIRCFLOW_ERR_NOT_ALONE = -18,
  /* The set would have more legs than it may have. */
  CIRCFLOW_ERR_TOO_MANY_LEGS = -19,
  /* The set would launch more legs than it may (launches_max). */
  CIRCFLOW_ERR_TOO_MANY_LAUNCHES = -20,
  /* A live set of this engine has this nonce. Draw new random bytes. */
  CIRCFLOW_ERR_NONCE_IN_USE = -21,
  /* The circuit has the other role, or goes on to another hop. */
  CIRCFLOW_ERR_ROLE = -22,
  /* A message cannot be written as a cell: an unknown command, a stream id where none may be (or none where one is
   * needed), an empty DATA, or a body longer than the format carries. */
  CIRCFLOW_ERR_UNENCODABLE = -23,
  /* The text is no list of padding machines, or one of them is broken, too large or too slow;
   * circflow_engine_get_last_detail() says which line, and why. */
  CIRCFLOW_ERR_BAD_MACHINES = -24,
  /* No padding is registered under this number. Call circflow_padding_register() first. */
  CIRCFLOW_ERR_UNKNOWN_PADDING = -25,
  /* This slot of the hop has a padder already. Remove it first, or use the hop's other slot. */
  CIRCFLOW_ERR_PADDER_EXISTS = -26,
  /* There is no such padder on this circuit. */
  CIRCFLOW_ERR_NO_PADDER = -27,
  /* The answer belongs to no padding instruction: none was given, or it was answered already. */
  CIRCFLOW_ERR_NOT_ASKED = -28,
  /* circflow does not run this circuit (it was opened without CIRCFLOW_CIRCUIT_REACTOR), or does not run its streams
   * (it was opened without CIRCFLOW_CIRCUIT_VEGAS). */
  CIRCFLOW_ERR_NOT_RUN = -29,
  /* circflow runs this circuit: send with circflow_stream_send(), and do not report for it. */
  CIRCFLOW_ERR_IS_RUN = -30,
  /* A stream with this id is open on this circuit or set, or it ended only a while ago, so that late messages for it
   * would reach the new stream. Use another id. */
  CIRCFLOW_ERR_STREAM_EXISTS = -31,
  /* circflow_engine_set_param(): a consensus may have this value, but circflow cannot do what it asks for. The
   * parameter keeps its value; circflow_engine_get_param() gives it. */
  CIRCFLOW_ERR_NOT_BUILT = -32,
  /* The pointer is not the engine, queue or hub that the function takes: it is another of these kinds, or was freed.
   * This helps to find a mistake; it is no promise. Two things are always recognised: a live handle of another kind,
   * and a hub that was freed while engines still need it. Freed memory can hold anything, also bytes that look
   * right, or it may not be readable at all. */
  CIRCFLOW_ERR_BAD_HANDLE = -33,
  /* No leg has room, or the circuit has none. Stop reading streams until CIRCFLOW_INSN_MAY_SEND comes. It cannot
   * come while no leg has been reported with circflow_leg_update(); circflow_engine_get_last_detail() says which leg
   * lacks what. */
  CIRCFLOW_ERR_NO_ROOM = -100,
  /* The set may not carry streams yet. Wait for CIRCFLOW_INSN_USABLE. */
  CIRCFLOW_ERR_NOT_USABLE = -101,
  /* Too many instructions wait. Drain, then call again. */
  CIRCFLOW_ERR_UNDRAINED = -102,
  /* The circuit is closing: its CIRCFLOW_INSN_CLOSE is queued, or you have taken it. Drop the message. */
  CIRCFLOW_ERR_CLOSING = -103,
  /* The engine has as many circuits, sets or lists of machines as it may have, a hub has as many engines, or a
   * circuit has as many padders, streams or unanswered negotiations. */
  CIRCFLOW_ERR_TOO_MANY = -104,
  /* The relay has refused padding on this circuit (padding-spec 3.2). Ask on another. */
  CIRCFLOW_ERR_PADDING_REFUSED = -105,
  /* The other end of the stream does not take DATA now (XOFF, or the rate of its XON). Stop reading this stream
   * until CIRCFLOW_INSN_MAY_SEND comes with this stream. */
  CIRCFLOW_ERR_STREAM_STOPPED = -108,
  /* Of sets: the parameter cfx_enabled is 0, so that no set is opened and no leg is added; live sets go on. Of
   * padding: a budget does not let it run (circflow_padding_budget). */
  CIRCFLOW_ERR_DISABLED = -109,
  /* The sink is full, and the queue holds as many items as it may. The item is still yours: keep it until there is
   * room, or close the consumer that does not take items, or the source that does not pause. */
  CIRCFLOW_ERR_QUEUE_FULL = -106,
  /* The sink is closed. The item is still yours, and so are the items that wait: take them with
   * circflow_queue_take(). */
  CIRCFLOW_ERR_SINK_CLOSED = -107,
  /* A LINK or LINKED that cannot be read. */
  CIRCFLOW_ERR_BAD_LINK = -200,
  /* A LINK in the wrong place: at a client that is no service, a second LINK, or on a circuit that goes on to
   * another hop. */
  CIRCFLOW_ERR_UNEXPECTED_LINK = -201,
  /* A LINKED in the wrong place: at an exit, before our LINK was taken to be sent, or a second LINKED. */
  CIRCFLOW_ERR_UNEXPECTED_LINKED = -202,
  /* A LINKED_ACK in the wrong place: at a client, before our LINKED, or a second LINKED_ACK. */
  CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK = -203,
  /* LINKED carries another nonce than our LINK. */
  CIRCFLOW_ERR_BAD_NONCE = -204,
  /* LINK or LINKED has impossible numbers: it has received more than we sent, or a new set has sent messages before.
   */
  CIRCFLOW_ERR_BAD_LINK_NUMBERS = -205,
  /* LINK on a circuit that has carried streams, or without Vegas congestion control, or into a set whose legs are of
   * another kind: run by the host or by circflow, an exit's or a service's, of another length or join_point. */
  CIRCFLOW_ERR_UNFIT_LINK = -206,
  /* A LINK came, and conflux is off here (no circflow_engine_accept_sets(), or cfx_enabled is 0). */
  CIRCFLOW_ERR_CONFLUX_OFF = -207,
  /* A conflux or multiplexed message from another hop than the join point. */
  CIRCFLOW_ERR_WRONG_HOP = -208,
  /* A SWITCH that cannot be read. */
  CIRCFLOW_ERR_BAD_SWITCH = -209,
  /* A SWITCH on a circuit that is not linked. */
  CIRCFLOW_ERR_UNEXPECTED_SWITCH = -210,
  /* A second SWITCH on a leg, with no multiplexed message on that leg between. */
  CIRCFLOW_ERR_SWITCH_REPEATED = -211,
  /* More than sixteen SWITCHes by 0 in the life of a set. An honest peer sends one at most. */
  CIRCFLOW_ERR_SWITCH_ZERO = -212,
  /* A SWITCH further ahead than switch_ahead_max allows. No honest peer goes so far. */
  CIRCFLOW_ERR_SWITCH_TOO_FAR = -213,
  /* A SWITCH to a number above 2^62, the highest one. */
  CIRCFLOW_ERR_NUMBER_OVERFLOW = -214,
  /* A message with a number that was delivered already. */
  CIRCFLOW_ERR_NUMBER_STALE = -215,
  /* Two legs brought a message with the same number. */
  CIRCFLOW_ERR_NUMBER_TWICE = -216,
  /* A multiplexed message on a leg that is not linked. */
  CIRCFLOW_ERR_UNLINKED_DATA = -217,
  /* A SENDME with a stream id on a leg. */
  CIRCFLOW_ERR_STREAM_SENDME = -218,
  /* A stream id with a command that has none, or no stream id with a command that needs one. */
  CIRCFLOW_ERR_BAD_STREAM_ID = -219,
  /* A cell or a body that cannot be read: cut short, or a length beyond what the format carries. */
  CIRCFLOW_ERR_MALFORMED = -220,
  /* A command that this cell format does not know. */
  CIRCFLOW_ERR_BAD_COMMAND = -221,
  /* Client: padding came from a hop without a padder. (A relay only counts it.) */
  CIRCFLOW_ERR_PADDING_UNEXPECTED = -222,
  /* More padding than inbound_fraction allows. */
  CIRCFLOW_ERR_PADDING_EXCESS = -223,
  /* Client: a PADDING_NEGOTIATED that cannot be read, or that answers nothing. */
  CIRCFLOW_ERR_BAD_NEGOTIATED = -224,
  /* A command that this end of a circuit does not take: one for clients at a relay, one for relays at a client, or
   * an unknown one. */
  CIRCFLOW_ERR_UNEXPECTED_COMMAND = -225,
  /* A cell that is not recognised here on a circuit without a next relay. */
  CIRCFLOW_ERR_UNRECOGNISED = -226,
  /* BEGIN or RESOLVE for a stream that is open. */
  CIRCFLOW_ERR_STREAM_TWICE = -227,
  /* Client: a message for a stream that was never opened. (A relay drops it: it may have forgotten the stream.) */
  CIRCFLOW_ERR_UNKNOWN_STREAM = -228,
  /* XOFF or XON that cannot be read. */
  CIRCFLOW_ERR_BAD_FLOW = -229,
  /* Client: XOFF or XON came more often than the DATA that was sent can explain (prop324 4.1.4). */
  CIRCFLOW_ERR_FLOW_ABUSE = -230,
  /* A SENDME that acknowledges nothing, or does not bring the digest of its cell. */
  CIRCFLOW_ERR_BAD_SENDME = -231,
  /* The set holds as many bytes as it may. */
  CIRCFLOW_ERR_SET_MEMORY = -300,
  /* All sets of the engine together hold as many bytes as they may. */
  CIRCFLOW_ERR_ENGINE_MEMORY = -301,
  /* A LINK came for a set that has as many legs as it may, or for a new set when the engine has as many sets as it
   * may. */
  CIRCFLOW_ERR_LINK_LIMIT = -302,
  /* LINKED did not come in time. */
  CIRCFLOW_ERR_LINKED_TIMEOUT = -303,
  /* LINKED_ACK did not come in time. */
  CIRCFLOW_ERR_LINKED_ACK_TIMEOUT = -304,
  /* A timer that was due at the time of this call has ended the circuit or set that the call names. Nothing else was
   * done. Every feed that takes a time and an id can answer so. */
  CIRCFLOW_ERR_EXPIRED = -305,
  /* A leg was lost, and its set cannot go on without it: it was the sending leg, or ahead of the others, or the last
   * one, or had at least sendme_inc cells in flight. Only in CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED. */
  CIRCFLOW_ERR_LEG_LOST = -306,
  /* More cells came after CIRCFLOW_INSN_PAUSE_FEED than edge_over_cells allows, for a full edge or for a set whose
   * home is another engine. */
  CIRCFLOW_ERR_EDGE_OVERRUN = -307,
  /* A stream has stream_bytes_max bytes that were delivered and not flushed. */
  CIRCFLOW_ERR_STREAM_MEMORY = -308,
  /* All sets of the hub together hold as many bytes as they may. */
  CIRCFLOW_ERR_HUB_MEMORY = -309,
  /* A message was held for order for held_age_max_ns: a message before it was lost with a leg, or the peer does not
   * send it. Only in CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED. */
  CIRCFLOW_ERR_HELD_TOO_LONG = -310,
  /* No failure: the set lost its last leg, or one that it needs, while no stream was open and no message was held. A
   * set ends like this when its peer closes it after the last END. Only in CIRCFLOW_INSN_CLOSE and
   * CIRCFLOW_INSN_ENDED, and only of sets that circflow runs: circflow does not know the streams of other sets. */
  CIRCFLOW_ERR_SET_FINISHED = -311,
  /* Exit: the set's home is another engine of the hub, and that engine did not add a leg within link_timeout_ns: its
   * loop hangs, or it is poisoned and was not freed. */
  CIRCFLOW_ERR_HOME_TIMEOUT = -314,
  /* This call has met a bug in the library. The engine (or queue) that it was about is poisoned.
   * circflow_engine_get_last_detail() gives the message, which Rust also prints to standard error. A call without an
   * engine or queue poisons nothing. */
  CIRCFLOW_ERR_PANIC = -500,
  /* An earlier call answered CIRCFLOW_ERR_PANIC, or an exception of yours left a callback;
   * circflow_engine_get_last_detail() says which. */
  CIRCFLOW_ERR_POISONED = -501,
} circflow_status;

/* The class of a status.
 */
typedef enum circflow_class {
  /* No error. */
  CIRCFLOW_CLASS_OK = 0,
  /* The call was refused; nothing changed. Mend the call. */
  CIRCFLOW_CLASS_MISUSE = 1,
  /* Nothing changed. Try again after what the code names. */
  CIRCFLOW_CLASS_NOT_NOW = 2,
  /* The peer broke the protocol; the close is queued. Drain. */
  CIRCFLOW_CLASS_PEER = 3,
  /* A cap or a time bound was reached; the close of the victim is queued. Drain. */
  CIRCFLOW_CLASS_LIMIT = 4,
  /* The engine is of no use any more. Free it. */
  CIRCFLOW_CLASS_FATAL = 5,
  /* Not a status of this library. */
  CIRCFLOW_CLASS_UNKNOWN = 6,
} circflow_class;

/* Gives the version of the linked library, in the form of CIRCFLOW_VERSION, which is the version of the header.
 *
 * Inside drain: yes. Since: 0.1. */
uint32_t circflow_version(void);

/* Gives one sentence about a status, in English, without a full stop. The text is static and never NULL. A number that
 * is no status has a sentence of its own.
 *
 * Inside drain: yes. Since: 0.1. */
const char *circflow_status_text(int32_t status);

/* Gives the name of a status as in this header, such as "CIRCFLOW_ERR_NULL", for people who debug. For users there is
 * circflow_status_text(). The text is static and never NULL; for a number that is no status it is "not a status".
 *
 * Inside drain: yes. Since: 0.1. */
const char *circflow_status_name(int32_t status);

/* Gives the class of a status, which says what to do next.
 *
 * Inside drain: yes. Since: 0.1. */
enum circflow_class circflow_status_class(int32_t status);

/* Gives the reason to put into DESTROY (tor-spec 5.4) when you close a circuit because of this status: a number of one
 * byte, or -1 when the status is no cause to close a circuit.
 *
 * Inside drain: yes. Since: 0.1. */
int32_t circflow_status_close_reason(int32_t status);

/* Gives the place of a status in the counts by status of circflow_engine_counters: 0 for CIRCFLOW_OK, which stands for
 * what you asked for, and another for each status of the classes PEER and LIMIT. CIRCFLOW_COUNTED_STATUSES for all
 * others, and for numbers that are no status.
 *
 * Inside drain: yes. Since: 0.1. */
uint32_t circflow_status_place(int32_t status);

/********************************************************************************************************************
 * 2. Ids
 ********************************************************************************************************************/

/* Names a circuit of an engine. Zero names nothing. A leg of a set has the id of its circuit. */
typedef struct circflow_circuit_id {
  /* Opaque. You may compare it, store it and print it. */
  uint64_t v;
} circflow_circuit_id;

/* Names a conflux set of an engine. Zero names nothing. */
typedef struct circflow_set_id {
  /* Opaque. You may compare it, store it and print it. */
  uint64_t v;
} circflow_set_id;

/* Names a stream of an engine, on a circuit or set that circflow runs. Zero names nothing. */
typedef struct circflow_stream_id {
  /* Opaque. You may compare it, store it and print it. */
  uint64_t v;
} circflow_stream_id;

/* Names a list of padding machines of an engine. Zero names an empty list. */
typedef struct circflow_machines_id {
  /* Opaque. You may compare it, store it and print it. */
  uint64_t v;
} circflow_machines_id;

/* Names a channel inside an engine: a link to another relay. Zero names none: the side of a circuit is then on no
 * channel that it shares. */
typedef struct circflow_channel_id {
  /* Opaque. Compare it, store it, print it. */
  uint64_t v;
} circflow_channel_id;

/********************************************************************************************************************
 * 3. Messages and verdicts
 ********************************************************************************************************************/

/* Bytes of a relay cell's body: a cell of 514 bytes without circuit id and command. */
#define CIRCFLOW_CELL_BODY_LEN 509

/* Bytes of the longest body that a relay message can have, in any cell format. */
#define CIRCFLOW_BODY_MAX 498

/* Bytes of the longest body that fits every cell format: put at most so many into a DATA. */
#define CIRCFLOW_DATA_MAX 488

/* circflow_message.form: circflow copies the body if it has to hold the message. */
#define CIRCFLOW_FORM_BYTES 0

/* circflow_message.form: circflow keeps the token if it has to hold the message. */
#define CIRCFLOW_FORM_TOKEN 1

/* The cost of one held message that circflow has copied, in bytes. It does not depend on the length of the body, which
 * is kept in a block of fixed size. The cost of a held token is cost_bytes. */
#define CIRCFLOW_HELD_COST 536

/* The least cost of a held token, in bytes: circflow itself needs so much for it. */
#define CIRCFLOW_HELD_TOKEN_MIN 40

/* A decrypted relay message. All of it is read during the call only.
 *
 * The hop says where the message came from, or where it goes. At a client, 1 is the first relay, and the last hop is
 * the join point. At a relay, the other end is the client, and the hop is 0.
 *
 * With CIRCFLOW_FORM_BYTES, circflow copies the body if it has to hold the message. With CIRCFLOW_FORM_TOKEN the
 * message stays yours: circflow keeps the number `token` instead. It hands the token back exactly once: in
 * CIRCFLOW_INSN_DELIVER, SEND, WRITE or DISCARD, or to the discard function of circflow_engine_free().
 *
 * circflow keeps a token only when the call answers CIRCFLOW_VERDICT_HELD. After any other verdict, and after any
 * error, it has not taken the token. So you can wait for HELD before you make the thing that the token stands for. The
 * bodies of LINK, LINKED and SWITCH must be present in either form, and so must every body on a circuit that circflow
 * runs. */
typedef struct circflow_message {
  /* Relay command, CIRCFLOW_CMD_* or any other. */
  uint8_t command;
  /* The hop that it came from or goes to. */
  uint8_t hop;
  /* Stream id; 0 where the message belongs to no stream. */
  uint16_t stream_id;
  /* Bytes in body, in either form: at most CIRCFLOW_BODY_MAX; in a cell for circflow_circuit_relay(), at most
   * CIRCFLOW_CELL_BODY_LEN. More is always refused. */
  uint16_t body_len;
  /* CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN. */
  uint8_t form;
  /* Bytes of `cell_digest`: 20 (tor1), 16 (counter-galois), or 0 for no digest. Without a digest the SENDME is of
   * version 0, and a peer with congestion control then closes the circuit. */
  uint8_t cell_digest_len;
  /* With a token: the bytes that your process needs to keep the message. They count against the caps, as at least
   * CIRCFLOW_HELD_TOKEN_MIN. */
  uint32_t cost_bytes;
  /* Zero. */
  uint32_t reserved2;
  /* The body, or NULL when body_len is 0. */
  const uint8_t *body;
  /* With CIRCFLOW_FORM_TOKEN: any number of yours. */
  uint64_t token;
  /* On circuits that circflow runs, with DATA that came: the digest of its cell, for the SENDME that may answer it
   * (prop289). For tor1 this is the running digest after this cell, for counter-galois the 16 bytes that tor-spec
   * calls the cell's tag. Give it with each DATA; circflow reads it when it needs it. */
  const uint8_t *cell_digest;
} circflow_message;

/* circflow_verdict.flags and circflow_insn.flags: a SENDME will acknowledge this DATA cell. When you have encrypted
 * the cell, give its digest to circflow_circuit_add_digest(), in the order of sending. */
#define CIRCFLOW_WANTS_DIGEST 1

/* A side of a circuit: at a relay the channel towards the client, at a client the channel to the first relay. */
#define CIRCFLOW_SIDE_BACK 0

/* A side of a circuit: at a relay the channel to the next relay. */
#define CIRCFLOW_SIDE_NEXT 1

/* The kind of a verdict: what to do with the message that was fed.
 */
typedef enum circflow_verdict_kind {
  /* Receiving: handle the message now. If it is multiplexed, it is the next in order and counts as delivered.
   * Messages that waited for it may be ready: drain, or take them with circflow_set_poll(). */
  CIRCFLOW_VERDICT_DELIVER = 1,
  /* circflow has kept the message: it has copied the body, or keeps the token until it hands it back. Receiving: the
   * message came early, and comes back as CIRCFLOW_INSN_DELIVER. Sending: padding blocks, and the message comes back
   * as CIRCFLOW_INSN_SEND. A cell that passes: the channel is full, and the cell comes back as CIRCFLOW_INSN_WRITE.
   */
  CIRCFLOW_VERDICT_HELD = 2,
  /* Receiving: circflow has handled this control message. Do nothing with it; drain. */
  CIRCFLOW_VERDICT_CONSUMED = 3,
  /* Receiving: the message is not allowed on a leg (BEGIN_DIR; TROVE-2026-008). Send END with end_reason on its
   * stream id. */
  CIRCFLOW_VERDICT_REFUSE = 4,
  /* Sending: send the message on this circuit. If switch_delta is not 0, send a SWITCH with it first. */
  CIRCFLOW_VERDICT_SEND = 5,
  /* A cell that passes: write it to the other side of the circuit now. */
  CIRCFLOW_VERDICT_FORWARD = 6,
} circflow_verdict_kind;

/* Gives the name of a kind of verdict (circflow_verdict.kind), such as "CIRCFLOW_VERDICT_DELIVER". The text is static
 * and never NULL; for an unknown number it is "not a kind of verdict".
 *
 * @param kind  The number.
 *
 * Inside drain: yes. Since: 0.1. */
const char *circflow_verdict_kind_name(uint32_t kind);

/* The answer about the message that was fed. */
typedef struct circflow_verdict {
  /* circflow_verdict_kind. */
  uint8_t kind;
  /* 1 when held messages of the set are ready now: drain, or take them with circflow_set_poll(). Otherwise 0. */
  uint8_t ready;
  /* REFUSE: the reason to put into END (tor-spec 6.3, one byte). Otherwise 0. */
  uint8_t end_reason;
  /* CIRCFLOW_WANTS_DIGEST or 0. */
  uint8_t flags;
  /* SEND: 0, or the number for a SWITCH that you send first, on the same leg (circflow_switch_encode()). */
  uint32_t switch_delta;
  /* SEND: the circuit to send on. Otherwise the circuit that the message came on; zero when a set holds the message
   * for sending. */
  struct circflow_circuit_id circuit;
  /* That circuit's tag. */
  uint64_t circuit_tag;
  /* The message's absolute sequence number in the set, from 1; 0 for a message without one. */
  uint64_t number;
  /* On circuits that circflow runs: the message's stream, or zero. The last message of a stream that comes (END,
   * RESOLVED) has only the tag, as the id is stale by then. */
  struct circflow_stream_id stream;
  /* The tag of the stream, or 0. */
  uint64_t stream_tag;
} circflow_verdict;

/********************************************************************************************************************
 * 4. Instructions
 ********************************************************************************************************************/

/* The kind of an instruction. More kinds may come; ignore what you do not know.
 */
typedef enum circflow_insn_kind {
  /* Nothing waits. */
  CIRCFLOW_INSN_NONE = 0,
  /* Send a relay message on the circuit, to detail.send.hop. Do not report it as queued: circflow knows. It is a
   * control message with its body in the body buffer, or a message of yours that was held. detail.send.form says
   * whether its body is in the buffer, or detail.send.token is yours again. */
  CIRCFLOW_INSN_SEND = 1,
  /* A held message is next in order: handle it. detail.deliver.form says whether its body is in the body buffer, or
   * detail.deliver.token is yours again. `circuit` is the leg that it came on, or zero when that leg is gone. When a
   * set ends, messages that were ready are still delivered, before the CIRCFLOW_INSN_CLOSE of its legs. */
  CIRCFLOW_INSN_DELIVER = 2,
  /* detail.discard.token is yours again, and its message will never be delivered or sent: free it. Most tokens of a
   * set that has ended come before its CIRCFLOW_INSN_ENDED. Tokens behind many copied messages come later, without
   * the set's id, as one call of yours frees only so many copies: keep your table of tokens until each is back. */
  CIRCFLOW_INSN_DISCARD = 3,
  /* Close the circuit: send DESTROY with detail.close.reason, then call circflow_circuit_gone(). detail.close.cause
   * is the status that explains it. The id stays valid until you call circflow_circuit_gone(). */
  CIRCFLOW_INSN_CLOSE = 4,
  /* The set (or the circuit, if `set` is zero) has room again after CIRCFLOW_ERR_NO_ROOM: read its streams. With a
   * stream: this stream may send again, after CIRCFLOW_ERR_STREAM_STOPPED or after circflow_stream_choose() named
   * none. It can come in the last drain before you sleep: read and send then too, and drain again. */
  CIRCFLOW_INSN_MAY_SEND = 5,
  /* The circuit is a linked leg of the set. At an exit this is the first instruction that names a new set. The
   * CIRCFLOW_INSN_SEND of its LINKED follows; the leg can send once you have taken that. */
  CIRCFLOW_INSN_LINKED = 6,
  /* The set may carry streams from now on. This comes once for each set. At a client it comes when one leg is
   * linked, and no other is being built or waits for LINKED. At an exit it comes when you have taken the first
   * LINKED to send. */
  CIRCFLOW_INSN_USABLE = 7,
  /* Client: launch another leg if you can, and add it. It comes when a leg was lost before it was linked, or before
   * the set was usable, and launches_max allows another. The set goes on meanwhile. It does not come for a linked
   * leg that a usable set loses. */
  CIRCFLOW_INSN_WANT_LEG = 8,
  /* The set is gone, and its id is stale. detail.close.cause says why. The CIRCFLOW_INSN_CLOSE of its legs came
   * before this. */
  CIRCFLOW_INSN_ENDED = 9,
  /* Send a padding cell: a DROP to detail.padding.hop on this circuit. Do not report it as queued. When
   * detail.padding.flags has CIRCFLOW_PADDING_ASKS (only on a circuit with CIRCFLOW_CIRCUIT_OWN_QUEUE), first decide
   * by the table below, then answer with circflow_padding_answered(). "Queue" means the cells to or through the hop
   * that are queued on this circuit and not written yet, blocked or not.
   *
   *   your block          BYPASS  REPLACE  queue    do                       answer
   *   none                any     no       any      send padding             SENT
   *   none                any     yes      empty    send padding             SENT
   *   none                any     yes      some     nothing                  REPLACED
   *   lets padding pass   yes     no       any      send past the block      SENT
   *   lets padding pass   yes     yes      empty    send past the block      SENT
   *   lets padding pass   yes     yes      blocked  let one queued cell go   RELEASED
   *   lets padding pass   yes     yes      past it  nothing                  REPLACED
   *   lets padding pass   no      no       any      queue behind the block   SENT
   *   lets padding pass   no      yes      empty    queue behind the block   SENT
   *   lets padding pass   no      yes      some     nothing                  REPLACED
   *   lets nothing pass   any     no       any      queue behind the block   SENT
   *   lets nothing pass   any     yes      empty    queue behind the block   SENT
   *   lets nothing pass   any     yes      some     nothing                  REPLACED */
  CIRCFLOW_INSN_PADDING = 10,
  /* CIRCFLOW_CIRCUIT_OWN_QUEUE: from now on keep the cells that are queued on this circuit. Do not keep control that
   * must not wait: SENDME, LINK, LINKED, LINKED_ACK, PADDING_NEGOTIATE, PADDING_NEGOTIATED, DESTROY. Drop padding
   * that waits there when its padder is removed. detail.block.bypassable says whether padding with
   * CIRCFLOW_PADDING_BYPASS may pass; the instruction can come again with another value. */
  CIRCFLOW_INSN_BLOCK = 11,
  /* CIRCFLOW_CIRCUIT_OWN_QUEUE: write all cells that you kept, in order. */
  CIRCFLOW_INSN_UNBLOCK = 12,
  /* CIRCFLOW_CIRCUIT_REACTOR: write a cell that was held to detail.write.side of the circuit. Its bytes (up to
   * CIRCFLOW_CELL_BODY_LEN) are in the body buffer, or detail.write.token is yours again. */
  CIRCFLOW_INSN_WRITE = 13,
  /* CIRCFLOW_CIRCUIT_REACTOR: many cells wait that came from detail.pause.side. From now on keep cells that come for
   * this circuit from there yourself; do not stop reading the channel, as other circuits need it. circflow takes
   * edge_over_cells more, then it closes the circuit. The instruction also comes on every circuit whose set is on
   * another engine of a hub, when that engine is too slow for the cells from CIRCFLOW_SIDE_BACK. */
  CIRCFLOW_INSN_PAUSE_FEED = 14,
  /* Feed the cells from detail.pause.side again. It comes once for each PAUSE_FEED. */
  CIRCFLOW_INSN_UNPAUSE_FEED = 15,
  /* Client: the relay at detail.negotiated.hop has answered the padding that was asked for under
   * detail.negotiated.number; detail.negotiated.answer is CIRCFLOW_NEGOTIATED_ACCEPTED, _REFUSED or another
   * CIRCFLOW_NEGOTIATED_*. You need not do anything: circflow has acted on it. */
  CIRCFLOW_INSN_NEGOTIATED = 16,
} circflow_insn_kind;

/* Gives the name of a kind of instruction (circflow_insn.kind), such as "CIRCFLOW_INSN_SEND". The text is static and
 * never NULL; for an unknown number it is "not a kind of instruction".
 *
 * @param kind  The number.
 *
 * Inside drain: yes. Since: 0.1. */
const char *circflow_insn_kind_name(uint32_t kind);

/* CIRCFLOW_INSN_SEND. */
typedef struct circflow_insn_send {
  /* Relay command. */
  uint8_t command;
  /* Hop to send to; 0 at a relay: towards the client. */
  uint8_t hop;
  /* Stream id; 0 where the message belongs to no stream. */
  uint16_t stream_id;
  /* CIRCFLOW_FORM_BYTES: bytes written to the body buffer. */
  uint16_t body_len;
  /* CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN. */
  uint8_t form;
  /* Zero. */
  uint8_t reserved[9];
  /* CIRCFLOW_FORM_TOKEN: the token. */
  uint64_t token;
  /* A set's message: its absolute sequence number. Otherwise 0. */
  uint64_t number;
  /* CIRCFLOW_FORM_TOKEN: its cost_bytes, as you gave them. */
  uint32_t cost_bytes;
  /* Zero. */
  uint32_t reserved2;
} circflow_insn_send;

/* CIRCFLOW_INSN_DELIVER. */
typedef struct circflow_insn_deliver {
  /* Absolute sequence number. */
  uint64_t number;
  /* CIRCFLOW_FORM_TOKEN: the token. */
  uint64_t token;
  /* CIRCFLOW_FORM_TOKEN: its cost_bytes, as you gave them. */
  uint32_t cost_bytes;
  /* Stream id. */
  uint16_t stream_id;
  /* CIRCFLOW_FORM_BYTES: bytes written to the body buffer. */
  uint16_t body_len;
  /* Relay command. */
  uint8_t command;
  /* CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN. */
  uint8_t form;
} circflow_insn_deliver;

/* CIRCFLOW_INSN_DISCARD. */
typedef struct circflow_insn_discard {
  /* The token. */
  uint64_t token;
  /* Its cost_bytes, as you gave them. */
  uint32_t cost_bytes;
} circflow_insn_discard;

/* CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED. */
typedef struct circflow_insn_close {
  /* The cause: a status of class PEER or LIMIT, or CIRCFLOW_OK when you asked for it. */
  enum circflow_status cause;
  /* The reason to put into DESTROY (tor-spec 5.4), one byte on the wire. */
  uint32_t reason;
} circflow_insn_close;

/* CIRCFLOW_INSN_LINKED. */
typedef struct circflow_insn_linked {
  /* Client: the round-trip time from LINK to LINKED, in nanoseconds; 0 when the clock did not move. Exit: 0, as
   * LINKED_ACK has not come yet. */
  uint64_t rtt_ns;
} circflow_insn_linked;

/* circflow_insn_padding.flags: the padding may pass a block that lets padding pass. */
#define CIRCFLOW_PADDING_BYPASS 1

/* circflow_insn_padding.flags: a cell that already waits may count as the padding. */
#define CIRCFLOW_PADDING_REPLACE 2

/* circflow_insn_padding.flags: decide by the table of CIRCFLOW_INSN_PADDING, and answer with
 * circflow_padding_answered(). Without this flag circflow has decided: send the padding cell. */
#define CIRCFLOW_PADDING_ASKS 4

/* CIRCFLOW_INSN_PADDING. */
typedef struct circflow_insn_padding {
  /* Relay command to send: CIRCFLOW_CMD_DROP. */
  uint8_t command;
  /* Hop to send to; 0 at a relay: the client. */
  uint8_t hop;
  /* The slot of the padder that asks for it, 0 or 1. */
  uint8_t slot;
  /* CIRCFLOW_PADDING_*, or-ed together. BYPASS and REPLACE come from the machine. */
  uint8_t flags;
  /* The machine that asks for it: its index in the padder's list, from 0. */
  uint32_t machine;
} circflow_insn_padding;

/* CIRCFLOW_INSN_BLOCK. */
typedef struct circflow_insn_block {
  /* 1 when padding with CIRCFLOW_PADDING_BYPASS may pass, as every active block allows it; otherwise 0. */
  uint32_t bypassable;
} circflow_insn_block;

/* CIRCFLOW_INSN_WRITE. */
typedef struct circflow_insn_write {
  /* The side to write to, CIRCFLOW_SIDE_*. */
  uint8_t side;
  /* The cell's command, as you gave it. */
  uint8_t command;
  /* CIRCFLOW_FORM_BYTES: bytes written to the body buffer. */
  uint16_t body_len;
  /* CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN. */
  uint8_t form;
  /* Zero. */
  uint8_t reserved[3];
  /* CIRCFLOW_FORM_TOKEN: the token. */
  uint64_t token;
  /* CIRCFLOW_FORM_TOKEN: its cost_bytes, as you gave them. */
  uint32_t cost_bytes;
  /* Zero. */
  uint32_t reserved2;
} circflow_insn_write;

/* CIRCFLOW_INSN_PAUSE_FEED and CIRCFLOW_INSN_UNPAUSE_FEED. */
typedef struct circflow_insn_pause {
  /* The side the cells come from, CIRCFLOW_SIDE_*. */
  uint32_t side;
} circflow_insn_pause;

/* circflow_insn_negotiated.answer: the relay pads from now on. */
#define CIRCFLOW_NEGOTIATED_ACCEPTED 1

/* circflow_insn_negotiated.answer: the relay does not pad under this number. circflow has removed the padder at this
 * end, and sends no further request on this circuit. */
#define CIRCFLOW_NEGOTIATED_REFUSED 2

/* circflow_insn_negotiated.answer: the relay has stopped, as you asked. */
#define CIRCFLOW_NEGOTIATED_STOPPED 3

/* circflow_insn_negotiated.answer: the relay has ended its padding by itself. circflow has removed the padder at this
 * end. */
#define CIRCFLOW_NEGOTIATED_ENDED 4

/* CIRCFLOW_INSN_NEGOTIATED. */
typedef struct circflow_insn_negotiated {
  /* The machine number, as given to circflow_padding_start(). */
  uint8_t number;
  /* The hop that answered. */
  uint8_t hop;
  /* CIRCFLOW_NEGOTIATED_*. */
  uint8_t answer;
  /* Zero. */
  uint8_t reserved;
} circflow_insn_negotiated;

/* The part of an instruction that depends on its kind. */
typedef union circflow_insn_detail {
  /* CIRCFLOW_INSN_SEND. */
  struct circflow_insn_send send;
  /* CIRCFLOW_INSN_DELIVER. */
  struct circflow_insn_deliver deliver;
  /* CIRCFLOW_INSN_DISCARD. */
  struct circflow_insn_discard discard;
  /* CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED. */
  struct circflow_insn_close close;
  /* CIRCFLOW_INSN_LINKED. */
  struct circflow_insn_linked linked;
  /* CIRCFLOW_INSN_PADDING. */
  struct circflow_insn_padding padding;
  /* CIRCFLOW_INSN_BLOCK. */
  struct circflow_insn_block block;
  /* CIRCFLOW_INSN_WRITE. */
  struct circflow_insn_write write;
  /* CIRCFLOW_INSN_PAUSE_FEED and CIRCFLOW_INSN_UNPAUSE_FEED. */
  struct circflow_insn_pause pause;
  /* CIRCFLOW_INSN_NEGOTIATED. */
  struct circflow_insn_negotiated negotiated;
  /* Keeps the size of the union the same in later versions. */
  uint64_t reserved[5];
} circflow_insn_detail;

/* An instruction: one thing for you to do or to know. It is a plain value that you may copy and keep. */
typedef struct circflow_insn {
  /* circflow_insn_kind. */
  uint32_t kind;
  /* CIRCFLOW_WANTS_DIGEST or 0. */
  uint32_t flags;
  /* The circuit that it is about, or zero. */
  struct circflow_circuit_id circuit;
  /* The set that it is about, or zero. */
  struct circflow_set_id set;
  /* The tag of the circuit, or 0. */
  uint64_t circuit_tag;
  /* The tag of the set, or 0. */
  uint64_t set_tag;
  /* On circuits that circflow runs: the stream that it is about, or zero. The last message of a stream that comes
   * (END, RESOLVED) has only the tag, as the id is stale by then. */
  struct circflow_stream_id stream;
  /* The tag of the stream, or 0. */
  uint64_t stream_tag;
  /* The rest, by kind. */
  union circflow_insn_detail detail;
} circflow_insn;

/* A function of yours that circflow_engine_drain() calls for each instruction. `body` is the body buffer that the
 * instructions speak of; it is valid during the call. Inside you may feed; poll, drain and free answer
 * CIRCFLOW_ERR_REENTRANT. */
typedef void (*circflow_insn_fn)(void *userdata, const struct circflow_insn *insn, const uint8_t *body);

/********************************************************************************************************************
 * 5. Engines
 ********************************************************************************************************************/

/* ---- Engines: life ---- */

/* The circuits and sets of one event loop. Opaque.
 *
 * It lives from circflow_engine_new() to circflow_engine_free(). One thread at a time may use it. */
typedef struct circflow_engine circflow_engine;

/* The configuration of an engine. Fill it with circflow_engine_config_init(), then change what you want. */
typedef struct circflow_engine_config {
  /* sizeof(circflow_engine_config) as your compiler saw it. */
  size_t size;
  /* Random bytes of yours. circflow hashes nonces with them, and padding machines draw their random numbers from
   * them. All zero is for tests only. */
  uint8_t seed[32];
  /* A number that is part of every id of this engine, 1 to 16383. Give each engine of your process its own number,
   * so that an id used with the wrong engine is noticed. Default 1. */
  uint32_t engine_number;
  /* Circuits that may be open at a time. Default 1048576, at most 16777216. */
  uint32_t circuits_max;
  /* Sets that may live at a time. Default 262144, at most 16777216. */
  uint32_t sets_max;
  /* Instructions that may wait. When so many wait, calls that would queue more answer CIRCFLOW_ERR_UNDRAINED.
   * Default 65536. */
  uint32_t insns_max;
  /* Bytes that all sets and circuits together may hold: for order, for sending, at edges, and on the way to other
   * engines. At the cap circflow closes the set or circuit with the greatest product of bytes and age (or one with
   * at least half of it, as the figures are kept in steps); the cause is CIRCFLOW_ERR_ENGINE_MEMORY, and the call
   * goes on. One that holds less than a quarter of its share (the cap divided by the number of holders) is closed
   * only when no larger one is left. With 0 nothing may wait: the first message out of order closes its set, and the
   * first cell at a full channel closes its circuit. Default 256 MiB. */
  uint64_t held_bytes_max;
  /* Circuits that circflow runs: when so many cells wait at an edge, CIRCFLOW_INSN_PAUSE_FEED comes. Default 64. */
  uint32_t edge_high_cells;
  /* When no more than so many cells are left at an edge, CIRCFLOW_INSN_UNPAUSE_FEED comes. Below edge_high_cells.
   * Default 16. */
  uint32_t edge_low_cells;
  /* Cells that an edge takes after CIRCFLOW_INSN_PAUSE_FEED, at least 32. One more closes the circuit. Default 128.
   */
  uint32_t edge_over_cells;
  /* Streams that may be open at a time on one circuit or set. Default 1024. */
  uint32_t streams_max;
  /* Bytes of one stream that may be delivered and not reported with circflow_stream_flushed(). More closes its
   * circuit or set. Default 32 MiB. */
  uint32_t stream_bytes_max;
  /* Zero. */
  uint32_t reserved;
  /* Client: how long circflow remembers a stream that you have ended, from when its END has left (prop324 4.1.4). So
   * long its id is in use, and DATA, XON and XOFF that come for it are dropped. If the longest round trip is longer,
   * that counts instead, up to 10 minutes. In nanoseconds. Default 60 s, at most 10 minutes. */
  uint64_t stream_remembered_ns;
  /* How long a padding machine has to rest after padding_burst_max actions without a wait, in nanoseconds. After
   * that it rests so long between any two actions, until it waits so long by itself. 0: it never rests. Default 1
   * ms, at most 1 s. */
  uint64_t padding_floor_ns;
  /* Actions that one padding machine may take in a row without a wait, 1 to 4096: a timer that ends or begins, a
   * padding cell, a block. It is also the average number of actions of all machines of a padder in each
   * padding_floor_ns; for a short time they can take 64 times as many. A cell that is sent or received begins a new
   * count. No known defence needs so many. Default 64. */
  uint32_t padding_burst_max;
  /* Zero. */
  uint32_t reserved2;
  /* How long a message may be held for order, in nanoseconds, in sets whose own held_age_max_ns is
   * CIRCFLOW_AS_ENGINE: at most a week; 0 for no bound. When a message waits so long behind one that does not come,
   * its set ends with CIRCFLOW_ERR_HELD_TOO_LONG. The oldest held message counts. The bound is not about messages
   * that are ready, messages that padding holds, and cells at an edge. If you did not call for longer than a second,
   * only one second of that time counts, as the computer may have been suspended; so the deadline comes twice a
   * second while a message waits. Default 120 s. */
  uint64_t held_age_max_ns;
} circflow_engine_config;

/* A function of yours that circflow_engine_free() calls for each token that circflow still keeps. The token is yours
 * again; `cost` is its cost_bytes. */
typedef void (*circflow_discard_fn)(void *userdata, uint64_t token, uint32_t cost);

/* Fills a config with the defaults. Pass sizeof(circflow_engine_config) as size.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_config_init(struct circflow_engine_config *config, size_t size);

/* Makes an engine for one event loop. On CIRCFLOW_OK it is yours until circflow_engine_free().
 *
 * @param config  From circflow_engine_config_init(). It is copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: engine_number is not 1 to 16383; circuits_max, sets_max, insns_max or
 * padding_burst_max is 0 or too large; padding_floor_ns is above 1 s, stream_remembered_ns above 10 minutes, or
 * held_age_max_ns above a week; edge_low_cells is not below edge_high_cells; edge_over_cells is below 32; streams_max
 * or stream_bytes_max is 0; or a reserved field is not 0.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_new(const struct circflow_engine_config *config,
                                         struct circflow_engine **engine_out);

/* Frees an engine. It first hands back every token that circflow still keeps, through `discard`, also when the engine
 * is poisoned, and before that the rest of the record to the sink, if there is one. It sends nothing: close your
 * circuits yourself. An engine that is NULL is fine.
 *
 * @param discard  Called once for each token. It may be NULL when you use no tokens. Inside it, every call on the
 *                 engine answers CIRCFLOW_ERR_REENTRANT.
 *
 * Own statuses: CIRCFLOW_ERR_REENTRANT inside a callback of this engine, or inside the notify of any engine: the
 * engine lives on.
 * Inside drain: no. Since: 0.1. */
enum circflow_status circflow_engine_free(struct circflow_engine *engine,
                                          circflow_discard_fn discard,
                                          void *userdata);

/* ---- Engines: turns of your loop ---- */

/* Takes the first instruction out of the queue. Its kind is CIRCFLOW_INSN_NONE when no instruction waits. It is NONE,
 * too, when the call has freed so much memory that it leaves the rest to a later call; the deadline is 0 then.
 * Instructions come in the order of their causes. Poll until NONE, then sleep until the deadline.
 *
 * @param body      The body buffer: room for the body of a SEND, DELIVER or WRITE. CIRCFLOW_CELL_BODY_LEN bytes are
 *                  always enough, CIRCFLOW_BODY_MAX bytes if you do not use circflow_circuit_relay().
 * @param body_cap  Bytes of room there.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: the instruction has a longer body. It is still the first in the queue: poll
 * with a larger buffer.
 * Inside drain: no. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_poll(struct circflow_engine *engine,
                                          uint8_t *body,
                                          size_t body_cap,
                                          struct circflow_insn *insn_out);

/* Calls `fn` for each instruction, in order, until none waits or `budget` of them were taken. Feeds inside `fn` can
 * add instructions; they are taken, too. It does the same as a loop around circflow_engine_poll().
 *
 * @param budget    The most calls of `fn`. It bounds the work of one turn of your loop.
 * @param more_out  1 when the budget was used up first: drain again soon. Otherwise 0. May be NULL.
 * @param fn        Called for each instruction; must not be NULL.
 *
 * Own statuses: none.
 * Inside drain: no. Since: 0.1. */
enum circflow_status circflow_engine_drain(struct circflow_engine *engine,
                                           size_t budget,
                                           uint8_t *more_out,
                                           circflow_insn_fn fn,
                                           void *userdata);

/* A time that never comes: the answer of circflow_engine_get_deadline() when no timer runs. */
#define CIRCFLOW_NEVER UINT64_MAX

/* Gives the time, on your clock, at which to call circflow_engine_tick() and drain. It is the one deadline of the
 * whole engine: arm one timer with it after each drain. A deadline that is not later than now means "at once". It is
 * CIRCFLOW_NEVER when no timer runs. It is never too late, but it can be too early when a timer was put off: the tick
 * then does nothing, and the next deadline is a later one.
 *
 * It is 0, which means "at once", while instructions wait, as after a drain whose budget was used up, and while work
 * is left that was too much for one call (many timers due at the same time, memory of sets that ended). Tick, drain
 * and ask again; your loop can look at its sockets in between. If you feed before a left-over timer has run, that
 * timer runs after the feed, as if it were due later.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_get_deadline(struct circflow_engine *engine,
                                                  uint64_t *deadline_ns_out);

/* Runs the timers that are due at `now_ns`. Every feed runs them, too, before anything else; this call is for a loop
 * that was idle. To call it too early or too late is no error. Drain after it.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_tick(struct circflow_engine *engine, uint64_t now_ns);

/* Tells the engine that your clock was wrong, and that it is `now_ns` now. This may be earlier or later than the
 * latest time that you named. No timer runs, and no time passes: a timer with five seconds left has five seconds left
 * after it. (circflow_engine_tick() lets time pass.)
 *
 * You need it in two cases. The first: by mistake you named a time far in the future. The engine then stands still
 * until that time comes, as it reads earlier times as the latest one seen. The second: your clock was set back. Both
 * cases are counted (time_leaps, time_backwards) and logged. Call it for each engine; a hub has no clock.
 *
 * Timers that ended at the wrong time stay ended. Timers set since then end as much later than `now_ns` as they were
 * later than the wrong time. Round trips that have begun are not measured (rtt_ns of CIRCFLOW_INSN_LINKED is 0). Held
 * messages are as old as before. Times that circflow gives (deadlines, last_active_ns) are on the new clock from now
 * on, or 0 if they are before its beginning. After this call, every call takes some tens of machine instructions more.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: now_ns is CIRCFLOW_NEVER.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_set_clock(struct circflow_engine *engine,
                                               uint64_t now_ns);

/* ---- Engines: parameters of a consensus ---- */

/* path_class: a circuit to an exit, or to a single-onion service. */
#define CIRCFLOW_PATH_EXIT 0

/* path_class: a circuit to an onion service. */
#define CIRCFLOW_PATH_ONION 1

/* path_class: a circuit of two hops, as the bandwidth scanner sbws uses. */
#define CIRCFLOW_PATH_SBWS 2

/* Sets a parameter by its name in a consensus. A parameter that you never set has C Tor's default. Live circuits keep
 * the parameters that they were opened with, and live sets keep their limits, except where the list below says "at
 * once".
 *
 * For each path class, and for circuits that circflow runs and that are opened from now on: all parameters of
 * congestion and flow control, such as "cc_cwnd_init" and "cc_xoff_client" (prop324 6.5). Where a consensus has one
 * parameter for each class ("cc_vegas_alpha_exit"), leave out the class ("cc_vegas_alpha"). Only cc_alg=2 (Vegas) is
 * implemented.
 *
 * For the whole engine, whatever class is given:
 *
 *   cfx_enabled                     At once: at 0 no LINK is taken, no set opened and no leg added; sets that live go
 *                                   on.
 *   cfx_max_legs_set                Sets opened from now on whose legs_max is 0; an exit's are opened by their first
 *                                   LINK.
 *   cfx_num_legs_set, cfx_max_unlinked_leg_retry
 *                                   Sets opened from now on whose launches_max is 0: they may launch so many legs, and
 *                                   so many more.
 *   cfx_max_oooq_bytes              Sets opened from now on: the lower of this and held_bytes_max; the
 *                                   largest value, the default, is no bound.
 *   circpad_max_circ_queued_cells   Padders installed or registered from now on whose queued_cells_max is
 *                                   CIRCFLOW_BY_PARAMETER.
 *   circpad_global_allowed_cells, circpad_global_max_padding_pct, circpad_padding_disabled, circpad_padding_reduced
 *                                   At once: the consensus's budget of padding, beside yours
 *                                   (circflow_engine_set_padding_budget()).
 *   sendme_emit_min_version         Version 1 is sent, so 0 and 1 are taken and change nothing.
 *   sendme_accept_min_version       Version 1 is wanted, also at 0; so 0 and 1 are taken and change nothing.
 *   cfx_send_pct, cfx_drain_pct     Only their defaults (100 and 0) are built.
 *   cfx_max_linked_set, cfx_max_prebuilt_set, cfx_low_exit_threshold
 *                                   How many sets a client builds is yours: kept for circflow_engine_get_param().
 *
 * Your own code has to follow cellq_high, cellq_low, orconn_high and orconn_low, too: they say when a channel counts
 * as full. cc_bwe_min has no effect with cc_alg=2. docs/parameters.md has one row for each parameter.
 *
 * @param path_class  CIRCFLOW_PATH_*.
 * @param name        The name: text that ends with a NUL.
 * @param value       The value, as in the consensus.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: no such class or name, or the value is out of range;
 * circflow_engine_get_last_detail() gives the range. CIRCFLOW_ERR_NOT_BUILT: the value is in range, but circflow
 * cannot do what it asks for. If you pass on a whole consensus, go on after either.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_set_param(struct circflow_engine *engine,
                                               uint8_t path_class,
                                               const char *name,
                                               uint32_t value);

/* Gives the value of a parameter, as circuits and sets opened from now on have it.
 *
 * @param path_class  CIRCFLOW_PATH_*.
 * @param name        The name, as for circflow_engine_set_param().
 * @param value_out   Written on CIRCFLOW_OK.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: no such class or name.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_get_param(struct circflow_engine *engine,
                                               uint8_t path_class,
                                               const char *name,
                                               uint32_t *value_out);

/* ---- Engines: figures ---- */

/* Number of classes in circflow_engine_stats.lateness. */
#define CIRCFLOW_LATENESS_CLASSES 20

/* Figures of an engine. Set size to sizeof before each call. */
typedef struct circflow_engine_stats {
  /* sizeof(circflow_engine_stats) as your compiler saw it. */
  size_t size;
  /* Circuits open. */
  uint32_t circuits;
  /* Sets alive. */
  uint32_t sets;
  /* Instructions that wait. A run of ready messages counts as one. */
  uint32_t insns;
  /* The most instructions that ever waited. */
  uint32_t insns_peak;
  /* Timers that run: one for each leg that waits for an answer, one for each circuit whose padding has a timer, and
   * one for each stream that its XON rate stops. */
  uint32_t timers;
  /* Streams open on circuits and sets that circflow runs. */
  uint32_t streams;
  /* Messages held now: for order, for sending, at edges, and those that wait to be discarded. */
  uint64_t held;
  /* Cost in bytes of the messages held for order, for sending, at edges, and on the way to other engines until they
   * take them. At a client it has the memory for ended streams, too, some 10 bytes each when ids are used in turn.
   * Never above held_bytes_max of the engine. Messages that wait to be handed back are not in it: see leaving_bytes.
   */
  uint64_t held_bytes;
  /* The highest value of held_bytes so far. */
  uint64_t held_bytes_peak;
  /* Bytes of memory kept for held messages, used or free. */
  uint64_t pool_bytes;
  /* Calls that named an earlier time than the call before. */
  uint64_t time_backwards;
  /* How often a peer broke the protocol, or a cap or time bound was reached. */
  uint64_t peer_faults;
  /* Log lines left out because there were too many. */
  uint64_t log_dropped;
  /* Padding cells received, expected or not. */
  uint64_t padding_received;
  /* Timers of padding by how late they ran: class 0 counts those less than 1 microsecond late, class n those less
   * than 2^n microseconds late (and in no class before), the last class all others. */
  uint64_t lateness[CIRCFLOW_LATENESS_CLASSES];
  /* Messages that were dropped (CONSUMED) as they make no sense on their stream and do no harm: a second CONNECTED,
   * RESOLVED after BEGIN, CONNECTED or DATA after RESOLVE. Only on circuits and sets that circflow runs. */
  uint64_t unexplained;
  /* Calls that named a time more than an hour later than the call before. The computer was suspended, or the time
   * was wrong: see circflow_engine_set_clock(). */
  uint64_t time_leaps;
  /* Bytes of the hub's cap that are reserved for held_bytes: at most one block (64 KiB) more than held_bytes. They
   * are equal once the engine has been drained to the end, ticked or trimmed. Without a hub they are always equal. */
  uint64_t reserved_bytes;
  /* The part of held_bytes that is on the way to other engines of the hub, or waits for room there. */
  uint64_t crossing_bytes;
  /* Cost in bytes of messages whose set or circuit has ended, and that wait for your drain to hand them out or back.
   * They have room of their own, as much as held_bytes_max. Above that they take room from held_bytes until they are
   * drained. */
  uint64_t leaving_bytes;
  /* Padding cells that circflow told you to send, or that you answered with CIRCFLOW_ANSWER_SENT. */
  uint64_t padding_sent;
  /* Other cells sent, on all circuits: those that circflow decided to send or that you reported. Of cells that pass
   * a relay, only those towards the client count. */
  uint64_t others_sent;
  /* Padding cells that a budget refused (circflow_padding_budget): this engine's, the consensus's or the hub's. */
  uint64_t padding_refused;
} circflow_engine_stats;

/* Gives the figures of an engine. Set stats->size to sizeof(circflow_engine_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_get_stats(struct circflow_engine *engine, struct circflow_engine_stats *stats);

/* Gives a sentence about the last call on the engine, if that failed: for INVALID which argument is wrong, for NO_ROOM
 * which leg lacks what, for PEER which circuit. If there is no more to say, it is the text of circflow_status_text().
 * It is empty after a call that succeeded, so ask at once. This function itself does not count as a call. For a
 * poisoned engine it gives the message of the panic. The sentence is for people: do not parse it.
 *
 * Inside a drain callback it is about the last call of the callback; after the drain it is about the drain. Calls
 * without an engine, such as circflow_cell_decode() and circflow_queue_push(), leave no sentence.
 *
 * @param buf       Gets at most buf_cap - 1 bytes of text, and a NUL. It may be NULL when buf_cap is 0.
 * @param buf_cap   Bytes of room there.
 * @param len_out   Length of the whole sentence in bytes, without the NUL. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_REENTRANT from inside the log function.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_get_last_detail(struct circflow_engine *engine,
                                                     char *buf,
                                                     size_t buf_cap,
                                                     size_t *len_out);

/* ---- Engines: totals ---- */

/* Places of a count by status in circflow_engine_counters: see circflow_status_place(). */
#define CIRCFLOW_COUNTED_STATUSES 64

/* Classes of circflow_engine_counters.reorder_depth. */
#define CIRCFLOW_DEPTH_CLASSES 20

/* Classes of circflow_engine_counters.reorder_age. */
#define CIRCFLOW_AGE_CLASSES 28

/* Totals of an engine since it was made, which stay when sets and circuits go, and some figures of the moment. They
 * are about the whole engine, never about one circuit or set, so that they may leave a relay. Set size to sizeof
 * before each call.
 *
 * The names are those of the text of circflow_engine_write_metrics(). docs/metrics.md has a row for each. */
typedef struct circflow_engine_counters {
  /* sizeof(circflow_engine_counters) as your compiler saw it. */
  size_t size;
  /* Circuits open now. */
  uint64_t circuits;
  /* Sets alive now. */
  uint64_t sets;
  /* Streams open now, on circuits and sets that circflow runs. */
  uint64_t streams;
  /* Sets that you opened. */
  uint64_t sets_opened_by_host;
  /* Sets that a peer opened with LINK. */
  uint64_t sets_opened_by_peer;
  /* Sets that became usable. */
  uint64_t sets_usable;
  /* Sets that became a circuit without a set (circflow_set_dissolve()). */
  uint64_t sets_dissolved;
  /* Sets that ended, by the status that their ENDED has. */
  uint64_t sets_ended[CIRCFLOW_COUNTED_STATUSES];
  /* Legs that were linked, or adopted. */
  uint64_t legs_linked;
  /* Legs that sets lost, by cause. Legs that are closed as their set ends are not in it, but the leg is whose loss
   * ended the set. */
  uint64_t legs_lost[CIRCFLOW_COUNTED_STATUSES];
  /* Multiplexed messages sent in sets. */
  uint64_t messages_sent;
  /* Multiplexed messages that came in order. */
  uint64_t messages_in_order;
  /* Multiplexed messages that were held for order. Those that came on a leg of another engine are all in it: they
   * are held until you drain. */
  uint64_t messages_held;
  /* Those of them that have had their turn. */
  uint64_t messages_released;
  /* Messages held, for order, for sending or at an edge, that went to nobody, as their set or circuit had ended.
   * They count when you drain. */
  uint64_t messages_discarded;
  /* Runs of holding, each from the first message that a set holds until it holds none, by the most messages held at
   * once. Class n counts those of up to 2^n messages (and in no class before), the last class all others. */
  uint64_t reorder_depth[CIRCFLOW_DEPTH_CLASSES];
  /* The sum of these numbers of messages. */
  uint64_t reorder_depth_sum;
  /* The same runs by how long they lasted: class n counts those of up to 2^n microseconds, the last class all
   * others. */
  uint64_t reorder_age[CIRCFLOW_AGE_CLASSES];
  /* The sum of these times, in nanoseconds. */
  uint64_t reorder_age_sum_ns;
  /* SWITCHes sent. */
  uint64_t switches_sent;
  /* SWITCHes received. */
  uint64_t switches_received;
  /* Messages in sets that were refused with NO_ROOM. */
  uint64_t refusals;
  /* How long sets waited, from the first refusal until MAY_SEND was queued, in nanoseconds. Waits that still last
   * are in it. */
  uint64_t blocked_ns;
  /* XOFFs that circflow sent. */
  uint64_t xoffs_sent;
  /* XOFFs that circflow took. */
  uint64_t xoffs_received;
  /* XONs that circflow sent. */
  uint64_t xons_sent;
  /* XONs that circflow took. */
  uint64_t xons_received;
  /* SENDMEs that circflow sent. */
  uint64_t sendmes_sent;
  /* SENDMEs that circflow took. */
  uint64_t sendmes_received;
  /* Padding cells sent. */
  uint64_t padding_sent;
  /* Other cells sent, as in circflow_engine_stats. */
  uint64_t others_sent;
  /* Padding cells received, expected or not. */
  uint64_t padding_received;
  /* Padding cells that a budget refused. */
  uint64_t padding_refused;
  /* Padding cells in whose place another cell went. */
  uint64_t padding_replaced;
  /* Times that padding began to block a circuit. */
  uint64_t padding_blocks;
  /* Cost in bytes of the messages held now for order. */
  uint64_t order_bytes;
  /* The same for messages held for sending. */
  uint64_t sending_bytes;
  /* The same for cells that wait at edges. */
  uint64_t edge_bytes;
  /* The same for messages on the way to other engines. */
  uint64_t crossing_bytes;
  /* The same for messages that wait to be handed back. */
  uint64_t leaving_bytes;
  /* Bytes for the memory of ended streams. */
  uint64_t stream_bytes;
  /* Sets that were closed at their own cap (CIRCFLOW_ERR_SET_MEMORY). */
  uint64_t reclaims_set;
  /* Sets and circuits closed at the engine's cap (CIRCFLOW_ERR_ENGINE_MEMORY). */
  uint64_t reclaims_engine;
  /* Sets and circuits of this engine closed at the hub's cap (CIRCFLOW_ERR_HUB_MEMORY). */
  uint64_t reclaims_hub;
  /* Sets that held a message for too long (CIRCFLOW_ERR_HELD_TOO_LONG). */
  uint64_t reclaims_age;
  /* How often a peer broke the protocol, or a cap or time bound was reached, by status. Their sum is peer_faults of
   * circflow_engine_stats. */
  uint64_t faults[CIRCFLOW_COUNTED_STATUSES];
  /* Messages dropped that made no sense on their stream, as in circflow_engine_stats. */
  uint64_t unexplained;
  /* Calls that named an earlier time than the call before. */
  uint64_t clock_steps_back;
  /* Calls that named a time more than an hour later. */
  uint64_t clock_steps_ahead;
  /* Log lines left out because there were too many. */
  uint64_t log_lines_left_out;
  /* Recorded events that were overwritten before you read them. */
  uint64_t events_overwritten;
} circflow_engine_counters;

/* Gives the totals of an engine. Set counters->size to sizeof(circflow_engine_counters) first. It looks at each set
 * and each circuit: ask once in some seconds.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_get_counters(struct circflow_engine *engine,
                                                  struct circflow_engine_counters *counters);

/* Writes the same totals as text in the OpenMetrics format, which Prometheus and others read. Each has the label
 * `engine` with the engine's number. Serve it with the content type
 * "application/openmetrics-text; version=1.0.0; charset=utf-8", as examples/metrics.c does.
 *
 * @param buf      Gets the text, and a NUL. It may be NULL when buf_cap is 0, to ask for the length, which changes
 *                 little from call to call: 32 KiB are enough.
 * @param buf_cap  Bytes of room there.
 * @param len_out  Length of the text in bytes, without the NUL; also when there is no room for it. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: buf_cap is not above the length. Nothing was written to buf.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_write_metrics(struct circflow_engine *engine,
                                                   char *buf,
                                                   size_t buf_cap,
                                                   size_t *len_out);

/* ---- Engines: memory ---- */

/* A set or a circuit to close, so that memory becomes free. */
typedef struct circflow_victim {
  /* The number of its engine. Close it there, on the thread of that engine, with circflow_set_close() or
   * circflow_circuit_close(). It may have ended by then (CIRCFLOW_ERR_STALE_ID). */
  uint32_t engine_number;
  /* Zero. */
  uint32_t reserved;
  /* The set; zero when it is a circuit. */
  struct circflow_set_id set;
  /* The bytes that it holds. From circflow_hub_choose_victims() they are those that its engine last told the hub,
   * and a set may hold three eighths more. */
  uint64_t bytes;
  /* The circuit; zero when it is a set. It can be a leg, because of cells that wait at its own edges. */
  struct circflow_circuit_id circuit;
  /* Your tag of the set or circuit. 0 from circflow_hub_choose_victims(), which knows no tags. */
  uint64_t tag;
} circflow_victim;

/* Gives unused memory back to the system: that of held messages, instructions, timers, and of circuits, sets and
 * streams that have ended, but for some 5 bytes each. circflow keeps that memory otherwise, so that it need not
 * allocate again. Call this when you are short of memory, or idle.
 *
 * @param freed_out  Bytes given back. May be NULL.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_trim(struct circflow_engine *engine, uint64_t *freed_out);

/* Names sets and circuits of this engine to close, so that `bytes_wanted` bytes become free. Those with the greatest
 * product of bytes and age of the oldest byte come first. One that holds less than a quarter of its share
 * (held_bytes_max divided by the number of holders) comes only when no larger one is left. Each costs about the same,
 * however many sets and circuits there are. It frees nothing: you close the victims, with circflow_set_close() or
 * circflow_circuit_close(). A victim is not named again until it holds nothing any more, nor does circflow close it
 * at a cap of its own: so close each. This function is for a host that needs memory for reasons of its own.
 *
 * Bytes of tokens are what you said that they cost (circflow_message.cost_bytes).
 *
 * @param bytes_wanted  The number of bytes that shall become free.
 * @param victims       Entries of room.
 * @param victim_cap    Entries of room in victims. If they are too few, fewer bytes become free: close these, and call
 *                      again.
 * @param count_out     Entries written. 0 when nothing is held that was not named before.
 * @param bytes_out     Bytes that these victims hold together. May be NULL.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_choose_victims(struct circflow_engine *engine,
                                                    uint64_t bytes_wanted,
                                                    struct circflow_victim *victims,
                                                    size_t victim_cap,
                                                    size_t *count_out,
                                                    uint64_t *bytes_out);

/* ---- Engines: what happened ---- */

/* circflow_engine_record(): the life of sets and of their legs. */
#define CIRCFLOW_RECORD_SETS 1

/* circflow_engine_record(): multiplexed messages that come: in order, held, delivered; SWITCH. */
#define CIRCFLOW_RECORD_MESSAGES 2

/* circflow_engine_record(): messages that go: how each leg stood, the leg that was chosen, SWITCH; refusals. */
#define CIRCFLOW_RECORD_CHOICE 4

/* circflow_engine_record(): windows, round trips, SENDMEs. */
#define CIRCFLOW_RECORD_WINDOWS 8

/* circflow_engine_record(): streams: their life, XOFF, XON. */
#define CIRCFLOW_RECORD_STREAMS 16

/* circflow_engine_record(): cells that wait for a channel. */
#define CIRCFLOW_RECORD_EDGES 32

/* circflow_engine_record(): padders: events, timers, blocks, cells, refusals, negotiation. */
#define CIRCFLOW_RECORD_PADDING 64

/* circflow_engine_record(): caps that were reached, and who was closed at one. */
#define CIRCFLOW_RECORD_MEMORY 128

/* circflow_engine_record(): what crosses between the engines of a hub. */
#define CIRCFLOW_RECORD_HUB 256

/* circflow_engine_record(): faults of peers. */
#define CIRCFLOW_RECORD_FAULTS 512

/* circflow_engine_record(): the host's clock, and warnings about recording itself. */
#define CIRCFLOW_RECORD_HOST 1024

/* circflow_engine_record(): states of padding machines, where an event that they are told of has changed them. They
 * are costly to find out: each event costs 11,000 instructions more where one machine runs, and 50,000 with four. */
#define CIRCFLOW_RECORD_STATES 2048

/* circflow_engine_record(): all classes. */
#define CIRCFLOW_RECORD_ALL 4095

/* The smallest buffer of circflow_engine_record_read(), in bytes. */
#define CIRCFLOW_RECORD_READ_MIN 120

/* A function of yours that gets a piece of the record: `len` bytes, valid during the call. Write them behind those
 * that came before. Inside it you may do what a callback of circflow_engine_drain() may do. */
typedef void (*circflow_record_fn)(void *userdata, const uint8_t *piece, size_t len);

/* Records what happens in the engine from now on, and keeps the newest events in a ring of `bytes` bytes. An event
 * takes 24 to 80 bytes. What was recorded before is gone, so read it first. Nothing is recorded until you call this.
 *
 * The record has no nonce, no body, no digest, no address, no text of a padding machine, and no tag or token of
 * yours. It says when messages came and went on which circuit, which is enough to find out who talks to whom: at a
 * relay, record your own circuits only, and publish nothing. docs/events.md has the rules, and the format.
 *
 * What is recorded depends on your calls only: the same calls with the same times give the same bytes.
 *
 * @param bytes    4096 to 1073741824, or 0 to stop recording.
 * @param classes  CIRCFLOW_RECORD_*, or-ed together, or 0 to stop recording.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: bytes is out of its range, or there is no such class.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_record(struct circflow_engine *engine, size_t bytes, uint32_t classes);

/* Moves the oldest recorded events into a buffer of yours, in the order in which they happened. Read until *len_out is
 * 0. The bytes are a piece: they begin by saying what they are, and pieces that are written one behind the other are a
 * file that `circflow-trace` reads.
 *
 * It works on a poisoned engine, too: what came before the panic is there.
 *
 * @param buf              The buffer. It is filled with whole events.
 * @param buf_cap          Bytes of room there, at least CIRCFLOW_RECORD_READ_MIN. Some 64 KiB are a good size.
 * @param len_out          Bytes of the piece. 0 when there is nothing to read.
 * @param overwritten_out  Events that were overwritten since the last piece, before you read them. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: buf_cap is below CIRCFLOW_RECORD_READ_MIN. CIRCFLOW_ERR_REENTRANT inside the
 * log function.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_record_read(struct circflow_engine *engine,
                                                 uint8_t *buf,
                                                 size_t buf_cap,
                                                 size_t *len_out,
                                                 uint64_t *overwritten_out);

/* Sets the function that gets the record in pieces, for recordings that are longer than the ring. It is called at the
 * end of circflow_engine_drain() while at least half of the ring is in use, and in circflow_engine_free() with the
 * rest. NULL: none. circflow_engine_poll() does not call it.
 *
 * @param fn        Called in the thread that drains or frees the engine.
 * @param userdata  The argument of fn. Both are used until the engine is freed, or another function is set.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_set_record_sink(struct circflow_engine *engine,
                                                     circflow_record_fn fn,
                                                     void *userdata);

/********************************************************************************************************************
 * 6. Circuits
 ********************************************************************************************************************/

/* ---- Circuits: life ---- */

/* circflow_circuit_config.role: this end opened the circuit. */
#define CIRCFLOW_ROLE_CLIENT 1

/* circflow_circuit_config.role: this end is a relay. It is the last hop of the circuit, or a middle one with
 * CIRCFLOW_CIRCUIT_EXTENDED. */
#define CIRCFLOW_ROLE_RELAY 2

/* circflow_circuit_config.flags: Vegas congestion control was negotiated with the join point. */
#define CIRCFLOW_CIRCUIT_VEGAS 1

/* circflow_circuit_config.flags: the circuit carries or has carried streams. */
#define CIRCFLOW_CIRCUIT_STREAMS 2

/* circflow_circuit_config.flags: relay: the circuit goes on to a next relay, so this relay is no exit for it. */
#define CIRCFLOW_CIRCUIT_EXTENDED 4

/* circflow_circuit_config.flags: streams may end at other hops than the join point (leaky pipe). Their messages are
 * delivered without a number. Without this flag they are a protocol violation on a leg. */
#define CIRCFLOW_CIRCUIT_LEAKY_PIPE 8

/* circflow_circuit_config.flags: the circuit also has padding that circflow does not run. DROP, PADDING_NEGOTIATE and
 * PADDING_NEGOTIATED that do not belong to circflow's padders are then delivered to you, and never a protocol
 * violation. */
#define CIRCFLOW_CIRCUIT_OTHER_PADDER 16

/* circflow_circuit_config.flags: you keep the cells that padding blocks. circflow holds no messages for this circuit.
 * It tells you when to block (CIRCFLOW_INSN_BLOCK, CIRCFLOW_INSN_UNBLOCK), and asks you about each padding cell
 * (CIRCFLOW_PADDING_ASKS). It is meant for a relay whose queue also has cells that pass, and for a host that leaves
 * DATA in its streams until it can go. It cannot be changed once there is a padder. */
#define CIRCFLOW_CIRCUIT_OWN_QUEUE 32

/* circflow_circuit_config.flags: circflow runs the circuit. It counts DATA, sends and checks SENDMEs, keeps the
 * congestion window (with CIRCFLOW_CIRCUIT_VEGAS), knows the streams and their XON and XOFF, and holds cells for a
 * full channel. Feed every cell: a recognised one with circflow_circuit_receive(), any other with
 * circflow_circuit_relay(). Report a full channel with circflow_circuit_set_writable(), and send for streams with
 * circflow_stream_send(). The flag cannot be changed after the circuit is opened. */
#define CIRCFLOW_CIRCUIT_REACTOR 64

/* circflow_circuit_config.flags: a client's circuit on which the last hop may open streams (an onion service's). Give
 * it to circflow_circuit_extend(), so that it holds for the virtual hop only. */
#define CIRCFLOW_CIRCUIT_SERVICE 128

/* The configuration of a circuit. Fill it with circflow_circuit_config_init(), then change what you want. */
typedef struct circflow_circuit_config {
  /* sizeof(circflow_circuit_config) as your compiler saw it. */
  size_t size;
  /* A number of yours. It comes back in every verdict and instruction about the circuit. If you look at
   * it there, do not use 0, which means "no circuit". */
  uint64_t tag;
  /* Client: a number of yours for the relay that is the last hop: equal for two circuits if and only if that relay
   * is the same. Exit: 0. */
  uint64_t join_point;
  /* CIRCFLOW_ROLE_CLIENT, the default, or CIRCFLOW_ROLE_RELAY for an exit or a middle relay. */
  uint8_t role;
  /* Client: number of hops, 1 to 16, default 3. The last one is the join point. circflow_circuit_extend() adds more.
   * Relay: 0, which you have to set. */
  uint8_t hops;
  /* CIRCFLOW_PATH_*: the parameters of congestion control to use. Default: CIRCFLOW_PATH_EXIT. */
  uint8_t path_class;
  /* With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated when the circuit was built
   * (prop324 10). It differs from "cc_sendme_inc" by 1 at most. Default 0: the value of "cc_sendme_inc". */
  uint8_t sendme_inc;
  /* CIRCFLOW_CIRCUIT_*, or-ed together. An unknown flag is refused. Default: CIRCFLOW_CIRCUIT_VEGAS, which legs and
   * streams need; add flags with |=. */
  uint32_t flags;
  /* Messages and padding cells that may be held for sending while padding blocks the circuit, 0 or more. When so
   * many wait, sending answers CIRCFLOW_ERR_NO_ROOM, and padding is refused. Default 32. */
  uint32_t held_sends_max;
  /* Zero. */
  uint32_t reserved;
} circflow_circuit_config;

/* Fills a config with the defaults: a client's circuit of three hops with Vegas congestion control. Pass
 * sizeof(circflow_circuit_config) as size.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_config_init(struct circflow_circuit_config *config, size_t size);

/* Tells the engine of a circuit. Client: call it once the circuit is open, or, for circflow_set_launch_legs(), when
 * its first cell goes out. Relay: call it once the circuit is created. The id is valid until circflow_circuit_gone().
 *
 * circflow does not know which relays a circuit uses. See to it yourself that the legs of a set share no guard and no
 * middle relay (prop329 2.2).
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: an unknown role, flag or path_class; hops that do not fit the role;
 * CIRCFLOW_CIRCUIT_SERVICE at a relay; or, with CIRCFLOW_CIRCUIT_REACTOR, CIRCFLOW_CIRCUIT_OWN_QUEUE or a sendme_inc
 * that differs from "cc_sendme_inc" by more than 1. CIRCFLOW_ERR_TOO_MANY: circuits_max are open; close some.
 * CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_open(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           const struct circflow_circuit_config *config,
                                           struct circflow_circuit_id *circuit_out);

/* Client: tells the engine that a circuit of circflow_set_launch_legs() is open now. It queues LINK on the circuit,
 * and waits link_timeout_ns for LINKED. The round trip is measured from the moment you take LINK. Next come
 * CIRCFLOW_INSN_LINKED and CIRCFLOW_INSN_USABLE.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set; call circflow_set_add_legs(). CIRCFLOW_ERR_IN_SET: it is a
 * leg that was already built. CIRCFLOW_ERR_NO_VEGAS: its flags have no CIRCFLOW_CIRCUIT_VEGAS any more, so no LINK may
 * go out (prop329 2.2); close it. CIRCFLOW_ERR_CLOSING: it is closing already. CIRCFLOW_ERR_UNDRAINED: drain, then
 * call again.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_built(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit);

/* Replaces all flags of a circuit, CIRCFLOW_CIRCUIT_*. Call it when a relay extends the circuit, or when it has
 * carried a stream that circflow did not see. Call it without CIRCFLOW_CIRCUIT_EXTENDED when there is no next relay
 * any more (TRUNCATE, or DESTROY from the next relay). Cells that waited for that relay are then dropped, their tokens
 * come back as CIRCFLOW_INSN_DISCARD, and a paused source may go on.
 *
 * @param flags  CIRCFLOW_CIRCUIT_*, or-ed together: all that hold from now on.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: an unknown flag; a change of CIRCFLOW_CIRCUIT_OWN_QUEUE once there is a padder,
 * or on a circuit that circflow runs; a change of CIRCFLOW_CIRCUIT_REACTOR; or a change of CIRCFLOW_CIRCUIT_VEGAS on a
 * circuit that circflow runs.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_set_flags(struct circflow_engine *engine,
                                                struct circflow_circuit_id circuit,
                                                uint32_t flags);

/* Closes a circuit because you want it. It queues CIRCFLOW_INSN_CLOSE for the circuit. If the circuit is a leg, its
 * set goes on or ends, as circflow_circuit_gone() says. Call circflow_circuit_gone() when the circuit is closed. It
 * works on every circuit.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_close(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit);

/* Tells the engine that a circuit is gone, whoever closed it: DESTROY came or was sent, or its channel is gone. Its id
 * is stale from now on, and instructions about it are dropped.
 *
 * If it was a leg, this call decides about its set (prop329 2.4.3). The set goes on if the leg was not linked yet. It
 * also goes on if all of this is true: the leg was not the sending one, not ahead of the others in either direction,
 * not the last one, and had less than sendme_inc cells in flight. It may then ask for another leg, with
 * CIRCFLOW_INSN_WANT_LEG. Otherwise the set ends: CIRCFLOW_INSN_CLOSE comes for the other legs, then
 * CIRCFLOW_INSN_ENDED with CIRCFLOW_ERR_LEG_LOST, or with CIRCFLOW_ERR_SET_FINISHED if no stream was open and no
 * message held. The cells in flight are those of your last report, and the DATA sent since. If you know newer numbers,
 * call circflow_leg_update() first, then this.
 *
 * Every deployed Tor has these rules, and they have a gap: a set goes on although fewer than sendme_inc cells were
 * lost with a leg. The messages after the lost ones then wait, until held_age_max_ns (circflow_set_config, 120 s by
 * default) ends the set with CIRCFLOW_ERR_HELD_TOO_LONG.
 *
 * Own statuses: none, and never CIRCFLOW_ERR_EXPIRED. You may always call it, also while instructions wait.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_gone(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_circuit_id circuit);

/* ---- Circuits: getting longer ---- */

/* Describes the hops that a circuit gets. Fill it with circflow_extension_config_init(), then change what you want.
 */
typedef struct circflow_extension_config {
  /* sizeof(circflow_extension_config) as your compiler saw it. */
  size_t size;
  /* The number of the new last hop, as circflow_circuit_config.join_point. For the virtual hop behind a rendezvous
   * point use one number for each onion service, at the client and at the service itself. Default 0. */
  uint64_t join_point;
  /* Flags for the new last hop: CIRCFLOW_CIRCUIT_VEGAS if it was negotiated with that hop, and
   * CIRCFLOW_CIRCUIT_SERVICE if that hop may open streams. They replace these two flags of the circuit; its other
   * flags stay. Default: CIRCFLOW_CIRCUIT_VEGAS. */
  uint32_t flags;
  /* Number of hops of the circuit from now on: more than it has, 16 at most. Default 0: one more than it has. */
  uint8_t hops;
  /* CIRCFLOW_PATH_*: the parameters of congestion control for the new hops. Default: CIRCFLOW_PATH_ONION. */
  uint8_t path_class;
  /* With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated with the new hops. It
   * differs from "cc_sendme_inc" of the class by 1 at most. Default 0: the value of "cc_sendme_inc". */
  uint8_t sendme_inc;
  /* Zero. */
  uint8_t reserved;
} circflow_extension_config;

/* Fills a config with the defaults: one more hop, with Vegas congestion control, and the parameters of circuits to
 * onion services. Pass sizeof(circflow_extension_config) as size.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_extension_config_init(struct circflow_extension_config *config, size_t size);

/* Tells the engine that a client's circuit has more hops now: a cannibalised circuit, a circuit to a rendezvous point,
 * or the virtual hop behind that point. Call it when you have the keys of the new hop (EXTENDED2, RENDEZVOUS2; at a
 * service before RENDEZVOUS1 goes out). Call it before you send to the new hop, and before you feed a message from it.
 *
 * Each earlier hop keeps its congestion window, its cells in flight, its count towards the next SENDME, its
 * sendme_inc, its padders, its streams, and the messages that wait to be sent to it. The new last hop is the join
 * point from now on. circflow_circuit_stats shows its window, and padders of earlier hops count cells to and from it
 * as cells through their hop. A circuit that has carried streams still cannot become a leg.
 *
 * A leg cannot be extended, in whatever state it is: all legs of a set have the same length and the same join point
 * (prop329). Open a circuit for circflow_set_launch_legs() with its final number of hops. Extend other circuits before
 * circflow_set_add_legs(), or after circflow_set_dissolve(). Close a circuit that gets shorter (TRUNCATED).
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: not more hops than before, or more than 16; another flag than the two; an
 * unknown path_class; a reserved field that is not 0; and, on a circuit that circflow runs, a change of
 * CIRCFLOW_CIRCUIT_VEGAS (open a new circuit), or a sendme_inc that differs from "cc_sendme_inc" by more than 1 (close
 * the circuit: the hop is lying). CIRCFLOW_ERR_IN_SET: it is a leg. CIRCFLOW_ERR_ROLE: it is a relay's circuit; call
 * circflow_circuit_set_flags() with CIRCFLOW_CIRCUIT_EXTENDED. CIRCFLOW_ERR_CLOSING: it is closing; close it. After
 * each of them nothing has changed.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_extend(struct circflow_engine *engine,
                                             uint64_t now_ns,
                                             struct circflow_circuit_id circuit,
                                             const struct circflow_extension_config *config);

/* ---- Circuits: messages that come ---- */

/* Feeds a relay message that arrived on a circuit and was recognised here. Feed every message, control included, in
 * the order of arrival. If you do congestion control yourself, count the cell for your SENDMEs before, as that does
 * not wait for order (prop329 2.5). A message that circflow does not handle (SENDME, EXTEND and others) gets the
 * verdict DELIVER, without a number.
 *
 * The verdict says what to do with the message: DELIVER, HELD, CONSUMED or REFUSE. On an error circflow has not taken
 * the message: drop it. Then drain.
 *
 * @param message      Read during the call only.
 * @param verdict_out  Written on CIRCFLOW_OK.
 *
 * Own statuses: class PEER: the peer broke the protocol; the close of the circuit, or of the whole set if its order is
 * lost, is queued. Class LIMIT: a cap was reached; the close is queued. CIRCFLOW_ERR_CLOSING: the circuit is closing
 * already. CIRCFLOW_ERR_UNDRAINED: drain, and feed the message again; only for LINK, LINKED, LINKED_ACK and
 * PADDING_NEGOTIATE, and for every message on a circuit that circflow runs. CIRCFLOW_ERR_INVALID: body_len above
 * CIRCFLOW_BODY_MAX; hop above 16; or, if the message has to be held or read, an unknown form, or a body that is NULL
 * and has a length.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_receive(struct circflow_engine *engine,
                                              uint64_t now_ns,
                                              struct circflow_circuit_id circuit,
                                              const struct circflow_message *message,
                                              struct circflow_verdict *verdict_out);

/* A message that came, and what becomes of it: one of many for circflow_circuit_receive_many(). */
typedef struct circflow_arrival {
  /* The circuit that it came on. */
  struct circflow_circuit_id circuit;
  /* The message. */
  struct circflow_message message;
  /* Written by circflow: what to do with the message. */
  struct circflow_verdict verdict;
} circflow_arrival;

/* Feeds many messages at once, in the order of the array, which is that of their arrival: all that a read of a channel
 * has brought, of one circuit or several. It does the same as circflow_circuit_receive() for each, and costs less. (As
 * you drain only after it, a message that makes others ready comes before them, and those behind it are held until
 * they are taken. If most messages come in disorder, feed one by one and drain in between.)
 *
 * It ends at the first message that circflow does not take, and answers as circflow_circuit_receive() does about that
 * one. Those before it have their verdicts: act on them first. Then act on the status, and call again with the rest:
 * from the message behind it, or, after CIRCFLOW_ERR_UNDRAINED, from that message on, when you have drained.
 *
 * @param arrivals   Bodies are read during the call only. The verdict of each message that is taken is written.
 * @param count      Messages there. With 0 nothing happens.
 * @param taken_out  Messages that were taken: `count` when the answer is CIRCFLOW_OK, otherwise the index of the one
 *                   that was not.
 *
 * Own statuses: those of circflow_circuit_receive(), about the message at the index *taken_out. CIRCFLOW_ERR_NULL:
 * taken_out, or arrivals with a count; nothing was fed.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_receive_many(struct circflow_engine *engine,
                                                   uint64_t now_ns,
                                                   struct circflow_arrival *arrivals,
                                                   size_t count,
                                                   size_t *taken_out);

/* ---- Circuits: messages that go ---- */

/* Sends a relay message on a circuit that is in no set, or to another hop than the join point. It asks whether padding
 * holds the message back, and counts it as queued if not. You need it for messages of streams on circuits with a
 * padder. You also need it for all messages of a relay on a circuit that circflow runs: there the message goes behind
 * the cells that wait for the channel (a TRUNCATED before them would make them unreadable for the client). You may use
 * it for other messages, too.
 *
 * @param message      The message, with the hop that it goes to.
 * @param verdict_out  SEND: queue the cell now; do not report it with circflow_circuit_cell_queued(). HELD: circflow
 *                     keeps the message, and it comes back as CIRCFLOW_INSN_SEND; encrypt the cell then, not before.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: held_sends_max messages wait already, or held_bytes_max is reached; wait for
 * CIRCFLOW_INSN_MAY_SEND. CIRCFLOW_ERR_IN_SET: the message belongs to the set; use circflow_set_send().
 * CIRCFLOW_ERR_IS_RUN: the message belongs to a stream; use circflow_stream_send(). CIRCFLOW_ERR_CLOSING.
 * CIRCFLOW_ERR_INVALID: as for circflow_circuit_receive(), or the circuit has no such hop.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_send(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_circuit_id circuit,
                                           const struct circflow_message *message,
                                           struct circflow_verdict *verdict_out);

/* Reports that you have queued a relay cell on a circuit.
 *
 * On a leg this is the second half of sending. Report what circflow_set_decide() asked for: the SWITCH first, then the
 * message, each when it is queued. A cell that you never report changes nothing. circflow checks that the sequence
 * numbers allow the cell, not that it was decided: a message that needs no SWITCH needs no decision.
 *
 * On a circuit with a padder, report every other cell too, also those that pass (at a relay: hop 0, command 0). Do not
 * report a cell that circflow knows already: one that circflow_set_send() or circflow_circuit_send() answered with
 * SEND, or that an instruction told you to send.
 *
 * @param command  CIRCFLOW_CMD_SWITCH, the command of the message, or any other.
 * @param hop      Where it goes: 1 to the number of hops, or 0 at a relay.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_DECIDED: the cell does not fit this leg now; call circflow_set_decide(), and report
 * what it tells you. CIRCFLOW_ERR_IS_RUN: a stream's message, or a SWITCH, on a circuit whose streams circflow knows.
 * CIRCFLOW_ERR_INVALID: no such hop. CIRCFLOW_ERR_CLOSING.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_cell_queued(struct circflow_engine *engine,
                                                  uint64_t now_ns,
                                                  struct circflow_circuit_id circuit,
                                                  uint8_t command,
                                                  uint8_t hop);

/* Gives the digest of a DATA cell for which CIRCFLOW_WANTS_DIGEST asked. The SENDME for the cell has to bring it back
 * (prop289). Give the digests in the order of sending, and before an answer can arrive: a SENDME for a cell whose
 * digest you never gave closes the circuit. You have to make the digest impossible to guess: with tor1, at least one
 * of sendme_inc cells needs random bytes after its message (prop289).
 *
 * @param hop      The hop that the cell went to; 0 at a relay.
 * @param digest   The digest of the cell. tor1: the running digest after it.
 * @param digest_len  Bytes in digest: 20 (tor1) or 16 (counter-galois).
 *
 * Own statuses: CIRCFLOW_ERR_NOT_ASKED: no cell waits for its digest (harmless: you may offer the digest of every
 * cell), or the length is wrong. CIRCFLOW_ERR_NOT_RUN.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_add_digest(struct circflow_engine *engine,
                                                 struct circflow_circuit_id circuit,
                                                 uint8_t hop,
                                                 const uint8_t *digest,
                                                 size_t digest_len);

/* Reports that you have written cells of a circuit to the channel, the oldest first. Circuits with a padder need it;
 * on others it does nothing. Cells that were queued before there was a padder do not count.
 *
 * @param cells  Number of cells, of all that were queued on this circuit: at a client towards the first relay, at a
 *               relay towards the client.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_cells_written(struct circflow_engine *engine,
                                                    uint64_t now_ns,
                                                    struct circflow_circuit_id circuit,
                                                    uint32_t cells);

/* ---- Circuits: cells that pass, channels ---- */

/* Feeds a cell that passes this relay to the other side of the circuit: a cell from the client's side that was not
 * recognised (CIRCFLOW_SIDE_BACK), or any cell from the next relay (CIRCFLOW_SIDE_NEXT).
 *
 * @param from         The side that it came from, CIRCFLOW_SIDE_*.
 * @param cell         body: CIRCFLOW_CELL_BODY_LEN bytes, or fewer. command: the cell's command (RELAY or
 *                     RELAY_EARLY), or any number of yours; it comes back. form, token and cost_bytes: as for any
 *                     message. Other fields are not read.
 * @param verdict_out  FORWARD: write the cell to the other side now. HELD: that side is full; circflow keeps the cell,
 *                     and it comes back as CIRCFLOW_INSN_WRITE.
 *
 * Encrypt a cell towards the client when it leaves (at FORWARD or at CIRCFLOW_INSN_WRITE), not when you feed it: the
 * layer of this relay is a running cipher, and a message of circflow's own, such as a SENDME, can leave before cells
 * that wait.
 *
 * circflow does not count RELAY_EARLY cells: do so yourself. A rendezvous point joins two circuits: give both
 * CIRCFLOW_CIRCUIT_EXTENDED. CIRCFLOW_SIDE_NEXT of each is then the channel of the other. Feed a cell that is not
 * recognised to the circuit that it came on, from CIRCFLOW_SIDE_BACK.
 *
 * When many cells wait, CIRCFLOW_INSN_PAUSE_FEED comes: keep this circuit's cells yourself until
 * CIRCFLOW_INSN_UNPAUSE_FEED, and go on reading the channel for other circuits.
 *
 * Own statuses: CIRCFLOW_ERR_EDGE_OVERRUN: too many cells came after CIRCFLOW_INSN_PAUSE_FEED.
 * CIRCFLOW_ERR_UNRECOGNISED: there is no next relay (no CIRCFLOW_CIRCUIT_EXTENDED), so the cell is for nobody.
 * CIRCFLOW_ERR_ENGINE_MEMORY. After each of these three the close is queued: drain. CIRCFLOW_ERR_ROLE: a client
 * recognises every cell. CIRCFLOW_ERR_NOT_RUN. CIRCFLOW_ERR_CLOSING: drop the cell. CIRCFLOW_ERR_UNDRAINED: drain, and
 * feed the cell again. CIRCFLOW_ERR_INVALID: no such side; or the cell is too long, is NULL, or has an unknown form.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_relay(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit,
                                            uint8_t from,
                                            const struct circflow_message *cell,
                                            struct circflow_verdict *verdict_out);

/* Reports whether the channel on one side of a circuit takes cells (1) or is full (0). At first it counts as taking
 * cells. While it is full, circflow holds cells for it, sends no DATA on it, and tells congestion control that it is
 * blocked. Control (SENDME, handshakes, END) still goes out, as there is little of it.
 *
 * When the channel takes cells again, the held cells come as CIRCFLOW_INSN_WRITE, and a relay's own messages among
 * them as CIRCFLOW_INSN_SEND, one at a time. Encrypt each when it comes, in that order. If the channel fills up again
 * while you drain, call this function with 0; the rest goes on waiting. Call it for each circuit on the channel.
 *
 * @param side      The side, CIRCFLOW_SIDE_*. A client has one channel, CIRCFLOW_SIDE_BACK. At the last hop,
 *                  CIRCFLOW_SIDE_NEXT has no effect.
 * @param writable  1 when the channel takes cells, 0 when it is full.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_RUN. CIRCFLOW_ERR_INVALID: no such side.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_set_writable(struct circflow_engine *engine,
                                                   uint64_t now_ns,
                                                   struct circflow_circuit_id circuit,
                                                   uint8_t side,
                                                   uint8_t writable);

/* Names the channel that one side of a circuit writes to. Whether the side can write is then reported once for the
 * whole channel: circflow_channel_set_room(). Cells that wait at this side stay, and are in line at the channel.
 * Both sides of a circuit may write to one channel. A next side that you cut with circflow_circuit_set_flags() has
 * none any more.
 *
 * circflow_circuit_set_writable() still works for this side: it writes while neither the circuit nor the channel is
 * full.
 *
 * @param side  CIRCFLOW_SIDE_*. At a client only CIRCFLOW_SIDE_BACK: it has one channel.
 *
 * @param channel  A channel of this engine. Zero takes the side off its channel: it can write then, unless you have
 *                 reported with circflow_circuit_set_writable() that this circuit is full.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_RUN. CIRCFLOW_ERR_CLOSING. CIRCFLOW_ERR_INVALID: no such side. An id error can be
 * about the circuit or the channel.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_set_channel(struct circflow_engine *engine,
                                                  uint64_t now_ns,
                                                  struct circflow_circuit_id circuit,
                                                  uint8_t side,
                                                  struct circflow_channel_id channel);

/* Relay: reports a cell from the client that was not recognised here and goes on to the next relay. Circuits with a
 * padder need it. (Report a cell in the other direction with circflow_circuit_cell_queued() when you queue it.)
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_cell_passed(struct circflow_engine *engine,
                                                  uint64_t now_ns,
                                                  struct circflow_circuit_id circuit);

/* ---- Circuits: your congestion control ---- */

/* circflow_leg_report.flags: congestion control is in slow start. */
#define CIRCFLOW_REPORT_SLOW_START 1

/* circflow_leg_report.flags: the channel of the leg is full. */
#define CIRCFLOW_REPORT_CHANNEL_FULL 2

/* The state of a leg in your congestion control. A report replaces the one before. Until the next report, circflow
 * adds the DATA that is sent to inflight. */
typedef struct circflow_leg_report {
  /* The leg. */
  struct circflow_circuit_id circuit;
  /* Congestion window, in cells. */
  uint64_t cwnd;
  /* DATA cells sent and not acknowledged yet. It may be above cwnd. */
  uint64_t inflight;
  /* Smoothed round-trip time, in nanoseconds. 0 keeps the one that the link handshake measured. */
  uint64_t rtt_ns;
  /* DATA cells that one SENDME acknowledges. If a leg is lost while so many or more are in flight, its set ends;
   * with 0 it always ends. */
  uint32_t sendme_inc;
  /* CIRCFLOW_REPORT_*, or-ed together. */
  uint32_t flags;
} circflow_leg_report;

/* Reports the state of legs. Call it whenever it changes: a SENDME came, or a channel is full or has room again. A leg
 * that was never reported has no window and gets no DATA: report each leg once it is linked. If the set waits for room
 * and has it now, CIRCFLOW_INSN_MAY_SEND is queued. Drain before you report: a held message that waits as an
 * instruction is in flight for circflow, but not for you yet.
 *
 * @param reports       The reports, applied in order. The first one that names no leg ends the call; those before it
 *                      stay applied. An unknown flag in any report refuses all of them.
 * @param report_count  How many.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: an unknown flag. CIRCFLOW_ERR_NOT_A_LEG. CIRCFLOW_ERR_IS_RUN: circflow does
 * congestion control of this leg itself. CIRCFLOW_ERR_CLOSING.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_leg_update(struct circflow_engine *engine,
                                         uint64_t now_ns,
                                         const struct circflow_leg_report *reports,
                                         size_t report_count);

/* ---- Circuits: figures ---- */

/* Figures of one edge of a circuit: the place where cells leave it for a channel. */
typedef struct circflow_edge_stats {
  /* Cells that left, at once or after a wait. */
  uint64_t passed;
  /* Cells that wait now. */
  uint32_t waiting;
  /* The most cells that ever waited. */
  uint32_t waiting_peak;
  /* 1 when its channel takes cells. */
  uint32_t writable;
  /* 1 between CIRCFLOW_INSN_PAUSE_FEED and CIRCFLOW_INSN_UNPAUSE_FEED. */
  uint32_t paused;
} circflow_edge_stats;

/* Figures of a circuit that circflow runs. Set size to sizeof before each call. */
typedef struct circflow_circuit_stats {
  /* sizeof(circflow_circuit_stats) as your compiler saw it. */
  size_t size;
  /* Congestion window towards the join point, in cells; 0 before the first DATA. */
  uint64_t cwnd;
  /* DATA cells sent and not acknowledged. */
  uint64_t inflight;
  /* Smoothed round-trip time in nanoseconds; 0 before the first was measured. */
  uint64_t rtt_ns;
  /* 1 in slow start. */
  uint32_t slow_start;
  /* Open streams of the circuit itself; those of its set do not count. */
  uint32_t streams;
  /* The edge towards the client; at a client, towards the first relay. */
  struct circflow_edge_stats back;
  /* The edge towards the next relay. */
  struct circflow_edge_stats next;
} circflow_circuit_stats;

/* Gives the figures of a circuit that circflow runs. Set stats->size to sizeof(circflow_circuit_stats) first.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_RUN: circflow does not run it; for a leg use circflow_leg_get_stats().
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_get_stats(struct circflow_engine *engine,
                                                struct circflow_circuit_id circuit,
                                                struct circflow_circuit_stats *stats);

/********************************************************************************************************************
 * 7. Channels
 ********************************************************************************************************************/

/* circflow_channel_set_room(): the channel takes any number of cells. */
#define CIRCFLOW_ROOM_UNLIMITED UINT32_MAX

/* Opens a channel: your link to another relay, which many circuits share. Say which sides of circuits write to it
 * with circflow_circuit_set_channel(), and how many cells it takes with circflow_channel_set_room(). That one call
 * serves all of its circuits in turn, so you need no loop over circuits. The channel lives until
 * circflow_channel_close().
 *
 * Channels are for circuits that circflow runs. You need none if you have an order of your own (by activity, as
 * Tor's EWMA): call circflow_circuit_set_writable() for each circuit, as before.
 *
 * @param room_cells  The number of cells that it takes now, as in circflow_channel_set_room(). 0: it is full.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_MANY: there are 65536 in this engine.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_channel_open(struct circflow_engine *engine,
                                           uint32_t room_cells,
                                           struct circflow_channel_id *channel_out);

/* Reports that a channel has gone. Its id is stale from now on. Its circuits stay; for them it is full for ever, so
 * what they write to it waits. Call circflow_circuit_gone() for each, or give it another channel. You may do so
 * before or after this call.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_channel_close(struct circflow_engine *engine, struct circflow_channel_id channel);

/* Reports how many cells a channel takes from now on; the number replaces the one before. Drain afterwards. Call it
 * when the queue of your link has been written out far enough, and at any other time.
 *
 * Each cell of its circuits uses up one: FORWARD, CIRCFLOW_INSN_WRITE, CIRCFLOW_INSN_SEND, each message and SWITCH
 * that a verdict lets you send, and padding when you report it as queued. Of messages that were held and are in the
 * instruction queue by now, each has one reserved. When all are used up, the channel is full: cells wait at their
 * circuits, whose sources are paused at the marks (CIRCFLOW_INSN_PAUSE_FEED), and DATA is
 * refused with CIRCFLOW_ERR_NO_ROOM. SENDMEs, handshakes, END and padding are not held up by a full channel: leave
 * room for some.
 *
 * Circuits that wait stand in line, in the order in which they began to wait. While there is room, draining serves
 * the first and puts it at the end of the line: it gives you one of its waiting cells (CIRCFLOW_INSN_WRITE); or, if
 * you were refused DATA, it tells you that you may send (CIRCFLOW_INSN_MAY_SEND) and keeps room for one cell. Room
 * that is kept but not used within 10 milliseconds goes to the next circuit, if one waits. A cell that comes while
 * circuits are in line waits behind them, even if there is room. A circuit that does not wait costs nothing.
 *
 * @param room_cells  A number of cells, not a yes or no: 1 is one cell, 0 is full. CIRCFLOW_ROOM_UNLIMITED: any
 *                    number, until you call this function again.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_channel_set_room(struct circflow_engine *engine,
                                               uint64_t now_ns,
                                               struct circflow_channel_id channel,
                                               uint32_t room_cells);

/* Figures of a channel. Set size to sizeof before each call. */
typedef struct circflow_channel_stats {
  /* sizeof(circflow_channel_stats) as your compiler saw it. */
  size_t size;
  /* Cells that went to it, at once or after a wait. */
  uint64_t passed;
  /* Cells that it still takes; CIRCFLOW_ROOM_UNLIMITED if that is what you said. */
  uint32_t room_cells;
  /* Cells that wait for it, at all its circuits. */
  uint32_t waiting;
  /* Sides of circuits that write to it: a circuit with both sides on it counts twice. */
  uint32_t sides;
  /* Of these, those in line for a turn. */
  uint32_t in_line;
} circflow_channel_stats;

/* Figures of a channel. Set stats->size to sizeof(circflow_channel_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_channel_get_stats(struct circflow_engine *engine,
                                                struct circflow_channel_id channel,
                                                struct circflow_channel_stats *stats);

/********************************************************************************************************************
 * 8. Sets
 ********************************************************************************************************************/

/* ---- Sets: life ---- */

/* Bytes of a conflux nonce. */
#define CIRCFLOW_NONCE_LEN 32

/* The most legs that a set can have. */
#define CIRCFLOW_LEGS_MAX 16

/* circflow_set_config.held_age_max_ns: use that of the engine. */
#define CIRCFLOW_AS_ENGINE UINT64_MAX

/* desired_ux (prop329 2.2): no opinion. C Tor then sends by lowest RTT with room, circflow by ON_TIME. */
#define CIRCFLOW_UX_NO_OPINION 0

/* desired_ux: lowest latency. The peer sends on the leg with the lowest RTT and waits when that has no room. */
#define CIRCFLOW_UX_MIN_LATENCY 1

/* desired_ux: lowest latency, and at most one SWITCH in a congestion window. */
#define CIRCFLOW_UX_LOW_MEM_LATENCY 2

/* desired_ux: highest throughput. C Tor then sends by lowest RTT with room, circflow by ON_TIME. */
#define CIRCFLOW_UX_HIGH_THROUGHPUT 3

/* desired_ux: highest throughput, and at most one SWITCH in a congestion window. */
#define CIRCFLOW_UX_LOW_MEM_THROUGHPUT 4

/* circflow_set_config.algorithm: by the desired_ux of the peer. ON_TIME for throughput and for no opinion, MIN_RTT for
 * latency and for latency with low memory, LOW_RTT for throughput with low memory. */
#define CIRCFLOW_ALGORITHM_BY_UX 0

/* circflow_set_config.algorithm: MinRTT (prop329 3.1): the leg with the lowest round trip, and no other. For latency.
 */
#define CIRCFLOW_ALGORITHM_MIN_RTT 1

/* circflow_set_config.algorithm: LowRTT (prop329 3.2): the leg with the lowest round trip among those with room. This
 * is the rule as C Tor deploys it. */
#define CIRCFLOW_ALGORITHM_LOW_RTT 2

/* circflow_set_config.algorithm: CwndRTT: the fastest leg while it has room, else the fastest other leg that can send
 * a cell before one round trip of the fastest leg is over. */
#define CIRCFLOW_ALGORITHM_CWND_RTT 3

/* circflow_set_config.algorithm: OnTime: the leg on which the message arrives first; another one only if all is there
 * as early as on the best leg alone. It may wait for that leg although another one has room, for 10 s at most, as
 * ECF, BLEST and OTIAS may: then circflow_engine_get_deadline() says when it looks again,
 * and a host that does not come back then gets no MAY_SEND. docs/leg-choice.md has figures. */
#define CIRCFLOW_ALGORITHM_ON_TIME 4

/* circflow_set_config.algorithm: ECF (Lim et al., CoNEXT 2017): the fastest leg; another one only if the fastest would
 * not finish the rest earlier. For comparison with multipath TCP; it suits legs with unlike round trips. It may
 * wait, as ON_TIME may. */
#define CIRCFLOW_ALGORITHM_ECF 5

/* circflow_set_config.algorithm: BLEST (Ferlin et al., IFIP Networking 2016): the fastest leg; another one only as far
 * as the receiver need not hold more than all windows meanwhile. For comparison; it spares the receiver's memory. */
#define CIRCFLOW_ALGORITHM_BLEST 6

/* circflow_set_config.algorithm: OTIAS (Yang, Wang and Amer, WAINA 2014): the leg on which the message is foreseen to
 * arrive first, from its round trip and window alone. For comparison: it is the plainest rule that knows of arrivals.
 */
#define CIRCFLOW_ALGORITHM_OTIAS 7

/* circflow_set_config.algorithm: a leg drawn by chance for a run of 50 to 70 messages, the more often the higher its
 * window divided by its round trip (prop329 4.3; De la Cadena et al., CCS 2020). For research on traffic analysis: it
 * is not fast. It is drawn with the set's nonce as the key: who does not know that cannot foretell it, and the same
 * set under the same conditions draws the same. */
#define CIRCFLOW_ALGORITHM_RANDOM 8

/* The configuration of a set. Fill it with circflow_set_config_init(), then change what you want. */
typedef struct circflow_set_config {
  /* sizeof(circflow_set_config) as your compiler saw it. */
  size_t size;
  /* A number of yours. It comes back in every instruction about the set. If you look at it there, do not
   * use 0, which means "no set". */
  uint64_t tag;
  /* Client: a secret of 32 random bytes, new for each set. circflow sends it to one exit and to nobody else (prop329
   * 2.2). Wipe your copy after circflow_set_open(). circflow_engine_accept_sets() does not use it. */
  uint8_t nonce[CIRCFLOW_NONCE_LEN];
  /* How long a leg may wait for LINKED (client) or LINKED_ACK (exit), in nanoseconds, at least 1. The time begins
   * with the call that queues LINK or LINKED, so that it includes your own delay. (The round trip is measured from
   * when you take that instruction.) Default 60 s. Use your circuit build timeout if that is shorter. */
  uint64_t link_timeout_ns;
  /* Bytes that the set may hold for order. With 0 the first message out of order closes the set. Default 16 MiB. If
   * cfx_max_oooq_bytes is lower when the set is opened, that counts. */
  uint64_t held_bytes_max;
  /* How far a SWITCH may move a leg ahead of the last delivered message, in messages. Default 1048576. */
  uint32_t switch_ahead_max;
  /* Legs that the set may have at a time, 1 to CIRCFLOW_LEGS_MAX. Default 0: the value of cfx_max_legs_set when the
   * set is opened (8 if you never set it), but not above CIRCFLOW_LEGS_MAX. */
  uint32_t legs_max;
  /* Client: legs that may be launched until the set is usable, failed ones included. The count begins again each
   * time that every leg has been answered (prop329 4.2.2). Default 0: the sum of cfx_num_legs_set and
   * cfx_max_unlinked_leg_retry when the set is opened (5 if you never set them). */
  uint32_t launches_max;
  /* How the other end should choose its sending leg, CIRCFLOW_UX_*. Default: CIRCFLOW_UX_HIGH_THROUGHPUT. */
  uint8_t desired_ux;
  /* How this end chooses its sending leg, CIRCFLOW_ALGORITHM_*. Default: CIRCFLOW_ALGORITHM_BY_UX. */
  uint8_t algorithm;
  /* 1: ready messages of the set come from circflow_set_poll(), _lent() and _tokens() only, and draining
   * leaves them alone. It is for a host that takes them at once when a verdict has said `ready`. With legs on other
   * engines of a hub no verdict says so: poll after each drain of the set's home. Default 0: both hand them out. */
  uint8_t ready_by_poll;
  /* Zero. */
  uint8_t reserved;
  /* Messages that may be held for sending while padding blocks the legs, 0 or more. When so many wait, sending
   * answers CIRCFLOW_ERR_NO_ROOM. Default 32. */
  uint32_t held_sends_max;
  /* Zero. */
  uint32_t reserved2;
  /* How long a message may be held for order, in nanoseconds: as circflow_engine_config.held_age_max_ns, for this
   * set. At most a week; 0 for no bound. Default CIRCFLOW_AS_ENGINE: the value of the engine. */
  uint64_t held_age_max_ns;
  /* DATA messages in a row on a leg at least, while it has room: a limit on SWITCHes, with every algorithm. A leg
   * without room is left earlier. At most 4294967295: then no leg is left that has room. Default 0: as the algorithm
   * has it. */
  uint32_t switch_run_min;
  /* Zero. */
  uint32_t reserved3;
} circflow_set_config;

/* Fills a config with the defaults. Pass sizeof(circflow_set_config) as size.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_config_init(struct circflow_set_config *config, size_t size);

/* Exit: accepts sets that clients open with LINK, and gives the configuration of each. A LINK is a protocol violation
 * until you call this, after you call it with NULL, and while the parameter cfx_enabled is 0. Live sets do not change.
 *
 * The first CIRCFLOW_INSN_LINKED of a set gives its id. An exit of Tor uses the desired_ux CIRCFLOW_UX_MIN_LATENCY.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: as for circflow_set_open().
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_accept_sets(struct circflow_engine *engine,
                                                 const struct circflow_set_config *config);

/* Client: opens a set without legs; add some with circflow_set_add_legs(). It ends with its last leg, or with
 * circflow_set_close(). Wipe config->nonce after this call.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: an unknown desired_ux or algorithm; legs_max above 16; link_timeout_ns or
 * switch_ahead_max is 0; held_age_max_ns above a week; ready_by_poll above 1; or a reserved field that is not 0.
 * CIRCFLOW_ERR_DISABLED: cfx_enabled is 0. CIRCFLOW_ERR_NONCE_IN_USE: draw another nonce. CIRCFLOW_ERR_TOO_MANY:
 * sets_max are alive; close some. CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_open(struct circflow_engine *engine,
                                       uint64_t now_ns,
                                       const struct circflow_set_config *config,
                                       struct circflow_set_id *set_out);

/* Ends a set because you want it. It queues CIRCFLOW_INSN_CLOSE for each leg, then CIRCFLOW_INSN_ENDED. Held tokens
 * come back as CIRCFLOW_INSN_DISCARD. The set's id is stale from now on.
 *
 * To end a set well, send END on each stream, drain, write the cells, then close the set and its circuits. The other
 * end gets DESTROY on one leg after another. If circflow runs its streams, it sees the cause
 * CIRCFLOW_ERR_SET_FINISHED. If its host has the streams, that host should call this function when it has seen the
 * last END, before circflow_circuit_gone(); the cause is CIRCFLOW_OK then. Otherwise the cause is
 * CIRCFLOW_ERR_LEG_LOST: messages may have been lost.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_close(struct circflow_engine *engine, uint64_t now_ns, struct circflow_set_id set);

/* Takes the last leg out of a set. The leg is a plain circuit again and keeps its streams. The set is gone, without a
 * CIRCFLOW_INSN_ENDED. It works only if the set has this one leg, its handshake is complete (LINKED_ACK included), and
 * no message is held, so that the order on the leg is the order of the messages.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_ALONE: the set has other legs (close them, drain, and call again), or the handshake
 * of the last leg is not complete (wait for CIRCFLOW_INSN_LINKED), or messages are held or missing (drain; wait for
 * what is missing).
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_dissolve(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_set_id set,
                                           struct circflow_circuit_id *circuit_out);

/* Gives a set another tag. It comes back as set_tag from now on, also in instructions that already wait. An exit needs
 * it: its sets begin with the tag of circflow_engine_accept_sets(). Call this at the first CIRCFLOW_INSN_LINKED of a
 * set, inside the drain; all later instructions then have the new tag. If a set has legs on other engines of a hub,
 * call it on the engine that is the set's home: instructions of the others name no set.
 *
 * @param tag  The new tag. In instructions 0 means "no set".
 *
 * Own statuses: none. An ended set keeps its tag for CIRCFLOW_INSN_ENDED; its id is stale.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_retag(struct circflow_engine *engine,
                                        struct circflow_set_id set,
                                        uint64_t tag);

/* Changes how this end chooses the sending leg, from the next decision on. An earlier answer of
 * circflow_set_get_room() is no longer valid. If the set waits for room and another leg has it now,
 * CIRCFLOW_INSN_MAY_SEND is queued. The peer is not told.
 *
 * @param algorithm  CIRCFLOW_ALGORITHM_*. BY_UX follows the last desired_ux of the peer. If that asks for low memory,
 *                   there is at most one SWITCH in a congestion window with every algorithm.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: an unknown algorithm.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_use_algorithm(struct circflow_engine *engine,
                                                struct circflow_set_id set,
                                                uint8_t algorithm);

/* ---- Sets: legs ---- */

/* Client: makes circuits legs of a set, all or none, and queues a LINK on each. A leg may also join a set in use,
 * while messages are in flight, as its numbers start from 0 at both ends. Next come CIRCFLOW_INSN_LINKED and
 * CIRCFLOW_INSN_USABLE. For circuits that are still being built there is circflow_set_launch_legs().
 *
 * @param circuits       The circuits. Each is open, a client's, in no set, without streams, with
 *                       CIRCFLOW_CIRCUIT_VEGAS, of the same length and join point as the other legs, and named once.
 * @param circuit_count  How many, at least 1.
 *
 * Own statuses: CIRCFLOW_ERR_NO_LEGS, CIRCFLOW_ERR_IN_SET, CIRCFLOW_ERR_HAS_STREAMS, CIRCFLOW_ERR_NO_VEGAS,
 * CIRCFLOW_ERR_LEG_MISMATCH, CIRCFLOW_ERR_ROLE, CIRCFLOW_ERR_TOO_MANY_LEGS, CIRCFLOW_ERR_TOO_MANY_LAUNCHES: the fault
 * of the first circuit that is not as described above. CIRCFLOW_ERR_DISABLED: the parameter cfx_enabled is 0.
 * CIRCFLOW_ERR_CLOSING: one of them is closing. CIRCFLOW_ERR_UNDRAINED: drain first. After each of them no circuit is
 * a leg.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_add_legs(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_set_id set,
                                           const struct circflow_circuit_id *circuits,
                                           size_t circuit_count);

/* Client: as circflow_set_add_legs(), for circuits that are still being built. Open them with their final number of
 * hops. They are legs from now on and count as launched, also those that fail (prop329 4.2.2). LINK is queued on each
 * when you call circflow_circuit_built().
 *
 * Until then no timer of circflow runs for them. After your own circuit build timeout, call circflow_circuit_gone();
 * CIRCFLOW_INSN_WANT_LEG then asks for another leg, if launches_max allows it. A new set is not usable while a leg is
 * being built. LINKED on such a leg is a protocol violation. Other messages on it (EXTENDED2) are delivered without a
 * number.
 *
 * @param circuits       As for circflow_set_add_legs(). Here CIRCFLOW_CIRCUIT_VEGAS means that the circuit asks for
 *                       it. If it was refused, take the flag away with circflow_circuit_set_flags(), or close the
 *                       circuit.
 * @param circuit_count  How many, at least 1.
 *
 * Own statuses: as of circflow_set_add_legs(). After each of them no circuit is a leg.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_launch_legs(struct circflow_engine *engine,
                                              uint64_t now_ns,
                                              struct circflow_set_id set,
                                              const struct circflow_circuit_id *circuits,
                                              size_t circuit_count);

/* Adds a leg whose handshake you have done yourself. It is linked at once, and the set is usable. No message is sent,
 * and no CIRCFLOW_INSN_LINKED or CIRCFLOW_INSN_USABLE comes. Its numbers start from 0; circflow_set_import() sets
 * other numbers.
 *
 * @param peer_ux  The desired_ux of the peer, CIRCFLOW_UX_*. An unknown value counts as CIRCFLOW_UX_NO_OPINION.
 * @param rtt_ns   Round-trip time of the handshake in nanoseconds; 0 when unknown.
 *
 * Own statuses: as of circflow_set_add_legs(), without CIRCFLOW_ERR_TOO_MANY_LAUNCHES and CIRCFLOW_ERR_ROLE: the
 * circuit may have either role, but the same as the other legs.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_adopt_leg(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_set_id set,
                                            struct circflow_circuit_id circuit,
                                            uint8_t peer_ux,
                                            uint64_t rtt_ns);

/* circflow_leg_stats.state: client: the circuit is being built; call circflow_circuit_built() when it is open. */
#define CIRCFLOW_LEG_BUILDING 1

/* circflow_leg_stats.state: client: LINK is queued or sent, and LINKED has not come yet. */
#define CIRCFLOW_LEG_PENDING 2

/* circflow_leg_stats.state: exit: linked since LINK came, but LINKED_ACK has not come yet. */
#define CIRCFLOW_LEG_UNACKED 3

/* circflow_leg_stats.state: linked, and its handshake is complete. */
#define CIRCFLOW_LEG_LINKED 4

/* Figures of a leg. Set size to sizeof before each call. */
typedef struct circflow_leg_stats {
  /* sizeof(circflow_leg_stats) as your compiler saw it. */
  size_t size;
  /* The state of its handshake, CIRCFLOW_LEG_*. */
  uint32_t state;
  /* DATA cells that one SENDME acknowledges, as last reported; 31 before the first report. */
  uint32_t sendme_inc;
  /* Round-trip time in nanoseconds, from the last report, or before that from the handshake; 0 when unknown. */
  uint64_t rtt_ns;
  /* Congestion window in cells, as last reported; 0 before the first report. */
  uint64_t cwnd;
  /* DATA cells in flight: those of the last report plus those sent since. */
  uint64_t inflight;
  /* Number of the last message sent on it. */
  uint64_t sent;
  /* Number of the last message received on it. */
  uint64_t received;
} circflow_leg_stats;

/* Gives the figures of a leg. Set stats->size to sizeof(circflow_leg_stats) first.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set, or its set is on another engine of a hub; that engine answers
 * for the same id. CIRCFLOW_ERR_CLOSING: it is closing.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_leg_get_stats(struct circflow_engine *engine,
                                            struct circflow_circuit_id circuit,
                                            struct circflow_leg_stats *stats);

/* ---- Sets: messages that go ---- */

/* Decides on which leg a multiplexed message goes, and changes nothing. It is the first half of sending, for a host
 * whose queues can refuse a cell. Number, window and sending leg change when you report the SWITCH and the message
 * with circflow_circuit_cell_queued(). A message that is not DATA goes out even when no leg has room, as an END must
 * not wait for a window. The verdict HELD is final: padding blocks the legs (an END waits then, too), and circflow
 * keeps the message.
 *
 * @param message       The message. Its command is read, and its hop (the join point; 0 at an exit). Its body is read,
 *                      and its token kept, only when the verdict is HELD.
 * @param reports       Reports of legs to apply first, as circflow_leg_update() does; NULL with 0. They stay applied
 *                      whatever the answer is.
 * @param report_count  How many.
 * @param verdict_out   CIRCFLOW_VERDICT_SEND with leg, number and switch_delta; or CIRCFLOW_VERDICT_HELD: the message
 *                      comes back as CIRCFLOW_INSN_SEND with its leg and number, after another CIRCFLOW_INSN_SEND with
 *                      a SWITCH if it needs one. Do not report these two.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: no leg has room, held_sends_max messages wait already, or held_bytes_max is
 * reached; stop reading streams until CIRCFLOW_INSN_MAY_SEND. circflow_engine_get_last_detail() says which leg lacks
 * what. CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE. CIRCFLOW_ERR_NOT_MULTIPLEXED: send the message on its
 * own circuit. CIRCFLOW_ERR_IS_RUN: circflow knows the set's streams; use circflow_stream_send().
 * CIRCFLOW_ERR_INVALID: another hop than the join point; body_len above CIRCFLOW_BODY_MAX; or, if the message has to
 * be held, as for circflow_circuit_receive(). From the reports: CIRCFLOW_ERR_NOT_A_LEG, CIRCFLOW_ERR_CLOSING.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_decide(struct circflow_engine *engine,
                                         uint64_t now_ns,
                                         struct circflow_set_id set,
                                         const struct circflow_message *message,
                                         const struct circflow_leg_report *reports,
                                         size_t report_count,
                                         struct circflow_verdict *verdict_out);

/* Decides on which leg a multiplexed message goes, and counts it as queued, SWITCH included. It is for a host whose
 * queues never refuse a cell. If the verdict is SEND, queue the SWITCH (if switch_delta is not 0), then the message,
 * before any other message of this set.
 *
 * @param message       As for circflow_set_decide().
 * @param reports       Reports of legs to apply first; NULL with 0.
 * @param report_count  How many.
 * @param verdict_out   CIRCFLOW_VERDICT_SEND or CIRCFLOW_VERDICT_HELD.
 *
 * Own statuses: as of circflow_set_decide().
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_send(struct circflow_engine *engine,
                                       uint64_t now_ns,
                                       struct circflow_set_id set,
                                       const struct circflow_message *message,
                                       const struct circflow_leg_report *reports,
                                       size_t report_count,
                                       struct circflow_verdict *verdict_out);

/* Tells whether a DATA message could be sent now, and on which leg (SEND), or would be held (HELD). It changes
 * nothing; after CIRCFLOW_ERR_NO_ROOM from this function, no CIRCFLOW_INSN_MAY_SEND comes.
 *
 * @param verdict_out  The answer that circflow_set_decide() would give.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM, CIRCFLOW_ERR_NOT_USABLE: as of circflow_set_decide().
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_get_decision(struct circflow_engine *engine,
                                               struct circflow_set_id set,
                                               struct circflow_verdict *verdict_out);

/* Gives a number of DATA messages that you may send on the sending leg without a SWITCH, and without
 * circflow_set_decide() for each. Report each with circflow_circuit_cell_queued(), which lowers the number by one. The
 * number is valid until a report comes, or a leg comes or goes. 0: call circflow_set_decide().
 *
 * It is above 0 only after a circflow_set_decide() for DATA that named the leg that was sending already.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_get_room(struct circflow_engine *engine,
                                           struct circflow_set_id set,
                                           uint64_t *messages_out);

/* Names the leg on which the messages of a set go, from the next one on, in place of the algorithm: your own leg
 * choice. It holds until you name another leg, or until this one is lost. Call it before each message, if you like;
 * docs/guide.md has a recipe. Numbers, SWITCHes and all checks stay as they are, and you send as before: with
 * circflow_set_decide() or circflow_set_send(), or on the streams of a set that circflow runs. An earlier answer of
 * circflow_set_get_room() is no longer valid. If you wait for room and this leg has it, CIRCFLOW_INSN_MAY_SEND is
 * queued.
 *
 * While the leg has no room, DATA waits for it, even if another leg has room: CIRCFLOW_ERR_NO_ROOM, and
 * CIRCFLOW_INSN_MAY_SEND when this leg has room. (To do without waiting, ask circflow_set_get_decision(), and name
 * another leg.) A message that is not DATA goes on it at once. While padding blocks it, messages are held for it.
 * Limits on SWITCHes do not count: neither switch_run_min, nor a peer's wish for low memory, which
 * circflow_set_get_stats() gives as peer_ux. Two things come first: after a SWITCH without a message, that goes on the
 * SWITCH's leg; and when a leg with room is 2^31 messages behind, one message goes there, so that a SWITCH can still
 * reach it.
 *
 * When the leg is lost, and when it has no room for so long that no SWITCH can reach it, the algorithm chooses again.
 * You have closed the leg then, with circflow_circuit_close() or circflow_circuit_gone(), or got CIRCFLOW_INSN_CLOSE
 * for it; circflow_set_get_stats() gives what counts now as named_leg.
 *
 * @param leg  A leg of the set that is linked, on this engine or, if the set has legs on other engines of a hub, on
 *             any of them. Zero gives the choice back to the algorithm.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is no leg of this set. CIRCFLOW_ERR_NOT_USABLE: the leg is not linked; wait
 * for CIRCFLOW_INSN_LINKED. CIRCFLOW_ERR_CLOSING: it is closing. CIRCFLOW_ERR_INVALID: it is too far behind for a
 * SWITCH. After each of them the choice is as before.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_use_leg(struct circflow_engine *engine,
                                          struct circflow_set_id set,
                                          struct circflow_circuit_id leg);

/* Tells a set how much you have to send: a hint. An algorithm that knows how much waits can leave a slow leg alone at
 * the end of a download, and use it in the middle of one. CIRCFLOW_ALGORITHM_ECF reads the hint; the others do not, so
 * far. Without it, ECF assumes that one window of the fastest leg waits.
 *
 * Call it when something new waits, before you send it. Each message that goes on lowers the number by itself, so you
 * need not call it for each; calling it each time is cheap if you count right. Messages that circflow holds for you
 * count as well, you need not add them. On a set that circflow runs, bytes that wait wait in your sockets: there, too,
 * only you know how many.
 *
 * @param messages  Relay messages of DATA that wait with you, on all streams of the set: bytes divided by
 *                  CIRCFLOW_DATA_MAX, rounded up. 0 takes the hint back: you do not know.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_expect(struct circflow_engine *engine,
                                         struct circflow_set_id set,
                                         uint64_t messages);

/* ---- Sets: messages that are ready ---- */

/* Takes the next ready message of one set, for a host that works set by set. The kind is CIRCFLOW_INSN_DELIVER, or
 * CIRCFLOW_INSN_NONE when no message is ready. It is NONE, too, when the call has handled so many XOFF and XON that it
 * leaves the rest to a later call; the deadline is 0 then. From a set that circflow runs it can also be
 * CIRCFLOW_INSN_DISCARD, with the token of a message whose stream has ended here. These are the same messages, in the
 * same order, as from circflow_engine_poll(); each comes once, from one of the two.
 *
 * @param body      The body buffer: room for the body. CIRCFLOW_BODY_MAX bytes are always enough.
 * @param body_cap  Bytes of room there.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: nothing was taken.
 * Inside drain: no. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_poll(struct circflow_engine *engine,
                                       struct circflow_set_id set,
                                       uint8_t *body,
                                       size_t body_cap,
                                       struct circflow_insn *insn_out);

/* Takes the next ready message of one set, as circflow_set_poll() does, but does not copy its body: you read it where
 * it lies, in circflow's memory. That costs less for each message, and the body stays while you handle the message,
 * whatever you feed meanwhile.
 *
 * @param body_out  Where the body is. You may read detail.deliver.body_len bytes there, until the next
 *                  circflow_set_poll_lent(), circflow_engine_drain() or circflow_engine_free() with this engine. NULL
 *                  for a token, and with CIRCFLOW_INSN_NONE.
 *
 * Own statuses: none.
 * Inside drain: no. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_poll_lent(struct circflow_engine *engine,
                                            struct circflow_set_id set,
                                            const uint8_t **body_out,
                                            struct circflow_insn *insn_out);

/* Takes ready messages of one set, as many as fit, for a host that feeds all messages as tokens (CIRCFLOW_FORM_TOKEN).
 * It costs much less than circflow_set_poll() for each. All messages taken count as delivered, in the order of the
 * array; their sequence numbers have no gap.
 *
 * @param tokens     Gets the tokens.
 * @param token_cap  Tokens of room there.
 * @param count_out  Number of tokens written. If it is below token_cap, no more messages are ready, or circflow has
 *                   copied the body of the next one: take that with circflow_set_poll().
 *
 * Own statuses: CIRCFLOW_ERR_IS_RUN: circflow runs the streams of this set; use circflow_set_poll() or drain.
 * Inside drain: no. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_poll_tokens(struct circflow_engine *engine,
                                              struct circflow_set_id set,
                                              uint64_t *tokens,
                                              size_t token_cap,
                                              size_t *count_out);

/* ---- Sets: figures ---- */

/* Figures of a set. Set size to sizeof before each call. */
typedef struct circflow_set_stats {
  /* sizeof(circflow_set_stats) as your compiler saw it. */
  size_t size;
  /* Legs, in any state. */
  uint32_t legs;
  /* Legs that are not linked yet, those included whose circuits are still being built. */
  uint32_t legs_unlinked;
  /* 1 when the set may carry streams. */
  uint32_t usable;
  /* The last desired_ux of the peer, CIRCFLOW_UX_*. */
  uint32_t peer_ux;
  /* The sending leg; before the first message, the fastest; zero when none is linked. */
  struct circflow_circuit_id primary;
  /* The leg on which the last message came or went; zero before the first. */
  struct circflow_circuit_id most_active;
  /* The time of that message, on your clock. */
  uint64_t last_active_ns;
  /* Highest sequence number sent. */
  uint64_t sent;
  /* Highest sequence number delivered. */
  uint64_t delivered;
  /* Messages held for order now. */
  uint64_t held;
  /* The highest value of held so far: the reorder depth. */
  uint64_t held_peak;
  /* Cost in bytes of the messages held for order. */
  uint64_t held_bytes;
  /* The highest value of held_bytes so far. */
  uint64_t held_bytes_peak;
  /* SWITCHes reported as sent. */
  uint64_t switches_sent;
  /* SWITCHes received. */
  uint64_t switches_received;
  /* How the sending leg is chosen now, CIRCFLOW_ALGORITHM_*. It is never BY_UX, but the algorithm that BY_UX has
   * chosen. */
  uint32_t algorithm;
  /* Client: legs that launches_max and legs_max allow to launch now. Exit: 0. */
  uint32_t launches_left;
  /* Open streams of the set, if circflow runs it; otherwise 0. */
  uint64_t streams;
  /* If circflow runs the set: the time since which no stream is open on it; at first, the time when the set was
   * made. CIRCFLOW_NEVER while a stream is open, and if circflow does not run the set. */
  uint64_t no_streams_since_ns;
  /* The time since which the oldest message held for order has waited, on your clock; CIRCFLOW_NEVER when none is
   * held. It is exact to two milliseconds. When you did not call for longer than a second, it moves forward so that
   * only one second of that time counts. The set ends when now - held_since_ns reaches its held_age_max_ns, unless
   * all held messages are ready and wait for you only. */
  uint64_t held_since_ns;
  /* Messages held for sending. */
  uint64_t unsent;
  /* Cost in bytes of the messages held for sending. */
  uint64_t unsent_bytes;
  /* Cost in bytes of all held messages: for order, for sending, and on the way to legs on other engines. At a cap of
   * the engine or the hub, the set with the greatest product of these bytes and of the time since total_since_ns has
   * to go, or one with at least half of it. */
  uint64_t total_bytes;
  /* The time since which the oldest of these messages has waited, on your clock; CIRCFLOW_NEVER when there is none.
   */
  uint64_t total_since_ns;
  /* The leg that you have named with circflow_set_use_leg(), while that counts; zero when the algorithm chooses. */
  struct circflow_circuit_id named_leg;
} circflow_set_stats;

/* Tells whether a set is alive: CIRCFLOW_OK if so. It is for a host that fed something, or closed a circuit, and has
 * to know what that has done to the set before it drains. It costs much less than circflow_set_get_stats().
 *
 * Own statuses: none. CIRCFLOW_ERR_STALE_ID says that the set has ended; its CIRCFLOW_INSN_ENDED may still wait.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_set_check(struct circflow_engine *engine, struct circflow_set_id set);

/* Gives the figures of a set. Set stats->size to sizeof(circflow_set_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_get_stats(struct circflow_engine *engine,
                                            struct circflow_set_id set,
                                            struct circflow_set_stats *stats);

/* ---- Sets: numbers, if you keep your own ---- */

/* A set's sequence numbers. */
typedef struct circflow_set_numbers {
  /* Number of the last message delivered. */
  uint64_t delivered;
  /* The sending leg, or zero. */
  struct circflow_circuit_id sending;
} circflow_set_numbers;

/* A leg's sequence numbers. */
typedef struct circflow_leg_numbers {
  /* The leg. */
  struct circflow_circuit_id circuit;
  /* Number of the last message sent on it. */
  uint64_t sent;
  /* Number of the last message received on it. */
  uint64_t received;
} circflow_leg_numbers;

/* Reads a set's sequence numbers, for a host that keeps them in structs of its own.
 * @param legs           Gets one entry for each leg, linked or not, in no particular order.
 * @param leg_cap        Entries of room there. CIRCFLOW_LEGS_MAX are always enough.
 * @param leg_count_out  Entries written.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: nothing was written.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_export(struct circflow_engine *engine,
                                         struct circflow_set_id set,
                                         struct circflow_set_numbers *numbers_out,
                                         struct circflow_leg_numbers *legs,
                                         size_t leg_cap,
                                         size_t *leg_count_out);

/* Changes a set's sequence numbers to those of your own structs. A leg whose `received` grows counts as having
 * received messages. Legs that are not named keep their numbers. Messages that become ready are queued as
 * instructions: drain.
 *
 * @param numbers    delivered, and the sending leg (zero for none).
 * @param legs       The legs to change.
 * @param leg_count  How many.
 *
 * Own statuses: CIRCFLOW_ERR_NUMBERS: `received` of a leg is below a message that is held from it; a held message
 * would have a number up to `delivered`; `delivered` is above the `received` of every leg; the sending leg is not
 * linked, or has not the highest `sent`; or a leg that is not linked has numbers. CIRCFLOW_ERR_NOT_A_LEG: a circuit is
 * no leg of this set. CIRCFLOW_ERR_TOO_MANY_LEGS: more than CIRCFLOW_LEGS_MAX are named. After each of them nothing
 * has changed.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_import(struct circflow_engine *engine,
                                         uint64_t now_ns,
                                         struct circflow_set_id set,
                                         const struct circflow_set_numbers *numbers,
                                         const struct circflow_leg_numbers *legs,
                                         size_t leg_count);

/********************************************************************************************************************
 * 9. Streams
 ********************************************************************************************************************/

/* The configuration of a stream. Fill it with circflow_stream_config_init(), then change what you want. */
typedef struct circflow_stream_config {
  /* sizeof(circflow_stream_config) as your compiler saw it. */
  size_t size;
  /* A number of yours. It comes back in every verdict and instruction about the stream. */
  uint64_t tag;
  /* The set that carries the stream, or zero. */
  struct circflow_set_id set;
  /* The circuit that carries the stream, when `set` is zero. */
  struct circflow_circuit_id circuit;
  /* Its stream id in the protocol: not 0, and not in use on this circuit or set. */
  uint16_t stream_id;
  /* The hop at its other end; 0 at a relay. Default 3. */
  uint8_t hop;
  /* The priority: streams with a lower number are read first, equal ones in turn. Default 0. */
  uint8_t priority;
  /* Zero. */
  uint32_t reserved;
} circflow_stream_config;

/* Fills a config with the defaults: the third hop, priority 0. Pass sizeof(circflow_stream_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_config_init(struct circflow_stream_config *config, size_t size);

/* Opens a stream; then send its BEGIN or RESOLVE with circflow_stream_send(). (For a stream that the other end opens,
 * the verdict on its BEGIN has the id.) It lives until an END or RESOLVED is sent or received, or its circuit or set
 * is gone.
 *
 * A client checks the messages that come for its streams (prop324 4.1.4). Before BEGIN or RESOLVE has left, nothing
 * may come. (It has left when the verdict was SEND, or when you have taken its CIRCFLOW_INSN_SEND.) A second
 * CONNECTED, RESOLVED after BEGIN, and CONNECTED or DATA after RESOLVE are dropped (`unexplained` in
 * circflow_engine_stats). For a stream that you have ended, DATA, XON and XOFF may come for stream_remembered_ns, a
 * first CONNECTED, and at last END or RESOLVED. Any other message closes the circuit or set with
 * CIRCFLOW_ERR_UNKNOWN_STREAM.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_RUN: circflow does not run the streams of the circuit. CIRCFLOW_ERR_STREAM_EXISTS:
 * the id is in use, or a client still remembers it; use another, or wait until END or RESOLVED has come from the other
 * end, or for stream_remembered_ns. CIRCFLOW_ERR_IN_SET: a stream to the join point belongs to the set.
 * CIRCFLOW_ERR_TOO_MANY: streams_max are open; or held_bytes_max leaves a client no room to remember the stream (some
 * 10 bytes each when ids are used in turn). CIRCFLOW_ERR_CLOSING. CIRCFLOW_ERR_INVALID: stream id 0, or no such hop.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_stream_open(struct circflow_engine *engine,
                                          uint64_t now_ns,
                                          const struct circflow_stream_config *config,
                                          struct circflow_stream_id *stream_out);

/* Gives a stream another tag. A stream that the other end opened has the tag 0 until then.
 *
 * @param tag  A number of yours. It comes back in every verdict and instruction about the stream.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_retag(struct circflow_engine *engine,
                                           struct circflow_stream_id stream,
                                           uint64_t tag);

/* Gives a stream another priority. A stream that the other end opened has priority 0 until then.
 *
 * @param priority  Streams with a lower number are read first (circflow_stream_choose()), equal ones in turn.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_set_priority(struct circflow_engine *engine,
                                                  struct circflow_stream_id stream,
                                                  uint8_t priority);

/* Reports whether a stream has data to send (1) or not (0), for circflow_stream_choose(). You do not need it if you do
 * not use circflow_stream_choose().
 *
 * @param readable  1 or 0.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_set_readable(struct circflow_engine *engine,
                                                  struct circflow_stream_id stream,
                                                  uint8_t readable);

/* Names the stream of a set or a circuit to read from next: by priority, and in turn among equal ones. Read at most
 * CIRCFLOW_DATA_MAX bytes from it, send them, and ask again. The answer is zero when no readable stream may send now.
 * CIRCFLOW_INSN_MAY_SEND comes when the other end lets one send again.
 *
 * @param set         The set, or zero.
 * @param circuit     The circuit, when `set` is zero.
 * @param stream_out  Written on CIRCFLOW_OK.
 * @param tag_out     The tag of the stream. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: no leg has room, or the circuit has none; wait for CIRCFLOW_INSN_MAY_SEND.
 * CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE. CIRCFLOW_ERR_NOT_RUN.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_stream_choose(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_set_id set,
                                            struct circflow_circuit_id circuit,
                                            struct circflow_stream_id *stream_out,
                                            uint64_t *tag_out);

/* Sends a message on a stream: BEGIN, BEGIN_DIR, DATA, END, CONNECTED, RESOLVE or RESOLVED. (circflow sends XON and
 * XOFF itself.) circflow chooses the leg, and keeps to the window and to the stream's rate. The cell counts as queued.
 *
 * @param message      Its command, body and form are read. The stream id and the hop are those of the stream: write
 *                     them into the cell, as the verdict does not repeat them. On a stream that you opened, the first
 *                     message is BEGIN, BEGIN_DIR or RESOLVE, and it is sent once; circflow does not check this.
 * @param verdict_out  SEND: send the message on the circuit of the verdict, after a SWITCH if switch_delta is not 0.
 *                     If its flags have CIRCFLOW_WANTS_DIGEST, give the digest of the cell to
 *                     circflow_circuit_add_digest(). HELD: padding holds the message back, and it comes back as
 *                     CIRCFLOW_INSN_SEND; or the leg belongs to another engine, and CIRCFLOW_INSN_SEND comes there.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: no leg has room, or the circuit has none; for a message that is not DATA:
 * held_sends_max messages wait already, or no leg is linked now. Wait for CIRCFLOW_INSN_MAY_SEND.
 * CIRCFLOW_ERR_STREAM_STOPPED: DATA, and the other end does not take any on this stream now (XOFF, or its rate); wait
 * for CIRCFLOW_INSN_MAY_SEND with this stream. CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE.
 * CIRCFLOW_ERR_NOT_MULTIPLEXED: BEGIN_DIR in a set. CIRCFLOW_ERR_CLOSING. CIRCFLOW_ERR_INVALID: another command; an
 * empty DATA; body_len above CIRCFLOW_BODY_MAX; or, if the message has to be held, as for circflow_circuit_receive().
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_stream_send(struct circflow_engine *engine,
                                          uint64_t now_ns,
                                          struct circflow_stream_id stream,
                                          const struct circflow_message *message,
                                          struct circflow_verdict *verdict_out);

/* Reports that `bytes` bytes of a stream that were delivered to you have left your buffer. Report all bytes, as you
 * write them to the socket. circflow sends XOFF and XON by the number of bytes that are left (prop324 4.1). At
 * stream_bytes_max it closes the circuit or set.
 *
 * @param bytes  The number of bytes since your last report.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: more bytes than were delivered; nothing changes.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_flushed(struct circflow_engine *engine,
                                             uint64_t now_ns,
                                             struct circflow_stream_id stream,
                                             uint32_t bytes);

/* Figures of a stream. Set size to sizeof before each call. */
typedef struct circflow_stream_stats {
  /* sizeof(circflow_stream_stats) as your compiler saw it. */
  size_t size;
  /* Bytes delivered and not reported with circflow_stream_flushed(). */
  uint32_t buffered_bytes;
  /* The highest value of buffered_bytes so far. */
  uint32_t buffered_bytes_peak;
  /* XOFFs that circflow has sent. */
  uint32_t xoffs_sent;
  /* XONs that circflow has sent. */
  uint32_t xons_sent;
  /* XOFFs that came. */
  uint32_t xoffs_received;
  /* XONs that came. */
  uint32_t xons_received;
  /* 1 between the other end's XOFF and its XON. */
  uint32_t stopped;
  /* Zero. */
  uint32_t reserved;
} circflow_stream_stats;

/* Gives the figures of a stream. Set stats->size to sizeof(circflow_stream_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_get_stats(struct circflow_engine *engine,
                                               struct circflow_stream_id stream,
                                               struct circflow_stream_stats *stats);

/********************************************************************************************************************
 * 10. Hubs
 ********************************************************************************************************************/

/* Joins the engines of one process, so that one set can have legs on several event loops, and all engines share one
 * bound of memory. Opaque. Any thread may use it at any time; nothing else in this header is so.
 *
 * It lives from circflow_hub_new() to circflow_hub_free(). Engines that have joined keep the parts of it that they
 * need. */
typedef struct circflow_hub circflow_hub;

/* The configuration of a hub. Fill it with circflow_hub_config_init(), then change what you want. */
typedef struct circflow_hub_config {
  /* sizeof(circflow_hub_config) as your compiler saw it. */
  size_t size;
  /* Random bytes of yours. circflow hashes nonces with them. All zero is for tests only. */
  uint8_t seed[32];
  /* Bytes that all engines together may hold: for order, for sending, at edges, and on the way between engines.
   * Messages that wait to be handed back to you do not count. With 0 nothing may wait: the first message out of
   * order closes its set, and the first cell at a full channel closes its circuit. Default 1 GiB. */
  uint64_t held_bytes_max;
} circflow_hub_config;

/* Figures of a hub. Set size to sizeof before each call. */
typedef struct circflow_hub_stats {
  /* sizeof(circflow_hub_stats) as your compiler saw it. */
  size_t size;
  /* Engines that have joined and are not freed yet. */
  uint32_t engines;
  /* Zero. */
  uint32_t reserved;
  /* Sets alive, on all engines. */
  uint64_t sets;
  /* Bytes that the engines have reserved for held messages. Each engine reserves blocks of up to 64 KiB (less if
   * held_bytes_max of the hub is below 64 MiB). So this is at least the sum of circflow_engine_stats.held_bytes, and
   * at most one block more for each engine. It is equal to the sum once each engine has been drained to the end,
   * ticked or trimmed. */
  uint64_t reserved_bytes;
  /* The highest value of reserved_bytes so far. It can be up to an eighth above held_bytes_max: when one engine
   * names a victim on another one, the victim's bytes count as free before it is closed. */
  uint64_t reserved_bytes_peak;
  /* Padding cells that the engines have sent. */
  uint64_t padding_sent;
  /* Other cells that the engines have sent, up to their last tick or padding cell. */
  uint64_t others_sent;
  /* Padding cells that a budget refused. */
  uint64_t padding_refused;
} circflow_hub_stats;

/* A function of yours that wakes an engine's event loop. circflow calls it when another engine has sent news to this
 * engine, or when this engine has not taken all its news. The call comes at the end of a call on either engine, on the
 * thread of that call, and from circflow_hub_set_padding_budget(). The function may write to an eventfd or a pipe, and
 * may call circflow_hub_get_stats(); it may do nothing else. (circflow_engine_free() answers CIRCFLOW_ERR_REENTRANT
 * inside it, for every engine.) The loop then calls circflow_engine_tick(), and drains. One call stands for all news
 * that waits; the next comes only after a tick has taken them. If a tick leaves some, the deadline is 0.
 *
 * With an eventfd, the whole code is
 *
 *   static void wake(void *fd) { eventfd_write(*(int *)fd, 1); }
 *
 *   circflow_engine_join(engine, hub, wake, &fd);
 *   for (;;) {
 *      poll(fds, fd_count, timeout_until(deadline));
 *      eventfd_read(fd, &ignored);
 *      circflow_engine_tick(engine, now());
 *      feed_what_came_and_drain();
 *   } */
typedef void (*circflow_notify_fn)(void *userdata);

/* Fills a config with the defaults. Pass sizeof(circflow_hub_config) as size.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_hub_config_init(struct circflow_hub_config *config, size_t size);

/* Makes a hub. On CIRCFLOW_OK it is yours until circflow_hub_free().
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_hub_new(const struct circflow_hub_config *config,
                                      struct circflow_hub **hub_out);

/* Frees a hub. Engines that have joined go on, and stay joined. Until the last of them is freed,
 * circflow_hub_get_stats() still answers, as their notify may call it. All other functions answer
 * CIRCFLOW_ERR_BAD_HANDLE for the hub, this one included. A hub that is NULL is fine.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_hub_free(struct circflow_hub *hub);

/* Joins an engine to a hub. The engine must not have circuits or sets yet. It leaves the hub when it is freed. No
 * other engine of the hub may have its engine_number, and all of them need the same monotonic clock.
 *
 * From then on, a LINK with the nonce of a set on another engine makes the circuit a leg of that set. The set lives on
 * the engine that saw its first LINK: its home. The home has the streams, and every message is delivered there.
 *
 * At the circuit's engine, a message that comes gets the verdict HELD, and a message that the set sends comes as
 * CIRCFLOW_INSN_SEND. At the home, a message that goes out on such a leg gets the verdict HELD, and `circuit` in an
 * instruction can be a circuit of another engine: you may only compare and print this id; it has the tag that you gave
 * the circuit there. A token can cross from one engine to another, and is handed back on the thread of that other
 * engine: your message must be usable there.
 *
 * At the circuit's engine, CIRCFLOW_INSN_PAUSE_FEED with CIRCFLOW_SIDE_BACK means that the home is slow: keep further
 * cells of the circuit. The engine takes edge_over_cells more, then it closes the circuit. Padding on the circuit, its
 * SENDMEs and circflow_leg_update() for it stay with its own engine. A protocol violation on it has the same effect as
 * on a leg at home.
 *
 * Only a LINK finds a set on another engine. So all legs of a client's set are on the engine of the set.
 *
 * When an engine is freed, sets on other engines lose the legs that were its circuits, and CIRCFLOW_INSN_CLOSE comes
 * for legs of its sets on other engines.
 *
 * @param notify    Wakes this engine's loop.
 * @param userdata  The argument of notify. Both are used until the engine is freed.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: the engine has joined a hub already, or has circuits or sets, or its
 * engine_number is used in this hub. CIRCFLOW_ERR_TOO_MANY: the hub has 256 engines.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_join(struct circflow_engine *engine,
                                          struct circflow_hub *hub,
                                          circflow_notify_fn notify,
                                          void *userdata);

/* Names sets and circuits to close, so that `bytes_wanted` bytes become free. Those with the greatest product of bytes
 * and age of the oldest byte come first. One that holds less than a quarter of its share (the cap divided by the
 * number of holders) comes only when no larger one is left. You may call it on any thread; it answers at once. It
 * frees nothing: you close the victims. A victim is not named again until it holds nothing any more. circflow does the
 * same by itself when an engine finds no room; this function is for a host that needs memory for other reasons.
 * Without a hub, circflow_engine_choose_victims() does it for one engine.
 *
 * @param bytes_wanted  The number of bytes that shall become free.
 * @param victims       Entries of room.
 * @param victim_cap    Entries of room in victims. If they are too few, fewer bytes become free.
 * @param count_out     Entries written.
 * @param bytes_out     Bytes that these victims hold together. May be NULL.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_hub_choose_victims(struct circflow_hub *hub,
                                                 uint64_t bytes_wanted,
                                                 struct circflow_victim *victims,
                                                 size_t victim_cap,
                                                 size_t *count_out,
                                                 uint64_t *bytes_out);

/* Gives the figures of a hub. You may call it on any thread. Set stats->size to sizeof(circflow_hub_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_hub_get_stats(struct circflow_hub *hub, struct circflow_hub_stats *stats);

/********************************************************************************************************************
 * 11. Padding
 ********************************************************************************************************************/

/* ---- Padding: machines and padders ---- */

/* Loads a list of padding machines of the maybenot framework (version 2): one machine in each line, in the text form
 * that maybenot writes. They are parsed once, here, and shared by all padders that run them. All machines of a list
 * run together and can signal each other. Load machines that must not do so as separate lists.
 *
 * The text is not trusted. A machine is refused if it cannot be read, if it contains a value that is not a number, if
 * drawing a random number from it could take long, or if it unpacks to more than 1 MiB.
 *
 * @param text          The text. It may end with a NUL, but need not.
 * @param text_len      Bytes in text.
 * @param machines_out  The id of the list, valid until circflow_machines_drop().
 *
 * Own statuses: CIRCFLOW_ERR_BAD_MACHINES: circflow_engine_get_last_detail() says which line, and why.
 * CIRCFLOW_ERR_TOO_MANY: there are 1024 lists; drop one.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_machines_load(struct circflow_engine *engine,
                                            const char *text,
                                            size_t text_len,
                                            struct circflow_machines_id *machines_out);

/* Drops a list of machines. Padders that run it, and numbers under which it is registered, still keep it.
 *
 * @param machines  The list.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_machines_drop(struct circflow_engine *engine, struct circflow_machines_id machines);

/* circflow_padding_config.flags: when all machines of a negotiated padder have ended, circflow stops it and tells the
 * other end (padding-spec 3). */
#define CIRCFLOW_PADDER_STOP_AT_END 1

/* circflow_padding_config.flags: when a block ends, the waiting cells go out at once, before a machine can block
 * again. Without this flag, actions without a delay come first, so that a machine that blocks again at the end of each
 * block lets no cell out. Some machines need this flag: RegulaTor paces its server so. */
#define CIRCFLOW_PADDER_OPEN_BETWEEN 2

/* circflow_padding_config.flags: the machines may run while padding is reduced (circflow_padding_budget). Use it for
 * machines that send little. */
#define CIRCFLOW_PADDER_RUNS_REDUCED 4

/* circflow_padding_config.queued_cells_max: use the parameter circpad_max_circ_queued_cells. */
#define CIRCFLOW_BY_PARAMETER UINT32_MAX

/* The configuration of a padder. Fill it with circflow_padding_config_init(), then change what you want.
 *
 * Fractions go from 0.0 to 1.0. 0.0 means "no limit", as in maybenot; to forbid padding, install no padder. 1.0 means
 * "no limit", too, once one other cell was sent. Each machine also has limits of its own, and an allowance (of padding
 * cells, and of time to block). Until a machine has used up its allowance, no limit applies to it, not even these
 * fractions. So check the machines that you load. */
typedef struct circflow_padding_config {
  /* sizeof(circflow_padding_config) as your compiler saw it. */
  size_t size;
  /* The list of machines, from circflow_machines_load(). Zero: no machines, for an end that only expects padding
   * from the other. */
  struct circflow_machines_id machines;
  /* The part of the cells sent to or through the hop that may be padding. Default 0.0. */
  double padding_fraction;
  /* The part of the time that may be blocked. Default 0.0. */
  double blocking_fraction;
  /* The part of the cells received from or through the hop that may be its padding. More closes the circuit. Default
   * 0.0. */
  double inbound_fraction;
  /* Padding cells that may come before inbound_fraction applies. Default 0. */
  uint64_t inbound_grace;
  /* When so many cells are in the circuit's queue (reported as queued and not as written), padding is refused. The
   * machine hears that it was sent, as one of the waiting cells counts for it. Default CIRCFLOW_BY_PARAMETER: the
   * value of circpad_max_circ_queued_cells when the padder is installed or registered (1000 if you never set it). */
  uint32_t queued_cells_max;
  /* The hop to exchange padding with. Client: 1 to its number of hops; default 2. Relay: 0, the client. */
  uint8_t hop;
  /* The slot, 0 or 1: a hop can have two padders. Default 0. */
  uint8_t slot;
  /* CIRCFLOW_PADDER_*, or-ed together. Default 0. */
  uint8_t flags;
  /* Zero. */
  uint8_t reserved;
} circflow_padding_config;

/* Fills a config with the defaults: no machines, hop 2, slot 0, no limits. Pass sizeof(circflow_padding_config) as
 * size.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_config_init(struct circflow_padding_config *config, size_t size);

/* Installs a padder on a circuit. From now on its machines hear of the circuit's cells, and circflow carries out their
 * padding and blocking. The other end is not told; circflow_padding_start() tells it.
 *
 * From then on report every cell that is received, queued and written, as docs/padding.md describes.
 *
 * Own statuses: CIRCFLOW_ERR_PADDER_EXISTS: the hop's slot is taken. CIRCFLOW_ERR_INVALID: a fraction outside 0.0 to
 * 1.0 (or not a number), a slot above 1, or a hop that the circuit does not have. CIRCFLOW_ERR_CLOSING: the circuit is
 * closing. An id error can be about the circuit or about the machines.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_padding_install(struct circflow_engine *engine,
                                              uint64_t now_ns,
                                              struct circflow_circuit_id circuit,
                                              const struct circflow_padding_config *config);

/* Removes a padder of circflow_padding_install(), with its timers, its block, and its padding cells that still wait.
 * (For a negotiated padder there is circflow_padding_stop().) Messages that it held back go out with the next drain.
 * Up to 1000 padding cells may still come from its hop.
 *
 * @param hop   The hop of the padder; 0 at a relay.
 * @param slot  The slot of the padder, 0 or 1.
 *
 * Own statuses: CIRCFLOW_ERR_NO_PADDER.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_remove(struct circflow_engine *engine,
                                             uint64_t now_ns,
                                             struct circflow_circuit_id circuit,
                                             uint8_t hop,
                                             uint8_t slot);

/* circflow_padding_answered(): you queued or sent a padding cell. */
#define CIRCFLOW_ANSWER_SENT 1

/* circflow_padding_answered(): a waiting cell counts as the padding. */
#define CIRCFLOW_ANSWER_REPLACED 2

/* circflow_padding_answered(): you let one waiting cell out, past the block. It was reported when it was queued. One
 * that waited in its stream is reported now, right before this answer. */
#define CIRCFLOW_ANSWER_RELEASED 3

/* circflow_padding_answered(): you did nothing. The machine does not hear of it. */
#define CIRCFLOW_ANSWER_REFUSED 4

/* Answers a CIRCFLOW_INSN_PADDING with CIRCFLOW_PADDING_ASKS: reports what you did, after you did it. Answer each
 * once. A machine can have 1024 unanswered instructions; then no more come until you answer.
 *
 * @param padding  detail.padding of the instruction.
 * @param answer   CIRCFLOW_ANSWER_*. After SENT, REPLACED and RELEASED the machine hears that its padding was sent.
 *                 After REFUSED it hears nothing, and a machine that waits for its own padding stops then: if your
 *                 queue is only long, answer REPLACED.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_ASKED: it was answered already, or there was no such instruction.
 * CIRCFLOW_ERR_INVALID: an unknown answer.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_answered(struct circflow_engine *engine,
                                               uint64_t now_ns,
                                               struct circflow_circuit_id circuit,
                                               const struct circflow_insn_padding *padding,
                                               uint8_t answer);

/* Figures of a padder. Set size to sizeof before each call. */
typedef struct circflow_padding_stats {
  /* sizeof(circflow_padding_stats) as your compiler saw it. */
  size_t size;
  /* Machines that it runs. */
  uint32_t machines;
  /* Timers that run: for each machine one for its next action and an internal one, and one for the end of the block.
   */
  uint32_t timers;
  /* Cells to or through its hop that were queued and are not padding for this hop. A held message counts when it is
   * held (on a circuit), or when it is sent (in a set). */
  uint64_t normal_sent;
  /* Padding cells of its machines that were queued. */
  uint64_t padding_sent;
  /* Padding cells for which a waiting cell counted. */
  uint64_t replaced;
  /* Padding cells that were not sent: the queue was long, held_sends_max cells waited behind the block, a budget did
   * not allow it (circflow_padding_budget), or you answered REFUSED. */
  uint64_t refused;
  /* Cells that are not padding, from or through its hop. */
  uint64_t normal_received;
  /* Padding cells from its hop. */
  uint64_t padding_received;
  /* Blocks that its machines asked for. */
  uint64_t blocks;
  /* Time for which it has blocked so far, in nanoseconds. */
  uint64_t blocked_ns;
} circflow_padding_stats;

/* Gives the figures of a padder. Set stats->size to sizeof(circflow_padding_stats) first.
 *
 * @param hop   The hop of the padder; 0 at a relay.
 * @param slot  The slot of the padder, 0 or 1.
 *
 * Own statuses: CIRCFLOW_ERR_NO_PADDER.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_get_stats(struct circflow_engine *engine,
                                                struct circflow_circuit_id circuit,
                                                uint8_t hop,
                                                uint8_t slot,
                                                struct circflow_padding_stats *stats);

/* ---- Padding: agreed on with the other end ---- */

/* Registers a machine number of PADDING_NEGOTIATE: the config of the padder to run for it at one end, for all circuits
 * of the engine from now on. The two ends of a number usually run different machines: register one config for each
 * role. Numbers 0 and 1 are Tor's; use numbers from 2 to 255.
 *
 * @param role    CIRCFLOW_ROLE_CLIENT: used by circflow_padding_start(). CIRCFLOW_ROLE_RELAY: used when a client asks
 *                this relay; config->hop is 0 then.
 * @param number  The machine number.
 * @param config  The config; it is copied. NULL: removes the number; padders that run go on.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: as for circflow_padding_install(), or an unknown role. An id error is about the
 * machines.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_padding_register(struct circflow_engine *engine,
                                               uint8_t role,
                                               uint8_t number,
                                               const struct circflow_padding_config *config);

/* Client: starts the padding that is registered under a number. It installs the padder at this end, and queues
 * PADDING_NEGOTIATE(START) to its hop (padding-spec 3). Padding may begin before the answer. First check that the
 * relay has the subprotocol Padding=2. CIRCFLOW_INSN_NEGOTIATED brings the answer. If the relay refuses, circflow
 * removes the padder at this end, and sends no further request on this circuit.
 *
 * @param number  The machine number.
 *
 * Own statuses: CIRCFLOW_ERR_UNKNOWN_PADDING: call circflow_padding_register() for the number first.
 * CIRCFLOW_ERR_PADDER_EXISTS: it runs already, or its slot is taken. CIRCFLOW_ERR_PADDING_REFUSED: the relay refused
 * before. CIRCFLOW_ERR_DISABLED: a budget does not let it run (circflow_padding_budget). CIRCFLOW_ERR_CLOSING.
 * CIRCFLOW_ERR_ROLE: only a client may ask. CIRCFLOW_ERR_INVALID: no such hop. CIRCFLOW_ERR_TOO_MANY: too many padders
 * or unanswered requests. CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_padding_start(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit,
                                            uint8_t number);

/* Stops the padding that was negotiated under a number. It removes the padder at this end, and queues
 * PADDING_NEGOTIATE(STOP) (client) or PADDING_NEGOTIATED(STOP) (relay).
 *
 * @param number  The machine number.
 *
 * Own statuses: CIRCFLOW_ERR_NO_PADDER: it does not run. CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_stop(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_circuit_id circuit,
                                           uint8_t number);

/* ---- Padding: what an operator allows ---- */

/* The padding that an operator allows, on one engine or on all engines of a hub. Fill it with
 * circflow_padding_budget_init(), then change what you want. Padding above it is refused; the machine hears that it
 * was sent, as it could stop otherwise. */
typedef struct circflow_padding_budget {
  /* sizeof(circflow_padding_budget) as your compiler saw it. */
  size_t size;
  /* Padding cells that may be sent before percent_max applies, since the engine (or the hub) was made. Default 0. */
  uint32_t allowed_cells;
  /* The part of all cells sent since the engine (or the hub) was made that may be padding, in percent, 0 to 100.
   * While it is above that, no padding is sent. Default 0: no limit. A cell that passes a relay counts if it goes
   * towards the client. */
  uint32_t percent_max;
  /* 1: no padding. No padding cell is sent, not even one that waits behind a block. Blocks end at once.
   * circflow_padding_start() answers CIRCFLOW_ERR_DISABLED, and a relay refuses the requests of clients. Padders
   * stay, hear of cells, and go on when it is 0 again. Default 0. */
  uint32_t disabled;
  /* 1: as `disabled`, for padders without CIRCFLOW_PADDER_RUNS_REDUCED only. Default 0. */
  uint32_t reduced;
} circflow_padding_budget;

/* Fills a budget with the defaults: everything is allowed. Pass sizeof(circflow_padding_budget) as size.
 *
 * @param budget  The struct that is filled.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_budget_init(struct circflow_padding_budget *budget, size_t size);

/* Sets the padding budget of an engine from now on. You may call it at any time; cells that were sent before count,
 * too. There are two more budgets: that of the consensus (circpad_global_allowed_cells,
 * circpad_global_max_padding_pct, circpad_padding_disabled and circpad_padding_reduced of
 * circflow_engine_set_param()), and that of the hub. Padding is sent only if all three allow it. circflow_engine_stats
 * has the figures.
 *
 * On a circuit with CIRCFLOW_CIRCUIT_OWN_QUEUE a padding cell counts when you answer CIRCFLOW_ANSWER_SENT, so
 * instructions that wait for an answer can exceed the budget.
 *
 * @param budget  Copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: percent_max above 100, or disabled or reduced above 1; nothing changes.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_set_padding_budget(struct circflow_engine *engine,
                                                        const struct circflow_padding_budget *budget);

/* Sets the padding budget of all engines of a hub together from now on. You may call it on any thread. An engine
 * counts the cells that it sends after it has joined; it tells the hub of cells that are not padding when it pads or
 * is ticked. If machines that ran may not run any more, this call calls the notify of each engine, and blocks end with
 * the engine's next circflow_engine_tick(). circflow_hub_stats has the figures.
 *
 * @param budget  Copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: as for circflow_engine_set_padding_budget().
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_hub_set_padding_budget(struct circflow_hub *hub,
                                                     const struct circflow_padding_budget *budget);

/********************************************************************************************************************
 * 12. Queues
 ********************************************************************************************************************/

/* An answer of circflow_queue_try_send_fn: the sink has taken the item. */
#define CIRCFLOW_SINK_TAKEN 0

/* An answer of circflow_queue_try_send_fn: the sink has no room now, and has taken nothing. */
#define CIRCFLOW_SINK_FULL 1

/* An answer of circflow_queue_try_send_fn: the sink will never take an item again, and has taken nothing. */
#define CIRCFLOW_SINK_CLOSED 2

/* circflow_queue_config.backlog_max for rare commands, and the default. A consumer that runs handles each within a
 * turn or two of its loop, so it has stopped when eight wait. */
#define CIRCFLOW_BACKLOG_SPARSE 8

/* circflow_queue_config.backlog_max for events of which one block of input brings many: as many as the least
 * edge_over_cells, so that a source that pauses in time never meets the cap. */
#define CIRCFLOW_BACKLOG_EVENTS 32

/* The highest circflow_queue_config.backlog_max. */
#define CIRCFLOW_BACKLOG_MAX 4096

/* The highest circflow_queue_config.item_bytes_max: the longest cell of the link protocol. */
#define CIRCFLOW_QUEUE_ITEM_MAX 65542

/* circflow_queue_item.form: there was no item. */
#define CIRCFLOW_FORM_NONE 255

/* A queue of items that wait, in order, for a sink of yours that can be full or closed. Opaque.
 *
 * It needs no engine, and knows no circuits, time or instructions. It lives from circflow_queue_new() to
 * circflow_queue_free(). One thread at a time may use it. circflow_queue_push() and circflow_queue_drain() call your
 * sink, and circflow_queue_free() calls your discard function. Inside these callbacks, every call on the same queue
 * answers CIRCFLOW_ERR_REENTRANT and does nothing. */
typedef struct circflow_queue circflow_queue;

/* The configuration of a queue. Fill it with circflow_queue_config_init(), then change what you want. */
typedef struct circflow_queue_config {
  /* sizeof(circflow_queue_config) as your compiler saw it. */
  size_t size;
  /* Items that may wait, 0 to CIRCFLOW_BACKLOG_MAX. With 0, an item that the sink does not take is refused. Default
   * CIRCFLOW_BACKLOG_SPARSE. */
  uint32_t backlog_max;
  /* Bytes of the longest item, 0 (tokens only) to CIRCFLOW_QUEUE_ITEM_MAX. Each item of bytes that waits uses so
   * much memory. Default 514, a cell. */
  uint32_t item_bytes_max;
} circflow_queue_config;

/* An item: a token, which is any number of yours, or bytes, which the queue copies only if they have to wait. */
typedef struct circflow_queue_item {
  /* With CIRCFLOW_FORM_TOKEN, the token. */
  uint64_t token;
  /* With CIRCFLOW_FORM_BYTES, the bytes; may be NULL when there are none. */
  const uint8_t *bytes;
  /* With CIRCFLOW_FORM_BYTES, the number of bytes. */
  uint32_t bytes_len;
  /* CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN. */
  uint8_t form;
} circflow_queue_item;

/* A function of yours that offers one item to your sink. Answer CIRCFLOW_SINK_TAKEN, CIRCFLOW_SINK_FULL or
 * CIRCFLOW_SINK_CLOSED at once. After any other answer the item counts as not taken, and circflow_queue_push() or
 * circflow_queue_drain() answers CIRCFLOW_ERR_INVALID. After an exception the item counts as not taken, too. The item
 * and its bytes are valid during the call. */
typedef int32_t (*circflow_queue_try_send_fn)(void *userdata, const struct circflow_queue_item *item);

/* A function of yours that answers 0 while your sink is open, and any other number once it will never take an item
 * again. */
typedef int32_t (*circflow_queue_is_closed_fn)(void *userdata);

/* A function of yours that circflow_queue_free() calls for each item that waits, first to last. The item is yours
 * again. Its bytes are valid during the call. */
typedef void (*circflow_queue_discard_fn)(void *userdata, const struct circflow_queue_item *item);

/* Your sink. It is read in each call, and not kept. */
typedef struct circflow_queue_sink {
  /* Must not be NULL. */
  circflow_queue_try_send_fn try_send;
  /* Must not be NULL. It is called before an item is put to wait, and before a waiting item is offered. */
  circflow_queue_is_closed_fn is_closed;
  /* The argument of both functions. */
  void *userdata;
} circflow_queue_sink;

/* Fills a config with the defaults. Pass sizeof(circflow_queue_config) as size.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_config_init(struct circflow_queue_config *config, size_t size);

/* Makes a queue. On CIRCFLOW_OK it is yours until circflow_queue_free(). It allocates memory for items only when one
 * has to wait. When none waits any more, it keeps memory for CIRCFLOW_BACKLOG_SPARSE items, or for as many as have
 * waited twice in a row, at most 64.
 *
 * @param config  From circflow_queue_config_init(). It is copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: backlog_max or item_bytes_max is too large.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_queue_new(const struct circflow_queue_config *config,
                                        struct circflow_queue **queue_out);

/* Frees a queue. It first hands back the items that wait through `discard`, in order, also when the queue is poisoned.
 * A queue that is NULL is fine.
 *
 * @param discard  Called once for each item that waits. It may be NULL: then the items are dropped.
 *
 * Own statuses: CIRCFLOW_ERR_REENTRANT inside a callback of this queue: the queue lives on.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_free(struct circflow_queue *queue,
                                         circflow_queue_discard_fn discard,
                                         void *userdata);

/* Sends an item: to the sink if no item waits, otherwise to the end of the waiting items. The order is always kept.
 *
 * @param item      The item. It is copied if it has to wait.
 * @param kept_out  0 when the sink has taken the item, 1 when it waits. After 1 stop reading the source, drain when
 *                  the sink has room, and read again when circflow_queue_get_pending() gives 0. May be NULL.
 * @param sink      Your sink.
 *
 * Own statuses: CIRCFLOW_ERR_QUEUE_FULL: the sink is full, and backlog_max items wait. CIRCFLOW_ERR_SINK_CLOSED: take
 * waiting items out with circflow_queue_take(). CIRCFLOW_ERR_NULL: the item, its bytes, the sink or one of its
 * functions is NULL. CIRCFLOW_ERR_INVALID: an unknown form, more bytes than item_bytes_max, or an unknown answer of
 * try_send. After each of them the item is still yours.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_queue_push(struct circflow_queue *queue,
                                         const struct circflow_queue_item *item,
                                         uint8_t *kept_out,
                                         const struct circflow_queue_sink *sink);

/* Moves waiting items into the sink, one at a time and in order, until the sink is full or no item waits. An item that
 * is not taken stays the first. Call it when the sink has room again and circflow_queue_get_pending() gives 1.
 *
 * @param moved_out  Number of items that the sink has taken. May be NULL.
 * @param sink       Your sink.
 *
 * Own statuses: CIRCFLOW_ERR_SINK_CLOSED, also when no item waits: take waiting items out with circflow_queue_take().
 * CIRCFLOW_ERR_NULL: the sink or one of its functions is NULL. CIRCFLOW_ERR_INVALID: an unknown answer of try_send;
 * the item still waits.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_drain(struct circflow_queue *queue,
                                          uint32_t *moved_out,
                                          const struct circflow_queue_sink *sink);

/* Gives the number of items that wait.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_get_len(struct circflow_queue *queue, uint32_t *len_out);

/* Tells whether an item waits: 1 or 0. While it is 1, wait for room in the sink, and do not read the source.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_get_pending(struct circflow_queue *queue, uint8_t *pending_out);

/* Takes the first waiting item back out, whatever the state of the sink. Use it after CIRCFLOW_ERR_SINK_CLOSED. When
 * no item waits, item_out->form is CIRCFLOW_FORM_NONE.
 *
 * @param buf       Room for the bytes; item_out->bytes points there. item_bytes_max bytes are always enough.
 * @param buf_cap   Bytes of room there.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: the item has more bytes. It is still the first: call again with a larger
 * buffer.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_queue_take(struct circflow_queue *queue,
                                         uint8_t *buf,
                                         size_t buf_cap,
                                         struct circflow_queue_item *item_out);

/********************************************************************************************************************
 * 13. Cells and bodies
 ********************************************************************************************************************/

/* Relay cell format of tor1 circuits (tor-spec 6.1): circflow_cell_encode() and _decode(). */
#define CIRCFLOW_CELL_V0 0

/* Relay cell format of counter-galois circuits: circflow_cell_encode() and _decode(). */
#define CIRCFLOW_CELL_V1 1

/* RELAY_BEGIN. */
#define CIRCFLOW_CMD_BEGIN 1

/* RELAY_DATA. */
#define CIRCFLOW_CMD_DATA 2

/* RELAY_END. */
#define CIRCFLOW_CMD_END 3

/* RELAY_CONNECTED. */
#define CIRCFLOW_CMD_CONNECTED 4

/* RELAY_SENDME. */
#define CIRCFLOW_CMD_SENDME 5

/* RELAY_DROP. */
#define CIRCFLOW_CMD_DROP 10

/* RELAY_RESOLVE. */
#define CIRCFLOW_CMD_RESOLVE 11

/* RELAY_RESOLVED. */
#define CIRCFLOW_CMD_RESOLVED 12

/* RELAY_BEGIN_DIR. */
#define CIRCFLOW_CMD_BEGIN_DIR 13

/* RELAY_CONFLUX_LINK. */
#define CIRCFLOW_CMD_LINK 19

/* RELAY_CONFLUX_LINKED. */
#define CIRCFLOW_CMD_LINKED 20

/* RELAY_CONFLUX_LINKED_ACK. */
#define CIRCFLOW_CMD_LINKED_ACK 21

/* RELAY_CONFLUX_SWITCH. */
#define CIRCFLOW_CMD_SWITCH 22

/* RELAY_PADDING_NEGOTIATE. */
#define CIRCFLOW_CMD_PADDING_NEGOTIATE 41

/* RELAY_PADDING_NEGOTIATED. */
#define CIRCFLOW_CMD_PADDING_NEGOTIATED 42

/* RELAY_XOFF. */
#define CIRCFLOW_CMD_XOFF 43

/* RELAY_XON. */
#define CIRCFLOW_CMD_XON 44

/* Gives 1 when a relay command is multiplexed: it has a sequence number in a set, goes on the leg that the set
 * chooses, and is delivered in order. BEGIN, DATA, END, CONNECTED, RESOLVE, RESOLVED, XOFF and XON are multiplexed.
 * BEGIN_DIR is not, although it has a stream id (prop329 2.8). Otherwise 0.
 *
 * @param command  CIRCFLOW_CMD_*, or any other.
 *
 * Inside drain: yes. Since: 0.1. */
uint8_t circflow_command_is_multiplexed(uint8_t command);

/* Writes a relay message as the body of a cell: header, body, four zero bytes. The fields of the crypto layer are zero
 * (V0: "recognized" and "digest"; V1: the first 16 bytes). circflow does not change the rest of the cell, as it has no
 * randomness: fill the rest with random bytes, before or after the call (tor-spec 6.1).
 *
 * @param format           CIRCFLOW_CELL_V0 or CIRCFLOW_CELL_V1.
 * @param message          The message. Its command, stream id and body are read.
 * @param cell             CIRCFLOW_CELL_BODY_LEN bytes. Written on CIRCFLOW_OK.
 * @param random_from_out  The offset in cell at which the random bytes begin; CIRCFLOW_CELL_BODY_LEN when there is no
 *                         room for any. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_UNENCODABLE. CIRCFLOW_ERR_INVALID: an unknown format, or a message that
 * circflow_circuit_receive() refuses with this status.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_cell_encode(uint8_t format,
                                          const struct circflow_message *message,
                                          uint8_t *cell,
                                          size_t *random_from_out);

/* Reads the relay message from the body of a recognised cell. It does not read the fields of the crypto layer. It
 * checks that the stream id fits the command.
 *
 * @param format       CIRCFLOW_CELL_V0 or CIRCFLOW_CELL_V1.
 * @param cell         CIRCFLOW_CELL_BODY_LEN bytes.
 * @param message_out  Written on CIRCFLOW_OK. Its body points into `cell`; its hop is 0: set it.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED, CIRCFLOW_ERR_BAD_COMMAND (V1 only: the start of the body depends on the
 * command), CIRCFLOW_ERR_BAD_STREAM_ID: close the circuit. CIRCFLOW_ERR_INVALID: an unknown format.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_cell_decode(uint8_t format,
                                          const uint8_t *cell,
                                          struct circflow_message *message_out);

/* Bytes of a SWITCH body. */
#define CIRCFLOW_SWITCH_LEN 4

/* Writes the body of SWITCH: the switch_delta of a verdict, most significant byte first. Send it with
 * CIRCFLOW_CMD_SWITCH and no stream id, on the leg of the verdict, right before the message.
 *
 * @param switch_delta  The number of the verdict.
 * @param body          CIRCFLOW_SWITCH_LEN bytes of room.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_switch_encode(uint32_t switch_delta, uint8_t *body);

/* Reads the body of SWITCH: how far the leg's sequence number jumps. Bytes after CIRCFLOW_SWITCH_LEN are ignored. You
 * do not need it for circflow_circuit_receive(), which reads the body itself.
 *
 * @param body       The body of the message.
 * @param delta_out  The jump. It can be 0: of honest peers only C Tor sends this, once at most.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_switch_decode(const uint8_t *body,
                                            size_t body_len,
                                            uint32_t *delta_out);

/* Bytes of a LINK or LINKED body. */
#define CIRCFLOW_LINK_LEN 50

/* The body of LINK and of LINKED (prop329 2.2). LINKED_ACK has no body. The nonce is a secret, as anybody who knows it
 * can join the set: wipe this struct and the encoded bytes after use. */
typedef struct circflow_link {
  /* The nonce of the set to which the circuit belongs. */
  uint8_t nonce[CIRCFLOW_NONCE_LEN];
  /* Number of the last message that the sender of this body has sent in the set; 0 in a new one. */
  uint64_t last_sent;
  /* Number of the last message that it has received. */
  uint64_t last_received;
  /* How the other end should choose its sending leg, CIRCFLOW_UX_*. */
  uint8_t desired_ux;
  /* Zero after decoding. Ignored when encoding. */
  uint8_t reserved[7];
} circflow_link;

/* Writes the body of LINK or LINKED, version 1. Send it with CIRCFLOW_CMD_LINK or CIRCFLOW_CMD_LINKED and no stream
 * id. It is for hosts that do the handshake themselves. (circflow_set_add_legs() and circflow_engine_accept_sets()
 * write it with 0 for both numbers.)
 *
 * @param link  Copied.
 * @param body  CIRCFLOW_LINK_LEN bytes of room. Written on CIRCFLOW_OK. It contains the nonce: wipe it after sending.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: an unknown desired_ux.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_link_encode(const struct circflow_link *link, uint8_t *body);

/* Reads the body of LINK or LINKED. Bytes after CIRCFLOW_LINK_LEN are ignored. An unknown desired_ux becomes
 * CIRCFLOW_UX_NO_OPINION.
 *
 * @param body      The body of the message.
 * @param link_out  Written on CIRCFLOW_OK. It contains the nonce: wipe it after use. Compare nonces in constant time.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: it is too short, or has another version; close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_link_decode(const uint8_t *body,
                                          size_t body_len,
                                          struct circflow_link *link_out);

/* Bytes of the longest body that circflow_sendme_encode() writes. */
#define CIRCFLOW_SENDME_MAX 23

/* Writes the body of a circuit-level SENDME, version 1 (prop289): the digest of the DATA cell that it acknowledges.
 *
 * @param digest      20 bytes (tor1) or 16 (counter-galois).
 * @param digest_len  Which of the two.
 * @param body        CIRCFLOW_SENDME_MAX bytes of room.
 * @param len_out     Bytes written.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: another digest_len.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_sendme_encode(const uint8_t *digest,
                                            size_t digest_len,
                                            uint8_t *body,
                                            size_t *len_out);

/* Reads the body of a SENDME: the digest of the cell that it acknowledges.
 *
 * @param body            The body of the message.
 * @param digest          20 bytes of room for the digest.
 * @param digest_len_out  Bytes of the digest: 20 or 16; 0 for a SENDME of version 0, which has no digest. Close the
 *                        circuit then if it has congestion control.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_sendme_decode(const uint8_t *body,
                                            size_t body_len,
                                            uint8_t *digest,
                                            size_t *digest_len_out);

/* Bytes of an XON body. */
#define CIRCFLOW_XON_LEN 5

/* Writes the body of XON: the rate to send at, in units of 1000 bytes a second, 0 for unlimited (prop324 4.1.2). The
 * body of XOFF is one zero byte.
 *
 * @param rate  The rate, or 0.
 * @param body  CIRCFLOW_XON_LEN bytes of room. Written on CIRCFLOW_OK.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_xon_encode(uint32_t rate, uint8_t *body);

/* Reads the body of XON.
 *
 * @param body  The body of the message.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_xon_decode(const uint8_t *body, size_t body_len, uint32_t *rate_out);

/* Checks the body of XOFF.
 *
 * @param body  The body of the message.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_xoff_decode(const uint8_t *body, size_t body_len);

/********************************************************************************************************************
 * 14. Log lines
 ********************************************************************************************************************/

/* A function of yours that gets each log line: the level from 1 (error) to 5 (trace), the engine_number, and the text,
 * which is valid during the call. A line comes at the end of the call that it is about. Inside it, do not call
 * functions on that engine. */
typedef void (*circflow_log_fn)(void *userdata, uint32_t level, uint32_t engine_number, const char *line);

/* Sets the function that gets the log lines of this library, for the whole process. NULL: none. Without a function no
 * line is made. A line is about an event of docs/events.md: the name of its kind, what happened, and the kind's
 * fields. Level 3 tells the life of sets and legs, 4 what changes something, 5 every message. Secrets (nonces) are
 * never in a line. Levels 4 and 5 tell when messages came and went: at a relay, what docs/events.md says of records
 * holds for them.
 *
 * An engine gives at most 64 lines in one second of your clock, 16 of them of one kind, and leaves some of the 64 to
 * lines of lower levels. How many of a kind were left out is told when the second is over; log_dropped counts them.
 *
 * An engine sees a new level at the end of its next drain; for lines of levels 1 to 3, at once.
 *
 * If Rust code in your process has set a `tracing` subscriber of its own, that gets the lines, and this call has no
 * effect. A line that another thread is making may still reach the old function after this call: keep its userdata
 * valid until the calls of those threads have returned.
 *
 * @param fn         Called in whatever thread makes the line.
 * @param level_max  The highest level to log: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: level_max is not 1 to 5.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_log_set_fn(uint32_t level_max, circflow_log_fn fn, void *userdata);

#ifdef __cplusplus
}
#endif

#endif
