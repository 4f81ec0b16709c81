//! R3: STREAM WRITE and STREAM READ exist from the first BEGIN on, and not before; in a set the controller starts them.

mod common;

use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Engine, Error, StreamConfig, VerdictKind, What};
use circflow::message::Message;
use circflow::reactor::{Owner, Side};
use circflow::wire::conflux::{Link, Ux};
use circflow::wire::fault::Fault;
use circflow::wire::Command;

const RUN: CircuitFlags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0);

fn open(engine: &mut Engine, role: Role, more: u16) -> Id {
    let flags = CircuitFlags(RUN.0 | more);
    engine.open_circuit(0, CircuitConfig { flags, ..common::circuit(role, 8) }).unwrap()
}

fn hear(engine: &mut Engine, id: Id, hop: u8, command: Command, body: &[u8]) -> Result<VerdictKind, Error> {
    let stream_id = if command == Command::CONFLUX_LINK { 0 } else { 7 };
    let message = Message { command, hop, stream_id, body, token: None };
    engine.receive_long(0, id, &message, || Ok(&[1; 20])).map(|verdict| verdict.kind)
}

/// What may come for a stream that is not there.
const LATE: [(Command, &[u8]); 4] =
    [(Command::DATA, b"x"), (Command::END, &[6]), (Command::XOFF, &[0]), (Command::XON, &[0; 5])];

const OPENING: [Command; 3] = [Command::BEGIN, Command::BEGIN_DIR, Command::RESOLVE];

#[test]
fn r3_a_circuit_has_no_stream_side_before_the_first_begin() {
    for command in OPENING {
        let mut engine = Engine::new(&common::config(3)).unwrap();
        let id = open(&mut engine, Role::Exit, 0);
        for (late, body) in LATE {
            assert_eq!(hear(&mut engine, id, 0, late, body), Ok(VerdictKind::Consumed));
        }
        assert!(engine.next_stream(0, Owner::Circuit(id)).unwrap().is_none());
        assert!(!engine.has_stream_side(Owner::Circuit(id)), "{command:?}");
        assert_eq!(hear(&mut engine, id, 0, command, b"host:80"), Ok(VerdictKind::Deliver));
        assert!(engine.has_stream_side(Owner::Circuit(id)), "{command:?}");
    }
}

#[test]
fn r3_a_relay_that_only_passes_cells_on_never_has_one() {
    let mut engine = Engine::new(&common::config(3)).unwrap();
    let id = open(&mut engine, Role::Exit, CircuitFlags::EXTENDED.0);
    for n in 0..1000 {
        let from = if n % 2 == 0 { Side::Back } else { Side::Next };
        let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &[9; 509], token: None };
        engine.pass(0, id, from, &cell).unwrap();
    }
    assert!(!engine.has_stream_side(Owner::Circuit(id)));
}

#[test]
fn r3_a_client_has_one_with_the_first_stream_it_opens() {
    let mut engine = Engine::new(&common::config(3)).unwrap();
    let id = open(&mut engine, Role::Client, 0);
    let unknown = Err(Error::Fault(Fault::UnknownStream));
    let other = open(&mut engine, Role::Client, 0);
    assert_eq!(hear(&mut engine, other, 3, Command::DATA, b"x"), unknown);
    assert!(!engine.has_stream_side(Owner::Circuit(id)) && !engine.has_stream_side(Owner::Circuit(other)));
    let config = StreamConfig { tag: 1, stream_id: 7, hop: 3, priority: 0 };
    engine.open_stream(0, Owner::Circuit(id), &config).unwrap();
    assert!(engine.has_stream_side(Owner::Circuit(id)));
}

#[test]
fn r3_in_a_set_the_controller_starts_it() {
    let mut engine = Engine::new(&common::config(3)).unwrap();
    engine.accept_sets(Some(common::terms(None)));
    let legs = [open(&mut engine, Role::Exit, 0), open(&mut engine, Role::Exit, 0)];
    let link = Link { nonce: common::terms(None).nonce, last_sent: 0, last_received: 0, ux: Ux::HighThroughput };
    for leg in legs {
        let body = link.encode();
        assert_eq!(hear(&mut engine, leg, 0, Command::CONFLUX_LINK, &body), Ok(VerdictKind::Consumed));
    }
    let events = common::drain(&mut engine);
    let linked = events.iter().find(|(event, _)| matches!(event.what, What::Linked(_)));
    let set = linked.map(|(event, _)| event.set).unwrap();
    for (late, body) in LATE {
        assert_eq!(hear(&mut engine, legs[0], 0, late, body), Ok(VerdictKind::Consumed));
    }
    assert!(!engine.has_stream_side(Owner::Set(set)));
    assert_eq!(hear(&mut engine, legs[0], 0, Command::BEGIN, b"host:80"), Ok(VerdictKind::Deliver));
    assert!(engine.has_stream_side(Owner::Set(set)));
    assert!(legs.iter().all(|&leg| !engine.has_stream_side(Owner::Circuit(leg))), "they are the set's");
}
