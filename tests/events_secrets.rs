//! Nothing that must not be kept is in a record. A world of four engines goes through every path with all classes
//! recorded, and with secrets that can be told from anything else: nonces, bodies, addresses, digests, tags and tokens
//! of hosts, texts of machines, seeds. No four bytes of any of them, in either order, may stand in what was recorded.

mod common;

use circflow::base::Id;
use circflow::conflux::{Role, SetTerms};
use circflow::congestion::PathClass;
use circflow::engine::{
    CircuitConfig, CircuitFlags, Config, Engine, EngineHub, Outlet, StreamConfig, Verdict, VerdictKind, What,
};
use circflow::event::{Class, Kind, Records, KINDS};
use circflow::hub::HubConfig;
use circflow::message::{Message, Token};
use circflow::padding::{Machines, PadderTerms};
use circflow::reactor::{Owner, Side};
use circflow::wire::conflux::{Nonce, Switch, Ux};
use circflow::wire::Command;
use common::machines::{block, cancel, machine, pad, state, timer, upon};
use common::{circuit, config, padding_terms, report, terms, HOPS};
use maybenot::event::Event;
use maybenot::Timer;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

const MS: u64 = 1_000_000;
const SEC: u64 = 1_000 * MS;
const WINDOW: usize = 4;

/// Bytes with their upper bits set, as no small number has them; each secret has its own.
fn secret<const N: usize>(which: u64) -> [u8; N] {
    let mut rng = common::Rng::new(which * 1000 + 77);
    std::array::from_fn(|_| 0x81 + rng.below(0x7d) as u8)
}

fn number(which: u64) -> u64 {
    u64::from_le_bytes(secret(which))
}

const NONCE: u64 = 1;
const BODY: u64 = 2;
const DIGEST: u64 = 3;
const SEED: u64 = 4;
const HUB_SEED: u64 = 5;
const SET_TAG: u64 = 6;
const CIRCUIT_TAG: u64 = 7;
const STREAM_TAG: u64 = 8;
const TOKEN: u64 = 9;
const SEND_TOKEN: u64 = 10;
const OTHER_NONCE: u64 = 11;
const THIRD_NONCE: u64 = 12;
const ADDRESS: &[u8] = b"hidden.example.org:8443\0";

fn machines() -> String {
    let machines = [
        upon(Event::NormalRecv, block(0.0, 50_000.0, false, false)),
        upon(Event::NormalSent, pad(1_000.0, true, true)),
        upon(Event::TunnelRecv, pad(2_000.0, false, false)),
    ];
    machines.iter().map(|machine| machine.serialize() + "\n").collect()
}

/// A machine that pads without end, and one whose timer is cancelled.
fn restless() -> String {
    let idle = |event| state(&[(event, 1)], None);
    let endless =
        machine(vec![idle(Event::NormalRecv), state(&[(Event::PaddingSent, 1)], Some(pad(0.0, false, false)))]);
    let cancels = machine(vec![
        idle(Event::NormalRecv),
        state(&[(Event::PaddingRecv, 2)], Some(timer(50_000.0, true))),
        state(&[], Some(cancel(Timer::All))),
    ]);
    [endless, cancels].iter().map(|machine| machine.serialize() + "\n").collect()
}

/// Every secret of the world, with its name.
fn secrets() -> Vec<(&'static str, Vec<u8>)> {
    let mut list = vec![
        ("the nonce", secret::<32>(NONCE).to_vec()),
        ("another nonce", secret::<32>(OTHER_NONCE).to_vec()),
        ("a third nonce", secret::<32>(THIRD_NONCE).to_vec()),
        ("a body", secret::<480>(BODY).to_vec()),
        ("a cell digest", secret::<20>(DIGEST).to_vec()),
        ("the seed", secret::<32>(SEED).to_vec()),
        ("the hub's seed", secret::<32>(HUB_SEED).to_vec()),
        ("an address", ADDRESS[..ADDRESS.len() - 1].to_vec()),
        ("a machine's text", machines().into_bytes()),
        ("another machine's text", restless().into_bytes()),
    ];
    for (name, which) in [
        ("a set's tag", SET_TAG),
        ("a circuit's tag", CIRCUIT_TAG),
        ("a stream's tag", STREAM_TAG),
        ("a token", TOKEN),
        ("a token of a message that goes", SEND_TOKEN),
    ] {
        list.push((name, number(which).to_le_bytes().to_vec()));
        list.push((name, number(which).to_be_bytes().to_vec()));
    }
    // Whatever is read as a number may be written in the other order.
    let reversed: Vec<_> = list.iter().map(|(name, bytes)| (*name, bytes.iter().rev().copied().collect())).collect();
    list.extend(reversed);
    list
}

