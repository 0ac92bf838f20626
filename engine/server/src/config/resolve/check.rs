//! Checks that several tables share: ranges, words, names, and whose key it is.
//!
//! The bounds are those of the key; a key that is absent is right.

use std::ops::RangeInclusive;

use cutter_wire::limits::NAME_BYTES_MAX;
use toml::Spanned;

use crate::config::error::{OneOf, Problem};
use crate::config::kinds::{Key, Kind, Name, Number, Numbers, Texts, Word};
use crate::config::report::{Report, shown};
use crate::config::value::{Integer, List, Text};

/// How messages call one `[[application]]` or `[[model]]`: by its name, else by its position.
pub(super) fn owner(kind: &str, name: Option<&str>, index: usize) -> String {
    match name {
        Some(name) => format!("{kind} {:?}", shown(name)),
        None => format!("{kind} {}", index + 1),
    }
}

/// What is written for a key that has no default.
pub(super) fn required<'a, K: Kind>(
    key: &Key<'a, K>,
    of: &str,
    at: usize,
    expected: &str,
    report: &mut Report<'_>,
) -> Option<&'a K::Value> {
    if key.value.is_none() {
        let (key, of, expected) = (key.name, of.to_owned(), expected.to_owned());
        report.problem(at, Problem::Missing { key, of, expected });
    }
    key.value
}

/// `None` when the key is absent or its value is out of range.
pub(super) fn number(key: &Key<'_, Number>, of: &str, report: &mut Report<'_>) -> Option<u32> {
    within(key.name, of, key.value?, &key.kind.0, report)
}

/// `None` when the key is absent, or the number of items or one of them is wrong.
pub(super) fn numbers(
    key: &Key<'_, Numbers>,
    of: &str,
    report: &mut Report<'_>,
) -> Option<Vec<u32>> {
    let (list, Numbers(counts, range)) = (key.value?, &key.kind);
    count(key.name, of, list, counts, report)?;
    // Collected first, so that every wrong item is reported.
    let items: Vec<Option<u32>> =
        (list.get_ref().0.iter()).map(|item| within(key.name, of, item, range, report)).collect();
    items.into_iter().collect()
}

/// `None` when the key is absent or the number of items is wrong.
pub(super) fn texts<'a>(
    key: &Key<'a, Texts>,
    of: &str,
    report: &mut Report<'_>,
) -> Option<&'a [Text]> {
    let list = key.value?;
    count(key.name, of, list, &key.kind.0, report)?;
    Some(&list.get_ref().0)
}

fn within(
    key: &'static str,
    of: &str,
    value: &Integer,
    range: &RangeInclusive<u32>,
    report: &mut Report<'_>,
) -> Option<u32> {
    let found = value.get_ref().0;
    let in_range = u32::try_from(found).ok().filter(|found| range.contains(found));
    if in_range.is_none() {
        let (of, min, max) = (of.to_owned(), *range.start(), *range.end());
        report.problem(value.span().start, Problem::OutOfRange { key, of, found, min, max });
    }
    in_range
}

fn count<T>(
    key: &'static str,
    of: &str,
    list: &Spanned<List<T>>,
    counts: &RangeInclusive<usize>,
    report: &mut Report<'_>,
) -> Option<()> {
    let found = list.get_ref().0.len();
    if counts.contains(&found) {
        return Some(());
    }
    let (of, min, max) = (of.to_owned(), *counts.start(), *counts.end());
    report.problem(list.span().start, Problem::BadCount { key, of, found, min, max });
    None
}

/// `None` when the key is absent or its value is not one of the words.
pub(super) fn word<T: Copy>(
    key: &Key<'_, Word<T>>,
    of: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    let (value, Word(words)) = (key.value?, &key.kind);
    let found = value.get_ref().as_str();
    let known = words.iter().find(|(words, _)| words.contains(&found));
    if known.is_none() {
        let (key, of, expected) = (key.name, of.to_owned(), one_of(found, &key.kind));
        let problem = Problem::UnknownWord { key, of, found: shown(found), expected };
        report.problem(value.span().start, problem);
    }
    known.map(|(_, meaning)| *meaning)
}

/// The words that would have been right.
pub(super) fn one_of<T>(found: &str, Word(words): &Word<T>) -> OneOf {
    let names: Vec<&str> = words.iter().map(|(words, _)| words[0]).collect();
    OneOf::new(found, &names)
}

/// A name that is safe in a path of a URL, a label of a metric and a line of a log.
pub(super) fn name(key: &Key<'_, Name>, of: &str, report: &mut Report<'_>) {
    let (Some(value), Name(marks)) = (key.value, &key.kind) else { return };
    let is_outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = value.get_ref().as_bytes();
    let is_name = bytes.len() <= NAME_BYTES_MAX
        && bytes.iter().all(|byte| is_outer(*byte) || marks.as_bytes().contains(byte))
        && bytes.first().is_some_and(|byte| is_outer(*byte))
        && bytes.last().is_some_and(|byte| is_outer(*byte));
    if !is_name {
        let marks = if marks.contains('.') { "`-`, `_` or `.`" } else { "`-` or `_`" };
        let expected = format!(
            "1 to {NAME_BYTES_MAX} lower-case letters and digits, with {marks} between them"
        );
        bad_text(key.name, of, value, &expected, report);
    }
}

/// Whether a text can be handed to the system as a path or an argument.
pub(super) fn has_no_zero_byte(
    key: &'static str,
    of: &str,
    value: &Text,
    report: &mut Report<'_>,
) -> bool {
    let zero = value.get_ref().find('\0');
    if let Some(at) = zero {
        report.problem(value.span().start, Problem::ZeroByte { key, of: of.to_owned(), at });
    }
    zero.is_none()
}

pub(super) fn bad_text(
    key: &'static str,
    of: &str,
    text: &Text,
    expected: &str,
    report: &mut Report<'_>,
) {
    let (of, found) = (of.to_owned(), shown(text.get_ref()));
    let problem = Problem::BadText { key, of, found, expected: expected.to_owned() };
    report.problem(text.span().start, problem);
}
