//! The engine thread's end, without a thread at the other.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::super::chunk::{Chunk, LogCounts};
use super::*;
use crate::limits::{LOG_CHUNK_AGE_NS, LOG_CHUNK_BYTES, LOG_CONTEXT_BYTES_MAX};

/// A writer, and the other ends of its channels.
struct Ends {
    writer: LogWriter,
    full: Receiver<Chunk>,
    free: SyncSender<Chunk>,
    counts: Arc<LogCounts>,
}

fn ends(sample: f64, chunks: usize) -> Ends {
    let (full, to_write) = sync_channel(chunks);
    let (written, free) = sync_channel(chunks);
    (0..chunks).for_each(|_| written.try_send(Chunk::new()).unwrap());
    let counts = Arc::new(LogCounts::default());
    let mut writer = LogWriter::new(sample, full, free, Arc::clone(&counts));
    writer.add_application(application(), &header());
    Ends { writer, full: to_write, free: written, counts }
}

#[test]
fn what_finds_no_empty_chunk_is_dropped_and_counted_and_later_ones_are_logged() {
    let Ends { mut writer, full, free, counts } = ends(1.0, 2);
    let mut logged = 0;
    while counts.dropped() == 0 {
        logged += 1;
        log(&mut writer, &Record::Decision(decision(logged)));
    }
    let chunks: Vec<Chunk> = full.try_iter().collect();
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks.iter().map(|chunk| chunk.records).sum::<u64>(), logged - 1);
    assert!(chunks.iter().all(|chunk| chunk.bytes.capacity() == LOG_CHUNK_BYTES));
    log(&mut writer, &Record::Decision(decision(logged + 1)));
    assert_eq!(counts.dropped(), 2);

    free.try_send(Chunk::new()).unwrap();
    log(&mut writer, &Record::Decision(decision(logged + 2)));
    assert_eq!(counts.dropped(), 2);
    drop(writer);
    assert_eq!(full.try_iter().map(|chunk| chunk.records).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_thread_that_has_ended_costs_records_and_no_more() {
    let Ends { mut writer, full, counts, .. } = ends(1.0, 1);
    drop(full);
    log(&mut writer, &Record::Decision(decision(1)));
    writer.flush(u64::MAX);
    log(&mut writer, &Record::Decision(decision(2)));
    assert_eq!(counts.dropped(), 2);
}

#[test]
fn records_are_handed_over_when_the_first_of_them_is_old() {
    let Ends { mut writer, full, .. } = ends(1.0, 2);
    let first = decision(1);
    let begun_ns = first.answered_ns;
    log(&mut writer, &Record::Decision(first));
    log(&mut writer, &Record::Lesson(lesson(1)));
    writer.flush(begun_ns + LOG_CHUNK_AGE_NS - 1);
    assert_eq!(full.try_iter().count(), 0);
    writer.flush(begun_ns + LOG_CHUNK_AGE_NS);
    assert_eq!(full.try_iter().map(|chunk| chunk.records).collect::<Vec<_>>(), [2]);
    writer.flush(u64::MAX);
    assert_eq!(full.try_iter().count(), 0, "nothing is there to be handed over");
}

#[test]
fn who_was_not_added_is_not_logged_nor_is_a_context_that_is_too_long() {
    let Ends { mut writer, full, counts, .. } = ends(1.0, 1);
    let later = ApplicationId::from_bits(application().to_bits() + (1 << 32));
    log(&mut writer, &Record::Decision(Decision { application: later, ..decision(1) }));
    assert_eq!(counts.dropped(), 0);
    let context = vec![0; LOG_CONTEXT_BYTES_MAX + 1].into();
    log(&mut writer, &Record::Decision(Decision { context, ..decision(1) }));
    assert_eq!(counts.dropped(), 1);
    drop(writer);
    assert_eq!(full.try_iter().count(), 0);
}

#[test]
fn a_header_is_told_again_when_it_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let other = Record::Application(application(), LogHeader { epoch: 6, ..header() });
    let [first, decision, lesson] = pairs(1..2).try_into().unwrap();
    run(settings(folder.path()), &[first.clone(), decision.clone(), other.clone(), lesson.clone()]);
    assert_eq!(records(folder.path()), [first, decision, other, lesson]);
}

#[test]
fn the_sample_has_its_share_and_a_decision_goes_with_its_lesson() {
    const QUERIES: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let settings = LogSettings { sample: 0.05, ..settings(folder.path()) };
    run(settings, &pairs(1..QUERIES + 1));
    let records = records(folder.path());
    let decided = |record: &Record| match record {
        Record::Decision(decision) => Some(decision.query_id),
        Record::Application(..) | Record::Lesson(_) => None,
    };
    let told = |record: &Record| match record {
        Record::Lesson(lesson) => Some(lesson.query_id),
        Record::Application(..) | Record::Decision(_) => None,
    };
    let decided: Vec<u64> = records.iter().filter_map(decided).collect();
    assert_eq!(decided, records.iter().filter_map(told).collect::<Vec<_>>());
    // The mean is 1,000 and the deviation 31.
    assert!((880..1120).contains(&decided.len()), "{}", decided.len());
}
