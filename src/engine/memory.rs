//! Room for messages that have to be held. It is asked for before anything changes; when a cap is reached, a set or
//! circuit has to go.

use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos, Over};
use crate::conflux::{Cause, Fault};
use crate::engine::{Circuit, Engine, Error, Place};
use crate::event::Event;
use crate::hub::{Cargo, Left, Victim};
use crate::message::{Lane, Token};
use crate::reactor::Side;

impl Engine {
    /// Makes sure that `holder`, a set or a circuit, can hold `cost` more bytes. At a cap the set or circuit with the
    /// greatest product of bytes and age is closed, on any engine of the hub. When that is the holder itself, or none
    /// is left, the error says which cap was reached. Otherwise the answer says at which cap one of ours was closed, if
    /// any was: see [`Engine::outlived`].
    #[inline]
    pub(super) fn ensure_room(&mut self, holder: Id, cost: u64) -> Result<Option<Fault>, Fault> {
        if self.held.store.budget().has_room(cost) {
            return Ok(None);
        }
        self.make_room(holder, cost)
    }

    #[cold]
    fn make_room(&mut self, holder: Id, cost: u64) -> Result<Option<Fault>, Fault> {
        let now = self.time.clock.latest();
        let (mut closed, mut said) = (None, None);
        for _ in 0..limits::VICTIMS_STEP {
            let over = match self.held.store.budget_mut().ask(cost) {
                Ok(()) => return Ok(closed),
                Err(over) => over,
            };
            if said.replace(over) != Some(over) {
                self.note_cap(holder, cost, over);
            }
            let fault = match over {
                Over::Engine => Fault::EngineMemory,
                Over::Process => Fault::ProcessMemory,
            };
            // There would be no room even if all that is held were gone.
            if !self.held.store.budget().could_hold(cost) {
                return Err(fault);
            }
            match self.choose_victim(fault, now) {
                Some(victim) if victim == Some(holder) => return Err(fault),
                Some(Some(victim)) => {
                    self.close_victim(victim, fault);
                    closed = Some(fault);
                }
                // The victim is on another engine, which has been told.
                Some(None) => {}
                None => return Err(fault),
            }
        }
        match self.held.store.budget_mut().ask(cost) {
            Ok(()) => Ok(closed),
            Err(Over::Engine) => Err(Fault::EngineMemory),
            Err(Over::Process) => Err(Fault::ProcessMemory),
        }
    }

    fn note_cap(&mut self, who: Id, wanted: u64, over: Over) {
        let budget = self.held.store.budget();
        let (cap, held) = match over {
            Over::Engine => (2, budget.used()),
            Over::Process => (3, budget.reserved_by_all()),
        };
        self.note(Event::CapReached { cap, wanted, held, who });
    }

    /// Says that a set may hold no more.
    #[cold]
    #[inline(never)]
    pub(super) fn note_set_cap(&mut self, set: Id, wanted: u64) {
        let held = self.sets.get(set).map_or(0, |state| state.held_bytes());
        self.note(Event::CapReached { cap: 1, wanted, held, who: set });
    }

    /// The bytes that a set or circuit holds, and since when.
    fn holds(&self, who: Id) -> Option<(u64, Nanos)> {
        let now = self.time.clock.latest();
        match (self.sets.get(who), self.circuits.get(who)) {
            (Some(state), _) => Some((state.bytes(), state.since_when(&self.held.store, now))),
            (None, Some(circuit)) => Some((circuit.bytes(), circuit.since(&self.held.store, now))),
            (None, None) => None,
        }
    }

    /// Says that a set or circuit is about to be closed for what it holds.
    pub(super) fn note_victim(&mut self, who: Id) {
        let now = self.time.clock.latest();
        let Some((held, since)) = self.holds(who) else { return };
        // Of one that holds nothing there is no time.
        let age = if since == NEVER { 0 } else { now.saturating_sub(since) };
        self.note(Event::Victim { who, held, age });
    }

    /// Whether a set or circuit that a call is about is still there after [`Engine::ensure_room`]. If it was closed to
    /// make room, the error says at which cap.
    pub(super) fn outlived(&self, id: Id, closed: Option<Fault>) -> Result<(), Error> {
        let Some(fault) = closed else { return Ok(()) };
        let is_open = self.circuits.get(id).is_some_and(|circuit| circuit.place != Place::Closing);
        if is_open || self.sets.get(id).is_some() {
            Ok(())
        } else {
            Err(Error::Fault(fault))
        }
    }

