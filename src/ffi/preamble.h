/* circflow: the flow logic of Tor circuits, for C programs with an event loop of their own.
 *
 * This file is generated from src/ffi; change it there. License: MIT OR Apache-2.0.
 *
 * Contents: the sections, and the functions of each. Names begin as the title of their section says, or with
 * circflow_; this list leaves that beginning out. To get to a section, search for its number and title. To get to the
 * comment of a function, search for its declaration, that is with the type of its answer: most functions are found with
 * "circflow_status circflow_circuit_receive(".
 *
 *  (contents)
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
