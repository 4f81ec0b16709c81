//! What lies unread in the link to another engine: it is neither late nor in the way when its set ends.

mod common;

use circflow::base::Id;
use circflow::conflux::{Cause, Role, SetTerms};
use circflow::engine::{CircuitConfig, Config, Engine, VerdictKind, What};
use circflow::message::{Message, Token};
use circflow::wire::conflux::{Link, Nonce, Switch, Ux};
use circflow::wire::Command;
use common::{circuit, config, drain, engines_of_a_hub, terms};

const MS: u64 = 1_000_000;

struct Pair {
    engines: [Engine; 2],
    legs: [Id; 2],
    set: Id,
    now: u64,
}

impl Pair {
    fn new(like: impl Fn(u64) -> CircuitConfig, configs: [Config; 2], terms: SetTerms) -> Pair {
        let (_, engines) = engines_of_a_hub(configs, &terms);
        let mut pair = Pair { engines, legs: [Id::NONE; 2], set: Id::NONE, now: 1000 * MS };
        let link = Link { nonce: Nonce::new([0x77; 32]), last_sent: 0, last_received: 0, ux: Ux::HighThroughput };
        for at in 0..2 {
            pair.legs[at] = pair.engines[at].open_circuit(pair.now, like(at as u64)).unwrap();
            pair.come(at, Command::CONFLUX_LINK, 0, &link.encode(), None);
            pair.settle();
        }
        assert_ne!(pair.set, Id::NONE, "both legs are linked");
        pair
    }

    /// In the link lie a message that is next, and a SWITCH that goes too far.
    fn with_a_fault_in_the_link() -> Pair {
        let mut pair = Pair::new(|tag| circuit(Role::Exit, tag), [config(1), config(2)], terms(None));
        assert_eq!(pair.come(1, Command::DATA, 5, b"one", None), VerdictKind::Held);
        pair.come(1, Command::CONFLUX_SWITCH, 0, &Switch { delta: 1 << 21 }.encode(), None);
        pair.engines[0].tick(pair.now);
        pair
    }

    fn come(
        &mut self,
        at: usize,
        command: Command,
        stream_id: u16,
        body: &[u8],
        token: Option<(u64, u32)>,
    ) -> VerdictKind {
        let token = token.map(|(token, cost)| Token { token, cost });
        let message = Message { command, hop: 0, stream_id, body, token };
        self.engines[at].receive(self.now, self.legs[at], &message).unwrap().kind
    }

    fn settle(&mut self) {
        for at in [0, 1, 0, 1, 0, 1] {
            self.now += MS;
            self.engines[at].tick(self.now);
            for (instruction, _) in drain(&mut self.engines[at]) {
                match instruction.what {
                    What::Send { command: Command::CONFLUX_LINKED, .. } => {
                        self.come(at, Command::CONFLUX_LINKED_ACK, 0, &[], None);
                    }
                    What::Linked(_) => self.set = instruction.set,
                    _ => {}
                }
            }
        }
    }

    /// Another set, of a client on engine 0, holds a message of this cost.
    fn hold_in_another_set(&mut self, cost: u32) {
        let (now, engine) = (self.now, &mut self.engines[0]);
        let set = engine.open_set(now, SetTerms { nonce: Nonce::new([9; 32]), ..terms(None) }).unwrap();
        let id = engine.open_circuit(now, circuit(Role::Client, 9)).unwrap();
        engine.adopt_leg(now, set, id, Ux::NoOpinion, 0).unwrap();
        let hop = common::HOPS;
        let switch = Switch { delta: 1 }.encode();
        let switch = Message { command: Command::CONFLUX_SWITCH, hop, stream_id: 0, body: &switch, token: None };
        engine.receive(now, id, &switch).unwrap();
        let token = Some(Token { token: 77, cost });
        let early = Message { command: Command::DATA, hop, stream_id: 1, body: b"x", token };
        assert_eq!(engine.receive(now, id, &early).unwrap().kind, VerdictKind::Held);
    }

    /// The leg on engine 0 counts further than any number goes: a fault of the whole set.
    fn break_set(&mut self) {
        let switch = Switch { delta: u32::MAX }.encode();
        let message = Message { command: Command::CONFLUX_SWITCH, hop: 0, stream_id: 0, body: &switch, token: None };
        self.engines[0].receive(self.now, self.legs[0], &message).unwrap_err();
    }

