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

/// Legs that a set can have at most.
pub const CIRCFLOW_LEGS_MAX: usize = 16;

/// circflow_set_config.held_age_max_ns: as the engine has it.
pub const CIRCFLOW_AS_ENGINE: u64 = u64::MAX;

/// desired_ux (prop329 2.2): no opinion. The peer sends by lowest RTT with room.
pub const CIRCFLOW_UX_NO_OPINION: u8 = 0;
/// desired_ux: lowest latency. The peer sends on the leg with the lowest RTT and waits when that has no room.
pub const CIRCFLOW_UX_MIN_LATENCY: u8 = 1;
/// desired_ux: lowest latency, and at most one SWITCH in a congestion window.
pub const CIRCFLOW_UX_LOW_MEM_LATENCY: u8 = 2;
/// desired_ux: highest throughput. The peer sends by lowest RTT with room.
pub const CIRCFLOW_UX_HIGH_THROUGHPUT: u8 = 3;
/// desired_ux: highest throughput, and at most one SWITCH in a congestion window.
pub const CIRCFLOW_UX_LOW_MEM_THROUGHPUT: u8 = 4;

/// circflow_set_config.algorithm: chosen by the UX that the peer asks for, as the protocol has it.
pub const CIRCFLOW_ALGORITHM_BY_UX: u8 = 0;
/// circflow_set_config.algorithm: MinRTT (prop329 3.1).
pub const CIRCFLOW_ALGORITHM_MIN_RTT: u8 = 1;
/// circflow_set_config.algorithm: LowRTT (prop329 3.2).
pub const CIRCFLOW_ALGORITHM_LOW_RTT: u8 = 2;
/// circflow_set_config.algorithm: CwndRTT: the fastest leg while it has room, else the fastest other leg that can take
/// a cell without finishing later.
pub const CIRCFLOW_ALGORITHM_CWND_RTT: u8 = 3;

/// What a set is made with. Fill it with circflow_set_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_set_config {
    /// sizeof(circflow_set_config) as your compiler saw it.
    pub size: size_t,
    /// Yours. It comes back in every instruction about the set; make it other than 0, which stands for "no set" there.
    pub tag: u64,
    /// A client's secret: 32 fresh random bytes for each set, sent to one exit and to nobody else (prop329 2.2). Wipe
    /// your copy. Not used by circflow_engine_accept_sets().
    pub nonce: [u8; CIRCFLOW_NONCE_LEN],
    /// How long a leg may wait for LINKED (client) or LINKED_ACK (exit), at least 1. It runs from the call that queued
    /// LINK or LINKED, so that it bounds your own delay too; the round trip is measured from when you take that
    /// instruction. Default 60 s; give your circuit build timeout if that is shorter.
    pub link_timeout_ns: u64,
    /// Bytes that the set may hold for order. 0: the first message out of order closes the set. Default 16 MiB. Where
    /// cfx_max_oooq_bytes says less when the set is opened, that counts.
    pub held_bytes_max: u64,
    /// How many messages ahead of the last delivered one a SWITCH may move a leg. Default 1048576.
    pub switch_ahead_max: u32,
    /// Legs of the set at a time, 1 to CIRCFLOW_LEGS_MAX. Default 0: what cfx_max_legs_set says when the set is opened,
    /// 8 if that was never set, and CIRCFLOW_LEGS_MAX if it is more.
    pub legs_max: u32,
    /// Client: legs that may be launched, failed ones counted (also those that failed while they were built), until the
    /// set is usable, and again after each time that every leg has been answered (prop329 4.2.2). Default 0: what
    /// cfx_num_legs_set and cfx_max_unlinked_leg_retry add up to when the set is opened, 5 if they were never set.
    pub launches_max: u32,
    /// What this end wants of the other, CIRCFLOW_UX_*. Default: HIGH_THROUGHPUT.
    pub desired_ux: u8,
    /// How this end chooses its sending leg, CIRCFLOW_ALGORITHM_*. Default: BY_UX.
    pub algorithm: u8,
    /// Zero.
    pub reserved: [u8; 2],
    /// Messages that may be held for sending while padding blocks the legs; then sending answers CIRCFLOW_ERR_NO_ROOM,
    /// with 0 at once. Default 32.
    pub held_sends_max: u32,
    /// Zero.
    pub reserved2: u32,
    /// How long a message may be held for order, as circflow_engine_config.held_age_max_ns says; 0 for as long as it
    /// takes. Default CIRCFLOW_AS_ENGINE: what that says.
    pub held_age_max_ns: u64,
}

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_set_config {}

