//! `circflow_set_*`: conflux sets.

use super::convert;
use super::door::{self, Allowed};
use super::insn_types::*;
use super::outcome;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use super::types::*;
use crate::base::{limits, Id};
use crate::engine::{Engine, Error, Verdict};
use libc::size_t;
use zeroize::Zeroize;

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_set_config {}
unsafe impl sized::Growing for circflow_set_stats {}

/// Fills a config with the defaults. Pass sizeof(circflow_set_config).
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_config_init(
    config: *mut circflow_set_config,
    size: size_t,
) -> circflow_status {
    door::alone(|| sized::init(config, size, config_defaults()))
}

/// Exit: accepts sets that clients open with LINK, and says what each is made with. Until this is called, after it is
/// called with NULL, and while the parameter cfx_enabled is 0, a LINK is a protocol violation. Sets that live already
/// are not touched.
///
/// A set appears with its first CIRCFLOW_INSN_LINKED. What an exit of Tor asks for is desired_ux
/// CIRCFLOW_UX_MIN_LATENCY.
///
/// CIRCFLOW_ERR_VERSION; CIRCFLOW_ERR_INVALID as for circflow_set_open().
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_accept_sets(
    engine: *mut circflow_engine,
    config: *const circflow_set_config,
) -> circflow_status {
    let mut config = match config.is_null() {
        true => None,
        false => match sized::read(config, config_defaults()) {
            Ok(config) => Some(config),
            Err(status) => return door::refuse(engine, status),
        },
    };
    if let Some(config) = &mut config {
        // An exit's sets have their clients' nonces; whatever stands here is not to be kept.
        config.nonce.zeroize();
    }
    door::enter(engine, |core| {
        let config = config.as_ref().map(convert::set_config).transpose().map_err(|why| core.invalid(why))?;
        core.accept_sets(config);
        Ok(())
    })
}

/// Client: opens a set, with no legs yet. It ends with its last leg, or with circflow_set_close().
///
/// CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_VERSION; CIRCFLOW_ERR_INVALID for an unknown UX or algorithm, legs_max above
/// 16, link_timeout_ns or switch_ahead_max 0, held_age_max_ns above a week, or a reserved field that is not 0;
/// CIRCFLOW_ERR_SWITCHED_OFF: cfx_enabled is 0;
/// CIRCFLOW_ERR_NONCE_IN_USE; CIRCFLOW_ERR_FULL at sets_max; CIRCFLOW_ERR_UNDRAINED: drain first.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_open(
    engine: *mut circflow_engine,
    now_ns: u64,
    config: *const circflow_set_config,
    set_out: *mut circflow_set_id,
) -> circflow_status {
    if set_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    let mut config = match sized::read(config, config_defaults()) {
        Ok(config) => config,
        Err(status) => return door::refuse(engine, status),
    };
    let status = door::enter(engine, |core| {
        let config = convert::set_config(&config).map_err(|why| core.invalid(why))?;
        let id = core.open_set(core.time(now_ns), config)?;
        set_out.write(convert::set_id(id));
        Ok(())
    });
    // The set has the nonce now; this copy must not stay behind on the stack.
    config.nonce.zeroize();
    status
}

/// Takes the last leg out of a set, as a circuit of its own again that keeps its streams; the set is gone, without a
/// CIRCFLOW_INSN_ENDED. Only when it is
/// the set's one leg, all of its handshake is done (LINKED_ACK included), and nothing is held, so that its own order is
/// the order.
///
/// CIRCFLOW_ERR_NOT_ALONE, an id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_take_out(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuit_out: *mut circflow_circuit_id,
) -> circflow_status {
    if circuit_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    door::enter(engine, |core| {
        let id = core.take_out(core.time(now_ns), convert::id(set.v))?;
        circuit_out.write(convert::circuit_id(id));
        Ok(())
    })
}

