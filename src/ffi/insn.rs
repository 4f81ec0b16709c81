//! Instructions: what circflow asks of the host, one at a time.

use super::error::fault_status;
use super::id::*;
use super::message::{self, CIRCFLOW_FORM_BYTES, CIRCFLOW_FORM_TOKEN, CIRCFLOW_WANTS_DIGEST};
use super::names::named;
use super::status::circflow_status::*;
use super::status::{self, circflow_status};
use crate::conflux::Cause;
use crate::engine::{Instruction, Released, Taker, What};
use crate::message::Delivery;
use crate::padding::{Pad, Reply};
use crate::reactor::Side;
use crate::wire::Command;
use libc::{c_char, c_void};

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
    /// Send a relay message on the circuit, to detail.send.hop. Do not report it as queued: circflow knows. It is a
    /// control message with its body in the body buffer, or a message of yours that was held. detail.send.form says
    /// whether its body is in the buffer, or detail.send.token is yours again.
    CIRCFLOW_INSN_SEND = 1,
    /// A held message is next in order: handle it. detail.deliver.form says whether its body is in the body buffer, or
    /// detail.deliver.token is yours again. `circuit` is the leg that it came on, or zero when that leg is gone. When a
    /// set ends, messages that were ready are still delivered, before the CIRCFLOW_INSN_CLOSE of its legs.
    CIRCFLOW_INSN_DELIVER = 2,
    /// detail.discard.token is yours again, and its message will never be delivered or sent: free it. Most tokens of a
    /// set that has ended come before its CIRCFLOW_INSN_ENDED. Tokens behind many copied messages come later, without
    /// the set's id, as one call of yours frees only so many copies: keep your table of tokens until each is back.
    CIRCFLOW_INSN_DISCARD = 3,
    /// Close the circuit: send DESTROY with detail.close.reason, then call circflow_circuit_gone(). detail.close.cause
    /// is the status that explains it. The id stays valid until you call circflow_circuit_gone().
    CIRCFLOW_INSN_CLOSE = 4,
    /// The set (or the circuit, if `set` is zero) has room again after CIRCFLOW_ERR_NO_ROOM: read its streams. With a
    /// stream: this stream may send again, after CIRCFLOW_ERR_STREAM_STOPPED or after circflow_stream_choose() named
    /// none. It can come in the last drain before you sleep: read and send then too, and drain again.
    CIRCFLOW_INSN_MAY_SEND = 5,
    /// The circuit is a linked leg of the set. At an exit this is the first instruction that names a new set. The
    /// CIRCFLOW_INSN_SEND of its LINKED follows; the leg can send once you have taken that.
    CIRCFLOW_INSN_LINKED = 6,
    /// The set may carry streams from now on. This comes once for each set. At a client it comes when one leg is
    /// linked, and no other is being built or waits for LINKED. At an exit it comes when you have taken the first
    /// LINKED to send.
    CIRCFLOW_INSN_USABLE = 7,
    /// Client: launch another leg if you can, and add it. It comes when a leg was lost before it was linked, or before
    /// the set was usable, and launches_max allows another. The set goes on meanwhile. It does not come for a linked
    /// leg that a usable set loses.
    CIRCFLOW_INSN_WANT_LEG = 8,
    /// The set is gone, and its id is stale. detail.close.cause says why. The CIRCFLOW_INSN_CLOSE of its legs came
    /// before this.
    CIRCFLOW_INSN_ENDED = 9,
    /// Send a padding cell: a DROP to detail.padding.hop on this circuit. Do not report it as queued. When
    /// detail.padding.flags has CIRCFLOW_PADDING_ASKS (only on a circuit with CIRCFLOW_CIRCUIT_OWN_QUEUE), first decide
    /// by the table below, then answer with circflow_padding_answered(). "Queue" means the cells to or through the hop
    /// that are queued on this circuit and not written yet, blocked or not.
    ///
    ///   your block          BYPASS  REPLACE  queue    do                       answer
    ///   none                any     no       any      send padding             SENT
    ///   none                any     yes      empty    send padding             SENT
    ///   none                any     yes      some     nothing                  REPLACED
    ///   lets padding pass   yes     no       any      send past the block      SENT
    ///   lets padding pass   yes     yes      empty    send past the block      SENT
    ///   lets padding pass   yes     yes      blocked  let one queued cell go   RELEASED
    ///   lets padding pass   yes     yes      past it  nothing                  REPLACED
    ///   lets padding pass   no      no       any      queue behind the block   SENT
    ///   lets padding pass   no      yes      empty    queue behind the block   SENT
    ///   lets padding pass   no      yes      some     nothing                  REPLACED
    ///   lets nothing pass   any     no       any      queue behind the block   SENT
    ///   lets nothing pass   any     yes      empty    queue behind the block   SENT
    ///   lets nothing pass   any     yes      some     nothing                  REPLACED
    CIRCFLOW_INSN_PADDING = 10,
    /// CIRCFLOW_CIRCUIT_OWN_QUEUE: from now on keep the cells that are queued on this circuit. Do not keep control that
    /// must not wait: SENDME, LINK, LINKED, LINKED_ACK, PADDING_NEGOTIATE, PADDING_NEGOTIATED, DESTROY. Drop padding
    /// that waits there when its padder is removed. detail.block.bypassable says whether padding with
    /// CIRCFLOW_PADDING_BYPASS may pass; the instruction can come again with another value.
    CIRCFLOW_INSN_BLOCK = 11,
    /// CIRCFLOW_CIRCUIT_OWN_QUEUE: write all cells that you kept, in order.
    CIRCFLOW_INSN_UNBLOCK = 12,
    /// CIRCFLOW_CIRCUIT_REACTOR: write a cell that was held to detail.write.side of the circuit. Its bytes (up to
    /// CIRCFLOW_CELL_BODY_LEN) are in the body buffer, or detail.write.token is yours again.
    CIRCFLOW_INSN_WRITE = 13,
    /// CIRCFLOW_CIRCUIT_REACTOR: many cells wait that came from detail.pause.side. From now on keep cells that come for
    /// this circuit from there yourself; do not stop reading the channel, as other circuits need it. circflow takes
    /// edge_over_cells more, then it closes the circuit. The instruction also comes on every circuit whose set is on
    /// another engine of a hub, when that engine is too slow for the cells from CIRCFLOW_SIDE_BACK.
    CIRCFLOW_INSN_PAUSE_FEED = 14,
    /// Feed the cells from detail.pause.side again. It comes once for each PAUSE_FEED.
    CIRCFLOW_INSN_UNPAUSE_FEED = 15,
    /// Client: the relay at detail.negotiated.hop has answered the padding that was asked for under
    /// detail.negotiated.number; detail.negotiated.answer is CIRCFLOW_NEGOTIATED_ACCEPTED, _REFUSED or another
    /// CIRCFLOW_NEGOTIATED_*. You need not do anything: circflow has acted on it.
    CIRCFLOW_INSN_NEGOTIATED = 16,
}

