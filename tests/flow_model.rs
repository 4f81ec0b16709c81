//! XON and XOFF under random traffic: our buffer against a naive account of the rules, and honest peers of every make
//! against our limits on abuse.

use circflow::base::limits::STREAM_BUFFERED_DEFAULT;
use circflow::congestion::{FlowMessage, Incoming, May, Outgoing, Params, PathClass, StreamEdge};
use proptest::prelude::*;
use std::collections::VecDeque;

const LARGEST_RATE: u64 = i32::MAX as u64;

/// The rules as they stand, from the record of everything that has happened since the last period.
#[derive(Default)]
struct Naive {
    waiting: u64,
    stopped: bool,
    over_since: Option<u64>,
    /// Begin of the period, and what was read since.
    period: Option<(u64, Vec<u64>)>,
    /// What went through while nothing waited.
    through: Vec<u64>,
    rate: u64,
    said: u64,
}

impl Naive {
    fn come(&mut self, now: u64, bytes: u32, params: &Params, broken: bool) -> Option<FlowMessage> {
        self.waiting += u64::from(bytes);
        let mut said = None;
        if self.waiting > params.xoff_bytes(StreamEdge::Exit) {
            if !self.stopped {
                match self.over_since {
                    None => self.over_since = Some(now),
                    Some(since) if now > since + 5_000_000 => {
                        (self.stopped, self.over_since, self.rate) = (true, None, 0);
                        said = Some(FlowMessage::Xoff);
                    }
                    Some(_) => {}
                }
            }
        } else {
            self.over_since = None;
        }
        if self.waiting > 32 * 488 {
            let more = self.decide(now, params, broken);
            assert!(said.is_none() || more.is_none(), "never two at once");
            said = said.or(more);
        }
        said
    }

    fn go(&mut self, now: u64, bytes: u32, params: &Params, broken: bool) -> Option<FlowMessage> {
        self.waiting -= u64::from(bytes);
        if self.waiting <= params.xoff_bytes(StreamEdge::Exit) {
            self.over_since = None;
        }
        match &mut self.period {
            Some((_, read)) => read.push(bytes.into()),
            None => self.through.push(bytes.into()),
        }
        self.decide(now, params, broken)
    }

    fn decide(&mut self, now: u64, params: &Params, broken: bool) -> Option<FlowMessage> {
        if broken {
            self.period = None;
            self.through.clear();
        } else if self.period.is_none() && self.waiting > 0 {
            self.period = Some((now, Vec::new()));
            self.through.clear();
        } else if let Some((from, read)) = &self.period {
            let (drained, micros) = (read.iter().sum::<u64>(), (now - from) / 1000);
            if drained > params.xon_bytes() && micros > 0 {
                let rate = (drained * 1000 / micros).clamp(1, LARGEST_RATE);
                let n = u64::from(params.xon_ewma_cnt);
                self.rate = if self.rate == 0 { rate } else { (2 * rate + (n - 1) * self.rate) / (n + 1) };
                self.period = Some((now, Vec::new()));
            }
        }
        let mut said = None;
        let pct = u64::from(params.xon_change_pct);
        let changed =
            self.said > 0 && (self.rate > (100 + pct) * self.said / 100 || self.rate < (100 - pct) * self.said / 100);
        if self.stopped && self.waiting == 0 || !self.stopped && changed && !broken {
            self.stopped = false;
            self.said = self.rate;
            said = Some(FlowMessage::Xon { rate: self.rate as u32 });
        }
        if self.waiting == 0 {
            if self.period.is_some() {
                self.period = None;
                self.through.clear();
            } else if self.through.iter().sum::<u64>() >= params.xon_bytes() {
                if self.said > 0 {
                    self.rate = (2 * self.rate).min(LARGEST_RATE);
                }
                self.through.clear();
            }
        }
        said
    }
}

/// Small limits make much happen in few steps; the ends of the ranges are among them.
fn any_params() -> impl Strategy<Value = Params> {
    let cells = || prop_oneof![Just(1u32), 2..20u32, Just(500), 1..=10_000u32, Just(10_000)];
    let xon = prop_oneof![Just(1u32), 2..20u32, Just(500), Just(5000)];
    let pct = prop_oneof![Just(1u32), Just(25), Just(99)];
    (cells(), cells(), xon, pct, prop_oneof![Just(2u32), Just(100)]).prop_map(
        |(xoff_client, xoff_exit, xon_rate, xon_change_pct, xon_ewma_cnt)| Params {
            xoff_client,
            xoff_exit,
            xon_rate,
            xon_change_pct,
            xon_ewma_cnt,
            ..Params::default_for(PathClass::Exit)
        },
    )
}

/// What happens next: bytes that come, bytes that are read in thousandths of what waits, time.
#[derive(Clone, Debug)]
struct Step {
    come: u32,
    read: u32,
    wait: u64,
    broken: bool,
}

