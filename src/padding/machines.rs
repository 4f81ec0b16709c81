//! Reads padding machines from text, once for all circuits that run them.
//!
//! The text of a machine is the output of `maybenot::Machine::serialize()`: two digits of version, then base64 of zlib
//! of bincode. It is unpacked here and not by maybenot, which cannot read back a machine that zlib returns in more than
//! one piece (above some 32 KiB), accepts NaN, and sets no limit on memory.
//!
//! # Cost of one event
//!
//! A machine may be hostile: its author need not be the one who runs it. A machine that is accepted here has a bounded
//! cost per event.
//!
//! - maybenot clears two flags at each call of `trigger_events()`, and a CounterZero needs and sets one of them, so a
//!   call sees at most two. Nothing else makes a transition inside a transition: the stack is at most three deep.
//!   LimitReached comes after the event's own transition, for one machine.
//! - Signals go round once, after all events of the call. With E events and M machines that makes at most
//!   E (M + 1) + M + 2 transitions.
//! - A transition reads one list, no longer than the machine has states (+ 2), and samples at most five distributions:
//!   limit, two counters, timeout, duration.
//! - A sample costs a handful of draws, whatever the parameters: see `not_slow`.

use std::sync::Arc;

use base64::prelude::{Engine, BASE64_STANDARD};
use base64::DecodeError;
use bincode::Options;
use flate2::{Decompress, FlushDecompress, Status};
use maybenot::action::Action;
use maybenot::constants::VERSION;
use maybenot::counter::Counter;
use maybenot::dist::{Dist, DistType};
use maybenot::state::{State, Trans};
use maybenot::Machine;

use super::bad::{BadMachines, Flaw};
use crate::base::limits::{MACHINES_BYTES_MAX, MACHINES_MAX, MACHINE_UNPACKED_MAX};

/// Machines that run together at one hop, shared by all circuits that run them.
///
/// The default has no machine, for an end that only accepts padding.
#[derive(Clone, Default)]
pub struct Machines {
    machines: Arc<[Machine]>,
    bytes: usize,
}

impl Machines {
    /// Reads a list: one machine in each line. Empty lines, blanks around a machine, CRLF, and a NUL at the end of the
    /// text are ignored.
    pub fn load(text: &[u8]) -> Result<Machines, BadMachines> {
        let text = text.strip_suffix(&[0]).unwrap_or(text);
        let (mut machines, mut bytes) = (Vec::new(), 0);
        let mut unpacked = Vec::new();
        for (line, text) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            let text = text.trim_ascii();
            if text.is_empty() {
                continue;
            }
            let (machine, owned) = ensure(machines.len() < MACHINES_MAX, Flaw::TooMany)
                .and_then(|()| unpack(text, &mut unpacked))
                .and_then(|()| parse(&unpacked, MACHINES_BYTES_MAX - bytes))
                .map_err(|why| BadMachines { line, why })?;
            machines.push(machine);
            bytes += owned;
        }
        ensure(!machines.is_empty(), Flaw::Empty).map_err(|why| BadMachines { line: 1, why })?;
        Ok(Machines { machines: machines.into(), bytes })
    }

    /// Number of machines; a list that was loaded has at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.machines.len()
    }

    /// Bytes of memory that the machines own (an estimate), for all circuits together.
    #[allow(dead_code, reason = "tests of the estimate")]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl AsRef<[Machine]> for Machines {
    fn as_ref(&self) -> &[Machine] {
        &self.machines
    }
}

/// Longest text of a machine. base64 makes 4 bytes of 3, and zlib adds less than a thousandth to data that it cannot
/// shrink: one and a half times the unpacked length is enough.
pub(super) const TEXT_MAX: usize = MACHINE_UNPACKED_MAX / 2 * 3;

/// Largest parameter of Poisson and Beta. Above it their rejection samplers compare numbers that differ by less than
/// their rounding. A round of Poisson's accepts 62 times in a hundred up to 1e13 and 61 at 1e15, but 20 at 1e18 and 5
/// in ten million at the 1.8e19 that maybenot allows. As times (µs) or counts, such parameters mean "never".
pub(super) const SHAPE_MAX: f64 = 1e15;

