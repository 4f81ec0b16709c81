//! How a client's legs come and go before they are linked, against a model with one line for each rule: launches and
//! their budget, circuits that are still being built, LINK, LINKED, legs that are lost, and what the host hears of it.

mod common;

use circflow::base::Id;
use circflow::conflux::{Fault, LinkState, Role};
use circflow::engine::{Engine, Error, Misuse, What};
use circflow::message::Message;
use circflow::wire::conflux::{Link, Nonce, Ux};
use circflow::wire::Command;
use common::{circuit, config, terms, Rng, HOPS};

const LEGS_MAX: usize = 3;
const LAUNCHES_MAX: u32 = 4;

/// What a host hears, without details.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Heard {
    Link(Id),
    LinkedAck(Id),
    Linked(Id),
    Close(Id),
    Usable,
    WantLeg,
    Ended,
}

#[derive(Default)]
struct Model {
    legs: Vec<(Id, LinkState)>,
    launches: u32,
    usable: bool,
    ended: bool,
    heard: Vec<Heard>,
}

impl Model {
    fn has_unlinked(&self) -> bool {
        self.legs.iter().any(|leg| leg.1 != LinkState::Linked)
    }

    fn may_take(&self) -> Result<(), Error> {
        if self.legs.len() == LEGS_MAX {
            Err(Misuse::TooManyLegs.into())
        } else if self.launches == LAUNCHES_MAX {
            Err(Misuse::TooManyLaunches.into())
        } else {
            Ok(())
        }
    }

    fn check_usable(&mut self) {
        if !self.usable && !self.has_unlinked() && !self.legs.is_empty() {
            self.usable = true;
            self.launches = 0;
            self.heard.push(Heard::Usable);
        }
    }

    fn link(&mut self, at: usize) {
        self.legs[at].1 = LinkState::Pending;
        self.heard.push(Heard::Link(self.legs[at].0));
    }

    fn linked(&mut self, at: usize) {
        let (id, state) = &mut self.legs[at];
        *state = LinkState::Linked;
        self.heard.extend([Heard::LinkedAck(*id), Heard::Linked(*id)]);
        if !self.has_unlinked() {
            self.launches = 0;
        }
        self.check_usable();
    }

    fn lose(&mut self, at: usize) {
        let (_, state) = self.legs.remove(at);
        if self.legs.is_empty() {
            self.ended = true;
            self.heard.push(Heard::Ended);
            return;
        }
        let is_missed = state != LinkState::Linked || !self.usable;
        let has_budget = self.launches < LAUNCHES_MAX;
        self.check_usable();
        if is_missed && has_budget {
            self.heard.push(Heard::WantLeg);
        }
    }
}

struct Client {
    engine: Engine,
    set: Id,
    now: u64,
}

impl Client {
    fn new() -> Self {
        let mut engine = Engine::new(&config(1)).unwrap();
        let terms =
            circflow::conflux::SetTerms { legs_max: LEGS_MAX as u32, launches_max: LAUNCHES_MAX, ..terms(None) };
        let set = engine.open_set(0, terms).unwrap();
        Client { engine, set, now: 0 }
    }

    fn feed_linked(&mut self, leg: Id) -> Result<(), Error> {
        let link = Link { nonce: Nonce::new([0x5a; 32]), last_sent: 0, last_received: 0, ux: Ux::MinLatency };
        let body = link.encode();
        let command = Command::CONFLUX_LINKED;
        let message = Message { command, hop: HOPS, stream_id: 0, body: &body, token: None };
        self.engine.receive(self.now, leg, &message).map(|_| ())
    }

