//! How an engine hears that others have news for it.
//!
//! Whatever can have news (a leg's link, the queue of LINKs) has an [`Ear`], which stands in its engine's [`Bell`] at
//! most once, so the list is never longer than there are ears. The first ear in an empty list wakes the host.
//!
//! Nothing is lost: who has news lays it down first, then marks the ear. Who listens unmarks the ear first
//! ([`Bell::take`]), then looks. Both change the mark in one step, so either the mark is found set, and the look that
//! follows it sees the news, or the ear goes to the list again.

use crate::base::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use crate::base::sync::{yield_now, Arc, Mutex};
use crate::base::Id;
use std::collections::VecDeque;

/// Wakes an engine's loop. It runs on another engine's thread, outside of every lock, and may do nothing else.
pub type Notify = std::sync::Arc<dyn Fn() + Send + Sync>;

/// The list of an engine's ears with news.
pub struct Bell {
    list: Mutex<List>,
    /// True when the list is not empty: a hint, to look without the lock.
    busy: AtomicBool,
    notify: Notify,
}

#[derive(Default)]
struct List {
    ears: VecDeque<Arc<Ear>>,
    /// Calls of `notify` under way.
    calls: u32,
    /// The engine is gone: nobody is to be woken.
    deaf: bool,
}

/// What can have news.
pub struct Ear {
    bell: Arc<Bell>,
    /// What the owner calls it.
    key: AtomicU64,
    /// In the list, or about to be.
    marked: AtomicBool,
}

impl Bell {
    /// A bell that wakes its engine's loop by `notify`.
    pub fn new(notify: Notify) -> Self {
        Bell { list: Mutex::default(), busy: AtomicBool::new(false), notify }
    }

    /// Takes no more than `most` of those with news, the longest waiting first, adds what their owner calls them to
    /// `keys`, and says whether more wait. Only once nothing waits is the host woken again.
    pub fn take(&self, most: usize, keys: &mut Vec<Id>) -> bool {
        let mut list = self.list.lock();
        for _ in 0..most {
            let Some(ear) = list.ears.pop_front() else { break };
            ear.marked.swap(false, AcqRel);
            keys.push(Id(ear.key.load(Relaxed)));
        }
        let more = !list.ears.is_empty();
        self.busy.store(more, Relaxed);
        more
    }

    /// True when there may be something to take. A hint: what counts is the wake-up.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.busy.load(Relaxed)
    }

    /// The engine goes: from the return of this call on, `notify` is not called any more. Waits for calls under way, as
    /// the host may free what they use.
    pub fn deafen(&self) {
        let ears = {
            let mut list = self.list.lock();
            list.deaf = true;
            std::mem::take(&mut list.ears)
        };
        drop(ears);
        while self.list.lock().calls > 0 {
            yield_now();
        }
    }

    fn add(&self, ear: Arc<Ear>) {
        let mut list = self.list.lock();
        if list.deaf {
            return;
        }
        let quiet = list.ears.is_empty();
        list.ears.push_back(ear);
        self.busy.store(true, Relaxed);
        list.calls += u32::from(quiet);
        drop(list);
        if quiet {
            let _call = Call(self);
            (self.notify)();
        }
    }
}

/// Counted out also when the host's function panics.
struct Call<'a>(&'a Bell);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.list.lock().calls -= 1;
    }
}

impl Ear {
    /// An ear that hears from now on.
    pub fn new(bell: &Arc<Bell>, key: Id) -> Arc<Ear> {
        Arc::new(Ear { bell: Arc::clone(bell), key: AtomicU64::new(key.0), marked: AtomicBool::new(false) })
    }

    /// An ear whose owner does not know it yet: it hears, and tells nobody until [`Ear::open`].
    pub fn closed(bell: &Arc<Bell>) -> Arc<Ear> {
        let ear = Ear { bell: Arc::clone(bell), key: AtomicU64::new(Id::NONE.0), marked: AtomicBool::new(true) };
        Arc::new(ear)
    }

    /// The owner has given a closed ear a name. It goes to the list at once, as there may have been news.
    pub fn open(ear: &Arc<Ear>, key: Id) {
        ear.key.store(key.0, Relaxed);
        ear.bell.add(Arc::clone(ear));
    }

    /// There is news, and it has been laid down.
    #[inline]
    pub fn ring(ear: &Arc<Ear>) {
        if !ear.marked.swap(true, AcqRel) {
            ear.bell.add(Arc::clone(ear));
        }
    }
}
