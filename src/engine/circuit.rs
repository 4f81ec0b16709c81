//! Calls of a host about a circuit.

use crate::base::{Id, Nanos};
use crate::conflux::{Cause, Role};
use crate::engine::out::insn::Queued;
use crate::engine::slot::{Circuit, Place};
use crate::engine::{Blocked, CircuitConfig, CircuitFlags, Engine, Error, Misuse};
use crate::reactor::{Edge, Reactor, Side};

impl Engine {
    /// Opens a circuit. Error when its hops do not fit its role, or the engine has no place for it.
    pub fn open_circuit(&mut self, now: Nanos, config: CircuitConfig) -> Result<Id, Error> {
        if config.hops.are_counted() != (config.role == Role::Client) {
            return Err(self.invalid("hops do not fit the role"));
        }
        let runs = config.flags.has(CircuitFlags::REACTOR);
        let reactor = if runs { Some(self.reactor(&config)?) } else { None };
        self.enter(now);
        self.check_drained()?;
        let is_relay = config.role == Role::Exit;
        let mut circuit = Circuit { reactor, ..Circuit::new(config) };
        circuit.find_plain_hop();
        let id = self.circuits.insert(circuit);
        let id = id.map_err(|_| Blocked::Full)?;
        self.running += u32::from(runs);
        if is_relay {
            self.warn_if_recorded();
        }
        Ok(id)
    }

    fn reactor(&mut self, config: &CircuitConfig) -> Result<Box<Reactor>, Error> {
        if config.flags.has(CircuitFlags::OWN_QUEUE) {
            return Err(self.invalid("a circuit that circflow runs has no queue of the host's"));
        }
        let (params, inc) = self.hop_terms(config.class, config.sendme_inc)?;
        Ok(Box::new(Reactor::new(params, inc)))
    }

    /// Replaces a circuit's flags; STREAMS, once set, stays.
    pub fn set_circuit_flags(&mut self, id: Id, flags: CircuitFlags) -> Result<(), Error> {
        match self.circuits.get_mut(id) {
            Some(circuit) if circuit.moves_queue(flags) => {
                Err(self.invalid("who owns a circuit's queue does not change while padding uses it"))
            }
            Some(circuit) if circuit.moves_reactor(flags) => {
                Err(self.invalid("who runs a circuit, and its congestion control, is settled when it is opened"))
            }
            Some(circuit) => {
                let seen = circuit.config.flags.0 & CircuitFlags::STREAMS.0;
                let ends_here = circuit.config.flags.has(CircuitFlags::EXTENDED) && !flags.has(CircuitFlags::EXTENDED);
                circuit.config.flags = CircuitFlags(flags.0 | seen);
                circuit.find_plain_hop();
                if ends_here {
                    self.drop_next_edge(id);
                }
                Ok(())
            }
            None => Err(self.circuits.reason(id).into()),
        }
    }

    /// Reports that a circuit has gone: everything of it is given up, and its leg leaves the set.
    pub fn circuit_closed(&mut self, now: Nanos, id: Id) -> Result<(), Error> {
        self.enter(now);
        self.leave_home(id, Cause::LegLost);
        self.leave_channels(id);
        let mut circuit = self.circuits.remove(id).ok_or_else(|| self.circuits.reason(id))?;
        self.drop_reactor(&mut circuit);
        self.drop_padding(id, circuit.padding);
        if let Place::Leg { set, ix } = circuit.place {
            self.remove_leg(set, ix, Cause::LegLost);
        }
        Ok(())
    }

    /// True for a circuit that circflow runs.
    #[inline]
    pub fn runs(&self, id: Id) -> bool {
        self.running > 0 && self.circuits.get(id).is_some_and(|circuit| circuit.reactor.is_some())
    }

    /// Closes a circuit at the host's request (R13): the close is queued.
    pub fn close_circuit(&mut self, now: Nanos, id: Id) -> Result<(), Error> {
        self.enter_for_circuits(now, std::iter::once(id))?;
        let Some(circuit) = self.circuits.get(id) else { return Err(self.circuits.reason(id).into()) };
        let leg = circuit.place.leg();
        self.close(id, leg.map_or(Id::NONE, |(set, _)| set), Cause::Asked);
        if let Some((set, ix)) = leg {
            self.remove_leg(set, ix, Cause::LegLost);
        }
        Ok(())
    }

