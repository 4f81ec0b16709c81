//! The backpressure queue: a channel that can be full, and the small backlog before it.
