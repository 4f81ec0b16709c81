//! The structs of padding in the C ABI.

use libc::size_t;

/// circflow_insn_padding.flags: the padding may pass a block that lets padding pass.
pub const CIRCFLOW_PADDING_BYPASS: u8 = 1;
/// circflow_insn_padding.flags: a cell that waits anyway may count as the padding.
pub const CIRCFLOW_PADDING_REPLACE: u8 = 2;
/// circflow_insn_padding.flags: you decide by the table, and answer with circflow_padding_answer(). Without this flag
/// circflow has decided: send it.
pub const CIRCFLOW_PADDING_ASKS: u8 = 4;

/// circflow_padding_answer(): a padding cell was queued or sent.
pub const CIRCFLOW_PADDING_SENT: u8 = 1;
/// circflow_padding_answer(): a cell that waits counts as the padding.
pub const CIRCFLOW_PADDING_REPLACED: u8 = 2;
/// circflow_padding_answer(): one cell that waited was let out, past the block.
pub const CIRCFLOW_PADDING_RELEASED: u8 = 3;
/// circflow_padding_answer(): nothing was done. The machine does not hear of it.
pub const CIRCFLOW_PADDING_REFUSED: u8 = 4;

/// circflow_insn_negotiated.answer: the relay pads from now on.
pub const CIRCFLOW_NEGOTIATED_ACCEPTED: u8 = 1;
/// circflow_insn_negotiated.answer: the relay does not pad under this number. The own padder was taken down, and
/// nothing more is asked on this circuit.
pub const CIRCFLOW_NEGOTIATED_REFUSED: u8 = 2;
/// circflow_insn_negotiated.answer: the relay has stopped, as you asked.
pub const CIRCFLOW_NEGOTIATED_STOPPED: u8 = 3;
/// circflow_insn_negotiated.answer: the relay has ended its part by itself. The own padder was taken down.
pub const CIRCFLOW_NEGOTIATED_ENDED: u8 = 4;

/// circflow_padding_config.flags: what was negotiated is stopped, and the other end told, when all its machines have
/// reached their end (padding-spec 3).
pub const CIRCFLOW_PADDING_STOP_AT_END: u8 = 1;
/// circflow_padding_config.flags: when a block ends, what waits goes out at once, before a machine can block again.
/// Without it, actions due with no delay come first, so that a machine that blocks again at the end of each block lets
/// nothing out. Some machines count on the gap: RegulaTor paces its server so.
pub const CIRCFLOW_PADDING_OPEN_BETWEEN: u8 = 2;
/// circflow_padding_config.flags: the machines may run while padding is reduced (circflow_padding_budget). Mark those
/// that cost little.
pub const CIRCFLOW_PADDING_RUNS_REDUCED: u8 = 4;

/// Names a list of padding machines inside an engine. Zero names an empty list.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_machines_id {
    /// Opaque. Compare it, store it, print it.
    pub v: u64,
}

/// CIRCFLOW_INSN_PADDING.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_padding {
    /// Relay command to send: CIRCFLOW_CMD_DROP.
    pub command: u8,
    /// Hop to send to; 0 at a relay: the client.
    pub hop: u8,
    /// Which of the hop's padders asks for it.
    pub slot: u8,
    /// CIRCFLOW_PADDING_*, or-ed together. The first two are the action's that decided it.
    pub flags: u8,
    /// Which of the padder's machines, from 0, in the order of its list.
    pub machine: u32,
}

/// CIRCFLOW_INSN_BLOCK.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_block {
    /// 1 when padding that asks for it may pass: when every block that is on allows it.
    pub bypassable: u32,
}

/// circflow_padding_config.queued_cells_max: what the parameter circpad_max_circ_queued_cells says.
pub const CIRCFLOW_BY_PARAMETER: u32 = u32::MAX;
const _: () = assert!(CIRCFLOW_BY_PARAMETER == crate::engine::BY_PARAMETER);

