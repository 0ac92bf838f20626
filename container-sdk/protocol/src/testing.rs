//! Words on the heap, for tests that need no second process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::words::Words;

#[derive(Clone, Debug)]
pub struct HeapWords(Arc<[AtomicU64]>);

impl HeapWords {
    pub fn new(words: usize) -> Self {
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Words for HeapWords {
    fn load_relaxed(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::Relaxed)
    }
    fn load_acquire(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::Acquire)
    }
    fn store_relaxed(&self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::Relaxed);
    }
    fn store_release(&self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::Release);
    }
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }
}
