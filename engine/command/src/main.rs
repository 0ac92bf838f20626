//! The `cutter` command.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cutter_command::check::Machine;
use cutter_command::{check, demo, evaluate, log};
use cutter_machine::memory::map_large_allocations;
use cutter_server::config::{self, Config};
use cutter_server::control::Signals;
use cutter_server::server::{Host, Server, StartError, raise_descriptor_limit};
use cutter_tools::printing;

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
    /// Tell from a decision log what each model alone, or another policy, would have earned.
    Evaluate(evaluate::Options),
}

fn main() -> ExitCode {
    let arguments: Arguments = match printing::arguments("cutter") {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    // The demo prints figures: of its log only what goes wrong belongs between them.
    let level = if matches!(arguments.command, Command::Demo(_)) { "warn" } else { "info" };
    let Ok(log) = log::start(level) else { return ExitCode::FAILURE };
    // Without it a large body may hold others up for a moment; nothing else changes.
    let _ = map_large_allocations();
    let done = match arguments.command {
        Command::Serve { config } => serve(&config),
        Command::Check { config } => print_check(&config),
        Command::Demo(options) => demo::run(&options).map_err(|error| error.to_string()),
        Command::Evaluate(options) => evaluate::run(&options).map_err(|error| error.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            log.say(&format!("cutter: {text}"));
            ExitCode::FAILURE
        }
    }
}

fn load(path: &std::path::Path) -> Result<Config, String> {
    let (config, warnings) = Config::load(path).map_err(|errors| errors.to_string())?;
    for warning in warnings {
        // As it would print itself, but for the word that the log has already.
        let config::Warning { file, place, notice } = warning;
        tracing::warn!("{file}:{}:{}: {notice}", place.line, place.column);
    }
    for warning in check::warnings(&config, &Machine::look()) {
        tracing::warn!("{warning}");
    }
    Ok(config)
}

fn serve(path: &std::path::Path) -> Result<(), String> {
    // Before anything is made that an end would leave behind.
    let signals = Signals::install().map_err(|error| format!("cannot hear signals: {error}"))?;
    let config = load(path)?;
    raise_descriptor_limit();
    let host = Host { signals: Some(signals), log_lines_dropped: log::lines_dropped };
    let server = match Server::start(config, host) {
        Err(error @ StartError::Ended) => {
            tracing::info!("{error}");
            return Ok(());
        }
        started => started.map_err(|error| error.to_string())?,
    };
    let mut addresses = String::new();
    for address in server.addresses() {
        write!(addresses, " {address}").map_err(|error| error.to_string())?;
    }
    tracing::info!("taking queries on{addresses}, admin on {}", server.admin());
    server.join().map_err(|error| error.to_string())
}

fn print_check(path: &std::path::Path) -> Result<(), String> {
    let text = check::report(path, &Machine::look())?;
    printing::print(&text).map_err(|error| error.to_string())
}
