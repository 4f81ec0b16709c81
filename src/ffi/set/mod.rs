//! `circflow_set_*`: a conflux set's life. Its legs are in `legs`, messages in `send` and `next`, figures in `stats`,
//! and numbers for a host that keeps its own in `numbers`.

mod legs;
mod next;
mod numbers;
mod send;
mod stats;

pub use legs::*;
pub use next::*;
pub use numbers::*;
pub use send::*;
pub use stats::*;

use super::door;
use super::engine::circflow_engine;
use super::id::*;
use super::inward::Why;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::base::limits;
use crate::conflux::{Algorithm, SetTerms};
use crate::wire::conflux::{Nonce, Ux};
use libc::size_t;
use zeroize::Zeroize;

/// Bytes of a conflux nonce.
pub const CIRCFLOW_NONCE_LEN: usize = 32;

/// The most legs that a set can have.
pub const CIRCFLOW_LEGS_MAX: usize = 16;

/// circflow_set_config.held_age_max_ns: use that of the engine.
pub const CIRCFLOW_AS_ENGINE: u64 = u64::MAX;

/// desired_ux (prop329 2.2): no opinion. C Tor then sends by lowest RTT with room, circflow by ON_TIME.
pub const CIRCFLOW_UX_NO_OPINION: u8 = 0;
/// desired_ux: lowest latency. The peer sends on the leg with the lowest RTT and waits when that has no room.
pub const CIRCFLOW_UX_MIN_LATENCY: u8 = 1;
/// desired_ux: lowest latency, and at most one SWITCH in a congestion window.
pub const CIRCFLOW_UX_LOW_MEM_LATENCY: u8 = 2;
/// desired_ux: highest throughput. C Tor then sends by lowest RTT with room, circflow by ON_TIME.
pub const CIRCFLOW_UX_HIGH_THROUGHPUT: u8 = 3;
/// desired_ux: highest throughput, and at most one SWITCH in a congestion window.
pub const CIRCFLOW_UX_LOW_MEM_THROUGHPUT: u8 = 4;

/// circflow_set_config.algorithm: by the desired_ux of the peer. ON_TIME for throughput and for no opinion, MIN_RTT for
/// latency and for latency with low memory, LOW_RTT for throughput with low memory.
pub const CIRCFLOW_ALGORITHM_BY_UX: u8 = 0;
/// circflow_set_config.algorithm: MinRTT (prop329 3.1): the leg with the lowest round trip, and no other. For latency.
pub const CIRCFLOW_ALGORITHM_MIN_RTT: u8 = 1;
/// circflow_set_config.algorithm: LowRTT (prop329 3.2): the leg with the lowest round trip among those with room. This
/// is the rule as C Tor deploys it.
pub const CIRCFLOW_ALGORITHM_LOW_RTT: u8 = 2;
/// circflow_set_config.algorithm: CwndRTT: the fastest leg while it has room, else the fastest other leg that can send
/// a cell before one round trip of the fastest leg is over.
pub const CIRCFLOW_ALGORITHM_CWND_RTT: u8 = 3;
/// circflow_set_config.algorithm: OnTime: the leg on which the message arrives first; another one only if all is there
/// as early as on the best leg alone. It may wait for that leg although another one has room, for 10 s at most, as
/// ECF, BLEST and OTIAS may: then circflow_engine_get_deadline() says when it looks again,
/// and a host that does not come back then gets no MAY_SEND. docs/leg-choice.md has figures.
pub const CIRCFLOW_ALGORITHM_ON_TIME: u8 = 4;
/// circflow_set_config.algorithm: ECF (Lim et al., CoNEXT 2017): the fastest leg; another one only if the fastest would
/// not finish the rest earlier. For comparison with multipath TCP; it suits legs with unlike round trips. It may
/// wait, as ON_TIME may.
pub const CIRCFLOW_ALGORITHM_ECF: u8 = 5;
/// circflow_set_config.algorithm: BLEST (Ferlin et al., IFIP Networking 2016): the fastest leg; another one only as far
/// as the receiver need not hold more than all windows meanwhile. For comparison; it spares the receiver's memory.
pub const CIRCFLOW_ALGORITHM_BLEST: u8 = 6;
/// circflow_set_config.algorithm: OTIAS (Yang, Wang and Amer, WAINA 2014): the leg on which the message is foreseen to
/// arrive first, from its round trip and window alone. For comparison: it is the plainest rule that knows of arrivals.
pub const CIRCFLOW_ALGORITHM_OTIAS: u8 = 7;
/// circflow_set_config.algorithm: a leg drawn by chance for a run of 50 to 70 messages, the more often the higher its
/// window divided by its round trip (prop329 4.3; De la Cadena et al., CCS 2020). For research on traffic analysis: it
/// is not fast. It is drawn with the set's nonce as the key: who does not know that cannot foretell it, and the same
/// set under the same conditions draws the same.
pub const CIRCFLOW_ALGORITHM_RANDOM: u8 = 8;

