//! Export and import of a set's numbers, for a host that keeps the numbers in its own structs.

use super::{LegIx, Set, NO_LEG};
use crate::base::{limits, Id};
use crate::conflux::Effect;

/// The numbers of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Numbers {
    /// Last number delivered.
    pub delivered: u64,
    /// The sending leg, or [`Id::NONE`].
    pub sending: Id,
}

/// The numbers of a leg.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LegNumbers {
    /// The leg.
    pub leg: Id,
    /// Last number sent on it.
    pub sent: u64,
    /// Last number received on it.
    pub received: u64,
}

impl Set {
    /// Returns the numbers; the legs in order of their places.
    pub fn export(&self) -> (Numbers, Vec<LegNumbers>) {
        let sending = self.legs.get(self.sender.into()).map_or(Id::NONE, |leg| leg.key);
        let legs = self.live().map(|(_, leg)| LegNumbers { leg: leg.key, sent: leg.sent, received: leg.received });
        (Numbers { delivered: self.delivered, sending }, legs.collect())
    }

    /// Sets all the numbers, or none when they contradict each other or the messages held. `rows` name legs of this set
    /// by place.
    pub fn import(
        &mut self,
        numbers: &Numbers,
        rows: &[(LegIx, LegNumbers)],
        effects: &mut Vec<Effect>,
    ) -> Result<(), Contradiction> {
        let index_of = |row: &(LegIx, LegNumbers)| usize::from(row.0);
        let after = |index: usize| rows.iter().rfind(|row| index_of(row) == index).map(|row| row.1);
        let held_behind = self.before_held < numbers.delivered;
        let below_held = rows.iter().any(|row| {
            let lane_last = self.legs.get(index_of(row)).and_then(|leg| leg.lane.last());
            row.1.received < lane_last.unwrap_or(0)
                || row.1.received > limits::NUMBER_MAX
                || row.1.sent > limits::NUMBER_MAX
        });
        let sending = self.live().find(|(_, leg)| leg.key == numbers.sending).map(|(index, _)| index);
        let sent_after =
            |index: usize| after(index).map_or_else(|| self.legs.get(index).map_or(0, |leg| leg.sent), |row| row.sent);
        let highest = self.live().map(|(index, _)| sent_after(index)).max().unwrap_or(0);
        let sending_fits = match sending {
            Some(index) => self.legs.get(index).is_some_and(|leg| leg.path.linked) && sent_after(index) == highest,
            // Without a sending leg nothing has been sent yet.
            None => numbers.sending == Id::NONE && highest == 0,
        };
        let recv_after = |index: usize| {
            after(index).map_or_else(|| self.legs.get(index).map_or(0, |leg| leg.received), |row| row.received)
        };
        // A delivered message was received on some leg, and an unlinked leg has neither sent nor received.
        let received = self.live().map(|(index, _)| recv_after(index)).max().unwrap_or(0);
        let before_link =
            self.live().any(|(index, leg)| !leg.state.is_linked() && (recv_after(index), sent_after(index)) != (0, 0));
        if held_behind || below_held || !sending_fits || before_link || numbers.delivered > received {
            return Err(Contradiction);
        }
        // A SWITCH no longer waits for its message when the sending leg has changed, or has sent a message that the
        // host did not report.
        let moved = self.sending() != sending
            || sending.is_some_and(|index| self.legs.get(index).map(|leg| leg.sent) != Some(sent_after(index)));
        let added = numbers.delivered.wrapping_sub(self.delivered);
        let outside = &mut self.tally().delivered_outside;
        *outside = outside.wrapping_add(added);
        let sent_before = self.highest_sent();
        for row in rows {
            if let Some(leg) = self.legs.get_mut(index_of(row)) {
                if row.1.received > leg.received {
                    // The host has received messages that it did not report.
                    leg.bare = false;
                }
                leg.received = row.1.received;
                leg.sent = row.1.sent;
            }
        }
        let added = self.highest_sent().wrapping_sub(sent_before);
        let outside = &mut self.tally().sent_outside;
        *outside = outside.wrapping_add(added);
        if self.sending() != sending {
            self.since_switch = 0;
            self.note_began(self.highest_sent());
        }
        self.sender = sending.map_or(NO_LEG, |index| index as LegIx);
        self.bare &= !moved;
        self.settled = 0;
        self.delivered = numbers.delivered;
        self.mark_ready(effects);
        self.refresh_catch_up();
        self.check_resume(effects);
        Ok(())
    }
}

/// Imported numbers contradict each other, or the messages held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contradiction;
