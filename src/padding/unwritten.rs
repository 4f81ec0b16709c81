//! Cells that are queued and not yet written, as the host reports them: how many, and past which padder they go.

use crate::base::limits;
use std::collections::VecDeque;

/// Runs of cells to the same hop, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    runs: VecDeque<Run>,
    cells: u32,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    hop: u8,
    cells: u32,
}

impl Unwritten {
    /// Cells in all.
    pub fn cells(&self) -> u32 {
        self.cells
    }

    /// A cell to `hop` was queued. Beyond the cap on runs a cell counts as if it went where the one before it goes: no
    /// circuit alternates between its hops so often, and none shall grow a list by doing so.
    #[inline]
    pub fn push(&mut self, hop: u8) {
        self.cells = self.cells.saturating_add(1);
        let full = self.runs.len() >= limits::UNWRITTEN_RUNS_MAX;
        match self.runs.back_mut() {
            Some(last) if last.hop == hop || full => last.cells = last.cells.saturating_add(1),
            _ => self.runs.push_back(Run { hop, cells: 1 }),
        }
    }

    /// The oldest cell was written: its hop.
    #[inline]
    pub fn pop(&mut self) -> Option<u8> {
        let first = self.runs.front_mut()?;
        let hop = first.hop;
        first.cells -= 1;
        if first.cells == 0 {
            self.runs.pop_front();
        }
        self.cells -= 1;
        Some(hop)
    }

    /// True when a cell to `hop` or a later one is among them.
    pub fn reaches(&self, hop: u8) -> bool {
        self.runs.iter().any(|run| run.hop >= hop)
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
        assert_eq!((unwritten.cells(), unwritten.runs.len()), (4, 3));
        assert!(unwritten.reaches(3) && !unwritten.reaches(4));
        let hops: Vec<u8> = std::iter::from_fn(|| unwritten.pop()).collect();
        assert_eq!(hops, [2, 2, 3, 1]);
        assert_eq!((unwritten.cells(), unwritten.reaches(0)), (0, false));
    }

    #[test]
    fn the_list_of_runs_is_capped() {
        let mut unwritten = Unwritten::default();
        for cell in 0..1000_u32 {
            unwritten.push((cell % 2) as u8);
        }
        assert_eq!((unwritten.cells(), unwritten.runs.len()), (1000, limits::UNWRITTEN_RUNS_MAX));
        assert_eq!(std::iter::from_fn(|| unwritten.pop()).count(), 1000);
    }
}
