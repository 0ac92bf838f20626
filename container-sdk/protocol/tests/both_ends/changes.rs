//! Changes of the pools of a running replica: both ends over a real socket pair, completions that
//! keep to nothing, and an engine that does not keep to the protocol.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytemuck::Zeroable;
use cutter_protocol::container::ContainerError;
use cutter_protocol::engine::{EngineEnd, Polled, PoolChange, PoolChanged};
use cutter_protocol::entry::{
    Completion, FLAG_INLINE, FLAG_UNIFORM, STATUS_FAILED, STATUS_OK, Ticket,
};
use cutter_protocol::limits::{MESSAGE_BYTES_MAX, POOLS_MAX};
use cutter_protocol::violation::Violation;
use cutter_protocol::wait::WaitStrategy;
use cutter_protocol::wire::{POOL_MAGIC, WirePool, WirePoolMessage, WireSignature};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::support::peer::{change, ends, submit};
use crate::support::{
    Answer, Engine, Setup, at_most_bytes, echo, exact_bytes, input_of, row_bytes, row_ref, serve,
};

/// Rows of a pool that comes later, and their bytes.
const SIZES: (u32, u32) = (8, 24);
const MAP: PoolChange = PoolChange::Map { pool: 3 };
const UNMAP: PoolChange = PoolChange::Unmap { pool: 3 };

fn setup() -> Setup {
    Setup::new(exact_bytes(24))
}

fn echoed(rows: &[(u32, u32)]) -> Answer {
    Answer::Items(rows.iter().map(|(pool, row)| Ok(row_bytes(*pool, *row, 24))).collect())
}

/// A batch of these rows of a pool is predicted right behind what was submitted before.
fn submit_rows(engine: &mut Engine, rows: &[(u32, u32)]) {
    let rows: Vec<_> = rows.iter().map(|(pool, row)| row_ref(*pool, *row, 24)).collect();
    engine.end.submit(&rows, 0);
}

#[test]
fn a_pool_is_mapped_while_batches_run_and_unmapped_again() {
    for wait in WaitStrategy::ALL {
        let served = setup().wait(wait).run(
            |end| serve(end, echo),
            |engine| {
                for _ in 0..3 {
                    // In one go: a batch before, the change, and a batch that needs it.
                    submit_rows(engine, &[(0, 1), (0, 2)]);
                    let _pool = engine.map_pool(3, SIZES);
                    submit_rows(engine, &[(3, 5), (0, 1), (3, 6)]);
                    assert_eq!(engine.end.in_flight(), 2);
                    assert!(!engine.end.has_free_change());
                    assert_eq!(engine.next_answer(), echoed(&[(0, 1), (0, 2)]));
                    assert_eq!(engine.next_change(), (MAP, Ok(())));
                    assert_eq!(engine.next_answer(), echoed(&[(3, 5), (0, 1), (3, 6)]));
                    submit_rows(engine, &[(3, 0), (3, 1)]);
                    engine.end.unmap_pool(3);
                    submit_rows(engine, &[(0, 9)]);
                    assert_eq!(engine.next_answer(), echoed(&[(3, 0), (3, 1)]));
                    assert_eq!(engine.next_change(), (UNMAP, Ok(())));
                    assert_eq!(engine.next_answer(), echoed(&[(0, 9)]));
                }
                engine.stop();
            },
        );
        assert_eq!(served.unwrap(), 12);
    }
}

