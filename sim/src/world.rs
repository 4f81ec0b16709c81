//! The world of one seed: nodes, circuits, sets and streams, and the queue of events.

use crate::cell::Cell;
use crate::hand::Hands;
use crate::link::Link;
use crate::model::*;
use crate::node::Node;
use crate::plan::{Kind, Plan, MS};
use crate::rng::{mix, Rng};
use crate::share::Shares;
use crate::tally::{Tally, N};
use circflow::base::{Id, Nanos};
use circflow::engine::EngineHub;
use circflow::hub::HubConfig;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Something that happens at a moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// The first cell of a link arrives.
    Arrive(usize),
    /// A full link may have room.
    Room(usize),
    /// A node looks at its engine's deadline.
    Tick(usize),
    /// A node was woken by another of its process.
    Wake(usize),
    /// A node goes on draining.
    Drain(usize),
    /// A host feeds the cells that it kept in a pause.
    Unstash(usize, usize, usize),
    /// A stream is opened.
    Begin(usize),
    /// The relay answers BEGIN or RESOLVE.
    Answer(usize),
    /// More data for one end of a stream.
    Chunk(usize, usize),
    /// One end of a stream goes on sending.
    Pump(usize, usize),
    /// A reader takes bytes.
    Flush(usize, usize),
    /// One end of a stream ends it.
    End(usize, usize),
    /// A circuit breaks at one place.
    Kill(usize, usize),
    /// A host closes a circuit.
    Close(usize, usize),
    /// A host closes a set.
    CloseSet(usize, usize),
    /// A leg for a set.
    AddLeg(usize),
    /// A client makes the exit hold messages of a set; with the number of steps done.
    Pin(usize, u32),
    /// A leg's circuit is open.
    Built(usize),
    /// A circuit gets longer.
    Grow(usize),
    /// One that does not fit into a set is brought to it.
    Mislead(usize, usize),
    /// A host has closed a circuit, as it was told.
    Closed(usize, usize),
    /// All padders of a circuit are taken down.
    EndPadding(usize),
    /// A set that its host runs itself goes on; with the number of steps done.
    Hand(usize, u64),
    /// The host closes a set that it runs itself.
    EndHand(usize),
    /// A channel that was full gets room.
    Portion(usize),
    /// One end of a set names a leg; with the number of steps to come.
    Name(usize, usize, u64),
    /// Some channel gets other room.
    AnyRoom,
    /// A side of some circuit moves to another channel.
    Move,
    /// Some channel closes, and then its circuits leave it.
    CloseChannel,
    Leave(usize),
}

pub struct World {
    pub plan: Plan,
    pub rng: Rng,
    /// Random numbers for circuits that are still being built, so that worlds without them do not change.
    pub builds: Rng,
    /// Random numbers for circuits that get longer.
    pub grows: Rng,
    /// Random numbers for hosts that choose legs.
    pub names: Rng,
    pub now: Nanos,
    pub nodes: Vec<Node>,
    pub links: Vec<Link>,
    pub circs: Vec<Circ>,
    pub sets: Vec<SetModel>,
    pub streams: Vec<StreamModel>,
    pub tally: Tally,
    /// Hash of all answers and instructions of the engines.
    pub said: u64,
    pub trace: bool,
    /// Where what happens in the engines is written to, if somebody wants it.
    pub record: Option<Box<dyn Write>>,
    /// The actions of hostile peers, if a fuzzer has written them.
    pub tape: Option<std::vec::IntoIter<u8>>,
    /// Nodes that were fed during this event.
    pub fed: Vec<usize>,
    pub hands: Hands,
    pub shares: Shares,
    pub hub: Option<EngineHub>,
    pub ending: bool,
    link_of: BTreeMap<(usize, usize), usize>,
    heap: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    order: u64,
}

/// Cap on the events of one seed, far above the number that any seed needs.
const EVENTS_MAX: u64 = 2_000_000;

macro_rules! trace {
    ($world:expr, $($text:tt)*) => {
        if $world.trace {
            println!("{:>13.6} ms  {}", $world.now as f64 / 1e6, format_args!($($text)*));
        }
    };
}
pub(crate) use trace;

