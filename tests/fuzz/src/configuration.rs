//! The text of a configuration.
//!
//! Oracle: text is refused with problems that lie within it, in words; or the configuration holds
//! every limit, and what `check` prints of it is the same twice, in lines without control
//! characters.

use std::path::Path;

use cutter_command::check;
use cutter_core::limits::{BATCH_MAX, LINKS_MAX};
use cutter_protocol::limits::POOLS_MAX;
use cutter_server::config::{Application, Config, ConfigErrors, Model, Place, Policy, Warning};
use cutter_server::limits::{
    APPLICATIONS_MAX, BATCH_TIMEOUT_US_MAX, BATCH_TIMEOUT_US_MIN, BATCH_WAIT_US_MAX,
    CACHE_BYTES_MAX, CACHE_BYTES_MIN, COMMAND_WORDS_MAX, CPU_MAX, CPUS_MAX,
    DEFAULT_OUTPUT_BYTES_MAX, INPUT_BYTES_MAX, MODELS_MAX, POOL_BYTES_CONFIGURED_MAX,
    POOL_ROWS_MAX, POOL_ROWS_MIN, QUERY_LISTENERS_MAX, REPLICAS_MAX, REPLICAS_TOTAL_MAX,
    SLO_US_MAX, SLO_US_MIN,
};
use cutter_tensor::Extent;
use cutter_tensor::limits::RANK_MAX;
use cutter_wire::limits::NAME_BYTES_MAX;

const NS_PER_US: u64 = 1_000;
/// How messages call the text.
const NAME: &str = "cutter.toml";
/// Of one problem: its place, its words, what is known instead, and shortened texts of the file.
const LINE_BYTES_MAX: usize = 16 << 10;

pub fn configuration(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match resolve(&text) {
        Err(errors) => check_errors(&errors, &text),
        Ok((config, warnings)) => {
            check_config(&config);
            for warning in &warnings {
                assert!(!warning.to_string().is_empty());
            }
            let printed = print(&config, &warnings);
            // A tab stands in a line like a space.
            let breaks = |char: char| char.is_control() && char != '\t';
            assert!(printed.lines().all(|line| !line.contains(breaks)), "{printed:?}");
            let again = resolve(&text)
                .map(|(config, warnings)| (print(&config, &warnings), config, warnings));
            assert_eq!(again, Ok((printed, config, warnings)));
        }
    }
}

fn resolve(text: &str) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    Config::from_toml(text, Path::new("/srv"), NAME)
}

fn print(config: &Config, warnings: &[Warning]) -> String {
    let mut text = String::new();
    check::print(config, warnings, &mut text).expect("a String takes everything");
    text
}

fn check_errors(errors: &ConfigErrors, text: &str) {
    let lines: Vec<&str> = text.split('\n').collect();
    for error in errors.as_slice() {
        let told = error.to_string();
        assert!(told.starts_with(NAME) && told.len() <= LINE_BYTES_MAX, "{told}");
        assert!(!told.contains(char::is_control), "{told:?}");
        if let Some(Place { line, column }) = error.place {
            assert!((1..=lines.len()).contains(&line), "{told}");
            assert!((1..=lines[line - 1].chars().count() + 1).contains(&column), "{told}");
        }
    }
}

fn check_config(config: &Config) {
    let server = &config.server;
    assert!((1..=QUERY_LISTENERS_MAX).contains(&server.query.len()));
    assert!(server.cpu.is_none_or(|cpu| cpu <= CPU_MAX as usize));
    assert!(config.applications.len() <= APPLICATIONS_MAX && config.models.len() <= MODELS_MAX);
    let replicas: u32 = config.models.iter().map(|model| model.replicas).sum();
    assert!(replicas <= REPLICAS_TOTAL_MAX);
    config.applications.iter().for_each(|application| check_application(application, config));
    config.models.iter().for_each(|model| check_model(model, config));
}

fn check_application(application: &Application, config: &Config) {
    assert!((1..=NAME_BYTES_MAX).contains(&application.name.len()));
    let same = config.applications.iter().filter(|other| other.name == application.name);
    assert_eq!(same.count(), 1);
    let slo_us = application.slo_ns / NS_PER_US;
    assert!((SLO_US_MIN..=SLO_US_MAX).contains(&u32::try_from(slo_us).expect("a bounded time")));
    assert!(application.default_output.len() <= DEFAULT_OUTPUT_BYTES_MAX);
    assert!(application.input.bytes_max() <= INPUT_BYTES_MAX as usize);
    if let Extent::Exact(shape) = application.input.extent {
        assert!(shape.dims().len() <= RANK_MAX);
    }
    assert!((POOL_ROWS_MIN..=POOL_ROWS_MAX).contains(&application.rows));
    assert!(application.pool_bytes() <= POOL_BYTES_CONFIGURED_MAX);
    let models = &application.models;
    assert!(models.len() <= LINKS_MAX && models.iter().all(|model| *model < config.models.len()));
    let is_once = |model| models.iter().filter(|other| *other == model).count() == 1;
    assert!(models.iter().all(is_once));
    application.policy.iter().for_each(|policy| check_policy(policy, models.len()));
}

/// It can be made, and names models of its application.
fn check_policy(policy: &Policy, models: usize) {
    assert!(policy.plan.build().is_ok());
    assert!(policy.learning.mode.baseline().is_none_or(|baseline| baseline < models));
    assert!(policy.arms.caps.len() == models && policy.arms.off.len() < models);
    let asked = (0..models).filter(|model| !policy.arms.off.contains(*model));
    assert!(asked.map(|model| policy.arms.caps[model]).sum::<f64>() > 0.999);
}

fn check_model(model: &Model, config: &Config) {
    assert!((1..=NAME_BYTES_MAX).contains(&model.name.len()));
    assert!((1..=NAME_BYTES_MAX).contains(&model.version.len()));
    let same = |other: &&Model| (&other.name, &other.version) == (&model.name, &model.version);
    assert_eq!(config.models.iter().filter(same).count(), 1);
    assert!((1..=REPLICAS_MAX).contains(&model.replicas));
    assert!(model.cpus.len() <= CPUS_MAX && model.cpus.iter().all(|cpu| *cpu <= CPU_MAX as usize));
    assert!((1..=BATCH_MAX).contains(&model.batch.max));
    assert!(model.batch.wait_ns <= u64::from(BATCH_WAIT_US_MAX) * NS_PER_US);
    let timeout_us = model.batch_timeout_ns / NS_PER_US;
    let bounds = u64::from(BATCH_TIMEOUT_US_MIN)..=u64::from(BATCH_TIMEOUT_US_MAX);
    assert!(bounds.contains(&timeout_us));
    assert!(model.deterministic || model.cache.is_none());
    let bytes = CACHE_BYTES_MIN..=CACHE_BYTES_MAX;
    assert!(model.cache.is_none_or(|cache| bytes.contains(&cache.bytes)));
    assert!(model.command.as_ref().is_none_or(|it| it.args.len() < COMMAND_WORDS_MAX));
    assert!(model.command.is_some() || config.server.socket.is_some());
    assert!(model.applications.len() <= POOLS_MAX);
    let linked = model.applications.iter().map(|index| &config.applications[*index]);
    assert!(linked.clone().all(|application| Some(application.input) == model.input));
}
