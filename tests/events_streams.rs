//! Events of streams: how they open and end, XOFF and XON.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, Outlet, StreamConfig, What};
use circflow::message::Message;
use circflow::reactor::Owner;
use circflow::wire::conflux::Ux;
use circflow::wire::flow::{Xoff, Xon};
use circflow::wire::Command;
use common::events::{record, recorded, recorded_of, Happened};
use common::{circuit, config, drain, terms, HOPS};

const MS: u64 = 1_000_000;
const SEC: u64 = 1_000 * MS;
const BY_HOST: i128 = 0;
const BY_PEER: i128 = 1;
const WITH_OWNER: i128 = 2;

fn run(role: Role) -> CircuitConfig {
    let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);
    CircuitConfig { flags, ..circuit(role, 8) }
}

fn on_stream(command: Command, hop: u8, stream_id: u16, body: &[u8]) -> Message<'_> {
    Message { command, hop, stream_id, body, token: None }
}

struct End {
    engine: Engine,
    circuit: Id,
    owner: Owner,
    hop: u8,
    now: u64,
}

impl End {
    fn exit() -> End {
        let mut engine = Engine::new(&config(1)).unwrap();
        let circuit = engine.open_circuit(0, run(Role::Exit)).unwrap();
        record(&mut engine);
        recorded(&mut engine);
        End { engine, circuit, owner: Owner::Circuit(circuit), hop: 0, now: 1 }
    }

    fn client(in_set: bool) -> End {
        let mut engine = Engine::new(&config(1)).unwrap();
        let circuit = engine.open_circuit(0, run(Role::Client)).unwrap();
        let mut owner = Owner::Circuit(circuit);
        if in_set {
            let set = engine.open_set(0, terms(None)).unwrap();
            engine.adopt_leg(0, set, circuit, Ux::NoOpinion, 0).unwrap();
            owner = Owner::Set(set);
        }
        drain(&mut engine);
        record(&mut engine);
        End { engine, circuit, owner, hop: HOPS, now: 1 }
    }

    fn open(&mut self, stream_id: u16) -> Id {
        let config = StreamConfig { tag: 1, stream_id, hop: self.hop, priority: 0 };
        self.engine.open_stream(self.now, self.owner, &config).unwrap()
    }

    fn hear(&mut self, command: Command, stream_id: u16, body: &[u8]) -> Id {
        self.now += 1;
        let message = on_stream(command, self.hop, stream_id, body);
        self.engine.receive_cell(self.now, self.circuit, &message, &[1; 20]).unwrap().stream
    }

    fn say(&mut self, stream: Id, command: Command, body: &[u8]) {
        self.now += 1;
        let message = on_stream(command, self.hop, 0, body);
        let verdict = self.engine.send_message(self.now, Outlet::Stream(stream), &message).unwrap();
        if verdict.wants_digest {
            self.engine.add_digest(self.circuit, self.hop, &[2; 20]).unwrap();
        }
    }

    fn opened(&self, stream: Id, by_peer: i128) -> Vec<(&'static str, i128)> {
        vec![("owner", self.owner.id().0.into()), ("stream", stream.0.into()), ("by_peer", by_peer)]
    }

    fn ended(&self, stream: Id, by: i128) -> Vec<(&'static str, i128)> {
        vec![("owner", self.owner.id().0.into()), ("stream", stream.0.into()), ("by", by)]
    }

    fn fields(&mut self, name: &str) -> Vec<Vec<(&'static str, i128)>> {
        recorded_of(&mut self.engine, name).into_iter().map(|event: Happened| event.fields).collect()
    }
}

