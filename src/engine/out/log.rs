//! Log events of an engine, at a bounded rate on the host's clock.
//!
//! Only the engine logs, and only what is rare: the floors below stay pure. A peer that breaks rules all day makes at
//! most [`limits::LOG_LINES_PER_SECOND`] lines a second; the rest is counted and summed up.

use crate::base::{limits, Nanos};

/// A bucket of lines that is filled anew each second of the host's time.
#[derive(Debug, Default)]
pub(in crate::engine) struct Limiter {
    second: Nanos,
    lines: u32,
    dropped_now: u64,
    dropped: u64,
}

impl Limiter {
    /// Says whether a line may go out at `now`, and how many were left out since the last one that did.
    pub fn admit(&mut self, now: Nanos) -> Option<u64> {
        if now / SECOND != self.second {
            self.second = now / SECOND;
            self.lines = 0;
        }
        if self.lines >= limits::LOG_LINES_PER_SECOND {
            self.dropped_now += 1;
            self.dropped += 1;
            return None;
        }
        let dropped = std::mem::take(&mut self.dropped_now);
        // The line that sums up counts as well.
        self.lines += 1 + u32::from(dropped > 0);
        Some(dropped)
    }

    /// Lines left out so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

const SECOND: Nanos = 1_000_000_000;

/// Emits one event with the engine's tag, if the rate allows it.
macro_rules! engine_log {
    ($engine:expr, $level:ident, $($field:tt)+) => {
        if tracing::enabled!(target: "circflow", tracing::Level::$level) {
            if let Some(dropped) = $engine.out.limiter.admit($engine.time.clock.latest()) {
                if dropped > 0 {
                    tracing::warn!(target: "circflow", engine = $engine.settings.tag, dropped, "log lines left out");
                }
                tracing::event!(target: "circflow", tracing::Level::$level, engine = $engine.settings.tag, $($field)+);
            }
        }
    };
}
pub(in crate::engine) use engine_log;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut limiter = Limiter::default();
        let admitted = (0..1000).filter(|_| limiter.admit(5).is_some()).count();
        assert_eq!(admitted, limits::LOG_LINES_PER_SECOND as usize);
        assert_eq!(
            limiter.admit(SECOND + 1),
            Some(1000 - admitted as u64),
            "the next second says how many were left out"
        );
        assert_eq!(limiter.admit(SECOND + 2), Some(0));
        assert_eq!(limiter.dropped(), 1000 - admitted as u64);
    }
}