/// Gives the name of a kind of instruction (circflow_insn.kind), such as "CIRCFLOW_INSN_SEND". The text is static and
/// never NULL; for an unknown number it is "not a kind of instruction".
///
/// @param kind  The number.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_insn_kind_name(kind: u32) -> *const c_char {
    circflow_insn_kind::name_of(kind.into()).as_ptr()
}

named!(
    circflow_insn_kind,
    c"not a kind of instruction",
    {
        CIRCFLOW_INSN_NONE,
        CIRCFLOW_INSN_SEND,
        CIRCFLOW_INSN_DELIVER,
        CIRCFLOW_INSN_DISCARD,
        CIRCFLOW_INSN_CLOSE,
        CIRCFLOW_INSN_MAY_SEND,
        CIRCFLOW_INSN_LINKED,
        CIRCFLOW_INSN_USABLE,
        CIRCFLOW_INSN_WANT_LEG,
        CIRCFLOW_INSN_ENDED,
        CIRCFLOW_INSN_PADDING,
        CIRCFLOW_INSN_BLOCK,
        CIRCFLOW_INSN_UNBLOCK,
        CIRCFLOW_INSN_WRITE,
        CIRCFLOW_INSN_PAUSE_FEED,
        CIRCFLOW_INSN_UNPAUSE_FEED,
        CIRCFLOW_INSN_NEGOTIATED,
    }
);

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
    /// CIRCFLOW_FORM_TOKEN: its cost_bytes, as you gave them.
    pub cost_bytes: u32,
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
    /// CIRCFLOW_FORM_TOKEN: its cost_bytes, as you gave them.
    pub cost_bytes: u32,
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
    /// Its cost_bytes, as you gave them.
    pub cost_bytes: u32,
}

