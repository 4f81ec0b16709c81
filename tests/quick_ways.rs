//! Quick ways and long ways answer alike: two engines get the same random calls. One takes each call the way C does,
//! the quick steps first; the other takes the long step at once. Answers, instructions, figures and records are equal.

mod common;

use circflow::base::Id;
use circflow::conflux::choice::FAMILY;
use circflow::conflux::{Report, Role};
use circflow::engine::{send, CircuitFlags, Engine, Error, Instruction, Outlet, Sending, Sent, Verdict, What};
use circflow::event::Class;
use circflow::message::{Message, Token};
use circflow::wire::conflux::{Nonce, Ux};
use circflow::wire::Command;
use common::events::{record, recorded, Happened};
use common::machines::{block, constant_rate, pad, upon};
use common::{circuit, config, each_seed, load, padding_terms, terms, Rng, HOPS};
use maybenot::event::Event;
use maybenot::Machine;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

const MS: u64 = 1_000_000;
const COMMANDS: [Command; 10] = [
    Command::DATA,
    Command::DATA,
    Command::DATA,
    Command::BEGIN,
    Command::END,
    Command::XOFF,
    Command::SENDME,
    Command::CONFLUX_SWITCH,
    Command::DROP,
    Command::EXTENDED2,
];

/// An engine that takes each call one way.
struct Twin {
    engine: Engine,
    is_long: bool,
}

/// A message to be sent, with the reports that it brings.
struct Outgoing<'t> {
    engine: &'t mut Engine,
    now: u64,
    outlet: Outlet,
    message: &'t Message<'t>,
    news: &'t [(Id, Report)],
}

impl Sending for Outgoing<'_> {
    type Answer = Result<Verdict, Error>;

    fn quick(&mut self) -> Option<Sent> {
        let head = self.message.head();
        self.news.is_empty().then(|| self.engine.send_quick(self.now, self.outlet, &head))?
    }

    fn anew(&mut self) -> Option<Sent> {
        let news = self.news.iter().copied();
        self.engine.send_anew(self.now, self.outlet, &self.message.head(), news)
    }

    fn done(&mut self, sent: &Sent) -> Self::Answer {
        if sent.tells {
            self.engine.tell_of_sent(sent.verdict.circuit, sent.verdict.number, self.message.command);
        }
        Ok(sent.verdict)
    }

    fn long(&mut self) -> Self::Answer {
        let news = self.news.iter().copied();
        self.engine.send_long(self.now, self.outlet, &self.message.head(), news, || Ok(*self.message))
    }
}

impl Twin {
    fn receive(&mut self, now: u64, id: Id, message: &Message<'_>) -> Result<Verdict, Error> {
        let digest = [7; 20];
        if !self.is_long {
            return self.engine.receive_cell(now, id, message, &digest);
        }
        // With the latest time and nothing due, it goes by its route.
        self.engine.tick(now);
        self.engine.receive_long(now, id, message, || Ok(&digest))
    }

    fn send(
        &mut self,
        now: u64,
        outlet: Outlet,
        message: &Message<'_>,
        news: &[(Id, Report)],
    ) -> Result<Verdict, Error> {
        let mut outgoing = Outgoing { engine: &mut self.engine, now, outlet, message, news };
        if self.is_long {
            outgoing.long()
        } else {
            send(outgoing)
        }
    }

    fn sent(&mut self, now: u64, id: Id, command: Command, hop: u8) -> Result<(), Error> {
        let engine = &mut self.engine;
        if self.is_long {
            return engine.sent(now, id, command, hop);
        }
        match engine.sent_in_turn(now, id, command, hop) {
            Some(()) => Ok(()),
            None => engine.sent_quick(now, id, command, hop).unwrap_or_else(|| engine.sent(now, id, command, hop)),
        }
    }

    fn written(&mut self, now: u64, id: Id) -> Result<(), Error> {
        match self.is_long {
            false if self.engine.written_or_passing_quick(now, id).is_some() => Ok(()),
            _ => self.engine.written(now, id, 1),
        }
    }

    fn passing(&mut self, now: u64, id: Id) -> Result<(), Error> {
        match self.is_long {
            false if self.engine.written_or_passing_quick(now, id).is_some() => Ok(()),
            _ => self.engine.passing(now, id),
        }
    }

