//! Our wire floor against tor-cell: random messages in both directions, and random cells that one of the two may refuse.
//!
//! Where the two differ on purpose, [`difference`] says so; everything else must agree, value by value.

use circflow::wire::{cell, *};
use proptest::prelude::*;
use rand::{rngs::StdRng, SeedableRng};
use tor_cell::relaycell::conflux::{V1DesiredUx, V1LinkPayload, V1Nonce};
use tor_cell::relaycell::flow_ctrl::{self, FlowCtrlVersion, XonKBpsEwma};
use tor_cell::relaycell::msg::{self, AnyRelayMsg};
use tor_cell::relaycell::{AnyRelayMsgOuter, RelayCellFormat, RelayMsg, StreamId, UnparsedRelayMsg};
use tor_cell::restrict::tor_bytes::{Reader, Writeable};

/// The messages both sides can express, and the two that only we can.
#[derive(Clone, Debug, PartialEq)]
enum Msg {
    Link(Link),
    Linked(Link),
    LinkedAck,
    Switch(Switch),
    Sendme(Sendme),
    Xoff,
    Xon(Xon),
    Drop,
    Data(Vec<u8>),
    Negotiate(Negotiate),
    Negotiated(Negotiated),
    Unknown(Command, Vec<u8>),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What we write, tor-cell reads as the same values, and so do we.
    #[test]
    fn ours_to_theirs((format, stream_id, msg) in addressed()) {
        let cell = our_cell(format, stream_id, &msg);
        prop_assert_eq!(read_ours(format, &cell), Ok((stream_id, msg.clone())));
        if format == Format::V1 && is_padding(msg.command()) {
            prop_assert_eq!(read_theirs(format, &cell), None, "tor-cell has learned 41 and 42: drop the exception");
        } else {
            prop_assert_eq!(read_theirs(format, &cell), Some((stream_id, msg)));
        }
    }

    /// What tor-cell writes is what we write, and we read it as the same values.
    #[test]
    fn theirs_to_ours((format, stream_id, msg) in addressed()) {
        let mut body = Vec::new();
        msg.to_theirs().encode_onto(&mut body).unwrap();
        prop_assert_eq!(&body, &msg.body());
        prop_assert_eq!(Msg::read(msg.command(), &body), Ok(msg.clone()));

        match their_cell(format, stream_id, &msg) {
            None => prop_assert!(format == Format::V1 && is_padding(msg.command()), "tor-cell cannot write {:?}", msg),
            Some((cell, padding)) => {
                prop_assert_eq!(read_ours(format, &cell), Ok((stream_id, msg.clone())));
                let relay = cell::decode(format, &cell).unwrap();
                let mut again = cell;
                again[..padding].fill(0x55);
                prop_assert_eq!(cell::encode(format, &relay, &mut again), Ok(padding));
                prop_assert_eq!(again, cell);
            }
        }
    }

    /// Whatever the bytes: both read the same, or both refuse.
    #[test]
    fn any_cell((format, cell) in any_cell_bytes()) {
        let ours = read_ours(format, &cell);
        let theirs = read_theirs(format, &cell);
        match difference(format, &cell) {
            None => prop_assert_eq!(ours.ok(), theirs),
            Some(Difference::StreamIdUncheckedInV0) => prop_assert_eq!(ours, Err(Malformed::StreamId)),
            Some(Difference::PaddingIsRaw) => {
                prop_assert!(theirs.is_some());
                prop_assert!(ours.is_err() || ours.ok() == theirs);
            }
            Some(Difference::PaddingNotInV1) => prop_assert_eq!(theirs, None),
            Some(Difference::UdpKnownInV1) => prop_assert_eq!(ours, Err(Malformed::Command)),
        }
    }

    /// For the commands whose bodies are not ours to read, the frames agree.
    #[test]
    fn any_frame(format in any_format(), number in 1u8..=44, stream_id: u16, length in 0u16..520, filler: u8) {
        let command = Command(number);
        let cell = raw_cell(format, command, stream_id, length, &[filler; BODY_MAX]);
        let unparsed = UnparsedRelayMsg::from_singleton_body(theirs(format), Box::new(cell)).unwrap();
        match cell::decode(format, &cell) {
            Ok(relay) => {
                prop_assert_eq!(relay.command.0, u8::from(unparsed.cmd()));
                prop_assert_eq!(relay.stream_id, StreamId::get_or_zero(unparsed.stream_id()));
                prop_assert_eq!(relay.body, &[filler; BODY_MAX][..usize::from(length)]);
            }
            Err(why) if difference(format, &cell).is_none() => {
                prop_assert!(unparsed.decode::<AnyRelayMsg>().is_err(), "{:?}", why);
            }
            Err(_) => {}
        }
    }
}

