//! The structs and enums of the C ABI, as C programmers see them. Enums travel only outward; inward values are
//! integers.

use super::insn_types::circflow_insn;
use super::run_types::circflow_stream_id;
use libc::{c_char, c_void, size_t};

/// Bytes of a relay cell's body on the wire: what is left of a 514-byte cell after circuit id and command.
pub const CIRCFLOW_CELL_BODY_LEN: usize = 509;
/// The longest body a relay message can have, in any cell format. A buffer of this size always fits.
pub const CIRCFLOW_BODY_MAX: usize = 498;
/// The longest body that fits either cell format: how DATA is packaged.
pub const CIRCFLOW_BODY_MAX_ALL: usize = 488;
/// Bytes of a conflux nonce.
pub const CIRCFLOW_NONCE_LEN: usize = 32;
/// Legs that a set can have at most.
pub const CIRCFLOW_LEGS_MAX: usize = 16;
/// The answer of circflow_engine_deadline() when nothing is due ever.
pub const CIRCFLOW_NEVER: u64 = u64::MAX;
/// circflow_set_config.held_age_max_ns: as the engine has it.
pub const CIRCFLOW_AS_ENGINE: u64 = u64::MAX;
/// What one held message that circflow copied costs, in bytes, whatever the length of its body: its body lives in a
/// block of fixed size. A held token costs what its host says.
pub const CIRCFLOW_HELD_COST: u32 = 536;
const _: () = assert!(CIRCFLOW_HELD_COST == crate::conflux::store::COPY_COST);

/// What a held token costs at least, in bytes: what circflow itself needs for it.
pub const CIRCFLOW_HELD_TOKEN_MIN: u32 = 40;
const _: () = assert!(CIRCFLOW_HELD_TOKEN_MIN == crate::conflux::store::TOKEN_COST_MIN);

/// circflow_circuit_config.role: this end opened the circuit.
pub const CIRCFLOW_ROLE_CLIENT: u8 = 1;
/// circflow_circuit_config.role: this end is a relay: the last hop of the circuit, or, with CIRCFLOW_CIRCUIT_EXTENDED,
/// a middle one.
pub const CIRCFLOW_ROLE_EXIT: u8 = 2;

/// circflow_circuit_config.flags: Vegas congestion control was negotiated with the join point.
pub const CIRCFLOW_CIRCUIT_VEGAS: u32 = 1;
/// circflow_circuit_config.flags: the circuit carries or has carried streams.
pub const CIRCFLOW_CIRCUIT_STREAMS: u32 = 2;
/// circflow_circuit_config.flags: the circuit goes on to another hop (at a relay), so it is no exit's.
pub const CIRCFLOW_CIRCUIT_EXTENDED: u32 = 4;
/// circflow_circuit_config.flags: streams may end at other hops than the join point (leaky pipe). Their messages are
/// delivered and not counted. Without this flag they are a protocol violation on a leg.
pub const CIRCFLOW_CIRCUIT_LEAKY_PIPE: u32 = 8;
/// circflow_circuit_config.flags: another padder than circflow's runs on the circuit too. DROP, PADDING_NEGOTIATE and
/// PADDING_NEGOTIATED that circflow cannot explain are then delivered to you, and never a protocol violation.
pub const CIRCFLOW_CIRCUIT_OTHER_PADDER: u32 = 16;
/// circflow_circuit_config.flags: you keep what padding blocks. circflow holds no messages for this circuit; it tells
/// you when to block (CIRCFLOW_INSN_BLOCK, CIRCFLOW_INSN_UNBLOCK) and asks you what becomes of each padding cell
/// (CIRCFLOW_PADDING_ASKS). For a relay, whose queue also has cells that only pass. Not to be changed once a padder is
/// there.
pub const CIRCFLOW_CIRCUIT_OWN_QUEUE: u32 = 32;

/// Classes of circflow_engine_stats.lateness.
pub const CIRCFLOW_LATENESS_CLASSES: usize = 20;
const _: () = assert!(CIRCFLOW_LATENESS_CLASSES == crate::engine::Lateness::CLASSES);