    fn peek(&mut self, set: Id) -> Result<Verdict, Error> {
        match self.engine.peek_quick(set) {
            Some(verdict) if !self.is_long => Ok(verdict),
            _ => self.engine.peek(set),
        }
    }

    fn wakes_at(&self) -> u64 {
        match self.engine.wakes_at_quick() {
            Some(time) if !self.is_long => time,
            _ => self.engine.wakes_at(),
        }
    }

    /// Up to `most` instructions, each with its body.
    fn drain(&mut self, most: u64) -> Vec<(Instruction, Vec<u8>)> {
        let mut buffer = [0; 509];
        let next = |_| self.next(&mut buffer).map(|instruction| (instruction, buffer.to_vec()));
        (0..most).map_while(next).collect()
    }

    fn next(&mut self, mut buffer: &mut [u8]) -> Option<Instruction> {
        let mut taken = None;
        let set = self.engine.set_in_turn();
        if !self.is_long && self.engine.take_ready_quick(set, &mut buffer, &mut taken).is_some() {
            return taken;
        }
        self.engine.poll(buffer).unwrap()
    }
}

/// What a run has seen, so that the test can say that it saw enough.
#[derive(Clone, Copy, Default, Debug)]
struct Story {
    delivered: u64,
    held: u64,
    sent: u64,
    refused: u64,
    late_legs: u64,
    padded: u64,
    turned_away: u64,
}

/// What the other end has put on a leg and the leg has not brought yet: a SWITCH by so much, or a message.
#[derive(Default)]
struct Peer {
    set: Id,
    sent: u64,
    coming: VecDeque<Option<u32>>,
}

struct Both {
    twins: [Twin; 2],
    rng: Rng,
    now: u64,
    sets: Vec<Id>,
    legs: Vec<Id>,
    peers: BTreeMap<Id, Peer>,
    circuits: Vec<Id>,
    records: bool,
    opened: u8,
    story: Story,
}

impl Both {
    /// The same call on both, which has to answer the same.
    fn each<A: Debug>(&mut self, call: impl Fn(&mut Twin) -> A) -> A {
        let [quick, long] = &mut self.twins;
        let answer = call(quick);
        assert_eq!(format!("{answer:?}"), format!("{:?}", call(long)), "quick way, long way");
        answer
    }

    fn new(seed: u64) -> Both {
        let mut rng = Rng::new(seed);
        let engine = || Engine::new(&config(1)).unwrap();
        let mut twins = [Twin { engine: engine(), is_long: false }, Twin { engine: engine(), is_long: true }];
        let records = rng.once_in(3);
        for twin in &mut twins {
            if records {
                record(&mut twin.engine);
            } else if twin.is_long && rng.once_in(2) {
                // Padders that are watched take their long way.
                twin.engine.record(1 << 22, 1 << Class::Padding as u32).unwrap();
            }
        }
        let (sets, legs, circuits) = (Vec::new(), Vec::new(), Vec::new());
        let (peers, story) = (BTreeMap::new(), Story::default());
        let mut both = Both { twins, rng, now: MS, sets, legs, peers, circuits, records, opened: 0, story };
        (0..1 + both.rng.below(2)).for_each(|_| both.open_set());
        (0..1 + both.rng.below(4)).for_each(|_| both.open_circuit());
        both
    }

    fn open_set(&mut self) {
        let mut terms = terms(Some(self.rng.pick(&FAMILY).algorithm));
        self.opened = self.opened.wrapping_add(1);
        terms.nonce = Nonce::new([self.opened; 32]);
        terms.held_bytes_max = *self.rng.pick(&[2000, 16 << 20]);
        terms.switch_run_min = *self.rng.pick(&[0, 0, 5]);
        let now = self.now;
        let set = self.each(|twin| twin.engine.open_set(now, terms.clone())).unwrap();
        self.sets.push(set);
        for tag in 0..1 + self.rng.below(3) {
            let leg = self.each(|twin| twin.engine.open_circuit(now, circuit(Role::Client, tag))).unwrap();
            self.each(|twin| twin.engine.adopt_leg(now, set, leg, Ux::NoOpinion, 20 * MS)).unwrap();
            self.add_leg(set, leg);
        }
        self.report_all_legs();
    }

