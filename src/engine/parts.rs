//! The parts of an engine beside its circuits, sets and streams. A step borrows only the part that it needs.

use crate::base::purse::Purse;
use crate::base::time::NEVER;
use crate::base::{limits, Arena, Clock, Id, Nanos};
use crate::conflux::{Effect, SetTerms};
use crate::congestion::{Params, PathClass};
use crate::engine::alarms::Alarms;
use crate::engine::consensus::Wide;
use crate::engine::out::detail::LastDetail;
use crate::engine::out::insn::Queue;
use crate::engine::out::leftover::Aside;
use crate::engine::spread::message::Crossing;
use crate::engine::spread::places::HomeLegs;
use crate::engine::{Config, Lateness};
use crate::hub::{Buffer, Ledger, Port, SharedLedger, Spares};
use crate::message::Store;
use crate::padding::{Keys, Machines, Pace, PadderTerms, PaddingEffect};
use crate::reactor::Marks;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The host's clock, and the timers.
#[derive(Debug)]
pub(super) struct Time {
    pub clock: Clock,
    pub alarms: Alarms,
    /// The latest time seen when a step back of the clock was last logged.
    pub step_back_logged: Nanos,
    /// Counts the calls in which something was due: padding has a bound of steps for each such call.
    pub round: u32,
    /// How late timers of padding ran.
    pub lateness: Lateness,
}

/// Messages and cells that wait, and how many bytes each set and circuit holds.
#[derive(Debug)]
pub(super) struct Held {
    pub store: Store,
    pub ledger: SharedLedger,
    /// Leftovers that are still to be freed.
    pub aside: Aside,
}

/// Everything for the host: instructions, why a call failed, and counts of what peers did wrong.
#[derive(Debug)]
pub(super) struct OutPart {
    pub queue: Queue,
    /// The call under way has spent its steps on the first in the queue, which stays there.
    pub paused: bool,
    /// Effects of sets in the call under way; empty between calls.
    pub effects: Vec<Effect>,
    /// Streams to wake later, of the call under way; empty between calls.
    pub wakes: Vec<(Id, Nanos)>,
    pub detail: LastDetail,
    /// Faults of peers.
    pub faults: u64,
    /// Messages that came for no stream that is known, and were dropped.
    pub unexplained: u64,
}

/// The engine's side of padding. The padders themselves belong to their circuits.
#[derive(Debug)]
pub(super) struct PaddingPart {
    /// Lists of padding machines that the host has loaded.
    pub machines: Arena<Machines>,
    /// Padders by their numbers in the negotiation, at a client (true) and at a relay (false).
    pub numbers: BTreeMap<(bool, u8), PadderTerms>,
    pub keys: Keys,
    /// Effects of the padding step under way; empty between calls.
    pub effects: Vec<PaddingEffect>,
    /// Padding cells received.
    pub received: u64,
    /// How many circuits have padding. While it is 0, no circuit is looked up to find that out.
    pub circuits: u32,
    pub pace: Pace,
    /// How much padding the operator and the consensus allow, and the cells sent.
    pub purse: Purse,
}

/// Settings of the host, and parameters of the consensus.
#[derive(Debug)]
pub(super) struct Settings {
    /// The engine's number in its hub, and in its ids.
    pub tag: u32,
    pub instructions_max: usize,
    /// Terms of a set that a peer opens; none while such sets are refused.
    pub accepted: Option<SetTerms>,
    /// Parameters of congestion control for circuits that are opened from now on, by class.
    pub params: [Arc<Params>; 3],
    /// Parameters of conflux, padding and SENDMEs.
    pub wide: Wide,
    pub marks: Marks,
    pub streams_max: u32,
    pub stream_bytes_max: u32,
    pub stream_memory: Nanos,
    pub held_age_max: Nanos,
}

/// Sets over several engines.
#[derive(Debug)]
pub(super) struct Spread {
    /// The way to the other engines of the hub.
    pub port: Option<Port<Crossing>>,
    /// Legs elsewhere of our sets.
    pub home_legs: HomeLegs,
    /// Links with news, of the call under way; empty between calls.
    pub news: Vec<Id>,
    /// Buffers for bodies that cross.
    pub spares: Spares,
    /// The body that a drain lends which came straight from a link.
    pub lent: Option<Buffer>,
}

impl Time {
    pub fn new() -> Time {
        Time {
            clock: Clock::default(),
            alarms: Alarms::default(),
            step_back_logged: NEVER,
            round: 0,
            lateness: Lateness::default(),
        }
    }
}

impl Held {
    pub fn new(config: &Config) -> Held {
        Held { store: Store::new(config.held_bytes_max), ledger: Ledger::open(config.tag as u16), aside: Aside::new() }
    }
}

impl OutPart {
    pub fn new() -> OutPart {
        OutPart {
            queue: Queue::default(),
            paused: false,
            effects: Vec::new(),
            wakes: Vec::new(),
            detail: LastDetail::NONE,
            faults: 0,
            unexplained: 0,
        }
    }
}

impl PaddingPart {
    /// `owner` marks the ids of lists.
    pub fn new(config: &Config, owner: u16) -> PaddingPart {
        PaddingPart {
            machines: Arena::new(owner, limits::MACHINE_LISTS_MAX),
            numbers: BTreeMap::new(),
            keys: Keys::new(&config.seed, config.tag),
            effects: Vec::new(),
            received: 0,
            circuits: 0,
            pace: config.pace,
            purse: Purse::default(),
        }
    }
}

impl Settings {
    pub fn new(config: &Config) -> Settings {
        let classes = [PathClass::Exit, PathClass::Onion, PathClass::Sbws];
        Settings {
            tag: config.tag,
            instructions_max: config.instructions_max as usize,
            accepted: None,
            params: classes.map(|class| Arc::new(Params::default_for(class))),
            wide: Wide::default(),
            marks: config.marks,
            streams_max: config.streams_max,
            stream_bytes_max: config.stream_bytes_max,
            stream_memory: config.stream_memory,
            held_age_max: config.held_age_max,
        }
    }
}

impl Spread {
    pub fn new() -> Spread {
        Spread { port: None, home_legs: HomeLegs::default(), news: Vec::new(), spares: Spares::default(), lent: None }
    }
}
