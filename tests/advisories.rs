//! docs/advisories.md: each row has a link or says that it is our own, and every test that it names exists.

use std::fs;
use std::path::{Path, PathBuf};

/// As many public ones at least.
const PUBLIC_MIN: usize = 45;

#[test]
fn every_row_has_its_source_and_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/advisories.md")).unwrap();
    let inside = inside();
    let (mut public, mut own, mut found) = (Vec::new(), 0, String::new());
    for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| row.starts_with("| ")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [what, _, _, tests] = cells[..] else { panic!("line {line} has {} cells", cells.len()) };
        match what {
            "what" => continue,
            "own" => own += 1,
            _ if what.contains("](https://") => public.push(what),
            _ => found += &format!("docs/advisories.md:{line}: no link\n"),
        }
        let tests: Vec<&str> = tests.split('`').filter(|name| name.contains('/')).collect();
        if tests.is_empty() {
            found += &format!("docs/advisories.md:{line}: no test\n");
        }
        for test in tests.into_iter().filter(|test| !exists(test, &inside)) {
            found += &format!("docs/advisories.md:{line}: there is no test {test}\n");
        }
    }
    assert!(found.is_empty(), "\n{found}");
    let rows = public.len();
    public.sort_unstable();
    public.dedup();
    assert_eq!(public.len(), rows, "a public one stands once");
    assert!(rows >= PUBLIC_MIN && own > 0, "{rows} public ones, {own} of our own");
}

/// `program/test`: a C test or one of tests/; `lib/test`: one inside src.
fn exists(name: &str, inside: &str) -> bool {
    let (program, test) = name.split_once('/').unwrap();
    let function = format!("fn {test}(");
    if program == "lib" {
        return inside.contains(&function);
    }
    let read = |path: String| fs::read_to_string(root().join(path)).unwrap_or_default();
    read(format!("tests/{program}.rs")).contains(&function)
        || read(format!("c-tests/{program}.c")).contains(&format!("void {test}(void **"))
}

fn inside() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                collect(&entry.path(), text);
            } else {
                *text += &fs::read_to_string(entry.path()).unwrap_or_default();
            }
        }
    }
    let mut text = String::new();
    collect(&root().join("src"), &mut text);
    text
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
