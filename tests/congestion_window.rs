//! A window and its SENDMEs: which cell is acknowledged, what proves it, and what no peer can make of it.

use circflow::base::limits::SENDMES_PENDING_MAX;
use circflow::base::sync::Arc;
use circflow::congestion::{
    mirror, Acks, ChannelState, Inc, NotAsked, Params, PathClass, SendmeFault, Snapshot, Window,
};
use circflow::wire::{Digest, Sendme};
use proptest::prelude::*;
use std::collections::VecDeque;

const FREE: ChannelState = ChannelState { blocked: false, queued: 0 };
const MS: u64 = 1_000_000;

fn window(inc: u32) -> Window {
    Window::new(Arc::new(Params::default_for(PathClass::Exit)), Inc::new(inc).unwrap())
}

/// The digest of a circuit's cell of that number.
fn digest(number: usize) -> [u8; 20] {
    let mut bytes = [0x5a; 20];
    bytes[12..].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

fn proof(digest: &[u8]) -> Sendme {
    Sendme::V1 { digest: Digest::new(digest).unwrap() }
}

/// Sends until one more SENDME is due.
fn send_inc(window: &mut Window, now: u64, digest: &[u8]) {
    while !window.sent_data(now) {}
    window.add_digest(digest).unwrap();
}

/// Runs `refuse` and sees that nothing has changed.
fn refused(window: &mut Window, sendme: Sendme, fault: SendmeFault) {
    let before = format!("{window:?}");
    assert_eq!(window.handle_sendme(500 * MS, &sendme, ChannelState { blocked: true, queued: 9 }), Err(fault));
    assert_eq!(format!("{window:?}"), before, "{fault:?} changes nothing");
}

/// In C Tor the first cell of a circuit is never recorded, which breaks an increment of 1 (CC-28).
#[test]
fn edge_c_16_an_increment_of_one_works() {
    let mut window = window(1);
    for number in 0..124 {
        assert_eq!(window.room(), 124 - number as u32);
        assert!(window.sent_data(0));
        assert_eq!(window.add_digest(&digest(number)), Ok(()));
    }
    for number in 0..124 {
        assert_eq!(window.handle_sendme(100 * MS, &proof(&digest(number)), FREE), Ok(()));
    }
    assert_eq!(window.inflight(), 0);
    assert!(window.cwnd() > 124);
}

#[test]
fn every_inc_th_cell_wants_its_tag() {
    for inc in [1, 2, 30, 31, 254, 255] {
        let mut window = window(inc);
        for cell in 1..=4 * inc {
            assert_eq!(window.sent_data(0), cell % inc == 0, "inc {inc}, cell {cell}");
            assert_eq!(window.inflight(), cell);
            assert_eq!(window.sendmes_pending() as u32, cell / inc);
        }
    }
}

/// Two ends of one circuit, in both directions of thought: what one asks for is what the other proves.
#[test]
fn both_ends_agree_which_cells_are_acknowledged() {
    for inc in [1, 31, 254] {
        let (mut window, mut acks) = (window(inc), Acks::new(Inc::new(inc).unwrap()));
        for cell in 0..20 * inc as usize {
            let wanted = window.sent_data(cell as u64);
            assert_eq!(wanted, acks.data(), "inc {inc}, cell {cell}");
            if wanted {
                window.add_digest(&digest(cell)).unwrap();
                assert_eq!(window.handle_sendme(MS + cell as u64, &proof(&digest(cell)), FREE), Ok(()));
                assert_eq!(window.inflight(), 0);
            }
        }
    }
}

#[test]
fn sen_3_a_sendme_that_nothing_can_have_caused() {
    let mut window = window(31);
    refused(&mut window, proof(&digest(0)), SendmeFault::Unexpected);
    for _ in 0..30 {
        window.sent_data(0);
    }
    refused(&mut window, proof(&digest(0)), SendmeFault::Unexpected);
    assert!(window.sent_data(0));
    refused(&mut window, proof(&digest(0)), SendmeFault::NoDigest);
    window.add_digest(&digest(0)).unwrap();
    assert_eq!(window.handle_sendme(MS, &proof(&digest(0)), FREE), Ok(()));
    refused(&mut window, proof(&digest(0)), SendmeFault::Unexpected);
}

#[test]
fn sen_3_a_digest_is_that_of_the_oldest_cell_in_every_byte() {
    let mut window = window(31);
    for number in 0..3 {
        send_inc(&mut window, 0, &digest(number));
    }
    refused(&mut window, proof(&digest(1)), SendmeFault::WrongTag);
    for at in 0..20 {
        let mut wrong = digest(0);
        wrong[at] ^= 1;
        refused(&mut window, proof(&wrong), SendmeFault::WrongTag);
    }
    refused(&mut window, proof(&digest(0)[..16]), SendmeFault::TagLength);
    for number in 0..3 {
        assert_eq!(window.handle_sendme(MS, &proof(&digest(number)), FREE), Ok(()));
    }
}

#[test]
fn a_circuit_of_counter_galois_onion_has_tags_of_16_bytes() {
    let mut window = window(31);
    send_inc(&mut window, 0, &[7; 16]);
    let mut longer = [7; 20];
    longer[16..].fill(0);
    refused(&mut window, proof(&longer), SendmeFault::TagLength);
    refused(&mut window, proof(&[8; 16]), SendmeFault::WrongTag);
    assert_eq!(window.handle_sendme(MS, &proof(&[7; 16]), FREE), Ok(()));
}

/// C Tor has one queue of digests for all hops of a circuit, and takes a SENDME without a digest.
#[test]
fn edge_c_28_each_hop_has_its_own_tags_and_none_goes_without() {
    let (mut near, mut far) = (window(31), window(31));
    send_inc(&mut near, 0, &digest(1));
    send_inc(&mut far, 0, &digest(2));
    refused(&mut near, Sendme::V0, SendmeFault::NoTag);
    refused(&mut near, proof(&digest(2)), SendmeFault::WrongTag);
    assert_eq!(far.handle_sendme(MS, &proof(&digest(2)), FREE), Ok(()));
    assert_eq!(near.handle_sendme(MS, &proof(&digest(1)), FREE), Ok(()));
}

#[test]
fn tags_that_nobody_asked_for_are_refused() {
    let mut window = window(2);
    assert_eq!(window.add_digest(&digest(0)), Err(NotAsked));
    window.sent_data(0);
    assert_eq!(window.add_digest(&digest(0)), Err(NotAsked));
    assert!(window.sent_data(0));
    for len in (0..=40).filter(|len| ![16, 20].contains(len)) {
        assert_eq!(window.add_digest(&vec![0; len]), Err(NotAsked), "no digest has {len} bytes");
    }
    assert_eq!(window.add_digest(&digest(0)), Ok(()));
    assert_eq!(window.add_digest(&digest(0)), Err(NotAsked));
}

#[test]
fn round_trips_are_told_in_nanoseconds() {
    let mut window = window(1);
    assert_eq!((window.rtt(), window.max_rtt()), (None, 0));
    for (number, sent, came) in [(0, 5 * MS, 105 * MS), (1, 105 * MS, 305 * MS), (2, 400 * MS, 450 * MS)] {
        window.sent_data(sent);
        window.add_digest(&digest(number)).unwrap();
        window.handle_sendme(came, &proof(&digest(number)), FREE).unwrap();
    }
    // N is 2: (2 * 200 + 100) / 3, then (2 * 50 + 166.666) / 3 milliseconds.
    assert_eq!((window.rtt(), window.max_rtt()), (Some(88_888_000), 200 * MS));
}

/// What another thread is shown: every figure in its place, also at the ends of the ranges.
#[test]
fn a_mirror_shows_the_window() {
    let (mut publisher, mut reader) = mirror();
    assert_eq!(reader.read(), None, "nothing was shown yet");
    let mut window = window(255);
    send_inc(&mut window, 0, &digest(0));
    window.sent_data(0);
    let shown = |window: &Window, included, blocked| Snapshot {
        cwnd: window.cwnd(),
        inflight: window.inflight(),
        rtt: window.rtt().unwrap_or(0),
        included,
        sendme_inc: 255,
        slow_start: window.in_slow_start(),
        blocked,
    };
    publisher.publish(&shown(&window, 7, true));
    let first =
        Snapshot { cwnd: 255, inflight: 256, rtt: 0, included: 7, sendme_inc: 255, slow_start: true, blocked: true };
    assert_eq!(reader.read(), Some(first));
    assert_eq!(reader.clone().read(), Some(first));
    window.handle_sendme(100 * MS, &proof(&digest(0)), ChannelState { blocked: true, queued: 0 }).unwrap();
    publisher.publish(&shown(&window, 8, false));
    let seen = reader.read().unwrap();
    assert_eq!((seen.inflight, seen.rtt, seen.included, seen.slow_start), (1, 100 * MS, 8, false));
    let last = Snapshot {
        cwnd: u32::MAX,
        inflight: u32::MAX - 1,
        rtt: u64::MAX,
        included: u64::MAX - 1,
        sendme_inc: u16::MAX,
        slow_start: false,
        blocked: true,
    };
    publisher.publish(&last);
    assert_eq!(reader.read(), Some(last));
}

#[test]
fn a_clock_that_stands_or_runs_back_measures_nothing() {
    let mut window = window(1);
    for (number, came) in [MS, MS + 999, 0].into_iter().enumerate() {
        window.sent_data(MS);
        window.add_digest(&digest(number)).unwrap();
        assert_eq!(window.handle_sendme(came, &proof(&digest(number)), FREE), Ok(()), "the ack counts all the same");
        assert_eq!((window.rtt(), window.inflight(), window.clock_broken()), (None, 0, true));
    }
    window.sent_data(0);
    window.add_digest(&digest(9)).unwrap();
    assert_eq!(window.handle_sendme(u64::MAX, &proof(&digest(9)), FREE), Ok(()));
    assert_eq!(window.rtt(), Some(u64::MAX / 1000 * 1000));
}

/// As many as are remembered, one less, one more.
#[test]
fn the_queue_of_tags_has_a_cap() {
    let cap = SENDMES_PENDING_MAX as usize;
    for count in [cap - 1, cap] {
        let mut window = window(1);
        for number in 0..count {
            send_inc(&mut window, 0, &digest(number));
        }
        assert_eq!((window.sendmes_pending(), window.room()), (count, 0));
        assert_eq!(window.handle_sendme(MS, &proof(&digest(0)), FREE), Ok(()));
    }
    let mut window = window(1);
    for number in 0..cap {
        send_inc(&mut window, 0, &digest(number));
    }
    assert!(!window.sent_data(0), "nothing to remember it in");
    assert_eq!(window.add_digest(&digest(cap)), Err(NotAsked));
    refused(&mut window, proof(&digest(0)), SendmeFault::Overrun);
    for _ in 0..3 * cap {
        assert!(!window.sent_data(0));
    }
    assert_eq!((window.sendmes_pending(), window.inflight(), window.room()), (cap, 4 * cap as u32 + 1, 0));
}

/// A whole transfer by the window's own rule: never more in flight than it says, and it opens.
#[test]
fn a_long_transfer_keeps_to_the_window() {
    let (mut window, mut acks) = (window(31), Acks::new(Inc::new(31).unwrap()));
    let (mut now, mut sent, mut under_way) = (0u64, 0usize, VecDeque::new());
    while sent < 200_000 {
        while window.room() > 0 {
            let wanted = window.sent_data(now);
            if wanted {
                window.add_digest(&digest(sent)).unwrap();
            }
            under_way.push_back(sent);
            sent += 1;
            assert!(window.inflight() <= window.cwnd());
        }
        now += 100 * MS;
        while let Some(cell) = under_way.pop_front() {
            if acks.data() {
                window.handle_sendme(now, &proof(&digest(cell)), FREE).unwrap();
            }
        }
    }
    assert!(!window.in_slow_start() && window.cwnd() >= 5000, "{}", window.cwnd());
    assert_eq!(window.rtt(), Some(100 * MS));
}

#[derive(Clone, Debug)]
enum Op {
    Send(u8),
    Digest,
    Wait(u64),
    Good { blocked: bool },
    Bad(u8),
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..100u8).prop_map(Op::Send),
        3 => Just(Op::Digest),
        3 => (0..300_000_000u64).prop_map(Op::Wait),
        4 => any::<bool>().prop_map(|blocked| Op::Good { blocked }),
        2 => (0..4u8).prop_map(Op::Bad),
    ]
}

