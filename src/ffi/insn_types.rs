//! Instructions, as C programmers see them.

use super::padding_types::{circflow_insn_block, circflow_insn_padding};
use super::run_types::{circflow_insn_pause, circflow_insn_write, circflow_stream_id};
use super::status::circflow_status;
use super::types::{circflow_circuit_id, circflow_set_id};

/// The kind of an instruction. More kinds may come; ignore what you do not know.
#[allow(non_camel_case_types)]
///
/// cbindgen:prefix-with-name=false
/// cbindgen:rename-all=None
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum circflow_insn_kind {
    /// Nothing waits.
    CIRCFLOW_INSN_NONE = 0,
    /// Send a relay message on a circuit, to detail.send.hop, and do not report it as sent: circflow knows. It is
    /// control whose body is in the body buffer, or a message of yours that padding held back: then detail.send.form
    /// tells whether its body is in the buffer or detail.send.token is yours again.
    CIRCFLOW_INSN_SEND = 1,
    /// A held message is next in order: handle it. Its body is in the body buffer, or detail.deliver.token is yours
    /// again. detail.deliver.form tells which. `circuit` is the leg it came on, or zero when that has gone since;
    /// messages whose turn had come when their set ended are still delivered, before the CIRCFLOW_INSN_CLOSE of its
    /// legs.
    CIRCFLOW_INSN_DELIVER = 2,
    /// detail.discard.token is yours again, and its message will never be delivered: free it. Tokens of a set that has
    /// ended come before its CIRCFLOW_INSN_ENDED, but for those that stand behind more copied messages than one call
    /// frees: these come after it, and name no set.
    CIRCFLOW_INSN_DISCARD = 3,
    /// Close the circuit, with DESTROY reason detail.close.reason; detail.close.cause is the status behind it. Do so,
    /// then say circflow_circuit_closed(). The id lives until you do.
    CIRCFLOW_INSN_CLOSE = 4,
    /// The set, or the circuit if `set` is zero, has room again after CIRCFLOW_ERR_BLOCKED: read its streams. With a
    /// stream: that stream may send again, after CIRCFLOW_ERR_STREAM_STOPPED or when circflow_stream_next() named none.
    /// It can come in the last drain before you sleep: read and send then too, and drain again.
    CIRCFLOW_INSN_RESUME = 5,
    /// The circuit is a linked leg of the set. At an exit, this is where a set is first heard of, and the leg sends
    /// once you have taken the CIRCFLOW_INSN_SEND of its LINKED, which follows.
    CIRCFLOW_INSN_LINKED = 6,
    /// The set may carry streams from now on. Once in a set's life: at a client when no leg is being built or waits for
    /// LINKED any more and one is linked, at an exit when the first LINKED has been handed to you to send.
    CIRCFLOW_INSN_USABLE = 7,
    /// Client: a leg was lost before it was linked, still being built or not, or one that was linked before the set was
    /// usable, and the nonce's launch budget has room for another: launch one if you can, and add it. The set goes on
    /// without it meanwhile. A linked leg that a usable set loses is not asked for again.
    CIRCFLOW_INSN_WANT_LEG = 8,
    /// The set is gone and its id stale; detail.close.cause says why. Its legs have been told to close before this.
    CIRCFLOW_INSN_ENDED = 9,
    /// Send a padding cell: a DROP to detail.padding.hop on this circuit and no other. It is never counted, and not to
    /// be reported as sent. With CIRCFLOW_PADDING_ASKS among detail.padding.flags (only on a circuit that was opened
    /// with CIRCFLOW_CIRCUIT_OWN_QUEUE), decide first, by this table, and answer with circflow_padding_answer().
    /// "Queue" is the circuit's outgoing queue: cells to or through the hop that are queued and not written yet,
    /// blocked or not.
    ///
    ///   your block          BYPASS  REPLACE  queue      do                               answer
    ///   none                any     no       any        send padding                     SENT
    ///   none                any     yes      empty      send padding                     SENT
    ///   none                any     yes      not empty  nothing                          REPLACED
    ///   lets padding pass   yes     no       any        send padding past the block      SENT
    ///   lets padding pass   yes     yes      empty      send padding past the block      SENT
    ///   lets padding pass   yes     yes      blocked    let one queued cell out          RELEASED
    ///   lets padding pass   yes     yes      past it    nothing                          REPLACED
    ///   lets padding pass   no      no       any        queue padding behind the block   SENT
    ///   lets padding pass   no      yes      empty      queue padding behind the block   SENT
    ///   lets padding pass   no      yes      not empty  nothing                          REPLACED
    ///   lets nothing pass   any     no       any        queue padding behind the block   SENT
    ///   lets nothing pass   any     yes      empty      queue padding behind the block   SENT
    ///   lets nothing pass   any     yes      not empty  nothing                          REPLACED
    CIRCFLOW_INSN_PADDING = 10,
    /// CIRCFLOW_CIRCUIT_OWN_QUEUE: from now on keep what is queued on this circuit, all but control that must not wait
    /// (SENDME, the conflux handshake, negotiation, DESTROY), and drop padding that waits there when its padder goes.
    /// detail.block.bypassable says whether padding with
    /// CIRCFLOW_PADDING_BYPASS may pass; it can come again with another answer.
    CIRCFLOW_INSN_BLOCK = 11,
    /// CIRCFLOW_CIRCUIT_OWN_QUEUE: let out all that you kept, in order.
    CIRCFLOW_INSN_UNBLOCK = 12,
    /// CIRCFLOW_CIRCUIT_REACTOR: write a cell that waited to detail.write.side of the circuit. Its bytes are in the
    /// body buffer (up to CIRCFLOW_CELL_BODY_LEN of them), or detail.write.token is yours again.
    CIRCFLOW_INSN_WRITE = 13,
    /// CIRCFLOW_CIRCUIT_REACTOR: many cells wait that came from detail.pause.side. Keep what else comes for this
    /// circuit from there yourself, and do not stop the channel for other circuits. Some more are taken
    /// (edge_over_cells), then the circuit closes. Also, on every circuit whose set is on another engine of a hub: that
    /// engine does not keep up with what comes from CIRCFLOW_SIDE_BACK.
    CIRCFLOW_INSN_PAUSE = 14,
    /// Go on with the cells from detail.pause.side. Comes once for each PAUSE.
    CIRCFLOW_INSN_UNPAUSE = 15,
    /// Client: the relay at detail.negotiated.hop has said what becomes of the padding that was asked for under
    /// detail.negotiated.number; detail.negotiated.answer is CIRCFLOW_NEGOTIATED_*. For people and figures: circflow
    /// has done what follows.
    CIRCFLOW_INSN_NEGOTIATED = 16,
}

