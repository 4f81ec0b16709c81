//! Circuits that do not fit into a set: at the client they are refused, together with all that would have come with
//! them, and at the other end LINK closes them, whoever knows the nonce. The set hears nothing of it.

use crate::cell::Cell;
use crate::plan::{Kind, MS};
use crate::receive::Outcome;
use crate::tally::N;
use crate::world::{trace, Event, World};
use circflow::base::Id;
use circflow::engine::{Blocked, Error, Misuse};
use circflow::wire::conflux::{Link, Ux};
use circflow::wire::Command;

impl World {
    /// Tries to add one that leads elsewhere, or has another length, behind good ones.
    pub fn add_misfit(&mut self, set: usize, good: &[Id]) {
        if !self.plan.services || !self.grows.once_in(4) {
            return;
        }
        let [client, far] = self.sets[set].nodes;
        let most = self.plan.middles.min(3);
        let rend = match self.sets[set].rend {
            // Another length at either end.
            Some(hops) if self.grows.once_in(2) => Some(hops.map(|hops| hops % most + 1)),
            Some(_) => None,
            None => Some([0; 2].map(|_| self.grows.range(1, most as u64) as usize)),
        };
        let far = if self.plan.kind == Kind::Hub { self.pick_exit() } else { far };
        let circ = self.open_circuit(client, far, rend, false);
        let ids: Vec<Id> = good.iter().copied().chain([self.circs[circ].ids[0]]).collect();
        let id = self.sets[set].ends[0].id;
        let refused = self.retry(client, |world| {
            let now = world.clock(client);
            world.nodes[client].engine.add_legs(now, id, &ids)
        });
        self.touch(client);
        trace!(self, "node {client}: set {set} refuses circuit {circ}: {refused:?}");
        let over =
            matches!(refused, Err(Error::Misuse(Misuse::StaleId) | Error::Expired | Error::Blocked(Blocked::Gone)));
        assert!(over || refused == Err(Misuse::LegMismatch.into()), "legs are alike: {refused:?}");
        self.tally.add(N::Misfits, u64::from(!over));
        let at = self.now + self.grows.range(100, 1_500) * MS;
        self.at(at, Event::Mislead(circ, set));
    }

    /// A client brings such a circuit to the other end of a set all the same.
    pub fn mislead(&mut self, circ: usize, set: usize) {
        let (last, far) = (self.circs[circ].last, &self.sets[set].ends[1]);
        let lives = far.alive && self.nodes[self.sets[set].nodes[1]].engine.set_stats(far.id).is_ok();
        if !lives || self.ending || !self.circs[circ].open[last] || self.circs[circ].closing[last] {
            return;
        }
        self.circs[circ].hostile = true;
        let nonce = self.terms(set, 0).nonce;
        let body = Link { nonce, last_sent: 0, last_received: 0, ux: Ux::NoOpinion }.encode();
        if self.circs[circ].rend > 0 && self.grows.once_in(2) {
            return self.mislead_by_relay(circ, &body);
        }
        let cell = Cell::new(circ, true, last as u8, Command::CONFLUX_LINK, 0).with_body(&body);
        let outcome = self.recognise(last, cell);
        self.tally.add(N::Misled, 1);
        // Another engine has a word in it.
        if self.plan.kind == Kind::Hub {
            self.circs[circ].misled = Some(set);
        } else {
            assert_ne!(outcome, Outcome::Taken, "a circuit that leads elsewhere gets into no set");
        }
    }
    /// A relay of a service's own says what only a client behind the rendezvous point may say.
    fn mislead_by_relay(&mut self, circ: usize, link: &[u8]) {
        let last = self.circs[circ].last;
        let talks: Vec<usize> = self.circs[circ].talks().into_iter().filter(|&talk| talk > last).collect();
        let talk = self.grows.pick(&talks);
        let cell = |command, stream_id| Cell::new(circ, true, talk as u8, command, stream_id);
        let cell = match self.grows.below(3) {
            0 => cell(Command::CONFLUX_LINK, 0).with_body(link),
            1 => cell(Command::BEGIN_DIR, 3000),
            _ => cell(Command::BEGIN, 3000).with_body(&[0xff; 4]),
        };
        let outcome = self.recognise(last, cell);
        self.tally.add(N::MisledByRelay, 1);
        assert_ne!(outcome, Outcome::Taken, "a service takes no {:?} from its relay", cell.command);
    }
}
