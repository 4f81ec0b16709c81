//! Messages of legs elsewhere that go straight from the link to the host. When a message is next in its set, it stays
//! in the link until the set's READY mark has its turn: it is never held, and its body is never copied here.

use crate::base::{Id, Nanos};
use crate::engine::out::insn::{Instruction, Taker, What};
use crate::engine::spread::leg_side::note_in;
use crate::engine::spread::message::{cost_with, Up};
use crate::engine::Engine;
use crate::event::Class;
use crate::hub::Buffer;
use crate::message::{Bodies, Delivery, TooSmall};
use crate::reactor::{DataHead, Owner, Written};
use crate::wire::{cell::CELL_BODY_LEN, Command};

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
        let Some((_, leg)) = self.spread.home_legs.find(id).filter(|(_, leg)| leg.turns > 0) else { return Ok(false) };
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
        leg.turns -= 1;
        if leg.end.drop_next(cost_with(token)) {
            leg.settle(self.held.store.budget_mut());
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
        if let Some((_, leg)) = self.spread.home_legs.find(id).filter(|(_, leg)| leg.turns > 0) {
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
                leg.turns -= 1;
                if leg.end.drop_next(cost_with(delivery.token)) {
                    leg.settle(self.held.store.budget_mut());
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
}
