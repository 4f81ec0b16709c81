//! Rules of the contract with maybenot, one by one: machines made for the purpose, and figures worked out by hand.

mod common;

use circflow::base::{limits, Id};
use circflow::conflux::Role;
use circflow::engine::{CircuitConfig, CircuitFlags, Config, Engine, VerdictKind, What};
use circflow::message::Message;
use circflow::padding::{Answer, Pace, PadderStats, PadderTerms};
use circflow::wire::Command;
use common::machines::{block, cancel, constant_rate, pad, timer, upon};
use common::{circuit, config, load, padding_terms};
use maybenot::action::Action;
use maybenot::constants::STATE_END;
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::{Machine, Timer};

const MS: u64 = 1_000_000;

fn terms((hop, slot): (u8, u8), machines: &[Machine]) -> PadderTerms {
    padding_terms(load(machines), hop, slot)
}

/// One client's circuit, and what comes out of it in words.
struct Bed {
    engine: Engine,
    id: Id,
}

impl Bed {
    fn with(flags: CircuitFlags, room: u32, padders: &[((u8, u8), &[Machine])]) -> Bed {
        // What one call does is seen best where machines never rest.
        let pace = Pace { floor: 0, ..Pace::default() };
        let mut engine = Engine::new(&Config { pace, ..config(1) }).unwrap();
        let how = CircuitConfig { flags, held_sends_max: room, ..circuit(Role::Client, 0) };
        let id = engine.open_circuit(0, how).unwrap();
        for &(place, machines) in padders {
            engine.install_padder(0, id, &terms(place, machines)).unwrap();
        }
        Bed { engine, id }
    }

    fn new(machines: &[Machine]) -> Bed {
        Bed::with(CircuitFlags::default(), 32, &[((2, 0), machines)])
    }

    fn receive(&mut self, now: u64, hop: u8, command: Command) {
        let message = Message { command, hop, stream_id: 5, body: b"", token: None };
        self.engine.receive(now, self.id, &message).unwrap();
    }

    fn queued(&mut self, now: u64, hop: u8) {
        self.engine.sent(now, self.id, Command::SENDME, hop).unwrap();
    }

    fn written(&mut self, now: u64, cells: u32) {
        self.engine.written(now, self.id, cells).unwrap();
    }

