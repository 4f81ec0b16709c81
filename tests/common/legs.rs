//! A set of legs in virtual time. Each leg is a bottleneck with a queue and a round trip; the other end sends a SENDME
//! for every 31 cells, and a host has Vegas (or a fixed window) for each leg, reports it, and obeys the set.

use super::{terms, ROUTE};
use circflow::base::time::NEVER;
use circflow::base::{Id, Nanos};
use circflow::conflux::{Algorithm, Effect, Report, Role, Set};
use circflow::congestion::{ChannelState, Inc, Params, PathClass, Vegas};
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use std::collections::VecDeque;
use std::sync::Arc;

pub const MS: Nanos = 1_000_000;
pub const SEC: Nanos = 1_000 * MS;
const SENDME_INC: u16 = 31;
/// Bits of a cell, times the nanoseconds of a millisecond: divided by kbit/s, it is how long the cell takes.
const CELL: u64 = 514 * 8 * MS;

/// What a leg is like at first.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Round trip with an empty queue.
    pub trip: Nanos,
    pub kbit: u64,
    /// The handshake has measured the round trip.
    pub answered: bool,
    /// A window that stays as it is, in place of that of Vegas.
    pub window: Option<u32>,
}

/// A leg with this round trip in milliseconds, and this rate.
pub fn leg(trip: u64, kbit: u64) -> Terms {
    Terms { trip: trip * MS, kbit, answered: true, window: None }
}

pub struct Leg {
    trip: Nanos,
    /// Time for a cell at the bottleneck, [`NEVER`] when nothing passes.
    pace: Nanos,
    vegas: Vegas,
    window: Option<u32>,
    /// The channel takes no more cells.
    full: bool,
    /// When the cells that wait at the bottleneck were sent, and when the first of them has passed.
    queue: VecDeque<Nanos>,
    passes_at: Nanos,
    /// SENDMEs on their way: when each comes, and when its last cell was sent.
    acks: VecDeque<(Nanos, Nanos)>,
    passed: u64,
    /// When the last cell that has passed comes to the other end.
    arrives: Nanos,
    pub sent: u64,
    /// SENDMEs that came.
    pub heard: u64,
    /// The most cells that ever waited.
    pub deepest: usize,
}

impl Leg {
    fn report(&self, rtt: Nanos) -> Report {
        let cwnd = self.window.unwrap_or(self.vegas.cwnd).into();
        let inflight = self.vegas.inflight.into();
        Report {
            cwnd,
            inflight,
            rtt,
            sendme_inc: SENDME_INC.into(),
            slow_start: self.vegas.slow_start,
            blocked: self.full,
        }
    }

    fn has_room(&self) -> bool {
        self.vegas.inflight < self.window.unwrap_or(self.vegas.cwnd) && !self.full
    }

    fn next_event(&self) -> Nanos {
        self.passes_at.min(self.acks.front().map_or(NEVER, |&(at, _)| at))
    }

    fn put(&mut self, now: Nanos) {
        self.sent += 1;
        self.vegas.inflight += 1;
        self.queue.push_back(now);
        self.deepest = self.deepest.max(self.queue.len());
        if self.queue.len() == 1 {
            self.passes_at = now.saturating_add(self.pace);
        }
    }

    /// The first cell has passed the bottleneck.
    fn pass(&mut self, now: Nanos) {
        let Some(sent_at) = self.queue.pop_front() else { return };
        self.passed += 1;
        self.arrives = self.arrives.max(now + self.trip / 2);
        if self.passed % u64::from(SENDME_INC) == 0 {
            let after = self.acks.back().map_or(0, |&(at, _)| at);
            self.acks.push_back((after.max(now + self.trip), sent_at));
        }
        self.passes_at = if self.queue.is_empty() { NEVER } else { now.saturating_add(self.pace) };
    }
}

pub struct Net {
    pub now: Nanos,
    set: Set,
    pub legs: Vec<Leg>,
    effects: Vec<Effect>,
    /// Cells that wait to be sent.
    pub left: u64,
    /// The host was told to stop.
    waits: bool,
    /// Since when a leg has had room although the host was told to stop, and the longest that this was so.
    idle_since: Nanos,
    pub longest_idle: Nanos,
}

impl Net {
    /// Legs under OnTime, and a sender that always has something to send.
    pub fn new(legs: &[Terms]) -> Net {
        let mut net = Net {
            now: 1000 * SEC,
            set: Set::new(Role::Exit, terms(Some(Algorithm::OnTime))),
            legs: Vec::new(),
            effects: Vec::new(),
            left: u64::MAX,
            waits: false,
            idle_since: NEVER,
            longest_idle: 0,
        };
        net.set.observe(net.now);
        legs.iter().for_each(|terms| net.join(terms));
        net
    }

