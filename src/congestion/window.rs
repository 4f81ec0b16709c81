//! The sending side of a circuit towards one hop: how much may be sent, and whether SENDMEs are valid (prop289, prop324
//! §2).

use super::params::{Inc, Params};
use super::vegas::{ChannelState, Vegas};
use crate::base::{limits, Nanos};
use crate::wire::sendme::{Digest, Sendme};
use crate::wire::Malformed;
use std::collections::VecDeque;
use std::sync::Arc;

/// A congestion window, and the SENDMEs that will open it again, oldest first.
///
/// The times and the digests of the cells that SENDMEs will acknowledge stand in one queue, so that they cannot get out
/// of step.
#[derive(Debug)]
pub struct Window {
    vegas: Vegas,
    pending: VecDeque<Pending>,
    /// Number of entries of `pending`, from the oldest on, that have their digest.
    with_digest: u32,
    /// DATA cells still to be sent until one that a SENDME will acknowledge.
    until: u16,
    /// More cells were sent than there is room to remember.
    overrun: bool,
}

/// A cell that a SENDME will acknowledge.
#[derive(Debug)]
struct Pending {
    sent_at: Nanos,
    digest: Option<Digest>,
}

/// No cell waits for a digest, or the bytes are no digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAsked;

/// The reason why a SENDME was refused. The window has not changed; the circuit should close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SendmeFault {
    /// No cell is in flight that it could acknowledge.
    Unexpected,
    /// It carries no digest (version 0).
    NoTag,
    /// Its digest has the length for another kind of circuit.
    TagLength,
    /// Its digest is not that of the cell it acknowledges.
    WrongTag,
    /// The host never gave the digest of that cell.
    NoDigest,
    /// This end sent so far beyond the window that it has lost count.
    Overrun,
}

impl Window {
    /// For a new circuit, on which one SENDME acknowledges `inc` cells.
    pub fn new(params: Arc<Params>, inc: Inc) -> Self {
        let vegas = Vegas::new(params, inc);
        Window { vegas, pending: VecDeque::new(), with_digest: 0, until: inc.as_u16(), overrun: false }
    }

    /// Counts a DATA cell that has been sent. True when a SENDME will acknowledge this cell: then give its digest to
    /// [`Window::add_digest`].
    ///
    /// Never refused, as the cell has gone: ask [`Window::room`] before.
    #[inline]
    pub fn sent_data(&mut self, now: Nanos) -> bool {
        self.sent::<false>(now)
    }

    /// The same. `USUAL`: the caller has seen that no SENDME will acknowledge just this cell ([`Window::awaits_next`]).
    #[inline(always)]
    pub fn sent<const USUAL: bool>(&mut self, now: Nanos) -> bool {
        self.vegas.inflight = self.vegas.inflight.saturating_add(1);
        // Counted after this cell, so that an increment of 1 works (CC-28). A counter, not inflight modulo the
        // increment: a division for each cell costs more than all the rest.
        self.until -= 1;
        if USUAL || self.until != 0 {
            debug_assert!(self.until != 0, "somebody has looked before");
            return false;
        }
        self.await_sendme(now)
    }

    /// True when a SENDME will acknowledge the next cell.
    #[inline(always)]
    pub fn awaits_next(&self) -> bool {
        self.until == 1
    }

    /// Notes a cell that a SENDME will acknowledge. False when there is no room to remember it.
    #[cold]
    fn await_sendme(&mut self, now: Nanos) -> bool {
        self.until = self.vegas.inc().as_u16();
        if self.pending.len() >= limits::SENDMES_PENDING_MAX as usize {
            self.overrun = true;
        }
        if self.overrun {
            return false;
        }
        self.pending.push_back(Pending { sent_at: now, digest: None });
        true
    }

    /// Gives the digest of the oldest cell that still lacks it: 20 bytes, or 16 with Counter Galois Onion.
    pub fn add_digest(&mut self, digest: &[u8]) -> Result<(), NotAsked> {
        let pending = self.pending.get_mut(self.with_digest as usize).ok_or(NotAsked)?;
        pending.digest = Some(Digest::new(digest).map_err(|_: Malformed| NotAsked)?);
        self.with_digest += 1;
        Ok(())
    }

    /// Handles a SENDME of this circuit from the hop.
    pub fn handle_sendme(&mut self, now: Nanos, sendme: &Sendme, channel: ChannelState) -> Result<(), SendmeFault> {
        if self.overrun {
            return Err(SendmeFault::Overrun);
        }
        let oldest = self.pending.front().ok_or(SendmeFault::Unexpected)?;
        let Sendme::V1 { digest } = sendme else {
            return Err(SendmeFault::NoTag);
        };
        let expected = oldest.digest.as_ref().ok_or(SendmeFault::NoDigest)?;
        if digest.as_bytes().len() != expected.as_bytes().len() {
            return Err(SendmeFault::TagLength);
        }
        // Compared in constant time.
        if digest != expected {
            return Err(SendmeFault::WrongTag);
        }
        let rtt = now.saturating_sub(oldest.sent_at) / NANOS_PER_MICRO;
        self.pending.pop_front();
        self.with_digest -= 1;
        self.vegas.handle_sendme(rtt, channel);
        Ok(())
    }

    /// When the cell was sent that the next SENDME acknowledges.
    pub fn oldest_sent_at(&self) -> Option<Nanos> {
        self.pending.front().map(|oldest| oldest.sent_at)
    }

    /// Cells that may be sent now.
    #[inline]
    pub fn room(&self) -> u32 {
        self.vegas.room()
    }

    /// The congestion window in cells.
    #[inline]
    pub fn cwnd(&self) -> u32 {
        self.vegas.cwnd
    }

    /// DATA cells in flight. May be above the window, which can shrink.
    #[inline]
    pub fn inflight(&self) -> u32 {
        self.vegas.inflight
    }

    /// The smoothed round-trip time in nanoseconds, by which conflux chooses a leg; `None` until one was measured.
    pub fn rtt(&self) -> Option<Nanos> {
        (self.vegas.rtt.ewma != 0).then(|| self.vegas.rtt.ewma.saturating_mul(NANOS_PER_MICRO))
    }

    /// The longest round trip seen, in nanoseconds, which decides how long a closed stream is remembered; 0 until one
    /// was measured.
    pub fn max_rtt(&self) -> Nanos {
        self.vegas.rtt.max.saturating_mul(NANOS_PER_MICRO)
    }

    /// True until congestion is met for the first time.
    pub fn in_slow_start(&self) -> bool {
        self.vegas.slow_start
    }

    /// True when the channel took no more cells at the last SENDME.
    #[allow(dead_code, reason = "models look")]
    pub fn blocked(&self) -> bool {
        self.vegas.blocked
    }

    /// True when the clock stood still at a SENDME, and no good round trip has been measured since (FC-9).
    pub fn clock_broken(&self) -> bool {
        self.vegas.rtt.clock_broken
    }

    /// Number of cells that one SENDME acknowledges.
    pub fn inc(&self) -> Inc {
        self.vegas.inc()
    }

    /// Number of SENDMEs still to come for cells that were sent.
    #[allow(dead_code, reason = "models look")]
    pub fn sendmes_pending(&self) -> usize {
        self.pending.len()
    }

    /// The state by which the window moves.
    #[allow(dead_code, reason = "models look")]
    pub fn vegas(&self) -> &Vegas {
        &self.vegas
    }
}

const NANOS_PER_MICRO: u64 = 1000;
