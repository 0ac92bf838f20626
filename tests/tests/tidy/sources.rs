//! The files that git knows, and which part of them is no test.

use std::path::{Path, PathBuf};
use std::process::Command;

use cutter_tests::binaries::workspace;
use cutter_tests::command::succeed;

/// A file of the repository: its path from the root, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Every file of text that is the work of somebody, and not a tool's.
pub fn sources() -> Vec<Source> {
    let text = |path: String| {
        let text = std::fs::read_to_string(workspace().join(&path)).ok()?;
        (path != "Cargo.lock").then_some(Source { path, text })
    };
    let sources: Vec<Source> = paths().into_iter().filter_map(text).collect();
    assert!(sources.len() > 50, "the sources are not where they should be");
    sources
}

pub fn rust() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| source.path.ends_with(".rs"));
    sources
}

/// What git tracks or would track; in a copy without git, everything outside `target`.
fn paths() -> Vec<String> {
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let mut git = Command::new("git");
    git.current_dir(workspace()).args(list);
    if workspace().join(".git").exists() {
        succeed(&mut git).lines().map(str::to_owned).collect()
    } else {
        walk(workspace())
    }
}

fn walk(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let folders = folders.iter().filter(|folder| !folder.ends_with("target"));
    let within = folders.flat_map(|folder| walk(folder));
    let names = files.iter().map(|path| path.strip_prefix(workspace()).unwrap());
    names.map(|path| path.to_str().unwrap().to_owned()).chain(within).collect()
}

/// `path:line: text` of each line of which `is_bad` says so.
pub fn lines(sources: &[Source], is_bad: impl Fn(&str) -> bool) -> Vec<String> {
    let bad = |source: &Source| {
        let lines = source.text.lines().enumerate().filter(|(_, line)| is_bad(line));
        let told = lines.map(|(at, line)| format!("{}:{}: {}", source.path, at + 1, line.trim()));
        told.collect::<Vec<_>>()
    };
    sources.iter().flat_map(bad).collect()
}

/// Whether it is part of what people run, and no test or bench.
pub fn is_product(source: &Source) -> bool {
    let path = &source.path;
    let is_test = path.starts_with("tests/") || path.starts_with("benches/");
    !is_test && !path.contains("/tests/") && !path.ends_with("/tests.rs")
}

/// The text before the tests that stand in the same file.
pub fn product(source: &Source) -> &str {
    source.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}
