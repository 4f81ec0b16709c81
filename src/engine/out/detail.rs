//! The text for people about the call that failed last.

use crate::base::Id;
use crate::conflux::Refusal;
use crate::engine::{Blocked, Engine, Error};
use std::borrow::Cow;

/// The detail when a circuit in no set takes no DATA.
pub(in crate::engine) const FULL: &str =
    "the circuit has no room: its congestion window is full, or too much waits for its channel";

/// Too many messages of a circuit wait already.
pub(in crate::engine) const HELD_ENOUGH: &str = "the circuit has no room: held_sends_max messages wait on it already";

/// A cap on memory is reached.
pub(in crate::engine) const NO_MEMORY: &str = "there is no memory to hold the message";

/// A sentence, and the error that it explains.
#[derive(Debug)]
pub(in crate::engine) struct LastDetail {
    /// None once it has been asked for.
    about: Option<Error>,
    text: Cow<'static, str>,
    /// The set of which no leg has room, or [`Id::NONE`]. With a set, the text is not used: a full window is normal,
    /// and most hosts do not ask why, so the sentence is made when a host asks.
    blocked: Id,
}

impl LastDetail {
    pub const NONE: LastDetail = LastDetail { about: None, text: Cow::Borrowed(""), blocked: Id::NONE };
}

impl Engine {
    /// The sentence about the last error, if [`Engine::explains`] is true of it.
    pub fn detail(&self) -> Cow<'_, str> {
        match self.sets.get(self.out.detail.blocked) {
            Some(state) => Cow::Owned(state.why_blocked(state.params().is_none())),
            None => Cow::Borrowed(&self.out.detail.text),
        }
    }

    /// True when there is a sentence about this error, which a call has just answered. Sentences about other errors,
    /// and about what was due in the call, are forgotten.
    pub fn explains(&mut self, error: Error) -> bool {
        self.out.detail.about.take() == Some(error)
    }

    /// Keeps a sentence about an error, and answers the error.
    pub(in crate::engine) fn explain(&mut self, error: Error, text: impl Into<Cow<'static, str>>) -> Error {
        self.out.detail = LastDetail { about: Some(error), text: text.into(), blocked: Id::NONE };
        error
    }

    /// Refuses an argument, with a sentence.
    #[cold]
    #[inline(never)]
    pub fn invalid(&mut self, why: &'static str) -> Error {
        self.explain(Error::INVALID, why)
    }

    /// Refuses a message for which there is no room, with a sentence.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn no_room(&mut self, why: &'static str) -> Error {
        self.explain(Blocked::NoRoom.into(), why)
    }

    /// Says why a set has no room, for a host that only asks: no leg stands in line for it.
    #[inline(always)]
    pub(in crate::engine) fn note_refusal(&mut self, set: Id, refusal: Refusal) -> Error {
        let error = Error::from(refusal);
        if error == Blocked::NoRoom.into() {
            self.out.detail.about = Some(error);
            self.out.detail.blocked = set;
        }
        error
    }

    /// Refuses a message that a set does not send. The host waits from now on, if it does not wait yet, and the choice
    /// is looked at again when time may change it.
    #[inline(never)]
    pub(in crate::engine) fn refused(&mut self, set: Id, refusal: Refusal) -> Error {
        let now = self.time.clock.latest();
        if let Some(state) = self.sets.get_mut(set) {
            state.begin_wait(now);
            if state.may_choose_again() {
                self.look_again(set);
            }
        }
        let error = self.note_refusal(set, refusal);
        if self.channels.in_use() && refusal == Refusal::Blocked {
            return self.refused_in_line(set, error);
        }
        error
    }

    /// Notes since when the host of a set waits, if it does.
    #[cold]
    pub(in crate::engine) fn begin_wait(&mut self, set: Id) {
        let now = self.time.clock.latest();
        self.sets.get_mut(set).into_iter().for_each(|state| state.begin_wait(now));
    }

    /// The refused legs stand in line at their channels.
    #[inline(never)]
    fn refused_in_line(&mut self, set: Id, error: Error) -> Error {
        self.ask_for_set(set);
        error
    }
}
