//! The receiving side of a set against a naive model: a sorted map that gives numbers and delivers in order.
//!
//! Everything runs twice: on the set with its store, and through an engine.

mod common;

use circflow::base::Id;
use circflow::conflux::set::Fate;
use circflow::conflux::store::{COPY_COST, TOKEN_COST_MIN};
use circflow::conflux::{Arrival, Cause, Delivery, Effect, Fault, LegIx, Role, Set, Store, Token};
use circflow::engine::{Engine, Error, What};
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::Command;
use common::{drain, linked_set, message, receive, receive_short, report, terms, Exhaust, Verdict, HOPS};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// What the two floors have in common.
trait Subject {
    fn with_legs(legs: usize) -> Self;
    /// True when the message was next, false when it was kept.
    fn arrive(&mut self, leg: usize, content: &Content) -> Result<bool, Fault>;
    fn switch(&mut self, leg: usize, delta: u32) -> Result<(), Fault>;
    /// The next message that was kept and whose turn has come.
    fn take(&mut self) -> Option<(u64, Content)>;
    /// True when the set goes on without the leg.
    fn remove(&mut self, leg: usize) -> bool;
    /// Taking messages has shown that a number came twice.
    fn is_torn(&mut self) -> bool;
    /// Messages held, and what they cost, as counted by every floor that counts.
    fn books(&self) -> Vec<(u64, u64)>;
}

/// A message to be told from any other, half of them the library's to copy, half of them the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    command: Command,
    body: Vec<u8>,
    token: Option<Token>,
}

impl Content {
    fn of(serial: u64) -> Self {
        let command = [Command::DATA, Command::END, Command::XON][serial as usize % 3];
        if serial % 2 == 0 {
            let body = (0..serial * 37 % 499).map(|at| (at ^ serial) as u8).collect();
            Content { command, body, token: None }
        } else {
            let token = Token { token: serial << 32 | 1, cost: (serial * 13 % 700) as u32 };
            Content { command, body: Vec::new(), token: Some(token) }
        }
    }

    fn cost(&self) -> u64 {
        u64::from(self.token.map_or(COPY_COST, |token| token.cost.max(TOKEN_COST_MIN)))
    }

    fn read(delivery: &Delivery, buffer: &[u8]) -> (u64, Self) {
        assert_eq!(delivery.stream_id, 5);
        let body = buffer[..usize::from(delivery.body_len)].to_vec();
        (delivery.number, Content { command: delivery.command, body, token: delivery.token })
    }
}

struct OnSet {
    set: Set,
    store: Store,
    effects: Vec<Effect>,
}

impl Subject for OnSet {
    fn with_legs(legs: usize) -> Self {
        let mut set = Set::new(Role::Client, terms(None));
        let mut effects = Vec::new();
        for index in 0..legs {
            let ix = set.adopt(Id(index as u64 + 1), HOPS, Ux::NoOpinion, 0, &mut effects);
            set.report(ix, &report(10, 0, 0), &mut effects);
        }
        OnSet { set, store: Store::new(u64::MAX), effects }
    }

    fn arrive(&mut self, leg: usize, content: &Content) -> Result<bool, Fault> {
        let message = message(content.command, &content.body, content.token);
        if self.set.arrive_next(leg as LegIx, 1).is_some() {
            return Ok(true);
        }
        let arrival = self.set.arrive(leg as LegIx, 1, &message, &mut self.store)?;
        Ok(matches!(arrival, Arrival::InOrder(_)))
    }

    fn switch(&mut self, leg: usize, delta: u32) -> Result<(), Fault> {
        self.set.handle_switch(leg as LegIx, 1, Switch { delta })
    }

    fn take(&mut self) -> Option<(u64, Content)> {
        let mut buffer = [0; 498];
        let delivery = self.set.next(&mut self.store, &mut buffer).unwrap()?;
        Some(Content::read(&delivery, &buffer))
    }

    fn remove(&mut self, leg: usize) -> bool {
        self.set.remove(leg as LegIx, Cause::Asked, &mut self.store, &mut self.effects) == Fate::Lives
    }

