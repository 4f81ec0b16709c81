//! Cells and bodies: pure functions, for hosts that have no parser of their own. They know no engine.

use super::door;
use super::inward;
use super::message::{self, *};
use super::out::Out;
use super::set::*;
use super::status::circflow_status;
use super::status::circflow_status::*;
use crate::wire::cell::{self, Format, Relay};
use crate::wire::conflux::{Link, Nonce, Switch, Ux};
use crate::wire::sendme::{Digest, Sendme};
use crate::wire::{Command, Malformed, Xoff, Xon};
use libc::size_t;
use zeroize::Zeroizing;

/// Relay cell format of tor1 circuits (tor-spec 6.1): circflow_cell_encode() and _decode().
pub const CIRCFLOW_CELL_V0: u8 = 0;
/// Relay cell format of counter-galois circuits: circflow_cell_encode() and _decode().
pub const CIRCFLOW_CELL_V1: u8 = 1;

/// RELAY_BEGIN.
pub const CIRCFLOW_CMD_BEGIN: u8 = 1;
/// RELAY_DATA.
pub const CIRCFLOW_CMD_DATA: u8 = 2;
/// RELAY_END.
pub const CIRCFLOW_CMD_END: u8 = 3;
/// RELAY_CONNECTED.
pub const CIRCFLOW_CMD_CONNECTED: u8 = 4;
/// RELAY_SENDME.
pub const CIRCFLOW_CMD_SENDME: u8 = 5;
/// RELAY_DROP.
pub const CIRCFLOW_CMD_DROP: u8 = 10;
/// RELAY_RESOLVE.
pub const CIRCFLOW_CMD_RESOLVE: u8 = 11;
/// RELAY_RESOLVED.
pub const CIRCFLOW_CMD_RESOLVED: u8 = 12;
/// RELAY_BEGIN_DIR.
pub const CIRCFLOW_CMD_BEGIN_DIR: u8 = 13;
/// RELAY_CONFLUX_LINK.
pub const CIRCFLOW_CMD_LINK: u8 = 19;
/// RELAY_CONFLUX_LINKED.
pub const CIRCFLOW_CMD_LINKED: u8 = 20;
/// RELAY_CONFLUX_LINKED_ACK.
pub const CIRCFLOW_CMD_LINKED_ACK: u8 = 21;
/// RELAY_CONFLUX_SWITCH.
pub const CIRCFLOW_CMD_SWITCH: u8 = 22;
/// RELAY_PADDING_NEGOTIATE.
pub const CIRCFLOW_CMD_PADDING_NEGOTIATE: u8 = 41;
/// RELAY_PADDING_NEGOTIATED.
pub const CIRCFLOW_CMD_PADDING_NEGOTIATED: u8 = 42;
/// RELAY_XOFF.
pub const CIRCFLOW_CMD_XOFF: u8 = 43;
/// RELAY_XON.
pub const CIRCFLOW_CMD_XON: u8 = 44;

/// Gives 1 when a relay command is multiplexed: it has a sequence number in a set, goes on the leg that the set
/// chooses, and is delivered in order. BEGIN, DATA, END, CONNECTED, RESOLVE, RESOLVED, XOFF and XON are multiplexed.
/// BEGIN_DIR is not, although it has a stream id (prop329 2.8). Otherwise 0.
///
/// @param command  CIRCFLOW_CMD_*, or any other.
///
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
pub extern "C" fn circflow_command_is_multiplexed(command: u8) -> u8 {
    u8::from(Command(command).is_multiplexed())
}

