//! All padding of one circuit: its padders, the gate in front of its sender, and what waits behind it.

use super::due::Wanted;
use super::negotiation::Negotiation;
use super::padder::{Action, Due, Padder};
use super::table::Gate;
use super::unwritten::Unwritten;
use super::{Admission, Answer, Key, Pace, Pad, PadderStats, PadderTerms, PaddingEffect};
use crate::base::purse::Purse;
use crate::base::time::NEVER;
use crate::base::{limits, Nanos};
use crate::message::Lane;
use crate::wire::fault::Fault;
use crate::wire::{Command, StreamRule};
use maybenot::TriggerEvent;
use std::collections::VecDeque;

/// What is held for this circuit elsewhere, in its set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outside {
    /// Something is.
    pub held: bool,
    /// It could go out on this circuit at once.
    pub releasable: bool,
}

/// One circuit's padding.
#[derive(Debug)]
pub struct Padding {
    /// A lower bound of what is due next; [`NEVER`] when nothing is.
    next: Nanos,
    pub(super) padders: Vec<Padder>,
    pub(super) gate: Gate,
    /// The host has a queue of its own, and decides.
    pub(super) asks: bool,
    pace: Pace,
    /// When the last block ended, as long as what waited has not been let out.
    opening: Option<Nanos>,
    /// A padder went, and left another bypass or more room; nobody has been told yet.
    moved: bool,
    /// The host was told to stop, and waits to be told to go on.
    stopped: bool,
    pub(super) outbox: VecDeque<Entry>,
    pub(super) outbox_max: u32,
    /// What the messages that are held cost, as their owner counts it.
    pub held_bytes: u64,
    /// Messages that were let out and that the host has not taken yet: nothing may overtake them.
    pub(super) released: u32,
    pub(super) unwritten: Unwritten,
    pub(super) negotiation: Negotiation,
    /// Hops whose padder is gone, and how much padding may still come from them.
    pub(super) leaving: Vec<(u8, u32)>,
    /// Time of the last event: it never goes back.
    pub(super) latest: Nanos,
    /// Steps taken in the engine's current call.
    round: u32,
    steps: u32,
    /// Cells that were queued before that call: of the others the host has had no chance to write any.
    pub(super) writable: u32,
}

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
    /// Nothing yet. `asks` when the host has a queue of its own; `outbox_max` caps what is held for it otherwise.
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

    /// When [`Padding::step`] is wanted; at times earlier than needed, never later.
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Time of the last event.
    pub fn latest(&self) -> Nanos {
        self.latest
    }

    /// True when data has to wait.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.gate != Gate::Open || self.opening.is_some()
    }

    /// True when the host keeps what a block holds back.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// True when a padder has this place.
    pub fn has(&self, hop: u8, slot: u8) -> bool {
        self.padders.iter().any(|padder| (padder.hop, padder.slot) == (hop, slot))
    }

    /// Sets a padder up. False when the place is taken, there are too many, or the terms are out of range.
    pub fn install(&mut self, terms: &PadderTerms, now: Nanos, key: Key) -> bool {
        if self.has(terms.hop, terms.slot) || self.padders.len() >= limits::PADDERS_MAX {
            return false;
        }
        let Some(padder) = Padder::new(terms, now, key, self.pace) else { return false };
        self.padders.reserve_exact(1);
        self.padders.push(padder);
        true
    }

    /// Takes a padder down, its block and its padding that still waits included. What it held back is let out with the
    /// next step. Padding from its hop stays welcome for a while, unless the other end has confirmed that it has
    /// stopped.
    pub fn remove(&mut self, hop: u8, slot: u8, now: Nanos, confirmed: bool) -> bool {
        let Some(index) = self.padders.iter().position(|padder| (padder.hop, padder.slot) == (hop, slot)) else {
            return false;
        };
        self.padders.remove(index);
        self.padders.shrink_to_fit();
        if !confirmed {
            self.negotiation.forget_at_relay(hop, slot);
            self.leaving.retain(|&(left, _)| left != hop);
            self.leaving.push((hop, limits::PADDING_AFTER_END_MAX));
        }
        // Nothing of it may come after the other end was told that it has stopped.
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

    /// Figures of a padder.
    pub fn stats(&self, hop: u8, slot: u8, now: Nanos) -> Option<PadderStats> {
        let padder = self.padders.iter().find(|padder| (padder.hop, padder.slot) == (hop, slot))?;
        Some(padder.stats_at(now.max(self.latest)))
    }

    /// A cell came from a hop.
    #[inline]
    pub fn received(&mut self, hop: u8, is_padding: bool, now: Nanos) {
        self.tell(hop, now, |padder| {
            padder.trigger(TriggerEvent::TunnelRecv, now, !is_padding);
            if is_padding && padder.hop == hop {
                padder.stats.padding_received += 1;
                padder.trigger(TriggerEvent::PaddingRecv, now, false);
            } else {
                padder.stats.normal_received += 1;
                padder.trigger(TriggerEvent::NormalRecv, now, !is_padding);
            }
        });
    }

    /// Judges padding that came from a hop: whether we know why, or whose fault it is.
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

    /// A cell that is not padding was queued. While it is held it is not on its way yet.
    #[inline]
    pub fn normal_sent(&mut self, hop: u8, now: Nanos) {
        // What a step of another leg released has the time of that step.
        let now = now.max(self.latest);
        self.tell(hop, now, |padder| {
            padder.stats.normal_sent += 1;
            padder.trigger(TriggerEvent::NormalSent, now, true);
        });
    }

    /// A cell went into the queue towards the channel.
    #[inline]
    pub fn queued(&mut self, hop: u8) {
        self.unwritten.push(hop);
    }

    /// Cells were written, the oldest first. More than are known to be queued are not counted.
    #[inline]
    pub fn written(&mut self, cells: u32, now: Nanos) {
        for _ in 0..cells.min(self.unwritten.cells()) {
            let Some(hop) = self.unwritten.pop() else { break };
            self.tell(hop, now, |padder| padder.trigger(TriggerEvent::TunnelSent, now, false));
        }
        self.latest = now;
    }

    /// Whether a message has to wait, and whether there is room for it. What belongs to a stream waits, control does
    /// not. A host that hears that there is no room waits to be told.
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

    /// Keeps a message that [`Padding::admit`] has room for. It counts as queued. Where nothing blocks, and it only
    /// stands behind what the host has not taken yet, it goes out with the next step.
    pub fn hold(&mut self, hop: u8, held: Lane, now: Nanos) {
        self.outbox.push_back(Entry::Message { hop, held });
        if !self.is_blocked() {
            self.opening = Some(now);
        }
        self.normal_sent(hop, now);
    }

    /// The host has taken a message that was let out. True when it waits to be told that there is room, and there is.
    pub fn taken(&mut self) -> bool {
        self.released = self.released.saturating_sub(1);
        let owes_resume = self.owes_resume();
        self.stopped &= !owes_resume;
        owes_resume
    }

    /// A message of circflow's own goes out, and waits for the host to take it.
    pub fn note_own_send(&mut self) {
        self.released += 1;
    }

    /// Messages and padding that wait behind a block, or for the host to take them.
    pub fn waiting_to_go(&self) -> u32 {
        (self.outbox.len() as u32).saturating_add(self.released)
    }

    /// Nothing is in the way of a message.
    fn is_clear(&self) -> bool {
        !self.is_blocked() && self.outbox.is_empty() && self.released == 0
    }

    /// There was no memory for a message that there was room for: the host waits to be told.
    pub fn held_none(&mut self) {
        self.stopped = true;
    }

    /// The message that has been held for longest.
    pub fn first_held(&self) -> Option<&Lane> {
        self.outbox.iter().find_map(|entry| match entry {
            Entry::Message { held, .. } => Some(held),
            Entry::Pad(_) => None,
        })
    }

    /// Everything that is held, to hand it back.
    pub fn take_held(&mut self) -> impl Iterator<Item = Lane> + '_ {
        self.outbox.drain(..).filter_map(|entry| match entry {
            Entry::Message { held, .. } => Some(held),
            Entry::Pad(_) => None,
        })
    }

    /// Does the one thing that is due first, if it is due at `now`; answers with how late it was. `round` numbers the
    /// call that this is part of.
    pub fn step(
        &mut self,
        now: Nanos,
        round: u32,
        outside: Outside,
        purse: &mut Purse,
        effects: &mut Vec<PaddingEffect>,
    ) -> Option<Nanos> {
        if self.round != round {
            (self.round, self.steps, self.writable) = (round, 0, self.unwritten.cells());
        }
        self.settle(purse, effects);
        let due = self.earliest().filter(|&(at, ..)| at <= now);
        if let Some((at, what, index)) = due {
            let time = at.max(now.saturating_sub(limits::PADDING_LATE_MAX)).max(self.latest).min(now);
            self.latest = time;
            match what {
                Due::BlockEnd => self.each(index, |padder| padder.end_block(time)),
                Due::Begun => self.each(index, |padder| padder.tell_begun(time, true)),
                Due::Timer(machine) => self.each(index, |padder| padder.timer(machine, at, time)),
                Due::Action(machine) => {
                    match self.padders.get_mut(index).and_then(|padder| padder.take_action(machine, at, time)) {
                        Some(Action::Block { duration, bypass, replace }) => {
                            self.each(index, |padder| match purse.lets_run(padder.runs_reduced) {
                                true => padder.block(machine, duration, bypass, replace, time),
                                false => padder.block_for_none(machine, time),
                            });
                        }
                        Some(Action::Pad { bypass, replace }) => {
                            let wanted = Wanted { index, machine, bypass, replace };
                            self.pad(&wanted, time, outside, purse, effects);
                        }
                        None => {}
                    }
                }
            }
            self.shift_gate(time, effects);
            let at_once = what == Due::BlockEnd && self.padders.get(index).is_some_and(|padder| padder.opens_between);
            if at_once && self.opening.is_some() {
                self.open(purse, effects);
            }
        }
        self.settle(purse, effects);
        self.yields(now);
        due.map(|(at, what, _)| if what == Due::Begun { 0 } else { now.saturating_sub(at) })
    }

    /// Says what the last change has left to say, and lets out what waited if the block ended before anything else that
    /// is due.
    pub fn settle(&mut self, purse: &mut Purse, effects: &mut Vec<PaddingEffect>) {
        if std::mem::take(&mut self.moved) {
            self.shift_gate(self.latest, effects);
            self.resume(effects);
        }
        self.padders.iter_mut().for_each(Padder::refresh);
        let next = self.next_of_padders();
        self.open_before(next, purse, effects);
        self.next = if self.opening.is_some() { self.latest } else { next };
    }

    /// Counts a step of the call. After too many the rest has to wait a nanosecond: machines without delays could go on
    /// for ever.
    fn yields(&mut self, now: Nanos) {
        self.steps += 1;
        if self.steps >= limits::PADDING_STEPS_MAX && self.next <= now {
            self.next = now.saturating_add(1);
        }
    }

    /// True while a question waits for its answer.
    pub fn is_asked(&self, pad: Pad) -> bool {
        let mut padders = self.padders.iter().filter(|padder| (padder.hop, padder.slot) == (pad.hop, pad.slot));
        padders.any(|padder| padder.is_asked(pad.machine))
    }

    /// The host's answer to [`PaddingEffect::Ask`]. False when nobody asked.
    pub fn answered(&mut self, pad: Pad, answer: Answer, now: Nanos, purse: &mut Purse) -> bool {
        let place = self.padders.iter().position(|padder| (padder.hop, padder.slot) == (pad.hop, pad.slot));
        let Some(index) = place else { return false };
        if !self.padders.get_mut(index).is_some_and(|padder| padder.answered(pad.machine)) {
            return false;
        }
        match answer {
            Answer::Sent => {
                purse.spend_anyway();
                self.queued(pad.hop);
                self.padding_sent(index, pad.machine, now);
            }
            Answer::Replaced | Answer::Released => self.counts(index, pad.machine, now),
            Answer::Refused => self.each(index, |padder| padder.stats.refused += 1),
        }
        self.refresh(now);
        true
    }

    pub(super) fn each(&mut self, index: usize, change: impl FnOnce(&mut Padder)) {
        if let Some(padder) = self.padders.get_mut(index) {
            change(padder);
        }
    }

    /// Tells the padders that a cell to or from `hop` passes. Events never act at once: what they set off is due at
    /// this very time at the earliest.
    #[inline(always)]
    fn tell(&mut self, hop: u8, now: Nanos, event: impl Fn(&mut Padder)) {
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
        // An event can also be the end of negotiated machines: then there is a step to take, with no timer armed.
        let wakes = self.opening.is_some() || self.moved || self.ended().is_some();
        self.next = if wakes { now } else { self.next_of_padders() };
    }

    #[inline]
    fn next_of_padders(&self) -> Nanos {
        self.padders.iter().map(|padder| padder.next).fold(NEVER, Nanos::min)
    }

    fn earliest(&self) -> Option<(Nanos, Due, usize)> {
        let due = |(index, padder): (usize, &Padder)| padder.earliest().map(|(at, what)| (at, what, index));
        self.padders.iter().enumerate().filter_map(due).min()
    }

    /// The whole circuit is blocked when any padder blocks, and padding may pass only where all of these allow it.
    fn combined(&self) -> Gate {
        let mut gate = Gate::Open;
        for padder in self.padders.iter().filter(|padder| padder.is_blocking()) {
            let own = if padder.is_bypassable() { Gate::Bypassable } else { Gate::Shut };
            gate = if gate == Gate::Shut { Gate::Shut } else { own };
        }
        gate
    }

    fn shift_gate(&mut self, now: Nanos, effects: &mut Vec<PaddingEffect>) {
        let gate = self.combined();
        if self.gate == gate {
            return;
        }
        self.gate = gate;
        self.opening = (gate == Gate::Open).then_some(now);
        if self.asks && gate != Gate::Open {
            effects.push(PaddingEffect::Blocked { bypassable: self.gate == Gate::Bypassable });
        }
    }

    /// Lets out what waited, if the block ended before `next`: what is due at the same moment comes first.
    fn open_before(&mut self, next: Nanos, purse: &mut Purse, effects: &mut Vec<PaddingEffect>) {
        if self.opening.is_some_and(|since| since < next) {
            self.open(purse, effects);
        }
    }

    /// Lets out all that waited, in order.
    fn open(&mut self, purse: &mut Purse, effects: &mut Vec<PaddingEffect>) {
        self.opening = None;
        if self.asks {
            effects.push(PaddingEffect::Unblocked);
        }
        while let Some(entry) = self.outbox.pop_front() {
            self.let_out(entry, purse, effects);
        }
        self.resume(effects);
    }

    /// Tells a host that was told to stop that there is room again: also when it was made by releases, as the block
    /// itself may last for a day.
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
