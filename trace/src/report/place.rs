//! Which padder of a circuit an event is about.

use crate::file::Entry;
use std::collections::BTreeMap;

/// A padder: its hop, and its slot there.
pub type PadderPlace = (u64, u64);

/// The first padder of each hop of a circuit. It gets what has to do with the hop alone.
#[derive(Clone, Default, Debug)]
pub struct Places {
    first: BTreeMap<u64, u64>,
}

impl Places {
    /// None for events that no padder has a part in yet.
    pub fn of(&mut self, entry: &Entry) -> Option<PadderPlace> {
        if entry.kind.name == "PaddingNegotiated" {
            return None;
        }
        let hop = entry.get("hop")?;
        let slot = match entry.get("slot") {
            Some(slot) => {
                self.first.entry(hop).or_insert(slot);
                slot
            }
            None => self.first.get(&hop).copied().unwrap_or(0),
        };
        Some((hop, slot))
    }
}

/// "hop 3", and "hop 3, slot 1" for the others there.
pub fn name((hop, slot): PadderPlace) -> String {
    match slot {
        0 => format!("hop {hop}"),
        _ => format!("hop {hop}, slot {slot}"),
    }
}
