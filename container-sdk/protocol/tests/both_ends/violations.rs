//! Each kind of violation, provoked once and told exactly, and every boundary from both sides.

use cutter_protocol::engine::{EngineEnd, Polled};
use cutter_protocol::entry::{
    Completion, FLAG_INLINE, FLAG_UNIFORM, ITEM_OK, ItemEntry, STATUS_FAILED, STATUS_OK, Ticket,
};
use cutter_protocol::violation::Violation;
use cutter_tensor::{ElementType, TensorSpec};

use crate::support::peer::{ITEMS_MAX, Peer, ends, failed, ok, submit};
use crate::support::{Answer, answer, at_most_bytes, exact_bytes, row_ref};

/// Items of the batch that is tampered with.
const ITEMS: u32 = 3;

/// An engine with one batch in flight, and the replica that has it.
#[derive(Debug)]
struct Stage {
    engine: EngineEnd,
    peer: Peer,
    ticket: Ticket,
}

impl Stage {
    fn new(output: TensorSpec) -> Self {
        let (engine, peer) = ends(output);
        let mut stage = Self { engine, peer, ticket: Ticket::default() };
        stage.ticket = stage.submit();
        stage
    }

    fn submit(&mut self) -> Ticket {
        submit(&mut self.engine, ITEMS)
    }

    /// What the engine makes of a completion in good order in which something was changed.
    fn completed(&mut self, tamper: impl FnOnce(&mut Completion)) -> Result<Answer, Violation> {
        let output = self.peer.geometry.output;
        let mut completion = self.peer.uniform(self.ticket, ITEMS);
        completion.flags = u16::from(output.bytes_exact().is_some()) * FLAG_UNIFORM;
        tamper(&mut completion);
        self.peer.publish(completion);
        self.poll()
    }

    /// What the engine makes of an entry of the item table.
    fn item_completed(&mut self, item: u32, entry: ItemEntry) -> Result<Answer, Violation> {
        let bytes = self.peer.geometry.output.bytes_exact().unwrap_or(0);
        let bytes = u32::try_from(bytes).expect("a small output");
        (0..ITEMS).for_each(|item| self.peer.set_item(0, item, ok(bytes)));
        self.peer.set_item(0, item, entry);
        self.completed(|completion| completion.flags = 0)
    }

    fn poll(&mut self) -> Result<Answer, Violation> {
        self.engine.poll().map(|completed| answer(&completed.completed().expect("news")))
    }
}

type Tamper = fn(&mut Completion);

fn assert_violations<const N: usize>(output: TensorSpec, cases: [(Tamper, Violation); N]) {
    for (tamper, expected) in cases {
        assert_eq!(Stage::new(output).completed(tamper), Err(expected));
    }
}

#[test]
fn a_completion_in_good_order_is_believed() {
    for output in [exact_bytes(8), at_most_bytes(20)] {
        let mut stage = Stage::new(output);
        let bytes = output.bytes_exact().unwrap_or(0);
        assert_eq!(stage.completed(|_| {}), Ok(Answer::Items(vec![Ok(vec![0; bytes]); 3])));
        assert_eq!(stage.engine.in_flight(), 0);
    }
}

#[test]
fn a_ticket_that_is_not_in_flight_is_not_completed() {
    assert_violations(
        exact_bytes(8),
        [
            (|it| it.ticket.slot = 2, Violation::NotInFlight { slot: 2 }),
            (|it| it.ticket.slot = 3, Violation::Slot { slot: 3, depth: 2 }),
            (|it| it.ticket.slot = u32::MAX, Violation::Slot { slot: u32::MAX, depth: 2 }),
            (|it| it.ticket.slot = 1, Violation::NotInFlight { slot: 1 }),
            (
                |it| it.ticket.generation = 0,
                Violation::Generation { slot: 0, found: 0, expected: 1 },
            ),
            (
                |it| it.ticket.generation = 2,
                Violation::Generation { slot: 0, found: 2, expected: 1 },
            ),
            (
                |it| it.ticket.generation = u32::MAX,
                Violation::Generation { slot: 0, found: u32::MAX, expected: 1 },
            ),
        ],
    );
}

#[test]
fn a_ticket_is_completed_once() {
    let mut stage = Stage::new(exact_bytes(8));
    stage.completed(|_| {}).unwrap();
    assert_eq!(stage.completed(|_| {}), Err(Violation::NotInFlight { slot: 0 }));
    // Nor is the next batch in the same slot completed by the old ticket.
    let next = stage.submit();
    assert_eq!(next, Ticket { slot: 0, generation: 2 });
    let expected = Violation::Generation { slot: 0, found: 1, expected: 2 };
    assert_eq!(stage.completed(|_| {}), Err(expected));
    assert_eq!(stage.engine.in_flight(), 1);
    stage.ticket = next;
    stage.completed(|_| {}).unwrap();
    assert_eq!(stage.engine.in_flight(), 0);
}

