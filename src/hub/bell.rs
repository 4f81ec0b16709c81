//! How an engine learns that other engines have news for it.
//!
//! Everything that can have news (a leg's link, the queue of LINKs) has a [`Ringer`]. A ringer stands in its engine's
//! [`Bell`] at most once, so the list is never longer than there are ringers. The first ringer in an empty list wakes
//! the host.
//!
//! No news is lost. The side with news first stores it, then marks the ringer. The engine first unmarks the ringer
//! ([`Bell::take_rung`]), then looks for the news. Both change the mark in one atomic step: either the mark is found
//! set, and the look that follows finds the news, or the ringer enters the list again.

use crate::base::budget::Returns;
use crate::base::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use crate::base::sync::{yield_now, Arc, Mutex};
use crate::base::Id;
use std::collections::VecDeque;

/// Wakes an engine's loop, and may do nothing else. It runs on another engine's thread, at times on the engine's own,
/// outside of every lock. An engine that leaves the hub waits for running calls, so the function must not wait for the
/// engine. It may put the work off: the call counts as running until the [`Call`] is dropped.
pub type Notify = std::sync::Arc<dyn Fn(Call) + Send + Sync>;

/// A wake-up call, which counts as running until this is dropped.
pub struct Call(Arc<Bell>);

/// The list of an engine's ringers with news.
pub struct Bell {
    list: Mutex<List>,
    notify: Notify,
    /// Bytes that other engines have taken of what the engine has sent.
    pub(super) returns: Arc<Returns>,
}

#[derive(Default)]
struct List {
    ringers: VecDeque<Arc<Ringer>>,
    /// Number of running calls of `notify`.
    calls: u32,
    /// The engine is gone: `notify` is not called any more.
    disconnected: bool,
}

/// A source of news.
pub struct Ringer {
    bell: Arc<Bell>,
    /// The key by which the owner knows it.
    key: AtomicU64,
    /// True while it is in the list, or about to enter it.
    marked: AtomicBool,
}

impl Bell {
    /// A bell that wakes its engine's loop by `notify`, and counts no memory.
    #[allow(dead_code, reason = "tests of links need no engines")]
    pub fn new(notify: Notify) -> Self {
        Bell::of(notify, Returns::default())
    }

    /// Like [`Bell::new`], for an engine whose memory is counted.
    pub(super) fn of(notify: Notify, returns: Returns) -> Self {
        Bell { list: Mutex::default(), notify, returns: Arc::new(returns) }
    }

    /// Takes up to `most` ringers with news out of the list, the longest waiting first, and adds their keys to `keys`.
    /// True when more wait. The host is woken again only after none was left.
    pub fn take_rung(&self, most: usize, keys: &mut Vec<Id>) -> bool {
        let mut list = self.list.lock();
        for _ in 0..most {
            let Some(ringer) = list.ringers.pop_front() else { break };
            ringer.marked.swap(false, AcqRel);
            keys.push(Id(ringer.key.load(Relaxed)));
        }
        !list.ringers.is_empty()
    }

    /// Ends the wake-ups, as the engine goes: after this call, `notify` is not called any more. Waits for running
    /// calls, as the host may free what they use.
    pub fn disconnect(&self) {
        let ringers = {
            let mut list = self.list.lock();
            list.disconnected = true;
            std::mem::take(&mut list.ringers)
        };
        drop(ringers);
        while self.list.lock().calls > 0 {
            yield_now();
        }
    }

    fn add(ringer: &Arc<Ringer>) {
        let bell = &ringer.bell;
        let mut list = bell.list.lock();
        if list.disconnected {
            return;
        }
        let quiet = list.ringers.is_empty();
        list.ringers.push_back(Arc::clone(ringer));
        list.calls += u32::from(quiet);
        drop(list);
        if quiet {
            (bell.notify)(Call(Arc::clone(bell)));
        }
    }
}

