//! The bodies of LINK, LINKED and SWITCH (prop329 §2). LINKED_ACK has none: a body that it carries is ignored.

use super::{take, take_version, Malformed};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The secret that joins circuits into one set. Anybody who knows it can join, so it is never shown, is compared in
/// constant time, and is wiped when dropped. (The caller wipes what [`Link::encode`] returns.)
///
/// It lives in a box of its own, so that moving its owner leaves no copy behind. The default is empty: no secret at
/// all.
#[derive(Clone, Default)]
pub struct Nonce(Box<[u8]>);

/// What the sender of a LINK asks the other end to optimise for (prop329 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ux {
    /// No wish.
    NoOpinion = 0,
    /// Always the leg with the shortest round trip, full or not.
    MinLatency = 1,
    /// Like [`Ux::MinLatency`], with little memory for reordering.
    LowMemLatency = 2,
    /// The leg with the shortest round trip among those with room.
    HighThroughput = 3,
    /// Like [`Ux::HighThroughput`], with little memory for reordering.
    LowMemThroughput = 4,
}

/// The body of a LINK, and of a LINKED: both have the same layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The set that this circuit belongs to.
    pub nonce: Nonce,
    /// The last sequence number the sender of this message has sent in the set; 0 in a new set.
    pub last_sent: u64,
    /// The last sequence number that the sender has received.
    pub last_received: u64,
    /// The sender's wish for how the other end should send.
    pub ux: Ux,
}

/// The body of a SWITCH: the sender's next message goes on this leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// How far this leg's sequence number jumps: the number of messages that went on other legs since this leg was
    /// used.
    pub delta: u32,
}

impl Nonce {
    /// A nonce of these bytes, which must come from a random generator fit for keys.
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let nonce = Self(Box::from(bytes.as_slice()));
        bytes.zeroize();
        nonce
    }

    /// The secret: 32 bytes, or none for the default.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Nonce {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Nonce {}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

impl Drop for Nonce {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Nonce {}

impl Ux {
    /// Reads a wish. An unknown one counts as [`Ux::NoOpinion`].
    ///
    /// The field is advice, so a peer with newer wishes is still a peer. tor-cell accepts any byte too. C Tor closes
    /// the circuit, which is why [`to_wire`](Self::to_wire) only ever gives 0 to 4.
    pub const fn from_wire(byte: u8) -> Self {
        match byte {
            1 => Self::MinLatency,
            2 => Self::LowMemLatency,
            3 => Self::HighThroughput,
            4 => Self::LowMemThroughput,
            _ => Self::NoOpinion,
        }
    }

    /// The byte for this wish.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }
}

impl Link {
    /// The length of the body in bytes. A longer one is accepted.
    pub const LEN: usize = 50;

    /// Writes the body. It contains the nonce: wipe it after sending.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut body = [0; Self::LEN];
        body[0] = LINK_VERSION;
        // The default nonce stays all zero.
        body[1..33].iter_mut().zip(self.nonce.as_bytes()).for_each(|(byte, secret)| *byte = *secret);
        body[33..41].copy_from_slice(&self.last_sent.to_be_bytes());
        body[41..49].copy_from_slice(&self.last_received.to_be_bytes());
        body[49] = self.ux.to_wire();
        body
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let rest = take_version(body, LINK_VERSION)?;
        let (nonce, rest) = take(rest)?;
        let (last_sent, rest) = take(rest)?;
        let (last_received, rest) = take(rest)?;
        let (&[ux], _) = take(rest)?;
        Ok(Self {
            nonce: Nonce::new(*nonce),
            last_sent: u64::from_be_bytes(*last_sent),
            last_received: u64::from_be_bytes(*last_received),
            ux: Ux::from_wire(ux),
        })
    }
}

impl Switch {
    /// Writes the body.
    pub const fn encode(self) -> [u8; 4] {
        self.delta.to_be_bytes()
    }

    /// Reads a body. A short one is refused; C Tor reads it as a delta of 0 and is then out of step with its peer.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (delta, _) = take(body)?;
        Ok(Self { delta: u32::from_be_bytes(*delta) })
    }
}

/// The only version of LINK and LINKED (prop329 §2.2).
const LINK_VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_nonce() {
        let link = Link { nonce: Nonce::new([0xcd; 32]), last_sent: 0, last_received: 0, ux: Ux::NoOpinion };
        for shown in [format!("{link:?}"), format!("{link:#?}")] {
            assert!(shown.contains("Nonce(..)"), "{shown}");
            assert!(!shown.contains("205") && !shown.to_lowercase().contains("cd"), "{shown}");
        }
    }

    #[test]
    fn nonces_differ_by_any_bit() {
        let nonce = Nonce::new([0; 32]);
        assert_eq!(nonce, nonce.clone());
        for bit in 0..256 {
            let mut bytes = [0; 32];
            bytes[bit / 8] = 1 << (bit % 8);
            assert_ne!(nonce, Nonce::new(bytes));
        }
    }

    #[test]
    fn every_wish_survives_and_unknown_ones_become_none() {
        for byte in 0..=255 {
            assert_eq!(Ux::from_wire(byte).to_wire(), if byte <= 4 { byte } else { 0 });
        }
    }
}
