//! What the fuzzers play: each target takes bytes, and panics or aborts when something does not hold.
//!
//! `make fuzz` runs them under libFuzzer; tests/corpus.rs replays the corpus without it.

mod machines;
mod peer;
mod wire;

pub use machines::machines;
pub use peer::peer;
pub use wire::wire;

extern "C" {
    fn circflow_fuzz_abi(bytes: *const u8, len: usize) -> i32;
}

/// The C ABI: a host in C that interprets the bytes as calls.
pub fn abi(bytes: &[u8]) {
    // SAFETY: it reads so many bytes and keeps nothing. Its other data is its own, and used by one thread at a time.
    unsafe { circflow_fuzz_abi(bytes.as_ptr(), bytes.len()) };
}

/// A crash on purpose, so that the fuzzer itself can be tested: a panic inside the library, behind its door, that only
/// three right bytes reach.
pub fn planted(bytes: &[u8]) {
    if bytes.first() == Some(&b'b') && bytes.get(1) == Some(&b'u') && bytes.get(2) == Some(&b'g') {
        let mut engine = std::ptr::null_mut();
        // SAFETY: all pointers are to what they are said to be, and the engine is used by this thread alone.
        unsafe {
            let mut config = std::mem::MaybeUninit::<circflow::ffi::circflow_engine_config>::zeroed();
            let size = size_of::<circflow::ffi::circflow_engine_config>();
            let _ = circflow::ffi::circflow_engine_config_init(config.as_mut_ptr(), size);
            let _ = circflow::ffi::circflow_engine_new(config.as_ptr(), &mut engine);
            let _ = circflow::ffi::circflow_test_panic(engine);
        }
    }
}
