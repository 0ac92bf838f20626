//! Who runs where: one core for the engine, one for those who talk to it.

use std::io;
use std::process::Child;
use std::sync::mpsc;
use std::thread;

use cutter_machine::affinity;
use rustix::process::Pid;
use rustix::thread::sched_setaffinity;

/// The two cores of a bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cores {
    pub engine: usize,
    /// The container's and the client's.
    pub other: usize,
}

impl Cores {
    /// The first two cores that this process may use.
    pub fn choose() -> io::Result<Self> {
        match affinity::allowed()?.as_slice() {
            [engine, other, ..] => Ok(Self { engine: *engine, other: *other }),
            allowed => Err(io::Error::other(format!(
                "the benches take two cores, and this process may use {allowed:?} only"
            ))),
        }
    }
}

/// Pins the calling thread, wherever the thread that started it is pinned.
pub fn pin(cpu: usize) -> io::Result<()> {
    sched_setaffinity(None, &affinity::mask(cpu))?;
    affinity::pin_current(cpu).map_err(io::Error::other)
}

/// Pins a child that has just been started and has one thread.
pub fn pin_child(child: &Child, cpu: usize) -> io::Result<()> {
    Ok(sched_setaffinity(Some(Pid::from_child(child)), &affinity::mask(cpu))?)
}

/// Runs `other` on a core in a thread of its own, and `main` as soon as that thread is there.
/// Before
/// `main` ends it tells `other` to end.
pub fn beside<T>(
    cpu: usize,
    other: impl FnOnce() + Send,
    main: impl FnOnce() -> T,
) -> io::Result<T> {
    thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let other = scope.spawn(move || {
            let pinned = pin(cpu);
            let is_pinned = pinned.is_ok();
            // The receiver waits for just this.
            let _ = ready.send(pinned);
            if is_pinned {
                other();
            }
        });
        is_ready.recv().map_err(io::Error::other)??;
        let value = main();
        other.join().map_err(|_| io::Error::other("the thread on the other core panicked"))?;
        Ok(value)
    })
}
