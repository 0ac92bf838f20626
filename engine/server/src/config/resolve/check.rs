//! Checks that several tables share: ranges, words, names, and whose key it is.
//!
//! The bounds are those of the key; a key that is absent is right.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use cutter_wire::limits::NAME_BYTES_MAX;
use toml::Spanned;

use crate::config::error::{OneOf, Problem};
use crate::config::kinds::{
    ByName, Decimal, Decimals, Key, Kind, Large, Name, Number, Numbers, Texts, Word,
};
use crate::config::report::{Report, shown};
use crate::config::value::{Float, Integer, List, Text};
use crate::limits::POOL_BYTES_CONFIGURED_MAX;

/// How messages call one `[[application]]` or `[[model]]`: by its name, else by its position.
pub(in crate::config) fn owner(kind: &str, name: Option<&str>, index: usize) -> String {
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

/// The same of a larger one.
pub(super) fn large(key: &Key<'_, Large>, of: &str, report: &mut Report<'_>) -> Option<u64> {
    within(key.name, of, key.value?, &key.kind.0, report)
}

/// `None` when the key is absent, or its value is out of range or no number.
pub(super) fn decimal(key: &Key<'_, Decimal>, of: &str, report: &mut Report<'_>) -> Option<f64> {
    let Decimal(min, max) = key.kind;
    between(key.name, of, key.value?, (min, max), report)
}

/// `None` when the key is absent, or the number of items or one of them is wrong.
pub(super) fn decimals(
    key: &Key<'_, Decimals>,
    of: &str,
    report: &mut Report<'_>,
) -> Option<Vec<f64>> {
    let (list, Decimals(counts, min, max)) = (key.value?, &key.kind);
    count(key.name, of, list, counts, report)?;
    let items = list.get_ref().0.iter();
    let items: Vec<Option<f64>> =
        items.map(|item| between(key.name, of, item, (*min, *max), report)).collect();
    items.into_iter().collect()
}

/// The entries whose numbers are right; none when there are too many.
pub(super) fn by_name<'a>(
    key: &Key<'a, ByName>,
    of: &str,
    report: &mut Report<'_>,
) -> Vec<(&'a Text, f64)> {
    let (Some(table), ByName(most, min, max)) = (key.value, &key.kind) else { return Vec::new() };
    let entries = &table.get_ref().0;
    let found = entries.len();
    if found > *most {
        let (key, of, max) = (key.name, of.to_owned(), *most);
        report.problem(table.span().start, Problem::BadCount { key, of, found, min: 0, max });
        return Vec::new();
    }
    let right = entries.iter().filter_map(|(name, value)| {
        let key = format!("{}.{}", key.name, shown(name.get_ref()).escape_debug());
        Some((name, between(&key, of, value, (*min, *max), report)?))
    });
    right.collect()
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

fn within<T: Copy + PartialOrd + TryFrom<i128> + Into<u64>>(
    key: &'static str,
    of: &str,
    value: &Integer,
    range: &RangeInclusive<T>,
    report: &mut Report<'_>,
) -> Option<T> {
    let found = value.get_ref().0;
    let in_range = T::try_from(found).ok().filter(|found| range.contains(found));
    if in_range.is_none() {
        let (of, min, max) = (of.to_owned(), (*range.start()).into(), (*range.end()).into());
        report.problem(value.span().start, Problem::OutOfRange { key, of, found, min, max });
    }
    in_range
}

/// NaN is between no numbers.
pub(super) fn between(
    key: &str,
    of: &str,
    value: &Float,
    (min, max): (f64, f64),
    report: &mut Report<'_>,
) -> Option<f64> {
    let found = value.get_ref().0;
    let is_between = (min..=max).contains(&found);
    if !is_between {
        let (key, of) = (key.to_owned(), of.to_owned());
        let problem = Problem::NumberOutOfRange { key, of, found, min, max };
        report.problem(value.span().start, problem);
    }
    is_between.then_some(found)
}

fn count<T>(
    key: &'static str,
    of: &str,
    list: &Spanned<List<T>>,
    counts: &RangeInclusive<usize>,
    report: &mut Report<'_>,
) -> Option<()> {
    let judged = count_within(key, of, list.get_ref().0.len(), counts);
    judged.map_err(|problem| report.problem(list.span().start, *problem)).ok()
}

/// Whether a pool may have so many rows of so many bytes.
pub(in crate::config) fn pool_within(
    of: &str,
    found: u32,
    stride: usize,
) -> Result<(), Box<Problem>> {
    let (bytes, max) = (u64::from(found) * stride as u64, POOL_BYTES_CONFIGURED_MAX);
    if bytes <= max {
        return Ok(());
    }
    let (of, rows_max) = (of.to_owned(), max / stride as u64);
    Err(Box::new(Problem::PoolTooLarge { of, found, stride, bytes, rows_max, max }))
}

/// Whether a list may have so many items.
pub(in crate::config) fn count_within(
    key: &'static str,
    of: &str,
    found: usize,
    counts: &RangeInclusive<usize>,
) -> Result<(), Box<Problem>> {
    if counts.contains(&found) {
        return Ok(());
    }
    let (of, min, max) = (of.to_owned(), *counts.start(), *counts.end());
    Err(Box::new(Problem::BadCount { key, of, found, min, max }))
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

/// Says what is wrong with a name.
pub(super) fn name(key: &Key<'_, Name>, of: &str, report: &mut Report<'_>) {
    let Some(value) = key.value else { return };
    if let Some(expected) = name_expected(&key.kind, value.get_ref()) {
        bad_text(key.name, of, value, &expected, report);
    }
}

/// What a name should be, unless this is one that is safe in a path of a URL, a label of a metric
/// and a line of a log.
pub(in crate::config) fn name_expected(Name(marks): &Name, text: &str) -> Option<String> {
    let is_outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let is_name = bytes.len() <= NAME_BYTES_MAX
        && bytes.iter().all(|byte| is_outer(*byte) || marks.as_bytes().contains(byte))
        && bytes.first().is_some_and(|byte| is_outer(*byte))
        && bytes.last().is_some_and(|byte| is_outer(*byte));
    let marks = if marks.contains('.') { "`-`, `_` or `.`" } else { "`-` or `_`" };
    (!is_name).then(|| {
        format!("1 to {NAME_BYTES_MAX} lower-case letters and digits, with {marks} between them")
    })
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

/// What a path of this form means, wrong or right.
pub(super) fn path(
    key: &'static str,
    form: &str,
    of: &str,
    text: &Text,
    base: &Path,
    report: &mut Report<'_>,
) -> PathBuf {
    if text.get_ref().is_empty() {
        bad_text(key, of, text, form, report);
    }
    has_no_zero_byte(key, of, text, report);
    joined(base, text.get_ref())
}

/// Joined without the `.` that people write in front.
pub(super) fn joined(base: &Path, path: &str) -> PathBuf {
    base.join(path).components().collect()
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