/// Also runs when the host's function panics.
impl Drop for Call {
    fn drop(&mut self) {
        self.0.list.lock().calls -= 1;
    }
}

impl Ringer {
    /// A ringer that can be rung from now on.
    pub fn new(bell: &Arc<Bell>, key: Id) -> Arc<Ringer> {
        Arc::new(Ringer { bell: Arc::clone(bell), key: AtomicU64::new(key.0), marked: AtomicBool::new(false) })
    }

    /// A ringer whose owner does not know it yet: it can be rung, but enters no list until [`Ringer::open`].
    pub fn closed(bell: &Arc<Bell>) -> Arc<Ringer> {
        let ringer = Ringer { bell: Arc::clone(bell), key: AtomicU64::new(Id::NONE.0), marked: AtomicBool::new(true) };
        Arc::new(ringer)
    }

    /// Gives a closed ringer the owner's key. It enters the list at once, as there may be news already.
    pub fn open(ringer: &Arc<Ringer>, key: Id) {
        ringer.key.store(key.0, Relaxed);
        Bell::add(ringer);
    }

    /// Tells the engine that there is news, which has been stored before.
    #[inline]
    pub fn ring(ringer: &Arc<Ringer>) {
        if !ringer.marked.swap(true, AcqRel) {
            Bell::add(ringer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn counting() -> (Arc<Bell>, std::sync::Arc<AtomicU32>) {
        let calls = std::sync::Arc::new(AtomicU32::new(0));
        let counted = std::sync::Arc::clone(&calls);
        let notify = move |_: Call| {
            counted.fetch_add(1, Relaxed);
        };
        (Arc::new(Bell::new(std::sync::Arc::new(notify))), calls)
    }

    #[test]
    fn the_host_is_woken_once_until_all_is_taken() {
        let (bell, calls) = counting();
        let ringers: Vec<_> = (1..=3).map(|key| Ringer::new(&bell, Id(key))).collect();
        for ringer in ringers.iter().chain(&ringers) {
            Ringer::ring(ringer);
        }
        let mut keys = Vec::new();
        assert!(bell.take_rung(2, &mut keys), "one is left");
        Ringer::ring(&ringers[0]);
        assert_eq!(calls.load(Relaxed), 1, "as long as the owner knows of more");
        assert!(!bell.take_rung(2, &mut keys));
        assert_eq!(keys, [Id(1), Id(2), Id(3), Id(1)], "each once, the longest waiting first");
        Ringer::ring(&ringers[2]);
        assert_eq!(calls.load(Relaxed), 2);
    }

    #[test]
    fn a_closed_ear_tells_nobody_until_it_is_opened() {
        let (bell, calls) = counting();
        let ringer = Ringer::closed(&bell);
        Ringer::ring(&ringer);
        assert_eq!(calls.load(Relaxed), 0);
        Ringer::open(&ringer, Id(5));
        let mut keys = Vec::new();
        bell.take_rung(1, &mut keys);
        assert_eq!((keys, calls.load(Relaxed)), (vec![Id(5)], 1), "there may have been news");
    }

    #[test]
    fn an_engine_that_is_gone_is_not_woken() {
        let (bell, calls) = counting();
        let ringers = [Ringer::new(&bell, Id(1)), Ringer::new(&bell, Id(2))];
        Ringer::ring(&ringers[0]);
        bell.disconnect();
        Ringer::ring(&ringers[1]);
        assert_eq!((calls.load(Relaxed), bell.take_rung(9, &mut Vec::new())), (1, false));
        assert_eq!(Arc::strong_count(&ringers[0]), 1, "the list holds nothing");
    }

    #[test]
    fn a_notify_that_panics_does_not_keep_the_engine_from_going() {
        let bell = Arc::new(Bell::new(std::sync::Arc::new(|_| panic!("the host's"))));
        let ringer = Ringer::new(&bell, Id(1));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Ringer::ring(&ringer))).unwrap_err();
        bell.disconnect();
    }
}