/// tor-cell announces the length of a v0 DATA before it checks it, and checks it against the cell instead of the room in
/// it. Its full decoding then refuses, as we do at once.
#[test]
fn only_the_length_check_of_theirs_is_late() {
    for length in 499..=509 {
        let cell = raw_cell(Format::V0, Command::DATA, 3, length, &[7; BODY_MAX]);
        let unparsed = UnparsedRelayMsg::from_singleton_body(RelayCellFormat::V0, Box::new(cell)).unwrap();
        assert_eq!(unparsed.data_len().ok(), Some(length));
        assert!(unparsed.decode::<AnyRelayMsg>().is_err());
        assert_eq!(cell::decode(Format::V0, &cell), Err(Malformed::Length));
    }
}

/// The traits table agrees with tor-cell's for every command that it knows and we do.
#[test]
fn stream_rules_agree() {
    for number in (0..=255).filter(|&number| !is_udp(Command(number)) && !is_padding(Command(number))) {
        let theirs = tor_cell::relaycell::RelayCmd::from(number);
        let rule = match (theirs.accepts_streamid_val(None), theirs.accepts_streamid_val(StreamId::new(1))) {
            (true, true) => StreamRule::Either,
            (true, false) => StreamRule::Forbidden,
            (false, _) => StreamRule::Needed,
        };
        assert_eq!(Command(number).stream_rule(), rule, "{theirs}");
        if Command(number).is_known() {
            assert_eq!(Command(number).name(), theirs.to_string());
        }
    }
}

/// Why the two may answer differently.
enum Difference {
    /// tor-cell leaves it to the caller to hold the stream id of a v0 cell against the command.
    StreamIdUncheckedInV0,
    /// tor-cell does not know 41 and 42, so in v0 their bodies are bytes to it, and never wrong.
    PaddingIsRaw,
    /// In v1 it refuses them.
    PaddingNotInV1,
    /// tor-cell knows where the bodies of 16, 17 and 18 begin; to us, as to C Tor, they are unknown.
    UdpKnownInV1,
}

fn difference(format: Format, cell: &[u8; CELL_BODY_LEN]) -> Option<Difference> {
    match format {
        Format::V0 => {
            let command = Command(cell[0]);
            let is_circuit = [cell[3], cell[4]] == [0, 0];
            let length = u16::from_be_bytes([cell[9], cell[10]]);
            match command.stream_rule() {
                _ if usize::from(length) > BODY_MAX => None,
                StreamRule::Needed if is_circuit => Some(Difference::StreamIdUncheckedInV0),
                StreamRule::Forbidden if !is_circuit => Some(Difference::StreamIdUncheckedInV0),
                _ if is_padding(command) => Some(Difference::PaddingIsRaw),
                _ => None,
            }
        }
        Format::V1 if is_padding(Command(cell[16])) => Some(Difference::PaddingNotInV1),
        Format::V1 if is_udp(Command(cell[16])) => Some(Difference::UdpKnownInV1),
        Format::V1 => None,
    }
}

fn is_padding(command: Command) -> bool {
    [Command::PADDING_NEGOTIATE, Command::PADDING_NEGOTIATED].contains(&command)
}

fn is_udp(command: Command) -> bool {
    (16..=18).contains(&command.0)
}

/// Whether [`Msg`] has a place for it.
fn is_ours(command: Command) -> bool {
    const OURS: [u8; 11] = [2, 5, 10, 19, 20, 21, 22, 41, 42, 43, 44];
    !command.is_known() || OURS.contains(&command.0)
}

impl Msg {
    fn command(&self) -> Command {
        match self {
            Self::Link(_) => Command::CONFLUX_LINK,
            Self::Linked(_) => Command::CONFLUX_LINKED,
            Self::LinkedAck => Command::CONFLUX_LINKED_ACK,
            Self::Switch(_) => Command::CONFLUX_SWITCH,
            Self::Sendme(_) => Command::SENDME,
            Self::Xoff => Command::XOFF,
            Self::Xon(_) => Command::XON,
            Self::Drop => Command::DROP,
            Self::Data(_) => Command::DATA,
            Self::Negotiate(_) => Command::PADDING_NEGOTIATE,
            Self::Negotiated(_) => Command::PADDING_NEGOTIATED,
            Self::Unknown(command, _) => *command,
        }
    }

