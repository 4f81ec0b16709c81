//! Makes circflow.h from src/ffi, into the build folder. `make header` puts it into include/, and a test compares the two.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=src/ffi");
    println!("cargo:rerun-if-changed=cbindgen.toml");
    println!("cargo:rerun-if-changed=build.rs");

    let var = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let root = PathBuf::from(var("CARGO_MANIFEST_DIR"));
    let header = PathBuf::from(var("OUT_DIR")).join("circflow.h");

    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml is readable");
    config.header = Some(PREAMBLE.to_owned());
    let part = |name: &str| var(&format!("CARGO_PKG_VERSION_{name}"));
    config.after_includes = Some(format!(
        "\n/* One number for comparisons: major << 16 | minor << 8 | patch. circflow_version() is that of the library. */\n\
         #define CIRCFLOW_VERSION_MAJOR {major}\n#define CIRCFLOW_VERSION_MINOR {minor}\n#define CIRCFLOW_VERSION_PATCH {patch}\n\
         #define CIRCFLOW_VERSION ((CIRCFLOW_VERSION_MAJOR << 16) | (CIRCFLOW_VERSION_MINOR << 8) | CIRCFLOW_VERSION_PATCH)\n\n\
         #if defined(__GNUC__)\n#define CIRCFLOW_MUST_USE __attribute__((warn_unused_result))\n#else\n#define CIRCFLOW_MUST_USE\n#endif\n",
        major = part("MAJOR"),
        minor = part("MINOR"),
        patch = part("PATCH"),
    ));
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/ffi/status.rs"))
        .with_src(root.join("src/ffi/names.rs"))
        .with_src(root.join("src/ffi/id.rs"))
        .with_src(root.join("src/ffi/message.rs"))
        .with_src(root.join("src/ffi/insn.rs"))
        .with_src(root.join("src/ffi/engine/mod.rs"))
        .with_src(root.join("src/ffi/circuit/mod.rs"))
        .with_src(root.join("src/ffi/set/mod.rs"))
        .with_src(root.join("src/ffi/stream.rs"))
        .with_src(root.join("src/ffi/padding/mod.rs"))
        .with_src(root.join("src/ffi/hub.rs"))
        .with_src(root.join("src/ffi/queue.rs"))
        .with_src(root.join("src/ffi/wire.rs"))
        .with_src(root.join("src/ffi/log.rs"))
        .generate()
        .expect("src/ffi can be read")
        .write_to_file(&header);
    println!("cargo:rustc-env=CIRCFLOW_GENERATED_HEADER={}", header.display());
}

const PREAMBLE: &str = include_str!("src/ffi/preamble.h");
