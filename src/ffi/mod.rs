//! The C ABI. The only unsafe code of the library; no behaviour.
//!
//! One contract holds for every function here, so that it need not be repeated: a pointer is NULL, or points to as many
//! valid things as the function says; NULL is a status and never undefined; a `circflow_engine *` is NULL, or came from
//! `circflow_engine_new` and has not been freed; an engine is used by one thread at a time; the same holds for a
//! `circflow_queue *` and `circflow_queue_new`. Nothing behind a pointer is kept after the call, except the opaque user
//! data of callbacks. A handle of another kind, or one that was freed, is refused where it can be seen (`handle`): a
//! help, and no part of the contract.

#![allow(unsafe_code, non_camel_case_types, clippy::missing_safety_doc)]

mod circuit;
mod convert;
mod door;
mod engine;
mod handle;
mod hub;
mod insn_types;
mod leg;
mod log;
mod names;
mod outcome;
mod outside;
mod padding;
mod padding_types;
mod queue;
mod run;
mod run_types;
mod set;
mod sized;
mod status;
mod stream;
mod types;
mod wire;

pub use circuit::*;
pub use engine::*;
pub use hub::*;
pub use insn_types::*;
pub use leg::*;
pub use log::*;
pub use names::*;
pub use padding::*;
pub use padding_types::*;
pub use queue::*;
pub use run::*;
pub use run_types::*;
pub use set::*;
pub use status::{circflow_class, circflow_close_reason, circflow_status, circflow_status_class, circflow_strerror};
pub use stream::*;
pub use types::*;
pub use wire::*;
