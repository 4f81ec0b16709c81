//! A backlog of a host's items: tokens, and bytes that are copied only when they have to wait.

use super::{Backlog, Channel, Closed, Pushed, Refused, Room, TrySend};
use crate::base::limits::BACKLOG_KEPT;

/// An item as it is handed in and out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Item<'a> {
    /// A host's name for something that stays the host's.
    Token(u64),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// A backlog whose copies live in blocks of one size, which are used again.
///
/// Memory follows [`Backlog`]: blocks are made when items first wait, up to [`BACKLOG_KEPT`] stay when none does.
#[derive(Debug)]
pub struct Packed {
    backlog: Backlog<Kept>,
    blocks: Blocks,
}

impl Packed {
    /// At most `cap` items wait, of at most `bytes_max` bytes each.
    pub fn new(cap: usize, bytes_max: usize) -> Self {
        Packed { backlog: Backlog::new(cap), blocks: Blocks { spare: Vec::new(), size: bytes_max } }
    }

    /// Sends an item, of no more bytes than [`Packed::bytes_max`]; more are cut off.
    pub fn push<C>(&mut self, channel: &mut C, item: Item) -> Result<Pushed, Refused<()>>
    where
        C: for<'a> Channel<Item<'a>>,
    {
        let Packed { backlog, blocks } = self;
        backlog.push_as(channel, item, |item| blocks.keep(item)).map_err(|refused| match refused {
            Refused::Full(_) => Refused::Full(()),
            Refused::Closed(_) => Refused::Closed(()),
        })
    }

    /// As [`Backlog::put`].
    pub fn put(&mut self, room: Room, item: Item) -> Result<Pushed, Refused<()>> {
        let Packed { backlog, blocks } = self;
        backlog.put(room, item, |item| blocks.keep(item)).map_err(|refused| match refused {
            Refused::Full(_) => Refused::Full(()),
            Refused::Closed(_) => Refused::Closed(()),
        })
    }

    /// As [`Backlog::drain`].
    pub fn drain<C>(&mut self, channel: &mut C) -> Result<usize, Closed>
    where
        C: for<'a> Channel<Item<'a>>,
    {
        let moved = self.backlog.drain(&mut Unpack { channel, blocks: &mut self.blocks });
        self.settle();
        moved
    }

    /// The first of what waits.
    pub fn first(&self) -> Option<Item<'_>> {
        self.iter().next()
    }

    /// Forgets the first of what waits: its owner has it back.
    pub fn drop_first(&mut self) {
        if let Some(kept) = self.backlog.take_first() {
            self.blocks.put(kept);
        }
        self.settle();
    }

    /// What waits, first to last.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        self.backlog.iter().map(Kept::item)
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.backlog.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.backlog.is_empty()
    }

    /// True when a loop should wait for the channel to have room.
    pub fn has_pending(&self) -> bool {
        self.backlog.has_pending()
    }

    /// The most bytes that an item can have.
    pub fn bytes_max(&self) -> usize {
        self.blocks.size
    }

    fn settle(&mut self) {
        if self.backlog.is_empty() && self.blocks.spare.len() > BACKLOG_KEPT {
            self.blocks.spare.truncate(BACKLOG_KEPT);
            self.blocks.spare.shrink_to(BACKLOG_KEPT);
        }
    }
}

/// An item that waits.
#[derive(Debug)]
enum Kept {
    Token(u64),
    Bytes { block: Box<[u8]>, len: usize },
}

impl Kept {
    fn item(&self) -> Item<'_> {
        match self {
            Kept::Token(token) => Item::Token(*token),
            Kept::Bytes { block, len } => Item::Bytes(&block[..*len]),
        }
    }
}

/// Blocks of one size that nobody uses now.
#[derive(Debug)]
struct Blocks {
    spare: Vec<Box<[u8]>>,
    size: usize,
}

impl Blocks {
    fn keep(&mut self, item: Item) -> Kept {
        match item {
            Item::Token(token) => Kept::Token(token),
            Item::Bytes(bytes) => {
                let mut block = self.spare.pop().unwrap_or_else(|| vec![0; self.size].into_boxed_slice());
                let len = bytes.len().min(block.len());
                block[..len].copy_from_slice(&bytes[..len]);
                Kept::Bytes { block, len }
            }
        }
    }

    fn put(&mut self, kept: Kept) {
        if let Kept::Bytes { block, .. } = kept {
            self.spare.push(block);
        }
    }
}

/// The host's channel as one for what is kept: it is lent each item, and what it took leaves its block behind.
struct Unpack<'c, C> {
    channel: &'c mut C,
    blocks: &'c mut Blocks,
}

