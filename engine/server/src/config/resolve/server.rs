//! `[server]`: addresses, the engine's core, how it waits, what outlives it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::check;
use crate::config::error::Problem;
use crate::config::keys::{self, ADDRESS, ADMIN_DEFAULT, NO_STATE, QUERY_DEFAULT};
use crate::config::kinds::{Form, Key, SocketPath};
use crate::config::report::{Report, shown};
use crate::config::settings::{DecisionLog, Listen, Server, StateStore};
use crate::config::value::{Table, Text};
use crate::limits::{LOG_FILE_BYTES_DEFAULT, LOG_FILES_DEFAULT};

const OF: &str = "[server]";

pub(super) fn resolve(file: &keys::Server, base: &Path, report: &mut Report<'_>) -> Server {
    let mut taken = defaults_in_use(file);
    let query = query(file, base, &mut taken, report);
    let admin = admin(file, &mut taken, report);
    let socket = socket(file, base, &mut taken, report);
    let cpu = check::number(&file.cpu(), OF, report);
    let wait = check::word(&file.wait(), OF, report).unwrap_or_default();
    let state = state(file, base, report);
    let decision_log = decision_log(file, base, report);
    Server { query, admin, cpu: cpu.map(|cpu| cpu as usize), wait, socket, state, decision_log }
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
fn defaults_in_use(file: &keys::Server) -> Taken {
    let (query, admin) = (file.query(), file.admin());
    let of_query = (Listen::Tcp(QUERY_DEFAULT), Source::DefaultOf(query.name));
    let of_admin = (Listen::Tcp(ADMIN_DEFAULT), Source::DefaultOf(admin.name));
    let mut taken = Vec::new();
    taken.extend(query.value.is_none().then_some(of_query));
    taken.extend(admin.value.is_none().then_some(of_admin));
    taken
}

fn query(
    file: &keys::Server,
    base: &Path,
    taken: &mut Taken,
    report: &mut Report<'_>,
) -> Vec<Listen> {
    let key = file.query();
    if key.value.is_none() {
        return vec![Listen::Tcp(QUERY_DEFAULT)];
    }
    let mut listens = Vec::new();
    for text in check::texts(&key, OF, report).unwrap_or_default() {
        let listen = match text.get_ref().strip_prefix("unix:") {
            Some(path) => unix_path(key.name, text, path, file, base, report).map(Listen::Unix),
            None => {
                let example = format!("\"{QUERY_DEFAULT}\", or \"unix:PATH\"");
                tcp_address(key.name, text, &example, report).map(Listen::Tcp)
            }
        };
        if let Some(listen) = listen {
            take(listen.clone(), text, taken, report);
            listens.push(listen);
        }
    }
    listens
}

fn admin(file: &keys::Server, taken: &mut Taken, report: &mut Report<'_>) -> SocketAddr {
    let key = file.admin();
    let Some(text) = key.value else { return ADMIN_DEFAULT };
    let example = format!("\"{ADMIN_DEFAULT}\"");
    let Some(address) = tcp_address(key.name, text, &example, report) else { return ADMIN_DEFAULT };
    take(Listen::Tcp(address), text, taken, report);
    address
}

fn tcp_address(
    key: &'static str,
    text: &Text,
    example: &str,
    report: &mut Report<'_>,
) -> Option<SocketAddr> {
    let address = text.get_ref().parse().ok();
    if address.is_none() {
        let expected = format!("{ADDRESS}, such as {example}");
        check::bad_text(key, OF, text, &expected, report);
    }
    address
}

fn socket(
    file: &keys::Server,
    base: &Path,
    taken: &mut Taken,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    let key = file.socket();
    let text = key.value?;
    let path = unix_path(key.name, text, text.get_ref(), file, base, report)?;
    take(Listen::Unix(path.clone()), text, taken, report);
    Some(path)
}

fn state(file: &keys::Server, base: &Path, report: &mut Report<'_>) -> StateStore {
    let Key { name, kind: Form(form), value } = file.state();
    match value {
        None => StateStore::Default,
        Some(text) if text.get_ref() == NO_STATE => StateStore::None,
        Some(text) => StateStore::At(check::path(name, form, OF, text, base, report)),
    }
}

fn decision_log(file: &keys::Server, base: &Path, report: &mut Report<'_>) -> Option<DecisionLog> {
    const OF: &str = "the decision log";
    let log = file.decision_log().value?;
    let (at, Table(log)) = (log.span().start, log.get_ref());
    let key = log.directory();
    let expected = "the path of a folder, as in `directory = \"decisions\"`";
    let directory = check::required(&key, OF, at, expected, report);
    let Form(form) = key.kind;
    let directory = directory
        .map(|directory| check::path(key.name, form, OF, directory, base, report))
        .unwrap_or_default();
    Some(DecisionLog {
        directory,
        file_bytes: check::large(&log.file_bytes(), OF, report).unwrap_or(LOG_FILE_BYTES_DEFAULT),
        files: check::number(&log.files(), OF, report).unwrap_or(LOG_FILES_DEFAULT),
        sample: check::decimal(&log.sample(), OF, report).unwrap_or(1.0),
    })
}

/// Every path of a Unix socket is bounded as `socket` is.
fn unix_path(
    key: &'static str,
    text: &Text,
    path: &str,
    file: &keys::Server,
    base: &Path,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    if path.is_empty() || path.ends_with('/') {
        check::bad_text(key, OF, text, "the path of a Unix socket", report);
        return None;
    }
    if !check::has_no_zero_byte(key, OF, text, report) {
        return None;
    }
    let joined = check::joined(base, path);
    let bytes = joined.as_os_str().len();
    let SocketPath(max) = file.socket().kind;
    if bytes > max {
        let found = shown(path);
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
