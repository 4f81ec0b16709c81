//! Circuits that get longer after they were opened (C16).

use crate::base::{Hops, Id, Nanos};
use crate::conflux::Role;
use crate::congestion::{Inc, Params, PathClass};
use crate::engine::{Blocked, CircuitFlags, Engine, Error, Misuse, Place};
use std::sync::Arc;

/// The new length of a circuit, and terms of its new hops.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Its hops from now on; 0 for one more.
    pub length: u8,
    /// The number of the last of them.
    pub join: u64,
    /// The flags of the new last hop, out of [`CircuitFlags::LAST_HOP`].
    pub flags: CircuitFlags,
    /// Which parameters of congestion control hold for the hops that are new.
    pub class: PathClass,
    /// DATA cells that one SENDME acknowledges, as negotiated with the new hops; 0 for the parameter.
    pub sendme_inc: u8,
}

impl Engine {
    /// Reports that a client's circuit has got longer. Windows, padders, streams and waiting messages of the earlier
    /// hops stay.
    pub fn extend_circuit(&mut self, now: Nanos, id: Id, growth: &Growth) -> Result<(), Error> {
        self.enter_for_circuits(now, std::iter::once(id))?;
        let circuit = self.circuits.lookup(id)?;
        match circuit.place {
            Place::Alone => {}
            Place::Leg { .. } | Place::Away => return Err(Misuse::InSet.into()),
            Place::Closing => return Err(Blocked::Gone.into()),
        }
        let (config, is_run) = (circuit.config, circuit.reactor.is_some());
        if config.role != Role::Client {
            return Err(Misuse::Role.into());
        }
        let last = config.hops.last();
        let length = if growth.length == 0 { last + 1 } else { growth.length };
        let Some(hops) = Hops::new(length, growth.join).filter(|hops| hops.last() > last) else {
            return Err(self.invalid("a circuit gets longer by one hop or more, and has 16 at most"));
        };
        if is_run && config.flags.has(CircuitFlags::VEGAS) != growth.flags.has(CircuitFlags::VEGAS) {
            return Err(self.invalid("a circuit that circflow runs has Vegas with all its hops, or with none"));
        }
        let terms = if is_run { Some(self.hop_terms(growth.class, growth.sendme_inc)?) } else { None };
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(Misuse::StaleId.into()) };
        circuit.set_hops(hops);
        circuit.config.flags.replace(CircuitFlags::LAST_HOP, growth.flags);
        if let (Some(reactor), Some((params, inc))) = (&mut circuit.reactor, terms) {
            reactor.grow(last, params, inc);
        }
        circuit.find_plain_hop();
        Ok(())
    }

    /// Terms of congestion control with a hop that is new now: its parameters and its SENDME increment.
    pub(super) fn hop_terms(&mut self, class: PathClass, sendme_inc: u8) -> Result<(Arc<Params>, Inc), Error> {
        let params = Arc::clone(&self.settings.params[class as usize]);
        let asked = if sendme_inc == 0 { params.sendme_inc } else { sendme_inc.into() };
        match params.inc(asked) {
            Some(inc) => Ok((params, inc)),
            None => Err(self.invalid("sendme_inc is not within 1 of the parameter")),
        }
    }
}
