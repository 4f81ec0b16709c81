//! Events of padders: each kind with its fields, and the figures of padders, which follow from their events.

mod common;

use circflow::base::purse::{Allowance, LimitSource};
use circflow::base::Id;
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Config, Engine, What};
use circflow::event::Class;
use circflow::message::Message;
use circflow::padding::{Answer, Pace, Pad, PadderStats, PadderTerms};
use circflow::wire::Command;
use common::any_machines::any_machines;
use common::events::{record, recorded, Happened};
use common::machines::{block, cancel, pad, timer, upon};
use common::{circuit, config, drain, load, padding_terms, Rng, HOPS};
use maybenot::action::Action;
use maybenot::constants::STATE_END;
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::{Machine, Timer};
use std::collections::BTreeMap;

const MS: u64 = 1_000_000;
/// The machine of an event that concerns all machines, or none of the padder.
const ALL: i128 = u32::MAX as i128;

/// One circuit that is recorded.
struct Bed {
    engine: Engine,
    id: Id,
    /// What was recorded and not asked for yet.
    seen: Vec<Happened>,
}

impl Bed {
    fn with(flags: CircuitFlags, room: u32, machines: &[Machine]) -> Bed {
        let mut engine = Engine::new(&config(1)).unwrap();
        record(&mut engine);
        let how = CircuitConfig { flags, held_sends_max: room, ..circuit(Role::Client, 0) };
        let id = engine.open_circuit(0, how).unwrap();
        engine.install_padder(0, id, &padding_terms(load(machines), HOPS, 1)).unwrap();
        Bed { engine, id, seen: Vec::new() }
    }

    fn new(machines: &[Machine]) -> Bed {
        Bed::with(CircuitFlags::default(), 32, machines)
    }

    fn receive(&mut self, now: u64, command: Command) {
        let stream_id = if command == Command::DATA { 5 } else { 0 };
        let message = Message { command, hop: HOPS, stream_id, body: b"", token: None };
        self.engine.receive(now, self.id, &message).unwrap();
    }

    fn hold(&mut self, now: u64) {
        assert!(self.engine.send_on_circuit(now, self.id, Command::DATA, HOPS).unwrap().is_none());
        let message = Message { command: Command::DATA, hop: HOPS, stream_id: 5, body: b"x", token: None };
        self.engine.hold_for_circuit(self.id, &message).unwrap();
    }

    fn tick(&mut self, now: u64) {
        self.engine.tick(now);
        drain(&mut self.engine);
    }

    /// What was recorded of a kind since its like was last asked for: its fields after the circuit.
    fn of(&mut self, name: &str) -> Vec<Vec<i128>> {
        self.seen.extend(recorded(&mut self.engine));
        let id = i128::from(self.id.0);
        let (of_kind, others) = std::mem::take(&mut self.seen).into_iter().partition(|event| event.name == name);
        self.seen = others;
        let fields = |event: Happened| {
            assert_eq!(event.fields[0], ("circuit", id));
            event.fields[1..].iter().map(|&(_, value)| value).collect()
        };
        Vec::into_iter(of_kind).map(fields).collect()
    }

    /// Events of a kind, each of the hop and place of the padder: the fields after those.
    fn here(&mut self, name: &str) -> Vec<Vec<i128>> {
        let place = [i128::from(HOPS), 1];
        let all = self.of(name);
        all.into_iter()
            .map(|fields| {
                assert_eq!(fields[..2], place, "{name}");
                fields[2..].to_vec()
            })
            .collect()
    }

    fn names(&mut self) -> Vec<&'static str> {
        self.seen.extend(recorded(&mut self.engine));
        self.seen.drain(..).map(|event| event.name).collect()
    }
}

/// A machine of `states` states that goes on upon events: from, event, to; and what states do.
fn machine(states: usize, steps: &[(usize, Event, usize)], actions: &[(usize, Action)]) -> Machine {
    let made = (0..states).map(|index| {
        let mut to = State::new(Default::default()).get_transitions();
        steps.iter().filter(|step| step.0 == index).for_each(|step| to[step.1] = vec![Trans(step.2, 1.0)]);
        let mut state = State::new(to);
        state.action = actions.iter().find(|action| action.0 == index).map(|action| action.1);
        state
    });
    Machine::new(u64::MAX, 0.0, u64::MAX, 0.0, made.collect()).unwrap()
}