    /// Written by us.
    fn body(&self) -> Vec<u8> {
        match self {
            Self::Link(link) | Self::Linked(link) => link.encode().to_vec(),
            Self::LinkedAck | Self::Drop => Vec::new(),
            Self::Switch(switch) => switch.encode().to_vec(),
            Self::Sendme(sendme) => sendme.encode(&mut [0; Sendme::LEN_MAX]).to_vec(),
            Self::Xoff => Xoff.encode().to_vec(),
            Self::Xon(xon) => xon.encode().to_vec(),
            Self::Data(body) | Self::Unknown(_, body) => body.clone(),
            Self::Negotiate(negotiate) => negotiate.encode().to_vec(),
            Self::Negotiated(negotiated) => negotiated.encode().to_vec(),
        }
    }

    /// Read by us.
    fn read(command: Command, body: &[u8]) -> Result<Self, Malformed> {
        match command {
            Command::CONFLUX_LINK => Link::decode(body).map(Self::Link),
            Command::CONFLUX_LINKED => Link::decode(body).map(Self::Linked),
            Command::CONFLUX_LINKED_ACK => Ok(Self::LinkedAck),
            Command::CONFLUX_SWITCH => Switch::decode(body).map(Self::Switch),
            Command::SENDME => Sendme::decode(body).map(Self::Sendme),
            Command::XOFF => Xoff::decode(body).map(|Xoff| Self::Xoff),
            Command::XON => Xon::decode(body).map(Self::Xon),
            Command::DROP => Ok(Self::Drop),
            Command::DATA => Ok(Self::Data(body.to_vec())),
            Command::PADDING_NEGOTIATE => Negotiate::decode(body).map(Self::Negotiate),
            Command::PADDING_NEGOTIATED => Negotiated::decode(body).map(Self::Negotiated),
            command => Ok(Self::Unknown(command, body.to_vec())),
        }
    }

    fn to_theirs(&self) -> AnyRelayMsg {
        match self {
            Self::Link(link) => msg::ConfluxLink::new(payload(link)).into(),
            Self::Linked(link) => msg::ConfluxLinked::new(payload(link)).into(),
            Self::LinkedAck => msg::ConfluxLinkedAck::default().into(),
            Self::Switch(switch) => msg::ConfluxSwitch::new(switch.delta).into(),
            Self::Sendme(Sendme::V0) => msg::Sendme::new_empty().into(),
            Self::Sendme(Sendme::V1 { digest }) => {
                msg::Sendme::from(msg::SendmeTag::try_from(digest.as_bytes()).unwrap()).into()
            }
            Self::Xoff => flow_ctrl::Xoff::new(FlowCtrlVersion::V0).into(),
            Self::Xon(Xon { kbps }) => {
                let rate = (*kbps).try_into().map_or(XonKBpsEwma::Unlimited, XonKBpsEwma::Limited);
                flow_ctrl::Xon::new(FlowCtrlVersion::V0, rate).into()
            }
            Self::Drop => msg::Drop::default().into(),
            Self::Data(body) => msg::Data::new(body).unwrap().into(),
            Self::Negotiate(_) | Self::Negotiated(_) | Self::Unknown(..) => {
                msg::Unrecognized::new(self.command().0.into(), self.body()).into()
            }
        }
    }

    /// What tor-cell has read; `None` for types that are not ours.
    fn from_theirs(msg: AnyRelayMsg) -> Option<Self> {
        Some(match msg {
            AnyRelayMsg::ConfluxLink(link) => Self::Link(link_of(link.payload())),
            AnyRelayMsg::ConfluxLinked(link) => Self::Linked(link_of(link.payload())),
            AnyRelayMsg::ConfluxLinkedAck(_) => Self::LinkedAck,
            AnyRelayMsg::ConfluxSwitch(switch) => Self::Switch(Switch { delta: switch.seqno() }),
            AnyRelayMsg::Sendme(sendme) => Self::Sendme(match sendme.into_sendme_tag() {
                None => Sendme::V0,
                Some(tag) => Sendme::V1 { digest: Digest::new(tag.as_ref()).unwrap() },
            }),
            AnyRelayMsg::Xoff(_) => Self::Xoff,
            AnyRelayMsg::Xon(xon) => Self::Xon(match xon.kbytes_per_sec_ewma() {
                XonKBpsEwma::Unlimited => Xon { kbps: 0 },
                XonKBpsEwma::Limited(rate) => Xon { kbps: rate.get() },
            }),
            AnyRelayMsg::Drop(_) => Self::Drop,
            AnyRelayMsg::Data(data) => Self::Data(data.into()),
            AnyRelayMsg::Unrecognized(unrecognized) => {
                let command = Command(unrecognized.cmd().into());
                let mut body = Vec::new();
                AnyRelayMsg::from(unrecognized).encode_onto(&mut body).unwrap();
                // tor-cell has no reading of 41 and 42 to compare with, so its bytes are read by us.
                Self::read(command, &body).unwrap_or(Self::Unknown(command, body))
            }
            _ => return None,
        })
    }
}

