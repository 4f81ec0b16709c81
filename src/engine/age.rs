//! How long messages are held for order. Each set that holds messages has a timer: it is armed with the first message,
//! and set anew when it is due. It runs in counted time, which leaves out pauses of the host, so it need not move when
//! a machine was suspended.
//!
//! While something is held the host is asked to call twice a second. So a longer time between calls is known to be a
//! pause, and only calls in which something is due pay for that.

use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos};
use crate::conflux::{Cause, Fault};
use crate::engine::{Engine, Error};

impl Engine {
    /// The quick part of [`Engine::enter`]: true when nothing is due and time has gone on by no more than
    /// [`limits::HELD_GAP_MAX`], all of which counts. When it is false, nothing was done.
    #[inline(always)]
    pub(super) fn try_enter(&mut self, now: Nanos) -> bool {
        // An earlier time wraps around to a very large step.
        let goes_on = now < self.stop() && now.wrapping_sub(self.time.clock.latest()) <= limits::HELD_GAP_MAX;
        goes_on && self.time.clock.advance(now)
    }

    /// Looks at the clock, and answers the time to go on with. Of a longer time without a call, one second counts for
    /// the age of held messages.
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

    /// Watches the age of the first message that a set holds for order, and so of all behind it.
    #[inline(never)]
    pub(super) fn watch_age(&mut self, set: Id, now: Nanos) {
        let most = self.sets.get(set).and_then(|state| state.terms().held_age_max).unwrap_or_default();
        if most != 0 {
            self.time.alarms.arm_age(set.index(), self.held.store.counted(now).saturating_add(most));
            self.time.alarms.beat_by(now.saturating_add(most.min(limits::HELD_BEAT)));
        }
    }

    /// Checks sets that may hold something for too long, a bounded number of sets.
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
            // Nothing is held: the next message that is held sets the beat again.
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
        let next = if state.is_ready() || state.has_unread() {
            // The host has to take these first; only then is known whether a hole is behind them.
            counted.saturating_add(limits::HELD_BEAT)
        } else if age.saturating_add(grain) >= most {
            return self.end_held(id, Fault::HeldTooLong, now);
        } else {
            // A moment too early rather than too late, but not before the age, which grows in steps, can reach the
            // bound.
            (counted / grain).saturating_add((most - age - grain).div_ceil(grain)).saturating_mul(grain)
        };
        self.time.alarms.arm_age(index, next);
    }

    /// Ends a set because of what it holds for order.
    pub(super) fn end_held(&mut self, id: Id, fault: Fault, now: Nanos) {
        let Some(state) = self.sets.get(id) else { return };
        let (held, held_bytes) = (state.held(), state.held_bytes());
        let age = now.saturating_sub(state.held_since_ns(&self.held.store, now).unwrap_or(now));
        self.count_fault(fault, id);
        let text = fault.text().to_string_lossy();
        let words =
            format!("{text} (set {:#x}: {held} messages, {held_bytes} bytes, for {} ms)", id.0, age / 1_000_000);
        self.explain(Error::Fault(fault), words);
        self.end_set(id, Cause::Fault(fault));
    }
}
