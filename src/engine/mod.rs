//! The engine: arenas, the order of steps, the instruction queue and the one deadline. It has no behaviour of its own;
//! what a message means is decided in the floors below.
//!
//! Every feed goes the same way: look at the clock, do what is due, look the id up, hand the news to the set, and turn
//! the set's effects into instructions.

mod age;
mod alarms;
mod allowed;
mod away;
mod circuit;
mod clock;
mod config;
mod consensus;
mod crossing;
mod effects;
mod elsewhere;
mod error;
mod grow;
mod home;
mod insn;
mod legs;
mod log;
mod memory;
mod negotiation;
mod padding;
mod poll;
mod receive;
mod remote;
mod rest;
mod run;
mod send;
mod sets;
mod short;
mod streams;
mod verdict;
mod words;

pub use config::{CircuitConfig, CircuitFlags, Config, EngineStats, Lateness};
pub use consensus::{Wide, BY_PARAMETER};
pub use error::{Blocked, Error, Misuse};
pub use grow::Growth;
pub use insn::{Instruction, Released, Taker, What};
pub use receive::{receive, receive_data, Receiving, Step};
pub use remote::EngineHub;
pub use run::{CircuitStats, EdgeStats};
pub use send::{send, Outlet, Sending, Sent};
pub use streams::{StreamConfig, StreamStats};
pub use verdict::{Admitted, Verdict, VerdictKind};

use crate::base::purse::Purse;
use crate::base::time::NEVER;
use crate::base::{limits, Arena, Clock, Id, Nanos};
use crate::conflux::{Cause, Effect, LegIx, Manager, Report, Role, SetTerms};
use crate::congestion::{Params, PathClass};
use crate::hub::{Books, Ledger, Port, Spares};
use crate::message::Store;
use crate::padding::{Keys, Machines, Pace, PadderTerms, PaddingEffect};
use crate::reactor::{marks, Controller, Marks, Reactor, Stream};
use crate::wire::command::STREAM_NEEDED;
use crate::wire::conflux::Nonce;
use crate::wire::Command;
use alarms::Alarms;
use circuit::{Circuit, Place, NO_HOP};
use crossing::Crossing;
use elsewhere::HomeLegs;
use insn::Queue;
use rest::Aside;
use words::Words;

use std::collections::BTreeMap;
use std::sync::Arc;

/// One event loop's worth of circuits and sets.
#[derive(Debug)]
pub struct Engine {
    clock: Clock,
    /// The latest time when a step back was logged.
    complained: Nanos,
    alarms: Alarms,
    circuits: Arena<Circuit>,
    sets: Arena<Controller>,
    streams: Arena<Stream>,
    store: Store,
    /// Who holds how much of what is in the store.
    ledger: Books,
    queue: Queue,
    /// What is left to be freed.
    aside: Aside,
    /// The call under way has done enough with the first in the queue.
    paused: bool,
    /// Effects of the call under way; empty between calls.
    effects: Vec<Effect>,
    manager: Manager,
    /// What a set that a peer opens is made with; none while conflux is off.
    accepted: Option<SetTerms>,
    instructions_max: usize,
    tag: u32,
    words: Words,
    peer_faults: u64,
    limiter: log::Limiter,
    /// Lists of padding machines that the host has loaded.
    machines: Arena<Machines>,
    /// What the numbers of the negotiation mean, at a client (true) and at a relay.
    padding_numbers: BTreeMap<(bool, u8), PadderTerms>,
    padding_keys: Keys,
    /// Effects of the padding step under way; empty between calls.
    padding_effects: Vec<PaddingEffect>,
    padding_received: u64,
    /// Circuits that have padding: while there are none, nobody is asked.
    padded: u32,
    /// Counts the calls in which something was due, for the cap on steps in one of them.
    round: u32,
    lateness: Lateness,
    /// Circuits that we run: while there are none, nobody is asked.
    running: u32,
    /// Parameters of congestion control for circuits that are opened from now on, by class.
    params: [Arc<Params>; 3],
    /// Those of conflux, padding and SENDMEs.
    wide: Wide,
    marks: Marks,
    streams_max: u32,
    stream_bytes_max: u32,
    stream_memory: Nanos,
    pace: Pace,
    /// What is allowed of padding, and the cells sent.
    purse: Purse,
    /// Messages of streams that nothing explains, and that were dropped.
    unexplained: u64,
    held_age_max: Nanos,
    /// Streams to wake later, of the call under way; empty between calls.
    wakes: Vec<(Id, Nanos)>,
    /// The way to the other engines of the hub.
    port: Option<Port<Crossing>>,
    /// Legs elsewhere of our sets.
    home_legs: HomeLegs,
    /// What has news, of the call under way; empty between calls.
    news: Vec<Id>,
    /// For bodies that cross.
    spares: Spares,
}

