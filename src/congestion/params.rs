//! The parameters of congestion and flow control, as a consensus gives them, with their ranges.

use crate::base::consensus::parameters;
use std::num::NonZeroU16;

/// The kind of path that a circuit has. Thresholds differ (CC-7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathClass {
    /// To an exit, or to a single-onion service.
    Exit,
    /// To an onion service.
    Onion,
    /// Two hops, as sbws measures.
    Sbws,
}

/// The end of a stream. XOFF limits may differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamEdge {
    /// A client, or an onion service.
    Client,
    /// An exit.
    Exit,
}

/// The number of DATA cells that one SENDME acknowledges on a circuit, 1 to 255.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inc(NonZeroU16);

impl Inc {
    /// An increment of 1 to 255: the range of `cc_sendme_inc`, and one above it (CC-2).
    pub const fn new(inc: u32) -> Option<Inc> {
        if inc > INC_MAX {
            return None;
        }
        match NonZeroU16::new(inc as u16) {
            Some(inc) => Some(Inc(inc)),
            None => None,
        }
    }

    /// The number of cells.
    #[inline]
    pub const fn get(self) -> u32 {
        self.0.get() as u32
    }

    #[inline]
    pub(super) const fn as_u16(self) -> u16 {
        self.0.get()
    }
}

parameters! {
    /// All parameters of one circuit. They are taken when the circuit is made, and shared by all circuits made under
    /// the same consensus (CC-27). Five parameters have a value for each class of path; their names here lack its
    /// suffix.
    pub struct Params, EXIT;
    /// The algorithm: 0 is fixed windows, 2 Vegas. 1 and 3 were never written; C Tor reads them as 2 (CC-6).
    alg, "cc_alg" = 2 in 0..=3, built 2..=2;
    /// DATA cells that one SENDME acknowledges, as the consensus has it. A circuit negotiates its own [`Inc`].
    sendme_inc, "cc_sendme_inc" = 31 in 1..=254;
    /// Congestion window at the start, in cells.
    cwnd_init, "cc_cwnd_init" = 124 in 31..=10_000;
    /// Smallest congestion window after slow start.
    cwnd_min, "cc_cwnd_min" = 124 in 31..=1000;
    /// Largest congestion window.
    cwnd_max, "cc_cwnd_max" = 2_147_483_647 in 500..=I32_MAX;
    /// Cells by which the window grows or shrinks in one update after slow start.
    cwnd_inc, "cc_cwnd_inc" = 1 in 1..=1000;
    /// Updates of the window for each window's worth of SENDMEs, after slow start.
    cwnd_inc_rate, "cc_cwnd_inc_rate" = 31 in 1..=250;
    /// Growth for each SENDME in slow start, in percent of what it acknowledges.
    cwnd_inc_pct_ss, "cc_cwnd_inc_pct_ss" = 100 in 1..=500;
    /// Window at which slow start ends in any case.
    ss_max, "cc_ss_max" = 5000 in 500..=I32_MAX;
    /// Not used by Vegas. It is here so that all parameters of a consensus can be set.
    bwe_min, "cc_bwe_min" = 5 in 2..=20;
    /// Number of round trips that the average runs over, in percent of the SENDMEs between two updates.
    ewma_cwnd_pct, "cc_ewma_cwnd_pct" = 50 in 1..=255;
    /// The most round trips that the average runs over.
    ewma_max, "cc_ewma_max" = 10 in 2..=I32_MAX;
    /// Number of round trips that the average runs over in slow start.
    ewma_ss, "cc_ewma_ss" = 2 in 2..=I32_MAX;
    /// At the smallest window the lowest round trip is renewed: 100 takes the larger of old and current, 0 the smaller.
    rtt_reset_pct, "cc_rtt_reset_pct" = 100 in 0..=100;
    /// SENDMEs by which a window may miss being full and still count as full.
    cwnd_full_gap, "cc_cwnd_full_gap" = 4 in 0..=32_767;
    /// Percent of the window below which it counts as not full.
    cwnd_full_minpct, "cc_cwnd_full_minpct" = 25 in 0..=100;
    /// 1: being full is forgotten once in each window; 0: once in each update.
    cwnd_full_per_cwnd, "cc_cwnd_full_per_cwnd" = 1 in 0..=1;
    /// Queue below which the window grows.
    alpha, "cc_vegas_alpha" = 186 in 0..=1000;
    /// Queue above which the window shrinks.
    beta, "cc_vegas_beta" = 248 in 0..=1000;
    /// Queue that ends slow start.
    gamma, "cc_vegas_gamma" = 186 in 0..=1000;
    /// Queue above which the window falls at once.
    delta, "cc_vegas_delta" = 310 in 0..=I32_MAX;
    /// Window above which slow start grows more slowly (RFC 3742).
    sscap, "cc_sscap" = 600 in 100..=I32_MAX;
    /// Cells in a circuit's queue at which the host should report the circuit as blocked.
    cellq_high, "cellq_high" = 256 in 1..=1000;
    /// Cells in a circuit's queue at which the host should no longer report it as blocked.
    cellq_low, "cellq_low" = 10 in 1..=1000;
    /// Bytes waiting on a channel at which its circuits count as blocked.
    orconn_high, "orconn_high" = 32_768 in 509..=I32_MAX;
    /// Bytes waiting on a channel at which they no longer count as blocked.
    orconn_low, "orconn_low" = 16_384 in 509..=I32_MAX;
    /// Cells' worth of buffered data at which a client sends XOFF.
    xoff_client, "cc_xoff_client" = 500 in 1..=10_000;
    /// Cells' worth of buffered data at which an exit sends XOFF.
    xoff_exit, "cc_xoff_exit" = 500 in 1..=10_000;
    /// Cells' worth of data that must drain between two rates.
    xon_rate, "cc_xon_rate" = 500 in 1..=5000;
    /// Percent by which the rate must change before it is sent again.
    xon_change_pct, "cc_xon_change_pct" = 25 in 1..=99;
    /// Number of rates that the average runs over.
    xon_ewma_cnt, "cc_xon_ewma_cnt" = 2 in 2..=100;
}

