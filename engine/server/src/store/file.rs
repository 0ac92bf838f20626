//! The file: a page that says what it is, and a database behind it.
//!
//! ```text
//!  0        16        20                     4088       4096
//!  ┌────────┬─────────┬──────────────────────┬──────────┬──────────────────────┄
//!  │ magic  │ version │ zeros                │ checksum │ redb
//!  └────────┴─────────┴──────────────────────┴──────────┴──────────────────────┄
//! ```
//!
//! The page is read before the database is: a file of a newer version, or one that is something
//! else, is refused without a byte of it changed. A file is made whole under another name and gets
//! its own then, so there is never half a one. It is locked as long as it is open.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use twox_hash::XxHash3_64;

use super::database;
use super::error::StoreError;

/// The version of the format that this server writes and reads.
pub(super) const VERSION: u32 = 1;

const MAGIC: [u8; 16] = *b"Cutter's states\n";
const PAGE_BYTES: usize = 4096;
const PAGE_BYTES_U64: u64 = PAGE_BYTES as u64;

/// The locked file, as the database sees it: without the first page.
#[derive(Clone, Debug)]
pub(super) struct StateFile(Arc<Locked>);

/// A file that nobody else has. It is let go expressly: a process that is being started on another
/// thread has a copy of every descriptor up to its `exec`, and with a copy the lock lives on.
#[derive(Debug)]
struct Locked(File);

impl Locked {
    fn new(file: File, path: &Path) -> Result<Self, StoreError> {
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Held { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => {
                Err(StoreError::File { path: path.to_owned(), error })
            }
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // What could fail is of file systems without locks; there the lock failed before.
        let _ = self.0.unlock();
    }
}

impl Deref for Locked {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl StateFile {
    /// Opens a file, which is made if there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            make(path)?;
        }
        let failed = |error| StoreError::File { path: path.to_owned(), error };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
        let file = Locked::new(file, path)?;
        let mut page = [0; PAGE_BYTES];
        let read = file.read_exact_at(&mut page, 0);
        let has_more = file.metadata().map_err(failed)?.len() > PAGE_BYTES_U64;
        match read {
            Err(error) if has_more => return Err(failed(error)),
            _ => check(&page, has_more, path)?,
        }
        Ok(Self(Arc::new(file)))
    }
}

impl StorageBackend for StateFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len().saturating_sub(PAGE_BYTES_U64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, PAGE_BYTES_U64 + offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(PAGE_BYTES_U64 + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, PAGE_BYTES_U64 + offset)
    }
}

/// Makes an empty file of states.
fn make(path: &Path) -> Result<(), StoreError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    fs::create_dir_all(directory)
        .map_err(|error| StoreError::Directory { path: directory.to_owned(), error })?;
    let new = with_ending(path, ".new");
    let failed = |error: io::Error| StoreError::File { path: path.to_owned(), error };
    // Locked until it has its name: no other server makes the same one at the same time.
    let made = make_as(&new, path)?;
    match renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE) {
        // Another server was first, and has it.
        Err(Errno::EXIST) => fs::remove_file(&new).map_err(failed),
        renamed => renamed.map_err(|error| failed(error.into())),
    }?;
    drop(made);
    // The name is to survive what the file survives.
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

/// Makes it under a name that is not its own yet.
fn make_as(new: &Path, path: &Path) -> Result<StateFile, StoreError> {
    let failed = |error| StoreError::File { path: new.to_owned(), error };
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(new);
    let file = Locked::new(file.map_err(failed)?, path)?;
    // What a server left that was ended while it made one goes first.
    file.set_len(0).and_then(|()| file.write_all_at(&first_page(VERSION), 0)).map_err(failed)?;
    let file = StateFile(Arc::new(file));
    database::make(file.clone()).map_err(|error| failed(io::Error::other(error.to_string())))?;
    file.sync_data().map_err(failed)?;
    Ok(file)
}

pub(super) fn first_page(version: u32) -> [u8; PAGE_BYTES] {
    let mut page = [0; PAGE_BYTES];
    page[..16].copy_from_slice(&MAGIC);
    page[16..20].copy_from_slice(&version.to_le_bytes());
    let checksum = XxHash3_64::oneshot(&page[..PAGE_BYTES - 8]);
    page[PAGE_BYTES - 8..].copy_from_slice(&checksum.to_le_bytes());
    page
}

/// Says whether a first page is one of this version. The database would take a file that ends there
/// for a new one.
fn check(page: &[u8; PAGE_BYTES], has_more: bool, path: &Path) -> Result<(), StoreError> {
    let path = || path.to_owned();
    if page[..16] != MAGIC {
        return Err(StoreError::Foreign { path: path() });
    }
    let found = u32::from_le_bytes([page[16], page[17], page[18], page[19]]);
    if !has_more || *page != first_page(found) {
        return Err(StoreError::Damaged {
            path: path(),
            why: "it is cut off, or its first page is broken".to_owned(),
        });
    }
    if found != VERSION {
        return Err(StoreError::Newer { path: path(), found, known: VERSION });
    }
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_being_started_does_not_hold_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.redb");
        let file = StateFile::open(&path).unwrap();
        // As between a fork and an exec.
        let copy = file.0.try_clone().unwrap();
        let error = StateFile::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Held { .. }), "{error}");
        drop(file);
        StateFile::open(&path).unwrap();
        drop(copy);
    }
}