/// Engine tags share 16 bits of an id with the kind of thing it names.
const NUMBER_MAX: u32 = (1 << 14) - 1;
const MACHINES_KIND: u16 = 0;
const CIRCUIT_KIND: u16 = 1;
const SET_KIND: u16 = 2;
const STREAM_KIND: u16 = 3;

impl Engine {
    /// An engine with nothing in it.
    pub fn new(config: &Config) -> Result<Engine, Error> {
        let objects = 1..=limits::OBJECTS_MAX;
        let fits = (1..=NUMBER_MAX).contains(&config.tag)
            && objects.contains(&config.circuits_max)
            && objects.contains(&config.sets_max)
            && config.instructions_max > 0
            && marks(config.marks.high, config.marks.low, config.marks.over).is_some()
            && config.streams_max > 0
            && config.stream_memory <= limits::STREAM_MEMORY_MAX
            && config.stream_bytes_max > 0
            && (1..=limits::PADDING_BURST_LIMIT).contains(&config.pace.burst)
            && config.pace.floor <= limits::PADDING_FLOOR_LIMIT
            && config.held_age_max <= limits::HELD_AGE_LIMIT;
        if !fits {
            return Err(Error::INVALID);
        }
        let owner = |kind: u16| (config.tag as u16) << 2 | kind;
        Ok(Engine {
            clock: Clock::default(),
            complained: NEVER,
            alarms: Alarms::default(),
            circuits: Arena::new(owner(CIRCUIT_KIND), config.circuits_max),
            sets: Arena::new(owner(SET_KIND), config.sets_max),
            streams: Arena::new(owner(STREAM_KIND), limits::OBJECTS_MAX),
            store: Store::new(config.held_bytes_max),
            ledger: Ledger::open(config.tag as u16),
            queue: Queue::default(),
            aside: Aside::new(),
            paused: false,
            effects: Vec::new(),
            manager: Manager::new(&config.seed),
            accepted: None,
            instructions_max: config.instructions_max as usize,
            tag: config.tag,
            words: Words::NONE,
            peer_faults: 0,
            limiter: log::Limiter::default(),
            machines: Arena::new(owner(MACHINES_KIND), limits::MACHINE_LISTS_MAX),
            padding_numbers: BTreeMap::new(),
            padding_keys: Keys::new(&config.seed, config.tag),
            padding_effects: Vec::new(),
            padding_received: 0,
            padded: 0,
            round: 0,
            lateness: Lateness::default(),
            running: 0,
            params: [PathClass::Exit, PathClass::Onion, PathClass::Sbws]
                .map(|class| Arc::new(Params::default_for(class))),
            wide: Wide::default(),
            marks: config.marks,
            streams_max: config.streams_max,
            stream_bytes_max: config.stream_bytes_max,
            stream_memory: config.stream_memory,
            pace: config.pace,
            purse: Purse::default(),
            unexplained: 0,
            held_age_max: config.held_age_max,
            wakes: Vec::new(),
            port: None,
            home_legs: HomeLegs::default(),
            news: Vec::new(),
            spares: Spares::default(),
        })
    }

    /// When [`Engine::tick`] is wanted next, whatever waits to be drained.
    #[inline]
    pub fn deadline(&self) -> Nanos {
        self.alarms.next()
    }

    /// When the host has to come back: at once, which is 0, as long as instructions wait; else at the deadline, but not
    /// for the age of what is held while nothing is.
    pub fn wakes_at(&self) -> Nanos {
        if !self.queue.is_empty() {
            0
        } else if self.alarms.beat() != NEVER && self.store.is_empty() {
            self.alarms.next_without_beat()
        } else {
            self.alarms.next()
        }
    }

    /// The common case of [`Engine::wakes_at`], on the host's clock: nothing waits, and no beat is on.
    #[inline(always)]
    pub fn wakes_next(&self) -> Option<Nanos> {
        ((self.queue.len() | self.alarms.unlike()) == 0).then(|| self.alarms.next())
    }

    /// Does what is due.
    #[inline]
    pub fn tick(&mut self, now: Nanos) {
        if self.port.is_some() {
            self.tick_with_others(now);
        } else {
            self.enter(now);
        }
    }

