//! What is written is read again, whatever it is.

use cutter_core::limits::CONTEXT_NUMBERS_MAX;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::record::write_decided;
use super::*;
use crate::limits::{LOG_CONTEXT_BYTES_MAX, LOG_TEXT_BYTES_MAX};

/// Numbers that are equal to themselves.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0_f64, Just(f64::MIN_POSITIVE), Just(f64::INFINITY), Just(-0.0)]
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        Just(Said::Nothing),
        any::<i64>().prop_map(Said::Class),
        any::<u64>().prop_map(Said::Text),
        number().prop_map(Said::Value),
    ]
}

fn models() -> impl Strategy<Value = Models> {
    vec(0..32_usize, 0..33).prop_map(|models| models.into_iter().collect())
}

prop_compose! {
    fn any_decision()(
        (query_id, arrived_ns, answered_ns) in any::<(u64, u64, u64)>(),
        context in vec(any::<u8>(), 0..=LOG_CONTEXT_BYTES_MAX),
        (servable, asked) in (models(), models()),
        propensities in vec(number(), 0..=32),
        said in vec(said(), 0..=32),
        answer in said(),
        confidence in option::of(number()),
        vector in vec(number(), 0..=CONTEXT_NUMBERS_MAX),
        is_evaluation in any::<bool>(),
    ) -> Decision {
        Decision {
            application: application(),
            is_evaluation,
            query_id,
            arrived_ns,
            answered_ns,
            context: context.into(),
            servable,
            asked,
            propensities: propensities.into(),
            said: said.into(),
            answer,
            confidence,
            vector: vector.into(),
        }
    }
}

prop_compose! {
    fn any_lesson()(
        (query_id, told_ns) in any::<(u64, u64)>(),
        losses in vec(option::of(number()), 0..=32),
        answer_loss in option::of(number()),
    ) -> Lesson {
        let losses = losses.into();
        Lesson { application: application(), query_id, told_ns, losses, answer_loss }
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![any_decision().prop_map(Record::Decision), any_lesson().prop_map(Record::Lesson),]
}

/// Version 1 had no context vectors.
#[test]
fn decisions_of_version_1_are_read_without_numbers() {
    let newest = Decision { vector: Box::default(), ..decision(3) };
    let mut payload = Vec::new();
    write_decided(&decided(&newest), &mut payload);
    assert_eq!(payload.pop(), Some(0), "how many numbers there are");
    assert_eq!(Record::read(&payload), Some(Record::Decision(newest)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_logged_is_read_again(
        logged in vec(any_record(), 1..40),
        texts in any::<[String; 4]>(),
        labels in vec(any::<String>(), 0..=32),
        epoch in any::<u64>(),
    ) {
        let [name, policy, policy_version, parameters] = texts;
        let header = LogHeader { name, models: labels, policy, policy_version, parameters, epoch };
        let mut expected = vec![Record::Application(application(), header)];
        expected.extend(logged);
        let folder = tempfile::tempdir().unwrap();
        run(settings(folder.path()), &expected);
        prop_assert_eq!(records(folder.path()), expected);
    }
}

#[test]
fn the_longest_texts_fit_and_what_is_longer_is_cut_between_characters() {
    let long = "é".repeat(LOG_TEXT_BYTES_MAX);
    let cut = "é".repeat(LOG_TEXT_BYTES_MAX / 2);
    let of = |text: &str| LogHeader {
        name: text.to_owned(),
        models: vec![text.to_owned(); 32],
        policy: text.to_owned(),
        policy_version: text.to_owned(),
        parameters: text.to_owned(),
        epoch: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let written = [Record::Application(application(), of(&long)), Record::Lesson(lesson(1))];
    run(settings(folder.path()), &written);
    assert_eq!(records(folder.path())[0], Record::Application(application(), of(&cut)));
}

#[test]
fn a_file_says_how_engine_time_is_told_from_the_wall_clock() {
    let (_folder, path, _) = small();
    let file = read(&path).unwrap().file();
    assert_eq!(file.pass_probability, 1.0);
    let wall = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let now = i128::from(cutter_machine::clock::monotonic_ns()) + i128::from(file.wall_offset_ns);
    let apart = now.abs_diff(i128::try_from(wall).unwrap());
    assert!(apart < 3_600_000_000_000, "{apart} ns");
}
