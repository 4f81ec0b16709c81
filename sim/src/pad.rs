//! Padding machines on circuits.

use crate::model::*;
use crate::tally::N;
use crate::world::{Event, World};
use circflow::conflux::Role;
use circflow::engine::{Blocked, Error, Misuse};
use circflow::padding::{Machines, PadderTerms};
use std::sync::OnceLock;

macro_rules! machines {
    ($($name:literal)*) => {
        const MACHINES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../tests/machines/", $name, ".txt")))),*];
    };
}

machines! {
    // Machines that let the world come to rest once they are taken down.
    "pad-00" "pad-01" "pad-10" "pad-11" "block-00" "block-01" "block-10" "block-11" "gate-0-00" "gate-0-11" "gate-1-00"
    "gate-1-01" "gate-1-10" "gate-1-11" "gate-now" "four" "written-pad" "pad-at-end" "shut-0" "shut-1" "timer-end-0"
    "timer-begin-1" "cancel-action" "cancel-all" "once" "extend-200-010" "extend-50-101" "frugal-pad" "frugal-block"
}

/// The number under which padding is negotiated.
const NUMBER: u8 = 7;

fn load(index: usize) -> Machines {
    static LOADED: OnceLock<Vec<Machines>> = OnceLock::new();
    LOADED.get_or_init(|| MACHINES.iter().map(|(_, text)| Machines::load(text.as_bytes()).unwrap()).collect())[index]
        .clone()
}

impl World {
    fn pad_terms(&mut self, hop: u8) -> (PadderTerms, &'static str) {
        let index = self.rng.below(MACHINES.len() as u64) as usize;
        let listens = self.rng.once_in(5);
        let terms = PadderTerms {
            machines: if listens { Machines::default() } else { load(index) },
            hop,
            slot: 0,
            padding_frac: 0.0,
            blocking_frac: 0.0,
            inbound_frac: 0.0,
            inbound_grace: 0,
            queued_max: 100,
            stop_at_end: false,
            opens_between: self.rng.once_in(2),
            runs_reduced: false,
        };
        (terms, if listens { "none" } else { MACHINES[index].0 })
    }

    /// Sets padders up at both ends of talks of a circuit.
    pub fn pad_circuit(&mut self, circ: usize) {
        let talks = self.circs[circ].talks();
        for _ in 0..if self.circs[circ].rend > 0 { 2 } else { 1 } {
            let talk = self.rng.pick(&talks);
            let free = |pos: usize| self.circs[circ].pads[pos].is_none();
            if self.circs[circ].ends_of(talk).into_iter().all(free) {
                self.pad_talk(circ, talk);
            }
        }
        let at = self.now + self.plan.padding_end;
        self.at(at, Event::EndPadding(circ));
    }

    /// Sets padders up for one talk, or lets the end that opened the circuit negotiate them.
    fn pad_talk(&mut self, circ: usize, talk: usize) {
        let (opener, taker) = (self.circs[circ].opener(talk), self.circs[circ].taker(talk));
        // A service does not take PADDING_NEGOTIATE.
        let negotiated = self.rng.once_in(3) && !self.circs[circ].counts(taker);
        let now = self.now;
        for pos in [opener, taker] {
            if self.circs[circ].counts(pos) {
                self.grow_to(circ, Circ::end_of(pos), self.circs[circ].hop_of(pos, talk));
            }
        }
        for pos in [opener, taker] {
            let at = self.circs[circ].hop_of(pos, talk);
            let (terms, name) = self.pad_terms(at);
            let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
            let engine = &mut self.nodes[node].engine;
            if negotiated {
                let role = if pos == opener { Role::Client } else { Role::Exit };
                engine.register_padding(role, NUMBER, Some(terms)).unwrap();
            } else {
                engine.install_padder(now, id, &terms).unwrap();
            }
            let blocks = !negotiated && (name == "block-00" || name == "block-01");
            self.circs[circ].pads[pos] = Some(PadModel { blocks, hop: at, negotiated, ..PadModel::default() });
            self.tally.add(if negotiated { N::Negotiated } else { N::Padders }, 1);
            self.touch(node);
        }
        if negotiated {
            let (node, id) = (self.circs[circ].path[opener], self.circs[circ].ids[opener]);
            let started = self.retry(node, |world| {
                let now = world.clock(node);
                world.nodes[node].engine.start_padding(now, id, NUMBER)
            });
            assert!(started.is_ok(), "padding is asked for: {started:?}");
        }
    }

    /// Reports that a cell was written to the channel towards the client, or by the client.
    pub fn written(&mut self, circ: usize, pos: usize) {
        if self.circs[circ].pads[pos].is_some() && self.circs[circ].open[pos] {
            let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
            let now = self.clock(node);
            let told = self.nodes[node].engine.written(now, id, 1);
            assert!(told.is_ok() || self.is_expired(&told), "what is written is heard: {told:?}");
            self.touch(node);
        }
    }

    pub fn end_padding(&mut self, circ: usize) {
        for pos in 0..PLACES {
            let counts = self.circs[circ].counts(pos);
            let Some(pad) = &mut self.circs[circ].pads[pos] else { continue };
            pad.blocks = false;
            let pad = *pad;
            let (node, id) = (self.circs[circ].path[pos], self.circs[circ].ids[pos]);
            // The client's STOP ends the padders of relays. If the circuit swallows it, the relay's operator ends them.
            let is_told = pad.negotiated && !counts && self.circs[circ].swallows == [false; 2];
            if !self.circs[circ].open[pos] || is_told {
                continue;
            }
            let ended = self.retry(node, |world| {
                let now = world.clock(node);
                let engine = &mut world.nodes[node].engine;
                match pad.negotiated && counts {
                    true => engine.stop_padding(now, id, NUMBER),
                    false => engine.remove_padder(now, id, pad.hop, 0),
                }
            });
            let over = matches!(
                ended,
                Ok(())
                    | Err(Error::Expired
                        | Error::Blocked(Blocked::Refused | Blocked::Gone)
                        | Error::Misuse(Misuse::NoPadder))
            );
            assert!(over, "a padder is taken down: {ended:?}");
            if let (Ok(()), Some(pad)) = (ended, &mut self.circs[circ].pads[pos]) {
                pad.ended = true;
            }
            self.touch(node);
        }
    }
}
