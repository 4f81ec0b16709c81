//! Counts how often each thing happened.

use std::collections::BTreeMap;

macro_rules! counts {
    ($($name:ident $text:literal)*) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum N { $($name),* }
        const TEXTS: &[&str] = &[$($text),*];
    };
}

counts! {
    Events "events"
    CellArrived "cells arrived"
    Feeds "feeds"
    Deliver "verdict DELIVER"
    Held "verdict HELD, received"
    Consumed "verdict CONSUMED"
    Forward "verdict FORWARD"
    EdgeHeld "verdict HELD, at an edge"
    Send "verdict SEND"
    SendUndrained "verdict SEND in a set, with instructions waiting"
    SendHeldBack "verdict HELD, sending"
    Gone "answer CLOSING"
    NoRoom "answer NO_ROOM"
    Stopped "answer STREAM_STOPPED"
    NotUsable "answer NOT_USABLE"
    Undrained "answer UNDRAINED"
    Expired "answer EXPIRED"
    Full "answer TOO_MANY"
    InsnSend "instruction SEND, control"
    InsnSendHeld "instruction SEND, a message that was held"
    InsnSpoken "instruction SEND, circflow's own (XOFF, XON, END)"
    InsnWrite "instruction WRITE"
    InsnPauseFeed "instruction PAUSE_FEED"
    InsnUnpauseFeed "instruction UNPAUSE_FEED"
    InsnPad "instruction PADDING"
    InsnDeliver "instruction DELIVER"
    InsnDiscard "instruction DISCARD"
    InsnClose "instruction CLOSE"
    InsnMaySendSet "instruction MAY_SEND, a set"
    InsnMaySendCirc "instruction MAY_SEND, a circuit"
    InsnMaySendStream "instruction MAY_SEND, a stream"
    InsnLinked "instruction LINKED"
    InsnUsable "instruction USABLE"
    InsnWantLeg "instruction WANT_LEG"
    InsnEnded "instruction ENDED"
    Switches "SWITCHes sent"
    Sendmes "SENDMEs sent"
    Digests "digests wanted and given"
    Xoffs "XOFFs sent"
    Xons "XONs sent"
    SpokenInSet "XOFFs and XONs sent in sets"
    SpiteKills "legs killed just after a SWITCH to another"
    RateWaits "streams that waited for their rate"
    Begins "streams opened"
    SameIds "streams with the id of one at another hop"
    Refused "streams refused by the host"
    RefusedFull "streams refused at streams_max"
    Resolves "RESOLVEs"
    Leaky "streams at other hops"
    EndsSent "ENDs sent"
    EndsBoth "streams that both ends ended"
    DataSent "DATA messages sent"
    DataDelivered "DATA messages delivered"
    BytesDelivered "bytes delivered"
    Extended "times a circuit got longer"
    ExtendedBusy "of these, with streams open at hops that were there"
    ExtendedAlone "legs that went on alone, extended"
    SetsOpened "sets opened"
    ServiceSets "of these, sets to onion services"
    ServiceCircs "circuits to onion services"
    ToService "streams opened to onion services"
    Misfits "circuits refused as legs, as they lead elsewhere"
    Misled "of these, brought to the other end all the same"
    MisledByRelay "services whose relay took itself for the client"
    LegsLate "legs added to a live set"
    LegsLaunched "legs launched before their circuit was open"
    LegsBuilt "of these, built"
    LegsFailed "of these, failed"
    LegsLost "legs lost"
    LossKept "legs lost, and the set went on"
    LossEnded "legs lost, and the set ended"
    TakenOut "last legs taken out"
    SetsClosed "sets closed by the host"
    CircsKilled "circuits killed"
    CircsAsked "circuits closed by circflow_circuit_close"
    CellsLost "cells lost with their circuit"
    Victims "sets closed at the cap of their engine"
    VictimsAmongMany "of these, while another held something"
    Pinned "sets that their client pinned"
    TooLong "ends of sets that held a message for too long"
    Tails "sets whose last messages went with a leg: fewer than sendme_inc DATA"
    LinkFull "links that were full"
    PortionSeeds "seeds with shared channels that take cells in portions"
    Portions "portions of room"
    ChannelMoves "sides of circuits moved to another channel"
    ChannelsClosed "channels closed"
    PauseIgnored "cells fed in spite of PAUSE_FEED, within the allowance"
    PauseDefied "circuits whose host defied PAUSE_FEED"
    Overruns "edges overrun"
    LateTicks "ticks that were late"
    ShortDrains "drains cut short"
    TokensKept "tokens kept by an engine"
    HandSeeds "seeds with sets that a host runs itself"
    HandHeld "messages held for these"
    HandSent "messages sent by these"
    HandNamed "of these, on a leg that their host had named"
    NameSeeds "seeds with hosts that name legs"
    LegsNamed "legs named"
    NamesRefused "names refused"
    SentNamed "messages on a leg that was named"
    TokensTaken "of these, tokens that their hosts took many at once"
    Padders "padders installed"
    Negotiated "padders negotiated"
    Blackholes "legs whose links swallow everything"
    SmallMemory "seeds with little engine memory"
    SmallSet "seeds with little set memory"
    SmallStreams "seeds with few streams"
    SmallQueue "seeds with a short instruction queue"
    SmallStreamBytes "seeds with small stream buffers"
    HostileSeeds "hostile seeds"
    HubSeeds "seeds with a hub"
    ServiceSeeds "seeds with onion services"
    Wakes "loops woken through the hub"
    LegsAway "legs on another engine than their set"
    Mutations "hostile: cells mutated"
    Injections "hostile: cells injected"
    Drops "hostile: cells dropped"
    Doubles "hostile: cells duplicated"
    Caught "hostile: certain violations, closed"
    CutShort "worlds cut short: engines dropped with all that was under way"
    Backwards "feeds with an earlier time"
}

#[derive(Clone)]
pub struct Tally {
    counts: Vec<u64>,
    causes: BTreeMap<String, u64>,
    most: BTreeMap<&'static str, u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Tally { counts: vec![0; TEXTS.len()], causes: BTreeMap::new(), most: BTreeMap::new() }
    }
}

impl Tally {
    pub fn add(&mut self, what: N, count: u64) {
        self.counts[what as usize] += count;
    }

    pub fn cause(&mut self, what: String) {
        *self.causes.entry(what).or_default() += 1;
    }

    pub fn most(&mut self, what: &'static str, value: u64) {
        let most = self.most.entry(what).or_default();
        *most = value.max(*most);
    }

    pub fn of(&self, what: N) -> u64 {
        self.counts[what as usize]
    }

    pub fn take(&mut self, other: &Tally) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        other.causes.iter().for_each(|(what, count)| *self.causes.entry(what.clone()).or_default() += count);
        other.most.iter().for_each(|(what, &value)| self.most(what, value));
    }

    /// Prints all counts, one in each line.
    pub fn print(&self) {
        self.counts.iter().zip(TEXTS).for_each(|(count, what)| println!("{count:>12}  {what}"));
        self.causes.iter().for_each(|(what, count)| println!("{count:>12}  {what}"));
        self.most.iter().for_each(|(what, value)| println!("{value:>12}  most: {what}"));
    }

    /// The causes that begin with this text, in one line.
    pub fn causes(&self, prefix: &str) -> String {
        let of = self.causes.iter().filter_map(|(what, count)| Some(format!("{} {count}", what.strip_prefix(prefix)?)));
        of.collect::<Vec<_>>().join(", ")
    }
}
