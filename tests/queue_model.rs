//! The backpressure queue against a model that a reader can check at a glance: two lists, one rule, rows Q1 to Q8. Where
//! it stands: at the edge of a circuit, before a link between event loops, before a sink of a host's in C.

use circflow::base::Id;
use circflow::ffi::*;
use circflow::hub::{link, Bell, Cargo, Left, LinkEnd, News};
use circflow::message::{Message, Store, Token};
use circflow::queue::{Backlog, Pushed, Refused};
use circflow::reactor::{Edge, Marks, Offer};
use circflow::wire::Command;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::Arc;

/// What happens to a queue, by chance.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Drain,
    /// The receiver takes one.
    Take,
    /// The sender takes one out of its backlog.
    TakeBack,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        40 => Just(Step::Push),
        15 => Just(Step::Drain),
        30 => Just(Step::Take),
        3 => Just(Step::TakeBack),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 1..200)
}

/// What an operation answers, in words of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    Through,
    Kept,
    Full,
    Closed,
    Moved(usize),
    Item(Option<u64>),
    /// What the close handed back out of the sink.
    Back(Vec<u64>),
}

/// The rule, naively: a sink is a list with so much room, a backlog is a list with a cap.
struct Model {
    sink: VecDeque<u64>,
    room: usize,
    closed: bool,
    waiting: VecDeque<u64>,
    cap: usize,
}

impl Model {
    fn push(&mut self, item: u64) -> Answer {
        if self.closed {
            Answer::Closed // Q5
        } else if self.waiting.is_empty() && self.sink.len() < self.room {
            self.sink.push_back(item); // Q1
            Answer::Through
        } else if self.waiting.len() < self.cap {
            self.waiting.push_back(item); // Q1, Q2
            Answer::Kept
        } else {
            Answer::Full // Q4, Q6
        }
    }

    fn drain(&mut self) -> Answer {
        if self.closed {
            return Answer::Closed; // Q5
        }
        let mut moved = 0;
        while self.sink.len() < self.room {
            let Some(item) = self.waiting.pop_front() else { break };
            self.sink.push_back(item); // Q3
            moved += 1;
        }
        Answer::Moved(moved)
    }
}

/// A queue of some kind with both ends of its sink in hand.
trait Subject {
    fn push(&mut self, item: u64) -> Answer;
    fn drain(&mut self) -> Answer;
    fn take(&mut self) -> Option<u64>;
    fn take_back(&mut self) -> Option<u64>;
    /// Closes the sink and answers what was in it.
    fn close(&mut self) -> Vec<u64>;
    /// What waits, after: whether any, how many.
    fn figures(&self) -> (bool, usize);
    fn rest(self) -> Vec<u64>;
}

/// A circuit's edge: it keeps messages in a store, and its sink says when it is full.
struct AtEdge {
    edge: Edge,
    marks: Marks,
    store: Store,
    sink: VecDeque<u64>,
    room: usize,
}

impl AtEdge {
    fn new(room: usize, cap: usize) -> Self {
        let marks = Marks { high: cap as u32, low: 0, over: 0 };
        let mut new = AtEdge { edge: Edge::default(), marks, store: Store::new(u64::MAX), sink: VecDeque::new(), room };
        new.say_room();
        new
    }

    fn say_room(&mut self) {
        self.edge.set_full(self.sink.len() >= self.room);
    }
}

impl Subject for AtEdge {
    fn push(&mut self, item: u64) -> Answer {
        match self.edge.offer(&self.marks) {
            Offer::Through => {
                self.sink.push_back(item);
                self.say_room();
                Answer::Through
            }
            Offer::Keep => {
                let token = Some(Token { token: item, cost: 1 });
                let cell = Message { command: Command::DATA, hop: 0, stream_id: 0, body: &[], token };
                assert!(self.edge.keep(&cell, &self.marks, &mut self.store, 1).is_some());
                Answer::Kept
            }
            Offer::Overrun => Answer::Full,
        }
    }

    fn drain(&mut self) -> Answer {
        let mut moved = 0;
        while let Some((cell, _)) = self.edge.take(&self.marks, &mut self.store, &mut [].as_mut_slice()).unwrap() {
            self.sink.push_back(cell.token.unwrap().token);
            self.say_room();
            moved += 1;
        }
        Answer::Moved(moved)
    }

    fn take(&mut self) -> Option<u64> {
        let taken = self.sink.pop_front();
        self.say_room();
        taken
    }

    fn take_back(&mut self) -> Option<u64> {
        unreachable!("an edge takes nothing back")
    }

    fn close(&mut self) -> Vec<u64> {
        unreachable!("an edge whose sink is gone is cut, not closed")
    }

    fn figures(&self) -> (bool, usize) {
        (self.edge.waiting() > 0, self.edge.waiting() as usize)
    }

