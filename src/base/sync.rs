//! The building blocks of code that threads share: std's, or loom's under `--cfg loom`. So tests/loom.rs can try every
//! order of steps of the very code that runs.

#[cfg(loom)]
pub use loom::sync::{atomic, Arc};
#[cfg(loom)]
use loom::sync::{Mutex as Lock, MutexGuard};
#[cfg(loom)]
pub use loom::thread::yield_now;
use std::sync::PoisonError;
#[cfg(not(loom))]
pub use std::sync::{atomic, Arc};
#[cfg(not(loom))]
use std::sync::{Mutex as Lock, MutexGuard};
#[cfg(not(loom))]
pub use std::thread::yield_now;

/// A lock that a panic does not poison: the door poisons the engine that panicked, and the others go on.
#[derive(Debug, Default)]
pub struct Mutex<T>(Lock<T>);

impl<T> Mutex<T> {
    /// An unlocked lock.
    pub fn new(value: T) -> Self {
        Mutex(Lock::new(value))
    }

    /// Waits for the lock and takes it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
