//! Padding machines, built with maybenot's own types.

use maybenot::action::Action;
use maybenot::constants::STATE_END;
use maybenot::dist::{Dist, DistType};
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::{Machine, Timer};
use maybenot_machines::{break_pad, front, netflow, tamaraw};
use rand09::rngs::StdRng;
use rand09::{RngCore, SeedableRng};

/// Files and what is in them.
pub fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    let mut add = |folder: &str, name: &str, machines: &[Machine]| {
        let lines: Vec<String> = machines.iter().map(|machine| machine.serialize() + "\n").collect();
        texts.push((format!("{folder}/{name}.txt"), lines.concat()));
    };
    for (name, machines) in for_tests() {
        add("tests/machines", &name, &machines);
    }
    for (name, machines) in for_people() {
        add("examples/machines", name, &machines);
    }
    texts
}

fn for_tests() -> Vec<(String, Vec<Machine>)> {
    let mut list = Vec::new();
    for bits in 0..4 {
        let (bypass, replace) = (bits & 2 != 0, bits & 1 != 0);
        let flags = format!("{}{}", u8::from(bypass), u8::from(replace));
        // Each cell received: one padding cell, 10 ms later.
        list.push((format!("pad-{flags}"), vec![upon(Event::TunnelRecv, pad(10_000.0, bypass, replace))]));
        // Each cell received: blocked at once, for 100 ms.
        list.push((format!("block-{flags}"), vec![upon(Event::TunnelRecv, block(0.0, 100_000.0, bypass, replace))]));
    }
    list.extend(for_benches());
    list.extend(gates());
    list.extend(extensions());
    list.extend(timers());
    list.extend(loops());
    list.push(("written-pad".into(), vec![upon(Event::TunnelSent, pad(10_000.0, false, false))]));
    // Without an allowance of their own: what a padder allows counts from the first cell, and from the first block.
    for (name, action) in
        [("frugal-pad", pad(10_000.0, false, false)), ("frugal-block", block(0.0, 100_000.0, false, false))]
    {
        let machine =
            Machine { allowed_padding_packets: 0, allowed_blocked_microsec: 0, ..upon(Event::NormalRecv, action) };
        list.push((name.into(), vec![machine]));
    }
    list
}

/// Two machines: padding received blocks at once, for 100 ms; any other cell received makes one padding cell, 10 ms
/// later. The first digit is the block's bypass, the others are bypass and replace of the padding.
fn gates() -> Vec<(String, Vec<Machine>)> {
    let mut list = Vec::new();
    for bits in 0..8 {
        let [bypassable, bypass, replace] = [4, 2, 1].map(|bit| bits & bit != 0);
        let name = format!("gate-{}-{}{}", u8::from(bypassable), u8::from(bypass), u8::from(replace));
        let machines = vec![
            upon(Event::PaddingRecv, block(0.0, 100_000.0, bypassable, false)),
            upon(Event::NormalRecv, pad(10_000.0, bypass, replace)),
        ];
        list.push((name, machines));
    }
    // The same, with no delay before the padding cell.
    let machines = vec![
        upon(Event::PaddingRecv, block(0.0, 100_000.0, true, false)),
        upon(Event::NormalRecv, pad(0.0, true, true)),
    ];
    list.push(("gate-now".into(), machines));
    list
}

/// Two machines: padding received blocks for 100 ms, any other cell received blocks again: milliseconds, bypass before
/// and after, replace.
fn extensions() -> Vec<(String, Vec<Machine>)> {
    let mut list = Vec::new();
    for (ms, before, after, replace) in [
        (200, true, false, false),
        (200, false, true, false),
        (50, true, false, false),
        (50, true, false, true),
        (50, false, true, true),
        (0, true, false, true),
    ] {
        let name = format!("extend-{ms}-{}{}{}", u8::from(before), u8::from(after), u8::from(replace));
        let machines = vec![
            upon(Event::PaddingRecv, block(0.0, 100_000.0, before, false)),
            upon(Event::NormalRecv, block(0.0, f64::from(ms) * 1_000.0, after, replace)),
        ];
        list.push((name, machines));
    }
    // Blocks again whenever a block has ended: nothing gets out between.
    let again = block(0.0, 100_000.0, false, false);
    let on = |to: usize| state(&[(Event::PaddingRecv, to), (Event::BlockingEnd, to)], None);
    let mut acting = on(1);
    acting.action = Some(again);
    list.push(("block-again".into(), vec![machine(vec![state(&[(Event::PaddingRecv, 1)], None), acting])]));
    // A padding cell with no delay whenever a block has ended.
    let machines = vec![
        upon(Event::PaddingRecv, block(0.0, 100_000.0, false, false)),
        upon(Event::BlockingEnd, pad(0.0, false, false)),
    ];
    list.push(("pad-at-end".into(), machines));
    // Blocks for 100 ms, padding received and bypassable or not.
    for bypass in [false, true] {
        let machines = vec![upon(Event::PaddingRecv, block(0.0, 100_000.0, bypass, false))];
        list.push((format!("shut-{}", u8::from(bypass)), machines));
    }
    list
}