/// circflow_message.form: circflow copies the body if it has to hold the message.
pub const CIRCFLOW_FORM_BYTES: u8 = 0;
/// circflow_message.form: circflow keeps the token if it has to hold the message.
pub const CIRCFLOW_FORM_TOKEN: u8 = 1;

/// circflow_leg_report.flags: congestion control is in slow start.
pub const CIRCFLOW_REPORT_SLOW_START: u32 = 1;
/// circflow_leg_report.flags: the channel under the leg takes no more cells for now.
pub const CIRCFLOW_REPORT_CHANNEL_BLOCKED: u32 = 2;

/// desired_ux (prop329 2.2): no opinion. The peer sends by lowest RTT with room.
pub const CIRCFLOW_UX_NO_OPINION: u8 = 0;
/// desired_ux: lowest latency. The peer sends on the leg with the lowest RTT and waits when that has no room.
pub const CIRCFLOW_UX_MIN_LATENCY: u8 = 1;
/// desired_ux: lowest latency, and at most one SWITCH in a congestion window.
pub const CIRCFLOW_UX_LOW_MEM_LATENCY: u8 = 2;
/// desired_ux: highest throughput. The peer sends by lowest RTT with room.
pub const CIRCFLOW_UX_HIGH_THROUGHPUT: u8 = 3;
/// desired_ux: highest throughput, and at most one SWITCH in a congestion window.
pub const CIRCFLOW_UX_LOW_MEM_THROUGHPUT: u8 = 4;

/// circflow_set_config.algorithm: chosen by the UX that the peer asks for, as the protocol has it.
pub const CIRCFLOW_ALGORITHM_BY_UX: u8 = 0;
/// circflow_set_config.algorithm: MinRTT (prop329 3.1).
pub const CIRCFLOW_ALGORITHM_MIN_RTT: u8 = 1;
/// circflow_set_config.algorithm: LowRTT (prop329 3.2).
pub const CIRCFLOW_ALGORITHM_LOW_RTT: u8 = 2;
/// circflow_set_config.algorithm: CwndRTT: the fastest leg while it has room, else the fastest other leg that can take
/// a cell without finishing later.
pub const CIRCFLOW_ALGORITHM_CWND_RTT: u8 = 3;

/// One event loop's worth of circuits and sets. Opaque.
///
/// From circflow_engine_new() to circflow_engine_free(). One thread at a time.
pub struct circflow_engine {
    _opaque: [u8; 0],
}

/// Names a circuit inside an engine. Zero names nothing. A circuit in a set is a leg of it, under the same id.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_circuit_id {
    /// Opaque. Compare it, store it, print it.
    pub v: u64,
}

/// Names a conflux set inside an engine. Zero names nothing.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_set_id {
    /// Opaque. Compare it, store it, print it.
    pub v: u64,
}

