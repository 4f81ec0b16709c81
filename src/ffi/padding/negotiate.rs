//! Padding that is agreed on with the other end of a circuit.

use super::*;
use crate::ffi::circuit::known_role;

/// Says what a machine number of PADDING_NEGOTIATE means at one end, for all circuits of the engine from now on. The
/// two ends of a number usually run different machines: register one config for each role. Numbers 0 and 1 are Tor's;
/// take yours from 2 on.
///
/// @param role    CIRCFLOW_ROLE_CLIENT: for circflow_padding_start(). CIRCFLOW_ROLE_RELAY: for what clients ask of a
///                relay; config->hop is 0 then.
/// @param config  Copied. NULL: the number means nothing any more; what runs goes on.
///
/// Own statuses: CIRCFLOW_ERR_INVALID as for circflow_padding_install(), and for an unknown role. An id error is of the
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

/// Client: starts what is registered under a number: sets the own padder up and queues PADDING_NEGOTIATE(START) to its
/// hop (padding-spec 3). Padding may begin before the answer. Check before that the relay has the subprotocol
/// Padding=2. If the relay refuses, the own padder is taken down again, and nothing more is asked on this circuit;
/// CIRCFLOW_INSN_NEGOTIATED tells how it answered.
///
/// Own statuses: CIRCFLOW_ERR_UNKNOWN_PADDING: circflow_padding_register() the number first;
/// CIRCFLOW_ERR_PADDER_EXISTS: it runs, or its place is taken; CIRCFLOW_ERR_PADDING_REFUSED: the relay refused before;
/// CIRCFLOW_ERR_DISABLED: a budget lets it not run (circflow_padding_budget); CIRCFLOW_ERR_CLOSING; CIRCFLOW_ERR_ROLE:
/// only a client asks; CIRCFLOW_ERR_INVALID: no such hop; CIRCFLOW_ERR_TOO_MANY: too many padders or unanswered
/// questions; CIRCFLOW_ERR_UNDRAINED: drain first.
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

/// Stops what was negotiated under a number: takes the own padder down and queues PADDING_NEGOTIATE(STOP) (client) or
/// PADDING_NEGOTIATED(STOP) (relay).
///
/// Own statuses: CIRCFLOW_ERR_NO_PADDER: it does not run; CIRCFLOW_ERR_UNDRAINED: drain first.
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
