//! `circflow_circuit_extend()`: circuits that get longer.

use super::{CIRCFLOW_CIRCUIT_SERVICE, CIRCFLOW_CIRCUIT_VEGAS};
use crate::engine::{CircuitFlags, Growth};
use crate::ffi::door;
use crate::ffi::engine::{circflow_engine, known_class, CIRCFLOW_PATH_ONION};
use crate::ffi::id::*;
use crate::ffi::inward::Why;
use crate::ffi::sized;
use crate::ffi::status::circflow_status;
use libc::size_t;

/// How a circuit gets longer. Fill it with circflow_extension_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_extension_config {
    /// sizeof(circflow_extension_config) as your compiler saw it.
    pub size: size_t,
    /// Of the new last hop, as circflow_circuit_config.join_point. For the virtual hop behind a rendezvous point: one
    /// number for each onion service, at the client and at the service itself. Default 0.
    pub join_point: u64,
    /// What is so of the new last hop: CIRCFLOW_CIRCUIT_VEGAS, if it was negotiated with it, and
    /// CIRCFLOW_CIRCUIT_SERVICE, if it may open streams. They take the place of what was so of the old one; other flags
    /// of the circuit stay. Default: CIRCFLOW_CIRCUIT_VEGAS.
    pub flags: u32,
    /// Hops of the circuit from now on, more than it has, 16 at most. Default 0: one more.
    pub hops: u8,
    /// CIRCFLOW_PATH_*: which parameters of congestion control hold for the new hops. Default: CIRCFLOW_PATH_ONION.
    pub path_class: u8,
    /// With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated with the new hops; within
    /// 1 of "cc_sendme_inc" of the class. Default 0: what that says.
    pub sendme_inc: u8,
    /// Zero.
    pub reserved: u8,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_extension_config {}

/// Fills a config with the defaults: one more hop, Vegas congestion control with it, parameters of paths to onion
/// services. Pass sizeof(circflow_extension_config).
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_extension_config_init(
    config: *mut circflow_extension_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Says that a client's circuit got longer: a cannibalised one, one to a rendezvous point, or by the virtual hop behind
/// it. Call it when the new hop's keys are there (EXTENDED2, RENDEZVOUS2; at a service before RENDEZVOUS1 goes out),
/// before anything is sent to the new hop, and before you feed what comes from it.
///
/// What there was stays, for each hop that was there: congestion window and what is in flight, the count towards the
/// next SENDME and its sendme_inc, padders, streams, and messages that wait to be sent to it. From now on the last hop
/// is another: the new one is the join point, where sets meet and a stream goes by default, circflow_circuit_stats has
/// its window, and padders of earlier hops count cells to and from it as passing. A circuit that has carried streams
/// still cannot be a leg.
///
/// Not for a leg, linked, pending or launched: the legs of a set have one length and one join point, and are never
/// extended (prop329). Open one that is for circflow_set_launch_legs() with the hops it is to have; extend any other
/// before circflow_set_add_legs(), or after circflow_set_dissolve(). A circuit that gets shorter (TRUNCATED) is to be
/// closed.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: not more hops than before, or above 16, a flag other than the two, an unknown
/// path_class, a reserved field that is not zero; and on a circuit that circflow runs, another CIRCFLOW_CIRCUIT_VEGAS
/// than that of the hops before (open it anew), or a sendme_inc that is not within 1 of the parameter (close it: the
/// hop is lying); CIRCFLOW_ERR_IN_SET: it is a leg; CIRCFLOW_ERR_ROLE: a relay's; say CIRCFLOW_CIRCUIT_EXTENDED with
/// circflow_circuit_set_flags(); CIRCFLOW_ERR_CLOSING: it is to close, do so. After any of them nothing has changed.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_extend(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    config: *const circflow_extension_config,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    let config = match unsafe { sized::read(config, config_defaults()) } {
        Ok(config) => config,
        // SAFETY: the contract of this floor, which the caller keeps.
        Err(status) => return unsafe { door::refuse(engine, status) },
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let growth = growth(&config).map_err(|why| core.invalid(why))?;
            core.extend_circuit(core.time(now_ns), circuit.id(), &growth)
        })
    }
}

fn growth(config: &circflow_extension_config) -> Result<Growth, Why> {
    if config.reserved != 0 {
        return Err("a reserved field of an extension is not zero");
    }
    if config.flags & !CircuitFlags::LAST_HOP.0 != 0 {
        return Err("an extension has a flag that is not about the last hop");
    }
    Ok(Growth {
        length: config.hops,
        join: config.join_point,
        flags: CircuitFlags(config.flags),
        class: known_class(config.path_class)?,
        sendme_inc: config.sendme_inc,
    })
}

const _: () = assert!(CircuitFlags::LAST_HOP.0 == CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_SERVICE);

fn config_defaults() -> circflow_extension_config {
    circflow_extension_config {
        size: size_of::<circflow_extension_config>(),
        join_point: 0,
        flags: CIRCFLOW_CIRCUIT_VEGAS,
        hops: 0,
        path_class: CIRCFLOW_PATH_ONION,
        sendme_inc: 0,
        reserved: 0,
    }
}
