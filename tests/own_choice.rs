//! A host that names legs itself, against a naive model: whatever it names, messages go there and nowhere else, numbers
//! are right, DATA never goes on a leg without room, and a host that waits is told once there is room.

mod common;

use circflow::base::{limits, Id};
use circflow::conflux::choice::FAMILY;
use circflow::conflux::set::Fate;
use circflow::conflux::{Cause, Effect, LegIx, LegNumbers, Numbers, Plan, Refusal, Report, Role, Set, Unfit};
use circflow::message::Store;
use circflow::wire::conflux::Ux;
use circflow::wire::Command;
use common::{each_seed, terms, Rng, ROUTE};

const MS: u64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Leg {
    id: Id,
    ix: LegIx,
    sent: u64,
    cwnd: u64,
    inflight: u64,
    blocked: bool,
    padded: bool,
}

impl Leg {
    fn ready(&self) -> bool {
        self.inflight < self.cwnd && !self.blocked && !self.padded
    }
}

/// What a host that counts for itself knows.
struct Host {
    rng: Rng,
    set: Set,
    store: Store,
    effects: Vec<Effect>,
    legs: Vec<Leg>,
    /// The id of the sending leg.
    sending: Option<Id>,
    named: Option<Id>,
    /// A SWITCH went on the sending leg, and nothing after it.
    bare: bool,
    total: u64,
    /// It was refused, and waits for MAY_SEND.
    waits: bool,
    now: u64,
    next: u64,
    story: Story,
}

#[derive(Clone, Copy, Default, Debug)]
struct Story {
    named: u64,
    waited: u64,
    told: u64,
    switches: u64,
    lost: u64,
    bare: u64,
    past_room: u64,
}

impl Host {
    fn new(seed: u64) -> Host {
        let mut rng = Rng::new(seed);
        let algorithm = FAMILY[rng.below(8) as usize].algorithm;
        let mut terms = terms(Some(algorithm));
        terms.switch_run_min = *rng.pick(&[0, 0, 3, 1000]);
        let mut host = Host {
            set: Set::new(Role::Client, terms),
            store: Store::new(u64::MAX),
            effects: Vec::new(),
            legs: Vec::new(),
            sending: None,
            named: None,
            bare: false,
            total: 0,
            waits: false,
            now: 1000 * MS,
            next: 1,
            story: Story::default(),
            rng,
        };
        (0..1 + host.rng.below(4)).for_each(|_| host.adopt());
        host
    }

    fn adopt(&mut self) {
        let id = Id(self.next);
        self.next += 1;
        let ux = *self.rng.pick(&[Ux::NoOpinion, Ux::LowMemLatency, Ux::LowMemThroughput, Ux::MinLatency]);
        let rtt = self.rng.below(3) * 20 * MS;
        let ix = self.set.adopt(id, ROUTE, ux, rtt, &mut self.effects);
        self.legs.push(Leg { id, ix, sent: 0, cwnd: 0, inflight: 0, blocked: false, padded: false });
    }

    fn place(&self, id: Option<Id>) -> Option<usize> {
        self.legs.iter().position(|leg| Some(leg.id) == id)
    }

    fn any(&mut self) -> usize {
        self.rng.below(self.legs.len() as u64) as usize
    }

    fn name(&mut self) {
        if self.rng.once_in(4) {
            self.named = None;
            assert_eq!(self.set.name_leg(None, &mut self.effects), Ok(()));
            return;
        }
        if self.rng.once_in(8) {
            // A place without a leg changes nothing.
            let vacant = (0..=LegIx::MAX).rev().find(|&ix| self.legs.iter().all(|leg| leg.ix != ix));
            assert_eq!(self.set.name_leg(vacant, &mut self.effects), Err(Unfit::NotLinked));
            return;
        }
        let leg = self.any();
        self.named = Some(self.legs[leg].id);
        self.story.named += 1;
        assert_eq!(self.set.name_leg(Some(self.legs[leg].ix), &mut self.effects), Ok(()));
    }

