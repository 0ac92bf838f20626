//! What is refused, and what it says.

use super::*;

#[test]
fn losses_and_propensities_out_of_range_are_refused() {
    let state = Static::default().init(3);
    let refused = |seen: &[Seen]| Feedback::new(&state, seen, None).unwrap_err().to_string();
    let seen = Seen { model: 2, loss: 0.5, propensity: 0.5 };
    for loss in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let expected = format!("the loss of model 2 is {loss}; scale losses to 0 to 1");
        assert_eq!(refused(&[Seen { loss, ..seen }]), expected);
    }
    for propensity in [0.0, -0.5, 1.5, f64::NAN] {
        let text = refused(&[Seen { propensity, ..seen }]);
        assert!(text.starts_with(&format!("the propensity of model 2 is {propensity}")), "{text}");
    }
    let text = refused(&[Seen { model: 3, ..seen }]);
    assert_eq!(text, "a loss for model 3, and 3 are linked; give a number below that");
    assert_eq!(refused(&[seen, seen]), "two losses for model 2 of one answer; give one");
}

#[test]
fn parameters_out_of_range_are_refused_by_their_names() {
    let refused = [
        ("eta", Exp3::new(0.0, 0.0, 0.0).map(drop)),
        ("eta", Exp3::ix(f64::NAN, 0.0, 0.0).map(drop)),
        ("eta", Exp4::new(100.0, 0.0).map(drop)),
        ("floor", Exp3::new(0.1, 1.5, 0.0).map(drop)),
        ("share", Exp4::new(0.1, -0.1).map(drop)),
        ("epsilon", EpsilonGreedy::new(2.0, 1.0).map(drop)),
        ("discount", Ucb1::new(1.01).map(drop)),
        ("discount", BetaThompson::new(1.0, 0.0).map(drop)),
        ("deviation", GaussianThompson::new(0.0, 0.99, 0.0).map(drop)),
        ("numbers", LinUcb::new(17, 1.0, 0.0).map(drop)),
        ("numbers", LinUcb::new(0, 1.0, 0.0).map(drop)),
        ("alpha", LinUcb::new(3, -1.0, 0.0).map(drop)),
        ("weight", Vote::weighted([f64::NAN; LINKS_MAX]).map(drop)),
    ];
    for (name, made) in refused {
        let text = made.unwrap_err().to_string();
        assert!(text.starts_with(&format!("`{name}` is ")), "{text}");
        assert!(text.contains("; give a number from "), "{text}");
    }
}
