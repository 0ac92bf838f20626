//! What a policy, a cache, a state store and a decision log mean when they are right.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cutter_core::feedback::{Loss, Reading};
use cutter_core::policy::{
    Ask, Choice, Exp3, Feedback, Format, Models, Policy as CorePolicy, PolicyError, PolicyPlan,
    State,
};

use super::{config, policy, warnings, with};
use crate::config::policies::{MakePolicy, Policies, PolicyParameters};
use crate::config::{
    Arms, Cache, Config, DecisionLog, Ensemble, Judging, Learning, Mode, Plan, Policy, Rewards,
    StateStore, Substitute,
};

fn resolved(lines: &str) -> Policy {
    config(&policy(lines)).applications.remove(0).policy.expect("it has one")
}

#[test]
fn every_part_of_a_policy_has_a_default() {
    let expected = Policy {
        name: "static".to_owned(),
        plan: Plan::BuiltIn(PolicyPlan::Static),
        ensemble: Ensemble {
            reading: Reading::Class,
            tolerance: 0.0,
            substitute: Substitute::Nothing,
            unsure_below: 0.0,
        },
        judging: Judging {
            loss: Loss::ZeroOne,
            rewards: Rewards { low: 0.0, high: 1.0 },
            unrewarded: None,
            default_teaches: false,
        },
        learning: Learning {
            mode: Mode::Online,
            feedback_wait_ns: 60_000_000_000,
            feedback_window: 65_536,
            seed: 0,
            contexts: 10_000,
        },
        arms: Arms { caps: vec![1.0, 1.0], off: Models::default() },
        hedge_share: None,
    };
    assert_eq!(resolved(""), expected);
    assert_eq!(config(&with("", "", "")).applications[0].policy, None);
}

#[test]
fn every_name_is_a_policy_with_defaults_under_which_a_healed_model_comes_back() {
    let table = [
        ("static", PolicyPlan::Static),
        ("exp3", PolicyPlan::Exp3 { eta: 0.1, floor: 0.01, share: 1e-5 }),
        ("exp3_ix", PolicyPlan::Exp3Ix { eta: 0.1, floor: 0.0, share: 1e-5 }),
        ("exp4", PolicyPlan::Exp4 { eta: 0.3, share: 1e-3 }),
        ("epsilon_greedy", PolicyPlan::EpsilonGreedy { epsilon: 0.05, discount: 0.998 }),
        ("ucb1", PolicyPlan::Ucb1 { discount: 0.998 }),
        ("thompson", PolicyPlan::BetaThompson { discount: 0.998, floor: 0.0 }),
        (
            "gaussian_thompson",
            PolicyPlan::GaussianThompson { deviation: 0.25, discount: 0.998, floor: 0.0 },
        ),
        ("vote", PolicyPlan::Vote),
    ];
    for (name, expected) in table {
        let policy = resolved(&format!("name = \"{name}\""));
        assert_eq!((policy.name.as_str(), policy.plan), (name, Plan::BuiltIn(expected)));
    }
}

#[test]
fn parameters_are_those_that_are_written() {
    let table = [
        (
            "exp3\"\neta = 1\nfloor = 0.5\nshare = 0",
            PolicyPlan::Exp3 { eta: 1.0, floor: 0.5, share: 0.0 },
        ),
        (
            "epsilon_greedy\"\nepsilon = 1\ndiscount = 1",
            PolicyPlan::EpsilonGreedy { epsilon: 1.0, discount: 1.0 },
        ),
        (
            "thompson\"\ndiscount = 0.999\nfloor = 0.1",
            PolicyPlan::BetaThompson { discount: 0.999, floor: 0.1 },
        ),
        (
            "gaussian_thompson\"\ndeviation = 0.5",
            PolicyPlan::GaussianThompson { deviation: 0.5, discount: 0.998, floor: 0.0 },
        ),
        ("weighted\"\nweights = [1, 0.25]", PolicyPlan::Weighted { weights: vec![1.0, 0.25] }),
        (
            "lin_ucb\"\ncontext_numbers = 16\nalpha = 2",
            PolicyPlan::LinUcb { numbers: 16, alpha: 2.0, floor: 0.02 },
        ),
    ];
    for (lines, expected) in table {
        assert_eq!(resolved(&format!("name = \"{lines}")).plan, Plan::BuiltIn(expected), "{lines}");
    }
}

#[test]
fn outputs_are_read_substituted_and_judged_as_it_is_written() {
    let lines = "name = \"exp4\"\noutputs = \"value\"\ntolerance = 0.5\nsubstitute = \"mean\"\n\
                 unsure_below = 0.8\nloss = \"squared\"\nrange = 10\nreward_range = [-1, 3.5]\n\
                 unrewarded = -0.5\ndefault_teaches = true";
    let Policy { ensemble, judging, .. } = resolved(lines);
    let expected = Ensemble {
        reading: Reading::Value,
        tolerance: 0.5,
        substitute: Substitute::Mean,
        unsure_below: 0.8,
    };
    assert_eq!(ensemble, expected);
    let expected = Judging {
        loss: Loss::Squared { range: 10.0 },
        rewards: Rewards { low: -1.0, high: 3.5 },
        unrewarded: Some(-0.5),
        default_teaches: true,
    };
    assert_eq!(judging, expected);
    let absolute = resolved("loss = \"absolute\"\nrange = 0.5").judging.loss;
    assert_eq!(absolute, Loss::Absolute { range: 0.5 });
}

