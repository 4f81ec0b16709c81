//! An engine's membership of a hub.

use super::bell::{Bell, Notify, Ringer};
use super::link::link;
use super::memory::{self, Ledger, SharedLedger, Victim};
use super::spares::Spares;
use super::{Claim, Home, HomeEnd, Left, LegEnd, Shared, Traffic};
use crate::base::budget::{Budget, Process, Returns};
use crate::base::purse::Common;
use crate::base::sync::atomic::{fence, AtomicBool, AtomicU64, Ordering::*};
use crate::base::sync::{Arc, Mutex};
use crate::base::{limits, Id, Nanos};
use crate::conflux::Role;
use crate::wire::conflux::Nonce;
use std::collections::VecDeque;

/// An engine's access to the hub, for the engine's thread. Dropping it leaves the hub: the other engines see that at
/// once, its nonces are free, and its host is not woken any more.
///
/// Close the ends of links first ([`LinkEnd::close`](super::LinkEnd::close)): what is left in them is handed out there.
pub struct Port<T: Traffic> {
    shared: Arc<Shared<T>>,
    member: Arc<Member<T>>,
}

/// What other engines know of this one.
pub(super) struct Member<T: Traffic> {
    pub(super) tag: u16,
    pub(super) ledger: Arc<Ledger>,
    gone: AtomicBool,
    bell: Arc<Bell>,
    joins: Mutex<VecDeque<Join<T>>>,
    /// Rings for `joins`, and for victims that other engines have named here.
    ringer: Arc<Ringer>,
    /// Bytes that victims named here are to give back.
    owed: AtomicU64,
}

/// A circuit on another engine that wants to be a leg here: accept or refuse it. If this is dropped, the circuit learns
/// of it, and gets back what it sent only if it is still there.
pub struct Join<T: Traffic> {
    /// The set that it asks for. The set may have ended: check it, and the nonce.
    pub set: Id,
    /// The request that came with it.
    pub request: T::Join,
    end: HomeEnd<T>,
}

/// The reason why a circuit cannot become a leg of a set elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinError {
    /// The home's engine is gone: claim the nonce again.
    Gone,
    /// Too many circuits wait for the home's engine.
    Full,
}

impl<T: Traffic> Port<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>, member: Arc<Member<T>>) -> Self {
        Port { shared: Arc::clone(shared), member }
    }

    /// The engine's tag.
    pub fn tag(&self) -> u16 {
        self.member.tag
    }

    /// Makes this engine the home of a new set, unless the nonce belongs to a living set. When engines ask at the same
    /// time, one of them gets it.
    pub fn claim(&self, role: Role, nonce: &Nonce, set: Id) -> Claim<T> {
        self.shared.claim(role, nonce, &self.member, set)
    }

    /// The home of the living set that has the nonce, if there is one.
    pub fn find(&self, role: Role, nonce: &Nonce) -> Option<Home<T>> {
        self.shared.find(role, nonce)
    }

    /// Frees the nonce of a set of this engine that has ended.
    pub fn release(&self, role: Role, nonce: &Nonce, set: Id) {
        self.shared.release(role, nonce, set);
    }

    /// Asks a set's home to take a circuit in. What is sent on the link is kept until the home has looked at the
    /// request; the home refuses by closing its end. News of the link comes under the key `circuit`.
    pub fn join(&self, home: &Home<T>, request: T::Join, circuit: Id) -> Result<LegEnd<T>, JoinError> {
        let member = &home.member;
        if member.is_gone() {
            return Err(JoinError::Gone);
        }
        let (near, far) = link(limits::LINK_ROOM, &self.member.bell, circuit, &member.bell);
        let join = Join { set: home.set, request, end: far };
        member.ask(join)?;
        Ringer::ring(&member.ringer);
        Ok(near)
    }

    /// The next circuit that wants to be a leg here. News of such circuits comes under [`Id::NONE`]. A circuit that has
    /// gone in the meantime is passed over.
    pub fn poll_join(&self) -> Option<Join<T>> {
        std::iter::from_fn(|| self.member.next_join()).find(|join| join.end.mark_taken())
    }

    /// Rings for the circuits that want to be legs here: the engine has not looked at all of them, and will go on when
    /// it is called again.
    pub fn ring_for_joins(&self) {
        Ringer::ring(&self.member.ringer);
    }

    /// Takes up to `most` keys of what has news. True when more has news: then come back before you sleep, as the host
    /// is woken again only once nothing is left.
    pub fn take_news(&self, most: usize, keys: &mut Vec<Id>) -> bool {
        self.member.bell.take_rung(most, keys)
    }

    /// This engine's buffers for bodies that cross.
    pub fn spares(&self) -> Spares {
        Spares::new(&self.shared.depot)
    }

    /// Makes a budget a part of the process's.
    pub fn share(&self, budget: &mut Budget) {
        budget.join(&self.shared.process, &self.member.bell.returns);
    }

    /// The limits on padding, and the cells sent, of all engines together.
    pub fn padding(&self) -> &Arc<Common> {
        &self.shared.padding
    }

    /// The sets and circuits on this engine that hold something.
    pub fn ledger(&self) -> &SharedLedger {
        &self.member.ledger
    }

    /// The victim when all engines together are at their cap. If it is on another engine, it is named, and that engine
    /// closes it in its next call. If it is on this engine, the caller closes it. When so much is expected back from
    /// other engines that more would not count, only this engine's own are considered. `None` when nobody holds
    /// anything.
    pub fn name_worst(&self, now: Nanos) -> Option<Victim> {
        let process = &self.shared.process;
        for _ in 0..limits::VICTIMS_STEP {
            let victim = memory::worst(&self.shared.ledgers(), now, process.cap())?;
            if victim.engine == self.tag() {
                return Some(victim);
            }
            let member = self.shared.members.lock().get(&victim.engine).cloned();
            let Some(member) = member else { continue };
            // Before it is named, so that its engine cannot subtract the bytes before they are added.
            if !process.add_returning(victim.bytes) {
                break;
            }
            member.owed.fetch_add(victim.bytes, Relaxed);
            let is_named = memory::name_for_engine(&member.ledger, &victim);
            fence(SeqCst);
            if member.is_gone() {
                // That engine may have looked for victims for the last time before.
                member.forgive(process);
            }
            if is_named {
                Ringer::ring(&member.ringer);
                return Some(victim);
            }
            // It has left the book by itself: what it held has been given back.
            member.forgive(process);
        }
        self.member.ledger.worst(now, process.cap())
    }

    /// Takes the ids that other engines have named, to be closed here at once.
    pub fn take_victims(&self) -> Vec<Id> {
        self.member.ledger.take_victims().into_iter().map(|(id, _)| id).collect()
    }

    /// The victims named here are closed, and what they held has been given back.
    pub fn victims_closed(&self) {
        self.member.forgive(&self.shared.process);
    }
}

