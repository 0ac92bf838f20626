//! Text as a string in quotes, or as the JSON that it is.

use super::super::cursor::{Cursor, Stop};
use super::super::skip::Skip;
use super::super::text::{is_special, plain_bytes};
use super::{NotUtf8, TextRule};

/// Appends a string in quotes, with escapes where JSON needs them.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let written = escape(out, text.as_bytes(), usize::MAX);
    debug_assert_eq!(written, text.len());
    out.push(b'"');
}

/// Appends a text as it is if it is JSON itself, else as a string in quotes.
///
/// So a default output that says `-1` or `{"class": 3}` answers with just that.
pub fn embed_text(out: &mut Vec<u8>, text: &str) {
    let mut cursor = Cursor::new(text.as_bytes(), 0, usize::MAX);
    // Text nested too deeply for us is so for many clients too; it becomes a string.
    if Skip::new(0).read(&mut cursor).and_then(|()| cursor.expect_end()).is_ok() {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_string(out, text);
    }
}

/// A text that is being written. All of it is checked before anything is written.
#[derive(Clone, Debug)]
pub(super) struct Text {
    rule: TextRule,
    step: Step,
    /// The byte at which the step goes on.
    at: usize,
    json: Skip,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    CheckUtf8,
    CheckJson,
    /// Behind the value there may be nothing but space.
    CheckJsonEnd,
    Embed,
    Escape,
    Done,
}

impl Text {
    pub(super) fn new(rule: TextRule) -> Self {
        Self { rule, step: Step::CheckUtf8, at: 0, json: Skip::only_doubles() }
    }

    /// Goes on for about `budget_bytes`, checked or written; true when all is written.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        text: &[u8],
        budget_bytes: usize,
    ) -> Result<bool, NotUtf8> {
        let mut left = budget_bytes.max(1);
        while self.step != Step::Done {
            if left == 0 {
                return Ok(false);
            }
            let used = match self.step {
                Step::CheckUtf8 => self.check_utf8(text, left)?,
                Step::CheckJson | Step::CheckJsonEnd => self.check_json(text, left),
                Step::Embed => self.embed(out, text, left),
                Step::Escape => self.escape(out, text, left),
                Step::Done => 0,
            };
            left = left.saturating_sub(used);
        }
        Ok(true)
    }

    /// This and the other steps give the bytes that they used of the budget.
    fn check_utf8(&mut self, text: &[u8], budget_bytes: usize) -> Result<usize, NotUtf8> {
        /// A budget may be less, but a character must fit.
        const CHARACTER_BYTES_MAX: usize = 4;
        let start = self.at;
        let end = start.saturating_add(budget_bytes.max(CHARACTER_BYTES_MAX)).min(text.len());
        match str::from_utf8(&text[start..end]) {
            Ok(_) => self.at = end,
            // The last character goes on behind the piece.
            Err(error) if error.error_len().is_none() && end < text.len() => {
                self.at += error.valid_up_to();
            }
            Err(error) => return Err(NotUtf8 { at: start + error.valid_up_to() }),
        }
        if end == text.len() {
            let is_json = self.rule == TextRule::Json;
            self.step_to(if is_json { Step::CheckJson } else { Step::Escape });
        }
        Ok(end - start)
    }

    fn check_json(&mut self, text: &[u8], budget_bytes: usize) -> usize {
        let mut cursor = Cursor::new(text, self.at, budget_bytes);
        let mut checked = Ok(());
        if self.step == Step::CheckJson {
            checked = self.json.read(&mut cursor);
            if checked.is_ok() {
                self.step = Step::CheckJsonEnd;
            }
        }
        let used = cursor.at() - self.at;
        match checked.and_then(|()| cursor.expect_end()) {
            Ok(()) => self.step_to(Step::Embed),
            Err(Stop::Cut) => self.at = cursor.at(),
            Err(Stop::Wrong(_)) => self.step_to(Step::Escape),
        }
        used
    }

    fn embed(&mut self, out: &mut Vec<u8>, text: &[u8], budget_bytes: usize) -> usize {
        let start = self.at;
        self.at = start.saturating_add(budget_bytes).min(text.len());
        out.extend_from_slice(&text[start..self.at]);
        if self.at == text.len() {
            self.step = Step::Done;
        }
        self.at - start
    }

    fn escape(&mut self, out: &mut Vec<u8>, text: &[u8], budget_bytes: usize) -> usize {
        let before = out.len();
        if self.at == 0 {
            out.push(b'"');
        }
        self.at += escape(out, &text[self.at..], budget_bytes);
        if self.at == text.len() {
            out.push(b'"');
            self.step = Step::Done;
        }
        out.len() - before
    }

    fn step_to(&mut self, step: Step) {
        self.step = step;
        self.at = 0;
    }
}

/// Appends text as it stands between quotes, until that are `budget_bytes`; how much of the text.
fn escape(out: &mut Vec<u8>, text: &[u8], budget_bytes: usize) -> usize {
    let full = out.len().saturating_add(budget_bytes);
    let mut at = 0;
    while at < text.len() && out.len() < full {
        let end = at.saturating_add(full - out.len()).min(text.len());
        let plain = plain_length(&text[at..end]);
        out.extend_from_slice(&text[at..at + plain]);
        at += plain;
        if at < end {
            push_escape(out, text[at]);
            at += 1;
        }
    }
    at
}

/// How many bytes stand for themselves before the first that does not.
fn plain_length(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let plain = plain_bytes(u64::from_le_bytes(*word));
        if plain < 8 {
            return index * 8 + plain;
        }
    }
    let plain = rest.iter().position(|byte| is_special(*byte));
    words.len() * 8 + plain.unwrap_or(rest.len())
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        0x8 => b'b',
        0xC => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            let [high, low] = [byte >> 4, byte & 0xF].map(|digit| HEX[usize::from(digit)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