impl World {
    pub fn new(seed: u64, trace: bool) -> World {
        World::with_tape(seed, trace, None)
    }

    /// A world whose hostile peers act by the tape. It is small, so that a fuzzer can play many worlds.
    pub fn with_tape(seed: u64, trace: bool, tape: Option<Vec<u8>>) -> World {
        let mut rng = Rng::new(seed);
        let mut plan = Plan::draw(&mut rng);
        if tape.is_some() {
            plan.hostile = true;
            (plan.bytes_max, plan.streams) = (plan.bytes_max.min(3_000), plan.streams.min(4));
        }
        let mut builds = Rng::new(mix(seed));
        plan.building = builds.once_in(2);
        plan.pins = builds.once_in(4);
        if plan.pins && builds.once_in(2) {
            // Enough to reach the cap, beside sets that hold messages now and then.
            plan.held_max = builds.range(20_000, 300_000);
            plan.sets += builds.range(1, 4) as usize;
        }
        let mut grows = Rng::new(mix(seed) ^ 0x6709);
        plan.services = grows.once_in(2);
        let mut shares = Rng::new(mix(seed) ^ 0x5ea7);
        let in_portions = plan.shares && !shares.once_in(4);
        let nodes = (0..plan.nodes()).map(|index| Node::new(index, seed, &plan, &mut rng)).collect();
        let mut world = World {
            plan,
            rng,
            builds,
            grows,
            names: Rng::new(mix(seed) ^ 0x6e61),
            now: 1000 * MS,
            nodes,
            links: Vec::new(),
            circs: Vec::new(),
            sets: Vec::new(),
            streams: Vec::new(),
            tally: Tally::default(),
            said: mix(seed),
            trace,
            record: None,
            tape: tape.map(Vec::into_iter),
            fed: Vec::new(),
            hands: Hands { rng: Rng::new(mix(seed) ^ 0x4a4d), sets: Vec::new() },
            shares: Shares { rng: shares, in_portions, channels: Vec::new() },
            hub: None,
            ending: false,
            link_of: BTreeMap::new(),
            heap: BinaryHeap::new(),
            order: 0,
        };
        world.join_hub();
        world
    }

    /// Joins the exits of one process in a hub.
    fn join_hub(&mut self) {
        if self.plan.kind != Kind::Hub {
            return;
        }
        self.tally.add(N::HubSeeds, 1);
        let hub = EngineHub::new(&HubConfig { seed: [3; 32], held_bytes_max: 1 << 30 });
        for node in &mut self.nodes[self.plan.first_exit()..] {
            let woken = Arc::clone(&node.woken);
            node.engine.join_hub(&hub, Arc::new(move |_| woken.store(true, Ordering::Relaxed))).unwrap();
        }
        self.hub = Some(hub);
    }

    /// Schedules the loops that were woken: they look a little later at what the others have sent.
    fn wake(&mut self) {
        if self.plan.kind != Kind::Hub {
            return;
        }
        for node in self.plan.first_exit()..self.nodes.len() {
            if self.nodes[node].woken.swap(false, Ordering::Relaxed) {
                self.tally.add(N::Wakes, 1);
                self.later(0, 400_000, Event::Wake(node));
            }
        }
    }

    /// Runs the world to its end. A broken promise is a panic that names it.
    pub fn run(&mut self) {
        trace!(self, "{:?}", self.plan);
        self.populate();
        let cut = if self.plan.cut_short { self.rng.below(20_000) } else { u64::MAX };
        if self.go(cut) {
            self.tally.add(N::CutShort, 1);
            return self.drop_all();
        }
        trace!(self, "at rest");
        self.check_rest();
        if self.second_act() {
            self.go(u64::MAX);
            trace!(self, "at rest again");
            self.check_rest();
        }
        self.ending = true;
        self.close_all();
        self.go(u64::MAX);
        trace!(self, "at its end");
        self.check_end();
    }

