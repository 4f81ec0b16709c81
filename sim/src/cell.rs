//! A cell on its way: its contents, and what only the simulator knows about it.

use crate::rng::mix;
use circflow::wire::Command;

/// The longest body of a DATA message.
pub const DATA_MAX: u64 = 498;
/// The shortest body of a DATA message: room for its stream and position.
pub const DATA_MIN: u64 = 8;

/// One cell. There is no encryption: `talk` tells which place recognises it.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub circ: u32,
    /// The next place on the path.
    pub at: u8,
    /// The cell goes away from the client.
    pub forward: bool,
    /// The cell is a DESTROY.
    pub destroy: bool,
    /// The two places that talk with each other.
    pub talk: u8,
    pub command: Command,
    pub stream_id: u16,
    pub len: u16,
    /// Number of cells that its sender has sent on this circuit before it.
    pub serial: u32,
    /// Its number in its set, as the sender's engine has it; 0 for none.
    pub number: u64,
    /// The simulator's number of its stream, and the number of bytes sent on the stream before it.
    pub stream: u32,
    pub pos: u32,
    /// The body of a cell that is not DATA.
    pub small: [u8; 52],
}

impl Cell {
    pub fn new(circ: usize, forward: bool, talk: u8, command: Command, stream_id: u16) -> Cell {
        Cell {
            circ: circ as u32,
            at: 0,
            forward,
            destroy: false,
            talk,
            command,
            stream_id,
            len: 0,
            serial: 0,
            number: 0,
            stream: 0,
            pos: 0,
            small: [0; 52],
        }
    }

    pub fn destroy(circ: usize, forward: bool) -> Cell {
        Cell { destroy: true, ..Cell::new(circ, forward, 0, Command(0), 0) }
    }

    /// Sets the body, as an engine or a host has written it.
    pub fn with_body(mut self, body: &[u8]) -> Cell {
        if self.command == Command::DATA && body.len() >= DATA_MIN as usize {
            let word = |at: usize| u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
            (self.stream, self.pos) = (word(0), word(4));
        } else {
            // Only a cell that a hostile peer has made from DATA is longer, and its body is never compared.
            let known = body.len().min(self.small.len());
            self.small[..known].copy_from_slice(&body[..known]);
        }
        self.len = body.len() as u16;
        self
    }

    /// Writes the body into `scratch`.
    pub fn body<'a>(&self, scratch: &'a mut [u8; 509]) -> &'a [u8] {
        let len = usize::from(self.len);
        if self.command == Command::DATA && len >= DATA_MIN as usize {
            scratch[..len].fill(self.filler());
            scratch[..4].copy_from_slice(&self.stream.to_le_bytes());
            scratch[4..8].copy_from_slice(&self.pos.to_le_bytes());
        } else {
            let known = len.min(self.small.len());
            scratch[..known].copy_from_slice(&self.small[..known]);
            scratch[known..len].fill(0);
        }
        &scratch[..len]
    }

    /// True when these are the bytes of this DATA message.
    pub fn is_data(&self, body: &[u8]) -> bool {
        let filler = self.filler();
        body.len() == usize::from(self.len)
            && body.len() >= DATA_MIN as usize
            && body[..4] == self.stream.to_le_bytes()
            && body[4..8] == self.pos.to_le_bytes()
            && body[8..].iter().all(|&byte| byte == filler)
    }

    fn filler(&self) -> u8 {
        mix(u64::from(self.stream) << 32 | u64::from(self.pos)) as u8
    }

    /// The cell's part of the running digest of its hop.
    pub fn print(&self) -> u64 {
        let head = u64::from(self.command.0) << 32 | u64::from(self.stream_id) << 16 | u64::from(self.len);
        let tail = u64::from_le_bytes(self.small[..8].try_into().unwrap_or_default());
        mix(head) ^ mix(u64::from(self.stream) << 32 | u64::from(self.pos)) ^ tail
    }
}

/// The digest in a SENDME for a cell after which the running digest has this value.
pub fn sendme_digest(digest: u64) -> [u8; 20] {
    let mut tag = [0; 20];
    tag[..8].copy_from_slice(&digest.to_le_bytes());
    tag[8..16].copy_from_slice(&mix(digest).to_le_bytes());
    tag
}
