//! `circflow_channel_*`: links to the next relay, each for all the circuits that write to it.

use super::door;
use super::engine::circflow_engine;
use super::id::*;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::engine::ChannelStats;
use crate::reactor::Gauge;
use libc::size_t;

/// circflow_channel_set_room(): the channel takes any number of cells.
pub const CIRCFLOW_ROOM_UNLIMITED: u32 = u32::MAX;
const _: () = assert!(CIRCFLOW_ROOM_UNLIMITED == Gauge::UNLIMITED);

/// Opens a channel: your link to another relay, which many circuits share. Say which sides of circuits write to it
/// with circflow_circuit_set_channel(), and how many cells it takes with circflow_channel_set_room(). That one call
/// serves all of its circuits in turn, so you need no loop over circuits. The channel lives until
/// circflow_channel_close().
///
/// Channels are for circuits that circflow runs. You need none if you have an order of your own (by activity, as
/// Tor's EWMA): call circflow_circuit_set_writable() for each circuit, as before.
///
/// @param room_cells  The number of cells that it takes now, as in circflow_channel_set_room(). 0: it is full.
///
/// Own statuses: CIRCFLOW_ERR_TOO_MANY: there are 65536 in this engine.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_channel_open(
    engine: *mut circflow_engine,
    room_cells: u32,
    channel_out: *mut circflow_channel_id,
) -> circflow_status {
    if channel_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let id = core.open_channel(room_cells)?;
            channel_out.write(circflow_channel_id::new(id));
            Ok(())
        })
    }
}

/// Reports that a channel has gone. Its id is stale from now on. Its circuits stay; for them it is full for ever, so
/// what they write to it waits. Call circflow_circuit_gone() for each, or give it another channel. You may do so
/// before or after this call.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_channel_close(
    engine: *mut circflow_engine,
    channel: circflow_channel_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.close_channel(channel.id())) }
}

/// Reports how many cells a channel takes from now on; the number replaces the one before. Drain afterwards. Call it
/// when the queue of your link has been written out far enough, and at any other time.
///
/// Each cell of its circuits uses up one: FORWARD, CIRCFLOW_INSN_WRITE, CIRCFLOW_INSN_SEND, each message and SWITCH
/// that a verdict lets you send, and padding when you report it as queued. Of messages that were held and are in the
/// instruction queue by now, each has one reserved. When all are used up, the channel is full: cells wait at their
/// circuits, whose sources are paused at the marks (CIRCFLOW_INSN_PAUSE_FEED), and DATA is
/// refused with CIRCFLOW_ERR_NO_ROOM. SENDMEs, handshakes, END and padding are not held up by a full channel: leave
/// room for some.
///
/// Circuits that wait stand in line, in the order in which they began to wait. While there is room, draining serves
/// the first and puts it at the end of the line: it gives you one of its waiting cells (CIRCFLOW_INSN_WRITE); or, if
/// you were refused DATA, it tells you that you may send (CIRCFLOW_INSN_MAY_SEND) and keeps room for one cell. Room
/// that is kept but not used within 10 milliseconds goes to the next circuit, if one waits. A cell that comes while
/// circuits are in line waits behind them, even if there is room. A circuit that does not wait costs nothing.
///
/// @param room_cells  A number of cells, not a yes or no: 1 is one cell, 0 is full. CIRCFLOW_ROOM_UNLIMITED: any
///                    number, until you call this function again.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_channel_set_room(
    engine: *mut circflow_engine,
    now_ns: u64,
    channel: circflow_channel_id,
    room_cells: u32,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.set_channel_room(core.time(now_ns), channel.id(), room_cells)) }
}

/// Figures of a channel. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_channel_stats {
    /// sizeof(circflow_channel_stats) as your compiler saw it.
    pub size: size_t,
    /// Cells that went to it, at once or after a wait.
    pub passed: u64,
    /// Cells that it still takes; CIRCFLOW_ROOM_UNLIMITED if that is what you said.
    pub room_cells: u32,
    /// Cells that wait for it, at all its circuits.
    pub waiting: u32,
    /// Sides of circuits that write to it: a circuit with both sides on it counts twice.
    pub sides: u32,
    /// Of these, those in line for a turn.
    pub in_line: u32,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_channel_stats {}

/// Figures of a channel. Set stats->size to sizeof(circflow_channel_stats) first.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_channel_get_stats(
    engine: *mut circflow_engine,
    channel: circflow_channel_id,
    stats: *mut circflow_channel_stats,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter_to_write(engine, stats, |core| Ok(channel_stats(&core.channel_stats(channel.id())?))) }
}

fn channel_stats(stats: &ChannelStats) -> circflow_channel_stats {
    circflow_channel_stats {
        size: size_of::<circflow_channel_stats>(),
        passed: stats.passed,
        room_cells: stats.room,
        waiting: stats.waiting,
        sides: stats.sides,
        in_line: stats.in_line,
    }
}
