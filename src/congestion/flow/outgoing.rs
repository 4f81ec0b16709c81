//! The sending side of a stream: what the peer's XOFF and XON allow, and how often the peer may send them.

use super::RATE_MAX;
use crate::base::{limits, Nanos};
use crate::congestion::params::{Params, StreamEdge, CELL_BYTES};

/// The limits that the peer's XOFF and XON set on one stream, and the peer's credit for sending them.
///
/// An XOFF that no full buffer can have caused is a signal to somebody who watches the traffic (prop324 §4.1.4). So the
/// bytes we send are credit with which the peer pays for its messages. An XOFF costs what a buffer must hold before an
/// honest peer sends one; an XON without XOFF costs what must drain before a new rate. An XON that ends an XOFF is
/// free, as that XOFF has been paid for.
///
/// An honest peer is never cut off:
/// - The price is *half* of what an honest peer waits for, by the lower of the limits for client and exit and by the
///   smaller of the two sizes of a cell in use. That covers a peer with another consensus, and bytes (SOCKS, HTTP) that
///   a C Tor client puts into the same buffer.
/// - For each XOFF, C Tor and arti need a whole buffer that we filled after the last one, as both send XON only when
///   the buffer is empty. For each new rate, C Tor needs `cc_xon_rate` of newly drained bytes.
/// - XOFF and XON have separate accounts. C Tor has one account, and halves its counts and bytes now and then. That
///   takes half of the progress towards the next XOFF too, so that an honest peer with a large limit can fail. Here
///   each account has a cap instead ([`limits::FLOW_CREDIT_MAX`]), which bounds what can be saved up just as well.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The peer's credit in bytes for XOFFs, and for XONs without XOFF, as of when it last sent one ..
    xoff_credit: u64,
    xon_credit: u64,
    /// .. and the bytes sent since, which are credit for both.
    sent: u64,
    /// The price of each in bytes; 0 where the peer is not judged.
    xoff_price: u64,
    xon_price: u64,
    /// The rate in units of 1000 bytes per second, which are millionths of a byte per nanosecond; 0 for no limit.
    rate: u32,
    stopped: bool,
    /// The token bucket, in millionths of a byte. Below 0 after a cell that was larger than what was left.
    tokens: i64,
    filled_at: Nanos,
}

/// Whether data may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum May {
    /// Yes.
    Now,
    /// Not before the peer says XON.
    Stopped,
    /// Not before this time, by the peer's rate.
    At(Nanos),
}

/// An XOFF or XON that no honest peer can have sent. It had no effect; the circuit should close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Abuse {
    /// XOFF after XOFF.
    XoffTwice,
    /// An XOFF, though we sent fewer bytes than fill a buffer.
    XoffEarly,
    /// A new rate, though we sent fewer bytes than drain between two rates.
    XonEarly,
}

impl Outgoing {
    /// For a new stream. `judged` is false at a relay: an exit's streams have nothing to hide from its client, and C
    /// Tor does not check there either.
    pub fn new(params: &Params, judged: bool) -> Self {
        let xoff = params.xoff_bytes(StreamEdge::Client).min(params.xoff_bytes(StreamEdge::Exit));
        let xon = xoff.min(u64::from(params.xon_rate) * CELL_BYTES);
        let price = |honest: u64| if judged { honest / 2 } else { 0 };
        Outgoing {
            xoff_credit: 0,
            xon_credit: 0,
            sent: 0,
            xoff_price: price(xoff),
            xon_price: price(xon),
            rate: 0,
            stopped: false,
            tokens: 0,
            filled_at: 0,
        }
    }

    /// Counts `bytes` of data that were sent on the stream, on any leg.
    #[inline(always)]
    pub fn sent(&mut self, now: Nanos, bytes: u32) {
        // Cannot overflow: nobody sends 2^64 bytes.
        self.sent += u64::from(bytes);
        if self.rate != 0 {
            self.fill(now);
            self.tokens = self.tokens.saturating_sub(i64::from(bytes) * BYTE);
        }
    }

    /// Counts what was sent as credit.
    fn give_credit(&mut self) {
        for credit in [&mut self.xoff_credit, &mut self.xon_credit] {
            *credit = credit.saturating_add(self.sent).min(limits::FLOW_CREDIT_MAX);
        }
        self.sent = 0;
    }

    /// Handles the peer's XOFF.
    pub fn handle_xoff(&mut self) -> Result<(), Abuse> {
        self.give_credit();
        if self.stopped {
            return Err(Abuse::XoffTwice);
        }
        self.xoff_credit = self.xoff_credit.checked_sub(self.xoff_price).ok_or(Abuse::XoffEarly)?;
        self.stopped = true;
        Ok(())
    }

    /// Handles the peer's XON, with a rate in units of 1000 bytes per second. 0 means no limit, and so does a rate that
    /// C Tor cannot count. Without an XOFF before it, an XON only brings a rate (FC-13).
    pub fn handle_xon(&mut self, now: Nanos, rate: u32) -> Result<(), Abuse> {
        self.give_credit();
        if !self.stopped {
            self.xon_credit = self.xon_credit.checked_sub(self.xon_price).ok_or(Abuse::XonEarly)?;
        }
        self.stopped = false;
        self.fill(now);
        let was_free = self.rate == 0;
        self.rate = if rate > RATE_MAX / 1000 { 0 } else { rate };
        // The bucket keeps what it holds, as far as that still fits. Without a rate it was full.
        self.tokens = if was_free { self.burst() } else { self.tokens.min(self.burst()) };
        Ok(())
    }

    /// Whether data may be sent now. A cell may be larger than what is left in the bucket; then the next cell waits
    /// longer.
    pub fn may_send(&mut self, now: Nanos) -> May {
        if self.stopped {
            return May::Stopped;
        }
        if self.may_send_now(now) {
            return May::Now;
        }
        let wait = (1 - i128::from(self.tokens)).unsigned_abs().div_ceil(self.rate.into());
        May::At(now.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// True when [`Outgoing::may_send`] would answer [`May::Now`].
    #[inline(always)]
    pub fn may_send_now(&mut self, now: Nanos) -> bool {
        if self.rate != 0 {
            self.fill(now);
        }
        !self.stopped && (self.rate == 0 || self.tokens > 0)
    }

    /// True between XOFF and XON.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The peer's rate, in units of 1000 bytes per second; `None` for no limit.
    pub fn rate(&self) -> Option<u32> {
        (self.rate != 0).then_some(self.rate)
    }

    /// Adds the tokens for the time since the last call.
    fn fill(&mut self, now: Nanos) {
        let since = now.saturating_sub(self.filled_at);
        self.filled_at = self.filled_at.max(now);
        let more = i64::try_from(since.saturating_mul(self.rate.into())).unwrap_or(i64::MAX);
        self.tokens = self.tokens.saturating_add(more).min(self.burst());
    }

    /// The size of the bucket: one second's worth, as in C Tor.
    fn burst(&self) -> i64 {
        i64::from(self.rate) * 1000 * BYTE
    }
}

/// The tokens of one byte. In this unit a rate is tokens per nanosecond, and filling loses nothing to rounding.
const BYTE: i64 = 1_000_000;
