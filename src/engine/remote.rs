//! Sets over several engines (B1): our circuits that are legs of a set elsewhere, and legs elsewhere of our sets.
//!
//! A set lives on the engine that saw its first LINK, its home. Whatever comes on a leg of another engine crosses to
//! the home in the leg's order and is held there until it is taken; what the set sends on that leg crosses the other
//! way. [`crate::hub`] carries it; here it is put in and taken out.

use super::crossing::{cause, word, Crossed, Crossing, Down, Request, Sender, Up, ENDED};
use super::elsewhere::{Away, HomeLeg};
use super::insn::Queued;
use super::poll::our_link;
use super::{Blocked, Engine, Error, Misuse, Place, Verdict, VerdictKind};
use crate::base::{limits, Id, Nanos};
use crate::conflux::set::Refusal;
use crate::conflux::{Cause, Fault, Lane, Message, Report, Role, Token};
use crate::congestion::{mirror, Snapshot};
use crate::hub::{Claim, Hub, JoinError, Left, News, NotAdmitted, Notify};
use crate::queue::{Backlog, Pushed, Refused};
use crate::reactor::{Heed, Side};
use crate::wire::conflux::{Link, Switch};
use crate::wire::Command;
use zeroize::Zeroizing;

/// The hub of engines.
pub type EngineHub = Hub<Crossing>;

/// No message is longer; of one with a token, only the length is looked at.
static BLANK: [u8; crate::wire::cell::CELL_BODY_LEN] = [0; crate::wire::cell::CELL_BODY_LEN];

impl Engine {
    /// Joins a hub, before anything else is done.
    pub fn join_hub(&mut self, hub: &EngineHub, notify: Notify) -> Result<(), Error> {
        if self.port.is_some() || !self.circuits.is_empty() || !self.sets.is_empty() {
            return Err(self.invalid("an engine joins one hub, before it has circuits or sets"));
        }
        // The store keeps the engine's own cap, of which held messages are only a part.
        match hub.join_engine(self.tag as u16, notify, u64::MAX) {
            Ok(port) => {
                self.port = Some(port);
                Ok(())
            }
            Err(NotAdmitted::TagTaken) => Err(self.invalid("another engine of the hub has this tag")),
            Err(NotAdmitted::HubFull) => Err(Blocked::Full.into()),
        }
    }

    /// True when a set of ours has a leg elsewhere.
    #[inline]
    pub(super) fn has_legs_elsewhere(&self) -> bool {
        !self.home_legs.by_id.is_empty()
    }

    /// True for an id of another engine's: a leg elsewhere.
    #[inline]
    pub(super) fn is_elsewhere(&self, id: Id) -> bool {
        self.port.is_some() && id != Id::NONE && !self.circuits.is_ours(id)
    }

    /// The host's word for a leg, wherever it is.
    pub(super) fn leg_tag(&self, id: Id) -> Option<u64> {
        match self.circuits.get(id) {
            Some(open) => (open.place != Place::Closing).then_some(open.config.tag),
            None => self.home_legs.look(id).map(|leg| leg.tag),
        }
    }

    /// Exit: LINK for a nonce that no set of ours has. Says whose it is.
    pub(super) fn claim(&mut self, role: Role, set: Id) -> Option<crate::hub::Home<Crossing>> {
        let (port, state) = (self.port.as_ref()?, self.sets.get(set)?);
        match port.claim(role, &state.terms().nonce, set) {
            Claim::Ours => None,
            Claim::Home(home) => Some(home),
        }
    }

