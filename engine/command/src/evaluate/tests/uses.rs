//! Logs on a disk: which of their decisions are used, and what is made of them.

use std::path::Path;

use cutter_core::feedback::{Decided, Learned, Said};
use cutter_core::ids::ApplicationId;
use cutter_core::policy::{Models, Policy, Vote};
use cutter_server::decision_log::{DecisionLog, LogHeader, LogSettings};
use tempfile::TempDir;

use super::super::log::{LeftOut, Log, Usable};
use super::super::options::Format;
use super::super::policies::Target;
use super::super::{EvaluateError, evaluate, export::export};
use super::{ARMS, simulate, simulate_beside, uniform};

fn application() -> ApplicationId {
    ApplicationId::from_bits(2)
}

pub fn header() -> LogHeader {
    LogHeader {
        name: "digits".to_owned(),
        models: ["a:1", "b:1", "c:1", "d:1", "e:1"].map(str::to_owned).to_vec(),
        policy: "exp3".to_owned(),
        policy_version: "1".to_owned(),
        parameters: "eta=0.1 floor=1".to_owned(),
        epoch: 1,
    }
}

/// Logs decisions as a server does; each is told unless it is one of those left out.
pub fn write(folder: &Path, header: &LogHeader, log: &[Usable], is_told: impl Fn(&Usable) -> bool) {
    let settings = LogSettings {
        directory: folder.to_owned(),
        file_bytes_max: 8 << 20,
        files_max: 10,
        sample: 1.0,
    };
    let (mut writer, thread) = DecisionLog::open(settings).unwrap();
    writer.add_application(application(), header);
    for of in log {
        writer.decided(&Decided {
            application: application(),
            is_evaluation: of.is_evaluation,
            query_id: of.query_id,
            arrived_ns: u64::try_from(of.arrived_ns).unwrap(),
            answered_ns: u64::try_from(of.arrived_ns).unwrap() + 100,
            context: &of.context,
            servable: of.servable,
            asked: of.asked,
            propensities: &of.propensities,
            said: &of.said,
            answer: Said::Class(1),
            confidence: None,
            vector: &of.vector,
        });
    }
    for of in log.iter().filter(|of| is_told(of)) {
        writer.learned(&Learned {
            application: application(),
            query_id: of.query_id,
            told_ns: u64::try_from(of.told_ns).unwrap(),
            losses: &of.losses,
            answer_loss: of.answer_loss,
        });
    }
    drop(writer);
    thread.join();
}

/// A folder with such a log.
pub fn folder(policy: &dyn Policy, decisions: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &header(), &simulate(policy, 9, decisions, 2), |_| true);
    folder
}

#[test]
fn what_is_read_of_a_log_is_what_was_decided_and_told() {
    let folder = folder(&uniform(), 200);
    let log = Log::read(folder.path(), None).unwrap();
    let logged = simulate(&uniform(), 9, 200, 2);
    assert_eq!((log.decisions, log.left_out), (200, LeftOut::default()));
    assert_eq!(log.header, header());
    let offset = log.usable[0].arrived_ns;
    for (read, logged) in log.usable.iter().zip(logged) {
        let arrived_ns = read.arrived_ns - offset;
        let told_ns = read.told_ns - offset;
        assert_eq!(Usable { arrived_ns, told_ns, ..read.clone() }, logged);
    }
}

#[test]
fn inputs_that_were_evaluated_are_read_and_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = simulate(&uniform(), 9, 30, 0);
    for of in &mut log[..10] {
        (of.is_evaluation, of.asked) = (true, Models::first(ARMS.len()));
        (of.propensities, of.losses) = ([1.0; ARMS.len()].into(), [Some(0.5); ARMS.len()].into());
    }
    log[1].losses = [None; ARMS.len()].into();
    write(folder.path(), &header(), &log, |of| of.query_id != 0);
    let read = Log::read(folder.path(), None).unwrap();
    assert_eq!((read.decisions, read.left_out), (20, LeftOut::default()));
    assert_eq!((read.usable.len(), read.judged().count()), (28, 20));
    assert_eq!(export(&read, Format::Csv).lines().count(), 1 + 20);
}

