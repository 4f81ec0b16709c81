//! Reads a trace from its first byte to its last, one event after the other, in constant memory. The events of an
//! engine are in the order of their times; those of several engines may not be, as each writes its pieces when it likes:
//! [`crate::order::InTime`] puts them in order.
//!
//! ```ignore
//! let mut trace = Trace::open_until(path, u64::MAX)?;
//! while let Some(entry) = trace.next()? {
//!     println!("{} {} {:?}", entry.time, entry.kind.name, entry.get("set"));
//! }
//! trace.warn(); // on stderr: cut, overwritten, unknown kinds
//! ```

use crate::error::Error;
use circflow::event::record::{FIELDS_MAX, HEAD, PIECE_NUMBER};
use circflow::event::{Field, Header, Kind, Piece, Value, KINDS, VERSION};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};

/// Longer than the longest record that a head can name.
const BUFFER: usize = 1 << 20;
/// How often a progress line is renewed.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// True for what cannot be read twice: the standard input, and pipes and devices, whatever their names are.
pub fn is_read_once(path: &str) -> bool {
    path == "-" || std::fs::metadata(path).is_ok_and(|facts| !facts.is_file() && !facts.is_dir())
}

/// An event that was recorded.
#[derive(Clone, Copy)]
pub struct Entry {
    /// When, in ns of the engine's clock.
    pub time: u64,
    /// The engine's number: its host's tag.
    pub engine: u32,
    /// Its row of the table.
    pub kind: &'static Kind,
    fields: [u8; FIELDS_MAX],
    len: u8,
}

impl Entry {
    fn new(header: &Header, kind: &'static Kind, bytes: &[u8]) -> Entry {
        let mut fields = [0; FIELDS_MAX];
        let len = bytes.len().min(FIELDS_MAX);
        fields[..len].copy_from_slice(&bytes[..len]);
        Entry { time: header.time, engine: header.engine, kind, fields, len: len as u8 }
    }

    /// Its fields with their values, in the order of the table. A record of an older library may lack the last ones.
    pub fn values(&self) -> impl Iterator<Item = (&'static Field, Value)> + '_ {
        circflow::event::values(self.kind, &self.fields[..usize::from(self.len)])
    }

    /// The value of a field that is an id or a number of 0 or more.
    #[inline]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.raw(name).filter(|(field, _)| !field.is_signed).map(|(_, value)| value)
    }

    /// The value of a field that may be below 0: a status.
    pub fn signed(&self, name: &str) -> Option<i64> {
        let (field, value) = self.raw(name)?;
        let shift = 64 - 8 * u32::from(field.width);
        Some((value << shift) as i64 >> shift)
    }

    #[inline]
    fn raw(&self, name: &str) -> Option<(&'static Field, u64)> {
        let mut at = 0;
        for field in self.kind.fields {
            let width = usize::from(field.width);
            if field.name == name {
                let bytes = self.fields[..usize::from(self.len)].get(at..at + width)?;
                let mut whole = [0; 8];
                whole[..width].copy_from_slice(bytes);
                return Some((field, u64::from_le_bytes(whole)));
            }
            at += width;
        }
        None
    }
}

/// What a file is, apart from its events. Complete when the last event was read.
#[derive(Clone, Default, Debug)]
pub struct Facts {
    /// Bytes that were read.
    pub bytes: u64,
    /// These, and those of a record that is not complete or not good. A reading that ends here sees the same again.
    pub taken: u64,
    /// Pieces.
    pub pieces: u64,
    /// Events that were read.
    pub events: u64,
    /// Events that the recorder had to overwrite, as nobody read them in time.
    pub overwritten: u64,
    /// The classes that were recorded, in any piece.
    pub classes: u32,
    /// The time of the first event of the file, and the earliest and the latest of all.
    pub first: u64,
    pub earliest: u64,
    pub latest: u64,
    /// Events of kinds that this command does not know, by their numbers.
    pub unknown: BTreeMap<u16, u64>,
    /// The byte at which the last record begins, which is not complete.
    pub cut: Option<u64>,
}

