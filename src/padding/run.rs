//! What runs for one machine of a padder.

use crate::base::time::NEVER;
use crate::base::Nanos;

/// The timers of one machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub action_at: Nanos,
    pub timer_at: Nanos,
    /// The action that is due at `action_at`: padding if `pads`, else a block of this duration. (Not an `Action`,
    /// which is larger.)
    pub duration: Nanos,
    pub pads: bool,
    pub bypass: bool,
    pub replace: bool,
    /// Number of padding instructions that the host has not answered.
    pub asked: u16,
    /// Number of things that the machine has done by itself at the time `since`.
    pub burst: u16,
    /// The machine has done too much: it rests until `since`.
    pub resting: bool,
    pub since: Nanos,
}

impl Run {
    /// Nothing is due.
    pub const IDLE: Run = Run {
        action_at: NEVER,
        timer_at: NEVER,
        duration: 0,
        pads: true,
        bypass: false,
        replace: false,
        asked: 0,
        burst: 0,
        resting: false,
        since: 0,
    };

    /// Puts the time of a timer off to the end of the machine's rest.
    #[inline]
    pub fn after_rest(&self, at: Nanos) -> Nanos {
        if self.resting {
            at.max(self.since)
        } else {
            at
        }
    }

    /// True when the action timers of both end at the same time, with the same action.
    #[inline]
    pub fn has_action_of(&self, other: &Run) -> bool {
        let flags = |run: &Run| [run.pads, run.bypass, run.replace];
        self.action_at == other.action_at
            && (self.action_at == NEVER || (flags(self) == flags(other) && self.duration == other.duration))
    }

    /// Begins a new burst when a cell that is not padding has caused an action, unless the machine rests.
    #[inline]
    pub fn restart_burst(&mut self, is_cell: bool) {
        if is_cell && !self.resting {
            self.burst = 0;
        }
    }

    pub fn rest_until(&mut self, until: Nanos) {
        (self.resting, self.since) = (true, until);
        for at in [&mut self.action_at, &mut self.timer_at] {
            if *at != NEVER {
                *at = until.max(*at);
            }
        }
    }
}
