//! What the policy does, and what a configuration may say of it.

use std::path::Path;

use cutter_core::policy::{Models, Random, Seen};

use super::*;

const MODELS: usize = 3;
const SOFTMAX: Softmax = Softmax { temperature: 0.1, discount: 0.99 };

fn tell(state: &mut State, model: usize, loss: f64) {
    let seen = [Seen { model, loss, propensity: 1.0 }];
    let feedback = Feedback::new(state, &seen, None).unwrap();
    SOFTMAX.observe(state, &feedback).unwrap();
}

/// The policy that a configuration's `parameters` make.
fn made(parameters: &str) -> Result<Box<dyn Policy>, String> {
    let mut policies = Policies::default();
    policies.register("softmax", Softmax::make);
    let text = format!(
        "[[application]]\nname = \"a\"\ninput = {{ type = \"strings\" }}\nmodels = [\"m\"]\n\
         policy = {{ name = \"softmax\", parameters = {{ {parameters} }} }}\n\
         [[model]]\nname = \"m\"\ncommand = [\"m\"]\n"
    );
    let read = Config::from_toml_with(&text, Path::new("/"), "cutter.toml", &policies);
    let (mut config, _) = read.map_err(|errors| errors.to_string())?;
    config.applications.remove(0).policy.expect("it is written").plan.build()
}

#[test]
fn models_are_asked_in_proportion_to_the_exponents_of_what_they_earn() {
    let mut state = SOFTMAX.init(MODELS);
    tell(&mut state, 0, 0.1);
    tell(&mut state, 2, 0.2);
    // Models 0 and 1, of which the second was not seen yet: means of 0.9 and 1.
    let ask = Ask::of(Models::first(MODELS).without(2));
    let Choice::One(chances) = SOFTMAX.choose(&state, &ask).unwrap() else { panic!("one") };
    let expected = 1.0 / (1.0 + 1_f64.exp());
    assert!((chances[0] - expected).abs() < 1e-12, "{chances:?}");
    assert!((chances[1] - (1.0 - expected)).abs() < 1e-12, "{chances:?}");
    assert_eq!(chances[2..].iter().sum::<f64>(), 0.0);
}

#[test]
fn it_learns_who_is_right_and_learns_anew_when_that_changes() {
    let (mut state, mut random) = (SOFTMAX.init(MODELS), Random::new(1));
    let mut right = [0; 2];
    for round in 0..2_000 {
        let is_later = round >= 1_000;
        let ask = Ask::of(Models::first(MODELS));
        let asked = SOFTMAX.select(&state, ask, &mut random).unwrap().models;
        let best = if is_later { 0 } else { 1 };
        let is_right = asked.contains(best);
        right[usize::from(is_later)] += usize::from(is_right);
        let model = asked.iter().next().unwrap();
        tell(&mut state, model, if is_right { 0.0 } else { 1.0 });
    }
    assert!(right[0] > 950 && right[1] > 700, "{right:?} of 1000 each");
}

#[test]
fn a_state_is_sound_and_stored_whatever_was_observed() {
    let (mut state, mut random) = (SOFTMAX.init(MODELS), Random::new(2));
    for round in 0..5_000 {
        tell(&mut state, round % 2, random.uniform());
        assert!(SOFTMAX.is_sound(&state), "{state:?}");
    }
    assert_eq!(State::read(&SOFTMAX, MODELS, &state.bytes()), Ok(state.clone()));
    state.words_mut()[1] = state.words()[0] + 1.0;
    assert!(State::read(&SOFTMAX, MODELS, &state.bytes()).is_err(), "more earned than seen");
}

#[test]
fn parameters_are_taken_or_refused_with_the_reason() {
    let softmax = |temperature, discount| format!("{:?}", Softmax { temperature, discount });
    let made_of = |parameters: &str| format!("{:?}", made(parameters).unwrap());
    assert_eq!(made_of(""), softmax(0.1, 0.99));
    assert_eq!(made_of("temperature = 2, discount = 1"), softmax(2.0, 1.0));
    let refused = |parameters: &str| made(parameters).unwrap_err();
    assert!(refused("heat = 1").contains("`heat` is neither `temperature` nor `discount`"));
    assert!(refused("discount = 2").contains("`discount` is 2; give a number from 0.5 to 1"));
    assert!(refused("temperature = 0").contains("cutter.toml:5:"), "{}", refused("heat = 1"));
}
