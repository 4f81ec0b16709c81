//! `circflow_engine_*`: an engine's life. Instructions and time: `turn`; figures: `stats`; parameters: `param`; what
//! happened: `record`, and how often: `counters`, `metrics`.

mod counters;
pub mod memory;
mod metrics;
mod param;
mod record;
mod stats;
mod turn;

pub use counters::*;
pub use param::*;
pub use record::*;
pub use stats::*;
pub use turn::*;

pub(super) use param::known_class;

use super::door;
use super::handle;
use super::outside;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::base::limits;
use crate::engine::{Config, Engine, Error};
use crate::padding::Pace;
use crate::reactor::Marks;
use libc::{c_void, size_t};
use std::borrow::Cow;
use std::collections::VecDeque;
use zeroize::Zeroize;

/// The circuits and sets of one event loop. Opaque.
///
/// It lives from circflow_engine_new() to circflow_engine_free(). One thread at a time may use it.
pub struct circflow_engine {
    _opaque: [u8; 0],
}

/// The configuration of an engine. Fill it with circflow_engine_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_engine_config {
    /// sizeof(circflow_engine_config) as your compiler saw it.
    pub size: size_t,
    /// Random bytes of yours. circflow hashes nonces with them, and padding machines draw their random numbers from
    /// them. All zero is for tests only.
    pub seed: [u8; 32],
    /// A number that is part of every id of this engine, 1 to 16383. Give each engine of your process its own number,
    /// so that an id used with the wrong engine is noticed. Default 1.
    pub engine_number: u32,
    /// Circuits that may be open at a time. Default 1048576, at most 16777216.
    pub circuits_max: u32,
    /// Sets that may live at a time. Default 262144, at most 16777216.
    pub sets_max: u32,
    /// Instructions that may wait. When so many wait, calls that would queue more answer CIRCFLOW_ERR_UNDRAINED.
    /// Default 65536.
    pub insns_max: u32,
    /// Bytes that all sets and circuits together may hold: for order, for sending, at edges, and on the way to other
    /// engines. At the cap circflow closes the set or circuit with the greatest product of bytes and age (or one with
    /// at least half of it, as the figures are kept in steps); the cause is CIRCFLOW_ERR_ENGINE_MEMORY, and the call
    /// goes on. One that holds less than a quarter of its share (the cap divided by the number of holders) is closed
    /// only when no larger one is left. With 0 nothing may wait: the first message out of order closes its set, and the
    /// first cell at a full channel closes its circuit. Default 256 MiB.
    pub held_bytes_max: u64,
    /// Circuits that circflow runs: when so many cells wait at an edge, CIRCFLOW_INSN_PAUSE_FEED comes. Default 64.
    pub edge_high_cells: u32,
    /// When no more than so many cells are left at an edge, CIRCFLOW_INSN_UNPAUSE_FEED comes. Below edge_high_cells.
    /// Default 16.
    pub edge_low_cells: u32,
    /// Cells that an edge takes after CIRCFLOW_INSN_PAUSE_FEED, at least 32. One more closes the circuit. Default 128.
    pub edge_over_cells: u32,
    /// Streams that may be open at a time on one circuit or set. Default 1024.
    pub streams_max: u32,
    /// Bytes of one stream that may be delivered and not reported with circflow_stream_flushed(). More closes its
    /// circuit or set. Default 32 MiB.
    pub stream_bytes_max: u32,
    /// Zero.
    pub reserved: u32,
    /// Client: how long circflow remembers a stream that you have ended, from when its END has left (prop324 4.1.4). So
    /// long its id is in use, and DATA, XON and XOFF that come for it are dropped. If the longest round trip is longer,
    /// that counts instead, up to 10 minutes. In nanoseconds. Default 60 s, at most 10 minutes.
    pub stream_remembered_ns: u64,
    /// How long a padding machine has to rest after padding_burst_max actions without a wait, in nanoseconds. After
    /// that it rests so long between any two actions, until it waits so long by itself. 0: it never rests. Default 1
    /// ms, at most 1 s.
    pub padding_floor_ns: u64,
    /// Actions that one padding machine may take in a row without a wait, 1 to 4096: a timer that ends or begins, a
    /// padding cell, a block. It is also the average number of actions of all machines of a padder in each
    /// padding_floor_ns; for a short time they can take 64 times as many. A cell that is sent or received begins a new
    /// count. No known defence needs so many. Default 64.
    pub padding_burst_max: u32,
    /// Zero.
    pub reserved2: u32,
    /// How long a message may be held for order, in nanoseconds, in sets whose own held_age_max_ns is
    /// CIRCFLOW_AS_ENGINE: at most a week; 0 for no bound. When a message waits so long behind one that does not come,
    /// its set ends with CIRCFLOW_ERR_HELD_TOO_LONG. The oldest held message counts. The bound is not about messages
    /// that are ready, messages that padding holds, and cells at an edge. If you did not call for longer than a second,
    /// only one second of that time counts, as the computer may have been suspended; so the deadline comes twice a
    /// second while a message waits. Default 120 s.
    pub held_age_max_ns: u64,
}

