//! Our circuits that are legs of a set on another engine, its home. Messages that come on them cross to the home, and
//! messages that the set sends on them come from there.

use crate::base::{limits, Id, Nanos};
use crate::conflux::{Cause, Fault, Report};
use crate::congestion::{mirror, Snapshot};
use crate::engine::out::insn::Queued;
use crate::engine::padding::Watcher;
use crate::engine::slot::Apart;
use crate::engine::spread::membership::BLANK;
use crate::engine::spread::message::{cause_of, cost_with, token_down, Crossed, Crossing, Down, Request, Up, ENDED};
use crate::engine::spread::places::{Away, Reading, Way};
use crate::engine::{Blocked, Circuit, Engine, Error, Misuse, Place, Verdict, VerdictKind};
use crate::event::{Class, Event, Events};
use crate::hub::{Cargo, Home, JoinError, Left, News, NotSent};
use crate::message::{Lane, Message, COPY_COST};
use crate::queue::{Backlog, Pushed, Refused};
use crate::reactor::{FeedChange, Side};
use crate::wire::conflux::{Link, Switch};
use crate::wire::Command;
use zeroize::Zeroizing;

impl Engine {
    /// Asks the home of a set to make a leg of our circuit. False when that engine has just gone.
    pub(super) fn ask_home(&mut self, id: Id, home: &Home<Crossing>, link: &Link) -> Result<bool, Fault> {
        // LINK counts as held until the home has answered.
        let asking = u64::from(COPY_COST);
        self.ensure_room(id, asking)?;
        let (Some(port), Some(circuit)) = (&self.spread.port, self.circuits.get_mut(id)) else { return Ok(false) };
        let (publisher, reader) = mirror();
        let params =
            circuit.reactor.as_ref().filter(|_| circuit.runs_streams()).map(|reactor| reactor.params().clone());
        let (tag, hops) = (circuit.config.tag, circuit.hops());
        let request = Request { circuit: id, tag, hops, link: link.clone(), params, mirror: reader };
        let end = match port.join(home, request, id) {
            Ok(end) => end,
            Err(JoinError::Gone) => return Ok(false),
            Err(JoinError::Full) => return Err(Fault::LinkLimit),
        };
        if self.events.wants(Class::Hub) {
            let event = Event::CrossedOut { leg: id, command: Command::CONFLUX_LINK.0 };
            self.events.note(self.time.clock.latest(), event);
        }
        circuit.place = Place::Away;
        self.held.store.budget_mut().hold_crossing(asking);
        circuit.apart().away = Some(Box::new(Away {
            end,
            backlog: Backlog::new(self.settings.marks.cap()),
            publisher,
            heard: 0,
            included: 0,
            paused: false,
            stalled: false,
            linked: None,
            link: Some(link.clone()),
            reported: Report {
                cwnd: 0,
                inflight: 0,
                rtt: 0,
                sendme_inc: limits::SENDME_INC_DEFAULT,
                slow_start: false,
                blocked: false,
            },
            way: Way::default(),
            asking,
            reading: Reading::default(),
            unread: false,
            shown: 0,
        }));
        // A home that hangs or is poisoned never answers. Once it has answered, it measures the time for LINKED_ACK.
        let wait = self.settings.accepted.as_ref().map_or(limits::LINK_TIMEOUT_DEFAULT, |terms| terms.link_timeout);
        self.time.alarms.arm_handshake(id, self.time.clock.latest().saturating_add(wait));
        self.grew(id);
        self.publish(id);
        Ok(true)
    }

    /// Closes a circuit whose request to a home was not answered in time.
    pub(in crate::engine) fn expire_request(&mut self, id: Id) {
        let away = self.circuits.get(id).and_then(|circuit| circuit.away());
        if away.is_some_and(|away| away.link.is_some()) {
            self.fault(id, Fault::HomeTimeout);
        }
    }

    /// Sends a multiplexed message or a SWITCH that came on our circuit to the home of its set.
    pub(in crate::engine) fn cross_to_home(
        &mut self,
        id: Id,
        message: &Message<'_>,
        is_ours: bool,
    ) -> Result<Verdict, Error> {
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        let tag = circuit.config.tag;
        let (up, kind) = if message.command == Command::CONFLUX_SWITCH {
            match Switch::decode(message.body) {
                Ok(switch) => (Up::Switch(switch), VerdictKind::Consumed),
                Err(_) => return Err(self.fault(id, Fault::BadSwitch)),
            }
        } else {
            // A message that only circflow reads is no token of the host's.
            let message = &Message { token: message.token.filter(|_| !is_ours), ..*message };
            (
                Up::Message(Crossed::new(message, &mut self.spread.spares)),
                if is_ours { VerdictKind::Consumed } else { VerdictKind::Held },
            )
        };
        self.send_home(id, up)?;
        Ok(Verdict::of(kind, id, tag))
    }

