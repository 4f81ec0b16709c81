//! A place in the caller's memory for an answer.

use super::status::circflow_status;
use super::status::circflow_status::CIRCFLOW_ERR_NULL;
use std::ptr::NonNull;

/// Room for one answer in the caller's memory: not NULL, and written once at most, when the call has gone well.
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    /// `place` is NULL, or has room for a `T` as long as the call lasts, whatever is there now.
    #[inline(always)]
    pub(super) unsafe fn new(place: *mut T) -> Result<Out<T>, circflow_status> {
        NonNull::new(place).map(Out).ok_or(CIRCFLOW_ERR_NULL)
    }

    /// Writes to a place that is NULL when the caller does not want the answer.
    ///
    /// # Safety
    /// As for [`Out::new`].
    #[inline(always)]
    pub(super) unsafe fn give(place: *mut T, answer: T) {
        // SAFETY: by the contract of this function.
        if let Ok(out) = unsafe { Out::new(place) } {
            out.write(answer);
        }
    }

    #[inline(always)]
    pub(super) fn write(self, answer: T) {
        // SAFETY: there is room, by the contract of `new`. Nothing is read, so it may be uninitialised.
        unsafe { self.0.write(answer) }
    }
}