/// Internal timers.
fn timers() -> Vec<(String, Vec<Machine>)> {
    let mut list = Vec::new();
    for replace in [false, true] {
        // Any other cell received sets it to 50 ms, padding received to 20 ms; a padding cell when it ends, or begins.
        for (name, event) in [("timer-end", Event::TimerEnd), ("timer-begin", Event::TimerBegin)] {
            let set: &[(Event, usize)] = &[(Event::NormalRecv, 1), (Event::PaddingRecv, 2), (event, 3)];
            let states = vec![
                state(&set[..2], None),
                state(set, Some(timer(50_000.0, replace))),
                state(set, Some(timer(20_000.0, replace))),
                state(set, Some(pad(0.0, false, false))),
            ];
            list.push((format!("{name}-{}", u8::from(replace)), vec![machine(states)]));
        }
    }
    // A cell received: padding 10 ms later. A cell sent: the internal timer, 20 ms. Padding received: cancelled.
    for (name, which) in [("action", Timer::Action), ("internal", Timer::Internal), ("all", Timer::All)] {
        let on: &[(Event, usize)] = &[(Event::NormalRecv, 1), (Event::NormalSent, 2), (Event::PaddingRecv, 3)];
        let states = vec![
            state(on, None),
            state(on, Some(pad(10_000.0, false, false))),
            state(on, Some(timer(20_000.0, false))),
            state(on, Some(cancel(which))),
        ];
        list.push((format!("cancel-{name}"), vec![machine(states)]));
    }
    // Four machines: 10, 20, 30 and 40 ms after a cell was received, with all four pairs of flags.
    let four = (0..4).map(|n| upon(Event::TunnelRecv, pad(10_000.0 * f64::from(n + 1), n & 2 != 0, n & 1 != 0)));
    list.push(("four".into(), four.collect()));
    // One padding cell 10 ms after a cell was received, then the end; and the end at once.
    let states = vec![
        state(&[(Event::NormalRecv, 1)], None),
        state(&[(Event::PaddingSent, STATE_END)], Some(pad(10_000.0, false, false))),
    ];
    list.push(("once".into(), vec![machine(states)]));
    let states = vec![state(&[(Event::PaddingRecv, STATE_END)], None)];
    list.push(("end-on-padding".into(), vec![machine(states)]));
    list
}

/// Machines that never wait. They start with a cell received.
fn loops() -> Vec<(String, Vec<Machine>)> {
    let endless = |event: Event, action: Action| {
        let on: &[(Event, usize)] = &[(Event::NormalRecv, 1), (event, 1)];
        vec![machine(vec![state(&on[..1], None), state(on, Some(action))])]
    };
    vec![
        ("loop-pad".into(), endless(Event::PaddingSent, pad(0.0, false, false))),
        ("loop-block".into(), endless(Event::BlockingBegin, block(0.0, 1_000.0, false, false))),
        ("loop-timer-end".into(), endless(Event::TimerEnd, timer(0.0, true))),
        ("loop-timer-begin".into(), endless(Event::TimerBegin, timer(1_000.0, true))),
    ]
}

pub fn machine(states: Vec<State>) -> Machine {
    Machine::new(u64::MAX, 0.0, u64::MAX, 0.0, states).unwrap()
}

/// A state that goes on to others upon events, and what it does.
pub fn state(to: &[(Event, usize)], action: Option<Action>) -> State {
    let next = |event: Event| to.iter().filter(move |on| on.0 == event).map(|on| Trans(on.1, 1.0)).collect();
    let mut state = State::new(enum_map::enum_map! { event => next(event) });
    state.action = action;
    state
}

fn for_benches() -> Vec<(String, Vec<Machine>)> {
    // Each cell queued: padding is put off again, by a time that never comes. Once always the same, once drawn.
    let between = Dist::new(DistType::Uniform { low: 5e9, high: 15e9 }, 0.0, 0.0);
    let put_off = Action::SendPadding { bypass: false, replace: false, timeout: between, limit: None };
    // From the first cell queued on: a padding cell every 100 microseconds.
    let idle = State::new(enum_map::enum_map! { Event::NormalSent => vec![Trans(1, 1.0)], _ => vec![] });
    let mut padding = State::new(enum_map::enum_map! { Event::PaddingSent => vec![Trans(1, 1.0)], _ => vec![] });
    padding.action = Some(pad(100.0, false, false));
    let steady = Machine::new(u64::MAX, 0.0, 0, 0.0, vec![idle, padding]).unwrap();
    vec![
        ("bench-rearm".to_owned(), vec![upon(Event::NormalSent, pad(1e10, false, false))]),
        ("bench-draw".to_owned(), vec![upon(Event::NormalSent, put_off)]),
        ("bench-idle".to_owned(), vec![upon(Event::NormalRecv, pad(1e10, false, false))]),
        ("bench-pad".to_owned(), vec![steady]),
    ]
}

