//! What the floors below answer, as C sees it: verdicts, instructions, and errors as statuses.

use super::convert::{circuit_id, set_id};
use super::insn_types::*;
use super::padding_types::*;
use super::run_types::*;
use super::status::circflow_status::*;
use super::status::{self, circflow_status};
use super::types::*;
use crate::conflux::{Cause, Delivery, Fault};
use crate::engine::{Blocked, Error, Instruction, Misuse, Released, Taker, Verdict, VerdictKind, What};
use crate::padding::{Pad, Word};
use crate::reactor::Side;
use crate::wire::Command;
use std::mem::{align_of, offset_of};
use std::ptr::addr_of_mut;

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
    let flags = u8::from(verdict.wants_tag) * CIRCFLOW_WANTS_TAG as u8;
    let head = [kind as u8, u8::from(verdict.ready), verdict.end_reason, flags];
    // SAFETY: not NULL (checked by every caller), and room for a verdict by the contract of this floor. The first four
    // fields are one byte each, and their place is aligned for more than four.
    out.cast::<u32>().write(u32::from_ne_bytes(head));
    addr_of_mut!((*out).switch_delta).write(verdict.switch_delta);
    addr_of_mut!((*out).circuit).write(circuit_id(verdict.circuit));
    addr_of_mut!((*out).circuit_tag).write(verdict.circuit_tag);
    addr_of_mut!((*out).number).write(verdict.number);
    addr_of_mut!((*out).stream).write(circflow_stream_id { v: verdict.stream.0 });
    addr_of_mut!((*out).stream_tag).write(verdict.stream_tag);
}

// What `write_verdict` writes in one store.
const _: () = assert!(
    offset_of!(circflow_verdict, kind) == 0
        && offset_of!(circflow_verdict, ready) == 1
        && offset_of!(circflow_verdict, end_reason) == 2
        && offset_of!(circflow_verdict, flags) == 3
        && align_of::<circflow_verdict>() >= 4
);

fn pad_out(pad: Pad, asks: bool) -> circflow_insn_padding {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(pad.bypass, CIRCFLOW_PADDING_BYPASS)
        | flag(pad.replace, CIRCFLOW_PADDING_REPLACE)
        | flag(asks, CIRCFLOW_PADDING_ASKS);
    circflow_insn_padding { command: Command::DROP.0, hop: pad.hop, slot: pad.slot, flags, machine: pad.machine }
}

