//! One circuit's padding, the slow and plain way: what the contract with maybenot says, with lists that are searched
//! from end to end and nothing remembered that can be found out again.

use circflow::padding::{Answer, Generator, Key, Pad, PadderStats};
use maybenot::time;
use maybenot::{Framework, Machine, MachineId, Timer, TriggerAction, TriggerEvent};

pub const SECOND: u64 = 1_000_000_000;

/// Nanoseconds, as an instant and as a duration.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub struct Ns(pub u64);

impl time::Instant for Ns {
    type Duration = Ns;

    fn saturating_duration_since(&self, earlier: Self) -> Ns {
        Ns(self.0.saturating_sub(earlier.0))
    }
}

impl time::Duration for Ns {
    fn zero() -> Self {
        Ns(0)
    }

    fn from_micros(micros: u64) -> Self {
        Ns(micros.saturating_mul(1000))
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }

    fn div_duration_f64(self, rhs: Self) -> f64 {
        self.0 as f64 / rhs.0 as f64
    }
}

impl std::ops::AddAssign for Ns {
    fn add_assign(&mut self, rhs: Self) {
        self.0 = self.0.saturating_add(rhs.0);
    }
}

/// What the circuit's host is to see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Out {
    Pad { pad: Pad, asks: bool },
    Held { hop: u8, serial: u64 },
    Block { bypassable: bool },
    Unblock,
    Resume,
}

/// What a timer does, in the order of dealing with what is due at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    BlockEnd,
    TellBegun,
    Internal,
    Action,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Nothing,
    Pad { bypass: bool, replace: bool },
    Block { duration: u64, bypass: bool, replace: bool },
}

#[derive(Clone, Copy, Debug)]
struct Alarm {
    at: u64,
    kind: Kind,
    machine: usize,
    place: (u8, u8),
    act: Act,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    since: u64,
    bypassable: bool,
}

/// What a padder is made with.
pub struct Made {
    pub place: (u8, u8),
    pub machines: Vec<Machine>,
    pub fracs: (f64, f64),
    pub queued_max: usize,
}

struct Padder {
    place: (u8, u8),
    framework: Framework<Vec<Machine>, Generator, Ns>,
    queued_max: usize,
    block: Option<Block>,
    /// Machines that set their timer and have not been told yet, in order.
    begun: Vec<usize>,
    /// When those were put off.
    begun_at: u64,
    asked: Vec<usize>,
    stats: PadderStats,
    told_at: u64,
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    Pad(Pad),
    Message { hop: u8, serial: u64 },
}

impl Cell {
    fn hop(&self) -> u8 {
        match *self {
            Cell::Pad(pad) => pad.hop,
            Cell::Message { hop, .. } => hop,
        }
    }
}

pub struct Naive {
    asks: bool,
    room: usize,
    padders: Vec<Padder>,
    alarms: Vec<Alarm>,
    /// Behind the block.
    waiting: Vec<Cell>,
    /// In the channel's queue: where to.
    unwritten: Vec<u8>,
    /// Of these, the ones that the host has had a chance to write: those of this very call do not count as queued.
    writable: usize,
    /// Since when nothing blocks, while what waited has not been let out.
    opening: Option<u64>,
    stopped: bool,
    latest: u64,
    /// Instructions, in order.
    pub out: Vec<Out>,
    keeps_log: bool,
    /// Events reported, for a look at what led to a failure.
    pub log: Vec<(u64, (u8, u8), TriggerEvent)>,
    pub events: u64,
    pub overrun: bool,
}

impl Naive {
    pub fn new(asks: bool, room: usize) -> Self {
        Naive {
            asks,
            room,
            padders: Vec::new(),
            alarms: Vec::new(),
            waiting: Vec::new(),
            unwritten: Vec::new(),
            writable: 0,
            opening: None,
            stopped: false,
            latest: 0,
            out: Vec::new(),
            keeps_log: std::env::var_os("PADDING_LOG").is_some(),
            log: Vec::new(),
            events: 0,
            overrun: false,
        }
    }

