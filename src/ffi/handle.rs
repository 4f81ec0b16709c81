//! What a handle of the header is, and the word at the start of every engine, queue and hub. The word says which of
//! them it is, and whether it is freed.
//!
//! So a pointer of another kind, or to freed memory, gets a status where the word shows it. The word of an engine or
//! a queue holds its state as well, so that the one comparison that every call makes answers both questions.

use super::status::circflow_status;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU32, Ordering};

/// An opaque type of the header, and the type behind it.
pub(super) trait Handle {
    /// Its word without the state.
    const KIND: u32;
    type Core;
    type Error: Into<circflow_status>;
    /// Progress of freeing it, which can take several calls.
    type Left: Default;
    /// True when the core itself has a sentence about the answer that a call is about to give.
    fn explains(core: &mut Self::Core, error: &Self::Error) -> bool;
    /// The core's own sentence, after `explains` was true.
    fn detail(core: &Self::Core) -> Cow<'_, str>;
}

/// A handle that hands items back before it goes, one at a time.
pub(super) trait Leave: Handle {
    type Item;
    /// The first item that was not handed back yet.
    fn next(core: &mut Self::Core, left: &mut Self::Left) -> Option<Self::Item>;
    /// Notes that the host has the item now.
    fn gone(core: &mut Self::Core, left: &mut Self::Left);
    /// Ends all that it shares with others.
    fn part(_: &mut Self::Core) {}
}

/// The first part of an engine's, a queue's and a hub's memory, at the same place in each.
///
/// The word is not in front: an allocator keeps its own lists in the first words of a block that was freed (glibc: two,
/// and four in a large block) and in its last one. There it would be overwritten at once.
#[repr(C)]
pub(super) struct Sign<W> {
    _overwritten: [u64; 4],
    pub word: W,
}

impl<W> Sign<W> {
    pub(super) fn new(word: W) -> Self {
        Sign { _overwritten: [0; 4], word }
    }
}

/// Kinds: the upper three bytes of a word, for the lowest to say the state. Nothing else is likely to look like them.
pub(super) const ENGINE: u32 = 0xc1f1_0e00;
pub(super) const QUEUE: u32 = 0xc1f1_0f00;
pub(super) const HUB: u32 = 0xc1f1_1000;
/// No kind.
const FREED: u32 = 0xc1f1_dead;

/// True when a word is of this kind, whatever its state.
pub(super) fn is(word: u32, kind: u32) -> bool {
    word & !0xff == kind
}

/// The word behind a handle of one thread.
///
/// Pointer contract: not NULL, and one of the three kinds, or memory that was.
#[inline(always)]
pub(super) unsafe fn word<T>(handle: *const T) -> u32 {
    // SAFETY: all three kinds begin with a Sign. No reference is made, as this may be another kind, or freed.
    unsafe { std::ptr::addr_of!((*handle.cast::<Sign<u32>>()).word).read_unaligned() }
}

/// As [`word`], for a handle that any thread may use. None when no handle can be at this address.
pub(super) unsafe fn shared_word<T>(handle: *const T) -> Option<u32> {
    let sign = handle.cast::<Sign<AtomicU32>>();
    // SAFETY: as in `word`; the address fits, and nothing but the word is referred to.
    sign.is_aligned().then(|| unsafe { (*std::ptr::addr_of!((*sign).word)).load(Ordering::Acquire) })
}

/// Writes that this is gone, right before the memory goes.
pub(super) unsafe fn mark_freed<T>(handle: *mut T) {
    // SAFETY: the caller still has the memory, alone. Volatile, as nobody reads it by the rules of the language.
    unsafe { std::ptr::addr_of_mut!((*handle.cast::<Sign<u32>>()).word).write_volatile(FREED) }
}
