//! The C functions of circflow, and nothing else: what `include/circflow.h` declares.

pub use circflow::ffi::*;
