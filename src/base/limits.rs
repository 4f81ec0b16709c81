//! Every cap of the library, with its reason. The host can set those called `_DEFAULT`; the others are fixed. Times are
//! in nanoseconds.

/// Legs of one set. Tor's own cap is 8 (`cfx_max_legs_set`); twice that leaves room to experiment and keeps a scan over
/// all legs within two cache lines of numbers.
pub const LEGS_MAX: usize = 16;

/// Default for legs of one set: the default of Tor's `cfx_max_legs_set`.
pub const LEGS_DEFAULT: u32 = 8;

/// Hops of one circuit that a message can come from or go to. Tor builds circuits of 3 or 4 hops, and never more than
/// 8.
pub const HOPS_MAX: u8 = 16;

/// Legs that may be launched for one nonce before a set is usable: `cfx_num_legs_set` 2 +
/// `cfx_max_unlinked_leg_retry` 3. Bounded because each launch shows one more middle relay to whoever makes launches
/// fail (prop329 §4.2.2).
pub const LAUNCHES_DEFAULT: u32 = 5;

/// How long a leg may wait for LINKED, or for LINKED_ACK: 60 s is below the time after which a SOCKS client gives up
/// (prop329 §2.2 asks for no more than that).
pub const LINK_TIMEOUT_DEFAULT: u64 = 60_000_000_000;

/// Bytes one set may hold for order: 16 MiB is some 31,000 messages, six legs with a full default window (5,000 cells)
/// each. The longest run seen with stock Tor on a loopback network was 1,169 messages.
pub const SET_HELD_BYTES_DEFAULT: u64 = 16 << 20;

/// Bytes all sets of one engine may hold for order.
pub const ENGINE_HELD_BYTES_DEFAULT: u64 = 256 << 20;

/// How long a message may be held for order: longer than any honest message is. The longest honest wait is that of a
/// stock peer that sends by lowest RTT and has put a full window on a leg of 0.5 Mbit/s: some 11,000 cells, 90 s. What
/// is still missing after that was lost with a leg, or is kept from us on purpose.
pub const HELD_AGE_DEFAULT: u64 = 120_000_000_000;

/// The longest time that can be asked for instead of [`HELD_AGE_DEFAULT`]: a week. Ages are kept in 32 bits of
/// milliseconds, which last for 26 days; and no circuit lives so long that a longer bound would differ from none.
pub const HELD_AGE_LIMIT: u64 = 7 * 86_400_000_000_000;

/// Of a time in which the host did not call, at most this much counts for the age of what is held: a machine that was
/// suspended has not received what may have come meanwhile. A loop that works calls far more often.
pub const HELD_GAP_MAX: u64 = 1_000_000_000;

/// How often an engine that holds messages wants to be called: twice in [`HELD_GAP_MAX`], so that all of the time
/// counts even for a loop that is half a second late.
pub const HELD_BEAT: u64 = HELD_GAP_MAX / 2;

/// The precision of a message's age: about a millisecond.
pub const HELD_GRAIN: u64 = 1 << 20;

/// Sets whose age is looked at in one call, each of which may have to end. The others are looked at in the next call.
pub const AGES_STEP: usize = 16;

/// How far ahead of the last delivered message a SWITCH may move a leg. What is missing must be in flight on the other
/// legs; a million messages is half a gigabyte in flight, more than any honest window (cwnd is 5,000 cells at the end
/// of slow start).
pub const SWITCH_AHEAD_DEFAULT: u32 = 1 << 20;

/// DATA cells that one SENDME acknowledges, until the host reports another number: the default of Tor's
/// `cc_sendme_inc`.
pub const SENDME_INC_DEFAULT: u32 = 31;

/// SWITCHes by 0 that a peer may send in the life of a set. C Tor sends one when it chooses another leg than at first
/// before anything was sent; one for each leg that a set can have is ample.
pub const ZERO_SWITCHES_MAX: u32 = LEGS_MAX as u32;

/// The distance in numbers between two legs at which the sender moves to the leg that is behind, although another is
/// better (prop329 §2.6: switch after 2^31 messages on one leg).
pub const CATCH_UP_AT: u64 = 1 << 31;

