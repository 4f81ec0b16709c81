//! What to do when a "send padding" action is due: the framework's table of bypass, replace and blocking, as one pure
//! function.

/// How a circuit's sender stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Nothing is blocked.
    Open,
    /// Blocked, and padding that asks for it may pass: every active block allows it.
    Bypassable,
    /// Blocked for all.
    Shut,
}

/// What else is on its way past the padding hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// Nothing.
    Nothing,
    /// A cell is behind the block.
    Held {
        /// It could go out on this circuit at once. Not so when congestion control has no room for it.
        releasable: bool,
    },
    /// A cell is past the block and not written yet: it needs no release.
    Past,
}

/// What to do. PaddingSent follows every one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// Send a padding cell now.
    Send,
    /// Queue a padding cell behind the block.
    Queue,
    /// A cell that waits anyway counts as the padding: send nothing.
    Counts,
    /// Let exactly one held cell out, past the block.
    Release,
}

/// Decides. `bypass` and `replace` are the action's.
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
