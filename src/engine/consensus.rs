//! Parameters of a consensus that hold for the whole engine, not for one class of circuits.

use crate::base::consensus::{parameters, Unset};
use crate::base::limits;
use crate::conflux::SetTerms;
use crate::congestion::{Params, PathClass};
use crate::engine::{Blocked, Engine, Error, Misuse};
use crate::padding::PadderTerms;
use std::sync::Arc;

parameters! {
    /// Conflux, padding and SENDMEs. Parameters that only the host uses (how many sets a client builds) are kept for it
    /// to read.
    pub struct Wide, DEFAULT;
    /// 0: no LINK is taken, and no set opened; sets that are open go on.
    cfx_enabled, "cfx_enabled" = 1 in 0..=1;
    /// Exits of a network, in ten thousandths, below which a client builds one set in advance. Only the host uses it.
    low_exit_threshold, "cfx_low_exit_threshold" = 6000 in 0..=10_000;
    /// Linked sets of a client. Only the host uses it.
    max_linked_set, "cfx_max_linked_set" = 10 in 0..=255;
    /// Sets a client builds in advance. Only the host uses it.
    max_prebuilt_set, "cfx_max_prebuilt_set" = 3 in 0..=255;
    /// Legs that may be launched in place of some that failed.
    unlinked_leg_retry, "cfx_max_unlinked_leg_retry" = 3 in 0..=255;
    /// Legs a client launches for a set.
    num_legs_set, "cfx_num_legs_set" = 2 in 0..=255;
    /// Legs of a set at a time.
    max_legs_set, "cfx_max_legs_set" = 8 in 3..=255;
    /// An experiment. C Tor only knows its name.
    send_pct, "cfx_send_pct" = 100 in 0..=255, built 100..=100;
    /// An experiment that C Tor has switched off.
    drain_pct, "cfx_drain_pct" = 0 in 0..=255, built 0..=0;
    /// Bytes a set holds for order.
    max_oooq_bytes, "cfx_max_oooq_bytes" = 2_147_483_647 in 0..=2_147_483_647;
    /// Lowest version of a SENDME to send. We send 1.
    sendme_emit, "sendme_emit_min_version" = 1 in 0..=255, built 0..=1;
    /// Lowest version of a SENDME to take. We take 1, and not 0, whatever a consensus allows (SEN-4).
    sendme_accept, "sendme_accept_min_version" = 0 in 0..=255, built 0..=1;
    /// Cells in a circuit's queue from which on no padding is added.
    circ_queued_cells, "circpad_max_circ_queued_cells" = 1000 in 0..=50_000;
    /// Padding cells of the engine before its percentage counts.
    global_allowed_cells, "circpad_global_allowed_cells" = 0 in 0..=65_534;
    /// Of the cells that the engine sends, how many in a hundred may be padding; 0 for no limit.
    global_max_padding_pct, "circpad_global_max_padding_pct" = 0 in 0..=100;
    /// 1: no machine runs.
    padding_disabled, "circpad_padding_disabled" = 0 in 0..=1;
    /// 1: only machines run that are marked for reduced padding.
    padding_reduced, "circpad_padding_reduced" = 0 in 0..=1;
}

const _: () = assert!(Wide::DEFAULT.max_legs_set == limits::LEGS_DEFAULT);
const _: () = assert!(Wide::DEFAULT.num_legs_set + Wide::DEFAULT.unlinked_leg_retry == limits::LAUNCHES_DEFAULT);
const _: () = assert!(Wide::DEFAULT.circ_queued_cells == limits::QUEUED_CELLS_DEFAULT);

/// Stands for the parameter, in place of the number of queued cells at which a padder stops.
pub const BY_PARAMETER: u32 = u32::MAX;

impl Default for Wide {
    fn default() -> Self {
        Wide::DEFAULT
    }
}

impl Engine {
    /// Sets a parameter. One of congestion control holds for circuits of the class that are opened from now on, any
    /// other for the engine.
    pub fn set_param(&mut self, class: PathClass, name: &str, value: u32) -> Result<(), Error> {
        let of_class = &mut self.settings.params[class as usize];
        let outcome = match of_class.get(name) {
            Some(_) => {
                let mut params = Params::clone(of_class);
                params.set(name, value).map(|()| *of_class = Arc::new(params))
            }
            None => self.settings.wide.set(name, value).map(|()| self.allow_by_consensus()),
        };
        outcome.map_err(|why| {
            let (error, text) = match why {
                Unset::NoName => (Error::INVALID, format!("no parameter is called {name}")),
                Unset::Range(min, max) => (Error::INVALID, format!("{name} goes from {min} to {max}")),
                Unset::NotBuilt => (Misuse::NotBuilt.into(), format!("what {name}={value} asks for is not built")),
            };
            self.explain(error, text)
        })
    }

    /// The value of a parameter now.
    pub fn param(&mut self, class: PathClass, name: &str) -> Result<u32, Error> {
        let found = self.settings.params[class as usize].get(name).or_else(|| self.settings.wide.get(name));
        found.ok_or_else(|| self.explain(Error::INVALID, format!("no parameter is called {name}")))
    }

    /// Error SWITCHED_OFF when the consensus allows no new sets and legs.
    pub(super) fn check_conflux_on(&self) -> Result<(), Error> {
        match self.settings.wide.cfx_enabled {
            0 => Err(Blocked::SwitchedOff.into()),
            _ => Ok(()),
        }
    }

    /// Terms of a set that a peer opens; none while the host or the consensus refuses such sets.
    pub(super) fn accepted(&self) -> Option<&SetTerms> {
        self.settings.accepted.as_ref().filter(|_| self.settings.wide.cfx_enabled != 0)
    }

    /// Fills in the terms of a set that the host has left to the parameters.
    pub(super) fn fill_set_terms(&self, terms: &mut SetTerms) {
        let wide = &self.settings.wide;
        if terms.legs_max == 0 {
            terms.legs_max = wide.max_legs_set.min(limits::LEGS_MAX as u32);
        }
        if terms.launches_max == 0 {
            terms.launches_max = wide.num_legs_set + wide.unlinked_leg_retry;
        }
        // The largest value, which is the default, is no bound: a host may give a set more than a consensus can say.
        if wide.max_oooq_bytes < Wide::DEFAULT.max_oooq_bytes {
            terms.held_bytes_max = terms.held_bytes_max.min(wide.max_oooq_bytes.into());
        }
        terms.held_age_max.get_or_insert(self.settings.held_age_max);
    }

    /// Fills in the terms of a padder that the host has left to the parameters.
    pub(super) fn fill_padder_terms(&self, terms: &mut PadderTerms) {
        if terms.queued_max == BY_PARAMETER {
            terms.queued_max = self.settings.wide.circ_queued_cells;
        }
    }
}
