//! `circflow_circuit_*`: a circuit's life. How it gets longer is in `extend`, what happens on it in `receive`, `send`
//! and `relay`, how it stands in `report` and `stats`.

mod extend;
mod receive;
mod relay;
mod report;
mod send;
mod stats;

pub use extend::*;
pub use receive::*;
pub use relay::*;
pub use report::*;
pub use send::*;
pub use stats::*;

pub(super) use report::reports;

use super::door;
use super::engine::{circflow_engine, known_class, CIRCFLOW_PATH_EXIT};
use super::id::*;
use super::inward::Why;
use super::sized;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::base::{limits, Hops};
use crate::conflux::Role;
use crate::engine::{CircuitConfig, CircuitFlags};
use libc::size_t;

/// circflow_circuit_config.role: this end opened the circuit.
pub const CIRCFLOW_ROLE_CLIENT: u8 = 1;
/// circflow_circuit_config.role: this end is a relay: the last hop of the circuit, or, with CIRCFLOW_CIRCUIT_EXTENDED,
/// a middle one.
pub const CIRCFLOW_ROLE_RELAY: u8 = 2;

/// circflow_circuit_config.flags: Vegas congestion control was negotiated with the join point.
pub const CIRCFLOW_CIRCUIT_VEGAS: u32 = 1;
/// circflow_circuit_config.flags: the circuit carries or has carried streams.
pub const CIRCFLOW_CIRCUIT_STREAMS: u32 = 2;
/// circflow_circuit_config.flags: the circuit goes on to another hop (at a relay), so it is no exit's.
pub const CIRCFLOW_CIRCUIT_EXTENDED: u32 = 4;
/// circflow_circuit_config.flags: streams may end at other hops than the join point (leaky pipe). Their messages are
/// delivered and not counted. Without this flag they are a protocol violation on a leg.
pub const CIRCFLOW_CIRCUIT_LEAKY_PIPE: u32 = 8;
/// circflow_circuit_config.flags: another padder than circflow's runs on the circuit too. DROP, PADDING_NEGOTIATE and
/// PADDING_NEGOTIATED that circflow cannot explain are then delivered to you, and never a protocol violation.
pub const CIRCFLOW_CIRCUIT_OTHER_PADDER: u32 = 16;
/// circflow_circuit_config.flags: you keep what padding blocks. circflow holds no messages for this circuit; it tells
/// you when to block (CIRCFLOW_INSN_BLOCK, CIRCFLOW_INSN_UNBLOCK) and asks you what becomes of each padding cell
/// (CIRCFLOW_PADDING_ASKS). For a relay, whose queue also has cells that only pass. Not to be changed once a padder is
/// there.
pub const CIRCFLOW_CIRCUIT_OWN_QUEUE: u32 = 32;
/// circflow_circuit_config.flags: circflow runs the circuit. It counts DATA, sends and checks SENDMEs, has the
/// congestion window (with CIRCFLOW_CIRCUIT_VEGAS), knows the streams and their XON and XOFF, and keeps cells that a
/// channel does not take. Feed every cell: the recognised ones with circflow_circuit_receive(), the others with
/// circflow_circuit_relay(). Say when a channel is full with circflow_circuit_set_writable(), and send what streams
/// have with circflow_stream_send(). Settled when the circuit is opened.
pub const CIRCFLOW_CIRCUIT_REACTOR: u32 = 64;
/// circflow_circuit_config.flags: a client's circuit to which its last hop opens streams (an onion service's). Say it
/// with circflow_circuit_extend(), so that no hop before the virtual one opens any.
pub const CIRCFLOW_CIRCUIT_SERVICE: u32 = 128;

/// What a circuit is opened with. Fill it with circflow_circuit_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_circuit_config {
    /// sizeof(circflow_circuit_config) as your compiler saw it.
    pub size: size_t,
    /// Yours. It comes back in every verdict and instruction about the circuit; make it other than 0, which stands for
    /// "no circuit" there.
    pub tag: u64,
    /// Client: any number that is the same for two circuits exactly when their last hop is the same relay. Exit: 0.
    pub join_point: u64,
    /// CIRCFLOW_ROLE_CLIENT, the default, or CIRCFLOW_ROLE_RELAY, at a middle relay too.
    pub role: u8,
    /// Client: number of hops, 1 to 16, default 3; the last is the join point (circflow_circuit_extend() adds more).
    /// Exit: 0, which you have to set.
    pub hops: u8,
    /// CIRCFLOW_PATH_*: which parameters of congestion control hold. Default: CIRCFLOW_PATH_EXIT.
    pub path_class: u8,
    /// With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated when the circuit was built
    /// (prop324 10); within 1 of "cc_sendme_inc". Default 0: what that says.
    pub sendme_inc: u8,
    /// CIRCFLOW_CIRCUIT_*, or-ed together; an unknown one is refused. Default: CIRCFLOW_CIRCUIT_VEGAS, which legs and
    /// streams need: add yours with |=.
    pub flags: u32,
    /// Messages, and padding cells, that may be held for sending while padding blocks the circuit; then sending answers
    /// CIRCFLOW_ERR_NO_ROOM, and padding is refused, with 0 at once. Default 32.
    pub held_sends_max: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_circuit_config {}

