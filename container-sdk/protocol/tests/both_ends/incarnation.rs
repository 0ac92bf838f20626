//! One life of a replica, both ends in one process over a real socket pair: batches of every form,
//! results of every form, pipelining, stopping, sleeping and the engine's death.

use std::sync::mpsc;
use std::thread;

use cutter_protocol::container::{ContainerEnd, ContainerError, Next};
use cutter_protocol::engine::{Polled, Results};
use cutter_protocol::wait::WaitStrategy;
use cutter_tensor::{ElementType, TensorSpec};

use crate::support::{
    self, Answer, Engine, Setup, answer, at_most_bytes, echo, exact_bytes, row_bytes, row_ref,
    serve,
};

/// What a container saw of a batch.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    rows: Vec<Vec<u8>>,
    /// The matrix and its stride, when the batch is one.
    matrix: Option<(Vec<u8>, usize)>,
    deadline_ns: u64,
}

fn look(end: &mut ContainerEnd) -> Seen {
    let deadline_ns = end.deadline_ns();
    let (rows, outputs) = end.parts();
    outputs.fill(0);
    let seen = Seen {
        rows: (0..rows.len()).map(|index| rows.get(index).to_vec()).collect(),
        matrix: rows.dense().map(|(bytes, stride)| (bytes.to_vec(), stride)),
        deadline_ns,
    };
    end.complete().unwrap();
    seen
}

/// Runs one batch, and gives back what the container saw of it.
fn seen(setup: &Setup, rows: &[(u32, u32, u32)]) -> Seen {
    let container = |mut end: ContainerEnd| {
        assert_eq!(end.next(None).unwrap(), Next::Batch);
        look(&mut end)
    };
    setup.run(container, |engine| {
        let rows: Vec<_> = rows.iter().map(|row| row_ref(row.0, row.1, row.2)).collect();
        engine.end.submit(&rows, 77);
        engine.next();
    })
}

fn expected_rows(rows: &[(u32, u32, u32)]) -> Vec<Vec<u8>> {
    let cut = |row: &(u32, u32, u32)| row_bytes(row.0, row.1, 24)[..row.2 as usize].to_vec();
    rows.iter().map(cut).collect()
}

