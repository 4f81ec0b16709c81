//! How circuits become legs of a set, and how a leg stands.

use super::{Blocked, CircuitFlags, Engine, Error, Misuse, Place};
use crate::base::{Id, Nanos};
use crate::conflux::{LegStats, Role};
use crate::wire::conflux::Ux;

impl Engine {
    /// Client: circuits become legs, all or none.
    pub fn add_legs(&mut self, now: Nanos, set: Id, circuits: &[Id]) -> Result<(), Error> {
        self.take_legs(now, set, circuits, true)
    }

    /// Client: circuits that are still being built become legs, all or none. LINK waits for [`Engine::circuit_built`].
    pub fn launch_legs(&mut self, now: Nanos, set: Id, circuits: &[Id]) -> Result<(), Error> {
        self.take_legs(now, set, circuits, false)
    }

    fn take_legs(&mut self, now: Nanos, set: Id, circuits: &[Id], are_built: bool) -> Result<(), Error> {
        let now = self.enter_for_set(now, set)?;
        if circuits.is_empty() {
            return Err(Misuse::NoLegs.into());
        }
        self.check_drained()?;
        self.check_conflux_on()?;
        for (index, &circuit) in circuits.iter().enumerate() {
            let model = self.set(set)?.any_leg().unwrap_or(circuits[0]);
            self.check_fit(circuit, model)?;
            let at_client = self.set(set)?.role() == Role::Client;
            if !at_client || self.circuits.lookup(circuit)?.config.role != Role::Client {
                return Err(Misuse::Role.into());
            }
            if circuits[..index].contains(&circuit) {
                return Err(Misuse::InSet.into());
            }
        }
        self.check_room(set, circuits.len())?;
        if !self.set(set)?.may_launch(circuits.len()) {
            return Err(Misuse::TooManyLaunches.into());
        }
        for &circuit in circuits {
            let hops = self.circuits.lookup(circuit)?.config.hops;
            if let Some(state) = self.sets.get_mut(set) {
                let ix = state.launch(circuit, hops);
                if are_built {
                    state.built(ix, now, &mut self.out.effects);
                }
                self.seat(circuit, set, ix);
            }
        }
        self.apply_effects(set);
        Ok(())
    }

    /// Client: the circuit of a leg that was launched is open: LINK goes out.
    pub fn circuit_built(&mut self, now: Nanos, id: Id) -> Result<(), Error> {
        let now = self.enter_for_circuits(now, std::iter::once(id))?;
        let circuit = self.circuits.lookup(id)?;
        let (set, ix) = match circuit.place {
            Place::Leg { set, ix } => (set, ix),
            Place::Away => return Err(Misuse::InSet.into()),
            Place::Closing => return Err(Blocked::Gone.into()),
            Place::Alone => return Err(Misuse::NotALeg.into()),
        };
        if !self.set(set)?.is_building(ix) {
            return Err(Misuse::InSet.into());
        }
        // What was negotiated is known only now (prop329 §2.2).
        if !circuit.config.flags.has(CircuitFlags::VEGAS) {
            return Err(Misuse::NoVegas.into());
        }
        self.check_drained()?;
        if let Some(state) = self.sets.get_mut(set) {
            state.built(ix, now, &mut self.out.effects);
        }
        self.apply_effects(set);
        Ok(())
    }

    /// A circuit becomes a leg whose handshake the host has done.
    pub fn adopt_leg(&mut self, now: Nanos, set: Id, circuit: Id, ux: Ux, rtt: Nanos) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        let model = self.set(set)?.any_leg().unwrap_or(circuit);
        self.check_fit(circuit, model)?;
        let runs = self.circuits.lookup(circuit)?.runs_streams();
        if self.is_elsewhere(model) && self.set(set)?.params().is_some() != runs {
            return Err(Misuse::LegMismatch.into());
        }
        self.check_room(set, 1)?;
        let hops = self.circuits.lookup(circuit)?.config.hops;
        if let Some(state) = self.sets.get_mut(set) {
            let ix = state.adopt(circuit, hops, ux, rtt, &mut self.out.effects);
            self.seat(circuit, set, ix);
        }
        self.apply_effects(set);
        Ok(())
    }

    /// Figures of a leg, here or elsewhere, of one of our sets.
    pub fn leg_stats(&self, id: Id) -> Result<LegStats, Error> {
        let (set, ix) = match self.spread.home_legs.look(id) {
            Some(leg) => (leg.set, leg.ix),
            None => self.leg(id)?,
        };
        self.set(set)?.leg_stats(ix).ok_or(Misuse::NotALeg.into())
    }

    /// C2: whether a circuit may be a leg beside `model`.
    fn check_fit(&self, circuit: Id, model: Id) -> Result<(), Error> {
        let candidate = self.circuits.lookup(circuit)?;
        // Of a leg elsewhere, its own engine has seen that it fits.
        let model = self.circuits.get(model).unwrap_or(candidate);
        match candidate.place {
            Place::Leg { .. } => return Err(Misuse::InSet.into()),
            Place::Away => return Err(Misuse::InSet.into()),
            Place::Closing => return Err(Blocked::Gone.into()),
            Place::Alone => {}
        }
        let (config, like) = (&candidate.config, &model.config);
        if config.flags.has(CircuitFlags::STREAMS) {
            Err(Misuse::HasStreams.into())
        } else if config.flags.has(CircuitFlags::EXTENDED) {
            Err(Misuse::Role.into())
        } else if !config.flags.has(CircuitFlags::VEGAS) {
            Err(Misuse::NoVegas.into())
        } else if (config.role, config.hops) != (like.role, like.hops)
            || config.flags.has(CircuitFlags::REACTOR) != like.flags.has(CircuitFlags::REACTOR)
        {
            Err(Misuse::LegMismatch.into())
        } else {
            Ok(())
        }
    }

    fn check_room(&self, set: Id, more: usize) -> Result<(), Error> {
        let state = self.set(set)?;
        if (state.leg_count() + more) as u64 > u64::from(state.terms().legs_max) {
            return Err(Misuse::TooManyLegs.into());
        }
        Ok(())
    }
}
