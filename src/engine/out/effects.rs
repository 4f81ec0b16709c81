//! Effects of sets become instructions and timers, and faults become closes.

use crate::base::Id;
use crate::conflux::set::Fate;
use crate::conflux::{Cause, Effect, Fault, LegIx};
use crate::engine::out::insn::{Queued, SetNews};
use crate::engine::out::leftover::Leftover;
use crate::engine::{Engine, Error, Place};
use crate::event::Event;
use crate::wire::fault::Reach;

impl Engine {
    /// Closes a circuit for a fault, or its set when the fault reaches that far. Answers the error.
    #[cold]
    pub(in crate::engine) fn fault(&mut self, id: Id, fault: Fault) -> Error {
        if self.is_elsewhere(id) {
            self.fault_elsewhere(id, fault);
            return Error::Fault(fault);
        }
        let place = self.circuits.get(id).map(|circuit| circuit.place);
        if let (Some(Place::Leg { set, .. }), Reach::Set) = (place, fault.reach()) {
            return self.fault_of_set(set, fault);
        }
        self.report_fault(fault, "circuit", id);
        let set = match place {
            Some(Place::Leg { set, .. }) => set,
            _ => Id::NONE,
        };
        self.close(id, set, Cause::Fault(fault));
        if let Some(Place::Leg { set, ix }) = place {
            self.remove_leg(set, ix, Cause::Fault(fault));
        }
        Error::Fault(fault)
    }

    /// Ends a set for a fault. Answers the error.
    #[cold]
    pub(in crate::engine) fn fault_of_set(&mut self, set: Id, fault: Fault) -> Error {
        self.report_fault(fault, "set", set);
        self.end_set(set, Cause::Fault(fault));
        Error::Fault(fault)
    }

    /// Counts a fault, and explains it for people.
    pub(in crate::engine) fn report_fault(&mut self, fault: Fault, noun: &str, id: Id) {
        self.count_fault(fault, id);
        let text = format!("{} ({noun} {:#x})", fault.text().to_string_lossy(), id.0);
        self.explain(Error::Fault(fault), text);
    }

    /// Counts a fault, and says whom it closes.
    pub(in crate::engine) fn count_fault(&mut self, fault: Fault, id: Id) {
        self.out.faults += 1;
        self.note(Event::Fault { who: id, status: fault.number() });
        if fault.is_of_memory() {
            self.note_victim(id);
        }
    }

    /// Queues the close of a circuit, once only. Closes the link of a leg elsewhere.
    pub(in crate::engine) fn close(&mut self, id: Id, set: Id, cause: Cause) {
        if self.is_elsewhere(id) {
            return self.drop_leg_elsewhere(id, cause);
        }
        self.leave_home(id, cause);
        if let Some(circuit) = self.circuits.get_mut(id).filter(|circuit| circuit.place != Place::Closing) {
            circuit.place = Place::Closing;
            let set_tag = self.sets.get_mut(set).map_or(0, |state| {
                state.close_waits = true;
                state.terms().tag
            });
            self.out.queue.push(Queued::Close { circuit: id, set, set_tag, cause });
        }
    }

    /// Makes the circuit that a set has taken in a leg, and tells the set its tag, block and report.
    pub(in crate::engine) fn make_leg(&mut self, id: Id, set: Id, ix: LegIx) {
        if let (Some(circuit), Some(state)) = (self.circuits.get_mut(id), self.sets.get_mut(set)) {
            circuit.place = Place::Leg { set, ix };
            state.set_tag(ix, circuit.config.tag);
            if let Some(padding) = &circuit.padding {
                state.hold_back(ix, padding.is_blocked(), !padding.asks(), &mut self.out.effects);
            }
            let runs = circuit.runs_streams();
            let hop = circuit.config.hops.last();
            let reactor = circuit.reactor.as_mut().filter(|_| runs);
            state.seated(reactor.as_ref().map(|reactor| reactor.params()));
            if let Some(reactor) = reactor {
                state.report(ix, &reactor.report(hop), self.time.clock.latest(), &mut self.out.effects);
            }
        }
    }

