//! Leg choice against independent rules: SCH-1 to SCH-3, the low-memory rule, the sender's numbers.

mod common;

use circflow::base::Id;
use circflow::conflux::choice::{choose, Path, FAMILY, UNMEASURED};
use circflow::conflux::{Algorithm, Effect, LegNumbers, Numbers, Refusal, Report, Role, Set, SetTerms};
use circflow::engine::{Blocked, Engine, Error, Misuse};
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use common::{decide, linked_set, peek, report, send, send_short, terms, Exhaust, Verdict, HOPS, ROUTE};
use proptest::prelude::*;

const DATA: Command = Command::DATA;
const END: Command = Command::END;

fn ready(path: &Path) -> bool {
    path.linked && !path.blocked && path.cwnd > path.inflight
}

/// Places in the order in which a leg would be taken for its speed alone.
fn by_speed(paths: &[Path]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..paths.len()).filter(|&index| paths[index].linked).collect();
    order.sort_by_key(|&index| (paths[index].rtt == UNMEASURED, paths[index].rtt, index));
    order
}

/// SCH-1: the fastest, or wait.
fn min_rtt(paths: &[Path]) -> Option<usize> {
    by_speed(paths).first().copied().filter(|&index| ready(&paths[index]))
}

/// SCH-2: the fastest with room.
fn low_rtt(paths: &[Path]) -> Option<usize> {
    by_speed(paths).into_iter().find(|&index| ready(&paths[index]))
}

/// SCH-3, with the lowest round-trip time, as the comment in C Tor promises.
fn cwnd_rtt(paths: &[Path]) -> Option<usize> {
    let order = by_speed(paths);
    let fastest = paths[*order.first()?];
    let has_cells_to_send = |path: &Path| {
        let avail = path.cwnd.saturating_sub(path.inflight);
        if path.slow_start || path.rtt == UNMEASURED || fastest.rtt == UNMEASURED {
            avail > 0
        } else {
            // min(cwnd, floor(avail * min_rtt / rtt)) > 0, without a division.
            path.cwnd > 0 && u128::from(avail) * u128::from(fastest.rtt) >= u128::from(path.rtt) && avail > 0
        }
    };
    order.iter().copied().enumerate().find_map(|(rank, index)| {
        let path = &paths[index];
        (ready(path) && (rank == 0 || has_cells_to_send(path))).then_some(index)
    })
}

fn compare(paths: &[Path]) {
    for (algorithm, naive) in [
        (Algorithm::MinRtt, min_rtt as fn(&[Path]) -> Option<usize>),
        (Algorithm::LowRtt, low_rtt),
        (Algorithm::CwndRtt, cwnd_rtt),
    ] {
        let ours = choose(algorithm, paths.iter().enumerate());
        assert_eq!(ours, naive(paths), "{algorithm:?} over {paths:#?}");
    }
}

fn path(rtt: u64, window: (u64, u64), linked: bool, blocked: bool, slow_start: bool) -> Path {
    Path { rtt, cwnd: window.0, inflight: window.1, linked, blocked, padded: false, holds: false, slow_start }
}

#[test]
fn every_choice_of_one_or_two_legs() {
    let mut exhaust = Exhaust::default();
    while exhaust.round() {
        let legs = 1 + exhaust.below(2);
        let paths: Vec<Path> = (0..legs)
            .map(|_| {
                let rtt = *exhaust.pick(&[1, 2, 5, UNMEASURED]);
                let window = *exhaust.pick(&[(0, 0), (1, 0), (2, 2), (3, 7), (9, 1)]);
                path(rtt, window, exhaust.below(2) == 1, exhaust.below(2) == 1, exhaust.below(2) == 1)
            })
            .collect();
        compare(&paths);
    }
}