#[test]
fn a_padder_comes_and_goes() {
    let mut bed = Bed::new(&[upon(Event::NormalRecv, pad(1.0, false, false))]);
    assert_eq!(bed.here("PadderAdded"), [[1]]);
    assert!(bed.engine.install_padder(1, bed.id, &padding_terms(load(&[]), HOPS, 1)).is_err());
    assert!(bed.engine.remove_padder(1, bed.id, HOPS, 0).is_err());
    assert!(bed.names().is_empty(), "what is refused is no event");
    bed.engine.remove_padder(1, bed.id, HOPS, 1).unwrap();
    assert_eq!(bed.here("PadderRemoved"), [[0; 0]]);
    bed.engine.install_padder(2, bed.id, &padding_terms(load(&[]), HOPS, 1)).unwrap();
    assert_eq!(bed.here("PadderAdded"), [[0]], "no machines: it only accepts padding");
    bed.engine.circuit_closed(3, bed.id).unwrap();
    assert_eq!(bed.here("PadderRemoved"), [[0; 0]], "it goes with its circuit");
}

#[test]
fn what_machines_are_told_and_what_they_do() {
    let mut bed = Bed::new(&[
        upon(Event::NormalRecv, pad(10_000.0, true, false)),
        upon(Event::NormalSent, block(5_000.0, 1_000.0, false, false)),
    ]);
    bed.receive(0, Command::DATA);
    assert_eq!(bed.here("PaddingEvent"), [[6, ALL], [2, ALL]]);
    assert_eq!(bed.here("TimerSet"), [[0, 1, 10 * MS as i128]]);
    bed.tick(12 * MS);
    assert_eq!(bed.here("TimerFired"), [[0, 1, 2 * MS as i128]]);
    assert_eq!(bed.here("PaddingSent"), [[0, 1, 0, 0]]);
    assert_eq!(bed.here("PaddingEvent"), [[3, 0]]);
    bed.engine.sent(20 * MS, bed.id, Command::SENDME, HOPS).unwrap();
    assert_eq!(
        (bed.here("PaddingEvent"), bed.here("TimerSet")),
        (vec![vec![1, ALL]], vec![vec![1, 2, 5 * MS as i128]])
    );
    bed.engine.written(20 * MS, bed.id, 2).unwrap();
    assert_eq!(bed.here("PaddingEvent"), [[5, ALL], [5, ALL]]);
    bed.receive(21 * MS, Command::DROP);
    assert_eq!(bed.of("PaddingReceived"), [[i128::from(HOPS)]]);
    assert_eq!(bed.here("PaddingEvent"), [[6, ALL], [4, ALL]]);
    bed.tick(25 * MS);
    bed.tick(26 * MS);
    assert_eq!(bed.here("PaddingEvent"), [[7, 1], [8, ALL]]);
    assert_eq!(bed.here("TimerFired"), [[1, 2, 0]]);
    assert_eq!(bed.engine.stats().padding_received, 1);
}

/// A cell is an event before what follows from it, and padding is sent before its machine is told.
#[test]
fn events_stand_in_the_order_in_which_things_happen() {
    let mut bed = Bed::new(&[upon(Event::NormalRecv, pad(0.0, false, false))]);
    bed.names();
    bed.receive(0, Command::DATA);
    assert_eq!(bed.names(), ["PaddingEvent", "PaddingEvent", "StateChanged", "TimerSet"]);
    bed.tick(0);
    assert_eq!(bed.names(), ["TimerFired", "PaddingSent", "PaddingEvent"]);
}

#[test]
fn timers_of_machines_themselves() {
    let own = machine(
        3,
        &[(0, Event::NormalRecv, 1), (1, Event::NormalRecv, 1), (1, Event::PaddingRecv, 2), (2, Event::NormalRecv, 1)],
        &[(1, timer(50_000.0, true)), (2, cancel(Timer::All))],
    );
    let pads = machine(
        3,
        &[(0, Event::NormalRecv, 1), (1, Event::PaddingRecv, 2)],
        &[(1, pad(1e6, false, false)), (2, cancel(Timer::Action))],
    );
    let mut bed = Bed::new(&[own, pads]);
    bed.receive(0, Command::DATA);
    assert_eq!(bed.here("TimerSet"), [[0, 3, 50 * MS as i128], [1, 1, 1000 * MS as i128]]);
    assert_eq!(bed.here("PaddingEvent"), [[6, ALL], [2, ALL], [9, 0]]);
    bed.receive(10 * MS, Command::DROP);
    assert_eq!(bed.here("TimerCancelled"), [[0, 3], [1, 1]]);
    bed.receive(20 * MS, Command::DATA);
    bed.tick(71 * MS);
    assert_eq!(bed.here("TimerSet"), [[0, 3, 50 * MS as i128]]);
    assert_eq!(bed.here("TimerFired"), [[0, 3, MS as i128]]);
    let told = bed.here("PaddingEvent");
    assert_eq!(told[told.len() - 2..], [[9, 0], [10, 0]]);
    assert!(bed.here("TimerCancelled").is_empty());
}