    pub fn install(&mut self, made: Made, key: Key, now: u64) {
        let Made { place, machines, fracs, queued_max } = made;
        let count = machines.len();
        let rng = Generator::new(key);
        let framework = Framework::new(machines, fracs.0, fracs.1, Ns(now), rng).unwrap();
        let (begun, asked, stats) =
            (Vec::new(), Vec::new(), PadderStats { machines: count as u32, ..PadderStats::default() });
        let padder =
            Padder { place, framework, queued_max, block: None, begun, begun_at: 0, asked, stats, told_at: now };
        self.padders.push(padder);
    }

    pub fn remove(&mut self, place: (u8, u8), now: u64) {
        let before = self.blocks();
        self.padders.retain(|padder| padder.place != place);
        self.alarms.retain(|alarm| alarm.place != place);
        // What it has not sent yet it never will.
        self.waiting.retain(|cell| !matches!(cell, Cell::Pad(pad) if (pad.hop, pad.slot) == place));
        self.latest = now;
        self.gate_moved(before, now);
        if self.opening.is_none() {
            self.make_room();
        }
    }

    /// For a look at what led to a failure: the last events (with `PADDING_LOG`) and what is to come.
    pub fn show(&self) {
        self.log.iter().rev().take(60).rev().for_each(|line| eprintln!("{line:?}"));
        self.alarms.iter().for_each(|alarm| eprintln!("{alarm:?}"));
        eprintln!("opening {:?}, latest {}", self.opening, self.latest);
    }

    pub fn places(&self) -> Vec<(u8, u8)> {
        self.padders.iter().map(|padder| padder.place).collect()
    }

    pub fn stats(&self, place: (u8, u8), now: u64) -> PadderStats {
        let padder = self.padders.iter().find(|padder| padder.place == place).unwrap();
        let under_way = padder.block.map_or(0, |block| now - block.since);
        let timers = self.alarms.iter().filter(|alarm| alarm.place == place).count() as u32;
        PadderStats { timers, blocked: padder.stats.blocked + under_way, ..padder.stats }
    }

    /// Blocks that are on: whether padding may pass.
    fn blocks(&self) -> Vec<bool> {
        self.padders.iter().filter_map(|padder| padder.block).map(|block| block.bypassable).collect()
    }

    pub fn is_blocked(&self) -> bool {
        !self.blocks().is_empty() || self.opening.is_some()
    }

    /// When something is due next.
    pub fn next(&self) -> Option<u64> {
        let due = self.first().map(|(at, ..)| at);
        due.into_iter().chain(self.opening).min()
    }

    fn first(&self) -> Option<(u64, Kind, usize, usize)> {
        let begun = self.padders.iter().enumerate().filter(|(_, padder)| !padder.begun.is_empty());
        let begun = begun.map(|(index, padder)| (padder.begun_at, Kind::TellBegun, 0, index));
        let timed = self.alarms.iter().map(|alarm| {
            let index = self.padders.iter().position(|padder| padder.place == alarm.place).unwrap();
            (alarm.at, alarm.kind, alarm.machine, index)
        });
        timed.chain(begun).min()
    }

    /// Deals with what is due at `now`, but with no more than `most` things. Answers with how many there were.
    pub fn run(&mut self, now: u64, most: u64) -> u64 {
        let mut done = 0;
        self.writable = self.unwritten.len();
        loop {
            let due = self.first().filter(|&(at, ..)| at <= now);
            // Once it is open, what waited goes before anything that is due later.
            if self.opening.is_some_and(|since| due.is_none_or(|(at, ..)| at > since)) {
                self.open();
                continue;
            }
            let Some(due) = due.filter(|_| done < most) else { return done };
            self.do_due(due, now);
            done += 1;
        }
    }