#[test]
fn streams_that_the_peer_opens_and_who_ends_them() {
    let mut end = End::exit();
    for opening in [Command::BEGIN, Command::BEGIN_DIR, Command::RESOLVE] {
        let stream = end.hear(opening, 7, b"x:80\0");
        assert_eq!(end.fields("StreamOpened"), [end.opened(stream, 1)], "{opening:?}");
        end.hear(Command::DATA, 7, b"x");
        assert_eq!(end.fields("StreamOpened"), Vec::<Vec<_>>::new());
        end.hear(Command::END, 7, &[6]);
        assert_eq!(end.fields("StreamEnded"), [end.ended(stream, BY_PEER)]);
        end.hear(Command::END, 7, &[6]);
        assert_eq!(end.fields("StreamEnded"), Vec::<Vec<_>>::new(), "it has ended before");
    }
    for ending in [Command::END, Command::RESOLVED] {
        let stream = end.hear(Command::BEGIN, 8, b"x:80\0");
        end.say(stream, ending, &[6]);
        assert_eq!(end.fields("StreamEnded"), [end.ended(stream, BY_HOST)]);
    }
    let streams = [9, 10].map(|stream_id| end.hear(Command::BEGIN, stream_id, b"x:80\0"));
    end.engine.circuit_closed(end.now, end.circuit).unwrap();
    assert_eq!(end.fields("StreamEnded"), streams.map(|stream| end.ended(stream, WITH_OWNER)));
}

#[test]
fn streams_that_the_host_opens_on_a_circuit_and_in_a_set() {
    for in_set in [false, true] {
        let mut end = End::client(in_set);
        let stream = end.open(7);
        assert_eq!(end.fields("StreamOpened"), [end.opened(stream, 0)]);
        end.say(stream, Command::BEGIN, b"x:80\0");
        end.hear(Command::CONNECTED, 7, &[]);
        end.hear(Command::END, 7, &[6]);
        assert_eq!(end.fields("StreamEnded"), [end.ended(stream, BY_PEER)]);
        let stream = end.open(8);
        end.say(stream, Command::BEGIN, b"x:80\0");
        end.say(stream, Command::END, &[6]);
        assert_eq!(end.fields("StreamEnded"), [end.ended(stream, BY_HOST)]);
        let resolve = end.open(11);
        end.say(resolve, Command::RESOLVE, b"x\0");
        end.hear(Command::RESOLVED, 11, &[]);
        assert_eq!(end.fields("StreamEnded"), [end.ended(resolve, BY_PEER)]);
        let stream = end.open(9);
        end.say(stream, Command::BEGIN, b"x:80\0");
        if let Owner::Set(set) = end.owner {
            end.engine.close_set(end.now, set).unwrap();
        } else {
            end.engine.circuit_closed(end.now, end.circuit).unwrap();
        }
        assert_eq!(end.fields("StreamEnded"), [end.ended(stream, WITH_OWNER)]);
    }
}

#[test]
fn streams_of_a_dissolved_set_go_on_with_its_leg() {
    let mut end = End::client(true);
    let stream = end.open(7);
    end.say(stream, Command::BEGIN, b"x:80\0");
    let Owner::Set(set) = end.owner else { panic!() };
    end.engine.dissolve(end.now, set).unwrap();
    assert_eq!(end.fields("StreamEnded"), Vec::<Vec<_>>::new());
    end.owner = Owner::Circuit(end.circuit);
    end.hear(Command::END, 7, &[6]);
    assert_eq!(end.fields("StreamEnded"), [end.ended(stream, BY_PEER)]);
}

#[test]
fn a_stream_that_is_refused_is_none() {
    let mut end = End::exit();
    for stream_id in 1..=64 {
        end.hear(Command::BEGIN, stream_id, b"x:80\0");
    }
    assert_eq!(end.fields("StreamOpened").len(), 64);
    end.hear(Command::BEGIN, 65, b"x:80\0");
    assert_eq!(end.fields("StreamOpened"), Vec::<Vec<_>>::new(), "no more than 64 may be open");
}

