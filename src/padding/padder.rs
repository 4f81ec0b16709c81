//! One padder: the machines that run together at one hop of one circuit, their timers and their block.
//!
//! maybenot decides what the machines want; all it leaves to its user is here. Each machine has one action timer
//! ("pad", "block") and one internal timer, and the machines of a padder share one block.

use super::clock::{Generator, Key, Span, Tick};
use super::{Machines, Pace, PadderTerms};
use crate::base::time::NEVER;
use crate::base::{limits, Nanos};
use maybenot::{Framework, MachineId, Timer, TriggerAction, TriggerEvent};

/// Figures of a padder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PadderStats {
    /// Machines that run.
    pub machines: u32,
    /// Timers armed, the end of a block included.
    pub timers: u32,
    /// Other cells than padding to or through the hop that were queued.
    pub normal_sent: u64,
    /// Padding cells to the hop that were queued.
    pub padding_sent: u64,
    /// Padding actions for which a cell that waited anyway counted.
    pub replaced: u64,
    /// Padding actions that a cap or the host refused.
    pub refused: u64,
    /// Other cells than padding from or through the hop.
    pub normal_received: u64,
    /// Padding cells from the hop.
    pub padding_received: u64,
    /// Blocking actions that were due.
    pub blocks: u64,
    /// Time blocked, the block under way included.
    pub blocked: Nanos,
}

/// The machines of one hop.
#[derive(Debug)]
pub(super) struct Padder {
    /// A lower bound of what is due next here.
    pub next: Nanos,
    framework: Framework<Machines, Generator, Tick>,
    runs: Box<[Run]>,
    /// When the block ends; [`NEVER`] when there is none.
    block_until: Nanos,
    block_since: Nanos,
    bypassable: bool,
    pub hop: u8,
    pub slot: u8,
    pub stop_at_end: bool,
    pub opens_between: bool,
    /// May run when only machines may that are marked for it.
    pub runs_reduced: bool,
    /// Machines whose internal timer was set and who have not been told yet, in order, once for each time.
    begun: Vec<u8>,
    /// When those who still wait were put off: TimerBegin belongs to that moment.
    begun_at: Nanos,
    pub queued_max: u32,
    pub inbound_frac: f64,
    pub inbound_grace: u64,
    /// Its [`Pace`].
    floor: u32,
    burst: u16,
    /// How far the machines are with what they may do, as a time: it runs ahead by a part of the floor with each thing.
    spent_until: Nanos,
    /// When the last rest ends: others end a whole number of floors later, so that machines that rest wake together.
    rest_end: Nanos,
    pub stats: PadderStats,
}

/// One machine's timers.
#[derive(Clone, Copy, Debug)]
struct Run {
    action_at: Nanos,
    timer_at: Nanos,
    /// What is due then, [`Action`] without a gap: how long to block, unless it pads.
    duration: Nanos,
    pads: bool,
    bypass: bool,
    replace: bool,
    /// Padding instructions that the host has not answered.
    asked: u16,
    /// What the machine has done on its own account at the time of `since`.
    burst: u16,
    /// That was too much: it does nothing before `since`.
    resting: bool,
    since: Nanos,
}

impl Run {
    /// Moves what the machine asks for to the end of its rest.
    #[inline]
    fn after_rest(&self, at: Nanos) -> Nanos {
        if self.resting {
            at.max(self.since)
        } else {
            at
        }
    }

    /// A cell that is no padding has set an action off: a burst begins anew, unless the machine rests.
    #[inline]
    fn heard(&mut self, is_cell: bool) {
        if is_cell && !self.resting {
            self.burst = 0;
        }
    }

    fn rest_until(&mut self, until: Nanos) {
        (self.resting, self.since) = (true, until);
        for at in [&mut self.action_at, &mut self.timer_at] {
            if *at != NEVER {
                *at = until.max(*at);
            }
        }
    }
}

/// What is due when an action timer ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Pad { bypass: bool, replace: bool },
    Block { duration: Nanos, bypass: bool, replace: bool },
}

