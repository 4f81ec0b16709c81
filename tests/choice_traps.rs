//! Known traps of leg choice, and that OnTime does not fall into them: how many cells it sends on each leg of a small
//! network in virtual time.

mod common;

use circflow::base::limits::{CHOICE_WAIT, LEGS_MAX};
use common::legs::{leg, Net, Terms, MS, SEC};
use std::ops::RangeInclusive;

/// Cells that one SENDME acknowledges, and of a first window.
const ACKED: u64 = 31;
const FIRST_WINDOW: u64 = 124;

/// Cells that a leg of so many kbit/s carries in a second.
fn rate(kbit: u64) -> u64 {
    kbit * 1000 / (514 * 8)
}

/// The part is so many thousandths of the whole.
#[track_caller]
fn check_share(part: u64, whole: u64, expected: RangeInclusive<u64>, what: impl std::fmt::Debug) {
    let share = part * 1000 / whole;
    assert!(expected.contains(&share), "{what:?}: {part} of {whole} are {share} thousandths, not {expected:?}");
}

/// Goes on for so long, and answers how many cells went on each leg before its first SENDME.
fn first_flights(net: &mut Net, seconds: u64) -> Vec<u64> {
    let mut flights = vec![0; net.legs.len()];
    for _ in 0..seconds * 1000 {
        net.run(MS);
        for (flight, leg) in flights.iter_mut().zip(&net.legs).filter(|(_, leg)| leg.heard == 0) {
            *flight = leg.sent;
        }
    }
    flights
}

/// A queue makes the round trip longer. It is no sign that more cells fit: a slow leg whose window bounds nothing gets no
/// more than it carries, and its queue does not grow.
#[test]
fn a_congested_leg_does_not_look_larger() {
    for (fast, slow) in [((40, 10_000), (200, 2_000)), ((40, 10_000), (40, 1_000)), ((100, 10_000), (20, 1_000))] {
        let mut net = Net::new(&[leg(fast.0, fast.1), leg(slow.0, slow.1)]);
        net.run(SEC);
        net.set_window(1, 3000);
        net.run(7 * SEC);
        net.legs[1].deepest = 0;
        let sent = net.run(10 * SEC);
        check_share(sent[0], 10 * rate(fast.1), 970..=1050, (fast, slow, &sent));
        check_share(sent[1], 10 * rate(slow.1), 500..=1100, (fast, slow, &sent));
        assert!(net.legs[1].deepest <= 400, "{fast:?} {slow:?}: {}", net.legs[1].deepest);
    }
}

/// A leg that joins a transfer before it has answered gets one run, and no more before its first SENDME.
#[test]
fn a_leg_that_joins_unanswered_gets_one_run() {
    for (trip, kbit) in [(20, 200), (20, 10_000), (100, 1_000), (400, 200)] {
        let mut net = Net::new(&[leg(60, 10_000)]);
        net.run(2 * SEC);
        net.join(&Terms { answered: false, ..leg(trip, kbit) });
        let flights = first_flights(&mut net, 3);
        assert!((1..=ACKED).contains(&flights[1]), "{trip} {kbit}: {flights:?}");
    }
}

/// Before any leg was measured, only the leg that answered first gets its whole window at once.
#[test]
fn a_download_does_not_begin_on_all_legs_at_once() {
    let fast = leg(40, 20_000);
    for (others, count) in [(leg(60, 1_000), 1), (leg(200, 20_000), 1), (leg(45, 200), 7), (leg(60, 20_000), 15)] {
        let mut net = Net::new(&[vec![fast], vec![others; count]].concat());
        let flights = first_flights(&mut net, 2);
        assert!(flights[1..].iter().all(|&flight| flight <= ACKED), "{others:?}: {flights:?}");
    }
}

/// In mid-transfer the bottleneck of one of two equal legs becomes slow: what goes there is soon no more than it carries,
/// also where its window bounds nothing, and the other leg does not suffer.
#[test]
fn a_leg_that_gets_worse_is_left() {
    let cases = [
        (20, 10, None, 600),
        (60, 100, None, 600),
        (200, 10, None, 600),
        (60, 10, Some(2000), 1600),
        (60, 100, Some(2000), 1600),
    ];
    for (trip, slower, window, most) in cases {
        let mut net = Net::new(&[leg(trip, 10_000), leg(trip, 10_000)]);
        net.run(3 * SEC);
        net.set_rate(0, 10_000 / slower);
        if let Some(window) = window {
            net.set_window(0, window);
        }
        let (first, then) = (net.run(SEC), net.run(6 * SEC));
        assert!(first[0] <= most, "{trip} {slower} {window:?}: {first:?}");
        check_share(then[0], 6 * rate(10_000 / slower), 0..=1050, (trip, slower, window, &then));
        check_share(first[1] + then[1], 7 * rate(10_000), 970..=1050, (trip, slower));
    }
}

/// A leg was slow for a while. A run of cells that is sent there to see shows that it no longer is, and it carries half
/// again. All may be later by 1/64 of the time, so such a run comes once 64 times its own time has passed.
#[test]
fn a_leg_that_gets_better_is_found_again() {
    for slow in [2_000, 1_000, 500, 200] {
        let mut net = Net::new(&[leg(60, 10_000), leg(60, 10_000)]);
        net.run(2 * SEC);
        net.set_rate(0, slow);
        net.run(8 * SEC);
        net.set_rate(0, 10_000);
        let due = 64 * ACKED * SEC / rate(slow);
        net.run(due.saturating_sub(10 * SEC).max(SEC) + SEC);
        let sent = net.run(2 * SEC);
        check_share(sent[0], sent[0] + sent[1], 450..=550, (slow, &sent));
    }
}