    fn do_due(&mut self, (at, kind, machine, index): (u64, Kind, usize, usize), now: u64) {
        let before = self.blocks();
        // An event has the time at which it was due, unless that is more than a second ago, or before another event.
        let time = at.max(now.saturating_sub(SECOND)).max(self.latest);
        assert!(time <= now);
        self.latest = time;
        let act = self.cancel(index, machine, kind);
        match (kind, act) {
            (Kind::TellBegun, _) => self.tell_begun(index, time),
            (Kind::BlockEnd, _) => {
                let padder = &mut self.padders[index];
                padder.stats.blocked += time - padder.block.take().unwrap().since;
                self.report(index, TriggerEvent::BlockingEnd, time);
            }
            (Kind::Internal, _) => self.report(index, TriggerEvent::TimerEnd { machine: id(machine) }, time),
            (Kind::Action, Act::Pad { bypass, replace }) => self.pad(index, machine, bypass, replace, time),
            (Kind::Action, Act::Block { duration, bypass, replace }) => {
                self.block(index, duration, bypass, replace, time);
                self.padders[index].stats.blocks += 1;
                self.report(index, TriggerEvent::BlockingBegin { machine: id(machine) }, time);
            }
            (Kind::Action, Act::Nothing) => unreachable!(),
        }
        self.gate_moved(before, time);
    }

    /// MB-24. The duration and whether padding may pass go together.
    fn block(&mut self, index: usize, duration: u64, bypass: bool, replace: bool, now: u64) {
        let place = self.padders[index].place;
        let end = self.alarms.iter().find(|alarm| alarm.place == place && alarm.kind == Kind::BlockEnd);
        if end.is_none_or(|end| replace || now + duration > end.at) {
            self.set(index, 0, Kind::BlockEnd, now + duration, Act::Nothing);
            let since = self.padders[index].block.map_or(now, |block| block.since);
            self.padders[index].block = Some(Block { since, bypassable: bypass });
        }
    }

    fn gate_moved(&mut self, before: Vec<bool>, now: u64) {
        // No block at all, one that padding may pass (all agree), or one that it may not.
        let shape = |blocks: &[bool]| (!blocks.is_empty()).then(|| blocks.iter().all(|&bypassable| bypassable));
        let blocks = self.blocks();
        if shape(&before) == shape(&blocks) {
            return;
        }
        match shape(&blocks) {
            None => self.opening = Some(now),
            Some(bypassable) => {
                self.opening = None;
                if self.asks {
                    self.out.push(Out::Block { bypassable });
                }
            }
        }
    }

    fn open(&mut self) {
        self.opening = None;
        if self.asks {
            self.out.push(Out::Unblock);
        }
        for cell in std::mem::take(&mut self.waiting) {
            self.leave(cell);
        }
        self.make_room();
    }

    fn leave(&mut self, cell: Cell) {
        self.queue(cell.hop());
        self.out.push(match cell {
            Cell::Pad(pad) => Out::Pad { pad, asks: false },
            Cell::Message { hop, serial } => Out::Held { hop, serial },
        });
    }

    /// All that the host is to do; room is made as it takes messages.
    pub fn take_out(&mut self) -> Vec<Out> {
        let mut all = Vec::new();
        while !self.out.is_empty() {
            let first = self.out.remove(0);
            // Nobody asks any more: the padder has gone, or has its answer.
            let asked = |pad: Pad| {
                let mut padders = self.padders.iter().filter(|padder| padder.place == (pad.hop, pad.slot));
                padders.any(|padder| padder.asked.contains(&(pad.machine as usize)))
            };
            if matches!(first, Out::Pad { pad, asks: true } if !asked(pad)) {
                continue;
            }
            let is_message = matches!(first, Out::Held { .. });
            all.push(first);
            if is_message {
                self.make_room();
            }
        }
        all
    }

    /// Messages that are let out and not taken: nothing overtakes them.
    fn untaken(&self) -> usize {
        self.out.iter().filter(|out| matches!(out, Out::Held { .. })).count()
    }

    fn is_clear(&self) -> bool {
        !self.is_blocked() && self.untaken() == 0
    }

    fn has_room(&self) -> bool {
        self.waiting.len() + self.untaken() < self.room
    }

    /// A host that was told to stop goes on as soon as there is room.
    fn make_room(&mut self) {
        if self.stopped && (self.is_clear() || self.has_room()) {
            self.stopped = false;
            self.out.push(Out::Resume);
        }
    }

