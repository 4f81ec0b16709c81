//! The padding of one circuit: its padders, the gate in front of its sender, and the cells that wait behind the gate.

use super::due::{refused, sent};
use super::negotiation::Negotiation;
use super::padder::Padder;
use super::table::Gate;
use super::unwritten::Unwritten;
use super::watch::{Instead, RefusedBy, Watch};
use super::{Admission, Answer, Key, Pace, Pad, PadderStats, PadderTerms, PaddingEffect};
use crate::base::purse::Purse;
use crate::base::time::NEVER;
use crate::base::{limits, Nanos};
use crate::message::Lane;
use crate::wire::fault::Fault;
use crate::wire::{Command, StreamRule};
use maybenot::TriggerEvent;
use std::collections::VecDeque;

/// Messages that the circuit's set holds, and that could go out on this circuit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outside {
    /// The set holds a message.
    pub held: bool,
    /// That message could go out on this circuit at once.
    pub releasable: bool,
}

/// The padding of one circuit.
#[derive(Debug)]
pub struct Padding {
    /// Earliest time at which [`Padding::step`] may have work; [`NEVER`] for no work.
    pub(super) next: Nanos,
    pub(super) padders: Vec<Padder>,
    pub(super) gate: Gate,
    /// The host has a queue of its own, and decides about padding actions.
    pub(super) asks: bool,
    pace: Pace,
    /// When the last block ended, while the cells that it held back have not been let out.
    pub(super) opening: Option<Nanos>,
    /// A padder was removed, which changed the gate or made room, and the host was not told yet.
    pub(super) moved: bool,
    /// The host was told to stop, and waits for MAY_SEND.
    stopped: bool,
    /// Messages and padding that wait behind the gate.
    pub(super) outbox: VecDeque<Entry>,
    pub(super) outbox_max: u32,
    /// Cost in bytes of the messages held here; kept by the engine.
    pub held_bytes: u64,
    /// Messages that were let out and that the host has not taken yet: nothing may overtake them.
    pub(super) released: u32,
    pub(super) unwritten: Unwritten,
    pub(super) negotiation: Negotiation,
    /// Hops whose padder was removed, and the number of padding cells that may still come from them.
    pub(super) leaving: Vec<(u8, u32)>,
    /// Time of the last event: it never goes back.
    pub(super) latest: Nanos,
    /// Number of the engine's current call, and of steps taken in it.
    pub(super) round: u32,
    pub(super) steps: u32,
    /// Unwritten cells that were queued before that call: the host had no chance to write later ones.
    pub(super) writable: u32,
}

/// Padding or a message that waits behind the gate.
#[derive(Debug)]
pub(super) enum Entry {
    Pad(Pad),
    Message { hop: u8, held: Lane },
}

impl Entry {
    pub fn hop(&self) -> u8 {
        match self {
            Entry::Pad(pad) => pad.hop,
            Entry::Message { hop, .. } => *hop,
        }
    }
}

impl Padding {
    /// Padding without padders. `asks` is true for a host with a queue of its own; `outbox_max` is the cap on messages
    /// held for any other host.
    pub fn new(asks: bool, outbox_max: u32, pace: Pace) -> Self {
        Padding {
            next: NEVER,
            padders: Vec::new(),
            gate: Gate::Open,
            asks,
            pace,
            opening: None,
            moved: false,
            stopped: false,
            outbox: VecDeque::new(),
            outbox_max,
            held_bytes: 0,
            released: 0,
            unwritten: Unwritten::default(),
            negotiation: Negotiation::default(),
            leaving: Vec::new(),
            latest: 0,
            round: 0,
            steps: 0,
            writable: 0,
        }
    }

    /// When [`Padding::step`] has to be called next; sometimes too early, never too late.
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Time of the last event.
    pub fn latest(&self) -> Nanos {
        self.latest
    }

