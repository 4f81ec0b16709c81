//! bench-queue WORKLOAD[-empty] ROUNDS: the backpressure queue and its peers. Prints nanoseconds and allocations for each
//! item. The empty loop makes the same items and hands them nowhere.
//!
//! `c`: circflow_queue before a sink of one item, through the functions of C; `link`: a backlog before a link between
//! event loops, as a set over several engines has it; `deque`, `sink`: a bare VecDeque, a bare crossbeam sink. `cell`:
//! 514 bytes that move; `token`: a number. `steady`: each item is pushed, goes through and is taken. `spill`: three
//! items always wait, so that each goes behind them, is drained when its turn comes, and taken. `trickle`: each waits
//! alone, so that the backlog is filled and emptied for each item. `burst`: 64 items come at once, 32 find room in the
//! sink, and 32 wait until those are taken.

use circflow::base::Id;
use circflow::ffi::*;
use circflow::hub::{link, Bell, Cargo, LinkEnd, News};
use circflow::queue::Backlog;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Instant;

const CAP: usize = 32;

/// Bursts before the count begins.
const WARM: u64 = 16;

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
trait Thing: Cargo + Sized {
    fn make(number: u64) -> Self;
    fn number(&self) -> u64;
    /// As C has it.
    fn lend(&self) -> circflow_queue_item;
    /// What a sink of C's makes of it.
    unsafe fn of(item: &circflow_queue_item) -> Self;
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

    #[inline(always)]
    fn lend(&self) -> circflow_queue_item {
        circflow_queue_item { token: 0, bytes: self.0.as_ptr(), bytes_len: 514, form: CIRCFLOW_FORM_BYTES }
    }

    #[inline(always)]
    unsafe fn of(item: &circflow_queue_item) -> Self {
        Cell(*item.bytes.cast())
    }
}

impl Cargo for Cell {}

struct Token(u64);

impl Thing for Token {
    #[inline(always)]
    fn make(number: u64) -> Self {
        Token(number)
    }

    #[inline(always)]
    fn number(&self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn lend(&self) -> circflow_queue_item {
        circflow_queue_item { token: self.0, bytes: std::ptr::null(), bytes_len: 0, form: CIRCFLOW_FORM_TOKEN }
    }

    #[inline(always)]
    unsafe fn of(item: &circflow_queue_item) -> Self {
        Token(item.token)
    }
}

impl Cargo for Token {}

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

/// A queue of C's, and its sink.
struct Hosted<T> {
    queue: *mut circflow_queue,
    sink: HostSink<T>,
    waits: bool,
}

struct HostSink<T> {
    items: VecDeque<T>,
    room: usize,
}

unsafe extern "C-unwind" fn try_send<T: Thing>(sink: *mut c_void, item: *const circflow_queue_item) -> i32 {
    let sink = &mut *sink.cast::<HostSink<T>>();
    if sink.items.len() >= sink.room {
        return CIRCFLOW_SINK_FULL;
    }
    sink.items.push_back(T::of(&*item));
    CIRCFLOW_SINK_TAKEN
}

unsafe extern "C-unwind" fn is_closed(_: *mut c_void) -> i32 {
    0
}

impl<T: Thing> Hosted<T> {
    fn new(room: usize) -> Self {
        let mut queue = std::ptr::null_mut();
        let config = circflow_queue_config {
            size: size_of::<circflow_queue_config>(),
            backlog_max: CAP as u32,
            item_bytes_max: 514,
        };
        assert_eq!(unsafe { circflow_queue_new(&config, &mut queue) }, circflow_status::CIRCFLOW_OK);
        Hosted { queue, sink: HostSink { items: VecDeque::with_capacity(room), room }, waits: false }
    }

    #[inline(always)]
    fn sink(&mut self) -> circflow_queue_sink {
        let userdata = std::ptr::from_mut(&mut self.sink).cast();
        circflow_queue_sink { try_send: Some(try_send::<T>), is_closed: Some(is_closed), userdata }
    }
}

impl<T: Thing> Carrier<T> for Hosted<T> {
    #[inline(never)]
    fn push(&mut self, item: T) {
        let (sink, mut kept) = (self.sink(), 0);
        let status = unsafe { circflow_queue_push(self.queue, &item.lend(), &mut kept, &sink) };
        assert_eq!(status, circflow_status::CIRCFLOW_OK);
        self.waits |= kept == 1;
    }

