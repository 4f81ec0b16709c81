//! OnTime: a leg carries a cell only if the cell arrives no later than the best leg alone would have brought it.
//!
//! For each leg the time is foreseen at which the next cell would arrive on it. The leg where that is earliest is the
//! best leg, also while its window is full. Cells that another leg has carried meanwhile are time that the best leg has
//! saved: so much later may a cell arrive on another leg, and all is still there as early as on the best leg alone.

use super::{Memo, Path};
use crate::base::time::NEVER;
use crate::base::{limits, Nanos};
use crate::conflux::meter::{Meter, HELD_BACK, HELD_BACK_ALL};
// The legs as they are seen, without an allocation.
use smallvec::SmallVec;

/// What a set remembers from choice to choice.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Course {
    /// When it began to send after a rest.
    pub since: Nanos,
    /// Cells that legs other than the best have carried since then.
    pub lent: u64,
    /// The sending leg is not the best leg.
    pub lends: bool,
    /// Number of the last message before the last choice.
    pub chosen_at: u64,
    /// Number of the last message before the sending leg became that.
    pub began_at: u64,
    /// Number of the last message for which the choice is meant.
    pub until: u64,
    /// What the algorithms from papers remember.
    pub memo: Memo,
}

/// A leg for the next messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chosen {
    /// Its place among the legs.
    pub leg: usize,
    /// Messages that may follow before the choice is made again.
    pub run: u64,
    /// It is not the best leg.
    pub lends: bool,
}

/// Messages in a row on one of two legs that are about as fast: one SWITCH for each run.
const RUN: u64 = 64;
/// Cells for one SWITCH there and one back, where the rates of legs differ by [`DIFFERS`] and more.
const RUN_BOTH: u64 = 500;
const DIFFERS: u64 = 4;
/// Of legs, the best is the one on which so many cells more would be there first: the choice is made for a run, and on
/// a slow leg a run takes long.
const AHEAD: u64 = 62;
/// Cells on a leg that was never measured: one SENDME measures it. Only the leg that answers first gets more.
const PROBE: u64 = 31;
/// Cells in the queue of the best leg at most. Vegas keeps about so many there; in slow start it would be more.
const QUEUE_MOST: u64 = 248;
/// How much later than on the best leg alone all may be there: this part of the time since the set began to send.
const LATE_SHARE: u64 = 64;
/// A leg that was never measured is taken to be so many times slower than the best.
const UNKNOWN_SLOWER: u64 = 8;
/// It is tried at once if it would be there within so many round trips of the best, and otherwise within this part of
/// the time that the set has sent.
const PROBE_TRIPS: u64 = 4;
const PROBE_SHARE: u64 = 6;
/// Time for a cell before anything was measured, in nanoseconds.
const PACE_GUESS: Nanos = 10_000;
/// The choice is made again after this time at the earliest, in nanoseconds.
const LOOK_MIN: Nanos = 1_000_000;

/// A leg as OnTime sees it.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    path: &'a Path,
    meter: &'a Meter,
    leg: u32,
    ready: bool,
    /// It was never measured.
    fresh: bool,
    pace: Nanos,
    /// Cells that it may get.
    room: u64,
    /// The way to the other end.
    half: Nanos,
    /// When the next cell would arrive.
    arrives: Nanos,
    /// When the leg may take it; `now` if it may now.
    opens: Nanos,
}