    pub(in crate::engine) fn remove_leg(&mut self, set: Id, ix: LegIx, cause: Cause) {
        self.keep_unread(set);
        let Some(state) = self.sets.get_mut(set) else { return };
        let cause = if cause == Cause::LegLost && state.is_finished() { Cause::Finished } else { cause };
        let leg = state.leg_at(ix);
        let fate = state.remove(ix, cause, &mut self.held.store, &mut self.out.effects);
        let torn = fate == Fate::Lives && state.has_duplicate();
        self.note(Event::LegLost { set, leg, cause: cause.number() });
        self.apply_effects(set);
        if fate == Fate::Over {
            self.forget_set(set);
        } else if torn {
            self.fault_of_set(set, Fault::NumberTwice);
        } else {
            self.set_changed(set);
        }
    }

    pub(in crate::engine) fn end_set(&mut self, set: Id, cause: Cause) {
        // A host that has asked for the end gets nothing any more, so the links are not read for it.
        if cause != Cause::Asked {
            self.keep_before_end(set);
        }
        let Some(state) = self.sets.get_mut(set) else { return };
        state.end(cause, &mut self.held.store, &mut self.out.effects);
        self.apply_effects(set);
        self.forget_set(set);
    }

    /// Notes that the host of a set waits no longer.
    fn end_wait(&mut self, set: Id) {
        let now = self.time.clock.latest();
        self.sets.get_mut(set).into_iter().for_each(|state| state.end_wait(now));
    }

    /// Turns effects of the call into instructions and timers.
    #[inline(always)]
    pub(in crate::engine) fn apply_effects(&mut self, set: Id) {
        if !self.out.effects.is_empty() {
            self.apply_some(set);
        }
    }

    #[inline(never)]
    fn apply_some(&mut self, set: Id) {
        let mut effects = std::mem::take(&mut self.out.effects);
        let set_tag = self.sets.get(set).map_or(0, |state| state.terms().tag);
        for effect in effects.drain(..) {
            match effect {
                Effect::Send { leg, .. } if self.is_elsewhere(leg) => self.send_linked(leg, set),
                Effect::Send { leg, control } => {
                    // The hop is read now: the leg may leave its set and get longer before the host takes this.
                    let hop = self.circuits.get(leg).map_or(0, |circuit| circuit.config.hops.last());
                    self.out.queue.push(Queued::Send { circuit: leg, hop, set, control });
                }
                Effect::Linked { leg, rtt } => {
                    self.note(Event::LegLinked { set, leg, rtt });
                    self.out.queue.push(Queued::Linked { circuit: leg, set, rtt });
                    self.ask_if_waiting(set);
                }
                Effect::Usable => {
                    self.note(Event::SetUsable { set });
                    self.out.queue.push(Queued::Set { set, news: SetNews::Usable });
                }
                Effect::WantLeg => {
                    self.note(Event::LegWanted { set });
                    self.out.queue.push(Queued::Set { set, news: SetNews::WantLeg });
                }
                Effect::MaySend => {
                    self.end_wait(set);
                    self.note(Event::MaySend { set });
                    self.out.queue.push(Queued::Set { set, news: SetNews::MaySend });
                }
                Effect::WaitOver => self.end_wait(set),
                Effect::Ready => self.out.queue.push(Queued::Ready { set }),
                Effect::Close { leg, cause } => self.close(leg, set, cause),
                Effect::Rest { lanes, next } => {
                    self.held.store.leave(lanes.bytes());
                    let run = self.sets.get(set).is_some_and(|state| state.params().is_some());
                    self.out.queue.push_leftover(Leftover { set, set_tag, lanes, next, run });
                }
                Effect::Ended(cause) => {
                    self.note(Event::SetEnded { set, cause: cause.number() });
                    self.out.queue.push(Queued::Ended { set, set_tag, cause });
                }
                Effect::Arm { leg, deadline } if self.is_elsewhere(leg) => self.arm_elsewhere(leg, Some(deadline)),
                Effect::Disarm { leg } if self.is_elsewhere(leg) => self.arm_elsewhere(leg, None),
                Effect::Arm { leg, deadline } => self.time.alarms.arm_handshake(leg, deadline),
                Effect::Disarm { leg } => self.time.alarms.cancel_handshake(leg),
                Effect::Release => self.release_held(set),
            }
        }
        // Effects of a release come after those before it. The buffer goes back, so that the next call need not
        // allocate.
        std::mem::swap(&mut self.out.effects, &mut effects);
        if !effects.is_empty() {
            self.out.effects.append(&mut effects);
            self.apply_effects(set);
        }
    }
}
