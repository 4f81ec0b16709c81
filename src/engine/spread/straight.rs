//! Messages that go straight from the link to the host, so that they are never held, and their bodies never copied.
//! One of a leg elsewhere that is next in its set stays in the link until the set's READY mark has its turn. One of a
//! set elsewhere stays there until the turn of the leg's own mark. Nothing else reads that link before: so what was
//! read earlier, and waits in the queue, is never overtaken.

use crate::base::{Id, Nanos};
use crate::engine::out::insn::{Instruction, Queued, Released, Taker, What};
use crate::engine::spread::leg_side::note_in;
use crate::engine::spread::message::{cost_with, Down, Up};
use crate::engine::{Circuit, Engine, Error};
use crate::event::Class;
use crate::hub::Buffer;
use crate::message::{Bodies, Delivery, TooSmall};
use crate::reactor::{DataHead, Owner, Side, Written};
use crate::wire::{cell::CELL_BODY_LEN, conflux::Switch, Command};

impl Engine {
    /// Takes the next message of a set from a link, when no held one is next. True when `taker` has one.
    #[inline(never)]
    pub(in crate::engine) fn take_unread(
        &mut self,
        set: Id,
        bodies: &mut impl Bodies,
        taker: &mut impl Taker,
    ) -> Result<bool, TooSmall> {
        while !self.take_straight(set, bodies, taker)? {
            if !self.sets.get(set).is_some_and(|state| state.has_unread()) {
                return Ok(self.read_all(set));
            }
            if let Some(instruction) = self.read_unread(set, bodies)? {
                taker.take(instruction);
                return Ok(true);
            }
        }
        Ok(true)
    }

    /// The links of a set are read. What was read can have made held messages ready: then the READY mark stays, and the
    /// next call goes on.
    #[cold]
    #[inline(never)]
    fn read_all(&mut self, set: Id) -> bool {
        if self.sets.get(set).is_some_and(|state| state.is_ready()) {
            self.out.paused = true;
            self.time.alarms.set_left(true);
        }
        false
    }

    /// The common case of [`Engine::take_unread`]: a message for the host, or DATA of an open stream. False, with
    /// nothing changed, in any other case.
    #[inline(always)]
    fn take_straight(&mut self, set: Id, bodies: &mut impl Bodies, taker: &mut impl Taker) -> Result<bool, TooSmall> {
        let now = self.time.clock.latest();
        let Some(state) = self.sets.get_mut(set) else { return Ok(false) };
        let Some(ix) = state.unread_leg().filter(|&ix| state.comes_next(ix)) else { return Ok(false) };
        let id = state.leg_at(ix);
        let Some((_, leg)) = self.spread.home_legs.find(id).filter(|(_, leg)| leg.reading.turns > 0) else {
            return Ok(false);
        };
        let Some(Up::Message(message)) = leg.end.peek_mut() else { return Ok(false) };
        let (command, stream_id, len) = (message.command(), message.stream_id(), message.body_len());
        let (token, body_len) = (message.token(), message.bytes().len() as u16);
        let lends = bodies.take(message.bytes())?;
        let data = DataHead { hop: state.join_hop(), stream_id, len };
        let written = match (state.params().is_some(), command) {
            (false, _) => Written { stream: Id::NONE, tag: 0, say: None },
            (true, Command::DATA) => match state.write_data::<false>(&mut self.streams, now, &data) {
                Some(written) => written,
                None => return Ok(false),
            },
            (true, _) => return Ok(false),
        };
        let buffer = message.take_buffer();
        leg.reading.turns -= 1;
        if leg.end.drop_next(cost_with(token)) {
            leg.reading.settle(&mut leg.end, self.held.store.budget_mut());
        }
        let (number, tag, set_tag) = (state.arrive_next(ix, now), state.tag(ix), state.terms().tag);
        if self.wants(Class::Hub) || self.wants(Class::Messages) {
            self.note_straight(set, id, number, command);
        }
        if let Some(say) = written.say {
            self.send_own_flow(Owner::Set(set), written.stream, say, now);
        }
        if let Some(buffer) = buffer {
            self.keep_lent(buffer, body_len, lends, bodies)?;
        }
        let what = What::Deliver(Delivery { number, leg: id, tag, command, stream_id, body_len, len, token });
        let about = Instruction::about(id, tag, set, set_tag, what);
        taker.take(Instruction { stream: written.stream, stream_tag: written.tag, ..about });
        Ok(true)
    }