/// The largest number a SWITCH may carry: C Tor refuses to send 2^32 - 1.
pub const SWITCH_DELTA_MAX: u64 = u32::MAX as u64 - 1;

/// How long, in nanoseconds, an algorithm may wait for a better leg although one has room. Far above each round trip at
/// which waiting pays; below what makes a stream time out.
pub const CHOICE_WAIT: u64 = 10_000_000_000;

/// Absolute sequence numbers stop here, far below the wrap of a u64, so that adding one can never overflow.
pub const NUMBER_MAX: u64 = 1 << 62;

/// Circuits of one engine.
pub const CIRCUITS_DEFAULT: u32 = 1 << 20;

/// Sets of one engine.
pub const SETS_DEFAULT: u32 = 1 << 18;

/// Objects of one kind that the ids of an engine can name (24 bits).
pub const OBJECTS_MAX: u32 = 1 << 24;

/// Instructions that may wait before feeds that would queue more are refused. A host drains before it sleeps, so only a
/// host that forgot to gets there.
pub const INSTRUCTIONS_DEFAULT: u32 = 1 << 16;

/// Log lines an engine emits in one second of the host's time; more are counted, and summed up for each kind.
pub const LOG_LINES_PER_SECOND: u32 = 64;

/// Log lines of one kind in that second: a quarter of all, so that a peer who provokes one kind all day hides no other.
pub const LOG_LINES_OF_A_KIND: u32 = 16;

/// Log lines of that second that each level leaves to the one that matters more: trace lines of every message do not
/// hide that a set ends, and neither hides a fault.
pub const LOG_LINES_LEFT: u32 = 8;

/// Messages that may be held for sending, per set and per circuit, while padding blocks: about one cell queue. A larger
/// cap would only hide from the streams that they should stop.
pub const HELD_SENDS_DEFAULT: u32 = 32;

/// Padders of one circuit: each hop can have two, as in Tor (CIRCPAD_MAX_MACHINES).
pub const PADDERS_MAX: usize = 2 * HOPS_MAX as usize;

/// Places for padders at one hop: Tor's CIRCPAD_MAX_MACHINES.
pub const PADDER_SLOTS: u8 = 2;

/// Cells in a circuit's queue from which on no padding is added: the default of Tor's `circpad_max_circ_queued_cells`.
pub const QUEUED_CELLS_DEFAULT: u32 = 1000;

/// Padding instructions of one machine that a host with a cell queue of its own may leave unanswered. A host answers as
/// it drains, so only a host that never answers gets there.
pub const PADDING_ASKED_MAX: u16 = 1024;

/// Rounds of TimerBegin in one event, as a machine can set its timer again each time it hears that its timer began.
pub const TIMER_ROUNDS_MAX: u32 = 8;

/// TimerBegins of one padder that may wait to be reported. Machines that signal each other could add one for each that
/// is reported. Beyond this cap, a waiting TimerBegin stands for all of its machine.
pub const TIMERS_BEGUN_MAX: usize = MACHINES_MAX;

/// Timers of one circuit that are handled in one call. Machines whose delays are 0 could go on for ever; the timers
/// left are due a nanosecond later.
pub const PADDING_STEPS_MAX: u32 = 64;

/// Default for the actions that one machine may take by itself at one moment, or all machines of a padder within one
/// [`PADDING_FLOOR_DEFAULT`]. Known defences wait between two cells and stay far below. Machines whose delays are 0
/// would never stop.
pub const PADDING_BURST_DEFAULT: u32 = 64;

/// The largest number that can be asked for instead of [`PADDING_BURST_DEFAULT`]: some milliseconds of work in a row.
pub const PADDING_BURST_LIMIT: u32 = 4096;

/// Default for how long a machine rests after a burst, and then between two actions, until it waits as long by itself.
/// This allows at most a thousand wake-ups in a second.
pub const PADDING_FLOOR_DEFAULT: u32 = 1_000_000;

/// The longest rest that can be asked for: a longer one would stop a machine rather than slow it down.
pub const PADDING_FLOOR_LIMIT: u32 = 1_000_000_000;