    /// Chooses the set or circuit that has to go: its id if it is ours, none inside if another engine closes it.
    fn choose_victim(&mut self, fault: Fault, now: Nanos) -> Option<Option<Id>> {
        for _ in 0..limits::VICTIM_LOOKS {
            let victim = match (&self.spread.port, fault) {
                (Some(port), Fault::ProcessMemory) => port.name_worst(now)?,
                _ => self.held.ledger.worst(now, self.held.store.budget().cap())?,
            };
            if u32::from(victim.engine) != self.settings.tag {
                return Some(None);
            }
            // The book can be behind for our own: it is told late that something was taken.
            if !self.shrank(victim.id) {
                return Some(Some(victim.id));
            }
        }
        None
    }

    /// Names sets and circuits of ours to close until they hold `wanted` bytes in all, at most `most` of them, and
    /// answers the bytes that they hold. The host closes them. One that was named is not named again until it has held
    /// nothing.
    pub fn choose_victims(&mut self, wanted: u64, most: usize, out: &mut Vec<Victim>) -> u64 {
        let (now, cap) = (self.time.clock.latest(), self.held.store.budget().cap());
        let mut bytes: u64 = 0;
        while bytes < wanted && out.len() < most {
            // As in choose_victim(): what the book says of ours can be old.
            let mut looks = 0..limits::VICTIM_LOOKS;
            let found = loop {
                let Some(found) = self.held.ledger.worst(now, cap) else { return bytes };
                if !self.shrank(found.id) || looks.next().is_none() {
                    break found;
                }
            };
            if !self.held.ledger.name(found.id) {
                break;
            }
            let held = self.holds(found.id).map_or(0, |(held, _)| held);
            bytes = bytes.saturating_add(held);
            out.push(Victim { bytes: held, ..found });
        }
        bytes
    }

    /// The host's tag of a set or circuit; 0 when there is none.
    pub fn tag_of(&self, id: Id) -> u64 {
        let of_set = self.sets.get(id).map(|state| state.terms().tag);
        of_set.or_else(|| self.circuits.get(id).map(|circuit| circuit.config.tag)).unwrap_or(0)
    }

    /// Closes a set or circuit of ours. Everything is queued: no token is handed back inside this call.
    #[cold]
    fn close_victim(&mut self, id: Id, fault: Fault) {
        if self.sets.get(id).is_some() {
            self.fault_of_set(id, fault);
            return;
        }
        let Some(place) = self.circuits.get(id).map(|circuit| circuit.place) else { return };
        self.report_fault(fault, "circuit", id);
        let set = place.leg().map_or(Id::NONE, |(set, _)| set);
        self.close(id, set, Cause::Fault(fault));
        self.empty_circuit(id);
        if let Place::Leg { set, ix } = place {
            self.remove_leg(set, ix, Cause::Fault(fault));
        }
    }

    /// Closes the sets and circuits that other engines have named.
    pub(super) fn close_doomed(&mut self) {
        let Some(port) = &self.spread.port else { return };
        let doomed = port.take_victims();
        if doomed.is_empty() {
            return;
        }
        for id in doomed {
            // It may hold less by now than when it was named.
            self.shrank(id);
            if self.is_named(id) {
                self.close_victim(id, Fault::ProcessMemory);
            }
        }
        self.share_figures();
        self.spread.port.iter().for_each(|port| port.victims_closed());
    }

    fn is_named(&self, id: Id) -> bool {
        let of_set = self.sets.get(id).is_some_and(|state| state.is_named());
        let of_circuit = self.circuits.get(id).and_then(|circuit| circuit.standing());
        of_set || of_circuit.is_some_and(|standing| standing.is_named())
    }

