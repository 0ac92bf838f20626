//! Answers of several models, and how sure they are.

use super::combine::Output::{Came, Missing, Substituted};
use super::combine::{Answer, Combined, Output, Outputs};
use super::*;

const WEIGHTS: [f64; 4] = [0.4, 0.25, 0.25, 0.1];

fn weighted(outputs: Outputs<'_>) -> Combined {
    let policy = Vote::weighted(per_model(&WEIGHTS)).unwrap();
    policy.combine(&policy.init(4), outputs).unwrap()
}

fn majority(outputs: &[Output<u64>]) -> Combined {
    let policy = Vote::majority();
    policy.combine(&policy.init(outputs.len()), Outputs::Classes(outputs)).unwrap()
}

#[test]
fn the_class_with_the_most_weight_is_answered() {
    let combined = weighted(Outputs::Classes(&[Came(7), Came(3), Came(3), Came(9)]));
    assert_eq!((combined.answer, combined.confidence), (Answer::Class(3), 0.5));
    assert_near(&combined.weights, &per_model(&[0.0, 0.5, 0.5, 0.0]), 1e-12);
}

#[test]
fn of_classes_with_as_many_votes_the_one_said_first_is_answered() {
    let combined = majority(&[Came(2), Came(1), Came(1), Came(2)]);
    assert_eq!((combined.answer, combined.confidence), (Answer::Class(2), 0.5));
}

#[test]
fn a_missing_model_leaves_its_weight_to_the_others_and_lowers_the_confidence() {
    let combined = weighted(Outputs::Classes(&[Missing, Came(3), Came(5), Came(5)]));
    assert_eq!((combined.answer, combined.confidence), (Answer::Class(5), 0.5));
    let values = [Came(2.0), Missing, Came(4.0), Missing];
    let combined = weighted(Outputs::Values { outputs: &values, tolerance: 10.0 });
    assert_near(&combined.weights, &per_model(&[0.4 / 0.65, 0.0, 0.25 / 0.65, 0.0]), 1e-12);
    assert_eq!(combined.confidence, 0.5);
}

#[test]
fn what_stands_for_a_missing_model_counts_in_the_answer_and_not_in_the_confidence() {
    let combined = weighted(Outputs::Classes(&[Came(1), Substituted(2), Came(2), Missing]));
    assert_eq!((combined.answer, combined.confidence), (Answer::Class(2), 0.25));
    assert_near(&combined.weights, &per_model(&[0.0, 0.5, 0.5]), 1e-12);
}

#[test]
fn real_values_are_answered_with_their_mean_and_agree_within_the_tolerance() {
    let outputs = [Came(1.0), Came(2.0), Substituted(2.0), Came(6.0)];
    let combined = weighted(Outputs::Values { outputs: &outputs, tolerance: 1.0 });
    let mean = 0.4 + 0.5 + 0.5 + 0.6;
    assert!(matches!(combined.answer, Answer::Value(value) if (value - mean).abs() < 1e-12));
    assert_eq!(combined.confidence, 0.5);
}

#[test]
fn a_value_that_is_no_number_counts_as_missing() {
    let outputs = [Came(f64::NAN), Came(3.0), Came(3.0), Came(f64::INFINITY)];
    let combined = weighted(Outputs::Values { outputs: &outputs, tolerance: 0.0 });
    assert_eq!((combined.answer, combined.confidence), (Answer::Value(3.0), 0.5));
}

#[test]
fn nothing_is_answered_when_nothing_is_there() {
    for policy in policies() {
        let state = policy.init(2);
        assert_eq!(policy.combine(&state, Outputs::Classes(&[Missing; 2])), None);
        let outputs = [Missing, Came(f64::NAN)];
        let outputs = Outputs::Values { outputs: &outputs, tolerance: 1.0 };
        assert_eq!(policy.combine(&state, outputs), None);
    }
}

#[test]
fn the_only_output_is_the_answer_whatever_its_weight() {
    let mut outputs = [Missing; 5];
    outputs[3] = Came(42);
    for policy in policies() {
        let mut state = policy.init(5);
        (0..5_000).for_each(|_| lose_all(&*policy, &mut state, &[0.0, 0.0, 0.0, 1.0, 0.0]));
        let combined = policy.combine(&state, Outputs::Classes(&outputs)).unwrap();
        assert_eq!((combined.answer, combined.confidence), (Answer::Class(42), 0.2));
        assert_eq!(combined.weights, per_model(&[0.0, 0.0, 0.0, 1.0]));
    }
}

#[test]
fn exp4_answers_with_the_model_that_has_been_right() {
    let policy = Exp4::new(0.5, 0.0).unwrap();
    let mut state = policy.init(3);
    let outputs = [Came(1), Came(2), Came(2)];
    let answer = |state: &State| policy.combine(state, Outputs::Classes(&outputs)).unwrap().answer;
    assert_eq!(answer(&state), Answer::Class(2));
    (0..10).for_each(|_| lose_all(&policy, &mut state, &[0.0, 1.0, 1.0]));
    assert_eq!(answer(&state), Answer::Class(1));
}
