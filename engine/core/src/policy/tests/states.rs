//! States as bytes.

use proptest::prelude::*;

use super::*;

/// A policy by its place, and a state that some losses have led to.
fn learned(place: usize, models: usize, losses: &[(usize, f64, f64)]) -> (Box<dyn Policy>, State) {
    let policy = policies().into_iter().nth(place).unwrap();
    let mut state = policy.init(models);
    for &(model, loss, propensity) in losses {
        observe(&*policy, &mut state, &[Seen { model: model % models, loss, propensity }]);
    }
    (policy, state)
}

fn losses() -> impl Strategy<Value = Vec<(usize, f64, f64)>> {
    prop::collection::vec((0..LINKS_MAX, 0.0..=1.0, 1e-300..=1.0), 0..200)
}

proptest! {
    #[test]
    fn what_was_written_is_read_again(
        place in 0..policies().len(), models in 1..=LINKS_MAX, losses in losses(),
    ) {
        let (policy, state) = learned(place, models, &losses);
        let bytes = state.bytes();
        prop_assert_eq!(bytes.len(), policy.init(models).bytes().len());
        let read = State::read(&*policy, models, &bytes).unwrap();
        prop_assert_eq!(&read, &state);
        prop_assert_eq!(read.bytes(), bytes);
    }

    /// Whatever a damaged store gives: it is refused, or it is a state like any other.
    #[test]
    fn damaged_bytes_are_refused_or_do_no_harm(
        place in 0..policies().len(), models in 1..=LINKS_MAX, losses in losses(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let (policy, state) = learned(place, models, &losses);
        let mut bytes = state.bytes();
        damages.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
        if let Ok(mut state) = State::read(&*policy, models, &bytes) {
            for _ in 0..3 {
                let found = propensities(&*policy, &state, Models::first(models));
                prop_assert!(found.iter().all(|chance| (0.0..=1.0 + 1e-9).contains(chance)));
                prop_assert!(found.iter().sum::<f64>() > 1.0 - 1e-9, "{:?}", found);
                lose(&*policy, &mut state, 0, 1.0);
            }
        }
    }
}

#[test]
fn bytes_of_another_policy_version_or_number_of_models_are_refused() {
    let policy = Exp3::new(0.1, 0.0, 0.0).unwrap();
    let bytes = policy.init(3).bytes();
    let refused = |policy: &dyn Policy, models: usize, bytes: &[u8]| {
        State::read(policy, models, bytes).unwrap_err().to_string()
    };
    let text = refused(&Exp4::new(0.1, 0.0).unwrap(), 3, &bytes);
    let expected = "state of exp3 version 1, and exp4 version 1 reads it; set the policy back, or \
                    reset the state";
    assert_eq!(text, expected);
    let mut newer = bytes.clone();
    newer[4] = 2;
    let text = refused(&policy, 3, &newer);
    assert!(text.starts_with("state of exp3 version 2, and exp3 version 1 reads it"), "{text}");
    let text = refused(&policy, 4, &bytes);
    assert_eq!(text, "state of 3 models, and 4 are linked; reset the state");
}

#[test]
fn bytes_of_a_wrong_length_without_numbers_or_that_no_loss_leads_to_are_refused() {
    let policy = EpsilonGreedy::new(0.1, 1.0).unwrap();
    let bytes = policy.init(2).bytes();
    for length in [0, 7, 8, bytes.len() - 1] {
        let error = State::read(&policy, 2, &bytes[..length]).unwrap_err();
        assert_eq!(error, StateError::Length { found: length, expected: bytes.len() });
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(State::read(&policy, 2, &longer), Err(StateError::Length { .. })));
    for value in [f64::NAN, f64::INFINITY] {
        let mut damaged = bytes.clone();
        damaged[16..24].copy_from_slice(&value.to_le_bytes());
        let text = State::read(&policy, 2, &damaged).unwrap_err().to_string();
        let expected =
            format!("word 1 of the state is {value}, which is no number; the store is damaged");
        assert_eq!(text, expected);
    }
    // More is lost than was seen.
    let mut damaged = bytes.clone();
    damaged[16..24].copy_from_slice(&1.0_f64.to_le_bytes());
    let text = State::read(&policy, 2, &damaged).unwrap_err().to_string();
    let expected = "the numbers are none that epsi version 1 can lead to; the store is damaged";
    assert_eq!(text, expected);
}

#[test]
fn each_policy_has_letters_of_its_own() {
    let letters = |policy: &dyn Policy| policy.init(1).bytes()[..4].to_vec();
    let mut all: Vec<Vec<u8>> = policies().iter().map(|policy| letters(&**policy)).collect();
    all.sort();
    all.dedup();
    // Exp3 and Exp3-IX differ in their parameters only, and so do the votes.
    assert_eq!(all.len(), policies().len() - 3);
}
