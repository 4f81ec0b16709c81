//! Messages that sets, circuits and legs leave behind when they go. Messages whose turn had come are still delivered,
//! tokens are handed back, and copies are freed, a bounded number in each call.
//!
//! A leftover waits in the instruction queue for its turn. When its tokens stand behind more copies than one call
//! frees, it is set aside, so that nothing waits for it, and comes back to the queue when a token is next.

use crate::base::{limits, Id};
use crate::engine::{Engine, Instruction, What};
use crate::event::{Class, Event};
use crate::message::{Delivery, Lane, Lanes, Store, TooSmall};
use crate::wire::Command;
use std::collections::VecDeque;

/// Messages that something has left behind, in lanes.
#[derive(Debug)]
pub(in crate::engine) struct Leftover {
    /// The set that has ended, or none.
    pub set: Id,
    pub set_tag: u64,
    pub lanes: Lanes,
    /// Messages with this number and those after it without a gap had their turn.
    pub next: u64,
    /// Circflow ran the set, so XOFF and XON are not delivered.
    pub run: bool,
}

impl Leftover {
    fn of_nobody(lanes: Lanes) -> Leftover {
        Leftover { set: Id::NONE, set_tag: 0, lanes, next: 0, run: false }
    }

    fn free(&mut self, store: &mut Store, steps: &mut StepsLeft) -> u64 {
        free(&mut self.lanes, store, steps)
    }
}

/// Frees copies, and answers how many.
fn free(lanes: &mut Lanes, store: &mut Store, steps: &mut StepsLeft) -> u64 {
    let before = steps.0;
    lanes.free(store, &mut steps.0);
    u64::from(before - steps.0)
}

/// Leftovers that were set aside: each begins with a copy.
pub(in crate::engine) type Aside = VecDeque<Lanes>;

/// How many copies a call may still free.
#[derive(Debug)]
pub(in crate::engine) struct StepsLeft(u32);

impl Default for StepsLeft {
    fn default() -> Self {
        StepsLeft(limits::FREED_STEP)
    }
}

/// The result of taking from a leftover.
pub(in crate::engine) enum Given {
    One(Instruction),
    /// The leftover is empty, or was set aside.
    Over,
    /// The call has freed enough; the next one goes on.
    Later,
}

impl Engine {
    /// Leaves held messages behind that will not be sent: their tokens are handed back in their turn.
    pub(in crate::engine) fn leave_behind(&mut self, lane: Lane) {
        self.held.store.leave(lane.bytes());
        self.queue_leftover(lane);
    }

    /// Queues a leftover of messages that were not held here, or have been counted as leaving.
    pub(in crate::engine) fn queue_leftover(&mut self, lane: Lane) {
        if !lane.is_empty() {
            self.out.queue.push_leftover(Leftover::of_nobody(Lanes::of(lane, &self.held.store)));
        }
    }

    /// Leaves messages behind of the first entry of the queue, and takes its place there.
    pub(super) fn leave_in_place(&mut self, lane: Lane) {
        self.held.store.leave(lane.bytes());
        self.out.queue.replace_first(Leftover::of_nobody(Lanes::of(lane, &self.held.store)));
    }

    /// Takes the next message of the leftover that is first in the queue.
    pub(super) fn take_leftover(&mut self, buffer: &mut [u8], budget: &mut StepsLeft) -> Result<Given, TooSmall> {
        while let Some(rest) = self.out.queue.first_leftover() {
            let (set, set_tag) = (rest.set, rest.set_tag);
            let about = |what| Ok(Given::One(Instruction::about(Id::NONE, 0, set, set_tag, what)));
            if rest.lanes.first() == rest.next {
                if budget.0 == 0 {
                    return Ok(Given::Later);
                }
                let taken = rest.lanes.pop(&mut self.held.store, buffer)?;
                if self.events.wants(Class::Messages) {
                    let now = self.time.clock.latest();
                    self.events.note(now, Event::Released { set, number: rest.next, held: 0 });
                }
                rest.next += 1;
                match taken {
                    Some(Delivery { command: Command::XOFF | Command::XON, .. }) if rest.run => {
                        self.counters.released_late += 1;
                        budget.0 -= 1;
                    }
                    Some(delivery) => {
                        self.counters.released_late += 1;
                        return about(What::Deliver(delivery));
                    }
                    None => break,
                }
            } else {
                self.counters.totals.messages_discarded += rest.free(&mut self.held.store, budget);
                if rest.lanes.begins_with_token() {
                    let token = rest.lanes.pop(&mut self.held.store, &mut [])?.and_then(|delivery| delivery.token);
                    self.counters.totals.messages_discarded += u64::from(token.is_some());
                    return token.map_or(Ok(Given::Over), |token| about(What::Discard(token)));
                }
                if !rest.lanes.is_empty() {
                    self.held.aside.push_back(std::mem::take(&mut rest.lanes));
                    self.time.alarms.set_left(true);
                }
                break;
            }
        }
        Ok(Given::Over)
    }

    /// True when the leftover that is first in the queue has something for the host. Copies before it are freed.
    pub(super) fn leftover_waits(&mut self, budget: &mut StepsLeft) -> bool {
        let Some(rest) = self.out.queue.first_leftover() else { return false };
        if rest.lanes.first() == rest.next {
            return true;
        }
        self.counters.totals.messages_discarded += rest.free(&mut self.held.store, budget);
        if rest.lanes.is_empty() || rest.lanes.begins_with_token() {
            return !rest.lanes.is_empty();
        }
        self.held.aside.push_back(std::mem::take(&mut rest.lanes));
        self.time.alarms.set_left(true);
        false
    }

    /// Frees copies of leftovers that were set aside. True when more are left.
    pub(in crate::engine) fn free_aside(&mut self) -> bool {
        let mut budget = StepsLeft::default();
        while let Some(lanes) = self.held.aside.front_mut() {
            self.counters.totals.messages_discarded += free(lanes, &mut self.held.store, &mut budget);
            if !lanes.is_empty() && !lanes.begins_with_token() {
                return true;
            }
            if let Some(lanes) = self.held.aside.pop_front().filter(|lanes| !lanes.is_empty()) {
                self.out.queue.push_leftover(Leftover::of_nobody(lanes));
            }
        }
        false
    }
}