#[test]
fn a_block_begins_changes_and_ends() {
    let ms = |ms: u64| i128::from(ms * MS);
    for (duration, replace, turn, lasts) in [(20, true, 1, 20), (20, false, 2, 90), (200, false, 1, 200)] {
        let mut bed = Bed::new(&[
            upon(Event::NormalRecv, block(0.0, 100_000.0, false, false)),
            upon(Event::NormalRecv, block(10_000.0, f64::from(duration) * 1000.0, true, replace)),
        ]);
        bed.receive(0, Command::DATA);
        bed.tick(0);
        assert_eq!(bed.here("BlockBegan"), [[0, 0, 0, ms(100)]]);
        bed.tick(10 * MS);
        assert_eq!(bed.here("BlockBegan"), [[1, turn, i128::from(turn == 1), ms(lasts)]]);
        bed.tick((9 + lasts) * MS);
        assert!(bed.here("BlockEnded").is_empty());
        bed.tick((10 + lasts) * MS);
        assert_eq!(bed.here("BlockEnded"), [[ms(10 + lasts)]]);
        assert_eq!(i128::from(bed.engine.padder_stats(bed.id, HOPS, 1).unwrap().blocked), ms(10 + lasts));
    }
    // With its padder, a block ends too.
    let mut bed = Bed::new(&[upon(Event::NormalRecv, block(0.0, 100_000.0, false, false))]);
    bed.receive(0, Command::DATA);
    bed.tick(0);
    bed.names();
    bed.engine.remove_padder(30 * MS, bed.id, HOPS, 1).unwrap();
    assert_eq!(bed.here("BlockEnded"), [[ms(30)]]);
}

/// Blocks upon padding received; pads upon a cell that is written, with these flags.
fn gate(bypassable: bool, bypass: bool, replace: bool) -> [Machine; 2] {
    [
        upon(Event::PaddingRecv, block(0.0, 100_000.0, bypassable, false)),
        upon(Event::TunnelSent, pad(1_000.0, bypass, replace)),
    ]
}

#[test]
fn another_cell_takes_the_place_of_padding() {
    // A cell that is queued, and not written yet.
    let mut bed = Bed::new(&gate(false, false, true));
    for _ in 0..2 {
        bed.engine.sent(0, bed.id, Command::SENDME, HOPS).unwrap();
    }
    bed.engine.written(0, bed.id, 1).unwrap();
    bed.tick(MS);
    assert_eq!(bed.here("PaddingReplaced"), [[1, 1]]);
    // A cell that the block holds back: it stays, or goes in the place of the padding.
    for (bypassable, by) in [(false, 2), (true, 3)] {
        let mut bed = Bed::new(&gate(bypassable, true, true));
        bed.engine.sent(0, bed.id, Command::SENDME, HOPS).unwrap();
        bed.receive(0, Command::DROP);
        bed.tick(0);
        bed.hold(0);
        bed.engine.written(0, bed.id, 1).unwrap();
        bed.tick(MS);
        assert_eq!(bed.here("PaddingReplaced"), [[1, by]]);
        assert!(bed.here("PaddingSent").is_empty());
        assert_eq!(bed.engine.padder_stats(bed.id, HOPS, 1).unwrap().replaced, 1);
    }
}

#[test]
fn padding_waits_behind_a_block() {
    let mut bed = Bed::new(&gate(false, false, false));
    bed.engine.sent(0, bed.id, Command::SENDME, HOPS).unwrap();
    bed.receive(0, Command::DROP);
    bed.tick(0);
    bed.hold(0);
    bed.engine.written(0, bed.id, 1).unwrap();
    bed.tick(MS);
    assert_eq!((bed.here("PaddingHeld"), bed.here("PaddingSent")), (vec![vec![1, 2]], vec![]));
    bed.tick(100 * MS);
    assert_eq!(bed.here("PaddingSent"), [[1, 0, 0, 1]]);
}

