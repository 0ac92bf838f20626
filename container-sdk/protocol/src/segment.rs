//! Segments: sealed memfds, one writer each.
//!
//! The engine makes every segment: create, size, reserve, map, prefault, lock, seal, in that order,
//! before a descriptor leaves the process. Sealing `FUTURE_WRITE` after the engine's own mapping
//! means that no other process can get a writable one. There are no names, so nothing is left
//! behind by a crash.
//!
//! A segment may be made in part: then only its first bytes are there from the start, and each page
//! behind them is taken when it is first written. An address range is cheap, pages are not.
//!
//! A mapping is never shown as a slice here, with one exception: [`Segment::bytes_mut`], for memory
//! that this process alone writes. A segment that this process made is written through the mapping
//! of its making, and the seal lets nobody make another writable one. To map somebody else's
//! segment writable is to promise that nobody else writes it ([`Segment::open_writable`]).
//!
//! # Holes
//! Who may write a segment may also punch holes into it, and no seal forbids the one without the
//! other. A replica that does so to its own two segments gives memory back that was reserved for
//! it; the engine's next read of such a page makes a new one, of zeros: one fault for each page of
//! the at most [`COPY_BYTES_MAX`](crate::limits::COPY_BYTES_MAX) of a look, and never more memory
//! than had been reserved. What it then reads is checked like all that a replica writes. Where the
//! machine has no page left by then, the kernel's choice falls on some process, as it does for any
//! process that takes memory; a replica can take memory in plainer ways.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, SeekFrom};
use rustix::io::Errno;

use crate::words::SharedWords;

/// Why a segment could not be made or mapped.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    #[error("cannot {step} a segment of {bytes} bytes: {source}")]
    Step {
        step: &'static str,
        bytes: usize,
        #[source]
        source: std::io::Error,
    },
    #[error("a segment has {found} bytes where {expected} were announced")]
    Size { found: u64, expected: usize },
    #[error(
        "the size of a segment of {bytes} bytes is not sealed: it may be cut off under its readers"
    )]
    Unsealed { bytes: usize },
}

/// A mapped memfd.
#[derive(Debug)]
pub struct Segment {
    map: Arc<MmapRaw>,
    fd: OwnedFd,
    writable: bool,
    locked: bool,
}

/// Who writes a segment that the engine makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// This process; every other mapping is read-only, enforced by a seal.
    Maker,
    /// The process that gets the descriptor; the maker maps it read-only.
    Peer,
}

impl Segment {
    /// Makes a segment. `name` shows in `/proc/<pid>/maps` and nowhere else.
    pub fn create(name: &CStr, bytes: usize, writer: Writer) -> Result<Segment, SegmentError> {
        Self::create_in_part(name, bytes, bytes, writer)
    }

