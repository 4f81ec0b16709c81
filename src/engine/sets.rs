//! What a host asks of a set.

use super::{Blocked, CircuitFlags, Engine, Error, Instruction, Misuse, Place, Taker, Verdict, VerdictKind, What};
use crate::base::{limits, Id, Nanos};
use crate::conflux::set::{LegIx, LegNumbers, Numbers, Plan, Refusal, SetStats};
use crate::conflux::{Algorithm, Cause, Fault, Role, SetTerms};
use crate::message::{Delivery, TooSmall};
use crate::reactor::{Controller, DataHead, Owner, StreamMessage, StreamUse, Written};
use crate::wire::Command;
use smallvec::SmallVec;

impl Engine {
    /// Says whether sets that peers open are accepted, and what they are made with.
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
        self.settle_set(&mut terms);
        let set = self.insert_set(Controller::new(Role::Client, terms))?;
        if !self.claim(Role::Client, set) {
            self.forget_set(set);
            return Err(Misuse::NonceInUse.into());
        }
        Ok(set)
    }

    /// The last leg goes on as a circuit of its own.
    pub fn dissolve(&mut self, now: Nanos, set: Id) -> Result<Id, Error> {
        self.enter_for_set(now, set)?;
        let leg = self.set(set)?.alone().filter(|&leg| !self.is_elsewhere(leg)).ok_or(Misuse::NotAlone)?;
        self.move_streams(set, leg);
        let is_waited_for = self.set(set)?.is_waited_for();
        if let Some(circuit) = self.circuits.get_mut(leg) {
            circuit.place = Place::Alone;
            circuit.config.flags.add(CircuitFlags::STREAMS);
            if let Some(reactor) = circuit.reactor.as_mut().filter(|_| is_waited_for) {
                reactor.backward.wait_for_edge();
            }
        }
        self.forget_set(set);
        self.resume_circuit(leg);
        Ok(leg)
    }

    /// The host wants an end of it.
    pub fn close_set(&mut self, now: Nanos, set: Id) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        self.end_set(set, Cause::Asked);
        Ok(())
    }

    /// Chooses a leg and changes nothing. No answer means that the message is to be held: [`Engine::hold_for_set`].
    #[inline(always)]
    pub fn decide(&mut self, now: Nanos, set: Id, command: Command, hop: u8) -> Result<Option<Verdict>, Error> {
        self.enter_for_sending(now, set, command, hop)?;
        if self.crosses(set, command)? {
            return Ok(None);
        }
        let Some(state) = self.sets.get_mut(set) else { return Err(Misuse::StaleId.into()) };
        let plan = state.decide(command);
        self.unless_held(set, plan)
    }

    /// The common case of [`Engine::decide`]: the sending leg stays, and has room. No answer means that it has to be
    /// asked.
    #[inline(always)]
    pub fn decide_next(&mut self, now: Nanos, set: Id, command: Command, hop: u8) -> Option<Verdict> {
        if !self.enter_quick(now) {
            return None;
        }
        // A leg elsewhere needs the message itself.
        let elsewhere = self.has_legs_elsewhere();
        let state = self.sets.get(set)?;
        if elsewhere || !command.is_multiplexed() || !state.is_host_hop(hop) {
            return None;
        }
        state.decide_next().map(verdict)
    }

    /// How many DATA messages in a row the sending leg takes before another can be chosen.
    pub fn room(&self, set: Id) -> Result<u64, Error> {
        Ok(self.set(set)?.room())
    }

    /// Chooses a leg and counts the message, and the SWITCH before it, as queued. No answer means that the message is
    /// to be held: [`Engine::hold_for_set`].
    #[inline(always)]
    pub fn send(&mut self, now: Nanos, set: Id, command: Command, hop: u8) -> Result<Option<Verdict>, Error> {
        self.enter_for_sending(now, set, command, hop)?;
        self.send_at(set, command, hop)
    }

    /// The same for a stream of ours.
    pub(super) fn send_in_set(&mut self, set: Id, command: Command, hop: u8) -> Result<Option<Verdict>, Error> {
        let mut verdict = self.send_at(set, command, hop)?;
        if let Some(verdict) = &mut verdict {
            verdict.wants_digest = self.count_data(verdict.circuit, hop, command, self.time.clock.latest());
        }
        Ok(verdict)
    }

    #[inline(always)]
    fn send_at(&mut self, set: Id, command: Command, hop: u8) -> Result<Option<Verdict>, Error> {
        if self.crosses(set, command)? {
            return Ok(None);
        }
        let Some(state) = self.sets.get_mut(set) else { return Err(Misuse::StaleId.into()) };
        let plan = state.send(command, self.time.clock.latest(), &mut self.out.effects);
        if !self.out.effects.is_empty() {
            self.apply_effects(set);
        }
        let verdict = self.unless_held(set, plan)?;
        if let Some(verdict) = &verdict {
            self.padding.purse.sent(1 + u64::from(verdict.switch_delta != 0));
            if self.padding.circuits > 0 {
                self.tell_verdict(verdict, hop);
            }
        }
        Ok(verdict)
    }

    /// Tells the padders of a leg what is sent on it.
    #[cold]
    #[inline(never)]
    fn tell_verdict(&mut self, verdict: &Verdict, hop: u8) {
        let now = self.time.clock.latest();
        if verdict.switch_delta != 0 {
            self.tell_sent(verdict.circuit, hop, now);
        }
        self.tell_sent(verdict.circuit, hop, now);
    }

    /// The common case of [`Engine::send`]: the sending leg stays, and has room. No answer means that nothing was done.
    /// Where [`Engine::pads`], the padders of the leg are still to be told: [`Engine::note_next`].
    #[inline(always)]
    pub fn send_next(&mut self, now: Nanos, set: Id, command: Command, hop: u8) -> Option<Verdict> {
        if !self.enter_quick(now) {
            return None;
        }
        // A leg elsewhere needs the message itself.
        let elsewhere = self.has_legs_elsewhere();
        let state = self.sets.get_mut(set)?;
        if !command.is_multiplexed() || !state.is_host_hop(hop) {
            return None;
        }
        if elsewhere && !state.settled_leg().is_some_and(|leg| self.circuits.is_ours(leg)) {
            return None;
        }
        let plan = state.send_next(command == Command::DATA, now)?;
        self.padding.purse.sent(1);
        Some(verdict(plan))
    }

    /// True when there is a circuit with padding.
    #[inline]
    pub fn pads(&self) -> bool {
        self.padding.circuits > 0
    }

    /// The second half of [`Engine::send_next`]: the padders of a leg hear of what was sent on it.
    pub fn note_next(&mut self, leg: Id, hop: u8) {
        self.tell_sent(leg, hop, self.time.clock.latest());
    }

    /// The common case of [`Engine::peek`]: on a leg of ours.
    #[inline(always)]
    pub fn peek_next(&self, set: Id) -> Option<Verdict> {
        let plan = self.sets.get(set)?.peek().ok()?;
        (!self.is_elsewhere(plan.leg)).then(|| verdict(plan))
    }

    /// Could DATA be sent, and where?
    pub fn peek(&mut self, set: Id) -> Result<Verdict, Error> {
        let held = Verdict::of(VerdictKind::Held, Id::NONE, 0);
        let plan = self.set(set)?.peek();
        let plan = self.unless_held(set, plan)?;
        Ok(plan.filter(|plan| !self.is_elsewhere(plan.circuit)).unwrap_or(held))
    }

    /// Takes the next message of one set whose turn has come.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn set_poll(&mut self, set: Id, buffer: &mut [u8]) -> Result<Option<Instruction>, Error> {
        let mut taken = None;
        self.set_poll_into(set, move || buffer, &mut taken)?;
        Ok(taken)
    }

    /// The same; true when `taker` has one. The buffer is asked for only when something is ready.
    #[inline(always)]
    pub fn set_poll_into<'b>(
        &mut self,
        set: Id,
        buffer: impl FnOnce() -> &'b mut [u8],
        taker: &mut impl Taker,
    ) -> Result<bool, Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        if !state.is_ready() {
            if state.is_noted() {
                state.ran_out(&self.held.store, self.time.clock.latest());
            }
            return Ok(false);
        }
        if state.params().is_some() {
            let taken = self.take_ready_run(set, buffer(), taker).map_err(|TooSmall| Error::TOO_SMALL);
            self.out.paused = false;
            self.ran_dry(set);
            return taken;
        }
        self.take_ready(set, buffer(), taker).map_err(|TooSmall| Error::TOO_SMALL)
    }

    /// Takes up to `cap` messages of one set whose turn has come, as long as they are tokens.
    #[inline(always)]
    pub fn set_poll_tokens(&mut self, set: Id, cap: usize, mut take: impl FnMut(u64)) -> Result<(), Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        if state.params().is_some() {
            return Err(Misuse::IsRun.into());
        }
        for _ in 0..cap {
            let Some(token) = state.next_token(&mut self.held.store) else { break };
            take(token);
            if state.has_duplicate() {
                self.fault_of_set(set, Fault::NumberTwice);
                return Ok(());
            }
        }
        self.shrank(set);
        Ok(())
    }

    /// Gives a stream another tag of the host's.
    pub fn retag_stream(&mut self, id: Id, tag: u64) -> Result<(), Error> {
        let Some(stream) = self.streams.get_mut(id) else { return Err(self.streams.reason(id).into()) };
        stream.tag = tag;
        Ok(())
    }

    /// A set has another name of the host's from now on, also in what waits.
    pub fn retag_set(&mut self, set: Id, tag: u64) -> Result<(), Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        state.retag(tag);
        // All else that waits asks the set; so hosts that name many sets in one drain do not walk the queue for each.
        if std::mem::take(&mut state.close_waits) {
            self.out.queue.retag(set, tag);
        }
        Ok(())
    }

    /// A set chooses its sending leg in another way from now on, or as its peer asks.
    pub fn choose_by(&mut self, set: Id, algorithm: Option<Algorithm>) -> Result<(), Error> {
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        state.choose_by(algorithm, &mut self.out.effects);
        self.apply_effects(set);
        Ok(())
    }

    /// Figures of a set.
    pub fn set_stats(&self, set: Id) -> Result<SetStats, Error> {
        Ok(self.set(set)?.stats(&self.held.store, self.time.clock.latest()))
    }

    /// All the bytes for which a set can be chosen when a cap is reached, and since when the oldest of them has waited.
    pub fn set_total(&mut self, set: Id) -> Option<(u64, Nanos)> {
        self.look_at_crossing(set);
        let state = self.sets.get(set)?;
        Some((state.bytes(), state.since_when(&self.held.store, self.time.clock.latest())))
    }

    /// How the streams of a set stand; none where they are not ours.
    pub fn set_streams(&self, set: Id) -> Option<StreamUse> {
        self.sets.get(set).and_then(|state| state.stream_use())
    }

    /// A set's numbers.
    pub fn export(&self, set: Id) -> Result<(Numbers, Vec<LegNumbers>), Error> {
        Ok(self.set(set)?.export())
    }

    /// Sets a set's numbers.
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

    /// Takes the next ready message of a set, and ends the set when taking it shows that a number came twice. True when
    /// there was one.
    #[inline(always)]
    pub(super) fn take_ready(&mut self, set: Id, buffer: &mut [u8], taker: &mut impl Taker) -> Result<bool, TooSmall> {
        let Some(state) = self.sets.get_mut(set) else { return Ok(false) };
        if state.params().is_some() {
            return self.take_ready_run(set, buffer, taker);
        }
        let Some(delivery) = state.next(&mut self.held.store, buffer)? else { return Ok(false) };
        let set_tag = state.terms().tag;
        if !state.is_ready() {
            self.took_last(set);
        }
        taker.take(Instruction::about(delivery.leg, delivery.tag, set, set_tag, What::Deliver(delivery)));
        Ok(true)
    }

    /// What waits behind the last message of a set that was ready, if anything, is not its turn yet, or never will.
    #[inline(never)]
    fn took_last(&mut self, set: Id) {
        if self.sets.get(set).is_some_and(|state| state.has_duplicate()) {
            self.fault_of_set(set, Fault::NumberTwice);
        } else {
            self.ran_dry(set);
        }
    }

    /// The same, where the streams are ours: what is for us alone is not handed out.
    #[inline(never)]
    fn take_ready_run(&mut self, set: Id, buffer: &mut [u8], taker: &mut impl Taker) -> Result<bool, TooSmall> {
        let now = self.time.clock.latest();
        for _ in 0..limits::FREED_STEP {
            let Some(state) = self.sets.get_mut(set) else { return Ok(false) };
            let Some(delivery) = state.next(&mut self.held.store, buffer)? else { return Ok(false) };
            let (hop, set_tag) = (state.join_hop(), state.terms().tag);
            let torn = state.has_duplicate();
            let data = DataHead { hop, stream_id: delivery.stream_id, len: delivery.len };
            let written = match delivery.command {
                Command::DATA if !torn => state.write_data(&mut self.streams, now, &data),
                _ => None,
            };
            if let Some(Written { stream, tag, say }) = written {
                if let Some(say) = say {
                    self.say(Owner::Set(set), stream, say, now);
                }
                let about = Instruction::about(delivery.leg, delivery.tag, set, set_tag, What::Deliver(delivery));
                taker.take(Instruction { stream, stream_tag: tag, ..about });
                return Ok(true);
            }
            if torn {
                self.fault_of_set(set, Fault::NumberTwice);
            }
            let body = buffer.get(..usize::from(delivery.body_len)).unwrap_or_default();
            if let Some(instruction) = self.hand_on(set, hop, set_tag, &delivery, body) {
                taker.take(instruction);
                return Ok(true);
            }
        }
        // So many were for us alone. The mark stays.
        self.out.paused = true;
        self.time.alarms.set_left(true);
        Ok(false)
    }

    /// What becomes of a message of a set that has had its turn, where the streams are ours. None when it was for us.
    fn hand_on(&mut self, set: Id, hop: u8, set_tag: u64, delivery: &Delivery, body: &[u8]) -> Option<Instruction> {
        let &Delivery { command, stream_id, len, leg, tag, token, .. } = delivery;
        let message = StreamMessage { command, stream_id, hop, len, body };
        let verdict = Verdict::of(VerdictKind::Deliver, leg, tag);
        let verdict = self.write_stream(self.time.clock.latest(), Owner::Set(set), leg, &message, verdict);
        let about = Instruction::about(leg, tag, set, set_tag, What::Deliver(*delivery));
        match verdict {
            Ok(Verdict { kind: VerdictKind::Deliver, stream, stream_tag, .. }) => {
                Some(Instruction { stream, stream_tag, ..about })
            }
            // Of a stream that is closed, or the end of the set: the host has it back.
            _ => token.map(|token| Instruction { what: What::Discard(token), ..about }),
        }
    }

    /// The streams of a set go with its last leg.
    fn move_streams(&mut self, set: Id, leg: Id) {
        let Some(streams) = self.sets.get_mut(set).and_then(|state| state.streams.take()) else { return };
        for id in streams.ids() {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.owner = Owner::Circuit(leg);
            }
        }
        if let Some(reactor) = self.circuits.get_mut(leg).and_then(|circuit| circuit.reactor.as_mut()) {
            match &mut reactor.streams {
                // Those of other hops are there already.
                Some(others) => others.absorb(*streams),
                none => *none = Some(streams),
            }
        }
    }

    /// The first step of sending: the set lives, and the message is one of its own.
    #[inline(always)]
    fn enter_for_sending(&mut self, now: Nanos, set: Id, command: Command, hop: u8) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        if !command.is_multiplexed() {
            return Err(Misuse::NotMultiplexed.into());
        }
        let state = self.set(set)?;
        if hop == state.join_hop() {
            // Not past the streams that we know.
            state.params().map_or(Ok(()), |_| Err(Misuse::IsRun.into()))
        } else if state.leg_count() == 0 {
            Err(Blocked::NotUsable.into())
        } else {
            Err(self.invalid("a multiplexed message goes to the join point"))
        }
    }

    #[inline]
    fn unless_held(&mut self, set: Id, plan: Result<Plan, Refusal>) -> Result<Option<Verdict>, Error> {
        match plan {
            Ok(plan) => Ok(Some(verdict(plan))),
            Err(Refusal::Hold) => Ok(None),
            Err(refusal) => Err(self.refused(set, refusal)),
        }
    }

    pub(super) fn set(&self, id: Id) -> Result<&Controller, Error> {
        Ok(self.sets.lookup(id)?)
    }

    /// The first step of a feed about a set.
    #[inline(always)]
    pub(super) fn enter_for_set(&mut self, now: Nanos, set: Id) -> Result<Nanos, Error> {
        let now = if self.goes_on(now) { now } else { self.run_due_before_set(now, set)? };
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
}

#[inline]
fn verdict(plan: Plan) -> Verdict {
    Verdict { switch_delta: plan.delta, number: plan.number, ..Verdict::of(VerdictKind::Send, plan.leg, plan.tag) }
}