/// Unpacks the text of one machine. A zip bomb costs no more than the buffer, which is a byte larger than the cap.
fn unpack(text: &[u8], unpacked: &mut Vec<u8>) -> Result<(), Flaw> {
    ensure(text.len() <= TEXT_MAX, Flaw::LongText(text.len()))?;
    let Some(([tens @ b'0'..=b'9', ones @ b'0'..=b'9'], packed)) = text.split_first_chunk() else {
        return Err(Flaw::NoVersion);
    };
    let version = (tens - b'0') * 10 + (ones - b'0');
    ensure(version == VERSION, Flaw::Version(version))?;
    let packed = BASE64_STANDARD.decode(packed).map_err(|fault| match fault {
        // Two digits stand before, and columns are counted from 1.
        DecodeError::InvalidByte(at, byte) if byte != b'=' => Flaw::Byte(byte, at + 3),
        _ => Flaw::CutText,
    })?;
    ensure(is_zlib(&packed), Flaw::NotZlib)?;
    unpacked.clear();
    unpacked.reserve_exact(MACHINE_UNPACKED_MAX + 1);
    let mut zlib = Decompress::new(true);
    let status = zlib.decompress_vec(&packed, unpacked, FlushDecompress::Finish).map_err(|_| Flaw::Damaged)?;
    ensure(unpacked.len() <= MACHINE_UNPACKED_MAX, Flaw::LongMachine)?;
    // The stream ends, checksum and all, where the text does.
    ensure(status == Status::StreamEnd, Flaw::CutData)?;
    let more = (packed.len() as u64).saturating_sub(zlib.total_in());
    ensure(more == 0, Flaw::AfterData(more))
}

/// True when the data begin as zlib data do (RFC 1950 §2.2): method deflate, and two bytes that 31 divides.
fn is_zlib(packed: &[u8]) -> bool {
    packed
        .first_chunk()
        .is_some_and(|&[method, flags]| method & 15 == 8 && u16::from_be_bytes([method, flags]) % 31 == 0)
}

/// Returns a machine that can be run, and the bytes of memory that it owns: at most `room`.
fn parse(unpacked: &[u8], room: usize) -> Result<(Machine, usize), Flaw> {
    /// The first fields of a machine: four limits, then the number of states.
    type Head = (u64, f64, u64, f64, u64);
    let layout = || bincode::DefaultOptions::new().with_limit(MACHINE_UNPACKED_MAX as u64).allow_trailing_bytes();
    let head = layout().deserialize::<Head>(unpacked).map_err(|_| Flaw::Fields)?;
    // Checked before any state is made: states take far more memory than text.
    ensure(head.4 <= (room / size_of::<State>()) as u64, Flaw::States(head.4))?;
    let mut rest = unpacked;
    let mut machine: Machine = layout().deserialize_from(&mut rest).map_err(|_| Flaw::Fields)?;
    ensure(rest.is_empty(), Flaw::AfterFields(rest.len() as u64))?;
    machine.states.shrink_to_fit();
    let bytes = examine(&machine)?;
    machine.validate().map_err(|fault| Flaw::Invalid(fault.to_string()))?;
    ensure(bytes <= room, Flaw::Memory)?;
    Ok((machine, bytes))
}

