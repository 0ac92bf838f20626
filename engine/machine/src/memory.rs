//! Large pieces of memory: got without a copy and given back without holding anybody up.
//!
//! The C library's allocator raises, as large pieces are freed, the size from which a piece has a
//! mapping of its own, up to 32 MiB. Below it a piece that grows is copied, and whoever frees one
//! keeps the lock of the thread that took it until the pages are gone: either is a pause of
//! milliseconds on a thread that has microseconds. With mappings of their own, pieces grow by
//! moving page tables, and no lock is shared but the kernel's, of the address space; which is held
//! for a moment at a time if the pages are given back little by little.

use std::ffi::c_void;

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

use crate::limits::{FREED_AT_ONCE_BYTES, OWN_MAPPING_BYTES_MIN};

/// From now on allocations of this process from [`OWN_MAPPING_BYTES_MIN`] on have a mapping of
/// their own. Says whether the C library knows how.
///
/// It changes the whole process, so it is for who owns that: a program's `main`.
pub fn map_large_allocations() -> bool {
    #[cfg(target_env = "gnu")]
    {
        let bytes = i32::try_from(OWN_MAPPING_BYTES_MIN).expect("a small constant");
        // SAFETY: it changes a parameter of the allocator, under the allocator's own lock.
        unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, bytes) == 1 }
    }
    #[cfg(not(target_env = "gnu"))]
    {
        false
    }
}

/// Frees a large buffer: its pages go a few at a time, so that a thread which maps memory meanwhile
/// waits for a moment, and not for all of them.
pub fn free_in_pieces(mut bytes: Vec<u8>) {
    let page = page_size();
    let room = bytes.spare_capacity_mut();
    let end = room.as_mut_ptr_range().end.cast::<u8>();
    let start = bytes.as_mut_ptr();
    // Only whole pages are given back; what else lies on the first and the last may be another's.
    let lead = start.align_offset(page);
    let whole = (end as usize).saturating_sub(start as usize + lead) / page * page;
    for at in (0..whole).step_by(FREED_AT_ONCE_BYTES) {
        let piece = FREED_AT_ONCE_BYTES.min(whole - at);
        // SAFETY: the pages lie within the buffer's allocation, which is private anonymous memory
        // that nobody but this function knows of. They read as zeros from now on, and are freed
        // unread.
        let advised =
            unsafe { madvise(start.add(lead + at).cast::<c_void>(), piece, Advice::LinuxDontNeed) };
        if advised.is_err() {
            // Then freeing it takes a little longer.
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_any_size_are_freed_and_their_neighbours_stay() {
        map_large_allocations();
        let page = page_size();
        for bytes in [0, 1, page - 1, page, 3 * page + 7, FREED_AT_ONCE_BYTES * 3 + 1] {
            let before = vec![0xA5u8; page / 2];
            let freed = vec![0x5Au8; bytes];
            let mut longer = Vec::with_capacity(bytes + page);
            longer.resize(bytes, 1u8);
            let behind = vec![0xA5u8; page / 2];
            free_in_pieces(freed);
            free_in_pieces(longer);
            assert!(before.iter().chain(&behind).all(|byte| *byte == 0xA5), "{bytes} bytes");
        }
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn large_buffers_have_mappings_of_their_own_whatever_was_freed_before() {
        assert!(map_large_allocations());
        // By itself the allocator would now take up to 16 MiB from its heap.
        drop(vec![1u8; 16 << 20]);
        let buffers = [(); 8].map(|()| vec![1u8; OWN_MAPPING_BYTES_MIN]);
        // SAFETY: it reads the allocator's counters, under the allocator's own locks.
        let mapped = unsafe { libc::mallinfo2() }.hblks;
        assert!(mapped >= buffers.len(), "{mapped} mappings");
    }
}