/// The secrets of which some bytes are in what was recorded.
fn found(recorded: &[u8]) -> BTreeSet<&'static str> {
    let seen: BTreeSet<[u8; WINDOW]> =
        recorded.windows(WINDOW).map(|window| window.try_into().unwrap_or([0; WINDOW])).collect();
    let is_seen = |bytes: &Vec<u8>| bytes.windows(WINDOW).any(|window| seen.contains(window));
    secrets().into_iter().filter(|(_, bytes)| is_seen(bytes)).map(|(name, _)| name).collect()
}

const CLIENT: usize = 0;
const HOME: usize = 1;
const AWAY: usize = 2;
const RELAY: usize = 3;

type Cell = (Command, u16, Vec<u8>);

/// A circuit from the client to an exit.
struct Wire {
    client: Id,
    exit: (usize, Id),
    to_exit: VecDeque<Cell>,
    to_client: VecDeque<Cell>,
}

struct World {
    engines: Vec<Engine>,
    wires: Vec<Wire>,
    set: Id,
    /// Streams that the exits have heard of.
    streams: Vec<(usize, Id)>,
    /// The id of the stream that is open now, in messages.
    stream_id: u16,
    now: u64,
    recorded: Vec<u8>,
}

impl World {
    fn new() -> World {
        let hub = EngineHub::new(&HubConfig { seed: secret(HUB_SEED), held_bytes_max: 1 << 30 });
        let engines = [1, 2, 3, 4].map(|tag| {
            let like = Config { seed: secret(SEED), stream_bytes_max: 1 << 24, ..config(tag) };
            let mut engine = Engine::new(&like).unwrap();
            if tag == 2 || tag == 3 {
                engine.join_hub(&hub, Arc::new(|_| ())).unwrap();
            }
            engine.accept_sets(Some(World::terms()));
            engine.set_param(PathClass::Exit, "cc_xoff_exit", 4).unwrap();
            engine.set_param(PathClass::Exit, "cc_xoff_client", 4).unwrap();
            assert_eq!(engine.record(1 << 22, Class::EVERY), Ok(()));
            engine
        });
        let (wires, streams, recorded) = (Vec::new(), Vec::new(), Vec::new());
        let mut world =
            World { engines: engines.into(), wires, set: Id::NONE, streams, stream_id: 6, now: 1000 * SEC, recorded };
        world.set = world.engines[CLIENT].open_set(world.now, World::terms()).unwrap();
        for exit in [HOME, AWAY] {
            world.add_wire(exit);
        }
        world
    }

    fn terms() -> SetTerms {
        SetTerms { tag: number(SET_TAG), nonce: Nonce::new(secret(NONCE)), ..terms(None) }
    }

    fn like(role: Role, more: u16) -> CircuitConfig {
        let flags = CircuitFlags(CircuitFlags::VEGAS.0 | CircuitFlags::REACTOR.0 | more);
        CircuitConfig { flags, ..circuit(role, number(CIRCUIT_TAG)) }
    }

    fn padder(&self) -> PadderTerms {
        padding_terms(Machines::load(machines().as_bytes()).unwrap(), HOPS, 0)
    }

    fn add_wire(&mut self, exit: usize) {
        let client = self.engines[CLIENT].open_circuit(self.now, World::like(Role::Client, 0)).unwrap();
        let id = self.engines[exit].open_circuit(self.now, World::like(Role::Exit, 0)).unwrap();
        self.engines[CLIENT].add_legs(self.now, self.set, &[client]).unwrap();
        self.wires.push(Wire { client, exit: (exit, id), to_exit: VecDeque::new(), to_client: VecDeque::new() });
        (0..6).for_each(|_| self.step());
    }

    fn wire_of(&mut self, at: usize, id: Id) -> Option<&mut Wire> {
        self.wires.iter_mut().find(|wire| if at == CLIENT { wire.client == id } else { wire.exit == (at, id) })
    }

    fn carry(&mut self, at: usize, id: Id, cell: Cell) {
        let Some(wire) = self.wire_of(at, id) else { return };
        let lane = if at == CLIENT { &mut wire.to_exit } else { &mut wire.to_client };
        lane.push_back(cell);
    }

