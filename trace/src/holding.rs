//! The messages that a set holds for order, as its events tell: how many, how much memory, and for how long.

use std::collections::BTreeMap;

/// What a set holds.
#[derive(Clone, Default, Debug)]
pub struct Holding {
    /// By number: since when, and what it costs.
    waiting: BTreeMap<u64, (u64, u64)>,
    /// Messages, as the last event said.
    pub depth: u64,
    /// What those cost that were seen to come, in bytes.
    pub bytes: u64,
}

impl Holding {
    /// A message is held; `depth` are held now.
    pub fn hold(&mut self, time: u64, number: u64, bytes: u64, depth: u64) {
        if let Some((_, before)) = self.waiting.insert(number, (time, bytes)) {
            self.bytes -= before;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.depth = depth;
        self.forget();
    }

    /// The message had its turn; `depth` are still held. Answers how long it was held, in ns, if that is known.
    pub fn release(&mut self, time: u64, number: u64, depth: u64) -> Option<u64> {
        let later = self.waiting.split_off(&number.saturating_add(1));
        let released = std::mem::replace(&mut self.waiting, later);
        self.bytes -= released.values().map(|(_, bytes)| bytes).sum::<u64>();
        self.depth = depth;
        self.forget();
        released.get(&number).map(|(since, _)| time.saturating_sub(*since))
    }

    /// The set has ended.
    pub fn clear(&mut self) {
        *self = Holding::default();
    }

    /// Where events are missing, messages are waiting here that went long ago: those with the lowest numbers.
    fn forget(&mut self) {
        while self.waiting.len() as u64 > self.depth {
            let Some((_, (_, bytes))) = self.waiting.pop_first() else { return };
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_known_by_number() {
        let mut holding = Holding::default();
        holding.hold(10, 7, 100, 1);
        holding.hold(20, 9, 50, 2);
        assert_eq!((holding.depth, holding.bytes), (2, 150));
        assert_eq!(holding.release(35, 7, 1), Some(25));
        assert_eq!((holding.depth, holding.bytes), (1, 50));
        assert_eq!(holding.release(36, 8, 1), None, "nobody saw it come");
        assert_eq!(holding.release(50, 9, 0), Some(30));
        assert_eq!((holding.depth, holding.bytes), (0, 0));
    }

    #[test]
    fn lost_events_leave_nothing_behind() {
        let mut holding = Holding::default();
        for number in 0..1000 {
            holding.hold(number, number, 10, number % 3 + 1);
        }
        assert!(holding.waiting.len() <= 3 && holding.bytes <= 30);
        holding.hold(5, 5000, 10, 40);
        holding.hold(6, 5000, 20, 40);
        assert_eq!(holding.release(9, 6000, 0), None);
        assert_eq!((holding.waiting.len(), holding.bytes, holding.depth), (0, 0, 0));
    }
}
