//! Handing instructions out. Each is made from an entry of the queue when the host takes it.

use crate::base::Id;
use crate::conflux::{Control, LegIx, SetTerms};
use crate::engine::out::insn::{Instruction, Queued, Released, SetNews, Taker, What};
use crate::engine::out::leftover::{Given, StepsLeft};
use crate::engine::{Circuit, Engine, Error, LinkStep, Place};
use crate::event::{Class, Event};
use crate::message::{Bodies, Delivery, Lane, TooSmall};
use crate::padding::Pad;
use crate::reactor::{Edge, FeedChange, Owner, Side};
use crate::wire::conflux::{Link, Switch};
use crate::wire::sendme::{Digest, Sendme};
use crate::wire::Command;

impl Engine {
    /// True when an instruction waits. Entries of which no instruction can be made any more are dropped.
    pub fn waiting(&mut self) -> bool {
        let mut budget = StepsLeft::default();
        loop {
            let Some(first) = self.out.queue.first() else { return false };
            let (says_something, marked) = match first {
                &mut Queued::Edge { circuit, side } => {
                    let ready = self.circuits.get(circuit).is_some_and(|open| {
                        open.place != Place::Closing
                            && open.reactor.as_ref().is_some_and(|reactor| reactor.edge_at(side).is_ready())
                    });
                    if !ready {
                        self.unmark_edge(circuit, side);
                    }
                    (ready, None)
                }
                Queued::Ready { set } => {
                    let state = self.sets.get(*set);
                    (state.is_some_and(|state| state.is_ready() || state.has_unread()), Some(*set))
                }
                Queued::Leftover => (self.leftover_waits(&mut budget), None),
                &mut Queued::FromHome { circuit } => {
                    if !self.comes_straight(circuit) {
                        self.end_home_turn(circuit);
                        continue;
                    }
                    (true, None)
                }
                &mut Queued::Channel { channel } => (self.turn_waits(channel), None),
                &mut Queued::Released { circuit, set, lane, number, .. } => {
                    if self.circuits.get(circuit).is_none() {
                        self.return_to_host(set, lane);
                        continue;
                    }
                    if number == 0 && self.drop_late_flow() {
                        continue;
                    }
                    (true, None)
                }
                other => {
                    let queued = *other;
                    if matches!(self.compose(queued, &mut []), Ok(None)) {
                        self.out.queue.drop_first();
                        self.after_taken(queued, false);
                        continue;
                    }
                    (true, None)
                }
            };
            if says_something {
                return true;
            }
            if let Some(set) = marked {
                self.unmark_ready(set);
            }
            self.out.queue.drop_first();
        }
    }

    /// Takes the READY mark of a set away, as no more of its messages are ready.
    fn unmark_ready(&mut self, set: Id) {
        if let Some(state) = self.sets.get_mut(set) {
            state.unmark_ready();
            self.note_all_taken(set);
        }
    }

    /// Writes down how much a set still holds, once all its ready messages are taken.
    #[inline(always)]
    pub(super) fn note_all_taken(&mut self, set: Id) {
        let now = self.time.clock.latest();
        if let Some(state) = self.sets.get_mut(set).filter(|state| state.is_noted() && !state.is_ready()) {
            state.ran_out(&self.held.store, now);
            if state.held() == 0 {
                self.note_none_held(set);
            }
        }
    }

    /// True when no instruction waits. Then the figures that engines share are brought up to date.
    #[inline(always)]
    pub fn is_idle(&mut self) -> bool {
        let nothing = self.out.queue.is_empty();
        if nothing {
            self.share_figures();
        }
        nothing
    }

    /// All is handed out. Brings the figures that engines share up to date, and looks at the level of the log, which is
    /// the process's: each turn of a host's loop comes by here.
    #[inline(always)]
    fn come_to_rest(&mut self) {
        self.share_figures();
        if self.events.look(self.time.clock.latest()) {
            self.update_ways();
        }
    }

