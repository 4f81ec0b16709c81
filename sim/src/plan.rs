//! The plan of a seed's world.

use crate::rng::Rng;
use circflow::base::{limits, Nanos};
use circflow::conflux::choice::FAMILY;
use circflow::conflux::Algorithm;
use circflow::engine::Config;
use circflow::reactor::Marks;
use circflow::wire::conflux::Ux;

pub const MS: Nanos = 1_000_000;

/// The kinds of worlds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// All legs of a set are on one engine.
    OneEngine,
    /// The exits are event loops of one process, joined by a hub, and the legs of a set end at any of them.
    Hub,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub kind: Kind,
    pub clients: usize,
    pub middles: usize,
    pub exits: usize,
    pub sets: usize,
    pub circuits: usize,
    pub streams: u64,
    /// Most bytes that one end of a stream sends.
    pub bytes_max: u64,
    /// Whether leaky pipes, padding, hostile peers, and so on, occur here.
    pub leaky: bool,
    pub padding: bool,
    pub hostile: bool,
    pub deaths: u64,
    /// Legs break when their set sends on another leg.
    pub spite: bool,
    pub late_legs: u64,
    pub set_closes: u64,
    pub circ_closes: u64,
    pub blackholes: bool,
    /// Some circuits and sets lead to onion services.
    pub services: bool,
    /// Legs are launched before their circuits are open.
    pub building: bool,
    /// A client makes an exit hold messages for order.
    pub pins: bool,
    pub slow_links: bool,
    /// Links are channels that circuits share.
    pub shares: bool,
    pub lateness: Nanos,
    pub back_in_time: bool,
    /// Some hosts feed a few more cells after PAUSE_FEED.
    pub defiant: bool,
    /// The world ends in the middle of everything.
    pub cut_short: bool,
    pub link_timeout: Nanos,
    pub stream_memory: Nanos,
    pub set_held_max: u64,
    pub held_max: u64,
    pub insns_max: u32,
    pub streams_max: u32,
    pub stream_bytes_max: u32,
    pub held_sends_max: u32,
    pub marks: Marks,
    pub algorithm: Option<Algorithm>,
    pub switch_run_min: u32,
    pub ux: [Ux; 2],
    pub params: Vec<(&'static str, u32)>,
    pub sendme_inc: u64,
    /// The window in the beginning.
    pub cwnd: u64,
    /// When padders are taken down, so that the world comes to rest.
    pub padding_end: Nanos,
    /// Time until which streams are opened and faults happen.
    pub span: Nanos,
}

