//! Who runs where: one core for who answers, one for who asks.

use std::io;
use std::sync::mpsc;
use std::thread;

use cutter_machine::affinity;
use rustix::thread::sched_setaffinity;

/// The two ends of an exchange; the same core twice when both share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    pub server: usize,
    pub client: usize,
}

/// Pins the calling thread, wherever the thread that started it is pinned.
pub fn pin(cpu: usize) -> io::Result<()> {
    sched_setaffinity(None, &affinity::mask(cpu))?;
    affinity::pin_current(cpu).map_err(io::Error::other)
}

/// Runs `other` on a core in a thread of its own, and `main` as soon as that thread is there.
/// Before `main` ends it tells `other` to end. Gives what `main` and `other` gave.
pub fn beside<T, U: Send>(
    cpu: usize,
    other: impl FnOnce() -> U + Send,
    main: impl FnOnce() -> T,
) -> io::Result<(T, U)> {
    thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let other = scope.spawn(move || {
            let pinned = pin(cpu);
            let is_pinned = pinned.is_ok();
            // The receiver waits for just this.
            let _ = ready.send(pinned);
            is_pinned.then(other)
        });
        is_ready.recv().map_err(io::Error::other)??;
        let value = main();
        let other = other.join().map_err(|_| io::Error::other("a thread beside this panicked"))?;
        Ok((value, other.expect("it was pinned, so it ran")))
    })
}
