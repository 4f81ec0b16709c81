//! The building blocks of code that threads share: std's and parking_lot's, or loom's under `--cfg loom`. So
//! tests/loom.rs can try every order of steps of the very code that runs.

#[cfg(loom)]
pub use self::checked::Mutex;
#[cfg(loom)]
pub use loom::sync::{atomic, Arc, MutexGuard as Locked};
#[cfg(loom)]
pub use loom::thread::yield_now;
#[cfg(not(loom))]
pub use parking_lot::{Mutex, MutexGuard as Locked};
#[cfg(not(loom))]
pub use std::sync::{atomic, Arc};
#[cfg(not(loom))]
pub use std::thread::yield_now;

#[cfg(loom)]
mod checked {
    use loom::sync::MutexGuard;
    use std::sync::PoisonError;

    /// loom's lock, with the interface of parking_lot's.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// An unlocked lock.
        pub fn new(value: T) -> Self {
            Mutex(loom::sync::Mutex::new(value))
        }

        /// Waits for the lock and takes it.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
