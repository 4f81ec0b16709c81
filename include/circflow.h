/* circflow: the flow logic of Tor circuits, for C programs with an event loop of their own.
 *
 * This file is generated from src/ffi; change it there. License: MIT OR Apache-2.0.
 *
 * Contents, with the functions of each section, most without the words that all of them begin with (circflow_, and what
 * the title says). Search for a title, with its number, to get there.
 *
 *   1. Version and statuses               version status_text status_name status_class status_close_reason
 *   2. Ids
 *   3. Messages and verdicts              verdict_kind_name
 *   4. Instructions                       insn_kind_name
 *   5. Engines, circflow_engine_*
 *        life                             config_init new free
 *        turns of your loop               poll drain get_deadline tick set_clock
 *        parameters of a consensus        set_param get_param
 *        figures                          get_stats trim get_last_detail
 *   6. Circuits, circflow_circuit_*
 *        life                             config_init open built set_flags close gone
 *        getting longer                   circflow_extension_config_init extend
 *        messages that come               receive
 *        messages that go                 send cell_queued add_digest cells_written
 *        cells that pass, channels        relay set_writable cell_passed
 *        your congestion control          circflow_leg_update
 *        figures                          get_stats
 *   7. Sets, circflow_set_*
 *        life                             config_init circflow_engine_accept_sets open close dissolve retag
 *                                         use_algorithm
 *        legs                             add_legs launch_legs adopt_leg circflow_leg_get_stats
 *        messages that go                 decide send get_decision get_room
 *        messages that are ready          poll poll_tokens
 *        figures                          get_stats
 *        numbers, if you keep your own    export import
 *   8. Streams, circflow_stream_*         config_init open retag set_priority set_readable choose send flushed
 *                                         get_stats
 *   9. Hubs, circflow_hub_*               config_init new free circflow_engine_join choose_victims get_stats
 *  10. Padding, circflow_padding_*
 *        machines and padders             circflow_machines_load circflow_machines_drop config_init install remove
 *                                         answered get_stats
 *        agreed on with the other end     register start stop
 *        what an operator allows          budget_init circflow_engine_set_padding_budget
 *                                         circflow_hub_set_padding_budget
 *  11. Queues, circflow_queue_*           config_init new free push drain get_len get_pending take
 *  12. Cells and bodies                   command_is_multiplexed cell_encode cell_decode switch_encode switch_decode
 *                                         link_encode link_decode sendme_encode sendme_decode xon_encode xon_decode
 *                                         xoff_decode
 *  13. Log lines                          log_set_fn
 *
 * You have an engine for each event loop. You feed it: relay messages that arrived, decrypted; how your congestion
 * control and channels stand; and the time. Each feed answers at once with a verdict about the very thing you fed. All
 * else that follows waits as instructions in one ordered queue, which you poll or drain.
 *
 * Six sentences hold everywhere:
 *
 *  1. Feed, then drain. A feed answers with a verdict and may queue instructions; drain them before you sleep.
 *  2. Time comes in. Every feed takes the host's monotonic nanoseconds; the library owns no clock, thread, socket or
 *     randomness. Equal time is normal; an earlier time is read as the latest seen and counted.
 *  3. No pointer survives a call, except the engine, the hub and your opaque user data.
 *  4. An engine's callbacks come only from drain, free (handing tokens back), the log function, and notify (which can
 *     come on any thread and may only wake the engine's loop). Inside drain's callback you may feed; you may not poll,
 *     drain or free.
 *  5. One engine, one thread at a time. Engines meet only in a hub.
 *  6. An error changes nothing, unless its class is PEER or LIMIT (a circuit or a set has to go: an instruction says
 *     which) or FATAL (the engine is gone).
 *
 * A loop looks like this:
 *
 *     on a cell:    decrypt it; circflow_circuit_receive(); act on the verdict; drain; arm the timer
 *     on a stream:  circflow_set_send(); write SWITCH if it says so, then the message; drain; arm the timer
 *     on SENDME:    circflow_leg_update(); drain; arm the timer
 *     on the timer: circflow_engine_tick(); drain; arm the timer with circflow_engine_get_deadline()
 *
 * Of circuits that circflow runs (CIRCFLOW_CIRCUIT_REACTOR):
 *
 *     on a cell:    decrypt it; circflow_circuit_receive() if it is recognised, with its digest, else
 *                   circflow_circuit_relay(); act on the verdict; drain; arm the timer
 *     on a stream:  circflow_stream_choose(); read from that one; circflow_stream_send(); write SWITCH if it says so,
 *                   then the message; give its digest if it is wanted; again until NO_ROOM or none; drain; arm
 *                   the timer
 *     on written:   circflow_stream_flushed(), for what has left a stream's buffer; drain; arm the timer
 *     on a channel: circflow_circuit_set_writable(), for each circuit on it, when it fills up or has room; drain
 *
 * Beside engines stands circflow_queue, a small backlog before a sink of yours that can be full; it calls that sink
 * from inside circflow_queue_push() and circflow_queue_drain(), and nowhere else.
 *
 * Names say who does what. A function is circflow_<noun>_<what>, and the noun is what it is about:
 *
 *     imperative     circflow does it, in this call: circuit_close, set_send, stream_choose
 *     participle     you say that it has happened: circuit_gone, circuit_cell_queued, stream_flushed
 *     get_, set_     reads, and changes nothing; writes a setting (of a set: retag, use_algorithm)
 *     config_init    fills in the defaults
 *     a property     of a plain value, without an engine: status_class, command_is_multiplexed
 *
 * In a verdict or an instruction the imperative is yours to do (SEND, DELIVER, CLOSE, PAUSE_FEED); all else is news
 * (HELD, LINKED, MAY_SEND). One word has one meaning: a tag is a word of yours that comes back, a digest is what a
 * SENDME brings back; there is room, or not, for what you send (NO_ROOM, then MAY_SEND); you feed what arrives
 * (PAUSE_FEED, UNPAUSE_FEED); padding blocks (BLOCK, UNBLOCK); a channel is the link to the next relay, a sink is where
 * a queue puts its items; a circuit that is closing still has its id, one that is gone has not. Names that end in _ns
 * are nanoseconds, in _bytes or _len bytes, in _cells cells, in _max a highest value.
 *
 * A callback returns. A C++ exception may leave it, if you must: it passes through the library to whoever made the
 * call, the engine (or queue) of that call is poisoned, as its answer is lost, and circflow_engine_free() (or
 * circflow_queue_free()) works. A second exception, from a notify that is called while the first one passes, ends the
 * process. To leave a callback by longjmp() is undefined.
 *
 * When malloc fails, the process is aborted, as C Tor does it too (tor_malloc()): nearly every call can allocate, so
 * a status for it would stand at each and be tested at none. What a peer can make circflow keep is under the caps you
 * set, which answer with a status long before.
 *
 * What is said of each function here, and what holds for all of them and is not repeated:
 *
 *   what it does    First, with the units, ranges and owners of what goes in and out. `now_ns` is your monotonic clock,
 *                   in nanoseconds. What a function ending in _new gives is yours until _free, an id from _open until
 *                   the thing it names has gone. All else behind a pointer is read or written during the call and not
 *                   kept, unless it says so. An argument ending in _out is written on CIRCFLOW_OK only, and may not be
 *                   NULL unless it says so. Structs that begin with `size` may grow: fill them with their _init, or set
 *                   `size` to their sizeof before they are read into.
 *   Own statuses    Those to expect of this very function, with your next move where the status itself does not say it.
 *                   Besides, every function that takes an engine, a queue or a hub can answer CIRCFLOW_ERR_NULL (for
 *                   any pointer that may not be), CIRCFLOW_ERR_BAD_HANDLE and, but for a hub, CIRCFLOW_ERR_REENTRANT
 *                   and CIRCFLOW_ERR_POISONED; every function CIRCFLOW_ERR_PANIC; one that takes a struct that begins
 *                   with `size`, CIRCFLOW_ERR_VERSION; one that takes an id, CIRCFLOW_ERR_ZERO_ID,
 *                   CIRCFLOW_ERR_FOREIGN_ID or CIRCFLOW_ERR_STALE_ID ("an id error": what it named is gone, or never
 *                   was); and one that takes an id and a time, CIRCFLOW_ERR_EXPIRED.
 *   Inside drain    Whether it may be called from inside the callback of circflow_engine_drain(), on that very engine.
 *                   Where not, it answers CIRCFLOW_ERR_REENTRANT, and does nothing.
 *   Since           The version that had it first.
 */

#ifndef CIRCFLOW_H
#define CIRCFLOW_H

#include <stddef.h>
#include <stdint.h>

/* One number for comparisons: major << 16 | minor << 8 | patch. circflow_version() is that of the library. */
#define CIRCFLOW_VERSION_MAJOR 0
#define CIRCFLOW_VERSION_MINOR 1
#define CIRCFLOW_VERSION_PATCH 0
#define CIRCFLOW_VERSION ((CIRCFLOW_VERSION_MAJOR << 16) | (CIRCFLOW_VERSION_MINOR << 8) | CIRCFLOW_VERSION_PATCH)

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

/* What a call answers: CIRCFLOW_OK, or a negative code in one of five bands:
 *
 *   -1 to  -99  MISUSE   the call was refused and nothing changed; mend the call
 * -100 to -199  NOT_NOW  nothing changed; try again after what the code names
 * -200 to -299  PEER     the peer broke the protocol; the close of the circuit or the set is queued. (From the
 *                        functions for cells and bodies, which know no circuit, the close is yours.)
 * -300 to -399  LIMIT    a cap or a time bound was reached; the close of its victim is queued
 * -500 and on   FATAL    the engine is of no use any more; only circflow_engine_free() works
 *
 * circflow_status_class() tells the band, circflow_status_text() the sentence, circflow_status_close_reason() the
 * reason to close a circuit with. Numbers are never used again for something else.
 */
typedef enum circflow_status {
  /* Done. */
  CIRCFLOW_OK = 0,
  /* A pointer that must not be NULL was NULL. */
  CIRCFLOW_ERR_NULL = -1,
  /* An argument is out of its range; circflow_engine_get_last_detail() says which. */
  CIRCFLOW_ERR_INVALID = -2,
  /* The id named something that is gone. Normal for a loop that queues ids: forget it. */
  CIRCFLOW_ERR_STALE_ID = -3,
  /* The id was given out by another engine, or names another kind of thing (a set's given as a circuit's). */
  CIRCFLOW_ERR_FOREIGN_ID = -4,
  /* The id is zero, which names nothing. */
  CIRCFLOW_ERR_ZERO_ID = -5,
  /* The engine is inside a call already: poll, drain or free from inside a callback, or anything from inside the
   * log function. */
  CIRCFLOW_ERR_REENTRANT = -6,
  /* The buffer has no room for what would be written. Nothing was taken; call again with CIRCFLOW_BODY_MAX bytes. */
  CIRCFLOW_ERR_TOO_SMALL = -7,
  /* The size of a struct is not one this library knows, or its unknown tail is not zero. Use the _init function. */
  CIRCFLOW_ERR_VERSION = -8,
  /* The circuit is no leg of a set. */
  CIRCFLOW_ERR_NOT_A_LEG = -9,
  /* The circuit is a leg already. */
  CIRCFLOW_ERR_IN_SET = -10,
  /* The legs of a set must have the same length and the same join point. */
  CIRCFLOW_ERR_LEG_MISMATCH = -11,
  /* A circuit that has carried streams cannot become a leg. */
  CIRCFLOW_ERR_HAS_STREAMS = -12,
  /* A leg needs window-based (Vegas) congestion control with the join point. */
  CIRCFLOW_ERR_NO_VEGAS = -13,
  /* Only multiplexed commands are sent through a set: BEGIN, DATA, END, CONNECTED, RESOLVE, RESOLVED, XOFF, XON.
   * Send the message on its own circuit. BEGIN_DIR cannot be sent on a leg at all. */
  CIRCFLOW_ERR_NOT_MULTIPLEXED = -14,
  /* A cell was reported as queued that does not fit: a message on a leg that needs a SWITCH first, a SWITCH that
   * leads nowhere, or a second one. Decide first, and report what you were told, in its order. */
  CIRCFLOW_ERR_NOT_DECIDED = -15,
  /* The list of legs is empty. */
  CIRCFLOW_ERR_NO_LEGS = -16,
  /* Imported numbers contradict what is held, or each other. */
  CIRCFLOW_ERR_NUMBERS = -17,
  /* The leg is not the only one of its set, or messages are held, or not all of the set's numbers are on it. */
  CIRCFLOW_ERR_NOT_ALONE = -18,
  /* More legs than the set may have. */
  CIRCFLOW_ERR_TOO_MANY_LEGS = -19,
  /* More launches than this nonce may have before the set is usable. */
  CIRCFLOW_ERR_TOO_MANY_LAUNCHES = -20,
  /* A live set of this engine has this nonce. Draw a fresh one. */
  CIRCFLOW_ERR_NONCE_IN_USE = -21,
  /* The circuit plays the other role, or goes on to another hop. */
  CIRCFLOW_ERR_ROLE = -22,
  /* A message cannot be written as a cell: an unknown command, a stream id where none may be (or none where one is
   * needed), an empty DATA, or a body longer than the format carries. */
  CIRCFLOW_ERR_UNENCODABLE = -23,
  /* The text is no list of padding machines, or one of them is broken, too large or too slow;
   * circflow_engine_get_last_detail() says which line, and why. */
  CIRCFLOW_ERR_BAD_MACHINES = -24,
  /* No padding is registered under this number. circflow_padding_register() does it. */
  CIRCFLOW_ERR_UNKNOWN_PADDING = -25,
  /* There is a padder in this place already. Take it down first, or use the hop's other slot. */
  CIRCFLOW_ERR_PADDER_EXISTS = -26,
  /* There is no such padder on this circuit. */
  CIRCFLOW_ERR_NO_PADDER = -27,
  /* A padding instruction was answered that was not given, or was answered already. */
  CIRCFLOW_ERR_NOT_ASKED = -28,
  /* circflow does not run this circuit, or not its streams: it was opened without CIRCFLOW_CIRCUIT_REACTOR, or
   * without CIRCFLOW_CIRCUIT_VEGAS. */
  CIRCFLOW_ERR_NOT_RUN = -29,
  /* circflow runs this circuit: its streams send with circflow_stream_send(), and nobody reports for it. */
  CIRCFLOW_ERR_IS_RUN = -30,
  /* A stream with this id is open on this circuit or set, or was until a while ago, and what is late for it would
   * come for the new one. Use another id. */
  CIRCFLOW_ERR_STREAM_EXISTS = -31,
  /* circflow_engine_set_param(): a consensus may say so, but what this value asks for is not built into circflow. It
   * goes on as before; circflow_engine_get_param() says how. */
  CIRCFLOW_ERR_NOT_BUILT = -32,
  /* The pointer is no engine, queue or hub of the kind that the function takes: it is of another kind, or was freed.
   * A help to find a mistake, and no promise: only another of these kinds, alive, and a hub that was let go while
   * engines need it, are always told apart. What was freed can be anything by now, also what looks right, or memory
   * that must not be read at all. */
  CIRCFLOW_ERR_BAD_HANDLE = -33,
  /* No leg has room. Stop reading streams; CIRCFLOW_INSN_MAY_SEND says when to start again. None comes as long as no
   * leg is reported: circflow_engine_get_last_detail() says which leg lacks what. */
  CIRCFLOW_ERR_NO_ROOM = -100,
  /* The set may not carry streams yet. Wait for CIRCFLOW_INSN_USABLE. */
  CIRCFLOW_ERR_NOT_USABLE = -101,
  /* Too many instructions wait. Drain, then call again. */
  CIRCFLOW_ERR_UNDRAINED = -102,
  /* The circuit is being closed: its CIRCFLOW_INSN_CLOSE is queued, or you have had it. Drop the message. */
  CIRCFLOW_ERR_CLOSING = -103,
  /* The engine has as many circuits, sets or lists of machines as it may have, or a circuit as many
   * open questions about padding. */
  CIRCFLOW_ERR_TOO_MANY = -104,
  /* The relay has refused padding on this circuit (padding-spec 3.2). Ask on another. */
  CIRCFLOW_ERR_PADDING_REFUSED = -105,
  /* The other end of the stream wants nothing now (XOFF, or the rate of its XON). Stop reading this stream;
   * CIRCFLOW_INSN_MAY_SEND with the stream says when to start again. */
  CIRCFLOW_ERR_STREAM_STOPPED = -108,
  /* The parameter cfx_enabled is 0: no set is opened, and no leg added. What lives goes on. Of padding: a budget
   * (circflow_padding_budget) lets it not run. */
  CIRCFLOW_ERR_DISABLED = -109,
  /* The sink is full, and the queue holds as many items as it may: a stall. The item is still yours: keep it
   * until there is room, or close the peer that does not take what it is sent, or the source that does not pause. */
  CIRCFLOW_ERR_QUEUE_FULL = -106,
  /* The sink is closed. The item is still yours, and so is what waits: circflow_queue_take(). */
  CIRCFLOW_ERR_SINK_CLOSED = -107,
  /* A LINK or LINKED that cannot be read. */
  CIRCFLOW_ERR_BAD_LINK = -200,
  /* A LINK where none may be: at a client that is no service, a second one, or on a circuit that goes on to another
   * hop. */
  CIRCFLOW_ERR_UNEXPECTED_LINK = -201,
  /* A LINKED where none may be: at an exit, unasked for (before LINK was taken to be sent), or a second one. */
  CIRCFLOW_ERR_UNEXPECTED_LINKED = -202,
  /* A LINKED_ACK where none may be: at a client, before LINKED, or a second one. */
  CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK = -203,
  /* LINKED carries another nonce than our LINK. */
  CIRCFLOW_ERR_BAD_NONCE = -204,
  /* LINK or LINKED claims numbers that cannot be: more received than we sent, or a past for a new set. */
  CIRCFLOW_ERR_BAD_LINK_NUMBERS = -205,
  /* LINK on a circuit that has carried streams, or without Vegas congestion control, or into a set whose legs are of
   * another kind: run by the host or by circflow, an exit's or a service's, of another length or join_point. */
  CIRCFLOW_ERR_UNFIT_LINK = -206,
  /* LINK, and conflux is switched off here (no circflow_engine_accept_sets(), or cfx_enabled is 0). */
  CIRCFLOW_ERR_CONFLUX_OFF = -207,
  /* A conflux or multiplexed message from another hop than the join point. */
  CIRCFLOW_ERR_WRONG_HOP = -208,
  /* A SWITCH that cannot be read. */
  CIRCFLOW_ERR_BAD_SWITCH = -209,
  /* A SWITCH on a circuit that is not linked. */
  CIRCFLOW_ERR_UNEXPECTED_SWITCH = -210,
  /* A second SWITCH on a leg, with no multiplexed message on that leg between. */
  CIRCFLOW_ERR_SWITCH_REPEATED = -211,
  /* More than sixteen SWITCHes by zero in the life of a set. An honest peer sends one at most. */
  CIRCFLOW_ERR_SWITCH_ZERO = -212,
  /* A SWITCH further ahead than any honest window reaches. */
  CIRCFLOW_ERR_SWITCH_TOO_FAR = -213,
  /* A SWITCH to a number beyond 2^62, where numbers end. */
  CIRCFLOW_ERR_NUMBER_OVERFLOW = -214,
  /* A message with a number that was delivered already. */
  CIRCFLOW_ERR_NUMBER_STALE = -215,
  /* Two legs brought a message with the same number. */
  CIRCFLOW_ERR_NUMBER_TWICE = -216,
  /* A multiplexed message on a leg that is not linked. */
  CIRCFLOW_ERR_UNLINKED_DATA = -217,
  /* A SENDME with a stream id on a leg. */
  CIRCFLOW_ERR_STREAM_SENDME = -218,
  /* A stream id where none may be, or none where one is needed. */
  CIRCFLOW_ERR_BAD_STREAM_ID = -219,
  /* A cell or a body that cannot be read: cut short, or a length beyond what the format carries. */
  CIRCFLOW_ERR_MALFORMED = -220,
  /* A command that this cell format cannot carry. */
  CIRCFLOW_ERR_BAD_COMMAND = -221,
  /* Client: padding from a hop without a padder. (A relay only counts it.) */
  CIRCFLOW_ERR_PADDING_UNEXPECTED = -222,
  /* More padding than inbound_fraction allows. */
  CIRCFLOW_ERR_PADDING_EXCESS = -223,
  /* Client: a PADDING_NEGOTIATED that cannot be read, or that answers nothing. */
  CIRCFLOW_ERR_BAD_NEGOTIATED = -224,
  /* A command that this end of a circuit does not take: a client's at a relay, a relay's at a client, or an unknown
   * one. */
  CIRCFLOW_ERR_UNEXPECTED_COMMAND = -225,
  /* A cell that is not recognised here, and no relay follows. */
  CIRCFLOW_ERR_UNRECOGNISED = -226,
  /* BEGIN or RESOLVE for a stream that is open. */
  CIRCFLOW_ERR_STREAM_TWICE = -227,
  /* Client: a message for a stream that was never opened. (A relay drops it: it may have forgotten the stream.) */
  CIRCFLOW_ERR_UNKNOWN_STREAM = -228,
  /* XOFF or XON that cannot be read. */
  CIRCFLOW_ERR_BAD_FLOW = -229,
  /* Client: XOFF or XON more often than what was sent can call for (prop324 4.1.4). */
  CIRCFLOW_ERR_FLOW_ABUSE = -230,
  /* A SENDME that acknowledges nothing, or does not bring the digest of its cell. */
  CIRCFLOW_ERR_BAD_SENDME = -231,
  /* The set holds as many bytes as it may. */
  CIRCFLOW_ERR_SET_MEMORY = -300,
  /* All sets of the engine together hold as many bytes as they may. */
  CIRCFLOW_ERR_ENGINE_MEMORY = -301,
  /* LINK for a set that has as many legs as it may, or for one set more than the engine may have. */
  CIRCFLOW_ERR_LINK_LIMIT = -302,
  /* LINKED did not come in time. */
  CIRCFLOW_ERR_LINKED_TIMEOUT = -303,
  /* LINKED_ACK did not come in time. */
  CIRCFLOW_ERR_LINKED_ACK_TIMEOUT = -304,
  /* What was due at the time of this call ended a circuit or set that the call names. Nothing else was done. Any
   * feed that takes a time and an id can answer so. */
  CIRCFLOW_ERR_EXPIRED = -305,
  /* A leg went that its set cannot do without: it was sending, or ahead of the others, or the last, or had at least
   * one SENDME's worth in flight. Only in CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED. */
  CIRCFLOW_ERR_LEG_LOST = -306,
  /* More cells came than are taken after CIRCFLOW_INSN_PAUSE_FEED, for a full edge or for a set's home on another
   * engine. */
  CIRCFLOW_ERR_EDGE_OVERRUN = -307,
  /* A stream has stream_bytes_max bytes that were delivered and not flushed. */
  CIRCFLOW_ERR_STREAM_MEMORY = -308,
  /* All sets of the hub together hold as many bytes as they may. */
  CIRCFLOW_ERR_HUB_MEMORY = -309,
  /* A message was held for order for held_age_max_ns: what comes before it was lost with a leg, or a peer keeps it
   * back. Only in CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED. */
  CIRCFLOW_ERR_HELD_TOO_LONG = -310,
  /* No failure: the last leg of a set went, or one that it cannot do without, and nothing was under way: no stream
   * was open, and no message held. That is how a set ends well where its peer has closed it after the last END.
   * Only in CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED, and only of sets that circflow runs: what streams there
   * are of others, their host knows. */
  CIRCFLOW_ERR_SET_FINISHED = -311,
  /* Exit: the set's home, on another engine of the hub, did not take a leg in within link_timeout_ns: it hangs, or
   * is poisoned and was not freed. */
  CIRCFLOW_ERR_HOME_TIMEOUT = -314,
  /* A bug in the library was caught in this call. The engine (or queue) that it named is poisoned;
   * circflow_engine_get_last_detail() has the message, which Rust also prints to standard error. A call that names
   * neither poisons nothing. */
  CIRCFLOW_ERR_PANIC = -500,
  /* An earlier call answered CIRCFLOW_ERR_PANIC, or an exception of yours left a callback;
   * circflow_engine_get_last_detail() says which. */
  CIRCFLOW_ERR_POISONED = -501,
} circflow_status;

