//! The configuration of `cutter serve` and `cutter check`: from a file of TOML to plain values.
//!
//! ```text
//!  text ──serde──▶ keys::File ──resolve──▶ Config ──▶ the server, and what `cutter check` shows
//!                  (spans kept)    │
//!                                  └──▶ every problem and warning, with line and column
//! ```
//!
//! Runs on the main thread before anything else is started; nothing here is on the way of a query.
//! Invariants of a [`Config`]: every limit of `crate::limits` holds; every name is well formed; no
//! two applications have the same name, no two models the same name and version; an application
//! lists a model once at most, and all applications of a model have the same input; every policy
//! can be made, and names models of its application; every path has been joined to the folder of
//! the file. Text is judged as a peer is: it meets errors, never a panic. Only [`Config::load`]
//! looks at the file system.

mod alone;
mod error;
mod held;
mod keys;
mod kinds;
pub mod policies;
mod report;
mod resolve;
mod settings;
mod suggest;
mod value;

#[cfg(test)]
mod tests;

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use error::{ConfigError, ConfigErrors, Notice, OneOf, Place, Problem, Warning};
pub use settings::{
    Application, Arms, Batch, BatchCost, BatchPolicy, Cache, Command, Config, DecisionLog,
    Ensemble, Judging, Learning, Listen, Mode, Model, Plan, Policy, Registered, Rewards, Server,
    StateStore, Substitute, WaitStrategy,
};

use crate::limits::CONFIG_BYTES_MAX;
use policies::Policies;
use report::{Report, problem_of_toml};
use resolve::Given;

impl Config {
    /// Reads and resolves a file. Relative paths in it are taken from the folder that it is in.
    ///
    /// A command that cannot be found is a warning: the server serves the other models.
    pub fn load(path: &Path) -> Result<(Config, Vec<Warning>), ConfigErrors> {
        Self::load_with(path, &Policies::default())
    }

    /// The same with policies that a program has brought along.
    pub fn load_with(
        path: &Path,
        policies: &Policies,
    ) -> Result<(Config, Vec<Warning>), ConfigErrors> {
        let name = path.display().to_string();
        let fail = |problem| ConfigErrors::one(&name, problem);
        let unreadable = |error: io::Error| fail(Problem::Unreadable { reason: error.to_string() });
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let base = absolute.parent().unwrap_or(Path::new("/"));
        let bytes = read_bounded(path).map_err(unreadable)?;
        if bytes.len() as u64 > CONFIG_BYTES_MAX {
            return Err(fail(Problem::FileTooLarge { max: CONFIG_BYTES_MAX }));
        }
        let text = match str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let mut report = Report::new(&valid);
                report.problem(valid.len(), Problem::NotUtf8);
                return Err(report.into_errors(&name));
            }
        };
        parse_with(text, &name, &Given { base, is_runnable: &is_runnable, policies })
    }

    /// Resolves text. `base` is where relative paths begin; `name` is how messages call the text.
    pub fn from_toml(
        text: &str,
        base: &Path,
        name: &str,
    ) -> Result<(Config, Vec<Warning>), ConfigErrors> {
        Self::from_toml_with(text, base, name, &Policies::default())
    }

    /// The same with policies that a program has brought along.
    pub fn from_toml_with(
        text: &str,
        base: &Path,
        name: &str,
        policies: &Policies,
    ) -> Result<(Config, Vec<Warning>), ConfigErrors> {
        parse_with(text, name, &Given { base, is_runnable: &|_| true, policies })
    }
}

/// Resolves text alone, as if it stood in `/cutter.toml`. Any text gives a configuration or errors.
pub fn parse(text: &str) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    Config::from_toml(text, Path::new("/"), "cutter.toml")
}

fn parse_with(
    text: &str,
    name: &str,
    given: &Given<'_>,
) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    let mut report = Report::new(text);
    let file: keys::File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            let (at, problem) = problem_of_toml(&error, text);
            report.problem(at, problem);
            return Err(report.into_errors(name));
        }
    };
    let config = resolve::resolve(&file, given, &mut report);
    if report.has_problems() {
        return Err(report.into_errors(name));
    }
    Ok((config, report.into_warnings(name)))
}

/// One byte more than the limit at most, so that a special file cannot fill the memory.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_runnable(command: &Command) -> bool {
    let is_executable = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    if command.is_found_by_path() {
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders).any(|folder| is_executable(&folder.join(&command.program)))
    } else {
        is_executable(&command.program)
    }
}
