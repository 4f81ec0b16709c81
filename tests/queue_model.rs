//! The backpressure queue against a model that a reader can check at a glance: two lists, one rule, rows Q1 to Q8.

use circflow::queue::{cross, Backlog, Channel, Item, Packed, Pushed, Refused, Slot, TrySend};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

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
    /// What the close handed back out of the channel.
    Back(Vec<u64>),
}

/// The rule, naively: a channel is a list with so much room, a backlog is a list with a cap.
struct Model {
    channel: VecDeque<u64>,
    room: usize,
    closed: bool,
    waiting: VecDeque<u64>,
    cap: usize,
}

impl Model {
    fn push(&mut self, item: u64) -> Answer {
        if self.closed {
            Answer::Closed // Q5
        } else if self.waiting.is_empty() && self.channel.len() < self.room {
            self.channel.push_back(item); // Q1
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
        while self.channel.len() < self.room {
            let Some(item) = self.waiting.pop_front() else { break };
            self.channel.push_back(item); // Q3
            moved += 1;
        }
        Answer::Moved(moved)
    }
}

/// A queue of some kind with both ends of its channel in hand.
trait Subject {
    fn push(&mut self, item: u64) -> Answer;
    fn drain(&mut self) -> Answer;
    fn take(&mut self) -> Option<u64>;
    fn take_back(&mut self) -> Option<u64>;
    /// Closes the channel and answers what was in it.
    fn close(&mut self) -> Vec<u64>;
    /// What waits, after: whether any, how many.
    fn figures(&self) -> (bool, usize);
    fn rest(self) -> Vec<u64>;
}

fn pushed<T>(answer: Result<Pushed, Refused<T>>, whose: impl Fn(T)) -> Answer {
    match answer {
        Ok(Pushed::Through) => Answer::Through,
        Ok(Pushed::Kept) => Answer::Kept,
        Err(Refused::Full(item)) => {
            whose(item);
            Answer::Full
        }
        Err(Refused::Closed(item)) => {
            whose(item);
            Answer::Closed
        }
    }
}

/// What owns memory, so that a lost or doubled item would show.
type Owned = Box<u64>;

struct Plain<C> {
    backlog: Backlog<Owned>,
    channel: C,
}

impl<C: Ends> Subject for Plain<C> {
    fn push(&mut self, item: u64) -> Answer {
        let answer = self.backlog.push(&mut self.channel, Box::new(item));
        pushed(answer, |back| assert_eq!(*back, item, "a refused item is the sender's"))
    }

    fn drain(&mut self) -> Answer {
        self.backlog.drain(&mut self.channel).map_or(Answer::Closed, Answer::Moved)
    }

    fn take(&mut self) -> Option<u64> {
        self.channel.take().map(|item| *item)
    }

    fn take_back(&mut self) -> Option<u64> {
        self.backlog.take_first().map(|item| *item)
    }

    fn close(&mut self) -> Vec<u64> {
        self.channel.close()
    }

    fn figures(&self) -> (bool, usize) {
        (self.backlog.has_pending(), self.backlog.len())
    }

    fn rest(mut self) -> Vec<u64> {
        self.backlog.take_rest().map(|item| *item).collect()
    }
}

/// A channel with its far end.
trait Ends: Channel<Owned> {
    fn take(&mut self) -> Option<Owned>;
    fn close(&mut self) -> Vec<u64>;
}

impl Ends for Slot<Owned> {
    fn take(&mut self) -> Option<Owned> {
        Slot::take(self)
    }

    fn close(&mut self) -> Vec<u64> {
        Slot::close(self).map(|item| *item).into_iter().collect()
    }
}

struct Cross(cross::Sender<Owned>, Option<cross::Receiver<Owned>>);

impl Channel<Owned> for Cross {
    fn try_send(&mut self, item: Owned) -> Result<(), TrySend<Owned>> {
        self.0.try_send(item)
    }

    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    fn may_take(&self) -> bool {
        self.0.may_take()
    }
}

impl Ends for Cross {
    fn take(&mut self) -> Option<Owned> {
        self.1.as_mut()?.take()
    }