/// The configuration of a set. Fill it with circflow_set_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_set_config {
    /// sizeof(circflow_set_config) as your compiler saw it.
    pub size: size_t,
    /// A number of yours. It comes back in every instruction about the set. If you look at it there, do not
    /// use 0, which means "no set".
    pub tag: u64,
    /// Client: a secret of 32 random bytes, new for each set. circflow sends it to one exit and to nobody else (prop329
    /// 2.2). Wipe your copy after circflow_set_open(). circflow_engine_accept_sets() does not use it.
    pub nonce: [u8; CIRCFLOW_NONCE_LEN],
    /// How long a leg may wait for LINKED (client) or LINKED_ACK (exit), in nanoseconds, at least 1. The time begins
    /// with the call that queues LINK or LINKED, so that it includes your own delay. (The round trip is measured from
    /// when you take that instruction.) Default 60 s. Use your circuit build timeout if that is shorter.
    pub link_timeout_ns: u64,
    /// Bytes that the set may hold for order. With 0 the first message out of order closes the set. Default 16 MiB. If
    /// cfx_max_oooq_bytes is lower when the set is opened, that counts.
    pub held_bytes_max: u64,
    /// How far a SWITCH may move a leg ahead of the last delivered message, in messages. Default 1048576.
    pub switch_ahead_max: u32,
    /// Legs that the set may have at a time, 1 to CIRCFLOW_LEGS_MAX. Default 0: the value of cfx_max_legs_set when the
    /// set is opened (8 if you never set it), but not above CIRCFLOW_LEGS_MAX.
    pub legs_max: u32,
    /// Client: legs that may be launched until the set is usable, failed ones included. The count begins again each
    /// time that every leg has been answered (prop329 4.2.2). Default 0: the sum of cfx_num_legs_set and
    /// cfx_max_unlinked_leg_retry when the set is opened (5 if you never set them).
    pub launches_max: u32,
    /// How the other end should choose its sending leg, CIRCFLOW_UX_*. Default: CIRCFLOW_UX_HIGH_THROUGHPUT.
    pub desired_ux: u8,
    /// How this end chooses its sending leg, CIRCFLOW_ALGORITHM_*. Default: CIRCFLOW_ALGORITHM_BY_UX.
    pub algorithm: u8,
    /// 1: ready messages of the set come from circflow_set_poll(), _lent() and _tokens() only, and draining
    /// leaves them alone. It is for a host that takes them at once when a verdict has said `ready`. With legs on other
    /// engines of a hub no verdict says so: poll after each drain of the set's home. Default 0: both hand them out.
    pub ready_by_poll: u8,
    /// Zero.
    pub reserved: u8,
    /// Messages that may be held for sending while padding blocks the legs, 0 or more. When so many wait, sending
    /// answers CIRCFLOW_ERR_NO_ROOM. Default 32.
    pub held_sends_max: u32,
    /// Zero.
    pub reserved2: u32,
    /// How long a message may be held for order, in nanoseconds: as circflow_engine_config.held_age_max_ns, for this
    /// set. At most a week; 0 for no bound. Default CIRCFLOW_AS_ENGINE: the value of the engine.
    pub held_age_max_ns: u64,
    /// DATA messages in a row on a leg at least, while it has room: a limit on SWITCHes, with every algorithm. A leg
    /// without room is left earlier. At most 4294967295: then no leg is left that has room. Default 0: as the algorithm
    /// has it.
    pub switch_run_min: u32,
    /// Zero.
    pub reserved3: u32,
}

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_set_config {}

/// Fills a config with the defaults. Pass sizeof(circflow_set_config) as size.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_config_init(
    config: *mut circflow_set_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Exit: accepts sets that clients open with LINK, and gives the configuration of each. A LINK is a protocol violation
