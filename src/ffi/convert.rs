//! Between the structs of C and the types of the floors below. Every integer that comes in is checked here.

use super::padding_types::*;
use super::status::circflow_status::*;
use super::status::{self, circflow_status};
use super::types::*;
use crate::base::{limits, Id};
use crate::conflux::set::{LegNumbers, Numbers};
use crate::conflux::{set, Algorithm, Cause, Fault, Message, Report, Role, Terms, Token};
use crate::engine::{
    self, Blocked, CircuitConfig, CircuitFlags, Error, Instruction, Misuse, Released, Verdict, VerdictKind, What,
};
use crate::padding::{self, Answer, Machines, Pad};
use crate::wire::conflux::{Nonce, Ux};
use crate::wire::Command;

pub(super) fn id(v: u64) -> Id {
    Id(v)
}

pub(super) fn circuit_id(id: Id) -> circflow_circuit_id {
    circflow_circuit_id { v: id.0 }
}

pub(super) fn set_id(id: Id) -> circflow_set_id {
    circflow_set_id { v: id.0 }
}

pub(super) fn command(number: u8) -> Command {
    Command(number)
}

/// As on the wire: an unknown wish counts as none.
pub(super) fn ux(number: u8) -> Ux {
    Ux::from_wire(number)
}

/// An array from C, or `None` when it is NULL and should not be.
#[inline]
pub(super) unsafe fn slice<'a, T>(first: *const T, count: usize) -> Option<&'a [T]> {
    if count == 0 {
        return Some(&[]);
    }
    if first.is_null() || count > isize::MAX as usize / size_of::<T>() {
        return None;
    }
    // SAFETY: not NULL, and `count` things are there by the contract of this floor.
    Some(std::slice::from_raw_parts(first, count))
}

/// A buffer from C. The caller has checked that it is not NULL, or has no room.
pub(super) unsafe fn buffer<'a>(first: *mut u8, cap: usize) -> &'a mut [u8] {
    if first.is_null() {
        return &mut [];
    }
    // SAFETY: not NULL, and `cap` bytes are there by the contract of this floor. No message is longer than BODY_MAX.
    std::slice::from_raw_parts_mut(first, cap.min(CIRCFLOW_BODY_MAX))
}

/// What is wrong with an argument.
type Why = &'static str;

#[inline(always)]
pub(super) unsafe fn message<'a>(message: &'a circflow_message) -> Result<Message<'a>, Why> {
    let len = usize::from(message.body_len);
    let form_known = message.form <= CIRCFLOW_FORM_TOKEN;
    if len > CIRCFLOW_BODY_MAX || message.hop > limits::HOPS_MAX || !form_known || (message.body.is_null() && len != 0)
    {
        return Err("a message has a body that is too long or NULL, a hop above 16, or an unknown form");
    }
    let body = if len == 0 {
        &[][..]
    } else {
        // SAFETY: not NULL, and `body_len` bytes are there by the contract of this floor.
        std::slice::from_raw_parts(message.body, len)
    };
    let token = (message.form == CIRCFLOW_FORM_TOKEN).then_some(Token { token: message.token, cost: message.cost });
    Ok(Message { command: Command(message.command), hop: message.hop, stream_id: message.stream_id, body, token })
}

#[inline]
pub(super) unsafe fn write_verdict(out: *mut circflow_verdict, verdict: &Verdict) {
    use circflow_verdict_kind::*;
    let kind = match verdict.kind {
        VerdictKind::Deliver => CIRCFLOW_VERDICT_DELIVER,
        VerdictKind::Held => CIRCFLOW_VERDICT_HELD,
        VerdictKind::Consumed => CIRCFLOW_VERDICT_CONSUMED,
        VerdictKind::Refuse => CIRCFLOW_VERDICT_REFUSE,
        VerdictKind::Send => CIRCFLOW_VERDICT_SEND,
    };
    // SAFETY: not NULL (checked by every caller), and room for a verdict by the contract of this floor.
    out.write(circflow_verdict {
        kind: kind as u8,
        ready: u8::from(verdict.ready),
        end_reason: u16::from(verdict.end_reason),
        switch_delta: verdict.switch_delta,
        circuit: circuit_id(verdict.circuit),
        circuit_tag: verdict.circuit_tag,
        number: verdict.number,
    });
}

/// Reports, if none has a flag that nobody knows.
#[inline(always)]
pub(super) fn reports(reports: &[circflow_leg_report]) -> Result<impl Iterator<Item = (Id, Report)> + Clone + '_, Why> {
    let known = CIRCFLOW_REPORT_SLOW_START | CIRCFLOW_REPORT_CHANNEL_BLOCKED;
    if reports.iter().any(|report| report.flags & !known != 0) {
        return Err("a report has an unknown flag");
    }
    Ok(reports.iter().map(|report| (Id(report.circuit.v), news(report))))
}

