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

pub(super) use report::{are_known, news_of, reports};
pub(super) use send::tell_of_sent;

use super::door;
use super::engine::{circflow_engine, known_class, CIRCFLOW_PATH_EXIT};
use super::id::*;
use super::inward::Why;
use super::sized;
use super::status::circflow_status;
use crate::base::{limits, Hops};
use crate::conflux::Role;
use crate::engine::{CircuitConfig, CircuitFlags};
use libc::size_t;

/// circflow_circuit_config.role: this end opened the circuit.
pub const CIRCFLOW_ROLE_CLIENT: u8 = 1;
/// circflow_circuit_config.role: this end is a relay. It is the last hop of the circuit, or a middle one with
/// CIRCFLOW_CIRCUIT_EXTENDED.
pub const CIRCFLOW_ROLE_RELAY: u8 = 2;

/// circflow_circuit_config.flags: Vegas congestion control was negotiated with the join point.
pub const CIRCFLOW_CIRCUIT_VEGAS: u32 = 1;
/// circflow_circuit_config.flags: the circuit carries or has carried streams.
pub const CIRCFLOW_CIRCUIT_STREAMS: u32 = 2;
/// circflow_circuit_config.flags: relay: the circuit goes on to a next relay, so this relay is no exit for it.
pub const CIRCFLOW_CIRCUIT_EXTENDED: u32 = 4;
/// circflow_circuit_config.flags: streams may end at other hops than the join point (leaky pipe). Their messages are
/// delivered without a number. Without this flag they are a protocol violation on a leg.
pub const CIRCFLOW_CIRCUIT_LEAKY_PIPE: u32 = 8;
/// circflow_circuit_config.flags: the circuit also has padding that circflow does not run. DROP, PADDING_NEGOTIATE and
/// PADDING_NEGOTIATED that do not belong to circflow's padders are then delivered to you, and never a protocol
/// violation.
pub const CIRCFLOW_CIRCUIT_OTHER_PADDER: u32 = 16;
/// circflow_circuit_config.flags: you keep the cells that padding blocks. circflow holds no messages for this circuit.
/// It tells you when to block (CIRCFLOW_INSN_BLOCK, CIRCFLOW_INSN_UNBLOCK), and asks you about each padding cell
/// (CIRCFLOW_PADDING_ASKS). It is meant for a relay whose queue also has cells that pass, and for a host that leaves
/// DATA in its streams until it can go. It cannot be changed once there is a padder.
pub const CIRCFLOW_CIRCUIT_OWN_QUEUE: u32 = 32;
/// circflow_circuit_config.flags: circflow runs the circuit. It counts DATA, sends and checks SENDMEs, keeps the
/// congestion window (with CIRCFLOW_CIRCUIT_VEGAS), knows the streams and their XON and XOFF, and holds cells for a
/// full channel. Feed every cell: a recognised one with circflow_circuit_receive(), any other with
/// circflow_circuit_relay(). Report a full channel with circflow_circuit_set_writable(), and send for streams with
/// circflow_stream_send(). The flag cannot be changed after the circuit is opened.
pub const CIRCFLOW_CIRCUIT_REACTOR: u32 = 64;
/// circflow_circuit_config.flags: a client's circuit on which the last hop may open streams (an onion service's). Give
/// it to circflow_circuit_extend(), so that it holds for the virtual hop only.
pub const CIRCFLOW_CIRCUIT_SERVICE: u32 = 128;

/// The configuration of a circuit. Fill it with circflow_circuit_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_circuit_config {
    /// sizeof(circflow_circuit_config) as your compiler saw it.
    pub size: size_t,
    /// A number of yours. It comes back in every verdict and instruction about the circuit. If you look at
    /// it there, do not use 0, which means "no circuit".
    pub tag: u64,
    /// Client: a number of yours for the relay that is the last hop: equal for two circuits if and only if that relay
    /// is the same. Exit: 0.
    pub join_point: u64,
    /// CIRCFLOW_ROLE_CLIENT, the default, or CIRCFLOW_ROLE_RELAY for an exit or a middle relay.
    pub role: u8,
    /// Client: number of hops, 1 to 16, default 3. The last one is the join point. circflow_circuit_extend() adds more.
    /// Relay: 0, which you have to set.
    pub hops: u8,
    /// CIRCFLOW_PATH_*: the parameters of congestion control to use. Default: CIRCFLOW_PATH_EXIT.
    pub path_class: u8,
    /// With CIRCFLOW_CIRCUIT_REACTOR: DATA cells that one SENDME acknowledges, as negotiated when the circuit was built
    /// (prop324 10). It differs from "cc_sendme_inc" by 1 at most. Default 0: the value of "cc_sendme_inc".
    pub sendme_inc: u8,
    /// CIRCFLOW_CIRCUIT_*, or-ed together. An unknown flag is refused. Default: CIRCFLOW_CIRCUIT_VEGAS, which legs and
    /// streams need; add flags with |=.
    pub flags: u32,
    /// Messages and padding cells that may be held for sending while padding blocks the circuit, 0 or more. When so
    /// many wait, sending answers CIRCFLOW_ERR_NO_ROOM, and padding is refused. Default 32.
    pub held_sends_max: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: repr(C), size first, integers and arrays of integers.
unsafe impl sized::Growing for circflow_circuit_config {}

/// Fills a config with the defaults: a client's circuit of three hops with Vegas congestion control. Pass
/// sizeof(circflow_circuit_config) as size.
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

