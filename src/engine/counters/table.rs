//! The table of totals: each has a row here, of which the struct, the text and the page are made.

/// Hands the table to the macro that is named. A family is `kind name "unit" "help" { rows }`, a row
/// `(label) field: type "what it is"`.
macro_rules! totals {
    ($with:ident) => {
        $with! {
            gauge circuits "" "Circuits open now." {
                () circuits: u64 "Circuits open now."
            }
            gauge sets "" "Sets alive now." {
                () sets: u64 "Sets alive now."
            }
            gauge streams "" "Streams open now, on circuits and sets that circflow runs." {
                () streams: u64 "Streams open now, on circuits and sets that circflow runs."
            }
            counter sets_opened "" "Sets opened." {
                (by "host") sets_opened_by_host: u64 "Sets that you opened."
                (by "peer") sets_opened_by_peer: u64 "Sets that a peer opened with LINK."
            }
            counter sets_usable "" "Sets that became usable." {
                () sets_usable: u64 "Sets that became usable."
            }
            counter sets_dissolved "" "Sets that became a circuit without a set." {
                () sets_dissolved: u64 "Sets that became a circuit without a set (circflow_set_dissolve())."
            }
            counter sets_ended "" "Sets that ended, by cause." {
                (cause) sets_ended: ByStatus "Sets that ended, by the status that their ENDED has."
            }
            counter legs_linked "" "Legs that were linked." {
                () legs_linked: u64 "Legs that were linked, or adopted."
            }
            counter legs_lost "" "Legs that sets lost, by cause." {
                (cause) legs_lost: ByStatus
                    "Legs that sets lost, by cause. Legs that are closed as their set ends are not in it, but the "
                    "leg is whose loss ended the set."
            }
            counter messages_sent "" "Messages sent in sets." {
                () messages_sent: u64 "Multiplexed messages sent in sets."
            }
            counter messages_in_order "" "Messages in sets that came in order." {
                () messages_in_order: u64 "Multiplexed messages that came in order."
            }
            counter messages_held "" "Messages in sets that were held for order." {
                () messages_held: u64
                    "Multiplexed messages that were held for order. Those that came on a leg of another engine "
                    "are all in it: they are held until you drain."
            }
            counter messages_released "" "Messages in sets that were held for order, and had their turn." {
                () messages_released: u64 "Those of them that have had their turn."
            }
            counter messages_discarded "" "Messages held that went to nobody, as their set or circuit had ended." {
                () messages_discarded: u64
                    "Messages held, for order, for sending or at an edge, that went to nobody, as their set or "
                    "circuit had ended. They count when you drain."
            }
            histogram reorder_depth "" "The most messages held at once, in each run of holding." {
                (classes) reorder_depth: Depths
                    "Runs of holding, each from the first message that a set holds until it holds none, by the "
                    "most messages held at once. Class n counts those of up to 2^n messages (and in no class "
                    "before), the last class all others."
                (sum) reorder_depth_sum: u64 "The sum of these numbers of messages."
            }
            histogram reorder_age "seconds" "How long each run of holding lasted." {
                (classes) reorder_age: Ages
                    "The same runs by how long they lasted: class n counts those of up to 2^n microseconds, the "
                    "last class all others."
                (sum) reorder_age_sum_ns: u64 "The sum of these times, in nanoseconds."
            }
            counter switches "" "SWITCHes." {
                (direction "sent") switches_sent: u64 "SWITCHes sent."
                (direction "received") switches_received: u64 "SWITCHes received."
            }
            counter refusals "" "Messages refused, as no leg had room." {
                () refusals: u64 "Messages in sets that were refused with NO_ROOM."
            }
            counter blocked "seconds" "How long sets waited from a refusal to MAY_SEND." {
                () blocked_ns: u64
                    "How long sets waited, from the first refusal until MAY_SEND was queued, in nanoseconds. "
                    "Waits that still last are in it."
            }
            counter xoffs "" "XOFFs of streams." {
                (direction "sent") xoffs_sent: u64 "XOFFs that circflow sent."
                (direction "received") xoffs_received: u64 "XOFFs that circflow took."
            }
            counter xons "" "XONs of streams." {
                (direction "sent") xons_sent: u64 "XONs that circflow sent."
                (direction "received") xons_received: u64 "XONs that circflow took."
            }
            counter sendmes "" "SENDMEs." {
                (direction "sent") sendmes_sent: u64 "SENDMEs that circflow sent."
                (direction "received") sendmes_received: u64 "SENDMEs that circflow took."
            }
            counter cells_sent "" "Cells sent." {
                (kind "padding") padding_sent: u64 "Padding cells sent."
                (kind "other") others_sent: u64 "Other cells sent, as in circflow_engine_stats."
            }
            counter padding_received "" "Padding cells received." {
                () padding_received: u64 "Padding cells received, expected or not."
            }
            counter padding_refused "" "Padding cells that a budget refused." {
                () padding_refused: u64 "Padding cells that a budget refused."
            }
            counter padding_replaced "" "Padding cells in whose place another cell went." {
                () padding_replaced: u64 "Padding cells in whose place another cell went."
            }
            counter padding_blocks "" "Times that padding began to block a circuit." {
                () padding_blocks: u64 "Times that padding began to block a circuit."
            }
            gauge held "bytes" "Cost of the messages held now, by what they wait for." {
                (class "order") order_bytes: u64 "Cost in bytes of the messages held now for order."
                (class "sending") sending_bytes: u64 "The same for messages held for sending."
                (class "edges") edge_bytes: u64 "The same for cells that wait at edges."
                (class "crossing") crossing_bytes: u64 "The same for messages on the way to other engines."
                (class "leaving") leaving_bytes: u64 "The same for messages that wait to be handed back."
                (class "streams") stream_bytes: u64 "Bytes for the memory of ended streams."
            }
            counter reclaims "" "Sets and circuits closed to have their memory back, by the cap that was reached." {
                (cap "set") reclaims_set: u64 "Sets that were closed at their own cap (CIRCFLOW_ERR_SET_MEMORY)."
                (cap "engine") reclaims_engine: u64
                    "Sets and circuits closed at the engine's cap (CIRCFLOW_ERR_ENGINE_MEMORY)."
                (cap "hub") reclaims_hub: u64
                    "Sets and circuits of this engine closed at the hub's cap (CIRCFLOW_ERR_HUB_MEMORY)."
                (cap "age") reclaims_age: u64 "Sets that held a message for too long (CIRCFLOW_ERR_HELD_TOO_LONG)."
            }
            counter faults "" "Faults of peers, and caps and times that were over, by status." {
                (status) faults: ByStatus
                    "How often a peer broke the protocol, or a cap or time bound was reached, by status. Their "
                    "sum is peer_faults of circflow_engine_stats."
            }
            counter unexplained "" "Messages dropped that made no sense on their stream." {
                () unexplained: u64
                    "Messages dropped that made no sense on their stream, as in circflow_engine_stats."
            }
            counter clock_steps "" "Steps of the host's clock that were wrong." {
                (direction "back") clock_steps_back: u64 "Calls that named an earlier time than the call before."
                (direction "ahead") clock_steps_ahead: u64 "Calls that named a time more than an hour later."
            }
            counter log_lines_left_out "" "Log lines left out because there were too many." {
                () log_lines_left_out: u64 "Log lines left out because there were too many."
            }
            counter events_overwritten "" "Recorded events that were overwritten before they were read." {
                () events_overwritten: u64 "Recorded events that were overwritten before you read them."
            }
        }
    };
}
pub(crate) use totals;

