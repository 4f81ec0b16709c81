//! `circflow_engine_*`: life, time, instructions, figures.

use super::convert;
use super::door::{self, Allowed};
use super::insn_types::*;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use super::types::*;
use super::{outcome, outside};
use crate::base::limits;
use crate::engine::{Config, Engine};
use crate::padding::Pace;
use crate::reactor::Marks;
use libc::{c_char, c_void, size_t};
use std::collections::VecDeque;
use zeroize::Zeroize;

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_engine_config {}
unsafe impl sized::Growing for circflow_engine_stats {}

/// Fills a config with the defaults. Pass sizeof(circflow_engine_config).
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_config_init(
    config: *mut circflow_engine_config,
    size: size_t,
) -> circflow_status {
    door::alone(|| sized::init(config, size, config_defaults()))
}

/// Makes an engine. On CIRCFLOW_OK it is yours until circflow_engine_free(). One engine serves one event loop.
///
/// @param config  From circflow_engine_config_init(). It is copied.
///
/// CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_VERSION; CIRCFLOW_ERR_INVALID when engine_tag is not 1 to 16383, or circuits_max,
/// sets_max, insns_max or padding_burst_max is 0 or above its bound, padding_floor_ns is above 1 s, stream_memory_ns
/// above 10 minutes or held_age_max_ns above a week, edge_low_cells is not below edge_high_cells, edge_over_cells is
/// below 32, streams_max or stream_bytes_max is 0, or a reserved field is not.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_new(
    config: *const circflow_engine_config,
    engine_out: *mut *mut circflow_engine,
) -> circflow_status {
    door::alone(|| {
        if engine_out.is_null() {
            return CIRCFLOW_ERR_NULL;
        }
        let mut config = match sized::read(config, config_defaults()) {
            Ok(config) => config,
            Err(status) => return status,
        };
        if config.reserved != 0 || config.reserved2 != 0 {
            config.seed.zeroize();
            return CIRCFLOW_ERR_INVALID;
        }
        let mut core = Config {
            seed: config.seed,
            tag: config.engine_tag,
            circuits_max: config.circuits_max,
            sets_max: config.sets_max,
            instructions_max: config.insns_max,
            held_bytes_max: config.held_bytes_max,
            marks: Marks { high: config.edge_high_cells, low: config.edge_low_cells, over: config.edge_over_cells },
            streams_max: config.streams_max,
            stream_bytes_max: config.stream_bytes_max,
            stream_memory: config.stream_memory_ns,
            // Above what 32 bits hold it is above its bound, too.
            pace: Pace {
                burst: config.padding_burst_max,
                floor: u32::try_from(config.padding_floor_ns).unwrap_or(u32::MAX),
            },
            held_age_max: config.held_age_max_ns,
        };
        let made = Engine::new(&core);
        config.seed.zeroize();
        core.seed.zeroize();
        match made {
            Ok(engine) => {
                engine_out.write(door::open(engine));
                CIRCFLOW_OK
            }
            Err(error) => error.into(),
        }
    })
}

/// Ends an engine. Every token that circflow still holds is handed back through `discard` first, also when the engine
/// is poisoned. Nothing is sent: close your circuits yourself. NULL is fine.
///
/// @param discard  Called once for each token; may be NULL when you use none. From inside, every call on the engine
///                 answers CIRCFLOW_ERR_REENTRANT.
///
/// CIRCFLOW_ERR_REENTRANT from inside a callback, any engine's notify included: the engine lives on.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_free(
    engine: *mut circflow_engine,
    discard: circflow_discard_fn,
    userdata: *mut c_void,
) -> circflow_status {
    if outside::is_notifying() {
        return CIRCFLOW_ERR_REENTRANT;
    }
    let gather = |core: &mut Engine, left: &mut Left| {
        if !std::mem::replace(&mut left.is_gathered, true) {
            left.tokens.extend(core.tokens());
        }
        core.leave(|token, cost| left.tokens.push_back((token, cost)));
    };
    door::close(
        engine,
        gather,
        discard.map(|discard| {
            // SAFETY: the host's own function, called with the host's own userdata.
            move |(token, cost)| discard(userdata, token, cost)
        }),
    )
}

/// Tokens of an engine that is being freed, in the order in which they are handed back.
#[derive(Default)]
pub(super) struct Left {
    is_gathered: bool,
    tokens: VecDeque<(u64, u32)>,
}

impl door::Leave for circflow_engine {
    type Item = (u64, u32);

    fn next(_: &mut Engine, left: &mut Left) -> Option<(u64, u32)> {
        left.tokens.pop_front()
    }

    fn gone(_: &mut Engine, _: &mut Left) {}
}