#[test]
fn decisions_that_lack_something_are_left_out_and_counted_by_what_they_lack() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = simulate(&uniform(), 9, 100, 0);
    log[0].servable = Models::default();
    log[1].propensities = Box::default();
    let asked = log[2].asked.iter().next().unwrap();
    log[2].propensities[asked] = 0.0;
    log[3].propensities[asked] = f64::NAN;
    let asked = log[4].asked.iter().next().unwrap();
    log[4].losses[asked] = None;
    // A damaged file has another checksum; this one was written so.
    log[6].said = Box::default();
    write(folder.path(), &header(), &log, |of| of.query_id != 5);
    let mut later = log.split_off(50);
    later.iter_mut().for_each(|of| of.query_id += 1_000);
    let other = LogHeader { models: vec!["f:1".to_owned()], ..header() };
    write(folder.path(), &other, &later, |_| true);
    let read = Log::read(folder.path(), Some("digits")).unwrap();
    let expected =
        LeftOut { of_other_models: 100, of_unknown_servable_set: 50, ..LeftOut::default() };
    assert_eq!((read.decisions, read.left_out), (150, expected));
    let error = evaluate(&read, None).unwrap_err().to_string();
    assert!(error.contains("100 of other models") && !error.contains('\n'), "{error}");

    let folder = tempfile::tempdir().unwrap();
    log.truncate(50);
    write(folder.path(), &header(), &log, |of| of.query_id != 5);
    let read = Log::read(folder.path(), None).unwrap();
    let expected = LeftOut {
        of_other_models: 1,
        without_propensities: 3,
        of_unknown_servable_set: 1,
        without_feedback: 2,
    };
    assert_eq!((read.usable.len(), read.left_out), (43, expected));
}

#[test]
fn a_decision_of_which_not_all_losses_are_known_teaches_and_is_not_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = simulate(&Vote::majority(), 9, 10, 0);
    log[3].losses[2] = None;
    log[4].losses = [None; ARMS.len()].into();
    write(folder.path(), &header(), &log, |_| true);
    let read = Log::read(folder.path(), None).unwrap();
    let expected = LeftOut { without_feedback: 2, ..LeftOut::default() };
    assert_eq!((read.usable.len(), read.judged().count(), read.left_out), (9, 8, expected));
    let json: serde_json::Value =
        serde_json::from_str(&evaluate(&read, None).unwrap().to_json()).unwrap();
    assert_eq!((&json["decisions"], &json["used"]), (&10.into(), &8.into()));
    let lines = export(&read, Format::Dsjson).lines().count();
    assert_eq!(lines, 9 * ARMS.len() - 1, "one for each loss that is known");
}

#[test]
fn beyond_the_servable_models_a_baseline_is_asked_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = simulate_beside(0, &uniform(), 9, 10);
    log.iter_mut().for_each(|of| of.servable = of.servable.without(0));
    let is_of_others = |of: &&Usable| of.asked != Models::only(0);
    let others = log.iter().filter(is_of_others).count();
    let asked = log.iter().position(|of| is_of_others(&of)).unwrap();
    log[asked].propensities[0] = 0.5;
    write(folder.path(), &header(), &log, |_| true);
    let read = Log::read(folder.path(), None).unwrap();
    let expected = LeftOut {
        of_unknown_servable_set: 1,
        without_propensities: (10 - others) as u64,
        ..LeftOut::default()
    };
    assert_eq!((read.judged().count(), read.left_out), (others - 1, expected));
    assert_eq!(export(&read, Format::Csv).lines().count(), others, "a header, and the others");
}

