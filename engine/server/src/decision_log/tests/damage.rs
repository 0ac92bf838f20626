//! Files that were cut off, changed, or are of somebody else.

use std::fs;

use super::super::frame::FILE_HEADER_BYTES;
use super::super::reader::{Damage, ReadError};
use super::*;

/// What is read of a file, up to where it is damaged.
fn read_all(path: &Path) -> (Vec<Record>, Option<Damage>) {
    let mut damage = None;
    let whole =
        read(path).unwrap().map_while(|record| record.map_err(|found| damage = Some(found)).ok());
    (whole.collect(), damage)
}

#[test]
fn a_last_record_that_is_cut_off_anywhere_is_told_as_such_and_the_others_are_read() {
    let (_folder, path, bytes) = small();
    let (all, damage) = read_all(&path);
    assert!(damage.is_none(), "{damage:?}");
    let last = u64::try_from(bytes.len()).unwrap() - length_of_last(&bytes);
    for length in last + 1..bytes.len() as u64 {
        fs::write(&path, &bytes[..usize::try_from(length).unwrap()]).unwrap();
        let (read, damage) = read_all(&path);
        assert_eq!(read, all[..all.len() - 1], "{length}");
        assert!(matches!(damage, Some(Damage::Torn { at }) if at == last), "{length}: {damage:?}");
    }
    fs::write(&path, &bytes[..usize::try_from(last).unwrap()]).unwrap();
    let (read, damage) = read_all(&path);
    assert_eq!(read, all[..all.len() - 1]);
    assert!(damage.is_none(), "what ends between records is whole: {damage:?}");
}

/// Frame and payload of the lesson that `small` ends with.
fn length_of_last(bytes: &[u8]) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    run(settings(folder.path()), &pairs(1..2)[..2]);
    let without = fs::metadata(&paths(folder.path())[0]).unwrap().len();
    bytes.len() as u64 - without
}

#[test]
fn a_bit_that_was_flipped_anywhere_is_found() {
    let (_folder, path, bytes) = small();
    let (all, _) = read_all(&path);
    let change = |bit: usize| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &changed).unwrap();
        read(&path)
    };
    let header_bits = FILE_HEADER_BYTES * 8;
    let refused = (0..header_bits).filter(|bit| change(*bit).is_err()).count();
    assert_eq!(refused, header_bits);
    for at in header_bits..bytes.len() * 8 {
        let records: Vec<_> = change(at).unwrap().collect();
        let (whole, damaged) = records.split_at(records.len() - 1);
        assert!(matches!(damaged, [Err(Damage::Flipped { .. })]), "bit {at}: {damaged:?}");
        let is_same = |(read, written): (&Result<Record, Damage>, &Record)| {
            read.as_ref().is_ok_and(|read| read == written)
        };
        assert!(whole.iter().zip(&all).all(is_same), "bit {at}: {whole:?}");
    }
}

#[test]
fn the_beginning_of_a_file_says_whether_it_can_be_read() {
    let (folder, path, bytes) = small();
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        read(&path).unwrap_err()
    };
    let mut newer = bytes.clone();
    newer[8] = 3;
    assert!(matches!(error(&newer), ReadError::Newer { version: 3, .. }));
    let mut changed = bytes.clone();
    changed[20] ^= 1;
    assert!(matches!(error(&changed), ReadError::Damaged(_)));
    assert!(matches!(
        error(b"[server]\nlisten = \"127.0.0.1:0\"\n# and more"),
        ReadError::Foreign(_)
    ));
    assert!(matches!(error(b"short"), ReadError::Foreign(_)));
    for length in [0, 5, 31] {
        assert!(matches!(error(&bytes[..length]), ReadError::Unwritten(_)), "{length}");
    }
    assert!(matches!(read(folder.path()).unwrap_err(), ReadError::Io { .. }));
    assert!(matches!(read(&folder.path().join("none")).unwrap_err(), ReadError::Io { .. }));
}
