//! How much padding the operator and the consensus allow, and what is done when they allow less.

use crate::base::purse::{Allowance, LimitSource};
use crate::engine::Engine;

impl Engine {
    /// Sets how much padding is allowed from now on, over all circuits.
    pub fn allow_padding(&mut self, source: LimitSource, allowance: Allowance) {
        self.padding.purse.allow(source, allowance);
        self.apply_allowance();
    }

    /// Sets how much padding the consensus allows, after one of its parameters has changed.
    pub(in crate::engine) fn allow_by_consensus(&mut self) {
        let wide = &self.settings.wide;
        let (disabled, reduced) = (wide.padding_disabled != 0, wide.padding_reduced != 0);
        if let Some(allowance) =
            Allowance::new(wide.global_allowed_cells, wide.global_max_padding_pct, disabled, reduced)
        {
            self.allow_padding(LimitSource::Consensus, allowance);
        }
    }

    /// Tells the process how many cells were sent, and lifts the blocks of machines that may not run any more.
    #[cold]
    pub(in crate::engine) fn apply_allowance(&mut self) {
        self.padding.purse.tell();
        if self.padding.circuits == 0 || !self.padding.purse.has_stopped() {
            return;
        }
        let now = self.time.clock.latest();
        for index in 0..self.circuits.all_mut().count() as u32 {
            let Some((id, circuit)) = self.circuits.at(index) else { continue };
            if let Some(padding) = &mut circuit.padding {
                padding.lift_blocks(now, &self.padding.purse);
                self.time.alarms.arm_padding(id, padding.next());
            }
        }
    }
}
