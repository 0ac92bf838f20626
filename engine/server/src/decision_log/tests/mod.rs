//! Logs in folders of their own, and what is written to them.

mod damage;
mod files;
mod round_trip;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};

use cutter_core::feedback::{Decided, Learned, Said};
use cutter_core::ids::ApplicationId;
use cutter_core::policy::Models;
use tempfile::TempDir;

use super::{
    Decision, DecisionLog, Lesson, LogHeader, LogSettings, LogWriter, Record, is_log, read,
};
use crate::limits::LOG_FILE_BYTES_MIN;

fn settings(folder: &Path) -> LogSettings {
    LogSettings {
        directory: folder.to_owned(),
        file_bytes_max: LOG_FILE_BYTES_MIN,
        files_max: 100,
        sample: 1.0,
    }
}

fn application() -> ApplicationId {
    ApplicationId::from_bits(7 << 32 | 3)
}

fn header() -> LogHeader {
    LogHeader {
        name: "digits".to_owned(),
        models: vec!["small:1".to_owned(), "large:2".to_owned()],
        policy: "exp3".to_owned(),
        policy_version: "1".to_owned(),
        parameters: "eta=0.1".to_owned(),
        epoch: 5,
    }
}

fn decision(query_id: u64) -> Decision {
    Decision {
        application: application(),
        is_evaluation: false,
        query_id,
        arrived_ns: query_id * 1_000,
        answered_ns: query_id * 1_000 + 300,
        context: b"uid-1".as_slice().into(),
        servable: Models::first(2),
        asked: Models::only(1),
        propensities: [0.25, 0.75].into(),
        said: [Said::Nothing, Said::Class(7)].into(),
        answer: Said::Class(7),
        confidence: None,
        vector: [0.5, -1.0].into(),
    }
}

fn lesson(query_id: u64) -> Lesson {
    Lesson {
        application: application(),
        query_id,
        told_ns: query_id * 1_000 + 500,
        losses: [None, Some(1.0)].into(),
        answer_loss: Some(1.0),
    }
}

fn decided(decision: &Decision) -> Decided<'_> {
    Decided {
        application: decision.application,
        is_evaluation: decision.is_evaluation,
        query_id: decision.query_id,
        arrived_ns: decision.arrived_ns,
        answered_ns: decision.answered_ns,
        context: &decision.context,
        servable: decision.servable,
        asked: decision.asked,
        propensities: &decision.propensities,
        said: &decision.said,
        answer: decision.answer,
        confidence: decision.confidence,
        vector: &decision.vector,
    }
}

/// Writes a record as the engine thread does.
fn log(writer: &mut LogWriter, record: &Record) {
    match record {
        Record::Application(id, header) => writer.add_application(*id, header),
        Record::Decision(decision) => writer.decided(&decided(decision)),
        Record::Lesson(lesson) => writer.learned(&Learned {
            application: lesson.application,
            query_id: lesson.query_id,
            told_ns: lesson.told_ns,
            losses: &lesson.losses,
            answer_loss: lesson.answer_loss,
        }),
    }
}

/// A whole run that logs these.
fn run(settings: LogSettings, records: &[Record]) {
    let (mut writer, thread) = DecisionLog::open(settings).unwrap();
    records.iter().for_each(|record| log(&mut writer, record));
    drop(writer);
    thread.join();
}

/// Decisions and what was learned of each, behind the header.
fn pairs(queries: impl Iterator<Item = u64>) -> Vec<Record> {
    let pair = |query_id| [Record::Decision(decision(query_id)), Record::Lesson(lesson(query_id))];
    let header = Record::Application(application(), header());
    [header].into_iter().chain(queries.flat_map(pair)).collect()
}

/// The files of a log, in their order.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| is_log(path)).collect();
    paths.sort();
    paths
}

/// All records of a log, which are whole.
fn records(folder: &Path) -> Vec<Record> {
    let of_file = |path: PathBuf| read(&path).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    paths(folder).into_iter().flat_map(of_file).collect()
}

/// The one file of a run that logged a decision and a lesson, and its bytes.
fn small() -> (TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    run(settings(folder.path()), &pairs(1..2));
    let path = paths(folder.path()).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    (folder, path, bytes)
}
