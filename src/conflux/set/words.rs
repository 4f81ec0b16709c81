//! Text that explains why a set sends nothing now.

use super::Set;
use crate::base::{limits, Id};
use crate::conflux::leg::Leg;
use std::fmt::Write;

impl Set {
    /// Lists for each leg why it takes no message. `is_reported` is true when the host reports the legs' state.
    pub fn why_blocked(&self, is_reported: bool) -> String {
        let mut text = String::from("no leg has room");
        let mut lead = ": ";
        let (waiting, most) = (self.outbox.len, self.terms.held_sends_max);
        if waiting >= most && (waiting > 0 || self.is_held_back()) {
            let _ = write!(text, "{lead}{waiting} messages wait to be sent, and held_sends_max is {most}");
            lead = "; ";
        }
        let mut would_help = false;
        for (_, leg) in self.live() {
            let _ = write!(text, "{lead}circuit {:#x} (tag {:#x}) {}", leg.key.0, leg.tag, self.lack_of(leg));
            would_help |= leg.path.linked && (leg.path.inflight >= leg.path.cwnd || leg.path.blocked);
            lead = "; ";
        }
        if is_reported && would_help {
            text.push_str("; circflow_leg_update() says when a leg has room");
        }
        text
    }

    /// The reason why one leg takes no message.
    fn lack_of(&self, leg: &Leg) -> String {
        let path = &leg.path;
        if !path.linked {
            return "is not linked".to_owned();
        }
        let mut lacks = Vec::new();
        if !leg.is_reported {
            lacks.push("was never reported, and so has no window".to_owned());
        } else if path.inflight >= path.cwnd {
            lacks.push(format!("has a full window, {} of {} cells in flight", path.inflight, path.cwnd));
        }
        if path.blocked {
            lacks.push("has a blocked channel".to_owned());
        }
        if path.padded {
            lacks.push("is blocked by padding".to_owned());
        }
        if lacks.is_empty() {
            lacks.push(format!("has room, and is not chosen: {}", self.why_not_chosen(leg)));
        }
        lacks.join(", and ")
    }

    fn why_not_chosen(&self, leg: &Leg) -> &'static str {
        if self.bare {
            "a SWITCH went out on another leg, which has to carry the next message"
        } else if self.highest_sent().saturating_sub(leg.sent) > limits::SWITCH_DELTA_MAX {
            "it is too far behind for a SWITCH"
        } else if self.outbox.len > 0 {
            "what waits goes first"
        } else if self.named_leg() != Id::NONE {
            "the host has named another one"
        } else {
            "the algorithm waits for a better one"
        }
    }
}