    /// Everything that the engines have to say, and everything that is on its way. The first wire is slow.
    fn step(&mut self) {
        self.now += MS;
        for at in [CLIENT, HOME, AWAY, HOME, AWAY, RELAY] {
            self.engines[at].tick(self.now);
            self.drain(at);
        }
        for index in (0..self.wires.len()).rev() {
            if index == 0 && self.now / MS % 3 != 0 {
                continue;
            }
            while let Some(cell) = self.wires[index].to_exit.pop_front() {
                let (exit, id) = self.wires[index].exit;
                self.come(exit, id, 0, &cell);
            }
            while let Some(cell) = self.wires[index].to_client.pop_front() {
                let id = self.wires[index].client;
                self.come(CLIENT, id, HOPS, &cell);
            }
        }
        for at in 0..self.engines.len() {
            self.read(at);
        }
    }

    fn come(&mut self, at: usize, id: Id, hop: u8, (command, stream_id, body): &Cell) {
        let token =
            (*command == Command::DATA && self.now / MS % 2 == 0).then_some(Token { token: number(TOKEN), cost: 600 });
        let message = Message { command: *command, hop, stream_id: *stream_id, body, token };
        let heard = self.engines[at].receive_cell(self.now, id, &message, &secret::<20>(DIGEST));
        if let Ok(Verdict { stream, .. }) = heard {
            self.heard(at, *command, stream);
        }
    }

    fn heard(&mut self, at: usize, command: Command, stream: Id) {
        if command == Command::BEGIN && stream != Id::NONE {
            self.engines[at].retag_stream(stream, number(STREAM_TAG)).unwrap();
            self.streams.push((at, stream));
        }
    }

    fn drain(&mut self, at: usize) {
        let mut buffer = [0; 509];
        while let Some(instruction) = self.engines[at].poll(&mut buffer).unwrap() {
            let id = instruction.circuit;
            match instruction.what {
                What::Send { command, body_len, .. } => {
                    self.carry(at, id, (command, 0, buffer[..usize::from(body_len)].to_vec()));
                }
                What::SendHeld(sent) => {
                    let message = sent.message;
                    // A message that is a token is the host's, who knows its body.
                    let body = if message.token.is_some() {
                        secret::<480>(BODY).to_vec()
                    } else {
                        buffer[..usize::from(message.body_len)].to_vec()
                    };
                    self.carry(at, id, (message.command, message.stream_id, body));
                }
                What::Deliver(message) => self.heard(at, message.command, instruction.stream),
                What::Close(_) => self.engines[at].circuit_closed(self.now, id).unwrap(),
                _ => {}
            }
            if instruction.wants_digest {
                let hop = if at == CLIENT { HOPS } else { 0 };
                self.engines[at].add_digest(id, hop, &secret::<20>(DIGEST)).unwrap();
            }
        }
    }

