//! CONTROLLER (R7): one for each set, between the two halves of every leg and the stream side. Numbers and order are
//! the set's ([`crate::conflux::Set`]); the streams of the join point are here (C3).

use super::commands::Part;
use super::stream::{Stream, Streams};
use super::stream_write::{Data, Written};
use crate::base::{Arena, Nanos};
use crate::conflux::{LegIx, Role, Set, Terms};
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

    /// The common case of DATA that [`Set::is_next`] in order on a leg: it is counted, and goes to its stream, which is
    /// open. No answer means that nothing changed.
    #[inline(always)]
    pub fn take_data(
        &mut self,
        ix: LegIx,
        arena: &mut Arena<Stream>,
        now: Nanos,
        data: &Data,
    ) -> Option<(u64, Written)> {
        let written = self.write_data(arena, now, data)?;
        Some((self.set.arrive_next(ix, now).unwrap_or_default(), written))
    }

    /// DATA that had its turn goes to its stream. No answer means that nothing changed, as the stream is not open, or has
    /// no room.
    #[inline(always)]
    pub fn write_data(&mut self, arena: &mut Arena<Stream>, now: Nanos, data: &Data) -> Option<Written> {
        let (streams, params) = (self.streams.as_mut()?, self.params.as_deref()?);
        // Of which leg, nobody can say: a set measures rates by the host's clock alone.
        streams.take_data(arena, now, data, params, false)
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
