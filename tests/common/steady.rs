//! A window of congestion control in steady state, for the tests of the clock and of the model.

use circflow::base::sync::Arc;
use circflow::congestion::{ChannelState, Inc, Params, PathClass, Vegas};

/// A channel that takes cells.
pub const FREE: ChannelState = ChannelState { blocked: false, queued: 0 };

pub fn exit() -> Params {
    Params::default_for(PathClass::Exit)
}

pub fn steady(params: Params, inc: u32, cwnd: u32) -> Vegas {
    let mut vegas = Vegas::new(Arc::new(params), Inc::new(inc).unwrap());
    (vegas.cwnd, vegas.slow_start, vegas.inflight) = (cwnd, false, cwnd);
    vegas
}