#[test]
fn tickets_may_complete_in_any_order() {
    let mut stage = Stage::new(exact_bytes(8));
    let first = stage.ticket;
    stage.ticket = stage.submit();
    assert_eq!(stage.ticket, Ticket { slot: 1, generation: 1 });
    stage.completed(|_| {}).unwrap();
    stage.ticket = first;
    stage.completed(|_| {}).unwrap();
    assert_eq!(stage.engine.in_flight(), 0);
}

#[test]
fn a_status_or_flag_that_is_not_defined_is_not_believed() {
    assert_violations(
        exact_bytes(8),
        [
            (|it| it.status = 2, Violation::Status { status: 2, flags: 1 }),
            (|it| it.status = u16::MAX, Violation::Status { status: u16::MAX, flags: 1 }),
            (|it| it.flags = 2, Violation::Status { status: 0, flags: 2 }),
            (|it| it.flags = 3, Violation::Status { status: 0, flags: 3 }),
            (|it| it.flags = 1 << 15, Violation::Status { status: 0, flags: 1 << 15 }),
            (|it| it.status = STATUS_FAILED, Violation::Status { status: 1, flags: 1 }),
        ],
    );
    // Outputs with lengths of their own are never uniform.
    assert_violations(
        at_most_bytes(20),
        [(|it| it.flags = FLAG_UNIFORM, Violation::Status { status: STATUS_OK, flags: 1 })],
    );
}

#[test]
fn a_batch_is_completed_with_all_its_items_and_no_more() {
    for tamper in [
        |it: &mut Completion| (it.status, it.flags) = (STATUS_OK, FLAG_UNIFORM),
        |it: &mut Completion| (it.status, it.flags) = (STATUS_OK, 0),
        |it: &mut Completion| (it.status, it.flags, it.output_bytes) = (STATUS_FAILED, 0, 0),
    ] {
        for found in [0, ITEMS - 1, ITEMS + 1, ITEMS_MAX, ITEMS_MAX + 1, u32::MAX] {
            let found_by_engine = Stage::new(exact_bytes(8)).completed(|it| {
                tamper(it);
                it.item_count = found;
            });
            assert_eq!(found_by_engine, Err(Violation::ItemCount { found, expected: ITEMS }));
        }
    }
}

#[test]
fn lengths_end_where_the_slot_and_the_message_area_do() {
    let length = |found, most| Violation::Length { found, most };
    assert_violations(
        exact_bytes(8),
        [
            (|it| it.output_bytes = 25, length(25, 24)),
            (|it| it.output_bytes = u64::MAX, length(u64::MAX, 24)),
            (|it| it.message_bytes = 1, length(1, 0)),
        ],
    );
    let failed = |it: &mut Completion| {
        (it.status, it.flags, it.output_bytes) = (STATUS_FAILED, 0, 0);
    };
    let violation = |tamper: Tamper| {
        let found = Stage::new(exact_bytes(8)).completed(|it| {
            failed(it);
            tamper(it);
        });
        found.unwrap_err()
    };
    assert_eq!(violation(|it| it.message_bytes = 4097), length(4097, 4096));
    let most = u64::from(u32::MAX);
    assert_eq!(violation(|it| it.message_bytes = u32::MAX), length(most, 4096));
    assert_eq!(violation(|it| it.output_bytes = 1), length(1, 0));
    // With lengths of their own, outputs lie on multiples of 8: 20 bytes are 24 apart.
    assert_violations(at_most_bytes(20), [(|it| it.output_bytes = 73, length(73, 72))]);
    assert!(Stage::new(exact_bytes(8)).completed(|it| it.output_bytes = 24).is_ok());
    assert!(Stage::new(at_most_bytes(20)).completed(|it| it.output_bytes = 72).is_ok());
}

#[test]
fn fewer_bytes_than_the_items_hold_are_not_believed() {
    let short = |found, needed| Violation::Short { found, needed };
    assert_violations(
        exact_bytes(8),
        [(|it| it.output_bytes = 23, short(23, 24)), (|it| it.output_bytes = 0, short(0, 24))],
    );
    let inline = |it: &mut Completion| {
        (it.flags, it.output_bytes) = (FLAG_UNIFORM | FLAG_INLINE, 14);
    };
    assert_eq!(Stage::new(exact_bytes(5)).completed(inline), Err(short(14, 15)));
    // By the item table, the last output that is there counts.
    for (bytes, found) in [(8, Err(short(55, 56))), (7, Ok(()))] {
        let mut stage = Stage::new(at_most_bytes(20));
        [ok(20), failed(0, 0), ok(bytes)]
            .into_iter()
            .zip(0..)
            .for_each(|(entry, item)| stage.peer.set_item(0, item, entry));
        assert_eq!(stage.completed(|it| it.output_bytes = 55).map(drop), found);
    }
}

