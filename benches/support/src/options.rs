//! The command line of every bench.

use std::path::PathBuf;

use clap::Parser;

/// What a bench is asked for.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Write the measurements to this file, as a JSON array.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    /// The bench runs itself as the other side of an exchange: of which, and its name.
    #[arg(long, hide = true)]
    pub peer: Option<String>,
}

impl Options {
    /// Reads the command line; ends the process when it cannot be read.
    pub fn read() -> Self {
        let mut options = Self::parse();
        options.json = options.json.map(|file| caller_folder().join(file));
        options
    }
}

/// What a bench that draws a page is asked for.
#[derive(Clone, Debug, Parser)]
pub struct PageOptions {
    #[command(flatten)]
    pub options: Options,
    /// Write a page with the tables and charts to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

impl PageOptions {
    /// With the files where the caller meant them.
    #[must_use]
    pub fn from_caller(mut self) -> Self {
        for file in [&mut self.options.json, &mut self.html].into_iter().flatten() {
            *file = caller_folder().join(&*file);
        }
        self
    }
}

/// Cargo runs a bench in the folder of its package. A file named on the command line is meant from
/// where cargo itself was called.
fn caller_folder() -> PathBuf {
    let of_parent = |file: &str| format!("/proc/{}/{file}", std::os::unix::process::parent_id());
    let name = std::fs::read_to_string(of_parent("comm")).unwrap_or_default();
    let folder = (name.trim_end() == "cargo").then(|| std::fs::read_link(of_parent("cwd")).ok());
    folder.flatten().unwrap_or_default()
}