    fn show(&mut self, at: usize) -> Vec<String> {
        drain(&mut self.engines[at])
            .into_iter()
            .map(|(instruction, _)| match instruction.what {
                What::Deliver(delivery) => {
                    format!("deliver {} token {:?}", delivery.number, delivery.token.map(|t| t.token))
                }
                What::Discard(token) => format!("discard {}", token.token),
                What::Ended(cause) => format!("ended {cause:?}"),
                What::Close(cause) => format!("close {cause:?}"),
                other => format!("{other:?}"),
            })
            .collect()
    }
}

/// The message that fills the gap has come, and only the host's drain is missing: the set must not end for its age.
#[test]
fn a_set_is_not_too_old_while_the_next_message_lies_in_the_link() {
    let terms = SetTerms { held_age_max: Some(800 * MS), ..terms(None) };
    let mut pair = Pair::new(|tag| circuit(Role::Exit, tag), [config(1), config(2)], terms);
    // Number 2 comes early on the leg here.
    pair.come(0, Command::CONFLUX_SWITCH, 0, &Switch { delta: 1 }.encode(), None);
    assert_eq!(pair.come(0, Command::DATA, 5, b"two", None), VerdictKind::Held);
    let begun = pair.now;
    // Number 1 comes elsewhere in time, and the engine of the set hears of it in time.
    pair.now = begun + 400 * MS;
    assert_eq!(pair.come(1, Command::DATA, 5, b"one", None), VerdictKind::Held);
    pair.engines[0].tick(pair.now);
    // The host's loop feeds and ticks on before it drains (a budgeted drain of much else does the same).
    pair.now = begun + 820 * MS;
    pair.engines[0].tick(pair.now);
    let shown = pair.show(0);
    assert!(!shown.iter().any(|line| line.starts_with("ended")), "{shown:?}");
}

/// The host has the victims named, and closes the one that was named: no other has to go.
#[test]
fn a_set_that_the_host_closes_takes_no_other_with_it() {
    let mut pair = Pair::new(
        |tag| circuit(Role::Exit, tag),
        [Config { held_bytes_max: 20_000, ..config(1) }, config(2)],
        terms(None),
    );
    pair.come(0, Command::CONFLUX_SWITCH, 0, &Switch { delta: 1 }.encode(), None);
    assert_eq!(pair.come(0, Command::DATA, 5, b"two", Some((2, 15_000))), VerdictKind::Held);
    pair.hold_in_another_set(4_500);
    pair.now += 400 * MS;
    assert_eq!(pair.come(1, Command::DATA, 5, b"one", Some((1, 600))), VerdictKind::Held);
    pair.engines[0].tick(pair.now);
    let mut named = Vec::new();
    pair.engines[0].choose_victims(1, 1, &mut named);
    assert_eq!(named[0].id, pair.set);
    pair.engines[0].close_set(pair.now, pair.set).unwrap();
    let shown = pair.show(0);
    assert_eq!(shown.iter().filter(|line| line.starts_with("ended")).count(), 1, "{shown:?}");
}

/// The host closes a set: it ends because it was asked, and nothing is delivered.
#[test]
fn a_set_that_the_host_closes_ends_as_asked() {
    let mut pair = Pair::with_a_fault_in_the_link();
    pair.engines[0].close_set(pair.now, pair.set).unwrap();
    let shown = pair.show(0);
    assert!(shown.contains(&format!("ended {:?}", Cause::Asked)), "{shown:?}");
    assert!(!shown.iter().any(|line| line.starts_with("deliver")), "{shown:?}");
}

/// A set that ends for a fault has one fault, though its link holds another one; what came before is delivered.
#[test]
fn a_set_that_ends_for_a_fault_does_not_count_that_in_its_link() {
    let mut pair = Pair::with_a_fault_in_the_link();
    pair.break_set();
    assert_eq!(pair.engines[0].stats().peer_faults, 1);
    let shown = pair.show(0);
    assert_eq!(shown.iter().filter(|line| line.starts_with("ended")).count(), 1, "{shown:?}");
}

/// A set that ends takes from its links what there is room for: no other set makes room for it.
#[test]
fn a_set_that_ends_for_a_fault_takes_no_other_with_it() {
    let configs = [Config { held_bytes_max: 20_000, ..config(1) }, config(2)];
    let mut pair = Pair::new(|tag| circuit(Role::Exit, tag), configs, terms(None));
    pair.hold_in_another_set(15_000);
    pair.now += 400 * MS;
    assert_eq!(pair.come(1, Command::DATA, 5, b"one", Some((1, 15_000))), VerdictKind::Held);
    pair.engines[0].tick(pair.now);
    pair.break_set();
    let shown = pair.show(0);
    assert_eq!(shown.iter().filter(|line| line.starts_with("ended")).count(), 1, "{shown:?}");
}
