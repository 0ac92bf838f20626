//! Why states cannot be stored.

use std::io;
use std::path::PathBuf;

/// Why there is no store. Each is one line: what, why, what to do. What was there is as before.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "no place for what is learned: neither XDG_STATE_HOME nor HOME is an absolute path; \
         set `state` to a file, or to \"none\""
    )]
    NoPlace,
    #[error("cannot make the directory {path}: {error}; make it, or set `state` to another file")]
    Directory { path: PathBuf, error: io::Error },
    #[error("cannot open {path}: {error}; see to its rights, or set `state` to another file")]
    File { path: PathBuf, error: io::Error },
    #[error(
        "{path} is held by another process, a server with the same `state`; \
         end that one, or set `state` to another file"
    )]
    Held { path: PathBuf },
    #[error("{path} is no file of states; move it away, or set `state` to another file")]
    Foreign { path: PathBuf },
    #[error(
        "{path} is of format {found}, and this server reads format {known}; \
         use the newer server, or set `state` to another file"
    )]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("{path} is damaged: {why}; put a copy of it back, or move it away and learn anew")]
    Damaged { path: PathBuf, why: String },
    #[error("cannot start the store's thread: {0}; see to the limits of the system")]
    Thread(io::Error),
}
