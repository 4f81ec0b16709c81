//! Circuits that get longer at random, against a model that knows hops by their number only: each has an increment from
//! the day it was there, what it has brought and been sent is counted for it alone, and nothing of it ever changes.

mod common;

use circflow::base::limits::HOPS_MAX;
use circflow::base::{Hops, Id};
use circflow::conflux::Role;
use circflow::congestion::PathClass;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, Error, Growth, Misuse, StreamConfig, What};
use circflow::message::Message;
use circflow::reactor::Owner;
use circflow::wire::sendme::{Digest, Sendme};
use circflow::wire::Command;
use proptest::prelude::*;
use std::collections::VecDeque;

const INC: u8 = 31;

/// One hop, with a stream that ends there.
struct NaiveHop {
    inc: u64,
    stream: Id,
    received: u64,
    sent: u64,
    /// Cells whose SENDMEs are to come.
    unanswered: VecDeque<u64>,
}

fn tag(hop: usize, cell: u64) -> [u8; 20] {
    let mut tag = [hop as u8; 20];
    tag[..8].copy_from_slice(&cell.to_be_bytes());
    tag
}

struct World {
    engine: Engine,
    id: Id,
    /// Hop n is at n - 1.
    hops: Vec<NaiveHop>,
    is_leg: Option<Id>,
}

impl World {
    fn new(length: u8, inc: u8) -> World {
        let mut engine = Engine::new(&common::config(3)).unwrap();
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
        let hops = Hops::new(length, 9).unwrap();
        let config = CircuitConfig { flags, hops, sendme_inc: inc, ..common::circuit(Role::Client, 8) };
        let id = engine.open_circuit(0, config).unwrap();
        let mut world = World { engine, id, hops: Vec::new(), is_leg: None };
        world.appear(length, inc);
        world
    }

    /// Hops up to this one are there, without a stream yet.
    fn appear(&mut self, length: u8, inc: u8) {
        let inc = u64::from(if inc == 0 { INC } else { inc });
        let hop = || NaiveHop { inc, stream: Id::NONE, received: 0, sent: 0, unanswered: VecDeque::new() };
        self.hops.resize_with(length.into(), hop);
    }

    fn extend(&mut self, length: u8, inc: u8) {
        let now = self.hops.len() as u8;
        let growth = Growth { length, join: 9, flags: CircuitFlags::VEGAS, class: PathClass::Onion, sendme_inc: inc };
        let said = self.engine.extend_circuit(0, self.id, &growth);
        let length = if length == 0 { now + 1 } else { length };
        let fits = length > now && length <= HOPS_MAX && (inc == 0 || inc.abs_diff(INC) <= 1);
        assert_eq!(said, if fits { Ok(()) } else { Err(Error::INVALID) });
        if fits {
            self.appear(length, inc);
        }
    }

    /// The hop of this number, if there is one, and its stream.
    fn stream(&mut self, hop: usize) -> Option<Id> {
        let config = StreamConfig { tag: 0, stream_id: 7, hop: hop as u8, priority: 0 };
        let Some(naive) = self.hops.get_mut(hop.wrapping_sub(1)) else {
            assert_eq!(self.engine.open_stream(0, Owner::Circuit(self.id), &config), Err(Error::INVALID));
            return None;
        };
        if naive.stream == Id::NONE {
            naive.stream = self.engine.open_stream(0, Owner::Circuit(self.id), &config).unwrap();
            self.engine.send_on_stream(0, naive.stream, Command::BEGIN, 4).unwrap().out().unwrap();
        }
        Some(naive.stream)
    }

    fn send(&mut self, hop: usize, count: u64) {
        let Some(stream) = self.stream(hop) else { return };
        for _ in 0..count {
            let naive = &mut self.hops[hop - 1];
            // So few that no window is in the way.
            if naive.unanswered.len() == 3 {
                return;
            }
            let usual = self.engine.send_on_stream_quick::<true>(0, stream, 4);
            let short = usual.or_else(|| self.engine.send_on_stream_quick::<false>(0, stream, 4));
            let short = short.map(|sent| sent.verdict);
            let verdict =
                short.or_else(|| self.engine.send_on_stream(0, stream, Command::DATA, 4).unwrap().out()).unwrap();
            naive.sent += 1;
            assert_eq!(verdict.wants_digest, naive.sent % naive.inc == 0, "hop {hop}, cell {}", naive.sent);
            if verdict.wants_digest {
                self.engine.add_digest(self.id, hop as u8, &tag(hop, naive.sent)).unwrap();
                naive.unanswered.push_back(naive.sent);
            }
        }
    }