/// What an engine is made with. Fill it with circflow_engine_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_engine_config {
    /// sizeof(circflow_engine_config) as your compiler saw it.
    pub size: size_t,
    /// Random bytes of yours: nonces are looked up under them, and padding machines draw what follows from them. All
    /// zero is for tests.
    pub seed: [u8; 32],
    /// Part of every id this engine gives out, 1 to 16383: give each engine of your process its own, so that an id
    /// that strays to another engine is noticed. Default 1.
    pub engine_tag: u32,
    /// Circuits that may be open at a time. Default 1048576, at most 16777216.
    pub circuits_max: u32,
    /// Sets that may live at a time. Default 262144, at most 16777216.
    pub sets_max: u32,
    /// Instructions that may wait before calls that would queue more answer CIRCFLOW_ERR_UNDRAINED. Default 65536.
    pub insns_max: u32,
    /// Bytes that all sets and circuits together may hold: for order, for sending, at edges, and on the way to other
    /// engines. At the cap the one with the greatest product of bytes and age is closed, by queued instructions
    /// (CIRCFLOW_ERR_ENGINE_MEMORY), and the call goes on; one that holds less than a quarter of its share (cap /
    /// holders) only when no larger one is left. 0: nothing may wait, so the first message out of order closes its set,
    /// and the first cell at a full channel its circuit. Default 256 MiB.
    pub held_bytes_max: u64,
    /// Circuits that circflow runs: cells that wait at an edge when the source is told to pause. Default 64.
    pub edge_high_cells: u32,
    /// Cells left at an edge when the source is told to go on; below edge_high_cells. Default 16.
    pub edge_low_cells: u32,
    /// Cells that an edge still takes after the pause, at least 32; one more closes the circuit. Default 128.
    pub edge_over_cells: u32,
    /// Streams of one circuit or set that may be open at a time. Default 1024.
    pub streams_max: u32,
    /// Bytes of one stream that may be delivered and not flushed; more closes its circuit or set. Default 32 MiB.
    pub stream_bytes_max: u32,
    /// Zero.
    pub reserved: u32,
    /// Client: how long a stream that you have ended is remembered after its END has left (prop324 4.1.4): its id is in
    /// use, and DATA, XON and XOFF that come for it are dealt with. The longest round trip counts when it is longer, up
    /// to 10 minutes in all. Default 60 s, at most 10 minutes.
    pub stream_memory_ns: u64,
    /// How long a padding machine rests after padding_burst_max things that it did without waiting, and between two of
    /// them then, until it waits as long by itself. 0: it never rests. Default 1 ms, at most 1 s.
    pub padding_floor_ns: u64,
    /// What one padding machine may do on its own account at one time (a timer that ends or begins, a padding cell, a
    /// block). It is also the average for all machines of a padder together in each padding_floor_ns, which they can
    /// exceed by 64 times as much in a row. What a cell sets off begins a burst anew. No known defence does so much.
    /// Default 64, 1 to 4096.
    pub padding_burst_max: u32,
    /// Zero.
    pub reserved2: u32,
    /// How long a message may be held for order, for sets that are made without a bound of their own: at most a week; 0
    /// for as long as it takes. When a message waits so long behind one that does not come, its set ends, and
    /// CIRCFLOW_ERR_HELD_TOO_LONG is the cause. The oldest counts, so messages that follow do not prolong it. What has
    /// had its turn and was not taken is not meant, nor what padding holds, nor cells at an edge. Of a time in which
    /// you did not call, one second counts, as the machine may have been suspended: while something waits, the deadline
    /// comes twice a second. Default 120 s.
    pub held_age_max_ns: u64,
}

/// What a set is made with. Fill it with circflow_set_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_set_config {
    /// sizeof(circflow_set_config) as your compiler saw it.
    pub size: size_t,
    /// Yours. It comes back in every instruction about the set; make it other than 0, which stands for "no set" there.
    pub tag: u64,
    /// A client's secret: 32 fresh random bytes for each set, sent to one exit and to nobody else (prop329 2.2). Wipe
    /// your copy. Not used by circflow_engine_accept_sets().
    pub nonce: [u8; CIRCFLOW_NONCE_LEN],
    /// How long a leg may wait for LINKED (client) or LINKED_ACK (exit), at least 1. It runs from the call that queued
    /// LINK or LINKED, so that it bounds your own delay too; the round trip is measured from when you take that
    /// instruction. Default 60 s; give your circuit build timeout if that is shorter.
    pub link_timeout_ns: u64,
    /// Bytes that the set may hold for order. 0: the first message out of order closes the set. Default 16 MiB. Where
    /// cfx_max_oooq_bytes says less when the set is opened, that counts.
    pub held_bytes_max: u64,
    /// How many messages ahead of the last delivered one a SWITCH may move a leg. Default 1048576.
    pub switch_ahead_max: u32,
    /// Legs of the set at a time, 1 to CIRCFLOW_LEGS_MAX. Default 0: what cfx_max_legs_set says when the set is opened,
    /// 8 if that was never set, and CIRCFLOW_LEGS_MAX if it is more.
    pub legs_max: u32,
    /// Client: legs that may be launched, failed ones counted (also those that failed while they were built), until the
    /// set is usable, and again after each time that every leg has been answered (prop329 4.2.2). Default 0: what
    /// cfx_num_legs_set and cfx_max_unlinked_leg_retry add up to when the set is opened, 5 if they were never set.
    pub launches_max: u32,
    /// What this end wants of the other, CIRCFLOW_UX_*. Default: HIGH_THROUGHPUT.
    pub desired_ux: u8,
    /// How this end chooses its sending leg, CIRCFLOW_ALGORITHM_*. Default: BY_UX.
    pub algorithm: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// Messages that may be held for sending while padding blocks the legs; then sending answers CIRCFLOW_ERR_BLOCKED,
    /// with 0 at once. Default 32.
    pub held_sends_max: u32,
    /// Zero.
    pub reserved2: u32,
    /// How long a message may be held for order, as circflow_engine_config.held_age_max_ns says; 0 for as long as it
    /// takes. Default CIRCFLOW_AS_ENGINE: what that says.
    pub held_age_max_ns: u64,
}

