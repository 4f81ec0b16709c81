//! The engine: its circuits, sets and streams, how a call enters, and what is done when time has come. The floors below
//! decide what a message means.
//!
//! Every feed takes the same steps: look at the clock, do what is due, look the id up, hand the news to the set, and
//! turn the effects of the set into instructions.

mod age;
mod alarms;
mod channel;
mod circuit;
mod clock;
mod config;
mod consensus;
pub mod counters;
mod grow;
mod legs;
mod memory;
mod out;
mod padding;
mod parts;
mod receive;
mod record;
mod relay;
mod send;
mod set;
mod slot;
mod spread;
mod stream;

pub use channel::ChannelStats;
pub use circuit::{CircuitStats, EdgeStats};
pub use config::{CircuitConfig, CircuitFlags, Config, EngineStats, Lateness};
pub use consensus::{Wide, BY_PARAMETER};
pub use grow::Growth;
pub use out::error::{Blocked, Error, Misuse};
pub use out::insn::{Instruction, Released, Taker, What};
pub use out::verdict::{Verdict, VerdictKind};
pub use receive::{receive, receive_data, receive_early, receive_from, receive_other, receive_switch};
pub use receive::{LegSeat, Receiving, Step};
pub use send::{send, send_rest, Going, Outlet, Sending, Sent, NO_REPORTS};
pub use set::is_set;
pub use spread::membership::EngineHub;
pub use stream::{StreamConfig, StreamStats};

use crate::base::time::NEVER;
use crate::base::{limits, Arena, Id, Nanos};
use crate::conflux::Manager;
use crate::event::{Event, Events, Names};
use crate::reactor::{marks, Controller, Stream};
use crate::wire::fault::status_words;
use crate::wire::Command;
use channel::Channels;
use counters::Counters;
use parts::{Held, OutPart, PaddingPart, Settings, Spread, Time};
use record::LinkStep;
use slot::{Circuit, Place, Plain};

/// The circuits, sets and streams of one event loop, and all that they share.
#[derive(Debug)]
pub struct Engine {
    circuits: Arena<Circuit>,
    channels: Channels,
    sets: Arena<Controller>,
    streams: Arena<Stream>,
    /// Finds a set by its nonce.
    manager: Manager,
    /// How many circuits circflow runs. While it is 0, no circuit is looked up to find that out.
    running: u32,
    /// A leg of some set can be on another engine, or share a channel. A set does not see by itself whether such a leg
    /// has room: the engine looks before the set chooses. So it does when somebody wants to see the choices.
    needs_a_look: bool,
    /// The same, or somebody wants to see the reports of legs.
    is_choice_seen: bool,
    /// [`Engine::tells_of_sent`].
    tells: bool,
    time: Time,
    held: Held,
    out: OutPart,
    padding: PaddingPart,
    settings: Settings,
    spread: Spread,
    /// What happens, for those who want to see it.
    events: Events,
    /// What has happened since the engine was made.
    counters: Counters,
}

/// An engine's tag takes 14 of the 16 owner bits of an id; the other two say which kind of thing the id names.
const NUMBER_MAX: u32 = (1 << 14) - 1;
const MACHINES_KIND: u16 = 0;
const CIRCUIT_KIND: u16 = 1;
const SET_KIND: u16 = 2;
const STREAM_KIND: u16 = 3;

