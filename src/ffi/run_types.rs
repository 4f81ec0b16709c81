//! The structs of circuits that circflow runs, and of their streams, in the C ABI.

use super::types::{circflow_circuit_id, circflow_set_id};
use libc::size_t;

/// circflow_circuit_config.flags: circflow runs the circuit. It counts DATA, sends and checks SENDMEs, has the
/// congestion window (with CIRCFLOW_CIRCUIT_VEGAS), knows the streams and their XON and XOFF, and keeps cells that a
/// channel does not take. Feed every cell: the recognised ones with circflow_circuit_receive(), the others with
/// circflow_circuit_relay(). Say when a channel is full with circflow_circuit_writable(), and send what streams have
/// with circflow_stream_send(). Settled when the circuit is opened.
pub const CIRCFLOW_CIRCUIT_REACTOR: u32 = 64;
/// circflow_circuit_config.flags: a client's circuit to which the other end opens streams (an onion service's).
pub const CIRCFLOW_CIRCUIT_SERVICE: u32 = 128;

/// circflow_circuit_config.path_class: a circuit to an exit, or to a single-onion service.
pub const CIRCFLOW_PATH_EXIT: u8 = 0;
/// circflow_circuit_config.path_class: a circuit to an onion service.
pub const CIRCFLOW_PATH_ONION: u8 = 1;
/// circflow_circuit_config.path_class: a circuit of two hops, as sbws measures with.
pub const CIRCFLOW_PATH_SBWS: u8 = 2;

/// A side of a circuit: at a relay the channel towards the client, at a client the channel to its first relay.
pub const CIRCFLOW_SIDE_BACK: u8 = 0;
/// A side of a circuit: at a relay the channel to the next relay.
pub const CIRCFLOW_SIDE_NEXT: u8 = 1;

/// circflow_verdict.flags and circflow_insn.flags: this DATA cell will be acknowledged by a SENDME; when you have
/// encrypted it, give its tag to circflow_circuit_tag(), in the order of sending.
pub const CIRCFLOW_WANTS_TAG: u32 = 1;

/// Names a stream inside an engine, on a circuit or set that circflow runs. Zero names nothing.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_stream_id {
    /// Opaque. Compare it, store it, print it.
    pub v: u64,
}

/// What a stream is opened with. Fill it with circflow_stream_config_init(), then change what you want.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_stream_config {
    /// sizeof(circflow_stream_config) as your compiler saw it.
    pub size: size_t,
    /// Yours. It comes back in every verdict and instruction about the stream.
    pub tag: u64,
    /// The set whose stream it is, or zero.
    pub set: circflow_set_id,
    /// The circuit whose stream it is, when it is no set's: then `set` is zero.
    pub circuit: circflow_circuit_id,
    /// What the protocol calls it: not 0, and not in use on this circuit or set.
    pub stream_id: u16,
    /// The hop where it ends; 0 at a relay. Default 3.
    pub hop: u8,
    /// Streams with a lower number are read first, equal ones in turn. Default 0.
    pub priority: u8,
    /// Zero.
    pub reserved: u32,
}

/// Figures of a stream. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_stream_stats {
    /// sizeof(circflow_stream_stats) as your compiler saw it.
    pub size: size_t,
    /// Bytes delivered and not reported as flushed.
    pub buffered_bytes: u32,
    /// The most that ever were.
    pub buffered_bytes_peak: u32,
    /// XOFFs that circflow has sent.
    pub xoffs_sent: u32,
    /// XONs that circflow has sent.
    pub xons_sent: u32,
    /// XOFFs that came.
    pub xoffs_received: u32,
    /// XONs that came.
    pub xons_received: u32,
    /// 1 between the other end's XOFF and its XON.
    pub stopped: u32,
    /// Zero.
    pub reserved: u32,
}

/// Figures of one edge of a circuit, where cells leave it for a channel.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_edge_stats {
    /// Cells that went on to it, at once or after a wait.
    pub passed: u64,
    /// Cells that wait now.
    pub waiting: u32,
    /// The most that ever did.
    pub waiting_peak: u32,
    /// 1 when its channel takes cells.
    pub writable: u32,
    /// 1 when the source of its cells was told to pause.
    pub paused: u32,
}

/// Figures of a circuit that circflow runs. Set size to sizeof before each call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_circuit_stats {
    /// sizeof(circflow_circuit_stats) as your compiler saw it.
    pub size: size_t,
    /// Congestion window towards the join point in cells; 0 before the first DATA.
    pub cwnd: u64,
    /// DATA cells sent and not acknowledged.
    pub inflight: u64,
    /// Smoothed round-trip time in nanoseconds; 0 before the first was measured.
    pub rtt_ns: u64,
    /// 1 in slow start.
    pub slow_start: u32,
    /// Streams open that are the circuit's own, not a set's.
    pub streams: u32,
    /// Towards the client; at a client, towards the first relay.
    pub back: circflow_edge_stats,
    /// Towards the next relay.
    pub next: circflow_edge_stats,
}

/// CIRCFLOW_INSN_WRITE.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_write {
    /// The side to write to, CIRCFLOW_SIDE_*.
    pub side: u8,
    /// The cell's command, as you gave it.
    pub command: u8,
    /// CIRCFLOW_FORM_BYTES: bytes written to the body buffer.
    pub body_len: u16,
    /// CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN.
    pub form: u8,
    /// Zero.
    pub reserved: [u8; 3],
    /// CIRCFLOW_FORM_TOKEN: the token.
    pub token: u64,
    /// CIRCFLOW_FORM_TOKEN: its cost, as the host gave it.
    pub cost: u32,
    /// Zero.
    pub reserved2: u32,
}

/// CIRCFLOW_INSN_PAUSE and CIRCFLOW_INSN_UNPAUSE.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_pause {
    /// The side the cells come from, CIRCFLOW_SIDE_*.
    pub side: u32,
}