#[test]
fn a_report_has_every_model_alone_and_the_policy_that_was_asked_for() {
    let folder = folder(&uniform(), 2_000);
    let log = Log::read(folder.path(), None).unwrap();
    let target = Target::parse("exp3", &["eta=0.1".to_owned()], &header()).unwrap();
    let report = evaluate(&log, Some(target)).unwrap();
    let text = report.to_string();
    for name in ["always a:1", "always e:1", "exp3 eta=0.1", "as logged", "2000, used 2000"] {
        assert!(text.contains(name), "{name}\n{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let policies = json["policies"].as_array().unwrap();
    assert_eq!(policies.len(), ARMS.len() + 1);
    for (policy, arm) in policies.iter().zip(ARMS) {
        let interval = ["least", "most"].map(|end| policy["dr"][end].as_f64().unwrap());
        let [least, most] = interval;
        // Half as wide again: all five shall hold at once.
        let wider = (most - least) / 4.0;
        assert!((least - wider..=most + wider).contains(&arm), "{interval:?} {arm}");
    }
    assert!(policies[5]["dr"]["mean"].as_f64().unwrap() > 0.8);
}

#[test]
fn a_log_of_all_models_is_said_to_be_seen_directly() {
    let folder = folder(&Vote::majority(), 300);
    let log = Log::read(folder.path(), None).unwrap();
    let target = Target::parse("exp4", &[], &header()).unwrap();
    let text = evaluate(&log, Some(target)).unwrap().to_string();
    assert_eq!(text.matches("seen directly").count(), ARMS.len() + 1, "{text}");
}

#[test]
fn a_policy_that_the_log_tells_nothing_of_is_refused_with_the_reason() {
    let folder = folder(&super::always(1), 300);
    let log = Log::read(folder.path(), None).unwrap();
    let target = Target::parse("vote", &[], &header()).unwrap();
    let error = evaluate(&log, Some(target)).unwrap_err();
    assert!(matches!(error, EvaluateError::Refused { .. }));
    assert!(error.to_string().contains("no decision of the log asked all"), "{error}");
    let text = evaluate(&log, None).unwrap().to_string();
    assert_eq!(text.matches("refused: 100.0 %").count(), ARMS.len() - 1, "{text}");
}

#[test]
fn dsjson_has_what_vowpal_wabbit_reads() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = simulate(&uniform(), 9, 1, 0);
    log[0].servable = [0, 2, 3].into_iter().collect();
    log[0].asked = Models::only(2);
    log[0].propensities = [0.25, 0.0, 0.5, 0.25, 0.0].into();
    log[0].losses = [None, None, Some(1.0), None, None].into();
    log[0].context = b"uid \"7\"\xff".as_slice().into();
    write(folder.path(), &header(), &log, |_| true);
    let mut log = Log::read(folder.path(), None).unwrap();
    log.usable[0].arrived_ns = 1_609_459_199_123_456_789;
    let json: serde_json::Value = serde_json::from_str(&export(&log, Format::Dsjson)).unwrap();
    let expected = serde_json::json!({
        "_label_cost": 1.0,
        "_label_probability": 0.5,
        "_label_Action": 2,
        "_labelIndex": 1,
        "Timestamp": "2020-12-31T23:59:59.1234567Z",
        "Version": "1",
        "EventId": "0",
        "a": [2, 1, 3],
        "c": {
            "context": {"key": "uid \"7\"\\xff"},
            "_multi": [
                {"model": {"name": "a:1"}},
                {"model": {"name": "c:1"}},
                {"model": {"name": "d:1"}},
            ],
        },
        "p": [0.5, 0.25, 0.25],
        "pdrop": 0.0,
    });
    assert_eq!(json, expected);
    let csv = export(&log, Format::Csv);
    let line = "0,2020-12-31T23:59:59.1234567Z,\"uid \"\"7\"\"\\xff\",3:1:0.5";
    assert_eq!(csv, format!("event,timestamp,context,action:cost:probability\n{line}\n"));
}