    fn rest(mut self) -> Vec<u64> {
        let mut lane = self.edge.take_rest();
        std::iter::from_fn(|| self.store.pop(&mut lane, &mut [].as_mut_slice()).unwrap())
            .map(|(cell, _)| cell.token.unwrap().token)
            .collect()
    }
}

/// What owns memory, so that a lost or doubled item would show.
#[derive(Debug)]
struct Owned(Box<u64>);

impl Cargo for Owned {}

/// A backlog before a link between two event loops.
struct Linked {
    backlog: Backlog<Owned>,
    near: LinkEnd<Owned, Owned>,
    far: Option<LinkEnd<Owned, Owned>>,
}

impl Linked {
    fn new(room: usize, cap: usize) -> Self {
        let bell = || Arc::new(Bell::new(Arc::new(|_| {})));
        let (near, far) = link(room, &bell(), Id(1), &bell());
        far.open(Id(2));
        Linked { backlog: Backlog::new(cap), near, far: Some(far) }
    }
}

impl Subject for Linked {
    fn push(&mut self, item: u64) -> Answer {
        match self.backlog.push(&mut &self.near, Owned(Box::new(item))) {
            Ok(Pushed::Through) => Answer::Through,
            Ok(Pushed::Kept) => Answer::Kept,
            Err(Refused::Full(back)) => {
                assert_eq!(*back.0, item, "a refused item is the sender's");
                Answer::Full
            }
            Err(Refused::Closed(back)) => {
                assert_eq!(*back.0, item, "a refused item is the sender's");
                Answer::Closed
            }
        }
    }

    fn drain(&mut self) -> Answer {
        self.backlog.drain(&mut &self.near).map_or(Answer::Closed, Answer::Moved)
    }

    fn take(&mut self) -> Option<u64> {
        let far = self.far.as_mut()?;
        let news = far.poll();
        far.report_read();
        match news {
            News::Item(item) => Some(*item.0),
            News::Nothing | News::Over(_) => None,
        }
    }

    fn take_back(&mut self) -> Option<u64> {
        self.backlog.take_first().map(|item| *item.0)
    }

    fn close(&mut self) -> Vec<u64> {
        let mut unread = Vec::new();
        let far = self.far.take().into_iter();
        far.for_each(|far| {
            far.close(0, |left| unread.extend(if let Left::Unread(item) = left { Some(*item.0) } else { None }))
        });
        unread
    }

    fn figures(&self) -> (bool, usize) {
        (self.backlog.has_pending(), self.backlog.len())
    }

    fn rest(mut self) -> Vec<u64> {
        self.backlog.take_rest().map(|item| *item.0).collect()
    }
}

/// A queue before a host's sink, through the functions of C: it is lent items, and is known to be full by trying
/// only. It takes tokens and bytes by turns.
struct Hosted {
    queue: *mut circflow_queue,
    wire: Box<Wire>,
}

struct Wire {
    taken: VecDeque<u64>,
    room: usize,
    is_closed: bool,
}

unsafe extern "C-unwind" fn try_send(wire: *mut c_void, item: *const circflow_queue_item) -> i32 {
    let wire = &mut *wire.cast::<Wire>();
    if wire.is_closed {
        return CIRCFLOW_SINK_CLOSED;
    }
    if wire.taken.len() == wire.room {
        return CIRCFLOW_SINK_FULL;
    }
    wire.taken.push_back(number(&*item));
    CIRCFLOW_SINK_TAKEN
}

unsafe extern "C-unwind" fn is_closed(wire: *mut c_void) -> i32 {
    (*wire.cast::<Wire>()).is_closed.into()
}

const ITEM_MAX: usize = 514;

impl Hosted {
    fn new(room: usize, cap: usize) -> Self {
        let wire = Box::new(Wire { taken: VecDeque::new(), room, is_closed: false });
        let mut queue = std::ptr::null_mut();
        let config = circflow_queue_config {
            size: size_of::<circflow_queue_config>(),
            backlog_max: cap as u32,
            item_bytes_max: ITEM_MAX as u32,
        };
        assert_eq!(unsafe { circflow_queue_new(&config, &mut queue) }, circflow_status::CIRCFLOW_OK);
        Hosted { queue, wire }
    }

    fn sink(&mut self) -> circflow_queue_sink {
        let userdata = std::ptr::from_mut(&mut *self.wire).cast();
        circflow_queue_sink { try_send: Some(try_send), is_closed: Some(is_closed), userdata }
    }

    fn ask(&self, call: unsafe extern "C-unwind" fn(*mut circflow_queue, *mut u32) -> circflow_status) -> u32 {
        let mut answer = 0;
        assert_eq!(unsafe { call(self.queue, &mut answer) }, circflow_status::CIRCFLOW_OK);
        answer
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        unsafe { circflow_queue_free(self.queue, None, std::ptr::null_mut()) };
    }
}

