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
mod parts;
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
use circuit::{Circuit, Place, NO_HOP};
use crossing::Crossing;
use parts::{Held, Out, PaddingPart, Settings, Spread, Time};


/// One event loop's worth of circuits and sets.
#[derive(Debug)]
pub struct Engine {
    circuits: Arena<Circuit>,
    sets: Arena<Controller>,
    streams: Arena<Stream>,
    /// Nonces of sets.
    manager: Manager,
    /// Circuits that we run: while there are none, no circuit is asked.
    running: u32,
    time: Time,
    held: Held,
    out: Out,
    padding: PaddingPart,
    settings: Settings,
    spread: Spread,
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
            circuits: Arena::new(owner(CIRCUIT_KIND), config.circuits_max),
            sets: Arena::new(owner(SET_KIND), config.sets_max),
            streams: Arena::new(owner(STREAM_KIND), limits::OBJECTS_MAX),
            manager: Manager::new(&config.seed),
            running: 0,
            time: Time::new(),
            held: Held::new(config),
            out: Out::new(),
            padding: PaddingPart::new(config, owner(MACHINES_KIND)),
            settings: Settings::new(config),
            spread: Spread::new(),
        })
    }

    /// When [`Engine::tick`] is wanted next, whatever waits to be drained.
    #[inline]
    pub fn deadline(&self) -> Nanos {
        self.time.alarms.next()
    }

    /// When the host has to come back: at once, which is 0, as long as instructions wait; else at the deadline, but not
    /// for the age of what is held while nothing is.
    pub fn wakes_at(&self) -> Nanos {
        if !self.out.queue.is_empty() {
            0
        } else if self.time.alarms.beat() != NEVER && self.held.store.is_empty() {
            self.time.alarms.next_without_beat()
        } else {
            self.time.alarms.next()
        }
    }

    /// The common case of [`Engine::wakes_at`], on the host's clock: nothing waits, and no beat is on.
    #[inline(always)]
    pub fn wakes_next(&self) -> Option<Nanos> {
        ((self.out.queue.len() | self.time.alarms.unlike()) == 0).then(|| self.time.alarms.next())
    }

    /// Does what is due.
    #[inline]
    pub fn tick(&mut self, now: Nanos) {
        if self.spread.port.is_some() {
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
                state.report(ix, &report, &mut self.out.effects);
            }
            if !self.out.effects.is_empty() {
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
        if !self.enter_quick(now) {
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
                state.commit_message(ix, command, now, &mut self.out.effects)?;
            } else if command == Command::CONFLUX_SWITCH {
                state.commit_switch(ix)?;
            }
            if !self.out.effects.is_empty() {
                self.apply_effects(set);
            }
        } else if circuit.place == Place::Away && circuit.config.hops.ends_at(hop) && is_sequenced(command) {
            return Err(Misuse::NotDecided.into());
        } else if command.traits() & STREAM_NEEDED != 0 {
            self.mark_streams(id);
        }
        self.padding.purse.sent(1);
        if !is_plain {
            self.tell_sent(id, hop, now);
        }
        Ok(())
    }

    /// Every token held or waiting to be discarded.
    pub fn tokens(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.held.store.tokens().map(|token| (token.token, token.cost))
    }

    /// Gives unused memory back.
    pub fn trim(&mut self) -> usize {
        self.sweep_streams();
        if self.held.store.is_empty() {
            self.time.alarms.forget_ages();
        }
        self.rest();
        self.held.store.trim() + self.time.alarms.trim() + self.spread.spares.trim() + self.held.ledger.trim()
    }

    /// Figures.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            circuits: self.circuits.len(),
            sets: self.sets.len(),
            streams: self.streams.len(),
            instructions: self.out.queue.len() as u32,
            instructions_peak: self.out.queue.peak() as u32,
            timers: self.time.alarms.len() as u32 + u32::from(!self.held.store.is_empty() && self.time.alarms.beat() != NEVER),
            held: self.held.store.len() as u64,
            held_bytes: self.held.store.bytes(),
            held_bytes_peak: self.held.store.budget().peak(),
            reserved_bytes: self.held.store.budget().reserved(),
            crossing_bytes: self.held.store.budget().crossing(),
            leaving_bytes: self.held.store.budget().leaving(),
            pool_bytes: self.held.store.pool_bytes() as u64,
            time_backwards: self.time.clock.backwards(),
            time_leaps: self.time.clock.leaps(),
            peer_faults: self.out.faults,
            log_dropped: self.out.limiter.dropped(),
            padding_received: self.padding.received,
            spent: self.padding.purse.spent(),
            lateness: self.time.lateness,
            unexplained: self.out.unexplained,
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
        if self.out.queue.len() >= self.settings.instructions_max {
            return Err(Blocked::Undrained.into());
        }
        Ok(())
    }

    /// The first step of every quick way: true when nothing is due. False, and nothing done, when something is, or when
    /// the clock has to be looked at.
    #[inline(always)]
    fn enter_quick(&mut self, now: Nanos) -> bool {
        now < self.stop() && self.time.clock.advance(now)
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
        while let Some(index) = self.time.alarms.due_handshake(now, &mut steps) {
            let Some((id, circuit)) = self.circuits.at(index) else { continue };
            let Some((set, ix)) = circuit.place.leg() else {
                self.expire_away(id);
                continue;
            };
            if let Some(fault) = self.sets.get(set).and_then(|state| state.expired(ix, now)) {
                self.fault(id, fault);
            }
        }
        while let Some(place) = self.time.alarms.due_elsewhere(now, &mut steps) {
            self.expire_elsewhere(place, now);
        }
        while let Some(index) = self.time.alarms.due_stream(now, &mut steps) {
            self.run_stream(index);
        }
        if now >= self.time.alarms.beat() {
            self.run_ages(now);
        }
        self.time.round = self.time.round.wrapping_add(1);
        // What finds no room in the queue stays due until the host has drained.
        while self.out.queue.len() < self.settings.instructions_max {
            let Some(index) = self.time.alarms.due_padding(now, &mut steps) else { break };
            self.run_padding(index, now);
        }
        let left = self.bury() || (steps == 0 && self.time.alarms.earliest() <= now);
        self.time.alarms.set_left(left);
        self.hear(now);
    }

    fn find_set(&self, role: Role, nonce: &Nonce) -> Option<Id> {
        self.manager.find(role, nonce, |set| self.sets.get(set).map(|state| &state.terms().nonce))
    }

    fn insert_set(&mut self, mut set: Controller) -> Result<Id, Error> {
        set.since = self.time.clock.latest();
        let (role, nonce) = (set.role(), set.terms().nonce.clone());
        let id = self.sets.insert(set).map_err(|_| Blocked::Full)?;
        self.manager.insert(role, &nonce, id);
        Ok(id)
    }

    fn forget_set(&mut self, id: Id) {
        if let Some(set) = self.sets.remove(id) {
            self.time.alarms.cancel_age(id.index());
            self.manager.remove(set.role(), &set.terms().nonce, id);
            if let Some(port) = &self.spread.port {
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
