//! The `cutter` command.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cutter_engine::check::Machine;
use cutter_engine::config::Config;
use cutter_engine::server::Server;
use cutter_engine::{check, demo};

/// A prediction server for one machine.
#[derive(Debug, Parser)]
#[command(name = "cutter", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve what a configuration describes, until SIGTERM.
    Serve {
        /// The configuration file.
        #[arg(long, default_value = "cutter.toml")]
        config: PathBuf,
    },
    /// Validate a configuration and print it resolved, with every limit and the memory it takes.
    Check {
        /// The configuration file.
        #[arg(long, default_value = "cutter.toml")]
        config: PathBuf,
    },
    /// Serve a digit classifier, replay images that it has not seen, and print what came of it.
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The demo prints figures: of its log only what goes wrong belongs between them.
    start_log(if matches!(arguments.command, Command::Demo(_)) { "warn" } else { "info" });
    let done = match arguments.command {
        Command::Serve { config } => load(&config).and_then(serve),
        Command::Check { config } => print_check(&config),
        Command::Demo(options) => demo::run(&options).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "cutter: {text}");
            ExitCode::FAILURE
        }
    }
}

/// Logs to standard error; `RUST_LOG` chooses what.
fn start_log(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| level.into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .init();
}

fn load(path: &std::path::Path) -> Result<Config, String> {
    let (config, warnings) = Config::load(path).map_err(|errors| errors.to_string())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    for warning in check::warnings(&config, &Machine::look()) {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

fn serve(config: Config) -> Result<(), String> {
    let server = Server::start(config, true).map_err(|error| error.to_string())?;
    let mut addresses = String::new();
    for address in server.addresses() {
        write!(addresses, " {address}").map_err(|error| error.to_string())?;
    }
    tracing::info!("taking queries on{addresses}, admin on {}", server.admin());
    server.join().map_err(|error| error.to_string())
}

fn print_check(path: &std::path::Path) -> Result<(), String> {
    let text = check::report(path, &Machine::look())?;
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| error.to_string())
}
