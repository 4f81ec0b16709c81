//! The path of an instruction: what follows from a call, the queue, and handing out; and what else the host is told.

pub(super) mod detail;
pub(super) mod effects;
pub(super) mod error;
pub(super) mod insn;
pub(super) mod leftover;
pub(super) mod poll;
pub(super) mod ready;
pub(super) mod verdict;
