//! Plain numbers in a row: digits with or without a sign, then a point and decimals or nothing, and
//! a comma behind each.
//!
//! Nearly all numbers of nearly all bodies are like that. A loop that knows nothing else compares
//! once a number with the end of the piece, and keeps what it needs in registers. All else it
//! leaves to [`numbers`](super::numbers): exponents, other space, the number before a bracket, the
//! end of a piece, and whatever is wrong.

use super::number::{Element, Literal, WORD_BYTES, append, append_word, digits_of, values_of};

/// The digits before a point are fewer than a word has.
const BEFORE_MAX: usize = WORD_BYTES - 1;
/// Words in which decimals are looked for.
const DECIMAL_WORDS: usize = 3;
/// Bytes that are looked at from the first digit on.
const WINDOW_BYTES: usize = BEFORE_MAX + 1 + DECIMAL_WORDS * WORD_BYTES;

/// Reads numbers into cells as long as they are plain and there are cells; gives how many, and the
/// bytes that they take with their commas.
#[inline(never)]
pub(super) fn read<const N: usize, E: Element<N>>(
    text: &[u8],
    cells: &mut [[u8; N]],
) -> (usize, usize) {
    let mut rest = text;
    for (count, cell) in cells.iter_mut().enumerate() {
        let Some((element, behind)) = number::<N, E>(rest) else {
            return (count, text.len() - rest.len());
        };
        *cell = element;
        rest = behind;
    }
    (cells.len(), text.len() - rest.len())
}

/// The first number of a text, and the text behind it.
#[inline(always)]
fn number<const N: usize, E: Element<N>>(text: &[u8]) -> Option<([u8; N], &[u8])> {
    let mut text = text;
    let mut window = text.first_chunk()?;
    let mut negative = false;
    // A loop, and no arithmetic: a processor can predict it, and go on reading.
    while !negative && matches!(window[0], b' ' | b'-') {
        negative = window[0] == b'-';
        text = text.get(1..)?;
        window = text.first_chunk()?;
    }
    let first = digit_and_point(window);
    if first <= 9 {
        let (element, bytes) = behind_point::<N, E>(window, 1, first, negative)?;
        return Some((element, text.get(bytes..)?));
    }
    let values = values_of(window.first_chunk()?);
    let before = digits_of(values);
    if before > BEFORE_MAX || before == 0 || before > 1 && window[0] == b'0' {
        return None;
    }
    let mantissa = append(0, values, before);
    let (element, bytes) = match window[before] {
        b'.' => behind_point::<N, E>(window, before, mantissa, negative)?,
        b',' => (E::quick(&Literal::plain(mantissa, before, 0, negative))?, before + 1),
        _ => return None,
    };
    Some((element, text.get(bytes..)?))
}

/// The digit that a window begins with, if a point is behind it; if not, more than 9.
#[inline(always)]
fn digit_and_point(window: &[u8; WINDOW_BYTES]) -> u64 {
    let [digit, point, ..] = *window;
    u64::from(u16::from_le_bytes([digit, point]) ^ u16::from_le_bytes(*b"0."))
}

/// The number whose digits before the point are a window's first, and the bytes up to behind its
/// comma.
#[inline(always)]
fn behind_point<const N: usize, E: Element<N>>(
    window: &[u8; WINDOW_BYTES],
    before: usize,
    mantissa: u64,
    negative: bool,
) -> Option<([u8; N], usize)> {
    let (words, _) = window[before + 1..].as_chunks();
    let values = values_of(words.first()?);
    let mut decimals = digits_of(values);
    let element = if decimals == 0 {
        return None;
    } else if decimals < WORD_BYTES {
        E::short(append(mantissa, values, decimals), before, decimals, negative)?
    } else {
        let read;
        (read, decimals) = many_decimals(mantissa, words)?;
        let is_lone_zero = window[0] == b'0';
        E::quick(&Literal::plain(read, before - usize::from(is_lone_zero), decimals, negative))?
    };
    let end = before + 1 + decimals;
    (window.get(end) == Some(&b',')).then_some((element, end + 1))
}

/// Appends decimals of one word or more to a mantissa, and counts them.
#[inline(always)]
fn many_decimals(mantissa: u64, words: &[[u8; WORD_BYTES]]) -> Option<(u64, usize)> {
    let mut mantissa = mantissa;
    for (index, word) in words.iter().enumerate() {
        let values = values_of(word);
        let digits = digits_of(values);
        if digits < WORD_BYTES {
            return Some((append(mantissa, values, digits), index * WORD_BYTES + digits));
        }
        mantissa = append_word(mantissa, values);
    }
    None
}
