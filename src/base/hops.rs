//! The length of a circuit, and the relay at its end. Only this file knows how hops are counted.

use super::limits;

/// Length of a circuit in hops. A client counts its hops from 1. A relay counts none, and calls the client hop 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Length(u8);

impl Length {
    /// Number of the last hop; 0, the client, for a relay.
    #[inline(always)]
    pub const fn last(self) -> u8 {
        self.0
    }

    /// Whether `hop` is the last hop.
    #[inline(always)]
    pub const fn ends_at(self, hop: u8) -> bool {
        hop == self.0
    }

    /// Whether a message can come from `hop`, or go there.
    #[inline(always)]
    pub const fn has(self, hop: u8) -> bool {
        hop.wrapping_sub(1) < self.0 || (hop == 0 && self.0 == 0)
    }

    /// Like [`Length::has`] in one comparison, but true for a client's hop 0 as well.
    #[inline(always)]
    pub const fn reach(self, hop: u8) -> bool {
        hop <= self.0
    }
}

/// Length of a circuit, and the relay at its end: the join point, where the legs of a set meet. Two circuits fit into
/// one set if their `Hops` are equal (C2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hops {
    /// The host's number of the last relay, in halves, so that the struct has no gap.
    join: [u32; 2],
    length: Length,
}

impl Hops {
    /// The hops of a relay's circuit: none.
    pub const NONE: Hops = Hops { join: [0; 2], length: Length(0) };

    /// A circuit of `length` hops; the host gives `join`, the same number for the same last hop. `None` when `length`
    /// is above [`limits::HOPS_MAX`].
    pub const fn new(length: u8, join: u64) -> Option<Hops> {
        if length > limits::HOPS_MAX {
            return None;
        }
        Some(Hops::of(Length(length), join))
    }

    /// A circuit of this length, with this end.
    pub const fn of(length: Length, join: u64) -> Hops {
        Hops { join: [(join >> 32) as u32, join as u32], length }
    }

    /// How long the circuit is.
    #[inline(always)]
    pub const fn length(self) -> Length {
        self.length
    }

    /// The host's number of the last relay.
    pub const fn join(self) -> u64 {
        (self.join[0] as u64) << 32 | self.join[1] as u64
    }

    /// Number of the last hop; 0, the client, for a relay.
    #[inline(always)]
    pub const fn last(self) -> u8 {
        self.length.0
    }

    /// Whether two circuits of the end that answers (a relay or an onion service) lead to the same client, as far as it
    /// can know. A relay knows nothing of its clients, so all its circuits fit.
    #[inline]
    pub fn fit(self, other: Hops) -> bool {
        self == other || !(self.are_counted() || other.are_counted())
    }

    /// Whether this end counts hops, as the end that opened the circuit does.
    #[inline]
    pub const fn are_counted(self) -> bool {
        self.length.0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_the_hops_from_1_to_its_last_and_a_relay_has_hop_0() {
        let client = Hops::new(3, 7).unwrap();
        for hop in 0..=u8::MAX {
            let [client, none] = [client, Hops::NONE].map(Hops::length);
            assert_eq!(client.has(hop), (1..=3).contains(&hop), "{hop}");
            assert_eq!(client.reach(hop), hop <= 3, "{hop}");
            assert_eq!(none.has(hop), hop == 0, "{hop}");
            assert_eq!(none.reach(hop), hop == 0, "{hop}");
            assert_eq!(client.ends_at(hop), hop == 3);
        }
        assert!(client.are_counted() && !Hops::NONE.are_counted());
    }

    #[test]
    fn the_length_has_a_bound() {
        assert!(Hops::new(limits::HOPS_MAX - 1, 0).is_some());
        assert_eq!(Hops::new(limits::HOPS_MAX, 0).map(Hops::last), Some(limits::HOPS_MAX));
        assert_eq!(Hops::new(limits::HOPS_MAX + 1, 0), None);
    }

    #[test]
    fn two_fit_together_only_if_length_and_end_are_equal() {
        let one = Hops::new(3, 1 << 32 | 5);
        assert_eq!(one.map(Hops::join), Some(1 << 32 | 5));
        assert_eq!(one, Hops::new(3, 1 << 32 | 5));
        assert_ne!(one, Hops::new(4, 1 << 32 | 5));
        assert_ne!(one, Hops::new(3, 5));
        assert_ne!(one, Hops::new(3, 1 << 32));
    }

    #[test]
    fn a_relays_circuits_fit_and_no_others() {
        let [one, other] = [5, 6].map(|join| Hops::new(0, join).unwrap());
        assert!(one.fit(other) && one.fit(Hops::NONE));
        let service = Hops::new(4, 5).unwrap();
        assert!(service.fit(service));
        assert!(!service.fit(one) && !one.fit(service) && !service.fit(Hops::new(4, 6).unwrap()));
        assert!(!service.fit(Hops::new(5, 5).unwrap()));
    }

    #[test]
    fn the_number_of_the_end_costs_no_gap() {
        assert_eq!(size_of::<Hops>(), 12);
    }
}
