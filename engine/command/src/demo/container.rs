//! The demo's containers: found or built.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::DemoError;
use super::models::PROGRAMS;

/// The package of the binaries, and the workspace in which they are built.
const PACKAGE: &str = "cutter-examples";
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// Where each of [`PROGRAMS`] is.
pub type Programs = BTreeMap<&'static str, PathBuf>;

/// The programs that belong to this one: under `cargo run` they are brought up to date first, else
/// they must lie beside it.
pub fn find() -> Result<Programs, DemoError> {
    let program = env::current_exe().map_err(DemoError::System)?;
    if let Some(cargo) = env::var_os("CARGO").filter(|_| Path::new(MANIFEST).is_file()) {
        return build(&cargo, &program);
    }
    let beside = PROGRAMS.map(|name| (name, program.with_file_name(name)));
    match beside.iter().find(|(_, path)| !path.is_file()) {
        Some((_, path)) => Err(DemoError::NoContainer { path: path.clone() }),
        None => Ok(beside.into()),
    }
}

/// One line of what cargo reports about a build.
#[derive(Deserialize)]
struct Message<'a> {
    reason: &'a str,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn build(cargo: &OsStr, program: &Path) -> Result<Programs, DemoError> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--message-format", "json-render-diagnostics"]);
    command.args(["--manifest-path", MANIFEST, "--package", PACKAGE]);
    command.args(PROGRAMS.iter().flat_map(|name| ["--bin", name]));
    command.args(["--profile", profile_of(program)]);
    let failed = |why: String| DemoError::Build { command: format!("{command:?}"), why };
    let output = Command::new(cargo).args(command.get_args()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let built = executables_in(&String::from_utf8_lossy(&output.stdout));
    match PROGRAMS.iter().find(|name| !built.contains_key(*name)) {
        Some(name) => Err(failed(format!("it told of no executable {name}"))),
        None => Ok(built),
    }
}

/// The profile with which this program was built: cargo names the folder after it, but for one.
fn profile_of(program: &Path) -> &str {
    let folder = program.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    match folder {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    }
}

fn executables_in(messages: &str) -> Programs {
    let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
    let built = messages.filter_map(|message: Message<'_>| {
        let is_built = message.reason == "compiler-artifact";
        let target = message.target.filter(|_| is_built)?.name;
        let name = PROGRAMS.into_iter().find(|name| *name == target)?;
        Some((name, message.executable?))
    });
    built.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_that_of_the_program() {
        let profiles = ["/t/release/cutter", "/t/debug/cutter", "/t/fast/cutter", "cutter"];
        let profiles = profiles.map(|program| profile_of(Path::new(program)));
        assert_eq!(profiles, ["release", "dev", "fast", "dev"]);
    }

    #[test]
    fn the_executables_are_found_among_the_messages_of_cargo() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"cc"},"executable":null}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","target":{"name":"softmax"},"#,
            r#""executable":"/t/softmax"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"mlp"},"executable":"/t/mlp"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let expected = [("mlp", "/t/mlp".into()), ("softmax", "/t/softmax".into())];
        assert_eq!(executables_in(messages), Programs::from(expected));
        assert!(executables_in(r#"{"reason":"build-finished","success":true}"#).is_empty());
    }
}
