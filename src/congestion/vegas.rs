//! TOR_VEGAS: how many cells may be in flight (proposal 324 §3.3, as C Tor runs it).
//!
//! The queue that a circuit has built up on its path is its window less what the path holds at its lowest round trip. A
//! short queue lets the window grow, a long one shrinks it.

use super::params::{Inc, Params};
use super::rtt::{Rtt, RttTerms};
use crate::base::limits;
use std::sync::Arc;

/// The state of the channel towards the other end (CC-25).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChannelState {
    /// It takes no more cells of this circuit.
    pub blocked: bool,
    /// Cells of this circuit that wait for it; 0 when not known. Only used while the clock has never worked.
    pub queued: u32,
}

/// The congestion window of one circuit towards one hop.
///
/// The fields are public, so that tests and recorders can set and read them. A [`super::Window`] keeps its own private.
#[derive(Clone, Debug)]
pub struct Vegas {
    params: Arc<Params>,
    /// Round trips.
    pub rtt: Rtt,
    /// Cells that may be in flight.
    pub cwnd: u32,
    /// DATA cells in flight. May be above `cwnd`, which can shrink.
    pub inflight: u32,
    /// Cells that the path holds at its lowest round trip: an estimate.
    pub bdp: u32,
    /// SENDMEs until a whole window has been acknowledged.
    pub next_cwnd_event: u32,
    /// SENDMEs until the window is judged again.
    pub next_cc_event: u32,
    inc: Inc,
    /// No congestion has been met yet.
    pub slow_start: bool,
    /// The window has been used up lately.
    pub full: bool,
    /// The channel took no more at the last SENDME.
    pub blocked: bool,
}

impl Vegas {
    /// The state at the start of a circuit.
    pub fn new(params: Arc<Params>, inc: Inc) -> Self {
        let mut vegas = Vegas {
            rtt: Rtt::default(),
            cwnd: params.cwnd_init,
            inflight: 0,
            bdp: 0,
            next_cwnd_event: 0,
            next_cc_event: 1,
            inc,
            slow_start: true,
            full: false,
            blocked: false,
            params,
        };
        vegas.clamp();
        vegas
    }

    /// Number of cells that one SENDME acknowledges.
    pub fn inc(&self) -> Inc {
        self.inc
    }

    /// Cells that may be sent now.
    #[inline]
    pub fn room(&self) -> u32 {
        self.cwnd.saturating_sub(self.inflight)
    }

    /// A valid SENDME has come, `rtt` microseconds after the cell it acknowledges was sent; 0 when the clock has not
    /// moved, or has moved back.
    pub fn handle_sendme(&mut self, rtt: u64, channel: ChannelState) {
        self.next_cc_event = self.next_cc_event.saturating_sub(1);
        self.next_cwnd_event = self.next_cwnd_event.saturating_sub(1);
        let measured = self.measure(rtt);
        if self.estimate(measured, channel) {
            self.adjust();
        }
        // A peer acknowledges what was in flight. A caller that set the figures itself may have broken that.
        self.inflight = self.inflight.saturating_sub(self.inc.get());
        self.clamp();
    }

    /// SENDMEs between two updates. 0 while the window is small: then each SENDME is an update (CC-30).
    pub fn sendmes_per_update(&self) -> u32 {
        if self.slow_start {
            return 1;
        }
        let step = u64::from(self.params.cwnd_inc_rate) * self.inc64();
        as_cells((u64::from(self.cwnd) + step / 2) / step.max(1))
    }

    /// SENDMEs for one window.
    pub fn sendmes_per_cwnd(&self) -> u32 {
        as_cells((u64::from(self.cwnd) + self.inc64() / 2) / self.inc64())
    }

    /// False when the round trip is of no use.
    fn measure(&mut self, rtt: u64) -> bool {
        let params = &self.params;
        let count = if self.slow_start {
            params.ewma_ss.into()
        } else {
            let share = u64::from(self.sendmes_per_update()) * u64::from(params.ewma_cwnd_pct) / 100;
            share.min(params.ewma_max.into())
        };
        let terms = RttTerms {
            slow_start: self.slow_start,
            count: count.max(2),
            at_minimum: self.cwnd == params.cwnd_min && !self.slow_start,
            reset_pct: params.rtt_reset_pct,
            pending: (self.inflight / self.inc.get()).saturating_sub(1),
        };
        self.rtt.measure(rtt, &terms)
    }

