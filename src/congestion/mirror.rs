//! The figures of a window, which another thread can read without a lock.
//!
//! This is a sequence lock. The writer increments a count before and after each value; a reader that saw the count odd,
//! or changing, reads again. The writer never waits. All fields are atomics, and a value that was read half old and
//! half new is thrown away.

use crate::base::sync::atomic::{fence, AtomicU64, Ordering};
use crate::base::sync::Arc;
use crate::base::Nanos;

/// A leg's congestion state at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Snapshot {
    /// Congestion window in cells.
    pub cwnd: u32,
    /// DATA cells in flight.
    pub inflight: u32,
    /// Smoothed round-trip time in nanoseconds, 0 until one was measured.
    pub rtt: Nanos,
    /// Number of the set's messages that these figures include. The set adds those it has committed since.
    pub included: u64,
    /// DATA cells that one SENDME acknowledges.
    pub sendme_inc: u16,
    /// Congestion control is in slow start.
    pub slow_start: bool,
    /// The channel to the next relay takes no more cells of this circuit.
    pub blocked: bool,
}

/// Makes a mirror without a value: its writer, and a reader.
pub fn mirror() -> (Publisher, Reader) {
    let cells = Arc::new(Cells {
        count: AtomicU64::new(0),
        words: [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)],
    });
    (Publisher { cells: cells.clone(), count: 0 }, Reader { cells, last: None })
}

/// The writer, for the leg's thread.
#[derive(Debug)]
pub struct Publisher {
    cells: Arc<Cells>,
    /// The value of `cells.count`, which nobody else writes.
    count: u64,
}

/// A reader. Clone it for more readers.
#[derive(Clone, Debug)]
pub struct Reader {
    cells: Arc<Cells>,
    last: Option<Snapshot>,
}

#[derive(Debug)]
struct Cells {
    /// Twice the number of values written; odd while one is being written.
    count: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Publisher {
    /// Shows these figures to the readers from now on.
    pub fn publish(&mut self, snapshot: &Snapshot) {
        self.cells.count.store(self.count.wrapping_add(1), Ordering::Relaxed);
        // A reader that sees one of the words below, and then fences, sees the odd count.
        fence(Ordering::Release);
        for (cell, word) in self.cells.words.iter().zip(snapshot.pack()) {
            cell.store(word, Ordering::Relaxed);
        }
        self.count = self.count.wrapping_add(2);
        self.cells.count.store(self.count, Ordering::Release);
    }
}

impl Reader {
    /// The latest figures. When the writer gets in between again and again, the figures that were read last. `None`
    /// when no whole value has ever been read.
    pub fn read(&mut self) -> Option<Snapshot> {
        for _ in 0..TRIES {
            let before = self.cells.count.load(Ordering::Acquire);
            if before == 0 {
                break;
            }
            let mut words = [0; WORDS];
            for (word, cell) in words.iter_mut().zip(&self.cells.words) {
                *word = cell.load(Ordering::Relaxed);
            }
            fence(Ordering::Acquire);
            let after = self.cells.count.load(Ordering::Relaxed);
            if before == after && before % 2 == 0 {
                self.last = Some(Snapshot::unpack(words));
                break;
            }
        }
        self.last
    }
}

impl Snapshot {
    fn pack(&self) -> [u64; WORDS] {
        let flags = u64::from(self.slow_start) | u64::from(self.blocked) << 1;
        let counts = u64::from(self.cwnd) << 32 | u64::from(self.inflight);
        [counts, self.rtt, self.included, u64::from(self.sendme_inc) << 2 | flags]
    }

    fn unpack([counts, rtt, included, rest]: [u64; WORDS]) -> Self {
        Snapshot {
            cwnd: (counts >> 32) as u32,
            inflight: counts as u32,
            rtt,
            included,
            sendme_inc: (rest >> 2) as u16,
            slow_start: rest & 1 != 0,
            blocked: rest & 2 != 0,
        }
    }
}

const WORDS: usize = 4;

/// Tries of a reader before it returns the figures that it read last. A value takes some ten instructions to write, and
/// is written once for each SENDME: two collisions in a row are rare, and four mean that the writer is broken. Under
/// loom each try multiplies the orders that have to be tried.
const TRIES: u32 = if cfg!(loom) { 2 } else { 4 };