    /// Runs until nothing happens any more (false), or for `cut` events (true).
    fn go(&mut self, cut: u64) -> bool {
        let mut events = 0;
        while let Some(Reverse((at, _, event))) = self.heap.pop() {
            events += 1;
            if events > cut {
                return true;
            }
            assert!(events < EVENTS_MAX, "comes to rest: {EVENTS_MAX} events and no end of it");
            self.now = self.now.max(at);
            self.happen(event);
            while let Some(node) = self.fed.pop() {
                self.nodes[node].is_fed = false;
                self.after(node);
                self.write_record(node, false);
            }
            self.wake();
        }
        self.tally.add(N::Events, events);
        false
    }

    pub fn at(&mut self, at: Nanos, event: Event) {
        self.order += 1;
        self.heap.push(Reverse((at.max(self.now), self.order, event)));
    }

    pub fn later(&mut self, low: Nanos, high: Nanos, event: Event) {
        let at = self.now + self.rng.range(low, high);
        self.at(at, event);
    }

    /// Notes that a node was fed: it is drained when the event is over.
    pub fn touch(&mut self, node: usize) {
        if !std::mem::replace(&mut self.nodes[node].is_fed, true) {
            self.fed.push(node);
        }
    }

    fn happen(&mut self, event: Event) {
        if !matches!(event, Event::Arrive(_)) {
            trace!(self, "{event:?}");
        }
        match event {
            Event::Arrive(link) => self.arrive(link),
            Event::Room(link) => self.room(link),
            Event::Tick(node) => self.tick(node),
            Event::Wake(node) => {
                let now = self.clock(node);
                self.nodes[node].engine.tick(now);
                self.touch(node);
            }
            Event::Drain(node) => {
                self.nodes[node].drains_later = false;
                self.touch(node);
            }
            Event::Unstash(circ, pos, side) => self.unstash(circ, pos, side),
            Event::Begin(stream) => self.begin(stream),
            Event::Answer(stream) => self.answer(stream),
            Event::Chunk(stream, end) => self.chunk(stream, end),
            Event::Pump(stream, end) => {
                let own = self.own(stream, end);
                self.pump(own);
            }
            Event::Flush(stream, end) => self.flush(stream, end),
            Event::End(stream, end) => self.end_stream(stream, end),
            Event::Kill(circ, pos) => {
                if self.circs[circ].open[pos] {
                    self.tally.add(N::CircsKilled, 1);
                    self.close_here(circ, pos, NOWHERE);
                }
            }
            Event::Close(circ, pos) => self.close_asked(circ, pos),
            Event::CloseSet(set, end) => self.close_set(set, end),
            Event::AddLeg(set) => self.add_legs(set, 1),
            Event::Pin(set, steps) => self.pin(set, steps),
            Event::Built(circ) => self.built(circ),
            Event::Grow(circ) => self.grow(circ),
            Event::Mislead(circ, set) => self.mislead(circ, set),
            Event::Closed(circ, pos) => self.close_here(circ, pos, NOWHERE),
            Event::EndPadding(circ) => self.end_padding(circ),
            Event::Hand(index, steps) => self.step_by_hand(index, steps),
            Event::EndHand(index) => self.end_hand(index),
            Event::Name(set, end, steps) => self.name_leg(set, end, steps),
            Event::Portion(channel) => self.portion(channel),
            Event::AnyRoom => self.any_room(),
            Event::Move => self.move_side(),
            Event::CloseChannel => self.close_channel(),
            Event::Leave(channel) => self.leave_channel(channel),
        }
    }

