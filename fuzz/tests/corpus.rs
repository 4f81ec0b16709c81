//! The corpus, replayed without a fuzzer: what was once found stays mended, on every toolchain.

use base64::prelude::{Engine, BASE64_STANDARD};
use std::fs;
use std::path::Path;

/// Plays all inputs of a target; an input that fails is the last that was printed.
fn replay(target: &str, play: fn(&[u8])) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target).with_extension("txt");
    let corpus = fs::read_to_string(&path).unwrap();
    assert!(corpus.lines().count() > 5, "a corpus is in {}", path.display());
    for (number, line) in (1..).zip(corpus.lines()) {
        println!("fuzz/corpus/{target}.txt:{number}, or make fuzz-replay TARGET={target} BASE64={line}");
        play(&BASE64_STANDARD.decode(line).unwrap());
    }
}

/// One thread: the host in C keeps what it knows in one place.
#[test]
fn the_c_abi() {
    replay("abi", circflow_fuzz::abi);
}

#[test]
fn machine_texts() {
    replay("machines", circflow_fuzz::machines);
}

#[test]
fn decoders() {
    replay("wire", circflow_fuzz::wire);
}

#[test]
fn the_hostile_peer() {
    replay("peer", circflow_fuzz::peer);
}
