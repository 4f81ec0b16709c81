//! What a stream takes from us: what the peer's XOFF and XON allow, and how often it may send them.

use super::RATE_MAX;
use crate::base::{limits, Nanos};
use crate::congestion::params::{Params, StreamEdge, CELL_BYTES};

/// The peer's word on one stream, and its right to speak.
///
/// An XOFF that no buffer can have caused is a signal to somebody who watches the traffic (prop324 §4.1.4). So the
/// bytes we send buy the peer its messages: an XOFF costs what a buffer must hold before one is sent, an XON without
/// XOFF what must drain before a new rate. An XON that ends an XOFF is free: that XOFF has paid.
///
/// An honest peer is never cut off:
/// - The price is *half* of what an honest peer waits for, by the lower of the limits for client and exit and by the
///   smaller of the two sizes of a cell in use. That covers a consensus that is not ours, and bytes (SOCKS, HTTP) that
///   a C Tor client puts into the same buffer.
/// - Each XOFF of C Tor or arti needs a whole buffer that we filled after the one before, as both say XON only when the
///   buffer is empty. Each new rate of C Tor needs `cc_xon_rate` of drained bytes of its own.
/// - XOFF and XON have an account each. C Tor has one, and halves counts and bytes together now and then: that takes
///   half of the progress towards the next XOFF too, and an honest peer with a large limit falls below. Here the
///   account has a cap instead ([`limits::FLOW_CREDIT_MAX`]), which bounds what can be saved up just as well.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Bytes the peer has to its credit for XOFFs, and for XONs without XOFF.
    xoff_credit: u64,
    xon_credit: u64,
    /// What each costs; 0 where the peer is not judged.
    xoff_price: u64,
    xon_price: u64,
    /// The rate in units of 1000 bytes per second, which are millionths of a byte in a nanosecond; 0 is unlimited.
    rate: u32,
    stopped: bool,
    /// The token bucket: millionths of a byte. Below 0 when a cell went that was larger than the rest.
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
    /// Not before this time, by the rate that the peer gave.
    At(Nanos),
}

/// An XOFF or XON that an honest peer cannot have sent. It was not heeded; the circuit should close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Abuse {
    /// XOFF upon XOFF.
    XoffTwice,
    /// An XOFF for less than a buffer of ours could fill.
    XoffEarly,
    /// A new rate for less than could drain between two.
    XonEarly,
}

impl Outgoing {
    /// For a new stream. `judged` is false at a relay: an exit's streams have nothing to hide from its client, and C
    /// Tor does not look there either.
    pub fn new(params: &Params, judged: bool) -> Self {
        let xoff = params.xoff_bytes(StreamEdge::Client).min(params.xoff_bytes(StreamEdge::Exit));
        let xon = xoff.min(u64::from(params.xon_rate) * CELL_BYTES);
        let price = |honest: u64| if judged { honest / 2 } else { 0 };
        Outgoing {
            xoff_credit: 0,
            xon_credit: 0,
            xoff_price: price(xoff),
            xon_price: price(xon),
            rate: 0,
            stopped: false,
            tokens: 0,
            filled_at: 0,
        }
    }

    /// Data was sent on the stream, on whichever leg.
    #[inline]
    pub fn sent(&mut self, now: Nanos, bytes: u32) {
        self.xoff_credit = (self.xoff_credit + u64::from(bytes)).min(limits::FLOW_CREDIT_MAX);
        self.xon_credit = (self.xon_credit + u64::from(bytes)).min(limits::FLOW_CREDIT_MAX);
        if self.rate != 0 {
            self.fill(now);
            self.tokens = self.tokens.saturating_sub(i64::from(bytes) * BYTE);
        }
    }

    /// The peer said XOFF.
    pub fn handle_xoff(&mut self) -> Result<(), Abuse> {
        if self.stopped {
            return Err(Abuse::XoffTwice);
        }
        self.xoff_credit = self.xoff_credit.checked_sub(self.xoff_price).ok_or(Abuse::XoffEarly)?;
        self.stopped = true;
        Ok(())
    }

    /// The peer said XON, with a rate in units of 1000 bytes per second: 0, and what C Tor cannot count, is no limit.
    /// Without an XOFF before it, it only brings a rate (FC-13).
    pub fn handle_xon(&mut self, now: Nanos, rate: u32) -> Result<(), Abuse> {
        if !self.stopped {
            self.xon_credit = self.xon_credit.checked_sub(self.xon_price).ok_or(Abuse::XonEarly)?;
        }
        self.stopped = false;
        self.fill(now);
        let was_free = self.rate == 0;
        self.rate = if rate > RATE_MAX / 1000 { 0 } else { rate };
        // What the bucket holds stays in it, as far as it still fits; a stream without a rate had a full one.
        self.tokens = if was_free { self.burst() } else { self.tokens.min(self.burst()) };
        Ok(())
    }

    /// Whether data may be sent now. A cell may be larger than what is left in the bucket; the next waits longer then.
    pub fn may_send(&mut self, now: Nanos) -> May {
        if self.stopped {
            return May::Stopped;
        }
        if self.rate == 0 {
            return May::Now;
        }
        self.fill(now);
        if self.tokens > 0 {
            return May::Now;
        }
        let wait = (1 - i128::from(self.tokens)).unsigned_abs().div_ceil(self.rate.into());
        May::At(now.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    /// True between XOFF and XON.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The rate that the peer gave, in units of 1000 bytes per second; none for no limit.
    #[allow(dead_code, reason = "models look")]
    pub fn rate(&self) -> Option<u32> {
        (self.rate != 0).then_some(self.rate)
    }

    /// Adds what time has brought since the last look.
    fn fill(&mut self, now: Nanos) {
        let since = now.saturating_sub(self.filled_at);
        self.filled_at = self.filled_at.max(now);
        let more = i64::try_from(since.saturating_mul(self.rate.into())).unwrap_or(i64::MAX);
        self.tokens = self.tokens.saturating_add(more).min(self.burst());
    }

    /// What the bucket holds: one second's worth, as in C Tor.
    fn burst(&self) -> i64 {
        i64::from(self.rate) * 1000 * BYTE
    }
}

/// Tokens of one byte: with this unit, a rate is tokens in a nanosecond, and filling loses nothing to rounding.
const BYTE: i64 = 1_000_000;
