//! Carries out a padding action that is due, if the operator allows it.

use super::circuit::{Entry, Outside, Padding};
use super::table::{rule, Ruling, Waiting};
use super::watch::{Instead, RefusedBy, Watch};
use super::{Pad, PaddingEffect};
use crate::base::purse::Purse;
use crate::base::{Id, Nanos};
use crate::event::Event;
use maybenot::{MachineId, TriggerEvent};

/// A padding action that is due.
pub(super) struct Wanted {
    /// Index of the padder.
    pub index: usize,
    pub machine: u32,
    pub bypass: bool,
    pub replace: bool,
}

/// A machine that no padder has: an event for it triggers no machine, but counts as padding in their budgets.
const NO_MACHINE: usize = usize::MAX;

impl Padding {
    /// Carries out a padding action.
    pub(super) fn pad(
        &mut self,
        wanted: &Wanted,
        now: Nanos,
        outside: Outside,
        purse: &mut Purse,
        effects: &mut Vec<PaddingEffect>,
        watch: &mut impl Watch,
    ) {
        let &Wanted { index, machine, bypass, replace } = wanted;
        let Some(padder) = self.padders.get_mut(index) else { return };
        let (pad, marked) = (Pad { hop: padder.hop, slot: padder.slot, machine, bypass, replace }, padder.runs_reduced);
        if self.asks {
            if !purse.permits(marked) {
                self.refuse(index, machine, purse.who_refuses(marked).into(), now, watch);
            } else if padder.ask(machine) {
                effects.push(PaddingEffect::Ask(pad));
            } else {
                padder.stats.refused += 1;
                watch.note(|circuit| refused(circuit, pad, 1, RefusedBy::Host));
            }
            return;
        }
        let long = self.unwritten.cells() >= padder.queued_max;
        let full = self.outbox.len() >= self.outbox_max as usize;
        // Where nothing is to be replaced, it does not matter whether a cell waits.
        let waiting = if replace { self.waiting(pad.hop, outside) } else { Waiting::Nothing };
        match rule(self.gate, bypass, replace, waiting) {
            // When many cells wait, one more is of no use: a waiting cell counts as the padding, even without
            // `replace`.
            Ruling::Send if long => self.refuse(index, machine, RefusedBy::LongQueue, now, watch),
            Ruling::Queue if full => self.refuse(index, machine, RefusedBy::HeldCap, now, watch),
            Ruling::Send if !purse.spend(marked) => {
                self.refuse(index, machine, purse.who_refuses(marked).into(), now, watch);
            }
            Ruling::Queue if !purse.permits(marked) => {
                self.refuse(index, machine, purse.who_refuses(marked).into(), now, watch);
            }
            Ruling::Send => {
                if outside.held {
                    effects.push(PaddingEffect::PassedBy);
                }
                self.queued(pad.hop);
                effects.push(PaddingEffect::Pad(pad));
                watch.note(|circuit| sent(circuit, pad, false));
                self.padding_sent(index, machine, now, watch);
            }
            Ruling::Queue => {
                self.outbox.push_back(Entry::Pad(pad));
                let waiting = self.outbox.len() as u32;
                watch.note(|circuit| Event::PaddingHeld { circuit, hop: pad.hop, slot: pad.slot, machine, waiting });
                self.padding_sent(index, machine, now, watch);
            }
            Ruling::Counts => {
                purse.replace();
                let by = if waiting == Waiting::Past { Instead::Unwritten } else { Instead::StillHeld };
                self.count_replaced(index, machine, by, now, watch);
            }
            Ruling::Release => {
                match self.outbox.iter().position(|entry| entry.hop() >= pad.hop) {
                    Some(place) => {
                        let entry = self.outbox.remove(place);
                        entry.into_iter().for_each(|entry| self.let_out(entry, purse, effects, watch));
                        self.resume(effects);
                    }
                    None => effects.push(PaddingEffect::Release),
                }
                purse.replace();
                self.count_replaced(index, machine, Instead::LetOut, now, watch);
            }
        }
    }

    #[inline(always)]
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

