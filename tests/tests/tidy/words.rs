//! Rust as words: as much of its grammar as shows which names a file takes from where.

use std::sync::LazyLock;

use crate::sources::{Source, rust};

/// The words of one file.
pub struct Worded {
    pub path: &'static str,
    pub words: Vec<&'static str>,
}

/// Every file of Rust, read as words once.
pub fn worded() -> &'static [Worded] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(rust);
    static WORDED: LazyLock<Vec<Worded>> = LazyLock::new(|| {
        let read =
            |source: &'static Source| Worded { path: &source.path, words: words(&source.text) };
        SOURCES.iter().map(read).collect()
    });
    &WORDED
}

/// A path that a file names.
#[derive(Debug, PartialEq)]
pub struct Name {
    /// `crate`, `limits`, `ROWS_MAX`.
    pub parts: Vec<String>,
    /// What the file calls it from then on, if a `use` took it in.
    pub used_as: Option<String>,
    /// Whether it is only handed on: `pub use`.
    pub is_handed_on: bool,
}

/// The words of a text: names, numbers, `::`, strings, and each other mark by itself. No
/// comments.
pub fn words(mut text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    while !text.is_empty() {
        let (word, rest) = text.split_at(length(text));
        if !word.starts_with(char::is_whitespace) && !is_comment(word) {
            words.push(word);
        }
        text = rest;
    }
    words
}

fn is_comment(word: &str) -> bool {
    word.starts_with("//") || word.starts_with("/*")
}

/// Bytes of what a text begins with: a word, a comment, white space.
fn length(text: &str) -> usize {
    let up_to = |end: &str| text.find(end).map_or(text.len(), |at| at + end.len());
    let marks = text.chars().next().map_or(0, char::len_utf8);
    if text.starts_with("//") {
        return up_to("\n");
    }
    if text.starts_with("/*") {
        return up_to("*/");
    }
    if text.starts_with("::") {
        return 2;
    }
    let name = text.find(|mark| !is_name_mark(mark)).unwrap_or(text.len());
    quoted(text).unwrap_or(if name > 0 { name } else { marks })
}

fn is_name_mark(mark: char) -> bool {
    mark.is_alphanumeric() || mark == '_'
}

/// Bytes of the string, the character or the lifetime that a text begins with.
fn quoted(text: &str) -> Option<usize> {
    let prefix = text.find(|mark| !['b', 'c', 'r'].contains(&mark))?;
    let hashes = text[prefix..].find(|mark| mark != '#')?;
    let start = prefix + hashes;
    let is_raw = text[..prefix].contains('r');
    let ends_with = |end: &str| text[start + 1..].find(end).map(|at| start + 1 + at + end.len());
    if text[start..].starts_with('"') && is_raw {
        return ends_with(&["\"", &"#".repeat(hashes)].concat());
    }
    if hashes > 0 || !text[start..].starts_with(['"', '\'']) {
        return None;
    }
    let quote = text[start..].chars().next()?;
    let mut marks = text[start + 1..].char_indices();
    let first = text[start + 1..].chars().next()?;
    if quote == '\'' && first != '\\' && !text[start + 1 + first.len_utf8()..].starts_with(quote) {
        let lifetime = text[start + 1..].find(|mark| !is_name_mark(mark));
        return Some(lifetime.map_or(text.len(), |end| start + 1 + end));
    }
    while let Some((at, mark)) = marks.next() {
        if mark == quote {
            return Some(start + 1 + at + 1);
        }
        if mark == '\\' {
            marks.next();
        }
    }
    None
}

/// Without what is built only for tests: each item behind `#[cfg(test)]`.
pub fn production<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words[at..].starts_with(&["#", "[", "cfg", "(", "test", ")", "]"]) {
            at = end_of_item(words, at + 7);
        } else {
            kept.push(words[at]);
            at += 1;
        }
    }
    kept
}