/// Writes a relay message as the body of a cell: header, body, four zero bytes. The fields of the crypto layer are zero
/// (V0: "recognized" and "digest"; V1: the first 16 bytes). circflow does not change the rest of the cell, as it has no
/// randomness: fill the rest with random bytes, before or after the call (tor-spec 6.1).
///
/// @param format           CIRCFLOW_CELL_V0 or CIRCFLOW_CELL_V1.
/// @param message          The message. Its command, stream id and body are read.
/// @param cell             CIRCFLOW_CELL_BODY_LEN bytes. Written on CIRCFLOW_OK.
/// @param random_from_out  The offset in cell at which the random bytes begin; CIRCFLOW_CELL_BODY_LEN when there is no
///                         room for any. May be NULL.
///
/// Own statuses: CIRCFLOW_ERR_UNENCODABLE. CIRCFLOW_ERR_INVALID: an unknown format, or a message that
/// circflow_circuit_receive() refuses with this status.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_cell_encode(
    format: u8,
    message: *const circflow_message,
    cell: *mut u8,
    random_from_out: *mut size_t,
) -> circflow_status {
    door::alone(|| {
        // SAFETY (both): NULL or what the parameter says, by the contract of this floor.
        let (Some(message), Some(cell)) =
            (unsafe { message.as_ref() }, unsafe { cell.cast::<[u8; CIRCFLOW_CELL_BODY_LEN]>().as_mut() })
        else {
            return CIRCFLOW_ERR_NULL;
        };
        // SAFETY: what it points to is there, by the contract of this floor.
        let (Some(format), Ok(message)) = (known_format(format), unsafe { message::read(message) }) else {
            return CIRCFLOW_ERR_INVALID;
        };
        let relay = Relay { command: message.command, stream_id: message.stream_id, body: message.body };
        match cell::encode(format, &relay, cell) {
            Ok(offset) => {
                // SAFETY: NULL or room, by the contract of this floor.
                unsafe { Out::give(random_from_out, offset) };
                CIRCFLOW_OK
            }
            Err(_) => CIRCFLOW_ERR_UNENCODABLE,
        }
    })
}

/// Reads the relay message from the body of a recognised cell. It does not read the fields of the crypto layer. It
/// checks that the stream id fits the command.
///
/// @param format       CIRCFLOW_CELL_V0 or CIRCFLOW_CELL_V1.
/// @param cell         CIRCFLOW_CELL_BODY_LEN bytes.
/// @param message_out  Written on CIRCFLOW_OK. Its body points into `cell`; its hop is 0: set it.
///
/// Own statuses: CIRCFLOW_ERR_MALFORMED, CIRCFLOW_ERR_BAD_COMMAND (V1 only: the start of the body depends on the
/// command), CIRCFLOW_ERR_BAD_STREAM_ID: close the circuit. CIRCFLOW_ERR_INVALID: an unknown format.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_cell_decode(
    format: u8,
    cell: *const u8,
    message_out: *mut circflow_message,
) -> circflow_status {
    door::alone(|| {
        // SAFETY: NULL or a cell, by the contract of this floor.
        let (Some(cell), false) =
            (unsafe { cell.cast::<[u8; CIRCFLOW_CELL_BODY_LEN]>().as_ref() }, message_out.is_null())
        else {
            return CIRCFLOW_ERR_NULL;
        };
        let Some(format) = known_format(format) else {
            return CIRCFLOW_ERR_INVALID;
        };
        match cell::decode(format, cell) {
            Ok(relay) => {
                // SAFETY: not NULL, and there is room by the contract of this floor.
                unsafe {
                    message_out.write(circflow_message {
                        command: relay.command.0,
                        hop: 0,
                        stream_id: relay.stream_id,
                        body_len: relay.body.len() as u16,
                        form: CIRCFLOW_FORM_BYTES,
                        cell_digest_len: 0,
                        cost_bytes: 0,
                        reserved2: 0,
                        body: relay.body.as_ptr(),
                        token: 0,
                        cell_digest: std::ptr::null(),
                    })
                };
                CIRCFLOW_OK
            }
            Err(malformed) => malformed_status(malformed),
        }
    })
}

/// Bytes of a SWITCH body.
pub const CIRCFLOW_SWITCH_LEN: usize = 4;

