//! The flight recorder: what happened in an engine.

use super::circflow_engine;
use crate::engine::Engine;
use crate::event::{Class, Recorder};
use crate::ffi::door;
use crate::ffi::out::Out;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::{c_void, size_t};

/// circflow_engine_record(): the life of sets and of their legs.
pub const CIRCFLOW_RECORD_SETS: u32 = 1;
/// circflow_engine_record(): multiplexed messages that come: in order, held, delivered; SWITCH.
pub const CIRCFLOW_RECORD_MESSAGES: u32 = 2;
/// circflow_engine_record(): messages that go: how each leg stood, the leg that was chosen, SWITCH; refusals.
pub const CIRCFLOW_RECORD_CHOICE: u32 = 4;
/// circflow_engine_record(): windows, round trips, SENDMEs.
pub const CIRCFLOW_RECORD_WINDOWS: u32 = 8;
/// circflow_engine_record(): streams: their life, XOFF, XON.
pub const CIRCFLOW_RECORD_STREAMS: u32 = 16;
/// circflow_engine_record(): cells that wait for a channel.
pub const CIRCFLOW_RECORD_EDGES: u32 = 32;
/// circflow_engine_record(): padders: events, timers, blocks, cells, refusals, negotiation.
pub const CIRCFLOW_RECORD_PADDING: u32 = 64;
/// circflow_engine_record(): caps that were reached, and who was closed at one.
pub const CIRCFLOW_RECORD_MEMORY: u32 = 128;
/// circflow_engine_record(): what crosses between the engines of a hub.
pub const CIRCFLOW_RECORD_HUB: u32 = 256;
/// circflow_engine_record(): faults of peers.
pub const CIRCFLOW_RECORD_FAULTS: u32 = 512;
/// circflow_engine_record(): the host's clock, and warnings about recording itself.
pub const CIRCFLOW_RECORD_HOST: u32 = 1024;
/// circflow_engine_record(): states of padding machines, where an event that they are told of has changed them. They
/// are costly to find out: each event costs 11,000 instructions more where one machine runs, and 50,000 with four.
pub const CIRCFLOW_RECORD_STATES: u32 = 2048;
/// circflow_engine_record(): all classes.
pub const CIRCFLOW_RECORD_ALL: u32 = 4095;
const _: () = assert!(CIRCFLOW_RECORD_ALL == Class::EVERY);

/// The smallest buffer of circflow_engine_record_read(), in bytes.
pub const CIRCFLOW_RECORD_READ_MIN: usize = 120;
const _: () = assert!(CIRCFLOW_RECORD_READ_MIN == Recorder::READ_MIN);

/// A function of yours that gets a piece of the record: `len` bytes, valid during the call. Write them behind those
/// that came before. Inside it you may do what a callback of circflow_engine_drain() may do.
pub type circflow_record_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, piece: *const u8, len: size_t)>;

/// Records what happens in the engine from now on, and keeps the newest events in a ring of `bytes` bytes. An event
/// takes 24 to 80 bytes. What was recorded before is gone, so read it first. Nothing is recorded until you call this.
///
/// The record has no nonce, no body, no digest, no address, no text of a padding machine, and no tag or token of
/// yours. It says when messages came and went on which circuit, which is enough to find out who talks to whom: at a
/// relay, record your own circuits only, and publish nothing. docs/events.md has the rules, and the format.
///
/// What is recorded depends on your calls only: the same calls with the same times give the same bytes.
///
/// @param bytes    4096 to 1073741824, or 0 to stop recording.
/// @param classes  CIRCFLOW_RECORD_*, or-ed together, or 0 to stop recording.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: bytes is out of its range, or there is no such class.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_record(
    engine: *mut circflow_engine,
    bytes: size_t,
    classes: u32,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.record(bytes, classes)) }
}