#[test]
fn models_of_a_policy_are_positions_in_the_list_of_its_application() {
    let lines = "name = \"exp3\"\nmode = \"apprentice\"\nbaseline = \"n:1\"\noff = [\"m\"]\n\
                 caps = { m = 0 }";
    let Policy { learning, arms, .. } = resolved(lines);
    assert_eq!(learning.mode, Mode::Apprentice { baseline: 1 });
    assert_eq!(arms, Arms { caps: vec![0.0, 1.0], off: Models::only(0) });
    let logged = resolved("mode = \"log_only\"\nbaseline = \"m\"").learning.mode;
    assert_eq!(logged, Mode::LogOnly { baseline: 0 });
    let versions = policy("caps = { \"m:1\" = 0.4, \"m:2\" = 0.6 }")
        .replace("\"n\"\ncommand", "\"m\"\nversion = \"2\"\ncommand")
        .replace("[\"m\", \"n\"]", "[\"m:2\", \"m:1\"]");
    let arms = config(&versions).applications.remove(0).policy.expect("it has one").arms;
    assert_eq!(arms.caps, [0.6, 0.4]);
}

#[test]
fn learning_and_hedging_are_as_wide_as_it_is_written() {
    let lines = "feedback_wait_us = 86400000000\nfeedback_window = 16\nseed = 7\ncontexts = 0";
    let expected = Learning {
        mode: Mode::Online,
        feedback_wait_ns: 86_400_000_000_000,
        feedback_window: 16,
        seed: 7,
        contexts: 0,
    };
    assert_eq!(resolved(lines).learning, expected);
    assert_eq!(resolved("hedge = true").hedge_share, Some(0.05));
    assert_eq!(resolved("hedge = true\nhedge_share = 0.2").hedge_share, Some(0.2));
    assert_eq!(resolved("hedge_share = 0.2").hedge_share, None);
}

#[test]
fn a_policy_without_use_is_warned_of() {
    let expected = "cutter.toml:12:15: warning: `hedge_share` of the policy of application \"a\" \
                    has no effect: `hedge` is not true";
    assert_eq!(warnings(&policy("hedge_share = 0.2")), expected);
    let one = with("", "policy = { name = \"exp3\" }", "");
    let expected = "cutter.toml:8:10: warning: the policy of application \"a\" has one model, \
                    \"m\": there is nothing to choose and nothing to combine";
    assert_eq!(warnings(&one), expected);
}

/// Exp3 of an η that is given by another name.
fn own(parameters: &PolicyParameters) -> Result<Box<dyn CorePolicy>, String> {
    let speed = parameters.get("speed").ok_or("`speed` is missing")?;
    let unknown = parameters.iter().find(|(name, _)| *name != "speed");
    unknown.map_or(Ok(()), |(name, number)| Err(format!("`{name}` ({number}) is unknown")))?;
    let eta = speed / parameters.models() as f64;
    Ok(Box::new(Exp3::new(eta, 0.0, 0.0).map_err(|error| error.to_string())?))
}

fn read_with_own(lines: &str) -> Result<Config, String> {
    let mut policies = Policies::default();
    policies.register("own", own);
    let read = Config::from_toml_with(&policy(lines), Path::new("/srv"), "c", &policies);
    read.map(|(config, _)| config).map_err(|errors| errors.to_string())
}

#[test]
fn a_registered_policy_is_made_with_its_numbers() {
    let mut config =
        read_with_own("name = \"own\"\nparameters = { speed = 0.5 }\nunsure_below = 1")
            .expect("it is right");
    let made = config.applications.remove(0).policy.expect("it has one").plan.build();
    let expected = Exp3::new(0.25, 0.0, 0.0).expect("a right one");
    assert_eq!(format!("{:?}", made.expect("it was made before")), format!("{expected:?}"));
}

#[test]
fn a_file_names_a_registered_policy_as_a_text_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("cutter.toml");
    let text = policy("name = \"own\"\nparameters = { speed = 0.5 }");
    std::fs::write(&path, text).expect("the file is written");
    let mut policies = Policies::default();
    policies.register("own", own);
    let read = Config::load_with(&path, &policies);
    let policy = read.expect("the file is right").0.applications.remove(0).policy;
    assert_eq!(policy.expect("it has one").name, "own");
    Config::load(&path).expect_err("nobody knows it");
}

/// One that does not begin as it should.
#[derive(Debug)]
struct Astray {
    models: fn(usize) -> usize,
    word: f64,
}

impl CorePolicy for Astray {
    fn init(&self, models: usize) -> State {
        let format = Format { policy: *b"astr", version: 1 };
        State::new(format, (self.models)(models), [self.word])
    }

    fn is_sound(&self, state: &State) -> bool {
        state.words()[0] >= 0.0
    }