/// What a circuit is opened with. Fill it with circflow_circuit_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_circuit_config {
    /// sizeof(circflow_circuit_config) as your compiler saw it.
    pub size: size_t,
    /// Yours. It comes back in every verdict and instruction about the circuit; make it other than 0, which stands for
    /// "no circuit" there.
    pub tag: u64,
    /// Client: any number that is the same for two circuits exactly when their last hop is the same relay. Exit: 0.
    pub join_point: u64,
    /// CIRCFLOW_ROLE_CLIENT, the default, or CIRCFLOW_ROLE_EXIT, at a middle relay too.
    pub role: u8,
    /// Client: number of hops, 1 to 16, default 3; the last is the join point. Exit: 0, which you have to set.
    pub hops: u8,
    /// CIRCFLOW_PATH_*: which parameters of congestion control hold. Default: CIRCFLOW_PATH_EXIT.
    pub path_class: u8,
    /// With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated when the circuit was built
    /// (prop324 10); within 1 of "cc_sendme_inc". Default 0: what that says.
    pub sendme_inc: u8,
    /// CIRCFLOW_CIRCUIT_*, or-ed together; an unknown one is refused. Default: CIRCFLOW_CIRCUIT_VEGAS, which legs and
    /// streams need: add yours with |=.
    pub flags: u32,
    /// Messages, and padding cells, that may be held for sending while padding blocks the circuit; then sending answers
    /// CIRCFLOW_ERR_BLOCKED, and padding is refused, with 0 at once. Default 32.
    pub held_sends_max: u32,
    /// Zero.
    pub reserved: u32,
}

/// A relay message, decrypted. All of it is read during the call only.
///
/// The host names where a message came from by hop: 1 is the guard, and a client's last hop is the join point; at a
/// relay the other end is the client, hop 0.
///
/// With CIRCFLOW_FORM_BYTES, body is copied if the message has to be held. With CIRCFLOW_FORM_TOKEN the message stays
/// the host's: circflow keeps the number `token` instead, and hands it back exactly once, in CIRCFLOW_INSN_DELIVER or
/// CIRCFLOW_INSN_DISCARD or to the discard function of circflow_engine_free(). A token is kept only when a call
/// answered HELD; after any other verdict and any error it was never taken, so what it stands for need only be made
/// when a call has answered HELD. The bodies of LINK, LINKED and SWITCH must be there in either form, and on circuits
/// that circflow runs every body.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_message {
    /// Relay command, CIRCFLOW_CMD_* or any other.
    pub command: u8,
    /// The hop it came from or goes to.
    pub hop: u8,
    /// Stream id; 0 where the message belongs to no stream.
    pub stream_id: u16,
    /// Bytes in body, at most CIRCFLOW_BODY_MAX, in either form; in a cell for circflow_circuit_relay(), at most
    /// CIRCFLOW_CELL_BODY_LEN. More is refused always, whether the message would have had to wait or not.
    pub body_len: u16,
    /// CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN.
    pub form: u8,
    /// Bytes of `cell_tag`: 20 (tor1), 16 (counter-galois), or 0: no tag. Without one the SENDME is of version 0, for
    /// which a peer with congestion control closes the circuit.
    pub cell_tag_len: u8,
    /// With a token: what holding it costs your process, in bytes. It counts against the caps, as
    /// CIRCFLOW_HELD_TOKEN_MIN at least.
    pub cost: u32,
    /// Zero. Not looked at yet.
    pub reserved2: u32,
    /// The body, or NULL when body_len is 0.
    pub body: *const u8,
    /// With CIRCFLOW_FORM_TOKEN: any number of yours.
    pub token: u64,
    /// On circuits that circflow runs, with DATA that came: the tag of its cell, for the SENDME that may follow from it
    /// (prop289: the running digest after this cell, or its tag). Give it with each: it is read when it is needed.
    pub cell_tag: *const u8,
}