/// Writes the body of SWITCH: the switch_delta of a verdict, most significant byte first. Send it with
/// CIRCFLOW_CMD_SWITCH and no stream id, on the leg of the verdict, right before the message.
///
/// @param switch_delta  The number of the verdict.
/// @param body          CIRCFLOW_SWITCH_LEN bytes of room.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_switch_encode(switch_delta: u32, body: *mut u8) -> circflow_status {
    door::alone(|| {
        // SAFETY: NULL or room for a SWITCH, by the contract of this floor.
        let Some(body) = (unsafe { body.cast::<[u8; CIRCFLOW_SWITCH_LEN]>().as_mut() }) else {
            return CIRCFLOW_ERR_NULL;
        };
        *body = Switch { delta: switch_delta }.encode();
        CIRCFLOW_OK
    })
}

/// Reads the body of SWITCH: how far the leg's sequence number jumps. Bytes after CIRCFLOW_SWITCH_LEN are ignored. You
/// do not need it for circflow_circuit_receive(), which reads the body itself.
///
/// @param body       The body of the message.
/// @param delta_out  The jump. It can be 0: of honest peers only C Tor sends this, once at most.
///
/// Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_switch_decode(
    body: *const u8,
    body_len: size_t,
    delta_out: *mut u32,
) -> circflow_status {
    door::alone(|| {
        // SAFETY: so much is there, by the contract of this floor.
        let (Some(body), false) = (unsafe { inward::slice(body, body_len) }, delta_out.is_null()) else {
            return CIRCFLOW_ERR_NULL;
        };
        match Switch::decode(body) {
            Ok(switch) => {
                // SAFETY: not NULL, and there is room by the contract of this floor.
                unsafe { delta_out.write(switch.delta) };
                CIRCFLOW_OK
            }
            Err(_) => CIRCFLOW_ERR_MALFORMED,
        }
    })
}

/// Bytes of a LINK or LINKED body.
pub const CIRCFLOW_LINK_LEN: usize = 50;
const _: () = assert!(CIRCFLOW_LINK_LEN == Link::LEN);

/// The body of LINK and of LINKED (prop329 2.2). LINKED_ACK has no body. The nonce is a secret, as anybody who knows it
/// can join the set: wipe this struct and the encoded bytes after use.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct circflow_link {
    /// The nonce of the set to which the circuit belongs.
    pub nonce: [u8; CIRCFLOW_NONCE_LEN],
    /// Number of the last message that the sender of this body has sent in the set; 0 in a new one.
    pub last_sent: u64,
    /// Number of the last message that it has received.
    pub last_received: u64,
    /// How the other end should choose its sending leg, CIRCFLOW_UX_*.
    pub desired_ux: u8,
    /// Zero after decoding. Ignored when encoding.
    pub reserved: [u8; 7],
}

/// Writes the body of LINK or LINKED, version 1. Send it with CIRCFLOW_CMD_LINK or CIRCFLOW_CMD_LINKED and no stream
/// id. It is for hosts that do the handshake themselves. (circflow_set_add_legs() and circflow_engine_accept_sets()
/// write it with 0 for both numbers.)
///
/// @param link  Copied.
/// @param body  CIRCFLOW_LINK_LEN bytes of room. Written on CIRCFLOW_OK. It contains the nonce: wipe it after sending.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: an unknown desired_ux.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_link_encode(link: *const circflow_link, body: *mut u8) -> circflow_status {
    door::alone(|| {
        // SAFETY (both): NULL or what the parameter says, by the contract of this floor.
        let (Some(link), Some(body)) =
            (unsafe { link.as_ref() }, unsafe { body.cast::<[u8; CIRCFLOW_LINK_LEN]>().as_mut() })
        else {
            return CIRCFLOW_ERR_NULL;
        };
        if link.desired_ux > CIRCFLOW_UX_LOW_MEM_THROUGHPUT {
            return CIRCFLOW_ERR_INVALID;
        }
        let &circflow_link { last_sent, last_received, .. } = link;
        let link = Link { nonce: Nonce::new(link.nonce), last_sent, last_received, ux: Ux::from_wire(link.desired_ux) };
        body.copy_from_slice(&*Zeroizing::new(link.encode()));
        CIRCFLOW_OK
    })
}