    /// Takes the first instruction; true when `taker` has one. Handles messages whose turn has come, cells that go on
    /// and padding cells, which are most; [`Engine::poll`] makes the others.
    #[inline(always)]
    pub fn poll_into(&mut self, bodies: &mut impl Bodies, taker: &mut impl Taker) -> Result<bool, Error> {
        let given = match self.out.queue.first() {
            None => {
                self.come_to_rest();
                return Ok(false);
            }
            Some(&mut Queued::Ready { set }) => self.take_ready(set, bodies, taker),
            Some(&mut Queued::Edge { circuit, side }) => self.take_waiting(circuit, side, bodies, taker),
            Some(&mut Queued::Channel { channel }) => self.take_turn(channel, bodies, taker),
            Some(&mut Queued::FromHome { circuit }) => self.take_from_home(circuit, bodies, taker),
            Some(&mut Queued::Pad { circuit, pad, asks: false }) => Ok(self.take_pad(circuit, pad, taker)),
            Some(_) => Ok(false),
        };
        if given.map_err(|TooSmall| Error::TOO_SMALL)? {
            return Ok(true);
        }
        if std::mem::take(&mut self.out.paused) {
            return Ok(false);
        }
        let next = self.poll(bodies.buffer())?;
        let some = next.is_some();
        next.into_iter().for_each(|next| taker.take(next));
        Ok(some)
    }

    /// Nobody reads the body any more that was lent.
    #[inline(always)]
    pub fn give_back(&mut self) {
        self.held.store.give_back();
    }

    /// Takes a cell that waited at an edge and may go. True when there was one. (One function, so that the cell is
    /// copied from its node straight to the host's struct.)
    #[inline(never)]
    pub(in crate::engine) fn take_waiting(
        &mut self,
        id: Id,
        side: Side,
        bodies: &mut impl Bodies,
        taker: &mut impl Taker,
    ) -> Result<bool, TooSmall> {
        let Some(circuit) = self.circuits.get_mut(id) else { return Ok(false) };
        let Circuit { place, config, reactor: Some(reactor), .. } = circuit else { return Ok(false) };
        if *place == Place::Closing {
            return Ok(false);
        }
        let Some((cell, change)) = reactor.edge(side).take(&self.settings.marks, &mut self.held.store, bodies)? else {
            return Ok(false);
        };
        let (tag, leg) = (config.tag, place.leg());
        let (padded, last) = (circuit.padding.is_some(), reactor.edge_at(side).waiting() == 0);
        if last && !circuit.note_emptied() {
            self.shrank(id);
        }
        let tag_of = |set: Id| self.sets.get(set).map_or(0, |state| state.terms().tag);
        let (set, set_tag) = leg.map_or((Id::NONE, 0), |(set, _)| (set, tag_of(set)));
        if change != FeedChange::Unchanged {
            self.change_feed(id, side.opposite(), change);
        }
        self.padding.purse.sent(u64::from(side == Side::Back));
        if padded && side == Side::Back {
            self.tell_padders(id, 0, self.time.clock.latest());
        }
        if side == Side::Back && last {
            // The cells that waited were in the way of streams of this relay.
            self.resume_circuit(id);
        }
        if Edge::is_own(&cell) {
            // This copy is made here only, so that a passing cell need not be in memory.
            let message = Delivery { number: 0, ..cell };
            give_own(taker, move |what| Instruction::about(id, tag, set, set_tag, what), message);
        } else {
            taker.take(Instruction::about(id, tag, set, set_tag, What::Write { side, cell }));
        }
        Ok(true)
    }

    /// Takes the padding cell that is first in the queue. False when its circuit has gone, or is closing.
    #[inline(always)]
    fn take_pad(&mut self, circuit: Id, pad: Pad, taker: &mut impl Taker) -> bool {
        self.out.queue.drop_first();
        let Some(about) = self.about(circuit) else { return false };
        taker.take(Instruction { what: What::Pad { pad, asks: false }, ..about });
        // A host that knows how many there are does not ask again.
        self.is_idle();
        true
    }

