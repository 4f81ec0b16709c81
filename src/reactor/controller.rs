//! CONTROLLER (R7): one for each set, between the two halves of every leg and the stream side. Numbers and order are
//! the set's ([`crate::conflux::Set`]); the streams of the join point are here (C3).

use super::commands::Part;
use super::stream::Streams;
use crate::conflux::{Role, Set, Terms};
use crate::congestion::Params;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A set with its streams.
#[derive(Debug, Default)]
pub struct Controller {
    set: Set,
    /// None before the first BEGIN.
    pub streams: Option<Box<Streams>>,
    /// Those of its legs, if they are run by reactors: then the streams are ours too. The first leg decides, as legs
    /// must be alike.
    params: Option<Arc<Params>>,
}

impl Controller {
    /// A set without legs.
    pub fn new(role: Role, terms: Terms) -> Self {
        Controller { set: Set::new(role, terms), streams: None, params: None }
    }

    /// A leg that reactors run has come.
    pub fn run(&mut self, params: &Arc<Params>) {
        self.params.get_or_insert_with(|| Arc::clone(params));
    }

    /// Parameters of flow control, if the streams are ours.
    pub fn params(&self) -> Option<&Arc<Params>> {
        self.params.as_ref()
    }

    /// The part that this end plays.
    pub fn part(&self) -> Part {
        match self.set.role() {
            Role::Client => Part::Client,
            Role::Exit => Part::Exit,
        }
    }

    /// The stream side, and what it goes by.
    pub fn stream_side(&mut self) -> Option<(&mut Option<Box<Streams>>, &Params)> {
        let params = self.params.as_deref()?;
        Some((&mut self.streams, params))
    }
}

/// Most of what is asked of a controller is its set's to answer.
impl Deref for Controller {
    type Target = Set;

    fn deref(&self) -> &Set {
        &self.set
    }
}

impl DerefMut for Controller {
    fn deref_mut(&mut self) -> &mut Set {
        &mut self.set
    }
}