    fn report(&mut self) {
        let place = self.any();
        let cwnd = *self.rng.pick(&[0, 1, 5, 31, 62]);
        let (inflight, blocked) = (self.rng.below(self.legs[place].inflight + 2), self.rng.once_in(6));
        let leg = &mut self.legs[place];
        (leg.cwnd, leg.inflight, leg.blocked) = (cwnd, inflight, blocked);
        let rtt = self.rng.below(4) * 15 * MS;
        let report = Report { cwnd, inflight, rtt, sendme_inc: 31, slow_start: self.rng.once_in(2), blocked };
        self.set.report(self.legs[place].ix, &report, self.now, &mut self.effects);
    }

    /// The leg for the next message if the host has a say in it; none leaves it to the algorithm.
    fn must(&self) -> Option<usize> {
        if self.bare {
            return self.place(self.sending);
        }
        self.place(self.named)
    }

    fn send(&mut self) {
        let command = *self.rng.pick(&[Command::DATA, Command::DATA, Command::DATA, Command::END]);
        let must = self.must();
        let foreseen = self.set.peek();
        let in_steps = self.rng.once_in(3);
        let plan = if in_steps {
            self.set.decide(command)
        } else {
            // The quick way is taken whenever it can be, as engines do.
            match self.set.send_quick(command == Command::DATA, self.now) {
                Some(plan) => Ok(plan),
                None => self.set.send(command, self.now, &mut self.effects),
            }
        };
        if command == Command::DATA {
            let both = (foreseen.map(|plan| (plan.ix, plan.number)), plan.map(|plan| (plan.ix, plan.number)));
            assert_eq!(both.0, both.1, "asking first gives the same answer");
        }
        let plan = match plan {
            Ok(plan) => plan,
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Blocked);
                assert_eq!(command, Command::DATA, "what is not DATA does not wait");
                assert!(must.is_none_or(|must| !self.legs[must].ready()), "the leg has room");
                self.waits = true;
                self.story.waited += 1;
                return;
            }
        };
        self.judge(&plan, command, must);
        if in_steps && !self.report_as_sent(&plan, command) {
            return;
        }
        let place = self.set_place(&plan);
        let leg = &mut self.legs[place];
        leg.sent = plan.number;
        leg.inflight += u64::from(command == Command::DATA);
        (self.total, self.sending, self.bare) = (plan.number, Some(plan.leg), false);
    }

    fn set_place(&self, plan: &Plan) -> usize {
        self.legs.iter().position(|leg| leg.id == plan.leg).expect("a plan names a leg of the set")
    }

    fn judge(&mut self, plan: &Plan, command: Command, must: Option<usize>) {
        let place = self.set_place(plan);
        let leg = self.legs[place];
        assert_eq!(plan.ix, leg.ix);
        assert!(must.is_none_or(|must| must == place), "a message goes on the leg that was named");
        assert_eq!(plan.number, self.total + 1, "numbers follow one another");
        assert_eq!(u64::from(plan.delta), self.total - leg.sent, "the SWITCH says what the leg has missed");
        self.story.switches += u64::from(plan.delta != 0);
        if command == Command::DATA {
            assert!(leg.ready(), "DATA goes on a leg with room only");
        } else {
            self.story.past_room += u64::from(!leg.ready());
        }
    }

    /// Reports in two steps; false when the host stops after the SWITCH.
    fn report_as_sent(&mut self, plan: &Plan, command: Command) -> bool {
        if plan.delta != 0 {
            assert_eq!(self.set.commit_switch(plan.ix), Ok(plan.delta));
            let place = self.set_place(plan);
            self.legs[place].sent = self.total;
            (self.sending, self.bare) = (Some(plan.leg), true);
            if self.rng.once_in(3) {
                self.story.bare += 1;
                return false;
            }
        }
        assert_eq!(self.set.commit_message(plan.ix, command, self.now, &mut self.effects), Ok(()));
        true
    }

    /// A leg is lost. False when the set ends.
    fn lose(&mut self) -> bool {
        let place = self.any();
        let leg = self.legs.remove(place);
        self.story.lost += 1;
        if self.set.remove(leg.ix, Cause::LegLost, &mut self.store, &mut self.effects) == Fate::Over {
            return false;
        }
        if self.sending == Some(leg.id) {
            (self.sending, self.bare) = (None, false);
        }
        self.named = self.named.filter(|&named| named != leg.id);
        true
    }

    /// What the host hears, after each step: MAY_SEND when it waits and there is room, and never else.
    fn hear(&mut self) {
        let told = self.effects.drain(..).filter(|effect| matches!(effect, Effect::MaySend)).count();
        if let Some(must) = self.must() {
            let due = self.waits && self.legs[must].ready();
            assert_eq!(told == 1, due, "a host that waits is told of room, and of nothing else");
        }
        assert!(told <= usize::from(self.waits), "only a host that waits is told");
        if told > 0 {
            self.waits = false;
            self.story.told += 1;
            self.set.resumed();
        }
        let named = self.named.unwrap_or(Id::NONE);
        assert_eq!(self.set.named_leg(), named, "the name holds until the leg is lost");
        let at = self.set.choose_again_at();
        assert!(self.named.is_none() || self.bare || at == circflow::base::time::NEVER, "no timer for a named leg");
    }

    fn step(&mut self) -> bool {
        self.now += self.rng.below(20) * MS;
        match self.rng.below(40) {
            0..=4 => self.name(),
            5..=11 => self.report(),
            12 => {
                let (leg, full) = (self.any(), self.rng.once_in(2));
                self.legs[leg].blocked = full;
                if self.set.unsettle(self.legs[leg].ix, full) {
                    self.set.look_for_room(&mut self.effects);
                }
            }
            13 => {
                let (leg, padded) = (self.any(), self.rng.once_in(2));
                self.legs[leg].padded = padded;
                self.set.hold_back(self.legs[leg].ix, padded, false, &mut self.effects);
            }
            14 => {
                let algorithm = FAMILY[self.rng.below(8) as usize].algorithm;
                self.set.choose_by((!self.rng.once_in(3)).then_some(algorithm), &mut self.effects);
            }
            15 => drop(self.set.foresee(self.rng.below(100), &mut self.effects)),
            16 if self.legs.len() < 5 => self.adopt(),
            17 if self.rng.once_in(6) => {
                if !self.lose() {
                    return false;
                }
            }
            18 => self.set.choose_again(self.now, &mut self.effects),
            _ => self.send(),
        }
        self.hear();
        true
    }
}