impl Seen<'_> {
    #[inline]
    fn of<'a>(now: Nanos, leg: usize, path: &'a Path, meter: &'a Meter, sendme_inc: u64) -> Seen<'a> {
        let half = meter.half();
        let (ready, fresh) = (path.ready(), meter.pace == 0);
        let owes = !fresh && path.inflight >= sendme_inc;
        let (mut pace, mut opens) = (meter.pace, now);
        // Nothing that comes late says anything of a leg that owes no acknowledgement.
        if owes || !ready {
            let acknowledges = sendme_inc.saturating_mul(pace);
            let waited = meter.waited(now);
            let late = waited.saturating_sub(acknowledges);
            // The leg is at least so slow.
            if owes && late > acknowledges.saturating_add(half) {
                pace = waited / sendme_inc.max(1);
            }
            opens = match (path.blocked, ready) {
                (_, true) => now,
                (true, _) => now.saturating_add(LOOK_MIN),
                _ if late > 0 => now.saturating_add(late.max(LOOK_MIN)),
                _ => meter.anchor.saturating_add(acknowledges).saturating_add(half).max(now),
            };
        }
        let arrives = meter.anchor.saturating_add(path.inflight.saturating_add(1).saturating_mul(pace));
        let arrives = arrives.max(opens.saturating_add(half));
        let room = path.cwnd.saturating_sub(path.inflight);
        Seen { path, meter, leg: leg as u32, ready, fresh, pace, room, half, arrives, opens }
    }

    /// True when there is room for so many cells, or for half of the window.
    fn has_room(&self, cells: u64) -> bool {
        self.room >= cells.min(self.path.cwnd / 2)
    }

    fn is(&self, leg: Option<usize>) -> bool {
        leg == Some(self.leg as usize)
    }

    /// When the bottleneck of the leg has nothing left, if nothing is sent.
    fn queue(&self, now: Nanos) -> Nanos {
        self.arrives.saturating_sub(now.saturating_add(self.half))
    }

    /// True when the first acknowledgement would be here, if a cell took so long.
    fn is_overdue(&self, now: Nanos, pace: Nanos) -> bool {
        let due = PROBE.saturating_mul(pace).saturating_add(self.half);
        self.fresh && self.path.inflight >= PROBE && self.meter.waited(now) > due
    }

    /// The leg was never measured: it is taken to need so long for a cell, or longer if its first acknowledgement is
    /// late.
    fn guess(&mut self, now: Nanos, pace: Nanos) {
        self.pace = if self.is_overdue(now, pace) { self.meter.waited(now) / PROBE } else { pace };
        self.arrives = self.arrives.saturating_add(self.path.inflight.saturating_mul(self.pace));
    }

    /// The leg gets no more than so many cells in flight. What would come of more is a guess, and not worth a wait.
    fn hold(&mut self, cells: u64) {
        self.room = self.room.min(cells.saturating_sub(self.path.inflight));
        if self.room == 0 {
            self.ready = false;
            self.arrives = NEVER;
        }
    }

    /// When the last of so many cells more would arrive.
    fn run_arrives(&self, cells: u64) -> Nanos {
        self.arrives.saturating_add(cells.saturating_mul(self.pace))
    }
}

/// The leg for the next message, or when to look again.
pub fn choose<'a>(
    now: Nanos,
    flow: &Course,
    sending: Option<usize>,
    sent: u64,
    legs: impl Iterator<Item = (usize, &'a Path, &'a Meter, u64)> + Clone,
) -> Result<Chosen, Nanos> {
    let mut seen: SmallVec<[Seen; limits::LEGS_MAX]> = SmallVec::new();
    let mut any_fresh = false;
    for (leg, path, meter, sendme_inc) in legs {
        // A full channel soon has room again: if all that was sent has arrived, it lasts. Without a window there is no
        // report yet, and nothing to wait for.
        if path.linked && !path.padded && path.cwnd > 0 && !(path.blocked && meter.is_idle(now, path.inflight)) {
            let one = Seen::of(now, leg, path, meter, sendme_inc);
            any_fresh |= one.fresh;
            seen.push(one);
        }
    }
    if any_fresh {
        guess_fresh(now, &mut seen);
    }
    choose_seen(now, flow, sending, sent, &seen)
}

/// What is not known of a leg is taken from the others.
#[cold]
fn guess_fresh(now: Nanos, seen: &mut [Seen]) {
    let slowest = seen.iter().filter(|one| !one.fresh).map(|one| one.pace).fold(PACE_GUESS, Nanos::max);
    // A leg whose handshake is not over yet has not even answered.
    let longest = seen.iter().map(|one| one.half).max().unwrap_or(0);
    for one in seen.iter_mut().filter(|one| one.half == 0) {
        one.half = longest.saturating_mul(2);
        one.arrives = one.arrives.max(one.opens.saturating_add(one.half));
    }
    // If none was measured, the leg that answered first gets all it may, and the others a cell once it is full or late.
    let first = seen.iter().min_by_key(|one| (one.is_overdue(now, slowest), one.half));
    let first = first.filter(|_| seen.iter().all(|one| one.fresh));
    let others = match first {
        Some(one) if one.path.inflight < one.path.cwnd && !one.is_overdue(now, slowest) => 0,
        _ => PROBE,
    };
    let first = first.map(|one| one.leg);
    for one in seen.iter_mut().filter(|one| one.fresh) {
        one.guess(now, slowest);
        if first != Some(one.leg) {
            one.hold(others);
        }
    }
}

