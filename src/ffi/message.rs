//! Messages and cells that are fed, and verdicts, the answers to them.

use super::id::*;
use super::inward::{self, Why};
use super::names::named;
use crate::base::limits;
use crate::engine::{Verdict, VerdictKind};
use crate::message::{Fields, Head, Message, Token};
use crate::reactor::{DataHead, Side};
use crate::wire::conflux::Switch;
use crate::wire::Command;
use libc::c_char;
use std::mem::{align_of, offset_of};
use std::ptr::addr_of_mut;

/// Bytes of a relay cell's body: a cell of 514 bytes without circuit id and command.
pub const CIRCFLOW_CELL_BODY_LEN: usize = 509;

/// Bytes of the longest body that a relay message can have, in any cell format.
pub const CIRCFLOW_BODY_MAX: usize = 498;
/// Bytes of the longest body that fits every cell format: put at most so many into a DATA.
pub const CIRCFLOW_DATA_MAX: usize = 488;

/// circflow_message.form: circflow copies the body if it has to hold the message.
pub const CIRCFLOW_FORM_BYTES: u8 = 0;
/// circflow_message.form: circflow keeps the token if it has to hold the message.
pub const CIRCFLOW_FORM_TOKEN: u8 = 1;

/// The cost of one held message that circflow has copied, in bytes. It does not depend on the length of the body, which
/// is kept in a block of fixed size. The cost of a held token is cost_bytes.
pub const CIRCFLOW_HELD_COST: u32 = 536;
const _: () = assert!(CIRCFLOW_HELD_COST == crate::message::COPY_COST);
/// The least cost of a held token, in bytes: circflow itself needs so much for it.
pub const CIRCFLOW_HELD_TOKEN_MIN: u32 = 40;
const _: () = assert!(CIRCFLOW_HELD_TOKEN_MIN == crate::message::TOKEN_COST_MIN);

/// A decrypted relay message. All of it is read during the call only.
///
/// The hop says where the message came from, or where it goes. At a client, 1 is the first relay, and the last hop is
/// the join point. At a relay, the other end is the client, and the hop is 0.
///
/// With CIRCFLOW_FORM_BYTES, circflow copies the body if it has to hold the message. With CIRCFLOW_FORM_TOKEN the
/// message stays yours: circflow keeps the number `token` instead. It hands the token back exactly once: in
/// CIRCFLOW_INSN_DELIVER, SEND, WRITE or DISCARD, or to the discard function of circflow_engine_free().
///
/// circflow keeps a token only when the call answers CIRCFLOW_VERDICT_HELD. After any other verdict, and after any
/// error, it has not taken the token. So you can wait for HELD before you make the thing that the token stands for. The
/// bodies of LINK, LINKED and SWITCH must be present in either form, and so must every body on a circuit that circflow
/// runs.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_message {
    /// Relay command, CIRCFLOW_CMD_* or any other.
    pub command: u8,
    /// The hop that it came from or goes to.
    pub hop: u8,
    /// Stream id; 0 where the message belongs to no stream.
    pub stream_id: u16,
    /// Bytes in body, in either form: at most CIRCFLOW_BODY_MAX; in a cell for circflow_circuit_relay(), at most
    /// CIRCFLOW_CELL_BODY_LEN. More is always refused.
    pub body_len: u16,
    /// CIRCFLOW_FORM_BYTES or CIRCFLOW_FORM_TOKEN.
    pub form: u8,
    /// Bytes of `cell_digest`: 20 (tor1), 16 (counter-galois), or 0 for no digest. Without a digest the SENDME is of
    /// version 0, and a peer with congestion control then closes the circuit.
    pub cell_digest_len: u8,
    /// With a token: the bytes that your process needs to keep the message. They count against the caps, as at least
    /// CIRCFLOW_HELD_TOKEN_MIN.
    pub cost_bytes: u32,
    /// Zero.
    pub reserved2: u32,
    /// The body, or NULL when body_len is 0.
    pub body: *const u8,
    /// With CIRCFLOW_FORM_TOKEN: any number of yours.
    pub token: u64,
    /// On circuits that circflow runs, with DATA that came: the digest of its cell, for the SENDME that may answer it
    /// (prop289). For tor1 this is the running digest after this cell, for counter-galois the 16 bytes that tor-spec
    /// calls the cell's tag. Give it with each DATA; circflow reads it when it needs it.
    pub cell_digest: *const u8,
}

