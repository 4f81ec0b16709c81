//! Circuits as legs of a set: how they join, and how they stand.

use super::convert;
use super::door;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use super::types::*;
use crate::base::Id;
use crate::engine::{Engine, Error};
use libc::size_t;

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_leg_stats {}

/// Client: makes circuits legs of a set, all or none, and queues a LINK on each. Also for a set that is live already: a
/// leg may join while messages are in flight, as its numbers start from zero on both sides. Wait for
/// CIRCFLOW_INSN_LINKED and CIRCFLOW_INSN_USABLE. For circuits that are not open yet: circflow_set_launch_legs().
///
/// @param circuits       Each open, a client's, in no set, without streams, with Vegas, of the same length and join
///                       point as the other legs, and named once.
/// @param circuit_count  How many, at least 1.
///
/// CIRCFLOW_ERR_NO_LEGS, CIRCFLOW_ERR_IN_SET, CIRCFLOW_ERR_HAS_STREAMS, CIRCFLOW_ERR_NO_VEGAS,
/// CIRCFLOW_ERR_LEG_MISMATCH, CIRCFLOW_ERR_ROLE, CIRCFLOW_ERR_TOO_MANY_LEGS, CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
/// CIRCFLOW_ERR_SWITCHED_OFF: the parameter cfx_enabled is 0, CIRCFLOW_ERR_GONE, CIRCFLOW_ERR_UNDRAINED,
/// CIRCFLOW_ERR_NULL, an id error: no circuit became a leg.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_add_legs(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuits: *const circflow_circuit_id,
    circuit_count: size_t,
) -> circflow_status {
    join(engine, circuits, circuit_count, |core, ids| core.add_legs(core.time(now_ns), convert::id(set.v), ids))
}

/// Client: as circflow_set_add_legs(), for circuits that are still being built, opened with the hops they are to have.
/// They are legs from now on, and count as launched: circuits that fail count, too (prop329 4.2.2). LINK goes out on
/// each once circflow_circuit_built() says that it is open.
///
/// Until then no time of circflow's runs: give up after your own circuit build timeout, with
/// circflow_circuit_closed(), and CIRCFLOW_INSN_WANT_LEG asks for another while the budget lasts. A new set is not
/// usable while a leg is being built, and LINKED on one is a protocol violation. What else comes on it (EXTENDED2) is
/// delivered without a number.
///
/// @param circuits       As for circflow_set_add_legs(); CIRCFLOW_CIRCUIT_VEGAS among their flags says that it is asked
///                       for. When it was refused, say so with circflow_circuit_set_flags(), or close the circuit.
/// @param circuit_count  How many, at least 1.
///
/// Codes as for circflow_set_add_legs(): no circuit became a leg.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_launch_legs(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuits: *const circflow_circuit_id,
    circuit_count: size_t,
) -> circflow_status {
    join(engine, circuits, circuit_count, |core, ids| core.launch_legs(core.time(now_ns), convert::id(set.v), ids))
}

unsafe fn join(
    engine: *mut circflow_engine,
    circuits: *const circflow_circuit_id,
    circuit_count: size_t,
    call: impl FnOnce(&mut Engine, &[Id]) -> Result<(), Error>,
) -> circflow_status {
    let Some(circuits) = convert::slice(circuits, circuit_count) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::enter(engine, |core| {
        if circuits.len() > CIRCFLOW_LEGS_MAX {
            return Err(Error::TOO_MANY_LEGS);
        }
        let ids = circuits
            .iter()
            .map(|circuit| convert::id(circuit.v))
            .collect::<smallvec::SmallVec<[_; CIRCFLOW_LEGS_MAX]>>();
        call(core, &ids)
    })
}

/// Client: says that a circuit of circflow_set_launch_legs() is open. LINK is queued on it, and LINKED has
/// link_timeout_ns to come; the round trip is measured from the moment you take LINK. Wait for CIRCFLOW_INSN_LINKED and
/// CIRCFLOW_INSN_USABLE.
///
/// CIRCFLOW_ERR_NOT_A_LEG: it is in no set, which circflow_set_add_legs() mends; CIRCFLOW_ERR_IN_SET: it is a leg that
/// is not being built. CIRCFLOW_ERR_NO_VEGAS: its flags have lost CIRCFLOW_CIRCUIT_VEGAS, and no LINK may go out
/// (prop329 2.2); close it. CIRCFLOW_ERR_GONE: it is being closed already. CIRCFLOW_ERR_UNDRAINED: drain, then say it
/// again. CIRCFLOW_ERR_EXPIRED; an id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_built(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    door::enter(engine, |core| core.circuit_built(core.time(now_ns), convert::id(circuit.v)))
}

/// Adds a leg whose handshake the host has done itself: linked at once, and the set usable. No message is sent, and no
/// CIRCFLOW_INSN_LINKED or CIRCFLOW_INSN_USABLE comes. Its numbers start from zero; circflow_set_import() sets
/// others. For a host that keeps its own handshake.
///
/// @param peer_ux  What the peer asked for, CIRCFLOW_UX_*; unknown values count as NO_OPINION.
/// @param rtt_ns   Round-trip time of the handshake, 0 when unknown.
/// As circflow_set_add_legs(), without CIRCFLOW_ERR_TOO_MANY_LAUNCHES and CIRCFLOW_ERR_ROLE: a circuit of either role
/// will do, the same as that of the other legs.
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
    door::enter(engine, |core| {
        core.adopt_leg(core.time(now_ns), convert::id(set.v), convert::id(circuit.v), convert::ux(peer_ux), rtt_ns)
    })
}

/// Figures of a leg. Set stats->size to sizeof(circflow_leg_stats) first.
///
/// CIRCFLOW_ERR_NOT_A_LEG: it is in no set, or its set is on another engine of a hub, which answers for it under the
/// same id. CIRCFLOW_ERR_GONE: it is being closed. CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_leg_get_stats(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    stats: *mut circflow_leg_stats,
) -> circflow_status {
    door::enter_to_write(engine, stats, |core| Ok(convert::leg_stats(&core.leg_stats(convert::id(circuit.v))?)))
}