    /// Makes a segment of which the first `present` bytes are reserved, prefaulted and locked.
    pub fn create_in_part(
        name: &CStr,
        bytes: usize,
        present: usize,
        writer: Writer,
    ) -> Result<Segment, SegmentError> {
        assert!(present > 0 && present <= bytes);
        let failed = |step| move |errno: Errno| step_error(step, bytes, errno.into());
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Kernels before 6.3 do not know NOEXEC_SEAL and refuse it.
        let fd = rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL)
            .or_else(|_| rustix::fs::memfd_create(name, flags))
            .map_err(failed("create"))?;
        rustix::fs::ftruncate(&fd, bytes as u64).map_err(failed("size"))?;
        // Reserved now, so that a lack of memory is an error here and not a SIGBUS later.
        rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, present as u64)
            .map_err(failed("reserve"))?;
        let segment = Self::map(fd, bytes, present, writer == Writer::Maker)?;
        let mut seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        if writer == Writer::Maker {
            seals |= SealFlags::FUTURE_WRITE;
        }
        rustix::fs::fcntl_add_seals(&segment.fd, seals).map_err(failed("seal"))?;
        Ok(segment)
    }

    /// Maps a segment that another process made, read-only, after checking its size and that this
    /// is sealed.
    pub fn open(fd: OwnedFd, bytes: usize) -> Result<Segment, SegmentError> {
        Self::open_as(fd, bytes, false)
    }

    /// Maps a segment that another process made, to write it, after the same checks.
    ///
    /// # Safety
    /// While the segment lives, nobody else writes this memory, in this process or another, and
    /// nobody in this process has another mapping of it but to read it as [`SharedWords`].
    pub unsafe fn open_writable(fd: OwnedFd, bytes: usize) -> Result<Segment, SegmentError> {
        Self::open_as(fd, bytes, true)
    }

    fn open_as(fd: OwnedFd, bytes: usize, writable: bool) -> Result<Segment, SegmentError> {
        // What has no seals cannot be asked for them.
        let seals = rustix::fs::fcntl_get_seals(&fd).unwrap_or(SealFlags::empty());
        if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) {
            return Err(SegmentError::Unsealed { bytes });
        }
        let stat =
            rustix::fs::fstat(&fd).map_err(|errno| step_error("look at", bytes, errno.into()))?;
        let found = u64::try_from(stat.st_size).unwrap_or(0);
        if found != bytes as u64 {
            return Err(SegmentError::Size { found, expected: bytes });
        }
        // To populate a hole, even for reading, would take its pages.
        let present = rustix::fs::seek(&fd, SeekFrom::Hole(0)).unwrap_or(found);
        let present = usize::try_from(present).unwrap_or(bytes).min(bytes);
        Self::map(fd, bytes, present, writable)
    }

    /// Maps all of a segment; the first `present` bytes are prefaulted and locked.
    fn map(
        fd: OwnedFd,
        bytes: usize,
        present: usize,
        writable: bool,
    ) -> Result<Segment, SegmentError> {
        let failed = |step| move |error| step_error(step, bytes, error);
        let mut options = MmapOptions::new();
        options.len(bytes);
        let mapped = if writable { options.map_raw(&fd) } else { options.map_raw_read_only(&fd) };
        let map = mapped.map_err(failed("map"))?;
        let populate = if writable { Advice::PopulateWrite } else { Advice::PopulateRead };
        // Kernels before 5.14 do not know the populate advices; the pages then come at first use.
        let _ = map.advise_range(populate, 0, present);
        // A child of a model must not share the mapping: it would outlive the process we watch.
        map.advise(Advice::DontFork).map_err(failed("advise"))?;
        // SAFETY: within the mapping; locking changes neither its bytes nor its rights.
        let locked = unsafe { rustix::mm::mlock(map.as_mut_ptr().cast(), present) }.is_ok();
        Ok(Segment { map: Arc::new(map), fd, writable, locked })
    }

    pub fn bytes(&self) -> usize {
        self.map.len()
    }

    /// Whether the pages that are there from the start are locked in memory; the limit on locked
    /// memory may not allow it.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// All whole words of the segment.
    pub(crate) fn words(&self) -> SharedWords {
        SharedWords::of(&self.map)
    }

    /// The address of `offset`, of which `bytes` are within the mapping.
    pub(crate) fn address(&self, offset: usize, bytes: usize) -> NonNull<u8> {
        assert!(offset.checked_add(bytes).is_some_and(|end| end <= self.map.len()));
        // SAFETY: within the mapping, as asserted; a mapping is never at address zero.
        unsafe { NonNull::new_unchecked(self.map.as_mut_ptr().add(offset)) }
    }

    /// Zeroes a part that this process alone writes.
    ///
    /// Panics when the segment is not writable or the part not within it.
    pub(crate) fn clear(&mut self, offset: usize, bytes: usize) {
        assert!(self.writable);
        let base = self.address(offset, bytes);
        // SAFETY: mapped and writable; nobody else writes here, as in `bytes_mut`. There is no
        // reference, so that addresses which a model has stay good.
        unsafe { base.write_bytes(0, bytes) };
    }

    /// A part that this process alone writes, and that it is writing now.
    ///
    /// Panics when the segment is not writable or the part not within it.
    pub fn bytes_mut(&mut self, offset: usize, bytes: usize) -> &mut [u8] {
        assert!(self.writable);
        let base = self.address(offset, bytes);
        // SAFETY: mapped and writable. No other process writes here, by the seal on what this one
        // made or by the promise to `open_writable`; and no other reference in this process covers
        // it, since `self` is the one writable mapping and is borrowed.
        unsafe { std::slice::from_raw_parts_mut(base.as_ptr(), bytes) }
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn step_error(step: &'static str, bytes: usize, source: std::io::Error) -> SegmentError {
    SegmentError::Step { step, bytes, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Words;

    #[test]
    fn two_mappings_show_the_same_words() {
        let maker = Segment::create(c"cutter-test", 8192, Writer::Peer).unwrap();
        let fd = maker.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: nobody else writes it.
        let peer = unsafe { Segment::open_writable(fd, 8192) }.unwrap();
        peer.words().store_relaxed(1023, 42);
        assert_eq!(maker.words().load_relaxed(1023), 42);
    }

    #[test]
    fn pages_of_a_segment_made_in_part_are_taken_when_they_are_written() {
        let (bytes, present, page) = (64 << 20, 64 << 10, 4096);
        let mut maker =
            Segment::create_in_part(c"cutter-test", bytes, present, Writer::Maker).unwrap();
        let taken = |segment: &Segment| rustix::fs::fstat(segment).unwrap().st_blocks * 512;
        assert_eq!(taken(&maker), 64 << 10);
        // A reader maps it and takes nothing.
        let fd = maker.as_fd().try_clone_to_owned().unwrap();
        let peer = Segment::open(fd, bytes).unwrap();
        assert_eq!((peer.bytes(), taken(&peer)), (bytes, 64 << 10));
        maker.bytes_mut(bytes - 8, 8).fill(1);
        assert_eq!(peer.words().load_relaxed(bytes / 8 - 1), u64::from_ne_bytes([1; 8]));
        assert_eq!(taken(&peer), (64 << 10) + page);
    }

    #[test]
    fn a_makers_segment_cannot_be_mapped_writable_again() {
        let maker = Segment::create(c"cutter-test", 4096, Writer::Maker).unwrap();
        let fd = maker.as_fd().try_clone_to_owned().unwrap();
        // SAFETY: it is refused.
        let refused = unsafe { Segment::open_writable(fd, 4096) }.unwrap_err();
        assert!(refused.to_string().starts_with("cannot map a segment of 4096 bytes"));
    }

    #[test]
    fn a_segment_of_another_size_is_refused() {
        let maker = Segment::create(c"cutter-test", 4096, Writer::Maker).unwrap();
        let fd = maker.as_fd().try_clone_to_owned().unwrap();
        let refused = Segment::open(fd, 8192).unwrap_err();
        assert_eq!(refused.to_string(), "a segment has 4096 bytes where 8192 were announced");
    }

    #[test]
    fn a_segment_whose_size_is_not_sealed_is_refused() {
        for seals in [SealFlags::empty(), SealFlags::GROW, SealFlags::SHRINK] {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let fd = rustix::fs::memfd_create(c"cutter-test", flags).unwrap();
            rustix::fs::ftruncate(&fd, 4096).unwrap();
            rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
            let refused = Segment::open(fd, 4096).unwrap_err();
            assert!(matches!(refused, SegmentError::Unsealed { bytes: 4096 }), "{refused}");
        }
    }

    #[test]
    fn words_keep_their_mapping() {
        let maker = Segment::create(c"cutter-test", 4096, Writer::Maker).unwrap();
        let words = maker.words();
        words.store_relaxed(511, 42);
        drop(maker);
        assert_eq!(words.load_relaxed(511), 42);
    }

    #[test]
    fn sizes_are_sealed() {
        let maker = Segment::create(c"cutter-test", 4096, Writer::Peer).unwrap();
        assert_eq!(rustix::fs::ftruncate(&maker, 8192), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&maker, 0), Err(Errno::PERM));
    }
}