/// until you call this, after you call it with NULL, and while the parameter cfx_enabled is 0. Live sets do not change.
///
/// The first CIRCFLOW_INSN_LINKED of a set gives its id. An exit of Tor uses the desired_ux CIRCFLOW_UX_MIN_LATENCY.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: as for circflow_set_open().
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_engine_accept_sets(
    engine: *mut circflow_engine,
    config: *const circflow_set_config,
) -> circflow_status {
    let mut config = match config.is_null() {
        true => None,
        // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
        false => match unsafe { sized::read(config, config_defaults()) } {
            Ok(config) => Some(config),
            // SAFETY: the contract of this floor, which the caller keeps.
            Err(status) => return unsafe { door::refuse(engine, status) },
        },
    };
    if let Some(config) = &mut config {
        // An exit's sets have their clients' nonces; whatever stands here is not to be kept.
        config.nonce.zeroize();
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let config = config.as_ref().map(set_config).transpose().map_err(|why| core.invalid(why))?;
            core.accept_sets(config);
            Ok(())
        })
    }
}

/// Client: opens a set without legs; add some with circflow_set_add_legs(). It ends with its last leg, or with
/// circflow_set_close(). Wipe config->nonce after this call.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: an unknown desired_ux or algorithm; legs_max above 16; link_timeout_ns or
/// switch_ahead_max is 0; held_age_max_ns above a week; ready_by_poll above 1; or a reserved field that is not 0.
/// CIRCFLOW_ERR_DISABLED: cfx_enabled is 0. CIRCFLOW_ERR_NONCE_IN_USE: draw another nonce. CIRCFLOW_ERR_TOO_MANY:
/// sets_max are alive; close some. CIRCFLOW_ERR_UNDRAINED: drain first.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_open(
    engine: *mut circflow_engine,
    now_ns: u64,
    config: *const circflow_set_config,
    set_out: *mut circflow_set_id,
) -> circflow_status {
    if set_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    let mut config = match unsafe { sized::read(config, config_defaults()) } {
        Ok(config) => config,
        // SAFETY: the contract of this floor, which the caller keeps.
        Err(status) => return unsafe { door::refuse(engine, status) },
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    let status = unsafe {
        door::enter(engine, |core| {
            let config = set_config(&config).map_err(|why| core.invalid(why))?;
            let id = core.open_set(core.time(now_ns), config)?;
            set_out.write(circflow_set_id::new(id));
            Ok(())
        })
    };
    // The set has the nonce now; this copy must not stay behind on the stack.
    config.nonce.zeroize();
    status
}

/// Ends a set because you want it. It queues CIRCFLOW_INSN_CLOSE for each leg, then CIRCFLOW_INSN_ENDED. Held tokens
/// come back as CIRCFLOW_INSN_DISCARD. The set's id is stale from now on.
///
/// To end a set well, send END on each stream, drain, write the cells, then close the set and its circuits. The other
/// end gets DESTROY on one leg after another. If circflow runs its streams, it sees the cause
/// CIRCFLOW_ERR_SET_FINISHED. If its host has the streams, that host should call this function when it has seen the
/// last END, before circflow_circuit_gone(); the cause is CIRCFLOW_OK then. Otherwise the cause is
/// CIRCFLOW_ERR_LEG_LOST: messages may have been lost.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_close(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.close_set(core.time(now_ns), set.id())) }
}

/// Takes the last leg out of a set. The leg is a plain circuit again and keeps its streams. The set is gone, without a
/// CIRCFLOW_INSN_ENDED. It works only if the set has this one leg, its handshake is complete (LINKED_ACK included), and
/// no message is held, so that the order on the leg is the order of the messages.
///
/// Own statuses: CIRCFLOW_ERR_NOT_ALONE: the set has other legs (close them, drain, and call again), or the handshake
/// of the last leg is not complete (wait for CIRCFLOW_INSN_LINKED), or messages are held or missing (drain; wait for
/// what is missing).
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_set_dissolve(
    engine: *mut circflow_engine,
    now_ns: u64,
    set: circflow_set_id,
    circuit_out: *mut circflow_circuit_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::answer(engine, circuit_out, |core| {
            let id = core.dissolve(core.time(now_ns), set.id())?;
            Ok(circflow_circuit_id::new(id))
        })
    }
}