/// The highest percentage of padding that can be asked for: all of what is sent, which is no limit.
pub const PADDING_PERCENT_MAX: u8 = 100;

/// Bursts that the machines of one padder may be ahead of their time: delays of a microsecond are not 0, and cost as
/// much. Break-Pad, with unlucky draws, sends all of its 1,500 cells a microsecond apart; this cap lets 4,096 pass.
pub const PADDING_BURSTS_AHEAD: u64 = 64;

/// How far behind the clock a timer's event may lie. Up to there an event gets the time at which it was due, so that a
/// late loop does not slow a constant rate down. A process that stood still for longer does not make up for it.
pub const PADDING_LATE_MAX: u64 = 1_000_000_000;

/// Runs of cells to the same hop that are kept apart until they are written.
pub const UNWRITTEN_RUNS_MAX: usize = 32;

/// Padding cells that may still come from a hop whose padder was removed: as many as may have been queued there.
pub const PADDING_AFTER_END_MAX: u32 = QUEUED_CELLS_DEFAULT;

/// Lists of machines that an engine can have loaded: a host has a handful, and one for each of the protocol's 256
/// numbers is plenty.
pub const MACHINE_LISTS_MAX: u32 = 1024;

/// Machines of one list. The shipped defences need one or two. Every event on a circuit goes to each of them, so this
/// also bounds the cost of an event.
pub const MACHINES_MAX: usize = 64;

/// Bytes of one machine once unpacked: maybenot's own cap.
pub const MACHINE_UNPACKED_MAX: usize = 1 << 20;

/// Bytes of memory one list of machines may own. An empty state takes 16 bytes unpacked and 576 in memory, so a line of
/// 2 KiB could ask for 38 MB; 16 MiB still holds a machine of [`MACHINE_UNPACKED_MAX`] whose states do something (58
/// bytes and more each).
pub const MACHINES_BYTES_MAX: usize = 16 << 20;

/// Default backlog for sparse commands (close, link, add padding). A part answers each within a round or two of its
/// loop, so eight that wait mean that it has stopped.
pub const BACKLOG_SPARSE: usize = 8;

/// Default backlog for events of which one block of input brings many: as many as an edge still takes cells after a
/// pause, so that a source that obeys never meets the cap.
pub const BACKLOG_EVENTS: usize = 32;

/// Items whose room a backlog keeps once it is empty: all of a sparse one, some 4 KiB with cells. So only a burst
/// allocates, and an idle queue costs no more than this.
pub const BACKLOG_KEPT: usize = BACKLOG_SPARSE;

/// The same where as many waited twice in a row: a burst that comes again, such as what one turn of C Tor's KIST hands
/// on. Some 32 KiB with cells, which is what a queue may cost that has become idle.
pub const BACKLOG_USUAL: usize = 64;

/// The largest backlog that a host can ask for: a hundred times the larger default. A larger one would hide a stall,
/// not bridge it.
pub const BACKLOG_MAX: u32 = 4096;

/// Default for the longest item that a queue copies: a cell.
pub const QUEUE_ITEM_DEFAULT: u32 = 514;

/// The longest item that a host can have copied: a variable-length cell of the link protocol, 7 bytes and a u16's
/// worth.
pub const QUEUE_ITEM_MAX: u32 = 7 + u16::MAX as u32;

/// SENDMEs that one window may wait for. Its owner never gets there, as the window is used up before. With 31 cells
/// each, this is 250 MB in flight on one circuit, two seconds of a gigabit, and half a megabyte of memory.
pub const SENDMES_PENDING_MAX: u32 = 1 << 14;

/// Bytes one stream may have buffered here: C Tor's largest XOFF limit (10,000 cells, 5 MB), and what is in flight when
/// the XOFF is sent: six legs with a full default window (5,000 cells) each are 15 MB. A peer that sends more than that
/// ignores the XOFF.
pub const STREAM_BUFFERED_DEFAULT: u32 = 32 << 20;

/// Bytes for which a peer can save up XOFFs and XONs, so that a long transfer does not earn it any number of them. An
/// honest peer may still send a rate for each part of what was sent and has not drained; it would fail only with more
/// than twice this.
pub const FLOW_CREDIT_MAX: u64 = 32 << 20;