/// CIRCFLOW_INSN_CLOSE and CIRCFLOW_INSN_ENDED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_close {
    /// The cause: a status of class PEER or LIMIT, or CIRCFLOW_OK when you asked for it.
    pub cause: circflow_status,
    /// The reason to put into DESTROY (tor-spec 5.4), one byte on the wire.
    pub reason: u32,
}

/// CIRCFLOW_INSN_LINKED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_linked {
    /// Client: the round-trip time from LINK to LINKED, in nanoseconds; 0 when the clock did not move. Exit: 0, as
    /// LINKED_ACK has not come yet.
    pub rtt_ns: u64,
}

/// circflow_insn_padding.flags: the padding may pass a block that lets padding pass.
pub const CIRCFLOW_PADDING_BYPASS: u8 = 1;
/// circflow_insn_padding.flags: a cell that already waits may count as the padding.
pub const CIRCFLOW_PADDING_REPLACE: u8 = 2;
/// circflow_insn_padding.flags: decide by the table of CIRCFLOW_INSN_PADDING, and answer with
/// circflow_padding_answered(). Without this flag circflow has decided: send the padding cell.
pub const CIRCFLOW_PADDING_ASKS: u8 = 4;

/// CIRCFLOW_INSN_PADDING.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_padding {
    /// Relay command to send: CIRCFLOW_CMD_DROP.
    pub command: u8,
    /// Hop to send to; 0 at a relay: the client.
    pub hop: u8,
    /// The slot of the padder that asks for it, 0 or 1.
    pub slot: u8,
    /// CIRCFLOW_PADDING_*, or-ed together. BYPASS and REPLACE come from the machine.
    pub flags: u8,
    /// The machine that asks for it: its index in the padder's list, from 0.
    pub machine: u32,
}

/// CIRCFLOW_INSN_BLOCK.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_block {
    /// 1 when padding with CIRCFLOW_PADDING_BYPASS may pass, as every active block allows it; otherwise 0.
    pub bypassable: u32,
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
    /// CIRCFLOW_FORM_TOKEN: its cost_bytes, as you gave them.
    pub cost_bytes: u32,
    /// Zero.
    pub reserved2: u32,
}

/// CIRCFLOW_INSN_PAUSE_FEED and CIRCFLOW_INSN_UNPAUSE_FEED.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_insn_pause {
    /// The side the cells come from, CIRCFLOW_SIDE_*.
    pub side: u32,
}

/// circflow_insn_negotiated.answer: the relay pads from now on.
pub const CIRCFLOW_NEGOTIATED_ACCEPTED: u8 = 1;
/// circflow_insn_negotiated.answer: the relay does not pad under this number. circflow has removed the padder at this
/// end, and sends no further request on this circuit.
pub const CIRCFLOW_NEGOTIATED_REFUSED: u8 = 2;
/// circflow_insn_negotiated.answer: the relay has stopped, as you asked.
pub const CIRCFLOW_NEGOTIATED_STOPPED: u8 = 3;
/// circflow_insn_negotiated.answer: the relay has ended its padding by itself. circflow has removed the padder at this
/// end.
pub const CIRCFLOW_NEGOTIATED_ENDED: u8 = 4;

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

/// The part of an instruction that depends on its kind.
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
    /// CIRCFLOW_INSN_PAUSE_FEED and CIRCFLOW_INSN_UNPAUSE_FEED.
    pub pause: circflow_insn_pause,
    /// CIRCFLOW_INSN_NEGOTIATED.
    pub negotiated: circflow_insn_negotiated,
    /// Keeps the size of the union the same in later versions.
    pub reserved: [u64; 5],
}

/// An instruction: one thing for you to do or to know. It is a plain value that you may copy and keep.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct circflow_insn {
    /// circflow_insn_kind.
    pub kind: u32,
    /// CIRCFLOW_WANTS_DIGEST or 0.
    pub flags: u32,
    /// The circuit that it is about, or zero.
    pub circuit: circflow_circuit_id,
    /// The set that it is about, or zero.
    pub set: circflow_set_id,
    /// The tag of the circuit, or 0.
    pub circuit_tag: u64,
    /// The tag of the set, or 0.
    pub set_tag: u64,
    /// On circuits that circflow runs: the stream that it is about, or zero. The last message of a stream that comes
    /// (END, RESOLVED) has only the tag, as the id is stale by then.
    pub stream: circflow_stream_id,
    /// The tag of the stream, or 0.
    pub stream_tag: u64,
    /// The rest, by kind.
    pub detail: circflow_insn_detail,
}

