//! Sending: the order of its steps, which stands here and nowhere else. First the quick way, then the long way; a
//! message that may not go now is held, and only then its body is read.

mod circuit;
mod hold;
mod noted;
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
    /// On a leg of a set: the leg is chosen, and the message counted.
    Set(Id),
    /// On a leg of a set: the leg is chosen, and [`Engine::sent`] counts the message later.
    Choice(Id),
    /// On a stream of a circuit or set that circflow runs.
    Stream(Id),
    /// On a circuit, for messages that belong to no set and to no stream that circflow runs.
    Circuit(Id),
}

/// How the steps of sending one message are entered.
pub trait Sending: Sized {
    /// The result of the call.
    type Answer;
    /// Calls [`Engine::send_quick`]; none when it did nothing or could not be entered.
    fn quick(&mut self) -> Option<Sent>;
    /// Answers for a message that goes out.
    fn done(self, sent: &Sent) -> Self::Answer;
    /// Calls [`Engine::send_long`].
    fn long(self) -> Self::Answer;
}

/// The result of the quick way.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// The verdict for the host.
    pub verdict: Verdict,
    /// The caller still has to tell others of it: [`Engine::tell_of_sent`].
    pub tells: bool,
}

/// The result of the long way, which reads a message's head only.
#[derive(Clone, Copy, Debug)]
pub enum Going {
    /// The message goes out.
    Out(Verdict),
    /// The message goes on a leg of another engine, which needs its body. Nothing was counted yet.
    Elsewhere(Plan),
    /// The message has to be held.
    Later,
}

impl Going {
    /// The verdict, if the message goes out.
    pub fn out(self) -> Option<Verdict> {
        match self {
            Going::Out(verdict) => Some(verdict),
            Going::Elsewhere(_) | Going::Later => None,
        }
    }
}

/// Sends a message, in the order of the steps.
#[inline(always)]
pub fn send<S: Sending>(mut message: S) -> S::Answer {
    match message.quick() {
        Some(sent) => message.done(&sent),
        None => message.long(),
    }
}

/// A message whose steps are called directly, without a door.
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
        if sent.tells {
            self.engine.tell_of_sent(sent.verdict.circuit, sent.verdict.number, self.message.command);
        }
        Ok(sent.verdict)
    }

    fn long(self) -> Self::Answer {
        self.engine.send_long(self.now, self.outlet, &self.message.head(), || Ok(*self.message))
    }
}

impl Engine {
    /// Sends a message, or holds it.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn send_message(&mut self, now: Nanos, outlet: Outlet, message: &Message<'_>) -> Result<Verdict, Error> {
        send(Straight { engine: self, now, outlet, message })
    }

    /// The first step, which reads a message's head only. None when nothing was done.
    #[inline(always)]
    pub fn send_quick(&mut self, now: Nanos, outlet: Outlet, head: &Head) -> Option<Sent> {
        let &Head { command, hop, len, .. } = head;
        let verdict = match outlet {
            Outlet::Set(set) => {
                let verdict = self.send_in_set_quick(now, set, command, hop)?;
                return Some(Sent { verdict, tells: self.tells_of_sent() });
            }
            Outlet::Choice(set) => self.decide_quick(now, set, command, hop)?,
            Outlet::Stream(stream) if command == Command::DATA => {
                return self.send_on_stream_quick(now, stream, len);
            }
            Outlet::Circuit(circuit) => self.send_for_host_quick(now, circuit, head)?,
            Outlet::Stream(_) => return None,
        };
        Some(Sent { verdict, tells: false })
    }

    /// The second step, for another leg, no room, commands but DATA, or when something is due; and the third step,
    /// which holds a message that has to wait. `whole` gives the message, or why it cannot be read; only the third step
    /// calls it.
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