    fn is_torn(&mut self) -> bool {
        self.set.is_torn()
    }

    fn books(&self) -> Vec<(u64, u64)> {
        let stats = self.set.stats();
        vec![(stats.held, stats.held_bytes), (self.store.len() as u64, self.store.bytes())]
    }
}

struct OnEngine {
    engine: Engine,
    set: Id,
    legs: Vec<Id>,
    torn: bool,
}

impl Subject for OnEngine {
    fn with_legs(legs: usize) -> Self {
        let (mut engine, set, legs) = linked_set(legs, Ux::NoOpinion, terms(None));
        for &leg in &legs {
            engine.report(0, leg, &report(10, 0, 0)).unwrap();
        }
        OnEngine { engine, set, legs, torn: false }
    }

    fn arrive(&mut self, leg: usize, content: &Content) -> Result<bool, Fault> {
        let message = message(content.command, &content.body, content.token);
        // Half of the messages take the short way in, as they do through the C ABI.
        let verdict = match content.token {
            Some(_) => receive(&mut self.engine, 1, self.legs[leg], &message),
            None => receive_short(&mut self.engine, 1, self.legs[leg], &message),
        };
        match verdict {
            Ok(Verdict::Deliver { circuit, number }) if circuit == self.legs[leg] && number > 0 => Ok(true),
            Ok(Verdict::Held { circuit, .. }) if circuit == self.legs[leg] => Ok(false),
            Err(Error::Fault(fault)) => Err(fault),
            other => panic!("{other:?}"),
        }
    }

    fn switch(&mut self, leg: usize, delta: u32) -> Result<(), Fault> {
        let body = Switch { delta }.encode();
        let mut message = message(Command::CONFLUX_SWITCH, &body, None);
        message.stream_id = 0;
        match receive(&mut self.engine, 1, self.legs[leg], &message) {
            Ok(Verdict::Consumed { .. }) => Ok(()),
            Err(Error::Fault(fault)) => Err(fault),
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self) -> Option<(u64, Content)> {
        let mut buffer = [0; 498];
        let instruction = self.engine.poll(&mut buffer).unwrap()?;
        match instruction.what {
            What::Deliver(delivery) => Some(Content::read(&delivery, &buffer)),
            What::Close(Cause::Fault(Fault::NumberTwice)) => {
                self.torn = true;
                None
            }
            other => panic!("{other:?}"),
        }
    }

    fn remove(&mut self, leg: usize) -> bool {
        self.engine.circuit_closed(1, self.legs[leg]).unwrap();
        self.engine.set_stats(self.set).is_ok()
    }

    fn is_torn(&mut self) -> bool {
        self.torn || self.engine.set_stats(self.set).is_err()
    }

    fn books(&self) -> Vec<(u64, u64)> {
        let stats = self.engine.stats();
        let of_set = self.engine.set_stats(self.set).unwrap();
        vec![(stats.held, stats.held_bytes), (of_set.held, of_set.held_bytes)]
    }
}

/// The naive receiver.
#[derive(Default)]
struct Model {
    recv: Vec<u64>,
    delivered: u64,
    waiting: BTreeMap<u64, Content>,
    /// The lowest number that came twice: when its turn is over, at the latest, the set must have ended.
    twice: Option<u64>,
}

impl Model {
    /// True when the message is next, false when it has to wait, none when its number is one of the past.
    fn arrive(&mut self, leg: usize, content: &Content) -> Option<bool> {
        self.recv[leg] += 1;
        let number = self.recv[leg];
        if number <= self.delivered {
            return None;
        }
        if self.waiting.contains_key(&number) {
            self.twice = Some(self.twice.map_or(number, |lowest| lowest.min(number)));
            return Some(false);
        }
        if number == self.delivered + 1 {
            self.delivered = number;
            return Some(true);
        }
        self.waiting.insert(number, content.clone());
        Some(false)
    }

