//! Pinning threads and processes to cores, with the mask read back.
//!
//! A core outside the allowed mask (a cpuset, a container's limit) is refused with the mask in the
//! text: pinning that silently does nothing is worse than none.
//!
//! `core_affinity` lists the cores and pins the calling thread. What it has no words for is
//! `rustix`'s: another process's mask, and the mask that a replica is given between fork and exec.

use std::io;

use core_affinity::CoreId;
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity};

/// Why a pin did not take.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("core {cpu} is not among the cores that this process may use: {allowed:?}")]
    NotAllowed { cpu: usize, allowed: Vec<usize> },
    #[error("cannot pin to core {cpu}: {source}")]
    Refused {
        cpu: usize,
        #[source]
        source: io::Error,
    },
    #[error("pinned to core {cpu}, but the kernel says {found:?}")]
    NotTaken { cpu: usize, found: Vec<usize> },
}

/// The cores that the calling thread may run on.
pub fn allowed() -> io::Result<Vec<usize>> {
    // It says only that its call failed: why is in errno still.
    let cores = core_affinity::get_core_ids().ok_or_else(io::Error::last_os_error)?;
    Ok(cores.iter().map(|core| core.id).collect())
}

/// The cores that a process (its main thread) may run on; `None` is the calling thread.
pub fn cores_of(pid: Option<Pid>) -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(pid)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// A mask of one core.
pub fn mask(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

/// Pins the calling thread.
pub fn pin_current(cpu: usize) -> Result<(), PinError> {
    let refused = |source| PinError::Refused { cpu, source };
    let allowed = allowed().map_err(refused)?;
    if !allowed.contains(&cpu) {
        return Err(PinError::NotAllowed { cpu, allowed });
    }
    if !core_affinity::set_for_current(CoreId { id: cpu }) {
        // As in `allowed`.
        return Err(refused(io::Error::last_os_error()));
    }
    match cores_of(None).map_err(refused)? {
        found if found == [cpu] => Ok(()),
        found => Err(PinError::NotTaken { cpu, found }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_is_where_it_was_put() {
        std::thread::spawn(|| {
            let last = *allowed().unwrap().last().unwrap();
            pin_current(last).unwrap();
            assert_eq!(allowed().unwrap(), [last]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_core_that_is_not_allowed_is_refused_with_those_that_are() {
        let refused = pin_current(1023).unwrap_err().to_string();
        assert!(refused.starts_with("core 1023 is not among the cores"), "{refused}");
    }
}
