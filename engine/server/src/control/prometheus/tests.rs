//! Reads the text back, line by line, and compares it with what was recorded.

use std::collections::BTreeMap;

use cutter_core::policy::Models;
use cutter_core::stats::SelectionStats;

use super::*;
use crate::counted::CountedSelection;

const KINDS: &[&str] = &["stamp", "slot"];

fn stats() -> Counted {
    let model =
        |(name, version, replicas)| Arc::new(ModelStats::new(name, version, replicas, KINDS));
    Counted {
        engine: Arc::new(EngineStats::new()),
        applications: ["digits", "words"].map(|name| Arc::new(ApplicationStats::new(name))).into(),
        models: [("softmax", "1", 2), ("noop", "v\"2\\\n", 1)].map(model).into(),
        selections: Vec::new(),
        caches: Vec::new(),
        store: None,
        decision_log: None,
    }
}

/// The first application has a policy for both models, of which the second is taken out and has a
/// cache, and all is kept.
fn choosing() -> Counted {
    let stats = stats();
    let selection = CountedSelection {
        application: Arc::clone(&stats.applications[0]),
        models: stats.models.clone(),
        off: Models::only(1),
        is_apprentice: true,
        stats: Arc::new(SelectionStats::new(2)),
    };
    let caches = vec![(Arc::clone(&stats.models[1]), Arc::default())];
    let (store, decision_log) = (Some(Arc::default()), Some(Arc::default()));
    Counted { selections: vec![selection], caches, store, decision_log, ..stats }
}

fn samples(stats: &Counted) -> BTreeMap<String, f64> {
    encode(stats.clone(), ProcessCounts::default(), Format::OpenMetrics)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').expect("name, space, value"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
        .collect()
}

#[track_caller]
fn assert_samples(stats: &Counted, expected: &[(&str, f64)]) {
    let samples = samples(stats);
    let found: Vec<_> =
        expected.iter().map(|(name, _)| (*name, samples.get(*name).copied())).collect();
    let expected: Vec<_> = expected.iter().map(|(name, value)| (*name, Some(*value))).collect();
    assert_eq!(found, expected);
}

