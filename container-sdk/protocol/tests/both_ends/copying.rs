//! Outputs are copied in pieces, into a buffer of their size, and can be kept.

use cutter_protocol::engine::{Completed, EngineEnd, Polled, Results};
use cutter_protocol::entry::{Completion, FLAG_INLINE, FLAG_UNIFORM};
use cutter_protocol::layout::Geometry;
use cutter_protocol::limits::COPY_BYTES_MAX;
use cutter_tensor::{Item, KeptOutput, OutputBytes, TensorSpec};

use crate::support::peer::{Peer, failed, ok, submit};
use crate::support::{Answer, answer, at_most_bytes, exact_bytes};

/// Bytes of an item that takes several pieces.
const LARGE: u32 = 600 << 10;

fn ends(items_max: u32, output: TensorSpec) -> (EngineEnd, Peer) {
    let geometry = Geometry::fit(2, items_max, output).expect("well within the limits");
    let engine = EngineEnd::create(geometry).expect("memory for an incarnation");
    let peer = Peer::of(&engine);
    (engine, peer)
}

/// Fills the output slot with bytes that differ from place to place.
fn fill(peer: &mut Peer, slot: u32) -> Vec<u8> {
    let outputs = peer.outputs(slot);
    for (index, byte) in outputs.iter_mut().enumerate() {
        *byte = (index % 251).to_le_bytes()[0];
    }
    outputs.to_vec()
}

/// Polls until the batch is there. Gives back how many pieces came before the last one.
fn poll_to_the_end(engine: &mut EngineEnd) -> (usize, Answer) {
    let in_flight = engine.in_flight();
    let mut pieces = 0;
    loop {
        assert!(engine.has_news());
        assert_eq!(engine.in_flight(), in_flight);
        match engine.poll().expect("all in order") {
            Polled::Nothing => panic!("nothing where a batch was under way"),
            Polled::Copying => pieces += 1,
            Polled::Completed(completed) => return (pieces, answer(&completed)),
            Polled::PoolChanged(changed) => panic!("not asked for: {changed:?}"),
        }
    }
}

fn output<'a>(completed: &Completed<'a>, item: usize) -> OutputBytes<'a> {
    let Results::Items(items) = &completed.results else { panic!("the batch succeeds") };
    let Item::Output(output) = items.get(item) else { panic!("the item succeeds") };
    output
}

fn completed(engine: &mut EngineEnd) -> Completed<'_> {
    engine.poll().expect("all in order").completed().expect("news")
}

#[test]
fn a_large_matrix_is_copied_in_pieces() {
    let (mut engine, mut peer) = ends(2, exact_bytes(LARGE));
    let ticket = submit(&mut engine, 2);
    let bytes = fill(&mut peer, ticket.slot);
    let completion = peer.uniform(ticket, 2);
    peer.publish(completion);
    let due = bytes[..2 * LARGE as usize].chunks_exact(LARGE as usize);
    let due = Answer::Items(due.map(|item| Ok(item.to_vec())).collect());
    let pieces = (2 * LARGE as usize).div_ceil(COPY_BYTES_MAX) - 1;
    assert_eq!(poll_to_the_end(&mut engine), (pieces, due));
    assert_eq!(engine.in_flight(), 0);
    assert!(!engine.has_news());
}

#[test]
fn large_items_of_their_own_length_are_copied_in_pieces() {
    let (mut engine, mut peer) = ends(5, at_most_bytes(LARGE));
    let ticket = submit(&mut engine, 5);
    let bytes = fill(&mut peer, ticket.slot);
    peer.messages(ticket.slot)[..5].copy_from_slice(b"wrong");
    let lengths = [LARGE, 0, 13, LARGE - 1];
    for (item, length) in (0..).zip(lengths) {
        peer.set_item(ticket.slot, item, ok(length));
    }
    peer.set_item(ticket.slot, 4, failed(0, 5));
    let completion = peer.by_table(ticket, 5);
    peer.publish(completion);
    let mut due: Vec<Result<Vec<u8>, String>> = vec![];
    for (item, length) in lengths.into_iter().enumerate() {
        due.push(Ok(bytes[item * LARGE as usize..][..length as usize].to_vec()));
    }
    due.push(Err("wrong".into()));
    let (pieces, found) = poll_to_the_end(&mut engine);
    assert!(pieces >= 4);
    assert_eq!(found, Answer::Items(due));
}