impl Plan {
    pub fn draw(rng: &mut Rng) -> Plan {
        let high = if rng.once_in(2) { rng.range(1, 12) } else { rng.range(20, 80) } as u32;
        let marks = Marks { high, low: rng.below(high.into()) as u32, over: rng.pick(&[32, 32, 40, 128]) };
        let sendme_inc = rng.pick(&[31, 31, 31, 10, 1, 50]);
        let cwnd = rng.pick(&[124, 124, 62, 31]).max(sendme_inc * 2);
        let xoff = rng.pick(&[500, 40, 8, 3, 1, 1]);
        let xon = rng.pick(&[500, 40, 8, 3, 1]);
        let params = vec![
            ("cc_sendme_inc", sendme_inc as u32),
            ("cc_cwnd_init", cwnd as u32),
            ("cc_cwnd_min", cwnd as u32),
            ("cc_xoff_client", xoff),
            ("cc_xoff_exit", if rng.once_in(2) { xoff } else { rng.pick(&[500, 20, 2]) }),
            ("cc_xon_rate", xon),
        ];
        let uxes = [Ux::NoOpinion, Ux::MinLatency, Ux::LowMemLatency, Ux::HighThroughput, Ux::LowMemThroughput];
        let few = |rng: &mut Rng, many: u64, value: u64| if rng.once_in(many) { rng.range(1, value) } else { 0 };
        let kind = if rng.once_in(4) { Kind::Hub } else { Kind::OneEngine };
        let streams_max = if rng.once_in(10) { rng.range(1, 3) as u32 } else { 1024 };
        let hostile = rng.once_in(4);
        Plan {
            kind,
            clients: rng.range(1, 3) as usize,
            middles: rng.range(2, 6) as usize,
            exits: if kind == Kind::Hub { rng.range(2, 3) } else { rng.range(1, 2) } as usize,
            sets: rng.range(u64::from(kind == Kind::Hub), 3) as usize,
            circuits: rng.range(1, 4) as usize,
            streams: rng.range(2, 14) + if streams_max < 1024 { 10 } else { 0 },
            bytes_max: rng.pick(&[3_000, 30_000, 150_000, 150_000, 400_000]),
            leaky: rng.once_in(3),
            padding: rng.once_in(3),
            hostile,
            deaths: few(rng, 3, 3),
            spite: rng.once_in(3),
            late_legs: few(rng, 3, 3),
            set_closes: few(rng, 6, 2),
            circ_closes: few(rng, 6, 2),
            blackholes: rng.once_in(8),
            services: false,
            building: false,
            pins: false,
            slow_links: rng.once_in(2),
            shares: rng.once_in(3),
            lateness: rng.pick(&[0, 0, MS, 5 * MS, 40 * MS, 700 * MS]),
            back_in_time: rng.once_in(8),
            defiant: rng.once_in(15),
            cut_short: rng.once_in(12),
            link_timeout: rng.pick(&[60_000, 60_000, 3_000]) * MS,
            stream_memory: rng.pick(&[60_000, 60_000, 20_000]) * MS,
            set_held_max: if rng.once_in(20) { rng.range(1, 60_000) } else { 16 << 20 },
            held_max: if rng.once_in(20) { rng.range(0, 120_000) } else { 256 << 20 },
            insns_max: if rng.once_in(10) { rng.range(1, 12) as u32 } else { 1 << 16 },
            streams_max,
            stream_bytes_max: if rng.once_in(25) { rng.range(500, 40_000) as u32 } else { 32 << 20 },
            held_sends_max: rng.pick(&[32, 32, 4, 1, 0]),
            marks,
            algorithm: if rng.once_in(2) { None } else { Some(rng.pick(&FAMILY).algorithm) },
            switch_run_min: rng.pick(&[0, 0, 0, 2, 40, 1000]),
            ux: [rng.pick(&uxes), rng.pick(&uxes)],
            params,
            sendme_inc,
            cwnd,
            padding_end: rng.range(1_000, 4_000) * MS,
            span: rng.range(200, 3_000) * MS,
        }
    }

    /// The first exit, which stands for all that share a hub.
    pub fn first_exit(&self) -> usize {
        self.clients + self.middles
    }

    /// The padding machines that can be negotiated with a hop.
    pub fn incs(&self) -> [u64; 3] {
        [self.sendme_inc, self.sendme_inc + 1, (self.sendme_inc - 1).max(1)]
    }

    /// Streams of an owner at a node at most. A relay that takes fewer refuses some that its client opens.
    pub fn streams_max_at(&self, node: usize) -> u32 {
        if node < self.clients {
            self.streams_max
        } else {
            self.streams_max.div_ceil(2)
        }
    }

    pub fn nodes(&self) -> usize {
        self.clients + self.middles + self.exits
    }

    /// In this world nothing is closed because of a peer, but for these caps.
    pub fn engine(&self, index: usize, seed: u64) -> Config {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Config {
            seed: bytes,
            tag: index as u32 + 1,
            circuits_max: 1 << 10,
            sets_max: 1 << 8,
            instructions_max: self.insns_max,
            held_bytes_max: self.held_max,
            marks: self.marks,
            streams_max: self.streams_max_at(index),
            stream_bytes_max: self.stream_bytes_max,
            stream_memory: self.stream_memory,
            pace: circflow::padding::Pace::default(),
            held_age_max: limits::HELD_AGE_DEFAULT,
        }
    }
}
