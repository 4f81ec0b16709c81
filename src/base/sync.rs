//! What lock-free code is made of: std's, or loom's under `--cfg loom`, so that tests/loom.rs can try every order of
//! steps of the very code that runs.

#[cfg(loom)]
pub use loom::sync::{atomic, Arc};
#[cfg(not(loom))]
pub use std::sync::{atomic, Arc};