    /// Opens the first sets and circuits, and draws the events to come.
    fn populate(&mut self) {
        self.note_plan();
        self.accept_sets();
        self.draw_hands();
        self.draw_moves();
        for _ in 0..self.plan.sets {
            self.open_set();
        }
        for _ in 0..self.plan.circuits {
            let client = self.rng.below(self.plan.clients as u64) as usize;
            let exit = self.pick_exit();
            let rend = self.draw_rend();
            let grows = self.grows.once_in(2);
            self.tally.add(N::ServiceCircs, u64::from(rend.is_some()));
            self.open_circuit(client, exit, rend, grows);
        }
        for _ in 0..self.plan.streams {
            self.draw_stream();
        }
        self.draw_names();
        let span = self.plan.span;
        for _ in 0..self.plan.deaths {
            let circ = self.rng.below(self.circs.len() as u64) as usize;
            let pos = self.rng.below(self.circs[circ].last as u64 + 1) as usize;
            self.later(0, span, Event::Kill(circ, pos));
        }
        if self.grows.once_in(2) {
            let (circ, at) = (self.grows.below(self.circs.len() as u64), self.now + self.grows.range(0, span));
            self.at(at, Event::Grow(circ as usize));
        }
        for _ in 0..self.plan.circ_closes {
            let circ = self.rng.below(self.circs.len() as u64) as usize;
            let pos = self.rng.below(self.circs[circ].last as u64 + 1) as usize;
            self.later(0, span, Event::Close(circ, pos));
        }
        for set in 0..self.sets.len() {
            for _ in 0..self.plan.late_legs {
                self.later(0, span, Event::AddLeg(set));
            }
        }
        for set in 0..if self.plan.pins { self.sets.len() } else { 0 } {
            if set == 0 || self.builds.once_in(2) {
                let at = self.now + self.builds.range(100, 1_000) * MS;
                self.at(at, Event::Pin(set, 0));
            }
        }
        for _ in 0..self.plan.set_closes.min(self.sets.len() as u64) {
            let set = self.rng.below(self.sets.len() as u64) as usize;
            let end = self.rng.below(2) as usize;
            self.later(0, span, Event::CloseSet(set, end));
        }
    }

    fn note_plan(&mut self) {
        let plan = &self.plan;
        for (is, what) in [
            (plan.hostile, N::HostileSeeds),
            (plan.services, N::ServiceSeeds),
            (plan.held_max < 256 << 20, N::SmallMemory),
            (plan.set_held_max < 16 << 20, N::SmallSet),
            (plan.insns_max < 1 << 16, N::SmallQueue),
            (plan.streams_max < 1024, N::SmallStreams),
            (plan.stream_bytes_max < 32 << 20, N::SmallStreamBytes),
        ] {
            self.tally.add(what, is.into());
        }
    }

    pub fn pick_exit(&mut self) -> usize {
        self.plan.clients + self.plan.middles + self.rng.below(self.plan.exits as u64) as usize
    }

    /// The link between two nodes, made when there is none.
    pub fn link(&mut self, from: usize, to: usize) -> usize {
        if let Some(&link) = self.link_of.get(&(from, to)) {
            return link;
        }
        let slow = self.plan.slow_links && self.rng.once_in(2);
        self.links.push(Link::new(from, slow, &mut self.rng));
        self.link_of.insert((from, to), self.links.len() - 1);
        self.links.len() - 1
    }

    /// Puts a cell on the link to the next node of its way.
    pub fn transmit(&mut self, circ: usize, pos: usize, mut cell: Cell) {
        let side = self.circs[circ].side_out(pos, cell.forward);
        let link = self.circs[circ].links[pos][side as usize];
        cell.at = if cell.forward { pos + 1 } else { pos - 1 } as u8;
        let now = self.now;
        let on = &mut self.links[link];
        if on.push(now, cell) {
            let at = on.cells[0].0;
            self.at(at, Event::Arrive(link));
        }
        let on = &mut self.links[link];
        if !self.shares.in_portions && !on.full && on.queued(now) >= on.high {
            on.full = true;
            self.tally.add(N::LinkFull, 1);
            let at = self.links[link].room_at();
            self.at(at, Event::Room(link));
            self.tell_writable(link, false);
        }
        // DESTROY is a cell of the channel, not of the circuit.
        if side == circflow::reactor::Side::Back && !cell.destroy {
            self.written(circ, pos);
        }
    }

    fn room(&mut self, link: usize) {
        let on = &mut self.links[link];
        if on.queued(self.now) > on.low {
            let at = on.room_at();
            return self.at(at, Event::Room(link));
        }
        on.full = false;
        self.tell_writable(link, true);
    }

