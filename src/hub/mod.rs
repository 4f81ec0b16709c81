//! The hub: what the engines of one process share. Nothing else in the library is used by more than one thread.
//!
//! An engine joins a [`Hub`] and gets a [`Port`] to it. Through the port the engine
//!
//! - claims the nonce of a set it is about to start ([`Port::claim`]): the engine that claims first is the set's
//!   *home*, and all others learn which engine that is (R6);
//! - makes a circuit whose LINK belongs to a set elsewhere a *remote leg* ([`Port::join`]): a link ([`LinkEnd`])
//!   carries what comes on the leg to the home, and the home's decisions back, both in order;
//! - learns which of its links have news ([`Port::take_news`]), after the host's `notify` has woken its loop;
//! - reserves the bytes that it holds ([`crate::base::Budget`]), so that the process has one total and one cap;
//! - notes which sets and circuits hold them ([`Standing`]), so that any thread can ask which to close
//!   ([`Hub::reclaim`]), and an engine without room can name one on another engine ([`Port::name_worst`]).
//!
//! No lock is held while an engine works, nor during a call of the host's: only for a look into a table or a push to a
//! list. The engine floor defines what crosses ([`Traffic`]).

mod bell;
mod link;
mod memory;
mod port;
mod spares;

pub use bell::{Bell, Call, Notify, Ringer};
pub use link::{link, Cargo, Left, LinkEnd, News, NotSent};
pub use memory::{Ledger, SharedLedger, Standing, Victim};
pub use port::{Join, JoinError, Port};
pub use spares::{Buffer, Spares};

use crate::base::budget::Process;
use crate::base::purse::{Allowance, Common};
use crate::base::sync::{Arc, Mutex};
use crate::base::{limits, Id};
use crate::conflux::{Manager, Role};
use crate::wire::conflux::Nonce;
use port::Member;
use spares::Depot;
use std::collections::BTreeMap;

/// The types of what crosses between engines.
pub trait Traffic: 'static {
    /// The request of a circuit that is to become a remote leg.
    type Join: Send;
    /// An item from a remote leg to the home of its set.
    type ToHome: Send + Cargo;
    /// An item from the home to a remote leg.
    type ToLeg: Send + Cargo;
}

/// The remote leg's end of its link.
pub type LegEnd<T> = LinkEnd<<T as Traffic>::ToLeg, <T as Traffic>::ToHome>;

/// The home's end of a remote leg's link.
pub type HomeEnd<T> = LinkEnd<<T as Traffic>::ToHome, <T as Traffic>::ToLeg>;

/// The configuration of a hub.
pub struct HubConfig {
    /// Random bytes from the host, fit for a key.
    pub seed: [u8; 32],
    /// Cap on bytes held by all engines together.
    pub held_bytes_max: u64,
}

/// What the engines of one process share. All clones are the same hub.
pub struct Hub<T: Traffic> {
    shared: Arc<Shared<T>>,
}

/// The state behind a hub and its ports.
struct Shared<T: Traffic> {
    claims: Mutex<Manager<Claimed<T>>>,
    members: Mutex<BTreeMap<u16, Arc<Member<T>>>>,
    process: Arc<Process>,
    depot: Arc<Depot>,
    padding: Arc<Common>,
}

/// A claimed nonce, and the engine that is its home.
struct Claimed<T: Traffic> {
    nonce: Nonce,
    home: Arc<Member<T>>,
}

/// The result of a claim.
pub enum Claim<T: Traffic> {
    /// The nonce is the caller's: its engine is now the home of the set.
    Ours,
    /// The nonce belongs to a living set.
    #[allow(dead_code, reason = "tests ask whose")]
    Home(Home<T>),
}

/// A set and the engine on which it lives. Stays valid when that engine has gone, and never leads to another one.
pub struct Home<T: Traffic> {
    member: Arc<Member<T>>,
    /// The set's id on its engine. It may have ended by now: the engine that is asked to take a leg in checks that, and
    /// the nonce.
    pub set: Id,
}

/// The reason why an engine cannot join a hub.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotAdmitted {
    /// Another engine of the hub has this tag.
    NumberTaken,
    /// There are already [`limits::ENGINES_MAX`] engines.
    HubFull,
}

