//! Sending in a set: choosing a leg, and counting the message.

use crate::base::{Id, Nanos};
use crate::conflux::set::{Plan, Refusal};
use crate::conflux::Report;
use crate::engine::send::Going;
use crate::engine::{Blocked, Engine, Error, Misuse, Verdict, VerdictKind};
use crate::event::Class;
use crate::message::Head;
use crate::reactor::Controller;
use crate::wire::Command;

impl Engine {
    /// Chooses a leg, and counts nothing as sent. The reports of legs are taken first.
    #[inline(always)]
    pub fn decide(
        &mut self,
        now: Nanos,
        set: Id,
        command: Command,
        hop: u8,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
    ) -> Result<Going, Error> {
        self.enter_for_sending(now, set, command, hop, news)?;
        if self.needs_a_look {
            return self.decide_with_a_look(set, command);
        }
        let now = self.time.clock.latest();
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        state.observe(now);
        match state.decide(command) {
            Ok(plan) => Ok(Going::Out(verdict(plan))),
            Err(Refusal::Hold) => Ok(Going::Later),
            Err(refusal) => Err(self.refused(set, refusal)),
        }
    }

    /// [`Engine::decide`] when the chosen leg can be on another engine, or share a channel.
    #[cold]
    #[inline(never)]
    fn decide_with_a_look(&mut self, set: Id, command: Command) -> Result<Going, Error> {
        let plan = self.plan(set, command)?;
        Ok(plan.map_or(Going::Later, |plan| self.going(plan)))
    }

    /// Keeps the ways open that see and tell all there is, after a leg elsewhere, a shared channel or a circuit with
    /// padding came or went, or when other events are wanted than before.
    pub(in crate::engine) fn update_ways(&mut self) {
        let choices = self.wants(Class::Choice);
        self.needs_a_look = self.has_legs_elsewhere() || self.channels.in_use() || choices;
        self.is_choice_seen = self.needs_a_look || self.wants(Class::Windows);
        self.tells = choices || self.padding.circuits > 0;
        self.time.alarms.set_watched(choices || self.wants(Class::Messages));
    }

    /// The quick way of [`Engine::decide`], while the sending leg stays and has room. None when the long way is needed.
    #[inline(always)]
    pub fn decide_quick(&mut self, now: Nanos, set: Id, command: Command, hop: u8) -> Option<Verdict> {
        if !self.enter_quick::<true>(now) {
            return None;
        }
        // A leg elsewhere needs the body.
        let elsewhere = self.has_legs_elsewhere();
        let state = self.sets.get(set)?;
        if elsewhere || !command.is_multiplexed() || !state.is_host_hop(hop) {
            return None;
        }
        state.decide_quick().map(verdict)
    }

    /// Chooses a leg and counts the message, and the SWITCH before it, as queued. The reports of legs are taken first.
    #[inline(always)]
    pub fn send_in_set(
        &mut self,
        now: Nanos,
        set: Id,
        command: Command,
        hop: u8,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
    ) -> Result<Going, Error> {
        self.enter_for_sending(now, set, command, hop, news)?;
        self.send_in_set_entered(set, command, hop)
    }

    /// The quick way of a choice that is made anew, for DATA; `COUNTS` the message, too. It takes reports of legs of
    /// the set as long as nothing is due, nothing waits and nobody watches. None when the long way has to be taken,
    /// with all reports.
    #[inline(always)]
    pub(super) fn choose_quick<const COUNTS: bool>(
        &mut self,
        now: Nanos,
        set: Id,
        &Head { command, hop, .. }: &Head,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
    ) -> Option<Verdict> {
        if command != Command::DATA || !self.try_enter(now) || self.is_choice_seen || (COUNTS && self.tells) {
            return None;
        }
        let state = self.sets.get_mut(set)?;
        if !state.is_calm() || !state.is_host_hop(hop) {
            return None;
        }
        let plan = state.choose_anew::<COUNTS>(news, now, &mut self.out.effects)?;
        if COUNTS {
            self.padding.purse.sent(1 + u64::from(plan.delta != 0));
        }
        Some(verdict(plan))
    }