    /// Opens a circuit.
    pub fn open_circuit(&mut self, now: Nanos, config: CircuitConfig) -> Result<Id, Error> {
        if config.hops.are_counted() != (config.role == Role::Client) {
            return Err(self.invalid("hops do not fit the role"));
        }
        let runs = config.flags.has(CircuitFlags::REACTOR);
        let reactor = if runs { Some(self.reactor(&config)?) } else { None };
        self.enter(now);
        self.check_drained()?;
        let mut circuit = Circuit { place: Place::Alone, config: config.into(), reactor, ..Circuit::default() };
        circuit.find_plain_hop();
        let id = self.circuits.insert(circuit);
        let id = id.map_err(|_| Blocked::Full)?;
        self.running += u32::from(runs);
        Ok(id)
    }

    fn reactor(&mut self, config: &CircuitConfig) -> Result<Box<Reactor>, Error> {
        if config.flags.has(CircuitFlags::OWN_QUEUE) {
            return Err(self.invalid("a circuit that circflow runs has no queue of the host's"));
        }
        let (params, inc) = self.hop_terms(config.class, config.sendme_inc)?;
        Ok(Box::new(Reactor::new(params, inc)))
    }

    /// Replaces what is so of a circuit. That it has carried streams stays so.
    pub fn set_circuit_flags(&mut self, id: Id, flags: CircuitFlags) -> Result<(), Error> {
        match self.circuits.get_mut(id) {
            Some(circuit) if circuit.moves_queue(flags) => {
                Err(self.invalid("who owns a circuit's queue does not change while padding uses it"))
            }
            Some(circuit) if circuit.moves_reactor(flags) => {
                Err(self.invalid("who runs a circuit, and its congestion control, is settled when it is opened"))
            }
            Some(circuit) => {
                let seen = circuit.config.flags.0 & CircuitFlags::STREAMS.0;
                let ends_here = circuit.config.flags.has(CircuitFlags::EXTENDED) && !flags.has(CircuitFlags::EXTENDED);
                circuit.config.flags = CircuitFlags(flags.0 | seen);
                circuit.find_plain_hop();
                if ends_here {
                    self.cut_next(id);
                }
                Ok(())
            }
            None => Err(self.circuits.reason(id).into()),
        }
    }

    /// A circuit has gone.
    pub fn circuit_closed(&mut self, now: Nanos, id: Id) -> Result<(), Error> {
        self.enter(now);
        self.come_back(id, Cause::LegLost);
        let mut circuit = self.circuits.remove(id).ok_or_else(|| self.circuits.reason(id))?;
        self.drop_reactor(&mut circuit);
        self.drop_padding(id, circuit.padding);
        if let Place::Leg { set, ix } = circuit.place {
            self.remove_leg(set, ix, Cause::LegLost);
        }
        Ok(())
    }

