//! The committed header is the one that the sources describe.

use std::path::{Path, PathBuf};

const REWRITE: &str = "CUTTER_WRITE_HEADER";

#[test]
fn the_committed_header_matches_the_sources() {
    let committed = root().join("include/cutter/container.h");
    let generated = generate();
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&committed, &generated).unwrap();
    }
    let found = std::fs::read_to_string(&committed).unwrap_or_default();
    let differs = found.lines().zip(generated.lines()).position(|(found, due)| found != due);
    assert!(
        found == generated,
        "{} is not what the sources describe, from line {}; rewrite it with \
         {REWRITE}=1 cargo test -p cutter-container-c --test sdk header",
        committed.display(),
        1 + differs.unwrap_or(found.lines().count().min(generated.lines().count())),
    );
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new().with_crate(root()).with_config(config).generate();
    let mut header = Vec::new();
    bindings.unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
