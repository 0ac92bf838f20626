//! Making a ring, and saying in one line why it cannot be made.
//!
//! io_uring is switched off in many places (container runtimes, distributions, sysctl), and the
//! kernel says the same EPERM for two different causes. A wrong guess sends people to the wrong
//! switch, so the sysctl is read, on the failing path only, before anything is blamed. Version
//! numbers prove little (distributions port io_uring back, sandboxes cut it down): what counts is
//! [`self_test`], which receives real bytes through the real ring.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use io_uring::IoUring;
use rustix::io::Errno;
use thiserror::Error;

use super::{Completion, Ring, RingConfig, Token};
use crate::limits::{
    RING_COMPLETIONS_PER_BUFFER, RING_COMPLETIONS_PER_SUBMISSION, RING_ENTRIES_MAX,
    RING_SELF_TEST_WAIT_NS,
};

const SYSCTL_PATH: &str = "/proc/sys/kernel/io_uring_disabled";
const RELEASE_PATH: &str = "/proc/sys/kernel/osrelease";

/// Why there is no ring, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SetupError {
    #[error(
        "io_uring is not there (ENOSYS): kernel {release} was built without it, is older than 5.1, \
         or a seccomp profile hides it; run Linux 6.1 or later and allow io_uring_setup, \
         io_uring_enter and io_uring_register in the profile"
    )]
    Absent { release: String },
    #[error(
        "io_uring is forbidden ({errno}) though sysctl kernel.io_uring_disabled is {}: a seccomp \
         profile (the default of Docker and containerd) or a security module refuses it; allow \
         io_uring_setup, io_uring_enter and io_uring_register in the profile",
        sysctl_text(*.sysctl)
    )]
    Filtered { errno: Errno, sysctl: Option<u8> },
    #[error(
        "io_uring is kept for one group (EPERM, sysctl kernel.io_uring_disabled is 1): add this \
         user to the group in sysctl kernel.io_uring_group, or set kernel.io_uring_disabled to 0"
    )]
    GroupOnly,
    #[error(
        "io_uring is switched off (EPERM, sysctl kernel.io_uring_disabled is {sysctl}): set it to \
         0, or to 1 with this user in the group of sysctl kernel.io_uring_group"
    )]
    SwitchedOff { sysctl: u8 },
    #[error(
        "no memory for io_uring (ENOMEM): raise the locked memory limit (ulimit -l, systemd \
         LimitMEMLOCK) or the memory limit of the cgroup"
    )]
    NoMemory,
    #[error(
        "io_uring refused its set-up flags (EINVAL): Linux 6.1 or later is needed and this is \
         {release}; run a newer kernel"
    )]
    KernelTooOld { release: String },
    #[error("no file descriptor for io_uring ({errno}): raise the limit of open files (ulimit -n)")]
    NoDescriptor { errno: Errno },
    #[error("io_uring on kernel {release} failed with {errno}, which Cutter knows no remedy for")]
    Other { errno: Errno, release: String },
    #[error(
        "io_uring was made but does not work on kernel {release}: {what}; run Linux 6.1 or later \
         outside a sandbox that emulates io_uring"
    )]
    SelfTest { what: String, release: String },
}

/// What a failed set-up call means. `sysctl` is what `kernel.io_uring_disabled` says, if it exists.
fn classify(errno: Errno, sysctl: Option<u8>, release: &str) -> SetupError {
    let release = release.to_owned();
    match (errno, sysctl) {
        (Errno::NOSYS, _) => SetupError::Absent { release },
        (Errno::PERM, Some(1)) => SetupError::GroupOnly,
        (Errno::PERM, Some(sysctl @ 2..)) => SetupError::SwitchedOff { sysctl },
        (Errno::PERM | Errno::ACCESS, sysctl) => SetupError::Filtered { errno, sysctl },
        (Errno::NOMEM, _) => SetupError::NoMemory,
        (Errno::INVAL, _) => SetupError::KernelTooOld { release },
        (Errno::MFILE | Errno::NFILE, _) => SetupError::NoDescriptor { errno },
        (errno, _) => SetupError::Other { errno, release },
    }
}

/// # Panics
/// When `sq_entries` is zero or above its limit.
pub(super) fn make(config: RingConfig) -> io::Result<IoUring> {
    let sq_entries = config.sq_entries;
    assert!((1..=RING_ENTRIES_MAX).contains(&sq_entries), "{sq_entries} submission entries");
    let cq_entries = u32::max(
        sq_entries.next_power_of_two() * RING_COMPLETIONS_PER_SUBMISSION,
        u32::from(config.receive_buffers) * RING_COMPLETIONS_PER_BUFFER,
    );
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(cq_entries)
        // The kernel's own bounds are met by cutting down, not by failing.
        .setup_clamp()
        .dontfork()
        .build(sq_entries)
}