    /// Asks the home of a set to take our circuit in.
    pub(super) fn go_away(
        &mut self,
        id: Id,
        home: &crate::hub::Home<Crossing>,
        link: Link,
    ) -> Result<(), Option<Fault>> {
        let Some(port) = &self.port else { return Err(None) };
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(None) };
        let (publisher, reader) = mirror();
        let params =
            circuit.reactor.as_ref().filter(|_| circuit.runs_streams()).map(|reactor| reactor.params().clone());
        let request = Request { circuit: id, tag: circuit.config.tag, link: link.clone(), params, mirror: reader };
        let end = match port.join(home, request, id) {
            Ok(end) => end,
            Err(JoinError::Gone) => return Err(None),
            Err(JoinError::Full) => return Err(Some(Fault::LinkLimit)),
        };
        let away = Away {
            end,
            backlog: Backlog::new(self.marks.cap()),
            publisher,
            included: 0,
            paused: false,
            linked: None,
            link: Some(link),
            reported: Report {
                cwnd: 0,
                inflight: 0,
                rtt: 0,
                sendme_inc: limits::SENDME_INC_DEFAULT,
                slow_start: false,
                blocked: false,
            },
        };
        circuit.place = Place::Away;
        circuit.away = Some(Box::new(away));
        self.publish(id);
        Ok(())
    }

    /// A multiplexed message or SWITCH came on a circuit whose set is elsewhere.
    pub(super) fn receive_away(&mut self, id: Id, message: &Message<'_>, is_ours: bool) -> Result<Verdict, Error> {
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        let tag = circuit.config.tag;
        let (up, kind) = if message.command == Command::CONFLUX_SWITCH {
            match Switch::decode(message.body) {
                Ok(switch) => (Up::Switch(switch), VerdictKind::Consumed),
                Err(_) => return Err(self.fault(id, Fault::BadSwitch)),
            }
        } else {
            // What only circflow reads stays no token of the host's.
            let message = &Message { token: message.token.filter(|_| !is_ours), ..*message };
            (Up::Message(Crossed::new(message)), if is_ours { VerdictKind::Consumed } else { VerdictKind::Held })
        };
        self.send_home(id, up)?;
        Ok(Verdict::of(kind, id, tag))
    }

    /// Sends something to the home of a circuit's set, behind all that waits.
    pub(super) fn send_home(&mut self, id: Id, up: Up) -> Result<(), Error> {
        let marks = self.marks;
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away.as_mut()) else {
            return Err(Misuse::NotALeg.into());
        };
        match away.backlog.push(&mut Sender(&away.end), up) {
            Ok(Pushed::Through) => Ok(()),
            Ok(Pushed::Kept) => {
                if away.backlog.len() >= marks.high as usize && !away.paused {
                    away.paused = true;
                    self.heed(id, Side::Back, Heed::Pause);
                }
                Ok(())
            }
            Err(Refused::Full(_)) => Err(self.fault(id, Fault::EdgeOverrun)),
            // The news of it is on its way.
            Err(Refused::Closed(_)) => Err(Blocked::Gone.into()),
        }
    }

    /// How a circuit stands whose set is elsewhere, from the host's congestion control.
    pub(super) fn report_away(&mut self, id: Id, report: &Report) {
        if let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away.as_mut()) {
            away.reported = *report;
            self.publish(id);
            self.tell_changed(id);
        }
    }

    /// Hands out LINKED, and tells the home when.
    pub(super) fn take_linked(&mut self, id: Id, buffer: &mut [u8]) -> Result<bool, Error> {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away.as_mut()) else { return Ok(false) };
        let Some(linked) = &away.linked else { return Ok(false) };
        let body = Zeroizing::new(linked.encode());
        buffer.get_mut(..Link::LEN).ok_or(Error::TOO_SMALL)?.copy_from_slice(&*body);
        away.linked = None;
        let now = self.clock.latest();
        let _ = self.send_home(id, Up::LinkedSent(now));
        Ok(true)
    }

    /// Shows the home how a circuit stands.
    pub(super) fn publish(&mut self, id: Id) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let (runs, hop) = (circuit.runs_streams(), circuit.config.hops);
        let Some(away) = &mut circuit.away else { return };
        let report = match circuit.reactor.as_mut().filter(|_| runs) {
            Some(reactor) => reactor.report(hop),
            None => away.reported,
        };
        let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
        away.publisher.publish(&Snapshot {
            cwnd: narrow(report.cwnd),
            inflight: narrow(report.inflight),
            rtt: report.rtt,
            included: away.included,
            sendme_inc: u16::try_from(report.sendme_inc).unwrap_or(u16::MAX),
            slow_start: report.slow_start,
            blocked: report.blocked || circuit.padding.as_ref().is_some_and(|padding| padding.is_blocked()),
        });
    }

    /// Rings for what was published. Where there is no room, the home looks anyway, as it has something to read.
    pub(super) fn tell_changed(&mut self, id: Id) {
        if let Some(away) = self.circuits.get(id).and_then(|circuit| circuit.away.as_ref()) {
            let _ = away.end.send(Up::Changed);
        }
    }

    /// A circuit of ours that is a leg elsewhere has gone, or is about to.
    pub(super) fn come_back(&mut self, id: Id, why: Cause) {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away.take()) else { return };
        let mut tokens = Vec::new();
        let Away { end, mut backlog, .. } = *away;
        end.close(word(why), |left| match left {
            Left::Unread(down) => tokens.extend(down.token()),
            Left::Unsent(up) => tokens.extend(up.token()),
        });
        tokens.extend(backlog.take_rest().filter_map(|up| up.token()));
        self.discard(tokens);
    }

    /// A set of ours has lost a leg elsewhere, or wants it closed.
    pub(super) fn send_off(&mut self, id: Id, why: Cause) {
        let Some((place, leg)) = self.home_legs.remove(id) else { return };
        self.alarms.cancel_elsewhere(place);
        let HomeLeg { end, mut backlog, .. } = leg;
        let mut tokens = Vec::new();
        end.close(word(why), |left| match left {
            Left::Unread(up) => tokens.extend(up.token()),
            Left::Unsent(down) => tokens.extend(down.token()),
        });
        tokens.extend(backlog.take_rest().filter_map(|down| down.token()));
        self.discard(tokens);
    }

    /// Tokens that came to nothing are the host's again.
    fn discard(&mut self, tokens: Vec<Token>) {
        let mut lane = Lane::EMPTY;
        for (token, number) in tokens.into_iter().zip(1..) {
            let message = Message { command: Command::DATA, hop: 0, stream_id: 0, body: &[], token: Some(token) };
            let _ = self.store.push(&mut lane, number, &message);
        }
        if !lane.is_empty() {
            self.queue.push(Queued::Rest { set: Id::NONE, set_tag: 0, lane, next: 0, run: false });
        }
    }

    /// True when a message would go on a leg elsewhere: then it is taken along ([`Engine::hold_for_set`]), not sent
    /// here.
    #[inline]
    pub(super) fn crosses(&mut self, set: Id, command: Command) -> Result<bool, Error> {
        if !self.has_legs_elsewhere() {
            return Ok(false);
        }
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        match state.decide(command) {
            Ok(plan) => Ok(self.is_elsewhere(plan.leg)),
            Err(Refusal::Hold) => Ok(true),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Sends a message on the leg elsewhere that was just chosen for it. False when none was.
    pub(super) fn take_along(&mut self, set: Id, message: &Message<'_>) -> bool {
        let Some(state) = self.sets.get_mut(set) else { return false };
        let Ok(plan) = state.plan(message.command) else { return false };
        if self.home_legs.find(plan.leg).is_none() || state.is_holding() {
            return false;
        }
        let now = self.clock.latest();
        match state.send(message.command, now, &mut self.effects) {
            Ok(plan) => {
                self.cross(plan.leg, plan.delta, plan.number, Crossed::new(message));
                self.apply_effects(set);
                true
            }
            Err(_) => false,
        }
    }

    /// Sends a message of a set on a leg elsewhere. It has been counted as sent.
    pub(super) fn cross(&mut self, id: Id, delta: u32, number: u64, message: Crossed) {
        let is_data = message.command() == Command::DATA;
        let Some((_, leg)) = self.home_legs.find(id) else {
            self.discard(message.token().into_iter().collect());
            return;
        };
        leg.committed += u64::from(is_data);
        match leg.backlog.push(&mut Sender(&leg.end), Down::Send { delta, number, message }) {
            Ok(Pushed::Through) => {}
            // From here on the leg counts as blocked, so little can follow.
            Ok(Pushed::Kept) => self.look_at(id),
            Err(Refused::Full(down) | Refused::Closed(down)) => {
                self.discard(down.token().into_iter().collect());
                self.lose(id, Cause::LegLost);
            }
        }
    }

    /// The same for a message that a lane holds.
    pub(super) fn cross_lane(&mut self, id: Id, delta: u32, number: u64, mut lane: Lane) {
        let mut buffer = BLANK;
        let Ok(Some((delivery, _))) = self.store.pop(&mut lane, &mut buffer) else { return };
        let body = buffer.get(..usize::from(delivery.len)).unwrap_or_default();
        let message =
            Message { command: delivery.command, hop: 0, stream_id: delivery.stream_id, body, token: delivery.token };
        self.cross(id, delta, number, Crossed::new(&message));
    }

    /// Sends LINKED on a leg elsewhere.
    pub(super) fn send_linked(&mut self, id: Id, set: Id) {
        let Some(terms) = self.sets.get(set).map(|state| state.terms()) else { return };
        let linked = Box::new(our_link(terms));
        if let Some((_, leg)) = self.home_legs.find(id) {
            let _ = leg.backlog.push(&mut Sender(&leg.end), Down::Linked(linked));
        }
    }

    /// Wakes a leg elsewhere that waits for LINKED_ACK.
    pub(super) fn arm_elsewhere(&mut self, id: Id, deadline: Option<Nanos>) {
        let Some((place, _)) = self.home_legs.find(id) else { return };
        match deadline {
            Some(deadline) => self.alarms.arm_elsewhere(place, deadline),
            None => self.alarms.cancel_elsewhere(place),
        }
    }

    /// A leg elsewhere has waited long enough.
    pub(super) fn expire_elsewhere(&mut self, place: u32, now: Nanos) {
        let Some(leg) = self.home_legs.at(place) else { return };
        let (id, set, ix) = (leg.id, leg.set, leg.ix);
        if let Some(fault) = self.sets.get(set).and_then(|state| state.expired(ix, now)) {
            self.fault_elsewhere(id, fault);
        }
    }

    /// Looks at what the other engines have sent: a bounded number of things.
    pub(super) fn hear(&mut self, now: Nanos) {
        let Some(port) = &self.port else { return };
        let mut keys = std::mem::take(&mut self.news);
        let more = port.take_news(limits::NEWS_STEP, &mut keys);
        self.alarms.set_busy(more);
        for key in keys.drain(..) {
            if key == Id::NONE {
                self.hear_joins(now);
            } else if self.circuits.is_ours(key) {
                self.hear_home(key);
            } else {
                self.hear_leg(key, now);
            }
        }
        self.news = keys;
    }

    /// Circuits of other engines want to be legs of our sets.
    fn hear_joins(&mut self, now: Nanos) {
        for _ in 0..limits::NEWS_STEP {
            let Some(join) = self.port.as_ref().and_then(|port| port.poll_join()) else { return };
            let (set, request) = (join.set, &join.request);
            let fit = match self.sets.get(set) {
                Some(state) if state.terms().nonce != request.link.nonce => Err(ENDED),
                Some(state) if state.params().is_some() != request.params.is_some() => {
                    Err(word(Cause::Fault(Fault::UnfitLink)))
                }
                Some(_) => Ok(()),
                None => Err(ENDED),
            };
            if let Err(why) = fit {
                join.refuse(why, |_| {});
                continue;
            }
            let Some(state) = self.sets.get_mut(set) else { continue };
            let ix = match state.accept(request.circuit, now, &request.link, false, &mut self.effects) {
                Ok(ix) => ix,
                Err(fault) => {
                    join.refuse(word(Cause::Fault(fault)), |_| {});
                    continue;
                }
            };
            state.set_tag(ix, request.tag);
            state.seated_elsewhere(request.params.as_ref());
            let id = request.circuit;
            let (request, end) = join.accept(id);
            self.home_legs.insert(HomeLeg {
                id,
                tag: request.tag,
                set,
                ix,
                end,
                backlog: Backlog::new(limits::BACKLOG_EVENTS),
                reader: request.mirror,
                committed: 0,
            });
            self.look_at(id);
            self.apply_effects(set);
        }
        if let Some(port) = &self.port {
            port.joins_again();
        }
    }

    /// News of a leg elsewhere.
    fn hear_leg(&mut self, id: Id, now: Nanos) {
        for _ in 0..limits::LINK_ROOM {
            let Some((_, leg)) = self.home_legs.find(id) else { return };
            let (set, ix) = (leg.set, leg.ix);
            let up = match leg.end.poll() {
                News::Item(up) => up,
                News::Nothing => {
                    let _ = leg.backlog.drain(&mut Sender(&leg.end));
                    self.look_at(id);
                    return;
                }
                News::Over(_) => return self.lose(id, Cause::LegLost),
            };
            let Some(state) = self.sets.get_mut(set) else { return };
            let heard = match up {
                Up::Message(message) => {
                    let held = state.arrive_from_elsewhere(ix, now, &message.message(0, &BLANK), &mut self.store);
                    if held.is_err() {
                        self.discard(message.token().into_iter().collect());
                    } else {
                        state.mark_ready(&mut self.effects);
                    }
                    held
                }
                Up::Switch(switch) => state.handle_switch(ix, now, switch),
                Up::LinkedSent(at) => {
                    state.handshake_sent(ix, at, &mut self.effects);
                    Ok(())
                }
                Up::LinkedAck(at) => state.handle_linked_ack(ix, at, &mut self.effects),
                Up::Changed => Ok(()),
            };
            self.apply_effects(set);
            if let Err(fault) = heard {
                self.fault_elsewhere(id, fault);
                return;
            }
        }
        // There may be more: in its turn.
        self.look_at(id);
        if let Some((_, leg)) = self.home_legs.find(id) {
            leg.end.again();
        }
    }

    /// Tells a set how a leg elsewhere stands: what its engine shows, and what has been sent since.
    fn look_at(&mut self, id: Id) {
        let Some((_, leg)) = self.home_legs.find(id) else { return };
        let Some(shown) = leg.reader.read() else { return };
        let report = Report {
            cwnd: shown.cwnd.into(),
            inflight: u64::from(shown.inflight) + leg.committed.saturating_sub(shown.included),
            rtt: shown.rtt,
            sendme_inc: shown.sendme_inc.into(),
            slow_start: shown.slow_start,
            blocked: shown.blocked || leg.backlog.has_pending(),
        };
        let (set, ix) = (leg.set, leg.ix);
        if let Some(state) = self.sets.get_mut(set) {
            state.report(ix, &report, &mut self.effects);
        }
        self.apply_effects(set);
    }

    /// A leg elsewhere has broken the protocol, or its time is over.
    fn fault_elsewhere(&mut self, id: Id, fault: Fault) {
        let Some((_, leg)) = self.home_legs.find(id) else { return };
        let set = leg.set;
        if fault.reach() == crate::wire::fault::Reach::Set {
            self.fault_of_set(set, fault);
        } else {
            self.note(fault, "leg", id);
            self.lose(id, Cause::Fault(fault));
        }
    }

    /// A leg elsewhere goes: its set is judged.
    fn lose(&mut self, id: Id, why: Cause) {
        let Some((_, leg)) = self.home_legs.find(id) else { return };
        let (set, ix) = (leg.set, leg.ix);
        self.send_off(id, why);
        self.remove_leg(set, ix, why);
    }

    /// News from the home of a circuit's set.
    fn hear_home(&mut self, id: Id) {
        for _ in 0..limits::LINK_ROOM {
            if self.queue.len() >= self.instructions_max {
                break;
            }
            let Some(circuit) = self.circuits.get_mut(id) else { return };
            let hop = circuit.config.hops;
            let Some(away) = &mut circuit.away else { return };
            match away.end.poll() {
                News::Item(Down::Linked(linked)) => {
                    away.link = None;
                    away.linked = Some(linked);
                    self.queue.push(Queued::LinkedAway { circuit: id });
                }
                News::Item(Down::Send { delta, number, message }) => {
                    away.included += u64::from(message.command() == Command::DATA);
                    let mut lane = Lane::EMPTY;
                    if self.store.push(&mut lane, 1, &message.message(hop, &BLANK)) {
                        let now = self.clock.latest();
                        self.released(id, Id::NONE, hop, delta, number, lane, now);
                    }
                    self.publish(id);
                }
                News::Nothing => {
                    let _ = away.backlog.drain(&mut Sender(&away.end));
                    if away.paused && away.backlog.len() <= self.marks.low as usize {
                        away.paused = false;
                        self.heed(id, Side::Back, Heed::Resume);
                    }
                    return;
                }
                News::Over(word) => return self.lose_home(id, word),
            }
        }
        if let Some(away) = self.circuits.get(id).and_then(|circuit| circuit.away.as_ref()) {
            away.end.again();
        }
    }

    /// The home of a circuit's set has gone, or wants no more of it.
    fn lose_home(&mut self, id: Id, word: Option<u32>) {
        let link =
            self.circuits.get_mut(id).and_then(|circuit| circuit.away.as_mut()).and_then(|away| away.link.take());
        if let (Some(link), Some(ENDED)) = (link, word) {
            // The set ended as we asked: its nonce starts another (R6).
            self.come_back(id, Cause::Asked);
            if let Some(circuit) = self.circuits.get_mut(id) {
                circuit.place = Place::Alone;
            }
            let now = self.clock.latest();
            if let Err(fault) = self.take_link(now, id, link) {
                self.fault(id, fault);
            }
            return;
        }
        self.close(id, Id::NONE, cause(word));
    }

    /// Every token that is on its way, when the engine is freed.
    pub fn leave(&mut self, mut discard: impl FnMut(u64, u32)) {
        let mut back = |token: Option<Token>| token.into_iter().for_each(|token| discard(token.token, token.cost));
        for leg in self.home_legs.all() {
            let HomeLeg { end, mut backlog, .. } = leg;
            end.close(word(Cause::LegLost), |left| match left {
                Left::Unread(up) => back(up.token()),
                Left::Unsent(down) => back(down.token()),
            });
            backlog.take_rest().for_each(|down| back(down.token()));
        }
        for circuit in self.circuits.all_mut() {
            let Some(away) = circuit.away.take() else { continue };
            let Away { end, mut backlog, .. } = *away;
            end.close(word(Cause::LegLost), |left| match left {
                Left::Unread(down) => back(down.token()),
                Left::Unsent(up) => back(up.token()),
            });
            backlog.take_rest().for_each(|up| back(up.token()));
        }
        self.port = None;
    }
}