impl<T: Traffic> Hub<T> {
    /// A hub without engines.
    pub fn new(config: &HubConfig) -> Self {
        let claims = Mutex::new(Manager::new(&config.seed));
        let process = Arc::new(Process::new(config.held_bytes_max));
        let members = Mutex::new(BTreeMap::new());
        let (depot, padding) = (Arc::default(), Arc::default());
        Hub { shared: Arc::new(Shared { claims, members, process, depot, padding }) }
    }

    /// Takes an engine in, under the tag that its ids carry, with a function that wakes its loop. The engine leaves
    /// when its port is dropped.
    pub fn join_engine(&self, tag: u16, notify: Notify) -> Result<Port<T>, NotAdmitted> {
        let member = Arc::new(Member::new(tag, notify, &self.shared.process));
        let mut members = self.shared.members.lock();
        if members.contains_key(&tag) {
            return Err(NotAdmitted::NumberTaken);
        }
        if members.len() >= limits::ENGINES_MAX {
            return Err(NotAdmitted::HubFull);
        }
        members.insert(tag, Arc::clone(&member));
        drop(members);
        Ok(Port::new(&self.shared, member))
    }

    /// Sets what all engines together may spend on padding. Where machines have to stop, all loops are woken, as what
    /// these machines block has to be released.
    pub fn allow_padding(&self, allowance: Allowance) {
        if self.shared.padding.allow(allowance) {
            let members: Vec<_> = self.shared.members.lock().values().cloned().collect();
            members.iter().for_each(|member| member.ring());
        }
    }

    /// The limits on padding, and the cells sent, of all engines together.
    pub fn padding(&self) -> &Common {
        &self.shared.padding
    }

    /// Number of engines that have joined and not left.
    pub fn engines(&self) -> usize {
        self.shared.members.lock().len()
    }

    /// Number of claimed nonces.
    pub fn claims(&self) -> usize {
        self.shared.claims.lock().len()
    }

    /// The bytes that all engines have reserved.
    pub fn process(&self) -> &Process {
        &self.shared.process
    }

    /// Names sets and circuits to close until they hold `bytes_wanted` in all, those with the greatest product of bytes
    /// and age first, and returns the bytes that they hold. At most `most` are named. May be called from any thread; it
    /// does not wait, and frees nothing itself. One that was named is not named again until it has held nothing.
    pub fn reclaim(&self, bytes_wanted: u64, most: usize, out: &mut Vec<Victim>) -> u64 {
        memory::reclaim(&self.shared.ledgers(), self.shared.process.cap(), bytes_wanted, most, out)
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
    #[allow(dead_code, reason = "tests ask whom a claim has found")]
    pub fn tag(&self) -> u16 {
        self.member.tag
    }
}

impl<T: Traffic> Shared<T> {
    fn ledgers(&self) -> Vec<Arc<Ledger>> {
        self.members.lock().values().map(|member| Arc::clone(&member.ledger)).collect()
    }

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

    fn find(&self, role: Role, nonce: &Nonce) -> Option<Home<T>> {
        let claims = self.claims.lock();
        let (set, claimed) = claims.candidates(role, nonce).find(|(_, claimed)| claimed.nonce == *nonce)?;
        let member = Arc::clone(&claimed.home);
        drop(claims);
        (!member.is_gone()).then_some(Home { member, set })
    }

    fn release(&self, role: Role, nonce: &Nonce, set: Id) {
        let released = self.claims.lock().remove(role, nonce, set);
        drop(released);
    }

    /// An engine has gone, and its sets with it: frees their nonces.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Budget, Over};

    struct Words;

    impl Traffic for Words {
        type Join = &'static str;
        type ToHome = u8;
        type ToLeg = u8;
    }

    fn hub() -> Hub<Words> {
        Hub::new(&HubConfig { seed: [1; 32], held_bytes_max: 100 })
    }

    fn join(hub: &Hub<Words>, tag: u16) -> Port<Words> {
        hub.join_engine(tag, std::sync::Arc::new(|_| {})).ok().unwrap()
    }

    fn nonce(byte: u8) -> Nonce {
        Nonce::new([byte; 32])
    }