/* What a status means for the caller.
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

/* The version of the library that is linked, as CIRCFLOW_VERSION has it for the header.
 *
 * Inside drain: yes. Since: 0.1. */
uint32_t circflow_version(void);

/* One sentence for a status, in English, without an end. Static; never NULL. A number that is no status has a sentence
 * of its own.
 *
 * Inside drain: yes. Since: 0.1. */
const char *circflow_status_text(int32_t status);

/* The name of a status as in this header, "CIRCFLOW_ERR_NULL" and so on, for people who debug; for users there is
 * circflow_status_text(). Static; never NULL. "not a status" for a number that is none.
 *
 * Inside drain: yes. Since: 0.1. */
const char *circflow_status_name(int32_t status);

/* The class of a status: what it means for you, and what to do next.
 *
 * Inside drain: yes. Since: 0.1. */
enum circflow_class circflow_status_class(int32_t status);

/* The reason to put into DESTROY (tor-spec 5.4) when a circuit is closed for a status, or -1 where a status is no
 * cause to close anything.
 *
 * Inside drain: yes. Since: 0.1. */
int32_t circflow_status_close_reason(int32_t status);

/********************************************************************************************************************
 * 2. Ids
 ********************************************************************************************************************/

/* Names a circuit inside an engine. Zero names nothing. A circuit in a set is a leg of it, under the same id. */
typedef struct circflow_circuit_id {
  /* Opaque. Compare it, store it, print it. */
  uint64_t v;
} circflow_circuit_id;

/* Names a conflux set inside an engine. Zero names nothing. */
typedef struct circflow_set_id {
  /* Opaque. Compare it, store it, print it. */
  uint64_t v;
} circflow_set_id;

/* Names a stream inside an engine, on a circuit or set that circflow runs. Zero names nothing. */
typedef struct circflow_stream_id {
  /* Opaque. Compare it, store it, print it. */
  uint64_t v;
} circflow_stream_id;

/* Names a list of padding machines inside an engine. Zero names an empty list. */
typedef struct circflow_machines_id {
  /* Opaque. Compare it, store it, print it. */
  uint64_t v;
} circflow_machines_id;

/********************************************************************************************************************
 * 3. Messages and verdicts
 ********************************************************************************************************************/

/* Bytes of a relay cell's body on the wire: what is left of a 514-byte cell after circuit id and command. */
#define CIRCFLOW_CELL_BODY_LEN 509

/* The longest body a relay message can have, in any cell format. A buffer of this size always fits. */
#define CIRCFLOW_BODY_MAX 498

/* The longest body that fits either cell format: how DATA is packaged. */
#define CIRCFLOW_DATA_MAX 488

/* circflow_message.form: circflow copies the body if it has to hold the message. */
#define CIRCFLOW_FORM_BYTES 0

/* circflow_message.form: circflow keeps the token if it has to hold the message. */
#define CIRCFLOW_FORM_TOKEN 1

/* What one held message that circflow copied costs, in bytes, whatever the length of its body: its body lives in a
 * block of fixed size. A held token costs what its host says. */
#define CIRCFLOW_HELD_COST 536

/* What a held token costs at least, in bytes: what circflow itself needs for it. */
#define CIRCFLOW_HELD_TOKEN_MIN 40

/* A relay message, decrypted. All of it is read during the call only.
 *
 * The host names where a message came from by hop: 1 is the guard, and a client's last hop is the join point; at a
 * relay the other end is the client, hop 0.
 *
 * With CIRCFLOW_FORM_BYTES, body is copied if the message has to be held. With CIRCFLOW_FORM_TOKEN the message stays
 * the host's: circflow keeps the number `token` instead, and hands it back exactly once, in CIRCFLOW_INSN_DELIVER or
 * CIRCFLOW_INSN_DISCARD or to the discard function of circflow_engine_free(). A token is kept only when a call
 * answered HELD; after any other verdict and any error it was never taken, so what it stands for need only be made
 * when a call has answered HELD. The bodies of LINK, LINKED and SWITCH must be there in either form, and on circuits
 * that circflow runs every body. */
typedef struct circflow_message {
  /* Relay command, CIRCFLOW_CMD_* or any other. */
  uint8_t command;
  /* The hop it came from or goes to. */
  uint8_t hop;
  /* Stream id; 0 where the message belongs to no stream. */
  uint16_t stream_id;
  /* Bytes in body, at most CIRCFLOW_BODY_MAX, in either form; in a cell for circflow_circuit_relay(), at most
   * CIRCFLOW_CELL_BODY_LEN. More is refused always, whether the message would have had to wait or not. */
  uint16_t body_len;
  /* CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN. */
  uint8_t form;
  /* Bytes of `cell_digest`: 20 (tor1), 16 (counter-galois), or 0: no digest. Without one the SENDME is of version 0,
   * for which a peer with congestion control closes the circuit. */
  uint8_t cell_digest_len;
  /* With a token: what holding it costs your process, in bytes. It counts against the caps, as
   * CIRCFLOW_HELD_TOKEN_MIN at least. */
  uint32_t cost_bytes;
  /* Zero. Not looked at yet. */
  uint32_t reserved2;
  /* The body, or NULL when body_len is 0. */
  const uint8_t *body;
  /* With CIRCFLOW_FORM_TOKEN: any number of yours. */
  uint64_t token;
  /* On circuits that circflow runs, with DATA that came: the digest of its cell, for the SENDME that may follow from
   * it (prop289: the running digest after this cell, or its tag). Give it with each: it is read when it is needed. */
  const uint8_t *cell_digest;
} circflow_message;

/* circflow_verdict.flags and circflow_insn.flags: this DATA cell will be acknowledged by a SENDME; when you have
 * encrypted it, give its digest to circflow_circuit_add_digest(), in the order of sending. */
#define CIRCFLOW_WANTS_DIGEST 1

/* A side of a circuit: at a relay the channel towards the client, at a client the channel to its first relay. */
#define CIRCFLOW_SIDE_BACK 0

/* A side of a circuit: at a relay the channel to the next relay. */
#define CIRCFLOW_SIDE_NEXT 1

/* The kind of a verdict.
 */
typedef enum circflow_verdict_kind {
  /* Receiving: handle the message you hold, now. If it was multiplexed, it is the next in order and counts as
   * delivered. Messages that waited behind it may be ready: drain, or take them with circflow_set_poll(). */
  CIRCFLOW_VERDICT_DELIVER = 1,
  /* Kept: the body was copied, or the token is circflow's until it comes back. Receiving: for order, it comes back
   * as CIRCFLOW_INSN_DELIVER. Sending: because padding blocks, it comes back as CIRCFLOW_INSN_SEND. */
  CIRCFLOW_VERDICT_HELD = 2,
  /* Receiving: a control message that circflow has dealt with. Nothing to handle; drain. */
  CIRCFLOW_VERDICT_CONSUMED = 3,
  /* Receiving: not to be honoured on a leg (BEGIN_DIR; TROVE-2026-008). Send END with end_reason for its stream id.
   */
  CIRCFLOW_VERDICT_REFUSE = 4,
  /* Sending: send the message on this leg, after a SWITCH with switch_delta if that is not 0. */
  CIRCFLOW_VERDICT_SEND = 5,
  /* A cell that passes: write it to the other side of the circuit, now. */
  CIRCFLOW_VERDICT_FORWARD = 6,
} circflow_verdict_kind;

/* The name of a kind of verdict (circflow_verdict.kind), "CIRCFLOW_VERDICT_DELIVER" and so on. Static; never NULL.
 * "not a kind of verdict" for a number that is none.
 *
 * Inside drain: yes. Since: 0.1. */
const char *circflow_verdict_kind_name(uint32_t kind);

/* What circflow says about the message that was fed. */
typedef struct circflow_verdict {
  /* circflow_verdict_kind. */
  uint8_t kind;
  /* 1 when messages of the set that were held are ready now: drain, or take them with circflow_set_poll().
   * Otherwise 0, and there is nothing to take on account of this message. */
  uint8_t ready;
  /* REFUSE: the reason to put into END (tor-spec 6.3, one byte). Otherwise 0. */
  uint8_t end_reason;
  /* CIRCFLOW_WANTS_DIGEST or 0. */
  uint8_t flags;
  /* SEND: 0, or the number to put into a SWITCH that goes first, on the same leg. */
  uint32_t switch_delta;
  /* SEND: the leg to send on. Otherwise the circuit the message came on; zero when a set holds it for sending. */
  struct circflow_circuit_id circuit;
  /* That circuit's tag. */
  uint64_t circuit_tag;
  /* The message's absolute sequence number in the set, from 1; 0 for messages that have none. */
  uint64_t number;
  /* On circuits that circflow runs: the stream it belongs to, or zero. The last message of a stream that comes (END,
   * RESOLVED) has only the tag. */
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
  /* Send a relay message on a circuit, to detail.send.hop, and do not report it as sent: circflow knows. It is
   * control whose body is in the body buffer, or a message of yours that padding held back: then detail.send.form
   * tells whether its body is in the buffer or detail.send.token is yours again. */
  CIRCFLOW_INSN_SEND = 1,
  /* A held message is next in order: handle it. Its body is in the body buffer, or detail.deliver.token is yours
   * again. detail.deliver.form tells which. `circuit` is the leg it came on, or zero when that has gone since;
   * messages whose turn had come when their set ended are still delivered, before the CIRCFLOW_INSN_CLOSE of its
   * legs. */
  CIRCFLOW_INSN_DELIVER = 2,
  /* detail.discard.token is yours again, and its message will never be delivered: free it. Tokens of a set that has
   * ended come before its CIRCFLOW_INSN_ENDED, but for those that stand behind more copied messages than one call
   * frees: these come after it, and name no set. */
  CIRCFLOW_INSN_DISCARD = 3,
  /* Close the circuit, with DESTROY reason detail.close.reason; detail.close.cause is the status behind it. Do so,
   * then say circflow_circuit_gone(). The id lives until you do. */
  CIRCFLOW_INSN_CLOSE = 4,
  /* The set, or the circuit if `set` is zero, has room again after CIRCFLOW_ERR_NO_ROOM: read its streams. With a
   * stream: that stream may send again, after CIRCFLOW_ERR_STREAM_STOPPED or when circflow_stream_choose() named
   * none. It can come in the last drain before you sleep: read and send then too, and drain again. */
  CIRCFLOW_INSN_MAY_SEND = 5,
  /* The circuit is a linked leg of the set. At an exit, this is where a set is first heard of, and the leg sends
   * once you have taken the CIRCFLOW_INSN_SEND of its LINKED, which follows. */
  CIRCFLOW_INSN_LINKED = 6,
  /* The set may carry streams from now on. Once in a set's life: at a client when no leg is being built or waits for
   * LINKED any more and one is linked, at an exit when the first LINKED has been handed to you to send. */
  CIRCFLOW_INSN_USABLE = 7,
  /* Client: a leg was lost before it was linked, still being built or not, or one that was linked before the set was
   * usable, and the nonce's launch budget has room for another: launch one if you can, and add it. The set goes on
   * without it meanwhile. A linked leg that a usable set loses is not asked for again. */
  CIRCFLOW_INSN_WANT_LEG = 8,
  /* The set is gone and its id stale; detail.close.cause says why. Its legs have been told to close before this. */
  CIRCFLOW_INSN_ENDED = 9,
  /* Send a padding cell: a DROP to detail.padding.hop on this circuit and no other. It is never counted, and not to
   * be reported as sent. With CIRCFLOW_PADDING_ASKS among detail.padding.flags (only on a circuit that was opened
   * with CIRCFLOW_CIRCUIT_OWN_QUEUE), decide first, by this table, and answer with circflow_padding_answered().
   * "Queue" is the circuit's outgoing queue: cells to or through the hop that are queued and not written yet,
   * blocked or not.
   *
   *   your block          BYPASS  REPLACE  queue      do                               answer
   *   none                any     no       any        send padding                     SENT
   *   none                any     yes      empty      send padding                     SENT
   *   none                any     yes      not empty  nothing                          REPLACED
   *   lets padding pass   yes     no       any        send padding past the block      SENT
   *   lets padding pass   yes     yes      empty      send padding past the block      SENT
   *   lets padding pass   yes     yes      blocked    let one queued cell out          RELEASED
   *   lets padding pass   yes     yes      past it    nothing                          REPLACED
   *   lets padding pass   no      no       any        queue padding behind the block   SENT
   *   lets padding pass   no      yes      empty      queue padding behind the block   SENT
   *   lets padding pass   no      yes      not empty  nothing                          REPLACED
   *   lets nothing pass   any     no       any        queue padding behind the block   SENT
   *   lets nothing pass   any     yes      empty      queue padding behind the block   SENT
   *   lets nothing pass   any     yes      not empty  nothing                          REPLACED */
  CIRCFLOW_INSN_PADDING = 10,
  /* CIRCFLOW_CIRCUIT_OWN_QUEUE: from now on keep what is queued on this circuit, all but control that must not wait
   * (SENDME, the conflux handshake, negotiation, DESTROY), and drop padding that waits there when its padder goes.
   * detail.block.bypassable says whether padding with
   * CIRCFLOW_PADDING_BYPASS may pass; it can come again with another answer. */
  CIRCFLOW_INSN_BLOCK = 11,
  /* CIRCFLOW_CIRCUIT_OWN_QUEUE: let out all that you kept, in order. */
  CIRCFLOW_INSN_UNBLOCK = 12,
  /* CIRCFLOW_CIRCUIT_REACTOR: write a cell that waited to detail.write.side of the circuit. Its bytes are in the
   * body buffer (up to CIRCFLOW_CELL_BODY_LEN of them), or detail.write.token is yours again. */
  CIRCFLOW_INSN_WRITE = 13,
  /* CIRCFLOW_CIRCUIT_REACTOR: many cells wait that came from detail.pause.side. Keep what else comes for this
   * circuit from there yourself, and do not stop the channel for other circuits. Some more are taken
   * (edge_over_cells), then the circuit closes. Also, on every circuit whose set is on another engine of a hub: that
   * engine does not keep up with what comes from CIRCFLOW_SIDE_BACK. */
  CIRCFLOW_INSN_PAUSE_FEED = 14,
  /* Go on with the cells from detail.pause.side. Comes once for each PAUSE_FEED. */
  CIRCFLOW_INSN_UNPAUSE_FEED = 15,
  /* Client: the relay at detail.negotiated.hop has said what becomes of the padding that was asked for under
   * detail.negotiated.number; detail.negotiated.answer is CIRCFLOW_NEGOTIATED_*. For people and figures: circflow
   * has done what follows. */
  CIRCFLOW_INSN_NEGOTIATED = 16,
} circflow_insn_kind;