    /// True when DATA has to wait.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.gate != Gate::Open || self.opening.is_some()
    }

    /// True when the host itself keeps the cells that a block holds back.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// True when a padder has this place.
    pub fn has(&self, hop: u8, slot: u8) -> bool {
        self.padders.iter().any(|padder| (padder.hop, padder.slot) == (hop, slot))
    }

    /// Sets a padder up. Returns false when its place is taken, the circuit has too many padders, or the terms are out
    /// of range.
    pub fn install(&mut self, terms: &PadderTerms, now: Nanos, key: Key, watch: &mut impl Watch) -> bool {
        if self.has(terms.hop, terms.slot) || self.padders.len() >= limits::PADDERS_MAX {
            return false;
        }
        let Some(padder) = Padder::new(terms, now, key, self.pace) else { return false };
        padder.note_added(watch);
        self.padders.reserve_exact(1);
        self.padders.push(padder);
        true
    }

    /// Removes a padder with its block and its waiting padding. The cells that its block held back go out with the next
    /// step. Some more padding from its hop is accepted, unless the other end has confirmed that it has stopped.
    /// Returns false when there is no such padder.
    pub fn remove(&mut self, hop: u8, slot: u8, now: Nanos, confirmed: bool, watch: &mut impl Watch) -> bool {
        let Some(index) = self.padders.iter().position(|padder| (padder.hop, padder.slot) == (hop, slot)) else {
            return false;
        };
        self.padders.remove(index).note_removed(now.max(self.latest), watch);
        self.padders.shrink_to_fit();
        if !confirmed {
            self.negotiation.forget_at_relay(hop, slot);
            self.leaving.retain(|&(left, _)| left != hop);
            self.leaving.push((hop, limits::PADDING_AFTER_END_MAX));
        }
        // The other end is told that the padder has stopped, so no padding of it may follow.
        let held = self.outbox.len();
        self.outbox.retain(|entry| !matches!(entry, Entry::Pad(pad) if (pad.hop, pad.slot) == (hop, slot)));
        let made_room = self.outbox.len() < held;
        let gate = self.combined();
        if self.gate != Gate::Open && gate == Gate::Open {
            (self.gate, self.opening) = (gate, Some(now));
        }
        self.moved = self.gate != gate || (self.opening.is_none() && made_room && self.owes_resume());
        self.refresh(now);
        true
    }

    /// Returns the figures of a padder.
    pub fn stats(&self, hop: u8, slot: u8, now: Nanos) -> Option<PadderStats> {
        let padder = self.padders.iter().find(|padder| (padder.hop, padder.slot) == (hop, slot))?;
        Some(padder.stats_at(now.max(self.latest)))
    }

    /// Tells the padders that a cell came from a hop.
    #[inline]
    pub fn received(&mut self, hop: u8, is_padding: bool, now: Nanos, watch: &mut impl Watch) {
        self.tell_padders(hop, now, |padder| {
            padder.trigger(TriggerEvent::TunnelRecv, now, !is_padding, watch);
            if is_padding && padder.hop == hop {
                padder.stats.padding_received += 1;
                padder.trigger(TriggerEvent::PaddingRecv, now, false, watch);
            } else {
                padder.stats.normal_received += 1;
                padder.trigger(TriggerEvent::NormalRecv, now, !is_padding, watch);
            }
        });
    }

    /// Checks padding that came from a hop. Returns true when a padder or the negotiation accounts for it, and a fault
    /// when it is more than allowed.
    pub fn judge_received(&mut self, hop: u8) -> Result<bool, Fault> {
        let mut known = self.negotiation.expects(hop);
        for padder in self.padders.iter().filter(|padder| padder.hop == hop) {
            known = true;
            let PadderStats { padding_received, normal_received, .. } = padder.stats;
            let all = (padding_received + normal_received) as f64;
            let limited = padder.inbound_frac > 0.0 && padding_received > padder.inbound_grace;
            if limited && padding_received as f64 > padder.inbound_frac * all {
                return Err(Fault::PaddingExcess);
            }
        }
        if known {
            return Ok(true);
        }
        match self.leaving.iter_mut().find(|(left, _)| *left == hop) {
            Some((_, 0)) | None => Ok(false),
            Some((_, allowed)) => {
                *allowed -= 1;
                Ok(true)
            }
        }
    }

    /// Tells the padders that a cell that is not padding was queued, or is held here.
    #[inline]
    pub fn normal_sent(&mut self, hop: u8, now: Nanos, watch: &mut impl Watch) {
        // A cell that a step of another leg released has the time of that step, which can be earlier.
        let now = now.max(self.latest);
        self.tell_padders(hop, now, |padder| {
            padder.stats.normal_sent += 1;
            padder.trigger(TriggerEvent::NormalSent, now, true, watch);
        });
    }

    /// Counts a cell that went into the queue towards the channel.
    #[inline]
    pub fn queued(&mut self, hop: u8) {
        self.unwritten.push(hop);
    }

    /// Tells the padders that the oldest queued cells were written. More cells than are queued are ignored.
    #[inline]
    pub fn written(&mut self, cells: u32, now: Nanos, watch: &mut impl Watch) {
        for _ in 0..cells.min(self.unwritten.cells()) {
            let Some(hop) = self.unwritten.pop() else { break };
            self.tell_padders(hop, now, |padder| padder.trigger(TriggerEvent::TunnelSent, now, false, watch));
        }
        self.latest = now;
    }

    /// Decides whether a message has to wait, and whether there is room to keep it. Messages of streams wait, control
    /// messages do not. After [`Admission::Full`] the host will hear MAY_SEND.
    pub fn admit(&mut self, command: Command) -> Admission {
        if !self.is_in_the_way(command) {
            Admission::Go
        } else if self.waiting_to_go() < self.outbox_max {
            Admission::Hold
        } else {
            self.stopped = true;
            Admission::Full
        }
    }

    /// True when [`Padding::admit`] would not let a message go.
    pub fn is_in_the_way(&self, command: Command) -> bool {
        !self.asks && command.stream_rule() == StreamRule::Needed && !self.is_clear()
    }

    /// Keeps a message for which [`Padding::admit`] answered [`Admission::Hold`]; the padders take it for queued. If no
    /// block is on, and it waits only behind messages that the host has not taken yet, it goes out with the next step.
    pub fn hold(&mut self, hop: u8, held: Lane, now: Nanos, watch: &mut impl Watch) {
        self.held_bytes += held.bytes();
        self.outbox.push_back(Entry::Message { hop, held });
        if !self.is_blocked() {
            self.opening = Some(now);
        }
        self.normal_sent(hop, now, watch);
    }

    /// Notes that the host has taken a message that was let out. Returns true when MAY_SEND is due: the host waits, and
    /// there is room again.
    pub fn taken(&mut self) -> bool {
        self.released = self.released.saturating_sub(1);
        let owes_resume = self.owes_resume();
        self.stopped &= !owes_resume;
        owes_resume
    }

    /// Counts a message of circflow's own that goes out and waits for the host to take it.
    pub fn note_own_send(&mut self) {
        self.released += 1;
    }

    /// Number of messages and padding cells that wait behind a block, or for the host to take them.
    pub fn waiting_to_go(&self) -> u32 {
        (self.outbox.len() as u32).saturating_add(self.released)
    }

    /// True when a message can go out without overtaking another.
    fn is_clear(&self) -> bool {
        !self.is_blocked() && self.outbox.is_empty() && self.released == 0
    }

    /// Notes that there was no memory to keep a message: the host now waits for MAY_SEND.
    pub fn found_no_room(&mut self) {
        self.stopped = true;
    }

    /// The oldest message held.
    pub fn first_held(&self) -> Option<&Lane> {
        self.outbox.iter().find_map(|entry| match entry {
            Entry::Message { held, .. } => Some(held),
            Entry::Pad(_) => None,
        })
    }

    /// Notes that all padders go, as the circuit does.
    pub fn note_end(&self, now: Nanos, watch: &mut impl Watch) {
        self.padders.iter().for_each(|padder| padder.note_removed(now.max(self.latest), watch));
    }

    /// Takes out all messages held, to return them to the host.
    pub fn take_held(&mut self) -> impl Iterator<Item = Lane> + '_ {
        self.outbox.drain(..).filter_map(|entry| match entry {
            Entry::Message { held, .. } => Some(held),
            Entry::Pad(_) => None,
        })
    }

    /// True while the host has not answered a [`PaddingEffect::Ask`] for this machine.
    pub fn is_asked(&self, pad: Pad) -> bool {
        let mut padders = self.padders.iter().filter(|padder| (padder.hop, padder.slot) == (pad.hop, pad.slot));
        padders.any(|padder| padder.is_asked(pad.machine))
    }

    /// Takes the host's answer to [`PaddingEffect::Ask`]. Returns false when the host was not asked.
    pub fn answered(
        &mut self,
        pad: Pad,
        answer: Answer,
        now: Nanos,
        purse: &mut Purse,
        watch: &mut impl Watch,
    ) -> bool {
        let place = self.padders.iter().position(|padder| (padder.hop, padder.slot) == (pad.hop, pad.slot));
        let Some(index) = place else { return false };
        if !self.padders.get_mut(index).is_some_and(|padder| padder.answered(pad.machine)) {
            return false;
        }
        match answer {
            Answer::Sent => {
                purse.spend_anyway();
                self.queued(pad.hop);
                watch.note(|circuit| sent(circuit, pad, false));
                self.padding_sent(index, pad.machine, now, watch);
            }
            Answer::Replaced | Answer::Released => {
                purse.replace();
                let by = if answer == Answer::Released { Instead::LetOut } else { Instead::Unwritten };
                self.count_replaced(index, pad.machine, by, now, watch);
            }
            Answer::Refused => {
                watch.note(|circuit| refused(circuit, pad, 1, RefusedBy::Host));
                self.change(index, |padder| padder.stats.refused += 1);
            }
        }
        self.refresh(now);
        true
    }

    pub(super) fn change(&mut self, index: usize, change: impl FnOnce(&mut Padder)) {
        if let Some(padder) = self.padders.get_mut(index) {
            change(padder);
        }
    }

    /// Tells the padders up to `hop` that a cell to or from `hop` passes. An event does nothing by itself: it sets
    /// timers, which are due now at the earliest.
    #[inline(always)]
    fn tell_padders(&mut self, hop: u8, now: Nanos, mut event: impl FnMut(&mut Padder)) {
        let (mut next, mut may_have_ended) = (NEVER, false);
        for padder in &mut self.padders {
            if padder.hop <= hop {
                event(padder);
            }
            next = next.min(padder.next);
            may_have_ended |= padder.stop_at_end;
        }
        self.latest = now;
        self.next = next;
        if self.opening.is_some() || self.moved || may_have_ended {
            self.refresh(now);
        }
    }

    pub(super) fn refresh(&mut self, now: Nanos) {
        self.latest = now;
        // An event can also end negotiated machines: then a step is due, although no timer is set.
        let wakes = self.opening.is_some() || self.moved || self.ended().is_some();
        self.next = if wakes { now } else { self.next_of_padders() };
    }

    #[inline]
    fn next_of_padders(&self) -> Nanos {
        self.padders.iter().map(|padder| padder.next).fold(NEVER, Nanos::min)
    }

    /// The gate of the whole circuit: it is blocked when any padder blocks, and padding may pass only if all blocks
    /// allow it.
    fn combined(&self) -> Gate {
        let mut gate = Gate::Open;
        for padder in self.padders.iter().filter(|padder| padder.is_blocking()) {
            let own = if padder.is_bypassable() { Gate::Bypassable } else { Gate::Shut };
            gate = if gate == Gate::Shut { Gate::Shut } else { own };
        }
        gate
    }

    pub(super) fn update_gate(&mut self, now: Nanos, purse: &mut Purse, effects: &mut Vec<PaddingEffect>) {
        let gate = self.combined();
        if self.gate == gate {
            return;
        }
        if self.gate == Gate::Open {
            purse.block();
        }
        self.gate = gate;
        self.opening = (gate == Gate::Open).then_some(now);
        if self.asks && gate != Gate::Open {
            effects.push(PaddingEffect::Blocked { bypassable: self.gate == Gate::Bypassable });
        }
    }

    /// Lets all waiting cells out, in order.
    pub(super) fn open(&mut self, purse: &mut Purse, effects: &mut Vec<PaddingEffect>, watch: &mut impl Watch) {
        self.opening = None;
        if self.asks {
            effects.push(PaddingEffect::Unblocked);
        }
        while let Some(entry) = self.outbox.pop_front() {
            self.let_out(entry, purse, effects, watch);
        }
        self.resume(effects);
    }

    /// Queues MAY_SEND if it is due. Also called when single cells were released: the block itself may last for a day.
    pub(super) fn resume(&mut self, effects: &mut Vec<PaddingEffect>) {
        if self.owes_resume() {
            self.stopped = false;
            effects.push(PaddingEffect::MaySend);
        }
    }

    fn owes_resume(&self) -> bool {
        self.stopped && (self.is_clear() || self.waiting_to_go() < self.outbox_max)
    }
}
