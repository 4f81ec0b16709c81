//! Waiting for a better leg: what is known to wait counts, and no wait is too long.

mod common;

use circflow::base::limits::CHOICE_WAIT;
use circflow::base::Id;
use circflow::conflux::{Algorithm, Refusal, Report, Role, Set};
use circflow::engine::{Blocked, Error, What};
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use common::{linked_set, send, terms, Verdict, HOPS, ROUTE};

const MS: u64 = 1_000_000;
const SEC: u64 = 1_000 * MS;

fn report(cwnd: u64, inflight: u64, rtt: u64) -> Report {
    Report { cwnd, inflight, rtt, sendme_inc: 31, slow_start: false, blocked: false }
}

/// ECF waits for the fast leg if that is soon done with what waits, but not for a little.
#[test]
fn what_is_known_to_wait_counts() {
    // 24 / 62 * 100 ms are less than two round trips of the fast leg. And it would need 5 of them for 248.
    for (messages, waits) in
        [(0, true), (1, false), (24, false), (25, true), (247, true), (248, false), (u64::MAX, false)]
    {
        let (mut set, mut effects) = (Set::new(Role::Client, terms(Some(Algorithm::Ecf))), Vec::new());
        for (leg, rtt) in [(1, 20 * MS), (2, 100 * MS)] {
            let ix = set.adopt(Id(leg), ROUTE, Ux::NoOpinion, rtt, &mut effects);
            set.report(ix, &report(62, 0, rtt), SEC, &mut effects);
        }
        for _ in 0..62 {
            assert_eq!(set.send(Command::DATA, SEC, &mut effects).map(|plan| plan.ix), Ok(0));
        }
        set.foresee(messages, &mut effects);
        let expected = if waits { Err(Refusal::Blocked) } else { Ok(1) };
        assert_eq!(set.send(Command::DATA, SEC, &mut effects).map(|plan| plan.ix), expected, "{messages}");
    }
}

/// However much better the other leg is, a leg with room is used after this time: not before, and then MAY_SEND comes.
#[test]
fn a_wait_ends() {
    for algorithm in [Algorithm::Ecf, Algorithm::Blest] {
        let (mut engine, set, legs) = linked_set(2, Ux::NoOpinion, terms(Some(algorithm)));
        engine.report(SEC, legs[0], &report(62, 0, 8 * SEC)).unwrap();
        engine.report(SEC, legs[1], &report(62, 0, 80 * SEC)).unwrap();
        for _ in 0..62 {
            assert!(send(&mut engine, SEC, set, Command::DATA, HOPS).is_ok());
        }
        let full = Err(Error::Blocked(Blocked::NoRoom));
        for passed in [0, 1, CHOICE_WAIT / 2, CHOICE_WAIT - 1] {
            assert_eq!(send(&mut engine, SEC + passed, set, Command::DATA, HOPS), full, "{algorithm:?} {passed}");
        }
        while !engine.waiting() {
            let at = engine.deadline();
            assert!(at <= SEC + CHOICE_WAIT + CHOICE_WAIT / 8, "{algorithm:?} is not told, {at}");
            engine.tick(at);
        }
        let told = engine.poll(&mut [0; 512]).unwrap().unwrap();
        assert!(matches!(told.what, What::MaySend), "{told:?}");
        let at = engine.deadline().min(SEC + CHOICE_WAIT + CHOICE_WAIT / 8);
        let sent = send(&mut engine, at, set, Command::DATA, HOPS);
        assert!(matches!(sent, Ok(Verdict::Send { circuit, number: 63, .. }) if circuit == legs[1]), "{sent:?}");
    }
}