#[test]
fn whatever_a_host_names() {
    fn run(seed: u64) -> Story {
        let mut host = Host::new(seed);
        for _ in 0..200 {
            if !host.step() {
                break;
            }
        }
        host.story
    }
    let mut all = Story::default();
    let done = each_seed(4_000, "own_choice", run, |story| {
        all.named += story.named;
        all.waited += story.waited;
        all.told += story.told;
        all.switches += story.switches;
        all.lost += story.lost;
        all.bare += story.bare;
        all.past_room += story.past_room;
    });
    if done {
        let Story { named, waited, told, switches, lost, bare, past_room } = all;
        let least = [named, waited, told, switches, lost, bare, past_room].into_iter().min().unwrap_or(0);
        assert!(least > 300, "each of these happens: {all:?}");
    }
}

/// A set with two legs with room, the second of them so far behind.
fn far_apart(behind: u64) -> (Set, Vec<Effect>) {
    let (mut set, mut effects) = (Set::new(Role::Client, terms(None)), Vec::new());
    let report = Report { cwnd: 100, inflight: 0, rtt: 10 * MS, sendme_inc: 31, slow_start: false, blocked: false };
    for leg in 1..=2 {
        let ix = set.adopt(Id(leg), ROUTE, Ux::NoOpinion, leg * 10 * MS, &mut effects);
        set.report(ix, &report, MS, &mut effects);
    }
    let numbers = Numbers { delivered: 0, sending: Id(1) };
    let rows = [
        (0, LegNumbers { leg: Id(1), sent: behind + 5, received: 0 }),
        (1, LegNumbers { leg: Id(2), sent: 5, received: 0 }),
    ];
    set.import(&numbers, &rows, &mut effects).unwrap();
    (set, effects)
}