    fn answer(&mut self, hop: usize) {
        let Some(naive) = self.hops.get_mut(hop.wrapping_sub(1)) else { return };
        let Some(cell) = naive.unanswered.pop_front() else { return };
        let mut body = [0; Sendme::LEN_MAX];
        let body = Sendme::V1 { digest: Digest::new(&tag(hop, cell)).unwrap() }.encode(&mut body);
        let message = Message { command: Command::SENDME, hop: hop as u8, stream_id: 0, body, token: None };
        self.engine.receive(0, self.id, &message).unwrap();
    }

    fn receive(&mut self, hop: usize, count: u64) {
        if self.stream(hop).is_none() {
            return;
        }
        for _ in 0..count {
            let naive = &mut self.hops[hop - 1];
            naive.received += 1;
            let data = Message { command: Command::DATA, hop: hop as u8, stream_id: 7, body: b"data", token: None };
            self.engine.receive(0, self.id, &data).unwrap();
            let (mut buffer, mut sendmes) = ([0; 509], 0);
            while let Some(instruction) = self.engine.poll(&mut buffer).unwrap() {
                if let What::Send { command: Command::SENDME, hop: to, .. } = instruction.what {
                    assert_eq!(usize::from(to), hop);
                    sendmes += 1;
                }
            }
            assert_eq!(sendmes, u64::from(naive.received % naive.inc == 0), "hop {hop}, cell {}", naive.received);
        }
    }

    /// C2: it is a leg beside another circuit exactly when that has its length and no stream was ever open.
    fn joins(&mut self, length: u8, join: u64) {
        let config = CircuitConfig {
            hops: Hops::new(length, join).unwrap(),
            flags: CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0),
            ..common::circuit(Role::Client, 5)
        };
        let other = self.engine.open_circuit(0, config).unwrap();
        let set = self.engine.open_set(0, common::terms(None)).unwrap();
        let carried = self.hops.iter().any(|hop| hop.stream != Id::NONE);
        let fits = (length, join) == (self.hops.len() as u8, 9);
        let said = self.engine.add_legs(0, set, &[other, self.id]);
        let want = match (carried, fits) {
            (true, _) => Err(Misuse::HasStreams.into()),
            (false, false) => Err(Misuse::LegMismatch.into()),
            (false, true) => Ok(()),
        };
        assert_eq!(said, want);
        if said.is_ok() {
            self.is_leg = Some(set);
        } else {
            self.engine.close_set(0, set).unwrap();
            self.engine.circuit_closed(0, other).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn c16_each_hop_keeps_what_it_has(
        length in 1..=HOPS_MAX,
        inc in 29..=33u8,
        acts in prop::collection::vec((0..12u8, 0..=17u8, 0..80u64), 1..120),
    ) {
        let inc = if inc.abs_diff(INC) <= 1 { inc } else { 0 };
        let mut world = World::new(length, inc);
        for (act, hop, count) in acts {
            match act {
                0 | 1 => world.extend(0, [0, 29, 30, 31, 32, 33][count as usize % 6]),
                2 => world.extend(hop, [0, 30, 32][count as usize % 3]),
                3..=5 => world.send(hop.into(), count),
                6 | 7 => world.answer(hop.into()),
                8..=10 => world.receive(hop.into(), count),
                _ if hop > 0 && hop <= HOPS_MAX => world.joins(hop, 9 - u64::from(count % 8 == 0)),
                _ => {}
            }
            if let Some(set) = world.is_leg {
                let growth = Growth {
                    length: 0,
                    join: 9,
                    flags: CircuitFlags::VEGAS,
                    class: PathClass::Exit,
                    sendme_inc: 0,
                };
                prop_assert_eq!(world.engine.extend_circuit(0, world.id, &growth), Err(Misuse::InSet.into()));
                let mut buffer = [0; 509];
                let mut links = 0;
                while let Some(instruction) = world.engine.poll(&mut buffer).unwrap() {
                    if let What::Send { command: Command::CONFLUX_LINK, hop, .. } = instruction.what {
                        prop_assert_eq!(usize::from(hop), world.hops.len());
                        links += 1;
                    }
                }
                prop_assert_eq!(links, 2);
                world.engine.close_set(0, set).unwrap();
                return Ok(());
            }
        }
    }
}
