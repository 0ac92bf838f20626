//! The demo's container: found or built, and the configuration that starts it.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cutter_server::config::Config;
use cutter_tools::digits::WEIGHTS_FILE;
use rustix::fs::MemfdFlags;
use serde::Deserialize;

use super::DemoError;
use super::limits::SLO_US;
use super::report::Cores;

/// The name of the binary, its package, and the workspace in which both are built.
const BINARY: &str = "softmax";
const PACKAGE: &str = "cutter-examples";
const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// The application that the demo asks.
pub const APPLICATION: &str = "digits";

/// The `softmax` that belongs to this program: under `cargo run` it is brought up to date first,
/// else it must lie beside this program.
pub fn find() -> Result<PathBuf, DemoError> {
    let program = env::current_exe().map_err(DemoError::System)?;
    if let Some(cargo) = env::var_os("CARGO").filter(|_| Path::new(MANIFEST).is_file()) {
        return build(&cargo, &program);
    }
    let path = program.with_file_name(BINARY);
    if path.is_file() { Ok(path) } else { Err(DemoError::NoContainer { path }) }
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

fn build(cargo: &OsStr, program: &Path) -> Result<PathBuf, DemoError> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--message-format", "json-render-diagnostics"]);
    command.args(["--manifest-path", MANIFEST, "--package", PACKAGE, "--bin", BINARY]);
    command.args(["--profile", profile_of(program)]);
    let failed = |why: String| DemoError::Build { command: format!("{command:?}"), why };
    let output = Command::new(cargo).args(command.get_args()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let built = executable_in(&String::from_utf8_lossy(&output.stdout));
    built.ok_or_else(|| failed("it told of no executable".to_owned()))
}

/// The profile with which this program was built: cargo names the folder after it, but for one.
fn profile_of(program: &Path) -> &str {
    let folder = program.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    match folder {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    }
}

fn executable_in(messages: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Message<'_>>(line).ok()).find_map(
        |message| {
            let is_ours = message.reason == "compiler-artifact"
                && message.target.is_some_and(|target| target.name == BINARY);
            message.executable.filter(|_| is_ours)
        },
    )
}

/// The weights as a file that has no name and goes with this process.
#[derive(Debug)]
pub struct Weights(File);

impl Weights {
    pub fn new() -> io::Result<Self> {
        let mut file = File::from(rustix::fs::memfd_create("cutter-demo", MemfdFlags::CLOEXEC)?);
        file.write_all(WEIGHTS_FILE)?;
        Ok(Self(file))
    }

    /// Where other processes of the same user find it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

/// What is served.
pub fn configure(program: &Path, weights: &str, cores: &Cores) -> Result<Config, DemoError> {
    let program = program.to_str().ok_or_else(|| DemoError::Path(program.to_owned()))?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let line = |key: &str, core: Option<usize>, around: [&str; 2]| {
        core.map(|core| format!("{key} = {}{core}{}\n", around[0], around[1])).unwrap_or_default()
    };
    let text = format!(
        r#"
[server]
query = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
{cpu}
[[application]]
name = "{APPLICATION}"
input = {{ type = "floats", shape = [784] }}
slo_us = {SLO_US}
default_output = "-1"
models = ["softmax"]

[[model]]
name = "softmax"
command = [{program}, {weights}]
batch = {{ policy = "aimd", max = 1024 }}
{cpus}"#,
        cpu = line("cpu", cores.engine, ["", ""]),
        program = quoted(program),
        weights = quoted(weights),
        cpus = line("cpus", cores.model, ["[", "]"]),
    );
    let (config, _warnings) = Config::from_toml(&text, Path::new("/"), "the demo's configuration")?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORES: Cores = Cores { engine: Some(3), model: Some(5), client: Some(5) };

    #[test]
    fn the_configuration_is_sound_whatever_the_paths_are() {
        let program = Path::new("/a \"b\"\\/söft\nmax");
        let config = configure(program, "/proc/1/fd/7", &CORES).unwrap();
        let model = &config.models[0];
        let command = model.command.as_ref().unwrap();
        assert_eq!(
            (&*command.program, &*command.args),
            (program, &["/proc/1/fd/7".to_owned()][..])
        );
        assert_eq!((config.server.cpu, &*model.cpus), (Some(3), &[5][..]));
        assert_eq!(config.applications[0].slo_ns, 20_000_000);
    }

    #[test]
    fn where_there_is_one_core_nothing_is_pinned() {
        let cores = Cores { engine: None, model: None, client: None };
        let config = configure(Path::new("/softmax"), "weights", &cores).unwrap();
        assert_eq!((config.server.cpu, config.models[0].cpus.len()), (None, 0));
    }

    #[test]
    fn the_profile_is_that_of_the_program() {
        let profiles = ["/t/release/cutter", "/t/debug/cutter", "/t/fast/cutter", "cutter"];
        let profiles = profiles.map(|program| profile_of(Path::new(program)));
        assert_eq!(profiles, ["release", "dev", "fast", "dev"]);
    }

    #[test]
    fn the_executable_is_found_among_the_messages_of_cargo() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"cc"},"executable":null}"#,
            "\nnot JSON\n",
            r#"{"reason":"compiler-artifact","target":{"name":"softmax"},"#,
            r#""executable":"/t/softmax"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(executable_in(messages), Some("/t/softmax".into()));
        assert_eq!(executable_in(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn the_weights_are_there_for_others_to_read() {
        let weights = Weights::new().unwrap();
        assert_eq!(std::fs::read(weights.path()).unwrap(), WEIGHTS_FILE);
    }
}