    #[inline(never)]
    fn take(&mut self) -> Option<T> {
        self.sink.items.pop_front()
    }

    #[inline(never)]
    fn turn(&mut self) {
        if self.waits {
            let (sink, mut pending) = (self.sink(), 0);
            let mut status = unsafe { circflow_queue_drain(self.queue, std::ptr::null_mut(), &sink) };
            assert_eq!(status, circflow_status::CIRCFLOW_OK);
            status = unsafe { circflow_queue_get_pending(self.queue, &mut pending) };
            assert_eq!(status, circflow_status::CIRCFLOW_OK);
            self.waits = pending == 1;
        }
    }
}

/// Both ends of a link in one thread. The bell has been rung and is not looked at, as when a loop is busy.
struct Linked<T: Cargo> {
    backlog: Backlog<T>,
    near: LinkEnd<T, T>,
    far: LinkEnd<T, T>,
}

impl<T: Thing> Carrier<T> for Linked<T> {
    #[inline(never)]
    fn push(&mut self, item: T) {
        assert!(self.backlog.push(&mut &self.near, item).is_ok());
    }

    #[inline(never)]
    fn take(&mut self) -> Option<T> {
        match self.far.poll() {
            News::Item(item) => Some(item),
            News::Nothing | News::Over(_) => None,
        }
    }

    #[inline(never)]
    fn turn(&mut self) {
        if self.backlog.has_pending() {
            assert!(self.backlog.drain(&mut &self.near).is_ok());
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

/// Sends at least `rounds` items, 64 at a time into a sink that has room for half of them.
#[inline(never)]
fn bursts<T: Thing>(carrier: &mut impl Carrier<T>, rounds: u64, empty: bool) -> (f64, f64) {
    let (mut start, mut before, mut sent) = (Instant::now(), 0, 0);
    let burst = 2 * CAP as u64;
    for round in 0..=WARM + rounds.div_ceil(burst) {
        for number in 0..burst {
            carrier.push(T::make(black_box(round * burst + number)));
        }
        for number in 0..burst {
            match &carrier.take() {
                Some(item) => assert_eq!(black_box(item).number(), round * burst + number, "out of order"),
                None => assert!(black_box(empty), "lost"),
            }
            if number + 1 == burst / 2 {
                carrier.turn();
            }
        }
        carrier.turn();
        sent += burst;
        if round == WARM {
            // What grows has grown, and what shrinks knows that bursts come again.
            (start, before, sent) = (Instant::now(), ALLOCATIONS.load(Relaxed), 0);
        }
    }
    let each = |total: f64| total / sent as f64;
    (each(start.elapsed().as_nanos() as f64), each((ALLOCATIONS.load(Relaxed) - before) as f64))
}

fn linked<T: Cargo>(room: usize) -> Linked<T> {
    let bell = || Arc::new(Bell::new(Arc::new(|_| {})));
    let (near, far) = link(room, &bell(), Id(1), &bell());
    far.open(Id(2));
    Linked { backlog: Backlog::new(CAP), near, far }
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
        "c-steady" => run::<T>(&mut Hosted::new(1), 0, rounds, false),
        "c-trickle" => run::<T>(&mut Hosted::new(1), 1, rounds, false),
        "c-spill" => run::<T>(&mut Hosted::new(1), 4, rounds, false),
        "c-burst" => bursts::<T>(&mut Hosted::new(CAP), rounds, false),
        "burst-empty" => bursts::<T>(&mut Empty, rounds, true),
        "link-steady" => run::<T>(&mut linked(CAP), 0, rounds, false),
        "link-spill" => run::<T>(&mut linked(1), 4, rounds, false),
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
        Some(("token", rest)) => workload::<Token>(rest, rounds),
        _ => panic!("no workload {name}"),
    };
    println!("{nanoseconds:.1} {allocations:.4}");
}
