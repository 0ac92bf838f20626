//! Checks that several tables share: ranges, words, names, and whose key it is.

use std::ops::RangeInclusive;

use cutter_wire::limits::NAME_BYTES_MAX;
use toml::Spanned;

use crate::config::error::{OneOf, Problem};
use crate::config::file::{Integer, List, Text, Whole};
use crate::config::report::{Report, shown};
use crate::config::settings::WaitStrategy;

/// How messages call one `[[application]]` or `[[model]]`: by its name, else by its position.
pub(super) fn owner(kind: &str, name: Option<&str>, index: usize) -> String {
    match name {
        Some(name) => format!("{kind} {:?}", shown(name)),
        None => format!("{kind} {}", index + 1),
    }
}

/// `None` when the key is absent or its value is out of range.
pub(super) fn integer(
    key: &'static str,
    of: &str,
    value: Option<&Integer>,
    range: RangeInclusive<u32>,
    report: &mut Report<'_>,
) -> Option<u32> {
    let value = value?;
    let found = value.get_ref().0;
    let in_range = u32::try_from(found).ok().filter(|found| range.contains(found));
    if in_range.is_none() {
        let (of, (min, max)) = (of.to_owned(), range.into_inner());
        report.problem(value.span().start, Problem::OutOfRange { key, of, found, min, max });
    }
    in_range
}

/// Every item of a list of integers; `None` when the number of items or one of them is wrong.
pub(super) fn integers(
    key: &'static str,
    of: &str,
    list: &Spanned<List<Whole>>,
    counts: RangeInclusive<usize>,
    range: RangeInclusive<u32>,
    report: &mut Report<'_>,
) -> Option<Vec<u32>> {
    count(key, of, list, counts, report)?;
    // Collected first, so that every wrong item is reported.
    let items: Vec<Option<u32>> = (list.get_ref().0.iter())
        .map(|item| integer(key, of, Some(item), range.clone(), report))
        .collect();
    items.into_iter().collect()
}

/// Whether a list has as many items as it may.
pub(super) fn count<T>(
    key: &'static str,
    of: &str,
    list: &Spanned<List<T>>,
    counts: RangeInclusive<usize>,
    report: &mut Report<'_>,
) -> Option<()> {
    let found = list.get_ref().0.len();
    if counts.contains(&found) {
        return Some(());
    }
    let (of, (min, max)) = (of.to_owned(), counts.into_inner());
    report.problem(list.span().start, Problem::BadCount { key, of, found, min, max });
    None
}

/// `None` when the key is absent or its value is not one of the words.
pub(super) fn word<T: Copy>(
    key: &'static str,
    of: &str,
    value: Option<&Text>,
    words: &[(&str, T)],
    report: &mut Report<'_>,
) -> Option<T> {
    let value = value?;
    let found = value.get_ref();
    let known = words.iter().find(|(word, _)| word == found).map(|(_, meaning)| *meaning);
    if known.is_none() {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = OneOf::new(found, &names);
        let problem =
            Problem::UnknownWord { key, of: of.to_owned(), found: shown(found), expected };
        report.problem(value.span().start, problem);
    }
    known
}

pub(super) fn wait(of: &str, value: Option<&Text>, report: &mut Report<'_>) -> WaitStrategy {
    let words = WaitStrategy::ALL.map(|strategy| (strategy.name(), strategy));
    word("wait", of, value, &words, report).unwrap_or(WaitStrategy::Adaptive)
}

/// A label that is safe in a path of a URL, a label of a metric and a line of a log.
///
/// Names of applications and models; versions may hold dots as well.
pub(super) fn label(
    key: &'static str,
    of: &str,
    value: &Text,
    may_hold_dots: bool,
    report: &mut Report<'_>,
) {
    let found = value.get_ref();
    let is_inner = |byte: u8| matches!(byte, b'-' | b'_') || (may_hold_dots && byte == b'.');
    let is_outer = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = found.as_bytes();
    let is_label = bytes.len() <= NAME_BYTES_MAX
        && bytes.iter().all(|byte| is_inner(*byte) || is_outer(*byte))
        && bytes.first().is_some_and(|byte| is_outer(*byte))
        && bytes.last().is_some_and(|byte| is_outer(*byte));
    if !is_label {
        let marks = if may_hold_dots { "`-`, `_` or `.`" } else { "`-` or `_`" };
        let expected = format!(
            "1 to {NAME_BYTES_MAX} lower-case letters and digits, with {marks} between them"
        );
        let (of, found) = (of.to_owned(), shown(found));
        report.problem(value.span().start, Problem::BadText { key, of, found, expected });
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
