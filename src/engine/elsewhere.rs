//! What an engine remembers of sets over several engines: its own circuits that are legs elsewhere, and legs elsewhere
//! of its own sets.

use super::crossing::{Crossing, Down, Up};
use crate::base::Id;
use crate::conflux::{LegIx, Report};
use crate::congestion::{Publisher, Reader};
use crate::hub::{HomeEnd, LegEnd};
use crate::queue::Backlog;
use crate::wire::conflux::Link;
use std::collections::BTreeMap;

/// One of our circuits that is a leg of a set elsewhere.
pub(super) struct Away {
    pub end: LegEnd<Crossing>,
    pub backlog: Backlog<Up>,
    pub publisher: Publisher,
    /// DATA of the set's that the mirror includes.
    pub included: u64,
    pub paused: bool,
    /// What LINKED says, until the host takes it.
    pub linked: Option<Box<Link>>,
    /// What it was opened with, until the home has answered: the set may have ended at that moment.
    pub link: Option<Link>,
    /// How it stands, as the host last said.
    pub reported: Report,
}

/// A leg elsewhere of one of our sets.
pub(super) struct HomeLeg {
    pub id: Id,
    pub tag: u64,
    pub set: Id,
    pub ix: LegIx,
    pub end: HomeEnd<Crossing>,
    pub backlog: Backlog<Down>,
    pub reader: Reader,
    /// DATA sent on it.
    pub committed: u64,
}

/// Legs elsewhere, each in a place of its own, by which its timer goes.
#[derive(Default)]
pub(super) struct HomeLegs {
    pub places: Vec<Option<HomeLeg>>,
    pub by_id: BTreeMap<Id, u32>,
}

impl HomeLegs {
    pub fn find(&mut self, id: Id) -> Option<(u32, &mut HomeLeg)> {
        let &place = self.by_id.get(&id)?;
        Some((place, self.places.get_mut(place as usize)?.as_mut()?))
    }

    pub fn look(&self, id: Id) -> Option<&HomeLeg> {
        self.at(*self.by_id.get(&id)?)
    }

    pub fn at(&self, place: u32) -> Option<&HomeLeg> {
        self.places.get(place as usize)?.as_ref()
    }

    pub fn insert(&mut self, leg: HomeLeg) -> u32 {
        let place = self.places.iter().position(Option::is_none).unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.by_id.insert(leg.id, place as u32);
        self.places[place] = Some(leg);
        place as u32
    }

    pub fn remove(&mut self, id: Id) -> Option<(u32, HomeLeg)> {
        let place = self.by_id.remove(&id)?;
        Some((place, self.places.get_mut(place as usize)?.take()?))
    }

    pub fn all(&mut self) -> impl Iterator<Item = HomeLeg> + '_ {
        self.by_id.clear();
        self.places.drain(..).flatten()
    }
}

impl std::fmt::Debug for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Away").field("included", &self.included).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HomeLegs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HomeLegs").field("legs", &self.by_id.len()).finish_non_exhaustive()
    }
}
