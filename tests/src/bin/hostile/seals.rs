//! Attacks on the seals, from a real container, with the descriptors that it was given.

use std::io::{Result, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::null_mut;

use rustix::fs::{FallocateFlags, Mode, OFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mprotect};

use crate::peer::Peer;

const PAGE: usize = 4096;

type Attack = fn(BorrowedFd<'_>) -> rustix::io::Result<()>;

/// What would change a segment that only the engine writes.
const ATTACKS: [(&str, Attack); 10] = [
    ("map it writable", |fd| map(fd, both()).map(drop)),
    ("make a mapping writable", upgrade),
    ("write to it", |fd| rustix::io::pwrite(fd, &[1], 0).map(drop)),
    ("shrink it", |fd| ftruncate(fd, 0)),
    ("grow it", |fd| ftruncate(fd, 1 << 30)),
    ("punch a hole", |fd| punch(fd)),
    ("remove its pages", |fd| remove(fd)),
    ("reopen and map it writable", |fd| map(reopen(fd)?.as_fd(), both()).map(drop)),
    ("reopen and punch a hole", |fd| punch(reopen(fd)?.as_fd())),
    ("seal it more", |fd| fcntl_add_seals(fd, SealFlags::WRITE)),
];

/// Tries everything, and prints a line for each attack.
pub fn attack(peer: &Peer, out: &mut impl Write) -> Result<()> {
    let segments = [("control", Some(&peer.control)), ("inputs", peer.pool.as_ref())];
    for (name, fd) in segments.into_iter().filter_map(|(name, fd)| Some((name, fd?))) {
        for (what, attack) in ATTACKS {
            let outcome = match attack(fd.as_fd()) {
                Ok(()) => "DONE".to_owned(),
                Err(Errno::PERM) => "EPERM".to_owned(),
                Err(Errno::ACCESS) => "EACCES".to_owned(),
                Err(errno) => errno.to_string(),
            };
            writeln!(out, "attack on {name}: {what}: {outcome}")?;
        }
    }
    Ok(())
}

fn both() -> ProtFlags {
    ProtFlags::READ.union(ProtFlags::WRITE)
}

fn map(fd: BorrowedFd<'_>, protection: ProtFlags) -> rustix::io::Result<*mut std::ffi::c_void> {
    // SAFETY: a new mapping, at an address that the kernel chooses, disturbs no other.
    unsafe { mmap(null_mut(), PAGE, protection, MapFlags::SHARED, fd, 0) }
}

fn upgrade(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let page = map(fd, ProtFlags::READ)?;
    // SAFETY: the page mapped above, of which nobody else knows.
    unsafe { mprotect(page, PAGE, MprotectFlags::READ.union(MprotectFlags::WRITE)) }
}

fn remove(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    let page = map(fd, ProtFlags::READ)?;
    // SAFETY: the page mapped above, of which nobody else knows.
    unsafe { madvise(page, PAGE, Advice::LinuxRemove) }
}

fn punch(fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
    fallocate(fd, FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE), 0, PAGE as u64)
}

fn reopen(fd: BorrowedFd<'_>) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), OFlags::RDWR, Mode::empty())
}