/// Takes the first instruction out of the queue; its kind is CIRCFLOW_INSN_NONE when nothing waits, or when the call
/// has freed so much that it leaves the rest to a later one: the deadline is 0 then. Instructions come in the order of
/// their causes. Poll until NONE before you sleep, and sleep until the deadline.
///
/// @param body      Where the body of a SEND, DELIVER or WRITE goes. Give CIRCFLOW_CELL_BODY_LEN bytes and it always
///                  fits; CIRCFLOW_BODY_MAX are enough where no cells pass.
/// @param body_cap  Bytes of room there.
///
/// CIRCFLOW_ERR_TOO_SMALL: the instruction has a longer body; it is still the first in the queue.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_poll(
    engine: *mut circflow_engine,
    body: *mut u8,
    body_cap: size_t,
    insn_out: *mut circflow_insn,
) -> circflow_status {
    if insn_out.is_null() || (body.is_null() && body_cap != 0) {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    door::enter_when(engine, Allowed::NotInsideDrain, |core| {
        let given = core.poll_into(convert::buffer(body, body_cap), &mut outcome::Out::new(insn_out))?;
        if !given {
            insn_out.write(outcome::NOTHING);
        }
        Ok(())
    })
}

/// Calls `fn` for each waiting instruction, in order, those that feeds from inside `fn` add included, until none waits
/// or `budget` of them were taken. The convenient twin of circflow_engine_poll().
///
/// @param budget    At most so many calls; the bound on the work of one round of your loop.
/// @param more_out  1 when the budget ran out first: drain again soon. May be NULL.
///
/// CIRCFLOW_ERR_REENTRANT from inside `fn`.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_drain(
    engine: *mut circflow_engine,
    budget: size_t,
    more_out: *mut u8,
    r#fn: circflow_insn_fn,
    userdata: *mut c_void,
) -> circflow_status {
    let Some(call) = r#fn else {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    };
    door::drain(engine, || {
        let mut body = [0u8; CIRCFLOW_CELL_BODY_LEN];
        for _ in 0..budget {
            let mut insn = outcome::NOTHING;
            let status = door::enter(engine, |core| {
                core.poll_into(&mut body, &mut outcome::Out::new(&mut insn))?;
                Ok(())
            });
            if status != CIRCFLOW_OK {
                return status;
            }
            if insn.kind == circflow_insn_kind::CIRCFLOW_INSN_NONE as u32 {
                break;
            }
            // SAFETY: the host's own function; the core is not borrowed while it runs.
            call(userdata, &insn, body.as_ptr());
            if outcome::has_nonce(&insn) {
                body.zeroize();
            }
        }
        door::enter(engine, |core| {
            // SAFETY: NULL or room for one byte, by the contract of this function.
            if let Some(more) = more_out.as_mut() {
                *more = u8::from(core.waiting());
            }
            Ok(())
        })
    })
}

/// When your loop has to come back for the engine, on your clock: then circflow_engine_tick(), and drain. 0 while
/// instructions wait, as after a drain whose budget ran out; a deadline that is not later than now means "at once".
/// CIRCFLOW_NEVER when nothing is due ever. The one deadline of the whole engine: arm one timer with it after each
/// drain. It is never later than what is due, and can be earlier, after a timer was put off: then the tick does
/// nothing, and the next deadline is a later one.
///
/// 0 means at once: one call does a bounded amount of work, and some is left (timers, where hundreds are due at a time;
/// memory of sets that ended). Tick, drain and ask again; your loop can look at its sockets in between. A feed that
/// comes before a timer that was due finds things as if that timer were so much later.
///
/// CIRCFLOW_ERR_NULL.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_deadline(
    engine: *mut circflow_engine,
    deadline_ns_out: *mut u64,
) -> circflow_status {
    if deadline_ns_out.is_null() {
        return door::refuse(engine, CIRCFLOW_ERR_NULL);
    }
    if let Some(deadline) = door::try_enter(engine, |core| Some(core.wall(core.wakes_at()))) {
        deadline_ns_out.write(deadline);
        return CIRCFLOW_OK;
    }
    door::enter(engine, |core| {
        deadline_ns_out.write(core.wall(core.wakes_at()));
        Ok(())
    })
}

/// Does what is due at `now_ns`. Every feed does so too, before anything else; this is for a loop that was idle. Too
/// early or too late is no error.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_tick(engine: *mut circflow_engine, now_ns: u64) -> circflow_status {
    door::enter(engine, |core| {
        core.tick(core.time(now_ns));
        Ok(())
    })
}

/// Says that the host's clock was wrong, and that it is `now_ns` now: earlier or later than the latest time that was
/// named. Nothing runs, and no time passes by this call: a timer that had five seconds left has them again, from now
/// on. circflow_engine_tick() is what lets time pass.
///
/// You need it after a wild time, far in the future, has come in by mistake, as until that time comes the engine stands
/// still: earlier times are read as the latest seen. And you need it after your clock was set back. Both are counted
/// (time_leaps, time_backwards) and logged. What ran out at the wild time has run out; what was set since then is due
/// as much later than `now_ns` as it was later than the wild time. Round trips under way are not measured (rtt_ns of
/// CIRCFLOW_INSN_LINKED is 0), as nobody knows when they began. What is held is as old as it was. Times that circflow
/// names (deadlines, last_active_ns) are on the new clock from now on; one before its beginning is 0. From then on each
/// call costs some tens of instructions more. Say it to each engine; a hub has no clock.
///
/// CIRCFLOW_ERR_INVALID for CIRCFLOW_NEVER, which is no time.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_set_clock(
    engine: *mut circflow_engine,
    now_ns: u64,
) -> circflow_status {
    door::enter(engine, |core| core.set_clock(now_ns))
}