/// A file of pieces, read from its first byte to its last.
pub struct Trace {
    path: String,
    input: Box<dyn Read>,
    buffer: Vec<u8>,
    /// What of the buffer is not read yet.
    first: usize,
    end: usize,
    is_over: bool,
    kinds: Vec<Option<&'static Kind>>,
    /// The engine whose events are wanted; None: all.
    only: Option<u32>,
    facts: Facts,
    progress: Option<Progress>,
}

impl Trace {
    /// Opens a file, or the standard input for "-", and looks whether it is a trace. It is read as if it ended at the
    /// byte `end`: it may grow between two readings that have to agree.
    pub fn open_until(path: &str, end: u64) -> Result<Trace, Error> {
        let failed = |error| Error::Io { path: path.to_owned(), error };
        if path == "-" {
            return Trace::read_from("standard input", Box::new(io::stdin().take(end)), 0);
        }
        let file = File::open(path).map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        if facts.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        Trace::read_from(path, Box::new(file.take(end)), facts.len().min(end))
    }

    /// Reads the events of one engine only; `Facts` are about that engine then.
    pub fn only(mut self, engine: u32) -> Trace {
        self.only = Some(engine);
        self.progress = None;
        self
    }

    fn read_from(path: &str, input: Box<dyn Read>, len: u64) -> Result<Trace, Error> {
        let mut kinds = vec![None; KINDS.iter().map(|kind| usize::from(kind.number) + 1).max().unwrap_or(0)];
        for kind in KINDS {
            kinds[usize::from(kind.number)] = Some(kind);
        }
        let mut trace = Trace {
            path: path.to_owned(),
            input,
            buffer: vec![0; BUFFER],
            first: 0,
            end: 0,
            is_over: false,
            kinds,
            only: None,
            facts: Facts::default(),
            progress: Progress::new(len),
        };
        trace.begin()?;
        Ok(trace)
    }

    /// Looks at the first bytes: they are a piece's, or begin as one does.
    fn begin(&mut self) -> Result<(), Error> {
        let foreign = Error::Foreign { path: self.path.clone() };
        if !self.fill(HEAD)? {
            let begins = b"CF\x05\0";
            let there = &self.buffer[..self.end];
            return match there.len() {
                0 => Err(Error::Empty { path: self.path.clone() }),
                len if there[..len.min(4)] == begins[..len.min(4)] => Ok(()),
                _ => Err(foreign),
            };
        }
        match Header::read(&self.buffer[..self.end]) {
            Some(Header { number: PIECE_NUMBER, len, .. }) => {
                let is_there = self.fill(len)?;
                match Piece::read(&self.buffer[HEAD.min(self.end)..self.end]) {
                    None if is_there => Err(foreign),
                    _ => Ok(()),
                }
            }
            _ => Err(foreign),
        }
    }