/// Gives a set another tag. It comes back as set_tag from now on, also in instructions that already wait. An exit needs
/// it: its sets begin with the tag of circflow_engine_accept_sets(). Call this at the first CIRCFLOW_INSN_LINKED of a
/// set, inside the drain; all later instructions then have the new tag. If a set has legs on other engines of a hub,
/// call it on the engine that is the set's home: instructions of the others name no set.
///
/// @param tag  The new tag. In instructions 0 means "no set".
///
/// Own statuses: none. An ended set keeps its tag for CIRCFLOW_INSN_ENDED; its id is stale.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_retag(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    tag: u64,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.retag_set(set.id(), tag)) }
}

/// Changes how this end chooses the sending leg, from the next decision on. An earlier answer of
/// circflow_set_get_room() is no longer valid. If the set waits for room and another leg has it now,
/// CIRCFLOW_INSN_MAY_SEND is queued. The peer is not told.
///
/// @param algorithm  CIRCFLOW_ALGORITHM_*. BY_UX follows the last desired_ux of the peer. If that asks for low memory,
///                   there is at most one SWITCH in a congestion window with every algorithm.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: an unknown algorithm.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_set_use_algorithm(
    engine: *mut circflow_engine,
    set: circflow_set_id,
    algorithm: u8,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let algorithm = known_algorithm(algorithm).map_err(|why| core.invalid(why))?;
            core.choose_by(set.id(), algorithm)
        })
    }
}

pub(super) fn set_config(config: &circflow_set_config) -> Result<SetTerms, Why> {
    let algorithm = known_algorithm(config.algorithm)?;
    if config.desired_ux > CIRCFLOW_UX_LOW_MEM_THROUGHPUT {
        return Err("a set asks for an unknown UX");
    }
    if config.legs_max > CIRCFLOW_LEGS_MAX as u32 {
        return Err("legs_max of a set is above 16");
    }
    if config.link_timeout_ns == 0 || config.switch_ahead_max == 0 {
        return Err("link_timeout_ns or switch_ahead_max of a set is 0");
    }
    let held_age_max = (config.held_age_max_ns != CIRCFLOW_AS_ENGINE).then_some(config.held_age_max_ns);
    if held_age_max.is_some_and(|age| age > limits::HELD_AGE_LIMIT) {
        return Err("held_age_max_ns of a set is above a week");
    }
    if config.ready_by_poll > 1 {
        return Err("ready_by_poll of a set is above 1");
    }
    if config.reserved != 0 || config.reserved2 != 0 || config.reserved3 != 0 {
        return Err("a reserved field of a set's config is not zero");
    }
    Ok(SetTerms {
        tag: config.tag,
        nonce: Nonce::new(config.nonce),
        desired_ux: Ux::from_wire(config.desired_ux),
        algorithm,
        link_timeout: config.link_timeout_ns,
        held_bytes_max: config.held_bytes_max,
        switch_ahead_max: config.switch_ahead_max,
        legs_max: config.legs_max,
        launches_max: config.launches_max,
        held_sends_max: config.held_sends_max,
        held_age_max,
        switch_run_min: config.switch_run_min,
        ready_by_poll: config.ready_by_poll == 1,
    })
}

pub(super) fn known_algorithm(algorithm: u8) -> Result<Option<Algorithm>, Why> {
    match algorithm {
        CIRCFLOW_ALGORITHM_BY_UX => Ok(None),
        CIRCFLOW_ALGORITHM_MIN_RTT => Ok(Some(Algorithm::MinRtt)),
        CIRCFLOW_ALGORITHM_LOW_RTT => Ok(Some(Algorithm::LowRtt)),
        CIRCFLOW_ALGORITHM_CWND_RTT => Ok(Some(Algorithm::CwndRtt)),
        CIRCFLOW_ALGORITHM_ON_TIME => Ok(Some(Algorithm::OnTime)),
        CIRCFLOW_ALGORITHM_ECF => Ok(Some(Algorithm::Ecf)),
        CIRCFLOW_ALGORITHM_BLEST => Ok(Some(Algorithm::Blest)),
        CIRCFLOW_ALGORITHM_OTIAS => Ok(Some(Algorithm::Otias)),
        CIRCFLOW_ALGORITHM_RANDOM => Ok(Some(Algorithm::Random)),
        _ => Err("a set has an unknown algorithm"),
    }
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
        ready_by_poll: 0,
        reserved: 0,
        held_sends_max: limits::HELD_SENDS_DEFAULT,
        reserved2: 0,
        held_age_max_ns: CIRCFLOW_AS_ENGINE,
        switch_run_min: 0,
        reserved3: 0,
    }
}