    /// A stream's message: "sent", "held" or "no room".
    fn send(&mut self, now: u64, hop: u8) -> &'static str {
        match self.engine.send_on_circuit(now, self.id, Command::DATA, hop) {
            Ok(Some(_)) => "sent",
            Ok(None) => {
                let message = Message { command: Command::DATA, hop, stream_id: 5, body: b"x", token: None };
                let said = self.engine.hold_for_circuit(self.id, &message).unwrap();
                assert_eq!(said.kind, VerdictKind::Held);
                "held"
            }
            Err(_) => "no room",
        }
    }

    fn stats(&self, hop: u8, slot: u8) -> PadderStats {
        self.engine.padder_stats(self.id, hop, slot).unwrap()
    }

    fn out(&mut self) -> String {
        let words = common::drain(&mut self.engine).into_iter().map(|(instruction, _)| match instruction.what {
            What::Pad { pad, asks: false } => format!("pad {}.{} m{}", pad.hop, pad.slot, pad.machine),
            What::Pad { pad, asks: true } => format!("ask m{}", pad.machine),
            What::SendHeld(sent) => format!("send {}", sent.hop),
            What::Block { bypassable } => (if bypassable { "leaky" } else { "shut" }).to_string(),
            What::Unblock => "open".to_string(),
            What::MaySend => "resume".to_string(),
            other => format!("{other:?}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }

    /// Ticks at each deadline until `end`, and says when something came out: in ms.
    fn run(&mut self, end: u64) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        while self.engine.deadline() <= end {
            let now = self.engine.deadline();
            self.engine.tick(now);
            assert!(self.engine.deadline() > now, "nobody spins");
            let out = self.out();
            if !out.is_empty() {
                all.push((now / MS, out));
            }
        }
        all
    }
}

/// A machine that goes through states in turn: each is left upon an event of its own.
fn chain(steps: &[(Option<Action>, Event)]) -> Machine {
    let states = steps.iter().enumerate().map(|(index, &(action, leaves))| {
        let next = if index + 1 < steps.len() { vec![Trans(index + 1, 1.0)] } else { vec![Trans(STATE_END, 1.0)] };
        let mut to = State::new(Default::default()).get_transitions();
        to[leaves] = next;
        let mut state = State::new(to);
        state.action = action;
        state
    });
    Machine::new(u64::MAX, 0.0, u64::MAX, 0.0, states.collect()).unwrap()
}

fn when(event: Event, action: Action) -> Machine {
    upon(event, action)
}

fn at(ms: u64, out: &str) -> (u64, String) {
    (ms, out.to_string())
}

/// MB-24: the second block comes 10 ms after the first, which is for 100 ms.
#[test]
fn a_block_is_replaced_or_made_longer() {
    for (duration, replace, bypass, shapes) in [
        (20_000.0, true, true, &[(0, "shut"), (10, "leaky"), (30, "open")][..]),
        (20_000.0, false, true, &[(0, "shut"), (100, "open")]),
        (200_000.0, false, true, &[(0, "shut"), (10, "leaky"), (210, "open")]),
        (90_000.0, false, true, &[(0, "shut"), (100, "open")]),
        (90_000.0, true, true, &[(0, "shut"), (10, "leaky"), (100, "open")]),
        (0.0, true, true, &[(0, "shut"), (10, "leaky, open")]),
        (0.0, false, true, &[(0, "shut"), (100, "open")]),
    ] {
        let first = when(Event::TunnelRecv, block(0.0, 100_000.0, false, false));
        let second = when(Event::TunnelRecv, block(10_000.0, duration, bypass, replace));
        // It hears of both blocks, also of one that changed nothing (MB-6).
        let heard = when(Event::BlockingBegin, pad(1.0, true, true));
        let mut bed = Bed::with(CircuitFlags::OWN_QUEUE, 32, &[((2, 0), &[first, second, heard])]);
        bed.receive(0, 2, Command::DATA);
        let outs: Vec<(u64, String)> = bed.run(1000 * MS).into_iter().filter(|(_, out)| !out.contains("ask")).collect();
        let shapes: Vec<(u64, String)> = shapes.iter().map(|&(ms, out)| at(ms, out)).collect();
        assert_eq!(outs, shapes, "{duration} {replace}");
        let stats = bed.stats(2, 0);
        assert_eq!(stats.blocks, 2, "every block is one, also that which changed nothing");
        assert_eq!(stats.blocked / MS, shapes.last().unwrap().0, "{duration} {replace}");
    }
}

/// MB-6: BlockingBegin is reported although nothing changed.
#[test]
fn a_block_that_changes_nothing_is_reported() {
    let first = when(Event::TunnelRecv, block(0.0, 100_000.0, false, false));
    let second = when(Event::TunnelRecv, block(10_000.0, 1.0, true, false));
    let hears = chain(&[
        (None, Event::BlockingBegin),
        (None, Event::BlockingBegin),
        (Some(pad(0.0, false, false)), Event::PaddingSent),
    ]);
    let mut bed = Bed::new(&[first, second, hears]);
    bed.receive(0, 2, Command::DATA);
    assert_eq!(bed.run(1000 * MS), [at(100, "pad 2.0 m2")], "queued at 10 ms, behind the block");
    assert_eq!(bed.stats(2, 0).padding_sent, 1);
}

/// MB-24: the block begins and ends within the moment, and both are reported, the beginning first.
#[test]
fn a_block_without_duration_begins_and_ends() {
    let blocks = when(Event::TunnelRecv, block(5_000.0, 0.0, false, false));
    let hears = chain(&[
        (None, Event::BlockingBegin),
        (None, Event::BlockingEnd),
        (Some(pad(0.0, false, false)), Event::PaddingSent),
    ]);
    let mut bed = Bed::with(CircuitFlags::OWN_QUEUE, 32, &[((2, 0), &[blocks, hears])]);
    bed.receive(0, 2, Command::DATA);
    assert_eq!(bed.run(1000 * MS), [at(5, "shut, ask m1, open")]);
    assert_eq!((bed.stats(2, 0).blocks, bed.stats(2, 0).blocked), (1, 0));
}

/// What is due at the moment of a block's end comes before what waited is let out, and may block again.
#[test]
fn actions_without_delay_come_between_the_end_and_the_release() {
    let blocks = when(Event::TunnelRecv, block(0.0, 10_000.0, false, false));
    let again = chain(&[(None, Event::BlockingEnd), (Some(block(0.0, 7_000.0, false, false)), Event::BlockingEnd)]);
    let mut bed = Bed::new(&[blocks, again]);
    bed.receive(0, 2, Command::DATA);
    assert_eq!((bed.send(1, 2), bed.send(1, 3)), ("held", "held"));
    assert_eq!(bed.run(16 * MS), [], "the second block leaves no gap");
    assert_eq!(bed.run(1000 * MS), [at(17, "send 2, send 3")]);
    assert_eq!(bed.stats(2, 0).blocked, 17 * MS);
}

/// MB-25: TimerBegin always when the timer is set, and only when it was made longer otherwise.
#[test]
fn a_timer_that_is_not_made_longer_does_not_begin() {
    for (duration, replace, begins) in [
        (5_000.0, true, true),
        (5_000.0, false, false),
        (10_000.0, false, false),
        (10_001.0, false, true),
        (10_000.0, true, true),
        (0.0, true, true),
        (0.0, false, false),
    ] {
        let machine = chain(&[
            (None, Event::NormalSent),
            (Some(timer(10_000.0, false)), Event::NormalRecv),
            (Some(timer(duration, replace)), Event::TimerBegin),
            (Some(pad(0.0, false, false)), Event::PaddingSent),
        ]);
        let mut bed = Bed::new(&[machine]);
        bed.queued(0, 2);
        bed.receive(0, 2, Command::DATA);
        bed.engine.tick(0);
        assert_eq!(bed.out(), if begins { "pad 2.0 m0" } else { "" }, "{duration} {replace}");
    }
}

/// MB-25, a timer that does not run: any duration is longer than none.
#[test]
fn a_timer_that_does_not_run_begins() {
    for (duration, replace, begins) in [(0.0, true, true), (0.0, false, false), (1.0, false, true)] {
        let machine = chain(&[
            (None, Event::NormalSent),
            (Some(timer(duration, replace)), Event::TimerBegin),
            (None, Event::TimerEnd),
            (Some(pad(0.0, false, false)), Event::PaddingSent),
        ]);
        let mut bed = Bed::new(&[machine]);
        bed.queued(MS, 2);
        let expected = if begins { vec![at(1, "pad 2.0 m0")] } else { vec![] };
        assert_eq!(bed.run(1000 * MS), expected, "{duration} {replace}");
    }
}

/// TimerBegin is reported once for each time that a timer was set, in that order: machine 2 hears of its own twice, as
/// machines 0 and 1 signal one after the other.
#[test]
fn timers_begin_in_order_and_each_is_reported() {
    let sets_and_signals = || {
        let mut to = State::new(Default::default()).get_transitions();
        to[Event::NormalRecv] = vec![Trans(0, 1.0)];
        to[Event::TimerBegin] = vec![Trans(maybenot::constants::STATE_SIGNAL, 1.0)];
        let mut state = State::new(to);
        state.action = Some(timer(1_000_000.0, true));
        Machine::new(0, 0.0, 0, 0.0, vec![state]).unwrap()
    };
    let mut to = State::new(Default::default()).get_transitions();
    to[Event::Signal] = vec![Trans(0, 1.0)];
    to[Event::TimerBegin] = vec![Trans(1, 1.0)];
    let mut sets = State::new(to);
    sets.action = Some(timer(2_000_000.0, true));
    let mut to = State::new(Default::default()).get_transitions();
    to[Event::TimerBegin] = vec![Trans(2, 1.0)];
    let once = State::new(to);
    let mut twice = State::new(Default::default());
    twice.action = Some(pad(0.0, false, false));
    let hears = Machine::new(u64::MAX, 0.0, 0, 0.0, vec![sets, once, twice]).unwrap();
    let mut bed = Bed::new(&[sets_and_signals(), sets_and_signals(), hears]);
    bed.receive(0, 2, Command::DATA);
    bed.engine.tick(0);
    assert_eq!(bed.out(), "pad 2.0 m2");
}

/// MB-26: the first state's action is not taken at the start, and a machine that has ended still does what it set out
/// to do.
#[test]
fn the_first_action_and_the_last() {
    let mut bed = Bed::new(&[chain(&[(Some(pad(0.0, false, false)), Event::NormalRecv)])]);
    assert_eq!((bed.engine.deadline(), bed.run(1000 * MS)), (u64::MAX, vec![]));
    let ends = chain(&[(None, Event::NormalSent), (Some(pad(9_000.0, false, false)), Event::NormalRecv)]);
    let mut bed = Bed::new(&[ends]);
    bed.queued(0, 2);
    bed.receive(MS, 2, Command::DATA);
    assert_eq!(bed.stats(2, 0).timers, 1, "the machine has ended, its timer has not");
    assert_eq!(bed.run(1000 * MS), [at(9, "pad 2.0 m0")]);
}

/// MB-21 and MB-22: a new action takes the place of the pending one; Cancel stops the timers it names.
#[test]
fn actions_are_replaced_and_timers_cancelled() {
    for (which, timers, outs) in [
        (None, 2, vec![at(20, "pad 2.0 m0")]),
        (Some(Timer::Action), 1, vec![]),
        (Some(Timer::Internal), 1, vec![at(10, "pad 2.0 m0")]),
        (Some(Timer::All), 0, vec![]),
    ] {
        let machine = chain(&[
            (None, Event::NormalSent),
            (Some(timer(50_000.0, true)), Event::NormalSent),
            (Some(pad(10_000.0, false, false)), Event::NormalSent),
            (Some(which.map_or(pad(20_000.0, false, false), cancel)), Event::PaddingRecv),
        ]);
        let mut bed = Bed::new(&[machine]);
        (0..3).for_each(|_| bed.queued(0, 2));
        assert_eq!(bed.stats(2, 0).timers, timers, "{which:?}");
        assert_eq!(bed.run(1000 * MS), outs, "{which:?}");
    }
}

/// MB-1, MB-2: TunnelRecv, then what kind of cell it was.
#[test]
fn a_cell_is_reported_before_its_kind() {
    for (command, kind, other) in
        [(Command::DATA, Event::NormalRecv, Event::PaddingRecv), (Command::DROP, Event::PaddingRecv, Event::NormalRecv)]
    {
        for (first, second, heard) in
            [(Event::TunnelRecv, kind, true), (kind, Event::TunnelRecv, false), (Event::TunnelRecv, other, false)]
        {
            let machine = chain(&[(None, first), (None, second), (Some(pad(0.0, false, false)), Event::PaddingSent)]);
            let mut bed = Bed::new(&[machine]);
            bed.receive(0, 2, command);
            bed.engine.tick(0);
            assert_eq!(bed.out(), if heard { "pad 2.0 m0" } else { "" }, "{first:?} {second:?}");
        }
    }
}

/// MB-4, MB-5, MB-50: who hears of a padding cell to hop 2, and when of its way out.
#[test]
fn who_hears_of_padding() {
    let pads = when(Event::NormalRecv, pad(0.0, false, false));
    let hears = |event| chain(&[(None, event), (Some(timer(1_000_000.0, true)), Event::TimerEnd)]);
    let listeners = [hears(Event::PaddingSent), hears(Event::NormalSent), hears(Event::TunnelSent)];
    let own = [pads, hears(Event::PaddingSent), hears(Event::NormalSent), hears(Event::TunnelSent)];
    let padders: [((u8, u8), &[Machine]); 4] =
        [((1, 0), &listeners), ((2, 0), &own), ((2, 1), &listeners), ((3, 0), &listeners)];
    let mut bed = Bed::with(CircuitFlags::default(), 32, &padders);
    bed.receive(0, 2, Command::DATA);
    bed.engine.tick(0);
    assert_eq!(bed.out(), "pad 2.0 m0");
    let timers = |bed: &Bed| [(1, 0), (2, 0), (2, 1), (3, 0)].map(|(hop, slot)| bed.stats(hop, slot).timers);
    assert_eq!(timers(&bed), [1, 0, 0, 0], "at hop 1 it is a cell like others; no other machine hears of it");
    let sent = [(1, 0), (2, 0), (2, 1), (3, 0)].map(|(hop, slot)| {
        let stats = bed.stats(hop, slot);
        (stats.normal_sent, stats.padding_sent)
    });
    assert_eq!(sent, [(1, 0), (0, 1), (0, 0), (0, 0)]);
    bed.written(0, 1);
    assert_eq!(timers(&bed), [2, 1, 1, 0], "TunnelSent, at and before the hop");
    bed.written(0, 1);
    assert_eq!(timers(&bed), [2, 1, 1, 0], "nothing else was queued");
}

/// What the neighbour at the same hop sends counts in the budget of the whole padder.
#[test]
fn padding_of_the_neighbour_counts_in_the_budget() {
    for (frac, out) in [(0.0, "pad 2.0 m0, pad 2.1 m0"), (0.4, "pad 2.0 m0")] {
        let first = when(Event::NormalRecv, pad(0.0, false, false));
        // No packets of its own for free, but no limit of its own either.
        let mut second = when(Event::TunnelSent, pad(0.0, false, false));
        second.allowed_padding_packets = 0;
        let mut bed = Bed::with(CircuitFlags::default(), 32, &[((2, 0), &[first])]);
        let neighbour = PadderTerms { padding_frac: frac, ..terms((2, 1), &[second]) };
        bed.engine.install_padder(0, bed.id, &neighbour).unwrap();
        bed.queued(0, 2);
        bed.receive(0, 2, Command::DATA);
        bed.engine.tick(0);
        bed.written(0, 1);
        bed.engine.tick(0);
        assert_eq!(bed.out(), out, "{frac}");
    }
}

/// MB-23: the whole table, with a cell that waits behind the block and one that waits for the channel.
#[test]
fn the_table() {
    let names = ["send", "queue", "counts", "release"];
    for bits in 0..32_u32 {
        let [blocked, leaky, bypass, replace, past] = [0, 1, 2, 3, 4].map(|bit| bits >> bit & 1 == 1);
        for held in [false, true].into_iter().filter(|&held| !held || blocked) {
            let blocks = when(Event::PaddingRecv, block(0.0, 100_000.0, leaky, false));
            let pads = when(Event::TunnelSent, pad(1_000.0, bypass, replace));
            let mut bed = Bed::new(&[blocks, pads]);
            bed.queued(0, 2);
            if past {
                bed.queued(0, 3);
            }
            if blocked {
                bed.receive(0, 2, Command::DROP);
            }
            bed.engine.tick(0);
            if held {
                assert_eq!(bed.send(0, 3), "held");
            }
            bed.written(0, 1);
            let at_once: Vec<(u64, String)> = bed.run(50 * MS);
            let stats = bed.stats(2, 0);
            let passes = !blocked || leaky && bypass;
            let expected = match (replace, past, held) {
                (true, true, _) => names[2],
                (true, false, true) if passes => names[3],
                (true, false, true) => names[2],
                _ if passes => names[0],
                _ => names[1],
            };
            let seen = match (at_once.first().map(|(_, out)| out.as_str()), stats.replaced, stats.padding_sent) {
                (Some("pad 2.0 m1"), 0, 1) => names[0],
                (None, 0, 1) => names[1],
                (None, 1, 0) => names[2],
                (Some("send 3"), 1, 0) => names[3],
                other => panic!("{other:?}"),
            };
            assert_eq!(seen, expected, "block {blocked} leaky {leaky} b {bypass} r {replace} past {past} held {held}");
        }
    }
}

/// A cell to a nearer hop does not reach the padding hop, and does not count (MB-52).
#[test]
fn a_cell_to_a_nearer_hop_counts_for_nothing() {
    for (hop, out) in [(1, "pad 2.0 m0"), (2, ""), (3, "")] {
        let mut bed = Bed::new(&[when(Event::NormalRecv, pad(0.0, false, true))]);
        bed.queued(0, hop);
        bed.receive(0, 2, Command::DATA);
        bed.engine.tick(0);
        assert_eq!(bed.out(), out, "{hop}");
    }
}

/// The shipped machine blocks for a day and lets one cell out at a time: a host that was told to stop goes on when there
/// is room, not a day later.
#[test]
fn releases_make_room() {
    let mut bed = Bed::with(CircuitFlags::default(), 2, &[((2, 0), &[constant_rate(10_000.0)])]);
    bed.queued(0, 2);
    bed.engine.tick(0);
    bed.written(0, 1);
    assert_eq!((bed.send(1, 2), bed.send(1, 2), bed.send(1, 2)), ("held", "held", "no room"));
    assert_eq!(bed.run(10 * MS), [at(10, "send 2, resume")]);
    assert_eq!((bed.send(11 * MS, 2), bed.send(11 * MS, 2)), ("held", "no room"));
    bed.written(11 * MS, 1);
    assert_eq!(bed.run(20 * MS), [at(20, "send 2, resume")]);
}

/// A host with a queue of its own hears that a block has become leaky, whatever the reason.
#[test]
fn a_padder_that_goes_takes_its_block_along() {
    let blocks = |leaky| when(Event::TunnelRecv, block(0.0, 100_000.0, leaky, false));
    let (shut, leaky) = ([blocks(false)], [blocks(true)]);
    let mut bed = Bed::with(CircuitFlags::OWN_QUEUE, 32, &[((2, 0), &shut), ((2, 1), &leaky)]);
    bed.receive(0, 2, Command::DATA);
    assert_eq!(bed.run(MS), [at(0, "shut")]);
    bed.engine.remove_padder(MS, bed.id, 2, 0).unwrap();
    assert_eq!(bed.out(), "leaky");
    bed.engine.remove_padder(3 * MS, bed.id, 2, 1).unwrap();
    assert_eq!(bed.out(), "open");
}

/// What a removed padder's block held goes out before what is due later, also when the host comes late.
#[test]
fn what_a_removed_padder_held_goes_first() {
    let (blocks, pads) = (
        [when(Event::TunnelRecv, block(0.0, 100_000.0, false, false))],
        [when(Event::TunnelRecv, pad(5_000.0, false, false))],
    );
    let mut bed = Bed::with(CircuitFlags::default(), 32, &[((2, 0), &blocks), ((2, 1), &pads)]);
    bed.receive(0, 2, Command::DATA);
    bed.engine.tick(0);
    assert_eq!(bed.send(MS, 3), "held");
    bed.engine.remove_padder(2 * MS, bed.id, 2, 0).unwrap();
    bed.engine.tick(9 * MS);
    assert_eq!(bed.out(), "send 3, pad 2.1 m0");
}

/// Machines without delays: so many steps in a call, and the rest a nanosecond later.
#[test]
fn a_call_takes_so_many_steps() {
    let mut bed = Bed::with(
        CircuitFlags::OWN_QUEUE,
        32,
        &[(
            (2, 0),
            &[
                when(Event::PaddingSent, pad(0.0, false, false)),
                when(Event::TunnelRecv, block(0.0, 0.0, false, true)),
                when(Event::BlockingBegin, block(0.0, 0.0, false, true)),
            ],
        )],
    );
    bed.receive(5, 2, Command::DATA);
    for call in 0..20 {
        let before = bed.stats(2, 0).blocks;
        bed.engine.tick(5 + call);
        assert_eq!(bed.engine.deadline(), 6 + call);
        let steps = bed.stats(2, 0).blocks - before;
        assert!((20..=u64::from(limits::PADDING_STEPS_MAX)).contains(&steps), "{steps}");
        bed.out();
    }
    let lateness: u64 = bed.engine.stats().lateness.0.iter().sum();
    assert!((20 * 62..=20 * 64).contains(&lateness), "{lateness}");
}

/// A machine that sets its timer whenever that begins: so many rounds for each event, then for each step.
#[test]
fn a_timer_begins_so_often() {
    let mut machine = when(Event::TimerBegin, timer(1_000_000.0, true));
    let mut to = machine.states[1].get_transitions();
    to[Event::NormalRecv] = vec![Trans(1, 1.0)];
    let mut endless = State::new(to);
    endless.action = machine.states[1].action;
    machine.states = vec![endless.clone(), endless];
    let mut bed = Bed::new(&[machine]);
    bed.receive(5, 2, Command::DATA);
    assert_eq!(bed.engine.deadline(), 5);
    bed.engine.tick(5);
    assert_eq!(bed.engine.deadline(), 6);
    let stats = bed.engine.stats();
    assert!(stats.lateness.0[0] >= 62 && stats.lateness.0[0] <= 64);
    assert_eq!(bed.out(), "");
}

/// Up to a second late, events have the time at which they were due; what was missed before that is lost.
#[test]
fn a_late_host() {
    let mut rate = when(Event::PaddingSent, pad(10_000.0, false, false));
    rate.states[0] = State::new(enum_map::enum_map! { Event::NormalSent => vec![Trans(1, 1.0)], _ => vec![] });
    for (late, cells) in [(0, 1), (95, 10), (500, 51), (5_000, 64)] {
        let mut bed = Bed::with(CircuitFlags::default(), 32, &[((2, 0), &[rate.clone()])]);
        bed.queued(0, 2);
        bed.engine.tick(0);
        bed.written(0, 1);
        let now = (10 + late) * MS;
        bed.engine.tick(now);
        let count = bed.out().matches("pad").count();
        // A wake-up for a timer that was moved counts as a step.
        assert!(count == cells || (cells == 64 && (62..=64).contains(&count)), "{late}: {count}");
        let mut more = 0;
        for call in 1..5 {
            bed.engine.tick(now + call);
            more += bed.out().matches("pad").count();
        }
        assert_eq!(count + more, if late == 5_000 { 101 } else { cells }, "{late}");
    }
}

/// A host that does not drain: what finds no room stays due, and what it feeds is answered all the same.
#[test]
fn a_full_queue() {
    let mut engine = Engine::new(&Config { instructions_max: 2, ..config(1) }).unwrap();
    let id = engine.open_circuit(0, circuit(Role::Client, 0)).unwrap();
    engine.install_padder(0, id, &terms((2, 0), &[constant_rate(10_000.0)])).unwrap();
    engine.sent(0, id, Command::SENDME, 2).unwrap();
    for call in 0..5 {
        engine.tick(call * 10 * MS);
        engine.written(call * 10 * MS, id, 9).unwrap();
    }
    assert_eq!(engine.stats().instructions, 2);
    assert!(engine.deadline() <= 40 * MS, "more is due");
    let message = Message { command: Command::DATA, hop: 2, stream_id: 5, body: b"", token: None };
    assert_eq!(engine.receive(50 * MS, id, &message).unwrap().kind, VerdictKind::Deliver);
    assert_eq!(engine.padder_stats(id, 2, 0).unwrap().normal_received, 1);
}

/// An answer counts once, and only for a question.
#[test]
fn answers_are_counted() {
    let mut bed =
        Bed::with(CircuitFlags::OWN_QUEUE, 32, &[((2, 0), &[when(Event::NormalRecv, pad(0.0, true, false))])]);
    for _ in 0..3 {
        bed.receive(0, 2, Command::DATA);
        bed.engine.tick(0);
    }
    let asked: Vec<_> = common::drain(&mut bed.engine)
        .into_iter()
        .map(|(instruction, _)| match instruction.what {
            What::Pad { pad, asks: true } => pad,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked.len(), 3);
    for answer in [Answer::Sent, Answer::Replaced, Answer::Refused] {
        bed.engine.answer_padding(0, bed.id, asked[0], answer).unwrap();
    }
    assert!(bed.engine.answer_padding(0, bed.id, asked[0], Answer::Sent).is_err());
    let stats = bed.stats(2, 0);
    assert_eq!((stats.padding_sent, stats.replaced, stats.refused), (1, 1, 1));
}

/// A client cannot make a relay remember anything by asking for padding that the relay does not have.
#[test]
fn a_question_about_nothing_costs_nothing() {
    let mut engine = Engine::new(&config(1)).unwrap();
    let id = engine.open_circuit(0, circuit(Role::Exit, 0)).unwrap();
    for (command, answers) in [(2, 1), (1, 0)] {
        let body = [0, command, 9, 0, 0, 0, 0, 1];
        let message = Message { command: Command::PADDING_NEGOTIATE, hop: 0, stream_id: 0, body: &body, token: None };
        assert_eq!(engine.receive(0, id, &message).unwrap().kind, VerdictKind::Consumed);
        assert_eq!(engine.stats().instructions, answers);
        while engine.poll(&mut [0; 8]).unwrap().is_some() {}
    }
    assert!(!engine.tells_of_sent());
}
