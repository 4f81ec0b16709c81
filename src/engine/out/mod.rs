//! The path of an instruction: what follows from a call, the queue, and handing out; and what else the host is told.

pub(super) mod effects;
pub(super) mod error;
pub(super) mod insn;
pub(super) mod log;
pub(super) mod poll;
pub(super) mod ready;
pub(super) mod rest;
pub(super) mod verdict;
pub(super) mod words;
