//! One circuit in the engine: its place and its parts.

use crate::base::time::NEVER;
use crate::base::{limits, Arena, Hops, Id, Length, Nanos, LAYOUT_IS_KNOWN, LINE};
use crate::conflux::{LegIx, Role};
use crate::engine::spread::places::Away;
use crate::engine::{CircuitConfig, CircuitFlags};
use crate::hub::{SharedLedger, Standing};
use crate::message::{kind_of, Fields, Store};
use crate::padding::Padding;
use crate::reactor::{part, Position, Reactor, Side};
use crate::wire::command::STREAM_NEEDED;
use crate::wire::Command;

/// With its id it takes one line of the processor's cache. What each cell needs comes first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Circuit {
    pub place: Place,
    pub config: Kept,
    /// There when circflow runs the circuit.
    pub reactor: Option<Box<Reactor>>,
    /// Made with the first padder.
    pub padding: Option<Box<Padding>>,
    /// Made with the first thing in it.
    pub apart: Option<Box<Apart>>,
}

const _: () = assert!(!LAYOUT_IS_KNOWN || Arena::<Circuit>::SLOT == LINE);

/// What few circuits have.
#[derive(Debug)]
pub(super) struct Apart {
    /// The host's number of the last relay.
    join: u64,
    /// Messages that may be held for sending.
    held_sends_max: u32,
    /// There while the circuit is a leg of a set on another engine.
    pub away: Option<Box<Away>>,
    /// How much the circuit holds, for all threads to read; none before it first held something.
    pub standing: Option<Standing>,
}

/// What holds for a circuit that has nothing apart.
impl Default for Apart {
    fn default() -> Self {
        Apart { join: 0, held_sends_max: limits::HELD_SENDS_DEFAULT, away: None, standing: None }
    }
}

/// The part of [`CircuitConfig`] that every circuit keeps, and what follows from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub tag: u64,
    pub flags: CircuitFlags,
    pub role: Role,
    pub hops: Length,
    /// The hop with which messages take the quick ways.
    pub plain: Plain,
}

/// The hop from which the messages of a circuit come, or none where more than its set or its host must see them:
/// padding, the reactors, or nobody as it was extended. With the command DATA, as the two stand first in a message: for
/// nearly all messages, one comparison in place of four.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Plain(u32);

impl Plain {
    /// No hop.
    pub const NONE: Plain = Plain(u32::MAX);

    fn hop(hop: u8) -> Plain {
        Plain(kind_of(Command::DATA, hop).into())
    }

    /// True for the hop.
    #[inline(always)]
    pub fn is(self, hop: u8) -> bool {
        self.0 == kind_of(Command::DATA, hop).into()
    }

    /// True when the message is DATA from the hop.
    #[inline(always)]
    pub fn is_data(self, message: &impl Fields) -> bool {
        self.0 == u32::from(message.kind())
    }
}

impl Circuit {
    /// A circuit in no set, which nobody runs yet.
    pub fn new(config: CircuitConfig) -> Circuit {
        let CircuitConfig { tag, role, hops, flags, held_sends_max, .. } = config;
        let config = Kept { tag, flags, role, hops: hops.length(), plain: Plain::NONE };
        let mut circuit = Circuit { place: Place::Alone, config, reactor: None, padding: None, apart: None };
        circuit.set_hops(hops);
        if held_sends_max != circuit.held_sends_max() {
            circuit.apart().held_sends_max = held_sends_max;
        }
        circuit
    }

    /// Room for what few circuits have.
    pub fn apart(&mut self) -> &mut Apart {
        self.apart.get_or_insert_default()
    }

    /// How long the circuit is, and where it ends.
    pub fn hops(&self) -> Hops {
        let join = self.apart.as_ref().map_or(0, |apart| apart.join);
        Hops::of(self.config.hops, join)
    }

    /// Makes the circuit as long as this.
    pub fn set_hops(&mut self, hops: Hops) {
        self.config.hops = hops.length();
        if hops != self.hops() {
            self.apart().join = hops.join();
        }
    }

    /// Cap on messages held for sending.
    pub fn held_sends_max(&self) -> u32 {
        self.apart.as_ref().map_or(limits::HELD_SENDS_DEFAULT, |apart| apart.held_sends_max)
    }

    /// There while the circuit is a leg of a set on another engine.
    #[inline]
    pub fn away(&self) -> Option<&Away> {
        self.apart.as_ref()?.away.as_deref()
    }

    /// The same, mutable.
    #[inline]
    pub fn away_mut(&mut self) -> Option<&mut Away> {
        self.apart.as_mut()?.away.as_deref_mut()
    }

    /// Takes out what makes it a leg of a set on another engine.
    pub fn take_away(&mut self) -> Option<Box<Away>> {
        self.apart.as_mut()?.away.take()
    }

    /// How much the circuit holds; none before it first held something.
    #[inline]
    pub fn standing(&self) -> Option<&Standing> {
        self.apart.as_ref()?.standing.as_ref()
    }

    /// It ends here, or at a client that is a service: whoever is at the join point may open a set (R7).
    pub fn answers_links(&self) -> bool {
        match self.config.role {
            Role::Exit => !self.is_extended(),
            Role::Client => self.config.flags.has(CircuitFlags::SERVICE),
        }
    }