/* The name of a kind of instruction (circflow_insn.kind), "CIRCFLOW_INSN_SEND" and so on. Static; never NULL. "not a
 * kind of instruction" for a number that is none.
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
  /* CIRCFLOW_FORM_TOKEN: its cost, as the host gave it. */
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
  /* CIRCFLOW_FORM_TOKEN: its cost, as the host gave it. */
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
  /* Its cost, as the host gave it. */
  uint32_t cost_bytes;
} circflow_insn_discard;

/* CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED. */
typedef struct circflow_insn_close {
  /* Why: a status of class PEER or LIMIT, or CIRCFLOW_OK when the host asked for it. */
  enum circflow_status cause;
  /* The reason to put into DESTROY (tor-spec 5.4), one byte on the wire. */
  uint32_t reason;
} circflow_insn_close;

/* CIRCFLOW_INSN_LINKED. */
typedef struct circflow_insn_linked {
  /* Client: the round-trip time from LINK to LINKED; 0 when the clock did not move. Exit: 0, as LINKED_ACK is still
   * to come. */
  uint64_t rtt_ns;
} circflow_insn_linked;

/* circflow_insn_padding.flags: the padding may pass a block that lets padding pass. */
#define CIRCFLOW_PADDING_BYPASS 1

/* circflow_insn_padding.flags: a cell that waits anyway may count as the padding. */
#define CIRCFLOW_PADDING_REPLACE 2

/* circflow_insn_padding.flags: you decide by the table, and answer with circflow_padding_answered(). Without this flag
 * circflow has decided: send it. */
#define CIRCFLOW_PADDING_ASKS 4

/* CIRCFLOW_INSN_PADDING. */
typedef struct circflow_insn_padding {
  /* Relay command to send: CIRCFLOW_CMD_DROP. */
  uint8_t command;
  /* Hop to send to; 0 at a relay: the client. */
  uint8_t hop;
  /* Which of the hop's padders asks for it. */
  uint8_t slot;
  /* CIRCFLOW_PADDING_*, or-ed together. The first two are the action's that decided it. */
  uint8_t flags;
  /* Which of the padder's machines, from 0, in the order of its list. */
  uint32_t machine;
} circflow_insn_padding;

/* CIRCFLOW_INSN_BLOCK. */
typedef struct circflow_insn_block {
  /* 1 when padding that asks for it may pass: when every block that is on allows it. */
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
  /* CIRCFLOW_FORM_TOKEN: its cost, as the host gave it. */
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

/* circflow_insn_negotiated.answer: the relay does not pad under this number. The own padder was taken down, and
 * nothing more is asked on this circuit. */
#define CIRCFLOW_NEGOTIATED_REFUSED 2

/* circflow_insn_negotiated.answer: the relay has stopped, as you asked. */
#define CIRCFLOW_NEGOTIATED_STOPPED 3

/* circflow_insn_negotiated.answer: the relay has ended its part by itself. The own padder was taken down. */
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

/* What an instruction says besides what it is about. */
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
  /* The size of the union, now and later. */
  uint64_t reserved[5];
} circflow_insn_detail;

/* One thing for the host to do. A plain value: copy it, queue it, forget it. */
typedef struct circflow_insn {
  /* circflow_insn_kind. */
  uint32_t kind;
  /* CIRCFLOW_WANTS_DIGEST or 0. */
  uint32_t flags;
  /* The circuit it is about, or zero. */
  struct circflow_circuit_id circuit;
  /* The set it is about, or zero. */
  struct circflow_set_id set;
  /* The tag of the circuit, or 0. */
  uint64_t circuit_tag;
  /* The tag of the set, or 0. */
  uint64_t set_tag;
  /* On circuits that circflow runs: the stream it is about, or zero. The last message of a stream that comes (END,
   * RESOLVED) has only the tag. */
  struct circflow_stream_id stream;
  /* The tag of the stream, or 0. */
  uint64_t stream_tag;
  /* By kind. */
  union circflow_insn_detail detail;
} circflow_insn;

/* Called by circflow_engine_drain() for each instruction. `body` is what a body buffer would hold, for the length of
 * the call. Inside, feed as you like; poll, drain and free answer CIRCFLOW_ERR_REENTRANT. */
typedef void (*circflow_insn_fn)(void *userdata, const struct circflow_insn *insn, const uint8_t *body);

/********************************************************************************************************************
 * 5. Engines
 ********************************************************************************************************************/

/* ---- Engines: life ---- */

/* One event loop's worth of circuits and sets. Opaque.
 *
 * From circflow_engine_new() to circflow_engine_free(). One thread at a time. */
typedef struct circflow_engine circflow_engine;

/* What an engine is made with. Fill it with circflow_engine_config_init(), then change what you want. */
typedef struct circflow_engine_config {
  /* sizeof(circflow_engine_config) as your compiler saw it. */
  size_t size;
  /* Random bytes of yours: nonces are looked up under them, and padding machines draw what follows from them. All
   * zero is for tests. */
  uint8_t seed[32];
  /* Part of every id this engine gives out, 1 to 16383: give each engine of your process its own, so that an id
   * that strays to another engine is noticed. Default 1. */
  uint32_t engine_number;
  /* Circuits that may be open at a time. Default 1048576, at most 16777216. */
  uint32_t circuits_max;
  /* Sets that may live at a time. Default 262144, at most 16777216. */
  uint32_t sets_max;
  /* Instructions that may wait before calls that would queue more answer CIRCFLOW_ERR_UNDRAINED. Default 65536. */
  uint32_t insns_max;
  /* Bytes that all sets and circuits together may hold: for order, for sending, at edges, and on the way to other
   * engines. At the cap the one with the greatest product of bytes and age is closed (or one that has at least half
   * of it, as sets tell of what they hold in steps), by queued instructions (CIRCFLOW_ERR_ENGINE_MEMORY), and the
   * call goes on; one that holds less than a quarter of its share (cap /
   * holders) only when no larger one is left. 0: nothing may wait, so the first message out of order closes its set,
   * and the first cell at a full channel its circuit. Default 256 MiB. */
  uint64_t held_bytes_max;
  /* Circuits that circflow runs: cells that wait at an edge when the source is told to pause. Default 64. */
  uint32_t edge_high_cells;
  /* Cells left at an edge when the source is told to go on; below edge_high_cells. Default 16. */
  uint32_t edge_low_cells;
  /* Cells that an edge still takes after the pause, at least 32; one more closes the circuit. Default 128. */
  uint32_t edge_over_cells;
  /* Streams of one circuit or set that may be open at a time. Default 1024. */
  uint32_t streams_max;
  /* Bytes of one stream that may be delivered and not flushed; more closes its circuit or set. Default 32 MiB. */
  uint32_t stream_bytes_max;
  /* Zero. */
  uint32_t reserved;
  /* Client: how long a stream that you have ended is remembered after its END has left (prop324 4.1.4): its id is in
   * use, and DATA, XON and XOFF that come for it are dealt with. The longest round trip counts when it is longer, up
   * to 10 minutes in all. Default 60 s, at most 10 minutes. */
  uint64_t stream_remembered_ns;
  /* How long a padding machine rests after padding_burst_max things that it did without waiting, and between two of
   * them then, until it waits as long by itself. 0: it never rests. Default 1 ms, at most 1 s. */
  uint64_t padding_floor_ns;
  /* What one padding machine may do on its own account at one time (a timer that ends or begins, a padding cell, a
   * block). It is also the average for all machines of a padder together in each padding_floor_ns, which they can
   * exceed by 64 times as much in a row. What a cell sets off begins a burst anew. No known defence does so much.
   * Default 64, 1 to 4096. */
  uint32_t padding_burst_max;
  /* Zero. */
  uint32_t reserved2;
  /* How long a message may be held for order, for sets that are made without a bound of their own: at most a week; 0
   * for as long as it takes. When a message waits so long behind one that does not come, its set ends, and
   * CIRCFLOW_ERR_HELD_TOO_LONG is the cause. The oldest counts, so messages that follow do not prolong it. What has
   * had its turn and was not taken is not meant, nor what padding holds, nor cells at an edge. Of a time in which
   * you did not call, one second counts, as the machine may have been suspended: while something waits, the deadline
   * comes twice a second. Default 120 s. */
  uint64_t held_age_max_ns;
} circflow_engine_config;

/* Called by circflow_engine_free() for each token that is still circflow's: it is yours again. */
typedef void (*circflow_discard_fn)(void *userdata, uint64_t token, uint32_t cost);

/* Fills a config with the defaults. Pass sizeof(circflow_engine_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_config_init(struct circflow_engine_config *config, size_t size);

/* Makes an engine. On CIRCFLOW_OK it is yours until circflow_engine_free(). One engine serves one event loop.
 *
 * @param config  From circflow_engine_config_init(). It is copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID when engine_number is not 1 to 16383, or circuits_max, sets_max, insns_max or
 * padding_burst_max is 0 or above its bound, padding_floor_ns is above 1 s, stream_remembered_ns above 10 minutes or
 * held_age_max_ns above a week, edge_low_cells is not below edge_high_cells, edge_over_cells is below 32, streams_max
 * or stream_bytes_max is 0, or a reserved field is not.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_new(const struct circflow_engine_config *config,
                                         struct circflow_engine **engine_out);

/* Ends an engine. Every token that circflow still holds is handed back through `discard` first, also when the engine
 * is poisoned. Nothing is sent: close your circuits yourself. NULL is fine.
 *
 * @param discard  Called once for each token; may be NULL when you use none. From inside, every call on the engine
 *                 answers CIRCFLOW_ERR_REENTRANT.
 *
 * Own statuses: CIRCFLOW_ERR_REENTRANT from inside a callback, any engine's notify included: the engine lives on.
 * Inside drain: no. Since: 0.1. */
enum circflow_status circflow_engine_free(struct circflow_engine *engine,
                                          circflow_discard_fn discard,
                                          void *userdata);

/* ---- Engines: turns of your loop ---- */

/* Takes the first instruction out of the queue; its kind is CIRCFLOW_INSN_NONE when nothing waits, or when the call
 * has freed so much that it leaves the rest to a later one: the deadline is 0 then. Instructions come in the order of
 * their causes. Poll until NONE before you sleep, and sleep until the deadline.
 *
 * @param body      Where the body of a SEND, DELIVER or WRITE goes. Give CIRCFLOW_CELL_BODY_LEN bytes and it always
 *                  fits; CIRCFLOW_BODY_MAX are enough where no cells pass.
 * @param body_cap  Bytes of room there.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: the instruction has a longer body; it is still the first in the queue.
 * Inside drain: no. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_poll(struct circflow_engine *engine,
                                          uint8_t *body,
                                          size_t body_cap,
                                          struct circflow_insn *insn_out);

/* Calls `fn` for each waiting instruction, in order, those that feeds from inside `fn` add included, until none waits
 * or `budget` of them were taken. The convenient twin of circflow_engine_poll().
 *
 * @param budget    At most so many calls; the bound on the work of one round of your loop.
 * @param more_out  1 when the budget ran out first: drain again soon. May be NULL.
 *
 * Own statuses: none.
 * Inside drain: no. Since: 0.1. */
enum circflow_status circflow_engine_drain(struct circflow_engine *engine,
                                           size_t budget,
                                           uint8_t *more_out,
                                           circflow_insn_fn fn,
                                           void *userdata);

/* The answer of circflow_engine_get_deadline() when nothing is due ever. */
#define CIRCFLOW_NEVER UINT64_MAX

/* When your loop has to come back for the engine, on your clock: then circflow_engine_tick(), and drain. 0 while
 * instructions wait, as after a drain whose budget ran out; a deadline that is not later than now means "at once".
 * CIRCFLOW_NEVER when nothing is due ever. The one deadline of the whole engine: arm one timer with it after each
 * drain. It is never later than what is due, and can be earlier, after a timer was put off: then the tick does
 * nothing, and the next deadline is a later one.
 *
 * 0 means at once: one call does a bounded amount of work, and some is left (timers, where hundreds are due at a time;
 * memory of sets that ended). Tick, drain and ask again; your loop can look at its sockets in between. A feed that
 * comes before a timer that was due finds things as if that timer were so much later.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_get_deadline(struct circflow_engine *engine,
                                                  uint64_t *deadline_ns_out);

/* Does what is due at `now_ns`. Every feed does so too, before anything else; this is for a loop that was idle. Too
 * early or too late is no error.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_tick(struct circflow_engine *engine, uint64_t now_ns);

/* Says that the host's clock was wrong, and that it is `now_ns` now: earlier or later than the latest time that was
 * named. Nothing runs, and no time passes by this call: a timer that had five seconds left has them again, from now
 * on. circflow_engine_tick() is what lets time pass.
 *
 * You need it after a wild time, far in the future, has come in by mistake, as until that time comes the engine stands
 * still: earlier times are read as the latest seen. And you need it after your clock was set back. Both are counted
 * (time_leaps, time_backwards) and logged. What ran out at the wild time has run out; what was set since then is due
 * as much later than `now_ns` as it was later than the wild time. Round trips under way are not measured (rtt_ns of
 * CIRCFLOW_INSN_LINKED is 0), as nobody knows when they began. What is held is as old as it was. Times that circflow
 * names (deadlines, last_active_ns) are on the new clock from now on; one before its beginning is 0. From then on each
 * call costs some tens of instructions more. Say it to each engine; a hub has no clock.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for CIRCFLOW_NEVER, which is no time.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_set_clock(struct circflow_engine *engine,
                                               uint64_t now_ns);

/* ---- Engines: parameters of a consensus ---- */

/* circflow_circuit_config.path_class: a circuit to an exit, or to a single-onion service. */
#define CIRCFLOW_PATH_EXIT 0

/* circflow_circuit_config.path_class: a circuit to an onion service. */
#define CIRCFLOW_PATH_ONION 1

/* circflow_circuit_config.path_class: a circuit of two hops, as sbws measures with. */
#define CIRCFLOW_PATH_SBWS 2

/* Sets a parameter by the name that a consensus gives it. What is never set has C Tor's default. Nothing that lives
 * follows, except where it says so: circuits keep the parameters they were opened with, and sets their limits.
 *
 * For each path class, and for circuits that circflow runs and that are opened from now on: all of congestion and flow
 * control, "cc_cwnd_init", "cc_xoff_client" and so on (prop324 6.5). Where a consensus has a parameter for each class
 * ("cc_vegas_alpha_exit"), name it without the class ("cc_vegas_alpha"). Only cc_alg=2 is built.
 *
 * For the whole engine, whichever class is given:
 *
 *   cfx_enabled                     At once: at 0 no LINK is taken, no set opened and no leg added; sets that live go
 *                                   on.
 *   cfx_max_legs_set                Sets opened from now on whose legs_max is 0; an exit's are opened by their first
 *                                   LINK.
 *   cfx_num_legs_set                Sets opened from now on whose launches_max is 0: they may launch so many legs, and
 *   cfx_max_unlinked_leg_retry      so many more.
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
 * Of the first group, cellq_high, cellq_low, orconn_high and orconn_low are yours to follow too (when a channel counts
 * as full), and cc_bwe_min has no meaning with cc_alg=2. docs/parameters.md has one row for each.
 *
 * @param path_class  CIRCFLOW_PATH_*.
 * @param name        A string.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: no such class or name, or a value out of the parameter's range, which
 * circflow_engine_get_last_detail() then says; CIRCFLOW_ERR_NOT_BUILT: the value is in range, and circflow cannot do
 * what it asks for. A host that passes a whole consensus on may go on after either.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_set_param(struct circflow_engine *engine,
                                               uint8_t path_class,
                                               const char *name,
                                               uint32_t value);

/* What a parameter is now, for circuits and sets that are opened from now on.
 *
 * @param path_class  CIRCFLOW_PATH_*.
 * @param name        A string, as for circflow_engine_set_param().
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

/* Classes of circflow_engine_stats.lateness. */
#define CIRCFLOW_LATENESS_CLASSES 20