    fn tell_writable(&mut self, link: usize, writable: bool) {
        let (now, node) = (self.now, self.links[link].from);
        let channel = self.links[link].channel;
        if channel != Id::NONE {
            let room = if writable { u32::MAX } else { 0 };
            self.nodes[node].engine.set_channel_room(now, channel, room).unwrap();
            self.touch(node);
        }
        let users = std::mem::take(&mut self.links[link].users);
        for &(circ, pos) in &users {
            let state = &mut self.circs[circ];
            let side = if state.links[pos][0] == link { 0 } else { 1 };
            if !state.open[pos] || state.writable[pos][side] == writable {
                continue;
            }
            state.writable[pos][side] = writable;
            if channel != Id::NONE {
                continue;
            }
            let id = state.ids[pos];
            trace!(self, "node {node}: circuit {circ}.{pos} side {side} writable {writable}");
            let told = self.nodes[node].engine.set_writable(now, id, SIDES[side], writable);
            assert!(told.is_ok() || self.is_expired(&told), "writable is heard: {told:?}");
            self.touch(node);
        }
        self.links[link].users = users;
    }

    /// Handles a cell that arrives.
    fn arrive(&mut self, link: usize) {
        let on = &mut self.links[link];
        let Some((_, cell)) = on.cells.pop_front() else { return };
        if let Some(&(at, _)) = self.links[link].cells.front() {
            self.at(at, Event::Arrive(link));
        }
        self.tally.add(N::CellArrived, 1);
        let (circ, pos) = (cell.circ as usize, usize::from(cell.at));
        if cell.destroy {
            trace!(self, "circuit {circ}.{pos}: DESTROY");
            let from = self.circs[circ].side_in(pos, cell.forward) as usize;
            return self.close_here(circ, pos, from);
        }
        if self.circs[circ].swallows[usize::from(!cell.forward)] || !self.circs[circ].open[pos] {
            return self.lose(&cell);
        }
        let side = self.circs[circ].side_in(pos, cell.forward) as usize;
        let state = &mut self.circs[circ];
        let over = self.plan.marks.high + self.plan.marks.over;
        let waiting = state.edges[pos][1 - side].waiting.len() as u32;
        let paused = state.paused[pos][side];
        let deaf = paused && state.deaf[pos][side] > 0 && (state.defiant || waiting + 4 < over);
        if !state.stash[pos][side].is_empty() || (paused && !deaf) {
            return state.stash[pos][side].push_back(cell);
        }
        if deaf {
            state.deaf[pos][side] -= 1;
            self.tally.add(N::PauseIgnored, 1);
        }
        self.feed(pos, cell);
    }

    /// Notes that a cell was lost with its circuit.
    pub fn lose(&mut self, cell: &Cell) {
        let (circ, way) = (cell.circ as usize, usize::from(!cell.forward));
        self.tally.add(N::CellsLost, 1);
        if let (Some(set), true) = (self.circs[circ].set, cell.number != 0) {
            self.sets[set].lost[way].push((cell.number, circ));
        }
        let unnamed = cell.number == 0 && way == 1 && cell.command.is_multiplexed() && self.plan.kind == Kind::Hub;
        if let (Some(set), true) = (self.circs[circ].set, unnamed) {
            // A message that padding held on another engine has no number here: the model cannot tell what is missing.
            self.sets[set].tainted = true;
        }
        self.circs[circ].ways[usize::from(cell.talk)][way].data_lost += u64::from(is_data(cell));
    }

    /// Checks that an id was never given out before.
    pub fn new_id(&mut self, node: usize, id: Id) {
        assert!(id != Id::NONE, "an id is not 0");
        assert!(self.nodes[node].ids.insert(id), "ids are not used again: {id:?}");
    }

    /// Adds to the hash of all answers and instructions of the engines.
    pub fn say(&mut self, words: &[u64]) {
        for &word in words {
            self.said = (self.said ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(23);
        }
    }
}

pub const SIDES: [circflow::reactor::Side; 2] = [circflow::reactor::Side::Back, circflow::reactor::Side::Next];

pub fn is_data(cell: &Cell) -> bool {
    cell.command == circflow::wire::Command::DATA
}
