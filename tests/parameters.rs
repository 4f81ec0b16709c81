//! What the documents say of parameters is what the tables have.

use circflow::congestion::Params;
use circflow::engine::Wide;

fn ranges() -> impl Iterator<Item = &'static (&'static str, u32, u32)> {
    Params::RANGES.iter().chain(Wide::RANGES)
}

#[test]
fn the_document_has_a_row_for_each_parameter() {
    let text = std::fs::read_to_string("docs/parameters.md").unwrap();
    for (name, min, max) in ranges() {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/parameters.md has no row for {name}"));
        assert!(row.contains(&format!("| {min} | {max} |")), "{row}");
    }
    let rows = text.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, ranges().count(), "a row that no table has");
}

#[test]
fn the_header_names_each_parameter_of_the_engine() {
    let text = std::fs::read_to_string("include/circflow.h").unwrap();
    for (name, ..) in Wide::RANGES {
        assert!(text.contains(name), "{name}");
    }
}

#[test]
fn no_name_stands_in_both_tables() {
    for (name, ..) in Wide::RANGES {
        assert!(Params::RANGES.iter().all(|row| row.0 != *name), "{name}");
    }
}