    fn take(&mut self) -> Option<(u64, Content)> {
        let content = self.waiting.remove(&(self.delivered + 1))?;
        self.delivered += 1;
        Some((self.delivered, content))
    }

    fn books(&self) -> (u64, u64) {
        (self.waiting.len() as u64, self.waiting.values().map(Content::cost).sum())
    }
}

/// A subject beside its model.
struct Pair<S> {
    subject: S,
    model: Model,
}

impl<S: Subject> Pair<S> {
    fn new(legs: usize) -> Self {
        Pair { subject: S::with_legs(legs), model: Model { recv: vec![0; legs], ..Model::default() } }
    }

    /// An honest message: both must agree on it.
    fn arrive(&mut self, leg: usize, content: &Content) {
        assert_eq!(self.subject.arrive(leg, content).ok(), self.model.arrive(leg, content));
        self.check();
    }

    fn switch(&mut self, leg: usize, delta: u32) {
        self.model.recv[leg] += u64::from(delta);
        self.subject.switch(leg, delta).unwrap();
        self.check();
    }

    /// Takes up to `most` messages, and says how many there were.
    fn drain(&mut self, most: usize) -> usize {
        for taken in 0..most {
            let (ours, theirs) = (self.subject.take(), self.model.take());
            assert_eq!(ours, theirs);
            self.check();
            if ours.is_none() {
                return taken;
            }
        }
        most
    }

    fn check(&self) {
        // The model does not keep what came twice.
        let honest = self.model.twice.is_none();
        for books in self.subject.books() {
            assert!(!honest || books == self.model.books(), "held: {books:?}, not {:?}", self.model.books());
        }
    }
}

/// A step of what the network brings.
#[derive(Clone, Copy, Debug)]
enum Step {
    Message(u64),
    Switch(u32),
}

/// What a sender puts on each leg when message n goes on leg `schedule[n]`.
fn lanes(legs: usize, schedule: &[usize]) -> Vec<Vec<Step>> {
    let mut lanes = vec![Vec::new(); legs];
    let mut sent = vec![0; legs];
    let mut current = schedule[0];
    for (serial, &leg) in schedule.iter().enumerate() {
        if leg != current {
            lanes[leg].push(Step::Switch((sent[current] - sent[leg]) as u32));
            sent[leg] = sent[current];
            current = leg;
        }
        sent[leg] += 1;
        lanes[leg].push(Step::Message(serial as u64));
    }
    lanes
}

/// All ways to send `messages` messages over `legs` legs, and all ways in which they can arrive.
fn exhaust<S: Subject>(legs: usize, messages: usize, switch_apart: bool, drain_at_once: bool) -> usize {
    let mut exhaust = Exhaust::default();
    let mut runs = 0;
    while exhaust.round() {
        let schedule: Vec<usize> = (0..messages).map(|_| exhaust.below(legs)).collect();
        let lanes = lanes(legs, &schedule);
        let mut at = vec![0; legs];
        let mut pair = Pair::<S>::new(legs);
        loop {
            let open: Vec<usize> = (0..legs).filter(|&leg| at[leg] < lanes[leg].len()).collect();
            if open.is_empty() {
                break;
            }
            let leg = *exhaust.pick(&open);
            loop {
                let step = lanes[leg][at[leg]];
                at[leg] += 1;
                match step {
                    Step::Message(serial) => pair.arrive(leg, &Content::of(serial)),
                    Step::Switch(delta) => pair.switch(leg, delta),
                }
                if switch_apart || matches!(step, Step::Message(_)) {
                    break;
                }
            }
            if drain_at_once {
                pair.drain(usize::MAX);
            }
        }
        pair.drain(usize::MAX);
        assert_eq!((pair.model.delivered, pair.model.waiting.len()), (messages as u64, 0), "{schedule:?}");
        runs += 1;
    }
    runs
}

#[test]
fn every_order_of_a_few_messages_on_a_set() {
    for drain_at_once in [false, true] {
        exhaust::<OnSet>(3, 5, false, drain_at_once);
        exhaust::<OnSet>(2, 6, false, drain_at_once);
        exhaust::<OnSet>(3, 4, true, drain_at_once);
    }
}

#[test]
fn every_order_of_six_messages_on_three_legs_of_a_set() {
    assert!([false, true].map(|at_once| exhaust::<OnSet>(3, 6, false, at_once)).iter().all(|&runs| runs > 15_000));
}

#[test]
fn every_order_of_a_few_messages_through_an_engine() {
    for drain_at_once in [false, true] {
        exhaust::<OnEngine>(3, 5, false, drain_at_once);
        exhaust::<OnEngine>(2, 6, false, drain_at_once);
        exhaust::<OnEngine>(3, 4, true, drain_at_once);
    }
}

/// A peer that puts any numbers on any leg: what is delivered is 1, 2, 3 … whatever it does, a number of the past is
/// noticed at once, and one that came twice is noticed when its turn is over, if not before.
fn dishonest<S: Subject>(legs: usize, steps: usize) {
    let mut exhaust = Exhaust::default();
    while exhaust.round() {
        let mut pair = Pair::<S>::new(legs);
        let mut trace = Vec::new();
        let drain_at_once = exhaust.below(2) == 1;
        let mut over = false;
        for serial in 0..steps {
            let leg = exhaust.below(legs);
            let delta = exhaust.below(4) as u32;
            if delta > 0 {
                trace.push((leg, Step::Switch(delta)));
                pair.switch(leg, delta);
            }
            trace.push((leg, Step::Message(serial as u64)));
            let ended = hostile_arrival(&mut pair, leg, &Content::of(serial as u64), &trace);
            over = ended || (drain_at_once && hostile_drain(&mut pair, &trace));
            if over {
                break;
            }
        }
        if !over {
            hostile_drain(&mut pair, &trace);
        }
    }
}

/// True when the set has ended.
fn hostile_arrival<S: Subject>(pair: &mut Pair<S>, leg: usize, content: &Content, trace: &[(usize, Step)]) -> bool {
    let ours = pair.subject.arrive(leg, content);
    let theirs = pair.model.arrive(leg, content);
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            assert_eq!(ours, theirs, "{trace:?}");
            false
        }
        (Err(Fault::NumberStale), None) => true,
        (Err(Fault::NumberTwice), Some(_)) if pair.model.twice.is_some() => true,
        other => panic!("{other:?} after {trace:?}"),
    }
}

