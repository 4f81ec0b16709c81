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

/// Client: makes circuits legs of a set, all or none, and queues a LINK on each. A leg may also join a set in use,
/// while messages are in flight, as its numbers start from 0 at both ends. Next come CIRCFLOW_INSN_LINKED and
/// CIRCFLOW_INSN_USABLE. For circuits that are still being built there is circflow_set_launch_legs().
///
/// @param circuits       The circuits. Each is open, a client's, in no set, without streams, with
///                       CIRCFLOW_CIRCUIT_VEGAS, of the same length and join point as the other legs, and named once.
/// @param circuit_count  How many, at least 1.
///
/// Own statuses: CIRCFLOW_ERR_NO_LEGS, CIRCFLOW_ERR_IN_SET, CIRCFLOW_ERR_HAS_STREAMS, CIRCFLOW_ERR_NO_VEGAS,
/// CIRCFLOW_ERR_LEG_MISMATCH, CIRCFLOW_ERR_ROLE, CIRCFLOW_ERR_TOO_MANY_LEGS, CIRCFLOW_ERR_TOO_MANY_LAUNCHES: the fault
/// of the first circuit that is not as described above. CIRCFLOW_ERR_DISABLED: the parameter cfx_enabled is 0.
/// CIRCFLOW_ERR_CLOSING: one of them is closing. CIRCFLOW_ERR_UNDRAINED: drain first. After each of them no circuit is
/// a leg.
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

/// Client: as circflow_set_add_legs(), for circuits that are still being built. Open them with their final number of
/// hops. They are legs from now on and count as launched, also those that fail (prop329 4.2.2). LINK is queued on each
/// when you call circflow_circuit_built().
///
/// Until then no timer of circflow runs for them. After your own circuit build timeout, call circflow_circuit_gone();
/// CIRCFLOW_INSN_WANT_LEG then asks for another leg, if launches_max allows it. A new set is not usable while a leg is
/// being built. LINKED on such a leg is a protocol violation. Other messages on it (EXTENDED2) are delivered without a
/// number.
///
/// @param circuits       As for circflow_set_add_legs(). Here CIRCFLOW_CIRCUIT_VEGAS means that the circuit asks for
///                       it. If it was refused, take the flag away with circflow_circuit_set_flags(), or close the
///                       circuit.
/// @param circuit_count  How many, at least 1.
///
/// Own statuses: as of circflow_set_add_legs(). After each of them no circuit is a leg.
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

/// Adds a leg whose handshake you have done yourself. It is linked at once, and the set is usable. No message is sent,
/// and no CIRCFLOW_INSN_LINKED or CIRCFLOW_INSN_USABLE comes. Its numbers start from 0; circflow_set_import() sets
/// other numbers.
///
/// @param peer_ux  The desired_ux of the peer, CIRCFLOW_UX_*. An unknown value counts as CIRCFLOW_UX_NO_OPINION.
/// @param rtt_ns   Round-trip time of the handshake in nanoseconds; 0 when unknown.
///
/// Own statuses: as of circflow_set_add_legs(), without CIRCFLOW_ERR_TOO_MANY_LAUNCHES and CIRCFLOW_ERR_ROLE: the
/// circuit may have either role, but the same as the other legs.
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

/// circflow_leg_stats.state: client: the circuit is being built; call circflow_circuit_built() when it is open.
pub const CIRCFLOW_LEG_BUILDING: u32 = 1;
/// circflow_leg_stats.state: client: LINK is queued or sent, and LINKED has not come yet.
pub const CIRCFLOW_LEG_PENDING: u32 = 2;
/// circflow_leg_stats.state: exit: linked since LINK came, but LINKED_ACK has not come yet.
pub const CIRCFLOW_LEG_UNACKED: u32 = 3;
/// circflow_leg_stats.state: linked, and its handshake is complete.
pub const CIRCFLOW_LEG_LINKED: u32 = 4;

/// Figures of a leg. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_leg_stats {
    /// sizeof(circflow_leg_stats) as your compiler saw it.
    pub size: size_t,
    /// The state of its handshake, CIRCFLOW_LEG_*.
    pub state: u32,
    /// DATA cells that one SENDME acknowledges, as last reported; 31 before the first report.
    pub sendme_inc: u32,
    /// Round-trip time in nanoseconds, from the last report, or before that from the handshake; 0 when unknown.
    pub rtt_ns: u64,
    /// Congestion window in cells, as last reported; 0 before the first report.
    pub cwnd: u64,
    /// DATA cells in flight: those of the last report plus those sent since.
    pub inflight: u64,
    /// Number of the last message sent on it.
    pub sent: u64,
    /// Number of the last message received on it.
    pub received: u64,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_leg_stats {}

/// Gives the figures of a leg. Set stats->size to sizeof(circflow_leg_stats) first.
///
/// Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set, or its set is on another engine of a hub; that engine answers
/// for the same id. CIRCFLOW_ERR_CLOSING: it is closing.
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
