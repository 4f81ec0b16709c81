//! Events: every decision of the library and every fact worth knowing, each named once. Log lines and the flight
//! recorder are views of them, and so are the totals of what happens rarely.
//!
//! [`table`] lists the kinds, each with its class, level and fields. [`record`] lays an event out as bytes, which never
//! change for a given version; `docs/events.md` explains them and is checked against the table. [`ring`] keeps the
//! newest records, [`recorder`] hands them out in pieces. `log` makes log lines.
//!
//! Nothing that Tor forbids to keep is a field of any event: no nonce, no body, no digest, no address, no text of a
//! machine, and no tag of the host, which may be a pointer.

mod log;
pub mod record;
pub mod recorder;
pub mod ring;
pub mod table;

pub use log::Names;
pub use record::{values, Field, Header, Piece, Records, Value, VERSION};
pub use recorder::Recorder;
pub use table::{Class, Event, Kind, Level, KINDS};

use crate::base::Nanos;
use log::Log;
use std::any::Any;

/// What an engine does with its events.
#[derive(Debug)]
pub struct Events {
    /// The classes of which anybody wants events: the one word that quick ways look at.
    wanted: u32,
    /// The classes that are recorded and not logged: an event of theirs only has to be written.
    straight: u32,
    /// The engine's number.
    engine: u32,
    recorder: Option<Box<Recorder>>,
    /// It was said that events of a relay are recorded.
    warned: bool,
    /// Events that earlier recorders have overwritten.
    overwritten: u64,
    log: Log,
    /// To whom the pieces go: a matter of the floor that knows the host's functions.
    sink: Option<Box<dyn Any>>,
}

impl Events {
    /// Nobody wants events yet, unless they are logged.
    pub fn new(engine: u32, names: Names) -> Events {
        let log = Log::new(names);
        let wanted = Class::asked_for(log.classes());
        Events { wanted, straight: 0, engine, recorder: None, warned: false, overwritten: 0, log, sink: None }
    }

    /// True when anybody wants events of this class. Two instructions: ask before you make one.
    #[inline(always)]
    pub fn wants(&self, class: Class) -> bool {
        self.wanted & class.bit() != 0
    }

    /// True when anybody may want this event. What is rare and matters is always asked for: a new log level then need
    /// not wait for [`Events::look`].
    #[inline(always)]
    pub fn may_want(&self, event: &Event) -> bool {
        event.level() <= Level::Info || self.wants(event.class())
    }

    /// Hands an event to those who want it.
    #[cold]
    #[inline(never)]
    pub fn note(&mut self, now: Nanos, event: Event) {
        if let Some(recorder) = &mut self.recorder {
            event.record(recorder, now, self.engine);
        }
        if self.logs(&event) {
            self.log.note(now, self.engine, &event);
        }
    }

    /// True when the log may want this event.
    #[inline(always)]
    fn logs(&self, event: &Event) -> bool {
        event.level() <= Level::Info || self.log.wants(event.class())
    }

    /// [`Events::note`] for an event that comes with most messages, in fewer instructions: its kind is known here.
    #[inline(always)]
    pub fn note_here(&mut self, now: Nanos, event: Event) {
        if event.level() <= Level::Info || self.straight & event.class().bit() == 0 {
            return self.note(now, event);
        }
        // The last step, so that nothing has to be kept meanwhile.
        if let Some(recorder) = &mut self.recorder {
            recorder.write(now, self.engine, &event);
        }
    }

    /// Looks at the log's level, which is a matter of the whole process, and tells what was left out of the log. True
    /// when the level is a new one. Four instructions while nothing has changed: for ways that are taken once in a turn
    /// of the host's loop.
    #[inline(always)]
    pub fn look(&mut self, now: Nanos) -> bool {
        self.log.is_out_of_date() && self.look_at_log(now)
    }

    #[cold]
    #[inline(never)]
    fn look_at_log(&mut self, now: Nanos) -> bool {
        self.log.sum_up(now, self.engine);
        self.log.look();
        let before = self.wanted;
        self.update_wanted();
        self.wanted != before
    }

    /// Looks who wants which classes of events.
    fn update_wanted(&mut self) {
        let (recorded, logged) = (self.recorder.as_ref().map_or(0, |recorder| recorder.classes()), self.log.classes());
        self.wanted = Class::asked_for(recorded | logged);
        self.straight = recorded & !logged;
    }

    /// Log lines that were left out so far.
    pub fn log_dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// [`Events::note_here`] for some events of one class and kind, `most` of them.
    #[inline(always)]
    pub fn note_each(&mut self, now: Nanos, class: Class, most: usize, events: impl Iterator<Item = Event> + Clone) {
        if self.log.wants(class) {
            events.clone().take(most).for_each(|event| self.log.note(now, self.engine, &event));
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.record_each(now, self.engine, class, most, events);
        }
    }

    /// Records events of these classes in `bytes` bytes from now on, and forgets what was recorded before. None of
    /// either: records no longer. False when there can be no ring of that size.
    pub fn record(&mut self, bytes: usize, classes: u32) -> bool {
        let recorder = if bytes == 0 || classes == 0 { None } else { Some(Recorder::new(bytes, classes)) };
        if let Some(None) = recorder {
            return false;
        }
        self.overwritten = self.overwritten();
        match recorder {
            Some(None) => return false,
            Some(Some(recorder)) => self.recorder = Some(Box::new(recorder)),
            None => self.recorder = None,
        }
        self.update_wanted();
        true
    }

    /// Events that were overwritten before they were read, since there is this record and those before it.
    pub fn overwritten(&self) -> u64 {
        self.overwritten + self.recorder.as_ref().map_or(0, |recorder| recorder.overwritten())
    }

    /// True while events are recorded.
    pub fn records(&self) -> bool {
        self.recorder.is_some()
    }

    /// True, once, when events are recorded at an engine that works for a relay.
    pub fn warns_of_relay(&mut self) -> bool {
        self.records() && !std::mem::replace(&mut self.warned, true)
    }

    /// Moves the oldest records into `buffer`, as [`Recorder::read`] does.
    pub fn read(&mut self, buffer: &mut [u8]) -> Option<(usize, u64)> {
        match &mut self.recorder {
            Some(recorder) => recorder.read(self.engine, buffer),
            None => Some((0, 0)),
        }
    }

    /// Sets to whom the pieces go.
    pub fn set_sink(&mut self, sink: Option<Box<dyn Any>>) {
        self.sink = sink;
    }

    /// The sink, when it wants a piece now: at least half of the ring is in use, or, at the end, any of it.
    pub fn sink_when_due(&self, at_the_end: bool) -> Option<&dyn Any> {
        let is_due = self.recorder.as_ref().is_some_and(|recorder| at_the_end || recorder.is_half_full());
        self.sink.as_deref().filter(|_| is_due)
    }
}