    fn choose(&self, _: &State, _: &Ask<'_>) -> Result<Choice, PolicyError> {
        Ok(Choice::All)
    }

    fn observe(&self, _: &mut State, _: &Feedback<'_>) -> Result<(), PolicyError> {
        Ok(())
    }
}

#[test]
fn a_registered_policy_must_begin_as_it_is_asked_to() {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let cases: [(MakePolicy, &str); 4] = [
        (
            |_| Ok(Box::new(Astray { models: |_| 3, word: 0.0 })),
            "gives a state of 3 models; give one of 2",
        ),
        (
            |_| Ok(Box::new(Astray { models: |models| models, word: f64::NAN })),
            "gives a state that its `is_sound` refuses",
        ),
        (
            |_| Ok(Box::new(Astray { models: |models| models, word: -1.0 })),
            "gives a state that its `is_sound` refuses",
        ),
        (
            |_| {
                let word = MADE.fetch_add(1, Relaxed).into();
                Ok(Box::new(Astray { models: |models| models, word }))
            },
            "gives another state each time",
        ),
    ];
    for (make, expected) in cases {
        let mut policies = Policies::default();
        policies.register("astray", make);
        let text = policy("name = \"astray\"");
        let read = Config::from_toml_with(&text, Path::new("/srv"), "c", &policies);
        let begun = "c:12:8: the policy of application \"a\" cannot be made: its `init`";
        assert_eq!(read.expect_err(expected).to_string(), format!("{begun} {expected}"));
    }
}

#[test]
fn a_policy_for_no_model_or_for_too_many_is_refused() {
    let plan = Plan::BuiltIn(PolicyPlan::Static);
    for models in [0, 33] {
        let refused = plan.build_for(models).expect_err("it is for none, or too many");
        assert_eq!(refused, format!("it is for {models} models; give it 1 to 32"));
    }
}

#[test]
fn what_a_registered_policy_refuses_is_told_at_its_name() {
    let of = "the policy of application \"a\"";
    let table = [
        ("name = \"own\"", format!("c:12:8: {of} cannot be made: `speed` is missing")),
        (
            "name = \"own\"\nparameters = { speed = 1, sped = 2 }",
            format!("c:12:8: {of} cannot be made: `sped` (2) is unknown"),
        ),
        (
            "name = \"own\"\nparameters = { speed = nan }",
            format!(
                "c:13:24: `parameters.speed` of {of} is NaN; expected a number from \
                 -1000000000000 to 1000000000000"
            ),
        ),
        (
            "name = \"own\"\neta = 0.5\nparameters = { speed = 1 }",
            format!("c:13:7: {of} is \"own\", which takes no `eta`; it takes `parameters`"),
        ),
        (
            "name = \"owm\"",
            format!(
                "c:12:8: `name` of {of} is \"owm\"; expected one of: static, exp3, exp3_ix, exp4, \
                 epsilon_greedy, ucb1, thompson, gaussian_thompson, vote, weighted, lin_ucb, own; \
                 did you mean \"own\"?"
            ),
        ),
    ];
    for (lines, expected) in table {
        assert_eq!(read_with_own(lines), Err(expected), "{lines}");
    }
}

#[test]
fn outputs_of_a_model_are_kept_as_it_is_written() {
    let cache = |lines: &str| config(&with("", "", lines)).models.remove(0).cache;
    assert_eq!(cache(""), None);
    let bytes = 64 << 20;
    assert_eq!(cache("cache = {}"), Some(Cache { bytes, ttl_ns: None }));
    let expected = Cache { bytes: 17_179_869_184, ttl_ns: Some(1_000_000) };
    assert_eq!(cache("[model.cache]\nbytes = 17179869184\nttl_us = 1000"), Some(expected));
    let random = config(&with("", "", "deterministic = false")).models.remove(0);
    assert_eq!((random.deterministic, random.cache), (false, None));
}

#[test]
fn what_is_learned_is_kept_where_it_is_written() {
    let table = [
        ("", StateStore::Default),
        ("state = \"none\"", StateStore::None),
        ("state = \"./none\"", StateStore::At(PathBuf::from("/srv/none"))),
        ("state = \"/var/state.redb\"", StateStore::At(PathBuf::from("/var/state.redb"))),
    ];
    for (line, expected) in table {
        assert_eq!(config(&with(line, "", "")).server.state, expected, "{line}");
    }
}

#[test]
fn decisions_are_recorded_where_and_as_often_as_it_is_written() {
    let log = |lines: &str| config(&with(lines, "", "")).server.decision_log;
    assert_eq!(log(""), None);
    let expected = DecisionLog {
        directory: PathBuf::from("/srv/log"),
        file_bytes: 64 << 20,
        files: 16,
        sample: 1.0,
    };
    assert_eq!(log("decision_log = { directory = \"log\" }"), Some(expected.clone()));
    let lines = "[server.decision_log]\ndirectory = \"./log/\"\nfile_bytes = 1048576\nfiles = 2\n\
                 sample = 0.25";
    let expected = DecisionLog { file_bytes: 1 << 20, files: 2, sample: 0.25, ..expected };
    assert_eq!(log(lines), Some(expected));
}
