//! Strings: found to their closing quote eight bytes at a time, unescaped only where there is an
//! escape, and checked to be UTF-8.

use std::borrow::Cow;

use super::cursor::Cursor;
use super::error::{JsonError, TextProblem};

/// A string between its quotes, as it was written. Its escapes are not checked yet.
#[derive(Clone, Copy, Debug)]
#[must_use = "the escapes are checked by `check`, `text` or `unescape`"]
pub(super) struct Written<'a> {
    text: &'a str,
    has_escapes: bool,
    /// At the first byte of `text`, to tell positions.
    start: Cursor<'a>,
}

/// Steps over a string; the cursor stands at its opening quote.
pub(super) fn scan<'a>(cursor: &mut Cursor<'a>) -> Result<Written<'a>, JsonError> {
    cursor.advance(1);
    let start = *cursor;
    let mut has_escapes = false;
    loop {
        skip_plain(cursor);
        match cursor.peek() {
            Some(b'"') => break,
            Some(b'\\') => {
                has_escapes = true;
                cursor.advance(1);
                // Whatever is escaped, a quote above all, does not end the string.
                let Some(_) = cursor.peek() else { return Err(cursor.syntax("an escape")) };
                cursor.advance(1);
            }
            Some(byte) => {
                return Err(text_error(cursor, cursor.at(), TextProblem::Control(byte)));
            }
            None => return Err(cursor.syntax("'\"' at the end of the string")),
        }
    }
    let bytes = cursor.slice(start.at(), cursor.at());
    let text = str::from_utf8(bytes).map_err(|error| {
        text_error(cursor, start.at() + error.valid_up_to(), TextProblem::NotUtf8)
    })?;
    cursor.advance(1);
    Ok(Written { text, has_escapes, start })
}

impl<'a> Written<'a> {
    /// The offset in the body of the first byte between the quotes.
    pub(super) fn at(&self) -> usize {
        self.start.at()
    }

    /// Checks the escapes of a string that nobody wants.
    pub(super) fn check(self) -> Result<(), JsonError> {
        if self.has_escapes { self.unescape(|_| ()) } else { Ok(()) }
    }

    /// What the string means. Copies only if there are escapes.
    pub(super) fn text(self) -> Result<Cow<'a, str>, JsonError> {
        if !self.has_escapes {
            return Ok(Cow::Borrowed(self.text));
        }
        let mut text = String::with_capacity(self.text.len());
        self.unescape(|piece| text.push_str(piece))?;
        Ok(Cow::Owned(text))
    }

    /// Hands out what the string means, piece by piece.
    pub(super) fn unescape(self, mut put: impl FnMut(&str)) -> Result<(), JsonError> {
        let mut rest = self.text;
        while let Some((plain, escape)) = rest.split_once('\\') {
            put(plain);
            let (meaning, behind) = unescape_one(escape).map_err(|problem| {
                let backslash = self.text.len() - escape.len() - 1;
                text_error(&self.start, self.start.at() + backslash, problem)
            })?;
            put(meaning.encode_utf8(&mut [0; 4]));
            rest = behind;
        }
        put(rest);
        Ok(())
    }
}

/// What the escape means whose backslash stood before `escape`, and what follows it.
fn unescape_one(escape: &str) -> Result<(char, &str), TextProblem> {
    let mut behind = escape.chars();
    let meaning = match behind.next() {
        Some(same @ ('"' | '\\' | '/')) => same,
        Some('b') => '\u{8}',
        Some('f') => '\u{C}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unescape_unicode(behind.as_str()),
        _ => return Err(TextProblem::Escape),
    };
    Ok((meaning, behind.as_str()))
}

/// The character of `XXXX`, or of `XXXX\uXXXX` when it takes two, and what follows.
fn unescape_unicode(hex: &str) -> Result<(char, &str), TextProblem> {
    let (first, behind) = hex_unit(hex)?;
    if !(0xD800..0xE000).contains(&first) {
        return Ok((char::from_u32(first).ok_or(TextProblem::LoneSurrogate)?, behind));
    }
    let second = behind.strip_prefix("\\u").ok_or(TextProblem::LoneSurrogate)?;
    let (second, behind) = hex_unit(second)?;
    if first >= 0xDC00 || !(0xDC00..0xE000).contains(&second) {
        return Err(TextProblem::LoneSurrogate);
    }
    let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Ok((char::from_u32(code).ok_or(TextProblem::LoneSurrogate)?, behind))
}

fn hex_unit(text: &str) -> Result<(u32, &str), TextProblem> {
    let (hex, behind) = text.split_at_checked(4).ok_or(TextProblem::Escape)?;
    // `from_str_radix` alone would take a sign.
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(TextProblem::Escape);
    }
    let unit = u32::from_str_radix(hex, 16).map_err(|_| TextProblem::Escape)?;
    Ok((unit, behind))
}

/// Steps up to the next quote, backslash or control character, or to the end.
fn skip_plain(cursor: &mut Cursor<'_>) {
    while let Some(word) = cursor.peek_chunk() {
        let plain = plain_bytes(u64::from_le_bytes(*word));
        cursor.advance(plain);
        if plain < 8 {
            return;
        }
    }
    while let Some(byte) = cursor.peek()
        && !matches!(byte, b'"' | b'\\' | 0..0x20)
    {
        cursor.advance(1);
    }
}

/// How many bytes of a word, from the lowest, stand for themselves in a string.
fn plain_bytes(word: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Subtracting borrows from the next byte only behind a byte that is flagged itself, so the
    // lowest flag is right.
    let below = |value: u64, bound: u64| value.wrapping_sub(EACH * bound) & !value;
    let control = below(word, 0x20);
    let quote = below(word ^ (EACH * u64::from(b'"')), 1);
    let backslash = below(word ^ (EACH * u64::from(b'\\')), 1);
    let special = (control | quote | backslash) & (EACH * 0x80);
    (special.trailing_zeros() / 8) as usize
}

#[cold]
fn text_error(cursor: &Cursor<'_>, offset: usize, problem: TextProblem) -> JsonError {
    JsonError::Text { position: cursor.position(offset), problem }
}
