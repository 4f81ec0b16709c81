//! A cell on its way: what it says, and what only the simulator knows of it.

use crate::rng::mix;
use circflow::wire::Command;

/// The longest body of a DATA message.
pub const DATA_MAX: u64 = 498;
/// The shortest, so that each can say whose it is.
pub const DATA_MIN: u64 = 8;

/// One cell. There is no encryption: who recognises it follows from `talk`.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    pub circ: u32,
    /// The place on the path that it goes to next.
    pub at: u8,
    /// From the client.
    pub forward: bool,
    /// The circuit is no more.
    pub destroy: bool,
    /// Who talks with whom.
    pub talk: u8,
    pub command: Command,
    pub stream_id: u16,
    pub len: u16,
    /// How many its sender has sent on this circuit before it.
    pub serial: u32,
    /// Its number in its set, as the sender's engine has it; 0 for none.
    pub number: u64,
    /// The simulator's name of its stream, and how many bytes went before it.
    pub stream: u32,
    pub pos: u32,
    /// The body of anything but DATA.
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

    /// With the body of a message that an engine or a host has written.
    pub fn with_body(mut self, body: &[u8]) -> Cell {
        if self.command == Command::DATA && body.len() >= DATA_MIN as usize {
            let word = |at: usize| u32::from_le_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
            (self.stream, self.pos) = (word(0), word(4));
        } else {
            // Only what a hostile peer has made of DATA is longer, and nobody looks at that.
            let known = body.len().min(self.small.len());
            self.small[..known].copy_from_slice(&body[..known]);
        }
        self.len = body.len() as u16;
        self
    }

    /// Writes the body out.
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

    /// What goes into the running digest of its hop.
    pub fn print(&self) -> u64 {
        let head = u64::from(self.command.0) << 32 | u64::from(self.stream_id) << 16 | u64::from(self.len);
        let tail = u64::from_le_bytes(self.small[..8].try_into().unwrap_or_default());
        mix(head) ^ mix(u64::from(self.stream) << 32 | u64::from(self.pos)) ^ tail
    }
}

/// What a SENDME quotes of a cell after which the running digest has this value.
pub fn sendme_digest(digest: u64) -> [u8; 20] {
    let mut tag = [0; 20];
    tag[..8].copy_from_slice(&digest.to_le_bytes());
    tag[8..16].copy_from_slice(&mix(digest).to_le_bytes());
    tag
}