impl Params {
    /// C Tor's defaults for a class of paths.
    pub fn default_for(class: PathClass) -> Params {
        match class {
            PathClass::Exit => Self::EXIT,
            PathClass::Onion => Params { alpha: 186, beta: 372, gamma: 248, delta: 434, sscap: 475, ..Self::EXIT },
            PathClass::Sbws => Params { alpha: 93, beta: 155, gamma: 124, delta: 248, sscap: 400, ..Self::EXIT },
        }
    }

    /// The increment `inc` for a circuit, if a peer may negotiate it: at most 1 away from the consensus.
    pub fn inc(&self, inc: u32) -> Option<Inc> {
        Inc::new(inc).filter(|_| inc.abs_diff(self.sendme_inc) <= 1)
    }

    /// Bytes in a stream's buffer above which this end sends XOFF.
    pub fn xoff_bytes(&self, edge: StreamEdge) -> u64 {
        let cells = match edge {
            StreamEdge::Client => self.xoff_client,
            StreamEdge::Exit => self.xoff_exit,
        };
        u64::from(cells) * CELL_BYTES
    }

    /// Bytes that must drain between two rates. A cell counts as 498 bytes here, as in C Tor.
    pub fn xon_bytes(&self) -> u64 {
        u64::from(self.xon_rate) * CELL_BYTES_XON
    }
}

/// The largest increment: one above the range of `cc_sendme_inc`.
const INC_MAX: u32 = 255;
const I32_MAX: u32 = i32::MAX as u32;
/// Bytes of data in a cell as C Tor counts them for XOFF, and arti always.
pub(super) const CELL_BYTES: u64 = 488;
/// Bytes of data in a cell as C Tor counts them for XON.
const CELL_BYTES_XON: u64 = 498;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::consensus::Unset;

    #[test]
    fn every_parameter_has_its_range() {
        for class in [PathClass::Exit, PathClass::Onion, PathClass::Sbws] {
            let params = Params::default_for(class);
            assert!(Params::RANGES.iter().all(|&(name, min, max)| (min..=max).contains(&params.get(name).unwrap())));
            for &(name, min, max) in Params::RANGES.iter().filter(|row| row.0 != "cc_alg") {
                let mut changed = params.clone();
                for good in [min, min + 1, max - 1, max] {
                    assert_eq!(changed.set(name, good), Ok(()), "{name} {good}");
                    assert_eq!(changed.get(name), Some(good));
                }
                let kept = changed.clone();
                for bad in [min.checked_sub(1), Some(max + 1)].into_iter().flatten() {
                    assert_eq!(changed.set(name, bad), Err(Unset::Range(min, max)), "{name} {bad}");
                    assert_eq!(changed, kept, "{name} {bad}: refused, and nothing changed");
                }
            }
            let mut changed = params.clone();
            assert_eq!((changed.set("cc_nothing", 1), changed.get("cc_nothing")), (Err(Unset::NoName), None));
            let built: Vec<u32> = (0..=3).filter(|&alg| changed.set("cc_alg", alg) != Err(Unset::NotBuilt)).collect();
            assert_eq!(built, [2]);
            assert_eq!(changed.set("cc_alg", 4), Err(Unset::Range(0, 3)));
            assert_eq!(changed, params);
        }
    }

    #[test]
    fn cc_2_an_increment_is_within_one_and_not_zero() {
        let mut params = Params::default_for(PathClass::Exit);
        let accepted: Vec<u32> = (0..1000).filter(|&inc| params.inc(inc).is_some()).collect();
        assert_eq!(accepted, [30, 31, 32]);
        params.sendme_inc = 1;
        assert!(params.inc(0).is_none() && params.inc(1).is_some() && params.inc(2).is_some());
        params.sendme_inc = 254;
        assert!(params.inc(255).is_some() && params.inc(256).is_none(), "an u8 would have wrapped to 0");
        assert!(params.inc(u32::MAX).is_none() && params.inc(65_536 + 254).is_none());
    }

    #[test]
    fn bytes_of_the_limits() {
        let params = Params { xoff_client: 3, ..Params::default_for(PathClass::Onion) };
        assert_eq!(params.xoff_bytes(StreamEdge::Client), 3 * 488);
        assert_eq!(params.xoff_bytes(StreamEdge::Exit), 500 * 488);
        assert_eq!(params.xon_bytes(), 500 * 498);
    }
}
