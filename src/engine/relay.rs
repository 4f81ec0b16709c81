//! Cells that pass through a relay on a circuit that circflow runs, and the edges where they wait.

use crate::base::{Id, Nanos};
use crate::conflux::{Fault, Role};
use crate::engine::out::insn::Queued;
use crate::engine::padding::tell_received;
use crate::engine::slot::Apart;
use crate::engine::{Blocked, Circuit, CircuitFlags, Engine, Error, Misuse, Place, Verdict, VerdictKind};
use crate::event::{Class, Event};
use crate::message::{cost_of, Message};
use crate::reactor::{FeedChange, Offer, Side};

impl Engine {
    /// Takes a cell that is not for us: it goes on from one side to the other, or waits at an edge.
    #[inline]
    pub fn pass(&mut self, now: Nanos, id: Id, from: Side, cell: &Message<'_>) -> Result<Verdict, Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.pass_entered(now, id, from, cell)
    }

    /// The quick way of [`Engine::pass`], for a cell that goes through at once. None when nothing was done.
    #[inline(always)]
    pub fn pass_quick(&mut self, now: Nanos, id: Id, from: Side) -> Option<Verdict> {
        if !self.enter_quick::<true>(now) {
            return None;
        }
        let Some(Circuit { place: Place::Alone, config, padding: None, reactor: Some(reactor), .. }) =
            self.circuits.get_mut(id)
        else {
            return None;
        };
        let goes_on = config.flags.has(CircuitFlags::EXTENDED) && config.role == Role::Exit;
        if !goes_on || !reactor.edge(from.opposite()).pass_through() {
            return None;
        }
        self.padding.purse.sent(u64::from(from == Side::Next));
        Some(Verdict::of(VerdictKind::Forward, id, config.tag))
    }

    /// The second quick way of [`Engine::pass`], after [`Engine::pass_quick`], for a cell that has to wait on a circuit
    /// that has held something before. None when nothing was done.
    #[inline(always)]
    pub fn pass_waiting_quick(&mut self, now: Nanos, id: Id, from: Side, cell: &Message<'_>) -> Option<Verdict> {
        let is_full = self.out.queue.len() >= self.settings.instructions_max || !self.held.store.fits(cost_of(cell));
        if is_full || !self.try_enter(now) {
            return None;
        }
        let Some(Circuit { place: Place::Alone, config, padding: None, reactor: Some(reactor), apart: Some(apart) }) =
            self.circuits.get_mut(id)
        else {
            return None;
        };
        let Apart { away: None, standing: Some(standing), .. } = &**apart else { return None };
        let goes_on = config.flags.has(CircuitFlags::EXTENDED) && config.role == Role::Exit;
        let edge = reactor.edge(from.opposite());
        if !goes_on || !edge.keeps(&self.settings.marks) {
            return None;
        }
        let change = edge.keep(cell, &self.settings.marks, &mut self.held.store, now)?;
        let tag = config.tag;
        standing.grew(reactor.held_bytes(), now);
        if self.wants(Class::Edges) {
            self.note_wait(id, from.opposite());
        }
        if change != FeedChange::Unchanged {
            self.change_feed(id, from, change);
        }
        Some(Verdict::of(VerdictKind::Held, id, tag))
    }

    #[inline(always)]
    fn pass_entered(&mut self, now: Nanos, id: Id, from: Side, cell: &Message<'_>) -> Result<Verdict, Error> {
        self.check_drained()?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        let (tag, flags) = (circuit.config.tag, circuit.config.flags);
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        if circuit.config.role == Role::Client {
            return Err(Misuse::Role.into());
        }
        if !flags.has(CircuitFlags::EXTENDED) {
            return Err(self.fault(id, Fault::Unrecognised));
        }
        if let Some(padding) = &mut circuit.padding {
            if from == Side::Back {
                tell_received(padding, &mut self.events, (id, 0), false, now);
                self.time.alarms.arm_padding(id, padding.next());
            }
        }
        let to = from.opposite();
        match reactor.edge(to).offer(&self.settings.marks) {
            Offer::Through => {
                if to == Side::Back {
                    self.count_sent(id, 0, now);
                } else {
                    self.spend(id, to);
                }
                Ok(Verdict::of(VerdictKind::Forward, id, tag))
            }
            Offer::Overrun => Err(self.fault(id, Fault::EdgeOverrun)),
            Offer::Keep => {
                if !self.held.store.budget().has_room(cost_of(cell).into()) {
                    return self.make_room_at(id, to, cell, now);
                }
                let Some(change) = reactor.edge(to).keep(cell, &self.settings.marks, &mut self.held.store, now) else {
                    return Err(self.fault(id, Fault::EngineMemory));
                };
                let is_shared = reactor.edge(to).is_shared();
                circuit.grew(id, &self.held.ledger, now);
                if self.wants(Class::Edges) {
                    self.note_wait(id, to);
                }
                if change != FeedChange::Unchanged {
                    self.change_feed(id, from, change);
                }
                if is_shared {
                    self.kept_in_line(id, to);
                }
                Ok(Verdict::of(VerdictKind::Held, id, tag))
            }
        }
    }

