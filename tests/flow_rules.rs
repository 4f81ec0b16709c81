//! XON and XOFF, rule by rule: what we say about our buffer, and what a peer may say about its own.

use circflow::base::limits::{FLOW_CREDIT_MAX, STREAM_BUFFERED_DEFAULT};
use circflow::congestion::{Abuse, FlowMessage, Incoming, May, Outgoing, Overflow, Params, PathClass, StreamEdge};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// The limits of the defaults, in bytes: XOFF, and between two rates.
const XOFF: u32 = 500 * 488;
const XON: u32 = 500 * 498;
const UNLIMITED: FlowMessage = FlowMessage::Xon { rate: 0 };

fn params() -> Params {
    Params::default_for(PathClass::Exit)
}

/// A stream's buffer under the defaults, without the arguments that stay the same.
struct Buffer {
    incoming: Incoming,
    params: Params,
    clock_broken: bool,
}

impl Buffer {
    fn new() -> Self {
        Buffer {
            incoming: Incoming::new(StreamEdge::Exit, STREAM_BUFFERED_DEFAULT),
            params: params(),
            clock_broken: false,
        }
    }

    fn come(&mut self, now: u64, bytes: u32) -> Option<FlowMessage> {
        self.incoming.delivered(now, bytes, &self.params, self.clock_broken).unwrap()
    }

    fn go(&mut self, now: u64, bytes: u32) -> Option<FlowMessage> {
        self.incoming.flushed(now, bytes, &self.params, self.clock_broken).unwrap()
    }

    /// Full, stopped, and drained again to the last byte: says how fast with XON, from `now` on at 1 MB/s.
    fn with_rate(now: u64) -> (Self, u64) {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.come(now, 2 * XON), None);
        let mut now = now + 6 * MS;
        assert_eq!(buffer.come(now, 1), Some(FlowMessage::Xoff));
        // The first period began when the first bytes came, 6 ms before.
        now += 2 * u64::from(XON) * 1000 - 6 * MS;
        assert_eq!(buffer.go(now, 2 * XON), None);
        assert_eq!(buffer.incoming.rate(), 1000);
        assert_eq!(buffer.go(now, 1), Some(FlowMessage::Xon { rate: 1000 }));
        (buffer, now)
    }
}

#[test]
fn fc_1_xoff_above_the_limit_and_only_one() {
    for (bytes, said) in [(XOFF - 1, None), (XOFF, None), (XOFF + 1, Some(FlowMessage::Xoff))] {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.come(0, bytes), None);
        assert_eq!(buffer.come(6 * MS, 0), said, "{bytes}");
        assert_eq!(buffer.incoming.stopped(), said.is_some());
        assert_eq!(buffer.come(20 * MS, 0), None, "one is enough");
    }
}

#[test]
fn fc_1_client_and_exit_have_limits_of_their_own() {
    let params = Params { xoff_client: 1, xoff_exit: 2, ..params() };
    for (edge, limit) in [(StreamEdge::Client, 488), (StreamEdge::Exit, 976)] {
        let mut incoming = Incoming::new(edge, STREAM_BUFFERED_DEFAULT);
        assert_eq!(incoming.delivered(0, limit, &params, false), Ok(None));
        assert_eq!(incoming.delivered(6 * MS, 1, &params, false), Ok(None), "grace begins");
        assert_eq!(incoming.delivered(12 * MS, 0, &params, false), Ok(Some(FlowMessage::Xoff)));
    }
}

#[test]
fn fc_2_a_burst_has_five_milliseconds() {
    for (wait, said) in [(5 * MS - 1, None), (5 * MS, None), (5 * MS + 1, Some(FlowMessage::Xoff))] {
        let mut buffer = Buffer::new();
        buffer.come(0, XOFF + 1);
        assert_eq!(buffer.come(wait, 1), said, "{wait}");
    }
    // Read in between: the grace begins anew.
    let mut buffer = Buffer::new();
    buffer.come(0, XOFF + 1);
    buffer.go(MS, 1);
    assert_eq!(buffer.come(6 * MS, 1), None);
    assert_eq!(buffer.come(11 * MS, 1), None);
    assert_eq!(buffer.come(11 * MS + 1, 1), Some(FlowMessage::Xoff));
    // Without another arrival nothing is said, however long it takes.
    let mut buffer = Buffer::new();
    buffer.come(0, XOFF + 2);
    assert_eq!(buffer.go(SECOND, 1), None);
}

