//! `circflow_stream_*`: streams of circuits and sets that circflow runs.

use super::circuit::tell_of_sent;
use super::door;
use super::engine::circflow_engine;
use super::id::*;
use super::inward::Why;
use super::message::{self, *};
use super::out::Out;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::engine::{send, send_rest, Outlet, Sending, Sent, StreamConfig, StreamStats, NO_REPORTS};
use crate::reactor::Owner;
use crate::wire::Command;
use libc::size_t;

/// The configuration of a stream. Fill it with circflow_stream_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_stream_config {
    /// sizeof(circflow_stream_config) as your compiler saw it.
    pub size: size_t,
    /// A number of yours. It comes back in every verdict and instruction about the stream.
    pub tag: u64,
    /// The set that carries the stream, or zero.
    pub set: circflow_set_id,
    /// The circuit that carries the stream, when `set` is zero.
    pub circuit: circflow_circuit_id,
    /// Its stream id in the protocol: not 0, and not in use on this circuit or set.
    pub stream_id: u16,
    /// The hop at its other end; 0 at a relay. Default 3.
    pub hop: u8,
    /// The priority: streams with a lower number are read first, equal ones in turn. Default 0.
    pub priority: u8,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), size first, integers and structs of integers.
unsafe impl sized::Growing for circflow_stream_config {}

/// Fills a config with the defaults: the third hop, priority 0. Pass sizeof(circflow_stream_config).
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_stream_config_init(
    config: *mut circflow_stream_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Opens a stream; then send its BEGIN or RESOLVE with circflow_stream_send(). (For a stream that the other end opens,
/// the verdict on its BEGIN has the id.) It lives until an END or RESOLVED is sent or received, or its circuit or set
/// is gone.
///
/// A client checks the messages that come for its streams (prop324 4.1.4). Before BEGIN or RESOLVE has left, nothing
/// may come. (It has left when the verdict was SEND, or when you have taken its CIRCFLOW_INSN_SEND.) A second
/// CONNECTED, RESOLVED after BEGIN, and CONNECTED or DATA after RESOLVE are dropped (`unexplained` in
/// circflow_engine_stats). For a stream that you have ended, DATA, XON and XOFF may come for stream_remembered_ns, a
/// first CONNECTED, and at last END or RESOLVED. Any other message closes the circuit or set with
/// CIRCFLOW_ERR_UNKNOWN_STREAM.
///
/// Own statuses: CIRCFLOW_ERR_NOT_RUN: circflow does not run the streams of the circuit. CIRCFLOW_ERR_STREAM_EXISTS:
/// the id is in use, or a client still remembers it; use another, or wait until END or RESOLVED has come from the other
/// end, or for stream_remembered_ns. CIRCFLOW_ERR_IN_SET: a stream to the join point belongs to the set.
/// CIRCFLOW_ERR_TOO_MANY: streams_max are open; or held_bytes_max leaves a client no room to remember the stream (some
/// 10 bytes each when ids are used in turn). CIRCFLOW_ERR_CLOSING. CIRCFLOW_ERR_INVALID: stream id 0, or no such hop.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_stream_open(
    engine: *mut circflow_engine,
    now_ns: u64,
    config: *const circflow_stream_config,
    stream_out: *mut circflow_stream_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::answer_to_read(engine, config, config_defaults(), stream_out, |core, config| {
            let (owner, config) = stream_config(config).map_err(|why| core.invalid(why))?;
            let id = core.open_stream(core.time(now_ns), owner, &config)?;
            Ok(circflow_stream_id::new(id))
        })
    }
}

/// Gives a stream another tag. A stream that the other end opened has the tag 0 until then.
///
/// @param tag  A number of yours. It comes back in every verdict and instruction about the stream.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_stream_retag(
    engine: *mut circflow_engine,
    stream: circflow_stream_id,
    tag: u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.retag_stream(stream.id(), tag)) }
}

