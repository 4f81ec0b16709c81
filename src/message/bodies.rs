//! The two ways in which the body of a held message is taken: it is copied, or lent where it lies.

use super::{Store, TooSmall};

/// How the body of a message is taken.
pub trait Bodies {
    /// Takes the body. True when it is read where it lies: until [`Store::give_back`], which the caller calls before it
    /// takes the next.
    fn take(&mut self, body: &[u8]) -> Result<bool, TooSmall>;

    /// True when [`Bodies::take`] has room for a body of `len` bytes.
    fn fit(&self, len: u16) -> bool;

    /// What [`Bodies::take`] answers.
    fn lend(&self) -> bool;

    /// Nobody reads the body that was taken, as its message is not handed out: one that is lent is given back.
    fn forget(&mut self, _: &mut Store) {}

    /// The body that was taken, of `len` bytes.
    fn taken<'s>(&'s self, store: &'s Store, len: u16) -> &'s [u8];

    /// Where a body is written that no held message has; it counts in place of one that was taken before.
    fn buffer(&mut self) -> &mut [u8];
}

/// Copies it.
impl Bodies for &mut [u8] {
    #[inline(always)]
    fn take(&mut self, body: &[u8]) -> Result<bool, TooSmall> {
        self.get_mut(..body.len()).ok_or(TooSmall)?.copy_from_slice(body);
        Ok(false)
    }

    #[inline(always)]
    fn fit(&self, len: u16) -> bool {
        usize::from(len) <= self.len()
    }

    #[inline(always)]
    fn lend(&self) -> bool {
        false
    }

    fn taken<'s>(&'s self, _: &'s Store, len: u16) -> &'s [u8] {
        self.get(..usize::from(len)).unwrap_or_default()
    }

    fn buffer(&mut self) -> &mut [u8] {
        self
    }
}

/// Leaves it where it is, lent to who reads it: see [`Store::lent`].
pub struct Lend<'b> {
    buffer: &'b mut [u8],
    /// Where the body lies that was lent last, unless one was written into the buffer since.
    lies_at: Option<*const u8>,
}

impl<'b> Lend<'b> {
    /// Other bodies are written into `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Lend { buffer, lies_at: None }
    }

    /// Where the body lies, if one was lent.
    #[inline(always)]
    pub fn lent(&self) -> Option<*const u8> {
        self.lies_at
    }

    /// Where the body lies.
    #[inline(always)]
    pub fn lies_at(&self) -> *const u8 {
        self.lies_at.unwrap_or(self.buffer.as_ptr())
    }
}

impl Bodies for Lend<'_> {
    #[inline(always)]
    fn take(&mut self, body: &[u8]) -> Result<bool, TooSmall> {
        self.lies_at = Some(body.as_ptr());
        Ok(true)
    }

    #[inline(always)]
    fn fit(&self, _: u16) -> bool {
        true
    }

    #[inline(always)]
    fn lend(&self) -> bool {
        true
    }

    fn forget(&mut self, store: &mut Store) {
        self.lies_at = None;
        store.give_back();
    }

    fn taken<'s>(&'s self, store: &'s Store, len: u16) -> &'s [u8] {
        store.lent().get(..usize::from(len)).unwrap_or_default()
    }

    fn buffer(&mut self) -> &mut [u8] {
        self.lies_at = None;
        self.buffer
    }
}