/// CIRCFLOW_INSN_SEND.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_send {
    /// Relay command.
    pub command: u8,
    /// Hop to send to; 0 at a relay: towards the client.
    pub hop: u8,
    /// Stream id; 0 where the message belongs to no stream.
    pub stream_id: u16,
    /// CIRCFLOW_FORM_BYTES: bytes written to the body buffer.
    pub body_len: u16,
    /// CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN.
    pub form: u8,
    /// Zero.
    pub reserved: [u8; 9],
    /// CIRCFLOW_FORM_TOKEN: the token.
    pub token: u64,
    /// A set's message: its absolute sequence number. Otherwise 0.
    pub number: u64,
    /// CIRCFLOW_FORM_TOKEN: its cost, as the host gave it.
    pub cost: u32,
    /// Zero.
    pub reserved2: u32,
}

/// CIRCFLOW_INSN_DELIVER.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_deliver {
    /// Absolute sequence number.
    pub number: u64,
    /// CIRCFLOW_FORM_TOKEN: the token.
    pub token: u64,
    /// CIRCFLOW_FORM_TOKEN: its cost, as the host gave it.
    pub cost: u32,
    /// Stream id.
    pub stream_id: u16,
    /// CIRCFLOW_FORM_BYTES: bytes written to the body buffer.
    pub body_len: u16,
    /// Relay command.
    pub command: u8,
    /// CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN.
    pub form: u8,
}

/// CIRCFLOW_INSN_DISCARD.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_discard {
    /// The token.
    pub token: u64,
    /// Its cost, as the host gave it.
    pub cost: u32,
}

/// CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_close {
    /// Why: a status of class PEER or LIMIT, or CIRCFLOW_OK when the host asked for it.
    pub cause: circflow_status,
    /// The reason to put into DESTROY (tor-spec 5.4), one byte on the wire.
    pub reason: u32,
}

/// CIRCFLOW_INSN_LINKED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_linked {
    /// Client: the round-trip time from LINK to LINKED; 0 when the clock did not move. Exit: 0, as LINKED_ACK is still
    /// to come.
    pub rtt_ns: u64,
}

/// CIRCFLOW_INSN_NEGOTIATED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_negotiated {
    /// The machine number, as given to circflow_padding_start().
    pub number: u8,
    /// The hop that answered.
    pub hop: u8,
    /// CIRCFLOW_NEGOTIATED_*.
    pub answer: u8,
    /// Zero.
    pub reserved: u8,
}

/// What an instruction says besides what it is about.
#[repr(C)]
#[derive(Clone, Copy)]
pub union circflow_insn_detail {
    /// CIRCFLOW_INSN_SEND.
    pub send: circflow_insn_send,
    /// CIRCFLOW_INSN_DELIVER.
    pub deliver: circflow_insn_deliver,
    /// CIRCFLOW_INSN_DISCARD.
    pub discard: circflow_insn_discard,
    /// CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED.
    pub close: circflow_insn_close,
    /// CIRCFLOW_INSN_LINKED.
    pub linked: circflow_insn_linked,
    /// CIRCFLOW_INSN_PADDING.
    pub padding: circflow_insn_padding,
    /// CIRCFLOW_INSN_BLOCK.
    pub block: circflow_insn_block,
    /// CIRCFLOW_INSN_WRITE.
    pub write: circflow_insn_write,
    /// CIRCFLOW_INSN_PAUSE and CIRCFLOW_INSN_UNPAUSE.
    pub pause: circflow_insn_pause,
    /// CIRCFLOW_INSN_NEGOTIATED.
    pub negotiated: circflow_insn_negotiated,
    /// The size of the union, now and later.
    pub reserved: [u64; 5],
}

/// One thing for the host to do. A plain value: copy it, queue it, forget it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct circflow_insn {
    /// circflow_insn_kind.
    pub kind: u32,
    /// CIRCFLOW_WANTS_TAG or 0.
    pub flags: u32,
    /// The circuit it is about, or zero.
    pub circuit: circflow_circuit_id,
    /// The set it is about, or zero.
    pub set: circflow_set_id,
    /// The tag of the circuit, or 0.
    pub circuit_tag: u64,
    /// The tag of the set, or 0.
    pub set_tag: u64,
    /// On circuits that circflow runs: the stream it is about, or zero. The last message of a stream that comes (END,
    /// RESOLVED) has only the tag.
    pub stream: circflow_stream_id,
    /// The tag of the stream, or 0.
    pub stream_tag: u64,
    /// By kind.
    pub detail: circflow_insn_detail,
}