/// Gives memory that is kept for held messages and not in use back to the system. circflow never does so by itself: a
/// steady state is to allocate nothing. Call it when you are short of memory, or idle.
///
/// @param freed_out  Bytes given back. May be NULL.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_trim(
    engine: *mut circflow_engine,
    freed_out: *mut u64,
) -> circflow_status {
    door::enter(engine, |core| {
        let freed = core.trim() as u64;
        // SAFETY: NULL or room for one u64, by the contract of this function.
        if let Some(out) = freed_out.as_mut() {
            *out = freed;
        }
        Ok(())
    })
}

/// Figures of the engine. Set stats->size to sizeof(circflow_engine_stats) first.
///
/// CIRCFLOW_ERR_NULL, CIRCFLOW_ERR_VERSION.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_get_stats(
    engine: *mut circflow_engine,
    stats: *mut circflow_engine_stats,
) -> circflow_status {
    door::enter_to_write(engine, stats, |core| Ok(convert::engine_stats(&core.stats())))
}

/// What is behind the last call on the engine, if that failed: of INVALID which argument, of BLOCKED which leg lacks
/// what, of PEER which circuit; where there is no more to say, the sentence of circflow_strerror(). Empty after a call
/// that succeeded, so ask at once. Asking is no call in this sense. Of a poisoned engine it is what the panic said. For
/// people: do not parse it.
///
/// Inside a drain callback the callback's own calls count; after the drain, the drain. A call that names no engine
/// (circflow_cell_decode(), circflow_queue_push()) leaves no sentence here.
///
/// @param buf       Gets at most cap - 1 bytes of text and a NUL.
/// @param len_out   Length of the whole sentence without the NUL. May be NULL.
///
/// CIRCFLOW_ERR_NULL; CIRCFLOW_ERR_REENTRANT from inside the log function.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_last_detail(
    engine: *mut circflow_engine,
    buf: *mut c_char,
    cap: size_t,
    len_out: *mut size_t,
) -> circflow_status {
    if buf.is_null() && cap != 0 {
        return CIRCFLOW_ERR_NULL;
    }
    let read = door::detail(engine, |text| {
        let copied = text.len().min(cap.saturating_sub(1));
        if cap != 0 {
            // SAFETY: `copied` is below `cap`, and `cap` bytes are there by the contract of this function.
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), buf, copied);
            buf.add(copied).write(0);
        }
        // SAFETY: NULL or room for one size_t, by the contract of this function.
        if let Some(len) = len_out.as_mut() {
            *len = text.len();
        }
    });
    match read {
        Ok(()) => CIRCFLOW_OK,
        Err(status) => status,
    }
}

fn config_defaults() -> circflow_engine_config {
    circflow_engine_config {
        size: size_of::<circflow_engine_config>(),
        seed: [0; 32],
        engine_tag: 1,
        circuits_max: limits::CIRCUITS_DEFAULT,
        sets_max: limits::SETS_DEFAULT,
        insns_max: limits::INSTRUCTIONS_DEFAULT,
        held_bytes_max: limits::ENGINE_HELD_BYTES_DEFAULT,
        edge_high_cells: limits::EDGE_HIGH_DEFAULT,
        edge_low_cells: limits::EDGE_LOW_DEFAULT,
        edge_over_cells: limits::EDGE_OVER_DEFAULT,
        streams_max: limits::STREAMS_DEFAULT,
        stream_bytes_max: limits::STREAM_BUFFERED_DEFAULT,
        reserved: 0,
        stream_memory_ns: limits::STREAM_MEMORY_DEFAULT,
        padding_floor_ns: limits::PADDING_FLOOR_DEFAULT.into(),
        padding_burst_max: limits::PADDING_BURST_DEFAULT,
        reserved2: 0,
        held_age_max_ns: limits::HELD_AGE_DEFAULT,
    }
}

/// Panics inside the engine, so that the tests can see what a bug would do.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_test_panic(engine: *mut circflow_engine) -> circflow_status {
    door::enter(engine, |_| panic!("a panic on purpose"))
}

/// The same on the short way in, which answers on the long one.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_test_panic_short(engine: *mut circflow_engine) -> circflow_status {
    let _: Option<()> = door::try_enter(engine, |_| panic!("a panic on purpose, on the short way"));
    door::enter(engine, |_| Ok(()))
}