/// Streams of one circuit or set that may be open at a time. C Tor has no cap. A busy client has a few dozen, and among
/// a thousand each is still found by a short search.
pub const STREAMS_DEFAULT: u32 = 1024;

/// Messages that circflow makes itself (XOFF, XON, and END for a refused stream) and that may wait on one circuit or
/// set besides the host's: an XOFF and an XON for each of [`STREAMS_DEFAULT`]. Where padding blocks for long, a peer
/// that makes us answer more than that is closed.
pub const OWN_SENDS_MAX: u32 = 2 * STREAMS_DEFAULT;

/// How long a stream that was closed here is remembered: Tor's first circuit build timeout, 60 s, which is longer than
/// any round trip (prop324 §4.1.4 asks for the longer of the two).
pub const STREAM_MEMORY_DEFAULT: u64 = 60_000_000_000;

/// The longest time that it is remembered, whatever the round trip: a peer that delays its SENDMEs must not keep ids in
/// use for hours. Ten minutes is more than ten times the longest time a stock C Tor waits for a circuit's build.
pub const STREAM_MEMORY_MAX: u64 = 600_000_000_000;

/// Cells waiting at an edge at which its source is told to pause: a few dozen hide the time that the pause takes. C
/// Tor's own marks for a circuit's queue are 256 and 10.
pub const EDGE_HIGH_DEFAULT: u32 = 64;

/// Cells waiting at an edge at which its source is told to go on. See [`EDGE_HIGH_DEFAULT`].
pub const EDGE_LOW_DEFAULT: u32 = 16;

/// Cells that an edge still takes after the pause. A TLS record of 16 KiB that was read already holds 31 cells, and the
/// host hears of the pause only when it drains.
pub const EDGE_OVER_DEFAULT: u32 = 128;

/// The smallest number that can be asked for instead of [`EDGE_OVER_DEFAULT`].
pub const EDGE_OVER_MIN: u32 = 32;

/// Engines of one hub: a process runs one event loop for each core, and few have more than 256.
pub const ENGINES_MAX: usize = 256;

/// LINKs from other engines that may wait for one engine. A loop takes them in every round, so as many may come during
/// one round: 256 in a millisecond would be a quarter of a million LINKs a second. The circuit that brings one more
/// closes.
pub const JOINS_MAX: usize = 256;

/// Messages that may be in flight between a remote leg and the home of its set, each way. The DATA of one SENDME and a
/// SWITCH are 32; with room for two of these, one arrives while the other is handled. At 32 bytes an item a leg costs 5
/// KiB.
pub const LINK_ROOM: usize = 64;

/// Messages that may wait at a set's home for room on the way to a remote leg. With the first one the leg counts as
/// blocked, so none of them is DATA: there is room for an answer for each open stream, and for circflow's own messages.
/// More means that the other loop stands still, and the leg is given up.
pub const HOME_BACKLOG_MAX: usize = (STREAMS_DEFAULT + OWN_SENDS_MAX) as usize;

/// Buffers for bodies that cross, as many as move between an engine and the hub's store under one lock: half of what a
/// full link holds. An engine keeps up to twice as many.
pub const SPARES_BATCH: usize = LINK_ROOM / 2;

/// Empty buffers that the engines of a hub keep for each other, 2 MiB: as many as 64 full links use. Others are freed.
pub const SPARES_MAX: usize = 64 * LINK_ROOM;

/// The most bytes that an engine reserves of the hub's cap at a time: some 120 messages, so that holding a message asks
/// the hub once in as many. Of a full hub, 256 engines can have 16 MiB reserved and not used.
pub const HELD_BLOCK: u64 = 64 << 10;

/// A block is no larger than this part of the hub's cap (a 1024th), so that one engine does not reserve a small cap for
/// itself: [`HELD_BLOCK`] from 64 MiB on, and exact reservations below 1 KiB.
pub const HELD_BLOCK_SHARE: u64 = 1024;