fn payload(link: &Link) -> V1LinkPayload {
    let nonce: V1Nonce = Reader::from_slice(link.nonce.as_bytes()).extract().unwrap();
    let mut payload = V1LinkPayload::new(nonce, V1DesiredUx::from(link.ux.to_wire()));
    payload.set_last_seqno_sent(link.last_sent);
    payload.set_last_seqno_recv(link.last_received);
    payload
}

/// An unknown wish is kept by tor-cell and is no wish to us: the one place where values, not answers, differ.
fn link_of(payload: &V1LinkPayload) -> Link {
    let mut nonce = Vec::new();
    payload.nonce().write_onto(&mut nonce).unwrap();
    Link {
        nonce: Nonce::new(nonce.try_into().unwrap()),
        last_sent: *payload.last_seqno_sent(),
        last_received: *payload.last_seqno_recv(),
        ux: Ux::from_wire((*payload.desired_ux()).into()),
    }
}

fn theirs(format: Format) -> RelayCellFormat {
    match format {
        Format::V0 => RelayCellFormat::V0,
        Format::V1 => RelayCellFormat::V1,
    }
}

fn read_ours(format: Format, cell: &[u8; CELL_BODY_LEN]) -> Result<(u16, Msg), Malformed> {
    let relay = cell::decode(format, cell)?;
    Ok((relay.stream_id, Msg::read(relay.command, relay.body)?))
}

fn read_theirs(format: Format, cell: &[u8; CELL_BODY_LEN]) -> Option<(u16, Msg)> {
    let outer = AnyRelayMsgOuter::decode_singleton(theirs(format), Box::new(*cell)).ok()?;
    let (stream_id, msg) = outer.into_streamid_and_msg();
    Some((StreamId::get_or_zero(stream_id), Msg::from_theirs(msg)?))
}

/// A message in our frame, with padding that is neither zero nor part of any message.
fn our_cell(format: Format, stream_id: u16, msg: &Msg) -> [u8; CELL_BODY_LEN] {
    let mut out = [0xaa; CELL_BODY_LEN];
    let relay = Relay { command: msg.command(), stream_id, body: &msg.body() };
    cell::encode(format, &relay, &mut out).unwrap();
    out
}

/// A message in tor-cell's frame, and where its random padding begins. `None` if tor-cell cannot write it.
fn their_cell(format: Format, stream_id: u16, msg: &Msg) -> Option<([u8; CELL_BODY_LEN], usize)> {
    let outer = AnyRelayMsgOuter::new(StreamId::new(stream_id), msg.to_theirs());
    let cell = outer.encode(theirs(format), &mut StdRng::seed_from_u64(u64::from(stream_id))).ok()?;
    let body_end = format.header_len(msg.command()) + msg.body().len();
    Some((*cell, (body_end + 4).min(CELL_BODY_LEN)))
}

/// A cell in which the length is what the test says, not what the body has.
fn raw_cell(format: Format, command: Command, stream_id: u16, length: u16, body: &[u8]) -> [u8; CELL_BODY_LEN] {
    let (stream_id, length) = (stream_id.to_be_bytes(), length.to_be_bytes());
    let head = match format {
        Format::V0 => [&[command.0, 0, 0], &stream_id[..], &[0; 4], &length].concat(),
        Format::V1 if command.has_v1_stream_field() || is_udp(command) => {
            [&[0; 16], &[command.0][..], &length, &stream_id].concat()
        }
        Format::V1 => [&[0; 16], &[command.0][..], &length].concat(),
    };
    let bytes: Vec<u8> = head.into_iter().chain(body.iter().copied()).collect();
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
}

fn any_format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::V0), Just(Format::V1)]
}