    /// The table of MB-23.
    fn pad(&mut self, index: usize, machine: usize, bypass: bool, replace: bool, now: u64) {
        let (hop, slot) = self.padders[index].place;
        let pad = Pad { hop, slot, machine: machine as u32, bypass, replace };
        if self.asks {
            self.padders[index].asked.push(machine);
            self.out.push(Out::Pad { pad, asks: true });
            return;
        }
        let blocks = self.blocks();
        let past = blocks.is_empty() || (bypass && blocks.iter().all(|&bypassable| bypassable));
        let is_leaving = self.unwritten.iter().take(self.writable).any(|&to| to >= hop);
        let held = self.waiting.iter().position(|cell| cell.hop() >= hop);
        if replace && (is_leaving || held.is_some()) {
            if let (false, true, false, Some(first)) = (blocks.is_empty(), past, is_leaving, held) {
                let cell = self.waiting.remove(first);
                self.leave(cell);
                self.make_room();
            }
            self.padders[index].stats.replaced += 1;
            return self.report(index, TriggerEvent::PaddingSent { machine: id(machine) }, now);
        }
        let room =
            if past { self.padders[index].queued_max > self.unwritten.len() } else { self.waiting.len() < self.room };
        if !room {
            self.padders[index].stats.refused += 1;
            return self.report(index, TriggerEvent::PaddingSent { machine: id(machine) }, now);
        }
        if past {
            self.leave(Cell::Pad(pad));
        } else {
            self.waiting.push(Cell::Pad(pad));
        }
        self.padding_sent(index, machine, now);
    }

    /// To the machine's own padder it is padding, to its neighbour padding of no machine, before it a cell like others.
    fn padding_sent(&mut self, own: usize, machine: usize, now: u64) {
        let hop = self.padders[own].place.0;
        for index in 0..self.padders.len() {
            let nearer = self.padders[index].place.0;
            if index == own {
                self.padders[index].stats.padding_sent += 1;
                self.report(index, TriggerEvent::PaddingSent { machine: id(machine) }, now);
            } else if nearer == hop {
                self.report(index, TriggerEvent::PaddingSent { machine: id(1 << 40) }, now);
            } else if nearer < hop {
                self.padders[index].stats.normal_sent += 1;
                self.report(index, TriggerEvent::NormalSent, now);
            }
        }
    }

    pub fn answered(&mut self, pad: Pad, answer: Answer, now: u64) -> bool {
        let Some(index) = self.padders.iter().position(|padder| padder.place == (pad.hop, pad.slot)) else {
            return false;
        };
        let machine = pad.machine as usize;
        let Some(open) = self.padders[index].asked.iter().position(|&asked| asked == machine) else { return false };
        self.padders[index].asked.remove(open);
        self.latest = now;
        match answer {
            Answer::Sent => {
                self.queue(pad.hop);
                self.padding_sent(index, machine, now);
            }
            Answer::Replaced | Answer::Released => {
                self.padders[index].stats.replaced += 1;
                self.report(index, TriggerEvent::PaddingSent { machine: id(machine) }, now);
            }
            Answer::Refused => self.padders[index].stats.refused += 1,
        }
        true
    }

    pub fn received(&mut self, hop: u8, is_padding: bool, now: u64) {
        self.latest = now;
        for index in 0..self.padders.len() {
            let own = self.padders[index].place.0;
            if own > hop {
                continue;
            }
            self.report(index, TriggerEvent::TunnelRecv, now);
            if is_padding && own == hop {
                self.padders[index].stats.padding_received += 1;
                self.report(index, TriggerEvent::PaddingRecv, now);
            } else {
                self.padders[index].stats.normal_received += 1;
                self.report(index, TriggerEvent::NormalRecv, now);
            }
        }
    }

    fn normal_sent(&mut self, hop: u8, now: u64) {
        self.latest = now;
        for index in 0..self.padders.len() {
            if self.padders[index].place.0 <= hop {
                self.padders[index].stats.normal_sent += 1;
                self.report(index, TriggerEvent::NormalSent, now);
            }
        }
    }

    /// A cell was queued that no block holds.
    pub fn sent(&mut self, hop: u8, now: u64) {
        self.normal_sent(hop, now);
        self.queue(hop);
    }

    /// A stream's message: sent (true), held (false), or there is no room.
    pub fn send(&mut self, hop: u8, serial: u64, now: u64) -> Option<bool> {
        if self.asks || self.is_clear() {
            self.sent(hop, now);
            Some(true)
        } else if self.has_room() {
            self.waiting.push(Cell::Message { hop, serial });
            if !self.is_blocked() {
                self.opening = Some(now);
            }
            self.normal_sent(hop, now);
            self.run(now, 0);
            Some(false)
        } else {
            self.stopped = true;
            None
        }
    }

