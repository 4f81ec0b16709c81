//! Reports what is wrong with a text of padding machines: the line, the fault, and what is wanted instead.

use super::machines::{SHAPE_MAX, TEXT_MAX};
use crate::base::limits::{MACHINES_BYTES_MAX, MACHINES_MAX, MACHINE_UNPACKED_MAX};
use maybenot::constants::VERSION;
use std::fmt;

/// The first fault in a text of machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadMachines {
    /// The line of the text, counted from 1.
    pub line: usize,
    /// The fault.
    pub why: Flaw,
}

impl fmt::Display for BadMachines {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "line {}: {}", self.line, self.why)
    }
}

/// The reason why a text is not a list of machines that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The text has no machine.
    Empty,
    /// The line does not begin with a version.
    NoVersion,
    /// The machine is of another version of maybenot, which is given.
    Version(u8),
    /// A byte that base64 does not have: the byte, and its column, counted from 1.
    Byte(u8, usize),
    /// The base64 text is cut short, or goes on after its end.
    CutText,
    /// The decoded base64 is not zlib data.
    NotZlib,
    /// The zlib data end too early.
    CutData,
    /// Bytes follow the zlib data: how many.
    AfterData(u64),
    /// The zlib data are damaged.
    Damaged,
    /// The unpacked data do not have the fields of a machine.
    Fields,
    /// Bytes follow the last field: how many.
    AfterFields(u64),
    /// The line is longer than any machine: its length in bytes.
    LongText(usize),
    /// The machine unpacks to too many bytes.
    LongMachine,
    /// The machine has more states than the memory of a list allows: how many.
    States(u64),
    /// All machines together own too much memory.
    Memory,
    /// The list has too many machines.
    TooMany,
    /// A number is NaN or infinite: its state (none for a limit of the machine), and the number.
    NotFinite(Option<usize>, String),
    /// A distribution cannot be sampled in bounded time: its state, and the parameter that is too large.
    Slow(usize, String),
    /// The machine breaks a rule of maybenot: maybenot's text.
    Invalid(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |count: u64| if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") };
        match self {
            Flaw::Empty => write!(to, "there is no machine in the text"),
            Flaw::NoVersion => {
                write!(
                    to,
                    "not a padding machine: it does not begin with two digits of version ({VERSION:02} is wanted)"
                )
            }
            Flaw::Version(found) => {
                write!(to, "a machine of maybenot's version {found}; version {VERSION} is wanted")
            }
            Flaw::Byte(byte, column) if byte.is_ascii_graphic() => {
                write!(to, "'{}' in column {column} is no base64", char::from(*byte))
            }
            Flaw::Byte(byte, column) => write!(to, "byte {byte:#04x} in column {column} is no base64"),
            Flaw::CutText => write!(to, "base64 that is cut short, or goes on after its end"),
            Flaw::NotZlib => write!(to, "what base64 packs is not zlib data"),
            Flaw::CutData => write!(to, "the zlib data end too early: the line is cut short"),
            Flaw::AfterData(more) => write!(to, "{} too many after the zlib data", bytes(*more)),
            Flaw::Damaged => write!(to, "the zlib data are damaged, or their checksum is wrong"),
            Flaw::Fields => write!(to, "what is unpacked does not have the fields of a machine of version {VERSION}"),
            Flaw::AfterFields(more) => write!(to, "{} too many after the machine's last field", bytes(*more)),
            Flaw::LongText(len) => write!(to, "a line of {len} bytes; at most {TEXT_MAX} are allowed"),
            Flaw::LongMachine => write!(to, "the machine unpacks to more than {MACHINE_UNPACKED_MAX} bytes"),
            Flaw::States(count) => {
                write!(to, "{count} states; all machines of a list may own {MACHINES_BYTES_MAX} bytes of memory")
            }
            Flaw::Memory => write!(to, "the machines own more than {MACHINES_BYTES_MAX} bytes of memory together"),
            Flaw::TooMany => write!(to, "one machine too many; a list has at most {MACHINES_MAX}"),
            Flaw::NotFinite(None, number) => write!(to, "a limit of the machine is {number}, not a finite number"),
            Flaw::NotFinite(Some(state), number) => {
                write!(to, "a number of state {state} is {number}, not a finite one")
            }
            Flaw::Slow(state, number) => {
                write!(to, "a distribution of state {state} has a parameter {number}; at most {SHAPE_MAX:e} is allowed")
            }
            Flaw::Invalid(said) => write!(to, "it breaks the rules of maybenot: {said}"),
        }
    }
}