/// A function of yours that circflow_engine_drain() calls for each instruction. `body` is the body buffer that the
/// instructions speak of; it is valid during the call. Inside you may feed; poll, drain and free answer
/// CIRCFLOW_ERR_REENTRANT.
pub type circflow_insn_fn =
    Option<unsafe extern "C-unwind" fn(userdata: *mut c_void, insn: *const circflow_insn, body: *const u8)>;

#[inline(always)]
fn insn(instruction: Instruction) -> circflow_insn {
    use circflow_insn_kind::*;
    let mut insn = NOTHING;
    insn.circuit = circflow_circuit_id::new(instruction.circuit);
    insn.set = circflow_set_id::new(instruction.set);
    insn.circuit_tag = instruction.circuit_tag;
    insn.set_tag = instruction.set_tag;
    insn.stream = circflow_stream_id::new(instruction.stream);
    insn.stream_tag = instruction.stream_tag;
    insn.flags = if instruction.wants_digest { CIRCFLOW_WANTS_DIGEST } else { 0 };
    let kind = match instruction.what {
        What::Send { command, hop, body_len } => {
            insn.detail.send = circflow_insn_send { command: command.0, hop, body_len, ..NO_SEND };
            CIRCFLOW_INSN_SEND
        }
        What::SendHeld(released) => {
            insn.detail.send = send_held(&released);
            CIRCFLOW_INSN_SEND
        }
        What::Pad { pad, asks } => {
            insn.detail.padding = pad_out(pad, asks);
            CIRCFLOW_INSN_PADDING
        }
        What::Block { bypassable } => {
            insn.detail.block = circflow_insn_block { bypassable: u32::from(bypassable) };
            CIRCFLOW_INSN_BLOCK
        }
        What::Unblock => CIRCFLOW_INSN_UNBLOCK,
        What::Negotiated { number, hop, reply } => {
            insn.detail.negotiated = circflow_insn_negotiated { number, hop, answer: answer(reply), reserved: 0 };
            CIRCFLOW_INSN_NEGOTIATED
        }
        What::Write { side, cell } => {
            insn.detail.write = write(side, &cell);
            CIRCFLOW_INSN_WRITE
        }
        What::PauseFeed { side, pause } => {
            insn.detail.pause = circflow_insn_pause { side: u32::from(message::side_number(side)) };
            if pause {
                CIRCFLOW_INSN_PAUSE_FEED
            } else {
                CIRCFLOW_INSN_UNPAUSE_FEED
            }
        }
        What::Deliver(delivery) => {
            insn.detail.deliver = circflow_insn_deliver {
                number: delivery.number,
                token: delivery.token.map_or(0, |token| token.token),
                cost_bytes: delivery.token.map_or(0, |token| token.cost),
                stream_id: delivery.stream_id,
                body_len: delivery.body_len,
                command: delivery.command.0,
                form: if delivery.token.is_some() { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES },
            };
            CIRCFLOW_INSN_DELIVER
        }
        What::Discard(token) => {
            insn.detail.discard = circflow_insn_discard { token: token.token, cost_bytes: token.cost };
            CIRCFLOW_INSN_DISCARD
        }
        What::Close(cause) => {
            insn.detail.close = close(cause);
            CIRCFLOW_INSN_CLOSE
        }
        What::Ended(cause) => {
            insn.detail.close = close(cause);
            CIRCFLOW_INSN_ENDED
        }
        What::Linked(rtt_ns) => {
            insn.detail.linked = circflow_insn_linked { rtt_ns };
            CIRCFLOW_INSN_LINKED
        }
        What::MaySend => CIRCFLOW_INSN_MAY_SEND,
        What::Usable => CIRCFLOW_INSN_USABLE,
        What::WantLeg => CIRCFLOW_INSN_WANT_LEG,
    };
    insn.kind = kind as u32;
    insn
}

