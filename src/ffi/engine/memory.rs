//! Memory of an engine: what to close, and what to give back.

use super::circflow_engine;
use crate::base::Id;
use crate::engine::is_set;
use crate::ffi::door;
use crate::ffi::id::*;
use crate::ffi::out::Out;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::hub::Victim;
use libc::size_t;

/// A set or a circuit to close, so that memory becomes free.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_victim {
    /// The number of its engine. Close it there, on the thread of that engine, with circflow_set_close() or
    /// circflow_circuit_close(). It may have ended by then (CIRCFLOW_ERR_STALE_ID).
    pub engine_number: u32,
    /// Zero.
    pub reserved: u32,
    /// The set; zero when it is a circuit.
    pub set: circflow_set_id,
    /// The bytes that it holds. From circflow_hub_choose_victims() they are those that its engine last told the hub,
    /// and a set may hold three eighths more.
    pub bytes: u64,
    /// The circuit; zero when it is a set. It can be a leg, because of cells that wait at its own edges.
    pub circuit: circflow_circuit_id,
    /// Your tag of the set or circuit. 0 from circflow_hub_choose_victims(), which knows no tags.
    pub tag: u64,
}

/// Writes victims where C has room for them, and how many they are.
///
/// # Safety
///
/// `victims` has room for all that were found, and `count_out` for a number.
pub unsafe fn write_victims(
    found: &[Victim],
    tag_of: impl Fn(Id) -> u64,
    victims: *mut circflow_victim,
    count_out: *mut size_t,
) {
    for (index, victim) in found.iter().enumerate() {
        // SAFETY: there is room, by the contract of this function.
        unsafe {
            victims.add(index).write(circflow_victim {
                engine_number: u32::from(victim.engine),
                reserved: 0,
                set: circflow_set_id::new(if is_set(victim.id) { victim.id } else { Id::NONE }),
                bytes: victim.bytes,
                circuit: circflow_circuit_id::new(if is_set(victim.id) { Id::NONE } else { victim.id }),
                tag: tag_of(victim.id),
            })
        };
    }
    // SAFETY: there is room, by the contract of this function.
    unsafe { count_out.write(found.len()) };
}

/// Gives unused memory back to the system: that of held messages, instructions, timers, and of circuits, sets and
/// streams that have ended, but for some 5 bytes each. circflow keeps that memory otherwise, so that it need not
/// allocate again. Call this when you are short of memory, or idle.
///
/// @param freed_out  Bytes given back. May be NULL.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_trim(
    engine: *mut circflow_engine,
    freed_out: *mut u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let freed = core.trim() as u64;
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(freed_out, freed);
            Ok(())
        })
    }
}

/// Names sets and circuits of this engine to close, so that `bytes_wanted` bytes become free. Those with the greatest
/// product of bytes and age of the oldest byte come first. One that holds less than a quarter of its share
/// (held_bytes_max divided by the number of holders) comes only when no larger one is left. Each costs about the same,
/// however many sets and circuits there are. It frees nothing: you close the victims, with circflow_set_close() or
/// circflow_circuit_close(). A victim is not named again until it holds nothing any more, nor does circflow close it
/// at a cap of its own: so close each. This function is for a host that needs memory for reasons of its own.
///
/// Bytes of tokens are what you said that they cost (circflow_message.cost_bytes).
///
/// @param bytes_wanted  The number of bytes that shall become free.
/// @param victims       Entries of room.
/// @param victim_cap    Entries of room in victims. If they are too few, fewer bytes become free: close these, and call
///                      again.
/// @param count_out     Entries written. 0 when nothing is held that was not named before.
/// @param bytes_out     Bytes that these victims hold together. May be NULL.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_choose_victims(
    engine: *mut circflow_engine,
    bytes_wanted: u64,
    victims: *mut circflow_victim,
    victim_cap: size_t,
    count_out: *mut size_t,
    bytes_out: *mut u64,
) -> circflow_status {
    if count_out.is_null() || (victims.is_null() && victim_cap != 0) {
        return CIRCFLOW_ERR_NULL;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let mut found = Vec::new();
            let bytes = core.choose_victims(bytes_wanted, victim_cap, &mut found);
            // SAFETY: no more than `victim_cap` were found, and the pointers are not NULL.
            write_victims(&found, |id| core.tag_of(id), victims, count_out);
            // SAFETY: NULL or room, by the contract of this floor.
            Out::give(bytes_out, bytes);
            Ok(())
        })
    }
}
