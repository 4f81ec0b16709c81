//! Messages of one set that are ready, for a host that takes them set by set.

use crate::ffi::door::{self, Allowed};
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::insn::{self, circflow_insn};
use crate::ffi::inward;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use libc::size_t;

/// Takes the next ready message of one set, for a host that works set by set: kind is CIRCFLOW_INSN_DELIVER, or
/// CIRCFLOW_INSN_NONE when none is ready, or when the call has dealt with so many that were for circflow alone (XOFF,
/// XON) that it leaves the rest to a later one: the deadline is 0 then. The same messages, in the same order, that
/// circflow_engine_poll() would give; each is given once, by one or the other. Of a set that circflow runs it can be
/// CIRCFLOW_INSN_DISCARD too: the token of a message whose stream has ended here.
///
/// @param body      Where the body goes. Give CIRCFLOW_BODY_MAX bytes and it always fits.
/// @param body_cap  Bytes of room there.
///
/// Own statuses: CIRCFLOW_ERR_TOO_SMALL: nothing was taken.
/// Inside drain: no. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_poll(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    body: *mut u8,
    body_cap: size_t,
    insn_out: *mut circflow_insn,
) -> circflow_status {
    if insn_out.is_null() || (body.is_null() && body_cap != 0) {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_when(engine, Allowed::NotInsideDrain, |core| {
            let buffer = || inward::buffer(body, body_cap);
            if !core.set_poll_into(set.id(), buffer, &mut insn::Place::new(insn_out))? {
                insn_out.write(insn::NOTHING);
            }
            Ok(())
        })
    }
}

/// Takes ready messages of one set, as many as fit, for a host that gives all of them as tokens (CIRCFLOW_FORM_TOKEN):
/// what circflow_set_poll() does one by one, for a fraction of its cost. All that are taken count as delivered, in the
/// order of the array; their numbers follow each other without a gap.
///
/// @param tokens     Gets the tokens.
/// @param token_cap  Tokens of room there.
/// @param count_out  How many were written. Fewer than token_cap: no more are ready, or the next is one whose body
///                   circflow has copied, which circflow_set_poll() gives.
///
/// Own statuses: CIRCFLOW_ERR_IS_RUN: circflow has the streams of this set: circflow_set_poll() or drain.
/// Inside drain: no. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_poll_tokens(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    tokens: *mut u64,
    token_cap: size_t,
    count_out: *mut size_t,
) -> circflow_status {
    if count_out.is_null() || (tokens.is_null() && token_cap != 0) {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_when(engine, Allowed::NotInsideDrain, |core| {
            let mut count = 0;
            core.set_poll_tokens(set.id(), token_cap, |token| {
                // SAFETY: called at most `token_cap` times, and so many are there by the contract of this function.
                tokens.add(count).write(token);
                count += 1;
            })?;
            count_out.write(count);
            Ok(())
        })
    }
}