/// What a padder is made with. Fill it with circflow_padding_config_init(), then change what you want.
///
/// Fractions go from 0.0 to 1.0, and 0.0 means "no limit", as in maybenot: to forbid padding, install none. 1.0 means
/// no limit either, as soon as one other cell was sent. Each machine has limits of its own besides these, and an
/// allowance (of padding cells, and of time to block) that comes before all limits, these included: a machine with an
/// endless allowance knows none. Look at the machines you load.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_padding_config {
    /// sizeof(circflow_padding_config) as your compiler saw it.
    pub size: size_t,
    /// From circflow_machines_load(). Zero: no machines; for an end that only expects the other to pad.
    pub machines: circflow_machines_id,
    /// Of the cells sent to or through the hop, how many may be padding. Default 0.0. Each machine's allowance comes
    /// first.
    pub padding_fraction: f64,
    /// Of the time, how much may be blocked. Default 0.0. Each machine's allowance comes first.
    pub blocking_fraction: f64,
    /// Of the cells received from or through the hop, how many may be its padding; more closes the circuit. Default
    /// 0.0.
    pub inbound_fraction: f64,
    /// Padding cells that may come before inbound_fraction counts. Default 0.
    pub inbound_grace: u64,
    /// Cells in the circuit's queue (reported as queued and not as written) from which on no padding is added:
    /// it is refused, and the machine hears that it was sent, as one of those that wait counts. Default
    /// CIRCFLOW_BY_PARAMETER: what circpad_max_circ_queued_cells says when the padder is installed or registered, 1000
    /// if that was never set.
    pub queued_cells_max: u32,
    /// The hop to pad with. Client: 1 to its number of hops; default 2. Relay: 0, the client.
    pub hop: u8,
    /// Which of the hop's two places, 0 or 1. Default 0.
    pub slot: u8,
    /// CIRCFLOW_PADDING_STOP_AT_END, CIRCFLOW_PADDING_OPEN_BETWEEN and CIRCFLOW_PADDING_RUNS_REDUCED, or-ed together.
    /// Default 0.
    pub flags: u8,
    /// Zero.
    pub reserved: u8,
}

/// What an operator allows of padding, on one engine or on all engines of a hub. Fill it with
/// circflow_padding_budget_init(), then change what you want. Padding that is not allowed is refused: the machine hears
/// that it was sent, as it would stand still otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_padding_budget {
    /// sizeof(circflow_padding_budget) as your compiler saw it.
    pub size: size_t,
    /// Padding cells that may be sent before max_percent counts, since the engine (the hub) was made. Default 0.
    pub allowed_cells: u32,
    /// Of all cells sent since the engine (the hub) was made, how many in a hundred may be padding, 0 to 100: no more
    /// is sent once the part is above it. Default 0: no limit. A cell that only passes a relay counts when it goes
    /// towards the client.
    pub max_percent: u32,
    /// 1: nothing pads. No padding is sent, not even what waits behind a block; blocks end at once, those that are on
    /// too; and nothing is negotiated: circflow_padding_start() answers CIRCFLOW_ERR_SWITCHED_OFF, and a relay refuses
    /// what clients ask for. Padders stay, hear of cells, and go on when it is 0 again. Default 0.
    pub disabled: u32,
    /// 1: the same for padders without CIRCFLOW_PADDING_RUNS_REDUCED. Default 0.
    pub reduced: u32,
}

/// Figures of a padder. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_padding_stats {
    /// sizeof(circflow_padding_stats) as your compiler saw it.
    pub size: size_t,
    /// Machines it runs.
    pub machines: u32,
    /// Timers armed: an action and an internal one for each machine, and the end of the block.
    pub timers: u32,
    /// Cells to or through its hop that were queued and are nobody's padding for this hop. One that is held counts
    /// when it is held on a circuit, and when it is let out in a set.
    pub normal_sent: u64,
    /// Padding cells of its machines that were queued.
    pub padding_sent: u64,
    /// Padding for which a cell that waited anyway counted.
    pub replaced: u64,
    /// Padding that was not sent because the queue was long, because as many cells waited behind the block as may
    /// (held_sends_max), because a budget did not allow it (circflow_padding_budget), or because the host said so.
    pub refused: u64,
    /// Cells that are not padding, from or through its hop.
    pub normal_recv: u64,
    /// Padding cells from its hop.
    pub padding_recv: u64,
    /// Blocks that its machines asked for.
    pub blocks: u64,
    /// Time blocked by it so far, in nanoseconds.
    pub blocked_ns: u64,
}
