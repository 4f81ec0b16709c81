//! Log lines: events as `tracing` events, at a bounded rate on the host's clock. No other place of the library makes a
//! line.
//!
//! A line has the target "circflow", the name and the level of its kind, the engine's number, and the kind's fields:
//! ids in hex, statuses by their names in the C header, and words for numbers that stand for words. Its message is the
//! first sentence of the kind's row, with the reason in words where there is a status.

use super::record::FIELDS_MAX;
use super::table::{Class, Event, Kind, Level, KINDS};
use crate::base::{limits, Nanos};
use std::fmt;
use tracing::field::DebugValue;
use tracing::metadata::LevelFilter;
use tracing::Value;

/// Names of numbers that floors above this one know.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// A status, and the reason that it stands for.
    pub status: fn(i32) -> Option<(&'static str, &'static str)>,
    /// A relay command.
    pub command: fn(u8) -> &'static str,
}

/// What an engine knows of those who read the log.
#[derive(Debug)]
pub(super) struct Log {
    names: Names,
    /// The process's level when the engine looked last, or [`LOOK_AGAIN`].
    seen: usize,
    /// The highest level that anybody wants of this library; none: nobody wants lines.
    level: Option<Level>,
    classes: u32,
    limiter: Limiter,
}

impl Log {
    pub fn new(names: Names) -> Log {
        let mut log = Log { names, seen: LOOK_AGAIN, level: None, classes: 0, limiter: Limiter::default() };
        log.look();
        log
    }

    /// The classes in which there are kinds of a level that anybody wants.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    /// True when there are such kinds in this class.
    #[inline(always)]
    pub fn wants(&self, class: Class) -> bool {
        self.classes & class.bit() != 0
    }

    /// Lines left out so far.
    pub fn dropped(&self) -> u64 {
        self.limiter.dropped
    }

    /// True when the level may have changed, or there is a sum to tell.
    #[inline(always)]
    pub fn is_out_of_date(&self) -> bool {
        self.seen != number(LevelFilter::current())
    }

    /// Looks at the level, which is a matter of the whole process.
    pub fn look(&mut self) {
        self.seen = number(LevelFilter::current());
        if !self.limiter.untold.is_empty() && self.seen != OFF {
            self.seen = LOOK_AGAIN;
        }
        self.level = wanted_level();
        self.classes = self.level.map_or(0, |level| Class::UP_TO[level as usize]);
    }

    /// Tells how many lines were left out, when their second is over.
    pub fn sum_up(&mut self, now: Nanos, engine: u32) {
        self.limiter.begin(now);
        while let Some((index, left_out)) = self.limiter.next_sum() {
            if let Some(kind) = KINDS.get(index) {
                log_sum(kind, left_out, engine);
            }
        }
    }

    /// Makes the line of an event, if anybody wants it and its rate allows it. What matters asks for the level by
    /// itself; of other kinds, an engine knows it from its last look.
    #[cold]
    #[inline(never)]
    pub fn note(&mut self, now: Nanos, engine: u32, event: &Event) {
        let level = event.level();
        let most = if level <= Level::Info { wanted_level() } else { self.level };
        if most.is_none_or(|most| level > most) {
            return;
        }
        self.sum_up(now, engine);
        if self.limiter.admit(event.index(), level) {
            event.log(engine, &self.names);
        } else {
            self.seen = LOOK_AGAIN;
        }
    }
}

/// No level: there is a sum to tell.
const LOOK_AGAIN: usize = OFF + 1;
const OFF: usize = 5;

/// A level as the number that it is inside, so that to compare two takes one instruction.
#[inline(always)]
const fn number(level: LevelFilter) -> usize {
    match level {
        LevelFilter::TRACE => 0,
        LevelFilter::DEBUG => 1,
        LevelFilter::INFO => 2,
        LevelFilter::WARN => 3,
        LevelFilter::ERROR => 4,
        _ => OFF,
    }
}

impl Class {
    /// The classes that have a kind of at most the level that is the index. States are not among them: to find one out
    /// takes as long as hundreds of messages, and the log shows a sample only. They are for a record.
    const UP_TO: [u32; 4] = {
        let (mut classes, mut at) = ([0; 4], 0);
        while at < KINDS.len() {
            let is_dear = KINDS[at].class as u8 == Class::States as u8;
            let mut level = if is_dear { classes.len() } else { KINDS[at].level as usize };
            while level < classes.len() {
                classes[level] |= KINDS[at].class.bit();
                level += 1;
            }
            at += 1;
        }
        classes
    };
}

