//! The header in include/ is the one that the source gives.

#[test]
fn the_committed_header_is_the_generated_one() {
    let committed = include_str!("../include/circflow.h");
    let generated = include_str!(env!("CIRCFLOW_GENERATED_HEADER"));
    let differ = committed.lines().zip(generated.lines()).position(|(ours, theirs)| ours != theirs);
    let line = differ.unwrap_or_else(|| committed.lines().count().min(generated.lines().count())) + 1;
    assert!(
        committed == generated,
        "include/circflow.h:{line}: not what src/ffi gives; run `make header`\n  in include/:  {}\n  from source: {}",
        committed.lines().nth(line - 1).unwrap_or("(end of file)"),
        generated.lines().nth(line - 1).unwrap_or("(end of file)"),
    );
}