    fn add_leg(&mut self, set: Id, leg: Id) {
        self.legs.push(leg);
        self.peers.insert(leg, Peer { set, ..Peer::default() });
    }

    /// The other end sends one more message of a set, on any leg.
    fn peer_sends(&mut self, set: Id) {
        let legs: Vec<Id> = self.legs.iter().copied().filter(|leg| self.peers[leg].set == set).collect();
        let last = legs.iter().map(|leg| self.peers[leg].sent).max().unwrap_or(0);
        let any = *self.rng.pick(&legs);
        let stays = !self.rng.once_in(4);
        let leg = legs.iter().copied().find(|leg| stays && self.peers[leg].sent == last).unwrap_or(any);
        let Some(peer) = self.peers.get_mut(&leg) else { return };
        if peer.sent < last {
            peer.coming.push_back(Some((last - peer.sent) as u32));
        }
        peer.coming.push_back(None);
        peer.sent = last + 1;
    }

    /// A leg brings what the other end has sent.
    fn receive_in_turn(&mut self) {
        let leg = *self.rng.pick(&self.legs);
        let set = self.peers[&leg].set;
        let most = *self.rng.pick(&[3, 3, 12]);
        (0..self.rng.below(most)).for_each(|_| self.peer_sends(set));
        for _ in 0..1 + self.rng.below(most) {
            self.receive_next(leg);
        }
    }

    fn receive_next(&mut self, leg: Id) {
        match self.peers.get_mut(&leg).and_then(|peer| peer.coming.pop_front()) {
            Some(Some(delta)) => self.bring(leg, HOPS, Command::CONFLUX_SWITCH, 0, &delta.to_be_bytes()),
            Some(None) => {
                let len = self.rng.below(400) as usize;
                self.bring(leg, HOPS, Command::DATA, 5, &[1; 400][..len]);
            }
            None => {}
        }
    }

    /// New sets and circuits for those that have ended.
    fn renew(&mut self) {
        let engine = &self.twins[0].engine;
        self.sets.retain(|&set| engine.set_stats(set).is_ok());
        self.legs.retain(|&leg| engine.leg_stats(leg).is_ok());
        if self.sets.is_empty() || self.legs.is_empty() {
            self.open_set();
        }
        if self.circuits.len() < 3 {
            self.open_circuit();
        }
    }

    fn report_all_legs(&mut self) {
        let news: Vec<_> = self.legs.iter().map(|&leg| (leg, common::report(20, 0, 20 * MS))).collect();
        let now = self.now;
        let _ = self.each(|twin| twin.engine.report_all(now, news.iter().copied()));
    }

    fn open_circuit(&mut self) {
        let role = *self.rng.pick(&[Role::Client, Role::Client, Role::Exit]);
        let mut config = circuit(role, 100);
        if self.rng.once_in(4) {
            let more = *self.rng.pick(&[CircuitFlags::EXTENDED, CircuitFlags::LEAKY_PIPE, CircuitFlags::REACTOR]);
            config.flags = CircuitFlags(config.flags.0 | more.0);
        }
        let now = self.now;
        if let Ok(id) = self.each(|twin| twin.engine.open_circuit(now, config)) {
            self.circuits.push(id);
        }
    }

    fn any_circuit(&mut self) -> Id {
        let all = if self.rng.once_in(2) || self.circuits.is_empty() { &self.legs } else { &self.circuits };
        *self.rng.pick(all)
    }

    fn hop(&mut self) -> u8 {
        *self.rng.pick(&[HOPS, HOPS, HOPS, HOPS, HOPS, HOPS, 0, 2, 9])
    }

    fn news(&mut self) -> Vec<(Id, Report)> {
        let one = |both: &mut Both| {
            let leg = match both.rng.below(32) {
                0 => Id::NONE,
                1..=4 => both.any_circuit(),
                _ => *both.rng.pick(&both.legs),
            };
            let (cwnd, inflight) = (*both.rng.pick(&[0, 3, 20, 40]), both.rng.below(22));
            let rtt = both.rng.below(4) * 10 * MS;
            (leg, Report { blocked: both.rng.once_in(8), ..common::report(cwnd, inflight, rtt) })
        };
        (0..*self.rng.pick(&[0, 0, 1, 2, 3])).map(|_| one(self)).collect()
    }

