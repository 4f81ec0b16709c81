//! The one deadline: what handshakes and padding wait for, side by side, as handshakes go first whatever the time.

use crate::base::time::NEVER;
use crate::base::{Id, Nanos, Timers};

/// Two kinds of timers, one of each for a circuit, by the circuit's place.
#[derive(Debug)]
pub(super) struct Alarms {
    handshakes: Timers,
    padding: Timers,
    /// The earlier of the two, kept apart because every feed compares with it.
    next: Nanos,
}

impl Default for Alarms {
    fn default() -> Self {
        Alarms { handshakes: Timers::default(), padding: Timers::default(), next: NEVER }
    }
}

impl Alarms {
    /// Never later than the earliest of them.
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    pub fn len(&self) -> usize {
        self.handshakes.len() + self.padding.len()
    }

    pub fn arm_handshake(&mut self, circuit: Id, deadline: Nanos) {
        self.handshakes.arm(circuit.index(), deadline);
        self.refresh();
    }

    pub fn cancel_handshake(&mut self, circuit: Id) {
        self.handshakes.cancel(circuit.index());
        self.refresh();
    }

    /// Takes the earliest handshake that is due.
    pub fn due_handshake(&mut self, now: Nanos) -> Option<u32> {
        let due = self.handshakes.pop_due(now);
        self.refresh();
        due.map(|(circuit, _)| circuit)
    }

    /// Wakes a circuit's padding at `deadline`, or not at all.
    #[inline]
    pub fn arm_padding(&mut self, circuit: Id, deadline: Nanos) {
        self.padding.arm(circuit.index(), deadline);
        self.refresh();
    }

    /// Takes the earliest padding that is due.
    pub fn due_padding(&mut self, now: Nanos) -> Option<u32> {
        let due = self.padding.pop_due(now);
        self.refresh();
        due.map(|(circuit, _)| circuit)
    }

    /// Gives unused memory back.
    pub fn trim(&mut self) -> usize {
        self.handshakes.trim() + self.padding.trim()
    }

    #[inline]
    fn refresh(&mut self) {
        self.next = self.handshakes.next().min(self.padding.next());
    }
}
