//! The two ends of a link as an engine keeps them: its circuits that are legs of sets elsewhere, and the legs elsewhere
//! of its sets.

use crate::base::time::NEVER;
use crate::base::{limits, Budget, Id, Nanos};
use crate::conflux::{Cause, LegIx, Reach, Report};
use crate::congestion::{Publisher, Reader};
use crate::engine::spread::message::{reason, Crossing, Down, Request, Up, LOST};
use crate::hub::{Cargo, HomeEnd, LegEnd, LinkEnd};
use crate::queue::Backlog;
use crate::wire::conflux::Link;
use std::collections::BTreeMap;

/// One of our circuits that is a leg of a set elsewhere.
pub(in crate::engine) struct Away {
    pub end: LegEnd<Crossing>,
    pub backlog: Backlog<Up>,
    pub publisher: Publisher,
    /// DATA cells that the set has sent to us.
    pub heard: u64,
    /// How many of them the figures in the mirror include. (Figures of a host stay the same until its next report.)
    pub included: u64,
    /// The circuit's source was told to pause.
    pub paused: bool,
    /// Reading has stopped, as padding holds back as many messages as it may.
    pub stalled: bool,
    /// The content of LINKED, until the host takes it.
    pub linked: Option<Box<Link>>,
    /// LINK, until the home has answered: it is used again when the set has ended meanwhile.
    pub link: Option<Link>,
    /// The last report of the host's congestion control.
    pub reported: Report,
    pub way: Way,
    /// Bytes that the request to the home costs, until the home has answered.
    pub asking: u64,
    pub reading: Reading,
    /// Messages lie in the link that go straight to the host, and a mark in the instruction queue stands for them.
    pub unread: bool,
    /// DATA cells that the set had sent to us when figures were shown last.
    pub shown: u64,
}

/// Counts bytes on the way to another engine.
#[derive(Default)]
pub(in crate::engine) struct Way {
    /// Bytes of everything ever sent, modulo 2^64.
    put: u64,
    /// Bytes of everything that the other engine has taken, modulo 2^64.
    taken: u64,
    since: Nanos,
    /// The set knows of up to this many bytes on the way; 0 when it knows of none.
    told: u64,
}

impl Way {
    /// Counts something that was sent.
    pub fn put(&mut self, cost: u64, now: Nanos) {
        if self.put == self.taken {
            self.since = now;
        }
        self.put = self.put.wrapping_add(cost);
    }

    /// Takes the last `put` back, as it was not sent.
    pub fn undo(&mut self, cost: u64) {
        self.put = self.put.wrapping_sub(cost);
    }

    /// Notes how much has been taken in all. When something was taken, the time starts anew for what is left.
    pub fn look(&mut self, taken: u64, now: Nanos) {
        if taken != self.taken {
            (self.taken, self.since) = (taken, now);
        }
    }

    /// Bytes on the way.
    pub fn bytes(&self) -> u64 {
        self.put.wrapping_sub(self.taken)
    }

    /// True when so much more is on the way than at the last [`Way::tell`] that the set has to know.
    #[inline]
    pub fn is_more(&self) -> bool {
        self.bytes() > self.told
    }

    /// Bytes on the way, for the set to know. It need not know of up to an eighth more.
    pub fn tell(&mut self) -> u64 {
        let bytes = self.bytes();
        self.told = bytes + bytes / 8;
        bytes
    }

    /// Since when nothing was taken, [`NEVER`] when nothing is on the way.
    pub fn since(&self) -> Nanos {
        if self.put == self.taken {
            NEVER
        } else {
            self.since
        }
    }
}

/// A leg elsewhere of one of our sets.
pub(in crate::engine) struct HomeLeg {
    pub id: Id,
    pub tag: u64,
    pub set: Id,
    pub ix: LegIx,
    pub end: HomeEnd<Crossing>,
    pub backlog: Backlog<Down>,
    pub reader: Reader,
    /// DATA cells sent on it.
    pub committed: u64,
    pub way: Way,
    pub reading: Reading,
}

/// What an engine has read of a link.
#[derive(Default)]
pub(in crate::engine) struct Reading {
    /// As many items of the link may be read before other things have their turn.
    pub turns: u32,
    /// The cost of what was read, and held here, since the other engine was told.
    adopted: u64,
}

impl Reading {
    /// The cost of what was read and the budget has not taken over.
    pub fn unadopted<I: Cargo, O: Cargo>(&self, end: &LinkEnd<I, O>) -> u64 {
        end.unreported().saturating_sub(self.adopted)
    }

