//! The `cutter-bench` command: what the tail-latency suite can do, from a shell.
//!
//! Exit status: 0 well, 1 a failure, 2 a command line that makes no sense, 3 a measurement that
//! cannot be believed.

#![forbid(unsafe_code)]

mod cli;

use std::io::Write as _;
use std::process::ExitCode;

use cutter_tools::printing;

fn main() -> ExitCode {
    let arguments = match printing::arguments("cutter-bench") {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "cutter-bench: {failure}");
            failure.exit_code()
        }
    }
}