/// [`classify`] with the facts of this machine.
pub(super) fn explain(error: &io::Error) -> SetupError {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    let sysctl = fs::read_to_string(SYSCTL_PATH).ok().and_then(|text| text.trim().parse().ok());
    classify(errno, sysctl, &release())
}

/// Receives a few bytes through the buffer ring, by multishot, then the end of the stream.
pub(super) fn self_test(ring: &mut Ring) -> Result<(), SetupError> {
    receive_through(ring).map_err(|what| SetupError::SelfTest { what, release: release() })
}

fn receive_through(ring: &mut Ring) -> Result<(), String> {
    // One byte fits any buffer.
    const PROBE: &[u8] = b"c";
    let (mut near, far) = UnixStream::pair().map_err(|error| format!("no socket pair: {error}"))?;
    ring.recv_multishot(far.as_fd(), Token::new(0, 0, 0));
    for turn in 0..2 {
        near.write_all(PROBE).map_err(|error| format!("no write to a socket pair: {error}"))?;
        let completion = next(ring)?;
        let Some(buffer) = completion.buffer else {
            return Err(format!("receive {turn} brought no buffer but {:?}", completion.result));
        };
        let same = ring.bytes(&buffer) == PROBE;
        ring.recycle(buffer);
        if !same {
            return Err(format!("receive {turn} brought other bytes than were sent"));
        }
        if !completion.more {
            return Err(format!("a multishot receive ended after receive {turn}"));
        }
    }
    drop(near);
    let last = next(ring)?;
    if last.result == Ok(0) && !last.more {
        return Ok(());
    }
    Err(format!("the end of a stream was told as {:?}", last.result))
}

fn next(ring: &mut Ring) -> Result<Completion, String> {
    let mut completions = Vec::new();
    ring.wait(Some(RING_SELF_TEST_WAIT_NS), &mut completions).map_err(|error| error.to_string())?;
    completions.pop().ok_or_else(|| "a receive did not complete in time".to_owned())
}

fn release() -> String {
    fs::read_to_string(RELEASE_PATH)
        .map_or_else(|_| "of unknown release".to_owned(), |text| text.trim().to_owned())
}

fn sysctl_text(sysctl: Option<u8>) -> String {
    sysctl.map_or_else(|| "absent".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::{SetupError, classify};

    const RELEASE: &str = "5.15.0-91-generic";

    #[test]
    fn each_refusal_is_told_apart() {
        let release = RELEASE.to_owned();
        let filtered = |errno, sysctl| SetupError::Filtered { errno, sysctl };
        let table = [
            (Errno::NOSYS, None, SetupError::Absent { release: release.clone() }),
            (Errno::NOSYS, Some(2), SetupError::Absent { release: release.clone() }),
            (Errno::PERM, None, filtered(Errno::PERM, None)),
            (Errno::PERM, Some(0), filtered(Errno::PERM, Some(0))),
            (Errno::PERM, Some(1), SetupError::GroupOnly),
            (Errno::PERM, Some(2), SetupError::SwitchedOff { sysctl: 2 }),
            (Errno::ACCESS, Some(0), filtered(Errno::ACCESS, Some(0))),
            (Errno::NOMEM, Some(0), SetupError::NoMemory),
            (Errno::INVAL, None, SetupError::KernelTooOld { release: release.clone() }),
            (Errno::MFILE, None, SetupError::NoDescriptor { errno: Errno::MFILE }),
            (Errno::NFILE, None, SetupError::NoDescriptor { errno: Errno::NFILE }),
            (Errno::IO, Some(0), SetupError::Other { errno: Errno::IO, release }),
        ];
        for (errno, sysctl, expected) in table {
            assert_eq!(classify(errno, sysctl, RELEASE), expected);
        }
    }

    #[test]
    fn each_text_is_one_line_and_names_its_cause_and_remedy() {
        let table = [
            (Errno::NOSYS, None, ["ENOSYS", RELEASE, "io_uring_setup"]),
            (Errno::PERM, None, ["is absent", "seccomp", "profile"]),
            (Errno::PERM, Some(0), ["is 0", "seccomp", "profile"]),
            (Errno::PERM, Some(1), ["is 1", "io_uring_group", "add this user"]),
            (Errno::PERM, Some(2), ["is 2", "io_uring_group", "set it to 0"]),
            (Errno::NOMEM, None, ["ENOMEM", "LimitMEMLOCK", "cgroup"]),
            (Errno::INVAL, None, ["EINVAL", "6.1", RELEASE]),
            (Errno::MFILE, None, ["descriptor", "ulimit", "-n"]),
        ];
        for (errno, sysctl, words) in table {
            let text = classify(errno, sysctl, RELEASE).to_string();
            assert!(!text.contains('\n'), "{text}");
            for word in words {
                assert!(text.contains(word), "{word:?} is missing in {text:?}");
            }
        }
    }
}
