//! The sets and circuits that hold something, and which of them pays when a cap is reached: the one with the greatest
//! product of bytes and age.
//!
//! Holders stand in a balanced tree (AVL), in the order of the age of the oldest thing they hold. Each node knows the
//! most bytes that any holder below it holds. So "the oldest holder with at least so many bytes" is one way down the
//! tree. The search goes from the oldest to the youngest: a younger holder must hold more than the worst so far to be
//! worse.

use super::{limits, Nanos};
use std::mem::size_of;

/// The sets and circuits that hold something: for each a name, its bytes, and since when the oldest of them has been
/// held. Memory is allocated only when there are more holders than ever before.
#[derive(Debug)]
pub struct Holders<K> {
    /// Node 0 stands for "none": it holds nothing and has no height.
    nodes: Vec<Node<K>>,
    root: u32,
    /// First of the vacant nodes, which are linked through `below`.
    vacant: u32,
    len: u32,
}

/// The place of a holder, until it leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seat(u32);

/// A holder as it was entered or updated last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holder<K> {
    /// Its place.
    pub seat: Seat,
    /// Its name.
    pub name: K,
    /// Bytes it holds.
    pub bytes: u64,
    /// Since when the oldest of them has been held.
    pub since: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node<K> {
    name: K,
    bytes: u64,
    since: Nanos,
    /// The most bytes that this node or a node below it holds.
    most: u64,
    /// The subtree of older holders, and that of younger ones.
    below: [u32; 2],
    above: u32,
    /// 0 for a vacant node.
    height: u8,
}

const NONE: u32 = 0;
const OLDER: usize = 0;
const YOUNGER: usize = 1;

impl<K: Copy + Ord + Default> Default for Holders<K> {
    fn default() -> Self {
        Holders { nodes: Vec::new(), root: NONE, vacant: NONE, len: 0 }
    }
}

impl<K: Copy + Ord + Default> Holders<K> {
    /// Number of holders.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// True when there is no holder.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a holder. Its name also decides the order of holders that are equal in all else.
    pub fn enter(&mut self, name: K, bytes: u64, since: Nanos) -> Seat {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let n = match self.vacant {
            NONE => {
                self.nodes.push(Node::default());
                (self.nodes.len() - 1) as u32
            }
            n => {
                self.vacant = self.at(n).below[OLDER];
                n
            }
        };
        *self.at_mut(n) = Node { name, bytes, since, ..Node::default() };
        self.len += 1;
        self.link(n);
        Seat(n)
    }

    /// A holder has more or fewer bytes than before, or its oldest thing has gone. If the age changes, this costs a few
    /// ways down the tree; if only the bytes change, a step up for each node whose largest holder changes.
    pub fn update(&mut self, Seat(n): Seat, bytes: u64, since: Nanos) {
        let Some(node) = self.nodes.get_mut(n as usize).filter(|node| node.height > 0) else { return };
        if node.since == since {
            node.bytes = bytes;
            self.refresh_most(n);
        } else {
            self.unlink(n);
            let node = self.at_mut(n);
            (node.bytes, node.since) = (bytes, since);
            self.link(n);
        }
    }

    /// Removes a holder, which holds nothing any more.
    pub fn leave(&mut self, Seat(n): Seat) {
        if self.nodes.get(n as usize).is_some_and(|node| node.height > 0) {
            self.unlink(n);
            *self.at_mut(n) = Node { below: [self.vacant, NONE], ..Node::default() };
            self.vacant = n;
            self.len -= 1;
        }
    }

    /// The figures that a holder was entered or updated with last.
    pub fn get(&self, Seat(n): Seat) -> Option<Holder<K>> {
        let node = self.nodes.get(n as usize).filter(|node| node.height > 0)?;
        Some(Holder { seat: Seat(n), name: node.name, bytes: node.bytes, since: node.since })
    }

    /// The holder that has to go when `cap` is reached at `now`: the one with the greatest product of bytes and age.
    /// Holders of less than `cap` ÷ (4 × holders) are passed over; if all hold less, the one with the most bytes has to
    /// go. Among equals it is the oldest, then the one whose name comes first. `None` when nobody holds anything. A
    /// holder of 0 bytes is never named but counts as a holder, so it should leave.
    ///
    /// The answer is exact as long as [`limits::VICTIM_LOOKS`] looks are enough. Each look is one way down the tree, to
    /// the oldest holder that could be worse than the worst so far. More looks are needed only where many holders have
    /// nearly the same product, and the younger hold the more. Then the search takes strides: no holder that counts has
    /// more than 5/4 of the answer's product, and at most 200 more looks are made.
    pub fn worst(&self, now: Nanos, cap: u64) -> Option<Holder<K>> {
        let share = cap / (limits::VICTIM_SHARE * u64::from(self.len.max(1)));
        // If all are below the share, only the largest count.
        let mut least = share.min(self.most(self.root)).max(1);
        let (mut best, mut worst) = (0, None);
        let mut looks = 0;
        while let Some(holder) = self.oldest_with(least) {
            // One more than the age, so that the bytes of the youngest count too.
            let age = u128::from(now.saturating_sub(holder.since)) + 1;
            let product = u128::from(holder.bytes) * age;
            if product > best || worst.is_none() {
                (best, worst) = (product, Some(holder));
            }
            looks += 1;
            let stride = if looks < limits::VICTIM_LOOKS { 0 } else { best / 4 };
            // A younger holder must have so many bytes to be worse than the worst.
            let Ok(more) = u64::try_from((best + stride) / age + 1) else { break };
            least = more.max(holder.bytes.saturating_add(1));
            if least > self.most(self.root) {
                break;
            }
        }
        worst
    }