    fn drain(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut buffer = [0; 509];
        while let Some(instruction) = self.engine.poll(&mut buffer).unwrap() {
            let leg = instruction.circuit;
            heard.push(match instruction.what {
                What::Send { command: Command::CONFLUX_LINK, .. } => Heard::Link(leg),
                What::Send { command: Command::CONFLUX_LINKED_ACK, .. } => Heard::LinkedAck(leg),
                What::Linked(_) => Heard::Linked(leg),
                What::Close(_) => Heard::Close(leg),
                What::Usable => Heard::Usable,
                What::WantLeg => Heard::WantLeg,
                What::Ended(_) => Heard::Ended,
                other => panic!("{other:?}"),
            });
        }
        heard
    }
}

#[test]
fn launches_builds_links_and_losses() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..6000 {
        let mut rng = Rng::new(seed);
        let (mut client, mut model) = (Client::new(), Model::default());
        for step in 0..40 {
            client.now += rng.below(3);
            let at = rng.below(model.legs.len().max(1) as u64) as usize;
            let action = if model.legs.is_empty() { rng.below(2) } else { rng.below(9) };
            match action {
                0 | 1 => {
                    let id = client.engine.open_circuit(client.now, circuit(Role::Client, step)).unwrap();
                    let expected = model.may_take();
                    let taken = match action {
                        0 => client.engine.launch_legs(client.now, client.set, &[id]),
                        _ => client.engine.add_legs(client.now, client.set, &[id]),
                    };
                    assert_eq!(taken, expected, "seed {seed}, step {step}");
                    if expected.is_ok() {
                        model.launches += 1;
                        model.legs.push((id, LinkState::Building));
                        if action == 1 {
                            model.link(model.legs.len() - 1);
                        }
                    }
                }
                2 | 3 => {
                    let built = client.engine.circuit_built(client.now, model.legs[at].0);
                    if model.legs[at].1 == LinkState::Building {
                        assert_eq!(built, Ok(()), "seed {seed}, step {step}");
                        model.link(at);
                    } else {
                        assert_eq!(built, Err(Misuse::InSet.into()), "seed {seed}, step {step}");
                    }
                }
                4..=6 => {
                    let id = model.legs[at].0;
                    let fed = client.feed_linked(id);
                    if model.legs[at].1 == LinkState::Pending {
                        assert_eq!(fed, Ok(()), "seed {seed}, step {step}");
                        model.linked(at);
                    } else {
                        assert_eq!(fed, Err(Error::Fault(Fault::UnexpectedLinked)), "seed {seed}, step {step}");
                        model.heard.push(Heard::Close(id));
                        model.lose(at);
                    }
                }
                _ => {
                    client.engine.circuit_closed(client.now, model.legs[at].0).unwrap();
                    model.lose(at);
                }
            }
            let heard = client.drain();
            assert_eq!(heard, std::mem::take(&mut model.heard), "seed {seed}, step {step}");
            for what in heard {
                let name = format!("{what:?}").split('(').next().map(str::to_owned).unwrap();
                *seen.entry(name).or_insert(0) += 1;
            }
            if model.ended {
                assert!(client.engine.set_stats(client.set).is_err());
                assert_eq!(client.engine.stats().timers, 0);
                break;
            }
            let stats = client.engine.set_stats(client.set).unwrap();
            let unlinked = model.legs.iter().filter(|leg| leg.1 != LinkState::Linked).count();
            assert_eq!((stats.legs as usize, stats.legs_unlinked as usize), (model.legs.len(), unlinked));
            assert_eq!(stats.usable, model.usable, "seed {seed}, step {step}");
            let left = (LAUNCHES_MAX - model.launches).min((LEGS_MAX - model.legs.len()) as u32);
            assert_eq!(stats.launches_left, left, "seed {seed}, step {step}");
            let pending = model.legs.iter().filter(|leg| leg.1 == LinkState::Pending).count();
            assert_eq!(client.engine.stats().timers as usize, pending, "only LINKED is waited for");
            for &(id, state) in &model.legs {
                assert_eq!(client.engine.leg_stats(id).map(|leg| leg.state), Ok(state));
            }
        }
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!(seen.values().all(|&count| count > 500), "{seen:?}");
}
