//! A server of HTTP/1.1 whose delays are known, for the tests of the load tool: what the tool says
//! is compared with what was done here.
//!
//! It prints its address as one line: `127.0.0.1:PORT`, or the socket's path. It ends on SIGTERM,
//! SIGINT, or the end of standard input if that is a pipe; then it writes its log.
//!
//! ```text
//!  --delays FILE   [`delayed`]: request i is answered after the i-th delay, each by itself
//!  … --serial      … or one after the other: a queue whose service times are the delays
//!  --fast          [`fast`]: at once, as many as the ring carries
//! ```

mod delayed;
mod ending;
mod fast;
mod framing;
mod reply;

use std::error::Error;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use clap::Parser;
use cutter_machine::affinity::pin_current;
use rustix::net::sockopt::set_tcp_nodelay;

/// What it is asked for.
#[derive(Debug, Parser)]
pub struct Options {
    /// One delay in µs for each line, used in turn by the order of arrival.
    #[arg(long, required_unless_present = "fast", conflicts_with = "fast")]
    delays: Option<PathBuf>,
    /// Answer at once.
    #[arg(long)]
    fast: bool,
    /// One request after the other: the delays are service times.
    #[arg(long, requires = "delays")]
    serial: bool,
    /// From so long after the first request on …
    #[arg(long, requires = "delays", requires = "stall_ms")]
    stall_at_ms: Option<u64>,
    /// … nothing is read or answered for so long.
    #[arg(long, requires = "stall_at_ms")]
    stall_ms: Option<u64>,
    /// Close a connection after so many answers on it.
    #[arg(long, requires = "delays")]
    close_every: Option<u64>,
    /// Answer in chunks.
    #[arg(long)]
    chunked: bool,
    #[arg(long, default_value = r#"{"output":7,"default":false}"#)]
    body: String,
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// A line for each request: its number, when it was read, when its answer was written (ns).
    #[arg(long, requires = "delays")]
    log: Option<PathBuf>,
    #[arg(long, default_value = "127.0.0.1:0", conflicts_with = "unix")]
    listen: String,
    #[arg(long)]
    unix: Option<PathBuf>,
    /// Stay on this core.
    #[arg(long)]
    cpu: Option<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    // Before the thread that watches standard input, which would not be pinned: it only sleeps.
    let ending = ending::watch()?;
    let (listener, address) = listen(&options)?;
    if let Some(cpu) = options.cpu {
        pin_current(cpu)?;
    }
    writeln!(io::stdout(), "{address}")?;
    io::stdout().flush()?;
    match &options.delays {
        Some(file) => delayed::run(&options, delays(file)?, listener, ending),
        None => fast::run(&options, listener, ending),
    }
}

fn listen(options: &Options) -> io::Result<(OwnedFd, String)> {
    if let Some(path) = &options.unix {
        return Ok((UnixListener::bind(path)?.into(), path.display().to_string()));
    }
    let listener = TcpListener::bind(&options.listen)?;
    // Accepted connections inherit it.
    set_tcp_nodelay(&listener, true)?;
    let address = listener.local_addr()?.to_string();
    Ok((listener.into(), address))
}

/// The delays of a file, in ns.
fn delays(file: &Path) -> Result<Vec<u64>, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let delay_ns = |line: &str| Ok(line.trim().parse::<u64>()? * 1_000);
    let delays: Result<Vec<u64>, Box<dyn Error>> = text.lines().map(delay_ns).collect();
    match delays? {
        delays if delays.is_empty() => Err(format!("{} has no delays", file.display()).into()),
        delays => Ok(delays),
    }
}