    /// The next event. None at the end of the file, and where it is cut.
    #[inline]
    pub fn next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            let Some(header) = self.head()? else { return Ok(None) };
            let is_wanted = self.only.is_none_or(|engine| engine == header.engine);
            let record = &self.buffer[self.first..self.first + header.len];
            let fields = &record[HEAD..];
            if header.number == PIECE_NUMBER {
                let Some(piece) = Piece::read(fields) else { return Err(self.damaged()) };
                self.piece(piece, is_wanted)?;
            } else if !is_wanted {
                // Another reader takes it.
            } else if let Some(Some(kind)) = self.kinds.get(usize::from(header.number)) {
                let entry = Entry::new(&header, kind, fields);
                self.pass(header.len);
                self.facts.see(entry.time);
                return Ok(Some(entry));
            } else if header.number != 0 {
                *self.facts.unknown.entry(header.number).or_default() += 1;
            }
            self.pass(header.len);
        }
    }

    /// The head of the next record, all of which is in the buffer then.
    #[inline]
    fn head(&mut self) -> Result<Option<Header>, Error> {
        if self.end - self.first < HEAD && !self.fill(HEAD)? {
            return Ok(self.finish());
        }
        let Some(header) = Header::read(&self.buffer[self.first..self.end]) else { return Err(self.damaged()) };
        if self.end - self.first < header.len && !self.fill(header.len)? {
            return Ok(self.finish());
        }
        Ok(Some(header))
    }

    fn piece(&mut self, piece: Piece, is_wanted: bool) -> Result<(), Error> {
        if piece.version > VERSION {
            self.clear_progress();
            return Err(Error::Newer { path: self.path.clone(), at: self.facts.bytes, version: piece.version });
        }
        if !is_wanted {
            return Ok(());
        }
        self.facts.pieces += 1;
        self.facts.overwritten = self.facts.overwritten.saturating_add(piece.overwritten);
        self.facts.classes |= piece.classes;
        Ok(())
    }

    #[inline]
    fn pass(&mut self, len: usize) {
        self.first += len;
        self.facts.bytes += len as u64;
    }

    fn damaged(&mut self) -> Error {
        self.clear_progress();
        Error::Damaged { path: self.path.clone(), at: self.facts.bytes }
    }

    fn finish(&mut self) -> Option<Header> {
        self.clear_progress();
        self.facts.cut = (self.end > self.first).then_some(self.facts.bytes);
        None
    }

    /// Reads until `wanted` bytes are in the buffer. False when the file ends before.
    #[cold]
    fn fill(&mut self, wanted: usize) -> Result<bool, Error> {
        self.buffer.copy_within(self.first..self.end, 0);
        (self.first, self.end) = (0, self.end - self.first);
        while self.end < wanted && !self.is_over {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.is_over = true,
                Ok(more) => {
                    self.end += more;
                    self.facts.taken += more as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Io { path: self.path.clone(), error }),
            }
        }
        if let Some(progress) = &mut self.progress {
            progress.show(self.facts.bytes);
        }
        Ok(self.end >= wanted)
    }

    /// What the file is, as far as it was read.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Says on stderr what a reader of the output has to know: that something is missing.
    pub fn warn(&self) {
        self.facts.warn(&self.path);
    }

    fn clear_progress(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.clear();
        }
    }
}

impl Facts {
    #[inline]
    fn see(&mut self, time: u64) {
        if self.events == 0 {
            (self.first, self.earliest, self.latest) = (time, time, time);
        }
        self.events += 1;
        self.earliest = self.earliest.min(time);
        self.latest = self.latest.max(time);
    }

    /// Says on stderr what is missing.
    pub fn warn(&self, path: &str) {
        for line in self.warnings() {
            eprintln!("circflow-trace: {path}: {line}");
        }
    }

    /// What is missing, a line for each reason.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(at) = self.cut {
            lines.push(format!("the file is cut: the record at byte {at} is not complete"));
        }
        if self.overwritten > 0 {
            lines.push(format!("{} events were overwritten before they were read", self.overwritten));
        }
        let unknown: u64 = self.unknown.values().sum();
        if unknown > 0 {
            let numbers: Vec<String> = self.unknown.keys().map(u16::to_string).collect();
            lines.push(format!(
                "{unknown} events of kinds that are not known here were skipped: {}",
                numbers.join(", ")
            ));
        }
        lines
    }
}

/// A line on stderr, where somebody looks at it, that says how far the reading is.
pub struct Progress {
    len: u64,
    begun: Instant,
    shown: Option<Instant>,
}

impl Progress {
    pub fn new(len: u64) -> Option<Progress> {
        // Between lines of a command that writes to the same terminal it would only disturb.
        let is_seen = io::stderr().is_terminal() && !io::stdout().is_terminal();
        (len > 0 && is_seen).then(|| Progress { len, begun: Instant::now(), shown: None })
    }

    /// So many bytes were read.
    pub fn show(&mut self, bytes: u64) {
        let now = Instant::now();
        if now - self.shown.unwrap_or(self.begun) < PROGRESS_EVERY {
            return;
        }
        self.shown = Some(now);
        let part = bytes as f64 / self.len as f64;
        let left = (now - self.begun).as_secs_f64() * (1.0 - part) / part.max(0.001);
        let _ = write!(io::stderr(), "\r{:3.0} % of {} MiB, {left:.0} s left ", part * 100.0, self.len >> 20);
    }

    /// The line goes.
    pub fn clear(self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r{:40}\r", "");
        }
    }
}