/// What is due, in the order in which things due at the same time are dealt with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    BlockEnd,
    /// A machine has to be told that its internal timer began.
    Begun,
    Timer(u32),
    Action(u32),
}

impl Padder {
    /// A padder, or `None` when a fraction is none or a machine is broken.
    pub fn new(terms: &PadderTerms, now: Nanos, key: Key, pace: Pace) -> Option<Padder> {
        let machines = terms.machines.clone();
        let idle = Run {
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
        let runs = vec![idle; machines.len()].into_boxed_slice();
        let framework =
            Framework::new(machines, terms.padding_frac, terms.blocking_frac, Tick(now), Generator::new(key)).ok()?;
        Some(Padder {
            next: NEVER,
            framework,
            runs,
            block_until: NEVER,
            block_since: 0,
            bypassable: false,
            hop: terms.hop,
            slot: terms.slot,
            stop_at_end: terms.stop_at_end,
            opens_between: terms.opens_between,
            runs_reduced: terms.runs_reduced,
            begun: Vec::new(),
            begun_at: 0,
            queued_max: terms.queued_max,
            inbound_frac: terms.inbound_frac,
            inbound_grace: terms.inbound_grace,
            floor: pace.floor,
            burst: pace.burst as u16,
            spent_until: 0,
            rest_end: 0,
            stats: PadderStats::default(),
        })
    }

    /// True when a block is on.
    pub fn is_blocking(&self) -> bool {
        self.block_until != NEVER
    }

    /// True when padding may pass the block that is on.
    pub fn is_bypassable(&self) -> bool {
        self.bypassable
    }

    /// True when there were machines, and none will ever do anything again.
    pub fn is_over(&self) -> bool {
        !self.runs.is_empty() && self.earliest().is_none() && self.framework.all_machines_ended()
    }

    /// Figures at `now`.
    pub fn stats_at(&self, now: Nanos) -> PadderStats {
        let armed = |at: Nanos| u32::from(at != NEVER);
        let timers: u32 = self.runs.iter().map(|run| armed(run.action_at) + armed(run.timer_at)).sum();
        let under_way = if self.is_blocking() { now.saturating_sub(self.block_since) } else { 0 };
        PadderStats {
            machines: self.runs.len() as u32,
            timers: timers + armed(self.block_until),
            blocked: self.stats.blocked.saturating_add(under_way),
            ..self.stats
        }
    }

    /// Tells the machines what happened, and sets the timers that they ask for. `is_cell`: it was a cell that no
    /// machine asked for.
    #[inline]
    pub fn trigger(&mut self, event: TriggerEvent, now: Nanos, is_cell: bool) {
        self.trigger_once(event, now, is_cell);
        if !self.begun.is_empty() {
            self.tell_begun(now, false);
        }
    }

    #[inline]
    fn trigger_once(&mut self, event: TriggerEvent, now: Nanos, is_cell: bool) {
        let mut cancelled = false;
        let runs = &mut *self.runs;
        for action in self.framework.trigger_events(std::slice::from_ref(&event), Tick(now)) {
            match action {
                TriggerAction::SendPadding { timeout, bypass, replace, machine } => {
                    let Some(run) = runs.get_mut(machine.into_raw()) else { continue };
                    (run.pads, run.bypass, run.replace) = (true, *bypass, *replace);
                    run.heard(is_cell);
                    run.action_at = run.after_rest(later(now, *timeout));
                    self.next = self.next.min(run.action_at);
                }
                TriggerAction::BlockOutgoing { timeout, duration, bypass, replace, machine } => {
                    let Some(run) = runs.get_mut(machine.into_raw()) else { continue };
                    (run.pads, run.bypass, run.replace) = (false, *bypass, *replace);
                    run.duration = duration.0;
                    run.heard(is_cell);
                    run.action_at = run.after_rest(later(now, *timeout));
                    self.next = self.next.min(run.action_at);
                }
                TriggerAction::UpdateTimer { duration, replace, machine } => {
                    let Some(run) = runs.get_mut(machine.into_raw()) else { continue };
                    run.heard(is_cell);
                    let at = run.after_rest(later(now, *duration));
                    let current = if run.timer_at == NEVER { now } else { run.timer_at };
                    if *replace || at > current {
                        run.timer_at = at;
                        self.next = self.next.min(at);
                        let machine = machine.into_raw() as u8;
                        if self.begun.len() < limits::TIMERS_BEGUN_MAX || !self.begun.contains(&machine) {
                            self.begun.push(machine);
                        }
                    }
                }
                TriggerAction::Cancel { machine, timer } => {
                    let Some(run) = runs.get_mut(machine.into_raw()) else { continue };
                    if *timer != Timer::Internal {
                        run.action_at = NEVER;
                    }
                    if *timer != Timer::Action {
                        run.timer_at = NEVER;
                    }
                    cancelled = true;
                }
            }
        }
        // A timer that was only moved costs an early wake-up at most; where none is left there must be none.
        if cancelled {
            self.refresh();
        }
    }

    /// Reports TimerBegin to the machines that set their internal timer. One that sets it again whenever it hears so
    /// would never end: after some rounds the rest waits for the next step. What the first round tells is counted only
    /// when a machine has asked for it on its own account.
    #[cold]
    pub fn tell_begun(&mut self, now: Nanos, on_own_account: bool) {
        for round in 0..limits::TIMER_ROUNDS_MAX {
            let mut told = false;
            for _ in 0..self.begun.len() {
                let Some(&machine) = self.begun.first() else { break };
                self.begun.remove(0);
                if self.rests(machine, now) {
                    self.begun.push(machine);
                    continue;
                }
                told = true;
                if round > 0 || on_own_account {
                    self.spend(machine.into(), now, now);
                }
                let begun = TriggerEvent::TimerBegin { machine: MachineId::from_raw(machine.into()) };
                self.trigger_once(begun, now, false);
            }
            if self.begun.is_empty() {
                return;
            }
            if !told {
                break;
            }
        }
        self.begun_at = now;
        self.next = self.next.min(self.begun_due());
    }

    fn rests(&self, machine: u8, now: Nanos) -> bool {
        self.runs.get(usize::from(machine)).is_some_and(|run| run.resting && run.since > now)
    }

    /// When the first who waits to hear that its timer began may hear so.
    fn begun_due(&self) -> Nanos {
        let runs = self.begun.iter().filter_map(|&machine| self.runs.get(usize::from(machine)));
        runs.map(|run| run.after_rest(self.begun_at)).fold(NEVER, Nanos::min)
    }

    /// Counts what a machine does on its own account, which was due at `due`. One that does too much without waiting
    /// rests, and then does one thing after each rest, until it waits for longer by itself.
    fn spend(&mut self, machine: u32, due: Nanos, now: Nanos) {
        let (burst, floor) = (u32::from(self.burst), u64::from(self.floor));
        let Some(run) = self.runs.get_mut(machine as usize).filter(|_| floor > 0) else { return };
        if due > run.since {
            (run.burst, run.since) = (0, due);
        }
        run.resting = false;
        run.burst += 1;
        let ahead = floor.saturating_mul(limits::PADDING_BURSTS_AHEAD);
        self.spent_until = self.spent_until.max(now).saturating_add(floor / u64::from(burst));
        if u32::from(run.burst) >= burst || self.spent_until.saturating_sub(now) > ahead {
            run.burst = (burst - 1) as u16;
            let end = now.saturating_add(floor).min(NEVER - 1);
            if now >= self.rest_end {
                self.rest_end = end;
            } else {
                let floors = end.saturating_sub(self.rest_end).div_ceil(floor);
                self.rest_end = self.rest_end.saturating_add(floors.saturating_mul(floor)).min(NEVER - 1);
            }
            run.rest_until(self.rest_end);
        }
    }

    /// What is due first, and when.
    pub fn earliest(&self) -> Option<(Nanos, Due)> {
        // Due at no earlier time, or a machine that sets its timer for ever would keep all else from its turn.
        let mut first = (self.block_until, Due::BlockEnd);
        if !self.begun.is_empty() {
            first = first.min((self.begun_due(), Due::Begun));
        }
        for (run, index) in self.runs.iter().zip(0..) {
            first = first.min((run.timer_at, Due::Timer(index))).min((run.action_at, Due::Action(index)));
        }
        (first.0 != NEVER).then_some(first)
    }

    /// Finds out anew when something is due next.
    pub fn refresh(&mut self) {
        self.next = self.earliest().map_or(NEVER, |(at, _)| at);
    }

    /// The block's time is over.
    pub fn end_block(&mut self, now: Nanos) {
        self.stats.blocked = self.stats.blocked.saturating_add(now.saturating_sub(self.block_since));
        self.block_until = NEVER;
        self.trigger(TriggerEvent::BlockingEnd, now, false);
    }

    /// A block is due.
    pub fn block(&mut self, machine: u32, duration: Nanos, bypass: bool, replace: bool, now: Nanos) {
        let until = now.saturating_add(duration).min(NEVER - 1);
        let blocking = self.is_blocking();
        if !blocking {
            self.block_since = now;
        }
        if !blocking || replace || until > self.block_until {
            self.block_until = until;
            self.bypassable = bypass;
        }
        self.stats.blocks += 1;
        self.trigger(TriggerEvent::BlockingBegin { machine: MachineId::from_raw(machine as usize) }, now, false);
    }

    /// A block is due that may not be: it begins and ends at once, and so does one that is on.
    pub fn block_for_none(&mut self, machine: u32, now: Nanos) {
        if self.is_blocking() {
            self.stats.blocked = self.stats.blocked.saturating_add(now.saturating_sub(self.block_since));
            self.block_until = NEVER;
        }
        self.stats.blocks += 1;
        self.trigger(TriggerEvent::BlockingBegin { machine: MachineId::from_raw(machine as usize) }, now, false);
        self.trigger(TriggerEvent::BlockingEnd, now, false);
    }

    /// Lets the block end at `now`, if it would end later.
    pub fn cut_block(&mut self, now: Nanos) {
        self.block_until = self.block_until.min(now);
        self.next = self.next.min(self.block_until);
    }

    /// A machine's internal timer is due, since `due`.
    pub fn timer(&mut self, machine: u32, due: Nanos, now: Nanos) {
        if let Some(run) = self.runs.get_mut(machine as usize) {
            run.timer_at = NEVER;
        }
        self.spend(machine, due, now);
        self.trigger(TriggerEvent::TimerEnd { machine: MachineId::from_raw(machine as usize) }, now, false);
    }

    /// Takes the action of a machine whose action timer is due, since `due`.
    pub fn take_action(&mut self, machine: u32, due: Nanos, now: Nanos) -> Option<Action> {
        let run = self.runs.get_mut(machine as usize)?;
        run.action_at = NEVER;
        let Run { duration, pads, bypass, replace, .. } = *run;
        self.spend(machine, due, now);
        Some(if pads { Action::Pad { bypass, replace } } else { Action::Block { duration, bypass, replace } })
    }

    /// PaddingSent, for one of our machines.
    pub fn padding_sent(&mut self, machine: u32, now: Nanos) {
        self.trigger(TriggerEvent::PaddingSent { machine: MachineId::from_raw(machine as usize) }, now, false);
    }

    /// Counts a question to the host, unless too many are open.
    pub fn ask(&mut self, machine: u32) -> bool {
        match self.runs.get_mut(machine as usize) {
            Some(run) if run.asked < limits::PADDING_ASKED_MAX => {
                run.asked += 1;
                true
            }
            _ => false,
        }
    }

    /// True while a question is open.
    pub fn is_asked(&self, machine: u32) -> bool {
        self.runs.get(machine as usize).is_some_and(|run| run.asked > 0)
    }

    /// Counts an answer, if there was a question.
    pub fn answered(&mut self, machine: u32) -> bool {
        match self.runs.get_mut(machine as usize) {
            Some(run) if run.asked > 0 => {
                run.asked -= 1;
                true
            }
            _ => false,
        }
    }
}

#[inline]
fn later(now: Nanos, span: Span) -> Nanos {
    now.saturating_add(span.0).min(NEVER - 1)
}
