//! How files and records begin, so that what is damaged or cut off is told from what is whole.
//!
//! ```text
//!  file    0         8         10   12        16        24            32
//!          ┌─────────┬─────────┬────┬─────────┬─────────┬─────────────┬─ record ─┬┄
//!          │ magic   │ version │ 0  │ CRC-32  │ sample  │ wall offset │          │
//!          └─────────┴─────────┴────┴─────────┴─────────┴─────────────┴──────────┴┄
//!  record  0         4               8                12
//!          ┌─────────┬───────────────┬────────────────┬─────────┐
//!          │ length  │ CRC-32 of the │ CRC-32 of the  │ payload │
//!          │         │ payload       │ 8 bytes before │         │
//!          └─────────┴───────────────┴────────────────┴─────────┘
//! ```
//!
//! All little-endian. A length has a checksum of its own: so a record that is cut off is told from
//! one whose length was changed.

/// Goes up when a reader of before would misread what is written now.
const VERSION: u16 = 2;
/// The oldest that is still read.
const VERSION_MIN: u16 = 1;
const MAGIC: [u8; 8] = *b"CUTRDLOG";
const VERSION_AT: usize = MAGIC.len();
const CHECK_AT: usize = 12;
const CHECKED_FROM: usize = 16;

pub(super) const FILE_HEADER_BYTES: usize = 32;
pub(super) const FRAME_BYTES: usize = 12;

/// What a file says of all its records.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileHeader {
    /// The probability with which a query was logged.
    pub pass_probability: f64,
    /// The wall clock, in ns since 1970, less the engine's, as the run began.
    pub wall_offset_ns: i64,
}

/// Why bytes are not the beginning of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    Foreign,
    Newer { version: u16 },
    Damaged,
}

impl FileHeader {
    pub(super) fn bytes(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..VERSION_AT].copy_from_slice(&MAGIC);
        bytes[VERSION_AT..][..2].copy_from_slice(&VERSION.to_le_bytes());
        bytes[CHECKED_FROM..][..8].copy_from_slice(&self.pass_probability.to_le_bytes());
        bytes[CHECKED_FROM + 8..].copy_from_slice(&self.wall_offset_ns.to_le_bytes());
        let check = header_check(&bytes);
        bytes[CHECK_AT..CHECKED_FROM].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    pub(super) fn read(bytes: &[u8; FILE_HEADER_BYTES]) -> Result<Self, BadHeader> {
        if !bytes.starts_with(&MAGIC) {
            return Err(BadHeader::Foreign);
        }
        let version = u16::from_le_bytes([bytes[VERSION_AT], bytes[VERSION_AT + 1]]);
        if version > VERSION {
            return Err(BadHeader::Newer { version });
        }
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
        let check = u32::from_le_bytes(std::array::from_fn(|byte| bytes[CHECK_AT + byte]));
        let pass_probability = f64::from_bits(word(CHECKED_FROM));
        let is_whole = check == header_check(bytes);
        if !is_whole
            || version < VERSION_MIN
            || !(pass_probability > 0.0 && pass_probability <= 1.0)
        {
            return Err(BadHeader::Damaged);
        }
        Ok(Self { pass_probability, wall_offset_ns: word(CHECKED_FROM + 8).cast_signed() })
    }
}

/// Whether a file begins as a log does, as far as it goes.
pub(super) fn begins_as_log(bytes: &[u8]) -> bool {
    let bytes = &bytes[..bytes.len().min(MAGIC.len())];
    MAGIC.starts_with(bytes)
}

fn header_check(bytes: &[u8; FILE_HEADER_BYTES]) -> u32 {
    let mut check = crc32fast::Hasher::new();
    check.update(&bytes[..CHECK_AT]);
    check.update(&bytes[CHECKED_FROM..]);
    check.finalize()
}

/// Puts a record behind others: a frame, and in it what `payload` appends.
pub(super) fn append(bytes: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; FRAME_BYTES]);
    payload(bytes);
    let (frame, payload) = bytes[start..].split_at_mut(FRAME_BYTES);
    let length = u32::try_from(payload.len()).expect("a record is within a chunk");
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..8].copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let check = crc32fast::hash(&frame[..8]);
    frame[8..].copy_from_slice(&check.to_le_bytes());
}

/// The length and the checksum of a payload; `None` when they are not what was written.
pub(super) fn read(frame: [u8; FRAME_BYTES]) -> Option<(usize, u32)> {
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| frame[at + byte]));
    let is_whole = word(8) == crc32fast::hash(&frame[..8]);
    is_whole.then(|| (word(0) as usize, word(4)))
}

/// The records of bytes that this process framed.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = Framed<'_>> {
    std::iter::from_fn(move || {
        let (frame, rest) = bytes.split_first_chunk::<FRAME_BYTES>()?;
        let (length, _) = read(*frame).expect("it was framed here");
        let (whole, after) = bytes.split_at(FRAME_BYTES + length);
        bytes = after;
        Some(Framed { whole, payload: &rest[..length] })
    })
}

/// A record with its frame.
pub(super) struct Framed<'a> {
    pub whole: &'a [u8],
    pub payload: &'a [u8],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_version_from_the_first_are_read() {
        let header = FileHeader { pass_probability: 0.5, wall_offset_ns: -7 };
        for version in VERSION_MIN..=VERSION {
            let mut bytes = header.bytes();
            bytes[VERSION_AT..][..2].copy_from_slice(&version.to_le_bytes());
            let check = header_check(&bytes);
            bytes[CHECK_AT..CHECKED_FROM].copy_from_slice(&check.to_le_bytes());
            assert_eq!(FileHeader::read(&bytes), Ok(header));
        }
    }
}