/// Even numbers are tokens, odd ones bytes of a length of their own.
unsafe fn number(item: &circflow_queue_item) -> u64 {
    if item.form == CIRCFLOW_FORM_TOKEN {
        return item.token;
    }
    let bytes = std::slice::from_raw_parts(item.bytes, item.bytes_len as usize);
    let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes.len(), length(number));
    assert!(bytes[8..].iter().all(|&byte| byte == number as u8));
    number
}

fn length(number: u64) -> usize {
    8 + (number as usize * 37) % 507
}

impl Subject for Hosted {
    fn push(&mut self, item: u64) -> Answer {
        let mut bytes = vec![item as u8; length(item)];
        bytes[..8].copy_from_slice(&item.to_be_bytes());
        let form = if item % 2 == 0 { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES };
        let item = circflow_queue_item { token: item, bytes: bytes.as_ptr(), bytes_len: bytes.len() as u32, form };
        let (sink, mut kept) = (self.sink(), 9);
        match unsafe { circflow_queue_push(self.queue, &item, &mut kept, &sink) } {
            circflow_status::CIRCFLOW_OK if kept == 0 => Answer::Through,
            circflow_status::CIRCFLOW_OK => Answer::Kept,
            circflow_status::CIRCFLOW_ERR_QUEUE_FULL => Answer::Full,
            circflow_status::CIRCFLOW_ERR_SINK_CLOSED => Answer::Closed,
            other => panic!("{other:?}"),
        }
    }

    fn drain(&mut self) -> Answer {
        let (sink, mut moved) = (self.sink(), 0);
        match unsafe { circflow_queue_drain(self.queue, &mut moved, &sink) } {
            circflow_status::CIRCFLOW_OK => Answer::Moved(moved as usize),
            circflow_status::CIRCFLOW_ERR_SINK_CLOSED => Answer::Closed,
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self) -> Option<u64> {
        self.wire.taken.pop_front()
    }

    fn take_back(&mut self) -> Option<u64> {
        let (mut bytes, mut item) = ([0; ITEM_MAX], std::mem::MaybeUninit::uninit());
        unsafe {
            let status = circflow_queue_take(self.queue, bytes.as_mut_ptr(), ITEM_MAX, item.as_mut_ptr());
            assert_eq!(status, circflow_status::CIRCFLOW_OK);
            let item = item.assume_init();
            (item.form != CIRCFLOW_FORM_NONE).then(|| number(&item))
        }
    }

    fn close(&mut self) -> Vec<u64> {
        self.wire.is_closed = true;
        self.wire.taken.drain(..).collect()
    }

    fn figures(&self) -> (bool, usize) {
        let mut pending = 9;
        assert_eq!(unsafe { circflow_queue_get_pending(self.queue, &mut pending) }, circflow_status::CIRCFLOW_OK);
        (pending == 1, self.ask(circflow_queue_get_len) as usize)
    }

    fn rest(mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.take_back()).collect()
    }
}

/// Walks both through the same steps, and compares every answer and what is left.
fn compare(mut subject: impl Subject, room: usize, cap: usize, steps: &[Step]) {
    let mut model = Model { sink: VecDeque::new(), room, closed: false, waiting: VecDeque::new(), cap };
    for (number, step) in steps.iter().enumerate() {
        let item = number as u64;
        let (got, want) = match step {
            Step::Push => (subject.push(item), model.push(item)),
            Step::Drain => (subject.drain(), model.drain()),
            Step::Take => (Answer::Item(subject.take()), Answer::Item(model.sink.pop_front())),
            Step::TakeBack => (Answer::Item(subject.take_back()), Answer::Item(model.waiting.pop_front())),
            Step::Close => {
                model.closed = true;
                (Answer::Back(subject.close()), Answer::Back(model.sink.drain(..).collect()))
            }
        };
        assert_eq!(got, want, "step {number}: {step:?}");
        assert_eq!(subject.figures(), (!model.waiting.is_empty(), model.waiting.len()), "step {number}: {step:?}");
        // Q8
    }
    assert_eq!(subject.rest(), Vec::from(model.waiting)); // Q5
}

proptest! {
    #[test]
    fn q1_to_q8_at_an_edge(cap in 0usize..12, room in 0usize..5, mut steps in steps()) {
        steps.retain(|step| !matches!(step, Step::TakeBack | Step::Close));
        compare(AtEdge::new(room, cap), room, cap, &steps);
    }

    #[test]
    fn q1_to_q8_before_a_link(cap in 0usize..12, room in 1usize..5, steps in steps()) {
        compare(Linked::new(room, cap), room, cap, &steps);
    }

    #[test]
    fn q1_to_q8_before_a_channel_of_the_hosts(cap in 0usize..12, room in 0usize..5, steps in steps()) {
        compare(Hosted::new(room, cap), room, cap, &steps);
    }
}
