//! DATA of streams, on its usual way, its quick way and its long way: each counts the same, and every SENDME goes out with
//! the digest of just the cell that it acknowledges. A plain count stands beside them.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, Outlet, StreamConfig, What};
use circflow::message::Message;
use circflow::reactor::Owner;
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::sendme::{Digest, Sendme};
use circflow::wire::Command;
use common::{circuit, config, drain, each_seed, terms, Rng, HOPS};
use std::collections::VecDeque;

const STREAMS: [u16; 3] = [5, 7, 300];

/// A client, with streams on a circuit or in a set of two legs.
struct Client {
    engine: Engine,
    legs: Vec<Id>,
    streams: Vec<Id>,
    is_long: bool,
}

impl Client {
    fn new(legs: usize, inc: u8, is_long: bool) -> Client {
        let mut engine = Engine::new(&config(1)).unwrap();
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
        let run = CircuitConfig { flags, sendme_inc: inc, ..circuit(Role::Client, 8) };
        let ids: Vec<Id> = (0..legs).map(|_| engine.open_circuit(0, run).unwrap()).collect();
        let owner = if legs > 1 {
            let set = engine.open_set(0, terms(None)).unwrap();
            ids.iter().for_each(|&id| engine.adopt_leg(0, set, id, Ux::NoOpinion, 0).unwrap());
            Owner::Set(set)
        } else {
            Owner::Circuit(ids[0])
        };
        let open = |stream_id: u16| StreamConfig { tag: stream_id.into(), stream_id, hop: HOPS, priority: 0 };
        let streams = STREAMS.map(|id| engine.open_stream(0, owner, &open(id)).unwrap()).to_vec();
        let mut client = Client { engine, legs: ids, streams, is_long };
        for stream in client.streams.clone() {
            client.send(0, stream, Command::BEGIN).unwrap();
        }
        drain(&mut client.engine);
        client
    }

    fn hear(&mut self, now: u64, leg: usize, command: Command, stream_id: u16, body: &[u8], digest: &[u8]) -> String {
        let message = Message { command, hop: HOPS, stream_id, body, token: None };
        let id = self.legs[leg];
        let said = if self.is_long {
            self.engine.receive_long(now, id, &message, || Ok(digest))
        } else {
            self.engine.receive_cell(now, id, &message, digest)
        };
        format!("{said:?}")
    }

    fn send(&mut self, now: u64, stream: Id, command: Command) -> Result<(Id, bool), String> {
        let message = Message { command, hop: HOPS, stream_id: 0, body: &[6; 9], token: None };
        let outlet = Outlet::Stream(stream);
        let said = if self.is_long {
            self.engine.send_long(now, outlet, &message.head(), circflow::engine::NO_REPORTS, || Ok(message))
        } else {
            self.engine.send_message(now, outlet, &message)
        };
        said.map(|verdict| (verdict.circuit, verdict.wants_digest)).map_err(|error| format!("{error:?}"))
    }
}

/// What came and went on a leg.
#[derive(Clone, Default)]
struct Counts {
    came: u64,
    went: u64,
    /// Digests of cells that a SENDME has to acknowledge.
    unanswered: VecDeque<[u8; 20]>,
}

fn digest(number: u64) -> [u8; 20] {
    let mut digest = [3; 20];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    digest
}

#[derive(Default, Debug)]
struct Seen {
    acknowledged: u64,
    answered: u64,
    others: u64,
}