    /// Reads on in a link of a set: a message that only circflow may read, or that opens or ends a stream; or what is
    /// not next, up to the next message that is.
    #[cold]
    #[inline(never)]
    fn read_unread(&mut self, set: Id, bodies: &mut impl Bodies) -> Result<Option<Instruction>, TooSmall> {
        let now = self.time.clock.latest();
        let Some(state) = self.sets.get_mut(set) else { return Ok(None) };
        let Some(ix) = state.unread_leg() else { return Ok(None) };
        let id = state.leg_at(ix);
        if let Some((_, leg)) = self.spread.home_legs.find(id).filter(|(_, leg)| leg.reading.turns > 0) {
            if let (Some(Up::Message(message)), true) = (leg.end.peek_mut(), state.comes_next(ix)) {
                if state.params().is_none() {
                    // It came since the first look, and is for the host.
                    return Ok(None);
                }
                let lends = bodies.take(message.bytes())?;
                let mut body = [0; CELL_BODY_LEN];
                let body = body.get_mut(..message.bytes().len()).unwrap_or_default();
                body.copy_from_slice(message.bytes());
                let (number, hop, set_tag) = (state.arrive_next(ix, now), state.join_hop(), state.terms().tag);
                let delivery = message.delivery(number, id, state.tag(ix));
                let buffer = message.take_buffer();
                leg.reading.turns -= 1;
                if leg.end.drop_next(cost_with(delivery.token)) {
                    leg.reading.settle(&mut leg.end, self.held.store.budget_mut());
                }
                self.note_straight(set, id, number, delivery.command);
                let next = self.hand_on(set, hop, set_tag, &delivery, body);
                if let Some(buffer) = buffer {
                    self.keep_lent(buffer, delivery.body_len, lends, bodies)?;
                }
                return Ok(next);
            }
        }
        state.note_read(ix);
        self.read_leg_until_next(id, now);
        Ok(None)
    }

    /// Keeps a body that the host reads where it lies, until the next one takes its place.
    #[inline(always)]
    fn keep_lent(&mut self, buffer: Buffer, len: u16, lends: bool, bodies: &mut impl Bodies) -> Result<(), TooSmall> {
        if !lends {
            self.spread.spares.give(buffer);
            return Ok(());
        }
        let before = self.spread.lent.replace(buffer);
        before.into_iter().for_each(|buffer| self.spread.spares.give(buffer));
        let body = self.spread.lent.as_ref().and_then(|buffer| buffer.get(..usize::from(len)));
        bodies.take(body.unwrap_or_default()).map(|_| ())
    }

    #[cold]
    #[inline(never)]
    fn note_straight(&mut self, set: Id, leg: Id, number: u64, command: Command) {
        if self.wants(Class::Hub) {
            note_in(&mut self.events, self.time.clock.latest(), leg, command);
        }
        if self.wants(Class::Messages) {
            self.note_in_order(set, leg, number, command);
        }
    }

    /// Reads the links of a set, and holds what comes next there as well: the set is about to change, or its host
    /// asks for messages in another way.
    #[inline]
    pub(in crate::engine) fn keep_unread(&mut self, set: Id) {
        if self.sets.get(set).is_some_and(|state| state.has_unread()) {
            self.keep_all_unread(set, Engine::read_leg);
        }
    }

    /// [`Engine::keep_unread`] for a set that is about to end: what there is room for, up to the first fault.
    pub(in crate::engine) fn keep_before_end(&mut self, set: Id) {
        self.keep_all_unread(set, Engine::read_leg_before_end);
    }

    #[cold]
    #[inline(never)]
    fn keep_all_unread(&mut self, set: Id, read: fn(&mut Engine, Id, Nanos)) {
        let now = self.time.clock.latest();
        while let Some(state) = self.sets.get_mut(set) {
            let Some(ix) = state.unread_leg() else { return };
            let id = state.leg_at(ix);
            state.note_read(ix);
            read(self, id, now);
        }
    }