/// Gives a stream another priority. A stream that the other end opened has priority 0 until then.
///
/// @param priority  Streams with a lower number are read first (circflow_stream_choose()), equal ones in turn.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_stream_set_priority(
    engine: *mut circflow_engine,
    stream: circflow_stream_id,
    priority: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.set_priority(stream.id(), priority)) }
}

/// Reports whether a stream has data to send (1) or not (0), for circflow_stream_choose(). You do not need it if you do
/// not use circflow_stream_choose().
///
/// @param readable  1 or 0.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_stream_set_readable(
    engine: *mut circflow_engine,
    stream: circflow_stream_id,
    readable: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.set_readable(stream.id(), readable != 0)) }
}

/// Names the stream of a set or a circuit to read from next: by priority, and in turn among equal ones. Read at most
/// CIRCFLOW_DATA_MAX bytes from it, send them, and ask again. The answer is zero when no readable stream may send now.
/// CIRCFLOW_INSN_MAY_SEND comes when the other end lets one send again.
///
/// @param set         The set, or zero.
/// @param circuit     The circuit, when `set` is zero.
/// @param stream_out  Written on CIRCFLOW_OK.
/// @param tag_out     The tag of the stream. May be NULL.
///
/// Own statuses: CIRCFLOW_ERR_NO_ROOM: no leg has room, or the circuit has none; wait for CIRCFLOW_INSN_MAY_SEND.
/// CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE. CIRCFLOW_ERR_NOT_RUN.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_stream_choose(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuit: circflow_circuit_id,
    stream_out: *mut circflow_stream_id,
    tag_out: *mut u64,
) -> circflow_status {
    if stream_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let found = core.next_stream(core.time(now_ns), owner(set, circuit))?;
            let (id, tag) = found.map_or((0, 0), |(id, tag)| (id.0, tag));
            stream_out.write(circflow_stream_id { v: id });
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(tag_out, tag);
            Ok(())
        })
    }
}

/// Sends a message on a stream: BEGIN, BEGIN_DIR, DATA, END, CONNECTED, RESOLVE or RESOLVED. (circflow sends XON and
/// XOFF itself.) circflow chooses the leg, and keeps to the window and to the stream's rate. The cell counts as queued.
///
/// @param message      Its command, body and form are read. The stream id and the hop are those of the stream: write
///                     them into the cell, as the verdict does not repeat them. On a stream that you opened, the first
///                     message is BEGIN, BEGIN_DIR or RESOLVE, and it is sent once; circflow does not check this.
/// @param verdict_out  SEND: send the message on the circuit of the verdict, after a SWITCH if switch_delta is not 0.
///                     If its flags have CIRCFLOW_WANTS_DIGEST, give the digest of the cell to
///                     circflow_circuit_add_digest(). HELD: padding holds the message back, and it comes back as
///                     CIRCFLOW_INSN_SEND; or the leg belongs to another engine, and CIRCFLOW_INSN_SEND comes there.
///
/// Own statuses: CIRCFLOW_ERR_NO_ROOM: no leg has room, or the circuit has none; for a message that is not DATA:
/// held_sends_max messages wait already, or no leg is linked now. Wait for CIRCFLOW_INSN_MAY_SEND.
/// CIRCFLOW_ERR_STREAM_STOPPED: DATA, and the other end does not take any on this stream now (XOFF, or its rate); wait
/// for CIRCFLOW_INSN_MAY_SEND with this stream. CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE.
/// CIRCFLOW_ERR_NOT_MULTIPLEXED: BEGIN_DIR in a set. CIRCFLOW_ERR_CLOSING. CIRCFLOW_ERR_INVALID: another command; an
/// empty DATA; body_len above CIRCFLOW_BODY_MAX; or, if the message has to be held, as for circflow_circuit_receive().
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_stream_send(
    engine: *mut circflow_engine,
    now_ns: u64,
    stream: circflow_stream_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    send(OnStream { engine, now_ns, stream, message, verdict_out })
}