/// True when the set has ended.
fn hostile_drain<S: Subject>(pair: &mut Pair<S>, trace: &[(usize, Step)]) -> bool {
    while let Some(ours) = pair.subject.take() {
        let theirs = pair.model.take().expect("only what waits is delivered");
        // Of two messages with one number, either may be the first.
        assert!(theirs == ours || (theirs.0 == ours.0 && pair.model.twice == Some(ours.0)), "{trace:?}");
        // Noticed at the end of a run of messages that follow one another, if not before, and never without cause.
        if pair.subject.is_torn() {
            assert!(pair.model.twice.is_some_and(|number| number <= pair.model.delivered), "{trace:?}");
            return true;
        }
    }
    assert!(pair.model.twice.is_none_or(|number| number > pair.model.delivered), "not noticed: {trace:?}");
    false
}

#[test]
fn every_lie_of_a_few_steps_is_found_out() {
    dishonest::<OnSet>(2, 5);
    dishonest::<OnSet>(3, 4);
    dishonest::<OnEngine>(2, 4);
    dishonest::<OnEngine>(3, 4);
}

/// One step of a long run; what makes no sense at the moment is left out.
type Act = (u8, u8, u8);

fn long_run<S: Subject>(legs: usize, acts: &[Act]) {
    let mut pair = Pair::<S>::new(legs);
    let mut network = vec![VecDeque::new(); legs];
    let (mut sent, mut gone, mut current, mut serial) = (vec![0u64; legs], vec![false; legs], 0, 0);
    for &(act, a, b) in acts {
        let leg = usize::from(a) % legs;
        match act % 16 {
            0..=5 if !gone[leg] => {
                if leg != current && sent[current] > 0 {
                    network[leg].push_back(Step::Switch((sent[current] - sent[leg]) as u32));
                    sent[leg] = sent[current];
                }
                current = leg;
                for _ in 0..b % 4 + 1 {
                    sent[leg] += 1;
                    network[leg].push_back(Step::Message(serial));
                    serial += 1;
                }
            }
            6..=11 => bring(&mut pair, &mut network[leg], leg, usize::from(b % 8) + 1),
            12 | 13 => {
                pair.drain(usize::from(b % 16));
            }
            14 if !gone[leg] && leg != current && network[leg].is_empty() => {
                let rest = (0..legs).filter(|&other| other != leg && !gone[other]);
                let ahead =
                    rest.map(|other| pair.model.recv[other]).max().is_none_or(|most| most < pair.model.recv[leg]);
                if !ahead {
                    assert!(pair.subject.remove(leg), "the set can do without leg {leg}");
                    pair.check();
                    gone[leg] = true;
                }
            }
            _ => {}
        }
    }
    for (leg, lane) in network.iter_mut().enumerate() {
        bring(&mut pair, lane, leg, usize::MAX);
    }
    pair.drain(usize::MAX);
    assert_eq!((pair.model.delivered, pair.model.waiting.len()), (serial, 0));
}

