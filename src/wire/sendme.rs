//! The body of a SENDME (tor-spec §7.3, prop289).

use super::{take, Malformed};
use std::fmt;
use subtle::ConstantTimeEq;

/// An acknowledgement of received cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sendme {
    /// Without a digest: a SENDME of a stream, or from before prop289. The window decides whether to accept it.
    V0,
    /// With a digest, which proves that the acknowledged cell was received.
    V1 {
        /// The digest of the acknowledged cell.
        digest: Digest,
    },
}

/// The digest of an acknowledged cell, which only the receiver of that cell can know. Its length depends on the
/// circuit's crypto. It is compared in constant time, and not shown.
#[derive(Clone, Copy)]
pub enum Digest {
    /// 20 bytes: the running digest of the original relay crypto.
    Tor1([u8; 20]),
    /// 16 bytes: the digest of Counter Galois Onion.
    Cgo([u8; 16]),
}

impl Sendme {
    /// The length of the longest body in bytes.
    pub const LEN_MAX: usize = 23;

    /// Writes the body at the head of `out` and returns it.
    pub fn encode<'o>(&self, out: &'o mut [u8; Self::LEN_MAX]) -> &'o [u8] {
        match self {
            Self::V0 => &[],
            Self::V1 { digest: Digest::Tor1(bytes) } => put(bytes, out),
            Self::V1 { digest: Digest::Cgo(bytes) } => put(bytes, out),
        }
    }

    /// Reads a body.
    ///
    /// An empty body is version 0, and so is a body that begins with 0, whatever follows. (tor-cell reads it like that;
    /// C Tor refuses it unless a whole digest follows.) It claims less than version 1 would, so nothing is lost by
    /// reading it.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let Some((version, rest)) = body.split_first() else {
            return Ok(Self::V0);
        };
        match version {
            0 => Ok(Self::V0),
            1 => Ok(Self::V1 { digest: take_digest(rest)? }),
            _ => Err(Malformed::Version),
        }
    }
}

impl Digest {
    /// A digest of 16 or 20 bytes. Any other length is [`Malformed::Value`].
    pub fn new(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes.len() {
            16 => take(bytes).map(|(bytes, _)| Self::Cgo(*bytes)),
            20 => take(bytes).map(|(bytes, _)| Self::Tor1(*bytes)),
            _ => Err(Malformed::Value),
        }
    }

    /// The bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Tor1(bytes) => bytes,
            Self::Cgo(bytes) => bytes,
        }
    }
}

/// Compares in constant time. Only the lengths, which are public, are compared openly.
impl Digest {
    /// The bytes as numbers, filled up with 0: comparing them in constant time costs a tenth of comparing bytes.
    fn words(&self) -> [u64; 3] {
        let mut words = [[0; 8]; 3];
        let bytes = self.as_bytes();
        words.as_flattened_mut()[..bytes.len()].copy_from_slice(bytes);
        words.map(u64::from_le_bytes)
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        let same_length = self.as_bytes().len().ct_eq(&other.as_bytes().len());
        (same_length & self.words().ct_eq(&other.words())).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.as_bytes().len())
    }
}

/// Writes version, length and digest. The lengths are constants, so the indices are checked when compiling.
fn put<'o, const N: usize>(digest: &[u8; N], out: &'o mut [u8; Sendme::LEN_MAX]) -> &'o [u8] {
    const { assert!(3 + N <= Sendme::LEN_MAX) };
    out[0] = 1;
    out[1] = 0;
    out[2] = N as u8;
    out[3..3 + N].copy_from_slice(digest);
    &out[..3 + N]
}

/// Reads length and digest.
fn take_digest(rest: &[u8]) -> Result<Digest, Malformed> {
    let (len, rest) = take(rest)?;
    let len = usize::from(u16::from_be_bytes(*len));
    Digest::new(rest.get(..len).ok_or(Malformed::Short)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_differ_by_any_byte_and_by_length() {
        let digest = Digest::new(&[0; 20]);
        assert_eq!(digest, Ok(Digest::Tor1([0; 20])));
        assert_ne!(digest, Digest::new(&[0; 16]));
        for at in 0..20 {
            let mut bytes = [0; 20];
            bytes[at] = 1;
            assert_ne!(digest, Digest::new(&bytes));
        }
    }

    #[test]
    fn only_two_lengths_are_tags() {
        for len in 0..=40 {
            assert_eq!(Digest::new(&[0; 40][..len]).is_ok(), len == 16 || len == 20);
        }
    }

    #[test]
    fn debug_does_not_show_the_tag() {
        let sendme = Sendme::V1 { digest: Digest::Cgo([0xcd; 16]) };
        assert_eq!(format!("{sendme:?}"), "V1 { digest: Digest(16 bytes) }");
    }
}
