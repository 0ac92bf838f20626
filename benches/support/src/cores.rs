//! Who runs where: one core for the engine, one for those who talk to it; and a core for everybody
//! where there are so many.

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

/// Who runs where while a model is served and asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seats {
    pub engine: usize,
    /// Several where one would be behind when the answers to a large batch come.
    pub generators: Vec<usize>,
    /// By replica.
    pub models: Vec<usize>,
    /// Nobody shares a core.
    pub are_apart: bool,
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

    /// Everybody on a core of their own, of those that this process may use. Where there are too
    /// few, a generator is with the engine when there is one model, and with the models when there
    /// are several.
    pub fn seats(self, models: usize) -> io::Result<Seats> {
        Ok(self.seats_of(&affinity::allowed()?, models))
    }

    fn seats_of(self, allowed: &[usize], models: usize) -> Seats {
        let Self { engine, other } = self;
        let is_free = |cpu: &usize| ![engine, other].contains(cpu);
        let free: Vec<usize> = allowed.iter().copied().filter(is_free).collect();
        let mut generators = vec![other];
        if let Some((free, more)) = free.split_at_checked(models) {
            generators.extend(more.iter().take(usize::from(models > 1)));
            return Seats { engine, generators, models: free.to_vec(), are_apart: true };
        }
        let generators = vec![if models == 1 { engine } else { other }];
        Seats { engine, generators, models: vec![other; models], are_apart: false }
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

#[cfg(test)]
mod tests {
    use super::*;

    const CORES: Cores = Cores { engine: 2, other: 3 };

    #[test]
    fn with_two_cores_the_generator_is_where_it_takes_least() {
        let one = CORES.seats_of(&[2, 3], 1);
        assert_eq!(
            one,
            Seats { engine: 2, generators: vec![2], models: vec![3], are_apart: false }
        );
        let four = CORES.seats_of(&[2, 3, 5, 6, 7], 4);
        assert_eq!((four.generators, four.models, four.are_apart), (vec![3], vec![3; 4], false));
    }

    #[test]
    fn with_enough_cores_everybody_has_one() {
        let four = CORES.seats_of(&[2, 3, 5, 6, 7, 9, 10, 11], 4);
        let models = vec![5, 6, 7, 9];
        assert_eq!(four, Seats { engine: 2, generators: vec![3, 10], models, are_apart: true });
        assert_eq!(CORES.seats_of(&[2, 3, 5, 6, 7, 9], 4).generators, [3]);
        assert_eq!(CORES.seats_of(&[2, 3, 5, 6], 1).generators, [3]);
    }
}
