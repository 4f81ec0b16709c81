//! The receiving side of a set, on the set with its store and through an engine, beside a naive model: a sorted map that
//! gives numbers and delivers in order.

use super::{check_books, check_rest, circuit, config, join, message, receive, report, terms, Verdict, ROUTE};
use circflow::base::Id;
use circflow::conflux::set::Fate;
use circflow::conflux::{Arrival, Cause, Effect, Fault, LegIx, Role, Set};
use circflow::engine::{Engine, EngineHub, Error, What};
use circflow::message::{Delivery, Store, Token};
use circflow::message::{COPY_COST, TOKEN_COST_MIN};
use circflow::wire::conflux::{Switch, Ux};
use circflow::wire::Command;
use std::collections::BTreeMap;

/// What the two floors have in common.
pub trait Subject {
    fn with_legs(legs: usize) -> Self;
    /// True when the message was next, false when it was kept.
    fn arrive(&mut self, leg: usize, content: &Content) -> Result<bool, Fault>;
    fn switch(&mut self, leg: usize, delta: u32) -> Result<(), Fault>;
    /// The next message that was kept and whose turn has come.
    fn take(&mut self) -> Option<(u64, Content)>;
    /// The same, as long as they are tokens, and so many at most.
    fn take_tokens(&mut self, most: usize) -> Vec<u64>;
    /// True when the set goes on without the leg.
    fn remove(&mut self, leg: usize) -> bool;
    /// A leg joins, in the place of one that was removed.
    fn join(&mut self, leg: usize);
    /// Taking messages has shown that a number came twice.
    fn has_duplicate(&mut self) -> bool;
    /// Messages held, and what they cost, as counted by every floor that counts.
    fn books(&self) -> Vec<(u64, u64)>;
    /// What is counted on one floor is what the others count.
    fn check_books(&self) {}
}

/// A message to be told from any other, half of them the library's to copy, half of them the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub command: Command,
    pub body: Vec<u8>,
    pub token: Option<Token>,
}

impl Content {
    pub fn of(serial: u64) -> Self {
        let command = [Command::DATA, Command::END, Command::XON][serial as usize % 3];
        if serial % 2 == 0 {
            let body = (0..serial * 37 % 499).map(|at| (at ^ serial) as u8).collect();
            Content { command, body, token: None }
        } else {
            let token = Token { token: serial << 32 | 1, cost: (serial * 13 % 700) as u32 };
            Content { command, body: Vec::new(), token: Some(token) }
        }
    }

    pub fn cost(&self) -> u64 {
        u64::from(self.token.map_or(COPY_COST, |token| token.cost.max(TOKEN_COST_MIN)))
    }

    pub fn read(delivery: &Delivery, buffer: &[u8]) -> (u64, Self) {
        assert_eq!(delivery.stream_id, 5);
        let body = buffer[..usize::from(delivery.body_len)].to_vec();
        (delivery.number, Content { command: delivery.command, body, token: delivery.token })
    }
}

pub struct OnSet {
    pub set: Set,
    pub store: Store,
    pub effects: Vec<Effect>,
    /// The place of each leg.
    pub ixs: Vec<LegIx>,
}

impl Subject for OnSet {
    fn with_legs(legs: usize) -> Self {
        let mut set = Set::new(Role::Client, terms(None));
        let mut effects = Vec::new();
        for index in 0..legs {
            let ix = set.adopt(Id(index as u64 + 1), ROUTE, Ux::NoOpinion, 0, &mut effects);
            set.report(ix, &report(10, 0, 0), 0, &mut effects);
        }
        OnSet { set, store: Store::new(u64::MAX), effects, ixs: (0..legs as LegIx).collect() }
    }

    fn arrive(&mut self, leg: usize, content: &Content) -> Result<bool, Fault> {
        let message = message(content.command, &content.body, content.token);
        if self.set.arrive_quick(self.ixs[leg], 1).is_some() {
            return Ok(true);
        }
        if self.set.hold_quick(self.ixs[leg], 1, &message, &mut self.store, |_, _| ()).is_some() {
            return Ok(false);
        }
        let arrival = self.set.arrive(self.ixs[leg], 1, &message, &mut self.store)?;
        // The note is up to date for two messages more: some are held on the quick way, and some are not.
        self.set.tell(2 * u64::from(COPY_COST));
        Ok(matches!(arrival, Arrival::InOrder(_)))
    }

    fn switch(&mut self, leg: usize, delta: u32) -> Result<(), Fault> {
        self.set.handle_switch(self.ixs[leg], 1, Switch { delta })
    }

    fn take(&mut self) -> Option<(u64, Content)> {
        let mut buffer = [0; 498];
        let delivery = self.set.next(&mut self.store, &mut buffer.as_mut_slice()).unwrap()?;
        Some(Content::read(&delivery, &buffer))
    }

    fn take_tokens(&mut self, most: usize) -> Vec<u64> {
        std::iter::from_fn(|| self.set.next_token(&mut self.store)).take(most).collect()
    }

    fn remove(&mut self, leg: usize) -> bool {
        self.set.remove(self.ixs[leg], Cause::Asked, &mut self.store, &mut self.effects) == Fate::Lives
    }

    fn join(&mut self, leg: usize) {
        let ix = self.set.adopt(Id(leg as u64 + 1), ROUTE, Ux::NoOpinion, 0, &mut self.effects);
        self.set.report(ix, &report(10, 0, 0), 0, &mut self.effects);
        self.ixs[leg] = ix;
    }

    fn has_duplicate(&mut self) -> bool {
        self.set.has_duplicate()
    }

    fn books(&self) -> Vec<(u64, u64)> {
        let stats = self.set.stats(&self.store, 1);
        vec![(stats.held, stats.held_bytes), (self.store.len() as u64, self.store.bytes())]
    }
}