impl<C: for<'a> Channel<Item<'a>>> Channel<Kept> for Unpack<'_, C> {
    fn try_send(&mut self, kept: Kept) -> Result<(), TrySend<Kept>> {
        let answer = match self.channel.try_send(kept.item()) {
            Ok(()) => None,
            Err(TrySend::Full(_)) => Some(TrySend::Full(())),
            Err(TrySend::Closed(_)) => Some(TrySend::Closed(())),
        };
        match answer {
            None => {
                self.blocks.put(kept);
                Ok(())
            }
            Some(TrySend::Full(())) => Err(TrySend::Full(kept)),
            Some(TrySend::Closed(())) => Err(TrySend::Closed(kept)),
        }
    }

    fn is_closed(&self) -> bool {
        <C as Channel<Item<'_>>>::is_closed(self.channel)
    }

    fn may_take(&self) -> bool {
        <C as Channel<Item<'_>>>::may_take(self.channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Wire {
        room: usize,
        closed: bool,
        taken: Vec<Vec<u8>>,
    }

    impl<'a> Channel<Item<'a>> for Wire {
        fn try_send(&mut self, item: Item<'a>) -> Result<(), TrySend<Item<'a>>> {
            if self.closed {
                return Err(TrySend::Closed(item));
            }
            if self.room == 0 {
                return Err(TrySend::Full(item));
            }
            self.room -= 1;
            self.taken.push(match item {
                Item::Token(token) => token.to_be_bytes().to_vec(),
                Item::Bytes(bytes) => bytes.to_vec(),
            });
            Ok(())
        }

        fn is_closed(&self) -> bool {
            self.closed
        }
    }

    #[test]
    fn q1_q2_q3_bytes_and_tokens_in_one_order() {
        let (mut queue, mut wire) = (Packed::new(8, 4), Wire { room: 1, ..Wire::default() });
        assert_eq!(queue.push(&mut wire, Item::Bytes(b"one")), Ok(Pushed::Through));
        assert!(queue.blocks.spare.is_empty(), "nothing was copied");
        assert_eq!(queue.push(&mut wire, Item::Bytes(b"four")), Ok(Pushed::Kept));
        assert_eq!(queue.push(&mut wire, Item::Token(7)), Ok(Pushed::Kept));
        assert_eq!(queue.push(&mut wire, Item::Bytes(b"")), Ok(Pushed::Kept));
        assert_eq!((queue.len(), queue.has_pending(), queue.first()), (3, true, Some(Item::Bytes(b"four"))));
        wire.room = 2;
        assert_eq!(queue.drain(&mut wire), Ok(2));
        assert_eq!(queue.first(), Some(Item::Bytes(b"")));
        wire.room = 2;
        assert_eq!(queue.drain(&mut wire), Ok(1));
        let want: [&[u8]; 4] = [b"one", b"four", &7u64.to_be_bytes(), b""];
        assert_eq!(wire.taken, want);
        assert_eq!(queue.blocks.spare.len(), 2);
    }

    #[test]
    fn q5_what_waits_behind_a_closed_channel_comes_back() {
        let (mut queue, mut wire) = (Packed::new(8, 4), Wire::default());
        assert_eq!(queue.push(&mut wire, Item::Bytes(b"a")), Ok(Pushed::Kept));
        assert_eq!(queue.push(&mut wire, Item::Token(2)), Ok(Pushed::Kept));
        wire.closed = true;
        assert_eq!(queue.push(&mut wire, Item::Token(3)), Err(Refused::Closed(())));
        assert_eq!(queue.drain(&mut wire), Err(Closed));
        assert_eq!(queue.iter().collect::<Vec<_>>(), [Item::Bytes(b"a"), Item::Token(2)]);
        queue.drop_first();
        assert_eq!(queue.first(), Some(Item::Token(2)));
        queue.drop_first();
        queue.drop_first();
        assert!(queue.is_empty());
    }

    #[test]
    fn blocks_are_used_again_and_a_burst_is_given_back() {
        let (mut queue, mut wire) = (Packed::new(1000, 514), Wire::default());
        for _ in 0..100 {
            assert_eq!(queue.push(&mut wire, Item::Bytes(&[1; 514])), Ok(Pushed::Kept));
        }
        wire.room = 99;
        assert_eq!(queue.drain(&mut wire), Ok(99));
        assert_eq!(queue.blocks.spare.len(), 99);
        for _ in 0..99 {
            assert_eq!(queue.push(&mut wire, Item::Bytes(&[2; 514])), Ok(Pushed::Kept));
        }
        assert_eq!(queue.blocks.spare.len(), 0);
        wire.room = 100;
        assert_eq!(queue.drain(&mut wire), Ok(100));
        assert_eq!(queue.blocks.spare.len(), BACKLOG_KEPT);
        assert_eq!(queue.bytes_max(), 514);
    }
}
