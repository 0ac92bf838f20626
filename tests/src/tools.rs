//! Programs and packages that real clients need. What is missing is installed; what cannot be is a
//! failed test, never a skipped one.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::binaries::{cache, lock};
use crate::command::{run, run_within, succeed_within};
use crate::limits::INSTALL_TIME;

/// The Python packages that the tests' clients import.
const PACKAGES: [&str; 4] = ["aiohttp", "httpx", "prometheus_client", "requests"];
const IMPORTS: &str = "import aiohttp, httpx, prometheus_client, requests";

/// Python with the packages that the tests' clients import.
pub fn python() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(make_python).clone()
}

fn make_python() -> PathBuf {
    let _lock = lock("python.lock");
    let folder = cache().join("python");
    let python = folder.join("bin/python");
    let works = || python.exists() && run(Command::new(&python).args(["-c", IMPORTS])).code() == 0;
    if !works() {
        need("python3", "python3-venv", &["-c", "import venv, ensurepip"]);
        let venv = ["-m", "venv", "--clear"];
        succeed_within(Command::new("python3").args(venv).arg(&folder), INSTALL_TIME);
        let install = ["-m", "pip", "install", "--quiet"];
        let installed =
            run_within(Command::new(&python).args(install).args(PACKAGES), INSTALL_TIME);
        assert!(
            works(),
            "pip could not install {PACKAGES:?}, which the tests need: install them where {} finds \
             them\n{}",
            python.display(),
            installed.stderr
        );
    }
    python
}

/// The program `name`, which the system's package manager may have to install first.
pub fn tool(name: &str) -> Command {
    let _lock = lock("tools.lock");
    need(name, name, &["--version"]);
    Command::new(name)
}

/// Installs a package unless its program runs well with these arguments.
fn need(name: &str, package: &str, arguments: &[&str]) {
    let works = || {
        let quiet = Command::new(name).args(arguments).output();
        quiet.is_ok_and(|output| output.status.success())
    };
    if works() {
        return;
    }
    let mut said = String::new();
    for words in [&["update", "-q"][..], &["install", "-y", "-q", package]] {
        let mut apt = Command::new("apt-get");
        apt.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        said = match apt.output() {
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
    }
    assert!(works(), "the tests need {name}, and apt-get could not install {package}: {said}");
}
