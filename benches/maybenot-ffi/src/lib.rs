//! maybenot's C interface, as it is.

pub use maybenot_ffi::*;