/// Moves the oldest recorded events into a buffer of yours, in the order in which they happened. Read until *len_out is
/// 0. The bytes are a piece: they begin by saying what they are, and pieces that are written one behind the other are a
/// file that `circflow-trace` reads.
///
/// It works on a poisoned engine, too: what came before the panic is there.
///
/// @param buf              The buffer. It is filled with whole events.
/// @param buf_cap          Bytes of room there, at least CIRCFLOW_RECORD_READ_MIN. Some 64 KiB are a good size.
/// @param len_out          Bytes of the piece. 0 when there is nothing to read.
/// @param overwritten_out  Events that were overwritten since the last piece, before you read them. May be NULL.
///
/// Own statuses: CIRCFLOW_ERR_TOO_SMALL: buf_cap is below CIRCFLOW_RECORD_READ_MIN. CIRCFLOW_ERR_REENTRANT inside the
/// log function.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_record_read(
    engine: *mut circflow_engine,
    buf: *mut u8,
    buf_cap: size_t,
    len_out: *mut size_t,
    overwritten_out: *mut u64,
) -> circflow_status {
    if buf.is_null() || len_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: not NULL, and `buf_cap` bytes are there by the contract of this floor.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buf, buf_cap.min(isize::MAX as usize)) };
    // SAFETY: the contract of this floor, which the caller keeps.
    match unsafe { door::look_back(engine, |core| core.events().read(buffer)) } {
        Ok(Some((len, overwritten))) => {
            // SAFETY (both): NULL or room, by the contract of this floor.
            unsafe { Out::give(len_out, len) };
            unsafe { Out::give(overwritten_out, overwritten) };
            CIRCFLOW_OK
        }
        // SAFETY: the contract of this floor, which the caller keeps.
        Ok(None) => unsafe { door::refuse(engine, CIRCFLOW_ERR_TOO_SMALL) },
        Err(status) => status,
    }
}

/// Sets the function that gets the record in pieces, for recordings that are longer than the ring. It is called at the
/// end of circflow_engine_drain() while at least half of the ring is in use, and in circflow_engine_free() with the
/// rest. NULL: none. circflow_engine_poll() does not call it.
///
/// @param fn        Called in the thread that drains or frees the engine.
/// @param userdata  The argument of fn. Both are used until the engine is freed, or another function is set.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_set_record_sink(
    engine: *mut circflow_engine,
    r#fn: circflow_record_fn,
    userdata: *mut c_void,
) -> circflow_status {
    let sink = r#fn.map(|call| Box::new(Sink { call, userdata }) as Box<dyn std::any::Any>);
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            core.events().set_sink(sink);
            Ok(())
        })
    }
}

/// The host's function for pieces.
#[derive(Clone, Copy)]
struct Sink {
    call: unsafe extern "C-unwind" fn(*mut c_void, *const u8, size_t),
    userdata: *mut c_void,
}

/// Hands pieces to the sink, if there is one and it is time; `at_the_end` all that is left. The engine is idle or
/// poisoned, and is not borrowed while the host's function runs.
#[inline]
pub(super) unsafe fn pour(engine: *mut circflow_engine, at_the_end: bool) {
    // SAFETY: the contract of this floor, which the caller keeps.
    if let Ok(true) = unsafe { door::look_back(engine, |core| sink_when_due(core, at_the_end).is_some()) } {
        // SAFETY: the contract of this floor, which the caller keeps.
        unsafe { pour_some(engine, at_the_end) }
    }
}

#[cold]
#[inline(never)]
unsafe fn pour_some(engine: *mut circflow_engine, at_the_end: bool) {
    let mut buffer = [0; 16 << 10];
    // A host's function that feeds adds events: the number of pieces is bounded all the same.
    for _ in 0..PIECES_MAX {
        // SAFETY: the contract of this floor, which the caller keeps.
        let next = unsafe {
            door::look_back(engine, |core| {
                let sink = sink_when_due(core, at_the_end)?;
                let (len, _) = core.events().read(&mut buffer)?;
                Some((sink, len)).filter(|&(_, len)| len > 0)
            })
        };
        let Ok(Some((sink, len))) = next else { return };
        // SAFETY: the host's own function and user data; the core is not borrowed while it runs.
        unsafe { (sink.call)(sink.userdata, buffer.as_ptr(), len) };
    }
}

/// Twice the pieces of the largest ring.
const PIECES_MAX: usize = 1 << 17;

fn sink_when_due(core: &mut Engine, at_the_end: bool) -> Option<Sink> {
    core.events().sink_when_due(at_the_end)?.downcast_ref::<Sink>().copied()
}
