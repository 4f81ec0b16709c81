//! The hub under real threads: every token comes out once, whoever dies when, and nobody sleeps through news. Waits are
//! bounded only so that a loop that was not woken is a failed test.

use circflow::base::{limits, Budget, Id};
use circflow::conflux::Role;
use circflow::hub::*;
use circflow::wire::conflux::Nonce;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU8, Ordering::*};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::time::Duration;

/// What crosses: tokens, by number.
struct Tokens;

impl Traffic for Tokens {
    type Join = u64;
    type ToHome = u32;
    type ToLeg = u32;
}

/// What an event loop sleeps on.
#[derive(Default)]
struct Waker {
    woken: Mutex<bool>,
    changed: Condvar,
    calls: AtomicU32,
    /// The engine is gone, and with it what `notify` needs.
    freed: AtomicBool,
}

impl Waker {
    fn notify(self: &Arc<Self>) -> Notify {
        let waker = Arc::clone(self);
        Arc::new(move |_| {
            assert!(!waker.freed.load(SeqCst), "an engine that is gone is not woken");
            waker.calls.fetch_add(1, Relaxed);
            *waker.woken.lock().unwrap() = true;
            waker.changed.notify_one();
        })
    }

    fn sleep(&self) {
        let woken = self.woken.lock().unwrap();
        let (mut woken, wait) =
            self.changed.wait_timeout_while(woken, Duration::from_secs(60), |woken| !*woken).unwrap();
        assert!(!wait.timed_out(), "nobody woke this loop");
        *woken = false;
    }
}

/// Small and good enough: what is random is only what happens next.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Who has seen which token come out.
struct Ledger {
    out: Vec<AtomicU8>,
    next: AtomicU32,
}

impl Ledger {
    fn new(room: usize) -> Arc<Ledger> {
        Arc::new(Ledger { out: (0..room).map(|_| AtomicU8::new(0)).collect(), next: AtomicU32::new(0) })
    }

    fn issue(&self) -> u32 {
        self.next.fetch_add(1, Relaxed)
    }

    fn settle(&self, token: u32) {
        self.out[token as usize].fetch_add(1, Relaxed);
    }

    fn check(&self) {
        let issued = self.next.load(Relaxed) as usize;
        assert!(issued > 0);
        for (token, out) in self.out[..issued].iter().enumerate() {
            assert_eq!(out.load(Relaxed), 1, "token {token} of {issued}");
        }
    }
}

fn left(left: Left<u32, u32>) -> u32 {
    match left {
        Left::Unread(token) | Left::Unsent(token) => token,
    }
}

/// Sends a token; one that does not go through is settled. False when the link is no use for now.
fn send(end: &LinkEnd<u32, u32>, ledger: &Ledger) -> bool {
    match end.send(ledger.issue()) {
        Ok(()) => return true,
        Err(NotSent::Full(token)) => ledger.settle(token),
        Err(NotSent::Gone(token)) => {
            ledger.settle(token);
            std::iter::from_fn(|| end.take_back()).for_each(|token| ledger.settle(token));
        }
    }
    false
}

