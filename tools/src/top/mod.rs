//! A live view of a running engine: rates, quantiles and defaults of each application, and what
//! each replica does.
//!
//! ```text
//!   poll thread ── answers ──▶ history ──▶ page: lines of text ─┬▶ screen (ratatui)
//!                              windows     (pure)               └▶ plain text, once
//! ```
//!
//! The poll thread waits for the engine so that the keys never do. Everything that is shown is
//! computed from the last answers; the engine is asked for nothing else.

mod history;
mod page;
mod screen;
mod selection;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::time::Duration;

use crate::admin::{ADMIN_DEFAULT, AdminClient, AdminError};
use crate::limits::{TOP_PERIOD_MS_MAX, TOP_PERIOD_MS_MIN};
use crate::printing::{PrintError, print};
use history::History;
use page::View;

/// Columns of the text that is printed where there is no terminal.
const PLAIN_COLUMNS: u16 = 100;

/// What to look at, and how often.
#[derive(Clone, Debug, clap::Args)]
pub struct TopOptions {
    /// The server's admin port, HOST:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = ADMIN_DEFAULT)]
    pub admin: String,
    /// How often to ask, in ms.
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(TOP_PERIOD_MS_MIN..=TOP_PERIOD_MS_MAX)
    )]
    pub period_ms: u64,
    /// Print one period as text and end. So it does, too, when the output is no terminal.
    #[arg(long)]
    pub once: bool,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("the terminal cannot be used: {0}; with --once, one period is printed as text")]
    Terminal(#[source] io::Error),
    #[error(transparent)]
    Output(#[from] PrintError),
}

/// Shows until `q`, or prints once.
pub fn run(options: &TopOptions) -> Result<(), TopError> {
    let client = AdminClient::new(&options.admin)?;
    let period = Duration::from_millis(options.period_ms);
    if options.once || !io::stdout().is_terminal() {
        let text = once(client, period)?;
        return Ok(print(&text)?);
    }
    screen::run(client, period, is_coloured(std::env::var_os("NO_COLOR").as_deref()))
}

fn once(client: AdminClient, period: Duration) -> Result<String, AdminError> {
    let mut history = History::new(client.stats()?);
    std::thread::sleep(period);
    history.push(client.stats()?);
    let view = View {
        address: &client.address().to_string(),
        history: &history,
        coloured: false,
        problem: None,
    };
    Ok(page::text(&view, PLAIN_COLUMNS))
}

/// By the convention of no-color.org: set and not empty means no colours.
fn is_coloured(no_color: Option<&std::ffi::OsStr>) -> bool {
    no_color.is_none_or(std::ffi::OsStr::is_empty)
}
