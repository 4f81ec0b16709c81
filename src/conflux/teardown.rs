//! Decides whether a set can go on without a leg (prop329 §2.4.3), as a table of reasons.

/// Figures of a leg that is being removed, and of the legs left.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// The leg was linked.
    pub linked: bool,
    /// The leg was the sending leg.
    pub sending: bool,
    /// Last number sent on the leg.
    pub sent: u64,
    /// Last number received on the leg.
    pub received: u64,
    /// DATA cells in flight on the leg.
    pub inflight: u64,
    /// DATA cells that one SENDME acknowledges.
    pub sendme_inc: u64,
    /// Legs left, in any state.
    pub others: usize,
    /// Highest number sent on the legs left.
    pub others_sent: u64,
    /// Highest number received on the legs left.
    pub others_recv: u64,
}

/// Why the set must end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// No leg is left, in any state.
    Last,
    /// The leg was the sending leg: the peer expects the next message on it.
    Sending,
    /// The last messages sent went on this leg, and may be lost with it.
    AheadSending,
    /// The last messages received came on this leg, and more may be lost with it.
    AheadReceiving,
    /// At least one SENDME's worth of DATA on this leg is not acknowledged.
    InFlight,
}

/// Returns the first reason why the set must end without the leg, or none when it goes on.
pub fn judge(loss: &Loss) -> Option<Reason> {
    let any_sent = loss.sent.max(loss.others_sent) > 0;
    let rules = [
        (loss.others == 0, Reason::Last),
        (loss.linked && loss.sending && any_sent, Reason::Sending),
        (loss.linked && loss.sent > loss.others_sent, Reason::AheadSending),
        (loss.linked && loss.received > loss.others_recv, Reason::AheadReceiving),
        // "≥" as deployed; the text of prop329 says ">".
        (loss.linked && loss.inflight >= loss.sendme_inc, Reason::InFlight),
    ];
    rules.into_iter().find_map(|(holds, reason)| holds.then_some(reason))
}
