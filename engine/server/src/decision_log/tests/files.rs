//! Files come and go; disks fill up.

use std::fs::{self, OpenOptions};
use std::sync::mpsc::sync_channel;

use super::super::LogError;
use super::super::chunk::{Chunk, LogCounts};
use super::super::files::Files;
use super::super::frame;
use super::super::record::{write_header, write_learned};
use super::super::thread::store;
use super::*;
use crate::limits::LOG_CHUNK_BYTES;

/// So many that they fill several files.
const QUERIES: u64 = 30_000;

fn queries(records: &[Record]) -> Vec<u64> {
    let query = |record: &Record| match record {
        Record::Decision(decision) => Some(decision.query_id),
        Record::Application(..) | Record::Lesson(_) => None,
    };
    records.iter().filter_map(query).collect()
}

/// A run in which the thread keeps up.
fn run_slowly(settings: LogSettings, records: &[Record]) {
    let (mut writer, thread) = DecisionLog::open(settings).unwrap();
    let mut logged = 0;
    for some in records.chunks(1_000) {
        some.iter().for_each(|record| log(&mut writer, record));
        writer.flush(u64::MAX);
        let is_header = |record: &&Record| matches!(record, Record::Application(..));
        logged += (some.len() - some.iter().filter(is_header).count()) as u64;
        while thread.counts().written() < logged {
            std::thread::yield_now();
        }
    }
    assert_eq!(thread.counts().dropped(), 0);
    drop(writer);
    thread.join();
}

#[test]
fn files_are_bounded_follow_each_other_and_can_each_be_read_alone() {
    let folder = tempfile::tempdir().unwrap();
    run_slowly(settings(folder.path()), &pairs(1..QUERIES + 1));
    let paths = paths(folder.path());
    assert!(paths.len() >= 3, "{paths:?}");
    let mut all = Vec::new();
    for path in &paths {
        assert!(fs::metadata(path).unwrap().len() <= LOG_FILE_BYTES_MIN);
        let records: Vec<Record> = read(path).unwrap().map(Result::unwrap).collect();
        assert_eq!(records[0], Record::Application(application(), header()), "{path:?}");
        all.extend(queries(&records));
    }
    assert_eq!(all, (1..=QUERIES).collect::<Vec<_>>());
}

#[test]
fn only_so_many_files_are_kept_and_those_are_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings { files_max: 2, ..settings(folder.path()) };
    run_slowly(settings, &pairs(1..QUERIES + 1));
    let kept = queries(&records(folder.path()));
    assert_eq!(paths(folder.path()).len(), 2);
    assert!(kept[0] > 1, "the oldest are removed");
    assert_eq!(kept, (kept[0]..=QUERIES).collect::<Vec<_>>());
}

#[test]
fn a_run_begins_a_file_behind_those_of_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    run(settings(folder.path()), &pairs(1..2));
    run(settings(folder.path()), &pairs(2..3));
    let names: Vec<_> =
        paths(folder.path()).into_iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["decisions-000001.cutterlog", "decisions-000002.cutterlog"]);
    assert_eq!(queries(&records(folder.path())), [1, 2]);
}

#[test]
fn settings_and_folders_that_make_no_log_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sound = settings(folder.path());
    let refused = |settings| DecisionLog::open(settings).unwrap_err();
    let none = LogSettings { files_max: 0, ..sound.clone() };
    assert!(matches!(refused(none), LogError::Files { .. }));
    let short = LogSettings { file_bytes_max: LOG_FILE_BYTES_MIN - 1, ..sound.clone() };
    assert!(matches!(refused(short), LogError::FileBytes { .. }));
    for sample in [0.0, 1e-7, -0.1, 1.1, f64::NAN] {
        let error = refused(LogSettings { sample, ..sound.clone() });
        assert!(matches!(error, LogError::Sample { .. }), "{sample}");
    }
    let last = tempfile::tempdir().unwrap();
    fs::write(last.path().join(format!("decisions-{}.cutterlog", u64::MAX)), "").unwrap();
    let error = refused(LogSettings { directory: last.path().to_owned(), ..sound.clone() });
    assert!(error.to_string().contains("has the last number there is; make"), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = refused(LogSettings { directory: file.join("log"), ..sound });
    assert!(matches!(error, LogError::Folder { .. }));
    assert!(error.to_string().contains("make it writable"), "{error}");
}

#[test]
fn records_of_before_a_new_header_are_under_the_old_one_in_a_new_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::open(settings(folder.path())).unwrap();
    files.append(&chunk(1, true).bytes).unwrap();
    // Two like this are more than a file.
    let mut half = Vec::new();
    while half.len() as u64 <= LOG_FILE_BYTES_MIN / 2 {
        half.extend_from_slice(&chunk(2, false).bytes);
    }
    files.append(&half).unwrap();
    let mut other_half = chunk(3, false).bytes;
    let other = LogHeader { epoch: 6, ..header() };
    frame::append(&mut other_half, |out| write_header(application(), &other, out));
    other_half.extend_from_slice(&chunk(4, false).bytes);
    other_half.extend_from_slice(&half);
    files.append(&other_half).unwrap();
    let begun = read(&paths(folder.path())[1]).unwrap();
    let begun: Vec<Record> = begun.take(4).map(Result::unwrap).collect();
    let expected = [
        Record::Application(application(), header()),
        Record::Lesson(lesson(3)),
        Record::Application(application(), other),
        Record::Lesson(lesson(4)),
    ];
    assert_eq!(begun, expected);
}

/// A chunk as the writer makes it: one lesson, with its header before it or without.
fn chunk(query_id: u64, has_header: bool) -> Chunk {
    let mut chunk = Chunk::new();
    let headers = [header()];
    for header in headers.iter().filter(|_| has_header) {
        frame::append(&mut chunk.bytes, |out| write_header(application(), header, out));
    }
    let Lesson { told_ns, losses, answer_loss, .. } = &lesson(query_id);
    let learned = Learned {
        application: application(),
        query_id,
        told_ns: *told_ns,
        losses,
        answer_loss: *answer_loss,
    };
    frame::append(&mut chunk.bytes, |out| write_learned(&learned, out));
    chunk.records = 1;
    chunk
}

#[test]
fn what_a_full_disk_does_not_take_is_counted_and_the_log_goes_on_with_its_headers() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::open(settings(folder.path())).unwrap();
    files.replace(OpenOptions::new().append(true).open("/dev/full").unwrap());
    let (full, to_write) = sync_channel(2);
    let (written, free) = sync_channel(2);
    full.send(chunk(1, true)).unwrap();
    full.send(chunk(2, false)).unwrap();
    drop(full);
    let counts = LogCounts::default();
    store(files, &to_write, &written, &counts);
    assert_eq!((counts.dropped(), counts.written()), (1, 1));
    assert_eq!(free.try_iter().map(|chunk| chunk.bytes.len()).collect::<Vec<_>>(), [0, 0]);
    let expected = [Record::Application(application(), header()), Record::Lesson(lesson(2))];
    assert_eq!(records(folder.path()), expected);
}

#[test]
fn chunks_are_never_larger_than_they_were_made() {
    let mut chunk = Chunk::new();
    assert!(chunk.has_room_for(LOG_CHUNK_BYTES) && !chunk.has_room_for(LOG_CHUNK_BYTES + 1));
    chunk.bytes.resize(LOG_CHUNK_BYTES, 0);
    assert_eq!(chunk.bytes.capacity(), LOG_CHUNK_BYTES);
    assert!(!chunk.has_room_for(1));
}
