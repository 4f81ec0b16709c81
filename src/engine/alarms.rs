//! The one deadline: what handshakes, padding and streams wait for, side by side, as handshakes go first whatever the
//! time.

use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos, Timers};

/// Three kinds of timers: two of a circuit, by the circuit's place, and one of a stream.
#[derive(Debug)]
pub(super) struct Alarms {
    handshakes: Timers,
    padding: Timers,
    streams: Timers,
    /// Of legs elsewhere, by their place: they wait for LINKED_ACK.
    elsewhere: Timers,
    /// Of channels whose room is kept for some, and wanted by others.
    channels: Timers,
    /// Of sets that hold something, by their place: in time that counts.
    ages: Timers,
    /// When these are to be looked at next, [`NEVER`] while nothing is held.
    beat: Nanos,
    /// Other engines have news left: now is when they are due.
    busy: bool,
    /// The last call has left some of its work: now is when it is due.
    left: bool,
    /// The earliest of all but padding, which changes with each cell.
    others: Nanos,
    /// The earliest of all.
    next: Nanos,
    /// A clock that gets here is looked at: see [`limits::CLOCK_LEAP`].
    horizon: Nanos,
    /// The short ways are closed.
    closed: bool,
    /// Not 0 when [`Alarms::next`] is not what the host is to be told: the clock is another, or there is a beat.
    differs: usize,
    /// Where the short ways end: every feed compares with it.
    stop: Nanos,
}

impl Default for Alarms {
    fn default() -> Self {
        Alarms {
            handshakes: Timers::default(),
            padding: Timers::default(),
            streams: Timers::default(),
            elsewhere: Timers::default(),
            channels: Timers::default(),
            ages: Timers::default(),
            beat: NEVER,
            busy: false,
            left: false,
            others: NEVER,
            next: NEVER,
            horizon: 0,
            closed: false,
            differs: 0,
            stop: 0,
        }
    }
}

impl Alarms {
    /// Never later than the earliest of them.
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Closes the short ways, or opens them again.
    pub fn close(&mut self, closed: bool) {
        self.closed = closed;
        self.set_beat(self.beat);
    }

    /// 0 when [`Alarms::next`] may be told as it is.
    #[inline]
    pub fn differs(&self) -> usize {
        self.differs
    }

    /// The earliest of them, or the horizon; 0 while the short ways are closed.
    #[inline]
    pub fn stop(&self) -> Nanos {
        self.stop
    }

    /// When the clock is to be looked at.
    pub fn horizon(&self) -> Nanos {
        self.horizon
    }

    /// The clock was looked at.
    pub fn set_horizon(&mut self, now: Nanos) {
        self.horizon = now.saturating_add(limits::CLOCK_LEAP);
        self.refresh();
    }

    pub fn len(&self) -> usize {
        self.handshakes.len() + self.padding.len() + self.streams.len() + self.elsewhere.len() + self.channels.len()
    }

    pub fn arm_handshake(&mut self, circuit: Id, deadline: Nanos) {
        self.handshakes.arm(circuit.index(), deadline);
        self.refresh_others();
    }

    pub fn cancel_handshake(&mut self, circuit: Id) {
        self.handshakes.cancel(circuit.index());
        self.refresh_others();
    }

    /// Takes the earliest handshake that is due.
    pub fn due_handshake(&mut self, now: Nanos, steps: &mut u32) -> Option<u32> {
        let due = take_due(&mut self.handshakes, now, steps);
        self.refresh_others();
        due.map(|(circuit, _)| circuit)
    }

    /// Wakes a circuit's padding at `deadline`, or not at all.
    #[inline]
    pub fn arm_padding(&mut self, circuit: Id, deadline: Nanos) {
        self.padding.arm(circuit.index(), deadline);
        self.refresh();
    }

    /// Takes the earliest padding that is due.
    pub fn due_padding(&mut self, now: Nanos, steps: &mut u32) -> Option<u32> {
        let due = take_due(&mut self.padding, now, steps);
        self.refresh();
        due.map(|(circuit, _)| circuit)
    }

    /// Wakes a stream at `deadline`.
    pub fn arm_stream(&mut self, stream: Id, deadline: Nanos) {
        self.streams.arm(stream.index(), deadline);
        self.refresh_others();
    }

    pub fn cancel_stream(&mut self, stream: Id) {
        self.streams.cancel(stream.index());
        self.refresh_others();
    }