/// A count for each status: see [`super::place_of`].
pub type ByStatus = [u64; super::STATUSES];
/// Runs of holding by depth.
pub type Depths = [u64; super::DEPTHS];
/// Runs of holding by age.
pub type Ages = [u64; super::AGES];

/// What a family counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FamilyKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many were how large.
    Histogram,
}

/// What tells the rows of a family apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowLabel {
    /// Nothing: there is one.
    Alone,
    /// This label has this value.
    Is(&'static str, &'static str),
    /// This label has a status.
    Status(&'static str),
    /// The classes of a histogram.
    Classes,
    /// The sum of a histogram.
    Sum,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// What tells it apart.
    pub label: RowLabel,
    /// The field of the struct.
    pub field: &'static str,
    /// What it is, for those who read the struct.
    #[allow(dead_code, reason = "tests compare the page and the header with it")]
    pub doc: &'static str,
}

/// A family of totals.
#[derive(Debug)]
pub struct Family {
    /// What it counts.
    pub kind: FamilyKind,
    /// Its name in the text, without the prefix and without what the kind adds.
    pub name: &'static str,
    /// The unit, empty for a number of things.
    pub unit: &'static str,
    /// What it is, for those who read the text.
    pub help: &'static str,
    /// Its rows.
    pub rows: &'static [Row],
}

macro_rules! define {
    ($($kind:ident $name:ident $unit:literal $help:literal {
        $(($($label:tt)*) $field:ident: $of:ident $($doc:literal)+)+
    })+) => {
        /// Totals of an engine since it was made, and gauges of the moment. The macro makes it of the table.
        #[derive(Clone, Debug)]
        pub struct Totals {
            $($(#[doc = concat!($($doc),+)] pub $field: $of,)+)+
        }

        impl Totals {
            /// Nothing has happened.
            pub const ZERO: Totals = Totals { $($($field: zero!($of),)+)+ };

            /// Calls `see` with the numbers of each row, in the order of the table.
            pub fn each(&self, mut see: impl FnMut(&Family, &Row, &[u64])) {
                let rows = [$($(slice!($of, self.$field)),+),+];
                let table = FAMILIES.iter().flat_map(|family| family.rows.iter().map(move |row| (family, row)));
                table.zip(rows).for_each(|((family, row), numbers)| see(family, row, numbers));
            }
        }

        /// The table.
        pub static FAMILIES: &[Family] = &[$(Family {
            kind: kind!($kind),
            name: stringify!($name),
            unit: $unit,
            help: $help,
            rows: &[$(Row { label: label!($($label)*), field: stringify!($field), doc: concat!($($doc),+) }),+],
        }),+];
    };
}

macro_rules! zero {
    (u64) => {
        0
    };
    ($of:ident) => {
        [0; size_of::<$of>() / 8]
    };
}

macro_rules! slice {
    (u64, $place:expr) => {
        std::slice::from_ref(&$place)
    };
    ($of:ident, $place:expr) => {
        &$place[..]
    };
}

macro_rules! kind {
    (counter) => {
        FamilyKind::Counter
    };
    (gauge) => {
        FamilyKind::Gauge
    };
    (histogram) => {
        FamilyKind::Histogram
    };
}

macro_rules! label {
    () => {
        RowLabel::Alone
    };
    (classes) => {
        RowLabel::Classes
    };
    (sum) => {
        RowLabel::Sum
    };
    ($name:ident) => {
        RowLabel::Status(stringify!($name))
    };
    ($name:ident $value:literal) => {
        RowLabel::Is(stringify!($name), $value)
    };
}

totals!(define);