    /// The tag and the set that have the nonce, or `None` for the caller's.
    fn claim(port: &Port<Words>, role: Role, byte: u8, set: u64) -> Option<(u16, Id)> {
        match port.claim(role, &nonce(byte), Id(set)) {
            Claim::Ours => None,
            Claim::Home(home) => Some((home.tag(), home.set)),
        }
    }

    fn home(port: &Port<Words>, byte: u8) -> Home<Words> {
        match port.claim(Role::Exit, &nonce(byte), Id(0xbad)) {
            Claim::Ours => panic!("it has a home"),
            Claim::Home(home) => home,
        }
    }

    #[test]
    fn tags_are_unique_among_the_living() {
        let hub = hub();
        let port = join(&hub, 1);
        let refused = hub.join_engine(1, std::sync::Arc::new(|_| {}));
        assert_eq!(refused.err(), Some(NotAdmitted::NumberTaken));
        drop(port);
        let again = join(&hub, 1);
        assert_eq!((again.tag(), hub.engines()), (1, 1));
    }

    #[test]
    fn the_hub_is_full_at_its_cap_not_below() {
        let hub = hub();
        let mut ports: Vec<_> = (0..limits::ENGINES_MAX as u16).map(|tag| join(&hub, tag)).collect();
        let refused = hub.join_engine(9999, std::sync::Arc::new(|_| {}));
        assert_eq!(refused.err(), Some(NotAdmitted::HubFull));
        ports.pop();
        join(&hub, 9999);
    }

    #[test]
    fn the_first_is_home_until_its_set_has_ended() {
        let hub = hub();
        let [a, b] = [1, 2].map(|tag| join(&hub, tag));
        assert_eq!(claim(&a, Role::Exit, 7, 10), None);
        assert_eq!(claim(&b, Role::Exit, 7, 20), Some((1, Id(10))));
        assert_eq!(claim(&b, Role::Exit, 8, 21), None, "another nonce");
        assert_eq!(claim(&b, Role::Client, 7, 22), None, "another role: the process is client and exit");
        let find = |role, byte| b.find(role, &nonce(byte)).map(|home| (home.tag(), home.set));
        assert_eq!((find(Role::Exit, 7), find(Role::Exit, 9)), (Some((1, Id(10))), None), "to ask claims nothing");
        b.release(Role::Exit, &nonce(7), Id(20));
        assert_eq!(claim(&b, Role::Exit, 7, 20), Some((1, Id(10))), "who is not home releases nothing");
        a.release(Role::Exit, &nonce(7), Id(10));
        assert_eq!(claim(&b, Role::Exit, 7, 20), None);
        assert_eq!(claim(&a, Role::Exit, 7, 10), Some((2, Id(20))));
    }

    #[test]
    fn an_engine_that_goes_frees_its_nonces_and_nobody_elses() {
        let hub = hub();
        let [a, b] = [1, 2].map(|tag| join(&hub, tag));
        let sets = 2 * limits::SWEEP_STEP as u64 + 3;
        let of = |set: u64| Nonce::new(std::array::from_fn(|at| (set >> (8 * (at % 8))) as u8));
        for set in 0..sets {
            let port = if set % 3 == 0 { &b } else { &a };
            assert!(matches!(port.claim(Role::Exit, &of(set), Id(set + 1)), Claim::Ours));
        }
        let Claim::Home(stale) = b.claim(Role::Exit, &of(1), Id(9999)) else { panic!() };
        drop(a);
        assert_eq!(hub.claims() as u64, sets.div_ceil(3));
        assert!((0..sets).all(|set| match b.claim(Role::Exit, &of(set), Id(set + 1)) {
            Claim::Ours => set % 3 != 0,
            Claim::Home(home) => set % 3 == 0 && home.set == Id(set + 1),
        }));
        let _namesake = join(&hub, 1);
        assert_eq!(b.join(&stale, "", Id(5)).err(), Some(JoinError::Gone), "not even under the same tag");
    }

