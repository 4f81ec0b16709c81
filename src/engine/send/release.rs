//! Messages that were held go out.

use crate::base::{Id, Nanos};
use crate::engine::out::insn::Queued;
use crate::engine::{Circuit, Engine};
use crate::event::Class;
use crate::message::Lane;

impl Engine {
    /// Lets one held message of the set out on this leg, or one cell at the edge, past the block of padding.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn release_past_block(&mut self, id: Id) {
        let Some(Circuit { place, config, padding: Some(padding), .. }) = self.circuits.get(id) else { return };
        let (hop, now) = (config.hops.last(), padding.latest());
        let Some((set, ix)) = place.leg() else { return self.let_one_pass(id) };
        let Some(state) = self.sets.get_mut(set) else { return };
        match state.release_on(ix, now, &mut self.out.effects) {
            Some((plan, lane)) => {
                self.note_sent_held(set, &plan, &lane);
                self.queue_released(id, set, hop, plan.delta, plan.number, lane, now);
                self.set_changed(set);
            }
            None => self.let_one_pass(id),
        }
    }

    /// Queues a message that padding has held, and that goes out now.
    #[cold]
    #[inline(never)]
    pub(in crate::engine) fn send_held_by_padding(&mut self, id: Id, hop: u8, held: Lane, now: Nanos) {
        let Some(circuit) = self.circuits.get_mut(id) else { return };
        circuit.padding.iter_mut().for_each(|padding| padding.held_bytes -= held.bytes());
        self.padding.purse.sent(1);
        self.book(id);
        let wants_digest = self.count_data(id, hop, self.held.store.command_of(&held), now);
        self.out.queue.push(Queued::Released {
            circuit: id,
            set: Id::NONE,
            hop,
            lane: held,
            delta: 0,
            number: 0,
            wants_digest,
        });
    }

    /// Lets out all held messages of a set for which there is room.
    pub(in crate::engine) fn release_held(&mut self, set: Id) {
        let now = self.time.clock.latest();
        loop {
            if self.wants(Class::Choice) {
                self.note_looks_to_release(set);
            }
            let Some(state) = self.sets.get_mut(set) else { break };
            let hop = state.join_hop();
            let Some((plan, lane)) = state.release(now, &mut self.out.effects) else { break };
            self.note_sent_held(set, &plan, &lane);
            self.queue_released(plan.leg, set, hop, plan.delta, plan.number, lane, now);
        }
        self.ask_if_waiting(set);
    }

    #[allow(clippy::too_many_arguments)]
    pub(in crate::engine) fn queue_released(
        &mut self,
        id: Id,
        set: Id,
        hop: u8,
        delta: u32,
        number: u64,
        lane: Lane,
        now: Nanos,
    ) {
        if self.is_elsewhere(id) {
            return self.cross_lane(id, set, delta, number, lane);
        }
        let wants_digest = self.count_data(id, hop, self.held.store.command_of(&lane), now);
        if delta != 0 {
            self.count_queued(id, hop, now);
        }
        self.count_queued(id, hop, now);
        self.out.queue.push(Queued::Released { circuit: id, set, hop, lane, delta, number, wants_digest });
    }

    /// Notes that the host has taken a message that was held on a circuit in no set.
    #[cold]
    pub(in crate::engine) fn taken_on_circuit(&mut self, id: Id) {
        if let Some(Circuit { padding: Some(padding), .. }) = self.circuits.get_mut(id) {
            if padding.taken() {
                self.out.queue.push(Queued::MaySendCircuit { circuit: id });
            }
        }
        self.resume_home_link(id);
    }
}