/// Chooses among legs of which all is known that can be.
fn choose_seen(now: Nanos, flow: &Course, sending: Option<usize>, sent: u64, seen: &[Seen]) -> Result<Chosen, Nanos> {
    let Some(best) = best_of(seen.iter(), sending) else { return Err(NEVER) };
    if let Some(current) = seen.iter().find(|one| one.is(sending) && one.ready && one.leg != best.leg) {
        let rest = run_on(current, best).saturating_sub(sent.saturating_sub(flow.began_at));
        let patience = rest.saturating_mul(current.pace.max(best.pace)).saturating_mul(2);
        if rest > 0 && current.arrives <= best.arrives.saturating_add(patience) {
            return Ok(grant(current, rest, flow.lends));
        }
    }
    // Another leg takes over once it has room for a run, unless it would run dry until then.
    let queue = best.queue(now);
    let runs_dry = || {
        let gap = RUN.saturating_sub(best.room).saturating_mul(best.pace);
        queue.saturating_add(best.meter.hidden()) < gap.saturating_add(HELD_BACK)
    };
    let too_much = queue.saturating_sub(QUEUE_MOST.saturating_mul(best.pace).saturating_add(HELD_BACK));
    // An only leg has nobody to wait for.
    if best.ready && (seen.len() == 1 || too_much == 0 && (best.is(sending) || best.has_room(RUN) || runs_dry())) {
        return Ok(grant(best, RUN, false));
    }
    let late = (now.saturating_sub(flow.since) / LATE_SHARE).saturating_add(flow.lent.saturating_mul(best.pace));
    let limit = best.arrives.saturating_add(late);
    let since = now.saturating_sub(flow.since);
    let others = seen.iter().filter(|one| one.ready && one.leg != best.leg && may_lend(now, one, best, limit, since));
    match best_of(others, sending) {
        Some(other) => Ok(grant(other, run_on(other, best), true)),
        None => {
            let soon = now.saturating_add((best.half / 4).max(LOOK_MIN)).min(NEVER - 1);
            Err(best.opens.max(now.saturating_add(too_much.max(LOOK_MIN))).min(soon))
        }
    }
}

/// The leg on which a run would be there first. Of equal legs the sending leg is the best, then the first.
#[inline(always)]
fn best_of<'a, 'l>(seen: impl Iterator<Item = &'a Seen<'l>>, sending: Option<usize>) -> Option<&'a Seen<'l>>
where
    'l: 'a,
{
    // A loop, not min_by_key: this runs for every choice.
    let mut best: Option<(&Seen, Nanos)> = None;
    for one in seen {
        let arrives = one.run_arrives(AHEAD);
        if best.is_none_or(|(_, soonest)| arrives < soonest || (arrives == soonest && one.is(sending))) {
            best = Some((one, arrives));
        }
    }
    best.map(|(one, _)| one)
}

/// True when a run on this leg would still be on time.
fn may_lend(now: Nanos, one: &Seen, best: &Seen, limit: Nanos, since: Nanos) -> bool {
    if one.fresh {
        let guess = PROBE.saturating_mul(best.pace).saturating_mul(UNKNOWN_SLOWER);
        let patience = best.half.saturating_mul(2 * PROBE_TRIPS).max(since / PROBE_SHARE);
        return one.path.inflight < PROBE && !best.fresh && one.half.saturating_add(guess) <= patience;
    }
    let run = run_on(one, best);
    let last = one.arrives.saturating_add((run - 1).saturating_mul(one.pace));
    let limit = limit.saturating_add(if one.meter.is_rough { HELD_BACK_ALL } else { 0 });
    // The run itself is time that the best leg saves.
    one.has_room(run)
        && one.queue(now) <= run.saturating_mul(one.pace).saturating_add(HELD_BACK)
        && last <= limit.saturating_add(run.saturating_mul(best.pace))
}

/// Messages in a row on a leg: more on a slow one than it needs would make all wait, fewer would cost a SWITCH each.
fn run_on(one: &Seen, best: &Seen) -> u64 {
    if one.fresh {
        return PROBE;
    }
    let ratio = one.pace / best.pace.max(1);
    // A rough pace may be far off. A whole run brings two acknowledgements, which measure it.
    if ratio < DIFFERS || one.meter.is_rough {
        RUN
    } else {
        (RUN_BOTH / ratio.saturating_add(1)).max(PROBE)
    }
}

fn grant(one: &Seen, run: u64, lends: bool) -> Chosen {
    Chosen { leg: one.leg as usize, run: one.room.min(run).max(1), lends }
}