    /// The common case of DATA on our circuit, in one look at the circuit: it is due no SENDME, and the link has room.
    /// None, and nothing is changed, in any other case.
    #[inline(always)]
    pub(in crate::engine) fn cross_data_quick(&mut self, id: Id, message: &Message<'_>) -> Option<Verdict> {
        let now = self.time.clock.latest();
        let Circuit { place: Place::Away, config, reactor: Some(reactor), padding: None, apart: Some(apart) } =
            self.circuits.get_mut(id)?
        else {
            return None;
        };
        let Apart { away: Some(away), standing: Some(standing), .. } = &mut **apart else { return None };
        let cost = cost_with(message.token);
        let acks = reactor.ends.counting::<true>(message.hop)?;
        let budget = self.held.store.budget_mut();
        if !budget.has_room(cost) || away.backlog.has_pending() || self.events.wants(Class::Hub) {
            return None;
        }
        let crossed = Crossed::new(message, &mut self.spread.spares);
        if let Err(NotSent::Full(up) | NotSent::Gone(up)) = away.end.send(Up::Message(crossed)) {
            up.recycle(&mut self.spread.spares);
            return None;
        }
        acks.data();
        budget.hold_crossing(cost);
        away.look(now);
        away.way.put(cost, now);
        standing.grew(reactor.held_bytes() + away.bytes(), now);
        Some(Verdict::of(VerdictKind::Held, id, config.tag))
    }

    /// Tells the home of a BEGIN_DIR that came on our circuit: the set sends the END.
    pub(in crate::engine) fn refuse_directory_away(&mut self, id: Id, stream_id: u16) -> Result<Verdict, Error> {
        let tag = self.circuits.lookup(id)?.config.tag;
        self.send_home(id, Up::Directory { stream_id })?;
        Ok(Verdict::of(VerdictKind::Consumed, id, tag))
    }

    /// Sends something to the home of a circuit's set, behind everything that waits for it.
    #[inline]
    pub(in crate::engine) fn send_home(&mut self, id: Id, up: Up) -> Result<(), Error> {
        if self.wants(Class::Hub) {
            return self.send_home_and_tell(id, up);
        }
        self.send_home_quietly(id, up)
    }

    #[cold]
    #[inline(never)]
    fn send_home_and_tell(&mut self, id: Id, up: Up) -> Result<(), Error> {
        let command = up.command();
        self.send_home_quietly(id, up)?;
        self.note_here(Event::CrossedOut { leg: id, command: command.0 });
        Ok(())
    }

    #[inline(always)]
    fn send_home_quietly(&mut self, id: Id, up: Up) -> Result<(), Error> {
        let (cost, now) = (up.cost(), self.time.clock.latest());
        if let Err(fault) = self.ensure_room(id, cost) {
            return Err(self.fault(id, fault));
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(Misuse::NotALeg.into()) };
        let Some(away) = circuit.away_mut() else { return Err(Misuse::NotALeg.into()) };
        away.look(now);
        match away.backlog.push(&mut &away.end, up) {
            Ok(pushed) => {
                away.way.put(cost, now);
                circuit.grew(id, &self.held.ledger, now);
                self.held.store.budget_mut().hold_crossing(cost);
                if pushed == Pushed::Kept {
                    self.pause_source_of_leg(id);
                }
                Ok(())
            }
            Err(Refused::Full(_)) => Err(self.fault(id, Fault::EdgeOverrun)),
            // The news that the home has gone follows.
            Err(Refused::Closed(_)) => Err(Blocked::Gone.into()),
        }
    }