    /// A message that comes on a circuit in no set.
    fn receive_on_circuit(&mut self) {
        let id = *self.rng.pick(&self.circuits);
        self.receive_any(id);
    }

    /// A message that nobody expects.
    fn receive(&mut self) {
        let id = self.any_circuit();
        self.receive_any(id);
    }

    fn receive_any(&mut self, id: Id) {
        let (hop, command) = (self.hop(), *self.rng.pick(&COMMANDS));
        let body = match command {
            Command::CONFLUX_SWITCH => vec![0, 0, 0, self.rng.below(3) as u8],
            Command::END => vec![6],
            _ => vec![1; self.rng.below(400) as usize],
        };
        let stream_id = if self.rng.once_in(4) != (command.is_multiplexed()) { 5 } else { 0 };
        self.bring(id, hop, command, stream_id, &body);
    }

    fn bring(&mut self, id: Id, hop: u8, command: Command, stream_id: u16, body: &[u8]) {
        let token = self.rng.once_in(3).then_some(Token { token: self.now, cost: 600 });
        let token = token.filter(|_| command == Command::DATA);
        let (now, message) = (self.now, Message { command, hop, stream_id, body, token });
        let answer = self.each(|twin| twin.receive(now, id, &message));
        match answer.map(common::Verdict::from) {
            Ok(common::Verdict::Deliver { .. }) => self.story.delivered += 1,
            Ok(common::Verdict::Held { .. }) => self.story.held += 1,
            Ok(_) => {}
            Err(_) => self.story.refused += 1,
        }
    }

    fn send(&mut self) {
        let set = *self.rng.pick(&self.sets);
        let outlet = match self.rng.below(5) {
            0 => Outlet::Choice(set),
            1 => Outlet::Circuit(self.any_circuit()),
            _ => Outlet::Set(set),
        };
        let news = if matches!(outlet, Outlet::Circuit(_)) { Vec::new() } else { self.news() };
        let (command, hop) = (*self.rng.pick(&COMMANDS), self.hop());
        let stream_id = if self.rng.once_in(4) { 0 } else { 5 };
        let message = Message { command, hop, stream_id, body: &[3; 30], token: None };
        let now = self.now;
        let Ok(verdict) = self.each(|twin| twin.send(now, outlet, &message, &news)) else { return };
        self.story.sent += 1;
        // The second half of a choice, most often.
        if let (Outlet::Choice(_), false) = (outlet, self.rng.once_in(4)) {
            if verdict.switch_delta != 0 {
                let _ = self.each(|twin| twin.sent(now, verdict.circuit, Command::CONFLUX_SWITCH, hop));
            }
            let _ = self.each(|twin| twin.sent(now, verdict.circuit, command, hop));
        }
    }

    fn install_padder(&mut self) {
        let machine: Machine = match self.rng.below(3) {
            0 => constant_rate(20_000.0),
            1 => upon(Event::NormalSent, pad(1_000.0, false, false)),
            _ => upon(Event::NormalRecv, block(500.0, 3_000.0, true, true)),
        };
        let (id, hop, now) = (self.any_circuit(), self.hop(), self.now);
        let terms = padding_terms(load(&[machine]), hop, 0);
        let _ = self.each(|twin| twin.engine.install_padder(now, id, &terms));
    }

    fn drain(&mut self, most: u64) {
        let now = self.now;
        for (instruction, _) in self.each(|twin| twin.drain(most)) {
            if let What::Close { .. } = instruction.what {
                let _ = self.each(|twin| twin.engine.circuit_closed(now, instruction.circuit));
                self.circuits.retain(|&id| id != instruction.circuit);
            }
            self.story.padded += u64::from(matches!(instruction.what, What::Pad { .. }));
        }
    }