#[test]
fn padding_is_refused() {
    let pads = || [upon(Event::NormalRecv, pad(0.0, false, false))];
    let none = |disabled: bool| Allowance { cells: 0, percent: u8::from(!disabled), disabled, reduced: false };
    for disabled in [false, true] {
        for (source, why) in [(LimitSource::Operator, 1), (LimitSource::Consensus, 2)] {
            let mut bed = Bed::new(&pads());
            bed.engine.allow_padding(source, none(disabled));
            if !disabled {
                // A budget of one cell in a hundred has room for the first.
                bed.receive(0, Command::DATA);
                bed.tick(0);
                assert!(bed.here("PaddingRefused").is_empty());
            }
            bed.receive(0, Command::DATA);
            bed.tick(0);
            assert_eq!(bed.here("PaddingRefused"), [[0, 1, why]], "{source:?} {disabled}");
            assert_eq!(bed.engine.stats().spent.refused, 1);
        }
    }
    // The budget of all engines together.
    let mut engine = Engine::new(&config(1)).unwrap();
    record(&mut engine);
    let hub = common::join(std::iter::once(&mut engine));
    let id = engine.open_circuit(0, circuit(Role::Client, 0)).unwrap();
    engine.install_padder(0, id, &padding_terms(load(&pads()), HOPS, 1)).unwrap();
    hub.allow_padding(none(true));
    let mut bed = Bed { engine, id, seen: Vec::new() };
    bed.receive(0, Command::DATA);
    bed.tick(0);
    assert_eq!(bed.here("PaddingRefused"), [[0, 1, 3]]);
}

#[test]
fn padding_is_refused_at_caps_and_by_the_host() {
    let pads = || [upon(Event::NormalRecv, pad(0.0, false, false))];
    let mut bed = Bed::new(&[]);
    let terms = PadderTerms { queued_max: 1, ..padding_terms(load(&pads()), HOPS, 0) };
    bed.engine.install_padder(0, bed.id, &terms).unwrap();
    for _ in 0..2 {
        bed.receive(0, Command::DATA);
        bed.tick(0);
    }
    assert_eq!(bed.of("PaddingRefused"), [[i128::from(HOPS), 0, 0, 1, 4]], "one cell is not written yet");

    let mut bed = Bed::with(
        CircuitFlags::default(),
        1,
        &[
            upon(Event::PaddingRecv, block(0.0, 100_000.0, false, false)),
            upon(Event::NormalRecv, pad(1.0, false, false)),
        ],
    );
    bed.receive(0, Command::DROP);
    bed.tick(0);
    for now in [2_000, 4_000] {
        bed.receive(now - 1_000, Command::DATA);
        bed.tick(now);
    }
    assert_eq!(bed.here("PaddingHeld"), [[1, 1]]);
    assert_eq!(bed.here("PaddingRefused"), [[1, 1, 5]]);

    let mut bed = Bed::with(CircuitFlags::OWN_QUEUE, 32, &pads());
    let pad = Pad { hop: HOPS, slot: 1, machine: 0, bypass: false, replace: false };
    for (answer, name, fields) in [
        (Answer::Refused, "PaddingRefused", &[0, 1, 6][..]),
        (Answer::Sent, "PaddingSent", &[0, 0, 0, 0]),
        (Answer::Replaced, "PaddingReplaced", &[0, 1]),
        (Answer::Released, "PaddingReplaced", &[0, 3]),
    ] {
        bed.receive(0, Command::DATA);
        bed.tick(0);
        bed.engine.answer_padding(0, bed.id, pad, answer).unwrap();
        assert_eq!(bed.here(name), [fields]);
    }
    assert!(bed.engine.answer_padding(0, bed.id, pad, Answer::Sent).is_err());
    assert!(bed.here("PaddingSent").is_empty(), "nobody was asked");
}

#[test]
fn a_block_is_refused() {
    let mut bed = Bed::new(&[upon(Event::NormalRecv, block(1_000.0, 100_000.0, false, false))]);
    bed.receive(0, Command::DATA);
    bed.tick(MS);
    bed.receive(2 * MS, Command::DATA);
    bed.engine.allow_padding(LimitSource::Consensus, Allowance { disabled: true, ..Allowance::default() });
    bed.here("PaddingEvent");
    bed.tick(3 * MS);
    assert_eq!(bed.here("PaddingRefused"), [[0, 2, 2]]);
    assert_eq!(bed.here("BlockBegan").len(), 1, "only the first");
    assert_eq!(bed.here("BlockEnded"), [[MS as i128]], "what runs is lifted at once");
    assert_eq!(bed.here("PaddingEvent"), [[8, ALL], [7, 0], [8, ALL]], "it hears that its block began and ended");
}