#[test]
fn fc_3_xoff_forgets_the_rate() {
    let (mut buffer, now) = Buffer::with_rate(0);
    buffer.come(now, XOFF + 1);
    assert_eq!(buffer.incoming.rate(), 1000);
    assert_eq!(buffer.come(now + 6 * MS, 0), Some(FlowMessage::Xoff));
    assert_eq!(buffer.incoming.rate(), 0);
    assert_eq!(buffer.go(now + 7 * MS, XOFF + 1), Some(UNLIMITED), "too little has drained to say");
}

#[test]
fn fc_4_xon_when_the_last_byte_is_read() {
    let mut buffer = Buffer::new();
    assert_eq!(buffer.come(0, XOFF + 1), None);
    assert_eq!(buffer.come(6 * MS, 0), Some(FlowMessage::Xoff));
    assert_eq!(buffer.go(7 * MS, XOFF), None);
    assert_eq!(buffer.go(8 * MS, 1), Some(UNLIMITED));
    assert!(!buffer.incoming.stopped());
    assert_eq!(buffer.go(9 * MS, 0), None, "once");
}

#[test]
fn fc_5_a_rate_needs_more_than_xon_rate_bytes() {
    for (bytes, rate) in [(XON - 1, 0), (XON, 0), (XON + 1, 249)] {
        let mut buffer = Buffer::new();
        buffer.come(0, XON + 2);
        buffer.go(SECOND, bytes);
        assert_eq!(buffer.incoming.rate(), rate, "{bytes}");
    }
}

#[test]
fn fc_5_rates_have_a_floor_and_a_cap() {
    let mut buffer = Buffer::new();
    buffer.come(0, XON + 2);
    buffer.go(10_000 * SECOND, XON + 1);
    assert_eq!(buffer.incoming.rate(), 1);
    let mut buffer = Buffer::new();
    buffer.params.xon_rate = 1;
    buffer.incoming = Incoming::new(StreamEdge::Exit, u32::MAX);
    assert_eq!(buffer.come(0, u32::MAX), None);
    assert_eq!(buffer.go(500, u32::MAX - 1), None, "no time has passed: no rate yet");
    assert_eq!(buffer.incoming.rate(), 0);
    buffer.go(1000, 0);
    assert_eq!(buffer.incoming.rate(), i32::MAX as u32);
}

/// C Tor divides the bytes of the period before by the time of this one.
#[test]
fn edge_c_17_bytes_and_time_are_of_the_same_period() {
    let mut buffer = Buffer::new();
    buffer.params.xon_ewma_cnt = 2;
    buffer.come(0, 10 * XON);
    buffer.go(SECOND, 4 * XON);
    assert_eq!(buffer.incoming.rate(), 996);
    buffer.go(2 * SECOND, 2 * XON);
    // (2 * 498 + 996) / 3; with the bytes of the first period it would have stayed at 996.
    assert_eq!(buffer.incoming.rate(), 664);
}

#[test]
fn fc_6_a_new_rate_is_said_beyond_the_percentage() {
    // In one second so much drains that the average becomes 1250, 1251, 750, 749, by (2 * rate + 1000) / 3.
    for (rate, said) in
        [(1375, None), (1376, None), (1377, Some(1251)), (625, None), (624, Some(749)), (623, Some(748))]
    {
        let (mut buffer, now) = Buffer::with_rate(0);
        assert_eq!(buffer.come(now, XOFF - 1), None);
        let bytes = rate * 1000 - (XOFF - 1);
        assert_eq!(buffer.come(now, bytes), None);
        // One byte waits, so that the period is seen to end while bytes wait.
        buffer.come(now, 1);
        assert_eq!(buffer.go(now + SECOND, rate * 1000), said.map(|rate| FlowMessage::Xon { rate }), "{rate}");
    }
}

#[test]
fn fc_6_no_rate_is_changed_that_was_never_said() {
    let mut buffer = Buffer::new();
    for round in 0..20 {
        let now = round * SECOND;
        assert_eq!(buffer.come(now, XOFF), None);
        assert_eq!(buffer.go(now + SECOND / (1 + round), XOFF), None);
    }
}

