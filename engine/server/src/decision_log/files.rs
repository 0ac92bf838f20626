//! The files of a log: one is written, those before it are kept for a while.
//!
//! Owner: the log thread. What was written whole stays whole: after a failure the file is cut back
//! to it, and headers are said again, since some may have been in what was lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cutter_core::limits::APPLICATIONS_MAX;
use cutter_machine::clock::monotonic_ns;

use super::LogSettings;
use super::frame::{FILE_HEADER_BYTES, FileHeader, records};
use super::record::application_of_header;

const PREFIX: &str = "decisions-";
const ENDING: &str = ".cutterlog";

#[derive(Debug)]
pub(super) struct Files {
    settings: LogSettings,
    /// Of the whole run, so that its times can be compared.
    wall_offset_ns: i64,
    /// `None` after a file could not be begun, or not be mended.
    open: Option<Open>,
    /// Those that are there, the oldest first.
    numbers: Vec<u64>,
    /// The last header of each application, by its place.
    headers: [Vec<u8>; APPLICATIONS_MAX],
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Written whole.
    bytes: u64,
    is_without_headers: bool,
}

impl Files {
    /// Begins a file behind those that there are.
    pub fn open(settings: LogSettings) -> io::Result<Self> {
        fs::create_dir_all(&settings.directory)?;
        let numbers = numbers(&settings.directory)?;
        let headers = std::array::from_fn(|_| Vec::new());
        let wall_offset_ns = wall_ns().wrapping_sub(monotonic_ns()).cast_signed();
        let mut files = Self { settings, wall_offset_ns, open: None, numbers, headers };
        files.begin()?;
        Ok(files)
    }

    /// Writes some records, all or none.
    pub fn append(&mut self, chunk: &[u8]) -> io::Result<()> {
        let written = self.write(chunk);
        // Whether they were written or not: the records to come are under them.
        self.remember_headers(chunk);
        written
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        let most = self.settings.file_bytes_max;
        self.open.take_if(|open| open.bytes + chunk.len() as u64 > most && !open.is_empty());
        if self.open.is_none() {
            self.begin()?;
        }
        let open = self.open.as_mut().expect("it was begun");
        let written = open.write(&self.headers, chunk);
        if written.is_err() {
            self.open.take_if(|open| !open.is_mended());
        }
        written
    }

    /// What holds for the records behind a chunk.
    fn remember_headers(&mut self, chunk: &[u8]) {
        for record in records(chunk) {
            if let Some(id) = application_of_header(record.payload) {
                let header = &mut self.headers[id.place()];
                header.clear();
                header.extend_from_slice(record.whole);
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        let Self { wall_offset_ns, .. } = *self;
        let header = FileHeader { pass_probability: self.settings.sample, wall_offset_ns };
        let next = self.numbers.last().map_or(Some(1), |last| last.checked_add(1));
        let number = next.ok_or_else(|| {
            io::Error::other(format!("{PREFIX}{}{ENDING} has the last number there is", u64::MAX))
        })?;
        let path = path(&self.settings.directory, number);
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        if let Err(error) = file.write_all(&header.bytes()) {
            // One that says nothing would take the place of one that does.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let bytes = FILE_HEADER_BYTES as u64;
        self.open = Some(Open { file, bytes, is_without_headers: true });
        self.numbers.push(number);
        while self.numbers.len() > self.settings.files_max {
            // One that somebody else removed, or that cannot be removed, is not tried again.
            let oldest = self.numbers.remove(0);
            let _ = fs::remove_file(self::path(&self.settings.directory, oldest));
        }
        Ok(())
    }

    /// From now on all is written there.
    #[cfg(test)]
    pub fn replace(&mut self, file: File) {
        self.open = Some(Open { file, bytes: 0, is_without_headers: false });
    }
}

impl Open {
    fn is_empty(&self) -> bool {
        self.bytes == FILE_HEADER_BYTES as u64
    }

    fn write(&mut self, headers: &[Vec<u8>], chunk: &[u8]) -> io::Result<()> {
        let mut bytes = chunk.len() as u64;
        if self.is_without_headers {
            for header in headers {
                self.file.write_all(header)?;
                bytes += header.len() as u64;
            }
        }
        self.file.write_all(chunk)?;
        self.bytes += bytes;
        self.is_without_headers = false;
        Ok(())
    }

    /// Cuts off what was written in part; whether that could be done.
    fn is_mended(&mut self) -> bool {
        self.is_without_headers = true;
        self.file.set_len(self.bytes).is_ok()
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{PREFIX}{number:06}{ENDING}"))
}

/// The numbers of the files of a log in a folder, in their order.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let number = number.and_then(|name| name.strip_suffix(ENDING));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Since 1970; 0 before.
fn wall_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