    /// True for a circuit of a relay that goes on to another relay.
    pub fn is_extended(&self) -> bool {
        self.config.role == Role::Exit && self.config.flags.has(CircuitFlags::EXTENDED)
    }

    /// Finds out from which hop messages may take the quick way.
    pub fn find_plain_hop(&mut self) {
        let is_plain = self.reactor.is_none() && self.padding.is_none() && !self.is_extended();
        self.config.plain = if is_plain { Plain::hop(self.config.hops.last()) } else { Plain::NONE };
    }

    /// Notes that a message of a stream has passed: a circuit that has carried streams may not become a leg any more
    /// (R9).
    #[inline(always)]
    pub fn note_stream(&mut self, command: Command, stream_id: u16) {
        if stream_id != 0 || command.traits() & STREAM_NEEDED != 0 {
            self.config.flags.add(CircuitFlags::STREAMS);
        }
    }

    /// Bytes held: at the edges, behind a block, and on the way to the home of its set.
    #[inline(always)]
    pub fn bytes(&self) -> u64 {
        let edges = self.reactor.as_ref().map_or(0, |reactor| reactor.held_bytes());
        let held = self.padding.as_ref().map_or(0, |padding| padding.held_bytes);
        held + edges + self.away().map_or(0, |away| away.bytes())
    }

    /// Notes that the circuit holds more than before.
    #[inline(always)]
    pub fn grew(&mut self, id: Id, ledger: &SharedLedger, now: Nanos) {
        let bytes = self.bytes();
        Standing::grow(&mut self.apart().standing, ledger, id, bytes, now);
    }

    /// Notes that the last cell of an edge was taken. False when the circuit holds something else, or may have
    /// something on the way to another engine: then its age has to be written down anew.
    #[inline]
    pub fn note_emptied(&self) -> bool {
        let holds_nothing = self.away().is_none() && self.bytes() == 0;
        if let (true, Some(standing)) = (holds_nothing, self.standing()) {
            standing.emptied();
        }
        holds_nothing
    }

    /// Since when the oldest of what is held has waited; [`NEVER`] when nothing is held.
    pub fn since(&self, store: &Store, now: Nanos) -> Nanos {
        let edges = self.reactor.iter().flat_map(|reactor| {
            [Side::Back, Side::Next].into_iter().filter_map(|side| store.since(reactor.edge_at(side).lane(), now))
        });
        let held = self.padding.as_ref().and_then(|padding| padding.first_held());
        let away = self.away().map(|away| away.since());
        edges.chain(held.and_then(|lane| store.since(lane, now))).chain(away).min().unwrap_or(NEVER)
    }

    /// True when the flags would give the queue to another owner while padding uses it.
    pub fn moves_queue(&self, flags: CircuitFlags) -> bool {
        let own = CircuitFlags::OWN_QUEUE;
        self.padding.is_some() && self.config.flags.has(own) != flags.has(own)
    }

    /// True when the flags would give the circuit to another owner, or its window or queue.
    pub fn moves_reactor(&self, flags: CircuitFlags) -> bool {
        let differs = |flag| self.config.flags.has(flag) != flags.has(flag);
        let own_queue = flags.has(CircuitFlags::OWN_QUEUE);
        differs(CircuitFlags::REACTOR) || (self.reactor.is_some() && (differs(CircuitFlags::VEGAS) || own_queue))
    }

    /// True when circflow runs the circuit and its streams.
    pub(super) fn runs_streams(&self) -> bool {
        self.reactor.is_some() && self.config.flags.has(CircuitFlags::VEGAS)
    }

    pub(super) fn position(&self, hop: u8) -> Position {
        let (flags, is_last) = (self.config.flags, self.config.hops.ends_at(hop));
        let extended = flags.has(CircuitFlags::EXTENDED);
        // A service takes LINK and BEGIN from its last hop only.
        let answers = flags.has(CircuitFlags::SERVICE) && is_last;
        Position {
            part: part(self.config.role == Role::Client, answers, extended),
            is_leg: self.place.leg().is_some() || self.place == Place::Away,
            at_join_point: is_last,
            leaky_pipe: flags.has(CircuitFlags::LEAKY_PIPE),
            runs_streams: self.runs_streams(),
            by_host: self.reactor.is_none(),
        }
    }
}

/// Fills a vacant place of the arena.
impl Default for Circuit {
    fn default() -> Self {
        let (flags, hops) = (CircuitFlags::default(), Hops::NONE.length());
        let config = Kept { tag: 0, flags, role: Role::Exit, hops, plain: Plain::NONE };
        Circuit { place: Place::Closing, config, reactor: None, padding: None, apart: None }
    }
}

/// What a circuit is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In no set.
    Alone,
    /// A leg of a set on this engine.
    Leg { set: Id, ix: LegIx },
    /// A leg of a set on another engine.
    Away,
    /// Its close is queued or under way.
    Closing,
}

impl Place {
    /// The set, and the leg's place there, of a circuit that is a leg.
    pub fn leg(self) -> Option<(Id, LegIx)> {
        match self {
            Place::Leg { set, ix } => Some((set, ix)),
            Place::Alone | Place::Away | Place::Closing => None,
        }
    }
}
