//! What the operator and the consensus allow of padding.

use super::Engine;
use crate::base::purse::{Allowance, Voice};

impl Engine {
    /// Says what is allowed from now on, of padding on all circuits. Not heeded yet.
    pub fn allow_padding(&mut self, voice: Voice, allowance: Allowance) {
        self.purse.allow(voice, allowance);
    }
}
