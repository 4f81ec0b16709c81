//! The timers of an engine, and the one deadline made of them. Kinds of timers are kept apart, because handshakes are
//! handled first whatever the time.

use crate::base::time::NEVER;
use crate::base::{limits, Id, Nanos, Timers};

/// All timers of an engine. Each is known by the place of its circuit, stream, set or leg in an arena.
#[derive(Debug)]
pub(super) struct Alarms {
    handshakes: Timers,
    padding: Timers,
    streams: Timers,
    /// Timers of legs elsewhere, which wait for LINKED_ACK.
    elsewhere: Timers,
    /// Of channels whose room is kept for some, and wanted by others.
    channels: Timers,
    /// Of sets that choose their leg again although nothing is reported.
    choices: Timers,
    /// Timers of sets that hold something, in counted time (see `age`).
    ages: Timers,
    /// When the ages are looked at next, [`NEVER`] while nothing is held.
    beat: Nanos,
    /// News of other engines is left over, and due at once.
    busy: bool,
    /// Work of the last call is left over, and due at once.
    left: bool,
    /// The earliest timer but those of padding, which change with each cell.
    others: Nanos,
    /// The earliest timer, or 0 when something is due at once.
    next: Nanos,
    /// From this time on the clock is looked at: see [`limits::CLOCK_LEAP`].
    horizon: Nanos,
    /// The host has set its clock, so that a time it names is not taken as it is.
    moved: bool,
    /// Somebody watches what happens with each message.
    watched: bool,
    /// Not 0 when the host is told another time than [`Alarms::next`]: it has set its clock, or there is a beat.
    differs: usize,
    /// The quick ways are open before this time. Every feed compares with it, or with the next.
    stop: Nanos,
    stop_unwatched: Nanos,
}

impl Default for Alarms {
    fn default() -> Self {
        Alarms {
            handshakes: Timers::default(),
            padding: Timers::default(),
            streams: Timers::default(),
            elsewhere: Timers::default(),
            channels: Timers::default(),
            choices: Timers::default(),
            ages: Timers::default(),
            beat: NEVER,
            busy: false,
            left: false,
            others: NEVER,
            next: NEVER,
            horizon: 0,
            moved: false,
            watched: false,
            differs: 0,
            stop: 0,
            stop_unwatched: 0,
        }
    }
}

impl Alarms {
    /// The deadline: never later than the earliest timer.
    #[inline]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Says whether the host has set its clock. It closes the quick ways.
    pub fn set_moved(&mut self, moved: bool) {
        self.moved = moved;
        self.set_beat(self.beat);
    }