#[test]
fn every_place_for_a_pool_can_be_taken_and_given_up() {
    let served = setup().run(
        |end| serve(end, echo),
        |engine| {
            let places = 0..u32::try_from(POOLS_MAX).unwrap();
            engine.end.unmap_pool(0);
            assert_eq!(engine.next_change().1, Ok(()));
            for place in places.clone() {
                engine.map_pool(place, SIZES);
                assert_eq!(engine.next_change(), (PoolChange::Map { pool: place }, Ok(())));
            }
            let rows: Vec<_> = places.map(|place| (place, place % 8)).collect();
            submit_rows(engine, &rows);
            assert_eq!(engine.next_answer(), echoed(&rows));
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 1);
}

#[test]
fn the_ring_has_room_for_a_full_replica_its_change_and_its_end() {
    for depth in 1..=8 {
        let served = setup().depth(depth).run(
            |end| serve(end, echo),
            |engine| {
                let _pool = engine.map_pool(3, SIZES);
                (0..depth).for_each(|_| submit_rows(engine, &[(3, 1)]));
                engine.end.stop();
                assert!(!engine.end.has_free_ticket() && !engine.end.has_free_change());
                assert_eq!(engine.next_change(), (MAP, Ok(())));
                (0..depth).for_each(|_| assert_eq!(engine.next_answer(), echoed(&[(3, 1)])));
            },
        );
        assert_eq!(served.unwrap(), u64::from(depth));
    }
}

#[test]
fn a_change_under_way_shows() {
    let (mut engine, mut peer) = ends(exact_bytes(8));
    assert_eq!(engine.view().change, None);
    for generation in 1..5 {
        let ticket = Ticket { slot: 2, generation };
        assert_eq!(change(&mut engine, UNMAP), ticket);
        let view = engine.view();
        assert_eq!((view.change, view.tickets), (Some((ticket, UNMAP)), vec![]));
        peer.publish(peer.changed(ticket));
        let polled = engine.poll().unwrap();
        let Polled::PoolChanged(changed) = polled else { panic!("{polled:?}") };
        assert_eq!(changed, PoolChanged { change: UNMAP, result: Ok(()) });
    }
    assert_eq!((engine.view().change, engine.has_free_change()), (None, true));
}

/// What the engine makes of a completion of a change in which something was changed.
fn changed(tamper: impl FnOnce(&mut Completion)) -> Result<Result<(), Vec<u8>>, Violation> {
    let (mut engine, mut peer) = ends(exact_bytes(8));
    let ticket = change(&mut engine, MAP);
    peer.messages(2).fill(b'm');
    let mut completion = peer.changed(ticket);
    tamper(&mut completion);
    peer.publish(completion);
    let found = match engine.poll() {
        Ok(Polled::PoolChanged(changed)) => Ok(changed.result.map_err(<[u8]>::to_vec)),
        Ok(polled) => panic!("{polled:?}"),
        Err(violation) => Err(violation),
    };
    assert_eq!(engine.has_free_change(), found.is_ok());
    found
}

#[test]
fn a_change_that_failed_has_up_to_the_whole_area_for_its_message() {
    for bytes in [0, 1, 4095, 4096] {
        let found = changed(|it| (it.status, it.message_bytes) = (STATUS_FAILED, bytes));
        assert_eq!(found, Ok(Err(vec![b'm'; bytes as usize])));
    }
    assert_eq!(changed(|_| {}), Ok(Ok(())));
}

type Tamper = fn(&mut Completion);

#[test]
fn a_completion_of_a_change_that_is_not_in_order_is_not_believed() {
    let generation = |found| Violation::Generation { slot: 2, found, expected: 1 };
    let status = |status, flags| Violation::Status { status, flags };
    let items = |found| Violation::ItemCount { found, expected: 0 };
    let length = |found, most| Violation::Length { found, most };
    let cases: [(Tamper, Violation); 20] = [
        (|it| it.ticket.slot = 0, Violation::NotInFlight { slot: 0 }),
        (|it| it.ticket.slot = 3, Violation::Slot { slot: 3, depth: 2 }),
        (|it| it.ticket.slot = u32::MAX, Violation::Slot { slot: u32::MAX, depth: 2 }),
        (|it| it.ticket.generation = 0, generation(0)),
        (|it| it.ticket.generation = 2, generation(2)),
        (|it| it.status = 2, status(2, 0)),
        (|it| it.flags = FLAG_UNIFORM, status(STATUS_OK, FLAG_UNIFORM)),
        (|it| it.flags = FLAG_INLINE, status(STATUS_OK, FLAG_INLINE)),
        (|it| it.flags = FLAG_UNIFORM | FLAG_INLINE, status(STATUS_OK, 3)),
        (|it| (it.status, it.flags) = (STATUS_FAILED, 1), status(STATUS_FAILED, 1)),
        (|it| it.item_count = 1, items(1)),
        (|it| it.item_count = u32::MAX, items(u32::MAX)),
        (|it| it.output_bytes = 1, length(1, 0)),
        (|it| it.output_bytes = u64::MAX, length(u64::MAX, 0)),
        (|it| it.message_bytes = 1, length(1, 0)),
        (|it| (it.status, it.message_bytes) = (STATUS_FAILED, 4097), length(4097, 4096)),
        (|it| (it.status, it.output_bytes) = (STATUS_FAILED, 1), length(1, 0)),
        (|it| it.inline[1] = 1, Violation::Reserved),
        (|it| it.reserved = 1, Violation::Reserved),
        (|it| it.reserved_word = 1, Violation::Reserved),
    ];
    for (tamper, expected) in cases {
        assert_eq!(changed(tamper), Err(expected));
    }
}

#[test]
fn a_change_is_completed_once_and_only_when_it_was_asked_for() {
    let (mut engine, mut peer) = ends(exact_bytes(8));
    let not_in_flight = Violation::NotInFlight { slot: 2 };
    let mut complete = |engine: &mut EngineEnd, generation| {
        peer.publish(peer.changed(Ticket { slot: 2, generation }));
        engine.poll().map(drop)
    };
    assert_eq!(complete(&mut engine, 0), Err(not_in_flight));
    submit(&mut engine, 1);
    assert_eq!(complete(&mut engine, 1), Err(not_in_flight));
    change(&mut engine, MAP);
    assert_eq!(complete(&mut engine, 1), Ok(()));
    assert_eq!(complete(&mut engine, 1), Err(not_in_flight));
    change(&mut engine, UNMAP);
    let expected = Violation::Generation { slot: 2, found: 1, expected: 2 };
    assert_eq!(complete(&mut engine, 1), Err(expected));
    assert_eq!((engine.in_flight(), engine.has_free_change()), (1, false));
}

/// A segment without memory, of any size.
fn hollow(bytes: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create(c"cutter-test-hollow", flags).unwrap();
    rustix::fs::ftruncate(&fd, bytes).unwrap();
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);
const ROWS: u32 = 8;
const STRIDE: u32 = 64;

fn message() -> WirePoolMessage {
    let input: WireSignature = (&input_of(at_most_bytes(64))).into();
    let pool = WirePool { index: 3, rows: ROWS, stride: STRIDE, reserved: 0, input };
    WirePoolMessage { magic: POOL_MAGIC, pool }
}

fn send(engine: &Engine, message: &[u8], descriptors: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(descriptors.is_empty() || ancillary.push(SendAncillaryMessage::ScmRights(descriptors)));
    let parts = [std::io::IoSlice::new(message)];
    rustix::net::sendmsg(&engine.socket, &parts, &mut ancillary, SendFlags::empty()).unwrap();
}

#[test]
fn a_pool_for_which_there_is_no_memory_fails_and_the_container_serves_on() {
    let served = setup().run(
        |end| serve(end, echo),
        |engine| {
            let mut message = message();
            // More than there are addresses.
            (message.pool.rows, message.pool.stride) = (1 << 20, 1 << 30);
            let segment = hollow(1 << 50, SEALS);
            send(engine, bytemuck::bytes_of(&message), &[segment.as_fd()]);
            engine.end.map_pool(3);
            let (change, result) = engine.next_change();
            let text = result.unwrap_err();
            assert_eq!(change, MAP);
            assert!(text.starts_with("cannot map a segment of 1125899906842624 bytes: "), "{text}");
            assert!(text.len() <= MESSAGE_BYTES_MAX);
            // The place is free for another try.
            let _pool = engine.map_pool(3, SIZES);
            submit_rows(engine, &[(3, 1)]);
            assert_eq!(engine.next_change(), (MAP, Ok(())));
            assert_eq!(engine.next_answer(), echoed(&[(3, 1)]));
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 1);
}

/// How a container ends that has an engine which does not keep to the protocol.
fn ended(engine: impl FnOnce(&mut Engine)) -> String {
    let error = setup().run(
        |end| serve(end, echo).unwrap_err(),
        |it| {
            engine(it);
            let _ = rustix::event::poll(&mut [hangup(it)], None);
        },
    );
    assert!(!matches!(error, ContainerError::EngineGone));
    error.to_string()
}

fn hangup(engine: &Engine) -> rustix::event::PollFd<'_> {
    rustix::event::PollFd::new(&engine.socket, rustix::event::PollFlags::HUP)
}

#[test]
fn a_change_of_a_place_that_is_not_so_ends_the_container() {
    let due = "the engine asks to map pool 0, which is mapped already or beyond all pools: not of \
               this protocol";
    assert_eq!(ended(|engine| _ = engine.end.map_pool(0)), due);
    let due = "the engine asks to unmap pool 3, which is not mapped: not of this protocol";
    assert_eq!(ended(|engine| _ = engine.end.unmap_pool(3)), due);
}

#[test]
fn a_batch_with_rows_of_no_pool_ends_the_container() {
    let due = "the engine's batch has rows of pool 3, which is not mapped: not of this protocol";
    assert_eq!(ended(|engine| submit_rows(engine, &[(3, 0)])), due);
    assert_eq!(ended(|engine| submit_rows(engine, &[(0, 0), (3, 0)])), due);
    let unmapped = |engine: &mut Engine| {
        engine.end.unmap_pool(0);
        submit_rows(engine, &[(0, 0)]);
    };
    assert_eq!(ended(unmapped), due.replace("pool 3", "pool 0"));
    let due = due.replace("pool 3", "pool 16");
    assert_eq!(ended(|engine| submit_rows(engine, &[(16, 0)])), due);
}

/// How a container ends that gets such a message about pool 3.
fn ended_by(tamper: impl FnOnce(&mut WirePoolMessage), bytes: usize, descriptors: usize) -> String {
    let segment = hollow(u64::from(ROWS * STRIDE), SEALS);
    let mut message = message();
    tamper(&mut message);
    ended(|engine| {
        let descriptors = vec![segment.as_fd(); descriptors];
        send(engine, &bytemuck::bytes_of(&message)[..bytes], &descriptors);
        engine.end.map_pool(3);
    })
}

#[test]
fn a_message_about_a_pool_that_means_nothing_ends_the_container() {
    let whole = size_of::<WirePoolMessage>();
    let why = |why| format!("the engine asks to map pool 3, {why}: not of this protocol");
    let none = why("with a message that is none about a pool");
    assert_eq!(ended_by(|it| it.magic ^= 1, whole, 1), none);
    assert_eq!(ended_by(|_| {}, whole - 1, 1), none);
    assert_eq!(ended_by(|_| {}, 1, 1), none);
    let other = why("with a message about another pool");
    assert_eq!(ended_by(|it| it.pool.index = 4, whole, 1), other);
    let descriptors = why("with another number of descriptors than one");
    assert_eq!(ended_by(|_| {}, whole, 0), descriptors);
    assert_eq!(ended_by(|_| {}, whole, 2), descriptors);
    let hollow = why("whose type means nothing");
    assert_eq!(ended_by(|it| it.pool.input = WireSignature::zeroed(), whole, 1), hollow);
    let size = "a segment has 512 bytes where 576 were announced";
    assert_eq!(ended_by(|it| it.pool.rows += 1, whole, 1), size);
}

#[test]
fn a_pool_whose_size_is_not_sealed_ends_the_container() {
    let segment = hollow(u64::from(ROWS * STRIDE), SealFlags::GROW);
    let text = ended(|engine| {
        send(engine, bytemuck::bytes_of(&message()), &[segment.as_fd()]);
        engine.end.map_pool(3);
    });
    let due = "the size of a segment of 512 bytes is not sealed: it may be cut off under its \
               readers";
    assert_eq!(text, due);
}
