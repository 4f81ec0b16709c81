//! The tracks of a picture: what is written of spans, counters and moments, each once on the track that it belongs to.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// A track: the process and the thread that stand for it.
pub type Track = (u32, u32);

/// Writes the events of the picture.
#[derive(Default)]
pub struct Tracks {
    processes: u32,
    threads: HashMap<(u32, String), u32>,
    spans: BTreeMap<Track, (String, i64)>,
    has_written: bool,
}

impl Tracks {
    /// A new process, with its name.
    pub fn process(&mut self, name: &str, to: &mut String) -> u32 {
        self.processes += 1;
        let pid = self.processes;
        self.item(to);
        let _ = write!(
            to,
            "{{\"ph\":\"M\",\"pid\":{pid},\"tid\":0,\"name\":\"process_name\",\"args\":{{\"name\":\"{name}\"}}}}"
        );
        pid
    }

    /// The track of this name in a process; a new one, where there is none.
    pub fn track(&mut self, pid: u32, name: &str, to: &mut String) -> Track {
        let next = self.threads.len() as u32 + 1;
        if let Some(&tid) = self.threads.get(&(pid, name.to_owned())) {
            return (pid, tid);
        }
        self.threads.insert((pid, name.to_owned()), next);
        self.item(to);
        let _ = write!(
            to,
            "{{\"ph\":\"M\",\"pid\":{pid},\"tid\":{next},\"name\":\"thread_name\",\"args\":{{\"name\":\"{name}\"}}}}"
        );
        (pid, next)
    }

    /// The track of this name in a process, if something lasts there.
    pub fn lasting(&self, pid: u32, name: &str) -> Option<Track> {
        if self.spans.is_empty() {
            return None;
        }
        let tid = *self.threads.get(&(pid, name.to_owned()))?;
        self.spans.contains_key(&(pid, tid)).then_some((pid, tid))
    }

    /// Something begins on a track, unless something lasts there.
    pub fn begin(&mut self, track: Track, name: &str, time: i64) {
        self.spans.entry(track).or_insert_with(|| (name.to_owned(), time));
    }

    /// What lasts on a track ends.
    pub fn end(&mut self, track: Track, time: i64, to: &mut String) {
        let Some((name, begun)) = self.spans.remove(&track) else { return };
        self.item(to);
        let (pid, tid) = track;
        let _ = write!(to, "{{\"ph\":\"X\",\"pid\":{pid},\"tid\":{tid},\"name\":\"{name}\",\"ts\":");
        micros(begun, to);
        to.push_str(",\"dur\":");
        micros(time.saturating_sub(begun).max(0), to);
        to.push('}');
    }

    /// All that lasts ends.
    pub fn end_all(&mut self, time: i64, to: &mut String) {
        while let Some((&track, _)) = self.spans.first_key_value() {
            self.end(track, time, to);
        }
    }

    /// A moment on a track; `args` are members of an object.
    pub fn moment(&mut self, track: Track, name: &str, time: i64, args: &str, to: &mut String) {
        self.item(to);
        let (pid, tid) = track;
        let _ = write!(to, "{{\"ph\":\"i\",\"s\":\"t\",\"pid\":{pid},\"tid\":{tid},\"name\":\"{name}\",\"ts\":");
        micros(time, to);
        let _ = write!(to, ",\"args\":{{{args}}}}}");
    }

    /// The values of a counter of a process, from this time on.
    pub fn count(&mut self, pid: u32, name: &str, time: i64, values: &[(&str, u64)], to: &mut String) {
        self.item(to);
        let _ = write!(to, "{{\"ph\":\"C\",\"pid\":{pid},\"tid\":0,\"name\":\"{name}\",\"ts\":");
        micros(time, to);
        to.push_str(",\"args\":{");
        for (at, (name, value)) in values.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(to, "{comma}\"{name}\":{value}");
        }
        to.push_str("}}");
    }

    fn item(&mut self, to: &mut String) {
        to.push_str(if self.has_written { ",\n" } else { "\n" });
        self.has_written = true;
    }
}

/// Microseconds, as the form counts, with all that is behind the point.
fn micros(ns: i64, to: &mut String) {
    let (sign, ns) = (if ns < 0 { "-" } else { "" }, ns.unsigned_abs());
    let _ = write!(to, "{sign}{}.{:03}", ns / 1_000, ns % 1_000);
}
