//! The padding machines that the C tests and the demo load, as text: `tests/machines/*.txt` for the tests and
//! `examples/machines/*.txt` for people. They are made here, with maybenot's own types, and what is committed must be
//! what this makes. `make machines` writes them anew.

mod common;

use common::machines;
use std::fs;
use std::path::Path;

#[test]
fn the_committed_texts_are_the_generated_ones() {
    let write = std::env::var_os("CIRCFLOW_WRITE_MACHINES").is_some();
    let mut wrong = Vec::new();
    for (path, text) in machines::texts() {
        let full = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        if write {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, &text).unwrap();
        } else if fs::read_to_string(&full).ok().as_deref() != Some(&text) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "not what tests/common/machines.rs gives; run `make machines`: {wrong:?}");
}

#[test]
fn all_of_them_load() {
    for (path, text) in machines::texts() {
        let loaded = circflow::padding::Machines::load(text.as_bytes());
        assert!(loaded.is_ok(), "{path}: {loaded:?}");
    }
}
