//! `engine/CONFIGURATION.md` says what `keys.rs` says, and the server does what it says.

use std::path::Path;

use crate::config::Config;
use crate::config::keys::{Row, document};

const DOCUMENT: &str = include_str!("../../../../CONFIGURATION.md");

/// For each section of the document, how its table begins in a file, and what else it must hold.
const TABLES: [(&str, &str); 8] = [
    ("[server]", ""),
    ("[server.decision_log]", "directory = \"d\""),
    ("[[application]]", "name = \"a\"\ninput = { type = \"bytes\" }"),
    ("[[application]]\nname = \"a\"\n[application.input]", "type = \"bytes\""),
    (
        "[[model]]\nname = \"m\"\ncommand = [\"m\"]\n[[application]]\nname = \"a\"\n\
         input = { type = \"bytes\" }\nmodels = [\"m\"]\n[application.policy]",
        "",
    ),
    ("[[model]]", "name = \"m\"\ncommand = [\"m\"]"),
    ("[[model]]\nname = \"m\"\ncommand = [\"m\"]\n[model.batch]", ""),
    ("[[model]]\nname = \"m\"\ncommand = [\"m\"]\n[model.cache]", ""),
];

/// A value, how it is told, and the types that take it.
const VALUES: [(&str, &str, &[&str]); 2] = [
    ("0.5", "floating point `0.5`", &["number", "number or string"]),
    ("true", "boolean `true`", &["boolean"]),
];

/// Each key, with how its table begins and what else that must hold.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, Row)> {
    let sections = TABLES.into_iter().zip(document());
    sections
        .flat_map(|((begin, rest), (_, rows))| rows.into_iter().map(move |row| (begin, rest, row)))
}

fn errors(text: &str) -> String {
    let result = Config::from_toml(text, Path::new("/srv"), "c");
    result.err().map(|errors| errors.to_string()).unwrap_or_default()
}

/// The lines of a table of the document, as they should be.
fn lines(rows: &[Row]) -> Vec<String> {
    let head = ["| key | type | default | range | meaning |", "| --- | --- | --- | --- | --- |"];
    let rows = rows.iter().map(|Row { key, kind, default, range, meaning }| {
        format!("| `{key}` | {kind} | {default} | {range} | {meaning} |").replace("|  |", "| |")
    });
    head.into_iter().map(str::to_owned).chain(rows).collect()
}

#[test]
fn the_document_has_the_rows_of_the_keys_and_no_other() {
    let mut count = 0;
    for (heading, rows) in document() {
        let heading = format!("\n{heading}\n");
        let (_, text) = DOCUMENT.split_once(&heading).unwrap_or_else(|| panic!("no{heading}"));
        let text = text.split("\n#").next().unwrap_or_default();
        let found: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        let expected = lines(&rows);
        count += expected.len();
        assert!(
            found == expected,
            "{heading}should have, as `keys.rs` has it:\n{}",
            expected.join("\n")
        );
    }
    assert_eq!(DOCUMENT.lines().filter(|line| line.starts_with('|')).count(), count);
}

#[test]
fn a_default_that_is_written_down_changes_nothing() {
    let mut count = 0;
    for (begin, rest, row) in rows().filter(|(_, _, row)| row.default.starts_with('`')) {
        let default = row.default.split('`').nth(1).unwrap_or_default();
        let text = format!("{begin}\n{rest}\n");
        let read = |text: &str| Config::from_toml(text, Path::new("/srv"), "c").map(|read| read.0);
        let written = format!("{text}{} = {default}", row.key);
        assert_eq!(read(&written), read(&text), "{written}");
        assert_eq!(errors(&text), "");
        count += 1;
    }
    assert_eq!(count, 40);
}

#[test]
fn a_key_is_required_where_the_document_says_so() {
    for (begin, _, row) in rows() {
        let is_missed = errors(begin).contains(&format!("has no `{}`; expected", row.key));
        assert_eq!(is_missed, row.default == "*required*", "{begin} {}", row.key);
    }
}

#[test]
fn a_value_of_another_type_is_told_the_type_that_the_document_names() {
    for (value, found, fitting) in VALUES {
        for (begin, _, row) in rows().filter(|(_, _, row)| !fitting.contains(&row.kind)) {
            let errors = errors(&format!("{begin}\n{} = {value}", row.key));
            let told = format!("found {found}; expected a {}", row.kind);
            assert!(errors.replace("expected an ", "expected a ").ends_with(&told), "{errors}");
        }
    }
}