    /// Hands back all that a circuit holds which is about to close.
    fn empty_circuit(&mut self, id: Id) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let mut lanes = Vec::new();
        if let Some(reactor) = &mut circuit.reactor {
            lanes.extend([Side::Back, Side::Next].map(|side| reactor.edge(side).take_rest()));
        }
        if let Some(padding) = &mut circuit.padding {
            lanes.extend(padding.take_held());
            padding.held_bytes = 0;
        }
        lanes.into_iter().for_each(|lane| self.leave_behind(lane));
        self.shrank(id);
    }

    /// Hands tokens back to the host that will not be sent or delivered. Their cost is not counted here any more.
    pub(super) fn discard(&mut self, tokens: impl IntoIterator<Item = Token>) {
        let mut lane = Lane::EMPTY;
        for (token, number) in tokens.into_iter().zip(1..) {
            self.held.store.push_leaving(&mut lane, number, token);
        }
        self.queue_leftover(lane);
    }

    /// Notes that a set or circuit of ours holds more than before.
    #[inline]
    pub(super) fn grew(&mut self, id: Id) {
        let now = self.time.clock.latest();
        if let Some(state) = self.sets.get_mut(id) {
            state.grew(id, &self.held.ledger, now);
        } else if let Some(circuit) = self.circuits.get_mut(id) {
            circuit.grew(id, &self.held.ledger, now);
        }
    }

    /// Notes that a set [`holds more`](crate::conflux::Set::holds_more) for order, and watches its age.
    #[inline(never)]
    pub(super) fn note_held_in_set(&mut self, set: Id) {
        let (now, Some(state)) = (self.time.clock.latest(), self.sets.get_mut(set)) else { return };
        state.grew(set, &self.held.ledger, now);
        if state.held() == 1 {
            if let Some(run) = state.begin_run(now) {
                self.counters.held_run(run);
            }
            self.watch_age(set, now);
        }
    }

    /// Notes that a set or circuit of ours may hold less than before. True when that is news.
    pub(super) fn shrank(&mut self, id: Id) -> bool {
        let now = self.time.clock.latest();
        if self.sets.get(id).is_some() {
            self.count_crossing(id);
            self.note_none_held(id);
            return self.sets.get_mut(id).is_some_and(|state| state.shrank(&self.held.store, now));
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return false };
        circuit.away_mut().into_iter().for_each(|away| away.look(now));
        let (bytes, since) = (circuit.bytes(), circuit.since(&self.held.store, now));
        let Some(standing) = circuit.standing() else { return false };
        let known = (standing.bytes(), standing.since());
        standing.settle(bytes, since);
        known != (standing.bytes(), standing.since())
    }

    /// Counts the bytes of a set that are still on the way to its legs elsewhere.
    pub(super) fn count_crossing(&mut self, set: Id) {
        let Some(state) = self.sets.get_mut(set).filter(|_| !self.spread.home_legs.is_empty()) else { return };
        let (mut bytes, mut since) = (0, NEVER);
        let now = self.time.clock.latest();
        for leg in state.leg_ids().collect::<smallvec::SmallVec<[Id; 8]>>() {
            if let Some((_, leg)) = self.spread.home_legs.find(leg) {
                leg.way.look(leg.end.taken(), now);
                bytes += leg.way.tell();
                since = since.min(leg.way.since());
            }
        }
        state.crosses(bytes, since);
    }

    /// Bytes held and bytes that leave, added up over everything that can hold some. Slow, for tests.
    #[allow(dead_code, reason = "tests and the simulation compare")]
    pub fn held_by_hand(&self) -> (u64, u64) {
        let sets: u64 = self.sets.all().map(|state| state.held_bytes() + state.outbox_bytes()).sum();
        let own = |circuit: &Circuit| circuit.bytes() - circuit.away().map_or(0, |away| away.bytes());
        let circuits: u64 = self.circuits.all().map(own).sum();
        let crossing = self.held.store.budget().crossing();
        let of_sets = self.sets.all().filter_map(|state| state.streams.as_ref());
        let of_circuits = self.circuits.all().filter_map(|circuit| circuit.reactor.as_ref()?.streams.as_ref());
        let ended: u64 = of_sets.chain(of_circuits).map(|streams| streams.ended_bytes()).sum();
        let aside: u64 = self.held.aside.iter().map(|lanes| lanes.bytes()).sum();
        (sets + circuits + self.out.queue.released_bytes() + crossing + ended, self.out.queue.leaving_bytes() + aside)
    }

    /// Brings the figures that other engines read up to date, as nothing is under way.
    #[inline]
    pub(super) fn share_figures(&mut self) {
        if self.spread.port.is_some() {
            self.held.ledger.at(self.time.clock.latest());
            self.held.store.budget_mut().rest();
        }
    }

    /// Takes back what a closed link leaves behind: ours that was not read, and the other end's that we have not read.
    /// Tokens in both are handed back to the host.
    pub(super) fn take_back<I: Cargo, O: Cargo>(
        &mut self,
        left: impl IntoIterator<Item = Left<I, O>>,
        token: impl Fn(Left<I, O>) -> Option<Token>,
    ) {
        let mut tokens = Vec::new();
        for left in left {
            match &left {
                Left::Unread(theirs) => self.held.store.budget_mut().adopt(theirs.cost()),
                Left::Unsent(ours) => self.held.store.budget_mut().release_crossing(ours.cost()),
            }
            tokens.extend(token(left));
        }
        self.held.store.budget_mut().tidy();
        self.discard(tokens);
    }
}