/// The kind of a verdict.
#[allow(non_camel_case_types)]
///
/// cbindgen:prefix-with-name=false
/// cbindgen:rename-all=None
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum circflow_verdict_kind {
    /// Receiving: handle the message you hold, now. If it was multiplexed, it is the next in order and counts as
    /// delivered. Messages that waited behind it may be ready: drain, or take them with circflow_set_next().
    CIRCFLOW_VERDICT_DELIVER = 1,
    /// Kept: the body was copied, or the token is circflow's until it comes back. Receiving: for order, it comes back
    /// as CIRCFLOW_INSN_DELIVER. Sending: because padding blocks, it comes back as CIRCFLOW_INSN_SEND.
    CIRCFLOW_VERDICT_HELD = 2,
    /// Receiving: a control message that circflow has dealt with. Nothing to handle; drain.
    CIRCFLOW_VERDICT_CONSUMED = 3,
    /// Receiving: not to be honoured on a leg (BEGIN_DIR; TROVE-2026-008). Send END with end_reason for its stream id.
    CIRCFLOW_VERDICT_REFUSE = 4,
    /// Sending: send the message on this leg, after a SWITCH with switch_delta if that is not 0.
    CIRCFLOW_VERDICT_SEND = 5,
    /// A cell that passes: write it to the other side of the circuit, now.
    CIRCFLOW_VERDICT_FORWARD = 6,
}

/// What circflow says about the message that was fed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_verdict {
    /// circflow_verdict_kind.
    pub kind: u8,
    /// 1 when messages of the set that were held are ready now: drain, or take them with circflow_set_next().
    /// Otherwise 0, and there is nothing to take on account of this message.
    pub ready: u8,
    /// REFUSE: the reason to put into END (tor-spec 6.3, one byte). Otherwise 0.
    pub end_reason: u8,
    /// CIRCFLOW_WANTS_TAG or 0.
    pub flags: u8,
    /// SEND: 0, or the number to put into a SWITCH that goes first, on the same leg.
    pub switch_delta: u32,
    /// SEND: the leg to send on. Otherwise the circuit the message came on; zero when a set holds it for sending.
    pub circuit: circflow_circuit_id,
    /// That circuit's tag.
    pub circuit_tag: u64,
    /// The message's absolute sequence number in the set, from 1; 0 for messages that have none.
    pub number: u64,
    /// On circuits that circflow runs: the stream it belongs to, or zero. The last message of a stream that comes (END,
    /// RESOLVED) has only the tag.
    pub stream: circflow_stream_id,
    /// The tag of the stream, or 0.
    pub stream_tag: u64,
}

/// How a leg stands, from the host's congestion control. It replaces all that was known; until the next report circflow
/// counts the DATA it is told was sent on top of inflight.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct circflow_leg_report {
    /// The leg.
    pub circuit: circflow_circuit_id,
    /// Congestion window, in cells.
    pub cwnd: u64,
    /// DATA cells sent and not yet acknowledged. Any number; it may be above cwnd.
    pub inflight: u64,
    /// Smoothed round-trip time, in nanoseconds; 0 keeps the one the link handshake measured.
    pub rtt_ns: u64,
    /// DATA cells that one SENDME acknowledges. With so many in flight or more, a leg that goes takes its set with it;
    /// so with 0, each does.
    pub sendme_inc: u32,
    /// CIRCFLOW_REPORT_*, or-ed together.
    pub flags: u32,
}

/// Called by circflow_engine_drain() for each instruction. `body` is what a body buffer would hold, for the length of
/// the call. Inside, feed as you like; poll, drain and free answer CIRCFLOW_ERR_REENTRANT.
pub type circflow_insn_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, insn: *const circflow_insn, body: *const u8)>;

/// Called by circflow_engine_free() for each token that is still circflow's: it is yours again.
pub type circflow_discard_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, token: u64, cost: u32)>;

