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
            let writer = thread::spawn(move || {
                for number in 1..=2 {
                    publisher.publish(&value(number));
                }
            });
            let seen = reader.read().as_ref().map_or(0, number);
            let again = reader.read().as_ref().map_or(0, number);
            assert!(again >= seen, "a reader never goes back");
            writer.join().unwrap();
            assert_eq!(reader.read().as_ref().map(number), Some(2), "the last value is there");
        });
    }

    #[test]
    fn two_readers_do_not_disturb_each_other() {
        loom::model(|| {
            let (mut publisher, reader) = mirror();
            let others = [reader.clone(), reader].map(|mut reader| {
                thread::spawn(move || {
                    if let Some(snapshot) = reader.read() {
                        number(&snapshot);
                    }
                })
            });
            publisher.publish(&value(1));
            others.map(|other| other.join().unwrap());
        });
    }
}
