//! Receiving: the order of its steps, from the most frequent, which is the shortest, to the rarest. It stands here and
//! nowhere else. The caller says how a step is entered: C goes through a door each time, tests and simulation do not.

mod data;
mod leg;
mod link;
mod noted;
mod other;
mod padding;
mod stream;

use crate::base::{Id, Nanos};
use crate::conflux::LegIx;
use crate::engine::{Engine, Error, Verdict};
use crate::message::Message;
use crate::reactor::DataHead;
use crate::wire::conflux::Switch;

/// The result of one of the first two steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The message is handled.
    Done(Verdict),
    /// Somebody watches each message: the same steps begin anew, `WATCHED`.
    Watched,
    /// It is a multiplexed message on the leg in this seat, and not just the next one:
    /// [`Engine::receive_early_quick`] takes it.
    OnLeg(LegSeat),
    /// The same on a circuit that circflow runs: [`Engine::receive_data_on_leg`] takes it.
    DataOnLeg,
    /// It is a SWITCH on the leg in this seat: [`Engine::receive_switch_quick`] takes it.
    Switch(LegSeat),
    /// It is DATA on a circuit that circflow runs: [`Engine::receive_data_quick`] takes it.
    Run,
    /// Anything else: [`Engine::receive_other_quick`] or [`Engine::receive_long`] takes it.
    Other,
}

/// The seat of a leg: its set, and its place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LegSeat {
    /// The set.
    pub set: Id,
    /// The place.
    pub ix: LegIx,
}

/// How the steps of receiving one message are entered.
pub trait Receiving: Sized {
    /// The result of the call.
    type Answer;
    /// Calls [`Engine::receive_quick`]; none when the step could not be entered.
    fn quick(&mut self) -> Option<Step>;
    /// Calls [`Engine::receive_data_quick`]; none when the step could not be entered.
    fn data_quick<const USUAL: bool>(&mut self) -> Option<Step>;
    /// Calls [`Engine::receive_early_quick`], and answers; none when the step could not be entered, too.
    fn early_quick(&mut self, seat: LegSeat) -> Option<Self::Answer>;
    /// Calls [`Engine::receive_switch_quick`]; none when the step could not be entered, too.
    fn switch_quick(&mut self, seat: LegSeat) -> Option<Verdict>;
    /// Calls [`Engine::receive_other_quick`]; none when it did nothing or could not be entered.
    fn other_quick(&mut self) -> Option<Verdict>;
    /// Answers for a message that the first step has handled, or that is the host's.
    fn done(self, verdict: &Verdict) -> Self::Answer;
    /// Answers for a message that the second step has handled. It may have woken another engine, or logged.
    fn data_done(self, verdict: &Verdict) -> Self::Answer {
        self.done(verdict)
    }
    /// Takes the message while somebody watches: [`receive`] with the steps that make events.
    fn watched(self) -> Self::Answer;
    /// Calls [`Engine::receive_on_leg`].
    fn on_leg(self) -> Self::Answer;
    /// Calls [`Engine::receive_data_on_leg`].
    fn data_on_leg(self) -> Self::Answer;
    /// Calls [`Engine::receive_long`].
    fn long(self) -> Self::Answer;
    /// Answers when the first step could not be entered.
    fn shut(self) -> Self::Answer {
        self.long()
    }
    /// Calls [`receive_data`], for DATA on a circuit that circflow runs: a function apart, so that the first step needs
    /// no stack frame.
    fn run(self) -> Self::Answer {
        receive_data::<_, true>(self)
    }
    /// Calls [`receive_data`] for DATA that is not the usual: a function apart, too.
    fn run_unusual(self) -> Self::Answer {
        receive_data::<_, false>(self)
    }
    /// Calls [`receive_early`], for a message on a leg that is not just the next one: a function apart, too.
    fn early(self, seat: LegSeat) -> Self::Answer {
        receive_early(self, seat)
    }
    /// Calls [`receive_switch`], for a SWITCH on a leg: a function apart, too.
    fn switch(self, seat: LegSeat) -> Self::Answer {
        receive_switch(self, seat)
    }
    /// Calls [`receive_other`], for messages that are not on a leg: a function apart, as above.
    fn other(self) -> Self::Answer {
        receive_other(self)
    }
}

/// Takes a message that has come, in the order of the steps.
#[inline(always)]
pub fn receive<R: Receiving>(mut message: R) -> R::Answer {
    receive_from(message.quick(), message)
}