/// Reads the body of LINK or LINKED. Bytes after CIRCFLOW_LINK_LEN are ignored. An unknown desired_ux becomes
/// CIRCFLOW_UX_NO_OPINION.
///
/// @param body      The body of the message.
/// @param link_out  Written on CIRCFLOW_OK. It contains the nonce: wipe it after use. Compare nonces in constant time.
///
/// Own statuses: CIRCFLOW_ERR_MALFORMED: it is too short, or has another version; close the circuit.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_link_decode(
    body: *const u8,
    body_len: size_t,
    link_out: *mut circflow_link,
) -> circflow_status {
    door::alone(|| {
        // SAFETY: so much is there, by the contract of this floor.
        let (Some(body), false) = (unsafe { inward::slice(body, body_len) }, link_out.is_null()) else {
            return CIRCFLOW_ERR_NULL;
        };
        let Ok(read) = Link::decode(body) else {
            return CIRCFLOW_ERR_MALFORMED;
        };
        let (last_sent, last_received, desired_ux) = (read.last_sent, read.last_received, read.ux.to_wire());
        // SAFETY: not NULL, and there is room by the contract of this floor.
        unsafe {
            link_out.write(circflow_link {
                nonce: [0; CIRCFLOW_NONCE_LEN],
                last_sent,
                last_received,
                desired_ux,
                reserved: [0; 7],
            })
        };
        // SAFETY: just written. The secret goes straight to its place, and leaves no copy behind on the stack.
        let nonce = unsafe { &mut (*link_out).nonce };
        nonce.iter_mut().zip(read.nonce.as_bytes()).for_each(|(byte, secret)| *byte = *secret);
        CIRCFLOW_OK
    })
}

/// Bytes of the longest body that circflow_sendme_encode() writes.
pub const CIRCFLOW_SENDME_MAX: usize = 23;
const _: () = assert!(CIRCFLOW_SENDME_MAX == Sendme::LEN_MAX);

/// Writes the body of a circuit-level SENDME, version 1 (prop289): the digest of the DATA cell that it acknowledges.
///
/// @param digest      20 bytes (tor1) or 16 (counter-galois).
/// @param digest_len  Which of the two.
/// @param body        CIRCFLOW_SENDME_MAX bytes of room.
/// @param len_out     Bytes written.
///
/// Own statuses: CIRCFLOW_ERR_INVALID: another digest_len.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_sendme_encode(
    digest: *const u8,
    digest_len: size_t,
    body: *mut u8,
    len_out: *mut size_t,
) -> circflow_status {
    door::alone(|| {
        // SAFETY: NULL or room for a SENDME, by the contract of this floor.
        let (Some(digest), Some(body), false) = (
            unsafe { inward::slice(digest, digest_len) },
            unsafe { body.cast::<[u8; Sendme::LEN_MAX]>().as_mut() },
            len_out.is_null(),
        ) else {
            return CIRCFLOW_ERR_NULL;
        };
        match Digest::new(digest) {
            Ok(digest) => {
                // SAFETY: not NULL, and there is room by the contract of this floor.
                unsafe { len_out.write(Sendme::V1 { digest }.encode(body).len()) };
                CIRCFLOW_OK
            }
            Err(_) => CIRCFLOW_ERR_INVALID,
        }
    })
}

