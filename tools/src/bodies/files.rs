//! Bodies from files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::{BodiesError, Protocol};
use crate::limits::{BODIES_MAX, BODY_BYTES_MAX};

/// The files of a folder, by name. What lies in folders below is not meant.
pub fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, BodiesError> {
    let cannot = |source| BodiesError::Read { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if !path.is_file() {
            continue;
        }
        if files.len() == BODIES_MAX {
            return Err(BodiesError::TooMany);
        }
        files.push(path);
    }
    files.sort();
    if files.is_empty() { Err(BodiesError::NoFiles { path: folder.to_owned() }) } else { Ok(files) }
}

pub fn read(path: &Path) -> Result<Vec<u8>, BodiesError> {
    let cannot = |source| BodiesError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(cannot)?;
    let of = || path.display().to_string();
    let bytes = file.metadata().map_err(cannot)?.len();
    if bytes > BODY_BYTES_MAX as u64 {
        return Err(BodiesError::BodyTooLong { of: of(), bytes });
    }
    // A file may grow while it is read; what `add` then refuses is one byte too long.
    let mut body = Vec::new();
    file.take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut body).map_err(cannot)?;
    Ok(body)
}

pub fn check_json(path: &Path, protocol: Protocol, body: &[u8]) -> Result<(), BodiesError> {
    let no_json = |why| BodiesError::NoJson { path: path.to_owned(), protocol, why };
    let text = std::str::from_utf8(body).map_err(|why| no_json(why.to_string()))?;
    let found = serde_json::from_str::<IgnoredAny>(text);
    found.map(|_| ()).map_err(|why| no_json(why.to_string()))
}