    /// Estimates what the path holds. False when nothing was learned by which to judge the window.
    fn estimate(&mut self, measured: bool, channel: ChannelState) -> bool {
        if self.rtt.ewma == 0 {
            // The clock has never worked: a blocked channel is the only sign of congestion.
            self.bdp = match channel.blocked {
                true => self.cwnd.saturating_sub(channel.queued).max(self.params.cwnd_min),
                false => self.cwnd,
            };
            self.blocked = channel.blocked;
            return channel.blocked;
        }
        // A lowest round trip that was renewed may be far above the average, so the quotient may not fit either.
        let held = u128::from(self.cwnd) * u128::from(self.rtt.min) / u128::from(self.rtt.ewma);
        self.bdp = u32::try_from(held).unwrap_or(u32::MAX);
        if channel.blocked != self.blocked {
            // The window must follow both changes before a whole window has gone by.
            self.next_cc_event = 0;
            self.blocked = channel.blocked;
        }
        channel.blocked || measured
    }

    /// Judges the queue and moves the window. All arithmetic that C Tor lets wrap saturates (CC-24).
    fn adjust(&mut self) {
        let params = &self.params;
        let (inc, bdp) = (self.inc64(), u64::from(self.bdp));
        let (cwnd, inflight) = (u64::from(self.cwnd), u64::from(self.inflight));
        let queue = cwnd.saturating_sub(bdp);
        if inflight + u64::from(params.cwnd_full_gap) * inc >= cwnd {
            self.full = true;
        } else if 100 * inflight < u64::from(params.cwnd_full_minpct) * cwnd {
            self.full = false;
        }
        let step = u64::from(params.cwnd_inc);
        if self.slow_start {
            if queue >= params.gamma.into() || self.blocked {
                // With a blocked channel this may raise the window, as the estimate comes from an older, larger one
                // (CC-22).
                self.cwnd = as_cells(bdp + u64::from(params.gamma));
                self.slow_start = false;
            } else if self.full {
                let more = self.slow_start_step();
                self.cwnd = as_cells(cwnd + more);
                let steady = step * u64::from(self.params.cwnd_inc_rate);
                self.slow_start = more * u64::from(self.sendmes_per_cwnd()) > steady;
            }
            if self.cwnd >= self.params.ss_max {
                self.cwnd = self.params.ss_max;
                self.slow_start = false;
            }
        } else if self.next_cc_event == 0 {
            let judged = if queue > params.delta.into() {
                (bdp + u64::from(params.delta)).saturating_sub(step)
            } else if queue > params.beta.into() || self.blocked {
                cwnd.saturating_sub(step)
            } else if self.full && queue < params.alpha.into() {
                cwnd + step
            } else {
                cwnd
            };
            self.cwnd = as_cells(judged).max(params.cwnd_min);
        }
        self.renew_events();
    }

    fn renew_events(&mut self) {
        let (per_cwnd, per_update) = (self.sendmes_per_cwnd(), self.sendmes_per_update());
        if self.next_cwnd_event == 0 {
            self.next_cwnd_event = per_cwnd;
        }
        if self.next_cc_event == 0 {
            self.next_cc_event = per_update;
        }
        let over = match self.params.cwnd_full_per_cwnd {
            0 => self.next_cc_event == per_update,
            _ => self.next_cwnd_event == per_cwnd,
        };
        self.full &= !over;
    }

    /// Cells by which slow start grows at a SENDME: limited above `sscap`, as in RFC 3742.
    fn slow_start_step(&self) -> u64 {
        let (cwnd, cap) = (u64::from(self.cwnd), u64::from(self.params.sscap));
        if cwnd <= cap {
            return (u64::from(self.params.cwnd_inc_pct_ss) * self.inc64() + 50) / 100;
        }
        ((self.inc64() * cap + cwnd) / (2 * cwnd)).max(1)
    }

    /// Keeps the window between one SENDME's worth and what there is room to remember.
    ///
    /// Less than one SENDME's worth is never acknowledged, and the circuit would stall for ever. Parameters that are
    /// each in range lead there (`cc_cwnd_min` 31 with `cc_sendme_inc` 254); C Tor stalls.
    fn clamp(&mut self) {
        let most = self.params.cwnd_max.min(limits::SENDMES_PENDING_MAX * self.inc.get());
        self.cwnd = self.cwnd.min(most).max(self.inc.get());
    }

    fn inc64(&self) -> u64 {
        self.inc.get().into()
    }
}

/// A number of cells as 32 bits; there never are 2^32 cells.
fn as_cells(cells: u64) -> u32 {
    u32::try_from(cells).unwrap_or(u32::MAX)
}