/// Takes a message whose first step has said this.
#[inline(always)]
pub fn receive_from<R: Receiving>(first: Option<Step>, message: R) -> R::Answer {
    match first {
        Some(Step::Done(verdict)) => message.done(&verdict),
        Some(Step::Watched) => message.watched(),
        Some(Step::OnLeg(seat)) => message.early(seat),
        Some(Step::Switch(seat)) => message.switch(seat),
        Some(Step::Run) => message.run(),
        Some(Step::Other | Step::DataOnLeg) => message.other(),
        None => message.shut(),
    }
}

/// Takes DATA on a circuit that circflow runs, from the second step on.
#[inline(always)]
pub fn receive_data<R: Receiving, const USUAL: bool>(mut message: R) -> R::Answer {
    match message.data_quick::<USUAL>() {
        Some(Step::Done(verdict)) if USUAL => message.done(&verdict),
        Some(Step::Done(verdict)) => message.data_done(&verdict),
        Some(Step::DataOnLeg) => message.data_on_leg(),
        Some(Step::Run) => message.run_unusual(),
        Some(Step::Watched | Step::OnLeg(_) | Step::Switch(_) | Step::Other) | None => message.long(),
    }
}

/// Takes a multiplexed message on a leg from the second step on: most only have to be held.
#[inline(always)]
pub fn receive_early<R: Receiving>(mut message: R, seat: LegSeat) -> R::Answer {
    match message.early_quick(seat) {
        Some(answer) => answer,
        None => message.on_leg(),
    }
}

/// Takes a SWITCH on a leg from the second step on.
#[inline(always)]
pub fn receive_switch<R: Receiving>(mut message: R, seat: LegSeat) -> R::Answer {
    match message.switch_quick(seat) {
        Some(verdict) => message.done(&verdict),
        None => message.on_leg(),
    }
}

/// Takes any other message.
#[inline(always)]
pub fn receive_other<R: Receiving>(mut message: R) -> R::Answer {
    match message.other_quick() {
        Some(verdict) => message.done(&verdict),
        None => message.long(),
    }
}

/// A message whose steps are called directly, without a door.
#[allow(dead_code, reason = "tests and the simulation need no door")]
struct Straight<'e, 'm, const WATCHED: bool> {
    engine: &'e mut Engine,
    now: Nanos,
    id: Id,
    message: &'m Message<'m>,
    cell_digest: &'m [u8],
}

impl<const WATCHED: bool> Receiving for Straight<'_, '_, WATCHED> {
    type Answer = Result<Verdict, Error>;

    fn quick(&mut self) -> Option<Step> {
        Some(self.engine.receive_quick::<WATCHED>(self.now, self.id, self.message))
    }

    fn data_quick<const USUAL: bool>(&mut self) -> Option<Step> {
        let &Message { hop, stream_id, body, .. } = self.message;
        let data = DataHead { hop, stream_id, len: body.len() as u16 };
        Some(self.engine.receive_data_quick::<WATCHED, USUAL>(self.id, &data, || Some(self.cell_digest)))
    }

    fn early_quick(&mut self, seat: LegSeat) -> Option<Self::Answer> {
        let mut told = None;
        self.engine.receive_early_quick::<WATCHED>(self.id, seat, self.message, |verdict| told = Some(*verdict))?;
        told.map(Ok)
    }

    fn switch_quick(&mut self, seat: LegSeat) -> Option<Verdict> {
        let switch = Switch::decode(self.message.body).ok()?;
        self.engine.receive_switch_quick::<WATCHED>(self.id, seat, switch)
    }

    fn other_quick(&mut self) -> Option<Verdict> {
        self.engine.receive_other_quick::<WATCHED>(self.now, self.id, self.message)
    }

    fn done(self, verdict: &Verdict) -> Self::Answer {
        Ok(*verdict)
    }

    fn watched(self) -> Self::Answer {
        let Straight { engine, now, id, message, cell_digest } = self;
        receive(Straight::<true> { engine, now, id, message, cell_digest })
    }

    fn on_leg(self) -> Self::Answer {
        self.engine.receive_on_leg::<WATCHED>(self.id, self.message)
    }

    fn data_on_leg(self) -> Self::Answer {
        self.engine.receive_data_on_leg::<WATCHED>(self.id, self.message, self.cell_digest)
    }

    fn long(self) -> Self::Answer {
        self.engine.receive_long(self.now, self.id, self.message, || Ok(self.cell_digest))
    }
}

impl Engine {
    /// Takes a relay message that came on a circuit and was recognised here.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn receive(&mut self, now: Nanos, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        self.receive_cell(now, id, message, &[])
    }

    /// Takes a relay message, with the digest of the cell that it came in.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn receive_cell(
        &mut self,
        now: Nanos,
        id: Id,
        message: &Message<'_>,
        cell_digest: &[u8],
    ) -> Result<Verdict, Error> {
        receive(Straight::<false> { engine: self, now, id, message, cell_digest })
    }
}