    /// True when the next message of a set elsewhere may go straight from the link to the host. Where there is padding,
    /// or has been, it may have to wait.
    pub(in crate::engine) fn comes_straight(&mut self, id: Id) -> bool {
        let Some(circuit) = self.circuits.get_mut(id).filter(|circuit| circuit.padding.is_none()) else { return false };
        let Some(away) = circuit.away_mut().filter(|away| away.reading.turns > 0) else { return false };
        matches!(away.end.peek_mut(), Some(Down::Send { .. }))
    }

    /// Puts the mark for what lies in the link to the home of a circuit's set into the queue.
    pub(super) fn mark_home(&mut self, id: Id) {
        if let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) {
            away.unread = true;
            self.out.queue.push(Queued::FromHome { circuit: id });
        }
    }

    /// Takes away the mark, which is first in the queue, and reads on: what is next does not go straight.
    pub(in crate::engine) fn end_home_turn(&mut self, id: Id) {
        self.out.queue.drop_first();
        if let Some(away) = self.circuits.get_mut(id).and_then(|circuit| circuit.away_mut()) {
            away.unread = false;
            self.read_home_link(id);
        }
    }

    /// [`Engine::take_from_home`] for the mark that is first in the queue, which goes when nothing more goes straight.
    pub(in crate::engine) fn take_turn_of_home(
        &mut self,
        id: Id,
        mut buffer: &mut [u8],
    ) -> Result<Option<Instruction>, Error> {
        let mut taken = None;
        if !self.take_from_home(id, &mut buffer, &mut taken).map_err(|TooSmall| Error::TOO_SMALL)? {
            self.end_home_turn(id);
        }
        Ok(taken)
    }

    /// Takes the next message of a set elsewhere from the link, or first its SWITCH. True when `taker` has it. False,
    /// with nothing changed, when it does not go straight, or none is there.
    #[inline(never)]
    pub(in crate::engine) fn take_from_home(
        &mut self,
        id: Id,
        bodies: &mut impl Bodies,
        taker: &mut impl Taker,
    ) -> Result<bool, TooSmall> {
        let now = self.time.clock.latest();
        let Some(circuit) = self.circuits.get_mut(id) else { return Ok(false) };
        let (tag, hop, runs) = (circuit.config.tag, circuit.config.hops.last(), circuit.runs_streams());
        let Circuit { reactor, padding: None, apart: Some(apart), .. } = circuit else { return Ok(false) };
        let Some(away) = apart.away.as_deref_mut().filter(|away| away.reading.turns > 0) else { return Ok(false) };
        let Some(Down::Send { delta, number, message }) = away.end.peek_mut() else { return Ok(false) };
        let about = |what| Instruction::about(id, tag, Id::NONE, 0, what);
        if *delta != 0 {
            let body = Switch { delta: *delta }.encode();
            bodies.buffer().get_mut(..body.len()).ok_or(TooSmall)?.copy_from_slice(&body);
            *delta = 0;
            self.count_sent(id, hop, now);
            let (command, body_len) = (Command::CONFLUX_SWITCH, body.len() as u16);
            taker.take(about(What::Send { command, hop, body_len }));
            return Ok(true);
        }
        let (lends, number, cost) = (bodies.take(message.bytes())?, *number, message.cost());
        away.reading.turns -= 1;
        let (taken, is_half) = away.end.take_next(cost);
        if is_half {
            away.reading.settle(&mut away.end, self.held.store.budget_mut());
        }
        let Some(Down::Send { message: mut taken, .. }) = taken else { return Ok(false) };
        let (message, buffer) = (taken.delivery(number, Id::NONE, 0), taken.take_buffer());
        let mut wants_digest = false;
        if message.command == Command::DATA {
            away.heard += 1;
            if let Some(reactor) = reactor.as_mut().filter(|_| runs) {
                away.included += 1;
                wants_digest = match reactor.ends.window::<true>(hop) {
                    Some(window) => window.sent::<true>(now),
                    None => reactor.end(hop).window.sent_data(now),
                };
            }
        }
        if self.events.wants(Class::Hub) {
            note_in(&mut self.events, now, id, message.command);
        }
        self.padding.purse.sent(1);
        self.spend(id, Side::Back);
        if let Some(buffer) = buffer {
            self.keep_lent(buffer, message.body_len, lends, bodies)?;
        }
        self.note_left(Id::NONE, id, hop, message.stream_id, message.command);
        taker.take(Instruction { wants_digest, ..about(What::SendHeld(Released { hop, message })) });
        Ok(true)
    }
}
