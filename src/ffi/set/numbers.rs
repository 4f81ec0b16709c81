//! A set's sequence numbers, for a host whose own structs are authoritative.

use super::CIRCFLOW_LEGS_MAX;
use crate::conflux::set::{LegNumbers, Numbers};
use crate::engine::Error;
use crate::ffi::door;
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::inward;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::size_t;

/// A set's sequence numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct circflow_set_numbers {
    /// Number of the last message delivered.
    pub delivered: u64,
    /// The sending leg, or zero.
    pub sending: circflow_circuit_id,
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
    pub received: u64,
}

/// Reads a set's sequence numbers, for a host that keeps them in structs of its own.
/// @param legs           Gets one entry for each leg, linked or not, in no particular order.
/// @param leg_cap        Entries of room there. CIRCFLOW_LEGS_MAX are always enough.
/// @param leg_count_out  Entries written.
///
/// Own statuses: CIRCFLOW_ERR_TOO_SMALL: nothing was written.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_export(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    numbers_out: *mut circflow_set_numbers,
    legs: *mut circflow_leg_numbers,
    leg_cap: size_t,
    leg_count_out: *mut size_t,
) -> circflow_status {
    if numbers_out.is_null() || leg_count_out.is_null() || (legs.is_null() && leg_cap != 0) {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let (numbers, rows) = core.export(set.id())?;
            if rows.len() > leg_cap {
                return Err(Error::TOO_SMALL);
            }
            for (index, row) in rows.iter().enumerate() {
                // SAFETY: `index` is below `leg_cap`, and so many entries are there by the contract of this function.
                legs.add(index).write(leg_numbers(row));
            }
            numbers_out.write(set_numbers(&numbers));
            leg_count_out.write(rows.len());
            Ok(())
        })
    }
}

/// Changes a set's sequence numbers to those of your own structs. A leg whose `received` grows counts as having
/// received messages. Legs that are not named keep their numbers. Messages that become ready are queued as
/// instructions: drain.
///
/// @param numbers    delivered, and the sending leg (zero for none).
/// @param legs       The legs to change.
/// @param leg_count  How many.
///
/// Own statuses: CIRCFLOW_ERR_NUMBERS: `received` of a leg is below a message that is held from it; a held message
/// would have a number up to `delivered`; `delivered` is above the `received` of every leg; the sending leg is not
/// linked, or has not the highest `sent`; or a leg that is not linked has numbers. CIRCFLOW_ERR_NOT_A_LEG: a circuit is
/// no leg of this set. CIRCFLOW_ERR_TOO_MANY_LEGS: more than CIRCFLOW_LEGS_MAX are named. After each of them nothing
/// has changed.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_import(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    numbers: *const circflow_set_numbers,
    legs: *const circflow_leg_numbers,
    leg_count: size_t,
) -> circflow_status {
    // SAFETY: NULL or numbers, by the contract of this function.
    let (Some(numbers), Some(legs)) = (unsafe { numbers.as_ref() }, unsafe { inward::slice(legs, leg_count) }) else {
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            if legs.len() > CIRCFLOW_LEGS_MAX {
                return Err(Error::TOO_MANY_LEGS);
            }
            let rows = legs.iter().map(leg_numbers_in).collect::<smallvec::SmallVec<[_; CIRCFLOW_LEGS_MAX]>>();
            core.import(core.time(now_ns), set.id(), set_numbers_in(numbers), &rows)
        })
    }
}

pub(super) fn set_numbers(numbers: &Numbers) -> circflow_set_numbers {
    circflow_set_numbers { delivered: numbers.delivered, sending: circflow_circuit_id::new(numbers.sending) }
}

pub(super) fn set_numbers_in(numbers: &circflow_set_numbers) -> Numbers {
    Numbers { delivered: numbers.delivered, sending: numbers.sending.id() }
}

pub(super) fn leg_numbers(row: &LegNumbers) -> circflow_leg_numbers {
    circflow_leg_numbers { circuit: circflow_circuit_id::new(row.leg), sent: row.sent, received: row.received }
}

pub(super) fn leg_numbers_in(row: &circflow_leg_numbers) -> LegNumbers {
    LegNumbers { leg: row.circuit.id(), sent: row.sent, received: row.received }
}
