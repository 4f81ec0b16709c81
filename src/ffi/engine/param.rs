//! Parameters of a consensus.

use super::circflow_engine;
use crate::congestion::PathClass;
use crate::ffi::door;
use crate::ffi::inward::Why;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::c_char;
use std::ffi::CStr;

/// path_class: a circuit to an exit, or to a single-onion service.
pub const CIRCFLOW_PATH_EXIT: u8 = 0;
/// path_class: a circuit to an onion service.
pub const CIRCFLOW_PATH_ONION: u8 = 1;
/// path_class: a circuit of two hops, as the bandwidth scanner sbws uses.
pub const CIRCFLOW_PATH_SBWS: u8 = 2;

/// Sets a parameter by its name in a consensus. A parameter that you never set has C Tor's default. Live circuits keep
/// the parameters that they were opened with, and live sets keep their limits, except where the list below says "at
/// once".
///
/// For each path class, and for circuits that circflow runs and that are opened from now on: all parameters of
/// congestion and flow control, such as "cc_cwnd_init" and "cc_xoff_client" (prop324 6.5). Where a consensus has one
/// parameter for each class ("cc_vegas_alpha_exit"), leave out the class ("cc_vegas_alpha"). Only cc_alg=2 (Vegas) is
/// implemented.
///
/// For the whole engine, whatever class is given:
///
///   cfx_enabled                     At once: at 0 no LINK is taken, no set opened and no leg added; sets that live go
///                                   on.
///   cfx_max_legs_set                Sets opened from now on whose legs_max is 0; an exit's are opened by their first
///                                   LINK.
///   cfx_num_legs_set, cfx_max_unlinked_leg_retry
///                                   Sets opened from now on whose launches_max is 0: they may launch so many legs, and
///                                   so many more.
///   cfx_max_oooq_bytes              Sets opened from now on: the lower of this and held_bytes_max; the
///                                   largest value, the default, is no bound.
///   circpad_max_circ_queued_cells   Padders installed or registered from now on whose queued_cells_max is
///                                   CIRCFLOW_BY_PARAMETER.
///   circpad_global_allowed_cells, circpad_global_max_padding_pct, circpad_padding_disabled, circpad_padding_reduced
///                                   At once: the consensus's budget of padding, beside yours
///                                   (circflow_engine_set_padding_budget()).
///   sendme_emit_min_version         Version 1 is sent, so 0 and 1 are taken and change nothing.
///   sendme_accept_min_version       Version 1 is wanted, also at 0; so 0 and 1 are taken and change nothing.
///   cfx_send_pct, cfx_drain_pct     Only their defaults (100 and 0) are built.
///   cfx_max_linked_set, cfx_max_prebuilt_set, cfx_low_exit_threshold
///                                   How many sets a client builds is yours: kept for circflow_engine_get_param().
///
/// Your own code has to follow cellq_high, cellq_low, orconn_high and orconn_low, too: they say when a channel counts
/// as full. cc_bwe_min has no effect with cc_alg=2. docs/parameters.md has one row for each parameter.
///
/// @param path_class  CIRCFLOW_PATH_*.
/// @param name        The name: text that ends with a NUL.
/// @param value       The value, as in the consensus.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: no such class or name, or the value is out of range;
/// circflow_engine_get_last_detail() gives the range. CIRCFLOW_ERR_NOT_BUILT: the value is in range, but circflow
/// cannot do what it asks for. If you pass on a whole consensus, go on after either.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_set_param(
    engine: *mut circflow_engine,
    path_class: u8,
    name: *const c_char,
    value: u32,
) -> circflow_status {
    if name.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: not NULL, and a string by the contract of this function.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    unsafe {
        door::enter(engine, |core| {
            let class = known_class(path_class).map_err(|why| core.invalid(why))?;
            core.set_param(class, &name, value)
        })
    }
}

/// Gives the value of a parameter, as circuits and sets opened from now on have it.
///
/// @param path_class  CIRCFLOW_PATH_*.
/// @param name        The name, as for circflow_engine_set_param().
/// @param value_out   Written on CIRCFLOW_OK.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: no such class or name.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_get_param(
    engine: *mut circflow_engine,
    path_class: u8,
    name: *const c_char,
    value_out: *mut u32,
) -> circflow_status {
    if name.is_null() || value_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: not NULL, and a string by the contract of this function.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    unsafe {
        door::enter(engine, |core| {
            let class = known_class(path_class).map_err(|why| core.invalid(why))?;
            value_out.write(core.param(class, &name)?);
            Ok(())
        })
    }
}

pub(in crate::ffi) fn known_class(class: u8) -> Result<PathClass, Why> {
    match class {
        CIRCFLOW_PATH_EXIT => Ok(PathClass::Exit),
        CIRCFLOW_PATH_ONION => Ok(PathClass::Onion),
        CIRCFLOW_PATH_SBWS => Ok(PathClass::Sbws),
        _ => Err("an unknown class of paths"),
    }
}
