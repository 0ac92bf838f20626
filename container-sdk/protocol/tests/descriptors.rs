//! Descriptors and mappings are counted here, in a process of its own: nothing that a container
//! passes stays with the engine, and no incarnation leaves anything behind.

mod support;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytemuck::Zeroable;
use cutter_protocol::engine::EngineEnd;
use cutter_protocol::handshake::{Hello, join, send_refusal};
use cutter_protocol::layout::Geometry;
use cutter_protocol::wire::{ANSWER_ACCEPTED, ANSWER_MAGIC, WireAnswer};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use support::{Setup, echo, exact_bytes, hello, receive, serve, socket_pair};

/// Held by the one test that counts.
static COUNTING: Mutex<()> = Mutex::new(());

fn counting() -> MutexGuard<'static, ()> {
    COUNTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Open descriptors, and mappings of this crate's segments.
fn held() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("Linux has it").count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
    (descriptors, maps.lines().filter(|line| line.contains("memfd:cutter")).count())
}

fn send_with(socket: BorrowedFd<'_>, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    let parts = [IoSlice::new(message)];
    rustix::net::sendmsg(socket, &parts, &mut ancillary, SendFlags::empty())
        .expect("there is room for one message");
}

#[test]
fn descriptors_passed_with_a_hello_are_dropped() {
    let _counting = counting();
    let (engine, container) = socket_pair();
    send_refusal(engine.as_fd(), "only the hello matters").unwrap();
    let (read, write) = rustix::pipe::pipe().unwrap();
    let (spare_engine, spare_container) = socket_pair();
    send_refusal(spare_engine.as_fd(), "only the hello matters").unwrap();
    join(spare_container, &hello(exact_bytes(8))).unwrap_err();
    let message = receive(&spare_engine);

    send_with(container.as_fd(), &message, &[write.as_fd(); 64]);
    drop(write);
    let before = held();
    let heard = Hello::read(&receive(&engine)).unwrap();
    assert_eq!(heard, hello(exact_bytes(8)));
    assert_eq!(held(), before);
    // The end of the pipe: nobody has the other end any more, neither a process nor a socket.
    assert_eq!(rustix::io::read(&read, &mut [0; 8]), Ok(0));
}

#[test]
fn a_container_that_is_not_granted_keeps_nothing() {
    let _counting = counting();
    let end = EngineEnd::create(Geometry::fit(2, 16, exact_bytes(8)).unwrap()).unwrap();
    let before = held();
    let mut answer = WireAnswer::zeroed();
    answer.magic = ANSWER_MAGIC;
    let refused = answer;
    answer.accepted = ANSWER_ACCEPTED;
    for answer in [refused, answer] {
        let (engine, container) = socket_pair();
        send_with(engine.as_fd(), bytemuck::bytes_of(&answer), &end.descriptors());
        join(container, &hello(exact_bytes(8))).unwrap_err();
        drop(engine);
        assert_eq!(held(), before);
    }
}

#[test]
fn an_incarnation_leaves_nothing_behind() {
    let _counting = counting();
    let before = held();
    for _ in 0..20 {
        let served = Setup::new(exact_bytes(24)).pools(&[(8, 24), (8, 24)]).run(
            |end| serve(end, echo),
            |engine| {
                engine.submit(0, 1);
                engine.next();
                // Both ends: four descriptors and three segments, two pools, and a socket; the
                // counting itself has none.
                assert_eq!(held(), (before.0 + 2 * (4 + 2 + 1), before.1 + 2 * (3 + 2)));
                engine.stop();
            },
        );
        assert_eq!(served.unwrap(), 1);
        assert_eq!(held(), before);
    }
}

#[test]
fn a_pool_that_is_unmapped_leaves_nothing_behind() {
    let _counting = counting();
    let served = Setup::new(exact_bytes(24)).run(
        |end| serve(end, echo),
        |engine| {
            engine.submit(0, 1);
            engine.next();
            let before = held();
            for _ in 0..20 {
                let pool = engine.map_pool(5, (8, 24));
                engine.next_change().1.unwrap();
                // The engine's, and the container's.
                assert_eq!(held(), (before.0 + 2, before.1 + 2));
                engine.end.unmap_pool(5);
                engine.next_change().1.unwrap();
                assert_eq!(held(), (before.0 + 1, before.1 + 1));
                drop(pool);
                assert_eq!(held(), before);
            }
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 1);
}

/// Descriptors of the kinds that an incarnation has, in a program that this process starts.
fn inherited() -> usize {
    let listing = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output();
    let listing = String::from_utf8(listing.expect("every Linux has it").stdout);
    let kinds = ["memfd:cutter", "eventfd", "socket:"];
    let is_ours = |line: &&str| kinds.iter().any(|kind| line.contains(kind));
    listing.expect("no other names").lines().filter(is_ours).count()
}

#[test]
fn a_program_that_a_container_starts_inherits_nothing() {
    let _counting = counting();
    let before = inherited();
    let served = Setup::new(exact_bytes(24)).run(
        |end| serve(end, echo),
        |engine| {
            engine.submit(0, 1);
            engine.next();
            assert_eq!(inherited(), before);
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 1);
}
