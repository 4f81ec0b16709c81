//! Every order of steps of the code that threads share, as far as a few steps on two or three threads go.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release --target-dir target/loom --test loom`
#![cfg(loom)]

mod hub {
    use circflow::base::sync::Arc;
    use circflow::base::{Budget, Id};
    use circflow::conflux::Role;
    use circflow::hub::*;
    use circflow::wire::conflux::Nonce;
    use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
    use loom::sync::Notify as Waker;
    use loom::thread;

    /// Steps are taken in every order with up to so many switches between threads that neither asked for. More finds
    /// nothing new in so few steps, and takes hours.
    const SWITCHES: usize = 3;

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(builder.preemption_bound.unwrap_or(SWITCHES));
        builder.check(model);
    }

    /// An event loop: a bell, and what it sleeps on.
    struct Loop {
        bell: Arc<Bell>,
        waker: Arc<Waker>,
    }

    impl Loop {
        fn new() -> Loop {
            let waker = Arc::new(Waker::new());
            let called = Arc::clone(&waker);
            Loop { bell: Arc::new(Bell::new(std::sync::Arc::new(move |_| called.notify()))), waker }
        }

        /// Sleeps until woken, at times for nothing, and takes one key at a time. A wake-up that is lost leaves all
        /// threads asleep, which loom reports.
        fn sleep(&self) -> Vec<Id> {
            self.waker.wait();
            let mut keys = Vec::new();
            while self.bell.take_rung(1, &mut keys) {}
            keys
        }
    }

    /// As an engine's port does when it is dropped: the bell and the ringers in its list hold each other.
    impl Drop for Loop {
        fn drop(&mut self) {
            self.bell.disconnect();
        }
    }

    struct Numbers;

    impl Traffic for Numbers {
        type Join = u8;
        type ToHome = u8;
        type ToLeg = u8;
    }

    const NEAR: Id = Id(1);
    const FAR: Id = Id(2);

    fn linked(room: usize, near: &Loop, far: &Loop) -> (LinkEnd<u8, u8>, LinkEnd<u8, u8>) {
        let (leg, home) = link(room, &near.bell, NEAR, &far.bell);
        home.open(FAR);
        (leg, home)
    }

    /// Reads until it has `wanted` items or the other end is gone.
    fn read(at: &Loop, end: &mut LinkEnd<u8, u8>, wanted: usize) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < wanted {
            at.sleep();
            loop {
                match end.poll() {
                    News::Item(item) => got.push(item),
                    News::Nothing => break,
                    News::Over(_) => return got,
                }
            }
        }
        got
    }

    fn left(into: &mut Vec<u8>) -> impl FnMut(Left<u8, u8>) + '_ {
        |left| match left {
            Left::Unread(item) | Left::Unsent(item) => into.push(item),
        }
    }

    /// Sends without waiting; what does not get through comes back.
    fn send_all(end: &LinkEnd<u8, u8>, items: &[u8], back: &mut Vec<u8>) {
        for &item in items {
            match end.send(item) {
                Ok(()) => {}
                Err(NotSent::Full(item)) => back.push(item),
                Err(NotSent::Gone(item)) => {
                    back.push(item);
                    back.extend(std::iter::from_fn(|| end.take_back()));
                }
            }
        }
    }

    #[test]
    fn no_news_is_lost() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (leg, mut home) = linked(2, &near, &far);
            let sender = thread::spawn(move || {
                leg.send(1).unwrap();
                leg.send(2).unwrap();
                leg
            });
            assert_eq!(read(&far, &mut home, 2), [1, 2]);
            sender.join().unwrap();
        });
    }

    /// Two links ring one bell, which wakes one loop.
    #[test]
    fn no_wake_up_is_lost() {
        check(|| {
            let ours = Loop::new();
            let all = [Ringer::new(&ours.bell, NEAR), Ringer::new(&ours.bell, FAR)];
            let ringing = all.map(|ringer| thread::spawn(move || Ringer::ring(&ringer)));
            let mut heard = ours.sleep();
            while heard.len() < 2 {
                heard.extend(ours.sleep());
            }
            heard.sort();
            assert_eq!(heard, [NEAR, FAR], "each once");
            for thread in ringing {
                thread.join().unwrap();
            }
        });
    }

    /// A ring that finds the mark set leaves no entry, yet the look that follows sees what it was rung for.
    #[test]
    fn a_ring_that_adds_nothing_is_heard() {
        check(|| {
            let ours = Loop::new();
            let (ringer, news) = (Ringer::new(&ours.bell, NEAR), Arc::new(AtomicU32::new(0)));
            let laid_down = Arc::clone(&news);
            let ringing = thread::spawn(move || {
                for number in 1..=2 {
                    laid_down.store(number, Relaxed);
                    Ringer::ring(&ringer);
                }
            });
            while news.load(Relaxed) != 2 {
                ours.sleep();
            }
            ringing.join().unwrap();
        });
    }

    /// A link is news as soon as it is opened, and what came before counts.
    #[test]
    fn what_came_before_the_owner_is_heard() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (leg, mut home) = link::<u8, u8>(1, &near.bell, NEAR, &far.bell);
            let sender = thread::spawn(move || {
                leg.send(1).unwrap();
                leg
            });
            home.open(FAR);
            assert_eq!(read(&far, &mut home, 1), [1]);
            sender.join().unwrap();
        });
    }

    #[test]
    fn a_writer_that_waits_for_room_is_woken() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (leg, mut home) = linked(1, &near, &far);
            let writer = thread::spawn(move || {
                for item in 1..=2 {
                    while leg.send(item).is_err() {
                        near.sleep();
                    }
                }
                leg
            });
            assert_eq!(read(&far, &mut home, 2), [1, 2]);
            writer.join().unwrap();
        });
    }

    #[test]
    fn a_reader_that_looks_before_it_takes_wakes_its_writer() {
        for room in [1, 2, 3] {
            check(move || {
                let (near, far) = (Loop::new(), Loop::new());
                let (leg, mut home) = linked(room, &near, &far);
                let writer = thread::spawn(move || {
                    for item in 1..=room as u8 + 1 {
                        while leg.send(item).is_err() {
                            near.sleep();
                        }
                    }
                    leg
                });
                let mut got = Vec::new();
                while got.len() < room + 1 {
                    far.sleep();
                    'news: loop {
                        while let Some(&mut item) = home.peek_mut() {
                            got.push(item);
                            if home.drop_next(0) {
                                home.report_read();
                            }
                        }
                        match home.poll() {
                            News::Item(item) => got.push(item),
                            _ => break 'news,
                        }
                    }
                }
                assert!(got.iter().copied().eq(1..=room as u8 + 1));
                writer.join().unwrap();
            });
        }
    }

    #[test]
    fn a_batch_comes_out_once_whoever_goes_first() {
        for closes in [false, true] {
            check(move || {
                let (near, far) = (Loop::new(), Loop::new());
                let (leg, mut home) = linked(2, &near, &far);
                let other = thread::spawn(move || {
                    let mut out = Vec::new();
                    if let Some(&mut item) = home.peek_mut() {
                        out.push(item);
                        home.drop_next(0);
                    }
                    home.peek_mut();
                    if closes {
                        home.close(0, left(&mut out));
                    } else {
                        drop(home);
                    }
                    out
                });
                let mut out = Vec::new();
                send_all(&leg, &[1, 2], &mut out);
                leg.close(0, left(&mut out));
                out.extend(other.join().unwrap());
                out.sort_unstable();
                if closes {
                    assert_eq!(out, [1, 2]);
                } else {
                    assert!(out.windows(2).all(|two| two[0] < two[1]), "none twice: {out:?}");
                }
            });
        }
    }

    #[test]
    fn a_writer_that_waits_for_room_hears_of_a_death() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (leg, home) = linked(1, &near, &far);
            leg.send(1).unwrap();
            let writer = thread::spawn(move || {
                let mut back = Vec::new();
                send_all(&leg, &[2], &mut back);
                while leg.peer_gone().is_none() {
                    near.sleep();
                }
                assert_eq!(leg.peer_gone(), Some(Some(7)));
                leg.close(0, left(&mut back));
                back
            });
            let mut out = Vec::new();
            home.close(7, left(&mut out));
            out.extend(writer.join().unwrap());
            out.sort();
            assert_eq!(out, [1, 2]);
        });
    }

    /// What was sent before an end went is read to the last item, and only then is it over.
    #[test]
    fn all_is_read_before_it_is_over() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (leg, mut home) = linked(2, &near, &far);
            let writer = thread::spawn(move || {
                leg.send(1).unwrap();
                leg.send(2).unwrap();
                leg.close(9, |left| panic!("{left:?}"));
            });
            assert_eq!(read(&far, &mut home, usize::MAX), [1, 2]);
            assert_eq!(home.peer_gone(), Some(Some(9)));
            writer.join().unwrap();
        });
    }

    /// The heart: whichever end goes when, every item comes out once.
    #[test]
    fn an_item_comes_out_once_when_the_reader_goes() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (leg, home) = linked(2, &near, &far);
            let writer = thread::spawn(move || {
                let mut out = Vec::new();
                send_all(&leg, &[1, 2], &mut out);
                // Reads what happened to it, as an engine would, without going itself.
                if leg.peer_gone().is_some() {
                    out.extend(std::iter::from_fn(|| leg.take_back()));
                }
                (leg, out)
            });
            let mut out = Vec::new();
            home.close(7, left(&mut out));
            let (leg, back) = writer.join().unwrap();
            out.extend(back);
            out.sort();
            assert_eq!(out, [1, 2]);
            assert!(!near.bell.take_rung(2, &mut Vec::new()));
            drop(leg);
        });
    }

    #[test]
    fn an_item_comes_out_once_when_both_ends_go() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (leg, mut home) = linked(1, &near, &far);
            let other = thread::spawn(move || {
                let mut out = Vec::new();
                send_all(&leg, &[1], &mut out);
                leg.close(8, left(&mut out));
                out
            });
            let mut out = Vec::new();
            send_all(&home, &[2], &mut out);
            if let News::Item(item) = home.poll() {
                out.push(item);
            }
            home.close(7, left(&mut out));
            out.extend(other.join().unwrap());
            out.sort();
            assert_eq!(out, [1, 2]);
        });
    }

    /// An end that is dropped leaves what it had not read to the other.
    #[test]
    fn an_item_comes_out_once_when_the_reader_vanishes() {
        check(|| {
            let (near, far) = (Loop::new(), Loop::new());
            let (mut leg, home) = linked(1, &near, &far);
            let vanishing = thread::spawn(move || drop(home));
            let mut out = Vec::new();
            send_all(&leg, &[1], &mut out);
            while leg.poll() == News::Nothing {
                near.sleep();
            }
            assert_eq!(leg.peer_gone(), Some(None));
            out.extend(std::iter::from_fn(|| leg.take_back()));
            assert_eq!(out, [1]);
            vanishing.join().unwrap();
        });
    }

    /// A leg that goes while its set's home looks at its request, or goes too: what it had sent comes out once.
    #[test]
    fn an_item_comes_out_once_when_the_home_may_not_have_taken_it() {
        for dies in [false, true] {
            check(move || {
                let (near, far) = (Loop::new(), Loop::new());
                let (leg, mut home) = link::<u8, u8>(1, &near.bell, NEAR, &far.bell);
                let other = thread::spawn(move || {
                    let mut out = Vec::new();
                    send_all(&leg, &[1], &mut out);
                    leg.close(8, left(&mut out));
                    out
                });
                let mut out = Vec::new();
                if dies {
                    drop(home);
                } else if home.mark_taken() {
                    if let News::Item(item) = home.poll() {
                        out.push(item);
                    }
                    home.close(7, left(&mut out));
                }
                out.extend(other.join().unwrap());
                assert_eq!(out, [1]);
            });
        }
    }

    fn quiet() -> Notify {
        std::sync::Arc::new(|_| {})
    }

    fn hub() -> Hub<Numbers> {
        Hub::new(&HubConfig { seed: [7; 32], held_bytes_max: 10 })
    }

    fn nonce() -> Nonce {
        Nonce::new([3; 32])
    }

    #[test]
    fn one_of_two_becomes_home() {
        check(|| {
            let hub = hub();
            let ports = [1, 2].map(|tag| hub.join_engine(tag, quiet()).ok().unwrap());
            let claimants = ports.map(|port| {
                thread::spawn(move || {
                    let claim = port.claim(Role::Exit, &nonce(), Id(u64::from(port.tag())));
                    let home = match claim {
                        Claim::Ours => port.tag(),
                        Claim::Home(home) => {
                            assert_ne!(home.tag(), port.tag());
                            assert_eq!(home.set, Id(u64::from(home.tag())));
                            home.tag()
                        }
                    };
                    (port, home)
                })
            });
            let [one, two] = claimants.map(|claimant| claimant.join().unwrap());
            assert_eq!(one.1, two.1);
        });
    }

    /// A circuit that asks an engine that is just going hears of it, one way or the other; and an engine that has gone
    /// wakes nobody.
    #[test]
    fn whoever_asks_a_dying_engine_hears_of_it() {
        check(|| {
            let hub = hub();
            let freed = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&freed);
            let wake: Notify = std::sync::Arc::new(move |_| assert!(!seen.load(SeqCst)));
            let home = hub.join_engine(1, wake).ok().unwrap();
            let waker = Arc::new(Waker::new());
            let woken = Arc::clone(&waker);
            let ours = hub.join_engine(2, std::sync::Arc::new(move |_| woken.notify())).ok().unwrap();
            assert!(matches!(home.claim(Role::Exit, &nonce(), FAR), Claim::Ours));
            let Claim::Home(of) = ours.claim(Role::Exit, &nonce(), NEAR) else { panic!() };
            let asking = thread::spawn(move || {
                if let Ok(mut end) = ours.join(&of, 1, NEAR) {
                    // loom's sleepers may wake unasked.
                    while end.poll() == News::Nothing {
                        waker.wait();
                    }
                    assert_eq!(end.peer_gone(), Some(None));
                }
                ours
            });
            drop(home);
            freed.store(true, SeqCst);
            let ours = asking.join().unwrap();
            assert!(matches!(ours.claim(Role::Exit, &nonce(), NEAR), Claim::Ours), "and the nonce is free");
        });
    }

    /// A claim on the nonce of an engine that is just going.
    #[test]
    fn a_nonce_outlives_no_engine() {
        check(|| {
            let hub = hub();
            let [home, ours] = [1, 2].map(|tag| hub.join_engine(tag, quiet()).ok().unwrap());
            assert!(matches!(home.claim(Role::Exit, &nonce(), FAR), Claim::Ours));
            let going = thread::spawn(move || drop(home));
            if let Claim::Home(of) = ours.claim(Role::Exit, &nonce(), NEAR) {
                if ours.join(&of, 0, NEAR).is_ok() {
                    going.join().unwrap();
                } else {
                    // At once: whoever is told that the home is gone claims again.
                    assert!(matches!(ours.claim(Role::Exit, &nonce(), NEAR), Claim::Ours));
                    going.join().unwrap();
                }
            } else {
                going.join().unwrap();
            }
            let _ = ours.claim(Role::Exit, &nonce(), NEAR);
            assert_eq!(hub.claims(), 1);
            assert!(matches!(ours.claim(Role::Exit, &nonce(), FAR), Claim::Home(of) if of.set == NEAR));
        });
    }

    /// Two engines under one cap: never above it, and nothing is left behind.
    #[test]
    fn reserves_are_exact() {
        check(|| {
            let hub = hub();
            let held = [1, 2].map(|tag| hub.join_engine(tag, quiet()).ok().unwrap()).map(|port| {
                let hub = hub.clone();
                thread::spawn(move || {
                    let mut budget = Budget::new(8);
                    port.share(&mut budget);
                    let first = budget.ask(6).map(|()| budget.hold(6));
                    assert!(hub.process().reserved() <= 10);
                    (port, budget, first.is_ok())
                })
            });
            let held = held.map(|thread| thread.join().unwrap());
            assert_eq!(held.iter().filter(|(_, _, held)| *held).count(), 1);
            assert_eq!(hub.process().reserved(), held.iter().map(|(_, budget, _)| budget.used()).sum::<u64>());
            drop(held);
            assert_eq!(hub.process().reserved(), 0);
        });
    }

    struct Weights;

    impl Traffic for Weights {
        type Join = u8;
        type ToHome = u16;
        type ToLeg = u16;
    }

    /// What crosses is counted once, whoever looks when, and whoever goes.
    #[test]
    fn what_crosses_is_counted_once() {
        check(|| {
            let hub = Hub::<Weights>::new(&HubConfig { seed: [7; 32], held_bytes_max: 10 });
            let [ours, home] = [1, 2].map(|tag| hub.join_engine(tag, quiet()).ok().unwrap());
            let mut budgets = [&ours, &home].map(|port| {
                let mut budget = Budget::new(10);
                port.share(&mut budget);
                budget
            });
            assert!(matches!(home.claim(Role::Exit, &nonce(), FAR), Claim::Ours));
            let Claim::Home(of) = ours.claim(Role::Exit, &nonce(), NEAR) else { panic!() };
            let Ok(leg) = ours.join(&of, 1, NEAR) else { panic!() };
            let (_, mut end) = home.poll_join().unwrap().accept(FAR);
            budgets.iter_mut().for_each(|budget| budget.ask(4).unwrap());
            let [mut near, mut far] = budgets;
            near.hold_crossing(4);
            assert_eq!(leg.send(4), Ok(()));
            far.rest();
            let reading = thread::spawn(move || {
                if let News::Item(cost) = end.poll() {
                    far.adopt(cost.into());
                    far.ask(cost.into()).unwrap();
                    far.hold(cost.into());
                }
                drop(end);
                (home, far)
            });
            near.settle();
            let left = near.used();
            assert!(left == 4 || left == 0);
            drop((leg, near));
            let (_home, far) = reading.join().unwrap();
            assert_eq!((far.used(), hub.process().reserved()), (4, 4));
        });
    }

    /// An engine that goes as another one names its sets owes nothing.
    #[test]
    fn whoever_is_gone_owes_nothing() {
        check(|| {
            let hub = hub();
            let [ours, other] = [1, 2].map(|tag| hub.join_engine(tag, quiet()).ok().unwrap());
            let standing = Standing::new(other.ledger(), FAR);
            standing.grew(5, 1);
            let going = thread::spawn(move || {
                drop(standing);
                drop(other);
            });
            let _ = ours.name_worst(9);
            going.join().unwrap();
            assert_eq!(hub.process().returning(), 0);
        });
    }

    #[test]
    fn a_victim_is_named_once() {
        check(|| {
            let hub = hub();
            let port = hub.join_engine(1, quiet()).ok().unwrap();
            let standing = Standing::new(port.ledger(), NEAR);
            standing.grew(5, 1);
            let other = hub.clone();
            let asking = thread::spawn(move || other.reclaim(1, 9, &mut Vec::new()));
            let ours = hub.reclaim(1, 9, &mut Vec::new());
            assert_eq!(ours + asking.join().unwrap(), 5);
        });
    }
}