/// Far more than the link holds, there and back, between two loops that do nothing unless they are woken.
#[test]
fn much_goes_through_a_small_link() {
    const TOKENS: u32 = 100_000;
    let [leg_waker, home_waker] = [(); 2].map(|()| Arc::<Waker>::default());
    let [leg_bell, home_bell] = [&leg_waker, &home_waker].map(|waker| Arc::new(Bell::new(waker.notify())));
    let (mut leg, mut home) = link::<u32, u32>(limits::LINK_ROOM, &leg_bell, Id(1), &home_bell);
    home.open(Id(2));
    let echo = std::thread::spawn(move || {
        let (mut waiting, mut keys, mut full) = (None, Vec::new(), 0);
        loop {
            home_waker.sleep();
            keys.clear();
            assert!(!home_bell.take_rung(4, &mut keys));
            loop {
                if let Some(token) = waiting.take() {
                    match home.send(token) {
                        Ok(()) => {}
                        Err(NotSent::Full(token)) => {
                            waiting = Some(token);
                            full += 1;
                            break;
                        }
                        Err(NotSent::Gone(_)) => panic!("the leg waits for all of it"),
                    }
                }
                match home.poll() {
                    News::Item(token) => waiting = Some(token),
                    News::Nothing => break,
                    News::Over(word) => return (word, full, home_waker.calls.load(Relaxed)),
                }
            }
        }
    });
    let (mut sent, mut seen, mut full, mut keys) = (0, 0, 0, Vec::new());
    while seen < TOKENS {
        while sent < TOKENS {
            match leg.send(sent) {
                Ok(()) => sent += 1,
                Err(refused) => {
                    assert_eq!(refused, NotSent::Full(sent));
                    full += 1;
                    break;
                }
            }
        }
        leg_waker.sleep();
        keys.clear();
        assert!(!leg_bell.take_rung(4, &mut keys));
        while let News::Item(token) = leg.poll() {
            assert_eq!(token, seen, "in order");
            seen += 1;
        }
    }
    leg.close(5, |left| panic!("{left:?}"));
    let (word, _, woken) = echo.join().unwrap();
    assert_eq!(word, Some(5));
    assert!(full > 0, "the link was full at times");
    assert!(woken < TOKENS, "one wake-up stands for many: {woken}");
}