impl Level {
    /// The same level in a `tracing` event.
    pub(super) const fn severity(self) -> tracing::Level {
        match self {
            Level::Warn => tracing::Level::WARN,
            Level::Info => tracing::Level::INFO,
            Level::Debug => tracing::Level::DEBUG,
            Level::Trace => tracing::Level::TRACE,
        }
    }
}

impl Kind {
    /// What happened: the first sentence of the kind's row.
    pub fn sentence(&self) -> &'static str {
        let text = self.doc.trim();
        text.split_once(". ").map_or(text, |(first, _)| first).trim_end_matches('.')
    }
}

/// The highest level at which a subscriber wants lines of this library. Most subscribers tell their highest level, so
/// that this takes a few instructions; of others each level is asked for.
fn wanted_level() -> Option<Level> {
    if tracing::enabled!(target: "circflow", tracing::Level::TRACE) {
        Some(Level::Trace)
    } else if tracing::enabled!(target: "circflow", tracing::Level::DEBUG) {
        Some(Level::Debug)
    } else if tracing::enabled!(target: "circflow", tracing::Level::INFO) {
        Some(Level::Info)
    } else if tracing::enabled!(target: "circflow", tracing::Level::WARN) {
        Some(Level::Warn)
    } else {
        None
    }
}

/// The line about lines that were left out, at their own level.
fn log_sum(kind: &Kind, left_out: u64, engine: u32) {
    macro_rules! log {
        ($level:ident) => {
            tracing::event!(
                name: "LeftOut",
                target: "circflow",
                tracing::Level::$level,
                { engine = engine, left_out = left_out, kind = kind.name },
                "{left_out} more of this kind left out"
            )
        };
    }
    match kind.level {
        Level::Warn => log!(WARN),
        Level::Info => log!(INFO),
        Level::Debug => log!(DEBUG),
        Level::Trace => log!(TRACE),
    }
}

/// The most fields that a kind has.
const FIELDS: usize = {
    let (mut most, mut at) = (0, 0);
    while at < KINDS.len() {
        let fields = KINDS[at].fields.len();
        most = if fields > most { fields } else { most };
        at += 1;
    }
    most
};

/// What a line says. Its message is the kind's sentence, with the reason in words.
pub(super) struct LogLine {
    sentence: &'static str,
    reason: Option<&'static str>,
    /// The kind's fields, and some that mean nothing.
    pub told: [Told; FIELDS],
}

impl LogLine {
    /// Reads the fields as they stand in a record: one code for all kinds.
    pub fn new(kind: &Kind, fields: &[u8; FIELDS_MAX], names: &Names) -> LogLine {
        let told = [const { Told::Number(0) }; FIELDS];
        let mut line = LogLine { sentence: kind.sentence(), reason: None, told };
        let mut rest = fields.as_slice();
        for (field, told) in kind.fields.iter().zip(&mut line.told) {
            let Some((bytes, others)) = rest.split_at_checked(usize::from(field.width)) else { break };
            rest = others;
            let number = bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte));
            *told = if field.is_signed {
                line.reason = line.reason.or((names.status)(number as i32).map(|(_, reason)| reason));
                told_status(number as i32, field.unit, names)
            } else if field.is_id {
                Told::Id(tracing::field::debug(Hex(number)))
            } else {
                told_number(number, field.unit, names)
            };
        }
        line
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Some(reason) => write!(to, "{} ({reason})", self.sentence),
            None => to.write_str(self.sentence),
        }
    }
}

/// A field as it stands in a line.
pub(super) enum Told {
    Number(u64),
    Signed(i64),
    Word(&'static str),
    Id(DebugValue<Hex>),
}

impl Told {
    pub fn value(&self) -> &dyn Value {
        match self {
            Told::Number(number) => number,
            Told::Signed(number) => number,
            Told::Word(word) => word,
            Told::Id(id) => id,
        }
    }
}

/// An id as the C header prints it.
pub(super) struct Hex(u64);

impl fmt::Debug for Hex {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:#x}", self.0)
    }
}