/// Reads the body of a SENDME: the digest of the cell that it acknowledges.
///
/// @param body            The body of the message.
/// @param digest          20 bytes of room for the digest.
/// @param digest_len_out  Bytes of the digest: 20 or 16; 0 for a SENDME of version 0, which has no digest. Close the
///                        circuit then if it has congestion control.
///
/// Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_sendme_decode(
    body: *const u8,
    body_len: size_t,
    digest: *mut u8,
    digest_len_out: *mut size_t,
) -> circflow_status {
    door::alone(|| {
        // SAFETY: so much is there, by the contract of this floor.
        let (Some(body), false, false) =
            (unsafe { inward::slice(body, body_len) }, digest.is_null(), digest_len_out.is_null())
        else {
            return CIRCFLOW_ERR_NULL;
        };
        match Sendme::decode(body) {
            Ok(Sendme::V0) => {
                // SAFETY: not NULL, and there is room by the contract of this floor.
                unsafe { digest_len_out.write(0) };
                CIRCFLOW_OK
            }
            Ok(Sendme::V1 { digest: read }) => {
                let bytes = read.as_bytes();
                // SAFETY: a digest has at most 20 bytes, and so many are there by the contract of this function.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), digest, bytes.len()) };
                unsafe { digest_len_out.write(bytes.len()) };
                CIRCFLOW_OK
            }
            Err(_) => CIRCFLOW_ERR_MALFORMED,
        }
    })
}

/// Bytes of an XON body.
pub const CIRCFLOW_XON_LEN: usize = 5;

/// Writes the body of XON: the rate to send at, in units of 1000 bytes a second, 0 for unlimited (prop324 4.1.2). The
/// body of XOFF is one zero byte.
///
/// @param rate  The rate, or 0.
/// @param body  CIRCFLOW_XON_LEN bytes of room. Written on CIRCFLOW_OK.
///
/// Own statuses: none.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_xon_encode(rate: u32, body: *mut u8) -> circflow_status {
    door::alone(|| {
        // SAFETY: NULL or room for an XON, by the contract of this floor.
        let Some(body) = (unsafe { body.cast::<[u8; CIRCFLOW_XON_LEN]>().as_mut() }) else {
            return CIRCFLOW_ERR_NULL;
        };
        *body = Xon { kbps: rate }.encode();
        CIRCFLOW_OK
    })
}

/// Reads the body of XON.
///
/// @param body  The body of the message.
///
/// Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_xon_decode(body: *const u8, body_len: size_t, rate_out: *mut u32) -> circflow_status {
    door::alone(|| {
        // SAFETY: so much is there, by the contract of this floor.
        let (Some(body), false) = (unsafe { inward::slice(body, body_len) }, rate_out.is_null()) else {
            return CIRCFLOW_ERR_NULL;
        };
        match Xon::decode(body) {
            Ok(xon) => {
                // SAFETY: not NULL, and there is room by the contract of this floor.
                unsafe { rate_out.write(xon.kbps) };
                CIRCFLOW_OK
            }
            Err(_) => CIRCFLOW_ERR_MALFORMED,
        }
    })
}

/// Checks the body of XOFF.
///
/// @param body  The body of the message.
///
/// Own statuses: CIRCFLOW_ERR_MALFORMED: close the circuit.
/// Inside drain: yes. Since: 0.1.
#[no_mangle]
#[must_use]
pub unsafe extern "C" fn circflow_xoff_decode(body: *const u8, body_len: size_t) -> circflow_status {
    // SAFETY: so much is there, by the contract of this floor.
    door::alone(|| match unsafe { inward::slice(body, body_len) }.map(Xoff::decode) {
        None => CIRCFLOW_ERR_NULL,
        Some(Ok(_)) => CIRCFLOW_OK,
        Some(Err(_)) => CIRCFLOW_ERR_MALFORMED,
    })
}

fn known_format(format: u8) -> Option<Format> {
    match format {
        CIRCFLOW_CELL_V0 => Some(Format::V0),
        CIRCFLOW_CELL_V1 => Some(Format::V1),
        _ => None,
    }
}

fn malformed_status(malformed: Malformed) -> circflow_status {
    match malformed {
        Malformed::Command => CIRCFLOW_ERR_BAD_COMMAND,
        Malformed::StreamId => CIRCFLOW_ERR_BAD_STREAM_ID,
        Malformed::Short | Malformed::Version | Malformed::Value | Malformed::Length | Malformed::Empty => {
            CIRCFLOW_ERR_MALFORMED
        }
    }
}
