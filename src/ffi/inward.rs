//! Arrays and buffers that come from C, and the type of a sentence about a wrong argument.

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

/// A buffer from C. The caller has checked that it is not NULL, or has no room.
pub(super) unsafe fn buffer<'a>(first: *mut u8, cap: usize) -> &'a mut [u8] {
    if first.is_null() {
        return &mut [];
    }
    // SAFETY: not NULL, and `cap` bytes are there by the contract of this floor. Nothing is longer than a cell's body.
    unsafe { std::slice::from_raw_parts_mut(first, cap.min(CELL_BODY_LEN)) }
}