/// What the demo can run, by the name that is given to it: one file for both ends, or one for the client and one for
/// the exit. examples/machines/README.md says what each does.
/// Those of examples/machines.
pub fn for_people() -> Vec<(&'static str, Vec<Machine>)> {
    // FRONT draws its budget and its window when it is made, so that each end gets a draw of its own.
    let front = |seed: u64| front::front(FRONT_BUDGET, 1e6, 14e6, 50, &mut StdRng::seed_from_u64(seed));
    vec![
        ("constant-rate", vec![constant_rate(500.0)]),
        ("constant-rate-100", vec![constant_rate(10_000.0)]),
        ("constant-rate-1000", vec![constant_rate(1_000.0)]),
        ("break-pad-client", break_pad::break_pad_client()),
        ("break-pad-exit", break_pad::break_pad_server()),
        ("front-client", front(1)),
        ("front-exit", front(2)),
        ("tamaraw-client", tamaraw::tamaraw(0.002, 1e6)),
        ("tamaraw-exit", tamaraw::tamaraw(0.0005, 1e6)),
        ("netflow", vec![netflow::simple_netflow()]),
    ]
}

/// Padding cells that FRONT draws its number from.
const FRONT_BUDGET: u32 = 6_000;

/// A machine that does `action` whenever `event` happens.
pub fn upon(event: Event, action: Action) -> Machine {
    let idle = State::new(enum_map::enum_map! { e if e == event => vec![Trans(1, 1.0)], _ => vec![] });
    let mut acting = State::new(enum_map::enum_map! { e if e == event => vec![Trans(1, 1.0)], _ => vec![] });
    acting.action = Some(action);
    Machine::new(u64::MAX, 0.0, u64::MAX, 0.0, vec![idle, acting]).unwrap()
}

/// One cell every `period` microseconds, whatever happens: padding where there is no data, which is held back until its
/// turn. It starts with the first cell sent.
pub fn constant_rate(period: f64) -> Machine {
    const DAY: f64 = 86_400_000_000.0;
    let on = |event: Event, next: usize| {
        State::new(enum_map::enum_map! { e if e == event => vec![Trans(next, 1.0)], _ => vec![] })
    };
    let idle = on(Event::NormalSent, 1);
    let mut blocking = on(Event::BlockingBegin, 2);
    blocking.action = Some(block(0.0, DAY, true, true));
    let mut padding = on(Event::PaddingSent, 2);
    padding.action = Some(pad(period, true, true));
    Machine::new(u64::MAX, 0.0, u64::MAX, 0.0, vec![idle, blocking, padding]).unwrap()
}

/// Blocks of `period` microseconds, one after the other: what comes goes out when the next one ends. No padding.
pub fn toggle(period: f64) -> Machine {
    let idle = State::new(enum_map::enum_map! { Event::NormalSent => vec![Trans(1, 1.0)], _ => vec![] });
    let mut blocking = State::new(enum_map::enum_map! { Event::BlockingEnd => vec![Trans(1, 1.0)], _ => vec![] });
    blocking.action = Some(block(0.0, period, true, true));
    Machine::new(u64::MAX, 0.0, u64::MAX, 0.0, vec![idle, blocking]).unwrap()
}

/// The machine, with one value drawn for each distribution in place of it.
pub fn frozen(mut machine: Machine, rng: &mut impl RngCore) -> Machine {
    let mut freeze = |dist: &mut Dist| *dist = always(dist.sample(rng));
    for state in &mut machine.states {
        match &mut state.action {
            Some(Action::SendPadding { timeout, limit, .. }) => {
                freeze(timeout);
                limit.iter_mut().for_each(&mut freeze);
            }
            Some(Action::BlockOutgoing { timeout, duration, limit, .. }) => {
                freeze(timeout);
                freeze(duration);
                limit.iter_mut().for_each(&mut freeze);
            }
            Some(Action::UpdateTimer { duration, limit, .. }) => {
                freeze(duration);
                limit.iter_mut().for_each(&mut freeze);
            }
            Some(Action::Cancel { .. }) | None => {}
        }
        for counter in [&mut state.counter.0, &mut state.counter.1].into_iter().flatten() {
            counter.dist.iter_mut().for_each(&mut freeze);
        }
    }
    machine
}

/// Microseconds, always the same.
pub fn always(micros: f64) -> Dist {
    Dist::new(DistType::Uniform { low: micros, high: micros }, 0.0, 0.0)
}

pub fn pad(timeout: f64, bypass: bool, replace: bool) -> Action {
    Action::SendPadding { bypass, replace, timeout: always(timeout), limit: None }
}

pub fn block(timeout: f64, duration: f64, bypass: bool, replace: bool) -> Action {
    Action::BlockOutgoing { bypass, replace, timeout: always(timeout), duration: always(duration), limit: None }
}

pub fn timer(duration: f64, replace: bool) -> Action {
    Action::UpdateTimer { replace, duration: always(duration), limit: None }
}

pub fn cancel(timer: Timer) -> Action {
    Action::Cancel { timer }
}
