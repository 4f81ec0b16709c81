//! Congestion control with the hops where streams of a circuit end: most often one. There is none before the first
//! DATA, so that a relay which only passes cells on pays nothing for it.

use crate::base::Nanos;
use crate::conflux::Report;
use crate::congestion::{Acks, Inc, Params, Window};
use std::sync::Arc;

/// What we know of one hop.
#[derive(Debug)]
pub struct End {
    hop: u8,
    /// What we send to it.
    pub window: Window,
    /// What it sends to us.
    pub acks: Acks,
}

/// All of one circuit, the first one used first.
#[derive(Debug, Default)]
pub struct Ends(Vec<End>);

impl Ends {
    /// What is known of a hop.
    #[inline]
    pub fn find(&mut self, hop: u8) -> Option<&mut End> {
        self.0.iter_mut().find(|end| end.hop == hop)
    }

    /// What a hop has sent to us, unless its next DATA is due a SENDME.
    #[inline(always)]
    pub fn counting(&mut self, hop: u8) -> Option<&mut Acks> {
        self.find(hop).map(|end| &mut end.acks).filter(|acks| !acks.is_due_next())
    }

    /// What is known of a hop; in the beginning nothing.
    #[inline]
    pub fn at(&mut self, hop: u8, params: &Arc<Params>, sendme_inc: Inc) -> &mut End {
        let index = match self.0.iter().position(|end| end.hop == hop) {
            Some(index) => index,
            None => self.make(hop, params, sendme_inc),
        };
        &mut self.0[index]
    }

    #[cold]
    fn make(&mut self, hop: u8, params: &Arc<Params>, sendme_inc: Inc) -> usize {
        self.0.reserve_exact(1);
        let window = Window::new(Arc::clone(params), sendme_inc);
        self.0.push(End { hop, window, acks: Acks::new(sendme_inc) });
        self.0.len() - 1
    }

    /// Whether the window towards a hop takes DATA: one that was never used does.
    #[inline]
    pub fn has_room(&mut self, hop: u8) -> bool {
        self.find(hop).is_none_or(|end| end.window.room() > 0)
    }

    /// The longest round trip that was ever measured, 0 for none.
    pub fn max_rtt(&self) -> Nanos {
        self.0.iter().map(|end| end.window.max_rtt()).max().unwrap_or(0)
    }
}

impl End {
    /// What a set wants to know of a leg.
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