/// Called for each log line: level 1 (error) to 5 (trace), the engine's tag, and one line of text that lives as long as
/// the call. Lines come at the end of the call that they are about. Do not call circflow about the same engine from
/// inside.
pub type circflow_log_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, level: u32, engine_tag: u32, line: *const c_char)>;

/// Figures of an engine. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_engine_stats {
    /// sizeof(circflow_engine_stats) as your compiler saw it.
    pub size: size_t,
    /// Circuits open.
    pub circuits: u32,
    /// Sets alive.
    pub sets: u32,
    /// Instructions waiting. A whole run of ready messages counts as one.
    pub insns: u32,
    /// The most that ever waited.
    pub insns_peak: u32,
    /// Timers armed: one for each leg that waits for an answer, one for each circuit whose padding waits for anything,
    /// and one for each stream that its rate holds back.
    pub timers: u32,
    /// Streams open on circuits and sets that circflow runs.
    pub streams: u32,
    /// Messages held now, for order, for sending and at edges, those waiting to be discarded included.
    pub held: u64,
    /// What is held costs so much, in bytes: for order, for sending, at edges, and on the way to other engines until
    /// they take it; and, at a client, what is remembered of streams that have ended there, some 10 bytes each where
    /// ids are used in turn. Never above held_bytes_max of the engine. Without what waits to be handed back:
    /// leaving_bytes.
    pub held_bytes: u64,
    /// The most bytes ever held.
    pub held_bytes_peak: u64,
    /// Bytes of memory kept for held messages, in use or ready for use.
    pub pool_bytes: u64,
    /// Times the host named an earlier time than before.
    pub time_backwards: u64,
    /// Times that a peer broke the protocol, or a cap or a time bound was reached.
    pub peer_faults: u64,
    /// Log lines left out because there were too many.
    pub log_dropped: u64,
    /// Padding cells received, expected or not.
    pub padding_received: u64,
    /// How many timers of padding ran how late: [0] less than a microsecond after they were due, [n] less than 2^n
    /// microseconds, the last all others.
    pub lateness: [u64; CIRCFLOW_LATENESS_CLASSES],
    /// Messages that nothing explains and that do no harm, on streams of circuits and sets that circflow runs:
    /// CONNECTED twice, RESOLVED to a BEGIN, CONNECTED or DATA to a RESOLVE. They were dropped (CONSUMED).
    pub unexplained: u64,
    /// Calls that named a time more than an hour later than the one before. One can be a machine that was suspended, or
    /// a wild time: circflow_engine_set_clock().
    pub time_leaps: u64,
    /// Of the hub's cap, what is reserved for held_bytes: at most a block (64 KiB) above it, and the same at rest, that
    /// is once the engine has been drained to the end, ticked or trimmed. Without a hub always held_bytes.
    pub reserved_bytes: u64,
    /// Of held_bytes, what is on its way to other engines of the hub, or waits for room there.
    pub crossing_bytes: u64,
    /// What is held no longer and waits for your drain to hand it out or back, as its set or circuit has ended. It has
    /// room of its own, as much as held_bytes_max; what is above that takes room from held_bytes until it is drained.
    pub leaving_bytes: u64,
    /// Padding cells that you were told to send, or answered with CIRCFLOW_PADDING_SENT.
    pub padding_sent: u64,
    /// Other cells sent: those whose sending was decided or reported here, on all circuits; of those that only pass a
    /// relay, the ones towards the client.
    pub others_sent: u64,
    /// Padding that a budget refused (circflow_padding_budget), this engine's, the consensus's or the hub's.
    pub padding_refused: u64,
}