/// Ends a set at the host's wish: a close is queued for each leg, then CIRCFLOW_INSN_ENDED. Tokens that are held come
/// back as CIRCFLOW_INSN_DISCARD. The set's id is stale from now on.
///
/// A set ends well when no stream is open on it any more: send END on each, take what that queues, write it out, then
/// close the set and its circuits. The other end, which learns of that by DESTROY on one leg after another, sees
/// CIRCFLOW_ERR_SET_FINISHED as the cause, where circflow runs its streams. Where they are yours, call this there too,
/// before circflow_circuit_closed(), once you have seen the last END: the cause is then CIRCFLOW_OK. Anything else is
/// CIRCFLOW_ERR_LEG_LOST: something may have been lost.
///
/// An id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_close(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
) -> circflow_status {
    door::enter(engine, |core| core.close_set(core.time(now_ns), convert::id(set.v)))
}

/// Decides on which leg a multiplexed message goes, and changes nothing: number, window and sending leg move when
/// circflow_circuit_sent() reports the SWITCH and the message as queued. The first half of sending, for a host whose
/// queues can refuse a cell. A message that is not DATA goes out even when no leg has room (RELAY_END must not wait for
/// a window). HELD is no decision but an answer: padding blocks the
/// legs (END waits then, too), and the message was taken.
///
/// @param message       Its command counts, and its hop (the join point; at an exit 0). Its body is read, and its token
///                      taken, only when the verdict is HELD.
/// @param reports       Reports of legs to apply first, as circflow_circuit_report() does; NULL with 0. They are news,
///                      and stand whatever the answer is.
/// @param verdict_out   CIRCFLOW_VERDICT_SEND with leg, number and switch_delta, or CIRCFLOW_VERDICT_HELD: it comes
///                      back as CIRCFLOW_INSN_SEND with its leg and number, after another with a SWITCH if it needs
///                      one, and is not to be reported. Written on CIRCFLOW_OK.
///
/// CIRCFLOW_ERR_BLOCKED: no leg has room, held_sends_max messages wait already, or there is no memory for another; stop
/// reading streams until CIRCFLOW_INSN_RESUME; circflow_engine_last_detail() says which leg lacks what.
/// CIRCFLOW_ERR_NOT_USABLE: wait for CIRCFLOW_INSN_USABLE.
/// CIRCFLOW_ERR_NOT_MULTIPLEXED: send it on its own circuit. CIRCFLOW_ERR_IS_RUN: circflow knows the set's streams,
/// circflow_stream_send() it. CIRCFLOW_ERR_INVALID: not to the join point, body_len above
/// CIRCFLOW_BODY_MAX, or, where it has to be held, as for circflow_circuit_receive(). CIRCFLOW_ERR_NULL,
/// CIRCFLOW_ERR_EXPIRED, an id error; reports: CIRCFLOW_ERR_NOT_A_LEG, CIRCFLOW_ERR_GONE.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_decide(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), Some(reports), false) =
        (message.as_ref(), convert::slice(reports, report_count), verdict_out.is_null())
    else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    if !convert::fits(message) {
        return refuse_long(engine);
    }
    if reports.is_empty() {
        let (set, command) = (convert::id(set.v), convert::command(message.command));
        if let Some(verdict) = door::try_enter(engine, |core| core.decide_next(now_ns, set, command, message.hop)) {
            outcome::write_verdict(verdict_out, &verdict);
            return CIRCFLOW_OK;
        }
    }
    decide_any(engine, now_ns, set, message, reports, verdict_out)
}

