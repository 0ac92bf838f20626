//! Files that are broken, or something else.

use std::fs::{self, File};

use super::*;
use crate::store::file::{VERSION, first_page};

const CONTEXTS: u32 = 200;

/// A file with states that were written in several rounds.
fn written(path: &Path) -> Vec<u8> {
    for round in [1.0, 2.0] {
        let mut store = Opened::new(path).unwrap();
        (0..CONTEXTS)
            .for_each(|of| store.save(store.series, key(of), &state([f64::from(of), round])));
        store.thread.join();
    }
    fs::read(path).unwrap()
}

/// Opens a file with such bytes: it is refused and left as it is, or has every state as it was
/// written. Says whether it was refused.
fn is_refused(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).unwrap();
    match Opened::new(path) {
        Ok(mut store) => {
            for of in 0..CONTEXTS {
                let found = store.load(store.series, key(of));
                assert_eq!(found, Some(state([f64::from(of), 2.0])), "context {of}");
            }
            store.thread.join();
            false
        }
        Err(error) => {
            let text = error.to_string();
            assert!(
                text.contains(path.to_str().unwrap()) && text.contains("move it away"),
                "{text}"
            );
            assert!(fs::read(path).unwrap() == bytes, "the file was changed: {text}");
            true
        }
    }
}

#[test]
fn a_byte_that_is_wrong_is_found_or_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let bytes = written(&path);
    let mut refused = 0;
    // Those at the beginning say what is where; an odd step meets all parts of the pages behind.
    let last = bytes.len() - 1;
    let offsets =
        (0..64).chain((4096..4480).step_by(7)).chain((4480..=last).step_by((last / 80) | 1));
    for offset in offsets {
        let mut damaged = bytes.clone();
        damaged[offset] ^= 0x55;
        refused += u32::from(is_refused(&path, &damaged));
    }
    assert!(refused > 64, "{refused}");
}

#[test]
fn a_file_that_was_cut_off_is_refused_or_has_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let bytes = written(&path);
    let lengths = (0..bytes.len()).step_by(bytes.len() / 100).chain([1, 4095, 4096, 4097, 8192]);
    let refused = lengths.filter(|length| is_refused(&path, &bytes[..*length])).count();
    assert!(refused > 90, "{refused}");
}

#[test]
fn a_file_of_a_newer_version_or_of_something_else_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let mut newer = first_page(VERSION + 1).to_vec();
    newer.extend(b"what only the newer version knows");
    fs::write(&path, &newer).unwrap();
    let error = Opened::new(&path).err().unwrap();
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), newer);
    assert!(is_refused(&path, b"applications:\n"));
    assert!(is_refused(&path, &[0; 8192]));
}

#[test]
fn a_file_that_another_holds_is_refused_until_it_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let first = Opened::new(&path).unwrap();
    let error = Opened::new(&path).err().unwrap();
    assert!(matches!(error, StoreError::Held { .. }), "{error}");
    first.thread.join();
    drop(Opened::new(&path).unwrap());
}

#[test]
fn a_directory_that_cannot_be_made_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    let error = Opened::new(&file.join("state/state.redb")).err().unwrap();
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    let error = Opened::new(directory.path()).err().unwrap();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
}

#[test]
fn what_is_left_of_a_file_that_was_being_made_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    fs::write(directory.path().join("state.redb.new"), b"half of it").unwrap();
    let mut store = Opened::new(&path).unwrap();
    store.save(store.series, key(1), &state([1.0; 2]));
    store.thread.join();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}