/// A message of a stream, each step of which goes through the door for itself. The long way finds NULL.
struct OnStream {
    engine: *mut circflow_engine,
    now_ns: u64,
    stream: circflow_stream_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
}

// SAFETY (of all that is here): made by circflow_stream_send() only, for one call, by the contract of which each
// pointer is NULL, or what it says that it is.
impl Sending for OnStream {
    type Answer = circflow_status;

    #[inline(always)]
    fn quick(&mut self) -> Option<Sent> {
        let &mut OnStream { engine, now_ns, stream, message, verdict_out } = self;
        // SAFETY: see above.
        let message = unsafe { message.as_ref() }.filter(|message| is_data(message))?;
        if verdict_out.is_null() {
            return None;
        }
        let (head, outlet) = (message::head(message), Outlet::Stream(stream.id()));
        // SAFETY: see above.
        unsafe { door::try_enter(engine, move |core| core.send_quick(now_ns, outlet, &head)) }
    }

    #[inline(always)]
    fn across(&mut self) -> Option<circflow_status> {
        let &mut OnStream { engine, now_ns, stream, message, verdict_out } = self;
        // SAFETY: see above.
        let message = unsafe { message.as_ref() }.filter(|message| is_data(message) && !verdict_out.is_null())?;
        // SAFETY: see above; `call_out` follows.
        unsafe {
            let verdict = door::try_enter(engine, move |core| {
                core.send_across(now_ns, stream.id(), &message::read(message).ok()?)
            })?;
            message::write_verdict(verdict_out, &verdict);
            door::call_out(engine);
        }
        Some(CIRCFLOW_OK)
    }

    #[inline(always)]
    fn anew(&mut self) -> Option<Sent> {
        let &mut OnStream { engine, now_ns, stream, message, verdict_out } = self;
        // SAFETY: see above.
        let message = unsafe { message.as_ref() }.filter(|message| is_data(message) && !verdict_out.is_null())?;
        let (head, outlet) = (message::head(message), Outlet::Stream(stream.id()));
        // SAFETY: see above.
        unsafe { door::try_enter(engine, move |core| core.send_anew(now_ns, outlet, &head, NO_REPORTS)) }
    }

    #[inline(always)]
    fn rest(&mut self) -> circflow_status {
        // SAFETY: see above.
        unsafe { send_rest_on_stream(self.engine, self.now_ns, self.stream, self.message, self.verdict_out) }
    }

    #[inline(always)]
    fn done(&mut self, sent: &Sent) -> circflow_status {
        // SAFETY: see above.
        unsafe {
            message::write_verdict(self.verdict_out, &sent.verdict);
            if sent.tells {
                return tell_of_sent(self.engine, sent.verdict.circuit, sent.verdict.number, Command::DATA.0);
            }
        }
        CIRCFLOW_OK
    }

    #[inline(always)]
    fn long(&mut self) -> circflow_status {
        // SAFETY: see above.
        unsafe { send_any(self.engine, self.now_ns, self.stream, self.message, self.verdict_out) }
    }
}

#[inline(always)]
fn is_data(message: &circflow_message) -> bool {
    Command(message.command) == Command::DATA && message::is_sendable(message)
}

/// A function apart, so that the first step has nothing to keep for the others.
#[inline(never)]
unsafe extern "C-unwind" fn send_rest_on_stream(
    engine: *mut circflow_engine,
    now_ns: u64,
    stream: circflow_stream_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    send_rest(&mut OnStream { engine, now_ns, stream, message, verdict_out })
}