    /// Figures of a circuit that circflow runs.
    pub fn circuit_stats(&mut self, id: Id) -> Result<CircuitStats, Error> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Err(self.circuits.reason(id).into()) };
        let hop = circuit.config.hops.last();
        let Some(reactor) = &mut circuit.reactor else { return Err(Misuse::NotRun.into()) };
        let mut stats = CircuitStats {
            streams: reactor.streams.as_ref().map_or(0, |streams| streams.len() as u32),
            edges: [EdgeStats::of(reactor.edge_at(Side::Back)), EdgeStats::of(reactor.edge_at(Side::Next))],
            ..CircuitStats::default()
        };
        if let Some(end) = reactor.ends.find(hop) {
            stats.cwnd = end.window.cwnd().into();
            stats.inflight = end.window.inflight().into();
            stats.rtt = end.window.rtt().unwrap_or(0);
            stats.slow_start = end.window.in_slow_start();
        }
        Ok(stats)
    }

    /// Notes that a circuit has carried streams, so it cannot become a leg any more (R9).
    pub(super) fn mark_streams(&mut self, id: Id) {
        if let Some(circuit) = self.circuits.get_mut(id) {
            circuit.config.flags.add(CircuitFlags::STREAMS);
        }
    }

    /// Gives up the edges and the streams of a circuit that goes; messages that wait are handed back.
    pub(super) fn drop_reactor(&mut self, circuit: &mut Circuit) {
        let Some(mut reactor) = circuit.reactor.take() else { return };
        self.running -= 1;
        for side in [Side::Back, Side::Next] {
            let lane = reactor.edge(side).take_rest();
            self.leave_behind(lane);
        }
        if let Some(streams) = &reactor.streams {
            self.drop_streams(streams);
        }
    }

    /// Tells the set or the host of a circuit that its window or its back edge has changed. The set may choose another
    /// leg now: if its host still waits, all legs whose channels are full stand in line.
    pub(super) fn room_changed(&mut self, id: Id) {
        self.tell_of_room(id);
        if let Some((set, _)) = self.circuits.get(id).and_then(|circuit| circuit.place.leg()) {
            self.ask_if_waiting(set);
        }
    }

    /// [`Engine::room_changed`] when it is the circuit's turn at its channel: no other leg stands in line for that.
    pub(super) fn tell_of_room(&mut self, id: Id) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        let (place, hop, runs) = (circuit.place, circuit.config.hops.last(), circuit.runs_streams());
        let Some(reactor) = circuit.reactor.as_mut().filter(|_| runs) else { return };
        match place {
            Place::Leg { set, ix } => {
                let report = reactor.report(hop);
                self.look_at_channels(set);
                if let Some(state) = self.sets.get_mut(set) {
                    state.report(ix, &report, self.time.clock.latest(), &mut self.out.effects);
                }
                if !self.out.effects.is_empty() {
                    self.apply_effects(set);
                }
                self.look_again(set);
                self.resume_circuit(id);
            }
            Place::Alone => self.resume_circuit(id),
            Place::Away => {
                self.publish_and_wake(id);
                self.resume_circuit(id);
            }
            Place::Closing => {}
        }
    }

    /// Tells a host that waits for room on a circuit that there is some.
    pub(super) fn resume_circuit(&mut self, id: Id) {
        let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(id) else { return };
        if reactor.resumes() {
            self.out.queue.push(Queued::MaySendCircuit { circuit: id });
        } else if reactor.backward.back.is_shared() {
            self.ask_again(id);
        }
    }
}

/// Figures of a circuit that circflow runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct CircuitStats {
    /// Congestion window towards the last hop, in cells; 0 before the first DATA.
    pub cwnd: u64,
    /// DATA cells in flight.
    pub inflight: u64,
    /// Smoothed round-trip time in nanoseconds, 0 for none yet.
    pub rtt: Nanos,
    /// Congestion control is in slow start.
    pub slow_start: bool,
    /// Open streams of the circuit itself, not of its set.
    pub streams: u32,
    /// Figures of the two edges, [`Side::Back`] first.
    pub edges: [EdgeStats; 2],
}

/// Figures of an edge.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeStats {
    /// Cells that wait now.
    pub waiting: u32,
    /// The most cells that ever waited.
    pub waiting_peak: u32,
    /// Cells that went on.
    pub passed: u64,
    /// The channel takes cells.
    pub writable: bool,
    /// The source was told to pause.
    pub paused: bool,
}

impl EdgeStats {
    fn of(edge: &Edge) -> EdgeStats {
        EdgeStats {
            waiting: edge.waiting(),
            waiting_peak: edge.waiting_peak(),
            passed: edge.passed(),
            writable: edge.is_writable(),
            paused: edge.is_paused(),
        }
    }
}