    /// The list is as long as the host likes, but knows only 32 changes of the hop.
    fn queue(&mut self, hop: u8) {
        let runs = self.unwritten.chunk_by(|one, next| one == next).count();
        let last = self.unwritten.last().copied();
        self.unwritten.push(last.filter(|_| runs >= 32).unwrap_or(hop));
    }

    pub fn written(&mut self, cells: usize, now: u64) {
        self.latest = now;
        for hop in self.unwritten.drain(..cells.min(self.unwritten.len())).collect::<Vec<u8>>() {
            for index in 0..self.padders.len() {
                if self.padders[index].place.0 <= hop {
                    self.report(index, TriggerEvent::TunnelSent, now);
                }
            }
        }
    }

    /// An event, and TimerBegin for what it makes machines do with their timers.
    fn report(&mut self, index: usize, event: TriggerEvent, now: u64) {
        self.trigger(index, event, now);
        self.tell_begun(index, now);
    }

    fn tell_begun(&mut self, index: usize, now: u64) {
        for _ in 0..8 {
            self.overrun |= self.padders[index].begun.len() >= 64;
            for machine in std::mem::take(&mut self.padders[index].begun) {
                self.trigger(index, TriggerEvent::TimerBegin { machine: id(machine) }, now);
            }
        }
        self.overrun |= self.padders[index].begun.len() >= 64;
        self.padders[index].begun_at = now;
    }

    fn trigger(&mut self, index: usize, event: TriggerEvent, now: u64) {
        let padder = &mut self.padders[index];
        assert!(now >= padder.told_at, "MB-32: time goes on");
        padder.told_at = now;
        self.events += 1;
        if self.keeps_log {
            self.log.push((now, padder.place, event.clone()));
        }
        let actions: Vec<TriggerAction<Ns>> = padder.framework.trigger_events(&[event], Ns(now)).cloned().collect();
        for action in actions {
            match action {
                TriggerAction::SendPadding { timeout, bypass, replace, machine } => {
                    self.set(index, machine.into_raw(), Kind::Action, now + timeout.0, Act::Pad { bypass, replace });
                }
                TriggerAction::BlockOutgoing { timeout, duration, bypass, replace, machine } => {
                    let act = Act::Block { duration: duration.0, bypass, replace };
                    self.set(index, machine.into_raw(), Kind::Action, now + timeout.0, act);
                }
                TriggerAction::UpdateTimer { duration, replace, machine } => {
                    let machine = machine.into_raw();
                    let place = self.padders[index].place;
                    let armed =
                        |alarm: &&Alarm| (alarm.place, alarm.kind, alarm.machine) == (place, Kind::Internal, machine);
                    // MB-25.
                    let end = self.alarms.iter().find(armed).map_or(now, |alarm| alarm.at);
                    if replace || now + duration.0 > end {
                        self.set(index, machine, Kind::Internal, now + duration.0, Act::Nothing);
                        self.padders[index].begun.push(machine);
                    }
                }
                TriggerAction::Cancel { machine, timer } => {
                    if timer != Timer::Internal {
                        self.cancel(index, machine.into_raw(), Kind::Action);
                    }
                    if timer != Timer::Action {
                        self.cancel(index, machine.into_raw(), Kind::Internal);
                    }
                }
            }
        }
    }

    fn set(&mut self, index: usize, machine: usize, kind: Kind, at: u64, act: Act) {
        self.cancel(index, machine, kind);
        self.alarms.push(Alarm { at, kind, machine, place: self.padders[index].place, act });
    }

    fn cancel(&mut self, index: usize, machine: usize, kind: Kind) -> Act {
        let key = (self.padders[index].place, kind, machine);
        let found = self.alarms.iter().position(|alarm| (alarm.place, alarm.kind, alarm.machine) == key);
        found.map_or(Act::Nothing, |found| self.alarms.remove(found).act)
    }
}

fn id(machine: usize) -> MachineId {
    MachineId::from_raw(machine)
}
