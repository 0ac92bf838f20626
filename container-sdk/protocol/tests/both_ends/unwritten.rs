//! What a model does not write is an error or zeros, never the output of an earlier batch.

use cutter_protocol::container::ContainerEnd;
use cutter_protocol::container::ContainerError;
use cutter_protocol::limits::PLACE_CLEAR_BYTES;
use cutter_tensor::TensorSpec;

use crate::support::{Answer, Setup, at_most_bytes, exact_bytes, serve};

const FORGOTTEN: &str = "the model returned without writing its outputs";
const ITEM_FORGOTTEN: &str = "the model did not write the output of this item";
const LENGTH_FORGOTTEN: &str = "the model did not say how long the output of this item is";

/// Items of each batch.
const ITEMS: u32 = 4;

/// What comes of a batch after one that filled all places of the same slot with 0xAA; and what the
/// container was told when it gave it back.
fn after_a_full_batch(
    output: TensorSpec,
    second: impl Fn(&mut ContainerEnd) + Sync,
) -> (Answer, Result<(), ContainerError>) {
    let mut batch = 0;
    let mut told = vec![];
    let mut found = vec![];
    let model = |end: &mut ContainerEnd| {
        if batch == 0 {
            end.parts().1.fill(0xAA);
            let all = vec![0xAA; output.bytes_max()];
            (0..ITEMS).for_each(|item| end.write_output(item, &all).unwrap());
        } else {
            second(end);
        }
        batch += 1;
        told.push(end.complete());
    };
    let served = Setup::new(output).depth(1).run(
        |end| serve(end, model),
        |engine| {
            for _ in 0..2 {
                engine.submit(0, ITEMS);
                found.push(engine.next_answer());
            }
            engine.stop();
        },
    );
    assert_eq!(served.unwrap(), 2);
    let full = vec![Ok(vec![0xAA; output.bytes_max()]); ITEMS as usize];
    assert_eq!(found[0], Answer::Items(full));
    (found.pop().unwrap(), told.pop().unwrap())
}

fn is_told(told: Result<(), ContainerError>, unwritten: u32) -> bool {
    matches!(told, Err(ContainerError::Unwritten { items, count: ITEMS }) if items == unwritten)
}

fn failed(text: &str) -> Result<Vec<u8>, String> {
    Err(text.to_owned())
}

#[test]
fn a_batch_of_which_nothing_was_written_fails() {
    for output in [exact_bytes(1), exact_bytes(4), exact_bytes(300), at_most_bytes(20)] {
        let (found, told) = after_a_full_batch(output, |_| {});
        assert_eq!(found, Answer::Failed(FORGOTTEN.to_owned()));
        assert!(is_told(told, ITEMS));
    }
}

#[test]
fn the_place_of_all_outputs_is_handed_over_cleared() {
    for bytes in [1, 4, 300] {
        let (found, told) = after_a_full_batch(exact_bytes(bytes), |end| end.parts().1[0] = 7);
        let mut due = vec![Ok(vec![0; bytes as usize]); ITEMS as usize];
        due[0].as_mut().unwrap()[0] = 7;
        assert_eq!(found, Answer::Items(due));
        assert!(told.is_ok());
    }
}

#[test]
fn asking_again_does_not_clear_what_was_written() {
    let (found, _) = after_a_full_batch(exact_bytes(2), |end| {
        end.output(2).unwrap().fill(3);
        end.parts().1[..2].fill(1);
        end.parts();
        end.output(0).unwrap();
        end.set_output_bytes(0, 2).unwrap();
    });
    let due = [1, 0, 3, 0].map(|byte| Ok(vec![byte; 2])).to_vec();
    assert_eq!(found, Answer::Items(due));
}

#[test]
fn an_item_of_which_nothing_was_written_fails_alone() {
    for output in [exact_bytes(5), at_most_bytes(5)] {
        let (found, told) = after_a_full_batch(output, |end| {
            end.write_output(0, b"sloop").unwrap();
            end.write_output(2, b"ketch").unwrap();
        });
        let gone = |text: &[u8]| Ok(text.to_vec());
        let forgotten = failed(ITEM_FORGOTTEN);
        let due = vec![gone(b"sloop"), forgotten.clone(), gone(b"ketch"), forgotten];
        assert_eq!(found, Answer::Items(due));
        assert!(is_told(told, 2));
    }
}

#[test]
fn the_place_of_one_output_is_handed_over_cleared() {
    let (found, told) = after_a_full_batch(exact_bytes(3), |end| {
        end.fail_item(0, "no").unwrap();
        end.output(1).unwrap()[0] = 7;
        end.output(2).unwrap();
    });
    let due = vec![failed("no"), Ok(vec![7, 0, 0]), Ok(vec![0; 3]), failed(ITEM_FORGOTTEN)];
    assert_eq!(found, Answer::Items(due));
    assert!(is_told(told, 1));
}

#[test]
fn an_output_whose_length_was_not_said_fails() {
    let (found, told) = after_a_full_batch(at_most_bytes(20), |end| {
        end.parts().1.fill(1);
        end.set_output_bytes(1, 2).unwrap();
        end.set_output_bytes(3, 0).unwrap();
    });
    let unsaid = failed(LENGTH_FORGOTTEN);
    let due = vec![unsaid.clone(), Ok(vec![1; 2]), unsaid, Ok(vec![])];
    assert_eq!(found, Answer::Items(due));
    assert!(is_told(told, 2));
}

#[test]
fn a_length_that_is_said_of_what_was_not_written_is_of_zeros() {
    let large = u32::try_from(3 * PLACE_CLEAR_BYTES).unwrap();
    for bytes in [20, large] {
        let all = bytes as usize;
        let (found, told) = after_a_full_batch(at_most_bytes(bytes), |end| {
            end.set_output_bytes(0, all).unwrap();
            end.output(1).unwrap()[0] = 7;
            end.set_output_bytes(1, all).unwrap();
            end.write_output(2, &[1; 9]).unwrap();
            end.set_output_bytes(2, all).unwrap();
            end.write_output(3, &[2; 9]).unwrap();
        });
        let mut due = vec![vec![0; all]; 3];
        due[1][0] = 7;
        due[2][..9].fill(1);
        due.push(vec![2; 9]);
        assert_eq!(found, Answer::Items(due.into_iter().map(Ok).collect()));
        assert!(told.is_ok());
    }
}