    /// Lets a waiting entry out. Padding goes out only if the operator still allows it; its machine was already told
    /// that it was sent.
    pub(super) fn let_out(
        &mut self,
        entry: Entry,
        purse: &mut Purse,
        effects: &mut Vec<PaddingEffect>,
        watch: &mut impl Watch,
    ) {
        if let &Entry::Pad(pad) = &entry {
            let mut padders = self.padders.iter_mut().filter(|padder| (padder.hop, padder.slot) == (pad.hop, pad.slot));
            if let Some(padder) = padders.next() {
                if !purse.spend(padder.runs_reduced) {
                    padder.stats.padding_sent -= 1;
                    padder.stats.refused += 1;
                    let by = purse.who_refuses(padder.runs_reduced).into();
                    watch.note(|circuit| refused(circuit, pad, 3, by));
                    return;
                }
            }
            watch.note(|circuit| sent(circuit, pad, true));
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

    /// Ends the blocks of padders that the operator no longer lets run.
    pub fn lift_blocks(&mut self, now: Nanos, purse: &Purse) {
        for padder in &mut self.padders {
            if padder.is_blocking() && !purse.lets_run(padder.runs_reduced) {
                padder.end_block_by(now);
            }
        }
        self.refresh(now.max(self.latest));
    }

    /// Tells the padders that a padding cell to the padder's hop was queued. Padders at earlier hops take it for a
    /// normal cell, as they cannot read it.
    pub(super) fn padding_sent(&mut self, index: usize, machine: u32, now: Nanos, watch: &mut impl Watch) {
        let Some(hop) = self.padders.get(index).map(|padder| padder.hop) else { return };
        for (other, padder) in self.padders.iter_mut().enumerate().filter(|(_, padder)| padder.hop <= hop) {
            if other == index {
                padder.padding_sent(machine, now, watch);
            } else if padder.hop == hop {
                let event = TriggerEvent::PaddingSent { machine: MachineId::from_raw(NO_MACHINE) };
                padder.trigger(event, now, false, watch);
            } else {
                padder.stats.normal_sent += 1;
                padder.trigger(TriggerEvent::NormalSent, now, false, watch);
            }
        }
    }

    /// Tells a machine that its padding was sent: a cell that waited anyway took its place.
    pub(super) fn count_replaced(
        &mut self,
        index: usize,
        machine: u32,
        by: Instead,
        now: Nanos,
        watch: &mut impl Watch,
    ) {
        self.change(index, |padder| {
            padder.stats.replaced += 1;
            let (hop, slot, by) = (padder.hop, padder.slot, by as u8);
            watch.note(|circuit| Event::PaddingReplaced { circuit, hop, slot, machine, by });
            padder.tell_padding_sent(machine, now, watch);
        });
    }

    /// Tells a machine that its padding was sent, although a cap refused it: maybenot expects the event.
    fn refuse(&mut self, index: usize, machine: u32, by: RefusedBy, now: Nanos, watch: &mut impl Watch) {
        self.change(index, |padder| {
            padder.stats.refused += 1;
            let (hop, slot, why) = (padder.hop, padder.slot, by as u8);
            watch.note(|circuit| Event::PaddingRefused { circuit, hop, slot, machine, what: 1, why });
            padder.tell_padding_sent(machine, now, watch);
        });
    }
}

/// A padding cell goes out; it may have waited behind a block.
pub(super) fn sent(circuit: Id, pad: Pad, waited: bool) -> Event {
    let Pad { hop, slot, machine, bypass, replace } = pad;
    let [bypass, replace, waited] = [bypass, replace, waited].map(u8::from);
    Event::PaddingSent { circuit, hop, slot, machine, bypass, replace, waited }
}

/// A padding cell does not go out, and its machine is not told, or was told otherwise before: `what` is 3 then.
pub(super) fn refused(circuit: Id, Pad { hop, slot, machine, .. }: Pad, what: u8, by: RefusedBy) -> Event {
    Event::PaddingRefused { circuit, hop, slot, machine, what, why: by as u8 }
}