/* Figures of an engine. Set size to sizeof before each call. */
typedef struct circflow_engine_stats {
  /* sizeof(circflow_engine_stats) as your compiler saw it. */
  size_t size;
  /* Circuits open. */
  uint32_t circuits;
  /* Sets alive. */
  uint32_t sets;
  /* Instructions waiting. A whole run of ready messages counts as one. */
  uint32_t insns;
  /* The most that ever waited. */
  uint32_t insns_peak;
  /* Timers armed: one for each leg that waits for an answer, one for each circuit whose padding waits for anything,
   * and one for each stream that its rate holds back. */
  uint32_t timers;
  /* Streams open on circuits and sets that circflow runs. */
  uint32_t streams;
  /* Messages held now, for order, for sending and at edges, those waiting to be discarded included. */
  uint64_t held;
  /* What is held costs so much, in bytes: for order, for sending, at edges, and on the way to other engines until
   * they take it; and, at a client, what is remembered of streams that have ended there, some 10 bytes each where
   * ids are used in turn. Never above held_bytes_max of the engine. Without what waits to be handed back:
   * leaving_bytes. */
  uint64_t held_bytes;
  /* The most bytes ever held. */
  uint64_t held_bytes_peak;
  /* Bytes of memory kept for held messages, in use or ready for use. */
  uint64_t pool_bytes;
  /* Times the host named an earlier time than before. */
  uint64_t time_backwards;
  /* Times that a peer broke the protocol, or a cap or a time bound was reached. */
  uint64_t peer_faults;
  /* Log lines left out because there were too many. */
  uint64_t log_dropped;
  /* Padding cells received, expected or not. */
  uint64_t padding_received;
  /* How many timers of padding ran how late: element 0 counts those less than a microsecond after they were due,
   * element n those less than 2^n microseconds, the last one all others. */
  uint64_t lateness[CIRCFLOW_LATENESS_CLASSES];
  /* Messages that nothing explains and that do no harm, on streams of circuits and sets that circflow runs:
   * CONNECTED twice, RESOLVED to a BEGIN, CONNECTED or DATA to a RESOLVE. They were dropped (CONSUMED). */
  uint64_t unexplained;
  /* Calls that named a time more than an hour later than the one before. One can be a machine that was suspended, or
   * a wild time: circflow_engine_set_clock(). */
  uint64_t time_leaps;
  /* Of the hub's cap, what is reserved for held_bytes: at most a block (64 KiB) above it, and the same at rest, that
   * is once the engine has been drained to the end, ticked or trimmed. Without a hub always held_bytes. */
  uint64_t reserved_bytes;
  /* Of held_bytes, what is on its way to other engines of the hub, or waits for room there. */
  uint64_t crossing_bytes;
  /* What is held no longer and waits for your drain to hand it out or back, as its set or circuit has ended. It has
   * room of its own, as much as held_bytes_max; what is above that takes room from held_bytes until it is drained. */
  uint64_t leaving_bytes;
  /* Padding cells that you were told to send, or answered with CIRCFLOW_ANSWER_SENT. */
  uint64_t padding_sent;
  /* Other cells sent: those whose sending was decided or reported here, on all circuits; of those that only pass a
   * relay, the ones towards the client. */
  uint64_t others_sent;
  /* Padding that a budget refused (circflow_padding_budget), this engine's, the consensus's or the hub's. */
  uint64_t padding_refused;
} circflow_engine_stats;

/* Figures of the engine. Set stats->size to sizeof(circflow_engine_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_get_stats(struct circflow_engine *engine, struct circflow_engine_stats *stats);

/* Gives memory that is kept for held messages and not in use back to the system. circflow never does so by itself: a
 * steady state is to allocate nothing. Call it when you are short of memory, or idle.
 *
 * @param freed_out  Bytes given back. May be NULL.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_trim(struct circflow_engine *engine, uint64_t *freed_out);

/* What is behind the last call on the engine, if that failed: of INVALID which argument, of NO_ROOM which leg lacks
 * what, of PEER which circuit; where there is no more to say, the sentence of circflow_status_text(). Empty after a
 * call that succeeded, so ask at once. Asking is no call in this sense. Of a poisoned engine it is what the panic
 * said. For people: do not parse it.
 *
 * Inside a drain callback the callback's own calls count; after the drain, the drain. A call that names no engine
 * (circflow_cell_decode(), circflow_queue_push()) leaves no sentence here.
 *
 * @param buf       Gets at most cap - 1 bytes of text and a NUL.
 * @param len_out   Length of the whole sentence without the NUL. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_REENTRANT from inside the log function.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_get_last_detail(struct circflow_engine *engine,
                                                     char *buf,
                                                     size_t cap,
                                                     size_t *len_out);

/********************************************************************************************************************
 * 6. Circuits
 ********************************************************************************************************************/

/* ---- Circuits: life ---- */

/* circflow_circuit_config.role: this end opened the circuit. */
#define CIRCFLOW_ROLE_CLIENT 1

/* circflow_circuit_config.role: this end is a relay: the last hop of the circuit, or, with CIRCFLOW_CIRCUIT_EXTENDED,
 * a middle one. */
#define CIRCFLOW_ROLE_RELAY 2

/* circflow_circuit_config.flags: Vegas congestion control was negotiated with the join point. */
#define CIRCFLOW_CIRCUIT_VEGAS 1

/* circflow_circuit_config.flags: the circuit carries or has carried streams. */
#define CIRCFLOW_CIRCUIT_STREAMS 2

/* circflow_circuit_config.flags: the circuit goes on to another hop (at a relay), so it is no exit's. */
#define CIRCFLOW_CIRCUIT_EXTENDED 4

/* circflow_circuit_config.flags: streams may end at other hops than the join point (leaky pipe). Their messages are
 * delivered and not counted. Without this flag they are a protocol violation on a leg. */
#define CIRCFLOW_CIRCUIT_LEAKY_PIPE 8

/* circflow_circuit_config.flags: another padder than circflow's runs on the circuit too. DROP, PADDING_NEGOTIATE and
 * PADDING_NEGOTIATED that circflow cannot explain are then delivered to you, and never a protocol violation. */
#define CIRCFLOW_CIRCUIT_OTHER_PADDER 16

/* circflow_circuit_config.flags: you keep what padding blocks. circflow holds no messages for this circuit; it tells
 * you when to block (CIRCFLOW_INSN_BLOCK, CIRCFLOW_INSN_UNBLOCK) and asks you what becomes of each padding cell
 * (CIRCFLOW_PADDING_ASKS). For a relay, whose queue also has cells that only pass. Not to be changed once a padder is
 * there. */
#define CIRCFLOW_CIRCUIT_OWN_QUEUE 32

/* circflow_circuit_config.flags: circflow runs the circuit. It counts DATA, sends and checks SENDMEs, has the
 * congestion window (with CIRCFLOW_CIRCUIT_VEGAS), knows the streams and their XON and XOFF, and keeps cells that a
 * channel does not take. Feed every cell: the recognised ones with circflow_circuit_receive(), the others with
 * circflow_circuit_relay(). Say when a channel is full with circflow_circuit_set_writable(), and send what streams
 * have with circflow_stream_send(). Settled when the circuit is opened. */
#define CIRCFLOW_CIRCUIT_REACTOR 64

/* circflow_circuit_config.flags: a client's circuit to which its last hop opens streams (an onion service's). Say it
 * with circflow_circuit_extend(), so that no hop before the virtual one opens any. */
#define CIRCFLOW_CIRCUIT_SERVICE 128

/* What a circuit is opened with. Fill it with circflow_circuit_config_init(), then change what you want. */
typedef struct circflow_circuit_config {
  /* sizeof(circflow_circuit_config) as your compiler saw it. */
  size_t size;
  /* Yours. It comes back in every verdict and instruction about the circuit; make it other than 0, which stands for
   * "no circuit" there. */
  uint64_t tag;
  /* Client: any number that is the same for two circuits exactly when their last hop is the same relay. Exit: 0. */
  uint64_t join_point;
  /* CIRCFLOW_ROLE_CLIENT, the default, or CIRCFLOW_ROLE_RELAY, at a middle relay too. */
  uint8_t role;
  /* Client: number of hops, 1 to 16, default 3; the last is the join point (circflow_circuit_extend() adds more).
   * Exit: 0, which you have to set. */
  uint8_t hops;
  /* CIRCFLOW_PATH_*: which parameters of congestion control hold. Default: CIRCFLOW_PATH_EXIT. */
  uint8_t path_class;
  /* With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated when the circuit was built
   * (prop324 10); within 1 of "cc_sendme_inc". Default 0: what that says. */
  uint8_t sendme_inc;
  /* CIRCFLOW_CIRCUIT_*, or-ed together; an unknown one is refused. Default: CIRCFLOW_CIRCUIT_VEGAS, which legs and
   * streams need: add yours with |=. */
  uint32_t flags;
  /* Messages, and padding cells, that may be held for sending while padding blocks the circuit; then sending answers
   * CIRCFLOW_ERR_NO_ROOM, and padding is refused, with 0 at once. Default 32. */
  uint32_t held_sends_max;
  /* Zero. */
  uint32_t reserved;
} circflow_circuit_config;

/* Fills a config with the defaults: a client's circuit of three hops with Vegas congestion control. Pass
 * sizeof(circflow_circuit_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_config_init(struct circflow_circuit_config *config, size_t size);

/* Makes a circuit known: a client's once it is open, or when its first cell goes out if it is for
 * circflow_set_launch_legs(); an exit's once it is created. It lives until circflow_circuit_gone().
 *
 * That the legs of a set share no guard and no middle is your duty: circflow does not know relays (prop329 2.2).
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for an unknown role, flag or path_class, hops that do not fit the role,
 * CIRCFLOW_CIRCUIT_SERVICE at a relay, and, with CIRCFLOW_CIRCUIT_REACTOR, for CIRCFLOW_CIRCUIT_OWN_QUEUE or a
 * sendme_inc that is not within 1 of the parameter; CIRCFLOW_ERR_TOO_MANY at circuits_max: close some;
 * CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_open(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           const struct circflow_circuit_config *config,
                                           struct circflow_circuit_id *circuit_out);

/* Client: says that a circuit of circflow_set_launch_legs() is open. LINK is queued on it, and LINKED has
 * link_timeout_ns to come; the round trip is measured from the moment you take LINK. Wait for CIRCFLOW_INSN_LINKED and
 * CIRCFLOW_INSN_USABLE.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set, which circflow_set_add_legs() mends; CIRCFLOW_ERR_IN_SET: it
 * is a leg that is not being built; CIRCFLOW_ERR_NO_VEGAS: its flags have lost CIRCFLOW_CIRCUIT_VEGAS, and no LINK may
 * go out (prop329 2.2): close it; CIRCFLOW_ERR_CLOSING: it is being closed already; CIRCFLOW_ERR_UNDRAINED: drain,
 * then say it again.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_built(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit);

/* Replaces all of a circuit's flags, CIRCFLOW_CIRCUIT_*: say so when it is extended, or has carried a stream that
 * circflow did not see. When a relay follows no more (TRUNCATE, or DESTROY from the next relay), say so without
 * CIRCFLOW_CIRCUIT_EXTENDED: what waited for it is dropped, tokens come back as CIRCFLOW_INSN_DISCARD, and a source
 * that was told to pause may go on.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for an unknown flag, for another CIRCFLOW_CIRCUIT_OWN_QUEUE once there is a
 * padder or on a circuit that circflow runs, and for another CIRCFLOW_CIRCUIT_REACTOR, or CIRCFLOW_CIRCUIT_VEGAS with
 * it.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_set_flags(struct circflow_engine *engine,
                                                struct circflow_circuit_id circuit,
                                                uint32_t flags);

/* Shuts a circuit down at the host's wish: CIRCFLOW_INSN_CLOSE is queued for it, and its set is judged as after the
 * loss of any leg. Say circflow_circuit_gone() when it is done. Works on every circuit.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_close(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit);

/* Says that a circuit is gone (DESTROY came, or was sent, or its channel has gone), whoever closed it. Its id is
 * stale from now on, and what was queued about it is dropped.
 *
 * If it was a leg, this is where its set is judged (prop329 2.4.3): the set goes on when the leg was not linked yet,
 * or when it was neither sending, nor ahead of the others in either direction, nor the last, and had less than one
 * SENDME's worth in flight. Otherwise the other legs are told to close, and CIRCFLOW_INSN_ENDED follows: with
 * CIRCFLOW_ERR_LEG_LOST, or, if nothing was under way, CIRCFLOW_ERR_SET_FINISHED. What is in
 * flight is what you reported last, and the DATA sent since: if your numbers are newer, report first how the leg
 * stands (cwnd, inflight), then say this. A set that goes on may ask for another leg, with CIRCFLOW_INSN_WANT_LEG.
 *
 * These are the rules of every deployed Tor, and they leave a crack: less than one SENDME's worth of cells can be lost
 * with a leg whose set goes on. What comes after them then waits, until held_age_max_ns (circflow_set_config, 120 s by
 * default) ends the set with CIRCFLOW_ERR_HELD_TOO_LONG.
 *
 * Own statuses: none, and never CIRCFLOW_ERR_EXPIRED. Always safe to call, also when instructions wait.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_gone(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_circuit_id circuit);

/* ---- Circuits: getting longer ---- */

/* How a circuit gets longer. Fill it with circflow_extension_config_init(), then change what you want. */
typedef struct circflow_extension_config {
  /* sizeof(circflow_extension_config) as your compiler saw it. */
  size_t size;
  /* Of the new last hop, as circflow_circuit_config.join_point. For the virtual hop behind a rendezvous point: one
   * number for each onion service, at the client and at the service itself. Default 0. */
  uint64_t join_point;
  /* What is so of the new last hop: CIRCFLOW_CIRCUIT_VEGAS, if it was negotiated with it, and
   * CIRCFLOW_CIRCUIT_SERVICE, if it may open streams. They take the place of what was so of the old one; other flags
   * of the circuit stay. Default: CIRCFLOW_CIRCUIT_VEGAS. */
  uint32_t flags;
  /* Hops of the circuit from now on, more than it has, 16 at most. Default 0: one more. */
  uint8_t hops;
  /* CIRCFLOW_PATH_*: which parameters of congestion control hold for the new hops. Default: CIRCFLOW_PATH_ONION. */
  uint8_t path_class;
  /* With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated with the new hops; within
   * 1 of "cc_sendme_inc" of the class. Default 0: what that says. */
  uint8_t sendme_inc;
  /* Zero. */
  uint8_t reserved;
} circflow_extension_config;

/* Fills a config with the defaults: one more hop, Vegas congestion control with it, parameters of paths to onion
 * services. Pass sizeof(circflow_extension_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_extension_config_init(struct circflow_extension_config *config, size_t size);

/* Says that a client's circuit got longer: a cannibalised one, one to a rendezvous point, or by the virtual hop behind
 * it. Call it when the new hop's keys are there (EXTENDED2, RENDEZVOUS2; at a service before RENDEZVOUS1 goes out),
 * before anything is sent to the new hop, and before you feed what comes from it.
 *
 * What there was stays, for each hop that was there: congestion window and what is in flight, the count towards the
 * next SENDME and its sendme_inc, padders, streams, and messages that wait to be sent to it. From now on the last hop
 * is another: the new one is the join point, where sets meet and a stream goes by default, circflow_circuit_stats has
 * its window, and padders of earlier hops count cells to and from it as passing. A circuit that has carried streams
 * still cannot be a leg.
 *
 * Not for a leg, linked, pending or launched: the legs of a set have one length and one join point, and are never
 * extended (prop329). Open one that is for circflow_set_launch_legs() with the hops it is to have; extend any other
 * before circflow_set_add_legs(), or after circflow_set_dissolve(). A circuit that gets shorter (TRUNCATED) is to be
 * closed.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: not more hops than before, or above 16, a flag other than the two, an unknown
 * path_class, a reserved field that is not zero; and on a circuit that circflow runs, another CIRCFLOW_CIRCUIT_VEGAS
 * than that of the hops before (open it anew), or a sendme_inc that is not within 1 of the parameter (close it: the
 * hop is lying); CIRCFLOW_ERR_IN_SET: it is a leg; CIRCFLOW_ERR_ROLE: a relay's; say CIRCFLOW_CIRCUIT_EXTENDED with
 * circflow_circuit_set_flags(); CIRCFLOW_ERR_CLOSING: it is to close, do so. After any of them nothing has changed.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_extend(struct circflow_engine *engine,
                                             uint64_t now_ns,
                                             struct circflow_circuit_id circuit,
                                             const struct circflow_extension_config *config);

/* ---- Circuits: messages that come ---- */

/* Feeds a relay message that arrived on a circuit and was recognised here. Feed every one, control included, in the
 * order of arrival; do your circuit SENDME accounting before, as it does not wait for order (prop329 2.5). What is
 * none of circflow's business (SENDME, EXTEND, ..) comes back as DELIVER, without a number.
 *
 * The verdict says what to do with the message: DELIVER, HELD, CONSUMED or REFUSE. On an error the message was not
 * taken: drop it.
 *
 * @param message      Read during the call only.
 * @param verdict_out  Written on CIRCFLOW_OK.
 *
 * Own statuses: class PEER: the peer broke the protocol, and the close of the circuit (or of the whole set, where its
 * order is lost) is queued: drain; class LIMIT: a cap was reached, and the close is queued: drain;
 * CIRCFLOW_ERR_CLOSING: it is being closed already; CIRCFLOW_ERR_UNDRAINED: only for LINK, LINKED, LINKED_ACK and
 * PADDING_NEGOTIATE, and for all on a circuit that circflow runs: drain and feed it again; CIRCFLOW_ERR_INVALID:
 * body_len above CIRCFLOW_BODY_MAX, whatever the form and whether the message is early or next; hop above 16; and,
 * only where the message has to be held or read, an unknown form, or a body that is NULL and has a length.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_receive(struct circflow_engine *engine,
                                              uint64_t now_ns,
                                              struct circflow_circuit_id circuit,
                                              const struct circflow_message *message,
                                              struct circflow_verdict *verdict_out);

/* ---- Circuits: messages that go ---- */