proptest! {
    #[test]
    fn times_and_tags_keep_step(inc in prop_oneof![Just(1u32), Just(31), Just(254)], ops in prop::collection::vec(any_op(), 1..200)) {
        let mut window = window(inc);
        // The naive account: every cell that a SENDME will acknowledge, with its time and perhaps its digest.
        let mut pending: VecDeque<(u64, Option<usize>)> = VecDeque::new();
        let (mut now, mut sent, mut acked, mut digests) = (0u64, 0u64, 0u64, 0usize);
        let mut longest = 0;
        for op in ops {
            match op {
                Op::Send(cells) => for _ in 0..cells {
                    sent += 1;
                    let wanted = sent % u64::from(inc) == 0;
                    prop_assert_eq!(window.sent_data(now), wanted);
                    if wanted {
                        pending.push_back((now, None));
                    }
                },
                Op::Digest => {
                    let next = pending.iter_mut().find(|(_, digest)| digest.is_none());
                    prop_assert_eq!(window.add_digest(&digest(digests)).is_ok(), next.is_some());
                    if let Some((_, digest)) = next {
                        *digest = Some(digests);
                        digests += 1;
                    }
                }
                Op::Wait(nanos) => now += nanos,
                Op::Good { blocked } => {
                    let number = pending.front().and_then(|(_, digest)| *digest).unwrap_or(0);
                    let answer = window.handle_sendme(now, &proof(&digest(number)), ChannelState { blocked, queued: 0 });
                    let expected = match pending.front() {
                        None => Err(SendmeFault::Unexpected),
                        Some((_, None)) => Err(SendmeFault::NoDigest),
                        Some((sent_at, Some(_))) => {
                            let rtt = (now - sent_at) / 1000;
                            longest = longest.max(rtt * 1000);
                            acked += 1;
                            Ok(())
                        }
                    };
                    prop_assert_eq!(answer, expected);
                    if expected.is_ok() {
                        pending.pop_front();
                    }
                }
                Op::Bad(kind) => {
                    let before = format!("{window:?}");
                    let bad = match kind {
                        0 => Sendme::V0,
                        1 => proof(&[0; 16]),
                        2 => proof(&[0xff; 20]),
                        _ => proof(&digest(usize::MAX)),
                    };
                    prop_assert!(window.handle_sendme(now, &bad, FREE).is_err());
                    prop_assert_eq!(format!("{window:?}"), before);
                }
            }
            prop_assert_eq!(window.sendmes_pending(), pending.len());
            prop_assert_eq!(u64::from(window.inflight()), sent - acked * u64::from(inc));
            // After slow start a round trip may be taken for a jump of the clock.
            if !window.in_slow_start() {
                longest = window.max_rtt();
            }
            prop_assert_eq!(window.max_rtt(), longest);
        }
    }
}
