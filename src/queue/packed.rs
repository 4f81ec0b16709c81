//! A backlog of a host's items: tokens, and bytes, which are copied only when they have to wait.

use super::{Backlog, Pushed, Refused, Room};
#[cfg(test)]
use crate::base::limits::BACKLOG_KEPT;

/// An item as it is put in and handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// The host's name for something that the host keeps.
    Token(u64),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// A backlog whose copies live in blocks of one size, which are used again.
///
/// Memory follows [`Backlog`]: blocks are made when items first wait, and as many stay when none does.
#[derive(Debug)]
pub struct Packed {
    backlog: Backlog<StoredItem>,
    blocks: Blocks,
}

impl Packed {
    /// A backlog of at most `cap` items, of at most `bytes_max` bytes each.
    pub fn new(cap: usize, bytes_max: usize) -> Self {
        Packed { backlog: Backlog::new(cap), blocks: Blocks { spare: Vec::new(), size: bytes_max } }
    }

    /// Like [`Backlog::put`], for an item of at most [`Packed::bytes_max`] bytes; a longer one is cut off. (The caller
    /// asks the sink: it is the host's, and must not be called while this is borrowed.)
    pub fn put(&mut self, room: Room, item: Item) -> Result<Pushed, Refused<()>> {
        let Packed { backlog, blocks } = self;
        backlog.put(room, item, |item| blocks.store(item)).map_err(|refused| match refused {
            Refused::Full(_) => Refused::Full(()),
            Refused::Closed(_) => Refused::Closed(()),
        })
    }

    /// The first item that waits.
    pub fn first(&self) -> Option<Item<'_>> {
        self.backlog.iter().next().map(StoredItem::item)
    }

    /// Drops the first item that waits: its owner has it now.
    pub fn drop_first(&mut self) {
        if let Some(kept) = self.backlog.take_first() {
            self.blocks.recycle(kept);
        }
        self.release_memory();
    }

    /// Number of items that wait.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.backlog.len()
    }

    /// True when items wait. A loop should then wait for the sink to have room.
    pub fn has_pending(&self) -> bool {
        self.backlog.has_pending()
    }

    /// The most bytes that an item can have.
    pub fn bytes_max(&self) -> usize {
        self.blocks.size
    }

    fn release_memory(&mut self) {
        let kept = self.backlog.kept();
        if self.backlog.is_empty() && self.blocks.spare.len() > kept {
            self.blocks.spare.truncate(kept);
            self.blocks.spare.shrink_to(kept);
        }
    }
}

/// An item that waits.
#[derive(Debug)]
enum StoredItem {
    Token(u64),
    Bytes { block: Box<[u8]>, len: usize },
}

impl StoredItem {
    fn item(&self) -> Item<'_> {
        match self {
            StoredItem::Token(token) => Item::Token(*token),
            StoredItem::Bytes { block, len } => Item::Bytes(&block[..*len]),
        }
    }
}

/// Blocks of one size that are not in use.
#[derive(Debug)]
struct Blocks {
    spare: Vec<Box<[u8]>>,
    size: usize,
}

impl Blocks {
    fn store(&mut self, item: Item) -> StoredItem {
        match item {
            Item::Token(token) => StoredItem::Token(token),
            Item::Bytes(bytes) => {
                let mut block = self.spare.pop().unwrap_or_else(|| vec![0; self.size].into_boxed_slice());
                let len = bytes.len().min(block.len());
                block[..len].copy_from_slice(&bytes[..len]);
                StoredItem::Bytes { block, len }
            }
        }
    }

    fn recycle(&mut self, kept: StoredItem) {
        if let StoredItem::Bytes { block, .. } = kept {
            self.spare.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes out up to `count` items, and returns them as bytes.
    fn take(queue: &mut Packed, count: usize) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        for _ in 0..count {
            match queue.first() {
                None => break,
                Some(Item::Token(token)) => taken.push(token.to_be_bytes().to_vec()),
                Some(Item::Bytes(bytes)) => taken.push(bytes.to_vec()),
            }
            queue.drop_first();
        }
        taken
    }

    #[test]
    fn q2_q3_q8_bytes_and_tokens_in_one_order() {
        let mut queue = Packed::new(8, 4);
        for item in [Item::Bytes(b"four"), Item::Token(7), Item::Bytes(b"")] {
            assert_eq!(queue.put(Room::Full, item), Ok(Pushed::Kept));
        }
        assert_eq!((queue.len(), queue.has_pending(), queue.first()), (3, true, Some(Item::Bytes(b"four"))));
        assert_eq!(take(&mut queue, 2), [&b"four"[..], &7u64.to_be_bytes()]);
        assert_eq!(queue.first(), Some(Item::Bytes(b"")));
        assert_eq!(take(&mut queue, 2), [b""]);
        queue.drop_first();
        assert_eq!((queue.len(), queue.has_pending(), queue.blocks.spare.len()), (0, false, 2));
    }

    #[test]
    fn q4_q5_refused_items_are_not_copied() {
        let mut queue = Packed::new(1, 4);
        assert_eq!(queue.put(Room::Closed, Item::Bytes(b"a")), Err(Refused::Closed(())));
        assert_eq!(queue.put(Room::Full, Item::Bytes(b"b")), Ok(Pushed::Kept));
        assert_eq!(queue.put(Room::Open, Item::Bytes(b"c")), Err(Refused::Full(())));
        assert_eq!(queue.put(Room::Closed, Item::Token(3)), Err(Refused::Closed(())));
        assert_eq!(take(&mut queue, 9), [b"b"]);
    }

    #[test]
    fn blocks_are_used_again_and_a_burst_is_given_back() {
        let mut queue = Packed::new(1000, 514);
        for _ in 0..100 {
            assert_eq!(queue.put(Room::Full, Item::Bytes(&[1; 514])), Ok(Pushed::Kept));
        }
        take(&mut queue, 99);
        assert_eq!(queue.blocks.spare.len(), 99);
        for _ in 0..99 {
            assert_eq!(queue.put(Room::Open, Item::Bytes(&[2; 514])), Ok(Pushed::Kept));
        }
        assert_eq!(queue.blocks.spare.len(), 0);
        assert_eq!(take(&mut queue, 100)[1], [2; 514]);
        assert_eq!(queue.blocks.spare.len(), BACKLOG_KEPT);
        assert_eq!(queue.bytes_max(), 514);
    }
}