/// Fills a config with the defaults. Pass sizeof(circflow_set_config).
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

/// Exit: accepts sets that clients open with LINK, and says what each is made with. Until this is called, after it is
/// called with NULL, and while the parameter cfx_enabled is 0, a LINK is a protocol violation. Sets that live already
/// are not touched.
///
/// A set appears with its first CIRCFLOW_INSN_LINKED. What an exit of Tor asks for is desired_ux
/// CIRCFLOW_UX_MIN_LATENCY.
///
/// Own statuses: CIRCFLOW_ERR_INVALID as for circflow_set_open().
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

/// Client: opens a set, with no legs yet. It ends with its last leg, or with circflow_set_close().
///
/// Own statuses: CIRCFLOW_ERR_INVALID for an unknown UX or algorithm, legs_max above 16, link_timeout_ns or
/// switch_ahead_max 0, held_age_max_ns above a week, or a reserved field that is not 0; CIRCFLOW_ERR_DISABLED:
/// cfx_enabled is 0; CIRCFLOW_ERR_NONCE_IN_USE: draw another; CIRCFLOW_ERR_TOO_MANY at sets_max: close some;
/// CIRCFLOW_ERR_UNDRAINED: drain first.
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

/// Ends a set at the host's wish: a close is queued for each leg, then CIRCFLOW_INSN_ENDED. Tokens that are held come
/// back as CIRCFLOW_INSN_DISCARD. The set's id is stale from now on.
///
/// A set ends well when no stream is open on it any more: send END on each, take what that queues, write it out, then
/// close the set and its circuits. The other end, which learns of that by DESTROY on one leg after another, sees
/// CIRCFLOW_ERR_SET_FINISHED as the cause, where circflow runs its streams. Where they are yours, call this there too,
/// before circflow_circuit_gone(), once you have seen the last END: the cause is then CIRCFLOW_OK. Anything else is
/// CIRCFLOW_ERR_LEG_LOST: something may have been lost.
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

/// Takes the last leg out of a set, as a circuit of its own again that keeps its streams; the set is gone, without a
/// CIRCFLOW_INSN_ENDED. Only when it is
/// the set's one leg, all of its handshake is done (LINKED_ACK included), and nothing is held, so that its own order is
/// the order.
///
/// Own statuses: CIRCFLOW_ERR_NOT_ALONE: close the other legs, and drain.
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

/// Gives a set another tag: it comes back as set_tag from now on, also in instructions that wait already. For an exit,
/// which first hears of a set in CIRCFLOW_INSN_LINKED, when all it has is the tag of circflow_engine_accept_sets():
/// name the set there, inside the drain, and whatever follows has the name. Also for a set with legs on other engines
/// of a hub, on the engine that has the set: instructions of the others name no set.
///
/// Own statuses: none. An ended set is not named any more: its id is stale, and its CIRCFLOW_INSN_ENDED has the tag it
/// had.
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

/// Changes how this end chooses the sending leg, from the next decision on; what circflow_set_get_room() has answered
/// holds no longer. If the set waits for room and another leg now has it, CIRCFLOW_INSN_MAY_SEND is queued. The peer is
/// not told.
///
/// @param algorithm  CIRCFLOW_ALGORITHM_*; BY_UX goes back to what the peer asked for last. That a peer asked for low
///                   memory, and gets at most one SWITCH in a congestion window, stays so with any.
///
/// Own statuses: CIRCFLOW_ERR_INVALID for an unknown algorithm.
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
    if config.reserved != [0; 2] || config.reserved2 != 0 {
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
    })
}

pub(super) fn known_algorithm(algorithm: u8) -> Result<Option<Algorithm>, Why> {
    match algorithm {
        CIRCFLOW_ALGORITHM_BY_UX => Ok(None),
        CIRCFLOW_ALGORITHM_MIN_RTT => Ok(Some(Algorithm::MinRtt)),
        CIRCFLOW_ALGORITHM_LOW_RTT => Ok(Some(Algorithm::LowRtt)),
        CIRCFLOW_ALGORITHM_CWND_RTT => Ok(Some(Algorithm::CwndRtt)),
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
        reserved: [0; 2],
        held_sends_max: limits::HELD_SENDS_DEFAULT,
        reserved2: 0,
        held_age_max_ns: CIRCFLOW_AS_ENGINE,
    }
}