/// The leg that is named comes first but for one that is so far behind that a SWITCH could soon not reach it.
#[test]
fn a_leg_far_behind_gets_one_message() {
    for (behind, first) in [(limits::CATCH_UP_AT - 1, 0), (limits::CATCH_UP_AT, 1), (limits::CATCH_UP_AT + 1, 1)] {
        let (mut set, mut effects) = far_apart(behind);
        assert_eq!(set.name_leg(Some(0), &mut effects), Ok(()));
        let legs = [(); 3].map(|()| set.send(Command::DATA, MS, &mut effects).map(|plan| plan.ix));
        // One below, the second message is the one that goes there.
        let wanted = if first == 0 { [0, 1, 0] } else { [1, 0, 0] };
        assert_eq!(legs, wanted.map(Ok), "{behind}");
    }
}

/// A leg that no SWITCH can reach cannot be named.
#[test]
fn a_leg_out_of_reach_is_not_named() {
    let most = limits::SWITCH_DELTA_MAX;
    for (behind, can) in [(most - 1, true), (most, true), (most + 1, false)] {
        let (mut set, mut effects) = far_apart(behind);
        let said = set.name_leg(Some(1), &mut effects);
        assert_eq!(said, if can { Ok(()) } else { Err(Unfit::TooFarBehind) }, "{behind}");
        let plan = set.send(Command::DATA, MS, &mut effects).unwrap();
        let delta = if can { behind } else { 0 };
        assert_eq!((plan.ix, u64::from(plan.delta)), (LegIx::from(can), delta), "{behind}");
    }
}

/// Nor does an algorithm choose it, although it is the fastest: DATA goes on the other, or waits for it.
#[test]
fn a_leg_out_of_reach_is_not_chosen() {
    let fast = Report { cwnd: 900, inflight: 0, rtt: MS, sendme_inc: 31, slow_start: false, blocked: false };
    let full = Report { cwnd: 1, inflight: 1, rtt: 0, ..fast };
    for algorithm in FAMILY.map(|row| row.algorithm) {
        let (mut set, mut effects) = far_apart(limits::SWITCH_DELTA_MAX + 1);
        set.choose_by(Some(algorithm), &mut effects);
        set.report(1, &fast, MS, &mut effects);
        assert_eq!(set.send(Command::DATA, MS, &mut effects).map(|plan| plan.ix), Ok(0), "{algorithm:?}");
        set.report(0, &full, MS, &mut effects);
        assert_eq!(set.send(Command::DATA, MS, &mut effects), Err(Refusal::Blocked), "{algorithm:?}");
    }
}

/// One that was named and cannot be reached any more counts no longer: nothing waits for it for ever.
#[test]
fn a_name_out_of_reach_does_not_count() {
    let (mut set, mut effects) = far_apart(limits::SWITCH_DELTA_MAX);
    let full = Report { cwnd: 1, inflight: 1, rtt: 0, sendme_inc: 31, slow_start: false, blocked: false };
    set.report(1, &full, MS, &mut effects);
    assert_eq!(set.name_leg(Some(1), &mut effects), Ok(()));
    assert_eq!(set.send(Command::DATA, MS, &mut effects), Err(Refusal::Blocked));
    // The host itself reports one more on the other leg.
    assert_eq!(set.commit_message(0, Command::DATA, MS, &mut effects), Ok(()));
    assert_eq!(set.named_leg(), Id::NONE);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::MaySend)), "{effects:?}");
    assert_eq!(set.send(Command::DATA, MS, &mut effects).map(|plan| plan.ix), Ok(0));
}
