//! Counts the cells that are queued and not yet written, as the host reports them, with the hops that they go to.

use crate::base::limits;
use smallvec::SmallVec;

/// Unwritten cells, as runs of cells to the same hop. Nearly always there is one run, so the newest has its own field.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    newest: Run,
    /// The older runs, the oldest first: a few in place, as data and padding go to different hops by turns.
    older: SmallVec<[Run; 3]>,
    /// Number of cells in all runs.
    cells: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    hop: u8,
    cells: u32,
}

impl Unwritten {
    /// Number of unwritten cells.
    #[inline]
    pub fn cells(&self) -> u32 {
        self.cells
    }

    /// Adds a cell to `hop` that was queued. Beyond the cap on runs it counts as a cell of the newest run: no real
    /// circuit changes its hop so often, and the list must not grow without limit.
    #[inline]
    pub fn push(&mut self, hop: u8) {
        if self.newest.hop != hop {
            self.begin_run(hop);
        }
        self.newest.cells = self.newest.cells.saturating_add(1);
        self.cells = self.cells.saturating_add(1);
    }

    #[cold]
    fn begin_run(&mut self, hop: u8) {
        if self.newest.cells == 0 {
            self.newest.hop = hop;
        } else if self.older.len() + 1 < limits::UNWRITTEN_RUNS_MAX {
            self.older.push(self.newest);
            self.newest = Run { hop, cells: 0 };
        }
    }

    /// Removes the oldest cell, which was written, and returns its hop.
    #[inline]
    pub fn pop(&mut self) -> Option<u8> {
        let oldest = self.older.first_mut().unwrap_or(&mut self.newest);
        oldest.cells = oldest.cells.checked_sub(1)?;
        let hop = oldest.hop;
        if oldest.cells == 0 && !self.older.is_empty() {
            self.older.remove(0);
        }
        self.cells -= 1;
        Some(hop)
    }

    /// True when a cell to `hop` or a later hop is among the oldest `cells` cells.
    pub fn reaches(&self, hop: u8, cells: u32) -> bool {
        let mut left = cells;
        self.older.iter().chain([&self.newest]).any(|run| {
            let counts = left > 0 && run.cells > 0 && run.hop >= hop;
            left = left.saturating_sub(run.cells);
            counts
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_by_runs() {
        let mut unwritten = Unwritten::default();
        for hop in [2, 2, 3, 1] {
            unwritten.push(hop);
        }
        assert_eq!((unwritten.cells(), unwritten.older.len()), (4, 2));
        assert!(unwritten.reaches(3, 4) && !unwritten.reaches(4, 4));
        assert!(unwritten.reaches(3, 3) && unwritten.reaches(2, 2) && !unwritten.reaches(3, 2));
        assert!(!unwritten.reaches(0, 0));
        let hops: Vec<u8> = std::iter::from_fn(|| unwritten.pop()).collect();
        assert_eq!(hops, [2, 2, 3, 1]);
        assert_eq!((unwritten.cells(), unwritten.reaches(0, 9)), (0, false));
    }

    #[test]
    fn the_list_of_runs_is_capped() {
        let mut unwritten = Unwritten::default();
        for cell in 0..1000_u32 {
            unwritten.push((cell % 2) as u8);
        }
        assert_eq!((unwritten.cells(), unwritten.older.len()), (1000, limits::UNWRITTEN_RUNS_MAX - 1));
        assert_eq!(std::iter::from_fn(|| unwritten.pop()).count(), 1000);
    }
}
