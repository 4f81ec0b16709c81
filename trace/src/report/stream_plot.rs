//! The streams of a set or a circuit: when they are open, and when XOFF stops them.

use super::bucket::{Axis, Spans};
use super::chart::{Maker, Place, Rows, State};
use crate::file::Entry;

/// More streams of one owner are not drawn.
pub const STREAMS_MAX: usize = 24;

/// The streams of one owner.
#[derive(Default)]
pub struct StreamPlot {
    streams: Vec<OneStream>,
    left_out: u64,
}

#[derive(Default)]
struct OneStream {
    id: u64,
    open: Spans,
    /// The peer's XOFF stops us.
    stopped: Spans,
    /// Our XOFF stops the peer.
    stops: Spans,
}

impl StreamPlot {
    pub fn see(&mut self, axis: &Axis, entry: &Entry) {
        let (time, id) = (entry.time, entry.get("stream").unwrap_or(0));
        let at = match self.streams.iter().position(|stream| stream.id == id) {
            Some(at) => at,
            None if self.streams.len() < STREAMS_MAX => {
                self.streams.push(OneStream { id, ..OneStream::default() });
                self.streams.len() - 1
            }
            None => {
                self.left_out += u64::from(entry.kind.name == "StreamOpened");
                return;
            }
        };
        let stream = &mut self.streams[at];
        match entry.kind.name {
            "StreamOpened" => stream.open.begin(time),
            "XoffReceived" => stream.stopped.begin(time),
            "XonReceived" => stream.stopped.end(axis, time),
            "XoffSent" => stream.stops.begin(time),
            "XonSent" => stream.stops.end(axis, time),
            "StreamEnded" => stream.end(axis, time),
            _ => {}
        }
    }

    pub fn chart(&mut self, maker: &Maker) -> Rows {
        let rows = self.streams.iter_mut().enumerate().map(|(at, stream)| {
            stream.end(&maker.axis, maker.last);
            let spans = [&mut stream.open, &mut stream.stopped, &mut stream.stops];
            let drawn = spans.map(|spans| spans.finish(&maker.axis, maker.last));
            maker.row(format!("stream {}", at + 1), drawn.into_iter().enumerate())
        });
        let state = |name: &str, colour, place| State { name: name.to_owned(), colour, place };
        Rows {
            title: "Streams".to_owned(),
            about: "When each stream was open, and when XOFF stopped it.",
            rows: rows.collect(),
            states: vec![
                state("open", 0, Place::Thin),
                state("stopped by the peer's XOFF", 3, Place::Upper),
                state("our XOFF stops the peer", 1, Place::Lower),
            ],
            left_out: self.left_out,
        }
    }
}

impl OneStream {
    fn end(&mut self, axis: &Axis, time: u64) {
        for spans in [&mut self.open, &mut self.stopped, &mut self.stops] {
            spans.end(axis, time);
        }
    }
}