fn answer(word: Word) -> u8 {
    match word {
        Word::Accepted => CIRCFLOW_NEGOTIATED_ACCEPTED,
        Word::Refused => CIRCFLOW_NEGOTIATED_REFUSED,
        Word::Stopped => CIRCFLOW_NEGOTIATED_STOPPED,
        Word::Ended => CIRCFLOW_NEGOTIATED_ENDED,
    }
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
        cost: message.token.map_or(0, |token| token.cost),
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
    cost: 0,
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
pub(super) struct Out(*mut circflow_insn);

impl Out {
    /// `out` is not NULL, and there is room for an instruction as long as this lives.
    #[inline(always)]
    pub(super) unsafe fn new(out: *mut circflow_insn) -> Out {
        Out(out)
    }
}

impl Taker for Out {
    #[inline(always)]
    fn take(&mut self, instruction: Instruction) {
        // SAFETY: by the contract of `new`.
        unsafe { self.0.write(insn(instruction)) }
    }
}

/// Whether the body is that of a message that carries a nonce.
pub(super) fn has_nonce(insn: &circflow_insn) -> bool {
    // SAFETY: all fields of `detail` are integers, and `kind` says that it is `send`.
    let carries = |detail: &circflow_insn_detail| {
        let command = Command(unsafe { detail.send.command });
        command == Command::CONFLUX_LINK || command == Command::CONFLUX_LINKED
    };
    insn.kind == circflow_insn_kind::CIRCFLOW_INSN_SEND as u32 && carries(&insn.detail)
}

#[inline(always)]
fn insn(instruction: Instruction) -> circflow_insn {
    use circflow_insn_kind::*;
    let mut insn = NOTHING;
    insn.circuit = circuit_id(instruction.circuit);
    insn.set = set_id(instruction.set);
    insn.circuit_tag = instruction.circuit_tag;
    insn.set_tag = instruction.set_tag;
    insn.stream = circflow_stream_id { v: instruction.stream.0 };
    insn.stream_tag = instruction.stream_tag;
    insn.flags = if instruction.wants_tag { CIRCFLOW_WANTS_TAG } else { 0 };
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
        What::Negotiated { number, hop, word } => {
            insn.detail.negotiated = circflow_insn_negotiated { number, hop, answer: answer(word), reserved: 0 };
            CIRCFLOW_INSN_NEGOTIATED
        }
        What::Write { side, cell } => {
            insn.detail.write = write(side, &cell);
            CIRCFLOW_INSN_WRITE
        }
        What::Heed { side, pause } => {
            insn.detail.pause = circflow_insn_pause { side: u32::from(side_number(side)) };
            if pause {
                CIRCFLOW_INSN_PAUSE
            } else {
                CIRCFLOW_INSN_UNPAUSE
            }
        }
        What::Deliver(delivery) => {
            insn.detail.deliver = circflow_insn_deliver {
                number: delivery.number,
                token: delivery.token.map_or(0, |token| token.token),
                cost: delivery.token.map_or(0, |token| token.cost),
                stream_id: delivery.stream_id,
                body_len: delivery.body_len,
                command: delivery.command.0,
                form: if delivery.token.is_some() { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES },
            };
            CIRCFLOW_INSN_DELIVER
        }
        What::Discard(token) => {
            insn.detail.discard = circflow_insn_discard { token: token.token, cost: token.cost };
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
        What::Resume => CIRCFLOW_INSN_RESUME,
        What::Usable => CIRCFLOW_INSN_USABLE,
        What::WantLeg => CIRCFLOW_INSN_WANT_LEG,
    };
    insn.kind = kind as u32;
    insn
}

fn write(side: Side, cell: &Delivery) -> circflow_insn_write {
    circflow_insn_write {
        side: side_number(side),
        command: cell.command.0,
        body_len: cell.body_len,
        form: if cell.token.is_some() { CIRCFLOW_FORM_TOKEN } else { CIRCFLOW_FORM_BYTES },
        reserved: [0; 3],
        token: cell.token.map_or(0, |token| token.token),
        cost: cell.token.map_or(0, |token| token.cost),
        reserved2: 0,
    }
}

fn side_number(side: Side) -> u8 {
    match side {
        Side::Back => CIRCFLOW_SIDE_BACK,
        Side::Next => CIRCFLOW_SIDE_NEXT,
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

impl From<Error> for circflow_status {
    fn from(error: Error) -> circflow_status {
        match error {
            Error::Misuse(misuse) => misuse_status(misuse),
            Error::Blocked(blocked) => match blocked {
                Blocked::NoRoom => CIRCFLOW_ERR_BLOCKED,
                Blocked::NotUsable => CIRCFLOW_ERR_NOT_USABLE,
                Blocked::Undrained => CIRCFLOW_ERR_UNDRAINED,
                Blocked::Gone => CIRCFLOW_ERR_GONE,
                Blocked::Full => CIRCFLOW_ERR_FULL,
                Blocked::Refused => CIRCFLOW_ERR_REFUSED,
                Blocked::Stopped => CIRCFLOW_ERR_STREAM_STOPPED,
                Blocked::SwitchedOff => CIRCFLOW_ERR_SWITCHED_OFF,
            },
            Error::Fault(fault) => fault_status(fault),
            Error::Expired => CIRCFLOW_ERR_EXPIRED,
        }
    }
}

fn misuse_status(misuse: Misuse) -> circflow_status {
    match misuse {
        Misuse::Invalid => CIRCFLOW_ERR_INVALID,
        Misuse::ZeroId => CIRCFLOW_ERR_ZERO_ID,
        Misuse::ForeignId => CIRCFLOW_ERR_FOREIGN_ID,
        Misuse::StaleId => CIRCFLOW_ERR_STALE_ID,
        Misuse::TooSmall => CIRCFLOW_ERR_TOO_SMALL,
        Misuse::NotALeg => CIRCFLOW_ERR_NOT_A_LEG,
        Misuse::InSet => CIRCFLOW_ERR_IN_SET,
        Misuse::LegMismatch => CIRCFLOW_ERR_LEG_MISMATCH,
        Misuse::HasStreams => CIRCFLOW_ERR_HAS_STREAMS,
        Misuse::NoVegas => CIRCFLOW_ERR_NO_VEGAS,
        Misuse::NotMultiplexed => CIRCFLOW_ERR_NOT_MULTIPLEXED,
        Misuse::NotDecided => CIRCFLOW_ERR_NOT_DECIDED,
        Misuse::NoLegs => CIRCFLOW_ERR_NO_LEGS,
        Misuse::Numbers => CIRCFLOW_ERR_NUMBERS,
        Misuse::NotAlone => CIRCFLOW_ERR_NOT_ALONE,
        Misuse::TooManyLegs => CIRCFLOW_ERR_TOO_MANY_LEGS,
        Misuse::TooManyLaunches => CIRCFLOW_ERR_TOO_MANY_LAUNCHES,
        Misuse::NonceInUse => CIRCFLOW_ERR_NONCE_IN_USE,
        Misuse::Role => CIRCFLOW_ERR_ROLE,
        Misuse::BadMachines => CIRCFLOW_ERR_BAD_MACHINES,
        Misuse::UnknownPadding => CIRCFLOW_ERR_UNKNOWN_PADDING,
        Misuse::PadderExists => CIRCFLOW_ERR_PADDER_EXISTS,
        Misuse::NoPadder => CIRCFLOW_ERR_NO_PADDER,
        Misuse::NotAsked => CIRCFLOW_ERR_NOT_ASKED,
        Misuse::NotRun => CIRCFLOW_ERR_NOT_RUN,
        Misuse::IsRun => CIRCFLOW_ERR_IS_RUN,
        Misuse::StreamExists => CIRCFLOW_ERR_STREAM_EXISTS,
        Misuse::NotBuilt => CIRCFLOW_ERR_NOT_BUILT,
    }
}

fn fault_status(fault: Fault) -> circflow_status {
    match fault {
        Fault::BadLink => CIRCFLOW_ERR_BAD_LINK,
        Fault::UnexpectedLink => CIRCFLOW_ERR_UNEXPECTED_LINK,
        Fault::UnexpectedLinked => CIRCFLOW_ERR_UNEXPECTED_LINKED,
        Fault::UnexpectedLinkedAck => CIRCFLOW_ERR_UNEXPECTED_LINKED_ACK,
        Fault::BadNonce => CIRCFLOW_ERR_BAD_NONCE,
        Fault::BadLinkNumbers => CIRCFLOW_ERR_BAD_LINK_NUMBERS,
        Fault::UnfitLink => CIRCFLOW_ERR_UNFIT_LINK,
        Fault::ConfluxOff => CIRCFLOW_ERR_CONFLUX_OFF,
        Fault::WrongHop => CIRCFLOW_ERR_WRONG_HOP,
        Fault::BadSwitch => CIRCFLOW_ERR_BAD_SWITCH,
        Fault::UnexpectedSwitch => CIRCFLOW_ERR_UNEXPECTED_SWITCH,
        Fault::SwitchRepeated => CIRCFLOW_ERR_SWITCH_REPEATED,
        Fault::SwitchZero => CIRCFLOW_ERR_SWITCH_ZERO,
        Fault::SwitchTooFar => CIRCFLOW_ERR_SWITCH_TOO_FAR,
        Fault::NumberOverflow => CIRCFLOW_ERR_NUMBER_OVERFLOW,
        Fault::NumberStale => CIRCFLOW_ERR_NUMBER_STALE,
        Fault::NumberTwice => CIRCFLOW_ERR_NUMBER_TWICE,
        Fault::UnlinkedData => CIRCFLOW_ERR_UNLINKED_DATA,
        Fault::StreamSendme => CIRCFLOW_ERR_STREAM_SENDME,
        Fault::BadStreamId => CIRCFLOW_ERR_BAD_STREAM_ID,
        Fault::SetMemory => CIRCFLOW_ERR_SET_MEMORY,
        Fault::EngineMemory => CIRCFLOW_ERR_ENGINE_MEMORY,
        Fault::LinkLimit => CIRCFLOW_ERR_LINK_LIMIT,
        Fault::LinkedTimeout => CIRCFLOW_ERR_LINKED_TIMEOUT,
        Fault::LinkedAckTimeout => CIRCFLOW_ERR_LINKED_ACK_TIMEOUT,
        Fault::HomeTimeout => CIRCFLOW_ERR_HOME_TIMEOUT,
        Fault::PaddingUnexpected => CIRCFLOW_ERR_PADDING_UNEXPECTED,
        Fault::PaddingExcess => CIRCFLOW_ERR_PADDING_EXCESS,
        Fault::BadNegotiated => CIRCFLOW_ERR_BAD_NEGOTIATED,
        Fault::UnexpectedCommand => CIRCFLOW_ERR_UNEXPECTED_COMMAND,
        Fault::Unrecognised => CIRCFLOW_ERR_UNRECOGNISED,
        Fault::StreamTwice => CIRCFLOW_ERR_STREAM_TWICE,
        Fault::UnknownStream => CIRCFLOW_ERR_UNKNOWN_STREAM,
        Fault::BadFlow => CIRCFLOW_ERR_BAD_FLOW,
        Fault::FlowAbuse => CIRCFLOW_ERR_FLOW_ABUSE,
        Fault::BadSendme => CIRCFLOW_ERR_BAD_SENDME,
        Fault::EdgeOverrun => CIRCFLOW_ERR_EDGE_OVERRUN,
        Fault::ProcessMemory => CIRCFLOW_ERR_PROCESS_MEMORY,
        Fault::StreamMemory => CIRCFLOW_ERR_STREAM_MEMORY,
        Fault::HeldTooLong => CIRCFLOW_ERR_HELD_TOO_LONG,
    }
}
