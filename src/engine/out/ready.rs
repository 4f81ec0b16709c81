//! Handing out the messages of a set whose turn has come.

use crate::base::{limits, Id, Nanos};
use crate::conflux::{Fault, Recipient};
use crate::engine::out::insn::Queued;
use crate::engine::{Engine, Error, Instruction, Misuse, Taker, Verdict, VerdictKind, What};
use crate::event::{Class, Event, Events};
use crate::message::{Bodies, Delivery, TooSmall};
use crate::reactor::{Controller, DataHead, Owner, StreamMessage, Written};
use crate::wire::{cell::CELL_BODY_LEN, Command};

/// The host, which gets a message as an instruction.
struct ForHost<'t, T> {
    set: Id,
    taker: &'t mut T,
}

impl<T: Taker> Recipient for ForHost<'_, T> {
    #[inline(always)]
    fn take(&mut self, delivery: Delivery, set_tag: u64) {
        let about = Instruction::about(delivery.leg, delivery.tag, self.set, set_tag, What::Deliver(delivery));
        self.taker.take(about);
    }
}

impl Engine {
    /// Takes the next message of one set whose turn has come.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn set_poll(&mut self, set: Id, buffer: &mut [u8]) -> Result<Option<Instruction>, Error> {
        let mut taken = None;
        self.set_poll_into(set, &mut &mut *buffer, &mut taken)?;
        Ok(taken)
    }

    /// Takes the next message of one set whose turn has come; true when `taker` has one.
    #[inline(always)]
    pub fn set_poll_into(&mut self, set: Id, bodies: &mut impl Bodies, taker: &mut impl Taker) -> Result<bool, Error> {
        self.keep_unread(set);
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        if !state.is_ready() {
            if state.is_noted() {
                state.ran_out(&self.held.store, self.time.clock.latest());
            }
            return Ok(false);
        }
        if state.params().is_some() {
            let taken = self.take_ready_run(set, bodies, taker).map_err(|TooSmall| Error::TOO_SMALL);
            self.out.paused = false;
            self.note_all_taken(set);
            return taken;
        }
        self.take_ready(set, bodies, taker).map_err(|TooSmall| Error::TOO_SMALL)
    }

    /// Takes up to `cap` messages of one set whose turn has come, as long as they are tokens.
    #[inline(always)]
    pub fn set_poll_tokens(&mut self, set: Id, cap: usize, mut take: impl FnMut(u64)) -> Result<(), Error> {
        self.keep_unread(set);
        let Some(state) = self.sets.get_mut(set) else { return Err(self.sets.reason(set).into()) };
        if state.params().is_some() {
            return Err(Misuse::IsRun.into());
        }
        for _ in 0..cap {
            let Some(token) = state.next_token(&mut self.held.store) else { break };
            take(token);
            if self.events.wants(Class::Messages) {
                note_released(&mut self.events, self.time.clock.latest(), set, state);
            }
            if state.has_duplicate() {
                self.fault_of_set(set, Fault::NumberTwice);
                return Ok(());
            }
        }
        // Where no mark in the queue is taken away later, what is left is written down here.
        let by_poll = state.terms().ready_by_poll;
        self.shrank(set);
        if by_poll {
            self.note_all_taken(set);
        }
        Ok(())
    }

    /// Takes the next ready message of a set, and ends the set when taking it shows that a number came twice. True when
    /// there was one.
    #[inline(always)]
    pub(super) fn take_ready(
        &mut self,
        set: Id,
        bodies: &mut impl Bodies,
        taker: &mut impl Taker,
    ) -> Result<bool, TooSmall> {
        let Some(state) = self.sets.get_mut(set) else { return Ok(false) };
        if state.has_unread() && !state.is_ready() {
            return self.take_unread(set, bodies, taker);
        }
        if state.params().is_some() {
            return self.take_ready_run(set, bodies, taker);
        }
        let Some(delivery) = state.next(&mut self.held.store, bodies)? else { return Ok(false) };
        let set_tag = state.terms().tag;
        if self.events.wants(Class::Messages) {
            note_released(&mut self.events, self.time.clock.latest(), set, state);
        }
        if !state.is_ready() {
            self.after_last_ready(set);
        }
        taker.take(Instruction::about(delivery.leg, delivery.tag, set, set_tag, What::Deliver(delivery)));
        Ok(true)
    }

    /// The common case of `take_ready`: nobody watches, the host runs the set, and more messages of the same
    /// leg are ready. None, and nothing is changed, in any other case.
    #[inline(always)]
    pub fn take_ready_quick(&mut self, set: Id, bodies: &mut impl Bodies, taker: &mut impl Taker) -> Option<()> {
        if self.events.wants(Class::Messages) {
            return None;
        }
        let state = self.sets.get_mut(set).filter(|state| state.params().is_none())?;
        state.next_quick(&mut self.held.store, bodies, ForHost { set, taker })
    }

    /// The set whose ready messages are first in the queue, if they are.
    #[inline(always)]
    pub fn set_in_turn(&mut self) -> Id {
        match self.out.queue.first() {
            Some(&mut Queued::Ready { set }) => set,
            _ => Id::NONE,
        }
    }

    /// Looks at a set after its last ready message: messages behind it still have to wait, or their number came twice
    /// and the set ends.
    #[inline(never)]
    fn after_last_ready(&mut self, set: Id) {
        if self.sets.get(set).is_some_and(|state| state.has_duplicate()) {
            self.fault_of_set(set, Fault::NumberTwice);
        } else {
            self.note_all_taken(set);
        }
    }

    /// Takes the next ready message of a set that circflow runs. Messages that only circflow reads are not handed out.
    #[inline(never)]
    fn take_ready_run(&mut self, set: Id, bodies: &mut impl Bodies, taker: &mut impl Taker) -> Result<bool, TooSmall> {
        let now = self.time.clock.latest();
        for _ in 0..limits::FREED_STEP {
            let Some(state) = self.sets.get_mut(set) else { return Ok(false) };
            let Some(delivery) = state.next(&mut self.held.store, bodies)? else {
                return if state.has_unread() { self.take_unread(set, bodies, taker) } else { Ok(false) };
            };
            let (hop, set_tag) = (state.join_hop(), state.terms().tag);
            if self.events.wants(Class::Messages) {
                note_released(&mut self.events, self.time.clock.latest(), set, state);
            }
            let torn = state.has_duplicate();
            let data = DataHead { hop, stream_id: delivery.stream_id, len: delivery.len };
            let written = match delivery.command {
                Command::DATA if !torn => state.write_data::<false>(&mut self.streams, now, &data),
                _ => None,
            };
            if let Some(Written { stream, tag, say }) = written {
                if let Some(say) = say {
                    self.send_own_flow(Owner::Set(set), stream, say, now);
                }
                let about = Instruction::about(delivery.leg, delivery.tag, set, set_tag, What::Deliver(delivery));
                taker.take(Instruction { stream, stream_tag: tag, ..about });
                return Ok(true);
            }
            if torn {
                self.fault_of_set(set, Fault::NumberTwice);
            }
            // A copy, as what the stream answers may change what the store holds.
            let mut body = [0; CELL_BODY_LEN];
            let body = body.get_mut(..usize::from(delivery.body_len)).unwrap_or_default();
            body.copy_from_slice(bodies.taken(&self.held.store, delivery.body_len));
            if let Some(instruction) = self.hand_on(set, hop, set_tag, &delivery, body) {
                taker.take(instruction);
                return Ok(true);
            }
            bodies.forget(&mut self.held.store);
        }
        // So many in a row were only for circflow. The mark stays, and the next call goes on.
        self.out.paused = true;
        self.time.alarms.set_left(true);
        Ok(false)
    }

    /// Hands a message of a set that circflow runs to its stream, and makes the instruction; none when only circflow
    /// reads it.
    pub(in crate::engine) fn hand_on(
        &mut self,
        set: Id,
        hop: u8,
        set_tag: u64,
        delivery: &Delivery,
        body: &[u8],
    ) -> Option<Instruction> {
        let &Delivery { command, stream_id, len, leg, tag, token, .. } = delivery;
        let message = StreamMessage { command, stream_id, hop, len, body };
        let verdict = Verdict::of(VerdictKind::Deliver, leg, tag);
        let verdict = self.write_stream(self.time.clock.latest(), Owner::Set(set), leg, &message, verdict);
        let about = Instruction::about(leg, tag, set, set_tag, What::Deliver(*delivery));
        match verdict {
            Ok(Verdict { kind: VerdictKind::Deliver, stream, stream_tag, .. }) => {
                Some(Instruction { stream, stream_tag, ..about })
            }
            // The stream is closed, or the set has ended: the host gets its token back.
            _ => token.map(|token| Instruction { what: What::Discard(token), ..about }),
        }
    }
}

/// The host gets a message that was held in a set, or circflow reads it.
#[cold]
#[inline(never)]
fn note_released(events: &mut Events, now: Nanos, set: Id, state: &Controller) {
    events.note_here(now, Event::Released { set, number: state.delivered(), held: state.held() as u32 });
}