#[test]
fn fc_7_a_buffer_that_stays_empty_doubles_the_rate() {
    let (mut buffer, now) = Buffer::with_rate(0);
    // Straight through, never seen to wait.
    let mut through = |bytes: u32| {
        assert_eq!(buffer.come(now, bytes.min(1000)), None);
        let mut left = bytes;
        let mut said = None;
        while left > 0 {
            let part = left.min(1000);
            said = said.or(buffer.go(now, part));
            left -= part;
            buffer.come(now, left.min(1000));
        }
        (said, buffer.incoming.rate())
    };
    assert_eq!(through(XON - 1), (None, 1000));
    assert_eq!(through(1), (None, 2000));
    assert_eq!(through(1), (Some(FlowMessage::Xon { rate: 2000 }), 2000), "said at the next occasion");
    assert_eq!(through(XON - 2), (None, 2000));
    assert_eq!(through(1), (None, 4000));
    for _ in 0..40 {
        through(XON);
    }
    assert_eq!(through(1).1, i32::MAX as u32, "and no further");
}

/// What drained while bytes waited says nothing about a buffer that stays empty.
#[test]
fn fc_7_counts_only_what_went_straight_through() {
    let (mut buffer, now) = Buffer::with_rate(0);
    buffer.come(now, 40_000);
    buffer.go(now + MS, 39_999);
    buffer.go(now + 2 * MS, 1);
    let mut drained = 0;
    while buffer.incoming.rate() == 1000 {
        buffer.come(now + 2 * MS, 1000);
        buffer.go(now + 2 * MS, 1000);
        drained += 1000;
    }
    assert_eq!(drained, XON);
}

#[test]
fn fc_8_a_period_begins_when_much_waits_although_nothing_is_read() {
    for (bytes, rate) in [(32 * 488, 0), (32 * 488 + 1, 250)] {
        let mut buffer = Buffer::new();
        buffer.come(0, bytes);
        // A second goes by, and then all is read at once.
        buffer.go(SECOND, 0);
        buffer.come(SECOND, 250_000 - bytes + 10);
        buffer.go(SECOND, 250_000);
        assert_eq!(buffer.incoming.rate(), rate, "{bytes}");
    }
}

#[test]
fn fc_9_no_rate_by_a_broken_clock() {
    let (mut buffer, now) = Buffer::with_rate(0);
    buffer.come(now, 4 * XON);
    buffer.clock_broken = true;
    assert_eq!(buffer.go(now + SECOND, 2 * XON), None);
    assert_eq!(buffer.incoming.rate(), 1000);
    buffer.clock_broken = false;
    assert_eq!(buffer.go(now + 2 * SECOND, XON), None, "the period has to begin first");
    assert_eq!(buffer.incoming.rate(), 1000);
    // XOFF and the XON that ends it do not need a clock that can be believed.
    buffer.clock_broken = true;
    assert_eq!(buffer.come(now + 3 * SECOND, 0), Some(FlowMessage::Xoff));
    assert_eq!(buffer.go(now + 4 * SECOND, XON), Some(UNLIMITED));
}

#[test]
fn a_stream_has_a_cap_of_bytes() {
    for (bytes, fits) in [(99, true), (100, true), (101, false)] {
        let mut incoming = Incoming::new(StreamEdge::Client, 1000);
        incoming.delivered(0, 900, &params(), false).unwrap();
        let before = format!("{incoming:?}");
        let answer = incoming.delivered(1, bytes, &params(), false);
        assert_eq!(answer, if fits { Ok(None) } else { Err(Overflow) });
        assert_eq!(incoming.buffered(), if fits { 900 + bytes } else { 900 });
        assert!(fits || format!("{incoming:?}") == before, "a refusal changes nothing");
    }
    let mut incoming = Incoming::new(StreamEdge::Client, u32::MAX);
    incoming.delivered(0, u32::MAX, &params(), false).unwrap();
    assert_eq!(incoming.delivered(0, 1, &params(), false), Err(Overflow), "nor does the sum wrap");
}

#[test]
fn no_more_is_read_than_there_was() {
    let mut incoming = Incoming::new(StreamEdge::Client, 1000);
    incoming.delivered(0, 10, &params(), false).unwrap();
    let before = format!("{incoming:?}");
    assert!(incoming.flushed(0, 11, &params(), false).is_err());
    assert_eq!(format!("{incoming:?}"), before);
    assert_eq!(incoming.flushed(0, 10, &params(), false), Ok(None));
}

/// A client's stream after so many bytes.
fn outgoing(bytes: u32) -> Outgoing {
    let mut outgoing = Outgoing::new(&params(), true);
    outgoing.sent(0, bytes);
    outgoing
}

#[test]
fn fc_10_xoff_stops_and_xon_starts() {
    let mut outgoing = outgoing(XOFF);
    assert_eq!(outgoing.may_send(0), May::Now);
    assert_eq!(outgoing.handle_xoff(), Ok(()));
    assert!(outgoing.stopped());
    assert_eq!(outgoing.may_send(u64::MAX), May::Stopped);
    assert_eq!(outgoing.handle_xon(0, 0), Ok(()));
    assert_eq!((outgoing.may_send(0), outgoing.rate()), (May::Now, None));
}