/* Sends a relay message on a circuit that is in no set, or to another hop than the join point: asks whether padding
 * holds it back, and counts it as queued if not. Needed for messages of streams on circuits with a padder, and for all
 * messages of a relay on a circuit that circflow runs: there it goes behind the cells that wait for its channel, as
 * TRUNCATED that overtook them would make them unreadable for the client. Allowed for all.
 *
 * @param verdict_out  SEND: queue the cell now; do not report it again. HELD: it was kept (the body copied, or the
 *                     token taken) and comes back as CIRCFLOW_INSN_SEND: encrypt the cell then, not before. Written on
 *                     CIRCFLOW_OK.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: held_sends_max messages wait already, or there is no memory;
 * CIRCFLOW_INSN_MAY_SEND says when to go on; CIRCFLOW_ERR_IN_SET: it belongs to the set, circflow_set_send() it;
 * CIRCFLOW_ERR_IS_RUN: it belongs to a stream, circflow_stream_send() it; CIRCFLOW_ERR_CLOSING; CIRCFLOW_ERR_INVALID
 * as for circflow_circuit_receive(), and for a hop that the circuit has not.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_send(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_circuit_id circuit,
                                           const struct circflow_message *message,
                                           struct circflow_verdict *verdict_out);

/* Says that a relay cell is queued on a circuit.
 *
 * On a leg this is the second half of sending: report what circflow_set_decide() asked for, the SWITCH first, then the
 * message, each when it is really queued. A cell that is never reported leaves no trace. What is checked is that the
 * numbers allow it, not that it was decided: a message needs no decision where it needs no SWITCH.
 *
 * On a circuit with a padder, report every other cell too, also those that only pass (at a relay: hop 0, command 0).
 * Only what circflow knows already is not reported again: what circflow_set_send() or circflow_circuit_send()
 * answered with SEND, and what an instruction told you to send.
 *
 * @param command  CIRCFLOW_CMD_SWITCH, the command of the message, or any other.
 * @param hop      Where it goes: 1 to the number of hops, or 0 at a relay.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_DECIDED: it does not fit this leg now: decide, and report what you were told;
 * CIRCFLOW_ERR_IS_RUN: a stream's message, or a SWITCH, on a circuit whose streams circflow knows;
 * CIRCFLOW_ERR_INVALID: no such hop; CIRCFLOW_ERR_CLOSING.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_cell_queued(struct circflow_engine *engine,
                                                  uint64_t now_ns,
                                                  struct circflow_circuit_id circuit,
                                                  uint8_t command,
                                                  uint8_t hop);

/* Gives the digest of a DATA cell for which CIRCFLOW_WANTS_DIGEST asked: what its SENDME has to bring back (prop289).
 * In the order of sending, before anything can have come back: a SENDME for a cell whose digest was never given closes
 * the circuit. That a digest cannot be guessed is yours to see to: with tor1, some cell of each sendme_inc carries
 * random bytes after its message (prop289).
 *
 * @param hop      Where the cell went.
 * @param digest   Of the cell. tor1: the running digest after it.
 * @param digest_len  20 bytes (tor1) or 16 (counter-galois).
 *
 * Own statuses: CIRCFLOW_ERR_NOT_ASKED: no cell waits for its digest (harmless: a host may offer each), or it has
 * another length; CIRCFLOW_ERR_NOT_RUN.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_add_digest(struct circflow_engine *engine,
                                                 struct circflow_circuit_id circuit,
                                                 uint8_t hop,
                                                 const uint8_t *digest,
                                                 size_t digest_len);

/* Says that cells of a circuit were written to the channel, the oldest first. Needed on circuits with a padder; costs
 * next to nothing on others. Cells that were queued before there was a padder are not known and not counted.
 *
 * @param cells  How many, of all that were queued on this circuit in this direction.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_cells_written(struct circflow_engine *engine,
                                                    uint64_t now_ns,
                                                    struct circflow_circuit_id circuit,
                                                    uint32_t cells);

/* ---- Circuits: cells that pass, channels ---- */

/* Feeds a cell that is not for this relay, and goes on to the other side: with CIRCFLOW_SIDE_BACK one that came from
 * the client's side and was not recognised, with CIRCFLOW_SIDE_NEXT any that came from the next relay.
 *
 * @param from         The side it came from.
 * @param cell         body: CIRCFLOW_CELL_BODY_LEN bytes, or less. command: the cell's (RELAY or RELAY_EARLY), or what
 *                     you like; it comes back. form, token and cost as for any message. Other fields are not looked
 *                     at.
 * @param verdict_out  FORWARD: write the cell you hold to the other side, now. HELD: that side is full, and the cell
 *                     was kept (the bytes copied, or the token taken); it comes back as CIRCFLOW_INSN_WRITE. Written
 *                     on CIRCFLOW_OK.
 *
 * Add this relay's layer to a cell towards the client when it leaves, at FORWARD or at CIRCFLOW_INSN_WRITE, not when
 * it is fed: the layer is a running cipher, and what circflow says itself (SENDME, for instance) can leave before
 * cells that wait.
 *
 * How many RELAY_EARLY a circuit may carry is yours to count. A rendezvous point joins two circuits: give both
 * CIRCFLOW_CIRCUIT_EXTENDED. The next side of each is then the channel of the other, and a cell that is not recognised
 * is fed to the circuit it came on, from CIRCFLOW_SIDE_BACK.
 *
 * When many wait, CIRCFLOW_INSN_PAUSE_FEED asks you to stop: keep this circuit's cells yourself until
 * CIRCFLOW_INSN_UNPAUSE_FEED, without stopping the channel for other circuits.
 *
 * Own statuses: CIRCFLOW_ERR_EDGE_OVERRUN: too many cells came after the pause; CIRCFLOW_ERR_UNRECOGNISED: no relay
 * follows (no CIRCFLOW_CIRCUIT_EXTENDED), so the cell is for nobody; CIRCFLOW_ERR_ENGINE_MEMORY: of these three the
 * close is queued: drain; CIRCFLOW_ERR_ROLE: at a client every cell is recognised; CIRCFLOW_ERR_NOT_RUN;
 * CIRCFLOW_ERR_CLOSING: drop the cell; CIRCFLOW_ERR_UNDRAINED: drain, and feed it again; CIRCFLOW_ERR_INVALID: no such
 * side, or the cell is too long, NULL or of an unknown form.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_circuit_relay(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit,
                                            uint8_t from,
                                            const struct circflow_message *cell,
                                            struct circflow_verdict *verdict_out);

/* Says whether the channel on one side of a circuit takes cells (1) or is full (0). Channels begin as writable. While
 * one is full, cells for it wait here, DATA is not sent on it, and congestion control sees that it is blocked; control
 * (SENDME, handshakes, END) is still yours to send, as there is little of it.
 *
 * What waits comes as CIRCFLOW_INSN_WRITE, and a relay's own messages among it as CIRCFLOW_INSN_SEND, one at a time:
 * encrypt each when it comes, in that order. A channel that fills up again while you drain says so again, and what is
 * left goes on waiting.
 *
 * @param side  At a client CIRCFLOW_SIDE_BACK, its one channel. At the last hop what is said of the other changes
 *              nothing.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_RUN; CIRCFLOW_ERR_INVALID: no such side.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_set_writable(struct circflow_engine *engine,
                                                   uint64_t now_ns,
                                                   struct circflow_circuit_id circuit,
                                                   uint8_t side,
                                                   uint8_t writable);

/* Relay: says that a cell came from the client that was not recognised here and goes on to the next relay. Needed on
 * circuits with a padder. (A cell in the other direction is reported with circflow_circuit_cell_queued() once it is
 * queued.)
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_cell_passed(struct circflow_engine *engine,
                                                  uint64_t now_ns,
                                                  struct circflow_circuit_id circuit);

/* ---- Circuits: your congestion control ---- */

/* circflow_leg_report.flags: congestion control is in slow start. */
#define CIRCFLOW_REPORT_SLOW_START 1

/* circflow_leg_report.flags: the channel under the leg takes no more cells for now. */
#define CIRCFLOW_REPORT_CHANNEL_FULL 2

/* How a leg stands, from the host's congestion control. It replaces all that was known; until the next report circflow
 * counts the DATA it is told was sent on top of inflight. */
typedef struct circflow_leg_report {
  /* The leg. */
  struct circflow_circuit_id circuit;
  /* Congestion window, in cells. */
  uint64_t cwnd;
  /* DATA cells sent and not yet acknowledged. Any number; it may be above cwnd. */
  uint64_t inflight;
  /* Smoothed round-trip time, in nanoseconds; 0 keeps the one the link handshake measured. */
  uint64_t rtt_ns;
  /* DATA cells that one SENDME acknowledges. With so many in flight or more, a leg that goes takes its set with it;
   * so with 0, each does. */
  uint32_t sendme_inc;
  /* CIRCFLOW_REPORT_*, or-ed together. */
  uint32_t flags;
} circflow_leg_report;

/* Reports how legs stand. Call it whenever your congestion control or a channel changes something: a SENDME came, a
 * channel is full or has room again. A leg that was never reported has no window and gets no DATA: report each once
 * it is linked. If the set waits for room and now has it, CIRCFLOW_INSN_MAY_SEND is queued. Drain before you report: a
 * message that was held for padding and waits in the instruction queue is in flight for circflow, and not yet for you.
 *
 * @param reports       Applied in order. The first that names no leg ends the call; those before it stand. An unknown
 *                      flag in any of them refuses all.
 * @param report_count  How many.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for an unknown flag; CIRCFLOW_ERR_NOT_A_LEG; CIRCFLOW_ERR_IS_RUN: circflow knows
 * how it stands; CIRCFLOW_ERR_CLOSING.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_leg_update(struct circflow_engine *engine,
                                         uint64_t now_ns,
                                         const struct circflow_leg_report *reports,
                                         size_t report_count);

/* ---- Circuits: figures ---- */

/* Figures of one edge of a circuit, where cells leave it for a channel. */
typedef struct circflow_edge_stats {
  /* Cells that went on to it, at once or after a wait. */
  uint64_t passed;
  /* Cells that wait now. */
  uint32_t waiting;
  /* The most that ever did. */
  uint32_t waiting_peak;
  /* 1 when its channel takes cells. */
  uint32_t writable;
  /* 1 when the source of its cells was told to pause. */
  uint32_t paused;
} circflow_edge_stats;

/* Figures of a circuit that circflow runs. Set size to sizeof before each call. */
typedef struct circflow_circuit_stats {
  /* sizeof(circflow_circuit_stats) as your compiler saw it. */
  size_t size;
  /* Congestion window towards the join point in cells; 0 before the first DATA. */
  uint64_t cwnd;
  /* DATA cells sent and not acknowledged. */
  uint64_t inflight;
  /* Smoothed round-trip time in nanoseconds; 0 before the first was measured. */
  uint64_t rtt_ns;
  /* 1 in slow start. */
  uint32_t slow_start;
  /* Streams open that are the circuit's own, not a set's. */
  uint32_t streams;
  /* Towards the client; at a client, towards the first relay. */
  struct circflow_edge_stats back;
  /* Towards the next relay. */
  struct circflow_edge_stats next;
} circflow_circuit_stats;

/* Figures of a circuit that circflow runs. Set stats->size to sizeof(circflow_circuit_stats) first.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_RUN: of a leg, circflow_leg_get_stats() tells.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_circuit_get_stats(struct circflow_engine *engine,
                                                struct circflow_circuit_id circuit,
                                                struct circflow_circuit_stats *stats);

/********************************************************************************************************************
 * 7. Sets
 ********************************************************************************************************************/

/* ---- Sets: life ---- */

/* Bytes of a conflux nonce. */
#define CIRCFLOW_NONCE_LEN 32

/* Legs that a set can have at most. */
#define CIRCFLOW_LEGS_MAX 16

/* circflow_set_config.held_age_max_ns: as the engine has it. */
#define CIRCFLOW_AS_ENGINE UINT64_MAX

/* desired_ux (prop329 2.2): no opinion. The peer sends by lowest RTT with room. */
#define CIRCFLOW_UX_NO_OPINION 0

/* desired_ux: lowest latency. The peer sends on the leg with the lowest RTT and waits when that has no room. */
#define CIRCFLOW_UX_MIN_LATENCY 1

/* desired_ux: lowest latency, and at most one SWITCH in a congestion window. */
#define CIRCFLOW_UX_LOW_MEM_LATENCY 2

/* desired_ux: highest throughput. The peer sends by lowest RTT with room. */
#define CIRCFLOW_UX_HIGH_THROUGHPUT 3

/* desired_ux: highest throughput, and at most one SWITCH in a congestion window. */
#define CIRCFLOW_UX_LOW_MEM_THROUGHPUT 4

/* circflow_set_config.algorithm: chosen by the UX that the peer asks for, as the protocol has it. */
#define CIRCFLOW_ALGORITHM_BY_UX 0

/* circflow_set_config.algorithm: MinRTT (prop329 3.1). */
#define CIRCFLOW_ALGORITHM_MIN_RTT 1

/* circflow_set_config.algorithm: LowRTT (prop329 3.2). */
#define CIRCFLOW_ALGORITHM_LOW_RTT 2

/* circflow_set_config.algorithm: CwndRTT: the fastest leg while it has room, else the fastest other leg that can take
 * a cell without finishing later. */
#define CIRCFLOW_ALGORITHM_CWND_RTT 3

/* What a set is made with. Fill it with circflow_set_config_init(), then change what you want. */
typedef struct circflow_set_config {
  /* sizeof(circflow_set_config) as your compiler saw it. */
  size_t size;
  /* Yours. It comes back in every instruction about the set; make it other than 0, which stands for "no set" there.
   */
  uint64_t tag;
  /* A client's secret: 32 fresh random bytes for each set, sent to one exit and to nobody else (prop329 2.2). Wipe
   * your copy. Not used by circflow_engine_accept_sets(). */
  uint8_t nonce[CIRCFLOW_NONCE_LEN];
  /* How long a leg may wait for LINKED (client) or LINKED_ACK (exit), at least 1. It runs from the call that queued
   * LINK or LINKED, so that it bounds your own delay too; the round trip is measured from when you take that
   * instruction. Default 60 s; give your circuit build timeout if that is shorter. */
  uint64_t link_timeout_ns;
  /* Bytes that the set may hold for order. 0: the first message out of order closes the set. Default 16 MiB. Where
   * cfx_max_oooq_bytes says less when the set is opened, that counts. */
  uint64_t held_bytes_max;
  /* How many messages ahead of the last delivered one a SWITCH may move a leg. Default 1048576. */
  uint32_t switch_ahead_max;
  /* Legs of the set at a time, 1 to CIRCFLOW_LEGS_MAX. Default 0: what cfx_max_legs_set says when the set is opened,
   * 8 if that was never set, and CIRCFLOW_LEGS_MAX if it is more. */
  uint32_t legs_max;
  /* Client: legs that may be launched, failed ones counted (also those that failed while they were built), until the
   * set is usable, and again after each time that every leg has been answered (prop329 4.2.2). Default 0: what
   * cfx_num_legs_set and cfx_max_unlinked_leg_retry add up to when the set is opened, 5 if they were never set. */
  uint32_t launches_max;
  /* What this end wants of the other, CIRCFLOW_UX_*. Default: HIGH_THROUGHPUT. */
  uint8_t desired_ux;
  /* How this end chooses its sending leg, CIRCFLOW_ALGORITHM_*. Default: BY_UX. */
  uint8_t algorithm;
  /* Zero. */
  uint8_t reserved[2];
  /* Messages that may be held for sending while padding blocks the legs; then sending answers CIRCFLOW_ERR_NO_ROOM,
   * with 0 at once. Default 32. */
  uint32_t held_sends_max;
  /* Zero. */
  uint32_t reserved2;
  /* How long a message may be held for order, as circflow_engine_config.held_age_max_ns says; 0 for as long as it
   * takes. Default CIRCFLOW_AS_ENGINE: what that says. */
  uint64_t held_age_max_ns;
} circflow_set_config;

/* Fills a config with the defaults. Pass sizeof(circflow_set_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_config_init(struct circflow_set_config *config, size_t size);

/* Exit: accepts sets that clients open with LINK, and says what each is made with. Until this is called, after it is
 * called with NULL, and while the parameter cfx_enabled is 0, a LINK is a protocol violation. Sets that live already
 * are not touched.
 *
 * A set appears with its first CIRCFLOW_INSN_LINKED. What an exit of Tor asks for is desired_ux
 * CIRCFLOW_UX_MIN_LATENCY.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID as for circflow_set_open().
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_engine_accept_sets(struct circflow_engine *engine,
                                                 const struct circflow_set_config *config);

/* Client: opens a set, with no legs yet. It ends with its last leg, or with circflow_set_close().
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for an unknown UX or algorithm, legs_max above 16, link_timeout_ns or
 * switch_ahead_max 0, held_age_max_ns above a week, or a reserved field that is not 0; CIRCFLOW_ERR_DISABLED:
 * cfx_enabled is 0; CIRCFLOW_ERR_NONCE_IN_USE: draw another; CIRCFLOW_ERR_TOO_MANY at sets_max: close some;
 * CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_open(struct circflow_engine *engine,
                                       uint64_t now_ns,
                                       const struct circflow_set_config *config,
                                       struct circflow_set_id *set_out);

/* Ends a set at the host's wish: a close is queued for each leg, then CIRCFLOW_INSN_ENDED. Tokens that are held come
 * back as CIRCFLOW_INSN_DISCARD. The set's id is stale from now on.
 *
 * A set ends well when no stream is open on it any more: send END on each, take what that queues, write it out, then
 * close the set and its circuits. The other end, which learns of that by DESTROY on one leg after another, sees
 * CIRCFLOW_ERR_SET_FINISHED as the cause, where circflow runs its streams. Where they are yours, call this there too,
 * before circflow_circuit_gone(), once you have seen the last END: the cause is then CIRCFLOW_OK. Anything else is
 * CIRCFLOW_ERR_LEG_LOST: something may have been lost.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_close(struct circflow_engine *engine, uint64_t now_ns, struct circflow_set_id set);

/* Takes the last leg out of a set, as a circuit of its own again that keeps its streams; the set is gone, without a
 * CIRCFLOW_INSN_ENDED. Only when it is
 * the set's one leg, all of its handshake is done (LINKED_ACK included), and nothing is held, so that its own order is
 * the order.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_ALONE: close the other legs, and drain.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_dissolve(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_set_id set,
                                           struct circflow_circuit_id *circuit_out);

/* Gives a set another tag: it comes back as set_tag from now on, also in instructions that wait already. For an exit,
 * which first hears of a set in CIRCFLOW_INSN_LINKED, when all it has is the tag of circflow_engine_accept_sets():
 * name the set there, inside the drain, and whatever follows has the name. Also for a set with legs on other engines
 * of a hub, on the engine that has the set: instructions of the others name no set.
 *
 * Own statuses: none. An ended set is not named any more: its id is stale, and its CIRCFLOW_INSN_ENDED has the tag it
 * had.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_retag(struct circflow_engine *engine, struct circflow_set_id set, uint64_t tag);

/* Changes how this end chooses the sending leg, from the next decision on; what circflow_set_get_room() has answered
 * holds no longer. If the set waits for room and another leg now has it, CIRCFLOW_INSN_MAY_SEND is queued. The peer is
 * not told.
 *
 * @param algorithm  CIRCFLOW_ALGORITHM_*; BY_UX goes back to what the peer asked for last. That a peer asked for low
 *                   memory, and gets at most one SWITCH in a congestion window, stays so with any.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for an unknown algorithm.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_set_use_algorithm(struct circflow_engine *engine,
                                                struct circflow_set_id set,
                                                uint8_t algorithm);

/* ---- Sets: legs ---- */

