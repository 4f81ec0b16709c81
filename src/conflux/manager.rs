//! Finds the set that a nonce belongs to.
//!
//! A nonce is a secret: whoever has it can join the set (prop329 §2.2). The time of a search must not show how much of
//! a guess was right, so sets are found by a hash under the host's key, and nonces are compared in constant time.

use super::handshake::Role;
use crate::base::{Hashed, Id};
use crate::wire::conflux::Nonce;
use siphasher::sip::SipHasher24;
use std::fmt;
use std::hash::Hasher;
use std::num::NonZeroU64;

/// Sets by role and nonce, each with an entry of type `E`. One process can be client and exit.
pub struct Manager<E = ()> {
    key: [u8; 16],
    sets: Hashed<NonZeroU64, E>,
}

/// Key of a set in a [`Manager`]: the hash of its nonce and its role, and its id. (An id is never 0, so a vacant place
/// needs no mark.)
pub type SetKey = (u64, NonZeroU64);

/// Shows the number of sets, and not the secret key.
impl<E> fmt::Debug for Manager<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("sets", &self.sets.len()).finish_non_exhaustive()
    }
}

impl Manager {
    /// Returns the set with this nonce; `nonce_of` returns the nonce of a set.
    pub fn find<'a>(&self, role: Role, nonce: &Nonce, nonce_of: impl Fn(Id) -> Option<&'a Nonce>) -> Option<Id> {
        self.candidates(role, nonce).map(|(set, ())| set).find(|&set| nonce_of(set) == Some(nonce))
    }

    /// Remembers a set.
    pub fn insert(&mut self, role: Role, nonce: &Nonce, set: Id) {
        self.insert_with(role, nonce, set, ());
    }
}

impl<E> Manager<E> {
    /// A manager that hashes with the first half of `seed`, the host's secret.
    pub fn new(seed: &[u8; 32]) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&seed[..16]);
        Manager { key, sets: Hashed::NONE }
    }

    /// Number of sets remembered.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// True when no set is remembered.
    #[allow(dead_code, reason = "goes with len()")]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Sets whose nonce has the same hash, nearly always at most one. The caller compares the nonces.
    pub fn candidates(&self, role: Role, nonce: &Nonce) -> impl Iterator<Item = (Id, &E)> {
        let hash = self.hash(role, nonce);
        let from = self.sets.from((hash, NonZeroU64::MIN));
        from.take_while(move |((of, _), _)| *of == hash).map(|((_, set), entry)| (Id(set.get()), entry))
    }

    /// Remembers a set with an entry.
    pub fn insert_with(&mut self, role: Role, nonce: &Nonce, set: Id, entry: E) {
        if let Some(set) = NonZeroU64::new(set.0) {
            self.sets.insert((self.hash(role, nonce), set), entry);
        }
    }

    /// Forgets a set: its nonce is free from now on.
    pub fn remove(&mut self, role: Role, nonce: &Nonce, set: Id) -> Option<E> {
        self.sets.remove((self.hash(role, nonce), NonZeroU64::new(set.0)?))
    }

    /// One step of a walk over all sets: looks at up to `most` sets behind `after`, and moves the entries for which
    /// `over` is true to `out`. Returns the last set it looked at, or none when the walk is complete.
    pub fn sweep(
        &mut self,
        after: Option<SetKey>,
        most: usize,
        over: impl Fn(&E) -> bool,
        out: &mut Vec<E>,
    ) -> Option<SetKey> {
        let from = after.unwrap_or((0, NonZeroU64::MIN));
        let behind = self.sets.from(from).filter(|&(key, _)| Some(key) != after);
        let mut seen: Vec<(SetKey, bool)> = behind.take(most + 1).map(|(key, entry)| (key, over(entry))).collect();
        let more = seen.len() > most;
        seen.truncate(most);
        out.extend(seen.iter().filter(|(_, over)| *over).filter_map(|&(key, _)| self.sets.remove(key)));
        seen.last().filter(|_| more).map(|&(key, _)| key)
    }

    /// The hash of a nonce, whose last bit is the role: so sets of two roles never have the same.
    fn hash(&self, role: Role, nonce: &Nonce) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(nonce.as_bytes());
        hasher.finish() & !1 | u64::from(role == Role::Exit)
    }
}
