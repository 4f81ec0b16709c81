//! The receiving side of a stream: when to send XOFF and XON, and with which rate.

use super::RATE_MAX;
use crate::base::Nanos;
use crate::congestion::params::{Params, StreamEdge, CELL_BYTES};
use crate::congestion::rtt::ewma;

/// The buffer of one stream at this end, on its way to its reader.
///
/// A rate is made of the bytes and the time of the same period. (C Tor takes the bytes of the period before, so that a
/// change shows late and too strongly.)
#[derive(Clone, Debug)]
pub struct Incoming {
    buffered: u32,
    buffered_max: u32,
    edge: StreamEdge,
    /// An XOFF was sent, and no XON since.
    stopped: bool,
    /// Since when the buffer has been over the limit.
    over_since: Option<Nanos>,
    /// Since when bytes have been waiting, in this period.
    period_from: Option<Nanos>,
    /// Bytes drained in this period; while nothing waits, bytes that went straight through.
    drained: u64,
    /// The average of the rates, in units of 1000 bytes per second; 0 when not known.
    rate: u32,
    /// The rate that was sent last, 0 for none.
    sent_rate: u32,
}

/// The message to send on the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlowMessage {
    /// XOFF.
    Xoff,
    /// XON.
    Xon {
        /// In units of 1000 bytes per second; 0 for no limit.
        rate: u32,
    },
}

/// More bytes than may be buffered. Nothing was counted. The circuit should close, as its peer ignores XOFF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overflow;

/// More bytes were flushed than were buffered. Nothing was counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotBuffered;

impl Incoming {
    /// For a new stream, of which at most `buffered_max` bytes may wait
    /// ([`crate::base::limits::STREAM_BUFFERED_DEFAULT`]).
    pub fn new(edge: StreamEdge, buffered_max: u32) -> Self {
        Incoming {
            buffered: 0,
            buffered_max,
            edge,
            stopped: false,
            over_since: None,
            period_from: None,
            drained: 0,
            rate: 0,
            sent_rate: 0,
        }
    }

    /// `bytes` of the stream have come and wait in the buffer. `clock_broken` comes from the circuit's window: while it
    /// is true, no rate is measured (FC-9).
    #[inline(always)]
    pub fn delivered(
        &mut self,
        now: Nanos,
        bytes: u32,
        params: &Params,
        clock_broken: bool,
    ) -> Result<Option<FlowMessage>, Overflow> {
        let buffered = self.buffered.checked_add(bytes).filter(|&sum| sum <= self.buffered_max).ok_or(Overflow)?;
        self.buffered = buffered;
        if !self.is_few(buffered, params) {
            return Ok(self.handle_large(now, params, clock_broken));
        }
        self.over_since = None;
        Ok(None)
    }

    /// The same for a buffer that holds less than comes in one burst afterwards. False when it holds more: nothing was
    /// counted.
    #[inline(always)]
    pub fn deliver_few(&mut self, bytes: u32, params: &Params) -> bool {
        let few = self.buffered.checked_add(bytes).filter(|&sum| self.is_few(sum, params) && sum <= self.buffered_max);
        let Some(buffered) = few else { return false };
        self.buffered = buffered;
        self.over_since = None;
        true
    }

    /// Whether so many bytes are less than comes in one burst, and no reason for an XOFF.
    #[inline(always)]
    fn is_few(&self, buffered: u32, params: &Params) -> bool {
        u64::from(buffered) <= params.xoff_bytes(self.edge).min(BURST_BYTES)
    }

    /// Handles a buffer that holds more than comes in one burst.
    #[inline(never)]
    fn handle_large(&mut self, now: Nanos, params: &Params, clock_broken: bool) -> Option<FlowMessage> {
        let buffered = self.buffered;
        let mut say = None;
        if u64::from(buffered) <= params.xoff_bytes(self.edge) {
            self.over_since = None;
        } else if !self.stopped && self.is_grace_over(now) {
            self.stopped = true;
            self.over_since = None;
            // The rate was wrong, or the buffer would not be so full (FC-3).
            self.rate = 0;
            say = Some(FlowMessage::Xoff);
        }
        // A buffer that does not drain is not flushed either, but its period begins (FC-8).
        if u64::from(buffered) > BURST_BYTES {
            // No XON can follow an XOFF here, as bytes wait.
            say = say.or(self.judge(now, params, clock_broken));
        }
        say
    }

