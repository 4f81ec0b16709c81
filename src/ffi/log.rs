//! Log lines: `tracing` events of this library, delivered to one C function.
//!
//! This is the one thing that belongs to the process and not to an engine, and it exists only once a host asks for it.

use super::door;
use super::outside::{self, Line};
use super::status::circflow_status;
use super::status::circflow_status::*;
use libc::{c_char, c_void};
use once_cell::sync::OnceCell;
use parking_lot::RwLock;
use std::ffi::CString;
use std::fmt::{Debug, Display, Write};
use tracing::field::{Field, Visit};
use tracing::metadata::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// A function of yours that gets each log line: the level from 1 (error) to 5 (trace), the engine_number, and the text,
/// which is valid during the call. A line comes at the end of the call that it is about. Inside it, do not call
/// functions on that engine.
pub type circflow_log_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, level: u32, engine_number: u32, line: *const c_char)>;

/// Sets the function that gets the log lines of this library, for the whole process. NULL: none. Without a function no
/// line is made. A line is about an event of docs/events.md: the name of its kind, what happened, and the kind's
/// fields. Level 3 tells the life of sets and legs, 4 what changes something, 5 every message. Secrets (nonces) are
/// never in a line. Levels 4 and 5 tell when messages came and went: at a relay, what docs/events.md says of records
/// holds for them.
///
/// An engine gives at most 64 lines in one second of your clock, 16 of them of one kind, and leaves some of the 64 to
/// lines of lower levels. How many of a kind were left out is told when the second is over; log_dropped counts them.
///
/// An engine sees a new level at the end of its next drain; for lines of levels 1 to 3, at once.
///
/// If Rust code in your process has set a `tracing` subscriber of its own, that gets the lines, and this call has no
/// effect. A line that another thread is making may still reach the old function after this call: keep its userdata
/// valid until the calls of those threads have returned.
///
/// @param fn         Called in whatever thread makes the line.
/// @param level_max  The highest level to log: 1 error, 2 warn, 3 info, 4 debug, 5 trace.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: level_max is not 1 to 5.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub unsafe extern "C-unwind" fn circflow_log_set_fn(
    level_max: u32,
    r#fn: circflow_log_fn,
    userdata: *mut c_void,
) -> circflow_status {
    door::alone(|| {
        if !(1..=5).contains(&level_max) {
            return CIRCFLOW_ERR_INVALID;
        }
        let sink = SINK.get_or_init(|| {
            // Fails when the process has a subscriber already; that one then gets our lines.
            let _ = tracing::subscriber::set_global_default(ToHost);
            RwLock::new(None)
        });
        *sink.write() = r#fn.map(|call| Host { call, userdata: userdata as usize, level_max });
        tracing::callsite::rebuild_interest_cache();
        CIRCFLOW_OK
    })
}

static SINK: OnceCell<RwLock<Option<Host>>> = OnceCell::new();

#[derive(Clone, Copy)]
struct Host {
    call: unsafe extern "C-unwind" fn(*mut c_void, u32, u32, *const libc::c_char),
    /// A number, as the pointer is the host's and is never followed here.
    userdata: usize,
    level_max: u32,
}

struct ToHost;

impl ToHost {
    /// A copy, so that no lock is held while the host's function runs.
    fn host() -> Option<Host> {
        *SINK.get()?.read()
    }
}

impl Subscriber for ToHost {
    /// The engines look at the highest level of all subscribers.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(Self::host().map_or(LevelFilter::OFF, |host| filter(host.level_max)))
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "circflow" && Self::host().is_some_and(|host| number(*metadata.level()) <= host.level_max)
    }

    fn event(&self, event: &Event<'_>) {
        if Self::host().is_none() {
            return;
        }
        let mut words = Words { text: event.metadata().name().to_owned(), engine: 0 };
        event.record(&mut words);
        let Ok(text) = CString::new(words.text) else { return };
        outside::log(Line { level: number(*event.metadata().level()), engine: words.engine, text, deliver });
    }

    // The library opens no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Hands a line to the host, if it still wants it.
fn deliver(line: &Line) {
    let Some(host) = ToHost::host().filter(|host| line.level <= host.level_max) else { return };
    // SAFETY: the host's own function and user data; the text lives until it returns.
    unsafe { (host.call)(host.userdata as *mut c_void, line.level, line.engine, line.text.as_ptr()) }
}

/// The name of the kind, the message, then ` name=value` for each field; the engine's number travels apart.
struct Words {
    text: String,
    engine: u32,
}

impl Words {
    fn add(&mut self, field: &Field, value: impl Display) {
        let _ = match field.name() {
            "message" => write!(self.text, ": {value}"),
            name => write!(self.text, " {name}={value}"),
        };
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "engine" => self.engine = value as u32,
            _ => self.add(field, value),
        }
    }
}

fn filter(level: u32) -> LevelFilter {
    match level {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

fn number(level: Level) -> u32 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}