    fn close(&mut self) -> Vec<u64> {
        let Some(mut receiver) = self.1.take() else {
            return Vec::new();
        };
        receiver.close();
        std::iter::from_fn(|| receiver.take()).map(|item| *item).collect()
    }
}

/// A host's channel, as C has it: it is lent items, and is known to be full by trying only. It takes tokens and bytes
/// by turns.
struct Hosted {
    queue: Packed,
    wire: Wire,
}

#[derive(Clone)]
struct Wire(Rc<RefCell<(VecDeque<u64>, usize, bool)>>);

impl<'a> Channel<Item<'a>> for Wire {
    fn try_send(&mut self, item: Item<'a>) -> Result<(), TrySend<Item<'a>>> {
        let (taken, room, closed) = &mut *self.0.borrow_mut();
        if *closed {
            return Err(TrySend::Closed(item));
        }
        if taken.len() == *room {
            return Err(TrySend::Full(item));
        }
        taken.push_back(number(item));
        Ok(())
    }

    fn is_closed(&self) -> bool {
        self.0.borrow().2
    }
}

/// Even numbers are tokens, odd ones bytes of a length of their own.
fn number(item: Item) -> u64 {
    match item {
        Item::Token(token) => token,
        Item::Bytes(bytes) => {
            let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
            assert_eq!(bytes.len(), length(number));
            assert!(bytes[8..].iter().all(|&byte| byte == number as u8));
            number
        }
    }
}

fn length(number: u64) -> usize {
    8 + (number as usize * 37) % 507
}

impl Subject for Hosted {
    fn push(&mut self, item: u64) -> Answer {
        let mut bytes = vec![item as u8; length(item)];
        bytes[..8].copy_from_slice(&item.to_be_bytes());
        let form = if item % 2 == 0 { Item::Token(item) } else { Item::Bytes(&bytes) };
        pushed(self.queue.push(&mut self.wire, form), |()| ())
    }

    fn drain(&mut self) -> Answer {
        self.queue.drain(&mut self.wire).map_or(Answer::Closed, Answer::Moved)
    }

    fn take(&mut self) -> Option<u64> {
        self.wire.0.borrow_mut().0.pop_front()
    }

    fn take_back(&mut self) -> Option<u64> {
        let first = self.queue.first().map(number);
        self.queue.drop_first();
        first
    }

    fn close(&mut self) -> Vec<u64> {
        let mut wire = self.wire.0.borrow_mut();
        wire.2 = true;
        wire.0.drain(..).collect()
    }

    fn figures(&self) -> (bool, usize) {
        (self.queue.has_pending(), self.queue.len())
    }

    fn rest(self) -> Vec<u64> {
        self.queue.iter().map(number).collect()
    }
}

/// Walks both through the same steps, and compares every answer and what is left.
fn compare(mut subject: impl Subject, room: usize, cap: usize, steps: &[Step]) {
    let mut model = Model { channel: VecDeque::new(), room, closed: false, waiting: VecDeque::new(), cap };
    for (number, step) in steps.iter().enumerate() {
        let item = number as u64;
        let (got, want) = match step {
            Step::Push => (subject.push(item), model.push(item)),
            Step::Drain => (subject.drain(), model.drain()),
            Step::Take => (Answer::Item(subject.take()), Answer::Item(model.channel.pop_front())),
            Step::TakeBack => (Answer::Item(subject.take_back()), Answer::Item(model.waiting.pop_front())),
            Step::Close => {
                model.closed = true;
                (Answer::Back(subject.close()), Answer::Back(model.channel.drain(..).collect()))
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
    fn q1_to_q8_inside_an_engine(cap in 0usize..12, steps in steps()) {
        compare(Plain { backlog: Backlog::new(cap), channel: Slot::new() }, 1, cap, &steps);
    }

    #[test]
    fn q1_to_q8_between_event_loops(cap in 0usize..12, room in 0usize..5, steps in steps()) {
        let (sender, receiver) = cross::bounded(room);
        compare(Plain { backlog: Backlog::new(cap), channel: Cross(sender, Some(receiver)) }, room, cap, &steps);
    }

    #[test]
    fn q1_to_q8_over_a_channel_of_the_hosts(cap in 0usize..12, room in 0usize..5, steps in steps()) {
        let wire = Wire(Rc::new(RefCell::new((VecDeque::new(), room, false))));
        compare(Hosted { queue: Packed::new(cap, 514), wire }, room, cap, &steps);
    }
}
