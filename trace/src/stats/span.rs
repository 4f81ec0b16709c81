//! Times during which something lasted: a block, a hold, a pause.

use super::quantiles::{Quantiles, Spread};
use serde::Serialize;

/// What begins and ends, again and again.
#[derive(Default)]
pub struct Spans {
    begun: Option<u64>,
    lengths: Quantiles,
}

/// What is told of them.
#[derive(Serialize)]
pub struct SpansTold {
    /// How often it began.
    pub count: u64,
    /// How long it lasted in all, in ns, with one that had not ended.
    pub total_ns: u128,
    /// How long those lasted that have ended.
    pub lengths_ns: Option<Spread>,
    /// It had not ended where the trace does.
    pub is_open: bool,
}

impl Spans {
    /// It begins, unless it has.
    pub fn begin(&mut self, time: u64) {
        self.begun.get_or_insert(time);
    }

    /// It ends, if it has begun.
    pub fn end(&mut self, time: u64) {
        if let Some(begun) = self.begun.take() {
            self.lengths.add(time.saturating_sub(begun));
        }
    }

    /// All of them, where `last` is the time at which the trace ends.
    pub fn told(&self, last: u64) -> SpansTold {
        let lengths = self.lengths.spread();
        let open = self.begun.map(|begun| last.saturating_sub(begun));
        SpansTold {
            count: lengths.map_or(0, |spread| spread.count) + u64::from(open.is_some()),
            total_ns: lengths.map_or(0, |spread| spread.sum) + u128::from(open.unwrap_or(0)),
            lengths_ns: lengths,
            is_open: open.is_some(),
        }
    }
}
