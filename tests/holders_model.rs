//! Who pays when a cap is reached, against a naive look at everybody.

use circflow::base::holders::{Holder, Holders, Seat};
use circflow::base::limits::{VICTIM_LOOKS, VICTIM_SHARE};
use proptest::prelude::*;
use std::cmp::Reverse;

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter { bytes: u64, since: u64 },
    Update { which: usize, bytes: u64, since: Option<u64> },
    Leave { which: usize },
}

/// Few ages and sizes, so that many are equal; sizes over many orders, so that shares count.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![0..20u64, (0..64u32).prop_map(|shift| 1 << shift), Just(546), Just(u64::MAX), any::<u64>()];
    let since = prop_oneof![8 => 0..40u64, 1 => any::<u64>()];
    let which = any::<usize>();
    let step = prop_oneof![
        5 => (bytes.clone(), since.clone()).prop_map(|(bytes, since)| Step::Enter { bytes, since }),
        4 => (which, bytes, proptest::option::of(since))
            .prop_map(|(which, bytes, since)| Step::Update { which, bytes, since }),
        2 => which.prop_map(|which| Step::Leave { which }),
    ];
    proptest::collection::vec(step, 1..200)
}

type Naive = Vec<(Seat, Holder<u32>)>;

fn product(holder: &Holder<u32>, now: u64) -> u128 {
    u128::from(holder.bytes) * (u128::from(now.saturating_sub(holder.since)) + 1)
}

/// The rule, word by word.
fn worst(all: &Naive, now: u64, cap: u64) -> Option<Holder<u32>> {
    let count = all.len() as u64;
    let share = cap / (VICTIM_SHARE * count.max(1));
    let largest = all.iter().map(|(_, holder)| holder.bytes).max().filter(|&bytes| bytes > 0)?;
    let least = if largest < share { largest } else { share.max(1) };
    let who_count = all.iter().map(|&(_, holder)| holder).filter(|holder| holder.bytes >= least);
    who_count.max_by_key(|holder| (product(holder, now), Reverse(holder.since), Reverse(holder.name)))
}

fn run(all: &mut Naive, holders: &mut Holders<u32>, name: u32, step: Step) {
    match step {
        Step::Enter { bytes, since } => {
            let seat = holders.enter(name, bytes, since);
            all.push((seat, Holder { seat, name, bytes, since }));
        }
        Step::Update { which, bytes, since } if !all.is_empty() => {
            let place = which % all.len();
            let (seat, holder) = &mut all[place];
            holder.bytes = bytes;
            holder.since = since.unwrap_or(holder.since);
            holders.update(*seat, bytes, holder.since);
        }
        Step::Leave { which } if !all.is_empty() => {
            let (seat, _) = all.swap_remove(which % all.len());
            holders.leave(seat);
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Fewer than the exact looks at a time: always the very one.
    #[test]
    fn the_victim_is_the_one_that_a_look_at_everybody_finds(
        steps in steps(),
        now in prop_oneof![0..60u64, any::<u64>()],
        cap in prop_oneof![0..5000u64, any::<u64>()],
    ) {
        let (mut all, mut holders) = (Vec::new(), Holders::default());
        for (name, &step) in steps.iter().enumerate() {
            if all.len() < VICTIM_LOOKS as usize || !matches!(step, Step::Enter { .. }) {
                run(&mut all, &mut holders, name as u32, step);
            }
            prop_assert_eq!(holders.len() as usize, all.len());
            prop_assert_eq!(holders.worst(now, cap), worst(&all, now, cap));
            prop_assert!(all.iter().all(|&(seat, holder)| holders.get(seat) == Some(holder)));
        }
    }

    /// However many there are, the victim counts, and is not far from the worst.
    #[test]
    fn of_any_number_it_is_within_a_quarter(
        sizes in proptest::collection::vec((1..1u64 << 40, 0..1u64 << 40), 1..2000),
        falling in any::<bool>(),
        cap in 0..1u64 << 50,
    ) {
        let (mut all, mut holders) = (Vec::new(), Holders::default());
        let now = 1 << 41;
        for (name, &(bytes, since)) in sizes.iter().enumerate() {
            // The hardest order: the more one holds the younger it is, so that all are much alike.
            let since = if falling { now - (1 << 40) / bytes.max(2) - since % 2 } else { since };
            run(&mut all, &mut holders, name as u32, Step::Enter { bytes, since });
        }
        let (found, rule) = (holders.worst(now, cap).unwrap(), worst(&all, now, cap).unwrap());
        let share = cap / (VICTIM_SHARE * all.len() as u64);
        prop_assert!(found.bytes >= share || all.iter().all(|(_, holder)| holder.bytes <= found.bytes));
        prop_assert!(product(&found, now) * 5 / 4 >= product(&rule, now));
    }
}

/// The two attacks that the rule is made for, as figures.
#[test]
fn honest_holders_are_passed_over() {
    const SECOND: u64 = 1_000_000_000;
    let cap = 256 << 20;
    let now = 1000 * SECOND;
    // A hundred honest ones of 200 KB for up to a minute.
    let honest = |holders: &mut Holders<u32>| {
        for name in 0..100 {
            holders.enter(name, 200_000, now - u64::from(name) * SECOND * 6 / 10);
        }
    };
    // One who keeps what it holds younger than theirs, at 10 MB a second: to fill the cap it must hold much.
    let mut holders = Holders::default();
    honest(&mut holders);
    for name in 100..126 {
        holders.enter(name, 10_000_000, now - u64::from(name - 99) * SECOND);
    }
    assert!(holders.worst(now, cap).unwrap().name >= 100);
    // One with 100,000 sets of one message, older than all others.
    let mut holders = Holders::default();
    honest(&mut holders);
    for name in 100..100_100 {
        holders.enter(name, 546, 0);
    }
    let large = holders.enter(200_000, 180 << 20, now - SECOND);
    assert_eq!(holders.worst(now, cap).unwrap().seat, large);
    // While they are there, a message does not count at all: not even where it is the oldest by far.
    holders.leave(large);
    assert!(holders.worst(now, cap).unwrap().name < 100, "but a cap that is not full asks for nobody");
}