    /// Says whether somebody watches what happens with each message. It closes the quick ways that tell nobody.
    pub fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
        self.refresh();
    }

    /// True when somebody watches what happens with each message.
    #[inline]
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// 0 when the host is told [`Alarms::next`] as it is.
    #[inline]
    pub fn differs(&self) -> usize {
        self.differs
    }

    /// The earliest timer or the horizon; 0 while the quick ways are closed.
    #[inline]
    pub fn stop(&self) -> Nanos {
        self.stop
    }

    /// The same, and 0 while somebody watches.
    #[inline]
    pub fn stop_unwatched(&self) -> Nanos {
        self.stop_unwatched
    }

    /// When the clock has to be looked at.
    pub fn horizon(&self) -> Nanos {
        self.horizon
    }

    /// Moves the horizon, after a look at the clock.
    pub fn set_horizon(&mut self, now: Nanos) {
        self.horizon = now.saturating_add(limits::CLOCK_LEAP);
        self.refresh();
    }

    pub fn len(&self) -> usize {
        self.handshakes.len()
            + self.padding.len()
            + self.streams.len()
            + self.elsewhere.len()
            + self.channels.len()
            + self.choices.len()
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
        self.take(|alarms| &mut alarms.handshakes, now, steps)
    }

    /// Makes a set choose its leg again at `deadline`. What was to come earlier stays: who asks again and again would
    /// put it off.
    pub fn arm_choice(&mut self, set: Id, deadline: Nanos) {
        if deadline < self.choices.deadline(set.index()) {
            self.choices.arm(set.index(), deadline);
            self.refresh_others();
        }
    }

    /// A set goes.
    pub fn cancel_choice(&mut self, set: u32) {
        self.choices.cancel(set);
        self.refresh_others();
    }

    /// Takes the earliest choice that is due.
    pub fn due_choice(&mut self, now: Nanos, steps: &mut u32) -> Option<u32> {
        self.take(|alarms| &mut alarms.choices, now, steps)
    }

    /// Wakes a circuit's padding at `deadline`, or not at all.
    #[inline]
    pub fn arm_padding(&mut self, circuit: Id, deadline: Nanos) {
        self.padding.arm(circuit.index(), deadline);
        self.refresh();
    }

    /// The same after [`Alarms::due_padding`].
    #[inline]
    pub fn arm_padding_anew(&mut self, circuit: Id, deadline: Nanos) {
        self.padding.arm(circuit.index(), deadline);
    }

    /// Takes the earliest padding that is due. The deadline is right again after [`Alarms::set_left`], as many are
    /// taken one after the other, and most are armed anew.
    pub fn due_padding(&mut self, now: Nanos, steps: &mut u32) -> Option<u32> {
        take_due(&mut self.padding, now, steps).map(|(circuit, _)| circuit)
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
        self.take(|alarms| &mut alarms.streams, now, steps)
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
        self.take(|alarms| &mut alarms.elsewhere, now, steps)
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
        self.take(|alarms| &mut alarms.channels, now, steps)
    }

    /// Has the age of a set checked at this counted time.
    #[inline]
    pub fn arm_age(&mut self, set: u32, counted: Nanos) {
        self.ages.arm(set, counted);
    }

    pub fn cancel_age(&mut self, set: u32) {
        self.ages.cancel(set);
    }

    /// Takes the earliest set whose age has to be checked.
    pub fn due_age(&mut self, counted: Nanos, steps: &mut u32) -> Option<u32> {
        take_due(&mut self.ages, counted, steps).map(|(set, _)| set)
    }

    /// When the next set has to be checked, in counted time.
    pub fn next_age(&self) -> Nanos {
        self.ages.next()
    }

    /// When the ages are looked at next.
    #[inline]
    pub fn beat(&self) -> Nanos {
        self.beat
    }

    /// Moves the beat to `when` if that is earlier.
    #[inline]
    pub fn beat_by(&mut self, when: Nanos) {
        if when < self.beat {
            self.set_beat(when);
        }
    }

    pub fn set_beat(&mut self, when: Nanos) {
        self.beat = when;
        self.differs = usize::from(self.moved || when != NEVER);
        self.refresh_others();
    }

    /// Forgets all ages, as nothing is held.
    pub fn forget_ages(&mut self) {
        self.ages = Timers::default();
        self.set_beat(NEVER);
    }

    /// The deadline without the beat.
    pub fn next_without_beat(&self) -> Nanos {
        self.others_without_beat().min(self.padding.next())
    }

    /// The earliest timer, whatever else is due.
    pub fn earliest(&self) -> Nanos {
        self.plain_timers().min(self.padding.next())
    }

    /// Says whether work is left over.
    pub fn set_left(&mut self, left: bool) {
        self.left = left;
        self.refresh_others();
    }

    /// Says whether news of other engines is left over.
    pub fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
        self.refresh_others();
    }

    /// Gives unused memory back.
    pub fn trim(&mut self) -> usize {
        let circuits = self.handshakes.trim() + self.padding.trim() + self.elsewhere.trim();
        circuits + self.streams.trim() + self.channels.trim() + self.ages.trim() + self.choices.trim()
    }

    /// Takes the earliest of some timers that is due. Most often none is, and nothing changes.
    #[inline(always)]
    fn take(&mut self, of: impl Fn(&mut Alarms) -> &mut Timers, now: Nanos, steps: &mut u32) -> Option<u32> {
        if of(self).next() > now {
            return None;
        }
        let due = take_due(of(self), now, steps);
        self.refresh_others();
        due.map(|(index, _)| index)
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
        circuits.min(self.streams.next()).min(self.channels.next()).min(self.choices.next())
    }

    #[inline]
    fn refresh(&mut self) {
        self.next = self.others.min(self.padding.next());
        self.stop = if self.moved { 0 } else { self.next.min(self.horizon) };
        self.stop_unwatched = if self.watched { 0 } else { self.stop };
    }
}

/// Takes the earliest timer that is due, if steps are left for it and for what follows.
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
