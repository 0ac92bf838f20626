//! What the kernel does not let another process do to a segment, and what it lets a replica do that
//! the engine survives. The other process is this test binary, started anew with a descriptor.

mod support;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::process::Command;
use std::ptr::null_mut;

use cutter_protocol::engine::{EngineEnd, Polled};
use cutter_protocol::layout::Geometry;
use cutter_protocol::segment::{Segment, Writer};
use cutter_protocol::violation::Violation;
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, Result};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use support::peer::Peer;
use support::{Answer, answer, exact_bytes, row_ref};

const ENV_DESCRIPTOR: &str = "CUTTER_TEST_DESCRIPTOR";
const ENV_ATTACKS: &str = "CUTTER_TEST_ATTACKS";
/// Starts a line of the report.
const MARK: &str = "attack: ";
const PAGE: usize = 4096;

type Attack = fn(BorrowedFd<'_>) -> Result<()>;

/// Every way to change a segment that only its maker may write.
const ON_A_MAKERS: &[(&str, Attack)] = &[
    ("map writable", map_writable),
    ("upgrade a mapping", upgrade_mapping),
    ("write", |fd| rustix::io::write(fd, &[1]).map(drop)),
    ("write at a place", |fd| rustix::io::pwrite(fd, &[1], 8).map(drop)),
    ("copy a file into it", copy_file_into),
    ("send a file into it", send_file_into),
    ("write through the memory of the process", write_through_proc_mem),
    ("grow", |fd| rustix::fs::ftruncate(fd, size(fd) + 1)),
    ("shrink", |fd| rustix::fs::ftruncate(fd, size(fd) - 1)),
    ("empty", |fd| rustix::fs::ftruncate(fd, 0)),
    ("allocate beyond the end", allocate_beyond),
    ("punch a hole", punch_hole),
    ("remove pages", |fd| remove_pages(fd, ProtFlags::READ)),
    ("seal", |fd| rustix::fs::fcntl_add_seals(fd, SealFlags::WRITE)),
    ("reopen and map writable", |fd| map_writable(reopen(fd, OFlags::RDWR)?.as_fd())),
    ("reopen and write", |fd| rustix::io::write(reopen(fd, OFlags::RDWR)?, &[1]).map(drop)),
    ("reopen and punch a hole", |fd| punch_hole(reopen(fd, OFlags::RDWR)?.as_fd())),
    ("reopen emptied", |fd| reopen(fd, OFlags::RDWR.union(OFlags::TRUNC)).map(drop)),
];

/// What a replica may try on a segment that it writes.
const ON_A_REPLICAS: &[(&str, Attack)] = &[
    ("map writable", map_writable),
    ("grow", |fd| rustix::fs::ftruncate(fd, size(fd) + 1)),
    ("shrink", |fd| rustix::fs::ftruncate(fd, size(fd) - 1)),
    ("empty", |fd| rustix::fs::ftruncate(fd, 0)),
    ("allocate beyond the end", allocate_beyond),
    ("write beyond the end", |fd| rustix::io::pwrite(fd, &[1], size(fd)).map(drop)),
    ("seal", |fd| rustix::fs::fcntl_add_seals(fd, SealFlags::WRITE)),
    ("reopen emptied", |fd| reopen(fd, OFlags::RDWR.union(OFlags::TRUNC)).map(drop)),
];

/// The holes that a replica can make.
const HOLES: &[(&str, Attack)] = &[
    ("punch a hole", punch_hole),
    ("remove pages", |fd| remove_pages(fd, ProtFlags::READ.union(ProtFlags::WRITE))),
];

fn attacks(name: &str) -> &'static [(&'static str, Attack)] {
    match name {
        "maker" => ON_A_MAKERS,
        "replica" => ON_A_REPLICAS,
        _ => HOLES,
    }
}

/// The other process.
#[test]
#[ignore = "attacks what the tests here hand to it, in a process of its own"]
fn attacker() {
    // Nothing is handed to it when somebody runs all ignored tests.
    let Ok(number) = std::env::var(ENV_DESCRIPTOR) else { return };
    let number: RawFd = number.parse().unwrap();
    // SAFETY: inherited open from the test that started this process; nothing here closes it.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    for (name, attack) in attacks(&std::env::var(ENV_ATTACKS).unwrap()) {
        println!("\n{MARK}{name}: {}", outcome(attack(fd)));
    }
}