    /// Takes the first instruction, its body into `buffer`.
    pub fn poll(&mut self, mut buffer: &mut [u8]) -> Result<Option<Instruction>, Error> {
        let mut budget = StepsLeft::default();
        loop {
            let Some(first) = self.out.queue.first() else {
                self.come_to_rest();
                return Ok(None);
            };
            // A mark stays first until nothing that it stands for is left.
            match first {
                &mut Queued::Ready { set } => {
                    let mut taken = None;
                    match self.take_ready(set, &mut buffer, &mut taken) {
                        Ok(true) => return Ok(taken),
                        Ok(false) if std::mem::take(&mut self.out.paused) => return Ok(None),
                        Ok(false) => self.unmark_ready(set),
                        Err(TooSmall) => return Err(Error::TOO_SMALL),
                    }
                }
                Queued::Leftover => match self.take_leftover(buffer, &mut budget) {
                    Ok(Given::One(instruction)) => return Ok(Some(instruction)),
                    Ok(Given::Over) => {}
                    Ok(Given::Later) => {
                        self.time.alarms.set_left(true);
                        return Ok(None);
                    }
                    Err(TooSmall) => return Err(Error::TOO_SMALL),
                },
                &mut Queued::Edge { circuit, side } => {
                    let mut taken = None;
                    match self.take_waiting(circuit, side, &mut buffer, &mut taken) {
                        Ok(true) => return Ok(taken),
                        Ok(false) => self.unmark_edge(circuit, side),
                        Err(TooSmall) => return Err(Error::TOO_SMALL),
                    }
                }
                &mut Queued::Channel { channel } => {
                    let mut taken = None;
                    match self.take_turn(channel, &mut buffer, &mut taken) {
                        Ok(true) => return Ok(taken),
                        Ok(false) => self.unmark_channel(channel),
                        Err(TooSmall) => return Err(Error::TOO_SMALL),
                    }
                }
                &mut Queued::FromHome { circuit } => match self.take_turn_of_home(circuit, buffer)? {
                    None => continue,
                    instruction => return Ok(instruction),
                },
                &mut Queued::LinkedAway { circuit } => match self.take_linked_away(circuit, buffer)? {
                    None => continue,
                    instruction => return Ok(instruction),
                },
                &mut Queued::Released { number, .. } => {
                    // A message of a set has a number, and is never late.
                    if number == 0 && self.drop_late_flow() {
                        continue;
                    }
                    match self.take_released(buffer)? {
                        None => continue,
                        instruction => return Ok(instruction),
                    }
                }
                other => {
                    let queued = *other;
                    let instruction = self.compose(queued, buffer)?;
                    self.out.queue.drop_first();
                    self.after_taken(queued, instruction.is_some());
                    match instruction {
                        Some(instruction) => {
                            // A host that knows how many there are does not ask again.
                            self.is_idle();
                            return Ok(Some(instruction));
                        }
                        None => continue,
                    }
                }
            }
            self.out.queue.drop_first();
        }
    }

    /// Takes LINKED for a leg whose set is on another engine, if the leg is still there.
    fn take_linked_away(&mut self, circuit: Id, buffer: &mut [u8]) -> Result<Option<Instruction>, Error> {
        let is_there = self.take_linked(circuit, buffer)?;
        self.out.queue.drop_first();
        let Some(about) = self.about(circuit).filter(|_| is_there) else { return Ok(None) };
        let hop = self.circuits.get(circuit).map_or(0, |open| open.config.hops.last());
        self.count_sent(circuit, hop, self.time.clock.latest());
        let (command, body_len) = (Command::CONFLUX_LINKED, Link::LEN as u16);
        Ok(Some(Instruction { what: What::Send { command, hop, body_len }, ..about }))
    }

    /// Drops XOFF or XON of ours that is first in the queue, if its stream has ended: the host's END has left before
    /// it, and nothing may follow an END. True when it was dropped. (In a set, here or elsewhere, and where padders
    /// count cells, an END waits behind messages of ours.)
    #[cold]
    #[inline(never)]
    fn drop_late_flow(&mut self) -> bool {
        let Some(&mut Queued::Released { circuit, set: Id::NONE, number: 0, hop, lane, .. }) = self.out.queue.first()
        else {
            return false;
        };
        let Some((Command::XOFF | Command::XON, stream_id)) = self.held.store.first_of(&lane) else { return false };
        let Some(Circuit { padding: None, reactor: Some(reactor), .. }) = self.circuits.get_mut(circuit) else {
            return false;
        };
        let is_open = reactor.streams.as_mut().is_some_and(|streams| streams.is_open(hop, stream_id));
        if !is_open {
            self.unbook(circuit);
            self.leave_in_place(lane);
            self.taken_on_circuit(circuit);
        }
        !is_open
    }