/// Checks what maybenot's own validation does not, and counts the bytes of memory. The patterns name every field, so
/// that a new field of maybenot does not compile.
fn examine(machine: &Machine) -> Result<usize, Flaw> {
    let Machine {
        allowed_padding_packets: _,
        max_padding_frac,
        allowed_blocked_microsec: _,
        max_blocking_frac,
        states,
    } = machine;
    finite(None, &[*max_padding_frac, *max_blocking_frac])?;
    let mut bytes = size_of::<Machine>() + size_of_val(states.as_slice());
    for (index, state) in states.iter().enumerate() {
        // The transitions are private, so this is a copy; it is made only while loading.
        for (_, transitions) in state.get_transitions() {
            bytes += size_of_val(transitions.as_slice());
            transitions.iter().try_for_each(|&Trans(_, probability)| finite(Some(index), &[probability.into()]))?;
        }
        for Dist { dist, start, max } in dists(state) {
            finite(Some(index), &[*start, *max])?;
            finite(Some(index), &parameters(dist))?;
            not_slow(index, dist)?;
        }
    }
    Ok(bytes)
}

/// Every distribution of a state.
fn dists(state: &State) -> impl Iterator<Item = &Dist> {
    let of_action = match &state.action {
        None | Some(Action::Cancel { timer: _ }) => [None; 3],
        Some(Action::SendPadding { bypass: _, replace: _, timeout, limit }) => [Some(timeout), None, limit.as_ref()],
        Some(Action::BlockOutgoing { bypass: _, replace: _, timeout, duration, limit }) => {
            [Some(timeout), Some(duration), limit.as_ref()]
        }
        Some(Action::UpdateTimer { replace: _, duration, limit }) => [None, Some(duration), limit.as_ref()],
    };
    let (a, b) = &state.counter;
    let of_counters = [a, b].map(|counter| match counter {
        None => None,
        Some(Counter { operation: _, dist, copy: _ }) => dist.as_ref(),
    });
    of_action.into_iter().chain(of_counters).flatten()
}

/// Every float of a distribution.
fn parameters(dist: &DistType) -> [f64; 3] {
    match *dist {
        DistType::Uniform { low, high } => [low, high, 0.0],
        DistType::Normal { mean, stdev } => [mean, stdev, 0.0],
        DistType::SkewNormal { location, scale, shape } => [location, scale, shape],
        DistType::LogNormal { mu, sigma } => [mu, sigma, 0.0],
        DistType::Binomial { trials: _, probability } => [probability, 0.0, 0.0],
        DistType::Geometric { probability } => [probability, 0.0, 0.0],
        DistType::Pareto { scale, shape } => [scale, shape, 0.0],
        DistType::Poisson { lambda } => [lambda, 0.0, 0.0],
        DistType::Weibull { scale, shape } => [scale, shape, 0.0],
        DistType::Gamma { scale, shape } => [scale, shape, 0.0],
        DistType::Beta { alpha, beta } => [alpha, beta, 0.0],
    }
}

fn finite(state: Option<usize>, floats: &[f64]) -> Result<(), Flaw> {
    match floats.iter().find(|float| !float.is_finite()) {
        Some(float) => Err(Flaw::NotFinite(state, float.to_string())),
        None => Ok(()),
    }
}

/// Refuses a distribution that is slow to sample. Draws for one sample, by the algorithms of rand_distr 0.5:
///
/// - Uniform, Pareto, Weibull: 1. Normal, LogNormal, SkewNormal: a ziggurat or two, parameters not involved.
/// - Gamma: a round accepts nine times in ten whatever the shape, by its first test.
/// - Geometric, Binomial: short loops, as maybenot wants probabilities of at least 1e-9 and at most 1e9 trials. The
///   longest loop without a draw is Binomial's, some 700 steps: it runs only where the variance is below 1,500.
/// - Poisson: 13 below λ = 12, else a rejection method. Beta: where one shape is at most 1, a round accepts one time
///   in four or more, always; else two times in three. Both as long as [`SHAPE_MAX`] keeps rounding out of it.
fn not_slow(state: usize, dist: &DistType) -> Result<(), Flaw> {
    let shape = match *dist {
        DistType::Poisson { lambda } => lambda,
        DistType::Beta { alpha, beta } => alpha.max(beta),
        DistType::Uniform { .. }
        | DistType::Normal { .. }
        | DistType::SkewNormal { .. }
        | DistType::LogNormal { .. }
        | DistType::Binomial { .. }
        | DistType::Geometric { .. }
        | DistType::Pareto { .. }
        | DistType::Weibull { .. }
        | DistType::Gamma { .. } => 0.0,
    };
    ensure(shape <= SHAPE_MAX, Flaw::Slow(state, format!("{shape:e}")))
}