    /// A leg joins the set.
    pub fn join(&mut self, terms: &Terms) {
        let (at, trip) = (self.legs.len(), if terms.answered { terms.trip } else { 0 });
        let ix = self.set.adopt(Id(1 + at as u64), ROUTE, Ux::NoOpinion, trip, &mut self.effects);
        assert_eq!(usize::from(ix), at);
        let params = Arc::new(Params::default_for(PathClass::Exit));
        self.legs.push(Leg {
            trip: terms.trip,
            pace: CELL / terms.kbit,
            vegas: Vegas::new(params, Inc::new(SENDME_INC.into()).expect("it is not 0")),
            window: terms.window,
            full: false,
            queue: VecDeque::new(),
            passes_at: NEVER,
            acks: VecDeque::new(),
            passed: 0,
            arrives: 0,
            sent: 0,
            heard: 0,
            deepest: 0,
        });
        self.listen();
        self.report(at);
    }

    /// Goes on for so long, and answers how many cells went on each leg meanwhile.
    pub fn run(&mut self, time: Nanos) -> Vec<u64> {
        let before: Vec<u64> = self.legs.iter().map(|leg| leg.sent).collect();
        let end = self.now + time;
        self.send();
        while let Some(at) = self.next_event().filter(|&at| at <= end) {
            self.now = at;
            self.step();
            self.send();
        }
        self.now = end;
        self.legs.iter().zip(before).map(|(leg, before)| leg.sent - before).collect()
    }

    /// Goes on until so many more cells have been sent and nothing is on its way, and answers how long that took.
    pub fn carry(&mut self, cells: u64) -> Nanos {
        let start = self.now;
        self.left = cells;
        self.send();
        while self.left > 0 || self.legs.iter().any(|leg| !leg.queue.is_empty()) {
            self.now = self.next_event().expect("all is sent at last");
            self.step();
            self.send();
        }
        let arrived = self.legs.iter().map(|leg| leg.arrives).max().unwrap_or(start);
        arrived - start
    }

    fn next_event(&self) -> Option<Nanos> {
        let legs = self.legs.iter().map(Leg::next_event).min().unwrap_or(NEVER);
        let at = legs.min(if self.waits { self.set.choose_again_at() } else { NEVER });
        (at != NEVER).then_some(at.max(self.now))
    }

    fn step(&mut self) {
        let now = self.now;
        for at in 0..self.legs.len() {
            let leg = &mut self.legs[at];
            if leg.passes_at <= now {
                leg.pass(now);
            }
            let Some((_, sent_at)) = leg.acks.front().copied().filter(|&(at, _)| at <= now) else { continue };
            leg.acks.pop_front();
            leg.heard += 1;
            leg.vegas.handle_sendme((now - sent_at) / 1000, ChannelState { blocked: leg.full, queued: 0 });
            self.report(at);
        }
        if self.waits && self.set.choose_again_at() <= now {
            self.set.choose_again(now, &mut self.effects);
            self.listen();
        }
    }

    fn report(&mut self, at: usize) {
        let report = self.legs[at].report(self.legs[at].vegas.rtt.ewma * 1000);
        self.set.report(at as u8, &report, self.now, &mut self.effects);
        self.listen();
    }

    fn listen(&mut self) {
        if self.effects.drain(..).any(|effect| matches!(effect, Effect::MaySend)) {
            self.set.end_wait(self.now);
            self.set.resumed();
            self.waits = false;
        }
    }

    fn send(&mut self) {
        self.set.observe(self.now);
        while self.left > 0 && !self.waits {
            match self.set.send(Command::DATA, self.now, &mut self.effects) {
                Ok(plan) => {
                    self.legs[usize::from(plan.ix)].put(self.now);
                    self.left -= 1;
                    self.idle_since = NEVER;
                }
                Err(_) => {
                    self.waits = true;
                    self.set.begin_wait(self.now);
                }
            }
            self.listen();
        }
        if self.waits && self.legs.iter().any(Leg::has_room) {
            self.idle_since = self.idle_since.min(self.now);
            self.longest_idle = self.longest_idle.max(self.now - self.idle_since);
        } else {
            self.idle_since = NEVER;
        }
    }

    /// From now on the leg has this rate; 0 lets nothing pass.
    pub fn set_rate(&mut self, leg: usize, kbit: u64) {
        let leg = &mut self.legs[leg];
        leg.pace = CELL.checked_div(kbit).unwrap_or(NEVER);
        if !leg.queue.is_empty() {
            leg.passes_at = self.now.saturating_add(leg.pace);
        }
    }

    /// From now on this is the leg's window, whatever Vegas says.
    pub fn set_window(&mut self, leg: usize, window: u32) {
        self.legs[leg].window = Some(window);
        self.report(leg);
    }

    /// The channel of the leg takes no more cells, and does not say when it will.
    pub fn fill_channel(&mut self, leg: usize) {
        self.legs[leg].full = true;
        self.report(leg);
    }
}