    /// A leg's news from the host's congestion control.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn report(&mut self, now: Nanos, id: Id, report: &Report) -> Result<(), Error> {
        self.report_all(now, std::iter::once((id, *report)))
    }

    /// Legs' news, in order. The first that names no leg ends it.
    #[inline(always)]
    pub fn report_all(&mut self, now: Nanos, news: impl Iterator<Item = (Id, Report)> + Clone) -> Result<(), Error> {
        self.enter_for_circuits(now, news.clone().map(|(id, _)| id))?;
        self.take_reports(news)
    }

    /// Legs' news that ride on a decision about their set.
    #[inline(always)]
    pub fn report_for(&mut self, now: Nanos, set: Id, news: impl Iterator<Item = (Id, Report)>) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        self.take_reports(news)
    }

    #[inline(always)]
    fn take_reports(&mut self, news: impl Iterator<Item = (Id, Report)>) -> Result<(), Error> {
        for (id, report) in news {
            let leg = self.circuits.get(id).filter(|circuit| circuit.reactor.is_none()).map(|circuit| circuit.place);
            let Some(Place::Leg { set, ix }) = leg else {
                self.take_other_report(id, &report)?;
                continue;
            };
            if let Some(state) = self.sets.get_mut(set) {
                state.report(ix, &report, &mut self.effects);
            }
            if !self.effects.is_empty() {
                self.apply_effects(set);
            }
        }
        Ok(())
    }

    /// A report of a circuit that is no leg of a set here.
    #[cold]
    fn take_other_report(&mut self, id: Id, report: &Report) -> Result<(), Error> {
        if self.runs(id) {
            return Err(Misuse::IsRun.into());
        }
        match self.circuits.get(id).map(|circuit| circuit.place) {
            Some(Place::Away) => self.report_away(id, report),
            _ => self.leg(id).map(|_| ())?,
        }
        Ok(())
    }

    /// A cell was queued on a circuit.
    pub fn sent(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        self.sent_at(now, id, command, hop)
    }

    /// The common case of [`Engine::sent`]: nothing is due. No answer means that nothing was done.
    #[inline(always)]
    pub fn sent_next(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Option<Result<(), Error>> {
        if now >= self.stop() || !self.clock.advance(now) {
            return None;
        }
        Some(self.sent_at(now, id, command, hop))
    }

    #[inline(always)]
    fn sent_at(&mut self, now: Nanos, id: Id, command: Command, hop: u8) -> Result<(), Error> {
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        if circuit.place == Place::Closing {
            return Err(Blocked::Gone.into());
        }
        // One comparison, as this runs for every cell: a client's hop 0 passes no padder, and is no harm.
        if !circuit.config.hops.reach(hop) {
            return Err(self.invalid("the circuit has no such hop to send to"));
        }
        let is_plain = circuit.config.plain_hop != NO_HOP;
        if !is_plain && circuit.runs_streams() && (command.traits() & STREAM_NEEDED != 0 || is_sequenced(command)) {
            // Not past the streams that we know.
            return Err(Misuse::IsRun.into());
        }
        if let (Place::Leg { set, ix }, true) = (circuit.place, circuit.config.hops.ends_at(hop)) {
            let Some(state) = self.sets.get_mut(set) else { return Err(Misuse::NotALeg.into()) };
            if command.is_multiplexed() {
                state.commit_message(ix, command, now, &mut self.effects)?;
            } else if command == Command::CONFLUX_SWITCH {
                state.commit_switch(ix)?;
            }
            if !self.effects.is_empty() {
                self.apply_effects(set);
            }
        } else if circuit.place == Place::Away && circuit.config.hops.ends_at(hop) && is_sequenced(command) {
            return Err(Misuse::NotDecided.into());
        } else if command.traits() & STREAM_NEEDED != 0 {
            self.mark_streams(id);
        }
        self.purse.sent(1);
        if !is_plain {
            self.tell_sent(id, hop, now);
        }
        Ok(())
    }

    /// Every token held or waiting to be discarded.
    pub fn tokens(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.store.tokens().map(|token| (token.token, token.cost))
    }

    /// Gives unused memory back.
    pub fn trim(&mut self) -> usize {
        self.sweep_streams();
        if self.store.is_empty() {
            self.alarms.forget_ages();
        }
        self.rest();
        self.store.trim() + self.alarms.trim() + self.spares.trim() + self.ledger.trim()
    }

    /// Figures.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            circuits: self.circuits.len(),
            sets: self.sets.len(),
            streams: self.streams.len(),
            instructions: self.queue.len() as u32,
            instructions_peak: self.queue.peak() as u32,
            timers: self.alarms.len() as u32 + u32::from(!self.store.is_empty() && self.alarms.beat() != NEVER),
            held: self.store.len() as u64,
            held_bytes: self.store.bytes(),
            held_bytes_peak: self.store.budget().peak(),
            reserved_bytes: self.store.budget().reserved(),
            crossing_bytes: self.store.budget().crossing(),
            leaving_bytes: self.store.budget().leaving(),
            pool_bytes: self.store.pool_bytes() as u64,
            time_backwards: self.clock.backwards(),
            time_leaps: self.clock.leaps(),
            peer_faults: self.peer_faults,
            log_dropped: self.limiter.dropped(),
            padding_received: self.padding_received,
            spent: self.purse.spent(),
            lateness: self.lateness,
            unexplained: self.unexplained,
        }
    }

    /// The leg a circuit is.
    #[inline]
    fn leg(&self, id: Id) -> Result<(Id, LegIx), Error> {
        match self.circuits.get(id) {
            Some(&Circuit { place: Place::Leg { set, ix }, .. }) => Ok((set, ix)),
            other => Err(self.no_leg(id, other)),
        }
    }

    #[cold]
    fn no_leg(&self, id: Id, found: Option<&Circuit>) -> Error {
        match found.map(|circuit| circuit.place) {
            Some(Place::Closing) => Blocked::Gone.into(),
            Some(_) => Misuse::NotALeg.into(),
            None => self.circuits.reason(id).into(),
        }
    }

    /// Refuses what could make the queue grow for ever, as long as the host has not drained: whatever else queues
    /// instructions does so a bounded number of times for each circuit and set.
    fn check_drained(&self) -> Result<(), Error> {
        if self.queue.len() >= self.instructions_max {
            return Err(Blocked::Undrained.into());
        }
        Ok(())
    }

    /// The first step of every feed.
    #[inline]
    fn enter(&mut self, now: Nanos) -> Nanos {
        if self.goes_on(now) {
            return now;
        }
        self.enter_with_care(now)
    }

    #[cold]
    #[inline(never)]
    fn enter_with_care(&mut self, now: Nanos) -> Nanos {
        let now = self.observe(now);
        if now >= self.deadline() {
            self.run_due(now);
        }
        now
    }

    /// The first step of a feed about circuits; answers EXPIRED when what was due ended one of them.
    #[inline(always)]
    fn enter_for_circuits(&mut self, now: Nanos, ids: impl Iterator<Item = Id> + Clone) -> Result<Nanos, Error> {
        if self.goes_on(now) {
            return Ok(now);
        }
        self.run_due_before(now, ids)
    }

    #[cold]
    fn run_due_before(&mut self, now: Nanos, ids: impl Iterator<Item = Id> + Clone) -> Result<Nanos, Error> {
        let now = self.observe(now);
        if now < self.deadline() {
            return Ok(now);
        }
        let closing = |engine: &Engine| {
            let places = ids.clone().filter_map(|id| engine.circuits.get(id)).map(|circuit| circuit.place);
            places.filter(|&place| place == Place::Closing).count()
        };
        let before = closing(self);
        self.run_due(now);
        if closing(self) > before {
            return Err(Error::Expired);
        }
        Ok(now)
    }

    #[cold]
    fn run_due(&mut self, now: Nanos) {
        // Where they run out, the rest is due in the next call, as if its timers were that much later.
        let mut steps = limits::TIMER_STEPS;
        while let Some(index) = self.alarms.due_handshake(now, &mut steps) {
            let Some((id, circuit)) = self.circuits.at(index) else { continue };
            let Some((set, ix)) = circuit.place.leg() else {
                self.expire_away(id);
                continue;
            };
            if let Some(fault) = self.sets.get(set).and_then(|state| state.expired(ix, now)) {
                self.fault(id, fault);
            }
        }
        while let Some(place) = self.alarms.due_elsewhere(now, &mut steps) {
            self.expire_elsewhere(place, now);
        }
        while let Some(index) = self.alarms.due_stream(now, &mut steps) {
            self.run_stream(index);
        }
        if now >= self.alarms.beat() {
            self.run_ages(now);
        }
        self.round = self.round.wrapping_add(1);
        // What finds no room in the queue stays due until the host has drained.
        while self.queue.len() < self.instructions_max {
            let Some(index) = self.alarms.due_padding(now, &mut steps) else { break };
            self.run_padding(index, now);
        }
        let left = self.bury() || (steps == 0 && self.alarms.earliest() <= now);
        self.alarms.set_left(left);
        self.hear(now);
    }

    fn find_set(&self, role: Role, nonce: &Nonce) -> Option<Id> {
        self.manager.find(role, nonce, |set| self.sets.get(set).map(|state| &state.terms().nonce))
    }

    fn insert_set(&mut self, mut set: Controller) -> Result<Id, Error> {
        set.since = self.clock.latest();
        let (role, nonce) = (set.role(), set.terms().nonce.clone());
        let id = self.sets.insert(set).map_err(|_| Blocked::Full)?;
        self.manager.insert(role, &nonce, id);
        Ok(id)
    }

    fn forget_set(&mut self, id: Id) {
        if let Some(set) = self.sets.remove(id) {
            self.alarms.cancel_age(id.index());
            self.manager.remove(set.role(), &set.terms().nonce, id);
            if let Some(port) = &self.port {
                port.release(set.role(), &set.terms().nonce, id);
            }
            if let Some(streams) = &set.streams {
                self.drop_streams(streams);
            }
        }
    }
}

/// True for an id of a set, of whatever engine.
pub fn is_set(id: Id) -> bool {
    id.owner() & 3 == SET_KIND
}

/// On a leg it has a number, or moves one.
#[inline]
fn is_sequenced(command: Command) -> bool {
    command.is_multiplexed() || command == Command::CONFLUX_SWITCH
}
