/* circflow: the flow logic of Tor circuits, for C programs with an event loop of their own.
 *
 * This file is generated from src/ffi; change it there. License: MIT OR Apache-2.0.
 *
 * Contents, with the functions of each section, most without the words that all of them begin with (circflow_, and what
 * the title says). Search for a title, with its number, to get there.
 *
 *  (contents)
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
