//! Who sees what padders do. Every function that changes a padder takes a [`Watch`], and tells it what happened, in
//! order. Most are made twice: for [`Nobody`] nothing is left of it, which is what the quick ways run.

use crate::base::purse::Objector;
use crate::base::Id;
use crate::event::Event;
use maybenot::{MachineId, TriggerEvent};

/// Somebody who may want to see what the padders of one circuit do.
pub trait Watch {
    /// False when it never wants anything.
    const LOOKS: bool;

    /// True when it wants to see what happens.
    fn wants_events(&self) -> bool;

    /// True when it wants to see the states of machines, which cost much to find out.
    fn wants_states(&self) -> bool;

    /// The circuit that is watched, as events name it.
    fn circuit(&self) -> Id;

    /// Takes an event.
    fn take(&mut self, event: Event);

    /// Takes an event that comes often: quicker where its kind is known, and more code.
    fn take_often(&mut self, event: Event);

    /// [`Watch::note`] for an event that comes often.
    #[inline(always)]
    fn note_often(&mut self, make: impl FnOnce(Id) -> Event)
    where
        Self: Sized,
    {
        if Self::LOOKS && self.wants_events() {
            let event = make(self.circuit());
            self.take_often(event);
        }
    }

    /// Makes an event and hands it over, if it is wanted.
    #[inline(always)]
    fn note(&mut self, make: impl FnOnce(Id) -> Event)
    where
        Self: Sized,
    {
        if Self::LOOKS && self.wants_events() {
            let event = make(self.circuit());
            self.take(event);
        }
    }
}

/// Nobody watches.
#[derive(Debug)]
pub struct Nobody;

impl Watch for Nobody {
    const LOOKS: bool = false;

    #[inline(always)]
    fn wants_events(&self) -> bool {
        false
    }

    #[inline(always)]
    fn wants_states(&self) -> bool {
        false
    }

    #[inline(always)]
    fn circuit(&self) -> Id {
        Id::NONE
    }

    #[inline(always)]
    fn take(&mut self, _event: Event) {}

    #[inline(always)]
    fn take_often(&mut self, _event: Event) {}
}

/// The place of a padder on its circuit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spot {
    pub hop: u8,
    pub slot: u8,
}

/// The machine of an event that concerns all machines of a padder, or none.
const NO_MACHINE: u32 = u32::MAX;

/// Timers of a machine, as events number them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimerOf {
    Padding = 1,
    Blocking = 2,
    Itself = 3,
}

impl TimerOf {
    /// The action timer of a machine that pads, or blocks.
    #[inline]
    pub fn action(pads: bool) -> TimerOf {
        if pads {
            TimerOf::Padding
        } else {
            TimerOf::Blocking
        }
    }
}

/// What a block did to the block of the padder, as events number it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BlockTurn {
    Began = 0,
    Changed = 1,
    LeftAsItWas = 2,
}

impl BlockTurn {
    pub fn of(was_blocking: bool, changes: bool) -> BlockTurn {
        match (was_blocking, changes) {
            (false, _) => BlockTurn::Began,
            (true, true) => BlockTurn::Changed,
            (true, false) => BlockTurn::LeftAsItWas,
        }
    }
}

/// Which cell took the place of padding, as events number it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Instead {
    Unwritten = 1,
    StillHeld = 2,
    LetOut = 3,
}

/// Why padding or a block was refused, as events number it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RefusedBy {
    Operator = 1,
    Consensus = 2,
    Process = 3,
    LongQueue = 4,
    HeldCap = 5,
    Host = 6,
}

impl From<Objector> for RefusedBy {
    fn from(who: Objector) -> RefusedBy {
        match who {
            Objector::Operator => RefusedBy::Operator,
            Objector::Consensus => RefusedBy::Consensus,
            Objector::Process => RefusedBy::Process,
        }
    }
}

/// An event for the machines, with its number in the table, and the machine that it is about.
#[inline(always)]
pub(super) fn told(circuit: Id, Spot { hop, slot }: Spot, event: &TriggerEvent) -> Event {
    let of = |machine: &MachineId| u32::try_from(machine.into_raw()).unwrap_or(NO_MACHINE);
    let (what, machine) = match event {
        TriggerEvent::NormalSent => (1, NO_MACHINE),
        TriggerEvent::NormalRecv => (2, NO_MACHINE),
        TriggerEvent::PaddingSent { machine } => (3, of(machine)),
        TriggerEvent::PaddingRecv => (4, NO_MACHINE),
        TriggerEvent::TunnelSent => (5, NO_MACHINE),
        TriggerEvent::TunnelRecv => (6, NO_MACHINE),
        TriggerEvent::BlockingBegin { machine } => (7, of(machine)),
        TriggerEvent::BlockingEnd => (8, NO_MACHINE),
        TriggerEvent::TimerBegin { machine } => (9, of(machine)),
        TriggerEvent::TimerEnd { machine } => (10, of(machine)),
    };
    Event::PaddingEvent { circuit, hop, slot, what, machine }
}