#[inline(always)]
fn news(report: &circflow_leg_report) -> Report {
    Report {
        cwnd: report.cwnd,
        inflight: report.inflight,
        rtt: report.rtt_ns,
        sendme_inc: report.sendme_inc,
        slow_start: report.flags & CIRCFLOW_REPORT_SLOW_START != 0,
        blocked: report.flags & CIRCFLOW_REPORT_CHANNEL_BLOCKED != 0,
    }
}

pub(super) fn role(role: u8) -> Result<Role, Why> {
    match role {
        CIRCFLOW_ROLE_CLIENT => Ok(Role::Client),
        CIRCFLOW_ROLE_EXIT => Ok(Role::Exit),
        _ => Err("an unknown role"),
    }
}

pub(super) fn circuit_config(config: &circflow_circuit_config) -> Result<CircuitConfig, Why> {
    let role = role(config.role)?;
    if config.reserved != 0 {
        return Err("a reserved field of a circuit's config is not zero");
    }
    let flags = circuit_flags(config.flags)?;
    let (tag, join_point, hops) = (config.tag, config.join_point, config.hops);
    Ok(CircuitConfig { tag, join_point, role, hops, flags, held_sends_max: config.held_sends_max })
}

pub(super) fn circuit_flags(flags: u8) -> Result<CircuitFlags, Why> {
    if flags & !CircuitFlags::KNOWN != 0 {
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
);

pub(super) fn set_config(config: &circflow_set_config) -> Result<Terms, Why> {
    let algorithm = match config.algorithm {
        CIRCFLOW_ALGORITHM_BY_UX => None,
        CIRCFLOW_ALGORITHM_MIN_RTT => Some(Algorithm::MinRtt),
        CIRCFLOW_ALGORITHM_LOW_RTT => Some(Algorithm::LowRtt),
        CIRCFLOW_ALGORITHM_CWND_RTT => Some(Algorithm::CwndRtt),
        _ => return Err("a set has an unknown algorithm"),
    };
    if config.desired_ux > CIRCFLOW_UX_LOW_MEM_THROUGHPUT {
        return Err("a set asks for an unknown UX");
    }
    if !(1..=CIRCFLOW_LEGS_MAX as u32).contains(&config.legs_max) {
        return Err("legs_max of a set is not 1 to 16");
    }
    if config.link_timeout_ns == 0 || config.switch_ahead_max == 0 || config.launches_max == 0 {
        return Err("link_timeout_ns, switch_ahead_max or launches_max of a set is 0");
    }
    if config.reserved != [0; 2] || config.reserved2 != 0 {
        return Err("a reserved field of a set's config is not zero");
    }
    Ok(Terms {
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
    })
}

pub(super) fn padding_terms(config: &circflow_padding_config, machines: Machines) -> Result<padding::Terms, Why> {
    let fractions = [config.padding_fraction, config.blocking_fraction, config.inbound_fraction];
    // Both ends belong to the range, and what is not a number to none.
    if !fractions.iter().all(|fraction| (0.0..=1.0).contains(fraction)) {
        return Err("a fraction of a padder is not 0.0 to 1.0");
    }
    if config.slot >= limits::PADDER_SLOTS || config.hop > limits::HOPS_MAX {
        return Err("the slot of a padder is above 1, or its hop above 16");
    }
    if config.flags & !(CIRCFLOW_PADDING_STOP_AT_END | CIRCFLOW_PADDING_OPEN_BETWEEN) != 0 || config.reserved != 0 {
        return Err("a padder has an unknown flag, or its reserved field is not zero");
    }
    Ok(padding::Terms {
        machines,
        hop: config.hop,
        slot: config.slot,
        padding_frac: config.padding_fraction,
        blocking_frac: config.blocking_fraction,
        inbound_frac: config.inbound_fraction,
        inbound_grace: config.inbound_grace,
        queued_max: config.queued_cells_max,
        stop_at_end: config.flags & CIRCFLOW_PADDING_STOP_AT_END != 0,
        opens_between: config.flags & CIRCFLOW_PADDING_OPEN_BETWEEN != 0,
    })
}

pub(super) fn padding_answer(answer: u8) -> Result<Answer, Why> {
    match answer {
        CIRCFLOW_PADDING_SENT => Ok(Answer::Sent),
        CIRCFLOW_PADDING_REPLACED => Ok(Answer::Replaced),
        CIRCFLOW_PADDING_RELEASED => Ok(Answer::Released),
        CIRCFLOW_PADDING_REFUSED => Ok(Answer::Refused),
        _ => Err("an unknown answer to a padding instruction"),
    }
}

pub(super) fn pad_in(padding: &circflow_insn_padding) -> Pad {
    Pad {
        hop: padding.hop,
        slot: padding.slot,
        machine: padding.machine,
        bypass: padding.flags & CIRCFLOW_PADDING_BYPASS != 0,
        replace: padding.flags & CIRCFLOW_PADDING_REPLACE != 0,
    }
}

fn pad_out(pad: Pad, asks: bool) -> circflow_insn_padding {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(pad.bypass, CIRCFLOW_PADDING_BYPASS)
        | flag(pad.replace, CIRCFLOW_PADDING_REPLACE)
        | flag(asks, CIRCFLOW_PADDING_ASKS);
    circflow_insn_padding { command: Command::DROP.0, hop: pad.hop, slot: pad.slot, flags, machine: pad.machine }
}

fn send_held(released: &Released) -> circflow_insn_send {
    let Released { hop, message } = released;
    circflow_insn_send {
        command: message.command.0,
        hop: *hop,
        stream_id: message.stream_id,
        body_len: message.body_len,
        form: if message.token.is_some() { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES },
        token: message.token.map_or(0, |token| token.token),
        number: message.number,
        cost: message.token.map_or(0, |token| token.cost),
        ..NO_SEND
    }
}

const NO_SEND: circflow_insn_send = circflow_insn_send {
    command: 0,
    hop: 0,
    stream_id: 0,
    body_len: 0,
    form: CIRCFLOW_FORM_BYTES,
    reserved: [0; 9],
    token: 0,
    number: 0,
    cost: 0,
    reserved2: 0,
};

pub(super) const NOTHING: circflow_insn = circflow_insn {
    kind: circflow_insn_kind::CIRCFLOW_INSN_NONE as u32,
    flags: 0,
    circuit: circflow_circuit_id { v: 0 },
    set: circflow_set_id { v: 0 },
    circuit_tag: 0,
    set_tag: 0,
    detail: circflow_insn_detail { reserved: [0; 5] },
};

#[inline(always)]
pub(super) fn insn(instruction: Option<Instruction>) -> circflow_insn {
    use circflow_insn_kind::*;
    let mut insn = NOTHING;
    let Some(instruction) = instruction else { return insn };
    insn.circuit = circuit_id(instruction.circuit);
    insn.set = set_id(instruction.set);
    insn.circuit_tag = instruction.circuit_tag;
    insn.set_tag = instruction.set_tag;
    let kind = match instruction.what {
        What::Send { command, hop, body_len } => {
            insn.detail.send = circflow_insn_send { command: command.0, hop, body_len, ..NO_SEND };
            CIRCFLOW_INSN_SEND
        }
        What::SendHeld(released) => {
            insn.detail.send = send_held(&released);
            CIRCFLOW_INSN_SEND
        }
        What::Pad { pad, asks } => {
            insn.detail.padding = pad_out(pad, asks);
            CIRCFLOW_INSN_PADDING
        }
        What::Block { bypassable } => {
            insn.detail.block = circflow_insn_block { bypassable: u32::from(bypassable) };
            CIRCFLOW_INSN_BLOCK
        }
        What::Unblock => CIRCFLOW_INSN_UNBLOCK,
        What::Deliver(delivery) => {
            insn.detail.deliver = circflow_insn_deliver {
                number: delivery.number,
                token: delivery.token.map_or(0, |token| token.token),
                cost: delivery.token.map_or(0, |token| token.cost),
                stream_id: delivery.stream_id,
                body_len: delivery.body_len,
                command: delivery.command.0,
                form: if delivery.token.is_some() { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES },
            };
            CIRCFLOW_INSN_DELIVER
        }
        What::Discard(token) => {
            insn.detail.discard = circflow_insn_discard { token: token.token, cost: token.cost };
            CIRCFLOW_INSN_DISCARD
        }
        What::Close(cause) => {
            insn.detail.close = close(cause);
            CIRCFLOW_INSN_CLOSE
        }
        What::Ended(cause) => {
            insn.detail.close = close(cause);
            CIRCFLOW_INSN_ENDED
        }
        What::Linked(rtt_ns) => {
            insn.detail.linked = circflow_insn_linked { rtt_ns };
            CIRCFLOW_INSN_LINKED
        }
        What::Resume => CIRCFLOW_INSN_RESUME,
        What::Usable => CIRCFLOW_INSN_USABLE,
        What::WantLeg => CIRCFLOW_INSN_WANT_LEG,
    };
    insn.kind = kind as u32;
    insn
}

fn close(cause: Cause) -> circflow_insn_close {
    let cause = match cause {
        Cause::Asked => CIRCFLOW_OK,
        Cause::LegLost => CIRCFLOW_ERR_LEG_LOST,
        Cause::Fault(fault) => fault_status(fault),
    };
    circflow_insn_close { cause, reason: u32::from(status::close_reason(cause)) }
}

pub(super) fn engine_stats(stats: &engine::Stats) -> circflow_engine_stats {
    circflow_engine_stats {
        size: size_of::<circflow_engine_stats>(),
        circuits: stats.circuits,
        sets: stats.sets,
        insns: stats.instructions,
        insns_peak: stats.instructions_peak,
        timers: stats.timers,
        reserved: 0,
        held: stats.held,
        held_bytes: stats.held_bytes,
        held_bytes_peak: stats.held_bytes_peak,
        pool_bytes: stats.pool_bytes,
        time_backwards: stats.time_backwards,
        peer_faults: stats.peer_faults,
        log_dropped: stats.log_dropped,
        padding_received: stats.padding_received,
        lateness: stats.lateness.0,
    }
}

pub(super) fn padding_stats(stats: &padding::Stats) -> circflow_padding_stats {
    circflow_padding_stats {
        size: size_of::<circflow_padding_stats>(),
        machines: stats.machines,
        timers: stats.timers,
        normal_sent: stats.normal_sent,
        padding_sent: stats.padding_sent,
        replaced: stats.replaced,
        refused: stats.refused,
        normal_recv: stats.normal_recv,
        padding_recv: stats.padding_recv,
        blocks: stats.blocks,
        blocked_ns: stats.blocked,
    }
}

pub(super) fn set_stats(stats: &set::Stats) -> circflow_set_stats {
    circflow_set_stats {
        size: size_of::<circflow_set_stats>(),
        legs: stats.legs,
        legs_unlinked: stats.legs_unlinked,
        usable: u32::from(stats.usable),
        peer_ux: u32::from(stats.peer_ux),
        primary: circuit_id(stats.primary),
        most_active: circuit_id(stats.most_active),
        last_active_ns: stats.last_active,
        sent: stats.sent,
        delivered: stats.delivered,
        held: stats.held,
        held_peak: stats.held_peak,
        held_bytes: stats.held_bytes,
        held_bytes_peak: stats.held_bytes_peak,
        switches_sent: stats.switches_sent,
        switches_received: stats.switches_received,
    }
}

pub(super) fn set_numbers(numbers: &Numbers) -> circflow_set_numbers {
    circflow_set_numbers { delivered: numbers.delivered, sending: circuit_id(numbers.sending) }
}

pub(super) fn set_numbers_in(numbers: &circflow_set_numbers) -> Numbers {
    Numbers { delivered: numbers.delivered, sending: Id(numbers.sending.v) }
}

pub(super) fn leg_numbers(row: &LegNumbers) -> circflow_leg_numbers {
    circflow_leg_numbers { circuit: circuit_id(row.leg), sent: row.sent, recv: row.recv }
}

pub(super) fn leg_numbers_in(row: &circflow_leg_numbers) -> LegNumbers {
    LegNumbers { leg: Id(row.circuit.v), sent: row.sent, recv: row.recv }
}

impl From<Error> for circflow_status {
    fn from(error: Error) -> circflow_status {
        match error {
            Error::Misuse(misuse) => misuse_status(misuse),
            Error::Blocked(blocked) => match blocked {
                Blocked::NoRoom => CIRCFLOW_ERR_BLOCKED,
                Blocked::NotUsable => CIRCFLOW_ERR_NOT_USABLE,
                Blocked::Undrained => CIRCFLOW_ERR_UNDRAINED,
                Blocked::Gone => CIRCFLOW_ERR_GONE,
                Blocked::Full => CIRCFLOW_ERR_FULL,
                Blocked::Refused => CIRCFLOW_ERR_REFUSED,
            },
            Error::Fault(fault) => fault_status(fault),
            Error::Expired => CIRCFLOW_ERR_EXPIRED,
        }
    }
}

fn misuse_status(misuse: Misuse) -> circflow_status {
    match misuse {
        Misuse::Invalid => CIRCFLOW_ERR_INVALID,
        Misuse::ZeroId => CIRCFLOW_ERR_ZERO_ID,
        Misuse::ForeignId => CIRCFLOW_ERR_FOREIGN_ID,
        Misuse::StaleId => CIRCFLOW_ERR_STALE_ID,
        Misuse::TooSmall => CIRCFLOW_ERR_TOO_SMALL,
        Misuse::NotALeg => CIRCFLOW_ERR_NOT_A_LEG,
        Misuse::InSet => CIRCFLOW_ERR_IN_SET,
        Misuse::LegMismatch => CIRCFLOW_ERR_LEG_MISMATCH,
        Misuse::HasStreams => CIRCFLOW_ERR_HAS_STREAMS,
        Misuse::NoVegas => CIRCFLOW_ERR_NO_VEGAS,
        Misuse::NotMultiplexed => CIRCFLOW_ERR_NOT_MULTIPLEXED,
        Misuse::NotDecided => CIRCFLOW_ERR_NOT_DECIDED,
        Misuse::NoLegs => CIRCFLOW_ERR_NO_LEGS,
        Misuse::Numbers => CIRCFLOW_ERR_NUMBERS,
        Misuse::NotAlone => CIRCFLOW_ERR_NOT_ALONE,
        Misuse::TooManyLegs => CIRCFLOW_ERR_TOO_MANY_LEGS,
        Misuse::TooManyLaunches => CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
        Misuse::NonceInUse => CIRCFLOW_ERR_NONCE_IN_USE,
        Misuse::Role => CIRCFLOW_ERR_ROLE,
        Misuse::BadMachines => CIRCFLOW_ERR_BAD_MACHINES,
        Misuse::UnknownPadding => CIRCFLOW_ERR_UNKNOWN_PADDING,
        Misuse::PadderExists => CIRCFLOW_ERR_PADDER_EXISTS,
        Misuse::NoPadder => CIRCFLOW_ERR_NO_PADDER,
        Misuse::NotAsked => CIRCFLOW_ERR_NOT_ASKED,
    }
}

fn fault_status(fault: Fault) -> circflow_status {
    match fault {
        Fault::BadLink => CIRCFLOW_ERR_BAD_LINK,
        Fault::UnexpectedLink => CIRCFLOW_ERR_UNEXPECTED_LINK,
        Fault::UnexpectedLinked => CIRCFLOW_ERR_UNEXPECTED_LINKED,
        Fault::UnexpectedLinkedAck => CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
        Fault::BadNonce => CIRCFLOW_ERR_BAD_NONCE,
        Fault::BadLinkNumbers => CIRCFLOW_ERR_BAD_LINK_NUMBERS,
        Fault::UnfitLink => CIRCFLOW_ERR_UNFIT_LINK,
        Fault::ConfluxOff => CIRCFLOW_ERR_CONFLUX_OFF,
        Fault::WrongHop => CIRCFLOW_ERR_WRONG_HOP,
        Fault::BadSwitch => CIRCFLOW_ERR_BAD_SWITCH,
        Fault::UnexpectedSwitch => CIRCFLOW_ERR_UNEXPECTED_SWITCH,
        Fault::SwitchRepeated => CIRCFLOW_ERR_SWITCH_REPEATED,
        Fault::SwitchZero => CIRCFLOW_ERR_SWITCH_ZERO,
        Fault::SwitchTooFar => CIRCFLOW_ERR_SWITCH_TOO_FAR,
        Fault::NumberOverflow => CIRCFLOW_ERR_NUMBER_OVERFLOW,
        Fault::NumberStale => CIRCFLOW_ERR_NUMBER_STALE,
        Fault::NumberTwice => CIRCFLOW_ERR_NUMBER_TWICE,
        Fault::UnlinkedData => CIRCFLOW_ERR_UNLINKED_DATA,
        Fault::StreamSendme => CIRCFLOW_ERR_STREAM_SENDME,
        Fault::BadStreamId => CIRCFLOW_ERR_BAD_STREAM_ID,
        Fault::SetMemory => CIRCFLOW_ERR_SET_MEMORY,
        Fault::EngineMemory => CIRCFLOW_ERR_ENGINE_MEMORY,
        Fault::LinkLimit => CIRCFLOW_ERR_LINK_LIMIT,
        Fault::LinkedTimeout => CIRCFLOW_ERR_LINKED_TIMEOUT,
        Fault::LinkedAckTimeout => CIRCFLOW_ERR_LINKED_ACK_TIMEOUT,
        Fault::PaddingUnexpected => CIRCFLOW_ERR_PADDING_UNEXPECTED,
        Fault::PaddingExcess => CIRCFLOW_ERR_PADDING_EXCESS,
        Fault::BadNegotiated => CIRCFLOW_ERR_BAD_NEGOTIATED,
    }
}