/// circflow_verdict.flags and circflow_insn.flags: a SENDME will acknowledge this DATA cell. When you have encrypted
/// the cell, give its digest to circflow_circuit_add_digest(), in the order of sending.
pub const CIRCFLOW_WANTS_DIGEST: u32 = 1;

/// A side of a circuit: at a relay the channel towards the client, at a client the channel to the first relay.
pub const CIRCFLOW_SIDE_BACK: u8 = 0;
/// A side of a circuit: at a relay the channel to the next relay.
pub const CIRCFLOW_SIDE_NEXT: u8 = 1;

/// The kind of a verdict: what to do with the message that was fed.
#[allow(non_camel_case_types)]
///
/// cbindgen:prefix-with-name=false
/// cbindgen:rename-all=None
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum circflow_verdict_kind {
    /// Receiving: handle the message now. If it is multiplexed, it is the next in order and counts as delivered.
    /// Messages that waited for it may be ready: drain, or take them with circflow_set_poll().
    CIRCFLOW_VERDICT_DELIVER = 1,
    /// circflow has kept the message: it has copied the body, or keeps the token until it hands it back. Receiving: the
    /// message came early, and comes back as CIRCFLOW_INSN_DELIVER. Sending: padding blocks, and the message comes back
    /// as CIRCFLOW_INSN_SEND. A cell that passes: the channel is full, and the cell comes back as CIRCFLOW_INSN_WRITE.
    CIRCFLOW_VERDICT_HELD = 2,
    /// Receiving: circflow has handled this control message. Do nothing with it; drain.
    CIRCFLOW_VERDICT_CONSUMED = 3,
    /// Receiving: the message is not allowed on a leg (BEGIN_DIR; TROVE-2026-008). Send END with end_reason on its
    /// stream id.
    CIRCFLOW_VERDICT_REFUSE = 4,
    /// Sending: send the message on this circuit. If switch_delta is not 0, send a SWITCH with it first.
    CIRCFLOW_VERDICT_SEND = 5,
    /// A cell that passes: write it to the other side of the circuit now.
    CIRCFLOW_VERDICT_FORWARD = 6,
}

/// Gives the name of a kind of verdict (circflow_verdict.kind), such as "CIRCFLOW_VERDICT_DELIVER". The text is static
/// and never NULL; for an unknown number it is "not a kind of verdict".
///
/// @param kind  The number.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_verdict_kind_name(kind: u32) -> *const c_char {
    circflow_verdict_kind::name_of(kind.into()).as_ptr()
}

named!(
    circflow_verdict_kind,
    c"not a kind of verdict",
    {
        CIRCFLOW_VERDICT_DELIVER,
        CIRCFLOW_VERDICT_HELD,
        CIRCFLOW_VERDICT_CONSUMED,
        CIRCFLOW_VERDICT_REFUSE,
        CIRCFLOW_VERDICT_SEND,
        CIRCFLOW_VERDICT_FORWARD,
    }
);

/// The answer about the message that was fed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct circflow_verdict {
    /// circflow_verdict_kind.
    pub kind: u8,
    /// 1 when held messages of the set are ready now: drain, or take them with circflow_set_poll(). Otherwise 0.
    pub ready: u8,
    /// REFUSE: the reason to put into END (tor-spec 6.3, one byte). Otherwise 0.
    pub end_reason: u8,
    /// CIRCFLOW_WANTS_DIGEST or 0.
    pub flags: u8,
    /// SEND: 0, or the number for a SWITCH that you send first, on the same leg (circflow_switch_encode()).
    pub switch_delta: u32,
    /// SEND: the circuit to send on. Otherwise the circuit that the message came on; zero when a set holds the message
    /// for sending.
    pub circuit: circflow_circuit_id,
    /// That circuit's tag.
    pub circuit_tag: u64,
    /// The message's absolute sequence number in the set, from 1; 0 for a message without one.
    pub number: u64,
    /// On circuits that circflow runs: the message's stream, or zero. The last message of a stream that comes (END,
    /// RESOLVED) has only the tag, as the id is stale by then.
    pub stream: circflow_stream_id,
    /// The tag of the stream, or 0.
    pub stream_tag: u64,
}

