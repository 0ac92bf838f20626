//! `cargo bench -p cutter-benches --bench suite`: what the tail-latency suite reaches, beside what
//! the machine can do and beside other tools. With a name, as in `-- peers`, only that part.
//!
//! - `own`: what `load` adds to a closed-loop round trip, against the raw client; and how many
//!   requests a second one sending thread makes.
//! - `peers`: `oha` and `wrk` at the same server and rate. They are installed when they are not
//!   there, which takes minutes for `oha`.
//! - `capacity`: the search against a model whose capacity is known.
//! - `compare`: how often A against A is told to be a difference, and A against A + 5 % is not.

mod capacity;
mod compare;
mod own;
mod peers;

use std::io;
use std::path::PathBuf;

use cutter_bench_support::cores::Cores;
use cutter_bench_support::processes::build;

/// What every part needs.
#[derive(Debug)]
pub struct Setting {
    pub cores: Cores,
    pub bench: PathBuf,
    pub cutter: PathBuf,
    pub responder: PathBuf,
    pub synthetic: PathBuf,
}

type Part = fn(&Setting) -> io::Result<()>;

fn main() -> io::Result<()> {
    let names: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let parts: [(&str, Part); 4] = [
        ("own", own::run),
        ("peers", peers::run),
        ("capacity", capacity::run),
        ("compare", compare::run),
    ];
    if let Some(name) = names.iter().find(|name| parts.iter().all(|(part, _)| part != name)) {
        return Err(io::Error::other(format!(
            "there is no part {name}; there are own, peers, capacity and compare"
        )));
    }
    let setting = Setting {
        cores: Cores::choose()?,
        bench: build("cutter-tools", "cutter-bench")?,
        cutter: build("cutter-command", "cutter")?,
        responder: build("cutter-tests", "responder")?,
        synthetic: build("cutter-examples", "synthetic")?,
    };
    let is_asked = |part: &str| names.is_empty() || names.iter().any(|name| name == part);
    parts.iter().filter(|(part, _)| is_asked(part)).try_for_each(|(_, run)| run(&setting))
}
