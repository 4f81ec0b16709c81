//! In which states the machines of a framework are.
//!
//! maybenot does not tell. It can describe a framework in text, as a programmer sees it, and that text has the state of
//! each machine: it is read as it is made, and not kept. The types that are ours (time, machines, randomness) describe
//! themselves by nothing, and reading ends with the last machine's state. It costs thousands of instructions, so nobody
//! does it unasked. A test reads machines whose states are known, so that another maybenot cannot change it unseen.

use super::clock::{Generator, Span, Tick};
use super::Machines;
use crate::base::limits;
use maybenot::Framework;
use std::fmt::{self, Write};

/// The states of a framework's machines. A machine that has ended is in maybenot's `STATE_END`.
#[derive(Debug)]
pub(super) struct States {
    found: [u32; limits::MACHINES_MAX],
    count: usize,
}

impl States {
    /// Reads the states of all machines, or of none when the text is not as it was.
    #[cold]
    pub fn of(framework: &Framework<Machines, Generator, Tick>) -> States {
        let states = States { found: [0; limits::MACHINES_MAX], count: 0 };
        let mut reader = Reader { states, matched: 0, number: 0, has_digits: false, wanted: framework.num_machines() };
        // An error is how the reader says that it has seen enough.
        let _ = write!(reader, "{framework:?}");
        reader.states
    }

    /// The states in the order of the machines.
    pub fn all(&self) -> &[u32] {
        self.found.get(..self.count).unwrap_or_default()
    }
}

macro_rules! silent {
    ($($of:ty),+) => {$(
        /// Nothing: the text of a framework is read for its states. (A key and machines are nobody's business, anyway.)
        impl fmt::Debug for $of {
            #[inline]
            fn fmt(&self, _to: &mut fmt::Formatter<'_>) -> fmt::Result {
                Ok(())
            }
        }
    )+};
}

silent!(Tick, Span, Generator, Machines);

/// Reads text that comes in pieces: each number that follows the name of the field.
struct Reader {
    states: States,
    /// Bytes of [`NAME`] that have come.
    matched: usize,
    /// The number that is being read, and whether any digit of it has come. (Not an Option: the compiler reckons with
    /// the number of none, too, and valgrind then finds fault with that.)
    number: u64,
    has_digits: bool,
    wanted: usize,
}

/// What stands in front of a state.
const NAME: &[u8] = b"current_state: ";

impl Reader {
    fn byte(&mut self, byte: u8) -> fmt::Result {
        if self.matched < NAME.len() {
            let goes_on = NAME.get(self.matched) == Some(&byte);
            self.matched = if goes_on { self.matched + 1 } else { usize::from(NAME.first() == Some(&byte)) };
            return Ok(());
        }
        if byte.is_ascii_digit() {
            self.number = self.number.saturating_mul(10).saturating_add((byte - b'0').into());
            self.has_digits = true;
            return Ok(());
        }
        self.matched = 0;
        let (true, Some(room)) = (self.has_digits, self.states.found.get_mut(self.states.count)) else {
            return Err(fmt::Error);
        };
        *room = u32::try_from(self.number).unwrap_or(u32::MAX);
        (self.number, self.has_digits) = (0, false);
        self.states.count += 1;
        if self.states.count < self.wanted {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

impl Write for Reader {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        // Nearly all pieces have nothing to do with the name.
        if self.matched == 0 && !piece.as_bytes().contains(&NAME[0]) {
            return Ok(());
        }
        piece.bytes().try_for_each(|byte| self.byte(byte))
    }
}