/// Fills a config with the defaults: a client's circuit of three hops with Vegas congestion control. Pass
/// sizeof(circflow_circuit_config).
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_config_init(
    config: *mut circflow_circuit_config,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(config, size, config_defaults()) })
}

/// Makes a circuit known: a client's once it is open, or when its first cell goes out if it is for
/// circflow_set_launch_legs(); an exit's once it is created. It lives until circflow_circuit_gone().
///
/// That the legs of a set share no guard and no middle is your duty: circflow does not know relays (prop329 2.2).
///
/// Own statuses: CIRCFLOW_ERR_INVALID for an unknown role, flag or path_class, hops that do not fit the role,
/// CIRCFLOW_CIRCUIT_SERVICE at a relay, and, with CIRCFLOW_CIRCUIT_REACTOR, for CIRCFLOW_CIRCUIT_OWN_QUEUE or a
/// sendme_inc that is not within 1 of the parameter; CIRCFLOW_ERR_TOO_MANY at circuits_max: close some;
/// CIRCFLOW_ERR_UNDRAINED: drain first.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_open(
    engine: *mut circflow_engine,
    now_ns: u64,
    config: *const circflow_circuit_config,
    circuit_out: *mut circflow_circuit_id,
) -> circflow_status {
    if circuit_out.is_null() {
        // SAFETY: the contract of this floor, which the caller keeps.
        return unsafe { door::refuse(engine, CIRCFLOW_ERR_NULL) };
    }
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    let config = match unsafe { sized::read(config, config_defaults()) } {
        Ok(config) => config,
        // SAFETY: the contract of this floor, which the caller keeps.
        Err(status) => return unsafe { door::refuse(engine, status) },
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let config = circuit_config(&config).map_err(|why| core.invalid(why))?;
            let id = core.open_circuit(core.time(now_ns), config)?;
            circuit_out.write(circflow_circuit_id::new(id));
            Ok(())
        })
    }
}

/// Client: says that a circuit of circflow_set_launch_legs() is open. LINK is queued on it, and LINKED has
/// link_timeout_ns to come; the round trip is measured from the moment you take LINK. Wait for CIRCFLOW_INSN_LINKED and
/// CIRCFLOW_INSN_USABLE.
///
/// Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set, which circflow_set_add_legs() mends; CIRCFLOW_ERR_IN_SET: it
/// is a leg that is not being built; CIRCFLOW_ERR_NO_VEGAS: its flags have lost CIRCFLOW_CIRCUIT_VEGAS, and no LINK may
/// go out (prop329 2.2): close it; CIRCFLOW_ERR_CLOSING: it is being closed already; CIRCFLOW_ERR_UNDRAINED: drain,
/// then say it again.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_circuit_built(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.circuit_built(core.time(now_ns), circuit.id())) }
}

/// Replaces all of a circuit's flags, CIRCFLOW_CIRCUIT_*: say so when it is extended, or has carried a stream that
/// circflow did not see. When a relay follows no more (TRUNCATE, or DESTROY from the next relay), say so without
/// CIRCFLOW_CIRCUIT_EXTENDED: what waited for it is dropped, tokens come back as CIRCFLOW_INSN_DISCARD, and a source
/// that was told to pause may go on.
///
/// Own statuses: CIRCFLOW_ERR_INVALID for an unknown flag, for another CIRCFLOW_CIRCUIT_OWN_QUEUE once there is a
/// padder or on a circuit that circflow runs, and for another CIRCFLOW_CIRCUIT_REACTOR, or CIRCFLOW_CIRCUIT_VEGAS with
/// it.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_set_flags(
    engine: *mut circflow_engine,
    circuit: circflow_circuit_id,
    flags: u32,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter(engine, |core| {
            let flags = known_flags(flags).map_err(|why| core.invalid(why))?;
            core.set_circuit_flags(circuit.id(), flags)
        })
    }
}

