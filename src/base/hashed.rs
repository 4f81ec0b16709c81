//! A table of things by hash, whose order is the same in each run: that of the hashes.
//!
//! Each thing stands at the place that its hash says, as a part of all places, or behind it, with no vacant place in
//! between; and all stand in the order of their keys. So a search ends after a few places, whatever the number of
//! things, as long as hashes are spread evenly: who chooses what is hashed must not know the key of the hash.

/// Things of type `E` by a hash and, for things of the same hash, by what follows it in the key.
pub struct Hashed<R, E> {
    places: Vec<Place<R, E>>,
    /// Places that a hash can say. Behind the last of them are a few more, for those that find it taken.
    homes: usize,
    len: usize,
}

type Place<R, E> = Option<((u64, R), E)>;

/// So many homes at least, once there is a thing.
const HOMES_MIN: usize = 4;

impl<R: Ord + Copy, E> Hashed<R, E> {
    /// An empty table, without memory.
    pub const NONE: Hashed<R, E> = Hashed { places: Vec::new(), homes: 0, len: 0 };

    /// Number of things.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Things in the order of their keys, from this key on.
    pub fn from(&self, key: (u64, R)) -> impl Iterator<Item = ((u64, R), &E)> {
        let places = self.places.get(self.seek(key)..).unwrap_or_default();
        places.iter().flatten().map(|(key, thing)| (*key, thing))
    }

    /// Adds a thing. The key must be a new one.
    pub fn insert(&mut self, key: (u64, R), thing: E) {
        if (self.len + 1) * 8 > self.homes * 7 {
            self.rebuild(self.homes + self.homes / 4);
        }
        let mut at = self.seek(key);
        let mut carried = Some((key, thing));
        while let Some(place) = self.places.get_mut(at).filter(|_| carried.is_some()) {
            std::mem::swap(place, &mut carried);
            at += 1;
        }
        if carried.is_some() {
            if self.places.len() == self.places.capacity() {
                self.places.reserve_exact(HOMES_MIN);
            }
            self.places.push(carried);
        }
        self.len += 1;
    }

    /// Takes a thing out.
    pub fn remove(&mut self, key: (u64, R)) -> Option<E> {
        let mut at = self.seek(key);
        let (_, thing) = self.places.get_mut(at)?.take_if(|(there, _)| *there == key)?;
        while self.may_move_back(at + 1) {
            self.places.swap(at, at + 1);
            at += 1;
        }
        self.len -= 1;
        if self.homes > HOMES_MIN && self.len * 8 < self.homes {
            self.rebuild(self.len * 2);
        }
        Some(thing)
    }

    /// True when a thing stands in this place, and its home is in front of it.
    fn may_move_back(&self, at: usize) -> bool {
        self.places.get(at).and_then(Option::as_ref).is_some_and(|((hash, _), _)| self.home(*hash) < at)
    }

    /// The place that a hash says.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.homes as u128) >> 64) as usize
    }

    /// The place of a key, or where it would have to stand.
    #[inline]
    fn seek(&self, key: (u64, R)) -> usize {
        let home = self.home(key.0);
        let behind = self.places.get(home..).unwrap_or_default();
        home + behind.iter().take_while(|place| place.as_ref().is_some_and(|(there, _)| *there < key)).count()
    }

    fn rebuild(&mut self, homes: usize) {
        self.homes = homes.max(HOMES_MIN);
        let before = std::mem::take(&mut self.places);
        self.places.reserve_exact(self.homes + HOMES_MIN);
        for (key, thing) in before.into_iter().flatten() {
            let home = self.home(key.0);
            if self.places.len() < home {
                self.places.resize_with(home, || None);
            }
            self.places.push(Some((key, thing)));
        }
        if self.places.len() < self.homes {
            self.places.resize_with(self.homes, || None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Compared with a tree, under hashes that are spread evenly, and under some that are not.
    #[test]
    fn like_a_tree() {
        let mut random = 1_u64;
        let mut draw = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random ^ random >> 29
        };
        for crowded in [false, true] {
            let (mut table, mut tree) = (Hashed::NONE, BTreeMap::new());
            for round in 0..20_000_u64 {
                let hash = if crowded { [0, 1, 1 << 40, u64::MAX - 1, u64::MAX][draw() as usize % 5] } else { draw() };
                let grows = draw() % 10 < if round % 8_000 < 3_000 { 8 } else { 2 };
                if grows && (tree.len() < 300 || !crowded) {
                    table.insert((hash, round), round);
                    tree.insert((hash, round), round);
                } else if let Some((&key, _)) = tree.range((hash, 0)..).next().or_else(|| tree.first_key_value()) {
                    assert_eq!(table.remove(key), tree.remove(&key));
                    assert_eq!(table.remove(key), None);
                }
                let found = table.from((hash, 0)).next().map(|(key, thing)| (key, *thing));
                assert_eq!(found, tree.range((hash, 0)..).next().map(|(key, thing)| (*key, *thing)));
                assert_eq!(table.len(), tree.len());
            }
            let all: Vec<_> = table.from((0, 0)).map(|(key, _)| key).collect();
            assert!(all.iter().eq(tree.keys()) && table.homes <= HOMES_MIN.max(8 * table.len()));
        }
    }

    #[test]
    fn what_is_spread_evenly_is_found_near_its_home() {
        let mut table = Hashed::NONE;
        let hash = |number: u64| {
            let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        };
        (0..100_000).for_each(|number| table.insert((hash(number), ()), ()));
        let away = (0..100_000).map(|number| table.seek((hash(number), ())) - table.home(hash(number)));
        assert!(away.sum::<usize>() < 4 * 100_000);
        assert!(table.places.capacity() < 150_000);
    }
}
