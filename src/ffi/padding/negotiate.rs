//! Padding that is agreed on with the other end of a circuit.

use super::*;
use crate::ffi::circuit::known_role;

/// Registers a machine number of PADDING_NEGOTIATE: the config of the padder to run for it at one end, for all circuits
/// of the engine from now on. The two ends of a number usually run different machines: register one config for each
/// role. Numbers 0 and 1 are Tor's; use numbers from 2 to 255.
///
/// @param role    CIRCFLOW_ROLE_CLIENT: used by circflow_padding_start(). CIRCFLOW_ROLE_RELAY: used when a client asks
///                this relay; config->hop is 0 then.
/// @param number  The machine number.
/// @param config  The config; it is copied. NULL: removes the number; padders that run go on.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: as for circflow_padding_install(), or an unknown role. An id error is about the
/// machines.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_padding_register(
    engine: *mut circflow_engine,
    role: u8,
    number: u8,
    config: *const circflow_padding_config,
) -> circflow_status {
    let config = if config.is_null() {
        None
    } else {
        // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
        match unsafe { sized::read(config, config_defaults()) } {
            Ok(config) => Some(config),
            // SAFETY: the contract of this floor, which the caller keeps.
            Err(status) => return unsafe { door::refuse(engine, status) },
        }
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let role = known_role(role).map_err(|why| core.invalid(why))?;
            let terms = match config {
                Some(config) => {
                    let machines = core.machines(config.machines.id())?;
                    Some(padding_terms(&config, machines).map_err(|why| core.invalid(why))?)
                }
                None => None,
            };
            core.register_padding(role, number, terms)
        })
    }
}

/// Client: starts the padding that is registered under a number. It installs the padder at this end, and queues
/// PADDING_NEGOTIATE(START) to its hop (padding-spec 3). Padding may begin before the answer. First check that the
/// relay has the subprotocol Padding=2. CIRCFLOW_INSN_NEGOTIATED brings the answer. If the relay refuses, circflow
/// removes the padder at this end, and sends no further request on this circuit.
///
/// @param number  The machine number.
///
/// Own statuses: CIRCFLOW_ERR_UNKNOWN_PADDING: call circflow_padding_register() for the number first.
/// CIRCFLOW_ERR_PADDER_EXISTS: it runs already, or its slot is taken. CIRCFLOW_ERR_PADDING_REFUSED: the relay refused
/// before. CIRCFLOW_ERR_DISABLED: a budget does not let it run (circflow_padding_budget). CIRCFLOW_ERR_CLOSING.
/// CIRCFLOW_ERR_ROLE: only a client may ask. CIRCFLOW_ERR_INVALID: no such hop. CIRCFLOW_ERR_TOO_MANY: too many padders
/// or unanswered requests. CIRCFLOW_ERR_UNDRAINED: drain first.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_padding_start(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    number: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.start_padding(core.time(now_ns), circuit.id(), number)) }
}

/// Stops the padding that was negotiated under a number. It removes the padder at this end, and queues
/// PADDING_NEGOTIATE(STOP) (client) or PADDING_NEGOTIATED(STOP) (relay).
///
/// @param number  The machine number.
///
/// Own statuses: CIRCFLOW_ERR_NO_PADDER: it does not run. CIRCFLOW_ERR_UNDRAINED: drain first.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_stop(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
    number: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.stop_padding(core.time(now_ns), circuit.id(), number)) }
}
