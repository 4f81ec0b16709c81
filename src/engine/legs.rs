//! How circuits become legs of a set, and reports of congestion control about legs.

use crate::base::{Id, Nanos};
use crate::conflux::{LegIx, LegStats, Report, Role};
use crate::engine::slot::Circuit;
use crate::engine::{Blocked, CircuitFlags, Engine, Error, LinkStep, Misuse, Place};
use crate::event::{Class, Event};
use crate::wire::conflux::Ux;

impl Engine {
    /// Client: makes legs of open circuits, of all or of none. LINK goes out on each.
    pub fn add_legs(&mut self, now: Nanos, set: Id, circuits: &[Id]) -> Result<(), Error> {
        self.take_legs(now, set, circuits, true)
    }

    /// Client: makes legs of circuits that are still being built, of all or of none. LINK waits for
    /// [`Engine::circuit_built`].
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
            let hops = self.circuits.lookup(circuit)?.hops();
            if let Some(state) = self.sets.get_mut(set) {
                let ix = state.launch(circuit, hops);
                if are_built {
                    state.built(ix, now, &mut self.out.effects);
                } else {
                    self.note_step(set, ix, LinkStep::Building);
                }
                self.make_leg(circuit, set, ix);
            }
        }
        self.apply_effects(set);
        Ok(())
    }

    /// Client: reports that the circuit of a launched leg is open: LINK goes out.
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
        // Only now is known whether Vegas was negotiated (prop329 §2.2).
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

    /// Makes a leg of a circuit whose handshake the host has done. `rtt` is in nanoseconds.
    pub fn adopt_leg(&mut self, now: Nanos, set: Id, circuit: Id, ux: Ux, rtt: Nanos) -> Result<(), Error> {
        self.enter_for_set(now, set)?;
        let model = self.set(set)?.any_leg().unwrap_or(circuit);
        self.check_fit(circuit, model)?;
        let runs = self.circuits.lookup(circuit)?.runs_streams();
        if self.is_elsewhere(model) && self.set(set)?.params().is_some() != runs {
            return Err(Misuse::LegMismatch.into());
        }
        self.check_room(set, 1)?;
        let hops = self.circuits.lookup(circuit)?.hops();
        let was_usable = self.set_stats(set)?.usable;
        if let Some(state) = self.sets.get_mut(set) {
            let ix = state.adopt(circuit, hops, ux, rtt, &mut self.out.effects);
            self.note(Event::LegLinked { set, leg: circuit, rtt });
            if !was_usable {
                self.note(Event::SetUsable { set });
            }
            self.make_leg(circuit, set, ix);
        }
        self.apply_effects(set);
        Ok(())
    }

    /// Figures of a leg of one of our sets, on this engine or elsewhere.
    pub fn leg_stats(&self, id: Id) -> Result<LegStats, Error> {
        let (set, ix) = self.leg_of_home(id)?;
        self.set(set)?.leg_stats(ix).ok_or(Misuse::NotALeg.into())
    }

    /// Checks that a circuit may be a leg beside `model` (C2).
    fn check_fit(&self, circuit: Id, model: Id) -> Result<(), Error> {
        let candidate = self.circuits.lookup(circuit)?;
        // The engine of a leg elsewhere has checked that the leg fits.
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
        } else if (config.role, candidate.hops()) != (like.role, model.hops())
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

    /// Takes a report of the host's congestion control about one leg.
    #[allow(dead_code, reason = "tests and the simulation need no door")]
    pub fn report(&mut self, now: Nanos, id: Id, report: &Report) -> Result<(), Error> {
        self.report_all(now, std::iter::once((id, *report)))
    }

    /// Takes reports about legs, in order. The first id that is no leg ends the call with an error.
    #[inline(always)]
    pub fn report_all(
        &mut self,
        now: Nanos,
        news: impl Iterator<Item = (Id, impl Into<Report>)> + Clone,
    ) -> Result<(), Error> {
        self.enter_for_circuits(now, news.clone().map(|(id, _)| id))?;
        self.take_reports(news)
    }

    /// Takes reports about legs, in a call that has entered.
    #[inline(always)]
    pub(super) fn take_reports(&mut self, news: impl Iterator<Item = (Id, impl Into<Report>)>) -> Result<(), Error> {
        if self.wants(Class::Windows) {
            return self.take_reports_and_tell(news);
        }
        for (id, report) in news {
            self.take_report::<false>(id, &report.into())?;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn take_reports_and_tell(&mut self, news: impl Iterator<Item = (Id, impl Into<Report>)>) -> Result<(), Error> {
        for (id, report) in news {
            self.take_report::<true>(id, &report.into())?;
        }
        Ok(())
    }

    #[inline(always)]
    fn take_report<const TELLS: bool>(&mut self, id: Id, report: &Report) -> Result<(), Error> {
        let leg = self.circuits.get(id).filter(|circuit| circuit.reactor.is_none()).map(|circuit| circuit.place);
        let Some(Place::Leg { set, ix }) = leg else {
            self.take_other_report(id, report)?;
            if TELLS {
                self.note_report(id, report);
            }
            return Ok(());
        };
        let mut waits = false;
        if let Some(state) = self.sets.get_mut(set) {
            state.report(ix, report, self.time.clock.latest(), &mut self.out.effects);
            waits = state.may_choose_again();
        }
        if TELLS {
            self.note_report(id, report);
        }
        if !self.out.effects.is_empty() {
            self.apply_effects(set);
        }
        if waits {
            self.look_again(set);
        }
        Ok(())
    }

    fn note_report(&mut self, circuit: Id, report: &Report) {
        let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
        self.note_here(Event::Reported {
            circuit,
            cwnd: narrow(report.cwnd),
            in_flight: narrow(report.inflight),
            rtt: report.rtt,
            slow_start: report.slow_start.into(),
            blocked: report.blocked.into(),
        });
    }

    /// Takes a report about a circuit that is no leg of a set on this engine.
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

    /// The set and the place there of a circuit that is a leg.
    #[inline]
    pub(super) fn leg(&self, id: Id) -> Result<(Id, LegIx), Error> {
        match self.circuits.get(id) {
            Some(&Circuit { place: Place::Leg { set, ix }, .. }) => Ok((set, ix)),
            other => Err(self.no_leg(id, other)),
        }
    }

    /// As [`Engine::leg`], also for legs elsewhere of our sets.
    pub(super) fn leg_of_home(&self, id: Id) -> Result<(Id, LegIx), Error> {
        match self.spread.home_legs.look(id) {
            Some(leg) => Ok((leg.set, leg.ix)),
            None => self.leg(id),
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
