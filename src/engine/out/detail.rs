//! What is said, for people, of the call that failed last.

use crate::base::Id;
use crate::conflux::Refusal;
use crate::engine::{Blocked, Engine, Error};
use std::borrow::Cow;

/// Why a circuit of its own takes no DATA.
pub(in crate::engine) const FULL: &str =
    "the circuit has no room: its congestion window is full, or too much waits for its channel";

/// A sentence, and the answer that it belongs to.
#[derive(Debug)]
pub(in crate::engine) struct LastDetail {
    /// None once a call has answered so.
    about: Option<Error>,
    text: Cow<'static, str>,
    /// The set of which no leg has room, and then the text does not count; else [`Id::NONE`]. A full window is nothing
    /// unusual, and most hosts do not ask: so it is put into words when one does.
    blocked: Id,
}

impl LastDetail {
    pub const NONE: LastDetail = LastDetail { about: None, text: Cow::Borrowed(""), blocked: Id::NONE };
}

impl Engine {
    /// The sentence that [`Engine::explains`] the last answer.
    pub fn detail(&self) -> Cow<'_, str> {
        match self.sets.get(self.out.detail.blocked) {
            Some(state) => Cow::Owned(state.why_blocked(state.params().is_none())),
            None => Cow::Borrowed(&self.out.detail.text),
        }
    }

    /// A call has this answer. True when there is a sentence of its own about it: what was said of others, and of what
    /// was due meanwhile, is forgotten.
    pub fn explains(&mut self, error: Error) -> bool {
        self.out.detail.about.take() == Some(error)
    }

    /// Says what is behind an answer.
    pub(in crate::engine) fn explain(&mut self, error: Error, text: impl Into<Cow<'static, str>>) -> Error {
        self.out.detail = LastDetail { about: Some(error), text: text.into(), blocked: Id::NONE };
        error
    }

    /// Refuses an argument, in words.
    #[cold]
    pub fn invalid(&mut self, why: &'static str) -> Error {
        self.explain(Error::INVALID, why)
    }

    /// There is no room for a message, on a circuit or to hold it.
    #[cold]
    pub(in crate::engine) fn no_room(&mut self, why: &'static str) -> Error {
        self.explain(Blocked::NoRoom.into(), why)
    }

    /// A set does not send.
    #[cold]
    pub(in crate::engine) fn refused(&mut self, set: Id, refusal: Refusal) -> Error {
        let error = Error::from(refusal);
        if error == Blocked::NoRoom.into() {
            self.out.detail.about = Some(error);
            self.out.detail.blocked = set;
            self.ask_for_set(set);
        }
        error
    }
}