/// Figures of a set. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_set_stats {
    /// sizeof(circflow_set_stats) as your compiler saw it.
    pub size: size_t,
    /// Legs, in any state.
    pub legs: u32,
    /// Of these, legs that are not linked yet, those included whose circuits are still being built.
    pub legs_unlinked: u32,
    /// 1 when the set may carry streams.
    pub usable: u32,
    /// The UX the peer asked for last, CIRCFLOW_UX_*.
    pub peer_ux: u32,
    /// The sending leg; before the first message, the fastest; zero when none is linked.
    pub primary: circflow_circuit_id,
    /// The leg that a message came or went on last; zero when none ever did.
    pub most_active: circflow_circuit_id,
    /// When that was.
    pub last_active_ns: u64,
    /// Highest number sent.
    pub sent: u64,
    /// Highest number delivered.
    pub delivered: u64,
    /// Messages held now.
    pub held: u64,
    /// The most ever held: the reorder depth.
    pub held_peak: u64,
    /// What is held costs, in bytes.
    pub held_bytes: u64,
    /// The most it ever cost.
    pub held_bytes_peak: u64,
    /// SWITCHes reported as sent.
    pub switches_sent: u64,
    /// SWITCHes received.
    pub switches_received: u64,
    /// How the sending leg is chosen now, CIRCFLOW_ALGORITHM_*; never BY_UX, but what came of it.
    pub algorithm: u32,
    /// Client: legs that may be launched now, by launches_max and by legs_max. Exit: 0.
    pub launches_left: u32,
    /// Streams open on the set, if circflow runs it; else 0, as they are yours.
    pub streams: u64,
    /// If circflow runs the set: since when no stream is open on it, at first since when the set is there;
    /// CIRCFLOW_NEVER while one is. Else CIRCFLOW_NEVER.
    pub no_streams_since_ns: u64,
    /// Since when the oldest of the messages that are held for order has waited, in nanoseconds on your clock;
    /// CIRCFLOW_NEVER when none is held. Right to two milliseconds. Of a time in which you did not call, one second
    /// counts: so much later it is. The set ends when now - held_since reaches its held_age_max_ns, unless it is only
    /// you who has to take what is held.
    pub held_since: u64,
    /// Messages that wait to be sent.
    pub unsent: u64,
    /// What those cost, in bytes.
    pub unsent_bytes: u64,
    /// All that counts when a cap of the engine or the hub is reached and a set has to go: what is held for order, what
    /// waits to be sent, and what is on its way to legs on other engines, in bytes. The set with the greatest product
    /// of these and of the time since total_since_ns goes first.
    pub total_bytes: u64,
    /// Since when the oldest of that has waited, in nanoseconds on your clock; CIRCFLOW_NEVER when it is nothing.
    pub total_since_ns: u64,
}

/// circflow_leg_stats.state: client, the circuit is still being built, and circflow_circuit_built() is to come.
pub const CIRCFLOW_LEG_BUILDING: u32 = 1;
/// circflow_leg_stats.state: client, LINK is queued or sent, and LINKED is to come.
pub const CIRCFLOW_LEG_PENDING: u32 = 2;
/// circflow_leg_stats.state: exit, linked since LINK came, and LINKED_ACK is to come.
pub const CIRCFLOW_LEG_UNACKED: u32 = 3;
/// circflow_leg_stats.state: linked, and all of its handshake is done.
pub const CIRCFLOW_LEG_LINKED: u32 = 4;

/// Figures of a leg. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_leg_stats {
    /// sizeof(circflow_leg_stats) as your compiler saw it.
    pub size: size_t,
    /// How far its handshake has come, CIRCFLOW_LEG_*.
    pub state: u32,
    /// DATA cells that one SENDME acknowledges, as reported last; 31 before.
    pub sendme_inc: u32,
    /// Round-trip time in nanoseconds: of the last report, before of the handshake; 0 when not known.
    pub rtt_ns: u64,
    /// Congestion window in cells, as reported last; 0 before.
    pub cwnd: u64,
    /// DATA cells in flight: those of the last report, and those sent since.
    pub inflight: u64,
    /// Number of the last message sent on it.
    pub sent: u64,
    /// Number of the last message received on it.
    pub recv: u64,
}

/// A leg's sequence numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct circflow_leg_numbers {
    /// The leg.
    pub circuit: circflow_circuit_id,
    /// Number of the last message sent on it.
    pub sent: u64,
    /// Number of the last message received on it.
    pub recv: u64,
}

/// A set's sequence numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct circflow_set_numbers {
    /// Number of the last message delivered.
    pub delivered: u64,
    /// The sending leg, or zero.
    pub sending: circflow_circuit_id,
}
