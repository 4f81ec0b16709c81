//! Which set a nonce belongs to.
//!
//! A nonce is a bearer secret (prop329 §2.2). Looking one up must not tell, by the time it takes, how much of a guess
//! was right: sets are found by a hash under the host's key, and the nonce itself is compared in constant time.

use super::handshake::Role;
use crate::base::Id;
use crate::wire::conflux::Nonce;
use siphasher::sip::SipHasher24;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hasher;

/// Sets by (role, nonce). One process can be client and exit.
pub struct Manager {
    key: [u8; 16],
    sets: BTreeSet<(Role, u64, Id)>,
}

/// Without the key.
impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("sets", &self.sets.len()).finish_non_exhaustive()
    }
}

impl Manager {
    /// A manager that hashes under a secret of the host's.
    pub fn new(seed: &[u8; 32]) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&seed[..16]);
        Manager { key, sets: BTreeSet::new() }
    }

    /// The set with this nonce; `nonce_of` tells the nonce of a set.
    pub fn find<'a>(&self, role: Role, nonce: &Nonce, nonce_of: impl Fn(Id) -> Option<&'a Nonce>) -> Option<Id> {
        let hash = self.hash(nonce);
        let candidates = self.sets.range((role, hash, Id(0))..=(role, hash, Id(u64::MAX)));
        candidates.map(|&(_, _, set)| set).find(|&set| nonce_of(set) == Some(nonce))
    }

    /// Remembers a set.
    pub fn insert(&mut self, role: Role, nonce: &Nonce, set: Id) {
        self.sets.insert((role, self.hash(nonce), set));
    }

    /// Forgets a set: its nonce is free from now on.
    pub fn remove(&mut self, role: Role, nonce: &Nonce, set: Id) {
        self.sets.remove(&(role, self.hash(nonce), set));
    }

    fn hash(&self, nonce: &Nonce) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(nonce.as_bytes());
        hasher.finish()
    }
}