/// What one thread shows and another reads without a lock.
mod mirror {
    use circflow::congestion::{mirror, Snapshot};
    use loom::thread;

    /// A value of which every field tells the same number, so that a torn read shows.
    fn value(number: u32) -> Snapshot {
        Snapshot {
            cwnd: number,
            inflight: number,
            rtt: number.into(),
            included: number.into(),
            sendme_inc: number as u16,
            slow_start: number % 2 != 0,
            blocked: number % 2 != 0,
        }
    }

    fn number(snapshot: &Snapshot) -> u32 {
        assert_eq!(*snapshot, value(snapshot.cwnd), "a torn read");
        snapshot.cwnd
    }

    #[test]
    fn no_read_is_torn_and_the_last_value_is_not_lost() {
        loom::model(|| {
            let (mut publisher, mut reader) = mirror();
            let writer = thread::spawn(move || publisher.publish(&value(1)));
            let seen = reader.read().as_ref().map_or(0, number);
            writer.join().unwrap();
            assert!(seen <= 1);
            assert_eq!(reader.read().as_ref().map(number), Some(1), "the last value is there");
        });
    }

    #[test]
    fn a_value_under_way_does_not_hide_the_one_before() {
        loom::model(|| {
            let (mut publisher, mut reader) = mirror();
            publisher.publish(&value(1));
            assert_eq!(reader.read().as_ref().map(number), Some(1));
            let writer = thread::spawn(move || publisher.publish(&value(2)));
            let seen = reader.read().as_ref().map_or(0, number);
            assert!(seen == 1 || seen == 2, "{seen}");
            writer.join().unwrap();
            assert_eq!(reader.read().as_ref().map(number), Some(2));
        });
    }

    /// With one forced switch of threads: all orders of so many steps would take hours.
    #[test]
    fn a_reader_never_goes_back() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(1);
        model.check(|| {
            let (mut publisher, mut reader) = mirror();
            publisher.publish(&value(1));
            let mut other = reader.clone();
            let writer = thread::spawn(move || publisher.publish(&value(2)));
            let first = reader.read().as_ref().map_or(0, number);
            let second = reader.read().as_ref().map_or(0, number);
            assert!(second >= first, "{second} after {first}");
            writer.join().unwrap();
            assert_eq!(other.read().as_ref().map(number), Some(2), "one reader takes nothing from another");
        });
    }
}