/* Client: makes circuits legs of a set, all or none, and queues a LINK on each. Also for a set that is live already: a
 * leg may join while messages are in flight, as its numbers start from zero on both sides. Wait for
 * CIRCFLOW_INSN_LINKED and CIRCFLOW_INSN_USABLE. For circuits that are not open yet: circflow_set_launch_legs().
 *
 * @param circuits       Each open, a client's, in no set, without streams, with Vegas, of the same length and join
 *                       point as the other legs, and named once.
 * @param circuit_count  How many, at least 1.
 *
 * Own statuses: CIRCFLOW_ERR_NO_LEGS, CIRCFLOW_ERR_IN_SET, CIRCFLOW_ERR_HAS_STREAMS, CIRCFLOW_ERR_NO_VEGAS,
 * CIRCFLOW_ERR_LEG_MISMATCH, CIRCFLOW_ERR_ROLE, CIRCFLOW_ERR_TOO_MANY_LEGS, CIRCFLOW_ERR_TOO_MANY_LAUNCHES: the first
 * circuit that is not as said above; CIRCFLOW_ERR_DISABLED: the parameter cfx_enabled is 0; CIRCFLOW_ERR_CLOSING: one
 * is being closed; CIRCFLOW_ERR_UNDRAINED: drain first. After any of them no circuit became a leg.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_add_legs(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_set_id set,
                                           const struct circflow_circuit_id *circuits,
                                           size_t circuit_count);

/* Client: as circflow_set_add_legs(), for circuits that are still being built, opened with the hops they are to have.
 * They are legs from now on, and count as launched: circuits that fail count, too (prop329 4.2.2). LINK goes out on
 * each once circflow_circuit_built() says that it is open.
 *
 * Until then no time of circflow's runs: give up after your own circuit build timeout, with
 * circflow_circuit_gone(), and CIRCFLOW_INSN_WANT_LEG asks for another while the budget lasts. A new set is not
 * usable while a leg is being built, and LINKED on one is a protocol violation. What else comes on it (EXTENDED2) is
 * delivered without a number.
 *
 * @param circuits       As for circflow_set_add_legs(); CIRCFLOW_CIRCUIT_VEGAS among their flags says that it is asked
 *                       for. When it was refused, say so with circflow_circuit_set_flags(), or close the circuit.
 * @param circuit_count  How many, at least 1.
 *
 * Own statuses: as of circflow_set_add_legs(): no circuit became a leg.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_launch_legs(struct circflow_engine *engine,
                                              uint64_t now_ns,
                                              struct circflow_set_id set,
                                              const struct circflow_circuit_id *circuits,
                                              size_t circuit_count);

/* Adds a leg whose handshake the host has done itself: linked at once, and the set usable. No message is sent, and no
 * CIRCFLOW_INSN_LINKED or CIRCFLOW_INSN_USABLE comes. Its numbers start from zero; circflow_set_import() sets
 * others. For a host that keeps its own handshake.
 *
 * @param peer_ux  What the peer asked for, CIRCFLOW_UX_*; unknown values count as NO_OPINION.
 * @param rtt_ns   Round-trip time of the handshake, 0 when unknown.
 *
 * Own statuses: as of circflow_set_add_legs(), without CIRCFLOW_ERR_TOO_MANY_LAUNCHES and CIRCFLOW_ERR_ROLE: a circuit
 * of either role will do, the same as that of the other legs.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_adopt_leg(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_set_id set,
                                            struct circflow_circuit_id circuit,
                                            uint8_t peer_ux,
                                            uint64_t rtt_ns);

/* circflow_leg_stats.state: client, the circuit is still being built, and circflow_circuit_built() is to come. */
#define CIRCFLOW_LEG_BUILDING 1

/* circflow_leg_stats.state: client, LINK is queued or sent, and LINKED is to come. */
#define CIRCFLOW_LEG_PENDING 2

/* circflow_leg_stats.state: exit, linked since LINK came, and LINKED_ACK is to come. */
#define CIRCFLOW_LEG_UNACKED 3

/* circflow_leg_stats.state: linked, and all of its handshake is done. */
#define CIRCFLOW_LEG_LINKED 4

/* Figures of a leg. Set size to sizeof before each call. */
typedef struct circflow_leg_stats {
  /* sizeof(circflow_leg_stats) as your compiler saw it. */
  size_t size;
  /* How far its handshake has come, CIRCFLOW_LEG_*. */
  uint32_t state;
  /* DATA cells that one SENDME acknowledges, as reported last; 31 before. */
  uint32_t sendme_inc;
  /* Round-trip time in nanoseconds: of the last report, before of the handshake; 0 when not known. */
  uint64_t rtt_ns;
  /* Congestion window in cells, as reported last; 0 before. */
  uint64_t cwnd;
  /* DATA cells in flight: those of the last report, and those sent since. */
  uint64_t inflight;
  /* Number of the last message sent on it. */
  uint64_t sent;
  /* Number of the last message received on it. */
  uint64_t received;
} circflow_leg_stats;

/* Figures of a leg. Set stats->size to sizeof(circflow_leg_stats) first.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set, or its set is on another engine of a hub, which answers for
 * it under the same id; CIRCFLOW_ERR_CLOSING: it is being closed.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_leg_get_stats(struct circflow_engine *engine,
                                            struct circflow_circuit_id circuit,
                                            struct circflow_leg_stats *stats);

/* ---- Sets: messages that go ---- */

/* Decides on which leg a multiplexed message goes, and changes nothing: number, window and sending leg move when
 * circflow_circuit_cell_queued() reports the SWITCH and the message as queued. The first half of sending, for a host
 * whose queues can refuse a cell. A message that is not DATA goes out even when no leg has room (RELAY_END must not
 * wait for a window). HELD is no decision but an answer: padding blocks the
 * legs (END waits then, too), and the message was taken.
 *
 * @param message       Its command counts, and its hop (the join point; at an exit 0). Its body is read, and its token
 *                      taken, only when the verdict is HELD.
 * @param reports       Reports of legs to apply first, as circflow_leg_update() does; NULL with 0. They are news,
 *                      and stand whatever the answer is.
 * @param report_count  How many.
 * @param verdict_out   CIRCFLOW_VERDICT_SEND with leg, number and switch_delta, or CIRCFLOW_VERDICT_HELD: it comes
 *                      back as CIRCFLOW_INSN_SEND with its leg and number, after another with a SWITCH if it needs
 *                      one, and is not to be reported. Written on CIRCFLOW_OK.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: no leg has room, held_sends_max messages wait already, or there is no memory for
 * another: stop reading streams until CIRCFLOW_INSN_MAY_SEND; circflow_engine_get_last_detail() says which leg lacks
 * what; CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE; CIRCFLOW_ERR_NOT_MULTIPLEXED: send it on its own
 * circuit; CIRCFLOW_ERR_IS_RUN: circflow knows the set's streams, circflow_stream_send() it; CIRCFLOW_ERR_INVALID: not
 * to the join point, body_len above CIRCFLOW_BODY_MAX, or, where it has to be held, as for circflow_circuit_receive();
 * of reports: CIRCFLOW_ERR_NOT_A_LEG, CIRCFLOW_ERR_CLOSING.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_decide(struct circflow_engine *engine,
                                         uint64_t now_ns,
                                         struct circflow_set_id set,
                                         const struct circflow_message *message,
                                         const struct circflow_leg_report *reports,
                                         size_t report_count,
                                         struct circflow_verdict *verdict_out);

/* Decides and reports as queued in one call, SWITCH included: for a host whose queues never refuse a cell. Send the
 * SWITCH, if switch_delta is not 0, and the message, in this order, before anything else of this set.
 *
 * message, reports, report_count and verdict_out are as for circflow_set_decide().
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

/* Asks whether a DATA message could be sent now (SEND), and on which leg, or would be held (HELD). Changes nothing at
 * all; not even a later CIRCFLOW_INSN_MAY_SEND comes of it.
 *
 * @param verdict_out  As circflow_set_decide() would answer. Written on CIRCFLOW_OK.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM, CIRCFLOW_ERR_NOT_USABLE, as of circflow_set_decide().
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_get_decision(struct circflow_engine *engine,
                                               struct circflow_set_id set,
                                               struct circflow_verdict *verdict_out);

/* For a host that asks with circflow_set_decide() before each cell: how many DATA messages in a row it would answer to
 * with the leg that sends now and no SWITCH, as long as nothing is reported and no leg comes or goes. So many may be
 * sent without asking; report each with circflow_circuit_cell_queued(), which counts the number down. 0: ask.
 *
 * Known after a circflow_set_decide() that named the leg that was sending, for DATA; 0 at any other time.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_get_room(struct circflow_engine *engine,
                                           struct circflow_set_id set,
                                           uint64_t *messages_out);

/* ---- Sets: messages that are ready ---- */

/* Takes the next ready message of one set, for a host that works set by set: kind is CIRCFLOW_INSN_DELIVER, or
 * CIRCFLOW_INSN_NONE when none is ready, or when the call has dealt with so many that were for circflow alone (XOFF,
 * XON) that it leaves the rest to a later one: the deadline is 0 then. The same messages, in the same order, that
 * circflow_engine_poll() would give; each is given once, by one or the other. Of a set that circflow runs it can be
 * CIRCFLOW_INSN_DISCARD too: the token of a message whose stream has ended here.
 *
 * @param body      Where the body goes. Give CIRCFLOW_BODY_MAX bytes and it always fits.
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

/* Takes ready messages of one set, as many as fit, for a host that gives all of them as tokens (CIRCFLOW_FORM_TOKEN):
 * what circflow_set_poll() does one by one, for a fraction of its cost. All that are taken count as delivered, in the
 * order of the array; their numbers follow each other without a gap.
 *
 * @param tokens     Gets the tokens.
 * @param token_cap  Tokens of room there.
 * @param count_out  How many were written. Fewer than token_cap: no more are ready, or the next is one whose body
 *                   circflow has copied, which circflow_set_poll() gives.
 *
 * Own statuses: CIRCFLOW_ERR_IS_RUN: circflow has the streams of this set: circflow_set_poll() or drain.
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
  /* Of these, legs that are not linked yet, those included whose circuits are still being built. */
  uint32_t legs_unlinked;
  /* 1 when the set may carry streams. */
  uint32_t usable;
  /* The UX the peer asked for last, CIRCFLOW_UX_*. */
  uint32_t peer_ux;
  /* The sending leg; before the first message, the fastest; zero when none is linked. */
  struct circflow_circuit_id primary;
  /* The leg that a message came or went on last; zero when none ever did. */
  struct circflow_circuit_id most_active;
  /* When that was. */
  uint64_t last_active_ns;
  /* Highest number sent. */
  uint64_t sent;
  /* Highest number delivered. */
  uint64_t delivered;
  /* Messages held now. */
  uint64_t held;
  /* The most ever held: the reorder depth. */
  uint64_t held_peak;
  /* What is held costs, in bytes. */
  uint64_t held_bytes;
  /* The most it ever cost. */
  uint64_t held_bytes_peak;
  /* SWITCHes reported as sent. */
  uint64_t switches_sent;
  /* SWITCHes received. */
  uint64_t switches_received;
  /* How the sending leg is chosen now, CIRCFLOW_ALGORITHM_*; never BY_UX, but what came of it. */
  uint32_t algorithm;
  /* Client: legs that may be launched now, by launches_max and by legs_max. Exit: 0. */
  uint32_t launches_left;
  /* Streams open on the set, if circflow runs it; else 0, as they are yours. */
  uint64_t streams;
  /* If circflow runs the set: since when no stream is open on it, at first since when the set is there;
   * CIRCFLOW_NEVER while one is. Else CIRCFLOW_NEVER. */
  uint64_t no_streams_since_ns;
  /* Since when the oldest of the messages that are held for order has waited, in nanoseconds on your clock;
   * CIRCFLOW_NEVER when none is held. Right to two milliseconds. Of a time in which you did not call, one second
   * counts: so much later it is. The set ends when now - held_since_ns reaches its held_age_max_ns, unless it is
   * only you who has to take what is held. */
  uint64_t held_since_ns;
  /* Messages that wait to be sent. */
  uint64_t unsent;
  /* What those cost, in bytes. */
  uint64_t unsent_bytes;
  /* All that counts when a cap of the engine or the hub is reached and a set has to go: what is held for order, what
   * waits to be sent, and what is on its way to legs on other engines, in bytes. The set with the greatest product
   * of these and of the time since total_since_ns goes, or one that has at least half of it. */
  uint64_t total_bytes;
  /* Since when the oldest of that has waited, in nanoseconds on your clock; CIRCFLOW_NEVER when it is nothing. */
  uint64_t total_since_ns;
} circflow_set_stats;

/* Figures of a set. Set stats->size to sizeof(circflow_set_stats) first.
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

/* Reads a set's numbers, for a host whose own structs are authoritative.
 * @param legs           Gets one entry for each leg, linked or not, in no particular order.
 * @param leg_cap        Entries of room; CIRCFLOW_LEGS_MAX always fit.
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

/* Sets a set's numbers from the host's own structs. A leg whose received grows counts as having received messages;
 * legs that are not named keep their numbers. Messages that are ready after it are queued as usual.
 *
 * @param numbers    delivered, and the sending leg (zero for none).
 * @param legs       The legs to change.
 * @param leg_count  How many.
 *
 * Own statuses: CIRCFLOW_ERR_NUMBERS: a leg's received lies below what it holds, a held message would be behind
 * delivered, delivered is above what any leg has received, the sending leg is not linked or has not the highest sent,
 * or a leg that is not linked has numbers; CIRCFLOW_ERR_NOT_A_LEG: not one of this set's; CIRCFLOW_ERR_TOO_MANY_LEGS:
 * more than CIRCFLOW_LEGS_MAX are named. After any of them nothing has changed.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_set_import(struct circflow_engine *engine,
                                         uint64_t now_ns,
                                         struct circflow_set_id set,
                                         const struct circflow_set_numbers *numbers,
                                         const struct circflow_leg_numbers *legs,
                                         size_t leg_count);

/********************************************************************************************************************
 * 8. Streams
 ********************************************************************************************************************/

/* What a stream is opened with. Fill it with circflow_stream_config_init(), then change what you want. */
typedef struct circflow_stream_config {
  /* sizeof(circflow_stream_config) as your compiler saw it. */
  size_t size;
  /* Yours. It comes back in every verdict and instruction about the stream. */
  uint64_t tag;
  /* The set whose stream it is, or zero. */
  struct circflow_set_id set;
  /* The circuit whose stream it is, when it is no set's: then `set` is zero. */
  struct circflow_circuit_id circuit;
  /* What the protocol calls it: not 0, and not in use on this circuit or set. */
  uint16_t stream_id;
  /* The hop where it ends; 0 at a relay. Default 3. */
  uint8_t hop;
  /* Streams with a lower number are read first, equal ones in turn. Default 0. */
  uint8_t priority;
  /* Zero. */
  uint32_t reserved;
} circflow_stream_config;

