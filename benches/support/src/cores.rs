//! Who runs where: one core for the engine, one for those who talk to it.

use std::io;
use std::process::Child;

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

    /// Starts what pins its threads itself, from a thread that is pinned to the other core: a new
    /// thread has the cores of who starts it, and one that is not among them is refused.
    pub fn start<T>(self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Self { engine, other } = self;
        let mut both = affinity::mask(engine);
        both.set(other);
        sched_setaffinity(None, &both)?;
        let started = start();
        sched_setaffinity(None, &affinity::mask(other))?;
        started
    }
}

/// Pins a child that has just been started and has one thread.
pub fn pin_child(child: &Child, cpu: usize) -> io::Result<()> {
    Ok(sched_setaffinity(Some(Pid::from_child(child)), &affinity::mask(cpu))?)
}