#[test]
fn a_machine_that_does_too_much_rests() {
    let endless = machine(2, &[(0, Event::NormalRecv, 1), (1, Event::PaddingSent, 1)], &[(1, pad(0.0, false, false))]);
    let mut bed = Bed::new(&[endless]);
    bed.receive(0, Command::DATA);
    let burst = Pace::default().burst as usize;
    for _ in 0..2 {
        bed.tick(0);
    }
    assert_eq!(bed.here("MachineRests"), [[0, i128::from(Pace::default().floor)]]);
    assert_eq!(bed.here("PaddingSent").len(), burst);
    bed.tick(u64::from(Pace::default().floor));
    assert_eq!(bed.here("PaddingSent").len(), 1, "one after each rest");
}

/// The two ends of a negotiation.
struct Ends {
    engines: [Engine; 2],
    ids: [Id; 2],
}

impl Ends {
    const NUMBER: u8 = 7;

    fn new(relay_knows_it: bool) -> Ends {
        let mut engines = [1, 2].map(|tag| Engine::new(&config(tag)).unwrap());
        let mut ids = [Id::NONE; 2];
        for (end, (role, hop)) in [(Role::Client, HOPS), (Role::Exit, 0)].into_iter().enumerate() {
            record(&mut engines[end]);
            ids[end] = engines[end].open_circuit(0, circuit(role, 0)).unwrap();
            if role == Role::Client || relay_knows_it {
                let terms = padding_terms(load(&[upon(Event::NormalRecv, pad(1e6, false, false))]), hop, 0);
                engines[end].register_padding(role, Ends::NUMBER, Some(terms)).unwrap();
            }
        }
        Ends { engines, ids }
    }

