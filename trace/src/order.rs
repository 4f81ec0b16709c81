//! Reads the events of several engines in the order of their times.
//!
//! Each engine writes a piece when its ring is half full. So a file of several has old events behind new ones. It is
//! read once to find the engines, then by a reader for each of them, and the earliest of their next events goes first:
//! memory depends on the number of engines only.

use crate::error::Error;
use crate::file::{is_read_once, Entry, Facts, Progress, Trace};
use std::collections::BTreeSet;

/// Readers at a time. Files of more engines are read as they are.
const ENGINES_MAX: usize = 64;
/// Events between two looks at the progress.
const PROGRESS_EVERY: u64 = 1 << 16;

/// All events of a file, in the order of their times. Those of the same time are in the order of the engines' numbers.
pub struct InTime {
    path: String,
    readers: Vec<Reader>,
    /// Of the whole file, where it was read before.
    whole: Option<Facts>,
    /// Events that were overwritten before the last one that was handed out.
    lost: u64,
    /// Why a reader ended early.
    failed: Option<Error>,
    events: u64,
    progress: Option<Progress>,
}

struct Reader {
    trace: Trace,
    next: Option<Entry>,
    /// Overwritten events of its engine that were told of.
    lost: u64,
}

impl InTime {
    /// Opens a file. What cannot be read twice, as the standard input ("-"), comes as it is.
    pub fn open(path: &str) -> Result<InTime, Error> {
        InTime::open_until(path, u64::MAX)
    }

    /// The same, as if the file ended at this byte. A file that somebody writes ends where its first reading did.
    pub fn open_until(path: &str, end: u64) -> Result<InTime, Error> {
        let mut first = Trace::open_until(path, end)?;
        let mut end = end;
        let mut engines = BTreeSet::new();
        let mut whole = None;
        if !is_read_once(path) {
            // What ends this reading early will end the others at the same place.
            while let Ok(Some(entry)) = first.next() {
                engines.insert(entry.engine);
            }
            end = first.facts().taken;
            whole = Some(first.facts().clone());
            first = Trace::open_until(path, end)?;
        }
        let traces = if engines.len() < 2 || engines.len() > ENGINES_MAX {
            vec![first]
        } else {
            engines
                .iter()
                .map(|engine| Ok(Trace::open_until(path, end)?.only(*engine)))
                .collect::<Result<_, Error>>()?
        };
        if engines.len() > ENGINES_MAX {
            eprintln!("circflow-trace: {path}: events of {} engines: they come in the file's order", engines.len());
        }
        let bytes = whole.as_ref().map_or(0, |facts| facts.bytes);
        let progress = Progress::new(if traces.len() > 1 { bytes } else { 0 });
        let readers = traces.into_iter().map(|trace| Reader { trace, next: None, lost: 0 }).collect();
        let path = path.to_owned();
        let mut all = InTime { path, readers, whole, lost: 0, failed: None, events: 0, progress };
        for at in 0..all.readers.len() {
            all.advance(at);
        }
        Ok(all)
    }

    /// The next event. An error comes when all events before it were handed out.
    pub fn next(&mut self) -> Result<Option<Entry>, Error> {
        let times = self.readers.iter().enumerate().filter_map(|(at, reader)| Some((reader.next?.time, at)));
        let Some((_, at)) = times.min() else {
            self.clear_progress();
            return self.failed.take().map_or(Ok(None), Err);
        };
        let reader = &mut self.readers[at];
        let entry = reader.next.take();
        let lost = reader.trace.facts().overwritten;
        self.lost = self.lost.saturating_add(lost - reader.lost);
        reader.lost = lost;
        self.advance(at);
        self.events += 1;
        if self.events % PROGRESS_EVERY == 0 {
            self.show_progress();
        }
        Ok(entry)
    }

    fn advance(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        match reader.trace.next() {
            Ok(next) => reader.next = next,
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// The time at which the trace begins: that of its first event.
    pub fn begin(&self) -> u64 {
        match (&self.whole, &self.readers[..]) {
            (Some(whole), _) => whole.earliest,
            (None, [reader, ..]) => reader.trace.facts().first,
            (None, []) => 0,
        }
    }

    /// Events that were overwritten before the one that [`InTime::next`] has answered last.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// What the file is.
    pub fn facts(&self) -> &Facts {
        self.whole.as_ref().unwrap_or_else(|| self.readers[0].trace.facts())
    }

    /// Says on stderr what a reader of the output has to know: that something is missing.
    pub fn warn(&self) {
        match &self.whole {
            Some(facts) => facts.warn(&self.path),
            None => self.readers[0].trace.warn(),
        }
    }

    fn show_progress(&mut self) {
        let bytes: u64 = self.readers.iter().map(|reader| reader.trace.facts().bytes).sum();
        let mean = bytes / self.readers.len() as u64;
        if let Some(progress) = &mut self.progress {
            progress.show(mean);
        }
    }

    fn clear_progress(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.clear();
        }
    }
}