/// Attacks from another process. Gives back the report, in the order of the attacks.
fn attacked(fd: BorrowedFd<'_>, name: &str) -> Vec<String> {
    // Unlike the original, a duplicate stays open in a program that is started.
    let inherited = rustix::io::dup(fd).expect("a descriptor is free");
    let output = Command::new(std::env::current_exe().expect("a running test has a path"))
        .args(["--exact", "attacker", "--ignored", "--nocapture", "--test-threads=1"])
        .env(ENV_DESCRIPTOR, inherited.as_raw_fd().to_string())
        .env(ENV_ATTACKS, name)
        .output()
        .expect("a running test can be started");
    assert!(output.status.success(), "{output:?}");
    let report = String::from_utf8(output.stdout).expect("written above");
    report.lines().filter_map(|line| line.strip_prefix(MARK)).map(str::to_owned).collect()
}

fn outcome(result: Result<()>) -> String {
    match result {
        Ok(()) => "done".to_owned(),
        Err(Errno::PERM) => "EPERM".to_owned(),
        Err(Errno::ACCESS) => "EACCES".to_owned(),
        Err(Errno::IO) => "EIO".to_owned(),
        Err(errno) => errno.to_string(),
    }
}

fn size(fd: BorrowedFd<'_>) -> u64 {
    let size = rustix::fs::fstat(fd).expect("an open file").st_size;
    u64::try_from(size).expect("not negative")
}

fn map(fd: BorrowedFd<'_>, protection: ProtFlags) -> Result<*mut std::ffi::c_void> {
    // SAFETY: a new mapping at an address that the kernel chooses disturbs no other.
    unsafe { rustix::mm::mmap(null_mut(), PAGE, protection, MapFlags::SHARED, fd, 0) }
}

fn map_writable(fd: BorrowedFd<'_>) -> Result<()> {
    map(fd, ProtFlags::READ.union(ProtFlags::WRITE)).map(drop)
}

fn upgrade_mapping(fd: BorrowedFd<'_>) -> Result<()> {
    let page = map(fd, ProtFlags::READ)?;
    // SAFETY: the page mapped above, of which nobody else knows.
    unsafe { rustix::mm::mprotect(page, PAGE, MprotectFlags::READ.union(MprotectFlags::WRITE)) }
}

fn remove_pages(fd: BorrowedFd<'_>, protection: ProtFlags) -> Result<()> {
    let page = map(fd, protection)?;
    // SAFETY: the page mapped above, of which nobody else knows.
    unsafe { rustix::mm::madvise(page, PAGE, Advice::LinuxRemove) }
}

/// A debugger's way, which overrides the protection of private mappings.
fn write_through_proc_mem(fd: BorrowedFd<'_>) -> Result<()> {
    let page = map(fd, ProtFlags::READ)?;
    let memory = rustix::fs::open("/proc/self/mem", OFlags::RDWR, Mode::empty())?;
    rustix::io::pwrite(memory, &[1], page.addr() as u64).map(drop)
}

fn copy_file_into(fd: BorrowedFd<'_>) -> Result<()> {
    let file = rustix::fs::memfd_create(c"source", MemfdFlags::empty())?;
    rustix::io::write(&file, &[1; 64])?;
    rustix::fs::copy_file_range(file, Some(&mut 0), fd, Some(&mut 0), 64).map(drop)
}

fn send_file_into(fd: BorrowedFd<'_>) -> Result<()> {
    let file = rustix::fs::memfd_create(c"source", MemfdFlags::empty())?;
    rustix::io::write(&file, &[1; 64])?;
    rustix::fs::sendfile(fd, file, Some(&mut 0), 64).map(drop)
}

fn allocate_beyond(fd: BorrowedFd<'_>) -> Result<()> {
    rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, size(fd) + 1)
}

fn punch_hole(fd: BorrowedFd<'_>) -> Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);
    rustix::fs::fallocate(fd, flags, 0, size(fd))
}

fn reopen(fd: BorrowedFd<'_>, flags: OFlags) -> Result<std::os::fd::OwnedFd> {
    rustix::fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags, Mode::empty())
}

const REFUSED_ON_A_MAKERS: [&str; 18] = [
    "map writable: EPERM",
    "upgrade a mapping: EACCES",
    "write: EPERM",
    "write at a place: EPERM",
    "copy a file into it: EPERM",
    "send a file into it: EPERM",
    "write through the memory of the process: EIO",
    "grow: EPERM",
    "shrink: EPERM",
    "empty: EPERM",
    "allocate beyond the end: EPERM",
    "punch a hole: EPERM",
    "remove pages: EACCES",
    "seal: EPERM",
    "reopen and map writable: EPERM",
    "reopen and write: EPERM",
    "reopen and punch a hole: EPERM",
    "reopen emptied: EPERM",
];

