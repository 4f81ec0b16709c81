//! Events: every decision of the library and every fact worth knowing, each named once. Log lines, the flight recorder
//! and the counters are views of them.
//!
//! [`table`] lists the kinds, each with its class, level and fields. [`record`] lays an event out as bytes, which never
//! change for a given version; `docs/events.md` explains them and is checked against the table. [`ring`] keeps the
//! newest of them.
//!
//! Nothing that Tor forbids to keep is a field of any event: no nonce, no body, no digest, no address, no text of a
//! machine, and no tag of the host, which may be a pointer.

pub mod record;
pub mod ring;
pub mod table;

pub use record::{Header, Reader, Value, VERSION};
pub use ring::Ring;
pub use table::{Class, Event, Kind, Level, KINDS};
