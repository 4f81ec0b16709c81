//! The bodies of XOFF and XON, which pause and resume one stream (prop324 §4.1).

use super::{take, take_version, Malformed};

/// Stop sending on this stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xoff;

/// Send on this stream again, or at another rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xon {
    /// How fast the stream is drained, in units of 1000 bytes (not bits) per second; 0 for no limit.
    pub kbps: u32,
}

impl Xoff {
    /// Writes the body.
    pub const fn encode(self) -> [u8; 1] {
        [VERSION]
    }

    /// Reads a body. C Tor ignores it. A later version may mean something else, so we check the version.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        take_version(body, VERSION).map(|_| Self)
    }
}

impl Xon {
    /// Writes the body.
    pub const fn encode(self) -> [u8; 5] {
        let [a, b, c, d] = self.kbps.to_be_bytes();
        [VERSION, a, b, c, d]
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let (kbps, _) = take(take_version(body, VERSION)?)?;
        Ok(Self { kbps: u32::from_be_bytes(*kbps) })
    }
}

/// The only version of both.
const VERSION: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_survive() {
        for kbps in [0, 1, 500, u32::MAX] {
            assert_eq!(Xon::decode(&Xon { kbps }.encode()), Ok(Xon { kbps }));
        }
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(Xoff::decode(&[1]), Err(Malformed::Version));
        assert_eq!(Xon::decode(&[1, 0, 0, 0, 0]), Err(Malformed::Version));
    }
}
