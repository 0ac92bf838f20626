//! Strings: found to their closing quote eight bytes at a time, unescaped only where there is an
//! escape, and checked to be UTF-8. They are read in pieces, and a piece ends between characters.

use super::cursor::{Cursor, Stop};
use super::error::{JsonError, Position, TextProblem};

/// The longest escape, `\uXXXX\uXXXX`.
const ESCAPE_BYTES_MAX: usize = 12;

/// Reads a string up to its closing quote and steps over that; the cursor stands behind the opening
/// quote, or where an earlier piece ended. What the string means is handed out piece by piece.
pub(super) fn read(cursor: &mut Cursor<'_>, mut put: impl FnMut(&str)) -> Result<(), Stop> {
    loop {
        let start = cursor.at();
        skip_plain(cursor);
        put(plain(cursor, start)?);
        match cursor.peek() {
            Some(b'"') => {
                cursor.advance(1);
                return Ok(());
            }
            Some(b'\\') => put(unescape(cursor)?.encode_utf8(&mut [0; 4])),
            Some(byte @ 0..0x20) => return Err(wrong(cursor.at(), TextProblem::Control(byte))),
            // A character whose rest comes with the next piece.
            Some(_) => return Err(Stop::Cut),
            None => return Err(cursor.syntax("'\"' at the end of the string")),
        }
    }
}

/// What stands between `start` and the cursor. A character that is not whole yet is left to the
/// next piece.
fn plain<'a>(cursor: &mut Cursor<'a>, start: usize) -> Result<&'a str, Stop> {
    let bytes = cursor.slice(start, cursor.at());
    let error = match str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let valid = error.valid_up_to();
    if error.error_len().is_some() || !cursor.is_at_cut() {
        return Err(wrong(start + valid, TextProblem::NotUtf8));
    }
    cursor.move_to(start + valid);
    Ok(str::from_utf8(&bytes[..valid]).unwrap_or_default())
}

/// Steps over an escape and tells what it means.
fn unescape(cursor: &mut Cursor<'_>) -> Result<char, Stop> {
    if cursor.is_cut_within(ESCAPE_BYTES_MAX) {
        return Err(Stop::Cut);
    }
    let (meaning, bytes) =
        meaning(&cursor.rest()[1..]).map_err(|problem| wrong(cursor.at(), problem))?;
    cursor.advance(1 + bytes);
    Ok(meaning)
}

/// What the escape means whose backslash stood before `escape`, and how many bytes it has.
fn meaning(escape: &[u8]) -> Result<(char, usize), TextProblem> {
    let meaning = match escape.first() {
        Some(same @ (b'"' | b'\\' | b'/')) => char::from(*same),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{C}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_meaning(&escape[1..]),
        _ => return Err(TextProblem::Escape),
    };
    Ok((meaning, 1))
}

/// The character of `XXXX`, or of `XXXX\uXXXX` when it takes two.
fn unicode_meaning(escape: &[u8]) -> Result<(char, usize), TextProblem> {
    let first = hex_unit(escape)?;
    if !(0xD800..0xE000).contains(&first) {
        return Ok((char::from_u32(first).ok_or(TextProblem::LoneSurrogate)?, 5));
    }
    let second = escape[4..].strip_prefix(b"\\u").ok_or(TextProblem::LoneSurrogate)?;
    let second = hex_unit(second)?;
    if first >= 0xDC00 || !(0xDC00..0xE000).contains(&second) {
        return Err(TextProblem::LoneSurrogate);
    }
    let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Ok((char::from_u32(code).ok_or(TextProblem::LoneSurrogate)?, 11))
}

fn hex_unit(text: &[u8]) -> Result<u32, TextProblem> {
    let hex = text.first_chunk::<4>().ok_or(TextProblem::Escape)?;
    hex.iter().try_fold(0, |unit, byte| {
        let digit = char::from(*byte).to_digit(16).ok_or(TextProblem::Escape)?;
        Ok(unit << 4 | digit)
    })
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
        && !is_special(byte)
    {
        cursor.advance(1);
    }
}

/// Whether a byte does not stand for itself in a string.
pub(super) fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..0x20)
}

/// How many bytes of a word, from the lowest, stand for themselves in a string.
pub(super) fn plain_bytes(word: u64) -> usize {
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
fn wrong(offset: usize, problem: TextProblem) -> Stop {
    Stop::Wrong(JsonError::Text { position: Position::unlocated(offset), problem })
}