#[test]
fn another_process_cannot_change_a_pool() {
    let mut pool = Segment::create(c"cutter-test-pool", 2 * PAGE, Writer::Maker).unwrap();
    pool.bytes_mut(0, 2 * PAGE).fill(0x5a);
    assert_eq!(attacked(pool.as_fd(), "maker"), REFUSED_ON_A_MAKERS);
    assert_eq!(pool.bytes_mut(0, 2 * PAGE), [0x5a; 2 * PAGE]);
}

#[test]
fn another_process_cannot_change_the_control_segment() {
    let engine = engine(2);
    let [control, ..] = engine.descriptors();
    assert_eq!(attacked(control, "maker"), REFUSED_ON_A_MAKERS);
}

#[test]
fn a_replica_cannot_resize_what_it_writes() {
    let engine = engine(2);
    let [_, completions, outputs, _] = engine.descriptors();
    for fd in [completions, outputs] {
        let expected = [
            "map writable: done",
            "grow: EPERM",
            "shrink: EPERM",
            "empty: EPERM",
            "allocate beyond the end: EPERM",
            "write beyond the end: EPERM",
            "seal: EPERM",
            "reopen emptied: EPERM",
        ];
        assert_eq!(attacked(fd, "replica"), expected);
    }
}

#[test]
fn the_seals_are_exactly_those_of_the_writer() {
    let seals = |writer| {
        let segment = Segment::create(c"cutter-test", PAGE, writer).unwrap();
        let seals = rustix::fs::fcntl_get_seals(&segment).unwrap();
        // Set by the kernel along with NOEXEC_SEAL, where it knows that.
        seals.difference(SealFlags::from_bits_retain(0x20))
    };
    let size = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW;
    assert_eq!(seals(Writer::Maker), size | SealFlags::FUTURE_WRITE);
    assert_eq!(seals(Writer::Peer), size);
}

fn engine(depth: u32) -> EngineEnd {
    let geometry = Geometry::fit(depth, 16, exact_bytes(8)).expect("well within the limits");
    EngineEnd::create(geometry).expect("memory for a small incarnation")
}

/// Batches of two items that were answered in good order.
fn batches(engine: &mut EngineEnd, peer: &mut Peer, batches: usize) {
    for _ in 0..batches {
        let (ticket, _) = engine.submit(&[row_ref(0, 0, 8), row_ref(0, 1, 8)], 0);
        peer.outputs(ticket.slot).fill(0xaa);
        let completion = peer.uniform(ticket, 2);
        peer.publish(completion);
        let completed = engine.poll().expect("all in order").completed().expect("news");
        assert_eq!(answer(&completed), Answer::Items(vec![Ok(vec![0xaa; 8]); 2]));
    }
}

fn punch(fd: BorrowedFd<'_>) {
    assert_eq!(attacked(fd, "holes"), ["punch a hole: done", "remove pages: done"]);
}

#[test]
fn a_hole_in_the_completions_is_a_broken_stamp() {
    let mut engine = engine(2);
    let mut peer = Peer::of(&engine);
    batches(&mut engine, &mut peer, 4);
    let (ticket, _) = engine.submit(&[row_ref(0, 0, 8)], 0);
    let completion = peer.uniform(ticket, 1);
    peer.publish(completion);
    punch(engine.descriptors()[1]);
    assert_eq!(engine.poll().unwrap_err(), Violation::Stamp { found: 0, expected: 5 });
}

#[test]
fn a_hole_in_the_completions_is_nothing_new_in_the_first_lap() {
    let mut engine = engine(2);
    let mut peer = Peer::of(&engine);
    batches(&mut engine, &mut peer, 1);
    let (ticket, _) = engine.submit(&[row_ref(0, 0, 8)], 0);
    let completion = peer.uniform(ticket, 1);
    peer.publish(completion);
    punch(engine.descriptors()[1]);
    assert!(!engine.has_news());
    assert!(matches!(engine.poll(), Ok(Polled::Nothing)));
    // The pages come back as soon as somebody writes them.
    peer.position = 1;
    let completion = peer.uniform(ticket, 1);
    peer.publish(completion);
    assert_eq!(engine.poll().unwrap().completed().unwrap().ticket, ticket);
}

#[test]
fn a_hole_in_the_outputs_is_read_as_zeros() {
    let mut engine = engine(1);
    let mut peer = Peer::of(&engine);
    batches(&mut engine, &mut peer, 3);
    let (ticket, _) = engine.submit(&[row_ref(0, 0, 8), row_ref(0, 1, 8)], 0);
    peer.outputs(ticket.slot).fill(0xaa);
    let completion = peer.uniform(ticket, 2);
    peer.publish(completion);
    punch(engine.descriptors()[2]);
    let completed = engine.poll().unwrap().completed().unwrap();
    assert_eq!(answer(&completed), Answer::Items(vec![Ok(vec![0; 8]); 2]));
    batches(&mut engine, &mut peer, 3);
}
