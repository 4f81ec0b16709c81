//! One padder: the machines that run together at one hop of one circuit, their timers and their block.
//!
//! maybenot decides what the machines do next; this file runs the timers and the block that maybenot leaves to its
//! user. Each machine has one action timer ("pad" or "block") and one internal timer; the machines of a padder share
//! one block.

use super::clock::{Generator, Key, Span, Tick};
use super::run::Run;
use super::states::States;
use super::watch::{self, BlockTurn, RefusedBy, Spot, TimerOf, Watch};
use super::{Machines, Pace, PadderTerms};
use crate::base::time::NEVER;
use crate::base::{limits, Nanos};
use crate::event::Event;
use maybenot::{Framework, MachineId, Timer, TriggerAction, TriggerEvent};
use smallvec::SmallVec;

/// Figures of a padder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PadderStats {
    /// Number of machines that run.
    pub machines: u32,
    /// Number of timers set, the end of a block included.
    pub timers: u32,
    /// Cells queued to or through the hop that are not padding from here.
    pub normal_sent: u64,
    /// Padding cells queued to the hop.
    pub padding_sent: u64,
    /// Padding actions for which a cell that waited anyway counted.
    pub replaced: u64,
    /// Padding actions that a cap or the host refused.
    pub refused: u64,
    /// Cells from or through the hop that are not padding from the hop.
    pub normal_received: u64,
    /// Padding cells from the hop.
    pub padding_received: u64,
    /// Blocking actions that were due.
    pub blocks: u64,
    /// Time blocked in nanoseconds, the current block included.
    pub blocked: Nanos,
}

/// The machines of one hop.
#[derive(Debug)]
pub(super) struct Padder {
    /// Earliest time at which something can be due here.
    pub next: Nanos,
    framework: Framework<Machines, Generator, Tick>,
    runs: Box<[Run]>,
    /// When the block ends; [`NEVER`] without a block.
    block_until: Nanos,
    block_since: Nanos,
    bypassable: bool,
    pub hop: u8,
    pub slot: u8,
    pub stop_at_end: bool,
    pub opens_between: bool,
    /// The machines may run when the operator wants reduced padding.
    pub runs_reduced: bool,
    /// Machines that have to be told TimerBegin, in order, once for each time that they set their internal timer.
    begun: Vec<u8>,
    /// When the machines left in `begun` were put off to a later step.
    begun_at: Nanos,
    pub queued_max: u32,
    pub inbound_frac: f64,
    pub inbound_grace: u64,
    /// The padder's [`Pace`].
    floor: u32,
    burst: u16,
    /// Time up to which the machines have used their allowance: each thing they do adds a part of the floor.
    spent_until: Nanos,
    /// End of the last rest. Later rests end a whole number of floors after it, so that resting machines wake together.
    rest_end: Nanos,
    pub stats: PadderStats,
}

/// The action that is due when an action timer ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    Pad { bypass: bool, replace: bool },
    Block(Block),
}

/// A block that a machine wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub duration: Nanos,
    pub bypass: bool,
    pub replace: bool,
}

/// A thing that is due. Things due at the same time are done in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Due {
    BlockEnd,
    /// A machine has to be told TimerBegin.
    Begun,
    Timer(u32),
    Action(u32),
}

