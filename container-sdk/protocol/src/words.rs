//! The memory that rings and flags stand on: 64-bit words that two processes share.
//!
//! [`Words`] is the seam between the algorithms and the memory. In production it is
//! [`SharedWords`], words of a mapped segment; under test it is a heap of model-checked atomics.
//! No reference to shared memory leaves this module: only values of words go in and out.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use memmap2::MmapRaw;

/// Words that another process may read or write at any time.
pub trait Words {
    fn load_relaxed(&self, word: usize) -> u64;
    fn load_acquire(&self, word: usize) -> u64;
    fn store_relaxed(&self, word: usize, value: u64);
    fn store_release(&self, word: usize, value: u64);
    /// A sequentially consistent fence.
    fn fence(&self);
}

/// Words within a mapped segment, which stays mapped for as long as they live.
///
/// Stores are made only where the mapping is writable.
#[derive(Clone, Debug)]
pub struct SharedWords {
    base: NonNull<u64>,
    words: usize,
    /// Keeps what `base` points to.
    map: Arc<MmapRaw>,
}

// SAFETY: every access goes through an atomic, from whichever thread.
unsafe impl Send for SharedWords {}
// SAFETY: as above.
unsafe impl Sync for SharedWords {}

impl SharedWords {
    /// All whole words of a mapping.
    pub(crate) fn of(map: &Arc<MmapRaw>) -> Self {
        let base = NonNull::new(map.as_mut_ptr().cast::<u64>());
        let base = base.expect("a mapping is never at address zero");
        assert!(base.is_aligned());
        Self { base, words: map.len() / size_of::<u64>(), map: Arc::clone(map) }
    }

    /// The same memory, from `first` on, `words` long.
    pub(crate) fn part(&self, first: usize, words: usize) -> Self {
        assert!(first.checked_add(words).is_some_and(|end| end <= self.words));
        // SAFETY: within the mapping, as asserted.
        let base = unsafe { self.base.add(first) };
        Self { base, words, map: Arc::clone(&self.map) }
    }

    pub(crate) fn address(&self, word: usize) -> NonNull<u64> {
        assert!(word < self.words);
        // SAFETY: within the mapping, as asserted.
        unsafe { self.base.add(word) }
    }

    #[inline]
    fn atomic(&self, word: usize) -> &AtomicU64 {
        // SAFETY: aligned, and mapped while `self` keeps the mapping; an atomic may be shared with
        // any writer, in this process or another.
        unsafe { AtomicU64::from_ptr(self.address(word).as_ptr()) }
    }

    /// Copies whole words out, each read once.
    pub(crate) fn copy_out(&self, first: usize, into: &mut [u64]) {
        assert!(first.checked_add(into.len()).is_some_and(|end| end <= self.words));
        for (index, word) in into.iter_mut().enumerate() {
            *word = self.atomic(first + index).load(Ordering::Relaxed);
        }
    }
}

impl Words for SharedWords {
    #[inline]
    fn load_relaxed(&self, word: usize) -> u64 {
        self.atomic(word).load(Ordering::Relaxed)
    }

    #[inline]
    fn load_acquire(&self, word: usize) -> u64 {
        self.atomic(word).load(Ordering::Acquire)
    }

    #[inline]
    fn store_relaxed(&self, word: usize, value: u64) {
        self.atomic(word).store(value, Ordering::Relaxed);
    }

    #[inline]
    fn store_release(&self, word: usize, value: u64) {
        self.atomic(word).store(value, Ordering::Release);
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}
