//! The network of a world in virtual time: two engines, the links between them, and a heap of events.

use crate::choices::STOCK;
use crate::host::{End, Stream, CLIENT, EXIT};
use crate::link::{Cell, Link, CELL_BITS, FOREIGN};
use crate::measure::{Figures, LegLook};
use crate::rng::{mix, Rng};
use crate::world::{Change, Cross, Shift, Work, World, MS, SECOND};
use circflow::base::{Id, Nanos};
use circflow::conflux::Algorithm;
use circflow::reactor::Side;
use circflow::wire::Command;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Cells of a circuit in a channel's queue at which the exit is told that the channel is full, and that it is not any
/// more: cellq_high and cellq_low of docs/parameters.md.
const CHANNEL_HIGH: u32 = 256;
const CHANNEL_LOW: u32 = 10;

/// Time between two messages of the interactive stream.
const TALK_PACE: Nanos = 200 * MS;

/// More events than any run needs.
const EVENTS_MAX: u64 = 400_000_000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    /// A cell has passed the bottleneck of a leg, in a direction.
    Sent(usize, usize),
    /// A cell arrives at an end.
    Arrive(usize, usize),
    Tick(usize),
    Change(usize),
    /// The circuits of a dead leg are closed.
    Bury(usize),
    /// Cross traffic of a leg.
    Cross(usize),
    Open,
    Begin,
    Talk,
    RivalBegins(usize),
    /// How the legs are is written down.
    Look,
}

/// A circuit from the client to the exit.
#[derive(Clone, Debug)]
pub struct Circ {
    pub ids: [Id; 2],
    pub leg: usize,
    /// It is no leg of the set, and has a download of its own.
    pub is_rival: bool,
    /// Cells sent by each end.
    pub sent: [u64; 2],
    /// Cells of it before the bottleneck towards the client, where that is the exit's own channel.
    pub queued: u32,
    pub full: bool,
}

struct CrossState {
    rng: Rng,
    on_until: Nanos,
    gap: Nanos,
    cross: Cross,
}

pub struct Net<'w> {
    pub world: &'w World,
    pub now: Nanos,
    heap: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    order: u64,
    pub ends: [End; 2],
    pub circs: Vec<Circ>,
    pub streams: Vec<Stream>,
    /// For each leg, towards the exit and towards the client.
    links: Vec<[Link; 2]>,
    cross: Vec<Option<CrossState>>,
    pub figures: Figures,
    /// The end that sends what is measured.
    pub sender: usize,
    pub begun: Nanos,
    pub fed: [bool; 2],
    /// The client's.
    pub algorithm: Algorithm,
    pub work: Work,
    /// Sizes of the streams: one, or those of a page.
    pub page: Vec<u64>,
    looks: Nanos,
    /// The circuits of the set.
    pub members: Vec<usize>,
}

/// What a run is to do besides what its world says.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub algorithm: Algorithm,
    /// The legs that the set has.
    pub legs: &'a [usize],
    pub work: Work,
    /// Give up when the transfer has taken so long.
    pub limit: Nanos,
    /// Note the arrival of each cell.
    pub curve: bool,
    /// Write down how the legs are so often; 0 for never.
    pub looks: Nanos,
}

/// Runs a world to the last byte, to the end of its set, or to the limit.
pub fn run(world: &World, task: &Task<'_>) -> Figures {
    let mut net = Net::new(world, task);
    net.populate(task);
    let end = world.start() + task.limit;
    let mut events = 0;
    while let Some(Reverse((at, _, event))) = net.heap.pop() {
        if at > end || net.figures.is_over() {
            break;
        }
        events += 1;
        assert!(events < EVENTS_MAX, "{}: no end of it", world.name);
        net.now = at;
        net.happen(event);
        net.settle();
    }
    net.finish();
    net.figures
}