#[test]
fn a_large_matrix_with_a_failed_item_is_copied_in_pieces() {
    let (mut engine, mut peer) = ends(3, exact_bytes(LARGE - 3));
    let ticket = submit(&mut engine, 3);
    let bytes = fill(&mut peer, ticket.slot);
    peer.set_item(ticket.slot, 0, ok(LARGE - 3));
    peer.set_item(ticket.slot, 1, failed(7, 0));
    peer.set_item(ticket.slot, 2, ok(LARGE - 3));
    let completion = peer.by_table(ticket, 3);
    peer.publish(completion);
    let item = |index: usize| bytes[index * (LARGE as usize - 3)..][..LARGE as usize - 3].to_vec();
    let due = vec![Ok(item(0)), Err(String::new()), Ok(item(2))];
    let (pieces, found) = poll_to_the_end(&mut engine);
    assert!(pieces > 1);
    assert_eq!(found, Answer::Items(due));
}

#[test]
fn a_batch_that_is_copied_keeps_its_ticket_until_it_is_done() {
    let (mut engine, mut peer) = ends(1, exact_bytes(LARGE));
    let (first, second) = (submit(&mut engine, 1), submit(&mut engine, 1));
    for ticket in [first, second] {
        let completion = peer.uniform(ticket, 1);
        peer.publish(completion);
    }
    assert!(matches!(engine.poll(), Ok(Polled::Copying)));
    assert!(!engine.has_free_ticket());
    poll_to_the_end(&mut engine);
    assert_eq!(submit(&mut engine, 1).slot, first.slot);
    poll_to_the_end(&mut engine);
    assert!(matches!(engine.poll(), Ok(Polled::Nothing)));
}

#[test]
fn a_kept_output_outlives_the_next_completions_without_a_copy() {
    let (mut engine, mut peer) = ends(4, exact_bytes(24));
    let mut kept: Vec<(Vec<u8>, KeptOutput)> = vec![];
    for round in 0..3u8 {
        let ticket = submit(&mut engine, 4);
        peer.outputs(ticket.slot).fill(round);
        let completion = peer.uniform(ticket, 4);
        peer.publish(completion);
        let completed = completed(&mut engine);
        let third = output(&completed, 2);
        let handle = third.keep();
        assert_eq!(handle.bytes().as_ptr(), third.bytes().as_ptr());
        kept.push((vec![round; 24], handle));
    }
    drop(engine);
    assert!(kept.iter().all(|(due, kept)| kept.bytes() == due));
}

#[test]
fn a_buffer_that_nobody_keeps_is_used_again() {
    let (mut engine, mut peer) = ends(4, exact_bytes(24));
    let mut places = vec![];
    for _ in 0..3 {
        let ticket = submit(&mut engine, 4);
        let completion = peer.uniform(ticket, 4);
        peer.publish(completion);
        let completed = completed(&mut engine);
        drop(output(&completed, 1).keep());
        places.push(output(&completed, 0).bytes().as_ptr());
    }
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn outputs_that_came_in_the_completion_are_kept_too() {
    let (mut engine, mut peer) = ends(4, exact_bytes(5));
    let ticket = submit(&mut engine, 3);
    let inline = [u64::from_le_bytes(*b"sloopket"), u64::from_le_bytes(*b"chyawl  ")];
    let flags = FLAG_UNIFORM | FLAG_INLINE;
    let completion = Completion { flags, inline, ..peer.uniform(ticket, 3) };
    peer.publish(completion);
    let completed = completed(&mut engine);
    let kept = [0, 1, 2].map(|item| output(&completed, item).keep());
    drop(engine);
    let [first, second, third] = kept.each_ref().map(KeptOutput::bytes);
    assert_eq!((first, second, third), (&b"sloop"[..], &b"ketch"[..], &b"yawl "[..]));
}

#[test]
fn a_buffer_is_as_large_as_outputs_are_and_not_as_declared() {
    let (mut engine, mut peer) = ends(64, at_most_bytes(1 << 20));
    assert_eq!(engine.geometry().slot_bytes(), 64 << 20);
    let ticket = submit(&mut engine, 64);
    (0..64).for_each(|item| peer.set_item(ticket.slot, item, ok(1_000)));
    let completion = peer.by_table(ticket, 64);
    peer.publish(completion);
    let held_bytes = output(&completed(&mut engine), 63).keep().held_bytes();
    assert!((64 * 1_000..=2 * 64 * 1_000).contains(&held_bytes), "{held_bytes}");
}
