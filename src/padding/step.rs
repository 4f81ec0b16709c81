//! One step of a circuit's padding: the first thing that is due is done, then cells that waited go out, and the time of
//! the next step is found.

use super::circuit::{Outside, Padding};
use super::due::Wanted;
use super::padder::{Action, Block, Due};
use super::table::Gate;
use super::watch::{Nobody, Watch};
use super::{Pad, PaddingEffect};
use crate::base::purse::Purse;
use crate::base::time::NEVER;
use crate::base::{limits, Nanos};

impl Padding {
    /// The quick way of [`Padding::step`], for what is due most often: a padding cell that goes out at once, on a
    /// circuit with one padder and no block. The caller sees to it that no message waits outside. Returns the cell, and
    /// how late it was in nanoseconds; none when nothing was done.
    #[inline(always)]
    pub fn pad_quick(&mut self, now: Nanos, round: u32, purse: &mut Purse) -> Option<(Pad, Nanos)> {
        let [padder] = &self.padders[..] else { return None };
        let (hop, slot, marked) = (padder.hop, padder.slot, padder.runs_reduced);
        let (machine, at, bypass) = padder.next_padding()?;
        let is_short = self.unwritten.cells() < padder.queued_max;
        if at > now || !is_short || padder.stop_at_end || !self.is_open() || purse.is_limited() {
            return None;
        }
        self.enter(round);
        let time = self.time_of(at, now);
        purse.spend(marked);
        self.queued(hop);
        // There is no other padder to be told, or to wait for.
        if let [padder] = &mut self.padders[..] {
            padder.end_action_timer(machine, at, time, &mut Nobody);
            padder.padding_sent(machine, time, &mut Nobody);
            padder.refresh();
            self.next = padder.next;
        }
        self.count_step(now);
        Some((Pad { hop, slot, machine, bypass, replace: false }, now - at))
    }

    /// Does the first thing that is due at `now`. Returns how late it was in nanoseconds, none when nothing was due.
    /// `round` is the number of the engine's call that this step is part of.
    pub fn step(
        &mut self,
        now: Nanos,
        round: u32,
        outside: Outside,
        purse: &mut Purse,
        effects: &mut Vec<PaddingEffect>,
        watch: &mut impl Watch,
    ) -> Option<Nanos> {
        self.enter(round);
        if self.moved || self.opening.is_some() {
            self.settle(purse, effects, watch);
        }
        let due = self.first_due(now);
        if let Some((at, what, index)) = due {
            let time = self.time_of(at, now);
            self.change(index, |padder| padder.note_fired(what, now.saturating_sub(at), watch));
            match what {
                Due::BlockEnd => self.end_block(index, time, purse, effects, watch),
                Due::Begun => self.change(index, |padder| padder.tell_begun(time, true, watch)),
                Due::Timer(machine) => self.change(index, |padder| padder.timer(machine, at, time, watch)),
                Due::Action(machine) => {
                    let action = self.padders.get(index).and_then(|padder| padder.action(machine));
                    self.change(index, |padder| padder.end_action_timer(machine, at, time, watch));
                    match action {
                        Some(Action::Block(block)) => self.block((index, machine), block, time, purse, effects, watch),
                        Some(Action::Pad { bypass, replace }) => {
                            let wanted = Wanted { index, machine, bypass, replace };
                            self.pad(&wanted, time, outside, purse, effects, watch);
                        }
                        None => {}
                    }
                }
            }
        }
        self.settle(purse, effects, watch);
        self.count_step(now);
        due.map(|(at, what, _)| if what == Due::Begun { 0 } else { now.saturating_sub(at) })
    }

    /// Notes the engine's call that a step is part of.
    #[inline]
    fn enter(&mut self, round: u32) {
        if self.round != round {
            (self.round, self.steps, self.writable) = (round, 0, self.unwritten.cells());
        }
    }

    /// The time of what was due at `at`: its own, unless it is very late, or something later was done already.
    #[inline]
    fn time_of(&mut self, at: Nanos, now: Nanos) -> Nanos {
        self.latest = at.max(now.saturating_sub(limits::PADDING_LATE_MAX)).max(self.latest).min(now);
        self.latest
    }

    /// Ends the block of a padder, as its time is over.
    fn end_block(
        &mut self,
        index: usize,
        now: Nanos,
        purse: &mut Purse,
        effects: &mut Vec<PaddingEffect>,
        watch: &mut impl Watch,
    ) {
        self.change(index, |padder| padder.end_block(now, watch));
        self.update_gate(now, purse, effects);
        let at_once = self.padders.get(index).is_some_and(|padder| padder.opens_between);
        if at_once && self.opening.is_some() {
            self.open(purse, effects, watch);
        }
    }

    /// Carries out the block that a machine wants, if the operator lets the machine run.
    fn block(
        &mut self,
        (index, machine): (usize, u32),
        block: Block,
        now: Nanos,
        purse: &mut Purse,
        effects: &mut Vec<PaddingEffect>,
        watch: &mut impl Watch,
    ) {
        self.change(index, |padder| match purse.lets_run(padder.runs_reduced) {
            true => padder.block(machine, block, now, watch),
            false => {
                let by = purse.who_stops(padder.runs_reduced).into();
                padder.refuse_block(machine, by, now, watch);
            }
        });
        self.update_gate(now, purse, effects);
    }

    /// Reports a removed padder, lets waiting cells out if the block ended and nothing else is due first, and finds the
    /// time of the next step.
    pub fn settle(&mut self, purse: &mut Purse, effects: &mut Vec<PaddingEffect>, watch: &mut impl Watch) {
        if std::mem::take(&mut self.moved) {
            self.update_gate(self.latest, purse, effects);
            self.resume(effects);
        }
        self.find_next();
        if let Some(since) = self.opening {
            // Things due at the same moment come first.
            if since < self.next {
                self.open(purse, effects, watch);
            } else {
                self.next = self.latest;
            }
        }
    }

    /// True when nothing is blocked and nothing waits to be let out, and the padders do the sending.
    #[inline]
    fn is_open(&self) -> bool {
        self.gate == Gate::Open && self.opening.is_none() && !self.moved && !self.asks
    }

    /// Finds the time at which the padders have something to do.
    #[inline]
    fn find_next(&mut self) {
        self.next = NEVER;
        for padder in &mut self.padders {
            padder.refresh();
            self.next = self.next.min(padder.next);
        }
    }

    /// Counts a step of the call. After too many steps the next has to wait a nanosecond, as machines without delays
    /// could go on for ever.
    #[inline]
    fn count_step(&mut self, now: Nanos) {
        self.steps += 1;
        if self.steps >= limits::PADDING_STEPS_MAX && self.next <= now {
            self.next = now.saturating_add(1);
        }
    }

    /// The first thing that is due, when it was due, and the index of its padder.
    fn first_due(&self, now: Nanos) -> Option<(Nanos, Due, usize)> {
        let mut first = None;
        for (index, padder) in self.padders.iter().enumerate().filter(|(_, padder)| padder.next <= now) {
            let Some((at, what)) = padder.earliest().filter(|&(at, _)| at <= now) else { continue };
            if first.is_none_or(|(earliest, before, _)| (at, what) < (earliest, before)) {
                first = Some((at, what, index));
            }
        }
        first
    }
}