#[test]
fn a_failed_batch_has_up_to_the_whole_area_for_its_message() {
    for bytes in [0, 1, 4095, 4096] {
        let mut stage = Stage::new(exact_bytes(8));
        stage.peer.messages(0).fill(b'm');
        let found = stage.completed(|it| {
            (it.status, it.flags, it.message_bytes) = (STATUS_FAILED, 0, bytes);
            it.output_bytes = 0;
        });
        assert_eq!(found, Ok(Answer::Failed("m".repeat(bytes as usize))));
    }
}

#[test]
fn reserved_fields_are_zero() {
    assert_violations(
        exact_bytes(8),
        [
            (|it| it.reserved = 1, Violation::Reserved),
            (|it| it.reserved = 1 << 31, Violation::Reserved),
            (|it| it.reserved_word = 1, Violation::Reserved),
            (|it| it.reserved_word = 1 << 63, Violation::Reserved),
        ],
    );
}

#[test]
fn outputs_in_the_entry_are_taken_only_where_they_fit() {
    let both = FLAG_UNIFORM | FLAG_INLINE;
    let status = Violation::Status { status: STATUS_OK, flags: both };
    assert_violations(exact_bytes(8), [(|it| it.flags = FLAG_UNIFORM | FLAG_INLINE, status)]);
    let status = Violation::Status { status: STATUS_OK, flags: FLAG_INLINE };
    assert_violations(exact_bytes(5), [(|it| it.flags = FLAG_INLINE, status)]);
    assert_violations(exact_bytes(5), [(|it| it.inline[1] = 1, Violation::Reserved)]);
    let inline = |it: &mut Completion| {
        (it.flags, it.inline) = (FLAG_UNIFORM | FLAG_INLINE, [u64::MAX; 2]);
    };
    assert!(Stage::new(exact_bytes(5)).completed(inline).is_ok());
}

#[test]
fn a_stamp_of_another_position_is_broken() {
    for found in [2, 3, 4, 5, u64::MAX, 1 << 63] {
        let mut stage = Stage::new(exact_bytes(8));
        let completion = stage.peer.uniform(stage.ticket, ITEMS);
        stage.peer.publish_stamped(Completion { stamp: found, ..completion });
        // Looking twice does not make it better.
        let broken = Err(Violation::Stamp { found, expected: 1 });
        assert_eq!([stage.poll(), stage.poll()], [broken.clone(), broken]);
        assert_eq!(stage.engine.in_flight(), 1);
    }
}

#[test]
fn a_stamp_of_the_lap_before_is_nothing_new() {
    let mut stage = Stage::new(exact_bytes(8));
    for _ in 0..4 {
        stage.completed(|_| {}).unwrap();
        stage.ticket = stage.submit();
    }
    assert!(matches!(stage.engine.poll(), Ok(Polled::Nothing)));
    for found in [0, 2, 4, 6] {
        let completion = stage.peer.uniform(stage.ticket, ITEMS);
        stage.peer.publish_stamped(Completion { stamp: found, ..completion });
        stage.peer.position -= 1;
        assert_eq!(stage.poll(), Err(Violation::Stamp { found, expected: 5 }));
    }
    stage.completed(|_| {}).unwrap();
}

#[test]
fn items_of_their_own_length_end_where_their_place_does() {
    let at_most = |item, entry| Stage::new(at_most_bytes(20)).item_completed(item, entry);
    for item in 0..ITEMS {
        for entry in [
            ok(21),
            ok(24),
            ok(u32::MAX),
            ItemEntry { message_bytes: 1, ..ok(20) },
            ItemEntry { status: 2, ..ok(0) },
            ItemEntry { status: u16::MAX, ..ok(0) },
        ] {
            let ItemEntry { status, message_bytes, bytes_or_offset: bytes } = entry;
            let expected = Violation::Item { item, status, bytes, message_bytes };
            assert_eq!(at_most(item, entry), Err(expected));
        }
        assert!(at_most(item, ok(20)).is_ok());
    }
}