fn any_step() -> impl Strategy<Value = Step> {
    let come = prop_oneof![Just(0u32), 1..499u32, 1..20_000u32, 1..500_000u32];
    let read = prop_oneof![2 => Just(0u32), 3 => Just(1000), 3 => 1..1000u32];
    let wait = prop_oneof![Just(0u64), 1..2_000u64, 1..6_000_000u64, 1..2_000_000_000u64, Just(1 << 50)];
    (come, read, wait, prop::bool::weighted(0.03)).prop_map(|(come, read, wait, broken)| Step {
        come,
        read,
        wait,
        broken,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn our_buffer_says_what_the_rules_say(params in any_params(), steps in prop::collection::vec(any_step(), 1..150)) {
        let mut naive = Naive::default();
        let mut incoming = Incoming::new(StreamEdge::Exit, u32::MAX);
        let mut now = 0;
        for step in steps {
            now += step.wait;
            if step.come > 0 {
                let said = incoming.delivered(now, step.come, &params, step.broken).unwrap();
                prop_assert_eq!(said, naive.come(now, step.come, &params, step.broken));
            }
            let read = (u64::from(incoming.buffered()) * u64::from(step.read) / 1000) as u32;
            let said = incoming.flushed(now, read, &params, step.broken).unwrap();
            prop_assert_eq!(said, naive.go(now, read, &params, step.broken));
            prop_assert_eq!(
                (u64::from(incoming.buffered()), u64::from(incoming.rate()), incoming.stopped()),
                (naive.waiting, naive.rate, naive.stopped)
            );
        }
    }
}

/// A peer that keeps to the rules as its makers read them.
trait Honest {
    fn come(&mut self, now: u64, bytes: u32, params: &Params) -> Option<FlowMessage>;
    fn go(&mut self, now: u64, bytes: u32, params: &Params) -> Option<FlowMessage>;
}

struct Circflow(Incoming);

impl Honest for Circflow {
    fn come(&mut self, now: u64, bytes: u32, params: &Params) -> Option<FlowMessage> {
        self.0.delivered(now, bytes, params, false).unwrap()
    }

    fn go(&mut self, now: u64, bytes: u32, params: &Params) -> Option<FlowMessage> {
        self.0.flushed(now, bytes, params, false).unwrap()
    }
}

/// XOFF at once above the larger limit, XON without a rate when its reader has read all.
#[derive(Default)]
struct Arti {
    waiting: u64,
    stopped: bool,
}

impl Honest for Arti {
    fn come(&mut self, _: u64, bytes: u32, params: &Params) -> Option<FlowMessage> {
        self.waiting += u64::from(bytes);
        let over = self.waiting > params.xoff_bytes(StreamEdge::Client).max(params.xoff_bytes(StreamEdge::Exit));
        let says = over && !self.stopped;
        self.stopped |= over;
        says.then_some(FlowMessage::Xoff)
    }

    fn go(&mut self, _: u64, bytes: u32, _: &Params) -> Option<FlowMessage> {
        self.waiting -= u64::from(bytes);
        (self.waiting == 0 && std::mem::take(&mut self.stopped)).then_some(FlowMessage::Xon { rate: 0 })
    }
}

/// With the bytes of the period before, a count that lives on when the buffer is empty, and its own rounding.
struct CTor {
    edge: StreamEdge,
    waiting: u64,
    stopped: bool,
    grace: u64,
    started: u64,
    drained: u64,
    drained_before: u64,
    rate: u64,
    said: u64,
}

impl CTor {
    fn new(edge: StreamEdge) -> Self {
        let none = 0;
        CTor {
            edge,
            waiting: none,
            stopped: false,
            grace: none,
            started: none,
            drained: none,
            drained_before: none,
            rate: none,
            said: none,
        }
    }

    fn decide(&mut self, micros: u64, written: u64, params: &Params) -> Option<FlowMessage> {
        self.drained += written;
        if self.started == 0 && self.waiting > 0 {
            (self.started, self.drained) = (micros, 0);
        }
        if self.started != 0 && self.drained > params.xon_bytes() {
            if self.drained_before == 0 {
                self.drained_before = self.drained;
            }
            let time = micros - self.started;
            if let Some(rate) = (self.drained_before * 1000).checked_div(time) {
                let rate = rate.clamp(1, LARGEST_RATE);
                let n = u64::from(params.xon_ewma_cnt);
                self.rate = if self.rate == 0 { rate } else { (2 * rate + (n - 1) * self.rate) / (n + 1) };
            }
            self.drained_before = self.drained;
            if time > 0 {
                (self.drained, self.started) = (0, 0);
            }
        }
        let pct = u64::from(params.xon_change_pct);
        let changed =
            self.said > 0 && (self.rate > (100 + pct) * self.said / 100 || self.rate < (100 - pct) * self.said / 100);
        let speak = if self.stopped { self.waiting == 0 } else { changed };
        if speak {
            (self.said, self.stopped) = (self.rate, false);
        }
        if self.waiting == 0 {
            self.started = 0;
            if self.drained >= params.xon_bytes() && self.said > 0 {
                self.rate = (2 * self.rate).min(LARGEST_RATE);
                (self.drained_before, self.drained) = (self.drained, 0);
            }
        }
        speak.then_some(FlowMessage::Xon { rate: self.said as u32 })
    }
}

impl Honest for CTor {
    fn come(&mut self, now: u64, bytes: u32, params: &Params) -> Option<FlowMessage> {
        let micros = 1 + now / 1000;
        self.waiting += u64::from(bytes);
        let mut said = None;
        if self.waiting <= params.xoff_bytes(self.edge) {
            self.grace = 0;
        } else if !self.stopped {
            if self.grace == 0 {
                self.grace = micros;
            } else if micros > self.grace + 5000 {
                (self.stopped, self.rate, self.grace) = (true, 0, 0);
                said = Some(FlowMessage::Xoff);
            }
        }
        if self.waiting > 32 * 488 {
            said = said.or(self.decide(micros, 0, params));
        }
        said
    }

    fn go(&mut self, now: u64, bytes: u32, params: &Params) -> Option<FlowMessage> {
        self.waiting -= u64::from(bytes);
        self.decide(1 + now / 1000, bytes.into(), params)
    }
}

fn peer(make: u8) -> Box<dyn Honest> {
    match make {
        0 => Box::new(CTor::new(StreamEdge::Client)),
        1 => Box::new(CTor::new(StreamEdge::Exit)),
        2 => Box::<Arti>::default(),
        _ => Box::new(Circflow(Incoming::new(StreamEdge::Exit, u32::MAX))),
    }
}

/// The same limits, or half: as far as two consensuses may lie apart.
fn halved(params: &Params, by: u8) -> Params {
    let half = |value: u32| if by == 0 { value } else { value.div_ceil(2) };
    Params {
        xoff_client: half(params.xoff_client),
        xoff_exit: half(params.xoff_exit),
        xon_rate: half(params.xon_rate),
        ..params.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    /// We send as fast as the peer lets us and now and then faster than it reads; both directions take their time.
    #[test]
    fn fc_12_an_honest_peer_is_never_cut_off(
        params in any_params(),
        make in 0..4u8,
        half in 0..2u8,
        ways in (0..20usize, 0..20usize),
        steps in prop::collection::vec(any_step(), 1..400),
    ) {
        let theirs = halved(&params, half);
        let mut peer = peer(make);
        let mut outgoing = Outgoing::new(&params, true);
        let (mut there, mut back): (VecDeque<u32>, VecDeque<FlowMessage>) = Default::default();
        let (mut now, mut waiting, mut spoke) = (0u64, 0u64, 0);
        for step in steps {
            now += step.wait.min(1 << 40);
            let mut left = step.come;
            while left > 0 && outgoing.may_send(now) == May::Now {
                let cell = left.min(498 * 8);
                outgoing.sent(now, cell);
                there.push_back(cell);
                left -= cell;
            }
            let mut said = Vec::new();
            while there.len() > ways.0 * 10 {
                let bytes = there.pop_front().unwrap();
                waiting += u64::from(bytes);
                said.extend(peer.come(now, bytes, &theirs));
            }
            let read = (waiting * u64::from(step.read) / 1000) as u32;
            waiting -= u64::from(read);
            said.extend(peer.go(now, read, &theirs));
            spoke += said.len();
            back.extend(said);
            while back.len() > ways.1 {
                let heard = match back.pop_front().unwrap() {
                    FlowMessage::Xoff => outgoing.handle_xoff(),
                    FlowMessage::Xon { rate } => outgoing.handle_xon(now, rate),
                };
                prop_assert_eq!(heard, Ok(()), "after {} of its messages", spoke);
            }
        }
    }
}

/// The most that an honest peer ever says for so few bytes: XOFF with the first cell beyond its limit and XON at once,
/// over and over; then a rate, doubled as soon as may be. With limits that are half of ours, this is all we allow.
#[test]
fn fc_12_an_honest_peer_may_say_as_much_as_it_ever_can() {
    let params = Params::default_for(PathClass::Exit);
    for (make, half) in [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1), (1, 1), (2, 1), (3, 1)] {
        let theirs = halved(&params, half);
        let (mut peer, mut outgoing) = (peer(make), Outgoing::new(&params, true));
        let (mut now, mut xoffs, mut xons) = (0, 0, 0);
        let mut hear = |outgoing: &mut Outgoing, now, said: Option<FlowMessage>| {
            let heard = match said {
                Some(FlowMessage::Xoff) => {
                    xoffs += 1;
                    outgoing.handle_xoff()
                }
                Some(FlowMessage::Xon { rate }) => {
                    xons += 1;
                    outgoing.handle_xon(now, rate)
                }
                None => Ok(()),
            };
            assert_eq!(heard, Ok(()), "make {make}, half {half}: after {xoffs} XOFFs and {xons} XONs");
        };
        for round in 0..40 {
            // Ten rounds that only stop and start; then each fills the buffer enough for a rate.
            let fill = if round < 10 { 0 } else { 2 * theirs.xon_bytes() as u32 };
            let mut waiting = 0;
            while !outgoing.stopped() || waiting < fill {
                now += 6_000_000;
                outgoing.sent(now, 488);
                waiting += 488;
                let said = peer.come(now, 488, &theirs);
                hear(&mut outgoing, now, said);
            }
            let last = waiting.min(4880);
            now += 1_000_000_000;
            let said = peer.go(now, waiting - last, &theirs);
            hear(&mut outgoing, now, said);
            let said = peer.go(now, last, &theirs);
            hear(&mut outgoing, now, said);
            let mut through = 0;
            while round >= 10 && through < 20 * theirs.xon_bytes() {
                outgoing.sent(now, 488);
                through += 488;
                let said = peer.come(now, 488, &theirs);
                hear(&mut outgoing, now, said);
                let said = peer.go(now, 488, &theirs);
                hear(&mut outgoing, now, said);
            }
        }
        assert_eq!(xoffs, 40);
        // 30 rounds of some 19 doublings; arti says no rates.
        assert!(if make == 2 { xons == 40 } else { xons > 400 }, "{xons}");
    }
}

/// With its own rule (counts and bytes halved together every 10 MiB) C Tor calls an honest peer with the largest limit
/// a cheat; ours does not.
#[test]
fn fc_12_the_largest_limit_over_a_long_transfer() {
    let params = Params { xoff_client: 10_000, xoff_exit: 10_000, ..Params::default_for(PathClass::Exit) };
    for make in 0..4 {
        let (mut peer, mut outgoing) = (peer(make), Outgoing::new(&params, true));
        let (mut now, mut xoffs, mut waiting) = (0, 0, 0);
        while xoffs < 50 {
            now += 10_000_000;
            outgoing.sent(now, 48_800);
            waiting += 48_800;
            if peer.come(now, 48_800, &params) == Some(FlowMessage::Xoff) {
                assert_eq!(outgoing.handle_xoff(), Ok(()), "the {xoffs}th");
                xoffs += 1;
                if let Some(FlowMessage::Xon { rate }) = peer.go(now, std::mem::take(&mut waiting), &params) {
                    assert_eq!(outgoing.handle_xon(now, rate), Ok(()));
                }
            }
        }
    }
}

/// Two ends of one stream: what one says, the other heeds, nothing is lost, and the buffer stays within a window of the
/// limit.
#[test]
fn a_slow_reader_slows_its_writer_down() {
    let params = Params::default_for(PathClass::Exit);
    let (mut writer, mut reader) =
        (Outgoing::new(&params, true), Incoming::new(StreamEdge::Exit, STREAM_BUFFERED_DEFAULT));
    // 100 ms there, 100 ms back, in steps of 1 ms; the reader takes 200 KB/s, the writer has 5 MB/s.
    let mut there: VecDeque<u32> = vec![0; 100].into();
    let mut back: VecDeque<Option<FlowMessage>> = vec![None; 100].into();
    let (mut most, mut read, mut xoffs) = (0, 0u64, 0);
    for ms in 1..60_000u64 {
        let now = ms * 1_000_000;
        match back.pop_front().flatten() {
            Some(FlowMessage::Xoff) => writer.handle_xoff().unwrap(),
            Some(FlowMessage::Xon { rate }) => writer.handle_xon(now, rate).unwrap(),
            None => {}
        }
        let mut sent = 0;
        while sent < 5000 && writer.may_send(now) == May::Now {
            writer.sent(now, 498);
            sent += 498;
        }
        there.push_back(sent);
        let came = there.pop_front().unwrap();
        let mut said = None;
        if came > 0 {
            said = reader.delivered(now, came, &params, false).unwrap();
        }
        let take = reader.buffered().min(200);
        read += u64::from(take);
        said = said.or(reader.flushed(now, take, &params, false).unwrap());
        xoffs += u32::from(said == Some(FlowMessage::Xoff));
        back.push_back(said);
        most = most.max(reader.buffered());
    }
    assert!(most < 500 * 488 + 205 * 5478, "{most}");
    assert!(read > 59 * 200_000 * 9 / 10, "{read} bytes: the reader was kept busy");
    assert!((1..20).contains(&xoffs), "{xoffs} XOFFs: the rate keeps the buffer from filling again and again");
}
