//! The programs under test, built by cargo in the profile of the tests.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::command;
use crate::limits::INSTALL_TIME;

/// The path of `cutter`, of an example, or of a container of this crate.
///
/// `cargo test` builds the programs of the tested package only, so the first call builds them all.
/// Cargo has let its lock go by the time that tests run.
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let path = FOLDER.get_or_init(build).join(name);
    assert!(path.exists(), "cargo built no {}", path.display());
    path
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A folder within the target folder that outlives the tests: downloads, environments.
pub fn cache() -> PathBuf {
    let folder = profile_folder().join("../tmp/cutter-tests");
    std::fs::create_dir_all(&folder).expect("the target folder is writable");
    folder.canonicalize().expect("made above")
}

/// One process at a time has it; it is free again when the file is dropped.
pub fn lock(name: &str) -> File {
    let path = cache().join(name);
    let file = File::create(&path).expect("the cache is writable");
    file.lock().expect("the file system has locks");
    file
}

fn build() -> PathBuf {
    let folder = profile_folder();
    let _lock = lock("build.lock");
    let mut cargo = Command::new(cargo());
    cargo.current_dir(workspace()).args(["build", "--profile", profile(&folder)]);
    cargo.arg("--target-dir").arg(folder.parent().expect("a profile has a target folder"));
    // With a test among what is built, and all packages, crates have the features that they have
    // under `cargo test --workspace`, which has then built nearly everything.
    cargo.args(["--workspace", "--bins", "--examples", "--test", "tidy"]);
    command::succeed_within(&mut cargo, INSTALL_TIME);
    folder
}

/// The cargo that runs the tests; else the one in `PATH`.
pub fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// `target/debug`: a test binary lies in the folder `deps` of its profile.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let folder = test.parent().and_then(Path::parent);
    folder.expect("cargo puts tests into target/PROFILE/deps").to_owned()
}

fn profile(folder: &Path) -> &str {
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    }
}
