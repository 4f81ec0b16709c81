//! Totals of an engine that outlive its sets and circuits. What happens for each message is not counted here: the
//! numbers of the sets tell it, and are added up when a host asks, and when a set goes. Totals of what happens rarely
//! are a view of the events: `Counters::hear`. Where an event is made only if somebody wants it, what it tells is
//! counted apart.

pub mod table;

pub use table::{Family, FamilyKind, Row, RowLabel, Totals, FAMILIES};

use crate::base::Nanos;
use crate::conflux::set::{HeldRun, SetSums};
use crate::conflux::Fault;
use crate::engine::{Circuit, Engine};
use crate::event::Event;

/// Places for statuses in a total by status: 1 to 39 for faults of peers, 40 and more for limits.
pub const STATUSES: usize = 64;
/// Classes of the depth of a run: the last begins above 2^18 messages.
pub const DEPTHS: usize = 20;
/// Classes of the age of a run: the last begins above 2^26 microseconds, which is 67 seconds.
pub const AGES: usize = 28;

/// The place of a status in a total by status: 0 for what the host asked for. None for statuses of other classes.
pub const fn place_of(status: i32) -> Option<usize> {
    match status {
        0 => Some(0),
        -238..=-200 => Some((1 - 200 - status) as usize),
        -323..=-300 => Some((40 - 300 - status) as usize),
        _ => None,
    }
}

/// What was counted where it happened, and the sums of sets that are gone.
#[derive(Debug)]
pub(super) struct Counters {
    pub totals: Totals,
    /// The leftovers of sets whose turn came after the set had ended.
    pub released_late: u64,
}

impl Counters {
    pub fn new() -> Counters {
        Counters { totals: Totals::ZERO, released_late: 0 }
    }

    /// Counts an event, if its kind has a total.
    #[inline(always)]
    pub fn hear(&mut self, event: &Event) {
        let totals = &mut self.totals;
        match *event {
            Event::SetOpened { by_peer: 0, .. } => totals.sets_opened_by_host += 1,
            Event::SetOpened { .. } => totals.sets_opened_by_peer += 1,
            Event::SetUsable { .. } => totals.sets_usable += 1,
            Event::SetEnded { cause, .. } => count(&mut totals.sets_ended, cause),
            Event::LegLinked { .. } => totals.legs_linked += 1,
            Event::LegLost { cause, .. } => count(&mut totals.legs_lost, cause),
            Event::Fault { status, .. } => count(&mut totals.faults, status),
            Event::XoffReceived { .. } => totals.xoffs_received += 1,
            Event::XoffSent { .. } => totals.xoffs_sent += 1,
            Event::XonReceived { .. } => totals.xons_received += 1,
            Event::XonSent { .. } => totals.xons_sent += 1,
            _ => {}
        }
    }

    /// A run of held messages is over.
    pub fn held_run(&mut self, run: HeldRun) {
        let totals = &mut self.totals;
        totals.reorder_depth[class(run.depth, DEPTHS)] += 1;
        totals.reorder_depth_sum += run.depth;
        totals.reorder_age[class(run.age.div_ceil(1000), AGES)] += 1;
        totals.reorder_age_sum_ns += run.age;
    }
}

impl Totals {
    /// Adds what a set has done.
    fn add(&mut self, sums: &SetSums) {
        self.messages_sent += sums.sent;
        self.messages_in_order += sums.in_order;
        self.messages_held += sums.held;
        self.messages_released += sums.released;
        self.switches_sent += sums.switches_sent;
        self.switches_received += sums.switches_received;
        self.refusals += sums.refusals;
        self.blocked_ns += sums.waited;
    }
}

fn count(totals: &mut table::ByStatus, status: i32) {
    if let Some(place) = place_of(status).and_then(|place| totals.get_mut(place)) {
        *place += 1;
    }
}

/// The class of a number: the first `n` with number <= 2^n, at most the last.
fn class(number: u64, classes: usize) -> usize {
    (64 - number.saturating_sub(1).leading_zeros() as usize).min(classes - 1)
}

impl Engine {
    /// The engine's number.
    pub fn number(&self) -> u32 {
        self.settings.tag
    }

