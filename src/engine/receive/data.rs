//! The quick way of DATA on circuits that circflow runs. It looks each thing up once.

use crate::base::Id;
use crate::engine::{Circuit, CircuitFlags, Engine, Error, Place, Step, Verdict, VerdictKind};
use crate::event::Class;
use crate::message::Message;
use crate::reactor::{DataHead, Owner, Written};
use crate::wire::Command;

impl Engine {
    /// Takes DATA of an open stream that is due no SENDME and, on a leg, is next in order. The second step of
    /// receiving, after [`Engine::receive_quick`], for which nothing is due. Answers [`Step::OnLeg`] to DATA on a leg
    /// that is not next, or whose set is elsewhere, for [`Engine::receive_data_on_leg`].
    #[inline(always)]
    pub fn receive_data_quick<const WATCHED: bool>(&mut self, id: Id, data: &DataHead) -> Step {
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
            Place::Away
                if config.hops.ends_at(data.hop)
                    && data.stream_id != 0
                    && !config.flags.has(CircuitFlags::EXTENDED) =>
            {
                return Step::OnLeg
            }
            _ => return Step::Other,
        };
        let Written { stream, tag: stream_tag, say } = written;
        if let Some(say) = say {
            self.send_own_flow(owner, stream, say, now);
        }
        if let (true, Owner::Set(set)) = (WATCHED && self.wants(Class::Messages), owner) {
            self.note_in_order(set, id, number, Command::DATA);
        }
        Step::Done(Verdict { number, stream, stream_tag, ..Verdict::of(VerdictKind::Deliver, id, tag) })
    }

    /// Takes DATA on a leg that is too early, or that fills the gap before held messages; or on a leg of a set
    /// elsewhere, to which it crosses.
    pub fn receive_data_on_leg<const WATCHED: bool>(
        &mut self,
        id: Id,
        message: &Message<'_>,
        cell_digest: &[u8],
    ) -> Result<Verdict, Error> {
        if let Some(verdict) = self.cross_data_quick(id, message) {
            return Ok(verdict);
        }
        self.acknowledge(id, message.hop, cell_digest);
        if self.circuits.get(id).is_some_and(|circuit| circuit.place == Place::Away) {
            return self.cross_to_home(id, message, false);
        }
        self.arrive_with_streams::<WATCHED>(id, message)
    }
}
