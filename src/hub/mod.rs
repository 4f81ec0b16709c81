//! The hub: what the engines of one process share. The only thing in the library that more than one thread touches.
//!
//! An engine joins a [`Hub`] and has a [`Port`] to it from then on. Through it the engine
//!
//! - claims the nonce of a set it is about to start ([`Port::claim`]): the first is the set's *home*, and all others
//!   learn who that is (R6);
//! - makes a circuit whose LINK belongs to a set elsewhere a *remote leg* ([`Port::join`]): a link ([`End`]) carries what
//!   comes on the leg to the home, and what the home decides back, both in order;
//! - hears which of its links have news ([`Port::take_news`]), after the host's `notify` has woken its loop;
//! - charges what it holds ([`Meter`], [`SetMeter`]), so that the process has one total and one cap, and any thread can
//!   ask whom to close ([`Hub::reclaim`]).
//!
//! No lock is held while an engine works, nor across a call of the host's: a lock here is held for a look into a table
//! or a push to a list. What crosses is the engine floor's to say ([`Traffic`]).

mod bell;
mod channel;
mod link;
mod memory;
mod port;

pub use bell::{Bell, Ear, Notify};
pub use link::{link, End, Left, News, Refused};
pub use memory::{Level, Meter, Over, SetMeter, Victim};
pub use port::{Join, JoinError, Port};

use crate::base::sync::{Arc, Mutex};
use crate::base::{limits, Id};
use crate::conflux::{Manager, Role};
use crate::wire::conflux::Nonce;
use memory::Ledger;
use port::Member;
use std::collections::BTreeMap;

/// What crosses between engines.
pub trait Traffic: 'static {
    /// What comes with a circuit that becomes a remote leg.
    type Join: Send;
    /// What goes from a remote leg to the home of its set.
    type ToHome: Send;
    /// What goes from the home to a remote leg.
    type ToLeg: Send;
}

/// The remote leg's end of its link.
pub type LegEnd<T> = End<<T as Traffic>::ToLeg, <T as Traffic>::ToHome>;

/// The home's end of a remote leg's link.
pub type HomeEnd<T> = End<<T as Traffic>::ToHome, <T as Traffic>::ToLeg>;

/// What a hub is made with.
pub struct Config {
    /// Random bytes of the host's, fit for a key.
    pub seed: [u8; 32],
    /// Cap on bytes held by all engines together.
    pub held_bytes_max: u64,
}

/// What the engines of one process share. A clone is the same hub.
pub struct Hub<T: Traffic> {
    shared: Arc<Shared<T>>,
}

/// What is behind a hub and its ports.
struct Shared<T: Traffic> {
    claims: Mutex<Manager<Claimed<T>>>,
    members: Mutex<BTreeMap<u16, Arc<Member<T>>>>,
    meter: Arc<Meter>,
}

/// Who has which nonce.
struct Claimed<T: Traffic> {
    nonce: Nonce,
    home: Arc<Member<T>>,
}

/// Whose a nonce is.
pub enum Claim<T: Traffic> {
    /// The caller's: its engine is the home of the set from now on.
    Ours,
    /// Another set's.
    Home(Home<T>),
}

/// A set and the engine on which it lives. Stays valid, and leads to nobody else, when that engine has gone.
pub struct Home<T: Traffic> {
    member: Arc<Member<T>>,
    /// The set, as its engine calls it. It may have ended by now: whoever is asked to take a leg in checks that, and
    /// the nonce.
    pub set: Id,
}

/// Why an engine cannot join a hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAdmitted {
    /// Another engine with this tag is there.
    TagTaken,
    /// There are as many engines as a hub can have.
    HubFull,
}

impl<T: Traffic> Hub<T> {
    /// A hub without engines.
    pub fn new(config: &Config) -> Self {
        let claims = Mutex::new(Manager::new(&config.seed));
        let meter = Arc::new(Meter::new(Level::Process, config.held_bytes_max, None));
        Hub { shared: Arc::new(Shared { claims, members: Mutex::new(BTreeMap::new()), meter }) }
    }

    /// An engine joins, under the tag that its ids carry, with a function that wakes its loop and a cap on the bytes it
    /// holds. It leaves when its port is dropped.
    pub fn join_engine(&self, tag: u16, notify: Notify, held_bytes_max: u64) -> Result<Port<T>, NotAdmitted> {
        let ledger = Arc::new(Ledger::new(tag, held_bytes_max, &self.shared.meter));
        let member = Arc::new(Member::new(tag, notify, ledger));
        let mut members = self.shared.members.lock();
        if members.contains_key(&tag) {
            return Err(NotAdmitted::TagTaken);
        }
        if members.len() >= limits::ENGINES_MAX {
            return Err(NotAdmitted::HubFull);
        }
        members.insert(tag, Arc::clone(&member));
        drop(members);
        Ok(Port::new(&self.shared, member))
    }

    /// Engines that have joined and not left.
    pub fn engines(&self) -> usize {
        self.shared.members.lock().len()
    }

    /// Nonces claimed.
    pub fn claims(&self) -> usize {
        self.shared.claims.lock().len()
    }

    /// What all engines hold.
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// Names sets to close until what they hold adds up to `bytes_wanted`, those first whose oldest held message has
    /// waited longest, and answers with the sum. No more than `most` are named. From any thread, at once: nothing is freed
    /// by it. A set that has been named is not named again.
    pub fn reclaim(&self, bytes_wanted: u64, most: usize, out: &mut Vec<Victim>) -> u64 {
        let ledgers: Vec<_> = self.shared.members.lock().values().map(|member| Arc::clone(&member.ledger)).collect();
        memory::reclaim(&ledgers, bytes_wanted, most, out)
    }
}

impl<T: Traffic> std::fmt::Debug for Hub<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("engines", &self.engines()).finish_non_exhaustive()
    }
}

impl<T: Traffic> Clone for Hub<T> {
    fn clone(&self) -> Self {
        Hub { shared: Arc::clone(&self.shared) }
    }
}

impl<T: Traffic> Home<T> {
    /// The tag of the home's engine.
    pub fn tag(&self) -> u16 {
        self.member.tag
    }
}

impl<T: Traffic> Shared<T> {
    fn claim(&self, role: Role, nonce: &Nonce, home: &Arc<Member<T>>, set: Id) -> Claim<T> {
        let ours = Claimed { nonce: nonce.clone(), home: Arc::clone(home) };
        let mut claims = self.claims.lock();
        let known = claims.candidates(role, nonce).find(|(_, claimed)| claimed.nonce == *nonce);
        match known.map(|(set, claimed)| (set, Arc::clone(&claimed.home))) {
            Some((set, member)) if !member.is_gone() => return Claim::Home(Home { member, set }),
            Some((orphan, _)) => drop(claims.remove(role, nonce, orphan)),
            None => {}
        }
        claims.insert_with(role, nonce, set, ours);
        Claim::Ours
    }

    fn release(&self, role: Role, nonce: &Nonce, set: Id) {
        let released = self.claims.lock().remove(role, nonce, set);
        drop(released);
    }

    /// An engine has gone, and with it the sets that lived there.
    fn release_all(&self, home: &Arc<Member<T>>) {
        let (mut after, mut released) = (None, Vec::new());
        loop {
            let mut claims = self.claims.lock();
            after = claims.sweep(after, limits::SWEEP_STEP, |claimed| Arc::ptr_eq(&claimed.home, home), &mut released);
            drop(claims);
            released.clear();
            if after.is_none() {
                return;
            }
        }
    }
}