/// Two ends, each on its thread, that send, read and go at any moment; every third home has not taken its end yet.
#[test]
fn a_token_comes_out_once_whoever_goes_first() {
    const ROUNDS: u64 = 20_000;
    let ledger = Ledger::new(ROUNDS as usize * 24);
    let barrier = Arc::new(Barrier::new(2));
    let ends: [Vec<_>; 2] = {
        let quiet: Notify = Arc::new(|_| {});
        let bell = Arc::new(Bell::new(quiet));
        let pairs = (0..ROUNDS).map(|round| link::<u32, u32>(1 + round as usize % 4, &bell, Id(1), &bell));
        let (near, far) = pairs.unzip();
        [near, far]
    };
    let threads: Vec<_> = ends
        .into_iter()
        .enumerate()
        .map(|(side, ends)| {
            let (ledger, barrier) = (Arc::clone(&ledger), Arc::clone(&barrier));
            std::thread::spawn(move || {
                let mut dice = Dice(0x9e37_79b9 + side as u64);
                for (round, mut end) in ends.into_iter().enumerate() {
                    if round % 16 == 0 {
                        barrier.wait();
                    }
                    let is_offered = side == 1 && round % 3 == 0;
                    if is_offered && dice.roll(2) == 0 {
                        drop(end);
                        continue;
                    }
                    for _ in 0..if is_offered && !end.mark_taken() { 0 } else { dice.roll(12) } {
                        if dice.roll(3) > 0 {
                            send(&end, &ledger);
                        } else if let News::Item(token) = end.poll() {
                            ledger.settle(token);
                        }
                    }
                    end.close(round as u32, |rest| ledger.settle(left(rest)));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    ledger.check();
}

struct Set {
    nonce: u8,
    standing: Standing,
    held: Vec<u64>,
}

impl Set {
    fn bytes(&self) -> u64 {
        self.held.iter().sum()
    }
}

/// An engine with no behaviour but what touches the hub.
struct Engine {
    budget: Budget,
    port: Port<Tokens>,
    waker: Arc<Waker>,
    sets: BTreeMap<Id, Set>,
    legs: BTreeMap<Id, (LegEnd<Tokens>, Option<u32>)>,
    homes: BTreeMap<Id, (HomeEnd<Tokens>, Option<u32>, Id)>,
    keys: Vec<Id>,
}

/// What happened, so that a run in which nothing did is no proof.
#[derive(Default)]
struct Counts {
    joined: AtomicU32,
    accepted: AtomicU32,
    refused: AtomicU32,
    not_there: AtomicU32,
    delivered: AtomicU32,
    full: AtomicU32,
    freed: AtomicU32,
    victims: AtomicU32,
    named: AtomicU32,
}

struct World {
    hub: Hub<Tokens>,
    ledger: Arc<Ledger>,
    counts: Counts,
    ids: AtomicU32,
    barrier: Barrier,
}

const NONCES: u64 = 6;

fn nonce(number: u8) -> Nonce {
    Nonce::new([number; 32])
}

impl World {
    fn id(&self, tag: u16) -> Id {
        Id(u64::from(tag) << 48 | u64::from(self.ids.fetch_add(1, Relaxed) + 1))
    }

    fn count(counter: &AtomicU32) {
        counter.fetch_add(1, Relaxed);
    }
}

impl Engine {
    fn new(world: &World, tag: u16) -> Engine {
        let waker = Arc::<Waker>::default();
        let port = world.hub.join_engine(tag, waker.notify()).unwrap();
        let (sets, legs, homes) = Default::default();
        let mut budget = Budget::new(1 << 20);
        port.share(&mut budget);
        Engine { budget, port, waker, sets, legs, homes, keys: Vec::new() }
    }

    fn step(&mut self, world: &World, dice: &mut Dice) {
        match dice.roll(16) {
            0..=2 => self.link(world, dice.roll(NONCES) as u8),
            3..=6 => {
                if let Some((leg, _)) = pick(&self.legs, dice) {
                    let more = (0..dice.roll(100)).all(|_| send(leg, &world.ledger));
                    world.counts.full.fetch_add(u32::from(!more), Relaxed);
                }
            }
            7..=8 => {
                if let Some((home, ..)) = pick(&self.homes, dice) {
                    (0..dice.roll(100)).all(|_| send(home, &world.ledger));
                }
            }
            9 => {
                if let Some(id) = pick_key(&self.legs, dice).filter(|_| dice.roll(3) == 0) {
                    self.close_leg(world, id);
                }
            }
            10 => {
                if let Some(id) = pick_key(&self.homes, dice).filter(|_| dice.roll(3) == 0) {
                    self.close_home(world, id);
                }
            }
            11 => {
                if let Some(id) = pick_key(&self.sets, dice).filter(|_| dice.roll(4) == 0) {
                    self.end_set(world, id);
                }
            }
            12 => {
                let victim = self.sets.iter().find(|(_, set)| set.standing.is_named()).map(|(&id, _)| id);
                if let Some(id) = victim {
                    self.end_set(world, id);
                }
                self.hold(world, dice);
            }
            _ => {
                self.hear(world, dice.roll(9) as usize);
            }
        }
    }

    /// A set holds more, or less; where there is no room, somebody is named.
    fn hold(&mut self, world: &World, dice: &mut Dice) {
        let Some(set) = pick_key(&self.sets, dice).and_then(|id| self.sets.get_mut(&id)) else { return };
        let bytes = 1 + dice.roll(5000);
        if self.budget.ask(bytes).is_ok() {
            self.budget.hold(bytes);
            set.held.push(bytes);
            set.standing.grew(set.bytes(), dice.roll(1000));
        } else if let Some(victim) = self.port.name_worst(1000) {
            World::count(&world.counts.named);
            if victim.engine == self.port.tag() {
                self.end_set(world, victim.id);
            }
            return;
        }
        if set.held.len() > 4 {
            self.budget.release(set.held.remove(0));
            set.standing.settle(set.bytes(), dice.roll(1000));
        }
    }

    /// A circuit brings LINK.
    fn link(&mut self, world: &World, number: u8) {
        let id = world.id(self.port.tag());
        match self.port.claim(Role::Exit, &nonce(number), id) {
            Claim::Ours => {
                let standing = Standing::new(self.port.ledger(), id);
                self.sets.insert(id, Set { nonce: number, standing, held: Vec::new() });
            }
            Claim::Home(home) if home.tag() == self.port.tag() => assert!(self.sets.contains_key(&home.set)),
            Claim::Home(home) => match self.port.join(&home, u64::from(number), id) {
                Ok(end) => {
                    World::count(&world.counts.joined);
                    self.legs.insert(id, (end, None));
                }
                Err(_) => World::count(&world.counts.not_there),
            },
        }
    }

    /// Works on what has news, no more than `most` of it; false when there was none.
    fn hear(&mut self, world: &World, most: usize) -> bool {
        let mut keys = std::mem::take(&mut self.keys);
        let more = self.port.take_news(most, &mut keys);
        let some = more || !keys.is_empty();
        for key in keys.drain(..) {
            if key == Id::NONE {
                self.take_joins(world);
            } else if let Some((leg, last)) = self.legs.get_mut(&key) {
                if read(leg, last, world) {
                    self.close_leg(world, key);
                }
            } else if let Some((home, last, _)) = self.homes.get_mut(&key) {
                if read(home, last, world) {
                    self.close_home(world, key);
                }
            }
        }
        self.keys = keys;
        some
    }

    fn take_joins(&mut self, world: &World) {
        for _ in 0..2 {
            let Some(join) = self.port.poll_join() else { return };
            if self.sets.get(&join.set).is_some_and(|set| u64::from(set.nonce) == join.request) {
                let (key, set) = (world.id(self.port.tag()), join.set);
                let (_, end) = join.accept(key);
                World::count(&world.counts.accepted);
                self.homes.insert(key, (end, None, set));
            } else {
                World::count(&world.counts.refused);
                join.refuse(1, |rest| world.ledger.settle(left(rest)));
            }
        }
        self.port.ring_for_joins();
    }

    fn close_leg(&mut self, world: &World, id: Id) {
        if let Some((leg, _)) = self.legs.remove(&id) {
            leg.close(2, |rest| world.ledger.settle(left(rest)));
        }
    }

    fn close_home(&mut self, world: &World, id: Id) {
        if let Some((home, ..)) = self.homes.remove(&id) {
            home.close(3, |rest| world.ledger.settle(left(rest)));
        }
    }

    fn end_set(&mut self, world: &World, id: Id) {
        let legs: Vec<Id> = self.homes.iter().filter(|(_, home)| home.2 == id).map(|(&key, _)| key).collect();
        legs.into_iter().for_each(|leg| self.close_home(world, leg));
        if let Some(set) = self.sets.remove(&id) {
            self.budget.release(set.bytes());
            self.port.release(Role::Exit, &nonce(set.nonce), id);
        }
    }

    fn free(mut self, world: &World, tidy: bool) {
        World::count(&world.counts.freed);
        while let Some((&id, _)) = self.legs.first_key_value() {
            self.close_leg(world, id);
        }
        while let Some((&id, _)) = self.homes.first_key_value() {
            self.close_home(world, id);
        }
        // A host that pulls the plug releases nothing, and refuses nobody: those who asked have back what they sent.
        while let Some((&id, _)) = self.sets.first_key_value().filter(|_| tidy) {
            self.end_set(world, id);
        }
        while let Some(join) = if tidy { self.port.poll_join() } else { None } {
            join.refuse(4, |rest| world.ledger.settle(left(rest)));
        }
        drop(self.port);
        self.waker.freed.store(true, SeqCst);
    }
}

/// Reads a little; true when the other end is gone and all has been read.
fn read(end: &mut LinkEnd<u32, u32>, last: &mut Option<u32>, world: &World) -> bool {
    for _ in 0..8 {
        match end.poll() {
            News::Item(token) => {
                assert!(last.is_none_or(|last| last < token), "in order");
                *last = Some(token);
                World::count(&world.counts.delivered);
                world.ledger.settle(token);
            }
            News::Nothing => return false,
            News::Over(word) => {
                assert!(word.is_none_or(|word| (1..=4).contains(&word)));
                return true;
            }
        }
    }
    end.ring_self();
    false
}

fn pick<'a, V>(from: &'a BTreeMap<Id, V>, dice: &mut Dice) -> Option<&'a V> {
    from.values().nth(dice.roll(from.len().max(1) as u64) as usize)
}

fn pick_key<V>(from: &BTreeMap<Id, V>, dice: &mut Dice) -> Option<Id> {
    from.keys().nth(dice.roll(from.len().max(1) as u64) as usize).copied()
}

/// Four engines that link, send, close and die as they like, and one thread that asks for memory; then all circuits
/// close, and the homes must hear of it in their sleep. How threads fall in step is the machine's to choose: so there
/// are rounds with and without the one who asks, who may name everybody first, until all of it has happened.
#[test]
fn engines_come_and_go() {
    const ROUNDS: u64 = 40;
    let mut sums = [0; 9];
    for round in 0..ROUNDS {
        let happened = come_and_go(round);
        sums.iter_mut().zip(happened).for_each(|(sum, count)| *sum += count);
        if round > 0 && sums.iter().all(|&sum| sum > 0) {
            return;
        }
    }
    panic!("all of it happened: {sums:?}");
}

/// One round, of which each engine makes so many steps; answers how often what happened.
fn come_and_go(round: u64) -> [u32; 9] {
    const STEPS: u32 = 20_000;
    const ENGINES: u16 = 4;
    let world = Arc::new(World {
        hub: Hub::new(&HubConfig { seed: [9; 32], held_bytes_max: 60_000 }),
        ledger: Ledger::new(40 << 20),
        counts: Counts::default(),
        ids: AtomicU32::new(0),
        barrier: Barrier::new(usize::from(ENGINES)),
    });
    let over = Arc::new(AtomicBool::new(round % 2 == 1));
    let (asker, stop) = (Arc::clone(&world), Arc::clone(&over));
    let asking = std::thread::spawn(move || {
        let mut victims = Vec::new();
        while !stop.load(Relaxed) {
            // With what is to come back.
            assert!(asker.hub.process().reserved() <= 60_000 + 60_000 / 8);
            victims.clear();
            let found = asker.hub.reclaim(20_000, usize::MAX, &mut victims);
            assert_eq!(found, victims.iter().map(|victim| victim.bytes).sum::<u64>());
            assert!(victims.iter().all(|victim| victim.id.0 >> 48 == u64::from(victim.engine)));
            asker.counts.victims.fetch_add(victims.len() as u32, Relaxed);
            std::thread::yield_now();
        }
    });
    let engines: Vec<_> = (1..=ENGINES)
        .map(|tag| {
            let world = Arc::clone(&world);
            std::thread::spawn(move || {
                let mut dice = Dice((u64::from(tag) + 100 * round) * 0x1234_5678_9abc);
                let mut engine = Engine::new(&world, tag);
                for _ in 0..STEPS {
                    engine.step(&world, &mut dice);
                    if dice.roll(500) == 0 {
                        engine.free(&world, dice.roll(2) == 0);
                        engine = Engine::new(&world, tag);
                    }
                }
                world.barrier.wait();
                while let Some((&id, _)) = engine.legs.first_key_value() {
                    engine.close_leg(&world, id);
                }
                while engine.hear(&world, 3) {}
                while !engine.homes.is_empty() {
                    engine.waker.sleep();
                    while engine.hear(&world, 3) {}
                }
                world.barrier.wait();
                engine.free(&world, false);
            })
        })
        .collect();
    engines.into_iter().for_each(|engine| engine.join().unwrap());
    over.store(true, Relaxed);
    asking.join().unwrap();

    world.ledger.check();
    assert_eq!((world.hub.engines(), world.hub.claims(), world.hub.process().reserved()), (0, 0, 0));
    assert_eq!(world.hub.process().returning(), 0, "and nothing is expected of anybody");
    let Counts { joined, accepted, refused, not_there, delivered, full, freed, victims, named } = &world.counts;
    [joined, accepted, refused, not_there, delivered, full, freed, victims, named].map(|n| n.load(Relaxed))
}