    /// Totals since the engine was made. Looks at each set and circuit.
    pub fn totals(&self) -> Totals {
        let mut totals = self.counters.totals.clone();
        totals.messages_released += self.counters.released_late;
        let now = self.time.clock.latest();
        for set in self.sets.all() {
            totals.add(&set.sums(now));
        }
        self.add_moment(&mut totals);
        let (stats, faults) = (self.stats(), totals.faults);
        totals.padding_sent = stats.spent.padding;
        totals.others_sent = stats.spent.other;
        totals.padding_refused = stats.spent.refused;
        totals.padding_replaced = self.padding.purse.replaced();
        totals.padding_blocks = self.padding.purse.blocks();
        totals.padding_received = stats.padding_received;
        let reclaims = |fault: Fault| place_of(fault.number()).map_or(0, |place| faults[place]);
        totals.reclaims_set = reclaims(Fault::SetMemory);
        totals.reclaims_engine = reclaims(Fault::EngineMemory);
        totals.reclaims_hub = reclaims(Fault::ProcessMemory);
        totals.reclaims_age = reclaims(Fault::HeldTooLong);
        totals.unexplained = stats.unexplained;
        totals.clock_steps_back = stats.time_backwards;
        totals.clock_steps_ahead = stats.time_leaps;
        totals.log_lines_left_out = stats.log_dropped;
        totals.events_overwritten = self.events.overwritten();
        totals
    }

    /// Fills in what is so at the moment.
    fn add_moment(&self, totals: &mut Totals) {
        (totals.circuits, totals.sets) = (self.circuits.len().into(), self.sets.len().into());
        totals.streams = self.streams.len().into();
        for set in self.sets.all() {
            totals.order_bytes += set.held_bytes();
            totals.sending_bytes += set.outbox_bytes();
            totals.stream_bytes += set.streams.as_ref().map_or(0, |streams| streams.ended_bytes());
        }
        totals.sending_bytes += self.out.queue.released_bytes();
        for Circuit { padding, reactor, .. } in self.circuits.all() {
            if let Some(padding) = padding {
                totals.sending_bytes += padding.held_bytes;
            }
            if let Some(reactor) = reactor {
                totals.edge_bytes += reactor.held_bytes();
                totals.stream_bytes += reactor.streams.as_ref().map_or(0, |streams| streams.ended_bytes());
            }
        }
        totals.crossing_bytes = self.held.store.budget().crossing();
        totals.leaving_bytes = self.held.store.budget().leaving();
    }

    /// Adds up what a set has done that is forgotten now.
    pub(super) fn keep_sums(&mut self, set: &mut crate::reactor::Controller, now: Nanos) {
        if let Some(run) = set.end_run(now) {
            self.counters.held_run(run);
        }
        self.counters.totals.add(&set.sums(now));
    }

    /// Ends a run of held messages, when a set holds none any more.
    #[inline]
    pub(super) fn note_none_held(&mut self, set: crate::base::Id) {
        let now = self.time.clock.latest();
        let state = self.sets.get_mut(set).filter(|state| state.held() == 0);
        if let Some(run) = state.and_then(|state| state.end_run(now)) {
            self.counters.held_run(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conflux::Cause;

    #[test]
    fn every_cause_has_a_place_of_its_own() {
        let faults = Fault::ALL.iter().map(|&fault| Cause::Fault(fault));
        let causes = faults.chain([Cause::Asked, Cause::LegLost, Cause::Finished]);
        let mut places: Vec<usize> = causes.map(|cause| place_of(cause.number()).unwrap()).collect();
        places.sort_unstable();
        assert!(places.windows(2).all(|two| two[0] < two[1]) && places.iter().all(|&place| place < STATUSES));
        assert_eq!([-199, -239, -299, -324, 1, i32::MIN].map(place_of), [None; 6]);
        assert_eq!([0, -200, -238, -300, -323].map(place_of), [0, 1, 39, 40, 63].map(Some));
    }

    #[test]
    fn a_class_reaches_up_to_a_power_of_two() {
        for (number, expected) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (u64::MAX, 19)] {
            assert_eq!(class(number, DEPTHS), expected, "{number}");
        }
        assert_eq!([1 << 18, (1 << 18) + 1].map(|number| class(number, DEPTHS)), [18, 19]);
    }

    #[test]
    fn the_table_is_in_order() {
        let mut fields = Vec::new();
        for family in FAMILIES {
            let is_histogram = family.rows[0].label == RowLabel::Classes;
            assert_eq!(is_histogram, family.kind == FamilyKind::Histogram, "{}", family.name);
            assert!(!family.help.is_empty() && family.help.ends_with('.'), "{}", family.name);
            fields.extend(family.rows.iter().map(|row| row.field));
        }
        let mut seen = Vec::new();
        Totals::ZERO.each(|_, row, numbers| seen.push((row.field, numbers.len())));
        assert_eq!(fields, seen.iter().map(|&(field, _)| field).collect::<Vec<_>>());
        assert!(seen.contains(&("faults", STATUSES)) && seen.contains(&("reorder_age", AGES)));
    }
}