#[inline(always)]
pub(super) unsafe fn read<'a>(message: &'a circflow_message) -> Result<Message<'a>, Why> {
    let len = usize::from(message.body_len);
    let form_known = message.form <= CIRCFLOW_FORM_TOKEN;
    if len > CIRCFLOW_BODY_MAX || message.hop > limits::HOPS_MAX || !form_known || (message.body.is_null() && len != 0)
    {
        return Err("a message has a body that is too long or NULL, a hop above 16, or an unknown form");
    }
    let body = if message.body.is_null() {
        &[][..]
    } else {
        // SAFETY: not NULL, and `body_len` bytes are there by the contract of this floor.
        unsafe { std::slice::from_raw_parts(message.body, len) }
    };
    let token =
        (message.form == CIRCFLOW_FORM_TOKEN).then_some(Token { token: message.token, cost: message.cost_bytes });
    Ok(Message { command: Command(message.command), hop: message.hop, stream_id: message.stream_id, body, token })
}

impl Fields for circflow_message {
    #[inline(always)]
    fn command(&self) -> Command {
        Command(self.command)
    }

    #[inline(always)]
    fn hop(&self) -> u8 {
        self.hop
    }

    #[inline(always)]
    fn kind(&self) -> u16 {
        // SAFETY: the two bytes stand first, and their place is aligned for more than two.
        unsafe { std::ptr::from_ref(self).cast::<u16>().read() }
    }

    #[inline(always)]
    fn stream_id(&self) -> u16 {
        self.stream_id
    }
}

// What `kind` reads at once.
const _: () = assert!(
    offset_of!(circflow_message, command) == 0
        && offset_of!(circflow_message, hop) == 1
        && align_of::<circflow_message>() >= 2
);

/// The content of a SWITCH, if there is nothing wrong with the message. The first step has seen that its hop is one of
/// the circuit, and that its body [fits](fits).
#[inline(always)]
pub(super) unsafe fn switch(message: &circflow_message) -> Option<Switch> {
    if message.body.is_null() || message.form > CIRCFLOW_FORM_TOKEN {
        return None;
    }
    // SAFETY: not NULL, and `body_len` bytes are there by the contract of this floor.
    let body = unsafe { std::slice::from_raw_parts(message.body, message.body_len.into()) };
    Switch::decode(body).ok()
}

/// Converts a message that is sent and has to be kept.
#[cold]
#[inline(never)]
pub(super) unsafe fn kept<'a>(message: &'a circflow_message) -> Result<Message<'a>, Why> {
    // SAFETY: the contract of this floor, which the caller keeps.
    unsafe { read(message) }
}

/// All but the body.
#[inline(always)]
pub(super) fn head(message: &circflow_message) -> Head {
    let &circflow_message { command, hop, stream_id, body_len: len, .. } = message;
    Head { command: Command(command), hop, stream_id, len }
}

/// True when a cell can carry the message: it would be counted, and then could not be sent.
#[inline(always)]
pub(super) fn is_sendable(message: &circflow_message) -> bool {
    let least = u16::from(Command(message.command) == Command::DATA);
    (least..=CIRCFLOW_BODY_MAX as u16).contains(&message.body_len)
}

/// True when the body is none too long. For the short ways, which do not look at it: what would be refused if it had to
/// wait is refused always.
#[inline(always)]
pub(super) fn fits(message: &circflow_message) -> bool {
    usize::from(message.body_len) <= CIRCFLOW_BODY_MAX
}

/// Converts a cell that passes.
#[inline(always)]
pub(super) fn cell_fits(cell: &circflow_message) -> bool {
    usize::from(cell.body_len) <= CIRCFLOW_CELL_BODY_LEN
}

/// The parts of DATA that count, if its length is one that a body can have.
#[inline(always)]
pub(super) fn data(message: &circflow_message) -> Option<DataHead> {
    let &circflow_message { hop, stream_id, body_len, .. } = message;
    fits(message).then_some(DataHead { hop, stream_id, len: body_len })
}