/// The long way: reports, another leg, no room.
#[inline(never)]
unsafe fn decide_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: &circflow_message,
    reports: &[circflow_leg_report],
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    door::enter(engine, |core| {
        if !reports.is_empty() {
            let news = convert::reports(reports).map_err(|why| core.invalid(why))?;
            core.report_for(core.time(now_ns), convert::id(set.v), news)?;
        }
        let set = convert::id(set.v);
        let verdict = match core.decide(core.time(now_ns), set, convert::command(message.command), message.hop)? {
            Some(verdict) => verdict,
            None => hold(core, set, message)?,
        };
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

/// Decides and reports as queued in one call, SWITCH included: for a host whose queues never refuse a cell. Send the
/// SWITCH, if switch_delta is not 0, and the message, in this order, before anything else of this set.
///
/// Parameters and codes as for circflow_set_decide().
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_send(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: *const circflow_message,
    reports: *const circflow_leg_report,
    report_count: size_t,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    // SAFETY: NULL or a message, by the contract of this function.
    let (Some(message), Some(reports), false) =
        (message.as_ref(), convert::slice(reports, report_count), verdict_out.is_null())
    else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    if reports.is_empty() {
        let next = door::try_enter(engine, |core| {
            if !convert::fits(message) {
                return None;
            }
            let verdict = core.send_next(now_ns, convert::id(set.v), convert::command(message.command), message.hop)?;
            Some((verdict, core.pads()))
        });
        if let Some((verdict, pads)) = next {
            outcome::write_verdict(verdict_out, &verdict);
            return if pads { note_next(engine, verdict.circuit, message.hop) } else { CIRCFLOW_OK };
        }
    }
    send_any(engine, now_ns, set, message, reports, verdict_out)
}

#[inline(never)]
unsafe extern "C-unwind" fn note_next(engine: *mut circflow_engine, leg: Id, hop: u8) -> circflow_status {
    door::enter(engine, |core| {
        core.note_next(leg, hop);
        Ok(())
    })
}

/// The long way: reports, another leg, no room.
#[inline(never)]
unsafe fn send_any(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    message: &circflow_message,
    reports: &[circflow_leg_report],
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    if !convert::fits(message) {
        return refuse_long(engine);
    }
    door::enter(engine, |core| {
        if !reports.is_empty() {
            let news = convert::reports(reports).map_err(|why| core.invalid(why))?;
            core.report_for(core.time(now_ns), convert::id(set.v), news)?;
        }
        let set = convert::id(set.v);
        let verdict = match core.send(core.time(now_ns), set, convert::command(message.command), message.hop)? {
            Some(verdict) => verdict,
            None => hold(core, set, message)?,
        };
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

#[cold]
#[inline(never)]
unsafe fn refuse_long(engine: *mut circflow_engine) -> circflow_status {
    door::enter(engine, |core| Err(core.invalid("a message has a body that is too long")))
}

/// Padding blocks the legs: the message is kept.
#[cold]
unsafe fn hold(core: &mut Engine, set: Id, message: &circflow_message) -> Result<Verdict, Error> {
    let message = convert::message(message).map_err(|why| core.invalid(why))?;
    core.hold_for_set(set, &message)
}

/// Asks whether a DATA message could be sent now (SEND), and on which leg, or would be held (HELD). Changes nothing at
/// all; not even a later CIRCFLOW_INSN_RESUME comes of it.
///
/// @param verdict_out  As circflow_set_decide() would answer. Written on CIRCFLOW_OK.
///
/// CIRCFLOW_ERR_BLOCKED, CIRCFLOW_ERR_NOT_USABLE, CIRCFLOW_ERR_NULL, an id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_peek(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    verdict_out: *mut circflow_verdict,
) -> circflow_status {
    if verdict_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    if let Some(verdict) = door::try_enter(engine, |core| core.peek_next(convert::id(set.v))) {
        outcome::write_verdict(verdict_out, &verdict);
        return CIRCFLOW_OK;
    }
    door::enter(engine, |core| {
        let verdict = core.peek(convert::id(set.v))?;
        outcome::write_verdict(verdict_out, &verdict);
        Ok(())
    })
}

/// For a host that asks with circflow_set_decide() before each cell: how many DATA messages in a row it would answer to
/// with the leg that sends now and no SWITCH, as long as nothing is reported and no leg comes or goes. So many may be
/// sent without asking; report each with circflow_circuit_sent(), which counts the number down. 0: ask.
///
/// Known after a circflow_set_decide() that named the leg that was sending, for DATA; 0 at any other time.
///
/// CIRCFLOW_ERR_NULL, an id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_room(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    messages_out: *mut u64,
) -> circflow_status {
    if messages_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    door::enter(engine, |core| {
        messages_out.write(core.room(convert::id(set.v))?);
        Ok(())
    })
}

/// Takes the next ready message of one set, for a host that works set by set: kind is CIRCFLOW_INSN_DELIVER, or
/// CIRCFLOW_INSN_NONE when none is ready, or when the call has dealt with so many that were for circflow alone (XOFF,
/// XON) that it leaves the rest to a later one: the deadline is 0 then. The same messages, in the same order, that
/// circflow_engine_poll() would give; each is given once, by one or the other. Of a set that circflow runs it can be
/// CIRCFLOW_INSN_DISCARD too: the token of a message whose stream has ended here.
///
/// @param body      Where the body goes. Give CIRCFLOW_BODY_MAX bytes and it always fits.
/// @param body_cap  Bytes of room there.
///
/// CIRCFLOW_ERR_TOO_SMALL: nothing was taken. CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_REENTRANT from inside a drain callback;
/// an id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_next(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    body: *mut u8,
    body_cap: size_t,
    insn_out: *mut circflow_insn,
) -> circflow_status {
    if insn_out.is_null() || (body.is_null() && body_cap != 0) {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    door::enter_when(engine, Allowed::NotInsideDrain, |core| {
        let (set, buffer) = (convert::id(set.v), convert::buffer(body, body_cap));
        if !core.set_next_into(set, buffer, &mut outcome::Out::new(insn_out))? {
            insn_out.write(outcome::NOTHING);
        }
        Ok(())
    })
}

/// Takes ready messages of one set, as many as fit, for a host that gives all of them as tokens (CIRCFLOW_FORM_TOKEN):
/// what circflow_set_next() does one by one, for a fraction of its cost. All that are taken count as delivered, in the
/// order of the array; their numbers follow each other without a gap.
///
/// @param tokens     Gets the tokens.
/// @param token_cap  Tokens of room there.
/// @param count_out  How many were written. Fewer than token_cap: no more are ready, or the next is one whose body
///                   circflow has copied, which circflow_set_next() gives.
///
/// CIRCFLOW_ERR_IS_RUN: circflow has the streams of this set. CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_REENTRANT from inside a
/// drain callback; an id error.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_next_tokens(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    tokens: *mut u64,
    token_cap: size_t,
    count_out: *mut size_t,
) -> circflow_status {
    if count_out.is_null() || (tokens.is_null() && token_cap != 0) {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    door::enter_when(engine, Allowed::NotInsideDrain, |core| {
        let mut count = 0;
        core.set_next_tokens(convert::id(set.v), token_cap, |token| {
            // SAFETY: called at most `token_cap` times, and so many are there by the contract of this function.
            tokens.add(count).write(token);
            count += 1;
        })?;
        count_out.write(count);
        Ok(())
    })
}

/// Gives a set another tag: it comes back as set_tag from now on, also in instructions that wait already. For an exit,
/// which first hears of a set in CIRCFLOW_INSN_LINKED, when all it has is the tag of circflow_engine_accept_sets():
/// name the set there, inside the drain, and whatever follows has the name. Also for a set with legs on other engines
/// of a hub, on the engine that has the set: instructions of the others name no set.
///
/// An id error: an ended set is not named any more, and its CIRCFLOW_INSN_ENDED has the tag it had.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_set_tag(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    tag: u64,
) -> circflow_status {
    door::enter(engine, |core| core.rename_set(convert::id(set.v), tag))
}

/// Changes how this end chooses the sending leg, from the next decision on; what circflow_set_room() has answered holds
/// no longer. If the set waits for room and another leg now has it, CIRCFLOW_INSN_RESUME is queued. The peer is not
/// told.
///
/// @param algorithm  CIRCFLOW_ALGORITHM_*; BY_UX goes back to what the peer asked for last. That a peer asked for low
///                   memory, and gets at most one SWITCH in a congestion window, stays so with any.
///
/// CIRCFLOW_ERR_INVALID for an unknown algorithm, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_set_algorithm(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    algorithm: u8,
) -> circflow_status {
    door::enter(engine, |core| {
        let algorithm = convert::algorithm(algorithm).map_err(|why| core.invalid(why))?;
        core.choose_by(convert::id(set.v), algorithm)
    })
}

/// Figures of a set. Set stats->size to sizeof(circflow_set_stats) first.
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION, an id error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_get_stats(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    stats: *mut circflow_set_stats,
) -> circflow_status {
    door::enter_to_write(engine, stats, |core| {
        let set = convert::id(set.v);
        let total = core.set_total(set).unwrap_or((0, CIRCFLOW_NEVER));
        let mut stats = convert::set_stats(&core.set_stats(set)?, core.set_streams(set), total);
        let circflow_set_stats { last_active_ns, no_streams_since_ns, held_since, total_since_ns, .. } = &mut stats;
        for time in [last_active_ns, no_streams_since_ns, held_since, total_since_ns] {
            *time = core.wall(*time);
        }
        Ok(stats)
    })
}

/// Reads a set's numbers, for a host whose own structs are authoritative.
/// @param legs           Gets one entry for each leg, linked or not, in no particular order.
/// @param leg_cap        Entries of room; CIRCFLOW_LEGS_MAX always fit.
/// @param leg_count_out  Entries written.
///
/// CIRCFLOW_ERR_TOO_SMALL, CIRCFLOW_ERR_NULL, an id error.
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
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    door::enter(engine, |core| {
        let (numbers, rows) = core.export(convert::id(set.v))?;
        if rows.len() > leg_cap {
            return Err(Error::TOO_SMALL);
        }
        for (index, row) in rows.iter().enumerate() {
            // SAFETY: `index` is below `leg_cap`, and so many entries are there by the contract of this function.
            legs.add(index).write(convert::leg_numbers(row));
        }
        numbers_out.write(convert::set_numbers(&numbers));
        leg_count_out.write(rows.len());
        Ok(())
    })
}

