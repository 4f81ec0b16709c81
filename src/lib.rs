//! circflow: the flow logic of Tor circuits behind a C ABI.
//!
//! The public interface is `include/circflow.h`, which is made from [`ffi`]; README shows how to use it. The Rust
//! modules are public so that tests can reach every floor, and carry no promise of stability.
//!
//! ARCHITECTURE.md shows the floors. Imports go down only: `ffi` → `engine` → `hub`, `reactor` → `conflux`,
//! `padding`, `congestion`, `queue` → `message` → `wire` → `base`.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod base;
pub mod conflux;
pub mod congestion;
pub mod engine;
pub mod event;
pub mod ffi;
pub mod hub;
pub mod message;
pub mod padding;
pub mod queue;
pub mod reactor;
pub mod wire;