    /// Takes the message that is first in the queue and was let out: first its SWITCH, if it has one.
    fn take_released(&mut self, buffer: &mut [u8]) -> Result<Option<Instruction>, Error> {
        let Some(Queued::Released { circuit, set, hop, lane, delta, number, wants_digest }) = self.out.queue.first()
        else {
            return Ok(None);
        };
        let (circuit, set, hop) = (*circuit, *set, *hop);
        let Some(open) = self.circuits.get(circuit) else {
            let lane = *lane;
            self.return_to_host(set, lane);
            return Ok(None);
        };
        let circuit_tag = open.config.tag;
        let state = self.sets.get_mut(set);
        let set_tag = state.as_ref().map_or(0, |state| state.terms().tag);
        let about = move |what| Instruction::about(circuit, circuit_tag, set, set_tag, what);
        if *delta != 0 {
            let body = Switch { delta: *delta }.encode();
            buffer.get_mut(..body.len()).ok_or(Error::TOO_SMALL)?.copy_from_slice(&body);
            *delta = 0;
            self.spend_booked(circuit);
            let (command, body_len) = (Command::CONFLUX_SWITCH, body.len() as u16);
            return Ok(Some(about(What::Send { command, hop, body_len })));
        }
        let taken = self.held.store.pop(lane, &mut &mut *buffer).map_err(|TooSmall| Error::TOO_SMALL)?;
        let (number, wants_digest) = (*number, *wants_digest);
        state.into_iter().for_each(|state| state.taken(&mut self.out.effects));
        self.out.queue.drop_first();
        self.spend_booked(circuit);
        self.apply_effects(set);
        self.set_changed(set);
        if set == Id::NONE {
            self.taken_on_circuit(circuit);
        }
        let Some((delivery, _)) = taken else { return Ok(None) };
        self.note_left(set, circuit, hop, delivery.stream_id, delivery.command);
        let message = Delivery { number, ..delivery };
        Ok(Some(Instruction { wants_digest, ..about(What::SendHeld(Released { hop, message })) }))
    }

    /// Notes that the host has taken an instruction, for those that wait for that. One that was dropped, as its circuit
    /// closes, is not `given`: it does not count as sent.
    fn after_taken(&mut self, queued: Queued, given: bool) {
        match queued {
            Queued::Set { set, news: SetNews::MaySend } => {
                self.sets.get_mut(set).into_iter().for_each(|state| state.resumed())
            }
            Queued::Send { circuit, hop, control, .. } => {
                let now = self.time.clock.latest();
                if let Ok((set, ix)) = self.leg(circuit) {
                    self.left_on_leg(set, ix, control, given);
                }
                if given {
                    self.count_sent(circuit, hop, now);
                }
            }
            Queued::MaySendCircuit { circuit } => {
                if let Some(Circuit { reactor: Some(reactor), .. }) = self.circuits.get_mut(circuit) {
                    reactor.backward.resumed();
                }
            }
            Queued::MaySendStream { stream } => self.told_of_stream(stream),
            Queued::Negotiation { circuit, hop, .. } if given => {
                self.count_sent(circuit, hop, self.time.clock.latest());
            }
            Queued::Sendme { circuit, hop, .. } if given => {
                self.counters.totals.sendmes_sent += 1;
                if self.wants(Class::Windows) {
                    self.note_sendme_sent(circuit, hop);
                }
                self.count_sent(circuit, hop, self.time.clock.latest());
            }
            _ => {}
        }
    }

