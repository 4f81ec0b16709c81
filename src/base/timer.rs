//! Deadlines of one engine, in the order in which they fall due.

use super::time::{Nanos, NEVER};
use std::collections::BTreeSet;

/// A set of (deadline, key), where equal deadlines fall due in order of key, so that a run can be repeated.
///
/// A handshake arms one timer for each leg and cancels it a round trip later; a tree is fast enough for that.
#[derive(Debug)]
pub struct Timers {
    armed: BTreeSet<(Nanos, u64)>,
    /// The earliest deadline, kept apart because every feed compares with it.
    next: Nanos,
}

impl Default for Timers {
    fn default() -> Self {
        Timers { armed: BTreeSet::new(), next: NEVER }
    }
}

impl Timers {
    /// The earliest deadline, or [`NEVER`].
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Timers armed.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// True when nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    /// Arms a timer. [`NEVER`] arms nothing.
    pub fn arm(&mut self, deadline: Nanos, key: u64) {
        if deadline != NEVER {
            self.armed.insert((deadline, key));
            self.refresh();
        }
    }

    /// Cancels a timer that was armed with these two; one that was not is no error.
    pub fn cancel(&mut self, deadline: Nanos, key: u64) {
        self.armed.remove(&(deadline, key));
        self.refresh();
    }

    /// Takes the earliest timer that is due at `now`.
    pub fn pop_due(&mut self, now: Nanos) -> Option<u64> {
        let &(deadline, key) = self.armed.first()?;
        if deadline > now {
            return None;
        }
        self.cancel(deadline, key);
        Some(key)
    }

    fn refresh(&mut self) {
        self.next = self.armed.first().map_or(NEVER, |&(deadline, _)| deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_in_order_of_time_then_key() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), NEVER);
        timers.arm(20, 1);
        timers.arm(10, 9);
        timers.arm(10, 2);
        timers.arm(NEVER, 5);
        assert_eq!((timers.next(), timers.len()), (10, 3));
        assert_eq!(timers.pop_due(9), None);
        timers.cancel(10, 77);
        assert_eq!(timers.pop_due(10), Some(2));
        assert_eq!(timers.pop_due(25), Some(9));
        assert_eq!(timers.pop_due(25), Some(1), "late ticks catch up in order");
        assert_eq!((timers.next(), timers.is_empty()), (NEVER, true));
    }
}