    /// Reads the record on the way, so that nothing is overwritten.
    fn read(&mut self, at: usize) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let (len, overwritten) = self.engines[at].events().read(&mut buffer).unwrap();
            assert_eq!(overwritten, 0);
            if len == 0 {
                return;
            }
            self.recorded.extend_from_slice(&buffer[..len]);
        }
    }

    fn say(&mut self, at: usize, stream: Id, command: Command, body: &[u8], token: Option<Token>) -> bool {
        let message = Message { command, hop: 0, stream_id: 0, body, token };
        let Ok(verdict) = self.engines[at].send_message(self.now, Outlet::Stream(stream), &message) else {
            return false;
        };
        if verdict.kind == VerdictKind::Send {
            let stream_id = self.stream_id;
            if verdict.switch_delta != 0 {
                let switch = Switch { delta: verdict.switch_delta }.encode().to_vec();
                self.carry(at, verdict.circuit, (Command::CONFLUX_SWITCH, 0, switch));
            }
            self.carry(at, verdict.circuit, (command, stream_id, body.to_vec()));
            if verdict.wants_digest {
                let hop = if at == CLIENT { HOPS } else { 0 };
                self.engines[at].add_digest(verdict.circuit, hop, &secret::<20>(DIGEST)).unwrap();
            }
        }
        true
    }

    /// A stream of the set, with data both ways, XOFF and XON.
    fn streams(&mut self) {
        let body = secret::<480>(BODY);
        self.streams.clear();
        self.stream_id += 1;
        let config = StreamConfig { tag: number(STREAM_TAG), stream_id: self.stream_id, hop: HOPS, priority: 0 };
        let stream = self.engines[CLIENT].open_stream(self.now, Owner::Set(self.set), &config).unwrap();
        assert!(self.say(CLIENT, stream, Command::BEGIN, ADDRESS, None));
        (0..8).for_each(|_| self.step());
        let (at, other) = self.streams[0];
        assert!(self.say(at, other, Command::CONNECTED, ADDRESS, None));
        (0..8).for_each(|_| self.step());
        let token = Some(Token { token: number(SEND_TOKEN), cost: 700 });
        for round in 0..300 {
            self.say(CLIENT, stream, Command::DATA, &body, token.filter(|_| round % 2 == 0));
            self.say(at, other, Command::DATA, &body, token.filter(|_| round % 3 == 0));
            self.step();
            if round % 40 == 39 {
                for (end, id) in [(CLIENT, stream), (at, other)] {
                    let buffered = self.engines[end].stream_stats(id).unwrap().buffered;
                    self.engines[end].flushed(self.now, id, buffered).unwrap();
                }
            }
        }
        self.say(CLIENT, stream, Command::END, &body[..1], None);
        (0..20).for_each(|_| self.step());
    }

    /// Padders on both legs of the client, and one that is negotiated.
    fn padding(&mut self) {
        let padder = self.padder();
        let list = self.engines[CLIENT].load_machines(machines().as_bytes()).unwrap();
        for index in 0..2 {
            self.engines[CLIENT].install_padder(self.now, self.wires[index].client, &padder).unwrap();
        }
        let number = 5;
        self.engines[CLIENT]
            .register_padding(Role::Client, number, Some(PadderTerms { slot: 1, ..padder.clone() }))
            .unwrap();
        for exit in [HOME, AWAY] {
            let terms = PadderTerms { hop: 0, ..padder.clone() };
            self.engines[exit].register_padding(Role::Exit, number, Some(terms)).unwrap();
        }
        self.engines[CLIENT].start_padding(self.now, self.wires[1].client, number).unwrap();
        (0..8).for_each(|_| self.step());
        self.engines[CLIENT].drop_machines(list).unwrap();
    }

    /// A relay whose channels are full, and shared.
    fn relay(&mut self) {
        let (now, body) = (self.now, secret::<480>(BODY));
        let mut cell = [0; 509];
        cell[..480].copy_from_slice(&body);
        let token = Some(Token { token: number(TOKEN), cost: 600 });
        let engine = &mut self.engines[RELAY];
        let like = World::like(Role::Exit, CircuitFlags::EXTENDED.0);
        let ids = [0, 1].map(|_| engine.open_circuit(now, like).unwrap());
        let channel = engine.open_channel(1).unwrap();
        engine.set_channel(now, ids[1], Side::Next, channel).unwrap();
        engine.set_writable(now, ids[0], Side::Next, false).unwrap();
        for round in 0..30 {
            for id in ids {
                let token = token.filter(|_| round % 2 == 0);
                let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &cell, token };
                engine.pass(now, id, Side::Back, &cell).unwrap();
            }
        }
        engine.set_writable(now, ids[0], Side::Next, true).unwrap();
        engine.set_channel_room(now, channel, 100).unwrap();
        self.step();
        // A source that does not pause.
        let engine = &mut self.engines[RELAY];
        engine.set_writable(now, ids[0], Side::Next, false).unwrap();
        let cell = Message { command: Command(3), hop: 0, stream_id: 0, body: &cell, token };
        while engine.pass(now, ids[0], Side::Back, &cell).is_ok() {}
        self.step();
        self.engines[RELAY].trim();
    }

    /// A host with its own congestion control: reports, a set at its cap, messages that come too early, clocks.
    fn host(&mut self) {
        let now = self.now;
        let body = secret::<480>(BODY);
        let like = Config { seed: secret(SEED), held_bytes_max: 6000, ..config(5) };
        let mut engine = Engine::new(&like).unwrap();
        engine.record(1 << 20, Class::EVERY).unwrap();
        for (nonce, cap) in [(NONCE, 1 << 20), (OTHER_NONCE, 1000)] {
            let terms = SetTerms { nonce: Nonce::new(secret(nonce)), held_bytes_max: cap, ..World::terms() };
            let set = engine.open_set(now, terms).unwrap();
            let legs = [0, 1].map(|_| {
                let id = engine.open_circuit(now, circuit(Role::Client, number(CIRCUIT_TAG))).unwrap();
                engine.adopt_leg(now, set, id, Ux::NoOpinion, 0).unwrap();
                engine.report(now, id, &report(3, 0, MS)).unwrap();
                id
            });
            for _ in 0..9 {
                let data = Message { command: Command::DATA, hop: HOPS, stream_id: 7, body: &body, token: None };
                let _ = engine.send_message(now, Outlet::Set(set), &data);
            }
            let delta = Switch { delta: 3 }.encode();
            let switch =
                Message { command: Command::CONFLUX_SWITCH, hop: HOPS, stream_id: 0, body: &delta, token: None };
            engine.receive(now, legs[0], &switch).unwrap();
            for round in 0..9u32 {
                let token = Token { token: number(TOKEN), cost: 600 };
                let token = Some(token).filter(|_| round % 2 == 0);
                let data = Message { command: Command::DATA, hop: HOPS, stream_id: 7, body: &body, token };
                let _ = engine.receive(now + u64::from(round), legs[0], &data);
            }
            engine.report(now, legs[1], &report(1, 1, MS)).unwrap_or(());
        }
        // A set that loses a leg before it is linked.
        let terms = SetTerms { nonce: Nonce::new(secret(THIRD_NONCE)), ..World::terms() };
        let set = engine.open_set(now, terms).unwrap();
        let legs = [0, 1].map(|_| engine.open_circuit(now, circuit(Role::Client, number(CIRCUIT_TAG))).unwrap());
        engine.add_legs(now, set, &legs).unwrap();
        engine.circuit_closed(now, legs[0]).unwrap();
        // A circuit with padding that does too much.
        let id = engine.open_circuit(now, circuit(Role::Client, number(CIRCUIT_TAG))).unwrap();
        let padder = padding_terms(Machines::load(restless().as_bytes()).unwrap(), HOPS, 0);
        engine.install_padder(now, id, &padder).unwrap();
        for command in [Command::EXTENDED2, Command::DROP] {
            let cell = Message { command, hop: HOPS, stream_id: 0, body: &body, token: None };
            engine.receive(now, id, &cell).unwrap();
            (0..3).for_each(|_| engine.tick(now));
        }
        engine.remove_padder(now, id, HOPS, 0).unwrap();
        let garbage = Message { command: Command::CONFLUX_LINKED, hop: HOPS, stream_id: 0, body: &body, token: None };
        let id = engine.open_circuit(now, circuit(Role::Client, number(CIRCUIT_TAG))).unwrap();
        engine.receive(now, id, &garbage).unwrap_err();
        engine.tick(now + 7200 * SEC);
        engine.tick(now);
        engine.set_clock(now).unwrap();
        self.engines.push(engine);
        let at = self.engines.len() - 1;
        let mut buffer = [0; 509];
        while self.engines[at].poll(&mut buffer).unwrap().is_some() {}
        self.engines[at].trim();
        self.read(at);
    }

    fn end(&mut self) {
        let (exit, id) = self.wires[1].exit;
        self.engines[exit].circuit_closed(self.now, id).unwrap();
        (0..5).for_each(|_| self.step());
        if self.engines[CLIENT].set_stats(self.set).is_ok() {
            self.engines[CLIENT].close_set(self.now, self.set).unwrap();
        }
        (0..5).for_each(|_| self.step());
    }

    fn kinds(&self) -> BTreeSet<&'static str> {
        Records::new(&self.recorded).filter_map(|(header, _)| Some(header.kind()?.name)).collect()
    }
}

#[test]
fn no_secret_is_in_what_was_recorded() {
    let mut world = World::new();
    world.streams();
    world.padding();
    world.streams();
    world.relay();
    world.host();
    world.end();
    let kinds = world.kinds();
    let is_missing = |kind: &&Kind| !kinds.contains(kind.name);
    let missing: Vec<_> = KINDS.iter().filter(is_missing).map(|kind| kind.name).collect();
    println!("{} bytes of {} kinds; without {missing:?}", world.recorded.len(), kinds.len());
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(found(&world.recorded), BTreeSet::new());
}

/// The search finds each of the secrets, whole or in part, whichever way they are written.
#[test]
fn a_secret_would_be_found() {
    for (name, bytes) in secrets() {
        for part in [&bytes[..WINDOW], &bytes[bytes.len() - WINDOW..], &bytes[..]] {
            let recorded = [&[1, 0, 6, 0, 0, 0, 0][..], part, &[0; 5]].concat();
            assert!(found(&recorded).contains(name), "{name}");
        }
        let short = [&[0; 9][..], &bytes[..WINDOW - 1], &[0; 9]].concat();
        assert!(found(&short).is_empty(), "three bytes can be a number of anything");
    }
}
