//! Structs that may grow in later versions. They begin with the size that the caller knows.

use super::status::circflow_status;
use super::status::circflow_status::*;
use libc::size_t;

/// A struct that starts with its own size in bytes, and is plain data whose every bit pattern is valid.
///
/// # Safety
/// `#[repr(C)]`, the first field a `size_t`, the others integers or arrays of integers.
pub(super) unsafe trait Growing: Copy {}

/// Fills the caller's struct with defaults, as far as the caller knows it.
pub(super) unsafe fn init<T: Growing>(config: *mut T, size: size_t, defaults: T) -> circflow_status {
    if config.is_null() {
        return CIRCFLOW_ERR_NULL;
    }
    if !known(size) {
        return CIRCFLOW_ERR_VERSION;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { write_prefix(config, size, defaults) };
    CIRCFLOW_OK
}

/// Reads the caller's struct: fields the caller does not know keep their defaults, and fields that this library does
/// not know must be zero.
pub(super) unsafe fn read<T: Growing>(config: *const T, defaults: T) -> Result<T, circflow_status> {
    if config.is_null() {
        return Err(CIRCFLOW_ERR_NULL);
    }
    // SAFETY: not NULL, and the caller's struct starts with a size_t.
    let size = unsafe { config.cast::<size_t>().read_unaligned() };
    if !known(size) {
        return Err(CIRCFLOW_ERR_VERSION);
    }
    // SAFETY: the caller says that `size` bytes are there; `known` bounds them.
    let bytes = unsafe { std::slice::from_raw_parts(config.cast::<u8>(), size) };
    let (head, tail) = bytes.split_at(size.min(size_of::<T>()));
    if tail.iter().any(|&byte| byte != 0) {
        return Err(CIRCFLOW_ERR_VERSION);
    }
    let mut value = defaults;
    // SAFETY: any bits are a valid T, and `head` is no longer than a T.
    unsafe { std::ptr::copy_nonoverlapping(head.as_ptr(), (&mut value as *mut T).cast::<u8>(), head.len()) };
    Ok(value)
}

/// Writes figures into the caller's struct, as far as the caller knows it.
pub(super) unsafe fn write<T: Growing>(out: *mut T, figures: T) -> circflow_status {
    if out.is_null() {
        return CIRCFLOW_ERR_NULL;
    }
    // SAFETY: not NULL, and the caller's struct starts with a size_t.
    let size = unsafe { out.cast::<size_t>().read_unaligned() };
    if !known(size) {
        return CIRCFLOW_ERR_VERSION;
    }
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { write_prefix(out, size, figures) };
    CIRCFLOW_OK
}

unsafe fn write_prefix<T: Growing>(out: *mut T, size: size_t, value: T) {
    // SAFETY (all three): `size` bytes are there by the caller's word.
    unsafe { std::ptr::write_bytes(out.cast::<u8>(), 0, size) };
    unsafe {
        std::ptr::copy_nonoverlapping((&value as *const T).cast::<u8>(), out.cast::<u8>(), size.min(size_of::<T>()))
    };
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { out.cast::<size_t>().write_unaligned(size) };
}

/// A size below that of its own field is nonsense, and one above a page is a wild pointer.
fn known(size: size_t) -> bool {
    (size_of::<size_t>()..=4096).contains(&size)
}