    /// Tells the source of a leg to pause when so much waits for the home.
    #[cold]
    #[inline(never)]
    fn pause_source_of_leg(&mut self, id: Id) {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) else { return };
        let waiting = away.backlog.len();
        if waiting >= self.settings.marks.high as usize && !away.paused {
            away.paused = true;
            self.tell_source(id, Side::Back, FeedChange::Pause, waiting as u32);
        }
    }

    /// Takes a report of the host's congestion control about a circuit whose set is elsewhere.
    pub(in crate::engine) fn report_away(&mut self, id: Id, report: &Report) {
        if let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) {
            away.reported = *report;
            away.included = away.heard;
            self.publish_and_wake(id);
        }
    }

    /// Writes LINKED for the host, and tells the home when it was taken.
    pub(in crate::engine) fn take_linked(&mut self, id: Id, buffer: &mut [u8]) -> Result<bool, Error> {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) else { return Ok(false) };
        let Some(linked) = &away.linked else { return Ok(false) };
        let body = Zeroizing::new(linked.encode());
        buffer.get_mut(..Link::LEN).ok_or(Error::TOO_SMALL)?.copy_from_slice(&*body);
        away.linked = None;
        let now = self.time.clock.latest();
        let _ = self.send_home(id, Up::LinkedSent(now));
        Ok(true)
    }

    /// Shows the home the congestion figures of our circuit.
    fn publish(&mut self, id: Id) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let (runs, hop) = (circuit.runs_streams(), circuit.config.hops.last());
        let Some(away) = circuit.apart.as_mut().and_then(|apart| apart.away.as_mut()) else { return };
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
        if report.blocked {
            self.ask_for_turn(id);
        }
    }

    /// Shows the home the congestion figures of our circuit, and wakes it. That takes no room in the link, so it may be
    /// done any number of times.
    pub(in crate::engine) fn publish_and_wake(&mut self, id: Id) {
        self.publish(id);
        if let Some(away) = self.circuits.get(id).and_then(|circuit| circuit.away()) {
            away.end.ring_peer();
        }
    }

    /// Closes the link of our circuit to its home, as the circuit has gone or is about to go.
    pub(in crate::engine) fn leave_home(&mut self, id: Id, why: Cause) {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.take_away()) else { return };
        self.time.alarms.cancel_handshake(id);
        let mut left = Vec::new();
        let reason = away.last_reason(why);
        let Away { end, mut backlog, asking, reading, .. } = *away;
        self.held.store.budget_mut().adopt(reading.unadopted(&end));
        end.close(reason, |one| left.push(one));
        left.extend(backlog.take_rest().map(Left::Unsent));
        self.held.store.budget_mut().release_crossing(asking);
        self.take_back(left, token_down);
        self.shrank(id);
    }

    /// Handles news from the home of a circuit's set.
    pub(super) fn take_home_news(&mut self, id: Id) {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) else { return };
        away.reading.turns = limits::LINK_ROOM as u32;
        if away.unread {
            // Nothing overtakes what lies there until the turn of the mark.
            return self.drain_home(id);
        }
        self.read_home_link(id);
    }

    /// Reads the link to the home until a message comes that goes straight to the host.
    pub(super) fn read_home_link(&mut self, id: Id) {
        self.read_home_items(id);
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) else { return };
        // Once for all that came: until then the home adds what it has sent to the figures.
        if away.heard == std::mem::replace(&mut away.shown, away.heard) {
            return;
        }
        let back =
            self.circuits.get(id).and_then(|circuit| circuit.reactor.as_ref()).map(|reactor| &reactor.backward.back);
        // Other circuits fill a shared channel too: the home cannot count that by itself.
        if back.is_some_and(|back| back.is_shared() && !back.is_writable()) {
            self.publish_and_wake(id);
        } else {
            self.publish(id);
        }
    }

    fn read_home_items(&mut self, id: Id) {
        while self.out.queue.len() < self.settings.instructions_max {
            if self.comes_straight(id) {
                self.mark_home(id);
                return self.drain_home(id);
            }
            let Some(circuit) = self.circuits.get_mut(id) else { return };
            let most = circuit.held_sends_max();
            let Some(away) = circuit.apart.as_mut().and_then(|apart| apart.away.as_mut()) else { return };
            // Behind a block as many messages may wait as in a set. The others stay in the link, and the home counts
            // them.
            let is_full = circuit.padding.as_ref().is_some_and(|padding| padding.waiting_to_go() >= most.max(1));
            if is_full && away.end.peer_gone().is_none() {
                away.stalled = true;
                return self.drain_home(id);
            }
            if away.reading.turns == 0 {
                break;
            }
            away.reading.turns -= 1;
            let budget = self.held.store.budget_mut();
            away.reading.adopt(away.reading.unadopted(&away.end), budget);
            let news = away.end.poll();
            if let News::Item(down) = &news {
                away.reading.adopt(down.cost(), budget);
                if self.events.wants(Class::Hub) {
                    let now = self.time.clock.latest();
                    note_in(&mut self.events, now, id, down.command());
                }
            }
            match news {
                News::Item(Down::Linked(linked)) => {
                    away.link = None;
                    away.linked = Some(linked);
                    self.time.alarms.cancel_handshake(id);
                    self.held.store.budget_mut().release_crossing(std::mem::take(&mut away.asking));
                    self.out.queue.push(Queued::LinkedAway { circuit: id });
                }
                News::Item(Down::Send { delta, number, message }) => {
                    away.heard += u64::from(message.command() == Command::DATA);
                    if !self.send_for_home(id, delta, number, &message) {
                        self.discard(message.token());
                        self.fault(id, Fault::EngineMemory);
                        return;
                    }
                    message.recycle(&mut self.spread.spares);
                }
                News::Nothing => return self.drain_home(id),
                News::Over(reason) => return self.home_gone(id, reason),
            }
        }
        self.drain_home(id);
        if let Some(away) = self.circuits.get(id).and_then(|circuit| circuit.away()) {
            away.end.ring_self();
        }
    }

    /// Sends what waits for the home, as the link may have room.
    fn drain_home(&mut self, id: Id) {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) else { return };
        away.reading.settle(&mut away.end, self.held.store.budget_mut());
        let _ = away.backlog.drain(&mut &away.end);
        let waiting = away.backlog.len();
        if away.paused && waiting <= self.settings.marks.low as usize {
            away.paused = false;
            self.tell_source(id, Side::Back, FeedChange::Unpause, waiting as u32);
        }
        self.shrank(id);
    }

    /// Sends a message of a set elsewhere on our circuit, or holds it behind a block. False when there is no memory for
    /// it.
    fn send_for_home(&mut self, id: Id, delta: u32, number: u64, message: &Crossed) -> bool {
        // The second cost is for a SWITCH, which may have to wait too.
        if self.ensure_room(id, message.cost() + u64::from(COPY_COST)).is_err() {
            return false;
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return false };
        let (hop, now) = (circuit.config.hops.last(), self.time.clock.latest());
        let message = &message.message(hop, &BLANK);
        let mut lane = Lane::EMPTY;
        if !self.held.store.push_at(&mut lane, 1, message, now) {
            return false;
        }
        match &mut circuit.padding {
            Some(padding) if padding.is_in_the_way(message.command) => {
                if delta != 0 {
                    let body = Switch { delta }.encode();
                    let command = Command::CONFLUX_SWITCH;
                    let switch = Message { command, hop, stream_id: 0, body: &body, token: None };
                    let mut first = Lane::EMPTY;
                    // Without the SWITCH the peer would give the message a wrong number, so neither is sent.
                    if !self.held.store.push_at(&mut first, 1, &switch, now) {
                        // The caller hands the token back.
                        let _ = self.held.store.pop(&mut lane, &mut BLANK.clone().as_mut_slice());
                        return false;
                    }
                    padding.hold(hop, first, now, &mut Watcher { events: &mut self.events, circuit: id, now });
                }
                padding.hold(hop, lane, now, &mut Watcher { events: &mut self.events, circuit: id, now });
                self.grew(id);
                self.settle_padding(id, now);
            }
            padding => {
                padding.iter_mut().for_each(|padding| padding.note_own_send());
                self.queue_released(id, Id::NONE, hop, delta, number, lane, now);
            }
        }
        true
    }

    /// What waited on a circuit was taken by the host, or was padding that has left or been taken away: there may be
    /// room for more of a set elsewhere.
    pub(in crate::engine) fn resume_home_link(&mut self, id: Id) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let most = circuit.held_sends_max().max(1);
        let has_room = circuit.padding.as_ref().is_none_or(|padding| padding.waiting_to_go() < most);
        if let Some(away) = circuit.away_mut().filter(|away| away.stalled && has_room) {
            away.stalled = false;
            away.end.ring_self();
        }
    }

    /// Handles the end of a link by the home of a circuit's set: the circuit closes, or asks again.
    fn home_gone(&mut self, id: Id, reason: Option<u32>) {
        let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) else { return };
        let (link, paused) = (away.link.take(), away.paused);
        let link = match (link, reason, cause_of(reason)) {
            (Some(link), Some(ENDED), _) => link,
            // The home has refused the LINK of our circuit.
            (Some(_), _, Cause::Fault(fault)) => {
                self.fault(id, fault);
                return;
            }
            (_, _, cause) => return self.close(id, Id::NONE, cause),
        };
        // The set ended while we asked: its nonce starts another set (R6).
        self.leave_home(id, Cause::Asked);
        if let Some(circuit) = self.circuits.get_mut(id) {
            circuit.place = Place::Alone;
        }
        if paused {
            self.tell_source(id, Side::Back, FeedChange::Unpause, 0);
        }
        if let Err(fault) = self.take_link(self.time.clock.latest(), id, link) {
            self.fault(id, fault);
        }
    }
}

/// Says that something came from another engine.
#[cold]
#[inline(never)]
pub(super) fn note_in(events: &mut Events, now: Nanos, leg: Id, command: Command) {
    events.note_here(now, Event::CrossedIn { leg, command: command.0 });
}
