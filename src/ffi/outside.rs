//! Calls to the host that are not a call's answer: log lines, and the wake-ups of other engines.
//!
//! They wait here, on the thread of the call that caused them, until the work of that call is done. They are made where
//! no panic is caught, as an exception of the host's may come out of them, and catching it would end the process.

use crate::hub::Call;
use libc::c_void;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::CString;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

/// Threads on which anything waits. Every call asks this first, as a thread's own flag takes longer to find. A thread
/// sees at least what it has said itself; one that ends with something left stays counted, and costs others a look.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Anything waits.
    static ANY: Cell<bool> = const { Cell::new(false) };
    static WAITING: RefCell<Waiting> = const { RefCell::new(Waiting { wakes: VecDeque::new(), lines: Vec::new() }) };
    /// The number of notify functions that this thread is inside.
    static NOTIFYING: Cell<u32> = const { Cell::new(0) };
}

struct Waiting {
    wakes: VecDeque<Wake>,
    lines: Vec<Line>,
}

/// A log line that is made, and waits for the end of the call that it is about.
pub(super) struct Line {
    pub level: u32,
    pub engine: u32,
    pub text: CString,
    /// Hands it to the host, if that still wants it.
    pub deliver: fn(&Line),
}

/// A notify function of the host's, and what it wants to be called with.
pub(super) struct Host {
    pub call: unsafe extern "C-unwind" fn(userdata: *mut c_void),
    pub userdata: *mut c_void,
    /// Keeps alive what the function may use.
    pub _keeps: Arc<dyn Any + Send + Sync>,
}

// SAFETY (both): the host has agreed to be called on other engines' threads, with this userdata.
unsafe impl Send for Host {}
unsafe impl Sync for Host {}

impl Host {
    /// Not where panics are caught: an exception may come out of it.
    fn wake(&self) {
        // SAFETY: the host's own function, called with the host's own userdata.
        unsafe { (self.call)(self.userdata) }
    }
}

/// A wake-up that is due. As long as it is there, the engine it is for cannot leave its hub.
struct Wake {
    host: Arc<Host>,
    _call: Call,
}

/// True when calls wait to be made.
#[inline(always)]
pub(super) fn is_due() -> bool {
    THREADS.load(Relaxed) != 0 && is_due_here()
}

#[cold]
#[inline(never)]
fn is_due_here() -> bool {
    ANY.with(Cell::get)
}

/// Something waits on this thread, or nothing any more.
fn set_any(any: bool) {
    if ANY.with(|there| there.replace(any)) != any {
        match any {
            true => THREADS.fetch_add(1, Relaxed),
            false => THREADS.fetch_sub(1, Relaxed),
        };
    }
}

/// Puts a wake-up to wait.
pub(super) fn wake(host: &Arc<Host>, call: Call) {
    let wake = Wake { host: Arc::clone(host), _call: call };
    let mut wake = Some(wake);
    // A thread that ends has no place for it any more.
    let _ = WAITING.try_with(|waiting| waiting.borrow_mut().wakes.extend(wake.take()));
    match wake {
        None => set_any(true),
        Some(wake) => wake.make(),
    }
}

/// Puts a log line to wait.
pub(super) fn log(line: Line) {
    if WAITING.try_with(|waiting| waiting.borrow_mut().lines.push(line)).is_ok() {
        set_any(true);
    }
}

/// True inside a notify function, on this thread.
pub(super) fn is_notifying() -> bool {
    NOTIFYING.with(Cell::get) > 0
}

/// Makes all calls that wait. An exception comes out of it; then log lines are lost, and wake-ups are not.
///
/// Wake-ups first: an engine cannot be freed while one is due, and a log function may free another engine.
#[cold]
pub(super) fn make_calls() {
    set_any(false);
    let rest = Rest;
    while let Some(wake) = next_wake() {
        wake.make();
    }
    std::mem::forget(rest);
    // Taken out first: the log function may call other engines, which have lines of their own.
    let lines = WAITING.try_with(|waiting| std::mem::take(&mut waiting.borrow_mut().lines)).unwrap_or_default();
    lines.iter().for_each(|line| (line.deliver)(line));
}

fn next_wake() -> Option<Wake> {
    WAITING.try_with(|waiting| waiting.borrow_mut().wakes.pop_front()).ok().flatten()
}

/// When an exception passes, the others are woken all the same. A second one ends the process, as in C++.
struct Rest;

impl Drop for Rest {
    fn drop(&mut self) {
        while let Some(wake) = next_wake() {
            wake.make();
        }
    }
}

impl Wake {
    fn make(self) {
        let _inside = Inside::new();
        self.host.wake();
    }
}

/// Marks the thread as inside a notify function.
struct Inside;

impl Inside {
    fn new() -> Self {
        NOTIFYING.with(|depth| depth.set(depth.get() + 1));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        NOTIFYING.with(|depth| depth.set(depth.get() - 1));
    }
}