fn ensure(holds: bool, why: Flaw) -> Result<(), Flaw> {
    holds.then_some(()).ok_or(why)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::str::FromStr;

    use flate2::write::ZlibEncoder;
    use flate2::{Compress, Compression, FlushCompress};
    use maybenot::counter::Operation;
    use maybenot::event::Event;
    use maybenot_machines::{get_machine, StaticMachine};
    use rand09::rngs::StdRng;
    use rand09::{Rng, SeedableRng};

    use super::*;

    /// Numbers that can be found in the bytes of a machine, as no other number looks like them.
    const MARK: f64 = 0.437_512_345;
    const MARK_F32: f32 = 0.437_512;

    fn dist(dist: DistType) -> Dist {
        Dist { dist, start: MARK, max: MARK }
    }

    fn pad(timeout: DistType) -> Action {
        Action::SendPadding { bypass: true, replace: false, timeout: dist(timeout), limit: None }
    }

    fn state(action: Option<Action>, to: &[Trans]) -> State {
        let mut transitions = State::new(Default::default()).get_transitions();
        transitions[Event::NormalSent] = to.to_vec();
        let mut state = State::new(transitions);
        state.action = action;
        state
    }

    fn machine(states: Vec<State>) -> Machine {
        Machine {
            allowed_padding_packets: 7,
            max_padding_frac: MARK,
            allowed_blocked_microsec: 8,
            max_blocking_frac: MARK,
            states,
        }
    }

    fn padding(timeout: DistType) -> String {
        machine(vec![state(Some(pad(timeout)), &[Trans(0, MARK_F32)])]).serialize()
    }

    fn small() -> String {
        padding(DistType::Uniform { low: 1.0, high: 2.0 })
    }

    fn pack(unpacked: &[u8]) -> String {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(unpacked).unwrap();
        armour(&zlib.finish().unwrap())
    }

    fn armour(packed: &[u8]) -> String {
        format!("02{}", BASE64_STANDARD.encode(packed))
    }

    fn unpacked(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        unpack(text.as_bytes(), &mut bytes).unwrap();
        bytes
    }

    fn why(text: impl AsRef<[u8]>) -> Option<Flaw> {
        Machines::load(text.as_ref()).err().map(|bad| bad.why)
    }

    fn texts(machines: &Machines) -> Vec<String> {
        machines.as_ref().iter().map(Machine::serialize).collect()
    }

    #[test]
    fn a_list_survives_the_round_trip() {
        let (one, two) = (small(), padding(DistType::Poisson { lambda: 3.0 }));
        let text = format!("\n  {one}\t\r\n\r\n \n{two}");
        let machines = Machines::load(text.as_bytes()).unwrap();
        assert_eq!(machines.len(), 2);
        assert_eq!(texts(&machines), [one.clone(), two]);
        let one = Machines::load(one.as_bytes()).unwrap();
        assert_eq!(one.bytes(), size_of::<Machine>() + size_of::<State>() + size_of::<Trans>());
        assert_eq!(machines.bytes(), 2 * one.bytes());
    }

    #[test]
    fn every_shipped_defence_loads() {
        let mut defences = vec![
            "noop",
            "netflow",
            "break_pad_client",
            "break_pad_server",
            "interspace_client",
            "front 3000 1000000 14000000 300",
            "tamaraw 0.012 1000000",
            "regulator_client 3.95 1.77",
            "regulator_server 277 0.94 3.55 3550 100",
            "scrambler_client",
            "scrambler_server 2000 7 1 9",
        ];
        // Each machine of this kind draws half of its parameters when it is made.
        defences.extend(["interspace_server"; 40]);
        let mut rng = StdRng::seed_from_u64(1);
        for defence in defences {
            let made = get_machine(&[defence.parse::<StaticMachine>().unwrap()], &mut rng);
            let made: Vec<String> = made.iter().map(Machine::serialize).collect();
            let loaded = Machines::load(made.join("\n").as_bytes()).unwrap_or_else(|bad| panic!("{defence}: {bad:?}"));
            assert_eq!(texts(&loaded), made, "{defence}");
        }
    }

    #[test]
    fn a_machine_that_maybenot_cannot_read_back_loads() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut states = Vec::new();
        for _ in 0..1000 {
            let (location, scale, shape, start, max) = rng.random();
            let duration = Dist { dist: DistType::SkewNormal { location, scale, shape }, start, max };
            let action = Action::UpdateTimer { replace: false, duration, limit: None };
            states.push(state(Some(action), &[Trans(rng.random_range(0..1000), 1.0)]));
        }
        let text = machine(states).serialize();
        assert!(Machine::from_str(&text).is_err(), "maybenot has mended its reader");
        assert_eq!(texts(&Machines::load(text.as_bytes()).unwrap()), [text]);
    }

    #[test]
    fn a_text_that_is_no_machine_gets_its_reason() {
        let text = small();
        let bytes = unpacked(&text);
        let with = |more: &[u8]| [&bytes[..], more].concat();
        let zlib = BASE64_STANDARD.decode(&text[2..]).unwrap();
        let mut unsummed = zlib.clone();
        *unsummed.last_mut().unwrap() ^= 1;
        let cases = [
            (String::new(), Flaw::Empty),
            ("\r\n \n".into(), Flaw::Empty),
            ("0".into(), Flaw::NoVersion),
            ("02".into(), Flaw::NotZlib),
            (format!("+2{}", &text[2..]), Flaw::NoVersion),
            (format!("01{}", &text[2..]), Flaw::Version(1)),
            (format!("99{}", &text[2..]), Flaw::Version(99)),
            (format!("{text}="), Flaw::CutText),
            (pack(&with(&[0])), Flaw::AfterFields(1)),
            (pack(&bytes[..bytes.len() - 1]), Flaw::Fields),
            (pack(&[]), Flaw::Fields),
            (armour(&[&zlib[..], &[0]].concat()), Flaw::AfterData(1)),
            (armour(&zlib[..zlib.len() - 1]), Flaw::CutData),
            (armour(&unsummed), Flaw::Damaged),
        ];
        for (text, expected) in cases {
            assert_eq!(why(&text), Some(expected), "{text}");
        }
        for text in [
            machine(vec![]).serialize(),
            machine(vec![state(None, &[Trans(1, 1.0)])]).serialize(),
            padding(DistType::Uniform { low: 2.0, high: 1.0 }),
            padding(DistType::Geometric { probability: 1e-10 }),
        ] {
            assert!(matches!(why(&text), Some(Flaw::Invalid(_))), "{text}");
        }
        assert!(matches!(why(format!("{text} {text}")), Some(Flaw::Byte(b' ', _) | Flaw::CutText)));
        assert_eq!(Machines::load(format!("{text}\r\n\r\n{text}\r\n02\r\n").as_bytes()).err().unwrap().line, 4);
    }

    /// A machine with all kinds of distributions in all places, in which each float is a mark.
    fn marked() -> Vec<u8> {
        let kinds = [
            DistType::Uniform { low: MARK, high: MARK },
            DistType::Normal { mean: MARK, stdev: MARK },
            DistType::SkewNormal { location: MARK, scale: MARK, shape: MARK },
            DistType::LogNormal { mu: MARK, sigma: MARK },
            DistType::Binomial { trials: 3, probability: MARK },
            DistType::Geometric { probability: MARK },
            DistType::Pareto { scale: MARK, shape: MARK },
            DistType::Poisson { lambda: MARK },
            DistType::Weibull { scale: MARK, shape: MARK },
            DistType::Gamma { scale: MARK, shape: MARK },
            DistType::Beta { alpha: MARK, beta: MARK },
        ];
        let (bypass, replace, any) = (false, true, dist(kinds[0]));
        let mut states: Vec<State> = kinds.iter().map(|&kind| state(Some(pad(kind)), &[])).collect();
        for action in [
            Action::SendPadding { bypass, replace, timeout: any, limit: Some(any) },
            Action::BlockOutgoing { bypass, replace, timeout: any, duration: any, limit: Some(any) },
            Action::UpdateTimer { replace, duration: any, limit: Some(any) },
        ] {
            let mut state = state(Some(action), &[Trans(0, MARK_F32), Trans(1, MARK_F32)]);
            let counter = Counter::new_dist(Operation::Set, any);
            state.counter = (Some(counter), Some(counter));
            states.push(state);
        }
        unpacked(&machine(states).serialize())
    }

    #[test]
    fn no_float_anywhere_may_be_nan_or_infinite() {
        let bytes = marked();
        assert_eq!(why(pack(&bytes)), None);
        let places =
            |mark: &[u8]| -> Vec<usize> { (0..bytes.len()).filter(|&at| bytes[at..].starts_with(mark)).collect() };
        let (wide, narrow) = (places(&MARK.to_le_bytes()), places(&MARK_F32.to_le_bytes()));
        // 2 fractions; 11 kinds with start and max; 13 places for a Uniform. Floats: 2 transitions of each of 3 states.
        assert_eq!((wide.len(), narrow.len()), (2 + (20 + 11 * 2) + 13 * 4, 6));
        let put = |at: usize, float: &[u8]| {
            let mut bytes = bytes.clone();
            bytes[at..at + float.len()].copy_from_slice(float);
            assert!(matches!(why(pack(&bytes)), Some(Flaw::NotFinite(..))), "at {at}: {float:?}");
        };
        for float in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            wide.iter().for_each(|&at| put(at, &float.to_le_bytes()));
        }
        for float in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            narrow.iter().for_each(|&at| put(at, &float.to_le_bytes()));
        }
    }

    #[test]
    fn a_distribution_that_is_slow_to_sample_is_refused() {
        for (shape, slow) in [(SHAPE_MAX, false), (SHAPE_MAX.next_up(), true)] {
            let is_slow = |dist| match why(padding(dist)) {
                Some(Flaw::Slow(0, _)) => true,
                other => other.is_some_and(|why| panic!("{why}")),
            };
            assert_eq!(is_slow(DistType::Poisson { lambda: shape }), slow);
            assert_eq!(is_slow(DistType::Beta { alpha: shape, beta: 1.0 }), slow);
            assert_eq!(is_slow(DistType::Beta { alpha: 1.0, beta: shape }), slow);
            assert_eq!(why(padding(DistType::Gamma { scale: 1.0, shape })), None, "no matter for Gamma");
        }
    }

    #[test]
    fn the_number_of_machines_is_capped() {
        let list = |machines| vec![small(); machines].join("\n");
        assert_eq!(Machines::load(list(MACHINES_MAX).as_bytes()).unwrap().len(), MACHINES_MAX);
        let one_more = Machines::load(list(MACHINES_MAX + 1).as_bytes()).err();
        assert_eq!(one_more, Some(BadMachines { line: MACHINES_MAX + 1, why: Flaw::TooMany }));
    }

    #[test]
    fn the_text_of_a_machine_is_capped() {
        let zeros = |bytes| format!("02{}", "A".repeat(bytes));
        assert!(why(zeros(TEXT_MAX - 2)).is_some_and(|why| why != Flaw::LongText(TEXT_MAX)));
        assert_eq!(why(zeros(TEXT_MAX - 1)), Some(Flaw::LongText(TEXT_MAX + 1)));
        let mut noise = vec![0; MACHINE_UNPACKED_MAX];
        StdRng::seed_from_u64(3).fill(&mut noise[..]);
        assert!(pack(&noise).len() < TEXT_MAX, "what cannot be compressed fits");
    }

    #[test]
    fn unpacked_bytes_are_capped() {
        for (bytes, expected) in [
            (MACHINE_UNPACKED_MAX - 1, Ok(())),
            (MACHINE_UNPACKED_MAX, Ok(())),
            (MACHINE_UNPACKED_MAX + 1, Err(Flaw::LongMachine)),
            (MACHINE_UNPACKED_MAX + 2, Err(Flaw::LongMachine)),
        ] {
            let mut unpacked = Vec::new();
            assert_eq!(unpack(pack(&vec![0; bytes]).as_bytes(), &mut unpacked), expected);
            assert_eq!(unpacked.len(), bytes.min(MACHINE_UNPACKED_MAX + 1));
        }
    }

    #[test]
    fn a_bomb_costs_one_buffer() {
        // 1 GiB of zeros: a compressed mebibyte, 1024 times.
        let mut mebibyte = Vec::with_capacity(4096);
        Compress::new(Compression::best(), false)
            .compress_vec(&vec![0; 1 << 20], &mut mebibyte, FlushCompress::Sync)
            .unwrap();
        let bomb = armour(&[&[0x78, 0x9c], &mebibyte.repeat(1 << 10)[..]].concat());
        assert!(bomb.len() < TEXT_MAX);
        let mut unpacked = Vec::new();
        assert_eq!(unpack(bomb.as_bytes(), &mut unpacked), Err(Flaw::LongMachine));
        assert_eq!(unpacked.capacity(), MACHINE_UNPACKED_MAX + 1);
        assert_eq!(why(bomb), Some(Flaw::LongMachine));
    }

    #[test]
    fn memory_is_capped() {
        let empty = |states| machine(vec![state(None, &[]); states]).serialize();
        let fit = (MACHINES_BYTES_MAX - size_of::<Machine>()) / size_of::<State>();
        let full = Machines::load(empty(fit).as_bytes()).unwrap();
        assert!((MACHINES_BYTES_MAX - size_of::<State>()..=MACHINES_BYTES_MAX).contains(&full.bytes()));
        assert_eq!(why(empty(fit + 1)), Some(Flaw::States(fit as u64 + 1)));
        // All machines together, and the transitions of one machine.
        let half = empty(fit / 2);
        assert_eq!(why(format!("{half}\n{half}")), None);
        let last = Machines::load(format!("{half}\n{half}\n{half}").as_bytes()).err();
        assert_eq!(last, Some(BadMachines { line: 3, why: Flaw::States(fit as u64 / 2) }));
        let to: Vec<Trans> = (0..1000).map(|to| Trans(to, 1e-4)).collect();
        let mut states = vec![state(None, &[]); fit];
        states[0] = state(None, &to);
        assert_eq!(why(machine(states).serialize()), Some(Flaw::Memory));
        // A number of states without the states is refused too.
        let mut bytes = unpacked(&small());
        bytes.truncate(18);
        bytes.extend([253, 255, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(why(pack(&bytes)), Some(Flaw::States(u64::MAX)));
    }

    #[test]
    fn a_machine_cut_short_or_garbled_never_panics() {
        let text = small();
        for end in 0..text.len() {
            assert!(why(&text[..end]).is_some(), "{end}");
        }
        let bytes = marked();
        let mut rng = StdRng::seed_from_u64(4);
        let mut loaded = 0;
        for round in 0..6000 {
            let mut garbled = if round % 2 == 0 { text.clone().into_bytes() } else { bytes.clone() };
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..garbled.len());
                garbled[at] = rng.random();
            }
            let garbled = if round % 2 == 0 { garbled } else { pack(&garbled).into_bytes() };
            loaded += usize::from(Machines::load(&garbled).is_ok());
        }
        assert!(loaded > 100, "some are good machines all the same: {loaded}");
        for _ in 0..2000 {
            let mut noise = vec![0; rng.random_range(0..200)];
            rng.fill(&mut noise[..]);
            assert!(why(&noise).is_some());
            assert!(why(pack(&noise)).is_some());
        }
    }
}
