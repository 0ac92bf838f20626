//! Reading a log: whole records up to its end, or up to where it is damaged.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::frame::{self, BadHeader, FILE_HEADER_BYTES, FRAME_BYTES, FileHeader, begins_as_log};
use super::record::Record;
use crate::limits::LOG_CHUNK_BYTES;

/// Why a file is not read at all.
#[derive(Debug, Error)]
pub enum ReadError {
    #[error("cannot read {}: {source}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a decision log; give a file that ends in .cutterlog", .0.display())]
    Foreign(PathBuf),
    #[error(
        "{} is of version {version}, which is newer than this program; use a newer one",
        path.display()
    )]
    Newer { path: PathBuf, version: u16 },
    #[error("the beginning of {} is damaged; nothing of it can be believed", .0.display())]
    Damaged(PathBuf),
    #[error("{} ends within its beginning: nothing was logged to it", .0.display())]
    Unwritten(PathBuf),
}

/// Why the records of a file end before the file does.
#[derive(Debug, Error)]
pub enum Damage {
    /// What a process that was killed leaves: no error.
    #[error("the record at byte {at} is cut off: the writer was ended amid it")]
    Torn { at: u64 },
    #[error("the record at byte {at} is not what was written; what follows it is left out")]
    Flipped { at: u64 },
    #[error("cannot read on from byte {at}: {source}")]
    Io {
        at: u64,
        #[source]
        source: io::Error,
    },
}

/// The records of a file, in the order in which they were logged. Ends behind the first damage.
#[derive(Debug)]
pub struct Records<R> {
    input: R,
    file: FileHeader,
    at: u64,
    payload: Vec<u8>,
    is_ended: bool,
}

/// Opens a file of a log.
pub fn read(path: &Path) -> Result<Records<BufReader<File>>, ReadError> {
    let failed = |source| ReadError::Io { path: path.to_owned(), source };
    let mut input = BufReader::new(File::open(path).map_err(failed)?);
    let mut header = [0; FILE_HEADER_BYTES];
    let length = read_up_to(&mut input, &mut header).map_err(failed)?;
    if length < header.len() {
        let is_log = begins_as_log(&header[..length]);
        let error = if is_log { ReadError::Unwritten } else { ReadError::Foreign };
        return Err(error(path.to_owned()));
    }
    let file = FileHeader::read(&header).map_err(|bad| match bad {
        BadHeader::Foreign => ReadError::Foreign(path.to_owned()),
        BadHeader::Newer { version } => ReadError::Newer { path: path.to_owned(), version },
        BadHeader::Damaged => ReadError::Damaged(path.to_owned()),
    })?;
    let at = FILE_HEADER_BYTES as u64;
    Ok(Records { input, file, at, payload: Vec::new(), is_ended: false })
}

/// Whether a file is called as those of a log are.
pub fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "cutterlog")
}

impl<R> Records<R> {
    /// What holds for all records.
    pub fn file(&self) -> FileHeader {
        self.file
    }
}

impl<R: Read> Records<R> {
    /// `None` at the end.
    fn read_record(&mut self) -> Result<Option<Record>, Damage> {
        let at = self.at;
        let failed = |source| Damage::Io { at, source };
        let mut frame = [0; FRAME_BYTES];
        let length = read_up_to(&mut self.input, &mut frame).map_err(failed)?;
        if length == 0 {
            return Ok(None);
        }
        if length < FRAME_BYTES {
            return Err(Damage::Torn { at });
        }
        let flipped = Damage::Flipped { at };
        let Some((length, check)) = frame::read(frame) else { return Err(flipped) };
        if length > LOG_CHUNK_BYTES {
            return Err(flipped);
        }
        self.payload.resize(length, 0);
        if read_up_to(&mut self.input, &mut self.payload).map_err(failed)? < length {
            return Err(Damage::Torn { at });
        }
        self.at += (FRAME_BYTES + length) as u64;
        let is_whole = crc32fast::hash(&self.payload) == check;
        let record = if is_whole { Record::read(&self.payload) } else { None };
        record.map(Some).ok_or(flipped)
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_ended {
            return None;
        }
        let record = self.read_record().transpose();
        self.is_ended = !matches!(record, Some(Ok(_)));
        record
    }
}

/// Fills a buffer as far as the input goes.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}
