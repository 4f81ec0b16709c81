//! Makes traces whose numbers are known, for the tests of the page: `made_trace known FILE`, or
//! `made_trace long FILE EVENTS`.
//!
//! `known` is a download over two legs as both ends see it, with padding on one leg at the client. Its numbers are in
//! trace/browser/page.test.js.

use circflow::base::Id;
use circflow::event::record::{self, Piece, PIECE, RECORD_MAX};
use circflow::event::{Class, Event, VERSION};
use std::fs::File;
use std::io::{BufWriter, Result, Write};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
const CLIENT: u32 = 1;
const EXIT: u32 = 2;
const LEGS: [Id; 2] = [Id(0x1_0001_0000_0001), Id(0x1_0001_0000_0002)];
const SET: Id = Id(0x2_0001_0000_0001);
const STREAMS: [Id; 2] = [Id(0x3_0001_0000_0001), Id(0x3_0001_0000_0002)];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "known", path] => known(path),
        [_, "long", path, events] => long(path, events.parse().expect("a number of events")),
        _ => panic!("made_trace known FILE, or made_trace long FILE EVENTS"),
    }
}

/// A trace that is written as it grows.
struct Made {
    to: BufWriter<File>,
}

impl Made {
    fn new(path: &str) -> Result<Made> {
        Ok(Made { to: BufWriter::new(File::create(path)?) })
    }

    fn piece(&mut self, engine: u32, oldest: u64) -> Result<()> {
        let mut head = [0; PIECE];
        Piece { version: VERSION, classes: Class::EVERY, overwritten: 0 }.write(engine, oldest, &mut head);
        self.to.write_all(&head)
    }

    fn event(&mut self, engine: u32, time: u64, event: &Event) -> Result<()> {
        let mut bytes = [0; RECORD_MAX];
        let len = record::write(event, engine, time, &mut bytes);
        self.to.write_all(&bytes[..len])
    }
}

/// The events of both ends, in any order; they are sorted before they are written.
type Events = Vec<(u64, Event)>;

fn known(path: &str) -> Result<()> {
    let sent = schedule();
    let mut made = Made::new(path)?;
    for (engine, mut events) in [(CLIENT, client(&sent)), (EXIT, exit(&sent))] {
        events.sort_by_key(|(time, _)| *time);
        made.piece(engine, events[0].0)?;
        for (time, event) in &events {
            made.event(engine, *time, event)?;
        }
    }
    made.to.flush()
}

/// When each message goes, and on which leg: 2000 a second from 1 s to 9 s, but for 80 ms of each second, in which
/// neither leg has room. The first leg takes 120 in a row, the second 80.
fn schedule() -> Vec<(u64, usize)> {
    let ticks = (2000..18_000u64).map(|tick| tick * MS / 2);
    let free = ticks.filter(|time| !(900 * MS..980 * MS).contains(&(time % SECOND)));
    free.enumerate().map(|(at, time)| (time, usize::from(at % 200 >= 120))).collect()
}

/// How long a message takes on each leg.
const WAY: [u64; 2] = [25 * MS, 60 * MS];

fn client(sent: &[(u64, usize)]) -> Events {
    let mut events = begin(0);
    let mut arrivals: Vec<(u64, usize, u64)> =
        sent.iter().enumerate().map(|(at, (time, leg))| (time + WAY[*leg], *leg, at as u64 + 1)).collect();
    arrivals.sort_unstable();
    let (mut next, mut held) = (1, std::collections::BTreeSet::new());
    let mut before = [0; 2];
    for (time, leg, number) in arrivals {
        if number != before[leg] + 1 && number > 1 {
            let delta = (number - 1 - before[leg]) as u32;
            events.push((time, Event::SwitchReceived { set: SET, leg: LEGS[leg], delta, number: number - 1 }));
        }
        before[leg] = number;
        if number != next {
            held.insert(number);
            let now = held.len() as u32;
            events.push((time, Event::Held { set: SET, leg: LEGS[leg], number, missing: next, held: now, bytes: 600 }));
        } else {
            events.push((time, Event::InOrder { set: SET, leg: LEGS[leg], number, command: 2 }));
            next += 1;
        }
        while held.remove(&next) {
            events.push((time, Event::Released { set: SET, number: next, held: held.len() as u32 }));
            next += 1;
        }
        if leg == 0 {
            events.push((time, padding_event(2)));
        }
    }
    events.extend(streams());
    events.extend(padding());
    let lost = Event::LegLost { set: SET, leg: LEGS[1], cause: -306 };
    events.extend([(9500 * MS, lost), (9600 * MS, Event::SetEnded { set: SET, cause: 0 })]);
    events
}