    /// A message of the link handshake has left on a leg of ours. One that was dropped is not `given`.
    fn left_on_leg(&mut self, set: Id, ix: LegIx, control: Control, given: bool) {
        if given {
            let step = match control {
                Control::Link => LinkStep::LinkSent,
                Control::Linked => LinkStep::LinkedSent,
                Control::LinkedAck => LinkStep::AckSent,
            };
            self.note_step(set, ix, step);
        }
        if control != Control::LinkedAck {
            let now = self.time.clock.latest();
            if let Some(state) = self.sets.get_mut(set) {
                state.handshake_sent(ix, now, &mut self.out.effects);
            }
            self.apply_effects(set);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_sendme_sent(&mut self, circuit: Id, hop: u8) {
        self.note_here(Event::SendmeSent { circuit, hop });
    }

    /// Hands back a message that was let out for a circuit that has gone since.
    fn return_to_host(&mut self, set: Id, lane: Lane) {
        self.leave_in_place(lane);
        if let Some(state) = self.sets.get_mut(set) {
            state.taken(&mut self.out.effects);
            self.apply_effects(set);
            self.set_changed(set);
        }
    }

    /// MAY_SEND for a circuit that is open; callers replace the kind.
    fn about(&self, circuit: Id) -> Option<Instruction> {
        let open = self.circuits.get(circuit).filter(|open| open.place != Place::Closing)?;
        let set = open.place.leg().map_or(Id::NONE, |(set, _)| set);
        let set_tag = self.sets.get(set).map_or(0, |state| state.terms().tag);
        Some(Instruction::about(circuit, open.config.tag, set, set_tag, What::MaySend))
    }

    fn unmark_edge(&mut self, circuit: Id, side: Side) {
        if let Some(reactor) = self.circuits.get_mut(circuit).and_then(|open| open.reactor.as_mut()) {
            reactor.edge(side).unmark();
        }
    }

    /// MAY_SEND for a stream, unless it has been stopped again.
    fn resume_of(&self, id: Id) -> Option<Instruction> {
        let stream = self.streams.get(id).filter(|stream| !stream.outgoing.stopped())?;
        let about = match stream.owner {
            Owner::Circuit(circuit) => self.about(circuit)?,
            Owner::Set(set) => {
                let set_tag = self.sets.get(set)?.terms().tag;
                Instruction::about(Id::NONE, 0, set, set_tag, What::MaySend)
            }
        };
        Some(Instruction { stream: id, stream_tag: stream.tag, ..about })
    }

    /// Makes an instruction of an entry; none when what it is about has gone.
    fn compose(&self, queued: Queued, buffer: &mut [u8]) -> Result<Option<Instruction>, Error> {
        let set_tag = |set: Id| self.sets.get(set).map(|state| state.terms().tag);
        let instruction = match queued {
            Queued::Send { circuit, hop, set, control } => {
                let open = self.circuits.get(circuit).filter(|open| open.place != Place::Closing);
                let state = self.sets.get(set);
                // LINKED_ACK goes out even without its set: the peer of a leg that was taken out still waits for it.
                let (Some(open), true) = (open, state.is_some() || control == Control::LinkedAck) else {
                    return Ok(None);
                };
                let (command, body_len) = compose_control(control, state.map(|state| state.terms()), buffer)?;
                let what = What::Send { command, hop, body_len };
                let (set, set_tag) = state.map_or((Id::NONE, 0), |state| (set, state.terms().tag));
                Some(Instruction::about(circuit, open.config.tag, set, set_tag, what))
            }
            Queued::Close { circuit, set, set_tag, cause } => self
                .circuits
                .get(circuit)
                .map(|open| Instruction::about(circuit, open.config.tag, set, set_tag, What::Close(cause))),
            Queued::Linked { circuit, set, rtt } => match (self.leg_tag(circuit), set_tag(set)) {
                (Some(tag), Some(set_tag)) => Some(Instruction::about(circuit, tag, set, set_tag, What::Linked(rtt))),
                _ => None,
            },
            Queued::Set { set, news } => set_tag(set).map(|set_tag| {
                let what = match news {
                    SetNews::Usable => What::Usable,
                    SetNews::MaySend => What::MaySend,
                    SetNews::WantLeg => What::WantLeg,
                };
                Instruction::about(Id::NONE, 0, set, set_tag, what)
            }),
            Queued::Ended { set, set_tag, cause } => {
                Some(Instruction::about(Id::NONE, 0, set, set_tag, What::Ended(cause)))
            }
            Queued::Negotiation { circuit, hop, command, body } => {
                let Some(about) = self.about(circuit) else { return Ok(None) };
                buffer.get_mut(..body.len()).ok_or(Error::TOO_SMALL)?.copy_from_slice(&body);
                Some(Instruction { what: What::Send { command, hop, body_len: body.len() as u16 }, ..about })
            }
            Queued::Pad { circuit, pad, asks } => {
                let padding = self.circuits.get(circuit).and_then(|open| open.padding.as_ref());
                if asks && !padding.is_some_and(|padding| padding.is_asked(pad)) {
                    // Its padder has gone.
                    return Ok(None);
                }
                self.about(circuit).map(|about| Instruction { what: What::Pad { pad, asks }, ..about })
            }
            Queued::Gate { circuit, blocked, bypassable } => self.about(circuit).map(|about| {
                let what = if blocked { What::Block { bypassable } } else { What::Unblock };
                Instruction { what, ..about }
            }),
            Queued::MaySendCircuit { circuit } => self.about(circuit),
            Queued::Sendme { circuit, hop, digest, len } => {
                let Some(about) = self.about(circuit) else { return Ok(None) };
                let body_len = compose_sendme(&digest[..usize::from(len)], buffer)?;
                Some(Instruction { what: What::Send { command: Command::SENDME, hop, body_len }, ..about })
            }
            Queued::PauseFeed { circuit, side, pause } => {
                self.about(circuit).map(|about| Instruction { what: What::PauseFeed { side, pause }, ..about })
            }
            Queued::MaySendStream { stream } => self.resume_of(stream),
            Queued::Negotiated { circuit, number, hop, reply } => {
                self.about(circuit).map(|about| Instruction { what: What::Negotiated { number, hop, reply }, ..about })
            }
            // These are handled before.
            Queued::Ready { .. }
            | Queued::Leftover
            | Queued::Released { .. }
            | Queued::Edge { .. }
            | Queued::Channel { .. }
            | Queued::FromHome { .. }
            | Queued::LinkedAway { .. } => None,
        };
        Ok(instruction)
    }
}

/// Hands out a message of this relay whose turn at an edge has come.
#[cold]
#[inline(never)]
fn give_own(taker: &mut impl Taker, about: impl FnOnce(What) -> Instruction, message: Delivery) {
    taker.take(about(What::SendHeld(Released { hop: 0, message })));
}

/// Writes the body of a SENDME: version 1 with the digest of its cell, version 0 where the host has none.
fn compose_sendme(digest: &[u8], buffer: &mut [u8]) -> Result<u16, Error> {
    let Ok(digest) = Digest::new(digest) else { return Ok(0) };
    let mut body = [0; Sendme::LEN_MAX];
    let len = Sendme::V1 { digest }.encode(&mut body).len();
    buffer.get_mut(..len).ok_or(Error::TOO_SMALL)?.copy_from_slice(&body[..len]);
    Ok(len as u16)
}

/// Writes the body of a handshake message. LINK and LINKED always say 0 and 0: both ends then start a leg from zero,
/// and the first SWITCH on it carries the whole number (RAT-4, RAT-5).
fn compose_control(control: Control, terms: Option<&SetTerms>, buffer: &mut [u8]) -> Result<(Command, u16), Error> {
    let (command, terms) = match (control, terms) {
        (Control::Link, Some(terms)) => (Command::CONFLUX_LINK, terms),
        (Control::Linked, Some(terms)) => (Command::CONFLUX_LINKED, terms),
        (Control::LinkedAck, _) | (_, None) => return Ok((Command::CONFLUX_LINKED_ACK, 0)),
    };
    let body = zeroize::Zeroizing::new(terms.link().encode());
    buffer.get_mut(..Link::LEN).ok_or(Error::TOO_SMALL)?.copy_from_slice(&*body);
    Ok((command, Link::LEN as u16))
}
