//! The simulation as a library, so that the fuzzers can play its hostile peer: sim/README.md.

pub mod cell;
pub mod check;
pub mod grow;
pub mod hand;
pub mod hostile;
pub mod link;
pub mod misfit;
pub mod model;
pub mod name;
pub mod node;
pub mod order;
pub mod pad;
pub mod pays;
pub mod plan;
pub mod receive;
pub mod record;
pub mod rng;
pub mod send;
pub mod share;
pub mod stream;
pub mod tally;
pub mod tunnel;
pub mod world;
