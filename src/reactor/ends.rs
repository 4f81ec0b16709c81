//! Congestion control with the hops where streams of a circuit end, most often one hop. It is made with the first DATA,
//! so a relay that only passes cells on pays nothing for it.

use crate::base::Nanos;
use crate::conflux::Report;
use crate::congestion::{Acks, Inc, Params, Window};
use std::sync::Arc;

/// Congestion control with one hop.
#[derive(Debug)]
pub struct End {
    hop: u8,
    /// Congestion window for DATA that we send to the hop.
    pub window: Window,
    /// Counts DATA from the hop, for the SENDMEs that we owe.
    pub acks: Acks,
}

/// Terms of congestion control with each hop. When a circuit grows, the hops that were there keep their terms (C16).
#[derive(Debug)]
pub struct HopTerms {
    /// Parameters of congestion and flow control.
    pub params: Arc<Params>,
    /// DATA cells that one SENDME acknowledges, as negotiated with the hop.
    pub inc: Inc,
    /// The last hop before the circuit grew last, and the terms for the hops up to there.
    older: Option<Box<(u8, HopTerms)>>,
}

impl HopTerms {
    /// Equal terms for every hop.
    pub fn new(params: Arc<Params>, inc: Inc) -> Self {
        HopTerms { params, inc, older: None }
    }

    /// Sets the terms of the hops behind `last`.
    pub fn grow(&mut self, last: u8, params: Arc<Params>, inc: Inc) {
        let older = std::mem::replace(self, HopTerms::new(params, inc));
        self.older = Some(Box::new((last, older)));
    }

    /// The terms of one hop.
    #[inline]
    pub fn of(&self, hop: u8) -> &HopTerms {
        match &self.older {
            None => self,
            Some(_) => self.of_one_of_several(hop),
        }
    }

    #[cold]
    fn of_one_of_several(&self, hop: u8) -> &HopTerms {
        let mut terms = self;
        while let Some((_, older)) = terms.older.as_deref().filter(|&&(last, _)| hop <= last) {
            terms = older;
        }
        terms
    }
}

/// Congestion control with all hops of a circuit, in the order in which the hops were first used.
#[derive(Debug, Default)]
pub struct Ends(Vec<End>);

impl Ends {
    /// Congestion control with a hop, none before its first use; with `USUAL`, none also when it is not the first hop
    /// that was used.
    #[inline(always)]
    pub fn look<const USUAL: bool>(&mut self, hop: u8) -> Option<&mut End> {
        if USUAL {
            self.0.first_mut().filter(|end| end.hop == hop)
        } else {
            self.find(hop)
        }
    }

    /// Congestion control with a hop, none before its first use.
    #[inline]
    pub fn find(&mut self, hop: u8) -> Option<&mut End> {
        self.0.iter_mut().find(|end| end.hop == hop)
    }

    /// The counter of DATA from a hop, none before its first use; with `USUAL`, none also when the next DATA is due a
    /// SENDME.
    #[inline(always)]
    pub fn counting<const USUAL: bool>(&mut self, hop: u8) -> Option<&mut Acks> {
        self.look::<USUAL>(hop).map(|end| &mut end.acks).filter(|acks| !USUAL || !acks.is_due_next())
    }

    /// The window towards a hop, none before its first use; with `USUAL`, none also when a SENDME will acknowledge
    /// just the next DATA.
    #[inline(always)]
    pub fn window<const USUAL: bool>(&mut self, hop: u8) -> Option<&mut Window> {
        self.look::<USUAL>(hop).map(|end| &mut end.window).filter(|window| !USUAL || !window.awaits_next())
    }

    /// True when the next DATA from a hop is due a SENDME.
    pub fn is_due(&mut self, hop: u8) -> bool {
        self.find(hop).is_some_and(|end| end.acks.is_due_next())
    }

    /// Congestion control with a hop, made on first use.
    #[inline(always)]
    pub fn at(&mut self, hop: u8, terms: &HopTerms) -> &mut End {
        // Most often the hop is the only one.
        if self.0.first().is_some_and(|end| end.hop == hop) {
            return &mut self.0[0];
        }
        let index = self.find_or_make(hop, terms);
        &mut self.0[index]
    }

    #[inline(never)]
    fn find_or_make(&mut self, hop: u8, terms: &HopTerms) -> usize {
        if let Some(index) = self.0.iter().position(|end| end.hop == hop) {
            return index;
        }
        let terms = terms.of(hop);
        self.0.reserve_exact(1);
        let window = Window::new(Arc::clone(&terms.params), terms.inc);
        self.0.push(End { hop, window, acks: Acks::new(terms.inc) });
        self.0.len() - 1
    }

    /// True when the window towards a hop takes DATA. A window that was never used does.
    #[inline]
    pub fn has_room(&mut self, hop: u8) -> bool {
        self.find(hop).is_none_or(|end| end.window.room() > 0)
    }

    /// The longest round trip measured with any hop, 0 when none was measured.
    pub fn max_rtt(&self) -> Nanos {
        self.0.iter().map(|end| end.window.max_rtt()).max().unwrap_or(0)
    }
}

impl End {
    /// The report that a set needs about its leg.
    pub fn report(&self, blocked: bool) -> Report {
        Report {
            cwnd: self.window.cwnd().into(),
            inflight: self.window.inflight().into(),
            rtt: self.window.rtt().unwrap_or(0),
            sendme_inc: self.window.inc().get(),
            slow_start: self.window.in_slow_start(),
            blocked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::congestion::PathClass;

    #[test]
    fn each_hop_keeps_its_terms_however_often_a_circuit_grows() {
        let params = |class| Arc::new(Params::default_for(class));
        let inc = |inc| Inc::new(inc).unwrap();
        let mut terms = HopTerms::new(params(PathClass::Exit), inc(30));
        assert_eq!(terms.of(3).inc, inc(30));
        terms.grow(3, params(PathClass::Onion), inc(31));
        terms.grow(4, params(PathClass::Sbws), inc(32));
        for (hop, want, class) in [
            (0, 30, PathClass::Exit),
            (1, 30, PathClass::Exit),
            (3, 30, PathClass::Exit),
            (4, 31, PathClass::Onion),
            (5, 32, PathClass::Sbws),
            (16, 32, PathClass::Sbws),
        ] {
            assert_eq!(terms.of(hop).inc, inc(want), "{hop}");
            assert_eq!(terms.of(hop).params.alpha, params(class).alpha, "{hop}");
        }
        let mut ends = Ends::default();
        assert_eq!(ends.at(2, &terms).window.inc(), inc(30), "also a hop that is first used after the circuit grew");
        assert_eq!(ends.at(5, &terms).window.inc(), inc(32));
    }
}
