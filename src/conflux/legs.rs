//! The places of a set's legs. Two is the usual number, and these stand in the set itself, so that a message finds its
//! leg without another look at memory.

use super::leg::Leg;
use crate::base::Id;
use crate::conflux::LegIx;
use std::ops::{Index, IndexMut};

/// Places for legs, in the order in which they were first taken. There are always two at least; a place without a leg
/// is vacant.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Legs {
    first: [Leg; IN_PLACE],
    more: Vec<Leg>,
}

const IN_PLACE: usize = 2;

impl Legs {
    /// No legs.
    pub const NONE: Legs = Legs { first: [Leg::VACANT; IN_PLACE], more: Vec::new() };

    /// Number of places, vacant ones among them.
    pub fn len(&self) -> usize {
        IN_PLACE + self.more.len()
    }

    /// The leg in a place.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<&Leg> {
        match self.first.get(index) {
            Some(leg) => Some(leg),
            None => seldom(|| self.more.get(index.checked_sub(IN_PLACE)?)),
        }
    }

    /// The leg in a place, mutable.
    #[inline(always)]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Leg> {
        match self.first.get_mut(index) {
            Some(leg) => Some(leg),
            None => seldom(|| self.more.get_mut(index.checked_sub(IN_PLACE)?)),
        }
    }

    /// The leg in one of the places that stand in the set.
    #[inline(always)]
    pub fn first_mut(&mut self, index: usize) -> Option<&mut Leg> {
        self.first.get_mut(index)
    }

    /// The leg in any other place.
    #[inline(always)]
    pub fn rest_mut(&mut self, index: usize) -> Option<&mut Leg> {
        self.more.get_mut(index.checked_sub(IN_PLACE)?)
    }

    /// The two places, if there are no more.
    #[inline(always)]
    pub fn pair(&self) -> Option<&[Leg; IN_PLACE]> {
        self.more.is_empty().then_some(&self.first)
    }

    /// The leg of this circuit.
    #[inline(always)]
    pub fn of_mut(&mut self, id: Id) -> Option<&mut Leg> {
        let [first, second] = &mut self.first;
        if id == Id::NONE {
            None
        } else if first.key == id {
            Some(first)
        } else if second.key == id {
            Some(second)
        } else {
            seldom(|| self.more.iter_mut().find(|leg| leg.key == id))
        }
    }

    /// All places.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Leg> + Clone {
        self.first.iter().chain(&self.more)
    }

    /// All places, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Leg> {
        self.first.iter_mut().chain(&mut self.more)
    }

    /// Puts a leg into a vacant place, or a new one.
    pub fn seat(&mut self, leg: Leg) -> LegIx {
        let vacant = self.iter().position(|place| !place.is_live());
        let index = vacant.unwrap_or_else(|| {
            self.more.push(Leg::VACANT);
            self.len() - 1
        });
        self[index] = leg;
        index as LegIx
    }
}

/// What is asked for seldom.
#[cold]
fn seldom<T>(ask: impl FnOnce() -> T) -> T {
    ask()
}

impl Index<usize> for Legs {
    type Output = Leg;

    fn index(&self, index: usize) -> &Leg {
        if index < IN_PLACE {
            &self.first[index]
        } else {
            &self.more[index - IN_PLACE]
        }
    }
}

impl IndexMut<usize> for Legs {
    fn index_mut(&mut self, index: usize) -> &mut Leg {
        if index < IN_PLACE {
            &mut self.first[index]
        } else {
            &mut self.more[index - IN_PLACE]
        }
    }
}
