//! The quick way of DATA on circuits that circflow runs. It looks each thing up once.

use crate::base::Id;
use crate::engine::{Circuit, CircuitFlags, Engine, Error, Place, Step, Verdict, VerdictKind};
use crate::event::Class;
use crate::message::Message;
use crate::reactor::{DataHead, Owner, Written};
use crate::wire::Command;

impl Engine {
    /// Takes DATA of an open stream that, on a leg, is next in order. The second step of receiving, after
    /// [`Engine::receive_quick`], for which nothing is due. Answers [`Step::DataOnLeg`] to DATA on a leg that is not
    /// next, or whose set is elsewhere, for [`Engine::receive_data_on_leg`].
    ///
    /// `USUAL`: only for what needs no call of another function, which is why it keeps all it knows in registers: no
    /// SENDME is due, and [`Streams::take_data`](crate::reactor::Streams::take_data) has the rest. It answers
    /// [`Step::Run`] to what may be taken without `USUAL`. `digest` is asked for when a SENDME is due; without one
    /// nothing is taken.
    #[inline(always)]
    pub fn receive_data_quick<'d, const WATCHED: bool, const USUAL: bool>(
        &mut self,
        id: Id,
        data: &DataHead,
        digest: impl FnOnce() -> Option<&'d [u8]>,
    ) -> Step {
        let unusual = if USUAL { Step::Run } else { Step::Other };
        let now = self.time.clock.latest();
        let Some(Circuit { place, config, padding: None, reactor: Some(reactor), .. }) = self.circuits.get_mut(id)
        else {
            return Step::Other;
        };
        if !config.flags.has(CircuitFlags::VEGAS) || self.out.queue.len() >= self.settings.instructions_max {
            return Step::Other;
        }
        let tag = config.tag;
        let mut sendme = None;
        if !USUAL && reactor.ends.is_due(data.hop) {
            sendme = digest();
            if sendme.is_none() {
                return Step::Other;
            }
        }
        let (owner, number, written) = match *place {
            Place::Alone => {
                let Some(written) = reactor.take_data::<USUAL>(&mut self.streams, now, data) else { return unusual };
                config.flags.add(CircuitFlags::STREAMS);
                (Owner::Circuit(id), 0, written)
            }
            Place::Leg { set, ix } if config.hops.ends_at(data.hop) && data.stream_id != 0 => {
                let Some(state) = self.sets.get_mut(set) else { return Step::Other };
                let Some(acks) = reactor.ends.counting::<USUAL>(data.hop) else { return unusual };
                let Some(turn) = state.turn(ix) else { return Step::DataOnLeg };
                let Some((number, written)) = state.take_data::<USUAL>(turn, &mut self.streams, now, data) else {
                    return unusual;
                };
                acks.data();
                (Owner::Set(set), number, written)
            }
            Place::Away
                if config.hops.ends_at(data.hop)
                    && data.stream_id != 0
                    && !config.flags.has(CircuitFlags::EXTENDED) =>
            {
                return Step::DataOnLeg
            }
            _ => return Step::Other,
        };
        if let Some(digest) = sendme {
            self.queue_sendme(id, data.hop, digest);
        }
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