/// Runs one batch of `count` rows through `model`, and gives back the engine's answer.
fn answered(setup: &Setup, count: u32, model: impl FnMut(&mut ContainerEnd) + Send) -> Answer {
    let mut found = Answer::Items(vec![]);
    let served = setup.run(
        |end| serve(end, model),
        |engine| {
            engine.submit(0, count);
            found = engine.next_answer();
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 1);
    found
}

#[test]
fn rows_in_a_row_are_one_matrix() {
    let rows = [(0, 5, 24), (0, 6, 24), (0, 7, 24)];
    let seen = seen(&Setup::new(exact_bytes(8)), &rows);
    let (matrix, stride) = seen.matrix.unwrap();
    assert_eq!((matrix.len(), stride, seen.deadline_ns), (2 * 64 + 24, 64, 77));
    assert_eq!(matrix[128..], row_bytes(0, 7, 24));
    assert_eq!(seen.rows, expected_rows(&rows));
}

#[test]
fn one_row_is_one_matrix() {
    let seen = seen(&Setup::new(exact_bytes(8)), &[(0, 63, 24)]);
    assert_eq!(seen.matrix, Some((row_bytes(0, 63, 24), 64)));
}

#[test]
fn rows_in_a_row_of_the_second_pool_are_one_matrix() {
    let setup = Setup::new(exact_bytes(8)).pools(&[(8, 100), (16, 24)]);
    let rows = [(1, 14, 24), (1, 15, 24)];
    let seen = seen(&setup, &rows);
    assert_eq!(seen.matrix.unwrap().0.len(), 64 + 24);
    assert_eq!(seen.rows, expected_rows(&rows));
}

#[test]
fn rows_that_are_not_one_matrix_are_read_in_place() {
    let setup = Setup::new(exact_bytes(8)).pools(&[(64, 24), (64, 24)]);
    for rows in [
        [(0, 5, 24), (0, 7, 24), (0, 6, 24)],
        [(0, 5, 24), (0, 5, 24), (0, 5, 24)],
        [(0, 5, 24), (1, 6, 24), (0, 7, 24)],
        [(0, 5, 24), (0, 6, 23), (0, 7, 24)],
        [(0, 5, 0), (1, 63, 24), (0, 0, 1)],
    ] {
        let seen = seen(&setup, &rows);
        assert_eq!((seen.matrix, seen.rows), (None, expected_rows(&rows)));
    }
}

#[test]
fn exact_outputs_come_back_whole() {
    let expected = (0..16).map(|row| Ok(row_bytes(0, row, 7))).collect();
    assert_eq!(answered(&Setup::new(exact_bytes(7)), 16, echo), Answer::Items(expected));
}

#[test]
fn outputs_of_their_own_length_come_back_cut_to_it() {
    let lengths = [0, 1, 8, 9, 20];
    let model = |end: &mut ContainerEnd| {
        for (item, bytes) in (0..).zip(lengths) {
            end.set_output_bytes(item, bytes).unwrap();
        }
        echo(end);
    };
    let expected =
        (0..).zip(lengths).map(|(row, bytes)| Ok(row_bytes(0, row, 24)[..bytes].to_vec()));
    let expected = Answer::Items(expected.collect());
    assert_eq!(answered(&Setup::new(at_most_bytes(20)), 5, model), expected);
}

#[test]
fn lengths_do_not_outlive_their_batch() {
    let mut lengths = [20, 0].into_iter();
    let model = |end: &mut ContainerEnd| {
        lengths.next().filter(|bytes| *bytes > 0).map(|bytes| end.set_output_bytes(0, bytes));
        echo(end);
    };
    let mut found = vec![];
    let served = Setup::new(at_most_bytes(20)).depth(1).run(
        |end| serve(end, model),
        |engine| {
            for _ in 0..2 {
                engine.submit(0, 1);
                found.push(engine.next_answer());
            }
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 2);
    let unwritten = Answer::Failed("the model returned without writing its outputs".to_owned());
    assert_eq!(found, [Answer::Items(vec![Ok(row_bytes(0, 0, 20))]), unwritten]);
}

#[test]
fn a_length_that_the_output_does_not_admit_is_refused() {
    let at_most = TensorSpec::at_most(ElementType::Float32, 20);
    let model = |end: &mut ContainerEnd| {
        let refusals = [(0, 24), (0, 18), (1, 21), (2, 4), (u32::MAX, 4)];
        for (item, bytes) in refusals {
            let refused = end.set_output_bytes(item, bytes).unwrap_err();
            let is_item = matches!(refused, ContainerError::NoSuchItem { .. });
            let is_length = matches!(refused, ContainerError::OutputLength { .. });
            assert!(if item < 2 { is_length } else { is_item }, "{refused}");
        }
        end.set_output_bytes(0, 20).unwrap();
        end.set_output_bytes(1, 16).unwrap();
        echo(end);
    };
    let expected = [row_bytes(0, 0, 20), row_bytes(0, 1, 16)].map(Ok).to_vec();
    assert_eq!(answered(&Setup::new(at_most), 2, model), Answer::Items(expected));
}

#[test]
fn failed_items_fail_alone() {
    let model = |end: &mut ContainerEnd| {
        end.fail_item(1, "no face in the picture").unwrap();
        end.fail_item(3, "").unwrap();
        let refused = end.fail_item(5, "beyond the batch").unwrap_err();
        assert!(matches!(refused, ContainerError::NoSuchItem { item: 5, count: 5 }));
        echo(end);
    };
    // Three bytes: neighbours share words.
    let output = |row| Ok(row_bytes(0, row, 3));
    let failed = |message: &str| Err(message.to_owned());
    let expected =
        vec![output(0), failed("no face in the picture"), output(2), failed(""), output(4)];
    assert_eq!(answered(&Setup::new(exact_bytes(3)), 5, model), Answer::Items(expected));
}

#[test]
fn an_item_can_fail_twice_and_the_last_message_counts() {
    let model = |end: &mut ContainerEnd| {
        end.fail_item(0, "first").unwrap();
        end.fail_item(0, "second").unwrap();
        end.complete().unwrap();
    };
    let expected = Answer::Items(vec![Err("second".to_owned())]);
    assert_eq!(answered(&Setup::new(exact_bytes(3)), 1, model), expected);
}

#[test]
fn messages_are_cut_at_a_character_and_left_out_when_their_area_is_full() {
    // 511 bytes and a character of two: 512 cuts it in half.
    let long = format!("{}é and more", "x".repeat(511));
    let model = |end: &mut ContainerEnd| {
        (0..16).for_each(|item| end.fail_item(item, &long).unwrap());
        end.complete().unwrap();
    };
    let Answer::Items(found) = answered(&Setup::new(exact_bytes(3)), 16, model) else {
        panic!("the batch did not fail as a whole");
    };
    let lengths: Vec<usize> = found.iter().map(|item| item.as_ref().unwrap_err().len()).collect();
    // Eight times 511, then the eight bytes that are left, then nothing.
    let expected = [[511; 8], [8, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(lengths, expected);
}

#[test]
fn messages_are_whole_in_the_area_of_the_last_slot() {
    let setup = Setup::new(exact_bytes(3)).depth(8);
    let long = "y".repeat(512);
    let served = setup.run(
        |end| {
            serve(end, |end| {
                (0..9).for_each(|item| end.fail_item(item, &long).unwrap());
                end.complete().unwrap();
            })
        },
        |engine| {
            (0..8).for_each(|_| _ = engine.submit(0, 9));
            let expected = [vec![Err(long.clone()); 8], vec![Err(String::new())]].concat();
            for slot in 0..8 {
                let completed = engine.next();
                assert_eq!(completed.ticket.slot, slot);
                assert_eq!(answer(&completed), Answer::Items(expected.clone()));
            }
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 8);
}

#[test]
fn a_batch_fails_with_its_message() {
    let fail = |message: &str| {
        let message = message.to_owned();
        answered(&Setup::new(at_most_bytes(9)), 4, move |end| end.fail(&message))
    };
    assert_eq!(fail("out of memory"), Answer::Failed("out of memory".to_owned()));
    assert_eq!(fail(""), Answer::Failed(String::new()));
    assert_eq!(fail(&"z".repeat(513)), Answer::Failed("z".repeat(512)));
}

#[test]
fn a_batch_that_fails_after_an_item_did_has_the_batchs_message() {
    let model = |end: &mut ContainerEnd| {
        end.fail_item(0, "the item's").unwrap();
        end.fail("the batch's");
    };
    let expected = Answer::Failed("the batch's".to_owned());
    assert_eq!(answered(&Setup::new(exact_bytes(3)), 2, model), expected);
}

/// Keeps every ticket busy for `batches` batches of changing size and form, and checks each answer.
fn pipeline(setup: &Setup, batches: u32) {
    let rows = |batch: u32| {
        let (count, step) = (1 + batch % 16, 1 + batch % 3);
        (0..count).map(move |item| (batch + item * step) % 64)
    };
    let served = setup.run(
        |end| serve(end, echo),
        |engine| {
            let mut submitted = 0;
            for batch in 0..batches {
                while submitted < batches && engine.end.has_free_ticket() {
                    let rows: Vec<_> = rows(submitted).map(|row| row_ref(0, row, 24)).collect();
                    engine.end.submit(&rows, 0);
                    submitted += 1;
                }
                let expected = rows(batch).map(|row| Ok(row_bytes(0, row, 24))).collect();
                assert_eq!(engine.next_answer(), Answer::Items(expected), "batch {batch}");
                assert_eq!(engine.end.in_flight(), submitted - batch - 1);
            }
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), u64::from(batches));
}

#[test]
fn ten_thousand_batches_keep_their_order_and_their_rows_at_depth_two() {
    pipeline(&Setup::new(exact_bytes(24)), 10_000);
}

#[test]
fn batches_keep_their_order_and_their_rows_at_every_depth() {
    (1..=8).for_each(|depth| pipeline(&Setup::new(exact_bytes(24)).depth(depth), 500));
}

#[test]
fn batches_keep_their_order_and_their_rows_with_every_strategy() {
    for wait in WaitStrategy::ALL {
        pipeline(&Setup::new(exact_bytes(24)).wait(wait), 300);
    }
}

#[test]
fn a_stop_comes_after_the_batches_before_it() {
    let served = Setup::new(exact_bytes(24)).run(
        |end| serve(end, echo),
        |engine| {
            engine.submit(0, 3);
            engine.submit(3, 3);
            engine.end.stop();
            engine.end.stop();
            assert!(!engine.end.has_free_ticket());
            engine.next();
            engine.next();
            assert!(!engine.end.has_free_ticket());
            assert_eq!(engine.end.in_flight(), 0);
            assert!(matches!(engine.end.poll(), Ok(Polled::Nothing)));
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 2);
}

#[test]
fn a_wait_with_a_limit_ends_idle_with_every_strategy() {
    for wait in WaitStrategy::ALL {
        let (waited, has_waited) = mpsc::channel();
        let outcomes = Setup::new(exact_bytes(24)).wait(wait).run(
            move |mut end| {
                let idle = [0, 1, 1_000, 1_000_000].map(|ns| end.next(Some(ns)).unwrap());
                waited.send(()).unwrap();
                (idle, end.next(Some(u64::MAX)).unwrap())
            },
            |engine| {
                has_waited.recv().unwrap();
                engine.stop();
            },
        );
        assert_eq!(outcomes, ([Next::Idle; 4], Next::Stop), "{wait:?}");
    }
}

/// Submits batches one by one, each when the replica sleeps, and counts those that woke it.
fn wakes_of_a_sleeper(engine: &mut Engine, batches: u32) -> usize {
    let woken = (0..batches).filter(|_| {
        while !engine.replica_is_asleep() {
            engine.look_after_container();
            thread::yield_now();
        }
        let woke = engine.submit(0, 1);
        engine.next();
        woke
    });
    let wakes = woken.count();
    engine.stop();
    wakes
}

#[test]
fn a_replica_that_sleeps_is_woken_by_a_batch() {
    for wait in [WaitStrategy::Adaptive, WaitStrategy::Block] {
        let served = Setup::new(exact_bytes(24)).wait(wait).run(
            |end| serve(end, echo),
            // Not always, for a replica looks after the engine from time to time.
            |engine| assert!(wakes_of_a_sleeper(engine, 30) > 20),
        );
        assert_eq!(served.unwrap(), 30);
    }
}

#[test]
fn a_replica_that_does_not_sleep_is_never_woken() {
    for wait in [WaitStrategy::Spin, WaitStrategy::Yield] {
        let served = Setup::new(exact_bytes(24)).wait(wait).run(
            |end| serve(end, echo),
            |engine| {
                for _ in 0..100 {
                    assert!(!engine.submit(0, 1));
                    engine.next();
                }
                engine.stop();
            },
        );
        assert_eq!(served.unwrap(), 100);
    }
}

#[test]
fn an_engine_that_announced_its_sleep_is_rung_and_no_other_is() {
    let setup = Setup::new(exact_bytes(24));
    let served = setup.run(
        |end| serve(end, echo),
        |engine| {
            engine.submit(0, 1);
            engine.next();
            engine.end.announce_sleep();
            engine.submit(0, 1);
            engine.sleep();
            assert!(engine.end.has_news());
            assert_eq!(engine.drain_doorbell(), Some(1));
            engine.next();
            engine.end.retract_sleep();
            engine.submit(0, 1);
            engine.next();
            // The answer to another batch comes after the replica's look at the flag.
            engine.submit(0, 1);
            engine.next();
            assert_eq!(engine.drain_doorbell(), None);
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 4);
}

#[test]
fn two_sleepers_wake_each_other_with_every_strategy() {
    for wait in WaitStrategy::ALL {
        let served = Setup::new(exact_bytes(24)).wait(wait).run(
            |end| serve(end, echo),
            |engine| {
                for row in (0..64).cycle().take(300) {
                    engine.submit(row, 1);
                    engine.end.announce_sleep();
                    while !engine.end.has_news() {
                        engine.sleep();
                        engine.drain_doorbell();
                    }
                    engine.end.retract_sleep();
                    let expected = Answer::Items(vec![Ok(row_bytes(0, row, 24))]);
                    assert_eq!(engine.next_answer(), expected);
                }
                engine.stop();
            },
        );
        assert_eq!(served.unwrap(), 300);
    }
}

#[test]
fn the_engines_death_ends_a_wait_with_every_strategy() {
    for wait in WaitStrategy::ALL {
        let served = Setup::new(exact_bytes(24)).wait(wait).run(
            |end| serve(end, echo),
            |engine| {
                engine.submit(0, 1);
                engine.next();
            },
        );
        assert!(matches!(served, Err(ContainerError::EngineGone)), "{wait:?}: {served:?}");
    }
}

#[test]
fn the_engines_death_is_told_to_who_only_looks_with_every_strategy() {
    const LOOKS: u32 = 100_000;
    for wait in WaitStrategy::ALL {
        let outcome = Setup::new(exact_bytes(24))
            .wait(wait)
            .run(|mut end| (0..LOOKS).find_map(|_| end.next(Some(0)).err()), |_| {});
        assert!(matches!(outcome, Some(ContainerError::EngineGone)), "{wait:?}: {outcome:?}");
    }
}

#[test]
fn a_batch_whose_engine_died_can_still_be_completed() {
    let setup = Setup::new(exact_bytes(24)).wait(WaitStrategy::Block);
    let outcome = setup.run(
        |mut end| {
            assert_eq!(end.next(None).unwrap(), Next::Batch);
            // The doorbell is rung for nobody.
            echo(&mut end);
            end.next(None)
        },
        |engine| {
            engine.end.announce_sleep();
            engine.submit(0, 1);
        },
    );
    assert!(matches!(outcome, Err(ContainerError::EngineGone)));
}

#[test]
fn results_stay_when_the_replica_overwrites_its_own() {
    let setup = Setup::new(exact_bytes(24)).depth(1);
    let served = setup.run(
        |end| serve(end, echo),
        |engine| {
            engine.submit(0, 1);
            let mut peer = support::peer::Peer::of(&engine.end);
            let completed = engine.next();
            peer.outputs(0).fill(0xee);
            assert_eq!(answer(&completed), Answer::Items(vec![Ok(row_bytes(0, 0, 24))]));
            assert!(matches!(completed.results, Results::Items(_)));
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 1);
}
