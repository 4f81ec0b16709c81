//! Builds the C host of the target `abi`, against the header that users get.

use std::fmt::Write;
use std::path::Path;

fn main() {
    for file in ["abi/host.h", "abi/host.c", "abi/calls.c", "../include/circflow.h", "../tests/machines"] {
        println!("cargo:rerun-if-changed={file}");
    }
    let machines = Path::new(&std::env::var("OUT_DIR").expect("cargo says where")).join("machines.c");
    std::fs::write(&machines, texts("../tests/machines")).expect("the folder is cargo's");
    cc::Build::new()
        .files(["abi/host.c", "abi/calls.c"])
        .file(machines)
        .include("../include")
        .std("c99")
        .flag("-Wall")
        .flag("-Wextra")
        .warnings_into_errors(true)
        .compile("circflow_fuzz_host");
}

/// The machines of a folder as an array of C strings.
fn texts(folder: &str) -> String {
    let files = std::fs::read_dir(folder).expect("the repository has machines");
    let mut paths: Vec<_> = files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some()).collect();
    paths.sort();
    let mut code = String::from("#include <stddef.h>\nconst char *const circflow_fuzz_machines[] = {\n");
    for path in &paths {
        let text = std::fs::read_to_string(path).expect("machines are text");
        let _ = writeln!(code, "\"{}\",", text.trim_end().replace('\n', "\\n"));
    }
    let _ = writeln!(code, "}};\nconst size_t circflow_fuzz_machine_count = {};", paths.len());
    code
}
