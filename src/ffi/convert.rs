//! Between the structs of C and the types of the floors below. Every integer that comes in is checked here.

use super::padding_types::*;
use super::run_types::*;
use super::types::*;
use crate::base::purse::Allowance;
use crate::base::{limits, Hops, Id};
use crate::conflux::set::{LegNumbers, Numbers};
use crate::conflux::{set, Algorithm, LegStats, LinkState, Message, Report, Role, Terms, Token};
use crate::congestion::PathClass;
use crate::engine::{self, CircuitConfig, CircuitFlags, CircuitStats, EdgeStats, StreamConfig, StreamStats};
use crate::padding::{self, Answer, Machines, Pad};
use crate::reactor::{Data, Owner, Side, StreamUse};
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
    // SAFETY: not NULL, and `cap` bytes are there by the contract of this floor. Nothing is longer than a cell's body.
    std::slice::from_raw_parts_mut(first, cap.min(CIRCFLOW_CELL_BODY_LEN))
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

/// True when a cell can carry the message: it would be counted, and then could not be sent.
#[inline(always)]
pub(super) fn is_sendable(message: &circflow_message) -> bool {
    let least = u16::from(command(message.command) == Command::DATA);
    (least..=CIRCFLOW_BODY_MAX as u16).contains(&message.body_len)
}

/// True when the body is none too long. For the short ways, which do not look at it: what would be refused if it had to
/// wait is refused always.
#[inline(always)]
pub(super) fn fits(message: &circflow_message) -> bool {
    usize::from(message.body_len) <= CIRCFLOW_BODY_MAX
}

/// The same for a cell that passes.
#[inline(always)]
pub(super) fn cell_fits(cell: &circflow_message) -> bool {
    usize::from(cell.body_len) <= CIRCFLOW_CELL_BODY_LEN
}

/// What counts of DATA, if its length is one that a body can have.
#[inline(always)]
pub(super) fn data(message: &circflow_message) -> Option<Data> {
    let &circflow_message { hop, stream_id, body_len, .. } = message;
    fits(message).then_some(Data { hop, stream_id, len: body_len })
}

/// The tag of the cell that a message came in.
pub(super) unsafe fn cell_tag<'a>(message: &'a circflow_message) -> Result<&'a [u8], Why> {
    match (message.cell_tag.is_null(), message.cell_tag_len) {
        (_, 0) => Ok(&[]),
        // SAFETY: not NULL, and `cell_tag_len` bytes are there by the contract of this floor.
        (false, 16 | 20) => Ok(std::slice::from_raw_parts(message.cell_tag, message.cell_tag_len.into())),
        _ => Err("a cell's tag is NULL, or has neither 20 nor 16 bytes"),
    }
}

/// A cell that passes: only its command, its bytes and its form count.
pub(super) unsafe fn cell<'a>(cell: &'a circflow_message) -> Result<Message<'a>, Why> {
    let len = usize::from(cell.body_len);
    if len > CIRCFLOW_CELL_BODY_LEN || cell.form > CIRCFLOW_FORM_TOKEN || (cell.body.is_null() && len != 0) {
        return Err("a cell has a body that is too long or NULL, or an unknown form");
    }
    let body = slice(cell.body, len).unwrap_or_default();
    let token = (cell.form == CIRCFLOW_FORM_TOKEN).then_some(Token { token: cell.token, cost: cell.cost });
    Ok(Message { command: Command(cell.command), hop: 0, stream_id: 0, body, token })
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
    let class = path_class(config.path_class)?;
    let flags = circuit_flags(config.flags)?;
    let tag = config.tag;
    let hops = Hops::new(config.hops, config.join_point).ok_or("hops do not fit the role")?;
    let (held_sends_max, sendme_inc) = (config.held_sends_max, config.sendme_inc);
    if role == Role::Exit && flags.has(CircuitFlags::SERVICE) {
        return Err("a service is a client's");
    }
    Ok(CircuitConfig { tag, role, hops, flags, held_sends_max, class, sendme_inc })
}

pub(super) fn path_class(class: u8) -> Result<PathClass, Why> {
    match class {
        CIRCFLOW_PATH_EXIT => Ok(PathClass::Exit),
        CIRCFLOW_PATH_ONION => Ok(PathClass::Onion),
        CIRCFLOW_PATH_SBWS => Ok(PathClass::Sbws),
        _ => Err("an unknown class of paths"),
    }
}

pub(super) fn side(side: u8) -> Result<Side, Why> {
    match side {
        CIRCFLOW_SIDE_BACK => Ok(Side::Back),
        CIRCFLOW_SIDE_NEXT => Ok(Side::Next),
        _ => Err("a circuit has no such side"),
    }
}

/// Whose a stream is: the set's if there is one.
pub(super) fn owner(set: circflow_set_id, circuit: circflow_circuit_id) -> Owner {
    if set.v != 0 {
        Owner::Set(Id(set.v))
    } else {
        Owner::Circuit(Id(circuit.v))
    }
}

pub(super) fn stream_config(config: &circflow_stream_config) -> Result<(Owner, StreamConfig), Why> {
    if config.reserved != 0 {
        return Err("a reserved field of a stream's config is not zero");
    }
    if config.set.v != 0 && config.circuit.v != 0 {
        return Err("a stream is a set's or a circuit's");
    }
    let &circflow_stream_config { tag, stream_id, hop, priority, .. } = config;
    Ok((owner(config.set, config.circuit), StreamConfig { tag, stream_id, hop, priority }))
}