    #[test]
    fn a_leg_is_taken_in_or_refused() {
        let hub = hub();
        let [a, b] = [1, 2].map(|tag| join(&hub, tag));
        claim(&a, Role::Exit, 7, 10);
        let [mut taken, mut refused, mut dropped] =
            [31, 32, 33].map(|id| b.join(&home(&b, 7), "LINK", Id(id)).ok().unwrap());
        taken.send(1).unwrap();
        refused.send(2).unwrap();
        let mut keys = Vec::new();
        assert!(!a.take_news(4, &mut keys));
        assert_eq!(keys, [Id::NONE], "circuits that want to be legs");
        let first = a.poll_join().unwrap();
        assert_eq!((first.set, first.request), (Id(10), "LINK"));
        let (_, mut end) = first.accept(Id(41));
        let mut left = Vec::new();
        a.poll_join().unwrap().refuse(6, |rest| left.push(rest));
        drop(a.poll_join().unwrap());
        assert!(a.poll_join().is_none());
        keys.clear();
        a.take_news(4, &mut keys);
        assert_eq!((keys, end.poll(), left), (vec![Id(41)], News::Item(1), vec![Left::Unread(2)]));
        assert_eq!(
            (taken.poll(), refused.poll(), dropped.poll()),
            (News::Nothing, News::Over(Some(6)), News::Over(None))
        );
    }

    #[test]
    fn requests_are_refused_above_the_cap() {
        let hub = hub();
        let [a, b] = [1, 2].map(|tag| join(&hub, tag));
        claim(&a, Role::Exit, 7, 10);
        let home = home(&b, 7);
        let asked: Vec<_> =
            (0..limits::JOINS_MAX as u64).map(|id| b.join(&home, "", Id(id + 1)).ok().unwrap()).collect();
        assert_eq!(b.join(&home, "", Id(9999)).err(), Some(JoinError::Full));
        drop(a.poll_join());
        assert!(b.join(&home, "", Id(9999)).is_ok());
        drop(a);
        assert!(asked.iter().all(|end| end.peer_gone() == Some(None)), "whoever waited is told");
    }

    #[test]
    fn what_engines_hold_adds_up_and_the_worst_of_all_is_named() {
        let hub = hub();
        let [a, b] = [1, 2].map(|tag| join(&hub, tag));
        let mut budgets = [&a, &b].map(|port| {
            let mut budget = Budget::new(100);
            port.share(&mut budget);
            budget
        });
        let hold = |budget: &mut Budget, bytes: u64| budget.ask(bytes).map(|()| budget.hold(bytes));
        hold(&mut budgets[0], 60).unwrap();
        hold(&mut budgets[1], 40).unwrap();
        assert_eq!((hold(&mut budgets[1], 1), hub.process().reserved()), (Err(Over::Process), 100));
        let standings = [(&a, 10, 60), (&b, 20, 40)].map(|(port, id, bytes)| {
            let standing = Standing::new(port.ledger(), Id(id));
            standing.grew(bytes, 5);
            standing
        });
        // The worst is on another engine: it is named there, and counts as coming back as far as that goes.
        assert_eq!(b.name_worst(9), Some(Victim { engine: 1, id: Id(10), bytes: 60 }));
        let mut keys = Vec::new();
        a.take_news(4, &mut keys);
        assert_eq!((keys, a.take_victims()), (vec![Id::NONE], vec![Id(10)]));
        assert_eq!((hold(&mut budgets[1], 12), hold(&mut budgets[1], 1)), (Ok(()), Err(Over::Process)));
        a.victims_closed();
        // The next is its own, which it closes by itself.
        let own = Victim { engine: 2, id: Id(20), bytes: 40 };
        assert_eq!((b.name_worst(9), b.take_victims()), (Some(own), vec![]));
        let mut victims = Vec::new();
        assert_eq!((hub.reclaim(10, usize::MAX, &mut victims), victims), (40, vec![own]));
        drop((standings, budgets));
        assert_eq!((hub.process().reserved(), hub.process().peak()), (0, 112));
    }

    /// A hub may be used by all threads; a port and a link's end may move with their engine to another thread.
    #[test]
    fn threads_may_have_them() {
        fn shared<T: Send + Sync>() {}
        fn sent<T: Send>() {}
        shared::<Hub<Words>>();
        sent::<(Port<Words>, LegEnd<Words>, Join<Words>, Home<Words>, Standing)>();
    }
}