    fn step(&mut self) {
        self.now += *self.rng.pick(&[0, 0, 0, 1000, MS, 5 * MS]);
        // An earlier time is counted, and read as the latest.
        let now = if self.rng.once_in(64) { self.now.saturating_sub(MS) } else { self.now };
        let id = self.any_circuit();
        let set = *self.rng.pick(&self.sets);
        match self.rng.below(64) {
            0..=1 => self.receive(),
            2..=5 => self.receive_on_circuit(),
            6..=22 => self.receive_in_turn(),
            23..=44 => self.send(),
            45..=50 => {
                let (command, hop) = (*self.rng.pick(&COMMANDS), self.hop());
                let _ = self.each(|twin| twin.sent(now, id, command, hop));
            }
            51 => {
                let _ = self.each(|twin| twin.written(now, id));
            }
            52 => {
                let _ = self.each(|twin| twin.passing(now, id));
            }
            53 | 54 => {
                let _ = self.each(|twin| twin.peek(set));
                let _ = self.each(|twin| twin.wakes_at());
            }
            55 | 56 => self.join_late(),
            57 if self.rng.once_in(4) => self.install_padder(),
            58 if self.rng.once_in(4) => self.open_circuit(),
            59 if self.rng.once_in(8) => {
                let _ = self.each(|twin| twin.engine.circuit_closed(now, id));
            }
            60 => self.report_all_legs(),
            _ => {
                let most = *self.rng.pick(&[1, 3, 100]);
                self.drain(most);
            }
        }
        // A call that is refused need not look at the clock.
        let now = self.now;
        self.each(|twin| twin.engine.tick(now));
    }

    /// A circuit that has carried streams may not become a leg (R9).
    fn join_late(&mut self) {
        let (id, set, now) = (self.any_circuit(), *self.rng.pick(&self.sets), self.now);
        match self.each(|twin| twin.engine.adopt_leg(now, set, id, Ux::NoOpinion, 0)) {
            Ok(()) => {
                self.story.late_legs += 1;
                self.circuits.retain(|&other| other != id);
                self.add_leg(set, id);
            }
            Err(_) => self.story.turned_away += 1,
        }
    }

    /// The legs bring all that their other ends have sent.
    fn bring_all(&mut self) {
        for leg in self.legs.clone() {
            while self.peers.get(&leg).is_some_and(|peer| !peer.coming.is_empty()) {
                self.receive_next(leg);
            }
        }
        self.drain(u64::MAX);
    }

    fn compare_figures(&mut self) {
        let (sets, circuits) = (self.sets.clone(), [self.legs.clone(), self.circuits.clone()].concat());
        for set in sets {
            let _ = self.each(|twin| (twin.engine.set_stats(set), twin.engine.room(set)));
        }
        for id in circuits {
            let _ = self.each(|twin| (twin.engine.leg_stats(id), twin.engine.circuit_stats(id)));
            let _ = self.each(|twin| twin.engine.padder_stats(id, HOPS, 0));
        }
        self.each(|twin| twin.engine.stats());
        self.each(|twin| twin.engine.wakes_at());
        if self.records {
            // Only the long way looks at legs again while the sending leg stays.
            let is_told = |event: &Happened| event.name != "LegLooked";
            self.each(|twin| recorded(&mut twin.engine).into_iter().filter(is_told).collect::<Vec<_>>());
        }
    }
}

fn run(seed: u64) -> Story {
    let mut both = Both::new(seed);
    for step in 0..400 {
        both.renew();
        both.step();
        if step % 16 == 0 {
            both.compare_figures();
        }
    }
    both.bring_all();
    both.compare_figures();
    both.story
}

#[test]
fn quick_ways_and_long_ways_answer_alike() {
    let mut all = Story::default();
    let done = each_seed(600, "quick_ways", run, |story| {
        all.delivered += story.delivered;
        all.held += story.held;
        all.sent += story.sent;
        all.refused += story.refused;
        all.late_legs += story.late_legs;
        all.padded += story.padded;
        all.turned_away += story.turned_away;
    });
    if done {
        let Story { delivered, held, sent, refused, late_legs, padded, turned_away } = all;
        let seen = [delivered, held, sent, refused, late_legs, padded, turned_away];
        assert!(seen.iter().all(|&count| count > 50), "every kind of answer was seen: {all:?}");
    }
}