#[test]
fn fc_10_a_rate_is_a_bucket_of_one_second() {
    let mut outgoing = outgoing(XOFF);
    outgoing.handle_xon(SECOND, 10).unwrap();
    assert_eq!(outgoing.rate(), Some(10));
    for _ in 0..20 {
        assert_eq!(outgoing.may_send(SECOND), May::Now);
        outgoing.sent(SECOND, 500);
    }
    // 10,000 bytes are gone; one byte takes 100 µs.
    assert_eq!(outgoing.may_send(SECOND), May::At(SECOND + 1), "a token is a millionth of a byte");
    assert_eq!(outgoing.may_send(SECOND + 1), May::Now);
    outgoing.sent(SECOND + 1, 498);
    // The next waits until that has been paid for, to the nanosecond.
    let May::At(at) = outgoing.may_send(SECOND + 1) else { panic!() };
    assert_eq!(at, SECOND + 498 * 100_000 + 1);
    assert_eq!(outgoing.may_send(at - 1), May::At(at));
    assert_eq!(outgoing.may_send(at), May::Now);
    // A long pause saves up one second's worth, not more.
    let later = 1000 * SECOND;
    for _ in 0..20 {
        assert_eq!(outgoing.may_send(later), May::Now);
        outgoing.sent(later, 500);
    }
    assert_ne!(outgoing.may_send(later), May::Now);
}

#[test]
fn fc_10_what_c_tor_cannot_count_is_no_limit() {
    for (rate, kept) in [(0, None), (1, Some(1)), (2_147_483, Some(2_147_483)), (2_147_484, None), (u32::MAX, None)] {
        let mut outgoing = outgoing(XOFF);
        outgoing.handle_xon(0, rate).unwrap();
        assert_eq!(outgoing.rate(), kept, "{rate}");
    }
}

#[test]
fn fc_10_over_a_long_time_the_rate_is_kept_exactly() {
    let mut outgoing = outgoing(XOFF);
    outgoing.handle_xon(0, 333).unwrap();
    let (mut now, mut bytes) = (0, 0u64);
    while now < 100 * SECOND {
        match outgoing.may_send(now) {
            May::Now => {
                outgoing.sent(now, 498);
                bytes += 498;
            }
            May::At(at) => {
                assert!(at > now);
                now = at;
            }
            May::Stopped => unreachable!(),
        }
    }
    let allowed = 333_000 + 100 * 333_000;
    assert!((allowed..allowed + 1000).contains(&bytes), "{bytes} of {allowed}");
}

#[test]
fn a_new_rate_takes_over_what_is_in_the_bucket() {
    let mut outgoing = outgoing(2 * XON);
    outgoing.handle_xon(0, 100).unwrap();
    outgoing.sent(0, 99_000);
    outgoing.handle_xon(0, 10).unwrap();
    outgoing.sent(0, 1000);
    assert_eq!(outgoing.may_send(0), May::At(1), "1,000 were left of the larger bucket");
    outgoing.sent(0, 500);
    outgoing.handle_xon(0, 1000).unwrap();
    assert_eq!(outgoing.may_send(0), May::At(500_001), "a debt is paid at the new rate");
}

#[test]
fn times_and_sizes_at_the_ends_do_no_harm() {
    let mut outgoing = outgoing(u32::MAX);
    outgoing.handle_xon(u64::MAX, 1).unwrap();
    for _ in 0..10_000 {
        outgoing.sent(u64::MAX, u32::MAX);
        outgoing.sent(0, u32::MAX);
    }
    assert!(matches!(outgoing.may_send(0), May::At(at) if at > u64::MAX / 4));
    assert_eq!(outgoing.may_send(u64::MAX), May::At(u64::MAX), "later than the end of time is its end");
    outgoing.handle_xon(0, 2_147_483).unwrap();
    assert_ne!(outgoing.may_send(u64::MAX), May::Now);
}

#[test]
fn fc_12_no_xoff_before_half_a_buffer_was_sent() {
    let price = XOFF / 2;
    for (bytes, answer) in [(price - 1, Err(Abuse::XoffEarly)), (price, Ok(())), (price + 1, Ok(()))] {
        let mut outgoing = outgoing(bytes);
        assert_eq!(outgoing.handle_xoff(), answer, "{bytes}");
        assert_eq!(outgoing.stopped(), answer.is_ok(), "what is refused is not heeded");
    }
    assert_eq!(outgoing(0).handle_xoff(), Err(Abuse::XoffEarly));
}