#[test]
fn every_choice_of_three_or_four_legs() {
    let kinds = |rtts: &[u64], windows: &[(u64, u64)]| -> Vec<Path> {
        let pairs = rtts.iter().flat_map(|&rtt| windows.iter().map(move |&window| (rtt, window)));
        let mut kinds: Vec<Path> = pairs.map(|(rtt, window)| path(rtt, window, true, false, false)).collect();
        kinds.push(path(1, (9, 0), false, false, false));
        kinds.push(path(1, (9, 0), true, true, false));
        kinds.push(path(7, (9, 8), true, false, true));
        kinds
    };
    for (legs, kinds) in [
        (3, kinds(&[1, 3, 8, UNMEASURED], &[(0, 0), (1, 0), (2, 2), (9, 1), (3, 4)])),
        (4, kinds(&[1, 3, UNMEASURED], &[(2, 2), (2, 1), (9, 0)])),
    ] {
        let mut exhaust = Exhaust::default();
        while exhaust.round() {
            let paths: Vec<Path> = (0..legs).map(|_| *exhaust.pick(&kinds)).collect();
            compare(&paths);
        }
    }
}

#[test]
fn choosing_from_nothing() {
    compare(&[]);
    compare(&[Path::UNKNOWN; 3]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_choice(legs in prop::collection::vec(any::<(u64, (u64, u64), (bool, bool, bool))>(), 0..8)) {
        let flags = |(linked, blocked, slow): (bool, bool, bool)| (linked || blocked, blocked && slow, slow);
        let paths: Vec<Path> = legs
            .iter()
            .map(|&(rtt, window, raw)| {
                let (linked, blocked, slow_start) = flags(raw);
                path(rtt.max(1), window, linked, blocked, slow_start)
            })
            .collect();
        compare(&paths);
    }

    /// Where the peer's memory is spared, a leg is left only after a window of DATA on it (prop329 §3.3).
    #[test]
    fn at_most_one_switch_in_a_window(
        ux in prop::sample::select(vec![Ux::LowMemLatency, Ux::LowMemThroughput]),
        legs in 2usize..5,
        acts in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..400),
    ) {
        let (mut set, mut effects) = (Set::new(Role::Client, terms(Some(Algorithm::LowRtt))), Vec::new());
        for leg in 0..legs {
            set.adopt(Id(leg as u64 + 1), ROUTE, ux, leg as u64 + 1, &mut effects);
        }
        let mut cwnds = vec![0; legs];
        let (mut current, mut on_it) = (None, 0);
        for (act, leg, cwnd, used) in acts {
            let leg = usize::from(leg) % legs;
            if act % 4 == 0 {
                cwnds[leg] = u64::from(cwnd % 12);
                let inflight = u64::from(used % 12);
                let news = Report { blocked: used > 200, ..report(cwnds[leg], inflight, u64::from(act) + 1) };
                set.report(leg as u8, &news, 0, &mut effects);
                continue;
            }
            let command = if act % 16 == 1 { END } else { DATA };
            let Ok(plan) = set.decide(command) else { continue };
            let to = usize::from(plan.ix);
            if current.is_some_and(|leg: usize| leg != to) {
                let from = current.unwrap_or_default();
                prop_assert!(on_it >= cwnds[from], "left leg {from} after {on_it} of {}", cwnds[from]);
            }
            if current != Some(to) {
                (current, on_it) = (Some(to), 0);
            }
            if plan.delta != 0 {
                set.commit_switch(plan.ix).unwrap();
            }
            set.commit_message(plan.ix, command, 1, &mut effects).unwrap();
            on_it += u64::from(command == DATA);
        }
    }

    /// With any algorithm, a leg that has room is left only after the run that the host wants, and then it may be.
    #[test]
    fn a_leg_with_room_is_left_after_a_run(
        algorithm in prop::sample::select(FAMILY.map(|row| row.algorithm).to_vec()),
        run_min in prop::sample::select(vec![1u32, 2, 5, 30, u32::MAX]),
        legs in 2usize..5,
        acts in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..400),
    ) {
        let terms = SetTerms { switch_run_min: run_min, ..terms(Some(algorithm)) };
        let (mut set, mut effects) = (Set::new(Role::Client, terms), Vec::new());
        for leg in 0..legs {
            set.adopt(Id(leg as u64 + 1), ROUTE, Ux::NoOpinion, leg as u64 + 1, &mut effects);
        }
        let mut room = vec![0u64; legs];
        let (mut current, mut on_it) = (None, 0);
        for (at, (act, leg, cwnd, used)) in acts.into_iter().enumerate() {
            let (leg, now) = (usize::from(leg) % legs, 1 + at as u64 * 20_000_000);
            set.observe(now);
            if act % 4 == 0 {
                let news = Report { blocked: used > 200, ..report(cwnd.into(), u64::from(used % 64), u64::from(act) + 1) };
                room[leg] = if news.blocked { 0 } else { news.cwnd.saturating_sub(news.inflight) };
                set.report(leg as u8, &news, now, &mut effects);
                continue;
            }
            let is_free = current.is_some_and(|leg: usize| room[leg] > 0 && on_it < u64::from(run_min));
            let plan = set.send(DATA, now, &mut effects);
            prop_assert!(plan.is_ok() || !is_free, "waits although leg {current:?} has room, and its run goes on");
            let Ok(plan) = plan else { continue };
            let to = usize::from(plan.ix);
            prop_assert!(!is_free || current == Some(to), "left leg {current:?} with room after {on_it}");
            if current != Some(to) {
                (current, on_it) = (Some(to), 0);
            }
            on_it += 1;
            room[to] -= 1;
        }
    }

    /// The quick way of sending does what the long way does, whatever was reported before.
    #[test]
    fn the_short_way_is_the_long_way(
        algorithm in prop::sample::select(FAMILY.map(|row| row.algorithm).to_vec()),
        switch_run_min in prop::sample::select(vec![0, 0, 1, 5, 30, u32::MAX]),
        ux in prop::sample::select(vec![Ux::NoOpinion, Ux::LowMemThroughput]),
        lead in prop::sample::select(vec![0u64, (1 << 31) - 3]),
        acts in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 1..200),
    ) {
        let terms = SetTerms { switch_run_min, ..terms(Some(algorithm)) };
        let (mut short, set, legs) = linked_set(3, ux, terms.clone());
        let (mut long, _, _) = linked_set(3, ux, terms);
        if lead > 0 {
            let numbers = Numbers { delivered: 0, sending: legs[0] };
            for engine in [&mut short, &mut long] {
                engine.import(0, set, numbers, &[LegNumbers { leg: legs[0], sent: lead, received: 0 }]).unwrap();
            }
        }
        let mut now = 1;
        for (act, leg, cwnd, used) in acts {
            let leg = legs[usize::from(leg) % 3];
            if act % 4 == 0 {
                // A choice is kept until a report, so what depends on time may change with one only.
                now += u64::from(act) * 10_000_000;
                let known = report(u64::from(cwnd % 24), u64::from(used % 12), u64::from(act) + 1);
                let news = Report { blocked: used > 200, ..known };
                for engine in [&mut short, &mut long] {
                    engine.report(now, leg, &news).unwrap();
                }
                continue;
            }
            let command = if act % 16 == 1 { END } else { DATA };
            prop_assert_eq!(send_short(&mut short, now, set, command, HOPS), send(&mut long, now, set, command, HOPS));
            prop_assert_eq!(short.export(set), long.export(set));
        }
    }
}

