//! The C ABI. The only unsafe code of the library; no behaviour.
//!
//! One contract holds for every function here, so that it need not be repeated: a pointer is NULL, or points to as many
//! valid things as the function says; NULL is a status and never undefined; a `circflow_engine *` is NULL, or came from
//! `circflow_engine_new` and has not been freed; an engine is used by one thread at a time; the same holds for a
//! `circflow_queue *` and `circflow_queue_new`. Nothing behind a pointer is kept after the call, except the opaque user
//! data of callbacks. A handle of another kind, or one that was freed, is refused where it can be seen (`handle`): a
//! help, and no part of the contract.

#![allow(unsafe_code, non_camel_case_types, clippy::missing_safety_doc)]
#![deny(unsafe_op_in_unsafe_fn)]

mod channel;
mod circuit;
mod door;
mod engine;
mod error;
mod handle;
mod hub;
mod id;
mod insn;
mod inward;
mod log;
mod message;
mod names;
mod out;
mod outside;
mod padding;
mod queue;
mod set;
mod sized;
mod status;
mod stream;
mod wire;

pub use channel::*;
pub use circuit::*;
pub use engine::*;
pub use hub::*;
pub use id::*;
pub use insn::*;
pub use log::*;
pub use message::*;
pub use padding::*;
pub use queue::*;
pub use set::*;
pub use status::{
    circflow_class, circflow_status, circflow_status_class, circflow_status_close_reason, circflow_status_name,
    circflow_status_place, circflow_status_text, circflow_version,
};
pub use stream::*;
pub use wire::*;