/// A function of yours that circflow_engine_free() calls for each token that circflow still keeps. The token is yours
/// again; `cost` is its cost_bytes.
pub type circflow_discard_fn = Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, token: u64, cost: u32)>;

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_engine_config {}

/// Fills a config with the defaults. Pass sizeof(circflow_engine_config) as size.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_config_init(
    config: *mut circflow_engine_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Makes an engine for one event loop. On CIRCFLOW_OK it is yours until circflow_engine_free().
///
/// @param config  From circflow_engine_config_init(). It is copied.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: engine_number is not 1 to 16383; circuits_max, sets_max, insns_max or
/// padding_burst_max is 0 or too large; padding_floor_ns is above 1 s, stream_remembered_ns above 10 minutes, or
/// held_age_max_ns above a week; edge_low_cells is not below edge_high_cells; edge_over_cells is below 32; streams_max
/// or stream_bytes_max is 0; or a reserved field is not 0.
/// Inside drain: yes. Since: 0.1.
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
        // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
        let mut config = match unsafe { sized::read(config, config_defaults()) } {
            Ok(config) => config,
            Err(status) => return status,
        };
        if config.reserved != 0 || config.reserved2 != 0 {
            config.seed.zeroize();
            return CIRCFLOW_ERR_INVALID;
        }
        let mut core = Config {
            seed: config.seed,
            tag: config.engine_number,
            circuits_max: config.circuits_max,
            sets_max: config.sets_max,
            instructions_max: config.insns_max,
            held_bytes_max: config.held_bytes_max,
            marks: Marks { high: config.edge_high_cells, low: config.edge_low_cells, over: config.edge_over_cells },
            streams_max: config.streams_max,
            stream_bytes_max: config.stream_bytes_max,
            stream_memory: config.stream_remembered_ns,
            // A value above 32 bits is above its bound, too.
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
                // SAFETY: not NULL, and there is room by the contract of this floor.
                unsafe { engine_out.write(door::open(engine)) };
                CIRCFLOW_OK
            }
            Err(error) => error.into(),
        }
    })
}

/// Frees an engine. It first hands back every token that circflow still keeps, through `discard`, also when the engine
/// is poisoned, and before that the rest of the record to the sink, if there is one. It sends nothing: close your
/// circuits yourself. An engine that is NULL is fine.
///
/// @param discard  Called once for each token. It may be NULL when you use no tokens. Inside it, every call on the
///                 engine answers CIRCFLOW_ERR_REENTRANT.
///
/// Own statuses: CIRCFLOW_ERR_REENTRANT inside a callback of this engine, or inside the notify of any engine: the
/// engine lives on.
/// Inside drain: no. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_free(
    engine: *mut circflow_engine,
    discard: circflow_discard_fn,
    userdata: *mut c_void,
) -> circflow_status {
    if outside::is_notifying() {
        return CIRCFLOW_ERR_REENTRANT;
    }
    let gather = |core: &mut Engine, left: &mut LeftTokens| {
        if !std::mem::replace(&mut left.is_gathered, true) {
            left.tokens.extend(core.tokens());
        }
        core.drop_links(|token, cost| left.tokens.push_back((token, cost)));
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::close(
            engine,
            || record::pour(engine, true),
            gather,
            discard.map(|discard| {
                // SAFETY: the host's own function, called with the host's own userdata.
                move |(token, cost)| discard(userdata, token, cost)
            }),
        )
    }
}

impl handle::Handle for circflow_engine {
    const KIND: u32 = handle::ENGINE;
    type Core = Engine;
    type Error = Error;
    type Left = LeftTokens;

    fn explains(core: &mut Engine, error: &Error) -> bool {
        core.explains(*error)
    }

    fn detail(core: &Engine) -> Cow<'_, str> {
        core.detail()
    }
}

/// Tokens of an engine that is being freed, in the order in which they are handed back.
#[derive(Default)]
pub(super) struct LeftTokens {
    is_gathered: bool,
    tokens: VecDeque<(u64, u32)>,
}

impl handle::Leave for circflow_engine {
    type Item = (u64, u32);

    fn next(_: &mut Engine, left: &mut LeftTokens) -> Option<(u64, u32)> {
        left.tokens.pop_front()
    }

    fn gone(_: &mut Engine, _: &mut LeftTokens) {}

    fn part(core: &mut Engine) {
        core.leave_hub();
    }
}

fn config_defaults() -> circflow_engine_config {
    circflow_engine_config {
        size: size_of::<circflow_engine_config>(),
        seed: [0; 32],
        engine_number: 1,
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
        stream_remembered_ns: limits::STREAM_MEMORY_DEFAULT,
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
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |_| panic!("a panic on purpose")) }
}

/// As the function before, on the short way in; it answers on the long one.
///
/// cbindgen:ignore
#[cfg(feature = "test-hooks")]
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_test_panic_short(engine: *mut circflow_engine) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    let _: Option<()> = unsafe { door::try_enter(engine, |_| panic!("a panic on purpose, on the short way")) };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |_| Ok(())) }
}
