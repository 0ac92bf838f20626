//! The allocator of this test binary: the system's, which counts what one thread asks of it.
//!
//! Nothing here takes memory itself while it counts. Where the watched thread came to ask is noted
//! for the first few times only, which takes memory that is not counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many of the places are told from which memory was asked for.
const PLACES_MAX: usize = 3;

pub struct Counting;

/// The number by which the kernel knows the watched thread; none while it is 0.
static WATCHED: AtomicI32 = AtomicI32::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static REALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static FREES: AtomicU64 = AtomicU64::new(0);
static PLACES: Mutex<Vec<Backtrace>> = Mutex::new(Vec::new());

thread_local! {
    /// The number of this thread, once it is known.
    static THREAD: Cell<i32> = const { Cell::new(0) };
    /// Whether this thread is noting a place: what that takes is not counted.
    static NOTES: Cell<bool> = const { Cell::new(false) };
}

/// What the watched thread has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub allocations: u64,
    pub reallocations: u64,
    pub frees: u64,
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATIONS);
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(&REALLOCATIONS);
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.realloc(place, layout, bytes) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(&FREES);
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Counts from 0 what a thread asks for while `work` runs; and says from where it asked first.
pub fn of_thread(thread: i32, work: impl FnOnce()) -> (Counts, String) {
    let places = || PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    places().clear();
    let counters = [&ALLOCATIONS, &REALLOCATIONS, &FREES];
    // Relaxed, here and below: each count is one for itself, and `work` ends with answers that came
    // from the watched thread.
    counters.iter().for_each(|counter| counter.store(0, Ordering::Relaxed));
    WATCHED.store(thread, Ordering::Relaxed);
    work();
    WATCHED.store(0, Ordering::Relaxed);
    let [allocations, reallocations, frees] =
        counters.map(|counter| counter.load(Ordering::Relaxed));
    let places = places().iter().map(|place| format!("{place}\n")).collect();
    (Counts { allocations, reallocations, frees }, places)
}

fn count(counter: &AtomicU64) {
    // Relaxed: see `of_thread`.
    let watched = WATCHED.load(Ordering::Relaxed);
    if watched == 0 || watched != this_thread() || NOTES.get() {
        return;
    }
    counter.fetch_add(1, Ordering::Relaxed);
    NOTES.set(true);
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    if places.len() < PLACES_MAX {
        places.push(Backtrace::force_capture());
    }
    drop(places);
    NOTES.set(false);
}

fn this_thread() -> i32 {
    if THREAD.get() == 0 {
        THREAD.set(rustix::thread::gettid().as_raw_pid());
    }
    THREAD.get()
}