/// The long way: not DATA, or no room, or another leg, or NULL was given.
#[inline(never)]
unsafe extern "C-unwind" fn send_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    stream: circflow_stream_id,
    message: *const circflow_message,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: as in the only caller.
    let (Some(message), false) = (unsafe { message.as_ref() }, verdict_out.is_null()) else {
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            if !message::is_sendable(message) {
                return Err(core.invalid("a message of a stream has a body that no cell carries"));
            }
            let (head, outlet) = (message::head(message), Outlet::Stream(stream.id()));
            let verdict = core.send_long(core.time(now_ns), outlet, &head, NO_REPORTS, || message::read(message))?;
            message::write_verdict(verdict_out, &verdict);
            Ok(())
        })
    }
}

/// Reports that `bytes` bytes of a stream that were delivered to you have left your buffer. Report all bytes, as you
/// write them to the socket. circflow sends XOFF and XON by the number of bytes that are left (prop324 4.1). At
/// stream_bytes_max it closes the circuit or set.
///
/// @param bytes  The number of bytes since your last report.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: more bytes than were delivered; nothing changes.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_stream_flushed(
    engine: *mut circflow_engine,
    now_ns: u64,
    stream: circflow_stream_id,
    bytes: u32,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.flushed(core.time(now_ns), stream.id(), bytes)) }
}

/// Figures of a stream. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_stream_stats {
    /// sizeof(circflow_stream_stats) as your compiler saw it.
    pub size: size_t,
    /// Bytes delivered and not reported with circflow_stream_flushed().
    pub buffered_bytes: u32,
    /// The highest value of buffered_bytes so far.
    pub buffered_bytes_peak: u32,
    /// XOFFs that circflow has sent.
    pub xoffs_sent: u32,
    /// XONs that circflow has sent.
    pub xons_sent: u32,
    /// XOFFs that came.
    pub xoffs_received: u32,
    /// XONs that came.
    pub xons_received: u32,
    /// 1 between the other end's XOFF and its XON.
    pub stopped: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_stream_stats {}

/// Gives the figures of a stream. Set stats->size to sizeof(circflow_stream_stats) first.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_stream_get_stats(
    engine: *mut circflow_engine,
    stream: circflow_stream_id,
    stats: *mut circflow_stream_stats,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter_to_write(engine, stats, |core| Ok(stream_stats(&core.stream_stats(stream.id())?))) }
}

/// Whose a stream is: the set's if there is one.
pub(super) fn owner(set: circflow_set_id, circuit: circflow_circuit_id) -> Owner {
    if set.v != 0 {
        Owner::Set(set.id())
    } else {
        Owner::Circuit(circuit.id())
    }
}

pub(super) fn stream_config(config: &circflow_stream_config) -> Result<(Owner, StreamConfig), Why> {
    if config.reserved != 0 {
        return Err("a reserved field of a stream's config is not zero");
    }
    if config.set.v != 0 && config.circuit.v != 0 {
        return Err("a stream is a set's or a circuit's");
    }
    let &circflow_stream_config { tag, stream_id, hop, priority, .. } = config;
    Ok((owner(config.set, config.circuit), StreamConfig { tag, stream_id, hop, priority }))
}

pub(super) fn stream_stats(stats: &StreamStats) -> circflow_stream_stats {
    circflow_stream_stats {
        size: size_of::<circflow_stream_stats>(),
        buffered_bytes: stats.buffered,
        buffered_bytes_peak: stats.flow_stats.buffered_peak,
        xoffs_sent: stats.flow_stats.xoffs_sent,
        xons_sent: stats.flow_stats.xons_sent,
        xoffs_received: stats.flow_stats.xoffs_received,
        xons_received: stats.flow_stats.xons_received,
        stopped: u32::from(stats.stopped),
        reserved: 0,
    }
}

fn config_defaults() -> circflow_stream_config {
    circflow_stream_config {
        size: size_of::<circflow_stream_config>(),
        tag: 0,
        set: circflow_set_id { v: 0 },
        circuit: circflow_circuit_id { v: 0 },
        stream_id: 0,
        hop: 3,
        priority: 0,
        reserved: 0,
    }
}