    /// Frees the memory when there is no holder. Returns the bytes freed.
    pub fn trim(&mut self) -> usize {
        if !self.is_empty() {
            return 0;
        }
        let bytes = self.nodes.capacity() * size_of::<Node<K>>();
        *self = Holders::default();
        bytes
    }

    /// The oldest holder with at least `least` bytes.
    fn oldest_with(&self, least: u64) -> Option<Holder<K>> {
        if self.most(self.root) < least {
            return None;
        }
        let mut n = self.root;
        while n != NONE {
            let node = self.at(n);
            if self.most(node.below[OLDER]) >= least {
                n = node.below[OLDER];
            } else if node.bytes >= least {
                return self.get(Seat(n));
            } else {
                n = node.below[YOUNGER];
            }
        }
        None
    }

    /// Puts a node into the tree, by its age.
    fn link(&mut self, n: u32) {
        let Node { since, name, bytes, .. } = *self.at(n);
        let (mut above, mut side, mut next) = (NONE, OLDER, self.root);
        while next != NONE {
            let node = self.at(next);
            side = if (since, name) < (node.since, node.name) { OLDER } else { YOUNGER };
            (above, next) = (next, node.below[side]);
        }
        let node = self.at_mut(n);
        (node.above, node.below, node.most, node.height) = (above, [NONE; 2], bytes, 1);
        match above {
            NONE => self.root = n,
            _ => self.at_mut(above).below[side] = n,
        }
        self.balance(above);
    }

    /// Takes a node out of the tree.
    fn unlink(&mut self, n: u32) {
        let Node { below: [older, younger], above, height, most, .. } = *self.at(n);
        if older == NONE || younger == NONE {
            self.replace(above, n, older.max(younger));
            return self.balance(above);
        }
        // The next younger node takes its place.
        let mut heir = younger;
        while self.at(heir).below[OLDER] != NONE {
            heir = self.at(heir).below[OLDER];
        }
        let Node { above: mut from, below: [_, child], .. } = *self.at(heir);
        if from == n {
            from = heir;
        } else {
            self.replace(from, heir, child);
            self.at_mut(heir).below[YOUNGER] = younger;
            self.at_mut(younger).above = heir;
        }
        self.at_mut(heir).below[OLDER] = older;
        self.at_mut(older).above = heir;
        self.replace(above, n, heir);
        let node = self.at_mut(heir);
        (node.height, node.most) = (height, most);
        self.balance(from);
        // Also when nothing changed below: the node that left may have been the largest.
        self.balance(heir);
    }

    /// Puts `new` where `old` was, below `above`.
    fn replace(&mut self, above: u32, old: u32, new: u32) {
        match above {
            NONE => self.root = new,
            _ => {
                let below = &mut self.at_mut(above).below;
                let side = usize::from(below[YOUNGER] == old);
                below[side] = new;
            }
        }
        if new != NONE {
            self.at_mut(new).above = above;
        }
    }

    /// Something changed below `n`: corrects heights and maxima from there up, until nothing changes.
    fn balance(&mut self, mut n: u32) {
        while n != NONE {
            let Node { height, most, below, .. } = *self.at(n);
            let [older, younger] = below.map(|child| self.at(child).height);
            let mut top = n;
            if older.abs_diff(younger) > 1 {
                let heavy = usize::from(younger > older);
                let child = below[heavy];
                let inner = self.at(child).below[1 - heavy];
                if self.at(inner).height > self.at(self.at(child).below[heavy]).height {
                    self.rotate(child, heavy);
                }
                top = self.rotate(n, 1 - heavy);
            } else {
                self.refresh(n);
            }
            let node = self.at(top);
            if (node.height, node.most) == (height, most) {
                return;
            }
            n = node.above;
        }
    }

    /// Moves a node down to `side`, and its other child up into its place. Returns that child.
    fn rotate(&mut self, n: u32, side: usize) -> u32 {
        let Node { below, above, .. } = *self.at(n);
        let up = below[1 - side];
        let between = self.at(up).below[side];
        self.at_mut(n).below[1 - side] = between;
        if between != NONE {
            self.at_mut(between).above = n;
        }
        self.replace(above, n, up);
        self.at_mut(up).below[side] = n;
        self.at_mut(n).above = up;
        self.refresh(n);
        self.refresh(up);
        up
    }

