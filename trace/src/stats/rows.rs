//! Rows found by a key, in the order in which they were first asked for.

use std::collections::HashMap;
use std::hash::Hash;

#[derive(Default)]
pub struct Rows<K, V> {
    index: HashMap<K, usize>,
    rows: Vec<(K, V)>,
    /// Where the row of the last question is: the next one is often about the same.
    last: usize,
}

impl<K: Copy + Eq + Hash, V: Default> Rows<K, V> {
    pub fn new() -> Rows<K, V> {
        Rows { index: HashMap::new(), rows: Vec::new(), last: 0 }
    }

    /// The row of a key; a new one, where there is none.
    #[inline]
    pub fn at(&mut self, key: K) -> &mut V {
        if self.rows.get(self.last).is_none_or(|(last, _)| *last != key) {
            self.last = *self.index.entry(key).or_insert(self.rows.len());
            if self.last == self.rows.len() {
                self.rows.push((key, V::default()));
            }
        }
        &mut self.rows[self.last].1
    }

    /// The row of a key, where there is one.
    pub fn get(&self, key: K) -> Option<&V> {
        self.index.get(&key).map(|&at| &self.rows[at].1)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.rows.iter_mut().map(|(_, row)| row)
    }

    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.rows.iter()
    }
}
