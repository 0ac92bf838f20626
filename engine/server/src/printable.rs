//! Texts of peers as they are shown: in log lines, in refusals, in answers. Pure.
//!
//! A peer may call itself anything and print anything. What is shown of it stays within its line
//! and within its place: control characters and those that turn the direction of a text round are
//! escaped, and what is too long is cut.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

/// A text as one line: control characters are escaped, and a tab is left. Borrowed when there is
/// nothing to escape.
pub fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(|character| is_escaped(character) && character != '\t') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_escaped(character) && character != '\t' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A name that a peer gives: a few characters, none of which ends a quotation.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a>(pub &'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, character) in self.0.chars().enumerate() {
            if at >= crate::limits::NAME_SHOWN_CHARS_MAX {
                return f.write_char('…');
            }
            if is_escaped(character) || matches!(character, '"' | '\'' | '\\') {
                write!(f, "{}", character.escape_default())?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Whether a character does something else than to be seen.
fn is_escaped(character: char) -> bool {
    let breaks = matches!(character, '\u{2028}' | '\u{2029}');
    let turns = matches!(
        character,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || breaks || turns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_stays_within_its_line_and_paints_no_terminal() {
        assert_eq!(line("a\rb\n\x1b[31mred\tend"), "a\\rb\\n\\u{1b}[31mred\tend");
        assert_eq!(line("\u{202e}gnp.exe\u{2028}x"), "\\u{202e}gnp.exe\\u{2028}x");
        assert!(matches!(line("plain – text"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_name_ends_no_quotation_and_is_cut() {
        assert_eq!(Name("a\nb\"c'\\").to_string(), "a\\nb\\\"c\\'\\\\");
        let long = Name(&"ä".repeat(500)).to_string();
        assert_eq!(long.chars().count(), crate::limits::NAME_SHOWN_CHARS_MAX + 1);
        assert!(long.ends_with("ä…"));
    }

    proptest! {
        #[test]
        fn no_text_brings_a_control_character_into_a_line(text in ".*") {
            let shown = [line(&text).into_owned(), Name(&text).to_string()];
            let is_plain = |shown: &String| !shown.contains(|c: char| c.is_control() && c != '\t');
            prop_assert!(shown.iter().all(is_plain));
        }
    }
}