fn bring<S: Subject>(pair: &mut Pair<S>, lane: &mut VecDeque<Step>, leg: usize, most: usize) {
    for _ in 0..most {
        match lane.pop_front() {
            Some(Step::Message(serial)) => pair.arrive(leg, &Content::of(serial)),
            Some(Step::Switch(delta)) => pair.switch(leg, delta),
            None => return,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_runs_on_a_set(legs in 1usize..=8, acts in prop::collection::vec(any::<Act>(), 0..420)) {
        long_run::<OnSet>(legs, &acts);
    }

    #[test]
    fn long_runs_through_an_engine(legs in 1usize..=8, acts in prop::collection::vec(any::<Act>(), 0..420)) {
        long_run::<OnEngine>(legs, &acts);
    }
}

/// VECTORS part F, receiver side: leg, what comes on it, how often.
fn arrivals(steps: &[(usize, Step, usize)]) -> Result<(u64, u64, u64), Fault> {
    let mut subject = OnSet::with_legs(3);
    let mut delivered = 0;
    for &(leg, step, times) in steps {
        for _ in 0..times {
            match step {
                Step::Message(_) => delivered += u64::from(subject.arrive(leg, &Content::of(0))?),
                Step::Switch(delta) => subject.switch(leg, delta)?,
            }
            delivered += std::iter::from_fn(|| subject.take()).count() as u64;
        }
    }
    let stats = subject.set.stats();
    assert_eq!(stats.delivered, delivered);
    Ok((delivered, stats.held, stats.held_peak))
}

#[test]
fn receiver_vectors() {
    use Step::Switch;
    const M: Step = Step::Message(0);
    let (a, b, c) = (0, 1, 2);
    let cases: [(&str, &[(usize, Step, usize)], _); 11] = [
        ("RX-1", &[(a, M, 10), (b, Switch(10), 1), (b, M, 21), (a, Switch(21), 1), (a, M, 1)], Ok((32, 0, 0))),
        ("RX-2", &[(b, Switch(10), 1), (b, M, 21), (a, M, 10)], Ok((31, 0, 21))),
        (
            "RX-3",
            &[(a, M, 10), (a, Switch(21), 1), (a, M, 1), (b, Switch(10), 1), (b, M, 20), (b, M, 1)],
            Ok((32, 0, 1)),
        ),
        (
            "RX-4",
            &[(c, Switch(2), 1), (c, M, 1), (b, Switch(1), 1), (b, M, 1), (a, M, 1), (a, Switch(2), 1), (a, M, 1)],
            Ok((4, 0, 2)),
        ),
        ("RX-5", &[(a, Switch(5), 1), (a, M, 1)], Ok((0, 1, 1))),
        ("RX-6, strict", &[(a, Switch(2), 1), (a, Switch(3), 1)], Err(Fault::SwitchRepeated)),
        ("RX-7", &[(a, M, 3), (b, M, 1)], Err(Fault::NumberStale)),
        ("RX-8", &[(a, Switch(4), 1), (a, M, 1), (b, Switch(4), 1), (b, M, 1)], Err(Fault::NumberTwice)),
        ("RX-9", &[(a, M, 2), (b, Switch(3), 1), (b, M, 5)], Ok((2, 5, 5))),
        ("RX-10, strict", &[(a, Switch(u32::MAX), 1), (a, M, 1)], Err(Fault::SwitchTooFar)),
        ("RX-12", &[(a, M, 40), (c, Switch(40), 1), (c, M, 2)], Ok((42, 0, 0))),
    ];
    for (name, steps, expected) in cases {
        assert_eq!(arrivals(steps), expected, "{name}");
    }
}

/// Caps at the last byte that fits and at the first that does not.
#[test]
fn a_cap_holds_to_the_byte() {
    for (over_set, over_engine, expected) in
        [(0, 0, None), (1, 0, Some(Fault::SetMemory)), (0, 1, Some(Fault::EngineMemory))]
    {
        let mut capped = terms(None);
        capped.held_bytes_max = 300 - over_set;
        let mut set = Set::new(Role::Client, capped);
        let mut store = Store::new(300 - over_engine);
        let mut effects = Vec::new();
        let ix = set.adopt(Id(1), HOPS, Ux::NoOpinion, 0, &mut effects);
        set.handle_switch(ix, 1, Switch { delta: 9 }).unwrap();
        let outcome = (0..3).find_map(|token| {
            let message = message(Command::DATA, &[], Some(Token { token, cost: 100 }));
            set.arrive(ix, 1, &message, &mut store).err()
        });
        assert_eq!(outcome, expected);
        assert_eq!(store.bytes(), if expected.is_none() { 300 } else { 200 });
    }
}

/// What a SWITCH may do, at each bound and one step past it.
#[test]
fn bounds_of_a_switch() {
    let outcome = |deltas: &[u32], ahead_max: u32| {
        let mut bounded = terms(None);
        bounded.switch_ahead_max = ahead_max;
        let mut set = Set::new(Role::Client, bounded);
        let (mut store, mut effects) = (Store::new(u64::MAX), Vec::new());
        let ix = set.adopt(Id(1), HOPS, Ux::NoOpinion, 0, &mut effects);
        deltas.iter().try_for_each(|&delta| {
            set.handle_switch(ix, 1, Switch { delta })?;
            set.arrive(ix, 1, &message(Command::DATA, &[], None), &mut store).map(|_| ())
        })
    };
    assert_eq!(outcome(&[100], 100), Ok(()));
    assert_eq!(outcome(&[101], 100), Err(Fault::SwitchTooFar));
    assert_eq!(outcome(&[50, 49], 100), Ok(()), "what came between counts as well");
    assert_eq!(outcome(&[50, 50], 100), Err(Fault::SwitchTooFar));
    assert_eq!(outcome(&[0; 16], 100), Ok(()));
    assert_eq!(outcome(&[0; 17], 100), Err(Fault::SwitchZero));
}

/// A message that is next and closes the gap before held ones leaves one mark, however many follow.
#[test]
fn one_mark_stands_for_all_that_are_ready() {
    let mut subject = OnEngine::with_legs(2);
    subject.switch(1, 1).unwrap();
    for serial in 1..20 {
        assert_eq!(subject.arrive(1, &Content::of(serial)), Ok(false));
    }
    assert!(!subject.engine.waiting());
    assert_eq!(subject.arrive(0, &Content::of(0)), Ok(true));
    assert_eq!(subject.engine.stats().instructions, 1);
    assert_eq!(drain(&mut subject.engine).len(), 19);
}
