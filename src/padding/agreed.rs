//! Padders that the two ends of a circuit have agreed on: the messages of the negotiation, carried out.

use super::negotiation::{Negotiation, Outcome, Word};
use super::{Key, NotNow, PadderTerms, Padding};
use crate::base::{limits, Nanos};
use crate::wire::fault::Fault;
use crate::wire::padding::{Negotiate, Negotiated};

/// What becomes of padding, or of a message about it, that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// It has done its duty.
    Consume,
    /// It is another padder's.
    PassOn,
    /// The circuit is to close.
    Close(Fault),
}

/// Judges what came. `ours`: whether what was installed or agreed on explains it, or whose fault it is; `is_client`: a
/// client accepts nothing unexplained (CP-10), a relay's peer pads as it likes; `beside`: another padder runs here too.
pub fn judge(ours: Result<bool, Fault>, is_client: bool, beside: bool) -> Judgement {
    match ours {
        Ok(true) => Judgement::Consume,
        Ok(false) | Err(_) if beside => Judgement::PassOn,
        Ok(false) if !is_client => Judgement::Consume,
        Ok(false) => Judgement::Close(Fault::PaddingUnexpected),
        Err(fault) => Judgement::Close(fault),
    }
}

/// Relay: the answer of a circuit on which nothing was agreed, to what it has not: nobody gets memory here by asking.
pub fn decline(question: &Negotiate) -> Option<Negotiated> {
    Negotiation::default().asked(question, None).0
}

impl Padding {
    /// Client: asks for padding at a hop and sets its own part up.
    pub fn start(&mut self, number: u8, terms: &PadderTerms, now: Nanos, key: Key) -> Result<Negotiate, NotNow> {
        if self.has(terms.hop, terms.slot) {
            return Err(NotNow::Running);
        }
        let question = self.negotiation.start(number, terms.hop, terms.slot)?;
        if !self.install(terms, now, key) {
            self.negotiation.forget(number);
            return Err(NotNow::Full);
        }
        Ok(question)
    }

    /// Client: asks for its end, and takes its own part down.
    pub fn stop(&mut self, number: u8, now: Nanos) -> Result<(Negotiate, u8), NotNow> {
        let (question, hop, slot) = self.negotiation.stop(number)?;
        self.remove(hop, slot, now, false);
        Ok((question, hop))
    }

    /// Client: the relay answered.
    pub fn negotiated(&mut self, hop: u8, answer: &Negotiated, now: Nanos) -> Result<Word, Fault> {
        let outcome = self.negotiation.answered(hop, answer)?;
        self.carry_out(outcome, now);
        if outcome == Outcome::Confirmed && !self.negotiation.is_stopping(hop) {
            self.leaving.retain(|&(left, _)| left != hop);
        }
        Ok(Word::of(answer, outcome))
    }

    /// Relay: the client asks. `terms` is what its number means here, if anything.
    pub fn asked(
        &mut self,
        question: &Negotiate,
        terms: Option<&PadderTerms>,
        now: Nanos,
        key: Key,
    ) -> Option<Negotiated> {
        let free = terms.filter(|terms| !self.has(terms.hop, terms.slot) && self.padders.len() < limits::PADDERS_MAX);
        let (answer, outcome) = self.negotiation.asked(question, free.map(|terms| terms.slot));
        match (outcome, free) {
            (Outcome::Install, Some(terms)) => {
                self.install(terms, now, key);
            }
            _ => self.carry_out(outcome, now),
        }
        answer
    }

    /// Relay: ends a machine on its own account.
    pub fn end(&mut self, number: u8, now: Nanos) -> Result<Negotiated, NotNow> {
        let (news, outcome) = self.negotiation.end(number)?;
        self.carry_out(outcome, now);
        Ok(news)
    }

    /// True when a padder was negotiated.
    pub fn is_negotiated(&self, hop: u8, slot: u8) -> bool {
        self.negotiation.number_of(hop, slot).is_some()
    }

    /// The number of a negotiated machine that has ended for good and was to be stopped then.
    pub fn ended(&self) -> Option<u8> {
        let mut over = self.padders.iter().filter(|padder| padder.stop_at_end && padder.is_over());
        over.find_map(|padder| self.negotiation.number_of(padder.hop, padder.slot))
    }

    fn carry_out(&mut self, outcome: Outcome, now: Nanos) {
        if let Outcome::Remove { hop, slot } = outcome {
            self.remove(hop, slot, now, true);
        }
    }
}