    /// The reader took `bytes` out of the buffer.
    pub fn flushed(
        &mut self,
        now: Nanos,
        bytes: u32,
        params: &Params,
        clock_broken: bool,
    ) -> Result<Option<FlowMessage>, NotBuffered> {
        self.buffered = self.buffered.checked_sub(bytes).ok_or(NotBuffered)?;
        self.drained = self.drained.saturating_add(bytes.into());
        if u64::from(self.buffered) <= params.xoff_bytes(self.edge) {
            self.over_since = None;
        }
        Ok(self.judge(now, params, clock_broken))
    }

    /// Bytes in the buffer.
    pub fn buffered(&self) -> u32 {
        self.buffered
    }

    /// True between XOFF and XON.
    #[allow(dead_code, reason = "models look")]
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The average drain rate, in units of 1000 bytes per second; 0 when not known.
    #[allow(dead_code, reason = "models look")]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// True when the buffer has been over the limit for longer than [`GRACE`]. A burst, as from a conflux set that
    /// closes a gap, may be read first (FC-2).
    fn is_grace_over(&mut self, now: Nanos) -> bool {
        let since = *self.over_since.get_or_insert(now);
        now.saturating_sub(since) > GRACE
    }

    fn judge(&mut self, now: Nanos, params: &Params, clock_broken: bool) -> Option<FlowMessage> {
        self.measure(now, params, clock_broken);
        let say = self.choose_xon(params, clock_broken);
        if self.buffered == 0 {
            self.handle_empty(params);
        }
        say
    }

    /// Ends a period in which enough has drained, and begins the next (FC-5).
    fn measure(&mut self, now: Nanos, params: &Params, clock_broken: bool) {
        if clock_broken {
            self.period_from = None;
            self.drained = 0;
            return;
        }
        let Some(from) = self.period_from else {
            if self.buffered > 0 {
                self.period_from = Some(now);
                self.drained = 0;
            }
            return;
        };
        let micros = now.saturating_sub(from) / 1000;
        // Without time there is no rate yet; the period goes on.
        if self.drained <= params.xon_bytes() || micros == 0 {
            return;
        }
        let rate = (self.drained.saturating_mul(1000) / micros).clamp(1, RATE_MAX.into());
        let average = ewma(rate, self.rate.into(), params.xon_ewma_cnt.into());
        self.rate = u32::try_from(average).unwrap_or(RATE_MAX).min(RATE_MAX);
        self.drained = 0;
        self.period_from = Some(now);
    }

    fn choose_xon(&mut self, params: &Params, clock_broken: bool) -> Option<FlowMessage> {
        let due = match self.stopped {
            true => self.buffered == 0,
            false => !clock_broken && self.has_changed(params.xon_change_pct),
        };
        if !due {
            return None;
        }
        self.stopped = false;
        self.sent_rate = self.rate;
        Some(FlowMessage::Xon { rate: self.rate })
    }

    /// True when a rate was sent and the current one differs by more than `pct` percent (FC-6).
    fn has_changed(&self, pct: u32) -> bool {
        let (rate, sent_rate, pct) = (u64::from(self.rate), u64::from(self.sent_rate), u64::from(pct.min(100)));
        sent_rate != 0 && (rate > (100 + pct) * sent_rate / 100 || rate < (100 - pct) * sent_rate / 100)
    }

    /// Handles an empty buffer: the reader is faster than the rate that was sent, so it is doubled from time to time
    /// (FC-7).
    fn handle_empty(&mut self, params: &Params) {
        if self.period_from.take().is_some() {
            // Bytes that drained while others waited do not show that the reader waits.
            self.drained = 0;
        } else if self.drained >= params.xon_bytes() {
            if self.sent_rate != 0 {
                self.rate = self.rate.saturating_mul(2).min(RATE_MAX);
            }
            self.drained = 0;
        }
    }
}

/// How long a buffer may be over the limit before XOFF is sent, in nanoseconds: C Tor's 5 ms.
const GRACE: Nanos = 5_000_000;

/// Bytes that can come in one burst, before the buffer could be read: C Tor's 32 cells.
const BURST_BYTES: u64 = 32 * CELL_BYTES;