#[test]
fn items_of_one_length_have_it() {
    let exact = |bytes| Stage::new(exact_bytes(8)).item_completed(1, ok(bytes));
    for bytes in [0, 7, 9, 16, u32::MAX] {
        let expected = Violation::Item { item: 1, status: ITEM_OK, bytes, message_bytes: 0 };
        assert_eq!(exact(bytes), Err(expected));
    }
    assert_eq!(exact(8), Ok(Answer::Items(vec![Ok(vec![0; 8]); 3])));
}

#[test]
fn items_hold_whole_elements() {
    let output = TensorSpec::at_most(ElementType::Float64, 20);
    let found = |bytes| Stage::new(output).item_completed(2, ok(bytes));
    for bytes in [1, 7, 12, 20] {
        let expected = Violation::Item { item: 2, status: ITEM_OK, bytes, message_bytes: 0 };
        assert_eq!(found(bytes), Err(expected));
    }
    assert!(found(16).is_ok());
}

#[test]
fn messages_of_items_lie_within_their_area() {
    for output in [exact_bytes(8), at_most_bytes(20)] {
        for entry in [
            failed(4096, 1),
            failed(4097, 0),
            failed(0, 4097),
            failed(1, 4096),
            failed(u32::MAX, 0),
            failed(u32::MAX, 1),
            failed(u32::MAX, u16::MAX),
            failed(u32::MAX - 4095, 4096),
        ] {
            let ItemEntry { status, message_bytes, bytes_or_offset: bytes } = entry;
            let expected = Violation::Item { item: 1, status, bytes, message_bytes };
            assert_eq!(Stage::new(output).item_completed(1, entry), Err(expected));
        }
        for entry in [failed(4096, 0), failed(4095, 1), failed(0, 4096), failed(0, 0)] {
            assert!(Stage::new(output).item_completed(1, entry).is_ok());
        }
    }
}

#[test]
fn messages_of_items_may_overlap() {
    let mut stage = Stage::new(exact_bytes(8));
    stage.peer.messages(0)[..4].copy_from_slice(b"both");
    (0..ITEMS).for_each(|item| stage.peer.set_item(0, item, failed(item, 2)));
    let messages = ["bo", "ot", "th"].map(|text| Err(text.to_owned()));
    assert_eq!(stage.completed(|it| it.flags = 0), Ok(Answer::Items(messages.to_vec())));
}

#[test]
fn the_item_table_beyond_the_batch_is_not_read() {
    let mut stage = Stage::new(exact_bytes(8));
    (0..ITEMS_MAX).for_each(|item| stage.peer.set_item(0, item, failed(u32::MAX, u16::MAX)));
    let found = stage.item_completed(0, ok(8));
    assert_eq!(found, Ok(Answer::Items(vec![Ok(vec![0; 8]); 3])));
}

#[test]
fn a_violation_frees_nothing() {
    let mut stage = Stage::new(exact_bytes(8));
    stage.completed(|it| it.reserved = 1).unwrap_err();
    stage.item_completed(2, ok(9)).unwrap_err();
    assert_eq!(stage.engine.in_flight(), 1);
    assert_eq!(stage.submit(), Ticket { slot: 1, generation: 1 });
    assert!(!stage.engine.has_free_ticket());
    stage.completed(|_| {}).unwrap();
}

#[test]
fn a_replica_that_lies_about_its_sleep_is_woken_for_nothing() {
    let mut stage = Stage::new(exact_bytes(8));
    stage.peer.set_word(0, 1 << 40);
    assert!(stage.engine.submit(&[row_ref(0, 0, 8)], 0).1);
    stage.completed(|_| {}).unwrap();
    stage.peer.set_word(0, 0);
    assert!(!stage.engine.submit(&[row_ref(0, 0, 8)], 0).1);
}

#[test]
fn every_kind_of_violation_has_its_name() {
    let kinds = [
        (Violation::Stamp { found: 0, expected: 0 }, "stamp"),
        (Violation::Slot { slot: 0, depth: 0 }, "slot"),
        (Violation::NotInFlight { slot: 0 }, "not_in_flight"),
        (Violation::Generation { slot: 0, found: 0, expected: 0 }, "generation"),
        (Violation::Status { status: 0, flags: 0 }, "status"),
        (Violation::ItemCount { found: 0, expected: 0 }, "item_count"),
        (Violation::Length { found: 0, most: 0 }, "length"),
        (Violation::Reserved, "reserved"),
        (Violation::Item { item: 0, status: 0, bytes: 0, message_bytes: 0 }, "item"),
        (Violation::WakeFlood { wakes: 0 }, "wake_flood"),
    ];
    assert_eq!(kinds.map(|(violation, _)| Violation::KINDS[violation.kind()]), kinds.map(|k| k.1));
    assert_eq!(Violation::KINDS.len(), kinds.len());
}