/// Shuts a circuit down at the host's wish: CIRCFLOW_INSN_CLOSE is queued for it, and its set is judged as after the
/// loss of any leg. Say circflow_circuit_gone() when it is done. Works on every circuit.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_close(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.close_circuit(core.time(now_ns), circuit.id())) }
}

/// Says that a circuit is gone (DESTROY came, or was sent, or its channel has gone), whoever closed it. Its id is
/// stale from now on, and what was queued about it is dropped.
///
/// If it was a leg, this is where its set is judged (prop329 2.4.3): the set goes on when the leg was not linked yet,
/// or when it was neither sending, nor ahead of the others in either direction, nor the last, and had less than one
/// SENDME's worth in flight. Otherwise the other legs are told to close, and CIRCFLOW_INSN_ENDED follows: with
/// CIRCFLOW_ERR_LEG_LOST, or, if nothing was under way, CIRCFLOW_ERR_SET_FINISHED. What is in
/// flight is what you reported last, and the DATA sent since: if your numbers are newer, report first how the leg
/// stands (cwnd, inflight), then say this. A set that goes on may ask for another leg, with CIRCFLOW_INSN_WANT_LEG.
///
/// These are the rules of every deployed Tor, and they leave a crack: less than one SENDME's worth of cells can be lost
/// with a leg whose set goes on. What comes after them then waits, until held_age_max_ns (circflow_set_config, 120 s by
/// default) ends the set with CIRCFLOW_ERR_HELD_TOO_LONG.
///
/// Own statuses: none, and never CIRCFLOW_ERR_EXPIRED. Always safe to call, also when instructions wait.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_circuit_gone(
    engine: *mut circflow_engine,
    now_ns: u64,
    circuit: circflow_circuit_id,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { door::enter(engine, |core| core.circuit_closed(core.time(now_ns), circuit.id())) }
}

pub(super) fn known_role(role: u8) -> Result<Role, Why> {
    match role {
        CIRCFLOW_ROLE_CLIENT => Ok(Role::Client),
        CIRCFLOW_ROLE_RELAY => Ok(Role::Exit),
        _ => Err("an unknown role"),
    }
}

pub(super) fn circuit_config(config: &circflow_circuit_config) -> Result<CircuitConfig, Why> {
    let role = known_role(config.role)?;
    if config.reserved != 0 {
        return Err("a reserved field of a circuit's config is not zero");
    }
    let class = known_class(config.path_class)?;
    let flags = known_flags(config.flags)?;
    let tag = config.tag;
    let hops = Hops::new(config.hops, config.join_point).ok_or("hops do not fit the role")?;
    let (held_sends_max, sendme_inc) = (config.held_sends_max, config.sendme_inc);
    if role == Role::Exit && flags.has(CircuitFlags::SERVICE) {
        return Err("a service is a client's");
    }
    Ok(CircuitConfig { tag, role, hops, flags, held_sends_max, class, sendme_inc })
}

pub(super) fn known_flags(flags: u32) -> Result<CircuitFlags, Why> {
    if flags & !CircuitFlags::ALL.0 != 0 {
        return Err("a circuit has an unknown flag");
    }
    Ok(CircuitFlags(flags))
}

// The flags of C are those of the engine.
const _: () = assert!(
    CIRCFLOW_CIRCUIT_VEGAS == CircuitFlags::VEGAS.0
        && CIRCFLOW_CIRCUIT_STREAMS == CircuitFlags::STREAMS.0
        && CIRCFLOW_CIRCUIT_EXTENDED == CircuitFlags::EXTENDED.0
        && CIRCFLOW_CIRCUIT_LEAKY_PIPE == CircuitFlags::LEAKY_PIPE.0
        && CIRCFLOW_CIRCUIT_OTHER_PADDER == CircuitFlags::OTHER_PADDER.0
        && CIRCFLOW_CIRCUIT_OWN_QUEUE == CircuitFlags::OWN_QUEUE.0
        && CIRCFLOW_CIRCUIT_REACTOR == CircuitFlags::REACTOR.0
        && CIRCFLOW_CIRCUIT_SERVICE == CircuitFlags::SERVICE.0
);

fn config_defaults() -> circflow_circuit_config {
    circflow_circuit_config {
        size: size_of::<circflow_circuit_config>(),
        tag: 0,
        join_point: 0,
        role: CIRCFLOW_ROLE_CLIENT,
        hops: 3,
        flags: CIRCFLOW_CIRCUIT_VEGAS,
        path_class: CIRCFLOW_PATH_EXIT,
        held_sends_max: limits::HELD_SENDS_DEFAULT,
        sendme_inc: 0,
        reserved: 0,
    }
}