/// The life of a set up to its first message.
fn begin(by_peer: u8) -> Events {
    let linked = |leg: usize, rtt| Event::LegLinked { set: SET, leg: LEGS[leg], rtt };
    vec![
        (0, Event::SetOpened { set: SET, by_peer }),
        (50 * MS, linked(0, 50 * MS)),
        (50 * MS, Event::SetUsable { set: SET }),
        (120 * MS, linked(1, 120 * MS)),
    ]
}

fn streams() -> Events {
    let [first, second] = STREAMS;
    vec![
        (500 * MS, Event::StreamOpened { owner: SET, stream: first, by_peer: 0 }),
        (3000 * MS, Event::StreamOpened { owner: SET, stream: second, by_peer: 0 }),
        (4000 * MS, Event::XoffSent { stream: first, buffered: 500_000 }),
        (4500 * MS, Event::XonSent { stream: first, rate: 0 }),
        (6000 * MS, Event::XoffReceived { stream: second }),
        (6250 * MS, Event::XonReceived { stream: second, rate: 900 }),
        (9200 * MS, Event::StreamEnded { owner: SET, stream: first, by: 0 }),
        (9300 * MS, Event::StreamEnded { owner: SET, stream: second, by: 1 }),
    ]
}

fn padding_event(what: u8) -> Event {
    Event::PaddingEvent { circuit: LEGS[0], hop: 3, slot: 0, what, machine: u32::MAX }
}

/// A padder with two machines, from 2 s to 8 s: 200 cells of padding a second, a real one for every second of these, and
/// a block of 50 ms in each second.
fn padding() -> Events {
    let (circuit, hop, slot, machine) = (LEGS[0], 3, 0, 0);
    let mut events = vec![
        (1900 * MS, Event::PaddingNegotiated { circuit, hop, number: 1, step: 3 }),
        (2000 * MS, Event::PadderAdded { circuit, hop, slot, machines: 2 }),
        (8000 * MS, Event::PadderRemoved { circuit, hop, slot }),
    ];
    for at in 400..1600u64 {
        let time = at * 5 * MS;
        events.push((time, Event::PaddingSent { circuit, hop, slot, machine, bypass: 0, replace: 0, waited: 0 }));
        events.push((time, padding_event(5)));
        if at % 2 == 0 {
            events.push((time + 1, padding_event(1)));
            events.push((time + 1, padding_event(5)));
        }
    }
    for at in 4..16u64 {
        let (from, to) = (at as u32 % 3, (at as u32 + 1) % 3);
        events.push((at * 500 * MS + 100 * MS, Event::StateChanged { circuit, hop, slot, machine, from, to }));
    }
    for at in 2..8u64 {
        let block = Event::BlockBegan { circuit, hop, slot, machine: 1, turn: 0, bypass: 0, lasts: 50 * MS };
        events.push((at * SECOND + 700 * MS, block));
        events.push((at * SECOND + 750 * MS, Event::BlockEnded { circuit, hop, slot, lasted: 50 * MS }));
        events.push((at * SECOND + 700 * MS, Event::StateChanged { circuit, hop, slot, machine: 1, from: 0, to: 1 }));
        events.push((at * SECOND + 750 * MS, Event::StateChanged { circuit, hop, slot, machine: 1, from: 1, to: 0 }));
        events
            .push((at * SECOND + 760 * MS, Event::PaddingRefused { circuit, hop, slot, machine: 1, what: 1, why: 1 }));
    }
    events
}

