//! The list of findings about one text, and the way from a byte of it to a line and a column.

use toml::de::Error as TomlError;

use super::error::{ConfigError, ConfigErrors, Notice, OneOf, Place, Problem, Warning};

/// The most characters of the author's text that a message repeats.
const SHOWN_CHARS_MAX: usize = 80;

#[derive(Debug)]
pub(super) struct Report<'a> {
    text: &'a str,
    /// The byte at which each line begins.
    line_starts: Vec<usize>,
    problems: Vec<(Place, Problem)>,
    notices: Vec<(Place, Notice)>,
}

impl<'a> Report<'a> {
    pub fn new(text: &'a str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { text, line_starts, problems: Vec::new(), notices: Vec::new() }
    }

    /// `at` is a byte of the text.
    pub fn problem(&mut self, at: usize, problem: Problem) {
        self.problems.push((self.place(at), problem));
    }

    pub fn notice(&mut self, at: usize, notice: Notice) {
        self.notices.push((self.place(at), notice));
    }

    pub fn line(&self, at: usize) -> usize {
        self.place(at).line
    }

    pub fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    pub fn into_errors(mut self, file: &str) -> ConfigErrors {
        self.problems.sort_by_key(|(place, _)| *place);
        let errors = self.problems.into_iter().map(|(place, problem)| ConfigError {
            file: file.to_owned(),
            place: Some(place),
            problem,
        });
        ConfigErrors::new(errors.collect())
    }

    /// The problem that stands first in the text.
    pub fn into_first(self) -> Option<Problem> {
        self.problems.into_iter().min_by_key(|(place, _)| *place).map(|(_, problem)| problem)
    }

    pub fn into_warnings(mut self, file: &str) -> Vec<Warning> {
        self.notices.sort_by_key(|(place, _)| *place);
        let warnings = self.notices.into_iter();
        warnings.map(|(place, notice)| Warning { file: file.to_owned(), place, notice }).collect()
    }

    fn place(&self, at: usize) -> Place {
        let at = self.text.floor_char_boundary(at);
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = self.line_starts[line - 1];
        // An editor does not count the mark that may begin a file.
        let before = self.text[start..at].trim_start_matches('\u{feff}');
        Place { line, column: before.chars().count() + 1 }
    }
}

/// A text of the author as a message repeats it.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Where the parser stopped, and why. Its words are kept where they are not ours to improve.
pub(super) fn problem_of_toml(error: &TomlError, text: &str) -> (usize, Problem) {
    let span = error.span().unwrap_or(0..0);
    let marked = text.get(span.clone()).unwrap_or("");
    let message = error.message();
    let problem = unknown_key(message).or_else(|| wrong_type(message)).unwrap_or_else(|| {
        let reason = message.strip_suffix(", expected nothing").unwrap_or(message);
        let reason = match reason {
            "duplicate key" => format!("duplicate key {:?}", shown(marked)),
            _ => reason.to_owned(),
        };
        Problem::Syntax { reason }
    });
    (span.start, problem)
}

/// Serde says: unknown field `a`, expected `b` / expected `b` or `c` / expected one of `b`, `c`.
fn unknown_key(message: &str) -> Option<Problem> {
    let rest = message.strip_prefix("unknown field `")?;
    let (key, rest) = rest.rsplit_once("`, expected ")?;
    let names: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    Some(Problem::UnknownKey { key: shown(key), expected: OneOf::new(key, &names) })
}

/// Serde says: invalid type: integer `3`, expected a string.
fn wrong_type(message: &str) -> Option<Problem> {
    let rest = message.strip_prefix("invalid type: ")?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let found = match found {
        "map" => "a table",
        "sequence" => "a list",
        other => other,
    };
    Some(Problem::WrongType { found: shown(found), expected: expected.to_owned() })
}
