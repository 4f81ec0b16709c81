//! Lock-free code under loom, which tries every order of steps: `make check-loom`.
#![cfg(loom)]

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
