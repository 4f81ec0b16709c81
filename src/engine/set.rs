//! Calls of a host about a set.

use crate::base::time::NEVER;
use crate::base::{Id, Nanos};
use crate::conflux::set::{LegIx, LegNumbers, Numbers, SetStats, Unfit};
use crate::conflux::{Algorithm, Cause, Role, SetTerms};
use crate::engine::{Blocked, CircuitFlags, Engine, Error, Misuse, Place, SET_KIND};
use crate::event::Event;
use crate::reactor::{Controller, Owner, StreamUse};
use crate::wire::conflux::Nonce;
use smallvec::SmallVec;

impl Engine {
    /// Sets the terms of sets that peers open; none refuses such sets.
    pub fn accept_sets(&mut self, terms: Option<SetTerms>) {
        self.settings.accepted = terms;
    }

    /// Client: opens a set.
    pub fn open_set(&mut self, now: Nanos, mut terms: SetTerms) -> Result<Id, Error> {
        self.enter(now);
        self.check_drained()?;
        self.check_conflux_on()?;
        if self.find_set(Role::Client, &terms.nonce).is_some() {
            return Err(Misuse::NonceInUse.into());
        }
        self.fill_set_terms(&mut terms);
        let set = self.insert_set(Controller::new(Role::Client, terms))?;
        if !self.claim(Role::Client, set) {
            self.forget_set(set);
            return Err(Misuse::NonceInUse.into());
        }
        self.note(Event::SetOpened { set, by_peer: 0 });
        Ok(set)
    }

    /// Ends a set with one leg, which goes on as a circuit in no set, with the streams of the set.
    pub fn dissolve(&mut self, now: Nanos, set: Id) -> Result<Id, Error> {
        self.enter_for_set(now, set)?;
        let leg = self.set(set)?.alone().filter(|&leg| !self.is_elsewhere(leg)).ok_or(Misuse::NotAlone)?;
        self.move_streams(set, leg);
        let host_waits = self.set(set)?.host_waits();
        if let Some(circuit) = self.circuits.get_mut(leg) {
            circuit.place = Place::Alone;
            circuit.config.flags.add(CircuitFlags::STREAMS);
            if let Some(reactor) = circuit.reactor.as_mut().filter(|_| host_waits) {
                reactor.backward.wait_for_edge();
            }
        }
        // None of those that ended, in the totals: its leg goes on.
        self.tell(Event::SetEnded { set, cause: Cause::Asked.number() });
        self.forget_set(set);
        self.counters.totals.sets_dissolved += 1;
        self.resume_circuit(leg);
        Ok(leg)
    }

