//! Circuits as legs of a set: how they join, and how they stand.

use super::CIRCFLOW_LEGS_MAX;
use crate::base::Id;
use crate::conflux::{LegStats, LinkState};
use crate::engine::{Engine, Error};
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::inward;
use crate::ffi::sized;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::wire::conflux::Ux;
use libc::size_t;

/// Client: makes circuits legs of a set, all or none, and queues a LINK on each. Also for a set that is live already: a
/// leg may join while messages are in flight, as its numbers start from zero on both sides. Wait for
/// CIRCFLOW_INSN_LINKED and CIRCFLOW_INSN_USABLE. For circuits that are not open yet: circflow_set_launch_legs().
///
/// @param circuits       Each open, a client's, in no set, without streams, with Vegas, of the same length and join
///                       point as the other legs, and named once.
/// @param circuit_count  How many, at least 1.
///
/// Own statuses: CIRCFLOW_ERR_NO_LEGS, CIRCFLOW_ERR_IN_SET, CIRCFLOW_ERR_HAS_STREAMS, CIRCFLOW_ERR_NO_VEGAS,
/// CIRCFLOW_ERR_LEG_MISMATCH, CIRCFLOW_ERR_ROLE, CIRCFLOW_ERR_TOO_MANY_LEGS, CIRCFLOW_ERR_TOO_MANY_LAUNCHES: the first
/// circuit that is not as said above; CIRCFLOW_ERR_DISABLED: the parameter cfx_enabled is 0; CIRCFLOW_ERR_CLOSING: one
/// is being closed; CIRCFLOW_ERR_UNDRAINED: drain first. After any of them no circuit became a leg.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_add_legs(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuits: *const circflow_circuit_id,
    circuit_count: size_t,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { join(engine, circuits, circuit_count, |core, ids| core.add_legs(core.time(now_ns), set.id(), ids)) }
}

/// Client: as circflow_set_add_legs(), for circuits that are still being built, opened with the hops they are to have.
/// They are legs from now on, and count as launched: circuits that fail count, too (prop329 4.2.2). LINK goes out on
/// each once circflow_circuit_built() says that it is open.
///
/// Until then no time of circflow's runs: give up after your own circuit build timeout, with
/// circflow_circuit_gone(), and CIRCFLOW_INSN_WANT_LEG asks for another while the budget lasts. A new set is not
/// usable while a leg is being built, and LINKED on one is a protocol violation. What else comes on it (EXTENDED2) is
/// delivered without a number.
///
/// @param circuits       As for circflow_set_add_legs(); CIRCFLOW_CIRCUIT_VEGAS among their flags says that it is asked
///                       for. When it was refused, say so with circflow_circuit_set_flags(), or close the circuit.
/// @param circuit_count  How many, at least 1.
///
/// Own statuses: as of circflow_set_add_legs(): no circuit became a leg.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_launch_legs(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuits: *const circflow_circuit_id,
    circuit_count: size_t,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { join(engine, circuits, circuit_count, |core, ids| core.launch_legs(core.time(now_ns), set.id(), ids)) }
}

unsafe fn join(
    engine: *mut circflow_engine,
    circuits: *const circflow_circuit_id,
    circuit_count: size_t,
    call: impl FnOnce(&mut Engine, &[Id]) -> Result<(), Error>,
) -> circflow_status {
    // SAFETY: so much is there, by the contract of this floor.
    let Some(circuits) = (unsafe { inward::slice(circuits, circuit_count) }) else {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            if circuits.len() > CIRCFLOW_LEGS_MAX {
                return Err(Error::TOO_MANY_LEGS);
            }
            let ids =
                circuits.iter().map(|circuit| circuit.id()).collect::<smallvec::SmallVec<[_; CIRCFLOW_LEGS_MAX]>>();
            call(core, &ids)
        })
    }
}

/// Adds a leg whose handshake the host has done itself: linked at once, and the set usable. No message is sent, and no
/// CIRCFLOW_INSN_LINKED or CIRCFLOW_INSN_USABLE comes. Its numbers start from zero; circflow_set_import() sets
/// others. For a host that keeps its own handshake.
///
/// @param peer_ux  What the peer asked for, CIRCFLOW_UX_*; unknown values count as NO_OPINION.
/// @param rtt_ns   Round-trip time of the handshake, 0 when unknown.
///
/// Own statuses: as of circflow_set_add_legs(), without CIRCFLOW_ERR_TOO_MANY_LAUNCHES and CIRCFLOW_ERR_ROLE: a circuit
/// of either role will do, the same as that of the other legs.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_adopt_leg(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuit: circflow_circuit_id,
    peer_ux: u8,
    rtt_ns: u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            core.adopt_leg(core.time(now_ns), set.id(), circuit.id(), Ux::from_wire(peer_ux), rtt_ns)
        })
    }
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
    pub received: u64,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_leg_stats {}

/// Figures of a leg. Set stats->size to sizeof(circflow_leg_stats) first.
///
/// Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set, or its set is on another engine of a hub, which answers for
/// it under the same id; CIRCFLOW_ERR_CLOSING: it is being closed.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_leg_get_stats(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    stats: *mut circflow_leg_stats,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter_to_write(engine, stats, |core| Ok(leg_stats(&core.leg_stats(circuit.id())?))) }
}

pub(super) fn leg_stats(stats: &LegStats) -> circflow_leg_stats {
    circflow_leg_stats {
        size: size_of::<circflow_leg_stats>(),
        state: match stats.state {
            LinkState::Unlinked => 0,
            LinkState::Building => CIRCFLOW_LEG_BUILDING,
            LinkState::Pending => CIRCFLOW_LEG_PENDING,
            LinkState::Unacked => CIRCFLOW_LEG_UNACKED,
            LinkState::Linked => CIRCFLOW_LEG_LINKED,
        },
        sendme_inc: stats.sendme_inc,
        rtt_ns: stats.rtt,
        cwnd: stats.cwnd,
        inflight: stats.inflight,
        sent: stats.sent,
        received: stats.received,
    }
}