impl Engine {
    /// Makes an engine without circuits. Error when a value of the configuration is out of its range.
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
        let events =
            Events::new(config.tag, Names { status: status_words, command: |command| Command(command).name() });
        let mut engine = Engine {
            circuits: Arena::new(owner(CIRCUIT_KIND), config.circuits_max),
            channels: Channels::new(owner(MACHINES_KIND)),
            sets: Arena::new(owner(SET_KIND), config.sets_max),
            streams: Arena::new(owner(STREAM_KIND), limits::OBJECTS_MAX),
            manager: Manager::new(&config.seed),
            running: 0,
            needs_a_look: false,
            is_choice_seen: false,
            tells: false,
            time: Time::new(),
            held: Held::new(config),
            out: OutPart::new(),
            padding: PaddingPart::new(config, owner(MACHINES_KIND)),
            settings: Settings::new(config),
            spread: Spread::new(),
            events,
            counters: Counters::new(),
        };
        // The log may want events from the first call on.
        engine.update_ways();
        Ok(engine)
    }

    /// When [`Engine::tick`] has to be called next, not counting instructions that wait.
    #[inline]
    pub fn deadline(&self) -> Nanos {
        self.time.alarms.next()
    }

    /// When the host has to call next: 0, which is at once, while instructions wait, else the deadline. The beat that
    /// watches the age of held messages does not count while nothing is held.
    pub fn wakes_at(&self) -> Nanos {
        if !self.out.queue.is_empty() {
            0
        } else if self.time.alarms.beat() != NEVER && self.held.store.is_empty() {
            self.time.alarms.next_without_beat()
        } else {
            self.time.alarms.next()
        }
    }

    /// The quick way of [`Engine::wakes_at`], on the host's clock: none while instructions wait or a beat is set.
    #[inline(always)]
    pub fn wakes_at_quick(&self) -> Option<Nanos> {
        ((self.out.queue.len() | self.time.alarms.differs()) == 0).then(|| self.time.alarms.next())
    }

    /// Does what is due at `now`.
    #[inline]
    pub fn tick(&mut self, now: Nanos) {
        if self.spread.port.is_some() {
            self.tick_with_others(now);
        } else {
            self.enter(now);
        }
    }

    /// All tokens that are held, or wait to be handed back.
    pub fn tokens(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.held.store.tokens().map(|token| (token.token, token.cost))
    }

    /// Frees unused memory; answers how many bytes.
    pub fn trim(&mut self) -> usize {
        self.sweep_streams();
        if self.held.store.is_empty() {
            self.time.alarms.forget_ages();
        }
        self.share_figures();
        let held = self.held.store.trim() + self.held.ledger.trim() + self.spread.spares.trim();
        let things = self.circuits.trim() + self.sets.trim() + self.streams.trim();
        let bytes = held + things + self.time.alarms.trim() + self.out.queue.trim();
        if bytes > 0 {
            self.note(Event::Trimmed { bytes: bytes as u64 });
        }
        bytes
    }

    /// Figures of the engine now.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            circuits: self.circuits.len(),
            sets: self.sets.len(),
            streams: self.streams.len(),
            instructions: self.out.queue.len() as u32,
            instructions_peak: self.out.queue.peak() as u32,
            timers: self.time.alarms.len() as u32
                + u32::from(!self.held.store.is_empty() && self.time.alarms.beat() != NEVER),
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
            log_dropped: self.events.log_dropped(),
            padding_received: self.padding.received,
            spent: self.padding.purse.spent(),
            lateness: self.time.lateness,
            unexplained: self.out.unexplained,
        }
    }

    /// Refuses a call that could let the queue grow without end while the host does not drain. Calls without this check
    /// queue a bounded number of instructions for each circuit and set.
    fn check_drained(&self) -> Result<(), Error> {
        if self.out.queue.len() >= self.settings.instructions_max {
            return Err(Blocked::Undrained.into());
        }
        Ok(())
    }

    /// The first step of every quick way: true when nothing is due and time has gone on. When it is false, nothing was
    /// done, and the long way has to look at the clock. Those ways that owe events and make none, as they are not
    /// `WATCHED`, are closed while somebody watches.
    #[inline(always)]
    fn enter_quick<const WATCHED: bool>(&mut self, now: Nanos) -> bool {
        let stop = if WATCHED { self.stop() } else { self.time.alarms.stop_unwatched() };
        now < stop && self.time.clock.advance(now)
    }

    /// The first step of every feed: looks at the clock, and does what is due. Answers the time to go on with.
    #[inline]
    fn enter(&mut self, now: Nanos) -> Nanos {
        if self.try_enter(now) {
            return now;
        }
        self.enter_long(now)
    }

    #[cold]
    #[inline(never)]
    fn enter_long(&mut self, now: Nanos) -> Nanos {
        let now = self.observe(now);
        if now >= self.deadline() {
            self.run_due(now);
        }
        now
    }

    /// The first step of a feed about circuits. Error EXPIRED when something that was due closed one of them.
    #[inline(always)]
    fn enter_for_circuits(&mut self, now: Nanos, ids: impl Iterator<Item = Id> + Clone) -> Result<Nanos, Error> {
        if self.try_enter(now) {
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
        // When the steps run out, the other timers stay due and run in the next call.
        let mut steps = limits::TIMER_STEPS;
        while let Some(index) = self.time.alarms.due_handshake(now, &mut steps) {
            let Some((id, circuit)) = self.circuits.at(index) else { continue };
            let Some((set, ix)) = circuit.place.leg() else {
                self.expire_request(id);
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
        while let Some(index) = self.time.alarms.due_channel(now, &mut steps) {
            self.run_channel(index, now);
        }
        while let Some(index) = self.time.alarms.due_choice(now, &mut steps) {
            self.run_choice(index, now);
        }
        if now >= self.time.alarms.beat() {
            self.run_ages(now);
        }
        self.time.round = self.time.round.wrapping_add(1);
        // Padding for which the queue has no room stays due until the host has drained.
        while self.out.queue.len() < self.settings.instructions_max {
            let Some(index) = self.time.alarms.due_padding(now, &mut steps) else { break };
            self.run_padding(index, now);
        }
        let left = self.free_aside() || (steps == 0 && self.time.alarms.earliest() <= now);
        self.time.alarms.set_left(left);
        self.take_hub_news(now);
    }
}