fn told_number(number: u64, unit: &'static str, names: &Names) -> Told {
    if unit == COMMAND {
        return u8::try_from(number).map_or(Told::Number(number), |command| Told::Word((names.command)(command)));
    }
    word(number, unit).map_or(Told::Number(number), Told::Word)
}

/// The unit of relay commands.
const COMMAND: &str = "a relay command";

/// The word for a number, where the unit lists words: "0 no, 1 yes".
fn word(number: u64, unit: &'static str) -> Option<&'static str> {
    if !unit.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    unit.split(", ")
        .find_map(|pair| pair.split_once(' ').filter(|(of, _)| of.parse() == Ok(number)))
        .map(|(_, word)| word)
}

/// A status: the only numbers that may be below 0.
fn told_status(status: i32, unit: &'static str, names: &Names) -> Told {
    match (status, (names.status)(status)) {
        (0, _) => Told::Word(unit.split_once("; 0: ").map_or("CIRCFLOW_OK", |(_, word)| word)),
        (_, Some((name, _))) => Told::Word(name),
        _ => Told::Signed(i64::from(status)),
    }
}

/// Buckets of lines that are filled anew each second of the host's time: one for each kind, and one for all.
#[derive(Debug, Default)]
struct Limiter {
    second: Nanos,
    lines: u32,
    dropped: u64,
    /// By the kind's place in the table; empty until the first line.
    kinds: Vec<OfKind>,
    /// Kinds of which lines were left out that nobody was told of.
    untold: Vec<u16>,
}

#[derive(Clone, Copy, Debug, Default)]
struct OfKind {
    lines: u32,
    left_out: u64,
}

impl Limiter {
    /// Fills the buckets when another second has begun.
    fn begin(&mut self, now: Nanos) {
        if now / SECOND != self.second {
            self.second = now / SECOND;
            self.lines = 0;
            self.kinds.iter_mut().for_each(|kind| kind.lines = 0);
        }
    }

    /// Says whether a line of the kind at `index` of the table may go out.
    fn admit(&mut self, index: usize, level: Level) -> bool {
        if self.kinds.is_empty() {
            self.kinds.resize(KINDS.len(), OfKind::default());
        }
        let Some(kind) = self.kinds.get_mut(index) else { return false };
        if kind.lines < limits::LOG_LINES_OF_A_KIND && self.lines < share(level) {
            self.lines += 1;
            kind.lines += 1;
            return true;
        }
        if kind.left_out == 0 {
            self.untold.push(index as u16);
        }
        kind.left_out += 1;
        self.dropped += 1;
        false
    }

    /// A kind of which no line was left out in this second, but before it; and how many were. To tell it is a line.
    fn next_sum(&mut self) -> Option<(usize, u64)> {
        let may = |kind: &OfKind, level: Level| kind.lines == 0 && self.lines < share(level);
        let at = self.untold.iter().position(|&index| {
            let index = usize::from(index);
            self.kinds.get(index).zip(KINDS.get(index)).is_some_and(|(kind, row)| may(kind, row.level))
        })?;
        let index = usize::from(self.untold.remove(at));
        let kind = self.kinds.get_mut(index)?;
        self.lines += 1;
        kind.lines += 1;
        Some((index, std::mem::take(&mut kind.left_out)))
    }
}

/// Lines of one second that may have gone out before one of this level.
const fn share(level: Level) -> u32 {
    limits::LOG_LINES_PER_SECOND - limits::LOG_LINES_LEFT * level as u32
}

const SECOND: Nanos = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Id;

    const FAULT: Event = Event::Fault { who: Id(1), status: -207 };
    const ENDED: Event = Event::SetEnded { set: Id(1), cause: 0 };

    fn admitted(limiter: &mut Limiter, event: &Event, times: usize) -> u32 {
        (0..times).map(|_| u32::from(limiter.admit(event.index(), event.level()))).sum()
    }

    #[test]
    fn a_kind_has_a_cap_and_hides_no_other() {
        let cap = limits::LOG_LINES_OF_A_KIND;
        for (times, lines) in [(cap - 1, cap - 1), (cap, cap), (cap + 1, cap), (1000, cap)] {
            let mut limiter = Limiter::default();
            assert_eq!(admitted(&mut limiter, &FAULT, times as usize), lines, "{times}");
            assert_eq!(limiter.dropped, u64::from(times - lines));
            assert_eq!(admitted(&mut limiter, &ENDED, 1), 1);
        }
    }

    #[test]
    fn what_was_left_out_is_told_by_kind_when_the_second_is_over() {
        let mut limiter = Limiter::default();
        admitted(&mut limiter, &FAULT, 100);
        admitted(&mut limiter, &ENDED, 20);
        assert_eq!(limiter.next_sum(), None, "the second goes on");
        limiter.begin(SECOND - 1);
        assert_eq!(limiter.next_sum(), None);
        limiter.begin(SECOND);
        assert_eq!(limiter.next_sum(), Some((FAULT.index(), 84)));
        assert_eq!(limiter.next_sum(), Some((ENDED.index(), 4)));
        assert_eq!(limiter.next_sum(), None, "once");
        assert_eq!(limiter.dropped, 88);
        assert_eq!(admitted(&mut limiter, &FAULT, 100), 15, "and the sum was a line of its kind");
    }

    #[test]
    fn each_level_leaves_lines_to_those_that_matter_more() {
        let mut limiter = Limiter::default();
        for (level, share) in [(Level::Trace, 40), (Level::Debug, 48), (Level::Info, 56), (Level::Warn, 64)] {
            for (index, _) in KINDS.iter().enumerate().filter(|(_, kind)| kind.level == level) {
                (0..100).for_each(|_| _ = limiter.admit(index, level));
            }
            assert_eq!(limiter.lines, share, "{level:?}");
        }
        limiter.begin(SECOND);
        let sums = std::iter::from_fn(|| limiter.next_sum()).count();
        assert!(sums == 64 || limiter.untold.is_empty(), "{sums}: sums are lines of the second");
        assert!(limiter.lines <= limits::LOG_LINES_PER_SECOND);
        limiter.begin(2 * SECOND);
        std::iter::from_fn(|| limiter.next_sum()).for_each(drop);
        assert!(limiter.untold.is_empty(), "the rest comes a second later");
        assert!(limiter.kinds.iter().all(|kind| kind.left_out == 0));
    }

    #[test]
    fn numbers_that_stand_for_words_are_told_in_words() {
        assert_eq!(word(0, "0 ready, 1 not linked"), Some("ready"));
        assert_eq!(word(1, "0 ready, 1 not linked"), Some("not linked"));
        assert_eq!(word(2, "0 ready, 1 not linked"), None);
        assert_eq!(word(0, "ns; 0: not measured"), None);
        for kind in KINDS {
            for field in kind.fields {
                let lists = field.unit.starts_with(|first: char| first.is_ascii_digit());
                assert_eq!(lists, field.unit.split(' ').next().is_some_and(|word| word.parse::<u32>().is_ok()));
                assert!(!lists || field.width == 1, "{}: {}", kind.name, field.name);
                let first = field.unit.split([' ', ',', ';']).next().and_then(|word| word.parse().ok());
                assert!(!lists || first.and_then(|first| word(first, field.unit)).is_some(), "{}", field.unit);
                assert_eq!(field.is_signed, field.unit.starts_with("a status"), "{}: {}", kind.name, field.name);
            }
        }
    }

    #[test]
    fn a_kind_says_what_happened_in_a_sentence() {
        for kind in KINDS {
            let text = kind.sentence();
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains(". "), "{}: {text}", kind.name);
            assert!(text.len() < 120, "{}: {text}", kind.name);
        }
        assert_eq!(KINDS[ENDED.index()].sentence(), "A set has ended");
    }

    #[test]
    fn a_class_is_wanted_when_it_has_a_kind_of_the_level() {
        let [warn, info, debug, trace] = Class::UP_TO;
        assert!(warn & Class::Faults.bit() != 0 && warn & Class::Sets.bit() == 0);
        assert!(info & Class::Sets.bit() != 0 && info & (Class::Messages.bit() | Class::Choice.bit()) == 0);
        assert!(info & Class::Edges.bit() == 0 && debug & Class::Edges.bit() != 0);
        assert_eq!(trace, Class::EVERY & !Class::States.bit());
    }
}
