//! Decides what a "send padding" action does when it is due: maybenot's table of bypass, replace and blocking, as one
//! pure function.

/// State of a circuit's sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Nothing is blocked.
    Open,
    /// Cells are blocked, but padding with the bypass flag may pass: every active block allows it.
    Bypassable,
    /// All cells are blocked.
    Shut,
}

/// Whether a cell that goes to the padding hop or past it is waiting, and could count as the padding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// No cell waits.
    Nothing,
    /// A cell waits behind the block.
    Held {
        /// The cell could go out on this circuit at once: congestion control has room for it.
        releasable: bool,
    },
    /// A cell has passed the block and is not written yet: it needs no release.
    Past,
}

/// Result of the table. After each the machine is told PaddingSent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// Send a padding cell now.
    Send,
    /// Queue a padding cell behind the block.
    Queue,
    /// Send nothing: a cell that waits anyway counts as the padding.
    Counts,
    /// Let exactly one held cell out, past the block.
    Release,
}

/// Decides on an action with these flags.
pub fn rule(gate: Gate, bypass: bool, replace: bool, waiting: Waiting) -> Ruling {
    let passes = match gate {
        Gate::Open => return if replace && waiting != Waiting::Nothing { Ruling::Counts } else { Ruling::Send },
        Gate::Bypassable => bypass,
        Gate::Shut => false,
    };
    match (passes, replace, waiting) {
        (true, false, _) | (true, true, Waiting::Nothing | Waiting::Held { releasable: false }) => Ruling::Send,
        (true, true, Waiting::Held { releasable: true }) => Ruling::Release,
        (true, true, Waiting::Past) => Ruling::Counts,
        (false, false, _) | (false, true, Waiting::Nothing) => Ruling::Queue,
        (false, true, _) => Ruling::Counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row() {
        use Ruling::*;
        const HELD: Waiting = Waiting::Held { releasable: true };
        const STUCK: Waiting = Waiting::Held { releasable: false };
        // Gate, bypass, replace, then the ruling for: nothing, held, held without room, past the block.
        let rows = [
            (Gate::Open, false, false, [Send, Send, Send, Send]),
            (Gate::Open, true, false, [Send, Send, Send, Send]),
            (Gate::Open, false, true, [Send, Counts, Counts, Counts]),
            (Gate::Open, true, true, [Send, Counts, Counts, Counts]),
            (Gate::Bypassable, false, false, [Queue, Queue, Queue, Queue]),
            (Gate::Bypassable, true, false, [Send, Send, Send, Send]),
            (Gate::Bypassable, false, true, [Queue, Counts, Counts, Counts]),
            (Gate::Bypassable, true, true, [Send, Release, Send, Counts]),
            (Gate::Shut, false, false, [Queue, Queue, Queue, Queue]),
            (Gate::Shut, true, false, [Queue, Queue, Queue, Queue]),
            (Gate::Shut, false, true, [Queue, Counts, Counts, Counts]),
            (Gate::Shut, true, true, [Queue, Counts, Counts, Counts]),
        ];
        for (gate, bypass, replace, rulings) in rows {
            for (waiting, ruling) in [Waiting::Nothing, HELD, STUCK, Waiting::Past].into_iter().zip(rulings) {
                assert_eq!(rule(gate, bypass, replace, waiting), ruling, "{gate:?} {bypass} {replace} {waiting:?}");
            }
        }
    }
}
