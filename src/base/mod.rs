//! The lowest floor: time, ids, hops, pools, timers, budgets, holders and caps. Every other floor uses it.
//!
//! It knows nothing of circuits, and calls no other floor.

pub mod arena;
pub mod budget;
pub mod consensus;
mod hashed;
pub mod holders;
pub mod hops;
pub mod limits;
pub mod pool;
pub mod purse;
pub mod sync;
pub mod time;
pub mod timer;

pub use arena::{Arena, Id, IdError, LAYOUT_IS_KNOWN, LINE, NEAR};
pub use budget::{Budget, Over};
pub use hashed::Hashed;
pub use holders::Holders;
pub use hops::{Hops, Length};
pub use pool::Pool;
pub use time::{Clock, Nanos};
pub use timer::Timers;
