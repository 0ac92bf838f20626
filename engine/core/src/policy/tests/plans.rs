//! What a plan says is what is made of it.

use super::*;

const MODELS: usize = 3;

/// A plan with the policy that it stands for.
type Pair = (PolicyPlan, Box<dyn Policy>);

fn pairs() -> Result<Vec<Pair>, PolicyError> {
    let weights: PerModel =
        std::array::from_fn(|model| [0.5, 0.25, 1.0].get(model).copied().unwrap_or_default());
    Ok(vec![
        (PolicyPlan::Static, Box::new(Static { model: 0 })),
        (
            PolicyPlan::Exp3 { eta: 0.1, floor: 0.01, share: 0.2 },
            Box::new(Exp3::new(0.1, 0.01, 0.2)?),
        ),
        (
            PolicyPlan::Exp3Ix { eta: 0.1, floor: 0.01, share: 0.2 },
            Box::new(Exp3::ix(0.1, 0.01, 0.2)?),
        ),
        (PolicyPlan::Exp4 { eta: 0.3, share: 0.1 }, Box::new(Exp4::new(0.3, 0.1)?)),
        (
            PolicyPlan::EpsilonGreedy { epsilon: 0.1, discount: 0.9 },
            Box::new(EpsilonGreedy::new(0.1, 0.9)?),
        ),
        (PolicyPlan::Ucb1 { discount: 0.9 }, Box::new(Ucb1::new(0.9)?)),
        (
            PolicyPlan::BetaThompson { discount: 0.9, floor: 0.1 },
            Box::new(BetaThompson::new(0.9, 0.1)?),
        ),
        (
            PolicyPlan::GaussianThompson { deviation: 0.3, discount: 0.9, floor: 0.1 },
            Box::new(GaussianThompson::new(0.3, 0.9, 0.1)?),
        ),
        (PolicyPlan::Vote, Box::new(Vote::majority())),
        (
            PolicyPlan::Weighted { weights: vec![0.5, 0.25, 1.0] },
            Box::new(Vote::weighted(weights)?),
        ),
        (
            PolicyPlan::LinUcb { numbers: 2, alpha: 0.5, floor: 0.1 },
            Box::new(LinUcb::new(2, 0.5, 0.1)?),
        ),
    ])
}

#[test]
fn a_plan_makes_the_policy_that_it_names_with_the_parameters_that_it_gives() {
    let pairs = pairs().expect("parameters within bounds");
    for (plan, expected) in pairs {
        let made = plan.build().expect("parameters within bounds");
        assert_eq!(format!("{made:?}"), format!("{expected:?}"), "{plan:?}");
    }
}

#[test]
fn a_plan_asks_all_if_its_policy_does() {
    for (plan, policy) in pairs().expect("parameters within bounds") {
        let ask = Ask { servable: Models::first(MODELS), context: Some(&[1.0, 0.5]) };
        let choice = policy.choose(&policy.init(MODELS), &ask).expect("models and a context");
        assert_eq!(plan.asks_all(), choice == Choice::All, "{plan:?}");
    }
}

#[test]
fn a_plan_with_a_parameter_out_of_bounds_is_refused_as_its_policy_refuses_it() {
    let plans = [
        (PolicyPlan::Exp3 { eta: f64::NAN, floor: 0.0, share: 0.0 }, "eta"),
        (PolicyPlan::Exp4 { eta: 0.3, share: 1.5 }, "share"),
        (PolicyPlan::BetaThompson { discount: 1.0, floor: 0.0 }, "discount"),
        (PolicyPlan::Weighted { weights: vec![0.5, -0.1] }, "weight"),
        (PolicyPlan::LinUcb { numbers: 0, alpha: 0.5, floor: 0.0 }, "numbers"),
    ];
    for (plan, expected) in plans {
        let refused = plan.build().expect_err("a parameter out of bounds");
        let is_named = matches!(refused, PolicyError::Parameter { name, .. } if name == expected);
        assert!(is_named, "{refused}");
    }
}
