//! Where a command writes to.

use crate::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// A file, or the standard output.
pub struct Output {
    path: String,
    to: BufWriter<Box<dyn Write>>,
}

impl Output {
    /// Creates the file; None: the standard output.
    pub fn open(path: Option<&str>) -> Result<Output, Error> {
        let (path, to): (_, Box<dyn Write>) = match path {
            None | Some("-") => ("standard output".to_owned(), Box::new(io::stdout().lock())),
            Some(path) => match File::create(path) {
                Ok(file) => (path.to_owned(), Box::new(file)),
                Err(error) => return Err(Error::Io { path: path.to_owned(), error }),
            },
        };
        Ok(Output { path, to: BufWriter::with_capacity(1 << 18, to) })
    }

    /// Writes bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.to.write_all(bytes).map_err(|error| Error::Io { path: self.path.clone(), error })
    }

    /// Writes what is left in the buffer: errors are seen here.
    pub fn finish(mut self) -> Result<(), Error> {
        self.to.flush().map_err(|error| Error::Io { path: self.path.clone(), error })
    }
}