/// Behind the item at a place: its `;`, or the `}` of its braces.
pub fn end_of_item(words: &[&str], mut at: usize) -> usize {
    let mut depth = 0;
    while at < words.len() {
        match words[at] {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 && [";", "}"].contains(&words[at - 1]) {
            return at;
        }
    }
    at
}

/// Whether a word is a name; keywords are.
pub fn is_name(word: &str) -> bool {
    word.chars().all(is_name_mark) && !word.starts_with(|mark: char| mark.is_ascii_digit())
}

/// The paths that words name: what each `use` takes in, and `a::b` where it stands.
pub fn names(words: &[&str]) -> Vec<Name> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        let is_use = words[at] == "use" && words.get(at + 1) != Some(&"<");
        if is_use {
            let is_handed_on = ["pub", ")"].contains(&before);
            at = tree(words, at + 1, &[], is_handed_on, &mut names);
        } else if is_name(words[at]) && before != "::" && words.get(at + 1) == Some(&"::") {
            let (parts, end) = path(words, at);
            names.push(Name { parts, used_as: None, is_handed_on: false });
            at = end;
        } else {
            at += 1;
        }
    }
    names.retain(|name| name.parts.len() > 1 || name.used_as.is_some());
    names
}

/// The names at a place with `::` between them, and the place behind them.
fn path(words: &[&str], mut at: usize) -> (Vec<String>, usize) {
    let mut parts = Vec::new();
    while words.get(at).is_some_and(|word| is_name(word)) {
        parts.push(words[at].to_owned());
        at += 1;
        if words.get(at) != Some(&"::") {
            break;
        }
        at += 1;
    }
    (parts, at)
}

/// Reads the tree of a `use`; the place behind it.
fn tree(
    words: &[&str],
    at: usize,
    above: &[String],
    is_handed_on: bool,
    names: &mut Vec<Name>,
) -> usize {
    let start = at + usize::from(words.get(at) == Some(&"::"));
    let (parts, mut at) = path(words, start);
    let mut parts = [above, &parts].concat();
    if words.get(at) == Some(&"{") {
        while words.get(at).is_some_and(|word| ["{", ","].contains(word)) {
            at += 1;
            if words.get(at) != Some(&"}") {
                at = tree(words, at, &parts, is_handed_on, names);
            }
        }
        return at + 1;
    }
    if words.get(at) == Some(&"*") {
        parts.push("*".to_owned());
        at += 1;
    }
    if parts.last().is_some_and(|last| last == "self") && parts.len() > 1 {
        parts.pop();
    }
    let mut used_as = parts.last().cloned();
    if words.get(at) == Some(&"as") {
        used_as = words.get(at + 1).map(|name| (*name).to_owned());
        at += 2;
    }
    names.push(Name { parts, used_as, is_handed_on });
    at
}

#[test]
fn texts_are_read_as_words() {
    let text =
        "/// a\nfn b<'c>(d: &'c str) -> e::F { \"g \\\" h\"; r#\"i \" j\"#; '\\''; b'k'; x } // l";
    let expected = "fn b < 'c > ( d : & 'c str ) - > e :: F {";
    let mut expected: Vec<&str> = expected.split(' ').collect();
    expected.extend([
        "\"g \\\" h\"",
        ";",
        "r#\"i \" j\"#",
        ";",
        "'\\''",
        ";",
        "b'k'",
        ";",
        "x",
        "}",
    ]);
    assert_eq!(words(text), expected);
    let text = "a; #[cfg(test)] #[b] mod c { d { } } e; #[cfg(test)] mod f; g";
    assert_eq!(production(&words(text)).join(" "), "a ; e ; g");
}

#[test]
fn paths_are_found_where_they_stand() {
    let text = "use a::{self, b::{C, d as e}, f::*}; pub use super::G; fn h() -> crate::i::J { k }";
    let found = names(&words(text));
    let told = |name: &Name| {
        let used_as = name.used_as.as_deref().unwrap_or("-");
        format!("{} {used_as} {}", name.parts.join("::"), u8::from(name.is_handed_on))
    };
    let told: Vec<String> = found.iter().map(told).collect();
    let expected =
        ["a a 0", "a::b::C C 0", "a::b::d e 0", "a::f::* * 0", "super::G G 1", "crate::i::J - 0"];
    assert_eq!(told, expected);
}
