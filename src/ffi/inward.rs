//! Arrays and buffers that come from C, and the type of a sentence about a wrong argument.

use crate::message::{Bodies, Store, TooSmall};
use crate::wire::cell::CELL_BODY_LEN;

/// A sentence about a wrong argument.
pub(super) type Why = &'static str;

/// An array from C, or `None` when it is NULL and should not be.
#[inline]
pub(super) unsafe fn slice<'a, T>(first: *const T, count: usize) -> Option<&'a [T]> {
    if count == 0 {
        return Some(&[]);
    }
    if first.is_null() || count > isize::MAX as usize / size_of::<T>() {
        return None;
    }
    // SAFETY: not NULL, and `count` things are there by the contract of this floor.
    Some(unsafe { std::slice::from_raw_parts(first, count) })
}

/// Where a host wants the body of a message.
pub(super) struct HostBuffer {
    first: *mut u8,
    cap: usize,
}

impl HostBuffer {
    /// `cap` bytes of room at `first`, as long as this lives; or NULL and no room.
    #[inline(always)]
    pub(super) unsafe fn new(first: *mut u8, cap: usize) -> HostBuffer {
        HostBuffer { first, cap }
    }
}

impl Bodies for HostBuffer {
    #[inline(always)]
    fn take(&mut self, body: &[u8]) -> Result<bool, TooSmall> {
        if body.len() > self.cap {
            return Err(TooSmall);
        }
        if !body.is_empty() {
            // SAFETY: by the contract of `new`; the library's own memory is not the host's buffer.
            unsafe { self.first.copy_from_nonoverlapping(body.as_ptr(), body.len()) };
        }
        Ok(false)
    }

    #[inline(always)]
    fn fit(&self, len: u16) -> bool {
        usize::from(len) <= self.cap
    }

    #[inline(always)]
    fn lend(&self) -> bool {
        false
    }

    fn taken<'s>(&'s self, _: &'s Store, len: u16) -> &'s [u8] {
        // SAFETY: by the contract of `new`; so much was written there.
        unsafe { buffer(self.first, self.cap) }.get(..usize::from(len)).unwrap_or_default()
    }

    fn buffer(&mut self) -> &mut [u8] {
        // SAFETY: by the contract of `new`.
        unsafe { buffer(self.first, self.cap) }
    }
}

/// A buffer from C. The caller has checked that it is not NULL, or has no room.
pub(super) unsafe fn buffer<'a>(first: *mut u8, cap: usize) -> &'a mut [u8] {
    if first.is_null() {
        return &mut [];
    }
    // SAFETY: not NULL, and `cap` bytes are there by the contract of this floor. Nothing is longer than a cell's body.
    unsafe { std::slice::from_raw_parts_mut(first, cap.min(CELL_BODY_LEN)) }
}
