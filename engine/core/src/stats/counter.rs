//! Single numbers, written by one thread and read by any.
//!
//! The writer loads and stores, with no locked instruction: that is exact as long as there is one
//! writer. A second writer would lose counts (and do no other harm).
//!
//! All accesses are relaxed and pair with no other: each number stands for itself, and nothing is
//! published through it. A reader sees each number whole, but two of them perhaps a moment apart.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Starts at 0.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one. Writer only.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// Counts `n`. Writer only.
    #[inline]
    pub fn add(&self, n: u64) {
        // Both pair with the load in `get`: see the module comment for why relaxed is enough.
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The count so far.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        // Pairs with the store in `add`.
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Starts at 0.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// What it is now. Writer only.
    #[inline]
    pub fn set(&self, value: u64) {
        // Pairs with the load in `get`.
        self.0.store(value, Relaxed);
    }

    /// What it was last set to.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        // Pairs with the store in `set`.
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_adds_up() {
        let counter = Counter::new();
        counter.increment();
        counter.add(41);
        assert_eq!(counter.get(), 42);
    }

    #[test]
    fn a_gauge_is_what_it_was_last_set_to() {
        let gauge = Gauge::new();
        assert_eq!(gauge.get(), 0);
        gauge.set(7);
        gauge.set(2);
        assert_eq!(gauge.get(), 2);
    }

    #[test]
    fn a_reader_on_another_thread_sees_the_final_count() {
        let counter = Counter::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..1_000).for_each(|_| counter.increment()));
        });
        assert_eq!(counter.get(), 1_000);
    }
}