impl<'w> Net<'w> {
    fn new(world: &'w World, task: &Task<'_>) -> Net<'w> {
        let mut links = Vec::new();
        for (index, leg) in world.legs.iter().enumerate() {
            let seed = |way: u64| mix(world.seed ^ (index as u64) << 8 ^ way);
            links.push([
                Link::new(leg.up, leg.trip / 2, leg.jitter, seed(0)),
                Link::new(leg.down, leg.trip / 2, leg.jitter, seed(1)),
            ]);
        }
        Net {
            world,
            now: 0,
            heap: BinaryHeap::new(),
            order: 0,
            ends: [CLIENT, EXIT].map(|end| End::new(end, choice_of(end, task))),
            circs: Vec::new(),
            streams: Vec::new(),
            links,
            cross: Vec::new(),
            figures: Figures::new(task.curve),
            sender: sender(task.work),
            begun: world.start(),
            fed: [false; 2],
            algorithm: choice_of(CLIENT, task),
            work: task.work,
            page: Vec::new(),
            looks: 0,
            members: Vec::new(),
        }
    }

    fn populate(&mut self, task: &Task<'_>) {
        self.draw_work(task.work);
        self.members = task.legs.iter().map(|&leg| self.open_circuit(leg, false)).collect();
        self.at(self.world.opens(), Event::Open);
        for &leg in task.legs {
            for rival in 0..self.world.legs[leg].rivals {
                let circ = self.open_circuit(leg, true);
                self.at(SECOND / 2 + u64::from(rival) * 100 * MS, Event::RivalBegins(circ));
            }
        }
        for leg in 0..self.world.legs.len() {
            let cross = self.world.legs[leg].cross.filter(|_| task.legs.contains(&leg));
            let rate = |cross: Cross| self.world.legs[leg].down * cross.share / 1000;
            self.cross.push(cross.map(|cross| CrossState {
                rng: Rng::new(self.world.seed ^ 77 ^ leg as u64),
                on_until: 0,
                gap: CELL_BITS * SECOND / rate(cross),
                cross,
            }));
            if cross.is_some() {
                self.at(SECOND, Event::Cross(leg));
            }
        }
        for (index, change) in self.world.changes.iter().enumerate() {
            self.at(self.begun + change.at, Event::Change(index));
        }
        self.at(self.begun, Event::Begin);
        if task.looks > 0 {
            self.looks = task.looks;
            self.at(self.begun, Event::Look);
        }
        self.settle();
    }

    /// Draws what is transferred: the total, and the sizes of a page.
    fn draw_work(&mut self, work: Work) {
        let mut rng = Rng::new(self.world.seed ^ 0x9a6e);
        self.page = match work {
            Work::Page(streams) => page_sizes(&mut rng, streams),
            Work::Download(bytes) | Work::Upload(bytes) | Work::Interactive(bytes) => vec![bytes],
        };
        self.figures.total = self.page.iter().sum();
    }

    fn at(&mut self, at: Nanos, event: Event) {
        self.order += 1;
        self.heap.push(Reverse((at.max(self.now), self.order, event)));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Sent(leg, way) => self.sent(leg, way),
            Event::Arrive(leg, way) => {
                let (cell, next) = self.links[leg][way].arrive();
                next.into_iter().for_each(|at| self.at(at, Event::Arrive(leg, way)));
                cell.into_iter().for_each(|cell| self.receive(1 - way_end(way), cell));
            }
            Event::Tick(end) => self.tick(end),
            Event::Change(index) => self.change(self.world.changes[index]),
            Event::Bury(leg) => self.bury(leg),
            Event::Cross(leg) => self.cross(leg),
            Event::Open => self.open_set(),
            Event::Begin => self.begin(),
            Event::Talk => {
                if self.talk() {
                    self.at(self.now + TALK_PACE, Event::Talk);
                }
            }
            Event::RivalBegins(circ) => self.begin_rival(circ),
            Event::Look => self.look(),
        }
    }

    /// The interactive stream says something from now on.
    pub fn start_talk(&mut self) {
        self.at(self.now + TALK_PACE, Event::Talk);
    }

    pub fn wake_at(&mut self, at: Nanos, end: usize) {
        self.at(at, Event::Tick(end));
    }

    /// A circuit's end puts a cell on the way to the other.
    pub fn put(&mut self, circ: usize, end: usize, mut cell: Cell) -> u64 {
        let state = &mut self.circs[circ];
        cell.circ = circ as u32;
        cell.serial = state.sent[end];
        state.sent[end] += 1;
        let leg = state.leg;
        let way = usize::from(end == EXIT);
        if end == EXIT && self.world.legs[leg].near {
            state.queued += 1;
            if state.queued >= CHANNEL_HIGH && !std::mem::replace(&mut state.full, true) {
                self.tell_writable(circ, false);
            }
        }
        if let Some(at) = self.links[leg][way].push(self.now, cell) {
            self.at(at, Event::Sent(leg, way));
        }
        cell.serial
    }

    fn sent(&mut self, leg: usize, way: usize) {
        let (cell, next, arrives) = self.links[leg][way].sent(self.now);
        next.into_iter().for_each(|at| self.at(at, Event::Sent(leg, way)));
        arrives.into_iter().for_each(|at| self.at(at, Event::Arrive(leg, way)));
        let Some(cell) = cell.filter(|_| way == 1 && self.world.legs[leg].near) else { return };
        let state = &mut self.circs[cell.circ as usize];
        state.queued -= 1;
        if state.queued <= CHANNEL_LOW && std::mem::replace(&mut state.full, false) {
            self.tell_writable(cell.circ as usize, true);
        }
    }

    /// Writes down how the sender sees each leg, and what waits before its bottleneck.
    fn look(&mut self) {
        let way = usize::from(self.sender == EXIT);
        let mut legs = Vec::new();
        for circ in self.circs.iter().filter(|circ| !circ.is_rival) {
            let Ok(stats) = self.ends[self.sender].engine.leg_stats(circ.ids[self.sender]) else { continue };
            let queue = self.links[circ.leg][way].waiting();
            let sent = circ.sent[self.sender];
            legs.push(LegLook {
                leg: circ.leg,
                cwnd: stats.cwnd,
                inflight: stats.inflight,
                rtt: stats.rtt,
                queue,
                sent,
            });
        }
        self.figures.note_look(self.now, legs);
        self.at(self.now + self.looks, Event::Look);
    }

    fn tell_writable(&mut self, circ: usize, writable: bool) {
        let id = self.circs[circ].ids[EXIT];
        if id == Id::NONE {
            return;
        }
        let told = self.ends[EXIT].engine.set_writable(self.now, id, Side::Back, writable);
        assert!(told.is_ok(), "{}: a channel's room is heard: {told:?}", self.world.name);
        self.fed[EXIT] = true;
    }

    fn change(&mut self, change: Change) {
        let now = self.now;
        for link in &mut self.links[change.leg] {
            match change.shift {
                Shift::Rate(thousandths) => link.set_rate(thousandths),
                Shift::Trip(thousandths) => link.set_trip(thousandths),
                Shift::Stall(long) => link.stall(now + long),
                Shift::Die => link.die(),
            }
        }
        if change.shift == Shift::Die {
            self.at(now + self.world.legs[change.leg].trip, Event::Bury(change.leg));
        }
    }

    fn bury(&mut self, leg: usize) {
        for circ in 0..self.circs.len() {
            if self.circs[circ].leg == leg {
                (0..2).for_each(|end| self.close(circ, end));
            }
        }
    }

    /// Cross traffic sends a cell, or falls silent for a while.
    fn cross(&mut self, leg: usize) {
        let now = self.now;
        let Some(state) = &mut self.cross[leg] else { return };
        if now < state.on_until {
            let at = now + state.gap;
            self.at(at, Event::Cross(leg));
            if let Some(at) = self.links[leg][1].push(now, Cell::new(FOREIGN, Command::DATA, 0)) {
                self.at(at, Event::Sent(leg, 1));
            }
            return;
        }
        // It was silent until now: between a half and one and a half of the mean times.
        let Cross { on, off, .. } = state.cross;
        let until = now + state.rng.range(on / 2, on + on / 2);
        let silent = state.rng.range(off / 2, off + off / 2);
        let begins_again = state.on_until != 0;
        state.on_until = if begins_again { until + silent } else { until };
        let at = if begins_again { now + silent } else { now };
        self.at(at, Event::Cross(leg));
    }
}

/// The end that sends what is measured.
fn sender(work: Work) -> usize {
    if matches!(work, Work::Upload(_)) {
        CLIENT
    } else {
        EXIT
    }
}

/// Only the sender chooses by what is studied; its peer is a stock one.
fn choice_of(end: usize, task: &Task<'_>) -> Algorithm {
    if end == sender(task.work) {
        task.algorithm
    } else {
        STOCK.algorithm
    }
}

/// The end that sends in a direction.
fn way_end(way: usize) -> usize {
    if way == 1 {
        EXIT
    } else {
        CLIENT
    }
}

/// The first stream of a page, then pictures and scripts of many sizes.
fn page_sizes(rng: &mut Rng, streams: u64) -> Vec<u64> {
    let mut sizes = vec![60 * 1024];
    sizes.extend((1..streams).map(|_| match rng.below(10) {
        0..=5 => rng.range(2, 20) * 1024,
        6..=8 => rng.range(20, 120) * 1024,
        _ => rng.range(120, 400) * 1024,
    }));
    sizes
}