impl<T: Traffic> std::fmt::Debug for Port<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port").field("tag", &self.tag()).finish_non_exhaustive()
    }
}

impl<T: Traffic> Drop for Port<T> {
    fn drop(&mut self) {
        self.member.gone.store(true, Release);
        fence(SeqCst);
        self.member.bell.disconnect();
        self.member.refuse_all();
        self.shared.release_all(&self.member);
        self.member.forgive(&self.shared.process);
        // Last: until here no engine can join under the same tag.
        let left = self.shared.members.lock().remove(&self.member.tag);
        drop(left);
    }
}

impl<T: Traffic> Member<T> {
    pub(super) fn new(tag: u16, notify: Notify, process: &Arc<Process>) -> Self {
        let bell = Arc::new(Bell::of(notify, Returns::new(process)));
        let (ringer, ledger) = (Ringer::new(&bell, Id::NONE), Ledger::open(tag));
        let (gone, joins) = (AtomicBool::new(false), Mutex::default());
        Member { tag, ledger, gone, bell, joins, ringer, owed: AtomicU64::new(0) }
    }

    /// Expects nothing back from victims here any more.
    fn forgive(&self, process: &Process) {
        let owed = self.owed.swap(0, Relaxed);
        if owed > 0 {
            process.remove_returning(owed);
        }
    }

    /// Rings for news that is not of a link.
    pub(super) fn ring(&self) {
        Ringer::ring(&self.ringer);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Acquire)
    }

    /// Lays a request down, unless there are too many, or the engine has looked for requests for the last time. One
    /// that is refused is dropped after the lock is free.
    fn ask(&self, join: Join<T>) -> Result<(), JoinError> {
        let mut joins = self.joins.lock();
        if self.is_gone() {
            return Err(JoinError::Gone);
        }
        if joins.len() >= limits::JOINS_MAX {
            return Err(JoinError::Full);
        }
        joins.push_back(join);
        Ok(())
    }

    fn next_join(&self) -> Option<Join<T>> {
        self.joins.lock().pop_front()
    }

    fn refuse_all(&self) {
        std::iter::from_fn(|| self.next_join()).for_each(drop);
    }
}

impl<T: Traffic> Join<T> {
    /// Takes the leg in. Its news comes under `key`, the first at once, as it may have sent something already.
    pub fn accept(self, key: Id) -> (T::Join, HomeEnd<T>) {
        self.end.open(key);
        (self.request, self.end)
    }

    /// Refuses, with a reason for the leg's engine. What the leg had sent is handed out.
    pub fn refuse(self, reason: u32, left: impl FnMut(Left<T::ToHome, T::ToLeg>)) {
        self.end.close(reason, left);
    }
}