    /// The quick way of [`Engine::send_in_set`], while the sending leg stays and has room. None when nothing was done.
    /// Where [`Engine::tells_of_sent`], call [`Engine::tell_of_sent`].
    #[inline(always)]
    pub fn send_in_set_quick(&mut self, now: Nanos, set: Id, command: Command, hop: u8) -> Option<Verdict> {
        if !self.enter_quick::<true>(now) {
            return None;
        }
        // A leg elsewhere needs the body.
        let elsewhere = self.has_legs_elsewhere();
        let state = self.sets.get_mut(set)?;
        if !command.is_multiplexed() || !state.is_host_hop(hop) {
            return None;
        }
        if elsewhere && !state.settled_leg().is_some_and(|leg| self.circuits.is_ours(leg)) {
            return None;
        }
        let plan = state.send_quick(command == Command::DATA, now)?;
        self.padding.purse.sent(1);
        Some(verdict(plan))
    }

    /// The leg on which DATA could be sent now; HELD when it would be held.
    pub fn peek(&mut self, set: Id) -> Result<Verdict, Error> {
        let held = Verdict::of(VerdictKind::Held, Id::NONE, 0);
        self.look_at_channels(set);
        let plan = match self.set(set)?.peek() {
            Err(Refusal::Hold) => None,
            plan => Some(plan.map_err(|refusal| self.note_refusal(set, refusal))?),
        };
        Ok(plan.and_then(|plan| self.going(plan).out()).unwrap_or(held))
    }

    /// The quick way of [`Engine::peek`]: on a leg of this engine, in a set of two that goes by their round trips.
    #[inline(always)]
    pub fn peek_quick(&self, set: Id) -> Option<Verdict> {
        if self.needs_a_look {
            return None;
        }
        self.sets.get(set)?.peek_quick().map(verdict)
    }

    /// Sends a message of a stream that circflow runs, in its set.
    pub(super) fn send_stream_in_set(&mut self, set: Id, command: Command, hop: u8) -> Result<Going, Error> {
        let mut going = self.send_in_set_entered(set, command, hop)?;
        if let Going::Out(verdict) = &mut going {
            verdict.wants_digest = self.count_data(verdict.circuit, hop, command, self.time.clock.latest());
        }
        Ok(going)
    }

    #[inline(always)]
    fn send_in_set_entered(&mut self, set: Id, command: Command, hop: u8) -> Result<Going, Error> {
        if self.needs_a_look {
            return self.send_with_a_look(set, command, hop);
        }
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        state.observe(self.time.clock.latest());
        let plan = state.send(command, self.time.clock.latest(), &mut self.out.effects);
        if !self.out.effects.is_empty() {
            self.apply_effects(set);
        }
        match plan {
            Ok(plan) => Ok(Going::Out(self.count_planned(plan, hop))),
            Err(Refusal::Hold) => Ok(Going::Later),
            Err(refusal) => Err(self.refused(set, refusal)),
        }
    }

    /// [`Engine::send_in_set`] when the chosen leg can be on another engine, or share a channel.
    #[inline(never)]
    fn send_with_a_look(&mut self, set: Id, command: Command, hop: u8) -> Result<Going, Error> {
        // Most often the leg stays, and then nothing has to be chosen.
        let stays = self.sets.get(set).and_then(|state| state.decide_quick());
        let Some(plan) = stays.map_or_else(|| self.plan(set, command), |plan| Ok(Some(plan)))? else {
            return Ok(Going::Later);
        };
        if self.is_elsewhere(plan.leg) {
            return Ok(Going::Elsewhere(plan));
        }
        if let Some(state) = self.sets.get_mut(set) {
            state.send_planned(&plan, command, self.time.clock.latest(), &mut self.out.effects);
        }
        if self.wants(Class::Choice) {
            self.note_sent_plan(set, &plan, command);
        }
        self.apply_effects(set);
        let verdict = self.count_planned(plan, hop);
        self.spend_for(&verdict);
        self.set_changed(set);
        Ok(Going::Out(verdict))
    }

