//! How circuits become legs of a set, and how a leg stands.

use crate::base::{Id, Nanos};
use crate::conflux::{LegIx, LegStats, Report, Role};
use crate::engine::slot::Circuit;
use crate::engine::{Blocked, CircuitFlags, Engine, Error, Misuse, Place};
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
                self.make_leg(circuit, set, ix);
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
            self.make_leg(circuit, set, ix);
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

impl Engine {
    /// A leg's news from the host's congestion control.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn report(&mut self, now: Nanos, id: Id, report: &Report) -> Result<(), Error> {
        self.report_all(now, std::iter::once((id, *report)))
    }

    /// Legs' news, in order. The first that names no leg ends it.
    #[inline(always)]
    pub fn report_all(&mut self, now: Nanos, news: impl Iterator<Item = (Id, Report)> + Clone) -> Result<(), Error> {
        self.enter_for_circuits(now, news.clone().map(|(id, _)| id))?;
        self.take_reports(news)
    }

    /// Legs' news that ride on a decision about their set.
    #[inline(always)]
    pub fn report_for(&mut self, now: Nanos, set: Id, news: impl Iterator<Item = (Id, Report)>) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        self.take_reports(news)
    }

    #[inline(always)]
    fn take_reports(&mut self, news: impl Iterator<Item = (Id, Report)>) -> Result<(), Error> {
        for (id, report) in news {
            let leg = self.circuits.get(id).filter(|circuit| circuit.reactor.is_none()).map(|circuit| circuit.place);
            let Some(Place::Leg { set, ix }) = leg else {
                self.take_other_report(id, &report)?;
                continue;
            };
            if let Some(state) = self.sets.get_mut(set) {
                state.report(ix, &report, &mut self.out.effects);
            }
            if !self.out.effects.is_empty() {
                self.apply_effects(set);
            }
        }
        Ok(())
    }

    /// A report of a circuit that is no leg of a set here.
    #[cold]
    fn take_other_report(&mut self, id: Id, report: &Report) -> Result<(), Error> {
        if self.runs(id) {
            return Err(Misuse::IsRun.into());
        }
        match self.circuits.get(id).map(|circuit| circuit.place) {
            Some(Place::Away) => self.report_away(id, report),
            _ => self.leg(id).map(|_| ())?,
        }
        Ok(())
    }

    /// The leg a circuit is.
    #[inline]
    pub(super) fn leg(&self, id: Id) -> Result<(Id, LegIx), Error> {
        match self.circuits.get(id) {
            Some(&Circuit { place: Place::Leg { set, ix }, .. }) => Ok((set, ix)),
            other => Err(self.no_leg(id, other)),
        }
    }

    #[cold]
    fn no_leg(&self, id: Id, found: Option<&Circuit>) -> Error {
        match found.map(|circuit| circuit.place) {
            Some(Place::Closing) => Blocked::Gone.into(),
            Some(_) => Misuse::NotALeg.into(),
            None => self.circuits.reason(id).into(),
        }
    }
}
