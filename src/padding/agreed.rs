//! Negotiated padders: sets padders up and takes them down as the messages of the negotiation ask.

use super::negotiation::{Negotiation, Outcome, Reply};
use super::{Key, NotNow, PadderTerms, Padding, Watch};
use crate::base::{limits, Nanos};
use crate::wire::fault::Fault;
use crate::wire::padding::{Negotiate, Negotiated};

/// Decision about a padding cell, or a message of the negotiation, that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// Nothing more: padding has handled it.
    Consume,
    /// Pass it on to the host, which runs padding of its own on this circuit.
    PassOn,
    /// Close the circuit.
    Close(Fault),
}

/// Decides what to do with padding that came. `ours` is true when a padder or the negotiation accounts for it, and a
/// fault when it breaks a limit or a rule. A client closes on padding that is not accounted for (CP-10), a relay does
/// not. `beside` is true when the host runs padding of its own on this circuit.
pub fn judge(ours: Result<bool, Fault>, is_client: bool, beside: bool) -> Judgement {
    match ours {
        Ok(true) => Judgement::Consume,
        Ok(false) | Err(_) if beside => Judgement::PassOn,
        Ok(false) if !is_client => Judgement::Consume,
        Ok(false) => Judgement::Close(Fault::PaddingUnexpected),
        Err(fault) => Judgement::Close(fault),
    }
}

/// Relay: answers for a circuit without padding, when the client asks for machines that the relay does not have. The
/// question alone takes no memory.
pub fn decline(question: &Negotiate) -> Option<Negotiated> {
    Negotiation::default().asked(question, None).0
}

impl Padding {
    /// Client: asks for padding at a hop and sets its own padder up. Returns the message to send.
    pub fn start(
        &mut self,
        number: u8,
        terms: &PadderTerms,
        now: Nanos,
        key: Key,
        watch: &mut impl Watch,
    ) -> Result<Negotiate, NotNow> {
        if self.has(terms.hop, terms.slot) {
            return Err(NotNow::Running);
        }
        let question = self.negotiation.start(number, terms.hop, terms.slot)?;
        if !self.install(terms, now, key, watch) {
            self.negotiation.forget(number);
            return Err(NotNow::Full);
        }
        Ok(question)
    }

    /// Client: asks the relay to stop a machine, and takes its own padder down. Returns the message to send, and its
    /// hop.
    pub fn stop(&mut self, number: u8, now: Nanos, watch: &mut impl Watch) -> Result<(Negotiate, u8), NotNow> {
        let (question, hop, slot) = self.negotiation.stop(number)?;
        self.remove(hop, slot, now, false, watch);
        Ok((question, hop))
    }

    /// Client: handles the relay's answer.
    pub fn negotiated(
        &mut self,
        hop: u8,
        answer: &Negotiated,
        now: Nanos,
        watch: &mut impl Watch,
    ) -> Result<Reply, Fault> {
        let outcome = self.negotiation.answered(hop, answer)?;
        self.carry_out(outcome, now, watch);
        if outcome == Outcome::Confirmed && !self.negotiation.is_stopping(hop) {
            self.leaving.retain(|&(left, _)| left != hop);
        }
        Ok(Reply::of(answer, outcome))
    }

    /// Relay: handles the client's question. `terms` is the configuration for the machine's number, none when the relay
    /// does not know the number. Returns the answer to send.
    pub fn asked(
        &mut self,
        question: &Negotiate,
        terms: Option<&PadderTerms>,
        now: Nanos,
        key: Key,
        watch: &mut impl Watch,
    ) -> Option<Negotiated> {
        let free = terms.filter(|terms| !self.has(terms.hop, terms.slot) && self.padders.len() < limits::PADDERS_MAX);
        let (answer, outcome) = self.negotiation.asked(question, free.map(|terms| terms.slot));
        match (outcome, free) {
            (Outcome::Install, Some(terms)) => {
                self.install(terms, now, key, watch);
            }
            _ => self.carry_out(outcome, now, watch),
        }
        answer
    }

    /// Relay: ends a machine by itself. Returns the message to send.
    pub fn end(&mut self, number: u8, now: Nanos, watch: &mut impl Watch) -> Result<Negotiated, NotNow> {
        let (news, outcome) = self.negotiation.end(number)?;
        self.carry_out(outcome, now, watch);
        Ok(news)
    }

    /// True when the padder at this place was negotiated.
    pub fn is_negotiated(&self, hop: u8, slot: u8) -> bool {
        self.negotiation.number_of(hop, slot).is_some()
    }

    /// Returns the number of a negotiated machine that has ended for good and has to be stopped then.
    #[inline]
    pub fn ended(&self) -> Option<u8> {
        if self.padders.iter().any(|padder| padder.stop_at_end) {
            self.find_ended()
        } else {
            None
        }
    }

    fn find_ended(&self) -> Option<u8> {
        let mut over = self.padders.iter().filter(|padder| padder.stop_at_end && padder.is_over());
        over.find_map(|padder| self.negotiation.number_of(padder.hop, padder.slot))
    }

    fn carry_out(&mut self, outcome: Outcome, now: Nanos, watch: &mut impl Watch) {
        if let Outcome::Remove { hop, slot } = outcome {
            self.remove(hop, slot, now, true, watch);
        }
    }
}
