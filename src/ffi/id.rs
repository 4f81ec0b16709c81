//! Ids: names of circuits, sets, streams and lists of machines.

use crate::base::Id;

/// Names a circuit of an engine. Zero names nothing. A leg of a set has the id of its circuit.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_circuit_id {
    /// Opaque. You may compare it, store it and print it.
    pub v: u64,
}

/// Names a conflux set of an engine. Zero names nothing.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_set_id {
    /// Opaque. You may compare it, store it and print it.
    pub v: u64,
}

/// Names a stream of an engine, on a circuit or set that circflow runs. Zero names nothing.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_stream_id {
    /// Opaque. You may compare it, store it and print it.
    pub v: u64,
}

/// Names a list of padding machines of an engine. Zero names an empty list.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_machines_id {
    /// Opaque. You may compare it, store it and print it.
    pub v: u64,
}

/// Names a channel inside an engine: a link to another relay. Zero names none: the side of a circuit is then on no
/// channel that it shares.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct circflow_channel_id {
    /// Opaque. Compare it, store it, print it.
    pub v: u64,
}

/// Between an id of C and that of the floors below.
macro_rules! is_an_id {
    ($($name:ident),*) => {$(
        impl $name {
            #[inline(always)]
            pub(super) fn new(id: Id) -> Self {
                Self { v: id.0 }
            }

            #[inline(always)]
            pub(super) fn id(self) -> Id {
                Id(self.v)
            }
        }
    )*};
}

is_an_id!(circflow_circuit_id, circflow_set_id, circflow_stream_id, circflow_machines_id, circflow_channel_id);
