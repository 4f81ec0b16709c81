//! Holds a world's record against the promises: each set delivers the numbers 1, 2, 3 and so on, and sends them; what
//! is held waits for the next; a set opens and ends once.

use circflow::event::{values, Records, Value};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Takes pieces of a record, as they come, and panics at the first event that cannot be.
#[derive(Default)]
pub struct Order {
    sets: BTreeMap<(u32, u64), Seen>,
}

/// What was recorded of a set so far.
#[derive(Default)]
struct Seen {
    delivered: u64,
    sent: u64,
    is_over: bool,
}

impl Order {
    fn take(&mut self, engine: u32, name: &str, field: impl Fn(&str) -> u64) {
        let set = |name| (engine, field(name));
        match name {
            "SetOpened" => {
                assert!(self.sets.insert(set("set"), Seen::default()).is_none(), "a set opens once");
            }
            "SetEnded" => {
                let seen = self.sets.entry(set("set")).or_default();
                assert!(!std::mem::replace(&mut seen.is_over, true), "a set ends once");
            }
            "InOrder" | "Released" => {
                let seen = self.sets.entry(set("set")).or_default();
                assert!(name == "Released" || !seen.is_over, "an ended set receives nothing");
                seen.delivered += 1;
                assert_eq!(field("number"), seen.delivered, "{name}: the numbers of a set are delivered in turn");
            }
            "Held" => {
                let seen = self.sets.entry(set("set")).or_default();
                assert_eq!(field("missing"), seen.delivered + 1, "a held message waits for the next");
                assert!(field("number") > seen.delivered && field("held") > 0, "a held message had no turn yet");
            }
            "Sent" => {
                let seen = self.sets.entry(set("set")).or_default();
                assert!(!seen.is_over, "an ended set sends nothing");
                seen.sent += 1;
                assert_eq!(field("number"), seen.sent, "the numbers of a set are sent in turn");
            }
            "LegLooked" => {
                let has_room = field("in_flight") < field("cwnd");
                assert!(field("state") != 0 || has_room, "a leg that is ready has room");
                assert!(field("state") != 2 || !has_room, "a leg whose window is full has none");
            }
            _ => {}
        }
    }
}

impl Write for Order {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let mut records = Records::new(piece);
        for (header, fields) in records.by_ref() {
            let Some(kind) = header.kind() else { continue };
            let read: Vec<(&str, u64)> = values(kind, fields)
                .map(|(field, value)| match value {
                    Value::Unsigned(number) => (field.name, number),
                    Value::Signed(number) => (field.name, number as u64),
                })
                .collect();
            let field = |name: &str| read.iter().find(|(field, _)| *field == name).expect("a field of the kind").1;
            self.take(header.engine, kind.name, field);
        }
        assert!(records.rest().is_empty(), "a piece has whole records");
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