    /// Takes the earliest stream that is due.
    pub fn due_stream(&mut self, now: Nanos, steps: &mut u32) -> Option<u32> {
        let due = take_due(&mut self.streams, now, steps);
        self.refresh_others();
        due.map(|(stream, _)| stream)
    }

    pub fn arm_elsewhere(&mut self, place: u32, deadline: Nanos) {
        self.elsewhere.arm(place, deadline);
        self.refresh_others();
    }

    pub fn cancel_elsewhere(&mut self, place: u32) {
        self.elsewhere.cancel(place);
        self.refresh_others();
    }

    /// Takes the earliest leg elsewhere that is due.
    pub fn due_elsewhere(&mut self, now: Nanos, steps: &mut u32) -> Option<u32> {
        let due = take_due(&mut self.elsewhere, now, steps);
        self.refresh_others();
        due.map(|(place, _)| place)
    }

    /// Looks at a channel at `deadline`, or not at all.
    pub fn arm_channel(&mut self, channel: u32, deadline: Nanos) {
        self.channels.arm(channel, deadline);
        self.refresh_others();
    }

    /// When a channel is to be looked at.
    pub fn next_channel(&self) -> Nanos {
        self.channels.next()
    }

    /// Takes the earliest channel that is due.
    pub fn due_channel(&mut self, now: Nanos, steps: &mut u32) -> Option<u32> {
        let due = take_due(&mut self.channels, now, steps);
        self.refresh_others();
        due.map(|(channel, _)| channel)
    }

    /// Looks at a set when so much time has come that counts.
    #[inline]
    pub fn arm_age(&mut self, set: u32, counted: Nanos) {
        self.ages.arm(set, counted);
    }

    pub fn cancel_age(&mut self, set: u32) {
        self.ages.cancel(set);
    }

    /// Takes the earliest set that is to be looked at.
    pub fn due_age(&mut self, counted: Nanos, steps: &mut u32) -> Option<u32> {
        take_due(&mut self.ages, counted, steps).map(|(set, _)| set)
    }

    /// When a set is to be looked at, in time that counts.
    pub fn next_age(&self) -> Nanos {
        self.ages.next()
    }

    /// When to look at the time that counts.
    #[inline]
    pub fn beat(&self) -> Nanos {
        self.beat
    }

    /// Not later than this.
    #[inline]
    pub fn beat_by(&mut self, when: Nanos) {
        if when < self.beat {
            self.set_beat(when);
        }
    }

    pub fn set_beat(&mut self, when: Nanos) {
        self.beat = when;
        self.differs = usize::from(self.closed || when != NEVER);
        self.refresh_others();
    }

    /// Nothing is held.
    pub fn forget_ages(&mut self) {
        self.ages = Timers::default();
        self.set_beat(NEVER);
    }

    /// The earliest of all others.
    pub fn next_without_beat(&self) -> Nanos {
        self.others_without_beat().min(self.padding.next())
    }

    /// The earliest timer.
    pub fn earliest(&self) -> Nanos {
        self.plain_timers().min(self.padding.next())
    }

    /// Work is left over, or none any more.
    pub fn set_left(&mut self, left: bool) {
        self.left = left;
        self.refresh_others();
    }

    /// There is news left over, or none any more.
    pub fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
        self.refresh_others();
    }

    /// Gives unused memory back.
    pub fn trim(&mut self) -> usize {
        let circuits = self.handshakes.trim() + self.padding.trim() + self.elsewhere.trim();
        circuits + self.streams.trim() + self.channels.trim() + self.ages.trim()
    }

    fn refresh_others(&mut self) {
        self.others = self.others_without_beat().min(self.beat);
        self.refresh();
    }

    fn others_without_beat(&self) -> Nanos {
        if self.busy || self.left {
            0
        } else {
            self.plain_timers()
        }
    }

    fn plain_timers(&self) -> Nanos {
        let circuits = self.handshakes.next().min(self.elsewhere.next());
        circuits.min(self.streams.next()).min(self.channels.next())
    }

    #[inline]
    fn refresh(&mut self) {
        self.next = self.others.min(self.padding.next());
        self.stop = if self.closed { 0 } else { self.next.min(self.horizon) };
    }
}

/// Takes the earliest timer that is due, if there are steps left for it and what it sets off.
fn take_due(timers: &mut Timers, now: Nanos, steps: &mut u32) -> Option<(u32, Nanos)> {
    if *steps == 0 {
        return None;
    }
    let due = timers.pop_due(now, steps);
    if due.is_some() {
        *steps = steps.saturating_sub(limits::TIMER_RUN_STEPS);
    }
    due
}