/* Fills a config with the defaults: the third hop, priority 0. Pass sizeof(circflow_stream_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_config_init(struct circflow_stream_config *config, size_t size);

/* Opens a stream of your own; then send its BEGIN or RESOLVE with circflow_stream_send(). (Streams that the other end
 * opens come with the verdict on their BEGIN.) It lives until END or RESOLVED goes or comes, or its circuit or set
 * goes.
 *
 * At a client, what comes for a stream of its own is judged (prop324 4.1.4). Before BEGIN or RESOLVE has left (the
 * verdict was SEND, or you have taken its CIRCFLOW_INSN_SEND; HELD is not sent) nothing may come. CONNECTED twice,
 * RESOLVED to a BEGIN, CONNECTED or DATA to a RESOLVE are dropped (`unexplained` in the engine's figures). For a
 * stream that you have ended, DATA, XON and XOFF may come for a while (stream_remembered_ns), CONNECTED once if it had
 * not come, and END or RESOLVED as the last. All else closes: CIRCFLOW_ERR_UNKNOWN_STREAM.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_RUN: circflow does not run the circuit's streams; CIRCFLOW_ERR_STREAM_EXISTS: the id
 * is in use, or, at a client, remembered: use another, or wait until the other end has said END or RESOLVED too, or
 * stream_remembered_ns; CIRCFLOW_ERR_IN_SET: streams of the join point are the set's; CIRCFLOW_ERR_TOO_MANY: at
 * streams_max, or, at a client, no room within held_bytes_max to remember it by (some 10 bytes each where ids are used
 * in turn); CIRCFLOW_ERR_CLOSING; CIRCFLOW_ERR_INVALID: stream id 0, or no such hop.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_stream_open(struct circflow_engine *engine,
                                          uint64_t now_ns,
                                          const struct circflow_stream_config *config,
                                          struct circflow_stream_id *stream_out);

/* Gives a stream another tag: for one that the other end opened, which has 0 until then.
 *
 * @param tag  Yours. It comes back in every verdict and instruction about the stream.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_retag(struct circflow_engine *engine,
                                           struct circflow_stream_id stream,
                                           uint64_t tag);

/* Gives a stream another priority. What the other end opens begins with 0.
 *
 * @param priority  Streams with a lower number are read first (circflow_stream_choose()), equal ones in turn.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_set_priority(struct circflow_engine *engine,
                                                  struct circflow_stream_id stream,
                                                  uint8_t priority);

/* Says that a stream has something to send (1), or nothing any more (0), so that circflow_stream_choose() can name it.
 * Not needed by a host that sends whenever circflow_stream_send() lets it.
 *
 * @param readable  1 or 0.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_set_readable(struct circflow_engine *engine,
                                                  struct circflow_stream_id stream,
                                                  uint8_t readable);

/* Names the stream to read next, of a set or of a circuit: by priority, and in turn among equals. Read at most
 * CIRCFLOW_DATA_MAX bytes from it, send them, and ask again. Zero: none that is readable may send now; when one
 * may again because of what came from the other end, CIRCFLOW_INSN_MAY_SEND says so.
 *
 * @param set         The set, or zero.
 * @param circuit     The circuit, when `set` is zero.
 * @param stream_out  Written on CIRCFLOW_OK.
 * @param tag_out     Your word for it. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: no room on any leg, or on the circuit; CIRCFLOW_INSN_MAY_SEND says when to go
 * on; CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE; CIRCFLOW_ERR_NOT_RUN.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_stream_choose(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_set_id set,
                                            struct circflow_circuit_id circuit,
                                            struct circflow_stream_id *stream_out,
                                            uint64_t *tag_out);

/* Sends a message on a stream: BEGIN, BEGIN_DIR, DATA, END, CONNECTED, RESOLVE or RESOLVED. (XON and XOFF are
 * circflow's.) Leg, number, window and the stream's rate are seen to; the cell counts as queued.
 *
 * @param message      Its command, body and form count; stream id and hop are the stream's. Write those into the cell:
 *                     the verdict does not repeat them. On a stream that you opened the first is BEGIN, BEGIN_DIR or
 *                     RESOLVE, once, and DATA is never empty: circflow checks neither.
 * @param verdict_out  SEND: send it on the circuit it names, after a SWITCH if switch_delta is not 0. With
 *                     CIRCFLOW_WANTS_DIGEST among its flags, give the cell's digest to circflow_circuit_add_digest().
 *                     HELD: padding holds it back, or the leg is another engine's; it comes back as
 *                     CIRCFLOW_INSN_SEND, there. Written on CIRCFLOW_OK.
 *
 * Own statuses: CIRCFLOW_ERR_NO_ROOM: no room; for what is not DATA, held_sends_max messages wait already, or no leg
 * is linked now; CIRCFLOW_INSN_MAY_SEND says when to go on; CIRCFLOW_ERR_STREAM_STOPPED, for DATA: the other end wants
 * nothing of this stream now (XOFF, or its rate); CIRCFLOW_INSN_MAY_SEND with this stream says when to go on;
 * CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE; CIRCFLOW_ERR_NOT_MULTIPLEXED: BEGIN_DIR in a set;
 * CIRCFLOW_ERR_CLOSING; CIRCFLOW_ERR_INVALID: another command, an empty DATA, a body_len above CIRCFLOW_BODY_MAX, or,
 * where it has to be held, as for circflow_circuit_receive().
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_stream_send(struct circflow_engine *engine,
                                          uint64_t now_ns,
                                          struct circflow_stream_id stream,
                                          const struct circflow_message *message,
                                          struct circflow_verdict *verdict_out);

/* Says that bytes of a stream, which were delivered before, have left your own buffer: report all of them, as they
 * are written to the socket. XOFF and XON follow from what is left (prop324 4.1); at stream_bytes_max the circuit
 * closes.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: more than was delivered; nothing is counted.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_flushed(struct circflow_engine *engine,
                                             uint64_t now_ns,
                                             struct circflow_stream_id stream,
                                             uint32_t bytes);

/* Figures of a stream. Set size to sizeof before each call. */
typedef struct circflow_stream_stats {
  /* sizeof(circflow_stream_stats) as your compiler saw it. */
  size_t size;
  /* Bytes delivered and not reported as flushed. */
  uint32_t buffered_bytes;
  /* The most that ever were. */
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

/* Figures of a stream. Set stats->size to sizeof(circflow_stream_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_stream_get_stats(struct circflow_engine *engine,
                                               struct circflow_stream_id stream,
                                               struct circflow_stream_stats *stats);

/********************************************************************************************************************
 * 9. Hubs
 ********************************************************************************************************************/

/* What joins the engines of one process, so that one set can have legs on several event loops, and memory has one
 * budget. Opaque. The one thing here that any thread may use at any time.
 *
 * From circflow_hub_new() to circflow_hub_free(); engines that have joined keep what they need of it. Every function
 * that takes a hub can also answer CIRCFLOW_ERR_BAD_HANDLE. */
typedef struct circflow_hub circflow_hub;

/* What a hub is made with. Fill it with circflow_hub_config_init(), then change what you want. */
typedef struct circflow_hub_config {
  /* sizeof(circflow_hub_config) as your compiler saw it. */
  size_t size;
  /* Random bytes of yours: nonces are looked up under them. All zero is for tests. */
  uint8_t seed[32];
  /* Bytes that all engines together may hold, whatever it is: for order, for sending, at edges, and on the way
   * between engines. What waits to be handed back to you is not held any more. 0: nothing may wait, so the first
   * message out of order closes its set, and the first cell at a full channel its circuit. Default 1 GiB. */
  uint64_t held_bytes_max;
} circflow_hub_config;

/* A set or a circuit to close, so that there is memory again. */
typedef struct circflow_victim {
  /* The engine on which it lives: circflow_set_close() or circflow_circuit_close() it there, on its thread. It may
   * have ended by then. */
  uint32_t engine_number;
  /* Zero. */
  uint32_t reserved;
  /* The set; zero when it is a circuit. */
  struct circflow_set_id set;
  /* What it holds, in bytes, as its engine last said: a set may hold three eighths more. */
  uint64_t bytes;
  /* The circuit; zero when it is a set. A circuit that is a leg can be named for what waits at its own edges. */
  struct circflow_circuit_id circuit;
} circflow_victim;

/* Figures of a hub. Set size to sizeof before each call. */
typedef struct circflow_hub_stats {
  /* sizeof(circflow_hub_stats) as your compiler saw it. */
  size_t size;
  /* Engines that have joined and were not freed. */
  uint32_t engines;
  /* Zero. */
  uint32_t reserved;
  /* Sets alive, on all of them. */
  uint64_t sets;
  /* Bytes that the engines have reserved for what they hold. Each reserves in blocks of up to 64 KiB (less where the
   * hub's cap is below 64 MiB), so this is at least what they hold (circflow_engine_stats.held_bytes), and at most a
   * block more for each; the same once each has been drained to the end, ticked or trimmed. */
  uint64_t reserved_bytes;
  /* The most that was ever reserved. It can be above the cap by up to an eighth: what an engine is to close that
   * another one has named counts as given back. */
  uint64_t reserved_bytes_peak;
  /* Padding cells that its engines have sent. */
  uint64_t padding_sent;
  /* Other cells that they have sent, as far as each has told: by its last tick, and whenever it pads. */
  uint64_t others_sent;
  /* Padding that a budget refused. */
  uint64_t padding_refused;
} circflow_hub_stats;

/* Wakes an engine's event loop: another engine has news for it, or it has not looked at all yet itself. Called at the
 * end of a call on either engine, so on the other's thread or on its own, and from circflow_hub_set_padding_budget().
 * It may write to an eventfd or a pipe, and call circflow_hub_get_stats(), and nothing else; circflow_engine_free(),
 * of any engine, answers CIRCFLOW_ERR_REENTRANT. The loop then calls circflow_engine_tick(), and drains. Once for all
 * the news there is; again only after a tick has taken it. A tick that leaves some makes the deadline 0.
 *
 * With an eventfd, all of it is
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

/* Fills a config with the defaults. Pass sizeof(circflow_hub_config).
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

/* Lets a hub go. Engines that have joined go on, and still know each other, and until the last of them is freed,
 * circflow_hub_get_stats() still answers: their notify may ask it. All else answers CIRCFLOW_ERR_BAD_HANDLE for it,
 * this function as well. NULL is fine.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_hub_free(struct circflow_hub *hub);

/* An engine joins a hub, before it has circuits or sets; it leaves when it is freed. Its engine_number must be its own
 * among the engines of the hub, and all of them get the same monotonic clock.
 *
 * From then on a LINK whose nonce belongs to a set on another engine makes the circuit a leg of that set, wherever it
 * is. The set lives on the engine that saw its first LINK, its home; its streams, and every message that is
 * delivered, are there. At the circuit's engine, what comes on it is answered with HELD, and what the set sends on it
 * comes as CIRCFLOW_INSN_SEND. At the home, a message that goes out on such a leg is answered with HELD, and `circuit`
 * in an instruction can be another engine's: it is a name then, to be compared and printed, with the tag you gave the
 * circuit there. A token that crosses is handed back on the thread of the engine where it ends up: what it stands
 * for must be usable there.
 *
 * At the circuit's engine, CIRCFLOW_INSN_PAUSE_FEED with CIRCFLOW_SIDE_BACK says that the home lags: keep what else
 * comes on the circuit; edge_over_cells more are taken before it closes. Padding on the circuit, its SENDMEs, and
 * reports of how it stands are that engine's business, as before. A violation on it reaches as far as on a leg at
 * home.
 *
 * Only LINKs find sets elsewhere: a client's set has its legs on its own engine.
 *
 * When an engine is freed, its circuits are lost to the sets elsewhere, and the legs elsewhere of its sets are told to
 * close.
 *
 * @param notify    Wakes this engine's loop.
 * @param userdata  For notify. Both are used until the engine is freed.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: it has joined one, or has circuits or sets, or the tag is taken;
 * CIRCFLOW_ERR_TOO_MANY: 256 engines.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_join(struct circflow_engine *engine,
                                          struct circflow_hub *hub,
                                          circflow_notify_fn notify,
                                          void *userdata);

/* Says whom to close, on which engine, so that `bytes_wanted` bytes come free: the sets and circuits come first that
 * have the greatest product of bytes and age of the oldest of them; one that holds less than a quarter of its share of
 * the cap (cap / holders) only when no larger one is left. Answers at once, from any thread; nothing is freed by it,
 * and who was named is not named again until it holds nothing any more. When an engine finds no room, circflow does
 * the same by itself: this is for a host that is short of memory for other reasons.
 *
 * @param victims      Entries of room.
 * @param victim_cap   How many. With too few, the sum is what those hold.
 * @param count_out    Entries written.
 * @param bytes_out    What they hold together. May be NULL.
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

/* Figures of a hub, from any thread. Set stats->size to sizeof(circflow_hub_stats) first.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_hub_get_stats(struct circflow_hub *hub, struct circflow_hub_stats *stats);

/********************************************************************************************************************
 * 10. Padding
 ********************************************************************************************************************/

/* ---- Padding: machines and padders ---- */

/* Loads padding machines of the maybenot framework (version 2): one machine a line, in the text form that maybenot
 * writes. They are parsed once, here, and shared by all padders that run them. All machines of a list run together and
 * can signal each other; those that shall not are lists of their own.
 *
 * The text is not trusted: a machine that cannot be read, has a number that is none, or could take long to draw from
 * is refused, and so is one that unpacks to more than 1 MiB.
 *
 * @param text          Read during the call only; a 0 at its end is not needed, and no fault.
 * @param text_len      Bytes in text.
 * @param machines_out  Yours until circflow_machines_drop().
 *
 * Own statuses: CIRCFLOW_ERR_BAD_MACHINES: see circflow_engine_get_last_detail(); CIRCFLOW_ERR_TOO_MANY: at 1024
 * lists: drop one.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_machines_load(struct circflow_engine *engine,
                                            const char *text,
                                            size_t text_len,
                                            struct circflow_machines_id *machines_out);

/* Forgets a list of machines. Padders that run it, and numbers it is registered under, keep it alive for themselves.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_machines_drop(struct circflow_engine *engine, struct circflow_machines_id machines);

/* circflow_padding_config.flags: what was negotiated is stopped, and the other end told, when all its machines have
 * reached their end (padding-spec 3). */
#define CIRCFLOW_PADDER_STOP_AT_END 1

/* circflow_padding_config.flags: when a block ends, what waits goes out at once, before a machine can block again.
 * Without it, actions due with no delay come first, so that a machine that blocks again at the end of each block lets
 * nothing out. Some machines count on the gap: RegulaTor paces its server so. */
#define CIRCFLOW_PADDER_OPEN_BETWEEN 2

/* circflow_padding_config.flags: the machines may run while padding is reduced (circflow_padding_budget). Mark those
 * that cost little. */
#define CIRCFLOW_PADDER_RUNS_REDUCED 4

/* circflow_padding_config.queued_cells_max: what the parameter circpad_max_circ_queued_cells says. */
#define CIRCFLOW_BY_PARAMETER UINT32_MAX

/* What a padder is made with. Fill it with circflow_padding_config_init(), then change what you want.
 *
 * Fractions go from 0.0 to 1.0, and 0.0 means "no limit", as in maybenot: to forbid padding, install none. 1.0 means
 * no limit either, as soon as one other cell was sent. Each machine has limits of its own besides these, and an
 * allowance (of padding cells, and of time to block) that comes before all limits, these included: a machine with an
 * endless allowance knows none. Look at the machines you load. */
typedef struct circflow_padding_config {
  /* sizeof(circflow_padding_config) as your compiler saw it. */
  size_t size;
  /* From circflow_machines_load(). Zero: no machines; for an end that only expects the other to pad. */
  struct circflow_machines_id machines;
  /* Of the cells sent to or through the hop, how many may be padding. Default 0.0. Each machine's allowance comes
   * first. */
  double padding_fraction;
  /* Of the time, how much may be blocked. Default 0.0. Each machine's allowance comes first. */
  double blocking_fraction;
  /* Of the cells received from or through the hop, how many may be its padding; more closes the circuit. Default
   * 0.0. */
  double inbound_fraction;
  /* Padding cells that may come before inbound_fraction counts. Default 0. */
  uint64_t inbound_grace;
  /* Cells in the circuit's queue (reported as queued and not as written) from which on no padding is added:
   * it is refused, and the machine hears that it was sent, as one of those that wait counts. Default
   * CIRCFLOW_BY_PARAMETER: what circpad_max_circ_queued_cells says when the padder is installed or registered, 1000
   * if that was never set. */
  uint32_t queued_cells_max;
  /* The hop to pad with. Client: 1 to its number of hops; default 2. Relay: 0, the client. */
  uint8_t hop;
  /* Which of the hop's two places, 0 or 1. Default 0. */
  uint8_t slot;
  /* CIRCFLOW_PADDER_STOP_AT_END, CIRCFLOW_PADDER_OPEN_BETWEEN and CIRCFLOW_PADDER_RUNS_REDUCED, or-ed together.
   * Default 0. */
  uint8_t flags;
  /* Zero. */
  uint8_t reserved;
} circflow_padding_config;

/* Fills a config with the defaults: no machines, hop 2, slot 0, no limits. Pass sizeof(circflow_padding_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_config_init(struct circflow_padding_config *config, size_t size);

/* Sets a padder up on a circuit: from now on its machines are told what happens there, and their padding and blocking
 * is carried out. The other end is told nothing; circflow_padding_start() does that.
 *
 * What your program then has to report, and when, is in docs/padding.md: every cell received, queued and written.
 *
 * Own statuses: CIRCFLOW_ERR_PADDER_EXISTS: the hop's slot is taken; CIRCFLOW_ERR_INVALID: a fraction outside 0.0 to
 * 1.0 (or not a number), a slot above 1, or a hop that the circuit has not; CIRCFLOW_ERR_CLOSING: the circuit is to
 * close. An id error can be of the circuit or of the machines.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_padding_install(struct circflow_engine *engine,
                                              uint64_t now_ns,
                                              struct circflow_circuit_id circuit,
                                              const struct circflow_padding_config *config);

/* Takes a padder down that circflow_padding_install() set up (one that was negotiated is taken down, and the other end
 * told, by circflow_padding_stop()), with its timers, its block and its padding that still waits. What it held back
 * goes out with the next drain. Up to 1000 padding cells may still come from its hop.
 *
 * @param hop   The hop that it pads with; 0 at a relay.
 * @param slot  Which of the hop's two places, 0 or 1.
 *
 * Own statuses: CIRCFLOW_ERR_NO_PADDER.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_remove(struct circflow_engine *engine,
                                             uint64_t now_ns,
                                             struct circflow_circuit_id circuit,
                                             uint8_t hop,
                                             uint8_t slot);

/* circflow_padding_answered(): a padding cell was queued or sent. */
#define CIRCFLOW_ANSWER_SENT 1

/* circflow_padding_answered(): a cell that waits counts as the padding. */
#define CIRCFLOW_ANSWER_REPLACED 2

/* circflow_padding_answered(): one cell that waited was let out, past the block. */
#define CIRCFLOW_ANSWER_RELEASED 3

/* circflow_padding_answered(): nothing was done. The machine does not hear of it. */
#define CIRCFLOW_ANSWER_REFUSED 4

/* Answers a CIRCFLOW_INSN_PADDING with CIRCFLOW_PADDING_ASKS: says what you did, once you have done it. Each is
 * answered once; a machine can have 1024 unanswered ones, and gets no more until you answer.
 *
 * @param padding  detail.padding of the instruction.
 * @param answer   CIRCFLOW_ANSWER_SENT, .._REPLACED, .._RELEASED or .._REFUSED. The machine hears of the first three
 *                 that its padding was sent. It does not hear of a refusal, and one that goes on only after its own
 *                 padding stands still then: where your queue is merely long, say REPLACED.
 *
 * Own statuses: CIRCFLOW_ERR_NOT_ASKED: it was answered already, or never asked; CIRCFLOW_ERR_INVALID for an unknown
 * answer.
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
  /* Machines it runs. */
  uint32_t machines;
  /* Timers armed: an action and an internal one for each machine, and the end of the block. */
  uint32_t timers;
  /* Cells to or through its hop that were queued and are nobody's padding for this hop. One that is held counts
   * when it is held on a circuit, and when it is let out in a set. */
  uint64_t normal_sent;
  /* Padding cells of its machines that were queued. */
  uint64_t padding_sent;
  /* Padding for which a cell that waited anyway counted. */
  uint64_t replaced;
  /* Padding that was not sent because the queue was long, because as many cells waited behind the block as may
   * (held_sends_max), because a budget did not allow it (circflow_padding_budget), or because the host said so. */
  uint64_t refused;
  /* Cells that are not padding, from or through its hop. */
  uint64_t normal_received;
  /* Padding cells from its hop. */
  uint64_t padding_received;
  /* Blocks that its machines asked for. */
  uint64_t blocks;
  /* Time blocked by it so far, in nanoseconds. */
  uint64_t blocked_ns;
} circflow_padding_stats;

/* Figures of a padder. Set stats->size to sizeof(circflow_padding_stats) first.
 *
 * @param hop   The hop that it pads with; 0 at a relay.
 * @param slot  Which of the hop's two places, 0 or 1.
 *
 * Own statuses: CIRCFLOW_ERR_NO_PADDER.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_get_stats(struct circflow_engine *engine,
                                                struct circflow_circuit_id circuit,
                                                uint8_t hop,
                                                uint8_t slot,
                                                struct circflow_padding_stats *stats);

/* ---- Padding: agreed on with the other end ---- */

/* Says what a machine number of PADDING_NEGOTIATE means at one end, for all circuits of the engine from now on. The
 * two ends of a number usually run different machines: register one config for each role. Numbers 0 and 1 are Tor's;
 * take yours from 2 on.
 *
 * @param role    CIRCFLOW_ROLE_CLIENT: for circflow_padding_start(). CIRCFLOW_ROLE_RELAY: for what clients ask of a
 *                relay; config->hop is 0 then.
 * @param config  Copied. NULL: the number means nothing any more; what runs goes on.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID as for circflow_padding_install(), and for an unknown role. An id error is of the
 * machines.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_padding_register(struct circflow_engine *engine,
                                               uint8_t role,
                                               uint8_t number,
                                               const struct circflow_padding_config *config);

/* Client: starts what is registered under a number: sets the own padder up and queues PADDING_NEGOTIATE(START) to its
 * hop (padding-spec 3). Padding may begin before the answer. Check before that the relay has the subprotocol
 * Padding=2. If the relay refuses, the own padder is taken down again, and nothing more is asked on this circuit;
 * CIRCFLOW_INSN_NEGOTIATED tells how it answered.
 *
 * Own statuses: CIRCFLOW_ERR_UNKNOWN_PADDING: circflow_padding_register() the number first;
 * CIRCFLOW_ERR_PADDER_EXISTS: it runs, or its place is taken; CIRCFLOW_ERR_PADDING_REFUSED: the relay refused before;
 * CIRCFLOW_ERR_DISABLED: a budget lets it not run (circflow_padding_budget); CIRCFLOW_ERR_CLOSING; CIRCFLOW_ERR_ROLE:
 * only a client asks; CIRCFLOW_ERR_INVALID: no such hop; CIRCFLOW_ERR_TOO_MANY: too many padders or unanswered
 * questions; CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_padding_start(struct circflow_engine *engine,
                                            uint64_t now_ns,
                                            struct circflow_circuit_id circuit,
                                            uint8_t number);

/* Stops what was negotiated under a number: takes the own padder down and queues PADDING_NEGOTIATE(STOP) (client) or
 * PADDING_NEGOTIATED(STOP) (relay).
 *
 * Own statuses: CIRCFLOW_ERR_NO_PADDER: it does not run; CIRCFLOW_ERR_UNDRAINED: drain first.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_stop(struct circflow_engine *engine,
                                           uint64_t now_ns,
                                           struct circflow_circuit_id circuit,
                                           uint8_t number);

/* ---- Padding: what an operator allows ---- */