fn run(seed: u64) -> Seen {
    let mut rng = Rng::new(seed);
    let legs = 1 + rng.below(2) as usize;
    let inc = 30 + rng.below(3) as u8;
    let (mut short, mut long) = (Client::new(legs, inc, false), Client::new(legs, inc, true));
    let mut counts = vec![Counts::default(); legs];
    let (mut seen, mut now, mut current) = (Seen::default(), 1, 0);
    for step in 0..4000 {
        now += rng.below(3) * 1_000_000;
        let leg = rng.below(legs as u64) as usize;
        match rng.below(10) {
            0..=4 => {
                if leg != current {
                    // The next number is the other leg's: it says by how much it is ahead.
                    let behind = counts.iter().map(|count| count.came).sum::<u64>() - received(&short, leg);
                    let body = Switch { delta: behind as u32 }.encode();
                    let said = short.hear(now, leg, Command::CONFLUX_SWITCH, 0, &body, &[1; 20]);
                    assert_eq!(said, long.hear(now, leg, Command::CONFLUX_SWITCH, 0, &body, &[1; 20]), "step {step}");
                    current = leg;
                }
                let stream_id = STREAMS[if rng.once_in(3) { rng.below(3) as usize } else { 0 }];
                let body = vec![9; 1 + rng.below(498) as usize];
                counts[leg].came += 1;
                let tag = digest(counts[leg].came << 8 | leg as u64);
                let said = short.hear(now, leg, Command::DATA, stream_id, &body, &tag);
                assert_eq!(said, long.hear(now, leg, Command::DATA, stream_id, &body, &tag), "step {step}");
                let due = counts[leg].came % u64::from(inc) == 0;
                let told = drain(&mut short.engine);
                assert_eq!(format!("{told:?}"), format!("{:?}", drain(&mut long.engine)), "step {step}");
                let sendmes: Vec<_> = told
                    .iter()
                    .filter(|(told, _)| matches!(told.what, What::Send { command: Command::SENDME, .. }))
                    .collect();
                seen.others += (told.len() - sendmes.len()) as u64;
                assert_eq!(sendmes.len(), usize::from(due), "step {step}");
                for (told, body) in sendmes {
                    assert_eq!((told.circuit, &body[3..23]), (short.legs[leg], &tag[..]), "step {step}");
                    seen.acknowledged += 1;
                }
            }
            5..=7 => {
                let stream = short.streams[rng.below(3) as usize];
                let said = short.send(now, stream, Command::DATA);
                assert_eq!(said, long.send(now, stream, Command::DATA), "step {step}");
                let Ok((id, wants)) = said else { continue };
                let leg = short.legs.iter().position(|&leg| leg == id).unwrap();
                counts[leg].went += 1;
                assert_eq!(wants, counts[leg].went % u64::from(inc) == 0, "step {step}");
                if wants {
                    let tag = digest(counts[leg].went << 8 | 0x80 | leg as u64);
                    for client in [&mut short, &mut long] {
                        client.engine.add_digest(id, HOPS, &tag).unwrap();
                    }
                    counts[leg].unanswered.push_back(tag);
                }
            }
            8 => {
                let Some(tag) = counts[leg].unanswered.pop_front() else { continue };
                let mut body = [0; Sendme::LEN_MAX];
                let body = Sendme::V1 { digest: Digest::new(&tag).unwrap() }.encode(&mut body);
                let said = short.hear(now, leg, Command::SENDME, 0, body, &[1; 20]);
                assert_eq!(said, long.hear(now, leg, Command::SENDME, 0, body, &[1; 20]), "step {step}");
                assert!(said.starts_with("Ok"), "step {step}: {said}");
                seen.answered += 1;
            }
            _ => {
                let (at, bytes) = (rng.below(3) as usize, rng.below(300) as u32);
                let flush =
                    |client: &mut Client| format!("{:?}", client.engine.flushed(now, client.streams[at], bytes));
                assert_eq!(flush(&mut short), flush(&mut long), "step {step}");
            }
        }
        let told = drain(&mut short.engine);
        assert_eq!(format!("{told:?}"), format!("{:?}", drain(&mut long.engine)), "step {step}");
    }
    for at in 0..legs {
        let stats = |client: &mut Client| format!("{:?}", client.engine.circuit_stats(client.legs[at]));
        assert_eq!(stats(&mut short), stats(&mut long));
    }
    seen
}

/// The number of the last message that came on a leg.
fn received(client: &Client, leg: usize) -> u64 {
    client.engine.leg_stats(client.legs[leg]).unwrap().received
}

#[test]
fn data_on_its_ways_counts_the_same() {
    let mut all = Seen::default();
    let done = each_seed(60, "data_ways", run, |seen| {
        all.acknowledged += seen.acknowledged;
        all.answered += seen.answered;
        all.others += seen.others;
    });
    if done {
        assert!(all.acknowledged > 500 && all.answered > 100 && all.others > 20, "all was seen: {all:?}");
    }
}
