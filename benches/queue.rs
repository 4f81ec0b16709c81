//! bench-queue WORKLOAD[-empty] ROUNDS: the backpressure queue and its peers. Prints nanoseconds and allocations for each
//! item. The empty loop makes the same items and hands them nowhere.
//!
//! `slot`: the edge inside an engine; `cross`: the edge between event loops; `deque`, `channel`: a bare VecDeque, a bare
//! crossbeam channel. `cell`: 514 bytes that move; `token`: a number. `steady`: each item is pushed, goes through and is
//! taken. `spill`: three items always wait, so that each goes behind them, is drained when its turn comes, and taken.
//! `trickle`: each waits alone, so that the backlog is filled and emptied for each item.

use circflow::queue::{cross, Backlog, Channel, Slot};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

const CAP: usize = 32;

/// Counts what is asked of the allocator. It is never asked in a steady state, so counting costs nothing there.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        System.dealloc(block, layout);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        System.realloc(block, layout, size)
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Something to send; `number` tells one from the next.
trait Thing: Sized {
    fn make(number: u64) -> Self;
    fn number(&self) -> u64;
}

struct Cell([u8; 514]);

impl Thing for Cell {
    #[inline(always)]
    fn make(number: u64) -> Self {
        let mut bytes = [0x5a; 514];
        bytes[..8].copy_from_slice(&number.to_ne_bytes());
        Cell(bytes)
    }

    #[inline(always)]
    fn number(&self) -> u64 {
        let mut number = [0; 8];
        number.copy_from_slice(&self.0[..8]);
        u64::from_ne_bytes(number)
    }
}

impl Thing for u64 {
    #[inline(always)]
    fn make(number: u64) -> Self {
        number
    }

    #[inline(always)]
    fn number(&self) -> u64 {
        *self
    }
}

/// What a workload does: an item goes in, and the same or an earlier one comes out.
trait Carrier<T> {
    fn push(&mut self, item: T);
    fn take(&mut self) -> Option<T>;
    /// What a loop does once it has dealt with what it took.
    fn turn(&mut self) {}
}

struct Empty;

impl<T: Thing> Carrier<T> for Empty {
    #[inline(never)]
    fn push(&mut self, item: T) {
        black_box(&item);
    }

    #[inline(never)]
    fn take(&mut self) -> Option<T> {
        None
    }
}

impl<T: Thing> Carrier<T> for VecDeque<T> {
    #[inline(never)]
    fn push(&mut self, item: T) {
        self.push_back(item);
    }

    #[inline(never)]
    fn take(&mut self) -> Option<T> {
        self.pop_front()
    }
}

struct Bare<T>(crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>);

impl<T: Thing> Carrier<T> for Bare<T> {
    #[inline(never)]
    fn push(&mut self, item: T) {
        assert!(self.0.try_send(item).is_ok());
    }

    #[inline(never)]
    fn take(&mut self) -> Option<T> {
        self.1.try_recv().ok()
    }
}

/// The queue before a channel.
struct Queue<T, C, R> {
    backlog: Backlog<T>,
    channel: C,
    receiver: R,
}

/// The other end of a channel.
trait End<T, C> {
    fn take(&mut self, channel: &mut C) -> Option<T>;
}

impl<T> End<T, Slot<T>> for () {
    #[inline(always)]
    fn take(&mut self, slot: &mut Slot<T>) -> Option<T> {
        slot.take()
    }
}

impl<T> End<T, cross::Sender<T>> for cross::Receiver<T> {
    #[inline(always)]
    fn take(&mut self, _: &mut cross::Sender<T>) -> Option<T> {
        cross::Receiver::take(self)
    }
}

impl<T: Thing, C: Channel<T>, R: End<T, C>> Carrier<T> for Queue<T, C, R> {
    #[inline(never)]
    fn push(&mut self, item: T) {
        assert!(self.backlog.push(&mut self.channel, item).is_ok());
    }

    #[inline(never)]
    fn take(&mut self) -> Option<T> {
        self.receiver.take(&mut self.channel)
    }

    #[inline(never)]
    fn turn(&mut self) {
        if self.backlog.has_pending() {
            assert!(self.backlog.drain(&mut self.channel).is_ok());
        }
    }
}

/// Sends `rounds` items, of which `ahead` are on their way at any time.
#[inline(never)]
fn run<T: Thing>(carrier: &mut impl Carrier<T>, ahead: u64, rounds: u64, empty: bool) -> (f64, f64) {
    for number in 0..ahead {
        carrier.push(T::make(number));
    }
    // A round first, so that what grows has grown.
    for number in ahead..ahead + CAP as u64 {
        carrier.push(T::make(number));
        black_box(carrier.take());
        carrier.turn();
    }
    let (start, before, base) = (Instant::now(), ALLOCATIONS.load(Relaxed), CAP as u64);
    for round in base..base + rounds {
        carrier.push(T::make(black_box(ahead + round)));
        // By reference: moving it once more would be the bench's own cost.
        match &carrier.take() {
            Some(item) => assert_eq!(black_box(item).number(), round, "out of order"),
            None => assert!(black_box(empty), "lost"),
        }
        carrier.turn();
    }
    let each = |total: f64| total / rounds as f64;
    (each(start.elapsed().as_nanos() as f64), each((ALLOCATIONS.load(Relaxed) - before) as f64))
}

fn queue<T>(channel: Slot<T>) -> Queue<T, Slot<T>, ()> {
    Queue { backlog: Backlog::new(CAP), channel, receiver: () }
}

fn crossed<T>(cap: usize) -> Queue<T, cross::Sender<T>, cross::Receiver<T>> {
    let (channel, receiver) = cross::bounded(cap);
    Queue { backlog: Backlog::new(CAP), channel, receiver }
}

fn bare<T>() -> Bare<T> {
    let (sender, receiver) = crossbeam_channel::bounded(CAP);
    Bare(sender, receiver)
}

fn workload<T: Thing>(name: &str, rounds: u64) -> (f64, f64) {
    match name {
        "empty" => run::<T>(&mut Empty, 0, rounds, true),
        "deque-steady" => run::<T>(&mut VecDeque::new(), 0, rounds, false),
        "channel-steady" => run::<T>(&mut bare(), 0, rounds, false),
        "slot-steady" => run::<T>(&mut queue(Slot::new()), 0, rounds, false),
        "slot-trickle" => run::<T>(&mut queue(Slot::new()), 1, rounds, false),
        "slot-spill" => run::<T>(&mut queue(Slot::new()), 4, rounds, false),
        "cross-steady" => run::<T>(&mut crossed(CAP), 0, rounds, false),
        "cross-spill" => run::<T>(&mut crossed(1), 4, rounds, false),
        other => panic!("no workload {other}"),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [name, rounds] = &arguments[..] else {
        // `cargo test` and `cargo bench` run every target without arguments.
        return;
    };
    let rounds = rounds.parse().expect("a number");
    let (nanoseconds, allocations) = match name.split_once('-') {
        Some(("cell", rest)) => workload::<Cell>(rest, rounds),
        Some(("token", rest)) => workload::<u64>(rest, rounds),
        _ => panic!("no workload {name}"),
    };
    println!("{nanoseconds:.1} {allocations:.4}");
}
