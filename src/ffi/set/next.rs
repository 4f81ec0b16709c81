//! Messages of one set that are ready, for a host that takes them set by set.

use crate::ffi::door::{self, Allowed};
use crate::ffi::engine::circflow_engine;
use crate::ffi::id::*;
use crate::ffi::insn::{self, circflow_insn};
use crate::ffi::inward;
use crate::ffi::status::circflow_status;
use crate::ffi::status::circflow_status::*;
use crate::message::Lend;
use libc::size_t;
use std::ptr;

/// Takes the next ready message of one set, for a host that works set by set. The kind is CIRCFLOW_INSN_DELIVER, or
/// CIRCFLOW_INSN_NONE when no message is ready. It is NONE, too, when the call has handled so many XOFF and XON that it
/// leaves the rest to a later call; the deadline is 0 then. From a set that circflow runs it can also be
/// CIRCFLOW_INSN_DISCARD, with the token of a message whose stream has ended here. These are the same messages, in the
/// same order, as from circflow_engine_poll(); each comes once, from one of the two.
///
/// @param body      The body buffer: room for the body. CIRCFLOW_BODY_MAX bytes are always enough.
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
    if insn_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    if body.is_null() && body_cap != 0 {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    let quick = unsafe {
        door::try_enter_outside_drain(engine, |core| {
            let mut room = inward::HostBuffer::new(body, body_cap);
            core.take_ready_quick(set.id(), &mut room, &mut insn::InsnOut::new(insn_out))
        })
    };
    if quick.is_some() {
        return CIRCFLOW_OK;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { poll_any(engine, set, body, body_cap, insn_out) }
}

/// The long way: the last ready message of a leg, none, or a set that circflow runs.
#[inline(never)]
unsafe extern "C-unwind" fn poll_any(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    body: *mut u8,
    body_cap: size_t,
    insn_out: *mut circflow_insn,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_when(engine, Allowed::NotInsideDrain, |core| {
            let mut room = inward::HostBuffer::new(body, body_cap);
            if !core.set_poll_into(set.id(), &mut room, &mut insn::InsnOut::new(insn_out))? {
                insn_out.write(insn::NOTHING);
            }
            Ok(())
        })
    }
}

/// Takes the next ready message of one set, as circflow_set_poll() does, but does not copy its body: you read it where
/// it lies, in circflow's memory. That costs less for each message, and the body stays while you handle the message,
/// whatever you feed meanwhile.
///
/// @param body_out  Where the body is. You may read detail.deliver.body_len bytes there, until the next
///                  circflow_set_poll_lent(), circflow_engine_drain() or circflow_engine_free() with this engine. NULL
///                  for a token, and with CIRCFLOW_INSN_NONE.
///
/// Own statuses: none.
/// Inside drain: no. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_poll_lent(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    body_out: *mut *const u8,
    insn_out: *mut circflow_insn,
) -> circflow_status {
    if insn_out.is_null() || body_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: the contract of this floor, which the caller keeps. A body that is lent stays as it is until it is given
    // back: chunks of the pool do not move, and its slot is nobody else's.
    let quick = unsafe {
        door::try_enter_outside_drain(engine, |core| {
            core.give_back();
            let mut bodies = Lend::new(&mut []);
            core.take_ready_quick(set.id(), &mut bodies, &mut insn::InsnOut::new(insn_out))?;
            body_out.write(bodies.lent().unwrap_or(ptr::null()));
            Some(())
        })
    };
    if quick.is_some() {
        return CIRCFLOW_OK;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { lend_any(engine, set, body_out, insn_out) }
}

/// The long way of circflow_set_poll_lent().
#[inline(never)]
unsafe extern "C-unwind" fn lend_any(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    body_out: *mut *const u8,
    insn_out: *mut circflow_insn,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_when(engine, Allowed::NotInsideDrain, |core| {
            core.give_back();
            let mut bodies = Lend::new(&mut []);
            if !core.set_poll_into(set.id(), &mut bodies, &mut insn::InsnOut::new(insn_out))? {
                insn_out.write(insn::NOTHING);
            }
            body_out.write(bodies.lent().unwrap_or(ptr::null()));
            Ok(())
        })
    }
}

/// Takes ready messages of one set, as many as fit, for a host that feeds all messages as tokens (CIRCFLOW_FORM_TOKEN).
/// It costs much less than circflow_set_poll() for each. All messages taken count as delivered, in the order of the
/// array; their sequence numbers have no gap.
///
/// @param tokens     Gets the tokens.
/// @param token_cap  Tokens of room there.
/// @param count_out  Number of tokens written. If it is below token_cap, no more messages are ready, or circflow has
///                   copied the body of the next one: take that with circflow_set_poll().
///
/// Own statuses: CIRCFLOW_ERR_IS_RUN: circflow runs the streams of this set; use circflow_set_poll() or drain.
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