/// What victims on other engines are to give back counts as given back, up to this part of the hub's cap (an eighth).
/// That is room for thousands of messages until their loops have turned, and all that a loop that hangs can cost the
/// others.
pub const RETURNING_SHARE: u64 = 8;

/// Bytes that all engines of one hub may hold: four engines at [`ENGINE_HELD_BYTES_DEFAULT`].
pub const HUB_HELD_BYTES_DEFAULT: u64 = 1 << 30;

/// Links with news, and LINKs from other engines, that one call handles; a link has at most [`LINK_ROOM`] messages. The
/// others are handled in the next call.
pub const NEWS_STEP: usize = 16;

/// Entries of a shared table that are looked at under one lock, which takes some 10 microseconds.
pub const SWEEP_STEP: usize = 256;

/// A holder of less than this part (a quarter) of its share of a cap (cap ÷ holders) is not the victim while a larger
/// one is there. So many sets of one message each, however old, do not cause one of them to end, nor an honest set of
/// their size. When a cap is full some holder has a whole share, so there always is a victim.
pub const VICTIM_SHARE: u64 = 4;

/// Looks for the victim that are exact, each at a holder that could be worse than the worst so far. With usual sizes
/// and ages fewer than ten are needed. Beyond this the answer may be off by a quarter, so that nobody can make the
/// search long.
pub const VICTIM_LOOKS: u32 = 64;

/// Messages of ended sets and circuits that one call frees: some 30 microseconds where each is a cache miss. The others
/// are freed in the next calls, which are due at once; a feed adds one, so their number falls.
pub const FREED_STEP: u32 = 512;

/// Steps that one call takes for timers that are due: one for each timer that is only filed anew on the wheel (some 80
/// ns with a million of them), and [`TIMER_RUN_STEPS`] more for each that runs. The others are due at once, so that a
/// loop with a million timers looks at its sockets every few tenths of a millisecond.
pub const TIMER_STEPS: u32 = 1024;

/// Channels of one engine: a busy relay has some ten thousand links to others.
pub const CHANNELS_MAX: u32 = 1 << 16;

/// Circuits without a waiting cell that one call takes out of the line for a channel: each is told that it may send,
/// or has gone. A call takes some 20 microseconds at most; the others are due at once.
pub const CHANNEL_STEPS: u32 = 64;

/// How long room for one cell of a channel is kept for a circuit that was told to send while others wait, in
/// nanoseconds: 10 ms are enough for a loop that reads its sockets first, and are not felt if the circuit has nothing
/// to send.
pub const CHANNEL_PROMISE: u64 = 10_000_000;

/// Steps for a timer that runs, see [`TIMER_STEPS`]: a handshake timeout or a step of padding costs several times as
/// much as filing.
pub const TIMER_RUN_STEPS: u32 = 4;

/// Time between two calls that counts as a leap of the host's clock, which is logged. No loop sleeps for an hour while
/// something is due, so either the machine was suspended or the clock is wrong. Round trips that span a leap are not
/// measured.
pub const CLOCK_LEAP: u64 = 3_600_000_000_000;

/// The most by which the engine's own time goes on in one leap: a year, which is longer than anything is armed for. As
/// a u64 holds 584 years, a host's clock may be wrong 500 times before the engine's time is used up.
pub const CLOCK_LEAP_MAX: u64 = 365 * 24 * CLOCK_LEAP;

/// A step back of the host's clock that is logged. Smaller ones are only counted: clocks that differ from core to core
/// make many.
pub const CLOCK_BACK: u64 = 1_000_000_000;

/// The step in which a set's engine notes the age of what the set holds for other engines: a sixteenth of a second, as
/// gaps last for several. The noted age is never too low. The set's own engine looks at the exact age before it names
/// the set.
pub const AGE_GRAIN: u64 = 62_500_000;

/// Victims that one call may name for what it has to hold. A message needs one. A token that costs more than so many
/// victims hold is refused.
pub const VICTIMS_STEP: usize = 16;

/// The largest flight recorder: 1 GiB is some 25 million events, minutes of a busy relay. More is for a sink.
pub const RECORD_BYTES_LIMIT: usize = 1 << 30;