#[test]
fn answers_are_counted_by_application_and_reason() {
    let stats = stats();
    let digits = &stats.applications[0];
    digits.queries.add(10);
    digits.predictions.add(6);
    digits.defaults(Reason::Late).add(3);
    digits.cancelled.increment();
    digits.late.add(2);
    digits.rows_in_use.set(7);
    digits.rows.set(64);
    assert_samples(
        &stats,
        &[
            (r#"cutter_queries_total{application="digits"}"#, 10.0),
            (r#"cutter_queries_total{application="words"}"#, 0.0),
            (r#"cutter_predictions_total{application="digits"}"#, 6.0),
            (r#"cutter_defaults_total{application="digits",reason="late"}"#, 3.0),
            (r#"cutter_defaults_total{application="digits",reason="no_model"}"#, 0.0),
            (r#"cutter_cancelled_total{application="digits"}"#, 1.0),
            (r#"cutter_late_total{application="digits"}"#, 2.0),
            (r#"cutter_input_pool_rows_in_use{application="digits"}"#, 7.0),
            (r#"cutter_input_pool_rows{application="digits"}"#, 64.0),
        ],
    );
}

#[test]
fn models_and_replicas_are_told_apart() {
    let stats = stats();
    let softmax = &stats.models[0];
    softmax.queued.set(4);
    softmax.expired.add(5);
    softmax.restarts.add(2);
    softmax.redispatches.add(8);
    softmax.stalls.add(7);
    softmax.batches_failed.add(6);
    softmax.items_failed.add(9);
    softmax.violations(1).add(3);
    softmax.replicas[1].batch_limit.set(17);
    softmax.replicas[1].in_flight.set(2);
    softmax.replicas[0].up.set(1);
    softmax.replicas[1].failing.set(1);
    let model = r#"model="softmax",version="1""#;
    let expected = [
        (format!("cutter_queued_queries{{{model}}}"), 4.0),
        (format!("cutter_expired_queries_total{{{model}}}"), 5.0),
        (format!("cutter_replica_restarts_total{{{model}}}"), 2.0),
        (format!("cutter_redispatched_queries_total{{{model}}}"), 8.0),
        (format!("cutter_stalled_batches_total{{{model}}}"), 7.0),
        (format!("cutter_batches_failed_total{{{model}}}"), 6.0),
        (format!("cutter_items_failed_total{{{model}}}"), 9.0),
        (format!(r#"cutter_protocol_violations_total{{{model},kind="stamp"}}"#), 0.0),
        (format!(r#"cutter_protocol_violations_total{{{model},kind="slot"}}"#), 3.0),
        (format!(r#"cutter_batch_limit_rows{{{model},replica="0"}}"#), 0.0),
        (format!(r#"cutter_batch_limit_rows{{{model},replica="1"}}"#), 17.0),
        (format!(r#"cutter_in_flight_batches{{{model},replica="1"}}"#), 2.0),
        (format!(r#"cutter_replica_up{{{model},replica="0"}}"#), 1.0),
        (format!(r#"cutter_replica_up{{{model},replica="1"}}"#), 0.0),
        (format!(r#"cutter_replica_failing{{{model},replica="0"}}"#), 0.0),
        (format!(r#"cutter_replica_failing{{{model},replica="1"}}"#), 1.0),
    ];
    let expected = expected.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_samples(&stats, &expected);
}

#[test]
fn the_engine_totals_are_there() {
    let stats = stats();
    stats.engine.connections.set(3);
    stats.engine.connections_accepted.add(9);
    stats.engine.connections_evicted.add(3);
    stats.engine.bytes_in.add(1_000);
    stats.engine.bytes_out.add(2_000);
    stats.engine.system_calls_enter.add(11);
    stats.engine.system_calls_yield.add(12);
    stats.engine.system_calls_wake.add(13);
    stats.engine.ring_overflows.add(1);
    stats.engine.input_bytes_copied.add(784);
    stats.engine.http_errors(413).add(2);
    stats.engine.http_errors(418).add(1);
    assert_samples(
        &stats,
        &[
            ("cutter_connections", 3.0),
            ("cutter_connections_accepted_total", 9.0),
            ("cutter_connections_evicted_total", 3.0),
            ("cutter_received_bytes_total", 1_000.0),
            ("cutter_sent_bytes_total", 2_000.0),
            (r#"cutter_system_calls_total{kind="enter"}"#, 11.0),
            (r#"cutter_system_calls_total{kind="yield"}"#, 12.0),
            (r#"cutter_system_calls_total{kind="wake"}"#, 13.0),
            ("cutter_ring_overflows_total", 1.0),
            ("cutter_input_copied_bytes_total", 784.0),
            (r#"cutter_http_errors_total{status="413"}"#, 2.0),
            (r#"cutter_http_errors_total{status="other"}"#, 1.0),
            (r#"cutter_http_errors_total{status="400"}"#, 0.0),
        ],
    );
}

#[test]
fn times_are_exposed_in_seconds_and_counted_up_to_each_edge() {
    let stats = stats();
    [1_000, 1_001, 5_000_000, 100_000_000_000]
        .into_iter()
        .for_each(|ns| stats.applications[0].end_to_end.record(ns));
    let app = r#"application="digits""#;
    let expected = [
        (format!("cutter_end_to_end_seconds_count{{{app}}}"), 4.0),
        (format!("cutter_end_to_end_seconds_sum{{{app}}}"), 100.005_002_001),
        (format!(r#"cutter_end_to_end_seconds_bucket{{le="0.000001",{app}}}"#), 1.0),
        (format!(r#"cutter_end_to_end_seconds_bucket{{le="0.000002",{app}}}"#), 2.0),
        (format!(r#"cutter_end_to_end_seconds_bucket{{le="0.004096",{app}}}"#), 2.0),
        (format!(r#"cutter_end_to_end_seconds_bucket{{le="0.008192",{app}}}"#), 3.0),
        (format!(r#"cutter_end_to_end_seconds_bucket{{le="67.108864",{app}}}"#), 3.0),
        (format!(r#"cutter_end_to_end_seconds_bucket{{le="+Inf",{app}}}"#), 4.0),
    ];
    let expected = expected.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_samples(&stats, &expected);
}

#[test]
fn each_stage_shows_its_own_times() {
    let stats = stats();
    stats.applications[0].parse.record(1);
    (0..2).for_each(|_| stats.applications[0].reply.record(1));
    (0..3).for_each(|_| stats.models[0].queue.record(1));
    (0..4).for_each(|_| stats.models[0].batch_wait.record(1));
    (0..5).for_each(|_| stats.models[0].service.record(1));
    let app = r#"cutter_application_stage_seconds_count{application="digits""#;
    let model = r#"cutter_model_stage_seconds_count{model="softmax",version="1""#;
    let expected = [
        (format!(r#"{app},stage="parse"}}"#), 1.0),
        (format!(r#"{app},stage="reply"}}"#), 2.0),
        (format!(r#"{model},stage="queue"}}"#), 3.0),
        (format!(r#"{model},stage="batch_wait"}}"#), 4.0),
        (format!(r#"{model},stage="service"}}"#), 5.0),
    ];
    let expected = expected.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_samples(&stats, &expected);
}

#[test]
fn batch_sizes_are_exposed_in_rows() {
    let stats = stats();
    [1, 2, 3, 5_000].into_iter().for_each(|rows| stats.models[0].batch_size.record(rows));
    let model = r#"model="softmax",version="1""#;
    let expected = [
        (format!("cutter_batch_rows_count{{{model}}}"), 4.0),
        (format!("cutter_batch_rows_sum{{{model}}}"), 5_006.0),
        (format!(r#"cutter_batch_rows_bucket{{le="2.0",{model}}}"#), 2.0),
        (format!(r#"cutter_batch_rows_bucket{{le="4.0",{model}}}"#), 3.0),
        (format!(r#"cutter_batch_rows_bucket{{le="+Inf",{model}}}"#), 4.0),
    ];
    let expected = expected.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_samples(&stats, &expected);
}

#[test]
fn what_a_policy_chose_and_what_came_of_it_is_told_by_application() {
    let stats = choosing();
    let counted = &stats.selections[0].stats;
    counted.decisions.add(40);
    counted.combined.add(20);
    counted.confidence.add(15_000_000);
    counted.judged.add(10);
    counted.earned.add(7_000_000);
    counted.arms[1].learned.add(2);
    counted.arms[1].losses.add(200_000);
    counted.beside_judged.add(5);
    counted.beside_agreed.add(4);
    counted.beside_earned.add(1_000_000);
    counted.feedback.learned.add(10);
    counted.feedback.expired.add(3);
    counted.feedback.join_delay.record(5_000_000);
    let app = r#"application="digits""#;
    let expected = [
        (format!("cutter_decisions_total{{{app}}}"), 40.0),
        (format!("cutter_combined_answers_total{{{app}}}"), 20.0),
        (format!("cutter_judged_answers_total{{{app}}}"), 10.0),
        (format!("cutter_confidence{{{app}}}"), 0.75),
        (format!("cutter_effective_accuracy{{{app}}}"), 0.7),
        (format!("cutter_regret{{{app}}}"), 2.0),
        (format!("cutter_apprentice_judged_answers_total{{{app}}}"), 5.0),
        (format!("cutter_apprentice_agreement{{{app}}}"), 0.8),
        (format!("cutter_apprentice_earned{{{app}}}"), 0.2),
        (format!(r#"cutter_feedback_total{{{app},outcome="learned"}}"#), 10.0),
        (format!(r#"cutter_feedback_total{{{app},outcome="expired"}}"#), 3.0),
        (format!(r#"cutter_feedback_total{{{app},outcome="late"}}"#), 0.0),
        (format!("cutter_feedback_share{{{app}}}"), 0.25),
        (format!("cutter_feedback_join_delay_seconds_sum{{{app}}}"), 0.005),
    ];
    let expected = expected.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_samples(&stats, &expected);
}

#[test]
fn each_arm_shows_its_choices_and_its_rewards() {
    let stats = choosing();
    let counted = &stats.selections[0].stats;
    counted.decisions.add(40);
    counted.combined.add(20);
    let arm = &counted.arms[0];
    arm.asked.add(10);
    arm.came.add(9);
    arm.stragglers.add(1);
    arm.predicted_late.add(3);
    arm.agreed.add(5);
    arm.learned.add(2);
    arm.losses.add(1_000_000);
    arm.squared_losses.add(520_000);
    arm.weight.set(600_000);
    let label = r#"application="digits",model="softmax",version="1""#;
    let expected = [
        (format!("cutter_arm_asked_total{{{label}}}"), 10.0),
        (format!("cutter_arm_came_total{{{label}}}"), 9.0),
        (format!("cutter_arm_stragglers_total{{{label}}}"), 1.0),
        (format!("cutter_arm_predicted_late_total{{{label}}}"), 3.0),
        (format!("cutter_arm_agreed_total{{{label}}}"), 5.0),
        (format!("cutter_arm_learned_total{{{label}}}"), 2.0),
        (format!("cutter_arm_enabled{{{label}}}"), 1.0),
        (format!("cutter_arm_weight{{{label}}}"), 0.6),
        (format!("cutter_arm_share{{{label}}}"), 0.25),
        (format!("cutter_arm_agreement{{{label}}}"), 0.25),
        (format!("cutter_arm_reward{{{label}}}"), 0.5),
        (format!("cutter_arm_reward_low{{{label}}}"), 0.304),
        (format!("cutter_arm_reward_high{{{label}}}"), 0.696),
    ];
    let expected = expected.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_samples(&stats, &expected);
    let other = r#"application="digits",model="noop",version="v\"2\\\n""#;
    assert_samples(&stats, &[(&format!("cutter_arm_enabled{{{other}}}"), 0.0)]);
    assert!(!samples(&stats).contains_key(&format!("cutter_arm_reward{{{other}}}")));
}

#[test]
fn what_is_kept_is_told_of_whatever_keeps_it() {
    let stats = choosing();
    let (_, cache) = &stats.caches[0];
    cache.hits.add(7);
    cache.misses.add(8);
    cache.evicted.add(2);
    cache.bytes.set(65_000);
    cache.is_off.set(1);
    stats.store.as_ref().unwrap().saved.add(4);
    stats.decision_log.as_ref().unwrap().add_dropped(6);
    let model = r#"model="noop",version="v\"2\\\n""#;
    let expected = [
        (format!(r#"cutter_cache_requests_total{{{model},found="hit"}}"#), 7.0),
        (format!(r#"cutter_cache_requests_total{{{model},found="missed"}}"#), 8.0),
        (format!("cutter_cache_evicted_total{{{model}}}"), 2.0),
        (format!("cutter_cache_bytes{{{model}}}"), 65_000.0),
        (format!("cutter_cache_off{{{model}}}"), 1.0),
        ("cutter_store_saved_total".to_owned(), 4.0),
        ("cutter_decision_log_records_written_total".to_owned(), 0.0),
        ("cutter_decision_log_records_dropped_total".to_owned(), 6.0),
    ];
    let expected = expected.each_ref().map(|(name, value)| (name.as_str(), *value));
    assert_samples(&stats, &expected);
}

#[test]
fn who_has_no_policy_and_keeps_nothing_has_none_of_those_families() {
    let text = encode(stats(), ProcessCounts::default(), Format::Text).unwrap();
    let words = ["cutter_arm_", "cutter_decision", "cutter_feedback", "cutter_cache", "_store_"];
    assert_eq!(words.map(|word| text.contains(word)), [false; 5]);
    let mut online = choosing();
    online.selections[0].is_apprentice = false;
    let text = encode(online, ProcessCounts::default(), Format::Text).unwrap();
    assert!(text.contains("cutter_arm_") && !text.contains("cutter_apprentice"), "{text}");
}

#[test]
fn label_values_are_escaped() {
    let stats = stats();
    stats.models[1].queued.set(6);
    let name = r#"cutter_queued_queries{model="noop",version="v\"2\\\n"}"#;
    assert_samples(&stats, &[(name, 6.0)]);
}

#[test]
fn each_family_is_described_once_before_its_samples() {
    let text = encode(choosing(), ProcessCounts::default(), Format::OpenMetrics).unwrap();
    let described = |word: &str| -> Vec<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(word))
            .filter_map(|rest| rest.split(' ').next())
            .map(str::to_owned)
            .collect()
    };
    let (helped, typed) = (described("# HELP "), described("# TYPE "));
    assert_eq!(helped, typed);
    let mut distinct = helped.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), helped.len());
    assert!(helped.iter().all(|name| name.starts_with("cutter_")), "{helped:?}");
    // Each sample belongs to the family described last.
    let mut family = "";
    let strays: Vec<&str> = text
        .lines()
        .filter(|line| {
            family = line
                .strip_prefix("# TYPE ")
                .and_then(|rest| rest.split(' ').next())
                .unwrap_or(family);
            !line.starts_with('#') && !line.starts_with(family)
        })
        .collect();
    assert_eq!(strays, [""; 0]);
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn an_engine_without_applications_is_still_valid_text() {
    let stats = Counted { applications: Vec::new(), models: Vec::new(), ..stats() };
    assert_samples(&stats, &[("cutter_connections", 0.0)]);
}

#[test]
fn a_client_gets_the_format_that_it_prefers_and_text_when_it_does_not_care() {
    for (accept, format) in [
        ("", Format::Text),
        ("*/*", Format::Text),
        ("text/plain", Format::Text),
        ("text/html", Format::Text),
        ("application/openmetrics-text;q=0", Format::Text),
        ("application/openmetrics-text;q=0.4, text/plain;version=0.0.4;q=0.5", Format::Text),
        ("application/openmetrics-text", Format::OpenMetrics),
        ("application/openmetrics-text;version=1.0.0,*/*;q=0.1", Format::OpenMetrics),
        ("Application/OpenMetrics-Text; q=0.9, text/plain; q=0.5", Format::OpenMetrics),
    ] {
        assert_eq!(Format::wanted(accept), format, "{accept:?}");
    }
}

/// What `promtool check metrics` asks for: every family has a help and a type before its samples,
/// counters end in `_total` and nothing else does, and no name bears its type.
#[track_caller]
fn assert_described(text: &str, format: Format) {
    let mut described: BTreeMap<&str, (bool, Option<&str>)> = BTreeMap::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            assert!(!help.trim().is_empty(), "{line}");
            assert!(described.insert(name, (true, None)).is_none(), "twice: {line}");
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' '))
        {
            described.get_mut(name).unwrap_or_else(|| panic!("no help: {line}")).1 = Some(kind);
            let is_total = kind == "counter" && format == Format::Text;
            assert_eq!(name.ends_with("_total"), is_total, "{line}");
            assert!(!["counter", "gauge", "histogram"].iter().any(|kind| name.contains(kind)));
        } else if line.starts_with('#') {
            assert!(line.starts_with("# UNIT ") && format == Format::OpenMetrics, "{line}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let endings = ["", "_total", "_bucket", "_sum", "_count"];
            let family = endings.iter().find_map(|end| described.get(name.strip_suffix(end)?));
            assert!(family.is_some_and(|(_, kind)| kind.is_some()), "not described: {line}");
        }
    }
    assert!(described.len() > 25);
}

#[test]
fn every_metric_is_described_in_both_formats() {
    for format in [Format::Text, Format::OpenMetrics] {
        let text = encode(choosing(), ProcessCounts::default(), format).unwrap();
        assert_described(&text, format);
        assert_eq!(text.ends_with("# EOF\n"), format == Format::OpenMetrics);
        assert_eq!(text.contains("# UNIT"), format == Format::OpenMetrics);
    }
}

#[test]
fn both_formats_say_the_same() {
    let stats = choosing();
    stats.applications[0].queries.add(10);
    stats.models[0].batches_failed.add(3);
    let process = ProcessCounts { log_lines_dropped: 7 };
    let samples = [Format::Text, Format::OpenMetrics].map(|format| {
        let text = encode(stats.clone(), process, format).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(samples[0], samples[1]);
    assert!(samples[0].contains(&"cutter_log_lines_dropped_total 7".to_owned()));
    let failed = r#"cutter_batches_failed_total{model="softmax",version="1"} 3"#;
    assert!(samples[0].contains(&failed.to_owned()));
}
