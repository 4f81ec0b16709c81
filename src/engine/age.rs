//! How long messages are held for order. Each set that holds any has a timer, which is armed with the first of them
//! and looked at again when it is due; in time that counts, so that it need not move when a machine was suspended.
//!
//! While something is held the host is asked to call twice a second. So a longer time in which it did not is seen as
//! what it is, and no call pays for that but those for which something is due.

use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos};
use crate::conflux::{Cause, Fault};
use crate::engine::out::log::engine_log;
use crate::engine::{Engine, Error};

impl Engine {
    /// The first step of a feed in the common case: time goes on, by no more than all of which counts, and nothing is
    /// due. False when it is not so, and then nothing was done.
    #[inline(always)]
    pub(super) fn try_enter(&mut self, now: Nanos) -> bool {
        // An earlier time is very far ahead here.
        let goes_on = now < self.stop() && now.wrapping_sub(self.time.clock.latest()) <= limits::HELD_GAP_MAX;
        goes_on && self.time.clock.advance(now)
    }

    /// Looks at the clock. Of a time in which the host did not call, a second counts for what is held.
    #[inline]
    pub(super) fn observe(&mut self, now: Nanos) -> Nanos {
        let before = self.time.clock.latest();
        let named = now;
        let mut now = self.time.clock.observe(now);
        if now >= self.time.alarms.horizon() {
            now = self.pass_horizon(before, now);
        } else if named < now {
            self.step_back(named);
        }
        if now - before > limits::HELD_GAP_MAX {
            self.held.store.pause(now - before - limits::HELD_GAP_MAX);
        }
        now
    }

    /// A set holds its first message for order: its age is watched, and with it that of all that follow.
    #[inline(never)]
    pub(super) fn watch_age(&mut self, set: Id, now: Nanos) {
        let most = self.sets.get(set).and_then(|state| state.terms().held_age_max).unwrap_or_default();
        if most != 0 {
            self.time.alarms.arm_age(set.index(), self.held.store.counted(now).saturating_add(most));
            self.time.alarms.beat_by(now.saturating_add(most.min(limits::HELD_BEAT)));
        }
    }

    /// Looks at the sets that may hold something for too long, a bounded number of them.
    #[cold]
    pub(super) fn run_ages(&mut self, now: Nanos) {
        let counted = self.held.store.counted(now);
        let mut steps = limits::TIMER_STEPS;
        for _ in 0..limits::AGES_STEP {
            if self.out.queue.len() >= self.settings.instructions_max {
                break;
            }
            let Some(index) = self.time.alarms.due_age(counted, &mut steps) else { break };
            self.check_age(index, now);
        }
        let next = match self.time.alarms.next_age() {
            // Nobody holds anything: the next who does begins anew.
            _ if self.held.store.is_empty() => NEVER,
            NEVER => NEVER,
            next => self.held.store.uncounted(next).min(now.saturating_add(limits::HELD_BEAT)),
        };
        self.time.alarms.set_beat(next);
    }

    fn check_age(&mut self, index: u32, now: Nanos) {
        let Some((id, state)) = self.sets.at(index) else { return };
        let most = state.terms().held_age_max.unwrap_or_default();
        let Some(since) = state.held_since_ns(&self.held.store, now).filter(|_| most != 0) else { return };
        let age = now.saturating_sub(since);
        let (counted, grain) = (self.held.store.counted(now), limits::HELD_GRAIN);
        let next = if state.is_ready() {
            // The host has to come, and then it will be seen whether there is a hole behind.
            counted.saturating_add(limits::HELD_BEAT)
        } else if age.saturating_add(grain) >= most {
            return self.end_held(id, Fault::HeldTooLong, now);
        } else {
            // Rather a moment too early than too late; and not before the age can read so much, as it goes in steps.
            (counted / grain).saturating_add((most - age - grain).div_ceil(grain)).saturating_mul(grain)
        };
        self.time.alarms.arm_age(index, next);
    }

    /// A set ends on account of what it holds for order.
    pub(super) fn end_held(&mut self, id: Id, fault: Fault, now: Nanos) {
        let Some(state) = self.sets.get(id) else { return };
        let (held, held_bytes) = (state.held(), state.held_bytes());
        let age_ms = now.saturating_sub(state.held_since_ns(&self.held.store, now).unwrap_or(now)) / 1_000_000;
        self.out.faults += 1;
        let text = fault.text().to_string_lossy();
        let words = format!("{text} (set {:#x}: {held} messages, {held_bytes} bytes, for {age_ms} ms)", id.0);
        self.explain(Error::Fault(fault), words);
        engine_log!(self, WARN, id = id.0, held, held_bytes, age_ms, "closing a set: {text}");
        self.end_set(id, Cause::Fault(fault));
    }
}
