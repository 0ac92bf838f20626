//! What a person sees while a command works: one line, on a terminal only; and Ctrl-C.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cutter_tools::printing;

use super::Failure;

/// One line on standard error that is written over. Nothing when that is no terminal.
#[derive(Debug)]
pub struct ProgressLine {
    is_shown: bool,
}

impl ProgressLine {
    pub fn new() -> Self {
        Self { is_shown: io::stderr().is_terminal() }
    }

    pub fn show(&self, text: &str) {
        if self.is_shown {
            // A terminal that has gone needs no progress.
            let _ = write!(io::stderr(), "\r\x1b[K{text}");
        }
    }

    pub fn clear(&self) {
        self.show("");
    }

    /// A line that stays, on a terminal or not.
    pub fn say(&self, text: &str) {
        self.clear();
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// A flag that SIGINT and SIGTERM set. The second of them ends the process at once.
pub fn interrupt_flag() -> Result<Arc<AtomicBool>, Failure> {
    /// What a shell says of a process that Ctrl-C ended.
    const INTERRUPTED: i32 = 130;
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let again = Arc::clone(&flag);
        signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED, again)
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&flag)))
            .map_err(|error| Failure::Failed(format!("signals cannot be caught: {error}")))?;
    }
    Ok(flag)
}

/// Prints on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    printing::print(text).map_err(Failure::failed)
}
