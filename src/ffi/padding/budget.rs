//! Budgets: the padding that an operator allows.

use super::*;
use crate::base::purse::{Allowance, LimitSource};
use crate::ffi::hub::{self, circflow_hub};
use crate::ffi::outside;

/// The padding that an operator allows, on one engine or on all engines of a hub. Fill it with
/// circflow_padding_budget_init(), then change what you want. Padding above it is refused; the machine hears that it
/// was sent, as it could stop otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_padding_budget {
    /// sizeof(circflow_padding_budget) as your compiler saw it.
    pub size: size_t,
    /// Padding cells that may be sent before percent_max applies, since the engine (or the hub) was made. Default 0.
    pub allowed_cells: u32,
    /// The part of all cells sent since the engine (or the hub) was made that may be padding, in percent, 0 to 100.
    /// While it is above that, no padding is sent. Default 0: no limit. A cell that passes a relay counts if it goes
    /// towards the client.
    pub percent_max: u32,
    /// 1: no padding. No padding cell is sent, not even one that waits behind a block. Blocks end at once.
    /// circflow_padding_start() answers CIRCFLOW_ERR_DISABLED, and a relay refuses the requests of clients. Padders
    /// stay, hear of cells, and go on when it is 0 again. Default 0.
    pub disabled: u32,
    /// 1: as `disabled`, for padders without CIRCFLOW_PADDER_RUNS_REDUCED only. Default 0.
    pub reduced: u32,
}

// SAFETY: as above.
unsafe impl sized::Growing for circflow_padding_budget {}

/// Fills a budget with the defaults: everything is allowed. Pass sizeof(circflow_padding_budget) as size.
///
/// @param budget  The struct that is filled.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_padding_budget_init(
    budget: *mut circflow_padding_budget,
    size: size_t,
) -> circflow_status {
    // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
    door::alone(|| unsafe { sized::init(budget, size, budget_defaults()) })
}

/// Sets the padding budget of an engine from now on. You may call it at any time; cells that were sent before count,
/// too. There are two more budgets: that of the consensus (circpad_global_allowed_cells,
/// circpad_global_max_padding_pct, circpad_padding_disabled and circpad_padding_reduced of
/// circflow_engine_set_param()), and that of the hub. Padding is sent only if all three allow it. circflow_engine_stats
/// has the figures.
///
/// On a circuit with CIRCFLOW_CIRCUIT_OWN_QUEUE a padding cell counts when you answer CIRCFLOW_ANSWER_SENT, so
/// instructions that wait for an answer can exceed the budget.
///
/// @param budget  Copied.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: percent_max above 100, or disabled or reduced above 1; nothing changes.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_engine_set_padding_budget(
    engine: *mut circflow_engine,
    budget: *const circflow_padding_budget,
) -> circflow_status {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe {
        door::enter_to_read(engine, budget, budget_defaults(), |core, budget| {
            let allowance = allowance(budget).map_err(|why| core.invalid(why))?;
            core.allow_padding(LimitSource::Operator, allowance);
            Ok(())
        })
    }
}

/// Sets the padding budget of all engines of a hub together from now on. You may call it on any thread. An engine
/// counts the cells that it sends after it has joined; it tells the hub of cells that are not padding when it pads or
/// is ticked. If machines that ran may not run any more, this call calls the notify of each engine, and blocks end with
/// the engine's next circflow_engine_tick(). circflow_hub_stats has the figures.
///
/// @param budget  Copied.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: as for circflow_engine_set_padding_budget().
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C-unwind" fn circflow_hub_set_padding_budget(
    hub: *mut circflow_hub,
    budget: *const circflow_padding_budget,
) -> circflow_status {
    let status = door::alone(|| {
        // SAFETY: the contract of this floor, which the caller keeps.
        let hub = match unsafe { hub::core(hub) } {
            Ok(hub) => hub,
            Err(status) => return status,
        };
        // SAFETY: NULL or a struct that begins with its size, by the contract of this floor.
        match unsafe { sized::read(budget, budget_defaults()) }.map(|budget| allowance(&budget)) {
            Ok(Ok(allowance)) => {
                hub.allow_padding(allowance);
                CIRCFLOW_OK
            }
            Ok(Err(_)) => CIRCFLOW_ERR_INVALID,
            Err(status) => status,
        }
    });
    if outside::is_due() {
        outside::make_calls();
    }
    status
}

pub(super) fn allowance(budget: &circflow_padding_budget) -> Result<Allowance, Why> {
    if budget.disabled > 1 || budget.reduced > 1 {
        return Err("disabled and reduced of a budget of padding are 0 or 1");
    }
    Allowance::new(budget.allowed_cells, budget.percent_max, budget.disabled != 0, budget.reduced != 0)
        .ok_or("the percentage of a budget of padding is above 100")
}

fn budget_defaults() -> circflow_padding_budget {
    circflow_padding_budget {
        size: size_of::<circflow_padding_budget>(),
        allowed_cells: 0,
        percent_max: 0,
        disabled: 0,
        reduced: 0,
    }
}
