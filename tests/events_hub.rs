//! Events of a hub: what crosses between engines, on both of them.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, Outlet, VerdictKind, What};
use circflow::message::Message;
use circflow::wire::conflux::{Link, Nonce, Switch, Ux};
use circflow::wire::fault::Fault;
use circflow::wire::Command;
use common::events::{record, recorded, recorded_of};
use common::{circuit, config, drain, engines_of_a_hub, report, terms};

const MS: u64 = 1_000_000;
const HOME: usize = 0;
const AWAY: usize = 1;

/// Two engines of one hub. The set is the first engine's, the leg that is asked for is the second's.
struct Pair {
    engines: [Engine; 2],
    legs: [Id; 2],
    set: Id,
    now: u64,
    run: bool,
}

impl Pair {
    fn new(run: bool) -> Pair {
        let (_, mut engines) = engines_of_a_hub([config(1), config(2)], &terms(None));
        engines.iter_mut().for_each(record);
        let mut pair = Pair { engines, legs: [Id::NONE; 2], set: Id::NONE, now: 1000 * MS, run };
        pair.open(HOME);
        pair.take_linked(HOME);
        pair
    }

    fn open(&mut self, at: usize) {
        let more = if self.run { CircuitFlags::REACTOR.0 } else { 0 };
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | more);
        let like = CircuitConfig { flags, ..circuit(Role::Exit, at as u64) };
        self.legs[at] = self.engines[at].open_circuit(self.now, like).unwrap();
        let link = Link { nonce: Nonce::new([0x77; 32]), last_sent: 0, last_received: 0, ux: Ux::HighThroughput };
        self.come(at, Command::CONFLUX_LINK, 0, &link.encode()).unwrap();
    }

    fn come(
        &mut self,
        at: usize,
        command: Command,
        stream_id: u16,
        body: &[u8],
    ) -> Result<VerdictKind, circflow::engine::Error> {
        let message = Message { command, hop: 0, stream_id, body, token: None };
        let answer = self.engines[at].receive_cell(self.now, self.legs[at], &message, &[1; 20]);
        answer.map(|verdict| verdict.kind)
    }

    fn tick(&mut self, at: usize) {
        self.now += MS;
        self.engines[at].tick(self.now);
    }

    /// LINKED is taken and answered.
    fn take_linked(&mut self, at: usize) {
        for (instruction, _) in drain(&mut self.engines[at]) {
            if let What::Send { command: Command::CONFLUX_LINKED, .. } = instruction.what {
                self.come(at, Command::CONFLUX_LINKED_ACK, 0, &[]).unwrap();
            }
        }
        for (instruction, _) in drain(&mut self.engines[HOME]) {
            if let What::Linked(_) = instruction.what {
                self.set = instruction.set;
            }
        }
    }

    /// The commands of what went out of an engine, and of what came in, since the last time; each is of the leg.
    fn crossed(&mut self, at: usize) -> [Vec<Command>; 2] {
        let happened = recorded(&mut self.engines[at]);
        ["CrossedOut", "CrossedIn"].map(|name| {
            let of = |event: &common::events::Happened| {
                assert_eq!(event.get("leg"), self.legs[AWAY].0.into());
                Command(event.get("command") as u8)
            };
            happened.iter().filter(|event| event.name == name).map(of).collect()
        })
    }

    fn linked(run: bool) -> Pair {
        let mut pair = Pair::new(run);
        pair.open(AWAY);
        pair.tick(HOME);
        pair.tick(AWAY);
        pair.take_linked(AWAY);
        pair.tick(HOME);
        pair.take_linked(HOME);
        pair.crossed(HOME);
        pair.crossed(AWAY);
        pair
    }
}

#[test]
fn each_step_of_the_handshake_crosses() {
    for run in [false, true] {
        let mut pair = Pair::new(run);
        assert_eq!(pair.crossed(HOME), [vec![], vec![]], "a leg of its own crosses nothing");
        pair.open(AWAY);
        assert_eq!(pair.crossed(AWAY), [vec![Command::CONFLUX_LINK], vec![]]);
        pair.tick(HOME);
        assert_eq!(pair.crossed(HOME), [vec![Command::CONFLUX_LINKED], vec![Command::CONFLUX_LINK]]);
        pair.tick(AWAY);
        assert_eq!(pair.crossed(AWAY), [vec![], vec![Command::CONFLUX_LINKED]]);
        pair.take_linked(AWAY);
        let answers = vec![Command::CONFLUX_LINKED, Command::CONFLUX_LINKED_ACK];
        assert_eq!(pair.crossed(AWAY), [answers.clone(), vec![]], "that LINKED was taken, and the answer to it");
        pair.tick(HOME);
        assert_eq!(pair.crossed(HOME), [vec![], answers]);
    }
}

