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

/// Describes the hops that a circuit gets. Fill it with circflow_extension_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_extension_config {
    /// sizeof(circflow_extension_config) as your compiler saw it.
    pub size: size_t,
    /// The number of the new last hop, as circflow_circuit_config.join_point. For the virtual hop behind a rendezvous
    /// point use one number for each onion service, at the client and at the service itself. Default 0.
    pub join_point: u64,
    /// Flags for the new last hop: CIRCFLOW_CIRCUIT_VEGAS if it was negotiated with that hop, and
    /// CIRCFLOW_CIRCUIT_SERVICE if that hop may open streams. They replace these two flags of the circuit; its other
    /// flags stay. Default: CIRCFLOW_CIRCUIT_VEGAS.
    pub flags: u32,
    /// Number of hops of the circuit from now on: more than it has, 16 at most. Default 0: one more than it has.
    pub hops: u8,
    /// CIRCFLOW_PATH_*: the parameters of congestion control for the new hops. Default: CIRCFLOW_PATH_ONION.
    pub path_class: u8,
    /// With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated with the new hops. It
    /// differs from "cc_sendme_inc" of the class by 1 at most. Default 0: the value of "cc_sendme_inc".
    pub sendme_inc: u8,
    /// Zero.
    pub reserved: u8,
}

// SAFETY: repr(C), size first, integers.
unsafe impl sized::Growing for circflow_extension_config {}

/// Fills a config with the defaults: one more hop, with Vegas congestion control, and the parameters of circuits to
/// onion services. Pass sizeof(circflow_extension_config) as size.
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

/// Tells the engine that a client's circuit has more hops now: a cannibalised circuit, a circuit to a rendezvous point,
/// or the virtual hop behind that point. Call it when you have the keys of the new hop (EXTENDED2, RENDEZVOUS2; at a
/// service before RENDEZVOUS1 goes out). Call it before you send to the new hop, and before you feed a message from it.
///
/// Each earlier hop keeps its congestion window, its cells in flight, its count towards the next SENDME, its
/// sendme_inc, its padders, its streams, and the messages that wait to be sent to it. The new last hop is the join
/// point from now on. circflow_circuit_stats shows its window, and padders of earlier hops count cells to and from it
/// as cells through their hop. A circuit that has carried streams still cannot become a leg.
///
/// A leg cannot be extended, in whatever state it is: all legs of a set have the same length and the same join point
/// (prop329). Open a circuit for circflow_set_launch_legs() with its final number of hops. Extend other circuits before
/// circflow_set_add_legs(), or after circflow_set_dissolve(). Close a circuit that gets shorter (TRUNCATED).
///
/// Own statuses: CIRCFLOW_ERR_INVALID: not more hops than before, or more than 16; another flag than the two; an
/// unknown path_class; a reserved field that is not 0; and, on a circuit that circflow runs, a change of
/// CIRCFLOW_CIRCUIT_VEGAS (open a new circuit), or a sendme_inc that differs from "cc_sendme_inc" by more than 1 (close
/// the circuit: the hop is lying). CIRCFLOW_ERR_IN_SET: it is a leg. CIRCFLOW_ERR_ROLE: it is a relay's circuit; call
/// circflow_circuit_set_flags() with CIRCFLOW_CIRCUIT_EXTENDED. CIRCFLOW_ERR_CLOSING: it is closing; close it. After
/// each of them nothing has changed.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_extend(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    config: *const circflow_extension_config,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_to_read(engine, config, config_defaults(), |core, config| {
            let growth = growth(config).map_err(|why| core.invalid(why))?;
            core.extend_circuit(core.time(now_ns), circuit.id(), &growth)
        })
    }
}

fn growth(config: &circflow_extension_config) -> Result<Growth, Why> {
    if config.reserved != 0 {
        return Err("a reserved field of an extension is not zero");
    }
    if config.flags & !u32::from(CircuitFlags::LAST_HOP.0) != 0 {
        return Err("an extension has a flag that is not about the last hop");
    }
    Ok(Growth {
        length: config.hops,
        join: config.join_point,
        flags: CircuitFlags(config.flags as u16),
        class: known_class(config.path_class)?,
        sendme_inc: config.sendme_inc,
    })
}

const _: () = assert!(CircuitFlags::LAST_HOP.0 as u32 == CIRCFLOW_CIRCUIT_VEGAS | CIRCFLOW_CIRCUIT_SERVICE);

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
