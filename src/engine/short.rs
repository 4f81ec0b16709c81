//! The short ways of circuits that we run: DATA that nothing stands in the way of, with one look-up for each thing that
//! it touches. Where there is no answer nothing was done, and the long way is to be taken.

use super::{Circuit, CircuitFlags, Engine, Error, Place, Step, Verdict, VerdictKind};
use crate::base::{Id, Nanos};
use crate::congestion::flow::May;
use crate::message::Message;
use crate::reactor::{DataHead, Owner, Written};

impl Engine {
    /// What [`Engine::receive_run`] does with DATA of an open stream that is due no SENDME and, on a leg, is next in
    /// order. The second step of [`Engine::receive_next`], for which nothing is due. [`Step::OnLeg`] answers to DATA on
    /// a leg that is not next, for [`Engine::receive_data_on_leg`].
    #[inline(always)]
    pub fn receive_data(&mut self, id: Id, data: &DataHead) -> Step {
        let now = self.time.clock.latest();
        let Some(Circuit { place, config, padding: None, reactor: Some(reactor), .. }) = self.circuits.get_mut(id)
        else {
            return Step::Other;
        };
        if !config.flags.has(CircuitFlags::VEGAS) || self.out.queue.len() >= self.settings.instructions_max {
            return Step::Other;
        }
        let tag = config.tag;
        let (owner, number, written) = match *place {
            Place::Alone => {
                let Some(written) = reactor.take_data(&mut self.streams, now, data) else { return Step::Other };
                config.flags.add(CircuitFlags::STREAMS);
                (Owner::Circuit(id), 0, written)
            }
            Place::Leg { set, ix } if config.hops.ends_at(data.hop) && data.stream_id != 0 => {
                let (Some(state), Some(acks)) = (self.sets.get_mut(set), reactor.ends.counting(data.hop)) else {
                    return Step::Other;
                };
                if !state.is_next(ix) {
                    return Step::OnLeg;
                }
                let Some((number, written)) = state.take_data(ix, &mut self.streams, now, data) else {
                    return Step::Other;
                };
                acks.data();
                (Owner::Set(set), number, written)
            }
            _ => return Step::Other,
        };
        let Written { stream, tag: stream_tag, say } = written;
        if let Some(say) = say {
            self.say(owner, stream, say, now);
        }
        Step::Done(Verdict { number, stream, stream_tag, ..Verdict::of(VerdictKind::Deliver, id, tag) })
    }

    /// DATA on a leg that [`Engine::receive_data`] found to be before its turn, or just before what is held.
    pub fn receive_data_on_leg(&mut self, id: Id, message: &Message<'_>, cell_digest: &[u8]) -> Result<Verdict, Error> {
        self.acknowledge(id, message.hop, cell_digest);
        self.receive_sequenced_run(self.time.clock.latest(), id, message)
    }

    /// What [`Engine::send_on_stream`] does with DATA for which there is room, in a set on the leg that sends. It logs
    /// nothing and wakes no other engine.
    #[inline(always)]
    pub fn send_data(&mut self, now: Nanos, id: Id, len: u16) -> Option<Verdict> {
        if !self.enter_quick(now) {
            return None;
        }
        let stream = self.streams.get_mut(id)?;
        if stream.outgoing.may_send(now) != May::Now {
            return None;
        }
        let (hop, stream_tag) = (stream.hop, stream.tag);
        let (circuit, circuit_tag, number, wants_digest, padded) = match stream.owner {
            Owner::Circuit(circuit) => {
                let Some(Circuit { place: Place::Alone, config, padding: None, reactor: Some(reactor), .. }) =
                    self.circuits.get_mut(circuit)
                else {
                    return None;
                };
                let wants_digest = reactor.send_data(hop, now)?;
                config.flags.add(CircuitFlags::STREAMS);
                (circuit, config.tag, 0, wants_digest, false)
            }
            Owner::Set(set) => {
                let state = self.sets.get_mut(set)?;
                // A leg elsewhere needs the message itself.
                if !self.spread.home_legs.is_empty() && !state.settled_leg().is_some_and(|leg| self.circuits.is_ours(leg)) {
                    return None;
                }
                let plan = state.send_next(true, now)?;
                let wants_digest = match self.circuits.get_mut(plan.leg) {
                    Some(Circuit { reactor: Some(reactor), .. }) => reactor.end(hop).window.sent_data(now),
                    _ => false,
                };
                (plan.leg, plan.tag, plan.number, wants_digest, self.padding.circuits > 0)
            }
        };
        stream.outgoing.sent(now, len.into());
        self.padding.purse.sent(1);
        if padded {
            self.tell_sent(circuit, hop, now);
        }
        let verdict = Verdict::of(VerdictKind::Send, circuit, circuit_tag);
        Some(Verdict { number, stream: id, stream_tag, wants_digest, ..verdict })
    }
}