    /// Takes over the cost of an item that was read.
    pub fn adopt(&mut self, cost: u64, budget: &mut Budget) {
        budget.adopt(cost);
        self.adopted += cost;
    }

    /// Takes over the cost of all that was read, and tells the other engine of it. Both at once, so that the engines
    /// agree about what is reserved.
    #[cold]
    #[inline(never)]
    pub fn settle<I: Cargo, O: Cargo>(&mut self, end: &mut LinkEnd<I, O>, budget: &mut Budget) {
        budget.adopt(self.unadopted(end));
        self.adopted = 0;
        end.report_read();
        budget.tidy();
    }
}

impl HomeLeg {
    /// A circuit that was accepted as a leg of a set.
    pub fn new(set: Id, ix: LegIx, request: Request, end: HomeEnd<Crossing>) -> HomeLeg {
        let Request { circuit: id, tag, mirror: reader, .. } = request;
        let (backlog, way) = (Backlog::new(limits::HOME_BACKLOG_MAX), Way::default());
        HomeLeg { id, tag, set, ix, end, backlog, reader, committed: 0, way, reading: Reading::default() }
    }
}

/// All legs elsewhere of our sets. The place of a leg names its timer.
#[derive(Default)]
pub(in crate::engine) struct HomeLegs {
    places: Vec<Option<HomeLeg>>,
    vacant: Vec<u32>,
    by_id: BTreeMap<Id, u32>,
    /// The place that was found last.
    last: u32,
}

impl HomeLegs {
    #[inline(always)]
    pub fn find(&mut self, id: Id) -> Option<(u32, &mut HomeLeg)> {
        if self.at(self.last).is_none_or(|leg| leg.id != id) {
            self.look_up(id)?;
        }
        Some((self.last, self.places.get_mut(self.last as usize)?.as_mut()?))
    }

    #[cold]
    #[inline(never)]
    fn look_up(&mut self, id: Id) -> Option<()> {
        self.last = *self.by_id.get(&id)?;
        Some(())
    }

    pub fn look(&self, id: Id) -> Option<&HomeLeg> {
        self.at(*self.by_id.get(&id)?)
    }

    pub fn at(&self, place: u32) -> Option<&HomeLeg> {
        self.places.get(place as usize)?.as_ref()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn insert(&mut self, leg: HomeLeg) {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        debug_assert!(!self.by_id.contains_key(&leg.id));
        self.by_id.insert(leg.id, place);
        self.places[place as usize] = Some(leg);
    }

    pub fn remove(&mut self, id: Id) -> Option<(u32, HomeLeg)> {
        let place = self.by_id.remove(&id)?;
        self.vacant.push(place);
        Some((place, self.places.get_mut(place as usize)?.take()?))
    }

    pub fn all(&mut self) -> impl Iterator<Item = HomeLeg> + '_ {
        self.by_id.clear();
        self.vacant.clear();
        self.places.drain(..).flatten()
    }
}

impl Away {
    /// Bytes on the way to the home, with the request.
    pub fn bytes(&self) -> u64 {
        self.way.bytes() + self.asking
    }

    /// Since when the home has taken nothing of it.
    pub fn since(&self) -> Nanos {
        self.way.since()
    }

    /// Notes how much the home has taken.
    pub fn look(&mut self, now: Nanos) {
        self.way.look(self.end.taken(), now);
    }

    /// The reason for the home why the circuit goes; [`LOST`] when messages go with it that were acknowledged, so that
    /// they will not be sent again.
    pub fn last_reason(&self, why: Cause) -> u32 {
        let is_counted = |up: &Up| matches!(up, Up::Message(_) | Up::Switch(_));
        let ends_the_set = matches!(why, Cause::Fault(fault) if fault.reach() == Reach::Set);
        if self.backlog.iter().any(is_counted) && !ends_the_set {
            LOST
        } else {
            reason(why)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_way_is_told_when_it_begins_and_when_an_eighth_more_is() {
        let mut way = Way::default();
        assert!(!way.is_more(), "nothing is");
        for round in 0..3 {
            let mut told = 0;
            for count in 1..=500 {
                way.put(10, round);
                assert_eq!(way.bytes(), count * 10);
                if way.is_more() {
                    assert_eq!(way.tell(), count * 10);
                    told += 1;
                }
                assert!(count > 8 || told == count, "few are told one by one");
            }
            assert!(told < 50, "{told}");
            way.look((round + 1) * 5_000, round);
            assert_eq!((way.tell(), way.is_more(), way.since()), (0, false, NEVER));
        }
    }
}