    /// Computes the height and the maximum of a node from its children.
    fn refresh(&mut self, n: u32) {
        let Node { bytes, below: [older, younger], .. } = *self.at(n);
        let height = 1 + self.at(older).height.max(self.at(younger).height);
        let most = bytes.max(self.most(older)).max(self.most(younger));
        let node = self.at_mut(n);
        (node.height, node.most) = (height, most);
    }

    /// Corrects the maxima from `n` up, after the bytes of `n` have changed.
    fn refresh_most(&mut self, mut n: u32) {
        while n != NONE {
            let Node { bytes, most: before, below: [older, younger], above, .. } = *self.at(n);
            let most = bytes.max(self.most(older)).max(self.most(younger));
            if most == before {
                return;
            }
            self.at_mut(n).most = most;
            n = above;
        }
    }

    fn most(&self, n: u32) -> u64 {
        self.nodes.get(n as usize).map_or(0, |node| node.most)
    }

    fn at(&self, n: u32) -> &Node<K> {
        &self.nodes[n as usize]
    }

    fn at_mut(&mut self, n: u32) -> &mut Node<K> {
        &mut self.nodes[n as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that heights and maxima are right, and that the tree is in order and flat.
    fn check(holders: &Holders<u32>) {
        fn walk(holders: &Holders<u32>, n: u32, above: u32, out: &mut Vec<(Nanos, u32)>) -> (u8, u64) {
            if n == NONE {
                return (0, 0);
            }
            let node = holders.at(n);
            assert_eq!(node.above, above);
            let older = walk(holders, node.below[OLDER], n, out);
            out.push((node.since, node.name));
            let younger = walk(holders, node.below[YOUNGER], n, out);
            assert!(older.0.abs_diff(younger.0) <= 1, "flat");
            let sums = (1 + older.0.max(younger.0), node.bytes.max(older.1).max(younger.1));
            assert_eq!((node.height, node.most), sums);
            sums
        }
        let mut order = Vec::new();
        walk(holders, holders.root, NONE, &mut order);
        assert!(order.windows(2).all(|pair| pair[0] <= pair[1]), "in order");
        assert_eq!(order.len(), holders.len() as usize);
    }

    #[test]
    fn the_tree_stays_in_order_and_flat() {
        let (mut holders, mut seats, mut random) = (Holders::default(), Vec::new(), 1u64);
        for step in 0..3000u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (what, which, since) = (random >> 61, (random >> 32) as usize, random >> 8 & 63);
            // More and more, then fewer and fewer.
            if seats.is_empty() || what < if step < 1500 { 4 } else { 1 } {
                seats.push(holders.enter(step, random >> 40 & 255, since));
            } else if what < 5 {
                let seat = seats.swap_remove(which % seats.len());
                holders.leave(seat);
                assert_eq!(holders.get(seat), None);
            } else {
                let seat = seats[which % seats.len()];
                let same = holders.get(seat).map_or(0, |holder| holder.since);
                holders.update(seat, random >> 48 & 255, if what == 5 { since } else { same });
            }
            check(&holders);
        }
        seats.drain(..).for_each(|seat| holders.leave(seat));
        assert!(holders.is_empty() && holders.trim() > 0 && holders.worst(1, 1).is_none());
    }

    #[test]
    fn a_seat_that_was_left_names_nobody() {
        let mut holders = Holders::default();
        let seat = holders.enter(1, 10, 0);
        holders.leave(seat);
        holders.leave(seat);
        holders.update(seat, 5, 0);
        assert_eq!((holders.len(), holders.get(seat), holders.trim() > 0), (0, None, true));
        holders.update(seat, 5, 0);
        assert!(holders.is_empty(), "nor after all memory has gone");
    }

    #[test]
    fn as_long_as_the_looks_are_enough_the_answer_is_exact() {
        // Each holds more than the one before it, is a little worse, and is younger.
        for (count, is_exact) in [(limits::VICTIM_LOOKS, true), (100 * limits::VICTIM_LOOKS, false)] {
            let mut holders = Holders::default();
            let now = 1 << 40;
            let product = |n: u64| (1u128 << 60) + (u128::from(n) << 42);
            for n in 0..u64::from(count) {
                let bytes = (1 << 24) + (n << 8);
                let age = product(n) / u128::from(bytes);
                holders.enter(n as u32, bytes, now - age as u64 + 1);
            }
            let last = holders.len() - 1;
            let worst = holders.worst(now, 0).unwrap();
            assert_eq!(worst.name == last, is_exact, "{} of {last}", worst.name);
            let found = u128::from(worst.bytes) * u128::from(now - worst.since + 1);
            assert!(found * 5 / 4 >= product(last.into()), "and never far from it");
        }
    }
}
