//! What is public for nobody.

use std::collections::{BTreeMap, BTreeSet};

use crate::crates::crates;
use crate::words::{end_of_item, is_name, worded, words};

/// Crates of which nobody outside of the repository is told.
const CRATES: [&str; 7] = [
    "cutter_admin_api",
    "cutter_core",
    "cutter_lines",
    "cutter_machine",
    "cutter_server",
    "cutter_tensor",
    "cutter_wire",
];

/// The rules themselves: what they name is not used by that.
const RULES: &str = "tests/tests/tidy/";

/// Types come out of what names them, and need no name where they arrive.
const TYPES: [&str; 5] = ["enum", "struct", "trait", "type", "union"];
const VALUES: [&str; 3] = ["const", "fn", "static"];
const QUALIFIERS: [&str; 4] = ["async", "const", "extern", "unsafe"];

/// The items that words define as public, and whether each is a type. Those that only their crate
/// may see are left to the compiler, and so are modules that stand within the file.
fn public<'a>(words: &[&'a str]) -> BTreeMap<&'a str, bool> {
    let mut public = BTreeMap::new();
    let mut at = 0;
    while at < words.len() {
        match &words[at..] {
            ["mod", _, "{", ..] => at = end_of_item(words, at),
            ["pub", rest @ ..] => {
                if let Some((name, is_type)) = defined(rest) {
                    public.insert(name, is_type);
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    public
}

/// What is defined behind a `pub`.
fn defined<'a>(words: &[&'a str]) -> Option<(&'a str, bool)> {
    match words {
        // `pub const NAME`, but `pub const fn name`.
        [first, rest @ ..] if QUALIFIERS.contains(first) && rest.first() != Some(&"fn") => {
            let behind = if rest.first()?.starts_with('"') { &rest[1..] } else { rest };
            let is_qualifier = ["fn", "async", "extern", "unsafe"].contains(behind.first()?);
            if is_qualifier { defined(behind) } else { Some((rest.first()?, false)) }
        }
        [_, "fn", name, ..] => Some((name, false)),
        [kind, name, ..] if VALUES.contains(kind) => Some((name, false)),
        [kind, name, ..] if TYPES.contains(kind) => Some((name, true)),
        _ => None,
    }
}

/// The names that words say, but not those that they only hand on. A string says names too: a
/// format takes in what it prints.
fn said<'a>(words: &[&'a str]) -> BTreeSet<&'a str> {
    let mut said = BTreeSet::new();
    let mut at = 0;
    while at < words.len() {
        if words[at..].starts_with(&["pub", "use"]) {
            at += words[at..].iter().position(|word| *word == ";").unwrap_or(0);
        }
        if words[at].contains('"') {
            said.extend(words[at].split(|mark: char| !mark.is_alphanumeric() && mark != '_'));
        } else if is_name(words[at]) {
            said.insert(words[at]);
        }
        at += 1;
    }
    said
}

/// Whether a type is said by its own file: not where it is defined, and not of what it can do.
fn is_said_of_itself(words: &[&str], name: &str) -> bool {
    let is_use = |at: usize| {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        words[at] == name && !TYPES.contains(&before) && !["impl", "for"].contains(&before)
    };
    (0..words.len()).any(is_use)
}

/// `file: name` of each item that no other file says.
fn unsaid(files: &[(&str, Vec<&str>)], is_said: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let of_file = |(file, words): &(&str, Vec<&str>)| {
        let items = public(words).into_iter();
        let is_said = |name: &str, is_type: bool| {
            is_said(file, name) || (is_type && is_said_of_itself(words, name))
        };
        let unsaid = items.filter(|(name, is_type)| !is_said(name, *is_type));
        unsaid.map(|(name, _)| format!("{file}: {name}")).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

#[test]
fn nothing_is_public_for_nobody() {
    let mut said_by: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in worded().iter().filter(|file| !file.path.starts_with(RULES)) {
        for name in said(&file.words) {
            said_by.entry(name).or_default().insert(file.path);
        }
    }
    let crates = crates().iter().filter(|of| CRATES.contains(&of.name.as_str()));
    let modules = crates.flat_map(|of| of.trees.iter().flat_map(|tree| tree.0.values()));
    let files: Vec<(&str, Vec<&str>)> = modules
        .map(|module| (module.file.as_str(), module.words.iter().map(String::as_str).collect()))
        .collect();
    let is_said = |file: &str, name: &str| {
        said_by.get(name).is_some_and(|by| by.iter().any(|path| *path != file))
    };
    assert_eq!(unsaid(&files, is_said), [""; 0]);
}

#[test]
fn an_item_that_nobody_says_is_told() {
    let text = "pub fn a() -> B { c() } pub struct B; pub(crate) fn c() {} pub trait J {} \
                pub struct D; impl D { pub const E: u8 = 1; pub const unsafe fn f() {} \
                pub unsafe extern \"C\" fn g() {} } mod h { pub const I: u8 = 1; }";
    let files = [("x.rs", words(text))];
    let told = |said: &str| unsaid(&files, |_, name| said.split(' ').any(|word| word == name));
    assert_eq!(told(""), ["D", "E", "J", "a", "f", "g"].map(|name| format!("x.rs: {name}")));
    assert_eq!(told("D E J a f g"), [""; 0]);
}