#[test]
fn messages_that_come_cross_to_the_home() {
    for run in [false, true] {
        let mut pair = Pair::linked(run);
        pair.come(AWAY, Command::BEGIN, 7, b"x:80\0").unwrap();
        pair.come(AWAY, Command::CONFLUX_SWITCH, 0, &Switch { delta: 3 }.encode()).unwrap();
        pair.come(AWAY, Command::DATA, 7, b"x").unwrap();
        let mut up = vec![Command::BEGIN, Command::CONFLUX_SWITCH, Command::DATA];
        if run {
            // A set refuses it, which the host does elsewhere.
            pair.come(AWAY, Command::BEGIN_DIR, 8, b"").unwrap();
            up.push(Command::BEGIN_DIR);
        }
        assert_eq!(pair.crossed(AWAY), [up.clone(), vec![]]);
        pair.tick(HOME);
        // BEGIN is next, so it stays in the link until the host drains.
        drain(&mut pair.engines[HOME]);
        let [down, came] = pair.crossed(HOME);
        assert_eq!(came, up);
        assert!(down.is_empty() || down == [Command::END], "{down:?}");
    }
}

#[test]
fn messages_of_the_set_cross_to_the_leg() {
    let mut pair = Pair::linked(false);
    pair.engines[HOME].report(pair.now, pair.legs[HOME], &report(10, 10, MS)).unwrap();
    pair.engines[AWAY].report(pair.now, pair.legs[AWAY], &report(10, 0, 2 * MS)).unwrap();
    let reported = recorded_of(&mut pair.engines[AWAY], "Reported");
    let of = ["circuit", "cwnd", "in_flight", "rtt"].map(|field| reported[0].get(field));
    assert_eq!(of, [i128::from(pair.legs[AWAY].0), 10, 0, (2 * MS).into()], "on the leg's own engine");
    pair.tick(HOME);
    pair.crossed(HOME);
    for _ in 0..3 {
        let data = Message { command: Command::DATA, hop: 0, stream_id: 5, body: b"x", token: None };
        let verdict = pair.engines[HOME].send_message(pair.now, Outlet::Choice(pair.set), &data).unwrap();
        assert_eq!(verdict.kind, VerdictKind::Held);
    }
    assert_eq!(pair.crossed(HOME), [vec![Command::DATA; 3], vec![]]);
    pair.tick(AWAY);
    // They stay in the link until the host drains.
    drain(&mut pair.engines[AWAY]);
    assert_eq!(pair.crossed(AWAY), [vec![], vec![Command::DATA; 3]]);
}

/// The source of a leg whose home does not read is told to pause, and to go on.
#[test]
fn a_source_pauses_for_a_home_that_is_slow() {
    let mut pair = Pair::linked(false);
    let paused = loop {
        pair.come(AWAY, Command::DATA, 7, b"x").unwrap();
        if let Some(event) = recorded_of(&mut pair.engines[AWAY], "FeedPaused").pop() {
            break event;
        }
    };
    let of = |event: &common::events::Happened| ["circuit", "side", "waiting"].map(|field| event.get(field));
    assert_eq!(of(&paused), [pair.legs[AWAY].0.into(), 1, 8]);
    pair.tick(HOME);
    drain(&mut pair.engines[HOME]);
    pair.tick(AWAY);
    let unpaused = recorded_of(&mut pair.engines[AWAY], "FeedUnpaused");
    assert_eq!(of(&unpaused[0]), [pair.legs[AWAY].0.into(), 1, 0]);
}

/// The engine that finds a fault says so, once; the other one names it as the cause.
#[test]
fn a_fault_of_a_leg_elsewhere_is_said_where_it_is_found() {
    // At the leg.
    let mut pair = Pair::linked(false);
    pair.come(AWAY, Command::CONFLUX_SWITCH, 0, b"?").unwrap_err();
    pair.tick(HOME);
    let status = i128::from(Fault::BadSwitch.number());
    let faults = recorded_of(&mut pair.engines[AWAY], "Fault");
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].get("who"), faults[0].get("status")), (pair.legs[AWAY].0.into(), status));
    let happened = recorded(&mut pair.engines[HOME]);
    assert!(happened.iter().all(|event| event.name != "Fault"));
    let ended = happened.iter().find(|event| event.name == "SetEnded").unwrap();
    assert_eq!((ended.get("set"), ended.get("cause")), (pair.set.0.into(), status));
    // At the home: the message is one too many there only.
    let mut pair = Pair::linked(false);
    pair.come(AWAY, Command::CONFLUX_SWITCH, 0, &Switch { delta: u32::MAX }.encode()).unwrap();
    pair.tick(HOME);
    pair.tick(AWAY);
    let faults = recorded_of(&mut pair.engines[HOME], "Fault");
    let status = i128::from(Fault::SwitchTooFar.number());
    assert_eq!((faults[0].get("who"), faults[0].get("status")), (pair.set.0.into(), status));
    assert_eq!((faults.len(), recorded_of(&mut pair.engines[AWAY], "Fault").len()), (1, 0));
    // A fault of the leg alone, found at the home.
    let mut pair = Pair::new(false);
    pair.open(AWAY);
    pair.tick(HOME);
    recorded(&mut pair.engines[HOME]);
    pair.tick(AWAY);
    drain(&mut pair.engines[AWAY]);
    pair.tick(HOME);
    pair.now += 61_000 * MS;
    pair.tick(HOME);
    let faults = recorded_of(&mut pair.engines[HOME], "Fault");
    let status = i128::from(Fault::LinkedAckTimeout.number());
    assert_eq!((faults.len(), faults[0].get("who"), faults[0].get("status")), (1, pair.legs[AWAY].0.into(), status));
}
