//! What every other floor stands on: time, ids, hops, pools, timers, budgets, who holds what, limits.
//!
//! Nothing here knows what a circuit is, and nothing here calls on another floor.

pub mod arena;
pub mod budget;
pub mod consensus;
pub mod holders;
pub mod hops;
pub mod limits;
pub mod pool;
pub mod purse;
pub mod sync;
pub mod time;
pub mod timer;

pub use arena::{Arena, Id, IdError};
pub use budget::{Budget, Over};
pub use holders::Holders;
pub use hops::Hops;
pub use pool::Pool;
pub use time::{Clock, Nanos};
pub use timer::Timers;
