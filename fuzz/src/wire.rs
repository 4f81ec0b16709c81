//! Each decoder of the wire: what it takes, it writes again as the same thing.

use circflow::wire::cell::{decode, encode, Format};
use circflow::wire::conflux::{Link, Switch};
use circflow::wire::flow::{Xoff, Xon};
use circflow::wire::padding::{Negotiate, Negotiated};
use circflow::wire::sendme::Sendme;
use circflow::wire::CELL_BODY_LEN;

/// The first byte names the decoder.
pub fn wire(bytes: &[u8]) {
    let Some((&which, body)) = bytes.split_first() else { return };
    match which % 9 {
        0 => cell(Format::V0, body),
        1 => cell(Format::V1, body),
        2 => again(body, Link::decode, |link| link.encode().to_vec()),
        3 => again(body, Switch::decode, |switch| switch.encode().to_vec()),
        4 => again(body, Sendme::decode, |sendme| {
            let mut out = [0; Sendme::LEN_MAX];
            sendme.encode(&mut out).to_vec()
        }),
        5 => again(body, Xon::decode, |xon| xon.encode().to_vec()),
        6 => again(body, Xoff::decode, |xoff| xoff.encode().to_vec()),
        7 => again(body, Negotiate::decode, |negotiate| negotiate.encode().to_vec()),
        _ => again(body, Negotiated::decode, |negotiated| negotiated.encode().to_vec()),
    }
}

/// What was read, written and read again is the same, and what is written is never longer than what was read; but for
/// versions, which an empty SENDME leaves out.
fn again<T, E>(body: &[u8], decode: impl Fn(&[u8]) -> Result<T, E>, encode: impl Fn(&T) -> Vec<u8>)
where
    T: PartialEq + std::fmt::Debug,
    E: std::fmt::Debug + PartialEq,
{
    let Ok(read) = decode(body) else { return };
    let written = encode(&read);
    assert!(written.len() <= body.len().max(1), "{read:?} grows");
    assert_eq!(decode(&written).as_ref(), Ok(&read));
}

fn cell(format: Format, body: &[u8]) {
    let mut cell = [0; CELL_BODY_LEN];
    let len = body.len().min(cell.len());
    cell[..len].copy_from_slice(&body[..len]);
    let Ok(relay) = decode(format, &cell) else { return };
    let mut written = [0; CELL_BODY_LEN];
    // An empty DATA is read as what it is, and never written.
    if encode(format, &relay, &mut written).is_ok() {
        let again = decode(format, &written).expect("what was written can be read");
        assert_eq!((again.command, again.stream_id, again.body), (relay.command, relay.stream_id, relay.body));
    }
}