    /// Closes a set at the host's request.
    pub fn close_set(&mut self, now: Nanos, set: Id) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        self.end_set(set, Cause::Asked);
        Ok(())
    }

    /// How many DATA messages in a row the sending leg takes before another leg can be chosen; 0 for a leg elsewhere,
    /// on which no host sends.
    pub fn room(&self, set: Id) -> Result<u64, Error> {
        let state = self.set(set)?;
        let leg = state.settled_leg().filter(|&leg| !self.is_elsewhere(leg));
        Ok(leg.map_or(0, |_| state.room()))
    }

    /// If a set waits for a leg that is full while another has room, makes it choose again in time.
    #[inline]
    pub(super) fn look_again(&mut self, set: Id) {
        let at = self.sets.get(set).map_or(NEVER, |state| state.choose_again_at());
        if at != NEVER {
            self.time.alarms.arm_choice(set, at);
        }
    }

    /// Makes the set in this place choose its leg again.
    pub(super) fn run_choice(&mut self, index: u32, now: Nanos) {
        let Some((set, state)) = self.sets.at(index) else { return };
        state.choose_again(now, &mut self.out.effects);
        self.apply_effects(set);
        self.look_again(set);
    }

    /// Tells whether a set is alive.
    pub fn check_set(&self, set: Id) -> Result<(), Error> {
        self.sets.get(set).map(|_| ()).ok_or_else(|| self.sets.reason(set).into())
    }

    /// Gives a set another tag of the host's, also in instructions that wait.
    pub fn retag_set(&mut self, set: Id, tag: u64) -> Result<(), Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        state.retag(tag);
        // Other instructions read the tag from the set when they are taken. So a host that retags many sets in one
        // drain does not walk the queue for each.
        if std::mem::take(&mut state.close_waits) {
            self.out.queue.retag(set, tag);
        }
        Ok(())
    }

    /// Sets the algorithm that chooses the sending leg; none for the algorithm that the peer asks for.
    pub fn choose_by(&mut self, set: Id, algorithm: Option<Algorithm>) -> Result<(), Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        state.choose_by(algorithm, &mut self.out.effects);
        self.apply_effects(set);
        self.set_changed(set);
        Ok(())
    }

    /// Names the leg on which all messages of a set go, on this engine or elsewhere; [`Id::NONE`] gives the choice back
    /// to the algorithm.
    pub fn name_leg(&mut self, set: Id, leg: Id) -> Result<(), Error> {
        self.set(set)?;
        let named = match leg {
            Id::NONE => None,
            leg => match self.leg_of_home(leg)? {
                (owner, ix) if owner == set => Some(ix),
                _ => return Err(Misuse::NotALeg.into()),
            },
        };
        let Some(state) = self.sets.get_mut(set) else { return Err(Misuse::StaleId.into()) };
        match state.name_leg(named, &mut self.out.effects) {
            Ok(()) => {}
            Err(Unfit::NotLinked) => {
                return Err(self.explain(Blocked::NotUsable.into(), "the leg is not linked yet"));
            }
            Err(Unfit::TooFarBehind) => return Err(self.invalid("the leg is too far behind for a SWITCH")),
        }
        self.apply_effects(set);
        self.set_changed(set);
        Ok(())
    }

    /// Takes what the host knows to wait: messages of DATA; 0 when it does not know.
    pub fn foresee(&mut self, set: Id, messages: u64) -> Result<(), Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        if state.foresee(messages, &mut self.out.effects) {
            self.apply_effects(set);
            self.set_changed(set);
        }
        Ok(())
    }

    /// Figures of a set.
    pub fn set_stats(&self, set: Id) -> Result<SetStats, Error> {
        Ok(self.set(set)?.stats(&self.held.store, self.time.clock.latest()))
    }

    /// The bytes that count when a cap is reached and a set or circuit has to go, and since when the oldest has waited.
    pub fn set_total(&mut self, set: Id) -> Option<(u64, Nanos)> {
        self.count_crossing(set);
        let state = self.sets.get(set)?;
        Some((state.bytes(), state.since_when(&self.held.store, self.time.clock.latest())))
    }

    /// How many streams a set has; none when circflow does not run its legs.
    pub fn set_streams(&self, set: Id) -> Option<StreamUse> {
        self.sets.get(set).and_then(|state| state.stream_use())
    }

    /// The sequence numbers of a set and its legs.
    pub fn export(&self, set: Id) -> Result<(Numbers, Vec<LegNumbers>), Error> {
        Ok(self.set(set)?.export())
    }

    /// Sets the sequence numbers of a set and its legs, in `rows` by leg.
    pub fn import(&mut self, now: Nanos, set: Id, numbers: Numbers, rows: &[LegNumbers]) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        let mut placed: SmallVec<[(LegIx, LegNumbers); 4]> = SmallVec::new();
        for row in rows {
            match self.leg(row.leg)? {
                (owner, ix) if owner == set => placed.push((ix, *row)),
                _ => return Err(Misuse::NotALeg.into()),
            }
        }
        let Some(state) = self.sets.get_mut(set) else { return Err(Misuse::StaleId.into()) };
        let imported = state.import(&numbers, &placed, &mut self.out.effects);
        self.apply_effects(set);
        imported.map_err(|_| Misuse::Numbers.into())
    }

    /// Moves the streams of a set to its last leg.
    fn move_streams(&mut self, set: Id, leg: Id) {
        let Some(streams) = self.sets.get_mut(set).and_then(|state| state.streams.take()) else { return };
        for id in streams.ids() {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.owner = Owner::Circuit(leg);
            }
        }
        if let Some(reactor) = self.circuits.get_mut(leg).and_then(|circuit| circuit.reactor.as_mut()) {
            match &mut reactor.streams {
                // The circuit has streams at other hops already.
                Some(others) => others.absorb(*streams),
                none => *none = Some(streams),
            }
        }
    }

    pub(super) fn set(&self, id: Id) -> Result<&Controller, Error> {
        Ok(self.sets.lookup(id)?)
    }

    /// The first step of a feed about a set. Error EXPIRED when something that was due ended it.
    #[inline(always)]
    pub(super) fn enter_for_set(&mut self, now: Nanos, set: Id) -> Result<Nanos, Error> {
        let now = if self.try_enter(now) { now } else { self.run_due_before_set(now, set)? };
        match self.sets.get(set) {
            Some(_) => Ok(now),
            None => Err(self.sets.reason(set).into()),
        }
    }

    #[cold]
    #[inline(never)]
    fn run_due_before_set(&mut self, now: Nanos, set: Id) -> Result<Nanos, Error> {
        let alive = self.sets.get(set).is_some();
        let now = self.enter(now);
        if alive && self.sets.get(set).is_none() {
            return Err(Error::Expired);
        }
        Ok(now)
    }

    pub(super) fn find_set(&self, role: Role, nonce: &Nonce) -> Option<Id> {
        self.manager.find(role, nonce, |set| self.sets.get(set).map(|state| &state.terms().nonce))
    }

    pub(super) fn insert_set(&mut self, mut set: Controller) -> Result<Id, Error> {
        set.since = self.time.clock.latest();
        let (role, nonce) = (set.role(), set.terms().nonce.clone());
        let id = self.sets.insert(set).map_err(|_| Blocked::Full)?;
        self.manager.insert(role, &nonce, id);
        Ok(id)
    }

    pub(super) fn forget_set(&mut self, id: Id) {
        if let Some(mut set) = self.sets.remove(id) {
            self.keep_sums(&mut set, self.time.clock.latest());
            self.time.alarms.cancel_age(id.index());
            self.time.alarms.cancel_choice(id.index());
            self.manager.remove(set.role(), &set.terms().nonce, id);
            if let Some(port) = &self.spread.port {
                port.release(set.role(), &set.terms().nonce, id);
            }
            if let Some(streams) = &set.streams {
                self.drop_streams(streams);
            }
        }
    }
}

/// True for the id of a set of any engine.
pub fn is_set(id: Id) -> bool {
    id.owner() & 3 == SET_KIND
}