/// Sets a set's numbers from the host's own structs. A leg whose recv grows counts as having received messages; legs
/// that are not named keep their numbers. Messages that are ready after it are queued as usual.
///
/// @param numbers    delivered, and the sending leg (zero for none).
/// @param legs       The legs to change.
/// @param leg_count  How many.
/// CIRCFLOW_ERR_NUMBERS: a leg's recv lies below what it holds, a held message would be behind delivered, delivered is
/// above what any leg has received, the sending leg is not linked or has not the highest sent, or a leg that is not
/// linked has numbers. CIRCFLOW_ERR_NOT_A_LEG: not one of this set's. CIRCFLOW_ERR_NULL,
/// CIRCFLOW_ERR_EXPIRED, an id error. On any of them nothing changed.
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
    let (Some(numbers), Some(legs)) = (numbers.as_ref(), convert::slice(legs, leg_count)) else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::enter(engine, |core| {
        if legs.len() > CIRCFLOW_LEGS_MAX {
            return Err(Error::TOO_MANY_LEGS);
        }
        let rows = legs.iter().map(convert::leg_numbers_in).collect::<smallvec::SmallVec<[_; CIRCFLOW_LEGS_MAX]>>();
        core.import(core.time(now_ns), convert::id(set.v), convert::set_numbers_in(numbers), &rows)
    })
}

fn config_defaults() -> circflow_set_config {
    circflow_set_config {
        size: size_of::<circflow_set_config>(),
        tag: 0,
        nonce: [0; 32],
        link_timeout_ns: limits::LINK_TIMEOUT_DEFAULT,
        held_bytes_max: limits::SET_HELD_BYTES_DEFAULT,
        switch_ahead_max: limits::SWITCH_AHEAD_DEFAULT,
        legs_max: 0,
        launches_max: 0,
        desired_ux: CIRCFLOW_UX_HIGH_THROUGHPUT,
        algorithm: CIRCFLOW_ALGORITHM_BY_UX,
        reserved: [0; 2],
        held_sends_max: limits::HELD_SENDS_DEFAULT,
        reserved2: 0,
        held_age_max_ns: CIRCFLOW_AS_ENGINE,
    }
}