fn exit(sent: &[(u64, usize)]) -> Events {
    let mut events = begin(1);
    let (mut windows, mut before) = ([Window::new(0), Window::new(1)], 0);
    for (at, (time, leg)) in sent.iter().enumerate() {
        if time % SECOND == 980 * MS {
            refuse(time - 80 * MS, &windows, &mut events);
        }
        for window in &mut windows {
            window.acknowledge(*time, &mut events);
            events.push((*time, window.looked(0)));
        }
        if *leg != before {
            events.push((
                *time,
                Event::SwitchSent { set: SET, leg: LEGS[*leg], delta: if *leg == 1 { 120 } else { 80 } },
            ));
        }
        before = *leg;
        windows[*leg].send(*time);
        events.push((*time, Event::Sent { set: SET, leg: LEGS[*leg], number: at as u64 + 1, command: 2 }));
    }
    events.push((9400 * MS, Event::Fault { who: SET, status: -201 }));
    events.push((9600 * MS, Event::SetEnded { set: SET, cause: -201 }));
    events
}

/// Neither leg has room for 80 ms.
fn refuse(time: u64, windows: &[Window], events: &mut Events) {
    events.extend(windows.iter().map(|window| (time, window.looked(2))));
    events
        .extend([(time, Event::Refused { set: SET, legs: 2, why: 1 }), (time + 80 * MS, Event::MaySend { set: SET })]);
}

/// What a leg has under way, and its round trip: 50 ms and 120 ms; from 3 s to 4 s, the first one's is 80 ms.
struct Window {
    leg: usize,
    cwnd: u32,
    /// When the SENDME comes of each 31 cells.
    acks: Vec<u64>,
    sent: u32,
    acked: u32,
}

impl Window {
    fn new(leg: usize) -> Window {
        Window { leg, cwnd: 124, acks: Vec::new(), sent: 0, acked: 0 }
    }

    fn rtt(&self, time: u64) -> u64 {
        match self.leg {
            0 if (3 * SECOND..4 * SECOND).contains(&time) => 80 * MS,
            0 => 50 * MS,
            _ => 120 * MS,
        }
    }

    fn looked(&self, state: u8) -> Event {
        let (cwnd, in_flight) = (self.cwnd, self.sent - self.acked);
        Event::LegLooked { set: SET, leg: LEGS[self.leg], rtt: 0, cwnd, in_flight, state }
    }

    fn send(&mut self, time: u64) {
        self.sent += 1;
        if self.sent % 31 == 0 {
            self.acks.push(time + self.rtt(time));
        }
    }

    fn acknowledge(&mut self, now: u64, events: &mut Events) {
        while let Some(time) = self.acks.first().copied().filter(|time| *time <= now) {
            self.acks.remove(0);
            self.acked += 31;
            self.cwnd = (self.cwnd + 4).min(400);
            let (cwnd, in_flight) = (self.cwnd, self.sent - self.acked);
            let (circuit, rtt) = (LEGS[self.leg], self.rtt(time));
            events.push((time, Event::SendmeReceived { circuit, hop: 3, cwnd, in_flight, rtt, slow_start: 0 }));
        }
    }
}

/// Many sets at once, so many events in all: more sets than a page draws.
fn long(path: &str, events: u64) -> Result<()> {
    const SETS: u64 = 40;
    let mut made = Made::new(path)?;
    for at in 0..events {
        if at % 1000 == 0 {
            made.piece(CLIENT, at * 1000)?;
        }
        let (set, leg) = (Id((1 << 49) + at % SETS), Id((1 << 48) + at % SETS * 2 + at / SETS / 200 % 2));
        let (number, round) = (at / SETS / 5, at / SETS % 5);
        let event = match round {
            0 => Event::LegLooked {
                set,
                leg,
                rtt: 40 * MS + at % 977 * 10_000,
                cwnd: 300,
                in_flight: (at % 300) as u32,
                state: 0,
            },
            1 => Event::Sent { set, leg, number, command: 2 },
            2 if at / SETS % 1000 < 10 => Event::SwitchReceived { set, leg, delta: 40, number },
            2 => Event::SendmeReceived {
                circuit: leg,
                hop: 3,
                cwnd: 300 + (at / 100_000 % 50) as u32,
                in_flight: (at % 300) as u32,
                rtt: 40 * MS + at % 1009 * 20_000,
                slow_start: 0,
            },
            3 => Event::Held {
                set,
                leg,
                number,
                missing: number - number % 64,
                held: (number % 64 + 1) as u32,
                bytes: 600,
            },
            _ => Event::Released { set, number, held: (number % 64) as u32 },
        };
        made.event(CLIENT, at * 1000, &event)?;
    }
    made.to.flush()
}
