//! Documents whose examples are run: a document that is wrong fails its test.
//!
//! A block of the language `console` is a session in a shell. A line that begins with `$ ` is a
//! command, what follows it up to the next one is what it must print, and `…` in that stands for
//! anything. What is printed to standard error is not looked at.
//!
//! ```text
//!   Document ── section ─▶ Document ── blocks ─▶ text ── session ─▶ [Exchange] ── Shell::play
//! ```

use std::path::Path;
use std::process::Command;

use crate::binaries::workspace;
use crate::command::run_within;
use crate::limits::INSTALL_TIME;

/// What stands for anything in what a command must print.
const ANYTHING: char = '…';
/// What the shell says between the outputs of two commands, before an exit status. No program
/// prints a record separator.
const MARK: char = '\u{1e}';

/// A document, or a section of one.
#[derive(Clone, Debug)]
pub struct Document {
    text: String,
}

impl Document {
    /// A document of the repository, by its path from the root.
    #[track_caller]
    pub fn read(path: &str) -> Document {
        let text = std::fs::read_to_string(workspace().join(path));
        Document { text: text.unwrap_or_else(|error| panic!("{path}: {error}")) }
    }

    /// The comment that says what a file of Rust is, by its path from the root.
    #[track_caller]
    pub fn of_module(path: &str) -> Document {
        let Document { text } = Document::read(path);
        let comment = text.lines().filter_map(|line| line.strip_prefix("//!"));
        let lines = comment.map(|line| line.strip_prefix(' ').unwrap_or(line));
        Document { text: lines.collect::<Vec<_>>().join("\n") }
    }

    /// The headings of sections, `## ` left out.
    pub fn headings(&self) -> Vec<&str> {
        self.text.lines().filter_map(|line| line.strip_prefix("## ")).collect()
    }

    /// What is below a heading, up to the next.
    #[track_caller]
    pub fn section(&self, heading: &str) -> Document {
        let line = format!("\n## {heading}\n");
        let found = self.text.split_once(&line);
        let (_, text) = found.unwrap_or_else(|| panic!("no section {heading:?}"));
        Document { text: text.split("\n## ").next().unwrap_or_default().to_owned() }
    }

    /// The texts of all blocks of code in this language.
    pub fn blocks(&self, language: &str) -> Vec<&str> {
        let opening = format!("```{language}\n");
        let opened = self.text.split(&opening).skip(1);
        opened.filter_map(|text| text.split_once("```").map(|(block, _)| block)).collect()
    }

    /// The only block of code in this language.
    #[track_caller]
    pub fn block(&self, language: &str) -> &str {
        let blocks = self.blocks(language);
        assert_eq!(blocks.len(), 1, "blocks of {language}");
        blocks[0]
    }

    /// What is typed and printed in all blocks of console.
    pub fn session(&self) -> Vec<Exchange> {
        self.blocks("console").into_iter().flat_map(exchanges).collect()
    }
}

/// A command, and what it must print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub command: String,
    pub printed: String,
}

fn exchanges(block: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), exchanges.last_mut()) {
            (Some(command), _) => {
                exchanges.push(Exchange { command: command.to_owned(), printed: String::new() });
            }
            (None, Some(last)) => {
                // A command goes on behind a backslash.
                let goes_on = last.printed.is_empty() && last.command.ends_with('\\');
                let into = if goes_on { &mut last.command } else { &mut last.printed };
                if goes_on {
                    into.push('\n');
                }
                into.push_str(line);
                if !goes_on {
                    into.push('\n');
                }
            }
            (None, None) => panic!("a console session begins with a command, not {line:?}"),
        }
    }
    exchanges
}

/// Where a session is run, and what is put in place of its words before.
#[derive(Debug)]
pub struct Shell<'a> {
    folder: &'a Path,
    words: Vec<(&'a str, String)>,
}

impl<'a> Shell<'a> {
    pub fn new(folder: &'a Path) -> Shell<'a> {
        Shell { folder, words: Vec::new() }
    }

    /// Puts a word in place of another: the port that was free for the port in the document.
    pub fn with(mut self, word: &'a str, instead: impl ToString) -> Shell<'a> {
        self.words.push((word, instead.to_string()));
        self
    }

    /// Runs the commands in one shell, in their order. Each has to succeed, and to print what it
    /// must.
    #[track_caller]
    pub fn play(&self, session: &[Exchange]) {
        let commands = session.iter().map(|exchange| self.edited(&exchange.command));
        let mark = |command: String| format!("{command}\nprintf '\\036%d\\036' $?\n");
        let script: String = commands.map(mark).collect();
        let mut bash = Command::new("bash");
        bash.current_dir(self.folder).args(["-c", &script]).env("no_proxy", "*");
        let ended = run_within(&mut bash, INSTALL_TIME);
        let mut said = ended.stdout.split(MARK);
        for Exchange { command, printed } in session {
            let (output, status) = (said.next().unwrap_or_default(), said.next());
            assert_eq!(status, Some("0"), "{command}\n{output}\n{}", ended.stderr);
            let (output, due) = (tidy(output), tidy(&self.edited(printed)));
            assert!(
                due.is_empty() || matches(&due, &output),
                "{command}\n---- prints ----\n{output}\n---- and not ----\n{due}"
            );
        }
    }

    fn edited(&self, text: &str) -> String {
        let edit = |text: String, (word, instead): &(&str, String)| text.replace(word, instead);
        self.words.iter().fold(text.to_owned(), edit)
    }
}

/// Without what nobody sees: white space at the ends of lines and of the whole.
fn tidy(text: &str) -> String {
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// Whether the text is the pattern, in which [`ANYTHING`] stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split(ANYTHING);
    let Some(mut rest) = parts.next().and_then(|start| text.strip_prefix(start)) else {
        return false;
    };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_it_says_and_nothing_else() {
        for (pattern, text) in [
            ("", ""),
            ("a", "a"),
            ("…", ""),
            ("…", "a\nb"),
            ("a…", "a"),
            ("a…c", "abc"),
            ("…b…d", "abcd"),
            ("a…a", "aba"),
            ("…a", "aa"),
        ] {
            assert!(matches(pattern, text), "{pattern:?} {text:?}");
        }
        for (pattern, text) in
            [("", "a"), ("a", "ab"), ("a", "ba"), ("a…c", "ab"), ("a…a", "a"), ("…b…b", "ab")]
        {
            assert!(!matches(pattern, text), "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_session_is_commands_and_what_they_print() {
        let text =
            "text\n\n## One\n\n```console\n$ a \\\n  b\nc\nd\n$ e\n```\n\n## Two\n\n```c\nf\n```\n";
        let document = Document { text: text.to_owned() };
        assert_eq!(document.headings(), ["One", "Two"]);
        let exchange = |command: &str, printed: &str| Exchange {
            command: command.to_owned(),
            printed: printed.to_owned(),
        };
        let one = document.section("One").session();
        assert_eq!(one, [exchange("a \\\n  b", "c\nd\n"), exchange("e", "")]);
        assert_eq!(document.section("Two").block("c"), "f\n");
    }
}