pub(super) fn circuit_flags(flags: u32) -> Result<CircuitFlags, Why> {
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

pub(super) fn algorithm(algorithm: u8) -> Result<Option<Algorithm>, Why> {
    match algorithm {
        CIRCFLOW_ALGORITHM_BY_UX => Ok(None),
        CIRCFLOW_ALGORITHM_MIN_RTT => Ok(Some(Algorithm::MinRtt)),
        CIRCFLOW_ALGORITHM_LOW_RTT => Ok(Some(Algorithm::LowRtt)),
        CIRCFLOW_ALGORITHM_CWND_RTT => Ok(Some(Algorithm::CwndRtt)),
        _ => Err("a set has an unknown algorithm"),
    }
}

pub(super) fn set_config(config: &circflow_set_config) -> Result<Terms, Why> {
    let algorithm = algorithm(config.algorithm)?;
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
        held_age_max,
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
    let known = CIRCFLOW_PADDING_STOP_AT_END | CIRCFLOW_PADDING_OPEN_BETWEEN | CIRCFLOW_PADDING_RUNS_REDUCED;
    if config.flags & !known != 0 || config.reserved != 0 {
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
        runs_reduced: config.flags & CIRCFLOW_PADDING_RUNS_REDUCED != 0,
    })
}

pub(super) fn allowance(budget: &circflow_padding_budget) -> Result<Allowance, Why> {
    if budget.disabled > 1 || budget.reduced > 1 {
        return Err("disabled and reduced of a budget of padding are 0 or 1");
    }
    Allowance::new(budget.allowed_cells, budget.max_percent, budget.disabled != 0, budget.reduced != 0)
        .ok_or("the percentage of a budget of padding is above 100")
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

pub(super) fn circuit_stats(stats: &CircuitStats) -> circflow_circuit_stats {
    circflow_circuit_stats {
        size: size_of::<circflow_circuit_stats>(),
        cwnd: stats.cwnd,
        inflight: stats.inflight,
        rtt_ns: stats.rtt,
        slow_start: u32::from(stats.slow_start),
        streams: stats.streams,
        back: edge_stats(&stats.edges[0]),
        next: edge_stats(&stats.edges[1]),
    }
}

fn edge_stats(stats: &EdgeStats) -> circflow_edge_stats {
    circflow_edge_stats {
        passed: stats.passed,
        waiting: stats.waiting,
        waiting_peak: stats.waiting_peak,
        writable: u32::from(stats.writable),
        paused: u32::from(stats.paused),
    }
}

pub(super) fn stream_stats(stats: &StreamStats) -> circflow_stream_stats {
    circflow_stream_stats {
        size: size_of::<circflow_stream_stats>(),
        buffered_bytes: stats.buffered,
        buffered_bytes_peak: stats.said.buffered_peak,
        xoffs_sent: stats.said.xoffs_sent,
        xons_sent: stats.said.xons_sent,
        xoffs_received: stats.said.xoffs_received,
        xons_received: stats.said.xons_received,
        stopped: u32::from(stats.stopped),
        reserved: 0,
    }
}

pub(super) fn engine_stats(stats: &engine::Stats) -> circflow_engine_stats {
    circflow_engine_stats {
        size: size_of::<circflow_engine_stats>(),
        circuits: stats.circuits,
        sets: stats.sets,
        insns: stats.instructions,
        insns_peak: stats.instructions_peak,
        timers: stats.timers,
        streams: stats.streams,
        held: stats.held,
        held_bytes: stats.held_bytes,
        held_bytes_peak: stats.held_bytes_peak,
        pool_bytes: stats.pool_bytes,
        time_backwards: stats.time_backwards,
        peer_faults: stats.peer_faults,
        log_dropped: stats.log_dropped,
        padding_received: stats.padding_received,
        lateness: stats.lateness.0,
        unexplained: stats.unexplained,
        time_leaps: stats.time_leaps,
        reserved_bytes: stats.reserved_bytes,
        crossing_bytes: stats.crossing_bytes,
        leaving_bytes: stats.leaving_bytes,
        padding_sent: stats.spent.padding,
        others_sent: stats.spent.other,
        padding_refused: stats.spent.refused,
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

pub(super) fn set_stats(
    stats: &set::Stats,
    streams: Option<StreamUse>,
    (total_bytes, total_since_ns): (u64, u64),
) -> circflow_set_stats {
    let no_streams_since_ns = streams.and_then(|streams| streams.idle_since).unwrap_or(CIRCFLOW_NEVER);
    let streams = streams.map_or(0, |streams| streams.open);
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
        algorithm: match stats.algorithm {
            Algorithm::MinRtt => CIRCFLOW_ALGORITHM_MIN_RTT.into(),
            Algorithm::LowRtt => CIRCFLOW_ALGORITHM_LOW_RTT.into(),
            Algorithm::CwndRtt => CIRCFLOW_ALGORITHM_CWND_RTT.into(),
        },
        launches_left: stats.launches_left,
        streams,
        no_streams_since_ns,
        held_since: stats.held_since,
        unsent: stats.unsent.into(),
        unsent_bytes: stats.unsent_bytes,
        total_bytes,
        total_since_ns,
    }
}

pub(super) fn leg_stats(stats: &LegStats) -> circflow_leg_stats {
    circflow_leg_stats {
        size: size_of::<circflow_leg_stats>(),
        state: match stats.state {
            LinkState::Unlinked => 0,
            LinkState::Building => CIRCFLOW_LEG_BUILDING,
            LinkState::Pending => CIRCFLOW_LEG_PENDING,
            LinkState::Unacked => CIRCFLOW_LEG_UNACKED,
            LinkState::Linked => CIRCFLOW_LEG_LINKED,
        },
        sendme_inc: stats.sendme_inc,
        rtt_ns: stats.rtt,
        cwnd: stats.cwnd,
        inflight: stats.inflight,
        sent: stats.sent,
        recv: stats.recv,
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