/// The digest of the cell that a message came in.
pub(super) unsafe fn cell_digest(message: &circflow_message) -> Result<&[u8], Why> {
    match (message.cell_digest.is_null(), message.cell_digest_len) {
        (_, 0) => Ok(&[]),
        // SAFETY: not NULL, and `cell_digest_len` bytes are there by the contract of this floor.
        (false, 16 | 20) => {
            Ok(unsafe { std::slice::from_raw_parts(message.cell_digest, message.cell_digest_len.into()) })
        }
        _ => Err("a cell's digest is NULL, or has neither 20 nor 16 bytes"),
    }
}

/// A cell that passes: only its command, its bytes and its form count.
pub(super) unsafe fn cell<'a>(cell: &'a circflow_message) -> Result<Message<'a>, Why> {
    let len = usize::from(cell.body_len);
    if len > CIRCFLOW_CELL_BODY_LEN || cell.form > CIRCFLOW_FORM_TOKEN || (cell.body.is_null() && len != 0) {
        return Err("a cell has a body that is too long or NULL, or an unknown form");
    }
    // SAFETY: so much is there, by the contract of this floor.
    let body = unsafe { inward::slice(cell.body, len) }.unwrap_or_default();
    let token = (cell.form == CIRCFLOW_FORM_TOKEN).then_some(Token { token: cell.token, cost: cell.cost_bytes });
    Ok(Message { command: Command(cell.command), hop: 0, stream_id: 0, body, token })
}

pub(super) fn side(side: u8) -> Result<Side, Why> {
    match side {
        CIRCFLOW_SIDE_BACK => Ok(Side::Back),
        CIRCFLOW_SIDE_NEXT => Ok(Side::Next),
        _ => Err("a circuit has no such side"),
    }
}

pub(super) fn side_number(side: Side) -> u8 {
    match side {
        Side::Back => CIRCFLOW_SIDE_BACK,
        Side::Next => CIRCFLOW_SIDE_NEXT,
    }
}

#[inline]
pub(super) unsafe fn write_verdict(out: *mut circflow_verdict, verdict: &Verdict) {
    use circflow_verdict_kind::*;
    let kind = match verdict.kind {
        VerdictKind::Deliver => CIRCFLOW_VERDICT_DELIVER,
        VerdictKind::Held => CIRCFLOW_VERDICT_HELD,
        VerdictKind::Consumed => CIRCFLOW_VERDICT_CONSUMED,
        VerdictKind::Refuse => CIRCFLOW_VERDICT_REFUSE,
        VerdictKind::Send => CIRCFLOW_VERDICT_SEND,
        VerdictKind::Forward => CIRCFLOW_VERDICT_FORWARD,
    };
    // Four bytes in one store: this runs for every cell.
    let flags = u8::from(verdict.wants_digest) * CIRCFLOW_WANTS_DIGEST as u8;
    let head = [kind as u8, u8::from(verdict.ready), verdict.end_reason, flags];
    // SAFETY: not NULL (checked by every caller), and room for a verdict by the contract of this floor. The first four
    // fields are one byte each, and their place is aligned for more than four.
    unsafe {
        out.cast::<u32>().write(u32::from_ne_bytes(head));
        addr_of_mut!((*out).switch_delta).write(verdict.switch_delta);
        addr_of_mut!((*out).circuit).write(circflow_circuit_id::new(verdict.circuit));
        addr_of_mut!((*out).circuit_tag).write(verdict.circuit_tag);
        addr_of_mut!((*out).number).write(verdict.number);
        addr_of_mut!((*out).stream).write(circflow_stream_id::new(verdict.stream));
        addr_of_mut!((*out).stream_tag).write(verdict.stream_tag);
    }
}

// The fields that `write_verdict` writes in one store.
const _: () = assert!(
    offset_of!(circflow_verdict, kind) == 0
        && offset_of!(circflow_verdict, ready) == 1
        && offset_of!(circflow_verdict, end_reason) == 2
        && offset_of!(circflow_verdict, flags) == 3
        && align_of::<circflow_verdict>() >= 4
);