/// Steers a set: `to` is the only leg with room.
fn send_on(engine: &mut Engine, set: Id, legs: &[Id], to: usize, count: usize, log: &mut Vec<(usize, u32, u64)>) {
    for (index, &leg) in legs.iter().enumerate() {
        let news = Report { blocked: index != to, ..report(1 << 20, 0, 5) };
        engine.report(0, leg, &news).unwrap();
    }
    for _ in 0..count {
        match send(engine, 0, set, DATA, HOPS) {
            Ok(Verdict::Send { circuit, number, switch_delta }) if circuit == legs[to] => {
                log.push((to, switch_delta, number));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Sends the counts on the legs, and gives the log with runs taken together: leg, SWITCH before, first and last number.
fn vector(legs: usize, steps: &[(usize, usize)]) -> Vec<(usize, u32, u64, u64)> {
    let (mut engine, set, ids) = linked_set(legs, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    let mut log = Vec::new();
    for &(leg, count) in steps {
        send_on(&mut engine, set, &ids, leg, count, &mut log);
    }
    let mut runs: Vec<(usize, u32, u64, u64)> = Vec::new();
    for (leg, delta, number) in log {
        match runs.last_mut() {
            Some(run) if run.0 == leg && run.3 + 1 == number && delta == 0 => run.3 = number,
            _ => runs.push((leg, delta, number, number)),
        }
    }
    runs
}

#[test]
fn sender_vectors() {
    assert_eq!(vector(2, &[(0, 10), (1, 21), (0, 1)]), [(0, 0, 1, 10), (1, 10, 11, 31), (0, 21, 32, 32)]);
    assert_eq!(vector(2, &[(0, 1), (1, 1), (0, 1), (1, 1)]), [(0, 0, 1, 1), (1, 1, 2, 2), (0, 1, 3, 3), (1, 1, 4, 4)]);
    assert_eq!(vector(2, &[(0, 3), (0, 2), (1, 5)]), [(0, 0, 1, 5), (1, 5, 6, 10)]);
    assert_eq!(
        vector(3, &[(0, 124), (1, 124), (2, 124), (0, 1)]),
        [(0, 0, 1, 124), (1, 124, 125, 248), (2, 248, 249, 372), (0, 248, 373, 373)]
    );
}

/// The last sender vector: looking at A and then sending on B needs no SWITCH, as nothing has been sent.
#[test]
fn looking_is_not_sending() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    engine.report(0, legs[0], &report(10, 0, 5)).unwrap();
    let first = decide(&mut engine, 0, set, DATA, HOPS).unwrap();
    assert_eq!(first, Verdict::Send { circuit: legs[0], number: 1, switch_delta: 0 });
    engine.report(0, legs[1], &report(10, 0, 4)).unwrap();
    let then = send(&mut engine, 0, set, DATA, HOPS).unwrap();
    assert_eq!(then, Verdict::Send { circuit: legs[1], number: 1, switch_delta: 0 });
}

fn far_apart(sent: u64) -> (Engine, Id, Vec<Id>) {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    engine.report(0, legs[0], &report(100, 0, 1)).unwrap();
    engine.report(0, legs[1], &report(100, 0, 9)).unwrap();
    let rows = [LegNumbers { leg: legs[0], sent, received: 0 }];
    engine.import(0, set, Numbers { delivered: 0, sending: legs[0] }, &rows).unwrap();
    (engine, set, legs)
}

#[test]
fn a_leg_far_behind_is_caught_up_with() {
    const HALF: u64 = 1 << 31;
    let (mut engine, set, legs) = far_apart(HALF - 1);
    let mut send = || send(&mut engine, 0, set, DATA, HOPS).unwrap();
    assert_eq!(send(), Verdict::Send { circuit: legs[0], number: HALF, switch_delta: 0 }, "not before 2^31");
    assert_eq!(send(), Verdict::Send { circuit: legs[1], number: HALF + 1, switch_delta: HALF as u32 });
    assert_eq!(send(), Verdict::Send { circuit: legs[0], number: HALF + 2, switch_delta: 1 }, "back to the better leg");
    assert_eq!(send(), Verdict::Send { circuit: legs[0], number: HALF + 3, switch_delta: 0 });
}

#[test]
fn a_switch_never_carries_more_than_c_tor_sends() {
    const MOST: u64 = u32::MAX as u64 - 1;
    for (sent, reachable) in [(MOST - 1, true), (MOST, true), (MOST + 1, false), (1 << 40, false)] {
        let (mut engine, set, legs) = far_apart(sent);
        engine.report(0, legs[0], &Report { blocked: true, ..report(100, 0, 1) }).unwrap();
        let data = send(&mut engine, 0, set, DATA, HOPS);
        if reachable {
            assert_eq!(data, Ok(Verdict::Send { circuit: legs[1], number: sent + 1, switch_delta: sent as u32 }));
        } else {
            assert_eq!(data, Err(Error::Blocked(Blocked::NoRoom)), "{sent}");
            let end = Verdict::Send { circuit: legs[0], number: sent + 1, switch_delta: 0 };
            assert_eq!(send(&mut engine, 0, set, END, HOPS), Ok(end), "END goes on the leg that is full");
        }
    }
}

/// A blocked leg is no reason to stop before the other is out of reach, and what is not DATA never stops.
#[test]
fn what_is_not_data_is_counted_on_the_way_to_a_leg_far_behind() {
    let (mut engine, set, legs) = far_apart((1 << 31) - 2);
    send(&mut engine, 0, set, DATA, HOPS).unwrap();
    for expected in [1 << 31, (1 << 31) + 1] {
        let sent = send_short(&mut engine, 0, set, END, HOPS);
        let Ok(Verdict::Send { circuit, number, switch_delta }) = sent else { panic!("{sent:?}") };
        assert_eq!(number, expected);
        let late = expected > 1 << 31;
        assert_eq!((circuit, switch_delta), if late { (legs[1], 1 << 31) } else { (legs[0], 0) }, "{expected}");
    }
}

/// A message that needs no room (SCH-8), and one that does.
#[test]
fn without_room_data_waits_and_the_rest_goes_on_the_sending_leg() {
    let (mut engine, set, legs) = linked_set(3, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    let full = Err(Error::Blocked(Blocked::NoRoom));
    assert_eq!(send(&mut engine, 0, set, DATA, HOPS), full, "no window is known yet");
    engine.report(0, legs[2], &report(1, 0, 5)).unwrap();
    assert!(matches!(send(&mut engine, 0, set, DATA, HOPS), Ok(Verdict::Send { circuit, .. }) if circuit == legs[2]));
    assert_eq!(send(&mut engine, 0, set, DATA, HOPS), full);
    let end = send(&mut engine, 0, set, END, HOPS);
    assert_eq!(end, Ok(Verdict::Send { circuit: legs[2], number: 2, switch_delta: 0 }));
}

/// A bare SWITCH binds the next message, DATA or not, to its leg.
#[test]
fn after_a_bare_switch_the_message_follows_on_the_same_leg() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    let mut log = Vec::new();
    send_on(&mut engine, set, &legs, 0, 3, &mut log);
    engine.report(0, legs[1], &report(10, 0, 1)).unwrap();
    let plan = Verdict::Send { circuit: legs[1], number: 4, switch_delta: 3 };
    assert_eq!(decide(&mut engine, 0, set, DATA, HOPS), Ok(plan));
    engine.sent(0, legs[1], Command::CONFLUX_SWITCH, HOPS).unwrap();
    assert!(
        engine.sent(0, legs[0], DATA, HOPS).is_err() && engine.sent(0, legs[0], Command::CONFLUX_SWITCH, HOPS).is_err()
    );
    engine.report(0, legs[1], &Report { blocked: true, ..report(10, 0, 1) }).unwrap();
    assert_eq!(
        decide(&mut engine, 0, set, DATA, HOPS),
        Err(Error::Blocked(Blocked::NoRoom)),
        "not on A, though it has room"
    );
    let end = Verdict::Send { circuit: legs[1], number: 4, switch_delta: 0 };
    assert_eq!(decide(&mut engine, 0, set, END, HOPS), Ok(end));
}

/// Nothing that only looks leaves a trace.
#[test]
fn a_plan_and_a_peek_change_nothing() {
    let mut exhaust = Exhaust::default();
    while exhaust.round() {
        let (mut set, mut effects) = (Set::new(Role::Client, terms(Some(Algorithm::LowRtt))), Vec::<Effect>::new());
        for leg in 0..2 {
            let ix = set.adopt(Id(leg + 1), ROUTE, *exhaust.pick(&[Ux::NoOpinion, Ux::LowMemLatency]), 0, &mut effects);
            set.report(ix, &report(*exhaust.pick(&[0, 4]), 0, *exhaust.pick(&[2, 8])), 0, &mut effects);
        }
        for _ in 0..exhaust.below(3) {
            if let Ok(plan) = set.decide(END) {
                if plan.delta != 0 {
                    set.commit_switch(plan.ix).unwrap();
                }
                set.commit_message(plan.ix, END, 1, &mut effects).unwrap();
            }
        }
        let before = format!("{set:?}");
        let plans: [Result<_, Refusal>; 3] = [set.plan(DATA), set.plan(END), set.plan(DATA)];
        assert_eq!(plans[0], plans[2]);
        assert_eq!(format!("{set:?}"), before);
    }
}

/// A decision that is never reported has not happened: numbers, figures and the next decision are as they were.
#[test]
fn a_decision_that_is_not_reported_leaves_no_number() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    let mut log = Vec::new();
    send_on(&mut engine, set, &legs, 0, 3, &mut log);
    engine.report(0, legs[1], &report(10, 0, 1)).unwrap();
    let state = |engine: &Engine| format!("{:?} {:?} {:?}", engine.export(set), engine.set_stats(set), engine.stats());
    let before = state(&engine);
    let first = decide(&mut engine, 0, set, DATA, HOPS).unwrap();
    for command in [DATA, END, DATA] {
        assert_eq!(decide(&mut engine, 0, set, command, HOPS), Ok(first));
        assert_eq!(peek(&mut engine, set), Ok(first));
    }
    assert_eq!(state(&engine), before);
    assert_eq!(first, Verdict::Send { circuit: legs[1], number: 4, switch_delta: 3 });
}

/// A host that was told to stop is told to go on as soon as there is room, whatever made it.
#[test]
fn room_that_a_message_makes_is_told() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    let mut log = Vec::new();
    send_on(&mut engine, set, &legs, 0, 1, &mut log);
    engine.report(0, legs[1], &report(10, 0, 1)).unwrap();
    engine.sent(0, legs[1], Command::CONFLUX_SWITCH, HOPS).unwrap();
    engine.report(0, legs[1], &Report { blocked: true, ..report(10, 0, 1) }).unwrap();
    assert_eq!(
        decide(&mut engine, 0, set, DATA, HOPS),
        Err(Error::Blocked(Blocked::NoRoom)),
        "bound to B, which is blocked"
    );
    send(&mut engine, 0, set, END, HOPS).unwrap();
    assert!(peek(&mut engine, set).is_ok(), "the END has gone on B, and A has room");
    assert!(engine.waiting(), "MAY_SEND has to be queued: the host does not read its streams until then");
}

/// A leg that comes, and is faster than all others, makes the choice anew: with MinRTT DATA waits for it, although the
/// sending leg has room.
#[test]
fn a_new_leg_unsettles_the_choice() {
    let (mut engine, set, legs) = linked_set(1, Ux::MinLatency, terms(None));
    engine.report(0, legs[0], &report(10, 0, 5)).unwrap();
    for number in 1..=3 {
        let expected = Verdict::Send { circuit: legs[0], number, switch_delta: 0 };
        assert_eq!(send_short(&mut engine, 0, set, DATA, HOPS), Ok(expected));
    }
    let faster = engine.open_circuit(0, common::circuit(Role::Client, 9)).unwrap();
    engine.adopt_leg(0, set, faster, Ux::MinLatency, 1).unwrap();
    assert_eq!(send_short(&mut engine, 0, set, DATA, HOPS), Err(Error::Blocked(Blocked::NoRoom)));
    engine.report(0, faster, &report(10, 0, 1)).unwrap();
    let switched = Verdict::Send { circuit: faster, number: 4, switch_delta: 3 };
    assert_eq!(send_short(&mut engine, 0, set, DATA, HOPS), Ok(switched));
}

/// The sending leg has the highest number; without one nothing has been sent. What contradicts that changes nothing.
#[test]
fn numbers_that_contradict_are_refused() {
    let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(Some(Algorithm::LowRtt)));
    let before = engine.export(set);
    for (sending, sent, fits) in
        [(legs[0], [5, 6], false), (Id::NONE, [1, 0], false), (legs[1], [5, 6], true), (legs[0], [6, 6], true)]
    {
        let rows = [0, 1].map(|at| LegNumbers { leg: legs[at], sent: sent[at], received: 0 });
        let outcome = engine.import(0, set, Numbers { delivered: 0, sending }, &rows);
        assert_eq!(outcome, if fits { Ok(()) } else { Err(Error::Misuse(Misuse::Numbers)) }, "{sent:?}");
        assert!(fits || engine.export(set) == before);
    }
}
