//! What can go wrong with a file, in words that say what to do.

use std::fmt;
use std::io;

/// Why a command could not do all of its work.
#[derive(Debug)]
pub enum Error {
    /// A file could not be opened, read or written.
    Io { path: String, error: io::Error },
    /// There is nothing in the file.
    Empty { path: String },
    /// The file does not begin as a trace does.
    Foreign { path: String },
    /// A piece of a later layout begins at this byte.
    Newer { path: String, at: u64, version: u16 },
    /// No record can begin at this byte.
    Damaged { path: String, at: u64 },
    /// What was asked for is not there.
    Wrong(String),
}

impl Error {
    /// True when nobody reads the output any more.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Io { error, .. } if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Io { path, error } => write!(to, "{path}: {error}"),
            Error::Empty { path } => write!(to, "{path}: the file is empty: nothing was recorded"),
            Error::Foreign { path } => write!(to, "{path}: this is not a trace of circflow"),
            Error::Newer { path, at, version } => write!(
                to,
                "{path}: the piece at byte {at} has version {version} of the layout, and this command knows {} only: \
                 take the circflow-trace of the circflow that recorded it",
                circflow::event::VERSION
            ),
            Error::Damaged { path, at } => {
                write!(to, "{path}: the file is damaged: no record begins at byte {at}; nothing behind it was read")
            }
            Error::Wrong(what) => write!(to, "{what}"),
        }
    }
}