#[test]
fn xoff_and_xon_that_come() {
    for in_set in [false, true] {
        let mut end = End::client(in_set);
        let stream = end.open(7);
        end.say(stream, Command::BEGIN, b"x:80\0");
        end.hear(Command::CONNECTED, 7, &[]);
        // As much as lets an honest peer send XOFF.
        for _ in 0..30 {
            end.say(stream, Command::DATA, &[0; 490]);
        }
        let credit = Message { body: &[0; 490], ..on_stream(Command::DATA, end.hop, 0, b"") };
        let mut sent = 30;
        while sent < 600 {
            match end.engine.send_message(end.now, Outlet::Stream(stream), &credit) {
                Ok(verdict) => {
                    if verdict.wants_digest {
                        end.engine.add_digest(end.circuit, end.hop, &[2; 20]).unwrap();
                    }
                    sent += 1;
                }
                Err(_) => {
                    end.now += 100 * MS;
                    acknowledge(&mut end);
                }
            }
        }
        recorded(&mut end.engine);
        end.hear(Command::XOFF, 7, &Xoff.encode());
        assert_eq!(end.fields("XoffReceived"), [vec![("stream", i128::from(stream.0))]]);
        end.hear(Command::XON, 7, &Xon { kbps: 250 }.encode());
        assert_eq!(end.fields("XonReceived"), [vec![("stream", i128::from(stream.0)), ("rate", 250)]]);
    }
}

#[test]
fn the_rate_of_an_xon_is_the_one_that_holds() {
    // A relay is not strict with the number of XONs.
    let mut end = End::exit();
    let stream = end.hear(Command::BEGIN, 7, b"x:80\0");
    for (kbps, rate) in [(250, 250), (u32::MAX, 0), (1, 1), (0, 0)] {
        end.hear(Command::XON, 7, &Xon { kbps }.encode());
        assert_eq!(end.fields("XonReceived"), [vec![("stream", i128::from(stream.0)), ("rate", rate)]]);
    }
    end.hear(Command::XOFF, 7, &Xoff.encode());
    assert_eq!(end.fields("XoffReceived").len(), 1);
    end.hear(Command::XOFF, 9, &Xoff.encode());
    assert_eq!(end.fields("XoffReceived"), Vec::<Vec<_>>::new(), "for no stream");
}

fn acknowledge(end: &mut End) {
    use circflow::wire::sendme::{Digest, Sendme};
    let mut body = [0; Sendme::LEN_MAX];
    let body = Sendme::V1 { digest: Digest::new(&[2; 20]).unwrap() }.encode(&mut body).to_vec();
    let message = Message { command: Command::SENDME, hop: end.hop, stream_id: 0, body: &body, token: None };
    end.engine.receive(end.now, end.circuit, &message).unwrap();
    drain(&mut end.engine);
}

#[test]
fn xoff_and_xon_that_go() {
    let mut end = End::exit();
    let stream = end.hear(Command::BEGIN, 7, b"x:80\0");
    let mut buffered = 0;
    let xoff = loop {
        end.now += MS;
        end.hear(Command::DATA, 7, &[0; 490]);
        buffered += 490;
        drain(&mut end.engine);
        if let Some(fields) = end.fields("XoffSent").pop() {
            break fields;
        }
    };
    assert_eq!(xoff, [("stream", i128::from(stream.0)), ("buffered", buffered)]);
    assert!(buffered > 500 * 488);
    // More than lets a rate be measured comes, and all is written out half a second later.
    for _ in 0..20 {
        end.hear(Command::DATA, 7, &[0; 490]);
        buffered += 490;
    }
    end.now += SEC / 2;
    end.engine.flushed(end.now, stream, buffered as u32).unwrap();
    let xon = end.fields("XonSent");
    assert_eq!((xon.len(), xon[0][0]), (1, ("stream", i128::from(stream.0))));
    let stats = end.engine.stream_stats(stream).unwrap();
    assert_eq!((stats.flow_stats.xoffs_sent, stats.flow_stats.xons_sent), (1, 1));
    let is_xon = |what: &What| matches!(what, What::SendHeld(sent) if sent.message.command == Command::XON);
    let given = drain(&mut end.engine);
    let (_, body) = given.iter().find(|(instruction, _)| is_xon(&instruction.what)).unwrap();
    let on_the_wire = Xon::decode(&body[..5]).unwrap().kbps;
    assert_eq!(xon[0][1], ("rate", i128::from(on_the_wire)));
    assert!(on_the_wire > 0, "half a second for all of it is a rate");
}