/// A message with a stream id that suits it and fits in a cell of the format.
fn addressed() -> impl Strategy<Value = (Format, u16, Msg)> {
    (any_format(), 1u16.., any::<bool>(), any_msg()).prop_filter_map("not in v1", |(format, id, use_id, msg)| {
        let command = msg.command();
        let stream_id = match command.stream_rule() {
            StreamRule::Needed => id,
            StreamRule::Either if use_id && format == Format::V0 => id,
            _ => 0,
        };
        let fits = format == Format::V0 || command.is_known() && msg.body().len() <= format.body_max(command);
        fits.then_some((format, stream_id, msg))
    })
}

fn any_msg() -> impl Strategy<Value = Msg> {
    let ux = (0u8..=4).prop_map(Ux::from_wire);
    let link = (any::<[u8; 32]>(), any::<u64>(), any::<u64>(), ux).prop_map(|(nonce, last_sent, last_received, ux)| {
        Link { nonce: Nonce::new(nonce), last_sent, last_received, ux }
    });
    let command = || prop_oneof![Just(PaddingCommand::Stop), Just(PaddingCommand::Start)];
    let response = prop_oneof![Just(Response::Ok), Just(Response::Err)];
    let unknown = any::<u8>().prop_map(Command).prop_filter("known", |command| !command.is_known());
    prop_oneof![
        link.clone().prop_map(Msg::Link),
        link.prop_map(Msg::Linked),
        Just(Msg::LinkedAck),
        any::<u32>().prop_map(|delta| Msg::Switch(Switch { delta })),
        Just(Msg::Sendme(Sendme::V0)),
        any::<[u8; 16]>().prop_map(|tag| Msg::Sendme(Sendme::V1 { digest: Digest::Cgo(tag) })),
        any::<[u8; 20]>().prop_map(|tag| Msg::Sendme(Sendme::V1 { digest: Digest::Tor1(tag) })),
        Just(Msg::Xoff),
        prop_oneof![Just(0), any::<u32>()].prop_map(|kbps| Msg::Xon(Xon { kbps })),
        Just(Msg::Drop),
        prop::collection::vec(any::<u8>(), 1..=BODY_MAX).prop_map(Msg::Data),
        prop::collection::vec(any::<u8>(), BODY_MAX_ALL - 2..=BODY_MAX).prop_map(Msg::Data),
        (command(), any::<u8>(), any::<u32>()).prop_map(|(command, machine_type, machine_ctr)| {
            Msg::Negotiate(Negotiate { command, machine_type, machine_ctr })
        }),
        (command(), response, any::<u8>(), any::<u32>()).prop_map(|(command, response, machine_type, machine_ctr)| {
            Msg::Negotiated(Negotiated { command, response, machine_type, machine_ctr })
        }),
        (unknown, prop::collection::vec(any::<u8>(), 0..=BODY_MAX))
            .prop_map(|(command, body)| Msg::Unknown(command, body)),
    ]
}

/// Cells near the edge between good and bad: good ones with a few bytes changed, and ones put together at random from
/// parts that are often good. Commands whose bodies are not ours to read are left to `any_frame`.
fn any_cell_bytes() -> impl Strategy<Value = (Format, [u8; CELL_BODY_LEN])> {
    let at = prop_oneof![4 => 0usize..32, 1 => 0usize..CELL_BODY_LEN];
    let byte = prop_oneof![0u8..=3, 14u8..=22, any::<u8>()];
    let changed =
        (addressed(), prop::collection::vec((at, byte), 0..4)).prop_map(|((format, stream_id, msg), changes)| {
            let mut cell = our_cell(format, stream_id, &msg);
            for (at, byte) in changes {
                cell[at] = byte;
            }
            (format, cell)
        });

    let command = prop_oneof![
        3 => prop::sample::select(vec![2u8, 5, 10, 19, 20, 21, 22, 41, 42, 43, 44]),
        1 => any::<u8>(),
    ];
    let stream_id = prop_oneof![Just(0), any::<u16>()];
    let length = prop_oneof![4 => 0u16..=60, 2 => 480u16..=515, 1 => any::<u16>()];
    let first = prop_oneof![0u8..=2, any::<u8>()];
    let body = (first, 0u8..=3, 0u8..=24, prop::collection::vec(any::<u8>(), BODY_MAX - 3))
        .prop_map(|(a, b, c, rest)| [vec![a, b, c], rest].concat());
    let assembled = (any_format(), command, stream_id, length, body).prop_map(|(format, command, id, length, body)| {
        (format, raw_cell(format, Command(command), id, length, &body))
    });

    prop_oneof![changed, assembled].prop_filter("a body that is not ours", |(format, cell)| {
        is_ours(Command(match format {
            Format::V0 => cell[0],
            Format::V1 => cell[16],
        }))
    })
}