fn send_held(released: &Released) -> circflow_insn_send {
    let Released { hop, message } = released;
    circflow_insn_send {
        command: message.command.0,
        hop: *hop,
        stream_id: message.stream_id,
        body_len: message.body_len,
        form: if message.token.is_some() { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES },
        token: message.token.map_or(0, |token| token.token),
        number: message.number,
        cost_bytes: message.token.map_or(0, |token| token.cost),
        ..NO_SEND
    }
}

const NO_SEND: circflow_insn_send = circflow_insn_send {
    command: 0,
    hop: 0,
    stream_id: 0,
    body_len: 0,
    form: CIRCFLOW_FORM_BYTES,
    reserved: [0; 9],
    token: 0,
    number: 0,
    cost_bytes: 0,
    reserved2: 0,
};

pub(super) const NOTHING: circflow_insn = circflow_insn {
    kind: circflow_insn_kind::CIRCFLOW_INSN_NONE as u32,
    flags: 0,
    circuit: circflow_circuit_id { v: 0 },
    set: circflow_set_id { v: 0 },
    circuit_tag: 0,
    set_tag: 0,
    stream: circflow_stream_id { v: 0 },
    stream_tag: 0,
    detail: circflow_insn_detail { reserved: [0; 5] },
};

/// An instruction's place in the caller's memory.
pub(super) struct InsnOut(*mut circflow_insn);

impl InsnOut {
    /// `out` is not NULL, and there is room for an instruction as long as this lives.
    #[inline(always)]
    pub(super) unsafe fn new(out: *mut circflow_insn) -> InsnOut {
        InsnOut(out)
    }
}

impl Taker for InsnOut {
    #[inline(always)]
    fn take(&mut self, instruction: Instruction) {
        // SAFETY: by the contract of `new`.
        unsafe { self.0.write(insn(instruction)) }
    }
}

/// True when the body carries a nonce.
pub(super) fn has_nonce(insn: &circflow_insn) -> bool {
    // SAFETY: all fields of `detail` are integers, and `kind` says that it is `send`.
    let carries = |detail: &circflow_insn_detail| {
        let command = Command(unsafe { detail.send.command });
        command == Command::CONFLUX_LINK || command == Command::CONFLUX_LINKED
    };
    insn.kind == circflow_insn_kind::CIRCFLOW_INSN_SEND as u32 && carries(&insn.detail)
}

fn pad_out(pad: Pad, asks: bool) -> circflow_insn_padding {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(pad.bypass, CIRCFLOW_PADDING_BYPASS)
        | flag(pad.replace, CIRCFLOW_PADDING_REPLACE)
        | flag(asks, CIRCFLOW_PADDING_ASKS);
    circflow_insn_padding { command: Command::DROP.0, hop: pad.hop, slot: pad.slot, flags, machine: pad.machine }
}

pub(super) fn pad_in(padding: &circflow_insn_padding) -> Pad {
    Pad {
        hop: padding.hop,
        slot: padding.slot,
        machine: padding.machine,
        bypass: padding.flags & CIRCFLOW_PADDING_BYPASS != 0,
        replace: padding.flags & CIRCFLOW_PADDING_REPLACE != 0,
    }
}

fn answer(reply: Reply) -> u8 {
    match reply {
        Reply::Accepted => CIRCFLOW_NEGOTIATED_ACCEPTED,
        Reply::Refused => CIRCFLOW_NEGOTIATED_REFUSED,
        Reply::Stopped => CIRCFLOW_NEGOTIATED_STOPPED,
        Reply::Ended => CIRCFLOW_NEGOTIATED_ENDED,
    }
}

fn write(side: Side, cell: &Delivery) -> circflow_insn_write {
    circflow_insn_write {
        side: message::side_number(side),
        command: cell.command.0,
        body_len: cell.body_len,
        form: if cell.token.is_some() { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES },
        reserved: [0; 3],
        token: cell.token.map_or(0, |token| token.token),
        cost_bytes: cell.token.map_or(0, |token| token.cost),
        reserved2: 0,
    }
}

fn close(cause: Cause) -> circflow_insn_close {
    let cause = match cause {
        Cause::Asked => CIRCFLOW_OK,
        Cause::LegLost => CIRCFLOW_ERR_LEG_LOST,
        Cause::Finished => CIRCFLOW_ERR_SET_FINISHED,
        Cause::Fault(fault) => fault_status(fault),
    };
    circflow_insn_close { cause, reason: u32::from(status::close_reason(cause)) }
}
