#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| circflow_fuzz::wire(bytes));