/// Tells the engine of a circuit. Client: call it once the circuit is open, or, for circflow_set_launch_legs(), when
/// its first cell goes out. Relay: call it once the circuit is created. The id is valid until circflow_circuit_gone().
///
/// circflow does not know which relays a circuit uses. See to it yourself that the legs of a set share no guard and no
/// middle relay (prop329 2.2).
///
/// Own statuses: CIRCFLOW_ERR_INVALID: an unknown role, flag or path_class; hops that do not fit the role;
/// CIRCFLOW_CIRCUIT_SERVICE at a relay; or, with CIRCFLOW_CIRCUIT_REACTOR, CIRCFLOW_CIRCUIT_OWN_QUEUE or a sendme_inc
/// that differs from "cc_sendme_inc" by more than 1. CIRCFLOW_ERR_TOO_MANY: circuits_max are open; close some.
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
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::answer_to_read(engine, config, config_defaults(), circuit_out, |core, config| {
            let config = circuit_config(config).map_err(|why| core.invalid(why))?;
            let id = core.open_circuit(core.time(now_ns), config)?;
            Ok(circflow_circuit_id::new(id))
        })
    }
}

/// Client: tells the engine that a circuit of circflow_set_launch_legs() is open now. It queues LINK on the circuit,
/// and waits link_timeout_ns for LINKED. The round trip is measured from the moment you take LINK. Next come
/// CIRCFLOW_INSN_LINKED and CIRCFLOW_INSN_USABLE.
///
/// Own statuses: CIRCFLOW_ERR_NOT_A_LEG: it is in no set; call circflow_set_add_legs(). CIRCFLOW_ERR_IN_SET: it is a
/// leg that was already built. CIRCFLOW_ERR_NO_VEGAS: its flags have no CIRCFLOW_CIRCUIT_VEGAS any more, so no LINK may
/// go out (prop329 2.2); close it. CIRCFLOW_ERR_CLOSING: it is closing already. CIRCFLOW_ERR_UNDRAINED: drain, then
/// call again.
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

/// Replaces all flags of a circuit, CIRCFLOW_CIRCUIT_*. Call it when a relay extends the circuit, or when it has
/// carried a stream that circflow did not see. Call it without CIRCFLOW_CIRCUIT_EXTENDED when there is no next relay
/// any more (TRUNCATE, or DESTROY from the next relay). Cells that waited for that relay are then dropped, their tokens
/// come back as CIRCFLOW_INSN_DISCARD, and a paused source may go on.
///
/// @param flags  CIRCFLOW_CIRCUIT_*, or-ed together: all that hold from now on.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: an unknown flag; a change of CIRCFLOW_CIRCUIT_OWN_QUEUE once there is a padder,
/// or on a circuit that circflow runs; a change of CIRCFLOW_CIRCUIT_REACTOR; or a change of CIRCFLOW_CIRCUIT_VEGAS on a
/// circuit that circflow runs.
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

/// Closes a circuit because you want it. It queues CIRCFLOW_INSN_CLOSE for the circuit. If the circuit is a leg, its
/// set goes on or ends, as circflow_circuit_gone() says. Call circflow_circuit_gone() when the circuit is closed. It
/// works on every circuit.
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

/// Tells the engine that a circuit is gone, whoever closed it: DESTROY came or was sent, or its channel is gone. Its id
/// is stale from now on, and instructions about it are dropped.
///
/// If it was a leg, this call decides about its set (prop329 2.4.3). The set goes on if the leg was not linked yet. It
/// also goes on if all of this is true: the leg was not the sending one, not ahead of the others in either direction,
/// not the last one, and had less than sendme_inc cells in flight. It may then ask for another leg, with
/// CIRCFLOW_INSN_WANT_LEG. Otherwise the set ends: CIRCFLOW_INSN_CLOSE comes for the other legs, then
/// CIRCFLOW_INSN_ENDED with CIRCFLOW_ERR_LEG_LOST, or with CIRCFLOW_ERR_SET_FINISHED if no stream was open and no
/// message held. The cells in flight are those of your last report, and the DATA sent since. If you know newer numbers,
/// call circflow_leg_update() first, then this.
///
/// Every deployed Tor has these rules, and they have a gap: a set goes on although fewer than sendme_inc cells were
/// lost with a leg. The messages after the lost ones then wait, until held_age_max_ns (circflow_set_config, 120 s by
/// default) ends the set with CIRCFLOW_ERR_HELD_TOO_LONG.
///
/// Own statuses: none, and never CIRCFLOW_ERR_EXPIRED. You may always call it, also while instructions wait.
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
    if flags & !u32::from(CircuitFlags::ALL.0) != 0 {
        return Err("a circuit has an unknown flag");
    }
    Ok(CircuitFlags(flags as u16))
}

// The flags of C are those of the engine.
const _: () = assert!(
    CIRCFLOW_CIRCUIT_VEGAS == CircuitFlags::VEGAS.0 as u32
        && CIRCFLOW_CIRCUIT_STREAMS == CircuitFlags::STREAMS.0 as u32
        && CIRCFLOW_CIRCUIT_EXTENDED == CircuitFlags::EXTENDED.0 as u32
        && CIRCFLOW_CIRCUIT_LEAKY_PIPE == CircuitFlags::LEAKY_PIPE.0 as u32
        && CIRCFLOW_CIRCUIT_OTHER_PADDER == CircuitFlags::OTHER_PADDER.0 as u32
        && CIRCFLOW_CIRCUIT_OWN_QUEUE == CircuitFlags::OWN_QUEUE.0 as u32
        && CIRCFLOW_CIRCUIT_REACTOR == CircuitFlags::REACTOR.0 as u32
        && CIRCFLOW_CIRCUIT_SERVICE == CircuitFlags::SERVICE.0 as u32
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