    /// Carries messages until there are none, and says what happened at each end, number and place left out.
    fn settle(&mut self) -> [Vec<(&'static str, i128)>; 2] {
        loop {
            let mut moved = false;
            for end in [0, 1] {
                for (instruction, body) in drain(&mut self.engines[end]) {
                    let What::Send { command, body_len, .. } = instruction.what else { continue };
                    let hop = if end == 0 { 0 } else { HOPS };
                    let body = &body[..usize::from(body_len)];
                    let message = Message { command, hop, stream_id: 0, body, token: None };
                    self.engines[1 - end].receive(0, self.ids[1 - end], &message).unwrap();
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        [0, 1].map(|end| {
            let all = recorded(&mut self.engines[end]).into_iter();
            let about = all.filter(|event| ["PaddingNegotiated", "PadderAdded", "PadderRemoved"].contains(&event.name));
            about
                .map(|event| {
                    assert_eq!(event.get("circuit"), i128::from(self.ids[end].0));
                    assert_eq!(event.get("hop"), if end == 0 { i128::from(HOPS) } else { 0 });
                    if event.name != "PaddingNegotiated" {
                        return (event.name, 0);
                    }
                    assert_eq!(event.get("number"), i128::from(Ends::NUMBER));
                    (event.name, event.get("step"))
                })
                .collect()
        })
    }
}

#[test]
fn a_negotiation_is_seen_at_both_ends() {
    let step = |step| ("PaddingNegotiated", step);
    let (added, removed) = (("PadderAdded", 0), ("PadderRemoved", 0));
    let mut ends = Ends::new(true);
    let client = ends.ids[0];
    ends.engines[0].start_padding(0, client, Ends::NUMBER).unwrap();
    assert_eq!(ends.settle(), [vec![added, step(1), step(3)], vec![step(2), added, step(3)]]);
    ends.engines[0].stop_padding(0, client, Ends::NUMBER).unwrap();
    assert_eq!(ends.settle(), [vec![removed, step(5), step(7)], vec![step(6), removed, step(7)]]);
    ends.engines[0].start_padding(0, client, Ends::NUMBER).unwrap();
    ends.settle();
    let relay = ends.ids[1];
    ends.engines[1].stop_padding(0, relay, Ends::NUMBER).unwrap();
    assert_eq!(ends.settle(), [vec![removed, step(8)], vec![removed, step(8)]]);

    let mut ends = Ends::new(false);
    let client = ends.ids[0];
    ends.engines[0].start_padding(0, client, Ends::NUMBER).unwrap();
    assert_eq!(ends.settle(), [vec![added, step(1), removed, step(4)], vec![step(2), step(4)]]);
    assert!(ends.engines[0].start_padding(0, client, Ends::NUMBER).is_err());
    assert_eq!(ends.settle(), [vec![], vec![]]);
}

/// States are read from maybenot's own description of a framework: this holds it to what is known.
#[test]
fn states_of_machines() {
    let end = STATE_END as i128;
    let walks = machine(
        1201,
        &[
            (0, Event::NormalRecv, 1200),
            (1200, Event::NormalRecv, 31),
            (31, Event::NormalRecv, 31),
            (31, Event::PaddingRecv, STATE_END),
        ],
        &[(1200, pad(1e6, true, true)), (31, block(1e6, 1e6, false, false))],
    );
    let ends = machine(2, &[(0, Event::NormalRecv, STATE_END)], &[]);
    let stays = upon(Event::TunnelSent, timer(1.0, false));
    let mut bed = Bed::new(&[stays, walks, ends]);
    let mut after = |command| {
        bed.receive(0, command);
        bed.here("StateChanged")
    };
    assert_eq!(after(Command::DATA), [[1, 0, 1200], [2, 0, end]]);
    assert_eq!(after(Command::DATA), [[1, 1200, 31]]);
    assert!(after(Command::DATA).is_empty(), "the same state again is no change");
    assert_eq!(after(Command::DROP), [[1, 31, end]]);
    assert!(after(Command::DATA).is_empty());
}

#[test]
fn states_of_as_many_machines_as_there_may_be() {
    let machines: Vec<Machine> = (0..64)
        .map(|index| machine(101, &[(0, Event::NormalRecv, 100 - index), (100 - index, Event::NormalRecv, 0)], &[]))
        .collect();
    let mut bed = Bed::new(&machines);
    for turn in 0..4 {
        bed.receive(0, Command::DATA);
        let expected: Vec<Vec<i128>> = (0..64)
            .map(|index| if turn % 2 == 0 { vec![index, 0, 100 - index] } else { vec![index, 100 - index, 0] })
            .collect();
        assert_eq!(bed.here("StateChanged"), expected);
    }
}

#[test]
fn each_class_is_recorded_alone() {
    let run = |classes: u32| {
        let mut bed = Bed::new(&[upon(Event::NormalRecv, pad(1.0, false, false))]);
        bed.engine.record(1 << 16, classes).unwrap();
        bed.receive(0, Command::DATA);
        bed.names()
    };
    assert_eq!(run(Class::States.bit()), ["StateChanged"]);
    assert_eq!(run(Class::Padding.bit()), ["PaddingEvent", "PaddingEvent", "TimerSet"]);
    assert!(run(Class::Host.bit()).is_empty());
}

// ---- The figures of padders follow from their events ----

/// What a padder's events add up to.
#[derive(Default, Debug)]
struct Tally {
    stats: PadderStats,
    /// Timers that run, by machine: of an action, and its own.
    timers: BTreeMap<(i128, bool), ()>,
    blocking: bool,
}

/// What a whole engine's do.
#[derive(Default, Debug)]
struct Tallies {
    padders: BTreeMap<(i128, i128, i128), Tally>,
    received: u64,
    sent: u64,
    refused: u64,
    kinds: BTreeMap<&'static str, u64>,
}

impl Tallies {
    fn add(&mut self, event: &Happened) {
        *self.kinds.entry(event.name).or_default() += 1;
        match event.name {
            "PaddingReceived" => self.received += 1,
            "PaddingSent" => self.sent += 1,
            "PaddingRefused" if event.get("what") != 2 && event.get("why") <= 3 => self.refused += 1,
            _ => {}
        }
        if event.fields.iter().all(|&(field, _)| field != "slot") {
            return;
        }
        let place = (event.get("circuit"), event.get("hop"), event.get("slot"));
        if event.name == "PadderAdded" {
            let mut tally = Tally::default();
            tally.stats.machines = event.get("machines") as u32;
            assert!(self.padders.insert(place, tally).is_none());
            return;
        }
        if event.name == "PadderRemoved" {
            assert!(!self.padders.remove(&place).unwrap().blocking);
            return;
        }
        self.padders.get_mut(&place).expect("of a padder that is there").add(event);
    }
}

impl Tally {
    fn add(&mut self, event: &Happened) {
        let stats = &mut self.stats;
        let of_timer = || (event.get("machine"), event.get("timer") == 3);
        match event.name {
            "PaddingEvent" => match event.get("what") {
                1 => stats.normal_sent += 1,
                2 => stats.normal_received += 1,
                4 => stats.padding_received += 1,
                _ => {}
            },
            "TimerSet" => {
                self.timers.insert(of_timer(), ());
            }
            "TimerFired" | "TimerCancelled" => {
                assert!(self.timers.remove(&of_timer()).is_some(), "a timer that runs: {event:?}");
            }
            "BlockBegan" => {
                assert_eq!(event.get("turn") == 0, !self.blocking);
                self.blocking = true;
                stats.blocks += 1;
            }
            "BlockEnded" => {
                assert!(std::mem::take(&mut self.blocking));
                stats.blocked += event.get("lasted") as u64;
            }
            // What is held counts as sent, and not once more when it goes out.
            "PaddingHeld" => stats.padding_sent += 1,
            "PaddingSent" => stats.padding_sent += u64::from(event.get("waited") == 0),
            "PaddingReplaced" => stats.replaced += 1,
            "PaddingRefused" if event.get("what") == 2 => stats.blocks += 1,
            "PaddingRefused" => {
                stats.refused += 1;
                stats.padding_sent -= u64::from(event.get("what") == 3);
            }
            _ => {}
        }
    }
}

/// One circuit's random life, recorded or not. Everything that the engine says goes into `said`.
struct Life {
    engine: Engine,
    id: Id,
    kind: Kind,
    rng: Rng,
    zeros: bool,
    now: u64,
    open: Vec<Pad>,
    said: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Client,
    ClientWithQueue,
    Relay,
}

impl Life {
    fn new(seed: u64, recorded: bool) -> Life {
        let mut rng = Rng::new(seed);
        let kind = *rng.pick(&[Kind::Client, Kind::Client, Kind::ClientWithQueue, Kind::Relay]);
        let mut engine = Engine::new(&Config { seed: [seed as u8; 32], ..config(1) }).unwrap();
        if recorded {
            record(&mut engine);
        }
        let role = if kind == Kind::Relay { Role::Exit } else { Role::Client };
        let flags = if kind == Kind::ClientWithQueue { CircuitFlags::OWN_QUEUE } else { CircuitFlags::default() };
        let room = *rng.pick(&[1, 3, 32]);
        let id = engine.open_circuit(0, CircuitConfig { flags, held_sends_max: room, ..circuit(role, 1) }).unwrap();
        let zeros = rng.once_in(3);
        let mut life = Life { engine, id, kind, rng, zeros, now: 0, open: Vec::new(), said: Vec::new() };
        for _ in 0..1 + life.rng.below(3) {
            life.install();
        }
        life
    }

    fn any_hop(&mut self) -> u8 {
        if self.kind == Kind::Relay {
            0
        } else {
            1 + self.rng.below(u64::from(HOPS)) as u8
        }
    }

    fn install(&mut self) {
        let (hop, slot) = (self.any_hop(), self.rng.below(2) as u8);
        let machines = any_machines(&mut self.rng, self.zeros);
        let terms = PadderTerms {
            padding_frac: *self.rng.pick(&[0.0, 0.0, 0.4]),
            blocking_frac: *self.rng.pick(&[0.0, 0.0, 0.3]),
            queued_max: *self.rng.pick(&[2, 9, 1000]),
            opens_between: self.rng.once_in(2),
            ..padding_terms(load(&machines), hop, slot)
        };
        let said = self.engine.install_padder(self.now, self.id, &terms);
        self.said.push(format!("{said:?}"));
    }

    fn allow(&mut self) {
        let source = *self.rng.pick(&[LimitSource::Operator, LimitSource::Consensus]);
        let percent = *self.rng.pick(&[0, 0, 20, 60]);
        let (disabled, reduced) = (self.rng.once_in(8), self.rng.once_in(8));
        self.engine.allow_padding(source, Allowance { cells: 5, percent, disabled, reduced });
    }

    fn call(&mut self) {
        let (now, id, hop) = (self.now, self.id, self.any_hop());
        let message = |command, body| Message { command, hop, stream_id: 5, body, token: None };
        let said = match self.rng.below(32) {
            0..=4 => {
                self.engine.tick(now);
                String::new()
            }
            5..=9 => {
                let padded = (0..2).any(|slot| self.engine.padder_stats(id, hop, slot).is_ok());
                let command = if padded && self.rng.once_in(2) { Command::DROP } else { Command::DATA };
                format!("{:?}", self.engine.receive(now, id, &message(command, b"")))
            }
            10..=12 if self.kind == Kind::Relay => format!("{:?}", self.engine.passing(now, id)),
            10..=12 => format!("{:?}", self.engine.sent(now, id, Command::SENDME, hop)),
            13..=17 => format!("{:?}", self.engine.written(now, id, self.rng.below(4) as u32)),
            18..=25 => match self.engine.send_on_circuit(now, id, Command::DATA, hop) {
                Ok(None) => format!("{:?}", self.engine.hold_for_circuit(id, &message(Command::DATA, b"x"))),
                other => format!("{other:?}"),
            },
            26 => {
                self.allow();
                String::new()
            }
            27 => {
                self.install();
                String::new()
            }
            28 => format!("{:?}", self.engine.remove_padder(now, id, hop, self.rng.below(2) as u8)),
            _ if self.open.is_empty() => String::new(),
            _ => {
                let pad = self.open.swap_remove(self.rng.below(self.open.len() as u64) as usize);
                let answers = [Answer::Sent, Answer::Sent, Answer::Replaced, Answer::Released, Answer::Refused];
                let answer = *self.rng.pick(&answers);
                format!("{:?}", self.engine.answer_padding(now, id, pad, answer))
            }
        };
        self.said.push(said);
        for (instruction, body) in drain(&mut self.engine) {
            if let What::Pad { pad, asks: true } = instruction.what {
                self.open.push(pad);
            }
            self.said.push(format!("{instruction:?} {:?}", &body[..8]));
        }
        self.now = match self.rng.below(8) {
            0..=2 => now,
            3 | 4 => now + self.rng.below(20_000_000),
            5 => now + 1,
            6 => self.engine.deadline().clamp(now, now + 1_000_000_000),
            _ => now + self.rng.below(1_500_000_000),
        };
    }

    /// Figures of all padders, by hop and slot.
    fn stats(&self) -> BTreeMap<(i128, i128, i128), PadderStats> {
        let places = (0..=HOPS).flat_map(|hop| [(hop, 0), (hop, 1)]);
        let known = places.filter_map(|(hop, slot)| {
            let stats = self.engine.padder_stats(self.id, hop, slot).ok()?;
            Some(((i128::from(self.id.0), hop.into(), slot.into()), stats))
        });
        known.collect()
    }
}

/// The figures that padders count themselves, and those that their events add up to, are the same, at every moment; and
/// who is recorded behaves as if nobody looked.
#[test]
fn events_add_up_to_the_figures_of_padders() {
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..150 {
        let (mut plain, mut watched, mut tallies) = (Life::new(seed, false), Life::new(seed, true), Tallies::default());
        for _ in 0..200 {
            plain.call();
            watched.call();
            assert_eq!(std::mem::take(&mut plain.said), std::mem::take(&mut watched.said), "seed {seed}");
            assert_eq!((plain.now, plain.engine.deadline()), (watched.now, watched.engine.deadline()), "seed {seed}");
            recorded(&mut watched.engine).iter().for_each(|event| tallies.add(event));
            let stats = watched.stats();
            assert_eq!(stats, plain.stats(), "seed {seed}");
            assert_eq!(stats.len(), tallies.padders.len(), "seed {seed}");
            for (place, counted) in stats {
                let tally = &tallies.padders[&place];
                let timers = tally.timers.len() as u32 + u32::from(tally.blocking);
                // A block that is on ends, and then says how long it was.
                let blocked = if tally.blocking { counted.blocked } else { tally.stats.blocked };
                assert_eq!(PadderStats { timers, blocked, ..tally.stats }, counted, "seed {seed}, {place:?}");
            }
            let engine = watched.engine.stats();
            assert_eq!(
                (tallies.received, tallies.sent),
                (engine.padding_received, engine.spent.padding),
                "seed {seed}"
            );
            assert_eq!(tallies.refused, engine.spent.refused, "seed {seed}");
        }
        tallies.kinds.into_iter().for_each(|(name, count)| *kinds.entry(name).or_default() += count);
    }
    // Every kind but those of negotiation, and often.
    let rare = |name: &str| kinds.get(name).copied().unwrap_or(0) < 100;
    let names = circflow::event::KINDS.iter().filter(|kind| [Class::Padding, Class::States].contains(&kind.class));
    let missing: Vec<&str> = names.map(|kind| kind.name).filter(|name| rare(name)).collect();
    assert_eq!(missing, ["PaddingNegotiated"], "{kinds:?}");
}