#[test]
fn fc_12_nor_more_often_than_once_for_as_many() {
    let price = XOFF / 2;
    let mut outgoing = outgoing(3 * price - 1);
    for answer in [Ok(()), Ok(()), Err(Abuse::XoffEarly)] {
        assert_eq!(outgoing.handle_xoff(), answer);
        if answer.is_ok() {
            assert_eq!(outgoing.handle_xon(0, 0), Ok(()), "an XON that ends an XOFF is free");
        }
    }
    outgoing.sent(0, 1);
    assert_eq!(outgoing.handle_xoff(), Ok(()));
}

#[test]
fn fc_12_no_rate_before_half_of_what_must_drain() {
    let price = XOFF / 2;
    for (bytes, answer) in [(price - 1, Err(Abuse::XonEarly)), (price, Ok(())), (price + 1, Ok(()))] {
        let mut outgoing = outgoing(bytes);
        assert_eq!(outgoing.handle_xon(0, 7), answer, "{bytes}");
        assert_eq!(outgoing.rate(), answer.ok().map(|()| 7));
        assert_eq!(outgoing.handle_xon(0, 8), Err(Abuse::XonEarly), "once");
    }
    // The price follows the lower of both limits.
    let params = Params { xon_rate: 10, xoff_client: 7, ..params() };
    for (bytes, answer) in [(7 * 244 - 1, Err(Abuse::XonEarly)), (7 * 244, Ok(()))] {
        let mut outgoing = Outgoing::new(&params, true);
        outgoing.sent(0, bytes);
        assert_eq!(outgoing.handle_xon(0, 7), answer);
    }
}

#[test]
fn fc_12_xoff_upon_xoff() {
    let mut outgoing = outgoing(10 * XOFF);
    assert_eq!(outgoing.handle_xoff(), Ok(()));
    assert_eq!(outgoing.handle_xoff(), Err(Abuse::XoffTwice));
    assert_eq!(outgoing.may_send(0), May::Stopped);
    let mut relay = Outgoing::new(&params(), false);
    relay.handle_xoff().unwrap();
    assert_eq!(relay.handle_xoff(), Err(Abuse::XoffTwice), "at a relay too");
}

#[test]
fn fc_12_rights_cannot_be_saved_up_without_end() {
    let price = u64::from(XOFF / 2);
    let most = FLOW_CREDIT_MAX / price;
    for _ in 0..2 {
        let mut outgoing = Outgoing::new(&params(), true);
        for _ in 0..1000 {
            outgoing.sent(0, 1 << 20);
        }
        let mut heeded = 0;
        while outgoing.handle_xoff().is_ok() {
            outgoing.handle_xon(0, 0).unwrap();
            heeded += 1;
        }
        assert_eq!(heeded, most);
        let mut rates = 0;
        while outgoing.handle_xon(0, 1).is_ok() {
            rates += 1;
        }
        assert_eq!(rates, most, "an account of its own");
    }
}

#[test]
fn fc_12_a_relay_does_not_judge() {
    let mut relay = Outgoing::new(&params(), false);
    for rate in 0..1000 {
        assert_eq!(relay.handle_xon(0, rate), Ok(()));
        assert_eq!(relay.handle_xoff(), Ok(()));
        assert_eq!(relay.handle_xon(0, rate), Ok(()));
    }
}

/// An XOFF has paid for the XON that ends it: what was sent still buys a new rate.
#[test]
fn fc_12_the_xon_that_ends_an_xoff_is_free() {
    let mut outgoing = outgoing(XOFF / 2);
    assert_eq!(outgoing.handle_xoff(), Ok(()));
    assert_eq!(outgoing.handle_xon(0, 10), Ok(()));
    assert_eq!(outgoing.handle_xon(0, 20), Ok(()));
    assert_eq!(outgoing.handle_xon(0, 30), Err(Abuse::XonEarly));
}

/// arti and C Tor both take an XON without XOFF for a new rate.
#[test]
fn fc_13_xon_without_xoff_is_a_rate() {
    let mut outgoing = outgoing(XON);
    assert_eq!(outgoing.handle_xon(0, 5), Ok(()));
    assert_eq!(outgoing.rate(), Some(5));
}

/// arti never says a rate; we do, to peers that listen.
#[test]
fn edge_a_26_a_rate_is_said() {
    let (buffer, _) = Buffer::with_rate(0);
    assert_eq!(buffer.incoming.rate(), 1000);
}
