//! Sets over several engines (B1): how an engine joins and leaves a hub, handles its news, and finds the set of a LINK.
//!
//! A set lives on the engine that saw its first LINK, its home. Messages that come on a leg of another engine cross to
//! the home in the leg's order. One that is next goes straight to the host (`straight`), others are held there until
//! their turn. Messages that the set sends on that leg cross the other way. [`crate::hub`] carries them; `leg_side` is
//! the end at the leg, `set_side` the end at the set.

use crate::base::{limits, Id, Nanos};
use crate::conflux::{Cause, Fault, Role};
use crate::engine::spread::message::{reason, token_down, token_up, Crossing, Down, Up, ENDED};
use crate::engine::spread::places::{Away, HomeLeg};
use crate::engine::{Blocked, Engine, Error, LinkStep, Place};
use crate::event::Event;
use crate::hub::{Cargo, Claim, Hub, Join, Left, NotAdmitted, Notify};
use crate::message::Token;
use crate::wire::conflux::Link;
use crate::wire::Command;

/// A hub with the traffic of our engines.
pub type EngineHub = Hub<Crossing>;

/// A body of zeros, as long as any. It stands for the body of a message with a token, of which only the length counts.
pub(in crate::engine) static BLANK: [u8; crate::wire::cell::CELL_BODY_LEN] = [0; crate::wire::cell::CELL_BODY_LEN];

impl Engine {
    /// Joins a hub. Error when the engine has circuits or sets already.
    pub fn join_hub(&mut self, hub: &EngineHub, notify: Notify) -> Result<(), Error> {
        if self.spread.port.is_some() || !self.circuits.is_empty() || !self.sets.is_empty() {
            return Err(self.invalid("an engine joins one hub, before it has circuits or sets"));
        }
        match hub.join_engine(self.settings.tag as u16, notify) {
            Ok(port) => {
                self.spread.spares = port.spares();
                port.share(self.held.store.budget_mut());
                self.held.ledger = port.ledger().clone();
                self.padding.purse.join(port.padding());
                self.spread.port = Some(port);
                Ok(())
            }
            Err(NotAdmitted::NumberTaken) => Err(self.invalid("another engine of the hub has this tag")),
            Err(NotAdmitted::HubFull) => Err(Blocked::Full.into()),
        }
    }

    /// True when a set of ours has a leg elsewhere.
    #[inline]
    pub(in crate::engine) fn has_legs_elsewhere(&self) -> bool {
        !self.spread.home_legs.is_empty()
    }

    /// True for the id of a circuit on another engine: a leg elsewhere.
    #[inline]
    pub(in crate::engine) fn is_elsewhere(&self, id: Id) -> bool {
        self.spread.port.is_some() && id != Id::NONE && !self.circuits.is_ours(id)
    }

    /// The host's tag of a leg, on this engine or elsewhere.
    pub(in crate::engine) fn leg_tag(&self, id: Id) -> Option<u64> {
        match self.circuits.get(id) {
            Some(open) => (open.place != Place::Closing).then_some(open.config.tag),
            None => self.spread.home_legs.look(id).map(|leg| leg.tag),
        }
    }

    /// Claims the nonce of a set in the hub. False when another set has it.
    pub(in crate::engine) fn claim(&mut self, role: Role, set: Id) -> bool {
        let (Some(port), Some(state)) = (&self.spread.port, self.sets.get(set)) else { return true };
        matches!(port.claim(role, &state.terms().nonce, set), Claim::Ours)
    }

    /// Exit: looks in the hub for the set of a LINK. True when another engine has it, and was asked to take our
    /// circuit.
    pub(in crate::engine) fn join_elsewhere(&mut self, id: Id, link: &Link) -> Result<bool, Fault> {
        match self.spread.port.as_ref().and_then(|port| port.find(Role::Exit, &link.nonce)) {
            Some(home) => self.ask_home(id, &home, link),
            None => Ok(false),
        }
    }

    /// Handles news of the other engines, a bounded number of it.
    #[inline]
    pub(in crate::engine) fn take_hub_news(&mut self, now: Nanos) {
        if self.spread.port.is_some() {
            self.take_all_hub_news(now);
        }
    }

    /// [`Engine::tick`] in a hub.
    #[inline(never)]
    pub(in crate::engine) fn tick_with_others(&mut self, now: Nanos) {
        self.apply_allowance();
        let now = self.enter(now);
        self.take_hub_news(now);
        self.share_figures();
    }

