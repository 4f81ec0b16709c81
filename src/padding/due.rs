//! What a padding action does when it is due, and whether the operator allows it.

use super::circuit::{Entry, Outside, Padding};
use super::table::{rule, Ruling, Waiting};
use super::{Pad, PaddingEffect};
use crate::base::purse::Purse;
use crate::base::Nanos;
use maybenot::{MachineId, TriggerEvent};

/// A padding action that is due.
pub(super) struct Wanted {
    /// The padder's place in the list.
    pub index: usize,
    pub machine: u32,
    pub bypass: bool,
    pub replace: bool,
}

/// No such event is for any of our machines, but it counts as padding in their budgets.
const NOBODY: usize = usize::MAX;

impl Padding {
    /// A padding action is due.
    pub(super) fn pad(
        &mut self,
        wanted: &Wanted,
        now: Nanos,
        outside: Outside,
        purse: &mut Purse,
        effects: &mut Vec<PaddingEffect>,
    ) {
        let &Wanted { index, machine, bypass, replace } = wanted;
        let Some(padder) = self.padders.get_mut(index) else { return };
        let (pad, marked) = (Pad { hop: padder.hop, slot: padder.slot, machine, bypass, replace }, padder.runs_reduced);
        if self.asks {
            if !purse.permits(marked) {
                self.refuse(index, machine, now);
            } else if padder.ask(machine) {
                effects.push(PaddingEffect::Ask(pad));
            } else {
                padder.stats.refused += 1;
            }
            return;
        }
        let long = self.unwritten.cells() >= padder.queued_max;
        let full = self.outbox.len() >= self.outbox_max as usize;
        match rule(self.gate, bypass, replace, self.waiting(pad.hop, outside)) {
            // Where cells pile up, one more is no use to anybody: one that waits counts, asked for or not.
            Ruling::Send if long || !purse.spend(marked) => self.refuse(index, machine, now),
            Ruling::Queue if full || !purse.permits(marked) => self.refuse(index, machine, now),
            Ruling::Send => {
                if outside.held {
                    effects.push(PaddingEffect::PassedBy);
                }
                self.queued(pad.hop);
                effects.push(PaddingEffect::Pad(pad));
                self.padding_sent(index, machine, now);
            }
            Ruling::Queue => {
                self.outbox.push_back(Entry::Pad(pad));
                self.padding_sent(index, machine, now);
            }
            Ruling::Counts => self.counts(index, machine, now),
            Ruling::Release => {
                match self.outbox.iter().position(|entry| entry.hop() >= pad.hop) {
                    Some(place) => {
                        let entry = self.outbox.remove(place);
                        entry.into_iter().for_each(|entry| self.let_out(entry, purse, effects));
                        self.resume(effects);
                    }
                    None => effects.push(PaddingEffect::Release),
                }
                self.counts(index, machine, now);
            }
        }
    }

    fn waiting(&self, hop: u8, outside: Outside) -> Waiting {
        if self.unwritten.reaches(hop, self.writable) {
            Waiting::Past
        } else if self.outbox.iter().any(|entry| entry.hop() >= hop) {
            Waiting::Held { releasable: true }
        } else if outside.held {
            Waiting::Held { releasable: outside.releasable }
        } else {
            Waiting::Nothing
        }
    }

    /// What waited goes out; padding only if it is still allowed. Its machine has heard that it was sent.
    pub(super) fn let_out(&mut self, entry: Entry, purse: &mut Purse, effects: &mut Vec<PaddingEffect>) {
        if let Entry::Pad(pad) = &entry {
            let mut padders = self.padders.iter_mut().filter(|padder| (padder.hop, padder.slot) == (pad.hop, pad.slot));
            if let Some(padder) = padders.next() {
                if !purse.spend(padder.runs_reduced) {
                    padder.stats.padding_sent -= 1;
                    padder.stats.refused += 1;
                    return;
                }
            }
        }
        self.queued(entry.hop());
        effects.push(match entry {
            Entry::Pad(pad) => PaddingEffect::Pad(pad),
            Entry::Message { hop, held } => {
                self.released += 1;
                PaddingEffect::Send { hop, held }
            }
        });
    }

    /// Ends the blocks of padders that may not run any more.
    pub fn lift_blocks(&mut self, now: Nanos, purse: &Purse) {
        for padder in &mut self.padders {
            if padder.is_blocking() && !purse.lets_run(padder.runs_reduced) {
                padder.cut_block(now);
            }
        }
        self.refresh(now.max(self.latest));
    }

    /// A padding cell to the padder's hop was queued: for padders at earlier hops it is a cell like any other.
    pub(super) fn padding_sent(&mut self, index: usize, machine: u32, now: Nanos) {
        let Some(hop) = self.padders.get(index).map(|padder| padder.hop) else { return };
        for (other, padder) in self.padders.iter_mut().enumerate().filter(|(_, padder)| padder.hop <= hop) {
            if other == index {
                padder.stats.padding_sent += 1;
                padder.padding_sent(machine, now);
            } else if padder.hop == hop {
                padder.trigger(TriggerEvent::PaddingSent { machine: MachineId::from_raw(NOBODY) }, now, false);
            } else {
                padder.stats.normal_sent += 1;
                padder.trigger(TriggerEvent::NormalSent, now, false);
            }
        }
    }

    pub(super) fn counts(&mut self, index: usize, machine: u32, now: Nanos) {
        self.each(index, |padder| {
            padder.stats.replaced += 1;
            padder.padding_sent(machine, now);
        });
    }

    fn refuse(&mut self, index: usize, machine: u32, now: Nanos) {
        self.each(index, |padder| {
            padder.stats.refused += 1;
            padder.padding_sent(machine, now);
        });
    }
}