/// On an engine that has a process to count for.
pub struct OnEngine {
    pub engine: Engine,
    pub hub: EngineHub,
    pub set: Id,
    pub legs: Vec<Id>,
    pub torn: bool,
}

impl Subject for OnEngine {
    fn with_legs(legs: usize) -> Self {
        let mut engine = Engine::new(&config(1)).unwrap();
        let hub = join(std::iter::once(&mut engine));
        let set = engine.open_set(0, terms(None)).unwrap();
        let mut subject = OnEngine { engine, hub, set, legs: vec![Id::NONE; legs], torn: false };
        (0..legs).for_each(|leg| subject.join(leg));
        subject
    }

    fn arrive(&mut self, leg: usize, content: &Content) -> Result<bool, Fault> {
        let message = message(content.command, &content.body, content.token);
        let verdict = receive(&mut self.engine, 1, self.legs[leg], &message);
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
        let polled = self.engine.poll(&mut buffer).unwrap();
        if polled.is_none() {
            check_rest(&self.engine);
        }
        let instruction = polled?;
        match instruction.what {
            What::Deliver(delivery) => Some(Content::read(&delivery, &buffer)),
            What::Close(Cause::Fault(Fault::NumberTwice)) => {
                self.torn = true;
                None
            }
            other => panic!("{other:?}"),
        }
    }

    fn take_tokens(&mut self, most: usize) -> Vec<u64> {
        let mut tokens = Vec::new();
        self.engine.set_poll_tokens(self.set, most, |token| tokens.push(token)).unwrap();
        tokens
    }

    fn remove(&mut self, leg: usize) -> bool {
        self.engine.circuit_closed(1, self.legs[leg]).unwrap();
        self.engine.set_stats(self.set).is_ok()
    }

    fn join(&mut self, leg: usize) {
        let id = self.engine.open_circuit(1, circuit(Role::Client, leg as u64)).unwrap();
        self.engine.adopt_leg(1, self.set, id, Ux::NoOpinion, 0).unwrap();
        self.engine.report(1, id, &report(10, 0, 0)).unwrap();
        self.legs[leg] = id;
    }

    fn has_duplicate(&mut self) -> bool {
        self.torn || self.engine.set_stats(self.set).is_err()
    }

    fn books(&self) -> Vec<(u64, u64)> {
        let stats = self.engine.stats();
        let of_set = self.engine.set_stats(self.set).unwrap();
        vec![(stats.held, stats.held_bytes), (of_set.held, of_set.held_bytes)]
    }

    fn check_books(&self) {
        check_books(Some(&self.hub), std::iter::once(&self.engine));
    }
}

/// The naive receiver.
#[derive(Default)]
pub struct Model {
    pub received: Vec<u64>,
    pub delivered: u64,
    pub waiting: BTreeMap<u64, Content>,
    /// The lowest number that came twice: when its turn is over, at the latest, the set must have ended.
    pub twice: Option<u64>,
}

impl Model {
    /// True when the message is next, false when it has to wait, none when its number is one of the past.
    pub fn arrive(&mut self, leg: usize, content: &Content) -> Option<bool> {
        self.received[leg] += 1;
        let number = self.received[leg];
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

    pub fn take(&mut self) -> Option<(u64, Content)> {
        let content = self.waiting.remove(&(self.delivered + 1))?;
        self.delivered += 1;
        Some((self.delivered, content))
    }

    /// The same, as long as they are tokens.
    pub fn take_tokens(&mut self, most: usize) -> Vec<u64> {
        let next = |model: &mut Self| {
            let token = model.waiting.get(&(model.delivered + 1))?.token?;
            model.take().map(|_| token.token)
        };
        std::iter::from_fn(|| next(self)).take(most).collect()
    }

    pub fn books(&self) -> (u64, u64) {
        (self.waiting.len() as u64, self.waiting.values().map(Content::cost).sum())
    }
}

/// A subject beside its model.
pub struct Pair<S> {
    pub subject: S,
    pub model: Model,
}

impl<S: Subject> Pair<S> {
    pub fn new(legs: usize) -> Self {
        Pair { subject: S::with_legs(legs), model: Model { received: vec![0; legs], ..Model::default() } }
    }

    /// An honest message: both must agree on it.
    pub fn arrive(&mut self, leg: usize, content: &Content) {
        assert_eq!(self.subject.arrive(leg, content).ok(), self.model.arrive(leg, content));
        self.check();
    }

    pub fn join(&mut self, leg: usize) {
        self.model.received[leg] = 0;
        self.subject.join(leg);
        self.check();
    }

    pub fn switch(&mut self, leg: usize, delta: u32) {
        self.model.received[leg] += u64::from(delta);
        self.subject.switch(leg, delta).unwrap();
        self.check();
    }

    /// Takes up to `most` messages, and says how many there were. Tokens are taken by name now and then.
    pub fn drain(&mut self, most: usize) -> usize {
        let mut taken = 0;
        while taken < most {
            let cap = (most - taken).min(self.model.delivered as usize % 3);
            let tokens = self.subject.take_tokens(cap);
            assert_eq!(tokens, self.model.take_tokens(cap));
            self.check();
            taken += tokens.len();
            if taken == most {
                break;
            }
            let (ours, theirs) = (self.subject.take(), self.model.take());
            assert_eq!(ours, theirs);
            self.check();
            if ours.is_none() {
                break;
            }
            taken += 1;
        }
        taken
    }

    pub fn check(&self) {
        self.subject.check_books();
        // The model does not keep what came twice.
        let honest = self.model.twice.is_none();
        for books in self.subject.books() {
            assert!(!honest || books == self.model.books(), "held: {books:?}, not {:?}", self.model.books());
        }
    }
}