    /// Chooses the leg for a message, and counts nothing; none when the message has to be held. Where legs share
    /// channels, the answer holds for this message only.
    #[inline(always)]
    pub(in crate::engine) fn plan(&mut self, set: Id, command: Command) -> Result<Option<Plan>, Error> {
        self.plan_by(set, |state| state.decide(command))
    }

    /// [`Engine::plan`] for DATA, of which nothing is decided yet: will a leg take it?
    pub(in crate::engine) fn look_at_room(&mut self, set: Id) -> Result<(), Error> {
        self.plan_by(set, |state| state.look(Command::DATA)).map(|_| ())
    }

    #[inline(always)]
    fn plan_by(
        &mut self,
        set: Id,
        ask: impl FnOnce(&mut Controller) -> Result<Plan, Refusal>,
    ) -> Result<Option<Plan>, Error> {
        self.look_at_channels(set);
        if self.wants(Class::Choice) {
            self.note_looks(set);
        }
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        state.observe(self.time.clock.latest());
        let plan = ask(state);
        // So that the choice is not kept for the next message: other circuits may fill the channel before it.
        self.look_at_channels(set);
        match plan {
            Ok(plan) => Ok(Some(plan)),
            Err(Refusal::Hold) => Ok(None),
            Err(refusal) => {
                if self.wants(Class::Choice) {
                    self.note_refused(set, refusal);
                }
                Err(self.refused(set, refusal))
            }
        }
    }

    #[inline(always)]
    fn going(&self, plan: Plan) -> Going {
        if self.is_elsewhere(plan.leg) {
            Going::Elsewhere(plan)
        } else {
            Going::Out(verdict(plan))
        }
    }

    /// Counts a message that goes out as planned, and the SWITCH before it, and tells padders.
    #[inline(always)]
    fn count_planned(&mut self, plan: Plan, hop: u8) -> Verdict {
        let verdict = verdict(plan);
        self.padding.purse.sent(1 + u64::from(verdict.switch_delta != 0));
        if self.padding.circuits > 0 {
            self.tell_padders_of_verdict(&verdict, hop);
        }
        verdict
    }

    /// The first step of sending: takes the reports of legs, and checks that the set can send the message.
    #[inline(always)]
    fn enter_for_sending(
        &mut self,
        now: Nanos,
        set: Id,
        command: Command,
        hop: u8,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
    ) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        // A report changes nothing of this.
        let fits = self.sets.get(set).is_some_and(|state| state.is_host_hop(hop)) && command.is_multiplexed();
        if news.size_hint() != (0, Some(0)) {
            self.take_reports_apart(news)?;
        }
        if fits {
            return Ok(());
        }
        self.check_for_sending(set, command, hop)
    }

    /// Where most calls bring none.
    #[inline(never)]
    fn take_reports_apart(&mut self, news: impl Iterator<Item = (Id, impl Into<Report>)>) -> Result<(), Error> {
        self.take_reports(news)
    }

    /// The reason why a set cannot send a message, if there is one.
    #[inline(never)]
    fn check_for_sending(&mut self, set: Id, command: Command, hop: u8) -> Result<(), Error> {
        if !command.is_multiplexed() {
            return Err(Misuse::NotMultiplexed.into());
        }
        let state = self.set(set)?;
        if hop == state.join_hop() {
            // Not past the streams that circflow runs.
            state.params().map_or(Ok(()), |_| Err(Misuse::IsRun.into()))
        } else if state.leg_count() == 0 {
            Err(Blocked::NotUsable.into())
        } else {
            Err(self.invalid("a multiplexed message goes to the join point"))
        }
    }
}

#[inline]
fn verdict(plan: Plan) -> Verdict {
    Verdict { switch_delta: plan.delta, number: plan.number, ..Verdict::of(VerdictKind::Send, plan.leg, plan.tag) }
}
