//! Sending: the order of its steps, which stands here and nowhere else. First the quick way, then the one to another
//! engine, then a choice made anew, then the long way. A message that may not go now is held, and its body is read only
//! then, or when it goes to another engine.

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
use crate::conflux::Report;
use crate::engine::{Engine, Error, Verdict, VerdictKind};
use crate::message::{Head, Message};
use crate::wire::Command;
use std::iter::Empty;

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

/// For a message that brings no reports of legs.
pub const NO_REPORTS: Empty<(Id, Report)> = std::iter::empty();

/// How the steps of sending one message are entered.
pub trait Sending: Sized {
    /// The result of the call.
    type Answer;
    /// Calls [`Engine::send_quick`]; none when it did nothing or could not be entered.
    fn quick(&mut self) -> Option<Sent>;
    /// Calls [`Engine::send_across`], and answers for a message that went; none when the next step has to be taken.
    fn across(&mut self) -> Option<Self::Answer> {
        None
    }
    /// Calls [`Engine::send_anew`]; none when the next step has to be taken.
    fn anew(&mut self) -> Option<Sent> {
        None
    }
    /// Answers for a message that goes out.
    fn done(&mut self, sent: &Sent) -> Self::Answer;
    /// Calls [`Engine::send_long`].
    fn long(&mut self) -> Self::Answer;
    /// Calls [`send_rest`], out of line: the quick way has nothing to keep for it.
    fn rest(&mut self) -> Self::Answer {
        send_rest(self)
    }
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
        None => message.rest(),
    }
}

/// The steps after the quick one.
#[inline(always)]
pub fn send_rest<S: Sending>(message: &mut S) -> S::Answer {
    if let Some(answer) = message.across() {
        return answer;
    }
    match message.anew() {
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

    fn across(&mut self) -> Option<Self::Answer> {
        let Outlet::Stream(stream) = self.outlet else { return None };
        self.engine.send_across(self.now, stream, self.message).map(Ok)
    }

    fn anew(&mut self) -> Option<Sent> {
        self.engine.send_anew(self.now, self.outlet, &self.message.head(), NO_REPORTS)
    }

    fn done(&mut self, sent: &Sent) -> Self::Answer {
        if sent.tells {
            self.engine.tell_of_sent(sent.verdict.circuit, sent.verdict.number, self.message.command);
        }
        Ok(sent.verdict)
    }

    fn long(&mut self) -> Self::Answer {
        self.engine.send_long(self.now, self.outlet, &self.message.head(), NO_REPORTS, || Ok(*self.message))
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
                return self.send_on_stream_quick::<true>(now, stream, len);
            }
            Outlet::Circuit(circuit) => self.send_for_host_quick(now, circuit, head)?,
            Outlet::Stream(_) => return None,
        };
        Some(Sent { verdict, tells: false })
    }

    /// The second step: for DATA of a set, where a leg has to be chosen, most often on reports of legs; and for DATA of
    /// a stream that a SENDME will acknowledge. None when the next step has to be taken, with all reports.
    #[inline(always)]
    pub fn send_anew(
        &mut self,
        now: Nanos,
        outlet: Outlet,
        head: &Head,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
    ) -> Option<Sent> {
        let verdict = match outlet {
            Outlet::Set(set) => self.choose_quick::<true>(now, set, head, news)?,
            Outlet::Choice(set) => self.choose_quick::<false>(now, set, head, news)?,
            Outlet::Stream(stream) if head.command == Command::DATA => {
                return self.send_on_stream_quick::<false>(now, stream, head.len);
            }
            Outlet::Stream(_) | Outlet::Circuit(_) => return None,
        };
        Some(Sent { verdict, tells: false })
    }

    /// The third step, for no room, legs elsewhere, padding, or when something is due; and the fourth step, which holds
    /// a message that has to wait. A set takes the reports in `news` before it chooses. `whole` gives the message, or
    /// says why it cannot be read; only the fourth step calls it.
    #[inline(always)]
    pub fn send_long<'m>(
        &mut self,
        now: Nanos,
        outlet: Outlet,
        head: &Head,
        news: impl Iterator<Item = (Id, impl Into<Report>)>,
        whole: impl FnOnce() -> Result<Message<'m>, &'static str>,
    ) -> Result<Verdict, Error> {
        let &Head { command, hop, stream_id, len } = head;
        let going = match outlet {
            Outlet::Set(set) => self.send_in_set(now, set, command, hop, news)?,
            Outlet::Choice(set) => self.decide(now, set, command, hop, news)?,
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