    /// Keeps a cell at an edge after making room for it, which can close other circuits and sets.
    #[cold]
    #[inline(never)]
    fn make_room_at(&mut self, id: Id, to: Side, cell: &Message<'_>, now: Nanos) -> Result<Verdict, Error> {
        match self.ensure_room(id, cost_of(cell).into()) {
            Ok(closed) => self.outlived(id, closed)?,
            Err(fault) => return Err(self.fault(id, fault)),
        }
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(Misuse::NotRun.into()) };
        let (tag, Some(reactor)) = (circuit.config.tag, &mut circuit.reactor) else {
            return Err(Misuse::NotRun.into());
        };
        match reactor.edge(to).keep(cell, &self.settings.marks, &mut self.held.store, now) {
            None => Err(self.fault(id, Fault::EngineMemory)),
            Some(change) => {
                circuit.grew(id, &self.held.ledger, now);
                self.note_wait(id, to);
                self.change_feed(id, to.opposite(), change);
                self.kept_in_line(id, to);
                Ok(Verdict::of(VerdictKind::Held, id, tag))
            }
        }
    }

    /// Tells the source of an edge to pause or to go on.
    #[cold]
    #[inline(never)]
    pub(super) fn change_feed(&mut self, circuit: Id, source: Side, change: FeedChange) {
        let waiting = self.edge_of(circuit, source.opposite()).map_or(0, |edge| edge.waiting());
        self.tell_source(circuit, source, change, waiting);
    }

    /// Tells the source of cells, of which so many wait, to pause or to go on.
    pub(super) fn tell_source(&mut self, circuit: Id, source: Side, change: FeedChange, waiting: u32) {
        let side = source.opposite() as u8;
        let pause = match change {
            FeedChange::Unchanged => return,
            FeedChange::Pause => {
                self.note(Event::FeedPaused { circuit, side, waiting });
                true
            }
            FeedChange::Unpause => {
                self.note(Event::FeedUnpaused { circuit, side, waiting });
                false
            }
        };
        self.out.queue.push(Queued::PauseFeed { circuit, side: source, pause });
    }

    /// Says that a cell waits at an edge: the last that came.
    #[cold]
    #[inline(never)]
    pub(super) fn note_wait(&mut self, circuit: Id, side: Side) {
        let Some(waiting) = self.edge_of(circuit, side).map(|edge| edge.waiting()) else { return };
        let now = self.time.clock.latest();
        self.events.note_here(now, Event::Waits { circuit, side: side as u8, waiting });
    }

    /// Reports whether the channel on one side takes cells.
    pub fn set_writable(&mut self, now: Nanos, id: Id, side: Side, writable: bool) -> Result<(), Error> {
        self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let is_client = circuit.config.role == Role::Client;
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        if is_client && side == Side::Next {
            return Err(self.invalid("a client's circuit has one channel, at its back"));
        }
        if self.events.wants(Class::Edges) && reactor.edge_at(side).is_full() == writable {
            let waiting = reactor.edge_at(side).waiting();
            let event = Event::WritableChanged { circuit: id, side: side as u8, writable: writable.into(), waiting };
            self.events.note(self.time.clock.latest(), event);
        }
        if reactor.edge(side).set_full(!writable) {
            self.edge_woke(id, side);
        }
        if side == Side::Back {
            self.room_changed(id);
        }
        Ok(())
    }

    /// Empties the edge to the next relay, which is not there any more; the source of its cells may go on.
    #[cold]
    pub(super) fn drop_next_edge(&mut self, id: Id) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        let (lane, change) = reactor.edge(Side::Next).lose_channel();
        self.leave_channel(id, Side::Next);
        self.leave_behind(lane);
        self.shrank(id);
        self.change_feed(id, Side::Back, change);
    }

    /// Blocks the back edge for padding, or unblocks it.
    pub(super) fn block_edge(&mut self, id: Id, shut: bool) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.edge(Side::Back).set_shut(shut) {
            self.edge_woke(id, Side::Back);
        }
        self.room_changed(id);
    }

    /// Lets one waiting cell out of the back edge, past the block of padding.
    pub(super) fn let_one_pass(&mut self, id: Id) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.edge(Side::Back).let_one_out() {
            self.edge_woke(id, Side::Back);
        }
    }
}