impl Padder {
    /// Makes a padder. Returns none when a fraction is not in range, or a machine is not valid.
    pub fn new(terms: &PadderTerms, now: Nanos, key: Key, pace: Pace) -> Option<Padder> {
        let machines = terms.machines.clone();
        let runs = vec![Run::IDLE; machines.len()].into_boxed_slice();
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

    /// The padder's place.
    pub fn spot(&self) -> Spot {
        Spot { hop: self.hop, slot: self.slot }
    }

    /// True while a block is on.
    pub fn is_blocking(&self) -> bool {
        self.block_until != NEVER
    }

    /// True when padding with the bypass flag may pass the current block.
    pub fn is_bypassable(&self) -> bool {
        self.bypassable
    }

    /// True when the padder has machines, and all have ended for good.
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

    /// Tells the machines of an event, and sets the timers that they ask for. `is_cell` is true when the event is a
    /// cell that is not padding.
    #[inline]
    pub fn trigger<W: Watch>(&mut self, event: TriggerEvent, now: Nanos, is_cell: bool, watch: &mut W) {
        self.trigger_or_watch(event, now, is_cell, watch);
        if !self.begun.is_empty() {
            self.tell_begun(now, false, watch);
        }
    }

    #[inline(always)]
    fn trigger_or_watch<W: Watch>(&mut self, event: TriggerEvent, now: Nanos, is_cell: bool, watch: &mut W) {
        if W::LOOKS {
            self.trigger_watched(event, now, is_cell, watch);
        } else {
            self.trigger_once(event, now, is_cell);
        }
    }

    /// [`Padder::trigger_once`] with events: what the machines are told, their states, and timers that they move.
    #[inline(never)]
    fn trigger_watched(&mut self, event: TriggerEvent, now: Nanos, is_cell: bool, watch: &mut impl Watch) {
        let spot = self.spot();
        watch.note_often(|circuit| watch::told(circuit, spot, &event));
        let states = watch.wants_states().then(|| States::of(&self.framework));
        let runs: SmallVec<[Run; limits::MACHINES_MAX]> = SmallVec::from_slice(&self.runs);
        self.trigger_once(event, now, is_cell);
        if let Some(states) = states {
            self.note_states(&states, watch);
        }
        for ((machine, before), run) in (0..).zip(&runs).zip(&self.runs) {
            if !run.has_action_of(before) {
                self.note_timer(machine, TimerOf::action(run.pads), run.action_at, now, watch);
            }
            if before.timer_at != run.timer_at {
                self.note_timer(machine, TimerOf::Itself, run.timer_at, now, watch);
            }
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
                    run.restart_burst(is_cell);
                    run.action_at = run.after_rest(later(now, *timeout));
                    self.next = self.next.min(run.action_at);
                }
                TriggerAction::BlockOutgoing { timeout, duration, bypass, replace, machine } => {
                    let Some(run) = runs.get_mut(machine.into_raw()) else { continue };
                    (run.pads, run.bypass, run.replace) = (false, *bypass, *replace);
                    run.duration = duration.0;
                    run.restart_burst(is_cell);
                    run.action_at = run.after_rest(later(now, *timeout));
                    self.next = self.next.min(run.action_at);
                }
                TriggerAction::UpdateTimer { duration, replace, machine } => {
                    let Some(run) = runs.get_mut(machine.into_raw()) else { continue };
                    run.restart_burst(is_cell);
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
        // A timer that was only moved costs an early wake-up at most. After a cancelled timer there must be no wake-up.
        if cancelled {
            self.refresh();
        }
    }

    #[cold]
    fn note_states(&self, before: &States, watch: &mut impl Watch) {
        let after = States::of(&self.framework);
        let (circuit, Spot { hop, slot }) = (watch.circuit(), self.spot());
        for (machine, (&from, &to)) in (0..).zip(before.all().iter().zip(after.all())) {
            if from != to {
                watch.take(Event::StateChanged { circuit, hop, slot, machine, from, to });
            }
        }
    }

    /// Notes that a timer was set to end at `at`, or was cancelled.
    fn note_timer(&self, machine: u32, timer: TimerOf, at: Nanos, now: Nanos, watch: &mut impl Watch) {
        let (Spot { hop, slot }, timer) = (self.spot(), timer as u8);
        if at == NEVER {
            watch.note(|circuit| Event::TimerCancelled { circuit, hop, slot, machine, timer });
        } else {
            let after = at.saturating_sub(now);
            watch.note_often(|circuit| Event::TimerSet { circuit, hop, slot, machine, timer, after });
        }
    }

    /// Notes that the timer of a machine has ended.
    pub fn note_fired(&self, due: Due, late: Nanos, watch: &mut impl Watch) {
        let pads = |machine: u32| self.runs.get(machine as usize).is_none_or(|run| run.pads);
        let (machine, timer) = match due {
            Due::Timer(machine) => (machine, TimerOf::Itself),
            Due::Action(machine) => (machine, TimerOf::action(pads(machine))),
            Due::BlockEnd | Due::Begun => return,
        };
        let (Spot { hop, slot }, timer) = (self.spot(), timer as u8);
        watch.note_often(|circuit| Event::TimerFired { circuit, hop, slot, machine, timer, late });
    }

    /// Notes that the padder is there.
    pub fn note_added(&self, watch: &mut impl Watch) {
        let (Spot { hop, slot }, machines) = (self.spot(), self.runs.len() as u8);
        watch.note(|circuit| Event::PadderAdded { circuit, hop, slot, machines });
    }

    /// Notes that the padder goes, and its block with it.
    pub fn note_removed(&self, now: Nanos, watch: &mut impl Watch) {
        if self.is_blocking() {
            self.note_block_end(now, watch);
        }
        let Spot { hop, slot } = self.spot();
        watch.note(|circuit| Event::PadderRemoved { circuit, hop, slot });
    }

    fn note_block_end(&self, now: Nanos, watch: &mut impl Watch) {
        let (Spot { hop, slot }, lasted) = (self.spot(), now.saturating_sub(self.block_since));
        watch.note(|circuit| Event::BlockEnded { circuit, hop, slot, lasted });
    }

    /// Tells TimerBegin to the machines that set their internal timer. A machine can set it again in answer, without
    /// end: so after some rounds the others wait for the next step. The first round counts in the burst only if the
    /// machine set its timer by itself (`on_own_account`).
    #[cold]
    pub fn tell_begun<W: Watch>(&mut self, now: Nanos, on_own_account: bool, watch: &mut W) {
        for round in 0..limits::TIMER_ROUNDS_MAX {
            let mut told = false;
            for _ in 0..self.begun.len() {
                let Some(&machine) = self.begun.first() else { break };
                self.begun.remove(0);
                if self.is_resting(machine, now) {
                    self.begun.push(machine);
                    continue;
                }
                told = true;
                if round > 0 || on_own_account {
                    self.spend(machine.into(), now, now, watch);
                }
                let begun = TriggerEvent::TimerBegin { machine: MachineId::from_raw(machine.into()) };
                self.trigger_or_watch(begun, now, false, watch);
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

    fn is_resting(&self, machine: u8, now: Nanos) -> bool {
        self.runs.get(usize::from(machine)).is_some_and(|run| run.resting && run.since > now)
    }

    /// Earliest time at which a machine in `begun` may be told TimerBegin.
    fn begun_due(&self) -> Nanos {
        let runs = self.begun.iter().filter_map(|&machine| self.runs.get(usize::from(machine)));
        runs.map(|run| run.after_rest(self.begun_at)).fold(NEVER, Nanos::min)
    }

    /// Counts a thing that a machine does by itself, which was due at `due`. A machine that does too much without
    /// waiting has to rest, and then may do one thing after each rest, until it waits for longer by itself.
    fn spend(&mut self, machine: u32, due: Nanos, now: Nanos, watch: &mut impl Watch) {
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
            let (Spot { hop, slot }, lasts) = (self.spot(), self.rest_end.saturating_sub(now));
            watch.note(|circuit| Event::MachineRests { circuit, hop, slot, machine, lasts });
        }
    }

    /// Returns the first thing that is due, and when.
    #[inline]
    pub fn earliest(&self) -> Option<(Nanos, Due)> {
        // TimerBegin is not due earlier than `begun_due`, or a machine that sets its timer again and again would keep
        // everything else from its turn.
        let (mut first, mut what) = (self.block_until, Due::BlockEnd);
        let mut earlier = |at: Nanos, due: Due| {
            if at < first {
                (first, what) = (at, due);
            }
        };
        if !self.begun.is_empty() {
            earlier(self.begun_due(), Due::Begun);
        }
        // In the order of `Due`, as of things due at the same time the one that is asked first is the first.
        self.runs.iter().zip(0..).for_each(|(run, machine)| earlier(run.timer_at, Due::Timer(machine)));
        self.runs.iter().zip(0..).for_each(|(run, machine)| earlier(run.action_at, Due::Action(machine)));
        (first != NEVER).then_some((first, what))
    }

    /// The machine whose padding action comes first, with its time, and whether it bypasses a block; none if it would
    /// replace padding, if anything else comes as early, or if the first time is not known for certain.
    #[inline(always)]
    pub fn next_padding(&self) -> Option<(u32, Nanos, bool)> {
        let at = self.next;
        let (machine, run) = (0..).zip(&self.runs).find(|(_, run)| run.action_at == at)?;
        let others = self.runs.iter().any(|run| run.timer_at == at) || self.block_until == at;
        let is_plain = run.pads && !run.replace && self.begun.is_empty() && !others && at != NEVER;
        is_plain.then_some((machine, at, run.bypass))
    }

    /// Finds the time of the first thing that is due.
    #[inline(always)]
    pub fn refresh(&mut self) {
        let begun = if self.begun.is_empty() { NEVER } else { self.begun_due() };
        let timers = self.runs.iter().map(|run| run.timer_at.min(run.action_at));
        self.next = timers.fold(self.block_until.min(begun), Nanos::min);
    }

    /// Ends the block, as its time is over.
    pub fn end_block(&mut self, now: Nanos, watch: &mut impl Watch) {
        self.note_block_end(now, watch);
        self.stats.blocked = self.stats.blocked.saturating_add(now.saturating_sub(self.block_since));
        self.block_until = NEVER;
        self.trigger(TriggerEvent::BlockingEnd, now, false, watch);
    }

    /// Begins a block, or replaces or extends the current block.
    pub fn block(&mut self, machine: u32, wanted: Block, now: Nanos, watch: &mut impl Watch) {
        let until = now.saturating_add(wanted.duration).min(NEVER - 1);
        let blocking = self.is_blocking();
        let changes = !blocking || wanted.replace || until > self.block_until;
        if !blocking {
            self.block_since = now;
        }
        if changes {
            self.block_until = until;
            self.bypassable = wanted.bypass;
        }
        self.stats.blocks += 1;
        let (Spot { hop, slot }, bypass) = (self.spot(), u8::from(self.bypassable));
        let (turn, lasts) = (BlockTurn::of(blocking, changes) as u8, self.block_until.saturating_sub(now));
        watch.note(|circuit| Event::BlockBegan { circuit, hop, slot, machine, turn, bypass, lasts });
        self.trigger(TriggerEvent::BlockingBegin { machine: MachineId::from_raw(machine as usize) }, now, false, watch);
    }

    /// Refuses a block that is due: the machines are told that it began and ended at once. A current block ends too.
    pub fn refuse_block(&mut self, machine: u32, by: RefusedBy, now: Nanos, watch: &mut impl Watch) {
        let (Spot { hop, slot }, why) = (self.spot(), by as u8);
        watch.note(|circuit| Event::PaddingRefused { circuit, hop, slot, machine, what: 2, why });
        if self.is_blocking() {
            self.note_block_end(now, watch);
            self.stats.blocked = self.stats.blocked.saturating_add(now.saturating_sub(self.block_since));
            self.block_until = NEVER;
        }
        self.stats.blocks += 1;
        self.trigger(TriggerEvent::BlockingBegin { machine: MachineId::from_raw(machine as usize) }, now, false, watch);
        self.trigger(TriggerEvent::BlockingEnd, now, false, watch);
    }

    /// Makes the block end at `now` if it would end later.
    pub fn end_block_by(&mut self, now: Nanos) {
        self.block_until = self.block_until.min(now);
        self.next = self.next.min(self.block_until);
    }

    /// Ends a machine's internal timer, which was due at `due`.
    pub fn timer(&mut self, machine: u32, due: Nanos, now: Nanos, watch: &mut impl Watch) {
        if let Some(run) = self.runs.get_mut(machine as usize) {
            run.timer_at = NEVER;
        }
        self.spend(machine, due, now, watch);
        self.trigger(TriggerEvent::TimerEnd { machine: MachineId::from_raw(machine as usize) }, now, false, watch);
    }

    /// The action of a machine whose action timer runs.
    #[inline]
    pub fn action(&self, machine: u32) -> Option<Action> {
        let &Run { duration, pads, bypass, replace, .. } = self.runs.get(machine as usize)?;
        let block = Block { duration, bypass, replace };
        Some(if pads { Action::Pad { bypass, replace } } else { Action::Block(block) })
    }

    /// Ends the action timer of a machine, which was due at `due`.
    #[inline]
    pub fn end_action_timer(&mut self, machine: u32, due: Nanos, now: Nanos, watch: &mut impl Watch) {
        self.runs.get_mut(machine as usize).into_iter().for_each(|run| run.action_at = NEVER);
        self.spend(machine, due, now, watch);
    }

    /// Counts a padding cell of a machine of this padder, and tells the machines.
    #[inline]
    pub fn padding_sent(&mut self, machine: u32, now: Nanos, watch: &mut impl Watch) {
        self.stats.padding_sent += 1;
        self.tell_padding_sent(machine, now, watch);
    }

    /// Tells PaddingSent for a machine of this padder, whether a cell was sent or not.
    pub fn tell_padding_sent(&mut self, machine: u32, now: Nanos, watch: &mut impl Watch) {
        self.trigger(TriggerEvent::PaddingSent { machine: MachineId::from_raw(machine as usize) }, now, false, watch);
    }

    /// Counts a question to the host. Returns false when too many are not answered yet.
    pub fn ask(&mut self, machine: u32) -> bool {
        match self.runs.get_mut(machine as usize) {
            Some(run) if run.asked < limits::PADDING_ASKED_MAX => {
                run.asked += 1;
                true
            }
            _ => false,
        }
    }

    /// True while the host has not answered a question for this machine.
    pub fn is_asked(&self, machine: u32) -> bool {
        self.runs.get(machine as usize).is_some_and(|run| run.asked > 0)
    }

    /// Counts an answer of the host. Returns false when there was no question.
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
