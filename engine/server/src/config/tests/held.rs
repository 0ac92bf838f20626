//! Settings that a program fills in are held to the bounds of a file.

use cutter_core::feedback::{Loss, Reading};
use cutter_core::policy::Models;
use cutter_tensor::{ElementType, Shape, TensorSpec};

use super::{config, policy};
use crate::config::{
    Application, BatchCost, Cache, Command, Config, DecisionLog, Mode, Model, Policy, Rewards,
    Substitute,
};

/// Settings that hold, and what becomes of them; and what is said of that.
type Case<T> = (fn(&mut T), &'static str);

fn held() -> Config {
    config(&policy("name = \"exp4\""))
}

fn refused<T>(cases: &[Case<T>], change: impl Fn(&mut Config, fn(&mut T))) {
    assert_eq!(held().check(), Ok(()));
    for (spoil, expected) in cases {
        let mut config = held();
        change(&mut config, *spoil);
        let problem = config.check().expect_err(expected);
        assert_eq!(problem.to_string(), *expected);
    }
}

#[test]
fn what_a_server_cannot_have_is_refused() {
    let log = |files, file_bytes, sample| {
        let directory = "log".into();
        Some(DecisionLog { directory, file_bytes, files, sample })
    };
    let mut config = held();
    config.server.query.clear();
    config.server.decision_log = log(2, 1 << 20, 1.0);
    assert_eq!(config.check(), Ok(()), "a program may ask by itself alone");
    for (log, expected) in [
        (log(1, 1 << 20, 1.0), "`files` of the decision log is 1; expected 2 to 4096"),
        (log(2, 0, 1.0), "`file_bytes` of the decision log is 0; expected 1048576 to 17179869184"),
        (
            log(2, 1 << 20, f64::NAN),
            "`sample` of the decision log is NaN; expected a number from 0.000001 to 1",
        ),
    ] {
        config.server.decision_log = log;
        assert_eq!(config.check().expect_err(expected).to_string(), expected);
    }
    refused::<Config>(
        &[
            (
                |config| config.server.cpu = Some(1024),
                "`cpu` of [server] is 1024; expected 0 to 1023",
            ),
            (
                |config| config.server.query = vec![config.server.query[0].clone(); 9],
                "`query` of [server] has 9 items; expected 0 to 8",
            ),
            (
                |config| config.applications[0].models = vec![0, 2],
                "`models` of application \"a\" is \"2\"; expected the position of one of 2 models",
            ),
        ],
        |config, spoil| spoil(config),
    );
}

#[test]
fn what_an_application_cannot_have_is_refused() {
    let cases: &[Case<Application>] = &[
        (
            |it| it.name = "A b".to_owned(),
            "`name` of application \"A b\" is \"A b\"; expected 1 to 63 lower-case letters and \
             digits, with `-` or `_` between them",
        ),
        (
            |it| it.name = "v2".to_owned(),
            "an application cannot be called \"v2\": the server uses that name itself",
        ),
        (
            |it| it.input = TensorSpec::at_most(ElementType::Bytes, (64 << 20) + 1),
            "`max_bytes` of the input of application \"a\" is 67108865; expected 1 to 67108864",
        ),
        (
            |it| it.input = TensorSpec::at_most(ElementType::Float32, 7),
            "`max_bytes` of the input of application \"a\" is 7; expected a multiple of 4, an \
             element's bytes",
        ),
        (
            |it| {
                let shape = Shape::new(&[1 << 24, 2]).expect("it fits 32 bits");
                it.input = TensorSpec::exact(ElementType::Float32, shape);
            },
            "`shape` of the input of application \"a\" is [16777216, 2], which makes a shape of \
             16777217 nested lists; there can be 4194304 in one item",
        ),
        (
            |it| it.input = TensorSpec::exact(ElementType::String, Shape::SCALAR),
            "the input of application \"a\" has a `shape`, but strings have no shape; expected \
             `max_bytes`",
        ),
        (|it| it.slo_ns = 0, "`slo_us` of application \"a\" is 0; expected 100 to 60000000"),
        (
            |it| it.slo_ns = 60_000_000_001,
            "`slo_us` of application \"a\" is 60000001; expected 100 to 60000000",
        ),
        (
            |it| it.default_output = "x".repeat(4_097),
            "`default_output` of application \"a\" has 4097 bytes; expected at most 4096",
        ),
        (|it| it.rows = 0, "`rows` of application \"a\" is 0; expected 1 to 4096"),
        (
            |it| it.input = TensorSpec::at_most(ElementType::Bytes, 64 << 20),
            "`rows` of application \"a\" is 4096, which with rows of 67108864 bytes makes a pool \
             of 274877906944 bytes; expected at most 64 rows (4294967296 bytes)",
        ),
        (
            |it| it.rows_at_start = 4_097,
            "`rows_at_start` of application \"a\" is 4097; expected 1 to 4096",
        ),
    ];
    refused(cases, |config, spoil| spoil(&mut config.applications[0]));
}

#[test]
fn what_a_policy_cannot_have_is_refused() {
    let cases: &[Case<Policy>] = &[
        (
            |it| it.ensemble.tolerance = -1.0,
            "`tolerance` of OF is -1.0; expected a number from 0 to 1000000000000",
        ),
        (
            |it| it.ensemble.unsure_below = 1.5,
            "`unsure_below` of OF is 1.5; expected a number from 0 to 1",
        ),
        (
            |it| {
                it.ensemble.substitute = Substitute::Mean;
                it.ensemble.reading = Reading::Class;
            },
            "`substitute` of OF is only for outputs that are values or scores when it is the mean; \
             leave it out, or set that",
        ),
        (
            |it| it.judging.loss = Loss::Absolute { range: 0.0 },
            "`range` of OF is 0.0; expected a number from 0.000000001 to 1000000000000",
        ),
        (
            |it| it.judging.rewards = Rewards { low: 1.0, high: 1.0 },
            "`reward_range` of OF is from 1 to 1; expected the worst reward first, and a better \
             one behind it",
        ),
        (
            |it| it.judging.rewards.high = f64::INFINITY,
            "`reward_range` of OF is inf; expected a number from -1000000000000 to 1000000000000",
        ),
        (
            |it| it.judging.unrewarded = Some(2.0),
            "`unrewarded` of OF is 2.0; expected a number from 0 to 1",
        ),
        (
            |it| it.learning.feedback_wait_ns = u64::MAX,
            "`feedback_wait_us` of OF is 18446744073709552; expected 1000 to 86400000000",
        ),
        (
            |it| it.learning.feedback_window = 0,
            "`feedback_window` of OF is 0; expected 16 to 4194304",
        ),
        (
            |it| it.learning.contexts = (1 << 20) + 1,
            "`contexts` of OF is 1048577; expected 0 to 1048576",
        ),
        (|it| it.arms.caps.clear(), "`caps` of OF has 0 items; expected 1 to 32"),
        (|it| it.arms.caps[0] = f64::NAN, "`caps` of OF is NaN; expected a number from 0 to 1"),
        (
            |it| it.arms.caps = vec![0.25, 0.5],
            "`caps` of OF leave 0.75 of all choices to the models that are not off, and every \
             query asks one; expected 1 at least",
        ),
        (
            |it| it.arms.off = Models::first(2),
            "`off` of OF names every model; expected one at least that may be asked",
        ),
        (
            |it| it.learning.mode = Mode::Apprentice { baseline: 2 },
            "`baseline` of OF is 2; expected 0 to 1",
        ),
        (
            |it| {
                it.learning.mode = Mode::LogOnly { baseline: 1 };
                it.arms.off = Models::only(1);
            },
            "`baseline` of OF is \"1\", which is `off`; expected a model that is asked",
        ),
        (
            |it| it.hedge_share = Some(0.0),
            "`hedge_share` of OF is 0.0; expected a number from 0.001 to 0.5",
        ),
    ];
    for (spoil, expected) in cases {
        let mut config = held();
        spoil(config.applications[0].policy.as_mut().expect("it has one"));
        let expected = expected.replace("OF", "the policy of application \"a\"");
        assert_eq!(config.check().expect_err(&expected).to_string(), expected);
    }
}

#[test]
fn what_a_model_cannot_have_is_refused() {
    let cases: &[Case<Model>] = &[
        (
            |it| it.version = String::new(),
            "`version` of model \"m\" is \"\"; expected 1 to 63 lower-case letters and digits, \
             with `-`, `_` or `.` between them",
        ),
        (
            |it| {
                let args = vec![String::new(); 256];
                it.command = Some(Command { program: "m".into(), args });
            },
            "`command` of model \"m\" has 257 items; expected 1 to 256",
        ),
        (|it| it.replicas = 0, "`replicas` of model \"m\" is 0; expected 1 to 64"),
        (|it| it.cpus = vec![2_000], "`cpus` of model \"m\" is 2000; expected 0 to 1023"),
        (|it| it.cpus = vec![0; 65], "`cpus` of model \"m\" has 65 items; expected 0 to 64"),
        (
            |it| it.batch_timeout_ns = 0,
            "`batch_timeout_us` of model \"m\" is 0; expected 1000 to 600000000",
        ),
        (
            |it| it.load_timeout_us = Some(u64::MAX),
            "`load_timeout_us` of model \"m\" is 18446744073709551615; expected 0 to 3600000000",
        ),
        (
            |it| it.input = Some(TensorSpec::at_most(ElementType::Bytes, 0)),
            "`max_bytes` of the input of model \"m\" is 0; expected 1 to 67108864",
        ),
        (
            |it| it.hedge_share = Some(0.75),
            "`hedge_share` of model \"m\" is 0.75; expected a number from 0.001 to 0.5",
        ),
        (|it| it.batch.max = 0, "`max` of the batches of model \"m\" is 0; expected 1 to 4096"),
        (
            |it| it.batch.wait_ns = u64::MAX,
            "`wait_us` of the batches of model \"m\" is 18446744073709552; expected 0 to 1000000",
        ),
        (
            |it| it.batch.cost = BatchCost::Bytes { max: 0 },
            "`max_cost_bytes` of the batches of model \"m\" is 0; expected 1 to 4294967295",
        ),
        (
            |it| it.cache = Some(Cache { bytes: 100, ttl_ns: None }),
            "`bytes` of the cache of model \"m\" is 100; expected 65536 to 17179869184",
        ),
        (
            |it| it.cache = Some(Cache { bytes: 1 << 20, ttl_ns: Some(1) }),
            "`ttl_us` of the cache of model \"m\" is 1; expected 1000 to 604800000000",
        ),
        (
            |it| {
                it.cache = Some(Cache { bytes: 1 << 20, ttl_ns: None });
                it.deterministic = false;
            },
            "model \"m\" is not deterministic, so an output that is kept is not what it would \
             say; expected no `cache`, or `deterministic = true`",
        ),
    ];
    refused(cases, |config, spoil| spoil(&mut config.models[0]));
}
