//! Padding machines, built with maybenot's own types.

use maybenot::action::Action;
use maybenot::dist::{Dist, DistType};
use maybenot::event::Event;
use maybenot::state::{State, Trans};
use maybenot::{Machine, Timer};

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
    list
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

/// What the demo can run, by the name that is given to it.
fn for_people() -> Vec<(&'static str, Vec<Machine>)> {
    vec![("constant-rate", vec![constant_rate(10_000.0)])]
}

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