    fn take_all_hub_news(&mut self, now: Nanos) {
        let Some(port) = &self.spread.port else { return };
        let mut keys = std::mem::take(&mut self.spread.news);
        let more = port.take_news(limits::NEWS_STEP, &mut keys);
        self.time.alarms.set_busy(more);
        for key in keys.drain(..) {
            if key == Id::NONE {
                self.apply_allowance();
                self.close_doomed();
                self.take_joins(now);
            } else if self.circuits.is_ours(key) {
                self.take_home_news(key);
            } else {
                self.take_leg_news(key, now, true);
            }
        }
        self.spread.news = keys;
    }

    /// Answers circuits of other engines that ask to be legs of our sets.
    fn take_joins(&mut self, now: Nanos) {
        for _ in 0..limits::NEWS_STEP {
            let Some(join) = self.spread.port.as_ref().and_then(|port| port.poll_join()) else { return };
            let id = join.request.circuit;
            // An engine that takes the place of one that went uses the same ids again. So the news of the earlier link
            // comes first: at most what a link has room for, and then its end.
            for _ in 0..2 {
                self.take_leg_news(id, now, false);
            }
            self.take_join(join, now);
        }
        if let Some(port) = &self.spread.port {
            port.ring_for_joins();
        }
    }

    fn take_join(&mut self, join: Join<Crossing>, now: Nanos) {
        let (set, request) = (join.set, &join.request);
        self.note(Event::CrossedIn { leg: request.circuit, command: Command::CONFLUX_LINK.0 });
        let known = self.sets.get_mut(set).filter(|state| state.terms().nonce == request.link.nonce);
        let accepted = match known {
            None => Err(ENDED),
            Some(state) if !state.fits(request.params.is_some(), request.hops) => {
                Err(reason(Cause::Fault(Fault::UnfitLink)))
            }
            Some(state) => {
                match state.accept(request.circuit, request.hops, now, &request.link, false, &mut self.out.effects) {
                    Ok(ix) => {
                        state.set_tag(ix, request.tag);
                        state.seated_elsewhere(request.params.as_ref());
                        Ok(ix)
                    }
                    Err(fault) => Err(reason(Cause::Fault(fault))),
                }
            }
        };
        let ix = match accepted {
            Ok(ix) => ix,
            Err(why) => {
                let mut left = Vec::new();
                join.refuse(why, |one| left.push(one));
                self.take_back(left, token_up);
                return;
            }
        };
        let id = request.circuit;
        self.note_step(set, ix, LinkStep::LinkReceived);
        let (request, end) = join.accept(id);
        self.spread.home_legs.insert(HomeLeg::new(set, ix, request, end));
        self.update_ways();
        self.report_leg_elsewhere(id);
        self.apply_effects(set);
    }

    /// Closes all links to other engines, when the engine is freed, and hands out every token that was on its way.
    /// Comes before [`Engine::leave_hub`], so that the other engines learn of it.
    pub fn drop_links(&mut self, mut discard: impl FnMut(u64, u32)) {
        let mut back = |token: Option<Token>| token.into_iter().for_each(|token| discard(token.token, token.cost));
        let mut count = |whose: Result<u64, u64>| match whose {
            Ok(ours) => self.held.store.budget_mut().release_crossing(ours),
            Err(theirs) => self.held.store.budget_mut().adopt(theirs),
        };
        for leg in self.spread.home_legs.all() {
            let HomeLeg { end, mut backlog, reading, .. } = leg;
            count(Err(reading.unadopted(&end)));
            let mut left = |one: Left<Up, Down>| {
                count(cost(&one));
                back(token_up(one));
            };
            end.close(reason(Cause::LegLost), &mut left);
            backlog.take_rest().map(Left::Unsent).for_each(left);
        }
        for circuit in self.circuits.all_mut() {
            let Some(away) = circuit.take_away() else { continue };
            let reason = away.last_reason(Cause::LegLost);
            let Away { end, mut backlog, asking, reading, .. } = *away;
            count(Ok(asking));
            count(Err(reading.unadopted(&end)));
            let mut left = |one: Left<Down, Up>| {
                count(cost(&one));
                back(token_down(one));
            };
            end.close(reason, &mut left);
            backlog.take_rest().map(Left::Unsent).for_each(left);
        }
    }

    /// Leaves the hub. Waits for calls of notify for this engine that other threads are making.
    pub fn leave_hub(&mut self) {
        self.spread.port = None;
    }
}

/// The cost of what is left in a link: Ok when we have counted it, Err when the other engine has.
fn cost<I: Cargo, O: Cargo>(left: &Left<I, O>) -> Result<u64, u64> {
    match left {
        Left::Unread(theirs) => Err(theirs.cost()),
        Left::Unsent(ours) => Ok(ours.cost()),
    }
}
