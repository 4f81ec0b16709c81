//! Sending: the order of its steps, which stands here and nowhere else. First the quick way; where that has no answer,
//! the long one; and what may not go now is kept, and only then read.

mod circuit;
mod hold;
mod own;
mod release;
mod sent;
mod set;
mod stream;

use crate::base::{Id, Nanos};
use crate::conflux::set::Plan;
use crate::engine::{Engine, Error, Verdict, VerdictKind};
use crate::message::{Head, Message};
use crate::wire::Command;

/// Where a host sends a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outlet {
    /// On a leg of a set, which is chosen and counted.
    Set(Id),
    /// The same, chosen only: [`Engine::sent`] counts.
    Choice(Id),
    /// On a stream that we know.
    Stream(Id),
    /// On a circuit, past no set and no stream that we know.
    Circuit(Id),
}

/// How the steps of sending one message are entered.
pub trait Sending: Sized {
    /// What the whole comes to.
    type Answer;
    /// [`Engine::send_quick`]; none where it has no answer, or could not be entered.
    fn quick(&mut self) -> Option<Sent>;
    /// The message goes.
    fn done(self, sent: &Sent) -> Self::Answer;
    /// [`Engine::send_long`].
    fn long(self) -> Self::Answer;
}

/// What the quick way has found.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The answer.
    pub verdict: Verdict,
    /// Padders are still to hear of it: [`Engine::tell_padders_now`].
    pub tells_padders: bool,
}

/// What the long way has found from a message's head.
#[derive(Clone, Copy, Debug)]
pub enum Going {
    /// The message goes out.
    Out(Verdict),
    /// It goes on a leg of another engine, which needs the message itself. Nothing was counted yet.
    Elsewhere(Plan),
    /// It has to be held.
    Later,
}

impl Going {
    /// The answer, if the message goes out.
    pub fn out(self) -> Option<Verdict> {
        match self {
            Going::Out(verdict) => Some(verdict),
            Going::Elsewhere(_) | Going::Later => None,
        }
    }
}

/// A message is to be sent: the order of the steps.
#[inline(always)]
pub fn send<S: Sending>(mut message: S) -> S::Answer {
    match message.quick() {
        Some(sent) => message.done(&sent),
        None => message.long(),
    }
}

/// A message whose steps are entered by whoever has the engine.
#[allow(dead_code, reason = "tests and the simulation need no door")]
struct Straight<'e, 'm> {
    engine: &'e mut Engine,
    now: Nanos,
    outlet: Outlet,
    message: &'m Message<'m>,
}

impl Sending for Straight<'_, '_> {
    type Answer = Result<Verdict, Error>;

    fn quick(&mut self) -> Option<Sent> {
        self.engine.send_quick(self.now, self.outlet, &self.message.head())
    }

    fn done(self, sent: &Sent) -> Self::Answer {
        if sent.tells_padders {
            self.engine.tell_padders_now(sent.verdict.circuit, self.message.hop);
        }
        Ok(sent.verdict)
    }

    fn long(self) -> Self::Answer {
        self.engine.send_long(self.now, self.outlet, &self.message.head(), || Ok(*self.message))
    }
}

impl Engine {
    /// Sends a message, or keeps it.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn send_message(&mut self, now: Nanos, outlet: Outlet, message: &Message<'_>) -> Result<Verdict, Error> {
        send(Straight { engine: self, now, outlet, message })
    }

    /// The first step, for which a message's head is enough. No answer means that nothing was done.
    #[inline(always)]
    pub fn send_quick(&mut self, now: Nanos, outlet: Outlet, head: &Head) -> Option<Sent> {
        let &Head { command, hop, len, .. } = head;
        let verdict = match outlet {
            Outlet::Set(set) => {
                let verdict = self.send_in_set_quick(now, set, command, hop)?;
                return Some(Sent { verdict, tells_padders: self.has_padding() });
            }
            Outlet::Choice(set) => self.decide_quick(now, set, command, hop)?,
            Outlet::Stream(stream) if command == Command::DATA => self.send_on_stream_quick(now, stream, len)?,
            Outlet::Stream(_) | Outlet::Circuit(_) => return None,
        };
        Some(Sent { verdict, tells_padders: false })
    }

    /// The second, for another leg, no room, what is not DATA, or when something is due; and the third, which keeps
    /// what has to wait. `whole` is the message, or what is wrong with it; only asked for by the third.
    #[inline(always)]
    pub fn send_long<'m>(
        &mut self,
        now: Nanos,
        outlet: Outlet,
        head: &Head,
        whole: impl FnOnce() -> Result<Message<'m>, &'static str>,
    ) -> Result<Verdict, Error> {
        let &Head { command, hop, stream_id, len } = head;
        let going = match outlet {
            Outlet::Set(set) => self.send_in_set(now, set, command, hop)?,
            Outlet::Choice(set) => self.decide(now, set, command, hop)?,
            Outlet::Stream(stream) => self.send_on_stream(now, stream, command, len)?,
            Outlet::Circuit(circuit) => {
                self.send_for_host(now, circuit, command, hop, stream_id)?.map_or(Going::Later, Going::Out)
            }
        };
        let plan = match going {
            Going::Out(verdict) => return Ok(verdict),
            Going::Elsewhere(plan) => Some(plan),
            Going::Later => None,
        };
        let message = whole().map_err(|why| self.invalid(why))?;
        match outlet {
            Outlet::Set(set) | Outlet::Choice(set) => {
                self.hold_for_set(set, plan, &message)?;
                Ok(Verdict::of(VerdictKind::Held, Id::NONE, 0))
            }
            Outlet::Stream(stream) => self.hold_for_stream(stream, plan, &message),
            Outlet::Circuit(circuit) => self.hold_for_host(circuit, &message),
        }
    }
}