/* What an operator allows of padding, on one engine or on all engines of a hub. Fill it with
 * circflow_padding_budget_init(), then change what you want. Padding that is not allowed is refused: the machine hears
 * that it was sent, as it would stand still otherwise. */
typedef struct circflow_padding_budget {
  /* sizeof(circflow_padding_budget) as your compiler saw it. */
  size_t size;
  /* Padding cells that may be sent before percent_max counts, since the engine (the hub) was made. Default 0. */
  uint32_t allowed_cells;
  /* Of all cells sent since the engine (the hub) was made, how many in a hundred may be padding, 0 to 100: no more
   * is sent once the part is above it. Default 0: no limit. A cell that only passes a relay counts when it goes
   * towards the client. */
  uint32_t percent_max;
  /* 1: nothing pads. No padding is sent, not even what waits behind a block; blocks end at once, those that are on
   * too; and nothing is negotiated: circflow_padding_start() answers CIRCFLOW_ERR_DISABLED, and a relay refuses
   * what clients ask for. Padders stay, hear of cells, and go on when it is 0 again. Default 0. */
  uint32_t disabled;
  /* 1: the same for padders without CIRCFLOW_PADDER_RUNS_REDUCED. Default 0. */
  uint32_t reduced;
} circflow_padding_budget;

/* Fills a budget with the defaults: everything is allowed. Pass sizeof(circflow_padding_budget).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_padding_budget_init(struct circflow_padding_budget *budget, size_t size);

/* Says what the engine may spend on padding from now on, at any time; it counts what was sent before, too. The
 * parameters circpad_global_allowed_cells, circpad_global_max_padding_pct, circpad_padding_disabled and
 * circpad_padding_reduced (circflow_engine_set_param()) say the same on the consensus's behalf, and the hub's budget
 * for all its engines: padding goes out where all three allow it. circflow_engine_stats has the figures.
 *
 * Of a relay with a queue of its own, a padding cell counts when it is answered with CIRCFLOW_ANSWER_SENT: as many as
 * wait for an answer can come on top.
 *
 * @param budget  Copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID: percent_max above 100, disabled or reduced above 1; nothing changes.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_engine_set_padding_budget(struct circflow_engine *engine,
                                                        const struct circflow_padding_budget *budget);

/* Says what all engines of the hub together may spend on padding from now on, from any thread. They count what they
 * send from when they joined, and have told the hub of other cells by the time they pad or are ticked. Blocks that are
 * on where padding is disabled end with the engine's next circflow_engine_tick(): where this lets machines run no more
 * that ran before, the notify of each engine is called from inside this call. circflow_hub_stats has the figures.
 *
 * @param budget  Copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID as for circflow_engine_set_padding_budget().
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_hub_set_padding_budget(struct circflow_hub *hub,
                                                     const struct circflow_padding_budget *budget);

/********************************************************************************************************************
 * 11. Queues
 ********************************************************************************************************************/

/* What a circflow_queue_try_send_fn answers: the item is the sink's now. */
#define CIRCFLOW_SINK_TAKEN 0

/* What a circflow_queue_try_send_fn answers: no room for now, and nothing was taken. */
#define CIRCFLOW_SINK_FULL 1

/* What a circflow_queue_try_send_fn answers: no room ever again, and nothing was taken. */
#define CIRCFLOW_SINK_CLOSED 2

/* circflow_queue_config.backlog_max for sparse commands, and the default: a part answers each within a round or two of
 * its loop, so eight that wait mean that it has stopped. */
#define CIRCFLOW_BACKLOG_SPARSE 8

/* circflow_queue_config.backlog_max for a stream of events of which one block of input brings many: as many as the
 * cells that are still taken after a pause, so that a source that obeys never meets the cap. */
#define CIRCFLOW_BACKLOG_EVENTS 32

/* The most that circflow_queue_config.backlog_max can be. */
#define CIRCFLOW_BACKLOG_MAX 4096

/* The most that circflow_queue_config.item_bytes_max can be: the longest cell of the link protocol. */
#define CIRCFLOW_QUEUE_ITEM_MAX 65542

/* circflow_queue_item.form: there was no item. */
#define CIRCFLOW_FORM_NONE 255

/* Items that wait for a sink of yours, in order: a sink between two parts of a program that can be full, or
 * closed. Opaque.
 *
 * A thing of its own, beside engines: it knows no circuits, no time and no instructions. From circflow_queue_new() to
 * circflow_queue_free(). One thread at a time. circflow_queue_push() and circflow_queue_drain() call your sink, and
 * circflow_queue_free() your discard function; from inside these, every call on the same queue answers
 * CIRCFLOW_ERR_REENTRANT and does nothing. Every function here can also answer CIRCFLOW_ERR_NULL (the queue),
 * CIRCFLOW_ERR_BAD_HANDLE, CIRCFLOW_ERR_PANIC and CIRCFLOW_ERR_POISONED. */
typedef struct circflow_queue circflow_queue;

/* How a queue is to be. Fill it in with circflow_queue_config_init() first. */
typedef struct circflow_queue_config {
  /* sizeof(circflow_queue_config) as your compiler saw it. */
  size_t size;
  /* Items that may wait, 0 (none: what the sink does not take is refused) to CIRCFLOW_BACKLOG_MAX. Default
   * CIRCFLOW_BACKLOG_SPARSE. */
  uint32_t backlog_max;
  /* Bytes of the longest item, 0 (tokens only) to CIRCFLOW_QUEUE_ITEM_MAX. Each item of bytes that waits takes so
   * much memory. Default 514, a cell. */
  uint32_t item_bytes_max;
} circflow_queue_config;

/* An item: a token, which is any number and stays yours to give a meaning, or bytes, which are copied only if they
 * have to wait. */
typedef struct circflow_queue_item {
  /* With CIRCFLOW_FORM_TOKEN, the token. */
  uint64_t token;
  /* With CIRCFLOW_FORM_BYTES, the bytes; may be NULL when there are none. */
  const uint8_t *bytes;
  /* With CIRCFLOW_FORM_BYTES, how many there are. */
  uint32_t bytes_len;
  /* CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN. */
  uint8_t form;
} circflow_queue_item;

/* Offers one item to your sink. Answer CIRCFLOW_SINK_TAKEN, .._FULL or .._CLOSED at once; after any other
 * answer the item counts as not taken, and the call that led here answers CIRCFLOW_ERR_INVALID; after an exception it
 * counts as not taken, too. The item and its bytes live as long as the call. */
typedef int32_t (*circflow_queue_try_send_fn)(void *userdata, const struct circflow_queue_item *item);

/* Answers 0 while your sink is open, and anything else once it will never take an item again. */
typedef int32_t (*circflow_queue_is_closed_fn)(void *userdata);

/* Called by circflow_queue_free() for each item that waits, first to last: it is yours again. Its bytes live as long
 * as the call. */
typedef void (*circflow_queue_discard_fn)(void *userdata, const struct circflow_queue_item *item);

/* Your sink. It is read in each call anew, and not kept. */
typedef struct circflow_queue_sink {
  /* Must not be NULL. */
  circflow_queue_try_send_fn try_send;
  /* Must not be NULL. Asked before an item is put to wait, and before what waits is offered. */
  circflow_queue_is_closed_fn is_closed;
  /* Handed to both. */
  void *userdata;
} circflow_queue_sink;

/* Fills a config with the defaults. Pass sizeof(circflow_queue_config).
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_config_init(struct circflow_queue_config *config, size_t size);

/* Makes a queue. On CIRCFLOW_OK it is yours until circflow_queue_free(). It allocates nothing for items until one has
 * to wait, and once none waits it keeps room for CIRCFLOW_BACKLOG_SPARSE of them.
 *
 * @param config  From circflow_queue_config_init(). It is copied.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID when backlog_max or item_bytes_max is above its bound.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_queue_new(const struct circflow_queue_config *config,
                                        struct circflow_queue **queue_out);

/* Ends a queue. What waits is handed back through `discard` first, in order, also when the queue is poisoned. NULL is
 * fine.
 *
 * @param discard  May be NULL when nothing is lost by forgetting what waits.
 *
 * Own statuses: CIRCFLOW_ERR_REENTRANT from inside a callback of this queue: it lives on.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_free(struct circflow_queue *queue,
                                         circflow_queue_discard_fn discard,
                                         void *userdata);

/* Sends an item: through the sink if nothing waits, else to the end of what waits. Order is never broken.
 *
 * @param kept_out  0 when the sink has it, 1 when it waits: stop reading the source, watch your sink, drain when it
 *                  has room, and go on reading when circflow_queue_get_pending() says 0. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_QUEUE_FULL: a stall; CIRCFLOW_ERR_SINK_CLOSED: also when items wait: take them out
 * with circflow_queue_take(); CIRCFLOW_ERR_NULL: item, its bytes, sink or one of its functions;
 * CIRCFLOW_ERR_INVALID: an unknown form, more bytes than item_bytes_max, or an answer that try_send cannot give. The
 * item is still yours after any of them.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_queue_push(struct circflow_queue *queue,
                                         const struct circflow_queue_item *item,
                                         uint8_t *kept_out,
                                         const struct circflow_queue_sink *sink);

/* Moves what waits into the sink, one item at a time and in order, until it is full or nothing waits. An item that
 * is not taken stays in front. Call it when the sink has room again and circflow_queue_get_pending().
 *
 * @param moved_out  How many were taken. May be NULL.
 *
 * Own statuses: CIRCFLOW_ERR_SINK_CLOSED, also when nothing waits; what was not taken before still waits:
 * circflow_queue_take() it; CIRCFLOW_ERR_NULL: sink or one of its functions; CIRCFLOW_ERR_INVALID: an answer that
 * try_send cannot give; what it was offered waits.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_drain(struct circflow_queue *queue,
                                          uint32_t *moved_out,
                                          const struct circflow_queue_sink *sink);

/* How many items wait.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_get_len(struct circflow_queue *queue, uint32_t *len_out);

/* Whether anything waits: 1 or 0. A loop watches the sink for room only when it does, and reads the source only when
 * nothing does.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_queue_get_pending(struct circflow_queue *queue, uint8_t *pending_out);

/* Takes the first of what waits back out, whatever the sink's state: for the time after
 * CIRCFLOW_ERR_SINK_CLOSED. When nothing waits, item_out->form is CIRCFLOW_FORM_NONE.
 *
 * @param buf       Where bytes go; item_out->bytes points there. Give item_bytes_max bytes and they always fit.
 * @param buf_cap   Bytes of room there.
 *
 * Own statuses: CIRCFLOW_ERR_TOO_SMALL: the item has more bytes, and is still the first.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_queue_take(struct circflow_queue *queue,
                                         uint8_t *buf,
                                         size_t buf_cap,
                                         struct circflow_queue_item *item_out);

/********************************************************************************************************************
 * 12. Cells and bodies
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

/* 1 when a relay command is multiplexed: counted in a set's sequence numbers, sent on the leg that the set chooses and
 * delivered in order. BEGIN, DATA, END, CONNECTED, RESOLVE, RESOLVED, XOFF and XON are; BEGIN_DIR is not, although it
 * names a stream (prop329 2.8).
 *
 * Inside drain: yes. Since: 0.1. */
uint8_t circflow_command_is_multiplexed(uint8_t command);

/* Writes a relay message as the body of a cell: header, body, four zero bytes. The fields of the crypto layer
 * (recognized and digest, or tag) are zero. The rest of the cell is left as it was, as circflow has no randomness:
 * fill it with random bytes of yours, before or after (tor-spec 6.1).
 *
 * @param format          CIRCFLOW_CELL_V0 or CIRCFLOW_CELL_V1.
 * @param message         Command, stream id and body count.
 * @param cell            CIRCFLOW_CELL_BODY_LEN bytes. Written on CIRCFLOW_OK.
 * @param random_from_out Where the random bytes begin; CIRCFLOW_CELL_BODY_LEN when there is no room for any. May be
 *                        NULL.
 *
 * Own statuses: CIRCFLOW_ERR_UNENCODABLE; CIRCFLOW_ERR_INVALID: an unknown format, or a message as
 * circflow_circuit_receive() refuses it.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_cell_encode(uint8_t format,
                                          const struct circflow_message *message,
                                          uint8_t *cell,
                                          size_t *random_from_out);

/* Reads the body of a recognised cell. The recognized, digest and tag fields are the crypto layer's and are not looked
 * at. Stream ids are checked against the command.
 *
 * @param format       CIRCFLOW_CELL_V0 or CIRCFLOW_CELL_V1.
 * @param cell         CIRCFLOW_CELL_BODY_LEN bytes.
 * @param message_out  Written on CIRCFLOW_OK. Its body points into `cell`; its hop is 0: set it.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED, CIRCFLOW_ERR_BAD_COMMAND (V1: nobody can tell where the body begins),
 * CIRCFLOW_ERR_BAD_STREAM_ID: close the circuit; CIRCFLOW_ERR_INVALID: an unknown format.
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
 * @param body  CIRCFLOW_SWITCH_LEN bytes of room.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_switch_encode(uint32_t switch_delta, uint8_t *body);

/* Reads the body of SWITCH: how far the leg's sequence number jumps. What is longer than CIRCFLOW_SWITCH_LEN is
 * tolerated. circflow_circuit_receive() reads it for itself.
 *
 * @param delta_out  Written on CIRCFLOW_OK. May be 0, which no honest peer but C Tor says, and once at most.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_switch_decode(const uint8_t *body,
                                            size_t body_len,
                                            uint32_t *delta_out);

/* Bytes of a LINK or LINKED body. */
#define CIRCFLOW_LINK_LEN 50

/* The body of LINK and of LINKED, which are alike (prop329 2.2). LINKED_ACK has none. Its nonce is a secret, as
 * whoever knows it can join the set: wipe the struct, and the bytes it is made from or into, when you are done with
 * them. */
typedef struct circflow_link {
  /* Which set the circuit belongs to. */
  uint8_t nonce[CIRCFLOW_NONCE_LEN];
  /* Number of the last message that the sender of this body has sent in the set; 0 in a new one. */
  uint64_t last_sent;
  /* Number of the last message that it has received. */
  uint64_t last_received;
  /* What it asks of the other end, CIRCFLOW_UX_*. */
  uint8_t desired_ux;
  /* Zero when read. Not looked at when written. */
  uint8_t reserved[7];
} circflow_link;

/* Writes the body of LINK or LINKED, version 1. Send it with CIRCFLOW_CMD_LINK or CIRCFLOW_CMD_LINKED and no stream
 * id. For hosts that keep their own handshake: circflow_set_add_legs() and circflow_engine_accept_sets() write it
 * themselves, with 0 and 0 as numbers.
 *
 * @param link  Copied.
 * @param body  CIRCFLOW_LINK_LEN bytes of room. Written on CIRCFLOW_OK. It has the nonce: wipe it when it is sent.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for an unknown desired_ux.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_link_encode(const struct circflow_link *link, uint8_t *body);

/* Reads the body of LINK or LINKED. What is longer than CIRCFLOW_LINK_LEN is tolerated, and an unknown desired_ux
 * reads as CIRCFLOW_UX_NO_OPINION.
 *
 * @param link_out  Written on CIRCFLOW_OK. It has the nonce: wipe it when you are done with it. Compare nonces in
 *                  constant time.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: it is cut short, or of another version: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_link_decode(const uint8_t *body,
                                          size_t body_len,
                                          struct circflow_link *link_out);

/* The longest body circflow_sendme_encode() writes. */
#define CIRCFLOW_SENDME_MAX 23

/* Writes the body of a circuit-level SENDME, version 1 (prop289): the digest of the DATA cell that it acknowledges.
 *
 * @param digest   20 bytes (tor1) or 16 (counter-galois).
 * @param body     CIRCFLOW_SENDME_MAX bytes of room.
 * @param len_out  Bytes written.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for any other digest_len.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE
enum circflow_status circflow_sendme_encode(const uint8_t *digest,
                                            size_t digest_len,
                                            uint8_t *body,
                                            size_t *len_out);

/* Reads the body of a SENDME.
 *
 * @param digest       20 bytes of room for the digest.
 * @param digest_len_out  20 or 16; 0 for version 0, which has none: refuse it where congestion control is in use.
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
 * @param body  CIRCFLOW_XON_LEN bytes of room. Written on CIRCFLOW_OK.
 *
 * Own statuses: none.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_xon_encode(uint32_t rate, uint8_t *body);

/* Reads the body of XON.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_xon_decode(const uint8_t *body, size_t body_len, uint32_t *rate_out);

/* Checks the body of XOFF.
 *
 * Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
 * Inside drain: yes. Since: 0.1. */
CIRCFLOW_MUST_USE enum circflow_status circflow_xoff_decode(const uint8_t *body, size_t body_len);

/********************************************************************************************************************
 * 13. Log lines
 ********************************************************************************************************************/

/* Called for each log line: level 1 (error) to 5 (trace), the engine's tag, and one line of text that lives as long as
 * the call. Lines come at the end of the call that they are about. Do not call circflow about the same engine from
 * inside. */
typedef void (*circflow_log_fn)(void *userdata, uint32_t level, uint32_t engine_number, const char *line);

/* Sets the function that gets this library's log lines, for the whole process; NULL for none. Without it nothing is
 * logged and nothing is formatted. Secrets (nonces) are never part of a line. An engine emits at most 64 lines in a
 * second of its host's time.
 * In a process whose Rust code has set its own `tracing` subscriber, that one gets the lines and this call has no say.
 * A line that another thread is just making may still reach the old function after this call: keep its user data until
 * those threads have left their calls.
 *
 * @param fn         Called in whatever thread makes the line.
 * @param level_max  1 error, 2 warn, 3 info, 4 debug, 5 trace: lines above it are not made.
 *
 * Own statuses: CIRCFLOW_ERR_INVALID for a level that is none.
 * Inside drain: yes. Since: 0.1. */
enum circflow_status circflow_log_set_fn(uint32_t level_max,
                                         circflow_log_fn fn,
                                         void *userdata);

#ifdef __cplusplus
}
#endif

#endif