/// While a leg stays slow, all is there hardly later for what is sent there: by a 64th of the time since the start, and
/// a round trip.
#[test]
fn to_look_for_a_better_leg_costs_little() {
    let alone = Net::new(&[leg(60, 10_000)]).carry(20_000);
    for (trip, slow) in [(60, 1_000), (60, 200), (60, 100), (400, 200), (1000, 500)] {
        let mut net = Net::new(&[leg(60, 10_000), leg(trip, 10_000)]);
        let start = net.now;
        net.run(2 * SEC);
        net.set_rate(1, slow);
        net.run(20 * SEC);
        let took = net.carry(20_000);
        let later = (net.now - start) / 64 + trip * MS;
        assert!(took <= alone + later, "{trip} {slow}: {took}, {alone} alone, and {later} at most");
    }
}

#[test]
fn equal_legs_are_used_equally() {
    for (trip, kbit) in [(20, 1_000), (60, 10_000), (200, 10_000), (800, 2_000)] {
        let mut net = Net::new(&[leg(trip, kbit); 2]);
        let sent = net.run(8 * SEC);
        check_share(sent[0], sent[0] + sent[1], 450..=550, (trip, kbit, &sent));
    }
}

#[test]
fn three_legs_and_more() {
    for (trip, kbit) in [(20, 1_000), (60, 10_000), (300, 4_000)] {
        for count in [3, 4, LEGS_MAX] {
            let mut net = Net::new(&vec![leg(trip, kbit); count]);
            let sent = net.run(3 * SEC);
            let (all, fair) = (sent.iter().sum(), 1000 / count as u64);
            for &one in &sent {
                check_share(one, all, fair * 85 / 100..=fair * 117 / 100, (trip, kbit, &sent));
            }
        }
    }
    let mut net = Net::new(&[leg(60, 2_000), leg(60, 12_000), leg(60, 6_000)]);
    net.run(2 * SEC);
    let sent = net.run(8 * SEC);
    for (&one, kbit) in sent.iter().zip([2_000, 12_000, 6_000]) {
        check_share(one, 8 * rate(kbit), 900..=1050, &sent);
    }
}

/// What becomes silent in [`a_silent_leg_is_left`].
#[derive(Clone, Copy, PartialEq, Debug)]
enum Silence {
    /// Nothing passes any more.
    Stalls,
    /// It never did.
    FromTheStart,
    /// The channel is full and stays so.
    FullChannel,
}

/// The leg that was the best says nothing more: it gets no more than its window had room for, nothing at all after a
/// second, and the other leg carries what it can.
#[test]
fn a_silent_leg_is_left() {
    for (fast, slow) in [((30, 10_000), (100, 2_000)), ((60, 10_000), (60, 10_000)), ((30, 10_000), (800, 1_000))] {
        for silence in [Silence::Stalls, Silence::FromTheStart, Silence::FullChannel] {
            let mut net = Net::new(&[leg(fast.0, fast.1), leg(slow.0, slow.1)]);
            if silence != Silence::FromTheStart {
                net.run(3 * SEC);
            }
            net.longest_idle = 0;
            match silence {
                Silence::FullChannel => net.fill_channel(0),
                _ => net.set_rate(0, 0),
            }
            let (first, then) = (net.run(SEC), net.run(9 * SEC));
            let what = (silence, fast, slow, &first, &then);
            assert!(first[0] <= 248 && then[0] == 0, "{what:?}");
            check_share(then[1], 9 * rate(slow.1), 900..=1150, what);
            assert!(net.longest_idle <= SEC, "{what:?}: refused for {}, and a leg had room", net.longest_idle);
        }
    }
}

/// Whatever is waited for, it is not longer than the limit (and the time from one look to the next): also where legs are
/// so slow that 20 ms and 20 s are the same to them.
#[test]
fn nothing_waits_for_a_silent_leg_for_ever() {
    for slow in [leg(800, 1_000), leg(1000, 100), leg(200, 20)] {
        for window in [None, Some(1000)] {
            let mut net = Net::new(&[leg(20, 10_000), slow].map(|terms| Terms { window, ..terms }));
            net.run(2 * SEC);
            net.longest_idle = 0;
            net.set_rate(0, 0);
            let sent = net.run(30 * SEC);
            assert!(sent[1] > 0 && net.longest_idle <= CHOICE_WAIT + CHOICE_WAIT / 8, "{slow:?} {window:?}: {sent:?}");
        }
    }
}

/// A leg whose handshake was not answered yet has no round trip: that is not the shortest one.
#[test]
fn a_leg_that_has_not_answered_is_not_the_fastest() {
    for (trip, known) in [(400, 40), (400, 100), (2000, 40), (300, 200)] {
        for kbit in [200, 10_000] {
            let mut net = Net::new(&[Terms { answered: false, ..leg(trip, kbit) }, leg(known, 10_000)]);
            net.left = FIRST_WINDOW;
            net.run(0);
            assert_eq!([net.legs[0].sent, net.legs[1].sent], [0, FIRST_WINDOW], "{trip} {known} {kbit}");
            net.left = u64::MAX;
            let flights = first_flights(&mut net, 2);
            assert!(flights[0] <= ACKED, "{trip} {known} {kbit}: {flights:?}");
        }
    }
}
