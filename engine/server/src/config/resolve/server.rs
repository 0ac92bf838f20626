//! `[server]`: addresses, the engine's core, how it waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::check;
use crate::config::error::Problem;
use crate::config::file::{self, Text};
use crate::config::report::{Report, shown};
use crate::config::settings::{Listen, Server};
use crate::limits::{CPU_MAX, QUERY_LISTENERS_MAX, UNIX_PATH_BYTES_MAX};

const QUERY_DEFAULT: SocketAddr = SocketAddr::new(LOCALHOST, 1337);
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(LOCALHOST, 1338);
const LOCALHOST: std::net::IpAddr = std::net::IpAddr::V4(Ipv4Addr::LOCALHOST);

const OF: &str = "[server]";

pub(super) fn resolve(file: &file::Server, base: &Path, report: &mut Report<'_>) -> Server {
    let mut taken = defaults_in_use(file);
    let query = query(file, base, &mut taken, report);
    let admin = match &file.admin {
        Some(text) => admin(text, &mut taken, report),
        None => ADMIN_DEFAULT,
    };
    let socket = file.socket.as_ref().and_then(|text| socket(text, base, &mut taken, report));
    let cpu = check::integer("cpu", OF, file.cpu.as_ref(), 0..=CPU_MAX, report);
    let wait = check::wait(OF, file.wait.as_ref(), report);
    Server { query, admin, cpu: cpu.map(|cpu| cpu as usize), wait, socket }
}

type Taken = Vec<(Listen, Source)>;

/// Where an address comes from.
#[derive(Clone, Copy)]
enum Source {
    /// The byte where it is written.
    Text(usize),
    /// The key that is absent.
    DefaultOf(&'static str),
}

/// The addresses that nobody wrote come first, so that a clash is told where something is written.
fn defaults_in_use(file: &file::Server) -> Taken {
    let query = (Listen::Tcp(QUERY_DEFAULT), Source::DefaultOf("query"));
    let admin = (Listen::Tcp(ADMIN_DEFAULT), Source::DefaultOf("admin"));
    let mut taken = Vec::new();
    taken.extend(file.query.is_none().then_some(query));
    taken.extend(file.admin.is_none().then_some(admin));
    taken
}

fn query(
    file: &file::Server,
    base: &Path,
    taken: &mut Taken,
    report: &mut Report<'_>,
) -> Vec<Listen> {
    let Some(list) = &file.query else { return vec![Listen::Tcp(QUERY_DEFAULT)] };
    if check::count("query", OF, list, 1..=QUERY_LISTENERS_MAX, report).is_none() {
        return Vec::new();
    }
    let mut listens = Vec::new();
    for text in &list.get_ref().0 {
        let listen = match text.get_ref().strip_prefix("unix:") {
            Some(path) => unix_path("query", text, path, base, report).map(Listen::Unix),
            None => tcp_address(text, report).map(Listen::Tcp),
        };
        if let Some(listen) = listen {
            take(listen.clone(), text, taken, report);
            listens.push(listen);
        }
    }
    listens
}

fn tcp_address(text: &Text, report: &mut Report<'_>) -> Option<SocketAddr> {
    let address = text.get_ref().parse().ok();
    if address.is_none() {
        let expected = "an IP address with a port, such as \"127.0.0.1:1337\", or \"unix:PATH\"";
        bad_text("query", text, expected, report);
    }
    address
}

fn admin(text: &Text, taken: &mut Taken, report: &mut Report<'_>) -> SocketAddr {
    let Ok(address) = text.get_ref().parse() else {
        let expected = "an IP address with a port, such as \"127.0.0.1:1338\"";
        bad_text("admin", text, expected, report);
        return ADMIN_DEFAULT;
    };
    take(Listen::Tcp(address), text, taken, report);
    address
}

fn socket(text: &Text, base: &Path, taken: &mut Taken, report: &mut Report<'_>) -> Option<PathBuf> {
    let path = unix_path("socket", text, text.get_ref(), base, report)?;
    take(Listen::Unix(path.clone()), text, taken, report);
    Some(path)
}

fn unix_path(
    key: &'static str,
    text: &Text,
    path: &str,
    base: &Path,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    if path.is_empty() || path.ends_with('/') {
        bad_text(key, text, "the path of a Unix socket", report);
        return None;
    }
    if !check::has_no_zero_byte(key, OF, text, report) {
        return None;
    }
    let joined: PathBuf = base.join(path).components().collect();
    let bytes = joined.as_os_str().len();
    if bytes > UNIX_PATH_BYTES_MAX {
        let (found, max) = (shown(path), UNIX_PATH_BYTES_MAX);
        report.problem(text.span().start, Problem::SocketPathTooLong { key, found, bytes, max });
        return None;
    }
    Some(joined)
}

/// Port 0 asks the system for any free port, so it may be written more than once.
fn take(listen: Listen, text: &Text, taken: &mut Taken, report: &mut Report<'_>) {
    let is_any_port = matches!(&listen, Listen::Tcp(address) if address.port() == 0);
    let first = taken.iter().find(|(other, _)| *other == listen && !is_any_port);
    let found = shown(&listen.to_string());
    let problem = match first {
        Some((_, Source::Text(at))) => {
            Some(Problem::DuplicateAddress { found, first_line: report.line(*at) })
        }
        Some((_, Source::DefaultOf(key))) => Some(Problem::DefaultAddress { key, found }),
        None => None,
    };
    let at = text.span().start;
    if let Some(problem) = problem {
        report.problem(at, problem);
    }
    taken.push((listen, Source::Text(at)));
}

fn bad_text(key: &'static str, text: &Text, expected: &str, report: &mut Report<'_>) {
    let (of, found) = (OF.to_owned(), shown(text.get_ref()));
    let problem = Problem::BadText { key, of, found, expected: expected.to_owned() };
    report.problem(text.span().start, problem);
}
